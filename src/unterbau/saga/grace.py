# SPDX-License-Identifier: Apache-2.0
"""How long a resume must wait for the requests of a process that was killed. `drill` and `verify` call it.

A cloud goes on with a request whose client is dead. What it is still making cannot be found yet, and would be
made twice. So a resume begins only some seconds after the last sign of life.
"""

from __future__ import annotations

from datetime import datetime

from unterbau.saga.journal import Journal

GRACE_SECONDS = 8.0
"""How long a cloud may go on with the requests of a client that was killed."""


def remaining_grace(journal: Journal, now: datetime) -> float:
    """Seconds from `now` until requests of an earlier process have surely ended; 0 if none can be under way."""
    begun = [n for n, s in journal.status.states.items() if s in ("intended", "undo failed", "failed")]
    rows = journal.rows()
    if not begun or not rows:
        return 0.0
    age = (now - datetime.fromisoformat(rows[-1].at)).total_seconds()
    return max(0.0, min(GRACE_SECONDS - age, GRACE_SECONDS))
