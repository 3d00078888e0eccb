# SPDX-License-Identifier: Apache-2.0
"""What a plan counts, checks and refuses, each rule at its edge; and where in a file a fault is."""

from __future__ import annotations

from typing import Any

import pytest
from test_planning import NOW, cloud, plan

from unterbau import canonical
from unterbau.defaults import DISKS_AT_ONCE
from unterbau.errors import PlanError, Refused, UsageError
from unterbau.switch import planning
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import (
    Container,
    ExternalNetwork,
    Fate,
    Image,
    Network,
    Offering,
    Port,
    Quota,
    Router,
    SecurityGroup,
    StoredObject,
    Subnet,
    Volume,
    VolumeType,
)
from unterbau.tenant.kinds.policy import Opened
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Outcome

HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN
GIB = 2**30
TYPES = (VolumeType(id="t", name="fast", is_default=True),)


def checks(made: Plan) -> dict[str, Outcome]:
    return {c.name: c.outcome for c in made.checks}


def said(made: Plan, name: str) -> list[str]:
    """What each check of that name tells a person, with what to do."""
    return [f"{c.text} {c.remedy}".rstrip() for c in made.checks if c.name == name]


def volume(number: int, gib: int = 1, status: str = "available") -> Volume:
    return Volume(id=f"v{number}", name=f"v{number}", status=status, size_gib=gib, volume_type="fast")


def offering(*quotas: Quota, **more: Any) -> Offering:
    return Offering(quotas=quotas, volume_types=TYPES, **more)


def quota(resource: str, limit: int, used: int, service: str = "network") -> Quota:
    return Quota(service=service, resource=resource, limit=limit, used=used)


@pytest.mark.parametrize(
    ("limit", "used", "outcome"),
    [(2, 0, HELD), (1, 0, FAILED), (3, 1, HELD), (3, 2, FAILED), (-1, 99, HELD), (0, 0, FAILED), (2, 2, FAILED)],
)
def test_a_quota_is_kept_up_to_its_limit(limit: int, used: int, outcome: Outcome) -> None:
    target = cloud("b", offering=offering(quota("network", limit, used)))
    made = plan(Network(id="1", name="a"), Network(id="2", name="b"), target=target)
    (check,) = [c for c in made.checks if c.name == "quota network"]
    assert check.outcome is outcome and bool(check.remedy) is (outcome is FAILED)
    short, free = f"needs 2, free are {limit - used} of {limit}", f"needs 2, {limit - used} free"
    assert str(check.text) == (short if outcome is FAILED else free if limit >= 0 else "needs 2, unlimited")


@pytest.mark.parametrize(("limit", "outcome"), [(5, HELD), (4, NOT_SHOWN), (3, NOT_SHOWN), (2, FAILED), (-1, HELD)])
def test_what_a_target_takes_of_a_quota_for_itself_may_be_too_much(limit: int, outcome: Outcome) -> None:
    """DHCP or metadata: a port of each network is the project's."""
    target = cloud("b", offering=offering(quota("port", limit, 1)))
    networks = [Network(id=n, name=n) for n in "12"]
    made = plan(
        *networks,
        *(Port(id=f"p{n.id}", name="p", network_id=n.id, mac_address=f"fa:16:3e:00:00:0{n.id}") for n in networks),
        target=target,
    )
    (check,) = [c for c in made.checks if c.name == "quota port"]
    assert check.outcome is outcome and bool(check.remedy) is (outcome is not HELD)
    if outcome is NOT_SHOWN:
        assert f"needs 2, free are {limit - 1} of {limit}; this cloud may take up to 2 more" in str(check.text)
    alone = {c.name: str(c.text) for c in plan(*networks, target=target).checks}
    assert alone["quota port"].startswith("needs 0")
    assert "quota port" not in checks(plan(*networks, target=cloud("b", offering=offering())))


def test_a_quota_that_is_not_told_is_not_shown_and_another_services_counts_for_nothing() -> None:
    target = cloud("b", offering=offering(quota("network", 0, 0, service="compute")))
    made = plan(Network(id="1", name="a"), target=target)
    assert checks(made)["quota network"] is NOT_SHOWN
    assert said(made, "quota network") == ["needs 1; b does not tell its limit"]


