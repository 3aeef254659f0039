# Each target makes the environment it needs from the machine's own python3 and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Files of tests are dealt to as many processes as there are processors.
PARALLEL := --numprocesses auto --maxprocesses 8 --dist loadfile
# The quick ones keep their files in memory, where 4 GiB of it can be had; syncs to a disk take a third of
# their time. TMPDIR=/tmp make test is on the disk, as all other tests are.
MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4194304 { print "/dev/shm" }')

.PHONY: demo test test-slow test-torch test-compat crash check format bench clean

demo: $(VENV)/.demo
	@$(BIN)/haversack demo --output build/demo

test: $(VENV)/.test
	TMPDIR="$${TMPDIR:-$(MEMORY)}" $(BIN)/python -m pytest $(PARALLEL)

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m "slow and not torch and not compat" --timeout 1800

test-torch: $(VENV)/.torch
	$(BIN)/python -m pytest -m torch

test-compat: $(VENV)/.test $(VENV)/.compat
	$(BIN)/python -m pytest -m compat

crash: $(VENV)/.test
	$(BIN)/python -m tests.crash

check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test $(VENV)/.bench
	$(BIN)/python -m benchmarks $(SUITE)

clean:
	rm -rf $(VENV) build

# An environment's name is the file that marks it whole; a changed pyproject makes it anew.
$(VENV)/.base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "haversack needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) lacks the venv module. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Making the environment in $(VENV) (only the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.base
	@echo "Installing haversack and what the demo needs (about 250 MB of wheels) ..."
	@$(PIP) -e '.[server,geo,plot]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "Installing what the tests need ..."
	@$(PIP) -e '.[server,geo,plot,test]'
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@echo "Installing the linters and the type checker ..."
	@$(PIP) -e '.[server,geo,plot,test,check]'
	@touch $@

$(VENV)/.torch: $(VENV)/.test
	@echo "Installing torch ..."
	@$(PIP) torch==2.13.0
	@touch $@

$(VENV)/.compat: $(VENV)/.base tests/compat/environments.sh tests/compat/make_env.sh
	@sh tests/compat/environments.sh $(VENV) $(PYTHON)
	@touch $@

$(VENV)/.bench: $(VENV)/.base benchmarks/environments.sh tests/compat/make_env.sh
	@sh benchmarks/environments.sh $(VENV) $(PYTHON)
	@touch $@
