"""Words for the codes the mapping uses, in Danish and English, where no table of the database carries them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache, lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from flows.report.data import Cell, grouped
from transforms.areas import areas, reference_rows
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.models.wording import (
    STATUSES,
    date_text,
    gap,
    level,
    listed,
    number,
    official_name,
    period_text,
    signed,
    unit_of,
)
from transforms.models.wording import shown as rounded
from transforms.periods import COPENHAGEN

Words = tuple[str, str]
HERE = Path(__file__).parent


CODES: dict[str, dict[str, Words]] = {
    place: {row["code"]: (row["text_da"], row["text_en"]) for row in rows}
    for place, rows in grouped(reference_rows("codes.csv", HERE), itemgetter("place")).items()
}
"""What codes are called in each place (a column, a list), in the order of the file; "" is anywhere."""
DIMENSIONS = CODES["dimension"]
SIZE_BANDS = {code: CODES[""][code] for code in ("very_small", "small", "middle", "large", "very_large")}
STATUS_LETTERS = {"suppressed": "s", "missing": "m", "not_applicable": "x"}
"""The statuses of an empty value, with the letter that stands for it in the data of a page."""
MARKED = ("provisional", "estimated")
"""The statuses that are told beside a figure."""
ASSESSMENTS = {code: CODES[""][code] for code in ("better", "as_expected", "worse", "too_small")}
NOT_JUDGED: Words = ("vurderes ikke", "not judged")
"""An outcome that is only shown beside the one that is judged."""
NOT_REACHED: Words = ("under halvdelen kom i job", "fewer than half got a job")
NOT_EXPECTED: Words = ("under halvdelen ventes i job", "fewer than half are expected in a job")
"""Why there are no weeks until half are in a job, where that never came."""
NAMES_NOT_KNOWN: Words = ("navnene kendes ikke", "the names are not known")
"""Why there is no count of the municipalities of a pool in a comparison."""


def is_not_reached(row: Mapping[str, Any]) -> bool:
    """Tell whether a row of mart.expected has no median because fewer than half had the event, not for want of data."""
    return row["outcome_id"] == "first_job_median_weeks" and row.get("value_status") == "not_applicable"


def is_not_expected(row: Mapping[str, Any]) -> bool:
    """Tell whether half had the event and fewer than half were expected to, so that there is no difference in weeks."""
    is_told = row.get("observed") is not None and row.get("expected") is None
    return row["outcome_id"] == "first_job_median_weeks" and is_told


@cache
def form_words() -> dict[str, dict[str, Words]]:
    """Return what the codes of the municipalities' forms are called: column -> code -> words, as the forms say it."""
    from flows.deliveries.contract import load_contracts

    return {
        field.name: {value.code: (value.text_da, value.text_en) for value in field.values}
        for contract in load_contracts().values()
        for field in contract.fields
        if field.values
    }


@cache
def source_words() -> dict[str, Words]:
    """Return producers and licences in both languages, as the source files that name them in English say it."""
    sources = load_catalogue().sources.values()
    told = [*((each.producer, each.producer_en) for each in sources), *((s.licence, s.licence_en) for s in sources)]
    return {danish: (danish, english) for danish, english in told if english}


def joined(told: Sequence[Words], by: str) -> Words:
    """Return several words as one text in each language."""
    return by.join(da for da, _ in told), by.join(en for _, en in told)


def answer(column: str, value: Any) -> Words:
    """Return what an answer on a form is called, as the form says it; several codes are told one after the other."""
    known = form_words().get(column) or form_words().get(column.removesuffix("s"), {})
    told = [known.get(part) or words(part) for part in str(value).split()] if known else [words(value)]
    return joined(told, ", ")


def words(code: Any) -> Words:
    """Return what a code is called; a code nobody named is shown as it is, underscores as spaces."""
    text = str(code).lower() if isinstance(code, bool) else str(code)
    if text in CODES[""]:
        return CODES[""][text]
    column = load_dictionary().columns.get(text)
    if column:
        return column.label_da, column.label_en
    as_it_is = text.replace("_", " ")
    return source_words().get(text, (as_it_is, as_it_is))


def called(place: str, code: Any) -> Words:
    """Return what a code is called in one place, where it has a name of its own there."""
    return CODES[place].get(str(code)) or words(code)


