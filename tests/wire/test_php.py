"""PHP's serialized values: as PHP wrote them, and what is not taken."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.support import keys, texts, values, vectors
from tidegate.wire import php

RECORDED = vectors("php_serialize")


def as_php_has_it(value: Any) -> Any:
    """What a value is once PHP has had it: keys that are integers, lists where they are 0, 1, 2 …, text where it is."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, list):
        return [as_php_has_it(item) for item in value]
    if isinstance(value, dict):
        array = {php.loads(php.dumps_key(key)): as_php_has_it(item) for key, item in value.items()}
        return list(array.values()) if list(array) == list(range(len(array))) else array
    return value


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1, 1.0 and True are three things, as are 0.0 and -0.0."""
    return repr(one) == repr(other)


@pytest.mark.parametrize("recorded", RECORDED["values"], ids=lambda recorded: recorded["json"])
def test_a_value_is_written_and_read_as_php_does(recorded: dict[str, str]) -> None:
    value, serialized = json.loads(recorded["json"]), bytes.fromhex(recorded["serialized_hex"])
    assert php.dumps(value) == serialized
    assert same(php.loads(serialized), as_php_has_it(value))


@pytest.mark.parametrize("recorded", RECORDED["malformed"], ids=lambda recorded: recorded["hex"][:40])
def test_what_is_malformed_is_refused_also_where_php_takes_it(recorded: dict[str, str]) -> None:
    data = bytes.fromhex(recorded["hex"])
    for read in (php.loads, php.loads_array, php.split_array, php.split_tree):
        with pytest.raises(php.PHPValueError):
            read(data)


@given(values())
def test_what_is_written_is_read_again(value: Any) -> None:
    data = php.dumps(value)
    assert same(php.loads(data), as_php_has_it(value))
    assert php.dumps(php.loads(data)) == data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.inf, "INF"),
        (-math.inf, "-INF"),
        (math.nan, "NAN"),
        (-0.0, "-0"),
        (0.0001, "0.0001"),
        (0.00001, "1.0E-5"),
        (1e16, "10000000000000000"),
        (1e17, "1.0E+17"),
        (123456789012345680.0, "1.2345678901234568E+17"),
        (12345678901234568.0, "12345678901234568"),
        (-1.5e300, "-1.5E+300"),
    ],
)
def test_floats_have_phps_form(value: float, text: str) -> None:
    assert php.dumps(value) == f"d:{text};".encode()
    assert same(php.loads(f"d:{text};".encode()), value)


def is_value_or_error(data: bytes) -> None:
    try:
        value = php.loads(data)
    except php.PHPValueError:
        return
    php.loads(php.dumps(value))


@given(st.binary(max_size=60) | st.text('abOrRNsid:0123456789.-+E;{}"', max_size=60).map(str.encode))
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    is_value_or_error(data)


@given(values(), st.data())
def test_a_value_with_a_byte_changed_is_a_value_or_an_error(value: Any, data: st.DataObject) -> None:
    serialized = bytearray(php.dumps(value))
    serialized[data.draw(st.integers(0, len(serialized) - 1))] = data.draw(st.integers(0, 255))
    is_value_or_error(bytes(serialized))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def test_arrays_may_lie_64_deep_in_one_another_and_no_deeper() -> None:
    data = php.dumps(nested(64))
    assert php.loads(data) == nested(64)
    assert php.join_tree(php.split_tree(data)) == php.join_array(php.split_array(data)) == data
    with pytest.raises(TypeError, match="nested deeper than 64"):
        php.dumps(nested(65))
    deeper = b'a:1:{s:1:"a";%s}' % data
    for read in (php.loads, php.loads_array, php.split_array, php.split_tree):
        with pytest.raises(php.PHPValueError, match="nested deeper than 64"):
            read(deeper)
    with pytest.raises(php.PHPValueError, match="nested deeper than 64"):
        php.loads(b"a:1:{i:0;" * 1_000_000)


@pytest.mark.parametrize("count", [b"2", b"9999999999", b"99999999999", b"-1", b"+1", b""])
def test_an_array_that_says_it_has_more_than_it_has_is_refused_at_once(count: bytes) -> None:
    with pytest.raises(php.PHPValueError):
        php.loads(b"a:%s:{i:0;N;}" % count)


@pytest.mark.parametrize("length", [b"2", b"4", b"9999999999", b"99999999999", b"-1"])
def test_a_string_that_does_not_end_where_it_says_is_refused(length: bytes) -> None:
    with pytest.raises(php.PHPValueError):
        php.loads(b's:%s:"abc";' % length)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_integers_have_64_bits(number: int) -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        php.dumps([number])
    with pytest.raises(OverflowError, match="64 bits"):
        php.dumps_key(number)
    with pytest.raises(php.PHPValueError):
        php.loads(b"i:%d;" % number)
    nearest = number - (1 if number > 0 else -1)
    assert php.loads(php.dumps(nearest)) == nearest


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, {(): 1}, {None: 1}, {0.5: 1}, "\ud800", {"\ud800": 1}])
def test_what_php_has_no_value_for_is_an_error_at_the_caller(value: Any) -> None:
    with pytest.raises(TypeError):
        php.dumps(value)


@pytest.mark.parametrize(
    ("key", "serialized"),
    [
        ("7", b"i:7;"),
        ("-5", b"i:-5;"),
        ("0", b"i:0;"),
        (b"7", b"i:7;"),
        (True, b"i:1;"),
        ("9223372036854775807", b"i:9223372036854775807;"),
        ("-9223372036854775808", b"i:-9223372036854775808;"),
        ("9223372036854775808", b's:19:"9223372036854775808";'),
        ("-0", b's:2:"-0";'),
        ("01", b's:2:"01";'),
        ("1.5", b's:3:"1.5";'),
        ("+1", b's:2:"+1";'),
        ("7\n", b's:2:"7\n";'),
        ("٧", 's:2:"٧";'.encode()),
        ("", b's:0:"";'),
        (b"\xff", b's:1:"\xff";'),
    ],
)
def test_a_key_is_an_integer_where_it_is_one_as_php_writes_it(key: Any, serialized: bytes) -> None:
    assert php.dumps_key(key) == serialized


def test_a_key_that_a_peer_wrote_as_text_is_an_integer_all_the_same() -> None:
    data = b'a:2:{s:1:"0";s:1:"a";s:1:"1";s:1:"b";}'
    assert php.loads(data) == ["a", "b"]
    assert php.loads_array(data) == {0: "a", 1: "b"}
    assert php.join_array(php.split_array(data)) == b'a:2:{i:0;s:1:"a";i:1;s:1:"b";}'


@given(st.dictionaries(keys, values(), max_size=5))
def test_an_array_taken_apart_and_put_together_is_the_same(array: dict[Any, Any]) -> None:
    data = php.dumps(array)
    assert php.join_array(php.split_array(data)) == data
    assert php.join_tree(php.split_tree(data)) == data
    assert same(
        php.loads_array(data),
        {php.loads(php.dumps_key(key)): php.loads(php.dumps(item)) for key, item in array.items()},
    )


@given(st.lists(st.tuples(texts, st.integers(0, 3)), max_size=6))
def test_of_a_key_that_comes_twice_the_last_value_counts(items: list[tuple[str, int]]) -> None:
    body = b"".join(php.dumps_key(key) + php.dumps(value) for key, value in items)
    data = b"a:%d:{%s}" % (len(items), body)
    expected = {php.loads(php.dumps_key(key)): value for key, value in items}
    assert php.loads_array(data) == expected
    assert php.loads_array(php.join_array(php.split_array(data))) == expected
    assert php.loads_array(php.join_tree(php.split_tree(data))) == expected


@pytest.mark.parametrize("data", [b"i:1;", b"N;", b's:1:"a";', b"", b"a", b'O:8:"stdClass":0:{}'])
def test_a_value_that_is_no_array_is_refused_where_one_is_expected(data: bytes) -> None:
    for read in (php.loads_array, php.split_array, php.split_tree):
        with pytest.raises(php.PHPValueError):
            read(data)


def test_objects_and_references_are_named_in_the_error() -> None:
    for data in (b'O:8:"stdClass":0:{}', b'a:1:{i:0;O:1:"A":0:{}}', b'C:3:"Foo":0:{}', b'E:3:"A:B";'):
        with pytest.raises(php.PHPValueError, match="object at byte"):
            php.loads(data)
    for data in (b"r:1;", b"a:1:{i:0;R:1;}"):
        with pytest.raises(php.PHPValueError, match="reference at byte"):
            php.loads(data)
