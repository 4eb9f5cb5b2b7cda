"""How a gateway process is found: it makes itself known to the Registers of its cluster, on NATS, or to both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.cluster.announcement import Announcement
from tidegate.cluster.nats.url import NatsPlace
from tidegate.cluster.place import check_place, parse_cluster, read_cluster
from tidegate.cluster.trust import trust
from tidegate.errors import ConfigurationError
from tidegate.gateway.commander import Commander
from tidegate.gateway.interest import Interest
from tidegate.net.throttle import Throttle
from tidegate.process.settings import GatewaySettings

if TYPE_CHECKING:
    from tidegate.gateway.nats import NatsDoor

__all__ = ["Presence", "check_cluster"]

ANNOUNCE_SECONDS = 5.0
"""That a start waits for Register or NATS; where it is down the gateway serves all the same, and is found later."""


def check_cluster(name: str, settings: GatewaySettings) -> None:
    """See that a gateway's settings say where it is to be known.

    Raises:
        ConfigurationError: they do not, or say it twice, or files that they name can't be used.
    """
    place = check_place(settings.cluster)
    trust(settings.cluster_ssl)
    if settings.register is None:
        return
    parse_cluster(settings.register)
    if not isinstance(place, NatsPlace):
        raise ConfigurationError(
            f"gateway {name!r}: register= is for gateways on NATS that PHP is to find as well; name all Registers in "
            "cluster="
        )


class Presence:
    """One process's.

    Args:
        name: of the gateway, for logs.
        address: of the inner port; it has to listen when this is opened.

    Attributes:
        door: to NATS; None where the cluster is not there.
    """

    def __init__(self, name: str, settings: GatewaySettings, address: str) -> None:
        place = read_cluster(settings.cluster)
        self.door: NatsDoor | None = None
        registers: tuple[str, ...] = ()
        if isinstance(place, NatsPlace):
            from tidegate.gateway.nats import NatsDoor  # which most starts do without

            self.door = NatsDoor(name, place, address, settings.zone, settings.max_packet_size)
            registers = parse_cluster(settings.register) if settings.register is not None else ()
        else:
            registers = place
        self.announcement: Announcement | None = None
        if registers:
            secure = trust(settings.cluster_ssl)
            self.announcement = Announcement(registers, address, settings.secret_key, secure)

    @property
    def interest(self) -> Interest | None:
        """Who wants to know which uids and groups have clients here."""
        return self.door.interest if self.door is not None else None

    async def open(self, commander: Commander, throttle: Throttle) -> None:
        """Make the gateway known.

        Raises:
            ConfigurationError: on NATS another one has its address, or NATS can't do what is needed.
        """
        if self.announcement is not None:
            self.announcement.start()
        if self.door is not None:
            await self.door.open(commander, throttle, ANNOUNCE_SECONDS)
        elif self.announcement is not None:
            await self.announcement.announced(ANNOUNCE_SECONDS)

    async def leave(self) -> None:
        """Be named to nobody any more; those who know the gateway still reach it."""
        if self.announcement is not None:
            await self.announcement.stop()
        if self.door is not None:
            await self.door.leave()

    async def close(self) -> None:
        """Be reached no more."""
        await self.leave()
        if self.door is not None:
            await self.door.close()

    @property
    def bad_commands(self) -> int:
        """Commands from NATS that could not be carried out."""
        return self.door.bad_commands if self.door is not None else 0

    def snapshot(self) -> dict[str, int]:
        """What was counted."""
        return self.door.snapshot() if self.door is not None else {}
