"""What went wrong, as people are told: a system's error in words, and several errors in one."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = ["one_error", "reason_of"]


def reason_of(error: OSError) -> str:
    """In the system's own words; asyncio's say where it was as well, and a time-out's are empty."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return str(error) or "no connection in time"
    if error.errno is not None and error.errno > 0:  # those of name resolution are below
        return os.strerror(error.errno)
    return error.strerror or str(error)


def one_error(problems: Iterable[ClusterError]) -> ClusterError:
    """One error that tells of all; a time-out where one of them is."""
    problems = tuple(problems)
    if len(problems) == 1:
        return problems[0]
    is_timeout = any(isinstance(problem, ClusterTimeoutError) for problem in problems)
    return (ClusterTimeoutError if is_timeout else ClusterError)("; ".join(dict.fromkeys(map(str, problems))))
