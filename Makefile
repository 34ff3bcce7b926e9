# The commands of a checkout. `make run` and `make test` need nothing but make and Python 3.11, 3.12 or 3.13.
# The newest suitable Python that starts (a version manager's shim may stand there and not start).
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c '$(SUITABLE)' >/dev/null 2>&1 && command -v "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
DATA ?= data

.PHONY: help setup run test lint test-long faults faults-short bench matrix picture referee audit lock clean

help:  ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(SUITABLE)' || { echo "kommunekort needs Python 3.11, 3.12 or 3.13: make PYTHON=/path/to/python3.13 setup"; exit 1; }
	@echo "kommunekort uses $(PYTHON): $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.installed  ## Create .venv with the locked dependencies

run: setup  ## Run the nightly flow on the sample world and publish the mapping
	$(BIN)/kommunekort run --data $(DATA)

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint  ## Check style and types, and run the everyday tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

test-long: setup  ## Run the tests that take minutes
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long

faults: setup  ## Inject faults on purpose and print the report
	$(BIN)/python -m tests.faults.report

faults-short: setup  ## Inject a few of each, as CI does
	$(BIN)/python -m tests.faults.report --short

bench: setup  ## Measure, and print the tables
	$(BIN)/python -m tests.benchmarks

matrix: setup  ## Try the supported Pythons, and which versions of DuckDB read what is published (after make run)
	$(BIN)/python -m tests.matrix --database $(DATA)/kommunekort.duckdb

picture: setup  ## Draw the README's picture of the report anew (after make run; needs Chromium)
	$(BIN)/python -m tests.picture --report $(DATA)/report

referee: setup  ## Simulate worlds that depart from the statistics, and print how often they are right (minutes)
	$(BIN)/python -m tests.referee

audit: setup  ## Hold the locked dependencies against known advisories, without network
	$(BIN)/python -m tests.audit

lock:  ## Resolve the dependencies anew (needs uv); names no package host
	uv lock
	uv export --quiet --no-header --no-annotate --no-emit-project --all-groups --format requirements-txt --output-file requirements.lock

clean:  ## Remove what was built here, data included
	rm -rf $(DATA) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
