"""Carrying out what workers and push clients send (wire protocol, "To a gateway")."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from tidegate.gateway import php_json
from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.parameters import CommandError, check_name, keys, names, read_json, read_object, values
from tidegate.gateway.selection import select
from tidegate.gateway.tables import Group, Tables
from tidegate.net.audience import Holder, publish
from tidegate.net.fanout import fan_out, fan_out_frame
from tidegate.wire import commands, php, session
from tidegate.wire.commands import BINARY, RAW, SCALAR
from tidegate.wire.packet import Packet

__all__ = ["Commander", "Renew"]

Handler: TypeAlias = Callable[[int, int, bytes, bytes], bytes | None]
"""Takes connection id, flags, ext data and body; gives the serialized answer of a query."""

Renew: TypeAlias = Callable[[GatewayConnection, str], bool]
"""Takes a token, and gives whether it was good; raises LookupError where there is nothing that could tell."""

NOTHING = php.dumps(None)
EMPTY = php.dumps([])


class Commander:
    """What can be done with the clients of one gateway process.

    Args:
        tables: of these clients.
        everybody: keeps the audience that all of them are.
        renew: lets a client stay for as long as a token says; None where clients need none.
        max_session: bytes; a session stands in each of its client's events, beside what these carry.
        max_groups: that a client may be in.

    Attributes:
        handlers: what `carry_out` calls, by command.
        refused_sessions, refused_groups: commands that would have gone over a limit.
    """

    def __init__(
        self,
        tables: Tables[GatewayConnection],
        everybody: Holder,
        max_session: int,
        max_groups: int,
        renew: Renew | None = None,
    ) -> None:
        self._tables = tables
        self._clients = tables.clients  # for messages, which those that are being closed do not take
        self._everybody = everybody
        self._find = tables.find
        self._max_session = max_session
        self._renew = renew
        self._max_groups = max_groups
        self.refused_sessions = 0
        self.refused_groups = 0
        self._patch = session.Patcher().patch
        self.handlers: dict[int, Handler] = {
            commands.SEND_TO_ONE: self._send_to_one,
            commands.SEND_TO_ALL: self._send_to_all,
            commands.SEND_TO_UID: self._send_to_uid,
            commands.SEND_TO_GROUP: self._send_to_group,
            commands.KICK: self._kick,
            commands.DESTROY: self._destroy,
            commands.SET_SESSION: self._set_session,
            commands.UPDATE_SESSION: self._update_session,
            commands.PATCH_SESSION: self._patch_session,
            commands.BIND_UID: self._bind_uid,
            commands.UNBIND_UID: self._unbind_uid,
            commands.JOIN_GROUP: self._join_group,
            commands.LEAVE_GROUP: self._leave_group,
            commands.UNGROUP: self._ungroup,
        }
        self._queries: dict[int, Handler] = {
            commands.IS_ONLINE: self._is_online,
            commands.GET_SESSION_BY_CLIENT_ID: self._get_session,
            commands.GET_ALL_CLIENT_SESSIONS: self._get_all_sessions,
            commands.GET_CLIENT_SESSIONS_BY_GROUP: self._get_group_sessions,
            commands.GET_CLIENT_ID_BY_UID: self._get_ids_of_uid,
            commands.BATCH_GET_CLIENT_ID_BY_UID: self._get_ids_of_uids,
            commands.GET_CLIENT_COUNT_BY_GROUP: self._count_group,
            commands.BATCH_GET_CLIENT_COUNT_BY_GROUP: self._count_groups,
            commands.GET_GROUP_ID_LIST: self._list_groups,
            commands.SELECT: self._select,
            commands.SEND_TO_UID_COUNTED: self._send_to_uid_counted,
            commands.RENEW_AUTH: self._renew_auth,
        }
        self.handlers |= self._queries

    def carry_out(self, packet: Packet) -> bytes | None:
        """Do what a packet says; gives the serialized answer where it is a query.

        Raises:
            ValueError: it can't be done; CommandError and PHPValueError are such. Nothing was.
        """
        handler = self.handlers.get(packet[0])
        if handler is None:
            raise CommandError(f"the unknown command {packet[0]}")
        return handler(packet[1], packet[2], packet[3], packet[4])

    def is_query(self, command: int) -> bool:
        """Whether a command is answered."""
        return command in self._queries

    # Sending

    def _send_to_one(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._clients.get(number)
        if client is None:
            return
        if flags == SCALAR:  # as it most often is
            client.send_body(body)
        elif flags & RAW:
            fan_out_frame((client,), body)
        else:
            client.send(_message(flags, body))

    def send_all_to_one(self, number: int, bodies: list[bytes]) -> bool:
        """Carry out several SEND_TO_ONE in a row, of messages whose kind nobody has said, where that is quicker so;
        gives whether it is, else nothing was done."""
        client = self._clients.get(number)
        return client is None or client.send_bodies(bodies)

    def _send_to_all(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        clients = self._clients
        what = read_object(ext) if ext else {}
        excluded = keys(what.get("exclude"))
        if (listed := what.get("connections")) is None:
            self._publish(self._everybody, clients, flags, body, excluded)
            return
        meant = [clients[id] for id in dict.fromkeys(values(listed)) if id in clients and id not in excluded]
        self._send(meant, flags, body)

    def _send_to_uid(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        self._send(self._tables.of_uids(names(read_json(ext))), flags, body)

    def _send_to_uid_counted(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        return php.dumps(self._send(self._tables.of_uids(names(read_json(ext))), flags, body))

    def _send_to_group(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        what = read_object(ext)
        group: Any = self._tables.of_groups(names(what.get("group")))
        excluded = keys(what.get("exclude"))
        if isinstance(group, Group):
            self._publish(group, group, flags, body, excluded)
        else:
            self._send([client for id, client in group.items() if id not in excluded], flags, body)

    def _publish(self, holder: Holder, members: Any, flags: int, body: bytes, excluded: set[int]) -> None:
        if flags & RAW:
            publish(holder, members, body, excluded, raw=True)
        else:
            publish(holder, members, _message(flags, body), excluded)

    def _send(self, members: Iterable[GatewayConnection], flags: int, body: bytes) -> int:
        if flags & RAW:
            return fan_out_frame(members, body)
        return fan_out(members, _message(flags, body))

    # Closing

    def _kick(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is None:
            return
        if not flags & SCALAR and body == NOTHING:
            client.close()
        else:
            client.close(_message(flags, body))
        self._tables.depart(client)

    def _destroy(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is not None:
            client.destroy()
            self._tables.depart(client)

    # Sessions

    def _set_session(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is not None:
            self._store(client, ext)

    def _update_session(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is not None:
            self._store(client, session.merge(client.session, ext))

    def _patch_session(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is not None:
            self._store(client, self._patch(client.session, ext, body))

    def _store(self, client: GatewayConnection, stored: bytes) -> None:
        if len(stored) > self._max_session:
            self.refused_sessions += 1
            raise CommandError(
                f"a session of {len(stored)} bytes for client {client.id}: over max_session_size, {self._max_session}"
            )
        client.session = stored

    def _get_session(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        client = self._find(number)
        return NOTHING if client is None else client.session or EMPTY

    def _get_all_sessions(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        return _sessions(self._tables.all())

    def _get_group_sessions(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        members: Any = self._tables.groups.get(ext, {})
        return _sessions(members.values())

    # Uids

    def _bind_uid(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is not None and ext:
            self._tables.bind(client, check_name(ext))

    def _unbind_uid(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is not None:
            self._tables.unbind(client)

    def _renew_auth(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        if self._renew is None:
            return php.dumps("the gateway has no auth=, so that nobody there expires")
        client = self._find(number)
        try:
            return php.dumps(int(client is not None and self._renew(client, body.decode("utf-8", "replace"))))
        except LookupError as error:
            return php.dumps(str(error))

    def _is_online(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        return php.dumps(int(self._find(number) is not None))

    def _get_ids_of_uid(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        return php.dumps(list(self._tables.uids.get(ext, ())))

    def _get_ids_of_uids(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        uids = self._tables.uids
        return php.dumps({uid: list(uids.get(uid, ())) for uid in names(read_json(ext))})

    # Groups

    def _join_group(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is None or not ext:
            return
        groups = client.groups
        if groups is not None and len(groups) >= self._max_groups and ext not in groups:
            self.refused_groups += 1
            raise CommandError(f"client {number} is in {len(groups)} groups, as many as max_groups_per_client allows")
        self._tables.join(client, check_name(ext))

    def _leave_group(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        client = self._find(number)
        if client is not None and ext:
            self._tables.leave(client, ext)

    def _ungroup(self, number: int, flags: int, ext: bytes, body: bytes) -> None:
        if ext:
            self._tables.ungroup(ext)

    def _count_group(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        return php.dumps(len(self._tables.groups.get(ext, ())) if ext else len(self._tables))

    def _count_groups(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        groups = self._tables.groups
        return php.dumps({name: len(groups.get(name, ())) for name in names(read_json(ext))})

    def _list_groups(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        # A name that is a decimal integer is one here, as the key of an array would be.
        return php.join_array({b"i:%d;" % at: php.dumps_key(name) for at, name in enumerate(self._tables.groups)})

    def _select(self, number: int, flags: int, ext: bytes, body: bytes) -> bytes:
        return select(self._tables, read_json(ext)) if ext else EMPTY


def _message(flags: int, body: bytes) -> str | bytes:
    """What a body is for a client: text where it is UTF-8 and not marked as binary."""
    if not flags & SCALAR:
        return php_json.encode(php.loads(body))
    if flags & BINARY:
        return body
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _sessions(clients: Iterable[GatewayConnection]) -> bytes:
    """Sessions as they are stored, strings by connection id."""
    rows = [b'i:%d;s:%d:"%b";' % (client.id, len(client.session), client.session) for client in clients]
    return b"a:%d:{%b}" % (len(rows), b"".join(rows))
