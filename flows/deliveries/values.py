"""Texts of a delivery turned into values: dates, numbers, codes, in every form municipalities write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from typing import Any, TypeVar

from flows.deliveries.contract import CELL_RULES
from flows.deliveries.keys import looks_like_cpr, visible
from transforms.areas import DASHES, area_code, areas, areas_at, reference_rows
from transforms.catalogue import DeliveryField, fold_spelling
from transforms.periods import COPENHAGEN

MISSING = frozenset(
    {
        "", "-", "--", "---", ".", "..", "...", "/", "?", "null", "<null>", "(null)", "[null]", "nil", "none", "nan",
        "nat", "<na>", "n/a", "na", "\\n", "(tom)", "tom", "(blank)", "(empty)",
    }
)  # fmt: skip
MISSING_VALUE = frozenset({"uoplyst", "ukendt", "ikke oplyst", "ingen"})
# Words that stand for «not ended» in an end date.
OPEN_WORDS = frozenset(
    {"d.d.", "d.d", "dd", "dags dato", "åben", "åbent", "fortsat", "stadig", "løbende", "igangværende", "aktiv", "open",
     "ongoing", "current", "ingen slutdato", "ikke angivet", "ikke afsluttet", "ikke ophørt", "uendelig", "infinity"}
)  # fmt: skip
# What spreadsheets write for a value they cannot work out, in Danish and English; #### is a column too narrow.
_ERROR = re.compile(
    r"#(#+|(N/A|I/T|REF|REFERENCE|VALUE|VÆRDI|DIV/0|DIVISION/0|NAME|NAVN|NUM|NULL|NUL|SPILL|OVERLØB|CALC|BEREGN|FIELD|"
    r"FELT|BLOCKED|BLOKERET|CONNECT|GETTING_DATA|UNKNOWN|UKENDT|BUSY)[!?]?)|Err:\d{3}",
    re.IGNORECASE,
)
EXCEL_EPOCH = date(1899, 12, 30)
EXCEL_DAYS = range(18_264, 73_051)  # 1950-01-01 … 2099-12-31
EXCEL_LAST_DAY = 2_958_465  # 31-12-9999
# From this year on a date is the system's way of saying «open»: 31-12-9999, 31-12-2999, 31-12-2099.
OPEN_YEAR = 2099
# What systems write for «no date».
NO_DATES = frozenset({(1, 1, 1), (1753, 1, 1), (1899, 12, 30), (1899, 12, 31), (1900, 1, 1)})
# Two-digit years: 00-49 are 2000-2049, 50-99 are 1950-1999. Permits and jobs, never birth dates, are written so.
PIVOT_YEAR = 50
MONTH_NAMES = (
    ("januar", "january"), ("februar", "february"), ("marts", "march"), ("april",), ("maj", "may"), ("juni", "june"),
    ("juli", "july"), ("august",), ("september",), ("oktober", "october"), ("november",), ("december",),
)  # fmt: skip
MONTHS = {
    name[:length]: number
    for number, names in enumerate(MONTH_NAMES, start=1)
    for name in names
    for length in (3, 4, len(name))
}
TRUE = frozenset({"ja", "j", "1", "true", "sand", "x", "yes", "y"})
FALSE = frozenset({"nej", "n", "0", "false", "falsk", "no"})
# What a unit behind a number says, and the ending of the fields it belongs to.
UNITS = {
    "%": "_pct", "pct": "_pct", "procent": "_pct", "kr": "_dkk", "dkk": "_dkk", "timer": "_hours", "time": "_hours",
    "t": "_hours", "dage": "_days", "dag": "_days", "stk": "_count", "år": "_years", "årsværk": "_fte",
}  # fmt: skip

_WEEKDAY = re.compile(
    r"^((man|tirs|ons|tors|fre|lør|søn)(dag)?|(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?)\.?,?\s+"
)
# The forms of a date: year, month (by number or by name) and day.
_DATES = (
    re.compile(r"(?P<y>\d{4})\s*[-./]\s*(?P<m>\d{1,2})\s*[-./]\s*(?P<d>\d{1,2})\.?"),
    re.compile(r"(?P<d>\d{1,2})\s*[-./ ]\s*(?P<m>\d{1,2})\s*[-./ ]\s*(?P<y>\d{4}|\d{2})\.?"),
    re.compile(r"(?:den\s+)?(?P<d>\d{1,2})(?:st|nd|rd|th)?[\s./-]*(?P<m>[a-zæøå]{3,9})[\s./,'-]*(?P<y>\d{4}|\d{2})"),
    re.compile(r"(?P<m>[a-zæøå]{3,9})\.?\s+(?P<d>\d{1,2})(?:st|nd|rd|th)?\.?,?\s+(?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})[-./ ](?P<m>[a-zæøå]{3,9})[-./ ](?P<d>\d{1,2})"),
    re.compile(r"(?P<y>(?:19|20|99)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>\d\d)"),
    re.compile(r"(?P<d>\d\d)(?P<m>\d\d)(?P<y>(?:19|20|99)\d\d)"),
)
_TIME = re.compile(
    r"(?:(?:,|t|kl\.?|\s|(?<=\d{4}):|(?<=[-./]\d\d)-)\s*)+(?P<hour>\d{1,2})[:.](?P<minute>\d{2})"
    r"(?:[:.](?P<second>\d{2})(?:[.,:]\d+)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>z|(?:utc|gmt)?\s*[+-]\d{2}(?::?\d{2})?|utc|gmt)?"
    r"\s*(?:(?:cet|cest|\[?europe/[a-z]+\]?|\([^)]*\)))?"
)
_COMPACT_TIME = re.compile(
    r"(?P<day>\d{8})[t ]?(?P<hour>\d{2})(?P<minute>\d{2})(\d{2})?(?:[.,]\d+)?(?P<zone>z|[+-]\d{2}:?\d{2})?"
)
_OPEN_DIGITS = re.compile(r"9[9\-./ ]{4,8}9")
_NO_DIGITS = re.compile(r"0|0[0\-./ ]{4,8}0")
_NUMBER = re.compile(
    r"[-+]?([1-9]\d{0,2}(\.\d{3})+|[1-9]\d{0,2}( \d{3})+|\d+)(,\d+)?|[-+]?\d+\.\d{1,2}|[-+]?\d+\.\d{4,}|[-+]?0\.\d+"
)
_UNIT = re.compile(r"\s*(%|[a-zæøå]+)\.?$")
_PERIOD = re.compile(r"(\d{4})(?:\s*[-/ ]?\s*(?:[kqKQ]\s*([1-4])|([1-4])\.?\s*(?:kvt|kvartal)))?")
_QUARTER_FIRST = re.compile(r"(?:[kq]\s*([1-4])|([1-4])\.?\s*(?:kvt|kvartal)\.?)[\s,/-]*(\d{4})")
# A code, and perhaps its text behind: «561010», «56.10.10 Restauranter», «56.10: Restauranter».
_INDUSTRY = re.compile(r"(\d{2}(?:\.?\d{2}){0,2})(?:\.0)?(?:\s*[\s:–-]\s*[^\W\d].*)?", re.DOTALL)
# The same after a spreadsheet has taken the leading zero away.
_LOST_ZERO = re.compile(r"(\d(?:\.?\d{2}){0,2})(?:\.0)?(?:\s*[\s:–-]\s*[^\W\d].*)?", re.DOTALL)

Parsed = tuple[Any, str | None]


class Wrong(ValueError):
    """A text that is no value of its field; carries the rule's id and never the text."""


