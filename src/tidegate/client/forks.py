"""Tells a process from those that it was forked from, whose sockets and locks are not its own."""

from __future__ import annotations

import os

__all__ = ["generation"]

_forks = 0


def generation() -> int:
    """How many forks lie between the first process and this one."""
    return _forks


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)
