#!/usr/bin/env bash
# Makes what a release consists of, in dist/: an archive per target (binary, manual pages, completions,
# licences), install.sh, an SBOM, SHA256SUMS. The same sources give the same bytes, wherever they lie.
#
#   dist.sh [TARGET ...]       default: every target that can be linked here
#
# SOCI_LAYOUT_BASE     where releases of this project are, for install.sh (default: those of Cargo.toml's repository)
# SOURCE_DATE_EPOCH    time stamps in archives (default: the commit's)
# DIST                 where to put it (default: dist)
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$repo/.github/packaging
cd "$repo"
dist=${DIST:-dist}
# Not while nobody publishes it: install.sh then asks for --base.
repository=$(sed -n 's/^repository = "\(.*\)"/\1/p' Cargo.toml)
case $repository in */OWNER/*) ;; *) : "${SOCI_LAYOUT_BASE:=$repository/releases}" ;; esac
: "${SOCI_LAYOUT_BASE:=}"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
target_dir=${CARGO_TARGET_DIR:-target}
tools=$repo/.work/dist

say() { printf 'dist: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

# Links for any target with zig; without it, only for this machine's Linux.
zig() {
  if ! have cargo-zigbuild && [ ! -x "$tools/bin/cargo-zigbuild" ]; then
    say "installing zig as a linker"
    python3 -m venv "$tools" && "$tools/bin/pip" -q install ziglang==0.17.1 cargo-zigbuild==0.24.1
  fi
}

# Paths of this machine must not be in a binary; the same on every machine.
export CARGO_ENCODED_RUSTFLAGS=
remap="--remap-path-prefix=$repo=/soci-layout --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
CARGO_ENCODED_RUSTFLAGS=$(printf '%s' "$remap" | tr ' ' '\037')

build() {
  local target=$1
  if have rustup && ! rustup target list --installed | grep -qx "$target"; then
    rustup --quiet target add "$target"
  fi
  case $target in
    "$(uname -m)"-unknown-linux-musl) cargo build --locked --profile dist --target "$target" ;;
    *-apple-darwin)
      zig
      # zig's own default is the newest macOS but one; Rust's is the oldest that its standard library supports. Debugging
      # entries of the symbol table (stabs) hold paths and times, so the linker leaves them out before it makes the UUID.
      env PATH="$tools/bin:$PATH" "$(rustc --print deployment-target --target "$target")" \
        CARGO_ENCODED_RUSTFLAGS="$CARGO_ENCODED_RUSTFLAGS"$'\037-Clink-arg=-Wl,-S' \
        cargo zigbuild --locked --profile dist --target "$target"
      ;;
    *)
      zig
      PATH=$tools/bin:$PATH cargo zigbuild --locked --profile dist --target "$target"
      ;;
  esac
}

# The same archive for the same content: names sorted, no owner, one time stamp, no name in the gzip header.
archive() {
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" --format=ustar -C "$1" -cf - "$2" |
    gzip -9n >"$dist/$2.tar.gz"
}

pack() {
  local target=$1 stage name=soci-layout-$version-$1
  stage=$(mktemp -d)
  mkdir -p "$stage/$name/completions"
  cp "$target_dir/$target/dist/soci-layout" LICENSE README.md "$stage/$name/"
  cp "$extras/THIRD-PARTY-LICENSES.txt" "$stage/$name/"
  cp -r "$extras/man" "$extras/completions" "$stage/$name/"
  chmod -R u=rwX,go=rX "$stage/$name"
  archive "$stage" "$name"
  rm -rf "$stage"
}

host=$(uname -m)-unknown-linux-musl
if [ $# -eq 0 ]; then
  set -- x86_64-unknown-linux-musl aarch64-unknown-linux-musl x86_64-apple-darwin aarch64-apple-darwin
fi
rm -rf "$dist"
mkdir -p "$dist"
extras=$(mktemp -d)
trap 'rm -rf "$extras"' EXIT

say "building for $host (it also writes the manual pages and completions)"
build "$host"
binary=$target_dir/$host/dist/soci-layout
mkdir "$extras/man" "$extras/completions"
"$binary" man --output "$extras/man"
for shell in bash zsh fish elvish powershell; do "$binary" completions "$shell" >"$extras/completions/soci-layout.$shell"; done
cargo metadata --locked --format-version 1 | python3 -B "$here/licences.py" >"$extras/THIRD-PARTY-LICENSES.txt"

for target in "$@"; do
  if [ "$target" != "$host" ]; then
    say "building for $target"
    build "$target"
  fi
  pack "$target"
done
cargo metadata --locked --format-version 1 | python3 -B "$here/sbom.py" "$epoch" >"$dist/soci-layout-$version.cdx.json"
sed "s#@BASE@#${SOCI_LAYOUT_BASE:-}#" "$here/install.sh" >"$dist/install.sh"
# A formula can only be made when there are binaries for all four systems it names.
formula=$(sed -e "s#@VERSION@#$version#g" -e "s#@BASE@#${SOCI_LAYOUT_BASE:-}#g" -e "s#@HOME@#${SOCI_LAYOUT_BASE%/releases}#g" "$here/homebrew.rb.in")
for target in x86_64-unknown-linux-musl aarch64-unknown-linux-musl x86_64-apple-darwin aarch64-apple-darwin; do
  file=$dist/soci-layout-$version-$target.tar.gz
  if [ -f "$file" ]; then formula=${formula//@SHA256_$target@/$(sha256sum "$file" | cut -d' ' -f1)}; fi
done
case $formula in
  *@SHA256_*) say "no Homebrew formula: not all of its targets were built" ;;
  *) printf '%s\n' "$formula" >"$dist/soci-layout.rb" ;;
esac
# Kept apart until the list is whole: a file made before the names are expanded would be listed, too.
sums=$(cd "$dist" && sha256sum -- * | LC_ALL=C sort -k2)
printf '%s\n' "$sums" >"$dist/SHA256SUMS"
say "done:"
(cd "$dist" && ls -l)
