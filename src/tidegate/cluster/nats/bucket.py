"""A key-value bucket of JetStream in which each entry has a time to live: made, written and read from asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.entries import key_subject, read_stored, stream_name
from tidegate.cluster.nats.inbox import NobodyListensError
from tidegate.cluster.nats.jetstream import (
    DISABLED,
    JetStreamError,
    check_version,
    encode_body,
    is_missing,
    is_temporary,
    read_answer,
)
from tidegate.cluster.nats.lookup import Ask, Errors, Found, look_up
from tidegate.cluster.nats.protocol import Message
from tidegate.errors import ClusterError, ConfigurationError

__all__ = ["DEFAULT_TTL", "Bucket"]

DEFAULT_TTL = 3
"""Seconds that an entry stays which is not renewed."""
LEFT_SECONDS = 30
"""For which a bucket tells at least that an entry was taken away."""
MARKER_SECONDS = 120
"""For which it tells that an entry is over. So long new clients ask whose it was; who is back later has to write it
anew before they know of it."""
REPLICAS = 3
"""Where there are as many servers; a bucket of one is lost with its server."""
RETRY_SECONDS = 0.25

IN_USE, WRONG_REVISION = {10058}, {10071, 10164}


class Bucket:
    """One bucket, on a client's connection.

    Args:
        name: letters, digits, - and _.
        ttl: whole seconds, at least 1.
        timeout: seconds for an answer of JetStream.
    """

    def __init__(self, client: NatsClient, name: str, ttl: int = DEFAULT_TTL, timeout: float = 2) -> None:
        self.client = client
        self.name = name
        self.ttl = ttl
        self._stream = stream_name(name)
        self._timeout = timeout

    async def open(self, seconds: float = 10) -> None:
        """See that it is there, and make it where it is not; a NATS cluster that just starts takes a moment.

        Raises:
            ConfigurationError: the server is too old, has no JetStream, or has another bucket of that name.
            ClusterError: it can't be reached, or could not make it in time.
        """
        try:
            problem = ClusterError("JetStream did not answer")
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        await self._open()
                    except ClusterError as error:
                        if not is_temporary(error):
                            raise
                        problem = error
                    else:
                        return
                    await asyncio.sleep(RETRY_SECONDS)
        except TimeoutError:
            raise ClusterError(
                f"the bucket {self.name} could not be opened on NATS within {seconds:g} s: {problem}"
            ) from None

    async def create(self, key: str, value: bytes) -> int | None:
        """Write an entry that is not there; gives its revision, or None where it is.

        Raises:
            ClusterError: JetStream could not be asked.
        """
        revision = await self._write(key, value, self.ttl, 0)
        if revision is None:
            found = await self.get(key)
            if found is not None and found[0] is None:  # what stands there says that it is gone
                revision = await self._write(key, value, self.ttl, found[1])
        return revision

    async def put(self, key: str, value: bytes, revision: int | None = None) -> int | None:
        """Write an entry, or write it anew: its time to live begins again.

        Args:
            revision: that it must have, where it may be somebody else's by now.

        Returns:
            Its new revision; None where it has another one than it must have.

        Raises:
            ClusterError: JetStream could not be asked.
        """
        return await self._write(key, value, self.ttl, revision)

    async def delete(self, key: str, revision: int | None = None) -> bool:
        """Take an entry away; gives whether it had the revision that it must have.

        Raises:
            ClusterError: JetStream could not be asked.
        """
        return await self._write(key, b"", LEFT_SECONDS, revision, {"KV-Operation": "DEL"}) is not None

    async def get(self, key: str) -> tuple[bytes | None, int] | None:
        """An entry as the leader of the bucket has it: its value, None where it is gone, and its revision.

        Returns:
            None where there never was one, or long ago.

        Raises:
            ClusterError: JetStream could not be asked.
        """
        try:
            return read_stored(await self._api("STREAM.MSG.GET", {"last_by_subj": key_subject(self.name, key)}))
        except JetStreamError as error:
            if is_missing(error):
                return None
            raise

    async def look_up(self, pattern: str = ">") -> Found:
        """All entries whose keys a pattern covers, as `lookup.look_up` has them.

        Raises:
            ConfigurationError: JetStream is not enabled.
            ClusterError: it could not be asked, or has no such bucket.
        """
        steps = look_up(self.client.subjects, self.name, pattern)
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._carry_out(step))
        except StopIteration as stop:
            found: Found = stop.value
            return found

    async def _carry_out(self, step: Ask | float) -> Errors:
        if isinstance(step, Ask):
            return await self.client.collect(step.questions, step.seconds)
        await asyncio.sleep(step)
        return ()

    async def _write(
        self, key: str, value: bytes, ttl: int, revision: int | None, fields: dict[str, str] | None = None
    ) -> int | None:
        headers = {"Nats-TTL": f"{ttl}s", **(fields or {})}
        if revision is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(revision)
        subject = self.client.subjects.stored + key_subject(self.name, key)
        message = await self.client.request(subject, value, self._timeout, headers)
        try:
            return int(read_answer(message)["seq"])
        except JetStreamError as error:
            if error.code in WRONG_REVISION:
                return None
            raise
        except (KeyError, TypeError, ValueError):
            raise ClusterError("JetStream answered with what is no acknowledgement") from None

    async def _open(self) -> None:
        info = self.client.info
        if info is None or not self.client.is_connected:
            raise ClusterError(self.client.problem)
        check_version(info, self.client.server)
        for replicas in (REPLICAS, 1):
            try:
                await self._api("STREAM.CREATE", self._config(replicas))
            except NobodyListensError:
                if self.client.subjects.stored or info.fields.get("jetstream"):
                    raise  # it is just starting, or the link to its domain is
                raise ConfigurationError(DISABLED) from None
            except JetStreamError as error:
                if error.code in IN_USE:
                    await self._adopt(replicas)
                    return
                if replicas == 1:
                    raise
            else:
                return

    async def _adopt(self, replicas: int) -> None:
        """It is there, with other settings: perhaps it was made when fewer servers were there."""
        config = (await self._api("STREAM.INFO", {})).get("config")
        if not isinstance(config, dict) or not config.get("allow_msg_ttl"):
            raise ConfigurationError(
                f"NATS has a bucket {self.name} that something else made: choose another namespace, or delete it"
            )
        if config.get("num_replicas", 1) < replicas:
            try:
                await self._api("STREAM.UPDATE", {**config, "num_replicas": replicas})
            except JetStreamError:
                return  # it goes on with what it has

    def _config(self, replicas: int) -> dict[str, Any]:
        return {
            "name": self._stream,
            "subjects": [key_subject(self.name, ">")],
            "storage": "file",
            "num_replicas": replicas,
            "max_msgs_per_subject": 1,
            "discard": "new",
            "deny_delete": True,
            "allow_rollup_hdrs": True,
            "allow_direct": True,
            "allow_msg_ttl": True,
            "subject_delete_marker_ttl": MARKER_SECONDS * 1_000_000_000,
        }

    async def _api(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        subject = f"{self.client.subjects.api}.{what}.{self._stream}"
        message: Message = await self.client.request(subject, encode_body(body), self._timeout)
        return read_answer(message)
