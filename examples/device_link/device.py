"""A device made of software: it logs in, gives signs of life, does what it is told, and comes back.

    python device.py NAME               one that speaks frames of JSON
    python device.py NAME --packets     one that speaks the packets of packets.py

A device of your own needs nothing of Tidegate: a socket, and one of the two.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Iterator
from typing import Any, Protocol

from keys import token_of
from packets import Packets

from tidegate.errors import ProtocolError

__all__ = ["FRAME_PORT", "PACKET_PORT", "live"]

FRAME_PORT, PACKET_PORT = 8283, 8284
BEAT_SECONDS = 3  # of silence, after which it says that it is here
MAX_FRAME = 4096  # bytes
PATIENCE = 3  # signs of life that are not answered, before it connects anew

logger = logging.getLogger("tidegate.device_link")


class Frames:
    """JSON in frames: 4 bytes of big-endian length, which counts itself, then the text."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Give whole messages, however the bytes were split."""
        self._held += data
        while len(self._held) >= 4:
            end = int.from_bytes(self._held[:4])
            if not 4 <= end <= MAX_FRAME:
                raise ProtocolError(f"a frame of {end} bytes")
            if len(self._held) < end:
                return
            message, self._held = self._held[4:end], self._held[end:]
            yield message.decode()

    def encode(self, message: str) -> bytes:
        """The frame of a message."""
        body = message.encode()
        return (len(body) + 4).to_bytes(4) + body


class Codec(Protocol):
    """What both ways to speak have."""

    def feed(self, data: bytes) -> Iterator[str]: ...

    def encode(self, message: str) -> bytes: ...


class Connection:
    """One conversation with the server."""

    def __init__(self, device: str, codec: Codec, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._device, self._codec, self._reader, self._writer = device, codec, reader, writer
        self._is_on = False

    async def run(self) -> None:
        """Log in, and serve until the connection ends or the server is silent; either is an OSError."""
        self._say("login", device=self._device, token=token_of(self._device))
        unanswered = 0
        while unanswered < PATIENCE:
            if data := await self._read():
                unanswered = 0
                for message in self._codec.feed(data):
                    self._receive(json.loads(message))
            else:
                unanswered += 1
                self._say("beat")
        raise TimeoutError("the server does not answer")

    async def _read(self) -> bytes:
        """What the server says; nothing, if that takes too long."""
        try:
            data = await asyncio.wait_for(self._reader.read(4096), BEAT_SECONDS)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionError("the server has hung up")
        return data

    def _receive(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "welcome" | "switch":
                if message["type"] == "welcome" or message["on"] != self._is_on:
                    logger.info("%s: %s, %s", self._device, message["type"], "on" if message["on"] else "off")
                self._is_on = message["on"]
                self._say("state", on=self._is_on)
            case "error":
                raise ConnectionError(message["message"])

    def _say(self, kind: str, **fields: Any) -> None:
        self._writer.write(self._codec.encode(json.dumps({"type": kind, **fields})))


async def live(device: str, packets: bool, host: str = "127.0.0.1") -> None:
    """Connect, again and again, until cancelled."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, PACKET_PORT if packets else FRAME_PORT)
            with contextlib.closing(writer):
                await Connection(device, Packets() if packets else Frames(), reader, writer).run()
        except (OSError, ProtocolError) as error:
            logger.warning("%s: %s; trying again", device, error)
        await asyncio.sleep(random.uniform(0.5, 1.5))  # not all devices of a server that is back at the same moment


def main() -> None:
    """Be one device until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A device made of software.")
    parser.add_argument("name")
    parser.add_argument("--packets", action="store_true", help="speak the binary packets")
    parser.add_argument("--host", default="127.0.0.1")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(live(given.name, given.packets, given.host))


if __name__ == "__main__":
    main()
