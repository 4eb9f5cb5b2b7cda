"""The usual frames of a WebSocket, with as few steps as there are: what a gateway does for each message."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.protocols.frames import BINARY, FIN, TEXT
from tidegate.protocols.unmask import apply_mask
from tidegate.speedups import compiled

__all__ = ["WHOLE_BINARY", "WHOLE_TEXT", "scan_frames", "scan_frames_in_python"]

WHOLE_TEXT, WHOLE_BINARY = FIN | TEXT, FIN | BINARY


def scan_frames_in_python(data: memoryview, position: int, limit: int, messages: list[str | bytes]) -> int:
    """Take frames that are each a whole message of up to 64 KiB, masked, and here as a whole.

    Args:
        limit: bytes of a message.
        messages: gets them.

    Returns:
        The position of the first thing that is not such a frame, text that is no UTF-8 among them.
    """
    end = len(data)
    while end - position >= 6:
        first, length = data[position], data[position + 1]
        if not (WHOLE_TEXT <= first <= WHOLE_BINARY and 128 <= length < 255):
            break
        start, size, least = position + 6, length - 128, 0
        if size == 126:
            if end - position < 8:
                break
            start += 2
            size, least = data[position + 2] << 8 | data[position + 3], 126
        stop = start + size
        if stop > end or not least <= size <= limit:
            break
        payload = apply_mask(data[start:stop], bytes(data[start - 4 : start]))
        if first == WHOLE_TEXT:
            try:
                messages.append(payload.decode())
            except UnicodeDecodeError:
                break
        else:
            messages.append(payload)
        position = stop
    return position


scan_frames: Callable[[memoryview, int, int, list[str | bytes]], int] = (
    scan_frames_in_python if compiled is None else compiled.scan_frames
)
