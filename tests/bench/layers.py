"""Compressed layers, kept with what a layout must know of them."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import tars
from places import BIN
from tools import quietly, say

# Part of the cache's key: to be raised when the same name gives other bytes.
RECIPE = 1


@dataclass(frozen=True)
class Layer:
    """One compressed layer. `digest` and `diff_id` without `sha256:`."""

    digest: str
    size: int
    diff_id: str
    uncompressed: int
    file: Path


def get(data: Path, name: str) -> Layer:
    """The layer TAR.METHOD, which must have been made."""
    known = json.loads(record(data, name).read_text())
    return Layer(**known, file=record(data, name).with_suffix(".gz"))


def make(data: Path, names: list) -> None:
    """Makes those that are missing, each tar only once."""
    missing = {}
    for name in names:
        tar, method = name.rsplit(".", 1)
        if not record(data, name).exists() and method not in missing.get(tar, ()):
            missing.setdefault(tar, []).append(method)
    record(data, "any").parent.mkdir(parents=True, exist_ok=True)
    for tar, methods in missing.items():
        say(f"making layer {tar} ({', '.join(methods)})")
        file = data / "layer.tar"
        tars.write(data, tar, file)
        for method in methods:
            one(data, f"{tar}.{method}", method, file)
        file.unlink()


def record(data: Path, name: str) -> Path:
    return data / f"layers-{RECIPE}" / f"{name}.json"


def one(data: Path, name: str, method: str, tar: Path) -> None:
    file = record(data, name).with_suffix(".gz")
    file.unlink(missing_ok=True)
    compress(method, tar, file)
    file.chmod(0o444)
    diff_id, uncompressed = digest_of_content(file)
    with open(file, "rb") as blob:
        digest = hashlib.file_digest(blob, "sha256").hexdigest()
    known = {"digest": digest, "size": file.stat().st_size, "diff_id": diff_id, "uncompressed": uncompressed}
    record(data, name).write_text(json.dumps(known))


def compress(method: str, tar: Path, file: Path) -> None:
    if method == "pigz":
        with open(file, "wb") as out:
            subprocess.run(["pigz", "--no-name", "--stdout", tar], stdout=out, check=True)
    elif method == "bgzip":
        with open(file, "wb") as out:
            subprocess.run(["bgzip", "--stdout", tar], stdout=out, check=True)
    else:
        quietly([BIN / "bench-gz", method, tar, file])


def digest_of_content(file: Path) -> tuple:
    """Of what comes out again, so a compressor that fails is seen here."""
    digest, length = hashlib.sha256(), 0
    with subprocess.Popen(["gzip", "-dc", file], stdout=subprocess.PIPE) as inflate:
        while block := inflate.stdout.read(1 << 20):
            digest.update(block)
            length += len(block)
    if inflate.returncode:
        raise SystemExit(f"bench: {file.name} does not inflate")
    return digest.hexdigest(), length
