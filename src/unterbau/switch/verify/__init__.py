# SPDX-License-Identifier: Apache-2.0
"""The independent verifier: own enumeration, own hashes, own verdicts. It imports nothing of the mover."""

from unterbau.switch.verify.containers import beside
from unterbau.switch.verify.contents import Again, Contents, Seen, look, observe, pair, tidy
from unterbau.switch.verify.expanding import expanded, with_objects
from unterbau.switch.verify.structure import (
    JUDGINGS,
    LOSSES,
    OF_ANSWERS,
    OPENINGS,
    PROBES,
    ROOT_DISKS,
    compare,
    counterparts,
    judgings,
    observed,
)

__all__ = [
    "JUDGINGS", "LOSSES", "OF_ANSWERS", "OPENINGS", "PROBES", "ROOT_DISKS", "Again", "Contents", "Seen", "beside", "compare", "counterparts", "expanded", "judgings", "look",
    "observe", "observed",
    "pair", "tidy", "with_objects",
]  # fmt: skip
