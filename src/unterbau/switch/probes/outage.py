# SPDX-License-Identifier: Apache-2.0
"""How long nobody answered, as data: what was asked of both sides while the application went from one to the other. Pure.

`watching` makes it, the bundle holds it, the report draws it. It is a measurement and no claim: nobody said how long it
may be. A look is one question and its answer; times are this machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from unterbau.tenant.kinds import CloudIdentity
from unterbau.verdict import Model, Reason

EVERY = 0.2
"""Seconds from one question to the next, to each side."""


class Looks(Model):
    """All looks at one side of one place."""

    address: str = ""
    """Where it was asked; "" while there was nowhere to ask."""
    asked: int = 0
    answered: int = 0
    """How many were answered; of the target's, as the source answered last."""
    otherwise: int = 0
    """How many were answered in another way: the source's with another number (503 for 200)."""
    first: datetime | None = None
    """When the first such answer was there whole."""
    last: datetime | None = None
    """When the question of the last one was sent."""

    def with_look(self, asked: datetime, heard: datetime, *, answered: bool, same: bool = True) -> Looks:
        """With one more; looks may come in any order, since several are under way at once."""
        good = answered and same
        return self.model_copy(update={
            "asked": self.asked + 1, "answered": self.answered + good, "otherwise": self.otherwise + (answered and not same),
            "first": min(self.first or heard, heard) if good else self.first,
            "last": max(self.last or asked, asked) if good else self.last,
        })  # fmt: skip


class Course(Model):
    """What was seen of one probe. At most one an address is asked, the first that answers."""

    probe: str
    source: Looks = Looks()
    target: Looks = Looks()

    def seconds(self) -> float | None:
        """From the last question that the source answered to the first whole answer of the target; None if one is missing.

        So it is never less than what somebody outside saw. 0 if both answered at one time.
        """
        if self.source.last is None or self.target.first is None:
            return None
        return max(timedelta(0), self.target.first - self.source.last).total_seconds()


class Watched(Model):
    """What was asked of both sides, every `every_seconds`, from `began` to `ended` (UTC)."""

    source: CloudIdentity
    target: CloudIdentity
    began: datetime
    ended: datetime
    every_seconds: float = EVERY
    courses: tuple[Course, ...]

    def seconds(self) -> float | None:
        """The longest of them; None if one is not shown, or nothing was asked."""
        found = [course.seconds() for course in self.courses]
        known = [s for s in found if s is not None]
        return max(known) if known and len(known) == len(found) else None

    def after(self, earlier: Watched) -> Watched:
        """This watch as the going on of an earlier one, of the same two sides, that ended early."""
        before = {course.probe: course for course in earlier.courses}
        courses = tuple(_joined(before[c.probe], c) if c.probe in before else c for c in self.courses)
        return self.model_copy(update={"began": earlier.began, "courses": courses})


def sentence(seen: Watched) -> Reason:
    """How long the application was away, for somebody who reads no other."""
    seconds = seen.seconds()
    if seconds is None:
        return Reason.of("outage.unseen")
    return Reason.of("outage.seen", seconds=f"{seconds:.1f}", every=f"{seen.every_seconds:g}")


def boot_seconds(seen: Watched, up: Mapping[str, datetime]) -> float | None:
    """What of it the target's guests took to boot: from when the cloud said that one runs (`up`, by probe) to its first answer."""
    found = [
        (course.target.first - max(up[course.probe], course.source.last or up[course.probe])).total_seconds()
        for course in seen.courses if course.probe in up and course.target.first is not None
    ]  # fmt: skip
    return max(0.0, *found) if found else None


def _joined(before: Course, now: Course) -> Course:
    def both(one: Looks, two: Looks) -> Looks:
        firsts, lasts = ([t for t in pair if t is not None] for pair in ((one.first, two.first), (one.last, two.last)))
        return Looks(
            address=two.address or one.address, asked=one.asked + two.asked, answered=one.answered + two.answered,
            otherwise=one.otherwise + two.otherwise, first=min(firsts, default=None), last=max(lasts, default=None),
        )  # fmt: skip

    return Course(probe=now.probe, source=both(before.source, now.source), target=both(before.target, now.target))