def test_the_temporaries_of_those_that_take_most_count_and_of_each_type_for_itself() -> None:
    kept = Quota(service="block_storage", resource="gigabytes_slow", limit=9, used=0)
    small = [volume(n).model_copy(update={"volume_type": "slow"}) for n in range(2)]
    large = [volume(10 + n, gib) for n, gib in enumerate((7, *range(2, 10)))]
    source = cloud("a", *small, *large, offering=offering(kept))
    made = planning.make(source, cloud("b", offering=offering()), run="r", now=NOW)
    suffix = " of the source, for a while"
    assert planning.READ_AT_ONCE == 8 and DISKS_AT_ONCE == 3
    assert said(made, f"quota snapshots{suffix}") == ["needs 8; a does not tell its limit"]
    assert said(made, f"quota gigabytes{suffix}") == [f"needs {2 * (7 + sum(range(3, 10)))}; a does not tell its limit"]
    assert said(made, f"quota gigabytes_slow{suffix}") == ["needs 4, 9 free"]
    (told,) = said(made, "quota gigabytes")
    assert told == f"needs {2 + 7 + sum(range(2, 10)) + 2 * (9 + 8 + 7)}; b does not tell its limit"


def test_a_limit_of_a_single_thing_is_held_against_the_largest_where_it_is_told() -> None:
    def made(*quotas: Quota) -> list[str]:
        things = plan(volume(1, 3), volume(2, 5), volume(3, 4), target=cloud("b", offering=offering(*quotas)))
        return said(things, "quota per_volume_gigabytes")

    assert made() == []
    assert made(quota("per_volume_gigabytes", 5, 0, "block_storage")) == ["needs 5, 5 free"]
    (short,) = made(quota("per_volume_gigabytes", 4, 0, "block_storage"))
    assert short.startswith("needs 5, free are 4 of 4 ")


def test_nothing_is_wanted_of_a_quota_of_nothing_and_that_is_not_unlimited() -> None:
    empty = (Container(id="c", name="c"), StoredObject(id="c/o", name="o", container="c", size_bytes=0, etag=""))
    made = plan(*empty, target=cloud("b", offering=offering(quota("bytes", 0, 0, "object_store"))))
    assert said(made, "quota bytes") == ["needs 0, 0 free"]


def test_what_is_left_or_stands_there_already_takes_no_quota() -> None:
    target = cloud("b", SecurityGroup(id="d2", name="default"), offering=offering())
    made = plan(SecurityGroup(id="d", name="default"), target=target)
    assert made.by_ref["security_group:d"].stands_in == "d2"
    assert "quota security_groups" not in checks(made) and made.estimate_seconds == 0


def test_bytes_and_seconds_are_of_what_moves() -> None:
    target = cloud("b", offering=offering())
    made = planning.make(cloud("a", volume(1, 2), volume(2, 3), volume(3, 7, status="error"), offering=offering()), target,
                         run="r", now=NOW, rate_bytes_per_second=GIB)  # fmt: skip
    assert made.by_ref["volume:v3"].fate is Fate.LEFT
    assert made.bytes_total == 5 * GIB and made.estimate_seconds == round(5 + 2 * planning.SECONDS_A_STEP, 1)
    usual = planning.make(cloud("a", volume(1, 2), offering=offering()), target, run="r", now=NOW)
    assert usual.estimate_seconds == round(2 * GIB / 50e6 + planning.SECONDS_A_STEP, 1)
    assert (usual.run, usual.made_at, usual.source.name, usual.target.name) == ("r", NOW, "a", "b")


@pytest.mark.parametrize(
    ("roles", "outcome"), [(("member",), HELD), (("admin",), HELD), (("reader",), FAILED), ((), FAILED)]
)
def test_a_move_needs_the_role_member(roles: tuple[str, ...], outcome: Outcome) -> None:
    target = cloud("b")
    target = target.model_copy(update={"identity": target.identity.model_copy(update={"roles": roles})})
    made = plan(target=target)
    assert checks(made)["rights"] is outcome
    needs = " A move needs the role member on the target." if outcome is FAILED else ""
    assert said(made, "rights") == [f"roles on the target: {', '.join(roles) or 'none'}{needs}"]


