# SPDX-License-Identifier: Apache-2.0
"""One expression against what is known of one group: the leaves of the three-valued evaluation. Pure.

`engine` walks rules and stacks and asks here. A leaf names the facts that decided it, or what is missing and where
to look. It knows no rule set and no stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from unterbau.judge.kinds import LOOK, kind_words
from unterbau.judge.rule import OPEN, Asked, Chain, Claimed, Evidenced, FactTest, Measured, Supported
from unterbau.verdict import Outcome, Reason, Words, conjoin
from unterbau.verdict import joined as after_another
from unterbau.verdict.exhibit import ASPECTS, Exhibit, Showing

HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN
T = TypeVar("T")
BUNDLE = {"drill": Reason.of("judge.look.drill"), "proof": Reason.of("judge.look.proof")}
MOST_NAMES = 6
"""So many names in a reason; the rest stands in the groups."""


class Seen(NamedTuple):
    """What an expression gave, and on whose word."""

    outcome: Outcome
    reason: Words
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
    unsure: dict[str, list[tuple[KnownFact, Reason]]] = field(default_factory=dict)
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
            self.unsure.setdefault(kind, []).append((fact, _expired(str(fact.fact.expires))))
        elif inside is None:
            self.unsure.setdefault(kind, []).append((fact, _only(fact.fact.versions)))
        else:
            self.known.setdefault(kind, []).append(fact)


def see_supported(test: Supported, view: View, at: date) -> Seen:
    """Whether the version is maintained on the day."""
    known = view.dates("end_of_life")
    alive = {f.id: (d, f) for d, f in known if d >= at}
    over = [f for d, f in known if d < at]
    if alive and over and any(f.fact.source.data_set for _, f in known):
        told = sorted({f"{d}: {f.fact.source.data_set or f.fact.source.url}" for d, f in known})
        why = Reason.of("judge.contradiction", told=after_another(told))
        return not_shown(view, "end_of_life", test.text, [(f, why) for f in over])
    if alive:
        last = max(d for d, _ in alive.values())
        return Seen(HELD, _so(test.text, Reason.of("judge.until", day=str(last))), tuple(f for _, f in alive.values()))
    unsure = view.unsure.get("end_of_life", [])
    if known and not unsure:
        last = max(d for d, _ in known)
        return Seen(FAILED, _not(test.text, Reason.of("judge.ended", day=str(last))), tuple(f for _, f in known))
    return not_shown(view, "end_of_life", test.text, unsure)


def see_measured(test: Measured, found: tuple[float, str] | None) -> Seen:
    """A number against its bounds; `found` is the number and where it was measured."""
    text = test.text or test.measure
    if found is None:
        return Seen(
            NOT_SHOWN,
            Reason.of("judge.not-measured", what=text),
            (),
            (Missing(what=text, where=LOOK["measurement"], kind="measurement"),),
        )
    number, where = found
    fits = (test.at_least is None or number >= test.at_least) and (test.below is None or number < test.below)
    return _either(fits, text, Reason.of("judge.measured", number=f"{number:g}", where=where))


def see_evidence(test: Evidenced, given: Sequence[Exhibit], at: date) -> Seen:
    """One aspect against the bundles: of each pair of clouds the newest that counts; every source needs one target."""
    text = test.text or ASPECTS[test.evidence][test.shows]
    of_kind = tuple(e for e in given if e.kind in (test.evidence, None))
    idle = {e.digest: why for e in of_kind if (why := _counts_not(e, test, at))}
    newest = {e.clouds: e for e in sorted(of_kind, key=lambda e: str(e.seen)) if e.digest not in idle}
    if not newest:
        idlers = after_another(Reason.of("about", what=e.name, reason=idle[e.digest]) for e in of_kind)
        told = idlers or Reason.of("judge.no-drill" if test.evidence == "drill" else "judge.no-proof")
        gap = Missing(what=text, where=BUNDLE[test.evidence], kind="evidence")
        return Seen(NOT_SHOWN, _whether(text, told), (), (gap,), of_kind)
    shown = {e.digest: _showing(e, test) for e in newest.values()}
    by_source: dict[str, list[Exhibit]] = {}
    for exhibit in newest.values():
        by_source.setdefault(exhibit.clouds[0], []).append(exhibit)
    outcome = conjoin(merged([shown[e.digest].outcome for e in es], every=False) for es in by_source.values())
    telling = tuple(e for e in newest.values() if shown[e.digest].outcome is outcome)
    reason = after_another(_told(e, shown[e.digest]) for e in telling[:MOST_NAMES])
    say = {HELD: _so, FAILED: _not, NOT_SHOWN: _whether}[outcome]
    missing = (Missing(what=text, where=BUNDLE[test.evidence], kind="evidence"),) if outcome is NOT_SHOWN else ()
    return Seen(outcome, say(text, reason), (), missing, telling)


def counts_until(exhibit: Exhibit) -> date | None:
    """The last day on which a bundle counts."""
    if exhibit.seen is None or exhibit.kind is None:
        return None
    return exhibit.seen.date() + timedelta(days=lifetime.EVIDENCE[exhibit.kind][0])


def _counts_not(exhibit: Exhibit, test: Evidenced, at: date) -> Words:
    """Why a bundle shows nothing of this; empty if it does."""
    until = counts_until(exhibit)
    if exhibit.fault or exhibit.seen is None or until is None:
        return exhibit.fault or Reason.of("judge.bundle.undated")
    if not exhibit.trusted:
        return Reason.of("judge.bundle.untrusted", key=exhibit.signer)
    if exhibit.seen.date() > at:
        return Reason.of("judge.bundle.early", day=str(exhibit.seen.date()))
    if until < at:
        return Reason.of("judge.bundle.late", day=str(exhibit.seen.date()), until=str(until))
    if test.elsewhere and exhibit.one_machine:
        return Reason.of("judge.bundle.one-machine", clouds=_way(exhibit))
    return ""


def _showing(exhibit: Exhibit, test: Evidenced) -> Showing:
    found = exhibit.shows.get(test.shows) or Showing(outcome=NOT_SHOWN, why=Reason.of("judge.bundle.silent"))
    if test.at_most is not None and found.outcome is HELD:
        fits = NOT_SHOWN if found.number is None else HELD if found.number <= test.at_most else FAILED
        return found.model_copy(update={"outcome": fits})
    return found


def _told(exhibit: Exhibit, shown: Showing) -> Reason:
    """With its day, its clouds, its key and the limit that weighs most."""
    clouds = _way(exhibit)
    return Reason.of(
        "judge.bundle.told", why=shown.why, how=kind_of(exhibit), day=str(exhibit.seen.date() if exhibit.seen else "?"),
        clouds=Reason.of("judge.bundle.one-machine", clouds=clouds) if exhibit.one_machine else clouds,
        key=exhibit.signer[:16], name=exhibit.name, digest=exhibit.digest[:23],
    )  # fmt: skip


def kind_of(exhibit: Exhibit) -> Reason:
    """What it is a bundle of."""
    if exhibit.rehearsal:
        return Reason.of("judge.bundle.rehearsal")
    return Reason.of("judge.bundle.proof" if exhibit.kind == "proof" else "judge.bundle.drill")


def _way(exhibit: Exhibit) -> str | Reason:
    match exhibit.clouds:
        case (source, target):
            return Reason.of("judge.bundle.way", source=source, target=target)
    return ", ".join(exhibit.clouds)


def see_fact(test: FactTest, view: View) -> Seen:
    """One kind of fact against what is asked of it."""
    known, unsure = view.known.get(test.fact, []), view.unsure.get(test.fact, [])
    text = test.text or _words(test)
    if not known and not unsure:
        if test.absent is not None:
            outcome = Outcome(test.absent)
            return Seen(outcome, _by(outcome)(text, _NONE))
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
    told = after_another(_chosen(tell(f.fact), choice) for f, _, choice in decisive[:MOST_NAMES])
    return Seen(outcome, _by(outcome)(text, told), tuple(f for f, _, _ in decisive))


def merged(outcomes: Sequence[Outcome], *, every: bool) -> Outcome:
    result = outcomes[0]
    for outcome in outcomes[1:]:
        result = result & outcome if every else result | outcome
    return result


def _with_unsure(
    known: Outcome | None, others: list[Outcome], unsure: Sequence[tuple[KnownFact, Reason]], *, every: bool
) -> Outcome:
    """Facts of which it is not known whether they hold: they count only if they cannot change anything."""
    deciding = FAILED if every else HELD
    if known is deciding:
        return known
    if known is not None:
        return known if all(o is known for o in others) else NOT_SHOWN
    by_version = all(is_by_version(why) for _, why in unsure)
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
        return (outcome if asked.osi else ~outcome), choice or ""
    if asked.prefix is not None:
        return HELD if value.startswith(asked.prefix) else FAILED, ""
    if asked.not_in is not None:
        return FAILED if value in asked.not_in else HELD, ""
    return HELD if value in (asked.among or ()) else FAILED, ""


def not_shown(
    view: View, kind: str, text: Words, unsure: Sequence[tuple[KnownFact, Reason]], facts: tuple[KnownFact, ...] = ()
) -> Seen:
    """Not shown: which fact is missing, and where to look."""
    if view.technology is None:
        why, gap = _STRANGER, _gap("recognition", view.name)
    elif unsure and not view.version_known and is_by_version(unsure[0][1]):
        why, gap = _VERSIONLESS, _gap("version", view.name)
    elif unsure:
        why = unsure[0][1]
        gap = _gap(kind, view.name, unsure[0][0].fact.source.url)
    else:
        why = _no_fact(kind, bool(facts))
        gap = _gap(kind, view.name, "" if kind in LOOK else view.technology.homepage)
    return Seen(NOT_SHOWN, _whether(text, why), (*facts, *(f for f, _ in unsure)), (gap,))


@lru_cache(maxsize=8192)
def _gap(kind: str, of: str, url: str = "") -> Missing:
    """The same gap of many groups is one thing. Without a URL one looks where such things stand (`LOOK`)."""
    what = _WHAT.get(kind)
    return Missing(
        what=what(of) if what else Reason.of("judge.gap.fact", kind=kind, of=of),
        where=url or LOOK.get(kind, ""),
        kind=kind,
        of=of,
    )


_WHAT: Mapping[str, Callable[[str], Reason]] = {
    "recognition": lambda of: Reason.of("judge.gap.recognition", of=of),
    "version": lambda of: Reason.of("judge.gap.version", of=of),
}


# --- the frame of a reason: of many groups the same, so each is made once


@lru_cache(maxsize=8192)
def _so(text: Words, why: Words) -> Reason:
    return Reason.of("judge.so", text=text, why=why)


@lru_cache(maxsize=8192)
def _not(text: Words, why: Words) -> Reason:
    return Reason.of("judge.not", text=text, why=why)


@lru_cache(maxsize=8192)
def _whether(text: Words, why: Words) -> Reason:
    return Reason.of("judge.whether", text=text, why=why)


def _by(outcome: Outcome) -> Callable[[Words, Words], Reason]:
    return _so if outcome is HELD else _not


def _either(held: bool, text: Words, why: Words) -> Seen:
    return Seen(HELD, _so(text, why)) if held else Seen(FAILED, _not(text, why))


def bare(held: bool, text: Words) -> Words:
    """What is asked, or that it is not so, where there is no more to say."""
    return text if held else Reason.of("judge.not-so", text=text)


_NONE = Reason.of("judge.none-known")
_STRANGER = Reason.of("judge.not-recognised")
_VERSIONLESS = Reason.of("judge.version-not-known")


def is_by_version(why: Reason) -> bool:
    """Whether a fact is not shown because it holds for some versions only."""
    return why.id == "judge.versions-only"


@lru_cache(maxsize=8192)
def _only(versions_: str) -> Reason:
    return Reason.of("judge.versions-only", versions=versions_)


@lru_cache(maxsize=8192)
def _expired(day: str) -> Reason:
    return Reason.of("judge.expired", day=day)


@lru_cache(maxsize=8192)
def _no_fact(kind: str, others: bool) -> Reason:
    return Reason.of("judge.nothing-shows-it" if others else "judge.no-fact", kind=kind)


def _chosen(told: Words, choice: str) -> Words:
    return Reason.of("judge.choosing", told=told, choice=choice) if choice else told


def see_chain(test: Chain, view: View) -> Seen:
    """An organisation and its owners up to the end."""
    text = test.text or Reason.of("judge.chain", first=kind_words(test.chain))
    first, unsure = view.known.get(test.chain, []), view.unsure.get(test.chain, [])
    if not first and not unsure and test.absent is not None and view.technology is not None:
        outcome = Outcome(test.absent)
        return Seen(outcome, _by(outcome)(text, _NONE))
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
    return Seen(outcome, _by(outcome)(text, told), tuple(link.fact for link in links))


def _link_fits(where: Mapping[Any, Asked], link: ownership.Link) -> Outcome:
    outcome = HELD
    for name, asked in where.items():
        outcome &= _field(asked, getattr(link, name), link.fact.fact)[0]
    return outcome


def _unknown_owner(view: View, text: Words, links: Sequence[ownership.Link], gaps: Sequence[str]) -> Seen:
    """Not shown: whose owner is not known, or was known by a fact that has expired."""
    old = [f for kind in ownership.ABOVE for f, _ in view.unsure.get(kind, ())
           if isinstance(f.fact, ParentFact) and f.fact.value.of in gaps]  # fmt: skip
    unknown = Reason.of("judge.owner-not-known", of=some_of(gaps))
    why = after_another([unknown, _expired(str(old[0].fact.expires)) if old else ""])
    missing = tuple(_gap("parent", n) for n in gaps)
    facts = (*(link.fact for link in links), *old)
    return Seen(NOT_SHOWN, _whether(text, why), facts, missing)


def see_claimed(test: Claimed, view: View) -> Seen:
    text = test.text or Reason.of("judge.claimed", claim=test.claim)
    value = view.claims.get(test.claim)
    if value is not None:
        return Seen(HELD if value else FAILED, bare(value, text))
    if test.absent is not None:
        return _either(test.absent == "held", text, Reason.of("judge.nothing-claimed"))
    gap = Missing(what=text, where=LOOK["claim"], kind="claim", of=view.name)
    return Seen(NOT_SHOWN, _whether(text, Reason.of("judge.nothing-claimed")), (), (gap,))


def see_attribute(known: bool, value: bool, view: View, what: str, asked: Words) -> Seen:
    """Layer, function or identity: known as soon as the part is recognised."""
    if not known:
        return not_shown(view, what, asked, ())
    return Seen(HELD if value else FAILED, bare(value, asked))


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
    return Seen(outcome, after_another(s.reason for s in decisive), facts, missing, exhibits)


def once(values: tuple[T, ...]) -> tuple[T, ...]:
    """Each value once, in its order."""
    return values if len(values) < 2 else tuple(dict.fromkeys(values))


def since(seen: Seen) -> Words:
    """From which versions, and from which day, the deciding facts are so."""
    if seen.outcome is NOT_SHOWN or not seen.facts:
        return ""
    ranges = [_of_versions(f.fact.kind, f.fact.versions) for f in seen.facts if f.fact.versions != "*"]
    days = [_from(f.fact.kind, str(f.fact.since)) for f in seen.facts if f.fact.since is not None]
    return after_another(ranges + days)


@lru_cache(maxsize=8192)
def _of_versions(kind: str, versions_: str) -> Reason:
    return Reason.of("judge.of-versions", kind=kind, versions=versions_)


@lru_cache(maxsize=8192)
def _from(kind: str, day: str) -> Reason:
    return Reason.of("judge.from-day", kind=kind, day=day)


def some_of(names: Iterable[str]) -> str | Reason:
    """As many names as are told of many."""
    found = list(dict.fromkeys(names))
    more = len(found) - MOST_NAMES
    told = ", ".join(found[:MOST_NAMES])
    return Reason.of("judge.and-more", names=told, more=more) if more > 0 else told


def _words(test: FactTest) -> Words:
    """What is asked, where the rule set has no words for it."""
    asked = [_asked_of(name, one) for name, one in test.where.items()]
    kind = kind_words(test.fact)
    return Reason.of("judge.asked", kind=kind, asked=asked) if asked else kind


def _asked_of(name: str, one: Asked) -> Reason:
    if one.osi is not None:
        how = Reason.of("judge.asked.osi" if one.osi else "judge.asked.not-osi")
    else:
        values = one.among or one.not_in or one.prefix or ()
        some: Words | list[str] = Reason.of("judge.asked.eu") if len(values) > 25 else [str(v) for v in values]
        how = Reason.of("judge.asked.not-in" if one.not_in else "judge.asked.in", values=some)
    return how if name == "value" else Reason.of("judge.asked.field", field=name, how=how)


def tell(fact: Fact) -> Words:
    """A fact's value in a few words."""
    match fact:
        case OrganisationFact(value=v):
            return f"{v.name} ({v.seat})"
        case ParentFact(value=p):
            if p.name == p.of:
                return Reason.of("judge.fact.nobody-owns", of=p.of, seat=p.seat)
            return Reason.of("judge.fact.owns", name=p.name, seat=p.seat, of=p.of)
        case SeatFact(value=place):
            return f"{place.of} ({place.seat})"
        case MaturityFact(value=m):
            return Reason.of("judge.fact.maturity", stage=m.stage, by=m.by)
        case DecisionFact(value=decision):
            return f"{decision.by}: {decision.what}"
        case ForeignLawFact(value=law):
            return Reason.of("judge.fact.law", law=law.law, on=law.on, because=law.because)
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
