"""Rules for single rows of a staging table, derived from the source file, the code lists and the dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from expectations.rules import Rule, Severity, set_rule
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


def literals(values: tuple[str, ...] | list[str]) -> str:
    """Return the values as a comma-separated list of SQL literals."""
    return ", ".join(quote_literal(value) for value in values)


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


# How many parts a table is cut into to find those in which a total is wrong: a power of two, and no more than fit in a
# core's cache.
BUCKETS = 65_536
# Rates, averages and prices do not add up.
ADDITIVE = ("persons", "jobs", "dwellings", "count")


@dataclass(frozen=True)
class Whole:
    """A code and the codes it must be the sum of."""

    code: str
    parts: tuple[str, ...]


def part_rules(source: Source, file: SqlFile, catalogue: Catalogue) -> Iterator[Rule]:
    """Yield two rules per dimension that holds totals beside their parts: beyond rounding (stop), within it (warn).

    A total with a suppressed or absent part is not judged. Each part may be off by half a unit of the last decimal.
    """
    if source.unit not in ADDITIVE or source.jobindsats is not None:  # whose tables hold counts beside shares
        return
    for dimension in source.dimensions:
        wholes, certain = _wholes(source, dimension, catalogue)
        if wholes:
            half = f"0.5 * parts / {10**source.decimals}"
            rules: list[tuple[str, Severity, str, str]] = [
                ("is_sum", "critical" if certain else "warning", "must equal the sum of its parts",
                 f"abs(difference) > {half}"),
                ("far_from_sum", "critical", "must be near the sum of its parts; only the unknown lies between",
                 "abs(difference) > 0.03 * abs(value) + 100"),
                ("rounded", "warning", "differs from the sum of its parts by no more than rounding explains",
                 f"difference <> 0 AND abs(difference) <= {half}"),
            ]  # fmt: skip
            sums, exact = _sums(file, dimension, wholes), _proof(file, dimension, wholes, source.decimals)
            name = dimension.column
            for rule_id, severity, told, where in rules:
                if not (certain and rule_id == "far_from_sum"):
                    told = f"a total of {name} {told}"
                    sql = f"{sums} WHERE {where}"
                    yield set_rule(file.table, f"total_{rule_id}_{name}", severity, told, sql, source.owner, exact)


def _wholes(source: Source, dimension: Dimension, catalogue: Catalogue) -> tuple[list[Whole], bool]:
    """Return the totals the source asks for together with all their parts, and whether the parts are certain."""
    asked = set(catalogue.selected(source, dimension))
    if dimension.role == "area":
        return _areas(asked, dimension)
    if dimension.role != "category":
        return [], True
    if (source.id, dimension.id) in catalogue.new_codes:
        return [], True  # a part of a total, or a subtotal: nobody has said yet
    codes = catalogue.codes(source, dimension)
    found = [Whole(code.code, code.leaves) for code in codes if code.code in asked and code.leaves]
    return [whole for whole in found if asked.issuperset(whole.parts)], True


def _areas(asked: set[str], dimension: Dimension) -> tuple[list[Whole], bool]:
    """Return country, regions and provinces with their municipalities; Christiansø (411) counts where it is listed.

    A table without Christiansø, or with areas outside the municipalities, may count it in the total or not.
    """
    places = [a for a in areas().values() if a.code in asked and a.level in ("municipality", "christiansoe")]
    if sum(area.level == "municipality" for area in places) < 98:
        return [], True
    wholes = []
    for area in (areas()[code] for code in sorted(asked)):
        parts = {
            "country": places,
            "region": [place for place in places if place.region_code == area.code],
            "province": [place for place in places if place.province_code == area.code],
        }.get(area.level, [])
        if parts:
            wholes.append(Whole(area.code, tuple(place.code for place in parts)))
    return wholes, len(places) == 99 and not dimension.extra_codes


def _sums(file: SqlFile, dimension: Dimension, wholes: list[Whole]) -> str:
    """Return a SELECT of every total whose parts are all known, with its difference from their sum.

    Every row meets the totals it belongs to, its own included, so that one grouping finds both sides.
    """
    column = quote_identifier(dimension.column)
    others = _others(file, dimension)
    keys = ", ".join(others) + ", " if others else ""
    part = f"FILTER (WHERE {column} <> whole)"
    return (
        f"SELECT *, value - part_sum AS difference FROM (SELECT {keys}whole AS {column}, "
        f"max(value) FILTER (WHERE {column} = whole) AS value, sum(value) {part} AS part_sum, "
        f"count(value) {part} AS parts FROM {file.table} "
        f"JOIN {_pairs(wholes)} ON code = {column} "
        "GROUP BY ALL HAVING parts = any_value(wanted))"
    )


def _proof(file: SqlFile, dimension: Dimension, wholes: list[Whole], decimals: int) -> str:
    """Return a SELECT of true when every complete total equals its sum, in a third of the time `_sums` takes.

    The totals lie in buckets by a hash of their other keys. Of each bucket all differences are added up, weighed by
    further bits of hashes: a bucket in which that is not zero has a wrong total, or an incomplete one, and is looked
    through. One wrong total is never weighed away, and several only by chance. Doubles hold whole numbers exactly up to
    9e15; a difference that is lost beside larger sums is far below what rounding explains.
    """
    column, keys = quote_identifier(dimension.column), ", ".join(_others(file, dimension)) or "0"
    weights: dict[str, int] = {}
    for number, whole in enumerate(wholes, start=1):
        weight = number * 7919  # totals of one dimension differ in weight, so that what one lacks no other makes up for
        weights[whole.code] = weights.get(whole.code, 0) + weight
        for code in whole.parts:
            weights[code] = weights.get(code, 0) - weight
    # Looked up once per entry of a stored column's own dictionary.
    weight_of = f"({list(weights.values())}::DOUBLE[])[list_position([{literals(list(weights))}], {column})]"
    units = f"(value * {10**decimals})::DOUBLE" if decimals else "value::DOUBLE"
    bucket = f"print & {BUCKETS - 1}"
    return (
        f"WITH suspect AS (SELECT bucket FROM (SELECT hash({keys}) AS print, {bucket} AS bucket, value, "
        f"{weight_of} AS weight FROM {file.table}) GROUP BY bucket "
        f"HAVING sum({units} * weight * (print >> 56 | 1)) <> 0) "
        "SELECT coalesce(bool_and(figures <= wanted OR (figures = wanted + 1 AND difference = 0)), true) FROM ("
        "SELECT min(wanted) AS wanted, count(value) AS figures, sum(if(is_whole, value, -value)) AS difference "
        f"FROM (SELECT hash({keys}) AS print, {column} AS code, value FROM {file.table} "
        f"WHERE {bucket} IN (FROM suspect)) JOIN {_pairs(wholes)} USING (code) GROUP BY print, number)"
    )


def _others(file: SqlFile, dimension: Dimension) -> list[str]:
    return [quote_identifier(name) for name in file.grain if name != dimension.column]


def _pairs(wholes: list[Whole]) -> str:
    """Return a table of every total and the codes that take part in it, its own included."""
    members = [(n, whole, code) for n, whole in enumerate(wholes) for code in (whole.code, *whole.parts)]
    facts = ((n, whole.code, code, code == whole.code, len(whole.parts)) for n, whole, code in members)
    pairs = ", ".join(f"({n}, {quote_literal(w)}, {quote_literal(c)}, {own}, {parts})" for n, w, c, own, parts in facts)
    return f"(VALUES {pairs}) AS pair(number, whole, code, is_whole, wanted)"


# Rules for a staging table as a whole: keys, coverage, selectors, periods, and totals that equal their parts.


def set_rules(source: Source, file: SqlFile, catalogue: Catalogue) -> list[Rule]:
    """Return the set rules of one staging table, the one that moves surplus copies of a row first."""
    rules = [*_keys(source, file), *_size(source, file)]
    for dimension in source.dimensions:
        if dimension.role == "selector":
            rules.append(_selector(source, file, dimension))
        elif dimension.role == "area":
            rules += _coverage(source, file, dimension, catalogue)
        elif dimension.role == "time":
            rules.append(_periods(source, file, dimension))
    rules += _anchors(source, file, catalogue)
    return [*rules, *part_rules(source, file, catalogue)]


def _rule(source: Source, file: SqlFile, rule_id: str, severity: Severity, description: str, sql: str) -> Rule:
    return set_rule(file.table, rule_id, severity, description, sql, source.owner)


def _keys(source: Source, file: SqlFile) -> Iterator[Rule]:
    """Yield the rules that a key occurs once: equal copies are surplus, copies that differ stop.

    Distinct hashes of all keys prove that there is no duplicate in half the time a grouping takes.
    """
    keys = ", ".join(quote_identifier(name) for name in file.grain)
    proof = f"SELECT count(*) = count(DISTINCT hash({keys})) FROM {file.table}"
    surplus = (
        f"SELECT rowid AS row_id FROM {file.table} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys}, value, value_status ORDER BY rowid) > 1"
    )
    differing = f"SELECT {keys}, count(*) AS copies FROM {file.table} GROUP BY {keys} HAVING count(*) > 1"
    if source.dimensions:
        yield Rule(
            "duplicate_row", file.table, "set", "warning", "quarantine",
            "a row delivered twice counts once; the copy is set aside", surplus, source.owner, proof,
        )  # fmt: skip
    yield set_rule(
        file.table, "unique_key", "critical",
        f"{', '.join(file.grain)} must name one figure; here it has several", differing, source.owner, proof,
    )  # fmt: skip


def _size(source: Source, file: SqlFile) -> Iterator[Rule]:
    minimum = source.expectations.min_rows
    yield _rule(
        source, file, "min_rows", "critical",
        f"a complete delivery has at least {minimum} rows",
        f"SELECT count(*) AS rows_delivered FROM {file.table} WHERE NOT _is_filled HAVING count(*) < {minimum}",
    )  # fmt: skip


def _selector(source: Source, file: SqlFile, dimension: Dimension) -> Rule:
    """Return the rule that a unit, measure or price basis has the one code the source file pins."""
    column = quote_identifier(dimension.column)
    return _rule(
        source, file, f"selector_pinned_{dimension.column}", "critical",
        f"{dimension.column} must be {dimension.select[0]} alone, or every figure is counted once per code",
        f"SELECT {column}, count(*) AS rows_found FROM {file.table} "
        f"WHERE {column} IS DISTINCT FROM {quote_literal(dimension.select[0])} GROUP BY {column}",
    )  # fmt: skip


def _coverage(source: Source, file: SqlFile, dimension: Dimension, catalogue: Catalogue) -> Iterator[Rule]:
    """Yield the rules that the areas asked for are there. Cells filled with zero do not count as delivered."""
    column = quote_identifier(dimension.column)
    wanted = [code for code in catalogue.selected(source, dimension) if code not in dimension.extra_codes]
    municipalities = [code for code in wanted if areas()[code].level == "municipality"]
    others = [code for code in wanted if code not in municipalities]
    delivered = f"SELECT DISTINCT {column} FROM {file.table} WHERE NOT _is_filled"
    lists: tuple[tuple[str, Severity, list[str]], ...] = (
        ("municipalities_complete", "critical", municipalities),
        ("areas_complete", "warning", others),
    )
    if source.jobindsats is not None and municipalities:
        # Jobindsats has no row for a municipality where nobody is counted.
        lists = (("municipalities_complete", "warning", municipalities), *lists[1:])
        half = len(municipalities) // 2
        yield _rule(
            source, file, f"municipalities_most_{dimension.column}", "critical",
            f"more than {half} municipalities must be delivered",
            f"SELECT count(DISTINCT {column}) AS municipalities FROM {file.table} "
            f"WHERE NOT _is_filled AND {column} IN ({literals(municipalities)}) "
            f"HAVING count(DISTINCT {column}) <= {half}",
        )  # fmt: skip
    for rule_id, severity, codes in lists:
        if codes:
            yield _rule(
                source, file, f"{rule_id}_{dimension.column}", severity,
                f"all {len(codes)} areas asked for must be delivered",
                f"SELECT {column} FROM (SELECT unnest([{literals(codes)}]) AS {column}) "
                f"ANTI JOIN ({delivered}) USING ({column})",
            )  # fmt: skip
    time = next((d for d in source.dimensions if d.role == "time"), None)
    if time is not None and municipalities:
        period = quote_identifier(time.column)
        yield _rule(
            source, file, f"municipalities_every_period_{dimension.column}", "warning",
            "a municipality that is delivered for one period is delivered for all",
            f"WITH cells AS (SELECT DISTINCT {column}, {period} FROM {file.table} WHERE NOT _is_filled) "
            f"SELECT {column}, {period} FROM (SELECT DISTINCT {column} FROM cells "
            f"WHERE {column} IN ({literals(municipalities)})) CROSS JOIN (SELECT DISTINCT {period} FROM cells) "
            f"ANTI JOIN cells USING ({column}, {period})",
        )  # fmt: skip


def _periods(source: Source, file: SqlFile, dimension: Dimension) -> Rule:
    """Return the rule that the series has no hole: no step longer than its shortest one (a year, in a `*K1` query)."""
    period = quote_identifier(dimension.column)
    number = ordinal(source, period)
    return _rule(
        source, file, f"no_gap_{dimension.column}", "warning", "the series of periods has no hole",
        f"WITH periods AS (SELECT DISTINCT {period} FROM {file.table} WHERE NOT _is_filled), "
        f"steps AS (SELECT {period}, {number} - lag({number}) OVER (ORDER BY {number}) AS step FROM periods) "
        f"SELECT {period}, step FROM steps WHERE step > (SELECT min(step) FROM steps)",
    )  # fmt: skip


def ordinal(source: Source, column: str) -> str:
    """Return SQL for a period as a running number: of years, quarters or months."""
    quarters = f"4 * {column}[1:4]::INTEGER + right({column}, 1)::INTEGER"
    months = f"12 * {column}[1:4]::INTEGER + right({column}, 2)::INTEGER"
    kinds = {"quarter": quarters, "rolling_year": quarters, "month": months}
    return kinds.get(source.period_kind or "", f"{column}[1:4]::INTEGER")


def _anchors(source: Source, file: SqlFile, catalogue: Catalogue) -> Iterator[Rule]:
    """Yield the rule that the country has the order of magnitude its source file gives.

    Cells that are added up count where every code asked for is there: a file made by hand may hold fewer.
    """
    sums = []
    for anchor in source.expectations.anchors:
        where, whole = [], []
        for dimension in source.dimensions:
            column = quote_identifier(dimension.column)
            if (code := _anchored(dimension, anchor)) is not None:
                where.append(f"{column} = {quote_literal(code)}")
            elif dimension.role == "category":
                whole.append(f"count(DISTINCT {column}) = {len(catalogue.selected(source, dimension))}")
            elif dimension.role == "time" and anchor.period:
                where.append(f"{column} = {quote_literal(anchor.period)}")
        name = ", ".join(anchor.cell.values()) or "i alt"
        sums.append(
            f"SELECT {quote_literal(name)} AS cell, {quote_identifier(source.time.column)}, sum(value) AS value, "
            f"{anchor.low} AS low, {anchor.high} AS high FROM {file.table} WHERE {' AND '.join(where) or 'true'} "
            f"GROUP BY ALL HAVING {' AND '.join(['count(value) > 0', *whole])}"
        )
    if sums:
        yield _rule(
            source, file, "country_level", "critical",
            "the country must have the order of magnitude that the source file gives",
            f"SELECT * FROM ({' UNION ALL '.join(sums)}) WHERE value NOT BETWEEN low AND high",
        )  # fmt: skip


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
