# SPDX-License-Identifier: Apache-2.0
"""From plan to target: the steps for each kind, the bytes from cloud to cloud, and closing."""

from unterbau.move.close import deletable, emptying_steps
from unterbau.move.steps import LedgerLine, ledger, steps
from unterbau.move.sweep import Swept, left_over, sweep, temporaries

__all__ = [
    "LedgerLine", "Swept", "deletable", "emptying_steps", "ledger", "left_over", "steps", "sweep", "temporaries",
]  # fmt: skip
