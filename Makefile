# make demo | test | check | bench: each begins with `make setup`, which takes seconds once it has been done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where this is set, every start of Python compiles torch and transformers anew: 21 s instead of 7 on two cores.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test check bench clean
help:
	@echo "make demo   a sample catalogue of 15 locales goes through the whole flow, into ./workspace"
	@echo "make test   the whole test suite"
	@echo "make check  lint, format and types"
	@echo "make bench  the benchmarks, one after the other; each prints one JSON object"
	@echo "make setup  the environment alone, in $(VENV)/"

setup: $(STAMP)
	@$(BIN)/python jobs/make_quick_start.py

$(STAMP): pyproject.toml constraints.txt spark/setup/installation.py
	@$(PYTHON) -m spark.setup.requirements
	@started=$$(date +%s); \
	$(PYTHON) -m venv $(VENV) && \
	echo "setup: installing packages (about 6.5 GB on disk with torch's CUDA libraries; some minutes)" && \
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[spark,train,serve,starter,evaluate,partners,plan,dev]' && \
	echo "setup: fetching the Delta and S3 jars" && \
	$(BIN)/python -m spark.setup.installation && \
	echo $$(( $$(date +%s) - started )) > $(VENV)/.setup-seconds && \
	touch $(STAMP) && \
	echo "setup: done in $$(cat $(VENV)/.setup-seconds) s; activate with: source $(VENV)/bin/activate"

demo: setup
	@$(BIN)/python jobs/run_demo.py

test: setup
	@$(BIN)/python -m pytest -n 2 --durations=20

check: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: setup
	@for benchmark in benchmarks/*.py; do echo "$$benchmark" >&2; $(BIN)/python $$benchmark || exit 1; done

clean:
	rm -rf $(VENV) workspace