def industry(row: Mapping[str, Any]) -> Words:
    """Return the name of a row of mart.industry_match, without the letter code that the publisher puts before it."""
    code = f"{row['industry_code']} "
    return str(row["industry_name_da"]).removeprefix(code), str(row["industry_name_en"]).removeprefix(code)


def condition(rule: Mapping[str, Any], unit: str | None) -> Words:
    """Return when a rule of finding_rules or method_rules is met, in words."""
    against, threshold = str(rule["compare_to"]), str(rule["threshold"])
    if str(rule["operator"]) == "one_of":
        known = [ASSESSMENTS.get(part) or answer(str(rule["indicator_id"]), part) for part in threshold.split()]
        da, en = " eller ".join(f"»{a}«" for a, _ in known), " or ".join(f"“{b}”" for _, b in known)
        if against == "assessment":
            return f"vurderingen er {da}", f"the assessment is {en}"
        return f"kommunen har svaret {da}", f"the municipality answered {en}"
    size = abs(float(threshold))
    above = str(rule["operator"]) == "above"
    if against == "value":
        da, en = level(float(threshold), unit or "", "da"), level(float(threshold), unit or "", "en")
        return (f"over {da}", f"above {en}") if above else (f"under {da}", f"below {en}")
    da, en = gap(size, unit or "", "da"), gap(size, unit or "", "en")
    whom = CODES["condition"][against]
    how = (f"mindst {da} {'over' if above else 'under'}", f"at least {en} {'above' if above else 'below'}")
    if not size:
        how = ("ikke under", "not below") if above else ("ikke over", "not above")
    return f"{how[0]} {whom[0]}", f"{how[1]} {whom[1]}"


def template(rule: Mapping[str, Any]) -> Words:
    """Return the sentence of a rule with words for what is filled in."""
    da = str(rule.get("template_da") or rule.get("reason_da") or "")
    en = str(rule.get("template_en") or rule.get("reason_en") or "")
    for name, (danish, english) in CODES["template"].items():
        da, en = da.replace(f"{{{name}}}", danish), en.replace(f"{{{name}}}", english)
    return da, en


def rule_text(row: Mapping[str, Any]) -> Words:
    """Return what a rule of meta.validation asks for; a rule that has no Danish text yet is told in English."""
    english = str(row["description"])
    danish = row.get("description_da") or _danish_rule(str(row["rule_id"]), english)
    return str(danish), english


@cache
def _rule_texts() -> list[tuple[re.Pattern[str], str]]:
    """Return the Danish texts of the rules by the names they are for, in order."""
    return [(re.compile(row["rule"]), row["text_da"]) for row in reference_rows("rule_texts.csv", HERE)]


def _danish_rule(rule_id: str, english: str) -> str:
    """Return a rule's Danish text with the column of its name and the figures of its English text."""
    for pattern, text in _rule_texts():
        if found := pattern.fullmatch(rule_id):
            figures = [
                figure.translate(str.maketrans(",.-", ".,\u2212"))
                for figure in re.findall(r"-?\d+(?:[.,]\d+)*(?= |%|$)", english)
            ]
            return text.format(*(f"»{words(group)[0]}«" for group in found.groups() if group), figures=figures)
    return english


def examples(text: str, indicators: Mapping[str, Mapping[str, Any]]) -> Words:
    """Return the examples of a broken rule (`column=value, column=value | …`) in words.

    Indicators, municipalities and periods by their names; what is no such example stands as it is.
    """
    told = []
    for one in text.split(" | "):
        pairs = re.findall(r"(\w+)=(.*?)(?=, \w+=|$)", one)
        told.append(joined([_example(key, value, indicators) for key, value in pairs] or [(one, one)], ", "))
    return joined(told, "; ")


def _example(key: str, value: str, indicators: Mapping[str, Mapping[str, Any]]) -> Words:
    label = called("example", key)
    area = areas().get(value) if key.endswith("area_code") or key in ("municipality_code", "code") else None
    if value in indicators:
        known = str(indicators[value]["label_da"]), str(indicators[value]["label_en"])
    elif area is not None:
        known = area.name_da, area.name_en
    elif key == "period":
        known = period_text(value)
    elif key == "column_name":
        known = words(value)
    else:
        known = re.sub(r"^(-?\d+)\.(\d+)$", "\\1,\\2", value), value
    da, en = (text[:1].lower() + text[1:] for text in label)
    return f"{da}: {known[0]}", f"{en}: {known[1]}"


