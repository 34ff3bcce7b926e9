"""The seven municipalities whose framework conditions are nearest: `mart.peer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from transforms.errors import DataRefused
from transforms.statistics.intervals import Floats

if TYPE_CHECKING:
    import pandas as pd


PEERS = 7
NAMED = 3
COLUMNS = [
    "municipality_code", "peer_code", "rank", "distance", "compared_weight_share",
    *(f"condition_{i}{end}" for i in range(1, NAMED + 1) for end in ("", "_gap")), "same_group",
]  # fmt: skip
MIN_WEIGHT_SHARE = 0.75


def find_peers(
    conditions: pd.DataFrame, weights: pd.DataFrame, groups: pd.DataFrame | None = None, *,
    count: int = PEERS, min_weight_share: float = MIN_WEIGHT_SHARE,
) -> pd.DataFrame:  # fmt: skip
    """Return the `count` nearest municipalities per municipality and what sets them apart; a directed relation.

    dist(m,k)^2 = sum_j w_j ((x_mj - x_kj)/sd_j)^2 / sum_j w_j over the conditions known for both (Gower 1971),
    so distances are in weighted standard deviations and a gap in the data neither shortens nor lengthens them.
    Ties go to the lowest code. Input `conditions`: municipality_code, indicator_id, value (missing allowed).
    `weights`: indicator_id, weight >= 0. `groups` (official municipality groups, optional): municipality_code,
    municipality_group.

    Peers rest on at least `min_weight_share` of the weight of ALL conditions, those without a value anywhere counted
    too: on fewer they would be near in something else than what the weights were chosen for. A municipality of which
    less is known has no peers and is nobody's.

    Output: municipality_code, peer_code, rank, distance, condition_1..3 (indicator ids that differ most, in weighted
    standard deviations), condition_1_gap..3 (peer minus municipality, in standard deviations), compared_weight_share,
    same_group (empty when unknown). A condition that is known for fewer than two or does not vary is not used. Raises
    DataRefused when no condition can be used.
    """
    import pandas as pd

    weight = weights.set_index("indicator_id")["weight"].astype("float64")
    weight = weight[weight > 0]
    table = conditions.pivot(index="municipality_code", columns="indicator_id", values="value").sort_index()
    table = table.reindex(columns=weight.index).astype("float64")
    varies = table.std(ddof=0) > 1e-9 * table.abs().max().clip(lower=1.0)
    used = table.columns[varies & (table.notna().sum() >= 2)].tolist()
    if not used:
        raise DataRefused("peers: no condition varies; rule: at least one known, varying condition; check peer_weights")
    scaled = (table[used] / table[used].std(ddof=0)).to_numpy(dtype=np.float64)
    w = weight[used].to_numpy(dtype=np.float64)
    codes = table.index.to_numpy()
    known = np.isfinite(scaled)
    total = float(weight.sum())
    judged = known @ w / total >= min_weight_share
    gap = scaled[None, :, :] - scaled[:, None, :]
    both = known[None, :, :] & known[:, None, :]
    part = np.where(both, w * gap**2, 0.0)
    shared = both @ w
    distance = np.sqrt(part.sum(axis=2) / np.where(shared > 0, shared, np.nan))
    possible = judged[:, None] & judged[None, :] & (shared > 0) & ~np.eye(len(codes), dtype=bool)
    distance = np.where(possible, distance, np.inf)

    rows = []
    names = np.asarray(used, dtype=object)
    for m in np.flatnonzero(judged):
        nearest = np.argsort(distance[m], kind="stable")[:count]
        for rank, k in enumerate([int(i) for i in nearest if np.isfinite(distance[m, i])], start=1):
            row = {"municipality_code": codes[m], "peer_code": codes[k], "rank": rank, "distance": distance[m, k]}
            row["compared_weight_share"] = shared[m, k] / total
            rows.append(row | _largest(names, part[m, k], gap[m, k], both[m, k]))
    return _with_groups(pd.DataFrame(rows, columns=COLUMNS[:-1]), groups)


def _largest(
    names: npt.NDArray[np.object_], part: Floats, gap: Floats, both: npt.NDArray[np.bool_]
) -> dict[str, object]:
    """Return the NAMED conditions with the largest weighted squared gap, largest first."""
    order = [int(j) for j in np.argsort(-part, kind="stable") if both[j]][:NAMED]
    out: dict[str, object] = {}
    for i, j in enumerate(order, start=1):
        out[f"condition_{i}"], out[f"condition_{i}_gap"] = str(names[j]), float(gap[j])
    return out


def _with_groups(peers: pd.DataFrame, groups: pd.DataFrame | None) -> pd.DataFrame:
    """Add same_group: whether the two share the official municipality group; empty where a group is not given."""
    import pandas as pd

    types = {c: "string" for c in peers.columns if c.endswith("_code") or (c[:-1] == "condition_")}
    types |= {c: "Float64" for c in peers.columns if c.endswith(("_gap", "_share")) or c == "distance"}
    peers = peers.astype({**types, "rank": "Int64"})
    if groups is None:
        return peers.assign(same_group=pd.array([pd.NA] * len(peers), dtype="boolean"))
    group = groups.set_index("municipality_code")["municipality_group"].astype("string")
    own, other = peers["municipality_code"].map(group), peers["peer_code"].map(group)
    same = (own == other).astype("boolean").mask(own.isna() | other.isna())
    return peers.assign(same_group=same)
