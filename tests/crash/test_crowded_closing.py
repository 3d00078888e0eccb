# SPDX-License-Identifier: Apache-2.0
"""A crowded container goes in parts, at a source and on a kept target: killed anywhere a rerun finishes, what changed stays, and no record
can be made up.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boxes
import closer
import pytest
from boxes import BOX, named
from kept_bundles import sign_anew, stated
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from test_crowded_containers import MANY, OBJECTS, Kept, kept, made  # noqa: F401  (fixtures)
from test_evidence import members, packed

from unterbau import canonical
from unterbau.cloud.simulator import Simulator
from unterbau.errors import BundleError, Conflict, Failed, Unreachable
from unterbau.evidence.core import STATEMENT, WITH_PARTS
from unterbau.evidence.opening import open_bundle
from unterbau.face import Face
from unterbau.switch import drill, evidence
from unterbau.switch.close import Question, SourceClosing, TargetClosing
from unterbau.switch.closing import PART, stored_digest
from unterbau.tenant.kinds import Segment
from unterbau.verdict import Outcome

pytestmark = pytest.mark.timeout(2400)
HELD = "closing held"
CONTAINER = f"container:{BOX}"


def emptied(world: Kept, *accepted: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`close --source`, as a person who types the name."""
    losses = [word for one in accepted for word in ("--accept-loss", one)]
    argv = ["close", world.run, "--source", "--bundle", str(world.folder.bundle), "--format", "json", *losses]
    return closer.run(world.root, *argv, typed="a\n", **more)


def told(world: Kept) -> dict[str, Any]:
    """Claim -> its verdict, in the bundle of the emptied source."""
    return {v.claim.id: v for v in evidence.check(world.folder.closed_bundle).verdicts}


