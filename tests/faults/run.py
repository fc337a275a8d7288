#!/usr/bin/env python3
"""Fault tests: the real program is killed, failed, interrupted and disturbed at every writing call.

    python3 tests/faults/run.py --binary target/release/soci-layout [--only kills ...]

Linux only. Needs strace (tests/setup.sh installs it) and, for the read-only and the full file system,
leave to mount inside a namespace of its own; SOCI_FAULTS_NO_MOUNT=1 leaves these out.
docs/reliability.md says which promise each part holds.
"""

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tally import Tally

SUITES = ("controls", "order", "kills", "errors", "interrupts", "meanwhile", "places", "cache")


@dataclass
class Context:
    binary: str
    place: Path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=Path)
    parser.add_argument("--only", action="append", choices=SUITES)
    options = parser.parse_args()
    tally = Tally()
    memory = Path("/dev/shm")
    parent = memory if "TMPDIR" not in os.environ and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="soci-faults-", dir=parent) as place:
        # Other users must get in, for the tests that run as one.
        os.chmod(place, 0o755)
        # A copy: a build at the same time must not change the program under test.
        binary = shutil.copy2(options.binary, place)
        for name in options.only or SUITES:
            suite = __import__(name)
            suite.run(tally, Context(str(binary), Path(place)))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
