"""Figures of several runs beside those of a reference: median, spread and ratio."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Row"]

DIGITS = 3
"""That are shown; the rest is noise."""


@dataclass(slots=True)
class Row:
    """One figure and its reference, with a value for each run.

    Attributes:
        label: what is measured.
        unit: of both.
        reference: what it is compared to; nothing where it is empty.
        chart: where `report` draws it, if it does.
        server: what was measured.
        loads: what the load cost, as a share of what the server did.
    """

    label: str
    unit: str
    reference: str = ""
    chart: str = ""
    server: str = "Tidegate"
    values: list[float] = field(default_factory=list)
    references: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    def add(self, value: float, reference: float | None = None, load: float | None = None) -> None:
        """Take a run's figures."""
        self.values.append(value)
        if reference is not None:
            self.references.append(reference)
        if load is not None:
            self.loads.append(load)

    @property
    def ratio(self) -> float | None:
        """Figure to reference, each compared to that of the same run: the median."""
        if not self.reference:
            return None
        return statistics.median(a / b for a, b in zip(self.values, self.references, strict=True))

    def __str__(self) -> str:
        width = max(len(self.server), len(self.reference))
        lines = [f"  {self.label}", f"    {self.server:{width}}  {_describe(self.values, self.unit)}"]
        if self.reference:
            lines.append(f"    {self.reference:{width}}  {_describe(self.references, self.unit)}")
            lines.append(f"    {'ratio':{width}}  {self.ratio:>10.3g}")
        if self.loads:
            share = statistics.median(self.loads)
            warning = ": more than the server, so that the load may be what limits" if share >= 1 else ""
            lines.append(f"    {'load':{width}}  {share:>10.2f} of the server's CPU time{warning}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        found: dict[str, Any] = {
            "label": self.label,
            "unit": self.unit,
            "chart": self.chart,
            "server": self.server,
            "figure": _summary(self.values),
        }
        if self.reference:
            found |= {"reference": {"label": self.reference, **_summary(self.references)}, "ratio": self.ratio}
        if self.loads:
            found["load"] = statistics.median(self.loads)
        return found


def _summary(values: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "values": values}


def _describe(values: list[float], unit: str) -> str:
    spread = f"({_round(min(values))} to {_round(max(values))})" if len(values) > 1 else ""
    return f"{_round(statistics.median(values)):>10} {unit}  {spread}".rstrip()


def _round(value: float) -> str:
    if not value:
        return "0"
    places = DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"