T = TypeVar("T")


def read_by(parse: Callable[[str], T], text: str) -> T | None:
    """Return what a parser reads in a text; None where it says that is wrong."""
    try:
        return parse(text)
    except Wrong:
        return None


@dataclass(frozen=True)
class Noted:
    """A value that is taken, with the id of a rule that says how it was read."""

    value: Any
    rule: str


def clean(text: str) -> str:
    """Return `text` without invisible signs, odd spaces, and the `="…"` and `'` Excel users protect zeros with."""
    plain = " ".join((text if text.isascii() and text.isprintable() else visible(text)).split())
    if plain.startswith('="') and plain.endswith('"') and len(plain) > 2:
        plain = plain[2:-1].strip()
    return plain.removeprefix("'")


def is_error(text: str) -> bool:
    """Tell whether a text is what a spreadsheet writes for a value it cannot work out."""
    return _ERROR.fullmatch(text) is not None


def rejects(rule: str | None) -> bool:
    """Tell whether a rule of one cell takes its row out."""
    return rule is not None and CELL_RULES[rule].severity == "reject"


def parser_of(field: DeliveryField) -> Callable[[str], Parsed]:
    """Return the function from a text of `field` to (value, rule): the rule is None, or one of `CELL_RULES`.

    Where that rule rejects, the value is None; else the value stands and the rule says how it was read.
    """
    parse = PARSERS[field.type]

    def run(text: str) -> Parsed:
        plain = clean(text)
        lower = plain.casefold()
        if lower in MISSING or (lower in MISSING_VALUE and field.type not in ("enum", "country", "presence")):
            return (None, "required") if field.required else (False if field.type == "presence" else None, None)
        if is_error(plain):
            return None, "error_value"
        if plain[0] in "=@" and (field.type != "presence" or plain == UNSAVED):
            return None, "formula"
        try:
            value = parse(plain, field)
        except Wrong as wrong:
            misplaced = field.type != "presence" and looks_like_cpr(plain)
            return None, "cpr_misplaced" if misplaced else str(wrong)
        return (value.value, value.rule) if isinstance(value, Noted) else (value, None)

    return run


