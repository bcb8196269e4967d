# Sidelight's commands. `make help` lists them; each target's text is its `##` comment.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests that start worker processes or mount images share the machine's cores with each other.
JOBS ?= 2

.PHONY: help install demo flower test lint unit real faults torture fuzz packages bench load compare clean lock deploy

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv from the machine if it is there, else from PyPI into an environment of its own.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
.uv/bin/uv:
	@$(PYTHON) -m venv .uv || { echo "python3-venv is needed: apt-get install python3-venv" >&2; exit 1; }
	@.uv/bin/pip install --quiet --disable-pip-version-check uv

$(STAMP): requirements.lock pyproject.toml | $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@echo "installing the locked dependencies into $(VENV)"
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --editable .
	@touch $(STAMP)

install: $(STAMP) ## make .venv with every locked dependency

demo: $(STAMP) ## scan a small fleet in a local cloud, as in production (a minute)
	@$(BIN)/python demo/run.py

flower: $(STAMP) ## open Flower on the demo's queues (while `make demo HOLD=1` holds)
	@$(BIN)/python demo/run.py --flower

test: lint unit real ## everything: lint, types, contracts, unit tests, real disks and services

lint: $(STAMP) ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Sockets are off in unit tests: what needs one is marked `services`.
unit: $(STAMP) ## the fast tests: no servers, no mounts
	$(BIN)/pytest -n $(JOBS) -m "not (services or mounts or images or slow or conformance or long)" --disable-socket --allow-unix-socket

real: $(STAMP) packages ## tests on real disk images, servers, worker processes and data
	$(BIN)/pytest -n $(JOBS) -m "(services or mounts or images or slow or conformance) and not long" -rs

faults: $(STAMP) packages ## every fault of a scan's life, kill -9 at every point included (long)
	$(BIN)/pytest -n $(JOBS) tests/faults

torture: $(STAMP) packages ## readers against the kernel on disks copied under load (root, long; COPIES=200)
	$(BIN)/python -m tests.torture.run_ext --copies $(or $(COPIES),200) --kind ext3 --kind ext4
	$(BIN)/python -m tests.torture.run_xfs --copies $(or $(COPIES),200)

fuzz: $(STAMP) ## coverage-guided fuzzing of the readers, target after target (long; RUNS=20000)
	$(BIN)/python -m fuzz --runs $(or $(RUNS),20000)

# What the tests of real disks use, where we may install it. Elsewhere they skip and say so.
DEBIAN := e2fsprogs xfsprogs btrfs-progs dosfstools f2fs-tools bcache-tools exfatprogs ntfs-3g udftools squashfs-tools erofs-utils fdisk gdisk lvm2 rpm zstd thin-provisioning-tools cryptsetup-bin mdadm postgresql redis-server redis-sentinel openssl ruby php-cli php-composer-semver default-jre-headless libmaven3-core-java
packages: ## Debian packages for the real tests (needs root; without it, some tests skip)
	@missing=$$(for name in $(DEBIAN); do dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "not installed (tests that need them will skip):" $$missing; fi; \
	fi

bench: $(STAMP) ## print the figures of the docs (BENCH=walk_xfs for one)
	@for file in $(if $(BENCH),benchmarks/$(BENCH).py,$(filter-out benchmarks/compare%,$(wildcard benchmarks/*.py))); do echo "== $$file"; $(BIN)/python $$file; done

compare: $(STAMP) packages ## what Trivy and Syft find and Sidelight doesn't, on the same trees (root, long)
	$(BIN)/python benchmarks/compare.py

load: $(STAMP) ## a fleet of INSTANCES=10000 through real workers on this machine (long)
	$(BIN)/python -m benchmarks.load --instances $(or $(INSTANCES),10000) $(LOAD)

clean: ## remove what the other commands made
	rm -rf $(VENV) .uv .lint .demo build

lock: | $(UV) ## resolve requirements.lock anew
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --all-extras \
	  --python-version 3.11 --upgrade pyproject.toml -o requirements.lock --quiet
	$(MAKE) deploy/requirements.lock

# What the image installs: the core and PostgreSQL's driver, of the versions that are tested.
deploy/requirements.lock: requirements.lock pyproject.toml | $(UV)
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --extra postgres \
	  --extra flower --extra serve --python-version 3.11 --constraints requirements.lock pyproject.toml -o $@ --quiet
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --constraints requirements.lock deploy/build-requirements.in -o deploy/build-requirements.lock --quiet

LINTERS := .lint
$(LINTERS)/.installed: deploy/lint-requirements.txt | $(UV)
	@test -x $(LINTERS)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(LINTERS)
	@VIRTUAL_ENV=$(LINTERS) $(UV) pip install --quiet -r deploy/lint-requirements.txt
	@touch $@

deploy: $(STAMP) $(LINTERS)/.installed ## lint deploy/, the chart as Helm renders it; build the image, ask Prometheus (root, long)
	$(LINTERS)/bin/hadolint deploy/Dockerfile
	$(LINTERS)/bin/yamllint --strict -c deploy/yamllint.yaml deploy/*.yaml deploy/cloudformation deploy/helm/sidelight/*.yaml
	$(LINTERS)/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(LINTERS)/bin/cfn-lint deploy/cloudformation/*.yaml
	$(LINTERS)/bin/python deploy/render_chart.py
	@$(MAKE) --no-print-directory packages DEBIAN="buildah mmdebstrap prometheus redis-server"
	$(BIN)/pytest tests/deploy -m long -rs
