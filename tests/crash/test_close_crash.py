# SPDX-License-Identifier: Apache-2.0
"""`close RUN --source` and `--target` through the command line, between two simulators: what goes, what stays, who is asked.

The simulator, because each case wants a drill of its own, and a change or a kill at a moment that is known. The same
between two real clouds is in `tests/e2e/test_close_clouds.py`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import closer
import pytest
from closer import ALL
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau.cloud.simulator import GIB, Simulator
from unterbau.errors import BundleError
from unterbau.switch import closing, evidence, folders
from unterbau.switch.closing import Closing
from unterbau.tenant.kinds import Attachment, Kind, Ref, id_of, ref
from unterbau.verdict import Outcome

pytestmark = pytest.mark.timeout(2400)

SOON = timedelta(seconds=5)


@dataclass
class World:
    """A kept drill from `a` to `b`; `refs` are those of the source."""

    root: Path
    refs: dict[str, Ref]
    run: str

    @property
    def folder(self) -> folders.Folder:
        return folders.folder(self.run)

    def cloud(self, name: str) -> Simulator:
        return closer.cloud(self.root, name)

    def source(self, *accepted: str) -> list[str]:
        losses = [a for name in accepted for a in ("--accept-loss", name)]
        return ["close", self.run, "--source", "--bundle", str(self.folder.bundle), *losses]

    def left(self) -> set[str]:
        """Names of what the source still has."""
        there = closer.standing(self.root, "a")
        return {name for name, reference in self.refs.items() if reference in there}

    def twin(self, name: str) -> Ref:
        """The counterpart on the target of something that has a name of its own."""
        kind = self.refs[name].partition(":")[0]
        there = self.cloud("b").enumerate_all()
        return next(r for r, called in there.items() if called == name and r.startswith(f"{kind}:"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in closer.environment(root).items():
            patch.setenv(name, value)
        refs = closer.plant(closer.cloud(root, "a"))
        return World(root, refs, closer.drilled(root, keep=True).run)


@pytest.fixture
def world(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    root = tmp_path / "w"
    shutil.copytree(made.root, root)
    for name, value in closer.environment(root).items():
        monkeypatch.setenv(name, value)
    return World(root, made.refs, made.run)


def overwrite(cloud: Simulator, reference: Ref, data: bytes) -> None:
    """What a guest does: other bytes, and the cloud notices nothing."""
    cloud._blob(reference).write_bytes(data)


def test_what_has_a_loss_stays_with_what_it_needs_and_the_rest_goes(world: World) -> None:
    before = closer.standing(world.root, "b")
    done = closer.run(world.root, *world.source(), "--format", "json", typed="a\n")
    assert done.returncode == 3, done.stderr
    servers = {
        "db",
        "web-1",
        "port",
        "www",
        "net",
        "sub",
        "edge",
        "leg",
        "web",
        "rule",
        "root",
        "data",
        "disk",
        "image",
    }
    assert world.left() == servers
    kept = {r: why["text"] for r, why in json.loads(done.stdout)["kept"].items()}
    for name, loss in (("db", "user_data"), ("web-1", "local_disk"), ("www", "address")):
        assert f"{world.refs[name]}.{loss}" in kept[world.refs[name]]
        assert f"--accept-loss {world.refs[name].partition(':')[0]}.{loss}" in kept[world.refs[name]]
    assert world.cloud("a").read(world.refs["edge"]).routes, "a router that stays keeps its routes"  # type: ignore[union-attr]
    assert closer.standing(world.root, "b") == before


def test_accepted_losses_let_all_go_and_stand_in_the_bundle(world: World) -> None:
    (world.root / "a" / "stuck").touch()  # no guest gives a disk back: its server goes first
    db = world.refs["db"]
    done = closer.run(world.root, *world.source(*ALL[1:], f"{db}.user_data", f"{world.refs['web-1']}.user_data"),
                      typed="a\n")  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert world.left() == set()
    assert "is locked: that is lifted" in done.stderr and "is protected: that is lifted" in done.stderr
    checked = evidence.check(world.folder.closed_bundle.read_bytes())
    lost = {v.claim.id: v for v in checked.verdicts if v.claim.id.startswith("loss ")}
    assert f"loss {db}.user_data" in lost and f"loss {world.refs['web-1']}.local_disk" in lost
    assert {v.outcome for v in lost.values()} == {Outcome.NOT_SHOWN}
    own = [v for v in checked.verdicts if v.claim.id.startswith(("loss ", "closing "))]
    assert [t for v in own for t in (v.claim.text, v.reason) if isinstance(t, str)] == []
    assert [v.outcome for v in own if v.claim.id.startswith("closing ")] == [Outcome.HELD, Outcome.HELD]
    record = checked.bundle.closing
    assert record is not None and record.complete and f"{db}.user_data" in record.attempts[0].accepted
    told = closing.deletions(record.attempts[0].journal)
    # The root disk would have gone with its server: it was hashed by itself, after it stood unattached.
    assert [*told[world.refs["root"]]["source"]] == ["sha256"]  # type: ignore[misc]
    assert [*told[world.refs["spare"]]["source"]] == ["updated_at"]  # type: ignore[misc]


def test_what_changes_after_the_look_is_kept_and_named(world: World) -> None:
    with closer.asked(world.root, *world.source(*ALL), "--format", "json") as question:
        here, there = world.cloud("a"), world.cloud("b")
        # Attached, written and detached: its `updated_at` tells that somebody may have written it.
        disk = Attachment(id="-", server_id=id_of(world.refs["web-1"]), volume_id=id_of(world.refs["spare"]))
        reference = ref(Kind.ATTACHMENT, here.ensure(disk, "m"))
        overwrite(here, world.refs["spare"], b"written after the look".ljust(GIB, b"\0"))
        here.delete(reference, SOON)
        # In use all the while: nothing tells, and it is read again after its server is gone.
        overwrite(here, world.refs["data"], b"written in use".ljust(GIB, b"\0"))
        closer.put(here, "a.txt", b"another text\n")
        closer.put(there, "b.txt", b"another text there\n")
        overwrite(there, world.twin("key"), b"other payload")
        there.delete(world.twin("loose"), SOON)
    assert question.code == 3, question.stderr
    kept = {r: why["text"] for r, why in json.loads(question.stdout)["kept"].items()}
    assert world.left() == {"spare", "data", "box", "a.txt", "b.txt", "key", "loose"}
    assert kept[world.refs["spare"]] == kept[world.refs["data"]] == "the source's content changed"
    assert kept[world.refs["a.txt"]] == "the source's changed since it was looked at (size_bytes, etag)"
    assert kept[world.refs["b.txt"]] == "the target's changed since it was looked at (size_bytes)"
    assert kept[world.refs["key"]] == "the payloads differ"
    assert kept[world.refs["loose"]] == "its counterpart on the target is gone"
    assert kept["container:box"] == f"{world.refs['a.txt']} needs it and is kept"
    evidence.check(world.folder.closed_bundle.read_bytes())


def test_what_changed_since_the_seal_is_kept(world: World) -> None:
    """Unlike the case above it changed before the command: the bundle says held, the look says not."""
    overwrite(world.cloud("a"), world.refs["spare"], b"written after the seal".ljust(GIB, b"\0"))
    done = closer.run(world.root, *world.source(*ALL, "volume.content"), "--format", "json", typed="a\n")
    assert done.returncode == 2 and "volume.content is no loss" in done.stderr, (
        "the source's change is nobody's to accept"
    )
    done = closer.run(world.root, *world.source(*ALL), "--format", "json", typed="a\n")
    assert done.returncode == 3, done.stderr
    assert world.left() == {"spare"}
    assert json.loads(done.stdout)["kept"][world.refs["spare"]]["text"].startswith("not verified: ")


def test_what_the_target_changed_since_goes_only_by_name(world: World) -> None:
    overwrite(world.cloud("b"), world.twin("spare"), b"production goes on".ljust(GIB, b"\0"))
    done = closer.run(world.root, *world.source(*ALL), typed="a\n")
    assert done.returncode == 3, done.stderr
    assert world.left() == {"spare"}
    assert "--accept-loss volume.content deletes it all the same" in done.stdout
    done = closer.run(world.root, *world.source(*ALL, "volume.content"), typed="a\n")
    assert done.returncode == 0, done.stderr + done.stdout
    assert world.left() == set()
    checked = evidence.check(world.folder.closed_bundle.read_bytes())
    assert f"loss {world.refs['spare']}.content" in {v.claim.id for v in checked.verdicts}


@pytest.mark.parametrize("number", [2, 8, 20, 33, 47])
def test_killed_and_run_again_it_finishes_and_its_evidence_is_whole(world: World, number: int) -> None:
    before = closer.standing(world.root, "b")
    killed = closer.run(world.root, *world.source(*ALL), typed="a\n", kill_after=number)
    assert killed.returncode == -9, killed.stderr
    refused = closer.run(world.root, "close", world.run, "--target", typed="b\n")
    assert refused.returncode == 2 and "being emptied, or was" in refused.stderr
    done = closer.run(world.root, *world.source(*ALL), typed="a\n")
    assert done.returncode == 0, done.stderr + done.stdout
    assert world.left() == set()
    assert closer.standing(world.root, "b") == before
    checked = evidence.check(world.folder.closed_bundle.read_bytes())
    deleted = next(v for v in checked.verdicts if v.claim.id == "closing held").evidence[0].value
    # The attachment goes with its server; if its own step was begun when the process was killed, it counts as deleted.
    assert isinstance(deleted, list) and set(world.refs.values()) - set(deleted) <= {world.refs["disk"]}
    assert {f"loss {world.refs[s]}.user_data" for s in ("db", "web-1")} <= {v.claim.id for v in checked.verdicts}


def test_a_loss_that_there_is_none_of_is_named_with_the_nearest(world: World) -> None:
    done = closer.run(world.root, *world.source("server.user_dat"), typed="a\n")
    assert done.returncode == 2 and "nearest: server.user_data" in done.stderr
    assert world.left() == set(world.refs)


@pytest.mark.parametrize(("typed", "code"), [("", 5), ("b\n", 2)])
def test_without_the_name_nothing_goes(world: World, typed: str, code: int) -> None:
    done = closer.run(world.root, *world.source(*ALL), typed=typed)
    assert done.returncode == code and world.left() == set(world.refs)
    there = closer.standing(world.root, "b")
    done = closer.run(world.root, "close", world.run, "--target", typed="a\n" if typed else "")
    assert done.returncode == code and closer.standing(world.root, "b") == there


# --- bundles that empty nothing


def test_a_rehearsals_bundle_empties_nothing(world: World) -> None:
    run = closer.drilled(world.root, keep=False, target="c").run
    for whose, said in ((run, "was a rehearsal"), (world.run, f"is of drill {run}")):
        bundle = str(folders.folder(run).bundle)
        done = closer.run(world.root, "close", whose, "--source", "--bundle", bundle, typed="a\n")
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert world.left() == set(world.refs)


def test_a_strangers_bundle_empties_nothing(world: World) -> None:
    own = evidence.check(world.folder.bundle.read_bytes()).bundle
    world.folder.bundle.write_bytes(evidence.seal(own, CryptoSigner.generate_ed25519()))
    done = closer.run(world.root, *world.source(*ALL), typed="a\n")
    assert done.returncode == 2 and "signed by key" in done.stderr, done.stderr
    done = closer.run(world.root, "close", world.run, "--target", typed="b\n")
    assert done.returncode == 2 and "signed by key" in done.stderr, done.stderr
    assert world.left() == set(world.refs)


@pytest.mark.parametrize(("side", "typed"), [("source", "c\n"), ("target", "a\n")])
def test_another_pairs_bundle_empties_nothing(world: World, side: str, typed: str) -> None:
    """The drill's clouds are called so still, and are other projects now (clouds.yaml was edited)."""
    told = world.folder.load()
    world.folder.save(told.model_copy(update={side: "c"}))
    done = closer.run(world.root, *world.source(*ALL), typed=typed)
    assert done.returncode == 2 and f"the {side} of this bundle is project project-" in done.stderr, done.stderr
    assert world.left() == set(world.refs)


