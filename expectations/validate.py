"""Great Expectations as the record of rules and results: one run over the small table of violations.

The work was done in SQL (check.py); GX reads what was found, rule by rule, and must come to the same counts.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from expectations import record
from expectations.gx_run import PLAN, GxRun
from expectations.stock import STOCK
from expectations.terms import Outcome, blocking
from transforms.errors import DataRefused
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """One row of `run.validation`: a rule and how it went."""

    run_id: str
    table_name: str
    rule_id: str
    severity: str
    action: str
    description: str
    success: bool
    n_violations: int
    rows_scanned: int
    examples: str
    engine: str


def record_with_gx(database: Path, outcomes: Sequence[Outcome], run_id: str, docs: Path | None = None) -> pd.DataFrame:
    """Return one row per rule (the columns of `Result`), as Great Expectations recorded it in the closed `database`.

    Outcomes of other origin than check.py are written into the record first. With `docs`, GX's Data Docs are built
    there. Raises DataRefused when the record does not hold together: a planned rule without outcome or run, or
    counts on which GX and SQL disagree, although no outcome forbids the publication already.
    """
    import pandas as pd

    with Warehouse.open(database) as warehouse:
        record.add_foreign(warehouse, outcomes)
        planned = {(str(table), str(rule)) for table, rule in record.planned(warehouse)}
        tables = [stock for stock in STOCK if warehouse.exists(stock.table)]
        scanned = {t: int(warehouse.scalar(f"SELECT count(*) FROM {t}")) for t in {PLAN, *(s.table for s in tables)}}
        warehouse.checkpoint()
    by_rule = {(outcome.table_name, outcome.rule_id): outcome for outcome in outcomes}
    with _quiet(), GxRun(database, docs) as run:
        counts = run.violations(outcomes)
        results = [_result(run_id, outcome, counts, run.engine) for outcome in outcomes]
        results += [
            Result(
                run_id,
                table,
                rule,
                "critical",
                "stop",
                description,
                number == 0,
                number,
                scanned[table],
                "",
                run.engine,
            )
            for table, rule, description, number in [*run.plan(), *run.stock(tables)]
        ]
    faults = [f"{table} {rule} was planned and has no outcome" for table, rule in sorted(planned - by_rule.keys())]
    faults += [
        f"{key[0]} {key[1]} has {by_rule[key].n_violations} violations by SQL and {number} by Great Expectations"
        for key, number in counts.items()
        if by_rule[key].n_violations != number
    ]
    own = results[len(outcomes) :]
    faults += [f"{r.table_name} {r.rule_id}: {r.description} ({r.n_violations} break it)" for r in own if not r.success]
    if faults and not blocking(outcomes):
        raise DataRefused(f"the validation does not hold together: {faults[0]}; nothing was published")
    return pd.DataFrame([asdict(result) for result in results])


def _result(run_id: str, outcome: Outcome, counts: dict[tuple[str, str], int], engine: str) -> Result:
    number = counts[outcome.table_name, outcome.rule_id]
    return Result(
        run_id,
        outcome.table_name,
        outcome.rule_id,
        outcome.severity,
        outcome.action,
        outcome.description,
        outcome.success and number == 0,
        number,
        outcome.rows_scanned,
        " | ".join(outcome.examples),
        engine,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep GX from printing warnings and from calling home (1.24 has no sender any more; the switch costs nothing)."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
