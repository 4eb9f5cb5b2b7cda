"""The quick way of reading and writing sessions: it gives what the thorough one gives, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.wire.support import keys, scalars, texts, values
from tidegate.wire import flat, php

names = st.text("abz:_é", min_size=1, max_size=6)
plain = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text("ab:;{}éß0", max_size=8)
pieces = st.sampled_from(
    b'a:1:{s:1:"k";i:5;} a:2:{i:0;N;s:2:"kk";b:1;} s:1:"k"; s:3:"a";s"; i:5; i:-0; i:007; N; b:0; d:0.5; a:0:{} a:1:{ '
    b'a:01:{ a:2:{ } s:01:"k"; s:1:"7"; " ; x'.split(b" ")
)


def thorough(read: Callable[[bytes], Any], data: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is read without the quick way; the error's class where it can't be."""
    with monkeypatch.context() as patch:
        for name in ("loads", "split"):
            patch.setattr(flat, name, lambda _: None)
        patch.setattr(flat, "loads_from", lambda *_: None)
        try:
            return read(data)
        except php.PHPValueError:
            return php.PHPValueError


def check_reading(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for quick, read in ((flat.loads, php.loads_array), (flat.split, php.split_array)):
            found = quick(data)
            if found is not None:
                assert repr(found) == repr(thorough(read, data, monkeypatch))
        for start, before, after in ((2, b"xx", b"y"), (9, b"a:1:{i:0;", b"}")):
            inside = flat.loads_from(before + data + after, start)
            if inside is not None:
                own = (data + after)[: inside[1] - start]
                assert repr(inside[0]) == repr(thorough(php.loads_array, own, monkeypatch))
        nested = b'a:2:{s:1:"k";%si:0;%s}' % (data, data)
        try:
            read_at_once: Any = php.loads(nested)
        except php.PHPValueError:
            read_at_once = php.PHPValueError
        assert repr(read_at_once) == repr(thorough(php.loads, nested, monkeypatch))


@given(st.dictionaries(names, plain, max_size=6))
def test_a_usual_session_goes_the_quick_way(session: dict[str, Any]) -> None:
    items = flat.dumps_items(session)
    assert items == {php.dumps_key(key): php.dumps(value) for key, value in session.items()}
    data = php.dumps(session)
    assert flat.split(data) == items
    assert repr(flat.loads(data)) == repr(session)
    assert repr(flat.loads_from(b"--" + data + b"-", 2)) == repr((session, 2 + len(data)))


@given(st.dictionaries(keys | st.binary(max_size=4), values(), max_size=5))
def test_the_quick_way_writes_what_the_thorough_one_does(session: dict[Any, Any]) -> None:
    items = flat.dumps_items(session)
    assert items is None or items == {php.dumps_key(key): php.dumps(value) for key, value in session.items()}


@pytest.mark.parametrize("session", [{"k": 2**63}, {"k": "\ud800"}, {"\ud800": 1}, {"7": 1}, {"k": 0.5}, {"k": [1]}])
def test_what_is_not_usual_is_left_to_the_thorough_way(session: dict[Any, Any]) -> None:
    assert flat.dumps_items(session) is None


@given(st.dictionaries(keys, scalars | values(), max_size=5))
def test_the_quick_way_reads_what_the_thorough_one_does(session: dict[Any, Any]) -> None:
    check_reading(php.dumps(session))


@given(st.dictionaries(names | texts, plain, min_size=1, max_size=4), st.data())
def test_with_a_byte_changed_both_ways_agree(session: dict[str, Any], data: st.DataObject) -> None:
    changed = bytearray(php.dumps(session))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] = data.draw(st.sampled_from(b'0123456789:;"{}-+ _isaNb\xc3') | st.integers(0, 255))
    check_reading(bytes(changed))


@given(st.lists(pieces, max_size=8).map(b"".join))
@example(b'a:1:{s:5:"k";i:1;";i:2;}')
@example(b'a:1:{s:1:"k";s:3:"a";";}')
@example(b'a:2:{s:1:"k";i:1;s:1:"k";i:2;}')
@example(b'a:1:{s:2:"k";i:1;}')
@example(b'a:1:{s:1:"k";i:1;}}')
@example(b'a:1:{xs:1:"k";i:1;}')
@example(b'a:1:{s:1:"k";i:1;x}')
@example(b'a:1:{s:1:"\xff";s:1:"\xff";}')
@example(b"a:1:{i:1;i:007;}")
@example(b"a:0:x")
def test_on_bytes_that_look_like_a_session_both_ways_agree(data: bytes) -> None:
    check_reading(data)


def test_arrays_are_nested_as_deep_in_the_quick_way_as_in_the_thorough_one() -> None:
    deep = b"a:1:{i:0;" * php.MAX_DEPTH
    assert php.loads(deep[9:] + b"a:0:{}" + b"}" * (php.MAX_DEPTH - 1)) is not None
    with pytest.raises(php.PHPValueError, match="nested deeper"):
        php.loads(deep + b"a:0:{}" + b"}" * php.MAX_DEPTH)


def test_what_is_long_is_left_to_the_thorough_way() -> None:
    assert flat.split(b"a:1:{%s}" % (b"i:1;N;" * 10_000)) is None
    assert flat.loads(b"a:1:{%s}" % (b"i:1;N;" * 10_000)) is None
