#!/usr/bin/env python3
"""The shell lines of the pages for people, run one after the other as they stand there.

    people.py BINARY WORK_BIN       BINARY may also be a directory with a release, as `make dist` leaves it

Each page has a folder and a registry on loopback of its own, under the host name that the page uses, and in the folder what its
first lines take for granted: a Dockerfile, or an export of BuildKit.
"""

import json
import pathlib
import platform
import re
import shutil
import sys
import tarfile
import tempfile

import common
from common import blocks, buildkit, check, exported, registry, run, shell, source

# Every page of docs/ that has `sh` blocks is here; tests/it/docs.rs holds that.
PAGES = ["moving", "quickstart.ja", "signing", "troubleshooting"]

# What a page takes for granted.
BEFORE = {"troubleshooting": """
soci-layout index -q oci-dir
docker buildx imagetools create --prefer-index=false -t example.com/app:v1 oci-layout://oci-dir:v1
"""}


def here(block, host):
    """Loopback has no TLS, which oras wants to be told."""
    return re.sub(r"\boras (attach|discover)\b", r"oras \1 --plain-http", block).replace("example.com", host)


def play(page, folder, made, binary, binaries, builder):
    place = folder / page
    found = blocks(f"docs/{page}.md", "sh")
    if any("buildx build" in block for block in found):
        source(place)
    else:
        shutil.copytree(made, place / "oci-dir")
    (place / "sbom.spdx.json").write_text("{}")
    check(f"docs/{page}.md has lines to run", bool(found))
    with registry(place) as host:
        for number, block in enumerate([BEFORE.get(page, ""), *found]):
            if "cosign" in block and not shutil.which("cosign", path=binaries):
                print(f"left out: block {number} of docs/{page}.md needs cosign", flush=True)
                continue
            done = shell(here(block, host), place, binary, binaries, {"COSIGN_PASSWORD": "", **builder})
            check(f"block {number} of docs/{page}.md runs", done.returncode == 0, done.stdout + done.stderr)
        digest = run([f"{binaries}/crane", "digest", "--insecure", f"{host}/app:v1"]).stdout.strip()
        root = json.loads((place / "oci-dir/index.json").read_text())["manifests"][0]["digest"]
        check(f"behind the tag is what docs/{page}.md indexed", digest == root, digest)


def unpacked(release, folder):
    """The program of a release for this machine."""
    with tarfile.open(next(release.glob(f"soci-layout-*-{platform.machine()}-unknown-linux-musl.tar.gz"))) as archive:
        member = next(m for m in archive.getmembers() if m.name.endswith("/soci-layout"))
        (folder / "soci-layout").write_bytes(archive.extractfile(member).read())
    (folder / "soci-layout").chmod(0o755)
    return folder / "soci-layout"


def main():
    binary, binaries = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if binary.is_dir():
            binary = unpacked(binary, folder)
        with buildkit(folder, binaries) as builder:
            made = exported(folder, binaries, builder)
            for page in PAGES:
                play(page, folder, made, binary, binaries, builder)
    print(f"{common.PASSED} passed, {len(common.FAILED)} failed")
    return 1 if common.FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
