# Every target sets up .venv first, when it has to. `make` alone prints the list.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
SLURM := .venv/.slurm
SUDO := $(shell test "$$(id -u)" = 0 || echo sudo --preserve-env=PATH,OMP_NUM_THREADS)

# Where it is set, every start of Python compiles the whole package again, a second and a half each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-predict table6-demo test test-slow test-faults setup-page test-page setup-slurm test-slurm test-beside bench lint types format static audit wheel clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv with everything needed (about 8 GB)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY) ## Draw the demo faces, train on them on the CPU, evaluate: a few minutes, no data needed
	$(BIN)/python -m cage_lightning.train data=demo8 model=tiny loss=combined trainer=cpu group=demo

demo-predict: demo ## Predict on drawn pictures and a drawn film; look into runs/demo/predicted/faces-annotated
	$(BIN)/python -c 'from pathlib import Path; from cage_lightning.demo.scenes import write_scenes; write_scenes(Path("runs/demo/drawn"))'
	$(BIN)/python -m cage_lightning.predict checkpoint=runs/demo/demo8-tiny-combined-s0 source=runs/demo/drawn/scenes boxes=runs/demo/drawn/boxes.csv output=runs/demo/predicted/faces.parquet render=true

table6-demo: $(READY) ## The grid of Table 6 on drawn faces, on two cores, ending in its table and page
	$(BIN)/python -m cage_lightning.train sweep=table6 at=demo hydra.launcher.cpu_slots=2
	$(BIN)/python -m cage_lightning.collect table=table6 runs=runs/table6_demo output=runs/table6_demo/report

test: $(READY) ## Run the test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow and not slurm and not faults' -n auto --maxprocesses 8 --dist worksteal

# The tests of a file share what they train; tests/integration/conftest.py puts the longest files first.
test-slow: $(READY) ## Run the slow tests: kills and resumes, two processes, every backbone, the wheel
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'slow and not browser' -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test-faults: $(READY) ## Kill, starve and break the commands at random moments; writes tests/faults/README.md (takes long)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m faults tests/faults --table tests/faults/README.md -n auto --maxprocesses 8 --dist worksteal

setup-page: $(READY) ## Install Chromium (Debian, as root or with sudo) if it is missing
	command -v chromium > /dev/null || { $(SUDO) apt-get update --quiet && $(SUDO) apt-get install --yes --no-install-recommends chromium; }

test-page: setup-page ## Check the pages of `collect` and `serve` in Chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/integration/test_page.py tests/integration/test_serve_page.py

$(SLURM): $(READY)
	command -v slurmctld > /dev/null && command -v munged > /dev/null || { $(SUDO) apt-get update --quiet && $(SUDO) apt-get install --yes --no-install-recommends slurm-wlm munge; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,slurm]'
	@touch $@

setup-slurm: $(SLURM) ## Install SLURM and what the package needs for it (Debian, as root or with sudo)

test-slurm: $(SLURM) ## Run sweeps on three real SLURMs of two nodes each on this machine
	OMP_NUM_THREADS=1 $(SUDO) $(BIN)/python -m pytest -m slurm -n 3 --dist loadgroup tests/slurm

test-beside: ## Run the sweeps on SLURM, then check the pages
	$(MAKE) --keep-going --jobs=1 test-slurm test-page

# The published pipeline, which the loader is compared with, looks its labels up in pandas.
bench: $(READY) ## Measure speed on a machine that does nothing else; writes benchmarks/*.md
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pandas
	for name in loader augment loop scale first_batch start score; do \
		OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.$$name || exit 1; \
	done

lint: $(READY) ## Check style and imports between rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(READY) ## Check types
	$(BIN)/mypy

format: $(READY) ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

static: lint types ## Everything that is checked without running

AUDIT := .venv/audit/bin/pip-audit

$(AUDIT):
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet pip-audit

audit: $(READY) $(AUDIT) ## Compare the installed packages with the advisories of PyPI (needs the network)
	$(AUDIT) --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

wheel: $(READY) ## Build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean: ## Delete caches and build files; never runs, never data
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -exec rm -rf {} +
