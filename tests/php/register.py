"""The original's Register."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class PhpRegister:
    """Announces gateways to workers; its list is an object where an address was announced twice."""

    def __init__(self, port: int, secret: str = "") -> None:
        self.port = port
        self.secret = secret
        self.gateways: dict[asyncio.StreamWriter, str] = {}
        self.workers: set[asyncio.StreamWriter] = set()
        self.strange: list[Any] = []
        self._all: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        self._server.close()
        for writer in tuple(self._all):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._all.add(writer)
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if message.get("event") == "ping":
                    continue
                if message.get("secret_key") != self.secret:
                    writer.write(b"Register: Connection timeout\n")
                    break
                match message["event"]:
                    case "gateway_connect":
                        self.gateways[writer] = message["address"]
                        self._tell(*self.workers)
                    case "worker_connect":
                        self.workers.add(writer)
                        self._tell(writer)
                    case _:
                        self.strange.append(message)
                        break
        except ConnectionError:
            pass
        finally:
            self._all.discard(writer)
            self.workers.discard(writer)
            if self.gateways.pop(writer, None) is not None:
                self._tell(*self.workers)
            writer.close()

    def _tell(self, *writers: asyncio.StreamWriter) -> None:
        listed = list(self.gateways.values())
        unique = list(dict.fromkeys(listed))
        addresses: Any = unique
        if len(unique) != len(listed):  # array_unique leaves holes
            addresses = {str(listed.index(address)): address for address in unique}
        for writer in writers:
            if writer.is_closing():  # its end is still to be noticed
                continue
            writer.write(json.dumps({"event": "broadcast_addresses", "addresses": addresses}).encode() + b"\n")
