# SPDX-License-Identifier: Apache-2.0
"""scs-0103 standard flavors: the flavors that every cloud has, and what their properties must say.

https://docs.scs.community/standards/scs-0103-v1-standard-flavors. A flavor is found by a property `scs:name-vN` or
by its name (names are only recommended, the properties are demanded). Figures must be met exactly. For a table row
with disk type "(any)" each of the four words will do; for "ssd" so does `nvme` (scs-0100-v3, "Naming policy
compliance").
"""

from __future__ import annotations

import re

from unterbau.prove.data import StandardFlavor
from unterbau.prove.inventory import Item
from unterbau.prove.judges.frame import (
    Decision,
    Judge,
    View,
    conclude,
    named,
    not_applicable,
    not_shown,
    number,
    run,
    text,
)
from unterbau.prove.judges.scs_0100 import offered, specs, usable
from unterbau.prove.verdicts import Finding, Fix
from unterbau.scs.flavor_name import CPU_TYPES, DISK_TYPES, BadName, parse_any, shortfalls, to_v1
from unterbau.verdict import Reason, Words, joined


def figures(flavor: StandardFlavor) -> dict[str, int]:
    """vcpus, ram (MiB) and disk (GB) of a standard flavor, as Nova says them."""
    meaning = flavor.meaning
    return {"vcpus": meaning.cpus, "ram": int(meaning.ram_gib * 1024), "disk": meaning.disk_gb or 0}


def properties(flavor: StandardFlavor) -> dict[str, str]:
    """The properties of a standard flavor; of several allowed kinds of disk the best fitting."""
    wanted = {
        "scs:name-v1": to_v1(flavor.name),
        "scs:name-v2": flavor.name,
        "scs:cpu-type": CPU_TYPES[flavor.meaning.cpu_class],
    }
    return wanted | ({"scs:disk0-type": flavor.disk[0]} if flavor.disk else {})


