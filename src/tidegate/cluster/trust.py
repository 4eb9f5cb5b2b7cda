"""TLS towards the members of a cluster that a process connects to (`cluster_ssl`)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from tidegate.net.mutual import ClusterTLS, connecting, read_cluster_tls

__all__ = ["Trust", "trust"]


class Trust:
    """What a process shows of itself, and whom it believes.

    Args:
        files: are read again when they change.

    Raises:
        ConfigurationError: which names the file that is missing or wrong.
    """

    __slots__ = ("_certificates", "files")

    def __init__(self, files: ClusterTLS) -> None:
        self.files = files
        self._certificates = connecting(files)

    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._certificates.context()


def trust(setting: Sequence[Any] | None) -> Trust | None:
    """What `cluster_ssl` means to those who connect; None where it is not set.

    Raises:
        ConfigurationError: it is not three paths, or one of the files is missing or wrong.
    """
    return None if setting is None else Trust(read_cluster_tls(setting))
