# SPDX-License-Identifier: Apache-2.0
"""The report of a drill: one HTML file without any external resource, in German and English. `drill` calls it.

It is rendered from a checked bundle, so what it shows was recomputed. It decides nothing: verdicts first (and
what today's judgings say otherwise), then what was lost or changed, both sides as drawings, the timeline, what was not shown, what was not tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from unterbau import pages
from unterbau.face import printable
from unterbau.switch.evidence import Bundle, CheckResult
from unterbau.switch.plan import spoken
from unterbau.switch.probes.judging import sentence
from unterbau.switch.probes.model import guest_of
from unterbau.switch.probes.outage import boot_seconds
from unterbau.switch.probes.outage import sentence as away
from unterbau.switch.report import todo
from unterbau.switch.report.drawing import outage_bars, timeline, topology
from unterbau.switch.report.ending import is_loss, is_opening
from unterbau.switch.verify import LOSSES, OPENINGS, PROBES
from unterbau.tenant.kinds import Attachment, Entry, Fate, FloatingIp, Port, Ref, Server, Volume
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Reason, Verdict

KINDS_DE = {
    "structure": "Aufbau", "content": "Inhalt", "completeness": "Vollständigkeit", "coverage": "Abdeckung",
    "opening": "Öffnung", "loss": "Verlust", "service": "Dienst",
}  # fmt: skip
_LATER = {"opening": OPENINGS, "loss": LOSSES, "service": PROBES}
"""Kinds of claims that older bundles have not -> the judging that brought them."""


PHASES = {
    "census": Reason.of("phase.census"), "plan": Reason.of("phase.plan"), "move": Reason.of("phase.move"),
    "verify": Reason.of("phase.verify"), "close": Reason.of("phase.close"), "seal": Reason.of("phase.seal"),
    "report": Reason.of("phase.report"),
}  # fmt: skip
"""What the phases of a drill are called."""


def render(checked: CheckResult, digest: str, language: str = "en") -> str:
    """The report as text. `digest` is that of the bundle's file. `language`: `de` or `en` first."""
    bundle = checked.bundle
    entries = [e for e in bundle.plan.entries if e.fate is not Fate.CARRIED]
    counts = Counter((v.claim.kind, v.outcome) for v in checked.verdicts)
    environment = pages.environment("unterbau.switch.report")
    environment.globals["words"] = outcome_words
    environment.filters["both"] = pages.said
    environment.globals["spoken"] = spoken
    environment.globals["phase"] = lambda name: pages.said(PHASES.get(name) or name)
    template = environment.get_template("report.html.j2")
    return template.render(
        language=language,
        checked=checked,
        bundle=bundle,
        kinds=[
            (k, KINDS_DE[k], {o: counts[k, o] for o in Outcome})
            for k in KINDS_DE
            if k not in _LATER or _LATER[k] in bundle.verification.judging
        ],
        outcomes=list(Outcome),
        failed=[v for v in checked.verdicts if v.outcome is Outcome.FAILED],
        today=_today(checked),
        unseen=[v for v in checked.verdicts if v.outcome is Outcome.NOT_SHOWN and v.claim.kind != "loss"],
        losses=[v for v in checked.verdicts if v.claim.kind == "loss"],
        first=_first(checked),
        service=sentence((*checked.verdicts, *checked.today)),
        outage=_outage(bundle),
        do=lambda verdict: todo.of_verdict(verdict, bundle.plan),
        do_entry=todo.of_entry,
        changed=[e for e in entries if e.fate is Fate.CHANGED],
        left=[e for e in entries if not e.fate.moves],
        carried=sum(e.fate.moves for e in bundle.plan.entries),
        drawings=_drawings(checked, entries),
        timeline=timeline(
            bundle.journal,
            {r.ref: f"{r.own_kind.value} {r.name}".strip() for r in bundle.source.resources},
            "Schritte des Umzugs / steps of the move",
        ),
        openings=[v for v in checked.verdicts if is_opening(v)],
        judged_openings=OPENINGS in bundle.verification.judging,
        called=_called(checked),
        servers=_servers,
        digest=digest.removeprefix("sha256:"),
        seconds=lambda phase: f"{(phase.ended - phase.started).total_seconds():.1f}",
        remainder=_remainder(bundle.closed),
    )


