"""The commands that are compared: ours, the reference, and the limits."""

import os
import re
import shlex
import shutil
import subprocess

import layouts
import measure
import tools
from measure import Command
from places import BIN, OURS, RUNS


def ours(layers: list, *options, writes: bool = True) -> Command:
    """Indexing a fresh layout of these layers; tells what the layout gained."""
    before = {}

    def argv():
        layout = layouts.fresh(layers)
        before.clear()
        before.update(layouts.files(layout))
        return index(layout, *options)

    return Command(argv, lambda: gain(before, RUNS / "layout", writes))


def index(layout, *options) -> list:
    return [OURS, "index", layout, "--progress", "quiet", "--min-layer-size", "0", "--min-saving", "0", *options]


def gain(before: dict, layout, writes: bool) -> dict:
    new = layouts.gained(before, layouts.files(layout))
    ztocs = layouts.ztoc_bytes(new)
    if bool(ztocs) != writes:
        raise SystemExit("bench: a run made no zTOC, or made one that it should not")
    shutil.rmtree(layout)
    return {"gained": sum(new.values()), "ztocs": ztocs}


def again(layers: list, *options) -> Command:
    """Indexing a layout that is indexed already; it is made here, once."""
    layout = layouts.write(RUNS / "-".join(["indexed", *options]), layers)
    measure.once(index(layout))
    before = layouts.files(layout)

    def after():
        if layouts.files(layout) != before:
            raise SystemExit("bench: a second run changed the layout")
        return {}

    return Command(lambda: index(layout, *options), after)


def reference(layers: list) -> Command:
    """The reference's conversion, copies included. Its dirty pages are not left to the next one."""
    out = RUNS / "converted"

    def argv():
        return [BIN / "peer", "convert", "-min-layer-size", "0", layouts.fresh(layers), out]

    def after():
        shutil.rmtree(out)
        os.sync()
        return {}

    return Command(argv, after)


def inflaters() -> dict:
    """Bare inflate with one thread: name, then the arguments before the file's name."""
    found = {}
    for name in ("igzip", "libdeflate-gzip"):
        if tools.have(name):
            found[name] = [name, "-d", "-c"]
    if program := tools.rapidgzip():
        found["rapidgzip"] = [program, "-P", "1", "-d", "-c"]
    return found


def hashers() -> dict:
    candidates = {"openssl": ["openssl", "dgst", "-sha256"], "sha256sum": ["sha256sum"]}
    return {name: argv for name, argv in candidates.items() if tools.have(argv[0])}


def one_after_the_other(argv: list, files: list) -> Command:
    if len(files) == 1:
        return measure.plain(*argv, files[0])
    start = shlex.join(str(a) for a in argv)
    return measure.plain("sh", "-ec", "\n".join(f"{start} {shlex.quote(str(f))}" for f in files))


def fastest(candidates: dict, files: list) -> tuple:
    """Of three runs each over these files, the best one's name and command."""
    made = {name: one_after_the_other(argv, files) for name, argv in candidates.items()}
    best = dict.fromkeys(made, float("inf"))
    for _ in range(3):
        for name, command in made.items():
            best[name] = min(best[name], measure.run(command).wall)
    name = min(best, key=best.get)
    return name, made[name]


def inflate(layers: list) -> tuple:
    return fastest(inflaters(), [layer.file for layer in layers])


def sha256(layers: list) -> tuple:
    return fastest(hashers(), [layer.file for layer in layers])


def trusting_option():
    """The option that takes blobs for what they are called, once there is one."""
    text = subprocess.run([OURS, "index", "--help"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"--[a-z-]*trust[a-z-]*", text)
    return found and found.group()
