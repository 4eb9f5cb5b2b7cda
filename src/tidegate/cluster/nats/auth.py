"""How a client comes in at a NATS server: what it says in CONNECT, and TLS. Files are read anew for each connection."""

from __future__ import annotations

import base64
import os
import re
import ssl
from typing import Any

from tidegate.cluster.nats.protocol import Info
from tidegate.cluster.nats.url import Files, NatsPlace
from tidegate.errors import ConfigurationError

__all__ = ["check_files", "connect_fields", "make_tls_context"]

MAX_FILE_SIZE = 64 * 1024

_block = re.compile(r"-----BEGIN ([A-Z ]+)-----\s+(\S+)\s+-+END [A-Z ]+-+")
_seed = re.compile(r"\bS[UAONC][A-Z2-7]{40,}\b")


def check_files(place: NatsPlace) -> None:
    """See that the files which a URL names are there, and can be used.

    Raises:
        ConfigurationError: which names the one that can't.
    """
    if place.files.creds:
        _signed(place.files.creds, "")
    if place.needs_tls:
        make_tls_context(place.files)


def connect_fields(place: NatsPlace, info: Info) -> dict[str, Any]:
    """What CONNECT says of who the client is.

    Raises:
        ConfigurationError: the creds file is missing or none, or what signs is not installed.
    """
    if place.files.creds:
        return _signed(place.files.creds, info.nonce)
    given = place.credentials
    if given.token:
        return {"auth_token": given.token}
    if given.user:
        return {"user": given.user, "pass": given.password}
    return {}


def _signed(path: str, nonce: str) -> dict[str, Any]:
    text = _read(path)
    blocks: dict[str, str] = dict(_block.findall(text))
    jwt = blocks.get("NATS USER JWT", "")
    seed = blocks.get("USER NKEY SEED", "")
    if not seed and not jwt:
        alone = _seed.search(text)
        seed = alone[0] if alone else ""
    if not seed:
        raise ConfigurationError(f"{path} is no creds file of NATS: it has no seed of a user's key")
    try:
        import nkeys
    except ImportError:
        raise ConfigurationError(
            f"the creds file {path} needs the package nkeys: pip install 'tidegate[nats]'"
        ) from None
    try:
        pair = nkeys.from_seed(seed.encode())
        signature = base64.urlsafe_b64encode(pair.sign(nonce.encode())).decode().rstrip("=") if nonce else ""
        public = pair.public_key.decode().rstrip("=")
    except Exception:  # its errors have no root of their own, and may have the seed in them
        raise ConfigurationError(f"{path} has a seed of a user's key that is none") from None
    return {"jwt": jwt, "sig": signature} if jwt else {"nkey": public, "sig": signature}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(MAX_FILE_SIZE)
    except OSError as error:
        raise ConfigurationError(f"the creds file {path} can't be read: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{path} is no creds file of NATS: it is no text") from None


def make_tls_context(files: Files) -> ssl.SSLContext:
    """The context for a connection to a server.

    Raises:
        ConfigurationError: which names the file that is missing or wrong.
    """
    for path in (files.tls_ca, files.tls_cert, files.tls_key):
        if path and not os.path.isfile(path):
            raise ConfigurationError(f"TLS to NATS: there is no file {path}")
    try:
        context = ssl.create_default_context(cafile=files.tls_ca or None)
        if files.tls_cert:
            # Without a function here OpenSSL would ask for a passphrase at the terminal, and wait.
            context.load_cert_chain(files.tls_cert, files.tls_key, password=lambda: _refuse(files.tls_key))
    except (ssl.SSLError, OSError) as error:
        named = ", ".join(path for path in (files.tls_ca, files.tls_cert, files.tls_key) if path)
        raise ConfigurationError(f"TLS to NATS: {named} can't be used ({error})") from None
    return context


def _refuse(path: str) -> str:
    raise ConfigurationError(f"TLS to NATS: {path} has a passphrase: store it without")
