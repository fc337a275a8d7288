"""The file system says no: an errno at every writing call; interrupted calls and short writes."""

import errno
import shutil
from collections import Counter

import pool
import supervise
from layouts import LOCK, TEMPORARY, need, reached, snapshot
from scenarios import build_all

ERRNOS = ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES")
# Each call with two of them, so that each kind of call meets all.
STEPS = (0, 2)
# POSIX lets these be interrupted; a rename or unlink is not.
INTERRUPTIBLE = ("openat", "write", "fchmod", "fsync", "flock")
# Where flock does not work, the run goes on without; any other failure of it is one.
FLOCK = (("ENOTSUP", 0), ("ENOLCK", 0), ("ENOSYS", 0), ("EIO", 1), ("EBADF", 1))

OLD, NEW = "old", "new"

# What file systems answer that cannot sync a directory.
UNSYNCABLE = ("EINVAL", "ENOTSUP")


def run(tally, context):
    tally.suite("An error at every writing call, then run again")
    scenarios = build_all(context.binary, context.place / "errors")
    used, left = Counter(), 0
    for scenario in scenarios:
        cases = [(context.binary, scenario, call.number, ERRNOS[(call.number + step) % len(ERRNOS)])
                 for call in scenario.calls for step in STEPS]
        names = [f"{error} at call {number}: {scenario.calls[number - 1].label}"
                 for _, _, number, error in cases]
        outcomes = pool.each(refused, cases, names)
        seen = Counter(outcome.value[:2] for outcome in outcomes if outcome.value)
        left += sum(1 for outcome in outcomes if outcome.value and outcome.value[2])
        used.update(error for *_, error in cases)
        tally.add(scenario.name, outcomes,
                  f"exit 1 and old {seen[1, OLD]}, exit 1 and new {seen[1, NEW]}, harmless {seen[0, NEW] + seen[0, OLD]}")
    tally.note(f"errors: {sum(used.values())} in {len(scenarios)} scenarios; "
               + ", ".join(f"{error} {count}" for error, count in sorted(used.items())))
    tally.note(f"errors inside --prune after which superseded blobs stay for good: {left}")

    tally.suite("What must not matter, and flock")
    each = [(context.binary, scenario) for scenario in scenarios]
    titles = [scenario.name for scenario in scenarios]
    tally.add("every call that can be interrupted is, once (EINTR)", pool.each(interrupted, each, titles))
    outcomes = pool.each(short, each, titles)
    tally.add("every write is done by half", outcomes,
              f"{sum(outcome.value or 0 for outcome in outcomes)} halves")
    cases = [(context.binary, scenarios[0], lock, error, code) for lock in (1, 2) for error, code in FLOCK]
    names = [f"{error} from flock {lock}" for _, _, lock, error, _ in cases]
    tally.add("flock fails: goes on without a lock where there are none", pool.each(unlocked, cases, names))
    cases = [(context.binary, scenario, error) for scenario in scenarios for error in UNSYNCABLE]
    names = [f"{error}: {scenario.name}" for _, scenario, error in cases]
    tally.add("a file system that cannot sync directories", pool.each(unsyncable, cases, names))
    shutil.rmtree(context.place / "errors")


def expectation(call, swapped):
    """Exit code and layout when this call fails."""
    if call.name == "unlink" and call.path == LOCK:
        # An empty file that the next run (or BuildKit) takes for its own lock.
        return 0, NEW
    if call.name == "fchown":
        return 0, NEW  # Documented: the owner is kept where that is possible.
    return 1, NEW if swapped else OLD


