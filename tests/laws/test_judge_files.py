# SPDX-License-Identifier: Apache-2.0
"""Catalogue and rule files: what comes with the program is whole; a wrong file is named with line and reason."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from judge_world import TODAY

from unterbau import catalogue, schemas
from unterbau.catalogue import FastLoader
from unterbau.catalogue.model import KINDS
from unterbau.errors import UsageError
from unterbau.judge import history, rules
from unterbau.judge.rule import OPEN
from unterbau.stack.model import Part, Stack
from unterbau.stack.recognise import Index, recognise

GOOD = """\
id: redis
name: Redis
layer: platform-services
homepage: https://redis.io
facts:
  - kind: licence
    versions: "<7.4"
    value: BSD-3-Clause
    confidence: high
    expires: 2027-05-23
    source: {url: "https://redis.io", read: 2026-11-23, says: "It says so."}
"""


def test_the_catalogue_has_no_faults_and_loads() -> None:
    assert catalogue.check([]) == []
    assert len(catalogue.load()) > 30


def test_the_rule_sets_load_and_cite() -> None:
    found = rules.load()
    assert [r.id for r in found] == rules.names()
    for rule_set in found:
        assert all(s.url.startswith("https://") and s.says for s in rule_set.sources)


@pytest.mark.parametrize(("name", "folder"), [("rules", rules.HERE), ("technology", catalogue.HERE)])
def test_the_schemas_accept_what_loads(name: str, folder: Path) -> None:
    validator = jsonschema.Draft202012Validator(schemas.schema(name))
    for path in sorted(folder.glob("*.yaml")):
        plain = _texts(yaml.load(path.read_bytes(), Loader=FastLoader))  # noqa: S506
        assert [e.message for e in validator.iter_errors(plain)] == [], path


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _texts(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_texts(v) for v in value]
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("    source: {", "    sauce: {", 6, "source: is missing"),
        ('read: 2026-11-23, says: "It says so."', "read: 2026-11-23", 11, "says: is missing"),
        ("kind: licence", "kind: license", 6, "no such kind of fact"),
        ('"<7.4"', '"<<7.4"', 7, "'<<7.4' is no term"),
        ("layer: platform-services", "layer: cloud", 3, "Input should be"),
        ("id: redis", "id: redis\nid: valkey", 1, "'id' stands twice"),
        ("expires: 2027-05-23", "expires: soon", 10, "expires"),
        ("name: Redis", "name: [Redis", 3, "no YAML"),
    ],
)
def test_a_wrong_technology_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, what: str) -> None:
    path = tmp_path / "redis.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(UsageError) as error:
        catalogue.load([path])
    assert f"{path}:{line}: " in error.value.what
    assert what in error.value.what


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('https://redis.io", read', 'a book", read', "is no URL"),
        ("expires: 2027-05-23", "expires: 2026-11-23", "is not after the day of the copy"),
        ("value: BSD-3-Clause", "value: three/clauses", "is no SPDX expression"),
        ("id: redis", "id: valkey", "differs from the file's name"),
    ],
)
def test_what_types_cannot_say(tmp_path: Path, old: str, new: str, what: str) -> None:
    path = tmp_path / "redis.yaml"
    path.write_text(GOOD.replace(old, new))
    assert any(what in line for line in catalogue.check([path]))


def test_yaml_means_what_people_mean(tmp_path: Path) -> None:
    path = tmp_path / "redis.yaml"
    law = '    value: {law: CLOUD Act, on: Company, because: "seat"}'
    seat = "    value: {name: Company, form: company, seat: NO}"
    fact = GOOD.partition("facts:\n")[2]
    more = [fact.replace("kind: licence", f"kind: {k}").replace("    value: BSD-3-Clause", v)
            for k, v in (("foreign_law", law), ("steward", seat))]  # fmt: skip
    path.write_text(GOOD + "".join(more))
    found = catalogue.load([path])["redis"]
    assert [str(getattr(f.value, "seat", "")) for f in found.of("steward")] == ["NO"]


RULES = """\
id: own
name: Own
author: We
as_of: 2026-01-01
sources: [{url: "https://example.org", read: 2026-01-01, says: "x"}]
define: {osi: {fact: licence, where: {value: {osi: true}}}}
rules:
  - id: one
    text: One.
    paths: {direct: {use: osi}}
"""


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("fact: licence", "fact: license", "is no kind of fact"),
        ("{use: osi}", "{use: oso}", "'oso' is not defined"),
        ("{use: osi}", "{some: {use: osi}}", "need `of: stack`"),
        ("{use: osi}", "{eval: 1}", "exactly one of"),
        ("{osi: true}", "$EUROPE", "is no list"),
        ("{osi: true}", "{osi: true, in: MIT}", "one of in, not_in, osi, prefix"),
        (
            "define: {osi: {fact: licence, where: {value: {osi: true}}}}",
            "define: {osi: {not: {use: osi}}}",
            "by itself",
        ),
        ("    paths:", "    weight: 5\n    paths:", "no such key"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, old: str, new: str, what: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(RULES)
    assert rules.load([str(path)])[0].id == "own"
    path.write_text(RULES.replace(old, new))
    with pytest.raises(UsageError, match=r"own\.yaml:") as error:
        rules.load([str(path)])
    assert what in error.value.what


def test_unknown_and_doubled_rule_sets() -> None:
    with pytest.raises(UsageError, match="no rule set and no file 'nope'") as error:
        rules.load(["nope"])
    assert "alasca" in error.value.remedy
    with pytest.raises(UsageError, match="named twice"):
        rules.load(["alasca", "alasca"])


def test_kinds_are_those_of_the_model() -> None:
    assert OPEN < KINDS


@pytest.mark.parametrize(
    ("part", "technology"),
    [
        (Part("1", "x", purl="pkg:docker/library/redis@7.2?arch=amd64"), "redis"),
        (Part("1", "x", hints=(("image", "docker.io/library/redis"),)), "redis"),
        (Part("1", "x", hints=(("image", "redis"),)), "redis"),
        (Part("1", "x", hints=(("name", "REDIS"),)), "redis"),
        (Part("1", "x", technology="Redis"), "redis"),
        (Part("1", "x", hints=(("image", "evil.example/redis"),)), None),
        (Part("1", "redis", purl="pkg:npm/redis@1"), None),
        (Part("1", "redis"), None),
    ],
)
def test_recognition_guesses_nothing(tmp_path: Path, part: Part, technology: str | None) -> None:
    path = tmp_path / "redis.yaml"
    path.write_text(GOOD + "recognise: {purls: ['pkg:docker/library/redis'], images: [docker.io/library/redis]}\n")
    known = {"redis": catalogue.load([path])["redis"]}
    assert Index(known).find(part) == technology
    assert recognise(Stack("s", (part,)), known).parts[0].technology == technology


def test_a_git_history_gives_the_numbers() -> None:
    lines = [f"{n:040x}\t2026-10-{n:02d}\t{'ab'[n % 2]}@x\t{'tag: v1' if n == 3 else ''}" for n in range(1, 11)]
    lines.append(f"{0:040x}\t2025-01-01\tc@x\ttag: v0")
    found = history.measures(history.read("\n".join(lines), "h"), TODAY, "h")
    assert {k: v for k, (v, _) in found.items()} == {"commits": 10, "releases": 1, "bus-factor": 2}
    assert history.bus_factor([]) == 0
    assert history.bus_factor("aaab") == 1
    with pytest.raises(UsageError, match="h:1: no line of a history"):
        history.read("commit 12", "h")
    assert history.months_before(date(2026, 8, 31), 6) == date(2026, 2, 28)
