"""The target group person by person: who arrives, when, where, with what.

Everybody is invented. Days count from EPOCH; a missing day is NEVER.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from flows.sample.places import (
    MANUFACTURING,
    NEWCOMER_LEAN,
    PUBLIC,
    WOMEN_LEAN,
    Conditions,
    Floats,
    Ints,
    Places,
    at,
    stream,
)
from flows.sample.truth import INVENTED, KINDS, MEASURES, Coefficients, column

FIRST_DATE = date(2008, 1, 1)
EPOCH = np.datetime64(FIRST_DATE)
NEVER = 1_000_000
YEAR_DAYS = 365.25


def day_of(day: date) -> int:
    """Return days from the epoch to a date."""
    return (day - FIRST_DATE).days


LAST_DAY = day_of(date(2025, 12, 31))

BASES: tuple[str, ...] = ("asylum", "family_of_refugee", "other_family")
ORIGINS: tuple[str, ...] = tuple(INVENTED["origins"])
EDUCATIONS: tuple[str, ...] = ("none", "primary", "secondary", "higher", "unknown")
MATCHES: tuple[str, ...] = ("job_ready", "activity_ready")
END_REASONS: tuple[str, ...] = ("none", "emigrated", "died")

# Invented shape of intake per permit year 2008..2025: low, a wave in the middle, low again.
_INTAKE = np.array([2, 2, 2, 2.4, 2.8, 3.6, 6, 11, 9, 5, 3, 2.2, 1.3, 1.4, 1.6, 1.8, 1.6, 1.4])
# Places that the wave passed by: crowded suburbs and the capital receive few by quota.
_QUOTA_FREE_PROVINCE = "02"


@dataclass(frozen=True)
class Traits:
    """One row per person, arrays of equal length, ordered by permit day."""

    place: Ints
    permit_day: Ints
    takeover_day: Ints
    basis: Ints
    origin: Ints
    is_woman: npt.NDArray[np.bool_]
    birth_day: Ints
    education: Ints
    has_partner: npt.NDArray[np.bool_]
    children: Ints
    danish_track: Ints
    match: Ints
    end_day: Ints
    end_reason: Ints
    move_day: Ints
    move_place: Ints

    def __len__(self) -> int:
        return len(self.place)

    def place_at(self, day: int | Ints, person: Ints | slice = slice(None)) -> Ints:
        """Return the place on a day of everybody, or of each person given, who may each have a day of their own."""
        return np.where(self.move_day[person] <= day, self.move_place[person], self.place[person])

    def present_at(self, day: int) -> npt.NDArray[np.bool_]:
        """Return who is registered in a municipality on a day."""
        return (self.takeover_day <= day) & (self.end_day > day)

    def age_at(self, day: int) -> Ints:
        """Return everybody's age in whole years on a day."""
        return np.asarray(((day - self.birth_day) / YEAR_DAYS).astype(np.int64))


def _pick(rng: np.random.Generator, weights: Floats, rows: Ints) -> Ints:
    """Return one column per row of `weights[rows]`, drawn by weight."""
    share = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    share[:, -1] = 1.0
    flat = (share + np.arange(len(share))[:, None]).ravel()
    drawn = np.searchsorted(flat, rows + rng.random(len(rows)), side="right")
    return np.asarray(np.minimum(drawn - rows * share.shape[1], share.shape[1] - 1))


def draw_traits(seed: int, places: Places, conditions: Conditions, persons: int) -> Traits:
    """Return `persons` adults who got their first permit between 2008 and 2025."""
    rng = stream(seed, "traits")
    year = np.sort(rng.choice(len(_INTAKE), size=persons, p=_INTAKE / _INTAKE.sum()))
    permit = (year * YEAR_DAYS + rng.integers(0, 365, persons)).astype(np.int64).clip(0, LAST_DAY)
    permit.sort()
    basis = rng.choice(3, size=persons, p=[0.62, 0.29, 0.09])
    phase = np.where(year < 5, 0, np.where(year < 10, 1, 2))
    origin = _pick(rng, column("origins", "intake").T, phase)
    is_woman = rng.random(persons) < np.array([0.30, 0.72, 0.66])[basis]
    age = 18 + 46 * rng.beta(1.5, 3.4, persons)
    birth = (permit - age * YEAR_DAYS).astype(np.int64)
    birth = np.where(rng.random(persons) < 0.16, _first_of_january(birth), birth)
    education = _pick(rng, column("origins", "education"), origin)
    has_partner = rng.random(persons) < np.where(basis == 0, 0.42, 0.86) * np.clip((age - 16) / 9, 0.2, 1)
    children = np.where(has_partner, rng.poisson(1.7, persons), rng.poisson(0.25, persons)).clip(0, 8)
    takeover = permit + np.where(basis == 0, rng.integers(14, 75, persons), rng.integers(0, 21, persons))
    end, reason = _ends(rng, takeover, age)
    place = _place(rng, places, conditions, year, basis)
    move_day, move_place = _moves(rng, places, takeover)
    return Traits(
        place=place,
        permit_day=permit,
        takeover_day=takeover,
        basis=basis,
        origin=origin,
        is_woman=is_woman,
        birth_day=birth,
        education=education,
        has_partner=has_partner,
        children=children,
        danish_track=_danish_track(rng, education, age),
        match=_match(rng, education, age, is_woman, children),
        end_day=end,
        end_reason=reason,
        move_day=np.where(move_day < end, move_day, NEVER),
        move_place=move_place,
    )


