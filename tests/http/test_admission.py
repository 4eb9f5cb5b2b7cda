"""Who may ask: programs with the token, or without one programs on this machine, and no web page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.http.support import TOKEN, Recorder, ask, door, exchange, post
from tests.net.support import Runner
from tidegate.errors import ConfigurationError
from tidegate.http import PushApp, push_api

SEND = "/?method=sendToAll&args[]=hello"


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer\t{TOKEN}",
        "Bearer \xff",
        f"Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}",
    ],
)
def test_with_a_token_nothing_is_done_without_it(run: Runner, shown: str | None) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder, TOKEN) as port:
            for verb, target in (("GET", SEND), ("POST", "/api/flush"), ("GET", "/openapi.json"), ("GET", "/nowhere")):
                done = await ask(port, target, verb, headers={"Authorization": shown})
                assert (done.status, done.headers["www-authenticate"][:6]) == (401, "Bearer")
            assert recorder.calls == []

    run(main())


def test_with_the_token_anybody_may(run: Runner) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder, TOKEN) as port:
            for scheme in ("Bearer", "bearer"):
                headers = {
                    "Authorization": f"{scheme} {TOKEN}",
                    "Host": "push.example",
                    "X-Forwarded-For": "203.0.113.7",
                }
                assert (await ask(port, SEND, headers=headers)).text == "ok"
                assert (await post(port, "flush", headers)).status == 200

    run(main())


@pytest.mark.parametrize("token", ["", "two words", "schlüssel", "a\n", 7])
def test_a_token_that_no_header_can_have_is_an_error(token: Any) -> None:
    with pytest.raises(ConfigurationError, match="the token of the HTTP door is not right"):
        push_api(token=token)


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT", "[::1]:PORT", "127.8.0.1:PORT"])
def test_without_a_token_programs_on_this_machine_may(run: Runner, host: str) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder) as port:
            host_header = host.replace("PORT", str(port))
            for more in ({}, {"Origin": f"http://{host_header}"}, {"Sec-Fetch-Site": "none"}):
                assert (await ask(port, SEND, headers={"Host": host_header, **more})).text == "ok"

    run(main())


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": None},
        {"Host": "evil.example:PORT"},
        {"Host": "127.0.0.1.evil.example:PORT"},
        {"Host": "localhost.evil.example:PORT"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "evil@127.0.0.1:PORT"},
        {"Host": "127.0.0.1:PORT\r\nHost: evil.example"},
        {"Host": "192.168.1.5:PORT"},
        {"Host": "0.0.0.0:PORT"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:PORT"},
        {"Origin": "http://localhost:PORT"},
        {"Origin": "http://127.0.0.1:PORT\r\nOrigin: http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none\r\nSec-Fetch-Site: cross-site"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
        {"Via": "1.1 proxy"},
    ],
)
def test_without_a_token_what_a_page_or_a_proxy_sends_is_refused(run: Runner, headers: dict[str, str | None]) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder) as port:
            real = {name: value and value.replace("PORT", str(port)) for name, value in headers.items()}
            for verb, target in (("GET", SEND), ("POST", "/api/flush"), ("GET", "/openapi.json")):
                assert (await ask(port, target, verb, headers=real)).status in (400, 403)  # the server's own, or ours
            assert recorder.calls == []

    run(main())


def test_a_program_that_speaks_http_1_0_has_to_name_the_host_too(run: Runner) -> None:
    async def main() -> None:
        async with door(Recorder()) as port:
            assert (await exchange(port, f"GET {SEND} HTTP/1.0\r\n\r\n".encode())).status == 403
            request = f"GET {SEND} HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n"
            assert (await exchange(port, request.encode())).text == "ok"

    run(main())


async def in_site(client: Any, server: Any, **more: Any) -> int:
    """A request as a site's server hands it over."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"method=flush",
        "headers": [(b"host", b"127.0.0.1:8000")],
        "scheme": "http",
        "client": client,
        "server": server,
    }
    await PushApp(Recorder(), None)({**scope, **more}, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("client", "server", "status"),
    [
        (("127.0.0.1", 5), ("127.0.0.1", 8000), 200),
        (("::1", 5), ("::1", 8000), 200),
        (("::ffff:127.0.0.1", 5), ("::ffff:127.0.0.1", 8000), 200),
        (("203.0.113.7", 5), ("127.0.0.1", 8000), 403),
        (("127.0.0.1", 5), ("203.0.113.7", 8000), 403),
        (("127.0.0.1", 5), ("127.0.0.1", 80), 403),
        (None, ("127.0.0.1", 8000), 403),
        (None, ("/run/site.sock", None), 403),
        (("127.0.0.1", 5), None, 403),
    ],
)
def test_in_a_site_the_same_holds_wherever_the_site_can_be_reached(client: Any, server: Any, status: int) -> None:
    assert asyncio.run(in_site(client, server)) == status


def test_the_usual_port_need_not_be_named() -> None:
    local = ("127.0.0.1", 5)
    headers = [(b"host", b"localhost")]
    assert asyncio.run(in_site(local, ("127.0.0.1", 80), headers=headers)) == 200
    assert asyncio.run(in_site(local, ("127.0.0.1", 443), headers=headers, scheme="https")) == 200


def test_a_websocket_is_turned_away() -> None:
    async def main() -> None:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(event: Any) -> None:
            sent.append(event)

        await PushApp(Recorder(), None)({"type": "websocket", "path": "/"}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]

    asyncio.run(main())
