"""What a hand-in says about whose it is and until when it tells; every sign is held against its rows, and told.

A guess from a name never moves what everybody is judged by: a period that the rows contradict is not taken, and a
number is a municipality's code only when nothing else speaks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from flows.deliveries.contract import Refusal, Remark, remark_of
from flows.deliveries.files import Block
from flows.deliveries.keys import mask
from flows.deliveries.receipts import DeliveryOutcome
from flows.deliveries.values import (
    MONTHS,
    clean,
    parse_date,
    parse_municipality,
    parse_stated_period,
    quarter_of,
    read_by,
)
from transforms.areas import areas
from transforms.periods import span


@dataclass(frozen=True)
class NamedMunicipality:
    """The municipality a file's name or folder speaks of; `is_number` when only a number says so."""

    code: str
    is_number: bool
    told_by: str


def municipality_in(hint: str) -> NamedMunicipality | None:
    """Return the one municipality that a file's name, or else the folder it lies in, speaks of; None when several do.

    A name wins over a number. A number counts when it is written as a code is (0840, «kommune 840») or stands last or
    before another number: «461 borgere» is a number of citizens.
    """
    parts = [part for part in hint.split("/") if part]
    for part in reversed(parts[-3:]):
        names, numbers = _municipalities_in(_stem(part))
        for found, is_number in ((names, False), (numbers, True)):
            if len(found) == 1:
                return NamedMunicipality(found.pop(), is_number, mask(part))
            if found:
                return None
    return None


def _stem(hint: str) -> str:
    """Return a file's name without its folder and its endings."""
    return re.sub(r"(\.[A-Za-z]{2,4}){1,2}$", "", hint.rsplit("/", 1)[-1])


def _municipalities_in(stem: str) -> tuple[set[str], set[str]]:
    """Return the codes of the municipalities a text names, and of those it gives by number."""
    tokens = [token for token in re.split(r"[\s_.,()\[\]+]+", stem) if token]
    tokens = [part for token in tokens for part in ([token] if _code_of(token) else token.split("-")) if part]
    spoken = [*tokens, *(" ".join(pair) for pair in pairwise(tokens))]
    names = {code for text in spoken if not re.search(r"\d", text) and (code := _code_of(text))}
    numbers = set()
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        as_code = token.startswith("0") or before.casefold() in ("kommune", "kom", "kommunekode", "kommunenr")
        is_number = re.fullmatch(r"0?\d{3}", token) and (as_code or not re.match(r"[^\W\d]", after))
        if is_number and (code := _code_of(token)):
            numbers.add(code)
    return names, numbers


def _code_of(text: str) -> str | None:
    return read_by(parse_municipality, clean(text))


@dataclass(frozen=True)
class NamedPeriod:
    """A period a file's name may speak of, or the day it was extracted; not yet held against the rows."""

    period: str
    text: str
    is_day: bool = False


def periods_in(hint: str) -> list[NamedPeriod]:
    """Return what a file's name may say about its period, the plainest sign first: a quarter, a day, a year.

    Two different years in one name say nothing about the period.
    """
    stem = _stem(hint)
    patterns = (
        (r"(?<!\d)\d{4}[-_ ]?[kKqQ][1-4](?!\d)", False),
        (r"(?<![A-Za-z\d])[kKqQ][1-4][-_ ]?(?:19|20)\d\d(?!\d)", False),
        (r"(?<!\d)[1-4]\.?[-_ ]?(?:kvartal|kvt)\.?[-_ ]?(?:19|20)\d\d(?!\d)", False),
        (r"(?<!\d)(?:19|20)\d\d[-._]\d\d[-._]\d\d(?!\d)", True),
        (r"(?<!\d)\d\d[-._]\d\d[-._](?:19|20)\d\d(?!\d)", True),
        (r"(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)", True),
    )
    for pattern, is_day in patterns:
        texts = [text.replace("_", "-" if is_day else " ") for text in re.findall(pattern, stem)]
        read = [(read_by(parse_stated_period, text), text) for text in texts]
        if found := [NamedPeriod(period, text, is_day) for period, text in read if period]:
            return found
    if found := _months_in(stem):
        return found
    years = years_in(hint)
    return [NamedPeriod(years[0], years[0])] if len(years) == 1 else []


