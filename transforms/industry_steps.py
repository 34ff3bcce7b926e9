"""The step that matches industries to municipalities, and the frames only it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transforms import frames
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

INDUSTRY_TABLES = frozenset(
    {
        "model.commuting_area",
        "model.placement",
        "staging.statbank_ras302",
        "staging.statbank_ras308",
        "core.area",
        "core.openings",
        "core.industry_shortage",
        "reference.codelists",
    }
)
"""What `industry_step` reads."""


def industry_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return how each industry fits each municipality: jobs and openings in reach, growth, absorption and shortage."""
    from transforms.models.industries import (
        jobs_in_reach,
        match_industries,
        national_absorption,
        placement_to_job,
        present_use,
    )
    from transforms.models.openings import openings_in_reach

    jobs = frames.industry_jobs(warehouse)
    employed = frames.national_industries(warehouse)
    areas = warehouse.frame("SELECT * FROM model.commuting_area ORDER BY 1")
    if jobs.empty or employed.empty:
        return frames.empty(INDUSTRY_COLUMNS)
    reach = jobs_in_reach(jobs, areas, int(jobs["year"].max()))
    taken = frames.placements(warehouse)
    posted, entered = openings(warehouse), shortage(warehouse)
    by_industry = taken.groupby("industry_code", as_index=False)[["placements_count", "followed_by_job_count"]].sum()
    return match_industries(
        reach,
        national_absorption(employed),
        frames.industries(warehouse),
        openings=None if posted.empty else openings_in_reach(posted, areas),
        shortage=None if entered.empty else entered,
        to_job=None if taken.empty else placement_to_job(by_industry),
        use=None if taken.empty else present_use(taken),
    )


INDUSTRY_COLUMNS = [
    "municipality_code",
    "industry_code",
    "jobs_in_reach_count",
    "jobs_growth_pct",
    "absorption_pct",
    "openings_count",
    "openings_status",
    "shortage_class",
    "shortage_class_status",
    "placement_to_job_pct",
    "placement_to_job_status",
    "present_use_pct",
    "present_use_status",
    "score",
    "score_rank",
    "score_factors",
    "is_estimated",
    "value_status",
    "reason_da",
    "reason_en",
]


def openings(warehouse: Warehouse) -> pd.DataFrame:
    """Return openings posted over twelve months per municipality and industry (37 groups), each with its status."""
    return warehouse.frame(
        """
        SELECT municipality_code, industry_code, openings_posted_count::DOUBLE AS openings_posted_count, value_status
        FROM core.openings ORDER BY ALL
        """
    )


def shortage(warehouse: Warehouse) -> pd.DataFrame:
    """Return the shortage class in force per municipality and industry, where one has been entered."""
    return warehouse.frame(
        "SELECT municipality_code, industry_code, shortage_class FROM core.industry_shortage ORDER BY ALL"
    )
