"""Keeps the link to one gateway: made, greeted, made again when it ends. Finds out when the gateway is gone for good.

The clients of one that is gone are closed here, since nobody else can.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from tidegate.business.client import Client
from tidegate.business.dispatcher import Dispatcher
from tidegate.business.link import GatewayLink
from tidegate.business.muster import Muster
from tidegate.business.remote import RemoteGateway
from tidegate.cluster.place import split_place
from tidegate.cluster.reasons import cause_of_refusal, reason_of
from tidegate.errors import ClusterError
from tidegate.net.link import connect_link
from tidegate.wire import commands, php
from tidegate.wire.packet import pack
from tidegate.wire.runs import RunReader

__all__ = ["Keeper"]

logger = logging.getLogger("tidegate")

CONNECT_SECONDS = 3.0
RETRY_SECONDS = 1.0
GREETING_SECONDS = 1.0
"""For a gateway that Register calls Tidegate's to say so itself."""
REFUSALS = 2
"""Links in a row that ended at once and without a word, before that counts as refusing us: who stops does so once."""
GONE_SECONDS = 5.0
"""After which a gateway whose link ended, and that has not come back, is gone with its clients."""
CLOSED_A_TURN = 200
"""Clients of a gateway that is gone, whose on_close is called in one turn."""
ASKED_A_PACKET = 5_000
LOOK_SECONDS = 60
"""Between looks for clients whose end another worker was told of, as a gateway with a router of the user's own does."""
LOOK_PARTS = 10
"""In which all clients are looked for, one part at a time."""


