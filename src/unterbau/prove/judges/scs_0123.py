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
from unterbau.verdict import Reason

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
        Reason.of("prove.catalog.lacks", type=type),
        Reason.of("prove.catalog.required", type=type),
        Reason.of("prove.catalog.register", command=f"openstack service create {type}; openstack endpoint create ..."),
        Fix(action="add-service", values={"type": type}),
    )


def service(type: str, view: View) -> Decision:
    """The catalog has this type, or an alias of it."""
    seen = endpoint_types(view)
    there = sorted(seen & {type, *ALIASES.get(type, ())})
    held, none = Reason.of("prove.catalog.has", types=there), Reason.of("prove.catalog.empty")
    decision = conclude([] if there else [_absent(view, type)], len(seen), held, none)
    reference = {"block-storage": {"block-storage", "volume", "volumev3"}}.get(type, {type})
    return decision.but(
        bool(reference_types(view) & reference),
        Reason.of("prove.suite.services"),
    )


def placement(view: View) -> Decision:
    """Listed as a test case of v5.1, but not demanded by the text."""
    theirs = "placement" in reference_types(view)
    if "placement" in endpoint_types(view):
        return conclude([], 1, Reason.of("prove.catalog.has", types=["placement"]), "").but(theirs, "")
    return not_applicable(Reason.of("prove.catalog.no-placement")).but(theirs, Reason.of("prove.suite.placement"))


def s3(view: View) -> Decision:
    """Some service in the catalog speaks S3 (scs-0123-v1: S3 is mandatory, and found through the catalog)."""
    types = endpoint_types(view)
    offers = sorted(types & {*S3_TYPES, "object-store"})
    probes = view.items("s3_probe")
    passes = "object-store" not in reference_types(view) or any(
        text(p, "code") in _REFERENCE_S3_CODES for p in probes if text(p, "service") in ("object-store", "")
    )
    why = Reason.of("prove.suite.s3")
    if not types:
        return not_shown(Reason.of("prove.catalog.empty"))
    if not offers:
        return conclude([_absent(view, "s3")], 1, "", "").but(passes, why)
    speaking = [p for p in probes if _speaks(p)]
    if speaking:
        return conclude([], len(probes), Reason.of("prove.s3.speaks", url=text(speaking[0], "url")), "").but(
            passes, why
        )
    section = view.inventory.section("s3_probe")
    if section.status is not Status.SEEN or not probes or any(number(p, "status") is None for p in probes):
        return not_shown(
            Reason.of("prove.s3.not-asked", types=offers, why=section.reason or Reason.of("prove.no-answer"))
        )
    findings = [
        view.finding(
            f"{text(probe, 'service')} at {text(probe, 'url')}",
            Reason.of("prove.s3.other", status=text(probe, "status")),
            Reason.of("prove.s3.required"),
            Reason.of("prove.s3.enable"),
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
            Reason.of("prove.catalog.alias", alias=alias, type=type),
            type,
            Reason.of("prove.catalog.both", command=f"openstack service set --type {type} SERVICE"),
        )
        for type, aliases in ALIASES.items()
        if type not in seen
        for alias in sorted(seen & set(aliases))
    ]
    return conclude(
        findings, len(seen), Reason.of("prove.catalog.canonical", count=len(seen)), Reason.of("prove.catalog.empty")
    )


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
