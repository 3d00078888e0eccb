# SPDX-License-Identifier: Apache-2.0
"""Choose a fate for every object of the source, from two censuses. Pure: no cloud, no clock, no file.

`drill` and the command `plan` call `make`; `dump` and `load` are the file that a person reads and edits.
Each resource chooses its own fate (`ResourceBase.fate`), and says why and what a person does. Two laws stand above
that: nothing that was closed is opened (what cannot be carried as it is stays shut and is named), and every
object has exactly one fate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from heapq import nlargest
from typing import TypeAlias

import yaml
from pydantic import ValidationError

from unterbau.defaults import DISKS_AT_ONCE
from unterbau.errors import PlanError, Refused, UsageError
from unterbau.switch import census
from unterbau.switch.helper import Helper
from unterbau.switch.plan import Plan, Prediction, losses, spoken
from unterbau.switch.planned_openings import of_plan
from unterbau.switch.probes.model import Probe
from unterbau.switch.probes.proposing import world
from unterbau.tenant.kinds import KINDS, Check, Entry, Fate, Ground, Ref, Resource, Side, kind_of
from unterbau.tenant.kinds.ground import external_by_name
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Outcome, Reason, Words, joined

READ_AT_ONCE = 8
"""How many volumes a move reads at the same time."""
SECONDS_A_STEP = 0.4
"""What creating one thing takes, roughly, with eight at a time."""
OPENINGS = "openings"
TOLD_AT_MOST = 5
"""The name of the check of what a plan opens."""


def make(
    source: Workload,
    target: Workload,
    *,
    run: str,
    now: datetime,
    rate_bytes_per_second: float | None = None,
    choices: Sequence[str] = (),
    allowed: Sequence[str] = (),
    probes: Sequence[Probe] = (),
) -> Plan:
    """The plan. `choices` are a person's (`external:NAME=NAME`), `allowed` ids of openings, `probes` what will be asked.

    Raises Refused if source and target are the same project of the same cloud; UsageError for a choice among
    things that are not there, and for an id that opens nothing.
    """
    a, b = source.identity, target.identity
    if (a.auth_url, a.project_id) == (b.auth_url, b.project_id):
        raise Refused(
            f"{a.name} and {b.name} are the same project ({a.project_id} at {a.auth_url})",
            "Name another cloud or project as the target.",
        )
    planner = _Planner(source, target, _chosen(choices, source, target))
    entries = planner.entries()
    total = sum(e.bytes for e in entries if e.fate.moves)
    moving = sum(1 + e.objects for e in entries if e.fate.moves and e.stands_in is None)
    rate = rate_bytes_per_second or 50e6
    plan = Plan(
        run=run,
        made_at=now,
        source=a,
        target=b,
        source_digest=census.digest(source),
        entries=entries,
        translate=dict(sorted(planner.ground.translate.items())),
        checks=planner.checks(entries),
        bytes_total=total,
        estimate_seconds=round(total / rate + moving * SECONDS_A_STEP, 1),
        choices=tuple(choices),
        probes=tuple(probes),
    )
    return judged(plan, source, target, allowed)


def judged(plan: Plan, source: Workload, target: Workload, allowed: Sequence[str] = ()) -> Plan:
    """The plan as it stands, whoever edited it, with its checks, what it opens and what of that is allowed.

    `allowed` are ids that a person allows now; those that stand in the plan stay as long as they open something.
    Raises UsageError for one of `allowed` that opens nothing, PlanError for changes that make no sense.
    """
    found = of_plan(plan, source, target)
    known = [o.id for o in found]
    for id_ in allowed:
        if id_ not in known:
            raise UsageError(
                f"the plan opens nothing that is called {id_}",
                f"What it opens: {', '.join(known)}." if known else "It opens nothing: leave the option out.",
            )
    words = tuple(id_ for id_ in known if id_ in (*plan.allowed_openings, *allowed))
    planner = _Planner(source, target, _chosen(plan.choices, source, target))
    return plan.model_copy(update={
        "openings": found, "allowed_openings": words,
        "checks": (*planner.checks(plan.entries), *planner.check_helpers(plan.entries, plan.helper), _check_openings(found, words),
                   *_check_time(plan.prediction)),
        "remarks": (*planner.remarks(), *_of_probes(plan, source), *_of_helpers(plan, source)),
    })  # fmt: skip


def _check_time(prediction: Prediction | None) -> Iterator[Check]:
    """What is predicted against the limit that a person named."""
    if prediction is None or prediction.limit_seconds is None:
        return
    limit, outcome = spoken(prediction.limit_seconds), prediction.outcome
    if not prediction.runs:
        text = Reason.of("check.time.unmeasured", limit=limit)
    elif prediction.unmeasured:
        text = Reason.of("check.time.partly", steps=[*prediction.unmeasured], limit=limit)
    else:
        text = _within(prediction, limit)
    mend = {Outcome.HELD: "", Outcome.FAILED: Reason.of("do.more-time"), Outcome.NOT_SHOWN: Reason.of("do.rehearse")}
    yield Check(name="time", outcome=outcome, text=text, remedy=mend[outcome])


def _within(prediction: Prediction, limit: str) -> Reason:
    """How long a measured move and its verification take, against the limit."""
    told, other = prediction.together, prediction.verification
    lower, upper = spoken(prediction.lower_seconds), spoken(prediction.upper_seconds)
    if other is None:
        return Reason.of("check.time", lower=lower, upper=upper, limit=limit)
    if not other.is_measured:
        if not other.runs:
            return Reason.of("check.time.unverified", lower=lower, upper=upper, limit=limit)
        return Reason.of("check.time.partly-verified", lower=lower, upper=upper, steps=[*other.unmeasured], limit=limit)
    return Reason.of(
        "check.time.together", lower=lower, upper=upper, least=spoken(other.lower_seconds), most=spoken(other.upper_seconds),
        all_least=spoken(told.lower_seconds), all_most=spoken(told.upper_seconds), limit=limit,
    )  # fmt: skip


def _check_openings(found: Sequence[Opening], allowed: Sequence[str]) -> Check:
    if not found:
        return Check(name=OPENINGS, outcome=Outcome.HELD, text=Reason.of("check.nothing-opens"))
    shut = [o for o in found if o.id not in allowed]
    if not shut:
        text = Reason.of("check.opens-allowed", ids=[o.id for o in found])
        return Check(name=OPENINGS, outcome=Outcome.HELD, text=text)
    told: list[Words] = [Reason.of("about", what=o.id, reason=o.text) for o in shut[:TOLD_AT_MOST]]
    told += [Reason.of("check.more", more=len(shut) - TOLD_AT_MOST)] if len(shut) > TOLD_AT_MOST else []
    return Check(name=OPENINGS, outcome=Outcome.FAILED, text=Reason.of("check.would-open", openings=joined(told)),
                 remedy=Reason.of("do.allow-opening"))  # fmt: skip


def _of_probes(plan: Plan, source: Workload) -> tuple[Words, ...]:
    """What will be asked of the application; or what is open to the world and will not be."""
    if plan.probes:
        return (Reason.of("plan.probes", count=len(plan.probes)),)
    unasked = len(world(source).open)
    return (Reason.of("plan.no-probes", count=unasked),) if unasked else ()


def _of_helpers(plan: Plan, source: Workload) -> Iterator[Words]:
    """What is made for a while on each side, and what it opens: a person let it be by `--helper`."""
    if plan.helper is None:
        return
    yield Reason.of("plan.helper.volumes", count=len(plan.by_blocks(source)))
    yield from plan.helper.remarks(plan.source.name, plan.target.name)


class Choice(Model):
    """What a person chose where names do not decide: the source's thing by its name or id, the target's by its id."""

    kind: str
    source: str
    target: str


def choice(text: str, source: Workload, target: Workload) -> Choice:
    """Read `external:NAME=NAME`; an id may stand for a name. Raises UsageError with the nearest that there is."""
    kind, colon, names = text.partition(":")
    if kind not in CHOICES or not colon or "=" not in names:
        kinds = ", ".join(CHOICES)
        raise UsageError(f"{text!r} is no choice", f"Write KIND:NAME=NAME, where KIND is one of: {kinds}.")
    ours, theirs = CHOICES[kind](source), CHOICES[kind](target)
    splits = [(names[:i], names[i + 1 :]) for i, c in enumerate(names) if c == "="]
    left = [(one, two) for one, two in splits if one in ours] or splits[:1]
    one, two = next((s for s in left if s[1] in theirs), left[0])
    for side, name, known in ((source, one, ours), (target, two, theirs)):
        if name not in known:
            raise UsageError(f"{text!r}: {side.identity.name} has no {kind} network {name!r}", _nearest(name, known))
    return Choice(kind=kind, source=one, target=theirs[two])


def _chosen(texts: Iterable[str], source: Workload, target: Workload) -> list[Choice]:
    """All choices. Raises UsageError if two contradict each other."""
    found: dict[tuple[str, str], Choice] = {}
    for text in texts:
        one = choice(text, source, target)
        if found.setdefault((one.kind, one.source), one) != one:
            raise UsageError(f"{text!r} contradicts another --map of the same thing", "Leave one of them out.")
    return list(found.values())


def _nearest(name: str, known: Mapping[str, str]) -> str:
    names = sorted(n for n in known if n != known[n]) or sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.4)
    return f"nearest: {', '.join(near)}" if near else f"There are: {', '.join(names) or 'none'}."


CHOICES: Mapping[str, Callable[[Side], dict[str, str]]] = {"external": external_by_name}
"""Kinds of things that a person may choose, and how they are called."""


class _Planner:
    """Asks each resource for its fate, and looks at what the whole needs."""

    def __init__(self, source: Workload, target: Workload, choices: Iterable[Choice] = ()) -> None:
        self.source, self.target = source, target
        self.ground = Ground(source, target, {(c.kind, c.source): c.target for c in choices})

    def entries(self) -> tuple[Entry, ...]:
        """One entry for each object; what needs something that is left is left too."""
        chosen = {r.ref: r.fate(self.ground) for r in self.source.resources}
        changed = True
        while changed:
            changed = False
            for reference, entry in chosen.items():
                lost = [n for n in entry.needs if n in chosen and not chosen[n].fate.moves]
                if entry.fate.moves and lost:
                    first = chosen[lost[0]]
                    hidden = first.fate is Fate.NOT_SHOWN
                    why = Reason.of(
                        "plan.needs-hidden" if hidden else "plan.needs-left", thing=first.ref, name=first.name,
                        why=first.why,
                    )  # fmt: skip
                    chosen[reference] = self.source.by_ref[reference].leave(why, first.remedy)
                    changed = True
        return tuple(self._announced(e) if e.fate.moves else e for e in chosen.values())

    def _announced(self, entry: Entry) -> Entry:
        """The entry with what would go with the source's object for good."""
        found = losses(entry, self.source.by_ref[entry.ref], self.source)
        return entry.model_copy(update={"losses": found}) if found else entry

    # --- checks

    def remarks(self) -> tuple[Words, ...]:
        """What a person should know of each kind."""
        return tuple(remark for kind in KINDS.values() for remark in kind.remarks(self.ground))

    def checks(self, entries: tuple[Entry, ...]) -> tuple[Check, ...]:
        """What was looked at before anything is written."""
        return (
            self._check_empty(),
            self._check_names(entries),
            *(check for kind in KINDS.values() for check in kind.checks(self.ground)),
            *self._check_quotas(entries),
            *self._check_features(entries),
            self._check_roles(),
            *(Check(name="not shown", outcome=Outcome.NOT_SHOWN, text=Reason.of("check.not-shown", side=Reason.of("side.source"), what=n.what, why=n.reason))
              for n in self.source.not_shown),
            *(Check(name="not shown", outcome=Outcome.NOT_SHOWN, text=Reason.of("check.not-shown", side=Reason.of("side.target"), what=n.what, why=n.reason))
              for n in self.target.not_shown),
        )  # fmt: skip

    def _check_empty(self) -> Check:
        rest = foreign_objects(self.target)
        if not rest:
            return Check(name="target is empty", outcome=Outcome.HELD, text=Reason.of("check.target-empty"))
        names = [f"{r.ref} ({r.name})" for r in rest[:TOLD_AT_MOST]]
        return Check(name="target is empty", outcome=Outcome.FAILED, text=Reason.of("check.target-holds", count=len(rest), things=names),
                     remedy=Reason.of("do.empty-project"))  # fmt: skip

    def _check_names(self, entries: tuple[Entry, ...]) -> Check:
        theirs = {(r.own_kind, r.name) for r in foreign_objects(self.target)}
        clash = [e.ref for e in entries if e.fate.moves and (kind_of(e.ref), e.name) in theirs and e.name]
        text = (
            Reason.of("check.names", count=len(clash), things=clash[:TOLD_AT_MOST])
            if clash
            else Reason.of("check.no-names")
        )
        outcome = Outcome.FAILED if clash else Outcome.HELD
        return Check(name="names", outcome=outcome, text=text, remedy=Reason.of("do.rename") if clash else "")

    def _check_quotas(self, entries: tuple[Entry, ...]) -> list[Check]:
        """Whether all fits, with the temporaries by which volumes are read on either side."""
        made, needed = self._made(entries)
        moving = [self.source.by_ref[e.ref] for e in entries if e.fate.moves]
        wished = [e.wish(self.source.by_ref[e.ref]) for e in entries if e.fate.moves]
        needed.update(_most(self.target, wished, DISKS_AT_ONCE))
        drawn = _together(_taken(self.target, r, r.brings()) for r in made)
        told = {(q.service, q.resource) for q in self.target.offering.quotas}
        concerned = sorted({*needed, *(drawn.keys() & told)})
        checks = [_quota(self.target, key, needed[key], "", drawn[key]) for key in concerned]
        there = sorted(_most(self.source, moving, READ_AT_ONCE).items())
        checks += [_quota(self.source, key, wanted, " of the source, for a while") for key, wanted in there]
        return [*checks, *_limits(self.target, made)]

    def _made(self, entries: tuple[Entry, ...]) -> tuple[list[Resource], Counter[tuple[str, str]]]:
        """What the move makes, and what that takes of each quota of the target."""
        made = [e.wish(self.source.by_ref[e.ref]) for e in entries if e.fate.moves and not e.stands_in]
        return made, _together(_taken(self.target, r, r.uses()) for r in made)

    def check_helpers(self, entries: tuple[Entry, ...], helper: Helper | None) -> Iterator[Check]:
        """Whether the guests of a cut-over fit, that of the target beside all that is made. Without them all goes whole: nothing fails."""
        if helper is None:
            return
        for side, here, before in (
            ("source", self.source, Counter[tuple[str, str]]()),
            ("target", self.target, self._made(entries)[1]),
        ):
            known = {(q.service, q.resource): q for q in here.offering.quotas}
            wanted = _together([tuple(helper.takes_of(side, here.offering.flavors))])
            free = {k: q.limit - q.used - before[k] for k, q in known.items() if k in wanted and q.limit >= 0}
            short = sorted(k[1] for k, count in wanted.items() if k in free and count > free[k])
            untold = sorted(k[1] for k in wanted.keys() - known.keys())
            text = Reason.of("check.helper.fits")
            if untold:
                text = Reason.of("check.helper.untold", cloud=here.identity.name, quotas=untold)
            if short:
                text = Reason.of("check.helper.short", quotas=short)
            outcome = Outcome.NOT_SHOWN if short or untold else Outcome.HELD
            remedy: Words = Reason.of("do.ask-for-more") if short else ""
            yield Check(name=f"helper guest of the {side}", outcome=outcome, text=text, remedy=remedy)

    def _check_features(self, entries: tuple[Entry, ...]) -> list[Check]:
        """What the tenant uses of optional API extensions, against what the target has."""
        has = set(self.target.offering.network_extensions)
        used: dict[str, list[Ref]] = {}
        for resource in (e.wish(self.source.by_ref[e.ref]) for e in entries if e.fate.moves):
            for extension in resource.extensions():
                used.setdefault(extension, []).append(resource.ref)
        checks = []
        for extension, users in sorted(used.items()):
            name, by = f"network extension {extension}", users[:3]
            if not has:
                checks.append(Check(name=name, outcome=Outcome.NOT_SHOWN, text=Reason.of("check.used-unknown", by=by)))
            elif extension in has:
                checks.append(Check(name=name, outcome=Outcome.HELD, text=Reason.of("check.used", by=by)))
            else:
                checks.append(Check(name=name, outcome=Outcome.FAILED, text=Reason.of("check.used-lacking", by=by),
                                    remedy=Reason.of("do.leave-or-ask")))  # fmt: skip
        return checks

    def _check_roles(self) -> Check:
        roles = self.target.identity.roles
        if {"member", "admin"} & set(roles):
            return Check(name="rights", outcome=Outcome.HELD, text=Reason.of("check.roles", roles=[*roles]))
        return Check(name="rights", outcome=Outcome.FAILED, text=Reason.of("check.roles", roles=[*roles]) if roles else Reason.of("check.no-roles"),
                     remedy=Reason.of("do.role-member"))  # fmt: skip