class Keeper:
    """One gateway's.

    Args:
        greeting: the first packet on each link.
        changed: is called when a link is made, known to be Tidegate's, or gone.
    """

    def __init__(
        self, gateway: RemoteGateway, dispatcher: Dispatcher, greeting: bytes, changed: Callable[[], None]
    ) -> None:
        self.gateway = gateway
        self._dispatcher = dispatcher
        self._greeting = greeting
        self._changed = changed
        self._is_told = False  # people, that there is no link
        self._cut_off = 0  # links in a row
        self._calm_until = 0.0  # for a gateway that went in good order to be back, or listed no more
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_wanted = asyncio.Event()  # the link, at once
        self._seconds = 0
        self._gone: asyncio.TimerHandle | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether it keeps a link, or tries to make one."""
        return self._task is not None

    def start(self, muster: Muster) -> None:
        """Begin; the gateway is greeted together with others."""
        self._task = asyncio.create_task(self._keep(muster))

    def hurry(self) -> None:
        """Register names the gateway again: connect now, where there is no link."""
        if self.gateway.link is None:
            self._is_wanted.set()

    def hold(self) -> None:
        """Make no more links; the one that there is stays."""
        if self._task is not None:
            self._task.cancel()
        if self._gone is not None:
            self._gone.cancel()
        self.gateway.await_link(False)

    async def stop(self) -> None:
        """End everything."""
        self.hold()
        tasks = [*self._tasks, *((self._task,) if self._task is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.gateway.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do for a gateway that is listed no more."""
        gateway = self.gateway
        return not (gateway.is_listed or gateway.link or gateway.clients or self._task or self._tasks)

    # Links

    async def _keep(self, muster: Muster | None) -> None:
        gateway = self.gateway
        try:
            while gateway.is_listed:
                known = dict(gateway.clients)  # of links before
                self._is_wanted.clear()
                try:
                    link = await self._connect(muster)
                except OSError as error:
                    if asyncio.get_running_loop().time() >= self._calm_until:
                        self._warn("gateway %s can't be reached: %s", reason_of(error))
                else:
                    await self._stay(link, known)
                muster = None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._is_wanted.wait(), RETRY_SECONDS)
        finally:
            self._task = None

    async def _connect(self, muster: Muster | None) -> GatewayLink:
        gateway = self.gateway
        reader = RunReader(gateway.max_packet_size)
        place = split_place(gateway.address)
        try:
            link: GatewayLink = await connect_link(
                GatewayLink, *place, CONNECT_SECONDS, gateway, reader, gateway.limit, trust=gateway.trust
            )
        finally:
            if muster is not None:
                muster.arrive()
        if muster is not None:
            await self._wait_for_others(link, muster)
        if link.is_closed:
            raise ConnectionResetError("it hung up")
        gateway.linked(link, self._greeting)
        if self._gone is not None:
            self._gone.cancel()
        self._changed()
        return link

    async def _wait_for_others(self, link: GatewayLink, muster: Muster) -> None:
        try:
            await muster.wait()
        except BaseException:  # the gateway does not know of it yet, and would not close it
            link.destroy()
            raise

    async def _stay(self, link: GatewayLink, known: dict[int, Client]) -> None:
        """See a link to its end."""
        gateway = self.gateway
        loop = asyncio.get_running_loop()
        began = loop.time()
        if gateway.is_listed_tidegate:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gateway.greeted.wait(), GREETING_SECONDS)
        if gateway.link is link:
            gateway.greeted.set()
            self._changed()
            if self._is_told and link.is_tidegate:
                self._is_told = False
                self._log(logging.INFO, "there is a link to gateway %s again", gateway.address)
            if known:
                await self._recognize(link, known)
        await gateway.lost.wait()
        self._changed()
        if loop.time() - began < RETRY_SECONDS and not link.is_tidegate and not link.received:
            self._cut_off += 1
        else:
            self._cut_off, self._is_told = 0, False
        self._note_end(link)
        self._gone = loop.call_later(GONE_SECONDS, self.bury)

    def _note_end(self, link: GatewayLink) -> None:
        """Say what a link's end means, which is nothing bad where the gateway stops in good order."""
        gateway = self.gateway
        if self._cut_off >= REFUSALS:
            cause = cause_of_refusal(self.gateway.trust is not None)
            self._warn("gateway %s refuses us, most likely because %s. Trying again", cause, level=logging.ERROR)
        elif self._cut_off:
            self._log(logging.INFO, "gateway %s hung up at once", gateway.address)
        elif gateway.has_left:
            self._calm("gateway %s has stopped")
        elif gateway.error is not None:
            self._warn("the link to gateway %s broke: %s", _reason(gateway.error))
        elif link.is_tidegate:
            self._warn("gateway %s hung up and had not said that it stops: most likely its process has died")
        else:  # PHP's never say so
            self._calm("gateway %s hung up")

    def _calm(self, message: str) -> None:
        """Log that a gateway went in good order. Whether it stays away is seen later."""
        self._calm_until = asyncio.get_running_loop().time() + GONE_SECONDS
        self._log(logging.INFO, message, self.gateway.address)

    def _warn(self, message: str, *args: object, level: int = logging.WARNING) -> None:
        """Log that there is no link, once and not each second."""
        if not self._is_told:
            self._is_told = True
            self._log(level, message, self.gateway.address, *args)

    def _log(self, level: int, message: str, *args: object) -> None:
        logger.log(level, f"%s: {message}", self._dispatcher.name, *args)

    # When it is gone

    async def _recognize(self, link: GatewayLink, known: dict[int, Client]) -> None:
        """There is a link again: see whether it is to the same process, which has our clients still."""
        gateway = self.gateway
        try:
            online = await self._online(tuple(known))
        except ClusterError as error:
            self._log(logging.WARNING, "which clients are still there can't be asked: %s", error)
            online = set(known)
        if gateway.link is not link:
            return
        if gateway.is_frozen:
            gateway.thaw(sent_again=bool(online))
        self._close(client for number, client in known.items() if number not in online)

    async def _online(self, numbers: Sequence[int]) -> set[int]:
        gateway = self.gateway
        online: set[int] = set()
        for start in range(0, len(numbers), ASKED_A_PACKET):
            part = {str(number): number for number in numbers[start : start + ASKED_A_PACKET]}
            asked = {"fields": ["uid"], "where": {"connection_id": part}}
            answer = await gateway.ask(pack(commands.SELECT, ext=json.dumps(asked, separators=(",", ":")).encode()))
            try:
                online.update(number for number in php.loads_array(answer) if isinstance(number, int))
            except php.PHPValueError as error:
                raise ClusterError(f"gateway {gateway.address} answered with what can't be read: {error}") from error
        return online

    def sweep(self) -> None:
        """Once a second."""
        self.gateway.sweep()
        self._seconds += 1
        if self._seconds % LOOK_SECONDS == 0 and self.gateway.link is not None and self.gateway.greeted.is_set():
            self._begin(self._look_for_gone())

    async def _look_for_gone(self) -> None:
        """Forget clients that are not there any more, of which no event tells this worker. Those that were looked for
        go to the end of the table."""
        gateway = self.gateway
        clients = gateway.clients
        part = tuple(itertools.islice(clients, len(clients) // LOOK_PARTS + 1))
        for number in part:
            clients[number] = clients.pop(number)
        try:
            online = await self._online(part)
        except ClusterError:
            return
        for number in part:
            client = clients.get(number)
            if number not in online and client is not None and not (client._is_running or client._waiting):
                gateway.forget(client)

    def bury(self) -> None:
        """The gateway is gone, unless it has come back: what had come of it is handled, and its clients are closed."""
        gateway = self.gateway
        if gateway.link is not None:
            return
        if gateway.clients and not gateway.has_left:
            self._log(logging.WARNING, "gateway %s is gone with %d clients", gateway.address, len(gateway.clients))
        gateway.thaw(sent_again=False)
        self._close(gateway.clients.values())

    def _close(self, clients: Iterable[Client]) -> None:
        """Have the handlers told that clients are gone."""
        gone = tuple(clients)
        if gone:
            self._begin(self._close_in_parts(gone))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close_in_parts(self, clients: Sequence[Client]) -> None:
        for start in range(0, len(clients), CLOSED_A_TURN):
            while self._dispatcher.check():  # noqa: ASYNC110 - nobody is told but those who read
                await asyncio.sleep(0.01)
            for client in clients[start : start + CLOSED_A_TURN]:
                if self.gateway.knows(client):
                    self._dispatcher.end(client)
            await asyncio.sleep(0)


def _reason(error: Exception) -> str:
    return reason_of(error) if isinstance(error, OSError) else f"it sent {error}"
