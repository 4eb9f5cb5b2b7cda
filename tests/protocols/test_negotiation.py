"""RFC 7692 sections 5 and 7.1: which offers of permessage-deflate are accepted, and how."""

from __future__ import annotations

import pytest

from tests.protocols.support import RSV1, TEXT, assert_fails, drive, feed, frame, request
from tidegate.protocols import WebSocket
from tidegate.protocols.deflate import negotiate

ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # section 7.2.3.1


@pytest.mark.parametrize(
    ("offer", "answer", "bits"),
    [
        pytest.param("permessage-deflate", ANSWER, 15, id="no parameters"),
        pytest.param("permessage-deflate; client_max_window_bits", ANSWER, 15, id="Chrome's"),
        pytest.param("permessage-deflate; client_max_window_bits=8", ANSWER, 15, id="the client's smallest window"),
        pytest.param("permessage-deflate; client_max_window_bits=15", ANSWER, 15, id="the client's largest window"),
        pytest.param("permessage-deflate; server_no_context_takeover", ANSWER, 15, id="server takeover"),
        pytest.param("permessage-deflate; client_no_context_takeover", ANSWER, 15, id="client takeover"),
        pytest.param("permessage-deflate; server_max_window_bits=15", ANSWER, 15, id="the largest window"),
        pytest.param(
            "permessage-deflate; server_max_window_bits=10",
            f"{ANSWER}; server_max_window_bits=10",
            10,
            id="a smaller window",
        ),
        pytest.param(
            "permessage-deflate; server_max_window_bits=9", f"{ANSWER}; server_max_window_bits=9", 9, id="the smallest"
        ),
        pytest.param(
            'permessage-deflate; server_max_window_bits="11"',
            f"{ANSWER}; server_max_window_bits=11",
            11,
            id="a value in quotes",
        ),
        pytest.param(
            "permessage-deflate;server_max_window_bits = 12 ;client_no_context_takeover ; server_no_context_takeover",
            f"{ANSWER}; server_max_window_bits=12",
            12,
            id="everything, oddly spaced",
        ),
        pytest.param("x-webkit-deflate-frame, permessage-deflate", ANSWER, 15, id="behind an unknown extension"),
        pytest.param(
            "permessage-deflate; server_max_window_bits=8, permessage-deflate", ANSWER, 15, id="the second offer"
        ),
        pytest.param(
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            f"{ANSWER}; server_max_window_bits=10",
            10,
            id="the first offer of two that fit",
        ),
    ],
)
def test_an_offer_is_accepted(offer: str, answer: str, bits: int) -> None:
    assert negotiate(offer) == (answer, bits)
    codec = WebSocket(compression=True)
    drive(codec, request(f"Sec-WebSocket-Extensions: {offer}"))
    assert f"\r\nSec-WebSocket-Extensions: {answer}\r\n".encode() in codec.take_output()
    assert codec.variant == bits


@pytest.mark.parametrize(
    "offer",
    [
        pytest.param("", id="nothing"),
        pytest.param("x-webkit-deflate-frame", id="another extension"),
        pytest.param("permessage-bzip2", id="another algorithm"),
        pytest.param("permessage-deflate; unknown", id="an unknown parameter"),
        pytest.param("permessage-deflate; server_no_context_takeover=1", id="a value where there is none"),
        pytest.param("permessage-deflate; client_no_context_takeover=true", id="a value for the client's takeover"),
        pytest.param("permessage-deflate; server_no_context_takeover; server_no_context_takeover", id="one twice"),
        pytest.param("permessage-deflate; client_max_window_bits; client_max_window_bits=10", id="a window twice"),
        pytest.param("permessage-deflate; server_max_window_bits", id="a server window without bits"),
        pytest.param("permessage-deflate; server_max_window_bits=7", id="too small a window"),
        pytest.param("permessage-deflate; server_max_window_bits=8", id="a window that zlib has not"),
        pytest.param("permessage-deflate; server_max_window_bits=16", id="too large a window"),
        pytest.param("permessage-deflate; server_max_window_bits=010", id="a leading zero"),
        pytest.param("permessage-deflate; server_max_window_bits=x", id="bits that are no number"),
        pytest.param("permessage-deflate; client_max_window_bits=7", id="too small a window of the client's"),
        pytest.param("permessage-deflate; client_max_window_bits=16", id="too large a window of the client's"),
    ],
)
def test_an_offer_is_declined(offer: str) -> None:
    assert negotiate(offer) is None
    codec = WebSocket(compression=True)
    drive(codec, request(*([f"Sec-WebSocket-Extensions: {offer}"] if offer else [])))
    assert codec.ready
    assert b"Sec-WebSocket-Extensions" not in codec.take_output()
    feed(codec, frame(TEXT, HELLO, rsv=RSV1))
    assert_fails(codec, 1002)


def test_offers_in_several_headers_are_one_list() -> None:
    codec = WebSocket(compression=True)
    drive(codec, request("Sec-WebSocket-Extensions: first", "Sec-WebSocket-Extensions: permessage-deflate"))
    assert ANSWER.encode() in codec.take_output()


def test_compression_is_off_unless_asked_for() -> None:
    codec = WebSocket()
    drive(codec, request("Sec-WebSocket-Extensions: permessage-deflate"))
    assert b"Sec-WebSocket-Extensions" not in codec.take_output()
    assert codec.variant == 0
    assert codec.encode("x" * 1000)[0] == 0x81
    feed(codec, frame(TEXT, HELLO, rsv=RSV1))
    assert_fails(codec, 1002)
