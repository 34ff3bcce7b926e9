"""Which table is this file: which sources its columns and cells fit, and what shows that it is one of them.

One module, since the two questions have one answer: a table that fits is taken only for what something shows it to be.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from itertools import permutations
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from flows.connectors.statbank.forms import MARKS, Table, refusal
from transforms.areas import area_code, areas, areas_at, comparable, inhabitants
from transforms.errors import DataRefused

if TYPE_CHECKING:
    import pandas as pd

    from flows.connectors.statbank.query import Language
    from transforms.catalogue import Catalogue, Dimension, Source


# From what a cell says to the publisher's code: exact code, exact text in Danish or English, or both in one cell.


How = Literal["code", "text", "both"]

_PERIODS = {
    "year": re.compile(r"(?:19|20)\d\d(?:/(?:19|20)\d\d)?"),
    "quarter": re.compile(r"((?:19|20)\d\d)[KQ]([1-4])"),
    "month": re.compile(r"(?:19|20)\d\dM(?:0[1-9]|1[0-2])"),
}
_LOST_ZEROS = re.compile(r"(\d{1,3})(?:\.0)?")


@dataclass(frozen=True)
class Match:
    """The code a cell stands for, how the cell says it, and the language when only one has that text."""

    code: str
    how: How
    language: Language | None = None


def key_of(text: str) -> str:
    """Return a text of a file as it is compared: the site's matrix file writes «Age; total» for «Age, total»."""
    return comparable(text.replace(";", ","))


class Resolver:
    """The codes of one dimension of one source, looked up by whatever a cell may say."""

    def __init__(self, catalogue: Catalogue, source: Source, dimension: Dimension) -> None:
        self.source = source
        self.dimension = dimension
        self.is_time = dimension.role == "time"
        self._period = _PERIODS.get(source.frequency or "")
        self._codes = [] if self.is_time else catalogue.readable(source, dimension)
        self._by_code = {spelt: code for code in self._codes for spelt in (code.code, *code.spelt)}
        self._by_text: dict[str, dict[str, Language | None]] = {}
        for code in self._codes:
            both = key_of(code.text_da) == key_of(code.text_en)
            self._add(code.text_da, code.code, None if both else "da")
            self._add(code.text_en, code.code, None if both else "en")

    def match(self, cell: str) -> Match | None:
        """Return what the cell stands for; None for an unknown code or text and for a text two codes share."""
        text = cell.strip()
        if self.is_time:
            return self._match_period(text)
        if text in self._by_code:
            return Match(self._by_code[text].code, "code")
        return self._match_text(text) or self._match_both(text)

    def _nearest(self, cell: str) -> list[str]:
        """Return up to three known `code text` that look like the cell, for use in a message only."""
        shown = {key: code for code in self._codes for key in (key_of(code.text_en), key_of(code.text_da))}
        shown |= {code.code.casefold(): code for code in self._codes}
        keys = get_close_matches(key_of(cell), shown, n=6, cutoff=0.5)
        return list(dict.fromkeys(f"{shown[key].code} {shown[key].text_da}" for key in keys))[:3]

    def fault(self, cell: str) -> tuple[str, str]:
        """Return (rule, next step) for a cell that stands for nothing."""
        name = self.dimension.id
        if self.is_time:
            return f"not a period of this table in {name}", "download the table's own periods"
        shared = self._by_text.get(key_of(cell), {})
        if len(shared) > 1:  # the publisher uses a text twice
            return f"the text of {' and '.join(shared)} alike in {name}", "download the table with codes"
        nearest = self._nearest(cell)
        hint = f"nearest known: {', '.join(nearest)}" if nearest else "download the table with codes"
        return f"neither a code nor a text of {name}", hint

    def takes(self, code: str) -> bool:
        """Tell whether a code may stand in the dimension: a selector is held at one."""
        return self.dimension.role != "selector" or code == self.dimension.select[0]

    def other_selector(self) -> tuple[str, str]:
        """Return (rule, next step) for another code of a selector than the source's."""
        rule = f"the source holds {self.dimension.id} {self.dimension.select[0]} only"
        return rule, f"download {self.source.table} with that one"

    def _add(self, text: str, code: str, language: Language | None) -> None:
        self._by_text.setdefault(key_of(text), {})[code] = language

    def _match_text(self, text: str) -> Match | None:
        found = self._by_text.get(key_of(text))
        if found:
            (code, language), *more = found.items()
            return None if more else Match(code, "text", language)
        if self.dimension.role == "area":
            # A spreadsheet takes the zeros before a code away, and pandas may put some behind it.
            if (lost := _LOST_ZEROS.fullmatch(text)) and lost[1].zfill(3) in self._by_code:
                return Match(lost[1].zfill(3), "code")
            alias = area_code(text)
            return Match(alias, "text") if alias in self._by_code else None
        return None

    def _match_both(self, text: str) -> Match | None:
        """Read `101 København`, `København 101` and `H70 Masters programs`.

        A code with a letter in it counts whatever text follows, since publishers put it in the text itself. A
        bare number must stand beside its own text: `10 years and over` is not age 10.
        """
        first, _, after = text.partition(" ")
        before, _, last = text.rpartition(" ")
        for code, rest in ((first, after.strip()), (last, before.strip())):
            if code not in self._by_code or not rest:
                continue
            if rest in self._by_code and rest != code and key_of(rest) not in self._by_text:
                continue
            own = self._by_text.get(key_of(rest), {})
            same_area = self.dimension.role == "area" and area_code(rest) == code
            if code in own or same_area:
                return Match(code, "both", own.get(code))
            if code == first and not code.isdigit() and re.search(r"[A-Za-zÆØÅæøå]", code) and not own:
                return Match(code, "text")
        return None

    def _match_period(self, text: str) -> Match | None:
        upper = text.upper().removesuffix(".0")  # a year that pandas has made a decimal number
        if self._period is None or not (found := self._period.fullmatch(upper)):
            return None
        if found.lastindex:
            return Match(f"{found[1]}K{found[2]}", "code", "en" if "Q" in upper else "da")
        return Match(upper, "code")


