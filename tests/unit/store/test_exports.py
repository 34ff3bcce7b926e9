"""What is taken out of a build: types that tools calculate with, metadata, a valid data package, a DCAT-AP record."""

from __future__ import annotations

import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows.store.exports import SYNTHETIC, write_package
from tests.fixtures.world import Published


@pytest.fixture(scope="module")
def package(tiny_run: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the data package of the small mapping."""
    folder = tmp_path_factory.mktemp("package")
    write_package(tiny_run.settings.published, folder)
    return folder


def test_parquet_holds_no_decimals_and_says_what_it_is(tiny_run: Published) -> None:
    for path in sorted(tiny_run.settings.exports.glob("*.parquet")):
        frame = pd.read_parquet(path)
        objects = [name for name in frame.columns if frame[name].map(lambda cell: isinstance(cell, Decimal)).any()]
        assert objects == [], path.name
        metadata = pq.read_metadata(path).metadata
        assert metadata[b"data_mark"].decode() == SYNTHETIC
        assert metadata[b"licence"] == b"CC-BY-4.0"
        assert metadata[b"fingerprint"].decode() == tiny_run.release["fingerprint"]


def test_polars_calculates_with_it(tiny_run: Published) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(tiny_run.settings.exports / "mart.indicator_value.parquet")
    assert frame["value"].dtype == polars.Float64
    assert frame["value"].mean() > 0


@pytest.mark.long
def test_frictionless_finds_the_package_valid(package: Path) -> None:
    frictionless = pytest.importorskip("frictionless")
    report = frictionless.validate(str(package / "datapackage.json"))
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "message"])[:5]
    assert len(report.tasks) >= 14


def test_the_package_describes_every_column(package: Path, tiny_run: Published) -> None:
    described: dict[str, Any] = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    assert described["synthetic"] is True
    assert described["title"].startswith(SYNTHETIC)
    assert described["sources"]
    for resource in described["resources"]:
        with zipfile.ZipFile(package / resource["path"]) as packed, packed.open(resource["innerpath"]) as stream:
            header = stream.readline().decode().strip().split(",")
        fields = resource["schema"]["fields"]
        assert [field["name"] for field in fields] == header
        assert set(resource["schema"]["primaryKey"]) <= set(header)
        assert all(field["type"] != "any" and field["description"] for field in fields)


def test_the_record_is_rdf_about_every_file(package: Path) -> None:
    rdflib = pytest.importorskip("rdflib")
    graph = rdflib.Graph().parse(package / "dcat.jsonld", format="json-ld", publicID="urn:package/")
    dcat, dct = rdflib.Namespace("http://www.w3.org/ns/dcat#"), rdflib.Namespace("http://purl.org/dc/terms/")
    (dataset,) = graph.subjects(dcat.distribution, None, unique=True)
    assert {title.language for title in graph.objects(dataset, dct.title)} == {"da", "en"}
    told = {str(url).removeprefix("urn:package/") for url in graph.objects(None, dcat.downloadURL)}
    described = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    assert told == {resource[key] for resource in described["resources"] for key in ("path", "parquet")}


@pytest.mark.parametrize(
    ("lost", "of"),
    [
        (None, None), ("dct:title", None), ("dct:description", None), ("dct:publisher", None), ("dcat:theme", None),
        ("dcat:accessURL", "dcat:distribution"), ("dct:license", "dcat:distribution"), ("foaf:name", "dct:publisher"),
        ("@type", "dcat:distribution"), ("dct:description", "dct:source"),
    ],
)  # fmt: skip
def test_the_record_has_what_dcat_ap_demands(package: Path, lost: str | None, of: str | None) -> None:
    """Valid by the shapes as it is, and no longer when one of the properties demanded is taken away."""
    pyshacl = pytest.importorskip("pyshacl")
    record = json.loads((package / "dcat.jsonld").read_text(encoding="utf-8"))
    if lost:
        part = record[of] if of else record
        del (part[0] if isinstance(part, list) else part)[lost]
    shapes = Path(__file__).parent / "dcat_ap_shapes.ttl"
    conforms, _, told = pyshacl.validate(
        json.dumps(record), data_graph_format="json-ld", shacl_graph=str(shapes), shacl_graph_format="turtle"
    )
    assert conforms is (lost is None), told


def test_the_same_rows_give_the_same_package(package: Path, tiny_run: Published, tmp_path: Path) -> None:
    made = write_package(tiny_run.settings.published, tmp_path)
    assert made
    for path in made:
        assert path.read_bytes() == (package / path.name).read_bytes(), path.name
