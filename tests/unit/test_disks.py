# SPDX-License-Identifier: Apache-2.0
"""In which form a volume travels: as qcow2, and where a cloud cannot, as raw, whatever it says of itself."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from unterbau import qcow2
from unterbau.cloud.disks import Forms, form_of, guest_bytes, length_of
from unterbau.cloud.simulator import GIB, Bytes, Simulator
from unterbau.cloud.waiting import heeding
from unterbau.errors import Broken, Conflict, Interrupted
from unterbau.saga import Journal, Status, run, unwind
from unterbau.switch import census, move, planning, verify
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import Image, Kind, Resource, Source, Volume, ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)
WAIT = timedelta(minutes=1)
DATA = random.Random(5).randbytes(3 * GIB)
SIZE = 64 * GIB
"""As long as a volume of 64 GiB is in the simulator."""


class Counting(Simulator):
    """Counts the bytes of images that pass, either way."""

    passed = 0

    @contextmanager
    def image_bytes(self, image_id: str) -> Iterator[Bytes]:
        with super().image_bytes(image_id) as stream:
            data = b"".join(stream)
            self.passed += len(data)
            yield Bytes(data)

    def write_image(self, image: Any, data: Any, size_bytes: int | None) -> None:
        chunks = list(data)
        self.passed += sum(map(len, chunks))
        super().write_image(image, chunks, size_bytes)


@dataclass
class Pair:
    source: Counting
    target: Counting
    work: Path
    said: list[str] = field(default_factory=list)

    def plan(self) -> tuple[Plan, Workload]:
        a, b = (census.take(c, now=lambda: NOW) for c in (self.source, self.target))
        return planning.make(a, b, run="forms", now=NOW), a

    def moved(self) -> Status:
        """A move of all, told as it is told to a person. What it says is in `said`."""
        plan, workload = self.plan()
        with heeding(threading.Event(), self.said.append), Journal(self.work / "journal.db") as journal:
            steps = move.steps(plan, workload, self.source, self.target, self.work)
            result = run(steps, journal, plan=plan.digest(), workers=2)
            assert result.complete, journal.status.errors
            return journal.status

    def held(self) -> bool:
        """Whether the verifier finds the contents equal, and leaves nothing."""
        before = [side.enumerate_all() for side in (self.source, self.target)]
        with heeding(threading.Event(), self.said.append):
            found = verify.look(self.source, self.target, None, work=self.work, now=lambda: NOW)
        assert before == [side.enumerate_all() for side in (self.source, self.target)]
        contents = [v for v in found.verdicts if v.claim.kind == "content"]
        assert len(contents) == 1
        return contents[0].outcome is Outcome.HELD

    def disks(self) -> list[bytes]:
        return [
            side._content(r.ref) for side in (self.source, self.target) for r in side.listing(Kind.VOLUME).resources
        ]

    def nothing_temporary(self) -> bool:
        return not any(side.listing(Kind.IMAGE).resources for side in (self.source, self.target))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    source, target = Counting(tmp_path / "a", name="a"), Counting(tmp_path / "b", name="b")
    made = source.ensure(Volume(id="-", name="v", status="", size_gib=64), "unterbau.seed.0123456789abcdef")
    source.unmark(source.settle(ref(Kind.VOLUME, made), WAIT))
    written = bytearray(SIZE)
    written[10 * GIB : 13 * GIB] = DATA
    source._blob(ref(Kind.VOLUME, made)).write_bytes(written)
    work = tmp_path / "work"
    work.mkdir()
    return Pair(source, target, work)


@pytest.mark.thorough
def test_of_a_volume_what_is_in_use_passes(pair: Pair) -> None:
    pair.moved()
    tables = 5 * qcow2.CLUSTER
    assert pair.source.passed <= len(DATA) + tables and pair.target.passed <= len(DATA) + tables
    source, target = pair.disks()
    assert source == target and pair.nothing_temporary() and pair.said == []
    pair.source.passed = pair.target.passed = 0
    assert pair.held()
    assert pair.source.passed <= len(DATA) + tables and pair.target.passed <= len(DATA) + tables


def refuse_upload(pair: Pair) -> None:
    pair.source.uploads = {"raw"}


def refuse_image(pair: Pair) -> None:
    pair.target.takes = {"raw"}


def refuse_volume(pair: Pair) -> None:
    pair.target.unpacks = {"raw"}


def mislabel(pair: Pair) -> None:
    pair.source.mislabels = True


CANNOT: dict[str, tuple[Callable[[Pair], None], str, int, int]] = {
    "the source's Cinder gives no qcow2": (refuse_upload, "source: images of volumes of type default are raw", SIZE, SIZE),
    "the source's Cinder calls raw bytes qcow2": (mislabel, "source: images of volumes of type default are raw", SIZE, SIZE),
    "the target's Glance takes no qcow2": (refuse_image, "target: images of volumes are raw", len(DATA), SIZE),
    "the target's Cinder makes no volume from one": (refuse_volume, "target: images to volumes are raw", 2 * len(DATA), SIZE),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize(("cannot", "told", "out", "into"), CANNOT.values(), ids=CANNOT.keys())
def test_where_a_cloud_cannot_it_is_raw_and_said_once(
    pair: Pair, cannot: Callable[[Pair], None], told: str, out: int, into: int
) -> None:
    cannot(pair)
    pair.moved()
    source, target = pair.disks()
    assert source == target and len(source) == SIZE and pair.nothing_temporary()
    assert [line.startswith(told) for line in pair.said] == [True]
    slack = 20 * qcow2.CLUSTER
    assert pair.source.passed <= out + slack and pair.target.passed <= into + slack
    assert pair.held()


@pytest.mark.thorough
def test_a_full_volume_whose_file_is_longer_arrives_unpacked_since_cinder_would_refuse_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cinder compares the length of an image, whatever its form, with the volume's (create_volume, "larger than volume size")."""
    arrived = list[str | None]()
    ensure, read = pair.target.ensure, pair.source.read

    def longer(reference: str) -> Resource | None:
        found = read(reference)
        return found.model_copy(update={"size_bytes": (64 << 30) + 1}) if isinstance(found, Image) else found

    def noting(resource: Resource, marker: str, **more: Any) -> str:
        arrived.extend([resource.disk_format] if isinstance(resource, Image) else [])
        return ensure(resource, marker, **more)

    monkeypatch.setattr(pair.target, "ensure", noting)
    monkeypatch.setattr(pair.source, "read", longer)
    pair.moved()
    source, target = pair.disks()
    assert source == target and arrived == ["raw"] and pair.said == [] and pair.nothing_temporary()


