# SPDX-License-Identifier: Apache-2.0
"""The cases in which a peer lost or opened things, in the bundle of a real drill."""

from __future__ import annotations

from pathlib import Path

import pytest
from worst_cases import CASES, Find, demand_held, demand_nothing_temporary

from unterbau import evidence

CHECKED = evidence.check((Path(__file__).parents[1] / "assets" / "drill.unterbau").read_bytes())


@pytest.mark.parametrize("case", CASES, ids=[c.__name__ for c in CASES])
def test_it_is_carried_as_it_was(case: Find) -> None:
    demand_held(case, CHECKED.bundle, CHECKED.verdicts)


def test_no_temporary_image_or_volume_is_left() -> None:
    demand_nothing_temporary(CHECKED.bundle)
