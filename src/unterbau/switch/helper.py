# SPDX-License-Identifier: Apache-2.0
"""The helper guests of a move, as a person writes them and as the plan keeps them. Pure: text in, models out.

    user: root
    key: ~/.ssh/id_ed25519
    source: {image: Debian 13, flavor: SCS-1V-2, network: app, address: public, key_pair: me, reached_from: 203.0.113.4/32}
    target: {image: Debian 13, flavor: SCS-1V-2, network: app, address: public, key_pair: me, reached_from: 203.0.113.4/32}

`cli` reads the file (`plan --helper`), `planning` looks its names up, `move.helping` makes the guests. `address` is the external
network that a floating IP is taken of, or `direct`: the guest is reached at its own address. `network` and
`image` at the target are such as the move makes there, by their names at the source, or the provider's. Not here: how a guest is asked, and what for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Final, TypeAlias

import yaml
from pydantic import Field, ValidationError, field_validator

from unterbau.errors import UsageError
from unterbau.tenant.kinds import (
    Attachment,
    Flavor,
    FloatingIp,
    Image,
    Kind,
    Network,
    Port,
    Ref,
    Resource,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    Volume,
    ref,
)
from unterbau.tenant.kinds.ground import external_by_name
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Reason, Words

Ids: TypeAlias = Callable[[str], str]
DIRECT: Final = "direct"
SIDES: Final = ("source", "target")
HELPS: Final[Mapping[str, Kind]] = {
    "helper group": Kind.SECURITY_GROUP, "helper port": Kind.PORT, "helper address": Kind.FLOATING_IP,
    "helper server": Kind.SERVER,
}  # fmt: skip
"""What is made for a helper, in the order of making; `<one of these> of <side>` is the name of the step."""
GROUP, PORT, ADDRESS, SERVER = HELPS
LARGEST = 2**16
"""Characters that the file may have."""
_HOW = "docs/move.md says what stands in it."


class Place(Model):
    """A helper guest on one side: names as a person wrote them, and the ids by which `planning` knows them."""

    image: str
    flavor: str
    network: str
    address: str
    key_pair: str
    reached_from: str
    """The only addresses that reach its port for ssh (CIDR)."""
    image_ref: Ref = ""
    network_ref: Ref = ""
    """These are of the source, also at the target: the move makes them there; or of what that side's provider has."""
    external_network_id: str = ""
    """`""`: it is reached at its own address."""

    @field_validator("reached_from")
    @classmethod
    def _narrow(cls, told: str) -> str:
        if ip_network(told).prefixlen == 0:
            raise ValueError("the whole world; name the addresses that this machine has there")
        return told


class Helper(Model):
    """Both helper guests, and how they are entered: by whom, with which file of a key, at which port."""

    user: str = Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")
    key: str = ""
    """The file of the private key; `""`: what the person's ssh offers by itself."""
    port: int = Field(default=22, ge=1, le=65535)
    volumes: tuple[str, ...] = ()
    """The names, or ids, of those that go by blocks; (): all that can."""
    source: Place
    target: Place

    def takes(self, volume: Resource) -> bool:
        """Whether it may go by blocks, if it can."""
        return not self.volumes or volume.name in self.volumes or volume.id in self.volumes

    def place(self, side: str) -> Place:
        """That of a side."""
        return self.source if side == SIDES[0] else self.target

    def remarks(self, *clouds: str) -> Iterator[Words]:
        """What is made on each side for a while, and what it opens, by the names of both clouds."""
        for side, cloud in zip(SIDES, clouds, strict=True):
            place = self.place(side)
            if place.external_network_id:
                yield Reason.of(
                    "plan.helper.public", cloud=cloud, image=place.image, flavor=place.flavor, network=place.network,
                    key=place.key_pair, port=str(self.port), reached=place.reached_from, external=place.address,
                )  # fmt: skip
            else:
                yield Reason.of(
                    "plan.helper.direct", cloud=cloud, image=place.image, flavor=place.flavor, network=place.network,
                    key=place.key_pair, port=str(self.port), reached=place.reached_from,
                )  # fmt: skip

    def wish(self, what: str, side: str, name: str, ids: Ids) -> Resource:
        """One of `HELPS`, called `name`, with ids of its side: `ids` of what is in `HELPS`, or of a Ref of the place."""
        place = self.place(side)
        match what:
            case "helper group":
                return SecurityGroup(id="-", name=name)
            case "helper port":
                network, groups = ids(place.network_ref), (ids(GROUP),)
                return Port(id="-", name=name, mac_address="", network_id=network, security_group_ids=groups)
            case "helper address":
                external = place.external_network_id
                return FloatingIp(id="-", name=name, address="-", external_network_id=external, port_id=ids(PORT))
        flavor = Flavor(id="-", name=place.flavor, vcpus=0, ram_mib=0, disk_gib=0)
        return Server(
            id="-", name=name, status="ACTIVE", flavor=flavor, image_id=ids(place.image_ref), key_name=place.key_pair,
            port_ids=(ids(PORT),), config_drive=True,
        )  # fmt: skip

    def takes_of(self, side: str, flavors: Iterable[Flavor]) -> Iterator[tuple[str, str, int]]:
        """What it takes of the quotas of its side while it is there: (service, resource, how much)."""
        place = self.place(side)
        for what in HELPS:
            if what != ADDRESS or place.external_network_id:
                wish = self.wish(what, side, "-", lambda told: told)
                if isinstance(wish, Server):
                    wish = wish.model_copy(
                        update={"flavor": next((f for f in flavors if f.name == place.flavor), wish.flavor)}
                    )
                yield from wish.uses()
        for rule in self.rules(side, "-"):
            yield from rule.uses()

    def rules(self, side: str, group: str) -> list[Resource]:
        """In comes who was named, to ssh. Out goes what asks for an address (DHCP; IPv6 also asks its neighbours), and nothing else."""
        told = ip_network(self.place(side).reached_from)
        ours = SecurityGroupRule(
            id="-", name="", security_group_id=group, direction="ingress", ethertype="IPv4" if told.version == 4 else "IPv6",
            protocol="tcp", port_range_min=self.port, port_range_max=self.port, remote_ip_prefix=str(told),
        )  # fmt: skip
        out: dict[str, object] = {"direction": "egress", "remote_ip_prefix": None, "protocol": "udp"}
        at = 67 if told.version == 4 else 547
        found = [ours, ours.model_copy(update={**out, "port_range_min": at, "port_range_max": at})]
        if told.version == 6:
            bare = {"protocol": "ipv6-icmp", "port_range_min": None, "port_range_max": None}
            found.append(ours.model_copy(update={**out, **bare}))
        return [*found]


