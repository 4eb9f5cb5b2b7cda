"""What `ssl=` may be: an SSLContext, or the files of a certificate and its key."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from tidegate.errors import ConfigurationError

__all__ = ["TLS", "make_context"]

TLS = ssl.SSLContext | Sequence[str | os.PathLike[str]]


def make_context(setting: TLS) -> ssl.SSLContext:
    """Give the context that a listener uses.

    Raises:
        ConfigurationError: which names the file that is missing or wrong.
    """
    if isinstance(setting, ssl.SSLContext):
        return setting
    if (
        not isinstance(setting, list | tuple)
        or len(setting) != 2
        or not all(isinstance(path, str | os.PathLike) for path in setting)
    ):
        raise ConfigurationError("ssl is an SSLContext or a pair: (certificate file, key file)")
    certificate, key = setting
    for path in (certificate, key):
        if not os.path.isfile(path):
            raise ConfigurationError(f"ssl: there is no file {path}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a function here OpenSSL would ask for a passphrase at the terminal, and wait.
        context.load_cert_chain(certificate, key, password=lambda: _refuse(key))
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(f"ssl: {certificate} and {key} are no certificate and its key ({error})") from error
    return context


def _refuse(key: str | os.PathLike[str]) -> str:
    raise ConfigurationError(f"ssl: {key} has a passphrase: store it without, or pass an SSLContext that has loaded it")