def test_the_target_is_empty_but_for_what_every_project_has() -> None:
    assert checks(plan(target=cloud("b", SecurityGroup(id="d", name="default"))))["target is empty"] is HELD
    made = plan(
        Network(id="1", name="net"), target=cloud("b", Network(id="2", name="net"), Network(id="3", name="other"))
    )
    assert (checks(made)["target is empty"], checks(made)["names"]) == (FAILED, FAILED)
    (names,) = [c for c in made.checks if c.name == "names"]
    assert "network:1" in names.text and names.remedy
    assert said(made, "target is empty") == [
        "the target holds 2 things: network:2 (net), network:3 (other) "
        "Name an empty project, or clean this one (`close --target` for an earlier drill)."
    ]
    other = plan(
        Network(id="1", name="net"), target=cloud("b", SecurityGroup(id="2", name="net"), Network(id="3", name="x"))
    )
    assert checks(other)["names"] is HELD, "another kind may be called so"
    nameless = plan(Network(id="1", name=""), target=cloud("b", Network(id="2", name="")))
    assert checks(nameless)["names"] is HELD


def test_what_an_optional_extension_gives_must_be_there() -> None:
    wanted = SecurityGroup(id="g", name="g", stateful=False)
    for has, outcome in ((("stateful-security-group",), HELD), (("other",), FAILED), ((), NOT_SHOWN)):
        found = checks(plan(wanted, target=cloud("b", offering=Offering(network_extensions=has))))
        told = {name: o for name, o in found.items() if name.startswith("network extension ")}
        assert told == {"network extension stateful-security-group": outcome}
        (words,) = said(plan(wanted, target=cloud("b", offering=Offering(network_extensions=has))), *told)
        assert words.startswith("used by security_group:g")
        assert ("the target tells none" in words, "the target lacks it" in words) == (not has, outcome is FAILED)
        assert ("Leave these in the plan" in words) is (outcome is FAILED)
    plain = checks(
        plan(SecurityGroup(id="g", name="g"), target=cloud("b", offering=Offering(network_extensions=("x",))))
    )
    assert not [name for name in plain if name.startswith("network extension ")]


def test_what_a_census_could_not_show_is_told_with_its_side_and_its_reason() -> None:
    def blind(name: str, *what: str) -> Workload:
        return cloud(name).model_copy(
            update={"not_shown": tuple(NotShown(what=w, reason=f"{w} is down") for w in what)}
        )

    made = planning.make(blind("a", "volumes", "images"), blind("b", "secrets"), run="r", now=NOW)
    assert said(made, "not shown") == [
        "source: volumes: volumes is down", "source: images: images is down", "target: secrets: secrets is down",
    ]  # fmt: skip
    assert checks(made)["not shown"] is NOT_SHOWN


# --- what a person chooses


def outside(name: str, *networks: tuple[str, str, bool]) -> Workload:
    return cloud(name, offering=Offering(
        external_networks=tuple(ExternalNetwork(id=i, name=n, is_default=d) for i, n, d in networks)
    ))  # fmt: skip


OURS = outside("a", ("x1", "public", True), ("x2", "a=b", False), ("x3", "dmz", False))
THEIRS = outside("b", ("y1", "public", False), ("y2", "public", True), ("y3", "c=d", False), ("y4", "internet", False))


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        ("external:public=internet", "public", "y4"), ("external:x1=y4", "x1", "y4"), ("external:a=b=internet", "a=b", "y4"),
        ("external:public=c=d", "public", "y3"), ("external:a=b=c=d", "a=b", "y3"), ("external:dmz=public", "dmz", "y2"),
    ],
)  # fmt: skip
def test_a_choice_is_read_by_names_and_ids(text: str, source: str, target: str) -> None:
    found = planning.choice(text, OURS, THEIRS)
    assert (found.kind, found.source, found.target) == ("external", source, target)


def test_where_two_readings_of_a_choice_are_possible_the_one_that_the_target_has_is_meant() -> None:
    ours = outside("a", ("x1", "a", False), ("x2", "a=b", False))
    for text, source, target in (("external:a=b=internet", "a=b", "y4"), ("external:a=c=d", "a", "y3")):
        found = planning.choice(text, ours, THEIRS)
        assert (found.source, found.target) == (source, target)