def _first_of_january(day: Ints) -> Ints:
    """Return 1 January of the day's year: how undocumented birthdays are registered."""
    years = (EPOCH + day).astype("datetime64[Y]")
    return np.asarray((years.astype("datetime64[D]") - EPOCH).astype(np.int64))


def _place(rng: np.random.Generator, places: Places, conditions: Conditions, year: Ints, basis: Ints) -> Ints:
    """Return the receiving place: quotas by population less what lives there already; family follows people."""
    crowded = np.array([p == _QUOTA_FREE_PROVINCE for p in places.provinces])
    weights = []
    for y in range(len(_INTAKE)):
        population, share = at(conditions.population, 2008.5 + y), at(conditions.non_western_share, 2008.5 + y)
        quota = population**0.85 * np.exp(-18 * share) * np.where(crowded, 0.25, 1.0)
        quota[[i for i, size in enumerate(places.sizes) if size == "islet"]] = 0
        family = quota * (share + 0.03)
        weights += [quota / quota.sum(), family / family.sum()]
    return _pick(rng, np.array(weights), 2 * year + (basis > 0))


def _moves(rng: np.random.Generator, places: Places, takeover: Ints) -> tuple[Ints, Ints]:
    """Return day and place of the one move a person makes; it comes after the three programme years."""
    weight = places.size_2016**1.1 * (places.size_2016 > 1_000)
    target = rng.choice(len(weight), size=len(takeover), p=weight / weight.sum())
    wait = (3.0 + rng.exponential(14.0, len(takeover))) * YEAR_DAYS
    return takeover + wait.astype(np.int64), target


def _ends(rng: np.random.Generator, takeover: Ints, age: Floats) -> tuple[Ints, Ints]:
    leave = rng.exponential(45.0, len(age)) * YEAR_DAYS
    death = rng.exponential(1.0, len(age)) * 900.0 * np.exp(-0.07 * (age - 20)) * YEAR_DAYS
    first = np.minimum(leave, death)
    end = np.where(first < 25 * YEAR_DAYS, takeover + 60 + first, NEVER).astype(np.int64)
    reason = np.where(end == NEVER, 0, np.where(leave <= death, 1, 2))
    return end, reason


def _danish_track(rng: np.random.Generator, education: Ints, age: Floats) -> Ints:
    score = np.array([-2.2, -0.6, 0.7, 1.9, -0.3])[education] - 0.03 * (age - 30)
    score = score + rng.logistic(0, 0.6, len(age))
    return np.asarray(1 + (score > -0.8).astype(np.int64) + (score > 1.2))


def _match(
    rng: np.random.Generator, education: Ints, age: Floats, is_woman: npt.NDArray[np.bool_], children: Ints
) -> Ints:
    lean = -0.9 + 0.045 * (age - 32) + 0.5 * is_woman + 0.15 * children
    lean = lean - np.array([-0.4, 0.0, 0.4, 0.7, 0.0])[education]
    return np.asarray((rng.random(len(age)) < 1 / (1 + np.exp(-lean))).astype(np.int64))


def dates(days: Ints | Sequence[int]) -> npt.NDArray[np.datetime64]:
    """Return days since EPOCH as dates; NEVER becomes NaT."""
    values = np.asarray(days, dtype=np.int64)
    return np.where(values >= NEVER, np.datetime64("NaT"), EPOCH + values).astype("datetime64[s]")


# Which measures are planned for whom: local habits, and a choice by traits that confounds comparisons.


