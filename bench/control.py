# SPDX-License-Identifier: Apache-2.0
"""Making rules, ports and servers: our move beside bare requests, in one run on one cloud. `python -m bench.control`

The bare side knows its token and its bodies and sends one POST a thing over kept connections, as many at a time as a move has
steps; for servers it then asks all of them each second until the last one runs. Our side is the move itself, with its
journal on disk, its marks and its waiting: the steps of a plan from a tenant of these things alone. The embedded cloud takes
hours for 2,000 rules, 1,000 ports and 300 servers, several times each: fewer are the default. Rules stand in groups of a hundred.

    python -m bench.control [--rules N] [--ports N] [--servers N] [--cloud RUNNING]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import yaml

from bench.page import publish

if TYPE_CHECKING:
    from unterbau.reference.rest import Rest
    from unterbau.switch.plan import Plan
    from unterbau.tenant.kinds import Resource

NAME = "bench-control"
ROUNDS = 4
"""Both sides take turns, so that other work on the machine, and what grows, falls on both."""
TOGETHER = 100
"""Rules in one group. For each new one Neutron reads all that are there: at 500 a bare request takes a second."""
AT_ONCE = 8
"""Steps of a move at a time (`drill.Tools.workers`), and bare requests."""
FLAVOR, IMAGE = "SCS-2V-4-20s", "unterbau-tiny"


@dataclass
class Bare:
    """One identity in a project, with the addresses of its services."""

    rest: Rest
    neutron: str
    nova: str
    made: int = field(default=0)

    def post(self, url: str, single: str, body: dict[str, Any]) -> str:
        """Make one thing; its id."""
        return str(self.rest.post(url, {single: body})[single]["id"])

    def ground(self) -> tuple[str, str, str]:
        """A network, its subnet and a security group, for one series."""
        self.made += 1
        name = f"bare-{self.made}"
        network = self.post(f"{self.neutron}/networks", "network", {"name": name})
        about = {"name": name, "network_id": network, "ip_version": 4, "cidr": "10.0.0.0/16", "enable_dhcp": False}
        subnet = self.post(f"{self.neutron}/subnets", "subnet", about)
        return network, subnet, self.post(f"{self.neutron}/security-groups", "security_group", {"name": name})

    def rules(self, count: int) -> float:
        """Seconds for rules in their groups, these included: the move makes them, too."""
        begun = time.monotonic()
        groups = [self.ground()[2] for _ in range(0, count, TOGETHER)]
        self._each(count, lambda n: self.post(
            f"{self.neutron}/security-group-rules", "security_group_rule",
            {"security_group_id": groups[n // TOGETHER], "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
             "port_range_min": n + 1, "port_range_max": n + 1, "remote_ip_prefix": "192.0.2.0/24"}))  # fmt: skip
        return time.monotonic() - begun

    def _port(self, network: str, subnet: str, group: str, number: int) -> str:
        address = {"subnet_id": subnet, "ip_address": _address(number)}
        body = {"name": f"p{number}", "network_id": network, "fixed_ips": [address], "mac_address": _mac(self.made, number),
                "security_groups": [group], "admin_state_up": True}  # fmt: skip
        return self.post(f"{self.neutron}/ports", "port", body)

    def ports(self, count: int) -> float:
        """Seconds for a network and ports with their addresses."""
        begun, ground = time.monotonic(), self.ground()
        self._each(count, lambda n: self._port(*ground, n))
        return time.monotonic() - begun

    def servers(self, count: int) -> float:
        """Seconds for a network, ports and servers on them, until the last one runs."""
        begun, ground = time.monotonic(), self.ground()
        flavors, images = (self.rest.get(f"{self.nova}/flavors"), self.rest.get(f"{self.nova}/images"))
        flavor = next(f["id"] for f in flavors["flavors"] if f["name"] == FLAVOR)
        image = next(i["id"] for i in images["images"] if i["name"] == IMAGE)

        def make(number: int) -> None:
            port = self._port(*ground, number)
            body = {
                "name": f"bare-{self.made}-{number}",
                "flavorRef": flavor,
                "imageRef": image,
                "networks": [{"port": port}],
            }
            self.post(f"{self.nova}/servers", "server", body)

        self._each(count, make)
        while not self._all_run(f"bare-{self.made}-", count):
            time.sleep(1)
        return time.monotonic() - begun

    def _all_run(self, name: str, count: int) -> bool:
        listed = self.rest.get(f"{self.nova}/servers/detail?name=^{name}")["servers"]
        states = Counter(s["status"] for s in listed)
        assert not states["ERROR"], states
        return states["ACTIVE"] == count

    def _each(self, count: int, make: Callable[[int], object]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(make, range(count)))

    def clear(self) -> None:
        """Delete what stands on the networks and in the groups, ours too: each series begins with an empty project."""
        for url, key in ((f"{self.nova}/servers", "servers"), (f"{self.neutron}/ports", "ports")):
            while listed := [e["id"] for e in self.rest.get(url)[key]]:
                self._each(len(listed), lambda n, u=url, all_=listed: self._delete(f"{u}/{all_[n]}"))  # type: ignore[misc]
                time.sleep(1)
        for key in ("networks", "security-groups"):
            for entry in self.rest.get(f"{self.neutron}/{key}")[key.replace("-", "_")]:
                if entry["name"] not in ("default", "provider"):
                    self._delete(f"{self.neutron}/{key}/{entry['id']}")

    def _delete(self, url: str) -> None:
        from unterbau.errors import CloudError

        try:
            self.rest.delete(url)
        except CloudError:
            return  # gone meanwhile, or the provider's


def _without_disks(plan: Plan) -> Plan:
    """Its servers are made from the image they were booted from: here it is their making that is measured, not their bytes."""
    entries = tuple(
        e.model_copy(update={"carries_disk": False, "changes": tuple(c for c in e.changes if c.field != "image_id")})
        for e in plan.entries
    )
    return plan.model_copy(update={"entries": entries})


def _mac(series: int, number: int) -> str:
    return f"fa:16:3e:{series:02x}:{number // 256:02x}:{number % 256:02x}"


def _address(number: int) -> str:
    return f"10.0.{1 + number // 200}.{1 + number % 200}"


def tenant(kind: str, count: int, turn: str) -> list[Resource]:
    """The same things as a tenant that moves, with names of this turn: those of the turns before are still there."""
    from unterbau.tenant.kinds import FixedIp, Flavor, Network, Port, SecurityGroup, SecurityGroupRule, Server, Subnet

    if kind == "rules":
        groups = [SecurityGroup(id=f"group-{n}", name=f"{turn}-{n}") for n in range(0, count, TOGETHER)]
        return [*groups, *(SecurityGroupRule(
            id=f"rule-{n}", name="", security_group_id=f"group-{n - n % TOGETHER}", direction="ingress", ethertype="IPv4", protocol="tcp",
            port_range_min=n + 1, port_range_max=n + 1, remote_ip_prefix="192.0.2.0/24") for n in range(count))]  # fmt: skip
    group = SecurityGroup(id="group", name=turn)
    network = Network(id="network", name=turn)
    subnet = Subnet(id="subnet", name=turn, network_id="network", ip_version=4, cidr="10.0.0.0/16", gateway_ip="10.0.0.1",
        enable_dhcp=False)  # fmt: skip
    ports = [Port(
        id=f"port-{n}", name=f"p{n}", network_id="network", mac_address=_mac(255, n), security_group_ids=("group",),
        fixed_ips=(FixedIp(subnet_id="subnet", ip_address=_address(n)),),
        device_id=f"server-{n}" if kind == "servers" else "", device_owner="compute:nova" if kind == "servers" else "",
        ) for n in range(count)]  # fmt: skip
    flavor = Flavor(name=FLAVOR, vcpus=2, ram_mib=4096, disk_gib=20)
    servers = [Server(
        id=f"server-{n}", name=f"{turn}-{n}", status="ACTIVE", flavor=flavor, image_id="image", port_ids=(f"port-{n}",)
        ) for n in range(count if kind == "servers" else 0)]  # fmt: skip
    return [group, network, subnet, *ports, *servers]


@dataclass
class Ours:
    """A project into which we move."""

    cloud: str
    files: Sequence[Path]
    folder: Path
    requests: Counter[str] = field(default_factory=Counter)
    """How many of each method the last move sent."""
    reads: tuple[int, int] = (0, 0)
    """How many requests a census was, before it and after it."""

    def move(self, kind: str, count: int, *, at_birth: bool) -> float:
        """Seconds for the steps of a move. `at_birth`: ports may be tagged as they are made."""
        from unterbau.cloud.openstack import connect, network
        from unterbau.cloud.simulator import Simulator
        from unterbau.saga import Journal, run
        from unterbau.switch import census, move, planning

        target = connect(self.cloud, config_files=self.files)
        source = Simulator(self.folder / f"source-{uuid.uuid4().hex}")
        with self._counted():
            there = census.take(target, now=lambda: datetime.now(UTC))
        empty = self.requests.total()
        told = census.take(source, now=lambda: datetime.now(UTC))
        image = next(i for i in there.offering.images if i.name == IMAGE)
        offering = there.offering.model_copy(update={"images": (image.model_copy(update={"id": "image"}),)})
        workload = told.model_copy(
            update={"resources": tuple(tenant(kind, count, f"ours-{uuid.uuid4().hex[:8]}")), "offering": offering}
        )
        plan = _without_disks(
            planning.make(workload, there, run=f"bench-{uuid.uuid4().hex[:8]}", now=datetime.now(UTC))
        )
        steps = move.steps(plan, workload, source, target)
        assert len(steps) >= count, [e for e in plan.entries if not e.fate.moves][:3]
        tagging = nullcontext() if at_birth else patch.object(network, "TAGGED_AT_BIRTH", "not here")
        with tagging, self._counted(), Journal(self.folder / f"{plan.run}.db") as journal:
            begun = time.monotonic()
            told_result = run(steps, journal, workers=AT_ONCE, stop=threading.Event())
            taken = time.monotonic() - begun
            assert told_result.complete, [journal.status.errors[n] for n in told_result.failed][:3]
        sent = self.requests
        with self._counted():
            census.take(target, now=lambda: datetime.now(UTC))
        self.reads, self.requests = (empty, self.requests.total()), sent
        return taken

    @contextmanager
    def _counted(self) -> Iterator[None]:
        import requests

        send, lock, self.requests = requests.Session.send, threading.Lock(), Counter()

        def counted(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            with lock:
                self.requests[str(request.method)] += 1
            return send(session, request, **options)

        requests.Session.send = counted  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            requests.Session.send = send  # type: ignore[method-assign]


def measure(bare: Bare, ours: Ours, sizes: dict[str, int]) -> list[list[str]]:
    """A row a kind of thing; ports also as a cloud makes them that does not tag a port as it makes it."""
    rows = []
    for kind, count in sizes.items():
        if not count:
            continue
        bare.clear()
        at_once = -(-count // ROUNDS)
        ways = {"bare": getattr(bare, kind), kind: partial(ours.move, kind, at_birth=True)}
        if kind == "ports":
            ways["ports, tagged afterwards"] = partial(ours.move, kind, at_birth=False)
        taken, told = {way: list[float]() for way in ways}, dict[str, tuple[Counter[str], tuple[int, int]]]()
        for number in range(ROUNDS):
            for way, series in sorted(ways.items(), reverse=bool(number % 2)):
                taken[way].append(series(at_once))
                told[way] = Counter(ours.requests), ours.reads
                print(f"{at_once} {way}: {taken[way][-1]:.1f} s", flush=True)
        for way in [w for w in ways if w != "bare"]:
            ratios = [mine / plain for mine, plain in zip(taken[way], taken["bare"], strict=True)]
            requests, reads = told[way]
            sent = ", ".join(f"{n / at_once:.2f} {method}" for method, n in sorted(requests.items()))
            rows.append([
                f"{at_once * ROUNDS:,} {way}", f"{sum(taken['bare']):.1f}", f"{sum(taken[way]):.1f}",
                f"{sum(taken[way]) / sum(taken['bare']):.2f} x", f"{min(ratios):.2f} to {max(ratios):.2f}", sent,
                f"{reads[0]}, {reads[1]}"])  # fmt: skip
    bare.clear()
    return rows


def identities(name: str, file: Path) -> Bare:
    """The bare side, with a token of the tenant's; the quotas of its project are lifted."""
    from keystoneauth1.session import Session
    from openstack.config import OpenStackConfig

    from unterbau.reference.rest import Rest

    config = OpenStackConfig(config_files=[str(file)], load_envvars=False)
    told = yaml.safe_load(file.read_text(encoding="utf-8"))["clouds"][name]
    session, admin = (config.get_one(cloud=n).get_session() for n in (name, f"{name}-admin"))
    assert isinstance(session, Session)
    neutron, nova = (str(session.get_endpoint(service_type=s)).rstrip("/") for s in ("network", "compute"))
    project = session.get_project_id()
    limits = {"port": -1, "security_group_rule": -1, "network": -1, "subnet": -1, "security_group": -1}
    admin.put(f"{neutron}/v2.0/quotas/{project}", json={"quota": limits})
    limits = {"instances": -1, "cores": -1, "ram": -1}
    admin.put(f"{nova}/os-quota-sets/{project}", json={"quota_set": limits})
    rest = Rest(Path(told["cacert"]))
    rest.token = str(session.get_token())
    return Bare(rest, f"{neutron}/v2.0", nova)


