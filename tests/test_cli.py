"""What the command line says: tables, and errors of one line that say what to do."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.ports import free_port
from tests.process.support import Place, echo
from tidegate import cli, tables


@pytest.fixture
def place(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Its commands are those of the test's own process too."""
    monkeypatch.setenv("TIDEGATE_RUN_DIR", str(place.run_folder))
    monkeypatch.chdir(tmp_path)
    return place


def error(*arguments: str) -> str:
    """Carry out a command in this process; gives the one line of its error."""
    result = CliRunner().invoke(cli.main, arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("tidegate: ").rstrip()


def start_error(place: Place, *arguments: str) -> str:
    """The same for what is found out by the processes."""
    done = place.run("start", *(arguments or ("app.py",)))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("tidegate: ").rstrip()


def test_the_help_names_every_command() -> None:
    result = CliRunner().invoke(cli.main, ["--help"])
    assert result.exit_code == 0
    for command in ("start", "stop", "restart", "reload", "status", "connections", "push-server", "send"):
        assert f"\n  {command} " in result.stdout


def test_the_version_is_shown() -> None:
    assert "version" in CliRunner().invoke(cli.main, ["--version"]).stdout


@pytest.mark.parametrize("command", ["stop", "restart", "reload", "status", "connections"])
def test_where_nothing_runs_there_is_nothing_to_command(place: Place, command: str) -> None:
    assert error(command) == "no app is running"
    assert error(command, "--app", "app") == "app is not running"


def test_a_file_that_is_missing(place: Place) -> None:
    assert error("start", "app.py") == "there is no file app.py"
    assert error("start", "some-app") == (
        "'some-app' is neither a file such as app.py nor a module such as package.module"
    )


def test_a_configuration_file_that_is_missing_or_wrong(place: Place) -> None:
    place.write(echo())
    path = place.folder / "c.toml"
    assert error("start", "app.py", "--config", "c.toml") == f"there is no configuration file {path}"
    path.write_text("count =")
    assert error("start", "app.py", "--config", "c.toml").startswith(f"the configuration file {path} is no TOML: ")
    path.write_text("coutn = 2")
    assert error("start", "app.py", "--config", "c.toml").startswith(f"{path}: there is no setting 'coutn'; there are ")


def test_a_setting_with_a_wrong_value(place: Place) -> None:
    place.write(echo().replace("count=1", "count=None"))
    place.write("[worker.echo]\ncount = 2024-01-01\n", "c.toml")
    assert start_error(place, "app.py", "--config", "c.toml") == (
        "count in [worker.echo] is '2024-01-01': it takes a whole number above 0"
    )
    place.environment["TIDEGATE_COUNT"] = "many"
    assert start_error(place) == "TIDEGATE_COUNT is 'many': it takes a whole number above 0"


def test_a_port_in_use(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"text://127.0.0.1:{taken.getsockname()[1]}"
        place.write(echo().replace("text://127.0.0.1:0", address))
        message = f"can't listen on {address}: it is in use. Stop what listens there, or choose another port"
        assert start_error(place) == message
        done = place.run("start", "app.py", "-d")
    assert (done.returncode, done.stderr) == (1, f"tidegate: {message}\n")
    assert not list(place.run_folder.glob("*.sock"))


def test_a_port_in_use_that_a_worker_opens_besides(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"text://127.0.0.1:{taken.getsockname()[1]}"
        place.write(
            echo(
                count=2,
                more=f"@worker.on_worker_start\nasync def start(worker):\n    await Worker({address!r}).listen()\n",
            )
        )
        assert start_error(place).startswith(f"can't listen on {address}: it is in use.")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ws://127.0.0.1:1", "the address 'ws://127.0.0.1:1' begins with ws://: write websocket://"),
        ("127.0.0.1:1", "the address '127.0.0.1:1' has no protocol: write it like 'websocket://0.0.0.0:7272'"),
        ("text://198.51.100.1:9999", "198.51.100.1 is no address of this machine. Use 0.0.0.0 for all that it has"),
    ],
)
def test_a_bad_address(place: Place, address: str, message: str) -> None:
    place.write(echo().replace("text://127.0.0.1:0", address))
    assert message in start_error(place)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("two.py", "two.py: there are several Apps, say which: app, other"),
        ("two.py:third", "two.py:third: there is no App of that name"),
        ("missing_package.live", "there is no module missing_package"),
    ],
)
def test_an_app_that_is_not_there(place: Place, target: str, message: str) -> None:
    place.write(echo() + "other = App(Worker(name='other'))\n", "two.py")
    assert start_error(place, target).endswith(message)


