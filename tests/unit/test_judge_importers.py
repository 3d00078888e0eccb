# SPDX-License-Identifier: Apache-2.0
"""The importers of public data sets, and the verbs `facts refresh`, `check` and `audit`, on small copies of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from judge_world import catalogue, fact, technology

from unterbau import catalogue as shipped
from unterbau.catalogue import additions, contradictions, importers
from unterbau.catalogue.importers.port import Imported
from unterbau.cli import cli
from unterbau.errors import Exit, UsageError

DAY = date(2026, 11, 25)
ENDS = {
    "source": "https://github.com/endoflife-date/endoflife.date", "commit": "a" * 40, "committed": "2026-08-22",
    "licence": "MIT",
    "products": {
        "redis": {"releases": [
            {"releaseCycle": "8.0", "eol": "2026-12-01", "eoas": "2025-08-04"},
            {"releaseCycle": "8.2", "eol": False, "eoas": True},
            {"releaseCycle": "nightly", "eol": "2026-12-01"},
        ]},
        "grafana-loki": {"releases": [{"releaseCycle": "3.5", "eol": "2026-05-13", "eoes": "not a day"}]},
        "stranger": {"releases": [{"releaseCycle": "1", "eol": "2026-01-01"}]},
    },
}  # fmt: skip
SERIES = """\
- {name: indri, release-id: 2027.1, status: future, initial-release: 2027-03-24}
- name: gazpacho
  release-id: 2026.1
  status: maintained
  initial-release: 2026-04-01
  next-phase: {status: unmaintained, date: 2027-10-27}
