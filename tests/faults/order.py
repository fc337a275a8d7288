"""What survives a loss of power: the recorded order of writes, syncs and renames (from strace).

A rule looks at the events of one run. Each rule is also shown a doctored record (its control) and must
refuse it, or it would prove nothing. The record is a second witness as well: every call in it that can
write must have been seen by `supervise`.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, replace

import pool
import supervise
from layouts import Fault, need
from scenarios import build_all
from syscalls import CALLS

BLOBS = "blobs/sha256"
# Calls that leave what they are used on as it is; `openat` is looked at by its flags.
READING = {"read", "pread64", "readv", "close", "statx", "newfstatat", "fstat", "stat", "lstat", "lseek",
           "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "fcntl", "fadvise64",
           "readahead", "flock", "execve", "getcwd", "ioctl", "dup", "dup2", "dup3", "statfs", "fstatfs"}
LINE = re.compile(r"^(\d+)\s+(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$")
UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True)
class Event:
    """A call that ended well; `begin` and `end` are places in the record."""

    name: str
    path: str
    to: str
    begin: int
    end: int
    text: str

    def into(self, directory):
        return self.name.startswith("rename") and os.path.dirname(self.to) == directory and self.to != "index.json"

    @property
    def swaps(self):
        return self.name.startswith("rename") and self.to == "index.json"


def record(binary, arguments, layout, trace, every=False):
    """Events on the layout, in the order in which they began."""
    names = "all" if every else ",".join(sorted(CALLS))
    # A name with ? may be unknown to this machine's kernel.
    names = names if every else ",".join("?" + name for name in names.split(","))
    command = ["strace", "-f", "-y", "-s", "4096", "-e", f"trace={names}", "-e", "signal=none", "-o", trace,
               binary, *arguments, layout]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    need(done.returncode == 0, lambda: f"exit {done.returncode}: {done.stderr}")
    with open(trace) as file:
        return parse(file.read().splitlines(), os.path.realpath(layout))


def parse(lines, root):
    events, open_calls = [], {}
    for number, line in enumerate(lines):
        if match := RESUMED.match(line):
            thread, name, rest = match.groups()
            begin, _, start = open_calls.pop(thread)
            events.append(_event(name, start + rest, begin, number, root))
        elif match := LINE.match(line):
            thread, name, rest = match.groups()
            if rest.endswith(UNFINISHED.strip()):
                open_calls[thread] = (number, name, rest.removesuffix(UNFINISHED.strip()).rstrip())
            else:
                events.append(_event(name, rest, number, number, root))
    return sorted((event for event in events if event), key=lambda event: event.begin)


def _event(name, text, begin, end, root):
    if re.search(r"\) += -1 ", text):
        return None
    arguments = text.rsplit(") ", 1)[0]
    if "path" in CALLS.get(name, {}):
        found = re.findall(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', arguments)
        paths = [os.path.join(directory, path) for directory, path in found]
    else:
        paths = re.findall(r"^\d+<([^>]*)>", arguments) or re.findall(r'"(/[^"]*)"', arguments)
    inside = [_inside(path, root) for path in paths]
    if not inside or inside[0] is None:
        return None
    return Event(name, inside[0], inside[1] if len(inside) > 1 else "", begin, end, text)


def _inside(path, root):
    path = os.path.normpath(path.removesuffix(" (deleted)"))
    if path != root and not path.startswith(root + "/"):
        return None
    return os.path.relpath(path, root)


# Rules: each raises Fault when its promise is not kept.

def _syncs(events, path):
    return [event for event in events if event.name in ("fsync", "fdatasync") and event.path == path]


def _swap(events):
    return next((event for event in events if event.swaps), None)


def blobs_synced_before_any_rename(events):
    renames = [event for event in events if event.into(BLOBS)]
    for blob in renames:
        done = [sync.end for sync in _syncs(events, blob.path)]
        need(done, f"{blob.to} was never synced")
        need(min(done) < renames[0].begin, f"{blob.to} was synced after the first rename")


def nothing_changes_after_its_sync(events):
    for sync in events:
        if sync.name in ("fsync", "fdatasync") and sync.path not in (".", BLOBS):
            late = [event for event in events if event.path == sync.path and event.begin > sync.begin
                    and event.name in ("write", "pwrite64", "writev", "fchmod", "fchown", "ftruncate")]
            need(not late, lambda: f"{late[0].name} on {sync.path} after its sync")


def blobs_directory_synced_before_the_swap(events):
    swap = _swap(events)
    if swap is None:
        return
    last = max((event.end for event in events if event.into(BLOBS)), default=-1)
    need(any(last < sync.begin and sync.end < swap.begin for sync in _syncs(events, BLOBS)),
         "no sync of blobs/sha256 between the last rename and the swap of index.json")


def index_json_synced_before_the_swap(events):
    if swap := _swap(events):
        need(any(sync.end < swap.begin for sync in _syncs(events, swap.path)), "index.json was not synced first")


def layout_directory_synced_after_the_swap(events):
    if swap := _swap(events):
        need(any(sync.begin > swap.end for sync in _syncs(events, ".")), "the layout directory was not synced")


def pruned_only_after_the_swap_is_durable(events):
    pruned = [event for event in events if event.name.startswith("unlink") and event.path.startswith(BLOBS)
              and ".soci-layout-" not in event.path]
    swap = _swap(events)
    for event in pruned:
        if swap:
            durable = any(swap.end < sync.begin and sync.end < event.begin for sync in _syncs(events, "."))
        else:
            # gc: the index.json that is there may have been written by somebody who did not sync it.
            durable = all(any(sync.end < event.begin for sync in _syncs(events, path))
                          for path in ("index.json", "."))
        need(durable, f"{event.path} was removed before the present index.json was durable")


def lock_removed_last(events):
    last = events[-1]
    need(last.name.startswith("unlink") and last.path == "index.json.lock", f"the last call is {last.name} {last.path}")


def blobs_never_opened_for_writing(events):
    for event in events:
        if event.name.startswith("open") and re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", event.text):
            need(".soci-layout-" in event.path or event.path == "index.json.lock", f"{event.path} opened for writing")


# Controls: records in which one thing is wrong.

def _without(events, *unwanted):
    return [event for event in events if event not in unwanted]


def _late(events, event):
    """The event happens at the very end instead."""
    end = max(event.end for event in events)
    return _without(events, event) + [replace(event, begin=end + 1, end=end + 2)]


def _first_rename(events):
    return next(event for event in events if event.into(BLOBS))


def one_blob_synced_late(events):
    return _late(events, _syncs(events, _first_rename(events).path)[0])


def written_after_its_sync(events):
    path = _first_rename(events).path
    return _late(events, next(event for event in events if event.name == "write" and event.path == path))


def blobs_directory_never_synced(events):
    return _without(events, *_syncs(events, BLOBS))


def index_json_never_synced(events):
    return _without(events, *_syncs(events, _swap(events).path))


def layout_directory_synced_before(events):
    early = replace(_syncs(events, ".")[0], begin=-2, end=-1)
    return [early, *_without(events, *_syncs(events, "."))]


def pruned_at_once(events):
    return [Event("unlink", BLOBS + "/" + 64 * "0", "", -2, -1, ""), *events]


def lock_removed_early(events):
    return [events[-1], *events[:-1]]


def blob_truncated(events):
    return [*events, Event("openat", BLOBS + "/" + 64 * "0", "", 0, 0, "O_WRONLY|O_TRUNC")]


RULES = (
    ("all blobs are synced before the first is renamed", blobs_synced_before_any_rename, one_blob_synced_late),
    ("nothing changes in a file after its sync", nothing_changes_after_its_sync, written_after_its_sync),
    ("blobs/sha256 is synced before index.json is swapped", blobs_directory_synced_before_the_swap,
     blobs_directory_never_synced),
    ("the new index.json is synced before it is swapped in", index_json_synced_before_the_swap,
     index_json_never_synced),
    ("the layout directory is synced after the swap", layout_directory_synced_after_the_swap,
     layout_directory_synced_before),
    ("blobs are pruned only after that", pruned_only_after_the_swap_is_durable, pruned_at_once),
    ("the lock is removed last", lock_removed_last, lock_removed_early),
    ("no blob is ever opened for writing", blobs_never_opened_for_writing, blob_truncated),
)


def run(tally, context):
    tally.suite("The recorded order (strace)")
    need(shutil.which("strace"), "strace is missing: tests/setup.sh installs it")
    place = context.place / "order"
    scenarios = build_all(context.binary, place)
    runs = [(scenario.name, scenario, scenario.arguments) for scenario in scenarios]
    # The same with as many threads as there are processors.
    runs += [(f"{scenario.name}, default jobs", scenario, _default_jobs(scenario.arguments))
             for scenario in scenarios[:3]]
    recorded = pool.each(_recorded, [(context.binary, scenario, arguments) for _, scenario, arguments in runs],
                         [title for title, *_ in runs])
    tally.add("recorded", recorded, f"{sum(len(outcome.value or ()) for outcome in recorded)} events")
    good = [outcome for outcome in recorded if not outcome.problem]
    killed = [scenario for scenario in scenarios if any(call.swaps for call in scenario.calls)]
    after = pool.each(_after_a_kill, [(context.binary, scenario) for scenario in killed],
                      [f"{scenario.name}, after a kill before blobs/sha256 was synced" for scenario in killed])
    good += [outcome for outcome in after if not outcome.problem]
    tally.add("recorded after a kill before blobs/sha256 was synced", after)
    for title, rule, control in RULES:
        outcomes = [_judged(rule, outcome) for outcome in good]
        tally.add(title, outcomes)
        tally.add("  and its control is refused", [_refused(rule, control, good[0])])
    cases = [(context.binary, scenario) for scenario in scenarios]
    outcomes = pool.each(_complete, cases, [scenario.name for scenario in scenarios])
    tally.add("strace and the supervisor see the same writing calls", outcomes,
              f"{sum(outcome.value or 0 for outcome in outcomes)} calls")
    shutil.rmtree(place)


def _default_jobs(arguments):
    at = arguments.index("--jobs")
    return arguments[:at] + arguments[at + 2:]


def _recorded(binary, scenario, arguments):
    layout = scenario.layout(pool.here())
    try:
        return record(binary, arguments, layout, str(layout) + ".trace")
    finally:
        scenario.discard(layout)


def _after_a_kill(binary, scenario):
    """All blobs have their names, but nobody knows whether the disk knows: the next run must see to it."""
    layout = scenario.layout(pool.here())
    try:
        at_sync = lambda call, pid: (supervise.KILL if call.name == "fsync" and call.path == BLOBS
                                     else supervise.CONTINUE)
        result = supervise.run(binary, scenario.arguments, layout, at_sync)
        need(result.code == -9, f"was not killed: exit {result.code}")
        return record(binary, scenario.arguments, layout, str(layout) + ".trace")
    finally:
        scenario.discard(layout)


def _judged(rule, outcome):
    try:
        rule(outcome.value)
        return pool.Outcome(outcome.case)
    except Fault as fault:
        return pool.Outcome(outcome.case, str(fault))


def _refused(rule, control, outcome):
    try:
        rule(control(outcome.value))
    except Fault:
        return pool.Outcome("control")
    return pool.Outcome("control", f"{control.__name__} was not noticed: the rule proves nothing")


def _complete(binary, scenario):
    """Whatever strace sees on the layout is a reading call, or one that the supervisor saw as well."""
    layout = scenario.layout(pool.here())
    try:
        events = record(binary, scenario.arguments, layout, str(layout) + ".trace", every=True)
    finally:
        scenario.discard(layout)
    seen = Counter()
    for event in events:
        if event.name.startswith("open") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", event.text):
            continue
        if event.name in READING:
            continue
        if event.name == "mmap":
            need("MAP_SHARED" not in event.text or "PROT_WRITE" not in event.text, "written through a mapping")
            continue
        need(event.name in CALLS, f"nobody watches {event.name}")
        seen[event.name] += 1
    supervised = Counter(call.name for call in scenario.calls)
    need(seen == supervised, f"strace saw {dict(seen)}, the supervisor {dict(supervised)}")
    return sum(seen.values())
