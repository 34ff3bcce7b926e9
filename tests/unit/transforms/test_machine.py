"""Work done ahead on other threads: the same results, in their order, and never much more than is asked for."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from transforms.machine import ahead


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("items", [[], [3], list(range(20))])
def test_every_item_comes_once_and_in_its_order(items: list[int], threads: int) -> None:
    assert list(ahead(lambda item: item * 2, items, threads)) == [item * 2 for item in items]


def test_the_next_is_made_while_this_one_is_worked_on_and_no_more() -> None:
    made = threading.Semaphore(0)
    begun: list[int] = []

    def make(item: int) -> int:
        begun.append(item)
        made.release()
        return item

    with closing(ahead(make, range(10))) as each:
        assert next(each) == 0
        assert [made.acquire(timeout=10) for _ in range(2)] == [True, True]
        assert begun == [0, 1]


def test_who_makes_is_another_thread_and_what_fails_there_is_told_here() -> None:
    def make(item: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        return 10 // item

    each = ahead(make, [5, 0, 2])
    assert next(each) == 2
    with pytest.raises(ZeroDivisionError):
        next(each)


def test_whoever_stops_early_leaves_no_thread_at_work() -> None:
    before = threading.active_count()
    with closing(ahead(lambda item: item, range(1000))) as each:
        next(each)
    assert threading.active_count() == before
