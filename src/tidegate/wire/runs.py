"""Packets of one read that differ in their bodies alone, taken together: most often messages of one client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from tidegate.speedups import compiled
from tidegate.wire.packet import Data, Packet, Stream, scan_packets_in_python

__all__ = ["Run", "RunReader", "packets_of", "scan_runs", "scan_runs_in_python"]

Run: TypeAlias = tuple[int, int, int, bytes, list[bytes], int, int, int, int, int]
"""What a packet is, but with the bodies of all."""


def packets_of(run: Run, start: int = 0) -> Iterator[Packet]:
    """Those of a run, from the one at an index on."""
    command, number, flags, ext, bodies, ip, port, client_ip, client_port, gateway_port = run
    for body in bodies[start:]:
        yield command, number, flags, ext, body, ip, port, client_ip, client_port, gateway_port


def scan_runs_in_python(data: Data, limit: int, runs: list[Run]) -> int:
    """Do what `scan_packets` does, with runs."""
    packets: list[Packet] = []
    position = scan_packets_in_python(data, limit, packets)
    last: tuple[object, ...] = ()
    for packet in packets:
        body, head = packet[4], packet[:4] + packet[5:]
        if head == last:
            runs[-1][4].append(body)
        else:
            runs.append((*packet[:4], [body], *packet[5:]))
            last = head
    return position


scan_runs: Callable[[Data, int, list[Run]], int] = scan_runs_in_python if compiled is None else compiled.scan_runs


class RunReader(Stream[Run]):
    """Finds runs of packets in a stream."""

    __slots__ = ()

    def _scan(self, data: Data, found: list[Run]) -> int:
        return scan_runs(data, self._limit, found)
