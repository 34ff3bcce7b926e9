"""Jobindsats (STAR): a table asked for in version 3 or 2, and any answer of it as canonical rows.

Protocol: version 3, https://www.jobindsats.dk/information/om-api/brugervejledning-til-version-3/; version 2, «API
Eksempler» (4 March 2022). The token goes into a header and nowhere else.

One module, since every form of an answer becomes the same canonical rows.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from flows.connectors import FetchOptions, FetchResult, Finding, failed, finding_of
from flows.connectors.http import AnsweredError, Patience, open_client, read_body, stream_to_file
from flows.connectors.statbank.files import Recognised
from flows.connectors.statbank.forms import check_workbook, filled
from flows.connectors.statbank.query import listed
from flows.store.archives import ZIP_MAGIC
from flows.store.snapshots import Snapshot, SnapshotStore
from transforms.areas import area_code, areas_at, comparable
from transforms.catalogue import TOTAL, Catalogue, Code, JobindsatsDimension, JobindsatsQuery, Source
from transforms.errors import DataRefused, KommunekortError, UsageError
from transforms.load import Absent, CanonicalRows, RejectedRow
from transforms.periods import COPENHAGEN, is_period, parse_period

Files = dict[str, tuple[Path, str]]

WITHHELD, NOT_THERE = "..", "..."
"""How canonical rows write a figure that the publisher withholds, and one that there is not."""
BOM = "\ufeff"
DOUBLE_BOM = "ï»¿"  # a BOM encoded as UTF-8, read as Windows-1252 and encoded again


# --- asking -----------------------------------------------------------------------------------------------------


def connect(base_url: str, token: SecretStr | None, *, contact: str = "") -> httpx.Client:
    """Return a client for Jobindsats; UsageError without a token. Version 2 takes the bare token, 3 a bearer."""
    if token is None:
        raise UsageError("Jobindsats needs a token: set KOMMUNEKORT_JOBINDSATS_TOKEN (ask STAR for one)")
    secret = token.get_secret_value()
    header = secret if version_of(base_url) == 2 else f"Bearer {secret}"
    headers = {"Authorization": header, "Accept": "application/json"}
    return open_client(base_url, contact=contact, headers=headers)


def version_of(base_url: str) -> int:
    """Return the API version an address ends in; UsageError when it is neither 2 nor 3."""
    match = re.search(r"/v([23])/?$", base_url)
    if match is None:
        raise UsageError(f"{base_url}: the address of Jobindsats must end in /v3 or /v2")
    return int(match[1])


@dataclass(frozen=True)
class Description:
    """What `/v3/table/<id>` says of a table, as far as it is used here.

    `hierarchies`: hierarchy id -> the name of its dimension; `measures`: heading -> (measure group, measure);
    `periods`: period kind -> its periods, oldest first.
    """

    hierarchies: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    periods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def describe(client: httpx.Client, table: str, *, patience: Patience | None = None) -> Description | None:
    """Return the description of a table; None where the service has none (version 2, or no such page)."""
    if version_of(str(client.base_url)) == 2:
        return None
    try:
        told = _page(client, f"table/{table}", patience)
    except AnsweredError as error:
        if error.status == 404 and "cause" not in error.said:
            return None  # the data are asked for all the same, and their refusal is the better reason
        raise
    told = next(iter(_dicts(told if isinstance(told, list) else [told])), {})  # what it does not hold stays empty
    hierarchies = {
        str(hierarchy.get("hierarchy_id") or ""): str(each.get("dimension_name") or each.get("dimension_id") or "")
        for each in _dicts(told.get("dimensions"))
        for hierarchy in _dicts(each.get("hierarchies"))
    }
    measures = {
        _key(str(measure.get("measure_name"))): (str(group.get("mgroup_id")), str(measure.get("measure_id")))
        for group in _dicts(told.get("mgroups"))
        for measure in _dicts(group.get("measures"))
    }
    periods = {
        str(kind.get("periodtype_id")): tuple(sorted(str(v.get("period_id")) for v in _dicts(kind.get("values"))))
        for kind in _dicts(told.get("periods"))
    }
    return Description(hierarchies, measures, periods)


def _page(client: httpx.Client, path: str, patience: Patience | None) -> Any:
    """Return what a page of the service tells of its tables; None where it is no JSON."""
    request = client.build_request("GET", path, params={"format": "json"})
    with suppress(ValueError):
        return json.loads(_decoded(read_body(client, request, patience=patience)))
    return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def parameters(
    query: JobindsatsQuery, version: int, described: Description | None = None
) -> tuple[str, dict[str, str]]:
    """Return path and parameters that ask for the latest periods of a table.

    With a description only the measures wanted are asked for, by the hierarchies the table has; a dimension that the
    source does not name stands at its total, and one with a `total_text` that the table has not is not asked for.
    """
    if version == 2:
        period = f"l({query.period_kind.lower()}:{query.latest})"
        return f"data/{query.table}/json", {"period": period, "area": "*", **query.selections}
    told = described or Description()
    hierarchies = {query.area_hierarchy: "*"}
    for dimension in query.dimensions:
        if not _is_taken_as_total(dimension, told):
            hierarchies[_hierarchy(dimension, told)] = "*"
    asked_for = {told.hierarchies.get(name) for name in hierarchies}
    for name, of in told.hierarchies.items():
        if of not in asked_for and _key(of.lstrip("_")) not in AREA_HEADINGS:
            hierarchies[name] = "/"
            asked_for.add(of)
    return f"data/{query.table}", {
        **_measure_groups(query, told),
        f"period.{query.period_kind}": f"latest:{query.latest}",
        **{f"hierarchy.{name}": value for name, value in hierarchies.items()},
        "format": "json",
    }


def _hierarchy(dimension: JobindsatsDimension, told: Description) -> str:
    """Return the hierarchy to ask a dimension by: one of the source's that the table has, else one of its name."""
    known = [name for name in dimension.hierarchies if name in told.hierarchies]
    names = {_key(text) for text in (*dimension.headings, dimension.text_da)}
    alike = [name for name, of in told.hierarchies.items() if _key(of) in names]
    return [*known, *alike, *dimension.hierarchies][0]


