"""A program that forks while its client is in use, as gunicorn does with a client made before."""

from __future__ import annotations

import os
import sys
import threading

from tidegate.client.blocking import GatewayClient

register, online, offline = sys.argv[1:]
client = GatewayClient(register)
kept = client._now()


def use(name: str, numbers: range) -> None:
    for number in numbers:
        client.send_to_all(f"{name} {number}")
        assert client.is_online(online) is True
        assert client.is_online(offline) is False
    client.flush()


def hold() -> None:
    """Have every lock there is."""
    with kept.lookup:
        locks = [connection.lock for connection in kept.store._connections.values()]
        for lock in locks:
            lock.acquire()
        held.set()
        forked.wait()
        for lock in locks:
            lock.release()


held, forked = threading.Event(), threading.Event()
use("parent", range(25))
# The children are made while one thread has every lock, and others are in the middle of calls.
holder = threading.Thread(target=hold)
holder.start()
held.wait()
beside = [threading.Thread(target=use, args=(f"beside-{number}", range(50))) for number in range(2)]
for thread in beside:
    thread.start()
children = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        worker = threading.Thread(target=use, args=(f"child-{number}", range(50)))
        use_here = number != 1  # one of them from a thread only
        if use_here:
            use(f"child-{number}", range(50))
        else:
            worker.start()
            worker.join()
        client.close()
        os._exit(0)
    children.append(pid)
    if number == 1:  # the last is made while the others' questions are on their way
        forked.set()
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
assert codes == [0, 0, 0], codes
print("children served", flush=True)
for thread in (holder, *beside):
    thread.join()
use("parent", range(25, 50))
client.close()
print("parent served", flush=True)
