# SPDX-License-Identifier: Apache-2.0
"""What a project in a cloud consists of: the frozen, typed model that all rooms share. Pure.

`cloud/` produces it, `census` assembles a `Workload`, `plan` gives each `Resource` a fate, `move` sends
resources (with ids rewritten to the target's) back through the port, `verify` compares two of them,
`evidence` keeps them. It is not the API's JSON: names and units are ours and documented here.

Everything that has an id of its own in the cloud is a `Resource` of its own, flat, so that each rule, router
interface and attachment has a fate and a verdict. Relations are ids of the same cloud (`network_id` ...);
`references()` turns them into `Ref`s. Times are UTC, sizes are in the unit that the field's name says.
`None` means "the cloud says there is none"; what could not be read stands in `Workload.not_shown`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import Field, model_validator

from unterbau.verdict import Model, Words, later

Ref: TypeAlias = str
"""`kind:id`, unique within one cloud, e.g. `server:0d4c…`, `object:box/päth`."""

SCHEMA = "https://unterbau.example/schema/workload/v1"


class Kind(StrEnum):
    """The kinds of resources that we understand, in the order in which they can be created."""

    KEYPAIR = "keypair"
    SERVER_GROUP = "server_group"
    ADDRESS_GROUP = "address_group"
    SECURITY_GROUP = "security_group"
    SECURITY_GROUP_RULE = "security_group_rule"
    NETWORK = "network"
    SUBNET = "subnet"
    ROUTER = "router"
    ROUTER_INTERFACE = "router_interface"
    PORT = "port"
    FLOATING_IP = "floating_ip"
    IMAGE = "image"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    SECRET = "secret"  # noqa: S105 - the name of a kind
    SECRET_CONTAINER = "secret_container"  # noqa: S105 - the name of a kind
    SERVER = "server"
    ATTACHMENT = "attachment"
    CONTAINER = "container"
    OBJECT = "object"


def ref(kind: Kind, id_: str) -> Ref:
    """The Ref of an id of a kind."""
    return f"{kind.value}:{id_}"


def kind_of(reference: Ref) -> Kind:
    """The kind that a Ref names. Raises ValueError for something that is not a Ref."""
    return Kind(reference.partition(":")[0])


def id_of(reference: Ref) -> str:
    """The id that a Ref names."""
    return reference.partition(":")[2]


class ResourceBase(Model):
    """Common to all resources. `REFERS` maps a field (an id or a tuple of ids) to the kind it points to."""

    REFERS: ClassVar[Mapping[str, Kind]] = {}
    OWN: ClassVar[frozenset[str]] = frozenset()
    """Fields of `REFERS` whose target is the project's own for certain; that of the others may be another's, or gone."""
    VOLATILE: ClassVar[frozenset[str]] = frozenset({"id"})
    """Fields that another cloud chooses anew; they are never compared between clouds."""
    HIDEABLE: ClassVar[frozenset[str]] = frozenset()
    """Fields that a cloud keeps from some who may read the rest (see `Workload.hidden_fields`)."""

    id: str = Field(min_length=1)
    name: str = ""
    marker: str | None = None
    """The tag of the drill that created this (`unterbau.<run>.<node>`), taken out of tags and metadata."""

    @property
    def own_kind(self) -> Kind:
        """The kind of this resource."""
        return Kind(self.kind)  # type: ignore[attr-defined]

    @property
    def ref(self) -> Ref:
        """`kind:id`."""
        return ref(self.own_kind, self.id)

    def comparable(self) -> dict[str, Any]:
        """Plain data of what must be equal in another cloud, after `with_ids` made the ids comparable."""
        return self.model_dump(mode="json", exclude={"id", "marker", *self.VOLATILE})

    def references(self) -> tuple[Ref, ...]:
        """The Refs this resource points to, without duplicates, in the order of the fields."""
        return tuple(dict.fromkeys(target for _, target, _ in ResourceBase.ties(self)))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """(field, Ref, whether its target must be the project's own) of what a whole census has beside this resource."""
        for field, kind in self.REFERS.items():
            value = getattr(self, field)
            for one in value if isinstance(value, tuple) else (value,):
                if one:
                    yield field, ref(kind, one), field in self.OWN

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """A copy whose references are those of another cloud: `new_id(ref)`; None drops the reference."""
        update: dict[str, Any] = {}
        for field, kind in self.REFERS.items():
            value = getattr(self, field)
            if isinstance(value, tuple):
                mapped = (new_id(ref(kind, one)) for one in value)
                update[field] = tuple(m for m in mapped if m is not None)
            elif value:
                update[field] = new_id(ref(kind, value))
        return self.model_copy(update=update)


# --- network (Networking API v2.0) -------------------------------------------------------------------------


class AllocationPool(Model):
    """Addresses that DHCP may give out, both ends included."""

    start: str
    end: str


class Route(Model):
    """`destination` is a CIDR, `nexthop` an address."""

    destination: str
    nexthop: str


class FixedIp(Model):
    """An address of a port; `subnet_id` is an id of the same cloud."""

    subnet_id: str
    ip_address: str


class AddressPair(Model):
    """Allowed address pair: `ip_address` is an address or CIDR; `mac_address` None means the port's own."""

    ip_address: str
    mac_address: str | None = None


class DhcpOption(Model):
    """Extra DHCP option of a port."""

    name: str
    value: str
    ip_version: int = 4


class Network(ResourceBase):
    """A network that the project owns.

    `shared_with` are those to whom an RBAC policy of the project gives it: a project id, `*` for all;
    `external:<project id>` or `external:*` may use it as an external network.
    """

    kind: Literal["network"] = "network"
    description: str = ""
    admin_state_up: bool = True
    mtu: int | None = None
    port_security_enabled: bool = True
    shared: bool = False
    external: bool = False
    dns_domain: str = ""
    availability_zone_hints: tuple[str, ...] = ()
    qos_policy_id: str | None = None
    vlan_transparent: bool = False
    tags: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = later(())


class Subnet(ResourceBase):
    """A subnet; `gateway_ip` None means that it has no gateway (which must be sent explicitly)."""

    REFERS = {"network_id": Kind.NETWORK}
    kind: Literal["subnet"] = "subnet"
    description: str = ""
    network_id: str
    ip_version: Literal[4, 6]
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool = True
    allocation_pools: tuple[AllocationPool, ...] = ()
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[Route, ...] = ()
    ipv6_address_mode: str | None = None
    ipv6_ra_mode: str | None = None
    service_types: tuple[str, ...] = ()
    dns_publish_fixed_ip: bool = False
    subnetpool_id: str | None = None
    tags: tuple[str, ...] = ()


class Router(ResourceBase):
    """A router. `external_network_id` is a network of the provider (see `Offering.external_networks`)."""

    VOLATILE = frozenset({"id", "external_network_id", "external_fixed_ips"})
    kind: Literal["router"] = "router"
    description: str = ""
    admin_state_up: bool = True
    external_network_id: str | None = None
    external_fixed_ips: tuple[str, ...] = ()
    enable_snat: bool | None = None
    routes: tuple[Route, ...] = ()
    distributed: bool | None = None
    ha: bool | None = None
    availability_zone_hints: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class RouterInterface(ResourceBase):
    """A leg of a router: the router's port on a network (id = that port's id)."""

    REFERS = {"router_id": Kind.ROUTER, "network_id": Kind.NETWORK}
    OWN = frozenset({"router_id"})
    VOLATILE = frozenset({"id", "mac_address"})
    kind: Literal["router_interface"] = "router_interface"
    router_id: str
    network_id: str
    fixed_ips: tuple[FixedIp, ...]
    mac_address: str | None = None

    def references(self) -> tuple[Ref, ...]:
        """Router, network, and the subnets of its addresses."""
        return (*super().references(), *_subnets(self.fixed_ips))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """Also the subnets of its addresses."""
        yield from super().ties()
        yield from (("fixed_ips", subnet, False) for subnet in _subnets(self.fixed_ips))

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """Also rewrites the subnets of the addresses."""
        moved = super().with_ids(new_id)
        return moved.model_copy(update={"fixed_ips": _moved_ips(self.fixed_ips, new_id)})


class Port(ResourceBase):
    """A port that the project made or that a server uses; never a router's or a DHCP port.

    `device_id` is the server's id if `device_owner` starts with `compute:`. It is not compared: the
    server's `port_ids` are.
    """

    REFERS = {"network_id": Kind.NETWORK, "security_group_ids": Kind.SECURITY_GROUP}
    OWN = frozenset({"security_group_ids"})
    VOLATILE = frozenset({"id", "device_id", "device_owner", "status"})
    kind: Literal["port"] = "port"
    description: str = ""
    network_id: str
    fixed_ips: tuple[FixedIp, ...] = ()
    mac_address: str
    admin_state_up: bool = True
    security_group_ids: tuple[str, ...] = ()
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    device_id: str = ""
    device_owner: str = ""
    dns_name: str = ""
    vnic_type: str = "normal"
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    qos_policy_id: str | None = None
    status: str = ""
    tags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _closed_ports_have_no_groups(self) -> Self:
        if not self.port_security_enabled and (self.security_group_ids or self.allowed_address_pairs):
            raise ValueError("a port without port security has neither security groups nor address pairs")
        return self

    def references(self) -> tuple[Ref, ...]:
        """Network, security groups, and the subnets of its addresses."""
        return (*super().references(), *_subnets(self.fixed_ips))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """Also the subnets of its addresses, and the server that it belongs to."""
        yield from super().ties()
        yield from (("fixed_ips", subnet, False) for subnet in _subnets(self.fixed_ips))
        if self.device_id and self.device_owner.startswith("compute:"):
            yield "device_id", ref(Kind.SERVER, self.device_id), False

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """Also rewrites the subnets of the addresses."""
        moved = super().with_ids(new_id)
        return moved.model_copy(update={"fixed_ips": _moved_ips(self.fixed_ips, new_id)})


class AddressGroup(ResourceBase):
    """A named set of CIDRs that rules refer to. `shared_with` as for `Network`."""

    kind: Literal["address_group"] = "address_group"
    description: str = ""
    addresses: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = later(())


class SecurityGroup(ResourceBase):
    """A security group; its rules are resources of their own. `is_default` is the project's `default`.

    `shared_with` as for `Network`.
    """

    kind: Literal["security_group"] = "security_group"
    description: str = ""
    stateful: bool = True
    tags: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = later(())

    @property
    def is_default(self) -> bool:
        """Each project has exactly one group named `default`, made by the cloud."""
        return self.name == "default"


class SecurityGroupRule(ResourceBase):
    """One rule. At most one of the three remotes is set; none means any address: never drop a remote."""

    REFERS = {
        "security_group_id": Kind.SECURITY_GROUP,
        "remote_group_id": Kind.SECURITY_GROUP,
        "remote_address_group_id": Kind.ADDRESS_GROUP,
    }
    OWN = frozenset({"security_group_id"})
    kind: Literal["security_group_rule"] = "security_group_rule"
    description: str = ""
    security_group_id: str
    direction: Literal["ingress", "egress"]
    ethertype: Literal["IPv4", "IPv6"]
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None

    @model_validator(mode="after")
    def _one_remote(self) -> Self:
        remotes = (self.remote_ip_prefix, self.remote_group_id, self.remote_address_group_id)
        if sum(r is not None for r in remotes) > 1:
            raise ValueError("a rule has at most one remote")
        return self

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """As everywhere, but refuses to lose a remote: a rule without its remote is open to the world."""
        moved = super().with_ids(new_id)
        for field in ("remote_group_id", "remote_address_group_id"):
            if getattr(self, field) is not None and getattr(moved, field) is None:
                raise ValueError(f"{self.ref}: {field} has no counterpart; the rule would open to any address")
        return moved


class FloatingIp(ResourceBase):
    """A public address. A member cannot keep the address in another cloud."""

    REFERS = {"port_id": Kind.PORT}
    VOLATILE = frozenset({"id", "address", "external_network_id", "status"})
    kind: Literal["floating_ip"] = "floating_ip"
    description: str = ""
    address: str
    external_network_id: str
    port_id: str | None = None
    fixed_ip_address: str | None = None
    status: str = ""
    tags: tuple[str, ...] = ()


# --- compute (Compute API 2.1, microversion >= 2.47) -------------------------------------------------------


class Flavor(Model):
    """What a server gets. RAM and swap in MiB, disks in GiB. `id` is empty where nova embeds the flavor."""

    id: str = ""
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    extra_specs: dict[str, str] = Field(default_factory=dict)


class Keypair(ResourceBase):
    """A public key; id = name (unique per user). The private half is never with the cloud."""

    kind: Literal["keypair"] = "keypair"
    type: str = "ssh"
    public_key: str
    fingerprint: str


class ServerGroup(ResourceBase):
    """A placement policy for servers: affinity, anti-affinity, soft-affinity, soft-anti-affinity."""

    VOLATILE = frozenset({"id", "member_ids"})
    kind: Literal["server_group"] = "server_group"
    policy: str
    max_server_per_host: int | None = None
    member_ids: tuple[str, ...] = ()


class Server(ResourceBase):
    """A server. `port_ids` are in the order of its interfaces. `image_id` None means booted from volume.

    `key_name` is the id of a keypair. `status` is nova's (ACTIVE, SHUTOFF, ...).
    `user_data` cannot be read with tenant rights: the census names that for each server.
    """

    REFERS = {
        "image_id": Kind.IMAGE,
        "key_name": Kind.KEYPAIR,
        "server_group_id": Kind.SERVER_GROUP,
        "port_ids": Kind.PORT,
    }
    OWN = frozenset({"server_group_id", "port_ids"})
    VOLATILE = frozenset({"id", "host_id", "created_at"})
    kind: Literal["server"] = "server"
    description: str = ""
    status: str
    flavor: Flavor
    image_id: str | None = None
    key_name: str | None = None
    server_group_id: str | None = None
    port_ids: tuple[str, ...] = ()
    metadata: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    config_drive: bool = False
    availability_zone: str = ""
    locked: bool = False
    host_id: str = ""
    created_at: datetime | None = None


class Attachment(ResourceBase):
    """A volume on a server; id = `server id/volume id`. `boot_index` 0 is the root disk."""

    REFERS = {"server_id": Kind.SERVER, "volume_id": Kind.VOLUME}
    OWN = frozenset(REFERS)
    VOLATILE = frozenset({"id"})
    kind: Literal["attachment"] = "attachment"
    server_id: str
    volume_id: str
    device: str = ""
    boot_index: int | None = None
    delete_on_termination: bool = False
    tag: str | None = None


# --- image (Image API v2) ----------------------------------------------------------------------------------


class Image(ResourceBase):
    """An image that the project owns. `hash_value` is the cloud's own (os_hash_value), never our evidence.

    `members` are project ids to which it is shared (visibility `shared`).
    """

    VOLATILE = frozenset({"id", "hash_value", "hash_algo", "status", "created_at", "owner_id"})
    kind: Literal["image"] = "image"
    status: str
    disk_format: str | None = None
    container_format: str | None = None
    visibility: str = "shared"
    protected: bool = False
    hidden: bool = False
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    size_bytes: int | None = None
    hash_algo: str | None = None
    hash_value: str | None = None
    owner_id: str = ""
    members: tuple[str, ...] = ()
    properties: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None


# --- block storage (Block Storage API v3) ------------------------------------------------------------------


class Volume(ResourceBase):
    """A volume. `image_metadata` is what it took over from its image (volume_image_metadata).

    `updated_at` changes when it is attached, detached, uploaded to an image, restored or reset, and not when a guest
    writes, when it is cloned, or with its metadata (Cinder's volumes table): while it is the same and the volume
    stands unattached, nobody wrote.
    """

    VOLATILE = frozenset({"id", "status", "snapshot_id", "source_volume_id", "created_at", "updated_at"})
    kind: Literal["volume"] = "volume"
    description: str = ""
    status: str
    size_gib: int
    volume_type: str | None = None
    bootable: bool = False
    encrypted: bool = False
    multiattach: bool = False
    read_only: bool = False
    availability_zone: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    image_metadata: dict[str, str] = Field(default_factory=dict)
    snapshot_id: str | None = None
    source_volume_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = later(None)


class Snapshot(ResourceBase):
    """A snapshot of a volume: content as of then, which no API carries to another cloud as a snapshot."""

    REFERS = {"volume_id": Kind.VOLUME}
    OWN = frozenset(REFERS)
    VOLATILE = frozenset({"id", "status", "created_at"})
    kind: Literal["snapshot"] = "snapshot"
    description: str = ""
    status: str
    volume_id: str
    size_gib: int
    metadata: dict[str, str] = Field(default_factory=dict)
    created_at: datetime | None = None


class Backup(ResourceBase):
    """A backup of a volume in the provider's backup store."""

    VOLATILE = frozenset({"id", "status", "created_at", "volume_id", "snapshot_id"})
    kind: Literal["backup"] = "backup"
    description: str = ""
    status: str
    volume_id: str
    snapshot_id: str | None = None
    size_gib: int
    incremental: bool = False
    metadata: dict[str, str] = Field(default_factory=dict)
    created_at: datetime | None = None


# --- object storage (Swift API v1) -------------------------------------------------------------------------


class Container(ResourceBase):
    """An object container; id = name. ACLs are Swift's text; project ids in them are those of this cloud.

    `metadata` are the X-Container-Meta-* headers, names in lower case without the prefix.
    """

    VOLATILE = frozenset({"id", "object_count", "bytes_used", "storage_policy"})
    HIDEABLE = frozenset({"read_acl", "write_acl", "sync_to"})
    kind: Literal["container"] = "container"
    read_acl: str = ""
    write_acl: str = ""
    versions_enabled: bool = False
    versions_location: str | None = None
    history_location: str | None = None
    sync_to: str | None = None
    storage_policy: str = ""
    object_count: int = 0
    bytes_used: int = 0
    metadata: dict[str, str] = Field(default_factory=dict)


class Segment(Model):
    """One segment of a static large object. `path` is `container/name` without leading slash."""

    path: str
    size_bytes: int
    etag: str
    range: str | None = None


class StoredObject(ResourceBase):
    """An object; id = `container/name` (name as UTF-8 text, untouched). `etag` is the cloud's, not evidence.

    `segments` is the SLO manifest (in order) or None; for such an object `size_bytes` is that of the joined
    content. `dlo_prefix` is the DLO's `container/prefix`; `symlink_to` the target `container/name`, in the
    account `symlink_account` (None: the object's own account; another one is not ours to follow or to carry).
    `symlink_etag` is of a static link only: the ETag that its target must have for the link to be readable.
    `metadata` are the X-Object-Meta-* headers, names in lower case without the prefix.
    """

    REFERS = {"container": Kind.CONTAINER}
    OWN = frozenset(REFERS)
    VOLATILE = frozenset({"id", "etag", "last_modified"})
    kind: Literal["object"] = "object"
    container: str
    size_bytes: int
    etag: str
    content_type: str = "application/octet-stream"
    content_encoding: str | None = None
    content_disposition: str | None = None
    delete_at: datetime | None = None
    segments: tuple[Segment, ...] | None = None
    dlo_prefix: str | None = None
    symlink_to: str | None = None
    symlink_account: str | None = later(None)
    symlink_etag: str | None = later(None)
    metadata: dict[str, str] = Field(default_factory=dict)
    last_modified: datetime | None = None

    def references(self) -> tuple[Ref, ...]:
        """The container, and the segments or the symlink's target, if that is in the own account."""
        link = [self.symlink_to] if self.symlink_to and self.symlink_account is None else []
        others = [s.path for s in self.segments or ()] + link
        return (*super().references(), *dict.fromkeys(ref(Kind.OBJECT, path) for path in others))


# --- key manager (Key Manager API v1) ----------------------------------------------------------------------


class Secret(ResourceBase):
    """A secret's description. The payload is never part of the model. `content_type` None: no payload.

    `acl_users` are user ids with read access, `acl_project_access` False closes it to the project.
    """

    VOLATILE = frozenset({"id", "status", "created_at"})
    HIDEABLE = frozenset({"acl_project_access", "acl_users"})
    kind: Literal["secret"] = "secret"
    secret_type: str = "opaque"  # noqa: S105 - the type's name
    algorithm: str | None = None
    bit_length: int | None = None
    mode: str | None = None
    content_type: str | None = None
    expiration: datetime | None = None
    status: str = "ACTIVE"
    metadata: dict[str, str] = Field(default_factory=dict)
    acl_project_access: bool = True
    acl_users: tuple[str, ...] = ()
    created_at: datetime | None = None


class SecretEntry(Model):
    """A named member of a secret container."""

    name: str
    secret_id: str


class SecretContainer(ResourceBase):
    """A container of secrets: generic, rsa or certificate. `acl_*` as for `Secret`; they close the list of
    its entries, not the secrets, which have ACLs of their own.
    """

    VOLATILE = frozenset({"id", "status"})
    HIDEABLE = frozenset({"acl_project_access", "acl_users"})
    kind: Literal["secret_container"] = "secret_container"
    type: str
    entries: tuple[SecretEntry, ...] = ()
    status: str = "ACTIVE"
    acl_project_access: bool = later(True)
    acl_users: tuple[str, ...] = later(())

    def references(self) -> tuple[Ref, ...]:
        """The secrets in it."""
        return tuple(dict.fromkeys(ref(Kind.SECRET, e.secret_id) for e in self.entries))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """The secrets in it, which may be deleted already."""
        yield from (("entries", secret, False) for secret in self.references())

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """Rewrites the ids of its secrets; an entry without counterpart is dropped."""
        moved = ((e.name, new_id(ref(Kind.SECRET, e.secret_id))) for e in self.entries)
        kept = tuple(SecretEntry(name=name, secret_id=new) for name, new in moved if new is not None)
        return self.model_copy(update={"entries": kept})


Resource: TypeAlias = Annotated[
    Network | Subnet | Router | RouterInterface | Port | AddressGroup | SecurityGroup | SecurityGroupRule
    | FloatingIp | Keypair | ServerGroup | Server | Attachment | Image | Volume | Snapshot | Backup
    | Container | StoredObject | Secret | SecretContainer,
    Field(discriminator="kind"),
]  # fmt: skip

R = TypeVar("R", bound=ResourceBase)


# --- what surrounds the project ----------------------------------------------------------------------------


class CloudIdentity(Model):
    """Which cloud, project and user this is: what a bundle is bound to."""

    name: str
    """Our name of the cloud (the key in clouds.yaml)."""
    auth_url: str
    region: str
    project_id: str
    project_name: str
    user_id: str
    roles: tuple[str, ...] = ()
    catalog_digest: str = ""
    """sha256 over the canonical service catalog (types, regions, interfaces, URLs)."""
    certificate_sha256: str = ""
    """SHA-256 of the TLS certificate that the identity endpoint presented; empty for plain http."""
    services: dict[str, str] = Field(default_factory=dict)
    """Service type -> the API version or maximal microversion that it told."""


class VolumeType(Model):
    """A volume type; `description` carries SCS aspects as `[scs:…]` (scs-0114-v1)."""

    id: str
    name: str
    description: str = ""
    is_default: bool = False
    extra_specs: dict[str, str] = Field(default_factory=dict)


class ExternalNetwork(Model):
    """A provider's external network with its subnets' CIDRs as far as a tenant sees them."""

    id: str
    name: str
    is_default: bool = False
    cidrs: tuple[str, ...] = ()


class Quota(Model):
    """One limit of the project; `limit` -1 means unlimited. `used` includes reservations."""

    service: str
    resource: str
    limit: int
    used: int


class Offering(Model):
    """What a cloud offers to the project: the ground on which a plan is made; nothing of the tenant's."""

    flavors: tuple[Flavor, ...] = ()
    images: tuple[Image, ...] = ()
    """Public, community and shared images of others that the project sees."""
    volume_types: tuple[VolumeType, ...] = ()
    external_networks: tuple[ExternalNetwork, ...] = ()
    compute_zones: tuple[str, ...] = ()
    volume_zones: tuple[str, ...] = ()
    network_zones: tuple[str, ...] = ()
    network_extensions: tuple[str, ...] = ()
    object_features: tuple[str, ...] = ()
    """Middleware that Swift's /info names (slo, dlo, symlink, versioned_writes, ...)."""
    quotas: tuple[Quota, ...] = ()


class NotShown(Model):
    """Something that could not be read, and why.

    `what` is a service, a kind (`secret`: none of the kind), a Ref (that one, of which no more may be known than
    its name), a Ref with a field (`image:….members`), or a kind with a field (`container.read_acl`: that field of
    every one of the kind). `Workload.hidden_fields` finds those that make a field of the model say nothing.
    """

    what: str
    reason: Words


OWNER_ONLY = ("container.read_acl", "container.write_acl", "container.sync_to", "container.keys",
              "account.keys", "account.access_control")  # fmt: skip
"""What an object store tells an owner of the account alone, as `NotShown.what` (Swift: `swift_owner_headers`).

Nobody else gets these headers at all, so that what is hidden looks like what is empty. Whoever is not known to be an
owner has seen none of them; one of them seen anywhere in the account shows that he is, and that the others are empty.
"""


class Workload(Model):
    """A census: everything that one project owns in one cloud at one time, and what was not shown."""

    schema_: str = Field(default=SCHEMA, alias="schema")
    model_config = {**Model.model_config, "populate_by_name": True, "serialize_by_alias": True}

    identity: CloudIdentity
    taken_at: datetime
    resources: tuple[Resource, ...] = ()
    offering: Offering = Offering()
    not_shown: tuple[NotShown, ...] = ()

    @model_validator(mode="after")
    def _refs_are_unique(self) -> Self:
        doubled = [r for r, n in Counter(x.ref for x in self.resources).items() if n > 1]
        if doubled:
            raise ValueError(f"listed twice: {', '.join(doubled[:5])}")
        return self

    @cached_property
    def by_ref(self) -> Mapping[Ref, Resource]:
        """All resources by their Ref."""
        return {r.ref: r for r in self.resources}

    @cached_property
    def reasons(self) -> Mapping[str, Words]:
        """`NotShown.what` -> why."""
        return {n.what: n.reason for n in self.not_shown}

    def hidden_fields(self, resource: ResourceBase) -> dict[str, Words]:
        """Fields that were not shown of a resource of this workload -> why. Their values in it say nothing."""
        named = ((f, f"{o}.{f}") for o in (resource.own_kind.value, resource.ref) for f in sorted(resource.HIDEABLE))
        return {field: self.reasons[what] for field, what in named if what in self.reasons}

    @cached_property
    def hidden(self) -> Mapping[Ref, Mapping[str, Words]]:
        """Of each resource: field -> why it was not shown (a `NotShown` whose `what` is `REF.FIELD`, or `REF`: all)."""
        found: dict[Ref, dict[str, Words]] = {}
        for note in self.not_shown:
            whose, _, field = note.what.rpartition(".") if note.what not in self.by_ref else (note.what, "", "contents")
            if whose in self.by_ref:
                found.setdefault(whose, {})[field] = note.reason
        return found

    def of(self, type_: type[R]) -> tuple[R, ...]:
        """The resources of one class, e.g. `workload.of(Server)`."""
        return tuple(r for r in self.resources if isinstance(r, type_))


def _subnets(ips: tuple[FixedIp, ...]) -> tuple[Ref, ...]:
    return tuple(dict.fromkeys(ref(Kind.SUBNET, ip.subnet_id) for ip in ips))


def _moved_ips(ips: tuple[FixedIp, ...], new_id: Callable[[Ref], str | None]) -> tuple[FixedIp, ...]:
    moved = ((new_id(ref(Kind.SUBNET, ip.subnet_id)), ip.ip_address) for ip in ips)
    return tuple(FixedIp(subnet_id=subnet, ip_address=address) for subnet, address in moved if subnet)
