# make run      the chat room on http://127.0.0.1:8000, and for telnet on port 8282
# make test     every test
# make check    style and types
# make bench    the benchmarks
# make chaos    trouble for an app at random, for MINUTES; every message is accounted for
# make flood    hostile clients by the thousand, and what honest ones feel of them
# make soak     whether an app's processes grow, in MINUTES of clients that come and go
# make fuzz     the fuzzer over every codec: SECONDS=20 for each, TARGETS= for some, ASAN=1 with a sanitizer
# make install  only .venv, with everything for development

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Made last, so that an installation that was broken off is begun again.
STAMP := $(VENV)/installed

# The tests start hundreds of processes, each of which would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install run test check bench chaos flood soak fuzz

install: $(STAMP)

$(STAMP): pyproject.toml setup.py $(wildcard src/tidegate/_*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tidegate needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) can't make virtual environments: install its venv package (Debian: apt install python3-venv)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

run: $(STAMP)
	@$(BIN)/tidegate demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks all

MINUTES ?= 10

chaos: $(STAMP)
	$(BIN)/python -m tests.chaos --minutes $(MINUTES)

flood: $(STAMP)
	$(BIN)/python -m tests.flood

soak: $(STAMP)
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

SECONDS ?= 20

fuzz: $(STAMP)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/fuzz/requirements.txt || \
		{ echo "The fuzzer, atheris, has no wheel for this Python: take one that it has one for, such as 3.11"; exit 1; }
	$(BIN)/python -m tests.fuzz $(TARGETS) --seconds $(SECONDS) $(if $(ASAN),--asan)
