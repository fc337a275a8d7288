#!/usr/bin/env python3
"""Measures soci-layout beside the reference and beside the limits of the machine."""

import argparse
import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import cases
import growth  # noqa: F401  registers its cases
import machine
import places
import stream  # noqa: F401  registers its case
import targets  # noqa: F401  registers its cases
import threads  # noqa: F401  registers its case
import tools
from report import Report


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="runs of each command (default 5, with --quick 3)")
    parser.add_argument("--only", action="append", choices=cases.CASES, help="only this measurement; may be repeated")
    parser.add_argument("--quick", action="store_true", help="smaller inputs: a look, no figures to quote")
    parser.add_argument("--full", action="store_true", help="also a layer of 4 GiB")
    parser.add_argument("--binary", type=Path, default=places.BUILT, help="instead of target/release/soci-layout")
    parser.add_argument("--inputs", action="store_true", help="only make the inputs")
    return parser.parse_args()


def inputs(names: list, quick: bool) -> None:
    subprocess.run([sys.executable, places.BENCH / "inputs.py", *["--quick"] * quick, *names], check=True)


def fresh_runs() -> None:
    shutil.rmtree(places.RUNS, ignore_errors=True)
    places.RUNS.mkdir(parents=True)


def alone():
    """Two at once would disturb each other. Held until the file is closed."""
    places.DATA.mkdir(parents=True, exist_ok=True)
    lock = open(places.DATA / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("bench: another benchmark is running") from None
    return lock


def main() -> None:
    options = arguments()
    with alone():
        measure(options)


def measure(options: argparse.Namespace) -> None:
    scale = cases.Scale(options.quick, options.full, options.runs or (3 if options.quick else 5))
    chosen = [cases.CASES[name] for name in options.only or cases.CASES]
    fresh_runs()
    tools.prepare()
    inputs(sorted({name for case in chosen for name in case.needs(scale)}), scale.quick)
    if options.inputs:
        return
    tools.take(options.binary)
    kind = "small inputs (--quick); " if scale.quick else ""
    head = f"# soci-layout {machine.commit()}\n\n{machine.describe()}; {kind}medians of {scale.runs} runs\n"
    bench = cases.Bench(places.data(scale.quick), scale, Report(head))
    before = machine.load()
    for case in chosen:
        case.measure(bench)
        (places.DATA / "report.md").write_text(str(bench.report))
    bench.report.foot = f"Load before and after: {before}; {machine.load()}"
    (places.DATA / "report.md").write_text(str(bench.report))
    print(bench.report)
    fresh_runs()


if __name__ == "__main__":
    main()
