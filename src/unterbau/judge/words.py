# SPDX-License-Identifier: Apache-2.0
"""The first lines of a judged stack in English and in German. Pure. `report` shows them on the terminal and the page.

Facts, names and versions are told as they are; what stands around them is in the reader's language. A line has a
label with a glyph and its word, and a text that `fit` brings to the width of a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from unterbau.catalogue.model import DateFact, ForeignLawFact, TextFact
from unterbau.judge.judgement import Finding, Judgement, KnownFact
from unterbau.judge.seeing import LOOK, counts_until, tell
from unterbau.judge.summary import Action, Fails, Gap, Once, Step, Summary, deciding, few, name
from unterbau.verdict import Outcome
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


LABELS = {
    "head": ("", ""),
    "fails": ("✗ fails", "✗ verfehlt"),
    "nothing": ("fails", "verfehlt"),
    "missing": ("? not known", "? unbekannt"),
    "unread": ("? not read", "? ungelesen"),
    "ends": ("! ends", "! endet"),
    "first": ("→ do first", "→ zuerst"),
}
KINDS = {
    "recognition": ("what a part is", "was ein Teil ist"),
    "alternative": ("an alternative", "eine Alternative"),
    "claim": ("what is claimed", "was behauptet wird"),
    "contributor_rule": ("rule for contributors", "die Regel für Beitragende"),
    "decision": ("a public decision", "eine öffentliche Entscheidung"),
    "depends_on": ("what it needs", "was es braucht"),
    "end_of_active_support": ("end of active support", "das Ende der aktiven Pflege"),
    "end_of_extended_support": ("end of extended support", "das Ende der verlängerten Pflege"),
    "end_of_life": ("end of maintenance", "das Ende der Pflege"),
    "eu_operator": ("an operator in the EU", "ein Betreiber in der EU"),
    "eu_support": ("support from the EU", "Unterstützung aus der EU"),
    "foreign_control": ("control from outside", "Einfluss von außen"),
    "foreign_law": ("foreign law", "fremdes Recht"),
    "function": ("its function", "die Funktion"),
    "layer": ("its layer", "die Schicht"),
    "licence": ("licence", "die Lizenz"),
    "maturity": ("maturity", "der Reifegrad"),
    "parent": ("owner", "der Eigentümer"),
    "release": ("day of release", "der Tag der Veröffentlichung"),
    "rights_holder": ("rights holder", "Rechteinhaber"),
    "seat": ("seat", "der Sitz"),
    "source_code": ("source code", "der Quelltext"),
    "sovereignty_claim": ("who calls it sovereign", "wer es souverän nennt"),
    "standard": ("an open standard", "ein offener Standard"),
    "steward": ("steward", "wer entscheidet"),
    "ultimate_parent": ("last owner", "der letzte Eigentümer"),
    "version": ("version", "die Version"),
}
"""A kind of fact as people call it."""
SHORT = {
    "licence": ("licence", "Lizenz"),
    "steward": ("steward", "Träger"),
    "rights_holder": ("rights holder", "Rechteinhaber"),
    "parent": ("owner", "Eigentum"),
    "ultimate_parent": ("owner", "Eigentum"),
    "end_of_life": ("maintenance ended", "Pflege beendet"),
}
"""Before a fact's value in a line."""
_WHERE_DE = {
    "licence": "die Datei LICENSE zu dieser Version",
    "rights_holder": "die Urhebervermerke und die Vereinbarung für Beitragende",
    "steward": "das Dokument des Projekts über Entscheidungen",
    "parent": "Handelsregister und Geschäftsbericht",
    "ultimate_parent": "Handelsregister und Geschäftsbericht",
    "seat": "das Impressum; das Handelsregister",
    "foreign_law": "der Sitz des Anbieters und seiner Eigentümer",
    "foreign_control": "wer ernennt, wer ablehnen kann",
    "contributor_rule": "CONTRIBUTING und die Prüfung der Beiträge",
    "end_of_life": "die Regel für Veröffentlichungen; endoflife.date",
    "maturity": "die Projektliste der Stiftung",
    "decision": "die Seiten der Stelle selbst",
    "release": "die Tags des Quelltexts",
    "eu_support": "die Seiten der Anbieter; ein Vertrag",
    "eu_operator": "die Seiten der Betreiber; der eigene Betrieb, in stack.yaml",
    "source_code": "die Seite des Projekts",
    "standard": "die Dokumentation; eine Konformitätsprüfung",
    "depends_on": "die Anleitung zur Installation",
    "version": "die Eingabe: ein Tag, die Version eines Pakets",
}


