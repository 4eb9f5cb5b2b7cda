"""Carries the push API over NATS for asyncio: all that a process sends and asks goes over one connection, in its order.

After a connection was lost the gateways are back on NATS at different moments, and what is published for one that is
not there yet reaches nobody: so nothing is published before those that were known have answered.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tidegate.client.call import Call
from tidegate.client.nats.elsewhere import Elsewhere
from tidegate.client.nats.outbound import Joined, Outbound, Parcel
from tidegate.client.nats.regathering import GATHER_SECONDS, PAUSE_SECONDS, PROBE_SECONDS, Regathering
from tidegate.client.nats.returns import MARKER, check_returns
from tidegate.client.nats.routing import Copies, answers_of, requests_of
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.inbox import NobodyListensError, Question
from tidegate.cluster.nats.members import Members
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.url import NatsPlace
from tidegate.cluster.reasons import one_error
from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = ["NatsCarrier"]

T = TypeVar("T")

HELD_SECONDS = 10.0
"""That what is sent waits for NATS to be there again."""
MOST = 4
"""How many times the limit may wait, where nobody waits for room."""
MUCH = 4
"""The part of the limit over which senders who can wait do, while there is no connection."""
SWEEP_SECONDS = 1.0
PROMPT_SECONDS = 1.5
"""In which the gateways are named, as a rule; later it is looked what hinders that."""


class NatsCarrier:
    """One process's, in one loop, from `start` to `stop`.

    Args:
        name: of this process, as NATS shows it to who operates it.
        limit: bytes that may wait to leave before `has_room` waits; four times as many are taken.
        max_packet_size: bytes.
        changed: is called when a gateway has come or gone.
        lost: is called with how many commands will never be sent, and why.

    Attributes:
        client: the connection.
        members: the gateways there are.
        subjects: of the cluster.
        sent: packets that have left, copies not among them.
    """

    def __init__(
        self,
        place: NatsPlace,
        *,
        name: str,
        limit: int,
        max_packet_size: int,
        changed: Callable[[], None] | None = None,
        lost: Callable[[int, str], None] | None = None,
    ) -> None:
        self.client = NatsClient(place, lambda _: None, name=name, on_state=self._state_changed, limit=limit)
        self.members = Members(self.client, changed or _nothing)
        self.subjects = self.client.subjects
        self.max_packet_size = max_packet_size
        self.sent = 0
        self._outbound = Outbound(self.subjects, self.client.id)
        self._elsewhere = Elsewhere(place, name)
        self._limit = limit
        self._tell_lost = lost
        self._lost = 0  # since the last flush
        self._unflushed: float | None = None  # when the first of those was sent that no flush has waited for
        self._loop = asyncio.get_running_loop()
        self._is_due = False
        self._clear = asyncio.Event()  # nothing is held, and nothing needs to be
        self._is_open = False
        self._questions: dict[int, Question] = {}  # by the number of what is to be confirmed
        self._held: deque[tuple[float, Parcel]] = deque()
        self._held_size = 0
        self._work: asyncio.Task[None] | None = None  # that ends with `_publish_held`
        self._timer: asyncio.TimerHandle | None = None

    # From the start to the end

    def start(self) -> None:
        """Begin to connect, and to listen for who is there."""
        self.client.start()
        self.members.start()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def known(self, seconds: float) -> None:
        """Wait until the gateways are known.

        Raises:
            ConfigurationError: NATS can't do what is needed.
            ClusterTimeoutError: it can't be reached, or does not tell.
        """
        deadline = time.monotonic() + seconds
        await self.client.connected(seconds)
        if await self.members.listed(min(PROMPT_SECONDS, seconds)):
            return
        await Bucket(self.client, self.subjects.bucket).open(
            max(1.0, deadline - time.monotonic())
        )  # tells what is wrong
        if not await self.members.listed(max(0.0, deadline - time.monotonic())):
            raise ClusterTimeoutError(f"NATS server {self.client.server} did not name the gateways in {seconds:g} s")

    async def stop(self) -> None:
        """Send what waits, and hang up."""
        self.publish()
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()
        await self.members.stop()
        await self._elsewhere.stop()
        await self.client.stop()
        self._give_up("the process ends", float("inf"))

    # Sending

    def snapshot(self) -> dict[str, int]:
        """What was counted."""
        counters = self.client.counters
        return {
            "nats_gateways": len(self.members.gateways),
            "nats_connections": counters.connections,
            "nats_unconfirmed": counters.unconfirmed,
            "joins_unconfirmed": self._outbound.unconfirmed,
        }

    def push(self, copies: Copies) -> None:
        """Send one push at the end of this turn."""
        self._outbound.push(copies)
        self._note()

    def tell(self, address: str, packet: bytes) -> None:
        """Send a command about a client of a gateway's at the end of this turn."""
        self._outbound.tell(address, packet)
        self._note()

    def _note(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.publish)

    def publish(self) -> None:
        """Send now what is to leave at the end of this turn; where that can't be, it is held."""
        self._is_due = False
        parcels = self._outbound.take()
        if parcels and self._unflushed is None:
            self._unflushed = time.monotonic()
        for parcel in parcels:
            if self._is_open and not self._held and not self.client.is_full:
                self._send(parcel)
            else:
                self._hold(parcel)

    def _send(self, parcel: Parcel) -> None:
        joined = parcel.joined
        try:
            if joined is None:
                self.client.publish_all(parcel.messages)
            else:
                question = self.client.ask(*parcel.messages[0], lambda question: self._confirmed(joined, question))
                self._questions[joined.number] = question
        except (ClusterError, ValueError) as error:
            self._lose(parcel, str(error))
        else:
            self.sent += parcel.packets

    def _confirmed(self, joined: Joined, question: Question) -> None:
        self.client.forget(question)
        self._questions.pop(joined.number, None)
        if question.error is None or isinstance(question.error, NobodyListensError):
            self._outbound.confirm(joined)

    def _lose(self, parcel: Parcel, reason: str) -> None:
        self._lost += parcel.packets
        if parcel.joined is not None:
            self._outbound.confirm(parcel.joined)
        if self._tell_lost is not None:
            self._tell_lost(parcel.packets, reason)

    # What waits

    def _hold(self, parcel: Parcel) -> None:
        if self._held_size > MOST * self._limit:
            self._lose(parcel, f"{self._held_size} bytes wait for NATS already")
            return
        self._held.append((time.monotonic(), parcel))
        self._held_size += parcel.size
        self._clear.clear()
        if self._is_open and (self._work is None or self._work.done()):
            self._work = self._loop.create_task(self._drain())

    async def _drain(self) -> None:
        while self._held:
            await self.client.drained()
            self._publish_held()
            await asyncio.sleep(0)

    def _publish_held(self) -> None:
        while self._held and self._is_open and not self.client.is_full:
            _, parcel = self._held.popleft()
            self._held_size -= parcel.size
            self._send(parcel)
        if self._is_open and not self._held:
            self._clear.set()

    def _give_up(self, reason: str, before: float) -> None:
        """Lose what was held until then."""
        while self._held and self._held[0][0] <= before:
            _, parcel = self._held.popleft()
            self._held_size -= parcel.size
            self._lose(parcel, reason)

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        now = time.monotonic()
        for number in self._outbound.expire(now):
            question = self._questions.pop(number, None)
            if question is not None:
                self.client.forget(question)
        if not self._is_open:
            self._give_up(self._problem, now - HELD_SECONDS)

    @property
    def holds(self) -> bool:
        """Whether anything waits that has not left."""
        return bool(self._held)

    @property
    def is_full(self) -> bool:
        """Whether senders who can wait should."""
        return self.client.is_full or self._held_size > self._limit // MUCH

    async def has_room(self) -> None:
        """Wait while too much waits to leave."""
        while self.is_full:
            if self._held:
                await self._clear.wait()
            else:
                await self.client.drained()

    async def ready(self, seconds: float) -> None:
        """Wait until what was sent has left, as most often it does at once.

        Raises:
            ClusterTimeoutError: it could not in so many seconds; what has waited for so long is lost.
        """
        self.publish()
        if self._is_open and not self._held:
            return
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                await self._clear.wait()
        except TimeoutError:
            reason = self._problem
            self._give_up(reason, began)
            raise ClusterTimeoutError(f"nothing could be sent over NATS for {seconds:g} s: {reason}") from None

    @property
    def _problem(self) -> str:
        """Why what is sent waits."""
        if self.client.problem:
            return self.client.problem
        return "it does not take what was sent before" if self._is_open else "the gateways are not back on it yet"

    def _state_changed(self, is_there: bool) -> None:
        if self._work is not None:
            self._work.cancel()
        self._is_open = False
        self._clear.clear()
        if is_there:
            self._work = self._loop.create_task(self._reopen())

    async def _reopen(self) -> None:
        """There is a connection: begin to publish when the gateways have theirs."""
        regathering = Regathering(self.members.gateways, time.monotonic() + GATHER_SECONDS)
        while regathering.goes_on(time.monotonic()):
            asked = [(self.subjects.gateway(each), MARKER) for each in regathering.missing]
            outcomes = await self.client.gather(asked, PROBE_SECONDS)
            regathering.take(
                [
                    each
                    for each, outcome in zip(regathering.missing, outcomes, strict=True)
                    if isinstance(outcome, Message) or each not in self.members.gateways
                ]
            )
            if regathering.missing:
                await asyncio.sleep(PAUSE_SECONDS)
        self._is_open = True
        self._publish_held()
        await self._drain()

    # Asking

    async def ask(self, call: Call[T], seconds: float) -> T:
        """Ask all gateways that are concerned, behind all that was sent before.

        Raises:
            ClusterError: one of them did not answer, or nobody can be asked.
        """
        await self.ready(seconds)
        requests = requests_of(call, self.members.gateways, self.max_packet_size)
        asked = [(self.subjects.gateway(address), packet) for address, packet in requests]
        outcomes = await self.client.gather(asked, seconds, is_repeated=True)
        return call.merge(answers_of(requests, outcomes, self.members.gateways, seconds))

    async def carried_out(self, seconds: float) -> None:
        """Wait until every gateway has carried out all that was sent before.

        Raises:
            ClusterError: one did not answer.
        """
        await self._mark(seconds, None)

    async def _mark(self, seconds: float, since: float | None) -> None:
        await self.ready(seconds)
        requests = [(address, MARKER) for address in self.members.gateways]
        outcomes = await self.client.gather([(self.subjects.gateway(each), MARKER) for each, _ in requests], seconds)
        answers = answers_of(requests, outcomes, self.members.gateways, seconds)
        check_returns(answers, since, time.monotonic())

    async def flush(self, seconds: float) -> None:
        """Wait until every gateway has carried out all that was sent before, and listens to the names that it was told.

        Raises:
            ClusterError: one did not answer, or something sent since the last flush was or may be lost.
        """
        problems: list[ClusterError] = []
        self.publish()
        since, self._unflushed = self._unflushed, None
        for step in (partial(self._mark, seconds, since), partial(self.client.flush, seconds)):
            try:
                await step()
            except ClusterError as error:
                problems.append(error)
        if not problems:
            await self._elsewhere.ask(
                self.client, [(self.subjects.gateway(each), MARKER) for each in self.members.gateways]
            )
        lost, self._lost = self._lost, 0
        if lost:
            problems.append(ClusterError(f"{lost} commands since the last flush were not sent over NATS"))
        if problems:
            raise one_error(problems)


def _nothing() -> None:
    """Who need not be told."""
