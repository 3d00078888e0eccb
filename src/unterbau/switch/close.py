# SPDX-License-Identifier: Apache-2.0
"""The verb `close` for a drill with `--keep`: empty its source, or take its target back. `cli` calls it.

Either may delete the last copy of something. So both look at the clouds first, ask a person, and delete nothing that
is not as it was seen; what stays is named with its reason. What may go at the source is decided in `closing`; a
rehearsal's target is `drill.Drill.close_target`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from pathlib import Path

from pydantic import JsonValue

from unterbau import files
from unterbau.cloud.port import Cloud
from unterbau.errors import CloudError, Failed, Interrupted, LocalError, Refused
from unterbau.evidence import fingerprint, signing_key
from unterbau.evidence.long import Long
from unterbau.saga import Attempt, Event, Journal, JsonObject, Outputs, RunResult, Step, run, unwind
from unterbau.switch import census, closing, evidence, folders, move
from unterbau.switch.drill import AGAIN, Drill
from unterbau.switch.manifest import Damaged, Index
from unterbau.switch.move import Swept
from unterbau.switch.move import parts as move_parts
from unterbau.switch.plan import Plan
from unterbau.switch.verify import Again, Seen, beside, counterparts, observe, observed
from unterbau.tenant.kinds import KINDS, CloudIdentity, Content, Loss, Ref, Resource, id_of, kind_of, ref
from unterbau.tenant.kinds.object import STORE, store_of
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Reason, Verdict, Words

BATCH = 1_000
"""Of how many things at a time the marks are taken off: each that waits for its turn takes memory."""
NAMED = 5
"""How many things a refusal names."""


class Question(Model):
    """What a person is asked before anything goes: how many things, what is lost with them, what protects some."""

    going: tuple[Ref, ...]
    kept: dict[Ref, Words]
    objects: dict[Ref, int] = {}
    """Of crowded containers how many objects go besides."""
    losses: tuple[Loss, ...] = ()
    protected: dict[Ref, str] = {}
    unseen: tuple[Words, ...] = ()
    """What could not be looked at and goes all the same."""


class Closed(Model):
    """How a closing ended. `kept` says why each thing stayed; `evidence` is the bundle that tells it (a path).

    `swept`: what requests without an answer had made. `remainder`: of a rehearsal, whether the target is as it was.
    """

    deleted: tuple[Ref, ...]
    kept: dict[Ref, Words]
    rest: Workload
    emptied: dict[Ref, int] = {}
    """Crowded containers -> how many of their objects were deleted besides."""
    evidence: str = ""
    swept: Swept = Swept()
    remainder: Verdict | None = None

    @property
    def stayed(self) -> dict[Ref, Words]:
        """What was kept and is not there from birth."""
        there = self.rest.by_ref
        return {r: why for r, why in self.kept.items() if r not in there or why != there[r].from_birth(self.rest)}


class Marks(Model):
    """What lost its mark, and what still has it and why."""

    taken_off: tuple[Ref, ...]
    left: dict[Ref, str]


Confirm = Callable[[Question], None]
"""Asks; raises what ends the command if the answer is no."""


class _Closing(Drill):
    """What both verbs need: the bundle by our own word, and whether the source was touched."""

    def own_bundle(self, bundle: bytes | Path) -> evidence.CheckResult:
        """The bundle, if by our own word it is of this drill, and these are the clouds of it. Raises BundleError, Refused."""
        own = fingerprint(signing_key(self.tools.keys).public_key)
        checked = evidence.check(bundle, trusted_key=own)  # nobody else's word empties anything
        sealed = checked.bundle
        if sealed.context.run != self.folder.run:
            raise Refused(
                f"the bundle is of drill {sealed.context.run}, not of {self.folder.run}",
                f"Name the bundle of this drill: {self.folder.bundle}",
            )
        if sealed.closed is not None:
            raise Refused(
                "that drill was a rehearsal: its target was cleaned, so nothing would be left anywhere",
                "Make a drill with --keep, and check its bundle.",
            )
        for side, cloud, told in zip(
            ("source", "target"), self.clouds(), (sealed.plan.source, sealed.plan.target), strict=True
        ):
            now = cloud.identity()
            if _place(now) != _place(told):
                raise Refused(
                    f"the {side} of this bundle is project {told.project_id} at {told.auth_url}, and {now.name} is "
                    f"project {now.project_id} at {now.auth_url}",
                    "Name the bundle of this pair, or mend clouds.yaml.",
                )
        return checked

    def earlier(self) -> list[closing.Attempt]:
        """The attempts at emptying the source so far, with their journals."""
        found: list[closing.Attempt] = []
        while (path := self.folder.closing(len(found) + 1)).exists():
            number, attempt = len(found) + 1, self.read(path, closing.Attempt)
            newest = not self.folder.closing(number + 1).exists()
            found.append(self._with_journal(attempt, self.folder.closing_journal(number), newest=newest))
        return found

    def _counted(self, kind: str, label: str, total: int) -> Callable[[Event], None]:
        done, lock = [0], threading.Lock()

        def event(event: Event) -> None:
            if event.kind == kind:
                with lock:
                    done[0] += 1
                self.tools.face.detail(f"{kind}: {event.node}")
                self.tools.face.count(label, done[0], total)

        return event

    def old_journal(self) -> tuple[dict[str, JsonValue], ...]:
        """Of an emptying by a version that kept no record of what it saw."""
        return self._rows(self.folder.close_source_journal)[1]

    def _with_journal(self, attempt: closing.Attempt, path: Path, *, newest: bool = True) -> closing.Attempt:
        chain, rows = self._rows(path, newest=newest)
        return attempt.model_copy(update={"journal": rows, "chain": chain})

    def _rows(self, path: Path, *, newest: bool = True) -> tuple[int, tuple[dict[str, JsonValue], ...]]:
        """A journal's chain and rows, when requests of the process that wrote it have surely ended."""
        if not path.exists():
            return 1, ()
        with Journal(path, now=self.tools.now) as journal:
            if begun := journal.status.begun():  # its process was killed: a deletion may still be under way
                last = datetime.fromisoformat(journal.rows()[-1].at)
                # A part deletes for long after its row, and nobody knows when that ended; a later attempt has waited.
                of_parts = newest and any(name.startswith(closing.PART) for name in begun)
                self._wait_since(self.tools.now() if of_parts else last)
            return journal.chain, tuple(journal.export())

    def _go_on(self) -> None:
        """Raises Interrupted when asked to stop."""
        if self.tools.stop.is_set():
            raise Interrupted("stopped while objects were compared; nothing was deleted", AGAIN)

    def _wait_since(self, last: datetime) -> None:
        """Until a cloud can finish nothing any more that was asked for then. Raises Interrupted."""
        left = self.tools.late_seconds - (self.tools.now() - last).total_seconds()
        if left > 0:
            self.tools.face.say(f"waiting {left:.0f} s: an earlier process was killed in the middle (--late-writes)")
            if self.tools.stop.wait(left):
                raise Interrupted("stopped while waiting for requests of a killed process", AGAIN)


