"""Listening sockets: made from an address, with errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys

from tidegate.errors import AddressError
from tidegate.net.address import Address

__all__ = ["bind", "keep_alive", "local_address", "plain_ip"]

BACKLOG = 4096
"""Connections that the kernel holds until they are accepted; it lowers this to its own limit (net.core.somaxconn)."""
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 55, 10, 3
"""Seconds of silence before a probe, between probes, and how many unanswered ones end a connection."""


def bind(address: Address, reuse_port: bool = False) -> list[socket.socket]:
    """Open the listening sockets of an address: one, or one for each IP address of a name.

    Raises:
        AddressError: where it is in use, not of this machine, or not allowed.
    """
    if address.scheme == "unix":
        return [_bind_unix(address)]
    kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(address.host, address.port, type=kind, flags=socket.AI_PASSIVE)
    except (OSError, ValueError) as error:  # ValueError is for what can't be a name at all
        reason = getattr(error, "strerror", None) or error
        raise AddressError(f"{address}: the host name {address.host!r} is not known ({reason})") from error
    targets = list(dict.fromkeys((family, place) for family, _, _, _, place in found))
    if address.port == 0:
        del targets[1:]  # several sockets could not agree on a free port
    opened: list[socket.socket] = []
    problem: OSError | None = None
    for family, place in targets:
        sock: socket.socket | None = None
        try:
            sock = socket.socket(family, kind)
            _prepare(sock, address, reuse_port)
            sock.bind(place)
            if kind == socket.SOCK_STREAM:
                sock.listen(BACKLOG)
        except OSError as error:
            if sock is not None:
                sock.close()
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(targets) > 1:
                problem = error  # a name with an IPv6 address on a machine without IPv6
                continue
            for other in opened:
                other.close()
            raise AddressError(_explain(address, error)) from error
        opened.append(sock)
    if not opened and problem is not None:
        raise AddressError(_explain(address, problem)) from problem
    return opened


def _prepare(sock: socket.socket, address: Address, reuse_port: bool) -> None:
    sock.setblocking(False)
    if sock.family == socket.AF_INET6:
        # [::] alone takes IPv4 as well; beside an IPv4 socket of the same name it must not.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address.host == "::" else 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.type == socket.SOCK_DGRAM:
        return
    if sys.platform != "win32":  # where it would let two programs have one port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keep_alive(sock)  # accepted sockets inherit it, which saves the system calls for each


def keep_alive(sock: socket.socket) -> None:
    """Have the system notice a peer that vanished, and send what is small at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_COUNT),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _bind_unix(address: Address) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise AddressError(f"{address}: this system has no unix sockets")
    _remove_stale(address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(address.path)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise AddressError(_explain(address, error)) from error
    return sock


def _remove_stale(address: Address) -> None:
    """Take away the file that a process which was killed left behind; a living one's, or another file, stays."""
    try:
        if not stat.S_ISSOCK(os.stat(address.path).st_mode):
            raise AddressError(f"{address}: there is a file of that name that is no socket: choose another path")
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address.path)
        except OSError:
            return


def _explain(address: Address, error: OSError) -> str:
    where = f"can't listen on {address}"
    match error.errno:
        case errno.EADDRINUSE:
            what = "path" if address.scheme == "unix" else "port"
            return f"{where}: it is in use. Stop what listens there, or choose another {what}"
        case errno.EACCES | errno.EPERM if address.scheme != "unix":
            return f"{where}: not allowed. Ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one"
        case errno.EADDRNOTAVAIL:
            return f"{where}: {address.host} is no address of this machine. Use 0.0.0.0 for all that it has"
        case _:
            return f"{where}: {error.strerror or error}"


def local_address(address: Address, sock: socket.socket) -> Address:
    """The address with the port that the socket really has."""
    if address.scheme == "unix":
        return address
    return Address(address.scheme, address.host, sock.getsockname()[1])


def plain_ip(ip: str) -> str:
    """An IPv4 address as such, also where IPv6 carries it."""
    return ip[7:] if ip.startswith("::ffff:") and "." in ip else ip
