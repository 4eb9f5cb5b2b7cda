"""Which subjects of NATS a call of the push API goes to, without I/O.

What is for a uid or a group goes to the subject of its name, which the gateways listen to that have such a client, and
what is about one client to the subject of its gateway. Where one push goes to several subjects, a gateway may get
several copies of it, of which it carries out the first: so each client gets it once, and those that leave some of their
own clients out get the packet that says so before the one that is for all others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

from tidegate.client import failures
from tidegate.client.call import Answers, Call
from tidegate.cluster.nats.inbox import NobodyListensError
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.subjects import Subjects
from tidegate.cluster.reasons import one_error
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.wire.register_line import Addresses

__all__ = ["Copies", "Requests", "answers_of", "requests_of", "route", "stranger"]

Copies: TypeAlias = tuple[tuple[str, bytes], ...]
"""One push: subjects, each with the packet that it gets, in the order in which they are to be published."""
Requests: TypeAlias = Sequence[tuple[str, bytes]]
"""Gateway addresses, and a query for each."""

MANY_NAMES = 256
"""Over which a push goes to all gateways: a message for each name would be more."""
OTHERS = "*"
"""In place of an address: whichever gateways the push is for."""


class _Every(frozenset[str]):
    """All addresses: no gateway on NATS is of another kind than Tidegate's."""

    def __contains__(self, address: object) -> bool:
        return True


ALL_OURS = _Every()


def route(call: Call[None], subjects: Subjects, limit: int) -> list[Copies]:
    """The pushes that a command is, in order.

    Args:
        limit: bytes of a packet.

    Raises:
        ValueError: a packet is over the limit and can't be split.
    """
    reach = call.reach
    if reach.apart is not None and 1 < len(reach.names) <= MANY_NAMES:
        anywhere = Addresses((OTHERS,), ALL_OURS)
        subject = subjects.uid
        return [((subject(name), packet),) for name in reach.names for _, packet in reach.apart(name)(anywhere, limit)]
    packets = call.packets(Addresses((OTHERS, *reach.excluded), ALL_OURS), limit)
    own = [(subjects.gateway(address), packet) for address, packet in packets if address != OTHERS]
    targets = _targets(call, subjects)
    pushes: list[Copies] = [
        (*own, *((subject, packet) for subject in targets)) for address, packet in packets if address == OTHERS
    ]
    return pushes or [(copy,) for copy in own]


def _targets(call: Call[None], subjects: Subjects) -> Sequence[str]:
    kind, names, *_ = call.reach
    if kind == "all" or len(names) > MANY_NAMES:
        return (subjects.all,)
    return [*map(subjects.uid if kind == "uid" else subjects.group, names)]


def requests_of(call: Call[Any], gateways: Collection[str], limit: int) -> Requests:
    """The queries that a call is.

    Args:
        gateways: the addresses of all that there are.
        limit: bytes of a packet.

    Raises:
        ClusterError: it is about a client of a gateway that is not among them, or there is none at all.
        ValueError: a packet is over the limit and can't be split.
    """
    if call.address is not None and call.address not in gateways:
        raise stranger(call.address)
    requests = call.packets(Addresses(tuple(gateways), ALL_OURS), limit)
    if not requests and call.needs_addresses and not gateways:
        raise ClusterError(f"{call.name} can't be asked: no gateway of this cluster is on NATS. Start one")
    return requests


def stranger(address: str) -> ClusterError:
    """A client id names a gateway that nobody knows."""
    return ClusterError(f"no gateway {address} is on NATS: it is gone, or the client id was made up")


def answers_of(
    requests: Requests, outcomes: Sequence[Message | ClusterError], gateways: Collection[str], seconds: float
) -> Answers:
    """What the gateways answered, as `Call.merge` takes it.

    Args:
        outcomes: of the requests, in their order.
        gateways: those that there are now: what a gateway had that is gone is gone as well.
        seconds: that they had.

    Raises:
        ClusterError: one did not answer; the error names it.
    """
    answers: list[tuple[str, bytes]] = []
    problems: list[ClusterError] = []
    for (address, _), outcome in zip(requests, outcomes, strict=True):
        if not isinstance(outcome, ClusterError):
            answers.append((address, outcome.payload))
        elif isinstance(outcome, ClusterTimeoutError | NobodyListensError) and address not in gateways:
            continue
        elif isinstance(outcome, ClusterTimeoutError):
            problems.append(failures.not_answered(address, seconds))
        elif isinstance(outcome, NobodyListensError):
            problems.append(ClusterError(f"gateway {address} did not answer: it is not connected to NATS any more"))
        else:
            problems.append(ClusterError(f"gateway {address} did not answer: {outcome}"))
    if problems:
        raise one_error(problems)
    return answers
