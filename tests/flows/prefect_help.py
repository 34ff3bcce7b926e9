"""A real Prefect server on loopback for tests, and `kommunekort serve` beside it, every process watched.

Each Python process writes the addresses it turns to into `audit.log`, by an audit hook that sitecustomize sets.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx

from transforms.periods import COPENHAGEN

ROOT = Path(__file__).resolve().parents[2]
Found = TypeVar("Found")
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
AUDIT = """
import os, sys
def hook(event, args, _busy=[]):
    if event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto") or _busy:
        return
    told = args[1] if event != "socket.getaddrinfo" else args[0]
    host = told[0] if isinstance(told, tuple) else told
    if isinstance(host, bytes): host = host.decode()
    _busy.append(1)
    with open(os.environ["AUDIT_LOG"], "a") as log:
        log.write(f"{os.getpid()} {event} {host}\\n")
    _busy.clear()
sys.addaudithook(hook)
with open(os.environ["AUDIT_LOG"], "a") as log:
    log.write(f"{os.getpid()} started {' '.join(sys.orig_argv[1:4])}\\n")
"""
LOOPBACK = ("127.", "::1", "localhost", "/", "None", "\0")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """Return the first thing `look` finds; AssertionError naming `what` when it takes longer than `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


@dataclass
class Server:
    """A Prefect server, its folder and the environment of everything that turns to it."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def env(self) -> dict[str, str]:
        """Return the environment an operator would set, and the audit."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "KOMMUNEKORT_", "PYTEST_"))}
        return {
            **kept,
            "PREFECT_HOME": str(self.folder / "home"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "DO_NOT_TRACK": "1",
            "PYTHONPATH": f"{self.folder / 'audit'}{os.pathsep}{ROOT}",
            "AUDIT_LOG": str(self.folder / "audit.log"),
        }

    def start(self) -> None:
        """Start the server and wait until it answers."""
        for name in ("home", "audit"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "audit" / "sitecustomize.py").write_text(AUDIT, encoding="utf-8")
        command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        env = {key: value for key, value in self.env.items() if key != "PREFECT_API_URL"}
        self.process = self.spawn(command, "server.log", env)
        wait_for(self.is_healthy, 120, "the Prefect server answers")

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.api}/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def spawn(self, arguments: list[str], log: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start Python in a process group of its own, so that it can be ended with its children."""
        with (self.folder / log).open("ab") as out:
            return subprocess.Popen(
                [sys.executable, *arguments],
                env=env or self.env,
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        if self.process is not None:
            end_group(self.process)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to a request, asked again while SQLite is busy."""

        def look() -> httpx.Response | None:
            answer = httpx.post(f"{self.api}/{path}", json=body, timeout=30)
            return None if answer.status_code == 503 else answer

        answer = wait_for(look, 60, f"{path} is answered")
        answer.raise_for_status()
        return answer.json()

    def flow_runs(self, flow: str = "nightly") -> list[dict[str, Any]]:
        """Return the flow runs that have left the schedule, newest first."""
        chosen = {
            "sort": "START_TIME_DESC",
            "flows": {"name": {"any_": [flow]}},
            "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
        }
        found: list[dict[str, Any]] = self.post("flow_runs/filter", chosen)
        return found

    def ended(self, run_id: str, seconds: float = 120) -> dict[str, Any]:
        """Return a flow run once it is final."""

        def look() -> dict[str, Any] | None:
            run: dict[str, Any] = httpx.get(f"{self.api}/flow_runs/{run_id}", timeout=30).json()
            return run if run["state"]["type"] in FINAL else None

        return wait_for(look, seconds, f"flow run {run_id} ends")

    def artifacts(self, run_id: str) -> dict[str, str]:
        """Return key -> data of the artifacts of one flow run."""
        found = self.post("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
        return {artifact["key"]: artifact["data"] for artifact in found}

    def log(self, run_id: str) -> list[tuple[int, str]]:
        """Return level and text of what one flow run has written into its log."""
        found = self.post("logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200})
        return [(line["level"], line["message"]) for line in found]

    def prefect(self, *arguments: str) -> str:
        """Run the `prefect` command as a data engineer would; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kommunekort(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `kommunekort` command with this server."""
        return subprocess.run(
            [sys.executable, "-m", "flows.cli.main", *arguments],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=180,
        )

    def trigger(self, deployment: str, *arguments: str) -> str:
        """Trigger a deployment on the command line; return the id of the flow run."""
        told = self.prefect("deployment", "run", deployment, *arguments)
        return next(line.split("UUID:")[1].strip() for line in told.splitlines() if "UUID:" in line)

    def outside(self) -> list[str]:
        """Return every line of the audit that leaves this machine."""
        lines = (self.folder / "audit.log").read_text(encoding="utf-8").splitlines()
        return [
            line for line in lines if line.split(" ")[1] != "started" and not line.split(" ")[2].startswith(LOOPBACK)
        ]


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children, politely first."""
    for sign, seconds in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, sign)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def in_half_a_day() -> str:
    """Return a cron line due in twelve hours: a night of the schedule that begins amid a test would be taken first."""
    due = datetime.now(COPENHAGEN) + timedelta(hours=12)
    return f"{due.minute} {due.hour} * * *"


@contextmanager
def serving(server: Server, origin: Path, data: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `kommunekort serve` until the block ends; entered when the deployments are registered."""
    schedule = () if "--cron" in arguments else ("--cron", in_half_a_day())
    command = ["-m", "flows.cli.main", "serve", "--from", str(origin), "--data", str(data), *schedule, *arguments]
    process = server.spawn(command, "serve.log")

    def registered() -> bool:
        if process.poll() is not None:
            raise AssertionError((server.folder / "serve.log").read_text(encoding="utf-8"))
        try:
            known = server.post("deployments/filter", {"deployments": {"tags": {"all_": ["kommunekort"]}}})
        except httpx.HTTPError:
            return False
        # Those of an earlier test may still stand there, with its data folder.
        ours = [deployment for deployment in known if deployment["parameters"].get("data") == str(data)]
        return len(ours) == 3 and (data / "serve.json").exists()

    try:
        wait_for(registered, 90, "the deployments are registered")
        yield process
    finally:
        end_group(process)


def records(data: Path) -> list[dict[str, Any]]:
    """Return the ledger, oldest first."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((data / "runs").glob("*.json"))]


def at_work(data: Path, seconds: float = 60) -> dict[str, Any]:
    """Return the record of the run that is at work in `data`, once there is one."""
    return wait_for(
        lambda: next((record for record in records(data) if record["status"] == "running"), None),
        seconds,
        "a run is at work",
    )
