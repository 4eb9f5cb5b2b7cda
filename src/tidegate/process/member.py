"""What an app consists of, as the app and its processes see it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

__all__ = ["HasInnerPorts", "JoinsApp", "MeetingPoint", "Member", "Stop", "with_own_registers"]


@dataclass(frozen=True, slots=True)
class Stop:
    """How a member stops.

    Attributes:
        graceful: what is under way comes to its end first.
        seconds: that all of it may take.
        code: a WebSocket close code for the clients.
        reason: for them too.
        reload: it is replaced by a successor, which serves already or is about to start.
        whole: the entire app stops.
        begun: by the monotonic clock.
    """

    graceful: bool = False
    seconds: float = 5
    code: int = 1001
    reason: str = "the server stops"
    reload: bool = False
    whole: bool = False
    begun: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float:
        """When the time is over, by the monotonic clock."""
        return self.begun + self.seconds

    @property
    def seconds_left(self) -> float:
        """Until then; 0 after it."""
        return max(0.0, self.deadline - time.monotonic())


@runtime_checkable
class Member(Protocol):
    """A part of an app that has processes of its own.

    Attributes:
        name: unique in the app.
        id: of this process among the member's, from 0.
    """

    name: str
    id: int

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Give its row of the app's topology, which has to go into JSON.

        Returns:
            ``name``, ``kind`` (of its class), ``listen`` (an address that the supervisor listens on, or None),
            ``count`` (of processes; 0 for none), ``reuse_port``, ``reloadable``, and where it is not the default:
            ``overlap``: False where in a reload the old process has to have ended before its successor starts;
            ``drain_seconds``: that a graceful stop takes besides what is under way, 0 to begin with;
            ``stage``: when the app stops, those of a lower one have ended before it is told, 0 to begin with;
            ``settings``: what its processes are made of, without importing the user's code.

        Raises:
            ConfigurationError: for settings that can't be.
        """
        ...

    async def listen(self) -> Any:
        """Begin to work, in the running process."""
        ...

    async def stop(self, *, graceful: bool, seconds: float, code: int, reason: str, reload: bool, whole: bool) -> None:
        """End it; the parameters are those of `Stop`."""
        ...

    async def reloading(self) -> None:
        """The app is being reloaded; whether or not this process is replaced."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """What it has counted in this process.

        Returns:
            ``name``, ``listen`` (empty where it does not), ``connections``, those of `Stats` that it has, and in
            ``extra`` more numbers by name, which `status` adds up over the members of a process.
        """
        ...

    def connection_rows(self, limit: int) -> list[dict[str, Any]]:
        """Some of its connections, for people."""
        ...


@runtime_checkable
class HasInnerPorts(Protocol):
    """A member whose processes have ports of their own, to be reached by the rest of the cluster: a gateway."""

    def inner_ports(self, config: Mapping[str, Any]) -> range:
        """Those that its processes need, one each."""
        ...


@runtime_checkable
class JoinsApp(Protocol):
    """A member that wants to know with whom it runs."""

    def joined(self, members: Sequence[Member]) -> None:
        """Be told all members of its app, itself among them."""
        ...


@runtime_checkable
class MeetingPoint(Protocol):
    """A member that those of a cluster find each other by: a Register."""

    @property
    def place(self) -> str | None:
        """Where those of its own app reach it, ``host:port`` or a URL; None where that is not known beforehand."""
        ...


def with_own_registers(config: Mapping[str, Any], members: Sequence[Member]) -> Mapping[str, Any]:
    """A configuration in which a cluster that nobody names is that of the Registers in the same app."""
    places = [member.place for member in members if isinstance(member, MeetingPoint) and member.place]
    return {"cluster": places, **config} if places else config
