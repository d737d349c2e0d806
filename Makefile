# Every target sets up what it needs: .venv with pinned versions, see tools/setup/install.sh.
BIN := .venv/bin

.PHONY: help setup demo test lint clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup:  ## Create .venv and install everything into it, once
	@bash tools/setup/install.sh

demo: setup  ## Render a small data set, train GFNet-H-S + UperNet on it, evaluate, draw predictions
	@$(BIN)/python tools/demo.py

test: setup  ## Run the tests, in two processes with one thread each
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup  ## Check style, docstrings and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean:  ## Remove .venv and caches of tools; the built mmcv wheel stays in its cache folder
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
