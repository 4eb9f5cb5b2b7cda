"""Devices at two doors and pages beside them: each sees what the other does, and neither can be the other."""

from __future__ import annotations

import hmac
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from examples.device_link.packets import Packets
from tests.browsers import needs_chromium
from tests.clients import client_frame, upgrade_request
from tests.examples.conftest import OpenPage
from tests.examples.reconnecting import until_back, watch_state
from tests.examples.support import Example
from tests.process.support import Place, until
from tidegate.protocols import Frame

PORTS = {8000: 1, 7272: 1, 8283: 1, 8284: 1, 1236: 1, 2900: 1, 2901: 1, 2902: 1}
DOORS = {"frames": 8283, "packets": 8284}
SECONDS = 20

PlugIn = Callable[..., "Device"]


class Device:
    """A device made of a socket, which does nothing by itself."""

    def __init__(self, example: Example, door: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", example.ports[DOORS[door]]), SECONDS)
        self._codec: Any = Packets() if door == "packets" else Frame()
        self._heard: list[dict[str, Any]] = []

    def say(self, kind: str, **fields: Any) -> None:
        self.send(self._codec.encode(json.dumps({"type": kind, **fields})))

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def hears(self) -> dict[str, Any] | None:
        """The next message; None where the connection has ended."""
        while not self._heard:
            try:
                data = self._socket.recv(4096)
            except ConnectionError:
                data = b""
            if not data:
                self.hang_up()
                return None
            self._heard += [json.loads(message) for message in self._codec.feed(memoryview(data))]
        return self._heard.pop(0)

    def hang_up(self) -> None:
        self._socket.close()


def start(place: Place, **changes: float) -> Example:
    """The example with other values of its constants."""
    place.environment.pop("DEVICE_KEY", None)
    example = Example(place, "device_link", PORTS)
    (example.folder / ".device_key").unlink(missing_ok=True)
    example.set(**changes)
    example.start().ready()
    return example


def token_of(example: Example, name: str) -> str:
    key = (example.folder / ".device_key").read_bytes()
    return hmac.digest(key, name.encode(), "sha256").hex()


def log_in(example: Example, door: str, name: str) -> tuple[Device, bool]:
    """A device that has logged in, and how it is to be switched."""
    device = Device(example, door)
    device.say("login", device=name, token=token_of(example, name))
    welcome = device.hears()
    assert welcome is not None
    assert welcome["type"] == "welcome"
    return device, welcome["on"]


def open_socket(example: Example) -> ClientConnection:
    """A page without a browser."""
    return connect(example.url(7272, "ws"), origin=Origin(example.url(8000)))


def receive(page: ClientConnection, kind: str, **fields: Any) -> dict[str, Any]:
    """The next message of a kind about a device, with what it is waited for to say."""
    while True:
        message: dict[str, Any] = json.loads(page.recv(SECONDS))
        device = message.get("device")
        if message["type"] == kind and all(isinstance(device, dict) and device[key] == fields[key] for key in fields):
            return message


@pytest.fixture(scope="module")
def example(place: Place) -> Example:
    return start(place, HEARTBEAT=600)  # what it does is in test_device_link_restart.py


@pytest.fixture
def plug_in(example: Example) -> Iterator[PlugIn]:
    """What connects devices that are unplugged at the end."""
    devices: list[Device] = []

    def plug_in(door: str, name: str | None = None) -> Device:
        devices.append(Device(example, door) if name is None else log_in(example, door, name)[0])
        return devices[-1]

    yield plug_in
    for device in devices:
        device.hang_up()


@pytest.fixture
def page(example: Example) -> Iterator[ClientConnection]:
    with open_socket(example) as page:
        receive(page, "devices")
        yield page


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name, exact=True))


def shows(page: Page, name: str, presence: str, on: bool | None = None) -> None:
    expect(card(page, name).get_by_text(presence, exact=True)).to_be_visible()
    if on is not None:
        expect(page.get_by_role("switch", name=name, exact=True)).to_be_checked(checked=on)


@needs_chromium
def test_a_page_shows_the_devices_of_both_doors_and_switches_them(example: Example, open_page: OpenPage) -> None:
    kitchen, garden = open_page(example.url(8000)), open_page(example.url(8000))
    for name in "lamp", "heater":
        shows(kitchen, name, "online")
        switch = kitchen.get_by_role("switch", name=name)
        was = switch.is_checked()
        for on in not was, was:
            switch.press(" ")
            shows(kitchen, name, "online", on)
            shows(garden, name, "online", on)
    expect(kitchen.get_by_role("status")).to_have_text("Connected")
    expect(card(kitchen, "lamp")).to_contain_text("heard just now")


