# Every target works on a fresh machine with git, make and Python 3.11: `setup` installs what the others need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_VENV := .venv-docs

.PHONY: api-fuzz events proto bugs simulate simulate-calls setup demo check test lint types layers soak chaos ambiguous docs docs-reference pictures format clean links bench bench-full bench-peers projections

setup: $(STAMP)

# pip's hundreds of lines in a few, so that one sees that it goes on; its complaints are on stderr. Ends as pip did.
FEW_WORDS = { n=0; while IFS= read -r line; do case "$$line" in \
	Collecting*) n=$$((n + 1)); [ $$((n % 20)) -ne 0 ] || echo "  $$n packages found ...";; \
	"Installing collected packages"*) echo "  all $$n found; pip installs them, which takes half a minute ...";; \
	"pip failed"*) set -- $$line; exit $$3;; \
	esac; done; }

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV): pip downloads and installs the engine and its tools. That takes a minute or two, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@echo "  pip is ready; it looks for the packages ..."
	@{ $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --constraint constraints.txt \
		--editable '.[api,cockroachdb,embedded,grpc,nkeys,uvloop]' --group dev || echo "pip failed $$?"; } | $(FEW_WORDS)
	@touch $(STAMP)
	@echo "Set up: $(BIN)/saga is the command."

demo: setup
	@$(BIN)/saga demo

check: lint types layers

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

# A file's tests stay together: many share what is slow to start. Half of the time is waiting for real processes.
test: check
	$(BIN)/pytest -n 2 --dist loadfile

# Our own figures against the limit of this machine; under ten minutes, on a machine that does nothing else.
bench: setup
	@$(BIN)/python -m benchmarks

# The long rows: flat cost over 100,000 and 1,000,000 sagas, long sagas, many open ones. An hour, and 10 GB of disk.
bench-full: setup
	@$(BIN)/python -m benchmarks.full

# `bench` beside DBOS, natsaga and Restate, which it installs below .bench; Restate's server needs npm.
bench-peers: setup
	@$(BIN)/python -m benchmarks.peers

# The query model of 10,000 orders, dropped and made anew while its lag is looked at, on SQLite and on PostgreSQL.
projections: setup
	@PROJECTION_ORDERS=10000 $(BIN)/pytest -q tests/integration/projections/test_rebuild.py -k dropped --durations=4

# So many orders while their orchestrator is killed so often: a service on ORDERS.* sees each event once, in order.
ORDERS ?= 1000
KILLS ?= 10
events: setup
	@$(BIN)/python -m tests.acceptance.order_events --orders $(ORDERS) --kills $(KILLS)

# An engine under half load for so many minutes, each process sampled; fails when one of them grows. Linux only.
MINUTES ?= 10
soak: setup
	@$(BIN)/python -m tests.soak --minutes $(MINUTES)

# Real processes and servers, killed, paused, robbed and cut off for so many minutes; nothing may be lost or doubled.
chaos: setup
	@$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# Ten thousand commits whose outcome nobody tells, on each of SQLite, PostgreSQL, and that through CockroachDB's dialect.
ambiguous: setup
	@$(BIN)/python -m tests.chaos.ambiguous_run

# Whatever the HTTP API's document allows, and what it does not: so many of each for every operation, on two stores.
EXAMPLES ?= 300
api-fuzz: setup
	@API_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q tests/integration/api/test_document.py --timeout=7200

# What each seed does is the same every time: a failing one is run again with SEEDS=1 FROM=<seed>.
SEEDS ?= 1000
FROM ?= 1
simulate: setup
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM)

# Does the simulation find what is wrong? Mistakes are planted into the engine, and each must be caught.
bugs: setup
	@$(BIN)/python -m tests.simulation.bugs $(if $(ONLY),--only "$(ONLY)") $(if $(KEEP),--keep)
	@$(if $(KEEP),$(BIN)/python -m docs.generator)

simulate-calls: setup
	@$(BIN)/python -m tests.simulation --nth-call

# The site, in build/site. Its generator has an environment of its own, so that the engine's stays as users have it.
docs: $(DOCS_VENV)/.installed
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict
	@echo build/site/index.html

$(DOCS_VENV)/.installed: pyproject.toml
	@echo "Setting up $(DOCS_VENV): pip installs the generator of the site. That takes a minute, once."
	@test -x $(DOCS_VENV)/bin/python || $(PYTHON) -m venv $(DOCS_VENV)
	@$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

# What README and docs show of `saga show`, `watch` and `graph`, taken anew from a real run.
pictures: setup
	@$(BIN)/python -m docs.generator.pictures

# The links that lead out of the repository, and what is wrong with them. Asks no server.
links: setup
	@$(BIN)/python -m docs.generator.links

docs-reference: setup
	$(BIN)/python -m docs.generator

# The messages of the gRPC service, after a change of its .proto.
proto: setup
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. saga_engine/eventstore/eventstore.proto

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(DOCS_VENV) .saga .bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
