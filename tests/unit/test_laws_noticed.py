# SPDX-License-Identifier: Apache-2.0
"""Laws that a program without them would still pass the other tests: each is taken at its word here, in seconds.

What is durable before what, what the journal never takes, what is waited for, what is never silently missing, and what
must fit before anything is emptied, moved or believed.
"""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import closer
import pytest
import requests
import trials
from kept_bundles import FIRST, checked
from pydantic import SecretStr
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau import files
from unterbau.cloud.openstack.http import Api
from unterbau.cloud.openstack.image import ImageService
from unterbau.cloud.openstack.unknown import CARRIED, Unknown
from unterbau.cloud.port import Listing, Reader
from unterbau.cloud.simulator import Simulator
from unterbau.errors import BundleError, Interrupted, PlanError, Refused, Unreachable
from unterbau.evidence import container, core, signing_key
from unterbau.evidence.limits import TRUSTED
from unterbau.evidence.long import sha256
from unterbau.face import Face
from unterbau.saga import Event, Journal, Marker
from unterbau.switch import census, evidence, folders, move, verify
from unterbau.switch.close import Question, SourceClosing
from unterbau.switch.drill import Drill, Tools
from unterbau.switch.folders import Folder
from unterbau.tenant.kinds import Container, Image, Kind, Network, Quota, Volume, ref
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Outcome

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


# --- durable before what


@dataclass
class Disk:
    """What was asked of the disk, in order: (what, inode)."""

    asked: list[tuple[str, int]]

    def place(self, what: str, path: Path) -> int:
        """When this was asked of that file or folder."""
        return self.asked.index((what, path.stat().st_ino))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The calls that make something durable or visible, recorded and carried out."""
    told = Disk([])
    fsync, rename, link = os.fsync, os.replace, os.link

    def recorded_fsync(handle: int) -> None:
        told.asked.append(("durable", os.fstat(handle).st_ino))
        fsync(handle)

    def recorded_rename(old: Any, new: Any) -> None:
        told.asked.append(("visible", os.stat(old).st_ino))
        rename(old, new)

    def recorded_link(old: Any, new: Any) -> None:
        told.asked.append(("visible", os.stat(old).st_ino))
        link(old, new)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_rename)
    monkeypatch.setattr(os, "link", recorded_link)
    return told


def test_a_journal_is_on_the_disk_before_append_returns(tmp_path: Path) -> None:
    """SQLite syncs a WAL before a commit returns if `synchronous` is FULL (2) or EXTRA (3), and else not."""
    with Journal(tmp_path / "j") as journal:
        (mode,), (level,) = (
            journal._db.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous")
        )
        assert mode == "wal" and level >= 2
        assert not journal._db.in_transaction
        journal.append(Event(kind="opened", data={"plan": "", "nodes": {}}))
        assert not journal._db.in_transaction, "a row that waits for a commit is not durable"


def test_a_files_bytes_are_durable_before_its_name_and_its_name_before_write_returns(
    tmp_path: Path, disk: Disk
) -> None:
    path = tmp_path / "f"
    files.write(path, b"x")
    assert disk.place("durable", path) < disk.place("visible", path) < disk.place("durable", tmp_path)
    disk.asked.clear()
    files.write(path, b"y", durable=False)
    assert [what for what, _ in disk.asked] == ["visible"]


def test_an_appended_line_is_durable(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "f"
    files.append(path, b"a\n")
    files.append(path, b"b\n")
    assert disk.asked.count(("durable", path.stat().st_ino)) == 2
    assert ("durable", tmp_path.stat().st_ino) in disk.asked, "the line is lost with the name of its file"


def test_a_key_is_durable_before_it_signs(tmp_path: Path, disk: Disk) -> None:
    signing_key(tmp_path / "keys")
    key = tmp_path / "keys" / "signing.pem"
    assert disk.place("durable", key) < disk.place("visible", key) < disk.place("durable", key.parent)


def test_a_drills_folder_is_durable_with_all_folders_that_were_made_for_it(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal whose folder is lost with the power is a journal that nobody finds: its orphans stay for ever."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = folders.begin("a", "b", False, NOW)
    above = list(made.path.relative_to(tmp_path).parents)
    assert {("durable", (tmp_path / one).stat().st_ino) for one in above} <= set(disk.asked)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700


# --- what the journal never takes


@pytest.mark.parametrize(
    "data", [{"password": "hunter22"}, {"deep": [{"API_Token": "hunter22"}]}, {"p": SecretStr("hunter22")}]
)
def test_the_journal_itself_refuses_a_secret_whoever_appends_it(tmp_path: Path, data: dict[str, Any]) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append(Event(kind="opened", data={"plan": "", "nodes": {"a": []}}))
        with pytest.raises(Refused, match="never written down") as caught:
            journal.append(Event.model_construct(kind="intended", node="a", data=data))
        assert "hunter22" not in str(caught.value)
        journal.append(Event(kind="intended", node="a", data={"secret_id": "1", "secret:1": "x"}))
        assert [e.kind for e in journal.events()] == ["opened", "intended"]
    assert not [p for p in tmp_path.iterdir() if b"hunter22" in p.read_bytes()]


# --- a small drill between two simulators


@dataclass
class World:
    """A tenant in `a`; `b` is empty. The environment is the test's own."""

    root: Path

    def cloud(self, name: str) -> Simulator:
        return closer.cloud(self.root, name)

    def tools(self, **more: Any) -> Tools:
        plain = Tools(
            connect=self.cloud, now=lambda: datetime.now(UTC), face=Face(quiet=True), stop=threading.Event(),
            keys=self.root / "data" / "unterbau" / "keys", versions=dict, secrets=lambda name: (), workers=2,
            late_seconds=0.0,
        )  # fmt: skip
        return replace(plain, **more)

    def put(self, name: str, text: bytes, side: str = "a") -> None:
        closer.put(self.cloud(side), name, text)

    def kept(self) -> Folder:
        """A finished drill whose target stands."""
        return closer.drilled(self.root, keep=True)

    def planned(self) -> Drill:
        """A drill that is planned and not begun."""
        work = Drill(folders.begin("a", "b", True, NOW), self.tools())
        work.census()
        work.plan()
        return work

    def standing(self, side: str = "a") -> set[str]:
        return closer.standing(self.root, side)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in closer.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    made = World(tmp_path)
    there = made.cloud("a")
    for wish in (Network(id="-", name="net"), Container(id="box", name="box"),
                 Volume(id="-", name="disk", status="", size_gib=1, volume_type="default")):  # fmt: skip
        there.ensure(wish, Marker(run="tenant", node=wish.name).tag())
    made.put("a.txt", b"one text")
    return made


