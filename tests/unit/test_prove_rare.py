# SPDX-License-Identifier: Apache-2.0
"""What judges answer of clouds that neither the good one nor its mutations show: nothing is promised, or nothing is told.

By outcome, by what was looked at, and by the figures that the reason carries; how it is worded is not asked.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from prove_world import NOW, flavor, good_items, image, inventory, rule
from test_prove_defects import (
    FAILED,
    HELD,
    NOT_APPLICABLE,
    NOT_SHOWN,
    Items,
    changed,
    decided,
    said,
    with_image,
    without,
)

from unterbau.prove.inventory import Item, Status
from unterbau.prove.judges.frame import Decision, number
from unterbau.prove.judges.scs_0102 import parse_day, parse_time
from unterbau.verdict import Reason

ABORT, PASS, FAIL = "ABORT", "PASS", "FAIL"


def only(section: str, *items: dict[str, Any]) -> Items:
    """The good cloud, but in this section it has these only."""
    return good_items() | {section: [*items]}


def figures(decision: Decision) -> dict[str, Any]:
    """What the reason carries."""
    assert isinstance(decision.reason, Reason)
    return decision.reason.values


def result(test: str, **change: Any) -> Items:
    """The good cloud, but a write test left something else."""
    return changed("write_results", lambda all_: next(r for r in all_ if r["test"] == test).update(change))


# --- nothing is promised


FREE = (flavor("tiny", 1, 512, 1), flavor("small", 2, 2048, 10))
PLAIN = (
    {"id": "1", "name": "a", "description": "", "is_public": True},
    {"id": "2", "name": "b", "description": "fast"},
)


@pytest.mark.parametrize(
    ("case", "items", "reference", "count"),
    [
        ("scs-0100-syntax-check", only("flavors", *FREE), PASS, {"count": 2}),
        ("scs-0100-semantics-check", only("flavors", *FREE), PASS, {"count": 2}),
        ("scs-0100-semantics-check", only("flavors", flavor("SCS-odd", 1, 512, 1)), PASS, {"count": 1}),
        ("scs-0103-extra-specs", only("flavors", *FREE), None, {"count": 2}),
        ("scs-0114-syntax-check", only("volume_types", *PLAIN), PASS, {"count": 2}),
        ("scs-0114-only-aspects", only("volume_types", *PLAIN), None, {"count": 2}),
        ("scs-0102-os_purpose-uniqueness", only("images", image("x", "private", os_purpose="custom")), PASS, {"count": 1}),
        ("scs-0104-v2-generic-source", only("images", image("x", "private", os_purpose="custom")), None, {}),
        ("scs-0104-v2-capi-properties", only("images", image("x", "private")), None, {}),
    ],
)  # fmt: skip
def test_where_nothing_is_promised_a_rule_does_not_apply_and_it_is_told_of_how_many(
    case: str, items: Items, reference: str | None, count: dict[str, int]
) -> None:
    decision = decided(case, items)
    assert said(case, items) == (NOT_APPLICABLE, reference)
    assert (decision.looked_at, decision.findings, figures(decision)) == (0, (), count)


@pytest.mark.parametrize(
    ("case", "section"),
    [("scs-0100-syntax-check", "flavors"), ("scs-0100-semantics-check", "flavors"), ("scs-0103-extra-specs", "flavors"),
     ("scs-0114-syntax-check", "volume_types"), ("scs-0114-only-aspects", "volume_types"), ("scs-0114-encrypts", "volume_types"),
     ("scs-0102-os_purpose-uniqueness", "images"), ("scs-0102-image-recency", "images"), ("scs-0102-prop-os_version", "images"),
     ("scs-0104-v2-generic-source", "images"), ("scs-0123-swift-s3", "catalog"),
     ("scs-0123-canonical-types", "catalog"), ("scs-0116-permissions", "catalog")],
)  # fmt: skip
def test_where_there_is_nothing_at_all_a_rule_is_not_shown_and_says_why(case: str, section: str) -> None:
    decision = decided(case, only(section))
    assert (decision.outcome.value, decision.looked_at, decision.findings) == (NOT_SHOWN, 0, ())
    assert isinstance(decision.reason, Reason) and (decision.reason.id, decision.reason.values) == (
        {"flavors": "prove.no-flavors", "volume_types": "prove.no-types", "images": "prove.no-images",
         "catalog": "prove.catalog.empty"}[section], {},
    )  # fmt: skip


# --- nothing is told


def test_flavors_whose_figures_nova_does_not_tell_show_nothing_and_are_named() -> None:
    blind = flavor("SCS-1V-4", 1, 4096, 0)
    for key in ("vcpus", "ram"):
        decision = decided(
            "scs-0100-semantics-check", only("flavors", blind | {key: None}, flavor("SCS-2V-8", 2, 8192, 0))
        )
        assert (decision.outcome.value, decision.looked_at) == (NOT_SHOWN, 2)
        assert figures(decision) == {"names": ["SCS-1V-4"]}


@pytest.mark.parametrize("case", ["scs-0103-extra-specs", "scs-0103-flavor-1v-4"])
def test_flavors_whose_properties_were_not_seen_show_nothing_and_are_counted(case: str) -> None:
    blind = [{k: v for k, v in f.items() if k != "extra_specs"} for f in good_items()["flavors"][:3]]
    decision = decided(case, only("flavors", *blind))
    assert decision.outcome.value == NOT_SHOWN and figures(decision)["count"] in (1, 3)
    assert decision.findings == ()


def test_what_a_property_says_wrong_counts_even_where_another_flavor_was_not_seen() -> None:
    false = flavor("x", 1, 1024, 0, {"scs:cpu-type": "magic"})
    blind = {k: v for k, v in flavor("y", 1, 1024, 0).items() if k != "extra_specs"}
    decision = decided("scs-0103-extra-specs", only("flavors", false, blind))
    assert decision.outcome.value == FAILED and [f.object for f in decision.findings] == ["flavor x (id-x)"]


@pytest.mark.parametrize(
    ("specs", "broken"),
    [
        ({"scs:name-v1": "SCS-1V:4"}, False), ({"scs:name-v2": "SCS-1V-4"}, False), ({"scs:name-v12": "SCS-1V-4"}, False),
        ({"scs:name-v2": "SCS-2V-4"}, True), ({"scs:name-v2": "odd"}, True), ({"scs:name-v0": "odd"}, False),
        ({"scs:cpu-type": "shared-core"}, False), ({"scs:cpu-type": "odd"}, True),
        ({"scs:disk0-type": "nvme"}, False), ({"scs:disk1-type": "odd"}, True), ({"scs:diskx-type": "odd"}, False),
        ({"scs:else": "odd"}, False), ({"other": "odd", "scs:cpu-type": "dedicated-core"}, False),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_properties_of_a_flavor_claim_is_so(specs: dict[str, str], broken: bool) -> None:
    decision = decided("scs-0103-extra-specs", only("flavors", flavor("x", 1, 4096, 0, specs)))
    assert (decision.outcome.value, decision.looked_at) == (FAILED if broken else HELD, 1)
    assert len(decision.findings) == broken


def test_what_a_write_test_did_not_leave_is_not_shown() -> None:
    for test, case in (
        ("entropy", "scs-0101-entropy-avail"), ("fips", "scs-0101-fips-test"), ("backup", "scs-0117-test-backup"),
        ("key-manager", "scs-0116-permissions"),
    ):  # fmt: skip
        gone = only("write_results", *(r for r in good_items()["write_results"] if r["test"] != test))
        assert said(case, gone) == (NOT_SHOWN, None)
        broken = decided(case, result(test, error="over quota"))
        assert (broken.outcome.value, figures(broken)["why"]) == (NOT_SHOWN, "over quota")


# --- random numbers


@pytest.mark.parametrize(
    ("value", "kernel", "ours", "suite"),
    [
        (256, "5.4.0-1", HELD, None), (255, "5.17.0-1", NOT_SHOWN, FAIL), (3000, "4.19.0", NOT_SHOWN, FAIL), (255, "5.18.0-1", FAILED, None),
        (255, "6.0", FAILED, None), (255, "5", FAILED, None), (255, "", FAILED, None), (255, "5.x", FAILED, None), (None, "6.8.0", NOT_SHOWN, None),
    ],
)  # fmt: skip
def test_entropy_is_256_unless_the_kernel_is_older_than_the_promise(
    value: int | None, kernel: str, ours: str, suite: str | None
) -> None:
    seen = result("entropy", entropy_avail=value, kernel=kernel)
    decision = decided("scs-0101-entropy-avail", seen)
    assert said("scs-0101-entropy-avail", seen) == (ours, suite)
    if ours == FAILED:
        assert [f.object for f in decision.findings] == ["server s-1"] and decision.looked_at == 1
    if suite == FAIL:
        assert figures(decision) == {"kernel": kernel}


@pytest.mark.parametrize(
    ("failures", "blocks", "ours", "suite"),
    [
        (3, 1000, HELD, None), (4, 1000, FAILED, PASS), (5, 1000, FAILED, PASS), (6, 1000, FAILED, None), (6, 2000, HELD, FAIL),
        (7, 2000, FAILED, None), (0, 999, NOT_SHOWN, None), (None, 1000, NOT_SHOWN, None), (0, None, NOT_SHOWN, None),
    ],
)  # fmt: skip
def test_at_most_three_of_a_thousand_blocks_fail(
    failures: int | None, blocks: int | None, ours: str, suite: str | None
) -> None:
    seen = result("fips", failures=failures, blocks=blocks)
    assert said("scs-0101-fips-test", seen) == (ours, suite)
    wanted = {"blocks": 1000} if ours == NOT_SHOWN else {"failures": failures, "blocks": blocks}
    found = decided("scs-0101-fips-test", seen)
    assert ours == FAILED or figures(found) == wanted
    assert [f.object for f in found.findings] == (["server s-1"] if ours == FAILED else [])


# --- values of images


@pytest.mark.parametrize(
    ("key", "both", "ours", "neither"),
    [
        ("architecture", ["x86_64", "aarch64", "risc-v"], ["s390x", "riscv64", "ppc64le"], ["amd64", "", "X86_64"]),
        ("hw_disk_bus", ["virtio", "scsi"], ["sata", "usb", "xen", "fdc"], ["nvme", ""]),
        ("hypervisor_type", ["qemu", "kvm", "xen", "hyper-v", "esxi"], ["hyperv", "ironic", "vmware", "zvm", ""], ["bhyve"]),
        ("hw_rng_model", ["virtio"], [""], ["other"]),
        ("os_purpose", ["generic", "oldgeneric", "minimal", "k8snode", "gpu", "network", "custom"], [], ["other", ""]),
        ("replace_frequency", ["daily", "weekly", "monthly", "quarterly", "yearly", "critical_bug", "never"], [], ["hourly", ""]),
        ("provided_until", ["none", "notice", "2027-02-28"], [], [""]),
        ("uuid_validity", ["none", "notice", "forever", "last-1", "last-20", "2027-02-28"], [], ["last-", "some", "2027-02-30"]),
        ("hash_algo", ["sha256", "sha512"], [], ["md5", ""]),
        ("image_source", ["private", "http://a", "https://a.example/b?c", "ftp://a/", "ftps://a/b"], [], ["public", "gopher://a"]),
        ("min_ram", [1, "512"], [], [0, "", None, "nan"]),
        ("hotfix_hours", ["0", "72", ""], ["0.5"], ["soon"]),
    ],
)  # fmt: skip
def test_which_values_of_a_property_we_accept_and_which_the_suite_does(
    key: str, both: list[Any], ours: list[Any], neither: list[Any]
) -> None:
    glance = "os_hash_algo" if key == "hash_algo" else key
    for values, told in ((both, (HELD, None)), (ours, (HELD, FAIL)), (neither, (FAILED, None))):
        for value in values:
            assert said(f"scs-0102-prop-{key}", with_image(**{glance: value})) == told, value


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("min_disk", 3), ("min_ram", 512), ("os_distro", None), ("os_purpose", "custom"), ("hw_disk_bus", "scsi"),
        ("image_build_date", "2026-11-20"), ("image_source", "private"), ("replace_frequency", "never"),
        ("provided_until", "none"), ("uuid_validity", "none"), ("os_version", None), ("architecture", None),
    ],
)  # fmt: skip
def test_what_is_proposed_where_a_property_is_absent(key: str, fix: Any) -> None:
    (finding,) = decided(f"scs-0102-prop-{key}", without(key)).findings
    assert finding.object == "image Ubuntu 24.04 (id-Ubuntu 24.04)" and finding.fix
    assert (finding.fix.action, finding.fix.target, finding.fix.name) == (
        "set-image",
        "id-Ubuntu 24.04",
        "Ubuntu 24.04",
    )
    assert finding.fix.values == ({key: fix} if key.startswith("min_") else {"properties": {key: fix}})


def test_of_images_all_are_judged_and_the_broken_are_counted() -> None:
    seen = changed("images", lambda images: [i.update(os_purpose="odd") for i in images[:2]])
    decision = decided("scs-0102-prop-os_purpose", seen)
    assert (decision.looked_at, figures(decision)) == (5, {"broken": 2, "of": 5})
    whole = decided("scs-0102-prop-os_purpose", good_items())
    assert (whole.looked_at, figures(whole)) == (5, {"count": 5})


def test_more_findings_than_were_looked_at_are_counted_without_a_share() -> None:
    decision = decided("scs-0115-egress", good_items() | {"default_security_group_rules": []})
    assert decision.outcome.value == FAILED and (decision.looked_at, figures(decision)) == (1, {"number": 4})


@pytest.mark.parametrize(
    ("change", "judged"),
    [({"visibility": "private"}, 0), ({"visibility": "community"}, 0), ({"status": "queued"}, 0), ({"status": "deactivated"}, 0),
     ({"status": ""}, 1), ({"os_hidden": True}, 1), ({}, 1)],
    ids=str,
)  # fmt: skip
def test_images_of_the_provider_are_public_and_usable(change: dict[str, Any], judged: int) -> None:
    assert (
        decided("scs-0102-prop-os_version", only("images", image("x", "private", os_version="1") | change)).looked_at
        == judged
    )


def test_days_and_times_are_read_in_their_form_only() -> None:
    assert parse_day("2026-02-28") == date(2026, 2, 28)
    assert [parse_day(text) for text in ("2026-02-30", "20260228", "2026-02-28 ", "2026-W09-6", "")] == [None] * 5
    at = datetime(2026, 2, 28, 7, 5, tzinfo=UTC)
    for text in ("2026-02-28 07:05", "2026-02-28T07:05:00Z", "2026-02-28T08:05:00+01:00"):
        assert parse_time(text) == at
    assert [parse_time(text) for text in ("", "soon", "1969-12-31", "9000-01-01")] == [None] * 4
    assert parse_time("1970-01-01") == datetime(1970, 1, 1, tzinfo=UTC) and parse_time("8999-12-31")


def test_numbers_are_finite_and_no_truth_values() -> None:
    told: Item = {"a": "1.5", "b": 0, "c": True, "d": "", "e": None, "f": "inf", "g": "x", "h": "1e999"}
    assert [number(told, key) for key in "abcdefgh"] == [1.5, 0, None, None, None, None, None, None]


# --- how fresh


def made(name: str, day: str, **more: Any) -> dict[str, Any]:
    return image(name, "https://x", created_at=f"{day}T00:00:00Z", image_build_date=day, **more)


def test_a_stale_image_is_told_with_its_day_its_period_and_the_day_it_was_due() -> None:
    decision = decided("scs-0102-image-recency", only("images", made("old", "2026-10-01", provided_until="2027-12-31")))
    (finding,) = decision.findings
    assert isinstance(finding.observed, Reason) and finding.observed.values == {"made": "2026-10-01"}
    assert isinstance(finding.required, Reason) and finding.required.values == {"often": "monthly", "by": "2026-11-04"}
    assert finding.fix and (finding.fix.action, finding.fix.target, finding.fix.values) == (
        "replace-image", "id-old", {"source": "https://x"},
    )  # fmt: skip
    assert decision.note != ""


def test_a_promise_that_nobody_made_is_not_shown_and_names_the_images() -> None:
    for change in ({"replace_frequency": "odd"}, {"created_at": "", "image_build_date": ""}):
        decision = decided(
            "scs-0102-image-recency", only("images", made("a", "2026-11-20"), made("b", "2026-11-20") | change)
        )
        assert (decision.outcome.value, decision.looked_at) == (NOT_SHOWN, 2)
        assert figures(decision) == {"names": ["b"]}


def test_of_two_images_of_one_name_and_architecture_the_older_is_hidden() -> None:
    images = [
        made("a", "2026-11-20", id="new"),
        made("a", "2026-11-19", id="old"),
        made("a", "2026-11-01", id="arm", architecture="aarch64"),
    ]
    decision = decided("scs-0102-image-recency", only("images", *images))
    (finding,) = decision.findings
    assert finding.fix and (finding.fix.action, finding.fix.target, finding.fix.name) == ("hide-image", "old", "a")
    assert isinstance(finding.observed, Reason) and finding.observed.values == {"number": 2, "name": "a"}


def test_of_generic_images_of_one_release_all_but_the_newest_are_named_beside_it() -> None:
    same = {"os_distro": "debian", "os_version": "13"}
    images = [made(name, day, **same) for name, day in (("b", "2026-11-20"), ("c", "2026-11-10"), ("a", "2026-11-15"))]
    seen = only("images", *images, made("arm", "2026-11-01", architecture="aarch64", **same))
    decision = decided("scs-0102-os_purpose-uniqueness", seen)
    assert said("scs-0102-os_purpose-uniqueness", seen) == (FAILED, None) and decision.looked_at == 4
    assert [f.object for f in decision.findings] == ["image c (id-c)", "image a (id-a)"]
    for finding in decision.findings:
        assert isinstance(finding.observed, Reason)
        assert finding.observed.values == {"image": "image b (id-b)", "what": "x86_64 debian 13"}
        assert finding.fix and finding.fix.values == {"properties": {"os_purpose": "oldgeneric"}}


# --- what the suite breaks off at, and what an absent section means


def test_the_suite_breaks_off_where_a_disk_has_no_size() -> None:
    free = [flavor("SCS-2V-8-", 2, 8192, 0)]
    assert said("scs-0100-semantics-check", only("flavors", *free)) == (HELD, ABORT)


@pytest.mark.parametrize("case", ["scs-0115-default-rules", "scs-0115-egress", "scs-0115-same-group"])
def test_without_the_interface_for_default_rules_they_do_not_apply(case: str) -> None:
    absent = inventory(None, default_security_group_rules=Status.ABSENT)
    assert said(case, absent) == (NOT_APPLICABLE, None) and figures(decided(case, absent)) == {}
    assert said(case, inventory(None, default_security_group_rules=Status.ERROR)) == (NOT_SHOWN, None)


@pytest.mark.parametrize(
    ("change", "ours", "suite", "of"),
    [
        ({"written_sha256": "ab", "restored_sha256": "cd"}, FAILED, PASS, "the restored volume of the test"),
        ({"written_sha256": ""}, NOT_SHOWN, PASS, ""), ({"restored_sha256": None}, NOT_SHOWN, PASS, ""),
        ({"volume": "error"}, FAILED, None, "the volume of the test"), ({"backup": "error"}, FAILED, None, "the backup of the test"),
        ({"restored": None}, FAILED, None, "the restored of the test"), ({}, HELD, None, ""),
    ],
    ids=str,
)  # fmt: skip
def test_a_backup_is_shown_by_the_bytes_that_were_restored(
    change: dict[str, Any], ours: str, suite: str | None, of: str
) -> None:
    seen = result("backup", **change)
    decision = decided("scs-0117-test-backup", seen)
    assert said("scs-0117-test-backup", seen) == (ours, suite) and decision.looked_at == 1
    assert [f.object for f in decision.findings] == ([of] if of else [])


@pytest.mark.parametrize(
    ("change", "ours", "suite", "steps"),
    [
        ({}, HELD, None, []), ({"create": 403}, FAILED, None, ["create"]), ({"create": None}, FAILED, None, ["create"]),
        ({"list": 500}, FAILED, ABORT, ["list"]), ({"listed": False}, FAILED, ABORT, ["list"]), ({"delete": 300}, FAILED, None, ["delete"]),
        ({"delete": 299}, HELD, None, []), ({"delete": 199}, FAILED, None, ["delete"]),
        ({"create": 403, "list": 403, "delete": 403}, FAILED, None, ["create", "list", "delete"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_member_creates_lists_and_deletes_a_secret(
    change: dict[str, Any], ours: str, suite: str | None, steps: list[str]
) -> None:
    seen = result("key-manager", **change)
    decision = decided("scs-0116-permissions", seen)
    assert said("scs-0116-permissions", seen) == (ours, suite)
    assert [f.object for f in decision.findings] == ["the key manager"] * len(steps)
    assert all(step in f.observed for step, f in zip(steps, decision.findings, strict=True))


def test_a_daily_image_has_a_day_and_three_of_grace() -> None:
    def at(hours: float) -> str:
        day = NOW - timedelta(hours=hours)
        one = image("x", "https://x", created_at=f"{day:%Y-%m-%dT%H:%M:%SZ}", replace_frequency="daily")
        return decided("scs-0102-image-recency", only("images", one)).outcome.value

    assert [at(4 * 24 - 0.01), at(4 * 24 + 0.01)] == [HELD, FAILED]


@pytest.mark.parametrize(
    ("names", "suite"),
    [
        (("debian", "debian"), None), (("debian 13 old", "debian 13"), PASS), (("debian 13  old", "debian 13"), PASS),
        (("debian 13-old", "debian 13"), None), (("debian 13 old", "debian"), None),
    ],
)  # fmt: skip
def test_the_suite_takes_a_fresh_image_for_the_newer_one_if_its_name_lacks_the_last_word(
    names: tuple[str, str], suite: str | None
) -> None:
    old, new = (
        made(name, day, id=day, provided_until="2027-12-31")
        for name, day in zip(names, ("2026-08-01", "2026-11-20"), strict=True)
    )
    ours = decided("scs-0102-image-recency", only("images", old, new))
    theirs = ours.reference.outcome if ours.reference else {HELD: PASS, FAILED: FAIL}[ours.outcome.value]
    assert theirs == (suite or FAIL)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("architecture", "s390x", "architecture"), ("hw_disk_bus", "sata", "disk-bus"), ("hypervisor_type", "vmware", "hypervisor"),
        ("hw_rng_model", "", "rng"), ("image_build_date", "2026-1-2", "build-date"), ("image_source", "http://", "source"),
        ("os_distro", " ", "any-text"), ("provided_until", " ", "any-text"), ("uuid_validity", "last-0", "validity"),
        ("hotfix_hours", "-1", "hours"), ("os_version", " ", "blank"), ("image_description", " ", "blank"),
        ("image_original_user", " ", "blank"), ("min_disk", 2.999, "min-disk"),
    ],
)  # fmt: skip
def test_where_the_suite_answers_otherwise_it_is_told_by_which_habit(key: str, value: Any, why: str) -> None:
    reference = decided(f"scs-0102-prop-{key}", with_image(**{key: value}, size=int(2.9 * 2**30))).reference
    assert reference and isinstance(reference.why, Reason) and reference.why.id == f"prove.suite.{why}"


@pytest.mark.parametrize(
    ("told", "proposed"), [("Red Hat", "red-hat"), (" Debian ", "debian"), ("", None), (" ", None)]
)
def test_a_distribution_is_proposed_as_it_was_meant(told: str, proposed: str | None) -> None:
    (finding,) = decided("scs-0102-prop-os_distro", with_image(os_distro=told)).findings
    assert finding.fix and finding.fix.values == {"properties": {"os_distro": proposed}}


# --- default rules


CUSTOM, DEFAULT = "used_in_non_default_sg", "used_in_default_sg"


def with_rule(**more: Any) -> Items:
    return changed("default_security_group_rules", lambda rules: rules.append(rule("x", "ingress", "IPv4", **more)))


@pytest.mark.parametrize(
    ("more", "what", "source"),
    [
        ({"remote_group_id": "g"}, None, "g"), ({"remote_address_group_id": "a", "protocol": "tcp"}, "tcp", "a"),
        ({"remote_ip_prefix": "10.0.0.0/8", "protocol": "udp"}, "udp", "10.0.0.0/8"), ({}, None, None),
        ({"remote_group_id": "PARENT"}, None, "PARENT"),
    ],
    ids=str,
)  # fmt: skip
def test_a_rule_that_lets_strangers_in_is_told_with_what_it_lets_in_and_from_where(
    more: dict[str, Any], what: str | None, source: str | None
) -> None:
    (finding,) = decided("scs-0115-default-rules", with_rule(**more)).findings
    assert isinstance(finding.observed, Reason) and finding.object == "default security group rule x"
    said_of = finding.observed.values
    assert said_of["what"] == (what or {"id": "prove.rule.everything", "values": {}})
    assert said_of["source"] == (source or {"id": "prove.rule.everywhere", "values": {}})
    assert said_of["groups"] == [{"id": f"prove.rule.{g}-groups", "values": {}} for g in ("default", "custom")]
    assert finding.fix and (finding.fix.action, finding.fix.target) == ("delete-default-rule", "x")


@pytest.mark.parametrize(
    ("more", "ours", "suite"),
    [
        ({"remote_group_id": "PARENT", CUSTOM: False}, HELD, None), ({"remote_group_id": "PARENT", DEFAULT: False}, FAILED, None),
        ({CUSTOM: False, DEFAULT: False}, HELD, FAIL), ({CUSTOM: False}, FAILED, None), ({DEFAULT: False}, FAILED, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_rule_counts_in_the_groups_in_which_it_is_used(more: dict[str, Any], ours: str, suite: str | None) -> None:
    assert said("scs-0115-default-rules", with_rule(**more)) == (ours, suite)


@pytest.mark.parametrize(
    ("more", "free"),
    [
        ({}, True), ({"protocol": "any"}, True), ({"protocol": "ANY"}, True), ({"protocol": "0"}, True), ({"protocol": "tcp"}, False),
        ({"remote_ip_prefix": "0.0.0.0/0"}, True), ({"remote_ip_prefix": "::/0"}, False), ({"remote_ip_prefix": "10.0.0.0/8"}, False),
        ({"remote_group_id": "PARENT"}, False), ({"remote_address_group_id": "a"}, False), ({"port_range_min": 80}, False),
        ({CUSTOM: False}, False), ({"ethertype": "IPv6"}, False), ({"direction": "ingress"}, False),
    ],
    ids=str,
)  # fmt: skip
def test_all_traffic_out_is_let_out_only_by_a_rule_without_any_bound(more: dict[str, Any], free: bool) -> None:
    def narrow(rules: list[dict[str, Any]]) -> None:
        next(r for r in rules if r["id"] == "out-4").update(more)

    decision = decided("scs-0115-egress", changed("default_security_group_rules", narrow))
    assert decision.outcome.value == (HELD if free else FAILED)
    if not free:
        fixes = [f.fix.values for f in decision.findings if f.fix]
        assert {"direction": "egress", "ethertype": "IPv4", CUSTOM: True} in fixes
        assert len(fixes) == (1 if more == {CUSTOM: False} else 2)
