"""New code in the place of the old, while clients come and go."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.ports import free_port
from tests.process.support import Attempts, Lines, Place, ask_once, echo, is_alive, until

OPENS = """
@worker.on_worker_start
async def start(worker):
    door = Worker("text://127.0.0.1:PORT", name="door", reuse_port=REUSE)
    door.on_message = lambda connection, message: connection.send(f"door {worker.id} {message}")
    await door.listen()
"""


NOTES = """
def note(what):
    def callback(worker):
        with open("notes", "a") as notes:
            notes.write(f"{what} {worker.id}\\n")
    return callback

worker.on_worker_start, worker.on_worker_stop = note("start"), note("stop")
worker.on_worker_reload = note("reload")
"""


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An app of two processes that no reload of these tests changes."""
    place = Place(tmp_path_factory.mktemp("lasting"))
    try:
        place.write(echo(count=2))
        place.start().ready()
        yield place
    finally:
        place.clear()


def test_new_code_serves_process_by_process_and_nobody_is_refused_meanwhile(place: Place) -> None:
    place.write(echo("v1", count=2, more=NOTES))
    place.start().ready()
    notes = place.folder / "notes"
    assert sorted(notes.read_text().split("\n")) == ["", "start 0", "start 1"]
    notes.unlink()
    before, port = place.pids(), place.port()
    with Attempts(port) as attempts:
        attempts.served()
        place.write(echo("v2", count=2, more=NOTES))
        assert place.do("reload") == f"reloaded {place.key()}: 2 processes replaced\n"
        assert ask_once(port).startswith("v2 ")
        attempts.served()
    assert not attempts.failures
    assert attempts.versions["v1"]
    assert attempts.versions["v2"]
    rows = place.processes()
    assert [row["exits"] for row in rows] == [{"0": 1}, {"0": 1}]
    assert not any(map(is_alive, before))
    assert {row["state"] for row in rows} == {"running"}
    assert place.port() == port
    assert notes.read_text().splitlines() == [
        f"{what} {index}" for index in (0, 1) for what in ("start", "reload", "stop")
    ]


def test_websocket_clients_of_the_old_process_are_told_to_come_again(place: Place) -> None:
    place.write(echo().replace("text:", "websocket:"))
    place.start().ready()
    with connect(f"ws://127.0.0.1:{place.port()}") as client:
        client.send("x")
        client.recv(10)
        place.reload()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "the server is reloaded")


def test_a_worker_that_is_not_reloadable_stays_unless_all_are_to_be_replaced(place: Place) -> None:
    code = """
from tidegate import App, Worker
stays = Worker("text://127.0.0.1:0", name="stays", reloadable=False)
goes = Worker(name="goes")
app = App(stays, goes)

@stays.on_worker_reload
def reload(worker):
    worker.told = True

@stays.on_message
def answer(connection, message):
    connection.send(f"{stays.__dict__.get('told')} VERSION")
"""
    place.write(code.replace("VERSION", "v1"))
    place.start().ready()
    before, port = place.pids(), place.port()
    with Lines(port) as client:
        place.write(code.replace("VERSION", "v2"))
        assert place.reload() == "1 process replaced"
        until(lambda: client.ask("x") == "True v1")
        after = place.pids()
        assert (after[0], after[1] != before[1]) == (before[0], True)
    assert "2 processes replaced" in place.do("reload", "--all")
    assert ask_once(port) == "None v2"


def test_more_and_fewer_processes_and_new_and_former_listeners_are_carried_out(place: Place) -> None:
    place.write(echo(count=1))
    place.start().ready()
    port = place.port()
    more = "\nother = Worker('text://127.0.0.1:0', name='other')\nother.on_message = answer\napp = App(worker, other)\n"
    place.write(echo("v2", count=2, more=more))
    place.reload()
    assert [row["role"] for row in place.processes()] == ["echo#0", "echo#1", "other#0"]
    other = place.port(role="other")
    assert ask_once(other).startswith("v2 ")
    place.write(echo("v3", count=1))
    with Attempts(port) as attempts:
        assert place.reload() == "1 process replaced, 2 ended"
        attempts.served()
    assert not attempts.failures
    assert [row["role"] for row in place.processes()] == ["echo#0"]
    with pytest.raises(ConnectionRefusedError):
        ask_once(other)


