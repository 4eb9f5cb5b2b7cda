"""5,000 WebSocket members, each sent 40 separate messages of 128 bytes in one turn of the loop.

The figure is frames a second of one core: 200,000 frames by the CPU time of the server's process, from the first
`connection.send` until the kernel has all of it. Three orders: each message to all members, then the next (a busy
room); all messages to a member, then to the next; and each message by `worker.broadcast`. The members read meanwhile,
and must get every byte.

Beside it stands what the kernel takes for itself, measured by a loop of `socket.send` on as many sockets whose peers
read as well: once with the 40 frames of each member joined, which is the least that must be paid, and once frame by
frame, which is what 40 separate writes would cost.
"""

from __future__ import annotations

from benchmarks.figures import Row
from benchmarks.processes import BenchmarkError, Helper, Tidegate, bare, load
from benchmarks.wire import SERVER_FRAME_SIZE

__all__ = ["RUNS", "run"]

RUNS = 9
MEMBERS = 5000
MESSAGES = 40
FRAMES = MEMBERS * MESSAGES
SEPARATE = 8
"""Frames that the reference sends one by one to each, which takes long enough to be measured."""
SECONDS = 30

ORDERS = {
    "messages": "send() of each message to all members in turn",
    "members": "send() of all messages to each member in turn",
    "broadcasts": "broadcast() of each message",
}


def run(runs: int) -> list[Row]:
    """Measure."""
    unit = "frames per CPU second"
    joined = {order: Row(label, unit, "bare sends, joined") for order, label in ORDERS.items()}
    separate = {order: Row(f"{label}, beside separate writes", unit, "bare sends") for order, label in ORDERS.items()}
    sending = {
        order: Row(f"{label}: the calls alone", "µs a frame", "one bare send") for order, label in ORDERS.items()
    }
    with Tidegate("plain") as server, bare("send") as sender, load() as clients:
        clients.ask("connect", "members", "websocket", server.port, MEMBERS)
        sender.order("accept", MEMBERS)
        clients.ask("connect", "reference", "plain", sender.port, MEMBERS)
        sender.result()
        for number in range(-1, runs):
            for order in ORDERS:
                total, calls = burst(server, clients, order)
                bare_joined = send(sender, clients, SERVER_FRAME_SIZE * MESSAGES, 1) / FRAMES
                bare_single = send(sender, clients, SERVER_FRAME_SIZE, SEPARATE) / (MEMBERS * SEPARATE)
                if number < 0:
                    continue  # a first time for everything, not counted
                joined[order].add(1 / total, 1 / bare_joined)
                separate[order].add(1 / total, 1 / bare_single)
                sending[order].add(calls * 1e6, bare_single * 1e6)
    return [*joined.values(), *separate.values(), *sending.values()]


def burst(server: Tidegate, clients: Helper, order: str) -> tuple[float, float]:
    """CPU seconds a frame, of everything and of the calls of `send` alone."""
    clients.order("receive", "members", SERVER_FRAME_SIZE * MESSAGES, SECONDS)
    done = server.ask("burst", MESSAGES, order)
    clients.result()  # fails where a byte is missing
    if done["frames"] != FRAMES:
        raise BenchmarkError(f"{done['frames']} messages were sent instead of {FRAMES}")
    return done["cpu"] / FRAMES, done["sending"] / FRAMES


def send(sender: Helper, clients: Helper, size: int, times: int) -> float:
    """CPU seconds of a bare loop."""
    clients.order("receive", "reference", size * times, SECONDS)
    cpu: float = sender.ask("send", size, times)
    clients.result()
    return cpu