class SourceClosing(_Closing):
    """Empties the source of a kept drill by its bundle. Every call is an attempt of its own: it looks anew."""

    def empty(self, bundle: bytes | Path, accepted: Sequence[str], confirm: Confirm) -> Closed:
        """Delete what is held now and that nobody would miss. `accepted`: losses by id or `KIND.FIELD`.

        Raises BundleError if the bundle is not whole or not signed by us, Refused if it is of another drill, of another
        pair or of a rehearsal, UsageError for a loss that there is none of, Interrupted, Failed, and CloudErrors.
        """
        checked = self.own_bundle(bundle)
        with files.passing("close") as work:
            return self._empty(checked, tuple(accepted), confirm, work)

    def _empty(self, checked: evidence.CheckResult, accepted: tuple[str, ...], confirm: Confirm, work: Path) -> Closed:
        then = evidence.texts(checked.bundle, work)
        boxes = evidence.plain(checked.bundle, then)
        checked = evidence.expanded(checked, boxes)  # of each other object by itself is decided what goes
        sealed = closing.Sealed(checked.bundle.source, checked.bundle.plan, checked.verdicts)
        earlier = self.earlier()
        attempt, pairs = self._look(sealed, accepted, earlier, boxes)
        number = len(earlier) + 1
        texts = [self._texts(one, n) for n, one in enumerate((*earlier, attempt), start=1)]
        crowds = closing.Crowds(sealed, checked.bundle.verification, then, boxes, texts[-1], accepted, self._go_on)
        decision = crowds.decide(attempt.look, pairs, attempt.hashes(), frozenset(attempt.put_back))
        closing.demand_known(accepted, decision)
        late: dict[Ref, Words] = {}
        result: RunResult | None = None
        errors: dict[str, JsonObject] = {}
        if decision.chosen or decision.objects:
            confirm(_question(decision, attempt.look.source))
            files.write(self.folder.closing(number), attempt.model_dump_json(indent=1).encode())
            result, errors = self._delete(decision, pairs, attempt, number, boxes, texts[-1])
            attempt = self._with_journal(attempt, self.folder.closing_journal(number))
            late = closing.kept_late(attempt.journal) | closing.parts.kept_late(attempt.journal)
        record = self._record([*earlier, attempt], {**decision.kept, **late}, result)
        emptied = closing.parts.counted(closing.parts.deleted(record, texts))
        path = self._seal(checked, record) if closing.deleted(record) or emptied else ""
        if result is not None:
            self._demand_complete(result, errors)
        rest = record.after or census.take(self.tools.connect(self.state.source), now=self.tools.now)
        return Closed(deleted=closing.deleted(record), kept=record.kept, rest=rest, emptied=emptied, evidence=path)

    def _manifests(self, attempt: closing.Attempt, number: int) -> dict[str, Path]:
        """Side -> the manifest that an attempt saw, if it saw any."""
        return {side: beside(self.folder.closing(number), side) for side in attempt.held}

    def _texts(self, attempt: closing.Attempt, number: int) -> closing.Texts:
        """The same, to be read. Raises LocalError if it is not what the attempt names."""
        held = self._manifests(attempt, number)
        try:
            texts = {side: Index.of(path, attempt.lines) for side, path in held.items()}
            same = closing.parts.digests_of(texts) == attempt.held
        except (Damaged, OSError):
            same = False
        if not same:
            raise LocalError(f"{self.folder.closing(number)}: what it saw beside is damaged", "Restore it from a copy.")
        return texts

    # --- before

    def _look(
        self,
        sealed: closing.Sealed,
        accepted: tuple[str, ...],
        earlier: Sequence[closing.Attempt],
        boxes: Sequence[str],
    ) -> tuple[closing.Attempt, Mapping[Ref, Ref]]:
        """Both sides as they are now, every content hashed, and who is whose counterpart.

        What the containers `boxes` hold stands in manifests beside the attempt's file.
        """
        source, target = self.clouds()
        face = self.tools.face
        face.phase("look at both sides, and hash every content again")
        seen = observe(
            {"source": source, "target": target}, work=folders.verifications(), now=self.tools.now, stop=self.tools.stop,
            count=face.count, passed=face.bytes, late_seconds=self.tools.late_seconds, say=face.say, plan=sealed.plan,
            place=self.folder.closing(len(earlier) + 1) if boxes else None, boxes=boxes,
        )  # fmt: skip
        before = earlier[-1].look.source if earlier else sealed.source
        taken = closing.touched(self.old_journal()).union(*(closing.touched(one.journal) for one in earlier))
        taken = {reference for reference in taken if store_of(reference) not in boxes}
        whole, back = closing.put_back(seen.source, before, taken)
        there = {"source": whole.by_ref, "target": seen.target.by_ref}
        known = earlier[-1].hashes() if earlier else {}
        hashes = {(side, r): o for (side, r), o in known.items() if r in there[side]} | seen.hashes
        seen = seen.of(source=whole, hashes=hashes)
        look = seen.contents(sealed.plan)
        held = {side: files.keep(beside(self.folder.closing(len(earlier) + 1), side)) for side in seen.manifests}
        attempt = closing.Attempt(
            started=seen.started, accepted=accepted, look=look, put_back=back, held=held, lines=_lines(seen, boxes)
        )
        told = attempt.hashes()
        unpaired = tuple(o for where, o in sorted(seen.hashes.items()) if where not in told)
        pairs = counterparts(whole, seen.target, sealed.plan, seen.hashes)
        return attempt.model_copy(update={"unpaired": unpaired}), pairs

    # --- deleting, and after

    def _delete(
        self,
        decision: closing.Decision,
        pairs: Mapping[Ref, Ref],
        attempt: closing.Attempt,
        number: int,
        boxes: Sequence[str],
        texts: closing.Texts,
    ) -> tuple[RunResult, dict[str, JsonObject]]:
        source, target = self.clouds()
        clouds: dict[str, Cloud] = {"source": source, "target": target}
        again = Again(
            clouds, work=folders.verifications(), now=self.tools.now, stop=self.tools.stop,
            late_seconds=self.tools.late_seconds,
        )  # fmt: skip
        witness = closing.Witness(clouds, closing.parts.bare(attempt.look, boxes), attempt.hashes(), again.read)
        steps = closing.emptying_steps(decision, pairs, witness, attempt.put_back, texts)
        with Journal(self.folder.closing_journal(number), now=self.tools.now) as journal:
            result = run(
                steps, journal, plan=closing.digest(attempt), workers=self.tools.workers, stop=self.tools.stop,
                listener=self._counted("done", "steps that compare and delete at the source", len(steps)),
                late_seconds=self.tools.late_seconds,
            )  # fmt: skip
            return result, dict(journal.status.errors)

    def _record(
        self, attempts: list[closing.Attempt], kept: dict[Ref, Words], result: RunResult | None
    ) -> closing.Closing:
        complete = result is None or result.complete
        after = census.take(self.tools.connect(self.state.source), now=self.tools.now) if complete else None
        return closing.Closing(
            attempts=tuple(attempts), complete=complete, ended=self.tools.now(), kept=kept, after=after
        )

    def _seal(self, checked: evidence.CheckResult, record: closing.Closing) -> str:
        """The bundle of the drill with the record of its closing."""
        secrets = [s for name in (self.state.source, self.state.target) for s in self.tools.secrets(name)]
        stored = {name: data for name, data in checked.members.items() if not evidence.of_closing(name)}
        looked = tuple(
            {side: Long.at(path) for side, path in self._manifests(attempt, number).items()}
            for number, attempt in enumerate(record.attempts, start=1)
        )
        whole = checked.bundle.model_copy(update={"closing": record, "looked": looked})
        with files.writing(self.folder.closed_bundle) as out:
            evidence.seal_into(out, whole, signing_key(self.tools.keys), stored=stored, secrets=secrets)
        return str(self.folder.closed_bundle)


