# Every target makes .venv from nothing and installs what it needs; a second run installs nothing, unless
# pyproject.toml or constraints.txt changed. `make help` lists the targets.
#
#   make demo EPOCHS=10            other settings, by name
#   make test PYTEST_ARGS="-x tests/nn"
#   make test PYTHON=python3.12    another interpreter (delete .venv first)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
EPOCHS ?= 8
OUT ?= runs/demo
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PYTEST_ARGS ?=
OPS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
HOUSE := pyproject.toml constraints.txt

.PHONY: help demo test lint types bench oracle compare bridge conformance memcheck fuzz notebooks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.demo ## install, then train mnist-cnn on the packaged digits into runs/demo
	$(BIN)/tinygrad-cnn train --model mnist-cnn --data digits --epochs $(EPOCHS) --out $(OUT) --overwrite

test: $(VENV)/.dev ## install, then run the tests
	$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

lint: $(VENV)/.dev ## ruff, the spelling, and docstrings against their signatures
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/pydoclint --quiet tinygrad_cnn

types: $(VENV)/.dev ## mypy
	$(BIN)/mypy

notebooks: $(VENV)/.dev ## run every notebook from top to bottom
	@if ls notebooks/*.ipynb >/dev/null 2>&1; then \
	  $(BIN)/python -m pytest --nbmake --nbmake-timeout=600 --timeout=900 -p no:cacheprovider notebooks; \
	else echo "no notebooks yet"; fi

bench: $(VENV)/.bench ## time every workload against every engine that is installed
	$(BIN)/python -m benchmarks

oracle: $(VENV)/.oracle ## ask PyTorch again and freeze its answers into tests/
	$(BIN)/python -m tests.oracle.freeze
	$(BIN)/python -m tests.compat_models.freeze
	$(BIN)/python -m tests.io.freeze
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.compat.freeze
	$(BIN)/python -m tests.attacks.freeze
	$(BIN)/python -m tests.datasets.freeze_warp
	$(BIN)/python -m tests.training.freeze_boxes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.conformance.freeze

compare: $(VENV)/.oracle ## compare with an installed PyTorch, live
	$(BIN)/python -m pytest -m live $(PYTEST_ARGS)

bridge: $(VENV)/.oracle ## step PyTorch's own backward passes, and compare with its gradients
	$(BIN)/python -m pytest -n $(JOBS) -m live tests/bridge $(PYTEST_ARGS)

conformance: $(VENV)/.oracle ## run PyTorch's own samples of every shared op on both
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.conformance $(OPS)

memcheck: $(VENV)/.dev ## every compiled kernel on 48,000 random and hostile calls, with guard pages around all arrays
	$(BIN)/python -m tests.memcheck --count 24000 --seed 0
	$(BIN)/python -m tests.memcheck --count 24000 --seed 1 --no-bounds-check

fuzz: $(VENV)/.dev ## every reader of files on 5,000 damaged ones
	$(BIN)/python -m tests.fuzz --count 5000

clean: ## remove the environment and the caches (runs/ stays)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

# A stamp file per set of extras: newer than pyproject.toml and constraints.txt means installed.
$(VENV)/.demo: $(HOUSE) | $(BIN)/python
	$(PIP) -e '.[fast,plots,images,viz]'
	@touch $@

$(VENV)/.dev: $(HOUSE) | $(BIN)/python
	$(PIP) -e '.[all,dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(HOUSE) | $(BIN)/python
	$(PIP) -e '.[all,bench,peers]'
	@touch $@

$(VENV)/.oracle: $(HOUSE) | $(BIN)/python
	$(PIP) -e '.[all,dev,oracle]'
	@touch $@ $(VENV)/.dev $(VENV)/.demo

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "error: '$(PYTHON)' was not found; install Python 3.11 or later, or name one: make PYTHON=/path/to/python3" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: tinygrad_cnn needs Python 3.11 or later, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1);" \
	       "name a newer one: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "error: '$(PYTHON) -m venv' failed; on Debian and Ubuntu it needs the package python3-venv" >&2; \
	  exit 1; }
