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
from tidegate.cluster.reasons import cause_of_refusal, no_register, one_error, reason_of
from tidegate.cluster.trust import Trust
from tidegate.errors import ClusterError, ClusterTimeoutError, ProtocolError
from tidegate.wire.register_line import Addresses, parse_line, read_addresses, worker_connect

__all__ = ["look_up", "look_up_async"]

READ_SIZE = 64 * 1024
ATTEMPTS = 2
"""With one Register that hangs up without a word: it may have stopped just then, and its successor taken over."""


class Inquiry:
    """One Register being asked.

    Args:
        register: its ``host:port``.
        secret_key: of the cluster.
        connect_timeout: seconds for it to accept a connection.
        timeout: seconds for it to answer, whatever the number of attempts.
        is_secure: it is asked by TLS.

    Attributes:
        was_cut_off: the last attempt ended without a word, and there may be another.
    """

    def __init__(
        self, register: str, secret_key: str, connect_timeout: float, timeout: float, is_secure: bool = False
    ) -> None:
        self.register = register
        self._is_secure = is_secure
        self.place = split_place(register)
        self.question = worker_connect(secret_key)
        self.connect_timeout = connect_timeout
        self.was_cut_off = False
        self._timeout = timeout
        self._deadline: float | None = None
        self._attempts = 0
        self._reader = LineReader()

    def begin(self) -> None:
        """There is a connection, on which it is to be asked."""
        self._attempts += 1
        self.was_cut_off = False
        if self._deadline is None:
            self._deadline = time.monotonic() + self._timeout

    @property
    def left(self) -> float:
        """Seconds for the answer that are left.

        Raises:
            TimeoutError: none.
        """
        assert self._deadline is not None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def feed(self, data: bytes) -> Addresses | None:
        """Take bytes of the answer; none are the end of the stream. Gives the gateways once they have come.

        Raises:
            ClusterError: it refuses, says something else, or knows of no gateway.
        """
        if not data:
            self.was_cut_off = self._attempts < ATTEMPTS
            raise self._refused()
        self._attempts = ATTEMPTS  # it has spoken
        for line in self._reader.feed(data):
            try:
                message = parse_line(line)
            except ProtocolError:
                raise self._misled(line) from None
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
        cause = cause_of_refusal(self._is_secure)
        return ClusterError(
            f"Register {self.register} refused to answer, most likely because {cause}, or it is no Register"
        )

    def _misled(self, line: bytes) -> ClusterError:
        """It says what no Tidegate's Register would; PHP's says in plain text why it hangs up."""
        what = no_register(self.register, line)
        return self._refused() if what is None else ClusterError(f"Register {self.register} gave no list: {what}")

    def unreachable(self, error: OSError) -> ClusterError:
        """What failing to connect is to the caller."""
        if isinstance(error, TimeoutError):
            return ClusterTimeoutError(f"Register {self.register} was not reached within {self.connect_timeout:g} s")
        return ClusterError(f"Register {self.register} can't be reached: {reason_of(error)}")

    def failed(self, error: OSError) -> ClusterError:
        """What failing to get an answer is to the caller."""
        if isinstance(error, TimeoutError):
            return ClusterTimeoutError(f"Register {self.register} did not answer within {self._timeout:g} s")
        self.was_cut_off = self._attempts < ATTEMPTS
        return ClusterError(f"Register {self.register} broke the connection off: {reason_of(error)}")


def look_up(
    registers: Sequence[str], secret_key: str, connect_timeout: float, timeout: float, trust: Trust | None = None
) -> Addresses:
    """Ask one Register after the other where the gateways are, and take the first list; blocking.

    Args:
        registers: as `parse_cluster` gives them.
        secret_key: of the cluster.
        connect_timeout: seconds for each to accept the connection.
        timeout: seconds for each to answer.
        trust: for TLS.

    Raises:
        ClusterError: none gave a list; names each that was asked and why.
        ClusterTimeoutError: the same, where one took too long.
    """
    problems: list[ClusterError] = []
    for register in registers:
        inquiry = Inquiry(register, secret_key, connect_timeout, timeout, trust is not None)
        try:
            return _ask(inquiry, trust)
        except ClusterError as problem:
            problems.append(problem)
    raise one_error(problems)


def _ask(inquiry: Inquiry, trust: Trust | None) -> Addresses:
    try:
        return _ask_once(inquiry, trust)
    except ClusterError:
        if not inquiry.was_cut_off:
            raise
    return _ask_once(inquiry, trust)


def _connect(inquiry: Inquiry, trust: Trust | None) -> socket.socket:
    if trust is None:
        return socket.create_connection(inquiry.place, inquiry.connect_timeout)
    deadline = time.monotonic() + inquiry.connect_timeout
    sock = socket.create_connection(inquiry.place, inquiry.connect_timeout)
    try:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        return trust.context().wrap_socket(sock)
    except BaseException:
        sock.close()
        raise


def _ask_once(inquiry: Inquiry, trust: Trust | None) -> Addresses:
    try:
        sock = _connect(inquiry, trust)
    except OSError as error:
        raise inquiry.unreachable(error) from error
    with sock:
        inquiry.begin()
        try:
            sock.settimeout(inquiry.left)
            sock.sendall(inquiry.question)
            while True:
                sock.settimeout(inquiry.left)
                addresses = inquiry.feed(sock.recv(READ_SIZE))
                if addresses is not None:
                    return addresses
        except ClusterError:
            raise
        except OSError as error:
            raise inquiry.failed(error) from error


async def look_up_async(
    registers: Sequence[str],
    secret_key: str,
    connect_timeout: float,
    timeout: float,  # noqa: ASYNC109
    trust: Trust | None = None,
) -> Addresses:
    """As `look_up`, in any asyncio loop."""
    problems: list[ClusterError] = []
    for register in registers:
        inquiry = Inquiry(register, secret_key, connect_timeout, timeout, trust is not None)
        try:
            return await _ask_async(inquiry, trust)
        except ClusterError as problem:
            problems.append(problem)
    raise one_error(problems)


async def _ask_async(inquiry: Inquiry, trust: Trust | None) -> Addresses:
    try:
        return await _ask_once_async(inquiry, trust)
    except ClusterError:
        if not inquiry.was_cut_off:
            raise
    return await _ask_once_async(inquiry, trust)


async def _ask_once_async(inquiry: Inquiry, trust: Trust | None) -> Addresses:
    context = trust.context() if trust is not None else None
    try:
        async with asyncio.timeout(inquiry.connect_timeout):
            reader, writer = await asyncio.open_connection(*inquiry.place, ssl=context)
    except OSError as error:
        raise inquiry.unreachable(error) from error
    inquiry.begin()
    try:
        async with asyncio.timeout(inquiry.left):
            writer.write(inquiry.question)
            while True:
                addresses = inquiry.feed(await reader.read(READ_SIZE))
                if addresses is not None:
                    return addresses
    except ClusterError:
        raise
    except OSError as error:
        raise inquiry.failed(error) from error
    finally:
        writer.transport.abort()
