# SPDX-License-Identifier: Apache-2.0
"""What was proved of a cloud over time: one append-only file for each, and what changed from one look to the next, and why.

`prove --watch` calls `append` after each look. The file holds one JSON object a line, chained by hashes; beside it stands
the inventory of the last look. *Why* is not guessed: the old inventory is judged again with today's program, at the old
date and at the new one. What that already explains was not the cloud.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue, ValidationError

from unterbau import files
from unterbau.canonical import canonical_bytes, digest, digest_bytes
from unterbau.errors import LocalError, UsageError
from unterbau.prove.inventory import Inventory, Subject
from unterbau.prove.proof import Proof, prove
from unterbau.prove.verdicts import CaseOutcome
from unterbau.verdict import Model, Words

_TOLD = ("versions", "cases", "sections")
GENESIS = "sha256:" + "0" * 64
_TAMPERED = "Move the file away to begin a new history; keep it if you need to know what happened."


class End(Model):
    """How a case ended."""

    outcome: CaseOutcome
    reason: Words


class Entry(Model):
    """One look, as the history keeps it. `hash` is over everything else in it, `prev` the hash of the entry before."""

    format: Literal["unterbau-history/1"] = "unterbau-history/1"
    seq: int
    prev: str
    at: datetime
    collected_at: datetime
    tool: str
    data: str
    data_digest: str
    scope: str
    asked: str
    subject: Subject
    inventory: str
    same: bool = False
    """Versions, cases and sections are those of the last entry that tells them, and stand only there."""
    versions: dict[str, CaseOutcome] = {}
    cases: dict[str, End] = {}
    sections: dict[str, str] = {}
    """Digest of what each section held, whatever its order; `tls` too."""
    hash: str = ""

    def expected(self) -> str:
        """The hash that the entry must carry."""
        return digest(self.model_dump(mode="json", exclude={"hash"}))


class Change(Model):
    """One case that ends otherwise than at the last look."""

    case: str
    before: CaseOutcome | None
    after: CaseOutcome | None
    reason: Words
    cause: str
    """`the cloud`, `our data`, `our version`, `our data or our version`, `the date`, `the question`."""


# --- the file


def append(folder: Path, proof: Proof) -> tuple[str, ...]:
    """Keep this look, durably, and say in lines what changed since the last one; no lines: nothing did.

    Raises LocalError: the file cannot be written, or does not follow from itself.
    """
    name = _name(proof.inventory.subject, proof.report.scope)
    path, last = folder / f"{name}.jsonl", folder / f"{name}.last.json"
    files.make_folder(folder)
    with files.locked(folder / f".{name}.lock"):
        before = _tail(path)
        entry = _entry(proof, before)
        lines = tuple(
            _first(entry) if before is None else _told(before, entry, changes(before, proof, _kept(last, before)))
        )
        _write(path, _short(before, entry))
        files.write(last, proof.inventory.to_json().encode())
    return lines


def read(path: Path) -> tuple[Entry, ...]:
    """The whole history of one cloud. Raises LocalError if a line was changed, added or taken out."""
    found: list[Entry] = []
    with files.translated(path):
        lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):  # a crash while it was written: it never was
            break
        entry = _parsed(path, number, line)
        prev = found[-1].hash if found else GENESIS
        if entry.prev != prev or entry.seq != number:
            raise LocalError(f"{path}, line {number}: does not follow from the line before it", _TAMPERED)
        found.append(entry)
    return tuple(found)


def _parsed(path: Path, number: int, line: bytes) -> Entry:
    try:
        entry = Entry.model_validate_json(line)
    except ValidationError:
        raise LocalError(f"{path}, line {number}: not an entry of a history", _TAMPERED) from None
    if entry.hash != entry.expected():
        raise LocalError(f"{path}, line {number}: changed since it was written", _TAMPERED)
    return entry


def _name(subject: Subject, scope: str) -> str:
    """One file for each cloud, region, project and scope, whatever clouds.yaml calls it today."""
    key = digest([subject.auth_url, subject.region, subject.project_id, scope]).removeprefix("sha256:")[:12]
    label = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in subject.name)[:40]
    return f"{label}-{key}"


def _tail(path: Path) -> Entry | None:
    """The last entry, filled in; the whole chain is checked on the way. What a crash left half-written is cut off."""
    if not path.exists():
        return None
    with files.translated(path):
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) != len(data):
            with path.open("rb+") as handle:
                handle.truncate(len(whole))
    entries = read(path)
    if not entries:
        return None
    told = next((e for e in reversed(entries) if not e.same), entries[-1])
    return entries[-1].model_copy(update={name: getattr(told, name) for name in _TOLD})


def _short(before: Entry | None, entry: Entry) -> Entry:
    """The entry without what is as it was: most looks see no change."""
    if before is None or any(getattr(before, name) != getattr(entry, name) for name in _TOLD):
        return entry
    short = entry.model_copy(update={"same": True, **{name: {} for name in _TOLD}})
    return short.model_copy(update={"hash": short.expected()})


def _write(path: Path, entry: Entry) -> None:
    files.append(path, entry.model_dump_json().encode() + b"\n")


def _kept(path: Path, before: Entry) -> Inventory | None:
    """The inventory of the last look, if it is still there and still that one."""
    try:
        found = Inventory.from_json(path.read_bytes())
    except (OSError, UsageError):
        return None
    return found if found.digest() == before.inventory else None


# --- entries


def _entry(proof: Proof, before: Entry | None) -> Entry:
    inventory, report = proof.inventory, proof.report
    entry = Entry(
        seq=before.seq + 1 if before else 1,
        prev=before.hash if before else GENESIS,
        at=proof.question.at,
        collected_at=inventory.collected_at,
        tool=inventory.tool,
        data=report.data,
        data_digest=report.data_digest,
        scope=report.scope,
        asked=report.asked,
        subject=inventory.subject,
        inventory=report.inventory,
        versions={v.version: v.outcome for v in report.versions},
        cases={c.case: End(outcome=c.outcome, reason=c.reason) for c in proof.cases},
        sections=_sections(inventory),
    )
    return entry.model_copy(update={"hash": entry.expected()})


def _sections(inventory: Inventory) -> dict[str, str]:
    found = {
        name: digest([section.status.value, _ordered(list(section.items))])
        for name, section in sorted(inventory.sections.items())
    }
    tls: JsonValue = [p.model_dump(mode="json", exclude={"seconds"}) for p in inventory.tls]
    return found | {"tls": digest(_ordered(tls))}


def _ordered(value: JsonValue) -> JsonValue:
    """The same with every list in one order: services answer in whatever order they like."""
    if isinstance(value, dict):
        return {key: _ordered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((_ordered(inner) for inner in value), key=lambda v: digest_bytes(canonical_bytes(v)))
    return value


# --- what changed, and why


def changes(before: Entry, proof: Proof, old: Inventory | None) -> tuple[Change, ...]:
    """The cases that end otherwise, each with its cause. `old` is the inventory of `before`, if it was kept."""
    now = {c.case: End(outcome=c.outcome, reason=c.reason) for c in proof.cases}
    differing = [
        n for n in (*now, *(n for n in before.cases if n not in now)) if _outcome(now, n) != _outcome(before.cases, n)
    ]
    if not differing:
        return ()
    causes = _Causes(before, proof, old)
    return tuple(
        Change(
            case=name,
            before=_outcome(before.cases, name),
            after=_outcome(now, name),
            reason=now[name].reason if name in now else "",
            cause=causes.of(name),
        )
        for name in differing
    )


def _outcome(ends: dict[str, End], name: str) -> CaseOutcome | None:
    return ends[name].outcome if name in ends else None


class _Causes:
    """Why a case ends otherwise: the old inventory is judged again, first at the old date, then at the new one."""

    def __init__(self, before: Entry, proof: Proof, old: Inventory | None) -> None:
        self._before, self._proof = before, proof
        self._at_old_date = self._again(old, before.at)
        # The same cloud, seen today: what was fresh then may be due by now.
        later = old.model_copy(update={"collected_at": proof.inventory.collected_at}) if old else None
        self._at_new_date = self._again(later, proof.question.at)
        self._now = {c.case: c.outcome for c in proof.cases}

    def _again(self, old: Inventory | None, at: datetime) -> dict[str, CaseOutcome] | None:
        if old is None:
            return None
        again = prove(old, self._proof.question.model_copy(update={"at": at}))
        return {c.case: c.outcome for c in again.cases}

    def of(self, name: str) -> str:
        """The cause."""
        before, now = _outcome(self._before.cases, name), self._now.get(name)
        if self._at_old_date is None or self._at_new_date is None:
            return self._ours() or "the cloud or the date"
        if self._at_old_date.get(name) != before and self._at_old_date.get(name) == now:
            return self._ours() or ("the question" if before is None or now is None else "our version")
        if self._at_new_date.get(name) == now:
            return "the date"
        return "the cloud"

    def _ours(self) -> str:
        """What of ours is not what it was; empty: nothing."""
        data = self._before.data_digest != self._proof.report.data_digest
        tool = self._before.tool != self._proof.inventory.tool
        if data and tool:
            return "our data or our version"
        return "our data" if data else "our version" if tool else ""


def _first(entry: Entry) -> Iterator[str]:
    for version, outcome in entry.versions.items():
        yield f"first look: {version}: {outcome.value}"


def _told(before: Entry, entry: Entry, changed: tuple[Change, ...]) -> Iterator[str]:
    for what, old, new in (
        ("our version", before.tool, entry.tool),
        ("our data about the standards", f"{before.data} {before.data_digest[:19]}", f"{entry.data} {entry.data_digest[:19]}"),
        ("the question", f"{before.scope} {before.asked}", f"{entry.scope} {entry.asked}"),
    ):  # fmt: skip
        if old != new:
            yield f"{what}: {old} -> {new}"
    for version, outcome in entry.versions.items():
        if version in before.versions and before.versions[version] is not outcome:
            yield f"{version}: {before.versions[version].value} -> {outcome.value}"
    moved = [n for n in entry.sections if before.sections.get(n) != entry.sections[n]]
    for change in changed:
        old, new = (o.value if o else "not asked" for o in (change.before, change.after))
        cause = f"{change.cause} ({', '.join(moved)})" if change.cause == "the cloud" and moved else change.cause
        yield f"{change.case}: {old} -> {new}, by {cause}: {change.reason}".rstrip(": ")
    if moved and not any(change.cause == "the cloud" for change in changed):
        yield f"the cloud: {', '.join(moved)} changed; no verdict did by it"
    for place in sorted(before.subject.certificates.keys() & entry.subject.certificates.keys()):
        if before.subject.certificates[place] != entry.subject.certificates[place]:
            yield f"the cloud: another certificate at {place}"


def fingerprint(path: Path) -> str:
    """`sha256:..` of a whole history file, to note somewhere else: who has it notices when the file is rewritten."""
    with files.translated(path):
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