@needs_chromium
@pytest.mark.parametrize("door", DOORS)
def test_a_device_that_vanishes_and_returns_gets_its_state_back(
    door: str, example: Example, open_page: OpenPage
) -> None:
    name, page = f"fan-{door}", open_page(example.url(8000))
    device, on = log_in(example, door, name)
    assert not on
    shows(page, name, "online", False)
    page.get_by_role("switch", name=name).click()
    assert device.hears() == {"type": "switch", "on": True}
    expect(card(page, name)).to_have_attribute("aria-busy", "true")  # until it says that it has done so
    device.say("state", on=True)
    shows(page, name, "online", True)
    expect(card(page, name)).not_to_have_attribute("aria-busy", "true")
    device.say("beat")
    assert device.hears() == {"type": "beat"}
    device.hang_up()
    shows(page, name, "offline", True)
    page.get_by_role("switch", name=name).click()
    expect(page.get_by_role("alert")).to_have_text(f"{name} is offline. It can be switched when it is back.")
    device, on = log_in(example, door, name)
    assert on
    shows(page, name, "online", True)
    device.hang_up()


@needs_chromium
def test_a_page_and_the_devices_come_back_after_their_gateways_died(example: Example, open_page: OpenPage) -> None:
    page, log = open_page(example.url(8000)), example.place.started[0].err
    shows(page, "heater", "online")
    watch_state(page)
    logins = log.read_text().count("heater: welcome")
    for name in "pages", "packets":
        (pid,) = [row["pid"] for row in example.place.processes() if row["role"] == f"{name}#0"]
        os.kill(pid, signal.SIGKILL)
    until_back(page)
    until(lambda: log.read_text().count("heater: welcome") > logins)
    shows(page, "heater", "online")
    switch = page.get_by_role("switch", name="heater")
    was = switch.is_checked()
    switch.click()
    shows(page, "heater", "online", not was)


@needs_chromium
def test_a_device_that_does_not_answer_is_said_not_to(example: Example, open_page: OpenPage, plug_in: PlugIn) -> None:
    plug_in("frames", "mute")
    page = open_page(example.url(8000))
    page.clock.install()
    page.reload()
    shows(page, "mute", "online", False)
    page.get_by_role("switch", name="mute").click()
    expect(card(page, "mute")).to_have_attribute("aria-busy", "true")
    page.clock.fast_forward(5_000)
    expect(page.get_by_role("alert")).to_have_text("mute has not answered.")
    shows(page, "mute", "online", False)


@pytest.mark.parametrize("more", [[], ["--packets"]])
def test_another_device_made_of_software_is_one_command(
    more: list[str], example: Example, page: ClientConnection
) -> None:
    device = example.start("examples/device_link/device.py", "bell", *more)
    receive(page, "device", id="bell", online=True)
    page.send(json.dumps({"type": "switch", "device": "bell", "on": True}))
    receive(page, "device", id="bell", on=True)
    device.press_ctrl_c()
    assert device.ends() == 0
    receive(page, "device", id="bell", online=False)


@pytest.mark.parametrize("door", DOORS)
def test_a_device_needs_its_own_token(door: str, example: Example, plug_in: PlugIn) -> None:
    for token in token_of(example, "heater"), "00" * 32:
        device = plug_in(door)
        device.say("login", device="lamp", token=token)
        assert device.hears() == {"type": "error", "message": "That is not this device's token."}
        assert device.hears() is None


@pytest.mark.parametrize("name", ["Lamp", "a b", "x" * 33, "<b>", "lämpchen", "../x"])
def test_a_device_has_a_plain_name(name: str, example: Example, plug_in: PlugIn) -> None:
    device = plug_in("frames")
    device.say("login", device=name, token=token_of(example, name))
    answer = device.hears()
    assert answer is not None
    assert answer["message"] == "A device logs in first, by its name and its token."
    assert device.hears() is None


@pytest.mark.parametrize(
    "text", ["{}", "[]", "nonsense", "[" * 500, '{"type": "beat"}', '{"type": "state", "on": true}']
)
def test_who_has_not_logged_in_is_sent_away(text: str, plug_in: PlugIn) -> None:
    device = plug_in("frames")
    device.send(Frame().encode(text))
    answer = device.hears()
    assert answer is not None
    assert answer["type"] == "error"
    assert device.hears() is None


