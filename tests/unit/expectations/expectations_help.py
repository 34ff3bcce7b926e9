"""A small FOLK1A extract that breaks no rule, and the way from its rows to outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from expectations.check import check_staging
from expectations.rules import Outcome
from transforms import tables
from transforms.areas import areas
from transforms.catalogue import Catalogue, Source, load_catalogue
from transforms.dictionary import load_dictionary
from transforms.load import Absent, CanonicalRows, StagingCount, load_staging
from transforms.tables import ROOT, SqlFile, read_sql_file
from transforms.warehouse import Warehouse

PERIODS = ("2015K1", "2016K1", "2017K1")
Rows = list[list[str]]
Edit = Callable[[Rows], object]

CATALOGUE: Catalogue = load_catalogue()
SOURCE: Source = CATALOGUE.sources["statbank_folk1a"]
FILE: SqlFile = read_sql_file(ROOT / "staging" / "statbank_folk1a.sql")


def good_rows() -> Rows:
    """Return area, sex, age, marital status, period, figure: 5.4 million people, a little more in every period."""
    places = [area for area in areas().values() if area.level in ("municipality", "christiansoe")]
    rows: Rows = []
    for code in CATALOGUE.selected(SOURCE, SOURCE.dimensions[0]):
        inside = [n for n, place in enumerate(places) if code in ("000", place.code, place.region_code)]
        for year, period in enumerate(PERIODS):
            men = sum(27_001 + 7 * n + (101 + n) * year for n in inside)
            women = sum(27_203 + 5 * n + (97 + 2 * n) * year for n in inside)
            for sex, figure in (("TOT", men + women), ("1", men), ("2", women)):
                rows.append([code, sex, "IALT", "TOT", period, str(figure)])
    return rows


def row_of(rows: Rows, area: str, sex: str = "TOT", period: str = "2016K1") -> list[str]:
    """Return the row of one cell, to be changed in place."""
    return next(row for row in rows if row[0] == area and row[1] == sex and row[4] == period)


def write(path: Path, rows: Rows) -> Path:
    """Write rows as a canonical extract."""
    header = ";".join(dimension.id.upper() for dimension in SOURCE.dimensions) + ";INDHOLD"
    path.write_text("\n".join([header, *(";".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


@contextmanager
def build(path: Path | str = ":memory:") -> Iterator[Warehouse]:
    """Yield a warehouse with schemas, macros, areas and an empty quarantine."""
    with Warehouse.open(path) as warehouse:
        tables.prepare(warehouse)
        tables.build_table(warehouse, read_sql_file(ROOT / "quarantine" / "row.sql"), load_dictionary())
        yield warehouse


def load(warehouse: Warehouse, path: Path, source: Source = SOURCE, *, fill: bool = False) -> StagingCount:
    """Load one extract into staging; with `fill`, absent cells of what it holds become zero."""
    within = tuple(dimension.id for dimension in source.dimensions if dimension.role in ("area", "time"))
    absent = (Absent("zero", within=within),) if fill else ()
    given = CanonicalRows(source, f"{source.id}/20170101T000000Z-00000000", [path], absent=absent)
    return load_staging(warehouse, FILE, given, load_dictionary())


def check(warehouse: Warehouse, count: StagingCount, source: Source = SOURCE) -> dict[str, Outcome]:
    """Check the loaded table and return the outcomes by rule."""
    outcomes = check_staging(warehouse, source, FILE, load_dictionary(), CATALOGUE, count)
    return {outcome.rule_id: outcome for outcome in outcomes}


def outcomes_of(folder: Path, edit: Edit = lambda rows: None, source: Source = SOURCE) -> dict[str, Outcome]:
    """Return the outcomes for the good extract after `edit` has changed its rows."""
    rows = good_rows()
    edit(rows)
    with build() as warehouse:
        return check(warehouse, load(warehouse, write(folder / "extract.csv", rows), source), source)


def broken(outcomes: dict[str, Outcome]) -> set[str]:
    """Return the ids of the rules that do not hold."""
    return {rule_id for rule_id, outcome in outcomes.items() if not outcome.success}
