# SPDX-License-Identifier: Apache-2.0
"""Runs and unwinds a saga. A run is the resume of an empty journal: there is no other code path.

`move`, `close` and `drill` call `run` and `unwind`. Each write in a cloud happens in a step, after its intent
is durable. What a crash left begun is acted (or undone) again with the recorded intent.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from unterbau.defaults import LATE_SECONDS
from unterbau.errors import CloudError, Interrupted, PlanError, Refused, UnterbauError
from unterbau.saga.journal import Journal, refuse_secrets
from unterbau.saga.status import Event, JsonObject
from unterbau.saga.steps import Step, graph
from unterbau.verdict import Model

T = TypeVar("T")
MESSAGE_LIMIT = 500


class RunResult(Model):
    """How a run or an unwinding ended: names of steps. `done` counts undone steps after `unwind`."""

    done: tuple[str, ...]
    failed: tuple[str, ...]
    blocked: tuple[str, ...]
    interrupted: bool

    @property
    def complete(self) -> bool:
        """Nothing is left to do."""
        return not (self.failed or self.blocked or self.interrupted)


@dataclass(frozen=True)
class RetryPolicy:
    """Transient cloud errors are tried again: first after `first_s` seconds, then twice as long each time."""

    first_s: float = 0.5
    longest_s: float = 30.0
    deadline_s: float = 300.0
    sleep: Callable[[float], None] | None = None
    """Replaces the wait (tests); by default the wait ends at once when the run is stopped."""
    clock: Callable[[], float] = time.monotonic

    def call(self, action: Callable[[], T], stop: threading.Event) -> T:
        """The action's result; its last error once it is not transient or the deadline would pass."""
        pause, end = self.first_s, self.clock() + self.deadline_s
        while True:
            try:
                return action()
            except CloudError as error:
                if not error.transient or self.clock() + pause > end:
                    raise
            (self.sleep or stop.wait)(pause)
            if stop.is_set():
                raise Interrupted("stopped while waiting to try again")
            pause = min(pause * 2, self.longest_s)


def run(
    steps: Sequence[Step],
    journal: Journal,
    *,
    plan: str = "",
    workers: int = 8,
    stop: threading.Event | None = None,
    retry: RetryPolicy | None = None,
    late_seconds: float = LATE_SECONDS,
    held: Collection[str] = (),
    listener: Callable[[Event], None] = lambda event: None,
    progress: Callable[[str, int, int | None], None] = lambda node, done, total: None,
) -> RunResult:
    """Bring every step to done, from wherever the journal stands.

    `plan` is a digest of the plan; steps or plan that differ from the recorded ones: PlanError with the
    difference. A failed step blocks its dependants, all others go on; the next run tries it again.
    `listener` and `progress` are called from worker threads. An error outside our tree is a defect of a
    step: no new step starts, and it is raised when the running ones ended. `late_seconds`: how long a cloud may go on
    with a write that it did not answer (see `late`). `held`: steps that are not begun this time, with all that need them.
    """
    by_name = graph(steps)
    work = _Work(journal, stop or threading.Event(), retry or RetryPolicy(), listener)
    _open(by_name, work, plan)
    if journal.status.unwinding:
        raise Refused("this run is being unwound and cannot go forward", "finish the clean-up, then begin anew")

    def forward(name: str) -> None:
        step = by_name[name]
        intent, done = journal.status.intents.get(name), journal.outputs
        if intent is None:
            intent = work.tried(name, lambda: step.intend(done))
            work.record("intended", name, intent)
            intent = journal.status.intents[name]

        attempt = _Attempt(name, work, late_seconds, progress)
        work.record("done", name, work.tried(name, lambda: step.act(intent, done, attempt)))

    finished = {n for n in by_name if journal.status.states[n] == "done"}
    return _drive(
        {n: tuple(s.needs) for n, s in by_name.items() if n not in held}, finished, forward, "failed", workers, work
    )


def unwind(
    steps: Sequence[Step],
    journal: Journal,
    *,
    plan: str = "",
    workers: int = 8,
    stop: threading.Event | None = None,
    retry: RetryPolicy | None = None,
    listener: Callable[[Event], None] = lambda event: None,
) -> RunResult:
    """Undo every step that has an intent, dependants first. Resumable, and final: no `run` after it.

    A step whose undo fails keeps what it needs (blocked); the next `unwind` tries it again.
    """
    by_name = graph(steps)
    work = _Work(journal, stop or threading.Event(), retry or RetryPolicy(), listener)
    _open(by_name, work, plan)
    if not journal.status.unwinding:
        work.record("unwinding", "", {})
    intents, outputs = dict(journal.status.intents), dict(journal.status.outputs)

    def back(name: str) -> None:
        work.tried(name, lambda: by_name[name].undo(intents[name], outputs.get(name), outputs))
        work.record("undone", name, {})

    order = {n: journal.status.dependants(n) for n in by_name if n in intents}
    finished = {n for n in order if journal.status.states[n] == "undone"}
    return _drive(order, finished, back, "undo failed", workers, work)


