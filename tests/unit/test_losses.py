# SPDX-License-Identifier: Apache-2.0
"""A loss is data: announced it is not shown, not announced it failed, and it never holds."""

from __future__ import annotations

from typing import Any

import pytest
from test_planning import NOW, cloud
from test_planning import plan as planned

from unterbau.switch import planning
from unterbau.switch.plan import Plan
from unterbau.switch.verify import JUDGINGS, LOSSES, compare
from unterbau.tenant.kinds import (
    Container,
    ExternalNetwork,
    Fate,
    Flavor,
    FloatingIp,
    Network,
    Offering,
    Router,
    Secret,
    SecurityGroup,
    Server,
    Snapshot,
    Subnet,
    Volume,
)
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Outcome, Verdict, words

NET = Network(id="n", name="net", description="ours")
SHARED = Network(id="s", name="shared", shared=True)
SERVER = Server(id="s", name="web", status="ACTIVE", flavor=Flavor(name="f", vcpus=1, ram_mib=1, disk_gib=0))


def lost(verdicts: tuple[Verdict, ...]) -> dict[str, tuple[Outcome, str]]:
    return {v.claim.id: (v.outcome, words(v.reason)) for v in verdicts if v.claim.kind == "loss"}


def there(resource: Any, **changes: Any) -> Any:
    return resource.model_copy(update={"id": f"new-{resource.id}", **changes})


@pytest.mark.holds("network.shared")
def test_an_announced_loss_is_not_shown_and_names_the_plan() -> None:
    plan = planned(SHARED)
    found = compare(cloud("a", SHARED), cloud("b", there(SHARED, shared=False)), plan, {})
    assert lost(found) == {
        "lost network:s.shared": (
            Outcome.NOT_SHOWN, "lost, as the plan says: a tenant cannot share a network: it stays private"
        )
    }  # fmt: skip
    assert [v.outcome for v in found if v.claim.id == "structure network:s"] == [Outcome.HELD]


@pytest.mark.holds("network.description")
def test_a_loss_that_nobody_announced_failed() -> None:
    found = compare(cloud("a", NET), cloud("b", there(NET, description="")), planned(NET), {})
    assert lost(found) == {
        "lost network:n.description": (Outcome.FAILED, "lost, and the plan does not say so: ours -> ")
    }


@pytest.mark.holds("server.user_data")
def test_what_no_field_shows_is_lost_too_and_a_plan_that_keeps_silent_failed() -> None:
    offering = Offering(flavors=(SERVER.flavor,))
    source, target = cloud("a", SERVER), cloud("b", there(SERVER), offering=offering)
    plan = planned(SERVER, target=cloud("b", offering=offering))
    assert {one.field for one in plan.by_ref["server:s"].losses} == {"user_data"}
    why = "its user_data, if it had any, is not readable with tenant rights"
    assert lost(compare(source, target, plan, {})) == {
        "lost server:s.user_data": (Outcome.NOT_SHOWN, f"lost, as the plan says: {why}")
    }
    silent = plan.model_copy(update={"entries": tuple(e.model_copy(update={"losses": ()}) for e in plan.entries)})
    assert lost(compare(source, target, silent, {})) == {
        "lost server:s.user_data": (Outcome.FAILED, f"lost, and the plan does not say so: {why}")
    }


@pytest.mark.holds("server.local_disk")
def test_a_disk_on_its_host_is_lost_with_it() -> None:
    ours = SERVER.model_copy(update={"flavor": SERVER.flavor.model_copy(update={"ephemeral_gib": 10})})
    offering = Offering(flavors=(ours.flavor,))
    source, target = cloud("a", ours), cloud("b", there(ours), offering=offering)
    found = lost(compare(source, target, planned(ours, target=cloud("b", offering=offering)), {}))
    assert found["lost server:s.local_disk"][0] is Outcome.NOT_SHOWN


@pytest.mark.holds("container.versions", "container.keys", "secret.consumers")
@pytest.mark.parametrize(
    ("ours", "field"),
    [
        (Container(id="c", name="c"), "versions"),
        (Container(id="c", name="c"), "keys"),
        (Secret(id="x", name="x"), "consumers"),
    ],
)
def test_what_a_census_names_as_not_shown_of_a_thing_is_a_loss_of_it(ours: Any, field: str) -> None:
    source = cloud("a", ours).model_copy(
        update={"not_shown": (NotShown(what=f"{ours.ref}.{field}", reason="they are not carried"),)}
    )
    plan = planning.make(source, cloud("b"), run="r", now=NOW)
    assert [(one.id, one.why) for one in plan.would_lose()] == [(f"{ours.ref}.{field}", "they are not carried")]
    found = lost(compare(source, cloud("b", there(ours, **({"id": "c"} if field != "consumers" else {}))), plan, {}))
    assert found[f"lost {ours.ref}.{field}"] == (Outcome.NOT_SHOWN, "lost, as the plan says: they are not carried")