MAX_DISTINCT = 200_000
Takers = Mapping[int, Mapping[str, str | None]]
"""Column -> the dimensions that know every cell of it, with the code when it holds only one."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A table placed in a source: dimension id -> column number, and dimension id -> the code that fills it.

    `matches`: per dimension with a column what each distinct cell stands for, once the cells have been checked.
    """

    source: Source
    columns: Mapping[str, int]
    filled: Mapping[str, str]
    matches: Sequence[tuple[Dimension, Sequence[tuple[str, Match]]]] = ()

    @property
    def presentation(self) -> How:
        """Tell how the cells say their codes."""
        hows = {match.how for match in self._telling}
        return "text" if "text" in hows else "both" if "both" in hows else "code"

    @property
    def language(self) -> Literal["da", "en", ""]:
        """Tell the language most of the texts are in, "" when no text is in one only."""
        told = Counter(match.language for match in self._telling)
        return "da" if told["da"] > told["en"] else "en" if told["en"] else ""

    @property
    def _telling(self) -> list[Match]:
        """The matches of all columns but time, whose code is its text."""
        return [match for dimension, pairs in self.matches if dimension.role != "time" for _, match in pairs]


class Misfit(DataRefused):
    """A table does not fit a source; `score` tells how near it came, for choosing the reason to show."""

    def __init__(self, score: tuple[int, int], reason: DataRefused) -> None:
        super().__init__(str(reason))
        self.score = score


