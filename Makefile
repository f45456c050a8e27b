# `make app` starts the app, `make test` runs every check; both create .venv first.

# The first interpreter that runs: pyenv leaves shims that exist and do not.
PYTHON ?= $(shell for p in python3.12 python3.11 $(HOME)/.pyenv/versions/3.12*/bin/python $(HOME)/.pyenv/versions/3.11*/bin/python; do \
	$$p -c 'import venv' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin

.PHONY: app test lint bars bench clean

app: .venv/.app-installed
	$(BIN)/python app.py

test: lint
	$(BIN)/python -m pytest

lint: .venv/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

bars: .venv/.app-installed
	$(BIN)/python -m hallulab bars all

bench: .venv/.app-installed
	$(BIN)/python benchmarks/small_world.py
	$(BIN)/python benchmarks/theory.py
	$(BIN)/python benchmarks/frames.py
	$(BIN)/python benchmarks/facts.py
	$(BIN)/python benchmarks/pictures.py
	$(BIN)/python benchmarks/words.py
	$(BIN)/python benchmarks/coins.py

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "hallulab needs Python 3.11 or 3.12 with venv: install one, or name it with make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv

.venv/.app-installed: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.test-installed: requirements-dev.txt .venv/.app-installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache
