"""What a user writes for a cluster on NATS: ``nats://host:4222,nats://host2:4222/namespace``.

Read and checked, no more. What lets a client in is never in a representation, a log or an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from tidegate.errors import ConfigurationError

__all__ = ["DEFAULT_NAMESPACE", "DEFAULT_PORT", "Credentials", "Files", "NatsPlace", "Server", "is_nats", "parse_nats"]

DEFAULT_PORT = 4222
DEFAULT_NAMESPACE = "tidegate"
SCHEMES = ("nats", "tls")
FILES = ("creds", "tls_ca", "tls_cert", "tls_key")
OPTIONS = (*FILES, "js_domain")
SECRETS = ("user", "password", "token")
EXAMPLE = "write nats://host:4222, or nats://user:password@host:4222,nats://host2:4222/name"

_word = re.compile(r"[A-Za-z0-9_-]{1,64}")
_host = re.compile(r"[^\s\[\]/@?#,]+")
_userinfo = re.compile(r"//.*@", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Server:
    """One NATS server.

    Attributes:
        tls_name: the name that its certificate has to have.
    """

    host: str
    port: int
    tls_name: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password, or a token; empty where none is."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Files:
    """Paths; empty where none is given.

    Attributes:
        creds: of a creds file, as the ``nsc`` tool writes it, or of a seed alone.
        tls_ca: of the certificates that a server's is checked by, instead of the system's.
        tls_cert, tls_key: of the client's own certificate.
    """

    creds: str = ""
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""


@dataclass(frozen=True, slots=True)
class NatsPlace:
    """Where a cluster on NATS is, and how to come in.

    Attributes:
        js_domain: of the JetStream that keeps the members; empty for that of the servers themselves.
        needs_tls: whether nothing may be said to a server that offers no TLS.
        goes_round: whether the servers that these tell of are used as well.
    """

    servers: tuple[Server, ...]
    namespace: str = DEFAULT_NAMESPACE
    credentials: Credentials = Credentials()
    files: Files = Files()
    js_domain: str = ""
    needs_tls: bool = False
    goes_round: bool = True

    def __str__(self) -> str:
        return f"nats://{','.join(map(str, self.servers))}/{self.namespace}"


def is_nats(cluster: object) -> bool:
    """Whether a cluster, as a user writes it, is on NATS: one URL or a sequence of such."""
    if not isinstance(cluster, str) and isinstance(cluster, Sequence):
        return any(isinstance(each, str) and is_nats(each) for each in cluster)
    return isinstance(cluster, str) and cluster.strip().lower().startswith(("nats://", "tls://"))


def parse_nats(cluster: str | Sequence[str], environ: Mapping[str, str] = os.environ) -> NatsPlace:
    """Read where a cluster is: URLs, with commas between, or a sequence of such.

    A namespace and options, such as ``?creds=/path``, may stand behind any of them. What they leave out may be in the
    environment, as TIDEGATE_NATS_ and the name of the option, or USER, PASSWORD or TOKEN.

    Raises:
        ConfigurationError: which says what is wrong and what would be right, and no secret.
    """
    text = cluster if isinstance(cluster, str) else ",".join(str(each) for each in cluster)
    found = _Found(_userinfo.sub("//***@", text))
    for part in text.split(","):
        found.read(part.strip())
    return found.place(environ)


class _Found:
    """What is gathered from the URLs, of which each may have a part of it."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._servers: list[Server] = []
        self._namespaces: set[str] = set()
        self._credentials: set[Credentials] = set()
        self._options: dict[str, str] = {}
        self._needs_tls = False

    def read(self, text: str) -> None:
        """One URL; behind the first it may be ``host:port`` alone."""
        if "://" not in text and self._servers:
            text = f"nats://{text}"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise self._wrong("an address or a port that is none") from None
        if parts.scheme not in SCHEMES:
            raise self._wrong("an address that is not NATS's")
        if not host or not _host.fullmatch(host) or port == 0:
            raise self._wrong("a server without a host, or with port 0")
        if parts.fragment:
            raise self._wrong("a # (in a user or a password it is written %23)")
        self._needs_tls |= parts.scheme == "tls"
        self._servers.append(Server(host, port or DEFAULT_PORT, host))
        if parts.username is not None:
            self._credentials.add(_credentials(parts.username, parts.password))
        namespace = unquote(parts.path).strip("/")
        if namespace:
            self._namespaces.add(namespace)
        self._read_options(parts.query)

    def _read_options(self, query: str) -> None:
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in OPTIONS:
                raise self._wrong(f"an option that is not known (there are {', '.join(OPTIONS)})")
            if self._options.setdefault(name, value) != value or not value:
                raise self._wrong(f"two values for {name}, or an empty one")

    def place(self, environ: Mapping[str, str]) -> NatsPlace:
        """All of it together."""
        if len(self._namespaces) > 1:
            raise self._wrong("two namespaces")
        namespace = next(iter(self._namespaces), DEFAULT_NAMESPACE)
        if not _word.fullmatch(namespace):
            raise self._wrong("a namespace that is not 1 to 64 letters, digits, - and _")
        if len(self._credentials) > 1:
            raise self._wrong("users or tokens that differ from server to server")
        given = {name: environ.get(f"TIDEGATE_NATS_{name.upper()}", "") for name in (*OPTIONS, *SECRETS)}
        if self._credentials or "creds" in self._options:  # who is named in the code comes in, and nobody else
            given |= dict.fromkeys(("creds", *SECRETS), "")
        credentials = next(iter(self._credentials), Credentials(*(given[name] for name in SECRETS)))
        files = Files(*(self._options.get(name) or given[name] for name in FILES))
        if bool(files.tls_cert) != bool(files.tls_key):
            raise self._wrong("only one of tls_cert and tls_key")
        if credentials.token and credentials.user:
            raise self._wrong("both a user and a token")
        js_domain = self._options.get("js_domain") or given["js_domain"]
        if js_domain and not _word.fullmatch(js_domain):
            raise self._wrong("a js_domain that is not 1 to 64 letters, digits, - and _")
        needs_tls = self._needs_tls or bool(files.tls_ca or files.tls_cert)
        return NatsPlace(tuple(dict.fromkeys(self._servers)), namespace, credentials, files, js_domain, needs_tls)

    def _wrong(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"the cluster {self._shown!r} has {what}: {EXAMPLE}")


def _credentials(user: str, password: str | None) -> Credentials:
    """As NATS reads them: what stands alone is a token."""
    if password is None:
        return Credentials(token=unquote(user))
    return Credentials(user=unquote(user), password=unquote(password))