- {name: dalmatian, release-id: 2024.2, status: end of life, initial-release: 2024-10-02, eol-date: 2026-04-29}
- {name: zed, status: unmaintained, initial-release: 2022-10-05}
"""
LANDSCAPE = {
    "commit": "b" * 40, "committed": "2026-08-07", "licence": "Apache-2.0",
    "items": [
        {"name": "Harbor", "repo_url": "https://github.com/goharbor/harbor", "accepted": "2018-07-31",
         "graduated": "2020-06-15"},
        {"name": "Some vendor", "category": "CNCF Members"},
        {"name": "Old thing", "accepted": "2018-01-01", "archived": "2022-01-01"},
    ],
}  # fmt: skip
DEBIAN = """\
version,codename,series,created,release,eol,eol-lts,eol-elts
12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-07-11,2028-06-30,2033-06-30
14,Forky,forky,2025-08-09
,Sid,sid,1993-08-16
"""
UBUNTU = """\
version,codename,series,created,release,eol,eol-server,eol-esm,eol-legacy
22.04 LTS,Jammy,jammy,2021-10-14,2022-04-21,2027-06-01,2027-06-01,2032-04-21,2034-04-25
"""
TABLE = """\
| file | from | commit or version | date of the copy | licence |
|---|---|---|---|---|
| endoflife.json | github.com/endoflife-date/endoflife.date | {a} | 2026-08-22 | MIT |
| cncf-landscape.json | github.com/cncf/landscape | {b} | 2026-08-07 | Apache-2.0 |
| openstack-series.yaml | opendev.org/openstack/releases | {c} | 2026-08 | Apache-2.0 |
| debian.csv, ubuntu.csv | distro-info-data | 0.58 | as packaged | ISC |
""".format(a="a" * 40, b="b" * 40, c="c" * 40)
DATED = ("debian.csv=2025-10-18", "ubuntu.csv=2025-10-18")
KNOWN = catalogue(
    technology("redis"), technology("loki"), technology("openstack"), technology("debian"), technology("ubuntu"),
    technology("harbor", fact("source_code", "https://github.com/goharbor/harbor")), technology("old", name="Old thing"),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "sets"
    place.mkdir()
    files = {"endoflife.json": json.dumps(ENDS), "openstack-series.yaml": SERIES, "debian.csv": DEBIAN,
             "cncf-landscape.json": json.dumps(LANDSCAPE), "ubuntu.csv": UBUNTU, "SOURCES.md": TABLE}  # fmt: skip
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def said(folder: Path, *days: str) -> dict[str, Imported]:
    found, absent = importers.refresh(folder, KNOWN, DAY, days or DATED)
    assert absent == []
    return {i.data_set: i for i in found}


def rows(one: Imported) -> set[tuple[str, str, str, str]]:
    return {(t, f.kind, f.versions, str(f.value)) for t, fs in one.facts.items() for f in fs}


def test_endoflife_three_columns_are_three_facts_and_a_boolean_is_no_day(folder: Path) -> None:
    one = said(folder)["endoflife.date"]
    assert rows(one) == {
        ("redis", "end_of_life", "8.0", "2026-12-01"),
        ("redis", "end_of_active_support", "8.0", "2025-08-04"),
        ("loki", "end_of_life", "3.5", "2026-05-13"),
    }
    assert one.passed_over == ("an end without a day: 3", "redis: a cycle without a number: 1")
    assert (one.origin, one.confidence, one.as_of) == ("second hand", "low", date(2026, 8, 22))


def test_openstacks_series(folder: Path) -> None:
    one = said(folder)["openstack/releases"]
    assert rows(one) == {
        ("openstack", "release", "2026.1", "2026-04-01"), ("openstack", "end_of_life", "2026.1", "2027-10-27"),
        ("openstack", "release", "2024.2", "2024-10-02"), ("openstack", "end_of_life", "2024.2", "2026-04-29"),
    }  # fmt: skip
    assert one.as_of == date(2026, 8, 1), "a month without a day is its first"


def test_the_landscape_knows_a_project_by_its_repository_or_its_name(folder: Path) -> None:
    one = said(folder)["CNCF landscape"]
    stages = {(t, f.value["stage"], f.since) for t, fs in one.facts.items() for f in fs}
    assert stages == {
        ("harbor", "accepted", date(2018, 7, 31)), ("harbor", "graduated", date(2020, 6, 15)),
        ("old", "accepted", date(2018, 1, 1)), ("old", "archived", date(2022, 1, 1)),
    }  # fmt: skip


def test_distro_info_is_the_original_for_debian_only(folder: Path) -> None:
    found = said(folder)
    debian, ubuntu = found["Debian's distro-info"], found["Debian's distro-info for Ubuntu"]
    assert ("debian", "end_of_life", "12", "2026-07-11") in rows(debian)
    assert ("debian", "end_of_extended_support", "12", "2028-06-30") in rows(debian)
    assert {v for _, _, v, _ in rows(debian)} == {"12"}
    assert ("ubuntu", "end_of_extended_support", "22.04", "2032-04-21") in rows(ubuntu)
    assert [(o.origin, o.confidence) for o in (debian, ubuntu)] == [("original", "high"), ("second hand", "medium")]


def test_a_copy_of_unknown_age_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"debian\.csv: nobody says of which day"):
        importers.refresh(folder, KNOWN, DAY)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("endoflife.json", "{", "not JSON"),
        ("endoflife.json", "[]", "no `products`"),
        ("cncf-landscape.json", "{}", "no list `items`"),
        ("openstack-series.yaml", "a: b", "a list of series"),
        ("openstack-series.yaml", "[", "no YAML"),
        ("debian.csv", "a,b\n1,2\n", "no columns"),
        ("ubuntu.csv", "\xff\xfe", "no table"),
    ],
)
def test_what_is_no_such_data_set_is_refused_by_name(folder: Path, file: str, text: str, message: str) -> None:
    (folder / file).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=f"{file}.*{message}"):
        importers.refresh(folder, KNOWN, DAY, DATED)


def test_an_empty_folder_and_none_at_all(tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            importers.refresh(wrong, KNOWN, DAY)


def test_what_is_imported_stands_beside_what_a_person_wrote(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "imported"
    place.mkdir()
    for one in said(folder).values():
        (place / importers.file_name(one)).write_bytes(importers.spelled(one))
    mine = technology("redis", fact("end_of_life", "2026-02-11", versions="8.0"))
    known = additions.complete({"redis": mine}, {}, additions.imported(place))
    first, second, _ = known["redis"].facts
    assert (first.value, first.source.data_set) == (date(2026, 2, 11), "")
    assert (second.value, second.source.data_set) == (date(2026, 12, 1), "endoflife.date")
    assert second.source.url.endswith(f"/blob/{'a' * 40}/products/redis.md")
    assert second.source.quote == "eol: 2026-12-01"
    (told,) = contradictions.contradictions(known["redis"])
    assert told.what == "end_of_life of 8.0"
    assert "2026-02-11" in told.one
    assert "2026-12-01 (endoflife.date)" in told.other


def test_a_since_that_is_not_the_day_of_acceptance_is_a_contradiction(folder: Path) -> None:
    cncf = {"name": "Cloud Native Computing Foundation", "form": "foundation", "seat": "US"}
    mine = technology(
        "harbor", *KNOWN["harbor"].model_dump(mode="json")["facts"], fact("steward", cncf, since="2018-08-01")
    )
    known = additions.complete({"harbor": mine}, {}, tuple(said(folder).values()))
    assert [c.what for c in contradictions.contradictions(known["harbor"])] == ["steward since"]


def test_a_licence_that_the_spdx_list_does_not_know() -> None:
    asked = "GPL-2.0 WITH Classpath-exception-2.0 OR (MIT AND LicenseRef-own) OR Nonsense-1.0"
    found = list(contradictions.contradictions(technology("x", fact("licence", asked))))
    assert [(c.one.split()[0], c.other) for c in found] == [
        ("GPL-2.0", "an id that was given up (the SPDX list)"), ("Nonsense-1.0", "not on it (the SPDX list)"),
    ]  # fmt: skip


# --- the verbs


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return lambda *a: CliRunner().invoke(cli, ["facts", *a], standalone_mode=False)


def test_refresh_writes_where_it_is_told(run: Callable[..., Result], folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    dated = [a for d in DATED for a in ("--dated", d)]
    found = run("refresh", "--from", str(folder), "--to", str(to), *dated, "--format", "json")
    assert found.return_value is Exit.HELD, found.output
    told = json.loads(found.stdout)
    assert {r["data_set"] for r in told["written"]} >= {"endoflife.date", "SPDX licence list"}
    assert [i.data_set for i in additions.imported(to)]


@pytest.mark.thorough
def test_facts_of_a_technology_are_still_shown_without_a_verb(run: Callable[..., Result]) -> None:
    assert "end of life" in run("redis@8.0").output
    assert run("--stale").return_value in (Exit.HELD, Exit.NOT_SHOWN)


@pytest.mark.thorough
def test_check_shows_contradictions(run: Callable[..., Result], tmp_path: Path) -> None:
    assert run("check").return_value is Exit.HELD
    own = tmp_path / "zabbix.yaml"
    text = (shipped.HERE / "zabbix.yaml").read_text()
    wrong = """  - kind: end_of_life
    versions: "7.4"
    value: 2026-09-30
    confidence: low
    source: {url: "https://example.org", read: 2026-11-23, says: "x"}
