"""The client in Node, with a gateway that ends and comes back, falls silent, or asks for signs of life."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.js.support import NODE, WHERE_NODE_IS, Node, Site, Tried
from tests.process.support import Place, until

pytestmark = pytest.mark.skipif(NODE is None, reason=WHERE_NODE_IS)


HEARTBEAT = """, ping_interval=0.25, ping_not_response_limit=2, ping_data='{"type":"ping"}'"""


@pytest.fixture(scope="module")
def started(place: Place) -> Site:
    return Site(place, HEARTBEAT)


@pytest.fixture
def site(started: Site) -> Site:
    started.forget()
    return started


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.stop()


def connect(node: Node, site: Site, options: str = "") -> None:
    """Make the client, which is bound by the site."""
    node.do(f"""
        globalThis.client = new TidegateClient("ws://127.0.0.1:{site.port}", {{
          WebSocket: WebSocketClass,
          minPause: 50,
          bind: (client_id, {{ signal }}) =>
            fetch("{site.url}/bind", {{ method: "POST", body: JSON.stringify({{ client_id }}), signal }}),
          {options}
        }});
        globalThis.closes = 0;
        client.on("close", () => {{ closes++; }});
        0
    """)


def test_it_is_bound_again_whenever_a_gateway_comes_back_and_sends_nothing_twice(site: Site, node: Node) -> None:
    connect(node, site)
    tried = Tried(site, node)
    tried.restart(times=2)
    tried.stay_away()
    tried.restart(times=1)
    tried.nothing_went_wrong(connections=5)


def test_it_leaves_a_gateway_that_hangs_and_is_back_when_it_goes_on(site: Site, node: Node) -> None:
    connect(node, site, """ask: '{"type":"ping"}', silence: 200, patience: 600, connectTimeout: 1000""")
    until(lambda: node.do("client.state") == "ready")
    site.signal_gateway(signal.SIGSTOP)
    try:
        until(lambda: node.do("closes"))
        assert node.do("client.send('later')")
    finally:
        site.signal_gateway(signal.SIGCONT)
    until(lambda: site.taken() == ["later"])
    closes, asked = node.do("closes"), len(site.taken("pings"))
    until(lambda: len(site.taken("pings")) >= asked + 3)  # of which two were answered before it asked again
    assert node.do("closes") == closes


def test_it_answers_a_gateway_that_asks_with_messages(site: Site, node: Node) -> None:
    connect(node, site)
    until(lambda: len(site.taken("pongs")) >= 4)  # in which it would have been closed long ago
    assert node.do("[client.state, closes]") == ["ready", 0]
