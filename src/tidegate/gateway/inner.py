"""The inner port: links of workers, and connections of push clients (wire protocol, "To a gateway")."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import struct
from collections.abc import Sequence
from typing import Any, cast

from tidegate.cluster.reasons import reason_of
from tidegate.errors import ProtocolError
from tidegate.gateway.arrivals import Arrivals
from tidegate.gateway.commander import Commander, Renew
from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.extensions import Extensions
from tidegate.gateway.inner_link import InnerLink
from tidegate.gateway.reception import FIRST_SECONDS, MAX_LINKS, MAX_UNKNOWN, Reception
from tidegate.gateway.router import Router
from tidegate.gateway.tables import Tables
from tidegate.net.audience import Holder
from tidegate.net.certificates import Certificates
from tidegate.net.listener import Listener
from tidegate.net.reactor import Reactor
from tidegate.net.silence import watch_idle
from tidegate.net.stats import Stats
from tidegate.net.throttle import Throttle
from tidegate.wire import commands
from tidegate.wire.packet import Packet, pack
from tidegate.wire.runs import Run, packets_of

__all__ = ["InnerPort"]

logger = logging.getLogger("tidegate")

PING_SECONDS = 25
CAPABILITIES = json.dumps({"tidegate": 1}, separators=(",", ":")).encode()
FAREWELL = json.dumps({"stops": 1}, separators=(",", ":")).encode()
ANSWER_SIZE = struct.Struct("!I")
READ_SECONDS = 60
"""That a push client may leave its answers unread, once there are too many of them."""
MAX_KEY = 256
"""Characters of a worker_key."""


class InnerPort:
    """One gateway process's.

    Args:
        name: for logs.
        everybody: keeps the audience that all clients are.
        secret_key: that every connection must show; an empty one too.
        max_packet_size: bytes.
        max_session_size, max_groups: of a client.
        send_limit: bytes that may wait for a worker before its clients are read from no more, and of answers for
            anybody before nothing more that it asks is done.
        renew: of the `Commander`.
        pings: whether workers are on other machines, so that connections must not be silent.
        tls: with which connections are secure, and shown to come from the cluster.

    Attributes:
        commander: carries commands out.
        packets: that came.
        bad_commands: that could not be carried out.
    """

    def __init__(
        self,
        name: str,
        router: Router,
        tables: Tables[GatewayConnection],
        everybody: Holder,
        *,
        secret_key: str,
        max_packet_size: int,
        max_session_size: int,
        max_groups: int,
        send_limit: int,
        pings: bool,
        renew: Renew | None = None,
        tls: Certificates | None = None,
    ) -> None:
        self.name = name
        self.stats = Stats()
        self.throttle = Throttle(logger)
        self.reactor = Reactor.acquire()
        self.packets = self.bad_commands = 0
        self._refused = 0
        self._router = router
        self._tables = tables
        self.commander = Commander(tables, everybody, max_session_size, max_groups, renew)
        self._extensions = Extensions(router, self.commander, tables, max_packet_size, self._answer).handlers
        self._reception: Reception[InnerLink] = Reception(secret_key)
        self._tls = tls
        self._max_packet_size = max_packet_size
        self._send_limit = send_limit
        self._links: set[InnerLink] = set()
        self._arrivals: Arrivals[InnerLink] = Arrivals(self._serve_arrival)
        self._is_closing = False
        self._empty = asyncio.Event()  # once it is closing and the last link is gone
        self._listener: Listener | None = None
        self._next_ping = self.reactor.tick + PING_SECONDS if pings else 0
        self.reactor.sweepers.append(self._sweep)

    def open(self, sockets: Sequence[socket.socket]) -> None:
        """Take connections."""
        for sock in sockets:
            watch_idle(sock)
        self._listener = Listener(self, sockets, self._tls.context if self._tls is not None else None)

    def renew(self) -> None:
        """See whether its certificate is another one now."""
        if self._tls is not None:
            self._tls.renew()

    async def close(self, seconds: float) -> None:
        """Take no more, send what is queued, and close."""
        if self._listener is not None:
            self._listener.close()
            # Who is on the way is let in, in a turn or two: uvloop tells nobody of the end of one that is given up.
            while self._listener.busy:  # noqa: ASYNC110
                await asyncio.sleep(0)
        self._arrivals.close()
        self._is_closing = True
        self._empty.clear()
        for link in tuple(self._links):
            if link.worker is not None and link.worker.is_tidegate:
                link.send(pack(commands.PING, ext=FAREWELL))
            link.close()
        if self._links:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)
        for link in tuple(self._links):
            link.destroy()
        if self._sweep in self.reactor.sweepers:
            self.reactor.sweepers.remove(self._sweep)
            self.reactor.release()

    @property
    def refused(self) -> int:
        """Connections whose first packet was wrong or did not come, and those without a right certificate."""
        return self._refused + self.stats.handshake_failures

    @property
    def has_secret(self) -> bool:
        """Whether a connection has to say more than that it is there."""
        return self._reception.has_secret

    @property
    def workers(self) -> int:
        """Workers that are here."""
        return sum(link.worker is not None for link in self._links)

    @property
    def push_clients(self) -> int:
        """Connections of push clients."""
        return len(self._links) - self.workers

    @property
    def over_limits(self) -> dict[str, int]:
        """Commands that were refused for what they would have made of a client."""
        commander = self.commander
        return {"refused_sessions": commander.refused_sessions, "refused_groups": commander.refused_groups}

    # Connections

    def make_connection(self, sock: socket.socket | None) -> InnerLink:
        link = InnerLink(self, self._reception.reader(self._max_packet_size), self._send_limit, sock)
        if sock is not None:
            self._add(link)
        return link

    def give_up(self, connection: InnerLink) -> None:
        connection.abandon()

    def link_made(self, link: InnerLink) -> None:
        """It is here, with TLS where that is asked for."""
        if link not in self._links:
            self._add(link)
        too_many = self._reception.add(link, self.reactor.tick)
        if len(self._links) > MAX_LINKS:
            self._refuse(link, f"there are {MAX_LINKS} connections")
        elif too_many is not None:
            self._refuse(too_many, f"over {MAX_UNKNOWN} connections have sent no first packet, and this is the oldest")

    def _add(self, link: InnerLink) -> None:
        self._links.add(link)
        self._arrivals.add(link)

    def link_received(self, link: InnerLink, runs: list[Run]) -> None:
        if link not in self._arrivals:
            self._serve(link, runs)
        elif runs[0][0] == commands.WORKER_CONNECT or not self._arrivals.hold(link, runs):
            self._serve_arrival(link, runs)

    def _serve_arrival(self, link: InnerLink, runs: list[Run]) -> None:
        self._serve(link, runs)
        if runs[-1][0] != commands.GATEWAY_CLIENT_CONNECT:
            self._arrivals.discard(link)

    def _serve(self, link: InnerLink, runs: list[Run]) -> None:
        send_all = self.commander.send_all_to_one
        for position, run in enumerate(runs, 1):
            command, number, flags, _, bodies, *_ = run
            if (
                command == commands.SEND_TO_ONE
                and flags == commands.SCALAR
                and link.is_known
                and send_all(number, bodies)
            ):
                self.packets += len(bodies)
                continue
            done = self._serve_each(link, run)
            self.packets += done
            if link.closing or link.is_closed:
                return
            if link.stopped is not None:
                link.backlog = runs[position:]
                if done < len(bodies):
                    link.backlog.insert(0, (*run[:4], bodies[done:], *run[5:]))
                return

    def _serve_each(self, link: InnerLink, run: Run) -> int:
        """Serve the packets of a run, until the link is stopped; gives how many."""
        # Most packets are commands of a worker's; what `_carry_out` would do for them is written out here.
        find = self.commander.handlers.get
        done = 0
        for packet in packets_of(run):
            done += 1
            try:
                handler = find(packet[0]) if link.is_known else None
                if handler is not None:
                    if (answer := handler(packet[1], packet[2], packet[3], packet[4])) is not None:
                        self._answer(link, ANSWER_SIZE.pack(len(answer)) + answer)
                elif link.is_known and packet[0] not in GREETINGS:
                    self._carry_out(link, packet)
                else:
                    self._greet(link, packet)
            except ProtocolError as error:
                self._refuse(link, error.reason)
            except ValueError as error:
                self.bad_commands += 1
                self.throttle.log(
                    logging.WARNING, "%s: command %d from %s dropped: %s", self.name, packet[0], link, error
                )
            except Exception:
                self.bad_commands += 1
                logger.exception("%s: command %d from %s failed", self.name, packet[0], link)
            if link.closing or link.is_closed or link.stopped is not None:
                break
        return done

    def _carry_out(self, link: InnerLink, packet: Packet) -> None:
        command, peer = packet[0], link.worker
        if peer is not None and peer.is_tidegate and (handler := self._extensions.get(command)) is not None:
            handler(link, peer, packet)
        elif command != commands.PING:
            answer = self.commander.carry_out(packet)
            if answer is not None:
                self._answer(link, ANSWER_SIZE.pack(len(answer)) + answer)

    def _answer(self, link: InnerLink, *pieces: bytes) -> None:
        for piece in pieces:
            link.send(piece)
        if not link.is_full:
            link.unread = 0
            return
        # Of a worker it is most often full of events, and those are no reason to leave its commands undone.
        link.unread += sum(map(len, pieces))
        if link.worker is None or link.unread > self._send_limit:
            link.stopped = self.reactor.tick
            link.pause_reading()

    def link_drained(self, link: InnerLink) -> None:
        if link.stopped is not None:
            link.stopped, link.unread = None, 0
            backlog, link.backlog = link.backlog, []
            self._serve(link, backlog)
            if link.stopped is None:
                link.resume_reading()
        if link.worker is not None:
            self._router.link_drained(link.worker)

    def link_lost(self, link: InnerLink, error: Exception | None) -> None:
        self._links.discard(link)
        self._arrivals.discard(link)
        self._reception.discard(link)
        if not self._links:
            self._empty.set()
        if isinstance(error, ProtocolError) and not link.is_known:
            self._count_refused(link, f"it sent {error.reason}")
        elif isinstance(error, ProtocolError):
            self.stats.protocol_errors += 1
            self.throttle.log(logging.WARNING, "%s: %s closed: %s", self.name, link, error.reason)
        peer = link.worker
        if peer is not None and peer.link is link:
            if isinstance(error, TimeoutError):
                logger.warning("%s: worker %s is lost: %s", self.name, peer.key, reason_of(error))
            else:
                logger.info("%s: worker %s is gone", self.name, peer.key)
            if not self._is_closing:  # or what it has is in good hands: it does not die, we do
                self._router.leave(peer)

    # First packets

    def _greet(self, link: InnerLink, packet: Packet) -> None:
        """See who a connection is.

        Raises:
            ProtocolError: nobody who may come in.
            ValueError: a push client without a greeting, whose command can't be carried out.
        """
        command = packet[0]
        if command not in GREETINGS:
            if self.has_secret:
                raise ProtocolError(f"its first packet, command {command}, shows no secret_key")
            self._admit(link)
            self._carry_out(link, packet)
            return
        says = self._reception.read_greeting(packet[4])
        if link.worker is not None:
            raise ProtocolError("a worker that would be somebody else")
        self._admit(link)
        if command == commands.WORKER_CONNECT:
            self._greet_worker(link, says)

    def _admit(self, link: InnerLink) -> None:
        link.is_known = True
        self._reception.discard(link)

    def _greet_worker(self, link: InnerLink, says: dict[str, Any]) -> None:
        key = says.get("worker_key")
        if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY:
            raise ProtocolError(f"a worker without a worker_key of 1 to {MAX_KEY} characters")
        is_tidegate = says.get("tidegate") == 1
        wanted = None
        if is_tidegate:
            link.send(pack(commands.PING, ext=CAPABILITIES))
            if isinstance(events := says.get("events"), list):
                wanted = frozenset(number for number, name in commands.EVENT_NAMES.items() if name in events)
        link.worker, replaced = self._router.join(f"{link.peer[0]}:{key}", link, is_tidegate, wanted)
        link.watch()
        logger.info("%s: worker %s is here", self.name, link.worker.key)
        if replaced is not None:
            cast("InnerLink", replaced).worker = None
            if is_tidegate:
                replaced.destroy()  # what was queued there has gone to others
            else:
                replaced.close()

    def _refuse(self, link: InnerLink, reason: str) -> None:
        self._count_refused(link, reason)
        self._reception.discard(link)
        link.flush()  # answers to what came before
        link.destroy()

    def _count_refused(self, who: object, reason: str) -> None:
        self._refused += 1
        self.throttle.log(logging.WARNING, "%s: connection from %s refused: %s", self.name, who, reason)

    # Time

    def _sweep(self) -> None:
        self.throttle.flush()
        tick = self.reactor.tick
        if self._tls is not None:
            self._tls.look()
        for link in self._reception.late(tick):
            self._refuse(link, f"no first packet in {FIRST_SECONDS} s")
        for link in tuple(self._links):
            if link.worker is None and link.stopped is not None and tick - link.stopped > READ_SECONDS:
                self.throttle.log(logging.WARNING, "%s: %s asks and reads no answers, it is closed", self.name, link)
                link.destroy()
        if self._next_ping and tick >= self._next_ping:
            self._next_ping = tick + PING_SECONDS
            for link in self._links:
                if link.worker is not None:
                    link.send(pack(commands.PING))


GREETINGS = frozenset((commands.WORKER_CONNECT, commands.GATEWAY_CLIENT_CONNECT))
