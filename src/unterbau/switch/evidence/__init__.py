# SPDX-License-Identifier: Apache-2.0
"""The drill's signed bundle (`bundle`), that of a closed source (`closing`), and the looks both judge anew (`looks`)."""

from unterbau.evidence.core import PREDICATE_TYPE as KIND
from unterbau.switch.evidence.bundle import (
    Bundle,
    CheckResult,
    check,
    check_opened,
    expanded,
    of_closing,
    of_the_whole,
    plain,
    remainder,
    seal,
    seal_into,
    spelled_plan,
    texts,
)
from unterbau.switch.evidence.closing import NAME as CLOSING
from unterbau.switch.evidence.exhibit import exhibit

__all__ = [
    "CLOSING",
    "KIND",
    "Bundle",
    "CheckResult",
    "check",
    "check_opened",
    "exhibit",
    "expanded",
    "of_closing",
    "of_the_whole",
    "plain",
    "remainder",
    "seal",
    "seal_into",
    "spelled_plan",
    "texts",
]
