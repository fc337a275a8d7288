"""The crates that are linked into the binary, from `cargo metadata` on standard input."""

import json
import sys


def linked():
    """Packages that the binary links on some target: normal dependencies, sorted by name and version."""
    metadata = json.load(sys.stdin)
    packages = {p["id"]: p for p in metadata["packages"]}
    nodes = {n["id"]: n for n in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    seen, todo = set(), [root]
    while todo:
        package = todo.pop()
        if package in seen:
            continue
        seen.add(package)
        for dep in nodes[package]["deps"]:
            if any(kind["kind"] is None for kind in dep["dep_kinds"]):
                todo.append(dep["pkg"])
    rest = sorted((packages[p] for p in seen if p != root), key=lambda p: (p["name"], p["version"]))
    return packages[root], rest
