"""What tests of `auth` have in common: tokens, a gateway that wants them, and a worker that writes down who comes."""

from __future__ import annotations

import os
import time
from typing import Any

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from tidegate import BusinessWorker, Client, Gateway, JWTAuth
from tidegate.testing.running import Cluster

__all__ = ["KEY", "Book", "counted", "status", "token", "web"]

KEY = os.urandom(32).hex()


def token(sub: str | int = "kim", seconds: float | None = 60, **claims: Any) -> str:
    end = {} if seconds is None else {"exp": int(time.time() + seconds)}
    return jwt.encode({"sub": sub, **end, **claims}, KEY)


def web(auth: Any = None, **settings: Any) -> Gateway:
    auth = auth or JWTAuth(KEY, ["HS256"], cookie="token", subprotocol="jwt")
    return Gateway("websocket://127.0.0.1:0", name="web", auth=auth, **settings)


async def status(c: Cluster, path: str = "/") -> int:
    """Of the answer to somebody who is not let in."""
    with pytest.raises(InvalidStatus) as refused:
        await c.connect(path)
    return refused.value.response.status_code


def counted(member: Gateway) -> dict[str, Any]:
    snapshot = member.snapshot()
    return {**snapshot, **snapshot["extra"]}


class Book:
    """A worker that writes down what it sees of clients as they come."""

    def __init__(self) -> None:
        self.worker = BusinessWorker()
        self.seen: list[Any] = []
        self.worker.on_connect = self._connect

    async def _connect(self, client: Client) -> None:
        uid = await self.worker.get_uid_by_client_id(client.id)
        groups = await self.worker.get_all_group_id_list()
        self.seen.append((dict(client.session), uid, sorted(groups)))
