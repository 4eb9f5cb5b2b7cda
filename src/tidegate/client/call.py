"""A call of the push API, whoever carries it: which packets go to which gateways, and what their answers mean."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from tidegate.errors import ClusterError
from tidegate.wire.packet import DEFAULT_MAX_PACKET_SIZE
from tidegate.wire.php import PHPValueError
from tidegate.wire.register_line import Addresses

__all__ = ["Answers", "Call", "Pack", "Packets", "Reach", "command", "query"]

R = TypeVar("R")
T = TypeVar("T")

Packets: TypeAlias = list[tuple[str, bytes]]
"""Gateway addresses, and a packet for each."""
Pack: TypeAlias = Callable[[Addresses, int], Packets]
"""Makes the packets for these gateways, of so many bytes at most."""
Answers: TypeAlias = Sequence[tuple[str, bytes]]
"""Gateway addresses, and the serialized value that each answered."""


class Reach(NamedTuple):
    """Whom a command is for that is not about one client, for carriers that need not send it to every gateway.

    Attributes:
        kind: "uid" or "group"; "all" where it is for everybody.
        names: those of the uids or groups.
        excluded: the gateways whose packets differ from the others', since some of their clients are left out.
        apart: packs it for one of the names alone; None where a client of several names would be reached twice.
    """

    kind: str = "all"
    names: Collection[str] = ()
    excluded: Collection[str] = ()
    apart: Callable[[str], Pack] | None = None


EVERYBODY = Reach()


class Call(Generic[T]):
    """What a method of the push API does, once.

    Attributes:
        name: the method's.
        is_query: whether every packet is answered.
        address: of the one gateway that is concerned; None where it is all, or those of several client ids.
        needs_addresses: whether `packets` has to be told which gateways there are.
        reach: whom it is for, where that is not one client.
    """

    __slots__ = ("_merge", "_pack", "address", "is_query", "name", "needs_addresses", "reach")

    def __init__(
        self,
        name: str,
        pack: Pack,
        merge: Callable[[Answers], T] | None,
        address: str | None,
        needs_addresses: bool,
        reach: Reach = EVERYBODY,
    ) -> None:
        self.name = name
        self.is_query = merge is not None
        self.address = address
        self.needs_addresses = needs_addresses
        self.reach = reach
        self._pack = pack
        self._merge = merge

    def __repr__(self) -> str:
        return f"<Call {self.name} to {self.address or 'any gateway'}>"

    def packets(self, addresses: Addresses, limit: int = DEFAULT_MAX_PACKET_SIZE) -> Packets:
        """Gateway addresses with a packet each; several for one gateway where a single one would be over the limit.

        Args:
            addresses: the gateways there are; not looked at unless `needs_addresses`.
            limit: bytes of a packet.

        Raises:
            ValueError: a packet is over the limit and can't be split.
        """
        return self._pack(addresses, limit)

    def merge(self, answers: Answers) -> T:
        """The result, from the answers to all packets.

        Raises:
            ClusterError: an answer can't be read; the error names the gateway.
        """
        if self._merge is None:
            raise TypeError(f"{self.name} is a command, which no gateway answers")
        return self._merge(answers)


def command(
    name: str, pack: Pack, address: str | None = None, needs_addresses: bool = True, reach: Reach = EVERYBODY
) -> Call[None]:
    """A call that is not answered."""
    return Call(name, pack, None, address, needs_addresses, reach)


def query(
    name: str,
    pack: Pack,
    read: Callable[[str, bytes], R],
    merge: Callable[[list[R]], T],
    address: str | None = None,
    needs_addresses: bool = True,
) -> Call[T]:
    """A call that is answered.

    Args:
        read: makes a value of a gateway's address and its answer; raises PHPValueError where it can't.
        merge: makes the result of these values.
    """

    def merge_answers(answers: Answers) -> T:
        values = []
        for gateway, answer in answers:
            try:
                values.append(read(gateway, answer))
            except PHPValueError as error:
                raise ClusterError(f"gateway {gateway} answered {name} with what can't be read: {error}") from error
        return merge(values)

    return Call(name, pack, merge_answers, address, needs_addresses)
