# SPDX-License-Identifier: Apache-2.0
"""The main job between two real clouds over TLS: a drill, a kept move that is killed again and again, closing.

What is on the clouds is counted by `inventory`, which uses openstacksdk and nothing of Unterbau.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import inventory
import pytest
import yaml
from worst_cases import CASES, LATER, demand_held, demand_nothing_temporary

from unterbau import reference, wiring
from unterbau.reference import tenant as seed
from unterbau.switch import evidence
from unterbau.tenant.kinds import Port, Server
from unterbau.verdict import Outcome

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(1500),
    # openstacksdk, with which `inventory` counts, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
KILLS = int(os.environ.get("UNTERBAU_TEST_KILLS", "25"))


@pytest.fixture(scope="module")
def sides(two_clouds: tuple[str, str]) -> Iterator[tuple[Any, Any]]:
    """Connections to a freshly planted source and an empty target."""
    source, target = (inventory.connect(n, reference.clouds_file(n)) for n in two_clouds)
    inventory.sweep(target)
    seed.plant(wiring.open_cloud(two_clouds[0]), now=datetime.now(UTC))
    yield source, target


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def unterbau(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unterbau", *arguments], capture_output=True, text=True, check=False, **options
    )


def as_moved(found: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """What must be there after a move: snapshots are left, and a public address (its name) is the target's choice."""
    kept = {kind: names for kind, names in found.items() if kind != "snapshot"}
    return {**kept, "floating_ip": Counter({"": kept["floating_ip"].total()})}


