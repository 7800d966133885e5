# DermCoT Studio. `make help` says what there is.
VENV ?= .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell command -v python3.11 || command -v python3)
LINKS := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)")
# uv takes seconds where pip takes minutes; a machine where uv cannot be installed still gets there with pip.
INSTALL = if [ -x $(VENV)/bin/uv ]; then $(VENV)/bin/uv pip install --quiet --python $(PY) $(LINKS)
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test check format migrations translations clean

help: ## what there is
	@echo "DermCoT Studio: dermatologists score and correct narratives, models learn from the certified ones."
	@echo
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## (.*)/  make \1\t\2/' | expand -t 22
	@echo
	@echo "Settings are environment variables: PORT, HOST, DERMCOT_VAR, DATABASE_URL, REDIS_URL, PRODUCTION, ..."

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11." >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet uv || echo "uv cannot be installed; pip will do it, more slowly."

$(VENV)/.installed: requirements.txt | $(PY)
	@echo "Installing what the studio runs on (the first time takes a minute or more) ..."
	@torch=$$(grep '^torch==' requirements.txt); $(INSTALL) $$torch && $(VENV)/bin/uv pip install --quiet --python $(PY) $(LINKS) -r requirements.txt; \
		else $(PY) -m pip install --quiet $$torch && $(PY) -m pip install --quiet -r requirements.txt; fi
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the checks and the tests need ..."
	@$(INSTALL) -r requirements-dev.txt; else $(PY) -m pip install --quiet -r requirements-dev.txt; fi
	@touch $@

run: $(VENV)/.installed ## set up what is missing and run the whole studio until Ctrl-C
	@exec $(PY) manage.py studio

test: $(VENV)/.installed-dev ## the test-suite (ARGS="tests/accounts -k login" for a part)
	@exec $(PY) -m tests.run_suites $(ARGS)

check: $(VENV)/.installed-dev ## style, types, templates, imports, migrations, production settings
	@PATH="$(abspath $(VENV))/bin:$$PATH" exec bash .ci/check

format: $(VENV)/.installed-dev ## put Python and templates into the house style
	@$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format --quiet . ; $(VENV)/bin/djlint --reformat --quiet templates || true

migrations: $(VENV)/.installed ## write migrations for changed models
	@$(PY) manage.py makemigrations

translations: $(VENV)/.installed-dev ## collect the texts of pages into locale/ and compile them
	@$(PY) manage.py translations

bench-%: $(VENV)/.installed-dev ## one measurement, for example `make bench-claims`
	@exec $(PY) -m bench.$* $(ARGS)

clean: ## remove .venv and caches; data in var/ stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
