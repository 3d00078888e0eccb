# SPDX-License-Identifier: Apache-2.0
"""scs-0114 volume types: what a volume type's description advertises, and whether the recommended aspects are there.

https://docs.scs.community/standards/scs-0114-v1-volume-type-standard. A description that begins with `[scs:` must
hold a sorted list of aspects, each once ("Systematic Description of Volume Types": MUST). Other aspects than the two of
the standard SHOULD NOT stand there ("OPTIONAL volume types"): that is advice. Whether a volume is really replicated
no API tells a tenant; whether it is encrypted, a volume tells that `--write` makes.
"""

from __future__ import annotations

import re
from functools import partial

from unterbau.prove.inventory import Item
from unterbau.prove.judges.frame import (
    Decision,
    Judge,
    View,
    conclude,
    named,
    not_applicable,
    not_shown,
    offered_to_tenants,
    text,
)
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
    if "" in aspects:
        return "an empty word is no aspect"
    if len(set(aspects)) < len(aspects):
        return "an aspect stands there twice"
    return "" if list(aspects) == sorted(aspects) else "the aspects are not sorted"


def syntax(view: View) -> Decision:
    """Descriptions that begin with `[scs:` have the form of the standard."""
    types = offered_to_tenants(view, "volume_types")
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
    ).but(
        not any(_reference_fault(t) for t in types),
        "it takes an unknown aspect for a fault, a list that is empty or not closed for none, and passes where there is "
        "nothing to judge",
    )


def _reference_fault(volume_type: Item) -> bool:
    match = re.match(r"\[scs:([^\[\]]*)\]", text(volume_type, "description"))
    aspects = [a.strip() for a in match.group(1).split(",")] if match and match.group(1) else []
    return aspects != sorted(set(aspects)) or not set(aspects) <= set(ASPECTS)


def only_aspects(view: View) -> Decision:
    """No other aspects stand in the brackets than those of the standard. (Our id; no official test.)"""
    types = [t for t in offered_to_tenants(view, "volume_types") if advertised(t)]
    if view.items("volume_types") and not types:
        return not_applicable("no volume type advertises aspects")
    findings = [
        view.finding(
            named("volume type", t),
            f"{', '.join(others)} is no aspect of the standard",
            f"only {' and '.join(ASPECTS)} in the brackets; what else there is to say, behind them",
            f"openstack volume type set --description '[scs:...] {', '.join(others)} ...' {text(t, 'id')}",
        )
        for t in types
        if (others := [a for a in advertised(t) or () if a and a not in ASPECTS])
    ]
    return conclude(findings, len(types), f"{len(types)} volume types advertise nothing else", "there are none")


def encrypts(view: View) -> Decision:
    """A volume of a type that advertises encryption is encrypted. (Our id; no official test.)"""
    types = [t for t in offered_to_tenants(view, "volume_types") if "encrypted" in (advertised(t) or ())]
    if view.items("volume_types") and not types:
        return not_applicable("no volume type advertises that it is encrypted")
    items = {text(i, "type"): i for i in view.items("write_results") if text(i, "test") == "encryption"}
    told = {text(t, "name"): items.get(text(t, "name"), {}) for t in types}
    findings = [
        view.finding(
            f"volume type {name}",
            "a volume of it is not encrypted",
            "what advertises [scs:encrypted] encrypts",
            f"openstack volume type set --encryption-provider luks ... {name}, or take the aspect out of its description",
        )
        for name, item in told.items()
        if item.get("encrypted") is False
    ]
    untold = [f"{n}: {text(i, 'error') or 'no volume was made'}" for n, i in told.items() if i.get("encrypted") is None]
    if untold and not findings:
        return not_shown("; ".join(untold), len(types))
    return conclude(findings, len(types), f"volumes of {', '.join(told)} are encrypted", "there are no volume types")


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
    offered = offered_to_tenants(view, "volume_types")
    types = [t for t in offered if aspect in (advertised(t) or ())]
    findings = (
        []
        if types
        else [
            view.finding(
                f"volume types ({len(offered)})",
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
    "scs-0114-only-aspects": only_aspects,
    "scs-0114-encrypts": encrypts,
}