def _is_taken_as_total(dimension: JobindsatsDimension, told: Description) -> bool:
    """Tell whether a table has nothing of a dimension, and our file says which total that is."""
    lacks = bool(told.hierarchies) and _hierarchy(dimension, told) not in told.hierarchies
    return lacks and dimension.total_text is not None


def _measure_groups(query: JobindsatsQuery, told: Description) -> dict[str, str]:
    """Return the parameters for the measures wanted; all of them where the description does not name every one."""
    wanted: dict[str, list[str]] = {}
    for measure in query.measures:
        found = next((told.measures[key] for key in map(_key, measure.headings) if key in told.measures), None)
        if found is None:
            return {"mgroup.*": "*"}
        wanted.setdefault(found[0], []).append(found[1])
    return {f"mgroup.{group}": ",".join(measures) for group, measures in wanted.items()}


def fetch_all(
    client: httpx.Client, sources: Iterable[Source], store: SnapshotStore, catalogue: Catalogue, options: FetchOptions
) -> list[FetchResult]:
    """Fetch several tables one by one; one that fails keeps its newest snapshot and says why in one sentence.

    The list of all tables is asked first: what has not been updated since its last answer is not asked for again, and
    invented answers only once per world they are made from, unless `again`.
    """
    results: list[FetchResult] = []
    updates = cache(partial(updates_of, client, options.patience))
    for source in sources:
        try:
            results.append(fetch_source(client, source, store, catalogue, options, updates))
        except Exception as error:
            results.append(failed(source, store, options, error))
        finally:
            if options.on_end:
                options.on_end(source.id)
    return results


@dataclass(frozen=True)
class Update:
    """When a table was last updated, and when it is to be next, as the list of tables has it."""

    latest: date
    following: date | None

    @property
    def published_at(self) -> str:
        """Return the day as a manifest has it."""
        return f"{self.latest:%Y-%m-%d}T00:00:00Z"

    def is_held_by(self, snapshot: Snapshot, question: str) -> bool:
        """Tell whether a snapshot answers the same question, asked after the update, with no other due since.

        An answer of the very day of the update may have come before it.
        """
        kept = snapshot.manifest
        asked_on = datetime.fromisoformat(kept.retrieved_at).astimezone(COPENHAGEN).date()
        due = self.following is not None and self.following <= datetime.now(COPENHAGEN).date()
        same = (kept.published_at, kept.query.get("question")) == (self.published_at, question)
        return same and asked_on > self.latest and not due


def updates_of(client: httpx.Client, patience: Patience | None = None) -> dict[str, Update]:
    """Return table -> its updates, from the list of all tables; nothing where the service has none to tell.

    It only spares questions, so whatever goes wrong here is told by the questions that are then asked.
    """
    found: dict[str, Update] = {}
    waiting: list[Any] = []
    if version_of(str(client.base_url)) == 3:
        with suppress(KommunekortError):
            waiting.append(_page(client, "tables", patience))
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            waiting += [value for value in each.values() if isinstance(value, list)]
            latest = _day(each.get("update_latest"))
            if latest is not None:
                found[_table_key(str(each.get("table_id")))] = Update(latest, _day(each.get("update_next")))
    return found


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def _table_key(table: str) -> str:
    """Return a table's id without its spelling: ptv_a02 and PTVA02 are one."""
    return re.sub(r"[^a-z0-9]", "", table.casefold())


def check_all(
    client: httpx.Client, sources: Iterable[Source], store: SnapshotStore, catalogue: Catalogue, options: FetchOptions
) -> list[Finding]:
    """Return what the descriptions of the tables show, before any figure is asked for."""
    return [finding for source in sources for finding in _check_source(client, source, options)]


def _check_source(client: httpx.Client, source: Source, options: FetchOptions) -> list[Finding]:
    query = query_of(source)
    try:
        told = describe(client, query.table, patience=options.patience)
    except KommunekortError as error:
        return [finding_of(source, explained(source, error) if isinstance(error, AnsweredError) else error)]
    if told is None or not told.hierarchies:
        return [Finding(source.id, "new", f"{query.table} has no description; whether it answers is seen by a fetch")]
    found: list[Finding] = []

    def fault(text: str) -> None:
        found.append(Finding(source.id, "fault", f"flows/sources/{source.id}.yml: {text}"))

    for dimension in query.dimensions:
        if _is_taken_as_total(dimension, told):
            text = f"{query.table} is not by {dimension.text_da}: taken as «{dimension.total_text}»"
            found.append(Finding(source.id, "new", text))
        elif _hierarchy(dimension, told) not in told.hierarchies:
            has = ", ".join(f"{name} ({of})" for name, of in told.hierarchies.items())
            text = f"{query.table} has no hierarchy for {dimension.text_da}; it has {has}"
            fault(f"{text}; add one to `hierarchies:` or the dimension's `headings:`")
    if query.area_hierarchy not in told.hierarchies:
        fault(f"{query.table} has no {query.area_hierarchy}; correct `area_hierarchy:`")
    if told.measures:
        has = ", ".join(told.measures)
        for measure in query.measures:
            if not {_key(heading) for heading in measure.headings} & told.measures.keys():
                fault(f"no measure {measure.headings[0]!r}; the table has {has}; add its heading")
    periods = told.periods.get(query.period_kind, ())
    if told.periods and not periods:
        kinds = ", ".join(told.periods)
        fault(f"no periods of kind {query.period_kind}; it has {kinds}")
    newest = periods[-1] if periods else "not told"
    return found or [Finding(source.id, "ok", f"{query.table}, newest period {newest}, {source.licence}")]