UNSAVED = "=?"
"""What the reader of workbooks gives for a formula without a saved value."""


@lru_cache(maxsize=50_000)
def parse_date(text: str) -> date:
    """Return the date in a Danish or ISO text or an Excel serial number; Wrong otherwise.

    Takes dd-mm-yyyy, dd.mm.yy, d/m-yyyy, d/m yyyy, yyyy-mm-dd, yyyymmdd, ddmmyyyy, «1. januar 2016», 15-JAN-16,
    15JAN2016, «Jan 15, 2016», each with or without a weekday before and a time behind. A moment with an offset is the
    day it was in Denmark. The day always stands before the month: 03/13/2016 is wrong, not 13 March.
    """
    return _dated(*_civil(text))


def _dated(year: int, month: int, day: int) -> date:
    if not 1900 <= year <= 2100:
        raise Wrong("date")
    try:
        return date(year, month, day)
    except ValueError:
        raise Wrong("date") from None


def _civil(text: str) -> tuple[int, int, int]:
    """Return year, month and day of a text, whether or not there is such a day in the years we believe."""
    lower = _WEEKDAY.sub("", text.casefold().translate(DASHES)).strip()
    found = _day(lower)
    if found is not None:
        return found
    behind = (one for one in _TIME.finditer(lower) if one.end() == len(lower))
    match = _COMPACT_TIME.fullmatch(lower) or next(behind, None)
    told = match.groupdict() if match else {}
    found = _day(told.get("day") or lower[: match.start()].rstrip(" ,")) if match else None
    if found is None:
        raise Wrong("date")
    hour, minute, half, zone = int(told["hour"]), int(told["minute"]), told.get("half"), told["zone"]
    if hour > 24 or minute > 59:
        raise Wrong("date")
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    if zone is None or found[0] >= OPEN_YEAR or found in NO_DATES:
        return found
    day = _dated(*found)
    moment = datetime(day.year, day.month, day.day, tzinfo=_offset(zone)) + timedelta(hours=hour, minutes=minute)
    local = moment.astimezone(COPENHAGEN)
    return local.year, local.month, local.day


def _offset(zone: str) -> tzinfo:
    match = re.search(r"([+-])(\d{2}):?(\d{2})?", zone)
    if match is None:
        return UTC
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    if minutes > 14 * 60:
        raise Wrong("date")
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def _day(lower: str) -> tuple[int, int, int] | None:
    """Return (year, month, day) of a text without a time; None when it has no form of a date."""
    for form in _DATES:
        if match := form.fullmatch(lower):
            month = MONTHS.get(match["m"]) if match["m"].isalpha() else int(match["m"])
            if month is not None:
                return _year(match["y"]), month, int(match["d"])
    if re.fullmatch(r"\d{5}([.,]\d+)?", lower) and int(lower[:5]) in EXCEL_DAYS:
        day = EXCEL_EPOCH + timedelta(days=int(lower[:5]))
        return day.year, day.month, day.day
    if re.fullmatch(rf"{EXCEL_LAST_DAY}([.,]\d+)?", lower):
        return 9999, 12, 31
    return None


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else int(text) + (2000 if int(text) < PIVOT_YEAR else 1900)


