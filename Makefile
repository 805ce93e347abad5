# Everything is installed into .venv, once: a stamp is renewed when pyproject.toml or constraints.txt changes.
#
#   make demo    train teams that learn to talk, write runs/demo/report.html, and print the riddle's protocol
#   make test    ruff, mypy and the tests
#   make docs    the documentation, in docs/_build/html
#   make lint    ruff and mypy alone
#   make clean   remove the environment and everything built; runs/ stays

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := $(shell grep '^torch==' constraints.txt)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
EDITABLE := $(PIP) --no-build-isolation --editable
PINS := pyproject.toml constraints.txt
CORE := $(VENV)/.installed-core
TEST := $(VENV)/.installed-test
DOCS := $(VENV)/.installed-docs

export RAY_USAGE_STATS_ENABLED := 0
unexport PYTHONDONTWRITEBYTECODE  # processes that tests start would compile everything anew

.PHONY: demo test lint docs clean
.DEFAULT_GOAL := demo

demo: $(CORE)
	$(BIN)/heliograph demo --out runs/demo --overwrite

test: export OMP_NUM_THREADS := 1
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(TEST)
	$(BIN)/ruff check
	$(BIN)/mypy

docs: $(DOCS)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) build dist docs/_build docs/_generated .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(CORE): $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] < (3, 13) else \
	    f"Heliograph needs Python 3.11 or 3.12, and this is {sys.version.split()[0]}: try make PYTHON=python3.11")'
	@test -x $(BIN)/python || { echo "Creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing $(TORCH)"
	@$(PIP) $(TORCH)
	@echo "Installing Heliograph and what it needs (Ray RLlib and others; a few minutes the first time)"
	@$(PIP) hatchling
	@$(EDITABLE) .
	@touch $@

$(TEST): $(CORE)
	@echo "Installing what the tests need"
	@$(EDITABLE) '.[envs,dev]'
	@touch $@

$(DOCS): $(CORE)
	@echo "Installing what the documentation needs"
	@$(EDITABLE) '.[docs]'
	@touch $@
