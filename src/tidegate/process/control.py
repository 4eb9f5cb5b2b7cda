"""The control socket: one JSON object a line from a command, one back from the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tidegate.errors import ConfigurationError, TidegateError

__all__ = ["ControlServer", "ask"]

logger = logging.getLogger("tidegate")

MAX_REQUEST = 64 * 1024
REQUEST_SECONDS = 10

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]


class ControlServer:
    """Takes commands from the same user's other processes: the socket lies in a folder of theirs alone."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[Any]] = set()

    async def start(self, path: Path) -> None:
        """Listen."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of one that was killed: the lock says that none lives
        self._server = await asyncio.start_unix_server(self._serve, path, limit=MAX_REQUEST)
        os.chmod(path, 0o600)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            line = await asyncio.wait_for(reader.readline(), REQUEST_SECONDS)
            answer: dict[str, Any]
            try:
                request = json.loads(line)
                answer = {"result": await self._handle(request.pop("op"), request)}
            except TidegateError as error:
                answer = {"error": str(error), "traceback": getattr(error, "traceback", None)}
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                answer = {"error": f"the request can't be read: {error!r}"}
            except Exception as error:
                logger.exception("a command failed")
                answer = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # whoever asked is gone, or was none of ours
        finally:
            self._connections.discard(task)
            writer.close()

    async def close(self) -> None:
        """Take no more commands, and let the answers under way be written."""
        if self._server is not None:
            self._server.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=1)


def ask(path: Path, op: str, seconds: float = 10, **parameters: Any) -> dict[str, Any]:
    """Send a command and wait for its answer: ``{"result": …}`` or ``{"error": …, "traceback": …}``.

    Raises:
        ConfigurationError: where nothing answers.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        try:
            sock.connect(str(path))
            sock.sendall(json.dumps({"op": op, **parameters}).encode() + b"\n")
            with sock.makefile("rb") as file:
                line = file.readline()
        except TimeoutError:
            raise ConfigurationError(f"the app did not answer within {seconds:.0f} seconds") from None
        except OSError as error:
            raise ConfigurationError(f"the app can't be reached: {error.strerror}") from None
    if not line:
        raise ConfigurationError("the app ended before it answered")
    answer: dict[str, Any] = json.loads(line)
    return answer
