"""What comes to a gateway's inner port, from anybody: commands, queries, and what workers say of events."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterator

from tests.fuzz.source import Source
from tests.fuzz.target import Target
from tests.fuzz.targets.packets import recorded
from tests.gateway.played import PlayedGateway
from tests.protocols.support import TEXT, frame
from tidegate.wire import commands, php
from tidegate.wire.packet import PacketReader, pack

__all__ = ["TARGETS"]

KINDS = sorted(
    value for name, value in vars(commands).items() if isinstance(value, int) and name.isupper() and value > 4
)
WORKER, PHP_WORKER = (
    pack(commands.WORKER_CONNECT, body=json.dumps({"worker_key": key, "secret_key": "", **more}).encode())
    for key, more in (("a:0", {"tidegate": 1}), ("last:0", {}))
)


class Stage:
    """Three clients of a gateway, a worker that is Tidegate's, and a push client."""

    def __init__(self, gateway: PlayedGateway) -> None:
        self.gateway = gateway
        self.clients = [gateway.connect(is_compressed) for is_compressed in (False, True, False)]
        self.worker, self.push = gateway.link(), gateway.link()
        gateway.play(self.worker.feed, WORKER, turns=2)

    def step(self, source: Source) -> None:
        kind = source.number()
        who = source.choose((self.push, self.worker))
        if kind < 8:
            self.gateway.play(source.choose(self.clients).feed, frame(TEXT, source.piece()))
        elif kind == 8:
            self.gateway.settle(3)
        elif kind == 9:
            self.gateway.play(who.feed, source.piece())
        else:
            command, flags, at = KINDS[kind % len(KINDS)], source.number(16), source.number(len(self.clients) + 1)
            number = self.clients[at - 1].id if at else 12345
            ext = source.piece().replace(b"$1", b"%d" % self.clients[0].id).replace(b"$2", b"%d" % self.clients[1].id)
            packet = pack(command, number, ext, source.piece(), flags)
            self.gateway.play(who.feed, packet, turns=source.number(3))

    def check(self) -> None:
        self.gateway.settle(10)
        for answer in self.push.take_answers():
            php.loads(answer)
        tables = self.gateway.tables
        for uid, members in tables.uids.items():
            assert members
            assert all(client.uid == uid for client in members.values())
        for name, group in tables.groups.items():
            assert group
            assert all(name in (client.groups or ()) for client in group.values())

    def end(self) -> None:
        leavers = [client.leave for client in self.clients] + [self.worker.leave, self.push.leave]
        for leave in leavers:
            self.gateway.play(leave)
        last = self.gateway.link()  # takes the events that were left
        self.gateway.play(last.feed, PHP_WORKER, turns=3)
        self.gateway.play(last.leave, turns=3)
        assert not self.gateway.endpoint.connections
        assert not self.gateway.tables.uids
        assert not self.gateway.tables.groups
        assert self.gateway.inner.workers == self.gateway.inner.push_clients == 0
        assert self.gateway.router.waiting == 0


@functools.cache
def gateway() -> PlayedGateway:
    """One for all runs, each of which leaves it empty."""
    return PlayedGateway(max_packet_size=4096)


def run(data: bytes) -> None:
    """Nothing that comes breaks the gateway; answers can be read, and the tables agree with one another."""
    source = Source(data)
    watch = Watch()
    logger = logging.getLogger("tidegate")
    logger.addHandler(watch)
    stage = Stage(gateway())
    try:
        while not source.is_empty:
            stage.step(source)
        stage.check()
    finally:
        stage.end()
        logger.removeHandler(watch)
    assert not watch.failures, watch.failures


class Watch(logging.Handler):
    """Exceptions that are logged were not thought of."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.failures.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


def seeds() -> Iterator[bytes]:
    for packet in recorded():
        (command, _, flags, ext, body, *_) = PacketReader().feed(packet)[0]
        if command in KINDS and len(ext) < 256 and len(body) < 256:
            for who in b"\0\1":
                yield b"%c%c%c\1%c%s%c%s\2" % (kind_byte(command), who, flags, len(ext), ext, len(body), body)
    inside = pack(commands.SELECT, ext=b'{"fields":["uid","groups","session"],"where":[]}')
    yield b"%c\1\1\1\0%c%s\2" % (kind_byte(commands.QUERY), len(inside), inside)
    for command in (commands.DRAIN, commands.RELEASE, commands.PROGRESS):
        yield b"%c\1\1\1\0\x10%s\2" % (kind_byte(command), bytes(15) + b"\1")
    yield b"%c\0\1\1%c%s\2[]\2" % (kind_byte(commands.PATCH_SESSION), 19, b'a:1:{s:1:"a";i:1;}')


def kind_byte(command: int) -> int:
    at = KINDS.index(command)
    return at if at > 9 else at + len(KINDS)


TARGETS = (Target("inner-port", run, seeds, 512),)
