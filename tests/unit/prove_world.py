# SPDX-License-Identifier: Apache-2.0
"""A cloud that keeps every rule, as an inventory, and a table of mutations that each break one.

Unit tests apply the mutations to the inventory; the table is data, so that an end-to-end test can make the same
change on a real cloud (`real`: a tenant's or an operator's API can do it) and look again.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from unterbau.prove.data import load
from unterbau.prove.inventory import Inventory, Request, Section, Status, Subject
from unterbau.prove.judges.scs_0103 import figures, properties

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SERVICES = [
    "block-storage",
    "compute",
    "identity",
    "image",
    "key-manager",
    "load-balancer",
    "network",
    "object-store",
    "object-store-s3",
    "placement",
]


def flavor(name: str, vcpus: int, ram: int, disk: int, extra_specs: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "id": f"id-{name}",
        "name": name,
        "vcpus": vcpus,
        "ram": ram,
        "disk": disk,
        "swap": 0,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "os-flavor-access:is_public": True,
        "extra_specs": dict(extra_specs or {}),
    }


def image(name: str, source: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"id-{name}",
        "name": name,
        "status": "active",
        "visibility": "public",
        "os_hidden": False,
        "owner": "operator",
        "created_at": "2026-11-20T08:00:00Z",
        "size": 3 * 2**30,
        "min_disk": 8,
        "min_ram": 512,
        "os_hash_algo": "sha512",
        "tags": [],
        "architecture": "x86_64",
        "os_purpose": "generic",
        "hw_disk_bus": "scsi",
        "hypervisor_type": "qemu",
        "hw_rng_model": "virtio",
        "image_build_date": "2026-11-19",
        "image_original_user": "ubuntu",
        "image_source": source,
        "image_description": "https://example.org/images",
        "replace_frequency": "monthly",
        "provided_until": "notice",
        "uuid_validity": "last-3",
        "hotfix_hours": "0",
    } | more


def rule(id: str, direction: str, ethertype: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "direction": direction,
        "ethertype": ethertype,
        "protocol": None,
        "port_range_min": None,
        "port_range_max": None,
        "remote_ip_prefix": None,
        "remote_group_id": None,
        "remote_address_group_id": None,
        "used_in_default_sg": True,
        "used_in_non_default_sg": True,
    } | more


def good_items() -> dict[str, list[dict[str, Any]]]:
    """The sections of a cloud that keeps every rule of v5.1, next and v6, and every recommendation."""
    flavors = [flavor(f.name, 0, 0, 0) | figures(f) | {"extra_specs": properties(f)} for f in load().flavors]
    capi = load().images_v2
    return {
        "catalog": [
            {"type": t, "name": t, "endpoints": [{"interface": "public", "region": "r", "url": f"https://{t}.example"}]}
            for t in SERVICES
        ],
        "flavors": [*flavors, flavor("m1.tiny", 1, 512, 1)],
        "images": [
            image(
                "Ubuntu 24.04",
                "https://cloud-images.ubuntu.com/noble/20261119/noble.img",
                os_distro="ubuntu",
                os_version="24.04",
            ),
            image(
                "Ubuntu 26.04",
                "https://cloud-images.ubuntu.com/resolute/20261119/r.img",
                os_distro="ubuntu",
                os_version="26.04",
            ),
            image(
                "Debian 13",
                "https://cloud.debian.org/images/cloud/trixie/l/d.qcow2",
                os_distro="debian",
                os_version="13",
            ),
            image(
                "Debian 12",
                "https://cloud.debian.org/images/cloud/bookworm/l/d.qcow2",
                os_distro="debian",
                os_version="12",
            ),
            image(
                "ubuntu-capi-image-v1.34",
                capi.capi_sources[0] + "ubuntu-2404-kube-v1.34.qcow2",
                os_distro="ubuntu",
                os_version="24.04",
                os_purpose="k8snode",
                image_description=capi.capi_description,
                replace_frequency="never",
            ),
        ],
        "volume_types": [
            {"id": "vt-1", "name": "__DEFAULT__", "description": "Default Volume Type", "is_public": True},
            {
                "id": "vt-2",
                "name": "luks",
                "description": "[scs:encrypted, replicated] LUKS on Ceph",
                "is_public": True,
            },
        ],
        "default_security_group_rules": [
            rule("out-4", "egress", "IPv4"),
            rule("out-6", "egress", "IPv6"),
            rule("in-4", "ingress", "IPv4", remote_group_id="PARENT", used_in_non_default_sg=False),
            rule("in-6", "ingress", "IPv6", remote_group_id="PARENT", used_in_non_default_sg=False),
        ],
        "extensions": [{"alias": "security-groups-default-rules", "name": "Default rules"}],
        "compute_zones": [{"zoneName": "nova", "zoneState": {"available": True}}],
        "volume_zones": [{"zoneName": "nova", "zoneState": {"available": True}}],
        "s3_probe": [
            {
                "service": "object-store",
                "url": "https://s3.example",
                "status": 403,
                "code": "InvalidAccessKeyId",
                "server": "",
            }
        ],
        "write_results": [
            {"test": "entropy", "entropy_avail": 256, "kernel": "6.8.0-31", "server": "s-1"},
            {"test": "fips", "blocks": 1000, "failures": 1, "server": "s-1"},
            {"test": "key-manager", "create": 201, "list": 200, "listed": True, "delete": 204},
            {
                "test": "backup",
                "volume": "available",
                "backup": "available",
                "restored": "available",
                "written_sha256": "ab" * 32,
                "restored_sha256": "ab" * 32,
                "deleted": True,
            },
            {"test": "encryption", "type": "luks", "encrypted": True},
        ],
    }


def inventory(items: dict[str, list[dict[str, Any]]] | None = None, **states: Status) -> Inventory:
    """An inventory of these sections; `states` names sections that were not seen. Without items: the good cloud."""
    items = good_items() if items is None else items
    requests = [
        Request(id=f"r{n}", service=name, method="GET", path=f"/{name}", status=200, began=NOW, seconds=0.01)
        for n, name in enumerate(items, 1)
    ]
    sections = {
        name: Section(status=Status.SEEN, requests=(request.id,), items=tuple(items[name]))
        for name, request in zip(items, requests, strict=True)
    }
    for name, status in states.items():
        sections[name] = Section(status=status, reason=f"{name} is {status.value}")
    return Inventory(
        subject=Subject(name="good", auth_url="https://keystone.example/v3", region="r", project_id="p"),
        collected_at=NOW,
        tool="test",
        requests=tuple(requests),
        sections=sections,
    )


@dataclass(frozen=True)
class Mutation:
    """One change to one object, and every test case that must fail by it (of v5.1, next and v6, advice included)."""

    name: str
    section: str
    target: str
    """Name of the object (the type of a service, the id of a default rule, the test of a write result)."""
    fails: frozenset[str]
    set: dict[str, Any] = field(default_factory=dict)
    """Keys to set; `extra_specs.KEY` reaches into the extra specs."""
    unset: tuple[str, ...] = ()
    remove: bool = False
    add: dict[str, Any] | None = None
    """A new object, beside the target."""
    real: bool = True

    def apply(self, items: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        """The mutated sections."""
        items = copy.deepcopy(items)
        section = items[self.section]
        if self.add is not None:
            section.append(self.add)
            return items
        key = {"catalog": "type", "default_security_group_rules": "id", "write_results": "test", "s3_probe": "service"}
        found = [item for item in section if item[key.get(self.section, "name")] == self.target]
        assert len(found) == 1, f"{self.name}: {len(found)} objects are called {self.target}"
        if self.remove:
            section.remove(found[0])
        for path, value in self.set.items():
            where, last = _reach(found[0], path)
            where[last] = value
        for path in self.unset:
            where, last = _reach(found[0], path)
            del where[last]
        return items


def _reach(item: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    head, _, last = path.partition("extra_specs.")
    return (item["extra_specs"], last) if last else (item, head)


def _m(name: str, section: str, target: str, fails: str, **how: Any) -> Mutation:
    return Mutation(name=name, section=section, target=target, fails=frozenset(fails.split()), **how)


_U = "Ubuntu 24.04"
_P = "scs-0102-prop-"
MUTATIONS: tuple[Mutation, ...] = (
    # flavors
    _m("a mandatory flavor is gone", "flavors", "SCS-1V-4", "scs-0103-flavor-1v-4", remove=True),
    _m("a recommended flavor is gone", "flavors", "SCS-16V-128", "scs-0103-flavor-16v-128", remove=True),
    _m(
        "a flavor has too few CPUs",
        "flavors",
        "SCS-2V-4",
        "scs-0103-flavor-2v-4 scs-0100-semantics-check scs-0103-extra-specs",
        set={"vcpus": 1},
    ),
    _m(
        "a flavor has too little RAM",
        "flavors",
        "SCS-1L-1",
        "scs-0103-flavor-1l-1 scs-0100-semantics-check scs-0103-extra-specs",
        set={"ram": 1000},
    ),
    _m(
        "a flavor has too small a disk",
        "flavors",
        "SCS-2V-4-20s",
        "scs-0103-flavor-2v-4-20s scs-0100-semantics-check scs-0103-extra-specs",
        set={"disk": 10},
    ),
    _m(
        "a standard flavor has more RAM than its row",
        "flavors",
        "SCS-8V-32",
        "scs-0103-flavor-8v-32",
        set={"ram": 40960},
    ),
    _m("name-v1 is missing", "flavors", "SCS-4V-8", "scs-0103-flavor-4v-8", unset=("extra_specs.scs:name-v1",)),
    _m("name-v2 is missing", "flavors", "SCS-4V-16", "scs-0103-flavor-4v-16", unset=("extra_specs.scs:name-v2",)),
    _m(
        "cpu-type claims less than the name",
        "flavors",
        "SCS-8V-16",
        "scs-0103-flavor-8v-16 scs-0100-semantics-check scs-0103-extra-specs",
        set={"extra_specs.scs:cpu-type": "crowded-core"},
    ),
    _m(
        "cpu-type is no word of the standard",
        "flavors",
        "SCS-1V-8",
        "scs-0103-flavor-1v-8 scs-0103-extra-specs",
        set={"extra_specs.scs:cpu-type": "fast"},
    ),
    _m(
        "an SSD flavor on hard disks",
        "flavors",
        "SCS-4V-16-100s",
        "scs-0103-flavor-4v-16-100s scs-0100-semantics-check scs-0103-extra-specs",
        set={"extra_specs.scs:disk0-type": "hdd"},
    ),
    _m(
        "disk0-type on a flavor without a disk",
        "flavors",
        "SCS-4V-32",
        "scs-0103-flavor-4v-32",
        set={"extra_specs.scs:disk0-type": "ssd"},
    ),
    _m(
        "an SCS- name out of order",
        "flavors",
        "",
        "scs-0100-syntax-check",
        add=flavor("SCS-2Vi-4ou-10", 2, 4096, 10),
    ),
    _m(
        "an SCS- name with an extension of its own",
        "flavors",
        "",
        "scs-0100-syntax-check",
        add=flavor("SCS-2V-4_fast", 2, 4096, 0),
    ),
    _m(
        "three disks promised, one given",
        "flavors",
        "",
        "scs-0100-semantics-check",
        add=flavor("SCS-4V-16-3x100", 4, 16384, 100),
    ),
    _m(
        "a dedicated core that is shared",
        "flavors",
        "",
        "scs-0100-semantics-check",
        add=flavor("SCS-4C-16", 4, 16384, 0, {"hw:cpu_policy": "shared"}),
    ),
    _m(
        "a free name whose name-v2 overstates",
        "flavors",
        "m1.tiny",
        "scs-0103-extra-specs",
        set={"extra_specs.scs:name-v2": "SCS-2V-2"},
    ),
    # images
    _m(
        "the mandatory image is gone",
        "images",
        _U,
        "scs-0104-image-ubuntu-2404 scs-0104-v2-ubuntu-previous-lts",
        remove=True,
    ),
    _m(
        "the mandatory image is hidden",
        "images",
        _U,
        "scs-0104-image-ubuntu-2404 scs-0104-v2-ubuntu-previous-lts",
        set={"os_hidden": True},
    ),
    _m("the newest LTS is gone", "images", "Ubuntu 26.04", "scs-0104-v2-ubuntu-lts", remove=True),
    _m("Debian stable is gone", "images", "Debian 13", "scs-0104-v2-debian-stable", remove=True),
    _m(
        "Debian 12 is gone", "images", "Debian 12", "scs-0104-image-debian-12 scs-0104-v2-debian-oldstable", remove=True
    ),
    _m("the Cluster-API image is gone", "images", "ubuntu-capi-image-v1.34", "scs-0104-image-capi-2", remove=True),
    _m(
        "an image from elsewhere",
        "images",
        _U,
        "scs-0104-source-ubuntu-2404 scs-0104-v2-generic-source",
        set={"image_source": "https://mirror.example/noble.img"},
    ),
    _m(
        "a Cluster-API image from elsewhere",
        "images",
        "ubuntu-capi-image-v1.34",
        "scs-0104-source-capi-2 scs-0104-v2-capi-properties",
        set={"image_source": "https://mirror.example/capi.img"},
    ),
    _m("no architecture", "images", _U, f"{_P}architecture", unset=("architecture",)),
    _m("min_disk below the image", "images", _U, f"{_P}min_disk", set={"min_disk": 2}),
    _m("min_ram not set", "images", _U, f"{_P}min_ram", set={"min_ram": 0}),
    _m(
        "no os_version",
        "images",
        "Debian 12",
        f"{_P}os_version scs-0104-v2-debian-oldstable",
        unset=("os_version",),
    ),
    _m("no os_distro", "images", "Debian 13", f"{_P}os_distro scs-0104-v2-debian-stable", unset=("os_distro",)),
    _m(
        "os_purpose of one's own",
        "images",
        "ubuntu-capi-image-v1.34",
        f"{_P}os_purpose scs-0104-v2-capi-properties",
        set={"os_purpose": "cluster"},
    ),
    _m("no hw_disk_bus", "images", _U, f"{_P}hw_disk_bus", unset=("hw_disk_bus",)),
    _m("an unknown hypervisor", "images", _U, f"{_P}hypervisor_type", set={"hypervisor_type": "magic"}),
    _m("another random generator", "images", _U, f"{_P}hw_rng_model", set={"hw_rng_model": "egd"}),
    _m(
        "a build date after the registration",
        "images",
        _U,
        f"{_P}image_build_date",
        set={"image_build_date": "2026-11-22"},
    ),
    _m("a build date that is none", "images", _U, f"{_P}image_build_date", set={"image_build_date": "19.11.2026"}),
    _m("no original user", "images", _U, f"{_P}image_original_user", unset=("image_original_user",)),
    _m(
        "an image source that is no URL",
        "images",
        "ubuntu-capi-image-v1.34",
        f"{_P}image_source scs-0104-source-capi-2 scs-0104-v2-capi-properties",
        set={"image_source": "somewhere"},
    ),
    _m("no description", "images", _U, f"{_P}image_description", unset=("image_description",)),
    _m("a frequency of one's own", "images", _U, f"{_P}replace_frequency", set={"replace_frequency": "sometimes"}),
    _m("provided until garbage", "images", _U, f"{_P}provided_until", set={"provided_until": "garbage"}),
    _m("no uuid_validity", "images", _U, f"{_P}uuid_validity", unset=("uuid_validity",)),
    _m("hotfix hours in words", "images", _U, f"{_P}hotfix_hours", set={"hotfix_hours": "two"}),
    _m("a weak hash", "images", _U, f"{_P}hash_algo", set={"os_hash_algo": "md5"}, real=False),
    _m(
        "an image not replaced in time",
        "images",
        _U,
        "scs-0102-image-recency",
        set={"created_at": "2026-10-01T08:00:00Z", "image_build_date": "2026-10-01"},
        real=False,
    ),
    _m(
        "two images of one name",
        "images",
        "",
        "scs-0102-image-recency",
        add=image(
            _U,
            "https://cloud-images.ubuntu.com/noble/20261101/noble.img",
            id="id-older",
            os_distro="ubuntu",
            os_version="24.04",
            os_purpose="oldgeneric",
            created_at="2026-11-02T08:00:00Z",
            image_build_date="2026-11-01",
        ),
    ),
    _m(
        "two generic images of one system",
        "images",
        "",
        "scs-0102-os_purpose-uniqueness",
        add=image(
            "Ubuntu 24.04 LTS",
            "https://cloud-images.ubuntu.com/noble/20261119/noble.img",
            os_distro="ubuntu",
            os_version="24.04",
        ),
    ),
    # volume types, rules, services
    _m(
        "aspects not sorted",
        "volume_types",
        "luks",
        "scs-0114-syntax-check",
        set={"description": "[scs:replicated, encrypted]"},
    ),
    _m(
        "an aspect of one's own",
        "volume_types",
        "luks",
        "scs-0114-only-aspects",
        set={"description": "[scs:encrypted, fast, replicated]"},
    ),
    _m(
        "nothing advertised as encrypted",
        "volume_types",
        "luks",
        "scs-0114-encrypted-type",
        set={"description": "[scs:replicated]"},
    ),
    _m(
        "nothing advertised as replicated",
        "volume_types",
        "luks",
        "scs-0114-replicated-type",
        set={"description": "[scs:encrypted]"},
    ),
    _m(
        "ssh open by default",
        "default_security_group_rules",
        "",
        "scs-0115-default-rules",
        add=rule("ssh", "ingress", "IPv4", protocol="tcp", port_range_min=22, port_range_max=22),
    ),
    _m(
        "members reach each other in custom groups too",
        "default_security_group_rules",
        "in-4",
        "scs-0115-default-rules",
        set={"used_in_non_default_sg": True},
        real=False,
    ),
    _m("no IPv6 out", "default_security_group_rules", "out-6", "scs-0115-egress", remove=True),
    _m("no IPv4 from the same group", "default_security_group_rules", "in-4", "scs-0115-same-group", remove=True),
    *(
        _m(f"no {name}", "catalog", name, f"scs-0123-{case}", remove=True)
        for name, case in (
            ("load-balancer", "service-load-balancer"),
            ("compute", "service-compute"),
            ("image", "service-image"),
            ("network", "service-network"),
            ("identity", "service-identity"),
            ("block-storage", "storage-apis"),
            ("object-store-s3", "service-s3"),
        )
    ),
    _m("no key manager", "catalog", "key-manager", "scs-0116-presence", remove=True),
    _m(
        "an old alias of block storage",
        "catalog",
        "block-storage",
        "scs-0123-canonical-types",
        set={"type": "volumev3"},
    ),
    _m("no S3", "s3_probe", "object-store", "scs-0123-swift-s3", set={"status": 404, "code": ""}),
    # what only writing shows
    _m("little entropy", "write_results", "entropy", "scs-0101-entropy-avail", set={"entropy_avail": 128}, real=False),
    _m("bad random numbers", "write_results", "fips", "scs-0101-fips-test", set={"failures": 7}, real=False),
    _m(
        "members may not create secrets",
        "write_results",
        "key-manager",
        "scs-0116-permissions",
        set={"create": 403, "listed": False},
        real=False,
    ),
    _m(
        "a type that says it encrypts and does not",
        "write_results",
        "encryption",
        "scs-0114-encrypts",
        set={"encrypted": False},
        real=False,
    ),
    _m(
        "a backup that lies",
        "write_results",
        "backup",
        "scs-0117-test-backup",
        set={"restored_sha256": "cd" * 32},
        real=False,
    ),
)
