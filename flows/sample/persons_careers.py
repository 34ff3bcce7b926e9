"""What happens to the target group: measures, and the way into ordinary work by four-week steps.

Entering a job is a discrete-time hazard with the planted coefficients of `world_truth`; who gets which
measure depends on the same traits, so a naive comparison of methods misleads. Vectorised over persons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flows.sample.persons import LAST_DAY, NEVER, YEAR_DAYS, Traits, _pick
from flows.sample.persons_plans import KEEPS_RUNNING, SUBSIDISED, Plans
from flows.sample.world_areas import Floats, Ints
from flows.sample.world_conditions import NEWCOMER_LEAN, WOMEN_LEAN, Conditions, at
from flows.sample.world_truth import Coefficients

STEP = 28
STEPS = LAST_DAY // STEP + 1
LASTING_DAYS = 91
"""A lasting job is 13 weeks or more."""
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


def person_scores(traits: Traits, coefficients: Coefficients) -> Floats:
    """Return the log-hazard score of everybody's traits at take-over."""
    b = coefficients.persons
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
        + np.array(list(coefficients.origins.values()))[traits.origin]
    )


class _Search:
    """The state of everybody while the steps are walked: who is looking, where, with what behind them."""

    def __init__(self, traits: Traits, effects: Floats, plans: Plans, coefficients: Coefficients) -> None:
        n = len(traits)
        self.traits, self.effects, self.plans, self.coefficients = traits, effects, plans, coefficients
        self.base = coefficients.baseline + person_scores(traits, coefficients)
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
    rng: np.random.Generator,
    traits: Traits,
    plans: Plans,
    market: Floats,
    effects: Floats,
    coefficients: Coefficients,
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
    workplace = _workplace(rng, traits, conditions, person, start)
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
        job_workplace=np.concatenate([workplace, traits.place_at_each(paid, m_start[subsidised])]),
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
    row = traits.place_at_each(person, start) + len(reach) * traits.is_woman[person]
    drawn = _pick(rng, np.concatenate(by_sex), row)
    stays = (placed >= 0) & (rng.random(len(person)) < _SAME_INDUSTRY_SHARE)
    return np.where(stays, placed, drawn)


def _workplace(rng: np.random.Generator, traits: Traits, conditions: Conditions, person: Ints, start: Ints) -> Ints:
    return _pick(rng, conditions.commuting[:, :-1], traits.place_at_each(person, start))


def weeks_to_lasting_job(traits: Traits, careers: Careers) -> Floats:
    """Return weeks from take-over to the first ordinary job of 13 weeks or more; NaN where there is none."""
    lasting = ~careers.job_subsidised & (careers.job_end - careers.job_start >= LASTING_DAYS)
    first = np.full(len(traits), np.inf)
    person = careers.job_person[lasting]
    np.minimum.at(first, person, careers.job_start[lasting] - traits.takeover_day[person])
    return np.where(np.isfinite(first), first / 7, np.nan)
