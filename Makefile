# `make run` and `make test` set up everything they need in .venv; nothing else has to be installed first but Python 3.11-3.13.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
TEST_STARTERS := $(CURDIR)/build/starters
WORKERS ?= 2
PYTEST = CRATON_TEST_STARTERS=$(TEST_STARTERS) $(BIN)/python -m pytest -q
QUICK := -m "not slow"
# What failed is run again without anything beside it: two cores shared by real servers, workers and jobs make clocks
# run out. What is broken fails again; three such, and there is no need to see more.
AGAIN := --last-failed --last-failed-no-failures none --maxfail 3

.PHONY: run test slow lint style bench compat proof mission lock clean

run: $(VENV)/.run  ## install, fetch the starter models, serve, answer from the documents
	$(BIN)/craton models pull --starters
	$(BIN)/craton demo --patience 120 & exec $(BIN)/craton serve --host $(HOST) --port $(PORT)

test: $(VENV)/.test style  ## lint, types, tests
	$(BIN)/python tests/fetch_starters.py $(TEST_STARTERS)
	@mkdir -p build; nice $(BIN)/mypy > build/types.log 2>&1 & types=$$!; \
	$(PYTEST) $(QUICK) -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) \
		|| { echo "Failed beside others; once more, alone:"; $(PYTEST) $(QUICK) $(AGAIN); }; tests=$$?; \
	wait $$types; types=$$?; cat build/types.log; exit $$((tests | types))

slow: $(VENV)/.test  ## the tests that take long: storms, kills, fine-tunes, lessons from 3 on
	$(BIN)/python tests/fetch_starters.py $(TEST_STARTERS)
	$(PYTEST) -m slow $(ARGS)

lint: style  ## ruff and the type checker
	$(BIN)/mypy

style: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

mission: $(VENV)/.test  ## the guide's rows: works, refused, missing
	$(BIN)/python tests/fetch_starters.py $(TEST_STARTERS)
	$(BIN)/craton learn mission --from $(TEST_STARTERS)

bench: $(VENV)/.test  ## ratios against the raw libraries (bench/README.md)
	$(BIN)/python -m bench $(ARGS)

compat: $(VENV)/.test  ## older generations of the clients; HF_TESTS=checkout: huggingface_hub's own tests
	$(BIN)/python -m tests.compat $(if $(HF_TESTS),--hf-tests $(HF_TESTS)) $(ARGS)

proof: $(VENV)/.test  ## slow proofs; figures go to docs/proof/
	$(BIN)/python -m tests.proof $(ARGS)

lock:  ## rewrite requirements/ from pyproject.toml
	$(PYTHON) tools/lock.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml requirements/clients.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/clients.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml requirements/dev.txt requirements/train.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet -r requirements/train.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@ $(VENV)/.run
