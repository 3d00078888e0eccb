# SPDX-License-Identifier: Apache-2.0
"""The memory of what comes after a move does not grow with the number of stored objects: seal, check, report, redaction, closing.

The clouds hold their objects in SQLite (`many`), so what grows is the program's. Compared are the peaks at N and at 4 N.
"""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from many import BOX, Many, planted
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau import files
from unterbau.evidence.long import Long
from unterbau.evidence.opening import open_bundle
from unterbau.face import Face
from unterbau.switch import drill, evidence, folders, verify
from unterbau.switch.close import SourceClosing, TargetClosing
from unterbau.switch.evidence.redact import SALT_BYTES, redact_into
from unterbau.switch.manifest import Line, Manifest, head
from unterbau.switch.report import html
from unterbau.switch.verify import compare, observed
from unterbau.tenant.kinds import Container
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome

FEW = 1_500
MANY = 4 * FEW
CLOSED = FEW // 2
"""As many at the least in a source that is emptied: four of which cost what one costs."""
EACH = 40
"""Bytes that one more object may take."""
ROOM = 256 << 10
"""Bytes that more of them may take all together: each file of what was sorted has its buffer while they are merged."""
NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)
SIGNER = CryptoSigner.generate_ed25519()


def peak(what: Callable[[], object]) -> int:
    """The most bytes that it holds at once, beyond what was held before."""
    # Python collects cycles the later, the more a process holds: what a thousand other tests left does not count here.
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        what()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def each(few: int, many: int, more: int = MANY - FEW) -> float:
    """Bytes that one more object took. Where objects are held it is some hundreds."""
    return (many - few - ROOM) / more


def tools(root: Path) -> drill.Tools:
    """A drill's tools between the clouds `a` and `b` below a folder."""
    clouds = {name: Many(root / name, name=name) for name in "ab"}
    return drill.Tools(
        connect=clouds.__getitem__, now=lambda: datetime.now(UTC), face=Face(quiet=True), stop=threading.Event(),
        keys=root / "keys", versions=dict, secrets=lambda name: ("geheimnis",), late_seconds=0.0,
    )  # fmt: skip


def drilled(root: Path, count: int) -> tuple[folders.Folder, drill.Tools]:
    """A kept drill of one container of so many objects."""
    Many(root / "a", name="a").fill(count)
    with_ = tools(root)
    folder = folders.begin("a", "b", True, with_.now())
    work = drill.Drill(folder, with_)
    work.census()
    plan = work.plan()
    assert work.move().complete
    seen = verify.look(*work.clouds(), plan, work=folder.path, now=with_.now, place=folder.verdicts)
    files.write(folder.verdicts, seen.model_dump_json(indent=1).encode())
    work.seal()
    folder.save(folder.load().model_copy(update={"finished": True}))
    return folder, with_


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[evidence.Bundle]:
    """That of a small one."""
    root = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        folder, _ = drilled(root, 200)
        yield evidence.check(folder.bundle).bundle


def held(bundle: evidence.Bundle, count: int, root: Path) -> evidence.Bundle:
    """The same, as if the container had held so many objects."""
    root.mkdir()
    for side in ("source", "target"):
        with (root / side).open("wb") as file:
            file.write(head(BOX) + b"\n")
            for number in range(count):
                name = f"{number:07}"
                file.write(Line.of(planted(BOX, name, metadata={"colour": "red"}), f"{number:064x}").bytes() + b"\n")
    texts = {side: Long.at(root / side) for side in ("source", "target")}

    def counting(side: Workload) -> Workload:
        things = (
            r.model_copy(update={"object_count": count}) if isinstance(r, Container) else r for r in side.resources
        )
        return side.model_copy(update={"resources": tuple(things)})

    told = bundle.verification
    source, target = counting(told.source), counting(told.target)
    verdicts = compare(
        source, target, bundle.plan, observed(told.verdicts), told.judging,
        manifests={side: Manifest.read(text.open) for side, text in texts.items()},
    )  # fmt: skip
    told = told.model_copy(update={"source": source, "target": target, "verdicts": verdicts})
    return bundle.model_copy(update={"verification": told, "held": texts})


