"""What `ssl=` may be: an SSLContext, or the files of a certificate and its key."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from typing import Any

from tidegate.errors import ConfigurationError
from tidegate.net.certificates import Certificates

__all__ = ["TLS", "check_files", "describe_failure", "load_pair", "make_certificates", "make_context"]

FAILURES = {
    "HTTP_REQUEST": "it sent an HTTP request and no TLS",
    "NO_SHARED_CIPHER": "it knows no cipher that is good enough",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refuses the certificate here",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it finds that the certificate here has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it refuses the certificate here",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know who signed the certificate here",
    "UNSUPPORTED_PROTOCOL": "it speaks an old version of TLS only",
    "WRONG_VERSION_NUMBER": "it speaks no TLS",
}
"""What OpenSSL's words mean to those who listen."""

TLS = ssl.SSLContext | Sequence[str | os.PathLike[str]]


def make_certificates(setting: TLS) -> Certificates:
    """Give what a listener takes its contexts from; files are read again when they change.

    Raises:
        ConfigurationError: which names the file that is missing or wrong.
    """
    if isinstance(setting, ssl.SSLContext):
        return Certificates(lambda: setting)
    pair = _read_pair(setting)
    return Certificates(lambda: make_context(pair), pair)


def make_context(setting: TLS) -> ssl.SSLContext:
    """Give the context that a listener uses.

    Raises:
        ConfigurationError: which names the file that is missing or wrong.
    """
    if isinstance(setting, ssl.SSLContext):
        return setting
    pair = _read_pair(setting)
    check_files("ssl", pair)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_pair("ssl", context, *pair)
    return context


def _read_pair(setting: Any) -> tuple[str, str]:
    if (
        not isinstance(setting, list | tuple)
        or len(setting) != 2
        or not all(isinstance(path, str | os.PathLike) for path in setting)
    ):
        raise ConfigurationError("ssl is an SSLContext or a pair: (certificate file, key file)")
    certificate, key = map(os.fspath, setting)
    return certificate, key


def describe_failure(error: OSError) -> str:
    """Why somebody who has connected made no TLS handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate can't be trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return FAILURES.get(error.reason or "", error.reason or str(error))
    return str(error) or "no TLS handshake in time"


def check_files(setting: str, paths: Sequence[str | os.PathLike[str]]) -> None:
    """See that the files of a setting are there.

    Raises:
        ConfigurationError: which names the one that is not.
    """
    for path in paths:
        if not os.path.isfile(path):
            raise ConfigurationError(f"{setting}: there is no file {path}")


def load_pair(
    setting: str, context: ssl.SSLContext, certificate: str | os.PathLike[str], key: str | os.PathLike[str]
) -> None:
    """Have a context show this certificate.

    Raises:
        ConfigurationError: the files are no certificate and its key, or the key has a passphrase.
    """

    def refuse() -> str:
        raise ConfigurationError(
            f"{setting}: {key} has a passphrase: store it without, or pass an SSLContext that has loaded it"
            if setting == "ssl"
            else f"{setting}: {key} has a passphrase: store it without"
        )

    try:
        # Without a function here OpenSSL would ask for a passphrase at the terminal, and wait.
        context.load_cert_chain(certificate, key, password=refuse)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"{setting}: {certificate} and {key} are no certificate and its key ({error})"
        ) from error
