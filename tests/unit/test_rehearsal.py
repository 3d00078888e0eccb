# SPDX-License-Identifier: Apache-2.0
"""What the servers of a rehearsal may do: nothing, or with `--boot` reach their own networks. Between two simulators."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from unterbau import files
from unterbau.cloud.simulator import Simulator
from unterbau.errors import BundleError, Refused
from unterbau.evidence import signing_key
from unterbau.face import Face
from unterbau.switch import drill, evidence, folders, verify
from unterbau.switch.drill import Drill, Tools
from unterbau.switch.probes.model import Tcp
from unterbau.switch.verify.structure import JUDGINGS, PROBES
from unterbau.tenant.kinds import Guests, Kind, Port, Resource, Route, Router, Server
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict, words

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


class Watched(Simulator):
    """Knows the wishes in the order in which they came."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name=name)
        self.asked: list[Resource] = []

    def ensure(self, resource: Resource, marker: str, **more: Any) -> str:
        self.asked.append(resource)
        return super().ensure(resource, marker, **more)


class Between:
    """A drill of the seeded tenant."""

    def __init__(self, root: Path, planted: Path, *, keep: bool = False, boot: bool = False) -> None:
        shutil.copytree(planted, root / "a")
        self.clouds = {"a": Simulator(root / "a", name="a"), "b": Watched(root / "b", "b")}
        self.target = self.clouds["b"]
        self.tools = Tools(
            connect=self.clouds.__getitem__, now=lambda: NOW, face=Face(quiet=True), stop=threading.Event(),
            keys=root / "keys", versions=dict, secrets=lambda name: (),
        )  # fmt: skip
        self.drill = Drill(folders.begin("a", "b", keep, NOW, boot=boot), self.tools)
        self.drill.census()
        self.plan = self.drill.plan()

    def there(self, kind: Kind) -> list[Any]:
        return list(self.target.listing(kind).resources)

    def moved(self) -> dict[str, Verdict]:
        """The verdicts after the move."""
        assert self.drill.move().complete
        seen = verify.look(
            *self.drill.clouds(), self.drill.load_plan(), work=self.drill.folder.path, now=self.tools.now
        )
        files.write(self.drill.folder.verdicts, seen.model_dump_json(indent=1).encode())
        return {v.claim.id: v for v in seen.verdicts}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def failed(verdicts: dict[str, Verdict]) -> list[str]:
    return [f"{v.claim.id}: {words(v.reason)}" for v in verdicts.values() if v.outcome is Outcome.FAILED]


def of_guests(between: Between) -> set[str]:
    servers = between.clouds["a"].listing(Kind.SERVER).resources
    return {p for s in servers if isinstance(s, Server) for p in s.port_ids}


@pytest.mark.thorough
def test_from_birth_nothing_leaves_a_server_of_a_rehearsal_and_in_the_end_it_is_stopped(
    root: Path, planted: Path
) -> None:
    between = Between(root, planted)
    told = between.moved()
    ports = [w for w in between.clouds["b"].asked if isinstance(w, Port)]  # type: ignore[attr-defined]
    macs = {p.mac_address for p in between.clouds["a"].listing(Kind.PORT).resources if p.id in of_guests(between)}  # type: ignore[union-attr]
    assert macs and {p.mac_address for p in ports if not p.admin_state_up} >= macs
    assert {p.admin_state_up for p in between.there(Kind.PORT) if p.mac_address in macs} == {False}
    assert {s.status for s in between.there(Kind.SERVER)} == {"SHUTOFF"}
    assert failed(told) == []
    assert told["guests"].outcome is Outcome.NOT_SHOWN and "no server had a network" in words(told["guests"].reason)
    running = [s for s in between.clouds["a"].listing(Kind.SERVER).resources if getattr(s, "status", "") == "ACTIVE"]
    assert running and all("this rehearsal" in words(told[f"structure {s.ref}"].reason) for s in running)
    assert not [id_ for id_ in told if id_.startswith("lost") and ("admin_state" in id_ or id_.endswith(".status"))]


