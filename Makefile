# Two commands on a fresh machine with Python 3.11: `make demo` and `make test`. Each makes its own environment.

PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/demo
BENCH ?= all
BIN := $(VENV)/bin

.PHONY: demo test test-slow check bench docs screens

# Two workers with one thread each are quicker than one with two, and their bits do not depend on the machine's cores.
test test-slow: export OMP_NUM_THREADS = 1
# Hundreds of short processes are started, and each would compile our own files anew where they are not kept.
test test-slow: export PYTHONDONTWRITEBYTECODE =

demo: $(VENV)/installed-studio
	$(BIN)/elboroom fit vae digits --latent 8 --epochs 300 --run $(RUN)/vae-digits-1 --force
	$(BIN)/elboroom fit autoencoder digits --latent 8 --epochs 50 --run $(RUN)/autoencoder-digits-1 --force
	$(BIN)/elboroom studio $(RUN)

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "slow or not slow"

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

bench: $(VENV)/installed-test
	$(BIN)/python -m benchmarks $(BENCH)

docs: $(VENV)/installed-core
	$(BIN)/python docs/generate.py

screens: $(VENV)/installed-test
	ELBOROOM_SCREENS=docs/figures $(BIN)/python -m pytest -q -m slow tests/studio/test_screens.py

# One stamp for each set of packages; made again when the lists change.
$(VENV)/installed-core: EXTRAS =
$(VENV)/installed-studio: EXTRAS = studio
$(VENV)/installed-test: EXTRAS = all,test
$(VENV)/installed-dev: EXTRAS = dev
$(VENV)/installed-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "elboroom needs Python 3.11 or newer; say which: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".$(EXTRAS:%=[%])"
	@touch $@
