# SPDX-License-Identifier: Apache-2.0
"""What a doctor tells: which verb lacks what, on this machine and in a cloud, with a remedy, and without writing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prove_world import inventory

from unterbau.cloud.port import Listing, Surroundings
from unterbau.cloud.simulator import Simulator
from unterbau.doctor import Finding, Findings, cloud, machine
from unterbau.errors import Broken, ConfigError, Forbidden, LocalError
from unterbau.prove.inventory import Inventory, Status
from unterbau.reference import install, launcher, needs
from unterbau.tenant.kinds import Kind, Quota
from unterbau.verdict import Outcome

HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN


def about(found: Findings, what: str) -> Finding:
    (one,) = [f for f in found.findings if f.what == what]
    return one


# --- a cloud


class ReadOnly(Simulator):
    """A cloud in which whatever is not reading fails the test."""

    def ensure(self, *given: Any, **more: Any) -> str:
        raise AssertionError("a doctor writes nothing")

    delete = write_image = write_object = write_secret = set_power = unmark = ensure  # type: ignore[assignment]


@pytest.fixture
def there(planted: Path, tmp_path: Path) -> ReadOnly:
    shutil.copytree(planted, tmp_path / "there")
    return ReadOnly(tmp_path / "there", name="there")


def test_a_member_lacks_nothing_that_reading_tells_and_its_policies_are_not_shown(there: ReadOnly) -> None:
    before = (there.folder / "world.json").read_bytes()
    found = cloud.look(there, lambda: inventory())
    assert about(found, "role member").outcome is HELD and "drill" in about(found, "role member").verbs
    assert about(found, "policies").outcome is NOT_SHOWN
    assert about(found, "listings").outcome is HELD
    assert [f.what for f in found.findings if f.outcome is FAILED] == []
    assert (there.folder / "world.json").read_bytes() == before


def test_a_reader_lacks_the_role_for_what_writes_and_for_contents(there: ReadOnly) -> None:
    there.role = "reader"
    found = cloud.look(there)
    lacking = {v for f in found.findings if f.outcome is FAILED for v in f.verbs}
    assert {"move", "drill", "close", "cloud seed", "verify", "prove --write"} <= lacking
    assert "census" not in lacking
    assert "member" in about(found, "role member").remedy


def test_roles_of_unknown_names_are_not_shown(there: ReadOnly) -> None:
    there.role = "heat_stack_owner"
    assert about(cloud.look(there), "role member").outcome is NOT_SHOWN


class Closed(ReadOnly):
    """Without Barbican; snapshots refused; backups mute; full."""

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(k for k in super().kinds() if k not in (Kind.SECRET, Kind.SECRET_CONTAINER))

    def listing(self, kind: Kind) -> Listing:
        if kind is Kind.OBJECT:
            raise AssertionError("objects may be millions")
        if kind is Kind.SNAPSHOT:
            raise Forbidden("block-storage: GET /snapshots: HTTP 403")
        if kind is Kind.BACKUP:
            raise Broken("block-storage: GET /backups: HTTP 502")
        return super().listing(kind)

    def surroundings(self) -> Surroundings:
        around = super().surroundings()
        quotas = (Quota(service="compute", resource="cores", limit=8, used=8), Quota(service="compute", resource="ram", limit=-1, used=9))  # fmt: skip
        offering = around.offering.model_copy(update={"quotas": quotas, "external_networks": ()})
        return around.model_copy(update={"offering": offering})


def test_what_a_cloud_lacks_is_named_with_the_verbs_that_want_it(there: ReadOnly) -> None:
    found = cloud.look(Closed(there.folder, name="there"))
    missing = about(found, "service key-manager")
    assert (missing.outcome, "move" in missing.verbs, "census" in missing.verbs) == (FAILED, True, False)
    refused = about(found, "listing snapshot")
    assert refused.outcome is FAILED and "403" in refused.said and "census" in refused.verbs and refused.remedy
    assert about(found, "listing backup").outcome is NOT_SHOWN  # it may answer tomorrow
    assert about(found, "quota compute cores").outcome is FAILED
    assert not [f for f in found.findings if f.what == "quota compute ram"]  # -1 is no limit
    assert about(found, "external network").outcome is FAILED


@pytest.mark.parametrize(
    ("status", "outcome"), [(Status.FORBIDDEN, FAILED), (Status.ABSENT, FAILED), (Status.TIMEOUT, NOT_SHOWN)]
)
def test_what_prove_would_not_see_is_named(there: ReadOnly, status: Status, outcome: Outcome) -> None:
    one = about(cloud.look(there, lambda: inventory(images=status)), "images")
    assert (one.outcome, one.verbs) == (outcome, ("prove",))


def test_where_the_look_of_prove_fails_it_is_not_shown(there: ReadOnly) -> None:
    def mute() -> Inventory:
        raise Broken("identity: HTTP 503")

    assert about(cloud.look(there, mute), "look of prove").outcome is NOT_SHOWN


# --- this machine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []  # a doctor makes nothing


def answer(monkeypatch: pytest.MonkeyPatch, code: int, stderr: str) -> list[list[str]]:
    """The installer is there and says this of the index."""
    asked: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, code, "", stderr if "compile" in command else "")

    monkeypatch.setattr(install, "uv", lambda: "/usr/bin/uv")
    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_a_machine_that_lacks_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, 0, "")
    found = machine.look(lambda: ("quelle", "ziel"))
    assert {f.outcome for f in found.findings if f.verbs != ("make test",) and f.what != "memory"} == {HELD}
    assert "==" not in " ".join(asked[-1])  # the package comes on standard input, nothing is installed
    assert "install" not in asked[-1]


REFUSED = "error: Request failed\n  Caused by: invalid peer certificate: UnknownIssuer"
NOWHERE = "error: Request failed after 1 retry\n  Caused by: tcp connect error: Connection refused (os error 111)"


@pytest.mark.parametrize(("stderr", "index", "trust"), [(REFUSED, NOT_SHOWN, FAILED), (NOWHERE, FAILED, NOT_SHOWN)])
def test_a_ca_that_is_not_trusted_is_told_apart_from_an_index_that_does_not_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, index: Outcome, trust: Outcome
) -> None:
    answer(monkeypatch, 2, stderr)
    found = machine.look(lambda: ("quelle",))
    one, other = about(found, "package index"), about(found, "certificate of the index")
    assert (one.outcome, other.outcome) == (index, trust)
    assert "pip config set" in (one.remedy + other.remedy)
    with pytest.raises(LocalError) as caught:
        needs.demand("quelle")
    assert "pip config set" in caught.value.remedy


def test_a_password_in_the_address_of_the_index_is_not_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://me:planted-password-77@mirror.example/simple")
    answer(monkeypatch, 0, "")
    assert "planted-password-77" not in machine.look(lambda: ()).model_dump_json()


def test_without_uv_a_cloud_cannot_come_up_and_all_else_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise LocalError("the embedded cloud needs uv, which is not installed", "pipx install 'unterbau[cloud]'")

    monkeypatch.setattr(install, "uv", none)
    found = machine.look(lambda: ("quelle",))
    assert about(found, "uv").outcome is FAILED and "unterbau[cloud]" in about(found, "uv").remedy
    assert about(found, "package index").outcome is NOT_SHOWN
    with pytest.raises(LocalError, match="uv"):
        needs.demand("quelle")


def test_space_is_told_with_the_variable_that_moves_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 0, "")
    usage = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**20))
    found = machine.look(lambda: ("quelle",))
    assert {f.what for f in found.findings if f.outcome is FAILED and "room" in f.what} == {
        "room for the services", "room for clouds", "room for drills",
    }  # fmt: skip
    assert "XDG_DATA_HOME" in about(found, "room for clouds").remedy
    assert "XDG_STATE_HOME" in about(found, "room for drills").remedy


def test_ports_and_memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 0, "")
    monkeypatch.setattr("unterbau.reference.ports.is_free", lambda port: False)
    monkeypatch.setattr(needs, "MEMORY_BYTES", 2**60)
    found = machine.look(lambda: ("quelle",))
    assert about(found, "ports").outcome is FAILED and about(found, "memory").outcome is FAILED


def test_no_cloud_and_a_broken_clouds_yaml(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 0, "")

    def broken() -> tuple[str, ...]:
        raise ConfigError("clouds.yaml: line 3: not YAML", "Mend it.")

    assert about(machine.look(lambda: ()), "clouds").outcome is FAILED
    one = about(machine.look(broken), "clouds")
    assert (one.outcome, one.remedy) == (FAILED, "Mend it.") and "census" in one.verbs and "drill" in one.verbs


def test_cloud_up_looks_before_it_makes_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    answer(monkeypatch, 2, NOWHERE)
    with pytest.raises(LocalError) as caught:
        launcher.up("quelle", progress=lambda line: None)
    assert "package index" in caught.value.what and "pip config set" in caught.value.remedy
    assert not (tmp_path / "unterbau" / "clouds" / "quelle").exists()
    assert not (tmp_path / "unterbau" / "runtime").exists()


def test_what_is_missing_comes_first() -> None:
    told = [Finding(what=o.value, outcome=o, verbs=("census",), said="") for o in (HELD, NOT_SHOWN, FAILED)]
    assert [f.outcome for f in Findings(about="x", findings=tuple(told)).sorted()] == [FAILED, NOT_SHOWN, HELD]