def fetch_source(
    client: httpx.Client,
    source: Source,
    store: SnapshotStore,
    catalogue: Catalogue,
    options: FetchOptions,
    updates: Callable[[], Mapping[str, Update]],
) -> FetchResult:
    """Ask for a source's table and keep the answer, when it can be read, as its newest snapshot.

    It is not asked when the previous answer was made from the very world that would answer now, or when `updates`, the
    publisher's word on its tables, says that it still holds. Raises DataRefused with the publisher's own reason when
    the question is refused (422), and when no build could read the answer.
    """
    previous = store.newest(source.id, synthetic=options.synthetic)
    held = None if options.again else previous
    world = {"world": dict(options.made_from)} if options.made_from is not None else {}
    if held is not None and world and held.manifest.query.get("world") == world["world"]:
        return FetchResult(source.id, "unchanged", held, "made from the same world")
    question = hashlib.sha256(f"{client.base_url.path} {query_of(source).model_dump_json()}".encode()).hexdigest()
    update = updates().get(_table_key(query_of(source).table))
    if held is not None and update is not None and not options.synthetic and update.is_held_by(held, question):
        notes = tuple(held.manifest.query.get("notes", ()))
        return FetchResult(source.id, "unchanged", held, "not updated since it was asked for", notes=notes)
    with tempfile.TemporaryDirectory() as scratch:
        files, query = download(source, client, Path(scratch), patience=options.patience)
        rows = write_rows(source, [path for path, _ in files.values()], catalogue, Path(scratch) / "canonical")
        _refuse_unreadable(source, rows)
        asked = {**query, **world, "question": question, "newest_period": _newest_period(rows), "notes": rows.notes}
        published_at = update.published_at if update is not None else None
        made = store.add(
            source.id, files, origin=options.origin, synthetic=options.synthetic, published_at=published_at, query=asked
        )
    if previous is not None and made.id == previous.id:
        return FetchResult(source.id, "unchanged", made, "the same bytes as before", notes=tuple(rows.notes))
    return FetchResult(source.id, "new", made, f"{rows.rows:,} cells", notes=tuple(rows.notes))


def _newest_period(rows: CanonicalRows) -> str:
    """Return the newest period with a figure: the periods of one table are of one kind, and sort as texts."""
    with rows.paths[0].open(encoding="utf-8") as stream:
        next(stream)
        cells = (line.rstrip("\n").rsplit(";", 2)[1:] for line in stream)
        return max((period for period, value in cells if value != NOT_THERE), default="")


def _refuse_unreadable(source: Source, rows: CanonicalRows) -> None:
    """Refuse an answer of which more cannot be read than may go to quarantine: no build could use it."""
    told = rows.rows or 0
    if len(rows.rejected) > source.expectations.quarantine_max_share * (told + len(rows.rejected)):
        first = rows.rejected[0]
        raise DataRefused(
            f"{source.id}: {len(rows.rejected)} of {told + len(rows.rejected)} cells cannot be read (row {first.row}: "
            f"{first.text}); has the publisher changed the table?"
        )


def download(
    source: Source, client: httpx.Client, folder: Path, *, patience: Patience | None = None
) -> tuple[Files, dict[str, Any]]:
    """Ask for a source's table and return (files, query) as the snapshot store takes them.

    The table's description is asked first, so that only the measures wanted are asked for, by hierarchies it has; when
    the narrow question is refused, the plain one is asked. Raises DataRefused with the publisher's own reason.
    """
    query, version = query_of(source), version_of(str(client.base_url))
    target = folder / f"{source.id}.json"
    try:
        described = describe(client, query.table, patience=patience)
        questions = [parameters(query, version, described), parameters(query, version)]
        for path, asked in questions:
            try:
                stream_to_file(client, client.build_request("GET", path, params=asked), target, patience=patience)
                break
            except AnsweredError as error:
                if error.status != 422 or asked == questions[1][1]:
                    raise
    except AnsweredError as error:
        raise explained(source, error) from None
    return {target.name: (target, f"jobindsats-v{version}")}, {"version": version, "path": path, **asked}


def query_of(source: Source) -> JobindsatsQuery:
    """Return the `jobindsats:` part of a source."""
    assert source.jobindsats is not None, "the catalogue checks it"
    return source.jobindsats


def explained(source: Source, error: AnsweredError) -> DataRefused:
    """Return the refusal with the publisher's `cause`; a refused token says what to do."""
    if error.status in (401, 403):
        return DataRefused(
            f"{source.id}: Jobindsats refuses the token ({error.status}); renew it with STAR "
            f"and set KOMMUNEKORT_JOBINDSATS_TOKEN"
        )
    if "cause" not in error.said:
        return DataRefused(f"{source.id}: {error}")
    return DataRefused(
        f"{source.id}: Jobindsats answered {error.status}: {error.said['cause']} "
        f"(request {error.said.get('request_id', 'not given')}); correct flows/sources/{source.id}.yml"
    )


