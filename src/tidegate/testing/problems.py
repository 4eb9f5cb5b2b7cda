"""What goes wrong while a test's cluster runs: it is logged, and a test that does not look would pass over it."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator, Sequence

from tidegate.errors import TidegateError

__all__ = ["HandlerError", "LoggedError", "Problems", "collect"]

logger = logging.getLogger("tidegate")

MAX_PROBLEMS = 100
"""That are kept; of more there is only the number."""


class LoggedError(TidegateError):
    """What was logged as an error without an exception, such as a query that nobody awaited."""


class HandlerError(TidegateError, ExceptionGroup[Exception]):
    """Handlers raised in a test that seemed to pass: the group of their exceptions, for ``except*`` too."""

    def derive(self, excs: Sequence[Exception]) -> HandlerError:  # type: ignore[override] # always of Exceptions
        return HandlerError(self.message, excs)


class Problems(logging.Handler):
    """Keeps what is logged as an error.

    Attributes:
        errors: the exceptions.
        left_out: how many more there were.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[Exception] = []
        self.left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        if len(self.errors) >= MAX_PROBLEMS:
            self.left_out += 1
            return
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, Exception):  # there is none, or one that would end the program
            logged = LoggedError(record.getMessage())
            logged.__cause__ = error
            error = logged
        self.errors.append(error)

    def check(self) -> None:
        """Raise what is there.

        Raises:
            HandlerError: the exceptions, as a group.
        """
        if self.errors:
            more = f"; {self.left_out} more were left out" if self.left_out else ""
            raise HandlerError(f"the test itself passed, but its handlers or cluster failed{more}", self.errors)

    def explain(self, failure: BaseException) -> None:
        """Note on what a test failed of, which may well be no more than a consequence."""
        for error in self.errors:
            failure.add_note("While the test ran its cluster logged:\n" + "".join(traceback.format_exception(error)))


@contextlib.contextmanager
def collect() -> Iterator[Problems]:
    """Collect what Tidegate logs as errors in this process, also where logging is set so that nobody would see it."""
    problems = Problems()
    disabled, level = logger.disabled, logger.level
    logger.disabled = False  # Django's LOGGING disables those that it does not name
    if logger.getEffectiveLevel() > logging.ERROR:
        logger.setLevel(logging.ERROR)
    logger.addHandler(problems)
    try:
        yield problems
    finally:
        logger.removeHandler(problems)
        logger.disabled = disabled
        logger.setLevel(level)
