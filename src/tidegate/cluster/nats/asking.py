"""Questions asked together from asyncio, within one time limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from tidegate.cluster.nats.inbox import AGAIN, Enough, Inbox, Question
from tidegate.errors import ClusterError

__all__ = ["ask_all"]


async def ask_all(
    inbox: Inbox,
    publish: Callable[[str, bytes, str], None],
    asked: Sequence[tuple[str, bytes, Enough | None]],
    seconds: float,
    is_repeated: bool = False,
) -> list[Question]:
    """Ask all, and wait until each is answered, or known not to be.

    Args:
        publish: is called with subject, payload and where the answer is to go.
        asked: subjects and payloads, and what tells which answer is the last.
        is_repeated: whether what was not answered in a part of the time is asked once more.
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
        first_seconds = seconds * AGAIN if is_repeated else seconds
        if asked and not await _is_set(all_done, first_seconds) and is_repeated:
            for question, (subject, payload, _) in zip(questions, asked, strict=True):
                if not question.is_done:
                    with contextlib.suppress(ClusterError):  # the first may be answered still
                        publish(subject, payload, question.reply)
            await _is_set(all_done, seconds - first_seconds)
        for question in questions:
            question.time_out(seconds)
    finally:
        for question in questions:
            inbox.forget(question)
    return questions


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    """Wait for it so long; gives whether it is."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