# --- what is waited for


class Impatient:
    """Somebody who stops the program when it says that it waits."""

    def __init__(self) -> None:
        self.said, self.stop = list[str](), threading.Event()

    def say(self, line: str, *, strong: bool = False) -> None:
        self.said.append(line)
        if line.startswith("waiting"):
            self.stop.set()

    @property
    def waited(self) -> bool:
        return any(line.startswith("waiting") for line in self.said)


def without_answer(request: str) -> Callable[[str], float | None]:
    """A cloud does at once what it is asked and answers nothing to this sort of request."""
    return lambda asked: 0.0 if asked == request else None


@pytest.mark.thorough
def test_a_write_without_an_answer_is_waited_for_before_a_move_ends(world: World) -> None:
    work, person, face = world.planned(), Impatient(), Face(quiet=True)
    face.say = person.say  # type: ignore[method-assign]
    clouds = {"a": world.cloud("a"), "b": Simulator(world.root / "b", name="b", lost=without_answer("create network"))}
    tools = world.tools(connect=clouds.__getitem__, face=face, stop=person.stop, late_seconds=600.0)
    with pytest.raises(Interrupted):
        Drill(work.folder, tools).move()
    assert person.waited, "a cloud may still finish what it did not answer"


@pytest.mark.thorough
def test_a_write_without_an_answer_is_waited_for_before_a_verification_ends(world: World) -> None:
    person = Impatient()
    there = Simulator(world.root / "a", name="a", lost=without_answer("create image"))
    with pytest.raises(Interrupted):
        verify.look(there, world.cloud("b"), None, work=world.root, now=lambda: datetime.now(UTC), stop=person.stop,
                    late_seconds=600.0, say=person.say)  # fmt: skip
    assert person.waited


@pytest.mark.thorough
def test_a_write_without_an_answer_is_waited_for_before_a_trial_ends(tmp_path: Path) -> None:
    person = Impatient()
    cloud = trials.Trials(tmp_path / "cloud")
    cloud.lost = without_answer("create volume")
    with pytest.raises(Interrupted):
        trials.run(cloud, tmp_path / "journals", stop=person.stop, say=person.say,
                   patience=replace(trials.PATIENCE, late=600.0))  # fmt: skip
    assert person.waited


