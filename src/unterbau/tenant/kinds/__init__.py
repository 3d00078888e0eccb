# SPDX-License-Identifier: Apache-2.0
"""The kinds of resources that a project in a cloud consists of: the frozen, typed model that all rooms share. Pure.

`cloud/` produces them, `switch/census` assembles a `Workload` of them, `plan` gives each a fate, `move` sends them (with
ids rewritten to the target's) back through the port, `verify` compares those of two sides, `evidence` keeps them. They are
not the API's JSON: names and units are ours and documented here.

Everything that has an id of its own in the cloud is a `Resource` of its own, flat, so that each rule, router
interface and attachment has a fate and a verdict. Relations are ids of the same cloud (`network_id` ...);
`references()` turns them into `Ref`s. Times are UTC, sizes are in the unit that the field's name says.
`None` means "the cloud says there is none"; what could not be read stands in `Workload.not_shown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias, get_args

from pydantic import Field

from unterbau.tenant.kinds.attachment import Attachment
from unterbau.tenant.kinds.base import Kind, R, Ref, ResourceBase, id_of, kind_of, ref
from unterbau.tenant.kinds.fate import Change, Check, Entry, Fate, Guests, Loss
from unterbau.tenant.kinds.flavor import Flavor
from unterbau.tenant.kinds.floating_ip import FloatingIp
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.image import Image
from unterbau.tenant.kinds.network import AllocationPool, Network, Route, Subnet
from unterbau.tenant.kinds.object import OWNER_ONLY, Container, Holds, Segment, StoredObject
from unterbau.tenant.kinds.offering import CloudIdentity, ExternalNetwork, Offering, Quota, VolumeType
from unterbau.tenant.kinds.origin import NOTHING, Source
from unterbau.tenant.kinds.policy import Becomes, Content, Known, Mark, Opened, Policy, Told
from unterbau.tenant.kinds.port import AddressPair, DhcpOption, FixedIp, Port
from unterbau.tenant.kinds.router import Router, RouterInterface
from unterbau.tenant.kinds.secret import Secret, SecretContainer, SecretEntry
from unterbau.tenant.kinds.security_group import AddressGroup, SecurityGroup, SecurityGroupRule
from unterbau.tenant.kinds.server import Keypair, Server, ServerGroup
from unterbau.tenant.kinds.volume import Backup, Passage, Snapshot, Volume

__all__ = ["KINDS", "NOTHING", "OWNER_ONLY", "AddressGroup", "AddressPair", "AllocationPool", "Attachment", "Backup", "Becomes", "Change", "Check", "CloudIdentity", "Container", "Content", "DhcpOption", "Entry", "ExternalNetwork", "Fate", "FixedIp", "Flavor", "FloatingIp", "Ground", "Guests", "Holds", "Image", "Keypair", "Kind", "Known", "Loss", "Mark", "Network", "Offering", "Opened", "Passage", "Policy", "Port", "Quota", "R", "Ref", "Relations", "Resource", "ResourceBase", "Route", "Router", "RouterInterface", "Secret", "SecretContainer", "SecretEntry", "SecurityGroup", "SecurityGroupRule", "Segment", "Server", "ServerGroup", "Side", "Snapshot", "Source", "StoredObject", "Subnet", "Told", "Volume", "VolumeType", "id_of", "kind_of", "ref"]  # fmt: skip

Resource: TypeAlias = Annotated[
    Network | Subnet | Router | RouterInterface | Port | AddressGroup | SecurityGroup | SecurityGroupRule
    | FloatingIp | Keypair | ServerGroup | Server | Attachment | Image | Volume | Snapshot | Backup
    | Container | StoredObject | Secret | SecretContainer,
    Field(discriminator="kind"),
]  # fmt: skip

KINDS: Mapping[Kind, type[ResourceBase]] = {
    Kind(one.model_fields["kind"].default): one for one in get_args(get_args(Resource)[0])
}
"""The class of each kind."""
if set(KINDS) != set(Kind):
    raise TypeError(f"kinds without a class: {', '.join(sorted(set(Kind) - set(KINDS)))}")
