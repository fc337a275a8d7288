"""Somebody else works on the layout at the same time."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import time

import pool
import supervise
from layouts import LOCK, TEMPORARY, need, reached, snapshot
from scenarios import COMMON, OTHER, V2, build_all

SCENARIOS = ("V2, first run", "V1 tagged, first run, two names", "V2 --prune, again")
PATIENCE = 10


def run(tally, context):
    tally.suite("Two at once")
    place = context.place / "meanwhile"
    scenarios = build_all(context.binary, place, SCENARIOS)
    first = scenarios[0]
    for title, act, message in CHANGES:
        cases, names = [], []
        for scenario in scenarios:
            # The first call is the lock's: index.json has not been read then, so nothing has changed. At the
            # swap itself nothing can be noticed any more: there is no rename-if-unchanged.
            before = next(call.number for call in scenario.calls if call.swaps)
            for call in scenario.calls[1:before - 1]:
                cases.append((context.binary, scenario, call.number, act, message))
                names.append(f"{scenario.name}, at call {call.number}: {call.label}")
        tally.add(title, pool.each(changed, cases, names))
    tally.add("a layer's blob is exchanged before it is read",
              pool.each(exchanged, [(context.binary, scenario) for scenario in scenarios],
                        [scenario.name for scenario in scenarios]))
    pruning = [scenario for scenario in scenarios if "--prune" in scenario.name]
    need(pruning, "no scenario prunes")
    tally.add("the old index.json is put back between the swap and --prune",
              pool.each(put_back, [(context.binary, scenario) for scenario in pruning],
                        [scenario.name for scenario in pruning]))
    single = (
        ("index.json.lock is held for good", held, LOCK),
        ("the directory's lock is held for good", held, "."),
    )
    outcomes = [(title, function, (context.binary, first, what)) for title, function, what in single]
    tally.add("a lock that is never given back", pool.each(lambda function, case: function(*case),
              [(function, case) for _, function, case in outcomes], [title for title, *_ in outcomes]))
    rounds = [(context.binary, scenario) for scenario in scenarios for _ in range(4)]
    tally.add("three processes at once", pool.each(together, rounds, [case[1].name for case in rounds]))
    cases = [(context.binary, scenario, call.number) for scenario in scenarios
             for call in scenario.calls[1::5]]
    names = [f"{scenario.name}, killed at call {number}" for _, scenario, number in cases]
    tally.add("one waits for another, which is killed", pool.each(successor, cases, names))
    cases = [(context.binary, first, call.number) for call in first.calls]
    names = [f"at call {call.number}: {call.label}" for call in first.calls]
    tally.add("no locks on the file system, and a second run in the middle of the first",
              pool.each(lockless, cases, names))
    shutil.rmtree(place)


def foreign(layout):
    """Another tool's index.json: the same images, one more annotation; put there by a rename."""
    path = layout / "index.json"
    document = json.loads(path.read_text())
    document["annotations"] = {"example.com/by": "somebody else"}
    _put(layout, json.dumps(document).encode())


def garbage(layout):
    _put(layout, b"\xff not JSON")


def written_over(layout):
    """Written in place, without a rename."""
    path = layout / "index.json"
    path.write_bytes(path.read_bytes() + b"\n")


def removed(layout):
    (layout / "index.json").unlink()


def _put(layout, content):
    other = layout / "index.json.other"
    other.write_bytes(content)
    other.rename(layout / "index.json")


CHANGED = "was changed by another process during the run; nothing was committed"
CHANGES = (
    ("index.json is replaced at any call before the swap", foreign, CHANGED),
    ("index.json is written over at any call before the swap", written_over, CHANGED),
    ("index.json is replaced by what is not JSON", garbage, ""),
    ("index.json is removed", removed, "index.json"),
)


def changed(binary, scenario, number, act, message):
    layout = scenario.layout(pool.here())
    try:
        theirs = None

        def decide(call, pid):
            nonlocal theirs
            if call.number == number and theirs is None:
                act(layout)
                theirs = snapshot(layout).get("index.json", False)
            return supervise.CONTINUE

        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(theirs is not None, f"only {len(result.calls)} calls")
        files = snapshot(layout)
        need(files.get("index.json", False) == theirs, f"the other's index.json is lost (exit {result.code})")
        need(result.code == 1, f"exit {result.code}")
        need(result.stderr.startswith("error: ") and message in result.stderr, lambda: result.stderr)
        for path, old in scenario.baseline.old.items():
            need(path == "index.json" or files.get(path) == old, lambda: f"{path} was touched")
        left = [path for path in files if path == LOCK or TEMPORARY.fullmatch(path)]
        need(not left, f"left behind: {left}")
    finally:
        scenario.discard(layout)


