# SPDX-License-Identifier: Apache-2.0
"""Claims on what the application answers: answers in, verdicts out. Pure. `verify.structure.compare` calls it.

What answered at the source answers the same on the target; what was closed stays closed. Where nothing answered at the
source nothing is shown, nor by a closed port whose control is silent. An answer counts only for the question that the
plan holds, at the address that the census of its side has. What must differ (an address, a host key made anew, a
certificate for the old address) is a loss with a name, and fails nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from unterbau.switch.probes.model import (
    Answer,
    Closed,
    Command,
    Http,
    Open,
    Probe,
    SideName,
    Ssh,
    State,
    Tcp,
    Tls,
    address_of,
    called,
    digest,
    guest_of,
)
from unterbau.tenant.kinds import Ref, kind_of
from unterbau.tenant.workload import Workload
from unterbau.verdict import (
    Claim,
    Observation,
    Outcome,
    Reason,
    Source,
    Verdict,
    Words,
    conjoin,
    joined,
    judge_equal,
)

KIND = "service"
WHOLE = "service"
"""The id of the claim over all probes."""
LOSS = "loss"
"""As all losses (`verify.lost`)."""
_NEEDED = {"http": ("status", "body"), "tcp": ("banner",), "tls": ("certificate",), "ssh": ("host key",), "dns": ("code", "records"), "command": ("exit status", "output")}  # fmt: skip
"""Facts without which an answer shows nothing, unless the probe says that they do not count."""


class Places(NamedTuple):
    """Where the same thing is on both sides: the verifier's own pairs, and what the plan leaves, with its reason."""

    source: Workload
    target: Workload
    pairs: Mapping[Ref, Ref]
    left: Mapping[Ref, Words]

    def address(self, side: SideName, probe: Probe) -> str:
        """Where the probe is asked on that side; "" if nowhere."""
        if side == "source":
            return address_of(self.source, probe.at)
        return address_of(self.target, self.pairs.get(probe.at, ""))

    def is_gone(self, probe: Probe) -> bool:
        """Whether the target lacks a place that the plan carries, and shows that it does."""
        kind = kind_of(probe.at).value
        return probe.at not in self.left and kind not in self.target.reasons and not self.address("target", probe)


def services(probes: Sequence[Probe], answers: Iterable[Answer], places: Places) -> tuple[Verdict, ...]:
    """All verdicts: on each probe, what must differ, and the claim over the whole, which comes first."""
    if not probes:
        return ()
    judging = _Judging(probes, answers, places)
    ones: list[Verdict] = []
    losses: list[Verdict] = []
    for probe in probes:
        verdict, lost = judging.closed(probe) if isinstance(probe, Closed) else judging.open(probe)
        ones.append(verdict)
        losses += lost
    return (_whole(ones), *ones, *losses)


def answering(probes: Sequence[Probe], answers: Iterable[Answer], places: Places) -> dict[SideName, frozenset[Ref]]:
    """The guests of each side that answered something: these have booted, and run."""
    judging = _Judging(probes, answers, places)
    heard = [p for p in probes if not isinstance(p, Closed)]
    ours = (guest_of(places.source, p.at) for p in heard if judging.answers_to("source", p.id))
    theirs = (guest_of(places.target, places.pairs[p.at]) for p in heard if judging.answers_to("target", p.id))
    return {"source": frozenset(ours), "target": frozenset(theirs)}


def sentence(verdicts: Iterable[Verdict]) -> Words:
    """What a report begins with: whether the application answers as it did; "" if it was not asked."""
    told = next((v for v in verdicts if v.claim.id == WHOLE), None)
    if told is None:
        return ""
    if told.outcome is Outcome.HELD:
        return told.claim.text
    if told.outcome is Outcome.FAILED:
        return Reason.of("service.failed", why=told.reason)
    return Reason.of("service.unseen", why=told.reason)


def as_before(probe: Probe, ours: Answer, theirs: Answer) -> bool:
    """Whether the later answer is as the earlier one: then nobody needs to ask again."""
    if isinstance(probe, Closed):
        return theirs.state is not State.ANSWERED
    kept, _ = _parted(probe, ours, theirs)
    return theirs.state is State.ANSWERED and all(ours.facts.get(f) == theirs.facts.get(f) for f in kept)


