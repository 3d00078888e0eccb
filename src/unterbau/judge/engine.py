# SPDX-License-Identifier: Apache-2.0
"""Rules over facts in three-valued logic, with the path explained. Pure: no clock, no file; the day is an argument.

`judge` is the whole of it: parts for which the same facts hold form a group, each rule is evaluated once a group,
and every finding names the facts that decided it, or those that are missing. A fact that has expired, or whose
version range cannot be compared with the part's version, is not shown. It finds no facts and gives no score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from unterbau.catalogue import versions
from unterbau.catalogue.model import (
    Catalogue,
    DependencyFact,
    Fact,
    Function,
    Layer,
    ReferenceFact,
    Source,
    Technology,
    TextFact,
)
from unterbau.judge.judgement import (
    Coverage,
    Ending,
    Finding,
    Group,
    Hidden,
    Instead,
    Judgement,
    KnownFact,
    Ladder,
    Missing,
    RuleHead,
    RuleSetHead,
)
from unterbau.judge.kinds import LOOK
from unterbau.judge.rule import (
    AllOf,
    AnyOf,
    Chain,
    Claimed,
    Every,
    Evidenced,
    Expression,
    FactTest,
    HasFunction,
    InLayer,
    IsTechnology,
    Measured,
    NotOf,
    Operated,
    Rule,
    RuleSet,
    Some,
    Supported,
    Unknowable,
    Use,
)
from unterbau.judge.seeing import (
    MOST_NAMES,
    Seen,
    View,
    counts_until,
    joined,
    once,
    see_attribute,
    see_chain,
    see_claimed,
    see_evidence,
    see_fact,
    see_measured,
    see_supported,
    since,
    some_of,
)
from unterbau.stack.model import Part, Stack
from unterbau.verdict import Outcome, Reason, Words, conjoin
from unterbau.verdict import joined as after_another
from unterbau.verdict.exhibit import Exhibit

HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN
YEAR = timedelta(days=365)
Measures = Mapping[str, Mapping[str, tuple[float, str]]]
"""Technology -> name of the measure -> number and where it was measured."""


def judge(
    stack: Stack, catalogue: Catalogue, rule_sets: Sequence[RuleSet], at: date, measures: Measures | None = None,
    evidence: Sequence[Exhibit] = (),
) -> Judgement:  # fmt: skip
    """Judge a stack whose parts were recognised, by all rule sets, as of a day. `evidence`: bundles that were checked."""
    bench = _Bench(stack, catalogue, at, measures or {}, evidence)
    findings: list[Finding] = []
    heads: list[RuleSetHead] = []
    ladders: list[Ladder] = []
    for rules in rule_sets:
        found = [(r, list(bench.apply(rules, r))) for r in rules.rules]
        findings += (f for _, fs in found for f in fs)
        heads.append(_head(rules, found))
        ladders += _ladders(rules, found)
    coverage = tuple(bench.coverage())
    hidden = bench.hidden()
    ending = tuple(bench.ending())
    named = {i for f in findings for i in f.facts} | {i for h in hidden for i in h.facts} | {e.fact for e in ending}
    return Judgement(
        stack=stack.name,
        at=at,
        rule_sets=tuple(heads),
        groups=tuple(bench.groups),
        findings=tuple(findings),
        ladders=tuple(ladders),
        coverage=coverage,
        hidden=hidden,
        ending=ending,
        facts=tuple(bench.facts[i] for i in sorted(named)),
        unrecognised=tuple(n for g in bench.groups if g.technology is None for n in g.parts),
        unread=stack.unread,
        parts=stack.parts,
        evidence=tuple(evidence),
    )


def view_of(technology: Technology, version: str | None, at: date) -> View:
    """What is known of one technology by itself."""
    view = View(technology, technology.name, version is not None, technology.layer, {})
    spelled = technology.codenames.get((version or "").lower(), version)
    for number, fact in enumerate(technology.facts):
        known = KnownFact(id=f"{technology.id}:{fact.kind}:{number}", technology=technology.id, fact=fact)
        view.add(known, versions.within(spelled, fact.versions), at)
    return view


class _Bench:
    """One judgement under way: groups, their views, and the evaluation of expressions on them."""

    def __init__(
        self, stack: Stack, catalogue: Catalogue, at: date, measures: Measures, evidence: Sequence[Exhibit]
    ) -> None:
        self.stack, self.catalogue, self.at, self.measures, self.evidence = stack, catalogue, at, measures, evidence
        self.facts: dict[str, KnownFact] = {}
        self.groups: list[Group] = []
        self.views: list[View] = []
        self._catalogue_facts: dict[str, tuple[KnownFact, ...]] = {}
        self._alone: dict[str, View] = {}
        self._group()

    # --- groups

    def _group(self) -> None:
        rough: dict[Any, list[int]] = {}
        for number, part in enumerate(self.stack.parts):
            claims = tuple(sorted(part.claims.items())) if part.claims else ()
            version = part.version if part.technology else None
            key = (part.technology, version, part.licence, part.layer, claims, part.facts)
            members = rough.get(key)
            if members is None:
                rough[key] = [number]
            else:
                members.append(number)
        fine: dict[Any, list[tuple[Any, list[int]]]] = {}
        for key, members in rough.items():
            technology, version, *rest = key
            fine.setdefault((technology, self._signature(technology, version), *rest), []).append((key, members))
        for pieces in fine.values():
            self._add_group(pieces)

    def _signature(self, technology: str | None, version: str | None) -> tuple[bool | None, ...]:
        """Which of the technology's facts hold for the version: equal signatures, equal verdicts."""
        if technology is None or technology not in self.catalogue:
            return ()
        known = self.catalogue[technology]
        spelled = known.codenames.get((version or "").lower(), version)
        return tuple(versions.within(spelled, f.versions) for f in known.facts if f.versions != "*")

    def _add_group(self, pieces: list[tuple[Any, list[int]]]) -> None:
        (technology, _, licence, layer, claims, own), _ = pieces[0]
        known = self.catalogue.get(technology) if technology is not None else None
        members = tuple(n for _, ns in pieces for n in ns)
        first = self.stack.parts[members[0]]
        several = known is None and len(members) > 1
        name = known.name if known else f"{first.name} and {len(members) - 1} more" if several else first.name
        number = len(self.groups)
        found = sorted(
            {v for (_, v, *_), _ in pieces if v is not None}, key=lambda v: (versions.parse(v) or ((), ()), v)
        )
        self.groups.append(
            Group(
                id=number,
                technology=technology if known else None,
                name=name,
                layer=(known.layer if known else layer) or None,
                versions=tuple(found),
                parts=members,
            )
        )
        view = View(known, name, bool(found), known.layer if known else layer, dict(claims))
        if known is not None:
            inside = iter(self._signature(technology, pieces[0][0][1]))
            for fact in self._of(known):
                view.add(fact, True if fact.fact.versions == "*" else next(inside), self.at)
        for n, fact in enumerate((*own, *self.stack.facts)):
            view.add(self._told(f"owner:{number}:{fact.kind}:{n}", name, fact), self._own_range(fact, found), self.at)
        if licence and "licence" not in view.known and "licence" not in view.unsure:
            view.add(self._from_input(number, name, licence, first), True, self.at)
        self.views.append(view)

    def _own_range(self, fact: Fact, found: Sequence[str]) -> bool | None:
        answers = {versions.within(v, fact.versions) for v in found or [None]}  # type: ignore[list-item]
        return answers.pop() if len(answers) == 1 else None

    def _of(self, technology: Technology) -> tuple[KnownFact, ...]:
        if technology.id not in self._catalogue_facts:
            self._catalogue_facts[technology.id] = tuple(
                self._told(f"{technology.id}:{f.kind}:{n}", technology.id, f) for n, f in enumerate(technology.facts)
            )
        return self._catalogue_facts[technology.id]

    def _told(self, name: str, technology: str, fact: Fact) -> KnownFact:
        told = KnownFact(id=name, technology=technology, fact=fact)
        self.facts[name] = told
        return told

    def _from_input(self, number: int, name: str, licence: str, part: Part) -> KnownFact:
        where = str(part.where[0]) if part.where else "the input"
        source = Source(url=where, read=self.at, says=f"The input names the licence {licence}.")
        fact = TextFact(kind="licence", value=licence, confidence="low", expires=self.at, source=source)
        return self._told(f"input:{number}:licence", name, fact)

    # --- rules

    def apply(self, rules: RuleSet, rule: Rule) -> Iterator[Finding]:
        """The findings of one rule: one a group, or one for the stack."""
        if rule.of == "stack":
            yield self._finding(rules, rule, None, self._asked(rules, rule, None))
            return
        for group, view in zip(self.groups, self.views, strict=True):
            if rule.applies is not None:
                applies = self.see(rule.applies, view, rules)
                if applies.outcome is FAILED:
                    continue
                if applies.outcome is NOT_SHOWN:
                    seen = Seen(
                        NOT_SHOWN,
                        Reason.of("judge.whether-applies", why=applies.reason),
                        applies.facts,
                        applies.missing,
                    )
                    yield self._finding(rules, rule, group, ("not shown", seen))
                    continue
            yield self._finding(rules, rule, group, self._asked(rules, rule, view))

    def _asked(self, rules: RuleSet, rule: Rule, view: View | None) -> tuple[str, Seen]:
        """The path by which the rule is held, or why it is not."""
        never = self.see(rule.never, view, rules) if rule.never is not None else Seen(FAILED, "")
        if never.outcome is HELD:
            return "failed", never._replace(
                outcome=FAILED, reason=Reason.of("judge.never", why=never.reason), missing=()
            )
        found = {name: self.see(e, view, rules) for name, e in rule.paths.items()}
        for name, seen in found.items():
            if seen.outcome is HELD:
                path = "direct" if name == "direct" else f"exception:{name}"
                if never.outcome is NOT_SHOWN:
                    return "not shown", never._replace(
                        facts=(*seen.facts, *never.facts), exhibits=(*seen.exhibits, *never.exhibits)
                    )
                return path, seen._replace(facts=(*seen.facts, *never.facts))
        unknown = {n: s for n, s in found.items() if s.outcome is NOT_SHOWN}
        decisive = unknown or found
        reason = after_another(
            s.reason if len(found) == 1 else Reason.of("about", what=n, reason=s.reason) for n, s in decisive.items()
        )
        facts = tuple(f for s in found.values() for f in s.facts)
        missing = tuple(m for s in unknown.values() for m in s.missing)
        exhibits = tuple(e for s in decisive.values() for e in s.exhibits)
        outcome = NOT_SHOWN if unknown else FAILED
        return outcome.value, Seen(outcome, reason, facts, missing, exhibits)

    def _finding(self, rules: RuleSet, rule: Rule, group: Group | None, asked: tuple[str, Seen]) -> Finding:
        path, seen = asked
        view = self.views[group.id] if group is not None else None
        technology = view.technology if view else None
        instead: tuple[Instead, ...] = ()
        if technology is not None and seen.outcome is FAILED:
            instead = tuple(self._instead(rules, rule, technology))
        return Finding(
            rule=f"{rules.id}/{rule.id}", group=group.id if group else None, outcome=seen.outcome, path=path,
            reason=seen.reason, facts=once(tuple(f.id for f in seen.facts)), missing=once(seen.missing), instead=instead, since=since(seen),
            until=self._until(seen, view), evidence=once(tuple(e.digest for e in seen.exhibits)),
        )  # fmt: skip

    def _until(self, seen: Seen, view: View | None) -> date | None:
        """Facts and bundles expire; and what is maintained no longer holds nothing up."""
        days = [f.fact.expires for f in seen.facts if not f.id.startswith("input:")]
        days += [day for e in seen.exhibits if (day := counts_until(e)) is not None]
        if seen.outcome is HELD and view is not None:
            days += [day for day, _ in view.dates("end_of_life") if day >= self.at]
        return min(days, default=None) if seen.outcome is not NOT_SHOWN else None

    def _instead(self, rules: RuleSet, rule: Rule, technology: Technology) -> Iterator[Instead]:
        """What could take its place, those first for which the rule holds."""
        found: dict[str, Instead] = {}
        for relation in ("successor", "forked_as", "alternative"):
            for fact in self._of(technology):
                if not isinstance(fact.fact, ReferenceFact) or fact.fact.kind != relation:
                    continue
                target = fact.fact.value
                if target in found or not fact.fact.current(self.at):
                    continue
                outcome, name = NOT_SHOWN, target.removeprefix("ext:")
                if target in self.catalogue:
                    name = self.catalogue[target].name
                    outcome = self._asked(rules, rule, self._view_alone(target))[1].outcome
                found[target] = Instead(technology=target, name=name, outcome=outcome, relation=relation)
                self.facts[fact.id] = fact
        yield from sorted(found.values(), key=lambda i: [HELD, NOT_SHOWN, FAILED].index(i.outcome))

    def _view_alone(self, technology: str) -> View:
        if technology not in self._alone:
            known = self.catalogue[technology]
            view = View(known, known.name, False, known.layer, {})
            for fact in self._of(known):
                view.add(fact, versions.within(None, fact.fact.versions), self.at)
            for n, owned in enumerate(self.stack.facts):
                view.add(self._told(f"owner:stack:{owned.kind}:{n}", known.name, owned), True, self.at)
            self._alone[technology] = view
        return self._alone[technology]

    # --- expressions

    def see(self, expression: Expression, view: View | None, rules: RuleSet) -> Seen:
        """Evaluate; the same expression on the same view once only."""
        if view is None:
            return self._evaluate(expression, view, rules)
        seen = view.memo.get(id(expression))
        if seen is None:
            seen = view.memo[id(expression)] = self._evaluate(expression, view, rules)
        return seen

    def _evaluate(self, expression: Expression, view: View | None, rules: RuleSet) -> Seen:
        match expression:
            case AllOf(all=inner):
                return joined([self.see(e, view, rules) for e in inner], every=True)
            case AnyOf(any=inner):
                return joined([self.see(e, view, rules) for e in inner], every=False)
            case NotOf(negated=inner_one):
                seen = self.see(inner_one, view, rules)
                return seen._replace(outcome=~seen.outcome)
            case Use(use=name):
                return self.see(rules.define[name], view, rules)
            case Some(some=inner_one):
                return self._over(expression, inner_one, rules, every=False)
            case Every(each=inner_one):
                return self._over(expression, inner_one, rules, every=True)
            case Unknowable(ask=what):
                return Seen(
                    NOT_SHOWN, what, (), (Missing(what=what, where=LOOK["answer"], kind="answer", of=self.stack.name),)
                )
            case _:
                return self._leaf(expression, view)

    def _leaf(self, expression: Expression, view: View | None) -> Seen:
        if view is None:  # a rule of the stack that asks for what belongs to a part: the stack's own claims
            view = View(None, self.stack.name, False, None, self.stack.claims)
        match expression:
            case FactTest():
                return see_fact(expression, view)
            case Chain():
                return see_chain(expression, view)
            case Operated():
                is_service = view.technology is not None and not view.technology.tool
                return see_attribute(
                    view.technology is not None, is_service, view, "kind", Reason.of("judge.attribute.operated")
                )
            case Supported():
                return see_supported(expression, view, self.at)
            case Claimed():
                return see_claimed(expression, view)
            case InLayer(layer=layers):
                return see_attribute(
                    view.layer is not None,
                    view.layer in layers,
                    view,
                    "layer",
                    Reason.of("judge.attribute.layer", values=[x.value for x in layers]),
                )
            case HasFunction(function=functions):
                has = view.technology is not None and any(f in functions for f in view.technology.functions)
                return see_attribute(
                    view.technology is not None,
                    has,
                    view,
                    "function",
                    Reason.of("judge.attribute.function", values=[x.value for x in functions]),
                )
            case IsTechnology(technology=ids):
                is_one = view.technology is not None and view.technology.id in ids
                return see_attribute(
                    view.technology is not None,
                    is_one,
                    view,
                    "technology",
                    Reason.of("judge.attribute.technology", values=list(ids)),
                )
            case Measured():
                name = view.technology.id if view.technology else view.name
                return see_measured(expression, self.measures.get(name, {}).get(expression.measure))
            case Evidenced():
                return see_evidence(expression, self.evidence, self.at)
        raise TypeError(type(expression))

    def _over(self, node: Some | Every, inner: Expression, rules: RuleSet, *, every: bool) -> Seen:
        """Over all groups of the stack."""
        found = [(g, self.see(inner, v, rules)) for g, v in zip(self.groups, self.views, strict=True)]
        deciding = FAILED if every else HELD
        decided = [(g, s) for g, s in found if s.outcome is deciding]
        unknown = [(g, s) for g, s in found if s.outcome is NOT_SHOWN]
        text: Words = node.text or Reason.of("judge.each-part" if every else "judge.one-part")
        if decided:
            shown = decided if every else decided[:MOST_NAMES]
            facts = tuple(f for _, s in shown for f in s.facts)
            exhibits = tuple(e for _, s in shown for e in s.exhibits)
            names = some_of(g.name for g, _ in decided)
            told = Reason.of("judge.not" if every else "judge.so", text=text, why=names)
            return Seen(deciding, told, facts, (), exhibits)
        if unknown or self.stack.unread:
            strangers = sum(len(g.parts) for g, _ in unknown if g.technology is None)
            named = [g.name for g, _ in unknown if g.technology is not None]
            why = after_another(
                [
                    _strangers(strangers),
                    Reason.of("judge.not-known-of", names=some_of(named)) if named else "",
                    _not_understood(len(self.stack.unread)),
                ]
            )
            missing = tuple(m for _, s in unknown for m in s.missing)[:MOST_NAMES]
            return Seen(NOT_SHOWN, Reason.of("judge.whether", text=text, why=why), (), missing)
        outcome = ~deciding if found else NOT_SHOWN
        by = Reason.of("judge.looked-at", count=len(found)) if found else Reason.of("judge.no-parts")
        return Seen(outcome, Reason.of("judge.so" if outcome is HELD else "judge.not", text=text, why=by))

    # --- the stack

    def coverage(self) -> Iterator[Coverage]:
        """Layers and functions; what is missing may stand among what was not recognised."""
        strangers, unread = sum(len(g.parts) for g in self.groups if g.technology is None), len(self.stack.unread)
        why = after_another([_strangers(strangers), _not_understood(unread)])
        for kind, members in (("layer", list(Layer)), ("function", list(Function))):
            for member in members:
                by = [v for v in self.views if (v.layer is member if kind == "layer" else _does(v, member))]
                names = tuple(dict.fromkeys(v.name for v in by))
                reason = "" if names else after_another([Reason.of("judge.uncovered"), why])
                outcome = HELD if names else NOT_SHOWN if why else FAILED
                yield Coverage(kind=kind, name=member.value, outcome=outcome, technologies=names, reason=reason)

    def hidden(self) -> tuple[Hidden, ...]:
        """What the parts need, and what that needs, as far as the stack does not name it."""
        present = {g.technology for g in self.groups if g.technology is not None}
        needs: dict[str, list[tuple[str, KnownFact]]] = {}
        queue = [(v.technology.id, v) for v in self.views if v.technology is not None]
        seen: set[str] = set()
        why: dict[str, str] = {}
        while queue:
            name, view = queue.pop(0)
            for fact in view.known.get("depends_on", ()):
                if not isinstance(fact.fact, DependencyFact) or fact.fact.value.technology in present:
                    continue
                target = fact.fact.value.technology
                why.setdefault(target, fact.fact.value.why)
                needs.setdefault(target, []).append((name, fact))
                if target in self.catalogue and target not in seen:
                    seen.add(target)
                    queue.append((target, self._view_alone(target)))
        found = []
        for target, by in sorted(needs.items()):
            named = self.catalogue[target].name if target in self.catalogue else target.removeprefix("ext:")
            found.append(
                Hidden(
                    technology=target,
                    name=named,
                    needed_by=tuple(dict.fromkeys(n for n, _ in by)),
                    why=why[target],
                    covered_by=self._cover(target, present),
                    facts=tuple(dict.fromkeys(f.id for _, f in by)),
                )
            )
        return tuple(found)

    def _cover(self, target: str, present: set[str]) -> str | None:
        related = ("alternative", "fork_of", "forked_as", "successor")
        for name in sorted(present):
            if any(f.kind in related and f.value == target for f in self.catalogue[name].facts):
                return name
            if target in self.catalogue and any(
                f.kind in related and f.value == name for f in self.catalogue[target].facts
            ):
                return name
        return None

    def ending(self) -> Iterator[Ending]:
        """Versions that end within a year of the day, or have ended."""
        for group, view in zip(self.groups, self.views, strict=True):
            last = max(view.dates("end_of_life"), key=lambda d: d[0], default=None)
            if last is not None and last[0] <= self.at + YEAR:
                yield Ending(group=group.id, day=last[0], ended=last[0] < self.at, fact=last[1].id)