def refused(binary, scenario, number, error):
    layout = scenario.layout(pool.here())
    try:
        failing = supervise.fail(getattr(errno, error))
        decide = lambda call, pid: failing if call.number == number else supervise.CONTINUE
        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(len(result.calls) >= number, f"only {len(result.calls)} calls")
        call = result.calls[number - 1]
        swapped = any(earlier.swaps for earlier in result.calls[:number - 1])
        code, expected = expectation(call, swapped)
        need(result.code == code, lambda: f"exit {result.code}, not {code}: {result.stderr}")
        if call.name == "fchown":
            # The files are this user's then, which is all that differs.
            files = snapshot(layout)
            need(files["index.json"].content == scenario.baseline.new["index.json"].content, "not the new layout")
            need(reached(files) == scenario.baseline.reached, "other blobs than after an undisturbed run")
            return code, NEW, 0
        # What cannot be removed stays: here that is the very thing that was refused.
        stuck = call.name == "unlink" and (call.path == LOCK or call.path.endswith("*.tmp"))
        base = scenario.baseline
        # Without the lock nobody may clean up after an earlier run.
        stuck |= call.path == LOCK and any(TEMPORARY.fullmatch(path) for path in base.old)
        state = base.check(layout, leftovers=stuck)
        nothing = base.old["index.json"].content == base.new["index.json"].content
        need(state == expected or nothing, f"readers see the {state} layout, not the {expected} one")
        if code == 1:
            need(result.stderr.startswith("error: "), lambda: f"no `error:`: {result.stderr!r}")
            need(result.stdout == "", lambda: f"standard output after an error: {result.stdout}")
            cause = errno_text(error)
            need(cause in result.stderr, lambda: f"the cause ({cause}) is not told: {result.stderr!r}")
        again = supervise.plain(binary, scenario.arguments, layout)
        need(again.code == 0, lambda: f"the next run failed: {again.stderr}")
        return code, state, scenario.baseline.settled(layout, state)
    finally:
        scenario.discard(layout)


def errno_text(error):
    return f"(os error {getattr(errno, error)})"


def interrupted(binary, scenario):
    layout = scenario.layout(pool.here())
    try:
        waiting = {}

        def decide(call, pid):
            key = (call.thread, call.name)
            if call.name not in INTERRUPTIBLE or waiting.pop(key, False):
                return supervise.CONTINUE
            waiting[key] = True
            return supervise.fail(errno.EINTR)

        result = supervise.run(binary, scenario.arguments, layout, decide, locks=True)
        need(result.code == 0, lambda: f"exit {result.code} at {result.calls[-1].label}: {result.stderr}")
        need(not waiting, f"not tried again: {waiting}")
        scenario.baseline.settled(layout)
    finally:
        scenario.discard(layout)


def short(binary, scenario):
    layout = scenario.layout(pool.here())
    try:
        halves = 0

        def decide(call, pid):
            nonlocal halves
            if call.name != "write" or call.arguments[2] < 2:
                return supervise.CONTINUE
            halves += 1
            return supervise.SHORT

        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(result.code == 0, lambda: f"exit {result.code}: {result.stderr}")
        need(halves or not any(call.name == "write" for call in scenario.calls), "no write was cut")
        scenario.baseline.settled(layout)
        return halves
    finally:
        scenario.discard(layout)


def unsyncable(binary, scenario, error):
    """Directories refuse to be synced, all of them; files do not."""
    layout = scenario.layout(pool.here())
    try:
        refused = 0

        def decide(call, pid):
            nonlocal refused
            if call.name != "fsync" or not (layout / call.path).is_dir():
                return supervise.CONTINUE
            refused += 1
            return supervise.fail(getattr(errno, error))

        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(result.code == 0, lambda: f"exit {result.code}: {result.stderr}")
        need(refused or not any(call.name == "fsync" for call in scenario.calls), "no directory was synced")
        scenario.baseline.settled(layout)
    finally:
        scenario.discard(layout)


def unlocked(binary, scenario, lock, error, code):
    layout = scenario.layout(pool.here())
    try:
        seen = 0

        def decide(call, pid):
            nonlocal seen
            seen += call.name == "flock"
            hit = call.name == "flock" and seen == lock
            return supervise.fail(getattr(errno, error)) if hit else supervise.CONTINUE

        result = supervise.run(binary, scenario.arguments, layout, decide, locks=True)
        need(seen >= lock, f"only {seen} calls of flock")
        need(result.code == code, lambda: f"exit {result.code}, not {code}: {result.stderr}")
        # A lock file that could not be locked may be another's, so it stays.
        state = scenario.baseline.check(layout, leftovers=code == 1)
        need(state == (OLD if code else NEW), f"readers see the {state} layout")
        need(not any(TEMPORARY.fullmatch(path) for path in snapshot(layout)), "temporary files")
    finally:
        scenario.discard(layout)
