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
        reference: what it is compared to.
    """

    label: str
    unit: str
    reference: str
    values: list[float] = field(default_factory=list)
    references: list[float] = field(default_factory=list)

    def add(self, value: float, reference: float) -> None:
        """Take a run's pair."""
        self.values.append(value)
        self.references.append(reference)

    @property
    def ratio(self) -> float:
        """Figure to reference, each compared to that of the same run: the median."""
        return statistics.median(a / b for a, b in zip(self.values, self.references, strict=True))

    def __str__(self) -> str:
        width = max(len("tidegate"), len(self.reference))
        return "\n".join(
            (
                f"  {self.label}",
                f"    {'tidegate':{width}}  {_describe(self.values, self.unit)}",
                f"    {self.reference:{width}}  {_describe(self.references, self.unit)}",
                f"    {'ratio':{width}}  {self.ratio:.3g}",
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "label": self.label,
            "unit": self.unit,
            "tidegate": _summary(self.values),
            "reference": {"label": self.reference, **_summary(self.references)},
            "ratio": self.ratio,
        }


def _summary(values: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "values": values}


def _describe(values: list[float], unit: str) -> str:
    spread = f"({_round(min(values))} to {_round(max(values))})"
    return f"{_round(statistics.median(values)):>10} {unit}  {spread}"


def _round(value: float) -> str:
    if not value:
        return "0"
    places = DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"
