# SPDX-License-Identifier: Apache-2.0
"""What each verdict of a comparison says: of what, by which evidence of which side and time, and why. Pure."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from test_planning import NOW
from test_planning import cloud as side

from unterbau.cloud.simulator import Simulator
from unterbau.saga import Journal, Marker, run, unwind
from unterbau.switch import planning
from unterbau.switch.plan import Plan
from unterbau.switch.verify import JUDGINGS, compare, counterparts, observed, ownership
from unterbau.switch.verify.opened import opening_of
from unterbau.switch.verify.structure import HIDDEN, LOSSES, OPENINGS, PROVIDED, TEMPORARIES, Keys
from unterbau.tenant.kinds import (
    OWNER_ONLY,
    Attachment,
    Change,
    Container,
    Fate,
    FixedIp,
    Flavor,
    Image,
    Keypair,
    Kind,
    Network,
    Offering,
    Opened,
    Port,
    Resource,
    Router,
    Secret,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    Snapshot,
    StoredObject,
    Subnet,
    Volume,
)
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Observation, Outcome, Reason, Source, Verdict, Words, words

say = Reason.of
HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN
LATER = NOW + timedelta(hours=1)
NET = Network(id="n", name="net", description="ours")
BOX = Container(id="box", name="box", read_acl="stranger:*")


def there(*resources: Resource, **more: Any) -> Workload:
    """The target, seen an hour later."""
    return side("b", *resources).model_copy(update={"taken_at": LATER, **more})


def here(*resources: Resource, **more: Any) -> Workload:
    return side("a", *resources).model_copy(update=more)


def new(one: Any, **changes: Any) -> Any:
    return one.model_copy(update={"id": one.id if one.KNOWN.id_is_name else f"new-{one.id}", **changes})


def blind(*what: str) -> dict[str, Any]:
    return {"not_shown": tuple(NotShown(what=w, reason=f"{w} is down") for w in what)}


def verdict(found: tuple[Verdict, ...], id_: str) -> Verdict:
    (one,) = [v for v in found if v.claim.id == id_]
    return one


def seen(one: Verdict) -> list[tuple[str, object, object]]:
    """(where, when, what) of its evidence."""
    return [(o.source.where, o.source.at, o.value) for o in one.evidence]


def edited(plan: Plan, field: str, was: str, to: str) -> Plan:
    """With a change of a field that somebody wrote into it."""
    changes = {"fate": Fate.CHANGED, "changes": (Change(field=field, was=was, to=to, why="by hand"),)}
    return plan.model_copy(update={"entries": tuple(e.model_copy(update=changes) for e in plan.entries)})


def test_the_names_of_judgings_lie_in_bundles_and_are_spelled_as_ever() -> None:
    assert JUDGINGS == (
        "hidden fields",
        "openings",
        "remainder",
        "losses",
        "temporaries",
        "provided images",
        "counts of containers",
    )


# --- a thing


def test_a_verdict_on_a_thing_names_it_and_shows_both_sides_with_their_times() -> None:
    one = verdict(compare(here(NET), there(new(NET)), None, {}), "structure network:n")
    assert (one.claim.kind, one.claim.subject, one.claim.text) == (
        "structure", "network:n", say("claim.structure", key="network net"),
    )  # fmt: skip
    (left, right) = seen(one)
    assert left[:2] == ("source: a network:n", NOW) and right[:2] == ("target: b network:new-n", LATER)
    assert left[2] == right[2] and isinstance(left[2], dict) and left[2]["description"] == "ours"
    assert (one.outcome, one.reason) == (HELD, say("verdict.equal")) and {o.what for o in one.evidence} == {"facts"}


def test_a_thing_that_is_not_there_failed_unless_nothing_of_its_kind_was_seen() -> None:
    gone = verdict(compare(here(NET), there(), None, {}), "structure network:n")
    assert (gone.outcome, gone.reason) == (FAILED, say("verify.missing-there"))
    assert seen(gone)[1] == ("target: b network net", LATER, "absent")
    unseen = verdict(compare(here(NET), there(**blind("network")), None, {}), "structure network:n")
    assert (unseen.outcome, unseen.reason) == (NOT_SHOWN, "network is down")
    assert seen(unseen)[1] == ("target: b network net", LATER, None)
    other = verdict(compare(here(NET), there(**blind("volume")), None, {}), "structure network:n")
    assert other.outcome is FAILED, "that nothing of another kind was seen is no excuse"


def test_what_the_plan_leaves_is_not_shown_and_what_it_changes_is_held_with_the_plans_words() -> None:
    snapshot = Snapshot(id="t", name="t", status="available", volume_id="v", size_gib=1)
    shared = NET.model_copy(update={"shared": True})
    source = here(snapshot, Volume(id="v", name="v", status="available", size_gib=1), shared)
    plan = planning.make(source, there(), run="r", now=NOW)
    found = compare(source, there(new(shared, shared=False)), plan, {})
    left, changed = verdict(found, "structure snapshot:t"), verdict(found, "structure network:n")
    assert (left.outcome, left.reason) == (NOT_SHOWN, say("verify.left", why=plan.by_ref["snapshot:t"].why))
    assert [where for where, *_ in seen(left)] == ["source: a snapshot:t"]
    assert (changed.outcome, changed.reason) == (HELD, say("verify.changed", why=say("plan.network.private")))


def test_fields_that_one_side_hid_hold_nothing_and_are_told_by_their_reasons() -> None:
    source = here(BOX, **blind("container.read_acl", "container.write_acl"))
    one = verdict(compare(source, there(BOX), None, {}), "structure container:box")
    assert one.outcome is NOT_SHOWN
    assert str(one.reason) == "read_acl: container.read_acl is down; write_acl: container.write_acl is down"
    assert all("read_acl" not in value for _, _, value in seen(one) if isinstance(value, dict))
    same = {
        "not_shown": tuple(
            NotShown(what=f"container.{f}", reason="only its owner is told") for f in ("write_acl", "read_acl")
        )
    }
    both = verdict(compare(here(BOX), there(BOX, **same), None, {}), "structure container:box")
    assert both.reason == say("about", what="read_acl, write_acl", reason="only its owner is told")
    older = tuple(name for name in JUDGINGS if name != HIDDEN)
    assert verdict(compare(source, there(BOX), None, {}, older), "structure container:box").outcome is HELD
    changed = verdict(compare(source, there(new(BOX, metadata={"a": "b"})), None, {}), "structure container:box")
    assert changed.outcome is FAILED, "what differs besides failed all the same"


def test_reasons_of_different_kinds_stand_in_the_order_of_their_words() -> None:
    reasons: tuple[Words, ...] = (say("verify.not-read"), "an error of the cloud", say("verdict.equal"))
    fields = ("read_acl", "write_acl", "sync_to")
    notes = tuple(NotShown(what=f"container.{f}", reason=r) for f, r in zip(fields, reasons, strict=True))
    one = verdict(compare(here(BOX, not_shown=notes), there(BOX), None, {}), "structure container:box")
    assert (
        str(one.reason) == "write_acl: an error of the cloud; sync_to: equal on both sides; read_acl: it was not read"
    )


def test_a_thing_of_which_only_its_being_is_known_holds_and_fails_nothing() -> None:
    secret = Secret(id="e", name="e")
    found = compare(here(secret, **blind("secret:e")), there(new(secret, algorithm="aes")), None, {})
    one = verdict(found, "structure secret:e")
    assert (one.outcome, one.reason, seen(one)[0][2]) == (NOT_SHOWN, "secret:e is down", None)


# --- its content


def hashed(where: str, value: str | None, reason: Words = "") -> Observation:
    return Observation(what="sha256", value=value, source=Source(where=where, at=NOW), reason=reason)


def test_a_content_is_held_by_the_hashes_of_both_sides_and_by_nothing_less() -> None:
    image = Image(id="i", name="i", status="active")
    a, b = hashed("source: image:i", "1"), hashed("target: image:new-i", "1")
    for hashes, outcome in (
        ({("source", "image:i"): a, ("target", "image:new-i"): b}, HELD),
        ({("source", "image:i"): a, ("target", "image:new-i"): hashed("target: image:new-i", "2")}, FAILED),
        ({("source", "image:i"): a}, NOT_SHOWN), ({("target", "image:new-i"): b}, NOT_SHOWN), ({}, NOT_SHOWN),
    ):  # fmt: skip
        one = verdict(compare(here(image), there(new(image)), None, hashes), "content image:i")
        assert one.outcome is outcome and one.claim.subject == "image:i" and one.claim.kind == "content"
        assert one.claim.text == say("claim.content", key="image i") and set(one.evidence) == set(hashes.values())
    absent = compare(here(image), there(), None, {("source", "image:i"): a})
    assert not [v for v in absent if v.claim.kind == "content"], "a thing that is missing is one fault, not two"
    assert not [v for v in compare(here(NET), there(new(NET)), None, {}) if v.claim.kind == "content"]


def test_what_was_observed_is_found_in_the_verdicts_again_by_side_and_thing() -> None:
    image = Image(id="i", name="i", status="active")
    hashes = {("source", "image:i"): hashed("source: image:i", "1"), ("target", "image:new-i"): hashed("target: image:new-i", "2"),
              ("source", OWNER_ONLY[0]): hashed(f"source: {OWNER_ONLY[0]}", "acl")}  # fmt: skip
    assert observed(compare(here(image), there(new(image)), None, hashes)) == hashes
    odd = StoredObject(id="box/a: b", name="a: b", container="box", size_bytes=1, etag="e")
    named = {(at, odd.ref): hashed(f"{at}: {odd.ref}", "1") for at in ("source", "target")}
    assert observed(compare(here(BOX, odd), there(BOX, odd), None, named)) == named


# --- the whole of a kind


@pytest.mark.thorough
def test_a_kind_is_complete_if_the_same_things_are_on_both_sides() -> None:
    mine = [Network(id=str(n), name=f"m{n}") for n in range(7)]
    theirs = [Network(id=f"t{n}", name=f"t{n}") for n in range(7)]
    one = verdict(compare(here(*mine), there(*theirs), None, {}), "completeness network")
    assert (one.claim.kind, one.claim.subject, one.claim.text) == (
        "completeness", "network", say("claim.completeness", kind="network")
    )  # fmt: skip
    missing, surplus = ([f"network {side}{n}" for n in range(5)] for side in "mt")
    assert one.outcome is FAILED
    assert str(one.reason) == f"{say('verify.missing', things=missing)}; {say('verify.surplus', things=surplus)}"
    assert [(where, at, len(value)) for where, at, value in seen(one) if isinstance(value, list)] == [
        ("source: a network", NOW, 7), ("target: b network", LATER, 7)
    ]  # fmt: skip
    fewer = verdict(compare(here(*mine), there(*map(new, mine[1:])), None, {}), "completeness network")
    assert fewer.reason == say("verify.missing", things=["network m0"])
    more = verdict(compare(here(*mine[1:]), there(*map(new, mine)), None, {}), "completeness network")
    assert more.reason == say("verify.surplus", things=["network m0"])
    assert verdict(compare(here(*mine), there(*map(new, mine)), None, {}), "completeness network").outcome is HELD
    ids = [
        v.claim.id
        for v in compare(here(NET), there(Volume(id="v", name="v", status="available", size_gib=1)), None, {})
    ]
    assert [i for i in ids if i.startswith("completeness")] == ["completeness network", "completeness volume"]


@pytest.mark.parametrize("blinded", ["source", "target"])
def test_of_a_kind_that_one_side_did_not_show_nobody_knows_whether_it_is_complete(blinded: str) -> None:
    notes = blind("network", "volumes")
    source = here(NET, **(notes if blinded == "source" else {}))
    target = there(new(NET), **(notes if blinded == "target" else {}))
    found = compare(source, target, None, {})
    one = verdict(found, "completeness network")
    assert (one.outcome, one.reason) == (NOT_SHOWN, "network is down")
    assert [value is None for *_, value in seen(one)] == [blinded == "source", blinded == "target"]
    note = verdict(found, f"coverage {blinded} volumes")
    assert (note.claim.kind, note.claim.subject, note.outcome, note.reason) == (
        "coverage",
        "volumes",
        NOT_SHOWN,
        "volumes is down",
    )
    assert note.claim.text == say("claim.coverage", what="volumes", side=say(f"side.{blinded}"))


@pytest.mark.thorough
def test_what_is_left_what_is_from_birth_and_what_is_the_users_own_is_neither_missing_nor_surplus() -> None:
    def complete(source: Workload, target: Workload, kind: str, plan: Plan | None = None) -> Verdict:
        return verdict(compare(source, target, plan, {}), f"completeness {kind}")

    default, other = SecurityGroup(id="d", name="default"), SecurityGroup(id="g", name="g")
    assert complete(here(other), there(new(other), default), "security_group").outcome is HELD
    assert complete(here(other, default), there(new(other)), "security_group").outcome is FAILED, (
        "the source's is meant"
    )
    ours, own = (
        SecurityGroupRule(id=f"r{g.id}", security_group_id=g.id, direction="egress", ethertype="IPv4")
        for g in (other, default)
    )
    born = there(new(other), new(ours, security_group_id="new-g"), default, own)
    assert complete(here(other, ours), born, "security_group_rule").outcome is HELD
    assert complete(here(other, ours, default, own), born, "security_group_rule").outcome is HELD
    key, theirs = (Keypair(id=n, name=n, public_key="ssh-rsa A", fingerprint="f") for n in ("k", "l"))
    assert complete(here(key), there(key, theirs), "keypair").outcome is HELD
    assert complete(here(key), there(theirs, key), "keypair").outcome is HELD
    assert complete(here(key, theirs), there(key), "keypair").outcome is FAILED
    snapshot = Snapshot(id="t", name="t", status="available", volume_id="v", size_gib=1)
    plan = planning.make(here(snapshot), there(), run="r", now=NOW)
    assert complete(here(snapshot), there(), "snapshot", plan).outcome is HELD
    assert complete(here(snapshot), there(), "snapshot").outcome is FAILED


def test_what_a_move_left_that_it_made_for_a_moment_is_told_apart_from_the_tenants() -> None:
    marks = ("unterbau.r.1", "unterbau.r.2")
    extra = [Network(id="x1", name="x", marker=marks[0]), Network(id="x2", name=marks[1])]
    found = compare(here(NET), there(new(NET), *extra), None, {}, temporary=marks)
    assert verdict(found, "completeness network").outcome is HELD
    one = verdict(found, "completeness temporaries target")
    assert (one.outcome, one.reason) == (
        FAILED,
        say("verify.temporaries", things=["network:x1", "network:x2"], count=2),
    )
    assert (one.claim.kind, one.claim.subject) == ("completeness", "temporaries")
    assert one.claim.text == say("claim.temporaries", side=say("side.target"))
    assert seen(one) == [("target: b temporaries", LATER, ["network:x1", "network:x2"])]
    ours = verdict(
        compare(here(NET, extra[0]), there(new(NET)), None, {}, temporary=marks), "completeness temporaries source"
    )
    assert seen(ours)[0][:2] == ("source: a temporaries", NOW)
    many = [Network(id=f"y{n}", name=marks[0]) for n in range(7)]
    crowd = verdict(compare(here(), there(*many), None, {}, temporary=marks), "completeness temporaries target")
    assert crowd.reason == say("verify.temporaries", things=[f"network:y{n}" for n in range(5)], count=7)
    older = tuple(name for name in JUDGINGS if name != TEMPORARIES)
    assert (
        verdict(
            compare(here(NET), there(new(NET), *extra), None, {}, older, temporary=marks), "completeness network"
        ).outcome
        is FAILED
    )


def test_what_had_ended_by_its_own_word_when_the_later_side_was_seen_is_on_neither() -> None:
    ends = {"delete_at": LATER}
    mine = [
        StoredObject(id=f"box/{n}", name=n, container="box", size_bytes=1, etag="e", **e)
        for n, e in (("a", ends), ("b", {}))
    ]
    found = compare(here(BOX, *mine), there(BOX, mine[1]), None, {})
    assert verdict(found, "completeness object").outcome is HELD
    assert "structure object:box/a" not in [v.claim.id for v in found]
    later = mine[0].model_copy(update={"delete_at": LATER + timedelta(seconds=1)})
    gone = compare(here(BOX, later, mine[1]), there(BOX, mine[1]), None, {})
    assert verdict(gone, "structure object:box/a").outcome is FAILED


def test_an_image_of_the_provider_is_the_same_by_its_hash_unless_an_older_judging_knows_it_by_id_only() -> None:
    def booted(name: str, image: str, hash_value: str) -> Workload:
        one = Image(id=image, name="debian", status="active", hash_algo="sha512", hash_value=hash_value)
        server = Server(
            id=f"s{name}",
            name="s",
            status="ACTIVE",
            image_id=image,
            flavor=Flavor(name="m", vcpus=1, ram_mib=1, disk_gib=0),
        )
        return side(name, server, offering=Offering(images=(one,)))

    source, same, other = booted("a", "1", "aa"), booted("b", "2", "aa"), booted("b", "2", "bb")
    assert verdict(compare(source, same, None, {}), "structure server:sa").outcome is HELD
    assert verdict(compare(source, other, None, {}), "structure server:sa").outcome is FAILED
    older = tuple(name for name in JUDGINGS if name != PROVIDED)
    assert verdict(compare(source, same, None, {}, older), "structure server:sa").outcome is FAILED


# --- twins


def test_twins_are_paired_by_what_they_are_then_by_what_belongs_to_them_then_by_their_content() -> None:
    def disks(*sizes: tuple[str, int]) -> list[Volume]:
        return [Volume(id=i, name="data", status="available", size_gib=s) for i, s in sizes]

    source, target = here(*disks(("1", 5), ("2", 9))), there(*disks(("x", 9), ("y", 5)))
    assert counterparts(source, target, None, {}) == {"volume:1": "volume:y", "volume:2": "volume:x"}
    nets = [Network(id=i, name="twin") for i in "12"]
    subnets = [
        Subnet(id=f"s{i}", name="", network_id=i, ip_version=4, cidr=f"10.{i}.0.0/24", gateway_ip=None) for i in "12"
    ]
    swapped = [s.model_copy(update={"network_id": "1" if s.network_id == "2" else "2"}) for s in subnets]
    assert counterparts(here(*nets, *subnets), there(*nets, *swapped), None, {})["network:1"] == "network:2"
    same, again = disks(("1", 5), ("2", 5)), disks(("x", 5), ("y", 5))
    hashes = {("source", "volume:1"): hashed("", "b"), ("source", "volume:2"): hashed("", "a"),
              ("target", "volume:x"): hashed("", "a"), ("target", "volume:y"): hashed("", "b")}  # fmt: skip
    assert counterparts(here(*same), there(*again), None, hashes) == {"volume:1": "volume:y", "volume:2": "volume:x"}
    shared = planning.make(here(*source.resources), there(), run="r", now=NOW)
    named = shared.model_copy(update={"entries": tuple(
        e.model_copy(update={"fate": Fate.CHANGED, "changes": (Change(field="name", was="data", to=f"data {e.ref[-1]}", why="by hand"),)})
        for e in shared.entries
    )})  # fmt: skip
    renamed = there(*(v.model_copy(update={"id": f"r{v.id}", "name": f"data {v.id}"}) for v in source.of(Volume)))
    assert counterparts(source, renamed, named, {}) == {"volume:1": "volume:r1", "volume:2": "volume:r2"}
    keys = Keys(here(*same))
    assert {keys(r) for r in ("volume:1", "volume:2")} == {"volume data", "volume data (2)"}
    assert keys("volume:gone") == "foreign volume:gone"


def test_ids_count_for_nothing_and_what_they_point_to_counts() -> None:
    port = Port(
        id="p", name="p", network_id="n", mac_address="m", fixed_ips=(FixedIp(subnet_id="u", ip_address="10.0.0.5"),)
    )
    other = Network(id="o", name="other")
    moved = new(port, network_id="new-n", fixed_ips=())
    one = verdict(compare(here(NET, other, port), there(new(NET), new(other), moved), None, {}), "structure port:p")
    assert one.outcome is FAILED, "its address is gone, so it is another one"
    server = Server(id="s", name="s", status="ACTIVE", flavor=Flavor(id="1", name="m", vcpus=1, ram_mib=1, disk_gib=0))
    disks = [Volume(id=i, name=f"disk {i}", status="in-use", size_gib=1) for i in "vw"]
    held = [
        Attachment(id=f"s/{i}", server_id="s", volume_id=i, device=f"/dev/vd{d}") for i, d in (("v", "a"), ("w", "b"))
    ]
    turned = [a.model_copy(update={"device": d}) for a, d in zip(held, ("/dev/vdb", "/dev/vda"), strict=True)]
    flavored = server.model_copy(update={"flavor": server.flavor.model_copy(update={"id": "2"})})
    for attachments, outcome in ((held, HELD), (turned, FAILED)):
        found = compare(here(server, *disks, *held), there(flavored, *disks, *attachments), None, {})
        assert verdict(found, "structure server:s").outcome is outcome


# --- losses


def test_each_loss_is_a_claim_on_the_plan_with_the_field_and_both_values() -> None:
    shared = NET.model_copy(update={"shared": True})
    plan = planning.make(here(shared), there(), run="r", now=NOW)
    found = compare(here(shared), there(new(shared, shared=False, description="x" * 200)), plan, {})
    announced, silent = verdict(found, "lost network:n.shared"), verdict(found, "lost network:n.description")
    assert (announced.outcome, announced.reason) == (
        NOT_SHOWN,
        say("verify.lost.announced", why=say("plan.network.private")),
    )
    assert silent.outcome is FAILED
    assert silent.reason == say("verify.lost.changed", before="ours", after="x" * 159 + "…")
    for one in (announced, silent):
        field = one.claim.id.rpartition(".")[2]
        assert (one.claim.kind, one.claim.subject) == ("loss", "network:n")
        assert one.claim.text == say("claim.lost", field=field, key="network net")
        assert seen(one) == [("plan", NOW, f"network:n.{field}")] and one.evidence[0].what == "loss"
    nothing = verdict(compare(here(NET), there(new(NET, mtu=1400)), planning.make(here(NET), there(), run="r", now=NOW), {}),
                      "lost network:n.mtu")  # fmt: skip
    assert nothing.reason == say("verify.lost.changed", before="–", after="1400")
    assert not [v for v in compare(here(NET), there(), plan, {}) if v.claim.id == "lost network:n.mtu"]
    exact = verdict(compare(here(NET), there(new(NET, description="y" * 160)), plan, {}), "lost network:n.description")
    assert exact.reason == say("verify.lost.changed", before="ours", after="y" * 160)


def test_a_change_that_somebody_wrote_into_the_plan_is_a_loss_that_it_announces() -> None:
    source = here(NET)
    plan = planning.make(source, there(), run="r", now=NOW)
    found = compare(source, there(new(NET, description="")), edited(plan, "description", "ours", ""), {})
    assert verdict(found, "lost network:n.description").reason == say("verify.lost.announced", why="by hand")
    assert verdict(found, "structure network:n").outcome is HELD


def test_what_the_target_decided_otherwise_is_told_with_both_values() -> None:
    router = Router(id="r", name="r", ha=True, distributed=False)
    plan = planning.make(here(router), there(), run="r", now=NOW)
    found = compare(here(router), there(new(router, ha=False)), plan, {})
    one = verdict(found, "lost router:r.ha")
    assert (one.outcome, one.reason) == (NOT_SHOWN, say("verify.lost.decided", before="True", after="False"))
    assert "lost router:r.distributed" not in [v.claim.id for v in found]
    assert [v.claim.id for v in found if v.claim.kind == "loss"] == ["lost router:r.ha"]
    older = tuple(name for name in JUDGINGS if name != LOSSES)
    assert (
        verdict(compare(here(router), there(new(router, ha=False)), plan, {}, older), "structure router:r").outcome
        is FAILED
    )


# --- openings


def opened(source: Workload, target: Workload, plan: Plan | None = None) -> dict[str, Verdict]:
    return {v.claim.id: v for v in compare(source, target, plan, {}) if v.claim.kind == "opening"}


def test_each_way_to_open_something_has_a_claim_of_its_own_that_names_what_was_looked_at() -> None:
    found = opened(here(NET), there(new(NET)))
    assert found.keys() == {f"opening {kind.value}" for kind in Opened}
    for kind in Opened:
        one = found[f"opening {kind.value}"]
        assert (one.outcome, one.reason, one.claim.subject) == (HELD, say("verify.opened.nothing"), kind.value)
        assert one.claim.text == say("claim.openings", kind=kind.words)
        assert seen(one) == [
            (f"source: a {kind.value}", NOW, "looked at"),
            (f"target: b {kind.value}", LATER, "looked at"),
        ]
        assert {o.what for o in one.evidence} == {"open"}
    older = tuple(name for name in JUDGINGS if name != OPENINGS)
    assert not [v for v in compare(here(NET), there(new(NET)), None, {}, older) if v.claim.kind == "opening"]


SHUT = Container(id="box", name="box")
OPEN = SHUT.model_copy(update={"read_acl": ".r:*"})
KIND = f"opening {Opened.CONTAINER_ACL.value}"


def test_what_opened_failed_until_somebody_allows_it_by_its_id_and_then_both_claims_hold() -> None:
    found = opened(here(SHUT), there(OPEN))
    (id_,) = found.keys() - {f"opening {kind.value}" for kind in Opened}
    one, all_ = found[id_], found[KIND]
    name = id_.removeprefix("opening ")
    assert (one.outcome, one.reason, one.claim.subject) == (FAILED, say("verify.opened.shut", id=name), "container:box")
    assert seen(one) == [(f"source: a {name}", NOW, False), (f"target: b {name}", LATER, True)]
    assert words(opening_of(one.claim)).startswith("container box") and opening_of(all_.claim) == all_.claim.text
    assert (
        opening_of(one.claim.model_copy(update={"text": "as an older version said it"}))
        == "as an older version said it"
    )
    assert (all_.outcome, all_.reason) == (FAILED, one.reason)
    plan = edited(planning.make(here(SHUT), there(), run="r", now=NOW), "read_acl", "", ".r:*")
    allowed = planning.judged(plan, here(SHUT), there(), (name,))
    found = opened(here(SHUT), there(OPEN), allowed)
    assert (found[id_].outcome, found[id_].reason) == (HELD, say("verify.opened.allowed", id=name))
    assert (found[KIND].outcome, found[KIND].reason) == (HELD, found[id_].reason)
    other = allowed.model_copy(update={"allowed_openings": ("x",)})
    assert opened(here(SHUT), there(OPEN), other)[id_].outcome is FAILED


def test_whether_something_opened_is_not_shown_where_one_side_was_not_seen() -> None:
    hidden = opened(here(SHUT, **blind("container.read_acl")), there(OPEN))
    (id_,) = hidden.keys() - {f"opening {kind.value}" for kind in Opened}
    name = id_.removeprefix("opening ")
    one, all_ = hidden[id_], hidden[KIND]
    assert (one.outcome, one.reason) == (NOT_SHOWN, say("verify.opened.unseen", why="container.read_acl is down"))
    assert seen(one)[0] == (f"source: a {name}", NOW, None) and one.evidence[0].reason == "container.read_acl is down"
    assert (all_.outcome, all_.reason) == (NOT_SHOWN, one.reason)
    assert seen(all_)[0][2] == "looked at"
    blinded = opened(here(SHUT), there(SHUT, **blind("container.read_acl", "container.write_acl")))
    all_ = blinded[KIND]
    assert all_.outcome is NOT_SHOWN and seen(all_)[1][2] is None
    assert "container.read_acl is down" in str(all_.reason) and "container.write_acl is down" in str(all_.reason)
    worse = opened(here(SHUT), there(OPEN, **blind("container.write_acl")))
    assert worse[KIND].outcome is FAILED, "what is known to be open failed, whatever else was not seen"
    assert {worse[f"opening {o.value}"].outcome for o in Opened if o is not Opened.CONTAINER_ACL} == {HELD}


# --- whether the verifier is an owner


def owner(side_: str, value: str | None, reason: Words = "") -> dict[tuple[str, str], Observation]:
    return {(side_, OWNER_ONLY[0]): hashed(f"{side_}: {OWNER_ONLY[0]}", value, reason)}


def test_whether_an_empty_acl_is_empty_is_a_claim_for_each_side_that_was_asked() -> None:
    told = verdict(compare(here(BOX), there(BOX), None, owner("source", ".r:-x")), "coverage source owner")
    assert (told.outcome, told.reason, told.claim.kind, told.claim.subject) == (
        HELD,
        say("verify.owner.told"),
        "coverage",
        OWNER_ONLY[0],
    )
    assert told.claim.text == say("claim.owner", side=say("side.source")) and len(told.evidence) == 1
    hidden = verdict(compare(here(BOX), there(BOX), None, owner("target", None, "no")), "coverage target owner")
    assert (hidden.outcome, hidden.reason) == (NOT_SHOWN, "no")
    older = tuple(name for name in JUDGINGS if name != HIDDEN)
    assert not [
        v for v in compare(here(BOX), there(BOX), None, owner("source", "x"), older) if v.claim.id.endswith(" owner")
    ]


def test_a_census_loses_its_doubt_only_about_what_owners_are_told_and_only_when_it_was_told() -> None:
    unsure = here(BOX, **blind(OWNER_ONLY[0], "volumes", OWNER_ONLY[-1]))
    (told,) = owner("source", ".r:-x").values()
    (not_told,) = owner("source", None, "no").values()
    assert [n.what for n in ownership.known(unsure, told).not_shown] == ["volumes"]
    assert ownership.known(unsure, not_told) == ownership.known(unsure, None) == unsure


@pytest.mark.thorough
def test_a_trial_is_made_only_where_the_census_could_not_tell_is_read_back_and_taken_away(tmp_path: Path) -> None:
    clouds = {name: Simulator(tmp_path / name, name=name) for name in ("source", "target")}
    seen_ = {"source": here(**blind(OWNER_ONLY[-1])), "target": there(**blind(OWNER_ONLY[0]))}
    steps = ownership.trials(clouds, seen_, "r1")
    assert [step.name for step in steps] == ["owner of source"]
    mark = Marker(run="r1", node="owner of source").tag()
    with Journal(tmp_path / "j") as journal:
        assert run(steps, journal).complete
        assert journal.status.intents["owner of source"] == {
            "side": "source",
            "kind": "container",
            "name": mark,
            "marker": mark,
        }
        made = {name: f"container:{mark}" in cloud.enumerate_all() for name, cloud in clouds.items()}
        assert made == {"source": True, "target": False}
        found = ownership.told(steps, journal.status.outputs, journal.status.errors, LATER)
        (key,) = found
        assert key == ("source", OWNER_ONLY[0])
        assert (found[key].value, found[key].reason) == (".r:-unterbau.invalid", "")
        assert (found[key].source.where, found[key].source.at) == (f"source: {OWNER_ONLY[0]}", LATER)
        assert unwind(steps, journal).complete
    assert clouds["source"].read(f"container:{mark}") is None


def test_what_a_trial_was_not_told_or_could_not_do_is_its_reason() -> None:
    (step,) = ownership.trials({"source": object()}, {"source": here(**blind(OWNER_ONLY[-1]))}, "r1")  # type: ignore[dict-item]
    (silent,) = ownership.told([step], {step.name: {"id": "x", "told": ""}}, {}, NOW).values()
    assert (silent.value, silent.reason) == (None, say("verify.owner.not-told"))
    error = {"kind": "Forbidden", "message": "no right"}
    (failed,) = ownership.told([step], {}, {step.name: error}, NOW).values()  # type: ignore[dict-item]
    assert (failed.value, failed.reason) == (None, say("cloud.said", kind="Forbidden", what="no right"))


def test_claims_have_ids_of_their_own_and_a_side_that_is_not_the_source_is_the_target() -> None:
    resources = (NET, BOX, Volume(id="v", name="v", status="available", size_gib=1))
    found = compare(here(*resources, **blind("orders")), there(*map(new, resources), **blind("orders")), None, {})
    ids = [v.claim.id for v in found]
    assert len(ids) == len(set(ids)) and {"coverage source orders", "coverage target orders"} <= set(ids)
    assert {v.claim.kind for v in found} == {"structure", "content", "completeness", "coverage", "opening"}
    assert [v.claim.subject for v in found if v.claim.kind == "completeness"] == [
        k.value for k in Kind if k in (Kind.NETWORK, Kind.CONTAINER, Kind.VOLUME)
    ]  # fmt: skip
