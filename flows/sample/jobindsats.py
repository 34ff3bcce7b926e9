"""Jobindsats over the sample world: the tables computed person by person, as they are on a day."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flows.connectors.jobindsats_periods import parse_period, span
from flows.sample import jobindsats_openings
from flows.sample.jobindsats_people import NEVER, Days, People, day_number, days_of, people_of
from transforms.areas import areas

if TYPE_CHECKING:
    from flows.sample.world import World

Row = list[Any]

# Jobindsats leaves out the smallest counts; in recorded answers none is below 3.
SMALLEST_SHOWN = 3
COUNTRY = "Hele landet"
OFFERS = {
    "Privat virksomhedspraktik": "private_praktik",
    "Offentlig virksomhedspraktik": "public_praktik",
    "Privat løntilskud": "private_loentilskud",
    "Offentligt løntilskud": "public_loentilskud",
}
FOLLOW_UP_DAYS = 90


class JobindsatsWorld:
    """Answers for the tables the sources ask for, from one sample world."""

    def __init__(self, world: World):
        self._world = world
        self.latest = world.vintage

    @cached_property
    def people(self) -> People:
        """The target group as arrays."""
        return people_of(self._world)

    def periods(self, kind: str, count: int) -> list[str]:
        """Return the latest whole periods of a kind as version 3 writes them, oldest first."""
        year, month = self.latest.year, self.latest.month
        found: list[str] = []
        while len(found) < count and year >= 2008:
            code = f"{year}M{month:02d}" if kind == "M" else f"{year}Y01" if kind == "Y" else ""
            if kind in ("Q", "QMAT"):
                code = f"{year}{kind}{(month + 2) // 3:02d}"
            if span(parse_period(code))[1] <= self.latest:
                found.append(code)
            step = {"M": 1, "Q": 3, "QMAT": 3, "Y": 12}[kind]
            year, month = (year, month - step) if month > step else (year - 1, month - step + 12)
        return found[::-1]

    def rows(self, table: str, periods: list[str]) -> tuple[list[str], list[Row]]:
        """Return (headings, rows) of a table. Null where a count is too small; no row where nobody is."""
        headings, compute = TABLES[table]
        return headings, [[period, *row] for period in periods for row in compute(self, parse_period(period))]

    def refugees(self, period: str) -> list[Row]:
        """Return population, any job, 190 hours in three months, per area."""
        first, last = (day_number(day) for day in span(period))
        place = self.people.places(last)
        month, window = self.people.hours(first, last) > 0, self.people.hours(last - 90, last) >= 190
        return [
            [name, shown(n), shown(n, job), percent(n, job), shown(n, long), percent(n, long)]
            for name, (n, job, long) in self._by_area(place, month, window)
        ]

    def benchmark(self, period: str) -> list[Row]:
        """Return expected and actual persons without a job; expected is the country's share in each place."""
        first, last = (day_number(day) for day in span(period))
        place = self.people.places(last)
        idle = self.people.hours(first, last) == 0
        counted = self._by_area(place, idle)
        (_, (everybody, without)) = counted[0]
        share = without / max(everybody, 1)
        rows: list[Row] = []
        for name, (n, actual) in counted[1:]:
            hidden = n < SMALLEST_SHOWN
            expected, gap = n * share, 100 * (actual / n - share)
            figures = [round(expected), round(actual), round(expected) - round(actual)]
            shares = [round(100 * share, 1), round(100 * actual / n, 1), round(-gap, 1)]
            rows.append([name, *([None] * 6 if hidden else [*figures, *shares]), None])
        ranked = sorted((row for row in rows if row[1] is not None), key=lambda row: -row[6])
        for rank, row in enumerate(ranked, start=1):
            row[7] = rank
        return rows

    def benefits(self, groups: dict[str, float]) -> Callable[[str], list[Row]]:
        """Return the table of persons on benefits: those without a job, divided by fixed shares over `groups`."""

        def compute(period: str) -> list[Row]:
            first, last = (day_number(day) for day in span(period))
            idle = self.people.hours(first, last) == 0
            size = self._population(int(period[:4]))
            rows: list[Row] = []
            for name, (_, count) in self._by_area(self.people.places(last), idle):
                for group, share in groups.items():
                    n, everybody = round(count * share), size.get(name, 0.0)
                    full_time = None if n < SMALLEST_SHOWN else round(0.92 * n, 1)
                    of = [
                        None if full_time is None else round(100 * full_time / (everybody * part), 2)
                        for part in (0.5, 0.65)
                    ]
                    rows.append([name, group, shown(n), full_time, *of])
            return rows

        return compute

    def after_placement(self, period: str) -> list[Row]:
        """Return completed placements of the rolling year by offer, and the job held 90 days later."""
        first, last = (day_number(day) for day in span(period))
        measures, people = self._world.measures, self.people
        rows: list[Row] = []
        for offer, kind in OFFERS.items():
            chosen = measures[measures["kind"] == kind]
            ended = days_of(chosen["end_date"], NEVER)
            inside = (ended >= first) & (ended <= last)
            person = np.searchsorted(self._person_ids, chosen["person_id"].to_numpy()[inside])
            industry = chosen["industry_code"].astype(str).to_numpy(dtype=str)[inside]
            later = self._industry_at(person, ended[inside] + FOLLOW_UP_DAYS)
            place = people.place[person]
            for name, (n, same, other) in self._by_area(
                place, (later == industry), (later != "") & (later != industry)
            ):
                if n:
                    job = [percent(n, same * 0.6), percent(n, same * 0.4), percent(n, other)]
                    no_job = percent(n, n - same - other)
                    rows.append(
                        [name, offer, "Alle målgrupper", shown(n), *job, no_job, percent(n, 0.8 * (same + other))]
                    )
        return rows

    def ordinary_hours(self, period: str) -> list[Row]:
        """Return persons with some but no full-time hours in the month."""
        first, last = (day_number(day) for day in span(period))
        hours = self.people.hours(first, last)
        some = (hours > 0) & (hours < 120)
        rows: list[Row] = []
        for name, (n, count, total) in self._by_area(self.people.places(last), some, np.where(some, hours, 0)):
            mean = None if count < SMALLEST_SHOWN else round(total / count, 1)
            rows.append([name, "Ydelsesgrupper i alt", shown(n, count), percent(n, count), mean])
        return rows

    def openings(self, period: str) -> list[Row]:
        """Return the openings on Jobnet of a month, by industry."""
        return jobindsats_openings.openings(self._world, period)

    @cached_property
    def _person_ids(self) -> Days:
        return self._world.persons["person_id"].to_numpy(dtype=np.int64)

    def _industry_at(self, person: Days, day: Days) -> npt.NDArray[np.str_]:
        """Return the industry of a job each person has on a day, "" for none."""
        people = self.people
        order = np.lexsort((people.job_start, people.job_person))
        owner, start = people.job_person[order], people.job_start[order]
        at = np.searchsorted(owner * 10**6 + start, person * 10**6 + day, side="right") - 1
        row = order[np.clip(at, 0, None)]
        has = (at >= 0) & (people.job_person[row] == person) & (people.job_end[row] >= day)
        return np.where(has, people.job_industry[row], "")

    def _population(self, year: int) -> dict[str, float]:
        conditions = self._world.conditions
        at_year = conditions[conditions["year"] == min(year, int(conditions["year"].max()))]
        size = {
            areas()[code].name_da: float(n)
            for code, n in zip(at_year["municipality_code"], at_year["population_count"], strict=True)
        }
        return {COUNTRY: sum(size.values()), **size}

    def _by_area(self, place: Days, *weights: npt.NDArray[Any]) -> list[tuple[str, tuple[float, ...]]]:
        """Return (area name, (persons, sum of each weight)): the country first, then municipalities with anybody."""
        here, size = place >= 0, len(self.people.codes)
        columns = [np.bincount(place[here], minlength=size)]
        columns += [np.bincount(place[here], np.asarray(weight)[here].astype(float), size) for weight in weights]
        found: list[tuple[str, tuple[float, ...]]] = [(COUNTRY, tuple(float(column.sum()) for column in columns))]
        for number, code in enumerate(self.people.codes):
            if columns[0][number]:
                found.append((areas()[code].name_da, tuple(float(column[number]) for column in columns)))
        return found


