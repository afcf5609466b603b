# What a developer types; `make help` lists it. Everything is installed into .venv, everything written goes to .foyer.
# A .venv that was not made here (an operator's, without the mark) is never touched: see $(INSTALLED), at the end.

PYTHON3 ?= python3
PYTHON := .venv/bin/python
# The environment belongs to one list of packages and one folder: another list, or a moved folder, makes a new one.
INSTALLED := .venv/installed-$(shell { pwd; cat requirements-dev.txt; } | cksum | tr ' ' '-')
ifeq ($(wildcard .venv/bin/python),) # also when the Python that it was made from is gone
.PHONY: $(INSTALLED)
endif
OURS := .venv/made-by-make
# For what an operator runs too: the Python that is there, whoever made it; nothing is installed.
ANY_PYTHON := $(if $(wildcard $(PYTHON)),$(PYTHON),$(PYTHON3))
BROWSER_PACKAGES := chromium-headless-shell fonts-dejavu-core
# A command in the tests' surroundings: settings that reach nothing outside, a throw-away PostgreSQL.
SURROUNDED := $(PYTHON) -m dev.testing
# Four at once on two cores: much of a test is waiting, for a browser or another process.
TESTS := -n 4 --dist worksteal --durations=20 -m 'not soak'

.PHONY: help run test coverage lint types shape promises soak mutants bench backup restore packages browser

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

run: $(INSTALLED) ## the demo, on PORT (8000), with SumUp's simulator on SIMULATOR_PORT (8001)
	@$(PYTHON) -m dev.launcher run

test: $(INSTALLED) browser ## lint, types, and all tests
	@$(MAKE) --no-print-directory --output-sync --jobs=2 lint types
	@$(PYTHON) -m pytest $(TESTS)

# Not in `make test`: counting lines makes every test half as long again.
coverage: $(INSTALLED) browser ## all tests, and which lines and branches they pass, with the gate
	@$(PYTHON) -m coverage erase
	@$(PYTHON) -m coverage run -m pytest $(TESTS)
	@$(PYTHON) -m coverage combine --quiet
	@$(PYTHON) -m coverage report

lint: $(INSTALLED) ## style, templates, layers, missing migrations, Django's own checks
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --quiet --check .
	@.venv/bin/lint-imports
	@.venv/bin/djlint --quiet templates dev/templates
	@$(SURROUNDED) sh -c '$(PYTHON) manage.py check --fail-level WARNING && $(PYTHON) manage.py makemigrations --check --dry-run'

types: $(INSTALLED) ## mypy --strict
	@$(SURROUNDED) $(PYTHON) -m mypy .

shape: $(INSTALLED) ## the figures of the house, what breaks its rules, and its picture in docs/architecture.md
	@$(PYTHON) -m dev.picture

promises: $(INSTALLED) ## docs/promises.md, of its sentences and of the tests that show them
	@$(PYTHON) -m dev.promises

# A night at full size; docs/proof.md has the sizes and how to run a tenth.
soak: export SOAK_ORDERS ?= 10000
soak: export SOAK_KILLS ?= 100
soak: export SOAK_JOBS ?= 1600000
soak: $(INSTALLED) browser ## the long proofs, at full size (SOAK_…: docs/proof.md)
	@$(PYTHON) -m pytest -n 2 --dist worksteal -m soak
	@$(PYTHON) -m pytest -m 'not soak' tests/soak

# Hours from nothing; what was tried is remembered in mutants/ until the product changes.
mutants: $(INSTALLED) ## what no test and no type notices (MUTANTS='orders.* …' for a part; docs/proof.md)
	@$(SURROUNDED) $(PYTHON) -m tests.mutation $(foreach part,$(MUTANTS),'$(part)')

bench: $(INSTALLED) ## speed and size, measured
	@$(PYTHON) -m benchmarks.bench

# `manage.py backup` and `restore` are the same for a deployment, without make.
backup: packages ## the database of DATABASE_URL, or of the demo, into one file (FILE=…)
	@$(ANY_PYTHON) -m dev.launcher backup $(FILE)

restore: packages ## that file back into the database: make restore FILE=…
	@$(ANY_PYTHON) -m dev.launcher restore $(FILE)

packages:
	@$(ANY_PYTHON) -c 'import django, psycopg' 2>/dev/null || { \
		echo "$(ANY_PYTHON) has not Foyer's packages: activate the environment that has them, or begin with make run." >&2; \
		exit 1; }

# The tests drive a real browser: root gets it, anyone else is told how. Never a skipped test.
# The headless shell is Chromium without the windows, which cost three quarters of the time; the whole one does too.
browser:
	@here() { [ -x "/usr/bin/$$1" ] && [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ]; }; \
	if here chromium-headless-shell; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $(BROWSER_PACKAGES) && exit 0; \
	fi; \
	if ! here chromium; then \
		echo 'The tests need a browser: apt-get install -y --no-install-recommends $(BROWSER_PACKAGES)' >&2; exit 1; \
	fi

# An environment is made anew only where there is none, or one of ours. The mark comes first and stays to the end: an
# installation that was interrupted is still ours.
$(INSTALLED):
	@[ ! -L .venv ] && { [ -e $(OURS) ] || ls .venv/installed-* >/dev/null 2>&1 || [ -z "$$(ls -A .venv 2>/dev/null)" ]; } || { \
		echo '.venv was not made by make, which leaves it as it is: run this in a copy of the source of its own.' >&2; exit 1; }
	@command -v $(PYTHON3) >/dev/null || { echo 'Foyer needs Python: apt-get install -y python3 python3-venv' >&2; exit 1; }
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Foyer needs Python 3.11 or newer; $$($(PYTHON3) --version) is too old (make PYTHON3=… names another one)." >&2; exit 1; }
	@$(PYTHON3) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'Foyer needs Python environments: apt-get install -y python3-venv' >&2; exit 1; }
	@echo 'Installing into .venv (once, about a minute)…'
	@mkdir -p .venv && touch $(OURS)
	@find .venv -mindepth 1 -maxdepth 1 ! -name $(notdir $(OURS)) -exec rm -rf {} +
	@$(PYTHON3) -m venv .venv
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements-dev.txt
	@pwd > "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/foyer.pth"
	@touch $@
