"""Sessions of one gateway's clients on their way there: saved, and remembered until events from there show them."""

from __future__ import annotations

from collections.abc import Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any

from tidegate.business.link import GatewayLink
from tidegate.business.saves import Saves
from tidegate.wire import commands, flat, php, session
from tidegate.wire.packet import HEADER_SIZE, pack

if TYPE_CHECKING:
    from tidegate.business.client import Client
    from tidegate.business.remote import RemoteGateway

__all__ = ["Sessions"]

FIRST_SAVE = 1
"""The position, on the next link, of all that is held for it."""


class Sessions:
    """One gateway's."""

    def __init__(self, gateway: RemoteGateway) -> None:
        self._gateway = gateway
        self._unconfirmed: dict[Client, None] = {}

    def save(self, client: Client, now: Mapping[Any, Any]) -> None:
        """Send what a handler changed in a session; towards PHP all of it.

        Raises:
            TypeError, OverflowError: it can't be serialized.
            ValueError: it is too long, or what was stored before can't be read.
        """
        gateway = self._gateway
        before, saves = client._stored, client._saves
        known = saves.array if saves is not None and saves.stored is before else None
        plain = flat.dumps_items(now)
        old, changed, gone = session.compare(before, php.dumps_items(now) if plain is None else plain, known)
        if not changed and not gone:
            return
        new = {**old, **changed}
        for key in gone:
            del new[key]
        stored = php.join_array(new) if new else b""
        if gateway.is_tidegate:
            packet = pack(commands.PATCH_SESSION, client._number, *session.pack_patch(changed, gone))
        else:
            packet = pack(commands.SET_SESSION, client._number, stored)
        if len(packet) > gateway.max_packet_size:
            raise ValueError(f"it has {len(packet) - HEADER_SIZE} bytes, more than a packet to the gateway may have")
        link = gateway.link
        if link is None or get_ident() != gateway.thread or not link.put(packet):
            gateway.send(packet)
        client._stored = stored
        if (saves := self._note(client, old, new, whole=False)) is not None:
            saves.keep(stored, new, None if plain is None else dict(now))

    def changed(self, client: Client, stored: bytes, *, whole: bool) -> None:
        """A session was changed by a command of this worker's: keep it in mind, and show it to a handler that runs.

        Raises:
            PHPValueError: it can't be read, or could not be before.
        """
        before = client._stored
        new = _split(stored)
        if (saves := self._note(client, _split(before), new, whole=whole)) is not None:
            saves.keep(stored, new)
        client._stored = stored
        if client._session is None:
            return
        old, new = (php.loads_array(data) if data else {} for data in (before, stored))
        for key in {**old, **new}:
            if key not in new:
                client._session.pop(key, None)
            elif key not in old or old[key] != new[key]:
                client._session[key] = new[key]

    def _note(self, client: Client, old: php.Array, new: php.Array, *, whole: bool) -> Saves | None:
        gateway = self._gateway
        link = gateway.link
        # PHP's gateways send nothing new on a link before they have read what was held for it.
        if link is None and not (gateway.is_awaited and gateway.is_tidegate):
            return None
        saves = client._saves
        if saves is None:
            saves = client._saves = Saves(compares=not gateway.is_tidegate)
        saves.note(old, new, link.save_position() if link is not None else FIRST_SAVE, whole=whole)
        self._unconfirmed[client] = None
        return saves

    def linked(self, link: GatewayLink) -> None:
        """What was held has been sent."""
        if self._unconfirmed:
            link.save_position()

    def lost(self) -> None:
        """The link is gone: of the next one's events nothing is on its way yet."""
        for client in self._unconfirmed:
            client._saves = None
        self._unconfirmed.clear()

    def forget(self, client: Client) -> None:
        """A client is gone."""
        self._unconfirmed.pop(client, None)

    def settle(self, confirmed: int) -> None:
        """Forget saves up to a position."""
        for client in tuple(self._unconfirmed):
            if client._saves is None or client._saves.is_settled(confirmed):
                client._saves = None
                del self._unconfirmed[client]


def _split(session: bytes) -> php.Array:
    return php.split_array(session) if session else {}
