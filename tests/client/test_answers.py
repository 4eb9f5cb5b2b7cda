"""What is made of answers: of several gateways, in PHP's shapes, and of what is no answer."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.client import calls
from tidegate.client.answer_reader import AnswerReader
from tidegate.client.call import Call
from tidegate.errors import ClusterError
from tidegate.wire import php

ONE, TWO = "127.0.0.1:2900", "127.0.0.1:2901"
A, B = "7f0000010b5400000001", "7f0000010b5500000001"


def merged(call: Call[Any], *values: Any) -> Any:
    """The result of these answers, one of each gateway."""
    return call.merge([(address, php.dumps(value)) for address, value in zip((ONE, TWO), values, strict=False)])


def select(*rows: tuple[Any, Any]) -> dict[int, dict[str, Any]]:
    return {number: {"uid": uid, "groups": groups} for number, (uid, groups) in enumerate(rows, 1)}


@pytest.mark.parametrize(
    ("call", "values", "result"),
    [
        (calls.is_uid_online("u"), ([], [1]), True),
        (calls.is_uid_online("u"), ([], []), False),
        (calls.is_uids_online(["u", 7]), ({"u": [], 7: []}, {"u": [], 7: [1]}), {"u": False, "7": True}),
        (calls.get_client_id_by_uid("u"), ([1], {3: 1}), [A, B]),
        (calls.batch_get_client_id_by_uid(["z", 7]), ({7: [1], "z": []}, {7: [1]}), {"z": [], "7": [A, B]}),
        (calls.get_client_count_by_group("a"), (2, 3), 5),
        (calls.batch_get_client_id_count_by_group([0, "b"]), ([2, 9], {0: 3, "b": 1}), {"0": 5, "b": 1}),
        (calls.get_all_group_id_list(), (["a", 7], ["b", "a"]), ["a", "7", "b"]),
        (calls.get_all_client_id_list(), (select((None, None)), select(("u", []))), [A, B]),
        (calls.get_all_uid_list(), (select(("u", None), (None, None)), select(("u", None), ("0", None))), ["u", "0"]),
        (calls.get_all_uid_count(), (select(("u", None)), select(("u", None))), 1),
        (calls.get_uid_count_by_group("a"), (select(("u", None)), select(("v", None))), 2),
        (
            calls.get_all_group_uid_list(),
            (select(("u", {"a": "a", 7: "7"}), (None, {"c": "c"})), select(("u", ["0", "1"]), ("v", {"a": "a"}))),
            {"a": ["u", "v"], "7": ["u"], "0": ["u"], "1": ["u"]},
        ),
        (calls.get_all_group_client_id_list(), (select((None, ["0"])), select(("u", ["0"]))), {"0": [A, B]}),
        (calls.get_all_group_client_id_count(), (select((None, ["0"])), select(("u", ["0"]))), {"0": 2}),
        (calls.get_all_client_sessions(), ({1: 'a:1:{i:0;s:1:"x";}'}, {1: ""}), {A: {0: "x"}, B: {}}),
        (calls.get_all_client_sessions(), ({1: b'a:1:{i:0;s:1:"\xff";}'},), {A: {0: b"\xff"}}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_answers_of_several_gateways_make_one_result(call: Call[Any], values: tuple[Any, ...], result: Any) -> None:
    found = merged(call, *values)
    assert found == result
    assert not isinstance(result, dict) or list(found) == list(result)


@pytest.mark.parametrize(
    ("call", "value", "result"),
    [
        (calls.is_online(A), 1, True),
        (calls.is_online(A), 0, False),
        (calls.get_uid_by_client_id(A), select(("u", None)), "u"),
        (calls.get_uid_by_client_id(A), select((None, None)), None),
        (calls.get_uid_by_client_id(A), {1: []}, None),
        (calls.get_uid_by_client_id(A), [], None),
        (calls.get_session(A), None, None),
        (calls.get_session(A), [], {}),
        (calls.get_session(A), ["x"], {0: "x"}),
        (calls.get_session(A), {"7": {"list": [1]}}, {7: {"list": [1]}}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_answer_of_one_gateway_makes_a_result(call: Call[Any], value: Any, result: Any) -> None:
    assert merged(call, value) == result


QUERIES: list[Call[Any]] = [
    calls.is_online(A),
    calls.get_session(A),
    calls.get_uid_by_client_id(A),
    calls.is_uid_online("u"),
    calls.is_uids_online(["u"]),
    calls.batch_get_client_id_by_uid(["u"]),
    calls.get_client_count_by_group("a"),
    calls.batch_get_client_id_count_by_group(["a"]),
    calls.get_all_group_id_list(),
    calls.get_all_group_uid_list(),
    calls.get_all_client_sessions(),
    calls.close_uid("u"),
]


@pytest.mark.parametrize("call", QUERIES, ids=lambda call: call.name)
@pytest.mark.parametrize(
    "answer", [b"", b"i:1", b"i:1;i:2;", b"i:-1;", b's:1:"x";', b"b:1;", b"d:1.5;", b'O:1:"A":0:{}']
)
def test_an_answer_that_can_not_be_read_is_an_error_that_names_the_gateway(call: Call[Any], answer: bytes) -> None:
    with pytest.raises(ClusterError, match=rf"gateway {TWO} answered {call.name} with what can't be read"):
        call.merge([(TWO, answer)])


@given(
    value=st.recursive(
        st.none() | st.integers(-5, 5) | st.text(max_size=3),
        lambda inner: st.dictionaries(st.integers(0, 3) | st.text(max_size=2), inner, max_size=3),
    )
)
def test_nothing_but_a_cluster_error_comes_of_any_value(value: Any) -> None:
    for call in QUERIES:
        with contextlib.suppress(ClusterError):
            merged(call, value)


@pytest.mark.parametrize("number", [0, -1, 2**32, "x"])
def test_a_connection_id_that_none_can_have_is_refused(number: Any) -> None:
    with pytest.raises(ClusterError, match="where a connection id was expected"):
        merged(calls.get_client_id_by_uid("u"), [number])
    with pytest.raises(ClusterError, match="where a connection id was expected"):
        merged(calls.get_all_client_sessions(), {number: ""})


def test_a_session_that_holds_an_object_is_an_error_that_names_the_client() -> None:
    with pytest.raises(ClusterError, match=rf"the session of {A} is a serialized object"):
        calls.get_session(A).merge([(ONE, b'a:1:{i:0;O:1:"A":0:{}}')])
    with pytest.raises(ClusterError, match=rf"the session of {A} is a serialized object"):
        merged(calls.get_all_client_sessions(), {1: 'a:1:{i:0;O:1:"A":0:{}}'})


def test_a_name_that_is_no_utf8_is_given_in_a_form_that_can_be_shown() -> None:
    assert merged(calls.get_all_group_id_list(), [b"\xff"]) == [r"\xff"]


@given(st.lists(st.binary(max_size=20)), st.data())
def test_answers_are_found_however_the_stream_is_cut(answers: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(struct.pack("!I", len(answer)) + answer for answer in answers)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    reader, found = AnswerReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == answers
    assert reader.is_between_answers


def test_an_answer_over_the_limit_ends_the_stream() -> None:
    reader = AnswerReader(limit=3)
    assert reader.feed(b"\0\0\0\x03abc\0\0\0\x04") == [b"abc"]
    assert "an answer of 4 bytes" in str(reader.error)
    assert reader.feed(b"\0\0\0\x01x") == []
    assert not reader.is_between_answers
