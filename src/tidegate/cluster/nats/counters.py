"""What a client of NATS counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Since it was made.

    Attributes:
        published: messages given to the connection; what is split counts once for each part.
        received: messages that came.
        refused: that were not taken for publishing, and whoever published them was told: no connection, or too much
            had not left yet.
        held: that were kept while there was no connection, to leave when it is there.
        expired: of those, that were dropped because it was not there in time.
        unconfirmed: published on connections that broke before the server had confirmed them: perhaps lost.
        late: that came for a subscription that was just given up, or answers that nobody waited for any more.
        incomplete: split messages of which parts were missing.
        connections: that were made.
        slow_consumer, stale_connection: ended by the server, which says that this client reads or answers too slowly.
        server_errors: what it said else is wrong.
    """

    published: int = 0
    received: int = 0
    refused: int = 0
    held: int = 0
    expired: int = 0
    unconfirmed: int = 0
    late: int = 0
    incomplete: int = 0
    connections: int = 0
    slow_consumer: int = 0
    stale_connection: int = 0
    server_errors: int = 0

    def refuse(self, text: str) -> None:
        """The server says that something is wrong."""
        is_slow, is_stale = (what in text.lower() for what in ("slow consumer", "stale connection"))
        self.slow_consumer += is_slow
        self.stale_connection += is_stale
        self.server_errors += not (is_slow or is_stale)

    def snapshot(self) -> dict[str, int]:
        """All of them by name."""
        return asdict(self)