class Trial:
    """One table under trial; the distinct cells of its columns are read once, when first asked for."""

    def __init__(self, table: Table, catalogue: Catalogue) -> None:
        self.table = table
        self.catalogue = catalogue

    @cached_property
    def cells(self) -> list[set[str]]:
        """The distinct cells of every dimension column."""
        found: list[set[str]] = [set() for _ in self.table.names]
        for chunk in self.table.chunks():
            for seen, column in zip(found, chunk.columns, strict=True):
                seen.update(column)
                if len(seen) > MAX_DISTINCT:
                    rule = f"over {MAX_DISTINCT:,} different texts in one column, which no code list has"
                    raise refusal(self.table.path, rule, "download the table again")
        if not any(found):
            raise refusal(self.table.path, "a header but no rows", "download the table again")
        return found

    def row_of(self, column: int, cell: str) -> int | None:
        """Return the file row where a column first holds `cell`."""
        rows = (pair for chunk in self.table.chunks() for pair in zip(chunk.rows, chunk.columns[column], strict=True))
        return next((row for row, held in rows if held == cell), None)

    def place(self, source: Source) -> Fit:
        """Say which column is which dimension, by heading where there is one, else by what the cells resolve to."""
        named: dict[str, int] = {}
        unnamed: list[int] = []
        in_grid = None in self.table.names or self.table.shape.layout == "wide"
        for column, name in enumerate(self.table.names):
            dimension = _dimension_named(source, name)
            if dimension is not None and dimension.id not in named:
                named[dimension.id] = column
            elif name is None or in_grid:
                unnamed.append(column)
            else:
                raise self._strange_column(source, name)
        if not unnamed:
            return self._complete(source, named)
        free = [dimension for dimension in source.dimensions if dimension.id not in named]
        takers = {column: self._takers(source, column, free) for column in unnamed}
        fits, misfits = [], []
        for placing in self._placings(takers, free):
            try:
                fits.append(self._complete(source, named | placing))
            except Misfit as misfit:
                misfits.append(misfit)
        if len(fits) == 1:
            return fits[0]
        if misfits and not fits:
            raise misfits[0]
        score = len(named) + sum(map(bool, takers.values()))
        raise Misfit((score, 0), self._unplaced(source, takers, free, bool(fits)))

    def check_cells(self, fit: Fit) -> Fit:
        """Return the fit with what every distinct cell stands for; the first that stands for nothing is a Misfit."""
        resolved: list[tuple[Dimension, list[tuple[str, Match]]]] = []
        for dimension in fit.source.dimensions:
            if dimension.id not in fit.columns:
                continue
            column = fit.columns[dimension.id]
            resolver = Resolver(self.catalogue, fit.source, dimension)
            matches = []
            for cell in sorted(self.cells[column]):
                match = resolver.match(cell)
                if match is None:
                    rule, step = resolver.fault(cell)
                    raise self._bad_cell(fit, column, cell, f"{rule} in {fit.source.table}", step)
                if not resolver.takes(match.code):
                    raise self._bad_cell(fit, column, cell, *resolver.other_selector())
                matches.append((cell, match))
            first = {match.language: cell for cell, match in reversed(matches)}
            # København among English names is still København; only texts of categories tell a mixed-up file.
            if dimension.role != "area" and {"da", "en"} <= first.keys():
                rule = f"English beside Danish '{first['da']}' in {dimension.id}"
                raise self._bad_cell(fit, column, first["en"], rule, "download the table in one language")
            resolved.append((dimension, matches))
        return replace(fit, matches=resolved)

    def _bad_cell(self, fit: Fit, column: int, cell: str, rule: str, step: str) -> Misfit:
        row = self.row_of(column, cell)
        reason = refusal(self.table.path, rule, step, row=row, value=cell)
        # A table with exactly these columns is nearer than one with totals filled in, whichever cell is wrong.
        return Misfit((len(self.table.names) + (not fit.filled), self._columns_known(fit)), reason)

    def _columns_known(self, fit: Fit) -> int:
        """Return how many columns hold nothing but codes or texts of their dimension, one more than none."""
        resolvers = {
            column: Resolver(self.catalogue, fit.source, fit.source.dimension(name))
            for name, column in fit.columns.items()
        }
        return 1 + sum(all(r.match(cell) for cell in self.cells[column]) for column, r in resolvers.items())

    def _complete(self, source: Source, columns: Mapping[str, int]) -> Fit:
        """Fill the dimensions that have no column with their total, or say why one cannot be filled."""
        filled: dict[str, str] = {}
        for dimension in source.dimensions:
            if dimension.id in columns:
                continue
            code = self._stands_for(source, dimension)
            if code is None:
                why = "no total can stand for it"
                if dimension.role == "selector":
                    why = "nothing in the file says which one it holds"
                rule = f"column {dimension.id} of {source.table} is missing and {why}"
                step = f"download the table with {dimension.id}"
                raise Misfit((len(columns), 0), refusal(self.table.path, rule, step, row=self._header_row()))
            filled[dimension.id] = code
        return Fit(source, columns, filled)

    def _stands_for(self, source: Source, dimension: Dimension) -> str | None:
        if dimension.role in ("area", "time") or not dimension.elimination:
            return None
        if dimension.role == "category":
            return dimension.total
        pinned = dimension.select[0]
        said = key_of(self.table.statement)
        named = [
            code.code
            for code in self.catalogue.codes(source, dimension)
            if any(_says(said, key_of(text)) for text in (code.text_da, code.text_en) if text)
        ]
        # A title that names several values does not say which of them the figures are.
        return pinned if named == [pinned] else None

    def _placings(self, takers: Takers, free: Sequence[Dimension]) -> Iterator[dict[str, int]]:
        """Yield the ways to give each unnamed column its own dimension; ways with the same result count once."""
        totals = {dimension.id: dimension.total for dimension in free}
        seen: list[dict[str, str | int | None]] = []
        for chosen in permutations(totals, len(takers)) if all(takers.values()) else ():
            placing = dict(zip(chosen, takers, strict=True))
            if all(name in takers[column] for name, column in placing.items()):
                # A column that only ever says «total» and a dimension filled with its total come to the same.
                result = totals | {name: takers[column][name] or column for name, column in placing.items()}
                if result not in seen:
                    seen.append(result)
                    yield placing

    def _takers(self, source: Source, column: int, free: Sequence[Dimension]) -> dict[str, str | None]:
        """Return the dimensions that know every cell of a column, with the code when it holds only one."""
        takers: dict[str, str | None] = {}
        for dimension in free:
            resolver = Resolver(self.catalogue, source, dimension)
            codes = {match.code if (match := resolver.match(cell)) else None for cell in self.cells[column]}
            if None not in codes:
                takers[dimension.id] = codes.pop() if len(codes) == 1 else None
        return takers

    def _header_row(self) -> int | None:
        return 1 if self.table.shape.format == "csv" and self.table.shape.layout == "long" else None

    def _strange_column(self, source: Source, name: str) -> Misfit:
        """Say which heading is none of the source's, and which of its missing dimensions it may be."""
        known = {found.id for heading in self.table.names if (found := _dimension_named(source, heading))}
        missing = [dimension for dimension in source.dimensions if dimension.id not in known]
        labels = {key_of(label): d.id for d in missing for label in (d.id, d.text_da, d.text_en)}
        close = get_close_matches(key_of(name), labels, n=1, cutoff=0.6)
        rule = f"no dimension of {source.table} ({', '.join(d.id for d in source.dimensions)})"
        if len(known) > 1:
            rule += ", the nearest known table"
            step = f"rename it to {labels[close[0]]}" if close else "download the table without it"
        else:
            rule, step = "no known table has this column beside the others", "add the table with kommunekort new-source"
        reason = refusal(self.table.path, rule, step, row=self._header_row(), value=name)
        return Misfit((len(known), int(bool(close))), reason)

    def _unplaced(self, source: Source, takers: Takers, free: Sequence[Dimension], several: bool) -> DataRefused:
        if several:
            rule = f"several columns could each be the same dimension of {source.table}"
            return refusal(self.table.path, rule, "download it as CSV with column names")
        strange = next((column for column, known in takers.items() if not known), min(takers))
        cell = self._first_unknown(source, strange, free)
        rule = f"not found in the code lists of {source.table}, the nearest known table"
        return refusal(self.table.path, rule, "download a known table", row=self.row_of(strange, cell), value=cell)

    def _first_unknown(self, source: Source, column: int, free: Sequence[Dimension]) -> str:
        """Return a cell unknown to the dimension that knows most of the column."""
        cells = sorted(self.cells[column])
        resolvers = [Resolver(self.catalogue, source, dimension) for dimension in free]
        unknown = [[cell for cell in cells if resolver.match(cell) is None] for resolver in resolvers]
        return (min(unknown, key=len, default=[]) or cells)[0]