def _months_in(stem: str) -> list[NamedPeriod]:
    """Return the quarters of the months, weeks and half-years in a name: «feb 2016», «uge 8 2016», «1. halvår 2016»."""
    patterns: tuple[tuple[str, Callable[[str, str], int]], ...] = (
        (r"(?<![a-zæøå])([a-zæøå]{3,9})\.?[-_ ]?((?:19|20)\d\d)(?!\d)", lambda name, _: MONTHS.get(name.casefold(), 0)),
        (r"(?<!\d)([12])\.?[-_ ]?halvår[-_ ]?((?:19|20)\d\d)(?!\d)", lambda half, _: 6 * int(half)),
        (r"uge[-_ ]?(\d\d?)[-_ ]?((?:19|20)\d\d)(?!\d)", _month_of_week),
        (r"(?<![-./\d])(0[1-9]|1[0-2])[-._]?((?:19|20)\d\d)(?!\d)", lambda month, _: int(month)),
    )
    swapped = re.sub(r"(?<![-./\d])((?:19|20)\d\d)[-._]?(0[1-9]|1[0-2])(?![-./]?\d)", r"\2-\1", stem)
    for pattern, month_of in patterns:
        matches = re.finditer(pattern, swapped, re.IGNORECASE)
        found = [
            NamedPeriod(quarter_of(date(int(match[2]), month, 1)), match[0].strip("-_ ."))
            for match in matches
            if (month := month_of(match[1], match[2]))
        ]
        if found:
            return found[-1:]
    return []


def _month_of_week(week: str, year: str) -> int:
    try:
        return date.fromisocalendar(int(year), int(week), 4).month
    except ValueError:
        return 0


