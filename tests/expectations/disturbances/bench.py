"""One source in memory: its sample extract as text rows, loaded into staging and judged by its rules, again and again.

SYNTHETIC: the extracts are tables of the sample world. A disturbance changes the text rows (`given`), as publishers,
transports and attackers change files; loading and rules are those of a build.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from expectations import check
from expectations.rules import Outcome, Rule, read_rule_files
from transforms import tables
from transforms.areas import areas
from transforms.catalogue import LEFT_OUT, Catalogue, Dimension, Source, load_catalogue
from transforms.dictionary import load_dictionary
from transforms.load import Absent, CanonicalRows, StagingCount, load_staging
from transforms.tables import ROOT, SqlFile, read_sql_file
from transforms.warehouse import Warehouse, quote_identifier, quote_literal

if TYPE_CHECKING:
    from flows.sample.cubes import Cubes
    from flows.sample.jobindsats import JobindsatsWorld

# Enough periods to learn from, and codes to speak of: the whole of a large table would only take longer.
PERIODS = {"year": 10, "quarter": 16, "month": 26}
LEAST_PERIODS = 7
EVERY_PERIOD: dict[str, int] = {}
CODES, CELLS = 40, 10_000
PAST = "last"
RECEIVED = "20261128T020000Z-00000000"
STAGING = re.compile(r"\bstaging\.(\w+)")


@cache
def cubes() -> Cubes:
    """Return the sample world as tables (seconds, once)."""
    from flows.sample.cubes import Cubes
    from flows.sample.world import build_world

    return Cubes(build_world(), load_catalogue())


@cache
def jobindsats() -> JobindsatsWorld:
    """Return the sample world as Jobindsats tables."""
    from flows.sample.jobindsats import JobindsatsWorld

    return JobindsatsWorld(cubes().world)


@dataclass
class Bench:
    """A warehouse with the undisturbed rows in `base` (texts), and what the disturbances need to know of them."""

    warehouse: Warehouse
    source: Source
    catalogue: Catalogue
    folder: Path
    file: SqlFile
    rectangle: dict[str, list[str]] | None = None
    periods: list[str] = field(default_factory=list)
    means: Sequence[Absent] = ()
    between: Sequence[Rule] = ()
    """Written rules over this source's table, alone or with its neighbours'."""

    @property
    def time(self) -> str:
        """Return the quoted column of the period."""
        return quote_identifier(self.source.time.id.upper())

    @property
    def area(self) -> str | None:
        """Return the quoted column of the (first) area, if there is one."""
        found = next((d for d in self.source.dimensions if d.role == "area"), None)
        return quote_identifier(found.id.upper()) if found else None

    @property
    def newest(self) -> str:
        """Return a predicate for the newest period."""
        return f"{self.time} = {quote_literal(self.periods[-1])}"

    @property
    def old(self) -> str:
        """Return a predicate for one earlier period."""
        return f"{self.time} = {quote_literal(self.periods[len(self.periods) // 2])}"

    @property
    def municipal(self) -> str:
        """Return a predicate for the rows of municipalities."""
        codes = ", ".join(quote_literal(a.code) for a in areas().values() if a.level == "municipality")
        return f"{self.area} IN ({codes})" if self.area else "false"

    def shown(self, figure: str) -> str:
        """Return SQL for a figure as the publisher prints it."""
        digits = "length(split_part(\"INDHOLD\", '.', 2))"
        forms = " ".join(f"WHEN {n} THEN printf('%.{n}f', round({figure}, {n}))" for n in range(5))
        return f"CASE {digits} {forms} END"

    def disturb(self, statements: Sequence[str]) -> None:
        """Make `given` from `base`, changed by SQL statements."""
        self.warehouse.execute("CREATE OR REPLACE TABLE given AS SELECT * FROM base")
        for statement in statements:
            self.warehouse.execute(statement)

    def is_disturbed(self) -> bool:
        """Tell whether `given` differs from `base` at all."""
        return bool(
            self.warehouse.scalar(
                "SELECT count(*) FROM ((FROM given EXCEPT FROM base) UNION (FROM base EXCEPT FROM given))"
            )
            or self.warehouse.scalar("SELECT (SELECT count(*) FROM given) <> (SELECT count(*) FROM base)")
        )

    def load(self, table: str = "given") -> StagingCount:
        """Load the rows of a table into staging; return what became of them."""
        path = self.folder / "given.csv"
        path.unlink(missing_ok=True)
        order = "ORDER BY place" if table == "given" else ""
        self.warehouse.execute(
            f"COPY (SELECT * EXCLUDE place FROM {table} {order}) TO {quote_literal(str(path))} "
            "(DELIMITER ';', HEADER true, QUOTE '')"
        )
        self.warehouse.execute("DELETE FROM quarantine.row")
        for name in ("violation", "rule_plan", "rule_run"):
            self.warehouse.execute(f"DROP TABLE IF EXISTS quarantine.{name}")
        given = CanonicalRows(self.source, f"{self.source.id}/{RECEIVED}", [path], absent=self.absent(table))
        return load_staging(self.warehouse, self.file, given, load_dictionary())

    def outcomes(self, past: str | None) -> list[Outcome]:
        """Load the rows of `given` and return what the rules say, with the staging table `past` published before."""
        count = self.load()
        own = check.check_staging(
            self.warehouse, self.source, self.file, load_dictionary(), self.catalogue, count, past
        )
        check.plan(self.warehouse, self.between)
        for rule in self.between:
            check.run_set_rule(self.warehouse, rule, {})
        check.mark_run(self.warehouse, self.between, 1)
        return [*own, *check.outcomes(self.warehouse, self.between)]

    def absent(self, table: str) -> Sequence[Absent]:
        """Return what absent cells mean: zero among the codes asked for, for the periods the publisher lists."""
        if self.rectangle is None:
            return self.means
        time = self.source.time.id
        listed = [row[0] for row in self.warehouse.rows(f"SELECT DISTINCT {self.time} FROM {table} ORDER BY 1")]
        periods = {*listed, *(period for period in self.periods if listed and period <= listed[-1])}
        return [Absent("zero", {**self.rectangle, time: sorted(periods)})]

    def read_cut_answer(self, share: float) -> None:
        """Have the connector read the part of a Jobindsats answer that came; DataRefused when it does not take it."""
        from flows.connectors.jobindsats import write_rows

        lines = (self.folder / "answer.json").read_text(encoding="utf-8").splitlines(keepends=True)
        part = self.folder / "cut.json"
        part.write_text("".join(lines[: int(share * len(lines))]), encoding="utf-8")
        write_rows(self.source, [part], self.catalogue, self.folder / "cut")

    def publish(self, name: str, statements: Sequence[str]) -> str:
        """Keep the staging table made from a changed base as if it had been published; return its full name."""
        self.disturb(statements)
        self.load()
        self.warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {PAST}")
        self.warehouse.execute(f"CREATE OR REPLACE TABLE {PAST}.{name} AS SELECT * FROM {self.file.table}")
        return f"{PAST}.{name}"


def written_rules(source_id: str) -> list[Rule]:
    """Return the written rules that read the staging table of a source."""
    rules = [rule for rule in read_rule_files() if rule.table.startswith("staging.") and rule.action != "quarantine"]
    return [rule for rule in rules if source_id in read_by(rule)]


def read_by(rule: Rule) -> set[str]:
    """Return the sources whose staging tables a written rule reads."""
    return set(STAGING.findall(f"{rule.table} {rule.sql}"))


@contextmanager
def bench(source_id: str, folder: Path, periods: Mapping[str, int] = PERIODS) -> Iterator[Bench]:
    """Yield the bench of one source, its neighbours (sources that a rule holds against it) loaded beside it.

    `periods`: frequency -> how many of the newest periods, all where it says nothing.
    """
    between = written_rules(source_id)
    neighbours = sorted({name for rule in between for name in read_by(rule)} - {source_id})
    with Warehouse.open(threads=1) as warehouse:
        tables.prepare(warehouse)
        tables.load_reference(warehouse)
        tables.build_table(warehouse, read_sql_file(ROOT / "quarantine" / "row.sql"), load_dictionary())
        for name in neighbours:
            _filled(warehouse, name, folder, periods).load("base")
        made = _filled(warehouse, source_id, folder, periods)
        made.between = between
        setattr(warehouse, "columns", cache(warehouse.columns))  # noqa: B010  (the same rules again and again)
        yield made


def _filled(warehouse: Warehouse, source_id: str, folder: Path, periods: Mapping[str, int]) -> Bench:
    """Return the bench of a source with its extract in `base`."""
    catalogue = load_catalogue()
    source = catalogue.sources[source_id]
    made = Bench(warehouse, source, catalogue, folder, read_sql_file(ROOT / "staging" / f"{source_id}.sql"))
    if source.connector == "statbank":
        _statbank(made, periods)
    else:
        _jobindsats(made)
    made.periods = [row[0] for row in warehouse.rows(f"SELECT DISTINCT {made.time} FROM base ORDER BY 1")]
    return made


def _statbank(made: Bench, periods: Mapping[str, int]) -> None:
    """Fill `base` with a table of the sample world; BULK leaves zero cells out."""
    source = made.source
    assert source.table is not None
    wanted = selected_periods(source, cubes().periods(source.table))[-periods.get(source.frequency or "", 0) :]
    selection = {d.id: thinned(made.catalogue, source, d) for d in source.dimensions if d.role != "time"}
    if periods is PERIODS and prod(len(codes) for codes in selection.values()) > CELLS:
        wanted = wanted[-LEAST_PERIODS:]
    made.warehouse.register("answer", cubes().answer(source.table, {**selection, source.time.id: wanted}))
    names = ", ".join(
        f"{quote_literal(LEFT_OUT) if d.is_left_out else quote_identifier(d.id)}::VARCHAR "
        f"AS {quote_identifier(d.id.upper())}"
        for d in source.dimensions
    )
    is_bulk = not any(d.is_left_out for d in source.dimensions)
    zeros = "WHERE value::VARCHAR NOT IN ('0', '0.0')" if is_bulk else ""
    made.warehouse.execute(
        f'CREATE OR REPLACE TABLE base AS SELECT {names}, value::VARCHAR AS "INDHOLD", row_number() OVER () AS place '
        f"FROM answer {zeros}"
    )
    made.warehouse.unregister("answer")
    made.rectangle = selection if is_bulk else None


def _jobindsats(made: Bench) -> None:
    """Fill `base` with the canonical rows of an answer of the sample world."""
    from flows.connectors.jobindsats import write_rows

    query = made.source.jobindsats
    assert query is not None
    columns, rows = jobindsats().rows(query.table, jobindsats().periods(query.period_kind, query.latest))
    answer = made.folder / "answer.json"
    answer.write_text(json.dumps({"columns": columns, "rows": rows}, indent=0), encoding="utf-8")
    written = write_rows(made.source, [answer], made.catalogue, made.folder)
    made.means = written.absent
    made.catalogue = made.catalogue.with_new_codes(made.source, written.new_codes)
    (path,) = written.paths
    made.warehouse.execute(
        "CREATE OR REPLACE TABLE base AS SELECT *, row_number() OVER () AS place "
        f"FROM read_csv({quote_literal(str(path))}, delim=';', header=true, all_varchar=true, quote='', nullstr='')"
    )


def thinned(catalogue: Catalogue, source: Source, dimension: Dimension) -> list[str]:
    """Return the codes a source asks for; of a long list of categories the first, and totals that are still their sum.

    A total whose parts are not all asked for is nobody's sum, and stays.
    """
    codes = catalogue.selected(source, dimension)
    if dimension.role != "category" or len(codes) <= CODES:
        return codes
    totals = {code.code for code in catalogue.codes(source, dimension) if code.leaves}
    kept = [code for code in codes if code not in totals][:CODES]
    covered = {code.code: code.leaves for code in catalogue.codes(source, dimension)}
    return [
        code
        for code in codes
        if code in kept
        or (code in totals and (set(covered[code]) <= set(kept) or not set(covered[code]) <= set(codes)))
    ]


def selected_periods(source: Source, published: Sequence[str]) -> list[str]:
    """Return the published periods that the source's query asks for."""
    pattern = source.time.select[0]
    if pattern.startswith("(-n+"):
        return list(published)[-int(pattern[4:-1]) :]
    if pattern.startswith(">="):
        return [period for period in published if period >= pattern[2:]]
    return [period for period in published if pattern == "*" or period.endswith(pattern.lstrip("*"))]


def revised(made: Bench, seed: int, share: float = 0.01, by: float = 0.02) -> list[str]:
    """Return statements that revise a share of the figures by up to `by`, as publishers do."""
    random.seed(seed)
    salt = random.randrange(1_000_000)
    figure = 'TRY_CAST("INDHOLD" AS DOUBLE)'
    moved = f"{figure} * (1 + {by} * (hash(place, {salt + 1}) % 2001 / 1000.0 - 1))"
    if made.source.unit == "pct" or made.source.jobindsats is not None:
        moved = f"if({figure} <= 100, least({moved}, 100), {moved})"  # a share stays one
    return [
        f'UPDATE given SET "INDHOLD" = {made.shown(moved)} '
        f"WHERE {figure} <> 0 AND hash(place, {salt}) % 10000 < {int(share * 10000)}"
    ]
