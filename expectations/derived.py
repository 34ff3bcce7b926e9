"""Rules for single rows of a staging table, derived from the source file, the code lists and the dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from expectations.rules import FOLDER, Rule, SqlTemplates, literals, set_rule
from transforms.areas import areas
from transforms.catalogue import Anchor, Catalogue, Dimension, JobindsatsQuery, Source
from transforms.dictionary import Dictionary
from transforms.tables import SqlFile
from transforms.warehouse import Warehouse, quote_identifier, quote_literal

# StatBank's period codes; Danish quarters are K (kvartal), months M.
PERIODS = {"year": "[12][0-9][0-9][0-9]", "quarter": "[12][0-9][0-9][0-9]K[1-4]"}
PERIODS["month"] = "[12][0-9][0-9][0-9]M(0[1-9]|1[0-2])"
PERIODS["rolling_year"] = "[12][0-9][0-9][0-9]QMAT0[1-4]"
# Figures are DECIMAL(18, 4); a limit of more decimals would have every figure cast before it is compared.
SCALE = 4
# No figure of Danish municipalities comes near it, and what rules and tables multiply stays within DECIMAL(18, 4).
MOST = 1e10


SQL = SqlTemplates(FOLDER / "staging", {})


def row_rules(source: Source, file: SqlFile, dictionary: Dictionary, catalogue: Catalogue) -> list[Rule]:
    """Return the row rules of one staging table; each moves the row to quarantine.

    A column that is NULL breaks `key_present` alone: the other predicates are NULL for it, hence no violation.
    """
    predicates: dict[str, tuple[str, str]] = {
        "key_present": (
            " OR ".join(f"{quote_identifier(c)} IS NULL OR {quote_identifier(c)} = ''" for c in file.grain),
            f"every row must have {', '.join(file.grain)}",
        )
    }
    for dimension in source.dimensions:
        predicates |= _dimension(source, dimension, catalogue)
    predicates |= _allowed(file, dictionary)
    if source.dimensions:
        predicates |= _value(source)
    return [
        Rule(rule_id, file.table, "row", "warning", "quarantine", description, predicate, source.owner)
        for rule_id, (predicate, description) in predicates.items()
    ]


def _dimension(source: Source, dimension: Dimension, catalogue: Catalogue) -> dict[str, tuple[str, str]]:
    """Return the rules that a column holds codes of its list, or periods of the source's kind."""
    column = quote_identifier(dimension.column)
    if dimension.role == "time":
        pattern = PERIODS.get(source.period_kind or "", ".+")
        return {
            f"period_format_{dimension.column}": (
                f"NOT regexp_full_match({column}, {quote_literal(pattern)})",
                f"{dimension.column} must be a {source.period_kind} as the publisher writes it",
            )
        }
    if dimension.role == "selector" or dimension.is_text:
        return {}
    codes = [code.code for code in catalogue.readable(source, dimension)]
    if not codes:
        return {}
    known = "the areas of this table" if dimension.role == "area" else f"code list {dimension.codelist or 'its file'}"
    return {
        f"code_known_{dimension.column}": (
            # Looked up once per entry of a stored column's own dictionary, which NOT IN is not.
            f"NOT list_contains([{literals(codes)}], {column})",
            f"{dimension.column} must be in {known}",
        )
    }


def _allowed(file: SqlFile, dictionary: Dictionary) -> dict[str, tuple[str, str]]:
    """Return the rules for columns whose values the dictionary lists."""
    listed = {name: dictionary.columns[name].allowed for name in file.grain if name in dictionary.columns}
    return {
        f"allowed_{name}": (
            f"{quote_identifier(name)} NOT IN ({literals(values)})",
            f"{name} must be one of {', '.join(values)}",
        )
        for name, values in listed.items()
        if values
    }