def _quota(side: Workload, key: tuple[str, str], wanted: int, suffix: str, drawn: int = 0) -> Check:
    """One quota against what is wanted of it. `drawn`: what the cloud may take of it besides, for itself."""
    quota = next((q for q in side.offering.quotas if (q.service, q.resource) == key), None)
    name = f"quota {key[1]}{suffix}"
    if quota is None:
        text = Reason.of("check.quota.unknown", wanted=wanted, cloud=side.identity.name)
        return Check(name=name, outcome=Outcome.NOT_SHOWN, text=text)
    if quota.limit >= 0 and quota.used + wanted > quota.limit:
        text = Reason.of("check.quota.short", wanted=wanted, free=quota.limit - quota.used, limit=quota.limit)
        return Check(name=name, outcome=Outcome.FAILED, text=text, remedy=Reason.of("do.ask-for-more"))
    if quota.limit >= 0 and quota.used + wanted + drawn > quota.limit:
        free = quota.limit - quota.used
        text = Reason.of("check.quota.tight", wanted=wanted, free=free, limit=quota.limit, drawn=drawn)
        return Check(name=name, outcome=Outcome.NOT_SHOWN, text=text, remedy=Reason.of("do.ask-for-more"))
    text = Reason.of("check.quota.free", wanted=wanted, free=quota.limit - quota.used)
    if quota.limit < 0:
        text = Reason.of("check.quota.unlimited", wanted=wanted)
    return Check(name=name, outcome=Outcome.HELD, text=text)