def _outage(bundle: Bundle) -> dict[str, Any] | None:
    """How long nobody answered, in a sentence and as bars; what of it the target's guests took to boot."""
    seen = bundle.outage
    if seen is None:
        return None
    rows: Sequence[Mapping[str, Any]] = bundle.journal
    up = {
        row["event"]["node"]: datetime.fromisoformat(str(row["at"]))
        for row in rows if row["event"]["kind"] == "done"
    }  # fmt: skip
    guests = {p.id: guest_of(bundle.source, p.at) for p in bundle.plan.probes}
    boot = boot_seconds(seen, {probe: up[guest] for probe, guest in guests.items() if guest in up})
    return {"sentence": away(seen), "boot": boot, "drawing": outage_bars(seen)}


def _today(checked: CheckResult) -> list[tuple[Verdict, Outcome | None]]:
    """What this version judges otherwise, the worst first, with the outcome by the bundle's own judging."""
    before = {v.claim.id: v.outcome for v in checked.verdicts}
    order = (Outcome.FAILED, Outcome.NOT_SHOWN, Outcome.HELD)
    return [(v, before.get(v.claim.id)) for v in sorted(checked.today, key=lambda v: order.index(v.outcome))]


def _first(checked: CheckResult) -> Markup:
    """One sentence for somebody who reads no other: whether it can be moved, what arrived, what does not come along."""
    bundle = checked.bundle
    all_, moved = len(bundle.plan.entries), sum(e.fate.moves for e in bundle.plan.entries)
    told = (*checked.verdicts, *checked.today)
    failed = sum(v.outcome is Outcome.FAILED for v in told)
    lost = sum(v.claim.kind == "loss" for v in told)
    unseen = sum(v.outcome is Outcome.NOT_SHOWN and not is_loss(v) for v in told)
    day, rehearsal = bundle.context.sealed, bundle.context.rehearsal
    source, target, name = (
        printable(i) for i in (bundle.source.identity.name, bundle.target.identity.name, bundle.source.identity.project_name)
    )  # fmt: skip
    de_how = f"In der Probe vom {day:%d.%m.%Y}" if rehearsal else f"Beim Umzug vom {day:%d.%m.%Y}"
    en_how = f"In the rehearsal of {day:%Y-%m-%d}" if rehearsal else f"In the move of {day:%Y-%m-%d}"
    if checked.outcome is Outcome.FAILED:
        return pages.both(
            f"Das Projekt „{name}“ lässt sich so noch nicht von {source} nach {target} umziehen: {de_how} "
            f"{_counted(failed, 'schlug eine Prüfung', 'schlugen {} Prüfungen')} fehl; was zu tun ist, steht unten.",
            f"The project “{name}” cannot be moved from {source} to {target} like this yet: {_small(en_how)} "
            f"{_counted(failed, 'one check', '{} checks')} failed; what to do stands below.",
        )  # fmt: skip
    de_rest = [_counted(all_ - moved, "ein Teil bleibt zurück", "{} Teile bleiben zurück"),
               _counted(lost, "eine Einzelheit geht verloren", "{} Einzelheiten gehen verloren"),
               _counted(unseen, "ein Punkt ließ sich nicht prüfen", "{} Punkte ließen sich nicht prüfen")]  # fmt: skip
    en_rest = [_counted(all_ - moved, "one part stays behind", "{} parts stay behind"),
               _counted(lost, "one detail is lost", "{} details are lost"),
               _counted(unseen, "one point could not be checked", "{} points could not be checked")]  # fmt: skip
    de_parts = f"{all_} Teile" if moved == all_ else f"{moved} von {all_} Teilen"
    en_parts = f"all {all_} parts" if moved == all_ else f"{moved} of {all_} parts"
    de_so = "" if checked.outcome is Outcome.HELD else ", soweit es sich prüfen ließ"
    en_so = "" if checked.outcome is Outcome.HELD else ", as far as it could be checked"
    return pages.both(
        f"Das Projekt „{name}“ lässt sich von {source} nach {target} umziehen{de_so}: {de_how} kamen "
        f"{'alle ' if moved == all_ else ''}{de_parts} (Server, Netze, Daten) an, und nichts schlug fehl{_tail(de_rest)}.",
        f"The project “{name}” can be moved from {source} to {target}{en_so}: {_small(en_how)} "
        f"{en_parts} (servers, networks, data) arrived and nothing failed{_tail(en_rest)}.",
    )  # fmt: skip


