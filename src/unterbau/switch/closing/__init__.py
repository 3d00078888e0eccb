# SPDX-License-Identifier: Apache-2.0
"""Giving a source up after a verified move: what may go, the record of it, and the steps that delete."""

from unterbau.switch.closing.decide import (
    FROM_BIRTH,
    Attempt,
    Closing,
    Decision,
    Relations,
    Sealed,
    as_before,
    begun,
    content_stamp,
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
from unterbau.switch.closing.steps import Kept, Witness, demand_same, doomed_disks, emptying_steps, protection

__all__ = [
    "FROM_BIRTH", "Attempt", "Closing", "Decision", "Kept", "Relations", "Sealed", "Witness", "as_before", "begun",
    "content_stamp", "decide", "deleted", "deletions", "demand_known", "demand_same", "digest", "doomed_disks",
    "emptying_steps", "kept_late", "protection", "put_back", "stored_digest", "touched",
]  # fmt: skip