def test_a_device_cannot_do_what_a_page_can(plug_in: PlugIn, page: ClientConnection) -> None:
    other, device = plug_in("packets", "victim"), plug_in("frames", "rogue")
    device.say("switch", device="victim", on=True)
    assert device.hears() == {"type": "error", "message": "A device says beat or state."}
    assert device.hears() is None
    other.say("beat")
    assert other.hears() == {"type": "beat"}  # and was told nothing before


def test_a_page_cannot_do_what_a_device_can(example: Example, page: ClientConnection) -> None:
    message = {"type": "login", "device": "lamp", "token": token_of(example, "lamp")}
    for fields in message, {"type": "state", "on": True}, {"type": "beat"}:
        page.send(json.dumps(fields))
        assert receive(page, "error")["message"] == "A page says switch, with a device and on: true or false."
    with open_socket(example) as other:
        (lamp,) = [each for each in receive(other, "devices")["devices"] if each["id"] == "lamp"]
    assert lamp["online"]


@pytest.mark.parametrize("device", ["nobody", "", "<b>", "x" * 500, "lamp "])
def test_a_device_that_never_was_cannot_be_switched(device: str, page: ClientConnection) -> None:
    page.send(json.dumps({"type": "switch", "device": device, "on": True}))
    assert receive(page, "error")["message"] == "There is no such device."


@pytest.mark.parametrize(
    "fields", [{"device": "lamp"}, {"device": "lamp", "on": 1}, {"device": ["lamp"], "on": True}, {}]
)
def test_a_command_of_another_shape_is_refused(fields: dict[str, Any], page: ClientConnection) -> None:
    page.send(json.dumps({"type": "switch", **fields}))
    assert receive(page, "error")["message"].startswith("A page says switch")
    page.send(b"\xff")
    assert receive(page, "error")["message"] == "A JSON object is expected."
    page.send('{"type":"ping"}')
    receive(page, "pong")


@pytest.mark.parametrize(
    "origin", ["Origin: http://evil.example", "Origin: null", "Origin: http://127.0.0.1:1", "X: y"]
)
def test_a_page_of_another_site_is_told_nothing_and_switches_nothing(
    origin: str, example: Example, plug_in: PlugIn
) -> None:
    device = plug_in("frames", "aim")
    with socket.create_connection(("127.0.0.1", example.ports[7272]), SECONDS) as page:
        command = json.dumps({"type": "switch", "device": "aim", "on": True}).encode()
        page.sendall(upgrade_request("/", origin) + client_frame(0x81, command))
        answer = b""
        while data := page.recv(4096):
            answer += data
            if b"\x88" in answer.partition(b"\r\n\r\n")[2]:
                page.shutdown(socket.SHUT_RDWR)
    assert answer.partition(b"\r\n\r\n")[2] == b"\x88\x02\x03\xe8"  # a goodbye and nothing else
    device.say("beat")
    assert device.hears() == {"type": "beat"}


def test_a_new_connection_of_a_device_takes_the_place_of_the_old(plug_in: PlugIn, page: ClientConnection) -> None:
    old, new = plug_in("frames", "twin"), plug_in("packets", "twin")
    assert old.hears() is None
    new.say("state", on=True)
    seen: list[dict[str, Any]] = []
    while not (seen and seen[-1]["on"]):
        seen.append(receive(page, "device", id="twin")["device"])
    assert all(device["online"] for device in seen)
    new.hang_up()
    receive(page, "device", id="twin", online=False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "a packet begins with b'TD', not with b'GE'"),
        (bytes.fromhex("5444 01 04 0101 00000000"), "a payload of 257 bytes, over the 256 that it may have"),
        (bytes.fromhex("5444 01 04 0001 00000000 01"), "a packet of 11 bytes whose checksum is wrong"),
    ],
)
def test_bad_packets_close_the_connection_and_the_log_says_why(
    data: bytes, reason: str, example: Example, plug_in: PlugIn, page: ClientConnection
) -> None:
    device = plug_in("packets", "broken")
    device.send(Packets().encode('{"type": "state", "on": true}') + data)
    assert device.hears() is None
    receive(page, "device", id="broken", on=True)  # what came before it counts
    receive(page, "device", id="broken", online=False)
    until(lambda: reason in example.place.started[0].err.read_text())


def test_the_page_may_not_be_framed_by_another_site(example: Example) -> None:
    import urllib.request

    with urllib.request.urlopen(example.url(8000)) as response:
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
