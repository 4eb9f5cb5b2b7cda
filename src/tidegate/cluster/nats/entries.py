"""The entries of a key-value bucket as messages, without I/O (NATS ADR-8 and, for their time to live, ADR-48)."""

from __future__ import annotations

import base64
from typing import Any

from tidegate.cluster.nats.headers import parse_headers
from tidegate.cluster.nats.jetstream import encode_body
from tidegate.cluster.nats.protocol import Message
from tidegate.errors import ClusterError, ProtocolError

__all__ = ["Listing", "key_subject", "read_stored", "stream_name"]

GONE = ("KV-Operation", "Nats-Marker-Reason")
BATCH = 1000
"""Entries of one answer."""


def stream_name(bucket: str) -> str:
    """Of the stream that a bucket is."""
    return f"KV_{bucket}"


def key_subject(bucket: str, key: str) -> str:
    """Of the messages that an entry is; ``>`` as the key for all."""
    return f"$KV.{bucket}.{key}"


def _is_gone(fields: dict[str, str]) -> bool:
    """Whether a message with such headers says that its entry is gone."""
    return any(name in fields for name in GONE)


def read_stored(answer: dict[str, Any]) -> tuple[bytes | None, int]:
    """The value and the revision of one entry, from JetStream's answer with a stored message."""
    try:
        message = answer["message"]
        headers = base64.b64decode(message.get("hdrs", ""))
        value = base64.b64decode(message.get("data", ""))
        fields = parse_headers(headers).fields if headers else {}
        return (None if _is_gone(fields) else value), int(message["seq"])
    except (KeyError, TypeError, ValueError, AttributeError, ProtocolError):
        raise ClusterError("JetStream answered with what is no stored message") from None


class Listing:
    """All entries of a bucket, or those that a pattern covers, asked for in a few steps.

    A step is a request to `subject` with `request()`, to which there are many answers; `take` tells which is the last.

    Args:
        api: what the subjects of JetStream's API begin with.

    Attributes:
        entries: what was found: values by key.
        revisions: of these.
        gone: keys of which the bucket says that their entry is gone.
        last: the highest revision among all of them; how far the bucket has come.
        is_done: whether there is no step left.
        error: what the server says is wrong.
    """

    def __init__(self, api: str, bucket: str, pattern: str = ">") -> None:
        self.subject = f"{api}.DIRECT.GET.{stream_name(bucket)}"
        self.entries: dict[str, bytes] = {}
        self.revisions: dict[str, int] = {}
        self.gone: set[str] = set()
        self.last = 0
        self.is_done = False
        self.error: ClusterError | None = None
        self._prefix = key_subject(bucket, "")
        self._pattern = key_subject(bucket, pattern)

    def request(self) -> bytes:
        """Of the next step."""
        # As a bucket keeps one message of a key, going through all of them gives each entry once.
        return encode_body({"batch": BATCH, "seq": self.last + 1, "next_by_subj": self._pattern})

    def take(self, message: Message) -> bool:
        """Take an answer; gives whether it was the last of this step."""
        headers = message.headers
        if headers is None:
            self.error = ClusterError("JetStream answered without headers, when it was asked for a bucket's entries")
            return True
        if headers.status == 404:
            self.is_done = True
            return True
        if headers.status == 204:
            self.is_done = headers.fields.get("Nats-Num-Pending", "0") == "0"
            return True
        if headers.status:
            self.error = ClusterError(f"JetStream refuses to list a bucket: {headers.status} {headers.description}")
            return True
        subject, revision = headers.fields.get("Nats-Subject", ""), headers.fields.get("Nats-Sequence", "")
        if not subject.startswith(self._prefix) or not (revision.isascii() and revision.isdigit()):
            self.error = ClusterError("JetStream answered with what is no entry of the bucket")
            return True
        self.last = max(self.last, int(revision[:19]))
        key = subject.removeprefix(self._prefix)
        if _is_gone(headers.fields):
            self.gone.add(key)
            self.entries.pop(key, None)  # it was there a moment ago
            self.revisions.pop(key, None)
        else:
            self.gone.discard(key)
            self.entries[key], self.revisions[key] = message.payload, int(revision[:19])
        return False
