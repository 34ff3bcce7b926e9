"""Each fault the audit knows is planted here and found; the repository's own lock passes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from datetime import date, timedelta
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.audit import __main__, checks
from tests.audit.advisories import AdvisoryList, check_advisories, read_advisories
from tests.audit.checks import Finding
from tests.conftest import ROOT

HASH = f" \\\n    --hash=sha256:{'0a' * 32}"
KNOWN = read_advisories()
HEADER = "# Compiled 2026-11-22.\npackage;affected;advisory;published;summary\n"


def lock_of(folder: Path, *lines: str) -> Path:
    lock = folder / "requirements.lock"
    lock.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return lock


def faults(findings: Iterable[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.fault]


def warnings(findings: Iterable[Finding]) -> list[str]:
    return [finding.text for finding in findings if not finding.fault]


def test_the_own_lock_passes() -> None:
    lock = ROOT / "requirements.lock"
    assert faults(checks.check_lock(lock)) == []
    assert faults(check_advisories(KNOWN, checks.pins(lock), {}, KNOWN.compiled)) == []
    assert len(checks.pins(lock)) == len(checks.lock_lines(lock)) > 100


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("jinja2==3.1.6", "jinja2==3.1.6 has no sha256 hash"),
        ("jinja2==3.1.6 --hash=md5:0a0a", "jinja2==3.1.6 has no sha256 hash"),
        ("jinja2==3.1.6 --hash=sha256:0a", "jinja2==3.1.6 has no sha256 hash"),
        (f"jinja2>=3.1{HASH}", "jinja2>=3.1 is not pinned with =="),
        (f"jinja2==3.*{HASH}", "jinja2==3.* is not pinned with =="),
        (f"jinja2{HASH}", "jinja2 is not pinned with =="),
        (f"jinja2 = 3{HASH}", "jinja2 = 3 cannot be read as a requirement"),
        ("--index-url elsewhere", "--index-url elsewhere is an option, not a requirement"),
        ("-r more.txt", "-r more.txt is an option, not a requirement"),
        ("# from packages.example.org", "line 1 of requirements.lock names a place to fetch from"),
        (f"jinja2 @ file:///wheels/jinja2.whl{HASH}", "line 1 of requirements.lock names a place to fetch from"),
        ("https://example.test/a.whl", "line 1 of requirements.lock names a place to fetch from"),
    ],
)
def test_a_faulty_line(tmp_path: Path, line: str, told: str) -> None:
    found = faults(checks.check_lock(lock_of(tmp_path, line, f"h11==0.16.0 ; python_version >= '3'{HASH}")))
    assert told in found
    assert not any("h11" in text for text in found)


def test_a_version_that_is_not_the_locked_one(tmp_path: Path) -> None:
    present = metadata.version("jinja2")
    lock = lock_of(tmp_path, f"Jinja2==0.1{HASH}", f"no-such-thing==1.0{HASH}")
    assert faults(checks.check_installed(lock)) == [
        f"jinja2 is {present}, locked is 0.1",
        "no-such-thing is not installed, locked is 1.0",
    ]


def test_what_is_beyond_the_lock_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present = metadata.version("jinja2")
    found = {"jinja2": present, "pip": "26.2", "kommunekort": "0.1.0", "extra-tool": "1.0"}
    monkeypatch.setattr(checks, "everything_installed", lambda: found)
    findings = list(checks.check_installed(lock_of(tmp_path, f"jinja2=={present}{HASH}")))
    assert faults(findings) == []
    assert warnings(findings) == ["extra-tool 1.0 is installed beyond the lock"]


def test_a_lock_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (told,) = faults(checks.check_installed(lock_of(tmp_path, "jinja2 = 3")))
    assert "cannot be held against requirements.lock" in told


@pytest.mark.parametrize("pip", [None, "26.2"])
def test_the_requirements_are_read_with_and_without_pip(monkeypatch: pytest.MonkeyPatch, pip: str | None) -> None:
    told = "a 1.0 requires b>=2, which is 1.9"

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, stdout=f"{told}\n", stderr="")

    monkeypatch.setattr(checks, "installed", lambda name: pip)
    monkeypatch.setattr(checks, "unmet_requirements", lambda: iter([Finding(told)]))
    monkeypatch.setattr(subprocess, "run", run)
    assert faults(checks.check_requirements()) == [told]


def distribution(folder: Path, name: str, version: str, *requires: str) -> metadata.Distribution:
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir()
    wanted = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wanted}")
    return metadata.Distribution.at(place)


def test_unmet_requirements_are_found_in_the_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present = [
        distribution(tmp_path, "a", "1.0", "B.b>=2", "gone", "c", "other ; extra == 'more'", "w ; os_name == 'nt'"),
        distribution(tmp_path, "b_b", "1.9"),
        distribution(tmp_path, "c", "2.0rc1"),
    ]
    monkeypatch.setattr(metadata, "distributions", lambda: iter(present))
    assert faults(checks.unmet_requirements()) == [
        "a 1.0 requires B.b>=2, which is 1.9",
        "a 1.0 requires gone, which is not installed",
    ]


def test_every_advisory_is_well_formed() -> None:
    assert 40 <= KNOWN.count <= len(KNOWN.advisories)
    for advisory in KNOWN.advisories:
        assert str(advisory.affected)
        assert date(2010, 1, 1) < advisory.published <= KNOWN.compiled
        # An upper end, so that a later version is not called affected for ever.
        assert any(clause.operator in {"<", "<=", "=="} for clause in advisory.affected), advisory
        assert advisory.published.year >= int(advisory.identifier.split("-")[1])
    told = [(a.package, str(a.affected), a.identifier) for a in KNOWN.advisories]
    assert len(set(told)) == len(told)
    assert [package for package, _, _ in told] == sorted(package for package, _, _ in told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("package;affected\n", "1: the day"),
        ("# Compiled 2026-11-22.\npackage;affected\n", "2: the columns"),
        (f"{HEADER}a;<<2;CVE-2024-1234;2024-01-01;b\n", "3: Invalid specifier"),
        (f"{HEADER}a;<2;CVE-24-1;2024-01-01;b\n", "3: 'CVE-24-1' is not the id"),
        (f"{HEADER}a;<2;GHSA-aaaa-bbbb;2024-01-01;b\n", "is not the id"),
        (f"{HEADER}a;<2;CVE-2024-1234;01-01-2024;b\n", "3: Invalid isoformat"),
        (f"{HEADER}a;<2;CVE-2024-1234;2024-01-01\n", "3: not enough values"),
        (f"{HEADER}a;;CVE-2024-1234;2024-01-01;b\n", "3: a field is empty"),
    ],
)
def test_a_list_that_cannot_be_read(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "advisories.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        read_advisories(path)


def test_a_ghsa_id_is_read(tmp_path: Path) -> None:
    path = tmp_path / "advisories.csv"
    path.write_text(f"{HEADER}A_a;>=1,<2;GHSA-4g8c-wm8x-jfhw;2024-01-01;b\n", encoding="utf-8")
    (advisory,) = read_advisories(path).advisories
    assert (advisory.package, advisory.affected) == ("a-a", SpecifierSet(">=1,<2"))


def test_a_vulnerable_pin_is_hit(tmp_path: Path) -> None:
    # A pin for another machine is read too: it is installed there.
    lock = lock_of(tmp_path, f"Jinja2==3.1.2 ; sys_platform == 'win32'{HASH}", f"h11==0.16.0{HASH}")
    found = faults(check_advisories(KNOWN, checks.pins(lock), {}, KNOWN.compiled))
    assert "jinja2 3.1.2 is hit by CVE-2025-27516 (<3.1.6): the attr filter escapes the sandbox" in found
    assert all(text.startswith("jinja2 3.1.2") for text in found)


@pytest.mark.parametrize(
    ("package", "hit", "spared"),
    [
        ("urllib3", "1.26.16", "2.7.0"),
        ("urllib3", "2.0.6", "2.8.0"),
        ("duckdb", "1.4.1", "1.4.2"),
        ("pyarrow", "14.0.0", "14.0.1"),
        ("marshmallow", "4.1.1", "4.1.2"),
        ("gitpython", "3.1.46", "3.2.0"),
    ],
)
def test_the_ends_of_a_range(package: str, hit: str, spared: str) -> None:
    assert faults(check_advisories(KNOWN, [(package, hit)], {}, KNOWN.compiled))
    assert not faults(check_advisories(KNOWN, [(package, spared)], {}, KNOWN.compiled))


def test_an_installed_version_beyond_the_lock_is_held_too() -> None:
    findings = list(check_advisories(KNOWN, [], {"tqdm": "4.66.2", "pip": "23.2.1"}, KNOWN.compiled))
    assert [text.split(" is ")[0] for text in faults(findings)] == ["tqdm 4.66.2"]
    assert {text.split(" is ")[0] for text in warnings(findings)} == {"pip 23.2.1"}
    assert faults(check_advisories(KNOWN, [("pip", "23.2.1")], {}, KNOWN.compiled))


@pytest.mark.parametrize(("days", "told"), [(180, False), (181, True)])
def test_an_old_list_warns(days: int, told: bool) -> None:
    known = AdvisoryList(date(2026, 11, 22), ())
    findings = list(check_advisories(known, [], {}, known.compiled + timedelta(days=days)))
    assert (faults(findings), bool(warnings(findings))) == ([], told)


def test_the_verdicts_and_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jinja2 = metadata.version("jinja2")
    # Whatever else this environment holds is not asked about here.
    monkeypatch.setattr(__main__, "everything_installed", lambda: {"jinja2": jinja2})
    monkeypatch.setattr(__main__, "check_requirements", lambda: iter([]))
    assert __main__.audit(lock_of(tmp_path, f"jinja2=={jinja2}{HASH}"), today=KNOWN.compiled) == 0
    said = capsys.readouterr().out
    assert "holds  lock: 1 requirements, pinned, hashed, no place named\n" in said
    assert f"packages held against {KNOWN.count} advisories of {KNOWN.compiled}, no hit\n" in said
    assert __main__.audit(lock_of(tmp_path, "jinja2==3.1.2")) == 1
    said = capsys.readouterr().out
    assert "FAULT  lock: 1 requirements, 1 faulty\n  fault: jinja2==3.1.2 has no sha256 hash\n" in said
    assert "  fault: jinja2 3.1.2 is hit by CVE-2024-22195" in said
