"""Replacing the processes of a running app by those of its new code, one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tidegate.process.slots import Process, Slot, StartError

if TYPE_CHECKING:
    from tidegate.process.supervisor import Supervisor

__all__ = ["reload"]

START_SECONDS = 60
"""Until a successor must serve."""
LEAVE_SECONDS = 30
"""In which what it replaces may finish its work."""
SERVICE_RESTART = {"code": 1012, "reason": "the server is reloaded"}


async def reload(supervisor: Supervisor, everything: bool) -> str:
    """Bring in the new code; gives what was done.

    Args:
        everything: also workers that are not reloadable.

    Raises:
        StartError: the new code does not import, or a process of it does not start; the old ones go on.
        ConfigurationError: it can't be carried out, such as a port that is in use.
    """
    config, topology = await supervisor.probe()
    opened = supervisor.ports.open_mains(topology)
    before, supervisor.config = supervisor.config, config
    replaced: list[str] = []
    try:
        for worker in topology.values():
            changed = supervisor.topology.get(worker["name"], worker)["listen"] != worker["listen"]
            for index in range(worker["count"]):
                slot = supervisor.slot(worker["name"], index)
                if slot.process is None or worker["reloadable"] or everything or changed:
                    await _replace(supervisor, slot, worker)
                    replaced.append(worker["name"])
                else:
                    slot.process.channel.tell("reloading")
    except StartError as error:
        if not replaced:
            supervisor.config = before
        for name, address in opened:
            if name not in replaced:  # nobody serves there
                supervisor.ports.close_main(name, address)
        _refill(supervisor)
        raise StartError(f"{error} ({len(replaced)} replaced before it, the others go on)", error.traceback) from None
    gone = [slot for slot in supervisor.slots.values() if slot.index >= _count(topology, slot.worker)]
    await asyncio.gather(*(_remove(supervisor, slot) for slot in gone))
    supervisor.topology = topology
    for slot in supervisor.slots.values():
        slot.row = topology[slot.worker]
    supervisor.ports.keep_mains(topology)
    supervisor.ports.prune(supervisor.processes)
    processes = "process" if len(replaced) == 1 else "processes"
    return f"{len(replaced)} {processes} replaced" + (f", {len(gone)} ended" if gone else "")


def _count(topology: dict[str, dict[str, Any]], worker: str) -> int:
    return int(topology[worker]["count"]) if worker in topology else 0


async def _replace(supervisor: Supervisor, slot: Slot, row: dict[str, Any]) -> None:
    slot.cancel_restart()
    overlap = slot.row.get("overlap", True) and row.get("overlap", True)
    if not overlap:
        await _empty(slot)
    try:
        successor = await _start(supervisor, slot, row)
    except StartError:
        if not overlap:
            slot.restart = asyncio.get_running_loop().call_later(slot.note_failed_start(), supervisor.fill, slot)
        raise
    slot.cancel_restart()
    old, slot.process = slot.process, successor
    slot.row = row
    slot.deaths_at_start = 0
    if successor.exited.done():  # while the news that it was ready were under way
        supervisor.died(slot, successor)
    if old is not None:
        await _dismiss(slot, old)


async def _start(supervisor: Supervisor, slot: Slot, row: dict[str, Any]) -> Process:
    """Start a successor, and wait until it serves."""
    try:
        successor = supervisor.start(slot, row)
    except OSError as error:
        raise StartError(f"{slot.title} can't be started: {error}") from error
    try:
        await successor.wait_ready(START_SECONDS)
    except StartError:
        successor.stopping = True
        successor.kill()
        await successor.exited  # it lets go of its ports then
        supervisor.ports.withdraw(successor)
        raise
    return successor


async def _empty(slot: Slot) -> None:
    """End the process of a place, so that its successor finds free what can only be one's."""
    old, slot.process = slot.process, None
    if old is not None:
        await _dismiss(slot, old)


async def _dismiss(slot: Slot, old: Process) -> None:
    await old.stop(LEAVE_SECONDS, graceful=True, reload=True, **SERVICE_RESTART)
    slot.exits[old.exited.result()] += 1


async def _remove(supervisor: Supervisor, slot: Slot) -> None:
    slot.removed = True
    slot.cancel_restart()
    if slot.process is not None:
        await slot.process.stop(LEAVE_SECONDS, graceful=True, **SERVICE_RESTART)
    supervisor.slots.pop((slot.worker, slot.index), None)


def _refill(supervisor: Supervisor) -> None:
    """After a failure: places that only the new code had are gone, the old ones are filled again."""
    for key, slot in tuple(supervisor.slots.items()):
        if slot.process is None and slot.restart is None:
            if slot.index < _count(supervisor.topology, slot.worker):
                slot.restart = asyncio.get_running_loop().call_later(1, supervisor.fill, slot)
            else:
                del supervisor.slots[key]
