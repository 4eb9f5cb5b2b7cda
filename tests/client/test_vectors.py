"""What GatewayWorker's push client was recorded to send and to make of answers, call by call."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.support import VECTORS, Client, ScriptedGateway, ScriptedRegister, until
from tidegate.client import calls
from tidegate.client.call import Call
from tidegate.wire.register_line import Addresses

PLAIN, WITH_SECRET = "gateway_client.json", "gateway_client_with_secret.json"
RECORDED = "7f0000010b86"
"""The gateway's part of the recorded client ids."""
RAW = {"\ufffd\x03raw": b"\x81\x03raw", "\ufffd\x07raw one": b"\x81\x07raw one"}
"""Bytes that JSON could not hold."""
OTHER_NAMES = {
    "destoryClient": "destroy_client",
    "getAllClientIdCount": "get_all_client_count",
    "getClientIdCountByGroup": "get_client_count_by_group",
}


def load(file: str) -> list[dict[str, Any]]:
    return list(json.loads((VECTORS / file).read_text())["steps"])


def name_of(step: dict[str, Any]) -> str:
    """The method's name here."""
    return OTHER_NAMES.get(step["call"]) or re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), step["call"])


def arguments_of(step: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    args = list(step["args"])
    if len(args) == 4:  # the last one says that the message is raw
        return [RAW.get(arg, arg) if isinstance(arg, str) else arg for arg in args[:3]], {"raw": args[3]}
    return args, {}


def result_of(step: dict[str, Any]) -> Any:
    """The recorded result in the shapes of this API."""
    result, name = step["result"], name_of(step)
    if "reply" not in step:
        return None
    if name in ("is_online", "is_uid_online"):
        return bool(result)
    if name == "is_uids_online":
        return {uid: bool(online) for uid, online in result.items()}
    if name in ("get_all_group_uid_list", "get_all_group_client_id_list"):
        return {group: list(members) for group, members in result.items()}
    if "session" in name:
        empty_as_dict = {key: value or {} for key, value in result.items()} if "sessions" in name and result else result
        return empty_as_dict or ({} if result == [] else None)
    if name.endswith(("_id_list", "uid_list", "_by_group")) and isinstance(result, dict):
        return list(result) if "batch" not in name else result
    return result


@pytest.mark.parametrize("step", load(PLAIN), ids=lambda step: step["call"])
def test_each_recorded_call_gives_the_recorded_request_and_result(step: dict[str, Any]) -> None:
    args, options = arguments_of(step)
    call: Call[Any] = getattr(calls, name_of(step))(*args, **options)
    packets = call.packets(Addresses(("127.0.0.1:2950",)))
    assert [(address, packet.hex()) for address, packet in packets] == [("127.0.0.1:2950", step["request"])]
    assert call.is_query == ("reply" in step)
    assert call.needs_addresses == ("register_request" in step)
    if call.is_query:
        result = call.merge([("127.0.0.1:2950", bytes.fromhex(step["reply"])[4:])])
        assert result == result_of(step)
        assert type(result) is type(result_of(step))


def moved(value: Any, prefix: str) -> Any:
    """With the client ids of a gateway on another port."""
    return json.loads(json.dumps(value).replace(RECORDED, prefix))


def has_read(gateway: ScriptedGateway, size: int) -> bool:
    return len(gateway.received) >= size


@pytest.mark.parametrize(("file", "secret"), [(PLAIN, ""), (WITH_SECRET, "s3cret")])
def test_the_recorded_bytes_are_what_a_gateway_reads(make: Callable[..., Client], file: str, secret: str) -> None:
    replies: list[bytes] = []
    with ScriptedGateway(lambda packet: replies.pop(0)) as gateway, ScriptedRegister(gateway.address) as register:
        client = make(register.address, secret_key=secret)
        prefix = gateway.client_id()[:12]
        hello = 51 if secret else 0  # PHP's client says it before each command, this one once on a connection
        for at, step in enumerate(load(file)):
            request = bytes.fromhex(step["request"])[hello if at else 0 :]
            args, options = arguments_of(step)
            replies[:] = [bytes.fromhex(step["reply"])] if "reply" in step else []
            gateway.received.clear()
            result = getattr(client, name_of(step))(*moved(args, prefix) if not options else args, **options)
            assert result == moved(result_of(step), prefix)
            until(functools.partial(has_read, gateway, len(request)))
            assert bytes(gateway.received) == request
        assert gateway.accepted == 1
        assert set(register.lines) == {load(file)[5]["register_request"].encode()}