# --- reading ----------------------------------------------------------------------------------------------------


class Number(str):
    """A figure that came as a number, written with a point: there is only one way to read it."""


Cell = str | None
# An answer in parts says so under a name of its own; no part is the whole.
_MORE = re.compile(
    r"next(_?(page|link|url|cursor|token))?|has_?more|more|truncated|continuation(_?token)?", re.IGNORECASE
)
_COUNTED = re.compile(r"(total|row|record)(_?(count|rows|records))?", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """A table of texts and numbers; None where the publisher gives null. Every row is as long as `headings`."""

    headings: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


MOST_BYTES = 100_000_000
"""The largest answer or export that is read: all of it is held."""


def read_answer(path: Path) -> Answer:
    """Return what a file holds: JSON of version 3 or 2, CSV of version 2, or an Excel export.

    Raises DataRefused naming the file when it is none of these.
    """
    if path.stat().st_size > MOST_BYTES:
        raise DataRefused(f"{path.name}: larger than any answer of Jobindsats")
    content = path.read_bytes()
    if content.startswith(ZIP_MAGIC):
        return read_export(content, path.name)
    looks_like_json = _decoded(content[:4096]).lstrip().startswith(("{", "["))
    return read_json(content, path.name) if looks_like_json else read_csv(content, path.name)


def read_json(content: bytes, name: str) -> Answer:
    """Return a JSON answer of either version as headings and rows; DataRefused when it is neither."""
    try:
        data = json.loads(_decoded(content))
    except (ValueError, RecursionError):
        raise DataRefused(f"{name}: not JSON; fetch it again") from None
    if isinstance(data, list) and data and isinstance(data[0], dict):
        data = data[0]
    neither = DataRefused(f"{name}: neither an answer of version 3 (columns, rows) nor of version 2 (Variables, Data)")
    if not isinstance(data, dict):
        raise neither
    if "cause" in data:
        raise DataRefused(f"{name}: Jobindsats refused the question: {data['cause']}")
    if more := [key for key, told in data.items() if _MORE.fullmatch(key) and told]:
        raise DataRefused(f"{name}: only a part of the answer ({more[0]}: {str(data[more[0]])[:80]}); ask for less")
    try:
        if "columns" in data:
            headings, rows = [str(each) for each in data["columns"]], data["rows"]
        else:
            headings, rows = [str(each["Label"]) for each in data["Variables"]], data["Data"]
        table = [tuple(_cell(cell) for cell in row) for row in rows]
    except (KeyError, TypeError):
        raise neither from None
    _refuse_other_widths(f"{name}: row", table, len(headings))
    counted = [told for key, told in data.items() if _COUNTED.fullmatch(key) and isinstance(told, int)]
    if max(counted, default=0) > len(table):
        raise DataRefused(f"{name}: only {len(table):,} of {max(counted):,} rows are there; ask for less (`latest:`)")
    return Answer(tuple(headings), table)


def read_csv(content: bytes, name: str) -> Answer:
    """Return a CSV answer of version 2 (`;`, UTF-8 or Windows-1252); DataRefused when its rows differ in width."""
    rows: list[list[str]] = []
    with suppress(csv.Error):  # a quote that is never closed
        rows = list(csv.reader(io.StringIO(_decoded(content), newline=""), delimiter=";"))
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows or len(rows[0]) < 3:
        raise DataRefused(f"{name}: not a table of Jobindsats (`;` between the columns)")
    _refuse_other_widths(f"{name}: line", rows, len(rows[0]))
    return Answer(tuple(rows[0]), [tuple(cell.strip() for cell in row) for row in rows[1:]])


def _refuse_other_widths(place: str, rows: Iterable[Sequence[Cell]], width: int) -> None:
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise DataRefused(f"{place} {number} has {len(row)} cells for {width} columns")


@lru_cache(2**16, typed=True)  # an answer of hundreds of thousands of cells has a few thousand different ones
def _cell(cell: Any) -> Cell:
    if cell is None:
        return None
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        raise TypeError
    if isinstance(cell, str):
        return cell.strip()
    return Number(cell) if isinstance(cell, int) else Number(format(cell, ".4f"))


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    return re.sub(f"^(?:{BOM}|{DOUBLE_BOM})+", "", text)


FOOTERS = ("kilde:", "anm.:", "note:")
AREA, PERIOD, VALUE = "Område", "Periode", "Værdi"


def read_export(content: bytes, name: str) -> Answer:
    """Return an Excel export made by hand on jobindsats.dk, long: Periode, Område, one column per further axis, Værdi.

    A1 holds the path of the measure. Then come headings over the columns (period, area, measure, industry … in any
    order) and stubs beside the rows; both may give a text once for a whole group. Blank rows end the table. Further
    axes have no name in the file and are called «Akse 1», «Akse 2», … from left to right, stubs first. Raises
    DataRefused when the sheet is no such export.
    """
    grid = _grid(content, name)
    first = next((n for n, row in enumerate(grid) if n and row[0]), None)
    if first is None or first < 2:
        raise DataRefused(f"{name}: not an export from jobindsats.dk (no rows under the headings)")
    last = next((n for n in range(first, len(grid)) if _ends(grid[n])), len(grid))
    heads, body = grid[1:first], grid[first:last]
    stub_width = next((n for n in range(len(grid[0])) if any(row[n] for row in heads)), 0)
    if stub_width == 0:
        raise DataRefused(f"{name}: not an export from jobindsats.dk (no headings over the columns)")
    stubs = [filled([row[n] for row in body]) for n in range(stub_width)]
    headings = [filled(row[stub_width:]) for row in heads if any(row)]
    kinds = [_kind(axis) for axis in (*stubs, *headings)]
    for wanted in (PERIOD, AREA):
        if kinds.count(wanted) != 1:
            raise DataRefused(f"{name}: {kinds.count(wanted)} axes look like {wanted}; export with exactly one")
    further = [n for n, kind in enumerate(kinds) if kind == ""]
    order = [kinds.index(PERIOD), kinds.index(AREA), *further]
    rows: list[tuple[Cell, ...]] = []
    for *stub, row in zip(*stubs, body, strict=True):
        for *heading, figure in zip(*headings, row[stub_width:], strict=True):
            at = [*stub, *heading]
            rows.append((*(at[n] for n in order), figure))
    # Which further axis holds the measures is settled by who knows their names.
    return Answer((PERIOD, AREA, *(f"Akse {n}" for n in range(1, len(further) + 1)), VALUE), rows)


def _grid(content: bytes, name: str) -> list[list[str]]:
    import python_calamine

    check_workbook(Path(name), content)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        cells = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, IndexError, ValueError, OSError):
        raise DataRefused(f"{name}: a damaged workbook; export it again") from None
    return [[_sheet_text(cell) for cell in row] for row in cells]


