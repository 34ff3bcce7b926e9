"""Facts of a run as frames: what `transforms/meta/*.sql` reads from the `run` schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flows.snapshots import Snapshot
from transforms.catalogue import Catalogue

if TYPE_CHECKING:
    import pandas as pd

    from flows.candidate import Candidate, RunInfo


def run_frames(
    catalogue: Catalogue, snapshots: Mapping[str, Snapshot], run: RunInfo, candidate: Candidate
) -> dict[str, pd.DataFrame]:
    """Return `run.source`, `run.snapshot`, `run.run` and `run.release`, one row per source, snapshot and run."""
    import pandas as pd

    sources = [_source_row(catalogue, source_id, snapshots.get(source_id)) for source_id in sorted(catalogue.sources)]
    counted = [_snapshot_row(snapshot, candidate) for _, snapshot in sorted(snapshots.items())]
    release = candidate.release
    return {
        "run.source": pd.DataFrame(sources).astype({"snapshot_id": "string"}),
        "run.snapshot": pd.DataFrame(counted),
        "run.run": pd.DataFrame(
            [
                {
                    "run_id": run.run_id,
                    "started_at": run.started_at.replace(tzinfo=None),
                    "origin": run.origin,
                    "as_of": run.as_of.replace(tzinfo=None) if run.as_of else pd.NaT,
                    "code_version": release["code_version"],
                    "is_synthetic": release["is_synthetic"],
                }
            ]
        ),
        "run.release": pd.DataFrame(
            [
                {
                    "run_id": run.run_id,
                    "fingerprint": release["fingerprint"],
                    "code_version": release["code_version"],
                    "suppression_threshold": release["suppression_threshold"],
                    "is_synthetic": release["is_synthetic"],
                    "data_mark": "SYNTETISKE DATA / SYNTHETIC DATA" if release["is_synthetic"] else None,
                }
            ]
        ).astype({"data_mark": "string"}),
    }


def _source_row(catalogue: Catalogue, source_id: str, snapshot: Snapshot | None) -> dict[str, Any]:
    source = catalogue.sources[source_id]
    return {
        "source_id": source.id,
        "connector": source.connector,
        "publisher_table": source.table,
        "title_da": source.title_da,
        "title_en": source.title_en,
        "producer": source.producer,
        "licence": source.licence,
        "url": source.url,
        "owner": source.owner,
        "frequency": source.frequency,
        "max_age_days": source.max_age_days,
        "is_required": source.required,
        "snapshot_id": snapshot.id if snapshot else None,
    }


def _snapshot_row(snapshot: Snapshot, candidate: Candidate) -> dict[str, Any]:
    manifest = snapshot.manifest
    count = candidate.counts.get(manifest.source_id)
    return {
        "snapshot_id": snapshot.id,
        "source_id": manifest.source_id,
        "retrieved_at": manifest.retrieved_at,
        "published_at": manifest.published_at or "",
        "origin": manifest.origin,
        "is_synthetic": manifest.synthetic,
        "file_count": len(manifest.data_files),
        "byte_count": sum(file.bytes for file in manifest.data_files),
        "sha256": manifest.digest,
        "rows_in": count.rows_in if count else 0,
        "rows_loaded": count.rows_loaded if count else 0,
        "rows_rejected": count.rows_rejected if count else 0,
        "rows_filled": count.rows_filled if count else 0,
    }
