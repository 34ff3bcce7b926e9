"""A new source from a table's own description: source file, code lists, staging table and a test extract."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Literal

import yaml

from flows.connectors.statbank.query import TableInfo, Value, Variable
from transforms.areas import areas
from transforms.catalogue import Catalogue, Code, YamlFile, load_catalogue
from transforms.errors import UsageError
from transforms.periods import PERIOD_FORMS, span

# What a table's own description tells about its dimensions: role, column, code list, and what it does not tell.


SELECTOR_IDS = frozenset(
    {"ENHED", "PRISENHED", "BEREGNING", "TAL", "SAESONFAK", "SÆSON", "DRANST", "ART", "BNOGLE", "MÅLEENHED"}
)
SELECTOR_TEXTS = re.compile(r"\b(unit|measure|seasonal|frequency|price|dranst)\b", re.IGNORECASE)
TOTAL_IDS = ("TOT", "IALT", "TOT1", "MOK", "000", "00", "0")
TOTAL_TEXT = re.compile(r"\b(total|i alt)\b", re.IGNORECASE)
LETTERS = str.maketrans({"æ": "ae", "ø": "oe", "å": "aa"})


NO_TOTAL = "-"


@dataclass(frozen=True)
class Guess:
    """What the description of a dimension does not settle: its total, or the one code of a selector.

    `choices`: code -> text; `guess` is taken where nobody says otherwise. A total may be none of them (`-`).
    """

    dimension: str
    what: Literal["total", "code"]
    choices: Mapping[str, str]
    guess: str

    @property
    def question(self) -> str:
        """Return the guess as something to settle."""
        others = ", ".join(f"{code} {text}" for code, text in self.choices.items() if code != self.guess)
        taken = "none" if self.guess == NO_TOTAL else self.guess
        said = "pinned to" if self.what == "code" else "the total is taken to be"
        return f"{self.dimension}: {said} {taken} by guess; choose between it and {others}"[:400]


Choose = Callable[[Guess], str | None]
"""From a guess to the code that somebody chose, None when nobody did."""


@dataclass
class Draft:
    """The dimensions of a table's new source, the code lists and columns it needs, and what a person must settle.

    `described` are the columns of the dictionary.
    """

    danish: TableInfo
    english: TableInfo
    catalogue: Catalogue
    described: set[str]
    choose: Choose | None
    dimensions: list[dict[str, Any]] = field(default_factory=list)
    codelists: dict[str, list[Code]] = field(default_factory=dict)
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)

    def settle(self, guess: Guess) -> str:
        """Return the code somebody chose, or the guess, which is then something to settle."""
        chosen = self.choose(guess) if self.choose else None
        if chosen is None:
            self.questions.append(guess.question)
            return guess.guess
        allowed = [*guess.choices, *([NO_TOTAL] if guess.what == "total" else [])]
        if chosen not in allowed:
            listed = ", ".join(allowed[:12])
            raise UsageError(f"{guess.dimension}={chosen}: not one of its codes; choose one of {listed}")
        return chosen


def draft_dimensions(draft: Draft) -> None:
    """Add every dimension of the table as the source file writes it, the time last.

    What the description does not settle is asked of `choose`, and guessed where nobody chose. Raises UsageError for
    periods that are no years, quarters or months.
    """
    danish_by_id = {variable.id: variable for variable in draft.danish.variables}
    for variable in sorted(draft.english.variables, key=lambda v: v.time):
        partner = danish_by_id.get(variable.id)
        if partner is None or partner.codes != variable.codes:
            told = f"the two languages describe {variable.id} differently"
            raise UsageError(f"{draft.english.id}: {told}; fetch both again")
        _add_dimension(draft, partner, variable)


def period_kind(info: TableInfo) -> str:
    """Return year, quarter or month; UsageError for every other kind of period."""
    for kind, form in PERIOD_FORMS.items():
        if all(re.fullmatch(form, period) for period in info.periods):
            return kind
    raise UsageError(
        f"{info.id}: periods such as {info.periods[-1]} are not supported; only years, quarters and months are"
    )


def _add_dimension(draft: Draft, danish: Variable, english: Variable) -> None:
    entry: dict[str, Any] = {"id": english.id, "text_da": danish.text, "text_en": english.text}
    if english.time:
        entry |= {"column": "period", "role": "time", "select": ["*"]}
    elif _is_area(english):
        entry |= {"column": _column(draft, english, "area_code"), "role": "area"} | _area_codes(draft, english)
        entry["select"] = ["*"]
    else:
        entry |= _coded(draft, danish, english)
    by_default = entry["role"] in ("category", "selector")
    if english.elimination != by_default:
        entry["elimination"] = english.elimination
    if entry["column"] not in draft.described:
        draft.columns[entry["column"]] = (danish.text, english.text)
    draft.dimensions.append(entry)


def _is_area(variable: Variable) -> bool:
    """Tell whether most codes are Danish areas of today, København among them; three-digit codes alone prove little."""
    known = sum(code in areas() for code in variable.codes)
    return {"101", "147"} <= set(variable.codes) and known > 0.9 * len(variable.codes)


def _area_codes(draft: Draft, variable: Variable) -> dict[str, Any]:
    """Return `levels` and `extra_codes`; codes that are no known area become a question."""
    found = [areas()[code] for code in variable.codes if code in areas()]
    levels = list(dict.fromkeys(area.level for area in found if area.level not in ("abroad", "unknown")))
    extra = [area.code for area in found if area.level in ("abroad", "unknown")]
    if strange := [code for code in variable.codes if code not in areas()]:
        draft.questions.append(
            f"{variable.id}: {', '.join(strange[:5])} are not in transforms/reference/areas.csv; rows with them go to "
            "quarantine until they are added or deselected"
        )
    return {"levels": levels} | ({"extra_codes": extra} if extra else {})


def _coded(draft: Draft, danish: Variable, english: Variable) -> dict[str, Any]:
    """Return a category or a selector: its column, code list, total and a first selection."""
    total = _total(draft, danish, english)
    selector = _is_selector(english)
    codes = [_code(da, en, total) for da, en in zip(danish.values, english.values, strict=True)]
    entry: dict[str, Any] = {
        "column": _column(draft, english, _usual_column(english, draft.catalogue)),
        "role": "selector" if selector else "category",
        "codelist": _codelist(draft, english, codes),
    }
    if total is not None:
        entry["total"] = total
    if selector:
        pinned = total or english.codes[0]
        if len(english.values) > 1:
            texts = {value.id: value.text for value in english.values}
            pinned = draft.settle(Guess(english.id, "code", texts, pinned))
        return entry | {"select": [pinned]}
    if total is None:
        draft.questions.append(f"{english.id}: no total found; every code is selected")
    return entry | {"select": ["*" if total is None else total]}


def _code(danish: Value, english: Value, total: str | None) -> Code:
    is_total = danish.id == total
    return Code(danish.id, danish.text, english.text, "total" if is_total else "leaf", ("*",) if is_total else ())


def _total(draft: Draft, danish: Variable, english: Variable) -> str | None:
    """Return the code of the total: the one whose text says so, a usual id before others; never of a single code.

    Several texts «…, total» are something to settle. A selector's own code is settled later.
    """
    if len(english.values) < 2:
        return None
    pairs = zip(danish.values, english.values, strict=True)
    told = {da.id: en.text for da, en in pairs if TOTAL_TEXT.search(f"{en.text}; {da.text}")}
    usual = [code for code in told if code in TOTAL_IDS]
    first = english.values[0].id
    guess = usual[0] if usual else first if first in told else None
    if _is_selector(english) or not told or (len(told) == 1 and guess is not None):
        return guess
    chosen = draft.settle(Guess(english.id, "total", told, guess or NO_TOTAL))
    return None if chosen == NO_TOTAL else chosen


def _is_selector(variable: Variable) -> bool:
    return variable.id.upper() in SELECTOR_IDS or bool(SELECTOR_TEXTS.search(variable.text))


def _codelist(draft: Draft, variable: Variable, codes: list[Code]) -> str:
    """Return the name of an existing list with the same codes and texts, else of a new one."""
    wanted = [(code.code, code.text_da, code.text_en) for code in codes]
    for name, known in draft.catalogue.codelists.items():
        if [(code.code, code.text_da, code.text_en) for code in known] == wanted:
            return name
    name = f"{slug(variable.text)}_{draft.english.id.lower()}"
    while name in draft.codelists or name in draft.catalogue.codelists:
        name += "_2"
    draft.codelists[name] = codes
    if len(codes) > 20:
        draft.questions.append(f"{variable.id}: mark the subtotals in code list {name}; all but the total are leaves")
    return name


def _usual_column(variable: Variable, catalogue: Catalogue) -> str:
    """Return the column other sources use for this dimension, or one made from its English label."""
    used: Counter[str] = Counter()
    for source in catalogue.sources.values():
        used.update(d.column for d in source.dimensions if d.id == variable.id and d.text_en == variable.text)
    return used.most_common(1)[0][0] if used else f"{slug(variable.text)}_code"


def _column(draft: Draft, variable: Variable, wanted: str) -> str:
    """Return `wanted`, or a name from the variable's own id when another dimension has it."""
    is_taken = any(dimension["column"] == wanted for dimension in draft.dimensions)
    return f"{slug(variable.id)}_{wanted}" if is_taken else wanted


