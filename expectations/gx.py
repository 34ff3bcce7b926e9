"""Great Expectations as the record of rules and results: one run over the small table of violations.

The work was done in SQL (check.py); GX reads what was found, rule by rule, and must come to the same counts.
"""

from __future__ import annotations

import builtins
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine

from expectations import check
from expectations.rules import Outcome, blocking
from transforms.areas import areas_at
from transforms.errors import DataRefused
from transforms.warehouse import Warehouse, quote_literal

if TYPE_CHECKING:
    import pandas as pd


# Great Expectations on DuckDB: a datasource whose engine keeps its connection open.
#
# The stock SQL datasource of GX 1.24 leaves the connection before it fetches, and with duckdb-engine the result dies
# with the connection: every metric fails (great_expectations issues 10738 and 11579). `_connection` and
# `get_connection` are internals of GX, so it is pinned to a minor version and tests/unit/expectations/test_gx.py holds
# one test per expectation used. Importing this module takes five seconds: import it where it is used.


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """GX's SQL engine with one connection that stays open until the datasource is closed."""

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        """Yield the one connection, opened at first use."""
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection


class DuckDBDatasource(SQLDatasource):
    """A GX datasource for a DuckDB file; `context.data_sources.add_duckdb(name=…, connection_string=…)`."""

    type: Literal["duckdb"] = "duckdb"  # type: ignore[assignment]

    @property
    def execution_engine_type(self) -> builtins.type[SqlAlchemyExecutionEngine]:  # `type` is a field here
        """The engine this datasource runs on."""
        return DuckDBExecutionEngine

    def close(self) -> None:
        """Let go of the database file, so that it can be opened again for writing."""
        execution = self.get_execution_engine()
        if execution._connection is not None:
            execution._connection.close()
        for engine in (execution.engine, self.get_engine()):
            engine.dispose()


def add_duckdb(context: Any, database: Path) -> DuckDBDatasource:
    """Return a read-only datasource for a database file, added to a GX context; close it after use."""
    url = f"duckdb:///{database.resolve()}?access_mode=READ_ONLY"
    source: DuckDBDatasource = context.data_sources.add_duckdb(name=database.stem, connection_string=url)
    return source


# What Great Expectations' own expectations say about the small tables analysts start from.


@dataclass(frozen=True)
class Stock:
    """One stock expectation: its GX class, its arguments, and the rule it is recorded as."""

    table: str
    rule_id: str
    expectation: str
    description: str
    arguments: dict[str, Any] = field(default_factory=dict)


STOCK = (
    Stock(
        "mart.municipality", "gx_98_municipalities", "ExpectTableRowCountToEqual",
        "Denmark has had 98 municipalities since 2007; Christiansø is none", {"value": 98},
    ),
    Stock(
        "mart.municipality", "gx_code_once", "ExpectColumnValuesToBeUnique",
        "a municipality stands on one row", {"column": "municipality_code"},
    ),
    Stock(
        "mart.municipality", "gx_code_three_digits", "ExpectColumnValueLengthsToEqual",
        "municipality codes are text of three digits", {"column": "municipality_code", "value": 3},
    ),
    Stock(
        "mart.municipality", "gx_known_region", "ExpectColumnValuesToBeInSet",
        "a municipality lies in one of the regions",
        {"column": "region_code", "value_set": [area.code for area in areas_at(["region"])]},
    ),
    Stock(
        "mart.indicator", "gx_indicator_once", "ExpectColumnValuesToBeUnique",
        "an indicator is defined once", {"column": "indicator_id"},
    ),
    Stock(
        "mart.indicator", "gx_indicator_defined", "ExpectColumnValuesToNotBeNull",
        "an indicator says in Danish what it measures", {"column": "definition_da"},
    ),
    Stock(
        "mart.mapping", "gx_98_mappings", "ExpectTableRowCountToEqual",
        "the mapping has one row for each of the 98 municipalities", {"value": 98},
    ),
)  # fmt: skip

# One run of Great Expectations over a build: a suite per table, results as plain counts.


VIOLATION = "quarantine.violation"
PLAN = "quarantine.rule_plan"
ALL_RUN = "every_planned_rule_was_run"
# A rule over an empty staging table proves nothing; an empty mart table may be right (no deliveries yet).
NOT_RUN = (
    "SELECT planned.table_name, planned.rule_id FROM {batch} AS planned "
    "LEFT JOIN quarantine.rule_run AS run ON run.table_name = planned.table_name "
    "AND run.rule_id = planned.rule_id AND run.executed "
    "WHERE run.rule_id IS NULL OR run.rows_scanned IS NULL "
    "OR (run.rows_scanned = 0 AND starts_with(planned.table_name, 'staging.'))"
)
EVERY_RULE = Stock(
    PLAN, ALL_RUN, "UnexpectedRowsExpectation",
    "every planned rule must have been run, and must have looked at rows", {"unexpected_rows_query": NOT_RUN},
)  # fmt: skip


