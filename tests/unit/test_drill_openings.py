# SPDX-License-Identifier: Apache-2.0
"""A drill and what it opens: refused before the first write, allowed by name for good, and in the bundle.

Between two simulated clouds; `tests/e2e/test_openings.py` does the same by the command between two real ones.
"""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from unterbau import files
from unterbau.cloud.port import Surroundings
from unterbau.cloud.simulator import Simulator
from unterbau.errors import Refused, UsageError
from unterbau.evidence import signing_key
from unterbau.face import Face
from unterbau.saga import Journal, run
from unterbau.switch import census, evidence, folders, move, planning, verify
from unterbau.switch.drill import Drill, Tools, Words
from unterbau.switch.evidence import Bundle
from unterbau.switch.evidence.bundle import Context
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import (
    Change,
    Container,
    ExternalNetwork,
    Fate,
    FixedIp,
    Network,
    Opened,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from unterbau.verdict import Outcome

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)


class Named(Simulator):
    """A simulator with external networks of other names."""

    def __init__(self, folder: Path, name: str, networks: tuple[str, ...]) -> None:
        super().__init__(folder, name=name)
        self.networks = networks

    def surroundings(self) -> Surroundings:
        """See the port."""
        told = super().surroundings()
        known = tuple(ExternalNetwork(id=f"{n}-{self.name}", name=n) for n in self.networks)
        return told.model_copy(update={"offering": told.offering.model_copy(update={"external_networks": known})})


class World:
    """Two clouds, a small tenant in one, and a drill between them."""

    def __init__(self, root: Path) -> None:
        self.source = Named(root / "a", "a", ("intern-wan", "public"))
        self.target = Named(root / "b", "b", ("public",))
        put = self.source._put
        put(Network(id="n", name="inner", mtu=1450))
        put(Subnet(id="s", name="v4", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None))
        put(Router(id="r", name="edge", external_network_id="intern-wan-a"))
        put(SecurityGroup(id="g", name="db"))
        put(SecurityGroupRule(id="1", security_group_id="g", direction="ingress", ethertype="IPv4", protocol="tcp",
                              port_range_min=22, port_range_max=22, remote_ip_prefix="10.0.0.0/24"))  # fmt: skip
        put(Port(id="p", name="db", network_id="n", mac_address="fa:16:3e:00:00:01", security_group_ids=("g",),
                 fixed_ips=(FixedIp(subnet_id="s", ip_address="10.0.0.5"),)))  # fmt: skip
        put(Container(id="akten", name="akten", read_acl="project-a:*"))
        clouds = {"a": self.source, "b": self.target}
        self.tools = Tools(
            connect=lambda name: clouds[name], now=lambda: NOW, face=Face(quiet=True, verbose=False),
            stop=threading.Event(), keys=root / "keys", versions=dict, secrets=lambda name: (),
        )  # fmt: skip
        self.drill = Drill(folders.begin("a", "b", True, NOW), self.tools)
        self.folder = self.drill.folder

    def plan(self, *choices: str) -> Plan:
        self.drill.census()
        return self.drill.plan(Words(choices=choices))

    def edit(self, old: str, new: str) -> None:
        """By hand, in the file."""
        text = self.folder.plan.read_text()
        assert old in text
        self.folder.plan.write_text(text.replace(old, new, 1))

    def written(self) -> set[str]:
        return {r for r in self.target.enumerate_all() if not r.startswith("security_group")}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return World(tmp_path)


def opened_acl(made: Plan) -> Plan:
    """The plan as a person would edit it, so that everybody reads the container and reaches the database."""
    acl = Change(field="read_acl", was="project-a:*", to=".r:*", why="by hand")
    changes = {
        "container:akten": (acl,),
        "security_group_rule:1": (
            Change(field="port_range_min", was=22, to=5432, why="by hand"),
            Change(field="port_range_max", was=22, to=5432, why="by hand"),
            Change(field="remote_ip_prefix", was="10.0.0.0/24", to=None, why="by hand"),
        ),
    }
    entries = tuple(
        e.model_copy(update={"fate": Fate.CHANGED, "why": "by hand", "changes": changes[e.ref]})
        if e.ref in changes
        else e
        for e in made.entries
    )
    return made.model_copy(update={"entries": entries})


@pytest.mark.thorough
def test_a_move_of_an_edited_plan_is_refused_before_anything_is_written(world: World) -> None:
    world.folder.plan.write_text(planning.dump(opened_acl(world.plan())))
    with pytest.raises(Refused) as caught:
        world.drill.move()
    assert "tcp 5432 from anywhere" in caught.value.what and "akten" in caught.value.what
    assert "--allow-opening" in caught.value.remedy
    assert world.written() == set()


