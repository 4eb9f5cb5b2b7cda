"""Sessions: merged as PHP does, and patched with what changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.support import keys, sessions, values, vectors
from tidegate.wire import php, session

KEY = php.dumps("k")


def plain(serialized: bytes) -> dict[Any, Any]:
    return php.loads_array(serialized) if serialized else {}


@pytest.mark.parametrize("recorded", vectors("session_merge"), ids=lambda recorded: recorded["update"])
def test_a_merge_is_phps(recorded: dict[str, str]) -> None:
    assert session.merge(recorded["old"].encode(), recorded["update"].encode()) == recorded["merged"].encode()


@given(sessions)
def test_an_update_is_stored_as_it_is_where_no_session_is(update: dict[Any, Any]) -> None:
    serialized = php.dumps(update)
    assert session.merge(b"", serialized) == serialized


def replaced(old: Any, update: Any) -> Any:
    """array_replace_recursive, over values of Python's."""
    if not isinstance(old, list | dict) or not isinstance(update, list | dict):
        return update
    result = dict(enumerate(old)) if isinstance(old, list) else dict(old)
    for key, value in enumerate(update) if isinstance(update, list) else update.items():
        result[key] = replaced(result[key], value) if key in result else value
    return php.loads(php.dumps(result))


@given(sessions, sessions)
def test_a_merge_replaces_recursively(old: dict[Any, Any], update: dict[Any, Any]) -> None:
    before, change = php.dumps(old), php.dumps(update)
    merged = session.merge(before, change)
    assert repr(php.loads(merged)) == repr(replaced(php.loads(before), php.loads(change)))


def test_a_merge_keeps_values_as_they_were_written() -> None:
    old = b'a:2:{s:1:"f";d:0.10000000000000001;s:1:"k";a:1:{s:1:"x";i:1;}}'
    merged = session.merge(old, b'a:1:{s:1:"k";a:1:{s:1:"y";d:1.50;}}')
    assert merged == b'a:2:{s:1:"f";d:0.10000000000000001;s:1:"k";a:2:{s:1:"x";i:1;s:1:"y";d:1.50;}}'


def test_a_merge_of_arrays_deep_in_one_another_takes_each_apart_once() -> None:
    data = b"i:1;"
    for _ in range(60):
        data = b'a:201:{s:1:"k";%s%s}' % (data, b"".join(b"i:%d;N;" % key for key in range(200)))
    assert session.merge(data, data) == data


@pytest.mark.parametrize(
    "bad", [b"i:1;", b'a:1:{s:1:"a";O:1:"A":0:{}}', b'a:1:{s:1:"a";a:1:{i:0;r:1;}}', b"a:1:{", b"x"]
)
def test_what_is_no_array_or_has_an_object_is_neither_merged_nor_patched(bad: bytes) -> None:
    good = b"a:0:{}"
    for first, second in ((good, bad), (bad, good)):
        with pytest.raises(php.PHPValueError):
            session.merge(first, second)
        with pytest.raises(php.PHPValueError):
            session.Patcher().patch(first, second, b"[]")
    with pytest.raises(php.PHPValueError):
        session.merge(b"", bad)
    with pytest.raises(php.PHPValueError):
        session.diff(bad, {})


@given(sessions, sessions)
def test_a_patch_of_the_difference_gives_what_is_after(before: dict[Any, Any], after: dict[Any, Any]) -> None:
    old = php.dumps(before)
    change = session.diff(old, after)
    assert (change is None) == (php.split_array(old) == php.split_array(php.dumps(after)))
    if change is not None:
        assert php.split_array(session.Patcher().patch(old, *change) or b"a:0:{}") == php.split_array(php.dumps(after))


@given(sessions)
def test_a_session_that_was_read_and_not_changed_is_no_difference(before: dict[Any, Any]) -> None:
    old = php.dumps(before)
    assert session.diff(old, php.loads_array(old)) is None
    assert session.diff(b"", {}) is None


@given(st.dictionaries(keys, values(), min_size=1, max_size=5), st.data())
def test_a_patch_leaves_alone_what_another_process_changed_meanwhile(
    before: dict[Any, Any], data: st.DataObject
) -> None:
    old = php.dumps(before)
    after = copy.deepcopy(php.loads_array(old))
    after["ours"] = 1
    gone = data.draw(st.sampled_from(sorted(after, key=repr)))
    if gone != "ours":
        del after[gone]
    change = session.diff(old, after)
    assert change is not None
    elsewhere = session.merge(old, php.dumps({"theirs": 2}))
    assert plain(session.Patcher().patch(elsewhere, *change)) == {
        **{k: v for k, v in plain(old).items() if k != gone or gone == "ours"},
        "ours": 1,
        "theirs": 2,
    }


def test_a_float_that_php_wrote_with_more_digits_is_no_difference() -> None:
    old = b'a:1:{s:1:"f";d:0.10000000000000001;}'
    assert session.diff(old, php.loads_array(old)) is None
    assert session.diff(old, {"f": 0.2}) == (b'a:1:{s:1:"f";d:0.2;}', b"[]")


def test_a_session_that_becomes_empty_is_none() -> None:
    old = php.dumps({"a": 1, 7: 2, b"\xff": 3})
    change = session.diff(old, {})
    assert change is not None
    assert change[0] == b"a:0:{}"
    assert session.Patcher().patch(old, *change) == b""
    assert session.Patcher().patch(b"", b"a:0:{}", b"") == b""


def test_a_patch_sets_keys_where_they_are_and_adds_the_others_behind() -> None:
    old = php.dumps({"a": 1, "b": 2, "c": 3})
    assert session.Patcher().patch(old, php.dumps({"b": 9, "d": 4}), b'["a"]') == php.dumps({"b": 9, "c": 3, "d": 4})


@pytest.mark.parametrize(
    "gone",
    [
        b"{}",
        b"1",
        b'"a"',
        b"[[1]]",
        b"[null]",
        b"[1.5]",
        b"[",
        b"\xff",
        b"[1e999]",
        b"[99999999999999999999]",
        b'["\\ud800"]',
        b"[" * 100_000,
    ],
)
def test_a_patch_without_a_list_of_keys_is_refused(gone: bytes) -> None:
    with pytest.raises(php.PHPValueError, match="list of keys"):
        session.Patcher().patch(b"", b"a:0:{}", gone)


def test_a_session_that_can_not_be_serialized_is_an_error_at_the_caller() -> None:
    with pytest.raises(TypeError):
        session.diff(b"", {"a": object()})
    with pytest.raises(OverflowError):
        session.diff(b"", {"a": 2**64})


PATCHES = st.tuples(
    st.integers(0, 1),
    st.dictionaries(
        st.sampled_from(["a", "b", "c", 1]), st.integers(-(2**63), 2**63 - 1) | st.just([1.5]), max_size=2
    ).map(php.dumps),
    st.sampled_from([b"[]", b'["a", 1]', b"no list", b""]),
)


@given(st.lists(st.one_of(PATCHES, st.tuples(st.integers(0, 1), st.just(b"no map"), st.just(b"[]"))), max_size=12))
def test_what_is_kept_of_the_last_patch_changes_nothing(patches: list[tuple[int, bytes, bytes]]) -> None:
    patcher, stored = session.Patcher(), [b"", php.dumps({"a": 1, "b": 2})]
    for client, changed, gone in patches:
        before = stored[client]
        try:
            expected = session.Patcher().patch(before, changed, gone)
        except php.PHPValueError:
            with pytest.raises(php.PHPValueError):
                patcher.patch(before, changed, gone)
            continue
        stored[client] = patcher.patch(before, changed, gone)
        assert stored[client] == expected
