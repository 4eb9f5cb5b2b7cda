"""A live room: who comes and what they say goes to all who watch; visits and the last messages are kept in Redis.

page → worker   join    roomId, userName (empty: a random one), again (a page that comes back: not another visit)
                say     roomId, content
                pong    the answer to the gateway's heartbeat
worker → page   init    client_id, msg
                welcome roomId, userId, userName, pv, online, history
                join    roomId, userName, msg, joinTime, pv
                say     id, roomId, userId, userName, content, commentTime
                online  roomId, online, isCounting
                error   msg

Nobody is logged in here, so the worker gives everyone a userId, and believes any userName. Where people do log in, take
both from the cookie that `on_websocket_connect` sees. A pv is null while there is no Redis.

    tidegate start app.py       REDIS_URL says where Redis is: redis://127.0.0.1:6379/0
"""

import json
import logging
import os
import re
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

from memory import LOOK_SECONDS, Memory
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tidegate import App, BusinessWorker, Client, Gateway, Register, Worker, every
from tidegate.errors import ClusterError

FOLDER = Path(__file__).parent
TELL_SECONDS = 2  # between tellings how many are here
MAX_NAME = 24
MAX_CONTENT = 300  # characters
ROOM_ID = re.compile("[0-9A-Za-z_-]{1,32}")
# Controls, what turns text around, and halves of characters. What joins characters, as emoji do, may stay.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

logger = logging.getLogger("tidegate.live_room")

business = BusinessWorker(count=2)
memory = Memory(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))


class RefusedError(Exception):
    """What a page sent can't be done; the text is for the person at it."""


# Starting


@business.on_worker_start
async def start(worker: BusinessWorker) -> None:
    memory.is_quiet = worker.id > 0
    if worker.id == 0:  # one process speaks for all
        every(TELL_SECONDS, tell_online)
    await memory.look()
    every(LOOK_SECONDS, memory.look)


@business.on_worker_stop
async def stop(_: BusinessWorker) -> None:
    await memory.close()


# What pages send


@business.on_connect
def greet(client: Client) -> None:
    client.send(pack("init", client_id=client.id, msg="connect is success"))


@business.on_message
async def receive(client: Client, message: str | bytes) -> None:
    try:
        fields = read(message)
        match fields.get("type"):
            case "join":
                await join(client, fields)
            case "say":
                await say(client, fields)
            case "pong":
                pass  # that it came is enough: the gateway closes who does not answer its pings
            case _:
                raise RefusedError("There is no message of that type.")
    except RefusedError as error:
        client.send(pack("error", msg=str(error)))


async def join(client: Client, fields: dict[str, Any]) -> None:
    if "roomId" in client.session:
        raise RefusedError("You are in a room already.")
    room = room_id(fields.get("roomId"))
    name = one_line(fields.get("userName", ""), "name", MAX_NAME) or f"Guest {1000 + secrets.randbelow(9000)}"
    user = {"roomId": room, "userId": secrets.token_hex(8), "userName": name}
    client.session.update(user)  # kept for this connection: what it says later is said there, under this name
    client.join_group(room)
    try:
        online = await business.get_client_count_by_group(room)
    except ClusterError as error:
        logger.warning("client %s could not join room %s: %s", client.id, room, error)
        client.close()  # its page comes back
        return
    # That was answered, so the client is in the group. Messages are kept before they are sent: each is in this history
    # or reaches the client by itself from now on. One that does both has one id, by which the page knows it.
    visits, history = await memory.enter(room, is_visit=fields.get("again") is not True)
    client.send(pack("welcome", **user, pv=visits, online=online, history=history))
    enters = {"roomId": room, "userName": name, "msg": "enters the Room", "joinTime": now()}
    business.send_to_group(room, pack("join", **enters, pv=visits))


async def say(client: Client, fields: dict[str, Any]) -> None:
    room = client.session.get("roomId")
    if room is None:
        raise RefusedError("Join a room first.")
    if room_id(fields.get("roomId")) != room:
        raise RefusedError("That is not the room you are in.")
    content = one_line(fields.get("content"), "message", MAX_CONTENT)
    if not content:
        raise RefusedError("There is nothing in that message.")
    user = {name: client.session[name] for name in ("roomId", "userId", "userName")}
    said = pack("say", id=secrets.token_hex(8), **user, content=content, commentTime=now())
    await memory.keep(room, said)
    business.send_to_group(room, said)


# What all are told


async def tell_online() -> None:
    """Tell each room how many are in it. Said again and again, it needs no care for who has missed or outrun it."""
    try:
        counts = await business.batch_get_client_id_count_by_group(await business.get_all_group_id_list())
    except ClusterError as error:
        logger.info("rooms are not told how many are in them: %s", error)
        return
    for room, online in counts.items():
        business.send_to_group(room, pack("online", roomId=room, online=online, isCounting=memory.is_on))


# Reading and writing


def read(message: str | bytes) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RefusedError("A message is a JSON object.")
    return fields


def pack(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def now() -> str:
    """The server's time: a page's clock may say anything."""
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")


def room_id(value: object) -> str:
    """It becomes a part of keys in Redis, and of the page's address."""
    room = str(value) if type(value) is int else value
    if not isinstance(room, str) or not ROOM_ID.fullmatch(room):
        raise RefusedError("A room's id has 1 to 32 letters, digits, hyphens and underscores.")
    return room


def one_line(value: object, what: str, limit: int) -> str:
    """Text without what hides or disturbs other text; empty if nothing of it can be seen."""
    if not isinstance(value, str):
        raise RefusedError(f"A {what} is text.")
    line = " ".join(UNSEEN.sub(" ", value).split())
    if len(line) > limit:
        raise RefusedError(f"A {what} has at most {limit} characters.")
    return line if any(char.isprintable() and char != " " for char in line) else ""


# The site

js = StaticFiles(directory=FOLDER.parents[1] / "js" / "browser")
page = StaticFiles(directory=FOLDER / "page", html=True)
site = Starlette(routes=[Mount("/js", js), Mount("/", page)])

app = App(
    Register("127.0.0.1:1236"),
    # The heartbeat is a message, so that pages see it too: the client answers each with {"type":"pong"}, and connects
    # anew when none comes.
    Gateway("websocket://127.0.0.1:7272", count=2, ping_data='{"type":"ping"}', max_message_size=16 * 1024),
    business,
    Worker("http://127.0.0.1:8000", name="site", app=site),
)
