"""Odd places: full and read-only file systems, links, shared blobs, modes, users, paths."""

import os
import resource
import shutil
import stat
import subprocess
from pathlib import Path

import layouts
import mounts
import pool
import supervise
from layouts import LOCK, TEMPORARY, need, reached, snapshot
from scenarios import COMMON, OTHER, PRUNE, SMALL, V2

FIRST = COMMON + V2 + SMALL
NOBODY = 65534
BLOBS = Path("blobs", "sha256")


def run(tally, context):
    tally.suite("Odd places")
    place = context.place / "places"
    place.mkdir()
    bench = Bench(context.binary, place)
    for title, function, parameters in TABLE:
        if function in MOUNTED and not mounts.wanted():
            tally.note(f"left out ({mounts.LEFT_OUT}): {title}")
            continue
        if function in FOR_ROOT and os.getuid() != 0:
            tally.note(f"left out (needs root): {title}")
            continue
        cases = [(function, bench, parameter) for parameter in parameters]
        tally.add(title, pool.each(_case, cases, [str(parameter) for parameter in parameters]))
    shutil.rmtree(place)


def _case(function, bench, parameter):
    place = bench.place / pool.here()
    place.mkdir()
    try:
        if function in MOUNTED:
            mounts.alone(function, bench, place, parameter)
        else:
            function(bench, place, parameter)
    finally:
        for directory, _, _ in os.walk(place):
            os.chmod(directory, 0o755)
        shutil.rmtree(place)


class Bench:
    """The layouts before and after, made once."""

    def __init__(self, binary, place):
        self.binary, self.place = binary, place
        self.old = layouts.fixture("multi-attest", place / "old")
        new = layouts.copy(self.old, place / "new")
        done = supervise.plain(binary, FIRST, new)
        need(done.code == 0, done.stderr)
        self.baseline = layouts.Baseline(snapshot(self.old), snapshot(new), False)

    def index(self, layout, arguments=FIRST, **popen):
        return supervise.plain(self.binary, arguments, layout, **popen)

    def refused(self, layout, words, **popen):
        """An error that names its cause; the old layout, nothing left over."""
        result = self.index(layout, **popen)
        need(result.code == 1, f"exit {result.code}: {result.stderr}")
        need(result.stderr.startswith("error: ") and words in result.stderr, lambda: result.stderr)
        need("hint: " in result.stderr, lambda: f"no hint: {result.stderr}")
        need(self.baseline.check(layout) == "old", "not the old layout")

    def done(self, layout, **popen):
        result = self.index(layout, **popen)
        need(result.code == 0, lambda: result.stderr)
        need(self.new_index(layout), "not the bytes of an ordinary run")
        files = snapshot(layout)
        need(reached(files) == self.baseline.reached, "other blobs are reachable than after an ordinary run")
        need(not any(path == LOCK or TEMPORARY.fullmatch(path) for path in files), "left something behind")

    def new_index(self, layout):
        return (Path(layout) / "index.json").read_bytes() == self.baseline.new["index.json"].content


# File systems

def read_only(bench, place, kind):
    if kind == "bind mount":
        layout = place / "layout"
        layouts.copy(bench.old, place / "source")
        mounts.bind_read_only(place / "source", layout)
        bench.refused(layout, "Read-only file system")
    else:
        disk = mounts.tmpfs(place / "disk", "size=8m")
        layout = layouts.copy(bench.old, disk / "layout")
        mounts.writable(disk, False)
        bench.refused(layout, "Read-only file system")
        mounts.writable(disk, True)
        bench.done(layout)


def full(bench, place, left):
    """`left` pages are free: enough for some of the blobs, never for all."""
    disk = mounts.tmpfs(place / "disk", "size=16m")
    layout = layouts.copy(bench.old, disk / "layout")
    state = os.statvfs(disk)
    used = (state.f_blocks - state.f_bfree) * state.f_frsize
    mounts.resize(disk, f"size={used + left * 4096}")
    bench.refused(layout, "No space left on device")
    mounts.resize(disk, "size=16m")
    bench.done(layout)