@pytest.mark.parametrize("edited", [{}, {"availability_zone": "elsewhere"}])
def test_no_loss_ever_holds(edited: dict[str, str]) -> None:
    offering = Offering(flavors=(SERVER.flavor,))
    plan = planned(SERVER, target=cloud("b", offering=offering))
    found = compare(cloud("a", SERVER), cloud("b", there(SERVER, **edited)), plan, {})
    assert lost(found) and all(outcome is not Outcome.HELD for outcome, _ in lost(found).values())


@pytest.mark.holds("router.ha", "router.distributed", "volume.multiattach", "volume.encrypted")
@pytest.mark.parametrize(
    ("ours", "changes"),
    [
        (Router(id="r", name="r", ha=True, distributed=False), {"ha": False}),
        (Router(id="r", name="r", ha=True, distributed=False), {"distributed": True}),
        (Volume(id="v", name="v", status="available", size_gib=1, multiattach=True), {"multiattach": False}),
        (Volume(id="v", name="v", status="available", size_gib=1, encrypted=False), {"encrypted": True}),
    ],
)
def test_what_a_member_cannot_decide_fails_nothing_and_is_named(ours: Any, changes: dict[str, bool]) -> None:
    """The target decides whether a router is highly available; who could decide it is held to it."""
    target = cloud("b", there(ours, **changes))
    found = compare(cloud("a", ours), target, planned(ours), {})
    structure = [v.outcome for v in found if v.claim.kind == "structure"]
    ((outcome, why),) = lost(found).values()
    assert (structure, outcome) == ([Outcome.HELD], Outcome.NOT_SHOWN)
    assert why.startswith("the target decided otherwise, and a member cannot")
    admin = target.model_copy(update={"identity": target.identity.model_copy(update={"roles": ("admin",)})})
    found = compare(cloud("a", ours), admin, planned(ours), {})
    assert [v.outcome for v in found if v.claim.kind == "structure"] == [Outcome.FAILED]


def test_an_older_judging_judges_as_it_did() -> None:
    ours = Router(id="r", name="r", ha=True)
    older = tuple(name for name in JUDGINGS if name != LOSSES)
    found = compare(cloud("a", ours), cloud("b", there(ours, ha=False)), planned(ours), {}, older)
    assert lost(found) == {}
    assert [v.outcome for v in found if v.claim.kind == "structure"] == [Outcome.FAILED]


def test_what_is_left_is_told_with_what_is_lost() -> None:
    snapshot = Snapshot(id="x", name="x", status="available", volume_id="v", size_gib=1)
    volume = Volume(id="v", name="v", status="available", size_gib=1)
    plan: Plan = planned(snapshot, volume, SHARED)
    assert [(one.id, one.field) for one in plan.would_lose()] == [("snapshot:x", ""), ("network:s.shared", "shared")]
    assert plan.by_ref["snapshot:x"].fate is Fate.LEFT


def test_what_something_of_the_target_replaces_is_no_loss() -> None:
    group = SecurityGroup(id="g", name="default")
    plan = planned(group)
    assert plan.by_ref["security_group:g"].changes[0].field == "name"
    assert plan.would_lose() == ()


@pytest.mark.holds("floating_ip.address", "container.sync_to", "subnet.subnetpool_id")
def test_what_the_target_chooses_and_what_is_never_carried_are_losses() -> None:
    offering = Offering(external_networks=(ExternalNetwork(id="x", name="public"),))
    address = FloatingIp(id="f", address="203.0.113.7", external_network_id="x", description="www")
    box = Container(id="c", name="c", sync_to="//realm/other")
    subnet = Subnet(
        id="s", name="s", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None, subnetpool_id="p"
    )
    source = cloud("a", NET, subnet, box, address, offering=offering)
    plan = planning.make(source, cloud("b", offering=offering), run="r", now=NOW)
    assert {one.field for one in plan.would_lose()} == {"sync_to", "subnetpool_id", "address"}
