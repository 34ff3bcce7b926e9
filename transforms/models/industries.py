"""Which industries to build an industry-oriented effort on: `mart.industry_match`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from transforms.errors import DataRefused
from transforms.models.wording import TEXTS, Language, number, signed

# Openings within reach of a municipality, from the openings posted in each.


def openings_in_reach(openings: pd.DataFrame, areas: pd.DataFrame) -> pd.DataFrame:
    """Return openings within the municipality's commuting area, per municipality and industry, as jobs in reach are.

    Input `openings`: municipality_code, industry_code, openings_posted_count (over twelve months), value_status. Input
    `areas`: municipality_code, commuting_area_code. Output: municipality_code, industry_code, openings_count,
    openings_status (observed | zero | suppressed | missing). A withheld part withholds the sum and an absent one leaves
    it missing: an area is not half counted. No row for an industry that no part has.
    """
    frame = areas[["municipality_code", "commuting_area_code"]].merge(openings, on="municipality_code")
    frame["is_suppressed"] = frame["value_status"] == "suppressed"
    frame["posted"] = frame["openings_posted_count"].astype("Float64")
    members = areas.groupby("commuting_area_code")["municipality_code"].nunique().to_dict()
    table = frame.groupby(["commuting_area_code", "industry_code"]).agg(
        total=("posted", "sum"), known=("posted", "count"), suppressed=("is_suppressed", "any")
    )
    incomplete = table["known"] < table.index.get_level_values(0).map(members)
    table["openings_count"] = table["total"].mask(table["suppressed"] | incomplete)
    states = [table["suppressed"], incomplete, table["total"] == 0]
    table["openings_status"] = np.select(states, ["suppressed", "missing", "zero"], "observed")
    table = table[["openings_count", "openings_status"]].reset_index()
    return _of_municipalities(areas, table)


# DB07 in its groupings: 10, 19 letters, 37 groups, and by their first two digits 127 groups and six-digit codes.


LEVELS = ("division_code", "db07_37_code", "db07_19_code", "db07_10_code")  # finest first
DETAILED = ("db07_127", "db07_6")  # a division is their first two digits


def classification_of(codes: pd.Series[str], crosswalk: pd.DataFrame) -> str:
    """Return the one grouping (a column of the crosswalk) that holds every code; raise DataRefused otherwise.

    A letter may belong to both 19 and 37 groups; the coarser is returned when both fit. A column that mixes a group
    with its own parts (C and CA), or carries a total, fits none and is refused: its sum would count jobs twice.
    Divisions are never guessed, since 10 and 11 are also codes of the ten-group list.
    """
    given = set(codes.astype(str))
    for level in ("db07_10_code", "db07_19_code", "db07_37_code"):
        if given <= set(crosswalk[level]):
            return level
    letters = set(crosswalk["db07_19_code"]) | set(crosswalk["db07_37_code"])
    odd = sorted(given - letters) or sorted(given - set(crosswalk["db07_19_code"]))
    raise DataRefused(
        f"industries: '{odd[0]}' does not belong with the other codes; rule: one grouping per column (10, 19 or 37), "
        "no totals; map every row to one grouping first"
    )


def to_level(codes: pd.Series[str], source: str, target: str, crosswalk: pd.DataFrame) -> pd.Series[str]:
    """Return each code in a coarser grouping; `source` is a LEVELS or DETAILED name, `target` one of LEVELS.

    Raises DataRefused on a code that is not of the source grouping, and on a target finer than the source: jobs of
    a group cannot be split without inventing figures.
    """
    text = codes.astype(str)
    if source in DETAILED:
        # Six-digit codes lose their leading zero in spreadsheets: 11100 is 011100.
        text = text.str.zfill(6 if source == "db07_6" else 5).str[:2]
        source = "division_code"
    if LEVELS.index(target) < LEVELS.index(source):
        raise DataRefused(f"industries: {source} cannot be split into {target}; rule: only to coarser groupings")
    out = text.map(dict(zip(crosswalk[source], crosswalk[target], strict=True)))
    if out.isna().any():
        odd = text[out.isna()].iloc[0]
        raise DataRefused(f"industries: '{odd}' is not a code of {source}; rule: known DB07 codes; correct the row")
    return out


def sum_to_level(
    frame: pd.DataFrame, values: list[str], by: list[str], target: str, crosswalk: pd.DataFrame
) -> pd.DataFrame:
    """Return `values` summed to a coarser grouping within `by`; the industry column is industry_code.

    Raises DataRefused on mixed groupings, see `classification_of`. A sum with an unknown part is unknown.
    """
    source = classification_of(frame["industry_code"], crosswalk)
    if source == "db07_19_code" and target == "db07_37_code" and set(frame["industry_code"]) <= set(crosswalk[target]):
        source = target
    out = frame.assign(industry_code=to_level(frame["industry_code"], source, target, crosswalk))
    keys = [*by, "industry_code"]
    total = out.groupby(keys)[values].sum()
    known = out[values].notna().groupby([out[k] for k in keys]).all()
    return total.where(known).reset_index()


MIN_PLACEMENTS = 20
"""Shares over fewer placements are noise. This protects nobody: the counts come rounded, and `least` is the gate's."""
GROWTH_YEARS = 3
NATIONAL_POWER = 0.5
"""Absorption and placement-to-job are the country's, the same for all: they enter by their square root, so that they
do not drown what sets one labour market apart from another (in the sample world their spread is three times larger)."""
MIN_JOB_SHARE = 0.01
"""Industries with a smaller share of the jobs in reach are too small to build an effort on, and get no rank."""
UNKNOWN_INDUSTRIES = ("X", "11")


