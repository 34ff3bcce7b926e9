"""Spells of persons: time to a first job, and time at risk cut where measures begin."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from transforms.errors import DataRefused
from transforms.statistics.tally import Integers, Tally, tally

if TYPE_CHECKING:
    import pandas as pd


# From permits and employment spells to one time-to-job record per person, and Kaplan-Meier figures of them.


JOB_WEEKS = 13
FOLLOW_UP_WEEKS = 156
INTERVAL_WEEKS = 13


def first_jobs(cases: pd.DataFrame, employment: pd.DataFrame, until: date) -> pd.DataFrame:
    """Return per person the start of the first job of at least JOB_WEEKS weeks after the permit.

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
    last_day = pd.Timestamp(until)
    start = _days(employment["start_date"]).to_numpy()
    end = _days(employment["end_date"].fillna(last_day)).clip(upper=_day(last_day)).to_numpy()
    told = np.flatnonzero((who >= 0) & (end >= start))
    told = told[np.lexsort((start[told], who[told]))]
    who, start, end = who[told], start[told].astype(np.int64), end[told].astype(np.int64)
    line = who * A_LIFE  # everybody has a stretch of one line of days: the furthest day reached is of the same person
    reach = np.maximum.accumulate(line + end)
    begins = np.ones(len(who), dtype=np.bool_)
    begins[1:] = (line + start)[1:] > reach[:-1] + 1
    ends = np.roll(begins, -1)
    who, start, end = who[begins], start[begins], (reach - line)[ends]
    start = np.maximum(start, _days(cases["permit_date"]).to_numpy()[who])
    lasts = end - start + 1 >= 7 * JOB_WEEKS
    who, first = np.unique(who[lasts], return_index=True)
    return pd.DataFrame({
        "person_id": people[who],
        "job_start_date": pd.to_datetime(start[lasts][first], unit="D", origin="unix"),
    })  # fmt: skip


A_LIFE = 2**21
"""More days than lie between any two that are told."""


def _days(dates: pd.Series[pd.Timestamp]) -> pd.Series[int]:
    import pandas as pd

    return (pd.to_datetime(dates) - pd.Timestamp("1970-01-01")).dt.days


def _day(moment: pd.Timestamp) -> int:
    import pandas as pd

    return (moment - pd.Timestamp("1970-01-01")).days


def person_periods(cases: pd.DataFrame, employment: pd.DataFrame, until: date) -> pd.DataFrame:
    """Return one row per case: weeks from permit to first job of >= 13 weeks, censored at three years.

    The outcome of KORA 2017. A job that starts less than 13 weeks before the end of the data, or before the person
    left, cannot be seen to last, so the person counts as followed only until 13 weeks before that day; counting
    such starts as "no job yet" would bias every late cohort.

    Input `cases`: person_id (unique within a municipality), municipality_code, permit_date, end_date (left, died or
    got another status; may be empty), optional entry_date (moved in: at risk here only from then on) and last_date
    (the municipality's own last day), and any covariates, which are passed through. `employment`: see `first_jobs`.
    Output: the cases plus weeks (to job or censoring), has_job, interval_count (whole intervals at risk, the one
    with the job included; 0 = not followed for one interval), job_interval (has_job within those intervals) and
    first_interval (the first whole one here; at or above interval_count when the person was never at risk here).
    Raises DataRefused on a repeated person.
    """
    import pandas as pd

    keys = ["person_id", "municipality_code"] if "entry_date" in cases else ["person_id"]
    repeated = cases.duplicated(keys)
    if repeated.any():
        row = int(np.flatnonzero(repeated.to_numpy())[0]) + 1
        raise DataRefused(
            f"cases: row {row}: the same person occurs twice; rule: one row per person; keep the first permit"
        )
    permit = _days(cases["permit_date"]).to_numpy(np.float64)
    last = pd.Timestamp(until)
    own = _days(cases["last_date"].fillna(last)) if "last_date" in cases else pd.Series(_day(last), index=cases.index)
    end = _days(cases["end_date"]).fillna(own).clip(upper=own).to_numpy(np.float64)
    one_each = cases.drop_duplicates("person_id")
    jobs = first_jobs(one_each, employment, until).set_index("person_id")["job_start_date"]
    # Not `map`, which takes an empty series of dates for one of numbers and fails where nobody has a job.
    job = (_days(jobs.reindex(cases["person_id"])).to_numpy(np.float64) - permit) / 7
    seen = (end + 1 - permit) / 7 - JOB_WEEKS
    followed = np.clip(seen, 0, FOLLOW_UP_WEEKS)
    whole = np.floor(followed / INTERVAL_WEEKS)
    # The last followed day itself is included: a job starting on it can be seen to last, if there is such a day.
    has_job = np.isfinite(job) & (job <= seen) & (job < FOLLOW_UP_WEEKS)
    in_interval = np.floor(job / INTERVAL_WEEKS)
    job_interval = has_job & (in_interval < whole)
    entry = _days(cases["entry_date"]).to_numpy(np.float64) if "entry_date" in cases else permit
    first = np.ceil(np.maximum(entry - permit, 0) / 7 / INTERVAL_WEEKS)
    return cases.assign(
        first_interval=first.astype(np.int64),
        weeks=np.where(has_job, job, followed),
        has_job=has_job,
        interval_count=np.where(job_interval, in_interval + 1, whole).astype(np.int64),
        job_interval=job_interval,
    )


