"""Processes that die: they come back, and nobody else notices."""

from __future__ import annotations

import os
import signal

import pytest

from tests.process.support import Attempts, Lines, Place, ask_once, echo, is_alive, until


def test_clients_of_the_other_process_go_on_while_one_is_killed_under_traffic(place: Place) -> None:
    place.write(echo(count=2))
    place.start().ready()
    port = place.port()
    first, second = place.pids()
    clients = [Lines(port) for _ in range(20)]
    owners = [int(client.ask("x").split()[1]) for client in clients]
    while len(set(owners)) < 2:
        clients.append(Lines(port))
        owners.append(int(clients[-1].ask("x").split()[1]))
    others = [client for client, pid in zip(clients, owners, strict=True) if pid == second]
    with Attempts(port) as attempts:
        attempts.served()
        os.kill(first, signal.SIGKILL)
        while place.processes()[0]["state"] != "running" or place.pids()[0] == first:
            for client in others:
                assert client.ask("still here") == f"v1 {second} still here"
        attempts.served()
    assert not attempts.failures
    rows = place.processes()
    assert rows[0]["exits"] == {"-9": 1}
    assert (rows[1]["pid"], rows[1]["exits"]) == (second, {})
    for client in clients:
        client.close()


def test_who_connects_while_the_only_process_is_away_is_served_by_the_next(place: Place) -> None:
    place.write(echo())
    app = place.start().ready()
    port, (pid,) = place.port(), place.pids()
    with Attempts(port) as attempts:
        attempts.served()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        assert ask_once(port).split()[1] != str(pid)
        attempts.served()
    assert not attempts.failures
    app.says(f"echo#0 (pid {pid}) died, killed by SIGKILL; starting it again now")
    assert place.do("status").rstrip().endswith("-9×1")


@pytest.mark.parametrize("crash", ["raise RuntimeError('never')", "os._exit(7)"], ids=["exception", "exit"])
def test_where_one_process_crashes_at_every_start_the_other_serves_everybody(place: Place, crash: str) -> None:
    place.write(
        echo(
            count=2,
            more=f"""
@worker.on_worker_start
def start(worker):
    if worker.id == 1:
        {crash}
""",
        )
    )
    app = place.start()
    app.says("Ctrl-C ends it\n")
    assert "a process does not start: echo#1: " in app.out.read_text()
    port = place.port()
    code = "7" if "exit" in crash else "1"
    served = 0
    while served < 50 or place.processes()[1]["exits"].get(code, 0) < 3:
        assert ask_once(port).startswith("v1 ")
        served += 1
    good, bad = place.processes()
    assert (good["state"], good["exits"]) == ("running", {})
    assert (bad["state"], bad["memory"]) in (("restarting", None), ("starting", None))
    app.says("starting it again in 0.25 s")
    app.says("starting it again in 0.5 s")
    app.press_ctrl_c()
    assert app.ends() == 0


def test_a_port_that_a_process_opened_besides_waits_for_its_successor(place: Place) -> None:
    place.write(
        echo()
        + """
@worker.on_worker_start
async def start(worker):
    door = Worker("text://127.0.0.1:0", name="door")
    door.on_message = lambda connection, message: connection.send(f"door {os.getpid()} {message}")
    await door.listen()
"""
    )
    place.start().ready()
    (row,) = place.processes()
    assert len(row["listen"]) == 2
    door = place.port(1)
    with Attempts(door) as attempts:
        attempts.served()
        os.kill(row["pid"], signal.SIGKILL)
        until(lambda: not is_alive(row["pid"]))
        assert ask_once(door).split()[1] != str(row["pid"])
        place.reload()
        attempts.served()
    assert not attempts.failures
    assert attempts.versions.keys() <= {"door", ""}  # and none of the worker's own
    assert place.port(1) == door


def test_a_process_that_is_killed_again_and_again_comes_back_each_time(place: Place) -> None:
    place.write(echo())
    place.start().ready()
    for times in range(1, 4):
        (pid,) = place.pids()
        os.kill(pid, signal.SIGKILL)
        assert ask_once(place.port_when_running()).split()[1] != str(pid)
        assert place.processes()[0]["exits"] == {"-9": times}
