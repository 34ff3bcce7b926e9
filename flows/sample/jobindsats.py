"""Jobindsats over the sample world: the tables computed person by person, as they are on a day."""

from __future__ import annotations

import codecs
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flows.sample.people import BASES, NEVER, day_of
from flows.sample.places import FIRST_YEAR, INDUSTRIES, NEWCOMER_LEAN, Floats, stream
from flows.sample.truth import KINDS, in_file
from flows.store.exports import SYNTHETIC
from transforms.areas import areas
from transforms.catalogue import PERIOD_KINDS, load_codelists
from transforms.periods import parse_period, span

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

    from flows.sample.world import World


Days = npt.NDArray[np.int64]


# Openings on Jobnet in the sample world: a few per cent of the jobs of each municipality and industry a year.


COUNTRY, ALL_INDUSTRIES = "Hele landet", "Brancher i alt"
# Invented: openings posted a year per job, higher where newcomers are hired and staff changes often.
_POSTED_PER_JOB = 0.06 * np.exp(0.4 * NEWCOMER_LEAN)
_SEASON = np.array([1.15, 1.0, 1.1, 1.05, 1.05, 1.0, 0.75, 1.1, 1.1, 1.0, 0.95, 0.75])


@cache
def _industry_texts() -> list[str]:
    """Return the Danish names of the industries without their letters, as Jobindsats writes them."""
    names = {code.code: code.text_da.removeprefix(f"{code.code} ") for code in load_codelists()["db07_37"]}
    return [names[code] for code in INDUSTRIES]


Row = list[Any]

# Jobindsats leaves out the smallest counts; in recorded answers none is below 3.
SMALLEST_SHOWN = 3
OFFERS = {
    "Privat virksomhedspraktik": "private_praktik",
    "Offentlig virksomhedspraktik": "public_praktik",
    "Privat løntilskud": "private_loentilskud",
    "Offentligt løntilskud": "public_loentilskud",
}
FOLLOW_UP_DAYS = 90


@dataclass(frozen=True)
class InventedTable:
    """One table: the function that computes it, its measures, its dimensions (hierarchy -> heading), and its groups."""

    figures: str
    measures: list[str]
    dimensions: dict[str, str] = field(default_factory=dict)
    groups: dict[str, float] = field(default_factory=dict)
    period_kinds: list[str] = field(default_factory=lambda: list(PERIOD_KINDS))


TABLES = {table: InventedTable(**row) for table, row in in_file("jobindsats.yml").items()}


