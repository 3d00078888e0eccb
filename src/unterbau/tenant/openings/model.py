# SPDX-License-Identifier: Apache-2.0
"""An opening as data: what is open on a target that was closed on its source. Pure.

`judge` finds them, a plan and a bundle tell them, and a person allows one by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

from pydantic import Field, model_validator

from unterbau import canonical
from unterbau.tenant.kinds import Opened
from unterbau.verdict import Model, Reason, Words

_SAID: Mapping[Opened, Callable[[str, Words], Reason]] = {
    Opened.INGRESS: lambda what, who: Reason.of("opening.ingress", what=what, who=who),
    Opened.EGRESS: lambda what, who: Reason.of("opening.egress", what=what, who=who),
    Opened.REPLIES: lambda what, who: Reason.of("opening.replies", who=who),
    Opened.PORT_SECURITY: lambda what, who: Reason.of("opening.port-security", who=who),
    Opened.ADDRESS_PAIRS: lambda what, who: Reason.of("opening.address-pairs", what=what, who=who),
    Opened.SWITCHED_ON: lambda what, who: Reason.of("opening.switched-on", who=who),
    Opened.ATTACHED: lambda what, who: Reason.of("opening.attached", what=what, who=who),
    Opened.CONNECTED: lambda what, who: Reason.of("opening.connected", what=what, who=who),
    Opened.GATEWAY: lambda what, who: Reason.of("opening.gateway", what=what, who=who),
    Opened.SNAT: lambda what, who: Reason.of("opening.snat", who=who),
    Opened.PUBLIC_ADDRESS: lambda what, who: Reason.of(
        "opening.public-address", where=what.removeprefix("on "), who=who
    ),
    Opened.SHARED: lambda what, who: Reason.of("opening.shared", what=what, who=who),
    Opened.CONTAINER_ACL: lambda what, who: Reason.of("opening.container-acl", what=what, who=who),
    Opened.CONTAINER_SYNC: lambda what, who: Reason.of("opening.container-sync", what=what, who=who),
    Opened.SECRET_ACL: lambda what, who: Reason.of("opening.secret-acl", what=what, who=who),
    Opened.IMAGE: lambda what, who: Reason.of("opening.image", what=what, who=who),
    Opened.ENCRYPTION: lambda what, who: Reason.of("opening.encryption", who=who),
}
"""What is open where: the sentence of one opening."""
NAMED_AT_MOST = 5


class Opening(Model):
    """One thing that is open on the target and was closed on the source (see `unterbau.tenant.openings`).

    `what` says what is open, in words that depend on no id of the target; `subjects` are the Refs of the source's
    objects it is open at (for an object that the source has not, its kind and name), `names` what people call
    them, in the same order. `id` is made from kind, what and subjects: the same opening has the same id in the
    plan, at the move and at the verification, and an id allows exactly this and no more.
    """

    id: str
    kind: Opened
    what: str
    subjects: tuple[str, ...] = Field(min_length=1)
    names: tuple[str, ...]

    @classmethod
    def of(cls, kind: Opened, what: str, subjects: Mapping[str, str]) -> Opening:
        """The opening; `subjects` maps each subject to its name."""
        ordered = tuple(sorted(subjects))
        id_ = _opening_id(kind, what, ordered)
        return cls(id=id_, kind=kind, what=what, subjects=ordered, names=tuple(subjects[s] for s in ordered))

    @model_validator(mode="after")
    def _id_is_of_the_content(self) -> Self:
        if self.id != _opening_id(self.kind, self.what, self.subjects):
            raise ValueError(f"{self.id} is not the id of this opening")
        return self

    @property
    def text(self) -> Reason:
        """One sentence."""
        named, more = ", ".join(self.names[:NAMED_AT_MOST]), len(self.names) - NAMED_AT_MOST
        return _SAID[self.kind](self.what, Reason.of("opening.more", named=named, more=more) if more > 0 else named)

    def atoms(self) -> tuple[tuple[Opened, str, str], ...]:
        """(kind, what, subject), one for each subject."""
        return tuple((self.kind, self.what, subject) for subject in self.subjects)


def _opening_id(kind: Opened, what: str, subjects: tuple[str, ...]) -> str:
    """E.g. `ingress-3f9a1c2b4d`: readable, and of a length that a person can type."""
    told = canonical.digest([kind.value, what, *subjects]).removeprefix("sha256:")[:10]
    return f"{kind.name.lower().replace('_', '-')}-{told}"
