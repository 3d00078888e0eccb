# SPDX-License-Identifier: Apache-2.0
"""Probes before anything is asked: the file of a person, and what follows from what a tenant opens to the world."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from unterbau.errors import UsageError
from unterbau.switch.probes import written
from unterbau.switch.probes.model import MOST, Closed, Command, Http, Probe, Ssh, Tcp, called, faults
from unterbau.switch.probes.proposing import CLOSED_AT_MOST, USUAL, Place, proposed, world
from unterbau.switch.probes.watching import watched
from unterbau.tenant.kinds import (
    CloudIdentity,
    FixedIp,
    FloatingIp,
    Network,
    Port,
    Resource,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    Subnet,
)
from unterbau.tenant.kinds.flavor import Flavor
from unterbau.tenant.workload import Workload

NOW = datetime(2026, 11, 26, tzinfo=UTC)
HERE = "203.0.113.7"
FLAVOR = Flavor(id="f", name="SCS-1V-1", vcpus=1, ram_mib=1024, disk_gib=0)


def rule(id_: str, low: int | None, high: int | None = None, **more: object) -> SecurityGroupRule:
    told = {"id": id_, "security_group_id": "g", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp"}
    return SecurityGroupRule.model_validate({**told, "port_range_min": low, "port_range_max": high or low, **more})


def tenant(*rules: SecurityGroupRule, secured: bool = True) -> Workload:
    identity = CloudIdentity(
        name="a", auth_url="https://a.example", region="r", project_id="p", project_name="p", user_id="u",
        roles=("member",), catalog_digest="sha256:0",
    )  # fmt: skip
    things: list[Resource] = [
        Network(id="n", name="net"),
        Subnet(id="s", name="sub", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None),
        SecurityGroup(id="g", name="web"),
        SecurityGroup(id="inner", name="inner"),
        *rules,
    ]
    for id_, address, device in (("one", "10.0.0.7", "web"), ("two", "10.0.0.8", "web"), ("three", "10.0.0.9", "db")):
        things.append(
            Port(id=id_, name=id_, network_id="n", mac_address="fa:16:3e:00:00:01", device_id=device, device_owner="compute:nova",
                 fixed_ips=(FixedIp(subnet_id="s", ip_address=address),), security_group_ids=("g",) if secured else (),
                 port_security_enabled=secured)
        )  # fmt: skip
    for device, ports in (("web", ("one", "two")), ("db", ("three",))):
        things.append(Server(id=device, name=f"{device} Server", status="ACTIVE", flavor=FLAVOR, port_ids=ports))
    things.append(FloatingIp(id="f1", address=HERE, external_network_id="e", port_id="one"))
    things.append(FloatingIp(id="f2", address="203.0.113.8", external_network_id="e", port_id=None))
    things.append(FloatingIp(id="f3", address="203.0.113.9", external_network_id="e", port_id="two"))
    things.append(FloatingIp(id="f4", address="203.0.113.10", external_network_id="e", port_id="three"))
    return Workload(identity=identity, taken_at=NOW, resources=tuple(things))


GOOD = """
probes:
- {kind: http, at: 203.0.113.7, port: 80, path: /login, name: fach.example.org, ignore: [server]}
- {kind: closed, at: 203.0.113.9, port: 5432, control: http-80}
- {kind: dns, at: 203.0.113.7, query: www.example.org, type: AAAA}
- {kind: tls, at: floating_ip:f1, port: 443, name: fach.example.org, id: certificate}
- {kind: tcp, at: 10.0.0.9, port: 25, banner: ignore}
"""


def test_a_file_is_read_and_its_addresses_become_places_of_the_source() -> None:
    source = tenant()
    found = written.resolved(written.load(GOOD, "probes.yaml"), source, "probes.yaml")
    assert [(p.id, p.at) for p in found] == [
        ("http-80", "floating_ip:f1"), ("closed-5432", "floating_ip:f3"), ("dns-53", "floating_ip:f1"),
        ("certificate", "floating_ip:f1"), ("tcp-25", "port:three"),
    ]  # fmt: skip
    assert list(faults(found, source)) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("probes:\n- {kind: http, at: [", "probes.yaml, line 2:"),
        ("probes: {}", "probes.yaml: it has no list `probes`"),
        ("- a", "probes.yaml: it has no list `probes`"),
        ("probes: []", "probes.yaml: it has no list `probes`"),
        ("probes: [{kind: http}]\nmore: 1", "probes.yaml: it has no list `probes`, or something beside it"),
        ("probes: [3]", "probes.yaml, probe 1"),
        ("probes: [{kind: htp, at: a, port: 1}]", "probes.yaml, probe 1 (htp): Input tag 'htp'"),
        ("probes: [{kind: http, at: a, port: 70000}]", "probes.yaml, probe 1 (http) port: Input should be less"),
        ("probes: [{kind: http, at: a, port: 80, path: 'a b'}]", "probe 1 (http) path: String should match"),
        ('probes: [{kind: http, at: a, port: 80, path: "/x\\r\\nCookie: a"}]', "probe 1 (http) path: String should match"),
        ('probes: [{kind: http, at: a, port: 80, name: "x\\r\\nCookie: a"}]', "probe 1 (http) name: String should match"),
        ("probes: [{kind: tcp, at: a, port: 80, pth: x}]", "probe 1 (tcp) pth: Extra inputs are not permitted"),
        ("probes: [{kind: tcp, at: a, port: 80}, {kind: tcp, at: b, port: 80}]", "probe 2 (tcp-80) id: tcp-80 stands"),
        ("probes: [{kind: closed, at: a, port: 80, control: x}]", "probe 1 (closed-80) control: 'x' is no probe"),
        ("probes: [{kind: closed, at: a, port: 80, control: closed-80}]", "control: 'closed-80' is no probe of"),
        ("probes: [{kind: closed, at: a, port: 80}]", "probe 1 (closed) control: Field required"),
        ("probes: [{kind: command, at: a, user: u}]", "probe 1 (command) run: Field required"),
        ("probes: [{kind: command, at: a, run: id}]", "probe 1 (command) user: Field required"),
        ("probes: [{kind: command, at: a, user: -oProxyCommand=id, run: id}]", "(command) user: String should match"),
        ("probes: [{kind: command, at: a, user: root@b, run: id}]", "probe 1 (command) user: String should match"),
        ("probes: [{kind: command, at: a, user: 'a b', run: id}]", "probe 1 (command) user: String should match"),
        ("probes: [{kind: command, at: a, user: '$(id)', run: id}]", "probe 1 (command) user: String should match"),
        ("probes: [{kind: command, at: a, user: '', run: id}]", "probe 1 (command) user: String should match"),
        ("probes: [{kind: command, at: a, user: %s, run: id}]" % ("u" * 65), "(command) user: String should match"),
        ('probes: [{kind: command, at: a, user: "u\\n", run: id}]', "probe 1 (command) user: String should match"),
        ("probes: [{kind: command, at: a, user: u, run: ''}]", "probe 1 (command) run: String should match"),
        ("probes: [{kind: command, at: a, user: u, run: ' id'}]", "probe 1 (command) run: String should match"),
        ('probes: [{kind: command, at: a, user: u, run: "id\\nid"}]', "probe 1 (command) run: String should match"),
        ('probes: [{kind: command, at: a, user: u, run: "id\\0"}]', "probe 1 (command) run: String should match"),
        ('probes: [{kind: command, at: a, user: u, run: "id \\u202e di"}]', "(command) run: String should match"),
        ("probes: [{kind: command, at: a, user: u, run: %s}]" % ("x" * 1001), "(command) run: String should have at most"),
        ("probes: [{kind: command, at: a, user: u, run: id, output: hash}]", "(command) output: Input should be 'same'"),
        ("probes: [{kind: command, at: a, user: u, run: id, password: x}]", "(command) password: Extra inputs are not"),
        ("probes: [{kind: command, at: a, user: u, run: id, port: 0}]", "probe 1 (command) port: Input should be greater"),
        ("probes:\n" + "- {kind: tcp, at: a, port: 80}\n" * (MOST + 1), "more than 500 probes (501)"),
    ],
)  # fmt: skip
def test_a_bad_file_gets_one_message_that_says_what_and_where(text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        written.load(text, "probes.yaml")
    assert told in error.value.what and error.value.what.startswith("probes.yaml") and error.value.remedy
    assert "\n" not in error.value.what


def test_a_command_may_leave_its_port_out_and_keeps_its_line_as_it_stands() -> None:
    line = "psql -At -c 'select count(*) from \"Akten\"' | sed s/ä/ae/"
    plain = {"probes": [{"kind": "command", "at": HERE, "user": "alpine", "run": line}]}
    (found,) = written.resolved(written.load(yaml.safe_dump(plain), "p"), tenant(), "p")
    assert isinstance(found, Command) and (found.id, found.port, found.at) == ("command-22", 22, "floating_ip:f1")
    assert found.run == line and found.output == "same"
    assert called(found, HERE) == f"ssh alpine@{HERE}:22 {line}"


def test_nobody_but_a_person_plans_a_command_and_no_outage_is_measured_by_one() -> None:
    """Five logins a second are no question any more; what an address opens otherwise is knocked at."""
    shell = Command(id="rows", at="x", user="u", run="id")
    page, gate = Http(id="page", at="x", port=80), Closed(id="c", at="x", port=1, control="rows")
    assert watched([shell, gate, page], lambda probe: HERE) == [page]
    assert watched([shell, gate], lambda probe: HERE) == []


def test_every_kind_of_probe_stands_in_the_docs_and_every_example_of_the_docs_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "probes.md").read_text()
    kinds = {member.model_fields["kind"].default for member in get_args(get_args(Probe)[0])}
    assert {kind for kind in kinds if f"\n| `{kind}` |" not in page} == set()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.S)
    found = [p for text in examples for p in written.load(text, "docs")]
    assert {p.kind for p in found} == kinds
    fields = {name for p in found for name in p.model_fields_set} - {"id"}
    assert {name for name in fields if f"`{name}" not in page and f"{name}:" not in page} == set()


def test_a_place_that_the_source_has_not_is_named_with_those_that_it_has() -> None:
    probes = written.load("probes: [{kind: tcp, at: 203.0.113.77, port: 80}]", "probes.yaml")
    with pytest.raises(UsageError) as error:
        written.resolved(probes, tenant(), "probes.yaml")
    assert "probe 1 (tcp-80) at: 203.0.113.77 is no public address" in error.value.what
    assert HERE in error.value.remedy


def test_a_control_must_be_at_the_same_guest() -> None:
    text = (
        "probes: [{kind: tcp, at: 203.0.113.7, port: 80}, {kind: closed, at: 203.0.113.10, port: 81, control: tcp-80}]"
    )
    with pytest.raises(UsageError) as error:
        written.resolved(written.load(text, "p"), tenant(), "p")
    assert "tcp-80 is not at the same guest" in error.value.what
    other = text.replace("203.0.113.10", "203.0.113.9")
    assert len(written.resolved(written.load(other, "p"), tenant(), "p")) == 2, "another address of the same guest"


@pytest.mark.thorough
@given(st.text(max_size=200))
def test_any_text_is_probes_or_one_message(text: str) -> None:
    try:
        assert written.load(text, "f")
    except UsageError as error:
        assert error.what.startswith("f")


# --- what is open to the world


def open_ports(source: Workload, at: str = "floating_ip:f1") -> set[int]:
    return {p.port for p in world(source).open if p.at == at}


def shut_ports(source: Workload, at: str = "floating_ip:f1") -> list[int]:
    return [p.port for p in world(source).shut if p.at == at]


def test_what_a_rule_opens_to_everybody_is_looked_at_and_what_some_may_reach_is_closed() -> None:
    source = tenant(
        rule("1", 80), rule("2", 443, remote_ip_prefix="0.0.0.0/0"), rule("3", 8081, remote_ip_prefix="198.51.100.0/24"),
        rule("4", 9999, remote_group_id="inner"), rule("5", 53, protocol="udp"), rule("6", 22, ethertype="IPv6"),
        rule("7", 23, direction="egress"),
    )  # fmt: skip
    assert open_ports(source) == {80, 443}
    assert shut_ports(source) == [8081, 9999, 5432] and len(shut_ports(source)) == CLOSED_AT_MOST
    assert {p.at for p in world(source).open} == {"floating_ip:f1", "floating_ip:f3", "floating_ip:f4"}, (
        "one has no port"
    )


def test_two_halves_of_the_world_are_the_world() -> None:
    halves = [rule("1", 80, remote_ip_prefix="0.0.0.0/1"), rule("2", 80, 90, remote_ip_prefix="128.0.0.0/1")]
    assert open_ports(tenant(*halves)) == {80}
    assert open_ports(tenant(halves[0])) == open_ports(tenant(halves[1])) == set()


def test_of_many_ports_the_usual_ones_are_looked_at() -> None:
    assert open_ports(tenant(rule("1", None))) == set(USUAL)
    assert open_ports(tenant(rule("1", 1000, 4000))) == {3000, 3306}
    assert open_ports(tenant(rule("1", 100, 103))) == {100, 101, 102, 103}
    assert (
        open_ports(tenant(rule("1", None, protocol=None))) == set(USUAL) and shut_ports(tenant(rule("1", None))) == []
    )
    assert open_ports(tenant(secured=False)) == set(USUAL), "without port security everything is open"


def test_what_answers_becomes_a_probe_and_a_closed_one_has_its_control() -> None:
    source = tenant(rule("1", 80), rule("2", 22))
    one = next(p for p in world(source).open if p.port == 80 and p.at == "floating_ip:f1")
    told = {"at": "x", "port": 1}
    found = proposed(world(source), {one: (Http(id="http", **told), Tcp(id="tcp", **told))}, ["web-server-tcp-80"])
    assert [p.id for p in found] == [
        "web-server-http-80", "web-server-tcp-80-2", "web-server-closed-5432", "web-server-closed-3306", "web-server-closed-6379"
    ]  # fmt: skip
    assert {p.at for p in found} == {"floating_ip:f1"} and [p.port for p in found[:2]] == [80, 80]
    assert {p.control for p in found if isinstance(p, Closed)} == {"web-server-http-80"}
    assert list(faults(found, source)) == []


def test_where_nothing_answers_nothing_is_proposed_and_what_answers_us_is_no_closed_port() -> None:
    source = tenant(rule("1", 80))
    assert proposed(world(source), {}) == ()
    shut = next(p for p in world(source).shut if p.at == "floating_ip:f1")
    found = proposed(world(source), {shut: (Ssh(id="s", at="x", port=1),)})
    assert found[0].port == shut.port and found[0].kind == "ssh"
    assert shut.port not in {p.port for p in found if isinstance(p, Closed)}


def test_ids_of_proposals_are_ids_whatever_a_guest_is_called() -> None:
    named = Place("floating_ip:f1", HERE, 80, "Ünter  Bau!!" + "x" * 100)
    (probe,) = proposed(type(world(tenant()))((named,), ()), {named: (Tcp(id="t", at="x", port=1),)})
    assert Tcp.model_validate(probe.model_dump()).id.startswith("nter-bau-x")
