"""What a process counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Stats"]


@dataclass(slots=True)
class Stats:
    """Counters of one listening worker since its start.

    Attributes:
        accepted: connections taken.
        messages_in: messages given to `on_message`, or waiting for it.
        frames_out: what was written, control frames included.
        controls_out: the control frames among them.
        send_failures: messages that were not sent: to a connection already closed, over `send_buffer_limit`, or
            still queued when the connection ended.
        slow_consumers: connections aborted for not reading.
        protocol_errors: connections ended for what they sent.
        handshake_failures: connections that ended before their handshake was done.
        dropped_messages: messages received and not handled, since the connection was closed here meanwhile.
        handler_errors: exceptions raised by callbacks.
        accept_pauses: times that accepting paused for want of file descriptors.
        refused_origins: handshakes of web pages whose origin may not connect.
        refused_auth: handshakes of clients that `auth` did not know.
        failed_auth: handshakes about which `auth` raised an error, or took too long.
        refused_connections: over `max_connections`.
        refused_addresses: over `max_connections_per_ip`.
        refused_proxies: from others than trusted proxies, where each connection has to come through one.
        dropped_handshakes: over `max_handshakes`.
        late_handshakes: not done within `handshake_timeout`.
        large_requests: over `max_request_size`.
        large_messages: over `max_message_size`.
        rate_pauses: times that reading paused for what came too fast.
        rate_closes: connections closed for that.
    """

    accepted: int = 0
    messages_in: int = 0
    frames_out: int = 0
    controls_out: int = 0
    send_failures: int = 0
    slow_consumers: int = 0
    protocol_errors: int = 0
    handshake_failures: int = 0
    dropped_messages: int = 0
    handler_errors: int = 0
    accept_pauses: int = 0
    refused_origins: int = 0
    refused_auth: int = 0
    failed_auth: int = 0
    refused_connections: int = 0
    refused_addresses: int = 0
    refused_proxies: int = 0
    dropped_handshakes: int = 0
    late_handshakes: int = 0
    large_requests: int = 0
    large_messages: int = 0
    rate_pauses: int = 0
    rate_closes: int = 0

    @property
    def messages_out(self) -> int:
        """Messages written, control frames not counted."""
        return self.frames_out - self.controls_out

    def as_dict(self) -> dict[str, int]:
        """All of it, by name."""
        counters = asdict(self)
        counters["messages_out"] = self.messages_out
        return counters
