"""Municipal deliveries of the sample world: what each municipality would send, in its own handwriting."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.deliveries.contract import load_contracts
from flows.deliveries.keys import birth_date, is_modulus11, sex_code
from flows.deliveries.values import MONTH_NAMES, countries, industry_classes, quarter_of
from flows.sample.truth import INVENTED, MEASURES
from flows.store.exports import SYNTHETIC
from transforms.areas import areas, reference_rows
from transforms.catalogue import KINDS, DeliveryField

if TYPE_CHECKING:
    import pandas as pd

    from flows.sample.world import World


# How municipalities write the same thing: encodings, delimiters, headings, dates, and the usual mistakes.


FAULTY_SHARE = 1 / 70
DATES: tuple[Callable[[date], str], ...] = (
    lambda day: f"{day:%d-%m-%Y}",
    lambda day: f"{day:%d.%m.%y}",
    lambda day: f"{day.day}/{day.month}-{day.year}",
    lambda day: day.isoformat(),
    lambda day: f"{day.day}. {MONTH_NAMES[day.month - 1][0]} {day.year}",
)
WRITTEN: dict[str, Any] = INVENTED["deliveries"]
MISTAKES: dict[str, list[str]] = WRITTEN["mistakes"]
MOST_WORKBOOK_LINES = 120
"""Longer tables come as CSV: writing large workbooks would be most of the time of the sample run."""


@dataclass(frozen=True)
class Hand:
    """One municipality's way of writing one kind of delivery; the same seed writes the same way every time."""

    seed: int
    code: str
    kind: str
    dirt: bool

    @cached_property
    def rng(self) -> random.Random:
        """Where the choices come from."""
        return random.Random(f"{self.seed}:{self.code}:{self.kind}")

    @cached_property
    def style(self) -> dict[str, Any]:
        """The choices that hold for the whole file."""
        rng = random.Random(f"{self.seed}:{self.code}")
        return {
            "form": rng.choice(WRITTEN["forms"]),
            "encoding": rng.choice(WRITTEN["encodings"]),
            "delimiter": rng.choice(WRITTEN["delimiters"]),
            "date": rng.choice(DATES),
            "hyphen": rng.random() < 0.6,
            "lost_zero": rng.random() < 0.15,
            "title": rng.random() < 0.3,
            "variants": rng.random() < 0.5,
        }


Rows = list[list[Any]]
NOTE = f"{SYNTHETIC}: alle personer og CPR-lignende numre er opdigtede"


@dataclass(frozen=True)
class Written:
    """One file written: rows under the heading, and how many of them a receiver must reject."""

    path: Path
    municipality_code: str
    kind: str
    rows: int
    faulty: int


def write_table(folder: Path, stem: str, names: list[str], rows: Rows, hand: Hand) -> Written:
    """Write one table."""
    fields = [load_contracts()[hand.kind].field(name) for name in names]
    headings = [_heading(field, hand) for field in fields]
    texts = [[_text(value, field, hand) for value, field in zip(row, fields, strict=True)] for row in rows]
    faulty = _dirty(texts, names, hand) if hand.dirt else 0
    head = [[NOTE], []] if hand.style["title"] else []
    lines = [*head, headings, *texts]
    form = hand.style["form"]
    if form == "xlsx" and len(lines) > MOST_WORKBOOK_LINES:
        form = "csv"
    if form == "xlsx":
        path = folder / f"{stem}.xlsx"
        path.write_bytes(_workbook(lines))
    else:
        text = io.StringIO()
        padded = ([*line, *[""] * (len(headings) - len(line))] for line in lines)
        csv.writer(text, delimiter=hand.style["delimiter"]).writerows(padded)
        data = text.getvalue().encode(hand.style["encoding"], "replace")
        path = folder / f"{stem}.{form}"
        path.write_bytes(data if form == "csv" else _zipped(f"{stem}.csv", data))
    return Written(path, hand.code, hand.kind, sum(any(row) for row in texts), faulty)


def _heading(field: DeliveryField, hand: Hand) -> str:
    return hand.rng.choice([field.label_da, *field.headings]) if hand.style["variants"] else field.label_da


def _text(value: Any, field: DeliveryField, hand: Hand) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Ja" if value else "Nej"
    if isinstance(value, date):
        return str(hand.style["date"](value))
    if isinstance(value, float):
        return f"{value:g}".replace(".", ",")
    if field.type == "cpr":
        return _cpr(str(value), hand)
    if field.type == "enum":
        allowed = next(each for each in field.values if each.code == value)
        return hand.rng.choice([allowed.text_da, *allowed.variants]) if hand.style["variants"] else allowed.text_da
    if field.type == "country":
        return _country_name(str(value))
    return str(value)


