#!/usr/bin/env python3
"""Makes an OCI layout whose layers have large tables of contents: many empty files each.

    tables.py OUT [LAYERS [FILES]]

What a program holds in memory of such a layout is its zTOCs, about 150 bytes a file, so its peak
(`/usr/bin/time -v`) tells how many of them it holds at a time."""

import hashlib
import json
import pathlib
import sys
import zlib

BLOCK = 512


def header(template: bytearray, base: int, name: bytes) -> bytes:
    """A ustar header of that name; `base` is the sum of the template's bytes."""
    block = bytearray(template)
    block[: len(name)] = name
    block[148:156] = b"%06o\0 " % (base + sum(name))
    return bytes(block)


def layer(number: int, files: int):
    """The blob and the digest of what is in it."""
    template = bytearray(BLOCK)
    fields = [(100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (124, b"00000000000\0")]
    fields += [(136, b"14000000000\0"), (148, b" " * 8), (156, b"0"), (257, b"ustar\x0000")]
    for at, text in fields:
        template[at : at + len(text)] = text
    base = sum(template)
    packer, content, blob = zlib.compressobj(1, wbits=31), hashlib.sha256(), []
    for first in range(0, files, 1000):
        names = (b"layer%d/%06d/file-%06d" % (number, first, n) for n in range(first, min(files, first + 1000)))
        piece = b"".join(header(template, base, name) for name in names)
        content.update(piece)
        blob.append(packer.compress(piece))
    end = bytes(2 * BLOCK)
    content.update(end)
    blob += [packer.compress(end), packer.flush()]
    return b"".join(blob), content.hexdigest()


def main() -> None:
    out = pathlib.Path(sys.argv[1])
    layers, files = (int(text) for text in (sys.argv[2:] + ["8", "100000"][len(sys.argv) - 2 :]))
    blobs = out / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(media_type: str, content: bytes) -> dict:
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        return {"mediaType": media_type, "digest": "sha256:" + name, "size": len(content)}

    def document(media_type: str, value: dict) -> dict:
        return put(media_type, json.dumps(value, separators=(",", ":")).encode())

    oci = "application/vnd.oci.image."
    made, ids = [], []
    for number in range(layers):
        blob, diff_id = layer(number, files)
        made.append(put(oci + "layer.v1.tar+gzip", blob))
        ids.append("sha256:" + diff_id)
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}}
    manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json"}
    manifest |= {"config": document(oci + "config.v1+json", config), "layers": made}
    root = document(oci + "manifest.v1+json", manifest)
    root["annotations"] = {"org.opencontainers.image.ref.name": "tables"}
    index = {"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": [root]}
    (out / "index.json").write_text(json.dumps(index))
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


if __name__ == "__main__":
    main()
