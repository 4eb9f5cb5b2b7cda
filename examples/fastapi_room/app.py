"""A chat room whose site does all the work: clients listen, and nothing that they send is even looked at.

A page connects to the gateway and is told its client id. It posts that to the site, which binds it to whoever is logged
in. What a page has to say it posts to the site as well, and the site pushes it to those whom it is for.

    tidegate start app.py       cluster and site
    uvicorn app:site            the site alone, in a server of your choice
"""

import base64
import contextlib
import hmac
import json
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import AfterValidator, BaseModel, StringConstraints

from tidegate import App, AsyncGatewayClient, BusinessWorker, Client, Gateway, Register, Worker
from tidegate.errors import ClusterError

FOLDER = Path(__file__).parent
ROOM = "room"
PEOPLE = json.dumps({"type": "people"})  # tells pages to ask anew who is here
LISTED = 200  # people that a page is told of
MAX_BODY = 10_000  # bytes
LOGIN_SECONDS = 24 * 3600
# Signs logins. Without one in the environment they end with this process, and no second process knows them.
SECRET = os.environ.get("SITE_SECRET", "").encode() or secrets.token_bytes(32)

logger = logging.getLogger("tidegate.fastapi_room")

# The cluster

business = BusinessWorker()


@business.on_connect
def greet(client: Client) -> None:
    # Client ids can be guessed. Only who has this ticket too has the connection, so nobody binds somebody else's.
    ticket = secrets.token_urlsafe()
    business.update_session(client.id, {"ticket": ticket})
    client.send(json.dumps({"type": "init", "client_id": client.id, "ticket": ticket}))


@business.on_close
def leave(_: Client) -> None:
    business.send_to_group(ROOM, PEOPLE)


# Who is logged in


class User(BaseModel):
    uid: str
    name: str


class Login(User):
    until: float  # Unix time


def sign(body: bytes) -> bytes:
    return hmac.digest(SECRET, body, "sha256").hex().encode()


def write_cookie(login: Login) -> str:
    body = base64.urlsafe_b64encode(login.model_dump_json().encode())
    return (body + b"." + sign(body)).decode()


def read_cookie(fastapi_room: Annotated[str, Cookie()] = "") -> User | None:
    body, _, signature = fastapi_room.encode().rpartition(b".")
    if not hmac.compare_digest(sign(body), signature):
        return None
    login = Login.model_validate_json(base64.urlsafe_b64decode(body))
    return login if login.until > time.time() else None


def require_login(user: Annotated[User | None, Depends(read_cookie)]) -> User:
    if user is None:
        raise HTTPException(401, "Log in first.")
    return user


def get_push(request: Request) -> AsyncGatewayClient:
    push: AsyncGatewayClient = request.state.push
    return push


LoggedIn = Annotated[User, Depends(require_login)]
Push = Annotated[AsyncGatewayClient, Depends(get_push)]

# What pages send


def one_line(text: str) -> str:
    """Without what is not seen, or turns around what follows."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if not 1 <= len(line) <= 24:
        raise ValueError("a name has 1 to 24 characters")
    return line


class Name(BaseModel):
    name: Annotated[str, AfterValidator(one_line)]


class Connection(BaseModel):
    client_id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{20}$")]
    ticket: Annotated[str, StringConstraints(max_length=100)]


class Message(BaseModel):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
    to: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None  # a uid; None is everybody


# The site


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, AsyncGatewayClient]]:
    async with AsyncGatewayClient() as push:
        yield {"push": push}


site = FastAPI(title="A room", lifespan=lifespan, docs_url=None, redoc_url=None)


@site.post("/login")
async def login(body: Name, request: Request, response: Response) -> User:
    user = User(uid=secrets.token_hex(8), name=body.name)
    cookie = write_cookie(Login(**user.model_dump(), until=time.time() + LOGIN_SECONDS))
    secure = request.url.scheme == "https"
    response.set_cookie("fastapi_room", cookie, LOGIN_SECONDS, httponly=True, samesite="strict", secure=secure)
    return user


@site.post("/logout", status_code=204)
async def logout(user: LoggedIn, push: Push, response: Response) -> None:
    response.delete_cookie("fastapi_room")
    with contextlib.suppress(ClusterError):  # the login ends, whatever becomes of this user's other pages
        await push.close_uid(user.uid)


@site.get("/me")
async def me(user: Annotated[User | None, Depends(read_cookie)]) -> User | None:
    return user


@site.post("/bind", status_code=204)
async def bind(connection: Connection, user: LoggedIn, push: Push) -> None:
    """Make a connection this user's. Whose it becomes stands in the cookie, and nowhere in what the page says."""
    client_id = connection.client_id
    ticket = (await push.get_session(client_id) or {}).get("ticket")
    if ticket is None:
        raise HTTPException(404, "That connection has ended.")
    if not hmac.compare_digest(ticket.encode(), connection.ticket.encode()):
        raise HTTPException(403, "That is somebody else's connection.")
    await push.update_session(client_id, user.model_dump())
    await push.bind_uid(client_id, user.uid)
    await push.join_group(client_id, ROOM)
    await push.flush()  # from here on every push finds it, also one from another process
    await push.send_to_group(ROOM, PEOPLE)


@site.get("/people")
async def people(_: LoggedIn, push: Push) -> list[User]:
    sessions = (await push.get_client_sessions_by_group(ROOM)).values()
    names = {session["uid"]: session["name"] for session in sessions}  # somebody may have several pages open
    users = [User(uid=uid, name=name) for uid, name in names.items()]
    return sorted(users, key=lambda user: user.name.casefold())[:LISTED]


@site.post("/send", status_code=204)
async def send(message: Message, user: LoggedIn, push: Push) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    said = json.dumps({"type": "say", **user.model_dump(), "to": message.to, "text": message.text, "time": now})
    if message.to is None:
        await push.send_to_group(ROOM, said)
    elif await push.is_uid_online(message.to):
        await push.send_to_uid([message.to, user.uid], said)  # to one's own pages too
    else:
        raise HTTPException(404, "They are not here any more.")


@site.middleware("http")
async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    if request.method == "POST":
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return JSONResponse({"detail": "Another site's page has sent this."}, 403)
        if int(request.headers.get("content-length", MAX_BODY + 1)) > MAX_BODY:
            return JSONResponse({"detail": f"A request says how long it is: {MAX_BODY} bytes at most."}, 413)
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'"
    response.headers["Cache-Control"] = "no-cache"
    return response


@site.exception_handler(ClusterError)
async def cluster_is_down(_: Request, error: Exception) -> Response:
    logger.warning("a push failed: %s", error)
    return JSONResponse({"detail": "The push service does not answer. Try again."}, 503)


@site.exception_handler(RequestValidationError)
async def body_is_wrong(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    return JSONResponse({"detail": f"{problem['loc'][-1]}: {problem['msg']}"}, 422)


site.mount("/js", StaticFiles(directory=FOLDER.parents[1] / "js" / "browser"))
site.mount("/", StaticFiles(directory=FOLDER / "page", html=True))

app = App(
    Register("127.0.0.1:1236"),
    # Pages answer this heartbeat, so that they notice a gateway that has vanished; they send nothing else.
    Gateway("websocket://127.0.0.1:7272", ping_data='{"type":"ping"}', max_message_size=1024),
    business,
    Worker("http://127.0.0.1:8000", name="site", app=site),
)
