"""From Jobindsats snapshots to `staging.jobindsats`: every answer made tidy, in one long table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flows.connectors.jobindsats_tidy import tidy
from flows.snapshots import Snapshot
from transforms import runner
from transforms.catalogue import Catalogue, Source
from transforms.dictionary import Dictionary
from transforms.errors import DataRefused
from transforms.sqlfile import SqlFile
from transforms.staging import StagingCount, count_rows
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error, quote_literal

if TYPE_CHECKING:
    from _csv import Writer

COLUMNS = ("source_id", "area_code", "period", "category_text", "measure_name", "value", "status", "_snapshot_id")


def load_jobindsats(
    warehouse: Warehouse,
    file: SqlFile,
    dictionary: Dictionary,
    catalogue: Catalogue,
    snapshots: Mapping[str, Snapshot],
    work: Path,
) -> dict[str, StagingCount]:
    """Fill `staging.jobindsats` from the newest answers; return source id -> rows. DataRefused when rows are lost.

    Cells that a municipality lacks while others have them are added with status missing.
    """
    target = work / "jobindsats.csv"
    counts: dict[str, StagingCount] = {}
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=";", lineterminator="\n")
        writer.writerow(COLUMNS)
        for source in (s for s in catalogue.sources.values() if s.connector == "jobindsats"):
            if (snapshot := snapshots.get(source.id)) is not None:
                counts[source.id] = _append(writer, source, snapshot, work)
    columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in COLUMNS)
    try:
        warehouse.execute(
            f"CREATE OR REPLACE VIEW raw.jobindsats AS SELECT * FROM read_csv({quote_literal(str(target))}, delim=';', "
            f"header=true, auto_detect=false, quote='\"', escape='\"', nullstr='', columns={{{columns}}})"
        )
        runner.create_table(warehouse, file, dictionary)
        warehouse.execute(f"INSERT INTO {file.table} BY NAME SELECT *, false AS _is_filled FROM ({file.select})")
    except DatabaseError as error:
        raise explain_database_error(error, "loading staging.jobindsats") from None
    loaded = int(warehouse.scalar(f"SELECT count(*) FROM {file.table}"))
    if loaded != count_rows(target):
        raise DataRefused(f"jobindsats: {count_rows(target)} cells in the answers, but {loaded} loaded; fetch again")
    return counts


def _append(writer: Writer, source: Source, snapshot: Snapshot, work: Path) -> StagingCount:
    """Add one source's tidy rows; dimensions beside area and period become one category text."""
    snapshot.verify()
    (path,) = snapshot.data_paths()
    made = tidy(path, source, work / f"{source.id}.csv")
    with (work / f"{source.id}.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream, delimiter=";"):
            if row[0] == "area_code":
                continue
            area, period, *categories, measure, value, status = row
            writer.writerow((source.id, area, period, " · ".join(categories), measure, value, status, snapshot.id))
    told = made.rows_out - made.missing
    return StagingCount(rows_in=told, rows_loaded=told, rows_rejected=0, rows_filled=made.missing)
