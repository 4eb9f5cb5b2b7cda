"""Certificates that are renewed while their listener works."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import ssl
from pathlib import Path

import pytest

from tests.certificates import make_pair
from tests.net.support import Runner, SecureClient, serving, until
from tidegate import Worker
from tidegate.errors import ConfigurationError
from tidegate.net import certificates as module
from tidegate.net import reactor
from tidegate.net.certificates import Certificates
from tidegate.net.tls import make_certificates, make_context


@pytest.fixture
def pairs(tmp_path: Path) -> dict[str, tuple[str, str]]:
    return {name: make_pair(tmp_path, name) for name in ("old", "new")}


@pytest.fixture
def in_use(tmp_path: Path, pairs: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """The files that a listener is told of; they are the old pair's."""
    used = str(tmp_path / "used.crt"), str(tmp_path / "used.key")
    replace(used, pairs["old"])
    return used


def replace(used: tuple[str, str], by: tuple[str, str]) -> None:
    """As certbot and others do: beside, then in its place."""
    for target, source in zip(used, by, strict=True):
        shutil.copy(source, f"{target}.next")
        os.replace(f"{target}.next", target)


def shown_at(port: int) -> str:
    """The certificate that a listener shows."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)


@pytest.mark.parametrize("address", ["text://127.0.0.1:0", "http://127.0.0.1:0"])
def test_new_connections_get_the_new_certificate_and_old_ones_live_on(
    run: Runner, pairs: dict[str, tuple[str, str]], in_use: tuple[str, str], address: str
) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        """Nobody asks it anything."""

    is_text = address.startswith("text")

    async def main() -> None:
        worker = Worker(address, ssl=in_use, app=None if is_text else app)
        worker.on_message = lambda connection, line: connection.send(line)
        async with serving(worker) as port:
            assert await asyncio.to_thread(shown_at, port) == Path(pairs["old"][0]).read_text()
            client = await SecureClient.connect(port, pairs["old"][0])
            replace(in_use, pairs["new"])
            await worker.reloading()
            assert await asyncio.to_thread(shown_at, port) == Path(pairs["new"][0]).read_text()
            if is_text:
                client.writer.write(b"still here\n")
                assert await client.read_line() == "still here"
            await client.close()

    run(main())


def test_a_listener_looks_at_its_files_by_itself(
    run: Runner,
    pairs: dict[str, tuple[str, str]],
    in_use: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0)
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.01)
    caplog.set_level(logging.INFO, "tidegate")

    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", ssl=in_use)
        async with serving(worker) as port:
            replace(in_use, pairs["new"])
            await until(lambda: "a new certificate is in use" in caplog.text)  # and nobody has connected
            assert await asyncio.to_thread(shown_at, port) == Path(pairs["new"][0]).read_text()

    run(main())


def test_a_pair_that_can_not_be_used_is_logged_once_and_the_old_one_stays(
    pairs: dict[str, tuple[str, str]], in_use: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    certificates = make_certificates(in_use)
    before = certificates.context()
    Path(in_use[0]).write_text("no certificate")
    for _ in range(3):
        certificates.renew()
    assert certificates.context() is before
    assert caplog.text.count("the certificate that there was stays in use") == 1
    os.unlink(in_use[1])
    certificates.renew()
    assert certificates.context() is before
    assert f"there is no file {in_use[1]}" in caplog.text
    replace(in_use, pairs["new"])
    certificates.renew()
    assert certificates.context() is not before


def test_a_certificate_whose_key_is_still_to_come_is_no_mistake(
    pairs: dict[str, tuple[str, str]],
    in_use: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0)
    certificates = make_certificates(in_use)
    before = certificates.context()
    shutil.copy(pairs["new"][0], in_use[0])
    certificates.look()
    shutil.copy(pairs["new"][1], in_use[1])
    certificates.look()
    assert certificates._context is before
    certificates.look()
    assert certificates._context is not before
    assert not caplog.records


def test_who_looks_seldom_has_the_new_certificate_at_the_first_look(
    pairs: dict[str, tuple[str, str]], in_use: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0)
    monkeypatch.setattr(module, "SETTLED_SECONDS", -10)
    certificates = make_certificates(in_use)
    before = certificates.context()
    replace(in_use, pairs["new"])
    assert certificates.context() is not before


def test_a_context_of_the_users_own_is_theirs_to_change(run: Runner, pairs: dict[str, tuple[str, str]]) -> None:
    context = make_context(pairs["old"])

    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", ssl=context)
        async with serving(worker) as port:
            context.load_cert_chain(*pairs["new"])
            await worker.reloading()
            assert await asyncio.to_thread(shown_at, port) == Path(pairs["new"][0]).read_text()

    run(main())


def test_files_are_not_looked_at_for_each_connection(in_use: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = make_certificates(in_use)
    monkeypatch.setattr(os, "stat", None)
    assert certificates.context() is certificates.context()


def test_what_can_not_be_used_at_first_is_an_error() -> None:
    def fail() -> ssl.SSLContext:
        raise ConfigurationError("so it is")

    with pytest.raises(ConfigurationError, match="so it is"):
        Certificates(fail, ["/nowhere"])
