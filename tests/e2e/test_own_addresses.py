# SPDX-License-Identifier: Apache-2.0
"""A cloud takes addresses of a tenant's network for itself (DHCP agents, OVN's metadata, SNAT of distributed routers) as soon as
there is a subnet. The embedded cloud does not; its administrator does it here, as an agent would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import inventory
import pytest
from openstack.exceptions import SDKException

from unterbau import reference

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1500), pytest.mark.filterwarnings("ignore")]
PORTS = 9
"""Of thirteen addresses in the pool of a /28."""


class _Agent(threading.Thread):
    """Gives each new subnet with DHCP a port of the cloud's, at the first address of its pools."""

    def __init__(self, admin: Any) -> None:
        super().__init__(daemon=True)
        self.admin, self.ended, self.took = admin, threading.Event(), dict[str, str]()
        self.known = {s.id for s in admin.network.subnets()}

    def run(self) -> None:
        while not self.ended.wait(0.02):
            for subnet in self.admin.network.subnets(ip_version=4):
                if subnet.id in self.known or not subnet.is_dhcp_enabled or not subnet.allocation_pools:
                    continue
                self.known.add(subnet.id)
                address = subnet.allocation_pools[0]["start"]
                with suppress(SDKException):
                    self.admin.network.create_port(
                        network_id=subnet.network_id, project_id=subnet.project_id, device_owner="network:dhcp", device_id=f"dhcp-{subnet.id}",
                        fixed_ips=[{"subnet_id": subnet.id, "ip_address": address}],
                    )  # fmt: skip
                    self.took[subnet.cidr] = address


@pytest.fixture
def sides(two_clouds: tuple[str, str]) -> Iterator[tuple[Any, Any]]:
    """A network whose ports have the addresses that Neutron gave them, and an empty target."""
    source, target = (inventory.connect(n, reference.clouds_file(n)) for n in two_clouds)
    for side in (source, target):
        inventory.sweep(side)
    try:
        inner = source.network.create_network(name="inner")
        subnet = source.network.create_subnet(network_id=inner.id, name="inner-v4", ip_version=4, cidr="10.20.0.0/28")
        for number in range(PORTS):
            source.network.create_port(network_id=inner.id, name=f"node-{number}")
        # An address that moves between two servers and is nobody's port.
        free = {f"10.20.0.{n}" for n in range(2, 15)} - {
            ip["ip_address"] for port in source.network.ports(network_id=inner.id) for ip in port.fixed_ips
        }
        source.network.create_port(network_id=inner.id, name="pair", allowed_address_pairs=[{"ip_address": min(free)}])
        assert subnet.allocation_pools == [{"start": "10.20.0.2", "end": "10.20.0.14"}]
        yield source, target
    finally:
        for side in (source, target):
            inventory.sweep(side)


def test_what_the_target_takes_for_itself_is_none_of_the_tenants(
    sides: tuple[Any, Any], two_clouds: tuple[str, str], tmp_path: Path
) -> None:
    source, name, told = sides[0], two_clouds[1], tmp_path / "verdicts.json"
    agent = _Agent(inventory.connect(f"{name}-admin", reference.clouds_file(name)))
    agent.start()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "unterbau", "drill", *two_clouds, "--late-writes", "5", "-o", str(told)],
            capture_output=True, text=True, check=False, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        )  # fmt: skip
    finally:
        agent.ended.set()
        agent.join()
    assert done.returncode in (0, 3), done.stdout + done.stderr
    verdicts = json.loads(told.read_text(encoding="utf-8"))["verdicts"]
    assert {v["outcome"] for v in verdicts if v["claim"]["kind"] in ("structure", "completeness")} == {"held"}, (
        done.stdout
    )
    own = {ip["ip_address"] for port in source.network.ports() for ip in port.fixed_ips}
    own |= {pair["ip_address"] for port in source.network.ports() for pair in port.allowed_address_pairs}
    assert set(agent.took) == {"10.20.0.0/28"}
    assert agent.took["10.20.0.0/28"] not in own
