# SPDX-License-Identifier: Apache-2.0
"""Durable steps: a run survives a crash at any moment. `move` and `close` use it; it knows no cloud."""

from unterbau.saga.engine import RetryPolicy, RunResult, note_killed, run, unwind
from unterbau.saga.journal import Journal, Row, peek, timeline
from unterbau.saga.late import insist, wait_out
from unterbau.saga.momentary import Momentary, forget, markers, remaining
from unterbau.saga.status import Event, JsonObject, NodeState, Status, fold
from unterbau.saga.steps import Attempt, Marker, Outputs, Progress, Step, run_of

__all__ = [
    "Attempt", "Event", "Journal", "JsonObject", "Marker", "Momentary", "NodeState", "Outputs", "Progress",
    "RetryPolicy", "Row", "RunResult", "Status", "Step", "fold", "forget", "insist", "markers", "note_killed", "peek",
    "remaining", "run", "run_of", "timeline", "unwind", "wait_out",
]  # fmt: skip