"""
    own.write_text(text.rstrip("\n") + "\n" + wrong)
    found = run("check", "zabbix", "--catalogue", str(own))
    assert found.return_value is Exit.NOT_SHOWN
    assert "2026-09-30" in found.output
    assert "2026-12-31" in found.output


def own_technology(tmp_path: Path, **source: Any) -> Path:
    own = tmp_path / "thing.yaml"
    told = {"url": "https://example.org", "read": "2026-11-23", "as_of": "2026-11-01", "says": "x", **source}
    lines = "".join(
        f"      {k}: {json.dumps(v)}\n" if k not in ("read", "as_of") else f"      {k}: {v}\n" for k, v in told.items()
    )
    own.write_text(
        "id: thing\nname: Thing\nlayer: iaas\nhomepage: https://example.org\nfacts:\n"
        f"  - kind: source_code\n    value: https://example.org\n    confidence: medium\n    source:\n{lines}"
    )
    return own


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("copy", "quote", "outcome"),
    [
        ("<p>We <b>support</b>\n  it.</p>", "We support it", Exit.HELD),
        ("We support\n it.", "we support it.", Exit.HELD),
        ("We support it.", "We support them", Exit.FAILED),
        ("We support it.", "", Exit.NOT_SHOWN),
        (None, "We support it", Exit.NOT_SHOWN),
        ("s = <<~EOF\nfaster\nEOF\nx = a > b", "faster", Exit.HELD),
        ("<!-- markdownlint -->", "another line", Exit.FAILED),
    ],
)
def test_audit_compares_records_with_copies(
    run: Callable[..., Result], tmp_path: Path, copy: str | None, quote: str, outcome: Exit
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    text = copy if copy is not None else "another text"
    (copies / "any-name").write_text(text if copy is not None else "not it")
    sha = hashlib.sha256(text.encode()).hexdigest()
    own = own_technology(tmp_path, sha256=sha, **({"quote": quote} if quote else {}))
    found = run("audit", "thing", "--from", str(copies), "--catalogue", str(own), "--kind", "source_code")
    assert found.return_value is outcome, found.output


@pytest.mark.thorough
def test_audit_counts_sources_by_class_and_age(run: Callable[..., Result], tmp_path: Path) -> None:
    own = own_technology(tmp_path, sha256="0" * 64)
    found = run("audit", "thing", "--from", str(tmp_path), "--catalogue", str(own), "--kind", "source_code")
    assert "not said: 1 facts" in found.output
    assert "and of unknown age for 1" in found.output


@pytest.mark.thorough
def test_a_sample_is_drawn_by_a_seed(run: Callable[..., Result], tmp_path: Path) -> None:
    def sample(seed: str) -> list[str]:
        drawn = run(
            "audit",
            "--from",
            str(tmp_path),
            "--kind",
            "eu_support",
            "--sample",
            "5",
            "--seed",
            seed,
            "--format",
            "json",
        )
        told = json.loads(drawn.stdout)
        return [str(r) for r in (told["result"] if isinstance(told, dict) else told)]

    assert sample("1") == sample("1") != sample("2")
    assert len(sample("1")) == 5
