"""One door for every form: sniff a file, open it as a table."""

from __future__ import annotations

from pathlib import Path

from flows.connectors.statbank_csv import csv_shape, read_cells, read_long
from flows.connectors.statbank_decode import FileShape, Limits, blocks, is_gzip, refusal, signature_of
from flows.connectors.statbank_grid import read_grid
from flows.connectors.statbank_jsonstat import load_json, read_jsonstat
from flows.connectors.statbank_table import Table
from flows.connectors.statbank_xlsx import read_workbook

DEFAULT_LIMITS = Limits()


def sniff(path: Path, limits: Limits = DEFAULT_LIMITS) -> FileShape:
    """Return the form of a file from its bytes: format, gzip, encoding, BOM, line ends, delimiter, header.

    The file's name is not asked. Raises DataRefused, in one sentence, for an empty, cut-off or damaged file, a web
    page, an error answer, another binary format, and a text that is no StatBank extract.
    """
    if not path.is_file():
        raise refusal(path, "not a file that can be read", "give a downloaded extract")
    try:
        gz = is_gzip(path)
        head = next(blocks(path, gz), b"")
        if signature_of(path, head) == "zip":
            return FileShape("xlsx", gz)
        if head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"["):
            load_json(path, gz, limits)
            return FileShape("jsonstat", gz)
        return csv_shape(path, gz)
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror})", "check the file's permissions") from None


def open_table(path: Path, limits: Limits = DEFAULT_LIMITS) -> Table:
    """Return a file of any accepted form as a table; DataRefused with the reason otherwise."""
    shape = sniff(path, limits)
    if shape.format == "jsonstat":
        return read_jsonstat(path, shape, limits)
    if shape.format == "xlsx":
        grid, table_id = read_workbook(path, shape.gz, limits)
        return read_grid(path, shape, grid, table_id)
    if shape.layout == "wide":
        return read_grid(path, shape, read_cells(path, shape, limits), None)
    return read_long(path, shape, limits)
