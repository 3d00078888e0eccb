# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` need nothing but Python 3.11+, make and a package registry.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCE_CLOUD ?= quelle
TARGET_CLOUD ?= ziel

# Thousands of processes of ours start in the tests; each would compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo demo-guests test test-long check unit bench chaos mutants coverage-table lock clean chromium

demo: $(READY)
	$(BIN)/unterbau cloud up $(SOURCE_CLOUD)
	$(BIN)/unterbau cloud up $(TARGET_CLOUD)
	$(BIN)/unterbau cloud seed $(SOURCE_CLOUD) --tenant fachverfahren
	$(BIN)/unterbau drill $(SOURCE_CLOUD) $(TARGET_CLOUD) --report demo-report.html; code=$$?; \
	  echo; echo "The report: $(CURDIR)/demo-report.html (drill ended with exit code $$code; 3 means: nothing failed, something was not shown)"; \
	  echo "Two clouds are still running. Stop them: $(BIN)/unterbau cloud down $(SOURCE_CLOUD) $(TARGET_CLOUD)"; \
	  test $$code -eq 0 -o $$code -eq 3

# The same between two clouds whose guests run and whose networks carry: root installs the Debian packages for it.
demo-guests: $(READY)
	$(BIN)/unterbau cloud up $(SOURCE_CLOUD)-echt --with guests,ovn --install
	$(BIN)/unterbau cloud up $(TARGET_CLOUD)-echt --with guests,ovn
	$(BIN)/unterbau cloud seed $(SOURCE_CLOUD)-echt --tenant fachverfahren
	$(BIN)/unterbau drill $(SOURCE_CLOUD)-echt $(TARGET_CLOUD)-echt --probe --keep --report demo-guests-report.html; code=$$?; \
	  echo; echo "The report: $(CURDIR)/demo-guests-report.html (drill ended with exit code $$code; 3 means: nothing failed, something was not shown)"; \
	  echo "Two clouds are still running. Before another time: $(BIN)/unterbau cloud wipe $(TARGET_CLOUD)-echt"; \
	  test $$code -eq 0 -o $$code -eq 3

# What needs real clouds runs in one process, everything else beside it in another; the first one's output comes last.
test: $(READY) check chromium
	@clouds=$$(mktemp); trap 'rm -f "$$clouds"' EXIT; \
	$(BIN)/python -m pytest -p no:cacheprovider -m "cloud and not long" >"$$clouds" 2>&1 & beside=$$!; \
	$(BIN)/python -m pytest -p no:cacheprovider -m "not cloud and not long"; rest=$$?; \
	wait $$beside; code=$$?; cat "$$clouds"; \
	$(BIN)/python tests/guests/able.py; \
	exit $$((rest || code))

# What needs real clouds for longer than `make test` has.
test-long: $(READY)
	$(BIN)/python -m pytest -p no:cacheprovider -m long

# What one runs after each change; `make test` runs the thorough ones, too. On two cores side by side: what judges, and
# everything else. A report of a failure shows no log of other libraries, which costs a twentieth.
UNIT := $(wildcard tests/unit/test_*.py)
JUDGING := $(wildcard $(addprefix tests/unit/test_,judge*.py prove*.py evidence*.py map*.py models.py report*.py exports.py))
unit: $(READY)
	@judging=$$(mktemp); trap 'rm -f "$$judging"' EXIT; \
	run="$(BIN)/python -m pytest -q -p no:logging -m"; \
	$$run "not thorough and not long" -p no:cacheprovider $(JUDGING) >"$$judging" 2>&1 & beside=$$!; \
	$$run "not thorough and not long" $(filter-out $(JUDGING),$(UNIT)); rest=$$?; \
	wait $$beside; code=$$?; cat "$$judging"; \
	exit $$((rest || code))

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# docs/coverage.md, from the kinds' policies and the tests' marks.
coverage-table: $(READY)
	$(BIN)/python tests/unit/coverage_table.py

bench: $(READY)
	$(BIN)/python -m bench

# A drill between two real clouds, disturbed at many places: docs/bad-days.md. Stopped, it goes on where it was.
chaos: $(READY)
	$(BIN)/python -m bench.chaos

# Which faults in the pure cores no fast test notices: docs/mutants.md. Stopped, it goes on where it was.
mutants: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-mutants.lock
	$(BIN)/python -m bench.mutants

# The browser tests want Debian's Chromium. Root installs it; everybody else is told the line to run.
chromium:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; \
	  else echo "The browser tests need Chromium. Run: sudo apt-get install chromium"; exit 1; fi; }

# The program and its tools at .venv, from pinned and hashed dependencies.
$(READY): requirements.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Unterbau needs Python 3.11 or newer; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv is missing. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@office="$$($(BIN)/python src/unterbau/reference/registry.py)" && eval "$$office" && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock && \
	  $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . || { \
	  echo; echo "The packages could not be installed; what was said stands above. In a company's network:"; \
	  echo "  pip config set global.index-url URL     the index of your network"; \
	  echo "  its CA goes into the machine's store, or: pip config set global.cert FILE"; \
	  echo "  export HTTPS_PROXY=http://HOST:PORT     if there is a proxy"; \
	  echo "Then run the same command again."; exit 1; }
	@touch $@

# Renew the locks after a change of dependencies.
lock:
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra dev --extra bench pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --group mutants --constraint requirements.lock -o requirements-mutants.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate src/unterbau/reference/runtime-requirements.in -o src/unterbau/reference/runtime-requirements.lock
	grep -A 200 '^uv==' requirements.lock | awk 'NR==1 || /^    --hash/ {print; next} {exit}' > requirements-uv.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .mutants demo-report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
