# SPDX-License-Identifier: Apache-2.0
"""The 27 defects of the reference suite, each with the verdict that the text demands, and its own beside ours.

Rows 16 to 19 are about Kubernetes: there we claim nothing, and a test says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prove_world import NOW, flavor, good_items, image, inventory, rule

from unterbau.errors import UsageError
from unterbau.prove.data import load
from unterbau.prove.evaluate import judge
from unterbau.prove.inventory import Inventory, Status
from unterbau.prove.judges import decide
from unterbau.prove.judges.frame import Decision, View
from unterbau.scs.flavor_name import is_valid

Items = dict[str, list[dict[str, Any]]]
HELD, FAILED, NOT_SHOWN, NOT_APPLICABLE = "held", "failed", "not shown", "not applicable"


def decided(case: str, seen: Inventory | Items, at: datetime = NOW) -> Decision:
    if isinstance(seen, dict):
        seen = inventory(seen)
    return decide(View(inventory=seen, at=at, case=load().case(case), data=load()))


def said(case: str, seen: Inventory | Items) -> tuple[str, str | None]:
    """Our outcome, and the reference suite's where it differs."""
    decision = decided(case, seen)
    return decision.outcome.value, decision.reference.outcome if decision.reference else None


def changed(section: str, change: Callable[[list[dict[str, Any]]], object]) -> Items:
    items = good_items()
    change(items[section])
    return items


def with_flavor(*args: Any) -> Items:
    return changed("flavors", lambda flavors: flavors.append(flavor(*args)))


def with_image(**change: Any) -> Items:
    return changed("images", lambda images: images[0].update(change))


def without(key: str, **change: Any) -> Items:
    items = with_image(**change)
    del items["images"][0][key]
    return items


def test_1_a_disk_whose_size_the_cloud_picks_is_valid() -> None:
    seen = with_flavor("SCS-2C-4-n", 2, 4096, 0)
    assert said("scs-0100-syntax-check", seen) == (HELD, None)
    assert said("scs-0100-semantics-check", seen) == (HELD, "ABORT")


def test_2_a_gpu_without_units_before_infiniband_is_valid() -> None:
    assert said("scs-0100-syntax-check", with_flavor("SCS-16V-64_GNa_ib", 16, 65536, 0)) == (HELD, "FAIL")


@pytest.mark.parametrize(
    "name", ["SCS-2V-4.", "SCS-2V-04", "SCS-002V-4", "SCS-2V-4-x20", "SCS-2V-4-3x", "SCS-16V-64_GNah-14"]
)
def test_3_names_that_are_not_in_the_grammar_are_refused(name: str) -> None:
    assert not is_valid(name)
    assert said("scs-0100-syntax-check", with_flavor(name, 16, 65536, 100)) == (FAILED, "PASS")


def test_4_ram_is_at_least_what_the_name_says() -> None:
    assert said("scs-0100-semantics-check", with_flavor("SCS-1L-1-5", 1, 974, 5)) == (FAILED, "PASS")


@pytest.mark.parametrize(
    "offer",
    [
        with_flavor("SCS-4V-16-3x100s", 4, 16384, 100),
        with_flavor("SCS-4C-16", 4, 16384, 0, {"scs:cpu-type": "shared-core"}),
        with_flavor("SCS-4T-16", 4, 16384, 0, {"hw:cpu_policy": "shared"}),
        with_flavor("SCS-4V-16-50s", 4, 16384, 50, {"scs:disk0-type": "hdd"}),
    ],
    ids=["one disk of three", "shared core", "shared thread", "hard disk"],
)
def test_5_overstating_is_found_where_the_cloud_tells(offer: Items) -> None:
    assert said("scs-0100-semantics-check", offer) == (FAILED, "PASS")


def test_5_three_disks_may_be_given_as_spare_space() -> None:
    seen = with_flavor("SCS-4V-16-3x100s", 4, 16384, 100)
    seen["flavors"][-1]["OS-FLV-EXT-DATA:ephemeral"] = 200
    decision = decided("scs-0100-semantics-check", seen)
    assert decision.outcome.value == HELD and "SCS-4V-16-3x100s" in decision.note


@pytest.mark.parametrize("kind", ["ssd", "nvme", "hdd"])
def test_6_a_recommended_flavor_may_have_any_kind_of_disk(kind: str) -> None:
    def set_kind(flavors: list[dict[str, Any]]) -> None:
        wanted = next(f for f in flavors if f["name"] == "SCS-1V-4-10")
        wanted["extra_specs"]["scs:disk0-type"] = kind

    assert said("scs-0103-flavor-1v-4-10", changed("flavors", set_kind)) == (HELD, "FAIL")


