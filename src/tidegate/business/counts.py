"""What a worker counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """Since the worker's start.

    Attributes:
        messages: events with a message for `on_message`.
        handler_errors: handlers that raised something.
        bad_events: those dropped since what they bring can't be read.
        returned: those not begun when a link ended, which their gateway has for others.
        unread: those that came when the worker had left; only PHP gateways send such.
        unsaved_sessions: that can't be serialized, or saved over what was there.
        sent: packets to gateways.
        failed: commands that were not sent: no link, or too much waits there already.
        unconfirmed: bytes sent on links that broke, which the other machine had not confirmed: what they said is lost.
        strange: packets from gateways with a command that is not known.
    """

    messages: int = 0
    handler_errors: int = 0
    bad_events: int = 0
    returned: int = 0
    unread: int = 0
    unsaved_sessions: int = 0
    sent: int = 0
    failed: int = 0
    unconfirmed: int = 0
    strange: int = 0
