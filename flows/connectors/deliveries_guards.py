"""Guards around taking a delivery in: all or nothing, no data in errors, no pauses."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transforms.errors import KommunekortError
from transforms.warehouse import Warehouse


@contextmanager
def quietly(doing: str) -> Iterator[None]:
    """Turn an unforeseen error into one that names its place and type only: its own text may quote a person's row."""
    try:
        yield
    except KommunekortError:
        raise
    except Exception as error:
        trace = error.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
        raise KommunekortError(
            f"{doing}: unexpected {type(error).__name__} at {where}; nothing of it was stored, "
            "report this to the data team"
        ) from None


@contextmanager
def transaction(warehouse: Warehouse) -> Iterator[None]:
    """Run statements as one: all of them last, or none."""
    warehouse.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        warehouse.execute("ROLLBACK")
        raise
    warehouse.execute("COMMIT")


@contextmanager
def without_collector() -> Iterator[None]:
    """Pause the cycle collector: millions of small remembered values hold no cycles and make its rounds long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