def _cpr(digits: str, hand: Hand) -> str:
    if hand.style["lost_zero"]:
        return digits.lstrip("0") if digits.startswith("0") and not digits.startswith("00") else digits
    return f"{digits[:6]}-{digits[6:]}" if hand.style["hyphen"] else digits


@cache
def _country_name(code: str) -> str:
    return next(name for name, found in countries().items() if found == code and name != code.lower()).capitalize()


def _dirty(texts: list[list[str]], names: list[str], hand: Hand) -> int:
    """Spoil some rows, repeat one and add blank ones at the end; return how many must be rejected."""
    rng, faulty = hand.rng, 0
    places = [n for n, name in enumerate(names) if name in MISTAKES]
    for row in texts:
        if rng.random() < FAULTY_SHARE:
            place = rng.choice(places)
            row[place] = rng.choice(MISTAKES[names[place]])
            faulty += 1
    if len(texts) > 20 and rng.random() < 0.5:
        texts.append(list(texts[0]))  # a repeated row is a fault, whether the first was one or not
        faulty += 1
    texts += [[""] * len(names)] * rng.randrange(3)
    return faulty


def _workbook(lines: list[list[str]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Udtræk")
    for line in lines:
        sheet.append(line)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


# Made-up CPR-like numbers for the invented people of the sample world.
#
# No real person's number is meant. Away from 1 January every number fails the check digit, and such numbers have
# not been issued for these birth dates, so they can be told from real ones. For births on 1 January numbers without
# check digit do exist; there most of ours lack it too, as in the registers
# (https://www.cpr.dk/cpr-systemet/personnumre-uden-kontrolciffer-modulus-11-kontrol/), and nothing but their origin
# tells that they are invented.


STEP = 7919  # prime, so that every serial comes once and neighbours look unrelated


def made_up_cpr(births: Sequence[date], sexes: Sequence[str]) -> list[str]:
    """Return a distinct ten-digit number for each person, true to birth date and sex (M, K), same every time."""
    waiting = cache(_candidates)  # whoever shares birth date and sex takes from the same row of numbers
    return [next(waiting(born, sex)) for born, sex in zip(births, sexes, strict=True)]


def _candidates(born: date, sex: str) -> Iterator[str]:
    start = f"{born:%d%m%y}"
    all_numbers = (f"{start}{(step * STEP + born.toordinal()) % 10_000:04d}" for step in range(10_000))
    fitting = (number for number in all_numbers if birth_date(number) == born and sex_code(number) == sex)
    return fitting if (born.day, born.month) == (1, 1) else (each for each in fitting if not is_modulus11(each))


def write_deliveries(
    world: World,
    folder: Path,
    municipalities: Iterable[str] | None = None,
    *,
    dirt: bool = True,
    since: date | None = None,
) -> list[Written]:
    """Write the deliveries of the given municipalities (all 98 when None) as known on the world's vintage.

    With `since` they hold the persons whose permit is from that day on, as an extract of recent cases does.

    Four files each, one per kind, named by municipality and quarter. Encodings, delimiters, headings and forms of
    dates differ from one to the next; with `dirt` one row in about seventy is wrong in a way real ones are.
    """
    tables = DeliveryTables(world, since)
    codes = list(municipalities) if municipalities is not None else tables.codes
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Written] = []
    for code in codes:
        for kind in KINDS.values():
            hand = Hand(world.seed, code, kind, dirt=dirt and kind != "organisation")
            headings, rows = tables.table(kind, code)
            written.append(write_table(folder, tables.stem(kind, code), headings, rows, hand))
    return written


class DeliveryTables:
    """The tables municipalities send, as field names and plain values, before handwriting and dirt."""

    def __init__(self, world: World, since: date | None = None):
        self._world = world
        self._since = since

    @property
    def codes(self) -> list[str]:
        """The 98 municipalities."""
        return [area.code for area in areas().values() if area.level == "municipality"]

    def stem(self, kind: str, code: str) -> str:
        """Return a file name without ending: municipality, kind in Danish, quarter."""
        word = load_contracts()[kind].file_words[0]
        return f"{areas()[code].name_da}_{word}_{quarter_of(self._world.vintage)}".replace(" ", "-")

    def table(self, kind: str, code: str) -> tuple[list[str], Rows]:
        """Return (field names, rows) of one kind for one municipality."""
        if kind == "organisation":
            return self._organisation(code)
        names = WRITTEN["fields"][kind]
        frame = self._stays[code] if kind == "cases" else self._spells(kind, code)
        return names, [[_plain(value) for value in row] for row in frame[names].itertuples(index=False)]

    @cached_property
    def _people(self) -> pd.DataFrame:
        """Persons with their made-up number and the municipality they live in."""
        people = self._world.persons.copy()
        if self._since is not None:
            people = people[people["permit_date"] >= np.datetime64(self._since)]
        born = [day.date() for day in people["birth_date"]]
        people["cpr"] = made_up_cpr(born, list(people["sex_code"].astype(str)))
        return people.set_index("person_id", drop=False)

    @cached_property
    def _stays(self) -> dict[str, pd.DataFrame]:
        """One row per person and municipality that has had the case, by municipality; who moved has two."""
        import pandas as pd

        people = self._people.assign(home=self._people["municipality_code"].astype(object))
        other = people["move_municipality_code"].astype(object)
        moved = people["move_date"].notna() & other.notna() & (other != people["home"])
        people["until"] = people["move_date"].where(moved)
        left = people["end_date"].where(~moved, people["move_date"] - pd.Timedelta(days=1))
        reason = people["end_reason"].astype(object).where(~moved, "moved")
        never = people["move_date"].where(people["move_date"].isna())
        here = people.assign(end_date=left, end_reason=reason, since=never)
        there = people[moved].assign(until=never)
        there["home"] = there["move_municipality_code"].astype(object)
        there["since"] = there["takeover_date"] = there["move_date"]
        stays = pd.concat([here, there])
        for column, codes in WRITTEN["codes"].items():
            pairs = zip(stays[column], stays["person_id"], strict=True)
            stays[f"{column}_code"] = [
                codes[value][number % len(codes[value])] if value in codes else None for value, number in pairs
            ]
        stays["danish_track_code"] = [f"du{track}" for track in stays["danish_track"]]
        stays["person_name"] = [f"Opdigtet Person {number}" for number in stays["person_id"]]
        stays = stays.rename(columns={"origin_code": "origin_country_code", "match_category": "match_category_code"})
        return {str(code): rows for code, rows in stays.groupby("home")}

    @cached_property
    def _begun(self) -> dict[str, pd.DataFrame]:
        """Measures and jobs with the fields that the contract has and the world has not."""
        measures = self._world.measures
        kinds = measures["kind"].cat.rename_categories({kind: row["delivered_as"] for kind, row in MEASURES.items()})
        return {
            "measures": measures.assign(measure_kind_code=kinds, note=None),
            "employment": self._world.employment.assign(employer_name="Opdigtet ApS"),
        }

    def _spells(self, kind: str, code: str) -> pd.DataFrame:
        """Return the measures or jobs that fall in a stay in a municipality, each once."""
        stays, begun = self._stays[code], self._begun[kind]
        chosen = begun[np.isin(begun["person_id"], stays["person_id"])]
        since, until = (chosen["person_id"].map(stays[edge]) for edge in ("since", "until"))
        before, after = chosen["end_date"] < since, chosen["start_date"] >= until
        chosen = chosen[~before & ~after].drop_duplicates(WRITTEN["same"][kind])
        cpr = self._people["cpr"].reindex(chosen["person_id"]).array
        return chosen.assign(cpr=cpr, industry_code=chosen["industry_code"].map(_first_classes()))

    def _organisation(self, code: str) -> tuple[list[str], Rows]:
        answers = self._world.organisation.set_index("municipality_code").loc[code]
        fields = {field.name for field in load_contracts()["organisation"].fields}
        values: dict[str, Any] = {
            "municipality": areas()[code].name_da,
            "reference_date": self._world.vintage,
            "respondent_role_code": "joint",
            "value_source_code": "survey",
            "confidence_code": "medium",
        }
        for name, answer in answers.items():
            if name in fields:
                values[str(name)] = _plain(answer)
            if str(name).startswith("rating_"):
                reason = "Opdigtet begrundelse" if answer >= 4 else None
                values[str(name).replace("rating", "has_evidence")] = reason
        return list(values), [list(values.values())]


def _plain(value: Any) -> Any:
    """Return a value of a frame as Python has it: a date, None for none."""
    if value != value:
        return None
    if isinstance(value, datetime):
        return value.date()
    return value.item() if isinstance(value, np.generic) else value


@cache
def _first_classes() -> dict[str, str]:
    """Return group of 37 -> a six-digit DB07 code: the first class of its first division, filled up."""
    found: dict[str, str] = {}
    for row in reference_rows("industry_crosswalk.csv"):
        classes = sorted(code for code in industry_classes() if code.startswith(row["division_code"]))
        if classes and row["db07_37_code"] != "X":
            found.setdefault(row["db07_37_code"], f"{classes[0]}00")
    return found
