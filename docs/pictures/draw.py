#!/usr/bin/env python3
"""Draws the pictures of the documentation from what the program makes.

    draw.py BINARY           writes those pictures beside this file that have changed
    draw.py BINARY --check   compares them with those that are there; times may differ

layer.svg, read.svg and documents.svg show the first layer and the documents of testdata/layouts/multi-attest, an export of
BuildKit, indexed with small spans so that there are several. run.svg shows a run on an image of usual size (sample.py).
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from xml.sax.saxutils import escape

import sample
import terminal
import ztoc

HERE = pathlib.Path(__file__).resolve().parent
LAYOUT = HERE.parents[1] / "testdata/layouts/multi-attest"
SPANS = ["#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#c9a227", "#76b7b2"]
WIDTH, LEFT, RIGHT = 960, 20, 20
BAR = WIDTH - LEFT - RIGHT


def kib(size):
    return f"{size / 1024:.1f} KiB"


class Svg:
    def __init__(self, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"'
            ' font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">',
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff" stroke="#d0d7de"/>',
        ]

    def rect(self, x, y, width, height, fill, more=""):
        self.parts.append(f'<rect x="{x:.1f}" y="{y}" width="{max(width, 0.6):.1f}" height="{height}" fill="{fill}"{more}/>')

    def text(self, x, y, text, more=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y}"{more}>{escape(text)}</text>')

    def middle(self, x, y, text, more=""):
        self.text(x, y, text, f' text-anchor="middle"{more}')

    def path(self, points, fill="none", more=""):
        self.parts.append(f'<path d="{points}" fill="{fill}"{more}/>')

    def done(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


class Layer:
    """Places of a layer on two bars of the same width: the compressed blob, and the archive in it."""

    def __init__(self, table):
        self.table = table

    def blob(self, offset):
        return LEFT + BAR * offset / self.table.compressed

    def archive(self, offset):
        return LEFT + BAR * offset / self.table.uncompressed

    def bars(self, svg, top, wanted=None):
        """Both bars with their spans; those that are not wanted are grey."""
        for number, (begin, end, first, until) in enumerate(self.table.spans()):
            colour = SPANS[number % len(SPANS)]
            pale = wanted is not None and number not in wanted
            fill = "#e3e6ea" if pale else colour
            svg.path(
                f"M{self.blob(begin):.1f} {top + 40}L{self.blob(end):.1f} {top + 40}L{self.archive(until):.1f} {top + 90}L{self.archive(first):.1f} {top + 90}Z",
                fill, ' opacity="0.22"',
            )
            ink = "#57606a" if pale else "#ffffff"
            for y, left, right, size in ((top, self.blob(begin), self.blob(end), end - begin), (top + 90, self.archive(first), self.archive(until), until - first)):
                svg.rect(left, y, right - left, 40, fill, ' stroke="#ffffff"')
                room = right - left
                if room > 100:
                    svg.middle((left + right) / 2, y + 17, f"span {number}", f' fill="{ink}" font-weight="600"')
                    svg.middle((left + right) / 2, y + 33, kib(size), f' fill="{ink}" font-size="11.5"')
                elif room > 30:
                    svg.middle((left + right) / 2, y + 25, str(number), f' fill="{ink}" font-weight="600"')

    def files(self, svg, y, wanted=None):
        """A box for each file's content, named where there is room."""
        ends = []
        for file in self.table.files:
            if file.kind != "reg" or not file.size:
                continue
            left, right = self.archive(file.offset), self.archive(file.offset + file.size)
            chosen = wanted == file.name
            fill = "#d1242f" if chosen else "#f6f8fa"
            svg.rect(left, y, right - left, 30, fill, ' stroke="#8c959f" stroke-width="0.7"')
            name = file.name.rsplit("/", 1)[1]
            if right - left > 7 * len(name):
                svg.middle((left + right) / 2, y + 19, name, ' fill="#ffffff"' if chosen else "")
            else:
                ends.append((left, right))
        if ends:
            left, right = ends[-1][0], ends[-1][1]
            small = [e for e in ends if e[0] > self.archive(self.table.uncompressed) * 0.7]
            svg.path(f"M{small[0][0]:.1f} {y + 36}V{y + 42}H{right:.1f}V{y + 36}", more=' stroke="#57606a"')
            svg.text(right, y + 57, f"{len(small)} small files", ' text-anchor="end" font-size="12" fill="#57606a"')


