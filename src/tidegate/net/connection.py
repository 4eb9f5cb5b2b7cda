"""A client's connection: bytes become messages and callbacks, messages become bytes in an outbox."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any, cast

from tidegate.net.batch import Batch
from tidegate.net.gate import Refusal, origin_of
from tidegate.net.inbox import Inbox
from tidegate.net.outbox import CLOSED, CLOSING, OPEN, OPENING, Sendable
from tidegate.net.reactor import READ_BUFFER_SIZE
from tidegate.protocols import Ending, Handshake, HandshakeError, Message, WebSocket
from tidegate.protocols.forwarded import Origin
from tidegate.protocols.frames import sendable_code

if TYPE_CHECKING:
    from tidegate.net.endpoint import Endpoint

__all__ = ["Connection"]

# What is done once the outbox of a closing connection is empty.
WAIT, SHUT, CLOSE = range(3)  # for the peer's close frame; shut the sending side, then wait for the peer; close
TOO_LARGE, TOO_BIG = 431, 1009
"""The HTTP status for a request over the limit, and the close code for such a message."""
LINGER_TICKS = 2
"""Ticks of the clock, at least one whole second, for a peer to hang up once it was sent the end of the stream."""


class Connection(Inbox):
    """A client. `id` is unique in its process; any other attribute may be set on it."""

    __slots__ = ("__dict__", "__weakref__", "_after", "_peer", "handshake")

    handshake: Handshake

    if TYPE_CHECKING:  # users' own attributes

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, endpoint: Endpoint, sock: socket.socket | None) -> None:
        super().__init__(endpoint, sock)
        self._after = WAIT
        self._peer: Origin | None = None  # with TLS, or where it comes from elsewhere than the socket says

    # What users call

    @property
    def remote_ip(self) -> str:
        """The client's address, behind a trusted proxy too; empty with unix sockets. IPv4 ones are written so also
        where IPv6 carries them."""
        return self._origin()[0]

    @property
    def remote_port(self) -> int:
        """The client's port; 0 with unix sockets, and where a proxy does not say it."""
        return self._origin()[1]

    def _origin(self) -> Origin:
        return self._peer or origin_of(self._transport.get_extra_info("peername"))

    def comes_from(self, origin: Origin) -> None:
        """Be told by a proxy where the client is."""
        self._peer = origin

    @property
    def worker(self) -> Any:
        """The worker that it belongs to."""
        return self.endpoint.owner

    @property
    def is_open(self) -> bool:
        """Whether it can be sent to."""
        return self._state == OPEN

    @property
    def idle_seconds(self) -> int:
        """Whole seconds since anything came from the client; 0 while reading is paused."""
        return 0 if self._paused else round(self.endpoint.reactor.now - self._seen)

    def close(self, data: Sendable | None = None, *, code: int = 1000, reason: str = "") -> None:
        """Send what is queued and a last message, say goodbye, and close; after a few seconds in any case.

        Args:
            data: the last message.
            code: a WebSocket close code, 1000 to 1014 or 3000 to 4999.
            reason: for the peer, up to 123 bytes.
        """
        if not sendable_code(code):
            raise ValueError(f"{code} is no close code that may be sent: use 1000 or one from 3000 to 4999")
        if self._state >= CLOSING:
            return
        if self._state == OPENING:
            self._transport.close()
            return
        if data is not None:
            self.send(data)
            if self._state != OPEN:  # it was too much
                return
        self.drop_messages()
        self._leave(WAIT if self._codec.closes_by_handshake else SHUT, self._codec.close_frame(code, reason))

    def destroy(self) -> None:
        """Close at once; what is queued is dropped."""
        if self._state == CLOSED:
            return
        self._state = CLOSED
        self.drop_messages()
        self._drop_queue()
        self._transport.abort()

    def ping(self, payload: bytes = b"") -> None:
        """Send a WebSocket ping, which browsers answer by themselves (RFC 6455 section 5.5.2).

        Raises:
            TypeError: on a connection of another protocol.
        """
        if not isinstance(self._codec, WebSocket):
            raise TypeError("only a WebSocket connection has pings")
        if len(payload) > 125:
            raise ValueError("a ping takes up to 125 bytes")
        if self._state == OPEN:
            self._send_control(self._codec.ping_frame(payload))

    def __repr__(self) -> str:
        state = ("opening", "open", "closing", "closed")[self._state]
        ip = self.remote_ip if hasattr(self, "_transport") else ""
        return f"<Connection {self.id} {state} {self.endpoint.name}{ip and f' from {ip}'}>"

    # Opening

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # So that pause_writing tells of the first byte that is stuck: TLS pauses at its limit, others above it.
        secure = self._transport.get_extra_info("ssl_object") is not None
        self._transport.set_write_buffer_limits(high=1 if secure else 0)
        endpoint = self.endpoint
        if secure or endpoint.gate.keeps_origins:
            self._peer = self._origin()  # a TLS transport forgets it when it is closed, others do not
        endpoint.stats.accepted += 1
        if not self._codec.ready:
            endpoint.open_later(self)
        if endpoint.gate.keeps_origins and (refusal := endpoint.gate.enter(self, self._origin())) is not None:
            self._refuse(refusal)
        elif self._codec.ready:
            self._open(None)

    def _refuse(self, refusal: Refusal) -> None:
        """Let nobody in who came all the same."""
        codec = self._codec
        self.endpoint.note_refusal(refusal, self.remote_ip)
        if not isinstance(codec, WebSocket):
            self.destroy()
            return
        codec.reject(refusal.error)
        assert codec.ending is not None
        self._leave(SHUT, codec.ending.reply)

    def _asked(self, handshake: Handshake) -> list[Message] | None:
        """A request is here: see where it comes from, and let it in; gives what came behind, None if it is not in."""
        endpoint = self.endpoint
        if self._peer is None:
            self._peer = self._origin()  # the system is asked once, however often it is looked at until it is open
        if endpoint.gate.keeps_origins:
            origin = endpoint.gate.origin(self._peer, handshake.headers)
            if origin != self._peer:
                self._peer = origin
                if (refusal := endpoint.gate.enter(self, origin)) is not None:
                    self._refuse(refusal)
                    return None
        handshake.remote_ip = self._peer[0]
        if endpoint.admission is not None:
            endpoint.admission.consider(self)
            return None
        messages = self._codec.accept()
        self._open(handshake)
        return messages

    def _open(self, handshake: Handshake | None) -> None:
        endpoint = self.endpoint
        self._state = OPEN
        self._frames = endpoint.cache(self._codec)
        endpoint.admit(self)
        if self._codec.output:
            self._flush_codec()
        if handshake is not None:
            self.handshake = handshake
        elif self._peer is None:
            self._peer = self._origin()  # as above
        self._dispatch(endpoint.callbacks.on_connect)
        if self._socket is not None and not endpoint.gate.keeps_origins:
            self._peer = None
        if handshake is not None:
            # It is large, and of use only while the client is let in.
            if self._mailbox is None:
                self._forget_handshake()
            else:
                self._mailbox.put(Connection._forget_handshake)

    def _forget_handshake(self) -> None:
        try:  # noqa: SIM105 - a `with` costs as much as the rest of this
            del self.handshake
        except AttributeError:
            pass

    # Reading

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self.endpoint.reactor.buffer

    def buffer_updated(self, nbytes: int) -> None:
        reactor = self.endpoint.reactor
        self._seen = reactor.now
        codec = self._codec
        if codec.ending is not None or (self._state >= CLOSING and (self._state == CLOSED or self._after != WAIT)):
            return  # only the end of the stream is still awaited
        messages = codec.feed(reactor.buffer[:nbytes])
        if self._state == OPENING and codec.handshake is not None:
            early = self._asked(codec.handshake)
            if early is None:
                return
            messages = early
        elif codec.output:
            self._flush_codec()
        if messages:
            self._deliver(messages)
        if codec.ending is not None:
            self._ended(codec.ending)
        elif nbytes == READ_BUFFER_SIZE:
            self._wait_for_turn()

    # Ending

    def _leave(self, after: int, last: bytes = b"") -> None:
        """Send what is queued and the last bytes, and see to the rest by a deadline."""
        if last:
            self._send_control(last)
            if self._state == CLOSED:
                return
        elif type(self._queue) is Batch:
            self.take_copy()
        self._state = CLOSING
        self._after = after
        self._room = -1
        if self._paused:
            self._paused = 0
            self._transport.resume_reading()
        self.endpoint.closing[self] = self.endpoint.reactor.tick + self.endpoint.limits.close_seconds
        self._flushed()

    def _flushed(self) -> None:
        """Go on with closing once nothing is left to send."""
        if self._queue is not None or self._blocked or self._after == WAIT:
            return
        if self._after == SHUT and self._transport.can_write_eof():
            # Closing now, with bytes of the peer's unread, would reset the connection and destroy what was sent last.
            with contextlib.suppress(OSError):
                self._transport.write_eof()
            self.endpoint.closing.pop(self, None)
            self.endpoint.lingering[self] = self.endpoint.reactor.tick + LINGER_TICKS
        else:
            self._transport.close()

    def _ended(self, ending: Ending) -> None:
        """The codec takes nothing more."""
        endpoint = self.endpoint
        error = ending.error
        if self._state == CLOSING:  # the peer answered our close frame
            self._after = CLOSE
            self._flushed()
        elif error is None:
            if self._mailbox is None:
                self._say_goodbye(ending.reply)
            else:  # answers to what came before it are still under way
                self._mailbox.put(Connection._say_goodbye, ending.reply)
        elif self._state == OPENING:
            if isinstance(error, HandshakeError) and error.status == TOO_LARGE:
                endpoint.stats.large_requests += 1
            endpoint.throttle.log(
                logging.INFO, "%s: %s: no handshake: %s", endpoint.name, self.remote_ip or "unix", ending.reason
            )
            self._leave(SHUT, ending.reply)
        elif self._state == OPEN:
            endpoint.stats.protocol_errors += 1
            if error.code == TOO_BIG:
                endpoint.stats.large_messages += 1
            endpoint.throttle.log(
                logging.INFO, "%s: connection %s (%s) failed: %s", endpoint.name, self.id, self.remote_ip, error.reason
            )
            self._dispatch(endpoint.callbacks.on_error, error)
            self.drop_messages()
            if self._state == OPEN:  # on_error may have closed it
                self._leave(SHUT, ending.reply)

    def _say_goodbye(self, reply: bytes) -> None:
        if self._state == OPEN:
            self._leave(CLOSE, reply)

    def eof_received(self) -> bool:
        """The client sends no more, and may still read: what is queued goes out before the connection is closed."""
        if self._state in (OPENING, CLOSED):
            return False
        secure = self._socket is None
        if self._state == CLOSING:
            self._after = CLOSE
            self._flushed()
        elif self._codec.closes_by_handshake or secure or self._mailbox is None:
            self._leave(CLOSE)  # messages that wait for a callback get theirs
        else:  # answers to what came before it are still under way
            self._mailbox.put(Connection._say_goodbye, b"")
        if secure:
            self.flush()
        return not secure  # TLS as asyncio has it ends here in any case

    def connection_lost(self, exc: BaseException | None) -> None:
        endpoint = self.endpoint
        self._state = CLOSED
        self._drop_queue()
        if not endpoint.forget(self):
            endpoint.stats.handshake_failures += 1
            return
        if exc is not None and not isinstance(exc, ConnectionError):
            self._dispatch(endpoint.callbacks.on_error, exc)
        self._dispatch(endpoint.callbacks.on_close)
        if self._mailbox is not None:
            asyncio.get_running_loop().call_soon(self._run_mailbox)  # it may have been paused

    def expire(self) -> None:
        """The time for a handshake or for closing is over."""
        admission = self.endpoint.admission
        if admission is not None and admission.expire(self):
            return
        if self._state == OPENING:
            self.endpoint.stats.late_handshakes += 1
        self.destroy()
