# SPDX-License-Identifier: Apache-2.0
"""The terminal's face of results: tables where there is a terminal, plain lines where there is none.

`cli` calls it with what the use cases returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unterbau.face import TEN, first
from unterbau.face.results import MARKS, STYLES, listed, safe, say, table
from unterbau.switch.evidence import CheckResult
from unterbau.switch.plan import Interval, Plan, spoken
from unterbau.switch.probes import outage as outages
from unterbau.switch.probes.judging import sentence
from unterbau.switch.probes.model import Command, Probe, Recorded
from unterbau.switch.probes.model import called as asked
from unterbau.switch.probes.outage import Watched
from unterbau.switch.report.ending import Ending
from unterbau.switch.report.ending import ending as sorted_out
from unterbau.tenant.kinds import Fate
from unterbau.tenant.kinds.object import STORE, STORED
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict, Words, words

NEEDED = "close.needed"
"""The id of the reason for which a thing stays on another's account."""


def census(workload: Workload) -> None:
    """Kinds and names, then what was not shown."""
    names: dict[str, list[str]] = {}
    for resource in workload.resources:
        names.setdefault(resource.own_kind.value, []).append(resource.name or resource.id)
    rows = []
    for kind, called in names.items():
        rows.append([kind, str(len(called)), safe(_some(called))])
    if held := {r.name: r.in_brief() for r in workload.resources if r.own_kind is STORE and r.in_brief()}:
        rows.append([f"{STORED.value}s listed only", str(sum(held.values())), safe(f"in {_some([*held])}")])
    say(f"{workload.identity.name}: project {workload.identity.project_name} ({workload.identity.project_id})")
    table(["kind", "count", "names"], rows)
    not_shown([(n.what, n.reason) for n in workload.not_shown])


def not_shown(notes: Sequence[tuple[str, Words]]) -> None:
    """What could not be looked at."""
    if notes:
        say("")
        say("Not shown:")
        table(["what", "why"], [[f"[yellow]{safe(w)}[/yellow]", safe(r)] for w, r in notes])


def plan(made: Plan) -> None:
    """Fates by count, then everything that is not simply carried, the checks, bytes and time."""
    counts = Counter(e.fate for e in made.entries)
    say(", ".join(f"{n} {f.value}" for f, n in sorted(counts.items())))
    rows = [
        [safe(e.fate.value), safe(e.ref.partition(":")[0]), safe(e.name), safe(e.why), safe(e.remedy)]
        for e in made.entries
        if e.fate is not Fate.CARRIED
    ]
    if rows:
        say("")
        table(["fate", "kind", "name", "why", "what a person does"], rows)
    if made.openings:
        say("")
        say("Opens what is closed on the source:")
        table(["opening", "what", "what a person does"], [
            [safe(o.id), f"[{'green' if o.id in made.allowed_openings else 'bold red'}]{safe(o.text)}[/]",
             "allowed by name" if o.id in made.allowed_openings else f"edit the plan, or --allow-opening {safe(o.id)}"]
            for o in made.openings
        ])  # fmt: skip
    _losses(made)
    if made.probes:
        say("")
        say("Asked from outside, on both sides:")
        table(["probe", "kind", "at", "port"], [
            [safe(p.id), p.kind, safe(p.at), str(p.port)] for p in made.probes
        ])  # fmt: skip
        commands = [[safe(p.id), safe(p.user), safe(p.run)] for p in made.probes if isinstance(p, Command)]
        if commands:
            say("")
            say("Run in the guests of both sides, by ssh and with your keys:")
            table(["probe", "user", "command"], commands)
    say("")
    table(["check", "outcome", "what"], [
        [safe(c.name), f"[{STYLES[c.outcome]}]{MARKS[c.outcome]}[/]", safe(f"{c.text} {c.remedy}".rstrip())]
        for c in made.checks
    ])  # fmt: skip
    say("")
    for remark in made.remarks:
        say(safe(remark))
    say(f"{made.bytes_total / 2**20:.0f} MiB to move, {_time(made)}")
    say(
        "What is made carries a mark (tag or metadata `unterbau`) that applications see; `close RUN --marks` takes it off."
    )


def _time(made: Plan) -> str:
    """How long it will take, and by what one knows."""
    told = made.prediction
    if told is None or not told.runs:
        return (
            f"about {spoken(made.estimate_seconds or 0)} by a rule of thumb: no move between these two was measured yet"
        )
    most = ", ".join(f"{one.step} {one.share:.0%}" for one in told.slowest)
    runs = f"{'run' if len(told.runs) == 1 else 'runs'} {', '.join(told.runs)}"
    both = f"together {_interval(told.together)}; " if told.verification else ""
    return f"move {_interval(told.move)}, verification {_interval(told.verification)}, {both}by {runs}; most of the move: {most or 'nothing'}"


def _interval(told: Interval | None) -> str:
    """From when to when, and what is not in it since nobody measured it."""
    if told is None or not told.runs:
        return "not measured"
    unknown = f" and what was NOT MEASURED ({', '.join(told.unmeasured)})" if told.unmeasured else ""
    return f"{spoken(told.lower_seconds)} to {spoken(told.upper_seconds)}{unknown}"


def _losses(made: Plan) -> None:
    """What does not come along, a line a kind and field."""
    found: dict[str, list[Words]] = {}
    for one in made.would_lose():
        kind = one.id.partition(":")[0]
        found.setdefault(f"{kind}.{one.field}" if one.field else kind, []).append(one.why)
    if found:
        say("")
        say("What you would lose (`close --source` keeps it at the source unless you accept the loss by name):")
        table(["loss", "count", "why"], [[safe(n), str(len(w)), safe(w[0])] for n, w in sorted(found.items())])


