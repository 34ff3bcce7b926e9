"""What can be wrong with the installation, each fault with its cure in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from flows.settings import ROOT, Settings
from transforms.errors import KommunekortError

PYTHON = (3, 11)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: what was looked at, what was found, and what to do."""

    check: str
    found: str
    cure: str


def check_python(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when the interpreter is not the one the wheels are locked for."""
    if sys.version_info[:2] != PYTHON:
        running = ".".join(map(str, sys.version_info[:3]))
        yield Fault("python", f"this is Python {running}, not 3.11", "make PYTHON=/path/to/python3.11 setup")


def check_requirements(settings: Settings) -> Iterator[Fault]:
    """Yield a fault per requirement of the program that is absent or outside its bounds (fastapi, SQLAlchemy, …)."""
    from packaging.requirements import Requirement

    try:
        wanted = metadata.requires("kommunekort") or []
    except metadata.PackageNotFoundError:
        yield Fault("versions", "kommunekort itself is not installed", "make setup")
        return
    for text in wanted:
        requirement = Requirement(text)
        version = installed(requirement.name)
        if version is None:
            yield Fault("versions", f"{requirement.name} is not installed", "make setup")
        elif not requirement.specifier.contains(version, prereleases=True):
            yield Fault(
                "versions",
                f"{requirement.name} {version} is outside {requirement.specifier}",
                f"{ROOT}/.venv/bin/python -m pip install --require-hashes --no-deps -r requirements.lock",
            )


def check_lock_file(settings: Settings) -> Iterator[Fault]:
    """Yield a fault naming the installed versions that differ from requirements.lock."""
    lock = ROOT / "requirements.lock"
    if not lock.is_file():
        return
    differing = [
        f"{name} {version} (locked {locked})"
        for name, locked in locked_versions(lock).items()
        if (version := installed(name)) is not None and version != locked
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        yield Fault("lock", f"not as locked: {', '.join(differing[:3])}{more}", "rm .venv/.installed && make setup")


def installed(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def locked_versions(lock: Path) -> dict[str, str]:
    """Return name -> version of a requirements file, for the lines that hold on this machine."""
    from packaging.requirements import Requirement

    found = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        text = line.split(" --hash")[0].rstrip(" \\")
        if not text or text[0] in " #-":
            continue
        requirement = Requirement(text)
        versions = [clause.version for clause in requirement.specifier if clause.operator == "=="]
        if versions and (requirement.marker is None or requirement.marker.evaluate()):
            found[requirement.name] = versions[0]
    return found


def check_extension(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when the wheel that encrypts the restricted database is absent or of another DuckDB."""
    wheel, engine = installed("duckdb-extension-httpfs"), installed("duckdb")
    if wheel != engine:
        told = f"the extension wheel httpfs is {wheel or 'absent'}, DuckDB is {engine or 'absent'}"
        yield Fault("extension", f"{told}: deliveries cannot be encrypted", "make setup")


def check_prefect(settings: Settings) -> Iterator[Fault]:
    """Yield a fault when Prefect cannot be imported, or PREFECT_API_URL names a server that does not answer."""
    from flows.prefect_client import check_server

    try:
        import prefect  # noqa: F401
    except Exception as error:
        yield Fault(
            "prefect", f"it cannot be imported ({type(error).__name__})", "make setup; until then `run --plain` works"
        )
    try:
        check_server()
    except KommunekortError as error:
        found, _, cure = str(error).partition("; ")
        yield Fault("prefect server", found, cure)


def check_sources_live(settings: Settings) -> Iterator[Fault]:
    """Yield a fault per public API that does not answer. Goes out on the network: only when asked."""
    import httpx

    for name, url in (("StatBank", settings.statbank_url), ("Jobindsats", settings.jobindsats_url)):
        try:
            status = httpx.get(url, timeout=10.0, follow_redirects=True).status_code
        except httpx.HTTPError as error:
            yield Fault("sources", f"{name} does not answer at {url} ({type(error).__name__})", "see the network")
            continue
        if status >= 500:
            yield Fault("sources", f"{name} answers {status} at {url}", "wait; the last snapshots are kept meanwhile")
