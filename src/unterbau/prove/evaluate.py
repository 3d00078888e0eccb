# SPDX-License-Identifier: Apache-2.0
"""`judge`: one inventory, one scope, one date -> the report. Pure: the date is an argument.

`cli` calls it after collecting, and again for `--from`; the verdicts are the same. It decides which versions are in
force at the date, asks `judges` for each of their test cases, and says what breaks next: what versions in draft will
demand, what the timeline brings, and until when the cloud's own promises run.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from unterbau.defaults import SCOPE
from unterbau.errors import UsageError
from unterbau.prove.data import Case, Catalogue, Scope, load, valid_until
from unterbau.prove.inventory import Inventory
from unterbau.prove.judges import decide
from unterbau.prove.judges.frame import View, text
from unterbau.prove.judges.scs_0102 import due, parse_day, visible
from unterbau.prove.verdicts import (
    STATES,
    CaseOutcome,
    CaseVerdict,
    Change,
    Level,
    Report,
    State,
    VersionVerdict,
    conjoin,
)
from unterbau.verdict import Reason, Words, joined

IN_FORCE = (State.EFFECTIVE, State.WARN)


def judge(
    inventory: Inventory,
    scope: str = SCOPE,
    version: str | None = None,
    *,
    at: datetime,
    data: Catalogue | None = None,
) -> Report:
    """The report on an inventory.

    Args:
        inventory: what was seen.
        scope: id of the scope.
        version: one version (`v5.1`, `next`, ...); `all`: every one that is not deprecated at the date; None: those
            in force at the date.
        at: the date that the report is about, with a time zone.
        data: other data than ours, for tests.

    Raises UsageError for an unknown scope or version, and for a scope about which we claim nothing (KaaS).
    """
    data = data or load()
    known = data.scope(scope)
    if not known.judged or inventory.subject.kind != "iaas":
        raise UsageError(
            f"{known.name} is not judged by this version of Unterbau", f"Ask for {SCOPE}, with an inventory of a cloud."
        )
    at = at.astimezone(UTC)
    asked = _asked(known, version, at.date())
    cases = tuple(_verdict(case, asked, inventory, at, data) for case in data.cases if _belongs(case, asked))
    return Report(
        scope=known.id,
        scope_name=known.name,
        scope_uuid=known.uuid,
        asked=version or "in force",
        at=at,
        inventory=inventory.digest(),
        data=data.seen.isoformat(),
        data_digest=data.digest(),
        versions=tuple(_version(known, name, cases, at.date()) for name in asked),
        cases=cases,
        coming=tuple(_coming(inventory, known, asked, at, data)),
        notes=tuple(_notes(inventory, known, asked, at, data)),
    )


def in_force(scope: Scope, day: date, states: Iterable[State] = IN_FORCE) -> tuple[str, ...]:
    """The versions that are in one of these states at the day, the newest last."""
    wanted = set(states)
    return tuple(v.version for v in scope.versions if (phase := v.phase(day)) and phase.state in wanted)


def _asked(scope: Scope, version: str | None, day: date) -> tuple[str, ...]:
    if version == "all":
        names = in_force(scope, day, (*IN_FORCE, State.DRAFT))
    elif version is None:
        names = in_force(scope, day)
    else:
        names = (scope.version(version).version,)
    if not names:
        raise UsageError(f"no version of {scope.name} is in force at {day}", "Name one with --version.")
    return names


def _belongs(case: Case, versions: tuple[str, ...]) -> bool:
    return bool(set(versions) & {*case.must, *case.should})


def _verdict(case: Case, asked: tuple[str, ...], inventory: Inventory, at: datetime, data: Catalogue) -> CaseVerdict:
    decision = decide(View(inventory=inventory, at=at, case=case, data=data))
    must = tuple(v for v in asked if v in case.must)
    return CaseVerdict(
        case=case.id,
        title=case.title,
        standard=case.standard,
        clause=data.clause(case),
        level=Level.MUST if must else Level.SHOULD,
        versions=must,
        recommended_by=tuple(v for v in asked if v in case.should),
        own=case.own,
        manual=case.manual,
        outcome=decision.outcome,
        reason=decision.reason,
        looked_at=decision.looked_at,
        findings=decision.findings,
        sections=case.needs,
        requests=tuple(dict.fromkeys(r for name in case.needs for r in inventory.section(name).requests)),
        reference=decision.reference,
        valid_until=valid_until(case.lifetime, inventory.collected_at.date()),
        note=joined([decision.note, case.note]),
    )


def _version(scope: Scope, name: str, cases: tuple[CaseVerdict, ...], day: date) -> VersionVerdict:
    version = scope.version(name)
    phase = version.phase(day)
    outcomes = [case.outcome for case in cases if name in case.versions and not case.manual]
    manual = [case.case for case in cases if name in case.versions and case.manual]
    notes: list[Words] = [version.note]
    if manual:
        notes.append(Reason.of("prove.version.documents", cases=manual))
    if not outcomes:
        notes.append(Reason.of("prove.version.no-cases"))
    return VersionVerdict(
        version=name,
        state=phase.state if phase else State.DRAFT,
        since=phase.since if phase else None,
        outcome=conjoin(outcomes),
        held=outcomes.count(CaseOutcome.HELD),
        failed=outcomes.count(CaseOutcome.FAILED),
        not_shown=outcomes.count(CaseOutcome.NOT_SHOWN),
        not_applicable=outcomes.count(CaseOutcome.NOT_APPLICABLE),
        advice=sum(name in case.recommended_by and case.outcome is CaseOutcome.FAILED for case in cases),
        source=version.source,
        note=joined(notes),
    )


# -- what breaks next


def _coming(inventory: Inventory, scope: Scope, asked: tuple[str, ...], at: datetime, data: Catalogue) -> list[Change]:
    day = at.date()
    changes = [*_timeline(scope, day), *_drafts(inventory, scope, at, data)]
    changes += [*_releases(inventory, at, data), *_promises(inventory, day, data)]
    return sorted(changes, key=lambda change: (change.when is None, change.when or date.max, str(change.what)))


def _timeline(scope: Scope, day: date) -> Iterable[Change]:
    for version in scope.versions:
        for phase in version.states:
            if phase.since > day:
                name = f"{scope.name} {version.version}"
                yield Change(
                    when=phase.since, what=Reason.of("prove.coming.state", version=name, state=STATES[phase.state])
                )


def _drafts(inventory: Inventory, scope: Scope, at: datetime, data: Catalogue) -> Iterable[Change]:
    """What versions in draft demand and those in force do not, as it ends on this inventory."""
    now = set(in_force(scope, at.date()))
    drafts = in_force(scope, at.date(), (State.DRAFT,))
    for case in data.cases:
        future = tuple(v for v in drafts if v in case.must)
        if not future or now & set(case.must) or case.manual:
            continue
        outcome = decide(View(inventory=inventory, at=at, case=case, data=data)).outcome
        yield Change(
            when=None,
            what=Reason.of("prove.coming.demand", versions=list(future), title=case.title),
            case=case.id,
            outcome=outcome,
            breaks=outcome is CaseOutcome.FAILED,
        )


def _releases(inventory: Inventory, at: datetime, data: Catalogue) -> Iterable[Change]:
    """Releases of distributions that scs-0104-v2 will count."""
    ids = {"ubuntu": "scs-0104-v2-ubuntu-lts", "debian": "scs-0104-v2-debian-stable"}
    for release in data.images_v2.releases:
        if release.required > at.date():
            then = datetime.combine(release.required, time(), tzinfo=UTC)
            case = data.case(ids[release.distro])
            outcome = decide(View(inventory=inventory, at=then, case=case, data=data)).outcome
            what = Reason.of("prove.coming.release", release=f"{release.distro} {release.version}", title=case.title)
            breaks = outcome is CaseOutcome.FAILED
            yield Change(when=release.required, what=what, case=case.id, outcome=outcome, breaks=breaks)


def _promises(inventory: Inventory, day: date, data: Catalogue) -> Iterable[Change]:
    """Until when the cloud's images must be replaced, and until when they are provided at all."""
    for image in visible(View(inventory=inventory, at=inventory.collected_at, case=_NOTHING, data=data)):
        deadline, until = due(image), parse_day(text(image, "provided_until"))
        name = text(image, "name")
        if deadline and deadline.date() > day:
            what = Reason.of("prove.coming.replaced", image=name, often=text(image, "replace_frequency"))
            yield Change(when=deadline.date(), what=what, case="scs-0102-image-recency")
        if until and until > day:
            yield Change(when=until, what=Reason.of("prove.coming.provided", image=name))


_NOTHING = Case(id="", title="", standard="")


def _notes(
    inventory: Inventory, scope: Scope, asked: tuple[str, ...], at: datetime, data: Catalogue
) -> Iterable[Words]:
    yield Reason.of("prove.note.data", day=str(data.seen))
    if at.date() != inventory.collected_at.date():
        yield Reason.of("prove.note.day", seen=f"{inventory.collected_at:%Y-%m-%d}", about=f"{at:%Y-%m-%d}")
    for name in asked:
        for id in scope.version(name).standards:
            standard = data.standard(id)
            if standard.deprecated and standard.deprecated <= at.date():
                yield Reason.of("prove.note.deprecated", version=name, text=id, since=str(standard.deprecated))
    privileged = sorted({"admin", "manager"} & set(inventory.subject.roles))
    if privileged:
        yield Reason.of("prove.note.privileged", roles=privileged)
