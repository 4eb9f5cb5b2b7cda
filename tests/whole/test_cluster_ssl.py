"""A cluster whose processes speak TLS among themselves and show each other certificates (`cluster_ssl`)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.gateway.clients import counted
from tests.gateway.support import Place, gateway
from tests.net.support import LOOPS, Client, Runner, WebSocketClient, until
from tidegate import AsyncGatewayClient, BusinessWorker, ClusterTLS, Gateway, GatewayClient, Register
from tidegate.cluster import keeper
from tidegate.errors import ClusterError, ConfigurationError
from tidegate.net.mutual import accepting, connecting

SECRET = "s3cret"


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(LOOPS[request.param])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> ClusterTLS:
    return ClusterTLS(*authority.sign("member"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory, files: ClusterTLS) -> ClusterTLS:
    """Who believes this cluster, and is not believed by it."""
    other = Authority(tmp_path_factory.mktemp("other"))
    return ClusterTLS(*other.sign("stranger"))._replace(ca=files.ca)


@contextlib.asynccontextmanager
async def serving(place: Place, **settings: Any) -> AsyncIterator[BusinessWorker]:
    worker = BusinessWorker(cluster=f"127.0.0.1:{place.register}", secret_key=SECRET, **settings)

    @worker.on_message
    async def echo(client: Any, message: str) -> None:
        client.join_group("room")
        client.session["said"] = message
        client.send(f"{await worker.get_client_count_by_group('room')} {message}")

    await worker.listen()
    try:
        yield worker
    finally:
        await worker.stop(seconds=1)


def address(place: Place) -> str:
    return f"127.0.0.1:{place.register}"


def push(place: Place, files: ClusterTLS | None, message: str) -> dict[str, Any]:
    """What a program that blocks does."""
    with GatewayClient(address(place), secret_key=SECRET, cluster_ssl=files) as client:
        client.send_to_group("room", message)
        client.flush()
        return client.get_all_client_sessions()


def test_everybody_in_it_is_understood(run: Runner, files: ClusterTLS) -> None:
    async def main() -> None:
        async with (
            gateway(secret_key=SECRET, cluster_ssl=files, register_ssl=files) as place,
            serving(place, cluster_ssl=files),
        ):
            with await WebSocketClient.open(place.port) as client:
                await client.send_text("hello")
                assert await client.read_text() == "1 hello"
                sessions = await asyncio.to_thread(push, place, files, "x" * 300_000)
                assert list(sessions.values()) == [{"said": "hello"}]
                assert await client.read_text() == "x" * 300_000
                async with AsyncGatewayClient(address(place), secret_key=SECRET, cluster_ssl=files) as pushing:
                    await pushing.send_to_all("y" * 300_000)
                    await pushing.flush()
                    assert await client.read_text() == "y" * 300_000
                    assert await pushing.get_all_client_count() == 1
            assert counted(place)["refused_links"] == 0

    run(main())


async def raised(work: Any) -> str:
    with pytest.raises(ClusterError) as caught:
        await work
    return str(caught.value)


def test_nobody_comes_in_without_a_certificate_of_the_cluster(
    run: Runner, files: ClusterTLS, foreign: ClusterTLS, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tidegate")

    async def main() -> None:
        async with gateway(secret_key=SECRET, cluster_ssl=files, register_ssl=files) as place:
            for shown, reason in ((None, "it has cluster_ssl and this side has not"), (foreign, "our certificate")):
                assert reason in await raised(asyncio.to_thread(push, place, shown, "x"))
                client = AsyncGatewayClient(address(place), secret_key=SECRET, cluster_ssl=shown)
                assert reason in await raised(client.get_all_client_count())
                await client.aclose()
            strangers = (b'{"secret_key":"s3cret"}', b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(100))
            for refused, first in enumerate(strangers, 1):
                with await Client.connect(place.inner) as peer, contextlib.suppress(ConnectionError):
                    await peer.send(first)
                    peer.shut()
                    await peer.read_to_end()
                await until(lambda count=refused: counted(place)["refused_links"] == count)  # type: ignore[misc]
            assert place.gateway._inner is not None
            assert not place.gateway._inner._links

    run(main())
    assert "127.0.0.1: it speaks no TLS" in caplog.text
    assert "127.0.0.1: it sent an HTTP request and no TLS" in caplog.text
    assert "its certificate can't be trusted" in caplog.text
    assert SECRET not in caplog.text


def test_who_asks_for_tls_where_there_is_none_is_told_so(
    run: Runner, files: ClusterTLS, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with gateway(secret_key=SECRET) as place:
            assert "cluster_ssl" in await raised(asyncio.to_thread(push, place, files, "x"))
            with await Client.connect(place.inner) as peer, contextlib.suppress(ConnectionError):
                await peer.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                await peer.read_to_end()
            assert counted(place)["refused_links"] == 1

    run(main())
    assert "it sent a TLS handshake, and there is no cluster_ssl here" in caplog.text


def test_links_say_why_they_are_not_there(
    run: Runner,
    files: ClusterTLS,
    foreign: ClusterTLS,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 0.05)

    async def main() -> None:
        async with gateway(secret_key=SECRET, cluster_ssl=files, register_ssl=files) as place:
            for shown, reason in ((None, "it has cluster_ssl and this side has not"), (foreign, "(cluster_ssl)")):
                caplog.clear()
                worker = BusinessWorker(cluster=address(place), secret_key=SECRET, cluster_ssl=shown)
                starting = asyncio.ensure_future(worker.listen())
                await until(lambda reason=reason: reason in caplog.text)  # type: ignore[misc]
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)

    run(main())


def test_a_certificate_of_the_cluster_is_renewed_without_a_restart(
    run: Runner, authority: Authority, tmp_path: Path
) -> None:
    used = ClusterTLS(str(tmp_path / "my.crt"), str(tmp_path / "my.key"), authority.certificate)

    def install(name: str) -> str:
        for source, target in zip(authority.sign(name), used[:2], strict=False):
            shutil.copy(source, target)
        return Path(used.certificate).read_text()

    async def shown(port: int) -> str:
        context = connecting(used).context()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return ssl.DER_cert_to_PEM_cert(certificate)

    async def main() -> None:
        before = install("before")
        async with (
            gateway(secret_key=SECRET, cluster_ssl=used, register_ssl=used) as place,
            serving(place, cluster_ssl=used),
        ):
            with await WebSocketClient.open(place.port) as client:
                await client.send_text("hello")
                assert await client.read_text() == "1 hello"
                assert await shown(place.inner) == before
                after = install("after")
                await place.gateway.reloading()
                assert await shown(place.inner) == after
                await client.send_text("and again")  # the worker's link is the old one
                assert await client.read_text() == "1 and again"
                await asyncio.to_thread(push, place, used, "new connections are made")
                assert await client.read_text() == "new connections are made"

    run(main())


def test_a_handshake_that_is_never_made_is_given_up_and_forgotten(run: Runner, files: ClusterTLS) -> None:
    async def main() -> None:
        async with gateway(secret_key=SECRET, cluster_ssl=files, register_ssl=files) as place:
            inner = place.gateway._inner
            assert inner is not None
            assert inner._listener is not None
            with contextlib.ExitStack() as stack:
                for _ in range(20):
                    stack.enter_context(socket.create_connection(("127.0.0.1", place.inner)))
                await until(lambda: len(inner._listener._starting) == 20)  # type: ignore[union-attr]
                await asyncio.to_thread(push, place, files, "others are served")
            await until(lambda: counted(place)["refused_links"] == 20)
            assert not inner._listener._starting

    run(main())


@pytest.mark.parametrize("member", [Register, lambda **ssl: Gateway("text://127.0.0.1:0", **ssl), BusinessWorker])
def test_what_can_not_be_used_is_an_error_that_names_the_file(member: Any, files: ClusterTLS, tmp_path: Path) -> None:
    for wrong, complaint in (
        (files[:2], "three files"),
        ("member.crt", "three files"),
        (files._replace(key="/nowhere/a.key"), "there is no file /nowhere/a.key"),
        (files._replace(key=files.certificate), "are no certificate and its key"),
        (files._replace(ca=files.key), "is no authority's certificate"),
    ):
        with pytest.raises(ConfigurationError, match=complaint):
            member(cluster_ssl=wrong).describe({})
    row = member(cluster_ssl=[Path(path) for path in files]).describe({})
    assert row.get("settings", {"cluster_ssl": files})["cluster_ssl"] == files


def test_it_may_stand_in_the_environment(files: ClusterTLS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_CLUSTER_SSL", ",".join(files))
    assert Register().describe({})["settings"]["cluster_ssl"] == files
    for kind in (GatewayClient, AsyncGatewayClient):
        options = kind()._options
        assert options.trust is not None
        assert options.trust.files == files
    assert Gateway.from_settings(Gateway("text://127.0.0.1:0").describe({})).settings({}).cluster_ssl == files


def test_old_versions_of_tls_are_refused(files: ClusterTLS) -> None:
    assert accepting(files).context().minimum_version == ssl.TLSVersion.TLSv1_3
    assert connecting(files).context().minimum_version == ssl.TLSVersion.TLSv1_3
