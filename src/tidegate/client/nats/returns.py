"""Gateways that had lost their connection to NATS: what was published meanwhile has not reached them, without I/O.

Their clients stay connected, and nobody who publishes is told: so each says, when it is asked, for how long it has been
back.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.client.call import Answers
from tidegate.errors import ClusterError
from tidegate.wire import php
from tidegate.wire.commands import MARK
from tidegate.wire.packet import pack

__all__ = ["MARKER", "check_returns", "encode_return"]

MARKER = pack(MARK)
"""Asks that; and the answer says that all that was sent before has been carried out."""
NEVER = -1


def encode_return(seconds: float | None) -> bytes:
    """A gateway's answer.

    Args:
        seconds: since it was back; None where it was never away.
    """
    return php.dumps(NEVER if seconds is None else int(seconds * 1000))


def check_returns(answers: Answers, since: float | None, now: float) -> None:
    """See that all were there all the time.

    Args:
        answers: of markers.
        since: when the first was published that is asked about; None where nothing was.
        now: when the answers came, by the same clock.

    Raises:
        ClusterError: one was back later; the error names it.
    """
    away = [] if since is None else list(_away(answers, now - since))
    if away:
        raise ClusterError(
            f"gateway {', '.join(away)} was away from NATS since the last flush: what was published meanwhile is lost "
            "there"
        )


def _away(answers: Answers, seconds: float) -> Iterable[str]:
    for address, answer in answers:
        try:
            ago = php.loads(answer)
        except php.PHPValueError:
            continue
        if isinstance(ago, int) and 0 <= ago < seconds * 1000:
            yield address
