"""A protocol of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.support import cuts, drive, examples, feed
from tidegate.errors import ProtocolError
from tidegate.protocols import CustomCodec


class Short:
    """Messages of up to 255 bytes behind their length."""

    def __init__(self) -> None:
        self.buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        assert type(data) is bytes
        self.buffer += data
        messages = []
        while self.buffer and len(self.buffer) > self.buffer[0]:
            stop = 1 + self.buffer[0]
            messages.append(self.buffer[1:stop])
            self.buffer = self.buffer[stop:]
        return messages

    def encode(self, message: bytes) -> bytes:
        return bytes((len(message),)) + message


class Broken(Short):
    """Raises what it is made with."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def feed(self, data: bytes) -> list[bytes]:
        raise self.error


class Silent(Short):
    """Swallows everything, and gives a message when it is fed one byte."""

    def feed(self, data: bytes) -> list[bytes]:
        return [data] if len(data) == 1 else []


class Lazy(Short):
    """Gives what it reads as it goes."""

    def feed(self, data: bytes) -> Any:
        return self.walk(data)

    def walk(self, data: bytes) -> Iterator[bytes]:
        yield from data.split()


class Strict(Short):
    """Fails at a length of 255, once it has given what came before."""

    def feed(self, data: bytes) -> Any:
        self.buffer += data
        while self.buffer:
            if self.buffer[0] == 255:
                raise ProtocolError("255 is no length")
            if len(self.buffer) <= self.buffer[0]:
                return
            stop = 1 + self.buffer[0]
            message, self.buffer = self.buffer[1:stop], self.buffer[stop:]
            yield message


def test_a_users_codec_is_fed_bytes_and_its_messages_are_given(size: int | None) -> None:
    codec = CustomCodec(Short())
    assert drive(codec, b"\x03one\x00\x05three\x09unfin", size) == [b"one", b"", b"three"]
    assert codec.ending is None
    assert codec.encode(b"one") == b"\x03one"


def test_what_a_users_codec_yields_is_a_list_of_messages() -> None:
    assert feed(CustomCodec(Lazy()), b"one two") == [b"one", b"two"]


@examples
@given(cuts)
def test_what_is_yielded_before_a_mistake_is_given_in_any_reads(reads: list[int]) -> None:
    codec = CustomCodec(Strict())
    assert drive(codec, b"\x03one\x00\x05three\xffrest", cuts=reads) == [b"one", b"", b"three"]
    assert codec.ending is not None
    assert codec.ending.reason == "255 is no length"


def test_a_users_encoding_is_not_shared_between_connections() -> None:
    assert not CustomCodec(Short()).shared
    assert CustomCodec(Short()).close_frame(1000, "bye") == b""


def test_an_exception_ends_the_connection_and_keeps_its_cause() -> None:
    bug = KeyError("length")
    codec = CustomCodec(Broken(bug))
    assert feed(codec, b"x") == []
    assert codec.ending is not None
    assert codec.ending.code == 1002
    assert codec.ending.reason == "KeyError: 'length'"
    assert codec.ending.error is not None
    assert codec.ending.error.__cause__ is bug
    assert bug.__traceback__ is not None


def test_a_protocol_error_ends_the_connection_with_its_code_and_reason() -> None:
    codec = CustomCodec(Broken(ProtocolError("not today", 4001)))
    assert feed(codec, b"x") == []
    assert codec.ending is not None
    assert (codec.ending.code, codec.ending.reason) == (4001, "not today")


def test_a_codec_that_forgets_to_return_a_list_ends_the_connection() -> None:
    class Forgetful(Short):
        def feed(self, data: bytes) -> Any:
            super().feed(data)

    codec = CustomCodec(Forgetful())
    assert feed(codec, b"x") == []
    assert codec.ending is not None
    assert codec.ending.reason.startswith("TypeError")


def test_an_interrupt_is_not_the_peers_fault() -> None:
    with pytest.raises(KeyboardInterrupt):
        feed(CustomCodec(Broken(KeyboardInterrupt())), b"x")


def test_nothing_is_fed_after_the_end() -> None:
    user = Broken(ValueError())
    codec = CustomCodec(user)
    feed(codec, b"x")
    ending = codec.ending
    user.error = KeyboardInterrupt()
    assert feed(codec, b"x") == []
    assert codec.ending is ending


def test_taking_more_than_the_limit_in_without_a_message_ends_the_connection_with_1009() -> None:
    codec = CustomCodec(Silent(), max_message_size=10)
    for _ in range(2):
        assert feed(codec, b"12345") == []
    assert codec.ending is None
    assert feed(codec, b"67") == []
    assert codec.ending is not None
    assert codec.ending.code == 1009


def test_a_message_begins_the_count_again() -> None:
    codec = CustomCodec(Silent(), max_message_size=10)
    for _ in range(5):
        assert feed(codec, b"1234567890") == []
        assert feed(codec, b"!") == [b"!"]
    assert codec.ending is None


@examples
@given(st.lists(st.binary(max_size=60), max_size=8), cuts)
def test_what_is_sent_is_received_in_any_reads(messages: list[bytes], reads: list[int]) -> None:
    codec = CustomCodec(Short())
    stream = b"".join(codec.encode(message) for message in messages)
    assert drive(codec, stream, cuts=reads) == messages
