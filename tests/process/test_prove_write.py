# SPDX-License-Identifier: Apache-2.0
"""The four writing test cases: what they find, what they say when they cannot look, and that nothing is left."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from prove_world import NOW, good_items, inventory
from trials import GOOD, PATIENCE, Trials, items, run

from unterbau.errors import Interrupted
from unterbau.prove import guest, write
from unterbau.prove.inventory import Inventory, Section
from unterbau.prove.proof import Question, prove
from unterbau.prove.verdicts import CaseOutcome
from unterbau.tenant.kinds import Source, Volume

HELD, FAILED, NOT_SHOWN = CaseOutcome.HELD, CaseOutcome.FAILED, CaseOutcome.NOT_SHOWN
CASES = {
    "entropy": "scs-0101-entropy-avail",
    "fips": "scs-0101-fips-test",
    "key-manager": "scs-0116-permissions",
    "backup": "scs-0117-test-backup",
}


def outcomes(section: Section) -> dict[str, CaseOutcome]:
    """What the judges make of it, on an otherwise good cloud."""
    seen: Inventory = inventory({k: v for k, v in good_items().items() if k != "write_results"})
    seen = seen.model_copy(update={"sections": {**seen.sections, "write_results": section}})
    cases = {c.case: c.outcome for c in prove(seen, Question(version="v5.1", at=NOW)).cases}
    return {test: cases[case] for test, case in CASES.items()}


def test_a_good_cloud(tmp_path: Path) -> None:
    cloud = Trials(tmp_path / "cloud")
    before = cloud.enumerate_all()
    section = run(cloud, tmp_path / "journals")
    assert outcomes(section) == dict.fromkeys(CASES, HELD)
    assert items(section)["backup"]["deleted"] is True
    assert cloud.enumerate_all() == before
    assert list((tmp_path / "journals").iterdir()) == []
    assert guest.WORD in cloud.user_data


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("backups lie", {"backup": FAILED}),
        ("backups end in error", {"backup": FAILED}),
        ("no backups", {"backup": NOT_SHOWN}),
        ("volumes lose bytes", {"backup": NOT_SHOWN}),
        ("no secrets", {"key-manager": FAILED}),
        ("no image", {"entropy": NOT_SHOWN, "fips": NOT_SHOWN}),
    ],
)
def test_one_thing_is_broken(tmp_path: Path, fault: str, expected: dict[str, CaseOutcome]) -> None:
    cloud = Trials(tmp_path / "cloud", fault)
    before = cloud.enumerate_all()
    section = run(cloud, tmp_path / "journals")
    assert outcomes(section) == dict.fromkeys(CASES, HELD) | expected
    assert cloud.enumerate_all() == before


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        ("FAKE CONSOLE OUTPUT", (NOT_SHOWN, NOT_SHOWN)),
        (GOOD.replace("256", "255"), (NOT_SHOWN, NOT_SHOWN)),
        (guest.line({"entropy_avail": 128, "kernel": "6.8.0", "blocks": 1000, "failures": 9}), (FAILED, FAILED)),
        (guest.line({"entropy_avail": 128, "kernel": "5.4.0", "blocks": 1000, "failures": 0}), (NOT_SHOWN, HELD)),
        (guest.line({"kernel": "6.8.0", "error": "no /proc"}), (NOT_SHOWN, NOT_SHOWN)),
        (f"half of it {GOOD[:40]}\n{GOOD}", (HELD, HELD)),
    ],
)
def test_what_a_console_says(tmp_path: Path, console: str, expected: tuple[CaseOutcome, CaseOutcome]) -> None:
    found = outcomes(run(Trials(tmp_path / "cloud", console=console), tmp_path / "journals"))
    assert (found["entropy"], found["fips"]) == expected


def test_a_user_keeps_what_looks_alike(tmp_path: Path) -> None:
    cloud = Trials(tmp_path / "cloud")
    cloud.ensure(
        Volume(id="-", name="unterbau-volume", status="", size_gib=1), "unterbau.mine.0123456789abcdef", source=Source()
    )
    before = cloud.enumerate_all()
    run(cloud, tmp_path / "journals")
    assert cloud.enumerate_all() == before


def test_what_cannot_be_deleted_is_named_and_goes_the_next_time(tmp_path: Path) -> None:
    said: list[str] = []
    cloud = Trials(tmp_path / "cloud", "nothing can be deleted")
    before = cloud.enumerate_all()
    section = run(cloud, tmp_path / "journals", say=said.append)
    assert "left behind" in section.reason
    assert said
    assert items(section)["backup"]["deleted"] is False
    assert len(cloud.enumerate_all()) > len(before)
    cloud.faults.clear()
    run(cloud, tmp_path / "journals", say=said.append)
    assert cloud.enumerate_all() == before
    assert list((tmp_path / "journals").iterdir()) == []


@pytest.mark.parametrize("request_", ["create volume", "create image", "create secret", "create server"])
def test_what_comes_late_is_removed_too(tmp_path: Path, request_: str) -> None:
    """It is carried out after it was asked for again, and the trial is over by then: at most the wait is left."""
    cloud, lost = Trials(tmp_path / "cloud"), list[str]()

    def losing(request: str) -> float | None:
        if request == request_ and not lost:
            lost.append(request)
            return 0.9
        return None

    cloud.lost = losing
    before = cloud.enumerate_all()
    section = run(cloud, tmp_path / "journals", patience=replace(PATIENCE, late=1.5))
    assert lost
    assert outcomes(section) == dict.fromkeys(CASES, HELD)
    assert cloud.enumerate_all() == before
    assert list((tmp_path / "journals").iterdir()) == []


def test_stopped_half_way_it_removes_what_it_made(tmp_path: Path) -> None:
    stop = threading.Event()
    cloud = Trials(tmp_path / "cloud", console="")
    before = cloud.enumerate_all()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Interrupted):
        run(cloud, tmp_path / "journals", stop=stop)
    assert cloud.enumerate_all() == before


def test_user_data_is_small_enough_and_whole() -> None:
    text = write.user_data()
    assert text.startswith("#!/bin/sh\n")
    assert len(text.encode()) < 16_000
    compile(text.partition("<<'UNTERBAU'\n")[2].partition("\nUNTERBAU\n")[0], "guest", "exec")


def test_random_bytes_pass_fips_and_others_do_not() -> None:
    assert sum(guest.fails(os.urandom(guest.BLOCK)) for _ in range(200)) <= 4
    assert guest.fails(bytes(guest.BLOCK))
    assert guest.fails(b"\xff" * guest.BLOCK)
    assert guest.fails(b"\x55" * guest.BLOCK)
    good = next(b for b in iter(lambda: os.urandom(guest.BLOCK), None) if not guest.fails(b))
    assert guest.fails(b"\x00\x00\x00\x00" + good[4:])  # 32 zeros: a long run
