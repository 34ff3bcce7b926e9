"""Persons counted bucket by bucket: one after another, by processes of this machine, or by a Dask cluster.

Whoever counts a bucket reads the rows and the key where it is; what goes to it are ids of deliveries, and what comes
back are counts.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

from flows.deliveries.keys import load_keys
from flows.deliveries.store import (
    DRAWS,
    EVERYTHING,
    FILE,
    Known,
    Wanted,
    choose,
    hide_unforeseen,
    open_deliveries,
    person_rows,
)
from flows.settings import Settings
from transforms.errors import KommunekortError, UsageError
from transforms.machine import ahead
from transforms.models.persons import PersonCounts, PersonData, add_counts, counts_of

if TYPE_CHECKING:
    from collections.abc import Callable


def load_person_data(settings: Settings, *, synthetic: bool, known: Known = EVERYTHING) -> PersonData | None:
    """Return the persons that count (`choose`) in cells, or None when there are none.

    Raises UsageError when there are deliveries but no usable key, DataRefused when a delivery counts whose rows are
    gone.
    """
    if not (settings.restricted / FILE).is_file():
        return None
    with open_deliveries(settings, read_only=True) as warehouse:
        chosen = choose(settings, warehouse, synthetic=synthetic, known=known)
    if chosen is None:
        return None
    counts = add_counts(spread(settings, chosen.wanted, max(1, -(-chosen.rows // BUCKET_ROWS))))
    if not len(counts.cases):
        return None
    return PersonData(
        counts,
        chosen.organisation,
        chosen.wanted.until,
        f"{sum(chosen.turns.values()) % DRAWS}",
        {code: f"{turn % DRAWS}" for code, turn in chosen.turns.items()},
        chosen.wanted.untils,
        chosen.deliveries,
        load_keys(settings.key_file, settings.root).rounding_key,
    )


BUCKET_ROWS = 500_000
"""Rows of persons in one bucket, about: some 100 MB while they are counted."""
READER_MEMORY = "64MB"
"""Enough for one bucket. With more, the reader would fill it all with what it reads anew each time, and be slower."""


def spread(settings: Settings, wanted: Wanted, buckets: int) -> list[PersonCounts]:
    """Return the counts of every bucket: by the cluster that is set, else one after another or by as many processes."""
    if settings.dask is not None:
        return on_cluster(settings.dask, wanted, buckets)
    if settings.workers == 1 or buckets == 1:
        return count_here(settings, wanted, buckets)
    count = partial(count_bucket, settings, wanted, buckets)
    with ProcessPoolExecutor(min(settings.workers, buckets), mp_context=get_context("spawn")) as pool:
        return list(pool.map(count, range(buckets)))


def count_here(settings: Settings, wanted: Wanted, buckets: int) -> list[PersonCounts]:
    """Return the counts of every bucket, each read while the one before is counted."""
    with (
        hide_unforeseen("counting persons"),
        open_deliveries(settings, read_only=True, memory_limit=READER_MEMORY) as warehouse,
    ):
        read = partial(person_rows, warehouse, wanted, buckets)
        with closing(ahead(read, range(buckets))) as each:
            return [counts_of(rows) for rows in each]


def count_bucket(settings: Settings, wanted: Wanted, buckets: int, number: int) -> PersonCounts:
    """Return the counts of one bucket of so many; the key is read here, where the rows are."""
    with hide_unforeseen(f"counting persons, bucket {number + 1} of {buckets}"):
        with open_deliveries(settings, read_only=True, memory_limit=READER_MEMORY) as warehouse:
            rows = person_rows(warehouse, wanted, buckets, number)
        return counts_of(rows)


# Many machines: the same function on the workers of an existing Dask cluster that share the data folder.


ANSWERS_WITHIN = "10s"
TIRES_AFTER = 3
"""Workers that may die over one bucket before the run gives up; the scheduler gives it to another one each time."""


def on_cluster(address: str, wanted: Wanted, buckets: int) -> list[PersonCounts]:
    """Return the counts of every bucket from a cluster's workers.

    Raises UsageError when Dask is not installed, the scheduler does not answer or has ended, or a worker lacks the key.
    """
    try:
        import dask
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise UsageError(
            "KOMMUNEKORT_DASK is set, but Dask is not installed; install what requirements.lock names of the group "
            "`cluster`, or unset it"
        ) from None
    told = {"distributed.scheduler.allowed-failures": TIRES_AFTER, "distributed.comm.retry.count": 0}
    try:
        with dask.config.set(told), Client(address, timeout=ANSWERS_WITHIN, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            count: Callable[[int], PersonCounts] = partial(count_where_the_rows_are, wanted, buckets)
            counted = client.gather(client.map(count, range(buckets), pure=False, key="count persons"))
            return list(counted)
    except KommunekortError:
        raise
    except KilledWorker:
        raise UsageError(
            f"{address}: {TIRES_AFTER} workers in turn ended over one bucket of persons; give them more memory"
        ) from None
    except Exception as error:  # whatever Dask raises: what fails in counting itself is told above
        raise UsageError(
            f"{address}: the Dask scheduler does not answer or has ended ({type(error).__name__}); what is published "
            "stands. Start it, or unset KOMMUNEKORT_DASK, and run again"
        ) from None


def count_where_the_rows_are(wanted: Wanted, buckets: int, number: int) -> PersonCounts:
    """Return the counts of a bucket by the settings of the machine that counts it."""
    return count_bucket(Settings(), wanted, buckets, number)
