# Two commands on a fresh machine: `make demo` and `make test`. Everything goes into .venv; nothing else is touched.
PYTHON ?= python3
VENV ?= .venv
# Pins every package. Have your own (GPU) torch in $(VENV) already? Then run with CONSTRAINTS= to leave it alone.
CONSTRAINTS ?= constraints.txt
PIN = $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
BIN = $(VENV)/bin

.PHONY: demo test web demo-model clean

demo: $(VENV)/installed
	$(BIN)/radiolucent demo --out out/demo

test: $(VENV)/installed-dev
	BIN=$(BIN) bash scripts/check.sh

demo-model: $(VENV)/installed
	$(BIN)/radiolucent train-demo --work runs/demo

web:
	cd web && npm ci && npm run build

$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(PIN) -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check $(PIN) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache
