"""A target: what is fuzzed, and where the fuzzer begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """One codec.

    Attributes:
        run: takes any bytes; what it raises is a finding.
        seeds: gives bytes that are worth changing.
        max_size: bytes that the fuzzer makes at most.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    max_size: int = 2048
