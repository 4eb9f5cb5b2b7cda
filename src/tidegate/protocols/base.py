"""What every protocol that clients speak has in common. No I/O: bytes in, messages out.

A codec belongs to one connection. `feed` takes bytes in any split and gives whole messages; `encode` makes the bytes
of one message. What else a protocol needs of its carrier it says through a few attributes, which the carrier looks at
after each `feed`:

    output      bytes to send ahead of anything else (pongs); `take_output` gives it
    handshake   a request that waits for `accept` or `reject`, where the protocol opens with one
    early       bytes that came behind it
    ending      why nothing more will be fed, and the last bytes to send
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tidegate.errors import ProtocolError

if TYPE_CHECKING:
    from tidegate.protocols.handshake import Handshake, HandshakeError

__all__ = ["Codec", "CustomCodec", "Ending", "Message", "UserCodec", "ended_by", "make_text", "too_big"]

Message = str | bytes

DEFAULT_MAX_MESSAGE_SIZE = 10 * 1024 * 1024
"""Bytes of one message of the line and frame protocols; GatewayWorker's limit on a package."""


@dataclass(slots=True)
class Ending:
    """Why a codec stopped.

    Attributes:
        code: a WebSocket close code, also for protocols that have none.
        reason: for people, in logs and `on_error`.
        reply: the last bytes for the peer.
        error: what the peer did wrong; None where it closed by its protocol's rules.
    """

    code: int
    reason: str
    reply: bytes = b""
    error: ProtocolError | None = None


class Codec:
    """The base of the built-in protocols."""

    __slots__ = ()

    shared = True
    """`encode` depends on the message alone, so that its result may serve every connection with the same `variant`."""
    closes_by_handshake = False
    """The peer answers `close_frame` with one of its own before the connection ends."""

    ready: bool = True
    output: bytes | bytearray = b""
    ending: Ending | None = None
    handshake: Handshake | None = None
    early: int = 0
    variant: int = 0

    def feed(self, data: memoryview) -> list[Message]:
        """Take bytes, which are only lent for the call, and give the messages that they complete."""
        raise NotImplementedError

    def encode(self, message: Message) -> bytes:
        """Give the bytes of one message."""
        raise NotImplementedError

    def encode_body(self, body: bytes) -> bytes:
        """Give those of a message whose kind nobody has said: text where it is UTF-8, else binary."""
        try:
            return self.encode(body.decode())
        except UnicodeDecodeError:
            return self.encode(body)

    def encode_bodies(self, bodies: list[bytes]) -> list[bytes] | None:  # noqa: ARG002
        """Give those of several, where that is quicker than one by one; None where it is not."""
        return None

    def take_output(self) -> bytes:
        """Give `output`, which is empty from then on."""
        return b""

    def accept(self) -> list[Message]:
        """Answer `handshake` with yes; gives the messages that came behind it."""
        raise NotImplementedError

    def reject(self, error: HandshakeError) -> None:
        """Answer it with no; the answer is the `ending`'s."""
        raise NotImplementedError

    def close_frame(self, code: int, reason: str) -> bytes:  # noqa: ARG002
        """Give the bytes that say goodbye; none where the protocol has no word for it."""
        return b""


class UserCodec(Protocol):
    """What a class of the user's own must have to be a protocol."""

    def feed(self, data: bytes) -> Iterable[Any]: ...

    def encode(self, message: Any) -> bytes: ...


class CustomCodec(Codec):
    """Carries a user's own codec, and bounds what it may swallow.

    An exception from its `feed` is the peer's fault and closes the connection; so does taking more than
    `max_message_size` bytes in without giving a message, since what it holds can't be seen from here.
    """

    __slots__ = ("_codec", "_limit", "_swallowed", "ending")

    shared = False

    def __init__(self, codec: UserCodec, max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE) -> None:
        self._codec = codec
        self._limit = max_message_size
        self._swallowed = 0
        self.ending: Ending | None = None

    def feed(self, data: memoryview) -> list[Message]:
        if self.ending is not None:
            return []
        messages: list[Message] = []
        try:
            # A generator's messages are kept also where it fails behind them: how the bytes were split must not matter.
            for message in self._codec.feed(bytes(data)):
                messages.append(message)
        except ProtocolError as error:
            self.ending = ended_by(error)
            return messages
        except Exception as error:
            self.ending = ended_by(problem := ProtocolError(f"{type(error).__name__}: {error}"))
            problem.__cause__ = error  # more likely a bug of the codec's, which a traceback helps to find
            return messages
        if messages:
            self._swallowed = 0
        else:
            self._swallowed += len(data)
            if self._swallowed > self._limit:
                self.ending = too_big(self._limit)
        return messages

    def encode(self, message: Message) -> bytes:
        frame: object = self._codec.encode(message)
        if isinstance(frame, bytes):
            return frame
        if isinstance(frame, bytearray | memoryview):
            return bytes(frame)
        raise TypeError(f"encode gives bytes, not {type(frame).__name__}")


def ended_by(error: ProtocolError, reply: bytes = b"") -> Ending:
    """The ending that a peer's mistake brings.

    The error is kept without its traceback and context: their frames hold the codec, in a cycle, and views of the read
    buffer, which is only lent.
    """
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return Ending(error.code, error.reason, reply, error)


def too_big(limit: int) -> Ending:
    """The ending of a connection whose peer sent a message over `limit` bytes."""
    return ended_by(ProtocolError(f"message over {limit} bytes", 1009))


def make_text(encoding: str | None) -> Callable[[bytes], Message]:
    """How bytes become what a handler gets: as they are, or text.

    What is no text in that encoding stays `bytes`: closing the connection over it would punish a typing error, and
    replacing characters would lose what was sent.
    """
    if encoding is None:
        return bytes

    def decode(data: bytes) -> Message:
        try:
            return data.decode(encoding)
        except UnicodeError:
            return data

    return decode
