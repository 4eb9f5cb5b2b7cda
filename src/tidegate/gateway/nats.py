"""The door to NATS: a gateway makes itself known there, and carries out what is published for its clients.

What comes are the packets of the inner protocol. All subjects have one connection, and what comes on it is carried out
in its order.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from importlib.metadata import version

from tidegate.client.nats.returns import encode_return
from tidegate.cluster.nats.announced import encode_gateway, gateway_key
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.lease import Lease
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.url import NatsPlace
from tidegate.errors import ClusterError, ConfigurationError
from tidegate.gateway.commander import Commander
from tidegate.gateway.copies import Copies
from tidegate.gateway.interest import Interest
from tidegate.net.throttle import Throttle
from tidegate.wire.commands import MARK, PUSH_ID, ROLL_CALL, SCALAR, SEND_TO_ONE
from tidegate.wire.runs import Run, packets_of, scan_runs

__all__ = ["NatsDoor"]

logger = logging.getLogger("tidegate")

HOLD_SECONDS = 5.0
"""That answers wait for a connection that was lost."""
MAX_EARLY = 10_000
"""Messages that wait for the gateway to be sure of its address."""
MAX_EARLY_SIZE = 16 * 1024 * 1024
"""Bytes of these."""
OPEN_SECONDS = 2.0
"""For the bucket, until it is looked whether there is another way."""
RETRY_SECONDS = 1.0


class NatsDoor:
    """One gateway process's.

    Args:
        name: for logs.
        address: of its inner port.
        zone: whose workers serve its clients.
        max_packet_size: bytes.

    Attributes:
        client: the connection.
        interest: which subjects of names it listens to.
        packets: that came.
        bad_commands: that could not be carried out.
        unanswered: queries whose answer could not be sent, and what came too early and was too much to be kept.
        copies: of pushes that came several times.
    """

    def __init__(self, name: str, place: NatsPlace, address: str, zone: str, max_packet_size: int) -> None:
        self.client = NatsClient(
            place,
            self._received,
            name=f"tidegate gateway {address}",
            on_state=self._state_changed,
            hold_seconds=HOLD_SECONDS,
        )
        self._back: float | None = None  # when it was on NATS again, if ever it was away
        self.interest = Interest(self.client, self.client.subjects)
        self.copies = Copies()
        self.packets = self.bad_commands = self.unanswered = 0
        self._name = name
        self._place = place
        self._address = address
        self._max_packet_size = max_packet_size
        self._commander: Commander  # from when it is open
        self._throttle: Throttle
        self._bucket = Bucket(self.client, self.client.subjects.bucket)
        says = encode_gateway(address, zone, version("tidegate"))
        self._lease = Lease(self._bucket, gateway_key(address), says, self._lost)
        self._own = 0  # the subscription to its own subject
        self._early: list[Message] | None = []  # until it is sure that nobody else has its address
        self._early_size = 0
        self._joined: list[str] = []  # where it is to be confirmed that names were given
        self._joining: asyncio.Task[None] | None = None

    async def open(self, commander: Commander, throttle: Throttle, seconds: float) -> None:
        """Take what is published, and make the gateway known; where NATS is not there yet, as soon as it is.

        Args:
            commander: carries commands out.
            throttle: logs what is wrong with them.
            seconds: to wait for NATS.

        Raises:
            ConfigurationError: another gateway has this address, or NATS can't do what is needed.
        """
        self._commander, self._throttle = commander, throttle
        client = self.client
        client.subscribe(client.subjects.all)
        self._own = client.subscribe(client.subjects.gateway(self._address))
        self._lease.listen()
        client.start()
        try:
            await client.connected(seconds)
            await self._bucket.open(seconds)
            await self._take_address()
        except ClusterError as error:
            logger.warning("%s: not known on NATS yet, it serves all the same: %s", self._name, error)
            self._presume_address()
            self._joining = asyncio.get_running_loop().create_task(self._join_later())

    async def _take_address(self) -> None:
        if not await self._lease.take():
            raise ConfigurationError(
                f"gateway {self._name!r}: another gateway of {self._place} has the address {self._address} already: "
                "give each machine its own lan_ip=, and each gateway on a machine another start_port="
            )
        self._begin()

    def _begin(self) -> None:
        early, self._early = self._early or [], None
        self._received(early)

    def _presume_address(self) -> None:
        if self._early is not None and self._lease.presume():
            logger.warning("%s: known on this side of a cut of NATS alone, until its bucket is there", self._name)
            self._begin()

    async def _join_later(self) -> None:
        problem = ""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                await self.client.connected(HOLD_SECONDS)
                await self._bucket.open(OPEN_SECONDS)
                await self._take_address_late()
            except ClusterError:
                self._presume_address()
            except ConfigurationError as error:  # of another server, or once it reaches more of them, it may be none
                if str(error) != problem:
                    problem = str(error)
                    logger.error("%s: NOT KNOWN ON NATS: %s", self._name, error)
            else:
                return

    async def _take_address_late(self) -> None:
        try:
            await self._take_address()
        except ConfigurationError as error:
            logger.error("%s: NOT KNOWN ON NATS: %s", self._name, error)
            self._lost()

    def _lost(self) -> None:
        """Another process has this address: what is published for it is not for us."""
        self.client.unsubscribe(self._own)

    async def leave(self) -> None:
        """Be known no more; what is published is carried out still."""
        if self._joining is not None:
            self._joining.cancel()
        await self._lease.give_back()

    async def close(self) -> None:
        """Hang up."""
        await self.leave()
        await self.client.stop()

    def _state_changed(self, is_there: bool) -> None:
        if not is_there:
            return
        self._lease.connected()
        if self.client.counters.connections > 1:
            self._back = time.monotonic()
            self._lease.speak()  # who has missed it may count it as gone in a moment

    # What comes

    def _received(self, messages: Sequence[Message]) -> None:
        if self._early is not None:
            for message in messages:
                self._keep(self._early, message)
            return
        for message in messages:
            self._carry_out(message)
        self._confirm()

    def _keep(self, early: list[Message], message: Message) -> None:
        size = self._early_size + len(message.payload)
        if len(early) < MAX_EARLY and size <= MAX_EARLY_SIZE:
            early.append(message)
            self._early_size = size
        else:
            self.unanswered += 1

    def _carry_out(self, message: Message) -> None:
        payload = message.payload
        runs: list[Run] = []
        if scan_runs(payload, self._max_packet_size, runs) != len(payload):
            self._refuse(message, "what is no packet, or over max_packet_size")
        if runs and runs[0][0] == PUSH_ID:
            mark = runs.pop(0)
            if not self.copies.is_first(mark[3], mark[1]):
                return
        answers: list[bytes] = []
        for run in runs:
            self._serve(message, run, answers)
        if not message.reply:
            return
        if answers:
            self._confirm()
            for answer in answers:
                self._answer(message.reply, answer)
        else:
            self._joined.append(message.reply)

    def _serve(self, message: Message, run: Run, answers: list[bytes]) -> None:
        command, number, flags, _, bodies, *_ = run
        self.packets += len(bodies)
        if command == SEND_TO_ONE and flags == SCALAR and self._commander.send_all_to_one(number, bodies):
            return
        if command == MARK:
            answers.append(encode_return(None if self._back is None else time.monotonic() - self._back))
            return
        if command == ROLL_CALL:
            if self._lease.is_held:
                answers.append(self._lease.value)
            return
        for packet in packets_of(run):
            try:
                answer = self._commander.carry_out(packet)
            except ValueError as error:
                self._refuse(message, f"command {command}: {error}")
            except Exception:
                self.bad_commands += 1
                logger.exception("%s: command %d over NATS failed", self._name, command)
            else:
                if answer is not None:
                    answers.append(answer)

    def _refuse(self, message: Message, reason: str) -> None:
        self.bad_commands += 1
        self._throttle.log(logging.WARNING, "%s: dropped from %s on NATS: %s", self._name, message.subject, reason)

    def _confirm(self) -> None:
        """Say that names were given, behind the subscriptions to them: who hears it may rely on these."""
        self.interest.settle()
        joined, self._joined = self._joined, []
        for reply in joined:
            self._answer(reply, b"")

    def _answer(self, reply: str, answer: bytes) -> None:
        try:
            self.client.publish_parts(reply, answer)
        except (ClusterError, ValueError) as error:
            self.unanswered += 1
            self._throttle.log(logging.WARNING, "%s: an answer over NATS is lost: %s", self._name, error)

    def snapshot(self) -> dict[str, int]:
        """What was counted."""
        counters = self.client.counters
        return {
            "nats_packets": self.packets,
            "nats_copies": self.copies.skipped,
            "nats_subscriptions": len(self.interest),
            "nats_unanswered": self.unanswered + counters.expired,
            "nats_connections": counters.connections,
        }
