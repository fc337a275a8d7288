"""The cache directory: whatever becomes of a call in it, the layout is as without a cache, and no entry is torn."""

import errno
import shutil
from collections import Counter
from pathlib import Path

import layouts
import pool
import supervise
from errors import ERRNOS, INTERRUPTIBLE
from layouts import Baseline, need, snapshot
from scenarios import COMMON, SMALL, V2

INDEX = COMMON + V2 + SMALL
# What happens to a call: nothing of it may be noticed, it may be warned of, or the run ends there.
KILLS = (supervise.KILL, supervise.HALF_KILL)


def run(tally, context):
    tally.suite("The cache at every writing call in it")
    place = context.place / "cache"
    place.mkdir()
    for title, damage in (("no directory yet", None), ("every entry is damaged", _damage)):
        bench = Bench(context.binary, place / title.replace(" ", "-"), damage)
        kinds = Counter(call.name for call in bench.calls)
        cases = [(bench, call.number, action) for call in bench.calls for action in _actions(call)]
        names = [f"{action} at call {number}: {bench.calls[number - 1].label}" for _, number, action in cases]
        outcomes = pool.each(disturbed, cases, names)
        warned = sum(1 for outcome in outcomes if outcome.value)
        tally.add(title, outcomes, f"{', '.join(f'{name} {count}' for name, count in sorted(kinds.items()))}; "
                                   f"{warned} runs with a warning")
    tally.add("control: a torn entry is seen", pool.each(control, [(bench,)], ["half an entry"]))
    shutil.rmtree(place)


def _actions(call):
    actions = [supervise.KILL, supervise.fail(getattr(errno, ERRNOS[call.number % len(ERRNOS)])),
               supervise.fail(getattr(errno, ERRNOS[(call.number + 2) % len(ERRNOS)]))]
    if call.name == "write":
        actions += [supervise.HALF_KILL, supervise.SHORT]
    if call.name in INTERRUPTIBLE:
        actions.append(supervise.fail(errno.EINTR))
    if call.name == "fsync":
        actions += [supervise.fail(errno.EINVAL), supervise.fail(errno.ENOTSUP)]
    return actions


class Bench:
    """A layout and a cache as they are before the run, what the run makes of them, and its calls in the cache."""

    def __init__(self, binary, place, damage):
        self.binary, self.place = binary, place
        self.old = layouts.fixture("multi-attest", place / "old")
        new = layouts.copy(self.old, place / "new")
        done = supervise.plain(binary, INDEX, new)
        need(done.code == 0, done.stderr)
        self.baseline = Baseline(snapshot(self.old), snapshot(new), False)
        self.full = place / "full"
        self.index(layouts.copy(self.old, place / "first"), self.full)
        self.before = None
        if damage:
            self.before = place / "before"
            shutil.copytree(self.full, self.before)
            damage(self.before)
        cache = self.cache("undisturbed")
        self.calls = self.index(layouts.copy(self.old, place / "second"), cache).calls
        need(len(self.calls) > 10, "too few calls")
        need(self.names(cache) == self.names(self.full), "other entries than in the first run")

    def cache(self, tag):
        cache = self.place / tag
        if self.before:
            shutil.copytree(self.before, cache)
        return cache

    def index(self, layout, cache, decide=None):
        arguments = (*INDEX, "--cache-dir", str(cache))
        return supervise.run(self.binary, arguments, layout, decide, watch=cache)

    def verify(self, cache):
        return supervise.plain(self.binary, ("cache", "verify", "--cache-dir"), cache)

    @staticmethod
    def names(cache):
        return sorted(path.name for path in Path(cache).iterdir()) if Path(cache).exists() else []


def _damage(cache):
    for path in cache.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])


def disturbed(bench, number, action):
    layout = layouts.copy(bench.old, bench.place / f"layout-{pool.here()}")
    cache = bench.cache(f"cache-{pool.here()}")
    try:
        decide = lambda call, pid: action if call.number == number else supervise.CONTINUE
        result = bench.index(layout, cache, decide)
        killed = action in KILLS
        need(result.code == (-9 if killed else 0), lambda: f"exit {result.code}: {result.stderr}")
        state = bench.baseline.check(layout, leftovers=killed)
        need(killed or state == "new", "not the new layout")
        entries = [name for name in bench.names(cache) if name.endswith(".ztoc")]
        for name in entries:
            content = (cache / name).read_bytes()
            whole = content == (bench.full / name).read_bytes()
            as_before = bench.before and content == (bench.before / name).read_bytes()
            need(whole or as_before, lambda: f"{name} is neither the old nor the new entry")
        rest = [name for name in bench.names(cache) if name.endswith(".tmp")]
        need(killed or not rest, lambda: f"left behind: {rest}")
        warned = "cannot be written" in result.stderr
        call = bench.calls[number - 1]
        harmless = killed or action == supervise.SHORT or call.name == "fchmod" or action[1:] in (
            (errno.EINTR,), (errno.EINVAL,), (errno.ENOTSUP,))
        need(warned != harmless, lambda: f"warning: {warned}: {result.stderr}")
        # The next run finds what is there and completes the rest.
        again = bench.index(layouts.copy(bench.old, layout.with_name(layout.name + "-again")), cache)
        need(again.code == 0, lambda: again.stderr)
        need([name for name in bench.names(cache) if name.endswith(".ztoc")] == bench.names(bench.full), "not complete")
        verified = bench.verify(cache)
        need(verified.code == 0, lambda: verified.stdout)
        return warned
    finally:
        for directory in (layout, layout.with_name(layout.name + "-again"), cache):
            shutil.rmtree(directory, ignore_errors=True)


def control(bench):
    cache = bench.place / "control"
    shutil.copytree(bench.full, cache)
    need(bench.verify(cache).code == 0, "sound entries are not taken")
    _damage(cache)
    need(bench.verify(cache).code == 1, "torn entries are not seen")
