"""The garbage collector of a process that holds connections and none of the user's code."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc
from tidegate import Gateway
from tidegate.process.child import make
row = Gateway("websocket://127.0.0.1:0").describe({})
make({"row": row}, object, {"Gateway": Gateway.from_settings})
kept = [[] for _ in range(1000)]
gc.collect(1)
before = gc.get_freeze_count()
gc.collect()
assert gc.get_freeze_count() >= before + 1000
ring = []
ring.append(ring)
del ring
assert gc.collect() == 1, "what becomes garbage later is collected as ever"
"""


def test_it_does_not_go_through_what_it_has_found_to_live_again() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=30)