@pytest.mark.parametrize("text", ["external", "external:public", "router:a=b", "externalpublic=x", ":public=internet"])
def test_what_is_no_choice_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="is no choice") as caught:
        planning.choice(text, OURS, THEIRS)
    assert "KIND:NAME=NAME" in caught.value.remedy and "external" in caught.value.remedy


def test_a_choice_of_what_is_not_there_names_the_side_and_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"a has no external network 'publik'") as caught:
        planning.choice("external:publik=internet", OURS, THEIRS)
    assert caught.value.remedy == "nearest: public"
    with pytest.raises(UsageError, match=r"b has no external network 'qqqq'") as caught:
        planning.choice("external:public=qqqq", OURS, THEIRS)
    assert caught.value.remedy == "There are: c=d, internet, public."
    with pytest.raises(UsageError) as caught:
        planning.choice("external:public=internet", OURS, outside("b"))
    assert caught.value.remedy == "There are: none."


def test_two_choices_of_one_thing_contradict_each_other_and_the_same_twice_does_not() -> None:
    with pytest.raises(UsageError, match="contradicts another"):
        planning.make(OURS, THEIRS, run="r", now=NOW, choices=("external:dmz=internet", "external:dmz=public"))
    twice = ("external:dmz=internet", "external:dmz=y4")
    assert planning.make(OURS, THEIRS, run="r", now=NOW, choices=twice).choices == twice


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(Refused) as same:
        planning.make(cloud("a"), cloud("a"), run="r", now=NOW)
    assert "another cloud or project" in same.value.remedy
    with pytest.raises(UsageError) as twice:
        planning.make(OURS, THEIRS, run="r", now=NOW, choices=("external:dmz=internet", "external:dmz=public"))
    assert twice.value.remedy == "Leave one of them out."
    with pytest.raises(UsageError) as closed:
        planning.make(cloud("a"), cloud("b"), run="r", now=NOW, allowed=("x",))
    assert closed.value.remedy == "It opens nothing: leave the option out."
    with pytest.raises(UsageError) as far:
        planning.choice("external:pablo=internet", OURS, THEIRS)
    assert far.value.remedy.startswith("nearest: public"), "half of the letters are near enough"


@pytest.mark.parametrize(("count", "allowed"), [(0, 0), (1, 0), (1, 1), (5, 0), (7, 0), (7, 1), (7, 7)])
def test_the_check_of_openings_names_those_that_nobody_allowed_and_how_many_more(count: int, allowed: int) -> None:
    found = [Opening.of(Opened.INGRESS, "tcp 22 from 0.0.0.0/0", {f"port:{n}": f"p{n}"}) for n in range(count)]
    check = planning._check_openings(found, [o.id for o in found[:allowed]])
    shut = found[allowed:]
    assert (check.name, check.outcome) == ("openings", FAILED if shut else HELD)
    assert bool(check.remedy) is bool(shut) and ("--allow-opening" in str(check.remedy)) is bool(shut)
    text = str(check.text)
    assert [o.id in text for o in shut[:5]] == [True] * len(shut[:5])
    assert not any(o.id in text for o in shut[5:]) and (str(len(shut) - 5) + " more" in text) is (len(shut) > 5)
    if count and not shut:
        assert all(o.id in text for o in found)
    if not count:
        assert "nothing opens" in text


# --- a plan that somebody edited


def edited(made: Plan, **of_first: Any) -> Plan:
    first, *rest = made.entries
    return made.model_copy(update={"entries": (first.model_copy(update=of_first), *rest)})


TENANT = (
    Network(id="n", name="n"),
    Subnet(id="s", name="s", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None),
    Router(id="r", name="r"),
)


def test_a_plan_that_cannot_be_obeyed_names_each_fault() -> None:
    source = cloud("a", *TENANT)
    made = planning.make(source, cloud("b"), run="r", now=NOW)
    made.check_against(source)
    for broken, said in (
        (made.model_copy(update={"entries": made.entries[1:]}), "network:n of the source has no fate"),
        (edited(made, ref="network:z"), "network:z is not an object of the source"),
        (made.model_copy(update={"entries": (*made.entries, made.entries[0])}), "an object is listed twice"),
        (edited(made, fate=Fate.LEFT), "subnet:s needs network:n, which is left"),
        (edited(made, needs=("port:1",)), "network:n needs port:1, which is not in the plan"),
        (edited(made, needs=("subnet:s",)), "a circle: "),
    ):
        with pytest.raises(PlanError, match="cannot be obeyed") as caught:
            broken.check_against(source)
        assert said in caught.value.what and caught.value.remedy
    left = made.model_copy(update={"entries": tuple(e.model_copy(update={"fate": Fate.LEFT}) for e in made.entries)})
    left.check_against(source)


