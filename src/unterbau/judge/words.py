# SPDX-License-Identifier: Apache-2.0
"""The first lines of a judged stack, in the reader's language. Pure. `report` shows them on the terminal and the page.

Facts, names and versions are told as they are; what stands around them is a reason, and has its words in the catalogues.
A line has a label with a glyph and its word, and a text that `fit` brings to the width of a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from unterbau.catalogue.model import DateFact, ForeignLawFact, TextFact
from unterbau.judge.judgement import Finding, Judgement, KnownFact
from unterbau.judge.kinds import LOOK, SHORT, kind_words
from unterbau.judge.seeing import counts_until, kind_of, tell
from unterbau.judge.summary import Action, Fails, Gap, Once, Step, Summary, deciding, name
from unterbau.verdict import CALLED, Reason, Words, joined
from unterbau.verdict import words as in_words
from unterbau.verdict.exhibit import Exhibit

Language = Literal["en", "de"]
MOST_LINES = 10
WIDTH = 80
LABEL = 12


class Line(NamedTuple):
    """One line: `kind` is one of head, fails, missing, unread, ends, first; the page colours by it."""

    kind: str
    label: str
    text: str


LABELS: dict[str, Words] = {
    "head": "",
    "fails": Reason.of("judge.label.fails"),
    "nothing": Reason.of("judge.label.nothing"),
    "missing": Reason.of("judge.label.missing"),
    "unread": Reason.of("judge.label.unread"),
    "ends": Reason.of("judge.label.ends"),
    "first": Reason.of("judge.label.first"),
}


class Speech:
    """One language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def say(self, told: Words) -> str:
        """The words."""
        return in_words(told, self.language)

    def kind(self, kind: str) -> str:
        """A kind of fact as people call it."""
        return self.say(kind_words(kind))

    def few(self, names: Sequence[str], most: int) -> str:
        """The first names, and how many more."""
        rest, told = len(names) - most, ", ".join(names[:most])
        return self.say(Reason.of("judge.and-more", names=told, more=rest)) if rest > 0 else told

    def fact(self, known: KnownFact) -> str:
        """`licence SSPL-1.0`, `steward Redis Inc. (US)`."""
        if isinstance(known.fact, ForeignLawFact):
            return self.say(Reason.of("judge.fact.law-on", law=known.fact.value.law, on=known.fact.value.on))
        before: Words = SHORT.get(known.fact.kind, "")
        if not before and isinstance(known.fact, (TextFact, DateFact)):
            before = kind_words(known.fact.kind)
        return f"{self.say(before)} {self.say(tell(known.fact))}".strip()

    def where(self, gap: Gap) -> str:
        """Where to look."""
        pages = [w for w in gap.where if isinstance(w, str) and w.startswith("http")]
        if pages and len(pages) == len(gap.where):
            return self.few(pages, 1)
        return self.say(LOOK.get(gap.kind) or next(w for w in gap.where if w not in pages))


def ten_lines(judgement: Judgement, told: Summary, language: Language, width: int = WIDTH - LABEL) -> list[Line]:
    """At most ten: what it is, what fails and by which fact, what is missing and where to look, what ends, what to do.

    Each is made to fit into `width` by naming fewer things, and says how many it does not name.
    """
    lines = _Lines(judgement, told, Speech(language), width)
    head = [lines.head(), *lines.failing(), *lines.unread(), *lines.ending()]
    first = [lines.action(a) for a in told.first[:2]]
    room = MOST_LINES - len(head) - len(first)
    return [*head, *(lines.gap(g) for g in told.gaps[: min(2, room)]), *first]


