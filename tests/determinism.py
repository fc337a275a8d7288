#!/usr/bin/env python3
"""Same input, same bytes: on other processors, in other surroundings, from other builds.

    tests/determinism.py BINARY [--debug BINARY] [--aarch64 BINARY]

Every export of testdata/layouts is indexed in every way, and every file of the result is compared with
what BINARY wrote natively. Processors are emulated by qemu-user, which tells the program what it can do
as a real one does: so the choice at run time between SHA, AVX2, BMI2, CLMUL code and plain code is the
product's own.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LAYOUTS = Path(__file__).resolve().parent.parent / "testdata" / "layouts"
OPTIONS = (
    ("--min-layer-size=0", "--span-size=65536"),
    ("--min-layer-size=0", "--span-size=4096", "--index-version=both", "--optimization=xattr"),
)
# Nehalem has none of SHA, AVX, BMI and CLMUL; Haswell has all but SHA.
EMULATED = ("Nehalem", "Haswell")


def ways(arguments):
    """Name, command before the arguments, environment, umask, parent directory."""
    native = [arguments.binary]
    yield "natively, once more", native, {}, 0o022, None
    yield "one job", [*native, "--jobs=1"], {}, 0o022, None
    yield "seven jobs", [*native, "--jobs=7"], {}, 0o022, None
    yield "far from UTC", native, {"TZ": "Pacific/Chatham"}, 0o022, None
    yield "Turkish", native, {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}, 0o022, None
    yield "umask 077", native, {}, 0o077, None
    for parent in ("/dev/shm", "/var/tmp"):
        if os.access(parent, os.W_OK):
            yield f"on the file system of {parent}", native, {}, 0o022, parent
    qemu = shutil.which("qemu-x86_64")
    if os.uname().machine == "x86_64" and qemu:
        for cpu in EMULATED:
            yield f"x86-64 as {cpu}", [qemu, "-cpu", cpu, *native], {}, 0o022, None
    if arguments.debug:
        yield "debug build", [arguments.debug], {}, 0o022, None
    if arguments.aarch64:
        qemu = [shutil.which("qemu-aarch64") or sys.exit("no qemu-aarch64"), "-L", "/usr/aarch64-linux-gnu"]
        yield "aarch64", [*qemu, arguments.aarch64], {}, 0o022, None


def index(layout, options, command, environment, umask, parent):
    """Digest of every file by its path."""
    place = Path(tempfile.mkdtemp(dir=parent))
    try:
        target = place / "layout"
        shutil.copytree(layout, target)
        # Options of the way stand behind the program in its command.
        program = [part for part in command if not part.startswith("--")]
        extra = [part for part in command if part.startswith("--")]
        done = subprocess.run(
            [*program, "index", "--quiet", *extra, *options, target],
            env={"PATH": os.environ["PATH"], **environment}, umask=umask,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        if done.returncode != 0:
            raise SystemExit(f"{layout.name}: exit {done.returncode}: {done.stderr}")
        return {
            str(path.relative_to(target)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(target.rglob("*")) if path.is_file()
        }
    finally:
        shutil.rmtree(place)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--debug")
    parser.add_argument("--aarch64")
    arguments = parser.parse_args()
    layouts = sorted(path for path in LAYOUTS.iterdir() if (path / "index.json").is_file())
    cases = [(layout, options) for layout in layouts for options in OPTIONS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        run = lambda way: list(pool.map(lambda case: index(*case, *way), cases))
        expected = run(([arguments.binary], {}, 0o022, None))
        before = [index_nothing(layout) for layout, _ in cases]
        if not any(old != new for old, new in zip(before, expected)):
            raise SystemExit("indexing changed nothing: nothing was compared")
        failed = 0
        for name, *way in ways(arguments):
            found = run(way)
            differ = [f"{layout.name} {options}" for (layout, options), a, b in zip(cases, expected, found) if a != b]
            failed += len(differ)
            print(f"{'FAIL' if differ else '  ok'}  {name}: {len(cases) - len(differ)}/{len(cases)}", *differ[:3], flush=True)
    files = sum(len(files) for files in expected)
    print(f"{len(cases)} runs each, {files} files compared each time")
    sys.exit(1 if failed else 0)


def index_nothing(layout):
    return {
        str(path.relative_to(layout)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(layout.rglob("*")) if path.is_file()
    }


if __name__ == "__main__":
    main()