def _date_or_open(text: str, field: DeliveryField) -> date | Noted | None:
    """Return a date; in a field that may be empty also None for the signs of «none yet»."""
    if field.required:
        return parse_date(text)
    if _NO_DIGITS.fullmatch(text):
        return None
    if _OPEN_DIGITS.fullmatch(text) or (field.name == "end_date" and text.casefold() in OPEN_WORDS):
        return Noted(None, "open_end")
    found = _civil(text)
    is_far = found[0] >= OPEN_YEAR and (1 <= found[1] <= 12 or 1 <= found[2] <= 12) and max(found[1:]) <= 31
    return Noted(None, "open_end") if is_far or found in NO_DATES else _dated(*found)


def parse_number(text: str, unit: str = "") -> float:
    """Return the number in a Danish text: decimal comma, dot or space for thousands; Wrong otherwise.

    `20.5` (one, two or more than three digits behind one dot) is read with a decimal point; `1.229` is 1229. A unit
    behind is taken when it is that of a field ending in `unit` (`_pct`, `_dkk`, `_hours` …), or any when that is empty.
    """
    plain = text.casefold()
    if (match := _UNIT.search(plain)) and match[1] in UNITS:
        if unit and UNITS[match[1]] != unit:
            raise Wrong("unit")
        plain = plain[: match.start()]
    plain = plain.strip()
    number = _NUMBER.fullmatch(plain)
    if number is None or len(plain) > 20:
        raise Wrong("number")
    if number[1] is not None:
        plain = plain.replace(".", "").replace(" ", "").replace(",", ".")
    return float(plain)


def parse_stated_period(text: str) -> str:
    """Return `2016` or `2016K1` from a year, a quarter in any usual form, or a date (its quarter)."""
    lower = text.casefold()
    if (match := _QUARTER_FIRST.fullmatch(lower)) and 1900 <= int(match[3]) <= 2100:
        return f"{match[3]}K{match[1] or match[2]}"
    if (match := _PERIOD.fullmatch(lower)) and 1900 <= int(match[1]) <= 2100:
        quarter = match[2] or match[3]
        return f"{match[1]}K{quarter}" if quarter else match[1]
    return quarter_of(parse_date(text))


def quarter_of(day: date) -> str:
    """Return the quarter a date lies in, as `2016K1`."""
    return f"{day.year}K{(day.month + 2) // 3}"


@cache
def industry_classes() -> frozenset[str]:
    """Return the 615 four-digit classes of NACE rev. 2, which are those of DB07 (Statistics Denmark, DB07 v3:2014)."""
    rows = reference_rows("db07_classes.csv")
    return frozenset(row["division"] + last for row in rows for last in row["classes"].split())


@cache
def divisions() -> frozenset[str]:
    """Return the two-digit divisions of DB07."""
    return frozenset(code[:2] for code in industry_classes())


def parse_industry(text: str) -> str:
    """Return a DB07 code of two or six digits from one of two, four or six digits, with or without dots; else Wrong.

    A text may stand behind it, and a leading zero that a spreadsheet took away is put back where only one code of the
    list can have been meant. Anything else is no code, however it begins: no part of a text is taken for it.
    """
    match = _INDUSTRY.fullmatch(text)
    digits = match[1].replace(".", "") if match else ""
    if not match and (lost := _LOST_ZERO.fullmatch(text)):
        digits = "0" + lost[1].replace(".", "")
    if len(digits) == 4:
        digits += "00"
    if digits not in divisions() and not (len(digits) == 6 and digits[:4] in industry_classes()):
        raise Wrong("industry")
    return digits


def suggested_industry(text: str) -> str | None:
    """Return the code a faulty text most likely stands for, dotted, or None. For a message only, never for a value."""
    digits = re.findall(r"\d+", text)
    joined = "".join(digits)
    guesses = [joined[:4]] if re.fullmatch(r"\d{1,2}[,;: ]\d{2}|\d{4,5}", text) else []
    if len(digits) == 3 and len(digits[0]) == 4:  # a date: day and month, or month and year
        year, month, day = digits
        guesses = [day.zfill(2) + month.zfill(2)] if day != "01" else [month.zfill(2) + year[2:], "01" + month.zfill(2)]
    guess = next((one for one in guesses if one in industry_classes()), None)
    return f"{guess[:2]}.{guess[2:]}" if guess else None


