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

from typing import Annotated, TypeAlias

from pydantic import Field

from unterbau.tenant.kinds.base import Kind, R, Ref, ResourceBase, id_of, kind_of, ref
from unterbau.tenant.kinds.image import Image
from unterbau.tenant.kinds.network import AllocationPool, Network, Route, Subnet
from unterbau.tenant.kinds.object import OWNER_ONLY, Container, Segment, StoredObject
from unterbau.tenant.kinds.offering import CloudIdentity, ExternalNetwork, Offering, Quota, VolumeType
from unterbau.tenant.kinds.port import AddressPair, DhcpOption, FixedIp, FloatingIp, Port
from unterbau.tenant.kinds.router import Router, RouterInterface
from unterbau.tenant.kinds.secret import Secret, SecretContainer, SecretEntry
from unterbau.tenant.kinds.security_group import AddressGroup, SecurityGroup, SecurityGroupRule
from unterbau.tenant.kinds.server import Attachment, Flavor, Keypair, Server, ServerGroup
from unterbau.tenant.kinds.volume import Backup, Snapshot, Volume

__all__ = ["OWNER_ONLY", "AddressGroup", "AddressPair", "AllocationPool", "Attachment", "Backup", "CloudIdentity", "Container", "DhcpOption", "ExternalNetwork", "FixedIp", "Flavor", "FloatingIp", "Image", "Keypair", "Kind", "Network", "Offering", "Port", "Quota", "R", "Ref", "Resource", "ResourceBase", "Route", "Router", "RouterInterface", "Secret", "SecretContainer", "SecretEntry", "SecurityGroup", "SecurityGroupRule", "Segment", "Server", "ServerGroup", "Snapshot", "StoredObject", "Subnet", "Volume", "VolumeType", "id_of", "kind_of", "ref"]  # fmt: skip

Resource: TypeAlias = Annotated[
    Network | Subnet | Router | RouterInterface | Port | AddressGroup | SecurityGroup | SecurityGroupRule
    | FloatingIp | Keypair | ServerGroup | Server | Attachment | Image | Volume | Snapshot | Backup
    | Container | StoredObject | Secret | SecretContainer,
    Field(discriminator="kind"),
]  # fmt: skip
