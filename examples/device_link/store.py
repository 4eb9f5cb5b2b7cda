"""What is known of devices that may not be here: how each was switched last, and when it was last heard.

A small database, which all business processes share. Each change gives the device a higher version, by which pages tell
which of two messages is the newer, and only its present connection may change it.
"""

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Device", "Store"]

SCHEMA = """CREATE TABLE IF NOT EXISTS devices (
    id TEXT PRIMARY KEY, is_on INTEGER NOT NULL, heard REAL NOT NULL, connection TEXT, version INTEGER NOT NULL
)"""
CAME = """INSERT INTO devices VALUES (:id, 0, :now, :connection, 1)
    ON CONFLICT (id) DO UPDATE SET connection = :connection, heard = :now, version = version + 1"""
CHANGED = "UPDATE devices SET {}, version = version + 1 WHERE id = :id AND connection = :connection"
SWITCHED, HEARD, LEFT = (
    CHANGED.format(what) for what in ("is_on = :on, heard = :now", "heard = :now", "connection = NULL")
)


@dataclass(frozen=True, slots=True)
class Device:
    """A device as it was last known.

    Attributes:
        heard: when something last came from it, Unix time.
        connection: the client id of its present connection; None while it is away.
    """

    id: str
    is_on: bool
    heard: float
    connection: str | None
    version: int

    def shown(self) -> dict[str, Any]:
        """What pages are told. Seconds since it was heard: their clocks may be wrong."""
        ago = max(0.0, round(time.time() - self.heard, 1))
        return {
            "id": self.id,
            "on": self.is_on,
            "online": self.connection is not None,
            "ago": ago,
            "version": self.version,
        }


class Store:
    """The table of devices. Its methods block, and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make the table, where it is not there yet."""
        self._run(SCHEMA)

    def came(self, device: str, connection: str) -> Device:
        """A device has logged in."""
        return self._run(CAME + " RETURNING *", id=device, connection=connection, now=time.time())[0]

    def switched(self, device: str, connection: str, on: bool) -> Device | None:
        """It says how it is switched; None where it has a newer connection, as with the next two."""
        return self._change(SWITCHED, device, connection, on=on)

    def heard(self, device: str, connection: str) -> Device | None:
        """It has given a sign of life."""
        return self._change(HEARD, device, connection)

    def left(self, device: str, connection: str) -> Device | None:
        """The connection is gone."""
        return self._change(LEFT, device, connection)

    def get(self, device: str) -> Device | None:
        """One of them, if it ever was here."""
        found = self._run("SELECT * FROM devices WHERE id = :id", id=device)
        return found[0] if found else None

    def all(self) -> list[Device]:
        """All that ever were here, by name."""
        return self._run("SELECT * FROM devices ORDER BY id")

    def _change(self, statement: str, device: str, connection: str, **values: Any) -> Device | None:
        changed = self._run(statement + " RETURNING *", id=device, connection=connection, now=time.time(), **values)
        return changed[0] if changed else None

    def _run(self, statement: str, **values: Any) -> list[Device]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=5)) as database, database:
            rows = database.execute(statement, values).fetchall()
        return [Device(id, bool(is_on), heard, connection, version) for id, is_on, heard, connection, version in rows]
