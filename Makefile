PY ?= .venv/bin/python
DEMO := faster_rcnn_r2n50_fpn_coco
RUN := work_dirs/demo/$(DEMO)
DIGITS := work_dirs/demo/digits
SEEDS := 0 1 2

.PHONY: help env demo demos digits test test-slow gpu-check lint clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

env:  ## make .venv (OPS=compiled: with mmcv's own ops)
	@bash requirements/install.sh

demo: env  ## train and evaluate a small detector on drawn images, and draw what it finds
	$(PY) demo/make_data.py data/demo
	@echo 'Training takes 5 to 15 minutes on 2 CPU cores, the evaluation one more.'
	$(PY) tools/train.py demo/configs/$(DEMO).py --work-dir $(RUN) --resume
	$(PY) tools/test.py demo/configs/$(DEMO).py "$$(cat $(RUN)/last_checkpoint)" --work-dir $(RUN) --show-dir $(RUN)/shown

demos: env  ## the same for every method, with ResNet-50 and Res2Net-50 (some hours), and their tables
	$(PY) demo/make_data.py data/demo
	for config in $(notdir $(wildcard demo/configs/*.py)); do \
		$(PY) tools/train.py demo/configs/$$config --work-dir work_dirs/demo/$${config%.py} --resume || exit; done
	$(PY) tools/results.py work_dirs/demo --table other

# A training's curves are the last that it leaves: a run that has them is complete, any other goes on.
CURVES := $(foreach seed,$(SEEDS),$(patsubst demo/configs/digits/%.py,$(DIGITS)/seed_$(seed)/%/curves.png,\
	$(wildcard demo/configs/digits/*.py)))

digits: env $(CURVES)  ## Figure 5's experiment, small, on real digits (an hour; on 2 cores: make -j2), and its table
	$(PY) demo/digits.py $(DIGITS)

$(CURVES): | digits-data
	OMP_NUM_THREADS=1 $(PY) tools/train.py demo/configs/digits/$(notdir $(@D)).py --work-dir $(@D) --resume \
		--cfg-options randomness.seed=$(patsubst seed_%,%,$(notdir $(patsubst %/,%,$(dir $(@D)))))

.PHONY: digits-data
digits-data: env
	$(PY) demo/make_data.py data/demo

test-slow: env  ## the tests that take minutes
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile -m slow

test: env  ## run the tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile

gpu-check:  ## on a machine with a GPU: timings beside other packages, in gpu_check.json, and its tests
	$(PY) tools/benchmark.py graphs eager training amp frozen frozen-amp compiled --device cuda --json gpu_check.json
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 6 --dist worksteal -m gpu

lint: env  ## check style and format
	$(PY) -m ruff check
	$(PY) -m ruff format --check

clean:  ## remove what the demo wrote; keeps .venv
	rm -rf data/demo work_dirs/demo