class TargetClosing(_Closing):
    """Takes back the target of a kept drill: production, until a person has typed its name."""

    def take_back(self, confirm: Confirm) -> Closed:
        """Delete what the drill made and nobody changed or uses since. Raises Refused while it may be the last copy."""
        checked = self.own_bundle(self.folder.bundle)
        with files.passing("close") as work:
            then = evidence.texts(checked.bundle, work)
            # of what a cut-over carried the journal names each object
            boxes = evidence.plain(checked.bundle, then) if checked.bundle.plan.cut_over is None else ()
            return self._given_back(evidence.expanded(checked, boxes).bundle, then, boxes, confirm)

    def _given_back(
        self, sealed: evidence.Bundle, then: closing.Texts, boxes: tuple[str, ...], confirm: Confirm
    ) -> Closed:
        self._refuse_emptied()
        self.tidy()
        clouds = self.clouds()
        self.tools.face.phase("look at both sides")
        seen = closing.ignored if boxes else None
        here, there = (
            census.take(c, now=self.tools.now, progress=self.tools.face.count, seen=seen, without=boxes) for c in clouds
        )
        self._refuse_last_copy(sealed, here, there)
        with Journal(self.folder.journal, now=self.tools.now) as journal:
            made = {
                line.step: f"{line.kind}:{line.id}"
                for line in move.ledger(journal.status)
                if line.side == "target" and line.id is not None and (line.by or line.step in sealed.plan.by_ref)
            }
            parts = self._parts(sealed, journal, clouds)
            made |= {r: r for one in parts if id_of(one.container) not in boxes for r in one.refs()}
            taken = frozenset(made.values()) if journal.status.unwinding else frozenset[Ref]()
            guard = _Guard(self, clouds, sealed, there, taken, then, boxes)
            self._refuse_last_objects(guard.standing, clouds[0])
            wrote = {box: _refs(one for one in parts if one.container == ref(STORE, box)) for box in boxes}
            objects = guard.standing.look(wrote, self._counted_objects)
            kept = guard.kept(made.values())
            going = tuple(r for r in made.values() if r in there.by_ref and r not in kept)
            swept = Swept()
            if going or objects:
                confirm(Question(going=going, objects=objects, kept=kept, unseen=_unseen(there, going)))
                kept |= self._unwind(journal, sealed, guard, made, clouds)
                swept = self._sweep(journal)
        rest = census.take(clouds[1], now=self.tools.now)
        gone = tuple(r for r in going if r not in rest.by_ref)
        left = (r.ref for r in rest.resources if store_of(r.ref) in boxes and r.ref not in kept)
        held = closing.parts.counted((*left, *(r for r in guard.late if store_of(r) in boxes)))
        emptied = {box: count - held.get(box, 0) for box, count in objects.items()}
        stays = {r: why for r, why in kept.items() if r in rest.by_ref}
        stays |= dict.fromkeys(swept.named, Reason.of("close.lookalike"))
        return Closed(
            deleted=gone, kept=stays, rest=rest, swept=swept,
            emptied={box: count for box, count in emptied.items() if count > 0},
        )  # fmt: skip

    def _counted_objects(self, container: Ref, done: int) -> None:
        self._go_on()
        self.tools.face.count(f"objects of {container} compared", done, done)

    def _parts(
        self, sealed: evidence.Bundle, journal: Journal, clouds: tuple[Cloud, Cloud]
    ) -> tuple[move.PartStep, ...]:
        """The parts of crowded containers that the move wrote."""
        if not any("mark" in intent for intent in journal.status.intents.values()):
            return ()
        return tuple(move.begun(self.steps(sealed.plan, sealed.source, clouds), journal.status))

    def _refuse_last_objects(self, standing: closing.Standing, source: Cloud) -> None:
        """The same of objects of crowded containers."""
        count, first = 0, list[str]()
        try:
            for reference in standing.missing(source, self.tools.now()):
                count += 1
                first += [reference] if count <= NAMED else []
        except CloudError as error:
            raise Refused(
                f"whether the source still has all objects is not shown: {error.what}", "Mend the cause and run again."
            ) from None
        if count:
            raise _last_copy(count, ", ".join(first))

    def _refuse_emptied(self) -> None:
        """A deletion that was begun may still come, whatever the source shows now."""
        journals = [self.old_journal(), *(a.journal for a in self.earlier())]
        begun = sorted({r for rows in journals for r in (*closing.begun(rows), *closing.parts.begun(rows))})
        if begun:
            raise Refused(
                f"the source is being emptied, or was: {len(begun)} deletions were begun, first {begun[0]}; of what went "
                "the target has the only copy",
                f"To bring the tenant back: unterbau drill {self.state.target} {self.state.source} --keep",
            )

    def _refuse_last_copy(self, sealed: evidence.Bundle, source: Workload, target: Workload) -> None:
        """The target may go only while the source, as it is asked now, has all that was moved."""
        told = sealed.verification
        pairs = counterparts(told.source, told.target, sealed.plan, observed(told.verdicts))
        moved = [r for r in told.source.by_ref if pairs.get(r) in target.by_ref and _moves(sealed.plan, r)]
        unseen = {n.what: n.reason for n in source.not_shown}
        blind = [r for r in moved if r not in source.by_ref and kind_of(r).value in unseen]
        if blind:
            kind = kind_of(blind[0]).value
            raise Refused(
                f"whether the source still has {blind[0]} is not shown: {unseen[kind]}", "Mend the cause and run again."
            )
        missing = [r for r in moved if r not in source.by_ref and not told.source.by_ref[r].has_ended(self.tools.now())]
        if missing:
            raise _last_copy(len(missing), ", ".join(f"{r} ({told.source.by_ref[r].name})" for r in missing[:NAMED]))

    def _unwind(
        self,
        journal: Journal,
        sealed: evidence.Bundle,
        guard: _Guard,
        made: Mapping[str, Ref],
        clouds: tuple[Cloud, Cloud],
    ) -> dict[Ref, Words]:
        """Take the steps of the move back, but for what is kept. Returns what is kept besides, and why."""
        spared = [one for one, there in made.items() if there in guard.stayed]
        planned = move.sparing(self.steps(sealed.plan, sealed.source, clouds), spared)
        steps = [_guarded(s, guard, made) for s in planned]
        result = unwind(
            steps, journal, plan=self.plan_name(sealed.plan, journal, back=True), workers=self.tools.workers, stop=self.tools.stop,
            listener=self._counted("undone", "steps taken back", len(journal.status.intents)),
        )  # fmt: skip
        failed = tuple(name for name in result.failed if _whose(name, made) not in guard.stayed)
        self._demand_complete(result.model_copy(update={"failed": failed}), dict(journal.status.errors))
        blocked: dict[Ref, Words] = {_whose(name, made): Reason.of("close.blocked") for name in result.blocked}
        return {r: why for r, why in {**blocked, **guard.stayed}.items() if r}