# --- the target of a kept drill


def test_a_kept_target_goes_after_its_name_was_typed(world: World) -> None:
    (world.root / "b" / "stuck").touch()
    done = closer.run(world.root, "close", world.run, "--target", "--format", "json", typed="b\n")
    assert done.returncode == 0, done.stderr
    assert closer.standing(world.root, "b") == set()
    assert world.left() == set(world.refs)
    assert "what was written to its local disk" in done.stderr


def test_what_changed_on_a_kept_target_stays_and_is_named(world: World) -> None:
    there = world.cloud("b")
    overwrite(there, world.twin("data"), b"written in use".ljust(GIB, b"\0"))
    closer.put(there, "b.txt", b"another text there\n")
    closer.put(there, "new.txt", b"made since\n")
    data, text = world.twin("data"), world.refs["b.txt"]
    for _ in range(2):
        done = closer.run(world.root, "close", world.run, "--target", "--format", "json", typed="b\n")
        assert done.returncode == 3, done.stderr
        kept = {r: why["text"] for r, why in json.loads(done.stdout)["kept"].items()}
        assert kept[data] == "the target's content changed"
        assert kept[text] == "the target's changed since it was looked at (size_bytes, etag)"
        names = {called for r, called in world.cloud("b").enumerate_all().items() if called != "default"}
        assert names >= {"data", "db", "port", "b.txt", "new.txt", "box"} and not names & {
            "spare",
            "a.txt",
            "key",
            "web-1",
        }
    assert world.left() == set(world.refs)