def layer_picture(table):
    svg = Svg(356, "A gzip layer, its spans and checkpoints, and the files of its tar archive")
    layer = Layer(table)
    svg.text(LEFT, 28, "The layer blob, as it is in the registry", ' font-weight="600"')
    svg.text(WIDTH - RIGHT, 28, f"gzip, {kib(table.compressed)}", ' text-anchor="end"')
    layer.bars(svg, 40)
    for number, point in enumerate(table.checkpoints):
        x = layer.archive(point.uncompressed)
        svg.path(f"M{x:.1f} 170V182", more=' stroke="#1f2328" stroke-width="1.6"')
        svg.path(f"M{x - 4:.1f} 188L{x:.1f} 180L{x + 4:.1f} 188Z", "#1f2328")
        if number:
            svg.middle(min(x, WIDTH - 96), 203, f"checkpoint {number}", ' font-size="12" font-weight="600"')
            svg.middle(min(x, WIDTH - 96), 219, f"byte {point.compressed:,}" + (f" less {point.bits} bits" if point.bits else ""), ' font-size="11.5" fill="#57606a"')
    svg.text(LEFT + 8, 203, "checkpoint 0", ' font-size="12" font-weight="600"')
    svg.text(LEFT + 8, 219, f"byte {table.checkpoints[0].compressed}", ' font-size="11.5" fill="#57606a"')
    svg.text(LEFT, 252, "The files in its tar archive", ' font-weight="600"')
    svg.text(WIDTH - RIGHT, 252, f"{kib(table.uncompressed)}, {len(table.files)} entries", ' text-anchor="end"')
    layer.files(svg, 264)
    svg.text(LEFT, 342, "A checkpoint: where inflating can begin, and the 32 KiB of content in front of it.", ' fill="#57606a"')
    return svg.done()


def read_picture(table, name):
    file = next(f for f in table.files if f.name == name)
    spans = list(table.spans())
    # From the tar header, which the reader compares, to the last byte.
    wanted = [i for i, (_, _, first, until) in enumerate(spans) if first < file.offset + file.size and until > file.offset - 512]
    cost = sum(spans[i][1] - spans[i][0] for i in wanted)
    svg = Svg(290, f"Reading {name} fetches {len(wanted)} of {len(spans)} spans")
    layer = Layer(table)
    svg.text(LEFT, 28, f"To read {name} ({kib(file.size)}): {len(wanted)} of {len(spans)} spans, {kib(cost)} of {kib(table.compressed)}", ' font-weight="600"')
    layer.bars(svg, 40, wanted)
    layer.files(svg, 190, name)
    svg.text(LEFT, 272, "Grey spans are not fetched. Each span that is fetched is held to its digest before it is inflated.", ' fill="#57606a"')
    return svg.done()


def documents(place, binary):
    """The digests that name each other, under V2 and under V1."""
    found = {}
    for version in ("v2", "v1"):
        layout = place / version
        shutil.copytree(LAYOUT, layout)
        index(binary, layout, "--index-version", version)
        report = json.loads(subprocess.run([binary, "inspect", "--json", layout], check=True, capture_output=True).stdout)
        found[version] = report["images"][0], report["soci_indexes"][0]
    return found