def _counted(count: int, one: str, many: str) -> str:
    """The words for a count; "" for none."""
    return "" if not count else one if count == 1 else many.format(count)


def _tail(rest: list[str]) -> str:
    told = [one for one in rest if one]
    return f"; {', '.join(told)}" if told else ""


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _drawings(checked: CheckResult, entries: list[Entry]) -> list[tuple[str, str, Markup, Workload]]:
    bundle = checked.bundle
    marks: dict[Ref, str] = {e.ref: "left" if not e.fate.moves else "changed" for e in entries}
    marks |= {v.claim.subject: "failed" for v in checked.verdicts if v.outcome is Outcome.FAILED}
    seen = bundle.verification
    there = {other: marks[own] for own, other in _counterparts(checked).items() if own in marks}
    return [
        ("Quelle", "Source", topology(seen.source, marks, "source"), seen.source),
        ("Ziel", "Target", topology(seen.target, there, "target"), seen.target),
    ]


def _counterparts(checked: CheckResult) -> dict[Ref, Ref]:
    """Objects of the source -> those of the target with which they were compared."""
    target = checked.bundle.verification.target
    start = f"target: {target.identity.name} "
    pairs = ((v.claim.subject, v.evidence[1].source.where.removeprefix(start))
             for v in checked.verdicts if v.claim.kind == "structure" and len(v.evidence) == 2)  # fmt: skip
    return {own: other for own, other in pairs if other in target.by_ref}


def _called(checked: CheckResult) -> dict[Ref, str]:
    """What a person calls an object that is not carried as it is: its name, or its address before and after."""
    source, target, pairs = checked.bundle.source, checked.bundle.verification.target, _counterparts(checked)
    names = {}
    for entry in checked.bundle.plan.entries:
        own, other = source.by_ref[entry.ref], target.by_ref.get(pairs.get(entry.ref, ""))
        name = entry.name
        if isinstance(own, FloatingIp):
            name = own.address + (f" → {other.address}" if isinstance(other, FloatingIp) else "")
        names[entry.ref] = name or entry.ref
    return names


def _servers(workload: Workload) -> list[tuple[str, str, str, str]]:
    """Name, flavor and state, addresses, volumes of each server: the drawing in words."""
    rows = []
    for server in workload.of(Server):
        ports = [p for p in workload.of(Port) if p.id in server.port_ids]
        addresses = [ip.ip_address for p in ports for ip in p.fixed_ips]
        addresses += [f.address for f in workload.of(FloatingIp) if f.port_id in server.port_ids]
        own = [a.volume_id for a in workload.of(Attachment) if a.server_id == server.id]
        volumes = [f"{v.name} {v.size_gib} GiB" for v in workload.of(Volume) if v.id in own]
        rows.append((server.name, f"{server.flavor.name} {server.status}", ", ".join(addresses), ", ".join(volumes)))
    return rows


def _remainder(closed: Workload | None) -> list[str] | None:
    """What the target still holds after the clean-up; None if it was kept."""
    if closed is None:
        return None
    return [printable(f"{r.ref} {r.name}") for r in closed.resources if r.marker is not None]


def outcome_words(outcome: Outcome) -> tuple[str, str]:
    """German and English."""
    words: dict[Outcome, tuple[str, str]] = {
        Outcome.HELD: ("gehalten", "held"),
        Outcome.FAILED: ("nicht gehalten", "failed"),
        Outcome.NOT_SHOWN: ("nicht gezeigt", "not shown"),
    }
    return words[outcome]
