"""The push API for programs that block: scripts, Django, Flask, task queues."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tidegate.client import failures, forks
from tidegate.client.api import PushAPI
from tidegate.client.call import Call
from tidegate.client.connection import Connection
from tidegate.client.exchange import exchange, send
from tidegate.client.known import KnownGateways
from tidegate.client.ledger import PROBE
from tidegate.client.options import read_options
from tidegate.client.outcomes import Groups, answers_of, grouped, may_be_outdated, raise_errors, still_there, untried
from tidegate.client.store import ConnectionStore
from tidegate.client.transfer import Transfer
from tidegate.cluster.lookup import look_up
from tidegate.cluster.trust import Trust
from tidegate.errors import ClusterError
from tidegate.wire.register_line import Addresses

if TYPE_CHECKING:
    from tidegate.client.nats.blocking import BlockingNatsPush

__all__ = ["GatewayClient"]

T = TypeVar("T")

NO_ADDRESSES = Addresses()


class Kept:
    """What a client keeps between calls, in one process: after a fork the child has its own."""

    __slots__ = ("known", "lookup", "store")

    def __init__(self, trust: Trust | None) -> None:
        self.store = ConnectionStore(trust)
        self.known = KnownGateways()
        self.lookup = threading.RLock()  # re-entered where a signal's handler pushes


class GatewayClient(PushAPI):
    """Pushes to clients, and asks about them, from any program.

    It may be used from any number of threads and after a fork; make one and keep it. What has returned is carried out
    before what is called next, in whichever threads, unless a connection breaks in between. The connection to a gateway
    is kept, shared by all threads of a process, and opened again where the gateway has closed it. A command is repeated
    only where nothing of it had been sent; otherwise the caller is told, or the next `flush`.

    Args:
        cluster: ``host:port`` of a Register, or a list of them, or a ``nats://`` URL; else TIDEGATE_CLUSTER, else
            127.0.0.1:1236.
        secret_key: of the cluster; else TIDEGATE_SECRET_KEY. It is sent only to gateways that Register has named.
        cluster_ssl: `ClusterTLS`, or its three file paths, where the cluster has it; else TIDEGATE_CLUSTER_SSL.
        connect_timeout: seconds for a Register, a gateway or NATS to accept a connection.
        timeout: seconds for it to answer; gateways that don't cost a call no more than that all together.

    Raises:
        ConfigurationError: one of these can't be used.
    """

    def __init__(
        self,
        cluster: str | Sequence[str] | None = None,
        *,
        secret_key: str | None = None,
        connect_timeout: float = 3,
        timeout: float = 5,
        cluster_ssl: Sequence[str] | None = None,
    ) -> None:
        self._options = read_options(cluster, secret_key, connect_timeout, timeout, cluster_ssl)
        self._kept: dict[int, Kept] = {}
        self._nats: BlockingNatsPush | None = None  # where the cluster is there
        if self._options.nats is not None:
            from tidegate.client.nats.blocking import BlockingNatsPush  # which most starts do without

            self._nats = BlockingNatsPush(self._options.nats, connect_timeout, timeout)
        self._is_closed = False

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; what was sent still arrives, and calls in other threads end as they would.

        The client can't be used any more.
        """
        self._is_closed = True
        if self._nats is not None:
            self._nats.close()
        kept = self._kept.pop(forks.generation(), None)
        if kept is not None:
            kept.store.close()

    def flush(self) -> None:
        """Return when every gateway has processed all that was sent before, by all threads.

        Raises:
            ClusterError: a link used since the last flush broke, so that some of it may be lost; each thread that
                flushes is told of it, once.
        """
        if (nats := self._over_nats) is not None:
            nats.flush()
            return
        store = self._now().store
        asked = [store.find(address) for address in store.ledger.used()]
        probes = [Transfer(each, (PROBE,), True, self._options, opens=False) for each in asked if each is not None]
        exchange(probes, store, self._options)
        for probe in probes:
            if probe.answers:
                store.ledger.confirm(probe.address, probe.number)
        raise_errors(probes, *store.tell())

    def _act(self, call: Call[None]) -> None:
        if (nats := self._over_nats) is not None:
            nats.act(call)
        else:
            self._carry(call)

    def _ask(self, call: Call[T]) -> T:
        if (nats := self._over_nats) is not None:
            return nats.ask(call)
        return call.merge(answers_of(self._carry(call)))

    def _carry(self, call: Call[Any]) -> list[Transfer]:
        kept = self._now()
        addresses, is_new = self._addresses(kept) if call.needs_addresses else (NO_ADDRESSES, True)
        groups = grouped(call.packets(addresses))
        transfers = self._exchange(kept, groups, call.is_query)
        if any(each.error is not None for each in transfers):
            kept.known.doubt()
            if not is_new and may_be_outdated(call, transfers):
                transfers = self._carry_on(kept, call, groups, transfers)
            raise_errors(transfers)
        return transfers

    def _carry_on(
        self, kept: Kept, call: Call[Any], tried: Collection[str], transfers: list[Transfer]
    ) -> list[Transfer]:
        """A gateway failed that a kept list had: those that Register names now decide."""
        try:
            addresses, _ = self._addresses(kept)
        except ClusterError as error:
            raise_errors(transfers, error)
            raise
        more = self._exchange(kept, untried(call, addresses, tried), call.is_query)
        return still_there(transfers, addresses) + more

    def _exchange(self, kept: Kept, groups: Groups, is_query: bool) -> list[Transfer]:
        """Send to all gateways; what failed says so itself, what is not among them went well."""
        store, options = kept.store, self._options
        refused = self._refused(kept, groups)
        if refused:
            strangers = {each.address for each in refused}
            groups = {address: group for address, group in groups.items() if address not in strangers}
        if not is_query:
            return send(groups, store, options) + refused
        transfers = [Transfer(store.connection(address), group, True, options) for address, group in groups.items()]
        exchange(transfers, store, options)
        return transfers + refused

    def _refused(self, kept: Kept, addresses: Iterable[str]) -> list[Transfer]:
        """For those that are connected to by no means: client ids come from anywhere, Register knows who belongs."""
        known = kept.known.last.all
        strangers = [each for each in addresses if each not in known and not kept.store.is_open(each)]
        if not strangers:
            return []
        kept.known.doubt()
        try:
            found = self._addresses(kept)[0].all
            reasons = {address: failures.stranger(address) for address in strangers if address not in found}
        except ClusterError as error:
            reasons = dict.fromkeys(strangers, error)
        refused = []
        for address, reason in reasons.items():
            transfer = Transfer(Connection(address, kept.store.ledger, None), (), False, self._options)
            transfer.fail(reason)
            refused.append(transfer)
        return refused

    def _addresses(self, kept: Kept) -> tuple[Addresses, bool]:
        """The gateways there are, and whether Register was asked for them now."""
        known, options = kept.known, self._options
        if known.is_fresh:
            return known.last, False
        lookups = known.lookups
        with kept.lookup:
            if known.lookups == lookups:
                try:
                    found = look_up(*options.of_register)
                    known.learn(found)
                except ClusterError as error:
                    known.fail(error)
            elif known.is_fresh:
                return known.last, False
            if known.error is not None:
                raise type(known.error)(str(known.error))
        kept.store.tidy()
        return known.last, True

    @property
    def _over_nats(self) -> BlockingNatsPush | None:
        if self._nats is not None:
            self._check_open()
        return self._nats

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("this GatewayClient is closed: make a new one")

    def _now(self) -> Kept:
        """What this process keeps: a child never touches its parent's sockets, but for closing its copies."""
        self._check_open()
        generation = forks.generation()
        kept = self._kept.get(generation)
        if kept is None:
            kept = self._kept.setdefault(generation, Kept(self._options.trust))
            for other in list(self._kept):
                if other != generation:
                    self._kept.pop(other, None)
        kept.store.enter()
        return kept
