# SPDX-License-Identifier: Apache-2.0
"""The census of clouds whose listings do not agree: read again, then not shown with its place; never silently short."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unterbau.cloud.port import Listing, Surroundings
from unterbau.cloud.simulator import Simulator
from unterbau.errors import Unreachable
from unterbau.switch import census
from unterbau.switch.agreement import COUNTED
from unterbau.tenant.kinds import (
    OWNER_ONLY,
    Image,
    Kind,
    Network,
    Port,
    Quota,
    Ref,
    Resource,
    RouterInterface,
    SecretContainer,
    SecretEntry,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    Subnet,
    ref,
)
from unterbau.tenant.workload import NotShown, Workload

NOW = datetime(2026, 11, 25, tzinfo=UTC)
Filter = Callable[[Kind, int, Listing], Listing]


class Moody(Simulator):
    """A simulated cloud whose listings a test changes: `change(kind, how often it was listed, listing)`."""

    def __init__(
        self, folder: Path, change: Filter = lambda kind, time, found: found, used: dict[Kind, int] | None = None
    ) -> None:
        super().__init__(folder, name="moody")
        self.change, self.used = change, used or {}
        self.listed, self.looked, self.paused = Counter[Kind](), list[Ref](), list[float]()

    def listing(self, kind: Kind) -> Listing:
        self.listed[kind] += 1
        return self.change(kind, self.listed[kind], super().listing(kind))

    def surroundings(self) -> Surroundings:
        found = super().surroundings()
        quotas = tuple(
            Quota(service=COUNTED[kind][0], resource=COUNTED[kind][1], limit=-1, used=used)
            for kind, used in self.used.items()
        )
        return found.model_copy(update={"offering": found.offering.model_copy(update={"quotas": quotas})})

    def read(self, reference: Ref) -> Resource | None:
        self.looked.append(reference)
        return super().read(reference)

    def taken(self) -> Workload:
        self.listed.clear()
        self.looked.clear()
        return census.take(self, now=lambda: NOW, pause=self.paused.append)


@pytest.fixture(scope="module")
def ruled(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seeded tenant, with a rule in its default group."""
    folder = Path(shutil.copytree(planted, tmp_path_factory.mktemp("ruled") / "cloud"))
    cloud = Simulator(folder, name="moody")
    group = next(r for r in cloud._all() if isinstance(r, SecurityGroup) and r.is_default)
    cloud._put(SecurityGroupRule(id="r0", security_group_id=group.id, direction="egress", ethertype="IPv4"))
    return folder


@pytest.fixture
def folder(ruled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ruled, tmp_path / "cloud"))


def without(found: Listing, *gone: Ref) -> Listing:
    return found.model_copy(update={"resources": tuple(r for r in found.resources if r.ref not in gone)})


def hide(*kinds: Kind, times: int = 99) -> Filter:
    """These kinds are listed as empty, the first so many times."""
    return lambda kind, time, found: Listing(resources=()) if kind in kinds and time <= times else found


def told(taken: Workload) -> dict[str, str]:
    return {n.what: str(n.reason) for n in taken.not_shown}


@pytest.mark.thorough
def test_a_census_that_agrees_reads_each_kind_once_and_looks_at_nothing_again(folder: Path) -> None:
    cloud = Moody(folder)
    taken = cloud.taken()
    assert set(cloud.listed.values()) == {1} and cloud.listed.keys() == set(Kind)
    assert (cloud.looked, cloud.paused, taken.not_shown) == ([], [], ())
    assert len(taken.resources) == len(cloud.enumerate_all())


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [Kind.NETWORK, Kind.SUBNET, Kind.ROUTER, Kind.SECURITY_GROUP, Kind.PORT, Kind.SERVER,
                                  Kind.VOLUME, Kind.CONTAINER, Kind.SERVER_GROUP, Kind.SECRET])  # fmt: skip
def test_a_kind_that_others_name_and_that_is_empty_at_first_is_read_again(folder: Path, kind: Kind) -> None:
    whole = Moody(folder).taken()
    for times in (1, 3):
        cloud = Moody(folder, hide(kind, times=times))
        assert cloud.taken() == whole
        assert tuple(cloud.paused) == census.AGAIN[:times] and sum(census.AGAIN) < 10
        assert cloud.listed[kind] == times + 1
        assert cloud.listed[Kind.KEYPAIR] == 1, "nothing disagrees about key pairs"


