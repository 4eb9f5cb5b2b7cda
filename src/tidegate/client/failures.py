"""What goes wrong with gateways, as their callers are told."""

from __future__ import annotations

from tidegate.cluster.reasons import reason_of
from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = [
    "busy",
    "closed_early",
    "closed_unasked",
    "failed",
    "interrupted",
    "not_answered",
    "not_reached",
    "not_taken",
    "out_of_step",
    "stranger",
    "too_much",
    "unreachable",
]


def unreachable(address: str, error: OSError) -> ClusterError:
    """It did not accept a connection."""
    return ClusterError(f"gateway {address} can't be reached: {reason_of(error)}")


def not_reached(address: str, seconds: float) -> ClusterError:
    """It let a connection wait."""
    return ClusterTimeoutError(f"gateway {address} was not reached within {seconds:g} s")


def not_taken(address: str, seconds: float) -> ClusterError:
    """It does not read."""
    return ClusterTimeoutError(f"gateway {address} did not take what was sent to it within {seconds:g} s")


def not_answered(address: str, seconds: float) -> ClusterError:
    """It owes an answer."""
    return ClusterTimeoutError(f"gateway {address} did not answer within {seconds:g} s")


def closed_early(address: str) -> ClusterError:
    """It ended the stream while something was on its way."""
    return ClusterError(
        f"gateway {address} closed the connection without an answer: it stopped, or its secret_key is another one"
    )


def closed_unasked(address: str) -> ClusterError:
    """A kept connection is of no use any more."""
    return ClusterError(f"gateway {address} closed the connection; some of what was sent before may be lost")


def too_much(address: str, size: int) -> ClusterError:
    """It reads too slowly."""
    return ClusterError(f"gateway {address} has not taken {size} bytes yet: nothing more is sent to it meanwhile")


def busy(address: str) -> ClusterError:
    """What other threads send to it still waits to leave."""
    return ClusterTimeoutError(f"gateway {address} still keeps another call waiting")


def stranger(address: str) -> ClusterError:
    """A client id names it, and nobody else does."""
    return ClusterError(
        f"Register knows of no gateway {address}, so that it is not connected to: it is gone, or the client id was "
        "made up"
    )


def interrupted(address: str) -> ClusterError:
    """The caller did not wait to the end."""
    return ClusterError(f"what was on its way to gateway {address} was interrupted")


def failed(address: str, error: OSError) -> ClusterError:
    """The connection broke."""
    return ClusterError(f"the connection to gateway {address} broke: {reason_of(error)}")


def out_of_step(address: str, reason: object) -> ClusterError:
    """It sent what is no answer to what it was asked."""
    return ClusterError(f"gateway {address} sent {reason}: what listens there is none, or not in step")