Amounts: TypeAlias = tuple[tuple[str, str, int], ...]
"""What something takes of quotas: (service, resource, how much)."""


def _taken(side: Workload, resource: Resource, amounts: Iterable[tuple[str, str, int]]) -> Amounts:
    """What it takes, also of the quotas of parts (of a volume type) that this side has set."""
    taken, known = tuple(amounts), {(q.service, q.resource) for q in side.offering.quotas}
    parts = {(s, r): part for s, r, part in resource.shares() if (s, part) in known}
    return (*taken, *((s, parts[s, r], count) for s, r, count in taken if (s, r) in parts))


def _most(side: Workload, resources: Iterable[Resource], at_once: int) -> Counter[tuple[str, str]]:
    """What the temporaries take of each quota at the most, so many of them at the same time."""
    each: dict[tuple[str, str], list[int]] = {}
    for resource in resources:
        for key, count in _together([_taken(side, resource, resource.passing())]).items():
            each.setdefault(key, []).append(count)
    return Counter({key: sum(nlargest(at_once, counts)) for key, counts in each.items()})


def _limits(side: Workload, resources: Iterable[Resource]) -> Iterator[Check]:
    """Limits of a single thing, where they are told, against the largest."""
    largest: dict[tuple[str, str], int] = {}
    for resource in resources:
        for service, name, count in resource.alone():
            largest[service, name] = max(count, largest.get((service, name), 0))
    known = {(q.service, q.resource): q for q in side.offering.quotas}
    for key, wanted in sorted(largest.items()):
        if key in known:
            yield _quota(side, key, wanted, "")


