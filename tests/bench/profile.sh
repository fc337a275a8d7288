#!/usr/bin/env bash
# Where the time goes: samples indexing a single large layer and prints the costliest functions.
#
#   tests/bench/profile.sh [--quick] [-- OPTION...]     options of `soci-layout index`, such as --jobs 1
#
# Needs perf (Debian: linux-perf). The binary is built with debug information into .work.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$repo/.work/bench
inputs=$work/inputs
quick=()
if [ "${1:-}" = --quick ]; then
  inputs=$work/quick quick=(--quick)
  shift
fi
if [ "${1:-}" = -- ]; then shift; fi

python3 "$repo/tests/bench/bench.py" --inputs --only single "${quick[@]}"
CARGO_PROFILE_RELEASE_DEBUG=line-tables-only CARGO_PROFILE_RELEASE_STRIP=none \
  cargo build --quiet --release --locked --manifest-path "$repo/Cargo.toml" --target-dir "$work/profile"

layout=$work/profile-layout
python3 - "$repo/tests/bench" "$inputs" "$layout" <<'END'
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import layers, layouts, targets

inputs, layout = map(Path, sys.argv[2:])
layouts.write(layout, [layers.get(inputs, name) for name in targets.LARGE])
END

# Machines without performance counters still have a clock.
event=cycles
perf stat -e cycles true 2>&1 | grep -q 'not supported' && event=cpu-clock
perf record --quiet -e "$event" -F 1999 -o "$work/perf.data" -- \
  "$work/profile/release/soci-layout" index "$layout" --progress quiet --min-layer-size 0 "$@" >/dev/null

shares() { # FIELD…
  perf report --stdio --quiet --no-children --percent-limit 0.5 -F "overhead,$1" -i "$work/perf.data" 2>/dev/null |
    sed -e '/^$/d' -e 's/ *$//'
}
shares symbol
echo "by thread:"
shares pid
rm -rf "$layout"
