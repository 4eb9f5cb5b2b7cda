from __future__ import annotations

import pytest

from tidegate.process.launch import CHILD, Launch, command
from tidegate.process.slots import LONGEST_PAUSE, Slot, describe_exit, pause
from tidegate.process.target import Target


def test_the_first_death_costs_no_time_and_each_further_one_twice_as_much() -> None:
    assert [pause(deaths) for deaths in range(7)] == [0, 0, 0.25, 0.5, 1, 2, 4]
    assert {pause(deaths) for deaths in (8, 9, 1000, 10**9)} == {LONGEST_PAUSE}


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (7, "exit code 7"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_an_exit_is_told_in_words(code: int, words: str) -> None:
    assert describe_exit(code) == words


def test_a_place_is_called_by_its_worker_and_number() -> None:
    assert Slot("chat", 2).title == "chat#2"


def test_a_launch_survives_the_way_to_another_process() -> None:
    launch = Launch(Target(module="a.b", name="make", arguments={"port": 1, "text": "é"}), "b", watch=True, note="n")
    assert Launch.from_json(launch.to_json()) == launch


def test_a_process_is_told_apart_in_ps_and_none_of_the_users_modules_shadows_pythons() -> None:
    line = command(CHILD, 5, "chat#0")
    assert "-P" in line
    assert line[-1] == "chat#0"
