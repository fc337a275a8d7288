"""An image of usual size for the picture of a run: the same bytes everywhere, whatever zlib Python has.

Layers are gzip streams of stored blocks, which need no compressor. They hold numbered files of noise.
"""

import hashlib
import io
import json
import random
import struct
import tarfile
import zlib


def layer(directory, files, size, seed):
    """(gzip blob, tar archive) of so many files of that size."""
    noise = random.Random(seed)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        path = ""
        for part in directory.split("/"):
            path = f"{path}/{part}" if path else part
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for number in range(files):
            entry = tarfile.TarInfo(f"{directory}/part-{number:04}.bin")
            entry.size = size
            tar.addfile(entry, io.BytesIO(noise.randbytes(size)))
    archive = buffer.getvalue()
    parts = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff"]
    for at in range(0, len(archive), 65535):
        piece = archive[at : at + 65535]
        last = at + 65535 >= len(archive)
        parts += [struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF), piece]
    parts.append(struct.pack("<II", zlib.crc32(archive), len(archive) & 0xFFFFFFFF))
    return b"".join(parts), archive


def write(layout):
    """An image for linux/amd64 of three layers, as BuildKit exports it."""
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data), **more}

    def document(value):
        return json.dumps(value, separators=(",", ":")).encode()

    made = [
        layer("usr/lib", 640, 48_000, 1),
        layer("opt/app/venv/lib", 900, 76_000, 2),
        layer("opt/app/src", 40, 9_000, 3),
    ]
    layers = [put(blob, "layer.v1.tar+gzip") for blob, _ in made]
    diff_ids = ["sha256:" + hashlib.sha256(archive).hexdigest() for _, archive in made]
    platform = {"architecture": "amd64", "os": "linux"}
    config = put(document({**platform, "config": {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers}
    names = {"io.containerd.image.name": "example.com/app:v1", "org.opencontainers.image.ref.name": "v1"}
    entry = put(document(manifest), "manifest.v1+json", platform=platform, annotations=names)
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    (layout / "index.json").write_bytes(document(index))
    (layout / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