class GxRun:
    """One GX context over the database file, closed afterwards so that the file can be written again."""

    def __init__(self, database: Path):
        self.database = database

    def __enter__(self) -> GxRun:
        import great_expectations as gx

        self.gx: Any = gx
        self.engine = f"great_expectations {gx.__version__}"
        self.context: Any = self.gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}
        self.source = add_duckdb(self.context, self.database)
        return self

    def __exit__(self, *error: object) -> None:
        self.source.close()

    def violations(self, outcomes: Sequence[Outcome]) -> dict[tuple[str, str], int]:
        """Return (table, rule) -> violations, from one expectation per rule."""
        found = self._validate(VIOLATION, self._expectations(outcomes))
        return {(meta["table_name"], meta["rule_id"]): number for meta, number in found}

    def _expectations(self, outcomes: Sequence[Outcome]) -> list[Any]:
        """Return one expectation over the record of violations for each rule."""
        return [
            self.gx.expectations.UnexpectedRowsExpectation(
                unexpected_rows_query="SELECT row_id, detail FROM {batch} "
                f"WHERE table_name = {_literal(outcome.table_name)} AND rule_id = {_literal(outcome.rule_id)}",
                description=f"{outcome.rule_id}: {outcome.description}",
                severity=outcome.severity,
                meta={"table_name": outcome.table_name, "rule_id": outcome.rule_id},
            )
            for outcome in outcomes
        ]

    def write_docs(self, outcomes: Sequence[Outcome], folder: Path) -> None:
        """Write Data Docs with a suite per table: its rules and, where one is broken, how often and by what."""
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
        self.context.add_data_docs_site(
            site_name="local", site_config={"class_name": "SiteBuilder", "store_backend": backend}
        )
        suites = [
            self._definition(table, VIOLATION, self._expectations([o for o in outcomes if o.table_name == table]))
            for table in sorted({outcome.table_name for outcome in outcomes})
        ]
        action = self.gx.checkpoint.actions.UpdateDataDocsAction(name="docs", site_names=["local"])
        checkpoint = self.gx.Checkpoint(name="docs", validation_definitions=suites, actions=[action])
        self.context.checkpoints.add(checkpoint).run()

    def stock(self, wanted: Sequence[Stock]) -> list[tuple[str, str, str, int]]:
        """Return the results of GX's own expectations on small tables."""
        found = []
        for table in sorted({stock.table for stock in wanted}):
            ours = {stock.rule_id: stock for stock in wanted if stock.table == table}
            expectations = [
                getattr(self.gx.expectations, stock.expectation)(
                    **stock.arguments, description=stock.description, severity="critical", meta={"rule_id": rule_id}
                )
                for rule_id, stock in ours.items()
            ]
            for meta, number in self._validate(table, expectations):
                found.append((table, meta["rule_id"], ours[meta["rule_id"]].description, number))
        return found

    def _validate(self, table: str, expectations: list[Any]) -> list[tuple[dict[str, str], int]]:
        """Run a suite over one table; return each expectation's meta and its number of violations (0 when it holds)."""
        suite = self.gx.ExpectationSuite(name=table, expectations=expectations)
        # Not as a validation definition, which GX would store with its results, and nobody reads that store.
        answer = self._batch(table, table).get_batch().validate(suite, result_format="SUMMARY")
        found = []
        for result in answer.results:
            if result.exception_info.get("raised_exception"):
                raise DataRefused(
                    f"{table}: Great Expectations could not run {result.expectation_config.meta['rule_id']}: "
                    f"{str(result.exception_info.get('exception_message'))[:200]}; nothing was published"
                )
            found.append((result.expectation_config.meta, _violations(result)))
        return found

    def _definition(self, name: str, table: str, expectations: list[Any]) -> Any:
        """Return the validation of a table by a suite of this name."""
        suite = self.context.suites.add(self.gx.ExpectationSuite(name=name, expectations=expectations))
        definition = self.gx.ValidationDefinition(name=name, data=self._batch(name, table), suite=suite)
        return self.context.validation_definitions.add(definition)

    def _batch(self, name: str, table: str) -> Any:
        """Return what defines a table as a batch."""
        schema, stem = table.split(".")
        asset = self.source.add_table_asset(name=name, table_name=stem, schema_name=schema)
        return asset.add_batch_definition_whole_table("all")


def _violations(result: Any) -> int:
    """Return how many rows broke one expectation; at least 1 when it failed."""
    if result.success:
        return 0
    if result.expectation_config.type == "unexpected_rows_expectation":
        return int(result.result["observed_value"])
    return max(int(result.result.get("unexpected_count") or 0), 1)


