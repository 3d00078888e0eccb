# SPDX-License-Identifier: Apache-2.0
"""Durable steps: a run survives a crash at any moment. `move` and `close` use it; it knows no cloud."""

from unterbau.saga.engine import RetryPolicy, RunResult, run, unwind
from unterbau.saga.grace import GRACE_SECONDS, remaining_grace
from unterbau.saga.journal import Journal, Row
from unterbau.saga.status import Event, JsonObject, NodeState, Status, fold
from unterbau.saga.steps import Marker, Outputs, Progress, Step

__all__ = [
    "GRACE_SECONDS", "Event", "Journal", "JsonObject", "Marker", "NodeState", "Outputs", "Progress", "RetryPolicy", "Row",
    "RunResult", "Status", "Step", "fold", "remaining_grace", "run", "unwind",
]  # fmt: skip
