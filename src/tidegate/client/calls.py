"""The methods of the push API as calls: packets out, answers in, no I/O (wire protocol, "To a gateway").

Each function has the name and the arguments of the method that it is for; `api` says what they mean. Arguments that
are wrong raise ValueError or TypeError here and now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tidegate.client import answers
from tidegate.client.answers import Row
from tidegate.client.arguments import (
    ClientIds,
    Message,
    Name,
    Names,
    Session,
    Token,
    by_gateway,
    encode_json,
    encode_name,
    encode_names,
    encode_session,
    encode_token,
)
from tidegate.client.call import Call, Pack, Reach, command, query
from tidegate.client.packing import (
    Content,
    JSONFrame,
    message_content,
    only_ours,
    to_all,
    to_all_but,
    to_all_in_parts,
    to_client,
    to_clients,
    to_listed,
    to_nobody,
)
from tidegate.wire import commands
from tidegate.wire.client_id import parse_client_id

__all__ = [
    "Call",
    "batch_get_client_id_by_uid",
    "batch_get_client_id_count_by_group",
    "bind_uid",
    "close_client",
    "close_uid",
    "destroy_client",
    "get_all_client_count",
    "get_all_client_id_list",
    "get_all_client_sessions",
    "get_all_group_client_id_count",
    "get_all_group_client_id_list",
    "get_all_group_id_list",
    "get_all_group_uid_count",
    "get_all_group_uid_list",
    "get_all_uid_count",
    "get_all_uid_list",
    "get_client_count_by_group",
    "get_client_id_by_uid",
    "get_client_id_list_by_group",
    "get_client_sessions_by_group",
    "get_session",
    "get_uid_by_client_id",
    "get_uid_count_by_group",
    "get_uid_list_by_group",
    "is_online",
    "is_uid_online",
    "is_uids_online",
    "join_group",
    "leave_group",
    "renew_auth",
    "send_to_all",
    "send_to_client",
    "send_to_group",
    "send_to_uid",
    "set_session",
    "unbind_uid",
    "ungroup",
    "update_session",
]

T = TypeVar("T")

LIST = JSONFrame()
CONNECTIONS = JSONFrame(b'{"connections":{', b"}}")
EXCLUDE = JSONFrame(b'{"exclude":{', b"}}")
GROUPS = JSONFrame(b'{"fields":["uid"],"where":{"groups":[', b"]}}")
NOT_EXCLUDED = b'"exclude":null}'
"""Where SEND_TO_GROUP leaves nobody out, it says so."""
NO_MESSAGE = Content(commands.KICK, b"N;", flags=0)


# Messages.


def send_to_all(
    message: Message, client_ids: ClientIds | None = None, exclude: ClientIds | None = None, *, raw: bool = False
) -> Call[None]:
    content = message_content(commands.SEND_TO_ALL, message, raw)
    excluded = {} if exclude is None else by_gateway(exclude)
    if client_ids is None:
        return command("send_to_all", to_all_but(content, EXCLUDE, excluded, b""), reach=Reach(excluded=excluded))
    listed = by_gateway(client_ids)
    for address, connection_ids in excluded.items():
        for connection_id in connection_ids:
            listed.get(address, {}).pop(connection_id, None)
    pack = to_listed(content, CONNECTIONS, {address: ids for address, ids in listed.items() if ids})
    return command("send_to_all", pack, needs_addresses=content.is_binary)


def send_to_client(client_id: str, message: Message, *, raw: bool = False) -> Call[None]:
    return _act_on_client("send_to_client", client_id, message_content(commands.SEND_TO_ONE, message, raw))


def send_to_uid(uid_or_list: Names, message: Message, *, raw: bool = False) -> Call[None]:
    content = message_content(commands.SEND_TO_UID, message, raw)
    uids = encode_names(uid_or_list, "uid")
    if not uids:
        return command("send_to_uid", to_nobody, needs_addresses=False)

    def apart(uid: str) -> Pack:
        return to_all(content, LIST.around((uids[uid],)))

    return command("send_to_uid", to_all_in_parts(content, LIST, uids.values()), reach=Reach("uid", uids, (), apart))


def send_to_group(
    group_or_list: Names, message: Message, exclude: ClientIds | None = None, *, raw: bool = False
) -> Call[None]:
    content = message_content(commands.SEND_TO_GROUP, message, raw)
    groups = encode_names(group_or_list, "group")
    excluded = {} if exclude is None else by_gateway(exclude)
    if not groups:
        return command("send_to_group", to_nobody, needs_addresses=False)
    # All groups in one packet, whatever the limit is: a client in two of them gets the message once.
    addressed = b'{"group":[%s],' % b",".join(groups.values())
    frame = JSONFrame(addressed + EXCLUDE.before[1:], EXCLUDE.after)
    pack = to_all_but(content, frame, excluded, addressed + NOT_EXCLUDED)
    return command("send_to_group", pack, reach=Reach("group", groups, excluded))


# Clients, uids, groups, sessions.


def close_client(client_id: str, message: Message | None = None) -> Call[None]:
    return _act_on_client("close_client", client_id, _last_words(message))


def destroy_client(client_id: str) -> Call[None]:
    return _act_on_client("destroy_client", client_id, Content(commands.DESTROY))


def close_uid(uid: Name, message: Message | None = None) -> Call[Call[None]]:
    """A query in two steps: its result is the command that closes the clients found."""
    content = _last_words(message)

    def close(found: list[list[str]]) -> Call[None]:
        clients = by_gateway([client_id for client_ids in found for client_id in client_ids])
        return command("close_uid", to_clients(clients, content), needs_addresses=bool(clients) and content.is_binary)

    pack = to_all(Content(commands.GET_CLIENT_ID_BY_UID), encode_name(uid, "uid"))
    return query("close_uid", pack, answers.read_client_ids, close)


def bind_uid(client_id: str, uid: Name) -> Call[None]:
    return _act_on_client("bind_uid", client_id, Content(commands.BIND_UID), encode_name(uid, "uid"))


def unbind_uid(client_id: str, uid: Name) -> Call[None]:
    return _act_on_client("unbind_uid", client_id, Content(commands.UNBIND_UID), encode_name(uid, "uid"))


def join_group(client_id: str, group: Name) -> Call[None]:
    return _act_on_client("join_group", client_id, Content(commands.JOIN_GROUP), encode_name(group, "group"))


def leave_group(client_id: str, group: Name) -> Call[None]:
    return _act_on_client("leave_group", client_id, Content(commands.LEAVE_GROUP), encode_name(group, "group"))


def ungroup(group: Name) -> Call[None]:
    name = encode_name(group, "group")
    return command("ungroup", to_all(Content(commands.UNGROUP), name), reach=Reach("group", (name.decode(),)))


def set_session(client_id: str, session: Session) -> Call[None]:
    return _act_on_client("set_session", client_id, Content(commands.SET_SESSION), encode_session(session))


def update_session(client_id: str, session: Session) -> Call[None]:
    return _act_on_client("update_session", client_id, Content(commands.UPDATE_SESSION), encode_session(session))


def renew_auth(client_id: str, token: Token) -> Call[bool]:
    """Only a gateway of Tidegate's can be asked: another would never answer."""
    address, number = parse_client_id(client_id)
    pack = to_client(address, number, Content(commands.RENEW_AUTH, encode_token(token)))
    return query("renew_auth", only_ours(address, "renew_auth", pack), answers.read_renewal, any, address)