STEP = 28
SUBSIDISED = [KINDS.index(kind) for kind in ("private_loentilskud", "public_loentilskud", "igu")]
KEEPS_RUNNING = [KINDS.index("danskuddannelse")]
_PRIVATE = ("private_praktik", "private_loentilskud", "igu", "branchepakke")
_PUBLIC = ("public_praktik", "public_loentilskud")


@dataclass(frozen=True)
class Plans:
    """One row per planned measure; it begins only if the person is then looking for work."""

    person: Ints
    kind: Ints
    start: Ints
    step: Ints
    days: Ints
    hours: Ints
    industry: Ints
    """Position among the industries, -1 for measures outside firms."""
    extra: Floats
    """Added to the log hazard from the start on, beside the effect of the kind."""


def choice_score(kind: str, traits: Traits) -> Floats:
    """Return the logit score by which persons are chosen for a kind of measure, before local habits."""
    ready, woman, decade, schooled = MEASURES[kind]["chosen_for"]
    age = (traits.takeover_day - traits.birth_day) / YEAR_DAYS
    return np.asarray(
        ready * (traits.match == 0)
        + woman * traits.is_woman
        + decade * (age - 32) / 10
        + schooled * np.isin(traits.education, (2, 3))
    )


def draw_plans(
    rng: np.random.Generator,
    traits: Traits,
    conditions: Conditions,
    use_pct: Floats,
    start_days: Floats,
    coefficients: Coefficients,
) -> Plans:
    """Return the planned measures; `use_pct` is places × kinds, `start_days` the local median to a firm."""
    parts = []
    for number, kind in enumerate(KINDS):
        wait, length, weekly = (MEASURES[kind][name] for name in ("wait", "days", "hours"))
        share = np.clip(use_pct[:, number] / 100, 0.002, 0.998)[traits.place]
        score = choice_score(kind, traits)
        logit = np.log(share / (1 - share)) + score - score.mean()
        person = np.flatnonzero(rng.random(len(traits)) < 1 / (1 + np.exp(-logit)))
        n = len(person)
        local = start_days[traits.place[person]] / 36 if kind.endswith("praktik") else np.ones(n)
        start = traits.takeover_day[person] + (wait * local * rng.gamma(1.6, 1 / 1.6, n)).astype(np.int64) + 7
        allowed = start >= day_of(MEASURES[kind].get("available_from", FIRST_DATE))
        person, start, n = person[allowed], start[allowed], int(allowed.sum())
        industry = _placement_industry(rng, kind, traits, conditions, person)
        in_factory = (industry >= 0) & MANUFACTURING[industry] & (kind == "private_praktik")
        parts.append(
            (
                person,
                np.full(n, number),
                start,
                np.minimum(start // STEP + 1, NEVER),
                np.maximum(14, length * rng.gamma(6, 1 / 6, n)).astype(np.int64),
                rng.choice(weekly, n),
                industry,
                coefficients.method_scale * coefficients.manufacturing_placement * in_factory,
            )
        )
    return Plans(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _placement_industry(
    rng: np.random.Generator, kind: str, traits: Traits, conditions: Conditions, person: Ints
) -> Ints:
    if kind not in _PRIVATE + _PUBLIC:
        return np.full(len(person), -1)
    allowed = PUBLIC if kind in _PUBLIC else ~PUBLIC
    mix = conditions.industry_mix * np.where(allowed, 1.0, 1e-9)
    by_sex = [mix * np.exp(0.7 * NEWCOMER_LEAN + sex * WOMEN_LEAN) for sex in (-0.5, 0.5)]
    return _pick(rng, np.concatenate(by_sex), traits.place[person] + len(mix) * traits.is_woman[person])


# What happens to the target group: measures, and the way into ordinary work by four-week steps.
#
# Entering a job is a discrete-time hazard with the planted coefficients of `truth.py`; who gets which
# measure depends on the same traits, so a naive comparison of methods misleads. Vectorised over persons.


STEPS = LAST_DAY // STEP + 1
_PENSION_AGE = 65
_NORMAL_WEEK_SHARE = 0.55
_SAME_INDUSTRY_SHARE = 0.45
_JOB_WEEKS = 115.0


@dataclass(frozen=True)
class Careers:
    """Measures and jobs of everybody; two sets of arrays of equal length, days since the epoch."""

    measure_person: Ints
    measure_kind: Ints
    measure_start: Ints
    measure_end: Ints
    measure_hours: Ints
    measure_industry: Ints
    job_person: Ints
    job_start: Ints
    job_end: Ints
    job_hours: Ints
    job_industry: Ints
    job_workplace: Ints
    job_subsidised: npt.NDArray[np.bool_]


def labour_market(conditions: Conditions, demand: Floats, coefficients: Coefficients) -> Floats:
    """Return what the commuting area's labour market adds to the log hazard, places × steps."""
    when = 2008.0 + (np.arange(STEPS) + 0.5) * STEP / YEAR_DAYS
    reach = conditions.reach_unemployment()
    unemployment = np.column_stack([at(reach, moment) for moment in when])
    return np.asarray(coefficients.unemployment_per_point * (unemployment - 4.0) + demand[:, None])


def person_scores(traits: Traits) -> Floats:
    """Return the log-hazard score of everybody's traits at take-over."""
    b = INVENTED["persons"]
    woman = traits.is_woman.astype(float)
    age = (traits.takeover_day - traits.birth_day) / YEAR_DAYS
    education = np.array([0.0, b["education_primary"], b["education_secondary"], b["education_higher"], 0.0])
    basis = np.array([0.0, b["is_family_of_refugee"], b["is_other_family"]])
    track = np.array([0.0, 0.0, b["danish_track_2"], b["danish_track_3"]])
    return np.asarray(
        b["is_woman"] * woman
        + b["age_over_30_per_decade"] * np.maximum(age - 30, 0) / 10
        + education[traits.education]
        + basis[traits.basis]
        + track[traits.danish_track]
        + b["has_partner"] * traits.has_partner
        + b["women_per_child"] * woman * np.minimum(traits.children, 4)
        + b["match_activity_ready"] * traits.match
        + column("origins", "effect")[traits.origin]
    )


class _Search:
    """The state of everybody while the steps are walked: who is looking, where, with what behind them."""

    def __init__(self, traits: Traits, effects: Floats, plans: Plans, coefficients: Coefficients) -> None:
        n = len(traits)
        self.traits, self.effects, self.plans, self.coefficients = traits, effects, plans, coefficients
        self.base = coefficients.baseline + person_scores(traits)
        self.place = traits.place.copy()
        self.takeover_step = -(-traits.takeover_day // STEP)
        self.search_from = self.takeover_step.copy()
        self.move_step = -(-traits.move_day // STEP)
        self.last_day = np.minimum(traits.end_day, traits.birth_day + int(_PENSION_AGE * YEAR_DAYS))
        self.gained = np.zeros(n)
        self.has_worked = np.zeros(n, dtype=bool)
        self.last_industry = np.full(n, -1)
        self.started: list[Ints] = []
        self.jobs: list[tuple[Ints, Ints, Ints, Ints]] = []


def walk(
    rng: np.random.Generator, traits: Traits, plans: Plans, market: Floats, effects: Floats, coefficients: Coefficients
) -> tuple[Ints, tuple[Ints, Ints, Ints, Ints]]:
    """Return which plans began, and the ordinary jobs as (person, start, end, industry placed in or -1).

    `market` is places × steps (log hazard, municipal effect included), `effects` places × kinds.
    """
    state = _Search(traits, effects, plans, coefficients)
    order = np.argsort(plans.step, kind="stable")
    edges = np.searchsorted(plans.step[order], np.arange(STEPS + 1))
    active = np.empty(0, dtype=np.int64)
    for step in range(STEPS):
        moved = np.flatnonzero(state.move_step == step)
        state.place[moved] = traits.move_place[moved]
        active = np.concatenate([active, np.flatnonzero(state.search_from == step)])
        active = active[state.last_day[active] > (step + 1) * STEP]
        _begin_measures(state, active, order[edges[step] : edges[step + 1]])
        waited = (step - state.takeover_step[active]).astype(float)
        score = (
            state.base[active]
            + state.gained[active]
            + market[state.place[active], step]
            + coefficients.start_penalty * np.exp(-waited / coefficients.start_fade_steps)
            + coefficients.stay_per_year_after_5 * np.maximum(waited / 13 - 5, 0)
        )
        found = rng.random(len(active)) < -np.expm1(-np.exp(score))
        _enter_jobs(rng, state, active[found], step)
        active = active[~found]
    person, start, end, industry = (np.concatenate(parts) for parts in zip(*state.jobs, strict=True))
    return np.concatenate(state.started), (person, start, end, industry)


def _begin_measures(state: _Search, active: Ints, planned: Ints) -> None:
    """Begin the planned measures of those who are looking for work; the others never take part."""
    looking = np.zeros(len(state.base), dtype=bool)
    looking[active] = True
    planned = planned[looking[state.plans.person[planned]]]
    person, kind = state.plans.person[planned], state.plans.kind[planned]
    np.add.at(state.gained, person, state.effects[state.place[person], kind] + state.plans.extra[planned])
    industry = state.plans.industry[planned]
    state.last_industry[person[industry >= 0]] = industry[industry >= 0]
    state.started.append(planned)


def _enter_jobs(rng: np.random.Generator, state: _Search, person: Ints, step: int) -> None:
    n = len(person)
    start = np.maximum(step * STEP + rng.integers(0, STEP, n), state.traits.takeover_day[person])
    short = rng.random(n) < state.coefficients.short_job_share
    weeks = np.where(short, rng.uniform(2, 12.9, n), 13 + rng.exponential(_JOB_WEEKS, n))
    end = np.minimum(start + (7 * weeks).astype(np.int64), state.last_day[person])
    state.jobs.append((person, start, end, state.last_industry[person]))
    first_time = person[~state.has_worked[person]]
    state.gained[first_time] += state.coefficients.employed_before
    state.has_worked[person] = True
    state.search_from[person] = -(-end // STEP) + 1


def draw_careers(
    rng: np.random.Generator,
    traits: Traits,
    plans: Plans,
    conditions: Conditions,
    market: Floats,
    effects: Floats,
    coefficients: Coefficients,
) -> Careers:
    """Return the careers of everybody: ordinary jobs, the measures that began, and the jobs those subsidise."""
    began, (person, start, end, placed) = walk(rng, traits, plans, market, effects, coefficients)
    m_person, m_kind, m_start = plans.person[began], plans.kind[began], plans.start[began]
    m_end = np.minimum(m_start + plans.days[began], traits.end_day[m_person])
    m_end = np.where(np.isin(m_kind, KEEPS_RUNNING), m_end, _cut_by_job(m_person, m_start, m_end, person, start))
    subsidised = np.isin(m_kind, SUBSIDISED)
    industry = _job_industry(rng, traits, conditions, person, start, placed)
    workplace = _pick(rng, conditions.commuting[:, :-1], traits.place_at(start, person))
    paid = m_person[subsidised]
    hours = np.where(
        rng.random(len(person)) < _NORMAL_WEEK_SHARE, 37, rng.choice([8, 12, 16, 20, 25, 30, 32], len(person))
    )
    return Careers(
        measure_person=m_person,
        measure_kind=m_kind,
        measure_start=m_start,
        measure_end=m_end,
        measure_hours=plans.hours[began],
        measure_industry=plans.industry[began],
        job_person=np.concatenate([person, paid]),
        job_start=np.concatenate([start, m_start[subsidised]]),
        job_end=np.concatenate([end, m_end[subsidised]]),
        job_hours=np.concatenate([hours, plans.hours[began][subsidised]]),
        job_industry=np.concatenate([industry, plans.industry[began][subsidised]]),
        job_workplace=np.concatenate([workplace, traits.place_at(m_start[subsidised], paid)]),
        job_subsidised=np.concatenate([np.zeros(len(person), bool), np.ones(len(paid), bool)]),
    )


def _cut_by_job(m_person: Ints, m_start: Ints, m_end: Ints, person: Ints, start: Ints) -> Ints:
    """Return the ends of measures, cut where an ordinary job of the same person begins before."""
    span = 10 * NEVER
    jobs = np.sort(person * span + start)
    nearest = np.searchsorted(jobs, m_person * span + m_start, side="right")
    following = np.append(jobs, np.iinfo(np.int64).max)[nearest]
    same = following // span == m_person
    return np.maximum(np.where(same, np.minimum(m_end, following % span), m_end), m_start + 1)


def _job_industry(
    rng: np.random.Generator, traits: Traits, conditions: Conditions, person: Ints, start: Ints, placed: Ints
) -> Ints:
    """Return the industry of each ordinary job: often where the person was placed, else what is in reach."""
    reach = conditions.commuting[:, :-1] @ conditions.industry_mix
    by_sex = [reach * np.exp(NEWCOMER_LEAN + sex * WOMEN_LEAN) for sex in (-0.5, 0.5)]
    row = traits.place_at(start, person) + len(reach) * traits.is_woman[person]
    drawn = _pick(rng, np.concatenate(by_sex), row)
    stays = (placed >= 0) & (rng.random(len(person)) < _SAME_INDUSTRY_SHARE)
    return np.where(stays, placed, drawn)