@pytest.mark.thorough
def test_what_was_allowed_is_durable_and_nothing_more_is_allowed_later(world: World) -> None:
    made = opened_acl(world.plan())
    mine = world.folder.path / "mine.yaml"
    mine.write_text(planning.dump(made))
    world.drill.adopt(mine)
    ids = tuple(o.id for o in world.drill.judged().openings)
    assert {o.kind for o in world.drill.load_plan().openings} == {Opened.INGRESS, Opened.CONTAINER_ACL}
    with pytest.raises(UsageError, match="opens nothing"):
        world.drill.move(Words(allowed=("ingress-0000000000",)))
    with pytest.raises(Refused):
        world.drill.move(Words(allowed=ids[:1]))
    assert world.drill.load_plan().allowed_openings == ids[:1] and world.written() == set()
    assert world.drill.move(Words(allowed=ids[1:])).complete
    assert world.drill.load_plan().allowed_openings == ids
    for words in (Words(), Words(allowed=ids), Words(allowed=ids[:1])):
        world.drill.adopt(mine)
        assert world.drill.move(words).complete, "the same command again"
    with pytest.raises(Refused, match="has begun"):
        world.drill.move(Words(allowed=("ingress-0000000000",)))
    with pytest.raises(Refused, match="has begun"):
        world.plan("external:intern-wan=public")
    mine.write_text(planning.dump(made).replace("why: by hand", "why: by foot"))
    with pytest.raises(Refused, match="another plan"):
        world.drill.adopt(mine)
    assert world.drill.move().complete


@pytest.mark.thorough
def test_a_choice_makes_the_plan_anew_as_long_as_nothing_was_begun(world: World) -> None:
    assert world.plan().openings == ()
    made = world.plan("external:intern-wan=public")
    assert [o.kind for o in made.openings] == [Opened.GATEWAY]
    assert world.plan() == made == world.plan("external:intern-wan=public"), "the same command, or none, keeps it"
    with pytest.raises(UsageError, match="no external network 'pubic'"):
        world.plan("external:intern-wan=pubic")
    assert world.drill.load_plan() == made, "a typo costs no plan"
    with pytest.raises(Refused, match="leads to the external network public"):
        world.drill.move()
    assert world.drill.move(Words(allowed=(made.openings[0].id,))).complete
    router = next(r for r in census.take(world.target, now=lambda: NOW).of(Router))
    assert router.external_network_id == "public-b"


@pytest.mark.thorough
def test_a_plan_of_another_drill_is_refused(world: World) -> None:
    other = world.folder.path / "other.yaml"
    other.write_text(planning.dump(world.plan().model_copy(update={"run": "20260101-aaaaaaaa"})))
    with pytest.raises(Refused, match="20260101-aaaaaaaa"):
        world.drill.adopt(other)


@pytest.mark.thorough
def test_the_bundle_holds_the_words_and_its_check_judges_by_them(world: World) -> None:
    made = world.plan("external:intern-wan=public")
    world.drill.move(Words(allowed=tuple(o.id for o in made.openings)))
    seen = verify.look(world.source, world.target, world.drill.load_plan(), work=world.folder.path, now=lambda: NOW)
    files.write(world.folder.verdicts, seen.model_dump_json().encode())
    sealed = world.drill.seal()
    assert sealed.context.command == (
        f"unterbau drill a b --keep --map external:intern-wan=public --allow-opening {made.openings[0].id}"
    )
    checked = evidence.check(world.folder.bundle.read_bytes())
    named = [v for v in checked.verdicts if v.claim.id == f"opening {made.openings[0].id}"]
    assert [v.outcome for v in named] == [Outcome.HELD] and checked.bundle.verification.judging == verify.JUDGINGS


@pytest.mark.thorough
@pytest.mark.parametrize("forced", [True, False], ids=["moved by the edited plan", "opened afterwards"])
def test_a_bundle_whose_target_opened_more_fails_whatever_its_plan_declares(world: World, forced: bool) -> None:
    """A move by something else than `Drill.move`, which refuses it."""
    made = world.plan()
    edited = opened_acl(made) if forced else made
    source = census.take(world.source, now=lambda: NOW)
    with Journal(world.folder.journal, now=lambda: NOW) as journal:
        assert run(move.steps(edited, source, world.source, world.target), journal, plan=edited.digest()).complete
        rows = tuple(journal.export())
    if not forced:
        box = world.target.read("container:akten")
        rule = next(r for r in census.take(world.target, now=lambda: NOW).of(SecurityGroupRule))
        assert box is not None
        world.target._put(box.model_copy(update={"read_acl": ".r:*"}))
        world.target._put(
            rule.model_copy(update={"port_range_min": 5432, "port_range_max": 5432, "remote_ip_prefix": None})
        )
    seen = verify.look(world.source, world.target, edited, work=world.folder.path, now=lambda: NOW)
    context = Context(run=edited.run, command="", rehearsal=False, sealed=NOW + timedelta(seconds=1), versions={})
    target = census.take(world.target, now=lambda: NOW)
    bundle = Bundle(source=source, target=target, plan=edited, journal=rows, verification=seen, context=context)
    checked = evidence.check(evidence.seal(bundle, signing_key(world.tools.keys)))
    failed = {v.claim.kind: v for v in checked.verdicts if v.outcome is Outcome.FAILED}
    openings = [v.claim.text for v in checked.verdicts if v.outcome is Outcome.FAILED and v.claim.kind == "opening"]
    assert any("tcp 5432 from anywhere (IPv4) reaches port db (10.0.0.5)" in t for t in openings)
    assert any("container akten is open to reading by everybody (.r:*)" in t for t in openings)
    assert (failed.keys() == {"opening"}) is forced, "what the plan declares is held as structure, and as nothing else"


@pytest.mark.thorough
def test_the_folder_takes_the_file_as_it_was_written(world: World) -> None:
    world.plan()
    world.edit("why:", "why:  ")
    before = world.folder.plan.read_bytes()
    world.drill.judged()
    assert world.folder.plan.read_bytes() == before, "nothing was found anew, so nothing is written"
    assert io.BytesIO(before).readline().startswith(b"# The plan")
