"""Sessions against a model: a gateway far away, saves of this worker's, and changes by others at any moment."""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.business.saves import Saves
from tidegate.wire import php, session

KEYS = ("a", "b", "c")
VALUES = st.one_of(st.none(), st.integers(0, 2))
Changes = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3)
"""A value of None deletes the key."""


def dumps(value: dict[str, Any]) -> bytes:
    return php.dumps(value) if value else b""


def split(value: bytes) -> php.Array:
    return php.split_array(value) if value else {}


class Model:
    """A worker and its gateway, and what is on its way between them."""

    def __init__(self) -> None:
        self.saves: Saves | None = None
        self.gateway: dict[str, int] = {}
        self.to_gateway: deque[tuple[str, Any]] = deque()
        self.to_worker: deque[tuple[str, Any]] = deque()
        self.position = self.confirmed = 0
        self.unapplied: list[dict[str, int | None]] = []  # our saves that are on their way
        self.positions: dict[str, int] = {}  # of each key's last save

    def arrive_at_gateway(self) -> None:
        """The gateway reads what comes next."""
        if not self.to_gateway:
            return
        kind, what = self.to_gateway.popleft()
        if kind == "patch":
            change(self.gateway, what)
            self.unapplied.pop(0)
        elif kind == "replace":
            self.gateway = dict(what)
            self.unapplied.pop(0)
        else:
            self.to_worker.append(("answer", what))

    def event(self) -> None:
        """A client's message leaves the gateway."""
        self.to_worker.append(("event", dict(self.gateway)))

    def arrive_here(self, changes: dict[str, int | None]) -> None:
        """The worker reads what comes next; where it is an event, a handler makes these changes."""
        if not self.to_worker:
            return
        kind, what = self.to_worker.popleft()
        if kind == "answer":
            self.confirmed = max(self.confirmed, what)
            return
        stored = dumps(what)
        before = stored if self.saves is None else self.saves.resolve(stored, self.confirmed)
        if self.saves is not None and self.saves.stored is before:
            assert php.join_array(self.saves.array) == before or not (before or self.saves.array)
        shown = php.loads_array(before) if before else {}
        self.check(what, shown)
        after = dict(shown)
        change(after, changes)
        found = session.diff(before, after)
        if found is None:
            return
        changed = {key: after.get(key) for key in KEYS if after.get(key) != shown.get(key)}
        self.save(before, session.Patcher().patch(before, *found), ("patch", changed))

    def replace(self, new: dict[str, int]) -> None:
        """The worker sets the whole session."""
        self.save(dumps({}), dumps(new), ("replace", new), whole=True)

    def save(self, before: bytes, after: bytes, command: tuple[str, Any], *, whole: bool = False) -> None:
        self.position += 1
        if self.saves is None:
            self.saves = Saves()
        self.saves.note(split(before), split(after), self.position, whole=whole)
        self.saves.keep(after, split(after))
        self.to_gateway.append(command)
        saved = command[1]
        self.unapplied.append(dict.fromkeys(KEYS) | saved if whole else saved)
        self.positions.update(dict.fromkeys(KEYS if whole else saved, self.position))

    def mark(self) -> None:
        """The worker asks a query behind its saves."""
        self.to_gateway.append(("query", self.position))

    def check(self, stored: dict[str, int], shown: dict[Any, Any]) -> None:
        """Saves on their way hold, and other keys are as the gateway had them when the event left."""
        own: dict[str, int | None] = {}
        for save in self.unapplied:
            own.update(save)
        for key, value in own.items():
            assert shown.get(key) == value, (key, stored, shown, self.unapplied)
        for key in KEYS:
            if self.positions.get(key, 0) <= self.confirmed:
                assert shown.get(key) == stored.get(key), (key, stored, shown)


def change(array: dict[Any, Any], changes: dict[str, int | None]) -> None:
    for key, value in changes.items():
        if value is None:
            array.pop(key, None)
        else:
            array[key] = value


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("gateway"), st.none()),
        st.tuples(st.just("event"), st.none()),
        st.tuples(st.just("here"), Changes),
        st.tuples(st.just("outside"), Changes),
        st.tuples(st.just("mark"), st.none()),
        st.tuples(st.just("replace"), st.dictionaries(st.sampled_from(KEYS), st.integers(0, 2))),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(Steps)
def test_no_own_save_is_seen_older_and_others_changes_to_other_keys_are_kept(steps: list[tuple[str, Any]]) -> None:
    model = Model()
    for kind, what in steps:
        if kind == "gateway":
            model.arrive_at_gateway()
        elif kind == "event":
            model.event()
        elif kind == "here":
            model.arrive_here(what)
        elif kind == "outside":
            change(model.gateway, what)
        elif kind == "mark":
            model.mark()
        else:
            model.replace(what)
    # In the end all is at rest: the gateway and a handler agree.
    model.mark()
    while model.to_gateway:
        model.arrive_at_gateway()
    model.event()
    while model.to_worker:
        last = model.to_worker[-1] if len(model.to_worker) == 1 else None
        model.arrive_here({})
        if last is not None:
            assert last[1] == model.gateway


def test_keys_that_others_change_show_as_soon_as_the_save_is_confirmed() -> None:
    saves = Saves()
    saves.note({}, split(dumps({"auth": 0})), 1)
    assert saves.resolve(b"", 0) == dumps({"auth": 0})
    assert saves.resolve(dumps({"auth": 1, "x": 1}), 0) == dumps({"auth": 0, "x": 1})
    assert not saves.is_settled(0)
    assert saves.resolve(dumps({"auth": 1}), 1) == dumps({"auth": 1})
    assert saves.is_settled(1)


def test_a_deleted_key_does_not_come_back_with_an_older_event() -> None:
    saves = Saves()
    saves.note(split(dumps({"a": 1, "b": 1})), split(dumps({"b": 1})), 1)
    assert saves.resolve(dumps({"a": 1, "b": 2}), 0) == dumps({"b": 2})
    assert saves.resolve(dumps({"a": 1}), 0) == b""


def test_a_session_that_cannot_be_read_is_left_as_it_is() -> None:
    saves = Saves()
    saves.note({}, split(dumps({"a": 1})), 1)
    stored = b'a:1:{s:1:"o";O:8:"stdClass":0:{}}'
    assert saves.resolve(stored, 0) == stored


def test_towards_php_a_value_that_the_key_never_had_here_is_somebody_elses() -> None:
    saves = Saves(compares=True)
    saves.note({}, split(dumps({"auth": 0})), 10)
    assert saves.resolve(b"", 0) == dumps({"auth": 0})  # it left before the save arrived
    assert saves.resolve(dumps({"x": 1}), 0) == dumps({"x": 1, "auth": 0})
    assert saves.resolve(dumps({"auth": 1}), 0) == dumps({"auth": 1})
    saves.note(split(dumps({"auth": 0})), split(dumps({"auth": 2})), 11)
    assert saves.resolve(dumps({"auth": 0}), 0) == dumps({"auth": 2})  # the save before this one
    assert saves.resolve(dumps({"auth": 0}), 11) == dumps({"auth": 0})  # so much later it is somebody else's
