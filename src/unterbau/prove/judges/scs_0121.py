# SPDX-License-Identifier: Apache-2.0
"""What only documents can show: scs-0121 availability zones, scs-0116 master key, scs-0302 domain manager.

Never held and never failed here: fire zones, power feeds and the place of a master key are not in any API, and
domain managers need accounts that a tenant has not. What the API does tell (the names of zones) is said along.
"""

from __future__ import annotations

from unterbau.prove.inventory import Status
from unterbau.prove.judges.frame import Decision, Judge, View, not_shown, text
from unterbau.verdict import Reason, joined


def zones(view: View) -> Decision:
    """The zones that the API names."""
    seen = []
    for section in ("compute_zones", "volume_zones"):
        if view.inventory.section(section).status is Status.SEEN:
            names = [text(item, "zoneName") for item in view.items(section)]
            seen.append(
                Reason.of(
                    "prove.zones.compute" if section == "compute_zones" else "prove.zones.storage",
                    names=names or Reason.of("prove.zones.none"),
                )
            )
    return not_shown(joined([Reason.of("prove.documents.zones"), *seen]), len(seen))


def key_manager(view: View) -> Decision:
    """Where the master key is kept."""
    return not_shown(Reason.of("prove.documents.key"))


def domain_manager(view: View) -> Decision:
    """What domain managers may do."""
    return not_shown(Reason.of("prove.documents.manager"))


JUDGES: dict[str, Judge] = {
    "availability-zones-check": zones,
    "key-manager-docs-check": key_manager,
    "domain-manager-check": domain_manager,
}
