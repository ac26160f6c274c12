# Thin names for one command each. `make demo` and `make test` make .venv first.
PYTHON ?= python3
VENV ?= .venv
# further arguments for pip, such as the index that holds the build of PyTorch you want
PIP_ARGS ?=
# processes that run tests; on SLURM they wait more than they work
TEST_JOBS ?= 2
SLURM_TEST_JOBS ?= 4

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONPATH :=

.PHONY: demo selftest borzoi borzoi-random test test-borzoi consumers test-slurm test-browser faults lint bench slurm-profile clean

demo: $(VENV)/installed
	snakemake --profile profiles/local --configfile config/demo.yaml
	python scripts/print_scores.py --results results/demo

# recovery of planted truth over graded worlds, by SAEs and by nulls: 40 minutes on two cores at most
selftest: $(VENV)/installed
	snakemake --profile profiles/local --snakefile workflow/selftest/Snakefile --configfile config/selftest.yaml
	cat results/selftest/summary.txt

# Borzoi beside the rest, for extracting activations
borzoi: $(VENV)/installed-borzoi

# genome and intervals -> atlas, through a Borzoi with random weights: make borzoi-random GENOME=genome.fa
borzoi-random: $(VENV)/installed-borzoi
	snakemake --profile profiles/local --configfile config/borzoi_random.yaml --config genome='$(GENOME)'

test: $(VENV)/installed
	python -m pytest -n $(TEST_JOBS) --dist loadscope --no-loadscope-reorder --ignore tests/slurm --ignore tests/browser \
	  -m "not borzoi"

# what needs Borzoi: its layers and traps, and the whole path from a genome to an atlas
test-borzoi: $(VENV)/installed-borzoi
	python -m pytest -n $(TEST_JOBS) --dist loadscope --ignore tests/slurm --ignore tests/browser -m borzoi

# programs that read the exports in tests; those of apart.txt would change pins, so they have an environment of their own
consumers: $(VENV)-consumers/installed

# on a SLURM that the tests start on this machine (Debian: slurm-wlm munge slurmdbd mariadb-server); skipped without
test-slurm: $(VENV)/installed
	python -m pytest -n $(SLURM_TEST_JOBS) --dist loadgroup tests/slurm

# the atlas in Debian's chromium and firefox-esr (and chromium-driver); skipped without
test-browser: $(VENV)/installed
	python -m pytest -n $(TEST_JOBS) --dist loadscope tests/browser

# docs/faults.md, from these tests
faults: $(VENV)/installed
	FAULTS_TABLE=docs/faults.md python -m pytest -n $(SLURM_TEST_JOBS) --dist loadgroup tests/slurm

lint: $(VENV)/installed
	ruff check .
	ruff format --check .
	snakefmt --check workflow
	snakemake --lint --configfile config/demo.yaml
	snakemake --lint --snakefile workflow/selftest/Snakefile --configfile config/selftest.yaml

bench: $(VENV)/installed
	PYTHONPATH=scripts python tests/benchmarks/training_step.py --sizes 2432:30 4864:64
	PYTHONPATH=scripts python tests/benchmarks/streaming.py
	PYTHONPATH=scripts python tests/benchmarks/encoding.py
	PYTHONPATH=scripts python tests/benchmarks/motif_discovery.py --seqlets 200 1000 --lengths 42

# lets `snakemake --profile slurm` find the profile from this folder
slurm-profile:
	ln -sfn profiles/slurm slurm

clean:
	rm -rf results/demo .snakemake

$(VENV)-consumers/installed: $(VENV)/installed tests/consumers/beside.txt tests/consumers/apart.txt
	$(VENV)/bin/python -m pip install --disable-pip-version-check $(PIP_ARGS) -r requirements.txt -r tests/consumers/beside.txt
	$(PYTHON) -m venv $(VENV)-consumers
	$(VENV)-consumers/bin/python -m pip install --disable-pip-version-check $(PIP_ARGS) -r tests/consumers/apart.txt
	touch $(VENV)-consumers/installed

$(VENV)/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check $(PIP_ARGS) -r requirements.txt
	touch $(VENV)/installed

$(VENV)/installed-borzoi: $(VENV)/installed requirements-borzoi.txt
	$(VENV)/bin/python -m pip install --disable-pip-version-check $(PIP_ARGS) -r requirements-borzoi.txt
	touch $(VENV)/installed-borzoi