@pytest.mark.thorough
@pytest.mark.parametrize("cannot", [refuse_image, refuse_volume, refuse_upload])
def test_what_is_taken_back_leaves_nothing_in_whatever_form_it_came(pair: Pair, cannot: Callable[[Pair], None]) -> None:
    cannot(pair)
    before = [side.enumerate_all() for side in (pair.source, pair.target)]
    plan, workload = pair.plan()
    steps = move.steps(plan, workload, pair.source, pair.target, pair.work)
    for number in range(1, 6):
        path = pair.work / f"{number}.db"
        kept = [s for s in steps if not s.name.startswith("tidy")][:number]
        with Journal(path) as journal:
            assert run(kept, journal, plan="part").complete
            assert unwind(kept, journal, plan="part").complete
        assert [side.enumerate_all() for side in (pair.source, pair.target)] == before


@pytest.mark.thorough
def test_an_arrival_that_was_made_anew_is_gone_on_with_after_a_failure(pair: Pair) -> None:
    """The raw image stands half-made, and the one that the journal names is gone, as after a kill between the two."""
    refuse_volume(pair)
    write, failures = pair.target.write_image, iter([Conflict("not now")])

    def failing(image: Any, data: Any, size_bytes: int | None) -> None:
        for error in failures if form_of(image) == "raw" else ():
            raise error
        write(image, data, size_bytes)

    pair.target.write_image = failing  # type: ignore[method-assign]
    plan, workload = pair.plan()
    steps = move.steps(plan, workload, pair.source, pair.target, pair.work)
    with Journal(pair.work / "journal.db") as journal:
        assert not run(steps, journal, plan="p").complete
        named = {o["id"] for n, o in journal.status.outputs.items() if n.startswith("arrival")}
        (half,) = pair.target.listing(Kind.IMAGE).resources
        assert named and half.id not in named and not half.is_filled()
        assert run(steps, journal, plan="p").complete, journal.status.errors
    source, target = pair.disks()
    assert source == target and pair.nothing_temporary()
    assert len(pair.target.listing(Kind.VOLUME).resources) == 1