def test_7_an_ssd_flavor_may_be_nvme_and_say_so() -> None:
    def set_kind(flavors: list[dict[str, Any]]) -> None:
        next(f for f in flavors if f["name"] == "SCS-2V-4-20s")["extra_specs"]["scs:disk0-type"] = "nvme"

    seen = changed("flavors", set_kind)
    assert said("scs-0103-flavor-2v-4-20s", seen) == (HELD, "FAIL")
    assert said("scs-0100-semantics-check", seen) == (HELD, None)


@pytest.mark.parametrize(
    ("case", "seen"),
    [
        ("scs-0102-prop-hw_disk_bus", without("hw_disk_bus")),
        ("scs-0102-prop-uuid_validity", without("uuid_validity")),
        ("scs-0102-prop-provided_until", with_image(provided_until="garbage")),
    ],
)
def test_8_mandatory_properties_are_there_and_in_their_format(case: str, seen: Items) -> None:
    assert said(case, seen) == (FAILED, "PASS")


def test_9_an_outdated_image_without_provided_until_is_outdated() -> None:
    old = {"created_at": "2026-01-01T00:00:00Z", "image_build_date": "2026-01-01"}
    assert said("scs-0102-image-recency", without("provided_until", **old)) == (FAILED, "ABORT")


@pytest.mark.parametrize(("key", "value"), [("architecture", "ppc64le"), ("hw_disk_bus", "sata")])
def test_10_values_of_openstack_are_allowed(key: str, value: str) -> None:
    assert said(f"scs-0102-prop-{key}", with_image(**{key: value})) == (HELD, "FAIL")


def test_11_a_cloud_without_images_or_volume_types_has_shown_nothing() -> None:
    seen = good_items() | {"images": [], "volume_types": []}
    for case in load().cases:
        if case.id.startswith("scs-0102-") or case.id == "scs-0114-syntax-check":
            assert said(case.id, seen) == (NOT_SHOWN, "PASS"), case.id


def test_12_a_name_that_only_begins_like_a_cluster_api_image_is_none() -> None:
    broken = "ubuntu-capi-image-v1.30-broken"
    seen = changed("images", lambda images: images[-1].update(name=broken))
    assert said("scs-0104-image-capi-2", seen) == (FAILED, "PASS")
    assert said("scs-0104-source-capi-2", seen) == (NOT_APPLICABLE, "PASS")


def test_12_every_image_of_a_name_is_judged_not_the_last() -> None:
    def add(images: list[dict[str, Any]]) -> None:
        images.insert(0, image("Ubuntu 24.04", "https://mirror.example/u.img", id="other"))

    assert said("scs-0104-source-ubuntu-2404", changed("images", add)) == (FAILED, "PASS")


@pytest.mark.parametrize("gone", [("out-4", "out-6"), ("out-6",)], ids=["none", "IPv4 only"])
def test_13_missing_egress_rules_are_advice(gone: tuple[str, ...]) -> None:
    seen = good_items()
    seen["default_security_group_rules"] = [r for r in seen["default_security_group_rules"] if r["id"] not in gone]
    assert said("scs-0115-default-rules", seen) == (HELD, "FAIL")
    assert said("scs-0115-egress", seen) == (FAILED, None)
    assert not load().case("scs-0115-egress").must


def test_14_every_address_written_out_is_no_restriction() -> None:
    seen = good_items()
    seen["default_security_group_rules"][0]["remote_ip_prefix"] = "0.0.0.0/0"
    seen["default_security_group_rules"][1]["remote_ip_prefix"] = "::/0"
    assert said("scs-0115-default-rules", seen) == (HELD, "FAIL")
    assert said("scs-0115-egress", seen) == (HELD, None)


def test_15_egress_to_one_port_is_not_egress() -> None:
    seen = good_items()
    for each in seen["default_security_group_rules"][:2]:
        each.update(protocol="tcp", port_range_min=22, port_range_max=22)
    assert said("scs-0115-default-rules", seen) == (HELD, None)
    assert said("scs-0115-egress", seen)[0] == FAILED


@pytest.mark.parametrize("row", [16, 17, 18, 19])
def test_16_to_19_kubernetes_is_not_judged_and_nothing_is_claimed(row: int) -> None:
    kaas = load().scope("scs-compatible-kaas")
    assert not kaas.judged and kaas.uuid == "1fffebe6-fd4b-44d3-a36c-fc58b4bb0180"
    with pytest.raises(UsageError, match="not judged"):
        judge(inventory(), kaas.id, at=NOW)
    of_kubernetes = {s.id for s in load().standards if s.track == "KaaS"}
    assert not [case for case in load().cases if case.standard in of_kubernetes]


