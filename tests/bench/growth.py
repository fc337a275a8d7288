"""How the cost grows. Each row: a fresh layout with one job and with two, next to bare inflate."""

import commands
from cases import Bench, case
from measure import median, ratio, rounds
from report import seconds, size
from targets import limit, memory

HEAD = (
    "tar", "gzip", "zTOCs", "wall: bare inflate", "1 job", "2 jobs", "ratio, 1 job", "2 jobs",
    "CPU: bare inflate", "1 job", "2 jobs", "peak, 1 job", "2 jobs",
)
METHODS = ["go", "pigz", "pgzip", "estargz", "bgzip"]


def row(bench: Bench, table, label: str, *names) -> dict:
    layers = bench.layers(*names)
    name, inflate = commands.inflate(layers)
    runs = rounds(f"{table.title}: {label}", {
        "inflate": inflate,
        "one": commands.ours(layers, "--jobs", "1"),
        "two": commands.ours(layers, "--jobs", "2"),
    }, bench.scale.runs)
    inflated, one, two = runs["inflate"], runs["one"], runs["two"]
    ztocs = one[0].extra["ztocs"]
    table.add(
        label, size(sum(layer.uncompressed for layer in layers)), size(sum(layer.size for layer in layers)), size(ztocs),
        f"{seconds(median(inflated, 'wall'))} ({name})", seconds(median(one, "wall")), seconds(median(two, "wall")),
        f"{ratio(one, inflated).middle:.2f}", f"{ratio(two, inflated).middle:.2f}",
        *(seconds(median(each, "cpu")) for each in (inflated, one, two)),
        *(size(median(each, "peak")) for each in (one, two)),
    )
    return {**runs, "name": name}


def slices(scale, count: int) -> list:
    return [f"{scale.slice}-{number}.go" for number in range(count)]


@case("layers", lambda scale: slices(scale, 8))
def layers(bench: Bench) -> None:
    table = bench.report.table("Equal layers", "layers", *HEAD)
    for count in (1, 2, 4, 8):
        row(bench, table, count, *slices(bench.scale, count))


@case("sizes", lambda scale: [f"size-{mib}.go" for mib in scale.sizes])
def sizes(bench: Bench) -> None:
    table = bench.report.table("One layer, by size", "GiB", *HEAD)
    for mib in bench.scale.sizes:
        row(bench, table, f"{mib / 1024:.2g}", f"size-{mib}.go")


@case("files", lambda scale: [f"files-{count}.go" for count in scale.files])
def files(bench: Bench) -> None:
    table = bench.report.table("One layer, by number of small files", "files", *HEAD)
    for count in bench.scale.files:
        runs = row(bench, table, f"{count:,}", f"files-{count}.go")
    what = f"{count:,} small files"
    limit(bench, f"{what}, wall: ours / bare inflate ({runs['name']})", runs["inflate"], runs["two"], 2)
    memory(bench, f"{what}, `--jobs 1`", runs["one"], 1)


@case("compressors", [f"java.{method}" for method in METHODS])
def compressors(bench: Bench) -> None:
    table = bench.report.table("The Java layer, by compressor", "by", *HEAD)
    for method in METHODS:
        row(bench, table, method, f"java.{method}")
