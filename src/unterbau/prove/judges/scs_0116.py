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
from unterbau.verdict import Reason, joined

SERVICE = "key-manager"


def presence(view: View) -> Decision:
    """The catalog has a key manager."""
    there = SERVICE in endpoint_types(view)
    finding = view.finding(
        "the catalog",
        Reason.of("prove.catalog.lacks", type=SERVICE),
        Reason.of("prove.keys.recommended"),
        Reason.of("prove.keys.offer"),
        Fix(action="add-service", values={"type": SERVICE}),
    )
    return conclude([] if there else [finding], 1, Reason.of("prove.catalog.has", types=[SERVICE]), "").but(
        SERVICE in reference_types(view), Reason.of("prove.suite.no-endpoint")
    )


def permissions(view: View) -> Decision:
    """A member creates, sees and deletes a secret."""
    if not endpoint_types(view):
        return conclude([], 0, "", Reason.of("prove.catalog.empty"))
    if SERVICE not in endpoint_types(view):
        return not_applicable(Reason.of("prove.keys.none")).but(True, Reason.of("prove.suite.no-keys"))
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
            joined(
                [
                    Reason.of("prove.keys.answer", step=step, status=text(item, step) or Reason.of("prove.no-answer")),
                    Reason.of("prove.keys.unlisted") if step == "list" and not item.get("listed") else "",
                ]
            ),
            Reason.of("prove.keys.allowed"),
            Reason.of("prove.keys.map"),
        )
        for step, good in steps.items()
        if not good
    ]
    aborts = steps["create"] and not steps["list"]
    return conclude(findings, 1, Reason.of("prove.keys.good"), "").but(
        None if aborts else not findings, Reason.of("prove.suite.unlisted")
    )


def _is_good(status: float | None) -> bool:
    return status is not None and 200 <= status < 300


JUDGES: dict[str, Judge] = {"scs-0116-presence": presence, "scs-0116-permissions": permissions}
