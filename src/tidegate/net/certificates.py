"""TLS contexts made of files, and made anew when these change: to renew a certificate nobody has to restart anything.

Connections keep the context that they began with.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tidegate.errors import ConfigurationError

__all__ = ["Certificates"]

logger = logging.getLogger("tidegate")

LOOK_SECONDS = 2.0
"""Between looks at the files."""
SETTLED_SECONDS = 2.0
"""What has changed is read once it is as old as that, or a second look finds it the same: a certificate and its key are
seldom written in one step."""

Stamp: TypeAlias = "tuple[tuple[int, int, int, float] | None, ...]"


class Certificates:
    """A context, and the files that it is made of.

    Args:
        make: reads the files.
        paths: of the files; none for a context that is somebody else's to change.

    Raises:
        ConfigurationError: of ``make``.
    """

    __slots__ = ("_context", "_found", "_look_at", "_made_of", "_make", "_paths")

    def __init__(self, make: Callable[[], ssl.SSLContext], paths: Sequence[str] = ()) -> None:
        self._make = make
        self._paths = tuple(paths)
        self._found = self._made_of = self._stamp()
        self._look_at = time.monotonic() + LOOK_SECONDS
        self._context = make()

    def context(self) -> ssl.SSLContext:
        """The one for the next connection."""
        self.look()
        return self._context

    def look(self) -> None:
        """See from time to time whether the files have changed; costs nothing in between."""
        if self._paths and time.monotonic() >= self._look_at:
            self.renew(settled=False)

    def renew(self, *, settled: bool = True) -> None:
        """See now whether they have changed; what can't be used is logged once, and what there was stays.

        Args:
            settled: they are known to be complete.
        """
        self._look_at = time.monotonic() + LOOK_SECONDS
        before, self._found = self._found, self._stamp()
        if self._found == self._made_of:
            return
        if not settled and self._found != before and not _is_old(self._found):
            return
        self._made_of = self._found
        try:
            self._context = self._make()
        except ConfigurationError as error:
            logger.error("the certificate that there was stays in use, as the new one can't be: %s", error)
        else:
            logger.info("a new certificate is in use for new connections: %s", self._paths[0])

    def _stamp(self) -> Stamp:
        return tuple(map(_stamp_of, self._paths))


def _is_old(stamp: Stamp) -> bool:
    latest = time.time() - SETTLED_SECONDS
    return all(file is not None and file[3] < latest for file in stamp)


def _stamp_of(path: str) -> tuple[int, int, int, float] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime
