# SPDX-License-Identifier: Apache-2.0
"""What is lost with a thing, what a kept thing keeps, and in which order things go. Pure: no cloud, no clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from unterbau.cloud.simulator import Simulator
from unterbau.errors import UsageError
from unterbau.switch import closing, evidence, planning
from unterbau.switch.closing import Sealed
from unterbau.switch.plan import Plan, losses
from unterbau.switch.verify import Contents, counterparts, observed
from unterbau.tenant.kinds import (
    Attachment,
    CloudIdentity,
    Container,
    ExternalNetwork,
    Flavor,
    FloatingIp,
    Image,
    Kind,
    Network,
    Offering,
    Port,
    Ref,
    Relations,
    Resource,
    Router,
    RouterInterface,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    StoredObject,
    Volume,
    VolumeType,
    ref,
)
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Words

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ASSET = Path(__file__).parents[1] / "assets" / "drill.unterbau"
SMALL = Flavor(id="f", name="SCS-1V-1", vcpus=1, ram_mib=1024, disk_gib=0)
OFFERING = Offering(
    flavors=(SMALL,), volume_types=(VolumeType(id="t", name="fast", is_default=True),),
    external_networks=(ExternalNetwork(id="x", name="public", is_default=True),), compute_zones=("nova",),
)  # fmt: skip


def side(name: str, *resources: Resource, not_shown: tuple[NotShown, ...] = ()) -> Workload:
    identity = CloudIdentity(name=name, auth_url=f"https://{name}/v3", region="R", project_id=f"p{name}",
                             project_name=name, user_id="u", roles=("member",))  # fmt: skip
    return Workload(identity=identity, taken_at=NOW, resources=resources, offering=OFFERING, not_shown=not_shown)


def planned(source: Workload) -> Plan:
    return planning.make(source, side("b"), run="r", now=NOW)


def lost(source: Workload) -> set[str]:
    return {one.id for entry in planned(source).entries for one in entry.losses}


@pytest.mark.thorough
def test_the_plan_announces_what_goes_with_the_source_for_good() -> None:
    source = side(
        "a",
        Server(id="1", name="from-image", status="ACTIVE", flavor=SMALL, image_id="i"),
        Server(id="2", name="from-volume", status="ACTIVE", flavor=SMALL),
        Attachment(id="2/v", server_id="2", volume_id="v", boot_index=0),
        Server(id="3", name="scratch", status="ACTIVE", flavor=SMALL.model_copy(update={"name": "SCS-1V-1-eph"})),
        Volume(id="v", name="v", status="in-use", size_gib=1, volume_type="slow"),
        Image(id="i", name="i", status="active", visibility="public", members=("other",)),
        FloatingIp(id="f", address="198.51.100.1", external_network_id="x"),
        Router(id="r", name="r", external_network_id="x", external_fixed_ips=("198.51.100.2",)),
        Router(id="s", name="s", external_network_id="x"),
        Network(id="n", name="n", shared=True, qos_policy_id="q"),
        Container(id="c.1", name="c.1", read_acl="stranger:*", versions_enabled=True),
        Container(id="c", name="c"),
        not_shown=(
            NotShown(what="container:c.1.versions", reason="2 earlier versions of its objects are not carried"),
            NotShown(what="container:c.1.metadata", reason="temp-url-key is a secret and is not carried"),
            NotShown(what="floating_ip:f.port_forwardings", reason="1 port forwardings are not carried"),
            NotShown(what="orders", reason="concerns nothing of these"),
        ),
    )
    assert lost(source) == {
        "server:1.user_data", "server:1.local_disk", "server:2.user_data", "server:3.user_data", "image:i.visibility",
        "image:i.members", "floating_ip:f.address", "floating_ip:f.port_forwardings", "router:r.external_fixed_ips",
        "network:n.shared", "network:n.qos_policy_id", "container:c.1.read_acl", "container:c.1.versions",
        "container:c.1.metadata",
    }  # fmt: skip
    assert planning.load(planning.dump(planned(source))) == planned(source)


def test_a_server_with_an_ephemeral_disk_has_a_local_one() -> None:
    wide = SMALL.model_copy(update={"ephemeral_gib": 5})
    there = side("a", Server(id="1", name="s", status="ACTIVE", flavor=wide))
    offering = OFFERING.model_copy(update={"flavors": (wide,)})
    target = side("b").model_copy(update={"offering": offering})
    made = planning.make(there, target, run="r", now=NOW)
    assert "server:1.local_disk" in {one.id for one in made.by_ref["server:1"].losses}


def test_an_older_plan_announces_no_less() -> None:
    source = side("a", FloatingIp(id="f", address="198.51.100.1", external_network_id="x"))
    entry = planned(source).by_ref["floating_ip:f"].model_copy(update={"losses": ()})
    assert [one.id for one in losses(entry, source.by_ref["floating_ip:f"], source)] == ["floating_ip:f.address"]
    assert "losses" not in entry.model_dump(mode="json")


TENANT = side(
    "a",
    Network(id="n", name="n"),
    Router(id="r", name="r"),
    RouterInterface(id="leg", router_id="r", network_id="n", fixed_ips=()),
    SecurityGroup(id="g", name="g"),
    SecurityGroupRule(id="rule", security_group_id="g", direction="ingress", ethertype="IPv4", remote_group_id="h"),
    SecurityGroup(id="h", name="h"),
    Port(id="p", network_id="n", mac_address="fa:16:3e:00:00:01", security_group_ids=("g",)),
    FloatingIp(id="f", address="198.51.100.1", external_network_id="x", port_id="p"),
    Server(id="s", name="s", status="ACTIVE", flavor=SMALL, port_ids=("p",)),
    Volume(id="v", name="v", status="in-use", size_gib=1),
    Attachment(id="s/v", server_id="s", volume_id="v"),
    Container(id="c", name="c"),
    StoredObject(id="c/all", name="all", container="c", size_bytes=0, etag="", dlo_prefix="c/part/"),
    StoredObject(id="c/part/1", name="part/1", container="c", size_bytes=1, etag="e"),
    StoredObject(id="c/other", name="other", container="c", size_bytes=1, etag="e"),
)


@pytest.mark.parametrize(
    ("first", "kept"),
    [
        ("server:s", {"server:s", "attachment:s/v", "volume:v", "port:p", "floating_ip:f", "network:n",
                      "router_interface:leg", "router:r", "security_group:g", "security_group_rule:rule",
                      "security_group:h"}),
        ("volume:v", {"volume:v", "attachment:s/v", "server:s", "port:p", "floating_ip:f", "network:n",
                      "router_interface:leg", "router:r", "security_group:g", "security_group_rule:rule",
                      "security_group:h"}),
        ("security_group:h", {"security_group:h"}),
        ("router:r", {"router:r", "router_interface:leg", "network:n"}),
        ("object:c/all", {"object:c/all", "object:c/part/1", "container:c"}),
        ("object:c/other", {"object:c/other", "container:c"}),
        ("container:c", {"container:c", "object:c/all", "object:c/part/1", "object:c/other"}),
    ],
)  # fmt: skip
def test_a_kept_thing_keeps_what_it_needs_and_no_more(first: Ref, kept: set[Ref]) -> None:
    found: dict[Ref, Words] = {first: "its own reason"}
    Relations(TENANT).keep_what_is_needed(found)
    assert set(found) == kept
    assert found[first] == "its own reason"


def test_what_is_gone_already_keeps_nothing() -> None:
    """An earlier attempt took the server; its volume, which is kept, does not keep the server's port and network."""
    found: dict[Ref, Words] = {"volume:v": "its content changed"}
    Relations(TENANT).keep_what_is_needed(found, frozenset({"server:s", "attachment:s/v"}))
    assert set(found) == {"volume:v"}