class _Lines:
    """The lines of one summary."""

    def __init__(self, judgement: Judgement, told: Summary, words: Speech, width: int) -> None:
        self.judgement, self.told, self.words, self.width = judgement, told, words, width
        self.whole = words.say(Reason.of("judge.line.whole"))

    def _line(self, kind: str, most: int, text: Callable[[int], str], width: int | None = None) -> Line:
        """With as many names as there is room for."""
        told = [text(n) for n in range(most, 0, -1)]
        room = self.width if width is None else width
        return Line(kind, self.words.say(LABELS[kind]), next((t for t in told if len(t) <= room), fit(told[-1], room)))

    def head(self) -> Line:
        told, room = self.told, self.width + LABEL
        parts = Reason.of("judge.line.parts", count=told.parts)
        many = Reason.of("judge.line.technologies", count=told.technologies)
        what = self.words.say(Reason.of("judge.line.head", parts=parts, technologies=many, day=str(told.at)))
        return self._line("head", 1, lambda _: f"{_end(told.stack, room - len(what) - 2)}: {what}", room)

    def failing(self) -> Iterable[Line]:
        fails, words = self.told.fails, self.words
        if not fails:
            yield Line("nothing", words.say(LABELS["nothing"]), words.say(Reason.of("judge.line.nothing")))
            return
        most = 3 if len(fails) <= 3 else 2
        yield from map(self._fails, fails[:most])
        if rest := [self._subject(o) for o in fails[most:]]:
            yield self._line("fails", 6, lambda n: words.say(Reason.of("judge.line.also", names=words.few(rest, n))))

    def _subject(self, one: Fails) -> str:
        return self.whole if one.group is None else name(self.judgement.groups[one.group])

    def _fails(self, one: Fails) -> Line:
        words, facts = self.words, self.judgement.by_id
        if one.group is None:
            rules = [f.rule for f in one.findings]
            return self._line("fails", 4, lambda n: f"{self.whole}: {words.few(rules, n)}")
        sets = list(dict.fromkeys(f.rule.partition("/")[0] for f in one.findings))
        by = list(dict.fromkeys(words.fact(facts[i]) for i in one.facts)) or [words.say(one.findings[0].reason)]
        variants = [(2, 3), (2, 1), (1, 3), (1, 2), (1, 1), (1, 0 if len(sets) > 1 else 1), (1, 1)]
        many = words.say(Reason.of("judge.line.rule-sets", number=len(sets)))

        def text(n: int) -> str:
            some, of = variants[-n]
            before, after = f"{self._subject(one)}: ", f" ({words.few(sets, of) if of else many})"
            told = "; ".join(by[:some])
            return before + (told if n > 1 else fit(told, self.width - len(before) - len(after))) + after

        return self._line("fails", len(variants), text)

    def unread(self) -> Iterable[Line]:
        told = self.told
        found: list[Callable[[int], str]] = []
        if told.unread:
            found.append(
                self._counted(Reason.of("judge.line.places", count=len(told.unread)), self._places(told.unread))
            )
        if told.unrecognised:
            names = _last(told.unrecognised)
            found.append(self._counted(Reason.of("judge.line.unknown-parts", count=len(told.unrecognised)), names))
        if told.refused:
            found.append(self._counted(Reason.of("judge.line.refused", count=len(told.refused)), told.refused))
        if found:
            yield self._line("unread", 4, lambda n: "; ".join(text(n - 1) for text in found))

    def _counted(self, count: Reason, names: Sequence[str]) -> Callable[[int], str]:
        return lambda n: f"{self.words.say(count)}{_some(self.words, names, n)}"

    def _places(self, places: Sequence[str]) -> list[str]:
        line = self.words.say(Reason.of("judge.line.line"))
        return [re.sub(r": line (?=\d)", f": {line} ", p.removeprefix(f"{self.told.stack}/")) for p in places]

    def ending(self) -> Iterable[Line]:
        groups, say = self.judgement.groups, self.words.say
        told = [
            say(Reason.of("judge.line.ended", name=name(groups[e.group]), day=str(e.day)))
            if e.ended
            else f"{name(groups[e.group])} {e.day}"
            for e in self.told.ends
        ]
        if told:
            yield self._line("ends", 6, lambda n: self.words.few(told, n))

    def gap(self, gap: Gap) -> Line:
        words = self.words

        def text(n: int) -> str:
            where = words.where(gap)
            where = where if n > 1 else re.split(r";| and | und ", where)[0]
            of = words.few(gap.of, max(n - 1, 1))
            return words.say(Reason.of("judge.line.gap", kind=kind_words(gap.kind), of=of, where=where))

        return self._line("missing", 5, text)

    def action(self, action: Action) -> Line:
        words, named = self.words, list(action.of)

        def told(n: int) -> Reason:
            few = words.few(named, n)
            match action.do:
                case "upgrade":
                    return Reason.of("judge.first.upgrade", names=few)
                case "replace":
                    return Reason.of(
                        "judge.first.replace", name=named[0], by=words.few([words.say(b) for b in action.by], n)
                    )
                case "read":
                    return Reason.of("judge.first.read", names=words.few(self._places(named), n))
                case "name":
                    return Reason.of("judge.first.name", names=words.few(_last(named), n))
                case "find":
                    return Reason.of("judge.first.find", kind=kind_words(action.kind), names=few)

        return self._line("first", 4, lambda n: words.say(told(n)))


def _some(words: Speech, names: Sequence[str], most: int) -> str:
    return f" ({words.few(names, most)})" if most > 0 else ""


def _last(names: Sequence[str]) -> list[str]:
    """Images by their last segment: `docker.io/goharbor/registry-photon` is `registry-photon`."""
    return list(dict.fromkeys(n.rpartition("/")[2] if re.fullmatch(r"[\w./:-]*\w", n) else n for n in names))


def _end(text: str, room: int) -> str:
    """The end of a path tells more than its beginning."""
    return text if len(text) <= room else f"…{text[-(room - 1) :]}"


# --- ladders, and what is told once