def test_what_stays_named_and_not_listed_is_not_shown_with_its_place_and_the_rest_is_there(folder: Path) -> None:
    whole = Moody(folder).taken()
    network = whole.of(RouterInterface)[0].network_id
    gone = ref(Kind.NETWORK, network)
    cloud = Moody(folder, lambda kind, time, found: without(found, gone))
    taken = cloud.taken()
    assert {r.ref for r in taken.resources} == {r.ref for r in whole.resources} - {gone}
    notes = told(taken)
    assert set(notes) == {gone, "network"}
    assert "names it (network_id), and the listing of the project does not have it" in notes[gone]
    assert notes["network"] == f"1 is named by others and not listed: {gone}"
    assert cloud.listed[Kind.NETWORK] == 1 + len(census.AGAIN)


def test_a_group_default_that_is_made_while_we_list_is_seen_with_its_rules(tmp_path: Path) -> None:
    for first in (Kind.SECURITY_GROUP, Kind.SECURITY_GROUP_RULE):  # which listing came before it was made
        cloud = Moody(tmp_path / first.value, hide(first, times=1))
        group = next(r for r in cloud._all() if isinstance(r, SecurityGroup))
        cloud._put(SecurityGroupRule(id="r", security_group_id=group.id, direction="egress", ethertype="IPv4"))
        taken = cloud.taken()
        assert {r.ref for r in taken.resources} == {group.ref, "security_group_rule:r"}
        assert {n.what for n in taken.not_shown} <= set(OWNER_ONLY)


def test_a_group_default_whose_rules_the_tenant_took_away_is_nothing_strange(tmp_path: Path) -> None:
    taken = Moody(tmp_path).taken()
    assert [r.name for r in taken.resources] == ["default"]
    assert {n.what for n in taken.not_shown} <= set(OWNER_ONLY)


def foreign(cloud: Moody) -> tuple[Ref, ...]:
    """Things that a project may use though they are another's or gone; returns the Refs that are not listed."""
    network = Network(id="shared-net", name="provider", shared=True)
    subnet = Subnet(id="shared-sub", network_id="shared-net", ip_version=4, cidr="10.9.0.0/24", gateway_ip=None)
    image = Image(id="lent", name="lent", status="active", owner_id="another-project")
    for one in (network, subnet, image):
        cloud._put(one)
    ip: Any = {"subnet_id": "shared-sub", "ip_address": "10.9.0.4"}
    cloud._put(Port(id="p1", network_id="shared-net", mac_address="fa:16:3e:00:00:01", fixed_ips=(ip,),
                    device_id="long-deleted", device_owner="compute:nova"))  # fmt: skip
    cloud._put(RouterInterface(id="p2", router_id="r1", network_id="shared-net", fixed_ips=(ip,)))
    flavor = cloud.surroundings().offering.flavors[0]
    for number, image_id in enumerate(("lent", "deleted")):
        cloud._put(Server(id=f"s{number}", name="s", status="ACTIVE", flavor=flavor, image_id=image_id,
                          key_name="of-a-colleague"))  # fmt: skip
    cloud._put(SecretContainer(id="c1", type="generic", entries=(SecretEntry(name="x", secret_id="deleted"),)))
    return network.ref, subnet.ref, image.ref


def test_what_is_another_projects_or_gone_is_looked_at_once_and_is_nothing_strange(folder: Path) -> None:
    cloud = Moody(folder)
    router = next(r for r in cloud._all() if r.own_kind is Kind.ROUTER)
    hidden = foreign(cloud)
    cloud._drop("router_interface:p2")
    cloud._put(RouterInterface(id="p2", router_id=router.id, network_id="shared-net", fixed_ips=()))
    cloud.change = lambda kind, time, found: without(found, *hidden)
    taken = cloud.taken()
    assert {n.what for n in taken.not_shown} <= set(OWNER_ONLY)
    assert set(cloud.listed.values()) == {1}
    assert sorted(cloud.looked) == sorted(
        [*hidden, "image:deleted", "keypair:of-a-colleague", "secret:deleted", "server:long-deleted"]
    )


def test_an_own_network_that_a_port_names_is_not_taken_for_the_providers(folder: Path) -> None:
    cloud = Moody(folder, hide(Kind.NETWORK, Kind.SUBNET))
    notes = told(cloud.taken())
    assert {"network", "subnet"} <= set(notes)


