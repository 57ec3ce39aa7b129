# What a developer or a first-time user types. `make help` lists it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PAGE   := llmproxy/static/index.html
CACHE  := .cache

# Test processes side by side: twice the cores of the smallest machine, since most tests wait for another process.
WORKERS ?= 4

# In CI, what failed is tried once more, alone: some tests with browsers and many processes need more of a machine than it has. Both results are shown.
AGAIN = { [ $$? = 1 ] && echo "Tests failed. Each of them is tried once more, alone:" \
	&& $(BIN)/python -m pytest -n 0 -rA --last-failed --last-failed-no-failures none; }

# Modules are compiled once, not by each of the processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

# The stamps hold the time at which a step was last done; a second run does it again only if its inputs are newer.
RUNS   := $(VENV)/.runs
TESTS  := $(VENV)/.tests
COMPILED := $(VENV)/.compiled
MODULES := ui/node_modules/.package-lock.json
PAGE_SOURCES := $(shell find ui -path ui/node_modules -prune -o -path ui/test -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run test prepared check style ui ui-build ui-test prices dashboard docs bench bench-peers bench-compare bench-growth test-clients soak stop-latency clean page requirements system

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

run: $(RUNS) page ## install, build the page, serve on 127.0.0.1:8811 (ARGS="--port 9000")
	@exec $(BIN)/llmproxy serve $(ARGS)

test: prepared ## install what the tests need, check, and test (ARGS="-k routing"); with CI=true, other people's clients too
	@$(MAKE) --no-print-directory -j2 style $(COMPILED)
	$(if $(CI),$(BIN)/python -m tests.clients.environments)
	$(if $(CI),$(BIN)/python -m pip install --quiet --disable-pip-version-check --group deploy)
	$(if $(CI),@$(MAKE) --no-print-directory ui-test)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS) $(if $(CI),|| $(AGAIN))

# What needs nothing of each other is done side by side.
prepared:
	@$(MAKE) --no-print-directory -j2 $(TESTS) page system

check: style ## formatting, lint, types, the direction of imports, and whether docs and code say the same
	$(BIN)/python -m pytest -q -n 0 tests/docs -k 'not test_blocks and not test_adapter_package'

