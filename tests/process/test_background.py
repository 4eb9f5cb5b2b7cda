"""An app in the background, and commands for it from another shell."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.support import Lines, Place, ask_once, echo, is_alive, until


@pytest.fixture(scope="module")
def background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An app that tests only look at."""
    place = Place(tmp_path_factory.mktemp("background"))
    try:
        place.write(echo(count=2))
        place.do("start", "app.py", "-d")
        yield place
    finally:
        place.clear()


def test_the_start_returns_once_the_app_serves_and_says_its_pid_and_log(place: Place) -> None:
    place.write(echo())
    log, pid_file = place.folder / "the.log", place.folder / "the.pid"
    said = place.do("start", "app.py", "-d", "--log-file", "the.log", "--pid-file", "the.pid")
    status = place.status()
    pid = status["pid"]
    assert f"in the background, pid {pid}, log {log}" in said
    assert f"text://127.0.0.1:{place.port()}" in said
    assert ask_once(place.port()).endswith("x")
    assert pid_file.read_text() == f"{pid}\n"
    assert "ready" in log.read_text()
    assert os.getsid(pid) == pid  # no terminal's
    children = place.pids()
    name = place.key()
    assert place.do("stop") == f"stopped {name} (pid {pid})\n"
    assert not any(map(is_alive, children))
    until(lambda: not is_alive(pid))  # it has let go of the app, and has only itself to end
    assert not pid_file.exists()
    assert "Traceback" not in log.read_text()


def test_the_log_is_beside_the_control_socket_unless_told_otherwise(background: Place) -> None:
    (log,) = background.run_folder.glob("app-*.log")
    assert "ready" in log.read_text()


def test_the_status_counts_what_each_process_has_done(background: Place) -> None:
    with Lines(background.port()) as client:
        pid = int(client.ask("one").split()[1])

        def row() -> dict[str, Any]:
            found = json.loads(background.do("status", "--json"))
            (mine,) = (row for row in found["processes"] if row["pid"] == pid)
            return dict(mine)

        before = row()
        client.ask("two")
        found = row()
        assert found["role"] in ("echo#0", "echo#1")
        assert found["kind"] == "Worker"
        assert found["state"] == "running"
        assert found["listen"] == [f"text://127.0.0.1:{background.port()}"]
        assert found["memory"] > 5_000_000
        for counter in ("messages_in", "messages_out"):
            assert found[counter] == before[counter] + 1
        assert found["connections"] >= 1
        assert (found["send_failures"], found["exits"]) == (0, {})
        assert found["uptime"] > 0
        until(lambda: (client.ask("x"), row()["rate"])[1])


def test_the_status_is_a_table_for_people(background: Place) -> None:
    title, head, *rows = background.do("status").splitlines()
    assert f"app ({background.folder / 'app.py'}), supervisor {background.status()['pid']}" in title
    columns = [
        "pid",
        "role",
        "state",
        "listening",
        "memory",
        "conns",
        "in",
        "out",
        "msg/s",
        "failed",
        "uptime",
        "exits",
    ]
    assert head.split() == columns
    assert [row.split()[:4] for row in rows] == [
        [str(row["pid"]), row["role"], "running", row["listen"][0]] for row in background.processes()
    ]


def test_connections_are_listed_with_their_process_and_where_they_come_from(background: Place) -> None:
    with Lines(background.port()) as client:
        pid = int(client.ask("x").split()[1])
        mine = f"127.0.0.1:{client.local_port}"
        found = json.loads(background.do("connections", "--json"))
        (row,) = (row for row in found["rows"] if row["remote"] == mine)
        assert found["total"] >= 1
        assert (row["pid"], row["worker"], row["queued"]) == (pid, "echo", 0)
        title, head, *rows = background.do("connections").splitlines()
        assert title.strip().endswith("connections")
        assert head.split() == ["pid", "worker", "id", "remote", "listening", "idle", "queued"]
        assert mine in "".join(rows)


@pytest.mark.parametrize("command", [["start", "app.py"], ["start", "app.py", "-d"]], ids=["foreground", "background"])
def test_an_app_that_runs_is_not_started_again(background: Place, command: list[str]) -> None:
    done = background.run(*command)
    pid = background.status()["pid"]
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"tidegate: it is running already (pid {pid}): 'tidegate stop' ends it\n"


@pytest.mark.parametrize("name", ["app", "app.py", "./app.py"])
def test_the_app_is_meant_by_its_name_or_file(background: Place, name: str) -> None:
    assert str(background.status()["pid"]) in background.do("status", "--app", name)