def main() -> None:
    """Measure and publish; a cloud that this made is removed at the end."""
    asked = argparse.ArgumentParser()
    for kind, default in (("rules", 400), ("ports", 200), ("servers", 32)):
        asked.add_argument(f"--{kind}", type=int, default=default)
    asked.add_argument("--cloud", default="", help="one that runs, in whose project nothing remains")
    told = asked.parse_args()
    sizes = {"rules": told.rules, "ports": told.ports, "servers": told.servers}
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as home:
        from unterbau import reference

        if not told.cloud:
            os.environ["XDG_DATA_HOME"] = home
        name = told.cloud or NAME
        try:
            if not told.cloud:
                reference.up(name, progress=print)
            file = reference.clouds_file(name)
            rows = measure(identities(name, file), Ours(name, [file], Path(home)), sizes)
        finally:
            if not told.cloud:
                reference.wipe(name)
    for row in rows:
        print("  ".join(row))
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.control` on {os.cpu_count()} cores (load"
        f" {os.getloadavg()[2]:.1f} in the last quarter of an hour), client and cloud on the same machine: seconds until the things"
        f" are there, {AT_ONCE} at a time, in {ROUNDS} turns of both sides, with the network and groups that they stand in; below 1 x we are quicker. Bare is one"
        " POST a thing, its token and bodies at hand; of servers until the last one runs, each with a port. Ours are all steps of the move, its journal on disk; then"
        " what it asks for each thing, and how many requests a census is before and after it."
    )
    columns = ("made", "bare", "our move", "ratio", "of a turn", "requests a thing", "requests of a census")
    publish("control", head, columns, rows)


if __name__ == "__main__":
    main()
