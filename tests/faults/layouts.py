"""Copies of fixtures, and what may be found in a layout at any moment."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[2] / "testdata" / "layouts"
TEMPORARY = re.compile(r"(blobs/sha256/)?\.soci-layout-[^/]+\.tmp")
BLOB = re.compile(r"blobs/sha256/[0-9a-f]{64}")
LOCK = "index.json.lock"


class Fault(AssertionError):
    """A promise is broken."""


def need(condition, problem):
    if not condition:
        raise Fault(problem() if callable(problem) else problem)


@dataclass(frozen=True)
class File:
    content: bytes
    mode: int
    modified: int
    owner: tuple


def fixture(name, target, mode=0o444):
    """A copy with the modes that BuildKit leaves, and the empty directory it leaves."""
    target = Path(target)
    shutil.copytree(FIXTURES / name, target)
    for blob in (target / "blobs" / "sha256").iterdir():
        blob.chmod(mode)
    (target / "ingest").mkdir()
    return target


def copy(source, target):
    shutil.copytree(source, target, symlinks=True)
    owner = os.stat(source)
    if owner.st_uid != os.getuid():
        give(target, owner.st_uid)
    return Path(target)


def give(layout, owner):
    """All of it belongs to `owner` (only root can do that)."""
    os.chown(layout, owner, owner)
    for path in Path(layout).rglob("*"):
        os.chown(path, owner, owner)


def snapshot(layout):
    """Every file by its path inside the layout; directories only when they are empty."""
    files = {}
    for directory, directories, names in os.walk(layout, followlinks=True):
        for name in names:
            path = os.path.join(directory, name)
            state = os.stat(path)
            with open(path, "rb") as file:
                content = file.read()
            inside = os.path.relpath(path, layout)
            files[inside] = File(content, state.st_mode & 0o7777, state.st_mtime_ns, (state.st_uid, state.st_gid))
        if not names and not directories:
            files[os.path.relpath(directory, layout) + "/"] = None
    return files


def reached(files):
    """The blobs that readers find from index.json: each must be there with its size and digest."""
    found = set()
    documents = [("index.json", files["index.json"].content)]
    while documents:
        place, text = documents.pop()
        for descriptor in _descriptors(json.loads(text)):
            path = "blobs/" + descriptor["digest"].replace(":", "/")
            file = files.get(path)
            need(file, lambda: f"{place} refers to {descriptor['digest']}, which is missing")
            need(len(file.content) == descriptor["size"], lambda: f"{path}: not the size that {place} says")
            need(_name(file.content) == path, lambda: f"{path}: not the content of its name")
            if path not in found:
                found.add(path)
                if descriptor["mediaType"].endswith(("+json", ".v1+json")) and b'"schemaVersion"' in file.content:
                    documents.append((path, file.content))
    return found


def _descriptors(value):
    if isinstance(value, dict):
        if "digest" in value and "size" in value and "mediaType" in value:
            yield value
        for member in value.values():
            yield from _descriptors(member)
    elif isinstance(value, list):
        for member in value:
            yield from _descriptors(member)


def _name(content):
    return "blobs/sha256/" + hashlib.sha256(content).hexdigest()


@dataclass
class Baseline:
    """A layout before and after an undisturbed run."""

    old: dict
    new: dict
    prune: bool

    def __post_init__(self):
        self.reached = reached(self.new)
        reached(self.old)

    def check(self, layout, *, leftovers=False, states=("old", "new")):
        """Readers see the old or the new layout, and nothing strange lies about. Says which one it is."""
        files = snapshot(layout)
        index = files.get("index.json")
        need(index, "index.json is gone")
        same = {"old": index.content == self.old["index.json"].content,
                "new": index.content == self.new["index.json"].content}
        state = next((state for state in states if same[state]), None)
        need(state, lambda: f"index.json is not the {' or the '.join(states)} one")
        need((index.mode, index.owner) == (self.old["index.json"].mode, self.old["index.json"].owner),
             "index.json has another mode or owner")
        reached(files)
        for path, old in self.old.items():
            if path in ("index.json", LOCK) or TEMPORARY.fullmatch(path):
                continue
            pruned = same["new"] and self.prune and path not in self.new
            need(files.get(path, old) == old, lambda: f"{path} was touched")
            need(path in files or pruned, lambda: f"{path} is gone")
        for path in files.keys() - self.old.keys():
            self._newcomer(path, files[path], leftovers)
        if not leftovers:
            rest = [path for path in files if path == LOCK or TEMPORARY.fullmatch(path)]
            need(not rest, lambda: f"left behind: {', '.join(rest)}")
        return state

    def _newcomer(self, path, file, leftovers):
        if TEMPORARY.fullmatch(path) or path == LOCK:
            need(leftovers, lambda: f"{path} was left behind")
            return
        need(BLOB.fullmatch(path), lambda: f"{path} is a stray file")
        need(file.content and _name(file.content) == path, lambda: f"{path}: not the content of its name")
        undisturbed = self.new.get(path)
        need(undisturbed, lambda: f"{path}: an undisturbed run does not write it")
        need((file.mode, file.owner) == (undisturbed.mode, undisturbed.owner), lambda: f"{path}: mode or owner")

    def settled(self, layout, was="old"):
        """After the next undisturbed run all is as if nothing had happened. Returns blobs left for good.

        Only a --prune that was stopped after the swap (`was` is "new") may leave something: blobs of
        the old layout, which nothing refers to.
        """
        self.check(layout, states=("new",))
        files = snapshot(layout)
        need(reached(files) == self.reached, "other blobs are reachable than after an undisturbed run")
        lost = self.new.keys() - files.keys()
        need(not lost, lambda: f"missing after the next run: {sorted(lost)}")
        extra = files.keys() - self.new.keys()
        need(not extra or (self.prune and was == "new" and extra <= self.old.keys()),
             lambda: f"too much after the next run: {sorted(extra)}")
        return len(extra)
