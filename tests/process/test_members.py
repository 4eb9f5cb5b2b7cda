"""What a member says of itself in its row of the topology, and what the supervisor makes of it."""

from __future__ import annotations

import os
import signal
import sys

from tests.process.support import Attempts, Lines, Place, ask_once, is_alive, until

NOTING = """
import os
from tidegate import App, Worker
from tidegate.process import context

class Noting(Worker):
    row = {}

    def note(self, what):
        with open("notes", "a") as notes:
            notes.write(f"{self.name} {what}\\n")

    def describe(self, config):
        return {**super().describe(config), **self.row}

    async def listen(self):
        self.note(f"starts {context.current().is_first_start}")
        return await super().listen()

    async def stop(self, **how):
        self.note(f"stops {how['graceful']} {how['reload']} {how['whole']}")
        await super().stop(**how)
        self.note("ended")

    def snapshot(self):
        return {**super().snapshot(), "extra": {"held": 2, "lost": self.id}}

def make(name, address="text://127.0.0.1:0", count=1, version="VERSION", **row):
    worker = Noting(address, name=name, count=count)
    worker.row = row
    worker.on_message = lambda connection, message: connection.send(f"{version} {os.getpid()} {message}")
    return worker
"""


def notes(place: Place) -> list[str]:
    path = place.folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def write(place: Place, members: str, version: str = "v1") -> None:
    place.write(NOTING.replace("VERSION", version) + f"app = App({members})\n")


def test_a_process_learns_why_it_starts_and_why_it_stops(place: Place) -> None:
    write(place, "make('a')")
    app = place.start().ready()
    (pid,) = place.pids()
    os.kill(pid, signal.SIGKILL)
    until(lambda: len(notes(place)) == 2)
    place.port_when_running()
    place.reload()
    place.command("stop", graceful=True)
    assert app.ends() == 0
    assert notes(place) == [
        "a starts True",
        "a starts False",
        "a starts False",
        "a stops True True False",
        "a ended",
        "a stops True False True",
        "a ended",
    ]


def test_an_app_stops_stage_by_stage(place: Place) -> None:
    write(place, "make('c', stage=2), make('b', stage=1), make('a')")
    app = place.start().ready()
    (place.folder / "notes").unlink()
    place.command("stop", graceful=True)
    assert app.ends() == 0
    assert notes(place) == [f"{name} {what}" for name in "abc" for what in ("stops True False True", "ended")]


def test_a_stage_that_does_not_end_leaves_time_for_the_others(place: Place) -> None:
    place.write(
        NOTING
        + """
import time
stuck = make("stuck")
stuck.on_worker_stop = lambda worker: time.sleep(60)
app = App(stuck, make("later", stage=1))
"""
    )
    # It is killed a second late, having been given 0.2 seconds of the 2.5.
    changes = "from tidegate.process import supervisor\nsupervisor.STOP_SECONDS, slots.LATER_SHARE = 2.5, 0.52"
    app = place.hurry(changes).ready()
    place.command("stop")
    assert app.ends() == 0
    assert notes(place)[-3:] == ["stuck stops False False True", "later stops False False True", "later ended"]


def test_what_can_not_overlap_ends_before_its_successor_starts(place: Place) -> None:
    write(place, "make('a', count=2, overlap=False), make('b')")
    place.start().ready()
    (place.folder / "notes").unlink()
    port = place.port()
    with Attempts(port) as attempts:
        attempts.served()
        write(place, "make('a', count=2, overlap=False), make('b')", "v2")
        assert place.reload() == "3 processes replaced"
        attempts.served()
    assert not attempts.failures
    one = ["a stops True True False", "a ended", "a starts False"]
    assert notes(place) == [*one, *one, "b starts False", "b stops True True False", "b ended"]
    assert ask_once(port).startswith("v2 ")
    assert [row["exits"] for row in place.processes()] == [{"0": 1}] * 3


def test_a_place_whose_successor_fails_is_filled_again(place: Place) -> None:
    write(place, "make('a', overlap=False), make('b')")
    place.start().ready()
    port, (_, other) = place.port(), place.pids()
    with Lines(port) as client:
        client.ask("x")
        more = """
@app.members[0].on_worker_start
def start(worker):
    if not os.path.exists("repaired"):
        raise RuntimeError("not yet")
"""
        place.write(NOTING.replace("VERSION", "v2") + "app = App(make('a', overlap=False), make('b'))\n" + more)
        assert place.refused("reload") == "RuntimeError: not yet (0 replaced before it, the others go on)"
        assert client.read() == ""
    with Lines(port) as client:  # waits with the supervisor
        place.write("", "repaired")
        assert client.ask("x").startswith("v2 ")
    rows = place.processes()
    assert rows[1]["pid"] == other
    assert rows[0]["state"] == "running"


def test_what_only_some_count_is_in_status_for_programs(place: Place) -> None:
    write(place, "make('a', count=2)")
    place.start().ready()
    assert [row["extra"] for row in place.processes()] == [{"held": 2, "lost": 0}, {"held": 2, "lost": 1}]
    assert "held" not in place.do("status")


# An entry point as tidegate.__main__ is one, which knows a kind that can be made of settings.
ENTRY = """
import os, sys
from tidegate import App, Worker
from tidegate.process import child

def from_settings(row):
    worker = Worker(row["listen"], name=row["name"], send_buffer_limit=row["settings"]["limit"])
    worker.on_message = lambda connection, message: connection.send(f"{row['settings']} {'app' in sys.modules}")
    return worker

sys.exit(child.main(int(sys.argv[1]), App, {"Made": from_settings}))
"""

MADE = """
from tidegate import App, Worker

class Made(Worker):
    def describe(self, config):
        return {**super().describe(config), "reloadable": False, "settings": {"limit": LIMIT}}

app = App(Made("text://127.0.0.1:0", name="made"), Worker("text://127.0.0.1:0", name="other"))
"""


def test_a_member_with_settings_is_made_of_them_without_the_users_code(place: Place) -> None:
    entry = place.write(ENTRY, "entry.py")
    # Only the children are other ones: the supervisor runs as ever, and executes the entry above.
    place.write(
        f"""
import runpy, sys
from tidegate.process import slots
slots.command = lambda what, fd, title: [sys.executable, "-P", {str(entry)!r}, str(fd)]
sys.argv[0] = "tidegate"
runpy.run_module("tidegate", run_name="__main__")
""",
        "supervise.py",
    )
    place.write(MADE.replace("LIMIT", "1000"))
    place.launch(sys.executable, "supervise.py", "start", "app.py").ready()
    port = place.port()
    assert ask_once(port) == "{'limit': 1000} False"
    place.write(MADE.replace("LIMIT", "2000"))
    assert place.reload() == "1 process replaced"
    assert ask_once(port) == "{'limit': 1000} False"
    (pid, _) = place.pids()
    os.kill(pid, signal.SIGKILL)  # the next is of the topology that was read last
    assert ask_once(place.port_when_running()) == "{'limit': 2000} False"
    place.write("1/0")
    assert "ZeroDivisionError" in place.refused("reload")
    (pid, other) = place.pids()
    os.kill(pid, signal.SIGKILL)  # and needs none of the user's code, be it broken
    assert ask_once(place.port_when_running()) == "{'limit': 2000} False"
    assert is_alive(other)


def test_a_kind_that_nobody_makes_of_settings_is_looked_for_in_the_users_code(place: Place) -> None:
    place.write(MADE.replace("LIMIT", "1000") + "app.members[0].on_message = lambda c, message: c.send('imported')\n")
    place.start().ready()
    assert ask_once(place.port()) == "imported"
