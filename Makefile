# Two commands do everything on a fresh machine: `make demo` and `make test`.

SHELL := /bin/bash
export PATH := $(CURDIR)/.work/bin:$(PATH)
BIN := $(CURDIR)/target/release/soci-layout

.PHONY: help dist dist-again hands hands-of owner pictures pictures-check build demo test quick bench check lint features api msrv unit peer push e2e start growth faults determinism miri advisories fuzz fuzz-smoke hostile setup clean

help:
	@echo "make demo   install what is missing, build, index a real two-platform image, show the result"
	@echo "make test   install what the tests need, run all checks and tests"
	@echo "make quick  format, lints, unit and integration tests: before each commit, needs Rust only"
	@echo "make bench  measure beside the reference and the machine's limits (BENCH=--quick for minutes)"
	@echo "make dist   what a release consists of, in dist/: archives, install.sh, SBOM, checksums"
	@echo "make dist-again  the same once more, from a clone elsewhere, and compares the bytes"
	@echo "make build  build target/release/soci-layout"
	@echo "make hands  make dist for this machine, installed on loopback, the action's steps and the recipes run (minutes)"
	@echo "make hands-of RELEASE=dist  the same with a release that is there"
	@echo "make owner OWNER=name  who publishes it, in Cargo.toml and in what people copy from the pages"
	@echo "make pictures  draws docs/pictures anew from what the program makes"
	@echo "make e2e    the images in containerd with soci-snapshotter (root, /dev/fuse); E2E='-runs 3 -only containers'"
	@echo "make start  how soon four real images are started and ready, lazily and not; START='--runs 1 --only elasticsearch --link 12.5'"
	@echo "make growth the work of each command grows as its input does, counted in instructions"
	@echo "make foreign layouts of other projects' tools made anew, and all who pull or build on them (root, apt)"
	@echo "make faults kill, fail and disturb the real binary at every writing call (minutes)"
	@echo "make fuzz-smoke  seeds and a few random mutations of them, on stable Rust"
	@echo "make fuzz TARGET=gzip  one target with coverage and AddressSanitizer (nightly, cargo-fuzz)"
	@echo "make hostile  ten million tar entries: up to 4 GiB of memory"
	@echo "make determinism  the same bytes on emulated processors, aarch64, in other surroundings"
	@echo "make miri   what Miri can run (nightly)"
	@echo "make api    the public surface of the library against tests/public-api.txt (nightly); API=renew writes it anew"
	@echo "make msrv   build with the oldest Rust that Cargo.toml promises"
	@echo "make advisories  known vulnerabilities of the dependencies"
	@echo "parts of make test: check api unit pictures-check peer push e2e determinism faults fuzz-smoke"

# What a release consists of, for all targets that can be linked here (DIST_TARGETS for some of them).
dist:
	.github/packaging/dist.sh $(DIST_TARGETS)

# The same bytes from a clone in another directory: what is committed is built there and compared with what `make dist` left.
dist-again:
	rm -rf target/again && git clone --quiet . target/again/elsewhere
	cd target/again/elsewhere && env -u DIST PATH=$(CURDIR)/.work/dist/bin:$$PATH CARGO_TARGET_DIR=$(CURDIR)/target/again/built \
	  .github/packaging/dist.sh $(DIST_TARGETS)
	diff dist/SHA256SUMS target/again/elsewhere/dist/SHA256SUMS

# The release's archive for this machine installed and used in the action's steps, as a user would.
hands: export DIST := .work/dist-here
hands:
	.github/packaging/dist.sh $(shell uname -m)-unknown-linux-musl
	$(MAKE) hands-of RELEASE=$(DIST)

# The same with what `make dist` left. Needs tests/setup.sh hands.
RELEASE ?= dist
hands-of:
	python3 -B tests/hands/run.py $(RELEASE) .work/bin
	python3 -B tests/hands/people.py $(RELEASE) .work/bin