def _says(said: str, text: str) -> bool:
    """Return whether a text holds another as words of its own: «employment rates» does not say «employment rate»."""
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", said) is not None


def _dimension_named(source: Source, name: str | None) -> Dimension | None:
    """Return the dimension whose id or label, in either language, is `name`."""
    if name is None:
        return None
    key = key_of(name)
    ids = next((d for d in source.dimensions if key in map(key_of, (d.id, *d.also))), None)
    return ids or next((d for d in source.dimensions if key in (key_of(d.text_da), key_of(d.text_en))), None)


# Which of the tables that fit is it. Columns alone do not tell: 116 pairs of StatBank tables share them.


INSTEAD = "say which table it is with --as '{name}={table}', or in a kommunekort.yml beside the files"
_WORD = re.compile(r"[0-9A-Za-zÆØÅæøå]+")
_LIKE_AN_ID = re.compile(r"([A-ZÆØÅ]{2,})[0-9]{1,3}[A-ZÆØÅ]*[0-9]?")
# statistikbanken.dk names a download by a moment, the table and a number without anything between them.
_SITE_NAME = re.compile(r"20[0-9]{8,}([A-ZÆØÅ]+[0-9]+[A-ZÆØÅ]*[0-9]{6,})")
# Words people put before a number in a file's name, which then looks like a table's id.
_PLAIN_WORDS = frozenset({
    "ALDER", "ARK", "CP", "DATA", "DEL", "DOWNLOAD", "EXPORT", "FIL", "FILE", "ISO", "KOPI", "NR", "PANDAS", "SHEET",
    "SIDE", "TABEL", "TABLE", "TEST", "UDTRÆK", "UTF", "VERSION",
})  # fmt: skip
_UNIT = re.compile(r"(?:enhed|units?)\s*:?\s*([^\s,;]+)", re.IGNORECASE)
_BY = re.compile(r"\s(?:by|efter)\s(.*)", re.DOTALL)


