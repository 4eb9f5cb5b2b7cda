"""RFC 6455 section 4.2: what a server asks of a client's handshake, and what it answers."""

from __future__ import annotations

import pytest

from tests.protocols.support import (
    ACCEPT,
    BINARY,
    PING,
    TEXT,
    apply_mask,
    drive,
    feed,
    fragments,
    frame,
    held,
    request,
)
from tidegate.protocols import HandshakeError, WebSocket
from tidegate.protocols.handshake import MAX_REQUEST_SIZE, Handshake


def shaken(data: bytes, size: int | None = None) -> Handshake:
    """The handshake that a request makes."""
    codec = WebSocket()
    for start in range(0, len(data), size or len(data)):
        assert codec.handshake is None
        feed(codec, data[start : start + (size or len(data))])
    assert codec.ending is None
    assert codec.handshake is not None
    return codec.handshake


def refused(data: bytes, size: int | None = None) -> tuple[int, dict[str, str], str]:
    """The status, headers and text with which a request is answered."""
    codec = WebSocket()
    assert drive(codec, data, size) == []
    assert not codec.ready
    assert codec.handshake is None
    assert codec.ending is not None
    assert isinstance(codec.ending.error, HandshakeError)
    assert held(codec) == 0
    head, _, body = codec.ending.reply.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert headers["content-length"] == str(len(body))
    assert "close" in headers["connection"]
    assert body.decode() == codec.ending.reason + "\n"
    assert status.startswith(f"HTTP/1.1 {codec.ending.error.status} ")
    return codec.ending.error.status, headers, codec.ending.reason


# What is accepted


def test_the_example_of_the_rfc_is_answered_as_there(size: int | None) -> None:
    codec = WebSocket()
    assert drive(codec, request(), size) == []
    assert codec.ready
    assert codec.take_output() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n"
    )
    assert codec.take_output() == b""


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(request(Upgrade="WebSocket"), id="upgrade in another case"),
        pytest.param(request(Upgrade="h2c, websocket"), id="upgrade in a list"),
        pytest.param(request(Upgrade=" websocket\t"), id="upgrade between spaces"),
        pytest.param(request("Upgrade: websocket", Upgrade="h2c"), id="upgrade in a second header"),
        pytest.param(request(Connection="upgrade"), id="connection in another case"),
        pytest.param(request(Connection="keep-alive, Upgrade"), id="connection in Firefox's list"),
        pytest.param(request(Connection="keep-alive,UPGRADE,x"), id="connection in a list without spaces"),
        pytest.param(request("Connection: Upgrade", Connection="keep-alive"), id="connection in a second header"),
        pytest.param(request().replace(b"Sec-WebSocket-Key", b"sEC-wEBsOCKET-kEY"), id="names in another case"),
        pytest.param(request("Content-Length: 0"), id="an empty body"),
        pytest.param(b"\r\n" + request(), id="an empty line before it"),
        pytest.param(request("Origin: http://example.com", "X-Empty:"), id="headers of no concern"),
    ],
)
def test_a_handshake_is_accepted_with(data: bytes) -> None:
    assert shaken(data).key


def test_a_handshake_tells_what_the_client_said(size: int | None) -> None:
    handshake = shaken(
        request(
            "Cookie: a=1; session=x=y",
            "X-Note: one",
            "x-note: two",
            "Cookie: b=2; novalue",
            line="GET /r%C3%A4ume/1?token=a%20b&empty=&twice=1&twice=2 HTTP/1.1",
        ),
        size,
    )
    assert handshake.path == "/räume/1"
    assert handshake.query == {"token": "a b", "empty": "", "twice": "2"}
    assert handshake.headers["host"] == "server.example.com"
    assert handshake.headers["x-note"] == "one,two"
    assert handshake.cookies == {"a": "1", "session": "x=y", "b": "2"}
    assert handshake.tokens("x-note") == ["one", "two"]
    assert handshake.tokens("x-absent") == []


def test_an_absolute_target_is_read_as_its_path() -> None:
    handshake = shaken(request(line="GET http://server.example.com/chat?a=1 HTTP/1.1"))
    assert (handshake.path, handshake.query) == ("/chat", {"a": "1"})


# What is refused


PLAIN = request(Upgrade=None, Connection="keep-alive", Sec_WebSocket_Key=None, Sec_WebSocket_Version=None)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PLAIN, id="a browser's GET"),
        pytest.param(PLAIN.replace(b"GET", b"POST"), id="a POST"),
        pytest.param(PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
        pytest.param(PLAIN.replace(b"GET /chat", b"OPTIONS *"), id="OPTIONS for the server"),
        pytest.param(request(Upgrade=None), id="everything but Upgrade"),
        pytest.param(request(Upgrade="h2c"), id="an upgrade to something else"),
        pytest.param(request(Upgrade="websockets"), id="a token that only begins so"),
    ],
)
def test_a_plain_http_request_gets_426(data: bytes, size: int | None) -> None:
    status, headers, reason = refused(data, size)
    assert status == 426
    assert headers["upgrade"] == "websocket"
    assert "upgrade" in headers["connection"]
    assert "WebSocket" in reason


