# Needs Python 3.11 or newer, make and a package index; everything else goes into VENV.
# Another interpreter beside the first: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV ?= .venv
# For two cores: tests mostly wait for processes of their own. With more, what must happen in time may not.
PROCESSES ?= 3
BIN := $(VENV)/bin
PYTEST = $(BIN)/pytest --numprocesses $(PROCESSES) --dist worksteal
UV := UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv

.PHONY: help demo setup servers test test-nightly element lint types docs bench picture clean
help:  ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s  %s\n", $$1, $$2 }' Makefile
demo: $(VENV)/.demo  ## see a job's progress in this terminal
	@$(BIN)/headway demo
setup: $(VENV)/.dev  ## make the environment to develop in
servers: setup  ## install the servers that tests need, by the system's package manager where it may
	@$(BIN)/python tools/servers.py
test: lint types servers  ## all that a change must pass: style, types, tests, the built wheel
	$(PYTEST)
test-nightly: servers  ## the faults that take too long for every run
	$(PYTEST) -m nightly --timeout 900
lint: setup  ## style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check
types: setup  ## types, strictly
	$(BIN)/mypy src $(wildcard tests/typing)
docs: setup  ## run what README and docs show (part of test)
	$(BIN)/pytest tests/test_docs.py
element: servers  ## make headway.js, which pages load, of what stands in element/
	$(BIN)/python tools/element.py
bench: setup  ## measure headway side by side with its peers
	$(BIN)/python -m bench
picture: setup  ## redraw the pictures of README and docs
	$(BIN)/python tools/picture.py
	$(BIN)/python tools/time_left.py
	$(BIN)/python -m tests.browser.gallery
clean:  ## remove all that make made
	rm -rf $(VENV) dist .hypothesis .mypy_cache .pytest_cache .ruff_cache

# The versions in uv.lock, which names the files on PyPI. Where they cannot be reached, pip
# installs the same versions from the index that it is set up for. The project is editable.
define install
@$(UV) sync --frozen --inexact --python $(BIN)/python $(1) || { \
	$(UV) export --quiet --frozen --no-emit-project $(1) --output-file $(VENV)/locked.txt && \
	$(BIN)/pip install --quiet --no-deps --requirement $(VENV)/locked.txt && \
	$(BIN)/pip install --quiet --no-deps --editable .; }
@touch $@
endef
$(VENV)/.demo: pyproject.toml uv.lock | $(BIN)/uv
	$(call install,--no-default-groups --extra cli)
$(VENV)/.dev: pyproject.toml uv.lock | $(BIN)/uv
	$(call install,--all-extras)
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer, please: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV) && $(BIN)/pip install --quiet uv
