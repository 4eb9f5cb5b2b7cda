"""WebSocket, the server's side (RFC 6455), with permessage-deflate (RFC 7692) where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.errors import ProtocolError
from tidegate.protocols import deflate
from tidegate.protocols.assembly import Assembly
from tidegate.protocols.base import Codec, Ending, Message, ended_by
from tidegate.protocols.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MAX_CONTROL_PAYLOAD,
    PING,
    PONG,
    RSV1,
    TEXT,
    body_frame,
    body_frames,
    close_frame,
    make_frame,
    parse_close,
    rotate,
)
from tidegate.protocols.handshake import (
    MAX_REQUEST_SIZE,
    Handshake,
    HandshakeError,
    accept_response,
    choose_subprotocol,
    parse_request,
    reject_response,
)
from tidegate.protocols.scan import scan_frames
from tidegate.protocols.unmask import apply_mask

__all__ = ["WebSocket"]

DEFAULT_MAX_MESSAGE_SIZE = 1024 * 1024
"""Bytes of one message, decompressed; what `websockets` takes too, and the order of aiohttp's 4 MiB."""

MAX_CONTROLS = 2_000
"""Control frames in one read: each is a step of ours and an answer, and honest clients send one in a while."""


class WebSocket(Codec):
    """One client's connection.

    Args:
        max_message_size: bytes in a message, after decompression.
        compression: negotiate permessage-deflate.
        subprotocols: those that are spoken here.
        max_request_size: bytes of the request line and the headers.
    """

    __slots__ = (
        "_assembly",
        "_compression",
        "_held",
        "_limit",
        "_request_limit",
        "_subprotocols",
        "ending",
        "handshake",
        "output",
        "ready",
        "variant",
    )

    closes_by_handshake = True

    def __init__(
        self,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        compression: bool = False,
        subprotocols: Sequence[str] = (),
        max_request_size: int = MAX_REQUEST_SIZE,
    ) -> None:
        self._limit = max_message_size
        self._compression = compression
        self._subprotocols = subprotocols
        self._request_limit = max_request_size
        # Bytes of a request or frame header whose rest has not come; of a control frame, all of it.
        self._held: bytes | bytearray = b""
        self._assembly: Assembly | None = None
        self.output: bytes | bytearray = b""
        self.ending: Ending | None = None
        self.handshake: Handshake | None = None
        self.ready = False
        self.variant = 0  # bits of the window for what is sent compressed; 0 where nothing is

    # The handshake

    def feed(self, data: memoryview) -> list[Message]:
        messages: list[Message] = []
        if self.ending is not None:
            return messages
        if not self.ready:
            self._read_request(data)
            return messages
        if not self._held and self._assembly is None:
            position = scan_frames(data, 0, self._limit, messages)
            if position == len(data):  # as it mostly is
                return messages
            data = data[position:]
        try:
            self._parse(data, messages)
        except ProtocolError as error:
            self._assembly = None
            self._held = b""
            self.ending = ended_by(error, close_frame(error.code, error.reason))
        return messages

    def _read_request(self, data: memoryview) -> None:
        """Collect the request, and what a hasty client sends behind it, until it is answered."""
        if not self._held:
            self._held = bytearray()  # a request byte by byte is collected in time linear in its length
        self._held += data
        if self.handshake is None:
            self._find_request()
        if self.handshake is not None and len(self._held) > self._limit + self._request_limit:
            self._refuse(HandshakeError(400, "too much sent before the handshake was finished"))

    def _find_request(self) -> None:
        limit = self._request_limit
        end = self._held.find(b"\r\n\r\n", 0, limit)
        if end < 0:
            if len(self._held) >= limit:
                self._refuse(HandshakeError(431, f"a request over {limit} bytes"))
            elif not self._held[:1].isalpha() and self._held[:1] not in b"\r\n":
                self._refuse(HandshakeError(400, "the request is no HTTP"))
            return
        head, self._held = bytes(self._held[: end + 4]), self._held[end + 4 :]
        try:
            self.handshake = parse_request(head)
        except HandshakeError as error:
            self._refuse(error)

    def _refuse(self, error: HandshakeError) -> None:
        self._held = b""
        self.handshake = None
        self.ending = ended_by(error, reject_response(error))

    @property
    def early(self) -> int:  # type: ignore[override] # which nobody sets
        """Bytes that came behind a request that is not answered yet."""
        return len(self._held) if self.handshake is not None else 0

    def accept(self) -> list[Message]:
        """Answer the handshake with 101; gives the messages that the client had sent behind it."""
        handshake = self.handshake
        if handshake is None:
            raise RuntimeError("there is no handshake to accept")
        extension = None
        if self._compression:
            offers = handshake.headers.get("sec-websocket-extensions", "")
            if chosen := deflate.negotiate(offers):
                extension, self.variant = chosen
        subprotocol = choose_subprotocol(handshake, self._subprotocols)
        self.output = bytearray(accept_response(handshake.key, subprotocol, extension))
        self.handshake = None
        self.ready = True
        early, self._held = self._held, b""
        return self.feed(memoryview(early)) if early else []

    def take_output(self) -> bytes:
        output, self.output = bytes(self.output), b""
        return output

    def reject(self, error: HandshakeError) -> None:
        """Answer the handshake with an HTTP error."""
        self._refuse(error)

    # Frames

    def _parse(self, data: memoryview, messages: list[Message]) -> None:
        if self._held:
            data = memoryview(self._held + data)
            self._held = b""
        position, end, controls = 0, len(data), 0
        if self._assembly is not None and self._assembly.remaining:
            position = self._continue(data, 0, messages)
        while end - position >= 2:
            if self._assembly is None:
                position = scan_frames(data, position, self._limit, messages)
                if end - position < 2:
                    break
            first, length = data[position], data[position + 1]
            if length < 128:
                raise ProtocolError("a frame without a mask")
            length -= 128
            self._check(first, length)
            start = position + (6 if length < 126 else 8 if length == 126 else 14)
            if start > end:
                break
            if length > 125:
                length = self._long(data[position + 2 : start - 4], length)
            mask = bytes(data[start - 4 : start])
            if first & 8:
                stop = start + length
                if stop > end:
                    break
                position = stop
                controls += 1
                if controls > MAX_CONTROLS:
                    raise ProtocolError(f"over {MAX_CONTROLS} control frames at once", 1008)
                if self._control(first & 15, apply_mask(data[start:stop], mask)):
                    return
            else:
                self._begin(first, length, mask)
                position = self._continue(data, start, messages)
        if position < end:
            self._held = bytes(data[position:])

    def _check(self, first: int, length: int) -> None:
        """Judge a frame's first byte and its 7-bit length (sections 5.2, 5.4 and 5.5)."""
        opcode = first & 15
        if opcode & 8:
            if opcode > PONG:
                raise ProtocolError(f"opcode {opcode} is reserved")
            if first & 0x70:
                raise ProtocolError("a reserved bit is set")
            if not first & FIN:
                raise ProtocolError("a fragmented control frame")
            if length > MAX_CONTROL_PAYLOAD:
                raise ProtocolError(f"a control frame over {MAX_CONTROL_PAYLOAD} bytes")
            return
        if opcode > BINARY:
            raise ProtocolError(f"opcode {opcode} is reserved")
        # RSV1 belongs on the first frame of a compressed message only (RFC 7692 section 6.1).
        allowed = RSV1 if self.variant and opcode != CONTINUATION else 0
        if first & 0x70 & ~allowed:
            raise ProtocolError("a reserved bit is set")
        if opcode == CONTINUATION and self._assembly is None:
            raise ProtocolError("a continuation of nothing")
        if opcode != CONTINUATION and self._assembly is not None:
            raise ProtocolError("a new message inside a fragmented one")

    def _long(self, data: memoryview, form: int) -> int:
        """Read an extended length, which must be the shortest form of itself (section 5.2)."""
        length = int.from_bytes(data)
        if form == 127 and length >> 63:
            raise ProtocolError("a frame's length over 63 bits")
        if length < (126 if form == 126 else 65536):
            raise ProtocolError("a frame's length is not in its shortest form")
        return length

    def _begin(self, first: int, length: int, mask: bytes) -> None:
        """Start on a data frame that is not a whole message, or not here as a whole."""
        if self._assembly is None:
            self._assembly = Assembly(first & 15, bool(first & RSV1), self._limit)
        self._assembly.expect(length)
        self._assembly.mask = mask
        self._assembly.final = bool(first & FIN)

    def _continue(self, data: memoryview, position: int, messages: list[Message]) -> int:
        """Take what there is of the frame under way; gives the position behind it."""
        assembly = self._assembly
        assert assembly is not None
        stop = min(position + assembly.remaining, len(data))
        taken = stop - position
        if taken:
            assembly.add(apply_mask(data[position:stop], assembly.mask))
            assembly.remaining -= taken
            assembly.mask = rotate(assembly.mask, taken)
        if assembly.final and not assembly.remaining:
            self._assembly = None
            messages.append(assembly.finish())
        return stop

    def _control(self, opcode: int, payload: bytes) -> bool:
        """Act on a control frame (section 5.5); true where it was the connection's last."""
        if opcode == PING:
            if not self.output:
                self.output = bytearray()  # a flood of pings is answered in time linear in its length
            self.output += make_frame(FIN | PONG, payload)
        elif opcode == CLOSE:
            code, reason = parse_close(payload)
            self._assembly = None
            self.ending = Ending(code, reason, close_frame(code, ""))
            return True
        return False

    def encode(self, message: Message) -> bytes:
        first = FIN | (TEXT if isinstance(message, str) else BINARY)
        if self.variant:
            payload = message.encode() if isinstance(message, str) else message
            if len(payload) >= deflate.MIN_SIZE:
                compressed = deflate.deflate(payload, self.variant)
                if len(compressed) < len(payload):
                    return make_frame(first | RSV1, compressed)
        return make_frame(first, message)

    def encode_body(self, body: bytes) -> bytes:
        return super().encode_body(body) if self.variant else body_frame(body)

    def encode_bodies(self, bodies: list[bytes]) -> list[bytes] | None:
        return None if self.variant else body_frames(bodies)

    def close_frame(self, code: int, reason: str) -> bytes:
        return close_frame(code, reason)

    def ping_frame(self, payload: bytes = b"") -> bytes:
        """A ping, which every client answers by itself (section 5.5.2)."""
        return make_frame(FIN | PING, payload)
