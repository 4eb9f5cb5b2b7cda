"""Who may ask: whoever shows the token, or where there is none, programs on this machine but no web page.

A page anywhere can make its visitor's browser send requests to the visitor's own machine, and read what comes back once
a name of the page's own leads there (DNS rebinding). So the Host has to be this machine's, and whatever a browser says
of the page that asks (Fetch Metadata, RFC 6454) must not be there.
"""

from __future__ import annotations

import hmac
import ipaddress
import re

from tidegate.errors import ConfigurationError
from tidegate.http.message import Refusal, Request

__all__ = ["Admission"]

TOKEN = re.compile(r"[\x21-\x7e]+")
HOST = re.compile(r"(\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:/@]+))(:(?P<port>[0-9]{1,5}))?")
DEFAULT_PORTS = {"http": 80, "https": 443}
PROXIED = (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip")
"""Headers by which a proxy says that somebody else asks."""


class Admission:
    """Decides about each request.

    Args:
        token: that requests have to show; None for programs of this machine only.

    Raises:
        ConfigurationError: the token can't be sent in a header.
    """

    def __init__(self, token: str | None) -> None:
        if token is not None and (not isinstance(token, str) or TOKEN.fullmatch(token) is None):
            raise ConfigurationError(
                "the token of the HTTP door is not right: it takes a text of ASCII letters, digits and signs without "
                "spaces, which is not empty"
            )
        self._token = token

    def check(self, request: Request) -> None:
        """Let it pass.

        Raises:
            Refusal: it has not shown the token, or may come from elsewhere or from a web page.
        """
        if self._token is not None:
            self._check_token(request, self._token)
        else:
            _check_machine(request)
            _check_page(request)

    def _check_token(self, request: Request, token: str) -> None:
        challenge = {"www-authenticate": "Bearer"}
        shown = request.headers(b"authorization")
        if len(shown) != 1:
            raise Refusal(401, "a token is needed: Authorization: Bearer …", challenge)
        scheme, _, value = shown[0].partition(" ")
        is_right = hmac.compare_digest(value.strip(" ").encode(), token.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise Refusal(401, "this is not the token", {"www-authenticate": 'Bearer error="invalid_token"'})


def _check_machine(request: Request) -> None:
    for end in ("client", "server"):
        address = request.scope.get(end)
        if not address or not _is_loopback(address[0]):
            raise _refusal("it takes requests from this machine only")
    for name in PROXIED:
        if request.headers(name):
            raise _refusal(f"a proxy has passed this request on ({name.decode()})")


def _check_page(request: Request) -> None:
    hosts = request.headers(b"host")
    if len(hosts) != 1 or not _is_ours(hosts[0], request):
        raise _refusal("the Host of a request has to be 127.0.0.1, localhost or [::1] with this port")
    own = f"{request.scope.get('scheme', 'http')}://{hosts[0]}".lower()
    if any(origin.lower() != own for origin in request.headers(b"origin")):
        raise _refusal("a web page has made this request (Origin)")
    if any(site != "none" for site in request.headers(b"sec-fetch-site")):
        raise _refusal("a web page has made this request (Sec-Fetch-Site)")


def _is_ours(host: str, request: Request) -> bool:
    match = HOST.fullmatch(host)
    if match is None:
        return False
    port = int(match["port"]) if match["port"] else DEFAULT_PORTS.get(request.scope.get("scheme", "http"))
    return port == request.scope["server"][1] and _is_loopback(match["ipv6"] or match["host"])


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and bool(mapped.is_loopback))


def _refusal(reason: str) -> Refusal:
    return Refusal(403, f"without a token, this is for programs on this machine: {reason}")
