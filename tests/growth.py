#!/usr/bin/env python3
"""The work of every command grows as its input does: counted in instructions, not in time.

    python3 tests/growth.py --binary target/debug/soci-layout [--only images ...] [--command verify ...]

Each command runs on inputs of 1, 2 and 4 parts under valgrind (cachegrind), which counts what is executed and gives
the same count on every machine. From one size to the next the additional work may at most double as the additional
input does; a loop over all images inside of a loop over all images makes it fourfold.

`plan` is not among them: it reads the processor's clock through the vDSO, which valgrind takes away.
"""

import argparse
import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
NAME = "org.opencontainers.image.ref.name"
# Additional work from 2 to 4 parts beside that from 1 to 2: 2 where work is linear, 4 where it is quadratic. What sorts or
# looks up in trees is a little over 2.
LIMIT = 2.6


class Layout:
    def __init__(self, path):
        self.path = Path(path)
        self.blobs = self.path / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        (self.path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def put(self, media_type, content):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        digest = hashlib.sha256(content).hexdigest()
        (self.blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, number, layer, **members):
        packed = gzip.compress(layer, 1, mtime=0)
        config = {"os": "linux", "architecture": "amd64", "number": number,
                  "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}}
        return {**self.put(MANIFEST, {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.put("application/vnd.oci.image.config.v1+json", config),
            "layers": [self.put("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
        }), **members}

    def finish(self, roots):
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": roots}))


def layer(number):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo(f"file{number}")
        member.size = 8
        tar.addfile(member, io.BytesIO(b"%8d" % number))
    return out.getvalue()[:3072]


def named(number):
    return {"annotations": {NAME: f"app:{number}"}}


def images(layout, count):
    """Images, each with a layer and a name of its own."""
    layout.finish([layout.image(number, layer(number), **named(number)) for number in range(count)])


def shared(layout, count):
    """Images of one layer, and so with one SOCI index."""
    layout.finish([layout.image(number, layer(0), **named(number)) for number in range(count)])


def nested(layout, count):
    """One image for many platforms."""
    platform = lambda number: {"platform": {"os": "linux", "architecture": "amd64", "variant": f"v{number}"}}
    children = [layout.image(number, layer(number), **platform(number)) for number in range(count)]
    layout.finish([{**layout.put(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}), **named(0)}])


def names(layout, count):
    """One image under many names."""
    image = layout.image(0, layer(0))
    layout.finish([{**image, **named(number)} for number in range(count)])


V2 = ("index", "--quiet", "--jobs", "1", "--min-layer-size", "0")
TAGGED = (*V2, "--index-version", "v1", "--v1-shape", "tagged")
REMOVE = ("remove", "--quiet")
# What was done before, and the command that is counted.
COMMANDS = {
    "inspect": ((V2,), ("inspect", "-v")),
    "index": ((), V2),
    "index again": ((V2,), V2),
    "index --prune": ((V2,), (*V2, "--span-size", "1MiB", "--prune")),
    "index tagged": ((V2,), TAGGED),
    "index --dry-run": ((V2,), (*V2, "--dry-run")),
    "verify": ((V2,), ("verify", "--jobs", "1")),
    "verify tagged": ((TAGGED,), ("verify", "--jobs", "1")),
    "ls": ((V2,), ("ls", "--ref", "app:0", "--platform", "linux/amd64/v0")),
    "gc": ((V2, REMOVE), ("gc", "--min-age", "0")),
    "remove": ((V2,), REMOVE),
    "remove tagged": ((TAGGED,), REMOVE),
    "diff": ((V2,), ("diff", "LAYOUT")),
}
SIZES = {"images": (images, 40), "shared": (shared, 40), "nested": (nested, 40), "names": (names, 400)}


def pax(path, records):
    """An archive whose first member has a PAX header of many records; it is refused later, for what it lacks."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("oci-layout")
        content = b'{"imageLayoutVersion":"1.0.0"}'
        member.size = len(content)
        member.pax_headers = {f"X.{number}": "v" for number in range(records)}
        tar.addfile(member, io.BytesIO(content))


def headers(path, members):
    """An archive of many members with a PAX header each."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(members):
            content = b"%d" % number
            member = tarfile.TarInfo("blobs/sha256/" + hashlib.sha256(content).hexdigest())
            member.size = len(content)
            member.pax_headers = {"X.a": "v" * 200}
            tar.addfile(member, io.BytesIO(content))


ARCHIVES = {"PAX records": (pax, 4000), "PAX headers": (headers, 200)}


def count(binary, arguments, exits=(0,)):
    """Instructions of a run."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", binary, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode not in exits or not found:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-3000:]}")
    return int(found[1].replace(",", ""))


def judge(name, counts):
    """Whether the additional work is in proportion to the additional input."""
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    # What a program does before it begins varies by about as much.
    growth = second / first if first > 100_000 else (2 if second < 1_000_000 else 99)
    good = growth <= LIMIT
    print(f"  {'ok' if good else 'FAIL'}  {name}: {' '.join(f'{n / 1e6:.1f}' for n in counts)} million, growth {growth:.2f}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", action="append", choices=[*SIZES, *ARCHIVES])
    parser.add_argument("--command", action="append", choices=COMMANDS)
    options = parser.parse_args()
    binary = str(Path(options.binary).resolve())
    good = True
    # A control: work that is quadratic must be noticed.
    assert not judge("control (quadratic, must fail)", [10**7, 4 * 10**7, 16 * 10**7])
    with tempfile.TemporaryDirectory(prefix="soci-growth-") as place:
        place = Path(place)
        for kind, (make, part) in SIZES.items():
            if options.only and kind not in options.only:
                continue
            for name, (before, command) in COMMANDS.items():
                if options.command and name not in options.command:
                    continue
                if name == "ls" and kind != "nested":
                    command = command[:3]
                counts = []
                for size in (part, 2 * part, 4 * part):
                    path = place / "layout"
                    shutil.rmtree(path, ignore_errors=True)
                    make(Layout(path), size)
                    for run in before:
                        subprocess.run([binary, *run, path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    arguments = [path if argument == "LAYOUT" else argument for argument in command]
                    # verify may find that the reference could not load what shares an index.
                    counts.append(count(binary, [*arguments, path], (0, 1) if name.startswith("verify") else (0,)))
                good &= judge(f"{kind}, {name}", counts)
        for kind, (make, part) in ARCHIVES.items():
            if options.only and kind not in options.only:
                continue
            counts = []
            for size in (part, 2 * part, 4 * part):
                make(place / "in.tar", size)
                counts.append(count(binary, ["index", "--quiet", "--jobs", "1", place / "in.tar", "--output", place / "out"], (1,)))
            good &= judge(f"archive, {kind}", counts)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
