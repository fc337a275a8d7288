"""The measurements that have a target."""

import os

import commands
from cases import Bench, case
from measure import median, plain, ratio, rounds
from report import seconds, size

IMAGE = ["debian.go", "java.go", "wheel.go"]
PAIR = ["debian.go", "java.go"]
LARGE = ["wheel.go"]
TINY = ["files-10.go"]

# Beyond the zTOCs: of a run, and of each thread.
MEMORY, MEMORY_PER_THREAD = 16 << 20, 16 << 20
# Words to other threads (eventfd and the like) are written too.
WRITTEN_BESIDES = 16 << 10


def compare(bench: Bench, what: str, other: list, ours: list, target: float, which: str = "wall") -> None:
    """A row for other / ours, which should be large."""
    found = ratio(other, ours, which)
    times = (seconds(median(runs, which)) for runs in (other, ours))
    bench.report.target(what, *times, found, f"≥ {target}", found.middle >= target)


def limit(bench: Bench, what: str, other: list, ours: list, target: float, which: str = "wall") -> None:
    """A row for ours / other, which should be small."""
    found = ratio(ours, other, which)
    times = (seconds(median(runs, which)) for runs in (other, ours))
    bench.report.target(what, *times, found, f"≤ {target}", found.middle <= target)


def memory(bench: Bench, what: str, runs: list, threads: int) -> None:
    """The peak without the zTOCs made."""
    peak = max(run.peak for run in runs)
    ztocs = runs[0].extra["ztocs"]
    most = MEMORY + threads * MEMORY_PER_THREAD
    bench.report.target(
        f"{what}, peak memory beyond zTOCs, {threads} threads", "", f"{size(peak)}, zTOCs {size(ztocs)}",
        size(peak - ztocs), f"≤ {size(most)}", peak - ztocs <= most,
    )


def costs(bench: Bench, title: str, runs: dict) -> None:
    """A table of all that was measured of these commands."""
    table = bench.report.table(title, "", "wall", "least wall", "CPU", "peak", "written")
    for name, each in runs.items():
        times = median(each, "wall"), min(run.wall for run in each), median(each, "cpu")
        table.add(name, *map(seconds, times), *(size(median(each, what)) for what in ("peak", "written")))


@case("three-layer", IMAGE)
def three_layer(bench: Bench) -> None:
    layers = bench.layers(*IMAGE)
    runs = rounds(
        "three-layer", {"reference": commands.reference(layers), "ours": commands.ours(layers)}, bench.scale.runs
    )
    reference, ours = runs["reference"], runs["ours"]
    compare(bench, "three-layer image, wall: reference / ours", reference, ours, 8.5)
    compare(bench, "three-layer image, CPU: reference / ours", reference, ours, 5, "cpu")
    memory(bench, "three-layer image", ours, len(os.sched_getaffinity(0)))
    written, gained = (max(values) for values in zip(*((r.written, r.extra["gained"]) for r in ours)))
    bench.report.target(
        "three-layer image, bytes written: calls, and what the layout gained", size(median(reference, "written")),
        f"{written:,} B in calls, {size(median(ours, 'dirtied'))} of dirty pages", f"gained {gained:,} B",
        "new blobs and index.json", written <= gained + WRITTEN_BESIDES,
    )
    costs(bench, "Three-layer image: all costs", runs)


@case("two-layer", PAIR)
def two_layer(bench: Bench) -> None:
    layers = bench.layers(*PAIR)
    runs = rounds(
        "two-layer", {"reference": commands.reference(layers), "ours": commands.ours(layers)}, bench.scale.runs
    )
    compare(bench, "two-layer image, wall: reference / ours", runs["reference"], runs["ours"], 5)


@case("single", LARGE)
def single(bench: Bench) -> None:
    layers = bench.layers(*LARGE)
    name, inflate = commands.inflate(layers)
    hasher, sha256 = commands.sha256(layers)
    runs = rounds("single", {
        "bare inflate": inflate,
        "ours": commands.ours(layers),
        "ours, one job": commands.ours(layers, "--jobs", "1"),
        f"bare SHA-256 ({hasher})": sha256,
    }, bench.scale.runs)
    bare, ours, one = runs["bare inflate"], runs["ours"], runs["ours, one job"]
    compare(bench, f"single large layer, wall: bare inflate ({name}) / ours", bare, ours, 1.6)
    limit(bench, f"same, `--jobs 1`: ours / bare inflate ({name})", bare, one, 1.7)
    memory(bench, "single large layer, `--jobs 1`", one, 1)
    costs(bench, "Single large layer: all costs", runs)


@case("cached", IMAGE)
def cached(bench: Bench) -> None:
    layers = bench.layers(*IMAGE)
    name, sha256 = commands.sha256(layers)
    turns = {"bare SHA-256": sha256, "ours": commands.again(layers)}
    trust = commands.trusting_option()
    if trust:
        turns[f"ours, `{trust}`"] = commands.again(layers, trust)
    runs = rounds("cached", turns, bench.scale.runs)
    what = f"image indexed already, wall: ours / one SHA-256 of its layers ({name})"
    limit(bench, what, runs["bare SHA-256"], runs["ours"], 1.1)
    what = "image indexed already, blobs trusted, wall"
    if trust:
        wall = median(runs[f"ours, `{trust}`"], "wall")
        bench.report.target(f"{what} (`{trust}`)", "", seconds(wall), seconds(wall), "≤ 50 ms", wall <= 0.05)
    else:
        bench.report.target(what, "", "no such option", "", "≤ 50 ms", False)
    costs(bench, "Image indexed already: all costs", runs)


@case("start-up", TINY)
def start_up(bench: Bench) -> None:
    layers = bench.layers(*TINY)
    turns = {
        "`true`": plain("true"),
        "ours": commands.ours(layers),
        "ours, again": commands.again(layers),
        "ours, `--dry-run`": commands.ours(layers, "--dry-run", writes=False),
    }
    runs = rounds("start-up", turns, max(10, 2 * bench.scale.runs))
    wall = median(runs["ours"], "wall")
    bench.report.target(
        "start-up: a tiny layout, wall (other: `true`)", seconds(median(runs["`true`"], "wall")), seconds(wall),
        seconds(wall), "≤ 15 ms", wall <= 0.015,
    )
    costs(bench, "Tiny layout", runs)
