"""How a push client learns where the gateways are: it asks a Register, and hangs up.

The talk with one Register is in `Inquiry`, without I/O; below it are the blocking way and asyncio's.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence

from tidegate.cluster.lines import LineReader
from tidegate.cluster.place import split_place
from tidegate.cluster.reasons import reason_of
from tidegate.errors import ClusterError, ClusterTimeoutError, ProtocolError
from tidegate.wire.register_line import Addresses, parse_line, read_addresses, worker_connect

__all__ = ["look_up", "look_up_async"]

READ_SIZE = 64 * 1024


class Inquiry:
    """One Register being asked.

    Args:
        register: its ``host:port``.
        secret_key: of the cluster.
    """

    def __init__(self, register: str, secret_key: str) -> None:
        self.register = register
        self.place = split_place(register)
        self.question = worker_connect(secret_key)
        self._reader = LineReader()

    def feed(self, data: bytes) -> Addresses | None:
        """Take bytes of the answer; none are the end of the stream. Gives the gateways once they have come.

        Raises:
            ClusterError: it refuses, says something else, or knows of no gateway.
        """
        if not data:
            raise self._refused()
        for line in self._reader.feed(data):
            try:
                message = parse_line(line)
            except ProtocolError:
                raise self._refused() from None
            if message["event"] != "ping":
                return self._answer(message)
        if self._reader.error is not None:
            raise ClusterError(f"Register {self.register} sent {self._reader.error}: what listens there is none")
        return None

    def _answer(self, message: dict[str, object]) -> Addresses:
        try:
            addresses = read_addresses(message)
        except ProtocolError as error:
            raise ClusterError(f"Register {self.register} sent {error}: what listens there is none") from None
        if not addresses.all:
            raise ClusterError(
                f"Register {self.register} knows of no gateway: start one, with this Register as its cluster"
            )
        return addresses

    def _refused(self) -> ClusterError:
        return ClusterError(
            f"Register {self.register} refused to answer, most likely because its secret_key is another one"
        )

    def unreachable(self, error: OSError, seconds: float) -> ClusterError:
        """What failing to connect is to the caller."""
        if isinstance(error, TimeoutError):
            return ClusterTimeoutError(f"Register {self.register} was not reached within {seconds:g} s")
        return ClusterError(f"Register {self.register} can't be reached: {reason_of(error)}")

    def failed(self, error: OSError, seconds: float) -> ClusterError:
        """What failing to get an answer is to the caller."""
        if isinstance(error, TimeoutError):
            return ClusterTimeoutError(f"Register {self.register} did not answer within {seconds:g} s")
        return ClusterError(f"Register {self.register} broke the connection off: {reason_of(error)}")


def _all_failed(problems: Sequence[ClusterError]) -> ClusterError:
    """One error for those of all the Registers."""
    if len(problems) == 1:
        return problems[0]
    timed_out = any(isinstance(problem, ClusterTimeoutError) for problem in problems)
    return (ClusterTimeoutError if timed_out else ClusterError)("; ".join(map(str, problems)))


def look_up(registers: Sequence[str], secret_key: str, connect_timeout: float, timeout: float) -> Addresses:
    """Ask one Register after the other where the gateways are, and take the first list; blocking.

    Args:
        registers: as `parse_cluster` gives them.
        secret_key: of the cluster.
        connect_timeout: seconds for each to accept the connection.
        timeout: seconds for each to answer.

    Raises:
        ClusterError: none gave a list; names each that was asked and why.
        ClusterTimeoutError: the same, where one took too long.
    """
    problems: list[ClusterError] = []
    for register in registers:
        inquiry = Inquiry(register, secret_key)
        try:
            return _ask(inquiry, connect_timeout, timeout)
        except ClusterError as problem:
            problems.append(problem)
    raise _all_failed(problems)


def _ask(inquiry: Inquiry, connect_timeout: float, timeout: float) -> Addresses:
    try:
        sock = socket.create_connection(inquiry.place, connect_timeout)
    except OSError as error:
        raise inquiry.unreachable(error, connect_timeout) from error
    with sock:
        deadline = time.monotonic() + timeout
        try:
            sock.settimeout(timeout)
            sock.sendall(inquiry.question)
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                addresses = inquiry.feed(sock.recv(READ_SIZE))
                if addresses is not None:
                    return addresses
        except ClusterError:
            raise
        except OSError as error:
            raise inquiry.failed(error, timeout) from error
    raise inquiry.failed(TimeoutError(), timeout)


async def look_up_async(registers: Sequence[str], secret_key: str, connect_timeout: float, timeout: float) -> Addresses:  # noqa: ASYNC109
    """As `look_up`, in any asyncio loop."""
    problems: list[ClusterError] = []
    for register in registers:
        inquiry = Inquiry(register, secret_key)
        try:
            return await _ask_async(inquiry, connect_timeout, timeout)
        except ClusterError as problem:
            problems.append(problem)
    raise _all_failed(problems)


async def _ask_async(inquiry: Inquiry, connect_timeout: float, timeout: float) -> Addresses:  # noqa: ASYNC109
    try:
        async with asyncio.timeout(connect_timeout):
            reader, writer = await asyncio.open_connection(*inquiry.place)
    except OSError as error:
        raise inquiry.unreachable(error, connect_timeout) from error
    try:
        async with asyncio.timeout(timeout):
            writer.write(inquiry.question)
            while True:
                addresses = inquiry.feed(await reader.read(READ_SIZE))
                if addresses is not None:
                    return addresses
    except ClusterError:
        raise
    except OSError as error:
        raise inquiry.failed(error, timeout) from error
    finally:
        writer.transport.abort()
