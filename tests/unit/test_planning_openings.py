# SPDX-License-Identifier: Apache-2.0
"""What a plan opens: found from the plan as it stands, allowed by name or not, and never chosen by the planner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from world import World

from unterbau.errors import UsageError
from unterbau.switch import planning
from unterbau.switch.plan import Plan
from unterbau.switch.planned_openings import of_plan
from unterbau.switch.verify import OPENINGS, compare
from unterbau.tenant.kinds import (
    Change,
    CloudIdentity,
    Container,
    Entry,
    ExternalNetwork,
    Fate,
    FixedIp,
    FloatingIp,
    Network,
    Offering,
    Opened,
    Port,
    Resource,
    Router,
    RouterInterface,
    SecurityGroup,
    SecurityGroupRule,
    Volume,
    VolumeType,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def cloud(name: str, *resources: Resource, networks: dict[str, str] | None = None, role: str = "member") -> Workload:
    identity = CloudIdentity(name=name, auth_url=f"https://{name}/v3", region="R", project_id=f"p{name}",
                             project_name=name, user_id="u", roles=(role,))  # fmt: skip
    known = tuple(ExternalNetwork(id=i, name=n, is_default=n == "public") for i, n in (networks or {}).items())
    offering = Offering(external_networks=known)
    return Workload(identity=identity, taken_at=NOW, resources=resources, offering=offering)


INNER = Network(id="n", name="inner")
EDGE = Router(id="r", name="edge", external_network_id="w", enable_snat=True)
LEG = RouterInterface(id="l", router_id="r", network_id="n", fixed_ips=())
PORT = Port(
    id="p", name="app", network_id="n", mac_address="fa", fixed_ips=(FixedIp(subnet_id="s", ip_address="10.0.0.5"),)
)
WWW = FloatingIp(id="f", address="198.51.100.1", external_network_id="w", port_id="p", description="www")
SOURCE = cloud(
    "a", INNER, EDGE, LEG, WWW, PORT.model_copy(update={"fixed_ips": ()}), networks={"w": "intern-wan", "x": "public"}
)
TARGET = cloud("b", networks={"t1": "public", "t2": "lab"})


def plan(*choices: str, source: Workload = SOURCE, target: Workload = TARGET, allowed: tuple[str, ...] = ()) -> Plan:
    return planning.make(source, target, run="r", now=NOW, choices=choices, allowed=allowed)


def check(made: Plan) -> tuple[Outcome, str]:
    found = [c for c in made.checks if c.name == planning.OPENINGS]
    assert len(found) == 1
    return found[0].outcome, str(found[0].text)


def test_another_external_network_is_never_chosen_by_the_planner() -> None:
    made = plan()
    router, address = made.by_ref["router:r"], made.by_ref["floating_ip:f"]
    assert router.wish(EDGE).model_dump()["external_network_id"] is None and router.fate is Fate.CHANGED
    assert str(router.remedy) == "Choose one of lab, public: plan --map external:intern-wan=NAME."
    assert address.fate is Fate.LEFT and address.remedy == router.remedy
    assert made.openings == () and check(made)[0] is Outcome.HELD
    assert made.translate == {"project:pa": "pb"}


def test_the_one_of_the_same_name_is_taken_and_opens_nothing() -> None:
    made = plan(target=cloud("b", networks={"t1": "public", "t2": "intern-wan"}))
    assert made.translate["external_network:w"] == "t2" and made.openings == ()
    assert made.by_ref["floating_ip:f"].fate is Fate.CHANGED


def test_a_choice_chooses_and_does_not_permit() -> None:
    made = plan("external:intern-wan=public")
    assert made.choices == ("external:intern-wan=public",) and made.translate["external_network:w"] == "t1"
    assert {o.kind for o in made.openings} == {Opened.GATEWAY, Opened.PUBLIC_ADDRESS}
    assert "in place of intern-wan" in made.by_ref["router:r"].why
    outcome, text = check(made)
    assert outcome is Outcome.FAILED and all(o.id in text for o in made.openings)
    ids = tuple(o.id for o in made.openings)
    assert check(plan("external:intern-wan=public", allowed=ids[:1])) == (
        Outcome.FAILED, f"what is closed on the source would open: {ids[1]}: {made.openings[1].text}",
    )  # fmt: skip
    permitted = plan("external:intern-wan=public", allowed=ids)
    assert permitted.allowed_openings == ids and check(permitted)[0] is Outcome.HELD
    assert planning.load(planning.dump(permitted)) == permitted


@pytest.mark.parametrize(
    ("given", "said", "remedy"),
    [
        ("external:intern-wam=public", "a has no external network 'intern-wam'", "nearest: intern-wan"),
        ("external:intern-wan=pubic", "b has no external network 'pubic'", "nearest: public"),
        ("external:intern-wan=zzz", "b has no external network 'zzz'", "There are: lab, public."),
        ("flavor:a=b", "is no choice", "KIND:NAME=NAME"),
        ("external:intern-wan", "is no choice", "external"),
        ("intern-wan=public", "is no choice", "external"),
    ],
)
def test_a_choice_among_what_is_not_there_names_the_nearest(given: str, said: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(given)
    assert said in caught.value.what and remedy in caught.value.remedy


def test_names_may_hold_any_sign_and_ids_stand_for_names() -> None:
    source = SOURCE.model_copy(
        update={"offering": Offering(external_networks=(ExternalNetwork(id="w", name="a=b:c"),))}
    )
    target = cloud("b", networks={"t1": "c=d"})
    assert plan("external:a=b:c=c=d", source=source, target=target).translate["external_network:w"] == "t1"
    assert plan("external:w=t2").translate["external_network:w"] == "t2"
    with pytest.raises(UsageError, match="contradicts"):
        plan("external:w=t2", "external:w=public")
    twins = SOURCE.model_copy(update={"offering": Offering(external_networks=tuple(
        ExternalNetwork(id=i, name="intern-wan") for i in ("w", "w2")
    ))})  # fmt: skip
    assert plan("external:intern-wan=public", source=twins).translate["external_network:w"] == "t1"


def test_an_id_that_opens_nothing_is_refused_with_those_that_do() -> None:
    made = plan("external:intern-wan=public")
    with pytest.raises(UsageError) as caught:
        plan("external:intern-wan=public", allowed=("gateway-0000000000",))
    assert "gateway-0000000000" in caught.value.what and all(o.id in caught.value.remedy for o in made.openings)
    with pytest.raises(UsageError, match="opens nothing"):
        plan(allowed=(made.openings[0].id,))


@pytest.mark.parametrize(("role", "kinds"), [("member", [Opened.SNAT]), ("admin", [])])
def test_snat_that_was_off_arrives_on_unless_an_admin_moves(role: str, kinds: list[Opened]) -> None:
    source = cloud("a", EDGE.model_copy(update={"enable_snat": False}), networks={"w": "public"})
    made = plan(source=source, target=cloud("b", networks={"t": "public"}, role=role))
    assert [o.kind for o in made.openings] == kinds
    if kinds:
        shut = edited(made, "router:r", external_network_id=None, enable_snat=None)
        assert of_plan(shut, source, TARGET) == ()


def test_without_a_gateway_there_is_no_snat_to_compare() -> None:
    """Neutron tells `enable_snat` of routers with a gateway only."""
    wish = plan().by_ref["router:r"].wish(EDGE)
    assert isinstance(wish, Router) and wish.enable_snat is None


def test_what_is_shared_with_projects_of_the_source_stays_shut() -> None:
    source = cloud(
        "a",
        INNER.model_copy(update={"shared_with": ("q", "external:q")}),
        SecurityGroup(id="g", name="g", shared_with=("*",)),
    )
    made = plan(source=source)
    assert made.openings == () and [e.changes[0].field for e in made.entries] == ["shared_with", "shared_with"]
    assert all(e.wish(source.by_ref[e.ref]).model_dump().get("shared_with") in (None, ()) for e in made.entries)


# --- edited by hand


def edited(made: Plan, reference: str, **fields: Any) -> Plan:
    """The plan as a person would edit it: the fields of one entry changed."""
    changes = tuple(Change(field=f, to=v, why="by hand") for f, v in fields.items())

    def one(entry: Entry) -> Entry:
        kept = tuple(c for c in entry.changes if c.field not in fields)
        update = {"fate": Fate.CHANGED, "changes": (*kept, *changes), "why": "by hand"}
        return entry.model_copy(update=update) if entry.ref == reference else entry

    return made.model_copy(update={"entries": tuple(one(e) for e in made.entries)})


def test_what_a_person_leaves_and_what_the_source_has_not_open_nothing() -> None:
    made = plan("external:intern-wan=public")
    left = tuple(e.model_copy(update={"fate": Fate.LEFT}) for e in made.entries)
    assert made.openings and of_plan(made.model_copy(update={"entries": left}), SOURCE, TARGET) == ()
    strange = made.by_ref["router:r"].model_copy(update={"ref": "router:z"})
    added = made.model_copy(update={"entries": (*made.entries, strange)})
    assert of_plan(added, SOURCE, TARGET) == made.openings


DB = SecurityGroup(id="g", name="db")
RULE = SecurityGroupRule(id="1", security_group_id="g", direction="ingress", ethertype="IPv4", protocol="tcp",
                         port_range_min=22, port_range_max=22, remote_ip_prefix="10.0.0.0/24")  # fmt: skip
HOST = Port(id="p", name="db", network_id="n", mac_address="fa", security_group_ids=("g",))
BOX = Container(id="akten", name="akten", read_acl="pa:*")
CLOSED = cloud("a", INNER, DB, RULE, HOST, BOX)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("reference", "fields", "text"),
    [
        ("security_group_rule:1", {"port_range_min": 5432, "port_range_max": 5432, "remote_ip_prefix": None},
         "tcp 5432 from anywhere (IPv4) reaches port db (fa), whatever is put into security group db"),
        ("container:akten", {"read_acl": ".r:*,.rlistings"}, "container akten is open to reading by everybody (.r:*)"),
        ("port:p", {"port_security_enabled": False, "security_group_ids": []}, "port db (fa) has no port security"),
        ("port:p", {"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]}, "port db (fa) may also use 0.0.0.0/0"),
        ("network:n", {"shared": True}, "network inner is shared: with everybody"),
    ],
)  # fmt: skip
def test_an_edited_plan_is_judged_as_it_stands(reference: str, fields: dict[str, Any], text: str) -> None:
    made = edited(plan(source=CLOSED), reference, **fields)
    found = planning.judged(made, CLOSED, TARGET)
    assert any(text in o.text for o in found.openings), [o.text for o in found.openings]
    assert check(found)[0] is Outcome.FAILED


def test_an_edited_check_or_list_of_openings_permits_nothing() -> None:
    made = planning.judged(edited(plan(source=CLOSED), "container:akten", read_acl=".r:*"), CLOSED, TARGET)
    lying = made.model_copy(update={"openings": (), "checks": (), "allowed_openings": ("container-acl-0000000000",)})
    again = planning.judged(lying, CLOSED, TARGET)
    assert again.openings == made.openings and again.allowed_openings == () and check(again)[0] is Outcome.FAILED


def test_a_translation_or_a_stand_in_that_was_edited_is_judged() -> None:
    source = cloud("a", EDGE, DB, networks={"w": "public"})
    target = cloud("b", SecurityGroup(id="t", name="default"), RULE.model_copy(update={"security_group_id": "t", "id": "2"}),
                   networks={"t1": "public", "t2": "lab"})  # fmt: skip
    made = plan(source=source, target=target)
    assert made.openings == ()
    elsewhere = made.model_copy(update={"translate": {**made.translate, "external_network:w": "t2"}})
    assert [o.kind for o in of_plan(elsewhere, source, target)] == [Opened.GATEWAY]
    entries = tuple(e.model_copy(update={"stands_in": "t"}) if e.ref == "security_group:g" else e for e in made.entries)
    assert [o.what for o in of_plan(made.model_copy(update={"entries": entries}), source, target)] == [
        "tcp 22 from 10.0.0.0/24"
    ]


def test_a_volume_that_was_encrypted_is_named_when_its_type_does_not_encrypt() -> None:
    volume = Volume(id="v", name="v", status="available", size_gib=1, volume_type="luks", encrypted=True)
    types = (
        VolumeType(id="1", name="luks", description="[scs:encrypted]"),
        VolumeType(id="2", name="plain", is_default=True),
    )
    source = cloud("a", volume)
    target = cloud("b").model_copy(update={"offering": Offering(volume_types=types)})
    made = plan(source=source, target=target)
    assert made.openings == ()
    assert [o.kind for o in of_plan(edited(made, "volume:v", volume_type="plain"), source, target)] == [
        Opened.ENCRYPTION
    ]


def test_the_default_group_that_new_ports_get_on_the_target_is_judged() -> None:
    source = cloud("a", SecurityGroup(id="d", name="default"))
    rule = RULE.model_copy(update={"security_group_id": "t", "direction": "egress"})
    made = plan(source=source, target=cloud("b", SecurityGroup(id="t", name="default"), rule))
    assert [str(o.text) for o in made.openings] == [
        "whatever is put into security group default, only on the target may send tcp 22 to 10.0.0.0/24"
    ]


# --- the verifier


def verdicts(
    source: Workload, target: Workload, made: Plan | None, judging: tuple[str, ...] = (OPENINGS,)
) -> dict[str, Verdict]:
    return {v.claim.id: v for v in compare(source, target, made, {}, judging)}


def test_what_an_edited_plan_declares_is_held_by_structure_and_failed_by_openings() -> None:
    made = edited(plan(source=CLOSED), "container:akten", read_acl=".r:*")
    made = edited(made, "security_group_rule:1", port_range_min=5432, port_range_max=5432, remote_ip_prefix=None)
    moved = cloud("b", INNER, DB, HOST, BOX.model_copy(update={"read_acl": ".r:*"}),
                  RULE.model_copy(update={"port_range_min": 5432, "port_range_max": 5432, "remote_ip_prefix": None}))  # fmt: skip
    before = verdicts(CLOSED, moved, made, ())
    assert {v.outcome for v in before.values()} == {Outcome.HELD}, "structure alone takes the plan's word"
    found = verdicts(CLOSED, moved, made)
    failed = [
        v.claim.text
        for v in found.values()
        if v.outcome is Outcome.FAILED and "opening " + v.claim.subject != v.claim.id
    ]
    assert [("tcp 5432" in t, "akten" in t) for t in failed] == [(True, False), (False, True)]
    assert {found[i].outcome for i in before} == {Outcome.HELD}


def test_an_allowed_opening_is_held_and_named_and_covers_no_more_than_it_names() -> None:
    made = plan("external:intern-wan=public")
    made = plan("external:intern-wan=public", allowed=tuple(o.id for o in made.openings))
    there = {r.id: r for r in SOURCE.resources}
    moved = cloud("b", INNER, LEG, there["p"], EDGE.model_copy(update={"external_network_id": "t1"}),
                  WWW.model_copy(update={"external_network_id": "t1"}), networks={"t1": "public", "t2": "lab"})  # fmt: skip
    found = verdicts(SOURCE, moved, made)
    assert Outcome.FAILED not in {v.outcome for v in found.values()}
    for opening in made.openings:
        one = found[f"opening {opening.id}"]
        assert one.outcome is Outcome.HELD and "allowed by name" in one.reason and str(opening.text) in one.claim.text
    lab = moved.model_copy(update={"resources": tuple(
        r.model_copy(update={"external_network_id": "t2"}) if isinstance(r, Router) else r for r in moved.resources
    )})  # fmt: skip
    found = verdicts(SOURCE, lab, made)
    assert [v.claim.text for v in found.values() if v.outcome is Outcome.FAILED and "lab" in v.claim.text]


def test_an_opening_at_one_thing_more_than_was_allowed_fails_for_that_thing() -> None:
    hosts = tuple(HOST.model_copy(update={"id": i, "name": i, "mac_address": i}) for i in ("p1", "p2"))
    source = cloud("a", INNER, DB, *hosts)
    open_ = {"port_security_enabled": False, "security_group_ids": ()}
    made = planning.judged(
        edited(plan(source=source), "port:p1", **{**open_, "security_group_ids": []}), source, TARGET
    )
    made = planning.judged(made, source, TARGET, [o.id for o in made.openings])
    found = verdicts(source, cloud("b", INNER, DB, *(h.model_copy(update=open_) for h in hosts)), made)
    told = {
        v.claim.subject: v.outcome
        for v in found.values()
        if v.claim.kind == "opening" and v.claim.subject.startswith("port:")
    }
    assert told == {"port:p1": Outcome.HELD, "port:p2": Outcome.FAILED}


def test_without_a_plan_openings_are_judged_and_older_bundles_are_not() -> None:
    open_ = cloud("b", INNER, DB, RULE, HOST, BOX.model_copy(update={"read_acl": "pb:*,.r:*"}))
    found = verdicts(CLOSED, open_, None)
    assert [v.claim.subject for v in found.values() if v.outcome is Outcome.FAILED] == [
        "container:akten", "container ACLs", "container:akten",
    ]  # fmt: skip
    assert not [i for i in verdicts(CLOSED, open_, None, ()) if i.startswith("opening")]


def test_what_was_not_shown_is_not_held_and_not_failed() -> None:
    from unterbau.tenant.workload import NotShown

    note = NotShown(what="container:akten.read_acl", reason="HTTP 403")
    hidden = cloud("a", INNER, DB, RULE, HOST, BOX.model_copy(update={"read_acl": ""})).model_copy(
        update={"not_shown": (note,)}
    )
    there = cloud("b", INNER, DB, RULE, HOST, BOX.model_copy(update={"read_acl": "pb:*"}))
    found = verdicts(hidden, there, None)
    assert {v.outcome for v in found.values() if v.claim.kind == "opening" and "container ACLs" in v.claim.id} == {
        Outcome.NOT_SHOWN
    }
    assert {
        v.outcome for v in found.values() if v.claim.subject == "container:akten" and v.claim.kind == "opening"
    } == {Outcome.NOT_SHOWN}
    found = verdicts(CLOSED, there.model_copy(update={"not_shown": (note,)}), None)
    assert (
        found["opening container ACLs"].outcome is Outcome.NOT_SHOWN
        and "HTTP 403" in found["opening container ACLs"].reason
    )
    assert found["opening image visibility"].outcome is Outcome.HELD


def test_the_seeded_tenant_opens_nothing_anywhere(world: World) -> None:
    assert world.plan.openings == () and check(world.plan)[0] is Outcome.HELD
