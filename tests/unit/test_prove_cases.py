# SPDX-License-Identifier: Apache-2.0
"""What a run beside the reference suite taught: each case, and where the suite's verdict is another, what it says.

Its verdicts were seen in a run of its edition of August 2026 and read in its text. `None`: as ours.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
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
    with_flavor,
    with_image,
    without,
)

from unterbau.cloud.survey import Subject
from unterbau.prove.collect import _signed
from unterbau.prove.output import scs_report
from unterbau.prove.proof import Question, prove
from unterbau.prove.write import _suited
from unterbau.scs.flavor_name import explain, parse_any
from unterbau.tenant.kinds import Image

RECENCY = "scs-0102-image-recency"


def aged(days: float, frequency: str, until: str | None, **more: Any) -> Items:
    made = NOW - timedelta(days=days)
    change = {"replace_frequency": frequency, "created_at": f"{made:%Y-%m-%dT%H:%M:%SZ}", **more}
    change["image_build_date"] = f"{made:%Y-%m-%d %H:%M:%S}"
    return with_image(**change, provided_until=until) if until is not None else without("provided_until", **change)


# --- the verdict of the reference suite


@pytest.mark.parametrize(
    ("days", "frequency", "until", "ours", "suite"),
    [
        (200, "monthly", "none", HELD, None),  # nothing is promised
        (200, "monthly", "notice", FAILED, "PASS"),
        (200, "monthly", "2027-12-31", FAILED, None),
        (200, "monthly", "2026-11-01", HELD, None),  # nothing is promised any more
        (200, "monthly", "some day", FAILED, None),
        (200, "monthly", None, FAILED, "ABORT"),
        (1.10, "daily", "2027-12-31", HELD, None),
        (1.14, "daily", "2027-12-31", HELD, None),  # 27.4 of its 27.5 hours
        (1.16, "daily", "2027-12-31", HELD, "FAIL"),
        (7.9, "weekly", "2027-12-31", HELD, None),
        (8.01, "weekly", "2027-12-31", HELD, None),  # 192.2 of its 192.5 hours
        (8.03, "weekly", "2027-12-31", HELD, "FAIL"),
        (34.05, "monthly", "2027-12-31", FAILED, "PASS"),
        (34.2, "monthly", "2027-12-31", FAILED, None),
    ],
)
def test_recency(days: float, frequency: str, until: str | None, ours: str, suite: str | None) -> None:
    assert said(RECENCY, aged(days, frequency, until)) == (ours, suite)


def _luks(types: list[dict[str, Any]]) -> dict[str, Any]:
    return next(t for t in types if t["name"] == "luks")


def _image_property(key: str, value: Any) -> Items:
    return with_image(**{key: value})


@pytest.mark.parametrize(
    ("case", "key", "value", "ours", "suite"),
    [
        ("min_ram", "min_ram", 0, FAILED, None),
        ("min_disk", "min_disk", 0, FAILED, None),
        *(("image_build_date", "image_build_date", v, FAILED, "PASS") for v in
          ("2026-11-19T00:00:00Z", "2026-1-2", "2026-01-02 7:05")),
        ("image_build_date", "image_build_date", "19.11.2026", FAILED, None),
        ("image_build_date", "image_build_date", "2026-11-22", FAILED, None),  # after the registration
        *(("uuid_validity", "uuid_validity", v, FAILED, "PASS") for v in
          ("last-0", "2027-01-01 10:00", "2027-01-01T00:00:00Z")),
        ("uuid_validity", "uuid_validity", "", FAILED, None),
        ("uuid_validity", "uuid_validity", "last-3", HELD, None),
        *(("hotfix_hours", "hotfix_hours", v, HELD, "FAIL") for v in ("-1", "48.5", "1e3")),
        ("hotfix_hours", "hotfix_hours", "48", HELD, None),
        ("hotfix_hours", "hotfix_hours", "", HELD, None),
        ("image_source", "image_source", "http://", FAILED, "PASS"),
        ("image_source", "image_source", "https://a.example/b c", FAILED, "PASS"),
        ("image_source", "image_source", "file:///x", FAILED, None),
        *((key, key, " ", FAILED, "PASS") for key in
          ("os_distro", "os_version", "image_description", "image_original_user")),
        *((key, key, "", FAILED, None) for key in
          ("os_distro", "os_version", "image_description", "image_original_user")),
        ("hw_disk_bus", "hw_disk_bus", "", FAILED, None),
        ("hypervisor_type", "hypervisor_type", "", HELD, "FAIL"),
        ("hw_rng_model", "hw_rng_model", "", HELD, "FAIL"),
        ("hw_disk_bus", "hw_disk_bus", None, FAILED, "PASS"),
        ("hypervisor_type", "hypervisor_type", None, HELD, None),
        ("provided_until", "provided_until", " ", FAILED, "PASS"),
    ],
)  # fmt: skip
def test_image_properties(case: str, key: str, value: Any, ours: str, suite: str | None) -> None:
    assert said(f"scs-0102-prop-{case}", _image_property(key, value)) == (ours, suite)


def test_an_image_without_a_size_breaks_the_suite_off() -> None:
    queued = image("new", "private", status="queued", size=None, visibility="public")
    seen = changed("images", lambda images: images.append(queued))
    assert said("scs-0102-prop-min_disk", seen) == (HELD, "ABORT")


@pytest.mark.parametrize("type", ["compute", "identity", "image", "network", "load-balancer"])
def test_a_service_without_an_endpoint(type: str) -> None:
    def strip(catalog: list[dict[str, Any]]) -> None:
        next(s for s in catalog if s["type"] == type)["endpoints"] = []

    assert said(f"scs-0123-service-{type}", changed("catalog", strip)) == (FAILED, "PASS")


def test_a_key_manager_and_storage_without_an_endpoint() -> None:
    def strip(catalog: list[dict[str, Any]]) -> None:
        for service in catalog:
            if service["type"] in ("key-manager", "block-storage"):
                service["endpoints"] = []

    seen = changed("catalog", strip)
    assert said("scs-0116-presence", seen) == (FAILED, "PASS")
    assert said("scs-0123-storage-apis", seen) == (FAILED, "PASS")


def test_a_disk_type_where_there_is_no_disk() -> None:
    def say(flavors: list[dict[str, Any]]) -> None:
        next(f for f in flavors if f["name"] == "SCS-1V-4")["extra_specs"]["scs:disk0-type"] = "ssd"

    assert said("scs-0103-flavor-1v-4", changed("flavors", say)) == (FAILED, "PASS")


@pytest.mark.parametrize(
    ("sources", "ours", "suite"),
    [(["bad", "good"], FAILED, None), (["good", "bad"], FAILED, None), (["good", "good"], HELD, None)],
)
def test_of_capi_images_all_count(sources: list[str], ours: str, suite: str | None) -> None:
    good = "https://nbg1.your-objectstorage.com/osism/openstack-k8s-capi-images/ubuntu-2404-kube-v1.33.qcow2"
    more = [
        image(
            f"ubuntu-capi-image v1.3{n}",
            good if source == "good" else "https://elsewhere.example/",
            os_purpose="k8snode",
        )
        for n, source in enumerate(sources)
    ]
    seen = changed("images", lambda images: images.extend(more))
    assert said("scs-0104-source-capi-1", seen) == (ours, suite)


@pytest.mark.parametrize(
    ("description", "ours", "suite"),
    [
        ("[scs:]", FAILED, "PASS"),
        ("[scs:encrypted left open", FAILED, "PASS"),
        ("[scs:encrypted, ssd]", HELD, "FAIL"),
        ("[scs:replicated, encrypted]", FAILED, None),
        ("[scs:encrypted, encrypted]", FAILED, None),
        ("[scs:encrypted, replicated] three copies", HELD, None),
    ],
)
def test_what_volume_types_advertise(description: str, ours: str, suite: str | None) -> None:
    seen = changed("volume_types", lambda types: _luks(types).update(description=description))
    assert said("scs-0114-syntax-check", seen) == (ours, suite)


@pytest.mark.thorough
def test_an_aspect_of_ones_own_is_advice() -> None:
    seen = changed("volume_types", lambda types: _luks(types).update(description="[scs:encrypted, replicated, ssd]"))
    report = prove(inventory(seen), Question(version="v5.1", at=NOW)).report
    assert [v.outcome.value for v in report.versions] == ["held"]
    assert said("scs-0114-only-aspects", seen)[0] == FAILED


@pytest.mark.parametrize(
    ("name", "ours", "suite"),
    [
        ("SCS-0V-4", FAILED, None),
        ("SCS-4L-0", FAILED, None),
        ("SCS-4V-16_gN_ib", HELD, "FAIL"),
        ("SCS-4V-16_GNa_ib", HELD, "FAIL"),
        ("SCS-4V-16_GNa-14_ib", HELD, None),
        ("SCS-4V:16-chy", HELD, "FAIL"),
        ("SCS-4V-16_chy", HELD, None),
        ("SCS-4V:16-kvm", HELD, None),
        ("SCS-4T-.5", FAILED, "PASS"),
        ("SCS-3T:04", FAILED, "PASS"),
        ("SCS-2V-4.", FAILED, "PASS"),
        ("SCS-2V-4-3x", FAILED, "PASS"),
        ("SCS-2V-4-0", FAILED, None),
        ("SCS-2V-4-0x10", FAILED, None),
        ("SCS-2V-4.3", FAILED, None),
        ("SCS-2V-4_i9", FAILED, None),
        ("SCS-2V-4_q", FAILED, None),
    ],
)
def test_names_of_flavors(name: str, ours: str, suite: str | None) -> None:
    assert said("scs-0100-syntax-check", with_flavor(name, 64, 65536, 100)) == (ours, suite)


def test_an_egress_rule_to_a_group() -> None:
    def restrict(rules: list[dict[str, Any]]) -> None:
        rules[:] = [r for r in rules if r["direction"] != "egress"]
        rules += [rule(f"out-{e}", "egress", e, remote_group_id="PARENT") for e in ("IPv4", "IPv6")]

    seen = changed("default_security_group_rules", restrict)
    assert said("scs-0115-default-rules", seen) == (HELD, None)
    assert said("scs-0115-egress", seen)[0] == FAILED


def test_uniqueness_where_the_distribution_is_not_told() -> None:
    twins = [image(f"odd {n}", "private", os_distro="", os_version="") for n in range(2)]
    seen = changed("images", lambda images: images.extend(twins))
    assert said("scs-0102-os_purpose-uniqueness", seen) == (FAILED, "PASS")


# --- the region and the interface that are judged


def elsewhere(**endpoint: str) -> Items:
    """The good cloud, but compute and S3 stand at another place of the catalog."""
    items = good_items()
    for service in items["catalog"]:
        if service["type"] in ("compute", "object-store-s3", "object-store", "key-manager"):
            service["endpoints"] = [service["endpoints"][0] | endpoint]
    return items


@pytest.mark.parametrize("endpoint", [{"region": "other"}, {"interface": "internal"}], ids=["region", "interface"])
def test_a_service_of_another_region_or_interface_is_not_there(endpoint: dict[str, str]) -> None:
    seen = inventory(elsewhere(**endpoint))
    assert said("scs-0123-service-compute", seen) == (FAILED, "PASS")
    assert said("scs-0116-presence", seen) == (FAILED, "PASS")
    assert decided("scs-0123-swift-s3", seen).outcome.value == FAILED
    assert said("scs-0123-service-identity", seen) == (HELD, None)


def test_one_rule_for_region_and_interface() -> None:
    catalog: Any = [
        {"type": "image", "endpoints": [
            {"interface": "public", "region": "b", "url": "https://b"},
            {"interface": "internal", "region": "a", "url": "https://i"},
            {"interface": "public", "region_id": "a", "url": "https://a"},
            {"interface": "public", "region": "a", "url": ""},
            {"interface": "publicURL", "region": None, "url": "https://everywhere"},
            "no object",
        ]},
        {"type": "odd", "endpoints": None},
    ]  # fmt: skip
    ours = Subject(name="x", auth_url="https://k", region="a")
    assert list(ours.endpoints(catalog)) == [("image", "https://a"), ("image", "https://everywhere")]
    inside = ours.model_copy(update={"interface": "internal"})
    assert list(inside.endpoints(catalog)) == [("image", "https://i")]
    anywhere = ours.model_copy(update={"region": ""})
    assert [url for _, url in anywhere.endpoints(catalog)] == ["https://b", "https://a", "https://everywhere"]


# --- S3


def test_the_probe_of_s3_is_signed_today() -> None:
    at = datetime(2026, 11, 25, 22, 30, tzinfo=UTC)
    told = _signed("https://s3.example:8080/", at)
    assert told["X-Amz-Date"] == "20261125T223000Z"
    assert told["X-Amz-Content-Sha256"] == hashlib.sha256(b"").hexdigest()
    form = r"AWS4-HMAC-SHA256 Credential=(\w+)/20261125/us-east-1/s3/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}"
    match = re.fullmatch(form, told["Authorization"])
    assert match and match.group(2) == "host;x-amz-content-sha256;x-amz-date"
    assert _signed("https://s3.example:8080/", at) == told
    assert _signed("https://other.example/", at)["Authorization"] != told["Authorization"]


# --- images that were rotated out


@pytest.mark.parametrize(
    ("name", "more", "ours"),
    [
        ("Debian 13 (20260801-1234)", {}, HELD),
        ("Debian 13 20260801", {}, HELD),
        ("Debian 13 prev", {}, HELD),
        ("20260801 Debian 13", {}, HELD),
        ("gone away", {"os_distro": "debian", "os_version": "13"}, HELD),
        ("gone away", {"os_distro": "debian", "os_version": "13", "os_purpose": "oldgeneric"}, HELD),
        ("Debian 13 EFI", {}, FAILED),
        ("Debian 13 minimal", {"os_distro": "debian", "os_version": "13", "os_purpose": "minimal"}, FAILED),
        ("Debian 13 20260801", {"os_distro": "debian", "os_version": "9"}, FAILED),
        ("Debian 13 20260801", {"os_distro": "debian", "os_version": "13", "architecture": "aarch64"}, FAILED),
    ],
)
def test_a_renamed_image_is_rotated_whatever_the_form_of_its_name(name: str, more: dict[str, Any], ours: str) -> None:
    old = image(
        name, "https://cloud.debian.org/", id="old", created_at="2026-08-01T00:00:00Z", image_build_date="2026-08-01"
    )
    seen = changed("images", lambda images: images.append(old | more))
    assert decided(RECENCY, seen).outcome.value == ours


# --- properties, private things, names


@pytest.mark.parametrize(
    ("value", "ours"), [("Debian", FAILED), ("debian", HELD), ("opensuse", HELD), ("Red Hat", FAILED)]
)
def test_a_distribution_is_written_in_lower_case(value: str, ours: str) -> None:
    assert said("scs-0102-prop-os_distro", with_image(os_distro=value))[0] == ours


def _private(items: Items, roles: tuple[str, ...]) -> Any:
    seen = inventory(items)
    return seen.model_copy(update={"subject": seen.subject.model_copy(update={"roles": roles})})


def test_what_a_tenant_sees_decides() -> None:
    items = changed(
        "flavors",
        lambda flavors: next(f for f in flavors if f["name"] == "SCS-2V-8").update(
            {"os-flavor-access:is_public": False}
        ),
    )
    items["flavors"].append(flavor("SCS-8V-1", 1, 1, 0) | {"os-flavor-access:is_public": False})
    _luks(items["volume_types"])["is_public"] = False
    admin, tenant = _private(items, ("admin", "member", "reader")), _private(items, ("member", "reader"))
    assert decided("scs-0103-flavor-2v-8", admin).outcome.value == FAILED
    assert decided("scs-0103-flavor-2v-8", tenant).outcome.value == HELD
    assert decided("scs-0100-semantics-check", admin).outcome.value == HELD
    assert decided("scs-0100-semantics-check", tenant).outcome.value == FAILED
    assert decided("scs-0114-encrypted-type", admin).outcome.value == FAILED
    assert decided("scs-0114-encrypted-type", tenant).outcome.value == HELD


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SCS-16V-64_GNu-148-288h_ib", "Blackwell Ultra"),
        ("SCS-2V-4_i5", "Sierra Forest"),
        ("SCS-2V-4_i6", "Granite Rapids"),
        ("SCS-2V-4_z5", "Zen 5 (Turin)"),
        ("SCS-2V-4_z6", "Zen 6 (Venice)"),
        ("SCS-2V-4_a4", "AmpereOne"),
        ("SCS-2V-4_a5", "Neoverse N3"),
        ("SCS-2V-4_GA3.5", "RDNA 3.5"),
        ("SCS-2V-4_GA4", "CDNA 4"),
        ("SCS-2V-4_gI3", "Arc"),
    ],
)
def test_generations_have_the_names_of_the_standard(name: str, words: str) -> None:
    assert words in explain(parse_any(name))


def test_the_newest_release_is_taken_for_the_test_server() -> None:
    def offered(name: str, distro: str, version: str) -> Image:
        return Image(id=name, name=name, status="active", visibility="public",
                     properties={"os_distro": distro, "os_version": version, "os_purpose": "generic"})  # fmt: skip

    images = [
        offered("Debian 9", "debian", "9"),
        offered("Debian 11", "debian", "11"),
        offered("Debian 13", "debian", "13"),
    ]
    ubuntu = [offered("Ubuntu 20.04", "ubuntu", "20.04"), offered("Ubuntu 24.04", "ubuntu", "24.04")]
    assert _suited(images + ubuntu).name == "Debian 13"
    assert _suited(ubuntu).name == "Ubuntu 24.04"


# --- encryption that is advertised


def _told(**more: Any) -> Items:
    return changed("write_results", lambda results: results[4].update(more))


def test_a_volume_tells_whether_its_type_encrypts() -> None:
    assert said("scs-0114-encrypts", good_items()) == (HELD, None)
    assert said("scs-0114-encrypts", _told(encrypted=False)) == (FAILED, None)
    assert said("scs-0114-encrypts", _told(encrypted=None, error="over quota")) == (NOT_SHOWN, None)
    assert said("scs-0114-encrypts", _told(type="another")) == (NOT_SHOWN, None)
    plain = changed("volume_types", lambda types: [t.update(description="") for t in types])
    assert said("scs-0114-encrypts", plain) == (NOT_APPLICABLE, None)


# --- the report for the monitor


def test_the_report_names_the_monitors_list_of_the_scope() -> None:
    told = scs_report(prove(inventory(), Question(at=NOW)))["spec"]["url"]
    assert told == "https://raw.githubusercontent.com/SovereignCloudStack/standards/main/Tests/scs-compatible-iaas.yaml"