class MarksClosing(_Closing):
    """Takes our marks off what a kept drill made: tags and metadata that applications see, and nobody needs any more."""

    def take_off(self) -> Marks:
        """Raises Refused for a drill that still needs them, BundleError, Interrupted, and CloudErrors of the way there."""
        if not self.folder.bundle.exists() or not self.state.finished:
            raise Refused(
                f"drill {self.folder.run} is not finished: by its marks the same command finds what it made",
                f"Finish it with the same command first, or take it back: unterbau close {self.folder.run} --target",
            )
        self.own_bundle(self.folder.bundle)
        target = self.clouds()[1]
        taken, left, lock = list[Ref](), dict[Ref, str](), threading.Lock()

        def one(made: tuple[Ref, str]) -> None:
            if self.tools.stop.is_set():
                raise Interrupted("stopped while taking marks off", AGAIN)
            reference, mark = made
            try:
                there = target.read(reference)
                if there is None or there.marker != mark:
                    return
                target.unmark(there)
            except CloudError as error:
                left[reference] = error.what
                return
            with lock:
                taken.append(reference)
                self.tools.face.count("marks taken off", len(taken), total)

        with Journal(self.folder.journal, now=self.tools.now) as journal:
            lines = {f"{x.kind}:{x.id}": x.marker for x in move.ledger(journal.status) if x.side == "target" and x.id}
            total = len(lines) + sum(1 for _ in self.written(journal))
            marked = chain(lines.items(), self.written(journal))
            with ThreadPoolExecutor(self.tools.workers) as pool:
                while some := list(islice(marked, BATCH)):
                    list(pool.map(one, some))
        return Marks(taken_off=tuple(sorted(taken)), left=dict(sorted(left.items())))