def national_absorption(employed: pd.DataFrame, least: int) -> pd.DataFrame:
    """Return industry_code and absorption_pct: non-western immigrants' share of the employed in the country.

    Input (StatBank RAS308): industry_code, employed_count, non_western_count. Empty over fewer than `least` employed.
    """
    enough = employed["employed_count"] >= least
    share = 100 * employed["non_western_count"] / employed["employed_count"].where(enough)
    return employed[["industry_code"]].assign(absorption_pct=share.astype("Float64"))


def jobs_in_reach(jobs: pd.DataFrame, areas: pd.DataFrame, year: int) -> pd.DataFrame:
    """Return jobs within the municipality's commuting area and their growth, per municipality and industry.

    Input `jobs`: municipality_code (of the workplace), industry_code, year, jobs_count. Input `areas`:
    municipality_code, commuting_area_code. Output: municipality_code, industry_code, jobs_in_reach_count
    (empty when a member's figure is missing: an area is not half counted), jobs_growth_pct (since GROWTH_YEARS
    earlier; empty without that year).
    """
    frame = jobs[jobs["year"].isin([year, year - GROWTH_YEARS])].merge(areas, on="municipality_code")
    members = areas.groupby("commuting_area_code")["municipality_code"].nunique().to_dict()
    grouped = frame.groupby(["commuting_area_code", "industry_code", "year"])["jobs_count"].agg(["sum", "count"])
    whole = grouped["count"] == grouped.index.get_level_values(0).map(members)
    table = grouped["sum"].where(whole).unstack("year").reindex(columns=[year, year - GROWTH_YEARS]).astype("Float64")
    table.columns = ["jobs_in_reach_count", "earlier"]
    growth = 100 * (table["jobs_in_reach_count"] / table["earlier"].where(table["earlier"] > 0) - 1)
    table = table.assign(jobs_growth_pct=growth).drop(columns="earlier").reset_index()
    return _of_municipalities(areas, table)