def test_an_app_that_does_not_run_is_an_error(background: Place, place: Place) -> None:
    done = background.run("status", "--app", "other.py")
    assert (done.returncode, done.stderr) == (1, "tidegate: other.py is not running\n")
    assert place.run("stop").stderr == "tidegate: no app is running\n"


def test_two_apps_run_side_by_side_and_are_told_apart(background: Place) -> None:
    background.write(echo("b"), "b.py")
    background.do("start", "b.py", "-d")
    done = background.run("stop")
    assert done.returncode == 1
    assert done.stderr.startswith("tidegate: several apps are running: say which with --app: app-")
    background.do("stop", "--app", "b")
    assert background.status()["app"] == "app"


def test_a_restart_brings_in_new_code_under_the_same_process_id(place: Place) -> None:
    place.write(echo("v1"))
    place.do("start", "app.py", "-d", "--pid-file", "the.pid")
    before = place.status()
    place.write(echo("v2", count=2))
    assert place.do("restart") == f"restarted {place.key()} (pid {before['pid']})\n"
    after = place.status()
    assert after["pid"] == before["pid"]
    assert len(after["processes"]) == 2
    assert ask_once(place.port()).startswith("v2 ")
    assert (place.folder / "the.pid").read_text() == f"{before['pid']}\n"
    assert not is_alive(before["processes"][0]["pid"])


def test_a_restart_with_code_that_does_not_import_leaves_the_app_running(background: Place) -> None:
    place = background
    with Lines(place.port()) as client:
        place.write("1/0")
        done = place.run("restart")
        assert done.returncode == 1
        assert "ZeroDivisionError" in done.stderr
        assert client.ask("x").endswith(" x")
    place.write(echo(count=2))


def test_a_restart_in_the_terminal_stays_there(place: Place) -> None:
    place.write(echo("v1"))
    app = place.start().ready()
    before = place.status()
    place.write(echo("v2"))
    place.command("restart")
    until(lambda: app.out.read_text().count("Ctrl-C ends it\n") == 2)
    assert place.status()["started"] != before["started"]
    app.press_ctrl_c()
    assert app.ends() == 0


def test_code_that_does_not_import_ends_the_start_in_the_background_with_its_traceback(place: Place) -> None:
    place.write("import json\njson.nothing")
    done = place.run("start", "app.py", "-d")
    assert done.returncode == 1
    assert 'app.py", line 2' in done.stderr
    assert done.stderr.endswith("tidegate: AttributeError: module 'json' has no attribute 'nothing'\n")
    assert not list(place.run_folder.glob("app-*.sock"))


def test_a_worker_that_does_not_start_is_reported_while_the_others_serve(place: Place) -> None:
    place.write(
        echo(count=2)
        + """
@worker.on_worker_start
def start(worker):
    if worker.id == 1:
        raise RuntimeError("not this one")
"""
    )
    done = place.run("start", "app.py", "-d")
    assert done.returncode == 1
    assert done.stderr == ("tidegate: it runs, but a process does not start: echo#1: RuntimeError: not this one\n")
    assert ask_once(place.port()).endswith("x")
    (log,) = place.run_folder.glob("*.log")
    assert "Traceback" in log.read_text()


def test_a_process_whose_callback_blocks_it_is_shown_as_busy(place: Place) -> None:
    place.write(echo(more="    if message == 'block':\n        import time; time.sleep(3600)\n"))
    app = place.hurry("from tidegate.process import report\nreport.ANSWER_SECONDS = 0.3").ready()
    with Lines(until(lambda: place.processes()[0]["listen"] and place.port())) as client:
        client.send("block")
        (row,) = until(lambda: [row for row in place.processes() if row["state"] == "busy"])
        assert row["memory"] is None
        assert "busy" in place.do("status")
        app.press_ctrl_c()
        app.says("stopping")
        os.kill(app.pid, signal.SIGINT)  # it can't be asked any more
        assert app.ends() == 0
    assert not is_alive(row["pid"])


def test_the_log_of_a_start_that_can_not_be_written_is_an_error(background: Place, tmp_path: Path) -> None:
    place = background
    other = place.write(echo(), "other.py")
    for option in ("--log-file", "--pid-file"):
        done = place.run("start", str(other), "-d", option, str(tmp_path / "missing" / "file"))
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "can't be written: No such file or directory" in done.stderr
