# SPDX-License-Identifier: Apache-2.0
"""The findings of a doctor on the terminal: one line each, with the remedy."""

from __future__ import annotations

from collections.abc import Sequence

from unterbau.doctor.findings import Findings
from unterbau.face.results import MARKS, listed, say


def findings(told: Sequence[Findings]) -> None:
    """What is missing first. Several clouds one below the other."""
    for one in told:
        say(f"{one.about}:")
        for found in one.sorted():
            listed(f"{MARKS[found.outcome]}  {found.what}", f"for: {', '.join(found.verbs)}", found.said, found.remedy)
