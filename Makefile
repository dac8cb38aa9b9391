PY := .venv/bin/python
CONFIG := configs/demo/faster_rcnn_r2n50_fpn_coco.py

.PHONY: help env demo test lint clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\): .*## /make \1\t/p' Makefile

env:  ## make .venv, or complete it
	@bash requirements/install.sh

demo: env  ## train and evaluate a small detector on made-up images, and draw what it finds
	$(PY) tools/make_demo_data.py data/demo
	$(PY) tools/train.py $(CONFIG) --work-dir work_dirs/demo
	$(PY) tools/test.py $(CONFIG) work_dirs/demo/last-checkpoint --work-dir work_dirs/demo --show-dir shown

test: env  ## run the tests
	$(PY) -m pytest

lint: env  ## check style and format
	$(PY) -m ruff check
	$(PY) -m ruff format --check

clean:  ## remove what the demo wrote; keeps .venv
	rm -rf data/demo work_dirs/demo