# The country's code, and how many of the 98 municipalities beside it let its figure be held against their sum.
COUNTRY, NEARLY_ALL, LEAST_COUNTRY = "000", 95, 500
LOOKED_AT = 1_000_000
VALUE = "INDHOLD"


@dataclass
class Content:
    """What the figures of a table placed in a source look like, counted over its canonical rows.

    `judged` rows have every category at its total and a figure; of these `strange` are no number of inhabitants their
    area can have (see Expectations.inhabitants_share). `outside` are figures beyond the source's limits; `agreeing` of
    `known` cells are what the last build holds. Of `totalled` cells of the country with nearly every municipality
    beside, `unlike_total` relate to them as the source's figures never do: numbers add up to the country's, means and
    shares do not. `fractions` counts figures that are not whole.
    """

    rows: int
    figures: int = 0
    zeros: int = 0
    outside: Sequence[str] = ()
    judged: int = 0
    strange: Sequence[str] = ()
    known: int = 0
    agreeing: int = 0
    totalled: int = 0
    unlike_total: Sequence[str] = ()
    largest: float = 0.0
    fractions: int = 0

    @classmethod
    def of(cls, path: Path, rows: int, source: Source, last: Mapping[str, str]) -> Self:
        """Count what the figures of a canonical file look like, over its first million rows; `last` are known cells."""
        import pandas as pd

        cells = pd.read_csv(path, sep=";", dtype=str, keep_default_na=False, nrows=LOOKED_AT, encoding="utf-8-sig")
        cells = cells[~cells[VALUE].isin(MARKS)]
        cells["value"] = pd.to_numeric(cells[VALUE], errors="coerce")
        cells = cells[cells["value"].abs() < inf]  # what is no figure is set aside by its row when the file is loaded
        value = cells["value"]
        seen = cls(
            rows,
            figures=len(cells),
            zeros=int((value == 0).sum()),
            fractions=int((value % 1 != 0).sum()),
            largest=value.to_numpy().max(initial=0.0),
        )
        low, high = source.expectations.value_min, source.expectations.value_max
        seen.outside = list(cells[VALUE][~value.between(-inf if low is None else low, inf if high is None else high)])
        if last:
            keys = cells[header_of(source).split(";")[:-1]]
            before = keys.iloc[:, 0].str.cat(keys.iloc[:, 1:], sep=";").map(last).dropna()
            # The same figure, or one the revision of the other; two zeros say nothing.
            now, then = value[before.index], pd.to_numeric(before, errors="coerce")
            seen.known = len(before)
            seen.agreeing = int(((now != 0) & ((now - then).abs() <= 0.02 * then.abs())).sum())
        places = [dimension.id.upper() for dimension in source.dimensions if dimension.role == "area"]
        if places and source.expectations.inhabitants_share is not None:
            judged = cells[cells[places[0]].isin(list(inhabitants()))]
            for dimension in source.dimensions:
                if dimension.role == "category":
                    judged = judged[judged[dimension.id.upper()] == (dimension.total or "")]
            seen.judged = len(judged)
            seen.strange = [
                f"{text} in {areas()[area].name_da}"
                for area, text in zip(judged[places[0]], judged[VALUE], strict=True)
                if inhabitants_fault(source, area, float(text))
            ]
        if len(places) == 1:
            _hold_against_country(seen, source, cells, places[0])
        return seen


