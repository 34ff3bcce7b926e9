"""From permits and employment spells to one time-to-job record per person, and Kaplan-Meier figures of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transforms.errors import DataRefused

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

JOB_WEEKS = 13
FOLLOW_UP_WEEKS = 156
INTERVAL_WEEKS = 13


def first_jobs(cases: pd.DataFrame, employment: pd.DataFrame, until: date, job_weeks: int = JOB_WEEKS) -> pd.DataFrame:
    """Return per person the start of the first job of at least `job_weeks` weeks after the permit.

    Spells that overlap or follow one another without a free day are one job (the length of employment counts,
    not the employer); days before the permit do not count, nor does a job with wage subsidy where that is told. Input:
    cases (person_id, permit_date), employment (person_id, start_date, end_date; empty end = still running at
    `until`; optional is_subsidised). Output: person_id, job_start_date.
    """
    import pandas as pd

    if "is_subsidised" in employment:
        employment = employment[~employment["is_subsidised"].fillna(False).astype(bool)]
    people = pd.Index(cases["person_id"])
    who = people.get_indexer(employment["person_id"])
    frame = pd.DataFrame({"who": who})
    last_day = pd.Timestamp(until)
    frame["start"] = _days(employment["start_date"]).to_numpy()
    frame["end"] = _days(employment["end_date"].fillna(last_day)).clip(upper=_day(last_day)).to_numpy()
    frame = frame[(frame["who"] >= 0) & (frame["end"] >= frame["start"])]
    frame = frame.sort_values(["who", "start"], kind="stable", ignore_index=True)
    reach = frame.groupby("who")["end"].cummax()
    follows = (frame["who"].shift() == frame["who"]) & (frame["start"] <= reach.shift() + 1)
    frame["job"] = (~follows).cumsum()
    jobs = frame.groupby("job", as_index=False).agg(who=("who", "first"), start=("start", "min"), end=("end", "max"))
    permit = _days(cases["permit_date"]).to_numpy()
    jobs["start"] = np.maximum(jobs["start"].to_numpy(), permit[jobs["who"].to_numpy()])
    jobs = jobs[jobs["end"] - jobs["start"] + 1 >= 7 * job_weeks]
    first = jobs.groupby("who")["start"].min()
    return pd.DataFrame({
        "person_id": people[first.index.to_numpy()],
        "job_start_date": pd.to_datetime(first.to_numpy(), unit="D", origin="unix"),
    })  # fmt: skip


def _days(dates: pd.Series[pd.Timestamp]) -> pd.Series[int]:
    import pandas as pd

    return (pd.to_datetime(dates) - pd.Timestamp("1970-01-01")).dt.days


def _day(moment: pd.Timestamp) -> int:
    import pandas as pd

    return (moment - pd.Timestamp("1970-01-01")).days


def person_periods(
    cases: pd.DataFrame, employment: pd.DataFrame, until: date, *,
    job_weeks: int = JOB_WEEKS, follow_up_weeks: int = FOLLOW_UP_WEEKS, interval_weeks: int = INTERVAL_WEEKS,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per case: weeks from permit to first job of >= 13 weeks, censored at three years.

    The outcome of KORA 2017. A job that starts less than 13 weeks before the end of the data, or before the person
    left, cannot be seen to last, so the person counts as followed only until 13 weeks before that day; counting
    such starts as "no job yet" would bias every late cohort.

    Input `cases`: person_id (unique), municipality_code, permit_date, end_date (left, died or got another status;
    may be empty), and any covariates, which are passed through. `employment`: see `first_jobs`.
    Output: the cases plus weeks (to job or censoring), has_job, interval_count (whole intervals at risk, the one
    with the job included; 0 = not followed for one interval) and job_interval (has_job within those intervals).
    Raises DataRefused on a repeated person.
    """
    import pandas as pd

    repeated = cases["person_id"].duplicated()
    if repeated.any():
        row = int(np.flatnonzero(repeated.to_numpy())[0]) + 1
        raise DataRefused(
            f"cases: row {row}: the same person occurs twice; rule: one row per person; keep the first permit"
        )
    permit = _days(cases["permit_date"]).to_numpy(np.float64)
    last = pd.Timestamp(until)
    end = _days(cases["end_date"].fillna(last)).clip(upper=_day(last)).to_numpy(np.float64)
    jobs = first_jobs(cases, employment, until, job_weeks).set_index("person_id")["job_start_date"]
    job = (_days(cases["person_id"].map(jobs)).to_numpy(np.float64) - permit) / 7
    followed = np.clip((end + 1 - permit) / 7 - job_weeks, 0, follow_up_weeks)
    whole = np.floor(followed / interval_weeks + 1e-9)
    # The horizon itself is included: a job starting on the last followed day can be seen to last.
    has_job = np.isfinite(job) & (job <= followed) & (job < follow_up_weeks)
    in_interval = np.floor(np.where(has_job, job, 0) / interval_weeks)
    job_interval = has_job & (in_interval < whole)
    return cases.assign(
        weeks=np.where(has_job, job, followed),
        has_job=has_job,
        interval_count=np.where(job_interval, in_interval + 1, whole).astype(np.int64),
        job_interval=job_interval,
    )


def kaplan_meier(persons: pd.DataFrame, min_n: int = 80) -> pd.DataFrame:
    """Return Kaplan-Meier figures per municipality from `person_periods`.

    Output: municipality_code, n_count, job_count, median_weeks (empty when half have not got a job within the
    follow-up), job_52_weeks_pct, job_104_weeks_pct, job_156_weeks_pct, value_status: `observed`, or `suppressed`
    with no figure under `min_n` persons (under five not even their number). A share is empty beyond the last week
    anyone is followed. Estimator: statsmodels SurvfuncRight (Kaplan and Meier 1958).
    """
    import pandas as pd
    from statsmodels.duration.survfunc import SurvfuncRight

    rows: list[dict[str, object]] = []
    followed = persons[(persons["weeks"] > 0) | persons["has_job"]]
    for code, part in followed.groupby("municipality_code"):
        row: dict[str, object] = {"municipality_code": code, "n_count": len(part)}
        if len(part) >= min_n:
            weeks = part["weeks"].to_numpy(np.float64)
            curve = SurvfuncRight(weeks, part["has_job"].to_numpy(np.int64))
            median = float(curve.quantile(0.5)) if (curve.surv_prob <= 0.5).any() else np.nan
            row |= {"job_count": int(part["has_job"].sum()), "median_weeks": median, "value_status": "observed"}
            for week in (52, 104, 156):
                at = np.searchsorted(curve.surv_times, week, side="right")
                left = float(curve.surv_prob[at - 1]) if at else 1.0
                row[f"job_{week}_weeks_pct"] = 100 * (1 - left) if weeks.max() >= week - 1e-9 else np.nan
        else:
            row["value_status"] = "suppressed"
        rows.append(row)
    shares = [f"job_{week}_weeks_pct" for week in (52, 104, 156)]
    columns = ["municipality_code", "n_count", "job_count", "median_weeks", *shares, "value_status"]
    out = pd.DataFrame(rows, columns=columns)
    out["n_count"] = out["n_count"].where(out["n_count"] >= 5)
    return out.astype({"n_count": "Int64", "job_count": "Int64", **dict.fromkeys(["median_weeks", *shares], "Float64")})
