"""A GET, as the original's manual shows it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.support import CLIENT, Recorder, ask, door, query
from tests.net.support import Runner
from tidegate.client.api import AsyncPushAPI
from tidegate.errors import ClusterError
from tidegate.http.message import Refusal
from tidegate.http.methods import METHODS, find_method
from tidegate.http.push import PushApp
from tidegate.http.query import read_call


def call(text: str) -> tuple[str, dict[str, Any]]:
    method, arguments = read_call(text.encode())
    return method.name, arguments


def test_the_manuals_request_is_answered_ok_and_an_unknown_method_fail(run: Runner) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder) as port:
            done = await ask(port, "/?method=sendToAll&args[]=hello")
            assert (done.status, done.text, done.headers["content-type"]) == (200, "ok", "text/plain; charset=utf-8")
            assert recorder.calls == [("send_to_all", {"message": "hello"})]
            for target in ("/?method=sendToNobody&args[]=hello", "/", "/?method[]=sendToAll", "/?args[]=hello"):
                done = await ask(port, target)
                assert (done.status, done.text) == (200, "fail")
            assert len(recorder.calls) == 1

    run(main())


def test_a_query_is_answered_in_json(run: Runner) -> None:
    async def main() -> None:
        sessions = {CLIENT: {"name": "金", "raw": b"\xff", 7: [1.5, float("inf")], b"\xfe": None}}
        recorder = Recorder(get_all_client_sessions=sessions, is_uid_online=True, get_uid_by_client_id=None)
        async with door(recorder) as port:
            assert (await ask(port, "/?method=isUidOnline&args[]=7")).json is True
            assert (await ask(port, query("getUidByClientId", ("args[]", CLIENT)))).json is None
            assert (await ask(port, "/?method=getAllClientSessions")).json == {
                CLIENT: {"name": "金", "raw": {"base64": "/w=="}, "7": [1.5, None], "\\xfe": None}
            }

    run(main())


def test_what_goes_wrong_is_answered_fail_and_the_log_says_why(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        recorder = Recorder()
        async with door(recorder) as port:
            assert (await ask(port, "/?method=sendToAll")).text == "fail"
            recorder.error = ClusterError("Register 127.0.0.1:1236 can't be reached")
            done = await ask(port, "/?method=getAllClientCount")
            assert (done.status, done.text) == (200, "fail")

    run(main())
    assert "send_to_all needs the argument 'message'" in caplog.text
    assert "Register 127.0.0.1:1236 can't be reached" in caplog.text


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_both_spellings_and_capitals_do_not_matter(name: str) -> None:
    head, *rest = name.split("_")
    camel = head + "".join(part.capitalize() for part in rest)
    for spelling in (name, camel, camel.lower()):
        method = find_method(spelling)
        assert method is not None
        assert method.name == name


def test_the_names_that_only_the_original_has_work() -> None:
    assert call(f"method=destoryClient&args[]={CLIENT}") == ("destroy_client", {"client_id": CLIENT})
    assert call("method=getAllClientInfo")[0] == "get_all_client_sessions"
    assert call("method=getClientInfoByGroup&args[]=7") == ("get_client_sessions_by_group", {"group": "7"})


def test_the_methods_are_the_push_apis_and_nothing_else_has_a_name() -> None:
    assert METHODS.keys() == {name for name in vars(AsyncPushAPI) if not name.startswith("_")}
    others = {name for name in dir(PushApp) + dir(AsyncPushAPI) if name not in METHODS}
    for name in (*others, "_act", "aclose", "close", "sendToCurrentClient", "send_to_all+", "send__to_all", ""):
        with pytest.raises(Refusal) as caught:
            call(f"method={name}")
        assert caught.value.status == 404


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("method=sendToUid&args[]=7&args[]=hi", {"uid_or_list": "7", "message": "hi"}),
        ("method=sendToUid&args[0]=7&args[1]=hi", {"uid_or_list": "7", "message": "hi"}),
        ("method=sendToUid&args[5]=7&args[2]=hi", {"uid_or_list": "7", "message": "hi"}),
        ("method=sendToUid&args[message]=hi&args[uid_or_list]=7", {"uid_or_list": "7", "message": "hi"}),
        ("method=sendToUid&args[]=7&args[message]=hi", {"uid_or_list": "7", "message": "hi"}),
        ("method=sendToUid&args[0][]=7&args[0][]=8&args[1]=", {"uid_or_list": ["7", "8"], "message": ""}),
        ("method=sendToUid&args[0][3]=7&args[0][x]=8&args[]=hi", {"uid_or_list": ["7", "8"], "message": "hi"}),
        (f"method=sendToAll&args[]=hi&args[1][]={CLIENT}", {"message": "hi", "client_ids": [CLIENT]}),
        (
            f"method=sendToAll&args[0]=hi&args[1]=&args[2]={CLIENT}&args[3]=1",
            {"message": "hi", "client_ids": None, "exclude": CLIENT, "raw": True},
        ),
        ("method=sendToAll&args[]=%ff%00", {"message": b"\xff\0"}),
        ("method=sendToAll&args[]=%E4%BD%A0+%2B%26&x=1", {"message": "你 +&"}),
        ("method=sendToAll&args[0][base64]=/w==", {"message": b"\xff"}),
        (
            f"method=setSession&args[0]={CLIENT}&args[1][a]=1&args[1][b][]=2&args[1][c]=%ff",
            {"client_id": CLIENT, "session": {"a": "1", "b": ["2"], "c": b"\xff"}},
        ),
        (f"method=setSession&args[]={CLIENT}&args[1][]=a", {"client_id": CLIENT, "session": {0: "a"}}),
        ("method=isUidsOnline&args[0][]=0&args[0][]=00", {"uids": ["0", "00"]}),
    ],
)  # fmt: skip
def test_arguments_are_nested_and_ordered_as_php_has_them(text: str, expected: dict[str, Any]) -> None:
    assert call(text)[1] == expected


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("method=sendToUid&args[]=7", "message"),
        ("method=sendToUid&args[]=&args[]=hi", "uid_or_list"),
        ("method=sendToUid&args[]=7&args[1][]=hi", "message"),
        ("method=sendToUid&args[0][x][y]=7&args[1]=hi", "uid_or_list"),
        ("method=isOnline&args[]=7F0000010B5400000001", "client_id"),
        ("method=isUidOnline&args[]=%ff", "uid"),
        ("method=sendToAll&args[]=hi&args[raw]=perhaps", "raw"),
        ("method=sendToAll&args[]=hi&args[message]=hi", "message"),
        (f"method=setSession&args[]={CLIENT}&args[]=a", "session"),
        ("method=sendToAll&args[]=hi&args[]=&args[]=&args[]=&args[]=", None),
        ("method=sendToAll&args=hi", None),
        ("method=sendToAll&args[]=hi&args[self]=x", None),
    ],
)
def test_arguments_that_are_wrong_are_named(text: str, argument: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        call(text)
    assert (caught.value.status, caught.value.argument) == (422, argument)


def test_a_query_that_is_too_long_is_not_looked_at(run: Runner) -> None:
    with pytest.raises(Refusal) as caught:
        call("method=sendToAll&args[]=" + "a" * 65536)
    assert caught.value.status == 414


@settings(max_examples=300)
@given(st.text(alphabet="args[]=&.+ %0b1mehod", max_size=60), st.sampled_from(sorted(METHODS)))
def test_any_query_is_a_call_or_refused(text: str, name: str) -> None:
    for query_string in (text, f"method={name}&{text}", f"method={name}&args{text}"):
        with contextlib.suppress(Refusal):
            method, arguments = read_call(query_string.encode())
            assert arguments.keys() <= method.parameters.keys()


@settings(max_examples=100)
@given(st.binary(max_size=200), st.binary(max_size=40))
def test_any_bytes_in_a_query_string_are_answered(data: bytes, name: bytes) -> None:
    sent: list[Any] = []
    app = PushApp(Recorder(), "t")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"method=" + name + b"&args[]=" + data,
        "headers": [(b"authorization", b"Bearer t")],
    }
    asyncio.run(app(scope, receive, send))
    assert (sent[0]["status"], sent[1]["body"]) in ((200, b"ok"), (200, b"fail"), (200, b"null"))
