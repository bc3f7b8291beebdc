# make demo, make test: both make the environment in .venv first, and only when pyproject.toml has changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help setup demo test torture lint format types clean

help:
	@echo 'make demo     start a daemon on a sample vault, add, edit, search, and stop it (LEAVE=1 leaves it running)'
	@echo 'make test     lint, types, import contracts, tests'
	@echo 'make torture  a swarm of three while networks, daemons, disks and clocks fail, for a minute (Linux, root)'
	@echo 'make setup    only make the environment in $(VENV)'
	@echo 'make lint | types | format | clean'

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint .ci/constraints.txt --editable '.[dev]'
	touch $@

demo: $(INSTALLED)
	@HMD=$(abspath $(BIN))/hmd LEAVE=$(LEAVE) bash bench/demo.sh

test: lint types
	$(BIN)/python -m pytest -n 3 --dist loadfile

# SEED=… repeats the plan of an earlier run.
torture: $(INSTALLED)
	$(BIN)/python bench/torture.py --nodes 3 --minutes 1 $(if $(SEED),--seed $(SEED))

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .demo