@pytest.mark.thorough
def test_an_upload_that_was_raw_before_a_crash_stays_raw(pair: Pair) -> None:
    """Nothing is asked for twice under one marker: what is there in either form is taken."""
    cloud, marker = pair.source, "unterbau.forms.0123456789abcdef"
    disk = cloud.listing(Kind.VOLUME).resources[0]
    wish = Image(id="-", name=marker, status="queued", disk_format="raw", container_format="bare", visibility="private")
    made = cloud.ensure(wish, marker, source=Source(volume_id=disk.id))
    again = Forms(cloud, "source").uploaded(
        wish, disk, disk.id, lambda w: cloud.ensure(w, marker, source=Source(volume_id=disk.id)), WAIT
    )
    assert (again.id, form_of(again)) == (made, "raw") and len(cloud.listing(Kind.IMAGE).resources) == 1


@pytest.mark.thorough
def test_a_guest_that_begins_its_disk_like_a_qcow2_is_carried_as_it_is(pair: Pair) -> None:
    """What was asked for as raw is never unpacked: its first bytes are the guest's, and name what he likes."""
    disk = pair.source.listing(Kind.VOLUME).resources[0]
    inner = bytearray(SIZE)
    file = b"".join(qcow2.Written(GIB, [(0, GIB)], lambda place, length: b"x" * length))
    inner[: len(file)] = file
    pair.source._blob(disk.ref).write_bytes(inner)
    refuse_upload(pair)
    pair.moved()
    source, target = pair.disks()
    assert source == target == bytes(inner) and pair.held()


@pytest.mark.thorough
def test_an_image_that_is_no_qcow2_after_all_is_one_clear_error(pair: Pair) -> None:
    cloud = pair.source
    disk = cloud.listing(Kind.VOLUME).resources[0]
    wish = Image(id="-", name="i", status="queued", disk_format="qcow2", container_format="bare", visibility="private")
    image = cloud.ensure(wish, "unterbau.forms.0123456789abcdef", source=Source(volume_id=disk.id))
    path = cloud._blob(ref(Kind.IMAGE, image))
    whole = path.read_bytes()
    for broken, why in ((b"nothing", "no qcow2"), (whole[: -4 * qcow2.CLUSTER], "behind its end")):
        path.write_bytes(broken)
        with (
            pytest.raises(Broken, match=f"image {image} .*{why}"),
            guest_bytes(cloud, image, "qcow2", length_of(disk), pair.work) as stream,
        ):
            list(stream)


def test_a_stop_is_heard_before_the_guests_next_byte(pair: Pair) -> None:
    cloud = pair.source
    disk = cloud.listing(Kind.VOLUME).resources[0]
    wish = Image(id="-", name="i", status="queued", disk_format="qcow2", container_format="bare", visibility="private")
    image = cloud.ensure(wish, "unterbau.forms.0123456789abcdef", source=Source(volume_id=disk.id))
    stop = threading.Event()
    stop.set()
    with (
        heeding(stop, pair.said.append),
        pytest.raises(Interrupted),
        guest_bytes(cloud, image, "qcow2", length_of(disk), pair.work) as stream,
    ):
        list(stream)


@pytest.mark.thorough
def test_the_plan_tells_how_volumes_travel_and_what_raw_costs(pair: Pair) -> None:
    def told() -> str:
        plan, _ = pair.plan()
        assert not [c for c in plan.checks if c.text in plan.remarks]
        (remark,) = plan.remarks
        return str(remark)

    assert "as qcow2" in told() and "64 GiB" in told()
    refuse_image(pair)
    assert "all 64 GiB pass as raw" in told() and "b" in told()
