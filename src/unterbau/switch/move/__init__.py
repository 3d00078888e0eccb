# SPDX-License-Identifier: Apache-2.0
"""From plan to target: the steps for each kind, and the bytes from cloud to cloud."""

from unterbau.switch.move.cutting import running, sparing, steps, until_stop
from unterbau.switch.move.parts import PartStep, begun, written
from unterbau.switch.move.steps import LedgerLine, ledger
from unterbau.switch.move.sweep import Swept, left_over, sweep, temporaries

__all__ = [
    "LedgerLine",
    "PartStep",
    "Swept",
    "begun",
    "ledger",
    "left_over",
    "running",
    "sparing",
    "steps",
    "sweep",
    "temporaries",
    "until_stop",
    "written",
]
