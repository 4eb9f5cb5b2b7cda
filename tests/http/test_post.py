"""A POST for each method, with named arguments in JSON."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.http.support import CLIENT, TOKEN, Recorder, ask, door, exchange, post
from tests.net.support import Client, Runner
from tidegate.errors import ClusterTimeoutError
from tidegate.http import PushApp, message, push
from tidegate.http.message import MAX_BODY
from tidegate.http.methods import METHODS

OTHER = "7f0000010b5400000002"
RIGHT: dict[str, Any] = {
    "message": "hi",
    "client_id": CLIENT,
    "client_ids": [CLIENT],
    "exclude": CLIENT,
    "uid": 7,
    "group": "room",
    "uid_or_list": ["a", 7],
    "group_or_list": "room",
    "uids": ["a"],
    "groups": ["a"],
    "session": {"a": [1, None]},
    "raw": True,
    "token": "a.b.c",
}


def test_a_method_is_called_with_named_arguments_and_answers_json(run: Runner) -> None:
    async def main() -> None:
        recorder = Recorder(get_client_id_by_uid=[CLIENT], get_session=None)
        async with door(recorder) as port:
            done = await post(port, "send_to_uid", uid_or_list=[7, "kim"], message="hi")
            assert (done.status, done.json) == (200, {"result": None})
            assert (await post(port, "get_client_id_by_uid", uid="kim")).json == {"result": [CLIENT]}
            assert (await post(port, "getSession", client_id=CLIENT)).json == {"result": None}
            assert recorder.calls == [
                ("send_to_uid", {"uid_or_list": [7, "kim"], "message": "hi"}),
                ("get_client_id_by_uid", {"uid": "kim"}),
                ("get_session", {"client_id": CLIENT}),
            ]

    run(main())


def test_the_docs_requests_are_answered_as_they_say(run: Runner) -> None:
    text = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
    shown = re.findall(r"curl http://[^/]+(\S+) --json '(.+)'\n    (.+)", text)
    (get,) = re.findall(r"curl 'http://[^/]+(\S+)' -g", text)

    async def main() -> None:
        async with door(Recorder(get_client_count_by_group=17)) as port:
            assert (await ask(port, get)).text == "ok"
            assert len(shown) == 2
            for target, body, answer in shown:
                assert (await ask(port, target, "POST", body.encode())).text == answer

    run(main())


def test_every_method_takes_the_arguments_of_its_signature(run: Runner) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder) as port:
            for name, method in METHODS.items():
                arguments = {parameter: RIGHT[parameter] for parameter in method.parameters}
                assert (await post(port, name, **arguments)).status == 200
                assert recorder.calls[-1] == (name, arguments)

    run(main())


def test_bytes_are_base64_both_ways(run: Runner) -> None:
    async def main() -> None:
        recorder = Recorder(get_session={"key": b"\xff\xfe"})
        async with door(recorder) as port:
            await post(port, "send_to_all", message={"base64": "//4="})
            assert recorder.last == {"message": b"\xff\xfe"}
            kept = (await post(port, "get_session", client_id=CLIENT)).json["result"]
            await post(
                port, "set_session", client_id=CLIENT, session={**kept, "a": [{"base64": ""}], "b": {"base64": 1}}
            )
            session = {"key": b"\xff\xfe", "a": [b""], "b": {"base64": 1}}
            assert recorder.last["session"] == session

    run(main())


@pytest.mark.parametrize("name", ["send_to_nobody", "_act", "__init__", "aclose", "close", "", "send_to_all/", "calls"])
def test_a_wrong_name_is_not_found(run: Runner, name: str) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder) as port:
            done = await post(port, name, message="hi")
            assert done.status == 404
            assert "error" in done.json
            assert recorder.calls == []

    run(main())


@pytest.mark.parametrize(
    ("method", "arguments", "argument"),
    [
        ("send_to_uid", {"message": "hi"}, "uid_or_list"),
        ("send_to_uid", {"uid_or_list": 7, "message": "hi", "colour": "red"}, "colour"),
        ("send_to_uid", {"uid_or_list": "", "message": "hi"}, "uid_or_list"),
        ("send_to_uid", {"uid_or_list": ["a", ""], "message": "hi"}, "uid_or_list"),
        ("send_to_uid", {"uid_or_list": True, "message": "hi"}, "uid_or_list"),
        ("send_to_uid", {"uid_or_list": 1.5, "message": "hi"}, "uid_or_list"),
        ("send_to_uid", {"uid_or_list": None, "message": "hi"}, "uid_or_list"),
        ("send_to_uid", {"uid_or_list": "a\ud800", "message": "hi"}, "uid_or_list"),
        ("send_to_all", {"message": None}, "message"),
        ("send_to_all", {"message": {"type": "hi"}}, "message"),
        ("send_to_all", {"message": {"base64": "a"}}, "message"),
        ("send_to_all", {"message": {"base64": 7}}, "message"),
        ("send_to_all", {"message": {"base64": "é"}}, "message"),
        ("send_to_all", {"message": "\udfff"}, "message"),
        ("send_to_all", {"message": "hi", "raw": "yes"}, "raw"),
        ("send_to_all", {"message": "hi", "raw": None}, "raw"),
        ("send_to_all", {"message": "hi", "client_ids": [CLIENT, "x"]}, "client_ids"),
        ("send_to_all", {"message": "hi", "exclude": 7}, "exclude"),
        ("is_online", {"client_id": CLIENT.upper()}, "client_id"),
        ("is_online", {"client_id": [CLIENT]}, "client_id"),
        ("set_session", {"client_id": CLIENT, "session": []}, "session"),
        ("set_session", {"client_id": CLIENT, "session": {"a": 2**63}}, "session"),
        ("set_session", {"client_id": CLIENT, "session": {"a": [1e30]}}, "session"),
        ("set_session", {"client_id": CLIENT, "session": {"a": "\ud800"}}, "session"),
        ("set_session", {"client_id": CLIENT, "session": {"a": {"base64": "a"}}}, "session"),
        ("get_all_client_count", {"group": "a"}, "group"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_422_and_the_answer_says_which(
    run: Runner, method: str, arguments: dict[str, Any], argument: str
) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder) as port:
            done = await post(port, method, **arguments)
            assert (done.status, done.json["argument"]) == (422, argument)
            assert recorder.calls == []

    run(main())


def test_what_the_call_itself_refuses_is_422(run: Runner) -> None:
    async def main() -> None:
        recorder = Recorder()
        recorder.error = ValueError("a packet of 11000000 bytes is too long")
        async with door(recorder) as port:
            done = await post(port, "send_to_all", message="hi")
            assert (done.status, done.json) == (422, {"error": "a packet of 11000000 bytes is too long"})

    run(main())


def test_a_cluster_that_is_down_is_503(run: Runner) -> None:
    async def main() -> None:
        recorder = Recorder()
        recorder.error = ClusterTimeoutError("gateway 127.0.0.1:2900 did not answer within 5 s")
        async with door(recorder) as port:
            done = await post(port, "get_all_client_count")
            assert (done.status, done.json) == (503, {"error": str(recorder.error)})

    run(main())


def test_clients_of_gateways_that_are_not_there_are_not_found_and_the_others_served(run: Runner) -> None:
    async def main() -> None:
        recorder = Recorder()
        recorder.addresses = ["127.0.0.1:2900"]
        gone = "7f0000010b5500000001"
        async with door(recorder) as port:
            for name in ("is_online", "close_client"):
                done = await post(port, name, client_id=gone)
                assert (done.status, done.json["argument"]) == (404, "client_id")
            done = await post(port, "send_to_all", message="hi", client_ids=gone)
            assert done.status == 404
            assert recorder.calls == []
            done = await post(port, "send_to_all", message="hi", client_ids=[gone, CLIENT, gone])
            assert (done.status, done.json["argument"]) == (404, "client_ids")
            assert "more" not in done.json["error"]
            assert recorder.last == {"message": "hi", "client_ids": [CLIENT]}
            assert (await post(port, "send_to_all", message="hi", exclude=gone)).status == 200
            assert (await post(port, "send_to_all", message="hi", client_ids=[])).status == 200

    run(main())


def test_a_call_that_takes_too_long_is_503(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "CALL_SECONDS", 0.05)

    class Slow(Recorder):
        async def call(self, name: str, arguments: dict[str, Any]) -> Any:
            await asyncio.sleep(30)

    async def main() -> None:
        async with door(Slow()) as port:
            assert (await post(port, "flush")).status == 503

    run(main())


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000, b'{"a": 1' + b"0" * 5000 + b"}", b"\xef\xbb\xbf{}"]
)
def test_a_body_that_is_no_json_is_400(run: Runner, body: bytes) -> None:
    async def main() -> None:
        async with door(Recorder()) as port:
            assert (await ask(port, "/api/flush", "POST", body)).status == 400

    run(main())


def test_a_session_that_is_nested_too_deep_is_422(run: Runner) -> None:
    async def main() -> None:
        session: Any = {}
        for _ in range(200):
            session = {"a": session}
        async with door(Recorder()) as port:
            done = await post(port, "set_session", client_id=CLIENT, session=session)
            assert (done.status, done.json["argument"]) == (422, "session")

    run(main())


@pytest.mark.parametrize("body", [b"[]", b"7", b'"a"', b"null"])
def test_a_body_that_is_no_object_is_422(run: Runner, body: bytes) -> None:
    async def main() -> None:
        async with door(Recorder()) as port:
            assert (await ask(port, "/api/flush", "POST", body)).status == 422

    run(main())


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ("application/json; charset=latin-1", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=application/json", 415),
        (None, 415),
    ],
)
def test_a_body_has_to_be_said_to_be_json(run: Runner, kind: str | None, status: int) -> None:
    async def main() -> None:
        async with door(Recorder()) as port:
            assert (await ask(port, "/api/flush", "POST", b"{}", {"Content-Type": kind})).status == status

    run(main())


def test_a_method_without_arguments_needs_no_body(run: Runner) -> None:
    async def main() -> None:
        async with door(Recorder(get_all_client_count=3)) as port:
            assert (await ask(port, "/api/get_all_client_count", "POST")).json == {"result": 3}

    run(main())


@pytest.mark.parametrize(
    ("verb", "target", "allowed"),
    [
        ("GET", "/api/send_to_all?message=hi", "POST"),
        ("PUT", "/api/send_to_all", "POST"),
        ("OPTIONS", "/api/send_to_all", "POST"),
        ("HEAD", "/?method=sendToAll&args[]=hi", "GET"),
        ("POST", "/?method=sendToAll&args[]=hi", "GET"),
        ("DELETE", "/openapi.json", "GET"),
    ],
)
def test_other_verbs_are_405_and_do_nothing(run: Runner, verb: str, target: str, allowed: str) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder) as port:
            done = await ask(port, target, verb)
            assert (done.status, done.headers["allow"]) == (405, allowed)
            assert recorder.calls == []

    run(main())


def test_other_paths_are_404(run: Runner) -> None:
    async def main() -> None:
        async with door(Recorder()) as port:
            for target in ("/api", "/index.php?method=sendToAll&args[]=hi", "//", "/api/../?method=flush"):
                assert (await ask(port, target)).status == 404

    run(main())


def test_a_body_that_is_too_long_is_413_before_it_has_come(run: Runner) -> None:
    async def main() -> None:
        async with door(Recorder()) as port:
            headers = f"POST /api/flush HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            for length in (MAX_BODY + 1, 10**18):
                assert (await exchange(port, f"{headers}Content-Length: {length}\r\n\r\n".encode())).status == 413
            with await Client.connect(port) as client:
                await client.send(f"{headers}Transfer-Encoding: chunked\r\n\r\n".encode())
                chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
                for _ in range(MAX_BODY // 65536 + 1):
                    await client.send(chunk)
                assert (await client.read_until(b"\r\n")).startswith(b"HTTP/1.1 413")
            longest = b"{}" + b" " * (MAX_BODY - 2)
            assert (await ask(port, "/api/flush", "POST", longest)).status == 200

    run(main())


def test_a_body_that_does_not_come_is_408(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "BODY_SECONDS", 0.05)

    async def main() -> None:
        async with door(Recorder()) as port:
            headers = f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{"
            assert (await exchange(port, f"POST /api/flush HTTP/1.1\r\n{headers}".encode())).status == 408

    run(main())


def test_mounted_below_a_path_it_finds_its_own(run: Runner) -> None:
    async def call(path: str, root: str, verb: str = "POST") -> tuple[int, Any]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(event: Any) -> None:
            sent.append(event)

        headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
        scope = {"type": "http", "method": verb, "path": path, "root_path": root, "headers": headers}
        await PushApp(Recorder(), TOKEN)(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"]) if verb == "POST" or "json" in path else sent[1]["body"]

    async def main() -> None:
        for path in ("/push/api/flush", "/api/flush"):  # as Starlette and Django have it now, and some had it once
            assert (await call(path, "/push"))[0] == 200
        assert (await call("/pushy/api/flush", "/push"))[0] == 404
        for path in ("/push", "/push/", "/"):
            assert await call(path, "/push", "GET") == (200, b"fail")
        assert (await call("/push/openapi.json", "/push", "GET"))[1]["servers"] == [{"url": "/push"}]

    run(main())
