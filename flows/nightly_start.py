"""What a flow does before its first task: it takes the lock, and puts in order what earlier runs left in Prefect."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
from prefect.exceptions import PrefectException

from flows import ledger, prefect_runs
from flows.lock import prepare_folder, writer_lock
from flows.settings import Settings
from transforms.errors import UsageError

logger = logging.getLogger(__name__)


class Busy(UsageError):
    """Another run is writing."""


@contextmanager
def only_writer(settings: Settings) -> Iterator[None]:
    """Hold the writer lock; Busy when another run has it, which is no fault: that run tells how it went."""
    prepare_folder(settings.root)
    with ExitStack() as held:
        try:
            held.enter_context(writer_lock(settings.root))
        except UsageError as busy:
            raise Busy(str(busy)) from None
        yield


def tidy_prefect(settings: Settings, nightly_run: str | None) -> None:
    """Close in Prefect the runs the ledger knows as lost, and skip the nights that `nightly_run` makes needless.

    `serve` does so when it starts; a work pool has nobody else to do it. It is a courtesy: a server that does not
    answer costs no night.
    """
    lost = [record["flow_run_id"] for record in ledger.unfinished(settings) if record.get("flow_run_id")]
    try:
        if lost:
            prefect_runs.close(lost)
        if nightly_run is not None:
            prefect_runs.skip_overdue(settings.root, instead=nightly_run)
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("Prefect's earlier runs were not tidied up (%s)", type(error).__name__)
