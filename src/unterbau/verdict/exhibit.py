# SPDX-License-Identifier: Apache-2.0
"""What a signed bundle of one verb shows to another. Pure data.

`drill` and `prove` make an `Exhibit` of a bundle that their check judged anew; `judge` lets rules ask for it. An exhibit
believes nothing: who makes one has opened the bundle, and a bundle that does not check shows nothing, and says why.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from unterbau.verdict import Model, Outcome, Reason, Words

Kind = Literal["drill", "proof"]
ASPECTS: dict[Kind, dict[str, Reason]] = {
    "drill": {
        "planned": Reason.of("exhibit.aspect.planned"),
        "tested": Reason.of("exhibit.aspect.tested"),
        "carried": Reason.of("exhibit.aspect.carried"),
        "equivalent": Reason.of("exhibit.aspect.equivalent"),
        "closed": Reason.of("exhibit.aspect.closed"),
        "secure": Reason.of("exhibit.aspect.secure"),
        "erased": Reason.of("exhibit.aspect.erased"),
        "days": Reason.of("exhibit.aspect.days"),
    },
    "proof": {
        "conformant": Reason.of("exhibit.aspect.conformant"),
    },
}
"""What a rule may ask of a bundle of each kind."""


class Showing(Model):
    """One aspect: what the bundle's own claims give, judged anew. `number`: where it is a measure."""

    outcome: Outcome
    why: Words
    number: float | None = None


class Exhibit(Model):
    """A bundle, as far as it shows something. With a `fault` it shows nothing."""

    name: str
    """The file's."""
    digest: str
    """Of the file's bytes: `sha256:…`."""
    kind: Kind | None = None
    fault: Words = ""
    signer: str = ""
    trusted: bool = False
    """Whether the caller named the key."""
    seen: datetime | None = None
    """When the clouds were looked at last (UTC), not when it was sealed."""
    clouds: tuple[str, ...] = ()
    """Of a drill the source and the target, of a proof the cloud: name, address, project."""
    one_machine: bool = False
    """All of them answer at a loopback address, or where that is cannot be read: it shows nothing about any provider."""
    rehearsal: bool = False
    shows: dict[str, Showing] = {}
    """By aspect."""
    limits: tuple[Words, ...] = ()
    """What it does not show, by its own word and its verb's."""