def _sheet_text(cell: Any) -> str:
    if isinstance(cell, float):
        return Number(int(cell)) if cell.is_integer() else Number(repr(cell))
    return str(cell).strip()


def _ends(row: Sequence[str]) -> bool:
    return not any(row) or row[0].lower().startswith(FOOTERS)


def _kind(axis: Sequence[str]) -> str:
    values = set(axis) - {""}
    if values and all(is_period(value) for value in values):
        return PERIOD
    return AREA if values and all(_known_area(value) for value in values) else ""


# --- as canonical rows ------------------------------------------------------------------------------------------

AREA_HEADINGS = ("område", "area", "omrade")
PERIOD_HEADINGS = ("periode", "period")
RESIDUAL_AREAS = (("uoplyst", "998"), ("ukendt", "998"), ("udlandet", "997"))
"""How names of no place in Denmark begin -> the residual area they are."""
RESIDUAL_CODES = {code for _, code in RESIDUAL_AREAS}
_NUMBER = re.compile(r"-?\d+([.,]\d+)?")
_GROUPED = re.compile(r"-?\d{1,3}(\.\d{3})+")
_GROUPED_DECIMALS = re.compile(r"-?\d{1,3}(\.\d{3})+,\d+")
_DANISH = re.compile(r"-?[\d.]*\d,\d+")
_ENGLISH = re.compile(r"-?\d+\.(\d{1,2}|\d{4,})")
WHOLE_UNITS = ("persons", "count", "rank")
RATE_UNITS = ("pct", "pct_points")
_TOTAL_TEXT = re.compile(r"(.+ )?i alt|alle( .+)?|total|hele landet|begge køn|mænd og kvinder|kvinder og mænd")


def canonical_rows(source: Source, snapshot: Snapshot, catalogue: Catalogue, folder: Path) -> CanonicalRows:
    """Return the answers of a snapshot as canonical rows, written to `folder`; errors as in `_Cells`."""
    snapshot.verify()
    return write_rows(source, snapshot.data_paths(), catalogue, folder, snapshot.id)


def write_rows(
    source: Source, paths: Sequence[Path], catalogue: Catalogue, folder: Path, snapshot_id: str = ""
) -> CanonicalRows:
    """Write the cells of answers as one canonical CSV: the source's dimensions in their order, then INDHOLD."""
    cells = _Cells(source, catalogue)
    cells.read(paths)
    target = folder / f"{source.id}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=";", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow([*(dimension.id.upper() for dimension in source.dimensions), "INDHOLD"])
        writer.writerows(sorted((*key, value) for key, value in cells.values.items()))
    absent, count = _absent(source, cells), len(cells.values)
    return CanonicalRows(
        source, snapshot_id, [target], count, cells.rejected, absent, cells.new_codes, notes=cells.notes
    )