@pytest.mark.parametrize("version", ["8", "0", "14", "13, 8", "013", "x"])
def test_another_version_gets_426_with_the_version_spoken_here(version: str) -> None:
    status, headers, _ = refused(request(Sec_WebSocket_Version=version))
    assert status == 426
    assert headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(request(line="POST /chat HTTP/1.1"), "GET", id="a POST"),
        pytest.param(request(line="HEAD /chat HTTP/1.1"), "GET", id="a HEAD"),
        pytest.param(request(line="GET /chat HTTP/1.0"), "HTTP/1.1", id="HTTP/1.0"),
        pytest.param(request(line="GET /chat"), "HTTP", id="HTTP/0.9"),
        pytest.param(request(line="GET /chat HTTP/x.1"), "no HTTP", id="a version that is none"),
        pytest.param(request(line="GET  HTTP/1.1"), "no HTTP", id="no target"),
        pytest.param(request(line="GET * HTTP/1.1"), "no path", id="a target that is no path"),
        pytest.param(request(line="GET http:// HTTP/1.1"), "", id="a target that is no URL"),
        pytest.param(request(Host=None), "Host is missing", id="no Host"),
        pytest.param(request(Host=""), "Host is missing", id="an empty Host"),
        pytest.param(request("Host: other"), "host comes twice", id="two Hosts"),
        pytest.param(request(Connection=None), "Connection", id="no Connection"),
        pytest.param(request(Connection="keep-alive"), "Connection", id="a Connection without Upgrade"),
        pytest.param(request(Connection="Upgraded"), "Connection", id="a token that only begins so"),
        pytest.param(request(Sec_WebSocket_Version=None), "Version is missing", id="no version"),
        pytest.param(request("Sec-WebSocket-Version: 13"), "comes twice", id="two versions"),
        pytest.param(request(Sec_WebSocket_Key=None), "Key", id="no key"),
        pytest.param(request(Sec_WebSocket_Key=""), "Key", id="an empty key"),
        pytest.param(request("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="), "comes twice", id="two keys"),
        pytest.param(request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j"), "Key", id="a key of 15 bytes"),
        pytest.param(request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZWU="), "Key", id="a key of 17 bytes"),
        pytest.param(request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ"), "Key", id="a key without padding"),
        pytest.param(request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j!Q=="), "Key", id="a key not in base64"),
        pytest.param(request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j\xe4Q=="), "Key", id="a key not in ASCII"),
        pytest.param(request("Sec-WebSocket-Protocol: a b"), "Protocol", id="a subprotocol that is no token"),
        pytest.param(request("Sec-WebSocket-Extensions: x; =1"), "Extensions", id="a parameter without a name"),
        pytest.param(request('Sec-WebSocket-Extensions: x; a="b'), "Extensions", id="a quote left open"),
        pytest.param(request('Sec-WebSocket-Extensions: x; a="b c"'), "Extensions", id="no token in quotes"),
        pytest.param(request("Content-Length: 5"), "no body", id="a body"),
        pytest.param(request("Transfer-Encoding: chunked"), "no body", id="a body in chunks"),
        pytest.param(request("Content-Length: x"), "no HTTP", id="a length that is no number"),
        pytest.param(request("no colon"), "no HTTP", id="a line that is no header"),
        pytest.param(request("X-Space : 1"), "no HTTP", id="a space before the colon"),
        pytest.param(request("X-Zero: \0"), "no HTTP", id="a zero byte"),
        pytest.param(request("X-Fold: 1", " 2"), "", id="a folded header"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", "no HTTP", id="TLS"),
        pytest.param(b'{"uid": 1}', "no HTTP", id="JSON"),
        pytest.param(b"hello\r\n\r\n", "no HTTP", id="a word"),
        pytest.param(b"\r\n\r\n\r\n\r\n", "", id="empty lines only"),
    ],
)
def test_a_malformed_handshake_gets_400(data: bytes, reason: str, size: int | None) -> None:
    status, headers, said = refused(data, size)
    assert status == 400
    assert reason in said
    assert "upgrade" not in headers


def test_what_is_no_http_is_refused_at_its_first_byte() -> None:
    assert refused(b"\x16")[0] == 400


def test_a_request_of_the_largest_size_is_accepted(size: int | None) -> None:
    room = MAX_REQUEST_SIZE - len(request("X-Long: "))
    data = request("X-Long: " + "x" * room)
    assert len(data) == MAX_REQUEST_SIZE
    assert len(shaken(data, size).headers["x-long"]) == room


def test_a_request_over_the_largest_size_gets_431(size: int | None) -> None:
    room = MAX_REQUEST_SIZE - len(request("X-Long: ")) + 1
    assert refused(request("X-Long: " + "x" * room), size)[0] == 431


def test_a_request_without_an_end_gets_431_when_it_is_too_long(size: int | None) -> None:
    assert refused(b"GET /" + b"x" * MAX_REQUEST_SIZE, size)[0] == 431


# Subprotocols


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        pytest.param(["chat, superchat"], ("superchat", "chat"), "chat", id="the client's first choice"),
        pytest.param(["soap", "chat"], ("chat",), "chat", id="in a second header"),
        pytest.param(["soap"], ("chat",), None, id="none in common"),
        pytest.param(["Chat"], ("chat",), None, id="names in another case"),
        pytest.param([], ("chat",), None, id="none offered"),
        pytest.param(["chat"], (), None, id="none supported"),
    ],
)
def test_the_subprotocol_is(offered: list[str], supported: tuple[str, ...], chosen: str | None) -> None:
    codec = WebSocket(subprotocols=supported)
    drive(codec, request(*(f"Sec-WebSocket-Protocol: {offer}" for offer in offered)))
    assert codec.ready
    lines = [line for line in codec.take_output().split(b"\r\n") if line.startswith(b"Sec-WebSocket-Protocol")]
    assert lines == ([] if chosen is None else [f"Sec-WebSocket-Protocol: {chosen}".encode()])


# Hasty clients, and answers that take time


def test_what_is_sent_behind_the_handshake_is_delivered_by_accept_in_order(size: int | None) -> None:
    early = frame(TEXT, b"one") + frame(PING, b"?") + fragments(BINARY, b"t", b"wo")
    codec = WebSocket()
    for start in range(0, len(request()), 50):
        assert feed(codec, request()[start : start + 50]) == []
    for start in range(0, len(early), size or len(early)):
        assert feed(codec, early[start : start + (size or len(early))]) == []
    assert codec.take_output() == b""
    assert codec.accept() == ["one", b"two"]
    assert codec.take_output().endswith(b"\r\n\r\n\x8a\x01?")


def test_a_frame_begun_before_accept_is_finished_after_it() -> None:
    codec = WebSocket()
    whole = request() + frame(TEXT, b"hello")
    assert feed(codec, whole[:-3]) == []
    assert codec.accept() == []
    assert feed(codec, whole[-3:]) == ["hello"]


def test_a_wrong_frame_behind_the_handshake_fails_in_accept() -> None:
    codec = WebSocket()
    feed(codec, request() + frame(TEXT, b"one") + b"\x81\x00")
    assert codec.accept() == ["one"]
    assert codec.take_output().startswith(b"HTTP/1.1 101 ")
    assert codec.ending is not None
    assert codec.ending.code == 1002


@pytest.mark.parametrize("size", [None, 4096], ids=["in one read", "in many"])
def test_more_than_a_message_behind_the_handshake_is_refused(size: int | None) -> None:
    codec = WebSocket(max_message_size=1000)
    early = b"\x82" * (1000 + MAX_REQUEST_SIZE + 1)
    data = request() + early
    for start in range(0, len(data), size or len(data)):
        feed(codec, data[start : start + (size or len(data))])
        assert held(codec) <= 1000 + MAX_REQUEST_SIZE
    assert codec.handshake is None
    assert codec.ending is not None
    assert codec.ending.reply.startswith(b"HTTP/1.1 400 ")
    assert held(codec) == 0


def test_a_handshake_can_be_rejected_with_a_status_and_headers() -> None:
    codec = WebSocket()
    feed(codec, request() + frame(TEXT, b"early"))
    codec.reject(HandshakeError(403, "not you", {"X-Why": "no token"}))
    assert codec.handshake is None
    assert codec.ending is not None
    assert codec.ending.reply.startswith(b"HTTP/1.1 403 Forbidden\r\nX-Why: no token\r\n")
    assert codec.ending.reply.endswith(b"\r\n\r\nnot you\n")
    assert feed(codec, frame(TEXT, b"more")) == []
    assert held(codec) == 0


def test_nothing_can_be_accepted_without_a_handshake() -> None:
    with pytest.raises(RuntimeError, match="no handshake"):
        WebSocket().accept()


def test_the_helpers_mask_is_that_of_the_rfc() -> None:
    assert apply_mask(b"Hello", b"\x37\xfa\x21\x3d") == b"\x7f\x9f\x4d\x51\x58"  # section 5.7
