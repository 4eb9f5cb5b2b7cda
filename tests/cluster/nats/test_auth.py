"""Coming in, with real servers that ask for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.nats.keys import Key, operated
from tests.cluster.nats.server import NatsServer
from tests.cluster.nats.support import Noting
from tests.net.support import CERTIFICATE, KEY, LOOPS, Runner, until
from tidegate.cluster.nats.auth import connect_fields
from tidegate.cluster.nats.blocking import BlockingNatsClient
from tidegate.cluster.nats.protocol import Info
from tidegate.cluster.nats.url import parse_nats
from tidegate.errors import ClusterError, ConfigurationError

INFO = Info("2.11.0", 1, (), "nonce", {})


async def use_on_asyncio(url: str) -> None:
    """Have a message of two parts go and come."""
    async with Noting(url) as client:
        client.subscribe("a")
        client.publish_parts("a", b"x" * 2_000_000)
        assert await client.has(1) == [b"x" * 2_000_000]


async def fail_on_asyncio(url: str) -> str:
    client = Noting(url)
    client.start()
    await until(lambda: not client.problem.startswith("not connected yet"))
    await client.stop()
    return client.problem


def use_blocking(url: str) -> None:
    """Have something long leave, and an answer come."""
    with BlockingNatsClient(parse_nats(url)) as client:
        client.publish_parts("a", b"x" * 2_000_000)
        client.flush()
        with pytest.raises(ClusterError, match="nobody listens"):
            client.request("nobody", b"")


def fail_blocking(url: str) -> str:
    with BlockingNatsClient(parse_nats(url)) as client, pytest.raises((ClusterError, ConfigurationError)) as caught:
        client.publish("a", b"")
    return str(caught.value)


class Way:
    """One kind of client.

    Attributes:
        use: with a URL, which has to work.
        fail: with one that can't; gives what is told.
    """

    def __init__(self, kind: str) -> None:
        self.use: Callable[[str], None] = use_blocking
        self.fail: Callable[[str], str] = fail_blocking
        if kind in LOOPS:
            run = Runner(LOOPS[kind])
            self.use = lambda url: run(use_on_asyncio(url))
            self.fail = lambda url: run(fail_on_asyncio(url))


@pytest.fixture(params=[*LOOPS, "blocking"])
def way(request: pytest.FixtureRequest) -> Way:
    return Way(request.param)


def on(server: NatsServer, who: str = "", more: str = "", scheme: str = "nats") -> str:
    return f"{scheme}://{who}127.0.0.1:{server.port}{more}"


def test_a_user_and_a_password_let_in(way: Way, tmp_path: Path) -> None:
    with NatsServer(tmp_path, "authorization { user: u, password: s3cret }") as server:
        way.use(on(server, "u:s3cret@"))
        for wrong in ("", "u:wr0ng@"):
            told = way.fail(on(server, wrong))
            assert "refuses us: Authorization Violation. Check the user" in told
            assert "wr0ng" not in told


def test_a_token_lets_in(way: Way, tmp_path: Path) -> None:
    with NatsServer(tmp_path, "authorization { token: s3cret }") as server:
        way.use(on(server, "s3cret@"))


def test_a_creds_file_lets_in(way: Way, tmp_path: Path) -> None:
    config, creds = operated()
    path = tmp_path / "user.creds"
    path.write_text(creds)
    with NatsServer(tmp_path, config) as server:
        way.use(on(server, more=f"?creds={path}"))


def test_the_seed_of_a_key_lets_in(way: Way, tmp_path: Path) -> None:
    key = Key("user")
    path = tmp_path / "user.nk"
    path.write_text(key.seed + "\n")
    with NatsServer(tmp_path, f"authorization {{ users: [ {{ nkey: {key.public} }} ] }}") as server:
        way.use(on(server, more=f"?creds={path}"))


def test_a_server_may_ask_for_tls(way: Way, tmp_path: Path) -> None:
    tls = f'tls {{ cert_file: "{CERTIFICATE}", key_file: "{KEY}" }}'
    with NatsServer(tmp_path, f"{tls}\nauthorization {{ token: s3cret }}") as server:
        way.use(on(server, "s3cret@", f"?tls_ca={CERTIFICATE}"))
        assert "TLS failed: self-signed certificate" in way.fail(on(server, "s3cret@"))


def test_a_server_may_ask_for_the_certificate_of_a_client(way: Way, tmp_path: Path) -> None:
    tls = f'tls {{ cert_file: "{CERTIFICATE}", key_file: "{KEY}", ca_file: "{CERTIFICATE}", verify: true }}'
    with NatsServer(tmp_path, tls) as server:
        way.use(on(server, more=f"?tls_ca={CERTIFICATE}&tls_cert={CERTIFICATE}&tls_key={KEY}"))


def test_nothing_is_said_to_a_server_without_tls_where_it_was_asked_for(way: Way, nats: NatsServer) -> None:
    assert "offers no TLS" in way.fail(on(nats, scheme="tls"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "can't be read: No such file"),
        ("nothing", "has no seed"),
        (b"\xff\xfe", "it is no text"),
        ("-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n", "has no seed"),
        (
            "-----BEGIN USER NKEY SEED-----\nSU1\n------END USER NKEY SEED------\n",
            "has a seed .* that is none",
        ),
    ],
)
def test_a_file_that_is_none_is_told_of(tmp_path: Path, content: str | bytes | None, reason: str) -> None:
    path = tmp_path / "user.creds"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigurationError, match=reason):
        connect_fields(parse_nats(f"nats://h?creds={path}", {}), INFO)


def test_what_signs_has_to_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "user.nk"
    path.write_text(Key("user").seed)
    monkeypatch.setitem(sys.modules, "nkeys", None)
    with pytest.raises(ConfigurationError, match=r"needs the package nkeys: pip install 'tidegate\[nats\]'"):
        connect_fields(parse_nats(f"nats://h?creds={path}", {}), INFO)


@pytest.mark.parametrize("query", ["tls_ca=/none", "tls_cert=/none&tls_key=/none", f"tls_ca={KEY}"])
def test_files_for_tls_that_are_none_are_told_of(way: Way, tmp_path: Path, query: str) -> None:
    tls = f'tls {{ cert_file: "{CERTIFICATE}", key_file: "{KEY}" }}'
    with NatsServer(tmp_path, tls) as server:
        assert "TLS to NATS: " in way.fail(on(server, more=f"?{query}"))