def _faults(flavor: Item, wanted: StandardFlavor, disks: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """What differs: key -> (observed, required)."""
    faults: dict[str, tuple[str, str]] = {}
    for key, value in figures(wanted).items():
        if number(flavor, key) != value:
            faults[key] = (text(flavor, key) or "absent", str(value))
    for key, required in properties(wanted).items():
        seen = specs(flavor).get(key, "")
        if seen != required and not (key == "scs:disk0-type" and seen in disks):
            faults[key] = (seen or "absent", required)
    if not disks and "scs:disk0-type" in specs(flavor):
        faults["scs:disk0-type"] = (specs(flavor)["scs:disk0-type"], "absent")
    return faults


def _names(flavor: Item) -> set[str]:
    """All names by which a flavor can be found."""
    return {text(flavor, "name")} | {v for k, v in specs(flavor).items() if re.fullmatch(r"scs:name-v[1-9][0-9]*", k)}


def standard(view: View) -> Decision:
    """There is the flavor that the case is about, with its figures and properties."""
    wanted = next(flavor for flavor in view.data.flavors if flavor.case == view.case.id)
    flavors = usable(view)
    found = [f for f in flavors if {wanted.name, to_v1(wanted.name)} & _names(f)]
    blind = [f for f in (found or flavors) if "extra_specs" not in f]
    if blind:
        return not_shown(Reason.of("prove.flavor.specs-unseen", count=len(blind)), len(found))
    best = min(found, key=lambda f: len(_faults(f, wanted, wanted.disk)), default=None)
    findings = [_missing(view, wanted)] if best is None else _wrong(view, best, wanted)
    return conclude(
        findings, 1, Reason.of("prove.flavor.as-demanded", flavor=named("flavor", best)) if best else "", ""
    ).but(
        _reference(flavors, wanted),
        Reason.of("prove.suite.disk-type"),
    )


def _reference(flavors: tuple[Item, ...], wanted: StandardFlavor) -> bool:
    by_property = [f for f in flavors if specs(f).get("scs:name-v2") == wanted.name]
    found = by_property or [f for f in flavors if text(f, "name") == wanted.name]
    return any(not _reference_faults(f, wanted) for f in found)


def _reference_faults(flavor: Item, wanted: StandardFlavor) -> bool:
    """Whether it sees a fault. It does not ask whether there is a property beyond those that are demanded."""
    faults = _faults(flavor, wanted, wanted.disk[:1])
    return any(required != "absent" for _, required in faults.values())


def _missing(view: View, wanted: StandardFlavor) -> Finding:
    values = {"name": wanted.name, **figures(wanted), "extra_specs": dict(properties(wanted))}
    options = " ".join(f"--property {k}={v}" for k, v in properties(wanted).items())
    f = figures(wanted)
    return view.finding(
        f"flavor {wanted.name}",
        Reason.of("prove.flavor.missing"),
        wanted.name,
        run(
            f"openstack flavor create --vcpus {f['vcpus']} --ram {f['ram']} --disk {f['disk']} {options} {wanted.name}"
        ),
        Fix(action="create-flavor", name=wanted.name, values=values),
    )


def _wrong(view: View, flavor: Item, wanted: StandardFlavor) -> list[Finding]:
    faults = _faults(flavor, wanted, wanted.disk)
    if not faults:
        return []
    target, name = text(flavor, "id"), text(flavor, "name")
    if faults.keys() & figures(wanted).keys():
        mend = Reason.of("prove.flavor.make-anew")
        values = {"name": name, **figures(wanted), "extra_specs": dict(specs(flavor) | properties(wanted))}
        fix = Fix(action="recreate-flavor", target=target, name=name, values=values)
    else:
        to_set = {k: required for k, (_, required) in faults.items() if required != "absent"}
        to_unset = [k for k, (_, required) in faults.items() if required == "absent"]
        commands = [
            f"openstack flavor set {' '.join(f'--property {k}={v}' for k, v in to_set.items())} {target}"
        ] * bool(to_set)
        commands += [f"openstack flavor unset --property {k} {target}" for k in to_unset]
        mend = run("; ".join(commands))
        fix = Fix(
            action="set-flavor", target=target, name=name, values={"extra_specs": dict(to_set), "unset": list(to_unset)}
        )
    observed = joined(_is(key, seen) for key, (seen, _) in faults.items())
    required = joined(_is(key, must) for key, (_, must) in faults.items())
    return [view.finding(named("flavor", flavor), observed, required, mend, fix)]


def _is(key: str, value: str) -> Reason:
    return (
        Reason.of("prove.key-absent", key=key) if value == "absent" else Reason.of("prove.key-is", key=key, value=value)
    )


def claims(view: View) -> Decision:
    """scs-0103, "Properties": wherever an scs: property is set, what it says is so. (Our id; no official test.)"""
    flavors = usable(view)
    blind = [text(f, "name") for f in flavors if "extra_specs" not in f]
    bearing = [f for f in flavors if any(key.startswith("scs:") for key in specs(f))]
    findings = [finding for flavor in bearing for finding in _claims_of(view, flavor)]
    if not findings and blind:
        return not_shown(Reason.of("prove.flavor.specs-unseen", count=len(blind)), len(bearing))
    if flavors and not bearing:
        return not_applicable(Reason.of("prove.flavor.no-properties", count=len(flavors)))
    true = Reason.of("prove.flavor.properties-true", count=len(bearing))
    return conclude(findings, len(bearing), true, Reason.of("prove.no-flavors"))


_CLAIM = re.compile(r"scs:(?:(?P<name>name-v[1-9][0-9]*)|(?P<cpu>cpu-type)|(?P<disk>disk[0-9]+-type))")


def _claims_of(view: View, flavor: Item) -> list[Finding]:
    found = []
    for key, value in sorted(specs(flavor).items()):
        match = _CLAIM.fullmatch(key)
        fault = _fault(match.lastgroup or "", value, flavor) if match else ""
        if fault:
            found.append(
                view.finding(
                    named("flavor", flavor),
                    Reason.of("about", what=f"{key}={value}", reason=fault),
                    Reason.of("prove.flavor.property-required"),
                    Reason.of(
                        "prove.flavor.unset", command=f"openstack flavor unset --property {key} {text(flavor, 'id')}"
                    ),
                )
            )
    return found


def _fault(kind: str, value: str, flavor: Item) -> Words:
    known = {"cpu": CPU_TYPES.values(), "disk": DISK_TYPES.values()}.get(kind)
    if known is not None:
        return "" if value in known else Reason.of("prove.none-of", words=list(known))
    try:
        meaning = parse_any(value)
    except BadName as bad:
        return bad.why
    return joined(shortfalls(offered(flavor, meaning), meaning))


FAMILIES: dict[str, Judge] = {"scs-0103-flavor-": standard}
JUDGES: dict[str, Judge] = {"scs-0103-extra-specs": claims}
