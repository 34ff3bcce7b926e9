"""What a run tells while it is at work: its steps in words, its downloads in bytes. Heard only where somebody listens.

A terminal listens for the whole process, since downloads and Prefect's tasks work in threads of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Listener:
    """Somebody who is told what a run does; called from several threads. Hears nothing but what it cares for."""

    def step(self, text: str) -> None:
        """Hear which step is at work now."""

    def warn(self, text: str) -> None:
        """Hear what is not as it should be and stops nothing."""

    def transfer(self, name: str, size: int, expected: int | None) -> None:
        """Hear how many bytes of `name` have come, and of how many when the last time is anything to go by."""

    def transferred(self, name: str) -> None:
        """Hear that `name` has ended, well or badly."""


_listeners: list[Listener] = []
logger = logging.getLogger(__name__)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` everything while the block lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def step(text: str) -> None:
    """Tell which step is at work now."""
    for listener in _listeners:
        listener.step(text)


def warn(text: str) -> None:
    """Tell of something that is not as it should be and stops nothing."""
    logger.warning("%s", text)
    for listener in _listeners:
        listener.warn(text)


def transfer(name: str, size: int, expected: int | None) -> None:
    """Tell how many bytes of `name` have come, and how many are expected when that is known."""
    for listener in _listeners:
        listener.transfer(name, size, expected)


def transferred(name: str) -> None:
    """Tell that the transfer of `name` has ended."""
    for listener in _listeners:
        listener.transferred(name)
