"""`tidegate send`, with a cluster of real processes."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from click.testing import CliRunner, Result
from websockets.sync.client import ClientConnection, connect

from tests.ports import free_port
from tests.process.support import Place
from tidegate import cli
from tidegate.client.blocking import GatewayClient

APP = """
from tidegate import App, Gateway, Register

app = App(
    Register("127.0.0.1:REGISTER", secret_key="s3cret"),
    Gateway("websocket://127.0.0.1:PORT", cluster="127.0.0.1:REGISTER", secret_key="s3cret", start_port=INNER,
            worker_wait_seconds=600),
)
"""


class Cluster:
    """A Register, a gateway, and two clients: uid 42 and client 0 of them, group "room1" with both."""

    def __init__(self, place: Place, open_clients: ExitStack) -> None:
        port, register = free_port(), free_port()
        self.register = f"127.0.0.1:{register}"
        code = APP.replace("REGISTER", str(register)).replace("PORT", str(port)).replace("INNER", str(free_port()))
        place.write(code)
        place.start().ready()
        self.clients: list[ClientConnection] = []
        self.ids: list[str] = []
        with GatewayClient(self.register, secret_key="s3cret") as client:
            for _ in range(2):
                self.clients.append(open_clients.enter_context(connect(f"ws://127.0.0.1:{port}")))
                (id,) = set(client.get_all_client_id_list()) - set(self.ids)
                self.ids.append(id)
                client.join_group(id, "room1")
            client.bind_uid(self.ids[0], 42)
            client.flush()

    def received(self) -> list[list[str | bytes]]:
        """What each client got, up to now."""
        with GatewayClient(self.register, secret_key="s3cret") as client:
            client.send_to_all("mark")
        return [list(iter(client.recv, "mark")) for client in self.clients]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    place = Place(tmp_path_factory.mktemp("send"))
    with ExitStack() as open_clients:
        yield Cluster(place, open_clients)
    place.clear()


@pytest.fixture(autouse=True)
def _environment(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_CLUSTER", cluster.register)
    monkeypatch.setenv("TIDEGATE_SECRET_KEY", "s3cret")


def send(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(cli.main, ["send", *arguments], input=stdin)


def error(*arguments: str, stdin: bytes | None = None) -> str:
    result = send(*arguments, stdin=stdin)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("tidegate: ").rstrip()


def test_it_reaches_all_a_uid_a_group_and_a_client_and_says_how_many(cluster: Cluster) -> None:
    for arguments, said in (
        (("all", "to all"), "sent to 2 clients\n"),
        (("uid", "42", "to uid"), "sent to 1 client\n"),
        (("group", "room1", "to group"), "sent to 2 clients\n"),
        (("client", cluster.ids[1], "to client"), "sent to 1 client\n"),
        (("group", "nobody's", "x"), "sent to 0 clients\n"),
    ):
        result = send(*arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (0, said, "")
    assert cluster.received() == [["to all", "to uid", "to group"], ["to all", "to group", "to client"]]


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("漢 'x'",), None, "漢 'x'"),
        (("",), None, ""),
        (("--", "--binary"), None, "--binary"),
        (("é", "--binary"), None, "é".encode()),
        (("-",), b"two\nlines\r\n", "two\nlines"),
        (("-",), b"", ""),
        (("-", "--binary"), b"\xff\0\n", b"\xff\0\n"),
    ],
)
def test_what_is_sent(cluster: Cluster, arguments: tuple[str, ...], stdin: bytes | None, message: str | bytes) -> None:
    assert send("uid", "42", *arguments, stdin=stdin).exit_code == 0
    assert cluster.received() == [[message], []]


def test_where_nobody_is_online_it_says_so(cluster: Cluster) -> None:
    assert error("uid", "nobody", "x") == "nobody is online as uid 'nobody'"
    gone = cluster.ids[0][:12] + "00000001"
    assert error("client", gone, "x") == f"client {gone} is not online"


def test_what_cannot_be_meant_is_one_line(cluster: Cluster) -> None:
    assert error("client", "xx", "x").startswith("'xx' is no client id: ")
    assert error("uid", "", "x") == "an empty uid: nothing can have that"
    assert error("all", "-", stdin=b"\xff") == "standard input brings no UTF-8 text: send it with --binary"
    assert error("all", "x", "--cluster", "here").startswith("the Register 'here' needs a host and a port: ")
    assert error("all", "x" * 11_000_000).startswith("a packet of 11000028 bytes, over the limit")
    assert send("all").exit_code == 2
    assert send("everybody", "x").exit_code == 2


def test_a_cluster_that_is_not_there_is_named_and_the_secret_never(cluster: Cluster) -> None:
    assert error("all", "x", "--cluster", "127.0.0.1:1") == "Register 127.0.0.1:1 can't be reached: Connection refused"
    with socket.create_server(("127.0.0.1", 0)) as closes:
        place = f"127.0.0.1:{closes.getsockname()[1]}"
        closes.close()
        assert place in error("uid", "42", "x", "--cluster", f"127.0.0.1:1,{place}")
    wrong = error("all", "x", "--secret-key", "wr0ng")
    assert cluster.register in wrong
    assert "wr0ng" not in wrong + error("all", "x", "--cluster", "127.0.0.1:1", "--secret-key", "wr0ng")


def test_options_come_before_the_environment(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_CLUSTER", "127.0.0.1:1")
    monkeypatch.setenv("TIDEGATE_SECRET_KEY", "other")
    assert send("group", "none", "x", "--cluster", cluster.register, "--secret-key", "s3cret").exit_code == 0


def test_the_help_says_where_a_secret_is_better_kept() -> None:
    text = " ".join(send("uid", "--help").stdout.split())
    assert "better in TIDEGATE_SECRET_KEY, as others on this machine can see a command" in text
    assert json.dumps(os.environ["TIDEGATE_SECRET_KEY"]) not in text
