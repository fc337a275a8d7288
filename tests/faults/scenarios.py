"""The runs that are disturbed: which layout, what was done to it before, which command."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import layouts
import supervise

# One job, no display: the order of the calls is then the same each time (syncs apart).
COMMON = ("index", "--jobs", "1", "--quiet", "--min-layer-size", "0")
REMOVE = ("remove", "--quiet")
GC = ("gc", "--quiet", "--min-age", "0")
SMALL = ("--span-size", "64KiB")
OTHER = ("--span-size", "128KiB")
# zTOCs over 1 MiB, which are synced as soon as they are written.
LARGE = ("--span-size", "16KiB")
V2 = ("--index-version", "v2")
NESTED = ("--index-version", "v1", "--v1-shape", "nested")
TAGGED = ("--index-version", "v1", "--v1-shape", "tagged")
BOTH = ("--index-version", "both")
PRUNE = ("--prune",)

# name, fixture, runs before (or "leftovers", or "another's"), the run
TABLE = (
    ("V2, first run", "multi-attest", (), V2 + SMALL),
    ("V2, first run, two names", "two-names", (), V2 + SMALL),
    ("V2, first run, large zTOCs", "single", (), V2 + LARGE),
    ("V2, first run, two roots", "appended", (), V2 + SMALL),
    ("V1 nested, first run", "multi-attest", (), NESTED + SMALL),
    ("V1 tagged, first run", "multi-attest", (), TAGGED + SMALL),
    ("V1 tagged, first run, two names", "two-names", (), TAGGED + SMALL),
    ("both, first run", "multi-attest", (), BOTH + SMALL),
    ("V2, again with other spans", "multi-attest", (V2 + SMALL,), V2 + OTHER),
    ("V1 nested after V2", "multi-attest", (V2 + SMALL,), NESTED + OTHER),
    ("V2 after V1 tagged", "single", (TAGGED + SMALL,), V2 + SMALL),
    ("V2 after both", "multi-attest", (BOTH + SMALL,), V2 + OTHER),
    ("same again, nothing to do", "single", (V2 + SMALL,), V2 + SMALL),
    ("V2 --prune, first run", "multi-attest", (), V2 + SMALL + PRUNE),
    ("V2 --prune, again", "multi-attest", (V2 + SMALL,), V2 + OTHER + PRUNE),
    ("V1 nested --prune after both", "single", (BOTH + SMALL,), NESTED + OTHER + PRUNE),
    ("V1 tagged --prune after V2", "two-names", (V2 + SMALL,), TAGGED + SMALL + PRUNE),
    ("both --prune after V1 tagged", "single", (TAGGED + SMALL,), BOTH + OTHER + PRUNE),
    ("V2 over a killed run's leftovers", "single", "leftovers", V2 + SMALL),
    ("remove after V2", "multi-attest", (V2 + SMALL,), REMOVE),
    ("remove after V1 tagged --prune", "two-names", (TAGGED + SMALL + PRUNE,), REMOVE),
    ("remove --prune after both", "single", (BOTH + SMALL,), REMOVE + PRUNE),
    ("gc after two runs", "multi-attest", (V2 + SMALL, BOTH + OTHER), GC),
    ("V2, root in another user's layout", "single", "another's", V2 + SMALL),
)
SOMEBODY = 12345


def command(run):
    """The arguments of a run; options alone are those of `index`."""
    return COMMON + run if run[0].startswith("-") else run


@dataclass
class Scenario:
    name: str
    arguments: tuple
    place: Path
    baseline: layouts.Baseline
    calls: list

    def layout(self, tag):
        """A fresh copy of the layout as it was before the run."""
        return layouts.copy(self.place / "old", self.place / tag)

    def discard(self, layout):
        shutil.rmtree(layout)


def build(binary, place, name, fixture, before, arguments):
    """Runs undisturbed once, for the new layout and for the list of the calls."""
    place = Path(place)
    place.mkdir(parents=True)
    old = layouts.fixture(fixture, place / "old")
    if before == "leftovers":
        (old / "blobs" / "sha256" / ".soci-layout-killed.tmp").write_bytes(b"half")
        (old / ".soci-layout-killed.tmp").write_bytes(b"{")
        (old / layouts.LOCK).touch()
        before = ()
    if before == "another's":
        layouts.give(old, SOMEBODY)
        before = ()
    for run in before:
        done = supervise.plain(binary, command(run), old)
        layouts.need(done.code == 0, f"{name}: preparing failed: {done.stderr}")
    new = layouts.copy(old, place / "new")
    arguments = command(arguments)
    done = supervise.run(binary, arguments, new)
    layouts.need(done.code == 0, f"{name}: the undisturbed run failed: {done.stderr}")
    removes = "--prune" in arguments or arguments[0] == "gc"
    baseline = layouts.Baseline(layouts.snapshot(old), layouts.snapshot(new), removes)
    return Scenario(name, arguments, place, baseline, done.calls)


def build_all(binary, place, only=None):
    """The scenarios of the table (or those whose name is in `only`)."""
    rows = [row for row in TABLE if only is None or row[0] in only]
    if os.getuid() != 0:
        rows = [row for row in rows if row[2] != "another's"]
    return [build(binary, Path(place) / f"s{number}", *row) for number, row in enumerate(rows)]