def kept_of(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What stayed, and why."""
    return {r: why["text"] for r, why in json.loads(done.stdout)["kept"].items()}


def within(world: Kept) -> tuple[dict[str, Simulator], drill.Tools]:
    """Both clouds, and what works between them in this process."""
    clouds = {name: world.cloud(name) for name in "ab"}
    return clouds, drill.Tools(
        connect=clouds.__getitem__, now=lambda: datetime.now(UTC), face=Face(quiet=True), stop=threading.Event(),
        keys=world.root / "data" / "unterbau" / "keys", versions=dict, secrets=lambda name: (), late_seconds=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("passes", [True, False])
def test_an_object_that_is_refused_stops_no_other(kept: Kept, monkeypatch: pytest.MonkeyPatch, passes: bool) -> None:  # noqa: F811
    _, tools = within(kept)
    delete, asked = Simulator.delete, list[str]()

    def refuse(self: Simulator, reference: str, deadline: timedelta) -> None:
        if reference.startswith("object:"):
            asked.append(reference)
            if passes and len(asked) == 7:
                raise Unreachable("a: no route")
            if not passes and reference == f"object:{BOX}/x//y":
                raise Conflict("a: somebody holds it")
        delete(self, reference, deadline)

    monkeypatch.setattr(Simulator, "delete", refuse)
    closing = SourceClosing(kept.folder, tools)
    if passes:
        closed = closing.empty(kept.folder.bundle, (), lambda question: None)
        assert closed.emptied == {CONTAINER: MANY} and kept.objects("a") == set()
        assert len(asked) == MANY + 1, "what went before the error is not asked for again"
        return
    with pytest.raises(Failed, match="could not be removed"):
        closing.empty(kept.folder.bundle, (), lambda question: None)
    assert kept.objects("a") == {f"object:{BOX}/x//y"} and len(asked) == MANY
    monkeypatch.undo()
    for name, value in closer.environment(kept.root).items():
        monkeypatch.setenv(name, value)
    _finishes(kept)


def test_all_of_it_goes_and_the_record_holds_no_object(kept: Kept) -> None:  # noqa: F811
    done = emptied(kept)
    assert done.returncode == 0, done.stderr
    assert kept.objects("a") == set() and kept.objects("b") == OBJECTS
    assert json.loads(done.stdout)["emptied"] == {CONTAINER: MANY}
    assert f"{MANY + 1} things go" in done.stderr
    data = kept.folder.closed_bundle.read_bytes()
    assert open_bundle(data).format == WITH_PARTS
    assert "zzz" not in members(data)["source-closing.json"].decode()
    assert told(kept)[HELD].evidence[0].value == [CONTAINER, f"{MANY} objects of {CONTAINER}"]
    assert told(kept)["closing gone"].outcome is Outcome.HELD


@pytest.mark.parametrize("number", range(1, 14))
def test_killed_after_any_write_a_rerun_finishes(kept: Kept, number: int) -> None:  # noqa: F811
    killed = emptied(kept, kill_after=number)
    if killed.returncode == 0:
        pytest.skip("it has not so many writes")
    assert killed.returncode == -9, killed.stderr
    _finishes(kept)


@pytest.mark.parametrize("number", [1, 7, 24, 60, MANY])
def test_killed_between_two_deletions_a_rerun_finishes_and_counts_them_all(kept: Kept, number: int) -> None:  # noqa: F811
    (kept.root / "a" / "die").write_text(str(number))
    killed = emptied(kept)
    assert killed.returncode == -9, killed.stderr
    assert len(kept.objects("a")) <= MANY - number
    refused = closer.run(kept.root, "close", kept.run, "--target", typed="b\n")
    assert refused.returncode == 2 and "being emptied, or was" in refused.stderr
    _finishes(kept)
    told_of = told(kept)[HELD].evidence[0].value
    assert f"{MANY} objects of {CONTAINER}" in told_of


def _finishes(world: Kept) -> None:
    done = emptied(world)
    assert done.returncode == 0, done.stderr
    assert world.objects("a") == set() and world.objects("b") == OBJECTS
    assert told(world)[HELD].outcome is Outcome.HELD
    assert not [v.claim.id for v in evidence.check(world.folder.closed_bundle).verdicts if v.outcome is Outcome.FAILED]


def test_what_changes_after_the_look_stays_with_its_container(kept: Kept) -> None:  # noqa: F811
    argv = ["close", kept.run, "--source", "--bundle", str(kept.folder.bundle), "--format", "json"]
    with closer.asked(kept.root, *argv) as question:
        here, there = kept.cloud("a"), kept.cloud("b")
        boxes.put(here, "zzz", b"longer than before", metadata={"colour": "red"})
        here._world[f"object:{BOX}/x//y"]["last_modified"] = "2026-11-27T00:00:00Z"  # another stamp, and the same bytes
        here._world[f"object:{BOX}/a\nb"]["last_modified"] = "2026-11-27T00:00:00Z"
        here._blob(f"object:{BOX}/a\nb").write_bytes(b"A\nB")  # of the same length, under the same ETag
        del there._world[f"object:{BOX}/ä/ö ✓"]
        here._save()
        there._save()
    assert question.code == 3, question.stderr
    stayed = {f"object:{BOX}/{name}" for name in ("zzz", "a\nb", "ä/ö ✓")}
    assert kept.objects("a") == stayed
    why = {r: one["text"] for r, one in json.loads(question.stdout)["kept"].items()}
    assert why[f"object:{BOX}/zzz"].startswith("the source's changed since it was looked at")
    assert why[f"object:{BOX}/a\nb"] == "the source's content changed"
    assert why[f"object:{BOX}/ä/ö ✓"] == "its counterpart on the target is gone"
    assert why[CONTAINER].endswith("needs it and is kept")
    assert told(kept)[HELD].evidence[0].value == [f"{MANY - 3} objects of {CONTAINER}"]


def test_what_differs_by_now_stays_and_the_rest_goes(kept: Kept) -> None:  # noqa: F811
    here, there = kept.cloud("a"), kept.cloud("b")
    boxes.put(here, "new", b"came later")
    here._blob(f"object:{BOX}/zzz").write_bytes(b"ZZZ")
    del there._world[f"object:{BOX}/x//y"]
    here._save()
    there._save()
    done = emptied(kept, "object.content")
    assert done.returncode == 2, "the source's change is nobody's to accept"
    done = emptied(kept)
    assert done.returncode == 3, done.stderr
    assert kept.objects("a") == {f"object:{BOX}/{name}" for name in ("new", "zzz", "x//y")}
    assert {f"object:{BOX}/new", f"object:{BOX}/zzz", f"object:{BOX}/x//y", CONTAINER} <= kept_of(done).keys()
    assert told(kept)[HELD].outcome is Outcome.HELD


def test_what_an_object_of_later_joins_stays_with_it(kept: Kept) -> None:  # noqa: F811
    here = kept.cloud("a")
    whole = Segment(path=f"{BOX}/zzz", size_bytes=3, etag="")
    boxes.put(here, "joined", b"zzz", segments=(whole,))
    here._save()
    done = emptied(kept)
    assert done.returncode == 3, done.stderr
    assert kept.objects("a") == {f"object:{BOX}/joined", f"object:{BOX}/zzz"}
    assert told(kept)[HELD].outcome is Outcome.HELD


def test_names_like_those_of_secrets_are_names(kept: Kept) -> None:  # noqa: F811
    argv = ["close", kept.run, "--source", "--bundle", str(kept.folder.bundle)]
    here = kept.cloud("a")
    boxes.put(here, "passwords", b"x")
    here._save()
    with closer.asked(kept.root, *argv) as question:
        here = kept.cloud("a")
        boxes.put(here, "0/000000", b"another")
        here._save()
    assert question.code == 3, question.stderr
    assert kept.objects("a") == {f"object:{BOX}/passwords", f"object:{BOX}/0/000000"}


def test_a_container_that_stays_keeps_its_objects(kept: Kept) -> None:  # noqa: F811
    here = kept.cloud("a")
    here._world[CONTAINER]["metadata"] = {"owner": "somebody else"}
    here._save()
    done = emptied(kept)
    assert done.returncode == 3, done.stderr
    assert kept.objects("a") == OBJECTS and not kept.folder.closed_bundle.exists()


# --- the target of a kept drill


def given_back(world: Kept) -> subprocess.CompletedProcess[str]:
    """`close --target`, as a person who types the name."""
    return closer.run(world.root, "close", world.run, "--target", "--format", "json", typed="b\n")


def test_a_kept_target_gives_all_of_it_back(kept: Kept) -> None:  # noqa: F811
    done = given_back(kept)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["emptied"] == {CONTAINER: MANY}
    assert f"{MANY + 1} things go" in done.stderr
    assert closer.standing(kept.root, "b") == set() and kept.objects("a") == OBJECTS


@pytest.mark.parametrize("number", [1, 24, 60, MANY])
def test_killed_while_it_is_taken_back_a_rerun_finishes(kept: Kept, number: int) -> None:  # noqa: F811
    (kept.root / "b" / "die").write_text(str(number))
    killed = given_back(kept)
    assert killed.returncode == -9, killed.stderr
    assert len(kept.objects("b")) <= MANY - number
    done = given_back(kept)
    assert done.returncode == 0, done.stderr
    assert closer.standing(kept.root, "b") == set() and kept.objects("a") == OBJECTS


def test_what_is_written_there_before_or_after_the_question_stays(kept: Kept) -> None:  # noqa: F811
    there = kept.cloud("b")
    boxes.put(there, "new", b"not of the drill")
    boxes.put(there, "x//y", b"production", metadata={"colour": "red"})
    there._save()
    clouds, tools = within(kept)

    def written(question: Question) -> None:
        assert question.objects == {CONTAINER: MANY - 1}
        clouds["b"]._blob(zzz := f"object:{BOX}/zzz").write_bytes(b"ZZZ")
        clouds["b"]._world[zzz] = clouds["b"]._world[zzz] | {"last_modified": "2026-11-27T00:00:00Z"}

    closed = TargetClosing(kept.folder, tools).take_back(written)
    stayed = {f"object:{BOX}/{name}" for name in ("new", "x//y", "zzz")}
    assert kept.objects("b") == stayed and kept.objects("a") == OBJECTS
    assert closed.kept.keys() == {*stayed, CONTAINER} and closed.emptied == {CONTAINER: MANY - 2}
    assert str(closed.kept[f"object:{BOX}/zzz"]) == "the target's content changed"


@pytest.mark.parametrize("names", [["zzz"], named(MANY)])
def test_the_last_copy_of_an_object_is_not_taken_back(kept: Kept, names: list[str]) -> None:  # noqa: F811
    here = kept.cloud("a")
    for name in names:
        del here._world[f"object:{BOX}/{name}"]
    here._save()
    done = given_back(kept)
    assert done.returncode == 2 and f"no longer has {len(names)} things" in done.stderr, done.stderr
    assert f"object:{BOX}/{names[0]}" in done.stderr and kept.objects("b") == OBJECTS


# --- the record


Record = dict[str, Any]


def _rows(record: Record) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = record["attempts"][0]["journal"]
    return rows


def _part(record: Record, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        row["event"]["data"]
        for row in _rows(record)
        if row["event"]["kind"] == kind and row["event"]["node"].startswith(PART)
    )
    return found


def _nothing(record: Record, lines: list[dict[str, Any]]) -> None:
    """The bundle sealed anew as it is."""


def _another_lot(record: Record, lines: list[dict[str, Any]]) -> None:
    _part(record, "intended")["count"] += 1


def _one_spared(record: Record, lines: list[dict[str, Any]]) -> None:
    _part(record, "intended")["but"] = ["zzz"]


def _fewer_told(record: Record, lines: list[dict[str, Any]]) -> None:
    _part(record, "done")["deleted"] -= 1


def _a_stranger_stayed(record: Record, lines: list[dict[str, Any]]) -> None:
    _part(record, "done")["stayed"] = {f"object:{BOX}/nobody": "why"}


def _other_hash(record: Record, lines: list[dict[str, Any]]) -> None:
    _part(record, "done")["read"] = {f"object:{BOX}/{named(MANY)[0]}": {"source": "0" * 64}}


def _no_stamp(record: Record, lines: list[dict[str, Any]]) -> None:
    del lines[1]["last_modified"]
    record["attempts"][0]["held"]["source"] = ""


def _other_bytes(record: Record, lines: list[dict[str, Any]]) -> None:
    lines[5]["sha256"] = "0" * 64
    record["attempts"][0]["held"]["source"] = ""


def _other_manifest(record: Record, lines: list[dict[str, Any]]) -> None:
    lines[5]["sha256"] = "0" * 64


def _parts_of_any_length(record: Record, lines: list[dict[str, Any]]) -> None:
    record["attempts"][0]["lines"] = 10**6


def _an_object_by_itself(record: Record, lines: list[dict[str, Any]]) -> None:
    nodes = _rows(record)[0]["event"]["data"]["nodes"]
    nodes[f"delete object:{BOX}/zzz"] = []


def _no_parts(record: Record, lines: list[dict[str, Any]]) -> None:
    del record["attempts"][0]["held"], record["attempts"][0]["lines"]


FORGED: tuple[Callable[[Record, list[dict[str, Any]]], None], ...] = (
    _another_lot, _one_spared, _fewer_told, _a_stranger_stayed, _other_hash, _no_stamp, _other_bytes, _other_manifest,
    _parts_of_any_length, _an_object_by_itself, _no_parts,
)  # fmt: skip


def test_a_record_that_somebody_made_up_is_rejected(kept: Kept) -> None:  # noqa: F811
    assert emptied(kept).returncode == 0
    data = kept.folder.closed_bundle.read_bytes()
    evidence.check(_forged(data, _nothing))
    for forge in FORGED:
        with pytest.raises(BundleError):
            evidence.check(_forged(data, forge))
            pytest.fail(forge.__name__)


def _forged(data: bytes, forge: Callable[[Record, list[dict[str, Any]]], None]) -> bytes:
    """The bundle with another record, whose digests and chain fit."""
    files = members(data)
    statement = stated(files)
    del files[STATEMENT]
    name, record = "closing-1-source.jsonl", json.loads(files["source-closing.json"])
    lines = [json.loads(line) for line in files[name].splitlines()]
    forge(record, lines)
    files[name] = b"".join(json.dumps(x, sort_keys=True, separators=(",", ":")).encode() + b"\n" for x in lines)
    attempt = record["attempts"][0]
    if attempt.get("held", {}).get("source") == "":
        attempt["held"]["source"] = canonical.digest_bytes(files[name]).removeprefix("sha256:")
    before = canonical.GENESIS
    for number, row in enumerate(attempt["journal"], start=1):
        if number == 1:
            row["event"]["data"]["plan"] = stored_digest(attempt)
        row |= {"prev": before, "hash": canonical.chained(attempt["chain"], before, number, row["at"], row["event"])}
        before = row["hash"]
    files["source-closing.json"] = json.dumps(record).encode()
    return packed({**files, STATEMENT: sign_anew(files, statement, CryptoSigner.generate_ed25519())})


@pytest.mark.parametrize("name", ["closing-1-source.jsonl", "closing-1-target.jsonl"])
def test_a_bundle_without_what_an_attempt_saw_is_none(kept: Kept, name: str) -> None:  # noqa: F811
    assert emptied(kept).returncode == 0
    files = members(kept.folder.closed_bundle.read_bytes())
    statement = stated(files)
    del files[STATEMENT], files[name]
    with pytest.raises(BundleError):
        evidence.check(packed({**files, STATEMENT: sign_anew(files, statement, CryptoSigner.generate_ed25519())}))