def _value(source: Source) -> dict[str, tuple[str, str]]:
    """Return the rules for the figure itself and the status beside it."""
    limits = source.expectations
    found = {
        "value_readable": (
            "value_status IS NULL",
            "the figure must be a number or one of the publisher's marks (.. - . ...)",
        ),
    }
    if source.jobindsats is not None:
        found["value_fits_unit"] = (
            _outside_unit(source.jobindsats),
            "a count is whole, no count, hour or rank is below zero, a share lies between 0 and 100 per cent",
        )
    elif source.decimals < 4:
        found["value_decimals"] = (
            f"value % {10**-source.decimals:.{source.decimals}f} <> 0",
            f"a figure in {source.unit} has at most {source.decimals} decimals (more is a thousands dot read as point)",
        )
    low = -MOST if limits.value_min is None else limits.value_min
    high = MOST if limits.value_max is None else limits.value_max
    found["value_min"] = (f"value < {low:.{SCALE}f}", f"a figure must be at least {low:,.15g}")
    found["value_max"] = (f"value > {high:.{SCALE}f}", f"a figure must be at most {high:,.15g}")
    return found


def _outside_unit(query: JobindsatsQuery) -> str:
    """Return the predicate that a figure lies outside what the unit of its measure allows."""
    shares = [measure.id for measure in query.measures if measure.unit == "pct"]
    positive = [m.id for m in query.measures if m.unit not in ("pct", "pct_points") and not m.signed]
    cases = [f"measure_name IN ({literals(shares)}) AND value NOT BETWEEN 0 AND 100"] if shares else []
    cases += [f"measure_name IN ({literals(positive)}) AND value < 0"] if positive else []
    counts = [measure.id for measure in query.measures if measure.unit == "count"]
    # More decimals in a count are a thousands dot read as point.
    cases += [f"measure_name IN ({literals(counts)}) AND value % 1 <> 0"] if counts else []
    return " OR ".join(f"({case})" for case in cases) or "false"


# Rules that a total equals the sum of its parts: totals of a code list, regions of their municipalities.


# Rates, averages and prices do not add up.
ADDITIVE = ("persons", "jobs", "dwellings", "count")


def part_rules(source: Source, file: SqlFile, catalogue: Catalogue) -> Iterator[Rule]:
    """Yield two rules per dimension that holds totals beside their parts: beyond rounding (stop), within it (warn).

    A total with a suppressed or absent part is not judged. Each part may be off by half a unit of the last decimal.
    Where the parts are not certain there is a third: near the sum.
    """
    if source.unit not in ADDITIVE or source.jobindsats is not None:  # whose tables hold counts beside shares
        return
    for dimension in source.dimensions:
        wholes, certain = _wholes(source, dimension, catalogue)
        if wholes:
            unit = 10**source.decimals
            others = [quote_identifier(name) for name in file.grain if name != dimension.column]
            facts: dict[str, Any] = {"column": dimension.column, "others": others, "pairs": _pairs(wholes)}
            proof = SQL.sql("total_proof.sql", table=file.table, unit=unit, weights=_weights(wholes), **facts)
            facts |= {"certain": certain, "half": f"0.5 * parts / {unit}"}
            for name in ("total_is_sum", "total_far_from_sum", "total_rounded"):
                if not (certain and name == "total_far_from_sum"):
                    yield replace(SQL.rule(name, file.table, source.owner, **facts), proof=proof)


def _wholes(source: Source, dimension: Dimension, catalogue: Catalogue) -> tuple[dict[str, tuple[str, ...]], bool]:
    """Return the totals the source asks for together with all their parts, and whether the parts are certain."""
    asked = set(catalogue.selected(source, dimension))
    if dimension.role == "area":
        return _areas(asked, dimension)
    # Of new codes nobody has said yet whether they are a part of a total, or a subtotal.
    if dimension.role != "category" or (source.id, dimension.id) in catalogue.new_codes:
        return {}, True
    found = {code.code: code.leaves for code in catalogue.codes(source, dimension) if code.code in asked}
    return {whole: parts for whole, parts in found.items() if parts and asked.issuperset(parts)}, True


def _areas(asked: set[str], dimension: Dimension) -> tuple[dict[str, tuple[str, ...]], bool]:
    """Return country, regions and provinces with their municipalities; Christiansø (411) counts where it is listed.

    A table without Christiansø, or with areas outside the municipalities, may count it in the total or not.
    """
    places = [a for a in areas().values() if a.code in asked and a.level in ("municipality", "christiansoe")]
    if sum(area.level == "municipality" for area in places) < 98:
        return {}, True
    wholes = {}
    for area in (areas()[code] for code in sorted(asked)):
        parts = {
            "country": places,
            "region": [place for place in places if place.region_code == area.code],
            "province": [place for place in places if place.province_code == area.code],
        }.get(area.level, [])
        if parts:
            wholes[area.code] = tuple(place.code for place in parts)
    return wholes, len(places) == 99 and not dimension.extra_codes


