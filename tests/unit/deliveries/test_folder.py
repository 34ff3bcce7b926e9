"""The drop folder night after night: what was received from it before stays received, also when it was corrected."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.deliveries.intake import deliver
from flows.deliveries.keys import load_keys
from flows.deliveries.store import open_restricted
from flows.run.fetch import receive, waiting_files
from flows.settings import Settings
from tests.unit.deliveries.delivery_files import CASES, Door, case_rows, cpr, csv_bytes, xlsx_bytes, zip_bytes
from transforms.errors import UsageError

FIRST, CORRECTED = (csv_bytes(CASES, case_rows(count)) for count in (20, 22))
IN_FORCE = 'SELECT count(*) FROM restricted."case"'
LEDGER = "SELECT count(*) FROM restricted.delivery"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def drop(door: Door, name: str, content: bytes, minute: int = 0) -> None:
    """Put a file into the drop folder, last written in `minute` of an hour long ago."""
    folder = door.folder / "drop"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    moment = datetime(2016, 4, 1, 12, minute, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))


def settings_of(door: Door) -> Settings:
    return Settings(data=door.data, key_file=door.key, drop_folder=door.folder / "drop")


def night(door: Door) -> list[tuple[str, bool]]:
    """Receive the folder and return (delivery id, whether it was unchanged) of each receipt."""
    receipts = deliver(waiting_files(door.folder / "drop"), None, door.data, door.key, from_folder=True)
    return [(receipt.delivery_id, receipt.is_unchanged) for receipt in receipts]


def test_the_folder_is_received_once(door: Door) -> None:
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    drop(door, "~$Rebild sager 2016K1.xlsx", b"x")
    assert night(door) == [("L000001", False)]
    page = door.data / "receipts" / "L000001.html"
    told = page.read_bytes()
    assert night(door) == [("L000001", True)]
    assert page.read_bytes() == told  # the first receipt says more than "unchanged"
    assert receive(settings_of(door), "live") == {"godkendt": 1}


def test_a_folder_that_is_not_there_is_one_sentence(door: Door) -> None:
    with pytest.raises(UsageError, match=r"no such folder; set KOMMUNEKORT_DROP_FOLDER to the folder deliveries come"):
        receive(settings_of(door), "live")


def test_a_file_beside_its_correction_is_nothing_new_the_next_night(door: Door) -> None:
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    assert night(door) == [("L000001", False)]
    drop(door, "Rebild sager 2016K1 rettet.csv", CORRECTED, minute=1)
    assert night(door) == [("L000001", True), ("L000002", False)]
    for _ in range(2):
        assert night(door) == [("L000001", True), ("L000002", True)]
    assert (door.rows(IN_FORCE), door.rows(LEDGER)) == ([(22,)], [(2,)])
    assert door.rows("SELECT count(*) FROM restricted.superseded_case") == [(20,)]


@pytest.mark.parametrize(("early", "late"), [("z", "a"), ("a", "z")])
def test_of_two_files_the_one_written_last_wins_whatever_its_name(door: Door, early: str, late: str) -> None:
    drop(door, f"{late} Rebild sager 2016K1.csv", CORRECTED, minute=2)
    drop(door, f"{early} Rebild sager 2016K1.csv", FIRST, minute=1)
    night(door)
    assert door.rows(IN_FORCE) == [(22,)]


def test_of_two_files_written_at_once_the_last_by_name_wins(door: Door) -> None:
    drop(door, "Rebild sager 2016K1 rettet.csv", CORRECTED)
    drop(door, "Rebild sager 2016K1 (1).csv", FIRST)
    night(door)
    assert door.rows(IN_FORCE) == [(22,)]


def test_the_order_is_the_moment_of_writing_then_the_name(door: Door) -> None:
    names = [f"{letter}.csv" for letter in "hbxakzcqmd"]
    for number, name in enumerate(names):
        drop(door, name, FIRST, minute=number // 5)
    expected = sorted(names[:5]) + sorted(names[5:])
    assert [path.name for path in waiting_files(door.folder / "drop")] == expected


def test_a_renamed_file_is_the_same_content(door: Door) -> None:
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    drop(door, "Rebild sager 2016K1 rettet.csv", CORRECTED, minute=1)
    night(door)
    (door.folder / "drop" / "Rebild sager 2016K1.csv").rename(door.folder / "drop" / "gammel Rebild sager 2016K1.csv")
    assert night(door) == [("L000001", True), ("L000002", True)]


def test_the_earlier_content_delivered_back_by_hand_stays(door: Door) -> None:
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    drop(door, "Rebild sager 2016K1 rettet.csv", CORRECTED, minute=1)
    night(door)
    back = door.one("sager_2016K1.csv", FIRST)
    assert not back.is_unchanged
    assert night(door) == [(back.delivery_id, True), ("L000002", True)]
    assert door.rows(IN_FORCE) == [(20,)]


def test_a_correction_by_hand_stays_though_the_folder_still_holds_the_first(door: Door) -> None:
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    night(door)
    door.one("sager_2016K1.csv", CORRECTED)
    assert night(door) == [("L000001", True)]
    assert door.rows(IN_FORCE) == [(22,)]


def test_content_delivered_by_hand_and_seen_in_the_folder_since_has_come_from_the_folder(door: Door) -> None:
    door.one("sager_2016K1.csv", FIRST)
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    assert night(door) == [("L000001", True)]
    door.one("sager_2016K1.csv", CORRECTED)
    assert night(door) == [("L000001", True)]
    assert door.rows(IN_FORCE) == [(22,)]


def test_content_that_comes_from_the_folder_for_the_first_time_is_received(door: Door) -> None:
    door.one("sager_2016K1.csv", FIRST)
    door.one("sager_2016K1.csv", CORRECTED)
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    assert night(door) == [("L000003", False)]
    assert door.rows(IN_FORCE) == [(20,)]


def test_the_same_content_of_another_municipality_or_period_is_received(door: Door) -> None:
    for name in ("Rebild sager 2016K1.csv", "Skive sager 2016K1.csv", "Rebild sager 2016K2.csv"):
        drop(door, name, FIRST)
    assert [unchanged for _, unchanged in night(door)] == [False, False, False]
    assert [unchanged for _, unchanged in night(door)] == [True, True, True]


def test_a_refused_file_is_entered_once_beside_what_is_in_force(door: Door) -> None:
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    drop(door, "Rebild sager fejl 2016K1.csv", csv_bytes(("CPR", "Opholdsgrundlag"), [[cpr(1), "Kvote"]]), minute=1)
    drop(door, "Rebild 2016K1.txt", b"ingen tabel", minute=2)
    for unchanged in (False, True, True):
        assert night(door) == [("L000001", unchanged), ("L000002", unchanged), ("L000003", unchanged)]


def test_a_ledger_without_the_way_a_delivery_came_by_gets_it_and_the_folder_changes_nothing(door: Door) -> None:
    door.one("sager_2016K1.csv", FIRST)
    door.one("sager_2016K1.csv", CORRECTED)
    with open_restricted(door.data / "restricted", load_keys(door.key).database_key) as warehouse:
        for column in ("is_from_folder", "period_source", "part_ids"):  # those that came later, in their order
            warehouse.execute(f"ALTER TABLE restricted.delivery DROP COLUMN {column}")
    drop(door, "Rebild sager 2016K1.csv", FIRST)
    drop(door, "Rebild sager 2016K1 rettet.csv", CORRECTED, minute=1)
    assert night(door) == [("L000001", True), ("L000002", True)]


# Several tables of one kind, municipality and period.

NORTH, SOUTH = (csv_bytes(CASES, case_rows(count, start)) for count, start in ((8, 0), (7, 100)))


def together(door: Door) -> list[tuple[str, int, bool]]:
    """Receive the folder and return verdict, accepted rows and whether it was unchanged of each receipt."""
    folder = door.folder / "drop"
    receipts = deliver(waiting_files(folder), None, door.data, door.key, from_folder=True, folder=folder)
    return [(receipt.verdict, receipt.rows_accepted, receipt.is_unchanged) for receipt in receipts]


@pytest.mark.parametrize("names", [("nord.csv", "syd.csv"), ("nord 2016K1.csv", "syd.csv"), ("z.csv", "rettet a.csv")])
def test_files_of_two_teams_are_one_delivery(door: Door, names: tuple[str, str]) -> None:
    (door.folder / "drop" / "Rebild").mkdir(parents=True)
    for name, content in zip(names, (NORTH, SOUTH), strict=True):
        drop(door, f"Rebild/{name}", content)
    assert together(door) == [("godkendt", 15, False)]
    assert together(door) == [("godkendt", 15, True)]
    assert door.rows(IN_FORCE) == [(15,)]


def test_a_team_that_comes_later_joins_what_still_lies_there(door: Door) -> None:
    drop(door, "Rebild nord.csv", NORTH)
    assert together(door) == [("godkendt", 8, False)]
    drop(door, "Rebild syd.csv", SOUTH, minute=1)
    assert together(door) == [("godkendt", 15, False)]
    assert together(door) == [("godkendt", 15, True)]
    assert door.rows(IN_FORCE) == [(15,)]


def test_a_corrected_part_replaces_that_part_alone(door: Door) -> None:
    drop(door, "Rebild nord.csv", NORTH)
    drop(door, "Rebild syd.csv", SOUTH)
    together(door)
    drop(door, "Rebild nord rettet.csv", csv_bytes(CASES, case_rows(10)), minute=2)
    assert together(door) == [("godkendt", 15, True), ("godkendt", 17, False)]
    assert together(door) == [("godkendt", 15, True), ("godkendt", 17, True)]
    assert door.rows(IN_FORCE) == [(17,)]


@pytest.mark.parametrize("gone", ["Rebild nord.csv", "Rebild syd.csv"])
def test_a_file_taken_out_of_the_folder_takes_no_rows_with_it(door: Door, gone: str) -> None:
    drop(door, "Rebild nord.csv", NORTH)
    drop(door, "Rebild syd.csv", SOUTH)
    together(door)
    (door.folder / "drop" / gone).unlink()
    assert together(door) == [("godkendt", 15, True)]
    assert door.rows(IN_FORCE) == [(15,)]


def test_a_part_is_received_anew_where_the_whole_was_refused(door: Door) -> None:
    drop(door, "Rebild nord.csv", NORTH)
    wrong = csv_bytes(CASES, [[row[0], row[1], "31-02-2015", *row[3:]] for row in case_rows(7, 100)])
    drop(door, "Rebild syd.csv", wrong)
    assert [verdict for verdict, _, _ in together(door)] == ["afvist"]
    (door.folder / "drop" / "Rebild syd.csv").unlink()
    assert together(door) == [("godkendt", 8, False)]


def test_a_table_that_lacks_a_column_leaves_its_sister_be(door: Door) -> None:
    drop(door, "Rebild nord.csv", NORTH)
    drop(door, "Rebild syd.csv", csv_bytes(CASES[:3], [row[:3] for row in case_rows(7, 100)]))
    assert sorted(together(door)) == [("afvist", 0, False), ("godkendt", 8, False)]


def test_the_whole_after_its_parts_is_their_later_version(door: Door) -> None:
    drop(door, "Rebild nord.csv", NORTH)
    drop(door, "Rebild syd.csv", SOUTH)
    drop(door, "Rebild alle.csv", csv_bytes(CASES, [*case_rows(9), *case_rows(7, 100)]), minute=3)
    assert [accepted for _, accepted, _ in together(door)] == [8, 7, 16]
    assert [unchanged for _, _, unchanged in together(door)] == [True, True, True]
    assert door.rows(IN_FORCE) == [(16,)]


def test_workbooks_and_packed_folders_of_teams_are_joined_too(door: Door) -> None:
    drop(door, "Rebild nord.zip", zip_bytes({"nord/sager.csv": NORTH, "følgebrev.pdf": b"%PDF"}))
    drop(door, "Rebild syd.xlsx", xlsx_bytes([CASES, *case_rows(7, 100)]))
    drop(door, "Skive.csv", csv_bytes(CASES, case_rows(6, 200)))
    assert sorted(accepted for _, accepted, _ in together(door)) == [6, 15]


def test_answers_of_two_respondents_are_one_delivery(door: Door) -> None:
    head = ("Kommune", "Opgørelsesdato", "Besvaret af", "Organisationsmodel")
    for role in ("Leder", "Sagsbehandler"):
        drop(door, f"svar {role}.csv", csv_bytes(head, [["Rebild", "31-03-2016", role, "Anden model"]]))
    assert together(door) == [("godkendt", 2, False)]


# Everything in the folder is received or answered.


def answered(door: Door) -> dict[str, str]:
    """Return file -> verdict of a night's receipts."""
    folder = door.folder / "drop"
    receipts = deliver(waiting_files(folder), None, door.data, door.key, from_folder=True, folder=folder)
    return {receipt.file: receipt.verdict for receipt in receipts}


