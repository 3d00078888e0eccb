# SPDX-License-Identifier: Apache-2.0
"""One expression against what is known of one group: the leaves of the three-valued evaluation. Pure.

`engine` walks rules and stacks and asks here. A leaf names the facts that decided it, or what is missing and where
to look. It knows no rule set and no stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from unterbau.catalogue import lifetime, spdx, versions
from unterbau.catalogue.model import (
    ClaimFact,
    DateFact,
    DecisionFact,
    DependencyFact,
    Fact,
    ForeignControlFact,
    ForeignLawFact,
    Layer,
    MaturityFact,
    OperatorFact,
    OrganisationFact,
    ParentFact,
    SeatFact,
    SupportFact,
    Technology,
)
from unterbau.judge import ownership
from unterbau.judge.judgement import KnownFact, Missing
from unterbau.judge.rule import OPEN, Asked, Chain, Claimed, Evidenced, FactTest, Measured, Supported
from unterbau.verdict import Outcome, conjoin
from unterbau.verdict.exhibit import ASPECTS, Exhibit, Showing

HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN
T = TypeVar("T")
MEASURE = "a git history: `unterbau judge --history TECHNOLOGY=FILE`"
BUNDLE = {
    "drill": "a drill's bundle: `unterbau judge --evidence BUNDLE --key ID`",
    "proof": "a bundle of `unterbau prove`: `unterbau judge --evidence BUNDLE --key ID`",
}
RUNS_IT = "whoever runs the stack"
MOST_NAMES = 6
"""So many names in a reason; the rest stands in the groups."""

LOOK = {
    "licence": "the LICENSE file at the tag of this version",
    "rights_holder": "the copyright notices and the contributor agreement",
    "steward": "the project's governance document",
    "parent": "the company register and the annual report of the rights holder or steward",
    "ultimate_parent": "the company register and the annual report of the owner",
    "seat": "the imprint; the company register",
    "foreign_law": "the seat of the provider and of its parent companies, and a lawyer",
    "foreign_control": "the governance document: who appoints, who can veto",
    "contributor_rule": "CONTRIBUTING and the bot of its pull requests",
    "end_of_life": "the release policy; endoflife.date",
    "end_of_active_support": "the release policy; endoflife.date",
    "end_of_extended_support": "the release policy; endoflife.date",
    "maturity": "the foundation's list of projects",
    "decision": "the body's own pages",
    "release": "the tags of the repository",
    "eu_support": "the vendors' pages; a contract",
    "eu_operator": "the operators' pages; your own operation, as a fact in stack.yaml",
    "sovereignty_claim": "the marketing pages",
    "depends_on": "the installation guide",
    "source_code": "the project's home page",
    "standard": "the documentation; a conformance test",
}


class Seen(NamedTuple):
    """What an expression gave, and on whose word."""

    outcome: Outcome
    reason: str
    facts: tuple[KnownFact, ...] = ()
    missing: tuple[Missing, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()


@dataclass(slots=True)
class View:
    """What is known of a group on the day: facts that hold, and facts that might but are not shown."""

    technology: Technology | None
    name: str
    version_known: bool
    layer: Layer | None
    claims: Mapping[str, bool]
    known: dict[str, list[KnownFact]] = field(default_factory=dict)
    unsure: dict[str, list[tuple[KnownFact, str]]] = field(default_factory=dict)
    memo: dict[int, Seen] = field(default_factory=dict)
    """Expressions that were evaluated already, by identity: rules share their definitions."""

    def dates(self, kind: str) -> list[tuple[date, KnownFact]]:
        """The days that known facts of a kind name."""
        return [(f.fact.value, f) for f in self.known.get(kind, ()) if isinstance(f.fact, DateFact)]

    def add(self, fact: KnownFact, inside: bool | None, at: date) -> None:
        """Take a fact in: `inside` says whether it holds for the version."""
        kind = fact.fact.kind
        if inside is False or (fact.fact.since is not None and fact.fact.since > at):
            return
        if at > fact.fact.expires:
            self.unsure.setdefault(kind, []).append((fact, f"the fact expired on {fact.fact.expires}"))
        elif inside is None:
            self.unsure.setdefault(kind, []).append((fact, f"it holds for versions {fact.fact.versions} only"))
        else:
            self.known.setdefault(kind, []).append(fact)


def see_supported(test: Supported, view: View, at: date) -> Seen:
    """Whether the version is maintained on the day."""
    known = view.dates("end_of_life")
    alive = {f.id: (d, f) for d, f in known if d >= at}
    over = [f for d, f in known if d < at]
    if alive and over and any(f.fact.source.data_set for _, f in known):
        told = "; ".join(sorted({f"{d}: {f.fact.source.data_set or f.fact.source.url}" for d, f in known}))
        return not_shown(
            view, "end_of_life", test.text, [(f, f"the sources contradict each other: {told}") for f in over]
        )
    if alive:
        last = max(d for d, _ in alive.values())
        return Seen(HELD, f"{test.text} (until {last})", tuple(f for _, f in alive.values()))
    unsure = view.unsure.get("end_of_life", [])
    if known and not unsure:
        last = max(d for d, _ in known)
        return Seen(FAILED, f"not: {test.text} (ended on {last})", tuple(f for _, f in known))
    return not_shown(view, "end_of_life", test.text, unsure)


def see_measured(test: Measured, found: tuple[float, str] | None) -> Seen:
    """A number against its bounds; `found` is the number and where it was measured."""
    text = test.text or test.measure
    if found is None:
        return Seen(NOT_SHOWN, f"not measured: {text}", (), (Missing(what=text, where=MEASURE, kind="measurement"),))
    number, where = found
    fits = (test.at_least is None or number >= test.at_least) and (test.below is None or number < test.below)
    return Seen(HELD if fits else FAILED, f"{'' if fits else 'not: '}{text} ({number:g}; {where})")


def see_evidence(test: Evidenced, given: Sequence[Exhibit], at: date) -> Seen:
    """One aspect against the bundles: of each pair of clouds the newest that counts; every source needs one target."""
    text = test.text or ASPECTS[test.evidence][test.shows]
    of_kind = tuple(e for e in given if e.kind in (test.evidence, None))
    idle = {e.digest: why for e in of_kind if (why := _counts_not(e, test, at))}
    newest = {e.clouds: e for e in sorted(of_kind, key=lambda e: str(e.seen)) if e.digest not in idle}
    if not newest:
        told = "; ".join(f"{e.name}: {idle[e.digest]}" for e in of_kind) or f"no bundle of a {test.evidence} was given"
        gap = Missing(what=text, where=BUNDLE[test.evidence], kind="evidence")
        return Seen(NOT_SHOWN, f"whether {text} ({told})", (), (gap,), of_kind)
    shown = {e.digest: _showing(e, test) for e in newest.values()}
    by_source: dict[str, list[Exhibit]] = {}
    for exhibit in newest.values():
        by_source.setdefault(exhibit.clouds[0], []).append(exhibit)
    outcome = conjoin(merged([shown[e.digest].outcome for e in es], every=False) for es in by_source.values())
    telling = tuple(e for e in newest.values() if shown[e.digest].outcome is outcome)
    reason = "; ".join(_told(e, shown[e.digest]) for e in telling[:MOST_NAMES])
    before = {HELD: "", FAILED: "not: ", NOT_SHOWN: "whether "}[outcome]
    missing = (Missing(what=text, where=BUNDLE[test.evidence], kind="evidence"),) if outcome is NOT_SHOWN else ()
    return Seen(outcome, f"{before}{text} ({reason})", (), missing, telling)


def counts_until(exhibit: Exhibit) -> date | None:
    """The last day on which a bundle counts."""
    if exhibit.seen is None or exhibit.kind is None:
        return None
    return exhibit.seen.date() + timedelta(days=lifetime.EVIDENCE[exhibit.kind][0])


def _counts_not(exhibit: Exhibit, test: Evidenced, at: date) -> str:
    """Why a bundle shows nothing of this; empty if it does."""
    until = counts_until(exhibit)
    if exhibit.fault or exhibit.seen is None or until is None:
        return exhibit.fault or "when it was seen is not told"
    if not exhibit.trusted:
        return f"whose key {exhibit.signer} is, is not shown; name the one you trust with --key"
    if exhibit.seen.date() > at:
        return f"it is of {exhibit.seen.date()}, after the day as of which is judged"
    if until < at:
        return f"it is of {exhibit.seen.date()}, and counted until {until}"
    if test.elsewhere and exhibit.one_machine:
        return f"{' to '.join(exhibit.clouds)}: all on one machine, which shows nothing about any provider"
    return ""


def _showing(exhibit: Exhibit, test: Evidenced) -> Showing:
    found = exhibit.shows.get(test.shows) or Showing(outcome=NOT_SHOWN, why="it says nothing of that")
    if test.at_most is not None and found.outcome is HELD:
        fits = NOT_SHOWN if found.number is None else HELD if found.number <= test.at_most else FAILED
        return found.model_copy(update={"outcome": fits})
    return found


def _told(exhibit: Exhibit, shown: Showing) -> str:
    """With its day, its clouds, its key and the limit that weighs most."""
    how = "rehearsal" if exhibit.rehearsal else str(exhibit.kind)
    here = ", all on one machine, which shows nothing about any provider" if exhibit.one_machine else ""
    day = exhibit.seen.date() if exhibit.seen else "an unknown day"
    return (
        f"{shown.why}; {how} of {day}, {' to '.join(exhibit.clouds)}{here}; key {exhibit.signer[:16]}, {exhibit.name}, "
        f"{exhibit.digest[:23]}"
    )


def see_fact(test: FactTest, view: View) -> Seen:
    """One kind of fact against what is asked of it."""
    known, unsure = view.known.get(test.fact, []), view.unsure.get(test.fact, [])
    text = test.text or _words(test)
    if not known and not unsure:
        if test.absent is not None:
            outcome = Outcome(test.absent)
            return Seen(outcome, f"{'' if outcome is HELD else 'not: '}{text} (none is known)")
        return not_shown(view, test.fact, text, unsure)
    fits = [(f, *_fits(test.where, f.fact)) for f in known]
    outcome = merged([o for _, o, _ in fits], every=test.every) if fits else NOT_SHOWN
    if unsure:
        others = [_fits(test.where, f.fact)[0] for f, _ in unsure]
        outcome = _with_unsure(outcome if fits else None, others, unsure, every=test.every)
        fits += [(f, *_fits(test.where, f.fact)) for f, _ in unsure] if outcome is not NOT_SHOWN else []
    elif outcome is FAILED and test.fact in OPEN and not test.every:
        outcome = Outcome(test.absent) if test.absent is not None else NOT_SHOWN
    if outcome is NOT_SHOWN:
        return not_shown(view, test.fact, text, unsure, tuple(f for f, _, _ in fits))
    decisive = [x for x in fits if x[1] is outcome] or fits
    told = "; ".join(dict.fromkeys(f"{tell(f.fact)}{note}" for f, _, note in decisive[:MOST_NAMES]))
    return Seen(outcome, f"{'' if outcome is HELD else 'not: '}{text} ({told})", tuple(f for f, _, _ in decisive))


def merged(outcomes: Sequence[Outcome], *, every: bool) -> Outcome:
    result = outcomes[0]
    for outcome in outcomes[1:]:
        result = result & outcome if every else result | outcome
    return result


def _with_unsure(
    known: Outcome | None, others: list[Outcome], unsure: Sequence[tuple[KnownFact, str]], *, every: bool
) -> Outcome:
    """Facts of which it is not known whether they hold: they count only if they cannot change anything."""
    deciding = FAILED if every else HELD
    if known is deciding:
        return known
    if known is not None:
        return known if all(o is known for o in others) else NOT_SHOWN
    by_version = all(why.startswith("it holds") for _, why in unsure)
    if by_version and len(set(others)) == 1 and versions.exhaustive([f.fact.versions for f, _ in unsure]):
        return others[0]
    return NOT_SHOWN


def _fits(where: Mapping[str, Asked], fact: Fact) -> tuple[Outcome, str]:
    """Whether one fact is as asked, and a note (which licence one has to choose)."""
    outcome, note = HELD, ""
    for name, asked in where.items():
        value = fact.value if name == "value" else getattr(fact.value, name, None)
        one, said = _field(asked, None if value is None else str(value), fact)
        outcome, note = outcome & one, note + said
    return outcome, note


def _field(asked: Asked, value: str | None, fact: Fact) -> tuple[Outcome, str]:
    if value is None:
        return NOT_SHOWN, ""
    if asked.osi is not None:
        outcome, choice = spdx.osi(value, identified=fact.confidence != "low")
        return (outcome if asked.osi else ~outcome), f", choosing {choice}" if choice else ""
    if asked.prefix is not None:
        return HELD if value.startswith(asked.prefix) else FAILED, ""
    if asked.not_in is not None:
        return FAILED if value in asked.not_in else HELD, ""
    return HELD if value in (asked.among or ()) else FAILED, ""


def not_shown(
    view: View, kind: str, text: str, unsure: Sequence[tuple[KnownFact, str]], facts: tuple[KnownFact, ...] = ()
) -> Seen:
    """Not shown: which fact is missing, and where to look."""
    if view.technology is None:
        why = "the part was not recognised"
        where = "name it in stack.yaml, or add it to the catalogue"
        gap = Missing(what=f"what {view.name} is", where=where, kind="recognition", of=view.name)
    elif unsure and not view.version_known and unsure[0][1].startswith("it holds"):
        why = "the version is not known, and facts differ by version"
        where = "the input: a tag, a package version"
        gap = Missing(what=f"the version of {view.name}", where=where, kind="version", of=view.name)
    elif unsure:
        why = unsure[0][1]
        where = unsure[0][0].fact.source.url
        gap = _gap(kind, view.name, where)
    else:
        why = f"nothing that shows it is known about {kind}" if facts else f"no fact about {kind}"
        gap = _gap(kind, view.name, LOOK.get(kind, view.technology.homepage))
    return Seen(NOT_SHOWN, f"whether {text} ({why})", (*facts, *(f for f, _ in unsure)), (gap,))


@lru_cache(maxsize=8192)
def _gap(kind: str, of: str, where: str) -> Missing:
    """The same gap of many groups is one thing."""
    return Missing(what=f"{kind} of {of}", where=where, kind=kind, of=of)


def see_chain(test: Chain, view: View) -> Seen:
    """An organisation and its owners up to the end."""
    text = test.text or f"{test.chain.replace('_', ' ')} and all owners"
    first, unsure = view.known.get(test.chain, []), view.unsure.get(test.chain, [])
    if not first and not unsure and test.absent is not None and view.technology is not None:
        outcome = Outcome(test.absent)
        return Seen(outcome, f"{'' if outcome is HELD else 'not: '}{text} (none is known)")
    if not first:
        return not_shown(view, test.chain, text, unsure)
    above = [f for kind in ownership.ABOVE for f in view.known.get(kind, ())]
    links, gaps = ownership.owners(first, above, view.known.get("seat", ()))
    fits = [(link, _link_fits(test.where, link)) for link in links]
    deciding = HELD if test.one else FAILED
    decided = [link for link, outcome in fits if outcome is deciding]
    if not decided and unsure:
        return not_shown(view, test.chain, text, unsure, tuple(link.fact for link in links))
    if not decided and gaps:
        return _unknown_owner(view, text, links, gaps)
    outcome = deciding if decided else ~deciding
    shown = tuple(decided or links)
    told = ", ".join(dict.fromkeys(f"{link.name} ({link.seat})" for link in shown))
    return Seen(outcome, f"{'' if outcome is HELD else 'not: '}{text} ({told})", tuple(link.fact for link in links))


def _link_fits(where: Mapping[Any, Asked], link: ownership.Link) -> Outcome:
    outcome = HELD
    for name, asked in where.items():
        outcome &= _field(asked, getattr(link, name), link.fact.fact)[0]
    return outcome


def _unknown_owner(view: View, text: str, links: Sequence[ownership.Link], gaps: Sequence[str]) -> Seen:
    """Not shown: whose owner is not known, or was known by a fact that has expired."""
    old = [f for kind in ownership.ABOVE for f, _ in view.unsure.get(kind, ())
           if isinstance(f.fact, ParentFact) and f.fact.value.of in gaps]  # fmt: skip
    why = f"; the fact expired on {old[0].fact.expires}" if old else ""
    missing = tuple(Missing(what=f"parent of {n}", where=LOOK["parent"], kind="parent", of=n) for n in gaps)
    facts = (*(link.fact for link in links), *old)
    return Seen(NOT_SHOWN, f"whether {text} (who owns {some_of(gaps)} is not known{why})", facts, missing)


def see_claimed(test: Claimed, view: View) -> Seen:
    text = test.text or f"claimed to be {test.claim}"
    value = view.claims.get(test.claim)
    if value is not None:
        return Seen(HELD if value else FAILED, text if value else f"not: {text}")
    if test.absent is not None:
        return Seen(Outcome(test.absent), f"{'' if test.absent == 'held' else 'not: '}{text} (nothing is claimed)")
    gap = Missing(what=text, where="`claims` in stack.yaml", kind="claim", of=view.name)
    return Seen(NOT_SHOWN, f"whether {text} (nothing is claimed)", (), (gap,))


def see_attribute(known: bool, value: bool, view: View, what: str, asked: str) -> Seen:
    """Layer, function or identity: known as soon as the part is recognised."""
    if not known:
        return not_shown(view, what, f"{what} {asked}", ())
    return Seen(HELD if value else FAILED, f"{'' if value else 'not: '}{what} {asked}")


def joined(seen: list[Seen], *, every: bool) -> Seen:
    outcome = merged([s.outcome for s in seen], every=every)
    decisive = [s for s in seen if s.outcome is outcome]
    if outcome is HELD and not every:
        decisive = decisive[:1]
    if len(decisive) == 1:
        return decisive[0]
    facts = tuple(f for s in decisive for f in s.facts)
    missing = tuple(m for s in decisive for m in s.missing)
    exhibits = tuple(e for s in decisive for e in s.exhibits)
    return Seen(outcome, "; ".join(dict.fromkeys(s.reason for s in decisive)), facts, missing, exhibits)


def once(values: tuple[T, ...]) -> tuple[T, ...]:
    """Each value once, in its order."""
    return values if len(values) < 2 else tuple(dict.fromkeys(values))


def since(seen: Seen) -> str:
    """From which versions, and from which day, the deciding facts are so."""
    if seen.outcome is NOT_SHOWN or not seen.facts:
        return ""
    ranges = [f"{f.fact.kind}: versions {f.fact.versions}" for f in seen.facts if f.fact.versions != "*"]
    days = [f"{f.fact.kind}: from {f.fact.since}" for f in seen.facts if f.fact.since is not None]
    return "; ".join(dict.fromkeys(ranges + days))


def listed(values: Iterable[Any]) -> str:
    return " or ".join(str(v) for v in values)


def some_of(names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    more = len(found) - MOST_NAMES
    return ", ".join(found[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _words(test: FactTest) -> str:
    asked = []
    for name, one in test.where.items():
        spelled = "" if name == "value" else f"{name} "
        if one.osi is not None:
            asked.append(f"{spelled}{'' if one.osi else 'not '}approved by the OSI")
        else:
            values = one.among or one.not_in or one.prefix or ()
            short = "in the EU" if len(values) > 25 else listed(values)
            asked.append(f"{spelled}{'not ' if one.not_in else ''}{short}")
    return " ".join([test.fact.replace("_", " "), *asked])


def tell(fact: Fact) -> str:
    """A fact's value in a few words."""
    match fact:
        case OrganisationFact(value=v):
            return f"{v.name} ({v.seat})"
        case ParentFact(value=p):
            return f"{p.name} ({p.seat}) owns {p.of}" if p.name != p.of else f"nobody owns {p.of} ({p.seat}) as a whole"
        case SeatFact(value=place):
            return f"{place.of} ({place.seat})"
        case MaturityFact(value=m):
            return f"{m.stage} by {m.by}"
        case DecisionFact(value=decision):
            return f"{decision.by}: {decision.what}"
        case ForeignLawFact(value=law):
            return f"{law.law} reaches {law.on}: {law.because}"
        case ForeignControlFact(value=c):
            return f"{c.who}: {c.how}"
        case SupportFact(value=s):
            return f"{s.vendor} ({s.seat})"
        case OperatorFact(value=o):
            return f"{o.operator} ({o.seat})"
        case DependencyFact(value=d):
            return f"{d.technology}: {d.why}"
        case ClaimFact(value=claim):
            return f"{claim.by}: {claim.says}"
        case _:
            return str(fact.value)