def shown(persons: float, count: float | None = None) -> int | None:
    """Return a count, None when it (or the persons it is of) is too small to be shown."""
    value = persons if count is None else count
    return None if 0 < value < SMALLEST_SHOWN or persons < SMALLEST_SHOWN else round(value)


def percent(persons: float, count: float) -> float | None:
    """Return a share with one decimal, None when it rests on too few."""
    return None if persons < SMALLEST_SHOWN or 0 < count < SMALLEST_SHOWN else round(100 * count / persons, 1)


AREA_PERIOD = ["Periode", "Område"]
SUPPORT = [
    "Antal personer", "Antal fuldtidspersoner", "Fuldtidspersoner i pct. af arbejdsstyrken 16-66 år",
    "Fuldtidspersoner i pct. af befolkningen 16-66 år",
]  # fmt: skip
ANCESTRY = {
    "Personer i alt": 1.0,
    "Indvandrere fra ikke-vestlige lande": 0.94,
    "Efterkommere fra ikke-vestlige lande": 0.02,
}
BENEFITS = {"Ydelsesgrupper i alt": 1.0, "Selvforsørgelses- og hjemrejseydelse mv.": 0.62, "Kontanthjælp": 0.28}
Compute = Callable[[JobindsatsWorld, str], list[Row]]
TABLES: dict[str, tuple[list[str], Compute]] = {
    "y21mm13": (
        [*AREA_PERIOD, "Antal flygtninge og familiesammenførte", "Antal med lønmodtagerbeskæftigelse",
         "Andel med lønmodtagerbeskæftigelse (pct.)", "Antal med mindst 190 løntimer",
         "Andel med mindst 190 løntimer (pct.)"],
        JobindsatsWorld.refugees,
    ),
    "y30r21": (
        [*AREA_PERIOD, "Forventet antal", "Faktisk antal", "Forskel", "Forventet andel (pct.)", "Faktisk andel (pct.)",
         "Forskel (pct. point)", "Placering på benchmarkranglisten"],
        JobindsatsWorld.benchmark,
    ),
    "y35a02": ([*AREA_PERIOD, "Herkomst", *SUPPORT], lambda world, period: world.benefits(ANCESTRY)(period)),
    "ptv_a02": ([*AREA_PERIOD, "Ydelsesgruppe", *SUPPORT], lambda world, period: world.benefits(BENEFITS)(period)),
    "y14d03": (
        [*AREA_PERIOD, "Tilbud", "Målgruppe", "Antal afsluttede forløb", "Beskæftiget i samme virksomhed (pct.)",
         "Beskæftiget i anden virksomhed, samme branche (pct.)", "Beskæftiget i anden virksomhed, anden branche (pct.)",
         "Ikke beskæftiget (pct.)", "Gennemsnitlig beskæftigelsesgrad (pct.)"],
        JobindsatsWorld.after_placement,
    ),
    "otij01": (
        [*AREA_PERIOD, "Ydelsesgruppe", "Antal personer med ordinære løntimer",
         "Andel personer med ordinære løntimer (pct.)", "Gennemsnitligt antal ordinære løntimer"],
        JobindsatsWorld.ordinary_hours,
    ),
    "y25i07": ([*AREA_PERIOD, *jobindsats_openings.COLUMNS], JobindsatsWorld.openings),
}  # fmt: skip