def documents_picture(found):
    svg = Svg(330, "Which document names which, under SOCI V2 and V1")

    def short(digest):
        return digest.removeprefix("sha256:")[:12]

    def box(x, y, title, digest, colour):
        svg.rect(x, y, 190, 44, "#ffffff", f' rx="6" stroke="{colour}" stroke-width="1.8"')
        svg.text(x + 10, y + 18, title, ' font-weight="600"')
        svg.text(x + 10, y + 35, short(digest), ' font-family="ui-monospace, monospace" font-size="12" fill="#57606a"')

    def arrow(x1, y1, x2, y2, colour="#57606a"):
        back = 6 if x2 >= x1 else -6
        head = f"M{x2 - back} {y2 - 4}L{x2} {y2}L{x2 - back} {y2 + 4}" if y1 == y2 else f"M{x2 - 4} {y2 - 6 if y2 > y1 else y2 + 6}L{x2} {y2}L{x2 + 4} {y2 - 6 if y2 > y1 else y2 + 6}"
        svg.path(f"M{x1} {y1}L{x2} {y2}{head}", more=f' stroke="{colour}" stroke-width="1.6"')

    for left, version, line in ((20, "v2", "V2: the image names its index"), (490, "v1", "V1: the index names its image")):
        image, soci = found[version]
        layer, table = image["layers"][0]["digest"], image["layers"][0]["ztoc"]["digest"]
        svg.text(left, 30, line, ' font-weight="600" font-size="15"')
        box(left, 50, "image manifest", image["digest"], "#4e79a7")
        box(left, 200, "layer 1", layer, "#4e79a7")
        box(left + 260, 50, "SOCI index", soci["digest"], "#f28e2b")
        box(left + 260, 200, "zTOC of layer 1", table, "#f28e2b")
        arrow(left + 95, 94, left + 95, 200)
        arrow(left + 355, 94, left + 355, 200)
        svg.text(left + 102, 150, "layers", ' font-size="12" fill="#57606a"')
        svg.text(left + 362, 150, "layers", ' font-size="12" fill="#57606a"')
        if version == "v2":
            arrow(left + 190, 72, left + 260, 72, "#d1242f")
        else:
            arrow(left + 260, 72, left + 190, 72, "#d1242f")
        svg.middle(left + 225, 64, "annotation" if version == "v2" else "subject", ' font-size="12" fill="#d1242f"')
        svg.path(f"M{left + 290} 94L{left + 160} 200M{left + 162.5} 193L{left + 160} 200L{left + 167} 198.5", more=' stroke="#57606a" stroke-width="1.6" stroke-dasharray="5 3"')
        svg.text(left + 238, 168, "which zTOC", ' font-size="12" fill="#57606a"')
        svg.text(left + 238, 183, "is for which layer", ' font-size="12" fill="#57606a"')
        said = ("The manifest has an annotation more, so its digest is new.", "Whoever pulls that digest pulls that index.") if version == "v2" else (
            "The manifest stays as it is, and so does its digest.", "Found by asking the registry for referrers.")
        for number, text in enumerate(said):
            svg.text(left, 276 + 20 * number, text, ' fill="#57606a"')
    svg.path("M475 50V300", more=' stroke="#d0d7de"')
    return svg.done()


def index(binary, layout, *more):
    subprocess.run([binary, "index", "-q", "--min-layer-size", "0", "--span-size", "64K", *more, layout], check=True, capture_output=True)


def draw(binary, place):
    found = documents(place, binary)
    digest = found["v2"][0]["layers"][0]["ztoc"]["digest"].removeprefix("sha256:")
    table = ztoc.read((place / "v2/blobs/sha256" / digest).read_bytes())
    sample.write(place / "oci-dir")
    commands = [["index", "./oci-dir"], ["inspect", "./oci-dir"]]
    return {
        "layer.svg": layer_picture(table),
        "read.svg": read_picture(table, "srv/prose-hardlink.txt"),
        "documents.svg": documents_picture(found),
        "run.svg": terminal.picture(binary, place, commands),
    }


def timeless(text):
    """Seconds differ from run to run, and so does the width of the line that holds them."""
    return re.sub(r"\s*\b\d+\.\d+s\b", " 0s", re.sub(r' textLength="[^"]*"', "", text))


def same(path, text):
    return path.exists() and timeless(path.read_text()) == timeless(text)


def main():
    binary, check = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:] == ["--check"]
    with tempfile.TemporaryDirectory() as name:
        pictures = draw(binary, pathlib.Path(name))
    differ = [name for name, text in pictures.items() if not same(HERE / name, text)]
    if not check:
        for name in differ:
            (HERE / name).write_text(pictures[name])
    elif differ:
        sys.exit(f"not what the program makes: {', '.join(differ)}. Run make pictures, and look at them")


if __name__ == "__main__":
    main()
