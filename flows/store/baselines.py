"""Frozen baselines: immutable, hashed and self-describing; later mappings are set against them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.settings import Settings
from flows.store import builds, exports
from flows.store.snapshots import SnapshotStore, own_folder, read_json, replace_synced, sha256_of, sync, write_synced
from transforms.errors import DataRefused, UsageError
from transforms.warehouse import Warehouse, quote_literal

if TYPE_CHECKING:
    import pandas as pd

    from flows.store.builds import Build


MANIFEST = "manifest.json"
NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,63}$")


@dataclass(frozen=True)
class Baseline:
    """One frozen baseline: its folder and what its manifest says."""

    name: str
    folder: Path
    manifest: dict[str, Any]

    def table(self, warehouse: Warehouse, name: str) -> pd.DataFrame:
        """Return a frozen mart table as a frame."""
        return warehouse.frame(
            f"SELECT * FROM read_parquet({quote_literal(str(self.folder / f'mart.{name}.parquet'))})"
        )


def baselines(settings: Settings) -> list[Baseline]:
    """Return the frozen baselines that can be read, by name."""
    found = []
    for name in _names(settings):
        with suppress(DataRefused):
            found.append(read_baseline(settings, name))
    return found


def unreadable(settings: Settings) -> list[Path]:
    """Return the folders of frozen baselines whose manifest cannot be read: nobody knows what they rest on."""
    readable = {baseline.name for baseline in baselines(settings)}
    return [settings.baselines / name for name in _names(settings) if name not in readable]


def _names(settings: Settings) -> list[str]:
    if not settings.baselines.is_dir():
        return []
    return sorted(path.name for path in settings.baselines.iterdir() if NAME.match(path.name) and path.is_dir())


def read_baseline(settings: Settings, name: str) -> Baseline:
    """Return one baseline; UsageError listing the known names when there is none, DataRefused when it is unreadable."""
    folder = settings.baselines / name
    if not NAME.match(name) or not folder.is_dir():
        raise UsageError(f"no baseline {name}; frozen: {', '.join(_names(settings)) or 'none'}")
    try:
        manifest = read_json(folder / MANIFEST)
        str(manifest["run_id"]), dict(manifest["files"]), dict(manifest["release"]["snapshots"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataRefused(f"{folder / MANIFEST}: cannot be read; restore the baseline from backup") from None
    return Baseline(name, folder, manifest)


def freeze(settings: Settings, name: str) -> Baseline:
    """Freeze what is published now under `name`: every mart table, the dictionary and what it was made of.

    Raises UsageError when the name is taken or unusable or nothing is published. A baseline is never overwritten.
    """
    now, release = to_freeze(settings, name)
    with builds.readable(now) as database:
        return write(settings, name, database, release)


def to_freeze(settings: Settings, name: str) -> tuple[Build, dict[str, Any]]:
    """Return what is published, and what it is made of, when it can be frozen under `name`; see `freeze`."""
    if not NAME.match(name):
        raise UsageError(f"{name}: a baseline's name is small letters, digits, - and _ (at most 64)")
    if (settings.baselines / name).exists():
        raise UsageError(f"the baseline {name} is frozen already; a baseline is never overwritten, choose another name")
    now = builds.current(settings)
    if now is None:
        raise UsageError("nothing is published yet; run `kommunekort run` first")
    damage, release = now.damage(), now.facts()
    if damage is not None or release is None:
        raise DataRefused(f"{damage}; `kommunekort run` builds it again, freeze it then")
    return now, release


def write(
    settings: Settings, name: str, database: Path, release: Mapping[str, Any], period: str | None = None
) -> Baseline:
    """Write the mart tables of a database and what it is made of as the baseline `name`, and return it.

    `period` is the one whose figures it was built from, None when it was built from all.
    """
    folder = settings.baselines / name
    own_folder(settings.baselines)
    partial = settings.baselines / f".{name}.part"
    hashes = exports.export_parquet(database, partial)
    _export_dictionary(database, partial / "meta.data_dictionary.parquet")
    hashes["meta.data_dictionary.parquet"] = sha256_of(partial / "meta.data_dictionary.parquet")
    store = SnapshotStore(settings.snapshots)
    manifest = {
        "name": name,
        "frozen_at": datetime.now(UTC).isoformat(),
        "run_id": release["run_id"],
        "period": period,
        "release": {key: value for key, value in release.items() if key not in ("exports", "files")},
        "snapshot_digests": {
            source: store.read(snapshot_id).manifest.digest for source, snapshot_id in release["snapshots"].items()
        },
        "files": hashes,
    }
    write_synced(partial / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True))
    for path in partial.iterdir():
        path.chmod(0o444)
    partial.rename(folder)
    sync(settings.baselines)
    return read_baseline(settings, name)


def require_period(database: Path, period: str) -> None:
    """Raise UsageError naming the periods there are, when no outcome of `mart.expected` has a figure of `period`."""
    with Warehouse.open(database, read_only=True) as warehouse:
        rows = warehouse.rows("SELECT DISTINCT period FROM mart.expected WHERE observed IS NOT NULL ORDER BY 1")
    known = [str(found) for (found,) in rows]
    if period not in known:
        raise UsageError(f"no outcome has a figure of {period}; periods of mart.expected: {', '.join(known) or 'none'}")


def _export_dictionary(database: Path, target: Path) -> None:
    with Warehouse.open(database, read_only=True) as warehouse:
        warehouse.execute(
            f"COPY (SELECT * FROM meta.data_dictionary ORDER BY table_name, column_name) "
            f"TO {quote_literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
        )


def verify(settings: Settings, name: str) -> Baseline:
    """Return the baseline when every file has its frozen bytes; DataRefused naming the first that has not."""
    baseline = read_baseline(settings, name)
    for file, digest in baseline.manifest["files"].items():
        path = baseline.folder / file
        if not path.is_file() or sha256_of(path) != digest:
            raise DataRefused(f"{path}: not the bytes that were frozen; restore the baseline from backup")
    return baseline


def kept_runs(settings: Settings) -> set[str]:
    """Return the run ids that frozen baselines were made by."""
    return {str(baseline.manifest["run_id"]) for baseline in baselines(settings)}


def compare(settings: Settings, name: str, outcome_id: str = "employment_rate_non_western_pct") -> dict[str, Any]:
    """Set what is published now against a baseline for one outcome of `mart.expected`; return and store the result.

    Holds per municipality the change and what regression to the mean alone would give, per group the means, and the
    difference-in-differences of participants against their matched peers: those of the baseline, or those published
    now where it has none (`peers_of` says which). Raises DataRefused when the outcome is not
    defined alike at both times or too few municipalities are known; UsageError without a publication.
    """
    from transforms.models.followup import (
        changes,
        difference_in_differences,
        event_study,
        group_means,
        later_than,
        matched_difference,
        synthetic_controls,
    )

    baseline = verify(settings, name)
    now = builds.current(settings)
    if now is None:
        raise UsageError("nothing is published to compare with; run `kommunekort run` first")
    if damage := now.damage():
        raise DataRefused(f"{damage}; `kommunekort run` builds it again, compare then")
    with builds.readable(now) as database, Warehouse.open(database, read_only=True) as warehouse:
        before, before_period = _outcome(baseline.table(warehouse, "expected"), outcome_id, name)
        published = warehouse.frame("SELECT * FROM mart.expected")
        after, after_period = _outcome(published, outcome_id, now.run_id)
        definitions = (
            _definition(baseline.table(warehouse, "indicator"), outcome_id),
            _definition(warehouse.frame("SELECT * FROM mart.indicator"), outcome_id),
        )
        groups = warehouse.frame(
            """
            SELECT municipality_code, project_unit,
                   CASE WHEN is_participant THEN 'participant'
                        WHEN municipality_code IN (
                            SELECT municipality_code FROM mart.eligibility WHERE is_participant
                        ) THEN 'sister_pool' ELSE 'other' END AS "group"
            FROM mart.municipality ORDER BY 1
            """
        )
        peers, peers_of = baseline.table(warehouse, "peer"), name
        if peers.empty:  # the conditions of an early period may be too few to find any by
            peers, peers_of = warehouse.frame("SELECT * FROM mart.peer"), now.run_id
        peers = peers.rename(columns={"peer_rank": "rank"})
    later_than(before_period, after_period)
    changed = changes(before, after, definitions, groups)
    panel = _panel(published, outcome_id)
    result = {
        "baseline": name,
        "baseline_run_id": baseline.manifest["run_id"],
        "later_run_id": now.run_id,
        "is_synthetic": bool(baseline.manifest["release"]["is_synthetic"]),
        "outcome_id": outcome_id,
        "definition": {key: definitions[1].get(key) for key in ("label_da", "label_en", "unit")},
        "baseline_period": before_period,
        "later_period": after_period,
        "peers_of": peers_of,
        "municipalities": _records(changed),
        "groups": _records(group_means(changed)),
        "matched": _records(matched_difference(changed, peers)),
        "difference_in_differences": _records(difference_in_differences(changed, peers)),
        "event_study": _records(event_study(panel, groups, before_period)),
        "synthetic_controls": _records(synthetic_controls(panel, groups, before_period, after_period)),
    }
    target = settings.comparisons / f"{name}-{now.run_id}-{outcome_id}.json"
    replace_synced(target, json.dumps(result, ensure_ascii=False, indent=1))
    return {**result, "file": str(target)}


def _outcome(expected: pd.DataFrame, outcome_id: str, where: str) -> tuple[pd.DataFrame, str]:
    """Return the observed value per municipality of an outcome in its newest period, and that."""
    rows = expected[expected["outcome_id"] == outcome_id]
    if rows.empty:
        raise DataRefused(f"{where} holds no {outcome_id}; choose an outcome that mart.expected holds at both times")
    period = str(rows["period"].max())
    newest = rows[rows["period"] == period]
    frame = newest[["municipality_code"]].assign(value=newest["observed"].astype("float64"))
    return frame.reset_index(drop=True), period


def _panel(expected: pd.DataFrame, outcome_id: str) -> pd.DataFrame:
    """Return every period of an outcome as now published: municipality_code, period, value."""
    rows = expected[expected["outcome_id"] == outcome_id]
    return rows[["municipality_code", "period"]].assign(value=rows["observed"].astype("float64"))


def _definition(indicators: pd.DataFrame, outcome_id: str) -> Mapping[str, object]:
    """Return an outcome's row of mart.indicator; figures told beside the weeks to a first job have its persons."""
    from transforms.models.durations import COMPANIONS
    from transforms.models.followup import FIELDS
    from transforms.models.steps import DURATION

    is_companion = outcome_id in COMPANIONS
    found = indicators[indicators["indicator_id"] == (DURATION if is_companion else outcome_id)].astype("object")
    if found.empty:
        return {"indicator_id": outcome_id}
    row = {str(key): value for key, value in found.where(found.notna(), None).iloc[0].items()}
    return row if not is_companion else {field: row.get(field) for field in FIELDS} | {"indicator_id": outcome_id}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame as plain records; an unknown number is null, never NaN."""
    plain = frame.astype("object").where(frame.notna(), None)
    return [
        {str(key): (round(value, 4) if isinstance(value, float) else value) for key, value in row.items()}
        for row in plain.to_dict("records")
    ]