def test_things_go_before_what_they_stand_on() -> None:
    relations = Relations(TENANT)
    under = {r.ref: set(relations.under(r)) for r in TENANT.resources}
    assert under["server:s"] >= {"attachment:s/v", "port:p", "floating_ip:f"}
    assert under["attachment:s/v"] == {"volume:v"}
    assert under["floating_ip:f"] >= {"port:p", "router_interface:leg"}
    assert under["port:p"] >= {"router_interface:leg", "security_group_rule:rule"}
    assert under["object:c/all"] == {"container:c", "object:c/part/1"}


def test_a_copy_with_other_resources_does_not_know_the_old_ones() -> None:
    assert "network:n" in TENANT.by_ref and TENANT.hidden == {}
    copied = TENANT.model_copy(update={"resources": (), "not_shown": (NotShown(what="x", reason="y"),)})
    assert copied.by_ref == {}
    whole, back = closing.put_back(copied, TENANT, {"network:n"})
    assert (list(whole.by_ref), back) == (["network:n"], ("network:n",))


# --- the decision, by a bundle of a real drill


@pytest.fixture(scope="module")
def real() -> tuple[Sealed, Contents, dict[Ref, Ref]]:
    checked = evidence.check(ASSET.read_bytes())
    look = checked.bundle.verification
    sealed = Sealed(checked.bundle.source, checked.bundle.plan, checked.verdicts)
    return sealed, look, counterparts(look.source, look.target, sealed.plan, observed(look.verdicts))


