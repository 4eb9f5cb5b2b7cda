"""Who is there, as the bucket tells whoever could not listen, without I/O.

Each server that has a copy of the bucket lists it, and one that was away lists what was. So its leader says first how
far it has come, and a list that is behind that is asked for again. Where there is no leader, or the lists stay behind,
the gateways are asked themselves: who answers is there as well.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, TypeAlias

from tidegate.cluster.nats.announced import gateway_key, read_gateway
from tidegate.cluster.nats.entries import Listing, key_subject, stream_name
from tidegate.cluster.nats.inbox import Enough
from tidegate.cluster.nats.jetstream import JetStreamError, encode_body, is_empty, is_temporary, read_answer
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.subjects import Subjects
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.wire.commands import ROLL_CALL
from tidegate.wire.packet import pack

__all__ = ["Ask", "Found", "Steps", "look_up"]

LEADER_SECONDS = 0.5
"""For it to answer; where there is none nobody does."""
LIST_SECONDS = (0.4, 0.4, 0.8, 1.6)
"""For a list, as often as it is asked for: which server answers nobody can choose, and for a minute it may be one that
was cut off."""
ROLL_SECONDS = 0.5
"""For the gateways to answer; nobody knows how many there are."""
PAUSE_SECONDS = 0.1
"""Between two lists."""


class Ask(NamedTuple):
    """A question that is to be asked.

    Attributes:
        take: is to be given each answer, and tells which is the last.
        seconds: for that.
    """

    subject: str
    payload: bytes
    take: Enough
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


Steps: TypeAlias = Generator[Ask | float, ClusterError | None, Found]
"""What is to be asked, or the seconds to wait; is sent what went wrong, and gives in the end what was found."""


def look_up(subjects: Subjects, bucket: str, pattern: str, floor: int | None = None) -> Steps:
    """Look once.

    Args:
        bucket: its name.
        pattern: of the keys.
        floor: how far the bucket had come when it was looked at before. A list that is behind this is asked for again
            all the same, but the leader is not asked, nor the gateways: for those who know whom they know.

    Raises:
        ConfigurationError: JetStream is not enabled.
        ClusterError: the bucket can't be listed, or is not there.
    """
    needed = floor
    if floor is None:
        needed = yield from _last_of_leader(subjects.api, bucket, pattern)
    found: Found | None = None
    for seconds in LIST_SECONDS:
        listing = Listing(subjects.api, bucket, pattern)
        error = yield from _list(listing, seconds)
        if isinstance(error, ClusterTimeoutError):
            continue
        if error is not None:
            raise error
        found = Found(listing.entries, listing.revisions, frozenset(listing.gone), listing.last)
        if needed is None:
            break
        if found.last >= needed:
            return found
        yield PAUSE_SECONDS
    if found is None:
        assert error is not None
        raise error
    if floor is not None:
        return found
    there: dict[str, bytes] = {}
    yield Ask(subjects.all, pack(ROLL_CALL), lambda message: _note(message, there), ROLL_SECONDS)
    return found._replace(entries={**found.entries, **there}, gone=found.gone.difference(there))


def _list(listing: Listing, seconds: float) -> Generator[Ask, ClusterError | None, ClusterError | None]:
    """Ask for one list, to its end; gives what is wrong with it."""
    error: ClusterError | None = None
    while not listing.is_done and error is None:
        error = (yield Ask(listing.subject, listing.request(), listing.take, seconds)) or listing.error
    return error


def _last_of_leader(api: str, bucket: str, pattern: str) -> Generator[Ask, ClusterError | None, int | None]:
    """How far the bucket has come; None where there is no leader."""
    answers: list[Message] = []
    body = encode_body({"last_by_subj": key_subject(bucket, pattern)})
    subject = f"{api}.STREAM.MSG.GET.{stream_name(bucket)}"

    def take(message: Message) -> bool:
        answers.append(message)
        return True

    if (yield Ask(subject, body, take, LEADER_SECONDS)) is not None:
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


def _note(message: Message, there: dict[str, bytes]) -> bool:
    gateway = read_gateway(message.payload)
    if gateway is not None:
        there[gateway_key(gateway.address)] = message.payload
    return False
