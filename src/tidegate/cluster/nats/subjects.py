"""The subjects of a cluster on NATS, and names of any text as parts of them."""

from __future__ import annotations

import base64
import hashlib
import re

__all__ = ["MAX_TOKEN_SIZE", "Subjects", "address_of_token", "address_token", "name_token"]

MAX_TOKEN_SIZE = 160
"""Characters of a name in a subject, over which its hash stands for it; with the rest it is far below the 4 KiB that a
server takes as a line."""
HASHED = "=="
"""Before a hash: in a name that is written out, two hexadecimal digits follow each =."""

_special = re.compile(rb"[^A-Za-z0-9_-]")


def name_token(name: str | bytes) -> str:
    """A uid or a group as one token of a subject: letters, digits, - and _ as they are, other bytes as =XX.

    Two names never have one token. It is also good in a key of a key-value bucket.

    Raises:
        ValueError: it is empty.
    """
    raw = name.encode() if isinstance(name, str) else name
    if not raw:
        raise ValueError("an empty name has no subject")
    if len(raw) <= MAX_TOKEN_SIZE:
        token = _special.sub(_escape, raw).decode("ascii")
        if len(token) <= MAX_TOKEN_SIZE:
            return token
    return HASHED + base64.b32encode(hashlib.sha256(raw).digest()).decode().rstrip("=").lower()


def _escape(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]


def address_token(address: str) -> str:
    """A gateway's ``ip:port`` as one token: ``127-0-0-1-2900``."""
    return address.replace(".", "-").replace(":", "-")


def address_of_token(token: str) -> str:
    """The ``ip:port`` that `address_token` was given."""
    ip, _, port = token.rpartition("-")
    return f"{ip.replace('-', '.')}:{port}"


class Subjects:
    """The subjects of one cluster.

    Args:
        namespace: what all of them begin with, so that clusters on the same servers keep apart.
        js_domain: of the JetStream that keeps the members, where it is not the one beside the client.

    Attributes:
        all: of pushes that every gateway takes.
        bucket: the name of the key-value bucket where members announce themselves.
        api: what the subjects of JetStream's API begin with.
        stored: what stands before the subject of an entry that is written.
    """

    __slots__ = ("_beat", "_gateway", "_group", "_inbox", "_uid", "all", "api", "bucket", "namespace", "stored")

    def __init__(self, namespace: str, js_domain: str = "") -> None:
        self.namespace = namespace
        self.all = f"{namespace}.all"
        self.bucket = f"{namespace}_members"
        self.api = f"$JS.{js_domain}.API" if js_domain else "$JS.API"
        self.stored = f"{self.api}." if js_domain else ""
        self._uid = f"{namespace}.uid."
        self._group = f"{namespace}.group."
        self._gateway = f"{namespace}.gateway."
        self._inbox = f"{namespace}.inbox."
        self._beat = f"{namespace}.beat."

    def uid(self, uid: str | bytes) -> str:
        """Of pushes to a uid."""
        return self._uid + name_token(uid)

    def group(self, group: str | bytes) -> str:
        """Of pushes to a group."""
        return self._group + name_token(group)

    def gateway(self, address: str) -> str:
        """Of what is for one gateway, by its ``ip:port``."""
        return self._gateway + address_token(address)

    def beat(self, key: str) -> str:
        """On which whoever has an entry in the bucket says about every second that it is there; a pattern for many."""
        return self._beat + key

    def inbox(self, id: str) -> str:
        """What the subjects begin with on which one client takes answers; it subscribes to this with ``.>`` behind."""
        return self._inbox + id