def _together(taken: Iterable[Amounts]) -> Counter[tuple[str, str]]:
    """What these take at the same time."""
    found: Counter[tuple[str, str]] = Counter()
    for service, name, count in (one for each in taken for one in each):
        found[service, name] += count
    return found


def foreign_objects(target: Workload) -> list[Resource]:
    """What stands in a project besides what every project has from birth, and what is the user's own."""
    return [r for r in target.resources if not r.from_birth(target) and not r.KNOWN.personal]


# --- the file

_HEADER = """\
# The plan of a move by Unterbau. Read it, change it if need be, then: unterbau move <this file>
#
# fate is one of: carried / "carried, changed" / left / not shown. To leave something here, set fate: left; then
# whatever needs it must be left too (move says what). A change under `changes` replaces a field on the target.
# Nothing is added to the target that does not stand here. What opens something that is closed on the source is
# found anew from the plan as it stands and refused, unless its id stands under allowed_openings.
# What is made carries a mark, a tag or metadata `unterbau`, that applications see; close RUN --marks takes it off.
"""


class _Dumper(yaml.CSafeDumper):
    """Text with characters that YAML takes for line breaks or controls is quoted, so that it survives."""


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(plan: Plan) -> str:
    """The plan as YAML for a person; empty fields are left out."""
    plain = plan.model_dump(mode="json")
    plain["entries"] = [
        {k: v for k, v in e.items() if k == "name" or v not in ("", [], None, 0)} for e in plain["entries"]
    ]
    for entry in plain["entries"]:
        for change in entry.get("changes", ()):
            if not change["chosen_by_target"]:
                del change["chosen_by_target"]
    body = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return f"{_HEADER}\n{body}"


def load(text: str) -> Plan:
    """The plan of a file. Raises PlanError with the line or the place."""
    try:
        plain = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        # libyaml names the line behind a last one that does not end
        line = min(error.problem_mark.line, text.count("\n")) + 1 if error.problem_mark else 1
        raise PlanError(f"plan, line {line}: {error.problem}", "Mend that line; the file is YAML.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PlanError(f"plan: {str(error)[:200]}", "Mend the file; it is not YAML.") from None
    try:
        return Plan.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(plain, first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PlanError(f"plan, {place}: {first['msg']}{more}", "Mend it, or make a new plan.") from None


def _place(plain: object, location: tuple[int | str, ...]) -> str:
    """`entries[3] (server:…).fate` instead of a bare path."""
    if isinstance(plain, dict) and len(location) > 1 and location[0] == "entries" and isinstance(location[1], int):
        entry = plain["entries"][location[1]]
        named = entry.get("ref", "?") if isinstance(entry, dict) else "?"
        return f"entry {location[1] + 1} ({named}) {'.'.join(map(str, location[2:]))}".rstrip()
    return ".".join(map(str, location)) or "the file"
