"""What was recorded from PHP's processes, and values of the kinds that they know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tidegate.wire.packet import Packet, PacketReader

VECTORS = Path(__file__).parents[1] / "vectors"


def vectors(name: str) -> Any:
    """A file of them."""
    return json.loads((VECTORS / f"{name}.json").read_text())


def read_packets(data: bytes) -> list[Packet]:
    """The packets in bytes that end with one."""
    reader = PacketReader()
    packets = reader.feed(data)
    assert reader.error is None
    return packets


# Characters that are no Unicode can't be serialized.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(-(2**63), 2**63 - 1)
keys = texts | integers
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False) | texts | st.binary(max_size=12)


def values(leaves: st.SearchStrategy[Any] = scalars) -> st.SearchStrategy[Any]:
    """Values nested a few times."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=6,
    )


sessions = st.dictionaries(keys, values(), max_size=4)
