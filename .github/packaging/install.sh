#!/bin/sh
# Installs soci-layout from a release: picks the platform, checks the SHA-256, needs no root.
#
#   sh install.sh [--version v1.2.3] [--to DIR] [--base URL]
#
# --version  a release (default: the newest)                     SOCI_LAYOUT_VERSION
# --to       where the binary goes (default: ~/.local/bin)       SOCI_LAYOUT_INSTALL_DIR
# --base     where releases are (default: this project's)        SOCI_LAYOUT_BASE
set -eu

base=${SOCI_LAYOUT_BASE:-@BASE@}
version=${SOCI_LAYOUT_VERSION:-latest}
to=${SOCI_LAYOUT_INSTALL_DIR:-${HOME:-}/.local/bin}

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --version | --to | --base) [ $# -ge 2 ] || fail "$1 needs a value" ;;
  esac
  case $1 in
    --version) version=$2 ;;
    --to) to=$2 ;;
    --base) base=$2 ;;
    -h | --help)
      sed -n '2,9s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *) fail "unknown argument $1 (see --help)" ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value"
  shift 2
done

case $base in
  http://* | https://*) ;;
  *) fail "this copy does not know where releases are: give --base URL" ;;
esac
[ "$to" != /.local/bin ] || fail "HOME is not set: give --to DIR"

case $(uname -s) in
  Linux) system=unknown-linux-musl ;;
  Darwin) system=apple-darwin ;;
  *) fail "no binary for $(uname -s): build it with cargo install --locked soci-layout" ;;
esac
case $(uname -m) in
  x86_64 | amd64) machine=x86_64 ;;
  aarch64 | arm64) machine=aarch64 ;;
  *) fail "no binary for $(uname -m): build it with cargo install --locked soci-layout" ;;
esac
target=$machine-$system

if [ "$version" = latest ]; then
  from=$base/latest/download
else
  from=$base/download/$version
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# get URL FILE
get() {
  if command -v curl >/dev/null 2>&1; then
    curl --fail --silent --show-error --location --retry 3 --output "$2" "$1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1"
  else
    fail "neither curl nor wget is here"
  fi
}

get "$from/SHA256SUMS" "$work/SHA256SUMS" || fail "cannot fetch $from/SHA256SUMS"
# Names in the list have the version: the one line for this platform says which archive it is.
archive=$(sed -n "s/^[0-9a-f]\{64\}  \(soci-layout-[^ /]*-$target\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
case $archive in
  '') fail "the release $version has no binary for $target" ;;
  *'
'*) fail "SHA256SUMS of $version names several archives for $target" ;;
esac
get "$from/$archive" "$work/$archive" || fail "cannot fetch $from/$archive"

expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $archive\$/\1/p" "$work/SHA256SUMS")
if command -v sha256sum >/dev/null 2>&1; then
  found=$(sha256sum "$work/$archive" | cut -d' ' -f1)
elif command -v shasum >/dev/null 2>&1; then
  found=$(shasum -a 256 "$work/$archive" | cut -d' ' -f1)
else
  fail "neither sha256sum nor shasum is here: the download cannot be checked"
fi
[ "$found" = "$expected" ] || fail "$archive: SHA-256 is $found, expected $expected"

tar -xzf "$work/$archive" -C "$work"
mkdir -p "$to"
# Beside its place first, so that a running binary is replaced in one step.
cp "$work/${archive%.tar.gz}/soci-layout" "$to/.soci-layout.$$"
chmod 755 "$to/.soci-layout.$$"
mv -f "$to/.soci-layout.$$" "$to/soci-layout"
printf 'installed %s\n' "$to/soci-layout"
"$to/soci-layout" --version
case :${PATH:-}: in
  *:"$to":*) ;;
  *) printf 'add it to your PATH: export PATH="%s:$PATH"\n' "$to" ;;
esac
