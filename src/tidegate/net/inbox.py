"""The receiving half of a connection: messages become callbacks, one after the other, and reading pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tidegate.net.mailbox import Mailbox
from tidegate.net.outbox import CLOSED, CLOSING, OPEN, Outbox
from tidegate.protocols import Message

if TYPE_CHECKING:
    import socket

    from tidegate.net.endpoint import Endpoint

__all__ = ["Inbox"]

# Why reading is paused.
BY_USER, BY_MAILBOX, BY_RATE, BY_TURN = 1, 2, 4, 8


def _give(_: Inbox, awaitable: Any) -> Any:
    """A callback that has been called already, and is still to be awaited."""
    return awaitable


class Inbox(Outbox):
    """What a `Connection` is for those who call back; as `Outbox`, a file of its own and no object of its own."""

    __slots__ = ("_mailbox", "_paused", "_seen")

    def __init__(self, endpoint: Endpoint, sock: socket.socket | None) -> None:
        super().__init__(endpoint, sock)
        self._mailbox: Mailbox | None = None
        self._paused = 0
        self._seen = endpoint.reactor.now

    def pause(self) -> None:
        """Read no more, and call `on_message` no more, until `resume`."""
        self._hold(BY_USER)

    def resume(self) -> None:
        """Read on, beginning with what had been read already."""
        if not self._paused & BY_USER:
            return
        self._release(BY_USER)
        if self._mailbox is not None:
            asyncio.get_running_loop().call_soon(self._run_mailbox)

    def _deliver(self, messages: list[Message]) -> None:
        endpoint = self.endpoint
        on_message = endpoint.callbacks.on_message
        if self._state != OPEN:
            endpoint.stats.dropped_messages += len(messages)
            return
        endpoint.stats.messages_in += len(messages)
        if on_message is None:
            return
        if self._mailbox is None and not self._paused:
            taken = 0
            for message in messages:
                taken += 1
                awaitable = endpoint.fire(on_message, self, message)
                if awaitable is not None:
                    self._await(on_message, awaitable)
                if self._state != OPEN or self._paused or self._mailbox is not None:
                    break
            if taken == len(messages):
                return
            messages = messages[taken:]
        if self._state != OPEN:
            endpoint.stats.dropped_messages += len(messages)
            return
        mailbox = self._mailbox
        if mailbox is None:
            mailbox = self._mailbox = Mailbox(self)
        for message in messages:
            mailbox.put(on_message, message)
        if len(mailbox) > endpoint.limits.pending_events:
            self._hold(BY_MAILBOX)

    def _dispatch(self, callback: Callable[..., Any] | None, *args: Any) -> None:
        """Call back now, or after what is under way."""
        if callback is None:
            return
        if self._mailbox is not None:
            self._mailbox.put(callback, *args)
            return
        awaitable = self.endpoint.fire(callback, self, *args)
        if awaitable is not None:
            self._await(callback, awaitable)

    def _await(self, callback: Callable[..., Any], awaitable: Any) -> None:
        if self._mailbox is None:
            self._mailbox = Mailbox(self)
        if not self._mailbox.busy:
            self._mailbox.wait_for(callback, awaitable)
        else:  # the callback has itself caused one that is async, such as on_buffer_full
            self._mailbox.put(_give, awaitable)

    @property
    def held(self) -> bool:
        """Whether the user paused it; a connection that has ended is not held."""
        return bool(self._paused & BY_USER) and self._state < CLOSING

    def _run_mailbox(self) -> None:
        if self._mailbox is not None and not self._mailbox.busy:
            self._mailbox.run()

    def mailbox_ran(self, empty: bool) -> None:
        """The mailbox has called what it could."""
        if empty:
            self._mailbox = None
        if self._paused & BY_MAILBOX and (
            self._mailbox is None or len(self._mailbox) <= self.endpoint.limits.pending_events // 2
        ):
            self._release(BY_MAILBOX)

    def _wait_for_turn(self) -> None:
        """Leave what is still to be read to the next turn: libuv reads up to 32 times, megabytes of one connection."""
        if self._state == OPEN and not self._paused:
            self._hold(BY_TURN)
            asyncio.get_running_loop().call_soon(self._turn_came)

    def _turn_came(self) -> None:
        if self._paused & BY_TURN:
            self._release(BY_TURN)

    def _hold(self, why: int) -> None:
        if self._state >= CLOSING:
            return  # what is still to come is the peer's goodbye
        if not self._paused:
            self._transport.pause_reading()
        self._paused |= why

    def _release(self, why: int) -> None:
        self._paused &= ~why
        self._seen = self.endpoint.reactor.now
        if not self._paused and self._state < CLOSED:
            self._transport.resume_reading()

    def drop_messages(self) -> None:
        """Handle no more of what was received; it is counted."""
        if self._mailbox is not None:
            self.endpoint.stats.dropped_messages += self._mailbox.drop(self.endpoint.callbacks.on_message)
