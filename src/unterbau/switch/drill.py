# SPDX-License-Identifier: Apache-2.0
"""The whole of a switch in order: census, plan, move, verify, clean up, seal, report.

`cli` calls `drill` and the single verbs. Each phase leaves its result as a file in the drill's folder and is
passed over when that file is there, so a run is the resume of an empty folder. Nothing is decided here about
fates, steps or verdicts: those are `planning`, `move` and `verify`.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from unterbau import files
from unterbau.canonical import digest_bytes
from unterbau.cloud.port import Cloud
from unterbau.defaults import LATE_SECONDS, PROBE_WAIT
from unterbau.errors import Exit, Failed, Interrupted, LocalError, PlanError, Refused, UsageError
from unterbau.evidence import fingerprint, signing_key
from unterbau.evidence.long import Long
from unterbau.evidence.opening import open_bundle
from unterbau.face import Face, first
from unterbau.saga import Event, Journal, JsonObject, RunResult, Step, peek, run, run_of, timeline, unwind, wait_out
from unterbau.switch import census, child, evidence, folders, move, planning, prediction
from unterbau.switch.evidence.bundle import Context, PhaseTime
from unterbau.switch.folders import Folder
from unterbau.switch.helper import Helper, resolved
from unterbau.switch.move import Swept
from unterbau.switch.plan import Plan
from unterbau.switch.probes import proposing, watching, written
from unterbau.switch.probes.model import Probe
from unterbau.switch.probes.outage import Watched
from unterbau.switch.probes.running import RATE, Prober
from unterbau.switch.report import html
from unterbau.switch.report.ending import called
from unterbau.switch.verify import Contents, beside, tidy
from unterbau.tenant.kinds import Guests, Ref, kind_of, ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Outcome, Verdict, exit_code

M = TypeVar("M", bound=BaseModel)
Cut: TypeAlias = Literal["", "pre-copy", "cut-over"]
"""How a move treats a source that lives (`Drill.move`)."""
_OF_OBJECTS = re.compile(r"(new|gone|changed): object:")
_OF_HOLDINGS = re.compile(r"changed: container:.*\(holds\)", re.DOTALL)
LOOKED_BACK = 12
"""How many earlier drills between the same two are looked at for how long their steps took."""
CENSUS = "census"
"""The phase that notes itself: passed over it takes no time, which would say nothing."""
WATCH_BEGINS = 30.0
"""How long a cut-over waits until the source was seen to answer, before it stops it (seconds)."""
AGAIN = "Run the same command again: it goes on where it stopped."


@dataclass(frozen=True)
class Tools:
    """What the phases work with; `wiring` puts it together."""

    connect: Callable[[str], Cloud]
    now: Callable[[], datetime]
    face: Face
    stop: threading.Event
    keys: Path
    """Folder of the signing key."""
    versions: Callable[[], dict[str, str]]
    secrets: Callable[[str], tuple[str, ...]]
    """The credentials of a cloud, which may stand nowhere in the evidence."""
    program: tuple[str, ...] = (sys.executable, "-m", "unterbau")
    """How a process of this program is started."""
    workers: int = 8
    late_seconds: float = LATE_SECONDS
    """How long a cloud may still finish a write that it did not answer."""
    probe_wait: float = PROBE_WAIT
    """How long the target's application may take until it answers as the source's did (seconds)."""
    probing: Callable[[threading.Event], Prober] | None = None
    """What asks places from outside."""

    def prober(self) -> Prober:
        """One that hears our stop."""
        return self.probing(self.stop) if self.probing else Prober(now=self.now, stop=self.stop)


class Moved(RunResult):
    """How a move ended, and what was swept after its last step."""

    swept: Swept


class Closed(Model):
    """What was deleted on the target of a rehearsal, what it still holds, and what was swept."""

    deleted: tuple[Ref, ...]
    rest: Workload
    swept: Swept
    verdict: Verdict | None
    """Whether something new is there; not asked of a target that was to be kept."""

    @property
    def exit(self) -> Exit:
        """0, unless something is there of which nobody can tell whose it is, or that was not there before."""
        outcomes = [Outcome.NOT_SHOWN if self.swept.named else Outcome.HELD]
        return exit_code([*outcomes, *([self.verdict.outcome] if self.verdict else [])])


@dataclass(frozen=True)
class Words:
    """What a person decides at the command line: `--map`, `--allow-opening`, `--headers`, `--limit`, `--probe(s)`, `--helper`."""

    choices: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    headers: bool = False
    """`--headers`: those of every object are read for the plan."""
    limit_seconds: float | None = None
    """`--limit`: how long the move and its verification may take."""
    probes: tuple[Probe, ...] = ()
    """`--probes`: those of a file, with addresses as it has them."""
    file: str = ""
    """That file's name."""
    helper: Helper | None = None
    """`--helper`: the guests by which blocks of volumes are carried, with names as a person wrote them."""
    recognise: bool = False
    """`--probe`: what is open to the world is looked at."""


NO_WORDS = Words()