class _Guard:
    """Says of what stands on the target whether it is as it was verified. `stayed`: what it kept, with the reason."""

    def __init__(
        self, work: Drill, clouds: tuple[Cloud, Cloud], sealed: evidence.Bundle, now: Workload, taken: frozenset[Ref],
        then: closing.Texts, boxes: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.verified, self.now, self.taken = sealed.verification.target, now, taken
        self.stayed: dict[Ref, Words] = {}
        sides = dict(zip(("source", "target"), clouds, strict=True))
        again = Again(
            sides,
            work=folders.verifications(),
            now=work.tools.now,
            stop=work.tools.stop,
            late_seconds=work.tools.late_seconds,
        )
        look = sealed.verification.model_copy(update={"target": now})
        hashes = observed(look.verdicts)
        self.witness = closing.Witness(sides, look, hashes, again.read)
        self._read = frozenset(r for side, r in hashes if side == "target")
        self.standing = closing.Standing(boxes, then, self.witness)
        """Says it of the objects of crowded containers, which are no things of the census."""
        self.asked: frozenset[Ref] = frozenset()
        """What was kept when a person was asked."""

    @property
    def late(self) -> list[Ref]:
        """What was to go, and was kept just before."""
        return [r for r in self.stayed if r not in self.asked]

    def kept(self, made: Iterable[Ref]) -> dict[Ref, Words]:
        """What was changed since the verification, what the drill did not make, and what these need."""
        made = frozenset(made)
        found: dict[Ref, Words] = {}
        for resource in self.now.resources:
            if resource.ref not in made:
                found[resource.ref] = Reason.of("close.not-ours")
            elif why := self._changed(resource):
                found[resource.ref] = why
        held = self.standing.stayed
        for reference in held:
            found.setdefault(ref(STORE, store_of(reference)), Reason.of("close.needed", by=reference))
        self.now.relations.keep_what_is_needed(found)
        self.stayed = {r: why for r, why in found.items() if r in made} | held
        self.standing, self.asked = replace(self.standing, stayed=self.stayed), frozenset(self.stayed)
        return dict(self.stayed)

    def _changed(self, now: Resource) -> Words:
        before = self.verified.by_ref.get(now.ref)
        if before is None:
            return Reason.of("close.came-later")
        try:
            closing.demand_same("target", before, closing.as_before(before, now, self.taken))
            if now.ref in self._read and now.KNOWN.content not in (Content.PAYLOAD, Content.NONE):
                self.witness.demand_content("target", before, now)
        except closing.Kept as kept:
            return kept.why
        return ""

    def demand(self, reference: Ref) -> None:
        """Raises Failed, and remembers why, if the thing is kept or is no longer what it was when the person was asked.

        What holds it goes first, so that is asked for, too.
        """
        thing = self.now.by_ref.get(reference)
        if thing is not None and thing.holder():
            self._demand_holder(reference, thing.holder())
        if reference not in self.stayed and reference in self.now.by_ref:
            before = self.now.by_ref[reference]
            going = frozenset(self.now.by_ref) - self.stayed.keys()
            there = self.witness.clouds["target"].read(reference)
            try:
                if there is not None:
                    closing.demand_same("target", before, closing.as_before(before, there, going))
                    if there.KNOWN.content.alters and reference in self._read:
                        self.witness.demand_content("target", self.verified.by_ref[reference], there)
                    self.witness.outlive("target", before.doomed(self.now.relations))
            except closing.Kept as kept:
                self.stayed[reference] = kept.why
        if reference in self.stayed:
            raise Failed(str(self.stayed[reference]))

    def _demand_holder(self, reference: Ref, holder: Ref) -> None:
        try:
            self.demand(holder)
        except Failed:
            self.stayed.setdefault(reference, Reason.of("close.needed", by=holder))
            raise


@dataclass(frozen=True)
class _Guarded:
    """A step of the move whose undoing asks first."""

    step: Step
    guard: _Guard
    made: Mapping[str, Ref]

    @property
    def name(self) -> str:
        """See `Step`."""
        return self.step.name

    @property
    def needs(self) -> tuple[str, ...]:
        """See `Step`."""
        return self.step.needs

    def intend(self, done: Outputs) -> JsonObject:
        """See `Step`."""
        return self.step.intend(done)

    def act(self, intent: JsonObject, done: Outputs, attempt: Attempt) -> JsonObject:
        """See `Step`."""
        return self.step.act(intent, done, attempt)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Undo it, unless what it made is kept."""
        whose = _whose(self.name, self.made)
        if whose:
            self.guard.demand(whose)
        self.step.undo(intent, output, done)


def _refs(parts: Iterable[move.PartStep]) -> Iterator[Ref]:
    listed = list(parts)
    return (reference for part in listed for reference in part.refs())


def _last_copy(count: int, names: str) -> Refused:
    return Refused(
        f"the source no longer has {count} things that were moved, so the target has the only copy: {names}",
        "Bring them back to the source, or delete them on the target by hand if nobody needs them; then run again.",
    )


def _moves(plan: Plan, reference: Ref) -> bool:
    entry = plan.entry_of(reference)
    return entry is not None and entry.fate.moves


def _guarded(step: Step, guard: _Guard, made: Mapping[str, Ref]) -> Step:
    """The step whose undoing asks first; of a part of a container for each of its objects."""
    if not isinstance(step, move.PartStep):
        return _Guarded(step, guard, made)

    box = id_of(step.container)
    if box in guard.standing.boxes:
        return replace(step, allowed=lambda references: guard.standing.sift(box, references))

    def allowed(reference: Ref) -> bool:
        try:
            guard.demand(reference)
        except Failed:
            return False
        return True

    return replace(step, allowed=lambda references: filter(allowed, references))


def _whose(step: str, made: Mapping[str, Ref]) -> Ref:
    """The thing on the target that a step of the move made or set (`power of ..`, `routes of ..`, ...), or ""."""
    starts = ("power of ", *(one.BONDS for one in KINDS.values() if one.BONDS))
    whose = next((step.removeprefix(start) for start in starts if step.startswith(start)), step)
    return made.get(whose, "")


def _unseen(now: Workload, going: Iterable[Ref]) -> tuple[Words, ...]:
    return tuple(what for what in (now.by_ref[r].unread(now) for r in going) if what)


def _place(identity: CloudIdentity) -> tuple[str, str, str]:
    return identity.auth_url, identity.region, identity.project_id


def _lines(seen: Seen, boxes: Iterable[str]) -> int:
    """How many objects of crowded containers are deleted by one step; 0 if there are no such containers."""
    told = [seen.hashes["source", reference].value for reference in (ref(STORE, name) for name in boxes)]
    counts = [count for one in told if isinstance(one, dict) and isinstance(count := one["objects"], int)]
    return move_parts.size(max(counts)) if counts else 0


def _question(decision: closing.Decision, source: Workload) -> Question:
    protected = {r: source.by_ref[r].protection() for r in decision.chosen}
    return Question(
        going=decision.chosen, objects=decision.objects, kept=decision.kept, losses=decision.accepted,
        protected={r: how for r, how in protected.items() if how},
    )  # fmt: skip
