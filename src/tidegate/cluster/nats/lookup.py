"""Who is there, as the bucket tells whoever could not listen, without I/O.

Each server that has a copy of the bucket lists it, and one that was away lists what was. So its leader says first how
far it has come, and a list that is behind that is asked for again. Where there is no leader or no list, or the lists
stay behind, all gateways are asked themselves, and else those whose entries are over: who answers is there as well.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias, TypeVar

from tidegate.cluster.nats.announced import address_of_key, gateway_key, read_gateway
from tidegate.cluster.nats.entries import Listing, key_subject, stream_name
from tidegate.cluster.nats.inbox import Enough
from tidegate.cluster.nats.jetstream import JetStreamError, encode_body, is_empty, is_temporary, read_answer
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.subjects import Subjects
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.wire.commands import ROLL_CALL
from tidegate.wire.packet import pack

__all__ = ["Ask", "Errors", "Found", "Steps", "look_up"]

LEADER_SECONDS = 0.5
"""For it to answer; where there is none nobody does."""
LIST_SECONDS = (0.4, 0.4, 0.8, 1.6)
"""For a list, as often as it is asked for: which server answers nobody can choose, and for a minute it may be one that
was cut off."""
ROLL_SECONDS = 0.5
"""For the gateways to answer; nobody knows how many there are."""
ANSWER_SECONDS = 0.25
"""For one that is there."""
PAUSE_SECONDS = 0.1
"""Between two lists."""


class Ask(NamedTuple):
    """Questions that are to be asked at once.

    Attributes:
        questions: subjects, payloads, and what is to be given each answer, and tells which is the last.
        seconds: for all of them.
    """

    questions: Sequence[tuple[str, bytes, Enough]]
    seconds: float


class Found(NamedTuple):
    """What a look brought.

    Attributes:
        entries: values by key.
        revisions: of those of the bucket.
        gone: keys of which the bucket says that their entry was taken away or is over.
        last: how far the bucket had come.
    """

    entries: dict[str, bytes]
    revisions: dict[str, int]
    gone: frozenset[str]
    last: int


Errors: TypeAlias = Sequence[ClusterError | None]
"""What went wrong with each question."""
T = TypeVar("T")
Steps: TypeAlias = Generator[Ask | float, Errors, T]
"""What is to be asked, or the seconds to wait; is sent what went wrong, and gives something in the end."""


def look_up(subjects: Subjects, bucket: str, pattern: str, floor: int | None = None) -> Steps[Found]:
    """Look once.

    Args:
        bucket: its name.
        pattern: of the keys.
        floor: how far the bucket had come when it was looked at before, for those who know whom they know: a list that
            is behind this is asked for again, but neither the leader is asked nor are the gateways.

    Raises:
        ConfigurationError: JetStream is not enabled.
        ClusterError: the bucket can't be listed, or is not there, and no gateway answers.
    """
    if floor is not None:
        found, _ = yield from _list(subjects.api, bucket, pattern, floor, LIST_SECONDS[:2])
        return found
    there: dict[str, bytes] = {}
    roll_call = Ask([(subjects.all, pack(ROLL_CALL), partial(_note, there, False))], ROLL_SECONDS)
    try:
        needed = yield from _last_of_leader(subjects.api, bucket, pattern)
        found, is_sure = yield from _list(subjects.api, bucket, pattern, needed, LIST_SECONDS)
    except ClusterError:
        yield roll_call  # NATS carries questions some seconds before JetStream is there
        if not there:
            raise
        return Found(there, {}, frozenset(), 0)
    if not is_sure:
        yield roll_call
    elif over := [address for address in map(address_of_key, found.gone) if address]:
        # Where the servers had no leader for a while, entries are over of gateways that are there.
        take = partial(_note, there, True)
        yield Ask([(subjects.gateway(address), pack(ROLL_CALL), take) for address in over], ANSWER_SECONDS)
    return found._replace(entries={**found.entries, **there}, gone=found.gone.difference(there))


def _list(api: str, bucket: str, pattern: str, needed: int | None, tries: Sequence[float]) -> Steps[tuple[Found, bool]]:
    """Ask for lists until one is far enough; gives the last one, and whether it is."""
    found: Found | None = None
    error: ClusterError | None = None
    for seconds in tries:
        listing = Listing(api, bucket, pattern)
        error = None
        while not listing.is_done and error is None:
            (error,) = yield Ask([(listing.subject, listing.request(), listing.take)], seconds)
            error = error or listing.error
        if isinstance(error, ClusterTimeoutError):
            continue
        if error is not None:
            raise error
        found = Found(listing.entries, listing.revisions, frozenset(listing.gone), listing.last)
        if needed is None or found.last >= needed:
            return found, needed is not None
        yield PAUSE_SECONDS
    if found is None:
        assert error is not None
        raise error
    return found, False


def _last_of_leader(api: str, bucket: str, pattern: str) -> Steps[int | None]:
    """How far the bucket has come; None where there is no leader."""
    answers: list[Message] = []
    body = encode_body({"last_by_subj": key_subject(bucket, pattern)})

    def take(message: Message) -> bool:
        answers.append(message)
        return True

    (failed,) = yield Ask([(f"{api}.STREAM.MSG.GET.{stream_name(bucket)}", body, take)], LEADER_SECONDS)
    if failed is not None:
        return None
    try:
        return int(read_answer(answers[0])["message"]["seq"])
    except JetStreamError as error:
        if is_empty(error):
            return 0
        if is_temporary(error):
            return None
        raise
    except (KeyError, TypeError, ValueError):
        raise ClusterError("JetStream answered with what is no stored message") from None


def _note(there: dict[str, bytes], is_last: bool, message: Message) -> bool:
    """Take a gateway's answer; gives whether it is the last."""
    gateway = read_gateway(message.payload)
    if gateway is not None:
        there[gateway_key(gateway.address)] = message.payload
    return is_last
