"""Starting in a terminal, and ending it there."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests.ports import free_port
from tests.process.support import Foreground, Lines, Place, ask_once, echo, is_alive, until


def ends_cleanly(app: Foreground, pids: list[int]) -> None:
    assert app.ends() == 0
    assert "Traceback" not in app.err.read_text()
    assert not any(map(is_alive, pids))


def test_the_start_shows_what_listens_where_and_ctrl_c_stops_it_cleanly(place: Place) -> None:
    place.write(echo(count=2))
    app = place.start().ready()
    port = place.port()
    lines = app.out.read_text().splitlines()
    assert lines[0].strip() == "tidegate: app"
    assert lines[1].split() == ["worker", "kind", "count", "listening"]
    assert lines[2].split() == ["echo", "Worker", "2", f"text://127.0.0.1:{port}"]
    assert lines[3] == "ready"
    pids = place.pids()
    assert len(pids) == 2
    with Lines(port) as client:
        assert client.ask("hello").endswith("hello")
        app.press_ctrl_c()
        assert client.read() == ""
    ends_cleanly(app, pids)
    assert not list(place.run_folder.glob("app-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_to_the_supervisor_stops_it_cleanly(place: Place, number: signal.Signals) -> None:
    place.write(echo())
    app = place.start().ready()
    pids = place.pids()
    os.kill(app.pid, number)
    ends_cleanly(app, pids)


def test_a_second_ctrl_c_ends_what_would_have_been_waited_for(place: Place) -> None:
    place.write(
        echo()
        + """
@worker.on_worker_stop
async def wait(worker):
    import asyncio
    print("waiting", flush=True)
    await asyncio.sleep(3600)
"""
    )
    app = place.start().ready()
    pids = place.pids()
    os.kill(app.pid, signal.SIGQUIT)  # for half a minute
    app.says("waiting\n")
    app.press_ctrl_c()
    ends_cleanly(app, pids)


def test_ctrl_c_while_the_app_is_imported_ends_the_start(place: Place) -> None:
    place.write("import time\nprint('importing', flush=True)\ntime.sleep(3600)")
    app = place.start()
    app.says("importing")
    assert place.status()["processes"] == []
    app.press_ctrl_c()
    ends_cleanly(app, [])


def test_ctrl_c_while_a_worker_starts_does_not_wait_for_it(place: Place) -> None:
    place.write(
        echo()
        + """
@worker.on_worker_start
async def start(worker):
    import asyncio
    print("starting", flush=True)
    try:
        await asyncio.sleep(3600)
    finally:
        print("given up", flush=True)
"""
    )
    app = place.start()
    app.says("starting")
    pids = place.pids()
    app.press_ctrl_c()
    ends_cleanly(app, pids)
    assert "given up" in app.out.read_text()


def test_under_nohup_the_end_of_the_terminal_does_not_matter(place: Place) -> None:
    place.write(echo())
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        app = place.start().ready()
    finally:
        signal.signal(signal.SIGHUP, before)
    os.kill(app.pid, signal.SIGHUP)
    assert ask_once(place.port()).endswith("x")
    app.press_ctrl_c()
    ends_cleanly(app, [])


def test_settings_come_from_toml_and_the_environment(place: Place) -> None:
    place.write(echo().replace("count=1", "count=None"))
    place.write("max_message_size = 1000\n[worker.echo]\ncount = 2\n", "settings.toml")
    place.environment["TIDEGATE_ECHO_MAX_MESSAGE_SIZE"] = "10"
    place.start("app.py", "--config", "settings.toml").ready()
    assert len(place.pids()) == 2
    with Lines(place.port()) as client:
        assert client.ask("0123456789").endswith(" 0123456789")
        assert client.ask("01234567890") == ""


@pytest.mark.parametrize("target", ["two.py:second", "package.two:second"])
def test_an_app_is_named_by_its_file_or_module_and_its_name(place: Place, target: str) -> None:
    code = echo("second").replace("app = App(worker)", "first, second = App(Worker(name='other')), App(worker)")
    place.write("", "package/__init__.py")
    place.write(code, "two.py" if target.startswith("two") else "package/two.py")
    place.start(target).ready()
    assert ask_once(place.port()).startswith("second ")
    assert place.status()["app"] == "two"
    assert target.rpartition(".")[2] in place.do("status", "--app", target)


def test_a_unix_socket_is_there_while_the_app_runs_and_replaces_one_of_a_killed_app(place: Place) -> None:
    path = place.run_folder / "app.sock.file"
    place.write(echo().replace("text://127.0.0.1:0", f"unix://{path}"))
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    app = place.start().ready()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"hello")
        assert client.recv(100).endswith(b"b'hello'")
    app.press_ctrl_c()
    ends_cleanly(app, [])
    assert not path.exists()


def test_a_program_that_a_worker_started_holds_no_port_open(place: Place) -> None:
    port = free_port()
    place.write(
        echo().replace("127.0.0.1:0", f"127.0.0.1:{port}")
        + """
@worker.on_worker_start
def start(worker):
    import subprocess
    program = subprocess.Popen(["sleep", "3600"], close_fds=False)
    open("program", "w").write(str(program.pid))
"""
    )
    app = place.start().ready()
    program = int((place.folder / "program").read_text())
    app.press_ctrl_c()
    ends_cleanly(app, [])
    assert is_alive(program)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen()


def test_a_start_that_is_killed_takes_all_processes_along_even_one_whose_loop_is_blocked(place: Place) -> None:
    block = "    if message == 'block':\n        import time; print('blocked', flush=True); time.sleep(3600)\n"
    place.write(echo(count=2, more=block))
    app = place.hurry("from tidegate.process import child\nchild.LEAVE_SECONDS = 0.2").ready()
    pids = place.pids()
    with Lines(place.port()) as client:
        client.send("block")
        app.says("blocked\n")
        app.process.kill()
        until(lambda: not any(map(is_alive, pids)))
    app.ends()
    assert place.run("status").returncode == 1
    again = place.start().ready()  # nothing of the one before is in the way
    again.press_ctrl_c()
    ends_cleanly(again, [])