@pytest.mark.thorough
def test_with_boot_servers_run_and_no_way_leads_out_or_in(root: Path, planted: Path) -> None:
    between = Between(root, planted, boot=True)
    told = between.moved()
    assert {s.status for s in between.there(Kind.SERVER)} == {"ACTIVE", "SHUTOFF"}
    for router in [w for w in between.clouds["b"].asked if isinstance(w, Router)]:  # type: ignore[attr-defined]
        assert router.external_network_id is None
    assert {r.external_network_id for r in between.there(Kind.ROUTER)} == {None}
    assert {f.port_id for f in between.there(Kind.FLOATING_IP)} == {None}
    assert failed(told) == []
    assert told["guests"].outcome is Outcome.NOT_SHOWN and "own networks alone" in words(told["guests"].reason)


@pytest.mark.thorough
def test_in_a_kept_move_what_ran_runs(root: Path, planted: Path) -> None:
    between = Between(root, planted, keep=True)
    told = between.moved()
    assert between.plan.guests is Guests.RUN and "guests" not in told and failed(told) == []
    assert {s.status for s in between.there(Kind.SERVER)} == {"ACTIVE", "SHUTOFF"}
    assert {f.port_id is None for f in between.there(Kind.FLOATING_IP)} == {False}


@pytest.mark.thorough
@pytest.mark.parametrize("boot", [False, True])
def test_what_the_application_answers_is_not_shown_by_a_rehearsal(root: Path, planted: Path, boot: bool) -> None:
    between = Between(root, planted, boot=boot)
    public = between.clouds["a"].listing(Kind.FLOATING_IP).resources[0]
    plan = between.plan.model_copy(update={"probes": (Tcp(id="web", at=public.ref, port=80),)})
    ours, theirs = (between.drill.read(f, Workload) for f in (between.drill.folder.source, between.drill.folder.target))
    told = verify.compare(ours, theirs, plan, {}, (*JUDGINGS, PROBES))
    asked = [v for v in told if v.claim.kind == "service"]
    assert len(asked) == 2 and {v.outcome for v in asked} == {Outcome.NOT_SHOWN}
    assert all("rehearsal" in words(v.reason) for v in asked)


def test_a_route_is_kept_whose_next_hop_is_on_a_network_of_its_own(root: Path, planted: Path) -> None:
    between = Between(root, planted)
    source = between.drill.read(between.drill.folder.source, Workload)
    router = next(r for r in source.of(Router) if r.external_network_id and r.held_by(source.relations))
    leg = source.by_ref[router.held_by(source.relations)[0]]
    near = Route(destination="10.99.0.0/16", nexthop=leg.fixed_ips[0].ip_address)  # type: ignore[union-attr]
    far = Route(destination="0.0.0.0/1", nexthop="203.0.113.1")
    both = router.model_copy(update={"routes": (near, far)})
    assert both.rehearsed(Guests.CONFINED, source).routes == (near,)
    assert both.rehearsed(Guests.STILL, source) == both == both.rehearsed(Guests.RUN, source)


@pytest.mark.thorough
def test_how_a_drill_was_begun_stays(root: Path, planted: Path) -> None:
    between = Between(root, planted)
    found = drill.start("a", "b", keep=False, tools=between.tools, boot=True)
    assert found.load().boot  # nothing was made yet
    between.drill = Drill(found, between.tools)
    assert between.drill.plan().guests is Guests.CONFINED
    between.drill.move()
    with pytest.raises(Refused, match="with --boot"):
        drill.start("a", "b", keep=False, tools=between.tools)
    with pytest.raises(Refused, match="without --keep"):
        drill.start("a", "b", keep=True, tools=between.tools)


@pytest.mark.thorough
def test_a_bundle_of_a_kept_move_cannot_say_that_its_servers_were_not_to_run(root: Path, planted: Path) -> None:
    between = Between(root, planted)
    between.moved()
    between.drill.close_target()
    honest = between.drill.seal()
    kept = honest.model_copy(update={"closed": None, "context": honest.context.model_copy(update={"rehearsal": False})})
    data = evidence.seal(kept, signing_key(between.tools.keys), secrets=[])
    with pytest.raises(BundleError, match="rehearsal"):
        evidence.check(data)
