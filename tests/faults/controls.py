"""The checks are checked: a layout in which one thing is wrong must be refused by them."""

import shutil
from pathlib import Path

import pool
import supervise
from layouts import LOCK, Fault, need
from scenarios import build_all

SCENARIO = "V2, first run"


def run(tally, context):
    tally.suite("The checks refuse what they must (controls)")
    (scenario,) = build_all(context.binary, context.place / "controls", (SCENARIO,))
    cases = [(scenario, damage) for damage in DAMAGES]
    tally.add("a damaged layout", pool.each(refused, cases, [damage.__doc__ for damage in DAMAGES]))
    cases = [(context.binary, scenario, name) for name in ("renameat", "write")]
    tally.add("a call that only says that it was done", pool.each(lied, cases, [case[2] for case in cases]))
    shutil.rmtree(context.place / "controls")


def refused(scenario, damage):
    layout = scenario.layout(pool.here())
    try:
        shutil.rmtree(layout)
        shutil.copytree(scenario.place / "new", layout)
        scenario.baseline.settled(layout)
        damage(layout, scenario.baseline)
        try:
            scenario.baseline.settled(layout)
        except Fault:
            return
        need(False, "was not noticed")
    finally:
        scenario.discard(layout)


def lied(binary, scenario, name):
    """A call is answered with success and not done: a rename with 0, a write with the length it was given."""
    number = max(call.number for call in scenario.calls if call.name == name)
    layout = scenario.layout(pool.here())
    try:
        decide = lambda call, pid: supervise.LIE if call.number == number else supervise.CONTINUE
        supervise.run(binary, scenario.arguments, layout, decide)
        try:
            scenario.baseline.settled(layout)
        except Fault:
            return
        need(False, "was not noticed")
    finally:
        scenario.discard(layout)


def _new_blob(layout, baseline):
    return Path(layout) / max(baseline.new.keys() - baseline.old.keys())


def _old_blob(layout, baseline):
    return Path(layout) / max(path for path in baseline.old if path.startswith("blobs/sha256/"))


def _overwrite(path, content):
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(mode & 0o7777)


def blob_cut(layout, baseline):
    """a new blob is cut short"""
    path = _new_blob(layout, baseline)
    _overwrite(path, path.read_bytes()[:-1])


def blob_flipped(layout, baseline):
    """a new blob has the right size and the wrong content"""
    path = _new_blob(layout, baseline)
    content = path.read_bytes()
    _overwrite(path, content[:-1] + bytes([content[-1] ^ 1]))


def blob_missing(layout, baseline):
    """a new blob is missing"""
    _new_blob(layout, baseline).unlink()


def blob_mode(layout, baseline):
    """a new blob has another mode"""
    _new_blob(layout, baseline).chmod(0o600)


def old_blob_touched(layout, baseline):
    """an old blob was written again with the same content"""
    path = _old_blob(layout, baseline)
    _overwrite(path, path.read_bytes())


def old_blob_missing(layout, baseline):
    """an old blob is gone without --prune"""
    superseded = max(baseline.old.keys() - baseline.reached - {"index.json", "oci-layout", "ingest/"})
    (Path(layout) / superseded).unlink()


def index_json_other(layout, baseline):
    """index.json is neither the old nor the new one"""
    path = Path(layout) / "index.json"
    path.write_bytes(path.read_bytes() + b"\n")


def index_json_empty(layout, baseline):
    """index.json is empty"""
    (Path(layout) / "index.json").write_bytes(b"")


def temporary(layout, baseline):
    """a temporary file is left"""
    (Path(layout) / "blobs" / "sha256" / ".soci-layout-abc.tmp").touch()


def lock(layout, baseline):
    """the lock file is left"""
    (Path(layout) / LOCK).touch()


def stray(layout, baseline):
    """a file that nobody expects"""
    (Path(layout) / "blobs" / "sha256" / "tmp123").touch()


def unknown_blob(layout, baseline):
    """a sound blob that an undisturbed run does not write"""
    name = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
    (Path(layout) / "blobs" / "sha256" / name).write_bytes(b"0")


DAMAGES = (blob_cut, blob_flipped, blob_missing, blob_mode, old_blob_touched, old_blob_missing, index_json_other,
           index_json_empty, temporary, lock, stray, unknown_blob)
