"""The numbers of the internal protocol's commands and flags (wire protocol, "Gateway → BusinessWorker" and below)."""

from __future__ import annotations

from typing import Final

__all__ = [
    "AGAIN",
    "BATCH_GET_CLIENT_COUNT_BY_GROUP",
    "BATCH_GET_CLIENT_ID_BY_UID",
    "BINARY",
    "BIND_UID",
    "DESTROY",
    "DRAIN",
    "EVENT_NAMES",
    "GATEWAY_CLIENT_CONNECT",
    "GET_ALL_CLIENT_SESSIONS",
    "GET_CLIENT_COUNT_BY_GROUP",
    "GET_CLIENT_ID_BY_UID",
    "GET_CLIENT_SESSIONS_BY_GROUP",
    "GET_GROUP_ID_LIST",
    "GET_SESSION_BY_CLIENT_ID",
    "IPV6",
    "IS_ONLINE",
    "JOIN_GROUP",
    "KICK",
    "LEAVE_GROUP",
    "MORE",
    "ON_CLOSE",
    "ON_CONNECT",
    "ON_MESSAGE",
    "ON_WEBSOCKET_CONNECT",
    "PATCH_SESSION",
    "PING",
    "PROGRESS",
    "MARK",
    "PUSH_ID",
    "ROLL_CALL",
    "QUERY",
    "RAW",
    "RELEASE",
    "RENEW_AUTH",
    "SCALAR",
    "SELECT",
    "SEND_TO_ALL",
    "SEND_TO_GROUP",
    "SEND_TO_ONE",
    "SEND_TO_UID",
    "SEND_TO_UID_COUNTED",
    "SET_SESSION",
    "UNBIND_UID",
    "UNGROUP",
    "UPDATE_SESSION",
    "WORKER_CONNECT",
]

# Gateway → worker.
ON_CONNECT: Final = 1
ON_MESSAGE: Final = 3
ON_CLOSE: Final = 4
PING: Final = 201
ON_WEBSOCKET_CONNECT: Final = 205

EVENT_NAMES: Final = {
    ON_CONNECT: "connect",
    ON_WEBSOCKET_CONNECT: "websocket_connect",
    ON_MESSAGE: "message",
    ON_CLOSE: "close",
}
"""As a worker that wants only some of them names them in WORKER_CONNECT."""

# First on a connection to a gateway.
WORKER_CONNECT: Final = 200
GATEWAY_CLIENT_CONNECT: Final = 202

# To a gateway.
SEND_TO_ONE: Final = 5
SEND_TO_ALL: Final = 6
KICK: Final = 7
DESTROY: Final = 8
UPDATE_SESSION: Final = 9
GET_ALL_CLIENT_SESSIONS: Final = 10
IS_ONLINE: Final = 11
BIND_UID: Final = 12
UNBIND_UID: Final = 13
SEND_TO_UID: Final = 14
GET_CLIENT_ID_BY_UID: Final = 15
BATCH_GET_CLIENT_ID_BY_UID: Final = 16
JOIN_GROUP: Final = 20
LEAVE_GROUP: Final = 21
SEND_TO_GROUP: Final = 22
GET_CLIENT_SESSIONS_BY_GROUP: Final = 23
GET_CLIENT_COUNT_BY_GROUP: Final = 24
SELECT: Final = 25
GET_GROUP_ID_LIST: Final = 26
UNGROUP: Final = 27
BATCH_GET_CLIENT_COUNT_BY_GROUP: Final = 28
GET_SESSION_BY_CLIENT_ID: Final = 203
SET_SESSION: Final = 204

# Extensions, only towards a peer known to be Tidegate.
DRAIN: Final = 210
QUERY: Final = 211
RELEASE: Final = 212
PROGRESS: Final = 213
PATCH_SESSION: Final = 214
SEND_TO_UID_COUNTED: Final = 215
RENEW_AUTH: Final = 216
PUSH_ID: Final = 217
MARK: Final = 218
ROLL_CALL: Final = 219

MORE: Final = b"more"
"""Ext data of an answer to QUERY that goes on in the next one of its number."""

# Flags.
SCALAR: Final = 0x01
"""The body is bytes as they are; without it, a PHP-serialized value."""
RAW: Final = 0x02
"""The body is encoded for the client already."""
BINARY: Final = 0x04
"""An extension: the body is binary."""
IPV6: Final = 0x08
"""An extension: the client's address is IPv6, the first 16 bytes of ext data."""
AGAIN: Final = 0x10
"""An extension: the event was with a worker before that died, and it may be what that died of."""
