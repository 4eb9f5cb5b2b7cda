"""The ready-made push server: browsers say who they are, backends send lines of JSON that are pushed to them."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tidegate.app import App
from tidegate.errors import ConfigurationError
from tidegate.net.address import parse_address
from tidegate.net.connection import Connection
from tidegate.net.fanout import fan_out
from tidegate.net.throttle import Throttle
from tidegate.net.timers import every
from tidegate.process.member import Member
from tidegate.protocols import Message
from tidegate.push_cluster import ClusterUsers, PushGateway
from tidegate.register.register import Register
from tidegate.worker import Worker

if TYPE_CHECKING:
    from tidegate.gateway.connection import GatewayConnection

__all__ = ["Login", "LoginError", "Users", "make_token", "parse_login", "push_server", "read_push"]

logger = logging.getLogger("tidegate")

MAX_NAME = 256
"""Characters of a uid or utype; each is kept for as long as its connections live."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who a browser says it is. The same uid under another utype is another user."""

    uid: str
    utype: str = "0"
    token: str = ""


class LoginError(Exception):
    """A first message that names nobody."""


def parse_login(text: str) -> Login | None:
    """Read a browser's message: a plain uid, or ``{"uid": …, "utype": …, "checkToken": …}``.

    Returns:
        Who it is; None for a heartbeat, ``{"data": "heartbeat"}``.

    Raises:
        LoginError: it says neither.
    """
    fields = _object(text)
    if fields is None:
        login = Login(text.strip())
    elif fields.get("data") == "heartbeat":
        return None
    else:
        uid, utype, token = _name(fields.get("uid")), _utype(fields), fields.get("checkToken")
        if uid is None or utype is None:
            raise LoginError("uid and utype are text or numbers")
        login = Login(uid, utype, token if isinstance(token, str) else "")
    if not login.uid or max(len(login.uid), len(login.utype)) > MAX_NAME:
        raise LoginError(f"a uid has 1 to {MAX_NAME} characters")
    return login


def make_token(login: Login, secret: str, algorithm: str) -> str:
    """The `checkToken` that proves a login: what the site gives its user's page.

    Args:
        algorithm: ``hmac-sha256`` of ``uid:utype`` with the secret, or ``md5`` of uid, utype and secret in a row; both
            in hex.
    """
    if algorithm == "md5":
        return hashlib.md5(f"{login.uid}{login.utype}{secret}".encode(), usedforsecurity=False).hexdigest()
    return hmac.new(secret.encode(), f"{login.uid}:{login.utype}".encode(), hashlib.sha256).hexdigest()


def read_push(line: Message) -> tuple[str, list[str] | None] | None:
    """Read whom a backend's line is for.

    Returns:
        The utype, and the uids or None for everybody of it. None where the line is no JSON object that says so.
    """
    fields = _object(line) if isinstance(line, str) else None
    if fields is None:
        return None
    utype, to = _utype(fields), fields.get("uid")
    if utype is None:
        return None
    if to is None or to == "":
        return utype, None
    if isinstance(to, list):
        return utype, list(dict.fromkeys(name for item in to if (name := _name(item)) is not None))
    uid = _name(to)
    return None if uid is None else (utype, [uid])


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _utype(fields: dict[str, Any]) -> str | None:
    value = fields.get("utype")
    return "0" if value is None or value == "" else _name(value)


def _name(value: Any) -> str | None:
    """A uid or utype as text: numbers as they are written. None for what is neither, and for half a character."""
    if isinstance(value, str):
        return value if value.isascii() or value == value.encode(errors="replace").decode() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class Users:
    """Who is connected, where that is to one process."""

    def __init__(self) -> None:
        self._by_user: dict[tuple[str, str], set[Connection]] = {}
        self._by_utype: dict[str, set[Connection]] = {}

    def bind(self, connection: Connection, utype: str, uid: str) -> None:
        """Let a connection get what is pushed to its user."""
        self._by_user.setdefault((utype, uid), set()).add(connection)
        self._by_utype.setdefault(utype, set()).add(connection)

    def unbind(self, connection: Connection) -> None:
        """Forget a connection; the user's others stay."""
        user = getattr(connection, "user", None)
        if user is not None:
            _discard(self._by_user, user, connection)
            _discard(self._by_utype, user[0], connection)

    def send(self, utype: str, uids: Iterable[str] | None, message: str) -> bool:
        """Push to users, or with None to everybody of a utype.

        Returns:
            Whether a connection got it; for everybody, that it was sent.
        """
        if uids is None:
            fan_out(self._by_utype.get(utype, ()), message)
            return True
        reached = False
        for uid in uids:
            for connection in tuple(self._by_user.get((utype, uid), ())):
                reached |= connection.send(message)
        return reached


