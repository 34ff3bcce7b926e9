"""What a snapshot brings to a build: its files made canonical, and how far its zero cells are known."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.connectors.statbank_files import Reject, normalise
from flows.snapshots import Snapshot
from transforms.catalogue import Catalogue, Source
from transforms.staging import StagingInput
from transforms.warehouse import Warehouse


def staging_input(
    source: Source, snapshot: Snapshot, catalogue: Catalogue, work: Path, warehouse: Warehouse
) -> StagingInput:
    """Return the source's canonical files: the snapshot's own where they are canonical, else made in `work`.

    Rows whose texts have no code are put in `quarantine.row` and counted. Raises DataRefused when the snapshot's
    bytes have changed or a file cannot be read.
    """
    with ThreadPoolExecutor(1) as beside:
        verifying = beside.submit(snapshot.verify)
        try:
            return _canonical_input(source, snapshot, catalogue, work, warehouse)
        finally:
            verifying.result()  # changed bytes are the better reason when the files cannot be read either


def _canonical_input(
    source: Source, snapshot: Snapshot, catalogue: Catalogue, work: Path, warehouse: Warehouse
) -> StagingInput:
    paths: list[Path] = []
    rows = rejected = 0
    complete = True
    for number, path in enumerate(snapshot.data_paths()):
        target = work / "canonical" / source.id / f"{number}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        made = normalise(path, source, catalogue, target)
        quarantine(warehouse, source, snapshot, path, made.rejects)
        rows += made.rows_out
        rejected += len(made.rejects)
        complete = complete and made.complete
        paths.append(path if made.canonical else target)
    rectangle = rectangle_of(source, snapshot)
    return StagingInput(
        source=source,
        snapshot_id=snapshot.id,
        paths=paths,
        rectangle=rectangle,
        fill_seen=complete and rectangle is None,
        rejected_before=rejected,
        rows=rows,
    )


def rectangle_of(source: Source, snapshot: Snapshot) -> dict[str, list[str]] | None:
    """Return dimension id -> the codes a BULK extract was asked for, or None when zero cells are not left out."""
    if any(file.format != "bulk" for file in snapshot.manifest.data_files):
        return None
    rectangle: dict[str, list[str]] | None = snapshot.manifest.query.get("rectangle")
    return rectangle


def quarantine(warehouse: Warehouse, source: Source, snapshot: Snapshot, path: Path, rejects: list[Reject]) -> None:
    """Keep the rejected rows of one file with the rule each broke."""
    for reject in rejects:
        warehouse.execute(
            "INSERT INTO quarantine.row (source_id, _snapshot_id, file_name, row_number, rule_id, row_text) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [source.id, snapshot.id, path.name, reject.row, reject.rule, f"{reject.field}={reject.value}"],
        )