# Who publishes it: Cargo.toml says it, and what people copy from the pages repeats it (tests/it/docs.rs holds them together).
owner:
	@test -n "$(OWNER)" || { echo "make owner OWNER=name"; exit 2; }
	sed -i -E 's#(github\.com/|uses: |github:)[A-Za-z0-9-]+/soci-layout#\1$(OWNER)/soci-layout#; s#(repo_owner: ).*#\1$(OWNER)#' Cargo.toml README.md docs/recipes/*.md

# The pictures of the documentation, from what the program makes.
pictures: build
	python3 -B docs/pictures/draw.py $(BIN)

pictures-check: build
	python3 -B docs/pictures/draw.py $(BIN) --check

build:
	cargo build --release --locked

demo:
	tests/setup.sh demo
	$(MAKE) build
	tests/demo/run.sh $(BIN)

setup:
	tests/setup.sh

# In this order a mistake is told as early as possible. Linking the release keeps one core busy for minutes, and the suites
# that follow wait for programs half of their time, so two run at once; their lines come as they are said, or it would be
# silent for long.
test: setup check api
	$(MAKE) --jobs=2 --output-sync=line unit pictures-check
	$(MAKE) --jobs=2 --output-sync=line peer push determinism faults e2e fuzz-smoke

# What needs nothing but Rust, before each commit.
quick: lint unit

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

# The library as others embed it: without features, and with each.
features:
	cargo clippy --locked --lib --no-default-features -- -D warnings
	cargo clippy --locked --all-targets --no-default-features --features archives -- -D warnings
	cargo clippy --locked --lib --no-default-features --features registry -- -D warnings
	cargo clippy --locked --lib --bins --no-default-features --features cli -- -D warnings

check: lint features msrv
	typos
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --no-deps --document-private-items
	cargo deny --locked check bans licenses sources
	@if cargo deny fetch db >/dev/null 2>&1; then cargo deny --locked check advisories; \
	  else echo "advisories: the database cannot be reached from here; left out"; fi

# Nightly, whose rustdoc writes what cargo-public-api reads.
api:
	tests/api.sh $(API)

# A snapshot that differs is an error here, and is never written.
unit: export INSTA_UPDATE := no
unit:
	cargo test --locked

# The oldest Rust, read from where it is promised. The lint clippy::incompatible_msrv, which runs with every `make lint`, knows functions, not the language.
MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv:
	@if rustup toolchain install $(MSRV) --profile minimal >/dev/null 2>&1; then \
	  cargo +$(MSRV) check --locked --target-dir target/msrv; \
	else echo "msrv: left out: there is no rustup here that could get Rust $(MSRV)"; fi

# Not part of the tests: what it finds depends on the machine.
bench: build
	tests/bench/bench.py $(BENCH)

# Instructions of each command on inputs of 1, 2 and 4 parts (valgrind).
growth: build
	python3 -B tests/growth.py --binary $(BIN)

# The real binary killed, failed, interrupted and disturbed at every writing call (Linux, strace).
faults: build
	python3 -B tests/faults/run.py --binary $(BIN)

# Emulated processors without SHA, AVX, BMI and CLMUL, aarch64, other surroundings: the same bytes. That of aarch64 is
# optimised otherwise and knows no registries, which takes a third of the time to build and must give the same bytes, too.
# The debug build is the one of `unit`: `cargo build` would make some dependencies anew, without the features that tests ask for.
AARCH64 := aarch64-unknown-linux-gnu
determinism: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER := aarch64-linux-gnu-gcc
determinism: build
	cargo test --locked --no-run
	if command -v rustup >/dev/null && rustup target list --installed | grep -qx $(AARCH64); then \
	  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	    cargo build --release --locked --no-default-features --features cli --target $(AARCH64) && \
	  tests/determinism.py $(BIN) --debug target/debug/soci-layout --aarch64 target/$(AARCH64)/release/soci-layout; \
	else \
	  echo "aarch64 is left out: there is no rustup that could add its standard library" && \
	  tests/determinism.py $(BIN) --debug target/debug/soci-layout; \
	fi

# Nightly with the components miri and rust-src; ten minutes. The tests left out take hours there. SHA-256 by the instructions, too.
MIRI ?= oci::json:: oci::digest:: layer::inflate::tests::noise layer::inflate::tests::rules layer::inflate::tests::valid layer::inflate::symbol \
  layer::checkpoint layer::span layer::tar::header layer::tar::pax ztoc::zinfo ztoc::time::tests::as_go ztoc::time::tests::refuses
miri:
	MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --locked --target-dir target/miri --lib -- $(MIRI)
	if [ "$$(uname -m)" = x86_64 ]; then RUSTFLAGS="-Ctarget-feature=+sha,+sse4.1,+avx" MIRIFLAGS=-Zmiri-disable-isolation \
	  cargo +nightly miri test --locked --target-dir target/miri-sha --lib -- oci::digest::interleaved; fi

# Needs the advisory database, which is fetched; not part of the tests, as it changes without us.
advisories:
	cargo deny --locked check advisories

# docs/fuzzing.md tells how to run for hours.
fuzz-smoke: export CARGO_TARGET_DIR := $(CURDIR)/target/fuzz
fuzz-smoke:
	cd tests/fuzz && cargo fmt --check && cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked --release --manifest-path tests/fuzz/Cargo.toml
	cargo run --locked --release --manifest-path tests/fuzz/Cargo.toml --bin replay -- --seconds 20

SECONDS_EACH ?= 1800
fuzz:
	mkdir -p tests/fuzz/corpus/$(TARGET)
	cd tests/fuzz && cargo +nightly fuzz run --fuzz-dir . --features libfuzzer \
	  --target-dir ../../target/fuzz-asan $(TARGET) corpus/$(TARGET) seeds/$(TARGET) -- \
	  -dict=dictionaries/$(TARGET).dict -max_len=4096 -timeout=20 \
	  -max_total_time=$(SECONDS_EACH) $(if $(filter layout,$(TARGET)),-detect_leaks=0)

hostile:
	cargo test --locked --test it hostile::ten_million -- --ignored

# The outside judge: the Go reference over a corpus, random layers and real exports.
peer: build
	cd tests/peer && test -z "$$(gofmt -l .)" && go vet ./...
	cd tests/peer && SOCI_LAYOUT=$(BIN) TZ=UTC go test -count=1 -timeout 30m $$(go list ./... | grep -v /push)

# Real registries and real push tools, on loopback.
push: build
	cd tests/peer && SOCI_LAYOUT=$(BIN) TZ=UTC go test -count=1 -timeout 30m ./push

# Layouts of other projects' tools, made anew; each read by its maker, pulled by everybody from every push tool.
FOREIGN := $(CURDIR)/.work/foreign
foreign: build
	tests/foreign/tools.sh
	rm -rf $(FOREIGN)/made
	tests/foreign/make.sh $(FOREIGN)/made
	cd tests/peer && SOCI_LAYOUT=$(BIN) SOCI_FOREIGN=$(FOREIGN)/made SOCI_PULL=all TZ=UTC \
	  go test -tags foreign -count=1 -timeout 90m -run 'PullsAsBefore|WhoBuilds|MakerReads' ./push

# The real consumer: containerd and the reference's snapshotter through FUSE. Says so where it cannot run.
E2E_BIN := $(CURDIR)/.work/e2e/bin
e2e: build
	cd tests/peer && go build -o $(E2E_BIN)/ ./e2e ./cmd/snapshotter
	cd tests/peer && SOCI_LAYOUT=$(BIN) SOCI_TOOLS=$(CURDIR)/.work/bin SOCI_SNAPSHOTTER=$(E2E_BIN)/snapshotter \
	  SOCI_E2E_CACHE=$(CURDIR)/.work/e2e TZ=UTC $(E2E_BIN)/e2e $(E2E)

# How soon services are ready, beside overlayfs, over slow lines. Not part of the tests: times depend on the machine.
START_CACHE := $(CURDIR)/.work/start
start: build
	mkdir -p $(START_CACHE)
	cd tests/peer && go build -o $(E2E_BIN)/ ./start ./cmd/snapshotter
	cd tests/peer && SOCI_LAYOUT=$(BIN) SOCI_TOOLS=$(CURDIR)/.work/bin SOCI_SNAPSHOTTER=$(E2E_BIN)/snapshotter \
	  SOCI_START_CACHE=$(START_CACHE) TZ=UTC $(E2E_BIN)/start $(START)

clean:
	cargo clean
	rm -rf .work
