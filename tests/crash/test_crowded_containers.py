# SPDX-License-Identifier: Apache-2.0
"""A drill of a crowded container through the command line, between two simulators: its evidence, its closing, its auditors."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boxes
import closer
import pytest
from boxes import BOX, named
from kept_bundles import sign_anew, stated
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from test_evidence import members, packed

from unterbau.cloud.simulator import Simulator
from unterbau.errors import BundleError
from unterbau.evidence.core import STATEMENT, WITH_MANIFESTS
from unterbau.evidence.opening import open_bundle
from unterbau.switch import evidence, folders
from unterbau.switch.evidence.redact import SALT_BYTES, redact
from unterbau.switch.manifest import Manifest
from unterbau.switch.verify import compare, observed
from unterbau.switch.verify.structure import COUNTS
from unterbau.verdict import Outcome, Verdict

pytestmark = pytest.mark.timeout(2400)
MANY = 110
CLAIM = f"content container:{BOX}"
NOW = datetime(2026, 11, 26, 14, tzinfo=UTC)
OBJECTS = {f"object:{BOX}/{name}" for name in named(MANY)}


@dataclass
class Kept:
    """A kept drill from `a` to `b`."""

    root: Path
    run: str

    @property
    def folder(self) -> folders.Folder:
        return folders.folder(self.run)

    def cloud(self, name: str) -> Simulator:
        return closer.cloud(self.root, name)

    def objects(self, name: str) -> set[str]:
        return {r for r in closer.standing(self.root, name) if r.startswith("object:")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    root = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in closer.environment(root).items():
            patch.setenv(name, value)
        boxes.plant(closer.cloud(root, "a"), named(MANY), metadata={"colour": "red"})
        done = closer.run(root, "drill", "a", "b", "--keep")
        assert done.returncode == 0, done.stderr
        return Kept(root, folders.drills()[0][0].run)


@pytest.fixture
def kept(made: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    root = tmp_path / "w"
    shutil.copytree(made.root, root)
    for name, value in closer.environment(root).items():
        monkeypatch.setenv(name, value)
    return Kept(root, made.run)


def resealed(data: bytes, name: str, text: bytes) -> bytes:
    """The bundle with another member, sealed by whoever changed it."""
    files = members(data)
    statement = stated(files)
    del files[STATEMENT]
    files[name] = text
    return packed({**files, STATEMENT: sign_anew(files, statement, CryptoSigner.generate_ed25519())})


@pytest.mark.holds("container.holds")
def test_the_bundle_has_a_manifest_a_side_and_one_claim_for_all_of_its_objects(kept: Kept) -> None:
    data = kept.folder.bundle.read_bytes()
    told = evidence.check(data)
    assert open_bundle(data).format == WITH_MANIFESTS
    assert [v.outcome for v in told.verdicts if v.claim.id == CLAIM] == [Outcome.HELD]
    assert not [v for v in told.verdicts if v.claim.subject.startswith("object:")]
    assert not [v.claim.id for v in told.verdicts if v.outcome is Outcome.FAILED]
    for side in ("source", "target"):
        lines = members(data)[f"contents-{side}.jsonl"].splitlines()
        assert [json.loads(line)["name"] for line in lines[1:]] == named(MANY)


def _one_less(lines: list[dict[str, Any]]) -> None:
    del lines[5]


def _one_more(lines: list[dict[str, Any]]) -> None:
    lines.append({**lines[-1], "name": "zzzz"})


def _other_bytes(lines: list[dict[str, Any]]) -> None:
    lines[5]["sha256"] = "0" * 64


def _other_order(lines: list[dict[str, Any]]) -> None:
    lines[5], lines[6] = lines[6], lines[5]


def _other_container(lines: list[dict[str, Any]]) -> None:
    lines[0]["container"] = "another"


def _no_object(lines: list[dict[str, Any]]) -> None:
    lines[5] = {"name": 5}


def _twice(lines: list[dict[str, Any]]) -> None:
    lines.insert(5, lines[5])


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(
    "change", [_one_less, _one_more, _other_bytes, _other_order, _other_container, _no_object, _twice]
)
def test_a_manifest_that_somebody_changed_does_not_carry_the_claims(kept: Kept, change: Any, side: str) -> None:
    data, name = kept.folder.bundle.read_bytes(), f"contents-{side}.jsonl"
    lines = [json.loads(line) for line in members(data)[name].splitlines()]
    change(lines)
    with pytest.raises(BundleError):
        evidence.check(resealed(data, name, b"".join(json.dumps(line).encode() + b"\n" for line in lines)))


@pytest.mark.parametrize("text", [b"", b"[]\n", b"\xff\n", b'{"container": "viele"}\n', b"[" * 100_000, b"x" * 2**20])
def test_a_manifest_that_is_none_is_refused_with_a_message(kept: Kept, text: bytes) -> None:
    with pytest.raises(BundleError):
        evidence.check(resealed(kept.folder.bundle.read_bytes(), "contents-source.jsonl", text))


def _nothing(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return []


def _only_the_container(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return lines[:1]


def _without_one(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*lines[:5], *lines[6:]]


@pytest.mark.parametrize("change", [_nothing, _only_the_container, _without_one])
def test_what_neither_side_tells_is_not_held(kept: Kept, change: Any) -> None:
    """Both manifests changed alike, and the verdict left out that is made of them: its container counts more objects."""
    data, texts = kept.folder.bundle.read_bytes(), {}
    for side in ("source", "target"):
        lines = [json.loads(line) for line in members(data)[f"contents-{side}.jsonl"].splitlines()]
        texts[side] = b"".join(json.dumps(line).encode() + b"\n" for line in change(lines))
    told = evidence.check(data).bundle.verification
    manifests = {side: Manifest.of(text) for side, text in texts.items()}
    plan, hashes = evidence.check(data).bundle.plan, observed(told.verdicts)

    def claim(judging: tuple[str, ...]) -> Verdict | None:
        verdicts = compare(told.source, told.target, plan, hashes, judging, manifests=manifests)
        return next((v for v in verdicts if v.claim.id == CLAIM), None)

    now, older = claim(told.judging), claim(tuple(name for name in told.judging if name != COUNTS))
    assert now is not None and now.outcome is Outcome.NOT_SHOWN and f"counts {MANY} objects" in str(now.reason)
    assert older is None or older.outcome is Outcome.HELD, "an older bundle is judged as it was"


def test_a_bundle_without_one_of_its_manifests_is_none(kept: Kept) -> None:
    files = members(kept.folder.bundle.read_bytes())
    statement = stated(files)
    del files[STATEMENT], files["contents-source.jsonl"]
    with pytest.raises(BundleError):
        evidence.check(packed({**files, STATEMENT: sign_anew(files, statement, CryptoSigner.generate_ed25519())}))


def test_an_auditor_gets_the_same_claim_without_any_name(kept: Kept) -> None:
    signer = CryptoSigner.generate_ed25519()
    data = redact(open_bundle(kept.folder.bundle.read_bytes()), b"s" * SALT_BYTES, signer, NOW)
    told = evidence.check(data)
    held = [v for v in told.verdicts if v.claim.kind == "content" and v.claim.subject.startswith("container:")]
    assert [v.outcome for v in held] == [Outcome.HELD]
    text = b"\n".join(members(data).values()).decode()
    assert not [n for n in (BOX, "zzz", "x//y", "ä/ö ✓", "colour", "0/000000") if f'"{n}"' in text]
    assert (
        json.loads(members(kept.folder.bundle.read_bytes())["contents-source.jsonl"].splitlines()[5])["sha256"]
        not in text
    )


def test_the_source_is_emptied_object_by_object_as_ever(kept: Kept) -> None:
    gone = f"object:{BOX}/zzz"
    boxes.put(source := kept.cloud("a"), "zzz", b"written since")
    source._save()
    done = closer.run(
        kept.root, "close", kept.run, "--source", "--bundle", str(kept.folder.bundle), "--format", "json", typed="a\n"
    )
    assert done.returncode == 3, done.stderr
    assert kept.objects("a") == {gone} and kept.objects("b") == OBJECTS
    told = evidence.check(kept.folder.closed_bundle.read_bytes())
    assert {v.claim.id: v.outcome for v in told.verdicts}["closing held"] is Outcome.HELD


def test_what_the_target_alone_changed_goes_if_a_person_accepts_it(kept: Kept) -> None:
    boxes.put(target := kept.cloud("b"), "zzz", b"written since", metadata={"colour": "red"})
    target._save()
    argv = ["close", kept.run, "--source", "--bundle", str(kept.folder.bundle)]
    done = closer.run(
        kept.root, *argv, "--accept-loss", "object.content", "--accept-loss", "object.size_bytes", typed="a\n"
    )
    assert done.returncode in (0, 3), done.stderr
    assert kept.objects("a") == set(), done.stderr
    evidence.check(kept.folder.closed_bundle.read_bytes())


def test_the_target_is_taken_back_but_for_what_was_changed_there(kept: Kept) -> None:
    there = kept.cloud("b")
    there._blob(f"object:{BOX}/zzz").write_bytes(b"ZZZ")
    there._world[f"object:{BOX}/zzz"]["last_modified"] = "2026-11-27T00:00:00Z"
    there._save()
    done = closer.run(kept.root, "close", kept.run, "--target", typed="b\n")
    assert kept.objects("b") == {f"object:{BOX}/zzz"}, done.stderr
    assert kept.objects("a") == OBJECTS


def test_marks_are_taken_off_every_object(kept: Kept) -> None:
    done = closer.run(kept.root, "close", kept.run, "--marks")
    assert done.returncode == 0, done.stderr
    assert not [r for r, plain in kept.cloud("b")._world.items() if plain.get("marker")]


def test_a_rehearsal_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in closer.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    boxes.plant(closer.cloud(tmp_path, "a"), named(MANY))
    done = closer.run(tmp_path, "drill", "a", "b")
    assert done.returncode == 0, done.stderr
    assert not closer.standing(tmp_path, "b")
    told = evidence.check(folders.drills()[0][0].bundle.read_bytes())
    assert not [v.claim.id for v in told.verdicts if v.outcome is Outcome.FAILED]
