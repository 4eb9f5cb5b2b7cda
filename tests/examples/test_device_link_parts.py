"""What devices speak, log in with and are remembered by, without a cluster."""

from __future__ import annotations

import hmac
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.device_link import keys
from examples.device_link.packets import MAX_PAYLOAD, Kind, Packets
from examples.device_link.store import Store
from tidegate.errors import ProtocolError

TOKEN = "5a" * 32

switches = st.builds(
    lambda kind, on: {"type": kind, "on": on}, st.sampled_from(["welcome", "switch", "state"]), st.booleans()
)
logins = st.builds(
    lambda name, token: {"type": "login", "device": name, "token": token.hex()},
    st.text(min_size=1, max_size=30),
    st.binary(min_size=32, max_size=32),
)
errors = st.builds(lambda text: {"type": "error", "message": text}, st.text(max_size=60))
messages = st.one_of(switches, logins, errors, st.just({"type": "beat"}))


def packet(kind: str = "state", **fields: Any) -> bytes:
    return Packets().encode(json.dumps({"type": kind, **(fields or {"on": True})}))


def read(reads: list[bytes]) -> tuple[list[dict[str, Any]], str | None]:
    """What comes of a stream: the messages, and why it ended, where it did."""
    codec, heard = Packets(), []
    try:
        for data in reads:
            for message in codec.feed(data):
                heard.append(json.loads(message))
    except ProtocolError as error:
        return heard, error.reason
    return heard, None


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[start:end] for start, end in zip([0, *at], [*at, len(stream)], strict=True)]


