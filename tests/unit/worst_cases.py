# SPDX-License-Identifier: Apache-2.0
"""Where a peer lost or opened things, and what a bundle of ours must show for each: it was there, and it held.

The seeded tenant has every one of them. `test_worst_cases` asks a bundle of a real drill that is kept here, the
end-to-end test the bundle of the drill that it just made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from unterbau.switch.evidence import Bundle
from unterbau.tenant.kinds import (
    Container,
    Image,
    Port,
    RouterInterface,
    Secret,
    SecretContainer,
    SecurityGroupRule,
    Server,
    StoredObject,
    Subnet,
    Volume,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict

Find = Callable[[Workload], Iterator[str]]


def a_rule_with_a_remote_address_group(w: Workload) -> Iterator[str]:
    return (r.ref for r in w.of(SecurityGroupRule) if r.remote_address_group_id)


def rules_whose_groups_refer_to_each_other(w: Workload) -> Iterator[str]:
    return (r.ref for r in w.of(SecurityGroupRule) if r.remote_group_id and r.remote_group_id != r.security_group_id)


def a_subnet_on_two_routers(w: Workload) -> Iterator[str]:
    for subnet in w.of(Subnet):
        legs = [i for i in w.of(RouterInterface) if any(ip.subnet_id == subnet.id for ip in i.fixed_ips)]
        if len({leg.router_id for leg in legs}) > 1:
            yield from (leg.ref for leg in legs)


def dual_stack_ports(w: Workload) -> Iterator[str]:
    return (p.ref for p in w.of(Port) if {":" in ip.ip_address for ip in p.fixed_ips} == {True, False})


def port_security_off(w: Workload) -> Iterator[str]:
    return (p.ref for p in w.of(Port) if not p.port_security_enabled)


def a_subnet_without_gateway(w: Workload) -> Iterator[str]:
    return (s.ref for s in w.of(Subnet) if s.gateway_ip is None)


def a_stopped_server(w: Workload) -> Iterator[str]:
    return (s.ref for s in w.of(Server) if s.status == "SHUTOFF")


def a_server_on_two_networks(w: Workload) -> Iterator[str]:
    return (s.ref for s in w.of(Server) if len(s.port_ids) > 1)


def a_secret_without_payload(w: Workload) -> Iterator[str]:
    return (s.ref for s in w.of(Secret) if s.content_type is None)


def a_container_with_an_acl(w: Workload) -> Iterator[str]:
    return (c.ref for c in w.of(Container) if c.read_acl)


def a_container_of_secrets_that_is_closed_to_the_project(w: Workload) -> Iterator[str]:
    return (c.ref for c in w.of(SecretContainer) if not c.acl_project_access)


def a_static_symlink(w: Workload) -> Iterator[str]:
    return (o.ref for o in w.of(StoredObject) if o.symlink_etag)


CASES: tuple[Find, ...] = (
    a_rule_with_a_remote_address_group, rules_whose_groups_refer_to_each_other, a_subnet_on_two_routers,
    dual_stack_ports, port_security_off, a_subnet_without_gateway, a_stopped_server, a_server_on_two_networks,
    a_secret_without_payload,
)  # fmt: skip
LATER: tuple[Find, ...] = (
    a_container_with_an_acl, a_container_of_secrets_that_is_closed_to_the_project, a_static_symlink,
)  # fmt: skip
"""What the seeded tenant has, or its own member is told, since after the first bundle that is kept."""


def demand_held(case: Find, bundle: Bundle, verdicts: tuple[Verdict, ...]) -> None:
    """The source has the case, and each of its objects is on the target as it was."""
    refs = list(case(bundle.source))
    assert refs, "the tenant does not have it"
    outcomes = {v.claim.subject: v.outcome for v in verdicts if v.claim.kind == "structure"}
    assert {r: outcomes[r] for r in refs} == dict.fromkeys(refs, Outcome.HELD)


def demand_nothing_temporary(bundle: Bundle) -> None:
    """No image and no volume stands anywhere that was not there before, whoever made it."""
    seen = bundle.verification
    for kind in (Image, Volume):
        before = sorted(r.name for r in bundle.source.of(kind))
        assert sorted(r.name for r in seen.source.of(kind)) == before
        assert sorted(r.name for r in seen.target.of(kind)) == before
