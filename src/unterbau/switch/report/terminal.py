# SPDX-License-Identifier: Apache-2.0
"""The terminal's face of results: tables where there is a terminal, plain lines where there is none.

`cli` calls it with what the use cases returned. Names come from clouds and may hold anything: `printable` makes
control characters visible, so that no name can move the cursor or reorder a line.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unterbau.switch.plan import Fate, Opened, Plan
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict

MARKS = {Outcome.HELD: "✓ held", Outcome.FAILED: "✗ failed", Outcome.NOT_SHOWN: "? not shown"}
STYLES = {Outcome.HELD: "green", Outcome.FAILED: "bold red", Outcome.NOT_SHOWN: "yellow"}


class ServiceLike(Protocol):
    """What is shown of a service of an embedded cloud."""

    name: str
    state: Any
    pid: int | None
    port: int | None
    memory_bytes: int
    uptime_seconds: float
    error: str


def printable(text: str) -> str:
    """The text with control, format (direction, zero width) and surrogate characters shown as \\u…."""
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else f"\\u{ord(c):04x}" for c in text)


def _safe(text: object) -> str:
    return escape(printable(str(text)))


def _console() -> Console:
    return Console(highlight=False, soft_wrap=False)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; tab-separated lines elsewhere. Cells are markup."""
    console = _console()
    if not console.is_terminal:
        console.soft_wrap = True
        for row in rows:
            console.print("\t".join(row), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


safe, table = _safe, _table


def say(line: str) -> None:
    """One line of the result."""
    _console().print(_safe(line), soft_wrap=True)


def clouds(found: Iterable[Any]) -> None:
    """One line a cloud."""
    rows = [[_safe(c.name), _safe(c.state), f"{c.memory_bytes // 2**20} MiB", _safe(c.auth_url)] for c in found]
    _table(["cloud", "state", "memory", "auth url"], rows)


def cloud_services(found: Iterable[Any]) -> None:
    """One line a service."""
    rows = []
    for cloud in found:
        rows.append([f"[bold]{_safe(cloud.name)}[/bold]", _safe(cloud.state), "", "", f"{cloud.memory_bytes // 2**20} MiB",
                     _safe(cloud.error.splitlines()[0] if cloud.error else "")])  # fmt: skip
        for service in cloud.services:
            up = f"up {service.uptime_seconds:.0f} s" if service.pid else ""
            error = service.error.splitlines()[0] if service.error and service.state == "dead" else ""
            rows.append([f"  {_safe(service.name)}", _safe(service.state), str(service.port or ""), up,
                         f"{service.memory_bytes // 2**20} MiB", _safe(error)])  # fmt: skip
    _table(["service", "state", "port", "since", "memory", "error"], rows)


def census(workload: Workload) -> None:
    """Kinds and names, then what was not shown."""
    names: dict[str, list[str]] = {}
    for resource in workload.resources:
        names.setdefault(resource.own_kind.value, []).append(resource.name or resource.id)
    rows = []
    for kind, listed in names.items():
        shown = ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")
        rows.append([kind, str(len(listed)), _safe(shown)])
    say(f"{workload.identity.name}: project {workload.identity.project_name} ({workload.identity.project_id})")
    _table(["kind", "count", "names"], rows)
    not_shown([(n.what, n.reason) for n in workload.not_shown])


def not_shown(notes: Sequence[tuple[str, str]]) -> None:
    """What could not be looked at."""
    if notes:
        say("")
        say("Not shown:")
        _table(["what", "why"], [[f"[yellow]{_safe(w)}[/yellow]", _safe(r)] for w, r in notes])


def plan(made: Plan) -> None:
    """Fates by count, then everything that is not simply carried, the checks, bytes and time."""
    counts = Counter(e.fate for e in made.entries)
    say(", ".join(f"{n} {f.value}" for f, n in sorted(counts.items())))
    rows = [
        [_safe(e.fate.value), _safe(e.ref.partition(":")[0]), _safe(e.name), _safe(e.why), _safe(e.remedy)]
        for e in made.entries
        if e.fate is not Fate.CARRIED
    ]
    if rows:
        say("")
        _table(["fate", "kind", "name", "why", "what a person does"], rows)
    if made.openings:
        say("")
        say("Opens what is closed on the source:")
        _table(["opening", "what", "what a person does"], [
            [_safe(o.id), f"[{'green' if o.id in made.allowed_openings else 'bold red'}]{_safe(o.text)}[/]",
             "allowed by name" if o.id in made.allowed_openings else f"edit the plan, or --allow-opening {_safe(o.id)}"]
            for o in made.openings
        ])  # fmt: skip
    _losses(made)
    say("")
    _table(["check", "outcome", "what"], [
        [_safe(c.name), f"[{STYLES[c.outcome]}]{MARKS[c.outcome]}[/]", _safe(c.text + (f" {c.remedy}" if c.remedy else ""))]
        for c in made.checks
    ])  # fmt: skip
    say("")
    seconds = made.estimate_seconds or 0
    say(f"{made.bytes_total / 2**20:.0f} MiB to move, about {seconds:.0f} s")


def _losses(made: Plan) -> None:
    """What goes with the source for good, a line a kind and field."""
    found: dict[str, list[str]] = {}
    for entry in made.entries:
        for one in entry.losses:
            found.setdefault(f"{entry.ref.partition(':')[0]}.{one.field}", []).append(one.why)
    if found:
        say("")
        say(
            "Lost for good with the source's own, which `close --source` therefore keeps unless you accept the loss by name:"
        )
        _table(["loss", "count", "why"], [[_safe(n), str(len(w)), _safe(w[0])] for n, w in sorted(found.items())])


def verdicts(found: Sequence[Verdict], *, everything: bool = False) -> None:
    """Everything that did not hold, then how many claims of which kind were judged."""
    rows = [
        [f"[{STYLES[v.outcome]}]{MARKS[v.outcome]}[/]", _safe(v.claim.kind), _safe(v.claim.text), _safe(v.reason)]
        for v in sorted(found, key=lambda v: (v.outcome is Outcome.NOT_SHOWN, v.outcome is Outcome.HELD))
        if everything or v.outcome is not Outcome.HELD
    ]
    if rows:
        _table(["outcome", "kind", "claim", "why"], rows)
        say("")
    allowed = [v for v in openings_among(found) if v.outcome is Outcome.HELD]
    if allowed:
        say("Open on the target and closed on the source, as somebody allowed by name:")
        _table(["what"], [[_safe(v.claim.text.partition(": ")[2])] for v in allowed])
        say("")
    counts = Counter((v.claim.kind, v.outcome) for v in found)
    _table(["claims of", "outcome", "count"], [
        [_safe(kind), f"[{STYLES[outcome]}]{MARKS[outcome]}[/]", str(n)] for (kind, outcome), n in sorted(counts.items())
    ])  # fmt: skip


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
        rows.append([_safe(state.run), _safe(state.source), _safe(state.target), _safe(status), _safe(folder.path)])
    _table(["drill", "source", "target", "state", "folder"], rows)


def moved(result: Any) -> None:
    """How a move ended."""
    say(f"{len(result.done)} steps done, {len(result.failed)} failed, {len(result.blocked)} waiting for them")


def closed(rest: Sequence[str], kept: Mapping[str, str]) -> None:
    """What remains after closing, and why."""
    say(f"{len(rest)} things remain" if rest else "nothing remains of the tenant's")
    _table(["thing", "why it was kept"], [[_safe(line), _safe(kept.get(line.partition(" ")[0], ""))] for line in rest])
