"""Tars out of real content. The same trees give the same bytes."""

import io
import itertools
import os
import random
import tarfile
from pathlib import Path

import content

MIB = 1 << 20
SLICES = 8


def write(data: Path, name: str, file: Path) -> None:
    """Names: `debian`, `java`, `wheel`; `size-MIB`; `slice-MIB-NUMBER`; `files-COUNT`."""
    kind, *numbers = name.split("-")
    numbers = [int(n) for n in numbers]
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT, copybufsize=MIB) as tar:
        if kind in content.TREES:
            whole_tree(tar, content.tree(data, kind))
        elif kind == "size":
            fill(tar, pool(data), numbers[0] * MIB)
        elif kind == "slice":
            fill(tar, itertools.islice(pool(data), numbers[1], None, SLICES), numbers[0] * MIB)
        elif kind == "files":
            small_files(tar, data, numbers[0])
        else:
            raise ValueError(name)


def add(tar: tarfile.TarFile, info: tarfile.TarInfo, body=None) -> None:
    info.mtime = int(info.mtime)
    tar.addfile(info, body)
    tar.members.clear()  # it would keep a million of them


def walk(tree: Path):
    for directory, names, files in os.walk(tree):
        names.sort()
        for name in sorted(names + files):
            yield Path(directory, name)


def whole_tree(tar: tarfile.TarFile, tree: Path) -> None:
    """The tree as an image's layer would have it."""
    for path in walk(tree):
        info = tar.gettarinfo(path, str(path.relative_to(tree)))
        if info is None:  # a socket
            continue
        if info.isreg():
            with open(path, "rb") as body:
                add(tar, info, body)
        else:
            add(tar, info)


def pieces(data: Path):
    """All content of the trees in pieces of at most 1 MiB, in an order that mixes them well."""
    found = []
    for name in content.TREES:
        tree = content.tree(data, name)
        for path in walk(tree):
            if path.is_file() and not path.is_symlink():
                size = path.stat().st_size
                found += [(tree, path, start, min(MIB, size - start)) for start in range(0, size, MIB)]
    random.Random(1).shuffle(found)
    return found


def pool(data: Path):
    """The pieces again and again: (name, path, start, length)."""
    found = pieces(data)
    for turn in itertools.count():
        for tree, path, start, length in found:
            part = f".{start // MIB:04}" if start or length == MIB else ""
            yield f"opt/{turn}/{path.relative_to(tree)}{part}", path, start, length


def fill(tar: tarfile.TarFile, source, size: int) -> None:
    """Files from the source until the tar has that size; the last one is cut."""
    for name, path, start, length in source:
        left = size - tar.offset - 3 * 512
        if left <= 0:
            return
        info = tarfile.TarInfo(name)
        info.size, info.mtime = min(length, left), 1_700_000_000
        with open(path, "rb") as body:
            body.seek(start)
            add(tar, info, body)


def text(data: Path) -> bytes:
    """Some MiB of source text (C headers, Python, configuration)."""
    found = bytearray()
    for name in ("wheel", "debian"):
        for path in walk(content.tree(data, name)):
            if path.suffix in (".h", ".py", ".conf", ".txt", ".json") and path.is_file():
                found += path.read_bytes()
            if len(found) > 32 * MIB:
                break
    return bytes(found)


def small_files(tar: tarfile.TarFile, data: Path, count: int) -> None:
    """Small files in packages of 100, like node_modules: 40 to 900 bytes of real text each."""
    source, chance = text(data), random.Random(2)
    for number in range(count):
        package, member = divmod(number, 100)
        info = tarfile.TarInfo(f"app/node_modules/package-{package:05}/lib/module-{member:02}.js")
        info.size, info.mtime = chance.randrange(40, 900), 1_700_000_000 + package
        start = chance.randrange(len(source) - info.size)
        add(tar, info, io.BytesIO(source[start : start + info.size]))