def test_a_worker_with_a_new_name_and_protocol_takes_its_port_over(place: Place) -> None:
    port = free_port()
    place.write(echo().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    place.start().ready()
    place.write(echo("v2").replace("text://127.0.0.1:0", f"websocket://127.0.0.1:{port}").replace('"echo"', '"web"'))
    assert place.reload() == "1 process replaced, 1 ended"
    with connect(f"ws://127.0.0.1:{port}") as client:
        client.send("x")
        assert str(client.recv(10)).startswith("v2 ")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("app = App(", "SyntaxError: '(' was never closed"),
        ("import json\njson.nothing", "AttributeError: module 'json' has no attribute 'nothing'"),
        (echo() + "@worker.on_worker_start\ndef start(worker):\n    1/0\n", "ZeroDivisionError: division by zero"),
    ],
    ids=["syntax", "import", "start"],
)
def test_code_that_fails_changes_nothing_and_is_shown(lasting: Place, code: str, error: str) -> None:
    place, before = lasting, lasting.pids()
    with Lines(place.port()) as client:
        client.ask("x")
        place.write(code)
        done = place.run("reload")
        assert (done.returncode, done.stdout) == (1, "")
        assert f'{place.folder / "app.py"}", line' in done.stderr
        assert error in done.stderr.splitlines()[-1]
        assert client.ask("y").endswith(" y")
    assert place.pids() == before


def test_after_code_that_fails_new_code_is_taken(lasting: Place) -> None:
    lasting.write("1/0")
    assert lasting.refused("reload") == "ZeroDivisionError: division by zero"
    lasting.write(echo(count=2))
    assert lasting.reload() == "2 processes replaced"


def test_a_listener_of_code_that_fails_is_closed_again(lasting: Place) -> None:
    place = lasting
    main, beside = free_port(), free_port()
    more = f"\napp = App(worker, Worker('text://127.0.0.1:{main}', name='new'))\n"
    opens = OPENS.replace("PORT", str(beside)).replace("REUSE", "False") + "    raise RuntimeError('after it')\n"
    place.write(echo(more=more + opens))
    assert "after it" in place.refused("reload")
    for port in (main, beside):
        with pytest.raises(ConnectionRefusedError):
            ask_once(port)


def test_a_setting_that_can_not_be_carried_out_is_one_line_and_changes_nothing(lasting: Place) -> None:
    place, taken = lasting, lasting.port()
    place.write(echo(more=f"app = App(worker, Worker('text://127.0.0.1:{taken}', name='new'))\n"))
    done = place.run("reload")
    assert done.returncode == 1
    assert done.stderr.startswith(f"tidegate: can't listen on text://127.0.0.1:{taken}: it is in use.")
    assert done.stderr.count("\n") == 1
    assert ask_once(taken).startswith("v1 ")


def test_a_port_opened_by_each_of_two_processes_is_never_refused(place: Place) -> None:
    port = free_port()
    code = OPENS.replace("PORT", str(port))
    place.write(echo(more=code.replace("REUSE", "False")))
    place.start().ready()
    with Attempts(port) as attempts:
        attempts.served()
        place.write(echo(count=2, more=code.replace("REUSE", "True")))
        assert place.reload() == "2 processes replaced"
        attempts.served()
        place.reload()
        attempts.served()
    assert not attempts.failures
    assert len([row for row in place.processes() if len(row["listen"]) == 2]) == 2


def test_two_processes_that_open_one_port_without_saying_so_do_not_start(place: Place) -> None:
    port = free_port()
    place.write(echo(count=2, more=OPENS.replace("PORT", str(port)).replace("REUSE", "False")))
    done = place.run("start", "app.py")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"tidegate: can't listen on text://127.0.0.1:{port}: echo#")
    assert done.stderr.splitlines()[-1].endswith("With reuse_port=True several processes of a worker may")
    assert "Traceback" not in done.stderr


def test_a_stop_does_not_wait_for_a_reload_under_way(place: Place) -> None:
    place.write(echo())
    app = place.start().ready()
    pids = place.pids()
    place.write("import time\nprint('importing', flush=True)\ntime.sleep(3600)")
    os.kill(app.pid, signal.SIGUSR1)
    app.says("importing")
    assert place.refused("reload") == "it is being started or reloaded: try again when that is done"
    place.command("stop")
    assert app.ends() == 0
    assert not any(map(is_alive, pids))
    assert "Traceback" not in app.err.read_text()


def test_watching_reloads_what_changes_and_survives_what_fails(place: Place) -> None:
    place.write("VERSION = 'one'", "helper.py")
    place.write("from helper import VERSION\n" + echo("{VERSION}"))
    app = place.start("app.py", "--watch").ready()
    port = place.port()
    assert ask_once(port).startswith("one ")

    def is_noticed() -> bool:
        return "changed: helper.py" in app.err.read_text()

    while not is_noticed():  # the watch may begin later than the app; it waits for a moment without changes
        place.write("VERSION = 'two'", "helper.py")
        with contextlib.suppress(AssertionError):
            until(is_noticed, 0.5)
    until(lambda: ask_once(port).startswith("two "))
    place.write("VERSION =", "helper.py")
    app.says("not reloaded, the old code goes on: SyntaxError")
    assert ask_once(port).startswith("two ")
    place.write("VERSION = 'six'", "helper.py")
    until(lambda: ask_once(port).startswith("six "))
    app.press_ctrl_c()
    assert app.ends() == 0
    assert "Task" not in app.err.read_text()
