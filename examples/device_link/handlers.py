"""What is done with what devices and pages say.

What is known of a device has three places: that it is here is its uid in the cluster; which device a connection is
stands in that connection's session; how it was switched last has to outlive the connection, and is in a small database.
So it does not matter which of the business processes handles what.

    device → server   login (device, token), state (on), beat
    server → device   welcome (on: as it was last), switch (on), beat, error (message)
    page → server     switch (device, on), ping
    server → page     devices (all of them), device (one that has changed), error (message), pong
"""

import json
import logging
import re
from pathlib import Path
from typing import Any

from keys import is_token_of
from store import Device, Store

from tidegate import BusinessWorker, Client
from tidegate.errors import ClusterError
from tidegate.protocols import Handshake

__all__ = ["PAGE_PORT", "business"]

PAGE_PORT = 7272
PAGES = "pages"  # the group of those that are shown the devices
ORIGINS = ("http://127.0.0.1:8000", "http://localhost:8000")
DEVICE_NAME = re.compile("[a-z0-9][a-z0-9-]{0,31}")

logger = logging.getLogger("tidegate.device_link")
store = Store(Path(__file__).with_name("devices.sqlite3"))
business = BusinessWorker(count=2, threads=4)  # threads: handlers wait for the database and for answers


class RefusedError(Exception):
    """What somebody sent is not carried out; they are told why."""


# Everybody


@business.on_worker_start
def prepare(_: BusinessWorker) -> None:
    store.prepare()


@business.on_message
def receive(client: Client, message: str | bytes) -> None:
    is_page = client.gateway_port == PAGE_PORT  # by the door, which nobody can lie about
    try:
        (receive_from_page if is_page else receive_from_device)(client, read(message))
    except RefusedError as error:
        answer = pack("error", message=str(error))
    except ClusterError as error:
        logger.warning("client %s: %s", client.id, error)
        answer = pack("error", message="A part of the cluster does not answer: try again.")
    else:
        return
    if is_page:
        client.send(answer)
    else:
        client.close(answer)  # it comes back, and logs in anew


@business.on_close
def leave(client: Client) -> None:
    if "device" in client.session:
        note_gone(client.session["device"], client.id)


def read(message: str | bytes) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RefusedError("A JSON object is expected.")
    return fields


def pack(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def uid_of(device: str) -> str:
    return f"device:{device}"


# Devices


def receive_from_device(client: Client, fields: dict[str, Any]) -> None:
    device = client.session.get("device")
    if device is None:
        log_in(client, fields)
        return
    match fields:
        case {"type": "beat"}:
            client.send(pack("beat"))
            tell(store.heard(device, client.id))
        case {"type": "state", "on": bool(on)}:
            tell(store.switched(device, client.id, on))
        case _:
            raise RefusedError("A device says beat or state.")


def log_in(client: Client, fields: dict[str, Any]) -> None:
    match fields:
        case {"type": "login", "device": str(device), "token": str(token)} if DEVICE_NAME.fullmatch(device):
            if not is_token_of(device, token):
                logger.warning("%s tried to log in as device %s, with a wrong token", client.remote_ip, device)
                raise RefusedError("That is not this device's token.")
        case _:
            raise RefusedError("A device logs in first, by its name and its token.")
    client.bind_uid(uid_of(device))
    # The answer comes when it is bound. A connection of before is one that nobody has seen break yet.
    for other in business.sync.get_client_id_by_uid(uid_of(device)):
        if other != client.id:
            business.close_client(other)
    client.session["device"] = device
    known = store.came(device, client.id)
    client.send(pack("welcome", on=known.is_on))
    tell(known)


def note_gone(device: str, connection: str) -> Device | None:
    """Show that a device is offline, unless it has another connection by now."""
    gone = store.left(device, connection)
    tell(gone)
    return gone


def tell(device: Device | None) -> None:
    """Show pages what has changed; nothing has where an old connection had something to say."""
    if device is not None:
        business.send_to_group(PAGES, pack("device", device=device.shown()))


# Pages


@business.on_websocket_connect
def open_page(client: Client, handshake: Handshake) -> None:
    # A page of any site that its reader has open could connect here: the browser says whose page it is.
    if handshake.headers.get("origin") not in ORIGINS:
        client.close()
        return
    client.session["is_page"] = True
    client.join_group(PAGES)
    try:
        devices = known_devices()
    except ClusterError as error:
        logger.warning("client %s: %s", client.id, error)
        client.close()  # it comes back by itself
    else:
        client.send(pack("devices", devices=[device.shown() for device in devices]))


def known_devices() -> list[Device]:
    devices: list[Device] = store.all()
    here = business.sync.batch_get_client_id_by_uid([uid_of(device.id) for device in devices]) if devices else {}
    for number, device in enumerate(devices):
        # When the whole cluster is stopped nobody is left to note who goes.
        if device.connection is not None and device.connection not in here[uid_of(device.id)]:
            devices[number] = note_gone(device.id, device.connection) or device
    return devices


def receive_from_page(client: Client, fields: dict[str, Any]) -> None:
    if "is_page" not in client.session:
        return  # it is being closed
    match fields:
        case {"type": "ping"}:
            client.send(pack("pong"))
        case {"type": "switch", "device": str(device), "on": bool(on)}:
            switch(device, on)
        case _:
            raise RefusedError("A page says switch, with a device and on: true or false.")


def switch(device: str, on: bool) -> None:
    """Tell a device. What pages show changes when it says that it has done so."""
    if not DEVICE_NAME.fullmatch(device) or store.get(device) is None:
        raise RefusedError("There is no such device.")
    if not business.sync.is_uid_online(uid_of(device)):
        raise RefusedError(f"{device} is offline. It can be switched when it is back.")
    business.send_to_uid(uid_of(device), pack("switch", on=on))
