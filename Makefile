# Everything runs in a virtual environment keyed to the requirement files and the Python used:
# it is made once, and made again only when one of them changes.
PYTHON ?= python3
PORT ?= 7071
# Many tests wait for a time to pass, so one more than there are processors.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))')

digest = $(shell cat $(1) | $(PYTHON) -c 'import hashlib,sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:12])')
key = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$(call digest,$(1))
RUN_ENV := .venv/run-$(call key,requirements.txt)
DEV_ENV := .venv/dev-$(call key,requirements.txt requirements-dev.txt)
NODE_ENV := .venv/node-$(call digest,tests/node/package.json)
BENCH_ENV := .venv/bench-$(call key,requirements.txt requirements-dev.txt benchmarks/requirements.txt)
FUZZ_ENV := .venv/fuzz-$(call key,requirements.txt requirements-dev.txt fuzz/requirements.txt)
# SECONDS is bash's own, so it is taken from the command line only.
DURATION = $(if $(filter command line,$(origin SECONDS)),--seconds $(SECONDS))

.PHONY: help run test check format chaos fuzz contract bench soak host package lock clean
help:
	@echo 'make run     the service and a demo API on this machine, with four requests to try'
	@echo 'make test    the tests'
	@echo 'make check   lint, types and import contracts'
	@echo 'make format  put the code into its one format'
	@echo 'make chaos   kills, cuts and full disks under load, and what they cost (SECONDS=...)'
	@echo 'make fuzz    hostile input of every kind (SECONDS=... for each)'
	@echo 'make contract the API against its description (CASES=...)'
	@echo 'make bench   what the service costs, beside others (BENCH=... names one, --smoke is short)'
	@echo 'make soak    mixed traffic for a while, and whether anything grows (SECONDS=...)'
	@echo 'make host    the app in Azure Functions Core Tools (func), for those who have it'
	@echo 'make package the deployment package, as the platform builds it, and what it weighs'
	@echo 'make lock    requirements.txt anew from requirements.in'
	@echo 'make clean   remove the environments and caches'

run: $(RUN_ENV)/ready
	@$(RUN_ENV)/bin/python -m examples.first_light --port $(PORT)

test: $(DEV_ENV)/ready $(NODE_ENV)/ready
	NODE_PACKAGES="$(CURDIR)/$(NODE_ENV)/node_modules" $(DEV_ENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal

check: $(DEV_ENV)/ready
	$(DEV_ENV)/bin/ruff format --check .
	$(DEV_ENV)/bin/ruff check .
	$(DEV_ENV)/bin/mypy
	$(DEV_ENV)/bin/lint-imports

format: $(DEV_ENV)/ready
	$(DEV_ENV)/bin/ruff format .
	$(DEV_ENV)/bin/ruff check --fix .

chaos: $(DEV_ENV)/ready $(NODE_ENV)/ready
	@NODE_PACKAGES="$(CURDIR)/$(NODE_ENV)/node_modules" $(DEV_ENV)/bin/python -m tests.chaos $(DURATION)

fuzz: $(FUZZ_ENV)/ready
	@$(FUZZ_ENV)/bin/python -m fuzz $(DURATION)

contract: $(DEV_ENV)/ready
	@$(DEV_ENV)/bin/python -m tests.contract $(if $(CASES),--cases $(CASES))

bench: $(BENCH_ENV)/ready $(NODE_ENV)/ready
	@NODE_PACKAGES="$(CURDIR)/$(NODE_ENV)/node_modules" $(BENCH_ENV)/bin/python -m benchmarks $(BENCH)

soak: $(BENCH_ENV)/ready $(NODE_ENV)/ready
	@NODE_PACKAGES="$(CURDIR)/$(NODE_ENV)/node_modules" $(BENCH_ENV)/bin/python -m benchmarks.soak $(DURATION)

host: $(RUN_ENV)/ready
	@command -v func >/dev/null || { echo 'Azure Functions Core Tools (func) are not on this machine; make run needs none.' >&2; exit 1; }
	PATH="$(CURDIR)/$(RUN_ENV)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(RUN_ENV)" func start --port $(PORT)

package: | requirements.txt
	@mkdir -p .venv
	@$(PYTHON) -m tools.package

lock: $(DEV_ENV)/ready
	$(DEV_ENV)/bin/python -m pip install --quiet uv==0.13.9
	$(DEV_ENV)/bin/uv pip compile requirements.in --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --quiet --upgrade --output-file requirements.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

# A half-made environment is never taken for a whole one: it gets its name last.
.venv/run-%/ready: | requirements.txt
	@$(call make_env,requirements.txt)
.venv/dev-%/ready: | requirements.txt requirements-dev.txt
	@$(call make_env,requirements-dev.txt)
.venv/bench-%/ready: | requirements.txt requirements-dev.txt benchmarks/requirements.txt
	@$(call make_env,benchmarks/requirements.txt)
.venv/fuzz-%/ready: | requirements.txt requirements-dev.txt fuzz/requirements.txt
	@$(call make_env,fuzz/requirements.txt)
.venv/node-%/ready: | tests/node/package.json
	@command -v npm >/dev/null || { echo 'make test needs Node.js 20 or newer with npm: the tests run an emulator of Azure Storage with it.' >&2; exit 1; }
	@echo 'Preparing $(@D) (once) ...'
	@rm -rf $(@D) && mkdir -p $(@D) && cp $| $(@D)
	@cd $(@D) && npm install --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@

define make_env
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is %s. Try: make PYTHON=python3.11 ..." % sys.version.split()[0])'
@echo 'Preparing $(@D) (once) ...'
@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $(1)
@touch $@
endef