# Time at risk cut where measures begin and end: a person is exposed from the start of a measure on, never before.


STEP_WEEKS = 4
Variant = Literal["started", "phases", "lagged", "first_weeks"]
TWO_PARTS: tuple[Variant, ...] = ("phases", "first_weeks")
"""Variants that tell two parts of an exposure apart, by a bit each."""
LAG_WEEKS = 13


def measure_weeks(cases: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
    """Return measures on the clock of the person: person_id, method_code, start_week, end_week since the permit.

    Input `cases`: person_id, permit_date. Input `measures`: person_id, method_code, start_date, end_date (empty =
    still running). Measures of persons who are not among the cases are left out.
    """
    import pandas as pd

    frame = measures.merge(cases[["person_id", "permit_date"]], on="person_id", how="inner")
    permit = pd.to_datetime(frame["permit_date"])
    for name in ("start", "end"):
        frame[f"{name}_week"] = (pd.to_datetime(frame[f"{name}_date"]) - permit).dt.days / 7
    return frame[["person_id", "method_code", "start_week", "end_week"]]


def histories(persons: pd.DataFrame, measures: pd.DataFrame, covariates: list[str]) -> tuple[Tally, dict[str, int]]:
    """Return persons counted by what they bring along, how long they were followed and which measures had begun when.

    Input `persons`: person_id, municipality_code, weeks, has_job, `covariates`; `measures`: `measure_weeks` output.
    Who was not followed through one step is left out. Columns: municipality_code, covariates, stop (steps followed),
    has_event, and `took <method>`: the steps by which its first start had happened, had happened LAG_WEEKS ago, and by
    which it had ended, each at most `stop`, as one number; empty where it never began in time. Beside it: method -> how
    many of them were exposed to it in time.
    """
    import pandas as pd

    persons = persons[(persons["weeks"] >= STEP_WEEKS) | persons["has_job"]]
    weeks, job = persons["weeks"].to_numpy(np.float64), persons["has_job"].to_numpy(bool)
    stop = np.floor(weeks / STEP_WEEKS).astype(np.int64) + job
    who = pd.Index(persons["person_id"]).get_indexer(measures["person_id"])
    begin, end = measures["start_week"].to_numpy(np.float64), measures["end_week"].to_numpy(np.float64)
    method = measures["method_code"].astype("category").array
    known = np.flatnonzero(who >= 0)
    exposed = dict.fromkeys(sorted(method[known].unique()), 0)
    # The first start of each method, where it lies in the time its person was followed.
    found = known[begin[known] <= weeks[who[known]]]
    taken = who[found] * len(method.categories) + method.codes[found]
    order = np.lexsort((begin[found], taken))
    found = found[order][np.flatnonzero(np.diff(taken[order], prepend=-1))]
    who, method, begin, end = who[found], method[found], begin[found], end[found]
    limit = stop[who]
    begun, lagged = (_step(begin + wait) for wait in (0, LAG_WEEKS))
    ended = np.maximum(_step(end), begun)
    steps = begun
    for later in (lagged, ended):
        steps = steps * STEPS + np.minimum(later, limit)
    rows = persons[["municipality_code", *covariates]].assign(stop=stop, has_event=job)
    for name in exposed:
        exposed[name] = int(((method == name) & (begin < weeks[who])).sum())
        chosen = (method == name) & (begun < limit)
        told, is_empty = np.zeros(len(persons), dtype=np.int64), np.ones(len(persons), dtype=np.bool_)
        told[who[chosen]], is_empty[who[chosen]] = steps[chosen], False
        rows[TOOK + name] = pd.arrays.IntegerArray(told, is_empty)
    return tally(rows, list(rows.columns)), exposed


TOOK = "took "
STEPS = 256
"""More steps than anybody is followed for."""


def exposure_spans(cells: Tally, methods: list[str], variant: Variant = "started") -> Tally:
    """Return the spans of `hazard.build_cells`: the time of `histories` until job or censoring, cut at measure starts.

    A step of four weeks counts as exposed when the measure had begun by its first day. Attributing the time before
    the start to the measure would give it weeks in which nobody could have found a job and still have been in it
    (immortal time; Suissa 2008, Am. J. Epidemiol. 167:492). Only the first start of each method counts.

    Columns: those of `cells` (its `stop` and `has_event` are the span's) and first, mask. Bit k of mask: method k has
    begun (`started`); it began at least LAG_WEEKS ago (`lagged`); `phases` uses bit k while the method runs and bit
    k + len(methods) afterwards, and `first_weeks` so for the first step after the start and the time behind it.
    """
    stop, job = cells.values("stop").astype(np.int64), cells.values("has_event").astype(bool)
    base, zero = np.arange(len(cells)), np.zeros(len(cells), dtype=np.int64)
    cuts = [(base, zero, zero)]
    for k, method in [each for each in enumerate(methods) if TOOK + each[1] in cells.levels]:
        told = np.array(cells.levels[TOOK + method], dtype=np.float64)[cells.codes[TOOK + method]]
        who = np.flatnonzero(~np.isnan(told))
        steps = told[who].astype(np.int64)
        begun, lagged, ended = steps // STEPS**2, steps // STEPS % STEPS, steps % STEPS
        one = np.full_like(who, 1 << k)
        cuts.append((who, lagged if variant == "lagged" else begun, one))
        if variant in TWO_PARTS:
            cuts.append((who, ended if variant == "phases" else begun + 1, (one << len(methods)) - one))
    who, first, mask = (np.concatenate(column) for column in zip(*cuts, strict=True))
    wanted = first < stop[who]
    who, first, mask = (column[wanted] for column in (who, first, mask))
    order = np.lexsort((first, who))
    who, first, mask = who[order], first[order], mask[order]
    new = np.flatnonzero(np.append(True, np.diff(who).astype(bool) | np.diff(first).astype(bool)))
    owner, first = who[new], first[new]
    begins = np.append(True, owner[1:] != owner[:-1])
    masks = _running(np.add.reduceat(mask, new), begins)
    last = np.append(begins[1:], True)
    until = np.where(last, stop[owner], np.roll(first, -1))
    spans = {"first": first, "stop": until, "has_event": last & job[owner], "mask": masks}
    whole = cells.only([name for name in cells.levels if name not in spans])
    return whole.where(owner).with_columns(spans)


def _running(values: Integers, begins: npt.NDArray[np.bool_]) -> Integers:
    """Return the running sums of values, from anew where an owner begins."""
    total = np.cumsum(values)
    before = (total - values)[begins]
    return np.asarray(total - before[np.cumsum(begins) - 1], dtype=np.int64)


def _step(week: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the first whole step that begins at or after a week; far beyond any follow-up when never."""
    capped = np.clip(np.nan_to_num(week, nan=np.inf), 0, STEPS * STEP_WEEKS)
    return np.ceil(capped / STEP_WEEKS).astype(np.int64)