def test_an_older_bundle_keeps_its_servers_too(real: tuple[Sealed, Contents, dict[Ref, Ref]]) -> None:
    sealed, look, pairs = real
    servers = {s.ref for s in look.source.of(Server)}
    nothing = closing.decide(sealed, look, pairs, ())
    assert servers and servers <= nothing.kept.keys()
    more = closing.decide(sealed, look, pairs, ("server.user_data", "server.local_disk"))
    assert servers <= set(more.chosen)
    assert {one.field for one in more.accepted} == {"user_data", "local_disk"}


def test_a_claim_that_does_not_hold_now_keeps_its_thing(real: tuple[Sealed, Contents, dict[Ref, Ref]]) -> None:
    sealed, look, pairs = real
    stored = next(o for o in look.source.of(StoredObject) if o.segments is None and not o.symlink_to)
    assert stored.ref in closing.decide(sealed, look, pairs, ()).chosen
    verdicts = tuple(
        v.model_copy(update={"outcome": "not shown", "reason": "Unreachable: no answer"})
        if v.claim.id == f"content {stored.ref}" else v
        for v in look.verdicts
    )  # fmt: skip
    blind = look.model_copy(update={"verdicts": verdicts})
    decision = closing.decide(sealed, blind, pairs, ("object.content",))
    assert str(decision.kept[stored.ref]) == "not verified: Unreachable: no answer"
    with pytest.raises(UsageError, match=r"object\.content is no loss"):
        closing.demand_known(("object.content",), decision)
    hidden = look.target.model_copy(
        update={"not_shown": (NotShown(what=f"{pairs[stored.ref]}.headers", reason="odd"),)}
    )
    decision = closing.decide(sealed, look.model_copy(update={"target": hidden}), pairs, ())
    assert f"{stored.ref}.headers: odd" in decision.kept[stored.ref]


@pytest.mark.parametrize("taken", [True, False])
def test_what_an_earlier_attempt_took_is_no_change_of_what_stood_below_it(
    real: tuple[Sealed, Contents, dict[Ref, Ref]], tmp_path: Path, taken: bool
) -> None:
    """Killed between a server and its port, whose binding and DNS name Nova has taken off by then; a stranger's doing is one."""
    _, look, pairs = real
    port = next(r for r in look.source.resources if isinstance(r, Port) and r.device_owner.startswith("compute:"))
    freed = port.model_copy(update={"device_id": "", "device_owner": "", "dns_name": ""})
    clouds = {side: Simulator(tmp_path / side, name=side) for side in ("source", "target")}
    clouds["source"]._put(freed)
    clouds["target"]._put(look.target.by_ref[pairs[port.ref]])
    decision = closing.Decision(chosen=(port.ref,), kept={}, losses={})
    witness = closing.Witness(clouds, look, {}, lambda *asked: pytest.fail("a port has no content"))
    server = ref(Kind.SERVER, port.device_id)
    (step,) = closing.emptying_steps(decision, pairs, witness, [server] if taken else [])
    told = step.act(step.intend({}), {}, lambda done, total: None)  # type: ignore[arg-type] # nothing doubtful
    assert ("deleted" in told, "kept" in told) == (taken, not taken)
    assert (clouds["source"].read(port.ref) is None) is taken
