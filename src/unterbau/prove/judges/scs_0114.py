# SPDX-License-Identifier: Apache-2.0
"""scs-0114 volume types: what a volume type's description advertises, and whether the recommended aspects are there.

https://docs.scs.community/standards/scs-0114-v1-volume-type-standard. A description that begins with `[scs:` must
hold a sorted list of known aspects, each once ("Systematic description", "Conformance tests"). Whether a volume is
really encrypted or replicated no API tells a tenant: what counts is that it is advertised.
"""

from __future__ import annotations

import re
from functools import partial

from unterbau.prove.inventory import Item
from unterbau.prove.judges.frame import Decision, Judge, View, conclude, named, not_applicable, text
from unterbau.prove.verdicts import Finding, Fix

ASPECTS = ("encrypted", "replicated")
_PREFIX = re.compile(r"\[scs:([^\]]*)\]")


def advertised(volume_type: Item) -> tuple[str, ...] | None:
    """The aspects in the order in which they stand; None if nothing is advertised, or the bracket is open."""
    match = _PREFIX.match(text(volume_type, "description"))
    return tuple(word.strip() for word in match.group(1).split(",")) if match else None


def _fault(volume_type: Item) -> str:
    aspects = advertised(volume_type)
    if aspects is None:
        return "the list is not closed by ]"
    unknown = [a for a in aspects if a not in ASPECTS]
    if unknown:
        return f"{', '.join(unknown) or 'an empty word'} is no aspect of the standard"
    if len(set(aspects)) < len(aspects):
        return "an aspect stands there twice"
    return "" if list(aspects) == sorted(aspects) else "the aspects are not sorted"


def syntax(view: View) -> Decision:
    """Descriptions that begin with `[scs:` have the form of the standard."""
    types = view.items("volume_types")
    speaking = [t for t in types if text(t, "description").startswith("[scs:")]
    if types and not speaking:
        return not_applicable(f"none of the {len(types)} volume types advertises aspects").but(
            True, "it passes where there is nothing to judge"
        )
    findings = [_finding(view, t, fault) for t in speaking if (fault := _fault(t))]
    return conclude(
        findings,
        len(speaking),
        f"{len(speaking)} volume types advertise in the right form",
        "the cloud has no volume types",
    ).but(not findings, "it passes where there is nothing to judge")


def _finding(view: View, volume_type: Item, fault: str) -> Finding:
    description = text(volume_type, "description")
    words = re.findall(r"[a-z]+", description[5:].split("]")[0])
    right = f"[scs:{', '.join(sorted({w for w in words if w in ASPECTS}))}]"
    rest = description.split("]", 1)[1] if "]" in description else ""
    return view.finding(
        named("volume type", volume_type),
        f"{description[:60]!r}: {fault}",
        f"a sorted list of {' and '.join(ASPECTS)}, each at most once",
        f"openstack volume type set --description '{right}{rest}' {text(volume_type, 'id')}",
        Fix(
            action="set-volume-type",
            target=text(volume_type, "id"),
            name=text(volume_type, "name"),
            values={"description": right + rest},
        ),
    )


def has(aspect: str, view: View) -> Decision:
    """Some volume type advertises the aspect."""
    types = [t for t in view.items("volume_types") if aspect in (advertised(t) or ())]
    findings = (
        []
        if types
        else [
            view.finding(
                f"volume types ({len(view.items('volume_types'))})",
                f"none advertises {aspect}",
                f"one whose description begins with [scs:{aspect}]",
                f"openstack volume type set --description '[scs:{aspect}] ...' TYPE, for one that is {aspect}",
            )
        ]
    )
    return conclude(findings, 1, f"{named('volume type', types[0])} advertises it" if types else "", "")


JUDGES: dict[str, Judge] = {
    "scs-0114-syntax-check": syntax,
    "scs-0114-encrypted-type": partial(has, "encrypted"),
    "scs-0114-replicated-type": partial(has, "replicated"),
}
