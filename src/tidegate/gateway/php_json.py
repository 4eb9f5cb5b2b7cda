"""JSON as PHP writes it (`json_encode` with JSON_UNESCAPED_UNICODE), for messages that are arrays."""

from __future__ import annotations

import json
from typing import Any

from tidegate.gateway.parameters import CommandError

__all__ = ["encode"]


def encode(value: Any) -> str:
    """Write a value that came PHP-serialized.

    Raises:
        CommandError: it has bytes that are no text, or a number that JSON has no form for.
    """
    try:
        text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        raise CommandError("a message that can't be written as JSON") from None
    # Neither stands outside of strings.
    return text.replace("/", r"\/").replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")


def _plain(value: Any) -> Any:
    """PHP writes a float that is whole as an integer."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
