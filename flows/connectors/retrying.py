"""How often and how long one request is tried again, and what the server says about waiting."""

from __future__ import annotations

import email.utils
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import stamina

from transforms.errors import DataRefused

log = logging.getLogger(__name__)
# stamina announces each retry under its own name; `_wait_for` says the same with the address.
logging.getLogger("stamina").addHandler(logging.NullHandler())

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long one request may be tried. Seconds; the total bounds waits and transfers together."""

    attempts: int = 5
    total: float = 1800.0
    wait_initial: float = 0.5
    wait_max: float = 30.0
    retry_after_max: float = 120.0


class TryAgainError(Exception):
    """The server or the line failed in a way that may pass. `wait` is the server's own Retry-After."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


def patiently(once: Callable[[float], T], where: str, patience: Patience | None = None) -> T:
    """Return what `once(deadline)` returns, trying again after TryAgainError as `patience` allows.

    `deadline` is on the clock of `time.monotonic`. Raises DataRefused, beginning with `where`, when the
    patience is used up; every other error passes at once.
    """
    patience = patience or Patience()
    deadline = time.monotonic() + patience.total
    tried = 0

    def again(error: Exception) -> bool | float:
        return _wait_for(error, where, patience, deadline)

    try:
        for attempt in stamina.retry_context(
            on=again,
            attempts=patience.attempts,
            timeout=patience.total,
            wait_initial=patience.wait_initial,
            wait_max=patience.wait_max,
        ):
            with attempt:
                tried = attempt.num
                return once(deadline)
    except TryAgainError as error:
        raise DataRefused(f"{where}: {error}; given up after {tried} tries, try later") from None
    raise AssertionError("a retry loop ends by a result or an error")


def _wait_for(error: Exception, where: str, patience: Patience, deadline: float) -> bool | float:
    """Tell whether to try again: no, yes with the usual back-off, or yes after so many seconds."""
    if not isinstance(error, TryAgainError):
        return False
    wait = None if error.wait is None else min(error.wait, patience.retry_after_max)
    if time.monotonic() + (wait or 0.0) >= deadline:
        return False
    log.info("%s: %s; trying again", where, error)
    # Jitter here as well, so that the downloads that were told to wait do not all come back in the same instant.
    return True if wait is None else wait * random.uniform(1.0, 1.1)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (seconds or an HTTP date), None when absent or unreadable."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
