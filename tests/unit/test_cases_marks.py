# SPDX-License-Identifier: Apache-2.0
"""Our mark is one more tag, or one more metadata: what has no room for it is left by name, or marked in its second place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_planning import cloud, plan

from unterbau.cloud.simulator import Simulator
from unterbau.errors import CloudError
from unterbau.tenant.kinds import Container, Fate, Flavor, Image, Network, Offering, Quota, Server, StoredObject
from unterbau.verdict import Outcome

FLAVOR = Flavor(name="SCS-2V-8", vcpus=2, ram_mib=8192, disk_gib=0)
SERVER = Server(id="s", name="s", status="ACTIVE", flavor=FLAVOR)
BOX = Container(id="b", name="b")
OBJECT = StoredObject(id="b/o", name="o", container="b", size_bytes=1, etag="")
MARK = "unterbau." + "r" * 34 + ".0123456789abcdef"


def many(number: int, value: str = "v") -> dict[str, str]:
    return {f"k{n:03}": value for n in range(number)}


def tags(number: int) -> tuple[str, ...]:
    return tuple(f"t{n}" for n in range(number))


CASES: list[tuple[Any, dict[str, Any], bool]] = [
    (Network(id="n", name="n"), {"tags": tags(49)}, True),
    (Network(id="n", name="n"), {"tags": tags(50)}, False),
    (Image(id="i", name="i", status="active"), {"tags": tags(127)}, True),
    (Image(id="i", name="i", status="active"), {"tags": tags(128)}, False),
    (SERVER, {"metadata": many(127), "tags": tags(50)}, True),
    (SERVER, {"metadata": many(128), "tags": tags(49)}, True),
    (SERVER, {"metadata": many(128), "tags": tags(50)}, False),
    (BOX, {"metadata": many(89)}, True),
    (BOX, {"metadata": many(90)}, False),
    (BOX, {"metadata": many(16, "v" * 245)}, True),
    (BOX, {"metadata": many(16, "v" * 250)}, False),
    (OBJECT, {"metadata": many(89)}, True),
    (OBJECT, {"metadata": many(90)}, False),
]


@pytest.mark.parametrize(("bare", "fields", "fits"), CASES, ids=lambda one: getattr(one, "kind", None))
def test_what_has_no_room_for_our_mark_is_left_and_says_so(
    bare: Any, fields: dict[str, Any], fits: bool, tmp_path: Path
) -> None:
    """And a cloud takes exactly what the plan carries."""
    thing = bare.model_copy(update=fields)
    around = [BOX] if bare is OBJECT else []
    entry = plan(*around, thing, target=cloud("b", offering=Offering(flavors=(FLAVOR,)))).by_ref[thing.ref]
    assert (entry.fate is not Fate.LEFT) is fits
    assert fits or ("no room for our mark" in entry.why and entry.remedy)
    world = Simulator(tmp_path)
    taken = True
    try:
        if bare is OBJECT:
            world.ensure(BOX, MARK)
            world.write_object(thing, [b"x"], MARK)
        else:
            world.ensure(thing, MARK)
    except CloudError:
        taken = False
    assert taken is fits


def test_our_mark_takes_less_than_is_kept_for_it() -> None:
    from unterbau.cloud.port import marked
    from unterbau.tenant.kinds.object import MARK_BYTES

    theirs = {"unterbau": "x", "unterbau-marker": "x"}
    ((key, value),) = marked(theirs, MARK).items() - theirs.items()
    assert len(key) + len(value) <= MARK_BYTES


@pytest.mark.parametrize(("count", "limit", "outcome"), [(9, 10, Outcome.HELD), (10, 10, Outcome.FAILED)])
def test_a_smaller_limit_of_metadata_is_a_check_with_our_mark_in_it(count: int, limit: int, outcome: Outcome) -> None:
    quota = Quota(service="compute", resource="metadata_items", limit=limit, used=0)
    thing = SERVER.model_copy(update={"metadata": many(count)})
    made = plan(thing, target=cloud("b", offering=Offering(flavors=(FLAVOR,), quotas=(quota,))))
    assert {c.outcome for c in made.checks if c.name == "quota metadata_items"} == {outcome}
