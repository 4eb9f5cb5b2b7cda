from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.cluster.nats import subjects as subjects_module
from tidegate.cluster.nats.subjects import MAX_TOKEN_SIZE, Subjects, address_of_token, address_token, name_token

names = st.binary(min_size=1, max_size=200) | st.text(min_size=1, max_size=100).map(
    lambda text: text.encode("utf-8", "replace")
)


def test_plain_names_are_as_they_are_written() -> None:
    assert name_token("user_42-A") == "user_42-A"


def test_what_a_subject_cannot_have_is_escaped() -> None:
    assert name_token("a b.c*>=") == "a=20b=2Ec=2A=3E=3D"
    assert name_token("世") == "=E4=B8=96"


@settings(max_examples=30)
@given(names, names)
def test_two_names_never_have_one_token(one: bytes, other: bytes) -> None:
    assert (name_token(one) == name_token(other)) == (one == other)


@given(names)
def test_a_token_is_legal_and_bounded(name: bytes) -> None:
    token = name_token(name)
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", token)
    assert len(token) <= MAX_TOKEN_SIZE


def test_a_hash_stands_for_what_is_too_long() -> None:
    assert name_token("x" * MAX_TOKEN_SIZE) == "x" * MAX_TOKEN_SIZE
    long = name_token("x" * (MAX_TOKEN_SIZE + 1))
    assert long.startswith("==")
    assert len(long) == 54
    assert name_token(long) != long


def test_an_empty_name_has_none() -> None:
    with pytest.raises(ValueError, match="empty"):
        name_token("")


def test_an_address_comes_back() -> None:
    assert address_token("10.0.0.1:2900") == "10-0-0-1-2900"
    assert address_of_token("10-0-0-1-2900") == "10.0.0.1:2900"


def test_the_subjects_of_a_namespace() -> None:
    subjects = Subjects("ns")
    assert subjects.all == "ns.all"
    assert subjects.uid("a b") == "ns.uid.a=20b"
    assert subjects.group(b"1") == "ns.group.1"
    assert subjects.gateway("127.0.0.1:2900") == "ns.gateway.127-0-0-1-2900"
    assert subjects.inbox("x") == "ns.inbox.x"
    assert subjects.bucket == "ns_members"
    assert (subjects.api, subjects.stored) == ("$JS.API", "")
    assert Subjects("ns", "hub").api == "$JS.hub.API"
    assert Subjects("ns", "hub").stored == "$JS.hub.API."


def test_only_the_subjects_say_which_jetstream_is_asked() -> None:
    for source in Path(subjects_module.__file__).parent.glob("*.py"):
        assert source.name == "subjects.py" or '"$JS.' not in source.read_text(), source
