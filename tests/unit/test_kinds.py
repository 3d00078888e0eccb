# SPDX-License-Identifier: Apache-2.0
"""A kind's knowledge stands once, in its class, and is whole: what is not said does not load."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import create_model
from test_planning import cloud

import unterbau
from unterbau.cloud.openstack.block_storage import BlockStorageService
from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.image import ImageService
from unterbau.cloud.openstack.key_manager import KeyService
from unterbau.cloud.openstack.network import NetworkService
from unterbau.cloud.openstack.object_storage import ObjectService
from unterbau.tenant.kinds import (
    KINDS,
    Becomes,
    Change,
    Container,
    Content,
    Fate,
    Ground,
    Kind,
    Mark,
    Network,
    ResourceBase,
)
from unterbau.tenant.kinds.policy import carried, ignored
from unterbau.tenant.kinds.server import SAID_BEFORE

SOURCE = Path(unterbau.__file__).parent
NAMELESS = ("switch/planning.py", "switch/plan.py", "switch/planned_openings.py", "switch/census.py", "switch/agreement.py",
            "switch/verify", "switch/closing", "switch/close.py", "switch/move", "cloud/simulator.py")  # fmt: skip
"""Rooms that ask resources and name no kind."""


@pytest.mark.parametrize("kind", Kind)
def test_a_field_without_a_policy_does_not_load(kind: Kind) -> None:
    with pytest.raises(TypeError, match=r"\.fresh has no policy"):
        create_model("Wider", __base__=KINDS[kind], fresh=(str, ""))
    assert create_model("Wider", __base__=KINDS[kind], fresh=(Annotated[str, carried()], "")).POLICY["fresh"]


def test_a_kind_that_does_not_say_what_is_known_of_it_does_not_load() -> None:
    with pytest.raises(TypeError, match="does not say: fate, natural_key, KNOWN"):

        class Listener(ResourceBase):
            kind: Literal["listener"] = "listener"


def test_a_field_that_is_ignored_says_why() -> None:
    with pytest.raises(TypeError, match="says why"):
        ignored("")


def test_each_kind_is_one_class() -> None:
    assert [KINDS[kind].model_fields["kind"].default for kind in Kind] == [kind.value for kind in Kind]


@pytest.mark.thorough
@pytest.mark.parametrize("place", NAMELESS)
def test_no_name_of_a_kind_stands_where_resources_are_asked(place: str) -> None:
    files = [SOURCE / place] if place.endswith(".py") else sorted((SOURCE / place).glob("*.py"))
    assert files
    for file in files:
        assert list(_named(ast.parse(file.read_text()))) == [], file


def _named(tree: ast.AST) -> Iterator[str]:
    """Classes of kinds that are imported, members of `Kind`, and kinds' names as text."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("unterbau.tenant.kinds"):
                yield from sorted({a.name for a in names} & {one.__name__ for one in KINDS.values()})
            case ast.Attribute(value=ast.Name(id="Kind"), attr=attr):
                yield f"Kind.{attr}"
            case ast.Constant(value=str(text)) if text in set(Kind) or text.rstrip(":") in set(Kind):
                yield text


def test_what_a_census_digest_leaves_out_is_what_changes_by_itself() -> None:
    """Digests stand in bundles: another set would break every older one."""
    found = {field for one in KINDS.values() for field in one.MOMENT}
    assert found == {"marker", "status", "bytes_used", "object_count", "last_modified", "host_id", "updated_at"}
    assert {k for k in Kind if "status" in KINDS[k].model_fields} == {k for k in Kind if "status" in KINDS[k].MOMENT}


def test_a_plan_cannot_change_a_field_that_is_carried_as_it_is() -> None:
    net, side = Network(id="n", name="net"), cloud("a")
    ground = Ground(side, cloud("b"), {})
    with pytest.raises(TypeError, match="description is carried and cannot change"):
        net.carry(ground, Change(field="description", was="a", to="b", why="no reason"))
    shut = net.carry(ground, Change(field="shared", was=True, to=False, why="a tenant cannot share"))
    assert shut.fate is Fate.CHANGED


def test_what_is_never_carried_is_named_wherever_it_is_set() -> None:
    found = {
        (kind.value, field) for kind in Kind for field, policy in KINDS[kind].POLICY.items()
        if policy.becomes is Becomes.LEFT and kind not in (Kind.SNAPSHOT, Kind.BACKUP)
    }  # fmt: skip
    assert found == {("network", "qos_policy_id"), ("port", "qos_policy_id"), ("subnet", "subnetpool_id"),
                     ("router_interface", "qos_policy_id"), ("floating_ip", "qos_policy_id"),
                     ("router", "gateway_qos_policy_id"), ("container", "sync_to")}  # fmt: skip
    entry = Container(id="c", name="c", sync_to="//realm").fate(Ground(cloud("a"), cloud("b"), {}))
    assert [(c.field, c.was, c.to, str(c.why)) for c in entry.changes] == [
        ("sync_to", "//realm", None, "container sync is not carried")
    ]


