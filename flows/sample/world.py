"""The sample world: a seeded, synthetic Denmark with real municipalities and invented people.

SYNTHETIC / SYNTETISKE DATA. A world is a recipe (seed, size, vintage); its parts are simulated when they are
first asked for, each from its own random stream, so the same recipe always gives the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.sample.persons import EPOCH, Traits, draw_traits
from flows.sample.persons_careers import Careers, draw_careers, labour_market, weeks_to_lasting_job
from flows.sample.persons_plans import draw_plans
from flows.sample.population import Population
from flows.sample.population_labour import Labour
from flows.sample.world_areas import Floats, Places, read_places, stream
from flows.sample.world_conditions import Conditions, draw_conditions, standardise
from flows.sample.world_frames import conditions_frame, measures_frame, persons_frame, spells_frame
from flows.sample.world_organisation import contexts, draw_organisation
from flows.sample.world_truth import CONTEXTS, KINDS, USELESS_METHOD, Coefficients

if TYPE_CHECKING:
    import pandas as pd

SYNTHETIC_MARK = "SYNTHETIC / SYNTETISKE DATA"
DEFAULT_SEED = 2016
DEFAULT_PERSONS = 60_000
DEFAULT_MUNICIPAL_SD = 0.25
WORLD_END = date(2025, 12, 31)


@dataclass(frozen=True)
class World:
    """A synthetic Denmark; frames hold what is known at `vintage`, `truth` what was planted."""

    seed: int
    vintage: date
    person_count: int
    municipal_sd: float
    coefficients: Coefficients

    @cached_property
    def places(self) -> Places:
        """The 98 municipalities and Christiansø."""
        return read_places(self.seed)

    @cached_property
    def framework(self) -> Conditions:
        """The framework conditions as arrays, places × years."""
        return draw_conditions(self.seed, self.places)

    @cached_property
    def organisation(self) -> pd.DataFrame:
        """One row per municipality: the fields of the organisation questionnaire."""
        return draw_organisation(self.seed, self.places, self.framework)

    @cached_property
    def municipal_effect(self) -> Floats:
        """The planted effect of each place on the log hazard (0 for Christiansø), mean 0."""
        drawn = stream(self.seed, "municipal effect").normal(0, 1, len(self.places.codes))
        drawn[[size == "islet" for size in self.places.sizes]] = 0
        return np.asarray(self.municipal_sd * (drawn - drawn.mean()))

    @cached_property
    def traits(self) -> Traits:
        """The target group as arrays, whatever the vintage."""
        return draw_traits(self.seed, self.places, self.framework, self.person_count)

    @cached_property
    def method_effects(self) -> Floats:
        """The planted effect of each kind of measure in each place, places × kinds."""
        context = contexts(self.organisation, self.framework, self.places)
        effects = np.zeros((len(context), len(KINDS)))
        for number, kind in enumerate(KINDS):
            by_context = self.coefficients.method_by_context.get(kind, {})
            weights = np.array([by_context.get(name, 0.0) for name in CONTEXTS])
            effects[:, number] = self.coefficients.methods[kind] + context @ weights
        return np.asarray(self.coefficients.method_scale * effects)

    @cached_property
    def careers(self) -> Careers:
        """Measures and jobs of everybody as arrays, whatever the vintage."""
        rng = stream(self.seed, "careers")
        rows = self.organisation.set_index("municipality_code").reindex(list(self.places.codes))
        use = rows[[f"use_{kind}_pct" for kind in KINDS]].fillna(10.0).to_numpy(dtype=float)
        start = rows["start_firm_directed_days_median"].fillna(36.0).to_numpy(dtype=float)
        plans = draw_plans(rng, self.traits, self.framework, use, start, self.coefficients)
        conditions, b = self.framework, self.coefficients
        demand = (
            b.manufacturing_share_z * standardise(conditions.manufacturing_share)
            + b.non_western_demand_z * standardise(conditions.newcomer_demand)
            + self.municipal_effect
        )
        market = labour_market(conditions, demand, b)
        return draw_careers(rng, self.traits, plans, conditions, market, self.method_effects, b)

    @cached_property
    def population(self) -> Population:
        """Counts of everybody, at any day."""
        return Population(self)

    @cached_property
    def labour(self) -> Labour:
        """Counts of employed persons by home, workplace and industry."""
        return Labour(self)

    @property
    def vintage_day(self) -> int:
        """Days from the epoch to the vintage."""
        return int((np.datetime64(self.vintage) - EPOCH).astype(int))

    @cached_property
    def persons(self) -> pd.DataFrame:
        """One row per person with a permit by the vintage."""
        return persons_frame(self.traits, self.places, self.vintage_day)

    @cached_property
    def measures(self) -> pd.DataFrame:
        """One row per measure begun by the vintage; no end yet where it still runs."""
        return measures_frame(self.careers, self.vintage_day)

    @cached_property
    def employment(self) -> pd.DataFrame:
        """One row per employment spell begun by the vintage, subsidised ones included."""
        return spells_frame(self.careers, self.places, self.vintage_day)

    @cached_property
    def conditions(self) -> pd.DataFrame:
        """One row per municipality and year from 2008 to the vintage: the framework conditions."""
        return conditions_frame(self.places, self.framework, self.vintage.year)

    @cached_property
    def truth(self) -> dict[str, Any]:
        """Everything planted, as plain data; for tests of the statistics, never for the pipeline."""
        codes = self.places.codes
        weeks = weeks_to_lasting_job(self.traits, self.careers)
        return {
            "mark": SYNTHETIC_MARK,
            "seed": self.seed,
            "persons": self.person_count,
            "municipal_sd": self.municipal_sd,
            "municipal_effect": dict(zip(codes, self.municipal_effect.round(6).tolist(), strict=True)),
            "coefficients": self.coefficients.as_dict(),
            "useless_method": USELESS_METHOD,
            "contexts": list(CONTEXTS),
            "method_effect_by_municipality": {
                kind: dict(zip(codes, self.method_effects[:, k].round(6).tolist(), strict=True))
                for k, kind in enumerate(KINDS)
            },
            "mean_weeks_to_lasting_job_within_3_years": float(np.fmin(weeks, 156).clip(max=156).mean().round(2)),
        }


def build_world(
    seed: int = DEFAULT_SEED,
    vintage: date | None = None,
    persons: int = DEFAULT_PERSONS,
    municipal_sd: float = DEFAULT_MUNICIPAL_SD,
    method_scale: float = 1.0,
) -> World:
    """Return the world of `seed` as known on `vintage` (the end of 2025 when None); nothing is simulated yet.

    `municipal_sd` is the spread of the municipal effect on the log hazard, 0 for none; `method_scale`
    multiplies every effect of the measures, 0 for a world where no method works.
    """
    return World(
        seed=seed,
        vintage=min(vintage or WORLD_END, WORLD_END),
        person_count=persons,
        municipal_sd=municipal_sd,
        coefficients=Coefficients(method_scale=method_scale),
    )


def write_truth(world: World, folder: Path) -> Path:
    """Write everything planted as `truth.json` into `folder`; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "truth.json"
    path.write_text(json.dumps(world.truth, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path