def header_of(source: Source) -> str:
    """Return the canonical header line of a source, without line end."""
    return ";".join([*(dimension.id.upper() for dimension in source.dimensions), VALUE])


def _hold_against_country(seen: Content, source: Source, cells: pd.DataFrame, place: str) -> None:
    """Count the country's figures that can be judged by the sum of the municipalities', and those that are unlike it.

    Below 500 the country's figure says too little: rounding and withheld cells weigh too much.
    """
    rest = [name for name in header_of(source).split(";")[:-1] if name != place]
    municipal = cells[cells[place].isin([area.code for area in areas_at(["municipality"])])]
    added = municipal.groupby(rest)["value"].agg(["size", "sum"])
    country = cells[cells[place] == COUNTRY].drop_duplicates(rest, keep="last").join(added, on=rest, how="inner")
    whole = country[country["size"] >= NEARLY_ALL]
    if source.unit != "pct":
        whole = whole[whole["value"] >= LEAST_COUNTRY]
    seen.totalled = len(whole)
    seen.unlike_total = [
        f"the country's {figure:g} ({' '.join(codes)}) and the municipalities' sum of {total:g}"
        for *codes, figure, total in whole[[*rest, "value", "sum"]].itertuples(index=False)
        if relates_unlike(source.unit, figure, total)
    ]


class Unshown(DataRefused):
    """A file that fits, and nothing shows that it is the table."""


