# SPDX-License-Identifier: Apache-2.0
"""The contract of `cloud.port`, one suite for all who implement it: the simulator always, a real cloud if asked.

What a test makes it removes; names and markers are its own.
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from making import WAIT, Maker, opened_again, server_with
from pydantic import SecretBytes

from unterbau.cloud.disks import form_of, guest_bytes, length_of
from unterbau.cloud.openstack.network import TAGGED_AT_BIRTH, NetworkService
from unterbau.cloud.port import ByteStream, Cloud, Listing
from unterbau.cloud.simulator import Simulator
from unterbau.errors import Broken, CloudError, Conflict, Forbidden, NotFound
from unterbau.tenant.kinds import (
    OWNER_ONLY,
    AddressGroup,
    AllocationPool,
    Attachment,
    Container,
    FixedIp,
    Image,
    Kind,
    Network,
    Port,
    Ref,
    Resource,
    Router,
    RouterInterface,
    Secret,
    SecretContainer,
    SecretEntry,
    SecurityGroup,
    SecurityGroupRule,
    Segment,
    Server,
    ServerGroup,
    Snapshot,
    Source,
    StoredObject,
    Subnet,
    Volume,
    ref,
)


def test_twice_with_one_marker_is_one_thing(cloud: Cloud, make: Maker) -> None:
    wish = Network(id="-", name=f"n-{make.tag}", description="text", tags=("a", "b"))
    assert make.ensure(wish) == make.ensure(wish)
    found = [r for r in cloud.listing(Kind.NETWORK).resources if r.name == wish.name]
    assert len(found) == 1
    assert found[0].marker == make.marker()
    assert found[0].comparable() | {"mtu": None} == wish.comparable() | {"mtu": None}


def test_a_network_gets_its_mtu_and_no_more_than_the_largest(cloud: Cloud, make: Maker) -> None:
    """A larger one is refused by a real cloud with the whole network (400)."""
    got = []
    for number, mtu in enumerate((None, 1300, 1_000_000)):
        wish = Network(id="-", name=f"n{number}-{make.tag}", mtu=mtu, description="text")
        there = cloud.read(ref(Kind.NETWORK, make.ensure(wish, str(number))))
        assert isinstance(there, Network) and there.description == "text"
        got.append(there.mtu)
    assert got[1] == 1300 and got[0] == got[2]


def test_a_port_that_nothing_is_bound_to_keeps_its_users_word(cloud: Cloud, make: Maker) -> None:
    network = make.ensure(Network(id="-", name=f"n-{make.tag}"))
    wish = Port(id="-", name="vip", network_id=network, mac_address="fa:16:3e:77:00:03", role="vip:keepalived")
    there = cloud.read(ref(Kind.PORT, make.ensure(wish)))
    assert isinstance(there, Port) and there.role == "vip:keepalived"


def test_a_leg_has_its_own_addresses_though_a_slaac_subnet_comes_meanwhile(
    cloud: Cloud, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neutron gives a port that is no router's an address of each such subnet, and a router one leg a network that has one."""
    network = make.ensure(Network(id="-", name=f"n-{make.tag}"), "n")
    router = make.ensure(Router(id="-", name=f"r-{make.tag}"), "r")
    old, new = (
        Subnet(id="-", name=f"s{number}-{make.tag}", network_id=network, ip_version=version, cidr=cidr, gateway_ip=gateway,
               ipv6_address_mode=mode, ipv6_ra_mode=mode)
        for number, version, cidr, gateway, mode in ((0, 4, "192.0.2.0/26", "192.0.2.1", None),
                                                     (1, 6, "2001:db8:aa::/64", "2001:db8:aa::1", "slaac"))
    )  # fmt: skip
    first = make.ensure(old, "s0")
    attach = NetworkService._add_interface

    def late(service: NetworkService, wish: RouterInterface, port: str) -> None:
        make.ensure(new, "s1")
        attach(service, wish, port)

    monkeypatch.setattr(NetworkService, "_add_interface", late)
    wishes = [(first, "192.0.2.1")]
    for number in range(2):
        subnet, address = wishes[-1]
        ips = (FixedIp(subnet_id=subnet, ip_address=address),)
        leg = make.ensure(
            RouterInterface(id="-", name=f"l{number}-{make.tag}", router_id=router, network_id=network, fixed_ips=ips),
            f"l{number}",
        )
        there = cloud.settle(ref(Kind.ROUTER_INTERFACE, leg), WAIT)
        assert isinstance(there, RouterInterface) and there.fixed_ips == ips
        wishes.append((make.ensure(new, "s1"), "2001:db8:aa::1"))