# One client, asked.


def is_online(client_id: str) -> Call[bool]:
    address, number = parse_client_id(client_id)
    pack = to_client(address, number, Content(commands.IS_ONLINE))
    return query("is_online", pack, answers.read_count, any, address, needs_addresses=False)


def get_session(client_id: str) -> Call[dict[Any, Any] | None]:
    address, number = parse_client_id(client_id)
    pack = to_client(address, number, Content(commands.GET_SESSION_BY_CLIENT_ID))
    read = answers.read_session(client_id)
    return query("get_session", pack, read, lambda found: found[0], address, needs_addresses=False)


def get_uid_by_client_id(client_id: str) -> Call[str | None]:
    address, number = parse_client_id(client_id)
    ext = b'{"fields":["uid"],"where":{"connection_id":{"%d":%d}}}' % (number, number)
    pack = to_client(address, 0, Content(commands.SELECT), ext)

    def uid_of(found: list[dict[str, Row]]) -> str | None:
        return found[0].get(client_id, (None, []))[0]

    return query("get_uid_by_client_id", pack, answers.read_rows, uid_of, address, needs_addresses=False)


# Uids, asked.


def is_uid_online(uid: Name) -> Call[bool]:
    pack = to_all(Content(commands.GET_CLIENT_ID_BY_UID), encode_name(uid, "uid"))
    return query("is_uid_online", pack, answers.read_client_ids, any)


def is_uids_online(uids: Names) -> Call[dict[str, bool]]:
    asked = encode_names(uids, "uid")
    merge = answers.merge_clients_by_uid(asked)

    def are_online(found: list[dict[str, list[str]]]) -> dict[str, bool]:
        return {uid: bool(client_ids) for uid, client_ids in merge(found).items()}

    pack = _pack_list(commands.BATCH_GET_CLIENT_ID_BY_UID, asked)
    return query("is_uids_online", pack, answers.read_client_ids_by_uid, are_online, needs_addresses=bool(asked))


def get_client_id_by_uid(uid: Name) -> Call[list[str]]:
    pack = to_all(Content(commands.GET_CLIENT_ID_BY_UID), encode_name(uid, "uid"))
    return query("get_client_id_by_uid", pack, answers.read_client_ids, answers.merge_lists)


def batch_get_client_id_by_uid(uids: Names) -> Call[dict[str, list[str]]]:
    asked = encode_names(uids, "uid")
    pack = _pack_list(commands.BATCH_GET_CLIENT_ID_BY_UID, asked)
    merge = answers.merge_clients_by_uid(asked)
    name = "batch_get_client_id_by_uid"
    return query(name, pack, answers.read_client_ids_by_uid, merge, needs_addresses=bool(asked))


