"""The chat of those who come by `telnet`: bytes as they come, in a terminal that is not to be played tricks on."""

from __future__ import annotations

import re

from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.demo.messages import without_controls

__all__ = ["Door"]

GROUP = "telnet"
MAX_TEXT = 4000
"""Characters of what is said at once; what is over it is cut off, and the speaker told."""
TELNET_COMMAND = re.compile(rb"\xff(?:[\xfb-\xfe].?|[\xf0-\xfa])", re.DOTALL)
"""What a terminal sends for Ctrl-C and the like (RFC 854)."""


class Door:
    """Serves the clients that came by the gateway for telnet."""

    def __init__(self, business: BusinessWorker) -> None:
        self._business = business

    def greet(self, client: Client) -> None:
        """Say to someone who comes which id they have."""
        client.send(f"Hello {client.id}. What you type is said to everyone who came by this door.\r\n")
        self._business.send_to_group(GROUP, f"{client.id} came\r\n")
        client.join_group(GROUP)

    def receive(self, client: Client, data: str | bytes) -> None:
        """Say something to all, in whatever pieces it arrives."""
        text = read(data)
        if len(text) > MAX_TEXT:
            client.send(f"Only the first {MAX_TEXT} characters of that were said.\r\n")
        if text:
            said = text[:MAX_TEXT].replace("\n", "\r\n")
            self._business.send_to_group(GROUP, f"{client.id} says: {said}\r\n")

    def leave(self, client: Client) -> None:
        """Say who has left."""
        self._business.send_to_group(GROUP, f"{client.id} left\r\n")


def read(data: str | bytes) -> str:
    """What was typed: text without its line's end, what is no UTF-8 replaced and control characters left out."""
    if isinstance(data, bytes):
        data = TELNET_COMMAND.sub(b"", data).decode(errors="replace")
    return without_controls(data).strip("\n").rstrip()
