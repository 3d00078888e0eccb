# SPDX-License-Identifier: Apache-2.0
"""The terminal's face of results: tables where there is a terminal, plain lines where there is none.

`cli` calls it with what the use cases returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unterbau.face import MARKS, STYLES, safe, say, table
from unterbau.switch.evidence import CheckResult
from unterbau.switch.plan import Plan
from unterbau.switch.verify.lost import KIND as LOSS
from unterbau.switch.verify.lost import is_left
from unterbau.switch.verify.opened import opening_of
from unterbau.tenant.kinds import Fate, Opened
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict, Words


def census(workload: Workload) -> None:
    """Kinds and names, then what was not shown."""
    names: dict[str, list[str]] = {}
    for resource in workload.resources:
        names.setdefault(resource.own_kind.value, []).append(resource.name or resource.id)
    rows = []
    for kind, listed in names.items():
        shown = ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")
        rows.append([kind, str(len(listed)), safe(shown)])
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
    say("")
    table(["check", "outcome", "what"], [
        [safe(c.name), f"[{STYLES[c.outcome]}]{MARKS[c.outcome]}[/]", safe(f"{c.text} {c.remedy}".rstrip())]
        for c in made.checks
    ])  # fmt: skip
    say("")
    seconds = made.estimate_seconds or 0
    say(f"{made.bytes_total / 2**20:.0f} MiB to move, about {seconds:.0f} s")


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


def verdicts(found: Sequence[Verdict], *, everything: bool = False) -> None:
    """Everything that did not hold, what is lost, then how many claims of which kind were judged."""
    losses = losses_among(found)
    rows = [
        [f"[{STYLES[v.outcome]}]{MARKS[v.outcome]}[/]", safe(v.claim.kind), safe(v.claim.text), safe(v.reason)]
        for v in sorted(found, key=lambda v: (v.outcome is Outcome.NOT_SHOWN, v.outcome is Outcome.HELD))
        if v not in losses and (everything or v.outcome is not Outcome.HELD)
    ]
    if rows:
        table(["outcome", "kind", "claim", "why"], rows)
        say("")
    if losses:
        say("What you would lose:")
        table(["outcome", "what", "why"], [
            [f"[{STYLES[v.outcome]}]{MARKS[v.outcome]}[/]", safe(v.claim.id.partition(" ")[2]), safe(v.reason)]
            for v in sorted(losses, key=lambda v: v.outcome is Outcome.NOT_SHOWN)
        ])  # fmt: skip
        say("")
    allowed = [v for v in openings_among(found) if v.outcome is Outcome.HELD]
    if allowed:
        say("Open on the target and closed on the source, as somebody allowed by name:")
        table(["what"], [[safe(opening_of(v.claim))] for v in allowed])
        say("")
    counts = Counter((v.claim.kind, v.outcome) for v in found)
    table(["claims of", "outcome", "count"], [
        [safe(kind), f"[{STYLES[outcome]}]{MARKS[outcome]}[/]", str(n)] for (kind, outcome), n in sorted(counts.items())
    ])  # fmt: skip


def checked(found: CheckResult) -> None:
    """What the check of a bundle found, and what no drill tests."""
    verdicts(found.verdicts)
    if found.today:
        say("")
        say("By the judgings of this version, which came after the bundle was judged (the stricter one decides):")
        verdicts(found.today, everything=True)
    say("")
    table(["outcome", "what no drill tests"], [["not tested", safe(line)] for line in found.not_tested])


def losses_among(found: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts on what is lost, or left altogether."""
    return [v for v in found if v.claim.kind == LOSS or is_left(v)]


def openings_among(found: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts on single openings: what is open on the target and was not on the source."""
    kinds = {k.value for k in Opened}
    return [v for v in found if v.claim.kind == "opening" and v.claim.subject not in kinds]


def drills(found: Iterable[tuple[Any, Any]]) -> None:
    """One line a drill."""
    rows = []
    for folder, state in found:
        last = state.phases[-1].name if state.phases else "nothing"
        status = "finished" if state.finished else f"can be resumed after {last}"
        rows.append([safe(state.run), safe(state.source), safe(state.target), safe(status), safe(folder.path)])
    table(["drill", "source", "target", "state", "folder"], rows)


def moved(result: Any) -> None:
    """How a move ended."""
    say(f"{len(result.done)} steps done, {len(result.failed)} failed, {len(result.blocked)} waiting for them")


def closed(rest: Sequence[str], kept: Mapping[str, Words]) -> None:
    """What remains after closing, and why."""
    say(f"{len(rest)} things remain" if rest else "nothing remains of the tenant's")
    table(["thing", "why it was kept"], [[safe(line), safe(kept.get(line.partition(" ")[0], ""))] for line in rest])
