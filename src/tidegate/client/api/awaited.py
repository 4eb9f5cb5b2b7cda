"""The push API for event loops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any, TypeVar

from tidegate.client import calls
from tidegate.client.arguments import ClientIds, Message, Name, Names, Session, Token
from tidegate.client.call import Call

__all__ = ["AsyncPushAPI"]

T = TypeVar("T")


class AsyncPushAPI(ABC):
    """Every method is to be awaited: until the gateways concerned have been sent what it says, or have answered."""

    __slots__ = ()

    @abstractmethod
    def _act(self, call: Call[None]) -> Awaitable[None]:
        """Carry a command."""

    @abstractmethod
    def _ask(self, call: Call[T]) -> Awaitable[T]:
        """Carry a query."""

    async def _ask_and_act(self, call: Call[Call[None]]) -> None:
        """Carry a query and the command that it results in."""
        await self._act(await self._ask(call))

    @abstractmethod
    def flush(self) -> Awaitable[None]:
        """Wait until every gateway has processed all that was sent before.

        Raises:
            ClusterError: a link used since the last flush broke, so that some of it may be lost.
        """

    # Messages.

    def send_to_all(
        self,
        message: Message,
        client_ids: ClientIds | None = None,
        exclude: ClientIds | None = None,
        *,
        raw: bool = False,
    ) -> Awaitable[None]:
        """Send to all clients, or to those listed only (an empty list: to nobody), but not to those of ``exclude``."""
        return self._act(calls.send_to_all(message, client_ids, exclude, raw=raw))

    def send_to_client(self, client_id: str, message: Message, *, raw: bool = False) -> Awaitable[None]:
        """Send to one client."""
        return self._act(calls.send_to_client(client_id, message, raw=raw))

    def send_to_uid(self, uid_or_list: Names, message: Message, *, raw: bool = False) -> Awaitable[None]:
        """Send to every client of a uid, or of several."""
        return self._act(calls.send_to_uid(uid_or_list, message, raw=raw))

    def send_to_group(
        self, group_or_list: Names, message: Message, exclude: ClientIds | None = None, *, raw: bool = False
    ) -> Awaitable[None]:
        """Send to the members of a group, or of several (once to each), but not to those of ``exclude``."""
        return self._act(calls.send_to_group(group_or_list, message, exclude, raw=raw))

    # Clients, uids, groups, sessions.

    def close_client(self, client_id: str, message: Message | None = None) -> Awaitable[None]:
        """Send a client one last message, then close its connection."""
        return self._act(calls.close_client(client_id, message))

    def destroy_client(self, client_id: str) -> Awaitable[None]:
        """Close a client's connection at once; what was not sent yet is dropped."""
        return self._act(calls.destroy_client(client_id))

    def close_uid(self, uid: Name, message: Message | None = None) -> Awaitable[None]:
        """Close every client that has this uid now, after one last message."""
        return self._ask_and_act(calls.close_uid(uid, message))

    def bind_uid(self, client_id: str, uid: Name) -> Awaitable[None]:
        """Give a client this uid, in place of any other; a uid may have many clients."""
        return self._act(calls.bind_uid(client_id, uid))

    def unbind_uid(self, client_id: str, uid: Name) -> Awaitable[None]:
        """Take a client's uid away."""
        return self._act(calls.unbind_uid(client_id, uid))

    def join_group(self, client_id: str, group: Name) -> Awaitable[None]:
        """Make a client a member of a group; it may be in any number of them."""
        return self._act(calls.join_group(client_id, group))

    def leave_group(self, client_id: str, group: Name) -> Awaitable[None]:
        """Take a client out of a group."""
        return self._act(calls.leave_group(client_id, group))

    def ungroup(self, group: Name) -> Awaitable[None]:
        """Take all members out of a group."""
        return self._act(calls.ungroup(group))

    def set_session(self, client_id: str, session: Session) -> Awaitable[None]:
        """Replace a client's session."""
        return self._act(calls.set_session(client_id, session))

    def update_session(self, client_id: str, session: Session) -> Awaitable[None]:
        """Merge this into a client's session, and dicts in it into those that are there."""
        return self._act(calls.update_session(client_id, session))

    def renew_auth(self, client_id: str, token: Token) -> Awaitable[bool]:
        """Let a client stay as long as a new token says; false, and nothing changes, if it is not valid, or another's.

        Raises:
            ConfigurationError: the gateway has no ``auth=`` that can verify a token.
        """
        return self._ask(calls.renew_auth(client_id, token))

    # One client.

    def is_online(self, client_id: str) -> Awaitable[bool]:
        """Whether a client is connected."""
        return self._ask(calls.is_online(client_id))

    def get_session(self, client_id: str) -> Awaitable[dict[Any, Any] | None]:
        """A client's session, empty where it has none; None where there is no such client."""
        return self._ask(calls.get_session(client_id))

    def get_uid_by_client_id(self, client_id: str) -> Awaitable[str | None]:
        """A client's uid; None where it has none, or is not there."""
        return self._ask(calls.get_uid_by_client_id(client_id))

    # Uids.

    def is_uid_online(self, uid: Name) -> Awaitable[bool]:
        """Whether any client has this uid."""
        return self._ask(calls.is_uid_online(uid))

    def is_uids_online(self, uids: Names) -> Awaitable[dict[str, bool]]:
        """``{uid: whether any client has it}``."""
        return self._ask(calls.is_uids_online(uids))

    def get_client_id_by_uid(self, uid: Name) -> Awaitable[list[str]]:
        """The clients that have this uid."""
        return self._ask(calls.get_client_id_by_uid(uid))

    def batch_get_client_id_by_uid(self, uids: Names) -> Awaitable[dict[str, list[str]]]:
        """``{uid: [client_id]}``."""
        return self._ask(calls.batch_get_client_id_by_uid(uids))

    def get_all_uid_list(self) -> Awaitable[list[str]]:
        """Every uid that any client has."""
        return self._ask(calls.get_all_uid_list())

    def get_all_uid_count(self) -> Awaitable[int]:
        """How many uids there are."""
        return self._ask(calls.get_all_uid_count())

    # Groups.

    def get_client_count_by_group(self, group: Name) -> Awaitable[int]:
        """How many members a group has."""
        return self._ask(calls.get_client_count_by_group(group))

    def get_client_id_count_by_group(self, group: Name) -> Awaitable[int]:
        """The same as `get_client_count_by_group`."""
        return self.get_client_count_by_group(group)

    def batch_get_client_id_count_by_group(self, groups: Names) -> Awaitable[dict[str, int]]:
        """``{group: number of members}``."""
        return self._ask(calls.batch_get_client_id_count_by_group(groups))

    def get_client_sessions_by_group(self, group: Name) -> Awaitable[dict[str, dict[Any, Any]]]:
        """``{client_id: session}`` of a group's members."""
        return self._ask(calls.get_client_sessions_by_group(group))

    def get_client_id_list_by_group(self, group: Names) -> Awaitable[list[str]]:
        """The members of a group, or of several."""
        return self._ask(calls.get_client_id_list_by_group(group))

    def get_uid_list_by_group(self, group: Names) -> Awaitable[list[str]]:
        """The uids of the members of a group, or of several."""
        return self._ask(calls.get_uid_list_by_group(group))

    def get_uid_count_by_group(self, group: Names) -> Awaitable[int]:
        """How many uids the members of a group, or of several, have."""
        return self._ask(calls.get_uid_count_by_group(group))

    def get_all_group_id_list(self) -> Awaitable[list[str]]:
        """Every group that has a member."""
        return self._ask(calls.get_all_group_id_list())

    def get_all_group_uid_list(self) -> Awaitable[dict[str, list[str]]]:
        """``{group: [uid]}``."""
        return self._ask(calls.get_all_group_uid_list())

    def get_all_group_uid_count(self) -> Awaitable[dict[str, int]]:
        """``{group: number of uids}``."""
        return self._ask(calls.get_all_group_uid_count())

    def get_all_group_client_id_list(self) -> Awaitable[dict[str, list[str]]]:
        """``{group: [client_id]}``."""
        return self._ask(calls.get_all_group_client_id_list())

    def get_all_group_client_id_count(self) -> Awaitable[dict[str, int]]:
        """``{group: number of members}``."""
        return self._ask(calls.get_all_group_client_id_count())

    # All clients.

    def get_all_client_count(self) -> Awaitable[int]:
        """How many clients are connected."""
        return self._ask(calls.get_all_client_count())

    def get_all_client_id_count(self) -> Awaitable[int]:
        """The same as `get_all_client_count`."""
        return self.get_all_client_count()

    def get_all_client_sessions(self) -> Awaitable[dict[str, dict[Any, Any]]]:
        """``{client_id: session}`` of all clients."""
        return self._ask(calls.get_all_client_sessions())

    def get_all_client_id_list(self) -> Awaitable[list[str]]:
        """Every client's id."""
        return self._ask(calls.get_all_client_id_list())
