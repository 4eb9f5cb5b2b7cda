"""The push server's page: a browser that is pushed to, beside the line that pushes."""

from __future__ import annotations

import json
import secrets
from importlib.resources import files
from typing import Any

from tidegate.errors import ConfigurationError
from tidegate.net.address import parse_address

__all__ = ["push_page"]


def push_page(listen: str, inner: str, needs_token: bool) -> Any:
    """Make the ASGI app that serves it.

    Args:
        listen: where the page is to connect.
        inner: where backends push.
        needs_token: ask for a checkToken.

    Raises:
        ConfigurationError: where a browser can't connect to `listen`, or Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import HTMLResponse
        from starlette.routing import Route
    except ImportError:
        raise ConfigurationError("--page needs Starlette: pip install 'tidegate[http]'") from None
    client, backend = parse_address(listen), parse_address(inner)
    if client.scheme != "websocket":
        raise ConfigurationError(f"--page needs a websocket:// address to connect to, not {listen}")
    host = "127.0.0.1" if backend.host in ("0.0.0.0", "::") else backend.host  # noqa: S104
    settings = {"port": client.port, "innerHost": host, "innerPort": backend.port, "needsToken": needs_token}
    template = files("tidegate").joinpath("push_page.html").read_text("utf-8")
    # Inside a script element only "</" could end it.
    content = template.replace("{{settings}}", json.dumps(settings).replace("</", "<\\/"))

    async def page(_: Request) -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
            "connect-src ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(
            content.replace("{{nonce}}", nonce),
            headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"},
        )

    return Starlette(routes=[Route("/", page)])