def test_of_a_kind_that_carries_no_marker_it_is_known_how_it_is_told() -> None:
    unmarked = {k.value for k in Kind if not KINDS[k].KNOWN.marker.lasting}
    assert unmarked == {
        "keypair",
        "server_group",
        "address_group",
        "security_group_rule",
        "secret_container",
        "attachment",
    }
    assert {k.value for k in Kind if KINDS[k].KNOWN.marker is Mark.LATER} == {"secret"}


def test_contents_are_those_that_a_verifier_reads() -> None:
    found = {k.value: KINDS[k].KNOWN.content for k in Kind if KINDS[k].KNOWN.content is not Content.NONE}
    assert found == {
        "image": Content.FIXED,
        "volume": Content.DISK,
        "object": Content.STORED,
        "secret": Content.PAYLOAD,
    }


def test_each_kind_takes_one_of_the_quota_that_its_service_counts_it_by() -> None:
    """Quota names: Networking API v2.0, Compute API (Quota sets), Block Storage API v3, Glance, Barbican."""
    found = {k.value: ".".join(KINDS[k].KNOWN.quota or ()) for k in Kind}
    assert found == {
        "network": "network.network", "subnet": "network.subnet", "router": "network.router",
        "router_interface": "network.port", "port": "network.port", "floating_ip": "network.floatingip",
        "security_group": "network.security_group", "security_group_rule": "network.security_group_rule",
        "address_group": "", "keypair": "compute.key_pairs", "server_group": "compute.server_groups",
        "server": "compute.instances", "attachment": "", "image": "image.image_count_total",
        "volume": "block_storage.volumes", "snapshot": "block_storage.snapshots", "backup": "block_storage.backups",
        "secret": "key_manager.secrets", "secret_container": "key_manager.containers", "container": "", "object": "",
    }  # fmt: skip


def test_of_which_kinds_the_used_quota_is_all_that_the_project_has() -> None:
    counted = {k for k in Kind if KINDS[k].KNOWN.counted}
    network = {k for k in Kind if (KINDS[k].KNOWN.quota or ("",))[0] == "network"}
    assert counted == {*network, Kind.SERVER, Kind.SERVER_GROUP}


def test_whose_a_thing_is_and_whether_its_name_is_its_place() -> None:
    assert {k.value for k in Kind if KINDS[k].KNOWN.personal} == {"keypair"}
    assert {k.value for k in Kind if KINDS[k].KNOWN.id_is_name} == {"keypair", "container", "object"}


def test_a_kind_with_states_says_in_which_of_them_it_is_whole() -> None:
    known = {k.value: KINDS[k].KNOWN.usable for k in Kind}
    assert {usable for kind, usable in known.items() if kind not in ("server", "image", "volume", "secret")} == {()}
    assert {kind: usable for kind, usable in known.items() if usable} == {"server": ("ACTIVE", "SHUTOFF"), "image": ("active",), "volume": ("available", "in-use"),
                     "secret": ("ACTIVE",)}  # fmt: skip


def test_what_no_field_shows_and_what_earlier_bundles_say_of_it_is_known() -> None:
    found = {k.value: [*KINDS[k].KNOWN.beyond] for k in Kind if KINDS[k].KNOWN.beyond != {}}
    assert found == {"server": ["local_disk", "user_data"], "container": ["versions", "keys"], "secret": ["consumers"]}
    assert len({str(said) for said in SAID_BEFORE}) == 2 and not any(said.id in str(said) for said in SAID_BEFORE)


def test_each_kind_names_the_page_of_its_api() -> None:
    pages = {KINDS[k].KNOWN.api for k in Kind}
    assert all(page.startswith("https://docs.openstack.org/") for page in pages) and len(pages) == len(Kind)


def test_each_kind_is_served_by_one_service_of_the_adapter() -> None:
    services = (BlockStorageService, ComputeService, ImageService, KeyService, NetworkService, ObjectService)
    assert Counter(kind for service in services for kind in service.KINDS) == Counter(Kind)


@pytest.mark.thorough
def test_the_contract_suite_makes_one_of_each_kind() -> None:
    """A backup no move makes; a keypair is tried by whole moves."""
    text = "".join(file.read_text() for file in (Path(__file__).parents[1] / "contract").glob("*.py"))
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    assert {one.__name__ for one in KINDS.values()} - calls == {"Keypair", "Backup"}
