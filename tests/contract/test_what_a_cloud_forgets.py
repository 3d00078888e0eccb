# SPDX-License-Identifier: Apache-2.0
"""What a cloud refuses, drops and fills in, with a member's rights: the simulator does as the real one does.

Each wish is made through the port, on the simulator always, on a real cloud if asked. A simulator that keeps whatever it was
given would let a mover pass that loses things on every real cloud.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from making import WAIT, Maker, server_with
from pydantic import SecretBytes

from unterbau.cloud.port import Cloud
from unterbau.errors import CloudError, Conflict, Forbidden, OverQuota
from unterbau.tenant.kinds import (
    AddressGroup,
    Container,
    FixedIp,
    FloatingIp,
    Image,
    Kind,
    Network,
    Port,
    Resource,
    Route,
    Router,
    RouterInterface,
    Secret,
    Server,
    ServerGroup,
    StoredObject,
    Subnet,
    Volume,
    ref,
)


def made(cloud: Cloud, make: Maker, wish: Resource, step: str = "x") -> Any:
    """What stands there after the wish was made and is usable."""
    reference = ref(wish.own_kind, make.ensure(wish, step))
    cloud.settle(reference, WAIT)
    return cloud.read(reference)


def stored(cloud: Cloud, make: Maker, wish: StoredObject, data: bytes = b"x") -> Any:
    reference = ref(Kind.OBJECT, f"{wish.container}/{wish.name}")
    make.made.append(reference)
    cloud.write_object(wish.model_copy(update={"size_bytes": len(data)}), [data], make.marker())
    return cloud.read(reference)


def box(make: Maker, **more: Any) -> str:
    return make.ensure(Container(id="-", name=f"c-{make.tag}", **more), "box")


def a_network(make: Maker, **more: Any) -> tuple[str, str]:
    network = make.ensure(Network(id="-", name=f"n-{make.tag}"), "net")
    wish = Subnet(id="-", name=f"s-{make.tag}", network_id=network, ip_version=4, cidr="10.77.0.0/24", **more)
    return network, make.ensure(wish, "sub")


def external(cloud: Cloud) -> str:
    return next(n.id for n in cloud.surroundings().offering.external_networks)


# --- what a member may not set


@pytest.mark.parametrize("field", ["shared", "external"])
def test_a_member_shares_no_network_and_makes_none_external(cloud: Cloud, make: Maker, field: str) -> None:
    with pytest.raises(Forbidden):
        make.ensure(Network(id="-", name=f"n-{make.tag}", **{field: True}))
    assert [n for n in cloud.listing(Kind.NETWORK).resources if n.name == f"n-{make.tag}"] == []


def test_a_member_publishes_no_image(cloud: Cloud, make: Maker) -> None:
    wish = Image(id="-", name=f"i-{make.tag}", status="queued", disk_format="raw", container_format="bare",
                 visibility="public")  # fmt: skip
    with pytest.raises(Forbidden):
        id_ = make.ensure(wish)
        cloud.write_image(wish.model_copy(update={"id": id_}), [b"x"], 1)


def test_a_member_does_not_switch_off_the_translation_of_addresses(cloud: Cloud, make: Maker) -> None:
    wish = Router(id="-", name=f"r-{make.tag}", external_network_id=external(cloud), enable_snat=False)
    with pytest.raises(Forbidden):
        make.ensure(wish)


def test_how_a_router_is_built_is_not_a_members_to_say_nor_to_see(cloud: Cloud, make: Maker) -> None:
    there = made(cloud, make, Router(id="-", name=f"r-{make.tag}", ha=True, distributed=True))
    assert (there.ha, there.distributed) == (None, None)


def test_whether_a_volume_is_encrypted_or_shared_is_said_by_its_type(cloud: Cloud, make: Maker) -> None:
    there = made(
        cloud, make, Volume(id="-", name=f"v-{make.tag}", status="", size_gib=1, encrypted=True, multiattach=True)
    )
    assert (there.encrypted, there.multiattach) == (False, False)


# --- what is dropped


def test_a_router_is_made_without_routes_and_with_addresses_that_the_cloud_gives(cloud: Cloud, make: Maker) -> None:
    wish = Router(id="-", name=f"r-{make.tag}", external_network_id=external(cloud), external_fixed_ips=("192.0.2.1",),
                  routes=(Route(destination="10.0.0.0/8", nexthop="10.77.0.9"),))  # fmt: skip
    there = made(cloud, make, wish)
    assert there.routes == () and "192.0.2.1" not in there.external_fixed_ips
    assert there.enable_snat is True


def test_a_floating_ip_has_an_address_of_this_cloud_and_takes_that_of_its_port(cloud: Cloud, make: Maker) -> None:
    network, subnet = a_network(make, gateway_ip="10.77.0.1")
    router = make.ensure(Router(id="-", name=f"r-{make.tag}", external_network_id=external(cloud)), "router")
    leg = RouterInterface(id="-", router_id=router, network_id=network,
                          fixed_ips=(FixedIp(subnet_id=subnet, ip_address="10.77.0.1"),))  # fmt: skip
    make.ensure(leg, "leg")
    port = make.ensure(Port(id="-", name=f"p-{make.tag}", network_id=network, mac_address="fa:16:3e:77:00:02",
                            fixed_ips=(FixedIp(subnet_id=subnet, ip_address="10.77.0.9"),)), "port")  # fmt: skip
    wish = FloatingIp(id="-", address="192.0.2.7", external_network_id=external(cloud), port_id=port)
    there = made(cloud, make, wish, "fip")
    assert there.address != "192.0.2.7" and there.fixed_ip_address == "10.77.0.9"


def test_a_limit_of_servers_a_host_is_for_anti_affinity_only(cloud: Cloud, make: Maker) -> None:
    groups = [ServerGroup(id="-", name=f"{p}-{make.tag}", policy=p, max_server_per_host=2)
              for p in ("anti-affinity", "affinity")]  # fmt: skip
    assert [made(cloud, make, g, g.name).max_server_per_host for g in groups] == [2, None]


def test_a_container_counts_for_itself_and_synchronises_with_nobody(cloud: Cloud, make: Maker) -> None:
    name = box(make, object_count=7, bytes_used=9, sync_to="//realm/cluster/AUTH_x/c")
    stored(cloud, make, StoredObject(id="-", name="o", container=name, size_bytes=0, etag=""), b"hello")
    there = cloud.read(ref(Kind.CONTAINER, name))
    assert isinstance(there, Container) and there.sync_to is None
    assert there.object_count in (0, 1) and there.bytes_used in (0, 5)


def test_metadata_of_the_object_store_are_headers(cloud: Cloud, make: Maker) -> None:
    """A name with an underscore is dropped on the way, a value has no blanks around it; a container keeps no empty ones."""
    theirs = {"a_b": "1", "padded": "  x  ", "empty": "", "a-b": "ü"}
    name = box(make, metadata=theirs)
    kept = stored(cloud, make, StoredObject(id="-", name="o", container=name, size_bytes=1, etag="", metadata=theirs))
    there = cloud.read(ref(Kind.CONTAINER, name))
    assert isinstance(there, Container)
    assert there.metadata == {"a-b": "ü", "padded": "x"}
    assert kept.metadata == {"a-b": "ü", "padded": "x", "empty": ""}


def test_a_secret_without_payload_has_no_type_of_content(cloud: Cloud, make: Maker) -> None:
    wish = Secret(id="-", name=f"s-{make.tag}", content_type="text/plain")
    id_ = make.ensure(wish)
    before = cloud.read(ref(Kind.SECRET, id_))
    cloud.write_secret(id_, wish, SecretBytes(b"words"))
    after = cloud.read(ref(Kind.SECRET, id_))
    assert isinstance(before, Secret) and isinstance(after, Secret)
    assert (before.content_type, after.content_type) == (None, "text/plain")


def test_names_of_metadata_of_a_secret_are_in_lower_case(cloud: Cloud, make: Maker) -> None:
    there = made(cloud, make, Secret(id="-", name=f"s-{make.tag}", metadata={"Key": "Value"}))
    assert there.metadata == {"key": "Value"}


# --- what is filled in


def test_what_a_wish_leaves_open_the_cloud_fills_in(cloud: Cloud, make: Maker) -> None:
    network = made(cloud, make, Network(id="-", name=f"n-{make.tag}"))
    assert isinstance(network.mtu, int)
    volume = made(cloud, make, Volume(id="-", name=f"v-{make.tag}", status="", size_gib=1))
    types = cloud.surroundings().offering.volume_types
    assert volume.volume_type == next(t.name for t in types if t.is_default)
    assert volume.availability_zone in cloud.surroundings().offering.volume_zones
    assert volume.created_at is not None
    there = cloud.read(ref(Kind.CONTAINER, box(make)))
    assert isinstance(there, Container) and there.storage_policy
    server = cloud.read(ref(Kind.SERVER, server_with(cloud, make)))
    assert isinstance(server, Server) and server.host_id
    assert server.availability_zone in cloud.surroundings().offering.compute_zones


def test_glance_tells_the_hash_of_what_it_was_given(cloud: Cloud, make: Maker) -> None:
    wish = Image(id="-", name=f"i-{make.tag}", status="queued", disk_format="raw", container_format="bare",
                 visibility="private", hash_algo="md5", hash_value="0", owner_id="another")  # fmt: skip
    id_ = make.ensure(wish)
    cloud.write_image(wish.model_copy(update={"id": id_}), [b"x"], 1)
    there = cloud.settle(ref(Kind.IMAGE, id_), WAIT)
    assert isinstance(there, Image)
    assert there.hash_algo == "sha512" and (there.hash_value or "").startswith("a4abd4448c49562d")
    assert there.owner_id == cloud.identity().project_id


# --- limits


@pytest.mark.parametrize("number", [127, 128, 129])
def test_a_server_has_128_metadata(cloud: Cloud, make: Maker, number: int) -> None:
    """Our marker is one of them; it is a tag where they are full."""
    metadata = {f"k{n}": "v" for n in range(number)}
    if number <= 128:
        there = cloud.read(ref(Kind.SERVER, server_with(cloud, make, metadata=metadata, tags=("t",))))
        assert isinstance(there, Server) and (there.metadata, there.tags) == (metadata, ("t",))
        assert there.marker == make.marker("server")
        cloud.unmark(there)
        there = cloud.read(there.ref)
        assert isinstance(there, Server) and (there.marker, there.metadata, there.tags) == (None, metadata, ("t",))
    else:
        with pytest.raises((OverQuota, Forbidden)):
            server_with(cloud, make, metadata=metadata)


@pytest.mark.parametrize("number", [89, 90])
def test_a_container_has_90_metadata(cloud: Cloud, make: Maker, number: int) -> None:
    metadata = {f"k{n}": "v" for n in range(number)}
    if number < 90:
        there = cloud.read(ref(Kind.CONTAINER, box(make, metadata=metadata)))
        assert isinstance(there, Container) and there.metadata == metadata
    else:
        with pytest.raises(Conflict):
            box(make, metadata=metadata)


LONG: list[tuple[str, Resource]] = [
    ("a network's name", Network(id="-", name="n" * 256)),
    ("a tag of a network", Network(id="-", name="n", tags=("t" * 256,))),
    ("51 tags of a network", Network(id="-", name="n", tags=tuple(f"t{n}" for n in range(51)))),
    ("a volume's name", Volume(id="-", name="v" * 256, status="", size_gib=1)),
    ("a value of a volume's metadata", Volume(id="-", name="v", status="", size_gib=1, metadata={"k": "v" * 256})),
    ("a container's name", Container(id="-", name="c" * 257)),
    ("a slash in a container's name", Container(id="-", name="c/d")),
    ("a value of a container's metadata", Container(id="-", name="c-long", metadata={"k": "v" * 257})),
    ("an image's name", Image(id="-", name="i" * 256, status="queued")),
    ("a secret's end that is past", Secret(id="-", name="s", expiration=datetime(2020, 1, 1, tzinfo=UTC))),
    ("an address group with an address alone", AddressGroup(id="-", name="g", addresses=("10.1.2.3",))),
    ("a server group of no policy", ServerGroup(id="-", name="g", policy="any")),
]


@pytest.mark.parametrize("wish", [w for _, w in LONG], ids=[n for n, _ in LONG])
def test_what_is_too_long_or_too_late_is_refused_and_nothing_stays(cloud: Cloud, make: Maker, wish: Resource) -> None:
    before = {r.id for r in cloud.listing(wish.own_kind).resources}
    with pytest.raises(CloudError) as caught:
        make.ensure(wish)
    assert not caught.value.transient
    left = [r for r in cloud.listing(wish.own_kind).resources if r.id not in before]
    make.made += [r.ref for r in left]
    assert all(r.marker == make.marker() or getattr(r, "description", "") == make.marker() for r in left)


def test_an_object_that_has_ended_is_refused(cloud: Cloud, make: Maker) -> None:
    wish = StoredObject(id="-", name="o", container=box(make), size_bytes=1, etag="",
                        delete_at=datetime.now(UTC) - timedelta(days=1))  # fmt: skip
    with pytest.raises(Conflict):
        stored(cloud, make, wish)
