"""TLS between the processes of a cluster, where each shows a certificate that the cluster's own authority has signed.

Addresses stand in Register and in client ids as numbers, so that no name is compared: whoever has such a certificate
belongs to the cluster.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from typing import Any, NamedTuple

from tidegate.errors import ConfigurationError
from tidegate.net.certificates import Certificates
from tidegate.net.tls import check_files, load_pair

__all__ = ["ClusterTLS", "accepting", "connecting", "read_cluster_tls"]

NAME = "cluster_ssl"


class ClusterTLS(NamedTuple):
    """The files by which the processes of a cluster know each other, in PEM form.

    Attributes:
        certificate: of this process or machine, with those between it and the authority behind it.
        key: the certificate's, without a passphrase.
        ca: the certificate of the cluster's own authority; several, one behind the other, while it is replaced.
    """

    certificate: str
    key: str
    ca: str


def read_cluster_tls(setting: Sequence[Any]) -> ClusterTLS:
    """Read what was given as `cluster_ssl`.

    Raises:
        ConfigurationError: it is not three paths.
    """
    if (
        not isinstance(setting, list | tuple)
        or len(setting) != 3
        or not all(isinstance(path, str | os.PathLike) for path in setting)
    ):
        raise ConfigurationError(f"{NAME} is three files: (certificate, key, the cluster's authority)")
    return ClusterTLS(*map(os.fspath, setting))


def accepting(files: ClusterTLS) -> Certificates:
    """What a port takes its contexts from; whoever connects has to show a certificate.

    Raises:
        ConfigurationError: which names the file that is missing or wrong.
    """

    def make() -> ssl.SSLContext:
        context = _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)
        context.num_tickets = 0  # nothing comes unasked on a push client's connection
        return context

    return Certificates(make, files)


def connecting(files: ClusterTLS) -> Certificates:
    """What those who connect take theirs from.

    Raises:
        ConfigurationError: which names the file that is missing or wrong.
    """

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        return _load(context, files)

    return Certificates(make, files)


def _load(context: ssl.SSLContext, files: ClusterTLS) -> ssl.SSLContext:
    check_files(NAME, files)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    load_pair(NAME, context, files.certificate, files.key)
    try:
        context.load_verify_locations(files.ca)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(f"{NAME}: {files.ca} is no authority's certificate ({error})") from error
    return context
