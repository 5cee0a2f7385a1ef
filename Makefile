# One command each; `make` alone lists them. Everything is installed into .venv (`make peers`: tests/node), nothing
# outside this folder (as root the database may be kept below /var/lib/pushcart: `make up` says so when it does).

.DEFAULT_GOAL := help
.PHONY: help up demo test check bench performance peers lock clean
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

PORT ?= 8000
export PORT
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
# Without bytecode each process would compile a thousand files at its start, three seconds of a core. Where the
# environment wants none beside the sources, as images for containers do, it is kept with what was installed.
ifneq ($(PYTHONDONTWRITEBYTECODE),)
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/$(VENV)/bytecode
endif

help: ## What there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.runtime ## Start the whole product on this machine (PORT=8000, DATA_DIR=.data/<PORT>); Ctrl-C stops it
	@exec $(BIN)/python -m config.up

demo: $(VENV)/.runtime ## Play the whole walk against the running product, over HTTP
	@$(BIN)/python manage.py demo

test: $(VENV)/.dev ## Run every test; nothing needs to run (ARGS="tests/test_up.py -k port" chooses)
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev ## Lint, types, import direction, migrations, OpenAPI
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.services sh -c '\
		$(BIN)/python manage.py makemigrations --check --dry-run && \
		$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null'

bench: $(VENV)/.dev $(BENCH_VENV)/.peers ## Run every measurement in bench/ (an hour); `make bench-drain` runs one, BENCH_QUICK=1 in small
	@$(BIN)/python -m bench

bench-%: $(VENV)/.dev $(BENCH_VENV)/.peers
	@echo "== $*"; $(BIN)/python -m bench.$*

performance: $(VENV)/.dev ## Write docs/performance.md from bench/results/
	@$(BIN)/python -m bench.performance

peers: ## Install the networks' own software for Node: more peers for `make test`; needs node and npm
	cd tests/node && npm ci

lock: $(VENV)/.dev ## Resolve the dependencies again (pyproject.toml → requirements*.txt, with hashes)
	$(UV_COMPILE) --extra embedded pyproject.toml -o requirements.txt
	$(UV_COMPILE) --extra embedded --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	echo "$(UV_VERSION)" | $(UV_COMPILE) - -o requirements-bootstrap.txt

clean: ## Remove what was installed and every cache; the data in .data stays
	rm -rf $(VENV) $(BENCH_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/node/node_modules
	find config merchants payments qr tests -name __pycache__ -prune -exec rm -rf {} +

# --- Installing ------------------------------------------------------------------------------------------------------

UV_VERSION := uv==0.13.9
UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header

# A stamp is newer than its lock file when that was installed: a warm start installs nothing.
$(VENV)/.runtime: requirements.txt $(BIN)/uv.tried
	$(call install,requirements.txt)
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(BIN)/uv.tried
	$(call install,requirements-dev.txt)
	@touch $@ $(VENV)/.runtime

# What the benches compare us with: never in the product's own environment, and only where a bench is run.
$(BENCH_VENV)/.peers: bench/requirements.txt $(BIN)/uv.tried
	@[ -x $(BENCH_VENV)/bin/python ] || $(BIN)/python -m venv $(BENCH_VENV)
	@echo "Installing bench/requirements.txt into $(BENCH_VENV)"
	@[ -x $(BIN)/uv ] && $(BIN)/uv pip install --quiet --python $(BENCH_VENV)/bin/python --requirement bench/requirements.txt \
		|| $(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	@touch $@

# uv installs several times faster than pip. Where it cannot (no wheel for this machine, a registry that only pip
# is configured for), pip installs the same hash-pinned files.
define install
@echo "Installing $(1)"
@if [ -x $(BIN)/uv ] && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement $(1); then \
	:; \
else \
	echo "uv could not install; pip does it."; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(1); \
fi
endef

$(BIN)/uv.tried: requirements-bootstrap.txt
	@[ -x $(BIN)/python ] || $(MAKE) $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--only-binary :all: --requirement requirements-bootstrap.txt || echo "uv cannot be installed here."
	@touch $@

# The first of these that is Python 3.11 or newer and can make a virtual environment; PYTHON=… names another.
$(BIN)/python:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$python" --version)"; \
			exec "$$python" -m venv $(VENV); \
		fi; \
	done; \
	echo "No usable Python was found: Pushcart needs Python 3.11 or newer with its venv module" >&2; \
	echo "(on Debian and Ubuntu: apt install python3-venv). PYTHON=/path/to/python names one." >&2; \
	exit 1
