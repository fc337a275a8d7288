"""The list of measurements, and what each of them gets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import layers
import measure
import report


@dataclass(frozen=True)
class Scale:
    """How large and how often."""

    quick: bool
    full: bool
    runs: int

    @property
    def slice(self) -> str:
        return "slice-24" if self.quick else "slice-128"

    @property
    def sizes(self) -> list:
        """Of single layers, uncompressed, in MiB."""
        return [32, 102] if self.quick else [102, 512, 1024] + [4096] * self.full

    @property
    def files(self) -> list:
        return [10, 10_000, 100_000 if self.quick else 1_000_000]


@dataclass(frozen=True)
class Bench:
    data: Path
    scale: Scale
    report: report.Report

    def layers(self, *names) -> list:
        """In the page cache too, as every measurement wants them."""
        found = [layers.get(self.data, name) for name in names]
        measure.warm([layer.file for layer in found])
        return found


@dataclass(frozen=True)
class Case:
    needs: Callable[[Scale], list]
    measure: Callable[[Bench], None]


CASES = {}


def case(name: str, needs):
    """`needs`: names of layers, or a function from the scale to them."""
    wanted = needs if callable(needs) else lambda _scale: needs

    def register(measure):
        CASES[name] = Case(wanted, measure)
        return measure

    return register
