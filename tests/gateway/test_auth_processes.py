"""`auth` in the gateways of an app that was started, and what an app that keeps secrets shows of them: nothing."""

from __future__ import annotations

import base64
import contextlib
import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.ports import free_port
from tests.process.support import Lines, Place, until
from tidegate import GatewayClient
from tidegate.errors import ClusterError

SECRET = "the-clusters-own-s3cret"
KEY = "a-key-that-nobody-may-see-0123456789abcdef"
APP = """
import asyncio
from tidegate import App, BusinessWorker, Gateway, Identity, JWTAuth, Register

async def find(handshake):
    await asyncio.sleep(0)
    name = handshake.query.get("name")
    if name == "nobody":
        raise LookupError("the database is away")
    return Identity(name, {"name": name, "from": handshake.remote_ip}, ["members"]) if name else None

tokens = JWTAuth("KEY", ["HS256"], audience="chat", cookie="token", subprotocol="jwt")
business = BusinessWorker()
app = App(
    Register("127.0.0.1:REGISTER", secret_key="SECRET", settle_seconds=0),
    Gateway("websocket://127.0.0.1:0", name="asking", auth=find, start_port=INNER, secret_key="SECRET"),
    Gateway("websocket://127.0.0.1:0", name="tokens", auth=tokens, start_port=OTHER, secret_key="SECRET"),
    business,
)

@business.on_connect
async def greet(client):
    uid = await business.get_uid_by_client_id(client.id)
    count = await business.get_client_count_by_group("members")
    client.send(f"{client.id} {uid} {sorted(client.session)} {count}")

@business.on_message
async def renew(client, token):
    client.send(str(await client.renew_auth(token)))
"""
VERBOSE = """
import logging
from tidegate.process import logs

set_up = logs.set_up

def set_up_verbose(process):
    set_up(process)
    logging.getLogger().setLevel(logging.DEBUG)

logs.set_up = set_up_verbose
"""


class Doors:
    """The app."""

    def __init__(self, folder: Path) -> None:
        self.place = place = Place(folder)
        self.register = free_port()
        ports = {"REGISTER": self.register, "INNER": free_port(), "OTHER": free_port()}
        code = APP.replace("SECRET", SECRET).replace("KEY", KEY)
        for name, port in ports.items():
            code = code.replace(name, str(port))
        place.environment["TIDEGATE_SECRET_KEY"] = SECRET
        place.write(code)
        self.app = place.hurry(VERBOSE).ready()
        self.ports = {name: place.port(role=name) for name in ("asking", "tokens")}

    def connect(self, door: str, path: str = "/", **options: Any) -> ClientConnection:
        connection: ClientConnection = connect(f"ws://127.0.0.1:{self.ports[door]}{path}", **options)
        return connection

    def refuses(self, door: str, path: str = "/", **options: Any) -> int:
        """The status of the answer to one who is not let in."""
        with pytest.raises(InvalidStatus) as refused, self.connect(door, path, **options):
            pass
        return refused.value.response.status_code

    def counted(self, role: str) -> dict[str, Any]:
        (row,) = (row for row in self.place.processes() if row["role"].startswith(role))
        return {**row, **row["extra"]}

    @property
    def log(self) -> str:
        return self.app.out.read_text() + self.app.err.read_text()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    doors = Doors(tmp_path_factory.mktemp("doors"))
    yield doors
    doors.place.clear()


def test_a_function_in_the_users_file_says_who_comes_in(doors: Doors) -> None:
    assert doors.refuses("asking") == 401
    assert doors.refuses("asking", "/?name=nobody") == 500
    with doors.connect("asking", "/?name=kim") as kim:
        assert str(kim.recv()).partition(" ")[2] == "kim ['from', 'name'] 1"
        with doors.connect("asking", "/?name=lee") as lee:
            assert str(lee.recv()).partition(" ")[2] == "lee ['from', 'name'] 2"
    counted = doors.counted("asking")
    assert (counted["refused_auth"], counted["failed_auth"]) == (1, 1)
    assert "LookupError: the database is away" in doors.log


