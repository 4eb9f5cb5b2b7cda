"""One account may push to everybody: whoever logs in as administrator on its own connection. Others only listen.

The password is ADMIN_PASSWORD in the environment. Without it one is made, kept in the file ``admin-password`` beside
this one, and printed at each start.

    tidegate start app.py
"""

import asyncio
import contextlib
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
from tidegate.errors import ConfigurationError

FOLDER = Path(__file__).parent
PASSWORD_FILE = FOLDER / "admin-password"
TRIES = 3  # wrong passwords after which a client is closed
PAUSE = 0.5  # seconds that a client has to wait after a wrong one
MAX_TEXT = 1000  # characters

logger = logging.getLogger("tidegate.admin_account")

# The password


def read_password() -> bytes:
    """Gives the same one to every process of the cluster."""
    if given := os.environ.get("ADMIN_PASSWORD"):
        return os.fsencode(given)
    if not PASSWORD_FILE.exists():
        make_password()
    password = PASSWORD_FILE.read_bytes().strip()
    if not password:
        raise ConfigurationError(f"{PASSWORD_FILE} holds no password: delete it, or set ADMIN_PASSWORD")
    return password


def make_password() -> None:
    """Write a file that only its owner reads; of several processes that come here at the same time, one does."""
    draft = PASSWORD_FILE.with_name(f".admin-password-{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(12) + "\n")
    with contextlib.suppress(FileExistsError):
        os.link(draft, PASSWORD_FILE)
    draft.unlink()


PASSWORD = read_password()

# The cluster

business = BusinessWorker(count=2)


@business.on_worker_start
def announce(worker: BusinessWorker) -> None:
    if worker.id == 0 and not os.environ.get("ADMIN_PASSWORD"):
        print(f"The administrator's password is {PASSWORD.decode()}", flush=True)


@business.on_connect
def greet(client: Client) -> None:
    client.send(pack("init", client_id=client.id))


@business.on_message
async def receive(client: Client, message: str | bytes) -> None:
    if client.session.get("wrong", 0) >= TRIES:
        return  # it is being closed; what it had sent by then counts for nothing
    match read(message):
        case {"type": "login", "password": str(password)}:
            await log_in(client, password)
        case {"type": "logout"}:
            client.session.pop("admin", None)
            client.send(pack("logout"))
        case {"type": "push", "text": str(text)}:
            push(client, text.strip())
        case {"type": "ping"}:
            client.send(pack("pong"))
        case _:
            client.send(pack("error", about="message", message="That is no message of this page."))


async def log_in(client: Client, password: str) -> None:
    session = client.session  # kept at the gateway, for this connection: no client writes it, and every worker sees it
    if hmac.compare_digest(password.encode(errors="surrogatepass"), PASSWORD):
        session.update(admin=True, wrong=0)
        client.send(pack("login"))
        return
    session["wrong"] = session.get("wrong", 0) + 1
    await asyncio.sleep(PAUSE)  # its next message waits, nobody else's does
    left = TRIES - session["wrong"]
    if left:
        client.send(pack("error", about="login", message=f"That is not the password. Tries left: {left}."))
        return
    logger.warning("client %s at %s was closed after %d wrong passwords", client.id, client.remote_ip, TRIES)
    client.close(pack("error", about="login", message="That is not the password, and these were too many."))


def push(client: Client, text: str) -> None:
    if not client.session.get("admin"):
        client.send(pack("error", about="push", message="Only an administrator may push: log in first."))
    elif not 1 <= len(text) <= MAX_TEXT:
        client.send(pack("error", about="push", message=f"A message has 1 to {MAX_TEXT} characters."))
    else:
        business.send_to_all(pack("message", text=text, time=datetime.now(UTC).isoformat(timespec="seconds")))
        client.send(pack("pushed"))


def pack(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})


def read(message: str | bytes) -> Any:
    """Anything that JSON may be; None where it is none."""
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


js = StaticFiles(directory=FOLDER.parents[1] / "js" / "browser")
page = StaticFiles(directory=FOLDER / "page", html=True)
site = Starlette(routes=[Mount("/js", js), Mount("/", page)])

app = App(
    Register("127.0.0.1:1236"),
    Gateway("websocket://127.0.0.1:7272", count=2, max_message_size=16 * 1024),
    business,
    Worker("http://127.0.0.1:8000", name="site", app=site),
)
