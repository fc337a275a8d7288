"""Reads what a picture needs of a zTOC of a gzip layer: files and checkpoints. Layout: ../soci-formats.md, sections 1 and 3."""

import struct
from typing import NamedTuple


class File(NamedTuple):
    name: str
    kind: str
    offset: int
    size: int


class Checkpoint(NamedTuple):
    compressed: int
    uncompressed: int
    bits: int


class Ztoc(NamedTuple):
    compressed: int
    uncompressed: int
    files: list
    checkpoints: list

    def spans(self):
        """(first byte, end, first uncompressed byte, end) of each span; neighbours may share a byte."""
        points = self.checkpoints
        for i, point in enumerate(points):
            last = i + 1 == len(points)
            end = self.compressed if last else points[i + 1].compressed
            until = self.uncompressed if last else points[i + 1].uncompressed
            yield point.compressed - (point.bits != 0), end, point.uncompressed, until


class Table:
    """A table of a flatbuffer: fields by slot, absent ones by their default."""

    def __init__(self, data, position):
        self.data, self.position = data, position
        self.vtable = position - struct.unpack_from("<i", data, position)[0]
        self.size = struct.unpack_from("<H", data, self.vtable)[0]

    def at(self, slot):
        place = 4 + 2 * slot
        offset = struct.unpack_from("<H", self.data, self.vtable + place)[0] if place < self.size else 0
        return self.position + offset if offset else None

    def i64(self, slot):
        at = self.at(slot)
        return struct.unpack_from("<q", self.data, at)[0] if at else 0

    def target(self, slot):
        at = self.at(slot)
        return at + struct.unpack_from("<I", self.data, at)[0]

    def table(self, slot):
        return Table(self.data, self.target(slot))

    def bytes(self, slot):
        at = self.target(slot)
        length = struct.unpack_from("<I", self.data, at)[0]
        return self.data[at + 4 : at + 4 + length]

    def tables(self, slot):
        at = self.target(slot)
        for i in range(struct.unpack_from("<I", self.data, at)[0]):
            place = at + 4 + 4 * i
            yield Table(self.data, place + struct.unpack_from("<I", self.data, place)[0])


def read(data):
    root = Table(data, struct.unpack_from("<I", data, 0)[0])
    files = [
        File(f.bytes(0).decode(), f.bytes(1).decode(), f.i64(2), f.i64(3)) for f in root.table(4).tables(0)
    ]
    blob = root.table(5).bytes(3)
    count = struct.unpack_from("<i", blob, 0)[0]
    record = 8 + 8 + 1 + 32768
    assert len(blob) == 12 + count * record
    points = [struct.unpack_from("<qqB", blob, 12 + i * record) for i in range(count)]
    return Ztoc(root.i64(2), root.i64(3), files, [Checkpoint(*point) for point in points])
