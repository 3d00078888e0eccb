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
    CaseOutcome,
    CaseVerdict,
    Change,
    Level,
    Report,
    State,
    VersionVerdict,
    conjoin,
)

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
        note="; ".join(filter(None, (decision.note, case.note))),
    )


def _version(scope: Scope, name: str, cases: tuple[CaseVerdict, ...], day: date) -> VersionVerdict:
    version = scope.version(name)
    phase = version.phase(day)
    outcomes = [case.outcome for case in cases if name in case.versions and not case.manual]
    manual = [case.case for case in cases if name in case.versions and case.manual]
    notes = [version.note, f"to be shown by documents: {', '.join(manual)}" if manual else ""]
    if not outcomes:
        notes.append("no test cases are known to us")
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
        note="; ".join(filter(None, notes)),
    )


# -- what breaks next


def _coming(inventory: Inventory, scope: Scope, asked: tuple[str, ...], at: datetime, data: Catalogue) -> list[Change]:
    day = at.date()
    changes = [*_timeline(scope, day), *_drafts(inventory, scope, at, data)]
    changes += [*_releases(inventory, at, data), *_promises(inventory, day, data)]
    return sorted(changes, key=lambda change: (change.when is None, change.when or date.max, change.what))


def _timeline(scope: Scope, day: date) -> Iterable[Change]:
    for version in scope.versions:
        for phase in version.states:
            if phase.since > day:
                yield Change(when=phase.since, what=f"{scope.name} {version.version} becomes {phase.state.value}")


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
            what=f"{' and '.join(future)} (draft) will demand: {case.title}",
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
            what = f"{release.distro} {release.version} counts as the newest release: {case.title}"
            breaks = outcome is CaseOutcome.FAILED
            yield Change(when=release.required, what=what, case=case.id, outcome=outcome, breaks=breaks)


def _promises(inventory: Inventory, day: date, data: Catalogue) -> Iterable[Change]:
    """Until when the cloud's images must be replaced, and until when they are provided at all."""
    for image in visible(View(inventory=inventory, at=inventory.collected_at, case=_NOTHING, data=data)):
        deadline, until = due(image), parse_day(text(image, "provided_until"))
        name = text(image, "name")
        if deadline and deadline.date() > day:
            what = f"image {name} must have been replaced ({text(image, 'replace_frequency')}, and three days)"
            yield Change(when=deadline.date(), what=what, case="scs-0102-image-recency")
        if until and until > day:
            yield Change(when=until, what=f"image {name} is provided and updated until this day")


_NOTHING = Case(id="", title="", standard="")


def _notes(inventory: Inventory, scope: Scope, asked: tuple[str, ...], at: datetime, data: Catalogue) -> Iterable[str]:
    yield f"our data about the standards is of {data.seen}; what was decided later is not in it"
    if at.date() != inventory.collected_at.date():
        yield (
            f"the cloud was looked at on {inventory.collected_at:%Y-%m-%d}, the report is about {at:%Y-%m-%d}: it says "
            "what the standards make of the same cloud at that date"
        )
    for name in asked:
        for id in scope.version(name).standards:
            standard = data.standard(id)
            if standard.deprecated and standard.deprecated <= at.date():
                yield f"{name} names {id}, whose text is deprecated since {standard.deprecated}"
    privileged = sorted({"admin", "manager"} & set(inventory.subject.roles))
    if privileged:
        yield f"the account has the role {' and '.join(privileged)}: the reference suite would refuse to run with it"
