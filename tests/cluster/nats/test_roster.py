"""Who counts as there, by a clock of the test's."""

from __future__ import annotations

from tidegate.cluster.nats.entries import Change
from tidegate.cluster.nats.roster import DEFAULT_SILENCE, GRACE, RETURN, Roster


class Story:
    """A roster, and owners that write their entries anew each second."""

    def __init__(self, *alive: str) -> None:
        self.roster = Roster()
        self.now = 100.0
        self.alive = set(alive)
        self.revision = 0
        self.gone: list[str] = []
        self.list()

    def list(self, patience: float = 0.0) -> None:
        self.roster.begin(patience)
        for key in sorted(self.alive):
            self.revision += 1
            self.roster.take(Change(key, key.encode(), self.revision, False), self.now)
        self.roster.end(self.now)

    def write(self, key: str, value: bytes | None = None) -> bool:
        self.revision += 1
        return self.roster.take(Change(key, value or key.encode(), self.revision, False), self.now)

    def take_away(self, key: str, expired: bool) -> bool:
        self.revision += 1
        return self.roster.take(Change(key, None, self.revision, expired), self.now)

    def go_on(self, seconds: float, works: bool = True) -> None:
        """Let time pass; nothing is heard where the bucket does not work."""
        for step in range(round(seconds * 4)):
            self.now += 0.25
            if works and step % 4 == 0:
                for key in sorted(self.alive):
                    self.write(key)
            self.gone += self.roster.silent(self.now)


def test_whoever_is_heard_of_is_there() -> None:
    story = Story("a", "b")
    story.go_on(20)
    assert story.roster.values == {"a": b"a", "b": b"b"}
    assert story.gone == []


def test_only_another_value_is_told() -> None:
    story = Story("a")
    assert not story.write("a")
    assert story.write("a", b"new")
    assert story.write("b")
    assert story.roster.values["a"] == b"new"


def test_whoever_leaves_is_gone_at_once() -> None:
    story = Story("a", "b")
    assert story.take_away("a", expired=False)
    assert not story.take_away("a", expired=False)
    assert story.roster.values == {"b": b"b"}


def test_whoever_expired_is_gone_at_once_where_others_are_heard_of() -> None:
    story = Story("a", "b")
    story.go_on(5)
    assert story.take_away("a", expired=True)


def test_whoever_is_silent_while_others_are_not_is_gone_without_a_word() -> None:
    story = Story("a", "b")
    story.go_on(4)
    story.alive.remove("a")
    story.go_on(DEFAULT_SILENCE - 1)
    assert story.gone == []
    story.go_on(2)
    assert story.gone == ["a"]


def test_nobody_is_gone_while_nothing_is_heard_at_all() -> None:
    story = Story("a", "b")
    story.go_on(4)
    story.go_on(60, works=False)
    assert story.gone == []
    story.go_on(4)
    assert set(story.roster.values) == {"a", "b"}


def test_what_expired_while_the_bucket_was_away_is_given_time_to_come_back() -> None:
    story = Story("a", "b", "c")
    story.go_on(4)
    story.go_on(8, works=False)
    assert not story.take_away("a", expired=True)
    assert not story.take_away("b", expired=True)
    story.alive.remove("b")
    story.go_on(GRACE + 0.5)
    assert story.gone == ["b"]
    assert set(story.roster.values) == {"a", "c"}


def test_the_only_one_is_gone_soon_after_it_expired() -> None:
    story = Story("a")
    story.go_on(4)
    story.alive.clear()
    story.go_on(3)
    story.take_away("a", expired=True)
    story.go_on(GRACE + 0.5)
    assert story.gone == ["a"]


def test_what_a_new_list_lacks_is_given_time_to_come_back() -> None:
    story = Story("a", "b", "c")
    story.alive = {"a"}
    story.list()
    story.alive = {"a", "b"}
    story.go_on(GRACE + 0.5)
    assert story.gone == ["c"]


def test_after_a_break_those_that_are_missing_or_expire_have_the_time_to_find_back_too() -> None:
    story = Story("a", "b", "c")
    story.alive = {"a"}
    story.list(story.now + RETURN)
    story.take_away("b", expired=True)
    story.go_on(RETURN - 0.5)
    assert story.gone == []
    story.alive = {"a", "b"}
    story.go_on(1)
    assert story.gone == ["c"]


def test_owners_that_write_to_a_bucket_made_anew_were_never_gone() -> None:
    story = Story("a", "b")
    story.go_on(10)
    found, story.alive, story.revision = story.alive, set(), 0
    story.list(story.now + RETURN)
    story.go_on(1)
    story.alive = found
    story.go_on(10)
    assert story.gone == []


def test_a_bucket_that_was_made_anew_counts_from_the_beginning() -> None:
    story = Story("a")
    story.go_on(10)
    story.revision = 0
    story.list()
    assert story.write("a", b"new")
    story.revision = 0
    assert not story.write("a", b"old")
