"""Reading what a proxy says of a client from a socket, and not a byte more than that.

It is done before there is a transport, and so before TLS begins.
"""

from __future__ import annotations

import asyncio
import socket

from tidegate.errors import ProtocolError
from tidegate.protocols.forwarded import Origin
from tidegate.protocols.proxy import MAX_HEADER_SIZE, ProxyHeader, read_proxy_header

__all__ = ["read_origin"]


async def read_origin(sock: socket.socket, seconds: float) -> Origin | None:
    """Read the PROXY header of a connection; gives the client's address, or None where it says none.

    Raises:
        ProtocolError: there is none.
        OSError: the connection broke; TimeoutError: it did not come in time.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Origin | None] = loop.create_future()
    held = bytearray()

    def read() -> None:
        try:
            header = _advance(sock, held)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, ProtocolError) as error:
            loop.remove_reader(sock.fileno())
            if not done.done():
                done.set_exception(error)
            return
        if header is not None:
            loop.remove_reader(sock.fileno())
            if not done.done():
                done.set_result(header.origin)

    loop.add_reader(sock.fileno(), read)
    try:
        async with asyncio.timeout(seconds):
            return await done
    except TimeoutError:
        raise TimeoutError(f"no PROXY header in {seconds:g} s") from None
    finally:
        loop.remove_reader(sock.fileno())


def _advance(sock: socket.socket, held: bytearray) -> ProxyHeader | None:
    """Take what has come of the header out of the socket."""
    seen = sock.recv(MAX_HEADER_SIZE, socket.MSG_PEEK)
    if not seen:
        raise ProtocolError("the connection ended before its PROXY header did")
    header = read_proxy_header(bytes(held) + seen)
    held += sock.recv(len(seen) if header is None else header.size - len(held))
    return header
