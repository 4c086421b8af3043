# `make demo` and `make test` need Python 3.11 or newer and nothing else of ours.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO_SECONDS ?= 60

.PHONY: help demo test check lock model oath paper docs clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.run ## Play a simulated station night through the real daemon (DEMO_SECONDS=60)
	$(BIN)/auroramon demo --seconds $(DEMO_SECONDS) demo

test: $(VENV)/.test ## Run every test
	$(BIN)/pytest --numprocesses 2 --dist loadfile

check: $(VENV)/.test ## Lint and types: the one definition of clean
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

model: $(VENV)/.test ## Train the shipped model again, from the simulated sky to the bundle
	for run in simsky-2 simsky-3 simsky-4 simsky-5; do \
	    $(BIN)/python -m train simulate train/runs/$$run.toml && \
	    $(BIN)/python -m train fit train/runs/$$run.toml || exit 1; \
	done
	$(BIN)/python -m train model train/runs/default.toml --to auroramon/models/simsky-6 --replace

oath: $(VENV)/.test ## Train and judge on a copy of OATH v1.1 (OATH=folder), figures without leaks first
	$(BIN)/python -m train oath $(OATH)

paper: $(VENV)/.test ## Train the models of Endo & Matsumoto 2022 again on OATH (OATH=folder), their table beside ours
	$(BIN)/python -m train paper $(OATH)

docs: $(VENV)/.test ## Write the generated parts of docs/ again
	$(BIN)/python docs/generate.py

lock: ## Resolve the newest allowed versions of everything the tests use into requirements.lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade pip
	.venv-lock/bin/python -m pip install --quiet 'torch==2.13.*'
	.venv-lock/bin/python -m pip install --quiet '.[test]'
	.venv-lock/bin/python -m pip freeze --exclude auroramon | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# What a user installs, with pictures.
$(VENV)/.run: $(VENV)/bin/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[plots]'
	@touch $@

# What the tests use, in the locked versions.
$(VENV)/.test: $(VENV)/bin/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet --constraint requirements.lock torch
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[test]'
	@touch $@

clean: ## Remove the environment and the demo
	rm -rf $(VENV) demo build dist *.egg-info
