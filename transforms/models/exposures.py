"""Time at risk cut where measures begin and end: a person is exposed from the start of a measure on, never before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

STEP_WEEKS = 4
Variant = Literal["started", "phases", "lagged", "without_first_weeks"]
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


def exposure_spans(
    persons: pd.DataFrame,
    measures: pd.DataFrame,
    methods: list[str],
    covariates: list[str],
    variant: Variant = "started",
) -> pd.DataFrame:
    """Return the spans of `cells.build_cells`: every person's time until job or censoring, cut at measure starts.

    A step of four weeks counts as exposed when the measure had begun by its first day. Attributing the time before
    the start to the measure would give it weeks in which nobody could have found a job and still have been in it
    (immortal time; Suissa 2008, Am. J. Epidemiol. 167:492). Only the first start of each method counts.

    Input `persons`: person_id, municipality_code, weeks, has_job, `covariates`; `measures`: `measure_weeks` output.
    Output: municipality_code, covariates, first, stop, has_event, mask. Bit k of mask: method k has begun (`started`);
    it began at least LAG_WEEKS ago (`lagged`); `without_first_weeks` drops the first step after any start;
    `phases` uses bit k while the method runs and bit k + len(methods) afterwards.
    """
    import pandas as pd

    weeks, job = persons["weeks"].to_numpy(np.float64), persons["has_job"].to_numpy(bool)
    stop = np.floor(weeks / STEP_WEEKS + 1e-9).astype(np.int64) + job
    who = pd.Index(persons["person_id"]).get_indexer(measures["person_id"])
    frame = pd.DataFrame({"who": who, "k": measures["method_code"].map({m: k for k, m in enumerate(methods)})})
    frame["start"], frame["end"] = measures["start_week"].to_numpy(), measures["end_week"].to_numpy()
    frame = frame[(frame["who"] >= 0) & frame["k"].notna() & frame["start"].notna()]
    frame = frame.sort_values(["who", "k", "start"], kind="stable").drop_duplicates(["who", "k"])
    k = frame["k"].to_numpy(np.int64)
    begun = _step(frame["start"].to_numpy(np.float64) + (LAG_WEEKS if variant == "lagged" else 0))
    person = frame["who"].to_numpy(np.int64)
    base = np.arange(len(persons))
    zero = np.zeros(len(persons), dtype=np.int64)
    cuts = [(base, zero, zero, zero), (person, begun, 1 << k, np.zeros_like(k))]
    if variant == "phases":
        ended = np.maximum(_step(frame["end"].fillna(np.inf).to_numpy(np.float64)), begun)
        cuts.append((person, ended, (1 << (k + len(methods))) - (1 << k), np.zeros_like(k)))
    if variant == "without_first_weeks":
        cuts[1] = (person, begun, 1 << k, np.ones_like(k))
        cuts.append((person, begun + 1, np.zeros_like(k), -np.ones_like(k)))
    joined = [np.concatenate(column) for column in zip(*cuts, strict=True)]
    table = pd.DataFrame(dict(zip(("who", "first", "mask", "fresh"), joined, strict=True)))
    table = table[table["first"] < stop[table["who"].to_numpy()]]
    table = table.groupby(["who", "first"], sort=True)[["mask", "fresh"]].sum().reset_index()
    table[["mask", "fresh"]] = table.groupby("who")[["mask", "fresh"]].cumsum()
    owner = table["who"].to_numpy(np.int64)
    last = np.append(owner[1:] != owner[:-1], True)
    following = np.append(table["first"].to_numpy(np.int64)[1:], 0)
    table["stop"] = np.where(last, stop[owner], following)
    table["has_event"] = last & job[owner]
    columns = ["municipality_code", *covariates]
    people = persons[columns].iloc[owner].reset_index(drop=True)
    spans: pd.DataFrame = pd.concat([people, table], axis=1)
    return spans[spans["fresh"] == 0].drop(columns="fresh")


def _step(week: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the first whole step that begins at or after a week; far beyond any follow-up when never."""
    capped = np.clip(np.nan_to_num(week, nan=1e6, posinf=1e6), 0, 1e6)
    return np.ceil(capped / STEP_WEEKS - 1e-9).astype(np.int64)