@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 2000), max_size=12))
def test_packets_are_read_as_written_however_they_are_split(sent: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(Packets().encode(json.dumps(message)) for message in sent)
    assert read(split(stream, cuts)) == (sent, None)
    assert read([stream[at : at + 1] for at in range(len(stream))]) == (sent, None)


@given(messages, st.integers(0), st.lists(st.integers(0, 2000), max_size=6))
def test_a_bit_that_was_changed_on_the_way_is_noticed(message: dict[str, Any], bit: int, cuts: list[int]) -> None:
    good = Packets().encode(json.dumps(message))
    bad = bytearray(good)
    bad[bit // 8 % len(bad)] ^= 1 << bit % 8
    more = packet() * 40  # so that also a length that has grown is reached
    heard, reason = read(split(good + bytes(bad) + more, cuts))
    assert heard == [message]
    assert reason is not None


@given(st.binary(min_size=10, max_size=60), st.lists(st.integers(0, 2000), max_size=6))
def test_what_is_no_packet_is_refused_and_nothing_else_happens(data: bytes, cuts: list[int]) -> None:
    if not data.startswith(b"TD"):
        heard, reason = read(split(data, cuts))
        assert heard == []
        assert reason is not None
        assert reason.startswith("a packet begins with b'TD'")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("5444 02 04 0001 00000000", "packets have version 1 here, not 2"),
        ("5444 01 04 0101 00000000", f"a payload of 257 bytes, over the {MAX_PAYLOAD} that it may have"),
        ("5444 01 05 0000 00000000", "a packet of 10 bytes whose checksum is wrong"),
    ],
)
def test_a_mistake_in_the_header_is_named(header: str, reason: str) -> None:
    assert read([bytes.fromhex(header)]) == ([], reason)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [(Kind.STATE, b"\x02"), (Kind.STATE, b""), (Kind.BEAT, b"x"), (Kind.LOGIN, b"x" * 32), (99, b"")],
)
def test_a_payload_that_the_kind_cannot_have_is_named(
    kind: int, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examples.device_link.packets.write", lambda fields: (kind, payload))
    heard, reason = read([Packets().encode("{}")])
    assert heard == []
    assert reason == f"a packet of kind {int(kind)} does not have a payload of {len(payload)} bytes like this one"


def test_the_packet_of_a_message_is_what_its_description_says() -> None:
    assert packet("login", device="lamp", token=TOKEN)[10:] == b"\x5a" * 32 + b"lamp"
    assert packet("state", on=True).hex(" ") == "54 44 01 04 00 01 02 21 e5 90 01"
    assert len(packet("error", message="ä" * 1000)) == 10 + MAX_PAYLOAD
    with pytest.raises(ValueError, match="there is no packet for"):
        packet("state", on=1)


# Keys


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("DEVICE_KEY", raising=False)
    monkeypatch.setattr(keys, "KEY_FILE", tmp_path / "key")
    keys.key.cache_clear()
    yield tmp_path / "key"
    keys.key.cache_clear()


def test_each_device_has_a_token_of_its_own(key_file: Path) -> None:
    lamp, heater = keys.token_of("lamp"), keys.token_of("heater")
    assert keys.is_token_of("lamp", lamp)
    assert not keys.is_token_of("heater", lamp)
    assert not keys.is_token_of("lamp", heater)
    assert not keys.is_token_of("lamp", "")
    assert not keys.is_token_of("lamp", "\ud800ä")


def test_a_key_is_made_once_for_its_owner_alone(key_file: Path) -> None:
    token = keys.token_of("lamp")
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert len(key_file.read_text()) >= 40
    assert [path.name for path in key_file.parent.iterdir()] == ["key"]
    keys.key.cache_clear()
    assert keys.token_of("lamp") == token


def test_processes_that_start_at_the_same_time_have_one_key(key_file: Path) -> None:
    program = f"import sys, pathlib; sys.path.insert(0, {str(Path(keys.__file__).parent)!r}); import keys; "
    program += f"keys.KEY_FILE = pathlib.Path({str(key_file)!r}); print(keys.token_of('lamp'))"
    started = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({each.communicate(timeout=30)[0] for each in started}) == 1


def test_a_key_from_the_environment_makes_no_file_and_has_to_be_long(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_KEY", "a key of some length")
    keys.token_of("lamp")
    assert not key_file.exists()
    keys.key.cache_clear()
    monkeypatch.setenv("DEVICE_KEY", "short")
    with pytest.raises(ValueError, match="16 characters or more"):
        keys.token_of("lamp")


def test_the_command_gives_a_devices_token() -> None:
    key = "a key of some length"
    done = subprocess.run(
        [sys.executable, keys.__file__, "lamp"], env={**os.environ, "DEVICE_KEY": key}, capture_output=True, text=True
    )
    assert done.stdout.strip() == hmac.digest(key.encode(), b"lamp", "sha256").hex()


# What is remembered


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "devices.sqlite3")
    store.prepare()
    store.prepare()
    return store


def test_a_device_that_returns_is_as_it_was_switched(store: Store) -> None:
    assert not store.came("lamp", "first").is_on
    store.switched("lamp", "first", True)
    gone = store.left("lamp", "first")
    assert gone is not None
    assert not gone.shown()["online"]
    assert gone.is_on
    back = store.came("lamp", "second")
    assert back.is_on
    assert back.shown()["online"]


def test_an_old_connection_changes_nothing(store: Store) -> None:
    store.came("lamp", "first")
    now = store.came("lamp", "second")
    assert store.switched("lamp", "first", True) is None
    assert store.heard("lamp", "first") is None
    assert store.left("lamp", "first") is None
    assert store.get("lamp") == now


def test_each_change_has_a_higher_version(store: Store) -> None:
    changes = [
        store.came("lamp", "first"),
        store.heard("lamp", "first"),
        store.switched("lamp", "first", True),
        store.left("lamp", "first"),
        store.came("lamp", "second"),
    ]
    assert [change.version for change in changes if change] == [1, 2, 3, 4, 5]


def test_devices_are_listed_by_name(store: Store) -> None:
    assert store.all() == []
    assert store.get("lamp") is None
    store.came("lamp", "1")
    store.came("heater", "2")
    assert [device.id for device in store.all()] == ["heater", "lamp"]
