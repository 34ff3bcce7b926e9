"""Which measures are planned for whom: local habits, and a choice by traits that confounds comparisons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flows.sample.persons import EPOCH, NEVER, YEAR_DAYS, Traits, _pick
from flows.sample.world_areas import Floats, Ints
from flows.sample.world_conditions import MANUFACTURING, NEWCOMER_LEAN, PUBLIC, WOMEN_LEAN, Conditions
from flows.sample.world_truth import KINDS, Coefficients

STEP = 28
SUBSIDISED = [KINDS.index(kind) for kind in ("private_loentilskud", "public_loentilskud", "igu")]
KEEPS_RUNNING = [KINDS.index("danskuddannelse")]
_PRIVATE = ("private_praktik", "private_loentilskud", "igu", "branchepakke")
_PUBLIC = ("public_praktik", "public_loentilskud")
# Days from take-over to start (mean), length in days (mean), weekly hours; invented, typical of the kind.
_SHAPE: dict[str, tuple[float, float, tuple[int, ...]]] = {
    "private_praktik": (150, 75, (20, 25, 30, 37)),
    "public_praktik": (150, 85, (15, 20, 25, 30)),
    "private_loentilskud": (420, 150, (30, 37)),
    "public_loentilskud": (450, 120, (30, 37)),
    "igu": (380, 700, (37,)),
    "mentor": (210, 180, (1, 2, 3)),
    "danskuddannelse": (35, 900, (10, 15, 18)),
    "opkvalificering": (220, 60, (25, 37)),
    "branchepakke": (240, 220, (25, 30, 37)),
}
_AVAILABLE_FROM = {"igu": np.datetime64("2016-07-01"), "branchepakke": np.datetime64("2014-01-01")}
# Who gets what: logit weights on job-ready, woman, age (decades from 32), schooled, mother of small children.
_CHOICE: dict[str, tuple[float, float, float, float]] = {
    "private_praktik": (0.8, -0.5, -0.25, 0.2),
    "public_praktik": (-0.3, 0.6, 0.15, 0.0),
    "private_loentilskud": (1.0, -0.5, -0.2, 0.3),
    "public_loentilskud": (0.2, 0.4, 0.1, 0.2),
    "igu": (0.9, -0.4, -0.6, 0.1),
    "mentor": (-1.1, 0.5, 0.2, -0.3),
    "danskuddannelse": (0.0, 0.0, -0.2, 0.0),
    "opkvalificering": (1.3, -0.8, -0.5, 1.1),
    "branchepakke": (0.5, -0.2, -0.2, 0.0),
}


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
    ready, woman, decade, schooled = _CHOICE[kind]
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
    parts = [
        _plan_kind(rng, number, kind, traits, conditions, use_pct[:, number], start_days, coefficients)
        for number, kind in enumerate(KINDS)
    ]
    return Plans(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _plan_kind(
    rng: np.random.Generator,
    number: int,
    kind: str,
    traits: Traits,
    conditions: Conditions,
    use_pct: Floats,
    start_days: Floats,
    coefficients: Coefficients,
) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints, Ints, Floats]:
    wait, length, weekly = _SHAPE[kind]
    share = np.clip(use_pct / 100, 0.002, 0.998)[traits.place]
    score = choice_score(kind, traits)
    logit = np.log(share / (1 - share)) + score - score.mean()
    person = np.flatnonzero(rng.random(len(traits)) < 1 / (1 + np.exp(-logit)))
    n = len(person)
    local = start_days[traits.place[person]] / 36 if kind.endswith("praktik") else np.ones(n)
    start = traits.takeover_day[person] + (wait * local * rng.gamma(1.6, 1 / 1.6, n)).astype(np.int64) + 7
    allowed = start >= int((_AVAILABLE_FROM.get(kind, EPOCH) - EPOCH).astype(int))
    person, start, n = person[allowed], start[allowed], int(allowed.sum())
    industry = _placement_industry(rng, kind, traits, conditions, person)
    in_factory = (industry >= 0) & MANUFACTURING[industry] & (kind == "private_praktik")
    return (
        person,
        np.full(n, number),
        start,
        np.minimum(start // STEP + 1, NEVER),
        np.maximum(14, length * rng.gamma(6, 1 / 6, n)).astype(np.int64),
        rng.choice(weekly, n),
        industry,
        coefficients.method_scale * coefficients.manufacturing_placement * in_factory,
    )


def _placement_industry(
    rng: np.random.Generator, kind: str, traits: Traits, conditions: Conditions, person: Ints
) -> Ints:
    if kind not in _PRIVATE + _PUBLIC:
        return np.full(len(person), -1)
    allowed = PUBLIC if kind in _PUBLIC else ~PUBLIC
    mix = conditions.industry_mix * np.where(allowed, 1.0, 1e-9)
    by_sex = [mix * np.exp(0.7 * NEWCOMER_LEAN + sex * WOMEN_LEAN) for sex in (-0.5, 0.5)]
    return _pick(rng, np.concatenate(by_sex), traits.place[person] + len(mix) * traits.is_woman[person])