def _discard(table: dict[Any, set[Connection]], key: Any, connection: Connection) -> None:
    members = table.get(key)
    if members is not None:
        members.discard(connection)
        if not members:
            del table[key]


def push_server(
    listen: str = "websocket://0.0.0.0:1234",
    inner: str = "text://127.0.0.1:5678",
    heartbeat: int = 80,
    token_secret: str | None = None,
    token_algorithm: str = "hmac-sha256",  # noqa: S107 - no secret
    page: str | None = None,
    count: int = 1,
    register: str = "127.0.0.1:5679",
    start_port: int = 5680,
) -> App:
    """Make the app; `tidegate push-server` says what the arguments mean.

    Raises:
        ConfigurationError: for an address that can't be meant.
    """
    if heartbeat < 0:
        raise ConfigurationError("--heartbeat takes seconds, or 0 for none")
    inner_address = parse_address(inner)
    if inner_address.scheme != "text":
        raise ConfigurationError(f"--inner takes a text:// address, not {inner}")
    if parse_address(listen).scheme in ("udp", "http"):
        raise ConfigurationError(f"--listen takes an address for connections, not {listen}")
    throttle = Throttle(logger)
    is_right = _token_check(token_secret, token_algorithm)
    users: Users | ClusterUsers
    worker: Worker | PushGateway
    if count == 1:
        users, worker = Users(), Worker(listen, name="push", count=1)
        worker.on_close = users.unbind
    else:
        worker = PushGateway(listen, count=count, register=register, start_port=start_port)
        users = worker.users

    @worker.on_worker_start
    async def open_inner_port(_: Worker | PushGateway) -> None:
        if not inner_address.is_local:
            logger.warning("%s is open to other machines: whoever reaches it can push to everybody", inner)
        door = Worker(inner, name="inner", reuse_port=count > 1)
        door.on_message = push
        await door.listen()
        if heartbeat:
            every(1, close_silent)

    def push(connection: Connection, line: Message) -> Awaitable[None] | None:
        wanted = read_push(line)
        if wanted is None:
            throttle.log(logging.WARNING, "from %s: a line that is no push: %.200r", connection.remote_ip, line)
            connection.send("fail")
            return None
        try:
            reached = users.send(*wanted, str(line))
        except ValueError as error:
            throttle.log(logging.WARNING, "from %s: a line that can't be pushed: %s", connection.remote_ip, error)
            reached = False
        if isinstance(reached, bool):
            connection.send("ok" if reached else "fail")
            return None
        return answer_later(connection, reached)

    async def answer_later(connection: Connection, reached: Awaitable[bool]) -> None:
        connection.send("ok" if await reached else "fail")

    @worker.on_message
    def log_in(connection: Connection, message: Message) -> None:
        if hasattr(connection, "user"):
            return
        if isinstance(message, bytes):
            connection.close(code=1003, reason="the first message is text")
            return
        try:
            login = parse_login(message)
        except LoginError as error:
            connection.close(code=1008, reason=str(error))
            return
        if login is None:
            return
        if is_right(login):
            connection.user = (login.utype, login.uid)
            users.bind(cast("GatewayConnection", connection), login.utype, login.uid)
        else:
            throttle.log(logging.WARNING, "from %s: a wrong checkToken for %.200r", connection.remote_ip, login.uid)
            connection.close(code=1008, reason="wrong checkToken")

    def close_silent() -> None:
        for connection in tuple(worker.connections.values()):
            if connection.idle_seconds > heartbeat:
                connection.close(code=1008, reason=f"silent for over {heartbeat} seconds")

    members: list[Member] = [worker] if count == 1 else [worker, Register(register)]
    if page is not None:
        from tidegate.push_page import push_page

        members.append(Worker(page, name="page", app=push_page(listen, inner, token_secret is not None)))
    return App(*members)


def _token_check(secret: str | None, algorithm: str) -> Callable[[Login], bool]:
    if secret is None:
        return lambda _: True

    def is_right(login: Login) -> bool:
        # "a:1" with "2" and "a" with "1:2" would have the same token.
        if algorithm != "md5" and ":" in login.utype:
            return False
        return hmac.compare_digest(make_token(login, secret, algorithm).encode(), login.token.encode(errors="replace"))

    return is_right
