#!/usr/bin/env bash
# The public surface of the library, compared with tests/public-api.txt; `tests/api.sh renew` writes that file anew.
# Nightlies print types in different ways, so another nightly than the one in its first line compares nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
snapshot=tests/public-api.txt

left_out() {
  echo "api: left out: $1"
  exit 0
}

cargo public-api --version >/dev/null 2>&1 || left_out "it needs cargo-public-api (tests/setup.sh)"
nightly=$(rustc +nightly --version 2>/dev/null) || left_out "it needs nightly Rust"

surface() {
  echo "# $nightly"
  RUSTDOCFLAGS="-A rustdoc::private_intra_doc_links" cargo +nightly public-api -sss
}

if [ "${1:-}" = renew ]; then
  surface >"$snapshot.new"
  mv "$snapshot.new" "$snapshot"
elif [ "$(head -n 1 "$snapshot")" != "# $nightly" ]; then
  left_out "$snapshot is from another nightly than $nightly"
elif ! surface | diff -u "$snapshot" -; then
  echo "api: the public surface has changed: if it should, make api API=renew, and commit the difference"
  exit 1
fi
