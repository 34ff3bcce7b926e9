"""The target group of the sample world as arrays of days, for counting at many points in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from transforms.areas import areas

if TYPE_CHECKING:
    from flows.sample.world import World

Floats = npt.NDArray[np.float64]
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