class Drill:
    """One drill in its folder. The methods are its phases; each may be called again."""

    def __init__(self, folder: Folder, tools: Tools) -> None:
        self.folder, self.tools = folder, tools
        self.state = folder.load()

    # --- a run after one that ended early

    def begin_again(self) -> None:
        """What an earlier run left that is not true any more: before the first write both censuses, after it verdicts.

        The plan is made anew by `plan`, unless a person edited it: then the census that it names stays, and the move
        refuses if the source is not as it says.
        """
        if not self._begun():
            edited = self.folder.plan.exists() and not self._is_own_plan()
            for path in (
                self.folder.journal,
                self.folder.answers,
                self.folder.outage,
                *(() if edited else (self.folder.source, self.folder.source_listed)),
                self.folder.target,
            ):
                path.unlink(missing_ok=True)
        if self.folder.load().failed:
            self.folder.verdicts.unlink(missing_ok=True)
            self._note(failed=False)

    def _note(self, **known: object) -> None:
        self.folder.save(self.folder.load().model_copy(update=known))

    @contextmanager
    def alone(self, side: str = "target") -> Iterator[None]:
        """Within it nobody else of this user writes to the project of that side. Raises Refused."""
        with folders.alone_in(self.tools.connect(getattr(self.state, side)).identity()):
            yield

    # --- phases

    def census(self, words: Words = NO_WORDS) -> None:
        """Both sides, as they are before anything is written; how long that took is noted, for the move looks once more."""
        whole, began = not (self.folder.source.exists() or self.folder.target.exists()), self.tools.now()
        for side, path in (("source", self.folder.source), ("target", self.folder.target)):
            if not path.exists():
                cloud, brief = self.tools.connect(getattr(self.state, side)), side == "source" and not words.headers
                taken = census.take(
                    cloud, now=self.tools.now, progress=self.tools.face.count, brief=brief,
                    place=self.folder.source_listed,
                )  # fmt: skip
                files.write(path, taken.model_dump_json(indent=1).encode())
        if whole:
            self.folder.finish_phase(CENSUS, began, self.tools.now())

    def plan(self, words: Words = NO_WORDS) -> Plan:
        """The plan file. Before the first write it is made anew, with what was chosen and allowed; a person's stays.

        Raises Refused for a choice that comes too late.
        """
        old = self.load_plan() if self.folder.plan.exists() else None
        chosen = old is not None and bool(words.choices) and old.choices != words.choices
        if chosen:
            self._refuse_begun("another choice (--map) comes too late")
            self.tools.face.say("the plan is made anew: something else is chosen with --map")
        if old is not None and words.probes and old.probes != self._given(words):
            self._refuse_begun("other probes (--probes) come too late")
            chosen = True
        if old is not None and words.helper and old.helper != self._helper(words, old):
            self._refuse_begun("other helper guests (--helper) come too late")
            chosen = True
        if old is None or chosen or (self._is_own_plan() and not self._begun()):
            source, target = self.read(self.folder.source, Workload), self.read(self.folder.target, Workload)
            choices = words.choices or (old.choices if old else ())
            made = planning.make(source, target, run=self.folder.run, now=self.tools.now(), choices=choices,
                                 probes=self._probes(words, source))  # fmt: skip
            named = {
                "allowed_openings": old.allowed_openings if old else (),
                "source_census": digest_bytes(self.folder.source.read_bytes()),
                "helper": self._helper(words, old),
                "guests": self._guests(),
            }
            self._write_plan(self._timed(made.model_copy(update=named), source, words.limit_seconds, old))
        return self.judged(words)

    def _guests(self) -> Guests:
        """What becomes of the servers, whatever the plan's file says: a rehearsal's are copies of what runs elsewhere."""
        return Guests.RUN if self.state.keep else Guests.CONFINED if self.state.boot else Guests.STILL

    def _helper(self, words: Words, old: Plan | None) -> Helper | None:
        """The helper guests of the file, with what its names stand for; else those of the older plan. Raises UsageError."""
        if words.helper is None:
            return old.helper if old else None
        return resolved(words.helper, self.read(self.folder.source, Workload), self.read(self.folder.target, Workload))

    def _given(self, words: Words) -> tuple[Probe, ...]:
        """The probes of the file, at Refs of the source. Raises UsageError."""
        return written.resolved(words.probes, self.read(self.folder.source, Workload), words.file)

    def _probes(self, words: Words, source: Workload) -> tuple[Probe, ...]:
        """What is asked: by the file, and what was recognised at the source now, if it may be looked at."""
        given = self._given(words) if words.probes else ()
        if not words.recognise:
            return given
        world = proposing.world(source)
        asked = (*world.open, *world.shut)
        addresses = list(dict.fromkeys(place.address for place in asked))
        self.tools.face.say(
            f"--probe: connecting to {len(asked)} ports of {len(addresses)} public addresses of {source.identity.name}, "
            f"at most {RATE:.0f} times a second each: {', '.join(addresses[:8])}{' ...' if len(addresses) > 8 else ''}"
        )
        found = self.tools.prober().recognise(
            asked, lambda done, of: self.tools.face.count("ports looked at", done, of)
        )
        return (*given, *proposing.proposed(world, found, [p.id for p in given]))

    def _timed(self, made: Plan, source: Workload, limit: float | None, old: Plan | None) -> Plan:
        """The plan with how long it will take, by the newest moves between these two."""
        if limit is None and old is not None and old.prediction is not None:
            limit = old.prediction.limit_seconds
        between = (
            folder
            for folder, state in folders.drills()
            if (state.source, state.target) == (self.state.source, self.state.target) and folder.run != self.folder.run
        )
        earlier = [*islice(between, LOOKED_BACK)]
        moves, moved = prediction.newest((folder.run, _took(folder)) for folder in earlier)
        looks, looked = prediction.newest((folder.run, _looked(folder)) for folder in earlier)
        if not moves and limit is None:
            return made
        told = prediction.predict(
            prediction.Part(
                prediction.of_move(self.steps(made, source), made), prediction.measured(moved), moves,
                prediction.of_a_move(self.tools.workers), before=self._looking(),
            ),
            prediction.Part(
                prediction.of_verification(made, source), prediction.measured(looked), looks, prediction.of_a_verification
            ),
            limit,
        )  # fmt: skip
        return made.model_copy(update={"prediction": told})

    def _looking(self) -> float | None:
        """How long the census of this drill took (seconds)."""
        took = [p.ended - p.started for p in self.folder.load().phases if p.name == CENSUS]
        return took[0].total_seconds() if took else None

    def _is_own_plan(self) -> bool:
        """Whether the plan file is as we wrote it, and not as a person edited it."""
        return self.folder.plan.exists() and self.folder.load().planned == _digest(self.folder.plan.read_bytes())

    def _write_plan(self, plan: Plan) -> None:
        data = planning.dump(plan).encode()
        self._note(planned=_digest(data))
        files.write(self.folder.plan, data)

    def judged(self, words: Words = NO_WORDS) -> Plan:
        """The plan as it stands with what it opens, and what of that is allowed: durable before the move begins.

        Raises UsageError for an allowance of what does not open, Refused for one that comes too late.
        """
        plan = self.load_plan()
        if self._begun():
            if not set(words.allowed) <= set(plan.allowed_openings):
                self._refuse_begun("another allowance (--allow-opening) comes too late")
            return plan
        source, target = self.read(self.folder.source, Workload), self.read(self.folder.target, Workload)
        plan.check_against(source)
        found = planning.judged(plan.model_copy(update={"guests": self._guests()}), source, target, words.allowed)
        if found != plan and self._is_own_plan():
            self._write_plan(found)
        elif found != plan:
            files.write(self.folder.plan, planning.dump(found).encode())
        return found

    def adopt(self, path: Path) -> None:
        """Make the plan of a file, which a person may have edited, that of this drill. Raises PlanError, Refused."""
        given = read_plan(path)
        if given.run != self.folder.run:
            raise Refused(
                f"{path} is the plan of drill {given.run}; the one that is not finished is {self.folder.run}",
                f"Give the plan of drill {self.folder.run}, or make a new one: unterbau plan SOURCE TARGET -o FILE.",
            )
        if path.resolve() == self.folder.plan.resolve():
            return
        if not self._begun():
            files.write(self.folder.plan, path.read_bytes())
        elif _as_written(given) != _as_written(self.load_plan()):
            self._refuse_begun(f"{path} is another plan than the one it was begun with")

    def _begun(self) -> bool:
        """Whether something may have been written to a cloud."""
        return is_begun(self.folder)

    def _refuse_begun(self, what: str) -> None:
        if self._begun():
            raise Refused(
                f"the move of drill {self.folder.run} has begun: {what}",
                f"Finish it as it was begun, or take it back: unterbau close {self.folder.run} --target",
            )

    def move(self, words: Words = NO_WORDS, cut: Cut = "") -> Moved:
        """Run the plan's steps, or those that are not done yet; when all are done, sweep what was made twice.

        `cut`: `pre-copy` runs those that want no stopped source, `cut-over` all of them, and stops the source's servers.
        """
        plan, source = self._cut(self.judged(words), cut), self.read(self.folder.source, Workload)
        plan.check_against(source)
        _refuse_failed_checks(plan)
        clouds = self.clouds()  # one pair: what looks again before the first write, and what writes then, enter once
        steps = self.steps(plan, source, clouds)
        if not self._begun():
            self._refuse_changed(plan, source, *clouds)
            self.ask_source(plan)
        late = move.until_stop(steps)
        with Journal(self.folder.journal, now=self.tools.now) as journal:
            moved = self._run(plan, steps, journal, held=late)
            if late and cut != "pre-copy" and moved.complete:
                if not any(journal.status.states[f"stop of {r}"] != "planned" for r in plan.cut_over or ()):
                    self.ask_source(plan)  # what it answers last
                names = ", ".join(source.by_ref[r].name for r in plan.cut_over or () if r in source.by_ref)
                self.tools.face.say(
                    f"what can be copied beforehand is there; stopped at {self.state.source}: {names or 'nothing'}"
                )
                if plan.by_blocks(source):
                    self.tools.face.say("before that, helper guests are made on both sides; they go at the end")
                with self._watching(plan):
                    moved = self._run(plan, steps, journal)
            errors = dict(journal.status.errors)
        if moved.interrupted:
            raise Interrupted("the move was stopped", AGAIN)
        lines = [f"failed: {name}: {errors[name]['message']}" for name in moved.failed]
        for line in first(lines, "each stands at the end"):
            self.tools.face.say(line)
        return moved

    def _run(self, plan: Plan, steps: Sequence[Step], journal: Journal, held: Collection[str] = ()) -> Moved:
        """Run them, but for those that are held back; sweep if all came to their end."""
        names = {e.ref: e.name for e in plan.entries}
        name = self.plan_name(plan, journal)
        counter = _Counter(steps, journal, "steps of the move", self.tools.face)
        result = run(
            steps, journal, plan=name, workers=self.tools.workers, stop=self.tools.stop,
            late_seconds=self.tools.late_seconds, held=held, listener=counter.event,
            progress=lambda step, done, of: self.tools.face.bytes(called(step, names), done, of),
        )  # fmt: skip
        swept = self._sweep(journal) if result.complete else Swept()
        return Moved(**result.model_dump(), swept=swept)

    def _cut(self, plan: Plan, cut: Cut) -> Plan:
        """The plan with what the move stops at the source: durable before the first write. Nothing stops without `cut`.

        Raises Refused if a move that was begun in the other way is to go on in this one.
        """
        if not self._begun():
            source, moving = self.read(self.folder.source, Workload), {e.ref for e in plan.entries if e.fate.moves}
            stopped = tuple(r for r in move.running(source.resources) if r in moving) if cut else None
            if plan.cut_over != stopped:
                plan = plan.model_copy(update={"cut_over": stopped})
                if self._is_own_plan():
                    self._write_plan(plan)
                else:
                    files.write(self.folder.plan, planning.dump(plan).encode())
            return plan
        if plan.cut_over is None and cut:
            self._refuse_begun(f"it was begun as one that stops nothing, and --{cut} comes too late")
        if plan.cut_over is not None and cut != "cut-over":
            states = peek(self.folder.journal).states
            stops = [states.get(f"stop of {r}", "planned") for r in plan.cut_over]
            if not cut and set(stops) - {"done"}:
                servers = ", ".join(plan.by_ref[r].name for r in plan.cut_over)
                raise Refused(
                    f"the move of drill {self.folder.run} was begun with --pre-copy: what is left stops servers of "
                    f"{self.state.source} ({servers or 'none runs'})",
                    "Finish it: unterbau move PLAN --cut-over. Or take it back: "
                    f"unterbau close {self.folder.run} --target",
                )
        return plan

    def plan_name(self, plan: Plan, journal: Journal, *, back: bool = False) -> str:
        """What the journal names this plan by: the digest of the file that was written when the move began.

        A journal that an older version began names no file: by then the plan's digest; what it made is taken back by what
        stands in the journal, whatever this version's models make of that plan.
        """
        begun = self.folder.plan_begun
        if not journal.status.opened:
            files.write(begun, evidence.spelled_plan(plan))
        if begun.exists():
            same = self.read(begun, Plan) == plan
            return digest_bytes(begun.read_bytes() if same else evidence.spelled_plan(plan))
        return journal.status.plan if back else plan.digest()

    def ask_source(self, plan: Plan) -> None:
        """Record what the source answers to the plan's probes, while it runs. The verifier's process asks, and no other."""
        if plan.probes:
            argv = ["probe", self.state.source, "--plan", str(self.folder.plan), "--output", str(self.folder.answers)]
            self._in_child(argv, self.folder.answers, "who asks the source", "the asking")

    @contextmanager
    def _watching(self, plan: Plan) -> Iterator[None]:
        """Within it both sides are asked from outside; it ends when the target answers, or has had its time for that."""
        before = self.outage()
        if not watching.watched(plan.probes, lambda probe: probe.at) or (before and before.seconds() is not None):
            yield
            return
        argv = ["probe", self.state.source, "--to", self.state.target, "--plan", str(self.folder.plan)]
        argv += ["--output", str(self.folder.outage)]
        with child.beside(self._child(argv)) as watch:
            self._until(watch, self._is_seen, WATCH_BEGINS)
            yield
            self._until(watch, lambda: False, self.tools.probe_wait)

    def _is_seen(self) -> bool:
        """Whether the source was seen to answer."""
        seen = self.outage()
        return seen is not None and any(course.source.last is not None for course in seen.courses)

    def _until(self, watch: child.Beside, reached: Callable[[], bool], seconds: float) -> None:
        """Wait until it is reached, the watch ended, the drill is to stop, or this time is over."""
        end = time.monotonic() + seconds
        while (
            watch.runs() and not reached() and time.monotonic() < end and not self.tools.stop.wait(child.POLL_SECONDS)
        ):
            pass

    def outage(self) -> Watched | None:
        """What was seen from outside during the cut-over, if anybody looked."""
        return self.read(self.folder.outage, Watched) if self.folder.outage.exists() else None

    def verify(self) -> Contents:
        """The verifier, as a process of its own that gets no more than the names and the plan."""
        if not self.folder.verdicts.exists():
            argv = ["verify", self.state.source, self.state.target]
            argv += ["--plan", str(self.folder.plan), "--output", str(self.folder.verdicts)]
            argv += ["--late-writes", str(self.tools.late_seconds), "--probe-wait", str(self.tools.probe_wait)]
            argv += ["--answers", str(self.folder.answers)] if self.folder.answers.exists() else []
            self._in_child(argv, self.folder.verdicts, "the verifier", "the verification")
        return self.read(self.folder.verdicts, Contents)

    def _in_child(self, argv: Sequence[str], result: Path, who: str, what: str) -> None:
        """Run a verb of this program as a process of its own, which ends with the drill. Raises Interrupted, Failed."""
        code = child.call(self._child(argv), self.tools.stop)
        if code not in (Exit.HELD, Exit.FAILED, Exit.NOT_SHOWN) or not result.exists():
            if code == Exit.INTERRUPTED or self.tools.stop.is_set():
                raise Interrupted(f"{what} was stopped", AGAIN)
            raise Failed(f"{who} ended with exit code {code}", "Its message stands above. " + AGAIN)

    def _child(self, argv: Sequence[str]) -> list[str]:
        """The command line of a process of this program that ends with the drill."""
        more = ["--drill", str(self.folder.path), *(["--quiet"] if self.tools.face.quiet else [])]
        return [*self.tools.program, *argv, *more]

    def close_target(self) -> Closed:
        """Take back what the move made, on both clouds, sweep, and look at what remains."""
        after, swept, made = None, Swept(), list[Ref]()
        self.tidy()
        if self.folder.journal.exists():
            with Journal(self.folder.journal, now=self.tools.now) as journal:
                swept = self._take_back(journal)
                made = [f"{x.kind}:{x.id}" for x in move.ledger(journal.status) if x.side == "target" and x.id]
                made += (reference for reference, _ in self.written(journal))
                after = self._target_now()
                late = () if self.state.keep else move.left_over(journal.status, after)
                if late:
                    more = self._sweep(journal, late)
                    swept = Swept(removed=swept.removed + more.removed, named=swept.named + more.named)
                    after = self._target_now()
        after = after or self._target_now()
        files.write(self.folder.target_closed, after.model_dump_json(indent=1).encode())
        gone = tuple(r for r in made if r not in after.by_ref)
        return Closed(deleted=gone, rest=after, swept=swept, verdict=self._remainder(after))

    def tidy(self) -> None:
        """Before anything is deleted: what a killed verification of these two left would hold it."""
        left = tidy(
            dict(zip(("source", "target"), self.clouds(), strict=True)), work=folders.verifications(), now=self.tools.now,
            stop=self.tools.stop, late_seconds=self.tools.late_seconds, say=self.tools.face.say,
        )  # fmt: skip
        for line in first(left, "each is tried again by the next verification"):
            self.tools.face.say(f"left by a verification that was killed: {line}")

    def written(self, journal: Journal) -> Iterator[tuple[Ref, str]]:
        """Ref and mark of each object that parts of crowded containers wrote."""
        if not any("mark" in intent for intent in journal.status.intents.values()):
            return
        yield from move.written(self.steps(self.load_plan(), self.read(self.folder.source, Workload)), journal.status)

    def _remainder(self, after: Workload) -> Verdict | None:
        if self.state.keep or not self.folder.target.exists():
            return None
        made = (
            {kind_of(e.ref) for e in self.load_plan().entries if e.fate.moves} if self.folder.plan.exists() else set()
        )
        return evidence.remainder(self.read(self.folder.target, Workload), after, made)

    def _target_now(self) -> Workload:
        return census.take(self.tools.connect(self.state.target), now=self.tools.now)

    def _take_back(self, journal: Journal) -> Swept:
        plan, source = self.load_plan(), self.read(self.folder.source, Workload)
        steps = self.steps(plan, source)

        def back() -> RunResult:
            counter = _Counter(steps, journal, "steps taken back", self.tools.face, back=True)
            return unwind(
                steps, journal, plan=self.plan_name(plan, journal, back=True), workers=self.tools.workers, stop=self.tools.stop,
                listener=counter.event,
            )  # fmt: skip

        result = back()
        if result.interrupted:
            raise Interrupted("the clean-up was stopped", AGAIN)
        doubtful = bool(journal.doubts)
        swept = self._sweep(journal, move.temporaries(journal.status))
        if result.failed and (doubtful or swept.removed):  # perhaps by what a late write made, which is gone by now
            result = back()
        self._demand_complete(result, dict(journal.status.errors))
        return swept

    def _sweep(self, journal: Journal, more: Collection[str] = ()) -> Swept:
        """Wait out the writes without an answer, then remove what they made and the ledger does not hold by id.

        `more` are steps to be looked at although all their writes were answered. Of the others a kept target may by now
        hold things with their markers that the application made, such as a volume from a backup.
        """
        late = self.tools.late_seconds
        asked = wait_out(journal, late, now=self.tools.now, stop=self.tools.stop, say=self.tools.face.say)
        plan, source = self.load_plan(), self.read(self.folder.source, Workload)
        concerned = journal.status.doubtful.union(more)
        swept = move.sweep(plan, source, *self.clouds(), journal.status, concerned, stop=self.tools.stop,
                           listed=self.folder.source_listed)  # fmt: skip
        if asked or swept.removed or swept.named:
            told: JsonObject = {"removed": [*swept.removed], "named": [*swept.named]}
            journal.append(Event(kind="swept", data=told))
        for line in swept.removed:
            self.tools.face.say(f"removed, made by a request that got no answer: {line}")
        for line in swept.named:
            self.tools.face.say(
                f"it looks like the drill's and carries no mark, so it stays: {line}; delete it if it is not yours"
            )
        return swept

    def _demand_complete(self, result: RunResult, errors: dict[str, JsonObject]) -> None:
        if result.interrupted:
            raise Interrupted("the clean-up was stopped", AGAIN)
        if result.failed:
            lines = [f"{name}: {errors[name].get('message', '')}" for name in result.failed]
            lines += [f"{name}: something that needs it could not be removed" for name in result.blocked]
            raise Failed(
                f"{len(lines)} things could not be removed", "Mend the cause, then run the same command again.", lines
            )

    def seal(self) -> evidence.Bundle:
        """The signed bundle of all that is in the folder."""
        with Journal(self.folder.journal, now=self.tools.now) as journal:
            rows, chain = tuple(journal.export()), journal.chain
        sealed = evidence.Bundle(
            source=self.read(self.folder.source, Workload),
            target=self.read(self.folder.target, Workload),
            plan=self.load_plan(),
            journal=rows,
            chain=chain,
            verification=self.read(self.folder.verdicts, Contents),
            context=self._context(),
            held=self._held(),
            closed=self.read(self.folder.target_closed, Workload) if self.folder.target_closed.exists() else None,
            outage=self.outage(),
        )
        secrets = [s for name in (self.state.source, self.state.target) for s in self.tools.secrets(name)]
        found = {
            "source-census.json": self.folder.source, "target-census.json": self.folder.target,
            "plan.json": self.folder.plan_begun, "verification.json": self.folder.verdicts,
            "target-census-closed.json": self.folder.target_closed, "outage.json": self.folder.outage,
        }  # fmt: skip
        stored = {name: path.read_bytes() for name, path in found.items() if path.exists()}
        with files.writing(self.folder.bundle) as out:
            evidence.seal_into(out, sealed, signing_key(self.tools.keys), stored=stored, secrets=secrets)
        return sealed

    def _held(self) -> dict[str, Long]:
        """What the crowded containers of each side held at the verification, if it was of any."""
        paths = {side: beside(self.folder.verdicts, side) for side in ("source", "target")}
        return {side: Long.at(path) for side, path in paths.items() if path.exists()}

    def _context(self) -> Context:
        phases = tuple(PhaseTime(name=p.name, started=p.started, ended=p.ended) for p in self.folder.load().phases)
        plan = self.load_plan()
        words = ["unterbau", "drill", self.state.source, self.state.target, *(["--keep"] if self.state.keep else []),
                 *(["--boot"] if self.state.boot else [])]  # fmt: skip
        words += [w for c in plan.choices for w in ("--map", c)]
        words += [w for o in plan.allowed_openings for w in ("--allow-opening", o)]
        return Context(
            run=self.folder.run,
            command=shlex.join(words),
            rehearsal=not self.state.keep,
            sealed=self.tools.now(),
            versions=self.tools.versions(),
            phases=phases,
        )

    def report(self, language: str) -> None:
        """The report of the sealed bundle."""
        own = fingerprint(signing_key(self.tools.keys).public_key)
        opened = open_bundle(self.folder.bundle, trusted_key=own)
        files.write(self.folder.report, html.render(evidence.check_opened(opened), opened.digest, language).encode())

    # --- helpers

    def steps(self, plan: Plan, source: Workload, clouds: tuple[Cloud, Cloud] | None = None) -> list[Step]:
        """Those of the move. `source` is the census that the plan was made from; `clouds`: not to connect anew. Raises LocalError."""
        return move.steps(plan, source, *(clouds or self.clouds()), self.folder.path, self.folder.source_listed)

    def clouds(self) -> tuple[Cloud, Cloud]:
        """Source and target."""
        return self.tools.connect(self.state.source), self.tools.connect(self.state.target)

    def load_plan(self) -> Plan:
        """The plan as it stands in the folder. Raises PlanError."""
        return read_plan(self.folder.plan)

    def read(self, path: Path, type_: type[M]) -> M:
        """One result of an earlier phase. Raises LocalError."""
        try:
            return type_.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise LocalError(f"{path} is missing", "Start the drill anew.") from None
        except ValidationError as error:
            raise LocalError(f"{path} is damaged ({error.error_count()} faults)", "Start the drill anew.") from None

    def _refuse_changed(self, plan: Plan, source: Workload, here: Cloud, there: Cloud) -> None:
        """Before the first write: both sides are looked at again, beside each other."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            target_now = pool.submit(census.take, there, now=self.tools.now)
            source_now = pool.submit(self._source_now, here, brief=census.is_brief(source))
        self._refuse_stale(plan, source, source_now.result())
        self._refuse_taken(plan, target_now.result())

    def _source_now(self, here: Cloud, *, brief: bool) -> Workload:
        with files.passing("census") as passing:
            place = passing / "listed.jsonl" if self.folder.source_listed.exists() else None
            return census.take(here, now=self.tools.now, brief=brief, place=place)

    def _refuse_taken(self, plan: Plan, now: Workload) -> None:
        """The target must be what the plan was made for, and nobody else be writing there."""
        before = self.read(self.folder.target, Workload)
        others = sorted({run for r in now.resources if (run := run_of(r.marker)) and r.ref not in before.by_ref})
        if others:
            raise Refused(
                f"another drill writes to {self.state.target}: its marks say {', '.join(others)}",
                "Let it end, or take it back where it was begun: unterbau close RUN --target. Then make a new plan.",
            )
        there = {r.ref for r in planning.foreign_objects(now)} ^ {r.ref for r in planning.foreign_objects(before)}
        gone = {ref(kind_of(e.ref), e.stands_in) for e in plan.entries if e.stands_in} & before.by_ref.keys()
        lines = sorted(there | (gone - now.by_ref.keys()))
        if lines:
            raise PlanError(
                f"the target changed since the plan was made: {'; '.join(lines[:6])}", "Make a new plan.", lines
            )

    def _refuse_stale(self, plan: Plan, source: Workload, now: Workload) -> None:
        """The source must be what the plan was made from."""
        if plan.source_census and plan.source_census != digest_bytes(self.folder.source.read_bytes()):
            raise PlanError("the plan was made from another census than the one in its folder", "Make a new plan.")
        before = census.digest(source) if plan.source_census else plan.source_digest
        if census.digest(now, self.folder.run) != before:
            lines = census.difference(source, now, self.folder.run)
            if plan.cut_over is not None:  # the source lives: what became of its objects is carried at the cut-over
                lines = tuple(line for line in lines if not (_OF_OBJECTS.match(line) or _OF_HOLDINGS.match(line)))
            if not lines and (plan.source_census or plan.cut_over is not None):  # what is gone is gone by its own word
                return
            raise PlanError(
                "the source changed since the plan was made: " + "; ".join(lines[:6]),
                "Make a new plan. Stop the application first, if it still writes.",
            )


class _Counter:
    """Shows how many steps of a saga are done."""

    def __init__(self, steps: Sequence[Step], journal: Journal, label: str, face: Face, *, back: bool = False) -> None:
        self.label, self.face, self.total = label, face, len(steps)
        self.kind = "undone" if back else "done"
        states = journal.status.states
        if back:
            self.total = sum(1 for n in journal.status.intents)
        self.done = sum(1 for s in states.values() if s == self.kind)

    def event(self, event: Event) -> None:
        """Called for each journal entry."""
        if event.kind == self.kind:
            self.done += 1
            self.face.detail(f"{event.kind}: {event.node}")
            self.face.count(self.label, self.done, self.total)


def _took(folder: Folder) -> list[prediction.Took]:
    """How long the steps of a move took; nothing where it left no readable journal and plan."""
    try:
        plan = Plan.model_validate_json(folder.plan_begun.read_bytes())
        return prediction.of_journal(timeline(folder.journal), plan)
    except (OSError, ValidationError, LocalError):
        return []


def _looked(folder: Folder) -> list[prediction.Took]:
    """How long the work of its last verification took; nothing where none noted that."""
    try:
        return prediction.took(prediction.Looked.model_validate_json(folder.looked.read_bytes()).spans)
    except (OSError, ValidationError):
        return []


class Stopwatch:
    """How long the work of a verification takes, for the folder of the drill that it verifies."""

    def __init__(self) -> None:
        self._spans: list[prediction.Span] = []

    def note(self, step: str, size: int, times: float, began: datetime, ended: datetime) -> None:
        """As `verify.Spent`."""
        self._spans.append(prediction.Span(step=step, bytes=size, times=times, began=began, ended=ended))

    def keep(self, plan: Plan | None, source: str, target: str, seen: Contents) -> None:
        """Write it where a later plan between these two finds it, if that drill is of this machine."""
        try:
            folder = folders.folder(plan.run if plan is not None else "")
            state = folder.load()
        except UsageError:
            return
        if (state.source, state.target) == (source, target):
            told = prediction.Looked(began=seen.started, ended=seen.ended, spans=tuple(self._spans))
            files.write(folder.looked, told.model_dump_json().encode())


def read_plan(path: Path) -> Plan:
    """The plan of a file. Raises PlanError naming the place, LocalError if it cannot be read."""
    try:
        return planning.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path}: there is no such plan", "Make one: unterbau plan SOURCE TARGET.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{path}: cannot be read ({error})", "Mend the file's permissions.") from None


def is_begun(folder: Folder) -> bool:
    """Whether something may have been written to a cloud by this drill. Raises LocalError for a damaged journal."""
    return folder.journal.exists() and peek(folder.journal).opened


def failures(folder: Folder) -> dict[str, str]:
    """The steps of the move that failed last and were not done since, with what was said; also of one taken back."""
    if not folder.journal.exists():
        return {}
    with Journal(folder.journal) as journal:
        events = journal.events()
    found: dict[str, str] = {}
    for event in events:
        if event.kind == "failed":
            found[event.node] = str(event.data.get("message", ""))
        elif event.kind == "done":
            found.pop(event.node, None)
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _as_written(plan: Plan) -> Plan:
    """The plan without what is found from it: two files of one plan are equal so."""
    found = {"openings": (), "allowed_openings": (), "checks": (), "remarks": (), "guests": "", "cut_over": None}
    return plan.model_copy(update=found)


def _refuse_failed_checks(plan: Plan) -> None:
    failed = [c for c in plan.checks if c.outcome is Outcome.FAILED]
    if failed:
        raise Refused(
            "the plan's checks failed: " + "; ".join(f"{c.name}: {c.text}" for c in failed),
            " ".join(str(c.remedy) for c in failed if c.remedy) or "Mend the cause and make a new plan.",
        )


def start(source: str, target: str, *, keep: bool, tools: Tools, boot: bool = False) -> Folder:
    """The folder of the drill to work on: the unfinished one between these two, or a new one."""
    if source == target:
        raise Refused(f"source and target are the same cloud ({source})", "Name two.")
    for name in (source, target):
        tools.connect(name).identity()
    with folders.choosing(source, target):
        found = folders.unfinished(source, target)
        if found is None:
            return folders.begin(source, target, keep, tools.now(), boot=boot)
    told = found.load()
    if (told.keep, told.boot) != (keep, boot) and not is_begun(found):  # only planned so far: nothing was made anywhere
        found.save(told.model_copy(update={"keep": keep, "boot": boot}))
    elif (told.keep, told.boot) != (keep, boot):
        word, had = ("--keep", told.keep) if told.keep != keep else ("--boot", told.boot)
        raise Refused(
            f"drill {found.run} between {source} and {target} is unfinished and was begun "
            + ("with" if had else "without") + f" {word}",
            "Finish it with the same command, or take it back: unterbau close " + found.run + " --target",
        )  # fmt: skip
    tools.face.say(f"resuming drill {found.run}")
    return found


def drill(
    source: str, target: str, *, keep: bool, tools: Tools, boot: bool = False, language: str = "en", words: Words = NO_WORDS,
    plan_file: Path | None = None, plan_output: Path | None = None,
) -> tuple[Folder, tuple[Verdict, ...]]:  # fmt: skip
    """The whole of it, by the plan of `plan_file` if one is given; `plan_output` gets the plan, also if it is refused.

    Returns the verdicts of the verification and of the whole, as the check of the bundle makes them.

    Raises Interrupted (resume by the same call) and whatever a phase raises.
    """
    folder = start(source, target, keep=keep, boot=boot, tools=tools)
    work = Drill(folder, tools)
    with folder.locked(), work.alone():
        work.begin_again()
        if plan_file is not None:
            work.adopt(plan_file)

        def plan() -> None:
            work.plan(words)
            if plan_output is not None:
                files.write(plan_output, folder.plan.read_bytes(), mode=0o644)

        phases: list[tuple[str, str, Callable[[], object]]] = [
            (CENSUS, "census of both sides", lambda: work.census(words)),
            ("plan", "plan", plan),
            ("move", "move", work.move),
            ("verify", "verify, as a process of its own", work.verify),
        ]
        if not keep:
            phases.append(("close", "clean the target", work.close_target))
        sealed: list[evidence.Bundle] = []
        phases.append(("seal", "seal the evidence", lambda: sealed.append(work.seal())))
        phases.append(("report", "write the report", lambda: work.report(language)))
        for number, (name, title, phase) in enumerate(phases, start=1):
            if tools.stop.is_set():
                raise Interrupted(f"stopped before: {title}", AGAIN)
            if name == "move" and folder.verdicts.exists():
                continue  # it was verified: what follows must see the move as it was then
            tools.face.phase(f"[{number}/{len(phases)}] {title}")
            started = tools.now()
            phase()
            if name != CENSUS:
                folder.finish_phase(name, started, tools.now())
        verdicts = (*sealed[0].verification.verdicts, *evidence.of_the_whole(sealed[0]))
        failed = keep and any(v.outcome is Outcome.FAILED for v in verdicts)
        folder.save(folder.load().model_copy(update={"finished": not failed, "failed": failed}))
        return folder, verdicts


def remainder(workload: Workload) -> list[str]:
    """What a closed project still holds, a line a thing."""
    return [f"{r.ref} {r.name}" for r in planning.foreign_objects(workload)]