@pytest.mark.parametrize("extension", [TAGGED_AT_BIRTH, "none that is here"])
def test_a_port_is_made_once_with_its_mark_tags_and_description(
    cloud: Cloud, make: Maker, extension: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether Neutron tags it as it makes it, or afterwards."""
    monkeypatch.setattr("unterbau.cloud.openstack.network.TAGGED_AT_BIRTH", extension)
    network = make.ensure(Network(id="-", name=f"n-{make.tag}"))
    wish = Port(
        id="-", name="p", network_id=network, mac_address="fa:16:3e:77:00:04", description="why", tags=("a", "b")
    )
    port = make.ensure(wish, "p")
    for reader in (cloud, opened_again(cloud)):
        assert reader.ensure(wish, make.marker("p")) == port
        there = reader.settle(ref(Kind.PORT, port), WAIT)
        assert isinstance(there, Port)
        assert (there.marker, there.tags, there.description) == (make.marker("p"), ("a", "b"), "why")
    assert [p.id for p in cloud.listing(Kind.PORT).resources if p.marker == make.marker("p")] == [port]
    with pytest.raises(Conflict):
        cloud.ensure(wish.model_copy(update={"name": "another"}), make.marker("other"))


def test_rules_that_are_asked_for_at_once_are_made_once_each(cloud: Cloud, make: Maker) -> None:
    group = make.ensure(SecurityGroup(id="-", name=f"g-{make.tag}"), "g")
    wishes = [SecurityGroupRule(id="-", name="", security_group_id=group, direction="ingress", ethertype="IPv4", protocol="tcp",
                                port_range_min=n, port_range_max=n, remote_ip_prefix="10.0.0.0/8") for n in range(1, 25)]  # fmt: skip
    cloud.ensure(wishes[5], make.marker("r"))

    def ensure(wish: SecurityGroupRule) -> str:
        return cloud.ensure(wish, make.marker("r"))

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(ensure, wishes))
    there = {r.id: r for r in cloud.listing(Kind.SECURITY_GROUP_RULE).resources if isinstance(r, SecurityGroupRule)}
    assert [there[i].port_range_min for i in ids] == [w.port_range_min for w in wishes]
    assert sum(r.security_group_id == group for r in there.values()) == len(wishes)


def test_a_thing_of_the_same_name_is_not_adopted(cloud: Cloud, make: Maker) -> None:
    wish = Network(id="-", name=f"n-{make.tag}")
    assert make.ensure(wish, "a") != make.ensure(wish, "b")


@pytest.mark.parametrize(
    "wish",
    [
        ServerGroup(id="-", name="contract", policy="soft-anti-affinity"),
        AddressGroup(id="-", name="contract", addresses=("10.0.0.0/8",)),
        Secret(id="-", name="contract"),
    ],
    ids=lambda wish: wish.own_kind.value,
)
def test_without_a_marker_what_was_there_before_is_not_adopted(cloud: Cloud, make: Maker, wish: Resource) -> None:
    wish = wish.model_copy(update={"name": f"{wish.name}-{make.tag}"})
    first = make.ensure(wish, "a", cloud.lookalikes(wish))
    before = cloud.lookalikes(wish)
    assert first in before
    second = make.ensure(wish, "b", before)
    assert second != first
    assert make.ensure(wish, "b", before) == second


@pytest.mark.parametrize(
    "wish",
    [ServerGroup(id="-", name="alike", policy="soft-anti-affinity"), AddressGroup(id="-", name="alike")],
    ids=lambda wish: wish.own_kind.value,
)
def test_of_two_that_look_alike_none_is_taken(cloud: Cloud, make: Maker, wish: Resource) -> None:
    wish = wish.model_copy(update={"name": f"{wish.name}-{make.tag}"})
    two = sorted(make.ensure(wish, step, cloud.lookalikes(wish)) for step in "ab")
    for id_ in two if wish.BONDS else ():
        cloud.set_bonds(wish.model_copy(update={"id": id_}))
    later = opened_again(cloud)  # who made which is forgotten
    with pytest.raises(Conflict) as caught:
        later.ensure(wish, make.marker("c"))
    assert all(id_ in caught.value.what for id_ in two)
    assert sorted(cloud.lookalikes(wish)) == two


def test_an_address_group_is_marked_until_it_gets_its_description(cloud: Cloud, make: Maker) -> None:
    wish = AddressGroup(id="-", name=f"g-{make.tag}", description="why", addresses=("10.0.0.0/8",))
    id_ = make.ensure(wish)
    assert make.ensure(wish) == id_
    half = cloud.read(ref(Kind.ADDRESS_GROUP, id_))
    assert half is not None and half.marker == make.marker()
    for _ in "twice":
        cloud.set_bonds(wish.model_copy(update={"id": id_}))
        there = cloud.read(ref(Kind.ADDRESS_GROUP, id_))
        assert there is not None and there.marker is None and there.comparable() == wish.comparable()
    assert make.ensure(wish) == id_
    cloud.unmark(half)
    bare = cloud.read(half.ref)
    assert bare is not None and bare.marker is None


def test_a_security_group_begins_shut_and_a_rule_keeps_its_remote(cloud: Cloud, make: Maker) -> None:
    group = make.ensure(SecurityGroup(id="-", name=f"g-{make.tag}", description="d"))
    rules = [r for r in cloud.listing(Kind.SECURITY_GROUP_RULE).resources if isinstance(r, SecurityGroupRule)]
    assert [r for r in rules if r.security_group_id == group] == []
    wish = SecurityGroupRule(
        id="-", security_group_id=group, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=22,
        port_range_max=22, remote_group_id=group, description="why",
    )  # fmt: skip
    rule = make.ensure(wish)
    assert make.ensure(wish) == rule
    there = cloud.read(ref(Kind.SECURITY_GROUP_RULE, rule))
    assert there is not None and there.comparable() == wish.comparable()


def test_a_server_is_stopped_and_locked_and_a_locked_one_is_not_deleted(cloud: Cloud, make: Maker) -> None:
    network = make.ensure(Network(id="-", name=f"n-{make.tag}"))
    wish = Subnet(id="-", network_id=network, ip_version=4, cidr="10.77.0.0/24", gateway_ip=None)
    make.ensure(wish.model_copy(update={"name": f"s-{make.tag}"}))
    mac = "fa:16:3e:77:00:01"
    port = make.ensure(Port(id="-", name=f"p-{make.tag}", network_id=network, mac_address=mac))
    offering = cloud.surroundings().offering
    flavor = next(f for f in offering.flavors if f.name == "SCS-2V-4-20s")
    image = next((i.id for i in offering.images if i.name == "unterbau-tiny"), None)
    server = make.ensure(
        Server(
            id="-", name=f"v-{make.tag}", status="ACTIVE", flavor=flavor, image_id=image, port_ids=(port,), locked=True
        )
    )
    reference = ref(Kind.SERVER, server)
    cloud.settle(reference, WAIT)
    assert _server(cloud, reference) == ("ACTIVE", False)
    for _ in range(2):
        cloud.set_power(server, "SHUTOFF")
        assert _server(cloud, reference) == ("SHUTOFF", False)
    for locked in (True, True, False, False):
        cloud.set_lock(server, locked)
        assert _server(cloud, reference) == ("SHUTOFF", locked)
    cloud.set_lock(server, True)
    try:
        with pytest.raises((Conflict, Forbidden)):
            cloud.delete(reference, WAIT)
    finally:
        cloud.set_lock(server, False)


def test_a_server_keeps_its_hostname_its_growing_disk_and_why_it_is_locked(cloud: Cloud, make: Maker) -> None:
    id_ = server_with(cloud, make, hostname="fachverfahren-db", disk_config="AUTO")
    try:
        for reason in ("an audit", "another one", ""):
            cloud.set_lock(id_, True, reason)
            there = cloud.read(ref(Kind.SERVER, id_))
            assert isinstance(there, Server)
            assert (there.locked, there.locked_reason) == (True, "an audit")
            assert (there.hostname, there.disk_config) == ("fachverfahren-db", "AUTO")
    finally:
        cloud.set_lock(id_, False)
    there = cloud.read(ref(Kind.SERVER, id_))
    assert isinstance(there, Server) and (there.locked, there.locked_reason) == (False, "")


def test_a_hostname_that_follows_from_the_name_is_none_of_its_own(cloud: Cloud, make: Maker) -> None:
    there = cloud.read(ref(Kind.SERVER, server_with(cloud, make)))
    assert isinstance(there, Server) and there.hostname == "" and there.disk_config == "MANUAL"


def _server(cloud: Cloud, reference: Ref) -> tuple[str, bool]:
    there = cloud.read(reference)
    assert isinstance(there, Server)
    return there.status, there.locked


def test_a_port_has_exactly_its_addresses_and_no_more_groups(cloud: Cloud, make: Maker) -> None:
    network = make.ensure(Network(id="-", name=f"n-{make.tag}"))
    subnet = make.ensure(
        Subnet(id="-", name="s", network_id=network, ip_version=4, cidr="10.77.0.0/24", gateway_ip=None)
    )
    there = cloud.read(ref(Kind.SUBNET, subnet))
    assert isinstance(there, Subnet) and there.gateway_ip is None
    wish = Port(id="-", name="p", network_id=network, mac_address="fa:16:3e:77:00:01", port_security_enabled=False,
                fixed_ips=(FixedIp(subnet_id=subnet, ip_address="10.77.0.9"),))  # fmt: skip
    port = cloud.read(ref(Kind.PORT, make.ensure(wish)))
    assert isinstance(port, Port)
    assert (port.fixed_ips, port.mac_address) == (wish.fixed_ips, wish.mac_address)
    assert (port.port_security_enabled, port.security_group_ids) == (False, ())


@pytest.mark.parametrize("narrow", [(), (AllocationPool(start="10.77.0.20", end="10.77.0.21"),)])
def test_pools_of_a_subnet_widen_over_addresses_that_stand_outside_of_them(
    cloud: Cloud, make: Maker, narrow: tuple[AllocationPool, ...]
) -> None:
    network = make.ensure(Network(id="-", name=f"n-{make.tag}"))
    wish = Subnet(id="-", name="s", network_id=network, ip_version=4, cidr="10.77.0.0/24", gateway_ip=None,
                  allocation_pools=narrow)  # fmt: skip
    subnet = make.ensure(wish)
    ips = (FixedIp(subnet_id=subnet, ip_address="10.77.0.9"),)
    make.ensure(Port(id="-", name="p", network_id=network, mac_address="fa:16:3e:77:00:01", fixed_ips=ips))
    wide = (AllocationPool(start="10.77.0.2", end="10.77.0.99"),)
    for _ in ("first", "again"):
        cloud.set_bonds(wish.model_copy(update={"id": subnet, "allocation_pools": wide}))
        there = cloud.read(ref(Kind.SUBNET, subnet))
        assert isinstance(there, Subnet) and there.allocation_pools == wide


def test_image_bytes_go_in_and_come_out(cloud: Cloud, make: Maker) -> None:
    wish = Image(id="-", name=f"i-{make.tag}", status="queued", disk_format="raw", container_format="bare",
                 visibility="private", properties={"os_distro": "debian"}, tags=("t",))  # fmt: skip
    id_ = make.ensure(wish)
    data = b"not a disk" * 100_000
    cloud.write_image(wish.model_copy(update={"id": id_}), [data], len(data))
    cloud.write_image(wish.model_copy(update={"id": id_}), [], None)
    there = cloud.settle(ref(Kind.IMAGE, id_), WAIT)
    assert isinstance(there, Image) and there.size_bytes == len(data) and there.tags == ("t",)
    with cloud.image_bytes(id_) as stream:
        assert stream.size_bytes == len(data)
        assert b"".join(stream) == data
    cloud.write_image(there.model_copy(update={"name": "another", "hidden": True}), [], None)
    cloud.write_image(there.model_copy(update={"name": "", "hidden": True}), [], None)
    later = cloud.read(ref(Kind.IMAGE, id_))
    assert isinstance(later, Image) and (later.name, later.hidden, later.tags) == ("another", True, ("t",))


def test_the_beginning_of_an_image_is_read_alone(cloud: Cloud, make: Maker) -> None:
    wish = Image(id="-", name=f"i-{make.tag}", status="queued", disk_format="raw", container_format="bare",
                 visibility="private")  # fmt: skip
    id_ = make.ensure(wish)
    cloud.write_image(wish.model_copy(update={"id": id_}), [b"beginning, middle, end"], 22)
    assert cloud.image_start(id_, 9) == b"beginning"
    assert cloud.image_start(id_, 100) == b"beginning, middle, end"


def test_the_cloud_says_that_it_takes_qcow2(cloud: Cloud) -> None:
    assert {"qcow2", "raw"} <= set(cloud.surroundings().offering.image_formats)


DISK = random.Random(7).randbytes(100_000) + bytes(300_000) + b"the end of the data"


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_a_volume_goes_into_an_image_of_either_form_and_comes_out_as_it_was(
    cloud: Cloud, make: Maker, form: str
) -> None:
    """Of a qcow2 what is in use passes; another volume that is made from it is the same disk."""
    first = Image(id="-", name=f"i-{make.tag}", status="queued", disk_format="raw", container_format="bare",
                  visibility="private")  # fmt: skip
    image = make.ensure(first, "first")
    cloud.write_image(first.model_copy(update={"id": image}), [DISK], len(DISK))
    seen = set[str]()
    for turn in range(2):
        wish = Volume(id="-", name=f"v{turn}-{make.tag}", status="", size_gib=1)
        volume = cloud.ensure(wish, make.marker(f"v{turn}"), source=Source(image_id=image))
        make.made.append(ref(Kind.VOLUME, volume))
        disk = _volume(cloud, volume)
        upload = Image(id="-", name=make.marker(f"u{turn}"), status="queued", disk_format=form, container_format="bare",
                       visibility="private")  # fmt: skip
        image = cloud.ensure(upload, make.marker(f"u{turn}"), source=Source(volume_id=volume))
        make.made.append(ref(Kind.IMAGE, image))
        there = cloud.settle(ref(Kind.IMAGE, image), WAIT)
        assert isinstance(there, Image) and there.disk_format == form and there.size_bytes
        assert (there.size_bytes < 1 << 20) is (form == "qcow2" or isinstance(cloud, Simulator))
        with guest_bytes(cloud, image, form_of(there), length_of(disk), None) as stream:
            digest, length = hashlib.sha256(), 0
            for chunk in stream:
                digest.update(chunk)
                length += len(chunk)
            assert stream.size_bytes == length >= len(DISK)
        seen.add(digest.hexdigest())
        whole = hashlib.sha256(DISK)
        for at in range(len(DISK), length, 1 << 20):
            whole.update(bytes(min(1 << 20, length - at)))
        assert digest.hexdigest() == whole.hexdigest()
    assert len(seen) == 1


def test_a_volume_comes_up_and_goes(cloud: Cloud, make: Maker) -> None:
    wish = Volume(id="-", name=f"v-{make.tag}", status="", size_gib=1, metadata={"k": "ü"})
    there = cloud.settle(ref(Kind.VOLUME, make.ensure(wish)), WAIT)
    assert isinstance(there, Volume)
    assert (there.status, there.metadata, there.marker) == ("available", {"k": "ü"}, make.marker())


def _volume(cloud: Cloud, id_: str) -> Volume:
    there = cloud.settle(ref(Kind.VOLUME, id_), WAIT)
    assert isinstance(there, Volume)
    return there


def test_updated_at_of_a_volume_tells_that_it_was_attached_and_nothing_else(cloud: Cloud, make: Maker) -> None:
    """`close --source` rests on it: a volume that stands unattached with the same `updated_at` was not written."""
    volume = make.ensure(Volume(id="-", name=f"v-{make.tag}", status="", size_gib=1))
    seen = [_volume(cloud, volume).updated_at]
    snapshot = make.ensure(Snapshot(id="-", name=f"p-{make.tag}", status="", volume_id=volume, size_gib=1))
    cloud.settle(ref(Kind.SNAPSHOT, snapshot), WAIT)
    assert _volume(cloud, volume).updated_at == seen[0] is not None
    server = server_with(cloud, make, ())
    attachment = ref(Kind.ATTACHMENT, make.ensure(Attachment(id="-", server_id=server, volume_id=volume)))
    assert _until(cloud, volume, "in-use").updated_at not in seen
    cloud.delete(attachment, WAIT)
    assert _until(cloud, volume, "available").updated_at not in seen


def test_a_disk_outlives_its_server_if_asked(cloud: Cloud, make: Maker) -> None:
    volumes = [make.ensure(Volume(id="-", name=f"v{n}-{make.tag}", status="", size_gib=1), str(n)) for n in (0, 1)]
    for volume in volumes:
        _volume(cloud, volume)
    disks = tuple(
        Attachment(id="-", server_id="-", volume_id=v, boot_index=n or None, delete_on_termination=True)
        for n, v in enumerate(volumes)
    )
    server = server_with(cloud, make, disks)
    for _ in range(2):
        cloud.keep_disk(ref(Kind.ATTACHMENT, f"{server}/{volumes[0]}"))
    cloud.delete(ref(Kind.SERVER, server), WAIT)
    assert _until(cloud, volumes[0], "available")
    wait(lambda: cloud.read(ref(Kind.VOLUME, volumes[1])) is None)


def _until(cloud: Cloud, volume: str, status: str) -> Volume:
    wait(lambda: _volume(cloud, volume).status == status)
    return _volume(cloud, volume)


def wait(look: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT.total_seconds()
    while not look():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.parametrize("name", ["plain", "ü ✓", "a//b", " space ", "100%?#&=+", "..%2F", "x" * 900])
def test_object_names_and_bytes_are_untouched(cloud: Cloud, make: Maker, name: str) -> None:
    box = make.ensure(Container(id=f"c-{make.tag}", name=f"c-{make.tag}", metadata={"a": "b"}))
    wish = StoredObject(
        id="-", name=name, container=box, size_bytes=5, etag="", content_type="text/plain", metadata={"m": "1"}
    )
    for _ in range(2):
        cloud.write_object(wish, [b"he", b"llo"], make.marker())
    make.made.append(ref(Kind.OBJECT, f"{box}/{name}"))
    listed = [r for r in cloud.listing(Kind.OBJECT).resources if isinstance(r, StoredObject) and r.container == box]
    assert [r.name for r in listed] == [name]
    assert listed[0].metadata == {"m": "1"}
    with cloud.object_bytes(box, name) as stream:
        assert b"".join(stream) == b"hello"
    with pytest.raises(Conflict):
        cloud.delete(ref(Kind.CONTAINER, box), WAIT)


def test_other_bytes_than_the_etag_says_are_not_taken(cloud: Cloud, make: Maker) -> None:
    """A bit that flips on the way costs a retry, not a claim of the verifier. An ETag of parts says nothing of bytes."""
    box = make.ensure(Container(id=f"c-{make.tag}", name=f"c-{make.tag}"))
    told = {"hello": hashlib.md5(b"hello", usedforsecurity=False).hexdigest(), "parts": f"{'0' * 32}-3"}
    reference = ref(Kind.OBJECT, f"{box}/o")
    make.made.append(reference)
    wish = StoredObject(id="-", name="o", container=box, size_bytes=5, etag=told["hello"])
    with pytest.raises(Broken, match="other bytes"):
        cloud.write_object(wish, [b"hellp"], make.marker())
    assert cloud.read(reference) is None
    cloud.write_object(wish, [b"hello"], make.marker())
    cloud.write_object(wish.model_copy(update={"etag": told["parts"]}), [b"hallo"], make.marker())
    with cloud.object_bytes(box, "o") as stream:
        assert b"".join(stream) == b"hallo"


def test_a_secret_takes_its_payload_once(cloud: Cloud, make: Maker) -> None:
    wish = Secret(id="-", name=f"s-{make.tag}", content_type="application/octet-stream")
    id_ = make.ensure(wish)
    for payload in (b"\x00first\xff", b"second"):
        cloud.write_secret(id_, wish, SecretBytes(payload))
    found = cloud.secret_payload(id_)
    assert found is not None and found.get_secret_value() == b"\x00first\xff"
    bare = make.ensure(Secret(id="-", name=f"t-{make.tag}"), "bare")
    assert cloud.secret_payload(bare) is None


@pytest.mark.parametrize(("project", "type_"), [(False, "generic"), (False, "certificate"), (True, "generic")])
def test_a_container_of_secrets_is_as_closed_as_wished(cloud: Cloud, make: Maker, project: bool, type_: str) -> None:
    names = ("certificate", "private_key")
    kept = {n: make.ensure(Secret(id="-", name=f"{n}-{make.tag}"), n) for n in names}
    entries = tuple(SecretEntry(name=n, secret_id=i) for n, i in kept.items())
    wish = SecretContainer(id="-", name=f"c-{make.tag}", type=type_, entries=entries, acl_project_access=project)
    before = cloud.lookalikes(wish)
    first = make.ensure(wish, "c", before)
    assert make.ensure(wish, "c", before) == first
    there = cloud.read(ref(Kind.SECRET_CONTAINER, first))
    assert there is not None and there.comparable() == wish.comparable()
    listed = [r for r in cloud.listing(Kind.SECRET_CONTAINER).resources if r.id == first]
    assert [r.comparable() for r in listed] == [wish.comparable()]


@pytest.mark.parametrize("closed", [True, False])
def test_a_secret_twice_in_a_container_is_there_twice(cloud: Cloud, make: Maker, closed: bool) -> None:
    secret = make.ensure(Secret(id="-", name=f"s-{make.tag}"), "s")
    entries = tuple(SecretEntry(name=n, secret_id=secret) for n in ("new", "old"))
    wish = SecretContainer(id="-", name=f"c-{make.tag}", type="generic", entries=entries,
                           acl_project_access=not closed)  # fmt: skip
    there = cloud.read(ref(Kind.SECRET_CONTAINER, make.ensure(wish, "c")))
    assert there is not None and there.comparable() == wish.comparable()


def test_twins_that_are_made_at_the_same_time_are_as_many(cloud: Cloud, make: Maker) -> None:
    """Things without a name and a marker from birth: none is taken for another, whose content would then be lost."""
    secret = make.ensure(Secret(id="-", name=f"s-{make.tag}"), "s")
    entry = SecretEntry(name="a", secret_id=secret)
    for wish in (
        ServerGroup(id="-", name=f"t-{make.tag}", policy="anti-affinity"),
        Secret(id="-", name=f"t-{make.tag}"),
        SecretContainer(id="-", name=f"t-{make.tag}", type="generic", entries=(entry,)),
        SecretContainer(id="-", name=f"u-{make.tag}", type="generic", entries=(entry,), acl_project_access=False),
    ):
        before, made = cloud.lookalikes(wish), list[str]()
        with ThreadPoolExecutor(6) as pool:
            made += pool.map(partial(_made, make, wish, before), map(str, range(6)))
        assert len(set(made)) == 6


def _made(make: Maker, wish: Resource, before: tuple[str, ...], number: str) -> str:
    return make.ensure(wish, f"{wish.own_kind}{wish.name}{number}", before)


def test_acls_of_containers_are_told_to_their_owner(cloud: Cloud, make: Maker) -> None:
    own = cloud.identity().project_id
    wish = Container(id="-", name=f"c-{make.tag}", read_acl=".r:*,.rlistings", write_acl=f"{own}:*")
    reference = ref(Kind.CONTAINER, make.ensure(wish))
    listing = cloud.listing(Kind.CONTAINER)
    for there in (cloud.read(reference), next(r for r in listing.resources if r.ref == reference)):
        assert isinstance(there, Container) and (there.read_acl, there.write_acl) == (wish.read_acl, wish.write_acl)
    assert not {n.what for n in listing.not_shown} & set(OWNER_ONLY)


def test_without_any_acl_nobody_knows_whether_one_is_hidden(cloud: Cloud, make: Maker) -> None:
    if any(isinstance(c, Container) and c.read_acl for c in cloud.listing(Kind.CONTAINER).resources):
        pytest.skip("somebody's container shows its ACL")
    make.ensure(Container(id="-", name=f"c-{make.tag}"))
    assert {n.what for n in cloud.listing(Kind.CONTAINER).not_shown} >= set(OWNER_ONLY)


def test_a_symlink_keeps_its_account_and_a_static_one_its_etag(cloud: Cloud, make: Maker) -> None:
    box = make.ensure(Container(id="-", name=f"c-{make.tag}"))
    blank = StoredObject(id="-", name="o", container=box, size_bytes=1, etag="", content_type="text/plain")
    cloud.write_object(blank, [b"x"], make.marker())
    make.made.append(ref(Kind.OBJECT, f"{box}/o"))
    etag = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    link = blank.model_copy(update={"symlink_to": f"{box}/o", "size_bytes": 0})
    for name, update in (
        ("dynamic", {}),
        ("static", {"symlink_etag": etag}),
        ("abroad", {"symlink_account": f"AUTH_{make.tag}"}),
    ):
        wish = link.model_copy(update={"name": name, **update})
        cloud.write_manifest(wish, make.marker())
        make.made.append(ref(Kind.OBJECT, f"{box}/{name}"))
        there = cloud.read(ref(Kind.OBJECT, f"{box}/{name}"))
        assert isinstance(there, StoredObject)
        fields = ("symlink_to", "symlink_account", "symlink_etag")
        assert [getattr(there, f) for f in fields] == [getattr(wish, f) for f in fields]
        assert (ref(Kind.OBJECT, f"{box}/o") in there.references()) == (name != "abroad")
    with pytest.raises(CloudError), cloud.object_bytes(box, "abroad") as stream:
        b"".join(stream)
    with pytest.raises(Conflict):
        cloud.write_manifest(link.model_copy(update={"name": "wrong", "symlink_etag": "0" * 32}), make.marker())


def test_a_users_own_key_of_our_name_travels_and_our_marker_is_found_beside_it(cloud: Cloud, make: Maker) -> None:
    theirs = {"unterbau": "a user's own words", "other": "1"}
    box = Container(id="-", name=f"c-{make.tag}", metadata=theirs)
    wishes: list[Resource] = [
        Volume(id="-", name=f"v-{make.tag}", status="", size_gib=1, metadata=theirs),
        Secret(id="-", name=f"s-{make.tag}", metadata=theirs),
        box,
    ]
    for wish in wishes:
        id_ = make.ensure(wish, wish.own_kind.value)
        there = cloud.settle(ref(wish.own_kind, id_), WAIT)
        assert (there.marker, getattr(there, "metadata", None)) == (make.marker(wish.own_kind.value), theirs)
        assert make.ensure(wish, wish.own_kind.value) == id_
    thing = StoredObject(id="-", name="o", container=box.name, size_bytes=5, etag="", metadata=theirs)
    make.made.append(ref(Kind.OBJECT, f"{box.name}/o"))
    for data in ([b"hello"], [b"again"]):
        cloud.write_object(thing, data, make.marker("object"))
    with pytest.raises(Conflict, match="not ours"):
        cloud.write_object(thing, [b"wrong"], make.marker("another"))
    found = cloud.read(ref(Kind.OBJECT, f"{box.name}/o"))
    assert isinstance(found, StoredObject)
    assert (found.marker, found.metadata) == (make.marker("object"), theirs)


def test_what_an_earlier_run_marked_goes_on_with_the_mark_of_this_one(cloud: Cloud, make: Maker) -> None:
    theirs = {"unterbau": "a user's own words"}
    boxes = [make.ensure(Container(id="-", name=f"{n}-{make.tag}"), n) for n in ("first", "then")]
    for box, step in zip(boxes, ("one", "two"), strict=True):
        found = cloud.read(ref(Kind.OBJECT, f"{boxes[0]}/o"))
        wish = found or StoredObject(id="-", name="o", container=box, size_bytes=1, etag="", metadata=theirs)
        assert isinstance(wish, StoredObject)
        make.made.append(ref(Kind.OBJECT, f"{box}/o"))
        cloud.write_object(wish.model_copy(update={"container": box}), [b"1"], make.marker(step))
        there = cloud.read(ref(Kind.OBJECT, f"{box}/o"))
        assert isinstance(there, StoredObject)
        assert (there.marker, there.metadata) == (make.marker(step), theirs)


def test_what_is_gone_is_gone_and_deleting_it_again_is_fine(cloud: Cloud, make: Maker) -> None:
    id_ = make.ensure(Network(id="-", name=f"n-{make.tag}"))
    for _ in range(2):
        cloud.delete(ref(Kind.NETWORK, id_), WAIT)
    assert cloud.read(ref(Kind.NETWORK, id_)) is None


def test_what_cannot_be_made_as_wished_is_not_made_wider(cloud: Cloud, make: Maker) -> None:
    nowhere = str(uuid.uuid4())
    group = make.ensure(SecurityGroup(id="-", name=f"g-{make.tag}"))
    rule = SecurityGroupRule(
        id="-", security_group_id=group, direction="ingress", ethertype="IPv4", remote_address_group_id=nowhere
    )
    with pytest.raises(CloudError):
        cloud.ensure(rule, make.marker("rule"))
    rules = [r for r in cloud.listing(Kind.SECURITY_GROUP_RULE).resources if isinstance(r, SecurityGroupRule)]
    assert [r for r in rules if r.security_group_id == group] == []


def test_a_reader_may_not_write(tmp_path: Path) -> None:
    Simulator(tmp_path)
    reader = Simulator(tmp_path, role="reader")
    with pytest.raises(Forbidden):
        reader.ensure(Network(id="-", name="n"), "unterbau.x")


def test_a_reader_is_told_no_acl_and_so_none_is_shown(tmp_path: Path) -> None:
    """On the simulator; `test_closed` asks a real cloud with its reader's identity."""
    owner = Simulator(tmp_path)
    owner.ensure(Container(id="-", name="c", read_acl=".r:*"), "unterbau.x")
    told = Simulator(tmp_path, role="reader").listing(Kind.CONTAINER)
    assert [r.read_acl for r in told.resources if isinstance(r, Container)] == [""]
    assert [n.what for n in told.not_shown] == [*OWNER_ONLY]


def test_a_mark_goes_and_all_else_stays(cloud: Cloud, make: Maker) -> None:
    net = make.ensure(Network(id="-", name=f"n-{make.tag}", description="text", tags=("a",)), "n")
    subnet = make.ensure(
        Subnet(id="-", name=f"s-{make.tag}", network_id=net, ip_version=4, cidr="10.9.0.0/24", gateway_ip=None), "s"
    )
    volume = make.ensure(Volume(id="-", name=f"v-{make.tag}", status="", size_gib=1, metadata={"m": "1"}), "v")
    cloud.settle(ref(Kind.VOLUME, volume), WAIT)
    snapshot = make.ensure(Snapshot(id="-", name=f"o-{make.tag}", status="", volume_id=volume, size_gib=1), "o")
    cloud.settle(ref(Kind.SNAPSHOT, snapshot), WAIT)
    image = make.ensure(Image(id="-", name=f"i-{make.tag}", status="queued", disk_format="raw", container_format="bare",
                              tags=("a",)), "i")  # fmt: skip
    secret = make.ensure(Secret(id="-", name=f"k-{make.tag}", metadata={"m": "1"}), "k")
    box = make.ensure(Container(id="-", name=f"c-{make.tag}", read_acl=".r:*", metadata={"m": "1"}), "c")
    plain = StoredObject(
        id="-", name="notes", container=box, size_bytes=1, etag="", content_type="text/x-notes", metadata={"m": "1"},
        content_encoding="identity", content_disposition="inline",
    )  # fmt: skip
    link = StoredObject(id="-", name="link", container=box, size_bytes=0, etag="", symlink_to=f"{box}/notes")
    joined = StoredObject(id="-", name="joined", container=box, size_bytes=0, etag="", dlo_prefix=f"{box}/no")
    cloud.write_object(plain, [b"x"], make.marker("notes"))
    cloud.write_manifest(link, make.marker("link"))
    cloud.write_manifest(joined, make.marker("joined"))
    make.made += [ref(Kind.OBJECT, f"{box}/{o.name}") for o in (plain, link, joined)]
    refs = [ref(Kind.NETWORK, net), ref(Kind.SUBNET, subnet), ref(Kind.VOLUME, volume), ref(Kind.SNAPSHOT, snapshot),
            ref(Kind.IMAGE, image), ref(Kind.SECRET, secret), ref(Kind.CONTAINER, box), *make.made[-3:]]  # fmt: skip
    for reference in refs:
        before = cloud.read(reference)
        assert before is not None and before.marker is not None, reference
        cloud.unmark(before)
        cloud.unmark(before)
        now = opened_again(cloud).read(reference)
        assert now is not None and now.marker is None
        assert now.comparable() == before.comparable(), reference


# --- large objects that hold something themselves, headers, versions

HEADERS = {
    "cache-control": "no-store, max-age=0", "content-language": "de, en", "x-robots-tag": "noindex",
    "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
}  # fmt: skip


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def box_with(cloud: Cloud, make: Maker, data: dict[str, bytes]) -> str:
    """A container with objects."""
    box = make.ensure(Container(id="-", name=f"c-{make.tag}"), "box")
    for name, content in data.items():
        wish = StoredObject(id="-", name=name, container=box, size_bytes=len(content), etag="")
        cloud.write_object(wish, [content], make.marker())
        make.made.append(ref(Kind.OBJECT, f"{box}/{name}"))
    return box


def read_back(cloud: Cloud, reference: Ref) -> StoredObject:
    there = cloud.read(reference)
    assert isinstance(there, StoredObject)
    return there


def whole(cloud: Cloud, there: StoredObject) -> bytes:
    with cloud.object_bytes(there.container, there.name) as stream:
        return b"".join(stream)


def held(cloud: Cloud, there: StoredObject) -> bytes:
    with cloud.own_bytes(there.container, there.name) as stream:
        return b"".join(stream)


@pytest.mark.holds("object.headers")
def test_an_object_keeps_the_headers_that_the_store_keeps(cloud: Cloud, make: Maker) -> None:
    box = box_with(cloud, make, {})
    wish = StoredObject(id="-", name="page", container=box, size_bytes=1, etag="", headers=HEADERS)
    make.made.append(ref(Kind.OBJECT, f"{box}/page"))
    cloud.write_object(wish, [b"x"], make.marker())
    there = read_back(cloud, ref(Kind.OBJECT, f"{box}/page"))
    assert there.headers == HEADERS and there.marker == make.marker()
    cloud.unmark(there)
    there = read_back(cloud, there.ref)
    assert there.headers == HEADERS and there.marker is None


def test_a_large_object_keeps_what_stands_in_its_manifest(cloud: Cloud, make: Maker) -> None:
    box = box_with(cloud, make, {"part": b"segment"})
    segments = (
        Segment(path="", size_bytes=4, etag=md5(b"head")), Segment(path=f"{box}/part", size_bytes=7, etag=md5(b"segment")),
        Segment(path="", size_bytes=5, etag=md5(b"tail\0")),
    )  # fmt: skip
    wish = StoredObject(id="-", name="slo", container=box, size_bytes=16, etag="", segments=segments, headers=HEADERS)
    make.made.append(ref(Kind.OBJECT, f"{box}/slo"))
    for _ in range(2):
        cloud.write_manifest(wish, make.marker(), [b"headt", b"ail\0"])
    there = read_back(cloud, ref(Kind.OBJECT, f"{box}/slo"))
    assert there.segments == segments and there.size_bytes == 16 and there.headers == HEADERS
    assert (held(cloud, there), whole(cloud, there)) == (b"headtail\0", b"headsegmenttail\0")


@pytest.mark.holds("object.body_bytes", "object.body_etag")
def test_a_dlo_keeps_a_body_of_its_own(cloud: Cloud, make: Maker) -> None:
    box = box_with(cloud, make, {"part/1": b"one", "part/2": b"two"})
    found = []
    for name, body in (("with", b"own body"), ("without", b"")):
        wish = StoredObject(id="-", name=name, container=box, size_bytes=6, etag="", dlo_prefix=f"{box}/part/",
                            body_bytes=len(body), body_etag=md5(body) if body else "")  # fmt: skip
        make.made.append(ref(Kind.OBJECT, f"{box}/{name}"))
        cloud.write_manifest(wish, make.marker(), [body])
        there = read_back(cloud, ref(Kind.OBJECT, f"{box}/{name}"))
        assert (there.dlo_prefix, there.body_bytes, there.body_etag) == (f"{box}/part/", len(body), wish.body_etag)
        found.append((held(cloud, there), whole(cloud, there)))
    assert found == [(b"own body", b"onetwo"), (b"", b"onetwo")]


def test_a_small_content_is_read_with_the_answer_that_tells_what_it_is(cloud: Cloud, make: Maker) -> None:
    """What more than one request tells (a link, a large object), or nothing (an empty one), is passed over, and listed."""
    box = box_with(cloud, make, {"part/1": b"one", "part/2": b"two", "empty": b"", "ü ✓?#": b"odd name"})
    wish = StoredObject(id="-", name="dlo", container=box, size_bytes=6, etag="", dlo_prefix=f"{box}/part/")
    parts = (Segment(path=f"{box}/part/1", size_bytes=3, etag=md5(b"one")),)
    others = ({"name": "slo", "dlo_prefix": None, "segments": parts, "size_bytes": 3},
              {"name": "link", "dlo_prefix": None, "symlink_to": f"{box}/part/1", "size_bytes": 0})  # fmt: skip
    for one in (wish, *(wish.model_copy(update=other) for other in others)):
        make.made.append(ref(Kind.OBJECT, f"{box}/{one.name}"))
        cloud.write_manifest(one, make.marker())
    read: dict[str, bytes] = {}
    told: dict[str, Resource] = {}

    def seen(resource: Resource, stream: ByteStream) -> None:
        if isinstance(resource, StoredObject) and resource.container == box:
            read[resource.name], told[resource.ref] = b"".join(stream), resource

    def plain(listing: Listing) -> dict[str, Resource]:
        return {r.ref: r for r in listing.resources if isinstance(r, StoredObject) and r.container == box}

    listing = cloud.listing_read(Kind.OBJECT, seen)
    assert read == {"part/1": b"one", "part/2": b"two", "ü ✓?#": b"odd name"}
    assert plain(listing) == plain(cloud.listing(Kind.OBJECT)) and len(plain(listing)) == 7
    assert told.items() <= plain(listing).items()


@pytest.mark.cloud
@pytest.mark.filterwarnings("ignore")
def test_a_small_object_that_came_meanwhile_is_not_replaced(target_cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Swift refuses it by itself: nobody has to look, and nothing lies between a look and the write."""
    from unterbau import wiring
    from unterbau.cloud.openstack.object_storage import ObjectService

    cloud = wiring.open_cloud(target_cloud)
    make = Maker(cloud)
    try:
        box = box_with(cloud, make, {"ours": b"first"})
        wish = StoredObject(id="-", name="theirs", container=box, size_bytes=6, etag="")
        make.made.append(ref(Kind.OBJECT, f"{box}/theirs"))
        cloud.write_object(wish, [b"theirs"], "unterbau.other.0123456789abcdef")
        looked: list[StoredObject] = []

        def look(self: ObjectService, one: StoredObject, marker: str) -> None:
            looked.append(one)
            raise Conflict("looked")

        monkeypatch.setattr(ObjectService, "_refuse_foreign", look)
        box_with(cloud, make, {"new": b"second"})
        assert not looked
        with pytest.raises(Conflict):
            cloud.write_object(wish, [b"second"], make.marker())
        assert len(looked) == 1 and whole(cloud, read_back(cloud, ref(Kind.OBJECT, f"{box}/theirs"))) == b"theirs"
    finally:
        monkeypatch.undo()
        for reference in reversed(make.made):
            cloud.delete(reference, WAIT)


def test_a_container_is_told_page_by_page_in_the_order_of_names_and_its_objects_are_read_again(
    cloud: Cloud, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a page does not tell whole it names; what is gone when it is read again is left out."""
    names = ["a", "a/1", "b//c", "part/1", "ä", "ü ✓?#"]
    box = box_with(cloud, make, {**{name: name.encode() for name in names}, "empty": b""})
    cloud.write_manifest(
        StoredObject(id="-", name="dlo", container=box, size_bytes=6, etag="", dlo_prefix=f"{box}/part/"), make.marker()
    )
    make.made.append(ref(Kind.OBJECT, f"{box}/dlo"))
    pages = list(cloud.pages(box))
    plain = [one for page in pages for one in page.plain]
    others = [one for page in pages for one in page.others]
    assert [one.name for one in plain] == sorted(names) and [one.name for one in others] == ["dlo", "empty"]
    assert all(isinstance(one, StoredObject) and one.by_listing for one in (*plain, *others))
    assert {page.total for page in pages} <= {None, len(names) + 2} and not [n for p in pages for n in p.not_shown]
    assert list(cloud.pages(f"none-{make.tag}")) == []

    cloud.delete(ref(Kind.OBJECT, f"{box}/a/1"), WAIT)
    read: dict[str, bytes] = {}

    def seen(thing: Resource, stream: ByteStream) -> None:
        read[thing.name] = b"".join(stream)

    again = cloud.read_again([*plain, *others], seen)
    assert {one.name: one for one in again.resources} == {
        one.name: one for one in cloud.listing(Kind.OBJECT).resources if isinstance(one, StoredObject) and one.container == box
    }  # fmt: skip
    assert read == {name: name.encode() for name in names if name != "a/1"} and not again.not_shown
    without = cloud.listing_read(Kind.OBJECT, lambda thing, stream: None, [box])
    assert not [one for one in without.resources if isinstance(one, StoredObject) and one.container == box]
    monkeypatch.setattr("unterbau.cloud.openstack.object_storage.LOOKED_AT", 6)
    monkeypatch.setattr("unterbau.cloud.simulator.LOOKED_AT", 6)
    assert box in cloud.crowded()


@pytest.mark.holds("object.by_listing")
def test_a_brief_listing_tells_of_plain_objects_what_their_containers_list_and_their_bytes_bring_the_rest(
    cloud: Cloud, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is a link, joins others or holds nothing is read as ever; a DLO with a body looks like a plain one."""
    box = box_with(cloud, make, {"part/1": b"one", "part/2": b"two", "empty": b"", "ü ✓?#": b"odd name"})
    noted = StoredObject(id="-", name="noted", container=box, size_bytes=5, etag="", content_type="text/x-odd",
                         metadata={"colour": "red"}, headers={"cache-control": "no-store"})  # fmt: skip
    cloud.write_object(noted, [b"noted"], make.marker())
    dlo = StoredObject(id="-", name="dlo", container=box, size_bytes=6, etag="", dlo_prefix=f"{box}/part/")
    parts = (Segment(path=f"{box}/part/1", size_bytes=3, etag=md5(b"one")),)
    others: tuple[dict[str, object], ...] = ({}, {"name": "body", "body_bytes": 4}, {"name": "slo", "dlo_prefix": None, "segments": parts, "size_bytes": 3},
              {"name": "link", "dlo_prefix": None, "symlink_to": f"{box}/part/1", "size_bytes": 0})  # fmt: skip
    for other in others:
        wish = dlo.model_copy(update=other)
        cloud.write_manifest(wish, make.marker(), [b"body"] if wish.body_bytes else [])
        make.made.append(ref(Kind.OBJECT, f"{box}/{wish.name}"))
    make.made.append(ref(Kind.OBJECT, f"{box}/noted"))

    def mine(listing: Listing) -> dict[str, StoredObject]:
        return {r.name: r for r in listing.resources if isinstance(r, StoredObject) and r.container == box}

    full = mine(cloud.listing(Kind.OBJECT))
    assert mine(cloud.listing_brief(Kind.OBJECT)) == full  # few are read as ever
    assert cloud.listing_brief(Kind.CONTAINER) == cloud.listing(Kind.CONTAINER)
    for place in ("unterbau.cloud.simulator", "unterbau.cloud.openstack.object_storage"):
        monkeypatch.setattr(f"{place}.LOOKED_AT", 0)
    brief = mine(cloud.listing_brief(Kind.OBJECT))
    told = {name for name, one in brief.items() if one.by_listing}
    assert told == {"part/1", "part/2", "ü ✓?#", "noted", "body"} and brief.keys() == full.keys()
    assert {n: one for n, one in brief.items() if n not in told} == {n: one for n, one in full.items() if n not in told}
    for name in told - {"body"}:
        same = {f: getattr(full[name], f) for f in ("id", "container", "size_bytes", "etag", "content_type")}
        assert {f: getattr(brief[name], f) for f in same} == same
        assert brief[name].last_modified is not None
        with cloud.object_whole(box, name) as (now, stream):
            assert now == full[name] and len(b"".join(stream)) == full[name].size_bytes
    with pytest.raises(Conflict, match="body"), cloud.object_whole(box, "body"):
        raise AssertionError
    with pytest.raises(NotFound), cloud.object_whole(box, "none"):
        raise AssertionError


def test_a_listing_with_contents_is_a_plain_one_where_there_are_none(cloud: Cloud, make: Maker) -> None:
    make.ensure(Network(id="-", name=f"n-{make.tag}"))

    def seen(resource: Resource, stream: ByteStream) -> None:
        raise AssertionError(resource.ref)

    assert cloud.listing_read(Kind.NETWORK, seen) == cloud.listing(Kind.NETWORK)


@pytest.mark.holds("container.versions_enabled", "container.versions_location", "container.history_location")
@pytest.mark.parametrize("way", ["versions_enabled", "versions_location", "history_location"])
def test_a_container_keeps_versions_only_when_that_is_set_and_leaves_none_behind(
    cloud: Cloud, make: Maker, way: str
) -> None:
    """Swift keeps what is deleted while it is on: the container, and that of the versions, could not go any more."""
    store = make.ensure(Container(id="-", name=f"v-{make.tag}"), "store")
    wish = Container(id="-", name=f"c-{make.tag}", **{way: True if way == "versions_enabled" else store})
    make.ensure(wish, "box")
    box = box_with(cloud, make, {"a": b"one"})
    assert not cloud.read(wish.model_copy(update={"id": box}).ref).bonds()  # type: ignore[union-attr]
    for keep in (True, True, False):
        there = wish.model_copy(update={"id": box})
        bare = there.unbound()
        assert bare is not None
        cloud.set_bonds(there if keep else bare)
        seen = cloud.read(ref(Kind.CONTAINER, box))
        assert isinstance(seen, Container)
        assert getattr(seen, way) == (getattr(wish, way) if keep else getattr(bare, way))
        there_now = read_back(cloud, ref(Kind.OBJECT, f"{box}/a"))
        assert there_now.size_bytes == 3 and there_now.symlink_to is None and whole(cloud, there_now) == b"one"
    for reference in (ref(Kind.OBJECT, f"{box}/a"), ref(Kind.CONTAINER, box), ref(Kind.CONTAINER, store)):
        cloud.delete(reference, WAIT)
        assert cloud.read(reference) is None


@pytest.mark.cloud
@pytest.mark.filterwarnings("ignore")
def test_an_object_that_keeps_versions_is_read_and_deleted_as_the_current_one(target_cloud: str) -> None:
    """Written while versions are kept: Swift has a link to the version then, whose own length is 0."""
    from unterbau import wiring

    cloud = wiring.open_cloud(target_cloud)
    make = Maker(cloud)
    box = make.ensure(Container(id="-", name=f"c-{make.tag}"), "box")
    try:
        cloud.set_bonds(Container(id=box, name=box, versions_enabled=True))
        box_with(cloud, make, {"a": b"older"})
        box_with(cloud, make, {"a": b"current", "part": b"segment"})
        wish = StoredObject(id="-", name="link", container=box, size_bytes=0, etag="", symlink_to=f"{box}/a")
        cloud.write_manifest(wish, make.marker())
        parts = (Segment(path=f"{box}/part", size_bytes=7, etag=md5(b"segment")),)
        cloud.write_manifest(
            wish.model_copy(update={"name": "slo", "symlink_to": None, "segments": parts}), make.marker()
        )
        seen = {r.name: r for r in cloud.listing(Kind.OBJECT).resources if isinstance(r, StoredObject)}
        assert {n: (r.size_bytes, r.symlink_to) for n, r in seen.items() if r.container == box} == {
            "a": (7, None), "part": (7, None), "link": (0, f"{box}/a"), "slo": (7, None)
        }  # fmt: skip
        assert seen["a"].etag == md5(b"current") and seen["slo"].segments == parts
        assert whole(cloud, seen["a"]) == b"current"
        assert [n.what for n in cloud.not_understood() if n.what == f"container:{box}.versions"]
        read: list[str] = []
        listing = cloud.listing_read(Kind.OBJECT, lambda one, _: read.append(one.id))
        assert listing == cloud.listing(Kind.OBJECT) and not [one for one in read if one.startswith(f"{box}/")]
        cloud.set_bonds(Container(id=box, name=box))
        for name in ("link", "slo", "part", "a"):
            cloud.delete(ref(Kind.OBJECT, f"{box}/{name}"), WAIT)
        with pytest.raises(Conflict):  # the older version is the user's: it is named, and nobody deletes it unasked
            cloud.delete(ref(Kind.CONTAINER, box), WAIT)
    finally:
        _purge(target_cloud, box)


def _purge(name: str, box: str) -> None:
    """Take away all versions by hand."""
    import inventory

    from unterbau import reference

    hands = inventory.connect(name, reference.clouds_file(name))
    place = f"{hands.object_store.get_endpoint()}/{box}"
    for one in hands.session.get(f"{place}?format=json&versions").json():
        hands.session.delete(f"{place}/{one['name']}?version-id={one['version_id']}", raise_exc=False)
    hands.session.delete(place, raise_exc=False)


def test_the_disk_that_a_server_has_on_its_host_becomes_an_image_or_it_is_said_that_none_is_given(
    cloud: Cloud, make: Maker
) -> None:
    """Nova without guests makes an image and never fills it: that is told within seconds, and is no doubt about a write."""
    first = Image(id="-", name=f"i-{make.tag}", status="queued", disk_format="raw", container_format="bare",
                  visibility="private")  # fmt: skip
    image = make.ensure(first, "first")
    cloud.write_image(first.model_copy(update={"id": image}), [DISK], len(DISK))
    flavor = next(f for f in cloud.surroundings().offering.flavors if f.name == "SCS-2V-4-20s")
    wish = Server(id="-", name=f"v-{make.tag}", status="ACTIVE", flavor=flavor, image_id=image)
    server = make.ensure(wish)
    cloud.settle(ref(Kind.SERVER, server), WAIT)
    saved = [
        cloud.ensure(first, make.marker("disk"), source=Source(server_id=server)) for _ in range(2)
    ]  # the second finds the first, which is not whole yet
    make.made.append(ref(Kind.IMAGE, saved[0]))
    assert saved[0] == saved[1]
    try:
        there = cloud.settle(ref(Kind.IMAGE, saved[0]), WAIT)
    except Broken as error:
        assert not isinstance(cloud, Simulator) and "gave it no bytes" in error.what and not error.uncertain
    else:
        assert isinstance(there, Image) and there.marker == make.marker("disk")
        with guest_bytes(cloud, there.id, form_of(there), flavor.disk_gib << 30, None) as stream:
            assert b"".join(stream).startswith(DISK)
