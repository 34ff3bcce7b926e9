"""Jobindsats over the sample world: the tables computed person by person, as they are on a day."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flows.sample.places import INDUSTRIES, NEWCOMER_LEAN, Floats, stream
from transforms.areas import areas
from transforms.catalogue import load_codelists
from transforms.periods import parse_period, span

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

    from flows.sample.world import World


# The target group of the sample world as arrays of days, for counting at many points in time.


Days = npt.NDArray[np.int64]
NEVER = np.int64(10**7)


def day_number(day: date) -> int:
    """Return days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


def days_of(column: Any, missing: np.int64) -> Days:
    """Return a date column as days since 1970-01-01, `missing` where empty."""
    days = column.to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(days), missing, days.astype(np.int64))


@dataclass(frozen=True)
class People:
    """The target group and its unsubsidised jobs as arrays of days; place is a position in `codes`."""

    codes: list[str]
    born: Days
    permit: Days
    end: Days
    move: Days
    place: Days
    new_place: Days
    is_refugee: npt.NDArray[np.bool_]
    job_person: Days
    job_start: Days
    job_end: Days
    job_hours: Floats
    job_industry: npt.NDArray[np.str_]

    def places(self, day: int) -> Days:
        """Return the place of each refugee or family-reunified of 18-66 years resident on `day`, -1 for others."""
        age = (day - self.born) / 365.25
        here = (self.permit <= day) & (self.end > day) & self.is_refugee & (age >= 18) & (age < 67)
        return np.where(here, np.where(self.move <= day, self.new_place, self.place), -1)

    def hours(self, first: int, last: int) -> Floats:
        """Return the unsubsidised hours of each person from `first` to `last`, both days included."""
        overlap = np.minimum(self.job_end, last) - np.maximum(self.job_start, first) + 1
        worked = np.clip(overlap, 0, None) * self.job_hours / 7
        return np.bincount(self.job_person, worked, len(self.born)).astype(np.float64)


def people_of(world: World) -> People:
    """Return the world's frames as arrays."""
    persons, jobs = world.persons, world.employment
    known = set(persons["municipality_code"].dropna()) | set(persons["move_municipality_code"].dropna())
    codes = sorted({*known, *(area.code for area in areas().values() if area.level == "municipality")})
    position = {code: number for number, code in enumerate(codes)}
    row_of = np.zeros(int(persons["person_id"].max()) + 1, dtype=np.int64)
    row_of[persons["person_id"].to_numpy()] = np.arange(len(persons))
    ordinary = jobs[~jobs["is_subsidised"]]
    return People(
        codes=codes,
        born=days_of(persons["birth_date"], NEVER),
        permit=days_of(persons["permit_date"], NEVER),
        end=days_of(persons["end_date"], NEVER),
        move=days_of(persons["move_date"], NEVER),
        place=np.array([position[code] for code in persons["municipality_code"]], dtype=np.int64),
        new_place=np.array([position.get(code, -1) for code in persons["move_municipality_code"]], dtype=np.int64),
        is_refugee=persons["residence_basis"].isin(["asylum", "family_of_refugee"]).to_numpy(),
        job_person=row_of[ordinary["person_id"].to_numpy()],
        job_start=days_of(ordinary["start_date"], NEVER),
        job_end=days_of(ordinary["end_date"], NEVER),
        job_hours=ordinary["weekly_hours"].to_numpy(dtype=float),
        job_industry=ordinary["industry_code"].astype(str).to_numpy(dtype=str),
    )


# Openings on Jobnet in the sample world: a few per cent of the jobs of each municipality and industry a year.


COLUMNS = ["Branche", "Antal nyopslåede stillinger"]
COUNTRY, ALL_INDUSTRIES = "Hele landet", "Brancher i alt"
# Invented: openings posted a year per job, higher where newcomers are hired and staff changes often.
_POSTED_PER_JOB = 0.06 * np.exp(0.4 * NEWCOMER_LEAN)
_SEASON = np.array([1.15, 1.0, 1.1, 1.05, 1.05, 1.0, 0.75, 1.1, 1.1, 1.0, 0.95, 0.75])