class _Judging:
    def __init__(self, probes: Sequence[Probe], answers: Iterable[Answer], places: Places) -> None:
        self.places = places
        self.probes = {p.id: p for p in probes}
        self.answers: dict[tuple[str, str], Answer] = {}
        for one in answers:
            self.answers.setdefault((one.side, one.probe), one)

    def open(self, probe: Open) -> tuple[Verdict, list[Verdict]]:
        """What answers is the same."""
        claim = self._claim(probe, Reason.of("claim.service.open", what=self._called(probe)))
        ours, theirs = self._answer("source", probe), self._answer("target", probe)
        if ours is not None and ours.state is State.ANSWERED and self.places.is_gone(probe):
            return self._verdict(claim, Outcome.FAILED, Reason.of("service.no-place"), probe, ours, None), []
        unseen = self._unseen(probe, ours, theirs)
        if unseen or ours is None or theirs is None:
            return self._verdict(claim, Outcome.NOT_SHOWN, unseen, probe, ours, theirs), []
        if theirs.state is not State.ANSWERED:
            why = Reason.of("service.no-more", state=_STATES[theirs.state], why=theirs.reason)
            return self._verdict(claim, Outcome.FAILED, why, probe, ours, theirs), []
        kept, lost = _parted(probe, ours, theirs)
        left, right = self._seen("source", probe, ours, kept), self._seen("target", probe, theirs, kept)
        found = judge_equal(claim, left, right)
        missing = [f for f in _needed(probe) if f not in ours.facts]
        unsteady = sorted(set(ours.unsteady))
        if found.outcome is Outcome.HELD and (missing or set(unsteady) & set(_needed(probe))):
            why = Reason.of("service.unsteady", facts=[*missing, *(f for f in unsteady if f in _needed(probe))])
            return found.model_copy(update={"outcome": Outcome.NOT_SHOWN, "reason": why}), []
        if found.outcome is Outcome.HELD:
            notes = [Reason.of("service.passed-over", facts=[*unsteady])] if unsteady else []
            found = found.model_copy(update={"reason": joined([Reason.of("service.same"), *notes])})
        return found, [self._loss(probe, f, ours, theirs) for f in lost]

    def closed(self, probe: Closed) -> tuple[Verdict, list[Verdict]]:
        """What is shut stays shut, as far as its control shows that somebody would have answered."""
        claim = self._claim(probe, Reason.of("claim.service.closed", what=self._called(probe)))
        ours, theirs = self._answer("source", probe), self._answer("target", probe)
        outcome, why = self._shut(probe, ours, theirs)
        return self._verdict(claim, outcome, why, probe, ours, theirs), []

    def _shut(self, probe: Closed, ours: Answer | None, theirs: Answer | None) -> tuple[Outcome, Words]:
        missing = self._missing(probe, ours, theirs)
        if missing or ours is None or theirs is None:
            return Outcome.NOT_SHOWN, missing
        if ours.state not in _SHUT:
            return Outcome.NOT_SHOWN, Reason.of("service.open-before")
        if not self.answers_to("source", probe.control):
            return Outcome.NOT_SHOWN, Reason.of("service.control", control=probe.control, side=_side("source"))
        if theirs.state not in _SHUT:
            return Outcome.FAILED, Reason.of("service.opened")
        if not self.answers_to("target", probe.control):
            return Outcome.NOT_SHOWN, Reason.of("service.control", control=probe.control, side=_side("target"))
        return Outcome.HELD, Reason.of("service.shut")

    def answers_to(self, side: SideName, id_: str) -> bool:
        """Whether somebody answered that probe."""
        heard = self._answer(side, self.probes[id_]) if id_ in self.probes else None
        return heard is not None and heard.state is State.ANSWERED

    def _answer(self, side: SideName, probe: Probe) -> Answer | None:
        """What was answered there to just this question, at the place that it is about."""
        found = self.answers.get((side, probe.id))
        if found is None or found.asked != digest(probe) or found.address != self.places.address(side, probe):
            return None
        return found

    def _missing(self, probe: Probe, ours: Answer | None, theirs: Answer | None) -> Words:
        """Why a side was not asked, or ""."""
        if probe.at in self.places.left:
            return Reason.of("service.left", why=self.places.left[probe.at])
        for side, answer in (("source", ours), ("target", theirs)):
            if answer is None:
                return Reason.of("service.not-asked-there", side=_side(side))
            if answer.state is State.UNREACHABLE:
                return Reason.of("service.no-way", side=_side(side), why=answer.reason)
        return ""

    def _unseen(self, probe: Probe, ours: Answer | None, theirs: Answer | None) -> Words:
        """Why the two cannot be compared, or ""."""
        if ours is not None and ours.state not in (State.ANSWERED, State.UNREACHABLE):
            return Reason.of("service.nothing-before", state=_STATES[ours.state], why=ours.reason)
        return self._missing(probe, ours, theirs)

    def _called(self, probe: Probe) -> str:
        return called(probe, self.places.address("source", probe) or probe.at)

    def _claim(self, probe: Probe, text: Reason) -> Claim:
        return Claim(id=f"service {probe.id}", kind=KIND, subject=probe.at, text=text)

    def _verdict(
        self, claim: Claim, outcome: Outcome, why: Words, probe: Probe, ours: Answer | None, theirs: Answer | None
    ) -> Verdict:
        sides: tuple[tuple[SideName, Answer | None], ...] = (("source", ours), ("target", theirs))
        seen = tuple(self._seen(side, probe, one, sorted(one.facts)) for side, one in sides if one is not None)
        return Verdict(claim=claim, outcome=outcome, reason=why, evidence=seen)

    def _seen(self, side: SideName, probe: Probe, answer: Answer, facts: Iterable[str]) -> Observation:
        kept: dict[str, JsonValue] = {"state": answer.state.value}
        kept |= {name: answer.facts.get(name) for name in facts}
        where = Source(where=f"{side}: {called(probe, answer.address)}", at=answer.at)
        return Observation(what="answer", value=kept, source=where)

    def _loss(self, probe: Probe, field: str, ours: Answer, theirs: Answer) -> Verdict:
        """Something that must differ, and does."""
        what = field.replace(" ", "-")
        claim = Claim(
            id=f"lost {probe.at}.{probe.id}.{what}", kind=LOSS, subject=probe.at,
            text=Reason.of("claim.service.lost", field=field, what=self._called(probe)),
        )  # fmt: skip
        if field == "host key":
            reason = Reason.of("service.lost.host-key")
        elif field == "certificate":
            reason = Reason.of("service.lost.certificate", address=ours.address)
        else:
            reason = Reason.of("service.lost.address", before=ours.address, after=theirs.address)
        seen = (self._seen("source", probe, ours, [field]), self._seen("target", probe, theirs, [field]))
        return Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=reason, evidence=seen)