@dataclass(frozen=True)
class Reading:
    """One file under trial: what it is called, what the user says it is, and how its figures are looked at.

    `compared` says in words whose figures `look` compares them with.
    """

    candidate: Trial
    name: str
    said: str | None
    look: Callable[[Fit], Content]
    compared: str

    @cached_property
    def known(self) -> dict[str, Source]:
        """The sources that have a table, by its id."""
        return {s.table.casefold(): s for s in self.candidate.catalogue.sources.values() if s.table}

    def choose(self, fits: Sequence[Fit]) -> tuple[Fit, str]:
        """Return which of the fits the file is, and why; DataRefused when nothing shows it, or something another."""
        fit, why = self._shown(fits)
        for rule, step in _faults(self.candidate.table.statement, self.look(fit), fit.source):
            raise refusal(self.candidate.table.path, rule, step)
        return fit, why

    def _shown(self, fits: Sequence[Fit]) -> tuple[Fit, str]:
        path, table = self.candidate.table.path, self.candidate.table
        if self.said is not None:
            return fits[0], "you say so"
        titled = [fit for fit in fits if self._has_title(fit.source)]
        if table.table_id is not None:
            return fits[0], "the file says so"
        called, foreign = self._called()
        named = [fit for fit in fits if fit.source in called]
        if all(self._is_bare(fit) and fit not in titled for fit in fits):
            rule = "only area and time, so nothing in the file says which table it is and which people it counts"
            raise refusal(path, rule, "download the table with its other columns")
        if foreign or (called and not named):
            other = foreign or sorted(str(source.table) for source in called)
            rule = f"its name says {' and '.join(other)}, but its columns are those of {_tables(fits)}"
            raise refusal(path, rule, self._instead(fits))
        if len(named) == 1:
            return named[0], "its name says so"
        if len(titled) == 1:
            return titled[0], "its title says so"
        return self._by_content(titled or named or list(fits))

    def _by_content(self, fits: list[Fit]) -> tuple[Fit, str]:
        """Return the one fit that the figures themselves, or the columns alone, give away."""
        if len(fits) > 1:  # tables whose figures these cannot be are no choice
            fits = [fit for fit in fits if not any(_unlike(self.look(fit), fit.source))] or fits
        people = [fit for fit in fits if self._counts_inhabitants(fit)]
        if len(people) == 1:
            return people[0], "its figures are the inhabitants of the areas"
        if len(fits) == 1 and not fits[0].filled and not fits[0].source.lookalikes:
            return fits[0], "no other table has these columns"
        same = [fit for fit in fits if (seen := self.look(fit)).known >= 12 and seen.agreeing >= 0.9 * seen.known]
        if len(same) == 1:
            return same[0], f"its figures are those of {self.compared}"
        source = fits[0].source
        others = f" ({', '.join(source.lookalikes[:4])})" if source.lookalikes else ""
        rule = f"its columns are those of {source.table}, but other tables share them{others}, and nothing shows which"
        if len(fits) > 1:
            rule = f"fits {_tables(fits)} alike"
        raise Unshown(str(refusal(self.candidate.table.path, rule, self._instead(fits))))

    def _counts_inhabitants(self, fit: Fit) -> bool:
        if fit.source.expectations.inhabitants_share != [1.0, 1.0] or self._is_bare(fit):
            return False
        seen = self.look(fit)
        return seen.judged > 0 and len(seen.strange) <= 0.02 * seen.judged

    def _called(self) -> tuple[list[Source], list[str]]:
        """Return the known tables the file's name names, and the ids in it that are none."""
        stem = re.sub(r"\.\w{1,5}$", "", self.name.rpartition("/")[2])
        words = [self._of_site(word) for word in _WORD.findall(stem)]
        folded = dict.fromkeys(word.casefold() for word in words)
        known = [self.known[word] for word in folded if word in self.known]
        foreign = [
            word
            for word in words
            if word.casefold() not in self.known
            and (found := _LIKE_AN_ID.fullmatch(word))
            and found[1] not in _PLAIN_WORDS
        ]
        return known, foreign

    def _of_site(self, word: str) -> str:
        """Return the table in a download's name as statistikbanken.dk gives it, any other word as it is."""
        found = _SITE_NAME.fullmatch(word)
        if found is None:
            return word
        # Where the table's digits end and the number begins, only a known table tells.
        known = [table for table in self.known if found[1].casefold().startswith(table)]
        return max(known, key=len) if known else found[1].rstrip("0123456789") + "00"

    def _has_title(self, source: Source) -> bool:
        """Return whether what stands around the figures holds every word of the title, and no other variable."""
        said = key_of(self.candidate.table.statement)
        words = set(_WORD.findall(said))
        if not any(set(_WORD.findall(key_of(title))) <= words for title in (source.title_da, source.title_en)):
            return False
        listed = _BY.search(said)
        if listed is None:
            return True
        labels = {key_of(text) for d in source.dimensions for text in (d.id, d.text_da, d.text_en)}
        variables = re.split(r",| and | og ", re.split(r"(?:enhed|units?)\s*:", listed[1])[0])
        return all(variable.strip() in labels for variable in variables if variable.strip())

    def _is_bare(self, fit: Fit) -> bool:
        roles = {d.role for d in fit.source.dimensions if d.id in fit.columns}
        return bool(fit.filled) and not roles & {"category", "selector"}

    def _instead(self, fits: Sequence[Fit]) -> str:
        return INSTEAD.format(name=self.name, table=fits[0].source.table)


