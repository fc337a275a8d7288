"""Markdown tables of what was measured, against what the project wants."""

from dataclasses import dataclass, field


@dataclass
class Table:
    title: str
    head: list
    rows: list = field(default_factory=list)

    def add(self, *cells) -> None:
        self.rows.append([str(cell) for cell in cells])

    def __str__(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return f"## {self.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


class Report:
    """Targets first, then the tables in the order in which they were begun."""

    def __init__(self, head: str):
        self.head = head
        self.targets = Table("Targets", ["what", "other", "ours", "measured", "target", ""])
        self.tables = []
        self.foot = ""

    def table(self, title: str, *head) -> Table:
        self.tables.append(Table(title, list(head)))
        return self.tables[-1]

    def target(self, what, other, ours, measured, target, ok) -> None:
        self.targets.add(what, other, ours, measured, target, "ok" if ok else "**MISSED**")

    def __str__(self) -> str:
        tables = [t for t in [self.targets, *self.tables] if t.rows]
        return "\n".join([self.head, *map(str, tables), self.foot])


def seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def size(value: float) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} B"
