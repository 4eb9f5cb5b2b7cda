"""The BusinessWorker: a process that runs the user's code for clients that gateways hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.business.doors import MakeDoor

make_http_door: MakeDoor
"""Given by the front door: the room that makes them is above this one."""