def _industries(text: str, field: DeliveryField) -> list[str]:
    """Return the codes of a list; one comma between two short numbers could be either, and is a fault."""
    found: list[str] = []
    for part in re.split(r"[;/\n]|,\s+|\s+og\s+", text):
        codes = part.split(",")
        if len(codes) > 1 and any(len(code.strip()) < 4 for code in codes):
            raise Wrong("industry")
        found += [parse_industry(code.strip()) for code in codes if code.strip()]
    return found


def parse_municipality(text: str) -> str:
    """Return the three-digit code of one of the 98 municipalities; Wrong for every other area and text.

    Name and code may stand together («840 Rebild», «Rebild Kommune (840)») when they agree.
    """
    plain = re.sub(r"\.0+$", "", text)
    code = area_code(plain.zfill(3)) or _municipality_named(plain)
    if code is None and (match := re.fullmatch(r"0?(\d{3})\s*[-:,/ ]+\s*(\D+)|(\D+?)[\s,(\[-]*0?(\d{3})[)\]]?", plain)):
        told, name = match[1] or match[4], match[2] or match[3]
        code = told if _municipality_named(name) == told else None
    if code is None or code not in areas() or areas()[code].level != "municipality":
        raise Wrong("municipality")
    return code


def _municipality_named(text: str) -> str | None:
    """Return the code of a municipality by name: with «Kommune», «Jobcenter», a genitive s or ae/oe/aa for æ/ø/å."""
    words = re.sub(r"\b(kommunen?s?|regionskommune|jobcenter|jobcentret)\b|[:,]", " ", text.casefold())
    name = fold_spelling(words)
    names = _municipality_names()
    return (
        names.get(fold_spelling(text))
        or names.get(name)
        or names.get(name.removesuffix("s"))
        or area_code(words.strip())
    )


@cache
def _municipality_names() -> dict[str, str]:
    found = areas_at(["municipality"])
    return {fold_spelling(name): area.code for area in found for name in (area.name_da, area.name_en) if name}


@cache
def countries() -> dict[str, str]:
    """Return folded country name or code -> ISO 3166-1 alpha-3 code (XXA stateless, XXX not stated)."""
    return {
        fold_spelling(name): row["code"]
        for row in reference_rows("origin_countries.csv")
        for name in (row["code"], row["name_da"], row["name_en"], *row["variants"].split("|"))
        if name
    }


def _ranged(value: float, field: DeliveryField) -> float:
    if (field.minimum is not None and value < field.minimum) or (field.maximum is not None and value > field.maximum):
        raise Wrong("range")
    return value


def _number(text: str, field: DeliveryField) -> float:
    """Return a number with the unit of its field."""
    ending = "_" + field.name.removesuffix("_median").rsplit("_", 1)[-1]
    return parse_number(text, ending)


def _decimal(text: str, field: DeliveryField) -> float | Noted:
    value = round(_ranged(_number(text, field), field), 2)
    if field.name.endswith("_pct") and 0 < value < 1 and "%" not in text:
        return Noted(value, "share_below_one")
    return value


def _integer(text: str, field: DeliveryField) -> int:
    value = _number(text, field)
    if value != int(value):
        raise Wrong("whole_number")
    return int(_ranged(value, field))


def _boolean(text: str, field: DeliveryField) -> bool:
    key = fold_spelling(text.removesuffix(".0"))
    if key not in TRUE | FALSE:
        raise Wrong("boolean")
    return key in TRUE


def _lookup(known: dict[str, str], text: str) -> str:
    code = known.get(fold_spelling(text)) or known.get(fold_spelling(text.removesuffix(".0")))
    if code is None:
        raise Wrong("unknown_value")
    return code


def _municipalities(text: str, field: DeliveryField) -> list[str]:
    return [parse_municipality(part.strip()) for part in re.split(r"[,;/\n]|\s+og\s+", text) if part.strip()]


PARSERS: dict[str, Callable[[str, DeliveryField], Any]] = {
    "date": _date_or_open,
    "decimal": _decimal,
    "integer": _integer,
    "boolean": _boolean,
    "enum": lambda text, field: _lookup(field.known, text),
    "country": lambda text, field: _lookup(countries(), text),
    "industry": lambda text, field: parse_industry(text),
    "industries": _industries,
    "municipality": lambda text, field: parse_municipality(text),
    "municipalities": _municipalities,
    "period": lambda text, field: parse_stated_period(text),
    "presence": lambda text, field: True,
}
