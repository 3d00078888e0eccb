# SPDX-License-Identifier: Apache-2.0
"""What a drill's bundle shows to `judge`: each aspect from claims that the check judged anew. `cli` calls it.

It adds no judgement of its own: an aspect is the conjunction of the claims of some kinds, told with their counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from unterbau.evidence.opening import Opened
from unterbau.places import is_loopback, place
from unterbau.switch.evidence.bundle import Bundle, CheckResult
from unterbau.switch.verify import OPENINGS, lost
from unterbau.tenant.kinds import CloudIdentity, Kind
from unterbau.verdict import Outcome, Reason, Verdict, conjoin, joined
from unterbau.verdict.exhibit import Exhibit, Showing

CARRIED = frozenset({"structure", "content", "completeness", lost.KIND})
EQUAL = frozenset({"structure", "content"})
OPEN = frozenset({"opening"})


def exhibit(checked: CheckResult, opened: Opened, name: str) -> Exhibit:
    """What the bundle shows. It was checked: `checked` is of `opened`."""
    bundle, look = checked.bundle, checked.bundle.verification
    sides = (bundle.source.identity, bundle.target.identity)
    return Exhibit(
        name=name,
        digest=opened.digest,
        kind="drill",
        signer=checked.signer,
        trusted=checked.signer_trusted,
        seen=min(look.source.taken_at, look.target.taken_at),
        clouds=tuple(map(_cloud, sides)),
        one_machine=bundle.redaction is not None or all(is_loopback(side.auth_url) for side in sides),
        rehearsal=bundle.context.rehearsal,
        shows=_shows(bundle, (*checked.verdicts, *checked.today)),
        limits=checked.not_tested,
    )


def _cloud(of: CloudIdentity) -> str:
    return f"{of.name} ({place(of.auth_url)}, project {of.project_name})"


def _shows(bundle: Bundle, verdicts: Sequence[Verdict]) -> dict[str, Showing]:
    opening = _of(verdicts, OPEN)
    if OPENINGS in bundle.verification.judging and not any(v.claim.kind in OPEN for v in verdicts):
        opening = Showing(outcome=Outcome.HELD, why=Reason.of("exhibit.nothing-open"))
    carried, failed = _of(verdicts, CARRIED), Counter(v.outcome for v in verdicts)[Outcome.FAILED]
    tested = Outcome.FAILED if failed else Outcome.HELD
    return {
        "planned": _planned(bundle),
        "tested": Showing(outcome=tested, why=_counts(verdicts)),
        "carried": carried,
        "equivalent": _of(verdicts, EQUAL),
        "closed": opening,
        "secure": Showing(outcome=carried.outcome & opening.outcome, why=joined([carried.why, opening.why])),
        "erased": _erased(bundle, failed),
        "days": _days(bundle, tested),
    }


def _of(verdicts: Iterable[Verdict], kinds: frozenset[str]) -> Showing:
    """What the claims of some kinds give together; of none nothing is shown."""
    found = [v for v in verdicts if v.claim.kind in kinds]
    return Showing(outcome=conjoin(v.outcome for v in found), why=_counts(found))


def _counts(verdicts: Iterable[Verdict]) -> Reason:
    many = Counter(v.outcome for v in verdicts)
    if not many:
        return Reason.of("exhibit.no-claim")
    failed, unseen, held = many[Outcome.FAILED], many[Outcome.NOT_SHOWN], many[Outcome.HELD]
    return Reason.of("exhibit.claims", failed=failed, unseen=unseen, held=held)


def _planned(bundle: Bundle) -> Showing:
    """The check compared the plan with the census: each object has a fate. What could not be listed has none."""
    unlisted = sorted({n.what for n in bundle.source.not_shown} & set(Kind))
    if unlisted:
        return Showing(outcome=Outcome.NOT_SHOWN, why=Reason.of("exhibit.unlisted", kinds=[*unlisted]))
    return Showing(outcome=Outcome.HELD, why=Reason.of("exhibit.planned", number=len(bundle.plan.entries)))


def _erased(bundle: Bundle, failed: int) -> Showing:
    if bundle.closing is None:
        return Showing(outcome=Outcome.NOT_SHOWN, why=Reason.of("exhibit.not-emptied"))
    whole = bundle.closing.complete and not failed
    why = Reason.of("exhibit.gone") if whole else Reason.of("exhibit.stayed")
    return Showing(outcome=Outcome.HELD if whole else Outcome.NOT_SHOWN, why=why)


def _days(bundle: Bundle, tested: Outcome) -> Showing:
    """From the census to the end of the verification, waits and interruptions included."""
    phases = [p for p in bundle.context.phases if p.name != "close"]
    if not phases:
        return Showing(outcome=Outcome.NOT_SHOWN, why=Reason.of("exhibit.no-times"))
    took = max(p.ended for p in phases) - min(p.started for p in phases)
    told = str(timedelta(seconds=round(took.total_seconds())))
    return Showing(outcome=tested, why=Reason.of("exhibit.took", time=told), number=took / timedelta(days=1))
