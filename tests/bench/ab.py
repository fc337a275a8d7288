#!/usr/bin/env python3
"""Compares two builds of soci-layout on one layer: old and new in turns.

ab.py OLD NEW [--layer wheel.go] [--runs 9] [-- OPTION…]     options of `soci-layout index`
"""

import argparse
import sys
from pathlib import Path

import bench
import layers
import layouts
import places
import tools
from measure import Command, median, ratio, rounds, warm
from report import Table, seconds, size


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--layer", default="wheel.go")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="the layer of --quick")
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:end])
    options.options = given[end + 1 :]
    return options


def build(binary: Path, layer: layers.Layer, options: list) -> Command:
    start = [binary, "index", "--progress", "quiet", "--min-layer-size", "0", *options]
    return Command(lambda: [*start, layouts.fresh([layer])])


def main() -> None:
    options = arguments()
    with bench.alone():
        bench.fresh_runs()
        tools.prepare()
        bench.inputs([options.layer], options.quick)
        layer = layers.get(places.data(options.quick), options.layer)
        warm([layer.file])
        turns = {name: build(getattr(options, name).resolve(), layer, options.options) for name in ("old", "new")}
        runs = rounds(options.layer, turns, options.runs)
        bench.fresh_runs()
    table = Table(options.layer, ["", "old", "new", "new / old"])
    for what, unit in (("wall", seconds), ("cpu", seconds), ("peak", size)):
        table.add(what, *(unit(median(runs[name], what)) for name in turns), ratio(runs["new"], runs["old"], what))
    print(table)


if __name__ == "__main__":
    main()
