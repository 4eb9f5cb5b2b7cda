"""What `status` and `connections` say: gathered from every process, with a deadline."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.process.slots import Slot
    from tidegate.process.supervisor import Supervisor

__all__ = ["connections", "listeners", "status"]

ANSWER_SECONDS = 2
"""That a process has to answer; one whose handler blocks its loop is shown as busy."""
COUNTERS = ("connections", "messages_in", "messages_out", "send_failures", "slow_consumers", "protocol_errors",
            "handshake_failures", "dropped_messages", "handler_errors", "accept_pauses", "refused_connections",
            "refused_addresses", "refused_proxies", "dropped_handshakes", "late_handshakes", "large_requests",
            "large_messages", "rate_pauses", "rate_closes", "refused_origins", "refused_auth",
            "failed_auth")  # fmt: skip


async def _ask(slot: Slot, op: str, **parameters: Any) -> dict[str, Any] | None:
    if slot.process is None:
        return None
    try:
        answer: dict[str, Any] = await asyncio.wait_for(slot.process.channel.request(op, **parameters), ANSWER_SECONDS)
    except (TidegateError, TimeoutError):
        return None
    return answer


async def status(supervisor: Supervisor) -> dict[str, Any]:
    """A row for each process, in the order of the app.

    Returns:
        ``{"app": …, "target": …, "pid": …, "started": …, "processes": [{"pid": …, "role": …, …}]}``, with memory in
        bytes, uptime in seconds, exits as ``{code: times}``, and what only some kinds count in ``extra``.
    """
    slots = sorted(supervisor.slots.values(), key=lambda slot: (_position(supervisor, slot), slot.index))
    answers = await asyncio.gather(*(_ask(slot, "status") for slot in slots))
    return {
        "app": supervisor.launch.name,
        "target": str(supervisor.launch.target),
        "pid": os.getpid(),
        "started": supervisor.started,
        "daemon": supervisor.launch.daemon,
        "processes": [_row(supervisor, slot, answer) for slot, answer in zip(slots, answers, strict=True)],
    }


def _position(supervisor: Supervisor, slot: Slot) -> int:
    names = list(supervisor.topology)
    return names.index(slot.worker) if slot.worker in names else len(names)


def _row(supervisor: Supervisor, slot: Slot, answer: dict[str, Any] | None) -> dict[str, Any]:
    process = slot.process
    if process is None:
        state = "restarting"
    elif not process.ready.done():
        state = "starting"
    else:
        state = "running" if answer is not None else "busy"
    workers = answer["workers"] if answer else []
    row: dict[str, Any] = {
        "pid": process.pid if process else None,
        "role": slot.title,
        "kind": supervisor.topology.get(slot.worker, {}).get("kind", ""),
        "state": state,
        "listen": [worker["listen"] for worker in workers if worker["listen"]],
        "memory": answer["memory"] if answer else None,
        "rate": answer["rate"] if answer else None,
        "uptime": time.monotonic() - process.started if process else None,
        "exits": {str(code): times for code, times in sorted(slot.exits.items())},
    }
    for counter in COUNTERS:
        row[counter] = sum(worker.get(counter, 0) for worker in workers) if answer else None
    extra: Counter[str] = Counter()
    for worker in workers:
        extra.update(worker.get("extra", {}))
    row["extra"] = dict(extra)
    return row


async def listeners(supervisor: Supervisor) -> list[dict[str, Any]]:
    """What listens where: a row for each worker, with the ports that it opened besides.

    Returns:
        ``[{"name": …, "kind": …, "count": …, "listen": [address, …]}]``
    """
    slots = list(supervisor.slots.values())
    answers = await asyncio.gather(*(_ask(slot, "status") for slot in slots))
    rows = {
        name: {"name": name, "kind": worker["kind"], "count": worker["count"], "listen": []}
        for name, worker in supervisor.topology.items()
    }
    for slot, answer in zip(slots, answers, strict=True):
        if answer is None or slot.worker not in rows:
            continue
        listen = rows[slot.worker]["listen"]
        for worker in answer["workers"]:
            if worker["listen"] and worker["listen"] not in listen:
                listen.append(worker["listen"])
    return list(rows.values())


async def connections(supervisor: Supervisor, limit: int) -> dict[str, Any]:
    """Connections of each process, `limit` of each at the most.

    Returns:
        ``{"total": …, "rows": [{"pid": …, "worker": …, "id": …, "remote": …, "listen": …, "idle": …, "queued": …}]}``
    """
    slots = list(supervisor.slots.values())
    answers = await asyncio.gather(*(_ask(slot, "connections", limit=limit) for slot in slots))
    rows: list[dict[str, Any]] = []
    total = 0
    for slot, answer in zip(slots, answers, strict=True):
        if answer is None or slot.process is None:
            continue
        total += answer["total"]
        rows += ({"pid": slot.process.pid, **row} for row in answer["rows"])
    return {"total": total, "rows": rows}