def openings(world: World, period: str) -> list[list[Any]]:
    """Return area, industry text and openings posted in a month (2016M12), which is the same in every vintage.

    The country, then the 98 municipalities, each with all industries together and one by one. Openings are no persons,
    so small counts are shown.
    """
    year, month = int(period[:4]), int(period[5:])
    jobs = world.labour.sums(year - 1).workers.sum(axis=2)
    posted = _posted(world, jobs, period, month)
    rows = _rows(COUNTRY, posted.sum(axis=0))
    for number, code in enumerate(world.places.codes):
        if areas()[code].level == "municipality":
            rows += _rows(areas()[code].name_da, posted[number])
    return rows


def _posted(world: World, jobs: Floats, period: str, month: int) -> Floats:
    """Return openings posted in a month, places × industries."""
    rng = stream(world.seed, f"openings {period}")
    return np.asarray(rng.poisson(jobs * _POSTED_PER_JOB / 12 * _SEASON[month - 1]), dtype=float)


def _rows(area: str, posted: Floats) -> list[list[Any]]:
    found: list[list[Any]] = [[area, ALL_INDUSTRIES, round(float(posted.sum()))]]
    return found + [[area, text, round(float(posted[n]))] for n, text in enumerate(_industry_texts())]


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

    def cash_assistance(self, period: str) -> list[Row]:
        """Return the persons on cash assistance, the group's own share of all on benefits."""
        return [[row[0], *row[2:]] for row in self.benefits({"Kontanthjælp": BENEFITS["Kontanthjælp"]})(period)]

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
        return openings(self._world, period)

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
    "y60a02": ([*AREA_PERIOD, *SUPPORT], lambda world, period: world.cash_assistance(period)),
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
    "y25i10": ([*AREA_PERIOD, *COLUMNS], JobindsatsWorld.openings),
}  # fmt: skip

# The Jobindsats stand-in: versions 3 and 2 of the protocol over the sample world, with the publisher's quirks.


TOKEN = "sample-token"
AREA_HIERARCHIES = {"_nykom": "Område", "_hele_landet": "Område"}
DIMENSIONS = {
    "y35a02": {"_oprinda": "Herkomst"},
    "ptv_a02": {"_ygrpa02": "Ydelsesgruppe"},
    "y14d03": {"_tilbud_d03": "Tilbud", "_maalgrp_d03": "Målgruppe"},
    "otij01": {"_ygrp_j01": "Ydelsesgruppe"},
    "y25i10": {"_branche": "Branche"},
}
"""Table -> hierarchy -> the heading of its dimension."""
BOM = b"\xef\xbb\xbf"


class RefusedError(Exception):
    """A question the API refuses, with the status and the cause it gives."""

    def __init__(self, status: int, cause: str):
        super().__init__(cause)
        self.status, self.cause = status, cause