def exchanged(binary, scenario):
    layout = scenario.layout(pool.here())
    try:
        def decide(call, pid):
            if call.number == 1:
                for path in (layout / "blobs" / "sha256").iterdir():
                    content = path.read_bytes()
                    if content.startswith(b"\x1f\x8b"):
                        # Another inode with the same size, as a careless copy would make it.
                        path.unlink()
                        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            return supervise.CONTINUE

        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(result.code == 1 and result.stderr.startswith("error: "), f"exit {result.code}: {result.stderr}")
        files = snapshot(layout)
        need(files["index.json"] == scenario.baseline.old["index.json"], "index.json was changed")
        need(not any(path == LOCK or TEMPORARY.fullmatch(path) for path in files), "left something behind")
    finally:
        scenario.discard(layout)


def put_back(binary, scenario):
    """Who takes no lock can bring the superseded blobs back; then they must not be removed."""
    layout = scenario.layout(pool.here())
    try:
        old = (layout / "index.json").read_bytes()
        swapped = back = False

        def decide(call, pid):
            nonlocal swapped, back
            if swapped and not back:
                _put(layout, old)
                back = True
            swapped |= call.swaps
            return supervise.CONTINUE

        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(back, "there was no swap")
        need(result.code == 0, lambda: f"exit {result.code}: {result.stderr}")
        removed = [call.path for call in result.calls if call.name == "unlink" and "sha256/" in call.path]
        files = snapshot(layout)
        for path, state in scenario.baseline.old.items():
            need(files.get(path) == state or path == "index.json", lambda: f"{path} is gone; removed {removed}")
    finally:
        scenario.discard(layout)


def held(binary, scenario, what):
    layout = scenario.layout(pool.here())
    descriptor = os.open(layout / what, os.O_RDONLY if what == "." else os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        start = time.monotonic()
        result = supervise.plain(binary, scenario.arguments, layout)
        need(PATIENCE <= time.monotonic() - start < 2 * PATIENCE, "not the time that the documentation says")
        need(result.code == 1 and "locked by another process" in result.stderr, lambda: result.stderr)
        need(scenario.baseline.check(layout, leftovers=what == LOCK) == "old", "changed")
        if what == LOCK:
            need(os.path.samestat((layout / LOCK).stat(), os.fstat(descriptor)), "the other's lock is gone")
    finally:
        os.close(descriptor)
        scenario.discard(layout)


def together(binary, scenario):
    layout = scenario.layout(pool.here())
    try:
        command = [binary, *scenario.arguments, layout]
        runs = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True) for _ in range(3)]
        for process in runs:
            _, stderr = process.communicate(timeout=60)
            need(process.returncode == 0, lambda: stderr)
        scenario.baseline.settled(layout)
    finally:
        scenario.discard(layout)


def successor(binary, scenario, number):
    """The second begins while the first is in the middle, and goes on when the first is dead."""
    layout = scenario.layout(pool.here())
    second = None
    try:
        def decide(call, pid):
            nonlocal second
            if call.number != number:
                return supervise.CONTINUE
            second = subprocess.Popen([binary, *scenario.arguments, layout], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(0.15)
            need(second.poll() is None, "the second run did not wait")
            return supervise.KILL

        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(second, f"only {len(result.calls)} calls")
        _, stderr = second.communicate(timeout=60)
        need(second.returncode == 0, lambda: stderr)
        scenario.baseline.settled(layout, "new" if result.swapped else "old")
    finally:
        if second and second.poll() is None:
            second.kill()
            second.communicate()
        scenario.discard(layout)


def lockless(binary, scenario, number):
    """Without flock nobody keeps them apart. What readers see stays whole all the same."""
    layout = scenario.layout(pool.here())
    no_locks = lambda call, pid: supervise.fail(errno.ENOLCK) if call.name == "flock" else supervise.CONTINUE
    others = COMMON + V2 + OTHER
    try:
        count, second = 0, None

        def decide(call, pid):
            nonlocal count, second
            if call.name == "flock":
                return supervise.fail(errno.ENOLCK)
            count += 1
            if count == number:
                second = supervise.run(binary, others, layout, no_locks, locks=True)
                reached(snapshot(layout))
            return supervise.CONTINUE

        first = supervise.run(binary, scenario.arguments, layout, decide, locks=True)
        need(second, f"only {count} calls")
        need(first.code in (0, 1) and second.code in (0, 1), f"exits {first.code} and {second.code}")
        need(0 in (first.code, second.code), lambda: f"neither was done: {first.stderr}{second.stderr}")
        files = snapshot(layout)
        reached(files)
        for path, old in scenario.baseline.old.items():
            need(path == "index.json" or files.get(path) == old, lambda: f"{path} was touched")
        again = supervise.plain(binary, scenario.arguments, layout)
        need(again.code == 0, lambda: again.stderr)
        files = snapshot(layout)
        reached(files)
        need(not any(path == LOCK or TEMPORARY.fullmatch(path) for path in files), "left something behind")
    finally:
        scenario.discard(layout)

