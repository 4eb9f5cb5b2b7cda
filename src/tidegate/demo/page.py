"""The demo's page: three files, and a policy under which the browser runs nothing else."""

from __future__ import annotations

import html
from importlib.resources import files
from typing import Any

from tidegate.demo.messages import MAX_NAME, MAX_ROOM, MAX_TEXT
from tidegate.errors import ConfigurationError
from tidegate.net.address import Address

__all__ = ["chat_page"]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
ASSETS = {"/chat.css": "text/css", "/chat.js": "text/javascript", "/icon.svg": "image/svg+xml"}


def chat_page(listen: Address, tcp: Address) -> Any:
    """Make the ASGI app that serves it.

    Args:
        listen: where the page is to connect.
        tcp: the door that it tells of.

    Raises:
        ConfigurationError: Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import Response
        from starlette.routing import Route
    except ImportError:
        raise ConfigurationError("the demo's page needs Starlette: pip install 'tidegate[http]'") from None
    folder = files("tidegate.demo")
    host = "127.0.0.1" if tcp.host in ("0.0.0.0", "::") else tcp.host  # noqa: S104
    settings = {
        "port": listen.port,
        "telnet": f"telnet {host} {tcp.port}",
        "max-name": MAX_NAME,
        "max-room": MAX_ROOM,
        "max-text": MAX_TEXT,
    }
    page = folder.joinpath("page.html").read_text("utf-8")
    for name, value in settings.items():
        page = page.replace(f"{{{{{name}}}}}", html.escape(str(value)))
    contents = {"/": (page, "text/html")}
    contents |= {path: (folder.joinpath(path[1:]).read_text("utf-8"), kind) for path, kind in ASSETS.items()}

    async def serve(request: Request) -> Response:
        content, kind = contents[request.url.path]
        return Response(content, media_type=kind, headers=HEADERS)

    return Starlette(routes=[Route(path, serve) for path in contents])