def token(key: str = KEY, algorithm: str = "HS256", seconds: float = 60, **claims: Any) -> str:
    return jwt.encode({"sub": "kim", "aud": "chat", "exp": int(time.time() + seconds), **claims}, key, algorithm)


def written(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def shown(token: str) -> list[tuple[str, dict[str, Any]]]:
    """Everywhere that a client may show a token."""
    return [
        (f"/?token={token}", {}),
        ("/", {"additional_headers": {"Authorization": f"Bearer {token}"}}),
        ("/", {"additional_headers": {"Cookie": f"token={token}"}}),
        ("/", {"subprotocols": ["jwt", token]}),
    ]


def test_a_token_lets_in_from_wherever_it_is_shown_and_a_wrong_one_from_nowhere(doors: Doors) -> None:
    for path, options in shown(token()):
        with doors.connect("tokens", path, **options) as kim:
            assert "kim ['aud', 'exp', 'sub']" in str(kim.recv())
    head, claims, signature = token().split(".")
    wrong = [
        f"{head}.{written({'sub': 'admin', 'aud': 'chat'})}.{signature}",
        f"{written({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
        f"{written({'alg': 'none', 'typ': 'JWT'})}.{claims}.{signature}",
        token(seconds=-1),
        token(key="another-key-0123456789abcdef0123456789abcdef"),
        token(aud="mail"),
        token(nbf=int(time.time()) + 60),
        jwt.encode({"aud": "chat"}, KEY),
    ]
    for bad in wrong:
        for path, options in shown(bad):
            assert doors.refuses("tokens", path, **options) == 401, bad
    assert doors.counted("tokens")["refused_auth"] == 4 * len(wrong)


def test_its_end_is_the_connections_unless_a_new_one_came(doors: Doors) -> None:
    path = f"/?token={token(seconds=1)}"
    with (
        doors.connect("tokens", path) as first,
        doors.connect("tokens", path) as second,
        doors.connect("tokens", path) as third,
    ):
        third_id = str(third.recv()).partition(" ")[0]
        for one, new in ((first, token(sub="lee")), (second, token())):
            one.recv()
            one.send(new)
        assert [first.recv(), second.recv()] == ["False", "True"]
        with GatewayClient(f"127.0.0.1:{doors.register}", secret_key=SECRET) as push:
            assert push.renew_auth(third_id, token() + "x") is False
            assert push.renew_auth(third_id, token()) is True
        with pytest.raises(ConnectionClosed) as closed:
            first.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "your token has expired")
        for one in (second, third):
            assert one.ping().wait(10)
    counted = doors.counted("tokens")
    assert (counted["expired_clients"], counted["refused_renewals"]) == (1, 2)


def test_secrets_are_shown_nowhere(doors: Doors) -> None:
    """At debug level, and to those who guess wrong."""
    with Lines(doors.register) as stranger:
        assert stranger.ask('{"event":"worker_connect","secret_key":"guessed"}') == ""
    with (
        GatewayClient(f"127.0.0.1:{doors.register}", secret_key="guessed") as push,
        pytest.raises(ClusterError) as refused,
    ):
        push.send_to_all("x")
    until(lambda: doors.log.count("wrong secret_key") >= 2)
    said = [doors.log, str(refused.value), repr(push), doors.place.do("status"), doors.place.do("status", "--json")]
    said += [doors.place.do("connections")]
    for pid in (*doors.place.pids(), doors.app.pid):
        for name in ("cmdline", "comm"):
            with contextlib.suppress(FileNotFoundError):  # where the system has no such files
                said.append(Path(f"/proc/{pid}/{name}").read_text())
    for text in said:
        assert SECRET not in text
        assert KEY not in text
        assert "guessed" not in text


def test_the_files_of_a_running_app_are_its_users_alone(doors: Doors) -> None:
    files = [path for kind in ("sock", "pid") for path in doors.place.run_folder.glob(f"*.{kind}")]
    assert len(files) == 2
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
