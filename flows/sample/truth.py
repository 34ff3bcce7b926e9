"""What is planted in the sample world: every coefficient the statistics must find again.

All figures are invented for the test bench; their signs follow what studies of refugees' way to work
report (KORA 2017; KL 2017 on placements by industry), their sizes are ours. The pipeline never reads them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

KINDS: tuple[str, ...] = (
    "private_praktik",
    "public_praktik",
    "private_loentilskud",
    "public_loentilskud",
    "igu",
    "mentor",
    "danskuddannelse",
    "opkvalificering",
    "branchepakke",
)
USELESS_METHOD = "opkvalificering"
"""Planted without any effect, and given to those who find work anyway: a naive comparison praises it."""

CONTEXTS: tuple[str, ...] = ("is_colocated", "job_consultants_z", "manufacturing_share_z", "has_danish_parallel")


def _method_effects() -> dict[str, float]:
    return {
        "private_praktik": 0.40,
        "public_praktik": 0.05,
        "private_loentilskud": 0.35,
        "public_loentilskud": 0.10,
        "igu": 0.25,
        "mentor": 0.20,
        "danskuddannelse": 0.15,
        "opkvalificering": 0.0,
        "branchepakke": 0.30,
    }


def _context_effects() -> dict[str, dict[str, float]]:
    return {
        "private_praktik": {"is_colocated": 0.25, "manufacturing_share_z": 0.20},
        "private_loentilskud": {"job_consultants_z": 0.20},
        "branchepakke": {"manufacturing_share_z": 0.15, "job_consultants_z": 0.15},
        "danskuddannelse": {"has_danish_parallel": 0.20},
    }


PERSONS = {
    "is_woman": -0.55,
    "age_over_30_per_decade": -0.22,
    "education_primary": 0.10,
    "education_secondary": 0.25,
    "education_higher": 0.30,
    "is_family_of_refugee": -0.10,
    "is_other_family": 0.20,
    "has_partner": 0.08,
    "women_per_child": -0.12,
    "danish_track_2": 0.20,
    "danish_track_3": 0.35,
    "match_activity_ready": -0.60,
}
ORIGINS = {"SYR": 0.0, "ERI": 0.30, "AFG": 0.10, "IRN": 0.05, "IRQ": -0.25, "SOM": -0.35, "MMR": 0.25, "COD": 0.05}


@dataclass(frozen=True)
class Coefficients:
    """Log-hazard coefficients of entering ordinary employment per four weeks."""

    baseline: float = -3.45
    """Log hazard of the reference person in the fourth year, average labour market."""
    start_penalty: float = -2.2
    """Added on the day of take-over, fading with `start_fade_steps`."""
    start_fade_steps: float = 11.0
    employed_before: float = 0.55
    """Added after the first ordinary job has ended."""
    stay_per_year_after_5: float = -0.05
    unemployment_per_point: float = -0.13
    """Per percentage point of unemployment in the commuting area, around 4 pct."""
    manufacturing_share_z: float = 0.12
    """Per standard deviation of the manufacturing share in the commuting area."""
    non_western_demand_z: float = 0.10
    """Per standard deviation of jobs in industries that hire newcomers, in the commuting area."""
    manufacturing_placement: float = 0.35
    """Extra effect of a private placement in manufacturing."""
    short_job_share: float = 0.22
    """Share of ordinary jobs that last less than 13 weeks, whoever gets them."""
    method_scale: float = 1.0
    methods: dict[str, float] = field(default_factory=_method_effects)
    method_by_context: dict[str, dict[str, float]] = field(default_factory=_context_effects)
    persons: dict[str, float] = field(default_factory=PERSONS.copy)
    origins: dict[str, float] = field(default_factory=ORIGINS.copy)

    def as_dict(self) -> dict[str, object]:
        """Return the coefficients as plain data."""
        return asdict(self)
