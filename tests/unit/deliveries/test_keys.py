from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.deliveries import store
from flows.deliveries.keys import begin_rotation, keygen, load_keys, mask_written
from flows.deliveries.store import rotate
from tests.unit.deliveries.delivery_files import CASES, Door, case_rows, csv_bytes
from transforms.errors import UsageError, fault_sentence


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_a_new_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "p.key"
    key_id = keygen(path, tmp_path / "data")
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_keys(path).key_id == key_id
    with pytest.raises(UsageError, match="there already"):
        keygen(path)


def test_two_keys_differ_and_show_nothing_of_themselves(tmp_path: Path) -> None:
    keygen(tmp_path / "a")
    keygen(tmp_path / "b")
    one, other = load_keys(tmp_path / "a"), load_keys(tmp_path / "b")
    assert one.key_id != other.key_id
    assert one.database_key != other.database_key
    secret = json.loads((tmp_path / "a").read_text())["keys"][0]["secret"]
    assert secret not in repr(one)
    assert one.database_key not in repr(one)
    person = one.pseudonymiser().pseudonym("010180-1234")
    assert person is not None
    assert person != other.pseudonymiser().pseudonym("010180-1234")


def test_a_pipe_in_the_place_of_the_key_is_refused_and_a_link_to_itself_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="pipe: the key cannot be read"):
        load_keys(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(RuntimeError) as fault:
        load_keys(tmp_path / "loop", tmp_path / "data")
    assert fault_sentence(fault.value).startswith("a path leads nowhere (Symlink loop from ")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    keygen(tmp_path / "k")
    (tmp_path / "k").chmod(mode)
    with pytest.raises(UsageError, match="chmod 600"):
        load_keys(tmp_path / "k")


def test_a_key_inside_the_data_is_refused_also_through_a_link(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(UsageError, match="must not lie inside"):
        keygen(data / "x" / "k", data)
    keygen(data / "k")
    with pytest.raises(UsageError, match="must not lie inside"):
        load_keys(data / "k", data)
    (tmp_path / "link").symlink_to(data / "k")
    with pytest.raises(UsageError, match="must not lie inside"):
        load_keys(tmp_path / "link", data)


@pytest.mark.parametrize(
    "text", ["", "x", "{}", '{"keys": []}', '{"keys": [{"id": "1", "secret": "AAAA", "state": "active"}]}']
)
def test_a_damaged_key_file_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="no key file or it is damaged"):
        load_keys(path)


def test_without_a_key_nothing_is_received(door: Door) -> None:
    door.key.unlink()
    with pytest.raises(UsageError, match="no key there"):
        door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(2)))
    assert not (door.data / "restricted").exists()


def test_after_a_change_of_key_persons_still_meet_their_earlier_rows(door: Door) -> None:
    door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(20)))
    before = {row[0] for row in door.rows('SELECT person_id FROM restricted."case"')}
    old_database = (door.data / "restricted" / "restricted.duckdb").read_bytes()
    first_id = load_keys(door.key).key_id
    new_id = rotate(door.key, door.data)
    assert new_id == load_keys(door.key).key_id != first_id
    after = {row[0] for row in door.rows('SELECT person_id FROM restricted."case"')}
    assert len(after) == 20
    assert not before & after
    assert (door.data / "restricted" / "restricted.duckdb").read_bytes() != old_database
    door.one("a_2016K2.csv", csv_bytes(CASES, case_rows(20)))
    assert door.rows('SELECT count(*), count(DISTINCT person_id) FROM restricted."case"') == [(40, 20)]
    assert [row[0] for row in door.rows("SELECT key_id FROM restricted.delivery ORDER BY delivery_id")] == [
        first_id,
        new_id,
    ]
    assert door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(20))).is_unchanged


def test_the_earlier_key_alone_opens_nothing_after_the_change(door: Door, tmp_path: Path) -> None:
    door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(5)))
    leaked = tmp_path / "leaked.key"
    leaked.write_bytes(door.key.read_bytes())
    leaked.chmod(0o600)
    rotate(door.key, door.data)
    with pytest.raises(UsageError, match="cannot open the encrypted database"):
        Door.deliver(_with_key(door, leaked), "b_2016K1.csv", csv_bytes(CASES, case_rows(6)))


def _with_key(door: Door, key: Path) -> Door:
    other = object.__new__(Door)
    other.folder, other.data, other.key, other.inbox = door.folder, door.data, key, door.inbox
    return other


@pytest.mark.parametrize("step", ["_write_anew", "finish_rotation"])
def test_an_interrupted_change_stops_deliveries_and_can_be_finished(
    door: Door, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(5)))
    with monkeypatch.context() as patched:
        patched.setattr(store, step, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rotate(door.key, door.data)
    with pytest.raises(UsageError, match="interrupted"):
        door.one("b_2016K1.csv", csv_bytes(CASES, case_rows(6)))
    pending = begin_rotation(door.key, door.data)[1].key_id
    assert rotate(door.key, door.data) == pending
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(5,)]
    assert door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(5))).is_unchanged


def test_the_command_changes_the_key(door: Door) -> None:
    door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(5)))
    first_id = load_keys(door.key).key_id
    given = ["--data", str(door.data), "--key-file", str(door.key)]
    again = CliRunner().invoke(app, ["keygen", *given])
    assert "a key is there already" in str(again.exception)
    assert load_keys(door.key).key_id == first_id
    done = CliRunner().invoke(app, ["keygen", "--rotate", *given])
    assert done.exit_code == 0
    assert load_keys(door.key).key_id != first_id
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(5,)]


@pytest.mark.parametrize(
    "written", ["0101801234", "010180-1234", "311299 0001", "010180\u20111234", "0101\u200b801234"]
)
def test_what_is_written_as_a_cpr_number_is_not_repeated(written: str) -> None:
    assert mask_written(f"unknown municipality {written}; give a code") == "unknown municipality »skjult«; give a code"


@pytest.mark.parametrize(
    "text",
    [
        "no build 20261129T015746976Z is kept; kept builds: 20261129T011059093Z",
        "snapshot 20261129T011059093276Z-48e3b63e",
        "lacks the years 2019, 2020, 2021, 2022; 1,876,022 rows came … at 2026-11-29 02:05:11",
    ],
)
def test_runs_years_and_counts_are_no_cpr_numbers(text: str) -> None:
    assert mask_written(text) == text
