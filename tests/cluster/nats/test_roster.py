"""Who counts as there, by a clock of the test's."""

from __future__ import annotations

from tidegate.cluster.nats.roster import DEFAULT_SILENCE, FORGET_SECONDS, GRACE_SECONDS, Roster


class Story:
    """A roster, and members that say each second that they are there."""

    def __init__(self, *alive: str) -> None:
        self.roster = Roster()
        self.now = 100.0
        self.alive = set(alive)
        self.gone: list[str] = []
        self.go_on(1)

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        for step in range(round(seconds * 4)):
            self.now += 0.25
            if step % 4 == 0:
                for key in sorted(self.alive):
                    self.roster.heard(key, key.encode(), self.now)
            self.gone += self.roster.silent(self.now)


def test_whoever_is_heard_of_is_there() -> None:
    story = Story("a", "b")
    story.go_on(20)
    assert story.roster.values == {"a": b"a", "b": b"b"}
    assert story.gone == []


def test_only_another_value_is_told() -> None:
    story = Story("a")
    assert not story.roster.heard("a", b"a", story.now)
    assert story.roster.heard("a", b"new", story.now)
    assert story.roster.heard("b", b"b", story.now)
    assert story.roster.values["a"] == b"new"


def test_whoever_leaves_is_gone_at_once() -> None:
    story = Story("a", "b")
    assert story.roster.left("a")
    assert not story.roster.left("a")
    assert story.roster.values == {"b": b"b"}


def test_whoever_is_silent_is_gone_within_five_seconds_also_the_only_one() -> None:
    for others in ((), ("b",)):
        story = Story("a", *others)
        story.go_on(4)
        story.alive.remove("a")
        story.go_on(DEFAULT_SILENCE - 1)
        assert story.gone == []
        story.go_on(1.25)
        assert story.gone == ["a"]
        assert set(story.roster.values) == {*others}


def test_where_nobody_could_be_heard_all_are_given_their_time_again() -> None:
    story = Story("a", "b", "c")
    story.now += 60
    story.roster.deaf(story.now)
    story.alive = {"a"}
    story.go_on(DEFAULT_SILENCE - 0.5)
    story.alive.add("b")
    story.go_on(1.5)
    assert story.gone == ["c"]
    assert set(story.roster.values) == {"a", "b"}


def test_who_has_gone_to_another_server_gives_a_moment_and_no_more() -> None:
    story = Story("a", "b")
    story.alive = set()
    story.go_on(1)
    story.roster.moved(story.now)
    story.alive = {"a"}
    story.go_on(DEFAULT_SILENCE - 2)
    assert story.gone == []
    story.go_on(1.25)
    assert story.gone == ["b"]  # as though nothing had been
    story.alive = set()
    story.now += DEFAULT_SILENCE
    story.roster.moved(story.now)
    story.go_on(GRACE_SECONDS)
    assert story.gone == ["b"]
    story.go_on(0.5)
    assert story.gone == ["b", "a"]


def test_only_its_own_word_brings_back_who_has_fallen_silent() -> None:
    story = Story("a", "b")
    assert not story.roster.listed("a", b"old", story.now)
    story.alive = {"b"}
    story.go_on(6)
    assert story.gone == ["a"]
    assert not story.roster.listed("a", b"a", story.now)
    assert story.roster.listed("c", b"c", story.now)
    assert story.roster.heard("a", b"a", story.now)
    assert story.roster.values == {"a": b"a", "b": b"b", "c": b"c"}


def test_who_has_fallen_silent_is_remembered_for_a_while() -> None:
    story = Story("a", "b")
    story.alive = {"b"}
    story.go_on(6)
    story.go_on(FORGET_SECONDS)
    story.alive = set()
    story.go_on(6)
    assert story.gone == ["a", "b"]
    assert story.roster.listed("a", b"a", story.now)
    assert not story.roster.listed("b", b"b", story.now)