@pytest.mark.thorough
@pytest.mark.parametrize(("used", "shown"), [(2, True), (3, True), (4, False)])
def test_a_count_of_use_above_the_listing_tells_that_it_is_short(folder: Path, used: int, shown: bool) -> None:
    there = len(Moody(folder).taken().of(Network))
    cloud = Moody(folder, used={Kind.NETWORK: used - 3 + there})
    taken = cloud.taken()
    assert len(taken.of(Network)) == there
    assert ("network" not in told(taken)) == shown
    if not shown:
        expected = f"its listing has {there} entries, the service counts {there + 1} in use"
        assert told(taken)["network"] == expected


def test_entries_that_are_no_resource_of_the_kind_count_too(folder: Path) -> None:
    def with_dhcp(kind: Kind, time: int, found: Listing) -> Listing:
        return found.model_copy(update={"entries": 50}) if kind in (Kind.PORT, Kind.ROUTER_INTERFACE) else found

    assert told(Moody(folder, with_dhcp, {Kind.PORT: 50}).taken()) == {}
    assert set(told(Moody(folder, with_dhcp, {Kind.PORT: 51}).taken())) == {"port", "router_interface"}


@pytest.mark.thorough
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, deadline=None)
@given(kinds=st.sets(st.sampled_from(sorted(COUNTED))), times=st.integers(1, 3))
def test_whichever_counted_kinds_are_missing_at_first_the_census_is_whole(
    folder: Path, kinds: set[Kind], times: int
) -> None:
    cloud = Moody(folder)
    whole = cloud.taken()
    numbers = Counter(r.own_kind for r in whole.resources)
    cloud.used = {kind: numbers[kind] for kind in COUNTED if kind not in (Kind.PORT, Kind.ROUTER_INTERFACE)}
    cloud.change = hide(*kinds - {Kind.PORT, Kind.ROUTER_INTERFACE}, times=times)
    assert cloud.taken().resources == whole.resources


@pytest.mark.thorough
def test_a_server_that_lacks_a_port_which_says_that_it_is_its_own_is_read_again(folder: Path) -> None:
    whole = Moody(folder).taken()
    server = next(s for s in whole.of(Server) if s.port_ids)

    def portless(kind: Kind, time: int, found: Listing) -> Listing:
        if kind is not Kind.SERVER or time > until:
            return found
        bare = [r.model_copy(update={"port_ids": ()}) if r.ref == server.ref else r for r in found.resources]
        return found.model_copy(update={"resources": tuple(bare)})

    claimed = [p for p in whole.of(Port) if p.id in server.port_ids]
    cloud = Moody(folder, portless)
    for port in claimed:
        cloud._put(port.model_copy(update={"device_id": server.id, "device_owner": "compute:nova"}))
    until = 1
    assert told(cloud.taken()) == {}
    until = 99
    notes = told(cloud.taken())
    assert set(notes) == {f"{server.ref}.port_ids"}
    assert claimed[0].ref in notes[f"{server.ref}.port_ids"]


def test_a_kind_that_could_not_be_read_is_said_once_and_not_looked_for(folder: Path) -> None:
    def fail(kind: Kind, time: int, found: Listing) -> Listing:
        if kind is Kind.NETWORK:
            raise Unreachable("network: no answer")
        return found

    cloud = Moody(folder, fail)
    assert told(cloud.taken()) == {"network": "Unreachable: network: no answer"}
    assert set(cloud.listed.values()) == {1}


def test_a_kind_whose_listing_is_doubted_is_not_looked_for(folder: Path) -> None:
    note = NotShown(what="network", reason="its listing has 1 entries, the service counts 3")

    def doubt(kind: Kind, time: int, found: Listing) -> Listing:
        return found.model_copy(update={"resources": (), "not_shown": (note,)}) if kind is Kind.NETWORK else found

    cloud = Moody(folder, doubt)
    assert told(cloud.taken()) == {note.what: str(note.reason)}


def test_a_second_reading_that_fails_leaves_the_first(folder: Path) -> None:
    whole = Moody(folder).taken()

    def fail(kind: Kind, time: int, found: Listing) -> Listing:
        if kind is Kind.PORT and time > 1:
            raise Unreachable("network: no answer")
        return hide(Kind.NETWORK, times=1)(kind, time, found)

    taken = Moody(folder, fail).taken()
    assert {r.ref for r in taken.resources} == {r.ref for r in whole.resources}
    assert told(taken) == {"port": "Unreachable: network: no answer"}
