"""`manage.py live`: what it starts, once, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.examples.django_comments import MANAGE, Visitor, comments_site, live, password_of, processes, run
from tests.examples.support import Example, is_open
from tests.process.support import Foreground, Place, is_alive, until

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")


@pytest.fixture(scope="module")
def site(place: Place) -> Example:
    """With a database and its users."""
    site = comments_site(place)
    made = run(site, "from comments.management.commands.live import Command; Command().prepare()")
    assert password_of(made.stdout)
    return site


@pytest.fixture(scope="class")
def running(site: Example) -> Iterator[Foreground]:
    """Ends by Ctrl-C, with the end of the tests that share it."""
    running = live(site)
    assert len(of(site, "cluster.py")) == len(of(site, "runserver")) == 1
    yield running
    leaves_nothing(site, running, ctrl_c, 0)


def leaves_nothing(site: Example, running: Foreground, how: Callable[[Foreground], None], code: int) -> None:
    """End it, and see that all that it had started ends."""
    started = processes(site.place)
    assert len(started) == 6  # live, runserver, and of the cluster a supervisor with three processes
    how(running)
    assert running.ends() == code
    are_gone(site, started)
    until(lambda: not any(is_open(port) for port in site.ports.values()))
    assert "The users" not in running.out.read_text()  # they are there since the first start


def are_gone(site: Example, started: Iterable[int]) -> None:
    """Wait until these have ended, and whatever they have started meanwhile."""
    until(lambda: not any(map(is_alive, started)))
    until(lambda: not processes(site.place))


def of(site: Example, part: str) -> set[int]:
    return {pid for pid, command in processes(site.place).items() if part in command}


def ctrl_c(running: Foreground) -> None:
    running.press_ctrl_c()


def terminate(running: Foreground) -> None:
    os.kill(running.pid, signal.SIGTERM)


def kill(running: Foreground) -> None:
    os.kill(running.pid, signal.SIGKILL)


@pytest.mark.parametrize(("how", "code"), [(terminate, 0), (kill, -9)])
def test_it_leaves_no_process_behind(site: Example, how: Callable[[Foreground], None], code: int) -> None:
    running = live(site)
    leaves_nothing(site, running, how, code)
    assert "Traceback" not in running.err.read_text()


def test_it_ends_with_one_signal_while_it_starts(site: Example) -> None:
    starting = site.start(MANAGE, "live")
    started = until(lambda: of(site, "cluster.py"))
    terminate(starting)
    starting.ends()
    are_gone(site, started)


def change(path: Path, text: str, is_noticed: Callable[[], object]) -> None:
    """Write a file again until the reloader, which may not watch it yet, has noticed."""
    path.write_text(text)
    for _ in range(10):
        try:
            until(is_noticed, 2)
            return
        except AssertionError:
            path.touch()
    until(is_noticed)


def serves(site: Example) -> bool:
    with contextlib.suppress(OSError):
        return Visitor(site.url(8000)).get("/")[0] == 200
    return False


def test_it_ends_where_the_cluster_does(site: Example) -> None:
    running = live(site)
    started = processes(site.place)
    (cluster,) = of(site, "cluster.py")
    os.kill(cluster, signal.SIGKILL)
    assert running.ends() == 1
    assert "CommandError: the cluster has ended: it says why above\n" in running.err.read_text()
    are_gone(site, started)


class TestWhileItRuns:
    def test_a_reload_of_the_site_leaves_the_cluster_alone(self, site: Example, running: Foreground) -> None:
        server, cluster = of(site, "runserver"), of(site, "_child") | of(site, "cluster.py")
        views = site.folder / "comments" / "views.py"
        code = views.read_text()

        change(views, "this is no Python\n", lambda: "SyntaxError" in running.err.read_text())
        change(views, code + "\n\ndef later(request: HttpRequest) -> HttpResponse:\n    return HttpResponse()\n",
               lambda: serves(site) and of(site, "runserver") - server)  # fmt: skip
        until(lambda: serves(site) and len(of(site, "runserver")) == 1)  # it may be under way once more
        assert of(site, "_child") | of(site, "cluster.py") == cluster

    def test_a_second_one_says_what_is_wrong_and_the_first_goes_on(self, site: Example, running: Foreground) -> None:
        second = site.start(MANAGE, "live", "1")
        assert second.ends() == 1
        assert "running already" in second.err.read_text()
        assert "CommandError: the cluster has ended" in second.err.read_text()
        assert Visitor(site.url(8000)).get("/")[0] == 200
