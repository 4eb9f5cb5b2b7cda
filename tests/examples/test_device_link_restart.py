"""Devices that fall silent, and what is known of them after the whole app was stopped."""

from __future__ import annotations

import time

import pytest

from tests.examples.support import Example, is_open
from tests.examples.test_device_link import log_in, open_socket, receive, start
from tests.process.support import Place, until


@pytest.fixture(scope="module")
def example(place: Place) -> Example:
    return start(place, HEARTBEAT=0.5, BEAT_SECONDS=0.1)


def test_a_silent_device_is_closed_and_shown_offline(example: Example) -> None:
    with open_socket(example) as page:
        device, _ = log_in(example, "packets", "frozen")
        came = time.monotonic()
        receive(page, "device", id="frozen", online=True)
        assert device.hears() is None
        assert time.monotonic() - came > 0.5
        receive(page, "device", id="frozen", online=False)
        receive(page, "device", id="heater", online=True)  # one that speaks is heard, and stays


def test_a_device_that_did_not_return_after_a_restart_is_offline_and_as_it_was(example: Example) -> None:
    with open_socket(example) as page:
        device, _ = log_in(example, "frames", "fan")
        device.say("state", on=True)
        receive(page, "device", id="fan", on=True)
    app = example.place.started[-1]
    app.process.kill()  # nobody can note who was connected
    app.ends()
    until(lambda: not any(map(is_open, example.ports.values())))  # its processes end by themselves
    example.set(HEARTBEAT=600)
    example.start().ready()
    with open_socket(example) as page:
        (fan,) = [each for each in receive(page, "devices")["devices"] if each["id"] == "fan"]
        assert fan["on"]
        assert not fan["online"]
        receive(page, "device", id="lamp", online=True)
    device.hang_up()