class JobindsatsWorld:
    """Answers for the tables the sources ask for, from one sample world."""

    def __init__(self, world: World):
        self._world = world
        self.latest = world.vintage

    @cached_property
    def _ordinary(self) -> npt.NDArray[np.bool_]:
        """Which of the known jobs are unsubsidised."""
        return ~self._world.known_careers.job_subsidised

    def _days(self, period: str) -> tuple[int, int]:
        """Return the first and last day of a period as the world counts days."""
        first, last = map(day_of, span(period))
        return first, last

    def _places(self, day: int) -> Days:
        """Return the place of each refugee or family-reunified of 18-66 years resident on `day`, -1 for others."""
        t = self._world.known_traits
        age = t.age_at(day)
        here = (t.permit_day <= day) & (t.end_day > day) & (t.basis != BASES.index("other_family"))
        return np.where(here & (age >= 18) & (age < 67), t.place_at(day), -1)

    def _hours(self, first: int, last: int) -> Floats:
        """Return the unsubsidised hours of each person from `first` to `last`, both days included."""
        c, jobs = self._world.known_careers, self._ordinary
        overlap = np.minimum(c.job_end[jobs], last) - np.maximum(c.job_start[jobs], first) + 1
        worked = np.clip(overlap, 0, None) * c.job_hours[jobs].astype(np.float64) / 7
        return np.bincount(c.job_person[jobs], worked, len(self._world.known_traits)).astype(np.float64)

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
        shown = TABLES[table]
        compute: Callable[..., list[Row]] = getattr(self, shown.figures)
        given = [shown.groups] if shown.groups else []
        rows = [[period, *row] for period in periods for row in compute(parse_period(period), *given)]
        return ["Periode", "Område", *shown.dimensions.values(), *shown.measures], rows

    def refugees(self, period: str) -> list[Row]:
        """Return population, any job, 190 hours in three months, per area."""
        first, last = self._days(period)
        place = self._places(last)
        month, window = self._hours(first, last) > 0, self._hours(last - 90, last) >= 190
        return [
            [name, shown(n), shown(n, job), percent(n, job), shown(n, long), percent(n, long)]
            for name, (n, job, long) in self._by_area(place, month, window)
        ]

    def benchmark(self, period: str) -> list[Row]:
        """Return expected and actual persons without a job; expected is the country's share in each place."""
        first, last = self._days(period)
        place = self._places(last)
        idle = self._hours(first, last) == 0
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

    def benefits(self, period: str, groups: dict[str, float]) -> list[Row]:
        """Return the persons on benefits: those without a job, divided by fixed shares over `groups`.

        A group without a name is the table's own: it has no column.
        """
        first, last = self._days(period)
        idle = self._hours(first, last) == 0
        size = self._population(int(period[:4]))
        rows: list[Row] = []
        for name, (_, count) in self._by_area(self._places(last), idle):
            for group, share in groups.items():
                n, everybody = round(count * share), size.get(name, 0.0)
                full_time = None if n < SMALLEST_SHOWN else round(0.92 * n, 1)
                of = [
                    None if full_time is None else round(100 * full_time / (everybody * part), 2)
                    for part in (0.5, 0.65)
                ]
                rows.append([name, *([group] if group else []), shown(n), full_time, *of])
        return rows

    def after_placement(self, period: str) -> list[Row]:
        """Return completed placements of the rolling year by offer, and the job held 90 days later."""
        first, last = self._days(period)
        c, place = self._world.known_careers, self._world.known_traits.place
        rows: list[Row] = []
        for offer, kind in OFFERS.items():
            ended = (c.measure_kind == KINDS.index(kind)) & (c.measure_end >= first) & (c.measure_end <= last)
            person, industry = c.measure_person[ended], c.measure_industry[ended]
            later = self._industry_at(person, c.measure_end[ended] + FOLLOW_UP_DAYS)
            for name, (n, same, other) in self._by_area(
                place[person], later == industry, (later >= 0) & (later != industry)
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
        first, last = self._days(period)
        hours = self._hours(first, last)
        some = (hours > 0) & (hours < 120)
        rows: list[Row] = []
        for name, (n, count, total) in self._by_area(self._places(last), some, np.where(some, hours, 0)):
            mean = None if count < SMALLEST_SHOWN else round(total / count, 1)
            rows.append([name, "Ydelsesgrupper i alt", shown(n, count), percent(n, count), mean])
        return rows

    def openings(self, period: str) -> list[Row]:
        """Return the openings on Jobnet posted in a month, which are the same in every vintage.

        The country, then the 98 municipalities, each with all industries together and one by one. Openings are no
        persons, so small counts are shown.
        """
        year, month = int(period[:4]), int(period[5:])
        world, rng = self._world, stream(self._world.seed, f"openings {period}")
        jobs = world.labour.sums(year - 1).workers.sum(axis=2)
        posted = rng.poisson(jobs * _POSTED_PER_JOB / 12 * _SEASON[month - 1])
        by_area = [(COUNTRY, posted.sum(axis=0))]
        by_area += [(name, posted[n]) for n, name in enumerate(self._names) if world.places.sizes[n] != "islet"]
        return [
            [name, text, int(count)]
            for name, counts in by_area
            for text, count in zip([ALL_INDUSTRIES, *_industry_texts()], [counts.sum(), *counts], strict=True)
        ]

    def _industry_at(self, person: Days, day: Days) -> Days:
        """Return the industry of a job each person has on a day, -1 for none."""
        c, jobs = self._world.known_careers, self._ordinary
        owner, end = c.job_person[jobs], c.job_end[jobs]
        at = np.searchsorted(owner * NEVER + c.job_start[jobs], person * NEVER + day, side="right") - 1
        row = np.clip(at, 0, None)
        has = (at >= 0) & (owner[row] == person) & (end[row] >= day)
        return np.where(has, c.job_industry[jobs][row], -1)

    @cached_property
    def _names(self) -> list[str]:
        """The names of the places."""
        return [areas()[code].name_da for code in self._world.places.codes]

    def _population(self, year: int) -> dict[str, float]:
        at_year = self._world.framework.population[:, min(year, self.latest.year) - FIRST_YEAR]
        size = dict(zip(self._names, at_year.tolist(), strict=True))
        return {COUNTRY: sum(size.values()), **size}

    def _by_area(self, place: Days, *weights: npt.NDArray[Any]) -> list[tuple[str, tuple[float, ...]]]:
        """Return (area name, (persons, sum of each weight)): the country first, then municipalities with anybody."""
        here, n = place >= 0, len(self._names)
        columns = [np.bincount(place[here], np.asarray(weight)[here], n) for weight in (here, *weights)]
        by_place = zip(self._names, np.column_stack(columns).tolist(), strict=True)
        total = tuple(float(column.sum()) for column in columns)
        return [(COUNTRY, total), *((name, tuple(sums)) for name, sums in by_place if sums[0])]


def shown(persons: float, count: float | None = None) -> int | None:
    """Return a count, None when it (or the persons it is of) is too small to be shown."""
    value = persons if count is None else count
    return None if 0 < value < SMALLEST_SHOWN or persons < SMALLEST_SHOWN else round(value)


def percent(persons: float, count: float) -> float | None:
    """Return a share with one decimal, None when it rests on too few."""
    return None if persons < SMALLEST_SHOWN or 0 < count < SMALLEST_SHOWN else round(100 * count / persons, 1)


# The Jobindsats stand-in: versions 3 and 2 of the protocol over the sample world, with the publisher's quirks.


TOKEN = "sample-token"
ALL_PERIODS = 10_000
AREA_HIERARCHIES = ("_nykom", "_hele_landet")


class RefusedError(Exception):
    """A question the API refuses, with the status and the cause it gives."""

    def __init__(self, status: int, cause: str):
        super().__init__(cause)
        self.status, self.cause = status, cause


def answer_v3(world: JobindsatsWorld, table: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return the answer of version 3: `{"columns": […], "rows": [[…]]}`. RefusedError as the API refuses."""
    table = _known(table)
    named = {name.removeprefix("hierarchy.") for name in asked if name.startswith("hierarchy.")}
    unknown = sorted(named - {*AREA_HIERARCHIES} - TABLES[table].dimensions.keys())
    if unknown:
        raise RefusedError(422, f"Unknown hierarchies: {unknown}")
    kinds = [name.removeprefix("period.") for name in asked if name.startswith("period.")]
    if len(kinds) != 1 or kinds[0] not in TABLES[table].period_kinds:
        raise RefusedError(422, f"Unknown period type: {', '.join(kinds) or 'none'}")
    periods = _periods(world, kinds[0], asked[f"period.{kinds[0]}"])
    columns, rows = world.rows(table, periods)
    if "_nykom" not in named:
        rows = [row for row in rows if row[1] == COUNTRY]
    unwanted = _unwanted(table, asked)
    kept = [n for n, column in enumerate(columns) if column not in unwanted]
    return {"columns": [columns[n] for n in kept], "rows": [[row[n] for n in kept] for row in rows]}


def _unwanted(table: str, asked: dict[str, str]) -> set[str]:
    """Return the measures that are not asked for; RefusedError for a measure group or measure the table has not."""
    measures = _measures(table)
    groups = {name.removeprefix("mgroup."): value for name, value in asked.items() if name.startswith("mgroup.")}
    if not groups or "*" in groups:
        return set()
    unknown = sorted(set(groups) - {_group(table)})
    wanted = set(groups.get(_group(table), "").split(","))
    if unknown or not wanted <= measures.keys() | {"*"}:
        raise RefusedError(422, f"Unknown measure groups or measures: {unknown or sorted(wanted - measures.keys())}")
    return set() if "*" in wanted else {name for measure, name in measures.items() if measure not in wanted}


def _group(table: str) -> str:
    return f"mgrp{table}_1"


def _measures(table: str) -> dict[str, str]:
    """Return measure id -> heading."""
    return {f"mea{table}_{number}": heading for number, heading in enumerate(TABLES[table].measures, start=1)}


def describe_v3(world: JobindsatsWorld, table: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return the description of a table as version 3 gives it: its periods, dimensions and measure groups."""
    table = _known(table)
    dimensions = {"Område": list(AREA_HIERARCHIES)}
    dimensions |= {heading: [hierarchy] for hierarchy, heading in TABLES[table].dimensions.items()}
    return {
        "table_id": table,
        "table_name": f"Syntetisk {table}",
        "periods": [
            {"periodtype_id": kind, "values": [{"period_id": period} for period in world.periods(kind, 24)]}
            for kind in TABLES[table].period_kinds
        ],
        "dimensions": [
            {
                "dimension_id": "_omrade" if heading == "Område" else hierarchies[0],
                "dimension_name": heading,
                "hierarchies": [{"hierarchy_id": hierarchy, "levels": []} for hierarchy in hierarchies],
            }
            for heading, hierarchies in dimensions.items()
        ],
        "mgroups": [
            {
                "mgroup_id": _group(table),
                "mgroup_name": f"Syntetisk {table}",
                "measures": [{"measure_id": id_, "measure_name": name} for id_, name in _measures(table).items()],
            }
        ],
    }


def list_v3(world: JobindsatsWorld) -> list[dict[str, Any]]:
    """Return the list of tables as version 3 gives it: by subject and group, each with its updates."""
    listed = [
        {
            "table_id": table,
            "table_name": f"Syntetisk {table}",
            "update_freq": "M",
            "update_latest": f"{world.latest:%Y-%m-%d}",
            "update_next": f"{world.latest + timedelta(days=30):%Y-%m-%d}",
            "mgroups": [{"mgroup_id": _group(table), "mgroup_name": f"Syntetisk {table}"}],
        }
        for table in TABLES
    ]
    group = {"table_group_name": "Syntetiske tabeller", "tables": listed}
    return [{"subject_name": SYNTHETIC, "table_groups": [group]}]


def answer_v2(world: JobindsatsWorld, table: str, asked: dict[str, str]) -> list[dict[str, Any]]:
    """Return the answer of version 2: a list of one object, decimals as texts with a comma."""
    table = _known(table)
    match = re.fullmatch(r"l\((m|q|y|qmat):(\d+)\)", asked.get("period", ""))
    if match is None or match[1].upper() not in TABLES[table].period_kinds:
        raise RefusedError(400, f"Unknown period: {asked.get('period', '')}")
    columns, rows = world.rows(table, world.periods(match[1].upper(), int(match[2])))
    labels = ["Area" if label == "Område" else label for label in columns]
    data = [[_comma(cell) for cell in row] for row in rows]
    return [{"Variables": [{"Label": label} for label in labels], "Data": data}]


def create_app(world: JobindsatsWorld) -> Starlette:
    """Return the stand-in as an ASGI application under `/v3` and `/v2`; it wants TOKEN as the real one does."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def endpoint(version: int, answer: Callable[[JobindsatsWorld, str, dict[str, str]], Any]) -> Callable[..., Any]:
        async def run(request: Request) -> Response:
            wanted = TOKEN if version == 2 else f"Bearer {TOKEN}"
            if request.headers.get("authorization") != wanted:
                return JSONResponse({"code": 401, "cause": "Invalid token"}, 401)
            asked = {name: ",".join(request.query_params.getlist(name)) for name in request.query_params}
            try:
                data = await run_in_threadpool(lambda: answer(world, request.path_params["table"], asked))
            except RefusedError as refused:
                body = {"code": refused.status, "cause": refused.cause, "request_id": str(uuid.uuid4())}
                return JSONResponse(body, refused.status)
            content = json.dumps(data, ensure_ascii=False).encode()
            return Response(codecs.BOM_UTF8 + content, media_type="application/json; charset=utf-8")

        return run

    async def tables(request: Request) -> Response:
        return JSONResponse(list_v3(world))

    return Starlette(
        routes=[
            Route("/v3/tables", tables),
            Route("/v3/table/{table}", endpoint(3, describe_v3)),
            Route("/v3/data/{table}", endpoint(3, answer_v3)),
            Route("/v2/data/{table}/json", endpoint(2, answer_v2)),
        ]
    )


def _known(table: str) -> str:
    if table.lower() not in TABLES:
        raise RefusedError(422, f"Unknown table: {table}")
    return table.lower()


def _periods(world: JobindsatsWorld, kind: str, asked: str) -> list[str]:
    """Return the periods asked for; RefusedError for one that the world has not."""
    if match := re.fullmatch(r"latest:(\d+)", asked):
        return world.periods(kind, int(match[1]))
    periods = asked.split(",")
    if unknown := sorted({*periods} - {*world.periods(kind, ALL_PERIODS)}):
        raise RefusedError(422, f"Unknown periods: {unknown}")
    return periods


def _comma(cell: Any) -> Any:
    return repr(cell).replace(".", ",") if isinstance(cell, float) else cell
