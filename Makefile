# Every target sets up what it needs: .venv with pinned versions, see tools/setup/install.sh.
BIN := .venv/bin

.PHONY: help setup demo pictures test test-all lint site dist clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup:  ## Create .venv and install everything into it, once
	@bash tools/setup/install.sh

demo: setup  ## Render a small data set, train GFNet-H-S + UperNet on it, evaluate, draw predictions
	@$(BIN)/python tools/demo.py

CAMVID ?= data/camvid
pictures: setup demo  ## Train the networks of the comparison on CamVid, which takes a day, and draw docs/images
	@$(BIN)/mmfreq compare configs/comparisons/camvid_fpn.yml --data-root $(CAMVID)
	@$(BIN)/python tools/docs/draw_pictures.py work_dirs/camvid_fpn work_dirs/demo

# Two processes with one thread each; the longest files come first.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: setup  ## Run the quick tests: every family, tool, decoder and data set once
	@$(PYTEST) -m 'not thorough and not slow'

test-all: setup  ## Run all tests
	@$(PYTEST)

lint: setup  ## Check style, docstrings and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

dist: setup  ## Build the source distribution, and from it the wheel, into dist/
	@rm -rf build dist
	@$(BIN)/python -m build

site: setup  ## Build the site of docs/ into site/, with warnings as errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:  ## Remove .venv, the site and caches of tools; the built mmcv wheel stays in its cache folder
	rm -rf .venv site .mypy_cache .pytest_cache .ruff_cache
