# SPDX-License-Identifier: Apache-2.0
"""What surrounds a project: which cloud it is in, and what that cloud offers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from unterbau.tenant.kinds.base import Kind, Ref, ref
from unterbau.tenant.kinds.flavor import Flavor
from unterbau.tenant.kinds.image import Image
from unterbau.verdict import Model, later


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
    image_formats: tuple[str, ...] = later(())
    """Disk formats that Glance takes; () if it does not say."""

    def provided(self) -> Iterator[Ref]:
        """What is here and not the project's, so that no listing of the project has it."""
        yield from (image.ref for image in self.images)
        yield from (ref(Kind.NETWORK, network.id) for network in self.external_networks)
