"""How helper processes are told what to do: a line of words in, a line of JSON out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["answer", "serve"]


def answer(line: str, handlers: Mapping[str, Callable[..., Any]]) -> str:
    """Carry an order out; gives its answer, `{"result": …}` or `{"error": …}`. Words of digits are numbers."""
    name, *words = line.split()
    try:
        result = handlers[name](*(int(word) if word.isdigit() else word for word in words))
    except Exception as error:
        return json.dumps({"error": f"{line.strip()}: {type(error).__name__}: {error}"})
    return json.dumps({"result": result})


def serve(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Take orders from standard input until it ends."""
    for line in sys.stdin:
        print(answer(line, handlers), flush=True)
