# SPDX-License-Identifier: Apache-2.0
"""From plan to target: the steps for each kind, the bytes from cloud to cloud, and closing."""

from unterbau.move.close import deletable, emptying_steps
from unterbau.move.steps import LedgerLine, ledger, steps

__all__ = ["LedgerLine", "deletable", "emptying_steps", "ledger", "steps"]
