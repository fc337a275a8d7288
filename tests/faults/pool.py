"""Cases, two at a time, each in a process that has no other thread (the program is started by fork)."""

import concurrent.futures
import multiprocessing
import os
import sys
import traceback
from dataclasses import dataclass

from layouts import Fault

WORKERS = 2


@dataclass
class Outcome:
    case: str
    problem: str = ""
    value: object = None


_WORK = None


def _one(number):
    function, cases, names = _WORK
    try:
        return Outcome(names[number], "", function(*cases[number]))
    except Fault as fault:
        return Outcome(names[number], str(fault))
    except Exception:  # A broken test must be seen, and must not stop the others.
        return Outcome(names[number], traceback.format_exc())


def each(function, cases, names):
    """`function(*case)` for each case; what it raises is its problem."""
    global _WORK
    # The workers get all this by being forked, so nothing has to be packed.
    _WORK = (function, cases, names)
    context = multiprocessing.get_context("fork")
    sys.stdout.flush()
    with concurrent.futures.ProcessPoolExecutor(WORKERS, context) as pool:
        return list(pool.map(_one, range(len(cases)), chunksize=max(1, min(16, len(cases) // 8))))


def here():
    """A name that no other worker uses."""
    return f"w{os.getpid()}"
