"""The client of the folder `js` in a browser or in Node, and the docs' cluster and site that it connects to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Protocol

from tests.docs.support import blocks
from tests.ports import free_port
from tests.process.support import Foreground, Place, until
from tidegate import GatewayClient

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "js"
DOCS = ROOT / "docs" / "browser-client.md"
NODE = shutil.which("node")
WHERE_NODE_IS = "needs Node 18 or newer: apt install nodejs"

TAKING = """

@business.on_message
def take(client, message):
    with open("pings" if "ping" in message else "pongs" if "pong" in message else "taken", "a") as file:
        file.write(message + "\\n")
    if message == '{"type":"ping"}':
        client.send('{"type":"pong"}')
"""

WATCHING = """
globalThis.log = { readies: 0, ids: [], news: [], steady: 0, offline: 0, refused: 0 };
if (client.clientId !== null) log.ids.push(client.clientId); // it was quicker than this
if (client.state === "ready") log.readies++;
client.on("ready", () => { log.readies++; });
client.on("init", (id) => { log.ids.push(id); });
client.on("message", (data) => { log.news.push(data); });
client.on("close", () => { client.send(`offline ${++log.offline}`); });
client.on("drop", () => { log.refused++; });
globalThis.talking = setInterval(() => client.send(`steady ${++log.steady}`), 25);
0
"""


class Peer(Protocol):
    """Where a client runs."""

    def do(self, script: str) -> Any:
        """Carry out a line of JavaScript; gives its value."""


class Node:
    """A process of Node."""

    def __init__(self) -> None:
        assert NODE is not None
        self._process = subprocess.Popen(
            [NODE, Path(__file__).with_name("peer.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, script: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(script) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"Node has ended at {script}"
        return json.loads(answer)

    def stop(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            assert self._process.wait(20) == 0


class Site:
    """The docs' cluster and site, on ports that are free."""

    _app: Foreground

    def __init__(self, place: Place, gateway: str = "") -> None:
        self._place = place
        self._page, self.port, self._register = (free_port() for _ in range(3))
        self.url = f"http://127.0.0.1:{self._page}"
        place.environment |= {"TIDEGATE_CLUSTER": self.cluster, "TIDEGATE_START_PORT": str(free_port())}
        (code,) = blocks(DOCS, "python")
        place.write(self._here(code.replace('0.0.0.0:7272"', f'127.0.0.1:7272"{gateway}')) + TAKING)
        shutil.copy(PACKAGE / "browser" / "tidegate-client.js", place.folder)
        self.start()

    def _here(self, text: str) -> str:
        for port, ours in (("7272", self.port), ("8000", self._page), ("1236", self._register)):
            text = text.replace(port, str(ours))
        return text

    @property
    def cluster(self) -> str:
        return f"127.0.0.1:{self._register}"

    def start(self) -> None:
        self._app = self._place.start().ready()

    def stop(self) -> None:
        self._app.press_ctrl_c()
        assert self._app.ends() == 0

    def signal_gateway(self, number: signal.Signals) -> None:
        """Tell the gateway's process something that it can't refuse."""
        (row,) = (row for row in self._place.processes() if row["kind"] == "Gateway")
        os.kill(row["pid"], number)

    def taken(self, name: str = "taken") -> list[str]:
        """The messages that the worker has had since `forget`; "pings" and "pongs" have what asks and what answers."""
        path = self._place.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def forget(self) -> None:
        """Begin a test, also where the one before ended with the app stopped."""
        if self._app.process.poll() is not None:
            self.start()
        for name in ("taken", "pings", "pongs"):
            (self._place.folder / name).unlink(missing_ok=True)

    def set_in_page(self, options: str) -> None:
        """Change the docs' page, which has no options but `bind` and `ask`."""
        (page,) = blocks(DOCS, "html")
        self._place.write(self._here(page.replace("ask:", f"{options} ask:")), "page.html")


class Tried:
    """A client that talks all the time, while what it is connected to ends and comes back."""

    def __init__(self, site: Site, peer: Peer) -> None:
        self._site, self._peer = site, peer
        self._pushed: list[str] = []
        peer.do(WATCHING)
        self._bound_after(0)

    def restart(self, times: int) -> None:
        """Kill the gateway so often, each time once everything is well again."""
        for _ in range(times):
            readies = self._readies()
            self._site.signal_gateway(signal.SIGKILL)
            self._bound_after(readies + 1)

    def stay_away(self) -> None:
        """Stop everything, and start it while the client is trying to reach it."""
        readies = self._readies()
        self._site.stop()
        until(lambda: self._peer.do("client.state === 'waiting'"))
        assert self._peer.do("client.send('while nobody was there')")
        self._site.start()
        self._bound_after(readies + 1)

    def _readies(self) -> int:
        return int(self._peer.do("log.readies"))

    def _bound_after(self, readies: int) -> None:
        """Wait until it has been ready so often and what waited has arrived; then a push reaches it by its uid."""
        until(lambda: self._peer.do(f"client.state === 'ready' && log.readies >= {readies}"))
        until(lambda: self._waited() <= set(self._site.taken()))
        self._pushed.append(f"push {len(self._pushed)}")
        with GatewayClient(self._site.cluster) as gateway:
            gateway.send_to_uid("kim", self._pushed[-1])
        until(lambda: self._pushed[-1] in self._peer.do("log.news"))

    def _waited(self) -> set[str]:
        """What the client was given to send whenever it had no connection."""
        return {f"offline {number}" for number in range(1, int(self._peer.do("log.offline")) + 1)}

    def nothing_went_wrong(self, connections: int) -> None:
        """Check what was said on both sides, over so many connections."""
        self._peer.do("clearInterval(talking); client.send('last')")
        until(lambda: "last" in self._site.taken())
        log, taken = self._peer.do("log"), self._site.taken()
        assert len(taken) == len(set(taken)), "something was sent twice"
        steady = [int(line.split()[1]) for line in taken if line.startswith("steady")]
        assert steady == sorted(steady)
        assert self._waited() <= set(taken)
        assert log["news"] == self._pushed
        assert len(set(log["ids"])) == len(log["ids"]), "an id was given twice"
        assert len(log["ids"]) >= connections
        assert log["refused"] == 0
