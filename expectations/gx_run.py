"""One run of Great Expectations over a build: a suite per table, results as plain counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expectations.stock import Stock
from expectations.terms import Outcome
from transforms.errors import DataRefused
from transforms.warehouse import quote_literal

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


class GxRun:
    """One GX context over the database file, closed afterwards so that the file can be written again."""

    def __init__(self, database: Path, docs: Path | None):
        self.docs = docs
        self.database = database

    def __enter__(self) -> GxRun:
        import great_expectations as gx

        from expectations.gx_duckdb import add_duckdb

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
        expectations = [
            self.gx.expectations.UnexpectedRowsExpectation(
                unexpected_rows_query="SELECT row_id, detail FROM {batch} "
                f"WHERE table_name = {_literal(outcome.table_name)} AND rule_id = {_literal(outcome.rule_id)}",
                description=outcome.description,
                severity=outcome.severity,
                meta={"table_name": outcome.table_name, "rule_id": outcome.rule_id},
            )
            for outcome in outcomes
        ]
        found = self._validate(VIOLATION, expectations)
        return {(meta["table_name"], meta["rule_id"]): number for meta, number in found}

    def plan(self) -> list[tuple[str, str, str, int]]:
        """Return the result of the rule that every planned rule was run."""
        description = "every planned rule must have been run, and must have looked at rows"
        expectation = self.gx.expectations.UnexpectedRowsExpectation(
            unexpected_rows_query=NOT_RUN, description=description, severity="critical", meta={"rule_id": ALL_RUN}
        )
        return [(PLAN, ALL_RUN, description, number) for _, number in self._validate(PLAN, [expectation])]

    def stock(self, wanted: Sequence[Stock]) -> list[tuple[str, str, str, int]]:
        """Return the results of GX's own expectations on the small tables."""
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
        schema, name = table.split(".")
        asset = self.source.add_table_asset(name=table, table_name=name, schema_name=schema)
        suite = self.context.suites.add(self.gx.ExpectationSuite(name=table, expectations=expectations))
        definition = self.context.validation_definitions.add(
            self.gx.ValidationDefinition(name=table, data=asset.add_batch_definition_whole_table("all"), suite=suite)
        )
        answer = self._run(definition)
        found = []
        for result in answer.results:
            if result.exception_info.get("raised_exception"):
                raise DataRefused(
                    f"{table}: Great Expectations could not run {result.expectation_config.meta['rule_id']}: "
                    f"{str(result.exception_info.get('exception_message'))[:200]}; nothing was published"
                )
            found.append((result.expectation_config.meta, _violations(result)))
        return found

    def _run(self, definition: Any) -> Any:
        if self.docs is None:
            return definition.run(result_format="SUMMARY")
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(self.docs.resolve())}
        site = {"class_name": "SiteBuilder", "store_backend": backend}
        if "local" not in (self.context.variables.data_docs_sites or {}):
            self.context.add_data_docs_site(site_name="local", site_config=site)
        action = self.gx.checkpoint.actions.UpdateDataDocsAction(name="docs", site_names=["local"])
        checkpoint = self.gx.Checkpoint(name=definition.name, validation_definitions=[definition], actions=[action])
        answer = self.context.checkpoints.add(checkpoint).run()
        return next(iter(answer.run_results.values()))


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
