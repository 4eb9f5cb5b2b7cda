"""Questions asked together from asyncio, within one time limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from tidegate.cluster.nats.inbox import Enough, Inbox, Question
from tidegate.errors import ClusterError

__all__ = ["ask_all"]


async def ask_all(
    inbox: Inbox,
    publish: Callable[[str, bytes, str], None],
    asked: Sequence[tuple[str, bytes, Enough | None]],
    seconds: float,
) -> list[Question]:
    """Ask all, and wait until each is answered, or known not to be.

    Args:
        publish: is called with subject, payload and where the answer is to go.
        asked: subjects and payloads, and what tells which answer is the last.
    """
    all_done = asyncio.Event()
    questions: list[Question] = []
    left = len(asked)

    def done() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_done.set()

    try:
        for subject, payload, enough in asked:
            question = inbox.ask(subject, enough, done)
            questions.append(question)
            try:
                publish(subject, payload, question.reply)
            except ClusterError as error:
                question.fail(error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if asked:
                    await all_done.wait()
        for question in questions:
            question.time_out(seconds)
    finally:
        for question in questions:
            inbox.forget(question)
    return questions