def test_20_a_service_that_never_answers_leaves_the_others_alone() -> None:
    report = judge(inventory(good_items(), images=Status.TIMEOUT), version="v5.1", at=NOW)
    touched = {case.case for case in report.cases if case.outcome.value == NOT_SHOWN and not case.manual}
    assert touched == {case.case for case in report.cases if "images" in case.sections}
    assert all("timeout" in case.reason for case in report.cases if case.case in touched)


def test_21_a_draft_that_fails_does_not_touch_the_version_in_force() -> None:
    seen = changed("catalog", lambda c: c.remove(next(s for s in c if s["type"] == "object-store-s3")))
    report = judge(inventory(seen), version="all", at=NOW)
    assert {v.version: v.outcome.value for v in report.versions} == {"v5.1": HELD, "next": FAILED, "v6": FAILED}
    assert [v.version for v in judge(inventory(seen), at=NOW).versions] == ["v5.1"]


@pytest.mark.parametrize("case", ["scs-0101-flavor-property", "scs-0101-image-property", "scs-0101-rngd"])
def test_22_retired_cases_do_not_apply(case: str) -> None:
    assert said(case, good_items()) == (NOT_APPLICABLE, "ABORT")


@pytest.mark.parametrize(
    ("frequency", "days", "ours", "theirs"),
    [
        ("daily", 3.5, HELD, None),
        ("daily", 4.5, FAILED, "PASS"),
        ("weekly", 9.5, HELD, None),
        ("weekly", 10.5, FAILED, "PASS"),
        ("monthly", 33.5, HELD, None),
        ("monthly", 34.05, FAILED, "PASS"),
        ("quarterly", 100, FAILED, "PASS"),
        ("yearly", 395, FAILED, "PASS"),
        ("never", 2000, HELD, None),
        ("critical_bug", 2000, HELD, None),
    ],
)
def test_23_an_image_is_due_after_its_period_and_three_days(
    frequency: str, days: float, ours: str, theirs: str | None
) -> None:
    made = NOW - timedelta(days=days)
    seen = with_image(
        replace_frequency=frequency, created_at=made.isoformat(), image_build_date=f"{made:%Y-%m-%d %H:%M:%S}"
    )
    assert said("scs-0102-image-recency", seen) == (ours, theirs)


def test_24_a_secret_that_is_not_listed_is_a_failure() -> None:
    seen = changed("write_results", lambda results: results[2].update(listed=False))
    assert said("scs-0116-permissions", seen) == (FAILED, "ABORT")


def test_25_a_missing_or_broken_off_result_is_never_held() -> None:
    results = [{"test": "entropy", "error": "the console stayed empty"}]
    report = judge(inventory(good_items() | {"write_results": results}), version="v5.1", at=NOW)
    assert [v.outcome.value for v in report.versions] == [NOT_SHOWN]
    open_ones = {c.case for c in report.cases if c.outcome.value == NOT_SHOWN and not c.manual}
    assert open_ones == {c.id for c in load().cases if c.writes}


def test_26_s3_is_mandatory_even_without_swift_and_placement_is_not() -> None:
    bare = changed("catalog", lambda c: c.__setitem__(slice(None), [s for s in c if "object" not in s["type"]]))
    assert said("scs-0123-swift-s3", bare) == (FAILED, "PASS")
    seen = changed("catalog", lambda c: c.remove(next(s for s in c if s["type"] == "placement")))
    assert said("scs-0123-service-placement", seen) == (NOT_APPLICABLE, "FAIL")
    assert [v.outcome.value for v in judge(inventory(seen), version="v5.1", at=NOW).versions] == [HELD]


def test_27_a_tenants_community_image_is_not_the_operators() -> None:
    own = {"id": "mine", "name": "snapshot", "visibility": "community", "status": "active", "min_disk": 0, "min_ram": 0}
    seen = changed("images", lambda images: images.append(own))
    for name in ("architecture", "os_version", "replace_frequency"):
        assert said(f"scs-0102-prop-{name}", seen) == (HELD, "FAIL")
    assert said("scs-0102-image-recency", seen) == (HELD, None)


# -- more readings of the text


