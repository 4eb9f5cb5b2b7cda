"""Accounts for every message of a run: what was sent is what arrived, and what was lost and why. Without I/O.

What has to hold:

- Nothing comes twice, and nothing out of order but what workers sent to other gateways before they were killed. No
  connection ends but with its gateway's process, or with 1013.
- Of a gateway process that is still there, messages without an answer are exactly those that it has counted; it may
  have counted some as lost of clients that it closed later, since no worker came.
- What was sent to clients that were there all the while has come, unless its sender was told that it may not have.

What nobody can know, and the table says how much it is: what was on its way through a gateway process that was killed,
and the counters that died with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.records import Connection, Numbers, Stream

__all__ = ["Account", "Counted", "settle"]

ENDS_WITH_GATEWAY = {"cut off", "reset", "closed with 1001", "closed with 1012"}
REFUSED = "closed with 1013"
"""What such a client has no answer to was with a worker that was killed, waited for another, or was never read."""
NOWHERE = Connection("", 0).index
"""Of one that was never told its id, and so may have been at any gateway."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the app's processes say.

    Attributes:
        began: seconds at which the gateway processes that are there were started, by their index.
        lost: the events that they count as begun and not finished.
        lost_before: the same of those that are not, as far as they were heard before.
        dropped: events for which no worker came, of all.
        sends_failed: commands of workers that reach no gateway, as far as they were heard.
        kills: of workers.
    """

    began: Mapping[int, float]
    lost: Mapping[int, int]
    lost_before: int
    dropped: int
    sends_failed: int
    kills: int


@dataclass(slots=True)
class Account:
    """The result: rows of a table, and what is wrong."""

    rows: list[tuple[str, int, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def row(self, what: str, count: int, remark: str = "") -> None:
        self.rows.append((what, count, remark))

    def wrong(self, what: str, examples: Iterable[object]) -> None:
        """Something is, unless there is no example of it."""
        found = list(examples)
        if found:
            self.problems.append(f"{len(found)} {what}: {', '.join(map(str, found[:8]))}")

    def __str__(self) -> str:
        width = max(len(what) for what, _, _ in self.rows)
        lines = [f"{what:<{width}}  {count:>9,}  {remark}".rstrip() for what, count, remark in self.rows]
        return "\n".join([*lines, "", *(f"WRONG: {problem}" for problem in self.problems)])


def settle(connections: Sequence[Connection], pushes: Mapping[str, Stream], counted: Counted) -> Account:
    """Account for it all.

    Args:
        connections: of clients, all there were.
        pushes: the push client's streams.
    """
    account = Account()
    account.wrong("connections ended, and nobody knows why", _strange_ends(connections, counted))
    _answers(account, connections, counted)
    _pushes(account, connections, pushes)
    _room(account, connections, counted)
    return account


def _is_of_living(connection: Connection, counted: Counted) -> bool:
    """Whether its gateway process is still there."""
    return bool(connection.client_id) and connection.known_at > counted.began.get(connection.index, float("inf"))


def _strange_ends(connections: Sequence[Connection], counted: Counted) -> list[str]:
    return [
        f"{connection.name} {connection.end}"
        for connection in connections
        if connection.end not in ("", "left", REFUSED)
        and (connection.end not in ENDS_WITH_GATEWAY or _is_of_living(connection, counted))
    ]


# What clients said


def _answers(account: Account, connections: Sequence[Connection], counted: Counted) -> None:
    sent = sum(connection.sent for connection in connections)
    answered = sum(connection.answers.count for connection in connections)
    here: Counter[int] = Counter()
    refusals: Counter[int] = Counter()
    lost_before = with_gateway = nowhere = 0
    for connection in connections:
        unanswered = len(connection.unanswered)
        if connection.end == REFUSED:
            refusals[connection.index] += unanswered
        elif _is_of_living(connection, counted):
            here[connection.index] += unanswered
        else:
            gaps = len(connection.lost_before_last)
            lost_before += gaps
            with_gateway += unanswered - gaps
            nowhere += 0 if connection.client_id else unanswered  # what would have said whose it is may be what is lost
    refused = refusals.total()
    account.row("messages of clients", sent)
    account.row("  answered", answered, "once, in order")
    account.row("  lost with a killed worker", here.total(), f"counted: {sum(counted.lost.values())} events_lost")
    account.row("  the same, at gateways gone since", lost_before, f"counted, as last heard: {counted.lost_before}")
    account.row("  no worker came", refused, f"or said after 1013; counted: {counted.dropped} events_dropped")
    account.row("  on their way in a gateway that ended", with_gateway, "their connections ended with it")
    account.wrong(
        "answers came twice or out of order",
        (f"{connection.name}:{number}" for connection in connections for number in _wrong(connection.answers)),
    )
    account.wrong(
        "gateways have counted other numbers of lost messages than are missing",
        (
            f"gateway {index}: {here[index]} missing, {counted.lost.get(index, 0)} counted"
            for index in here.keys() | counted.lost.keys()
            if not 0 <= counted.lost.get(index, 0) - here[index] <= refusals[index] + refusals[NOWHERE] + nowhere
        ),
    )
    if refused and not counted.dropped:  # what a client said after it was closed is never read
        account.problems.append(f"{refused} messages of clients closed with 1013, and none counted")
    if lost_before > counted.lost_before + counted.kills * len(connections):
        account.problems.append(f"{lost_before} missing at gateways gone since, {counted.lost_before} counted")
    assert sent == answered + here.total() + lost_before + refused + with_gateway


# What was sent to them


def _expected(connection: Connection, stream: str, began: float, sent: int) -> set[int]:
    """Numbers that should have come and have not."""
    if connection.base is None:
        return set()
    begin = connection.base.get(stream, 1 if began > connection.base_at else sent + 1)
    numbers = connection.streams.get(stream)
    if numbers is None:
        return set() if connection.end else set(range(begin, sent + 1))
    return numbers.missing(begin, numbers.last if connection.end else sent)


def _is_target(connection: Connection, stream: str) -> bool:
    if stream.startswith("@"):
        return stream[1:] == connection.client_id
    return stream in ("all", "room") or stream == f"u{connection.name.partition('.')[0]}"


def _pushes(account: Account, connections: Sequence[Connection], pushes: Mapping[str, Stream]) -> None:
    arrived: Counter[str] = Counter()
    missing: list[str] = []
    in_doubt = 0
    for name, stream in pushes.items():
        kind = name if name in ("all", "room") else "a uid" if name[0] == "u" else "a client"
        for connection in connections:
            if not _is_target(connection, name):
                continue
            if name in connection.streams:
                arrived[kind] += connection.streams[name].count
            lost = _expected(connection, name, float("inf"), stream.sent)
            in_doubt += len(lost & stream.doubtful)
            missing += (f"{name} {number} to {connection.name}" for number in sorted(lost - stream.doubtful))
    sent = sum(stream.sent for stream in pushes.values())
    account.row(
        "pushes", sent, f"{sum(len(stream.doubtful) for stream in pushes.values())} of them raised, or flush did"
    )
    for kind, count in arrived.items():
        account.row(f"  arrived of those to {kind}", count)
    account.row("  missing, and said to be in doubt", in_doubt)
    account.wrong("pushes are missing", missing)
    _wrong_order(account, connections, pushes, "pushes")


def _wrong(numbers: Numbers, may_be_late: bool = False) -> list[int]:
    return numbers.twice if may_be_late else [*numbers.twice, *sorted(numbers.late)]


def _wrong_order(
    account: Account,
    connections: Sequence[Connection],
    streams: Iterable[str],
    what: str,
    may_be_late: bool = False,
) -> None:
    account.wrong(
        f"{what} came twice or out of order",
        (
            f"{name} {number} to {connection.name} ({connection.client_id})"
            for name in streams
            for connection in connections
            if name in connection.streams
            for number in _wrong(connection.streams[name], may_be_late)
        ),
    )


def _room(account: Account, connections: Sequence[Connection], counted: Counted) -> None:
    """What clients said to the room, through workers.

    What a killed worker had sent to one gateway may be read there after what its clients' next worker sends there, as
    these are two links; and that which it had not yet written is gone with it.
    """
    arrived = expected = 0
    late: set[tuple[str, int]] = set()
    missing: defaultdict[str, list[str]] = defaultdict(list)
    for sender in connections:
        unanswered = sender.unanswered
        sure = {number for number, message in sender.published.items() if message not in unanswered}
        expected += len(sender.published)
        for connection in connections:
            if sender.name in connection.streams:
                arrived += connection.streams[sender.name].count
                late.update((sender.name, number) for number in connection.streams[sender.name].late)
            for number in sure & _expected(connection, sender.name, sender.began, len(sender.published)):
                missing[f"{sender.name} {number}"].append(connection.name)
    account.row("messages of clients to the room", expected)
    account.row("  arrived", arrived)
    account.row("  of these, late behind a killed worker", len(late), f"{counted.kills} kills")
    account.row("  missing, though answered", len(missing), f"counted: {counted.sends_failed} sends_failed")
    if len(missing) > counted.sends_failed:
        account.wrong("messages to the room are missing", (f"{key} to {names[:3]}" for key, names in missing.items()))
    names = [connection.name for connection in connections]
    _wrong_order(account, connections, names, "messages to the room", may_be_late=counted.kills > 0)
