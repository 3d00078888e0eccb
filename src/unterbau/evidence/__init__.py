# SPDX-License-Identifier: Apache-2.0
"""Signed bundles of drills, of judged stacks and of proofs of conformance, and their check on another machine without any cloud."""

from unterbau.evidence.bundle import Bundle, CheckResult, check, of_the_whole, remainder, seal
from unterbau.evidence.conformance import ProofCheck, check_proof, is_proof, seal_proof
from unterbau.evidence.keys import fingerprint, signing_key
from unterbau.evidence.stack import StackBundle, StackCheck, check_stack, is_stack, seal_stack

__all__ = [
    "Bundle",
    "CheckResult",
    "ProofCheck",
    "StackBundle",
    "StackCheck",
    "check",
    "check_proof",
    "check_stack",
    "fingerprint",
    "is_proof",
    "is_stack",
    "of_the_whole",
    "remainder",
    "seal",
    "seal_proof",
    "seal_stack",
    "signing_key",
]
