# SPDX-License-Identifier: Apache-2.0
"""From plan to target: the steps for each kind, and the bytes from cloud to cloud."""

from unterbau.move.steps import LedgerLine, ledger, steps

__all__ = ["LedgerLine", "ledger", "steps"]