def without_inodes(bench, place, left):
    disk = mounts.tmpfs(place / "disk", "size=16m,nr_inodes=500")
    layout = layouts.copy(bench.old, disk / "layout")
    state = os.statvfs(disk)
    mounts.resize(disk, f"nr_inodes={state.f_files - state.f_ffree + left}")
    bench.refused(layout, "No space left on device")
    mounts.resize(disk, "nr_inodes=500")
    bench.done(layout)


def file_size_limit(bench, place, limit):
    """SIGXFSZ ends the program like a kill: old layout, and the next run cleans up."""
    layout = layouts.copy(bench.old, place / "layout")
    set_limit = lambda: (resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
                         resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    result = bench.index(layout, preexec_fn=set_limit)
    need(result.code != 0, "was not stopped")
    need(bench.baseline.check(layout, leftovers=True) == "old", "not the old layout")
    bench.done(layout)


# Links

def shared_store(bench, place, arguments):
    """All files are hard links into a store: not a byte, time or mode of the store may change."""
    store = layouts.copy(bench.old, place / "store")
    before = _inodes(store)
    layout = place / "layout"
    shutil.copytree(store, layout, copy_function=os.link)
    for run in (FIRST, arguments):
        result = bench.index(layout, run)
        need(result.code == 0, lambda: result.stderr)
        need(_inodes(store) == before, "the store was changed")
    reached(snapshot(layout))


def damaged_in_store(bench, place, damage):
    """A damaged blob under a name that the run writes: replaced in the layout, never written through."""
    store = layouts.copy(bench.old, place / "store")
    written = sorted(bench.baseline.new.keys() - bench.baseline.old.keys())
    for path in written:
        content = bench.baseline.new[path].content
        (store / path).write_bytes(b"" if damage == "empty" else content[:-1] + b"\0" if damage == "last byte"
                                   else content + b"\0")
        (store / path).chmod(0o444)
    before = _inodes(store)
    layout = place / "layout"
    shutil.copytree(store, layout, copy_function=os.link)
    bench.done(layout)
    need(_inodes(store) == before, "the store was written through")


def _inodes(store):
    states = {}
    for path in sorted(store.rglob("*")):
        state = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        states[path] = (state.st_ino, state.st_mode, state.st_mtime_ns, state.st_size, content)
    return states


def linked(bench, place, what):
    """The layout, blobs or blobs/sha256 is a symbolic link to a directory elsewhere."""
    layout = layouts.copy(bench.old, place / "layout")
    elsewhere = place / "elsewhere"
    moved = layout if what == "layout" else layout / what
    moved.rename(elsewhere)
    moved.symlink_to(elsewhere)
    bench.done(layout)
    need(moved.is_symlink(), "the link was replaced")
    after = {"layout": elsewhere / BLOBS, "blobs": elsewhere / "sha256", "blobs/sha256": elsewhere}[what]
    need(len(list(after.iterdir())) > len(list((bench.old / BLOBS).iterdir())), "the blobs went elsewhere")


def linked_index(bench, place, _):
    """index.json is a link: it becomes a file, and what it led to is untouched."""
    layout = layouts.copy(bench.old, place / "layout")
    target = place / "target.json"
    (layout / "index.json").rename(target)
    (layout / "index.json").symlink_to(target)
    content = target.read_bytes()
    bench.done(layout)
    need(target.read_bytes() == content, "the link's target was changed")


def linked_blob(bench, place, _):
    """A layer that is a link is refused, and the lock and temporary files are gone."""
    layout = layouts.copy(bench.old, place / "layout")
    blob = max((layout / BLOBS).iterdir(), key=lambda path: path.stat().st_size)
    blob.rename(place / "blob")
    blob.symlink_to(place / "blob")
    bench.refused(layout, "symbolic link")


# Modes and users

def modes(bench, place, parameter):
    """New blobs have the mode of the others, index.json keeps its own, under any umask."""
    mode, index_mode, umask = parameter
    layout = layouts.fixture("multi-attest", place / "layout", mode)
    (layout / "index.json").chmod(index_mode)
    bench.done(layout, umask=umask)
    for path in (layout / BLOBS).iterdir():
        need(stat.S_IMODE(path.stat().st_mode) == mode, f"{path.name}: {path.stat().st_mode:o}")
    need(stat.S_IMODE((layout / "index.json").stat().st_mode) == index_mode, "index.json has another mode")


def unwritable(bench, place, directory):
    """A user who may not write there: an error, nothing changed. (Root may everything.)"""
    layout = layouts.copy(bench.old, place / "layout")
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    if user:
        layouts.give(layout, NOBODY)
        # The model of owners is the old layout, so it is another one here.
        bench.baseline = layouts.Baseline(snapshot(layout), _owned(bench.baseline.new, NOBODY), False)
    (layout / directory).chmod(0o555)
    bench.refused(layout, "Permission denied", **user)
    (layout / directory).chmod(0o755)
    bench.done(layout, **user)


def foreign_owner(bench, place, owner):
    """Root works on a user's layout: all of it still belongs to the user."""
    layout = layouts.copy(bench.old, place / "layout")
    layouts.give(layout, owner)
    bench.done(layout)
    for path in layout.rglob("*"):
        need((path.stat().st_uid, path.stat().st_gid) == (owner, owner), f"{path.name} has another owner")


def _owned(files, owner):
    return {path: file and layouts.File(file.content, file.mode, file.modified, (owner, owner))
            for path, file in files.items()}


# Paths

def spelled(bench, place, spelling):
    """The same layout under another spelling of its path."""
    layout = layouts.copy(bench.old, place / "layout")
    deep = os.fsencode(place) + b"/not\xffUTF-8 \n'"
    paths = {"relative": (place, "layout"), "dot": (layout, "."), "from inside": (layout / "blobs", ".."),
             "slashes": (place, "layout//"), "dots": (place, "./layout/blobs/..")}
    if spelling == "not UTF-8":
        os.rename(layout, deep)
        result = subprocess.run([bench.binary, *FIRST, deep], capture_output=True)
        need(result.returncode == 0, lambda: result.stderr)
        os.rename(deep, layout)
        need(bench.new_index(layout), "not the bytes of an ordinary run")
        return
    directory, path = paths[spelling]
    result = supervise.plain(bench.binary, FIRST, path, cwd=directory)
    need(result.code == 0, lambda: result.stderr)
    need(bench.new_index(layout), "not the bytes of an ordinary run")
    bench.baseline.settled(layout)


MODES = [(mode, index, umask) for mode in (0o444, 0o644, 0o640, 0o600) for index in (0o644, 0o600, 0o664)
         for umask in (0o000, 0o022, 0o077)]

TABLE = (
    ("read-only file system", read_only, ("bind mount", "tmpfs")),
    ("full file system, with so many free pages", full, (0, 1, 2, 10, 41, 42, 50, 70, 80, 90, 95, 100)),
    ("no free inodes but so many", without_inodes, (0, 1, 2, 5, 11)),
    ("limit on the size of a file", file_size_limit, (0, 100, 1000, 100_000)),
    ("hard links into a shared store, first run, then again", shared_store,
     (FIRST, COMMON + V2 + OTHER, COMMON + V2 + OTHER + PRUNE)),
    ("damaged blobs that are hard links into a store", damaged_in_store, ("empty", "last byte", "one more byte")),
    ("a directory that is a symbolic link", linked, ("layout", "blobs", "blobs/sha256")),
    ("index.json is a symbolic link", linked_index, ("index.json",)),
    ("a blob is a symbolic link", linked_blob, ("blob",)),
    ("modes of blobs and index.json, umask", modes, MODES),
    ("a directory that the user may not write to", unwritable, ("blobs/sha256", ".")),
    ("another user's layout", foreign_owner, (NOBODY, 12345)),
    ("spellings of the path", spelled, ("relative", "dot", "from inside", "slashes", "dots", "not UTF-8")),
)
MOUNTED = (read_only, full, without_inodes)
FOR_ROOT = (foreign_owner,)