def unit_word(unit: str | None) -> Words:
    """Return what a unit of the dictionary is called; nothing known is a dash, an unknown unit stands as it is."""
    if not unit:
        return "–", "–"
    known = unit_of(unit)
    return CODES["unit"].get(unit) or (known.level if known.level[0] else (unit, unit))


def allowed(column: str, value: str) -> Words:
    """Return what an allowed value of a column is called."""
    return CODES.get(column, {}).get(value) or DIMENSIONS.get(value) or words(value)


def factors(names: str | None) -> Words:
    """Return the factors of an industry's match in words."""
    known = [called("factor", name) for name in (names or "").split()]
    return listed([da for da, _ in known], "da") or "–", listed([en for _, en in known], "en") or "–"


def outcome(outcome_id: str, indicators: Mapping[str, Mapping[str, Any]]) -> tuple[Words, str]:
    """Return the label and unit of an outcome of mart.expected."""
    known = indicators.get(outcome_id)
    if known:
        return (str(known["label_da"]), str(known["label_en"])), str(known["unit"])
    unit = next((unit for unit in ("pct", "weeks", "days", "dkk") if unit in outcome_id.split("_")), "count")
    return called("outcome", outcome_id), unit


def compared(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row of a comparison with a baseline in Danish, headings and values as the follow-up page has them."""
    columns = load_dictionary().columns
    told = {}
    for name, value in row.items():
        if value is None:
            text = NAMES_NOT_KNOWN[0] if name == "sister_pool_count" else STATUSES["missing"][0]
        else:
            text = signed(value, 1, "da") if isinstance(value, float) else called("group", value)[0]
        if not name.startswith("caution"):
            told[columns[name].label_da if name in columns else words(name)[0]] = text
    return told


# Small pieces of HTML the templates share: both languages side by side, numbers that change with the language.


# Marks that turn or hide the text around them; shown as a visible sign instead of being obeyed.
HIDDEN_MARKS = dict.fromkeys(
    [*range(0x00, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0x061C, *range(0x200B, 0x2010), *range(0x202A, 0x202F),
     *range(0x2060, 0x206A), 0xFEFF], "\N{REPLACEMENT CHARACTER}",
)  # fmt: skip


def clean(text: Any) -> str:
    """Return text with direction marks, zero-width and control characters made visible."""
    return str(text).translate(HIDDEN_MARKS)


@lru_cache(maxsize=100_000, typed=True)  # typed: a text is never taken for markup that reads the same
def t(danish: Any, english: Any) -> Markup:
    """Return a text in both languages, of which the page shows one; one element when they are the same."""
    da, en = (text if isinstance(text, Markup) else escape(clean(text)) for text in (danish, english))
    if da == en:
        return Markup(da)
    return Markup('<span class="da" lang="da">{}</span><span class="en" lang="en">{}</span>').format(da, en)


LONG_WORDS = re.compile(
    r"(?i)(beskæftigelses|arbejdsmarkeds|sammenlignings|familie|udlændinge|fuldstændig|virksomheds|uddannelses|offentlig)"
    r"(?=[a-zæøå]{3})"
)


def soft(text: str) -> str:
    """Return Danish text whose long compounds may be parted at their joint; a heading of a narrow column needs it."""
    return LONG_WORDS.sub("\\1\u00ad", text)


def w(pair: Words) -> Markup:
    """Return a pair of words in both languages."""
    return t(*pair)


def official(municipality: Mapping[str, Any]) -> Markup:
    """Return the official name of a row of mart.municipality, as it stands in a sentence."""
    return officials([municipality])


def officials(municipalities: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the official names of several rows of mart.municipality, as they stand in a sentence."""
    danish = [official_name(str(row["municipality_name"]), "da") for row in municipalities]
    english = [official_name(str(row["municipality_name_en"]), "en") for row in municipalities]
    return t(listed(danish, "da"), listed(english, "en"))


def pdf_link(code: str) -> Markup:
    """Return the link from a profile to its PDF."""
    return Markup('<a class="button quiet" href="{}.pdf">{}</a>').format(code, t("Hent som PDF", "PDF in Danish"))


def code(value: Any) -> Markup:
    """Return what a code is called, in both languages."""
    return t(*words(value))


def n(value: float, decimals: int = 0) -> Markup:
    """Return a number in Danish form that the page rewrites when the language changes; it holds the digits shown."""
    figure = rounded(value, decimals)
    return Markup(f'<data value="{figure}" data-d="{decimals:d}">{escape(number(figure, decimals, "da"))}</data>')


def delta(value: float, decimals: int) -> Markup:
    """Return a difference with its sign."""
    figure = rounded(value, decimals)
    text = escape(signed(figure, decimals, "da"))
    return Markup(f'<data value="{figure}" data-d="{decimals:d}" data-s="1">{text}</data>')


def day(value: date | datetime | None) -> Markup:
    """Return a date that the page rewrites when the language changes."""
    if value is None:
        return Markup("–")
    plain = value.date() if isinstance(value, datetime) else value
    return Markup('<time datetime="{}">{}</time>').format(plain.isoformat(), date_text(plain, "da"))


def day_of(text: str | None) -> Markup:
    """Return the Danish day of a moment told as text in UTC."""
    return day(datetime.fromisoformat(text).astimezone(COPENHAGEN)) if text else Markup("–")


def period(text: str) -> Markup:
    """Return a publisher's period in words."""
    return t(*period_text(text))


def level_unit(unit: str | None) -> Markup:
    """Return the word that stands after a level."""
    return t(*unit_of(unit).level)


def difference_unit(unit: str | None) -> Markup:
    """Return the word that stands after a difference: percentage points, never per cent, between shares."""
    return t(*unit_of(unit).difference)


@lru_cache(maxsize=100)
def status(name: str) -> Markup:
    """Return why there is no figure, as a word: never a nought, never an empty cell."""
    return Markup('<span class="status status-{}">{}</span>').format(name, t(*STATUSES.get(name, words(name))))


def shown(cell: Cell | None, unit: str | None) -> Markup:
    """Return a cell's figure, or its status; provisional and estimated figures say so."""
    if cell is None or cell.value is None:
        return status("missing" if cell is None or cell.status in ("observed", "zero") else cell.status)
    figure = n(cell.value, unit_of(unit).decimals)
    return figure + Markup(" ") + status(cell.status) if cell.status in MARKED else figure


def definition(indicator: Mapping[str, Any], root: str, *, parted: bool = False) -> Markup:
    """Return an indicator's label as a link to its definition; the page shows the definition beside it on focus.

    `parted`: its long words may be parted, for a narrow place.
    """
    label = soft(indicator["label_da"]) if parted else indicator["label_da"]
    return _definition(indicator["indicator_id"], label, indicator["label_en"], root)


@lru_cache(maxsize=10_000)
def _definition(indicator_id: str, label_da: str, label_en: str, root: str) -> Markup:
    return Markup('<a class="def" href="{}metode.html#{}" data-i="{}">{}</a>').format(
        root, indicator_id, indicator_id, t(label_da, label_en)
    )


def broken_line(points: Iterable[tuple[float, float] | None]) -> str:
    """Return the SVG path of a line through the points, which breaks where one is not known."""
    path, pen = "", "M"
    for point in points:
        path += f"{pen}{point[0]:.1f},{point[1]:.1f}" if point else ""
        pen = "L" if point else "M"
    return path


SPARK = 84, 22
"""Width and height of a small line, in pixels."""


def spark(values: list[float | None]) -> Markup:
    """Return a small line of the years, for the eye only (the figures are in the table of all indicators)."""
    known = [v for v in values if v is not None]
    if len(known) < 3:
        return Markup("")
    width, height = SPARK
    low, spread = min(known), (max(known) - min(known)) or 1.0
    step = (width - 6) / (len(values) - 1)
    path = broken_line(
        None if value is None else (3 + place * step, height - 3 - (value - low) / spread * (height - 6))
        for place, value in enumerate(values)
    )
    end = re.split("[ML]", path)[-1].split(",")
    return Markup(
        '<svg class="spark" width="{0}" height="{1}" viewBox="0 0 {0} {1}" aria-hidden="true" focusable="false">'
        '<path d="{2}"/><circle cx="{3}" cy="{4}" r="2.2"/></svg>'
    ).format(width, height, path, *end)


HELPERS = {
    helper.__name__: helper
    for helper in (
        t, w, code, n, delta, day, day_of, period, level_unit, difference_unit, status, shown, definition, spark,
        unit_of, clean, soft, official, officials,
    )
}  # fmt: skip
