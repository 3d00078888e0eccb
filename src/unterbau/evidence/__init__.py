# SPDX-License-Identifier: Apache-2.0
"""The signed bundle of a drill, and its check on another machine without any cloud."""

from unterbau.evidence.bundle import Bundle, CheckResult, check, seal
from unterbau.evidence.keys import fingerprint, signing_key

__all__ = ["Bundle", "CheckResult", "check", "fingerprint", "seal", "signing_key"]