def _of_municipalities(areas: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of commuting areas and industries for every municipality of each area, in order."""
    out = areas[["municipality_code", "commuting_area_code"]].merge(table, on="commuting_area_code")
    return out.drop(columns="commuting_area_code").sort_values(
        ["municipality_code", "industry_code"], ignore_index=True
    )


def placement_to_job(placements: pd.DataFrame, least: int) -> pd.DataFrame:
    """Return industry_code and placement_to_job_pct: placements followed by a job.

    Input (of the deliveries, rounded): industry_code, placements_count, followed_by_job_count. Empty over fewer than
    `least` placements, the gate's, and under MIN_PLACEMENTS.
    """
    enough = placements["placements_count"] >= max(MIN_PLACEMENTS, least)
    share = 100 * placements["followed_by_job_count"] / placements["placements_count"].where(enough)
    return placements[["industry_code"]].assign(placement_to_job_pct=share.astype("Float64"))


def present_use(placements: pd.DataFrame, least: int) -> pd.DataFrame:
    """Return municipality_code, industry_code, present_use_pct: the industry's share of the municipality's placements.

    Input (rounded): municipality_code, industry_code, placements_count. Empty where the municipality has fewer than
    `least`, the gate's, or MIN_PLACEMENTS; present_use_status tells why: suppressed, or estimated for a nought, which
    may be none or a few.
    """
    total = placements.groupby("municipality_code")["placements_count"].transform("sum")
    share = 100 * placements["placements_count"] / total.where(total >= max(MIN_PLACEMENTS, least))
    status = np.select([share.isna(), share == 0], ["suppressed", "estimated"], "observed")
    told = placements[["municipality_code", "industry_code"]].assign(present_use_pct=share.astype("Float64"))
    return told.assign(present_use_status=status)


def match_industries(
    reach: pd.DataFrame, absorption: pd.DataFrame, industries: pd.DataFrame, *,
    openings: pd.DataFrame | None = None, shortage: pd.DataFrame | None = None,
    to_job: pd.DataFrame | None = None, use: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return every municipality x industry with its match, an estimate throughout; one grouping for all inputs.

    score = job quotient x absorption x openings per job x placement-to-job x (1 - present use), as a share of the
    municipality's highest (0-100). The job quotient is a location quotient: the industry's share of the jobs in reach
    over its share in the country, so that lists differ as labour markets do; the next three are relative to the
    mean of the municipality's industries, the two that are national by their square root (NATIONAL_POWER). A factor
    that is not known for an industry counts as that mean, and `score_factors` names those that were known.

    Inputs: `jobs_in_reach`, `national_absorption`, `placement_to_job`, `present_use`, `openings_in_reach` frames;
    `shortage`: municipality_code, industry_code, shortage_class; `industries`: industry_code, text_da, text_en. Output:
    municipality_code, industry_code, jobs_in_reach_count, jobs_growth_pct, absorption_pct, openings_count,
    shortage_class, placement_to_job_pct and present_use_pct, each of the four with its status (observed | missing, or
    as its frame tells: zero, suppressed), score, score_rank, score_factors, is_estimated (always true), value_status
    (estimated | missing), reason_da, reason_en. Inputs of another grouping are to go through `sum_to_level` first.
    """
    keys = ["municipality_code", "industry_code"]
    out = reach.merge(absorption, on="industry_code", how="left").merge(industries, on="industry_code", how="left")
    given: list[tuple[pd.DataFrame | None, list[str], str]] = [
        (openings, keys, "openings_count"), (shortage, keys, "shortage_class"),
        (to_job, ["industry_code"], "placement_to_job_pct"), (use, keys, "present_use_pct"),
    ]  # fmt: skip
    for frame, on, column in given:
        out = _with_optional(out, frame, on, column)
    out = _quotients(out)
    scores = [_score(part) for _, part in out.groupby("municipality_code", sort=True)]
    out = (
        pd.concat(scores)
        .drop(columns=["job_share", "job_quotient"])
        .sort_values(["municipality_code", "score_rank", "industry_code"], ignore_index=True)
    )
    out["is_estimated"] = True
    for language in ("da", "en"):
        out[f"reason_{language}"] = [_reason(row, language) for row in out.to_dict("records")]
    return out.drop(columns=["text_da", "text_en"])


def _with_optional(rows: pd.DataFrame, frame: pd.DataFrame | None, on: list[str], column: str) -> pd.DataFrame:
    """Return the rows with a value that may be unknown, and its status: that of the frame when it tells one."""
    status = f"{column.removesuffix('_count').removesuffix('_pct')}_status"
    if frame is None:
        out = rows.copy()
        out[column] = pd.Series(pd.NA, index=rows.index, dtype="string" if column == "shortage_class" else "Float64")
        out[status] = "missing"
        return out
    told = [status] if status in frame.columns else []
    out = rows.merge(frame[[*on, column, *told]], on=on, how="left", validate="many_to_one")
    out[status] = out[status].fillna("missing") if told else np.where(out[column].isna(), "missing", "observed")
    return out


def _quotients(rows: pd.DataFrame) -> pd.DataFrame:
    """Add job_quotient: the industry's share of the jobs in reach over its share of all jobs in reach of anyone.

    A location quotient (Isserman 1977, J. Am. Inst. Planners 43:33): 1 where the labour market is like the country's.
    """
    jobs = rows["jobs_in_reach_count"].astype("Float64").where(~rows["industry_code"].isin(UNKNOWN_INDUSTRIES))
    own = jobs / jobs.groupby(rows["municipality_code"]).transform("sum")
    country = jobs.groupby(rows["industry_code"]).transform("sum") / jobs.sum()
    return rows.assign(job_share=own, job_quotient=own / country.where(country > 0))


def _relative(values: pd.Series[float], weight: pd.Series[float]) -> pd.Series[float]:
    """Return values over their mean, weighted by jobs; 1 where unknown or where the mean is nought."""
    known = values.notna() & weight.notna()
    total = float(weight[known].sum())
    mean = float((values[known] * weight[known]).sum()) / total if total > 0 else 0.0
    return (values / mean).where(known & (mean > 0), 1.0)


def _score(part: pd.DataFrame) -> pd.DataFrame:
    """Return one municipality's rows with score, rank and the factors used.

    A factor that is not known for an industry counts as the mean of those that are, and is not among its factors.
    Industries with less than MIN_JOB_SHARE of the jobs in reach have a score and no rank.
    """
    usable = part["jobs_in_reach_count"].notna() & part["absorption_pct"].notna() & part["job_quotient"].notna()
    usable &= ~part["industry_code"].isin(UNKNOWN_INDUSTRIES)
    rows = part[usable]
    jobs = rows["jobs_in_reach_count"].astype("float64")
    absorbs = _relative(rows["absorption_pct"].astype("float64"), jobs) ** NATIONAL_POWER
    product = rows["job_quotient"].astype("float64") * absorbs
    named = pd.Series("jobs_in_reach_count absorption_pct", index=rows.index, dtype="object")
    use = rows["present_use_pct"].astype("float64")
    if use.notna().any():
        use = use.fillna(0.0)  # placements are known, and none was in this industry
    rates = {
        "openings_count": (rows["openings_count"].astype("float64") / jobs.where(jobs > 0), 1.0),
        "placement_to_job_pct": (rows["placement_to_job_pct"].astype("float64"), NATIONAL_POWER),
    }
    for name, (values, power) in rates.items():
        product = product * _relative(values, jobs) ** power
        named = named.where(values.isna(), named + f" {name}")
    product = product * (1 - use.fillna(0.0) / 100)
    named = named.where(use.isna(), named + " present_use_pct")
    top = float(product.max()) if len(product) else 0.0
    score = 100 * product / top if top > 0 else product
    ranked = score.where(rows["job_share"].astype("float64") >= MIN_JOB_SHARE)
    return part.assign(
        score=score.reindex(part.index).astype("Float64"),
        score_rank=ranked.rank(ascending=False, method="first").astype("Int64").reindex(part.index),
        score_factors=named.reindex(part.index).astype("string"),
        value_status=np.where(usable, "estimated", "missing"),
    )


def _reason(row: dict[object, object], language: Language) -> str:
    """Return why the industry is on the list, with the figures it rests on; what is missing or withheld is said."""

    def told(key: str, **figures: object) -> str:
        return str(TEXTS["industry"][key][language]).format(**figures)

    def shown(column: str, decimals: int = 1) -> str:
        return number(float(str(row[column])), decimals, language)

    name = str(row[f"text_{language}"]).removeprefix(f"{row['industry_code']} ")
    if row["value_status"] == "missing":
        return told("missing", name=name)
    parts = [told("jobs", count=shown("jobs_in_reach_count", 0))]
    if str(row["jobs_growth_pct"]) not in ("<NA>", "None", "nan"):
        change = signed(float(str(row["jobs_growth_pct"])), 1, language)
        parts.append(told("growth", change=change, years=GROWTH_YEARS))
    parts.append(told("absorption", share=shown("absorption_pct")))
    status = row["openings_status"]
    count = shown("openings_count", 0) if status == "observed" else ""
    parts.append(told("one opening" if count == "1" else f"openings {status}", count=count))
    if row["shortage_class_status"] == "observed":
        parts.append(told("balance", shortage=row["shortage_class"]))
    return f"{name}: " + "; ".join(parts) + "."


def expected_absorption(
    jobs: pd.DataFrame, absorption: pd.DataFrame, observed: pd.DataFrame, crosswalk: pd.DataFrame, least: int
) -> pd.DataFrame:
    """Return the shift-share expectation A_m = sum_b s_mb q_b and the gap to what is observed; an estimate.

    Input `jobs`: `jobs_in_reach` frame; `absorption`: `national_absorption` in the same or a finer grouping of counts
    (give RAS308 rows: industry_code, employed_count, non_western_count), known over `least` employed or more;
    `observed`: municipality_code, non_western_employment_pct (share of the employed who are non-western immigrants).
    Output: municipality_code, expected_absorption_pct, non_western_employment_pct, absorption_gap_pct_points (observed
    minus expected), is_estimated, value_status: `missing` when an industry with jobs has no known share.
    """
    target = classification_of(jobs["industry_code"], crosswalk)
    counts = ["employed_count", "non_western_count"]
    rates = national_absorption(sum_to_level(absorption, counts, [], target, crosswalk), least)
    frame = jobs[~jobs["industry_code"].isin(UNKNOWN_INDUSTRIES)].merge(rates, on="industry_code", how="left")
    jobs_count = frame["jobs_in_reach_count"].astype("Float64")
    frame["unknown"] = jobs_count.isna() | (frame["absorption_pct"].isna() & (jobs_count > 0))
    frame["part"] = jobs_count * frame["absorption_pct"].fillna(0)
    out = frame.groupby("municipality_code", as_index=False).agg(
        part=("part", "sum"), jobs=("jobs_in_reach_count", "sum"), unknown=("unknown", "any")
    )
    known = ~out["unknown"] & (out["jobs"] > 0)
    out["expected_absorption_pct"] = (out["part"] / out["jobs"].where(known)).astype("Float64")
    out = out.merge(observed, on="municipality_code", how="left")
    out["absorption_gap_pct_points"] = (
        out["non_western_employment_pct"].astype("Float64") - out["expected_absorption_pct"]
    )
    out["is_estimated"] = True
    out["value_status"] = np.where(out["absorption_gap_pct_points"].isna(), "missing", "estimated")
    return out.drop(columns=["part", "jobs", "unknown"])
