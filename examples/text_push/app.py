"""Push through an inner text port: scripts on this machine send lines to it, browsers at the other port get them."""

import functools
import hmac
import json
import logging
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tidegate import App, BusinessWorker, Client, Gateway, Register, Worker
from tidegate.errors import ClusterError

INNER_PORT = 7273
USER = "admin"
PASSWORD_FILE = Path(__file__).with_name(".password")
PAGES = "pages"  # the group of the browsers: scripts, which are clients too, don't get what they push
MAX_CONTENT = 4000  # characters

HERE = Path(__file__).parent
site = Starlette(
    routes=[
        Mount("/js", StaticFiles(directory=HERE.parents[1] / "js" / "browser")),
        Mount("/", StaticFiles(directory=HERE / "page", html=True)),
    ]
)
business = BusinessWorker()
app = App(
    Register("127.0.0.1:1236"),
    Gateway("websocket://127.0.0.1:7272", max_message_size=1024),
    Gateway(f"text://127.0.0.1:{INNER_PORT}", name="inner", start_port=3300, max_message_size=64 * 1024),
    business,
    Worker("http://127.0.0.1:8000", app=site),
)


class RefusedError(Exception):
    """What a client sent is not carried out; it is told why."""


@business.on_worker_start
def prepare(_: BusinessWorker) -> None:
    password()  # there before the first script looks for it


@business.on_connect
def greet(client: Client) -> None:
    if client.gateway_port != INNER_PORT:
        client.join_group(PAGES)


@business.on_message
async def receive(client: Client, message: str | bytes) -> None:
    if message == '{"type":"ping"}':
        client.send('{"type":"pong"}')
        return
    try:
        answer = {"type": "sent", "pages": await push(client, message)}
    except (RefusedError, ClusterError) as error:
        logging.warning("nothing was pushed for %s: %s", client.id, error)
        answer = {"type": "error", "message": str(error)}
    client.send(json.dumps(answer))


async def push(client: Client, message: str | bytes) -> int:
    """Carry out what a script sent; gives the number of pages there are."""
    if client.gateway_port != INNER_PORT:  # even with the right password: that one is for this machine's scripts
        raise RefusedError("nothing can be pushed through this port")
    fields = read(message)
    if not (is_same(fields.get("user"), USER) & is_same(fields.get("pass"), password())):
        raise RefusedError("the user or the password is wrong")
    content = fields.get("content")
    if fields.get("type") != "send" or not isinstance(content, str) or not 0 < len(content) <= MAX_CONTENT:
        raise RefusedError(f'expected "type": "send" and a "content" of 1 to {MAX_CONTENT} characters')
    time = datetime.now(UTC).isoformat(timespec="seconds")
    business.send_to_group(PAGES, json.dumps({"type": "push", "content": content, "time": time}))
    return await business.get_client_count_by_group(PAGES)


def read(message: str | bytes) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RefusedError("that line is no JSON object")
    return fields


def is_same(given: object, expected: str) -> bool:
    """Compare in constant time: how long it takes tells nobody how much of a guess was right."""
    return isinstance(given, str) and hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


@functools.cache
def password() -> str:
    """PUSH_PASSWORD; else one made at the first start, in a file that only its owner can read."""
    if given := os.environ.get("PUSH_PASSWORD"):
        return given
    try:
        descriptor = os.open(PASSWORD_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = PASSWORD_FILE.read_text()
        if not kept:
            raise RuntimeError(f"{PASSWORD_FILE} is empty: remove it, and another is made") from None
        return kept
    with open(descriptor, "w") as file:
        file.write(made := secrets.token_urlsafe())
    return made
