"""Runs programs as whole processes and compares them.

Noise hits neighbours alike: commands run in turns (A B C A B C …), and a ratio is the
median of the ratios within each turn, not the ratio of two medians.
"""

import json
import os
import statistics
import subprocess
from dataclasses import dataclass, field, replace
from typing import Callable

from places import BIN, RUNS
from tools import say


@dataclass(frozen=True)
class Run:
    """What one process cost. Sizes in bytes, times in seconds."""

    wall: float
    cpu: float
    peak: int
    written: int  # given to write calls
    dirtied: int  # pages made dirty, times their size
    extra: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """`argv` is made before each run, outside the time measured; `after` looks at what it left."""

    argv: Callable[[], list]
    after: Callable[[], dict] = dict


def plain(*argv) -> Command:
    return Command(lambda: list(argv))


def once(argv: list) -> Run:
    """Standard output goes nowhere; standard error is kept for a failure."""
    argv = [str(a) for a in argv]
    environment = {**os.environ, "TZ": "UTC", "TMPDIR": str(RUNS)}
    done = subprocess.run([BIN / "bench-run", *argv], capture_output=True, env=environment, check=False)
    cost = json.loads(done.stdout) if done.returncode == 0 else {"status": done.returncode}
    status = cost.pop("status")
    if status:
        tail = done.stderr[-2000:].decode(errors="replace")
        raise SystemExit(f"bench: status {status}: {' '.join(argv)}\n{tail}")
    return Run(**{**cost, "wall": cost["wall"] / 1e9, "cpu": cost["cpu"] / 1e9})


def run(command: Command) -> Run:
    result = once(command.argv())
    return replace(result, extra=command.after())


def rounds(title: str, commands: dict, count: int) -> dict:
    """Each command in turn, `count` times: name, then its runs."""
    results = {name: [] for name in commands}
    for number in range(count):
        say(f"{title}: round {number + 1} of {count}")
        for name, command in commands.items():
            results[name].append(run(command))
    return results


def warm(files: list) -> None:
    """Into the page cache."""
    for file in files:
        with open(file, "rb", buffering=0) as blob:
            while blob.read(1 << 20):
                pass


def median(runs: list, what: str) -> float:
    return statistics.median(getattr(r, what) for r in runs)


@dataclass(frozen=True)
class Ratio:
    """The median and its company."""

    middle: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.least:.2f} to {self.most:.2f})"


def ratio(above: list, below: list, what: str = "wall") -> Ratio:
    each = [getattr(a, what) / max(getattr(b, what), 1e-9) for a, b in zip(above, below)]
    return Ratio(statistics.median(each), min(each), max(each))