# Units of numbers that add up over areas; means, shares and amounts per head do not.
ADDED = frozenset({"persons", "jobs", "dwellings"})
MEANS = frozenset({"pct", "dkk"})
MOST_UNLIKE = 0.2
# So many figures of a table with a decimal are not all whole by chance: one in a hundred million.
TOO_MANY_WHOLE = 8


def _faults(statement: str, seen: Content, source: Source) -> Iterator[tuple[str, str]]:
    """Yield (rule, next step) for everything by which figures cannot be the source's, whoever says that they are."""
    table, unit = source.table, _UNIT.search(statement)
    if unit and (fault := _other_unit(unit[1], source.unit or "")):
        yield f"the unit is {fault}, and {table} is in {source.unit}", "choose the right table"
    if seen.figures and seen.zeros == seen.figures:
        yield f"every figure is 0, which {table} never is", "download the table again"
    if source.unit == "pct" and seen.figures > 1 and seen.largest <= 1:
        rule = f"no figure is above {seen.largest:g}, so they are shares of one, and {table} is in per cent"
        yield rule, "multiply by 100, or download the table again"
    if source.decimals and seen.figures - seen.zeros >= TOO_MANY_WHOLE and not seen.fractions:
        rule = f"every figure is whole, and {table} has {source.decimals} decimal"
        yield rule, "see which table it is, and whether a decimal sign was lost"
    yield from _unlike(seen, source)


def _unlike(seen: Content, source: Source) -> Iterator[tuple[str, str]]:
    """Yield (rule, next step) for figures beyond what the source can be, or not related to their total as its are."""
    if len(seen.strange) > 0.05 * seen.judged:
        many = f"{len(seen.strange)} of {seen.judged} figures are far from what the areas can have"
        yield f"{seen.strange[0]} cannot be {source.table} ({many})", "see which table it is and what was selected"
    if len(seen.unlike_total) > MOST_UNLIKE * seen.totalled:
        does = "add up to the country's" if source.unit in ADDED else "are parts of a mean, which do not add up"
        rule = f"{seen.unlike_total[0]}, but the areas' figures of {source.table} {does}"
        yield rule, "see which table it is and what was selected"
    if len(seen.outside) > source.expectations.quarantine_max_share * seen.figures:
        limits = f"what {source.table} can be ({_limits(source)})"
        rule = f"{len(seen.outside)} of {seen.figures} figures are outside {limits}, first {seen.outside[0]}"
        yield rule, "see whether a decimal sign was lost, and download it again"


def relates_unlike(unit: str | None, country: float, added: float) -> bool:
    """Return whether the country's figure and the sum of nearly all municipalities' are those of another kind of unit.

    Some persons or jobs belong to no municipality or to two, so a sum may be off by a quarter.
    """
    adds_up = 0.75 * country <= added <= 1.25 * country
    return (unit in ADDED and not adds_up) or (unit in MEANS and adds_up)


def _tables(fits: Sequence[Fit]) -> str:
    return " and ".join(str(fit.source.table) for fit in fits)


def _limits(source: Source) -> str:
    low, high = source.expectations.value_min, source.expectations.value_max
    return " ".join([*([f"from {low:g}"] if low is not None else []), *([f"to {high:g}"] if high is not None else [])])


def _other_unit(said: str, unit: str) -> str | None:
    """Return the unit a file states when the source's is another; «Antal» stands over some rates and says nothing."""
    plain = said.casefold().strip(".")
    is_share = plain in ("pct", "per", "percent", "procent", "%")
    is_money = plain in ("kr", "dkk", "mio", "1.000")
    if is_share and unit != "pct":
        return "per cent"
    return said if is_money and unit not in ("dkk", "dkk_thousand") else None


def inhabitants_fault(source: Source, area: str, value: float) -> bool:
    """Return whether a figure at the total of every category is no number of persons the area can have."""
    share, bounds = source.expectations.inhabitants_share, inhabitants().get(area)
    if share is None or bounds is None:
        return False
    return not share[0] * bounds[0] <= value <= share[1] * bounds[1]
