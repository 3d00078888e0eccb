# SPDX-License-Identifier: Apache-2.0
"""What changed since an earlier judging, each cause apart; and the stack as CycloneDX for tools that know vulnerabilities."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from judge_world import TODAY, catalogue, fact, rules, stack, technology

from unterbau import catalogue as shipped
from unterbau import schemas
from unterbau import stack as readers
from unterbau.cli import cli
from unterbau.errors import BundleError, Exit, UsageError
from unterbau.judge import bom, engine
from unterbau.judge import rules as rule_sets
from unterbau.judge.difference import Basis, causes, fact_changes, rule_changes
from unterbau.stack.model import Part, Place, Stack
from unterbau.stack.recognise import recognise
from unterbau.verdict import Outcome

STACKS = Path(__file__).parents[1] / "assets" / "stacks"
US = {"name": "Company Inc", "form": "company", "seat": "US"}
DE = {"name": "Verein e.V.", "form": "association", "seat": "DE"}
EU = {"fact": "steward", "where": {"seat": "$EU"}, "text": "the steward is in the EU"}


def basis(steward: dict[str, str] = DE, *, parts: tuple[str, ...] = ("one@1",), at: date = TODAY) -> Basis:
    known = catalogue(
        technology("one", fact("steward", steward), fact("end_of_life", "2027-03-01"), fact("alternative", "two")),
        technology("two", fact("steward", US)),
    )  # fmt: skip
    asked = (rules(EU, {"supported": True}),)
    return Basis(recognise(stack(*parts), known), known, asked, at, {})


def moved(then: Basis, now: Basis) -> dict[str, set[tuple[str, str, Outcome | None]]]:
    found = causes(then, now)
    return {name: {(c.rule, c.subject, c.after) for c in getattr(found, name).changes} for name in found._fields}


def test_nothing_changed_says_so() -> None:
    assert moved(basis(), basis()) == {"parts": set(), "facts": set(), "rules": set(), "day": set()}
    assert fact_changes(basis(), basis()) == () == rule_changes(basis().rule_sets, basis().rule_sets)


def test_each_cause_stands_apart() -> None:
    now = basis(US, parts=("one@1", "two@2"), at=date(2027, 4, 1))
    stricter = rules(EU, {"supported": True}, {"fact": "licence"})
    found = moved(basis(), now._replace(rule_sets=(stricter,)))
    assert found["parts"] == {("set/r0", "two", Outcome.FAILED), ("set/r1", "two", Outcome.NOT_SHOWN)}
    assert found["facts"] == {("set/r0", "one", Outcome.FAILED)}
    assert found["rules"] == {("set/r2", "one", Outcome.NOT_SHOWN), ("set/r2", "two", Outcome.NOT_SHOWN)}
    assert found["day"] == {("set/r1", "one", Outcome.FAILED)}


def test_facts_are_new_gone_changed_or_read_anew() -> None:
    then = basis()
    other = catalogue(
        technology(
            "one", fact("steward", US), fact("end_of_life", "2027-03-01", expires="2028-01-01"), fact("licence", "MIT")
        )
    )
    told = {(f.kind, f.what, f.before, f.after) for f in fact_changes(then, then._replace(catalogue=other))}
    assert told == {
        ("steward", "changed", "Verein e.V. (DE)", "Company Inc (US)"),
        ("licence", "new", "", "MIT"),
        ("alternative", "gone", "two", ""),
        ("end_of_life", "read anew", "2027-03-01", "2027-03-01"),
    }


def test_a_rule_that_asks_by_another_path_is_changed() -> None:
    old, new = (rules(EU),), (rules({"any": [EU, {"fact": "licence"}]}, EU),)
    assert [(r.rule, r.what) for r in rule_changes(old, new)] == [("set/r1", "new"), ("set/r0", "changed")]
    assert [(r.rule, r.what) for r in rule_changes(new, old)] == [("set/r1", "gone"), ("set/r0", "changed")]


def test_a_ladder_is_compared_by_the_step_reached() -> None:
    ladder = rules(
        {"id": "s0", "level": 0, "objective": "x", "text": "x", "paths": {"direct": {"fact": "steward"}}},
        {"id": "s1", "level": 1, "objective": "x", "text": "x", "paths": {"direct": EU}},
    )
    then, now = basis()._replace(rule_sets=(ladder,)), basis(US)._replace(rule_sets=(ladder,))
    found = causes(then, now).facts
    assert found.changes == ()
    told = {(s.subject, s.before, s.after, s.worse, s.outcome) for s in found.steps}
    assert ("one", "step 1 of 1", "step 0 of 1", True, Outcome.FAILED) in told


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, list(arguments), standalone_mode=False)


AT = ("--rules", "alasca", "--at", "2026-11-23")


@pytest.mark.thorough
def test_since_a_bundle_and_since_the_newest_of_a_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("redis@7.2\nkeycloak\n")
    (tmp_path / "old").mkdir()
    run("judge", "s.txt", "--rules", "alasca", "--at", "2026-11-20", "--bundle", "old/a.unterbau")
    run("judge", "s.txt", *AT, "--bundle", "old/b.unterbau")
    (tmp_path / "s.txt").write_text("redis@7.4\nkeycloak\n")
    done = run("judge", "s.txt", *AT, "--since", "old", "--format", "json")
    told = json.loads(done.stdout)
    jsonschema.validate(told, schemas.schema("since"))
    assert told["earlier"] == "old/b.unterbau" and told["before"] == "2026-11-23"
    assert told["parts"]["changed"] == ["redis: 7.2 -> 7.4"]
    assert told["facts"] == told["rules"] == told["by_day"]["changes"] == []
    assert done.return_value is Exit.FAILED, "Redis 7.4 is worse than 7.2"
    text = run("judge", "s.txt", *AT, "--since", "old/a.unterbau").stdout
    assert "parts: 1 changed" in text and "facts: the same" in text and "time: went by" in text


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("what", "error", "said"),
    [("empty", UsageError, "it holds none at all"), ("other", UsageError, "it holds bundles of s.txt"),
     ("broken.unterbau", BundleError, "broken")],
)  # fmt: skip
def test_what_cannot_be_compared_with_is_named(
    run: Run, tmp_path: Path, what: str, error: type[UsageError | BundleError], said: str
) -> None:
    (tmp_path / "s.txt").write_text("redis@7.2\n")
    for folder in ("empty", "other"):
        (tmp_path / folder).mkdir()
    run("judge", "s.txt", *AT, "--bundle", "other/a.unterbau")
    (tmp_path / "broken.unterbau").write_bytes(b"no bundle")
    caught = run("judge", "Ceph", *AT, "--since", what).exception
    assert isinstance(caught, error) and caught.remedy
    assert said in caught.what or error is BundleError


# --- CycloneDX


def sealed(made: Stack) -> str:
    known = shipped.load()
    recognised = recognise(made, known)
    return bom.cyclonedx(
        recognised, known, engine.judge(recognised, known, rule_sets.load(["alasca", "d-stack-v1"]), TODAY)
    )


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["gitlab", "mastodon", "opendesk"])
def test_the_sbom_is_valid_by_the_librarys_validator(name: str) -> None:
    text = sealed(readers.read(STACKS / name))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"bomFormat"', '"bomForm"')) is not None
    assert text == sealed(readers.read(STACKS / name)), "the same judgement gives the same bytes"


@pytest.mark.thorough
def test_a_component_carries_facts_with_their_sources_and_the_outcomes() -> None:
    part = Part(
        "r", "redis", "7.4.0", purl="pkg:deb/debian/redis@7.4.0", technology="redis", where=(Place("x", "line 1"),)
    )
    (component,) = json.loads(sealed(Stack("s", (part,))))["components"]
    told: dict[str, list[str]] = {}
    for entry in component["properties"]:
        told.setdefault(entry["name"], []).append(entry["value"])
    assert told["unterbau:technology"] == ["redis"] and told["unterbau:found"] == ["x: line 1"]
    assert told["unterbau:fact:licence"] == ["LicenseRef-RSALv2 OR SSPL-1.0"]
    assert all("https://" in s and "counts until" in s for s in told["unterbau:fact:licence:source"])
    assert told["unterbau:rules:alasca"] == ["failed"]
    assert told["unterbau:rules:d-stack-v1:Digitale Souveränität"] == ["step 1 of 5"]
    assert component["purl"] == "pkg:deb/debian/redis@7.4.0", "by this Dependency-Track finds vulnerabilities"


@pytest.mark.thorough
def test_hostile_names_make_a_valid_document() -> None:
    parts = tuple(
        Part(f"{n}", name, "1\u202e", purl=purl, licence=licence, where=(Place("a\nb", "<x>"),))
        for n, (name, purl, licence) in enumerate(
            [
                ("<script>", "no purl", "MIT AND"),
                ("x\x00y", None, ""),
                ("x\x00y", None, "see https://x"),
                ("é" * 3000, None, "MIT"),
            ]
        )
    )
    text = sealed(Stack("s\x1b", parts))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert len(json.loads(text)["components"]) == 4


@pytest.mark.thorough
def test_our_own_reader_reads_it_again(tmp_path: Path) -> None:
    known = shipped.load()
    made = recognise(stack("redis@7.4", "keycloak@26", "ceph"), known)
    path = tmp_path / "s.cdx.json"
    path.write_text(sealed(made))
    again = recognise(readers.read(path), known)
    named = {(p.technology, p.version) for p in again.parts if p.technology}
    assert named == {(p.technology, p.version) for p in made.parts}
