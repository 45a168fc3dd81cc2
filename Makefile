# Every target makes .venv by itself: Python 3.11+ and make are all that is needed.
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
ARGS ?=
# The order of files is that of tests/support/packing.py.
SUITE := -m "not chaos" --dist loadfile --no-loadscope-reorder
# What slipcover has measured: a tenth of the CPU of tests, where a tracer takes as much as they do.
RUN_LINES := .coverage.json
# Tests start a worker a hundred times; without compiled modules each start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test units others chaos check bench docs licenses sbom format clean

.venv: pyproject.toml uv.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "streamapp needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	UV_PYTHON_DOWNLOADS=never $(BIN)/uv sync --quiet --frozen --inexact --all-extras --no-extra litellm
	touch .venv

help: ## this list; it is what `make` alone prints
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv ## run everything here: broker, worker, one record of every type and an agent
	$(BIN)/streamapp demo $(ARGS)

test: .venv ## the whole test suite: both of the next two beside each other
	@$(MAKE) --no-print-directory -j 2 units others

# They compute and the others wait: beside each other they keep two cores busy. What they print is
# shown at their end, in one piece.
units: .venv ## the unit tests, and how many lines of streamapp/ they run
	@rm -f $(RUN_LINES); said=$$($(BIN)/python -m slipcover --json --out $(RUN_LINES) -m pytest $(SUITE) tests/unit $(ARGS) 2>&1); code=$$?; printf '%s\n' "$$said"; \
	echo "Lines of streamapp/ that the unit tests run: $$($(BIN)/python -c 'import json; print(json.load(open("$(RUN_LINES)"))["summary"]["percent_covered_display"])') %"; exit $$code

others: .venv ## the tests on brokers, of commands, pages and the web
	$(BIN)/python -m pytest $(SUITE) -n 7 --ignore tests/unit $(ARGS)

chaos: .venv ## the long fault tests, on Apache Kafka
	$(BIN)/python -m pytest -m chaos $(ARGS)

check: .venv ## format, lint, types, import contracts, risks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml streamapp

bench: .venv ## against plain Faust and plain aiokafka; ARGS=--scale: 1, 2 and 4 workers
	$(BIN)/python -m bench $(ARGS)

docs: .venv ## the references from the code, then the site into site/
	$(BIN)/python -m reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

licenses: .venv ## names what is not allowed; the list is docs/reference/licences.md
	$(BIN)/python -m reference.licences

sbom: .venv ## what a worker runs on, with hashes, as CycloneDX: sbom.cdx.json
	$(BIN)/uv export --quiet --frozen --no-dev --all-extras --no-extra litellm --format cyclonedx1.5 --preview-features sbom-export --output-file sbom.cdx.json

format: .venv ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what make and the tests have built here
	rm -rf .venv .kafka data
