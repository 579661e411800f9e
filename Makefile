# Everything runs in .venv, made by `make setup` from pinned requirements.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup sample evaluate train export serve demo web docs test test-jax test-slow lint format benchmark attack studies

setup: $(VENV)/.done

$(VENV)/.done: requirements.txt pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

sample: setup  ## samples.png: ten of each digit, a row a digit
	$(BIN)/python -m keras_ddpm sample 0 1 2 3 4 5 6 7 8 9 --n 10 --seed 0 --out samples.png

evaluate: setup  ## report/report.html: what sample draws with beside real images; pass flags with ARGS="--n 10000"
	$(BIN)/python -m keras_ddpm evaluate $(ARGS)

train: setup  ## the default model; pass flags with ARGS="--epochs 50"
	$(BIN)/python train.py $(ARGS)

export: setup  ## the next version of models/ddpm, verified; pass flags with ARGS="--steps 50"
	$(BIN)/python -m export $(ARGS)

serve: setup  ## the local server, with the preset mnist, which is exported if models/ddpm does not have it
	$(BIN)/python -m export --out models/ddpm --if-changed
	$(BIN)/python -m serving.server --model-base-path models/ddpm

demo: setup  ## a page on this machine to try the models with; ARGS="--server localhost:8500"
	$(BIN)/python -m keras_ddpm demo $(ARGS)

web: setup  ## web/dist: a page that draws in the browser, for any file server; ARGS="--preset mnist_fast"
	$(BIN)/python -m web $(ARGS)

docs: setup  ## site: this documentation with search and API, for a browser; read it by `python -m http.server --directory site`
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

test: setup
	$(BIN)/python -m pytest -q --durations=10 --numprocesses auto --maxprocesses 4 --dist worksteal

test-jax: setup  ## the tests that need no TensorFlow, on Keras's JAX backend
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q -m "neutral and not slow" --numprocesses auto --maxprocesses 4

test-slow: setup
	$(BIN)/python -m pytest -q -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: setup  ## speed and memory on this machine
	$(BIN)/python -m benchmarks.training.speed
	$(BIN)/python -m benchmarks.sampling
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m export --out models/ddpm --if-changed
	$(BIN)/python -m benchmarks.serving.latency --model-base-path models/ddpm
	$(BIN)/python -m benchmarks.serving.goodput --model-base-path models/ddpm

attack: setup  ## what the local server survives: about ten minutes
	$(BIN)/python -m export --out models/ddpm --if-changed
	$(BIN)/python -m benchmarks.attacks --model-base-path models/ddpm

STUDIES := configuration recognition guidance schedules ablations privacy augmentation

studies: setup  ## trains what is missing, measures what is missing, writes their pages: hours, and it goes on where it stopped
	for name in $(STUDIES); do $(BIN)/python -m studies.$$name $(ARGS) || exit 1; done
	$(BIN)/python -m studies.page