def test_a_plan_has_another_digest_when_anything_in_it_is_another() -> None:
    made = plan(Network(id="n", name="n"))
    others = [made, edited(made, fate=Fate.LEFT), edited(made, name="m"), made.model_copy(update={"run": "s"})]
    assert len({one.digest() for one in others}) == len(others)
    assert planning.load(planning.dump(made)).digest() == made.digest()
    assert made.digest() == canonical.digest(made.model_dump(mode="json"))


def test_what_needs_something_that_is_left_is_left_with_its_reason_and_remedy() -> None:
    made = planning.make(
        cloud("a", volume(1, status="error"), offering=offering()), cloud("b", offering=offering()), run="r", now=NOW
    )
    (lost,) = made.would_lose()
    entry = made.by_ref["volume:v1"]
    assert (lost.id, lost.field, lost.why) == ("volume:v1", "", entry.why) and entry.remedy


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("run: r", "run: [", "plan, line"),
        ("fate: carried, changed", "fate: nonsense", "plan, entry 1 (network:n) fate: "),
        ("run: r", "runs: r", "plan, run: "),
        ("entries:", "entries: 7\nelse:", "plan, entries: "),
        ("- ref: network:n", "- reff: network:n", "plan, entry 1 (?) ref: Field required (and 1 more)"),
        ("entries:\n", "entries:\n- 7\n", "plan, entry 1 (?): "),
        ("  changes:\n", "  changes:\n  - field: 7\n", "plan, entry 1 (network:n) changes.0."),
    ],
)
def test_a_fault_of_the_file_is_told_with_its_place(was: str, now: str, said: str) -> None:
    text = planning.dump(plan(Network(id="n", name="n", shared=True)))
    assert was in text
    with pytest.raises(PlanError) as caught:
        planning.load(text.replace(was, now, 1))
    assert caught.value.what.startswith(said) and caught.value.remedy


def test_a_file_that_holds_no_plan_at_all_is_told_so() -> None:
    for text in ("", "7", "[]"):
        with pytest.raises(PlanError, match="plan, the file: "):
            planning.load(text)
    with pytest.raises(PlanError, match=r"plan: .*characters are not allowed"):
        planning.load("a: \x00")


def test_a_line_that_is_no_yaml_is_told_by_its_number() -> None:
    for text, line in (("[", 1), ("run: r\nentries: [\n", 3), ("run: r\n\tfate: x\n", 2)):
        with pytest.raises(PlanError, match=rf"^plan, line {line}: "):
            planning.load(text)


def test_the_file_leaves_out_what_is_empty_and_says_what_a_person_may_do() -> None:
    text = planning.dump(plan(Network(id="n", name="", shared=True)))
    entries = text[text.index("entries:") : text.index("translate:")]
    assert text.startswith("# The plan of a move") and "chosen_by_target" not in entries and "remedy" not in entries
    assert "name: ''" in text and "fate: carried, changed" in text.replace("'", "")
    sizes = planning.make(cloud("a", *(Image(id=f"i{n}", name=f"grüße {n}", status="active", size_bytes=n) for n in (0, 1))),
                          cloud("b"), run="r", now=NOW)  # fmt: skip
    kept = planning.dump(sizes)
    assert "bytes: 0" not in kept and "bytes: 1\n" in kept and "name: grüße 1\n" in kept


def test_the_file_names_its_form_first_and_breaks_long_texts_where_a_wide_window_ends() -> None:
    made = plan(Network(id="n", name="word " * 60, shared=True))
    text = planning.dump(made)
    body = [line for line in text.splitlines() if not line.startswith("#")]
    assert next(line for line in body if line) == f"schema: {made.schema_}"
    assert 100 < max(len(line) for line in body if "word word" in line) <= 115
    assert planning.load(text) == made