def answer_v3(world: JobindsatsWorld, table: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return the answer of version 3: `{"columns": […], "rows": [[…]]}`. RefusedError as the API refuses."""
    table = _known(table)
    named = {name.removeprefix("hierarchy.") for name in asked if name.startswith("hierarchy.")}
    unknown = sorted(named - AREA_HIERARCHIES.keys() - DIMENSIONS.get(table, {}).keys())
    if unknown:
        raise RefusedError(422, f"Unknown hierarchies: {unknown}")
    kinds = [name.removeprefix("period.") for name in asked if name.startswith("period.")]
    if len(kinds) != 1 or kinds[0] not in ("M", "Q", "Y", "QMAT"):
        raise RefusedError(422, f"Unknown period type: {', '.join(kinds) or 'none'}")
    periods = _periods(world, kinds[0], asked[f"period.{kinds[0]}"], r"latest:(\d+)")
    columns, rows = world.rows(table, periods)
    if "_nykom" not in named:
        rows = [row for row in rows if row[1] == COUNTRY]
    kept = [n for n, column in enumerate(columns) if column not in _unwanted(table, columns, asked)]
    return {"columns": [columns[n] for n in kept], "rows": [[row[n] for n in kept] for row in rows]}


def _unwanted(table: str, columns: list[str], asked: dict[str, str]) -> set[str]:
    """Return the measures that are not asked for; RefusedError for a measure group or measure the table has not."""
    measures = _measures(table, columns)
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


def _measures(table: str, columns: list[str]) -> dict[str, str]:
    """Return measure id -> heading: every column that is neither area, period nor a dimension."""
    dimensions = {*AREA_PERIOD, *DIMENSIONS.get(table, {}).values()}
    headings = [column for column in columns if column not in dimensions]
    return {f"mea{table}_{number}": heading for number, heading in enumerate(headings, start=1)}


def describe_v3(world: JobindsatsWorld, table: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return the description of a table as version 3 gives it: its periods, dimensions and measure groups."""
    table = _known(table)
    columns, _ = TABLES[table]
    dimensions: dict[str, list[str]] = {}
    for hierarchy, heading in {**AREA_HIERARCHIES, **DIMENSIONS.get(table, {})}.items():
        dimensions.setdefault(heading, []).append(hierarchy)
    return {
        "table_id": table,
        "table_name": f"Syntetisk {table}",
        "periods": [
            {"periodtype_id": kind, "values": [{"period_id": period} for period in world.periods(kind, 24)]}
            for kind in ("M", "Q", "Y", "QMAT")
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
                "measures": [
                    {"measure_id": measure, "measure_name": name} for measure, name in _measures(table, columns).items()
                ],
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
    return [{"subject_name": "SYNTETISKE DATA / SYNTHETIC", "table_groups": [group]}]


def answer_v2(world: JobindsatsWorld, table: str, asked: dict[str, str]) -> list[dict[str, Any]]:
    """Return the answer of version 2: a list of one object, decimals as texts with a comma."""
    table = _known(table)
    match = re.fullmatch(r"l\((m|q|y|qmat):(\d+)\)", asked.get("period", ""))
    if match is None:
        raise RefusedError(400, f"Unknown period: {asked.get('period', '')}")
    columns, rows = world.rows(table, world.periods(match[1].upper(), int(match[2])))
    labels = ["Area" if label == "Område" else label for label in columns]
    data = [[_comma(cell) for cell in row] for row in rows]
    return [{"Variables": [{"Label": label} for label in labels], "Data": data}]


def create_app(world_factory: Callable[[], JobindsatsWorld]) -> Starlette:
    """Return the stand-in as an ASGI application under `/v3` and `/v2`; it wants TOKEN as the real one does."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    world = cache(world_factory)

    def endpoint(version: int, answer: Callable[[JobindsatsWorld, str, dict[str, str]], Any]) -> Callable[..., Any]:
        async def run(request: Request) -> Response:
            wanted = TOKEN if version == 2 else f"Bearer {TOKEN}"
            if request.headers.get("authorization") != wanted:
                return JSONResponse({"code": 401, "cause": "Invalid token"}, 401)
            asked = {name: ",".join(request.query_params.getlist(name)) for name in request.query_params}
            try:
                data = await run_in_threadpool(lambda: answer(world(), request.path_params["table"], asked))
            except RefusedError as refused:
                body = {"code": refused.status, "cause": refused.cause, "request_id": str(uuid.uuid4())}
                return JSONResponse(body, refused.status)
            content = json.dumps(data, ensure_ascii=False).encode()
            return Response(BOM + content, media_type="application/json; charset=utf-8")

        return run

    async def tables(request: Request) -> Response:
        return JSONResponse(list_v3(await run_in_threadpool(world)))

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


def _periods(world: JobindsatsWorld, kind: str, asked: str, latest: str) -> list[str]:
    match = re.fullmatch(latest, asked)
    return world.periods(kind, int(match[1])) if match else asked.split(",")


def _comma(cell: Any) -> Any:
    return repr(cell).replace(".", ",") if isinstance(cell, float) else cell