@pytest.mark.thorough
def test_what_a_killed_emptying_asked_for_is_waited_for(world: World) -> None:
    folder = world.kept()
    seen = SourceClosing(folder, world.tools())
    seen.empty(folder.bundle.read_bytes(), (), lambda question: None)
    path = folder.closing_journal(1)
    with Journal(path) as journal:
        began = [e for e in journal.events() if e.kind in ("opened", "intended")][:2]
    path.unlink()
    with Journal(path) as journal:  # as it stands when the process is killed in its first deletion
        for event in began:
            journal.append(event)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted, match="killed"):
        SourceClosing(folder, world.tools(late_seconds=600.0, stop=stop)).earlier()
    assert len(SourceClosing(folder, world.tools(late_seconds=0.0, stop=stop)).earlier()) == 1


# --- never silently missing


class Glance:
    """Answers as Glance does; the images of a project that are no `shared` ones have no list of members (403)."""

    service_type = "image"

    def __init__(self, *images: dict[str, Any], members: Mapping[str, tuple[str, ...]], blind: bool = False) -> None:
        self.images = {i["id"]: i for i in images}
        self.members = {id_: list(found) for id_, found in members.items()}
        self.blind, self.asked = blind, list[tuple[str, str]]()

    def request(self, path: str, method: str, **options: Any) -> requests.Response:
        path = path.partition("?")[0] if method != "GET" else path
        self.asked.append((method, path.partition("?")[0]))
        status, body = self._answer(path, method, options.get("json"))
        response = requests.Response()
        response.status_code, response.raw = status, io.BytesIO(json.dumps(body).encode())
        return response

    def get_endpoint(self) -> str:
        return "https://cloud.example/image"

    def _answer(self, path: str, method: str, body: Any) -> tuple[int, Any]:
        place, _, query = path.partition("?")
        parts = place.split("/")
        if parts[-1] == "images":
            hidden = "os_hidden=true" in query
            shown = [i for i in self.images.values() if bool(i.get("os_hidden")) is hidden]
            return 200, {"images": [] if "marker" in query else shown}
        image = self.images[parts[3]]
        if parts[-1] == "members":
            if self.blind or image["visibility"] != "shared":
                return 403, {}
            if method == "POST":
                self.members[image["id"]].append(body["member"])
                return 200, {}
            return 200, {"members": [{"member_id": m} for m in self.members[image["id"]]]}
        if method == "PATCH":
            image.update({c["path"].removeprefix("/"): c["value"] for c in body})
        return 200, image


def image(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": id_, "status": "active", "visibility": "shared", "owner": "me", "tags": [], **more}


def service(glance: Glance) -> ImageService:
    adapter: Any = glance
    return ImageService(lambda: Api(adapter), lambda: Api(adapter), lambda: Api(adapter), lambda: "me")


def test_who_an_image_is_shared_with_is_read_and_what_cannot_be_read_of_it_is_named() -> None:
    images = (image("i"), image("h", os_hidden=True), image("p", visibility="private"))
    members = {"i": ("z", "a"), "h": ("b",), "p": ()}
    listing = service(Glance(*images, members=members)).listing(Kind.IMAGE)
    assert {r.id: r.members for r in listing.resources if isinstance(r, Image)} == {
        "i": ("a", "z"), "h": ("b",), "p": (),
    }  # fmt: skip
    assert listing.not_shown == ()
    blind = service(Glance(*images, members=members, blind=True)).listing(Kind.IMAGE)
    assert [n.what for n in blind.not_shown] == ["image:i.members", "image:h.members"]


def test_an_image_is_shared_with_each_who_had_it_and_only_after_it_is_a_shared_one() -> None:
    glance = Glance(image("i", visibility="private"), members={"i": ("there",)})
    wish = Image(id="i", name="i", status="active", visibility="shared", members=("there", "x", "y"), protected=True)
    service(glance).write(wish, (), None)
    assert glance.members == {"i": ["there", "x", "y"]}
    assert glance.images["i"]["protected"] is True and glance.asked[-1] == ("PATCH", "/v2/images/i")


def unknown(*services: str) -> dict[str, str]:
    """What is named of a cloud whose catalog has these (none of them one that is looked into)."""

    def nobody(*_: Any) -> Any:
        raise AssertionError("a service that the catalog does not have was asked")

    cloud: Any = nobody
    found = Unknown(cloud, lambda: services, cloud, cloud, cloud, OBJECTS).not_understood()
    return {n.what: str(n.reason) for n in found}


class _Objects:
    def old_versions(self) -> list[NotShown]:
        raise AssertionError("the object store was asked")


OBJECTS: Any = _Objects()


def test_a_service_that_is_not_understood_is_named_and_one_that_holds_nothing_is_not() -> None:
    found = unknown("identity", "placement", "image", "load-balancer", "dns")
    assert {w for w in found if "not understood" in found[w]} == {"service:load-balancer", "service:dns"}


def test_a_service_that_is_missing_is_named() -> None:
    found = unknown("identity", "image")
    assert {w for w in found if "no such service" in found[w]} == {f"service:{s}" for s in CARRIED - {"image"}}


class Poor:
    """A simulator behind a catalog without an object store, with a service that nobody knows."""

    def __init__(self, cloud: Reader) -> None:
        self._cloud = cloud

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)

    def once(self) -> Poor:
        return self

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(k for k in self._cloud.kinds() if k not in (Kind.CONTAINER, Kind.OBJECT))

    def not_understood(self) -> tuple[NotShown, ...]:
        return (NotShown(what="service:dns", reason="this service is not understood"),)

    def listing(self, kind: Kind) -> Listing:
        if kind is Kind.SECRET:
            raise Unreachable("no answer")
        return self._cloud.listing(kind)


