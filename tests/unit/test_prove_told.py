# SPDX-License-Identifier: Apache-2.0
"""What `prove` tells of clouds that break a rule or show little: word by word, with the fix for machines.

Operators act on it, and a mend that names another flavor does harm that no outcome shows. So it is kept in
tests/assets/prove, and whoever changes a judge reads in the difference what changes for people. After a change that is meant:
`python tests/unit/test_prove_told.py`, and look at the difference.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prove_world import MUTATIONS, NOW, good_items, inventory

from unterbau.prove.data import load
from unterbau.prove.inventory import SECTIONS, Inventory, Status
from unterbau.prove.judges import decide
from unterbau.prove.judges.frame import Decision, View

KEPT = Path(__file__).parents[1] / "assets" / "prove"
Items = dict[str, list[dict[str, Any]]]
World = tuple[str, Inventory]
GONE = object()
ODD: tuple[Any, ...] = (GONE, "", "odd", "0", -1, "2019-01-01")


def decided(seen: Inventory, sections: tuple[str, ...]) -> Iterator[tuple[str, Decision]]:
    """The decisions on all cases that look at one of these sections (without one: on all)."""
    for case in load().cases:
        if not sections or set(sections) & set(case.needs):
            yield case.id, decide(View(inventory=seen, at=NOW, case=case, data=load()))


def told(worlds: Iterator[World], *sections: str) -> str:
    """Of the good cloud everything, of each other what differs from it."""
    known = {case: lines(decision) for case, decision in decided(inventory(), sections)}
    found = ["# the good cloud"]
    for case, said in known.items():
        found += [f"{case}: {said[0]}", *(f"    {line}" for line in said[1:])]
    for name, seen in worlds:
        found.append(f"# {name}")
        for case, decision in decided(seen, sections):
            said = lines(decision)
            if said != known[case]:
                found += [f"{case}: {said[0]}", *(f"    {line}" for line in said[1:])]
    return "\n".join(found) + "\n"


def lines(decision: Decision) -> list[str]:
    """A decision in lines, each field of it."""
    found = [f"{decision.outcome.value} ({decision.looked_at}): {decision.reason}"]
    found += [f"note: {decision.note}"] if decision.note else []
    if decision.reference:
        found.append(f"suite: {decision.reference.outcome}: {decision.reference.why}")
    for one in decision.findings:
        fix = json.dumps(one.fix.model_dump(mode="json"), sort_keys=True) if one.fix else "-"
        found.append(f"{one.object} | {one.observed} | {one.required} | {one.mend} | {one.clause} | {fix}")
    return found


def mutated() -> Iterator[World]:
    """The mutations of the judges' own tests."""
    for mutation in MUTATIONS:
        yield mutation.name, inventory(mutation.apply(good_items()))


def unseen() -> Iterator[World]:
    """A section that could not be seen, or is empty."""
    for section in SECTIONS:
        for status in Status:
            if status is not Status.SEEN:
                yield f"{section} is {status.value}", inventory(None, **{section: status})
        items = good_items()
        items[section] = []
        yield f"{section} is empty", inventory(items)


def odd(section: str) -> Callable[[], Iterator[World]]:
    """The first object of a section with one value that is gone or odd, and twice."""

    def worlds() -> Iterator[World]:
        for key in good_items()[section][0]:
            for value in ODD:
                items = good_items()
                first = items[section][0]
                if value is GONE:
                    del first[key]
                else:
                    first[key] = value
                yield f"{section}: {key} is {'gone' if value is GONE else repr(value)}", inventory(items)
        items = good_items()
        items[section].append(items[section][0])
        yield f"{section}: the first stands there twice", inventory(items)

    return worlds


def as_administrator() -> Iterator[World]:
    """Who is an administrator sees what nobody is offered."""
    for section in ("flavors", "volume_types"):
        for key in ("os-flavor-access:is_public", "os-volume-type-access:is_public", "is_public"):
            items = good_items()
            items[section][0][key] = False
            seen = inventory(items)
            subject = seen.subject.model_copy(update={"roles": ("admin",)})
            yield (
                f"an administrator, and {key} of the first of {section} is false",
                seen.model_copy(update={"subject": subject}),
            )


PAGES: dict[str, tuple[Callable[[], Iterator[World]], tuple[str, ...]]] = {
    "mutations": (mutated, ()),
    "unseen": (unseen, ()),
    "administrator": (as_administrator, ()),
    **{section: (odd(section), (section,)) for section in good_items()},
}


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES)
def test_what_is_told_is_what_was_told(page: str) -> None:
    worlds, sections = PAGES[page]
    assert told(worlds(), *sections).splitlines() == (KEPT / f"{page}.txt").read_text().splitlines()


if __name__ == "__main__":
    for page in sys.argv[1:] or PAGES:
        worlds, sections = PAGES[page]
        (KEPT / f"{page}.txt").write_text(told(worlds(), *sections))
