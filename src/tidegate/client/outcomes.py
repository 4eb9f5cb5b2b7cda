"""How a call went at each gateway, and what that means for all of it; for both clients."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from tidegate.client.call import Answers, Call, Packets
from tidegate.cluster.reasons import one_error
from tidegate.errors import ClusterError
from tidegate.wire.register_line import Addresses

__all__ = ["Groups", "Outcome", "answers_of", "grouped", "may_be_outdated", "raise_errors", "still_there", "untried"]

Groups: TypeAlias = dict[str, list[bytes]]
"""Packets, by the gateway's address."""


class Outcome(Protocol):
    """What came of the packets to one gateway."""

    @property
    def address(self) -> str: ...
    @property
    def answers(self) -> Sequence[bytes]: ...
    @property
    def error(self) -> ClusterError | None: ...


O = TypeVar("O", bound=Outcome)  # noqa: E741


def raise_errors(outcomes: Iterable[Outcome], *more: ClusterError) -> None:
    """Tell the caller of all gateways that failed.

    Raises:
        ClusterError: there are some.
    """
    problems = [each.error for each in outcomes if each.error is not None]
    if problems or more:
        raise one_error([*problems, *more])


def answers_of(outcomes: Iterable[Outcome]) -> Answers:
    """As `Call.merge` takes them."""
    return [(each.address, answer) for each in outcomes for answer in each.answers]


def may_be_outdated(call: Call[Any], outcomes: Iterable[Outcome]) -> bool:
    """Whether it is worth asking Register whether the gateways that failed are still there."""
    return call.needs_addresses and call.address is None and any(each.error is not None for each in outcomes)


def still_there(outcomes: Iterable[O], addresses: Addresses) -> list[O]:
    """Without those that failed and are gone, their clients with them."""
    return [each for each in outcomes if each.error is None or each.address in addresses.all]


def untried(call: Call[Any], addresses: Addresses, tried: Container[str] = ()) -> Groups:
    """The packets for gateways that have been sent nothing."""
    return grouped([(address, packet) for address, packet in call.packets(addresses) if address not in tried])


def grouped(packets: Packets) -> Groups:
    """By the gateway's address, in order."""
    groups: Groups = {}
    for address, packet in packets:
        groups.setdefault(address, []).append(packet)
    return groups
