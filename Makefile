# Sidelight's commands. `make help` lists them; each target's text is its `##` comment.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests that start worker processes or mount images share two cores with each other.
JOBS ?= 2

.PHONY: help install demo test lint unit bench clean lock

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv from the machine if it is there, else from PyPI into an environment of its own.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
.uv/bin/uv:
	$(PYTHON) -m venv .uv || { echo "python3-venv is needed: apt-get install python3-venv" >&2; exit 1; }
	.uv/bin/pip install --quiet --disable-pip-version-check uv

$(STAMP): requirements.lock pyproject.toml | $(UV)
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --editable .
	touch $(STAMP)

install: $(STAMP) ## make .venv with every locked dependency

lock: | $(UV) ## resolve requirements.lock anew
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --all-extras \
	  --python-version 3.11 --upgrade pyproject.toml -o requirements.lock --quiet
