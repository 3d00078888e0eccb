# SPDX-License-Identifier: Apache-2.0
"""The independent verifier: own enumeration, own hashes, own verdicts. It imports nothing of the mover."""

from unterbau.verify.contents import Contents, look
from unterbau.verify.structure import JUDGINGS, OPENINGS, compare

__all__ = ["JUDGINGS", "OPENINGS", "Contents", "compare", "look"]
