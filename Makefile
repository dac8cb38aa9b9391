PY := .venv/bin/python
CONFIG := configs/demo/faster_rcnn_r2n50_fpn_coco.py
DEMO := work_dirs/demo

# OpenMP threads that spin while they wait make training on a busy CPU several times slower.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help env demo test lint clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\): .*## /make \1\t/p' Makefile

env:  ## make .venv, or complete it
	@bash requirements/install.sh

demo: env  ## train and evaluate a small detector on drawn images, and draw what it finds
	$(PY) tools/make_demo_data.py data/demo
	@echo 'Training takes 10 to 15 minutes on 2 CPU cores, the evaluation one more.'
	$(PY) tools/train.py $(CONFIG) --work-dir $(DEMO)
	$(PY) tools/test.py $(CONFIG) $$(cat $(DEMO)/last_checkpoint) --work-dir $(DEMO) --show-dir $(DEMO)/shown

test: env  ## run the tests
	$(PY) -m pytest

lint: env  ## check style and format
	$(PY) -m ruff check
	$(PY) -m ruff format --check

clean:  ## remove what the demo wrote; keeps .venv
	rm -rf data/demo work_dirs/demo
