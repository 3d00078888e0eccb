# SPDX-License-Identifier: Apache-2.0
"""An opening as data: what is open on a target that was closed on its source. Pure.

`judge` finds them, a plan and a bundle tell them, and a person allows one by its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from unterbau import canonical
from unterbau.tenant.kinds import Opened
from unterbau.verdict import Model

_SAID: Mapping[Opened, str] = {
    Opened.INGRESS: "{what} reaches {who}",
    Opened.EGRESS: "{who} may send {what}",
    Opened.REPLIES: "replies pass {who}, whose groups are stateful there",
    Opened.PORT_SECURITY: "{who} has no port security: all traffic passes, from and to any address",
    Opened.ADDRESS_PAIRS: "{who} may also use {what}",
    Opened.SWITCHED_ON: "{who} is switched on",
    Opened.ATTACHED: "{who} stands on {what}",
    Opened.CONNECTED: "{who} is connected by {what}",
    Opened.GATEWAY: "{who} leads to the external network {what}",
    Opened.SNAT: "{who} has SNAT: addresses behind it that had no way out have one",
    Opened.PUBLIC_ADDRESS: "{who} has a public address {what}",
    Opened.SHARED: "{who} is shared: {what}",
    Opened.CONTAINER_ACL: "{who} is open to {what}",
    Opened.CONTAINER_SYNC: "{who} is copied to {what}",
    Opened.SECRET_ACL: "{who} may be read by {what}",
    Opened.IMAGE: "{who} is open to {what}",
    Opened.ENCRYPTION: "{who} lies unencrypted",
}
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
    def text(self) -> str:
        """One sentence."""
        more = len(self.names) - NAMED_AT_MOST
        who = ", ".join(self.names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
        return _SAID[self.kind].format(what=self.what, who=who)

    def atoms(self) -> tuple[tuple[Opened, str, str], ...]:
        """(kind, what, subject), one for each subject."""
        return tuple((self.kind, self.what, subject) for subject in self.subjects)


def _opening_id(kind: Opened, what: str, subjects: tuple[str, ...]) -> str:
    """E.g. `ingress-3f9a1c2b4d`: readable, and of a length that a person can type."""
    told = canonical.digest([kind.value, what, *subjects]).removeprefix("sha256:")[:10]
    return f"{kind.name.lower().replace('_', '-')}-{told}"