class _Cells:
    """The cells of one or more answers: key (as the source's dimensions) -> value or mark; and what came beside.

    A cell that is given twice with the same figure counts once.

    Marks: `..` withheld, `...` not there. A null is withheld where the source says that the publisher's nulls are, or
    where it stands beside a rate of its own; a rate beside a withheld count is withheld too. Areas and texts of a
    dimension that have no code are kept as they are and named. Cells with an unreadable period or number are rejected
    one by one. Raises DataRefused for a file that is no answer, lacks a column, or gives a cell twice with two figures.
    """

    def __init__(self, source: Source, catalogue: Catalogue):
        self.query = query_of(source)
        self.coders = {AREA_ID: _Coder(self._area)}
        for dimension in self.query.dimensions:
            self.coders[dimension.column.upper()] = _Coder(_codes_of(source, dimension, catalogue))
        self.units = {measure.id: measure.unit for measure in self.query.measures}
        self.values: dict[tuple[str, ...], str] = {}
        self.rejected: list[RejectedRow] = []
        self.new_codes: dict[str, list[Code]] = {}
        self.notes: list[str] = []
        self.named: dict[str, str] = {}
        self.copies = 0

    def read(self, paths: Sequence[Path]) -> None:
        """Take the cells of further answers in."""
        for path in paths:
            answer = read_answer(path)
            columns = _columns(answer, self.query, path.name)
            self.notes += columns.notes
            self._take(answer, columns, path.name)
        for dimension in self.query.dimensions:
            coder = self.coders[dimension.column.upper()]
            if len(coder.new) > len(coder.found):  # job titles, say, where industries are meant
                raise DataRefused(
                    f"{paths[0].name}: {len(coder.new)} texts of {dimension.text_da} (first "
                    f"{next(iter(coder.new))!r}) have no code in {dimension.codelist}; this is another breakdown"
                )
        self.new_codes = {name: list(coder.new.values()) for name, coder in self.coders.items() if coder.new}
        self.notes += [
            f"{name.lower()} without a code, kept as it is: {listed((code.text_da for code in codes), 5)}"
            for name, codes in self.new_codes.items()
        ]
        if self.copies:
            self.notes.append(f"{self.copies} cells came twice with the same figure and count once")

    def _take(self, answer: Answer, columns: _Columns, name: str) -> None:
        danish = _is_danish(answer, columns)
        for number, row in enumerate(answer.rows, start=1):
            if any(row[n] != text for n, text in columns.only.items()):
                continue
            found = columns.measures_of(row)
            try:
                period = parse_period(row[columns.period] or "")
            except DataRefused as refused:
                self._reject(name, number, "period_readable", str(refused), len(found))
                continue
            texts = [n if isinstance(n, str) else row[n] or "" for n in (columns.area, *columns.dimensions)]
            kept = [coder(text) for coder, text in zip(self.coders.values(), texts, strict=True)]
            values = {}
            for measure, text in found.items():
                value = _value(text, self.units[measure], danish)
                if value is None:
                    self._reject(name, number, "value_readable", f"{measure}={text}: no number, or two ways to read it")
                else:
                    values[measure] = value
            for measure, value in self._withheld(values).items():
                self._add((*kept, measure, period), value, name)

    def _withheld(self, values: dict[str, str]) -> dict[str, str]:
        """Return one row's values with nulls and rates settled, see `_Cells`."""
        if self.query.nulls == "suppressed":
            values = {measure: WITHHELD if value == NOT_THERE else value for measure, value in values.items()}
        for measure in self.query.measures:
            count, rate = values.get(measure.of or ""), values.get(measure.id)
            if count is None or rate is None:
                continue
            if count == NOT_THERE and rate not in (NOT_THERE, WITHHELD):
                values[measure.of or ""] = count = WITHHELD
            if count == WITHHELD:
                values[measure.id] = WITHHELD
        return values

    def _add(self, key: tuple[str, ...], value: str, name: str) -> None:
        known = self.values.get(key)
        if known is None:
            self.values[key] = value
            return
        if known != value:
            raise DataRefused(
                f"{name}: {'; '.join(key)} is given twice, as {known} and as {value}; two values of a dimension share "
                f"a text, or two answers disagree: ask for one value per cell"
            )
        self.copies += 1

    def _area(self, text: str) -> str | None:
        code = _known_area(text)
        # Two texts of one residual area are two figures: the second is kept under its own text.
        is_second = code in RESIDUAL_CODES and self.named.setdefault(code, _key(text)) != _key(text)
        return None if is_second else code

    def _reject(self, name: str, row: int, rule: str, text: str, cells: int = 1) -> None:
        self.rejected += [RejectedRow(name, row, rule, text)] * cells


AREA_ID, MEASURE_ID = "OMRÅDE", "MÅLING"


class _Coder:
    """The texts of one dimension as they are kept: as their codes, and without one as they are, gathered in `new`."""

    def __init__(self, code_of: Callable[[str], str | None]):
        self.code_of = code_of
        self.new: dict[str, Code] = {}
        self.found: set[str] = set()

    def __call__(self, text: str) -> str:
        code = self.code_of(text)
        if code is None:
            kept = _plain(text) or "?"
            return self.new.setdefault(kept, Code(kept, kept, kept)).code
        self.found.add(code)
        return code


def _codes_of(source: Source, dimension: JobindsatsDimension, catalogue: Catalogue) -> Callable[[str], str | None]:
    """Return what gives a text its code; where the source names no code list, the text stands for itself."""
    if dimension.codelist is None:
        return _plain
    known = {
        _key(text): code.code
        for code in catalogue.codes(source, dimension.column.upper())
        for text in (code.code, code.text_da, code.text_da.removeprefix(f"{code.code} "))
    }
    known |= {_key(text): TOTAL for text in dimension.total_texts}
    known |= {_key(text): code for text, code in dimension.texts.items()}
    return lambda text: known.get(_key(text))


@dataclass(frozen=True)
class _Columns:
    """Which columns of an answer hold what: a dimension without a column has the text of its total instead.

    `only`: further dimensions, and the text (their total) that is kept.
    """

    area: int
    period: int
    dimensions: list[int | str]
    measures: dict[str, int]
    only: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    measure_axis: tuple[int, dict[str, str]] | None = None

    def measures_of(self, row: Sequence[Cell]) -> dict[str, Cell]:
        """Return measure id -> cell of one row; an export gives one measure a row."""
        if self.measure_axis is None:
            return {measure: row[n] for measure, n in self.measures.items()}
        place, names = self.measure_axis
        return {names[_key(row[place] or "")]: row[-1]}


