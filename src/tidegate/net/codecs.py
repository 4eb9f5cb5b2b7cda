"""Which codec a connection gets: by the scheme of the address, or of a class of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tidegate.protocols import Codec, CustomCodec, Frame, Raw, Text, WebSocket

__all__ = ["codec_maker", "has_handshake"]


def has_handshake(scheme: str, protocol: Callable[[], Any] | None = None) -> bool:
    """Whether clients begin with a request that can be judged: those of WebSocket."""
    if protocol is not None:
        return isinstance(protocol, type) and issubclass(protocol, WebSocket)
    return scheme == "websocket"


def codec_maker(
    scheme: str,
    protocol: Callable[[], Any] | None = None,
    *,
    encoding: str | None = None,
    max_message_size: int | None = None,
    compression: bool = False,
    subprotocols: Sequence[str] = (),
    max_request_size: int | None = None,
) -> Callable[[], Codec]:
    """Give what makes a new connection's codec.

    Args:
        scheme: of the address.
        protocol: a codec class, one of ours or with ``feed(data)`` and ``encode(message)``; then the scheme is
            without meaning.
        encoding: of messages that are text.
        max_message_size: bytes; the protocol's own default where it is None.
        compression: negotiate permessage-deflate.
        subprotocols: WebSocket subprotocols that are spoken.
        max_request_size: bytes of a WebSocket handshake.
    """
    request = {"max_request_size": max_request_size} if max_request_size else {}
    size = {"max_message_size": max_message_size} if max_message_size else {}
    if protocol is not None:
        if isinstance(protocol, type) and issubclass(protocol, Raw):
            return lambda: Raw(encoding)
        if isinstance(protocol, type) and issubclass(protocol, Text | Frame):
            kind = protocol
            return lambda: kind(**size, encoding=encoding)
        if has_handshake(scheme, protocol):
            scheme = "websocket"
        else:
            make: Callable[[], Any] = protocol
            return lambda: CustomCodec(make(), **size)
    match scheme:
        case "websocket":
            return lambda: WebSocket(**size, compression=compression, subprotocols=subprotocols, **request)
        case "text":
            return lambda: Text(**size, encoding=encoding)
        case "frame":
            return lambda: Frame(**size, encoding=encoding)
        case _:
            return lambda: Raw(encoding)
