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
    NOTHING_TO_JUDGE,
    Decision,
    Judge,
    View,
    conclude,
    named,
    not_applicable,
    not_shown,
    offered_to_tenants,
    run,
    text,
)
from unterbau.prove.verdicts import Finding, Fix
from unterbau.verdict import Reason, Words, joined, told_as

ASPECTS = ("encrypted", "replicated")
_PREFIX = re.compile(r"\[scs:([^\]]*)\]")


def advertised(volume_type: Item) -> tuple[str, ...] | None:
    """The aspects in the order in which they stand; None if nothing is advertised, or the bracket is open."""
    match = _PREFIX.match(text(volume_type, "description"))
    return tuple(word.strip() for word in match.group(1).split(",")) if match else None


def _fault(volume_type: Item) -> Words:
    aspects = advertised(volume_type)
    if aspects is None:
        return Reason.of("prove.type.open-list")
    if "" in aspects:
        return Reason.of("prove.type.empty-word")
    if len(set(aspects)) < len(aspects):
        return Reason.of("prove.type.twice")
    return "" if list(aspects) == sorted(aspects) else Reason.of("prove.type.unsorted")


def syntax(view: View) -> Decision:
    """Descriptions that begin with `[scs:` have the form of the standard."""
    types = offered_to_tenants(view, "volume_types")
    speaking = [t for t in types if text(t, "description").startswith("[scs:")]
    if types and not speaking:
        return not_applicable(Reason.of("prove.type.none-advertises", count=len(types))).but(True, NOTHING_TO_JUDGE)
    findings = [_finding(view, t, fault) for t in speaking if (fault := _fault(t))]
    return conclude(
        findings,
        len(speaking),
        Reason.of("prove.type.right-form", count=len(speaking)),
        Reason.of("prove.no-types"),
    ).but(
        not any(_reference_fault(t) for t in types),
        Reason.of("prove.suite.aspects"),
    )


def _reference_fault(volume_type: Item) -> bool:
    match = re.match(r"\[scs:([^\[\]]*)\]", text(volume_type, "description"))
    aspects = [a.strip() for a in match.group(1).split(",")] if match and match.group(1) else []
    return aspects != sorted(set(aspects)) or not set(aspects) <= set(ASPECTS)


def only_aspects(view: View) -> Decision:
    """No other aspects stand in the brackets than those of the standard. (Our id; no official test.)"""
    types = [t for t in offered_to_tenants(view, "volume_types") if advertised(t)]
    if view.items("volume_types") and not types:
        return not_applicable(Reason.of("prove.type.none-advertises", count=len(view.items("volume_types"))))
    findings = [
        view.finding(
            named("volume type", t),
            Reason.of("prove.type.no-aspect", words=others),
            Reason.of("prove.type.only-aspects", aspects=list(ASPECTS)),
            run(f"openstack volume type set --description '[scs:...] {', '.join(others)} ...' {text(t, 'id')}"),
        )
        for t in types
        if (others := [a for a in advertised(t) or () if a and a not in ASPECTS])
    ]
    held = Reason.of("prove.type.nothing-else", count=len(types))
    return conclude(findings, len(types), held, Reason.of("prove.no-types"))


def encrypts(view: View) -> Decision:
    """A volume of a type that advertises encryption is encrypted. (Our id; no official test.)"""
    types = [t for t in offered_to_tenants(view, "volume_types") if "encrypted" in (advertised(t) or ())]
    if view.items("volume_types") and not types:
        return not_applicable(Reason.of("prove.type.none-encrypted"))
    items = {text(i, "type"): i for i in view.items("write_results") if text(i, "test") == "encryption"}
    told = {text(t, "name"): items.get(text(t, "name"), {}) for t in types}
    findings = [
        view.finding(
            f"volume type {name}",
            Reason.of("prove.type.not-encrypted"),
            Reason.of("prove.type.encrypts"),
            Reason.of("prove.type.encrypt", command=f"openstack volume type set --encryption-provider luks ... {name}"),
        )
        for name, item in told.items()
        if item.get("encrypted") is False
    ]
    untold = [
        Reason.of("about", what=name, reason=_error(item))
        for name, item in told.items()
        if item.get("encrypted") is None
    ]
    if untold and not findings:
        return not_shown(joined(untold), len(types))
    held = Reason.of("prove.type.encrypted", names=list(told))
    return conclude(findings, len(types), held, Reason.of("prove.no-types"))


def _error(item: Item) -> Words:
    return told_as(item["error"]) if item.get("error") else Reason.of("prove.type.no-volume")


def _finding(view: View, volume_type: Item, fault: Words) -> Finding:
    description = text(volume_type, "description")
    words = re.findall(r"[a-z]+", description[5:].split("]")[0])
    right = f"[scs:{', '.join(sorted({w for w in words if w in ASPECTS}))}]"
    rest = description.split("]", 1)[1] if "]" in description else ""
    return view.finding(
        named("volume type", volume_type),
        Reason.of("prove.type.fault", description=description[:60], fault=fault),
        Reason.of("prove.type.sorted", aspects=list(ASPECTS)),
        run(f"openstack volume type set --description '{right}{rest}' {text(volume_type, 'id')}"),
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
                Reason.of("prove.type.none-of-this", aspect=aspect),
                Reason.of("prove.type.one-of-this", aspect=aspect),
                Reason.of(
                    "prove.type.advertise",
                    command=f"openstack volume type set --description '[scs:{aspect}] ...' TYPE",
                    aspect=aspect,
                ),
            )
        ]
    )
    held = Reason.of("prove.type.advertises", type=named("volume type", types[0])) if types else ""
    return conclude(findings, 1, held, "")


JUDGES: dict[str, Judge] = {
    "scs-0114-syntax-check": syntax,
    "scs-0114-encrypted-type": partial(has, "encrypted"),
    "scs-0114-replicated-type": partial(has, "replicated"),
    "scs-0114-only-aspects": only_aspects,
    "scs-0114-encrypts": encrypts,
}