def _needed(probe: Open) -> tuple[str, ...]:
    ignored = {
        "body": isinstance(probe, Http) and probe.body == "ignore",
        "banner": isinstance(probe, Tcp) and probe.banner == "ignore",
        "certificate": isinstance(probe, Tls) and probe.certificate == "ignore",
        "output": isinstance(probe, Command) and probe.output == "ignore",
    }
    return tuple(f for f in _NEEDED[probe.kind] if not ignored.get(f, False))


def _parted(probe: Probe, ours: Answer, theirs: Answer) -> tuple[list[str], list[str]]:
    """Facts that must be equal; and what must differ and does."""
    facts = (ours.facts.keys() | theirs.facts.keys()) - set(ours.unsteady)
    lost: list[str] = []
    if isinstance(probe, Http):
        facts -= {f"header {name}" for name in probe.ignore} | ({"body"} if probe.body == "ignore" else set())
    elif isinstance(probe, Tcp) and probe.banner == "ignore":
        facts -= {"banner"}
    elif isinstance(probe, Command):  # what said too much at the source was ended there: its status is not known
        facts -= set() if "exit status" in ours.facts else {"exit status"}
        facts -= {"output"} if probe.output == "ignore" else set()
    elif isinstance(probe, Tls):
        if probe.certificate == "ignore":
            facts -= {"certificate"}
        elif _is_of_address(ours) and ours.facts.get("certificate") != theirs.facts.get("certificate"):
            facts -= {"certificate", "names"}
            lost.append("certificate")
    elif isinstance(probe, Ssh) and ours.facts.get("host key") != theirs.facts.get("host key"):
        facts -= {"host key", "key type"}
        lost.append("host key")
    if ours.address != theirs.address:
        both = facts & set(ours.placed) & set(theirs.placed)
        lost += [f for f in sorted(both) if ours.facts.get(f) == theirs.facts.get(f)]
    return sorted(facts), lost


def _is_of_address(ours: Answer) -> bool:
    """Whether the certificate was made for the address that was asked."""
    names = ours.facts.get("names")
    return "names" in ours.placed and isinstance(names, list)


def _whole(ones: Sequence[Verdict]) -> Verdict:
    """Over all of them, in one sentence for somebody who reads no other."""
    claim = Claim(id=WHOLE, kind=KIND, subject="application", text=Reason.of("claim.service"))
    count = {o: sum(v.outcome is o for v in ones) for o in Outcome}
    why = Reason.of(
        "service.whole", held=count[Outcome.HELD], failed=count[Outcome.FAILED], unseen=count[Outcome.NOT_SHOWN]
    )
    return Verdict(claim=claim, outcome=conjoin(v.outcome for v in ones), reason=why)


def _side(side: str) -> Reason:
    return Reason.of("side.source") if side == "source" else Reason.of("side.target")


_SHUT = (State.REFUSED, State.SILENT)
_STATES = {
    State.REFUSED: Reason.of("service.state.refused"),
    State.SILENT: Reason.of("service.state.silent"),
    State.GARBAGE: Reason.of("service.state.garbage"),
    State.UNREACHABLE: Reason.of("service.state.unreachable"),
}