OUTCOMES_DE = {Outcome.HELD: "gehalten", Outcome.FAILED: "verfehlt", Outcome.NOT_SHOWN: "nicht gezeigt"}


class Speech:
    """One language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._at = ("en", "de").index(language)

    def of(self, english: str, german: str) -> str:
        """One of the two."""
        return (english, german)[self._at]

    def label(self, kind: str) -> str:
        """`✗ fails`."""
        return LABELS[kind][self._at]

    def kind(self, kind: str) -> str:
        """A kind of fact as people call it."""
        return KINDS[kind][self._at] if kind in KINDS else kind.replace("_", " ")

    def few(self, names: Sequence[str], most: int) -> str:
        """The first names, and how many more."""
        return few(names, most, self.of("and {} more", "und {} weitere"))

    def fact(self, known: KnownFact) -> str:
        """`licence SSPL-1.0`, `steward Redis Inc. (US)`."""
        if isinstance(known.fact, ForeignLawFact):
            return self.of(f"{known.fact.value.law} reaches {known.fact.value.on}",
                           f"{known.fact.value.law} gilt für {known.fact.value.on}")  # fmt: skip
        before = SHORT[known.fact.kind][self._at] if known.fact.kind in SHORT else ""
        if not before and isinstance(known.fact, (TextFact, DateFact)):
            before = self.kind(known.fact.kind)
        return f"{before} {tell(known.fact)}".strip()

    def where(self, gap: Gap) -> str:
        """Where to look."""
        pages = [w for w in gap.where if w.startswith("http")]
        if pages and len(pages) == len(gap.where):
            return self.few(pages, 1)
        if self.language == "de" and gap.kind in _WHERE_DE:
            return _WHERE_DE[gap.kind]
        return LOOK.get(gap.kind) or next(w for w in gap.where if not w.startswith("http"))


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
        self.whole = words.of("the stack as a whole", "der Stack im Ganzen")

    def _line(self, kind: str, most: int, text: Callable[[int], str], width: int | None = None) -> Line:
        """With as many names as there is room for."""
        told = [text(n) for n in range(most, 0, -1)]
        room = self.width if width is None else width
        return Line(kind, self.words.label(kind), next((t for t in told if len(t) <= room), fit(told[-1], room)))

    def head(self) -> Line:
        told, of = self.told, self.words.of
        parts = of("part" if told.parts == 1 else "parts", "Teil" if told.parts == 1 else "Teile")
        one = told.technologies == 1
        many = of("technology" if one else "technologies", "Technologie" if one else "Technologien")
        what = f"{told.parts} {parts}, {told.technologies} {many}, {of('as of', 'Stand')} {told.at}"
        room = self.width + LABEL
        return self._line("head", 1, lambda _: f"{_end(told.stack, room - len(what) - 2)}: {what}", room)

    def failing(self) -> Iterable[Line]:
        fails, words = self.told.fails, self.words
        if not fails:
            yield Line("nothing", words.label("nothing"), words.of("nothing that is known", "nichts, soweit bekannt"))
            return
        most = 3 if len(fails) <= 3 else 2
        yield from map(self._fails, fails[:most])
        if rest := [self._subject(o) for o in fails[most:]]:
            yield self._line("fails", 6, lambda n: words.of("and also ", "und auch ") + words.few(rest, n))

    def _subject(self, one: Fails) -> str:
        return self.whole if one.group is None else name(self.judgement.groups[one.group])

    def _fails(self, one: Fails) -> Line:
        words, facts = self.words, self.judgement.by_id
        if one.group is None:
            rules = [f.rule for f in one.findings]
            return self._line("fails", 4, lambda n: f"{self.whole}: {words.few(rules, n)}")
        sets = list(dict.fromkeys(f.rule.partition("/")[0] for f in one.findings))
        by = list(dict.fromkeys(words.fact(facts[i]) for i in one.facts)) or [one.findings[0].reason]
        variants = [(2, 3), (2, 1), (1, 3), (1, 2), (1, 1), (1, 0 if len(sets) > 1 else 1), (1, 1)]
        many = f"{len(sets)} {words.of('rule sets', 'Regelwerke')}"

        def text(n: int) -> str:
            some, of = variants[-n]
            before, after = f"{self._subject(one)}: ", f" ({words.few(sets, of) if of else many})"
            told = "; ".join(by[:some])
            return before + (told if n > 1 else fit(told, self.width - len(before) - len(after))) + after

        return self._line("fails", len(variants), text)

    def unread(self) -> Iterable[Line]:
        told, words = self.told, self.words
        found: list[Callable[[int], str]] = []
        if told.unread:
            many, places = len(told.unread), self._places(told.unread)
            what = words.of("place" if many == 1 else "places", "Stelle" if many == 1 else "Stellen")
            found.append(lambda n: f"{many} {what}{_some(words, places, n)}")
        if told.unrecognised:
            count, names = len(told.unrecognised), _last(told.unrecognised)
            parts = words.of("unknown part" if count == 1 else "unknown parts",
                             "unbekanntes Teil" if count == 1 else "unbekannte Teile")  # fmt: skip
            found.append(lambda n: f"{count} {parts}{_some(words, names, n)}")
        if told.refused:
            many_bundles, refused = len(told.refused), list(told.refused)
            bundles = words.of("bundle does not check" if many_bundles == 1 else "bundles do not check",
                               "Beleg hält der Prüfung nicht stand" if many_bundles == 1 else "Belege halten der Prüfung nicht stand")  # fmt: skip
            found.append(lambda n: f"{many_bundles} {bundles}{_some(words, refused, n)}")
        if found:
            yield self._line("unread", 4, lambda n: "; ".join(text(n - 1) for text in found))

    def _places(self, places: Sequence[str]) -> list[str]:
        line = self.words.of("line", "Zeile")
        return [re.sub(r": line (?=\d)", f": {line} ", p.removeprefix(f"{self.told.stack}/")) for p in places]

    def ending(self) -> Iterable[Line]:
        groups, of = self.judgement.groups, self.words.of
        told = [
            f"{name(groups[e.group])} {of('ended', 'beendet') + ' ' if e.ended else ''}{e.day}" for e in self.told.ends
        ]
        if told:
            yield self._line("ends", 6, lambda n: self.words.few(told, n))

    def gap(self, gap: Gap) -> Line:
        words = self.words

        def text(n: int) -> str:
            named = f"{words.kind(gap.kind)} {words.of('of', 'bei')} {words.few(gap.of, max(n - 1, 1))}"
            where = words.where(gap)
            where = where if n > 1 else re.split(r";| and | und ", where)[0]
            return f"{named}; {words.of('look', 'siehe')}: {where}"

        return self._line("missing", 5, text)

    def action(self, action: Action) -> Line:
        words, of = self.words, self.words.of
        named = list(action.of)
        match action.do:
            case "upgrade":
                before = of("move to a maintained version: ", "auf eine gepflegte Version heben: ")
            case "replace":
                return self._line("first", 4, lambda n: of(
                    f"replace {named[0]}; the rule holds for {words.few(action.by, n)}",
                    f"{named[0]} ersetzen; die Regel erfüllt {words.few(action.by, n)}"))  # fmt: skip
            case "read":
                named = self._places(named)
                before = of("make readable, or name in stack.yaml: ", "lesbar machen oder in stack.yaml nennen: ")
            case "name":
                named = _last(named)
                before = of("say in stack.yaml what this is: ", "in stack.yaml sagen, was das ist: ")
            case "find":
                before = of(f"find {words.kind(action.kind)} of ", f"klären: {words.kind(action.kind)} bei ")
        return self._line("first", 4, lambda n: before + words.few(named, n))


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
    stage = words.of("step", "Stufe")
    pieces = [_reached(told, words)]
    if told.fails_at is not None:
        by = _by(told, judgement, words, 1 if brief else 3)
        pieces.append(words.of(f"step {told.fails_at} fails by {by}", f"Stufe {told.fails_at} scheitert an {by}"))
    if told.unshown and (not brief or told.fails_at is None):
        kinds = list(dict.fromkeys(words.kind(m.kind) for f in told.open for m in f.missing if m.kind))
        why = f" ({words.few(kinds, 2)})" if kinds else ""
        stages = words.of("steps", "Stufen") if len(told.unshown) > 1 else stage
        pieces.append(f"{words.of('not shown', 'nicht gezeigt')}: {stages} {_ranges(told.unshown, words)}{why}")
    return "; ".join(pieces)


def _reached(told: Step, words: Speech) -> str:
    """`step 2 of 5`, `no step of 4 shown`, `no step of 5 reached`."""
    if told.reached is not None:
        return words.of(f"step {told.reached} of {told.top}", f"Stufe {told.reached} von {told.top}")
    how = words.of("reached", "erreicht") if told.exact else words.of("shown", "gezeigt")
    return words.of(f"no step of {told.top} {how}", f"keine Stufe von {told.top} {how}")


def reached(told: Step, language: Language = "en") -> str:
    """The step alone, where there is no room for why."""
    return _reached(told, Speech(language))


def _by(told: Step, judgement: Judgement, words: Speech, most: int) -> str:
    facts = judgement.by_id

    def decided(findings: Sequence[Finding]) -> str:
        by = [words.fact(k) for k in deciding(findings, facts)]
        return words.few(list(dict.fromkeys(by)), 1) if by else findings[0].reason

    groups = {f.group: [g for g in told.failing if g.group == f.group] for f in told.failing}
    if told.group is not None:
        return decided(told.failing)
    named = [
        f"{name(judgement.groups[g], 1)} ({decided(fs)})" if g is not None else decided(fs)
        for g, fs in list(groups.items())[:1]
    ]
    named += [name(judgement.groups[g], 1) for g in list(groups)[1:] if g is not None]
    return words.few(named, most)


def _ranges(numbers: Sequence[int], words: Speech) -> str:
    """`0, 2 to 5`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    to = words.of("to", "bis")
    return ", ".join(f"{r[0]} {to} {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs)


def once(told: Once, language: Language = "en") -> str:
    """One line for all parts of which nobody measured, answered or drilled it."""
    words = Speech(language)
    ids = words.few([r.id.partition("/")[2] for r in told.rules], 5)
    if told.needs == "measurement":
        return words.of(f"not measured: {ids}; give --history TECHNOLOGY=FILE ({told.parts} kinds of part)",
                        f"nicht gemessen: {ids}; mit --history TECHNOLOGIE=DATEI ({told.parts} Arten von Teilen)")  # fmt: skip
    if told.needs == "evidence":
        return words.of(f"no bundle (--evidence): {ids}", f"kein Beleg (--evidence): {ids}")
    return words.of(f"ask who runs the stack: {ids}", f"fragen, wer den Stack betreibt: {ids}")


def exhibit(given: Exhibit, language: Language = "en") -> str:
    """A bundle: of what, of when, whose key, until when it counts; what it shows; or why it shows nothing."""
    words = Speech(language)
    if given.fault or given.seen is None:
        return words.of("shows nothing: ", "zeigt nichts: ") + given.fault
    kind = {"drill": ("drill", "Übung"), "proof": ("proof", "Nachweis")}[given.kind or "drill"]
    pieces = [f"{words.of(*kind)} {words.of('of', 'vom')} {given.seen.date()}: "
              f"{words.of(' to ', ' nach ').join(given.clouds)}"]  # fmt: skip
    if given.rehearsal:
        pieces.append(words.of("a rehearsal", "eine Probe"))
    if given.one_machine:
        pieces.append(words.of("all on one machine, which shows nothing about any provider",
                               "alles auf einer Maschine, was nichts über einen Anbieter zeigt"))  # fmt: skip
    trust = (
        words.of("trusted", "vertraut") if given.trusted else words.of("whose is not shown", "wessen ist nicht gezeigt")
    )
    pieces.append(f"{words.of('key', 'Schlüssel')} {given.signer} ({trust})")
    pieces.append(f"{words.of('counts until', 'zählt bis')} {counts_until(given)}")
    outcome = {o: words.of(o.value, german) for o, german in OUTCOMES_DE.items()}
    pieces += [
        f"{aspect} {outcome[shown.outcome]} ({in_words(shown.why, language)})" for aspect, shown in given.shows.items()
    ]
    if given.limits:
        pieces.append(
            words.of(f"{len(given.limits)} things no drill tests", f"{len(given.limits)} Dinge prüft keine Übung")
        )
    return "; ".join(pieces)


def fit(text: str, width: int) -> str:
    """The text, or as much of it as is whole words, with `…`."""
    if len(text) <= width:
        return text
    cut = text[: width - 1]
    at = max(cut.rfind(" "), cut.rfind("/"))
    kept = cut[:at] if at > width // 2 else cut
    return f"{kept.rstrip(' ,;:(')}…"