def years_in(hint: str) -> list[str]:
    """Return the different years in a file's name, ascending."""
    return sorted(set(re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", _stem(hint))))


CORRECTION_WORDS = re.compile(
    r"rettet|rettelse|korrig|korrektion|genfremsend|gensend|erstat|opdater|correct|\bny version\b", re.IGNORECASE
)


def is_correction(hint: str) -> bool:
    """Tell whether a file's name says that it corrects an earlier one."""
    return CORRECTION_WORDS.search(hint.rsplit("/", 1)[-1].replace("_", " ")) is not None


@dataclass(frozen=True)
class Claims:
    """What a table says about itself: the municipalities and periods in its first rows, and in its name."""

    municipalities: Counter[str]
    periods: Counter[str]
    named_municipality: NamedMunicipality | None
    named_periods: tuple[NamedPeriod, ...]
    named_years: tuple[str, ...] = ()
    is_empty: bool = False
    is_misshapen: bool = False

    @property
    def stated_period(self) -> str | None:
        """Return the period most of the rows name, or None."""
        return self.periods.most_common(1)[0][0] if self.periods else None

    @property
    def sign(self) -> str | None:
        """Return the period by which tables of one hand-in belong together; None goes with any."""
        plain = [named.period for named in self.named_periods if not named.is_day]
        return self.stated_period or (plain[0] if plain else None)


def claims_of(hint: str, first: Block | None) -> Claims:
    """Return what a table says about its municipality and period: in its first rows and in its name."""
    return Claims(
        _values(first, "municipality", parse_municipality),
        _values(first, "period", parse_stated_period),
        municipality_in(hint),
        tuple(periods_in(hint)),
        tuple(years_in(hint)),
        first is None or len(first.rows) + len(first.misshapen) == 0,
        first is not None and bool(first.misshapen) and len(first.rows) == 0,
    )


def _values(block: Block | None, name: str, parse: Callable[[str], str]) -> Counter[str]:
    """Return how often each readable value of a column stands in a block."""
    found: Counter[str] = Counter()
    if block is None or name not in block.columns:
        return found
    for pair in block.columns[name].value_counts().to_pylist():
        if value := read_by(parse, clean(pair["values"])):
            found[value] += pair["counts"]
    return found


def settle_municipality(outcome: DeliveryOutcome, given: str | None, claims: Sequence[Claims]) -> None:
    """Settle whose delivery it is: what was given, else what most rows say, else the name; what is assumed is told.

    A number in a name counts only when there is no other sign.
    """
    counted: Counter[str] = sum((one.municipalities for one in claims), Counter())
    named = next((one.named_municipality for one in claims if one.named_municipality), None)
    if given is not None:
        code = given
    elif counted:
        code = counted.most_common(1)[0][0]
        if named is not None and not named.is_number and named.code != code:
            outcome.remark(
                "rows_of_another_municipality", named=areas()[named.code].name_da, told=areas()[code].name_da
            )
    elif named is not None:
        code = named.code
        name, municipality = named.told_by, areas()[code].name_da
        if named.is_number:
            outcome.remark("municipality_by_number", municipality=municipality, name=name, code=code)
        else:
            outcome.remark("municipality_by_name", municipality=municipality)
    else:
        raise Refusal("every_row_misshapen" if all(one.is_misshapen for one in claims) else "no_municipality")
    outcome.municipality = code


# Up to this long after the end of a period measures and jobs planned in it may begin, and answers about it be given.
LATER = timedelta(days=92)
# A period that begins later than this after the newest row is asked about.
QUIET = timedelta(days=366)


def settle_period(outcome: DeliveryOutcome, given: str | None, claims: Sequence[Claims], newest: date | None) -> None:
    """Settle which period a delivery tells until, holding every sign against its rows and the day of receipt.

    What the sender gave or the rows state is refused when it cannot be right. What a name says is then left aside, and
    the newest date in the rows counts. Nothing is taken from a name without a remark.
    """
    stated = outcome.stated_period
    if stated is not None:
        why = _contradiction(stated, newest, outcome)
        if why is not None:
            raise Refusal("wrong_period", period=stated, why=why)
        outcome.period, outcome.period_source = stated, "stated"
        if given is not None:
            outcome.remark("period_of_the_sender", period=stated)
    named = [period for one in claims for period in one.named_periods]
    years = sorted({year for one in claims if not one.named_periods for year in one.named_years})
    left_aside: list[tuple[NamedPeriod, Remark]] = []
    for one in named if stated is None else ():
        period = _of_extraction(one, newest) if one.is_day else one.period
        why = _contradiction(period, newest, outcome)
        if why is not None:
            left_aside.append((one, why))
            continue
        outcome.period, outcome.period_source = period, "day" if one.is_day else "name"
        outcome.remark("period_by_name", period=period, text=mask(one.text))
        break
    if outcome.period is None and newest is not None:
        outcome.period, outcome.period_source = quarter_of(newest), "rows"
        if outcome.contract.field(outcome.contract.period_field).aspect != "about":
            outcome.remark("period_by_rows", period=outcome.period)
    if stated is None and len(years) > 1:
        outcome.remark("several_years", years=", ".join(years))
    for one, why in left_aside:
        outcome.remark("name_left_aside", text=mask(one.text), why=why)
    if outcome.period and newest and span(outcome.period)[0] - newest > QUIET:
        outcome.remark("quiet_before_period", newest=newest, period=outcome.period)


def _contradiction(period: str, newest: date | None, outcome: DeliveryOutcome) -> Remark | None:
    """Return why a period cannot be that of a delivery, or None."""
    start, end = span(period)
    if start > outcome.moment.date():
        return remark_of("in_the_future")
    later = timedelta() if outcome.contract.table == "case" else LATER
    if newest is not None and newest > end + later:
        return remark_of("before_its_rows", newest=newest)
    return None


def _of_extraction(named: NamedPeriod, newest: date | None) -> str:
    """Return the period of an extract made on a day: the last whole quarter, or the running one when rows are newer."""
    day = parse_date(named.text.replace("_", "-"))
    start, end = span(quarter_of(day))
    before = quarter_of(start - timedelta(days=1))
    if day == end or (newest is not None and newest > span(before)[1]):
        return quarter_of(day)
    return before
