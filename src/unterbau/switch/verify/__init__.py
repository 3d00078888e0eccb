# SPDX-License-Identifier: Apache-2.0
"""The independent verifier: own enumeration, own hashes, own verdicts. It imports nothing of the mover."""

from unterbau.switch.verify.contents import Again, Contents, Seen, look, observe, pair
from unterbau.switch.verify.structure import (
    JUDGINGS,
    LOSSES,
    OPENINGS,
    PROBES,
    ROOT_DISKS,
    compare,
    counterparts,
    judgings,
    observed,
)

__all__ = [
    "JUDGINGS", "LOSSES", "OPENINGS", "PROBES", "ROOT_DISKS", "Again", "Contents", "Seen", "compare", "counterparts", "judgings", "look", "observe", "observed",
    "pair",
]  # fmt: skip
