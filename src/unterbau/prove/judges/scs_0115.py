# SPDX-License-Identifier: Apache-2.0
"""scs-0115 default rules of security groups: what a new group lets through.

https://docs.scs.community/standards/scs-0115-v1-default-rules-for-security-groups#standard. MUST: no traffic in, but
from the same group in default groups. SHOULD: that traffic in, and all IPv4 and IPv6 traffic out. The text applies
"only" to clouds with the interface for such rules (OpenStack 2023.2): without it, it does not apply. The list of
rules decides even if it is empty: then nothing is let in.
"""

from __future__ import annotations

from unterbau.prove.inventory import Item, Status
from unterbau.prove.judges.frame import Decision, Judge, View, conclude, not_applicable, not_shown, run, text
from unterbau.prove.verdicts import Finding, Fix
from unterbau.verdict import Reason

SECTION = "default_security_group_rules"
EVERYWHERE = {"IPv4": ("", "0.0.0.0/0"), "IPv6": ("", "::/0")}
"""Ethertype -> spellings of "every address"."""
_DEFAULT, _CUSTOM = "used_in_default_sg", "used_in_non_default_sg"
_GROUPS = {_DEFAULT: "default groups", _CUSTOM: "custom groups"}


def _unseen(view: View) -> Decision | None:
    section = view.inventory.section(SECTION)
    if section.status is Status.ABSENT:
        return not_applicable(Reason.of("prove.rule.no-interface"))
    return None if section.status is Status.SEEN else not_shown(view.inventory.unseen([SECTION]))


def _used(rule: Item) -> bool:
    return bool(rule.get(_DEFAULT) or rule.get(_CUSTOM))


def _from_parent(rule: Item) -> bool:
    return text(rule, "remote_group_id") == "PARENT"


def _title(rule: Item) -> str:
    return f"default security group rule {text(rule, 'id')}"


def ingress(view: View) -> Decision:
    """No default rule lets traffic in, but from PARENT in default groups."""
    unseen = _unseen(view)
    if unseen:
        return unseen
    rules = view.items(SECTION)
    findings = [
        _open(view, rule)
        for rule in rules
        if text(rule, "direction") == "ingress" and _used(rule) and (not _from_parent(rule) or rule.get(_CUSTOM))
    ]
    return conclude(findings, max(1, len(rules)), Reason.of("prove.rule.no-strangers", number=len(rules)), "").but(
        _reference(rules), Reason.of("prove.suite.egress")
    )


def _open(view: View, rule: Item) -> Finding:
    source = text(rule, "remote_group_id") or text(rule, "remote_address_group_id") or text(rule, "remote_ip_prefix")
    groups = [
        Reason.of("prove.rule.default-groups" if key == _DEFAULT else "prove.rule.custom-groups")
        for key in _GROUPS
        if rule.get(key)
    ]
    return view.finding(
        _title(rule),
        Reason.of(
            "prove.rule.lets-in",
            what=text(rule, "protocol") or Reason.of("prove.rule.everything"),
            source=source or Reason.of("prove.rule.everywhere"),
            groups=groups,
        ),
        Reason.of("prove.rule.nothing-in"),
        run(f"openstack default security group rule delete {text(rule, 'id')}"),
        Fix(action="delete-default-rule", target=text(rule, "id"), values={"direction": "ingress"}),
    )


def _reference(rules: tuple[Item, ...]) -> bool:
    for rule in rules:
        if text(rule, "direction") == "ingress" and (not _from_parent(rule) or rule.get(_CUSTOM)):
            return False
    out = [r for r in rules if text(r, "direction") == "egress" and not text(r, "remote_ip_prefix")]
    return all(any(text(r, "ethertype") == e and r.get(key) for r in out) for e in EVERYWHERE for key in _GROUPS)


def egress(view: View) -> Decision:
    """Default rules let all IPv4 and all IPv6 traffic out, of default and of custom groups."""
    unseen = _unseen(view)
    if unseen:
        return unseen
    rules = [r for r in view.items(SECTION) if text(r, "direction") == "egress" and _is_unrestricted(r)]
    findings = [
        view.finding(
            f"default security group rules for {ethertype} of {words}",
            Reason.of("prove.rule.nothing-out"),
            Reason.of("prove.rule.egress", ethertype=ethertype),
            run(
                f"openstack default security group rule create --egress --ethertype {ethertype}"
                f"{' --for-default-sg' if key == _DEFAULT else ' --for-custom-sg'}"
            ),
            Fix(action="create-default-rule", values={"direction": "egress", "ethertype": ethertype, key: True}),
        )
        for ethertype in EVERYWHERE
        for key, words in _GROUPS.items()
        if not any(text(rule, "ethertype") == ethertype and rule.get(key) for rule in rules)
    ]
    return conclude(findings, max(1, len(rules)), Reason.of("prove.rule.all-out"), "")


def _is_unrestricted(rule: Item) -> bool:
    free = all(not text(rule, key) for key in ("remote_group_id", "remote_address_group_id", "port_range_min"))
    anything = text(rule, "protocol").lower() in ("", "any", "0")
    return free and anything and text(rule, "remote_ip_prefix") in EVERYWHERE.get(text(rule, "ethertype"), ())


def same_group(view: View) -> Decision:
    """The default group lets traffic in from itself, IPv4 and IPv6."""
    unseen = _unseen(view)
    if unseen:
        return unseen
    rules = [
        r for r in view.items(SECTION) if text(r, "direction") == "ingress" and _from_parent(r) and r.get(_DEFAULT)
    ]
    findings = [
        view.finding(
            f"default security group rules for {ethertype} of default groups",
            Reason.of("prove.rule.not-same-group"),
            Reason.of("prove.rule.parent", ethertype=ethertype),
            run(
                f"openstack default security group rule create --ingress --ethertype {ethertype} --remote-group PARENT "
                "--for-default-sg"
            ),
            Fix(
                action="create-default-rule",
                values={"direction": "ingress", "ethertype": ethertype, "remote_group_id": "PARENT", _DEFAULT: True},
            ),
        )
        for ethertype in EVERYWHERE
        if not any(text(rule, "ethertype") == ethertype for rule in rules)
    ]
    return conclude(findings, max(1, len(rules)), Reason.of("prove.rule.same-group"), "")


JUDGES: dict[str, Judge] = {
    "scs-0115-default-rules": ingress,
    "scs-0115-egress": egress,
    "scs-0115-same-group": same_group,
}
