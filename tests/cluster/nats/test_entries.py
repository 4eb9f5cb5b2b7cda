from __future__ import annotations

import base64
import json

import pytest

from tidegate.cluster.nats.entries import Listing, read_stored
from tidegate.cluster.nats.headers import Headers
from tidegate.cluster.nats.jetstream import JetStreamError, check_version, is_missing, is_temporary, read_answer
from tidegate.cluster.nats.protocol import Info, Message
from tidegate.errors import ClusterError, ConfigurationError


def message(payload: bytes = b"", status: int = 0, /, **fields: str) -> Message:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Message("inbox", "", Headers(status, "", named), payload, 1)


def entry(key: str, value: bytes, revision: int, **more: str) -> Message:
    return message(value, 0, Nats_Subject=f"$KV.b.{key}", Nats_Sequence=str(revision), **more)


def info(version: str) -> Info:
    return Info(version, 1, (), "", {})


def test_a_stored_message_is_read() -> None:
    data = base64.b64encode(b"value").decode()
    assert read_stored({"message": {"seq": 7, "data": data}}) == (b"value", 7)
    marker = base64.b64encode(b"NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\n\r\n").decode()
    assert read_stored({"message": {"seq": 8, "hdrs": marker}}) == (None, 8)
    for wrong in ({}, {"message": 1}, {"message": {"seq": "x"}}, {"message": {"seq": 1, "hdrs": "eA=="}}):
        with pytest.raises(ClusterError):
            read_stored(wrong)


def test_a_list_goes_on_until_nothing_is_left() -> None:
    listing = Listing("$JS.API", "b", "gateway.>")
    assert listing.subject == "$JS.API.DIRECT.GET.KV_b"
    assert json.loads(listing.request()) == {"batch": 1000, "seq": 1, "next_by_subj": "$KV.b.gateway.>"}
    assert not listing.take(entry("gateway.1", b"one", 5))
    assert not listing.take(entry("gateway.2", b"", 6, KV_Operation="DEL"))
    assert listing.take(message(b"", 204, Nats_Num_Pending="3"))
    assert not listing.is_done
    assert json.loads(listing.request())["seq"] == 7
    assert not listing.take(entry("gateway.3", b"three", 9))
    assert listing.take(message(b"", 204, Nats_Num_Pending="0"))
    assert listing.is_done
    assert listing.entries == {"gateway.1": b"one", "gateway.3": b"three"}


def test_an_empty_bucket_has_an_empty_list() -> None:
    listing = Listing("$JS.API", "b")
    assert listing.take(message(b"", 404))
    assert (listing.is_done, listing.entries, listing.error) == (True, {}, None)


@pytest.mark.parametrize(
    "wrong",
    [
        Message("inbox", "", None, b"", 1),
        message(b"", 408),
        message(b"x"),
        message(b"x", Nats_Subject="$KV.c.key", Nats_Sequence="1"),
        message(b"x", Nats_Subject="$KV.b.key", Nats_Sequence="-1"),
    ],
)
def test_an_answer_that_is_none_ends_the_list(wrong: Message) -> None:
    listing = Listing("$JS.API", "b")
    assert listing.take(wrong)
    assert listing.error is not None


@pytest.mark.parametrize("version", ["2.11.0", "2.11.4-beta.1", "2.15.1", "3.0.0"])
def test_a_server_that_is_new_enough_is_taken(version: str) -> None:
    check_version(info(version), "h:1")


@pytest.mark.parametrize("version", ["2.10.29", "1.4", "", "dev"])
def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(ConfigurationError, match=r"NATS server h:1 has version .* needs 2\.11"):
        check_version(info(version), "h:1")


def test_what_jetstream_refuses_is_told() -> None:
    def answer(payload: bytes) -> Message:
        return Message("inbox", "", None, payload, 1)

    assert read_answer(answer(b'{"seq":1}')) == {"seq": 1}
    with pytest.raises(JetStreamError, match="JetStream refuses: stream not found") as caught:
        read_answer(answer(b'{"error":{"code":404,"err_code":10059,"description":"stream not found"}}'))
    assert is_missing(caught.value)
    assert not is_temporary(caught.value)
    with pytest.raises(ConfigurationError, match="JetStream is not enabled"):
        read_answer(answer(b'{"error":{"code":503,"err_code":10039}}'))
    for wrong in (b"", b"[]", b"\xff", b'{"error":1}', b"[" * 100_000):
        with pytest.raises(ClusterError):
            read_answer(answer(wrong))
