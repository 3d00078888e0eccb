# SPDX-License-Identifier: Apache-2.0
"""A look at both sides that stands in a bundle: whose it is, and its verdicts made anew. Pure. The checks call it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import JsonValue, TypeAdapter

from unterbau.errors import BundleError
from unterbau.evidence.limits import NOT_OURS
from unterbau.evidence.reading import Reading, differing
from unterbau.saga.status import Event
from unterbau.switch import temporaries
from unterbau.switch.manifest import Damaged, Manifest
from unterbau.switch.plan import Plan
from unterbau.switch.verify import JUDGINGS, OF_ANSWERS, ROOT_DISKS, Contents, compare
from unterbau.tenant.kinds import Ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Observation, Verdict

_EVENTS = TypeAdapter(tuple[Event, ...])


def check_pair(plan: Plan, source: Workload, target: Workload) -> None:
    """Raises BundleError if these are not the two clouds and projects of the plan."""
    for side, left, right in (("source", plan.source, source.identity), ("target", plan.target, target.identity)):
        if (left.auth_url, left.region, left.project_id) != (right.auth_url, right.region, right.project_id):
            raise BundleError(f"the {side} is another cloud or project in different members", NOT_OURS)


def events_of(rows: Iterable[Mapping[str, JsonValue]], reading: Reading) -> tuple[Event, ...]:
    """The events of a journal's rows. Raises BundleError."""
    plain = [{**event} if isinstance(event := row.get("event"), dict) else event for row in rows]
    return reading.model(_EVENTS, plain, "journal.json")


def judge_again(
    told: Contents,
    plan: Plan,
    hashes: Mapping[tuple[str, Ref], Observation],
    name: str,
    reading: Reading,
    manifests: Mapping[str, Manifest] = {},
) -> tuple[Verdict, ...]:
    """The verdicts of one look at both sides, made anew; BundleError if they are not those that it tells."""
    unknown = sorted(set(told.judging) - {*JUDGINGS, *OF_ANSWERS, ROOT_DISKS})
    if unknown:
        raise BundleError(
            f"{name} was judged by {', '.join(unknown)}, which this version does not know",
            "Check it with a newer version of Unterbau.",
        )
    try:
        again = compare(
            told.source, told.target, plan, hashes, told.judging, temporary=temporaries.markers(plan),
            answers=told.answers, manifests=manifests,
        )  # fmt: skip
    except Damaged as error:
        raise BundleError(f"{name}: what the containers hold is damaged: {error}", NOT_OURS) from None
    wrong = differing(told.verdicts, again, reading)
    if wrong:
        raise BundleError(f"{name}: {', '.join(wrong[:3])} does not follow from the contents", NOT_OURS)
    return again
