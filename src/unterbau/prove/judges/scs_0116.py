# SPDX-License-Identifier: Apache-2.0
"""scs-0116 key manager: recommended; where there is one, a member can create, list and delete secrets.

https://docs.scs.community/standards/scs-0116-v1-key-manager-standard. Creating a secret needs `--write`. Where the
master key is kept no API tells: `key-manager-docs-check` is a matter of documents.
"""

from __future__ import annotations

from unterbau.prove.judges.frame import Decision, Judge, View, conclude, not_applicable, number, text
from unterbau.prove.judges.scs_0101 import carried
from unterbau.prove.judges.scs_0123 import endpoint_types, reference_types
from unterbau.prove.verdicts import Fix

SERVICE = "key-manager"


def presence(view: View) -> Decision:
    """The catalog has a key manager."""
    there = SERVICE in endpoint_types(view)
    finding = view.finding(
        "the catalog",
        "has no key-manager",
        "a key manager (recommended)",
        "Offer Barbican or another service with its API under the type key-manager.",
        Fix(action="add-service", values={"type": SERVICE}),
    )
    return conclude([] if there else [finding], 1, "the catalog has a key-manager", "").but(
        SERVICE in reference_types(view), "it asks neither for an endpoint nor for a region"
    )


def permissions(view: View) -> Decision:
    """A member creates, sees and deletes a secret."""
    if not endpoint_types(view):
        return conclude([], 0, "", "the catalog was not seen or is empty")
    if SERVICE not in endpoint_types(view):
        return not_applicable("there is no key manager, and the standard demands none").but(
            True, "it passes where there is no key manager"
        )
    item = carried(view, SERVICE)
    if isinstance(item, Decision):
        return item
    steps = {
        "create": _is_good(number(item, "create")),
        "list": _is_good(number(item, "list")) and item.get("listed") is True,
        "delete": _is_good(number(item, "delete")),
    }
    findings = [
        view.finding(
            "the key manager",
            f"{step} a secret: HTTP {text(item, step) or 'no answer'}"
            f"{', the new secret is not in the list' if step == 'list' and not item.get('listed') else ''}",
            "allowed for the role member",
            "Map the role member to Barbican's creator, or enable secure RBAC.",
        )
        for step, good in steps.items()
        if not good
    ]
    aborts = steps["create"] and not steps["list"]
    return conclude(findings, 1, "a member created, saw and deleted a secret", "").but(
        None if aborts else not findings, "it breaks off when a created secret is not listed"
    )


def _is_good(status: float | None) -> bool:
    return status is not None and 200 <= status < 300


JUDGES: dict[str, Judge] = {"scs-0116-presence": presence, "scs-0116-permissions": permissions}
