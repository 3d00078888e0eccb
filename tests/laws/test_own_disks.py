# SPDX-License-Identifier: Apache-2.0
"""The disk that a server has on its host (case U10): what was written to it arrives, or its loss is told by name."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from unterbau.cloud.disks import Forms, Trimmed
from unterbau.cloud.port import Cloud
from unterbau.cloud.simulator import Bytes, Simulator
from unterbau.cloud.waiting import wait
from unterbau.errors import Forbidden, Unreachable
from unterbau.saga import Journal, run, unwind
from unterbau.switch import census, closing, move, planning, temporaries, verify
from unterbau.switch.plan import Plan
from unterbau.switch.report.ending import ending
from unterbau.switch.verify import Contents
from unterbau.tenant.kinds import Guests, Image, Kind, Ref, Resource, Server, Source, ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict, words

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)
ROW = b"a row that was written after the server was booted"
FIELD = "local_disk"


class Pair:
    """Two simulated clouds, the seeded tenant in the first, a row on the disk of its running web server."""

    def __init__(self, root: Path, planted: Path) -> None:
        shutil.copytree(planted, root / "a")
        self.root = root
        self.source, self.target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
        self.web = self.named(self.source, "fv-web-1")
        self.write(self.source, self.web, ROW)
        self.plan, self.workload = self.planned()
        self.steps: list[Any] = []

    @staticmethod
    def named(cloud: Simulator, name: str) -> Server:
        return next(r for r in cloud.listing(Kind.SERVER).resources if isinstance(r, Server) and r.name == name)

    def image_of(self, cloud: Simulator, name: str) -> Ref:
        return ref(Kind.IMAGE, str(self.named(cloud, name).image_id))

    @staticmethod
    def write(cloud: Simulator, server: Resource, row: bytes, at: int = 5_000) -> None:
        """What a guest does, by the back door."""
        path = cloud._blob(server.ref)
        data = path.read_bytes()
        path.write_bytes(data[:at] + row + data[at + len(row) :])

    def disk(self, cloud: Simulator, name: str) -> bytes:
        return cloud._content(self.named(cloud, name).ref)

    def planned(self, guests: Guests = Guests.RUN) -> tuple[Plan, Workload]:
        source, target = (census.take(c, now=lambda: NOW) for c in (self.source, self.target))
        self.plan = planning.make(source, target, run="own", now=NOW).model_copy(update={"guests": guests})
        self.workload = source
        return self.plan, source

    def move(self, guests: Guests = Guests.RUN, *, stopped: bool = False) -> Journal:
        if stopped:
            self.source.set_power(self.web.id, "SHUTOFF")
        self.planned(guests)
        self.steps = [*move.steps(self.plan, self.workload, self.source, self.target)]
        journal = Journal(self.root / "journal.db")
        result = run(self.steps, journal, plan=self.plan.digest(), workers=4)
        assert result.complete, dict(journal.status.errors)
        return journal

    def look(self) -> tuple[Verdict, ...]:
        return verify.look(
            self.source, self.target, self.plan, work=self.root, now=lambda: NOW, late_seconds=0.0
        ).verdicts

    def claim(self, verdicts: tuple[Verdict, ...] | None = None) -> Verdict:
        return next(v for v in verdicts or self.look() if v.claim.id == f"content {self.web.ref}")

    def temporary(self) -> list[str]:
        marks = temporaries.markers(self.plan)
        return [r.ref for c in (self.source, self.target) for r in c.listing(Kind.IMAGE).resources if r.marker in marks]


@pytest.fixture
def pair(tmp_path: Path, planted: Path) -> Pair:
    return Pair(tmp_path / "pair", planted)


def failed(verdicts: tuple[Verdict, ...]) -> list[str]:
    return [f"{v.claim.id}: {words(v.reason)}" for v in verdicts if v.outcome is Outcome.FAILED]


# --- the plan


@pytest.mark.holds("server.image_id")
def test_a_plan_says_how_the_disk_travels_how_much_that_is_and_what_the_server_will_name(pair: Pair) -> None:
    entry = pair.plan.by_ref[pair.web.ref]
    assert entry.carries_disk and entry.bytes == 20 << 30
    assert pair.plan.bytes_total >= 40 << 30
    lost = {one.field: words(one.why) for one in entry.losses}
    assert lost.keys() == {"image_id", "user_data"} and "fv-web-debian-13" in lost["image_id"]
    remarks = [words(r) for r in planning._Planner(pair.workload, pair.workload).remarks()]
    assert any("2 servers have their root disks on their hosts" in r and "40 GiB" in r for r in remarks)
    assert any("1 of them runs" in r and "--cut-over" in r for r in remarks)


def test_a_disk_that_is_in_no_image_of_the_server_is_lost_as_ever(pair: Pair) -> None:
    def entry(**flavor: Any) -> Any:
        wide = pair.web.model_copy(update={"flavor": pair.web.flavor.model_copy(update=flavor)})
        resources = tuple(wide if r.ref == wide.ref else r for r in pair.workload.resources)
        source = pair.workload.model_copy(update={"resources": resources})
        offering = source.offering.model_copy(update={"flavors": (wide.flavor,)})
        target = census.take(pair.target, now=lambda: NOW).model_copy(update={"offering": offering})
        return planning.make(source, target, run="r", now=NOW).by_ref[wide.ref]

    ephemeral, nowhere = entry(ephemeral_gib=5), entry(disk_gib=0)
    assert ephemeral.carries_disk and FIELD in {one.field for one in ephemeral.losses}
    assert not nowhere.carries_disk and FIELD in {one.field for one in nowhere.losses} and nowhere.bytes == 0


def test_a_server_that_boots_with_a_kernel_beside_its_image_is_not_made_of_its_disk_alone(pair: Pair) -> None:
    image = next(r for r in pair.workload.resources if r.ref == pair.image_of(pair.source, "fv-web-1"))
    ami = image.model_copy(update={"properties": {"kernel_id": "k"}})
    resources = tuple(ami if r.ref == image.ref else r for r in pair.workload.resources)
    source = pair.workload.model_copy(update={"resources": resources})
    made = planning.make(source, census.take(pair.target, now=lambda: NOW), run="r", now=NOW)
    assert not made.by_ref[pair.web.ref].carries_disk


def test_a_plan_that_a_person_took_the_disk_out_of_moves_the_server_as_it_did_and_the_disk_is_lost(pair: Pair) -> None:
    def without(plan: Plan) -> Plan:
        bare = {"carries_disk": False, "changes": (), "losses": ()}
        entries = (e.model_copy(update=bare) if e.carries_disk else e for e in plan.entries)
        return plan.model_copy(update={"entries": tuple(entries)})

    plan = without(pair.plan)
    assert not [
        s.name
        for s in move.steps(plan, pair.workload, pair.source, pair.target)
        if "of server" in s.name and "image" in s.name
    ]
    pair.move()
    verdicts = verify.look(pair.source, pair.target, plan, work=pair.root, now=lambda: NOW, late_seconds=0.0).verdicts
    assert [v.outcome for v in verdicts if v.claim.id == f"lost {pair.web.ref}.{FIELD}"] == [Outcome.FAILED]


# --- it arrives


def test_a_row_on_the_disk_of_a_server_arrives_and_no_temporary_stays(pair: Pair) -> None:
    assert ROW in pair.disk(pair.source, "fv-web-1")
    pair.move()
    assert ROW in pair.disk(pair.target, "fv-web-1")
    assert pair.temporary() == []
    verdicts = pair.look()
    assert failed(verdicts) == [] and pair.claim(verdicts).outcome is Outcome.HELD
    assert pair.target.read(pair.image_of(pair.target, "fv-web-1")) is None


def test_the_hardware_that_an_image_asks_for_goes_along_and_whose_it_was_does_not(pair: Pair) -> None:
    seen: list[Image] = []
    ensure = pair.target.ensure

    def watching(resource: Resource, *args: Any, **more: Any) -> str:
        if isinstance(resource, Image):
            seen.append(resource)
        return ensure(resource, *args, **more)

    saved = pair.source.settle

    def settled(reference: Ref, deadline: timedelta) -> Resource:
        found = saved(reference, deadline)
        if isinstance(found, Image) and found.marker:
            told = {
                "hw_firmware_type": "uefi",
                "instance_uuid": "i",
                "owner_project_name": "ours",
                "base_image_ref": "b",
            }
            pair.source._put(found.model_copy(update={"properties": told}))
        return found

    pair.target.ensure, pair.source.settle = watching, settled  # type: ignore[method-assign]
    pair.move()
    arrivals = [i.properties for i in seen if i.name in temporaries.markers(pair.plan) and i.properties]
    assert arrivals and all(p == {"hw_firmware_type": "uefi"} for p in arrivals)


@pytest.mark.parametrize("takes", [{"raw"}, {"qcow2", "raw"}])
def test_where_the_target_takes_raw_only_it_is_unpacked_on_the_way(pair: Pair, takes: set[str]) -> None:
    pair.target.takes = takes
    pair.move()
    assert ROW in pair.disk(pair.target, "fv-web-1") and pair.claim().outcome is Outcome.HELD


def test_in_a_rehearsal_the_image_stays_as_long_as_the_server_and_goes_with_it(pair: Pair) -> None:
    before = pair.source.enumerate_all(), pair.target.enumerate_all()
    with pair.move(Guests.STILL) as journal:
        assert len(pair.temporary()) == 2
        assert {x.state for x in move.ledger(journal.status) if x.step.startswith("arrival of server")} == {"done"}
        pair.write(pair.target, pair.named(pair.target, "fv-web-1"), b"what the guest wrote in its seconds", at=0)
        verdicts = pair.look()
        assert failed(verdicts) == []
        told = pair.claim(verdicts)
        assert told.outcome is Outcome.HELD and "was made from an image" in words(told.reason)
        assert unwind(pair.steps, journal, plan=pair.plan.digest()).complete
    assert (pair.source.enumerate_all(), pair.target.enumerate_all()) == before


def test_the_source_is_stopped_before_its_disk_is_taken_in_a_cut_over(pair: Pair) -> None:
    plan = pair.plan.model_copy(update={"cut_over": (pair.web.ref,)})
    steps = move.steps(plan, pair.workload, pair.source, pair.target)
    assert f"image of {pair.web.ref}" in move.until_stop(steps)
    assert "all that is stopped" in next(s.needs for s in steps if s.name == f"image of {pair.web.ref}")


# --- what is claimed where it may differ


def test_what_a_guest_wrote_since_is_not_shown_and_never_held(pair: Pair) -> None:
    pair.move(stopped=True)
    pair.write(pair.target, pair.named(pair.target, "fv-web-1"), b"written on the target", at=0)
    told = pair.claim()
    assert told.outcome is Outcome.NOT_SHOWN and "has run since" in words(told.reason)


def test_a_source_that_runs_has_another_disk_at_each_look(pair: Pair) -> None:
    pair.move(Guests.STILL)
    pair.write(pair.source, pair.web, b"written while we looked", at=0)
    told = pair.claim()
    assert told.outcome is Outcome.NOT_SHOWN and "runs and writes (source)" in words(told.reason)


def test_other_bytes_than_the_ones_of_a_disk_that_stands_still_failed(pair: Pair) -> None:
    pair.move(Guests.STILL, stopped=True)
    arrived = pair.image_of(pair.target, "fv-web-1")
    blob = pair.target._blob(arrived)
    there = pair.target.read(arrived)
    pair.target._put(there.model_copy(update={"disk_format": "raw"}))  # type: ignore[union-attr]
    blob.write_bytes(b"another disk")
    assert pair.claim().outcome is Outcome.FAILED


def test_a_server_that_was_made_from_its_image_although_its_disk_could_be_read_failed(pair: Pair) -> None:
    pair.source.images_of_servers = False
    pair.move()
    pair.source.images_of_servers = True
    told = pair.claim()
    assert told.outcome is Outcome.FAILED and "made from the image" in words(told.reason)


def test_who_may_not_make_images_sees_nothing_of_a_disk_that_was_carried_and_calls_it_not_lost(pair: Pair) -> None:
    pair.move()
    pair.source.role = pair.target.role = "reader"
    verdicts = pair.look()
    told = pair.claim(verdicts)
    assert told.outcome is Outcome.NOT_SHOWN and "the role reader may not write" in words(told.reason)
    assert not any(item.what == f"server.{FIELD}" for item in ending(pair.plan, verdicts).lost)


# --- before the source's goes


def decided(pair: Pair, *accepted: str) -> tuple[closing.Decision, Contents, dict[Ref, Ref]]:
    def look() -> Contents:
        return verify.look(pair.source, pair.target, pair.plan, work=pair.root, now=lambda: NOW, late_seconds=0.0)

    seen = look()
    sealed = closing.Sealed(pair.workload, pair.plan, seen.verdicts)
    told = look()
    pairs = verify.counterparts(told.source, told.target, pair.plan, verify.observed(told.verdicts))
    return closing.decide(sealed, told, pairs, accepted), told, pairs


def emptied(pair: Pair, decision: closing.Decision, look: Contents, pairs: dict[Ref, Ref]) -> dict[str, Any]:
    """What the step says that deletes the server, all alone."""
    sides: dict[str, Cloud] = {"source": pair.source, "target": pair.target}
    again = verify.Again(sides, work=pair.root, now=lambda: NOW, stop=threading.Event(), late_seconds=0.0)
    witness = closing.Witness(sides, look, verify.observed(look.verdicts), again.read)
    steps = closing.emptying_steps(decision, pairs, witness)
    step = next(s for s in steps if s.name == f"delete {pair.web.ref}")
    waited: dict[str, Any] = {need: {} for need in step.needs}
    return dict(step.act(step.intend({}), waited, lambda done, of: None))  # type: ignore[arg-type]


USUAL = (
    "server.user_data",
    "server.image_id",
    "floating_ip.address",
    "router.external_fixed_ips",
    "port.port_security",
)


def test_a_server_goes_if_its_disk_is_there_and_nobody_wrote_it_since(pair: Pair) -> None:
    pair.move(stopped=True)
    decision, look, pairs = decided(pair, *USUAL)
    assert pair.web.ref in decision.chosen, decision.kept.get(pair.web.ref)
    told = emptied(pair, decision, look, pairs)
    assert told["deleted"] and told["source"] == told["target"] and "sha256" in told["source"]


def test_a_server_stays_if_its_disk_was_written_after_the_look(pair: Pair) -> None:
    pair.move(stopped=True)
    decision, look, pairs = decided(pair, *USUAL)
    pair.write(pair.source, pair.web, b"written last", at=0)
    assert "kept" in emptied(pair, decision, look, pairs)
    assert pair.source.read(pair.web.ref) is not None


def test_a_server_whose_disk_was_not_seen_to_arrive_goes_only_if_a_person_gives_it_up_by_name(pair: Pair) -> None:
    pair.source.images_of_servers = False
    pair.move()
    kept, _, _ = decided(pair, *USUAL)
    assert f"{pair.web.ref}.{FIELD}" in words(kept.kept[pair.web.ref])
    decision, look, pairs = decided(pair, *USUAL, f"server.{FIELD}")
    assert pair.web.ref in decision.chosen and FIELD in {one.field for one in decision.accepted}
    assert emptied(pair, decision, look, pairs) == {"deleted": True}


# --- a cloud that gives none


def test_a_cloud_that_gives_no_disks_loses_them_by_name_and_fails_nothing(pair: Pair) -> None:
    pair.source.images_of_servers = pair.target.images_of_servers = False
    with pair.move() as journal:
        assert "got no bytes" in str(journal.status.outputs[f"image of {pair.web.ref}"]["none"])
    assert pair.temporary() == []
    image = pair.target.read(pair.image_of(pair.target, "fv-web-1"))
    assert image is not None and image.name == "fv-web-debian-13"
    verdicts = pair.look()
    assert failed(verdicts) == [] and pair.temporary() == []
    told = pair.claim(verdicts)
    assert told.outcome is Outcome.NOT_SHOWN and "got no bytes" in words(told.reason)
    found = ending(pair.plan, verdicts)
    assert [i.things for i in found.lost if i.what == f"server.{FIELD}"] == [("fv-web-1", "fv-web-2")]
    assert not any(
        thing == "fv-web-1" and str(i.what).startswith("content") for i in found.not_shown for thing in i.things
    )


def wish() -> Image:
    return Image(id="-", name="w", status="queued", disk_format="raw", container_format="bare", visibility="private")


def saving(
    cloud: Simulator, server: Resource, mark: str, asked: list[str]
) -> tuple[Callable[[Resource], str], Callable[[], None]]:
    def make(image: Resource) -> str:
        asked.append(mark)
        return cloud.ensure(image, mark, source=Source(server_id=server.id))

    def delete() -> None:
        for one in cloud.listing(Kind.IMAGE).resources:
            if one.marker == mark:
                cloud.delete(one.ref, timedelta(seconds=1))

    return make, delete


def test_a_cloud_that_gives_none_is_asked_once_and_one_that_gives_one_each_time(pair: Pair) -> None:
    for gives in (False, True):
        pair.source.images_of_servers = gives
        forms, asked = Forms(pair.source, "source"), list[str]()
        for number in range(3):
            mark = f"unterbau.own.{number:016x}"
            found, why = forms.saved(wish(), *saving(pair.source, pair.web, mark, asked), timedelta(seconds=1))
            assert (found is not None, bool(why)) == (gives, not gives)
        assert len(asked) == (3 if gives else 1)


def test_a_right_that_is_missing_is_a_reason_too_and_an_error_that_may_pass_is_none(pair: Pair) -> None:
    def refuse(image: Resource) -> str:
        raise Forbidden("HTTP 403: the policy denies create_image")

    found, why = Forms(pair.source, "source").saved(wish(), refuse, lambda: None, timedelta(seconds=1))
    assert found is None and "policy denies" in words(why)


def test_an_image_that_never_ends_is_given_up_and_a_cloud_that_does_not_answer_is_asked_again(pair: Pair) -> None:
    asked: list[str] = []
    make, delete = saving(pair.source, pair.web, "unterbau.own.00000000000000fe", asked)

    def never(reference: Ref, deadline: timedelta) -> Resource:
        return wait(lambda: None, timedelta(0), "an image")

    def silent(reference: Ref, deadline: timedelta) -> Resource:
        raise Unreachable("connection refused")

    pair.source.settle = never  # type: ignore[method-assign]
    found, why = Forms(pair.source, "source").saved(wish(), make, delete, timedelta(0))
    assert found is None and "an image" in words(why) and not pair.source.listing(Kind.IMAGE).not_shown
    assert "unterbau.own.00000000000000fe" not in {r.marker for r in pair.source.listing(Kind.IMAGE).resources}
    pair.source.settle = silent  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        Forms(pair.source, "source").saved(wish(), make, delete, timedelta(0))


def test_an_image_of_another_form_or_without_bytes_is_not_carried(pair: Pair) -> None:
    told: list[str] = []
    for fields in ({"disk_format": "vmdk"}, {"size_bytes": 0}):
        asked: list[str] = []
        make, delete = saving(pair.source, pair.web, "unterbau.own.00000000000000ff", asked)

        def changed(image: Resource, make: Any = make, fields: Any = fields) -> str:
            id_: str = make(image)
            there = pair.source.read(ref(Kind.IMAGE, id_))
            pair.source._put(there.model_copy(update=fields))  # type: ignore[union-attr]
            return id_

        found, why = Forms(pair.source, "source").saved(wish(), changed, delete, timedelta(seconds=1))
        assert found is None
        told.append(words(why))
    assert told == [
        "the image that it made is of the form vmdk, which is not carried",
        "the image that it made has no bytes",
    ]


# --- how its bytes are compared


@pytest.mark.parametrize(
    ("data", "kept"),
    [(b"", b""), (bytes(3 << 20), b""), (b"a" + bytes(3 << 20), b"a"), (bytes(2 << 20) + b"b" + bytes(7), bytes(2 << 20) + b"b"),
     (b"a" + bytes((1 << 20) - 1) + bytes(1 << 20) + b"c\0", b"a" + bytes((2 << 20) - 1) + b"c")],
)  # fmt: skip
def test_zeros_at_the_end_of_a_disk_count_for_nothing_and_those_within_for_what_they_are(
    data: bytes, kept: bytes
) -> None:
    assert b"".join(Trimmed(Bytes(data))) == kept


def test_a_disk_on_a_larger_flavor_is_the_same_disk(pair: Pair) -> None:
    pair.move()
    there = pair.named(pair.target, "fv-web-1")
    assert isinstance(there, Server)
    path = pair.target._blob(there.ref)
    path.write_bytes(path.read_bytes() + bytes(100_000))
    assert pair.claim().outcome is Outcome.HELD