def test_a_census_says_what_it_could_not_see(world: World) -> None:
    poor: Any = Poor(world.cloud("a"))
    taken = census.take(poor, now=lambda: NOW, pause=lambda seconds: None)
    told = {n.what: str(n.reason) for n in taken.not_shown}
    assert told["container"] == told["object"] == "the cloud has no service for it"
    assert told["service:dns"] == "this service is not understood"
    assert told["secret"] == "Unreachable: no answer"
    assert "network" not in told and taken.of(Network)


# --- what must fit before a source is emptied


def never(question: Question) -> None:
    raise AssertionError("a person was asked although the bundle empties nothing")


@pytest.mark.thorough
def test_only_a_bundle_that_we_sealed_empties_a_source(world: World) -> None:
    folder = world.kept()
    before = world.standing()
    bundle = evidence.check(folder.bundle.read_bytes()).bundle
    stranger = evidence.seal(bundle, CryptoSigner.generate_ed25519())
    with pytest.raises(BundleError, match="signed by key"):
        SourceClosing(folder, world.tools()).empty(stranger, (), never)
    assert world.standing() == before


@pytest.mark.thorough
def test_only_the_bundle_of_this_drill_empties_a_source(world: World) -> None:
    folder = world.kept()
    before = world.standing()
    other = Folder(folder.path.with_name("20261126-00000000"))
    other.path.mkdir()
    other.save(folder.load().model_copy(update={"run": other.run}))
    with pytest.raises(Refused, match=f"is of drill {folder.run}, not of {other.run}"):
        SourceClosing(other, world.tools()).empty(folder.bundle.read_bytes(), (), never)
    assert world.standing() == before


@pytest.mark.thorough
def test_a_rehearsals_bundle_empties_no_source(world: World) -> None:
    folder = closer.drilled(world.root, keep=False)
    before = world.standing()
    with pytest.raises(Refused, match="was a rehearsal"):
        SourceClosing(folder, world.tools()).empty(folder.bundle.read_bytes(), (), never)
    assert world.standing() == before


@pytest.mark.thorough
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_bundle_of_another_pair_empties_no_source(world: World, side: str) -> None:
    """The clouds are called as they were, and are other projects now."""
    folder = world.kept()
    before = world.standing(), world.standing("c")
    folder.save(folder.load().model_copy(update={side: "c"}))
    with pytest.raises(Refused, match=f"the {side} of this bundle is project"):
        SourceClosing(folder, world.tools()).empty(folder.bundle.read_bytes(), (), never)
    assert (world.standing(), world.standing("c")) == before


def _source_changed(world: World) -> None:
    world.put("a.txt", b"another text")


def _target_changed(world: World) -> None:
    world.put("a.txt", b"another text", "b")


def _target_gone(world: World) -> None:
    world.cloud("b").delete(ref(Kind.OBJECT, "box/a.txt"), timedelta(seconds=5))


def _target_rots(world: World) -> None:
    there = world.cloud("b")
    disk = next(r for r in there.listing(Kind.VOLUME).resources)
    there._blob(disk.ref).write_bytes(b"other bytes")
    there._put(disk)  # its `updated_at` tells that somebody may have written it


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_source_changed, "the source's changed since it was looked at"),
        (_target_changed, "the target's changed since it was looked at"),
        (_target_gone, "its counterpart on the target is gone"),
        (_target_rots, "the target's content changed"),
    ],
)
def test_what_changes_while_a_person_is_asked_is_kept(world: World, change: Callable[[World], None], said: str) -> None:
    folder = world.kept()
    asked: list[Question] = []

    def confirm(question: Question) -> None:
        asked.append(question)
        change(world)

    closed = SourceClosing(folder, world.tools()).empty(folder.bundle.read_bytes(), (), confirm)
    assert len(asked) == 1
    concerned = {r: why for r, why in closed.kept.items() if said in why}
    assert len(concerned) == 1 and concerned.keys() <= world.standing()
    assert set(asked[0].going) - closed.kept.keys() == set(closed.deleted)


