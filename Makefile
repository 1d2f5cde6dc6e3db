# What to run from a fresh clone: `make copy` trains the copy machine, `make test` checks everything.
# Both make .venv first, with the releases pinned in constraints.txt; `make PYTHON=python3.12 test` picks another Python.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
WHEEL_CHECK := build/wheel-check

# Every folder in plugins/ that is a distribution, as a third party would install it.
PLUGIN_PROJECTS := $(sort $(wildcard plugins/*/pyproject.toml))
PLUGINS := $(patsubst %/pyproject.toml,%,$(PLUGIN_PROJECTS))

# pip reads the first for what it installs and, depending on its age, the first or the second for what builds it.
PINS := PIP_CONSTRAINT=$(CURDIR)/constraints.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints.txt
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(PINS) $(BIN)/python -m pip

# Two test processes with one thread each, so that they do not fight for the cores.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

# Tests of what is the same whatever executes it.
OF_ANY_RUNTIME := tests/test_building.py $(wildcard $(addprefix tests/,addressing heads controllers interface memory model \
	testing trace training ablation))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install copy test test-full lint types imports unit unit-full test-fused format docs-cli docs-spec wheel-check clean

help: ## say what each target does
	@sed -n 's/^\([a-z%-]*\):.*## /\1\t/p' Makefile | expand -t 14

install: $(INSTALLED) ## make .venv and install the toolkit, its plugins and its tools, editable

$(INSTALLED): pyproject.toml constraints.txt $(PLUGIN_PROJECTS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --editable '.[test]' $(foreach plugin,$(PLUGINS),--editable ./$(plugin))
	@touch $@

copy: $(INSTALLED) ## train the copy machine of the paper into runs/copy; run again to go on after an interruption
	$(BIN)/ntm train specs/copy.yaml --run runs/copy --resume

test: lint types imports unit ## all checks

test-full: lint types imports unit-full test-fused wheel-check ## all checks, the slow tests and the wheel in an empty environment

lint: $(INSTALLED) ## ruff: mistakes and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED) ## mypy, strict: the toolkit and the plugins
	$(BIN)/mypy ntm_toolkit $(PLUGINS)

imports: $(INSTALLED) ## import-linter: who may import whom
	$(BIN)/lint-imports

unit: $(INSTALLED) ## pytest, without the slow tests
	$(PYTEST)

# Compiled without optimisation, and kept: what is compiled once is there the next time.
test-fused: $(INSTALLED) ## the tests of models and training, with the fused runtime in place of eager
	NTM_RUNTIME=fused NTM_CXXFLAGS=-O0 NTM_CACHE=$(CURDIR)/build/test-cache $(PYTEST) \
		--hypothesis-profile few $(OF_ANY_RUNTIME)

unit-full: $(INSTALLED)
	$(PYTEST) -m "" --hypothesis-profile full

format: $(INSTALLED) ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs-cli: $(INSTALLED) ## write docs/cli.md from the commands' --help
	$(BIN)/python -m ntm_toolkit.cli.reference docs/cli.md

docs-spec: $(INSTALLED) ## write the tables of fields in docs/spec.md and docs/ablation.md from the models
	$(BIN)/python docs/spec_tables.py

results-%: $(INSTALLED) ## train a task of docs/results.md again from nothing, such as results-copy, and compare
	$(BIN)/python docs/seeds.py check $*

wheel-check: $(INSTALLED) ## build the wheel, install it in an empty environment and use it there
	rm -rf $(WHEEL_CHECK)
	$(BIN)/python -m build --no-isolation --outdir $(WHEEL_CHECK)/dist .
	$(PYTHON) -m venv $(WHEEL_CHECK)/venv
	$(PINS) $(WHEEL_CHECK)/venv/bin/python -m pip install --quiet $(WHEEL_CHECK)/dist/*.whl
	cd $(WHEEL_CHECK) && venv/bin/ntm --version
	cd $(WHEEL_CHECK) && venv/bin/ntm new my.yaml --from copy
	cd $(WHEEL_CHECK) && venv/bin/ntm validate my.yaml

clean: ## remove .venv, builds and caches; runs/ stays
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
