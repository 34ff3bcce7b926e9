"""The nightly set-ups of the documentation, as they are written: `python -m tests.flows.setups SETUP FOLDER EXTRACTS`.

To be started as root in namespaces of its own (see test_setups.py): there /etc, /opt, /srv and the network are
private, so that user, units, environment file and port are those of the documentation. Three things are other than
written: the checkout and its environment are bound to /opt/kommunekort instead of cloned and made, `--from live` reads
a folder of extracts, since there is no network, and what systemd does with a unit is done here.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "flows/orchestration/README.md").read_text(encoding="utf-8")
ENV, HOME, DATA = Path("/etc/kommunekort.env"), Path("/srv/kommunekort"), Path("/srv/kommunekort/data")
UNITS = Path("/etc/systemd/system")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def block(language: str, holding: str) -> str:
    """Return the block of the documentation in this language that holds a text."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.S) if holding in text]
    return str(found)


def shell(command: str, user: str | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line of the documentation."""
    words = ["/bin/sh", "-c", command]
    done = subprocess.run(
        [*_as(user), *words], env=env or {"PATH": PATH, "HOME": "/root"}, cwd="/", capture_output=True, text=True
    )
    print(f"$ {command}\n{done.stdout}{done.stderr}[{done.returncode}]", flush=True)
    return done


def _as(user: str | None) -> list[str]:
    return [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]


def prepare(folder: Path) -> None:
    """Make etc, opt and srv private, bind checkout and environment, and do what all set-ups begin with."""
    for name in ("upper", "work", "python"):
        (folder / name).mkdir()
    interpreter = Path(sys.executable).resolve().parents[1]
    shell(f"mount --bind {interpreter} {folder}/python")
    assert not shell(
        f"mount -t overlay overlay -o lowerdir=/etc,upperdir={folder}/upper,workdir={folder}/work /etc"
    ).returncode
    shell("mount -t tmpfs tmpfs /opt && mount -t tmpfs tmpfs /srv && ip link set lo up")
    if interpreter.is_relative_to("/root"):  # where only root may look, the user of the nights could start nothing
        shell(f"mount -t tmpfs -o mode=755 tmpfs /root && mkdir -p {interpreter}")
        shell(f"mount --bind {folder}/python {interpreter}")
    shell(f"mkdir /opt/kommunekort && mount --bind {ROOT} /opt/kommunekort")
    for line in block("sh", "useradd").replace("sudo -u kommunekort -H", "@").replace("sudo ", "").splitlines():
        if line.startswith("git clone"):
            continue
        if line.startswith("@"):
            done = shell(line.removeprefix("@"), "kommunekort", {"PATH": PATH, "HOME": str(HOME)})
        else:
            done = shell(line)
        assert done.returncode == 0, line
    ENV.write_text(block("sh", "PREFECT_API_URL="), encoding="utf-8")


def write_units(extracts: Path) -> dict[str, dict[str, str]]:
    """Write every unit of the documentation, and return its settings by name; a part is filled up from another."""
    UNITS.mkdir(parents=True, exist_ok=True)
    units: dict[str, dict[str, str]] = {}
    for text in re.findall(r"```ini\n(.*?)```", README, re.S):
        for part in re.split(r"(?m)^(?=# /etc/systemd/system/)", text):
            if not part.strip():
                continue
            head, _, body = part.partition("\n")
            name = re.findall(r"# /etc/systemd/system/([\w.-]+)", head)[0]
            if name == "kommunekort.service" and "Type=oneshot" in body:
                name = "kommunekort-oneshot.service"
            body = body.replace("--from live", f"--from {extracts}")
            if not body.startswith("["):  # the unit of the worker differs from that of serve in one line
                body = re.sub(r"(?m)^ExecStart=.*$", body.strip(), (UNITS / "kommunekort.service").read_text("utf-8"))
            (UNITS / name).write_text(body, encoding="utf-8")
            units[name] = dict(re.findall(r"(?m)^(\w+)=(.*)$", body))
    return units


def start(unit: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start the program of a unit as systemd would: its user, its environment file and nothing else, its directory."""
    lines = Path(unit["EnvironmentFile"]).read_text(encoding="utf-8").splitlines()
    env = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    with log.open("wb") as out:
        return subprocess.Popen(
            [*_as(unit["User"]), *shlex.split(unit["ExecStart"])],
            env={"PATH": PATH, "HOME": str(HOME), "USER": unit["User"], "LOGNAME": unit["User"], **env},
            cwd=unit.get("WorkingDirectory", "/"),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def stop(process: subprocess.Popen[bytes], unit: dict[str, str]) -> None:
    """Stop a unit as systemd does: SIGTERM, and SIGKILL when its time is over."""
    process.terminate()
    try:
        process.wait(float(unit.get("TimeoutStopSec", "90")))
    except subprocess.TimeoutExpired:
        print(f"{unit['ExecStart']}: ended by SIGKILL")
        process.kill()


def wait(look: Callable[[], bool], what: str, seconds: float = 1200) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, what
        time.sleep(1)


def published() -> bool:
    """Tell whether the folder of the documentation holds a publication that everybody may read."""
    asked = ["SELECT count(*) AS n FROM mart.mapping", "--format", "csv", "--data", str(DATA)]
    told = subprocess.run(
        ["/opt/kommunekort/.venv/bin/kommunekort", "sql", *asked], capture_output=True, text=True, cwd="/"
    )
    return told.stdout.split() == ["n", "98"]


def cron(folder: Path, extracts: Path, units: dict[str, dict[str, str]]) -> None:
    """Run the line of the crontab with the environment cron gives it, as the crontab's user."""
    (line,) = [line for line in README.splitlines() if line.startswith("0 2 * * *")]
    command = line.split(None, 5)[5].replace("--from live", f"--from {extracts}")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(HOME), "LOGNAME": "kommunekort", "SHELL": "/bin/sh"}
    first = shell(command, "kommunekort", env)
    assert (first.returncode, first.stdout, first.stderr) == (0, "", ""), "cron would send mail"
    assert published()
    again = shell(command, "kommunekort", env)
    assert (again.returncode, again.stdout, again.stderr) == (3, "", "")


def timer(folder: Path, extracts: Path, units: dict[str, dict[str, str]]) -> None:
    """Run the unit of the timer to its end, and let systemd read both."""
    unit = units["kommunekort-oneshot.service"]
    log = folder / "oneshot.log"
    assert start(unit, log).wait() == 0, log.read_text(encoding="utf-8")
    assert published()
    assert start(unit, log).wait() == int(unit["SuccessExitStatus"])
    if shutil.which("systemd-analyze"):
        assert shell(f"systemd-analyze calendar '{units['kommunekort.timer']['OnCalendar']}'").returncode == 0


def serve(folder: Path, extracts: Path, units: dict[str, dict[str, str]]) -> None:
    """Run server and `serve` by their units, trigger a night as the documentation says, and stop `serve` by SIGTERM."""
    server = begin_server(folder, units)
    unit = units["kommunekort.service"]
    serving = start(unit, folder / "serve.log")
    log = folder / "serve.log"
    wait(lambda: serving.poll() is not None or "serving nightly/nightly" in log.read_text("utf-8"), "serve begins")
    assert serving.poll() is None, log.read_text("utf-8")
    asked = f"set -a; . {ENV}; set +a; /opt/kommunekort/.venv/bin/prefect deployment inspect nightly/nightly"
    wait(lambda: not shell(asked, "kommunekort").returncode, "the deployments are registered")
    trigger_and_see()
    serving.terminate()
    assert serving.wait(float(unit["TimeoutStopSec"])) is not None
    told = log.read_text(encoding="utf-8")
    assert "Traceback" not in told, told
    stop(server, units["kommunekort-prefect.service"])


def worker(folder: Path, extracts: Path, units: dict[str, dict[str, str]]) -> None:
    """Make the pool, register for it, and let its worker do a night."""
    server = begin_server(folder, units)
    for line in block("sh", "work-pool create").replace("--from live", f"--from {extracts}").splitlines():
        done = shell(f"set -a; . {ENV}; set +a; cd /opt/kommunekort; PATH=$PWD/.venv/bin:$PATH {line}", "kommunekort")
        assert done.returncode == 0, line
    working = start(units["kommunekort-worker.service"], folder / "worker.log")
    trigger_and_see()
    stop(working, units["kommunekort-worker.service"])
    stop(server, units["kommunekort-prefect.service"])


def begin_server(folder: Path, units: dict[str, dict[str, str]]) -> subprocess.Popen[bytes]:
    """Start the Prefect server by its unit and wait until it answers."""
    process = start(units["kommunekort-prefect.service"], folder / "server.log")
    look = "import sys, urllib.request; urllib.request.urlopen('http://127.0.0.1:4200/api/health', timeout=5)"
    wait(lambda: not subprocess.run([sys.executable, "-c", look], capture_output=True).returncode, "the server answers")
    return process


def trigger_and_see() -> None:
    """Trigger a night as the documentation says, and wait for its publication."""
    (line,) = [line for line in block("sh", "--watch").splitlines() if line.endswith("--watch")]
    told = shell(f"set -a; . {ENV}; set +a; cd /opt/kommunekort; PATH=$PWD/.venv/bin:$PATH {line}", "kommunekort")
    assert told.returncode == 0
    assert published()


def main() -> None:
    """Run one set-up; a traceback and its log tell what is not as documented."""
    name, folder, extracts = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    prepare(folder)
    units = write_units(extracts)
    if name == "units":
        done = shell(f"systemd-analyze verify {' '.join(str(UNITS / unit) for unit in units)}")
        ours = [line for line in done.stderr.splitlines() if "kommunekort" in line]
        assert not ours, ours
        return
    {"cron": cron, "timer": timer, "serve": serve, "worker": worker}[name](folder, extracts, units)


if __name__ == "__main__":
    main()