style: $(TESTS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

ui: $(MODULES) ## the page with hot reload, against the gateway at 127.0.0.1:8811
	cd ui && npm run dev

ui-build: $(PAGE) ## the page, built into llmproxy/static

ui-test: $(MODULES) ## the page's types and unit tests
	cd ui && npm run check && npm test

bench: $(TESTS) ## measure the gateway beside a bare aiohttp server (ARGS="S1 --quick")
	$(BIN)/python -m tests.bench run $(ARGS)

bench-peers: $(TESTS) ## install other gateways beside it and measure them too
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! { command -v nginx && command -v caddy; } >/dev/null; then \
		echo "Installing nginx and caddy to compare with"; \
		(apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light caddy) >/dev/null 2>&1 \
			|| echo "They could not be installed: they are left out."; fi
	$(BIN)/python -m tests.bench peers
	$(BIN)/python -m tests.bench run --peers $(ARGS)
	$(BIN)/python -m tests.bench table

bench-compare: $(TESTS) ## the last two measurements, as ratios
	$(BIN)/python -m tests.bench compare $(ARGS)

bench-growth: $(TESTS) ## what large databases and configurations cost, at several sizes (ARGS="--full", ARGS="search figures")
	$(BIN)/python -m tests.bench growth $(ARGS)

test-clients: $(TESTS) ## drive the gateway with other people's clients, each in its own environment
	$(BIN)/python -m tests.clients.environments
	$(BIN)/python -m pytest -rs tests/clients $(ARGS)

prices: $(TESTS) ## the table of prices, made anew from the newest genai-prices
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade genai-prices
	$(BIN)/python tools/make_prices.py

docs: $(TESTS) ## the pages of docs that are made from the code
	$(BIN)/python -m tools.make_cli_docs

dashboard: $(TESTS) ## the dashboard for Grafana, made anew
	$(BIN)/python tools/make_dashboard.py

requirements: ## pin what the image installs, by version and hash
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header \
		--strip-extras --allow-unsafe --build-deps-for wheel --extra fast --extra postgres --extra redis \
		--output-file deploy/requirements.txt pyproject.toml
	sed -i '1i # What the image installs, with the hashes of all files of these versions. Made by `make requirements`.' deploy/requirements.txt

soak: export LLMPROXY_SOAK = 1
soak: $(TESTS) ## ten minutes of everything at once, then processes that are killed while others use their database (ARGS="-k rolling")
	LLMPROXY_SOAK_SECONDS=600 $(BIN)/python -m pytest -s tests/accounts/test_soak.py $(ARGS)
	LLMPROXY_KILLS=300 LLMPROXY_SERVER_KILLS=60 LLMPROXY_OUTSIDERS=20 LLMPROXY_SERVER_OUTSIDERS=20 \
		$(BIN)/python -m pytest tests/store/test_kill.py tests/store/test_outsiders.py \
		tests/threads/test_process.py tests/threads/test_outsiders.py $(ARGS)
	LLMPROXY_STOPS=1250 LLMPROXY_CUTS=1000 $(BIN)/python -m pytest --timeout 3600 tests/cluster/test_processes.py $(ARGS)
	LLMPROXY_PARTITIONS=2 $(BIN)/python -m pytest -s tests/cluster/test_partitions.py $(ARGS)
	LLMPROXY_BILLED_TOGETHER=50000 $(BIN)/python -m pytest -s tests/cluster/test_bill_together.py $(ARGS)
	$(BIN)/python -m tests.cluster.measure 1000

stop-latency: $(TESTS) ## percentiles of a stop through a replica that does not own the stream, to be run on an idle machine
	$(BIN)/python -m tests.cluster.measure 1000

clean: ## remove everything that was made here
	rm -rf $(VENV) $(CACHE) build dist *.egg-info ui/node_modules tests/clients/node/node_modules llmproxy/static
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "llmproxy needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNS): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fast,chat]'
	@touch $@

# Dependency groups came with pip 25.1.
$(TESTS): pyproject.toml $(RUNS) | $(BIN)/python
	@$(BIN)/python -m pip install --help | grep -q -e '--group' \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

# Each of the test processes would compile all tests, since none waits for another.
$(COMPILED): $(TESTS)
	@$(BIN)/python -m pytest -q -n 0 --collect-only >/dev/null 2>&1; touch $@

# The gateway does without its page: what stands in the way of it is said in one line, and the rest goes on.
page:
	@if [ ! -f ui/package.json ]; then :; \
	elif ! command -v npm >/dev/null; then echo "The page is not built: it needs Node 20 with npm. Everything else works."; \
	else mkdir -p $(CACHE) && $(MAKE) --no-print-directory ui-build >$(CACHE)/page.log 2>&1 \
		|| echo "The page could not be built (see $(CACHE)/page.log). Everything else works."; fi

$(MODULES): ui/package-lock.json ui/package.json
	cd ui && npm ci --no-audit --no-fund
	@touch $@

$(PAGE): $(PAGE_SOURCES) | $(MODULES)
	cd ui && npm run build
	@touch $@

# The page's tests drive a browser; without one they are skipped, and say so.
system:
	@if command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing chromium-headless-shell for the page's tests"; \
		(apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium-headless-shell) >/dev/null 2>&1 \
			|| (apt-get install -y -qq --no-install-recommends chromium) >/dev/null 2>&1 \
			|| echo "chromium could not be installed: the tests of the page in a browser are skipped."; \
	else echo "Not installed: chromium. The tests of the page in a browser are skipped; on Debian: apt-get install chromium-headless-shell"; fi
	@if [ -n "$(CI)" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! { command -v nginx && command -v caddy && command -v haproxy; } >/dev/null; then \
		echo "Installing nginx, caddy and haproxy for the tests behind them"; \
		(apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light caddy haproxy) >/dev/null 2>&1 \
			|| echo "They could not be installed: the tests behind other servers are skipped."; fi
