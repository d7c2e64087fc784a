# Every target prepares what it needs (tools/setup.sh), so a fresh clone starts with any of them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# The steps of `test` share one lab and two cores: they run in the order they are written, also under -j.
.NOTPARALLEL:

# Molecule and Ansible stop without a UTF-8 locale.
export LC_ALL := C.UTF-8
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# This checkout, whatever copy of the collection is installed in the home directory.
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/collections

PYTHON := .venv/bin/python
PYTEST := $(CURDIR)/$(PYTHON) -m pytest
# The example is a project of its own, with an environment of its own.
UV_RUN := $(CURDIR)/.cache/uv/bin/uv run --quiet --frozen --no-python-downloads --python $(CURDIR)/.venv/bin/python
# 12 or 13: the Debian release of the lab hosts (empty: what the lab itself prefers).
DEBIAN ?=
export DEBIAN
# Scenarios that `make test` runs after the whole fleet; `make test-all` runs every one.
QUICK_SCENARIOS ?= single_host leaks
SCENARIO ?= default
SCENARIOS = $(filter-out shared,$(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))
# Run once: both Debian releases are in their fleet, or make no difference. The others are run on each.
ONCE := acme app backup config_set container_runtime encrypted_volume firewall leaks log_collector migrate pki postgres rollout secrets_backends

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | while IFS=$$'\t' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

# --- environment ---

.PHONY: setup venv packages
setup: packages venv ## Install what is missing: Debian packages (as root) and .venv
packages:
	@tools/setup.sh packages
venv:
	@tools/setup.sh venv

.PHONY: clean
clean: ## Remove .venv, caches and test output (not the lab: see lab-down)
	rm -rf .venv .cache .ansible .hypothesis examples/reference_api/.venv

# --- the lab ---

.PHONY: demo lab lab-down lab-shell lab-env
demo: setup ## Boot the lab, deploy the example API onto it, and show how to use it
	@$(PYTHON) molecule/shared/demo.py
lab: setup ## Boot the lab's hosts; playbooks reach them with -i inventories/lab
	@$(PYTHON) molecule/shared/lab.py up
lab-down: venv ## Remove this checkout's lab hosts and their network
	@$(PYTHON) molecule/shared/lab.py down
lab-shell: venv ## Open a shell on a lab host: make lab-shell HOST=app-1
	@$(PYTHON) molecule/shared/lab.py shell $(or $(HOST),$(error HOST= is missing, for example: make lab-shell HOST=app-1))
lab-env: venv ## Print shell assignments for tools that look at the lab from outside (use make -s)
	@$(PYTHON) molecule/shared/lab.py env

# --- tests, cheapest first ---

.PHONY: test test-all
test: setup ## All checks that a change must pass: lint, unit, sanity, api, the whole fleet
	@tools/steps.sh lint unit sanity api $(addprefix molecule-,default $(QUICK_SCENARIOS))
test-all: setup ## The same without haste: what is slow too, every Molecule scenario on Debian 12 and on 13 (2 hours)
	@DEBIAN= LEAKS=full tools/steps.sh --keep-going lint unit sanity api strength backends \
	  $(addprefix molecule-,$(filter-out leaks,$(filter $(ONCE),$(SCENARIOS)))) \
	  $(foreach scenario,$(filter-out $(ONCE),$(SCENARIOS)),$(addprefix molecule-$(scenario)@,12 13)) molecule-leaks

.PHONY: lint unit sanity api strength backends molecule chaos bench bench-edge bench-cage bench-database bench-recovery
lint: venv ## Style, types, YAML, Ansible rules and committed secrets
	@tools/lint.sh
unit: venv ## Unit tests and the house rules for roles
	@$(PYTEST) -n 2 --dist worksteal tests/unit
sanity: venv ## ansible-test sanity, in a copy below .cache
	@tools/sanity.sh
api: setup ## Tests of the example API
	@cd examples/reference_api && $(UV_RUN) mypy && $(UV_RUN) pytest -n 2 --dist loadfile
strength: venv ## The rule for secrets: 100,000 outputs of each generator, and whole corpora of weak ones
	@$(PYTEST) -n 0 -s tests/security/test_secret_strength.py
backends: venv ## The secrets backends against real servers (fetches 130 MB the first time)
	@tests/backends/run.sh
molecule: setup ## One Molecule scenario: make molecule SCENARIO=postgres DEBIAN=12
	@molecule test --scenario-name $(SCENARIO)
molecule-%: setup # a scenario, or a scenario and the Debian release: postgres@12
	@DEBIAN=$(or $(word 2,$(subst @, ,$*)),$(DEBIAN)) molecule test --scenario-name $(firstword $(subst @, ,$*))
chaos: setup ## Kill controllers and hosts in every stage of a release, under load
	@molecule converge --scenario-name rollout
	@cd molecule/rollout && PYTHONPATH=../shared $(PYTEST) -n 0 -s faults.py
	@molecule destroy --scenario-name rollout
bench: setup ## Time the booted lab's second deploy beside thirty template tasks (ARGS= for the deploy)
	@$(PYTHON) tests/bench/bench.py $(ARGS)
bench-edge: setup ## Load the edge beside a plain nginx and beside Debian's rule set as it is (ARGS="--debian 12")
	@molecule converge --scenario-name reverse_proxy
	@PYTHONPATH=molecule/shared $(PYTHON) tests/bench/edge_bench.py $(ARGS)
	@molecule destroy --scenario-name reverse_proxy
bench-cage: setup ## Start and load the example API in its cage and in a plain `docker run` (ARGS="--rounds 9")
	@molecule converge --scenario-name app
	@PYTHONPATH=molecule/shared $(PYTHON) tests/bench/cage_bench.py $(ARGS)
	@molecule destroy --scenario-name app
bench-database: setup ## Load PostgreSQL beside a plain one, with and without a connection each (ARGS="--host db-12")
	@molecule converge --scenario-name postgres
	@PYTHONPATH=molecule/shared $(PYTHON) tests/bench/database_bench.py $(ARGS)
	@molecule destroy --scenario-name postgres
bench-recovery: setup ## Cut the power under load and go back, then take the repository away (ARGS="--seconds 60 --megabytes 100")
	@molecule converge --scenario-name backup
	@PYTHONPATH=molecule/shared $(PYTHON) tests/bench/recovery_bench.py $(ARGS)
	@molecule destroy --scenario-name backup

# --- the inventory of one environment, judged without contacting a host ---

ENV ?=
ARGS ?=
.PHONY: security-check verify-config
security-check: venv ## Secrets in clear in an inventory's files and git history, then verify-config: ENV=production
	@$(PYTHON) tools/check_environment.py --secrets '$(ENV)' $(ARGS)
verify-config: venv ## Judge every variable of every host: ENV=production (a directory of inventories/), ARGS= for Ansible
	@$(PYTHON) tools/check_environment.py '$(ENV)' $(ARGS)

# --- files that tools rewrite ---

.PHONY: format docs-tables
format: venv ## Rewrite Python files as ruff wants them
	@ruff check --quiet --fix-only .
	@ruff format --quiet .
docs-tables: venv ## Rewrite the option tables of roles/*/README.md from their argument specs
	@$(PYTHON) tools/role_readme.py
