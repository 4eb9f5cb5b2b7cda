"""docs/several-machines.md: its programs as they run on its machines, each with a loopback address in its place."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import Browser
from tests.docs.support import DOCS, ROOT, blocks, files, run
from tests.gateway.clients import counted
from tests.gateway.support import gateway
from tests.ports import free_port, free_ports
from tests.process.support import Foreground, Place, until
from tidegate import AsyncGatewayClient, ClusterTLS, Gateway, Register
from tidegate.errors import AddressError, ClusterError

PAGE = DOCS / "several-machines.md"
SECRET = "s3cret"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is this machine's own on Linux alone")


class Machines:
    """The page's machines; 10.0.0.5, 6 and 7 are 127.0.0.1, 2 and 3."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: list[Place] = []
        self.register = free_port()
        self.doors = free_port()
        self._inner = free_ports(2)
        self._here = {
            "10.0.0.5:1236": f"127.0.0.1:{self.register}",
            "10.0.0.6": "127.0.0.2",
            "10.0.0.7": "127.0.0.3",
            "the same long random text everywhere": SECRET,
        }

    def read(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text

    def start(self, name: str, *, ip: str = "", count: int = 2, **settings: str) -> Foreground:
        """Start a program as on a machine of its own, with so many processes."""
        folder = self._folder / f"{name}{len(self._places)}"
        folder.mkdir()
        place = Place(folder)
        self._places.append(place)
        written = blocks(PAGE, "ini")[:2]
        everywhere, gateways_alone = (dict(re.findall(r"(\w+)=(.*)", self.read(text))) for text in written)
        place.environment |= everywhere | {"TIDEGATE_START_PORT": str(self._inner)}
        if ip:
            assert list(gateways_alone) == ["TIDEGATE_LAN_IP"]
            place.environment["TIDEGATE_LAN_IP"] = ip
        place.environment |= settings
        # The machines are one: each can't have all addresses for itself.
        text = self.read(files(PAGE)[name]).replace("0.0.0.0:7272", f"{ip}:{self.doors}")
        place.write(re.sub(r"count=\d", f"count={count}", text), name)
        return place.start(name)

    def workers_gateways(self) -> list[int]:
        (place,) = (place for place in self._places if (place.folder / "chat.py").exists())
        return [row["extra"]["gateways"] for row in place.processes() if row["extra"]]

    def clear(self) -> None:
        for place in self._places:
            place.clear()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path)
    yield machines
    machines.clear()


def cut_power(machine: Foreground) -> None:
    os.killpg(machine.pid, signal.SIGKILL)
    machine.process.wait(10)


def test_they_find_each_other_in_any_order_and_each_may_fail(machines: Machines) -> None:
    chat = machines.start("chat.py", count=1)
    doors = [machines.start("doors.py", ip="127.0.0.2"), machines.start("doors.py", ip="127.0.0.3", count=1)]
    meeting = machines.start("meeting.py")
    for app in (chat, meeting, *doors):
        app.ready()
    until(lambda: machines.workers_gateways() == [3])

    async def test() -> None:
        kim, lee = [await Browser.connect(machines.doors, host=ip) for ip in ("127.0.0.2", "127.0.0.3")]
        kim.send("hello")
        assert [await each.receive() for each in (kim, lee)] == ["hello"] * 2
        async with AsyncGatewayClient(f"127.0.0.1:{machines.register}", secret_key=SECRET) as site:
            await site.send_to_all("from the site")
            assert [await each.receive() for each in (kim, lee)] == ["from the site"] * 2
            cut_power(meeting)
            lee.send("still here")
            assert [await each.receive() for each in (kim, lee)] == ["still here"] * 2
            with pytest.raises(ClusterError, match=f"127.0.0.1:{machines.register}"):
                await push_on(site)
            back = Register(f"127.0.0.1:{machines.register}", secret_key=SECRET, settle_seconds=0)
            await back.listen()
            cut_power(doors[1])
            while await lee.receive() is not None:
                pass
            pushing = asyncio.ensure_future(push_again(site))
            while await kim.receive() != "back":
                pass
            pushing.cancel()
            await asyncio.wait({pushing})
        await back.stop(seconds=1)
        for each in (kim, lee):
            await each.close()

    run(test)


async def push_on(site: AsyncGatewayClient) -> None:
    """Until it fails: for a moment the site remembers where the gateways are."""
    while True:
        await site.send_to_all("x")
        await asyncio.sleep(0.05)


async def push_again(site: AsyncGatewayClient) -> None:
    """Until it is ended; it fails while Register is away, and reaches those that have announced themselves since."""
    while True:
        with contextlib.suppress(ClusterError):
            await site.send_to_all("back")
        await asyncio.sleep(0.05)


def test_the_certificates_that_its_commands_make_are_those_of_a_cluster(tmp_path: Path) -> None:
    for commands in blocks(PAGE, "sh"):
        subprocess.run(["sh", "-ec", commands], cwd=tmp_path, check=True, capture_output=True)
    (named,) = re.findall(r"^TIDEGATE_CLUSTER_SSL=(.*)$", PAGE.read_text(), re.M)
    tls = ClusterTLS(*(str(tmp_path / Path(path).name) for path in named.split(",")))

    async def test() -> None:
        async with gateway(secret_key=SECRET, cluster_ssl=tls, register_ssl=tls) as place:
            site = AsyncGatewayClient(f"127.0.0.1:{place.register}", secret_key=SECRET, cluster_ssl=tls)
            async with site:
                assert await site.get_all_client_count() == 0
            assert counted(place)["refused_links"] == 0

    run(test)


def test_a_lan_ip_that_the_machine_does_not_have_is_an_error_that_says_so() -> None:
    async def test() -> None:
        with pytest.raises(AddressError, match=r"10\.255\.255\.1 is no address of this machine"):
            await Gateway("websocket://127.0.0.1:0", lan_ip="10.255.255.1").listen()

    run(test)


def test_the_log_has_the_words_that_the_page_explains() -> None:
    (table,) = re.findall(r"^\| the log says .*\n\|.*\n((?:\|.*\n)+)", PAGE.read_text(), re.M)
    source = " ".join(path.read_text() for path in (ROOT / "src" / "tidegate").rglob("*.py"))
    quoted = re.findall(r"`([^`]+)`", re.sub(r"(?m)(?<=\|)[^|]*\|$", "", table))
    assert len(quoted) == 7
    for words in (words.strip(" :") for each in quoted for words in re.split(r"…|:? ?[\d.]{7,}(?::\d+)?", each)):
        assert words in source or words in os.strerror(errno.ECONNREFUSED), words
