# SPDX-License-Identifier: Apache-2.0
"""Signed bundles of drills and of judged stacks, and their check on another machine without any cloud."""

from unterbau.evidence.bundle import Bundle, CheckResult, check, seal
from unterbau.evidence.keys import fingerprint, signing_key
from unterbau.evidence.stack import StackBundle, StackCheck, check_stack, is_stack, seal_stack

__all__ = [
    "Bundle",
    "CheckResult",
    "StackBundle",
    "StackCheck",
    "check",
    "check_stack",
    "fingerprint",
    "is_stack",
    "seal",
    "seal_stack",
    "signing_key",
]
