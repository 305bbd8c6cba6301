# "make demo" and "make test" set up all they need. Everything lies in .venv and .data.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= .data
# The tests that depend on the database.
ON_POSTGRESQL := tests/builds

.PHONY: demo up flower test test-sqlite test-postgresql chaos fresh docs gallery lint bench lock clean

demo: .venv/base
	$(BIN)/mbs demo --data $(DATA)

up: .venv/base
	$(BIN)/mbs up --data $(DATA)

# Workers and tasks in a browser, on the loopback interface; other addresses need FLOWER_ADDRESS and FLOWER_BASIC_AUTH.
flower: .venv/base
	$(BIN)/mbs-manager celery flower --conf=config/flower.py

# Three at a time, also with two cores: tests wait a lot. Not by file (--dist loadfile): that runs one of several tests of the same id.
PYTEST := $(BIN)/python -m pytest --numprocesses=3 --dist=worksteal --durations=10

test: test-sqlite test-postgresql

test-sqlite: .venv/dev
	@echo "To run one test: $(BIN)/python -m pytest FILE::NAME"
	$(PYTEST) tests messages

test-postgresql: .venv/dev
	$(BIN)/python -m tests.postgresql $(PYTEST) -m "not alone" $(ON_POSTGRESQL)
	$(BIN)/python -m tests.postgresql $(BIN)/python -m pytest -m alone tests/builds/workflow

# The demo and the tests in minimal Debian systems: as root, with debootstrap.
fresh:
	deploy/fresh

# Write the pages to .data/docs and the manual pages to .data/man. Reference pages are generated from the code first.
docs: .venv/dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs .data/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b man docs/man .data/man

# Screenshots of the pages for docs/gallery.md, in Chromium: look at them before they are committed.
gallery: .venv/dev
	MBS_GALLERY=docs/images $(BIN)/python -m pytest -q tests/browser/test_gallery.py

# Kill and disconnect parts of a deployment while modules build; CHAOS="--help" lists the parameters.
CHAOS ?= --size 60 --seconds 120
chaos: .venv/dev
	$(BIN)/python -m tests.chaos $(CHAOS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: .venv/dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .data build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Only packages whose hashes are in requirements/*.txt, and no isolated builds, which would bring others.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation

.venv/base: requirements/build.txt requirements/base.txt pyproject.toml
	deploy/system-packages demo
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --require-hashes -r requirements/build.txt
	$(INSTALL) --require-hashes -r requirements/base.txt
	$(INSTALL) --no-deps --editable .
	touch $@

.venv/dev: .venv/base requirements/dev.txt
	deploy/system-packages test
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL) --no-deps ./messages
	touch $@

# Write requirements/*.txt from the *.in files; with UPGRADE=--upgrade, packages that these do not name get newer versions.
LOCK := $(BIN)/uv pip compile --universal --python-version=3.11 --generate-hashes --no-emit-index-url --quiet \
	--custom-compile-command='make lock' $(UPGRADE)

lock: .venv/dev
	$(LOCK) requirements/dev.in --output-file=requirements/dev.txt
	for each in build base prod; do \
		$(LOCK) requirements/$$each.in --constraint=requirements/dev.txt --output-file=requirements/$$each.txt || exit; done