def _literal(text: str) -> str:
    """Return an SQL literal for a GX query, in which braces stand for the batch."""
    return quote_literal(text).replace("{", "{{").replace("}", "}}")


def record_with_gx(database: Path, outcomes: Sequence[Outcome], run_id: str) -> pd.DataFrame:
    """Return one row per rule (its `Outcome`, run and engine) as Great Expectations recorded it in the closed database.

    Outcomes of other origin than check.py are written into the record first. Raises DataRefused when the record does
    not hold together: a planned rule without outcome or run, or counts on which GX and SQL disagree, although no
    outcome forbids the publication already.
    """
    import pandas as pd

    with Warehouse.open(database) as warehouse:
        check.add_foreign(warehouse, outcomes)
        planned = check.planned(warehouse)
        tables = [stock for stock in STOCK if warehouse.exists(stock.table)]
        scanned = {table: check.row_count(warehouse, table) for table in {PLAN, *(stock.table for stock in tables)}}
        warehouse.checkpoint()
    by_rule = {(outcome.table_name, outcome.rule_id): outcome for outcome in outcomes}
    with _quiet(), GxRun(database) as run:
        counts = run.violations(outcomes)
        results = [_counted(outcome, counts[outcome.table_name, outcome.rule_id]) for outcome in outcomes]
        own = [
            Outcome(rule, table, "critical", "stop", description, number, scanned[table], (), number == 0)
            for table, rule, description, number in [*run.stock([EVERY_RULE]), *run.stock(tables)]
        ]
        engine = run.engine
    faults = [f"{table} {rule} was planned and has no outcome" for table, rule in sorted(planned - by_rule.keys())]
    faults += [
        f"{key[0]} {key[1]} has {by_rule[key].n_violations} violations by SQL and {number} by Great Expectations"
        for key, number in counts.items()
        if by_rule[key].n_violations != number
    ]
    faults += [f"{r.table_name} {r.rule_id}: {r.description} ({r.n_violations} break it)" for r in own if not r.success]
    if faults and not blocking(outcomes):
        raise DataRefused(f"the validation does not hold together: {faults[0]}; nothing was published")
    facts = [{**asdict(one), "examples": " | ".join(one.examples)} for one in [*results, *own]]
    return pd.DataFrame([{"run_id": run_id, **fact, "engine": engine} for fact in facts])


def write_docs(database: Path, folder: Path) -> Path:
    """Write Great Expectations' Data Docs of a validated database into a folder; return their front page.

    The pages are as GX makes them, but ask no other host for anything: scripts and logos are left out, and a style
    sheet of our own stands in for GX's. The front page lists the suites with what is broken.
    """
    own = [ALL_RUN, *(stock.rule_id for stock in STOCK)]
    columns = "rule_id, table_name, severity, action, description, n_violations, rows_scanned, success"
    with Warehouse.open(database, read_only=True) as warehouse:
        rows = warehouse.dicts(f"SELECT {columns} FROM meta.validation ORDER BY ALL")
    outcomes = [Outcome(**row, examples=()) for row in rows if row["rule_id"] not in own]
    with _quiet(), GxRun(database) as run:
        run.write_docs(outcomes, folder)
    style = f"<style>{(Path(__file__).parent / 'data_docs.css').read_text(encoding='utf-8')}</style>"
    for page in folder.rglob("*.html"):
        text = re.sub(r"<(script|style|footer)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"""<(link|img|source)\b[^>]*["']https?://[^>]*>""", "", text)
        page.write_text(text.replace("</head>", f"{style}</head>", 1), encoding="utf-8")
    lines = []
    for page in sorted((folder / "validations").rglob("*.html")):  # GX fills its front page by a script of its own
        table = page.stem.partition("-")[2]
        ours = [outcome for outcome in outcomes if outcome.table_name == table]
        broken = "<br>".join(f"{o.rule_id} ({o.severity}, {o.n_violations})" for o in ours if not o.success)
        suite = f"expectations/{table.replace('.', '/')}.html"
        lines.append(
            f'<tr><td><a href="{page.relative_to(folder).as_posix()}">{table}</a></td>'
            f'<td><a href="{suite}">{len(ours)}</a></td><td>{broken}</td></tr>'
        )
    front = folder / "index.html"
    front.write_text(
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Data Docs</title>{style}</head><body>'
        f"<h1>Data Docs</h1><table><tr><th>Suite</th><th>Expectations</th><th>Broken</th></tr>{''.join(lines)}</table>"
        "</body></html>",
        encoding="utf-8",
    )
    return front


def _counted(outcome: Outcome, number: int) -> Outcome:
    return replace(outcome, n_violations=number, success=outcome.success and number == 0)


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
