"""What the machine gives: its second core, and memory that is given back."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(make: Callable[[Item], Made], items: Iterable[Item], threads: int = 1) -> Generator[Made, None, None]:
    """Yield what `make` gives of each item, in their order, the next ones made on other threads meanwhile.

    At most `threads` wait to be asked for. numpy and DuckDB leave the other threads free while they work.
    """
    with ThreadPoolExecutor(threads) as pool:
        coming = deque[Future[Made]]()
        for item in items:
            coming.append(pool.submit(make, item))
            if len(coming) > threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def give_back() -> None:
    """Give freed memory back to the system: what many parts, one after another, leave in pieces would add up."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # the C library of Linux has them
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, LARGE)  # M_MMAP_THRESHOLD, which would else grow with what is freed
        libc.malloc_trim(0)


LARGE = 2**20
"""Bytes from which what is freed goes back to the system at once, and not into pieces of a heap."""
