"""Query strings, read as PHP reads them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire import php
from tidegate.wire.query_string import parse_str


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "2"}),
        ("a", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("=1&&[]=2&[a]=3&+=4", {}),
        ("a+b=c+d", {"a_b": "c d"}),
        ("++a=1", {"a": "1"}),
        ("a.b=1&a%20c=2&a.d[e.f]=3", {"a_b": "1", "a_c": "2", "a_d": {"e.f": "3"}}),
        ("%E7%9B%B4=%E6%92%AD", {"直": "播"}),
        ("a=%zz%4", {"a": "%zz%4"}),
        ("a=%ff", {"a": b"\xff"}),
        ("a%00b=1", {"a": "1"}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[]=1&a[7]=2&a[]=3", {"a": {0: "1", 7: "2", 8: "3"}}),
        ("a[01]=1&a[]=2", {"a": {"01": "1", 0: "2"}}),
        ("a[x]=1&a[y]=2", {"a": {"x": "1", "y": "2"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=1&a=2", {"a": "2"}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b.c d[e=1", {"a_b_c_d_e": "1"}),
        ("a[b][c=1", {"a": {"b": "1"}}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("a[b]c[d]=1", {"a": {"b": "1"}}),
        ("a]=1", {"a]": "1"}),
        ("a[ ]=1&a[ b]=2", {"a": {0: "1", " b": "2"}}),
        ("0=a&7=b", {0: "a", 7: "b"}),
    ],
)
def test_a_query_is_read_as_php_reads_it(query: str, expected: dict[Any, Any]) -> None:
    assert php.loads_array(php.dumps(parse_str(query.encode()))) == expected


@given(st.text(alphabet="a[]=&.+ %0b1", max_size=60))
def test_any_query_makes_a_value_that_can_be_sent(query: str) -> None:
    php.loads_array(php.dumps({"get": parse_str(query.encode())}))


def test_a_variable_nested_too_deep_is_left_out_and_the_others_are_there() -> None:
    body = php.dumps({"get": parse_str(b"a%b=1&c%b=2&d=3" % (b"[x]" * 62, b"[x]" * 63))})
    assert list(php.loads_array(body)["get"]) == ["a", "d"]


def test_a_query_of_thousands_of_variables_takes_no_time() -> None:
    begun = time.monotonic()
    (values,) = parse_str(b"&".join([b"a[]"] * 4000)).values()
    assert len(values) == 1000  # max_input_vars
    assert time.monotonic() - begun < 0.5