def sealed(bundle: evidence.Bundle, path: Path) -> None:
    """Seal it into a file."""
    with path.open("wb") as out:
        evidence.seal_into(out, bundle, SIGNER, secrets=["geheimnis"])


def checked(path: Path) -> None:
    """Check it, and write its report."""
    opened = open_bundle(path, trusted_key=str(SIGNER.public_key.keyid))
    found = evidence.check_opened(opened)
    assert [v.outcome for v in found.verdicts if v.claim.id == f"content container:{BOX}"] == [Outcome.HELD]
    html.render(found, opened.digest)


def redacted(path: Path) -> None:
    """Redact it."""
    with path.with_suffix(".redacted").open("wb") as out:
        redact_into(out, open_bundle(path), b"s" * SALT_BYTES, SIGNER, NOW)


@pytest.mark.thorough
def test_seal_check_report_and_redaction(
    bundle: evidence.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unterbau.switch.manifest.RUN", 1_500)
    peaks: dict[str, list[int]] = {}
    sealed(held(bundle, 2, tmp_path / "first"), tmp_path / "first.unterbau")
    checked(tmp_path / "first.unterbau")  # what is made once for all is there by now
    redacted(tmp_path / "first.unterbau")
    for count in (FEW, MANY):
        made, path = held(bundle, count, tmp_path / str(count)), tmp_path / f"{count}.unterbau"
        sealed(made, path)
        for name, what in (("seal", sealed), ("check", checked), ("redact", redacted)):
            given = (made, path) if what is sealed else (path,)
            peaks.setdefault(name, []).append(peak(lambda what=what, given=given: what(*given)))  # type: ignore[misc]
    assert {name: each(*found) for name, found in peaks.items() if each(*found) > EACH} == {}, peaks


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_a_source_is_emptied_and_its_record_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("unterbau.switch.move.parts.LEAST", "unterbau.switch.verify.containers.BATCH", "many.PAGE"):
        monkeypatch.setattr(bound, 250)  # what is held at once is reached by the fewer, too
    peaks: dict[str, list[int]] = {"empty": [], "check": []}
    for count in (CLOSED, CLOSED, 4 * CLOSED):  # what is made once for all is there after the first
        root = tmp_path / str(sum(map(len, peaks.values())))
        monkeypatch.setenv("XDG_STATE_HOME", str(root / "state"))
        folder, with_ = drilled(root, count)
        closing = SourceClosing(folder, replace(with_, workers=2))  # who works beside holds a part each
        peaks["empty"].append(peak(lambda own=closing, one=folder: own.empty(one.bundle, (), lambda question: None)))  # type: ignore[misc]
        assert Many(root / "a").objects() == 0 and Many(root / "b").objects() == count
        peaks["check"].append(peak(lambda one=folder: emptied(one)))  # type: ignore[misc]
    grown = {name: each(found[1], found[2], 3 * CLOSED) for name, found in peaks.items()}
    assert {name: one for name, one in grown.items() if one > EACH} == {}, peaks


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_a_target_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("unterbau.switch.move.parts.LEAST", "unterbau.switch.verify.containers.BATCH", "many.PAGE"):
        monkeypatch.setattr(bound, 250)
    peaks: list[int] = []
    for count in (CLOSED, CLOSED, 4 * CLOSED):
        root = tmp_path / str(len(peaks))
        monkeypatch.setenv("XDG_STATE_HOME", str(root / "state"))
        folder, with_ = drilled(root, count)
        closing = TargetClosing(folder, replace(with_, workers=2))
        peaks.append(peak(lambda own=closing: own.take_back(lambda question: None)))  # type: ignore[misc]
        assert Many(root / "b").objects() == 0 and Many(root / "a").objects() == count
    assert each(peaks[1], peaks[2], 3 * CLOSED) <= EACH, peaks


def emptied(folder: folders.Folder) -> None:
    """Check the bundle of an emptied source."""
    found = evidence.check(folder.closed_bundle)
    assert [v.outcome for v in found.verdicts if v.claim.id.startswith("closing ")] == [Outcome.HELD, Outcome.HELD]
