"""The app under attack, started as users do, and what can be seen of it from outside."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from tests.flood.attacks import Ports
from tests.ports import free_port
from tests.process.support import Place, until

__all__ = ["App"]

CODE = """
from tidegate import App, BusinessWorker, Gateway, Register

CLUSTER = "127.0.0.1:{register}"
settings = {settings!r}
doors = {doors!r}
business = BusinessWorker(cluster=CLUSTER, name="business")
business.serve_http("http://127.0.0.1:{http}")
app = App(
    Register(CLUSTER, name="register"),
    *(Gateway(address, name=address.partition(":")[0], start_port=inner, cluster=CLUSTER,
              **(settings if "websocket" in address else {{}})) for address, inner in doors),
    business,
)

@business.on_message
def take(client, message):
    if message[:4] in ("all ", b"all "):
        business.send_to_all(f"all {{message[4:]}}".ljust(16384))
    else:
        client.send(message)
"""
"""Echoes, and tells everybody what begins with ``all``, in 16 KiB."""

NO_COUNTERS = ("pid", "memory", "connections")
PAGE = os.sysconf("SC_PAGE_SIZE")


class App:
    """The app.

    Args:
        schemes: of its gateways.
        settings: of the one for WebSocket.

    Attributes:
        ports: where its doors are.
    """

    def __init__(self, folder: Path, schemes: tuple[str, ...], settings: dict[str, Any]) -> None:
        self.place = Place(folder)
        self.ports = Ports({scheme: free_port() for scheme in schemes}, free_port(), free_port(), free_port())
        inner = [self.ports.inner, *(free_port() for _ in schemes[1:])]
        doors = [(f"{scheme}://127.0.0.1:{self.ports.doors[scheme]}", inner.pop(0)) for scheme in schemes]
        self.place.write(
            CODE.format(
                register=self.ports.register,
                http=self.ports.http,
                doors=doors,
                settings={"compression": True, **settings},
            )
        )

    def start(self) -> None:
        self.place.start().ready()
        self.ports.control = str(self.place.run_folder / f"{self.place.key()}.sock")
        until(lambda: all(row["state"] == "running" for row in self.place.processes()))

    def look(self) -> tuple[Counter[str], dict[str, int]]:
        """What is counted in all processes (``web.accepted``), and the bytes that each has."""
        counters: Counter[str] = Counter()
        memory = {"supervisor": resident(self.place.started[-1].pid)}
        for row in self.place.processes():
            memory[row["role"]] = resident(row["pid"])
            member = row["role"].partition("#")[0]
            numbers = {**row, **(row["extra"] or {})}
            counters.update({f"{member}.{name}": count for name, count in numbers.items() if is_counter(name, count)})
        return counters, memory

    def lines(self) -> list[str]:
        """Of the log."""
        return self.place.started[-1].err.read_text(errors="replace").splitlines()

    def clear(self) -> None:
        self.place.clear()


def is_counter(name: str, value: object) -> bool:
    return name not in NO_COUNTERS and isinstance(value, int) and value > 0


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
