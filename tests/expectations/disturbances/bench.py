"""One source in memory: its sample extract as text rows, loaded into staging and judged by its rules, again and again.

SYNTHETIC: the extracts are tables of the sample world. A disturbance changes the text rows (`given`), as publishers,
transports and attackers change files; loading and rules are those of a build.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from expectations import check
from expectations.rules import Outcome
from transforms import tables
from transforms.areas import areas
from transforms.catalogue import LEFT_OUT, Catalogue, Dimension, Source, load_catalogue
from transforms.dictionary import load_dictionary
from transforms.load import Absent, CanonicalRows, load_staging
from transforms.tables import ROOT, SqlFile, read_sql_file
from transforms.warehouse import Warehouse, quote_identifier, quote_literal

if TYPE_CHECKING:
    from flows.sample.cubes import Cubes
    from flows.sample.jobindsats import JobindsatsWorld

# Enough periods to learn from, and codes to speak of: the whole of a large table would only take longer.
PERIODS = {"year": 10, "quarter": 24, "month": 30}
CODES = 40
PAST = "last"
RECEIVED = "20261128T020000Z-00000000"


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

    def load(self, table: str = "given") -> list[Outcome]:
        """Load the rows of a table into staging and return the outcomes of its rules without a past."""
        return self.outcomes(table, None)

    def outcomes(self, table: str, past: str | None) -> list[Outcome]:
        """Load the rows of `table` and return what the rules say, with the staging table `past` published before."""
        path = self.folder / "given.csv"
        path.unlink(missing_ok=True)
        order = "ORDER BY place" if table == "given" else ""
        self.warehouse.execute(
            f"COPY (SELECT * EXCLUDE place FROM {table} {order}) TO {quote_literal(str(path))} "
            "(DELIMITER ';', HEADER true, QUOTE '')"
        )
        self.warehouse.execute("DELETE FROM quarantine.row")
        for name in ("violation", "rule_plan", "rule_run"):
            if self.warehouse.exists(f"quarantine.{name}"):
                self.warehouse.execute(f"DROP TABLE quarantine.{name}")
        given = CanonicalRows(self.source, f"{self.source.id}/{RECEIVED}", [path], absent=self.absent(table))
        count = load_staging(self.warehouse, self.file, given, load_dictionary())
        return check.check_staging(
            self.warehouse, self.source, self.file, load_dictionary(), self.catalogue, count, past
        )

    def absent(self, table: str) -> Sequence[Absent]:
        """Return what absent cells mean: zero among the codes asked for, for the periods the publisher lists."""
        if self.rectangle is None:
            return self.means
        time = self.source.time.id
        listed = [row[0] for row in self.warehouse.rows(f"SELECT DISTINCT {self.time} FROM {table} ORDER BY 1")]
        periods = {*listed, *(period for period in self.periods if listed and period <= listed[-1])}
        return [Absent("zero", {**self.rectangle, time: sorted(periods)})]

    def publish(self, name: str, statements: Sequence[str]) -> str:
        """Keep the staging table made from a changed base as if it had been published; return its full name."""
        self.disturb(statements)
        self.outcomes("given", None)
        self.warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {PAST}")
        self.warehouse.execute(f"CREATE OR REPLACE TABLE {PAST}.{name} AS SELECT * FROM {self.file.table}")
        return f"{PAST}.{name}"


@contextmanager
def bench(source_id: str, folder: Path) -> Iterator[Bench]:
    """Yield the bench of one source."""
    catalogue = load_catalogue()
    source = catalogue.sources[source_id]
    with Warehouse.open(threads=2) as warehouse:
        tables.prepare(warehouse)
        tables.build_table(warehouse, read_sql_file(ROOT / "quarantine" / "row.sql"), load_dictionary())
        made = Bench(warehouse, source, catalogue, folder, read_sql_file(ROOT / "staging" / f"{source_id}.sql"))
        (_statbank if source.connector == "statbank" else _jobindsats)(made)
        made.periods = [row[0] for row in warehouse.rows(f"SELECT DISTINCT {made.time} FROM base ORDER BY 1")]
        yield made


def _statbank(made: Bench) -> None:
    """Fill `base` with a table of the sample world; BULK leaves zero cells out."""
    source = made.source
    assert source.table is not None
    wanted = selected_periods(source, cubes().periods(source.table))[-PERIODS.get(source.frequency or "", 10) :]
    selection = {d.id: thinned(made.catalogue, source, d) for d in source.dimensions if d.role != "time"}
    made.warehouse.register("answer", cubes().answer(source.table, {**selection, source.time.id: wanted}))
    names = ", ".join(
        f"{quote_literal(LEFT_OUT) if d.is_left_out else quote_identifier(d.id)}::VARCHAR "
        f"AS {quote_identifier(d.id.upper())}"
        for d in source.dimensions
    )
    is_bulk = not any(d.is_left_out for d in source.dimensions)
    zeros = "WHERE value::VARCHAR NOT IN ('0', '0.0')" if is_bulk else ""
    made.warehouse.execute(
        f'CREATE TABLE base AS SELECT {names}, value::VARCHAR AS "INDHOLD", row_number() OVER () AS place '
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
    answer.write_text(json.dumps({"columns": columns, "rows": rows}), encoding="utf-8")
    written = write_rows(made.source, [answer], made.catalogue, made.folder)
    made.means = written.absent
    made.catalogue = made.catalogue.with_new_codes(made.source, written.new_codes)
    (path,) = written.paths
    made.warehouse.execute(
        f"CREATE TABLE base AS SELECT *, row_number() OVER () AS place FROM read_csv({quote_literal(str(path))}, "
        "delim=';', header=true, all_varchar=true, quote='', nullstr='')"
    )


def thinned(catalogue: Catalogue, source: Source, dimension: Dimension) -> list[str]:
    """Return the codes a source asks for; of a long list of categories the totals and the first."""
    codes = catalogue.selected(source, dimension)
    if dimension.role != "category" or len(codes) <= CODES:
        return codes
    totals = {code.code for code in catalogue.codes(source, dimension) if code.leaves}
    kept = [code for code in codes if code not in totals][:CODES]
    covered = {code.code: code.leaves for code in catalogue.codes(source, dimension)}
    return [code for code in codes if code in kept or (code in totals and set(covered[code]) <= set(kept))]


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
    return [
        f'UPDATE given SET "INDHOLD" = {made.shown(moved)} '
        f"WHERE {figure} <> 0 AND hash(place, {salt}) % 10000 < {int(share * 10000)}"
    ]
