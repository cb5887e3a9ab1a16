# Every target sets up what it needs in .venv, from a clean clone, with Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test lint bench chaos fuzz matrix docs sbom clean
.DEFAULT_GOAL := test

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spurious needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs,figures,gym,hub,large,notebooks,trl]'
	touch $(READY)

setup: $(READY)

demo: $(READY)
	$(BIN)/spurious demo --out runs/demo

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal --cov --cov-report=term

# The benchmarks of docs/performance.md, or only BENCH: what they measure is written there.
bench: $(READY)
	$(BIN)/python benchmarks/run_all.py $(BENCH)

fuzz: $(READY)
	$(BIN)/python benchmarks/hostile/fuzz.py --seconds 600 --record docs/hostile.json
	$(BIN)/python benchmarks/hostile/load.py --record docs/hostile.json

# kill -9 at random instants, for CHAOS_MINUTES (60): docs/guarantees.md
chaos: $(READY)
	$(BIN)/python tests/crash/chaos.py

# Both ends of the declared versions, and the built packages, each in a clean environment: docs/install.md
matrix: $(READY)
	$(BIN)/python tools/matrix.py

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site

sbom:
	$(PYTHON) -m venv build/core
	build/core/bin/pip install --quiet --constraint constraints.txt .
	$(PYTHON) -m venv build/cyclonedx
	build/cyclonedx/bin/pip install --quiet 'cyclonedx-bom>=7.5,<8'
	build/cyclonedx/bin/cyclonedx-py environment build/core/bin/python --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json

clean:
	rm -rf .venv build dist site