def _columns(answer: Answer, query: JobindsatsQuery, name: str) -> _Columns:
    """Return what the columns hold; DataRefused when one the source needs is absent or cannot be told.

    Measures beside those wanted are left out and named; a dimension the source does not name is kept at its total.
    """
    if _key(answer.headings[-1]) == _key(VALUE):
        return _export_columns(answer, query, name)
    known = {_key(text): ("measure", measure.id) for measure in query.measures for text in measure.headings}
    known |= {_key(text): ("dimension", each.column) for each in query.dimensions for text in each.headings}
    known |= {text: ("area", "") for text in AREA_HEADINGS} | {text: ("period", "") for text in PERIOD_HEADINGS}
    found: dict[tuple[str, str], int] = {}
    beside: list[int] = []
    for number, heading in enumerate(answer.headings):
        # The publisher sometimes leads each heading with the name of the measure group.
        parts = heading.split(": ")
        role = next((known[key] for n in range(len(parts)) if (key := _key(": ".join(parts[n:]))) in known), None)
        if role is None:
            beside.append(number)
        elif found.setdefault(role, number) != number:
            raise DataRefused(f"{name}: two columns are {heading!r}")
    absent = {("dimension", each.column): each.total_text for each in query.dimensions if each.total_text is not None}
    for wanted in known.values():
        if wanted not in found and wanted not in absent:
            raise DataRefused(
                f"{name}: no column for {' '.join(wanted).strip()}; the answer has {', '.join(answer.headings)}; "
                "has the publisher renamed it? add it under `headings:` of the source"
            )
    only, notes = _beside(answer, beside, name)
    notes += [
        f"dimension {of[1]} has no column and is taken as «{text}»" for of, text in absent.items() if of not in found
    ]
    dimensions = [found.get(("dimension", each.column), each.total_text or "") for each in query.dimensions]
    measures = {measure.id: found["measure", measure.id] for measure in query.measures}
    return _Columns(found["area", ""], found["period", ""], dimensions, measures, only, notes)


def _beside(answer: Answer, columns: Sequence[int], name: str) -> tuple[dict[int, str], list[str]]:
    """Return what is kept of further dimensions (column -> text), and a line for everything left out."""
    only: dict[int, str] = {}
    notes: list[str] = []
    for column in columns:
        heading = answer.headings[column]
        texts = Counter(row[column] or "" for row in answer.rows if not isinstance(row[column], Number))
        if all(_value(text, "count", None) is not None for text in texts):
            notes.append(f"measure {heading!r} is not asked for and left out")
            continue
        totals = [text for text in texts if _TOTAL_TEXT.fullmatch(_key(text))]
        if len(texts) > 1 and len(totals) != 1:
            raise DataRefused(
                f"{name}: the column {heading!r} is not known and has {len(texts)} texts, none of them the total; "
                "name it under `dimensions:` of the source"
            )
        only[column] = totals[0] if totals else next(iter(texts))
        notes.append(f"dimension {heading!r} is not named by the source; only {only[column]!r} of it is kept")
    return only, notes


def _export_columns(answer: Answer, query: JobindsatsQuery, name: str) -> _Columns:
    """Return the columns of an Excel export, whose further axes are told by their texts."""
    names = {_key(text): measure.id for measure in query.measures for text in measure.headings}
    axes = range(2, len(answer.headings) - 1)
    measures = [n for n in axes if {_key(row[n] or "") for row in answer.rows} <= set(names)]
    if len(measures) != 1:
        known = ", ".join(measure.headings[0] for measure in query.measures)
        raise DataRefused(f"{name}: {len(measures)} axes hold the measures of the source ({known}); export with one")
    others = [n for n in axes if n != measures[0]]
    if len(others) != len(query.dimensions):
        raise DataRefused(
            f"{name}: {len(others)} axes beside period, area and measure for {len(query.dimensions)} dimensions of the "
            "source; export the same dimensions"
        )
    return _Columns(1, 0, list(others), {}, measure_axis=(measures[0], names))


def recognise_file(path: Path, name: str, catalogue: Catalogue, scratch: Path) -> Recognised | None:
    """Return which source an export or a saved answer belongs to; None when it is nothing of Jobindsats.

    Raises DataRefused with the reason when the file is of Jobindsats but cannot be taken.
    """
    title = _title_of(path)
    try:
        answer = read_answer(path)
    except DataRefused as refused:
        if "Jobindsats refused" in str(refused) or "jobindsats" in title:
            raise
        return None
    except OSError:
        return None
    wanted = {_key(text) for s in _of_jobindsats(catalogue) for m in query_of(s).measures for text in m.headings}
    held = {_key(heading) for heading in answer.headings}
    if answer.headings[-1] == VALUE:  # an export names its measures in the rows
        held |= {_key(cell) for row in answer.rows for cell in row if cell}
    if not wanted & held:
        if "jobindsats" in title:
            raise DataRefused(f"{path.name}: an export from jobindsats.dk of no table used here; nothing is lost")
        return None
    source = recognise(answer, path.name, catalogue, f"{name} {title}")
    rows = write_rows(source, [path], catalogue, scratch)
    _refuse_unreadable(source, rows)
    with rows.paths[0].open(encoding="utf-8", newline="") as stream:
        cells = list(csv.DictReader(stream, delimiter=";", quoting=csv.QUOTE_NONE))
    periods = tuple(sorted({cell[source.time.id.upper()] for cell in cells}))
    why = "its name or title says so" if _is_named(source, f"{name} {title}") else "no other table has these columns"
    areas = len({cell[AREA_ID] for cell in cells})
    return Recognised(source.id, "text", "da", why=why, periods=periods, areas=areas, rows=len(cells))