def slug(text: str) -> str:
    """Return lower-case ASCII words joined by underscores, never empty."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(LETTERS)).encode("ascii", "ignore").decode()
    return "_".join(re.findall(r"[a-z][a-z0-9]*|[0-9]+", plain)[:4]) or "dimension"


def first_codes(dimension: dict[str, Any], variable: Variable) -> Sequence[str]:
    """Return a few codes that the dimension selects, for the fixture."""
    select = dimension["select"]
    return variable.codes[-2:] if variable.time else variable.codes[:2] if select == ["*"] else select


UNITS = {"Number": "count", "Per cent": "pct", "DKK": "dkk", "DKK 1,000": "dkk_thousand"}
MAX_AGE_DAYS = {"year": 550, "quarter": 200, "month": 120}
FIXTURE_ROWS = 6


@dataclass(frozen=True)
class NewSource:
    """The files written or added to, and what a person must settle before the source is used."""

    paths: list[Path]
    questions: list[str]


def check_checkout(root: Path) -> None:
    """Raise UsageError when `root` lacks what a source is written into, as a folder elsewhere does."""
    for part in ("flows/sources", "transforms/dictionary.yml", "transforms/reference/codelists.csv"):
        if not (root / part).exists():
            raise UsageError(f"{root}: no checkout of kommunekort, {part} is not there; name the checkout with --root")


def new_source(danish: TableInfo, english: TableInfo, root: Path, choose: Choose | None = None) -> NewSource:
    """Write a source for the table both descriptions are of, under the repository `root`; it loads and stages as it is.

    Written: flows/sources, transforms/staging, tests/fixtures (invented figures); added to: the code lists and the
    dictionary. `choose` is asked where the description leaves a choice. Raises UsageError, leaving every file alone,
    when `root` is no checkout, the table is known, a file exists, a choice is none, or the description cannot become a
    source.
    """
    check_checkout(root)
    name = f"statbank_{english.id.lower()}"
    sources = root / "flows" / "sources"
    codelists = root / "transforms" / "reference" / "codelists.csv"
    dictionary = root / "transforms" / "dictionary.yml"
    catalogue = load_catalogue(sources, codelists=codelists, dictionary=dictionary)
    described = YamlFile(dictionary).data["columns"]
    source, staging = sources / f"{name}.yml", root / "transforms" / "staging" / f"{name}.sql"
    fixture = root / "tests" / "fixtures" / f"{english.id.lower()}.csv"
    if existing := [path for path in (source, staging, fixture) if path.exists()]:
        raise UsageError(f"{existing[0].relative_to(root)} exists and is not overwritten; edit it, or remove it first")
    draft = Draft(danish, english, catalogue, set(described), choose)
    draft_dimensions(draft)
    texts = {
        source: _source_text(name, draft),
        staging: _staging_text(name, draft),
        fixture: _fixture_text(draft),
    }
    if draft.codelists:
        texts[codelists] = _ended(codelists) + _codelist_rows(draft.codelists)
    if draft.columns:
        texts[dictionary] = _ended(dictionary) + _dictionary_rows(english.id, draft.columns)
    _write_all(texts, lambda: load_catalogue(sources, codelists=codelists, dictionary=dictionary))
    return NewSource(list(texts), draft.questions)


def _write_all(texts: Mapping[Path, str], check: Any) -> None:
    """Write every file, then `check`; when that fails, put everything back."""
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        check()
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise


def _source_text(name: str, draft: Draft) -> str:
    english, kind = draft.english, period_kind(draft.english)
    unit = UNITS.get(english.unit, "count")
    if english.unit not in UNITS:
        draft.questions.append(f"unit: the publisher says {english.unit!r}; count is a guess")
    cells = prod(len(v.codes if d["select"] == ["*"] else d["select"]) for d, v in _pairs(draft))
    return _rendered(
        "new_source.yml.jinja",
        name=name,
        draft=draft,
        unit=unit,
        frequency=kind,
        # Days from the first day of the newest period to its publication.
        lag=max(0, (english.updated.date() - span(english.periods[-1])[0]).days),
        max_age=MAX_AGE_DAYS[kind],
        min_rows=max(1, cells // 10),  # BULK leaves zeros out: a bound is moved once a year of deliveries is known
    )


def _rendered(template: str, **values: Any) -> str:
    """Return a file of a source, as its template beside this module writes it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    jinja = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined)
    jinja.loader = FileSystemLoader(Path(__file__).parent)
    jinja.filters["flow"] = _flow
    return jinja.get_template(template).render(values)


