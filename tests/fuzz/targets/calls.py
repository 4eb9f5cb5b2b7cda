"""The push API over HTTP: queries and JSON that say what is to be done, up to the packets that do it."""

from __future__ import annotations

import json
from typing import Any

from tests.fuzz.source import Source
from tests.fuzz.target import Target
from tidegate.client import calls
from tidegate.http.kinds import to_json
from tidegate.http.message import Refusal
from tidegate.http.methods import METHODS, Method
from tidegate.http.query import read_call
from tidegate.wire import php
from tidegate.wire.php import PHPValueError
from tidegate.wire.register_line import Addresses

__all__ = ["TARGETS"]

ADDRESSES = Addresses(("127.0.0.1:2900", "10.0.0.1:2900"), frozenset(("10.0.0.1:2900",)))
NAMES = sorted(METHODS)
PACKERS: dict[str, Any] = {name: getattr(calls, name) for name in NAMES if hasattr(calls, name)}


def pack(method: Method, arguments: dict[str, Any], limit: int) -> None:
    """Make packets of arguments that were found to be right: together they may be too much, and nothing else."""
    packer = PACKERS.get(method.name)
    if packer is None:
        return
    try:
        packets = packer(**arguments).packets(ADDRESSES, limit)
    except ValueError as error:
        assert "over the limit" in str(error) or "longest" in str(error), error
        return
    assert all(28 <= len(packet) <= limit for _, packet in packets)


def run_query(data: bytes) -> None:
    """Any query is a call or refused."""
    try:
        method, arguments = read_call(data)
    except Refusal as refusal:
        assert 400 <= refusal.status < 500
        assert len(refusal.response().body) < 5000
        return
    pack(method, arguments, 10_485_760)


def run_json(data: bytes) -> None:
    """Any JSON is a call or refused."""
    source = Source(data)
    method, limit = METHODS[source.choose(NAMES)], source.choose((10_485_760, 28, 100, 300))
    try:
        value = json.loads(source.rest().decode())
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict):
        return
    try:
        arguments = method.read(value)
    except Refusal as refusal:
        assert refusal.status == 422
        refusal.response()
        return
    pack(method, arguments, limit)


def run_results(data: bytes) -> None:
    """Whatever a gateway's answer says can be told in JSON."""
    try:
        value = php.loads(data)
    except PHPValueError:
        return
    json.loads(json.dumps(to_json(value), allow_nan=False))


def queries() -> list[bytes]:
    return [
        b"method=sendToAll&args[]=hello",
        b"method=sendToAll&args[]=hello&args[1][]=7f0000010b5400000001&args[]=&args[]=true",
        b"method=send_to_group&args[group]=1&args[message]=%E7%9B%B4",
        b"method=setSession&args[]=7f0000010b5400000001&args[1][a][b]=1",
        b"method=batchGetClientIdByUid&args[0][]=a&args[0][]=b",
    ]


def bodies() -> list[bytes]:
    samples: dict[str, Any] = {
        "client_id": "7f0000010b5400000001",
        "client_ids": ["7f0000010b5400000001"],
        "exclude": "7f0000010b5400000001",
        "message": {"base64": "aGVsbG8="},
        "session": {"a": {"b": [1, None, 0.5, {"base64": "/w=="}]}},
        "uid": 7,
        "group": "g",
        "raw": True,
    }
    found = []
    for number, name in enumerate(NAMES):
        known = METHODS[name].parameters
        arguments = {parameter: samples.get(parameter, ["a", 7]) for parameter in known}
        found.append(b"%c\0" % number + json.dumps(arguments).encode())
    return found


def serialized() -> list[bytes]:
    return [b'a:2:{i:0;d:INF;s:1:"\xff";s:1:"\xfe";}', b"a:1:{i:5;a:1:{i:0;N;}}"]


TARGETS = (
    Target("http-query", run_query, queries),
    Target("http-json", run_json, bodies),
    Target("http-results", run_results, serialized),
)
