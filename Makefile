# The verbs of this repository; `make help` lists them. Everything is made inside this folder
# (.venv, target, build, dist). Needs make and Python >= 3.11; with cargo in PATH also the native
# engine, and then a failed native build is an error (WYND_REQUIRE_NATIVE=0 make ... says otherwise).

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run setup build fix check check-python check-types check-rust check-architecture \
	licences constraints test test-programs test-rust test-python test-other-pythons test-twins test-variants test-portable test-pythons nightly coverage \
	coverage-gate rust-coverage fuzz audit sbom \
	dist docs bench bench-chat bench-pages ci clean

BIN := .venv/bin
HAS_CARGO := $(shell command -v cargo)
# Tests run on both cores; a file stays on one. In their order: those of one long test, which would
# come last by their number, would keep the other core waiting.
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder
# Tests that reach the whole of what they test: tools/coverage_gate.py runs them.
GATED := tests/wynd_chat/domain tests/wynd_chat/wire
# A native module that should be there and is not must not pass as a skipped test.
export WYND_REQUIRE_NATIVE ?= $(if $(HAS_CARGO),1,0)
# PyO3 reads the interpreter's configuration at build time.
export PYO3_PYTHON ?= $(CURDIR)/.venv/bin/python

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

PORT ?= 3000
PLAIN_PORT ?= 8080
DATA ?= ./var

run: setup ## set up and start wynd-chat on http://localhost:3000, plain text on port 8080, data in ./var
	@exec $(BIN)/wynd-chat --port $(PORT) --plain-port $(PLAIN_PORT) --data $(DATA)

setup: ## make .venv with the library, its tools and the native engine
	@python=$$(tools/find-python) && "$$python" tools/set_up.py

build: setup ## the same as setup: rebuilds the native engine when the crates changed

fix: setup ## format, apply safe lint fixes, renew generated files
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python tools/limits_page.py
	$(BIN)/python -m tools.chat_pages
	$(BIN)/python -m tools.rest_reference
	$(BIN)/python -m tools.authorisation_page
	$(if $(HAS_CARGO),cargo fmt --all)
	$(if $(HAS_CARGO),$(BIN)/python tools/licences.py)

check: check-python check-types check-rust check-architecture ## format, lint, types, docs of the crates, architecture

check-python: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check

check-types: setup
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --ignoreexternal --verifytypes wynd
	@if $(BIN)/python -c "import wynd._engine" 2>/dev/null; \
	then set -x; $(BIN)/python -m mypy.stubtest wynd._engine; \
	else echo "stubtest left out: the native module is not built"; fi

check-rust: setup
ifneq ($(HAS_CARGO),)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet
	$(BIN)/python tools/licences.py --check
else
	@echo "fmt, clippy and doc of the crates left out: cargo is not in PATH"
endif

check-architecture: setup
	$(BIN)/python -m pytest -q tests/architecture

test: setup test-rust coverage-gate test-python ## the crates, then everything else over both engines

test-variants: setup test-other-pythons test-twins ## the unit tests under every other Python found, and over the twins of native classes

test-rust: setup
ifneq ($(HAS_CARGO),)
	cargo test --quiet -p wynd-protocol -p wynd-engine
else
	@echo "tests of the crates left out: cargo is not in PATH"
endif

# What the gate has just run is not run again.
test-python: test-programs
	$(BIN)/python -m pytest $(PARALLEL) $(patsubst %,--ignore %,$(GATED))

# Browser, proxies, database: found, or installed where that is possible without asking.
test-programs: setup
	@$(BIN)/python -m tests.programs

# The unit tests only; everything under every Python is test-pythons.
test-other-pythons: setup
	@tools/test-pythons $(PARALLEL) --quiet tests/wynd

# The same tests over the Python twins of the native classes.
test-twins: test-programs
	$(BIN)/python -m pytest $(PARALLEL) -q -p tests.plain_twins tests/wynd tests/contracts

test-portable: test-programs ## the Python tests over the portable engine only
	$(BIN)/python -m pytest $(PARALLEL) --engine portable

test-pythons: setup ## the Python tests under every other Python >= 3.11 found here
	@tools/test-pythons

# Three hours on two cores; STAGES="fuzz-crates miri" runs those alone, FUZZ_SECONDS=300 fuzzes each
# target for five minutes instead of ten. The table is in build/nightly.
nightly: test-programs ## everything, with many more examples, faults and long runs; a table at the end
	$(BIN)/python -m tools.nightly $(if $(STAGES),--only $(STAGES)) \
		$(if $(FUZZ_SECONDS),--fuzz-seconds $(FUZZ_SECONDS))

SECONDS ?= 60

fuzz: setup ## every fuzz target for SECONDS (60) each; TARGETS="head frames" for some
	$(BIN)/python -m tools.fuzz --seconds $(SECONDS) $(TARGETS)

audit: setup ## ask whether pinned packages and crates have known flaws, and for dangerous calls
	$(BIN)/python -m tools.audit

sbom: setup ## what is inside, as CycloneDX, in build/sbom.cdx.json
	$(BIN)/python -m tools.sbom --output build/sbom.cdx.json

# What only bytes and values decide is reached whole from its unit tests.
coverage-gate: setup
	$(BIN)/python tools/coverage_gate.py $(GATED)

rust-coverage: setup ## line coverage of the crates; fails below 95 % for wynd-protocol
	$(BIN)/python -m tools.rust_coverage --gate 95

coverage: setup ## branch coverage of library and chat by the tests inside one process
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/wynd tests/contracts tests/wynd_chat tests/properties
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

dist: setup ## sdist and a wheel for this Python, with the native engine, in dist/
	rm -rf dist
	CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-$(CURDIR)/target} WYND_REQUIRE_NATIVE=1 \
		$(BIN)/python -m build --no-isolation --outdir dist
	@ls -l dist

docs: setup ## check the documentation: every public name described, every example runs
	$(BIN)/python -m pytest -q tests/docs

# Needs a C compiler; peers are installed once, into bench/.peers. QUICK=1: five minutes, else thirty.
bench: setup ## measure against a bare C loop and other servers; renew tables and plot (QUICK=1)
	$(BIN)/python -m bench.run
	$(BIN)/python -m bench.web

bench-chat: setup ## measure wynd-chat: durable messages, fan-out, reconnects, memory (QUICK=1)
	$(BIN)/python -m bench.chat

bench-pages: setup ## renew tables and plot from bench/results/latest.json
	$(BIN)/python -m bench.table

licences: setup ## renew THIRD_PARTY_LICENSES.txt from the crates that are linked
	$(BIN)/python tools/licences.py

constraints: setup ## pin what is installed in .venv as the tested versions
	$(BIN)/python tools/constraints.py

ci: check test ## check + test

clean: ## remove everything that was made
	rm -rf .venv .venv-3.* target build dist var src/*.egg-info src/wynd/_engine.*.so \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
