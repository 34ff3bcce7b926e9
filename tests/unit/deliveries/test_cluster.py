"""Persons counted by a Dask cluster: the same bytes, also when a worker is killed, and no person left anywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flows.deliveries.buckets import BUCKET_ROWS, load_person_data, on_cluster, spread
from flows.deliveries.keys import load_keys
from flows.deliveries.store import Wanted, choose, open_restricted, person_ids, person_tables
from flows.settings import ROOT, Settings
from tests.fixtures.world import Published, run_from
from tests.unit.deliveries.delivery_files import Door, cpr
from tests.unit.deliveries.test_as_of_deliveries import APRIL, deliver_cases, deliver_rest, peopled, settings_of
from tests.unit.models.test_buckets import bytes_of
from transforms.errors import UsageError
from transforms.models.persons import PersonCounts, add_counts

pytest.importorskip("distributed")
PERSONS = 60
SET_UP = (ROOT / "flows/orchestration/README.md").read_text(encoding="utf-8")


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return peopled(tmp_path, PERSONS)


class Cluster:
    """A scheduler and workers, each a process of its own; whatever they write lies in one folder."""

    def __init__(self, folder: Path, settings: Settings, protocol: str = "tcp") -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "KOMMUNEKORT_DATA": str(settings.root),
            "KOMMUNEKORT_KEY_FILE": str(settings.key_file), "DASK_TEMPORARY_DIRECTORY": str(folder),
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self._start("scheduler", "--protocol", protocol, "--host", "127.0.0.1", "--port", "0")
        self.address = self._wait(rf"Scheduler at: +({protocol}://\S+)", "scheduler.log")
        for _ in range(2):
            self._start("worker", self.address, "--no-nanny", "--nthreads", "1", "--local-directory", str(folder))

    def _start(self, kind: str, *options: str) -> None:
        log = (self.folder / f"{kind}.log").open("ab")
        command = [sys.executable, "-m", "distributed.cli.dask_" + kind, "--no-dashboard", *options]
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=self.environment))
        log.close()

    def _wait(self, pattern: str, name: str) -> str:
        for _ in range(600):
            found = re.search(pattern, (self.folder / name).read_text(encoding="utf-8"))
            if found:
                return found[1]
            time.sleep(0.1)
        raise AssertionError((self.folder / name).read_text(encoding="utf-8"))

    def end(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def written(self) -> bytes:
        """Return every byte its processes have written."""
        return b"\n".join(path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file())


@contextmanager
def cluster(tmp_path: Path, settings: Settings, protocol: str = "tcp") -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Cluster(folder, settings, protocol)
    try:
        yield made
    finally:
        made.end()


@pytest.mark.long
def test_a_cluster_that_loses_a_worker_gives_the_same_bytes_and_keeps_no_person(door: Door, tmp_path: Path) -> None:
    settings = settings_of(door)
    with open_restricted(settings.restricted, load_keys(door.key).database_key, read_only=True) as warehouse:
        chosen = choose(settings, warehouse, synthetic=False)
        secrets = {name for table in person_tables(warehouse) for name in person_ids(warehouse, table)}
    assert chosen is not None
    assert len(secrets) == PERSONS
    numbers = {text for n in range(PERSONS) for text in (cpr(n), cpr(n).replace("-", ""))}
    alone = bytes_of(add_counts(spread(settings, chosen.wanted, 1)))
    with cluster(tmp_path, settings) as dask:
        whole = on_cluster(dask.address, chosen.wanted, 4)
        assert bytes_of(add_counts(whole)) == alone
        doomed = dask.processes[-1]
        killing = threading.Timer(3, doomed.kill)
        killing.start()
        counted = on_cluster(dask.address, chosen.wanted, 96)
        killing.join()
        assert doomed.wait() != 0
        assert len(counted) == 96
        assert bytes_of(add_counts(counted)) == alone
        written = dask.written()
        assert b"Scheduler at" in written
        assert b"Start worker" in written
    handed = b"".join(bytes_of(part) for part in counted)
    for secret in secrets | numbers | {settings.key_file.read_text(encoding="utf-8").strip()}:
        assert secret.encode() not in written
        assert secret.encode() not in handed


def certified(folder: Path) -> dict[str, str]:
    """Write an authority and a host it vouches for; return the variables of the documentation that name them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "invented")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(today - timedelta(1))
        .not_valid_after(today + timedelta(1)).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public, private = folder / "host.pem", folder / "host.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    roles = {f"{tls}{role}__{what}": str(path) for role in ("SCHEDULER", "WORKER", "CLIENT")
             for what, path in (("CERT", public), ("KEY", private))}  # fmt: skip
    return {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true", f"{tls}CA_FILE": str(public), **roles}


@pytest.mark.long
def test_a_cluster_by_tls_gives_the_same_bytes_and_lets_nobody_in_without_a_certificate(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    settings = settings_of(door)
    with open_restricted(settings.restricted, load_keys(door.key).database_key, read_only=True) as warehouse:
        chosen = choose(settings, warehouse, synthetic=False)
    assert chosen is not None
    variables = certified(tmp_path)
    for name in variables:
        assert re.sub("SCHEDULER|WORKER|CLIENT", "${role}", name) in SET_UP
    with monkeypatch.context() as told:
        for name, value in variables.items():
            told.setenv(name, value)
        dask.config.refresh()
        with cluster(tmp_path, settings, "tls") as by_tls:
            counted = on_cluster(by_tls.address, chosen.wanted, 4)
            told.undo()
            dask.config.refresh()
            monkeypatch.setattr("flows.deliveries.buckets.ANSWERS_WITHIN", "2s")
            for address in (by_tls.address, by_tls.address.replace("tls:", "tcp:")):
                with pytest.raises(UsageError, match="does not answer"):
                    on_cluster(address, chosen.wanted, 4)
    assert bytes_of(add_counts(counted)) == bytes_of(add_counts(spread(settings, chosen.wanted, 1)))


@pytest.mark.long
def test_a_scheduler_that_dies_ends_the_run_in_one_sentence(door: Door, tmp_path: Path) -> None:
    settings = settings_of(door)
    with open_restricted(settings.restricted, load_keys(door.key).database_key, read_only=True) as warehouse:
        chosen = choose(settings, warehouse, synthetic=False)
    assert chosen is not None
    with cluster(tmp_path, settings) as dask:
        killing = threading.Timer(4, dask.processes[0].kill)
        killing.start()
        with pytest.raises(UsageError, match="what is published stands") as told:
            on_cluster(dask.address, chosen.wanted, 400)
        killing.join()
    assert "\n" not in str(told.value)


@pytest.mark.long
def test_what_is_published_stands_when_the_scheduler_dies(
    few_run: Published, in_a_hurry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(tmp_path)
    shutil.copytree(few_run.settings.root, door.data, symlinks=True)
    deliver_rest(door, APRIL, synthetic=True)
    deliver_cases(door, PERSONS, APRIL, synthetic=True)
    settings = settings_of(door)
    published = Published(settings, few_run.origin)
    before = published.state()
    with cluster(tmp_path, settings) as dask:

        def dying(address: str, wanted: Wanted, buckets: int) -> list[PersonCounts]:
            threading.Timer(4, dask.processes[0].kill).start()
            return on_cluster(address, wanted, 400)

        monkeypatch.setattr("flows.deliveries.buckets.on_cluster", dying)
        with pytest.raises(UsageError, match="what is published stands") as told:
            run_from(settings.model_copy(update={"dask": dask.address}), few_run.origin)
        assert dask.processes[0].wait() != 0
    assert "\n" not in str(told.value)
    assert published.state() == before
    assert any("kommunekort.duckdb" in name for name in before)


def test_a_scheduler_that_is_not_there_is_told_in_one_sentence(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.deliveries.buckets.ANSWERS_WITHIN", "1s")
    settings = settings_of(door).model_copy(update={"dask": "tcp://127.0.0.1:9"})
    with pytest.raises(UsageError, match="does not answer") as told:
        load_person_data(settings, synthetic=False)
    assert "127.0.0.1:9" in str(told.value)


def test_a_bucket_is_small() -> None:
    assert BUCKET_ROWS <= 500_000
