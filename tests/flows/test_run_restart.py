"""The stand-in is killed in the middle of a download: the run recovers when it comes back, or ends in one sentence."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from flows.run import record, steps
from flows.store.snapshots import SnapshotStore
from tests.fixtures.world import Published, run_from
from transforms.errors import UsageError

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("in_a_hurry")]
SOURCE = "statbank_folk1e"  # the largest answer of the sample world: some 10 MB


class Standin:
    """The stand-in in a process of its own, killed at the first bytes of a large answer."""

    def __init__(self, *, comes_back: bool):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.comes_back = comes_back
        self.killed_at: int | None = None
        self.process = self.started()

    def started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flows.sample.standin", "--port", str(self.port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", self.port)) == 0:
                    return process
            time.sleep(0.05)
        raise TimeoutError("the stand-in did not start")

    def step(self, text: str) -> None:
        """Hear a step."""

    def transfer(self, name: str, size: int, expected: int | None) -> None:
        """Kill the stand-in, once; it may come back meanwhile."""
        if self.killed_at is None:
            self.killed_at = size
            self.process.kill()
            self.process.wait()
            if self.comes_back:
                threading.Thread(target=self._come_back).start()

    def transferred(self, name: str) -> None:
        """Hear the end of a download."""

    def _come_back(self) -> None:
        self.process = self.started()


@pytest.fixture
def standin(request: pytest.FixtureRequest) -> Iterator[Standin]:
    standin = Standin(comes_back=request.param)
    yield standin
    standin.process.kill()
    standin.process.wait()


def run_against(standin: Standin, own_data: Published, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run on one source of the stand-in, without the sample's deliveries, which take longer than all the rest."""
    monkeypatch.setattr("flows.run.night.receive", lambda *given: {})
    base = f"http://127.0.0.1:{standin.port}/v1"
    settings = own_data.settings.model_copy(update={"sample_url": base})
    with steps.listening(standin):
        return run_from(settings, "sample", only=[SOURCE]).status


@pytest.mark.parametrize("standin", [True], indirect=True)
def test_a_run_recovers_when_the_server_comes_back(
    standin: Standin, own_data: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_against(standin, own_data, monkeypatch) == "published"
    snapshot = SnapshotStore(own_data.settings.snapshots).newest(SOURCE)
    assert snapshot is not None
    assert standin.killed_at is not None
    assert standin.killed_at < snapshot.manifest.size, "it was killed in the middle"
    (rows,) = own_data.rows(f"SELECT count(*) FROM core.measure WHERE _snapshot_id LIKE '{SOURCE}/%'")[0]
    assert rows > 0


@pytest.mark.parametrize("standin", [False], indirect=True)
def test_a_run_ends_in_one_sentence_when_it_does_not(
    standin: Standin, own_data: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = own_data.state()
    with pytest.raises(UsageError) as failed:
        run_against(standin, own_data, monkeypatch)
    sentence = str(failed.value)
    assert "\n" not in sentence
    assert re.match(rf"none of 1 sources answered \(first {SOURCE}: POST 127\.0\.0\.1/v1/data: .*given up", sentence)
    assert own_data.state() == before, "what was published stands"
    assert not list(own_data.settings.snapshots.glob(".fetch-*")), "and half a download is no snapshot"
    assert record.standing_alarm(own_data.settings) is not None
