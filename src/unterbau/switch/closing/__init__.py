# SPDX-License-Identifier: Apache-2.0
"""Giving a source up after a verified move: what may go, the record of it, and the steps that delete."""

from unterbau.switch.closing import parts
from unterbau.switch.closing.back import Standing, ignored
from unterbau.switch.closing.decide import (
    LOCAL_DISK,
    PART,
    Attempt,
    Closing,
    Decision,
    Sealed,
    as_before,
    begun,
    decide,
    deleted,
    deletions,
    demand_known,
    digest,
    kept_late,
    put_back,
    stored_digest,
    touched,
)
from unterbau.switch.closing.parts import Crowds, Texts
from unterbau.switch.closing.steps import Kept, Witness, demand_same, emptying_steps

__all__ = [
    "LOCAL_DISK", "PART", "Attempt", "Closing", "Crowds", "Decision", "Kept", "Sealed", "Standing", "Texts", "Witness", "as_before", "begun",
    "decide", "deleted", "deletions", "demand_known", "demand_same", "digest",
    "emptying_steps", "ignored", "kept_late", "parts", "put_back", "stored_digest", "touched",
]  # fmt: skip