def address_of(there: Resource) -> str:
    """Where a port or a floating IP is reached; `""`: this is neither."""
    if isinstance(there, FloatingIp):
        return there.address
    return there.fixed_ips[0].ip_address if isinstance(there, Port) and there.fixed_ips else ""


def disk_on(server: str, volume: str) -> Resource:
    """The wish for that volume as a disk of that server."""
    return Attachment(id=f"{server}/{volume}", name="", server_id=server, volume_id=volume)


def used_by(source: Workload, servers: Iterable[Ref]) -> list[Ref]:
    """The volumes that these servers use and no other, and that nobody forbids to write."""
    still = set(servers)
    return [
        v.ref for v in source.of(Volume)
        if v.is_occupied() and not v.read_only and (users := v.writers(source)) and still.issuperset(users)
    ]  # fmt: skip


def load(text: str, name: str) -> Helper:
    """The file called `name`. Raises UsageError: what, where."""
    if len(text) > LARGEST:
        raise UsageError(f"{name}: larger than {LARGEST} characters", _HOW)
    try:
        return Helper.model_validate(yaml.load(text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{name}: it is not YAML ({str(error)[:200]})", _HOW) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"{name}, {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}", _HOW) from None


def resolved(helper: Helper, source: Workload, target: Workload) -> Helper:
    """With the ids that the names stand for. Raises UsageError with the nearest name that there is."""
    known = {told: v.id for v in source.of(Volume) for told in (v.name, v.id)}
    for volume in helper.volumes:
        _known(source, "volume", volume, known)
    return helper.model_copy(update={
        side: _placed(helper.place(side), here, source) for side, here in zip(SIDES, (source, target), strict=True)
    })  # fmt: skip


def _placed(place: Place, side: Workload, source: Workload) -> Place:
    external = external_by_name(side)
    networks = {name: ref(Kind.NETWORK, id_) for name, id_ in external.items()}
    networks |= {n.name: n.ref for n in source.of(Network) if n.name}
    images = {i.name: i.ref for i in (*source.of(Image), *side.offering.images) if i.name and i.is_filled()}
    _known(side, "flavor", place.flavor, {f.name: f.name for f in side.offering.flavors})
    return place.model_copy(update={
        "image_ref": _known(side, "image", place.image, images),
        "network_ref": _known(side, "network", place.network, networks),
        "external_network_id": "" if place.address == DIRECT else _known(side, "external network", place.address, external),
    })  # fmt: skip


def _known(side: Workload, what: str, name: str, known: Mapping[str, str]) -> str:
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)[:8]
        raise UsageError(
            f"--helper: {side.identity.name} has no {what} {name!r}", f"There are: {', '.join(near) or 'none'}."
        )
    return known[name]
