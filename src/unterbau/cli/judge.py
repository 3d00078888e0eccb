# SPDX-License-Identifier: Apache-2.0
"""The work of `unterbau judge` and `unterbau facts`: read, judge, render. It decides nothing.

`verbs` has their options.
`judge.readers` understands the input, `judge.recognise` names its parts, `judge.engine` judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unterbau import catalogue, files, wiring
from unterbau.canonical import digest_bytes
from unterbau.catalogue.model import Catalogue, Technology
from unterbau.cli.frame import Context, Exports, tell_left_out
from unterbau.errors import BundleError, Exit, UsageError
from unterbau.judge import difference, engine, history, no_collector, output, report, rules
from unterbau.judge.judgement import Difference, Judgement, KnownFact, Since
from unterbau.judge.seeing import View, is_by_version
from unterbau.judge.summary import Sorted
from unterbau.judge.words import Language
from unterbau.stack.model import Part, Stack
from unterbau.stack.recognise import Index, recognise
from unterbau.verdict import Outcome, Reason, exit_code
from unterbau.verdict.exhibit import Exhibit

if TYPE_CHECKING:
    from unterbau.evidence.opening import Opened
    from unterbau.judge import evidence as judgements

SOON = timedelta(days=60)
"""`facts --stale` also names what expires this soon."""


def judge_(
    context: Context, stacks: tuple[str, ...], rule_names: tuple[str, ...], at: date | None, fail_on: str | None,
    diff: bool, own: tuple[Path, ...], histories: tuple[str, ...], everything: bool, exports: Exports, bundle: Path | None,
    html: Path | None, language: Language, since: Path | None, sbom: Path | None, evidence: tuple[Path, ...],
    keys: tuple[str, ...],
) -> Exit:  # fmt: skip
    """`unterbau judge`. What the options mean stands with them, in `verbs`."""
    day = at or wiring.now().date()
    known, rule_sets = catalogue.load(own), rules.load(rule_names)
    measures, exhibits = _measures(histories, known, day), _exhibits(evidence, keys)
    if diff:
        if len(stacks) != 2:
            raise UsageError("--diff compares two stacks", "unterbau judge --diff OLD NEW")
        with no_collector():
            old, new = (engine.judge(_read([s], known), known, rule_sets, day, measures, exhibits) for s in stacks)
        changed = difference.difference(old, new)
        context.show(lambda: report.difference(changed), changed)
        return exit_code(_worse(changed) or [Outcome.HELD])
    earlier = _earlier(since, stacks) if since is not None else None
    with no_collector():
        stack = _read(stacks, known)
        judged = engine.judge(stack, known, rule_sets, day, measures, exhibits)
    exports.write(lambda: output.document(judged))
    if html is not None:
        from unterbau.judge import page

        files.write(html, page.html(judged, language).encode(), mode=0o644)
    if bundle is not None:
        from unterbau.evidence import signing_key
        from unterbau.judge import evidence as judgements
        from unterbau.reference.layout import data_home

        signer = signing_key(data_home() / "keys")
        sealed = judgements.seal_stack(
            stack, known, rule_sets, judged, signer=signer, sealed=wiring.now(), measures=measures
        )  # fmt: skip
        files.write(bundle, sealed, mode=0o644)
    if sbom is not None:
        from unterbau.judge import bom

        files.write(sbom, bom.cyclonedx(stack, known, judged).encode(), mode=0o644)
    if earlier is not None:
        return _since(context, earlier, difference.Basis(stack, known, rule_sets, day, measures, exhibits))
    context.show(lambda: report.judged(judged, everything=everything), judged)
    return _exit(judged, fail_on)


class _Earlier(NamedTuple):
    """A judging of before, as its bundle holds it."""

    name: str
    signer: str
    bundle: judgements.StackBundle


def _earlier(place: Path, stacks: Sequence[str]) -> _Earlier:
    """The bundle, or the newest one of this stack in a folder. Raises UsageError, BundleError."""
    from unterbau.judge import evidence as judgements

    if not place.is_dir():
        return _judged_then(place, _opened(place))
    opened = [(p, _opened(p)) for p in sorted(place.glob("*.unterbau"))]
    found = [_judged_then(p, o) for p, o in opened if o.kind == judgements.KIND]
    name = " + ".join(stacks)
    same = [e for e in found if e.bundle.stack.name == name] or [
        e for e in found if Path(e.bundle.stack.name).name == Path(name).name
    ]
    if not same:
        others = sorted({e.bundle.stack.name for e in found})
        held = f"it holds bundles of {', '.join(others)}" if others else "it holds none at all"
        raise UsageError(f"{place}: no bundle of {name}; {held}", "Name the bundle's file, or make one with --bundle.")
    return max(same, key=lambda e: e.bundle.sealed)


def _opened(path: Path) -> Opened:
    from unterbau.evidence.opening import open_bundle

    try:
        return open_bundle(path)
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}", "Name a bundle that --bundle wrote, or a folder of them."
        ) from None
    except BundleError as error:
        raise BundleError(f"{path}: {error.what}", error.remedy) from None


def _judged_then(path: Path, opened: Opened) -> _Earlier:
    from unterbau.judge import evidence as judgements

    return _Earlier(str(path), opened.signer, judgements.judged_again(opened))


def _since(context: Context, earlier: _Earlier, now: difference.Basis) -> Exit:
    bundle = earlier.bundle
    then = difference.Basis(
        bundle.stack, bundle.catalogue, bundle.rule_sets, bundle.judgement.at, bundle.measures, bundle.evidence
    )
    with no_collector():
        effects = difference.causes(then, now)
        told = Since(
            earlier=earlier.name, sealed=bundle.sealed, signer=earlier.signer, before=then.at, at=now.at,
            parts=effects.parts, facts=difference.fact_changes(then, now), by_facts=effects.facts,
            rules=difference.rule_changes(then.rule_sets, now.rule_sets), by_rules=effects.rules, by_day=effects.day,
        )  # fmt: skip
    context.show(lambda: report.since(told), told)
    return exit_code([o for d in effects for o in _worse(d)] or [Outcome.HELD])


def _worse(changed: Difference) -> list[Outcome]:
    return [c.after for c in changed.changes if c.worse and c.after is not None] + [
        c.outcome for c in changed.steps if c.worse
    ]


def _exit(judged: Judgement, fail_on: str | None) -> Exit:
    outcomes = set(Sorted(judged).outcomes())
    if fail_on == "failed":
        return Exit.FAILED if Outcome.FAILED in outcomes else Exit.HELD
    return exit_code(outcomes)


def _read(paths: Sequence[str], known: Catalogue) -> Stack:
    """The stacks as one, with the technology of each part where it is known."""
    from unterbau import stack as readers  # they bring the libraries of the field along, which no other verb needs

    index, named = Index(known), []
    found = []
    for given in paths:
        if not given.strip():
            raise UsageError("an empty name", f"Name a file, a directory (`.` is this one) or a technology. {NAMES}")
        stack = wiring.live_stack(given)
        if stack is None and not Path(given).exists() and not readers.is_file_name(given):
            named.append(given)
        else:
            found.append(stack or readers.read(Path(given)))
    if named:
        found.append(readers.named(named))
        for part in found[-1].parts:
            _is_known(part, index)
    first = found[0]
    merged = Stack(
        name=" + ".join(s.name for s in found),
        parts=tuple(p for s in found for p in s.parts),
        unread=tuple(u for s in found for u in s.unread),
        claims={k: v for s in found for k, v in s.claims.items()},
        facts=tuple(f for s in found for f in s.facts),
    )
    return recognise(first if len(found) == 1 else merged, known)


def _is_known(part: Part, index: Index) -> None:
    """A name of the command line must be one of the catalogue. Raises UsageError with the nearest names."""
    if index.find(part) is not None:
        return
    near = index.near(part.name)
    what = f"{part.id}: no such file, and no name of the catalogue"
    raise UsageError(what, f"Did you mean {' or '.join(near)}? {NAMES}" if near else NAMES)


NAMES = "`unterbau facts` lists the names; with a version: redis@7.4. A name of your own belongs into a stack.yaml."


def _measures(histories: Sequence[str], known: Catalogue, day: date) -> dict[str, dict[str, tuple[float, str]]]:
    found = {}
    for given in histories:
        technology, equals, name = given.partition("=")
        if not equals:
            raise UsageError(f"--history {given}", f"Write TECHNOLOGY=FILE; make the file with: {history.COMMAND}")
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{name}: {error}", f"Make the file with: {history.COMMAND}") from None
        found[_technology(technology, known).id] = history.measures(history.read(text, name), day, name)
    return found


def _exhibits(paths: Sequence[Path], keys: Sequence[str]) -> tuple[Exhibit, ...]:
    """What the bundles show, each checked as `evidence check` does. One that does not check is kept, with why."""
    if keys and not paths:
        raise UsageError("--key names whose bundles count", "Name the bundles with --evidence.")
    return tuple(_exhibit(path, keys) for path in dict.fromkeys(paths))


def _exhibit(path: Path, keys: Sequence[str]) -> Exhibit:
    """Raises UsageError for a file that cannot be read, and for a bundle of another kind."""
    from unterbau.evidence.opening import open_bundle, read_file, signer_of
    from unterbau.judge import evidence as judgements
    from unterbau.prove import evidence as proofs
    from unterbau.switch import evidence as drills

    try:
        trusted = keys[0] if keys else None
        data = read_file(path, trusted_key=trusted)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "Name the bundle of a drill or of `prove`.") from None
    except BundleError as error:
        return Exhibit(
            name=path.name, digest=f"unread: {path.name}", fault=Reason.of("exhibit.not-opened", why=error.what)
        )
    try:
        signer = signer_of(data)
        opened = open_bundle(data, trusted_key=signer if signer in keys else None)
        if opened.kind == drills.KIND:
            return drills.exhibit(drills.check_opened(opened), opened, path.name)
        if opened.kind == proofs.KIND:
            return proofs.exhibit(proofs.check_opened(opened), opened, path.name)
    except BundleError as error:
        return Exhibit(
            name=path.name, digest=digest_bytes(data), fault=Reason.of("exhibit.not-checked", why=error.what)
        )
    kind = "a judged stack" if opened.kind == judgements.KIND else f"the kind {opened.kind[:80]!r}"
    raise UsageError(
        f"{path}: a bundle of {kind}", "--evidence takes bundles of `unterbau drill` and `unterbau prove`."
    )


def check(
    context: Context, opened: Opened, report_file: Path | None, exports: Exports, language: Language = "en"
) -> Exit:
    """`evidence check` for the bundle of a judged stack."""
    from unterbau.judge import evidence as judgements

    checked = judgements.check_opened(opened)
    if report_file is not None:
        from unterbau.judge import page

        files.write(report_file, page.html(checked.judgement, language).encode(), mode=0o644)
    exports.write(lambda: output.document(checked.judgement))
    context.show(lambda: report.judged(checked.judgement), checked)
    tell_left_out(context, checked.left_out)
    for digest in checked.rests_on:
        context.face.say(f"rests on a bundle that is not in this one; check it by itself: {digest}")
    if not checked.signer_trusted:
        context.face.say(f"not shown: whose key {checked.signer} is; name the one you trust with --key")
    return exit_code([checked.outcome] if checked.signer_trusted else [checked.outcome, Outcome.NOT_SHOWN])


def facts_(context: Context, technology: str | None, stale: bool, at: date | None, own: tuple[Path, ...]) -> Exit:
    """`unterbau facts TECHNOLOGY`."""
    day = at or wiring.now().date()
    known = catalogue.load(own)
    if stale:
        old = [(k, s) for t in known.values() for k, s in _rows(t, None, day) if _is_stale(k, day)]
        rows = sorted(old, key=lambda r: r[0].fact.expires)
        context.show(lambda: report.stale(rows), [_plain(k, s) for k, s in rows])
        return Exit.NOT_SHOWN if any(k.fact.expires < day for k, _ in rows) else Exit.HELD
    if technology is None:
        context.show(
            lambda: report.technologies(list(known.values())),
            [{"id": t.id, "name": t.name, "layer": t.layer} for t in known.values()],
        )
        return Exit.HELD
    name, _, version = technology.partition("@")
    found = _technology(name, known)
    rows = _rows(found, version or None, day)
    context.show(lambda: report.facts(found, rows), [_plain(k, s) for k, s in rows])
    return Exit.HELD


def refresh_(context: Context, folder: Path | None, to: Path | None, days: tuple[str, ...]) -> Exit:
    """`unterbau facts refresh`. What people wrote is not touched."""
    from unterbau.catalogue import importers

    written = catalogue.written()
    found, absent = importers.refresh(folder, written, wiring.now().date(), days)
    place = to or catalogue.IMPORTED
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}", "Name a folder that can be written with --to.") from None
    rows = []
    for data_set in found:
        files.write(place / importers.file_name(data_set), importers.spelled(data_set), mode=0o644)
        count = sum(len(facts) for facts in data_set.facts.values())
        rows.append({"data_set": data_set.data_set, "as_of": data_set.as_of, "technologies": len(data_set.facts),
                     "facts": count, "passed_over": data_set.passed_over})  # fmt: skip
    context.show(lambda: report.refreshed(rows, absent), {"written": rows, "absent": absent})
    return Exit.HELD


def check_facts(context: Context, technologies: tuple[str, ...], own: tuple[Path, ...]) -> Exit:
    """`unterbau facts check`."""
    known = catalogue.load(own)
    asked = [_technology(t, known) for t in technologies] or list(known.values())
    from unterbau.catalogue import contradictions

    found = [c for t in asked for c in contradictions.contradictions(t)]
    context.show(lambda: report.contradictions(found), [c._asdict() for c in found])
    return Exit.NOT_SHOWN if found else Exit.HELD


def audit_(
    context: Context, technologies: tuple[str, ...], folder: Path, kinds: tuple[str, ...], sample: int | None,
    seed: int, own: tuple[Path, ...],
) -> Exit:  # fmt: skip
    """`unterbau facts audit`."""
    known = catalogue.load(own)
    from unterbau.catalogue import audit

    asked = {t.id: t for t in (_technology(t, known) for t in technologies)} or known
    found = list(audit.audit(audit.drawn(asked, kinds, sample, seed), folder))
    context.show(
        lambda: report.audited(found),
        [
            {"technology": a.technology, "outcome": a.outcome, "why": a.why, **a.fact.model_dump(mode="json")}
            for a in found
        ],
    )
    return exit_code(a.outcome for a in found)


def _technology(name: str, known: Catalogue) -> Technology:
    found = Index(known).named(name)
    if found is None:
        near = Index(known).near(name)
        raise UsageError(
            f"{name!r} is not in the catalogue", f"Near: {', '.join(near)}" if near else "`unterbau facts` lists it."
        )
    return known[found]


def _rows(technology: Technology, version: str | None, day: date) -> list[tuple[KnownFact, str]]:
    """Facts that hold for the version (all, if none is asked for) and whether they count on the day."""
    view = engine.view_of(technology, version, day)
    holding = {k.id for ks in view.known.values() for k in ks}
    unsure = {k.id: why for ks in view.unsure.values() for k, why in ks}
    everything = engine.view_of(technology, None, day) if version is None else view
    listed = [k for ks in everything.known.values() for k in ks] + [
        k for ks in everything.unsure.values() for k, _ in ks
    ]
    return [(k, "counts" if k.id in holding else _why(view, unsure[k.id])) for k in listed]


def _why(view: View, why: Reason) -> str:
    return "counts for its versions" if not view.version_known and is_by_version(why) else f"not shown: {why}"


def _is_stale(known: KnownFact, day: date) -> bool:
    return known.fact.expires <= day + SOON


def _plain(known: KnownFact, told: str) -> dict[str, object]:
    return {"id": known.id, "state": told, **known.fact.model_dump(mode="json")}
