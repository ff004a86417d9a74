# Two words do everything: `make demo` and `make test`. Each sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check format bench setup clean

setup: $(VENV)/.ready tests/mermaid/node_modules/.ready

$(VENV)/.ready: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (the first time takes a minute) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

tests/mermaid/node_modules/.ready: tests/mermaid/package.json
	@echo "Installing the real Mermaid for the diagram tests …"
	@cd tests/mermaid && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts
	@touch $@

.venv-dbt/.ready: Makefile
	@test -x .venv-dbt/bin/python || $(PYTHON) -m venv .venv-dbt
	@echo "Installing the real dbt for the end-to-end test …"
	@.venv-dbt/bin/pip install --quiet --disable-pip-version-check 'dbt-core<1.11' 'dbt-duckdb<1.11' openlineage-dbt
	@touch $@

demo: $(VENV)/.ready  ## Run the flights pipeline into a collector and show what came of it.
	@$(BIN)/headwater demo

test: setup .venv-dbt/.ready  ## Run every test.
	@$(BIN)/pytest -n auto

check: $(VENV)/.ready  ## Format, lint and types; changes nothing.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/.ready
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.ready  ## Measure speed beside raw limits; see docs/benchmarks.md.
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.executor
	@$(BIN)/python -m benchmarks.outbox

clean:
	rm -rf $(VENV) .venv-dbt tests/mermaid/node_modules .hypothesis
