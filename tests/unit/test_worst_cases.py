# SPDX-License-Identifier: Apache-2.0
"""The cases in which a peer lost or opened things, in the bundles of real drills."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept_bundles import FIRST, KEPT, checked
from worst_cases import CASES, LATER, Find, demand_held, demand_nothing_temporary

ASKED = [(path, case) for path in KEPT for case in (CASES if path == FIRST else (*CASES, *LATER))]


@pytest.mark.parametrize(("path", "case"), ASKED, ids=[f"{p.stem} {c.__name__}" for p, c in ASKED])
def test_it_is_carried_as_it_was(path: Path, case: Find) -> None:
    demand_held(case, checked(path).bundle, checked(path).verdicts)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_no_temporary_image_or_volume_is_left(path: Path) -> None:
    demand_nothing_temporary(checked(path).bundle)
