# SPDX-License-Identifier: Apache-2.0
"""The verbs `judge` and `facts`: exit codes, files written, bad input. The reader is replaced by stacks in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from judge_world import stack

from unterbau import schemas
from unterbau import stack as readers
from unterbau.cli import cli
from unterbau.errors import Exit, UsageError
from unterbau.judge import rules

STACKS = {
    "good": ("proxmox-ve", "nixos@26.05"),
    "old": ("redis@7.2", "keycloak"),
    "new": ("redis@7.4", "keycloak", "openstack"),
    "strange": ("nobody", "proxmox-ve"),
}
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    really = readers.read
    monkeypatch.setattr(readers, "read", lambda p: stack(*STACKS[p.name]) if p.name in STACKS else really(p))
    monkeypatch.chdir(tmp_path)
    for name in STACKS:
        (tmp_path / name).touch()

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments), standalone_mode=False)

    return invoke


RULE = """\
id: seat
name: Seat
author: We
as_of: 2026-01-01
sources: [{url: "https://example.org", read: 2026-01-01, says: "x"}]
rules: [{id: eu, text: In the EU., paths: {direct: {fact: steward, where: {seat: $EU}}}}]
"""


def test_exit_codes_say_what_happened(run: Run, tmp_path: Path) -> None:
    (tmp_path / "seat.yaml").write_text(RULE)
    at = ("--at", "2026-11-23", "--rules", "seat.yaml")
    assert run("judge", "good", *at).return_value is Exit.HELD
    assert run("judge", "new", *at).return_value is Exit.FAILED
    assert run("judge", "strange", *at).return_value is Exit.NOT_SHOWN
    assert run("judge", "strange", *at, "--fail-on", "failed").return_value is Exit.HELD
    assert run("judge", "strange", *at, "--fail-on", "not-shown").return_value is Exit.NOT_SHOWN
    assert run("judge", "new", *at, "--fail-on", "failed").return_value is Exit.FAILED


def test_everything_is_written_and_the_bundle_is_judged_again(run: Run, tmp_path: Path) -> None:
    done = run(
        "judge", "new", "good", "--at", "2026-11-23", "--format", "json", "--sarif", "s.sarif", "--oscal", "o.json",
        "--html", "s.html", "--bundle", "s.unterbau",
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["stack"] == "test + test"
    jsonschema.validate(told, schemas.schema("judgement"))
    assert json.loads((tmp_path / "s.sarif").read_text())["version"] == "2.1.0"
    assert "assessment-results" in json.loads((tmp_path / "o.json").read_text())
    assert (tmp_path / "s.html").read_text().startswith("\n<!doctype html>") or "<!doctype html>" in (
        tmp_path / "s.html"
    ).read_text()
    checked = run("evidence", "check", "s.unterbau", "--format", "json", "--report", "again.html")
    again = json.loads(checked.stdout)
    jsonschema.validate(again, schemas.schema("stack-evidence"))
    assert again["outcome"] == "failed"
    assert checked.return_value is Exit.FAILED
    assert (tmp_path / "again.html").read_text() == (tmp_path / "s.html").read_text()


def test_a_change_request(run: Run) -> None:
    done = run("judge", "--diff", "old", "new", "--at", "2026-11-23", "--rules", "alasca", "--format", "json")
    told = json.loads(done.stdout)
    jsonschema.validate(told, schemas.schema("difference"))
    assert told["added"] == ["openstack"]
    assert told["changed"] == ["redis: 7.2 -> 7.4"]
    assert done.return_value is Exit.FAILED, "Redis 7.4 is worse than 7.2"
    better = {c["rule"]: c["after"] for c in told["changes"] if not c["worse"]}
    assert better["alasca/iaas-layer"] == "held"
    assert run("judge", "--diff", "old", "old").return_value is Exit.HELD


def test_facts_of_a_version(run: Run) -> None:
    done = run("facts", "redis@7.4", "--at", "2026-11-23", "--format", "json")
    facts = json.loads(done.stdout)
    assert [f["versions"] for f in facts if f["kind"] == "licence"] == [">=7.4,<8"]
    assert all(f["source"]["url"] and f["source"]["read"] for f in facts)
    assert {"redis", "openstack"} <= {t["id"] for t in json.loads(run("facts", "--format", "json").stdout)}


def test_stale_facts(run: Run) -> None:
    now = json.loads(run("facts", "--stale", "--at", "2026-11-23", "--format", "json").stdout)
    assert now, "copies of which nobody has found a newer one"
    assert all(f["expires"] <= "2027-01-22" for f in now)
    assert [f["expires"] for f in now] == sorted(f["expires"] for f in now)
    done = run("facts", "--stale", "--at", "2099-01-01", "--format", "json")
    assert done.return_value is Exit.NOT_SHOWN
    assert all(f["state"].startswith("not shown: the fact expired") for f in json.loads(done.stdout))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["judge", "good", "--rules", "nope"], "no rule set and no file 'nope'"),
        (["judge", "--diff", "good"], "--diff compares two stacks"),
        (["judge", "good", "--history", "redis"], "--history redis"),
        (["judge", "good", "--history", "redis=absent.txt"], "absent.txt"),
        (["judge", "good", "--catalogue", "absent.yaml"], "absent.yaml"),
        (["facts", "redi"], "'redi' is not in the catalogue"),
        (["judge", "absent.yaml"], "absent.yaml: no file"),
        (["judge", "some/where"], "some/where: no file"),
        (["judge", "OpenStack", "redi@7.4"], "redi@7.4: no such file, and no name of the catalogue"),
    ],
)
def test_bad_input_is_named(run: Run, arguments: list[str], what: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, UsageError)
    assert what in error.what
    assert error.remedy


def test_the_documented_rules_load(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "judge.md"
    found = re.search(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "ours.yaml").write_text(found.group(1))
    assert rules.load([str(tmp_path / "ours.yaml")])[0].id == "ours"
