# SPDX-License-Identifier: Apache-2.0
"""The bundles of real drills that are kept in tests/assets, oldest first: evidence of their time, never resealed.

Each was sealed by `unterbau drill` between two embedded clouds, the source seeded with `fachverfahren`. To keep one
more, of the version that is to be released (the others stay as they are, byte by byte):

    make demo
    cp "${XDG_STATE_HOME:-$HOME/.local/state}"/unterbau/drills/RUN/RUN.unterbau tests/assets/drill-YYYY-MM.unterbau

`test_evidence`, `test_worst_cases` and `test_report_german` then ask it too. All but the first have what
`worst_cases.LATER` looks for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from unterbau.switch import evidence
from unterbau.switch.evidence.bundle import CheckResult

_ASSETS = Path(__file__).parents[1] / "assets"
FIRST = _ASSETS / "drill.unterbau"
KEPT = (FIRST, *sorted(_ASSETS.glob("drill-*.unterbau")))


@cache
def checked(path: Path) -> CheckResult:
    """The bundle, judged anew."""
    return evidence.check(path.read_bytes())
