"""What clients speak, without I/O."""

from __future__ import annotations

from tidegate.protocols.base import Codec, CustomCodec, Ending, Message, UserCodec
from tidegate.protocols.frame import Frame
from tidegate.protocols.handshake import Handshake, HandshakeError
from tidegate.protocols.raw import Raw
from tidegate.protocols.text import Text
from tidegate.protocols.websocket import WebSocket

__all__ = [
    "Codec",
    "CustomCodec",
    "Ending",
    "Frame",
    "Handshake",
    "HandshakeError",
    "Message",
    "Raw",
    "Text",
    "UserCodec",
    "WebSocket",
]
