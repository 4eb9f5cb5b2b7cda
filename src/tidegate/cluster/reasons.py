"""What went wrong, as people are told: a system's error in words, and several errors in one."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable

from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = ["cause_of_refusal", "no_register", "one_error", "reason_of"]

NO_TLS = "what listens there speaks no TLS, and cluster_ssl is set here"
REASONS = {
    "WRONG_VERSION_NUMBER": NO_TLS,
    "UNEXPECTED_EOF_WHILE_READING": f"it hung up amid TLS: it refuses our certificate, or {NO_TLS}",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is none of the cluster's (cluster_ssl)",
    "TLSV1_ALERT_UNKNOWN_CA": "it refuses our certificate, which is none of its cluster's (cluster_ssl)",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a certificate of its cluster (cluster_ssl)",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it refuses our certificate, which has expired (cluster_ssl)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refuses our certificate (cluster_ssl)",
}
"""What OpenSSL's words mean between the processes of a cluster."""


def reason_of(error: OSError) -> str:
    """In the system's own words; asyncio's say where it was as well, and a time-out's are empty."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return str(error) or "no connection in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{REASONS['CERTIFICATE_VERIFY_FAILED']}: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return REASONS.get(error.reason or "", f"TLS failed: {error.reason or error}")
    if error.errno is not None and error.errno > 0:  # those of name resolution are below
        return os.strerror(error.errno)
    return error.strerror or str(error)


def cause_of_refusal(is_secure: bool) -> str:
    """Why one hangs up without a word, most likely."""
    other = "does not trust our certificate (cluster_ssl)" if is_secure else "has cluster_ssl and this side has not"
    return f"its secret_key is another one, or it {other}"


def no_register(register: str, line: bytes) -> str | None:
    """What listens at an address instead of a Register, by the first line it sends; None where that tells nothing."""
    if line.startswith(b"INFO {"):  # a NATS server greets so, before it is asked anything
        return f"what listens there is a NATS server, whose address is written nats://{register}"
    if line.startswith((b"HTTP/", b"<")):  # a page without a head answers what is no HTTP/1.x
        return "what listens there answers in HTTP: it is a web server, or the public port of a WebSocket gateway"
    return None


def one_error(problems: Iterable[ClusterError]) -> ClusterError:
    """One error that tells of all; a time-out where one of them is."""
    problems = tuple(problems)
    if len(problems) == 1:
        return problems[0]
    is_timeout = any(isinstance(problem, ClusterTimeoutError) for problem in problems)
    return (ClusterTimeoutError if is_timeout else ClusterError)("; ".join(dict.fromkeys(map(str, problems))))