class _StepFailed(Exception):
    """Carries an error that a step raised, apart from errors of the journal."""

    def __init__(self, error: UnterbauError) -> None:
        self.error = error


@dataclass(frozen=True)
class _Work:
    journal: Journal
    stop: threading.Event
    retry: RetryPolicy
    listener: Callable[[Event], None]

    def record(self, kind: str, node: str, data: JsonObject) -> None:
        refuse_secrets(data, node)  # before validation, whose errors would quote the value
        event = Event.model_validate({"kind": kind, "node": node, "data": data})
        self.journal.append(event)
        self.listener(event)

    def tried(self, node: str, action: Callable[[], T]) -> T:
        """The result after retries. A write that got no answer is durable before anything else is asked."""

        def once() -> T:
            try:
                return action()
            except CloudError as error:
                if error.uncertain and node in self.journal.status.intents:
                    self.record("uncertain", node, {"kind": error.kind, "message": _clean(error.what)})
                raise

        try:
            return self.retry.call(once, self.stop)
        except Interrupted:
            raise
        except UnterbauError as error:
            raise _StepFailed(error) from error


@dataclass(frozen=True)
class _Attempt:
    """See `steps.Attempt`."""

    node: str
    work: _Work
    late_seconds: float
    progress: Callable[[str, int, int | None], None]

    def __call__(self, done: int, total: int | None) -> None:
        if self.work.stop.is_set():
            raise Interrupted(f"stopped during {self.node}")
        self.progress(self.node, done, total)

    def doubt(self) -> float:
        return self.work.journal.doubt(self.node, self.late_seconds)


def note_killed(journal: Journal) -> None:
    """Note what an earlier process had begun when it was killed: its requests may still be under way.

    When it was killed nobody knows; it is dead by now, so they are as old as this moment at least.
    """
    for node in journal.status.begun():
        told: JsonObject = {"kind": "Interrupted", "message": "an earlier process ended in the middle of this step"}
        journal.append(Event(kind="uncertain", node=node, data=told))
    if journal.status.stopped:
        journal.append(Event(kind="resumed"))


def _open(by_name: dict[str, Step], work: _Work, plan: str) -> None:
    status, needs = work.journal.status, {n: tuple(s.needs) for n, s in by_name.items()}
    if not status.opened:
        work.record("opened", "", {"plan": plan, "nodes": {n: list(v) for n, v in needs.items()}})
        return
    new, gone = sorted(needs.keys() - status.needs.keys()), sorted(status.needs.keys() - needs.keys())
    moved = sorted(n for n in needs.keys() & status.needs.keys() if set(needs[n]) != set(status.needs[n]))
    if new or gone or moved or plan != status.plan:
        parts = [f"{word}: {', '.join(names)}" for word, names in
                 (("added", new), ("removed", gone), ("other needs", moved)) if names]  # fmt: skip
        raise PlanError("the plan differs from the one that this run began with: "
                        + ("; ".join(parts) or "same steps, other contents"),
                        "run with the recorded plan, or clean up this run and begin a new one")  # fmt: skip
    note_killed(work.journal)


def _drive(
    order: dict[str, tuple[str, ...]],
    finished: set[str],
    action: Callable[[str], None],
    failure: str,
    workers: int,
    work: _Work,
) -> RunResult:
    """Call `action` for each node after those it waits for, at most `workers` at the same time.

    Nodes that are ready go in the order of their readiness. The cost is linear in nodes and in what they wait for.
    """
    waiting = {n: len({*order[n]} - finished) for n in order if n not in finished}
    waited_for: dict[str, list[str]] = {}
    for name in waiting:
        for other in {*order[name]} - finished:
            waited_for.setdefault(other, []).append(name)
    ready = deque(n for n, count in waiting.items() if not count)
    running: dict[Future[None], str] = {}
    failed: list[str] = []
    interrupted, defect = False, None
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="saga") as pool:
        while True:
            try:
                while ready and len(running) < workers and not work.stop.is_set():
                    name = ready.popleft()
                    del waiting[name]
                    running[pool.submit(action, name)] = name
                if not running:
                    break
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                work.stop.set()
                continue
            for future in ended:
                name = running.pop(future)
                error = future.exception()
                if error is None:
                    finished.add(name)
                    for other in waited_for.get(name, ()):
                        waiting[other] -= 1
                        if not waiting[other]:
                            ready.append(other)
                elif isinstance(error, Interrupted):
                    interrupted = True
                    work.stop.set()
                elif isinstance(error, _StepFailed):
                    failed.append(name)
                    message = {"kind": error.error.kind, "message": _clean(error.error.what)}
                    work.record(failure, name, dict(message))
                else:
                    defect = defect or error
                    work.stop.set()
    if defect is not None:
        raise defect
    interrupted = interrupted or (work.stop.is_set() and bool(waiting))
    if interrupted:
        work.record("stopped", "", {})
    return RunResult(done=tuple(n for n in order if n in finished), failed=tuple(failed),
                     blocked=() if interrupted else tuple(waiting), interrupted=interrupted)  # fmt: skip


def _clean(message: str) -> str:
    return "".join(c if c.isprintable() else " " for c in message)[:MESSAGE_LIMIT]