def _weights(wholes: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Return what each code counts: of every total its own weight, so that what one lacks no other makes up for."""
    weights: dict[str, int] = {}
    for number, (whole, parts) in enumerate(wholes.items(), start=1):
        for code, weight in ((whole, number), *((part, -number) for part in parts)):
            weights[code] = weights.get(code, 0) + weight * 7919
    return weights


def _pairs(wholes: Mapping[str, tuple[str, ...]]) -> str:
    """Return a table of every total and the codes that take part in it, its own included."""
    facts = ", ".join(
        f"({number}, {quote_literal(whole)}, {quote_literal(code)}, {code == whole}, {len(parts)})"
        for number, (whole, parts) in enumerate(wholes.items())
        for code in (whole, *parts)
    )
    return f"(VALUES {facts}) AS pair(number, whole, code, is_whole, wanted)"


# Rules for a staging table as a whole: keys, coverage, selectors, periods, and totals that equal their parts.


def set_rules(source: Source, file: SqlFile, catalogue: Catalogue) -> Iterator[Rule]:
    """Yield the set rules of one staging table, the one that moves surplus copies of a row first.

    Distinct hashes of all keys prove that there is no duplicate in half the time a grouping takes.
    """
    rule = partial(SQL.rule, table=file.table, owner=source.owner, source=source)
    keys = ", ".join(quote_identifier(name) for name in file.grain)
    proof = f"SELECT count(*) = count(DISTINCT hash({keys})) FROM {file.table}"
    if source.dimensions:
        yield replace(rule("duplicate_row", keys=keys), action="quarantine", proof=proof)
    yield replace(rule("unique_key", keys=keys, file=file), proof=proof)
    yield rule("min_rows")
    for dimension in source.dimensions:
        column = dimension.column
        if dimension.role == "selector":
            yield rule("selector_pinned", column=column, code=dimension.select[0])
        elif dimension.role == "area":
            for name, codes in _coverage(source, dimension, catalogue):
                if codes:
                    yield rule(name, column=column, codes=codes, period=quote_identifier(source.time.column))
        elif dimension.role == "time":
            yield rule("no_gap", column=column, number=ordinal(source, quote_identifier(column)))
    if anchors := [_cell(source, anchor, catalogue) for anchor in source.expectations.anchors]:
        yield rule("country_level", anchors=anchors)
    yield from part_rules(source, file, catalogue)


def _coverage(source: Source, dimension: Dimension, catalogue: Catalogue) -> Iterator[tuple[str, list[str]]]:
    """Yield the rules that the areas asked for are there, with these; cells filled with zero are not delivered."""
    wanted = [code for code in catalogue.selected(source, dimension) if code not in dimension.extra_codes]
    municipalities = [code for code in wanted if areas()[code].level == "municipality"]
    if source.jobindsats is not None:
        yield "municipalities_most", municipalities
    yield "municipalities_complete", municipalities
    yield "areas_complete", [code for code in wanted if code not in municipalities]
    yield "municipalities_every_period", municipalities


def ordinal(source: Source, column: str) -> str:
    """Return SQL for a period as a running number: of years, quarters or months."""
    quarters = f"4 * {column}[1:4]::INTEGER + right({column}, 1)::INTEGER"
    months = f"12 * {column}[1:4]::INTEGER + right({column}, 2)::INTEGER"
    kinds = {"quarter": quarters, "rolling_year": quarters, "month": months}
    return kinds.get(source.period_kind or "", f"{column}[1:4]::INTEGER")


def _cell(source: Source, anchor: Anchor, catalogue: Catalogue) -> tuple[Anchor, list[str], list[str]]:
    """Return an anchor, and the predicates for the figures it is about and for their sum.

    Cells that are added up count where every code asked for is there: a file made by hand may hold fewer.
    """
    where, having = [], ["count(value) > 0"]
    for dimension in source.dimensions:
        column = quote_identifier(dimension.column)
        if (code := _anchored(dimension, anchor)) is not None:
            where.append(f"{column} = {quote_literal(code)}")
        elif dimension.role == "category":
            having.append(f"count(DISTINCT {column}) = {len(catalogue.selected(source, dimension))}")
        elif dimension.role == "time" and anchor.period:
            where.append(f"{column} = {quote_literal(anchor.period)}")
    return anchor, where, having


def _anchored(dimension: Dimension, anchor: Anchor) -> str | None:
    """Return the one code of a dimension that an anchor is about, or None where it is added up."""
    if dimension.role == "area" and "country" in dimension.levels:
        return anchor.cell.get(dimension.column, "000")
    return anchor.cell.get(dimension.column)


# Rules every core and mart table must keep: its municipalities and indicators are known ones.


# Column -> what it may hold, the table that must be there to tell, and the words for it.
MUNICIPALITIES = (
    "SELECT code FROM reference.areas WHERE level = 'municipality'", "reference.areas", "one of the 98 municipalities",
)  # fmt: skip
REFERENCES = {
    "municipality_code": MUNICIPALITIES,
    "peer_code": MUNICIPALITIES,
    "indicator_id": (
        # A finding may also rest on an answer of the organisation questionnaire, told by its column.
        "SELECT indicator_id FROM mart.indicator UNION ALL "
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'mart' AND table_name = 'organisation'",
        "mart.indicator",
        "an indicator of mart.indicator (or a column of mart.organisation)",
    ),
}


def rules_for_table(warehouse: Warehouse, file: SqlFile) -> list[Rule]:
    """Return the reference rules of one built core or mart table (foreign keys are checked here, not by DDL)."""
    if not file.table.startswith(("core.", "mart.")):
        return []
    columns = {name for name, _ in warehouse.columns(f"SELECT * FROM {file.table}")}
    return [
        set_rule(
            file.table,
            f"known_{column}",
            "critical",
            f"{column} must be {words}",
            f"SELECT {column}, count(*) AS rows_found FROM {file.table} WHERE {column} NOT IN ({allowed}) GROUP BY 1",
        )
        for column, (allowed, needed, words) in REFERENCES.items()
        if column in columns and needed != file.table and warehouse.exists(needed)
    ]


def rules_for_staging(source: Source, file: SqlFile, dictionary: Dictionary, catalogue: Catalogue) -> list[Rule]:
    """Return every derived rule of one staging table: first those for single rows, then those for the whole table."""
    return [*row_rules(source, file, dictionary, catalogue), *set_rules(source, file, catalogue)]


# Tables made of person rows: every column says how it keeps persons safe.


FROM_PERSONS = "raw.delivery_"


def fed_by_persons(reads: Iterable[tuple[str, str]]) -> set[str]:
    """Return the tables made of delivered rows, directly or through others, from pairs (table, table it reads)."""
    pairs = list(reads)
    fed = {table for table, read in pairs if read.startswith(FROM_PERSONS)}
    while more := {table for table, read in pairs if read in fed} - fed:
        fed |= more
    return fed


def protection_rules(warehouse: Warehouse, files: Iterable[SqlFile], dictionary: Dictionary) -> list[Rule]:
    """Return for each table made of person rows the rule that every column declares its protection.

    The lineage of the build decides which tables these are, so a new table or column cannot be forgotten.
    """
    if not warehouse.exists("run.lineage"):
        return []
    fed = fed_by_persons(warehouse.rows("SELECT table_name, reads_table FROM run.lineage"))
    rules = []
    for file in (file for file in files if file.table in fed):
        columns = warehouse.columns(f"SELECT * FROM {file.table}")
        open_columns = [name for name, kind in columns if not _is_protected(dictionary, file.table, name, kind)]
        rules.append(
            set_rule(
                file.table, "protection_declared", "critical",
                "every column of a table made of person rows declares its protection in transforms/dictionary.yml, "
                "and only texts, dates and yes/no are labels",
                f"SELECT unnest([{literals(open_columns)}]) AS column_name" if open_columns else NOTHING,
            )
        )  # fmt: skip
    return rules


NOTHING = "SELECT NULL AS column_name WHERE false"
NUMBERS = ("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "UINTEGER")


def _is_protected(dictionary: Dictionary, table: str, name: str, kind: str) -> bool:
    protection = dictionary.column(name, table).protection
    return protection is not None and not (protection == "label" and kind.upper().startswith(NUMBERS))
