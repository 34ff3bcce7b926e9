"""The sample world as data frames: what is known on a day, coded texts as categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flows.sample.persons import BASES, EDUCATIONS, END_REASONS, MATCHES, NEVER, ORIGINS, Traits, dates
from flows.sample.persons_careers import Careers
from flows.sample.world_areas import Ints, Places
from flows.sample.world_conditions import FIRST_YEAR, INDUSTRIES, Conditions
from flows.sample.world_truth import KINDS

if TYPE_CHECKING:
    import pandas as pd

_FIRST_FRAME_YEAR = 2008


def _coded(positions: Ints, names: tuple[str, ...]) -> pd.Categorical[str]:
    import pandas as pd

    coded: pd.Categorical[str] = pd.Categorical.from_codes(positions, pd.Index(list(names)))
    return coded


def _known(day: Ints, vintage_day: int) -> Ints:
    """Return days, NEVER where they lie after the vintage: the future is not known."""
    return np.where(day > vintage_day, NEVER, day)


def persons_frame(traits: Traits, places: Places, vintage_day: int) -> pd.DataFrame:
    """Return one row per person with a permit by the vintage, by person_id."""
    import pandas as pd

    known = traits.permit_day <= vintage_day
    end, move = _known(traits.end_day, vintage_day), _known(traits.move_day, vintage_day)
    frame = pd.DataFrame(
        {
            "person_id": np.arange(1, len(traits) + 1),
            "municipality_code": _coded(traits.place, places.codes),
            "permit_date": dates(traits.permit_day),
            "takeover_date": dates(_known(traits.takeover_day, vintage_day)),
            "residence_basis": _coded(traits.basis, BASES),
            "origin_code": _coded(traits.origin, ORIGINS),
            "sex_code": _coded(traits.is_woman.astype(np.int64), ("M", "K")),
            "birth_date": dates(traits.birth_day),
            "education": _coded(traits.education, EDUCATIONS),
            "has_partner": traits.has_partner,
            "children_count": traits.children,
            "danish_track": traits.danish_track,
            "match_category": _coded(traits.match, MATCHES),
            "end_date": dates(end),
            "end_reason": _coded(np.where(end < NEVER, traits.end_reason, 0), END_REASONS),
            "move_date": dates(move),
            "move_municipality_code": _coded(np.where(move < NEVER, traits.move_place, -1), places.codes),
        }
    )
    return frame[known].reset_index(drop=True)


def measures_frame(careers: Careers, vintage_day: int) -> pd.DataFrame:
    """Return one row per measure begun by the vintage, by person and start."""
    import pandas as pd

    order = np.lexsort((careers.measure_kind, careers.measure_start, careers.measure_person))
    order = order[careers.measure_start[order] <= vintage_day]
    return pd.DataFrame(
        {
            "person_id": careers.measure_person[order] + 1,
            "kind": _coded(careers.measure_kind[order], KINDS),
            "start_date": dates(careers.measure_start[order]),
            "end_date": dates(_known(careers.measure_end[order], vintage_day)),
            "weekly_hours": careers.measure_hours[order],
            "industry_code": _coded(careers.measure_industry[order], INDUSTRIES),
        }
    )


def spells_frame(careers: Careers, places: Places, vintage_day: int) -> pd.DataFrame:
    """Return one row per employment spell begun by the vintage, by person and start."""
    import pandas as pd

    order = np.lexsort((careers.job_end, careers.job_start, careers.job_person))
    order = order[careers.job_start[order] <= vintage_day]
    return pd.DataFrame(
        {
            "person_id": careers.job_person[order] + 1,
            "start_date": dates(careers.job_start[order]),
            "end_date": dates(_known(careers.job_end[order], vintage_day)),
            "weekly_hours": careers.job_hours[order],
            "industry_code": _coded(careers.job_industry[order], INDUSTRIES),
            "workplace_code": _coded(careers.job_workplace[order], places.codes),
            "is_subsidised": careers.job_subsidised[order],
        }
    )


def conditions_frame(places: Places, conditions: Conditions, last_year: int) -> pd.DataFrame:
    """Return one row per place and year from 2008 to `last_year`: the planted framework conditions."""
    import pandas as pd

    years = np.arange(_FIRST_FRAME_YEAR, last_year + 1)
    at_year = years - FIRST_YEAR
    reach = conditions.reach_unemployment()
    yearly = {
        "population_count": conditions.population,
        "non_western_share": conditions.non_western_share,
        "unemployment_pct": conditions.unemployment_pct,
        "reach_unemployment_pct": reach,
        "income_dkk": conditions.income_dkk,
        "dwellings_per_person": conditions.dwellings_per_person,
        "spending_dkk": conditions.spending_dkk,
    }
    fixed = {
        "urbanity": places.urbanity,
        "education_lean": conditions.education_lean,
        "reach_manufacturing_share": conditions.manufacturing_share,
        "reach_newcomer_demand": conditions.newcomer_demand,
    }
    frame = pd.DataFrame(
        {
            "municipality_code": np.repeat(places.codes, len(years)),
            "year": np.tile(years, len(places.codes)),
            **{name: values[:, at_year].ravel() for name, values in yearly.items()},
            **{name: np.repeat(values, len(years)) for name, values in fixed.items()},
        }
    )
    return frame