def _staging_text(name: str, draft: Draft) -> str:
    columns = [(f'"{d["id"].upper()}"', str(d["column"])) for d in draft.dimensions]
    columns += [('stat_value("INDHOLD")', "value"), ('stat_status("INDHOLD")', "value_status")]
    width = max(len(published) for published, _ in columns)
    return _rendered("new_source.sql.jinja", name=name, draft=draft, columns=columns, width=width)


def _fixture_text(draft: Draft) -> str:
    """Return a canonical extract of a few cells with the figures 1, 2, 3, …, which nobody published."""
    pairs = _pairs(draft)
    header = ";".join([*(str(dimension["id"]).upper() for dimension, _ in pairs), "INDHOLD"])
    cells = list(product(*(first_codes(dimension, variable) for dimension, variable in pairs)))[:FIXTURE_ROWS]
    return header + "\n" + "".join(f"{';'.join(codes)};{number}\n" for number, codes in enumerate(cells, start=1))


def _pairs(draft: Draft) -> list[tuple[dict[str, Any], Any]]:
    return [(dimension, draft.english.variable(dimension["id"])) for dimension in draft.dimensions]


def _codelist_rows(lists: Mapping[str, list[Code]]) -> str:
    rows = io.StringIO()
    writer = csv.writer(rows, delimiter=";", lineterminator="\n")
    for name, codes in lists.items():
        for code in codes:
            writer.writerow([name, code.code, code.text_da, code.text_en, code.kind, " ".join(code.leaves)])
    return rows.getvalue()


def _dictionary_rows(table: str, columns: Mapping[str, tuple[str, str]]) -> str:
    rows = [f"  # --- {table} ---\n"]
    for name, (danish, english) in columns.items():
        entry = {
            "type": "VARCHAR",
            "label_da": danish[:1].upper() + danish[1:],
            "label_en": english[:1].upper() + english[1:],
            "description": f"The publisher's code for {english} in {table}.",
            "description_da": f"Udgiverens kode for {danish} i {table}.",
            "nullable": False,
        }
        rows.append(f"  {name}: {_flow(entry)}\n")
    return "".join(rows)


def _flow(entry: Any) -> str:
    """Return a value or a mapping as one line of YAML; codes stay quoted, so they keep their zeros."""
    line = yaml.safe_dump(entry, allow_unicode=True, default_flow_style=True, sort_keys=False, width=10_000)
    return line.removesuffix("...\n").strip()


def _ended(path: Path) -> str:
    """Return a file's text, ended by a line end so that rows can be added."""
    text = path.read_text(encoding="utf-8")
    return text if text.endswith("\n") else f"{text}\n"