def test_an_unknown_command_is_an_error_of_usage() -> None:
    assert CliRunner().invoke(cli.main, ["dance"]).exit_code == 2


def test_a_limit_of_no_connections_at_all_is_an_error_of_usage(place: Place) -> None:
    done = place.run("connections", "--limit", "0")
    assert (done.returncode, "0 is not in the range x>=1" in done.stderr) == (2, True)


def test_watching_without_watchfiles_says_what_to_install(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(echo())
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert error("start", "app.py", "--watch") == "--watch needs watchfiles: pip install 'tidegate[watch]'"


def test_a_folder_for_control_sockets_that_can_not_be_had(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_RUN_DIR", "/dev/null/x")
    assert error("status").endswith("must be a short path, yours, and not writable by others. Set TIDEGATE_RUN_DIR")


def test_the_push_servers_options_are_checked_before_anything_starts(place: Place) -> None:
    done = place.run("push-server", "--listen", "ws://127.0.0.1:1", "--inner", f"text://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "write websocket://" in done.stderr
    assert "Traceback" not in done.stderr


def row(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "pid": 7, "role": "chat#0", "state": "running", "listen": ["text://0.0.0.0:1", "udp://0.0.0.0:2"],
        "memory": 30_250_000, "connections": 2, "messages_in": 3, "messages_out": 4, "rate": 5.4, "send_failures": 6,
        "uptime": 93_784.0, "exits": {"-9": 2, "1": 1},
    }  # fmt: skip
    return {**base, **changes}


def test_the_status_table_shows_every_process(capsys: pytest.CaptureFixture[str]) -> None:
    gone = dict.fromkeys(("pid", "memory", "connections", "messages_in", "messages_out", "rate", "send_failures"))
    rows = [row(), row(uptime=3_725.0, exits={}, listen=[]), row(**gone, state="restarting", listen=[], uptime=None)]
    tables.status({"app": "[red]chat", "target": "/srv/app.py", "pid": 1, "processes": rows})
    title, _, *lines = capsys.readouterr().out.splitlines()
    assert title.strip() == "[red]chat (/srv/app.py), supervisor 1"  # no markup
    assert [" ".join(line.split()) for line in lines] == [
        "7 chat#0 running text://0.0.0.0:1 udp://0.0.0.0:2 30.2 MB 2 3 4 5 6 1d 2h -9×2 1×1",
        "7 chat#0 running - 30.2 MB 2 3 4 5 6 1:02:05 -",
        "- chat#0 restarting - - - - - - - - -9×2 1×1",
    ]


def test_the_table_of_connections_says_how_many_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {"pid": 7, "worker": "chat", "id": 9, "remote": "[::1]:5", "listen": "x", "idle": 3, "queued": 0}
    tables.connections({"total": 5, "rows": [shown, {**shown, "idle": None, "listen": ""}]})
    title, _, *lines = capsys.readouterr().out.splitlines()
    assert title.strip() == "5 connections, 2 shown"
    assert [line.split() for line in lines] == [
        ["7", "chat", "9", "[::1]:5", "x", "3", "s", "0"],
        ["7", "chat", "9", "[::1]:5", "-", "0"],
    ]


def test_the_announcement_has_a_line_for_each_worker(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"name": "chat", "kind": "Worker", "count": 2, "listen": ["text://0.0.0.0:1", "text://0.0.0.0:2"]},
        {"name": "timers", "kind": "Worker", "count": 1, "listen": []},
    ]
    tables.announce("app", rows)
    _, _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["chat", "Worker", "2", "text://0.0.0.0:1", "text://0.0.0.0:2"],
        ["timers", "Worker", "1", "-"],
    ]
