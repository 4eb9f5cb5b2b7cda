"""What a `GatewayClient` does where its cluster is on NATS: for any number of threads, and after a fork."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, TypeVar

from tidegate.client import forks
from tidegate.client.call import Call
from tidegate.client.known import KnownGateways
from tidegate.client.nats.elsewhere import BlockingElsewhere
from tidegate.client.nats.outbound import Joined, Outbound, Parcel
from tidegate.client.nats.regathering import GATHER_SECONDS, PAUSE_SECONDS, PROBE_SECONDS, Regathering
from tidegate.client.nats.returns import MARKER, check_returns
from tidegate.client.nats.routing import Copies, answers_of, requests_of, route, stranger
from tidegate.client.nats.silent import Silent
from tidegate.cluster.nats.announced import GATEWAYS, address_of_key, gateway_key, read_gateways
from tidegate.cluster.nats.blocking import BlockingNatsClient
from tidegate.cluster.nats.inbox import NobodyListensError, Question
from tidegate.cluster.nats.jetstream import is_missing
from tidegate.cluster.nats.lookup import Found
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.url import NatsPlace
from tidegate.cluster.reasons import one_error
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.wire.packet import DEFAULT_MAX_PACKET_SIZE
from tidegate.wire.register_line import Addresses

__all__ = ["BlockingNatsPush"]

T = TypeVar("T")

LIMIT = DEFAULT_MAX_PACKET_SIZE
NOTHING = Found({}, {}, frozenset(), 0)
KNOWN_SECONDS = 20.0
"""After which gateways may have gone of which the bucket says so no more."""
UNANSWERED = ClusterTimeoutError("no answer yet")


class Kept:
    """What is kept between calls, in one process: after a fork the child has its own.

    Attributes:
        lock: of `outbound`; nobody waits for NATS while holding it.
        began: when somebody began to look who is there.
        connection: the number of the one on which the gateways are known to be there.
        silent: who does not answer.
        floor: how far the bucket had come when it was listed last; 0 where the gateways are known without a list.
        looked: when that was.
        unflushed: of each thread, when it sent the first of those that it has not flushed.
    """

    __slots__ = (
        "_due",
        "_is_busy",
        "began",
        "connection",
        "floor",
        "known",
        "lock",
        "looked",
        "lookup",
        "outbound",
        "questions",
        "silent",
        "unflushed",
    )

    def __init__(self, outbound: Outbound) -> None:
        self.outbound = outbound
        self.questions: dict[int, Question] = {}  # by the number of what is to be confirmed
        self.lock = threading.RLock()  # re-entered where a signal's handler pushes
        self.lookup = threading.RLock()
        self.began = 0.0
        self.known = KnownGateways()
        self.connection = 1
        self.silent = Silent()
        self.floor = 0
        self.looked = time.monotonic()
        self.unflushed = threading.local()
        self._due: deque[Copies] = deque()
        self._is_busy = False

    def add(self, pushes: Sequence[Copies]) -> list[Parcel]:
        """What is to leave with these; to be called with the lock.

        Where a signal's handler pushes in the middle of this, nothing is to leave: who was interrupted takes that too.
        """
        parcels: list[Parcel] = []
        self._due += pushes
        while self._due and not self._is_busy:
            self._is_busy = True
            try:
                while self._due:
                    self.outbound.push(self._due.popleft())
                parcels += self.outbound.take()
            finally:
                self._is_busy = False
        return parcels


class BlockingNatsPush:
    """Calls of a program that blocks; it connects when it is used.

    Args:
        connect_timeout: seconds for NATS to be there.
        timeout: seconds for it to take what is sent, and for answers.
    """

    def __init__(self, place: NatsPlace, connect_timeout: float, timeout: float) -> None:
        self._client = BlockingNatsClient(
            place, name="tidegate push client", connect_timeout=connect_timeout, timeout=timeout
        )
        self._elsewhere = BlockingElsewhere(place, "tidegate push client")
        self._subjects = self._client.subjects
        self._timeout = timeout
        self._kept: dict[int, Kept] = {}

    def close(self) -> None:
        """Hang up; what was sent still arrives."""
        self._client.close()
        self._elsewhere.close()

    def act(self, call: Call[None]) -> None:
        """Carry a command.

        Raises:
            ClusterError: NATS is not there, or nobody knows of a gateway that it concerns.
        """
        kept = self._now()
        self._regather(kept)
        self._check(kept, call)
        pushes = route(call, self._subjects, LIMIT)
        with kept.lock:
            numbers = kept.outbound.expire(time.monotonic())
            expired = [kept.questions.pop(number) for number in numbers if number in kept.questions]
            parcels = kept.add(pushes)
        for question in expired:  # not with the lock: who reads takes it while holding the client's
            self._client.forget(question)
        self._send(kept, parcels)

    def _send(self, kept: Kept, parcels: Sequence[Parcel]) -> None:
        if getattr(kept.unflushed, "since", None) is None:
            kept.unflushed.since = time.monotonic()
        plain = [message for parcel in parcels if parcel.joined is None for message in parcel.messages]
        if plain:
            self._client.publish_all(plain)
        for parcel in parcels:
            if parcel.joined is not None:
                self._send_join(kept, parcel, parcel.joined)

    def _send_join(self, kept: Kept, parcel: Parcel, joined: Joined) -> None:
        def confirmed(question: Question) -> None:
            self._client.forget(question)
            with kept.lock:
                kept.questions.pop(joined.number, None)
                if question.error is None or isinstance(question.error, NobodyListensError):
                    kept.outbound.confirm(joined)

        try:
            question = self._client.ask(*parcel.messages[0], confirmed)
        except BaseException:
            with kept.lock:
                kept.outbound.confirm(joined)
            raise
        with kept.lock:
            if not question.is_done:
                kept.questions[joined.number] = question

    def ask(self, call: Call[T]) -> T:
        """Carry a query.

        Raises:
            ClusterError: it was not answered in full.
        """
        kept = self._now()
        self._regather(kept)
        self._check(kept, call)
        gateways = self._gateways(kept) if call.needs_addresses else kept.known.last.all
        requests = requests_of(call, gateways, LIMIT)
        return call.merge(self._gather(kept, requests, is_repeated=True))

    def flush(self) -> None:
        """Return when every gateway has processed all that was sent before, by all threads.

        Raises:
            ClusterError: some of it may be lost.
        """
        kept = self._now()
        problems: list[ClusterError] = []
        since, kept.unflushed.since = getattr(kept.unflushed, "since", None), None
        for step in (partial(self._mark, kept, since), self._client.flush):
            try:
                step()
            except ClusterError as error:
                problems.append(error)
        if problems:
            raise one_error(problems)
        asked = [(self._subjects.gateway(each), MARKER) for each in kept.known.last.all]
        self._elsewhere.ask(self._client, asked)

    def _mark(self, kept: Kept, since: float | None) -> None:
        answers = self._gather(kept, [(each, MARKER) for each in self._gateways(kept)])
        check_returns(answers, since, time.monotonic())

    def _gather(
        self, kept: Kept, requests: Sequence[tuple[str, bytes]], *, is_repeated: bool = False
    ) -> Sequence[tuple[str, bytes]]:
        began = time.monotonic()
        subjects = {self._subjects.gateway(address): address for address, _ in requests}

        def gone(open: Sequence[str]) -> list[str]:
            kept.silent.note([subjects[each] for each in open], [UNANSWERED] * len(open), began)
            kept.known.doubt()
            with contextlib.suppress(ClusterError):
                there = self._gateways(kept)
                return [each for each in open if subjects[each] not in there]
            return []

        asked = [(self._subjects.gateway(address), packet) for address, packet in requests]
        outcomes = self._client.gather(asked, gone=gone, is_repeated=is_repeated)
        kept.silent.note([address for address, _ in requests], outcomes, began)
        gateways: Collection[str] = kept.known.last.all
        if any(isinstance(outcome, ClusterTimeoutError | NobodyListensError) for outcome in outcomes):
            kept.known.doubt()
            gateways = self._gateways(kept)
        return answers_of(requests, outcomes, gateways, self._timeout)

    # Who is there

    def _check(self, kept: Kept, call: Call[Any]) -> None:
        """See that somebody knows of whom a call is for."""
        if call.address is not None:
            if call.address not in kept.known.last.all:
                kept.known.doubt()
                found = self._gateways(kept)
                if call.address not in found:
                    if not self._alive(kept, [call.address]):
                        raise stranger(call.address)
                    self._learn(kept, (*found, call.address))
        elif call.needs_addresses and not self._gateways(kept):
            raise ClusterError(f"{call.name} reaches nobody: no gateway of this cluster is on NATS. Start one")

    def _gateways(self, kept: Kept) -> Collection[str]:
        """The gateways there are, as they were a second ago at most."""
        known = kept.known
        if known.is_fresh:
            return known.last.all
        wanted = time.monotonic()
        with kept.lookup:  # one asks, on behalf of all who wait
            if known.is_fresh:
                return known.last.all
            if kept.began < wanted:
                kept.began = time.monotonic()
                try:
                    self._learn(kept, self._there(kept))
                except ClusterError as error:
                    is_timeout = isinstance(error, ClusterTimeoutError)
                    known.fail((ClusterTimeoutError if is_timeout else ClusterError)(str(error)))
                    raise
            elif known.error is not None:
                raise type(known.error)(str(known.error))
        return known.last.all

    def _learn(self, kept: Kept, addresses: Collection[str]) -> None:
        kept.known.learn(Addresses(tuple(addresses), frozenset(addresses)))

    def _there(self, kept: Kept) -> list[str]:
        """Those who are listed, or were known, and are not known to be gone.

        An entry that is not there says nothing for a while: the servers may have lost it. One that says that it is over
        may be of a gateway that could not write it anew while they chose a leader, as nobody has where the bucket has
        come no further.
        """
        began = time.monotonic()
        known = kept.known.last.all if began - kept.looked < KNOWN_SECONDS else ()
        floor = kept.floor
        found = self._look_up(kept, known)
        kept.looked = began
        listed = {each: found.revisions.get(gateway_key(each), 0) for each in read_gateways(found.entries)}
        if found.last:  # else it tells nothing of who has written
            kept.silent.renewed(listed, found.last)
        over = map(address_of_key, found.gone) if found.last <= floor else ()
        everybody = list(dict.fromkeys((*listed, *known, *filter(None, over))))
        gone = {*kept.silent.are_overdue(everybody, time.monotonic())}
        doubtful = [each for each in everybody if each in gone or each not in listed]
        gone |= {each for each in doubtful if gateway_key(each) in found.gone}
        gone -= {*self._alive(kept, doubtful)}
        kept.silent.forget([each for each in gone if each not in listed])
        return [each for each in everybody if each not in gone]

    def _alive(self, kept: Kept, addresses: Sequence[str]) -> list[str]:
        """Those that answer."""
        if not addresses:
            return []
        began = time.monotonic()
        outcomes = self._client.gather([(self._subjects.gateway(each), MARKER) for each in addresses], PROBE_SECONDS)
        kept.silent.note(addresses, outcomes, began)
        return [each for each, outcome in zip(addresses, outcomes, strict=True) if isinstance(outcome, Message)]

    def _look_up(self, kept: Kept, known: Collection[str]) -> Found:
        try:
            found = self._client.look_up(self._subjects.bucket, GATEWAYS, (kept.floor or None) if known else None)
        except ClusterTimeoutError:
            if not known:
                raise
            return NOTHING  # but the gateways are asked themselves
        except ClusterError as error:
            if not isinstance(error, NobodyListensError) and not is_missing(error):
                raise
            return NOTHING  # nobody has made it yet
        kept.floor = found.last
        return found

    def _regather(self, kept: Kept) -> None:
        """See that the gateways are back on NATS, where the connection is not the one that it was."""
        number = self._client.connect()
        if number == kept.connection:
            return
        with kept.lookup:
            if number == kept.connection:
                return
            kept.known.doubt()
            kept.silent.deaf(self._client.lost_at)
            gateways = list(self._gateways(kept))
            kept.silent.note(gateways, [UNANSWERED] * len(gateways), self._client.lost_at)
            regathering = Regathering(gateways, time.monotonic() + GATHER_SECONDS)
            while regathering.goes_on(time.monotonic()):
                regathering.take(self._alive(kept, regathering.missing))
                gone = kept.silent.are_overdue(regathering.missing, time.monotonic())
                regathering.take(gone)
                if gone:
                    self._learn(kept, [each for each in kept.known.last.all if each not in gone])
                if regathering.missing:
                    time.sleep(PAUSE_SECONDS)
            kept.connection = number

    def _now(self) -> Kept:
        generation = forks.generation()
        kept = self._kept.get(generation)
        if kept is None:
            sender = Outbound.new_sender()
            kept = self._kept.setdefault(generation, Kept(Outbound(self._subjects, sender)))
            for other in list(self._kept):
                if other != generation:
                    self._kept.pop(other, None)
        return kept