def step(told: Step, judgement: Judgement, language: Language = "en", *, brief: bool = False) -> str:
    """`step 2 of 5; step 3 fails by Redis 7.4 (licence SSPL-1.0); not shown: step 4 (support from the EU)`.

    `brief` names one culprit, and what is not shown only where nothing fails.
    """
    words = Speech(language)
    pieces: list[Words] = [_reached(told)]
    if told.fails_at is not None:
        by = _by(told, judgement, words, 1 if brief else 3)
        pieces.append(Reason.of("judge.step.fails", step=told.fails_at, by=by))
    if told.unshown and (not brief or told.fails_at is None):
        kinds = list(dict.fromkeys(words.kind(m.kind) for f in told.open for m in f.missing if m.kind))
        steps = _ranges(told.unshown)
        what = Reason.of("judge.step.open" if len(told.unshown) == 1 else "judge.steps.open", steps=steps)
        pieces.append(Reason.of("judge.because", told=what, why=words.few(kinds, 2)) if kinds else what)
    return words.say(joined(pieces))


def _reached(told: Step) -> Reason:
    """`step 2 of 5`, `no step of 4 shown`, `no step of 5 reached`."""
    if told.reached is not None:
        return Reason.of("judge.step.reached", step=told.reached, top=told.top)
    return Reason.of("judge.step.none-reached" if told.exact else "judge.step.none-shown", top=told.top)


def reached(told: Step, language: Language = "en") -> str:
    """The step alone, where there is no room for why."""
    return in_words(_reached(told), language)


def _by(told: Step, judgement: Judgement, words: Speech, most: int) -> str:
    facts = judgement.by_id

    def decided(findings: Sequence[Finding]) -> str:
        by = [words.fact(k) for k in deciding(findings, facts)]
        return words.few(list(dict.fromkeys(by)), 1) if by else words.say(findings[0].reason)

    groups = {f.group: [g for g in told.failing if g.group == f.group] for f in told.failing}
    if told.group is not None:
        return decided(told.failing)
    named = [
        f"{name(judgement.groups[g], 1)} ({decided(fs)})" if g is not None else decided(fs)
        for g, fs in list(groups.items())[:1]
    ]
    named += [name(judgement.groups[g], 1) for g in list(groups)[1:] if g is not None]
    return words.few(named, most)


def _ranges(numbers: Sequence[int]) -> list[str | Reason]:
    """`0, 2 to 5`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    found: list[str | Reason] = []
    for run in runs:
        if len(run) > 2:
            found.append(Reason.of("judge.range", first=run[0], last=run[-1]))
        else:
            found += map(str, run)
    return found


def once(told: Once, language: Language = "en") -> str:
    """One line for all parts of which nobody measured, answered or drilled it."""
    words = Speech(language)
    ids = words.few([r.id.partition("/")[2] for r in told.rules], 5)
    if told.needs == "measurement":
        return words.say(Reason.of("judge.once.measurement", rules=ids, parts=told.parts))
    return words.say(Reason.of("judge.once.evidence" if told.needs == "evidence" else "judge.once.answer", rules=ids))


def exhibit(given: Exhibit, language: Language = "en") -> str:
    """A bundle: of what, of when, whose key, until when it counts; what it shows; or why it shows nothing."""
    if given.fault or given.seen is None:
        return in_words(Reason.of("judge.exhibit.nothing", why=given.fault), language)
    clouds = (
        Reason.of("judge.bundle.way", source=given.clouds[0], target=given.clouds[1])
        if len(given.clouds) == 2
        else ", ".join(given.clouds)
    )
    pieces: list[Words] = [
        Reason.of(
            "judge.exhibit.of",
            kind=kind_of(given.model_copy(update={"rehearsal": False})),
            day=str(given.seen.date()),
            clouds=clouds,
        )
    ]
    if given.rehearsal:
        pieces.append(Reason.of("judge.exhibit.rehearsal"))
    if given.one_machine:
        pieces.append(Reason.of("judge.exhibit.one-machine"))
    pieces.append(Reason.of("judge.exhibit.trusted" if given.trusted else "judge.exhibit.untrusted", key=given.signer))
    pieces.append(Reason.of("judge.exhibit.until", day=str(counts_until(given))))
    pieces += [
        Reason.of("judge.exhibit.shows", aspect=aspect, outcome=CALLED[shown.outcome], why=shown.why)
        for aspect, shown in given.shows.items()
    ]
    if given.limits:
        pieces.append(Reason.of("judge.exhibit.limits", number=len(given.limits)))
    return in_words(joined(pieces), language)


def fit(text: str, width: int) -> str:
    """The text, or as much of it as is whole words, with `…`."""
    if len(text) <= width:
        return text
    cut = text[: width - 1]
    at = max(cut.rfind(" "), cut.rfind("/"))
    kept = cut[:at] if at > width // 2 else cut
    return f"{kept.rstrip(' ,;:(')}…"
