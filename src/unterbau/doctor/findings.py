# SPDX-License-Identifier: Apache-2.0
"""What a doctor tells: one finding for each thing that verbs need. Pure."""

from __future__ import annotations

from unterbau.verdict import Model, Outcome

_ORDER = (Outcome.FAILED, Outcome.NOT_SHOWN, Outcome.HELD)


class Finding(Model):
    """One thing that verbs need. `held`: it is there; `failed`: it is missing; `not shown`: reading does not tell."""

    what: str
    outcome: Outcome
    verbs: tuple[str, ...]
    """The verbs that need it, as they are typed."""
    said: str
    """What was seen."""
    remedy: str = ""
    """What a person does about it; empty if nothing is to be done."""


class Findings(Model):
    """Of this machine, or of one cloud."""

    about: str
    """`this machine`, or the name of the cloud."""
    findings: tuple[Finding, ...]

    def sorted(self) -> tuple[Finding, ...]:
        """What is missing first, then what is not shown."""
        return tuple(sorted(self.findings, key=lambda f: _ORDER.index(f.outcome)))
