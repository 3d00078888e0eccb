# SPDX-License-Identifier: Apache-2.0
"""The data about the standards agrees with itself, with the judges, and with its schema."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import date
from importlib import resources
from typing import Any

import jsonschema
import pytest

from unterbau.errors import UsageError
from unterbau.prove import data
from unterbau.prove.data import Catalogue, load
from unterbau.prove.judges import FAMILIES, JUDGES, TOLERANT, judge_of

FILES = {name: data._read(name) for name in data.FILES}


def test_every_case_has_a_judge_and_every_judge_a_case() -> None:
    living = {case.id for case in load().cases if not case.retired}
    assert all(judge_of(case) for case in living) and judge_of("scs-0000-nothing") is None
    assert set(TOLERANT) <= set(JUDGES) <= living
    assert all(any(case.startswith(prefix) for case in living) for prefix in FAMILIES)


def test_the_official_list_is_complete() -> None:
    official = [c for c in load().cases if not c.own]
    assert len(official) == 91
    counts = {v: sum(v in c.must and not c.manual for c in official) for v in ("v3", "v4", "v5.1", "next")}
    assert counts == {"v3": 16, "v4": 39, "v5.1": 54, "next": 55}
    union = [c for c in official if {"v5.1", "next"} & set(c.must) and not c.manual]
    assert len(union) == 57 and sum(c.writes for c in union) == 4


def test_each_version_demands_something_of_each_standard_that_software_can_judge() -> None:
    for version in load().scope("scs-compatible-iaas").versions:
        about = {c.standard.rsplit("-", 1)[0] for c in load().cases if version.version in c.must}
        named = {s.rsplit("-", 1)[0] for s in version.standards} - {"scs-0128"}
        assert about == named, version.version


def test_every_clause_is_a_page_of_the_standards() -> None:
    for case in load().cases:
        url = load().clause(case)
        assert url.startswith("https://docs.scs.community/standards/scs-0") and " " not in url


def test_the_tables_of_flavors_and_images() -> None:
    flavors = load().flavors
    assert (sum(f.mandatory for f in flavors), sum(not f.mandatory for f in flavors)) == (15, 16)
    assert {f.case for f in flavors if f.mandatory} == {
        c.id for c in load().cases if c.id.startswith("scs-0103-flavor") and c.must
    }
    for image in load().images:
        required = load().case(f"scs-0104-image-{image.id}") if image.specs.get("v5") == "mandatory" else None
        assert required is None or "v5.1" in required.must


@pytest.mark.thorough
def test_the_schema_is_that_of_the_data() -> None:
    schema = json.loads(resources.files(data).joinpath("schema.json").read_text())
    assert schema == Catalogue.model_json_schema()
    jsonschema.validate(load().model_dump(mode="json"), schema)


def _case(files: dict[str, Any], **change: Any) -> None:
    files["cases"]["cases"][0].update(change)


FAULTS: tuple[tuple[str, Callable[[dict[str, Any]], None]], ...] = (
    ("is there twice", lambda f: f["cases"]["cases"].append(f["cases"]["cases"][0])),
    ("unknown standard", lambda f: _case(f, standard="scs-9999-v1")),
    ("unknown sections", lambda f: _case(f, needs=["flavours"])),
    ("unknown version", lambda f: _case(f, must=["v99"])),
    ("both demanded and recommended", lambda f: _case(f, must=["v4"], should=["v4"])),
    ("contradict each other", lambda f: _case(f, writes=True)),
    ("has no version of", lambda f: _case(f, standard="scs-0114-v1", must=["v3"])),
    ("retired", lambda f: _case(f, retired=True)),
    ("names unknown standards", lambda f: f["scopes"]["scopes"][0]["versions"][2].update(standards=["scs-9999-v1"])),
    ("order of their dates", lambda f: f["scopes"]["scopes"][0]["versions"][0]["states"].reverse()),
    ("name and disk", lambda f: f["flavors"]["mandatory"][0].update(disk=["ssd"])),
    ("has no test case", lambda f: f["flavors"]["mandatory"].append({"name": "SCS-3V-3"})),
    ("has no test case", lambda f: f["images"]["named"][0].update(id="arch")),
    ("Extra inputs", lambda f: _case(f, colour="red")),
    ("contradicts itself", lambda f: f["flavors"].pop("mandatory")),
)


@pytest.mark.parametrize(("says", "spoil"), FAULTS, ids=[f"{n} {s}" for n, (s, _) in enumerate(FAULTS)])
def test_data_that_contradicts_itself_is_refused(says: str, spoil: Callable[[dict[str, Any]], None]) -> None:
    files = copy.deepcopy(FILES)
    spoil(files)
    with pytest.raises(UsageError, match=says):
        data.build(files)


def test_data_of_ours_is_not_shared_by_accident() -> None:
    assert data.build(copy.deepcopy(FILES)) == load() and data.build(FILES).digest() == load().digest()


@pytest.mark.parametrize(
    ("lifetime", "checked", "until"),
    [
        ("week", "2026-11-23", "2026-12-07"),
        ("week", "2026-11-29", "2026-12-07"),
        ("week", "2026-11-30", "2026-12-14"),
        ("day", "2026-11-30", "2026-12-02"),
        ("month", "2026-11-15", "2027-01-01"),
        ("quarter", "2026-11-15", "2027-04-01"),
        ("year", "2026-11-15", "2028-01-01"),
    ],
)
def test_until_when_a_result_counts(lifetime: str, checked: str, until: str) -> None:
    assert data.valid_until(lifetime, date.fromisoformat(checked)) == date.fromisoformat(until)


def test_unknown_names_are_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no test case"):
        load().case("scs-0000")
    with pytest.raises(UsageError, match="no lifetime"):
        data.valid_until("aeon", date(2026, 1, 1))
    with pytest.raises(UsageError, match="no release"):
        load().images_v2.newest("ubuntu", date(2019, 1, 1))
