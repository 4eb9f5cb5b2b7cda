"""A module's tests once with the compiled inner loops, and once with those in Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tidegate.gateway import event
from tidegate.protocols import frames, scan, websocket
from tidegate.wire import packet, runs

__all__ = ["both_loops"]


@pytest.fixture(scope="module", autouse=True, params=["compiled", "python"])
def both_loops(request: pytest.FixtureRequest) -> Iterator[None]:
    """To be imported where it is to hold."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "python":
            patch.setattr(websocket, "scan_frames", scan.scan_frames_in_python)
            patch.setattr(websocket, "body_frame", frames.body_frame_in_python)
            patch.setattr(websocket, "body_frames", frames.body_frames_in_python)
            for module in (frames, websocket):
                patch.setattr(module, "make_frame", frames.make_frame_in_python)
            patch.setattr(packet, "scan_packets", packet.scan_packets_in_python)
            patch.setattr(runs, "scan_runs", runs.scan_runs_in_python)
            patch.setattr(packet, "pack_packet", packet.pack_packet_in_python)
            patch.setattr(event, "pack_packets", packet.pack_packets_in_python)
        yield