def get_all_uid_list() -> Call[list[str]]:
    return _select_all("get_all_uid_list", ["uid"], answers.uids)


def get_all_uid_count() -> Call[int]:
    return _select_all("get_all_uid_count", ["uid"], lambda rows: len(answers.uids(rows)))


# Groups, asked.


def get_client_count_by_group(group: Name) -> Call[int]:
    pack = to_all(Content(commands.GET_CLIENT_COUNT_BY_GROUP), encode_name(group, "group"))
    return query("get_client_count_by_group", pack, answers.read_count, answers.add_counts)


def batch_get_client_id_count_by_group(groups: Names) -> Call[dict[str, int]]:
    asked = encode_names(groups, "group")
    pack = _pack_list(commands.BATCH_GET_CLIENT_COUNT_BY_GROUP, asked)
    merge = answers.merge_counts(asked)
    name = "batch_get_client_id_count_by_group"
    return query(name, pack, answers.read_counts, merge, needs_addresses=bool(asked))


def get_client_sessions_by_group(group: Name) -> Call[dict[str, dict[Any, Any]]]:
    pack = to_all(Content(commands.GET_CLIENT_SESSIONS_BY_GROUP), encode_name(group, "group"))
    return _ask_sessions("get_client_sessions_by_group", pack)


def get_client_id_list_by_group(group: Names) -> Call[list[str]]:
    return _select_groups("get_client_id_list_by_group", group, list)


def get_uid_list_by_group(group: Names) -> Call[list[str]]:
    return _select_groups("get_uid_list_by_group", group, answers.uids)


def get_uid_count_by_group(group: Names) -> Call[int]:
    return _select_groups("get_uid_count_by_group", group, lambda rows: len(answers.uids(rows)))


def get_all_group_id_list() -> Call[list[str]]:
    pack = to_all(Content(commands.GET_GROUP_ID_LIST))
    return query("get_all_group_id_list", pack, answers.read_names, answers.merge_lists)


def get_all_group_uid_list() -> Call[dict[str, list[str]]]:
    return _select_all("get_all_group_uid_list", ["uid", "groups"], answers.uids_by_group)


def get_all_group_uid_count() -> Call[dict[str, int]]:
    fields = ["uid", "groups"]
    return _select_all("get_all_group_uid_count", fields, lambda rows: answers.lengths(answers.uids_by_group(rows)))


def get_all_group_client_id_list() -> Call[dict[str, list[str]]]:
    return _select_all("get_all_group_client_id_list", ["groups"], answers.clients_by_group)


def get_all_group_client_id_count() -> Call[dict[str, int]]:
    fields = ["groups"]
    name = "get_all_group_client_id_count"
    return _select_all(name, fields, lambda rows: answers.lengths(answers.clients_by_group(rows)))


# All clients, asked.


def get_all_client_count() -> Call[int]:
    return query(
        "get_all_client_count",
        to_all(Content(commands.GET_CLIENT_COUNT_BY_GROUP)),
        answers.read_count,
        answers.add_counts,
    )


def get_all_client_sessions() -> Call[dict[str, dict[Any, Any]]]:
    return _ask_sessions("get_all_client_sessions", to_all(Content(commands.GET_ALL_CLIENT_SESSIONS)))


def get_all_client_id_list() -> Call[list[str]]:
    return _select_all("get_all_client_id_list", ["uid"], list)


# What several have in common.


def _last_words(message: Message | None) -> Content:
    return NO_MESSAGE if message is None else message_content(commands.KICK, message)


def _act_on_client(name: str, client_id: str, content: Content, ext: bytes = b"") -> Call[None]:
    address, number = parse_client_id(client_id)
    return command(name, to_client(address, number, content, ext), address, needs_addresses=content.is_binary)


def _pack_list(number: int, asked: Mapping[str, bytes]) -> Pack:
    return to_all_in_parts(Content(number), LIST, asked.values()) if asked else to_nobody


def _ask_sessions(name: str, pack: Pack) -> Call[dict[str, dict[Any, Any]]]:
    def merge(found: list[dict[str, dict[Any, Any]]]) -> dict[str, dict[Any, Any]]:
        return answers.merge_maps(found)

    return query(name, pack, answers.read_sessions, merge)


def _select_groups(name: str, group: Names, make: Callable[[dict[str, Row]], T]) -> Call[T]:
    groups = encode_names(group, "group")
    pack = to_all_in_parts(Content(commands.SELECT), GROUPS, groups.values()) if groups else to_nobody
    return _select(name, pack, make, needs_addresses=bool(groups))


def _select_all(name: str, fields: list[str], make: Callable[[dict[str, Row]], T]) -> Call[T]:
    return _select(name, to_all(Content(commands.SELECT), encode_json({"fields": fields, "where": []})), make)


def _select(name: str, pack: Pack, make: Callable[[dict[str, Row]], T], needs_addresses: bool = True) -> Call[T]:
    def merge(found: list[dict[str, Row]]) -> T:
        return make(answers.merge_maps(found))

    return query(name, pack, answers.read_rows, merge, needs_addresses=needs_addresses)
