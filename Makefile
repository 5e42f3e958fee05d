# Four commands run everything:  make app | make test | make demo | make check
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# One thread a process is faster on small shared machines (docs/benchmarks.md); a GPU machine may raise it.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false
export GRADIO_ANALYTICS_ENABLED := False
# What is compiled once is kept, also where the surroundings say otherwise: the tests alone start more than a hundred processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: app test demo check screenshots calibrate bench bench-gpu pocket browser clean

app: $(VENV)/.app
	$(BIN)/python app.py $(ARGS)

# Three for two cores: one of them mostly waits, for a browser or a cluster.
test: $(VENV)/.dev browser
	$(BIN)/python -m pytest -n 3 $(ARGS)

demo: $(VENV)/.app
	$(BIN)/python -m studio demo $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/rules

screenshots: $(VENV)/.dev browser
	$(BIN)/python -m docs.tools.screenshots $(ARGS)

calibrate: $(VENV)/.dev
	$(BIN)/python -m docs.tools.calibrate $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m bench.train_step
	$(BIN)/python -m bench.caching
	$(BIN)/python -m bench.compare
	$(BIN)/python -m bench.app

bench-gpu: $(VENV)/.dev
	$(BIN)/python -m bench.full_size $(ARGS)

pocket: $(VENV)/.dev
	$(BIN)/python -m assets.build --all $(ARGS)

browser: $(VENV)/.dev
	@$(BIN)/python -m tests.browser.find_chromium --install

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Darkroom needs Python 3.11 or newer; %s is %s. Give another: make PYTHON=python3.12" % (sys.executable, sys.version.split()[0]))'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements.txt | $(VENV)/bin/python
	@echo "Installing Darkroom into $(VENV): about 2 minutes."
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(VENV)/.app
	$(PIP) -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
