"""Archives through a pipe: beside "unpack, then index", and beside the reference on the tar.

A plain read of the same pipe into a file, synced, is what writing the bytes costs at least.
"""

import shutil

import layouts
import tools
from cases import Bench, case
from measure import Command, median, ratio, rounds
from places import BIN, OURS, RUNS
from report import seconds, size
from targets import IMAGE

# In all.
MEMORY = 128 << 20
# Over a plain synced write of the bytes, in seconds.
AFTER_LAST_BYTE = 0.3


def archive(layers: list):
    """As BuildKit orders it: the blobs, then the documents."""
    layout = layouts.write(RUNS / "packed", layers)
    file = RUNS / "image.tar"
    names = ["blobs", "index.json", "oci-layout"]
    tools.quietly(["tar", "--sort=name", "--owner=0", "--group=0", "-C", layout, "-cf", file, *names])
    shutil.rmtree(layout)
    return file


def fresh(script: str, *made) -> Command:
    """A shell script; what it makes is removed before and after."""

    def remove():
        for path in made:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def argv():
        remove()
        return ["sh", "-ec", script]

    def after():
        remove()
        return {}

    return Command(argv, after)


@case("stream", IMAGE)
def stream(bench: Bench) -> None:
    layers = bench.layers(*IMAGE)
    tar, out, unpacked = archive(layers), RUNS / "streamed", RUNS / "unpacked"
    options = "--progress quiet --min-layer-size 0"
    feed = f"cat {tar} |"
    turns = {
        "write the bytes, sync": fresh(f"{feed} dd of={out} bs=1M iflag=fullblock conv=fsync status=none", out),
        "stream": fresh(f"{feed} {OURS} index - --output {out} {options}", out),
        "the file": fresh(f"{OURS} index {tar} --output {out} {options}", out),
        "unpack, then index": fresh(
            f"mkdir {unpacked}; {feed} tar -xf - -C {unpacked}; {OURS} index {unpacked} {options}", unpacked
        ),
        "reference on the tar": fresh(
            f"mkdir {unpacked}; tar -xf {tar} -C {unpacked}; "
            f"{BIN / 'peer'} convert -min-layer-size 0 {unpacked} {out}", unpacked, out
        ),
    }
    runs = rounds("stream", turns, bench.scale.runs)
    for other in ("unpack, then index", "reference on the tar"):
        found = ratio(runs[other], runs["stream"])
        bench.report.target(
            f"{size(tar.stat().st_size)} through a pipe, wall: {other} / stream", seconds(median(runs[other], "wall")),
            seconds(median(runs["stream"], "wall")), found, "≥ 1", found.middle >= 1,
        )
    peak = max(run.peak for run in runs["stream"])
    bench.report.target("same, peak memory", "", size(peak), size(peak), f"≤ {size(MEMORY)}",
                        peak <= MEMORY)
    table = bench.report.table("An archive through a pipe", "", "wall", "CPU", "peak", "/ write the bytes")
    for name, each in runs.items():
        times = seconds(median(each, "wall")), seconds(median(each, "cpu"))
        table.add(name, *times, size(median(each, "peak")), ratio(each, runs["write the bytes, sync"]))
    after_last_byte(bench, tar, out, options)


def after_last_byte(bench: Bench, tar, out, options: str) -> None:
    """What is waited for after the last byte, when the bytes come as slowly as from a build."""
    rate = 100 << 20
    feed = f"{BIN / 'bench-feed'} {tar} {rate}"
    mark = RUNS / "last-byte"
    turns = {
        "write the bytes, sync": fresh(f"{feed} {mark} dd of={out} bs=1M iflag=fullblock conv=fsync status=none", out),
        "stream": fresh(f"{feed} {mark} {OURS} index - --output {out} {options}", out),
    }
    turns = {name: Command(command.argv, lambda after=command.after: {**after(), "late": float(mark.read_text())})
             for name, command in turns.items()}
    runs = rounds("after the last byte", turns, bench.scale.runs)
    late = {name: sorted(run.extra["late"] for run in each)[len(each) // 2] for name, each in runs.items()}
    over = late["stream"] - late["write the bytes, sync"]
    bench.report.target(
        f"{size(tar.stat().st_size)} at {size(rate)}/s: after the last byte, over a plain synced write",
        seconds(late["write the bytes, sync"]), seconds(late["stream"]), seconds(max(over, 0)),
        f"≤ {seconds(AFTER_LAST_BYTE)}", over <= AFTER_LAST_BYTE,
    )