def test_a_rehearsal_proves_the_move_and_leaves_both_clouds_as_they_were(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    before = [inventory.everything(side) for side in sides]
    report = home / "report.html"
    done = unterbau("drill", *two_clouds, "--report", str(report), "--format", "json")
    assert done.returncode == 3, done.stderr[-3000:]
    told = json.loads(done.stdout)
    checked = evidence.check(Path(told["bundle"]).read_bytes())
    assert Outcome.FAILED not in {v.outcome for v in checked.verdicts}
    contents = [v for v in checked.verdicts if v.claim.kind == "content"]
    own_disks = [v for v in contents if v.claim.subject.startswith("server:")]
    assert {v.outcome for v in contents if v not in own_disks} == {Outcome.HELD}
    assert {v.outcome for v in own_disks} == {Outcome.NOT_SHOWN} and len(own_disks) == 2, "this Nova has no guests"
    assert all("gave it no bytes" in str(v.reason) for v in own_disks)
    for case in (*CASES, *LATER):
        demand_held(case, checked.bundle, checked.verdicts)
    demand_nothing_temporary(checked.bundle)
    there = checked.bundle.verification.target
    assert {s.status for s in there.of(Server)} == {"SHUTOFF"}, "a rehearsal's servers do nothing"
    assert {p.admin_state_up for p in there.of(Port) if p.device_owner.startswith("compute:")} == {False}
    assert [inventory.everything(side) for side in sides] == before
    assert report.read_text().startswith("<!doctype html>")
    _no_secret_anywhere(two_clouds, home, done)


def _no_secret_anywhere(two_clouds: tuple[str, str], home: Path, done: subprocess.CompletedProcess[str]) -> None:
    """No password, credential or payload in any file of the drill or in what was printed (law 8)."""
    known = []
    for name in two_clouds:
        held = json.loads((reference.clouds_file(name).parent / "secrets.json").read_text())
        known += [v.encode() for v in held.values()]
    for secret in ("fv-db-zugang", "fv-schluessel"):
        payload = random.Random(f"1/{secret}").randbytes(24 if secret == "fv-db-zugang" else 32)
        known += [payload, payload.hex().encode()]
    texts = [p.read_bytes() for p in home.rglob("*") if p.is_file()] + [done.stdout.encode(), done.stderr.encode()]
    assert not [s for s in known for t in texts if s in t]


@pytest.mark.timeout(1800)
def test_killed_at_random_moments_the_rerun_finishes_without_orphans(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    """SIGKILL at random moments of one move, each followed by a rerun that is killed in turn."""
    source, target = sides
    before = inventory.names(source)
    planned = unterbau("plan", *two_clouds, "--output", str(home / "plan.yaml"), "--format", "json")
    assert planned.returncode == 3, planned.stderr
    rng, killed = random.Random(20261123), 0
    while killed < KILLS:
        child = subprocess.Popen(
            [sys.executable, "-m", "unterbau", "move", str(home / "plan.yaml"), "--quiet"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(rng.uniform(0.8, 4.0))
        child.send_signal(signal.SIGKILL)
        _, told = child.communicate()
        assert child.returncode == -signal.SIGKILL, (
            f"it ended by itself, after {killed} kills: {child.returncode} {told}"
        )
        killed += 1
    done = unterbau("move", str(home / "plan.yaml"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert inventory.names(source) == before, "something was left behind on the source"
    assert as_moved(inventory.names(target)) == as_moved(before)
    run = json.loads(planned.stdout)["run"]
    verified = unterbau("verify", *two_clouds, "--plan", str(home / "plan.yaml"), "--format", "json", "--quiet")
    assert verified.returncode == 3, verified.stderr + verified.stdout[-2000:]
    closed = unterbau("close", run, "--target", "--format", "json")
    assert closed.returncode == 0, closed.stderr
    rest = {kind: pairs for kind, pairs in inventory.everything(target).items() if pairs}
    assert set(rest) == {"security_group", "security_group_rule"}


def test_ctrl_c_ends_with_5_and_the_same_command_resumes(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    planned = unterbau("plan", *two_clouds, "--output", str(home / "plan.yaml"), "--format", "json")
    child = subprocess.Popen(
        [sys.executable, "-m", "unterbau", "move", str(home / "plan.yaml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(4)
    second = unterbau("move", str(home / "plan.yaml"))
    assert second.returncode == 2 and "already" in second.stderr
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=120)
    assert child.returncode == 5, told
    assert "same command" in told
    closed = unterbau("close", json.loads(planned.stdout)["run"], "--target")
    assert closed.returncode == 0, closed.stderr


def test_a_stale_plan_is_refused_with_what_changed(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    source, _ = sides
    assert unterbau("plan", *two_clouds, "--output", str(home / "plan.yaml")).returncode == 3
    network = source.network.create_network(name="after-the-plan")
    try:
        done = unterbau("move", str(home / "plan.yaml"))
    finally:
        source.network.delete_network(network)
    assert done.returncode == 2
    assert "changed since the plan" in done.stderr and "after-the-plan" in done.stderr


def test_a_target_that_is_not_empty_is_refused(two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path) -> None:
    _, target = sides
    network = target.network.create_network(name="was-there-before")
    try:
        done = unterbau("drill", *two_clouds)
    finally:
        target.network.delete_network(network)
    assert done.returncode == 2
    assert "was-there-before" in done.stderr and "Traceback" not in done.stderr


def test_a_drill_stopped_in_each_phase_goes_on_by_the_same_command(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    """SIGTERM while it moves, SIGINT while it verifies, SIGTERM while it cleans: each ends with 5, the last with 3."""
    before = [inventory.everything(side) for side in sides]
    for phase, number in (("move", signal.SIGTERM), ("verify", signal.SIGINT), ("clean", signal.SIGTERM)):
        child = subprocess.Popen(
            [sys.executable, "-m", "unterbau", "drill", *two_clouds], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("[") and f"] {phase}" in line:
                break
        time.sleep(3)
        child.send_signal(number)
        told = child.stderr.read()
        assert child.wait(timeout=120) == 5, told
        assert "same command" in told
    done = unterbau("drill", *two_clouds)
    assert done.returncode == 3, done.stderr[-3000:]
    assert [inventory.everything(side) for side in sides] == before


def test_wrong_credentials_and_an_unknown_authority_are_named_and_never_told(
    two_clouds: tuple[str, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = yaml.safe_load(reference.clouds_file(two_clouds[0]).read_text())["clouds"][two_clouds[0]]
    wrong = json.loads(json.dumps(entries))
    wrong["auth"]["application_credential_secret"] = "planted-secret-4711"
    unknown = {k: v for k, v in entries.items() if k != "cacert"}
    (home / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"wrong": wrong, "unknown": unknown}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(home / "clouds.yaml"))
    real = entries["auth"]["application_credential_secret"]
    for name, said in (("wrong", "HTTP 401"), ("unknown", "certificate does not verify")):
        for command in (["census", name], ["drill", name, two_clouds[1]], ["verify", name, two_clouds[1]]):
            done = unterbau(*command, "--verbose")
            assert done.returncode == 4 and said in done.stderr, done.stderr
            assert "planted-secret-4711" not in done.stdout + done.stderr
            assert real not in done.stdout + done.stderr
    files = [p for p in home.rglob("*") if p.is_file() and p.name != "clouds.yaml"]
    assert not [p for p in files if b"planted-secret-4711" in p.read_bytes()]


def test_a_target_with_reader_rights_is_refused_before_anything_is_written(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    before = inventory.everything(sides[1])
    done = unterbau("drill", two_clouds[0], f"{two_clouds[1]}-reader")
    assert done.returncode == 2 and "role member" in done.stderr, done.stderr
    assert inventory.everything(sides[1]) == before