def test_the_last_copy_is_not_taken_back(world: World) -> None:
    world.cloud("a").delete(world.refs["spare"], SOON)
    there = closer.standing(world.root, "b")
    done = closer.run(world.root, "close", world.run, "--target", typed="b\n")
    assert done.returncode == 2 and f"only copy: {world.refs['spare']} (spare)" in done.stderr, done.stderr
    assert closer.standing(world.root, "b") == there
    world.cloud("b").delete(world.twin("spare"), SOON)
    done = closer.run(world.root, "close", world.run, "--target", typed="b\n")
    assert done.returncode == 0, done.stderr


# --- the record


def _not_accepted(record: Closing) -> Closing:
    return _first(record, accepted=())


def _never_kept(record: Closing) -> Closing:
    return record.model_copy(update={"kept": {}})


def _cut(record: Closing) -> Closing:
    return _first(record, journal=record.attempts[0].journal[1:])


def _other_look(record: Closing) -> Closing:
    look = record.attempts[0].look
    return _first(record, look=look.model_copy(update={"target": look.source}))


def _stamps(record: Closing) -> Closing:
    return _first(record, look=record.attempts[0].look.model_copy(update={"stamps": {}}))


def _no_attempt(record: Closing) -> Closing:
    return record.model_copy(update={"attempts": ()})


def _first(record: Closing, **update: object) -> Closing:
    return record.model_copy(update={"attempts": (record.attempts[0].model_copy(update=update), *record.attempts[1:])})


ATTACKS: tuple[Callable[[Closing], Closing], ...] = (
    _not_accepted, _never_kept, _cut, _other_look, _stamps, _no_attempt,
)  # fmt: skip


def test_a_record_that_does_not_follow_from_what_was_seen_is_rejected(world: World) -> None:
    done = closer.run(world.root, *world.source(*ALL), typed="a\n")
    assert done.returncode == 0, done.stderr
    whole = evidence.check(world.folder.closed_bundle.read_bytes()).bundle
    assert whole.closing is not None
    for attack in ATTACKS:
        forged = whole.model_copy(update={"closing": attack(whole.closing)})
        with pytest.raises(BundleError, match=r"source-closing|journal|members"):
            evidence.check(evidence.seal(forged, CryptoSigner.generate_ed25519()))
    again = evidence.seal(whole.model_copy(update={"closing": None}), CryptoSigner.generate_ed25519())
    assert evidence.check(again).bundle.closing is None
