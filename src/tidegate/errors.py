"""Every error that Tidegate raises.

TidegateError
├── ConfigurationError      a setting, an address or a file is wrong: one line says which and what to do
│   └── AddressError        an address that can't be read or bound
├── ClusterError            a push could not be carried out: which Register or gateway it was about
│   └── ClusterTimeoutError     it did not answer in time
├── ProtocolError           a peer broke the rules of its protocol, or went over a limit
└── SlowConsumerError       a peer did not read what was sent to it
"""

from __future__ import annotations

__all__ = [
    "AddressError",
    "ClusterError",
    "ClusterTimeoutError",
    "ConfigurationError",
    "ProtocolError",
    "SlowConsumerError",
    "TidegateError",
]


class TidegateError(Exception):
    """The root of them all."""


class ConfigurationError(TidegateError):
    """Something the user wrote can't be carried out. The command line prints it as one line and exits with 1."""


class AddressError(ConfigurationError):
    """An address that is not understood, is in use, or may not be bound."""


class ClusterError(TidegateError, ConnectionError):
    """The cluster, or a part of it, can't be reached or broke off; the message names the address tried."""


class ClusterTimeoutError(ClusterError, TimeoutError):
    """A Register or a gateway that did not answer in time."""


class ProtocolError(TidegateError):
    """A peer sent what its protocol or a limit forbids.

    Args:
        reason: what was wrong, as told to the peer where its protocol has words for it.
        code: the WebSocket close code (RFC 6455 section 7.4.1), whatever the protocol is.
    """

    def __init__(self, reason: str, code: int = 1002) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class SlowConsumerError(TidegateError):
    """More than ``send_buffer_limit`` bytes wait for a peer that does not read them."""
