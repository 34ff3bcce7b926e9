"""Progress between a frozen baseline and a later mapping, participants against others, in the same definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from transforms.errors import DataRefused
from transforms.statistics.hazard import between_sd
from transforms.statistics.intervals import Z95, Floats

if TYPE_CHECKING:
    import pandas as pd


# Two figures may be compared only when they mean the same.


FIELDS = ("population_definition", "age_from", "age_to", "residence_basis", "job_definition", "period_type")


def differing_fields(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    """Return the fields of FIELDS in which two indicator definitions differ; a field not stated differs from all."""

    def text(definition: Mapping[str, object], field: str) -> str:
        value = definition.get(field)
        return "" if value is None or str(value) in {"nan", "<NA>", "NaT"} else str(value).strip()

    return [f for f in FIELDS if not text(a, f) or text(a, f) != text(b, f)]


def comparable(a: Mapping[str, object], b: Mapping[str, object]) -> None:
    """Return nothing when two indicators may be compared; raise DataRefused naming every field that differs.

    `a` and `b`: the definition of an indicator (a row of `mart.indicator` as a mapping) with indicator_id and
    FIELDS. The commonest error of this field is to subtract shares of different groups: Rebild's 10 pct.
    (self-supporting after a year, 2009-13) and 55 pct. (wage employment, 2017) are not a rise of 45 points.
    """
    fields = differing_fields(a, b)
    if fields:
        pairs = "; ".join(f"{f}: {a.get(f)!r} against {b.get(f)!r}" for f in fields)
        names = " and ".join(str(d.get("indicator_id", "indicator")) for d in (a, b))
        raise DataRefused(
            f"{names} cannot be compared: {pairs}; "
            "rule: population, ages, residence basis, job definition and period type must agree; "
            "choose two with one definition"
        )


GROUPS = ("participant", "sister_pool", "other", "unknown")
CAUTION_DA = (
    "Deltagerne blev valgt, fordi de lå lavt. En del af fremgangen ville derfor være kommet under alle omstændigheder "
    "(regression mod middelværdien); den del, der kunne forventes, er vist for sig. Forskellen mellem grupperne er en "
    "sammenhæng og ikke et bevist resultat af programmet."
)
CAUTION_EN = (
    "Participants were chosen because they did poorly. Part of the progress therefore comes by itself (regression "
    "to the mean); the expected part is shown. The difference between groups is an association, not a proven "
    "result of the programme."
)


def changes(
    baseline: pd.DataFrame, later: pd.DataFrame, definitions: tuple[Mapping[str, object], Mapping[str, object]],
    groups: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """Return the change of one outcome per municipality, beside what regression to the mean alone would give.

    Input `baseline` and `later`: municipality_code, value, standard_error (both missing where not known); shares in
    pct or a duration. `definitions`: the indicator rows of the two; they must agree, or DataRefused names what differs.
    `groups`: municipality_code, group (GROUPS). Output: municipality_code, group, baseline_value, later_value, change,
    expected_change (change towards the mean expected from the baseline alone: (r - 1)(value - mean), where r is the
    reliability s2 / (s2 + error2) of the baseline; Efron and Morris 1975), change_beyond_regression (change minus
    that and minus the mean change), value_status (estimated | missing).
    """
    import pandas as pd

    comparable(*definitions)
    frame = groups.merge(baseline, on="municipality_code", how="left")
    frame = frame.merge(later, on="municipality_code", how="left", suffixes=("", "_later"))
    numbers = ["value", "standard_error", "value_later", "standard_error_later"]
    known = frame[numbers].notna().all(axis=1)
    out = frame[["municipality_code", "group"]].copy()
    out["value_status"] = np.where(known, "estimated", "missing")
    value, error, after = (frame.loc[known, c].to_numpy(np.float64) for c in ("value", "standard_error", "value_later"))
    if value.size < 10:
        raise DataRefused(
            f"follow-up: {value.size} municipalities are known at both times; rule: at least 10; check the two mappings"
        )
    mean = np.average(value, weights=1 / np.maximum(error, 1e-9) ** 2)
    scale = float(np.std(value)) or 1.0
    s = scale * between_sd((value - mean) / scale, (error / scale) ** 2)
    expected = (s**2 / (s**2 + error**2) - 1) * (value - mean)
    columns = {
        "baseline_value": value, "later_value": after, "change": after - value, "expected_change": expected,
        "change_beyond_regression": after - value - expected - np.mean(after - value - expected),
    }  # fmt: skip
    for name, numbers_known in columns.items():
        out[name] = pd.Series(numbers_known, index=frame.index[known]).reindex(frame.index).astype("Float64")
    return out


def matched_difference(changes_frame: pd.DataFrame, peers: pd.DataFrame) -> pd.DataFrame:
    """Return each participant's change minus the mean change of its peers outside both programmes.

    Input: `changes` output, and peers (municipality_code, peer_code, rank) from `peers.find_peers`. Output:
    municipality_code, change, peer_change, peers_used_count, difference, difference_beyond_regression, value_status
    (`missing` when the participant or all its allowed peers are unknown). Peers in group `other` only: the sister
    pool is treated too, and a group that is not known is no comparison.
    """
    import pandas as pd

    known = changes_frame[changes_frame["value_status"] == "estimated"].set_index("municipality_code")
    allowed = known[known["group"] == "other"]
    served = allowed[["change", "change_beyond_regression"]].rename_axis("peer_code").reset_index()
    joined = peers.merge(served, on="peer_code", how="inner")
    each = joined.groupby("municipality_code").agg(
        peer_change=("change", "mean"),
        _beyond=("change_beyond_regression", "mean"),
        peers_used_count=("peer_code", "size"),
    )
    mine = changes_frame[changes_frame["group"] == "participant"].merge(each, on="municipality_code", how="left")
    mine["difference"] = mine["change"] - mine["peer_change"]
    mine["difference_beyond_regression"] = mine["change_beyond_regression"] - mine["_beyond"]
    mine["peers_used_count"] = mine["peers_used_count"].fillna(0).astype("int64")
    mine["value_status"] = np.where(mine["difference"].isna(), "missing", "estimated")
    columns = ["municipality_code", "change", "peer_change", "peers_used_count", "difference",
               "difference_beyond_regression", "value_status"]  # fmt: skip
    return pd.DataFrame(mine[columns].reset_index(drop=True))


def _matched_interval(matched: pd.DataFrame, column: str, peers: pd.DataFrame, changed: pd.DataFrame) -> Floats:
    """Return estimate, low and high of the mean matched difference, counting peers that serve several participants."""
    used = matched[matched["value_status"] == "estimated"]
    own = "change" if column == "difference" else "change_beyond_regression"
    table = changed[changed["value_status"] == "estimated"].set_index("municipality_code")
    treated = table.loc[used["municipality_code"], own].to_numpy(np.float64)
    controls = table[table["group"] == "other"]
    pairs = peers[peers["municipality_code"].isin(used["municipality_code"]) & peers["peer_code"].isin(controls.index)]
    share = 1 / pairs.groupby("municipality_code")["peer_code"].transform("size")
    weight = share.groupby(pairs["peer_code"]).sum().reindex(controls.index).fillna(0).to_numpy(np.float64) / len(used)
    estimate = float(used[column].astype("float64").mean())
    spread = float(np.var(treated, ddof=1) / len(treated)) if len(treated) > 1 else np.inf
    spread += float(np.var(controls[own].to_numpy(np.float64), ddof=1)) * float(np.sum(weight**2))
    half = Z95 * np.sqrt(spread)
    return np.array([estimate, estimate - half, estimate + half])


def difference_in_differences(changes_frame: pd.DataFrame, peers: pd.DataFrame) -> pd.DataFrame:
    """Return participants against matched others: one row before and one after regression to the mean is taken out.

    Output: comparison (`matched` | `matched_beyond_regression`), difference, difference_low, difference_high (95 %;
    peers weighted by how often they serve, Abadie and Imbens 2006), participants_count, others_count,
    sister_pool_count (shown apart, in neither side), caution_da, caution_en. Raises DataRefused when no participant
    has a known change and a known peer.
    """
    import pandas as pd

    matched = matched_difference(changes_frame, peers)
    used = int((matched["value_status"] == "estimated").sum())
    if used == 0:
        raise DataRefused("follow-up: no participant with a known peer; rule: at least one; check groups and peers")
    known = changes_frame[changes_frame["value_status"] == "estimated"]["group"]
    rows = []
    for name, column in (("matched", "difference"), ("matched_beyond_regression", "difference_beyond_regression")):
        estimate, low, high = _matched_interval(matched, column, peers, changes_frame)
        interval = (low, high) if np.isfinite(high) else (None, None)
        rows.append(
            (name, estimate, *interval, used, int((known == "other").sum()), int((known == "sister_pool").sum()))
        )
    columns = ["comparison", "difference", "difference_low", "difference_high", "participants_count", "others_count",
               "sister_pool_count"]  # fmt: skip
    out = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:4], "Float64"))
    return out.assign(caution_da=CAUTION_DA, caution_en=CAUTION_EN)


def group_means(changes_frame: pd.DataFrame) -> pd.DataFrame:
    """Return municipalities, mean change and mean expected change per group, the sister pool apart."""
    import pandas as pd

    known = changes_frame[changes_frame["value_status"] == "estimated"]
    out = known.groupby("group").agg(
        municipality_count=("municipality_code", "size"),
        change=("change", "mean"),
        expected_change=("expected_change", "mean"),
    )
    return pd.DataFrame(out.reindex([g for g in GROUPS if g in out.index]).reset_index())