def answers(found: Recorded, probes: Iterable[Probe]) -> None:
    """What each place answered: a line a probe."""
    by_id = {p.id: p for p in probes}
    rows = []
    for one in found.answers:
        numbers = {k: v for k, v in one.facts.items() if k in ("status", "code", "exit status")}
        facts = ", ".join(f"{k} {v}" for k, v in numbers.items() if not isinstance(v, list))
        told = [facts, f"changes by itself: {', '.join(one.unsteady)}" if one.unsteady else "", words(one.reason)]
        what = asked(by_id[one.probe], one.address) if one.probe in by_id else one.address
        rows.append([safe(one.probe), safe(what), safe(one.state.value), safe("; ".join(t for t in told if t))])
    table(["probe", "what", "answer", "facts"], rows)


def outage(found: Watched) -> None:
    """How long nobody answered: a line a probe, and the longest."""
    rows = []
    for one in found.courses:
        seconds = one.seconds()
        last, first_ = (f"{at:%H:%M:%S}" if at else "not seen" for at in (one.source.last, one.target.first))
        rows.append([safe(one.probe), last, first_, "not shown" if seconds is None else f"{seconds:.1f} s"])
    table(["probe", "source answered last", "target answered first", "nobody answered"], rows)
    say(words(outages.sentence(found)))


def ending(told: Ending, *, everything: bool = False) -> None:
    """What was lost, what opened, what failed, what was not shown: ten of each unless everything was asked for."""
    for title, items in (
        ("Lost", told.lost), ("Open on the target and closed on the source", told.opened), ("Failed", told.failed),
        ("Not shown", told.not_shown),
    ):  # fmt: skip
        if items:
            shown = items if everything else items[:TEN]
            say(f"{title} ({sum(len(i.things) for i in items)}):")
            for item in shown:
                listed(f"{_number(item.things)}{item.what}: {_some(item.things)}", str(item.why), f"to do: {item.todo}")
            if len(items) > len(shown):
                say(f"  and {len(items) - len(shown)} more such lines (--all shows them, --format json has them)")
            say("")


def _number(things: Sequence[str]) -> str:
    return f"{len(things)} x " if len(things) > 1 else ""


def _some(things: Sequence[str]) -> str:
    return ", ".join(things[:4]) + (f" and {len(things) - 4} more" if len(things) > 4 else "")


def verdicts(
    found: Sequence[Verdict], plan: Plan | None = None, steps: Mapping[str, str] | None = None, *,
    everything: bool = False,
) -> None:  # fmt: skip
    """What the application answers, how it ended, what held if everything was asked for, then the claims by kind."""
    if first_ := sentence(found):
        say(words(first_))
        say("")
    ending(sorted_out(plan, found, steps), everything=everything)
    held = [v for v in found if v.outcome is Outcome.HELD] if everything else []
    if held:
        say(f"Held ({len(held)}):")
        for one in held:
            listed(words(one.claim.text), words(one.reason))
        say("")
    counts = Counter((v.claim.kind, v.outcome) for v in found)
    table(["claims of", "outcome", "count"], [
        [safe(kind), f"[{STYLES[outcome]}]{MARKS[outcome]}[/]", str(n)] for (kind, outcome), n in sorted(counts.items())
    ])  # fmt: skip


def checked(found: CheckResult) -> None:
    """What the check of a bundle found, and what no drill tests."""
    verdicts(found.verdicts, found.bundle.plan)
    if found.today:
        say("")
        say("By today's judgings (the stricter one decides):")
        verdicts(found.today, found.bundle.plan, everything=True)
    say("")
    table(["outcome", "what no drill tests"], [["not tested", safe(line)] for line in found.not_tested])


def drills(found: Iterable[tuple[Any, Any]]) -> None:
    """One line a drill."""
    rows = []
    for folder, state in found:
        last = state.phases[-1].name if state.phases else "nothing"
        status = "finished" if state.finished else f"can be resumed after {last}"
        rows.append([safe(state.run), safe(state.source), safe(state.target), safe(status), safe(folder.path)])
    table(["drill", "source", "target", "state", "folder"], rows)


def moved(result: Any, seen: Watched | None = None) -> None:
    """How a move ended, and how long nobody answered meanwhile, if anybody looked."""
    say(f"{len(result.done)} steps done, {len(result.failed)} failed, {len(result.blocked)} waiting for them")
    if seen is not None:
        outage(seen)


def closed(rest: Sequence[str], kept: Mapping[str, Words], *, everything: bool = False) -> None:
    """What remains after closing, and why; what stays for a reason of its own comes first."""
    say(f"{len(rest)} things remain" if rest else "nothing remains of the tenant's")
    because = {line: kept.get(line.partition(" ")[0], "") for line in rest}
    ordered = sorted(rest, key=lambda line: getattr(because[line], "id", "") == NEEDED)
    for line in ordered if everything else ordered[:TEN]:
        listed(line, words(because[line]))
    if len(rest) > TEN and not everything:
        say(f"  and {len(rest) - TEN} more: all stand in the result (--format json)")


def marks(taken_off: Sequence[str], left: Mapping[str, str]) -> None:
    """What lost its mark, and what would not."""
    say(f"{len(taken_off)} things carry no mark any more" if taken_off else "no mark of this drill was found")
    for line in first([f"{reference} may still carry one: {why}" for reference, why in left.items()]):
        say(line)