def _does(view: View, function: Any) -> bool:
    return view.technology is not None and function in view.technology.functions


def _head(rules: RuleSet, found: Sequence[tuple[Rule, Sequence[Finding]]]) -> RuleSetHead:
    heads = tuple(
        RuleHead(id=f"{rules.id}/{r.id}", text=r.text, of=r.of, references=r.references,
                 outcome=conjoin(f.outcome for f in fs), german=r.german, objective=r.objective, level=r.level,
                 needs=rules.needs(r))
        for r, fs in found
    )  # fmt: skip
    return RuleSetHead(
        id=rules.id, name=rules.name, author=rules.author, as_of=rules.as_of, note=rules.note, sources=rules.sources,
        rules=heads,
    )  # fmt: skip


def _ladders(rules: RuleSet, found: Sequence[tuple[Rule, Sequence[Finding]]]) -> Iterator[Ladder]:
    """Per objective: up to which step everything is held, and above which step something fails."""
    steps: dict[tuple[str, int | None], dict[int, list[Outcome]]] = {}
    for rule, findings in found:
        if rule.level is None:
            continue
        for finding in findings:
            for subject in {finding.group, None}:
                by_level = steps.setdefault((rule.objective, subject), {})
                by_level.setdefault(rule.level, []).append(finding.outcome)
    for (objective, subject), by_level in steps.items():
        shown: int | None = None
        for level in sorted(by_level):
            if any(o is not HELD for o in by_level[level]):
                break
            shown = level
        failed = [level for level, outcomes in by_level.items() if FAILED in outcomes]
        not_above = min(failed) - 1 if failed else None
        yield Ladder(rule_set=rules.id, objective=objective, group=subject, shown=shown, not_above=not_above)


def _strangers(many: int) -> Words:
    return Reason.of("judge.strangers", count=many) if many else ""


def _not_understood(many: int) -> Words:
    return Reason.of("judge.not-understood", count=many) if many else ""
