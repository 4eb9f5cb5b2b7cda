"""An app, and being the program that runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.process.support import Foreground, Place, ask_once, echo
from tidegate import App, Worker
from tidegate.errors import ConfigurationError
from tidegate.process.member import Member

RUN = "app.run()\n"
GUARDED = 'if __name__ == "__main__":\n    app.run()\n'


def test_an_app_consists_of_workers_with_a_name_each() -> None:
    members = (Worker("text://0.0.0.0:7001"), Worker("text://0.0.0.0:7002", name="chat", count=2), Worker())
    app = App(*members)
    assert app.members == members
    assert [(row["name"], row["count"]) for row in app.describe({"count": 3})["workers"]] == [
        ("text-7001", 3),
        ("chat", 2),
        ("worker", 3),
    ]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "an App needs at least one worker"),
        (["text://0.0.0.0:1"], "an App takes workers, not 'text://0.0.0.0:1'"),
        ([Worker(), Worker()], "two workers are called 'worker': give one a name="),
    ],
)
def test_what_is_no_app_is_refused(members: list[Worker], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        App(*members)
    assert str(raised.value) == message


class Inner(Worker):
    """Has ports of its own, and wants to know with whom it runs."""

    def inner_ports(self, config: Mapping[str, Any]) -> range:
        return range(self.start_port, self.start_port + self.settings(config).count)

    def joined(self, members: Sequence[Member]) -> None:
        self.others = [member.name for member in members if member is not self]


def inner(name: str, start_port: int, count: int | None = None) -> Inner:
    member = Inner("text://127.0.0.1:0", name=name, count=count)
    member.start_port = start_port
    return member


def test_two_members_that_need_the_same_inner_port_are_no_app() -> None:
    App(inner("a", 2900, 2), inner("b", 2902, 2)).describe({})
    app = App(inner("a", 2900), inner("b", 2901))
    assert len(app.describe({})["workers"]) == 2
    with pytest.raises(ConfigurationError) as raised:
        app.describe({"count": 2})
    assert str(raised.value) == (
        "gateways 'a' and 'b' both need the inner port 2901: give one of them another start_port="
    )


def test_a_member_learns_with_whom_it_runs() -> None:
    member = inner("a", 2900)
    App(Worker(name="b"), member, Worker(name="c"))
    assert member.others == ["b", "c"]


def test_the_apps_own_file_takes_the_commands(place: Place) -> None:
    place.write(echo("v1", count=2, more=RUN))
    app = Foreground(place, [sys.executable, "app.py", "start"]).ready()
    assert ask_once(place.port()).startswith("v1 ")
    status = place.python("app.py", "status")
    assert status.stdout.count("echo#") == 2, status.stderr
    assert str(app.pid) in place.do("status", "--app", "app.py")  # the same app for either way
    place.write(echo("v2", count=1, more=RUN))
    assert "1 process replaced, 1 ended" in place.python("app.py", "reload").stdout
    assert ask_once(place.port()).startswith("v2 ")
    assert place.python("app.py", "stop", "-g").returncode == 0
    assert app.ends() == 0
    assert place.python("app.py", "status").stderr.endswith("app.py is not running\n")


def test_without_a_command_it_says_what_there_is(place: Place) -> None:
    place.write(echo(more=RUN))
    for arguments in ((), ("--help",)):
        done = place.python("app.py", *arguments)
        assert done.returncode == 2
        assert done.stderr == "usage: app.py start [-d] [--watch]|stop [-g]|restart|reload|status|connections\n"


def test_of_several_apps_in_a_file_the_one_that_is_run_is_meant(place: Place) -> None:
    place.write(
        echo(more="other = App(Worker('text://127.0.0.1:0', name='other'))\n" + GUARDED.replace("app", "other"))
    )
    done = place.python("app.py", "start", "-d")
    assert done.returncode == 0, done.stderr
    assert place.processes()[0]["role"] == "other#0"
    assert place.status()["target"] == f"{place.folder / 'app.py'}:other"
    assert place.python("app.py", "stop").returncode == 0


@pytest.mark.parametrize("module", ["package.live", "package"])
def test_a_module_is_run_as_python_runs_it(place: Place, module: str) -> None:
    place.write("", "package/__init__.py")
    place.write(echo(more=RUN), "package/__main__.py" if module == "package" else "package/live.py")
    done = place.python("-m", module, "start", "-d")
    assert done.returncode == 0, done.stderr
    assert place.status()["app"] == module.rpartition(".")[2]
    assert ask_once(place.port()).startswith("v1 ")
    assert place.python("-m", module, "stop").returncode == 0


def test_a_program_without_a_file_can_not_be_run(place: Place) -> None:
    code = "from tidegate import App, Worker\nApp(Worker()).run(['status'])"
    done = subprocess.run([sys.executable, "-c", code], env=place.environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "app.run() needs a file that other processes can import" in done.stderr