@pytest.mark.thorough
def test_nothing_goes_that_nobody_was_asked_about(world: World) -> None:
    folder = world.kept()
    before = world.standing()

    def no(question: Question) -> None:
        raise Refused("no")

    with pytest.raises(Refused):
        SourceClosing(folder, world.tools()).empty(folder.bundle.read_bytes(), (), no)
    assert world.standing() == before and not folder.closing(1).exists()


# --- what must fit before a move


@pytest.mark.thorough
def test_a_plan_of_a_source_that_changed_since_is_not_carried_out(world: World) -> None:
    work = world.planned()
    there = world.standing("b")
    world.put("new.txt", b"since")
    with pytest.raises(PlanError, match=r"changed since the plan was made: .*new: object:box/new\.txt"):
        work.move()
    assert world.standing("b") == there and world.cloud("a").enumerate_all().keys() >= world.standing()


@pytest.mark.thorough
def test_a_move_that_began_goes_on_although_its_source_changed(world: World) -> None:
    """A resume finishes what it began: what came since is found by the verification."""
    work = world.planned()
    with Journal(work.folder.journal) as journal:
        plan = work.load_plan()
        needs = {s.name: list(s.needs) for s in _steps(work)}
        journal.append(Event(kind="opened", data={"plan": plan.digest(), "nodes": needs}))
    world.put("new.txt", b"since")
    assert work.move().complete


def _steps(work: Drill) -> Any:
    return move.steps(work.load_plan(), work.read(work.folder.source, Workload), *work.clouds())


def test_a_plan_whose_checks_failed_is_not_carried_out(world: World) -> None:
    work = world.planned()
    there = world.standing("b")
    target = work.read(work.folder.target, Workload)
    none = Quota(service="network", resource="network", limit=0, used=0)
    offering = target.offering.model_copy(update={"quotas": (none,)})
    full = target.model_copy(update={"offering": offering})
    files.write(work.folder.target, full.model_dump_json().encode())
    with pytest.raises(Refused, match="checks failed: quota network") as caught:
        work.move()
    assert "more" in caught.value.remedy
    assert world.standing("b") == there and not work.folder.journal.exists()


# --- what must fit before evidence is believed


def forged(change: Callable[[dict[str, Any]], None]) -> bytes:
    """The first bundle with a changed `context.json` and a statement that fits it, under the signature of the old one."""
    archive = container.Archive(FIRST.read_bytes())
    members = archive.read(archive.names, TRUSTED)
    told = json.loads(members.pop(core.STATEMENT))
    context = json.loads(members["context.json"])
    change(context)
    members["context.json"] = json.dumps(context).encode()
    stated = json.loads(base64.b64decode(told["envelope"]["payload"]))
    for subject in stated["subject"]:
        subject["digest"]["sha256"] = sha256(members[subject["name"]])
    told["envelope"]["payload"] = base64.b64encode(json.dumps(stated).encode()).decode()
    return container.pack(members, json.dumps(told).encode())


@pytest.mark.parametrize(
    "change",
    [lambda context: context.update(not_tested=[]), lambda context: context.update(command="unterbau drill a b")],
    ids=["what was not tested", "the command"],
)
def test_a_statement_that_was_not_signed_is_not_believed(change: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(BundleError, match="the signature does not fit"):
        evidence.check(forged(change))


@pytest.fixture(scope="module")
def whole() -> Iterator[evidence.Bundle]:
    yield checked(FIRST).bundle


@pytest.mark.thorough
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("what", ["catalog_digest", "certificate_sha256"])
def test_a_check_says_that_another_cloud_answered_at_the_verification(
    whole: evidence.Bundle, side: str, what: str
) -> None:
    told = whole.verification
    seen = getattr(told, side)
    other = seen.model_copy(update={"identity": seen.identity.model_copy(update={what: "another"})})
    bundle = whole.model_copy(update={"verification": told.model_copy(update={side: other})})
    found = evidence.check(evidence.seal(bundle, CryptoSigner.generate_ed25519()))
    (about,) = [v for v in found.verdicts if v.claim.subject == what]
    assert (about.claim.id, about.outcome) == (f"coverage {side} {what}", Outcome.NOT_SHOWN)
    assert f"{getattr(seen.identity, what)} became another" == str(about.reason)
    assert found.outcome is Outcome.NOT_SHOWN
