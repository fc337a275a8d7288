"""SIGINT and SIGTERM: at every writing call, at random moments, while waiting for a lock, and twice."""

import fcntl
import os
import random
import signal
import subprocess
import time
from collections import Counter

import pool
import supervise
from layouts import LOCK, need
from scenarios import build_all

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
AT_CALLS = ("V2, first run", "V2 --prune, again")
MOMENTS = 60
SEED = 20260101


def run(tally, context):
    tally.suite("SIGINT and SIGTERM")
    scenarios = build_all(context.binary, context.place / "interrupts", AT_CALLS)
    for scenario in scenarios:
        cases = [(context.binary, scenario, call.number, number, times)
                 for call in scenario.calls for number in CODES for times in (1, 2)]
        names = [f"{times} x {number.name} at call {at}: {scenario.calls[at - 1].label}"
                 for _, _, at, number, times in cases]
        outcomes = pool.each(at_call, cases, names)
        seen = Counter(outcome.value for outcome in outcomes if outcome.value)
        tally.add(f"at every call, once and twice: {scenario.name}", outcomes,
                  ", ".join(f"exit {code} and {state} {count}" for (code, state), count in sorted(seen.items())))
    numbers = random.Random(SEED)
    cases = [(context.binary, scenarios[0], numbers.random(), numbers.choice(list(CODES))) for _ in range(MOMENTS)]
    names = [f"{number.name} after {moment:.3f} of a run" for _, _, moment, number in cases]
    outcomes = pool.each(at_moment, cases, names)
    seen = Counter(outcome.value for outcome in outcomes if outcome.value)
    tally.add(f"at random moments (seed {SEED})", outcomes,
              ", ".join(f"exit {code} and {state} {count}" for (code, state), count in sorted(seen.items())))
    cases = [(context.binary, scenarios[0], number) for number in CODES]
    tally.add("while another holds the lock", pool.each(waiting, cases, [number.name for number in CODES]))


def ended(scenario, layout, code, number, leftovers):
    """Either it was in time and all is as before, or the run was done."""
    need(code in (0, CODES[number]), f"exit {code}")
    state = scenario.baseline.check(layout, leftovers=leftovers)
    need(leftovers or code == 0 or state == "old", f"exit {code}, but readers see the {state} layout")
    need(code != 0 or state == "new", f"exit 0, but readers see the {state} layout")
    return code, state


def at_call(binary, scenario, at, number, times):
    layout = scenario.layout(pool.here())
    try:
        sent = False

        def decide(call, pid):
            nonlocal sent
            if call.number == at and not sent:
                sent = True
                os.kill(pid, number)
                if times == 2:
                    # Let the first one arrive, or the kernel makes one of the two.
                    time.sleep(0.002)
                    os.kill(pid, number)
            return supervise.CONTINUE

        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(sent, f"only {len(result.calls)} calls")
        outcome = ended(scenario, layout, result.code, number, times == 2)
        again = supervise.plain(binary, scenario.arguments, layout)
        need(again.code == 0, lambda: f"the next run failed: {again.stderr}")
        scenario.baseline.settled(layout, outcome[1])
        return outcome
    finally:
        scenario.discard(layout)


def at_moment(binary, scenario, moment, number):
    # How long it takes now, on this machine as busy as it is.
    layout = scenario.layout(pool.here())
    start = time.monotonic()
    supervise.plain(binary, scenario.arguments, layout)
    length = time.monotonic() - start
    scenario.discard(layout)
    layout = scenario.layout(pool.here())
    try:
        process = subprocess.Popen([binary, *scenario.arguments, layout], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(length * moment)
        process.send_signal(number)
        process.communicate(timeout=30)
        if process.returncode == -number:
            # Before the handlers were there, which is before anything else.
            need(scenario.baseline.check(layout) == "old", "ended by the signal after a change")
            return -number, "old"
        return ended(scenario, layout, process.returncode, number, False)
    finally:
        scenario.discard(layout)


def waiting(binary, scenario, number):
    layout = scenario.layout(pool.here())
    try:
        with open(layout / LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = subprocess.Popen([binary, *scenario.arguments, layout], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(0.5)
            need(process.poll() is None, "did not wait")
            process.send_signal(number)
            start = time.monotonic()
            process.communicate(timeout=30)
            need(process.returncode == CODES[number], f"exit {process.returncode}")
            need(time.monotonic() - start < 2, "took too long")
            need(scenario.baseline.check(layout, leftovers=True) == "old", "changed")
            need((layout / LOCK).stat().st_ino == os.fstat(lock.fileno()).st_ino, "the other's lock is gone")
    finally:
        scenario.discard(layout)