def test_a_replaced_image_is_hidden_or_carries_its_date() -> None:
    def older(**more: Any) -> Items:
        old = image(
            "Ubuntu 24.04 20260801", "https://cloud-images.ubuntu.com/noble/", id="old", os_purpose="oldgeneric"
        )
        old |= {"created_at": "2026-08-01T00:00:00Z", "image_build_date": "2026-08-01", **more}
        return changed("images", lambda images: images.append(old))

    assert said("scs-0102-image-recency", older())[0] == HELD
    assert said("scs-0102-image-recency", older(name="Ubuntu 24.04", os_hidden=True))[0] == HELD
    assert said("scs-0102-image-recency", older(name="Ubuntu old"))[0] == FAILED
    what = {"os_distro": "ubuntu", "os_version": "24.04"}
    assert said("scs-0102-image-recency", older(name="Ubuntu old", **what))[0] == HELD


def test_after_provided_until_nothing_is_owed() -> None:
    old = {"created_at": "2026-01-01T00:00:00Z", "image_build_date": "2026-01-01"}
    assert said("scs-0102-image-recency", with_image(**old, provided_until="2026-11-01")) == (HELD, None)
    assert said("scs-0102-image-recency", with_image(**old, provided_until="2027-11-01")) == (FAILED, None)


def test_without_extra_specs_a_flavor_is_not_shown() -> None:
    seen = good_items()
    for each in seen["flavors"]:
        del each["extra_specs"]
    assert said("scs-0103-flavor-1v-4", seen)[0] == NOT_SHOWN
    assert said("scs-0103-extra-specs", seen)[0] == NOT_SHOWN
    assert said("scs-0100-syntax-check", seen) == (HELD, None)


def test_a_flavor_is_found_by_its_property_whatever_its_name() -> None:
    seen = changed(
        "flavors", lambda flavors: next(f for f in flavors if f["name"] == "SCS-2V-8").update(name="m1.large")
    )
    assert said("scs-0103-flavor-2v-8", seen) == (HELD, None)


def test_names_in_the_spelling_of_v1_are_tolerated_with_a_note() -> None:
    decision = decided("scs-0100-syntax-check", with_flavor("SCS-4V:16:100s", 4, 16384, 100))
    assert decision.outcome.value == HELD and "SCS-4V:16:100s" in decision.note


def test_an_older_neutron_has_no_default_rules_to_judge() -> None:
    seen = inventory(good_items(), default_security_group_rules=Status.ABSENT)
    assert decided("scs-0115-default-rules", seen).outcome.value == NOT_APPLICABLE
    hung = inventory(good_items(), default_security_group_rules=Status.TIMEOUT)
    assert decided("scs-0115-default-rules", hung).outcome.value == NOT_SHOWN


def test_a_rule_that_no_group_uses_lets_nobody_in() -> None:
    idle = rule("idle", "ingress", "IPv4", used_in_default_sg=False, used_in_non_default_sg=False)
    seen = changed("default_security_group_rules", lambda rules: rules.append(idle))
    assert said("scs-0115-default-rules", seen)[0] == HELD


def test_a_restore_that_nobody_compared_is_not_shown() -> None:
    seen = changed("write_results", lambda results: results[3].update(restored_sha256=None))
    assert said("scs-0117-test-backup", seen) == (NOT_SHOWN, "PASS")
    lying = changed("write_results", lambda results: results[3].update(restored_sha256="00"))
    assert said("scs-0117-test-backup", lying) == (FAILED, "PASS")


@pytest.mark.parametrize(("failures", "ours", "theirs"), [(3, HELD, None), (4, FAILED, "PASS"), (6, FAILED, None)])
def test_at_most_three_blocks_fail(failures: int, ours: str, theirs: str | None) -> None:
    seen = changed("write_results", lambda results: results[1].update(failures=failures))
    assert said("scs-0101-fips-test", seen) == (ours, theirs)


def test_an_old_kernel_is_promised_nothing() -> None:
    seen = changed("write_results", lambda results: results[0].update(entropy_avail=3000, kernel="5.4.0-1"))
    assert said("scs-0101-entropy-avail", seen) == (NOT_SHOWN, "FAIL")


def test_without_a_key_manager_its_permissions_do_not_apply() -> None:
    seen = changed("catalog", lambda c: c.remove(next(s for s in c if s["type"] == "key-manager")))
    assert said("scs-0116-permissions", seen) == (NOT_APPLICABLE, "PASS")


def test_the_date_of_the_report_does_not_age_the_images() -> None:
    later = datetime(2027, 6, 1, tzinfo=UTC)
    assert decided("scs-0102-image-recency", inventory(), later).outcome.value == HELD
