"""More threads than there are processors: what the layers' chunks cost, measured, and the schedule that this gives.

The chunks are inflated, taken over and hashed one after the other by src/layer/costs.rs; the schedule follows
src/layer/threads.rs and src/layer/splitter.rs. Layers are taken one after the other, each by all threads, so that the
image's time is rather too long. Contention for caches and memory is not in it.
"""

import heapq
import os
import subprocess
from dataclasses import dataclass

import commands
from cases import Bench, case
from measure import median, ratio, rounds
from places import REPO
from report import seconds
from targets import IMAGE, limit

WAITING = 2
CHUNKS, CHUNKS_A_PLACE, CHUNK = 8, 8, 256 << 10
# Seconds for resolving the last 32 KiB of a chunk.
TAIL = 3e-5


@dataclass(frozen=True)
class Chunk:
    """A part of a blob: bytes, and seconds of one thread for each step."""

    bytes: int
    read: float
    ahead: float
    resolve: float
    walk: float
    hash: float
    # Whether it ends where the next one begins (1), and knows its end by itself (2).
    end: int


def costs(file) -> list:
    """Measured, three times; of each chunk and step the least."""
    argv = ["cargo", "test", "--release", "--locked", "--quiet", "--lib", "layer::costs", "--", "--ignored", "--nocapture"]
    environment = {**os.environ, "SOCI_LAYOUT_BLOB": str(file)}
    runs = []
    for _ in range(3):
        done = subprocess.run(argv, cwd=REPO, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        rows = [line.split(",") for line in done.stdout.splitlines() if line.count(",") == 6]
        runs.append([[float(field) for field in row] for row in rows if row[0].isdigit()])
    return [Chunk(*map(min, zip(*same))) for same in zip(*runs)]


def simulate(chunks: list, threads: int) -> float:
    """Seconds until all is hashed, by so many threads (two or more)."""
    count, helpers = len(chunks), threads - 1
    room = (CHUNKS + (WAITING + helpers) * CHUNKS_A_PLACE) * CHUNK
    # When each step of each chunk is done, once it is begun.
    read, ahead, resolved, walk, hashed = [], {}, {}, [], []
    owner, turn = {}, [0] * threads
    # Since when the history in front of a chunk is known.
    known = {}
    free = [(0.0, worker, 0) for worker in range(threads)]

    def hand_down(at, now):
        """The chunk is inflated, or taken over: does the next one have its history?"""
        if at + 1 not in known and (chunks[at].end == 2 or chunks[at].end == 1 and at in known):
            known[at + 1] = now + TAIL

    def walker(now):
        at = len(walk)
        if at == count or at >= len(read) or read[at] > now:
            return None
        left = chunks[at].ahead if at else 0.0
        resolve = chunks[at].resolve
        if at in ahead:
            left = max(0.0, ahead[at] - now)
            if left:
                # It takes the chunk over, and its helper goes elsewhere.
                turn[owner[at]] += 1
                heapq.heappush(free, (now, owner[at], turn[owner[at]]))
            elif at in resolved:
                resolve = max(0.0, resolved[at] - now)
        else:
            ahead[at] = now
            resolve = 0.0
        known.setdefault(at, now)
        hand_down(at, now + left)
        walk.append(now + left + resolve + chunks[at].walk)
        return walk[-1]

    def helper(now, worker):
        at = len(read)
        under_way = sum(chunk.bytes for chunk in chunks[sum(end <= now for end in hashed):at])
        if at < count and (not read or read[-1] <= now) and under_way < room:
            read.append(now + chunks[at].read)
            return read[-1]
        at = len(hashed)
        if at < len(walk) and walk[at] <= now and (not hashed or hashed[-1] <= now):
            hashed.append(now + chunks[at].hash)
            return hashed[-1]
        here = len(walk)
        for at in sorted(ahead):
            if at >= here and ahead[at] <= now:
                hand_down(at, max(ahead[at], known.get(at, 0.0)))
        for at in sorted(ahead):
            if at >= here and ahead[at] <= now and known.get(at, now + 1) <= now and at not in resolved:
                resolved[at] = now + chunks[at].resolve
                return resolved[at]
        at = next((at for at in range(max(1, here), len(read)) if at not in ahead), None)
        waiting = sum(begun >= here for begun in ahead)
        if at is not None and read[at] <= now and waiting < WAITING + helpers:
            ahead[at], owner[at] = now + chunks[at].ahead, worker
            return ahead[at]
        return None

    while len(hashed) < count:
        now, worker, number = heapq.heappop(free)
        if number != turn[worker]:
            continue
        end = helper(now, worker) if worker else walker(now)
        if end is None:
            # Something may be there when another one is done.
            later = [time for time, other, its in free if its == turn[other] and time > now]
            end = min(later) if later else now + 1e-4
        heapq.heappush(free, (end, worker, turn[worker]))
    return hashed[-1]


@case("threads", IMAGE)
def threads(bench: Bench) -> None:
    layers = bench.layers(*IMAGE)
    turns = {"reference": commands.reference(layers)}
    turns |= {f"--jobs {jobs}": commands.ours(layers, "--jobs", str(jobs)) for jobs in (2, 4, 8)}
    runs = rounds("threads", turns, bench.scale.runs)
    for jobs in (4, 8):
        what = f"three-layer image, CPU: `--jobs {jobs}` / `--jobs 2` on these processors"
        limit(bench, what, runs["--jobs 2"], runs[f"--jobs {jobs}"], 1.1, "cpu")
    measured = [costs(layer.file) for layer in layers]
    table = bench.report.table(
        "Threads, computed from the measured cost of each chunk", "threads", *(f"`{name}`" for name in IMAGE), "image",
        "reference / ours",
    )
    reference = median(runs["reference"], "wall")
    for number in (2, 4, 8, 16):
        each = [simulate(chunks, number) for chunks in measured]
        found = reference / sum(each)
        table.add(str(number), *map(seconds, each), seconds(sum(each)), f"{found:.1f}")
        if target := {4: 15, 8: 22}.get(number):
            what = f"three-layer image, wall, {number} threads (computed): reference / ours"
            bench.report.target(what, seconds(reference), seconds(sum(each)), f"{found:.1f}", f"≥ {target}", found >= target)
    table.add("2, measured", "", "", "", seconds(median(runs["--jobs 2"], "wall")),
              f"{ratio(runs['reference'], runs['--jobs 2']).middle:.1f}")
