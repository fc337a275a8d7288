"""Layouts for single runs: blobs are hard links to the layers, so making one costs nothing."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from places import RUNS

OCI = "application/vnd.oci.image"


def write(directory: Path, layers: list) -> Path:
    """A layout of one image with these layers."""
    shutil.rmtree(directory, ignore_errors=True)
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        os.link(layer.file, blobs / layer.digest)
    config = blob(blobs, f"{OCI}.config.v1+json", {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
    })
    manifest = blob(blobs, f"{OCI}.manifest.v1+json", {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": config,
        "layers": [descriptor(f"{OCI}.layer.v1.tar+gzip", layer.digest, layer.size) for layer in layers],
    })
    manifest["platform"] = {"architecture": "amd64", "os": "linux"}
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [manifest]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return directory


def blob(blobs: Path, media_type: str, document: dict) -> dict:
    text = json.dumps(document).encode()
    digest = hashlib.sha256(text).hexdigest()
    (blobs / digest).write_bytes(text)
    return descriptor(media_type, digest, len(text))


def descriptor(media_type: str, digest: str, size: int) -> dict:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def fresh(layers: list) -> Path:
    return write(RUNS / "layout", layers)


def files(directory: Path) -> dict:
    """All files: path, then (size, when changed, inode)."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            info = path.stat()
            found[path] = (info.st_size, info.st_mtime_ns, info.st_ino)
    return found


def gained(before: dict, after: dict) -> dict:
    """New or changed files with their sizes."""
    return {path: state[0] for path, state in after.items() if before.get(path) != state}


def ztoc_bytes(new: dict) -> int:
    """All new blobs but the documents are zTOCs."""
    total = 0
    for path, size in new.items():
        if path.parent.name == "sha256":
            with open(path, "rb") as blob:
                total += size if blob.read(1) != b"{" else 0
    return total