def recognise(answer: Answer, name: str, catalogue: Catalogue, said: str = "") -> Source:
    """Return the Jobindsats source whose measures and dimensions a file holds; DataRefused when none or several do.

    `said` is the file's name and title: where several sources have the same columns, and where tables are known that
    have no source but look the same (`lookalikes`), it must hold the table's id or the source's title.
    """
    fitting: list[Source] = []
    faults: list[DataRefused] = []
    named = [source for source in _of_jobindsats(catalogue) if _is_named(source, said)]
    for source in named or _of_jobindsats(catalogue):
        try:
            _columns(answer, query_of(source), name)
            fitting.append(source)
        except DataRefused as refused:
            faults.append(refused)
    if named and not fitting:
        raise faults[0]
    most = max((len(query_of(source).measures) for source in fitting), default=0)
    best = [source for source in fitting if len(query_of(source).measures) == most]
    alike = [table for source in best for table in (query_of(source).table, *source.lookalikes)]
    if len(best) != 1 or (len(alike) > 1 and not named):
        told = " and ".join(alike) or "no source of Jobindsats"
        raise DataRefused(f"{name}: its columns ({', '.join(answer.headings)}) fit {told}; name it after its table")
    return best[0]


def _of_jobindsats(catalogue: Catalogue) -> list[Source]:
    return [source for source in catalogue.sources.values() if source.connector == "jobindsats"]


def _is_named(source: Source, said: str) -> bool:
    """Return whether a text holds a table's id, however it is spelled (ptv_a02, PTVA02), or the source's title."""
    letters = re.sub(r"[^a-z0-9æøå]", "", said.casefold())
    return _table_key(query_of(source).table) in letters or _key(source.title_da) in _key(said)


def _title_of(path: Path) -> str:
    """Return the first cell of an export and its footers, in lower case; empty for every other form."""
    with path.open("rb") as file:
        if file.read(4) != ZIP_MAGIC or path.stat().st_size > MOST_BYTES:
            return ""
    with suppress(DataRefused):
        grid = _grid(path.read_bytes(), path.name)
        return " ".join(row[0] for row in grid[:1] + grid[-5:] if row).casefold()
    return ""


@lru_cache(maxsize=10_000)
def _key(heading: str) -> str:
    """Return a heading as it is compared, without the `Gruppe: ` version 2 puts in front; `50+` is not `50-`."""
    return comparable(heading, keep="%:+-").removeprefix("gruppe: ")


def _plain(text: str) -> str:
    """Return a text as canonical rows hold it: on one line, without the sign that parts their columns."""
    return " ".join(text.replace(";", ",").split())


@lru_cache(maxsize=10_000)
def _known_area(text: str) -> str | None:
    """Return the code of an area's name; a name of no place in Denmark is the residual area it begins like."""
    key = comparable(text)
    residual = next((code for word, code in RESIDUAL_AREAS if key.startswith(word)), None)
    return residual or area_code(text)


def _is_danish(answer: Answer, columns: _Columns) -> bool | None:
    """Tell whether the answer's texts write decimals with a comma; None when no text tells."""
    cells = [cell for row in answer.rows for cell in columns.measures_of(row).values() if not isinstance(cell, Number)]
    texts = {cell.replace(" ", "") for cell in cells if cell}
    if any(_DANISH.fullmatch(text) for text in texts):
        return True
    return False if any(_ENGLISH.fullmatch(text) for text in texts) else None


def _value(text: Cell, unit: str, danish: bool | None) -> str | None:
    """Return a figure with a point, or its mark; None when it is no number, or one of two that cannot be told apart.

    `1.229` is 1229 persons, since persons are whole, and 1.229 per cent, since per cents have no thousands.
    """
    if isinstance(text, Number):
        return _shortest(text) if _NUMBER.fullmatch(text) else None
    plain = "" if text is None else text.replace("\u00a0", "").replace(" ", "")
    if plain == "":
        return NOT_THERE
    if plain in (".", "..", "*"):
        return WITHHELD
    if plain == "-":
        return "0"
    if _GROUPED_DECIMALS.fullmatch(plain):
        return _shortest(plain.replace(".", ""))
    if _GROUPED.fullmatch(plain) and unit not in RATE_UNITS:
        several = plain.count(".") > 1
        if not several and unit not in WHOLE_UNITS and danish is None:
            return None
        return plain.replace(".", "") if several or unit in WHOLE_UNITS or danish else _shortest(plain)
    return _shortest(plain) if _NUMBER.fullmatch(plain) else None


def _shortest(number: str) -> str:
    """Return a number with a point and no zeros behind its last decimal, so that equal figures are equal texts."""
    point = number.replace(",", ".")
    return point.rstrip("0").rstrip(".") if "." in point else point


def _absent(source: Source, cells: _Cells) -> tuple[Absent, ...]:
    """Return that a municipality without a row is missing, where others have one in the same period."""
    municipalities = [area.code for area in areas_at(["municipality"])]
    if not query_of(source).all_municipalities or not {key[0] for key in cells.values} & set(municipalities):
        return ()
    others = tuple(dimension.id for dimension in source.dimensions if dimension.id != AREA_ID)
    return (Absent("missing", {AREA_ID: municipalities}, within=others),)
