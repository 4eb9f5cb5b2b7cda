"""The chat rooms of the page. What a room knows is in the cluster: its members are a group, a name is in a session."""

from __future__ import annotations

import logging

from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.demo.messages import (
    MAX_NAME,
    MAX_ROOM,
    BadMessageError,
    clean_line,
    clean_text,
    now,
    pack,
    random_name,
    read,
)
from tidegate.errors import ClusterError

__all__ = ["Rooms"]

logger = logging.getLogger("tidegate")

LISTED = 1000
"""Members that someone who comes is told of."""
DEFAULT_ROOM = "lobby"


class Rooms:
    """Serves the clients that came by the page's gateway."""

    def __init__(self, business: BusinessWorker) -> None:
        self._business = business

    async def receive(self, client: Client, message: str | bytes) -> None:
        """Carry out what a page sent, or say to its person why not."""
        try:
            fields = read(message)
            match fields.get("type"):
                case "login":
                    await self._log_in(client, fields.get("client_name", ""), fields.get("room_id", ""))
                case "say":
                    await self._say(client, fields.get("to_client_id", "all"), clean_text(fields.get("content")))
                case "ping":
                    client.send(pack("pong"))
                case _:
                    raise BadMessageError("There is no message of that type.")
        except BadMessageError as error:
            client.send(pack("error", message=str(error)))
        except ClusterError as error:
            logger.warning("chat: client %s: %s", client.id, error)
            client.send(pack("error", message="A part of the cluster does not answer: try again."))

    def leave(self, client: Client) -> None:
        """Tell the room who has left."""
        session = client.session
        if "room" in session:
            gone = pack("logout", from_client_id=client.id, from_client_name=session["name"], time=now())
            self._business.send_to_group(group_of(session["room"]), gone)

    async def _log_in(self, client: Client, name: object, room: object) -> None:
        if "room" in client.session:
            raise BadMessageError("You are in a room already.")
        name = clean_line(name, "name", MAX_NAME) or random_name()
        room = clean_line(room, "room's name", MAX_ROOM) or DEFAULT_ROOM
        client.session.update(name=name, room=room)
        # Saved at once: whoever finds this client in the group finds its name.
        self._business.update_session(client.id, {"name": name, "room": room})
        client.join_group(group_of(room))
        try:
            await self._introduce(client, name, room)
        except ClusterError as error:
            logger.warning("chat: client %s could not be told who is here: %s", client.id, error)
            client.close()  # its page comes back by itself

    async def _introduce(self, client: Client, name: str, room: str) -> None:
        """Tell the others of a client that has joined, and the client of them."""
        business, group = self._business, group_of(room)
        # Each tells and asks only once its own joining is carried out, so of two who come at the same time, by
        # whichever workers and gateways, each learns of the other.
        if not await business.is_online(client.id):
            return
        came = {"client_id": client.id, "client_name": name, "room_id": room, "time": now()}
        business.send_to_group(group, pack("login", **came), exclude=[client.id])
        sessions = await business.get_client_sessions_by_group(group)
        others = [(member, session.get("name", "")) for member, session in sessions.items() if member != client.id]
        listed = {client.id: name, **dict(others[: LISTED - 1])}
        client.send(pack("login", **came, client_list=listed, has_more=len(others) >= LISTED))

    async def _say(self, client: Client, to: object, text: str) -> None:
        session = client.session
        if "room" not in session:
            raise BadMessageError("Come into a room first.")
        said = {"from_client_id": client.id, "from_client_name": session["name"], "content": text, "time": now()}
        if to == "all":
            self._business.send_to_group(group_of(session["room"]), pack("say", to_client_id="all", **said))
            return
        other = await self._session_of(to)
        if other.get("room") != session["room"]:
            client.send(pack("error", message="That one is not in this room any more.", client_id=to))
            return
        message = pack("say", to_client_id=to, to_client_name=other.get("name", ""), **said)
        client.send(message)
        if to != client.id:
            self._business.send_to_client(str(to), message)

    async def _session_of(self, client_id: object) -> dict[object, object]:
        """Whoever that is; empty where nobody is."""
        try:
            return await self._business.get_session(str(client_id)) or {}
        except ValueError:
            raise BadMessageError("That is nobody's id.") from None


def group_of(room: str) -> str:
    """Rooms have names that others give them: none of them is the group of anything else."""
    return f"room:{room}"
