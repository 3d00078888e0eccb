# SPDX-License-Identifier: Apache-2.0
"""scs-0100 flavor naming: do names with the prefix SCS- follow the scheme, and do flavors keep what names promise?

https://docs.scs.community/standards/scs-0100-v3-flavor-naming#naming-policy-compliance. Names without the prefix are
free. v1's spelling is tolerated ("for the time being", section "Previous standard versions"). Understating is
allowed. What Nova does not tell (guaranteed CPU share, microcode, ECC, GPU) is no finding and no proof: a note.
"""

from __future__ import annotations

from typing import Any

from unterbau.prove.inventory import Item
from unterbau.prove.judges.frame import (
    NOTHING_TO_JUDGE,
    Decision,
    Judge,
    View,
    conclude,
    mapping,
    named,
    not_applicable,
    not_shown,
    number,
    offered_to_tenants,
    text,
)
from unterbau.prove.judges.suite import accepts_name
from unterbau.prove.verdicts import Finding, Fix
from unterbau.scs.flavor_name import CPU_TYPES, DISK_TYPES, BadName, Meaning, is_v1, parse_any, shortfalls
from unterbau.verdict import Reason, Words, joined

PREFIX = "SCS-"


def usable(view: View) -> tuple[Item, ...]:
    """Flavors that a tenant can use: disabled ones promise nothing, and private ones that only an administrator
    sees are offered to nobody. (Without these rights Nova lists what this project may use.)
    """
    return tuple(f for f in offered_to_tenants(view, "flavors") if not f.get("OS-FLV-DISABLED:disabled"))


def specs(flavor: Item) -> dict[str, str]:
    """The extra specs as text; empty also where they were not seen."""
    return {key: str(value) for key, value in mapping(flavor.get("extra_specs")).items()}


def syntax(view: View) -> Decision:
    """Every name that starts with SCS- parses."""
    flavors = usable(view)
    ours = [f for f in flavors if text(f, "name").startswith(PREFIX)]
    if flavors and not ours:
        return not_applicable(Reason.of("prove.flavor.no-prefix", count=len(flavors))).but(True, NOTHING_TO_JUDGE)
    old = [text(f, "name") for f in ours if is_v1(text(f, "name"))]
    decision = conclude(
        (finding for flavor in ours for finding in _syntax_of(view, flavor)),
        len(ours),
        Reason.of("prove.flavor.names-good", count=len(ours)),
        Reason.of("prove.no-flavors"),
        Reason.of("prove.flavor.v1-names", names=sorted(old)) if old else "",
    )
    return decision.but(
        all(accepts_name(text(f, "name")) for f in ours),
        Reason.of("prove.suite.names"),
    )


def _syntax_of(view: View, flavor: Item) -> list[Finding]:
    name = text(flavor, "name")
    try:
        parse_any(name)
    except BadName as bad:
        near = bad.nearest
        return [
            view.finding(
                named("flavor", flavor),
                bad.why,
                Reason.of("prove.flavor.name-required"),
                Reason.of("prove.flavor.offer-as", name=near) if near else Reason.of("prove.flavor.rename"),
                Fix(action="rename-flavor", target=text(flavor, "id"), name=name, values={"name": near}),
            )
        ]
    return []


def semantics(view: View) -> Decision:
    """Every flavor with a valid SCS- name has at least what the name promises, as far as Nova tells."""
    flavors = usable(view)
    promised = [(f, parse_any(text(f, "name"))) for f in flavors if _is_readable(text(f, "name"))]
    if flavors and not promised:
        return not_applicable(Reason.of("prove.flavor.no-promise", count=len(flavors))).but(True, NOTHING_TO_JUDGE)
    untold = [text(f, "name") for f, _ in promised if number(f, "vcpus") is None or number(f, "ram") is None]
    if untold:
        return not_shown(Reason.of("prove.flavor.figures-untold", names=untold), len(promised))
    decision = conclude(
        (finding for flavor, meaning in promised for finding in _broken(view, flavor, meaning)),
        len(promised),
        Reason.of("prove.flavor.promises-kept", count=len(promised)),
        Reason.of("prove.no-flavors"),
        _unseen_promises(promised),
    )
    aborts = any(m.has_disk and m.disk_gb is None for _, m in promised)
    return decision.but(
        None if aborts else all(_reference_keeps(f, m) for f, m in promised),
        Reason.of("prove.suite.disk-without-size" if aborts else "prove.suite.promises"),
    )


def _is_readable(name: str) -> bool:
    try:
        parse_any(name)
    except BadName:
        return False
    return True


def _reference_keeps(flavor: Item, m: Meaning) -> bool:
    ram, disk = number(flavor, "ram") or 0, number(flavor, "disk") or 0
    return (number(flavor, "vcpus") or 0) >= m.cpus and ram + 51 >= m.ram_gib * 1024 and disk >= (m.disk_gb or 0)


def offered(flavor: Item, promised: Meaning) -> Meaning:
    """What Nova says of a flavor, in the words of a name; what it does not say is taken to be as promised."""
    extra = specs(flavor)
    cpu_class = next((c for c, word in CPU_TYPES.items() if word == extra.get("scs:cpu-type")), None)
    if extra.get("hw:cpu_policy") == "shared" and promised.cpu_class in ("C", "T"):
        cpu_class = cpu_class or "V"
    disk, spare = int(number(flavor, "disk") or 0), int(number(flavor, "OS-FLV-EXT-DATA:ephemeral") or 0)
    disk_type = next((d for d, word in DISK_TYPES.items() if word == extra.get("scs:disk0-type")), promised.disk_type)
    size = promised.disk_gb or disk
    count = 1 + (spare // size if size else 0)
    told: dict[str, Any] = {
        "cpus": int(number(flavor, "vcpus") or 0),
        "ram_gib": (number(flavor, "ram") or 0) / 1024,
        "cpu_class": cpu_class or promised.cpu_class,
    }
    # A disk whose size the cloud picks is written as 0 in Nova: the image decides.
    if promised.has_disk and promised.disk_gb is not None:
        told |= {"has_disk": disk > 0, "disk_gb": disk or None, "disk_count": count if disk and count > 1 else None}
        told |= {"disk_type": disk_type if disk else None}
    return promised.model_copy(update=told)


def _broken(view: View, flavor: Item, meaning: Meaning) -> list[Finding]:
    less = shortfalls(offered(flavor, meaning), meaning)
    fix = Fix(
        action="recreate-flavor",
        target=text(flavor, "id"),
        name=text(flavor, "name"),
        values={
            "name": text(flavor, "name"),
            "vcpus": meaning.cpus,
            "ram": int(meaning.ram_gib * 1024),
            "disk": meaning.disk_gb or 0,
            "extra_specs": dict(specs(flavor)),
        },
    )
    required, mend = Reason.of("prove.flavor.at-least"), Reason.of("prove.flavor.keep-promise")
    return [view.finding(named("flavor", flavor), joined(less), required, mend, fix)] if less else []


def _unseen_promises(promised: list[tuple[Item, Meaning]]) -> Words:
    untold = [
        text(f, "name")
        for f, m in promised
        if (m.cpu_class in ("C", "T") and not {"scs:cpu-type", "hw:cpu_policy"} & specs(f).keys())
        or (m.disk_type and "scs:disk0-type" not in specs(f))
        or m.gpu
        or m.infiniband
        or m.arch
    ]
    return Reason.of("prove.flavor.untold", names=sorted(untold)) if untold else ""


JUDGES: dict[str, Judge] = {
    "scs-0100-syntax-check": syntax,
    "scs-0100-semantics-check": semantics,
}