def test_subfolders_by_municipality_are_read(door: Door) -> None:
    for name in ("Rebild", "Høje-Taastrup Kommune", "0461"):
        (door.folder / "drop" / name).mkdir(parents=True)
        drop(door, f"{name}/sager.csv", FIRST)
    folder = door.folder / "drop"
    receipts = deliver(waiting_files(folder), None, door.data, door.key, from_folder=True, folder=folder)
    assert {receipt.municipality_code for receipt in receipts} == {"840", "169", "461"}
    assert not any(receipt.is_refused for receipt in receipts)


def test_what_is_no_table_is_refused_with_a_receipt_once(door: Door) -> None:
    drop(door, "Rebild sager 2016K1", FIRST)  # no suffix
    drop(door, "læsmig.pdf", b"%PDF")
    drop(door, "gammel.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    drop(door, "sager.ods", b"PK\x03\x04")
    drop(door, "tom.csv", b"")
    drop(door, "sager Skive.csv.gz", gzip.compress(FIRST))
    for left in (".DS_Store", "Thumbs.db", "~$sager.xlsx", ".~lock.sager.ods#", "sager.csv.part"):
        drop(door, left, b"x")
    verdicts = answered(door)
    assert {name for name, verdict in verdicts.items() if verdict != "afvist"} == {
        "Rebild sager 2016K1", "sager Skive.csv.gz"
    }  # fmt: skip
    assert len(verdicts) == 6
    ledger = door.rows(LEDGER)
    assert answered(door) == verdicts
    assert door.rows(LEDGER) == ledger


def test_no_link_is_followed_and_each_is_answered(door: Door) -> None:
    outside = door.folder / "andre"
    outside.mkdir()
    (outside / "Rebild sager.csv").write_bytes(FIRST)
    drop(door, "Skive sager.csv", FIRST)
    folder = door.folder / "drop"
    (folder / "Rebild sager.csv").symlink_to(outside / "Rebild sager.csv")
    (folder / "Rebild").symlink_to(outside, target_is_directory=True)
    (folder / "væk.csv").symlink_to(folder / "findes ikke")
    verdicts = answered(door)
    assert verdicts == {"Skive sager.csv": "godkendt", "Rebild sager.csv": "afvist", "Rebild": "afvist",
                        "væk.csv": "afvist"}  # fmt: skip
    assert door.rows('SELECT DISTINCT municipality_code FROM restricted."case"') == [("779",)]


def test_pipes_are_not_waited_for(door: Door) -> None:
    drop(door, "Rebild sager.csv", FIRST)
    os.mkfifo(door.folder / "drop" / "rør.csv")
    assert answered(door)["rør.csv"] == "afvist"


def test_the_program_failing_on_one_file_leaves_the_others(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.deliveries import intake

    drop(door, "Rebild sager.csv", FIRST)
    drop(door, "Skive sager.csv", FIRST, minute=1)
    read = intake.read_layout

    def fail(part: Any, *arguments: Any) -> Any:
        if "Rebild" in part.label:
            raise ZeroDivisionError(cpr(1))
        return read(part, *arguments)

    monkeypatch.setattr(intake, "read_layout", fail)
    assert answered(door) == {"Rebild sager.csv": "afvist", "Skive sager.csv": "godkendt"}
    monkeypatch.undo()
    assert answered(door)["Rebild sager.csv"] == "godkendt"  # it was tried again


def test_doctor_looks_at_the_drop_folder(door: Door) -> None:
    from flows.cli.health import check_drop_folder

    folder = door.folder / "drop"
    assert [fault.found for fault in check_drop_folder(settings_of(door))] == [f"{folder} is no folder"]
    folder.mkdir(mode=0o777)
    folder.chmod(0o757)
    assert "open to every user" in next(check_drop_folder(settings_of(door))).found
    folder.chmod(0o700)
    assert list(check_drop_folder(settings_of(door))) == []
    assert list(check_drop_folder(Settings(data=door.data))) == []
