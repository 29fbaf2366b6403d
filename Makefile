# Run `make` for the list. Nothing here reads from the terminal or needs more than Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
N ?= 200
SAGAS ?= 500
SEEDS ?= 20000
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help install test check demo trip crash nodes failover simulate rehearse mutate bench rivals diagrams

help:  ## print this list
	@sed -n 's/^\([a-z][a-z]*\):.*##  *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) \
	  | while IFS='|' read -r target text; do printf '%-16s%s\n' "$$target" "$$text"; done

install: $(INSTALLED)  ## make .venv with the package and the tools of the gate

$(INSTALLED): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Counterpoint needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
	  --editable . --requirement requirements/dev.txt
	@touch $@

test: install check  ## install, then the whole gate

check: $(INSTALLED)  ## the whole gate: format, lint, layers, types, tests, coverage
	tools/check

demo: install  ## run the shop's orders orchestrated, choreographed and mixed, a kill in each
	$(BIN)/python -m examples.shop.demo

trip: install  ## book seven trips: people who answer or not, a pivot, an unknown payment
	$(BIN)/python -m examples.trip.demo

crash: install  ## kill nodes in N rounds (N=200) of each style, in N/2 stop them, fill disks, cut the power
	$(BIN)/python -m tests.crash.run --rounds $(N)

nodes: install  ## kill, stop, continue and deploy three nodes on PostgreSQL in N rounds (N=50), restart its server
	$(BIN)/python -m tests.nodes.run --rounds $(if $(filter file,$(origin N)),50,$(N)) $(NODES)

failover: install  ## measure how long others take over from a killed node, and what an idle cluster costs
	$(BIN)/python -m tests.nodes.failover
	$(BIN)/python -m tests.nodes.failover --lease 2
	$(BIN)/python -m tests.nodes.idle

simulate: install  ## run SEEDS (20000) random sagas, choreographies and days of the shop with faults, and judge them
	$(BIN)/python -m tests.simulation.run --seeds $(SEEDS)

rehearse: install  ## deploy bad code onto SAGAS running sagas (SAGAS=500), mend it, answer unknown payments
	$(BIN)/python -m tests.deployment.run --sagas $(SAGAS)

mutate: install  ## break the engine in named ways (ONLY=name or pattern) and show which test catches each
	$(BIN)/python -m tests.mutation.run $(if $(ONLY),--only '$(ONLY)')

bench: install  ## measure everything beside its goals (about 20 minutes; BENCH=--quick: three)
	$(BIN)/python -m benchmarks $(BENCH)

rivals: install  ## measure Counterpoint beside its rivals, installed under var/rivals (BENCH=--quick: small)
	$(BIN)/python -m benchmarks.rivals $(BENCH)

diagrams: install  ## draw flows with PlantUML and Mermaid (needs plantuml, chromium and npm)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
	  --requirement requirements/diagrams.txt
	mkdir -p var/diagrams
	npm install --silent --no-save --no-audit --no-fund --prefix var/diagrams mermaid@11.17.2
	DIAGRAMS=var/diagrams $(BIN)/python -m pytest tests/diagrams
	@echo "the pictures are in var/diagrams/pictures"
