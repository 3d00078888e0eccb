# SPDX-License-Identifier: Apache-2.0
"""scs-0123 services: which services the catalog has. v1 (in IaaS v5.1) and v2 (in next and v6).

https://docs.scs.community/standards/scs-0123-v1-mandatory-and-supported-IaaS-services#mandatory-iaas-apis and
../scs-0123-v2-services. Types and aliases are those of OpenStack's Service Type Authority. v1 demands S3 and leaves
its type open; v2 demands `object-store-s3`. Neither text names placement, though the list of test cases does.
"""

from __future__ import annotations

from functools import partial

from unterbau.prove.inventory import Item, Status
from unterbau.prove.judges.frame import Decision, Judge, View, conclude, not_applicable, not_shown, number, text
from unterbau.prove.verdicts import Finding, Fix

ALIASES: dict[str, tuple[str, ...]] = {
    "block-storage": ("block-store", "volume", "volumev2", "volumev3"),
    "baremetal": ("bare-metal",),
    "shared-file-system": ("sharev2", "share"),
}
"""Type -> aliases, after the Service Type Authority, of the services that scs-0123 names."""
S3_TYPES = ("object-store-s3", "s3")
_REFERENCE_S3_CODES = ("InvalidAccessKeyId", "NoSuchKey")


def endpoint_types(view: View) -> set[str]:
    """Types in the catalog that have an endpoint in the region and interface that are judged."""
    return {type for type, _ in view.inventory.subject.endpoints(view.items("catalog"))}


def reference_types(view: View) -> set[str]:
    """Types that the reference suite sees: it asks neither for an endpoint nor for a region."""
    return {text(service, "type") for service in view.items("catalog")}


def _absent(view: View, type: str) -> Finding:
    return view.finding(
        "the catalog",
        f"has no endpoint of type {type}",
        f"{type} in the catalog",
        f"Offer the service, and register it: openstack service create {type}; openstack endpoint create ...",
        Fix(action="add-service", values={"type": type}),
    )


def service(type: str, view: View) -> Decision:
    """The catalog has this type, or an alias of it."""
    seen = endpoint_types(view)
    there = sorted(seen & {type, *ALIASES.get(type, ())})
    decision = conclude(
        [] if there else [_absent(view, type)], len(seen), f"the catalog has {', '.join(there)}", "the catalog is empty"
    )
    reference = {"block-storage": {"block-storage", "volume", "volumev3"}}.get(type, {type})
    return decision.but(
        bool(reference_types(view) & reference),
        "it knows fewer aliases, and counts services of every region, with an endpoint or without",
    )


def placement(view: View) -> Decision:
    """Listed as a test case of v5.1, but not demanded by the text."""
    theirs = "placement" in reference_types(view)
    if "placement" in endpoint_types(view):
        return conclude([], 1, "the catalog has placement", "").but(theirs, "")
    return not_applicable("the text of the standard does not demand placement").but(
        theirs, "it demands placement, which the text does not name"
    )


def s3(view: View) -> Decision:
    """Some service in the catalog speaks S3 (scs-0123-v1: S3 is mandatory, and found through the catalog)."""
    types = endpoint_types(view)
    offers = sorted(types & {*S3_TYPES, "object-store"})
    probes = view.items("s3_probe")
    passes = "object-store" not in reference_types(view) or any(
        text(p, "code") in _REFERENCE_S3_CODES for p in probes if text(p, "service") in ("object-store", "")
    )
    why = "it asks for S3 only where the catalog has object-store, and knows two answers"
    if not types:
        return not_shown("the catalog is empty")
    if not offers:
        return conclude([_absent(view, "s3")], 1, "", "").but(passes, why)
    speaking = [p for p in probes if _speaks(p)]
    if speaking:
        return conclude([], len(probes), f"{text(speaking[0], 'url')} answers in S3", "").but(passes, why)
    section = view.inventory.section("s3_probe")
    if section.status is not Status.SEEN or not probes or any(number(p, "status") is None for p in probes):
        return not_shown(f"{', '.join(offers)} was not asked whether it speaks S3: {section.reason or 'no answer'}")
    findings = [
        view.finding(
            f"{text(probe, 'service')} at {text(probe, 'url')}",
            f"answers HTTP {text(probe, 'status')} without an S3 error document",
            "an S3 interface",
            "Enable S3 (Ceph RGW: rgw_enable_apis; Swift: s3api), or register the S3 service in the catalog.",
        )
        for probe in probes
    ]
    return conclude(findings, len(probes), "", "").but(passes, why)


def _speaks(probe: Item) -> bool:
    """An answer with the error document of S3, whichever error it names."""
    return bool(text(probe, "code"))


def canonical(view: View) -> Decision:
    """The catalog uses canonical types, not aliases (scs-0123-v2, SHOULD)."""
    seen = endpoint_types(view)
    findings = [
        view.finding(
            "the catalog",
            f"has {alias} for {type}",
            type,
            f"openstack service set --type {type} SERVICE, or register it under both",
        )
        for type, aliases in ALIASES.items()
        if type not in seen
        for alias in sorted(seen & set(aliases))
    ]
    return conclude(findings, len(seen), f"{len(seen)} types are canonical", "the catalog is empty")


JUDGES: dict[str, Judge] = {
    **{
        f"scs-0123-service-{type}": partial(service, type)
        for type in ("compute", "identity", "image", "network", "load-balancer")
    },
    "scs-0123-storage-apis": partial(service, "block-storage"),
    "scs-0123-service-s3": partial(service, "object-store-s3"),
    "scs-0123-service-placement": placement,
    "scs-0123-swift-s3": s3,
    "scs-0123-canonical-types": canonical,
}
