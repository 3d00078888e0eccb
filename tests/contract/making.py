# SPDX-License-Identifier: Apache-2.0
"""How the contract's tests make things in any cloud, and remove them at the end."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from unterbau.cloud.port import Cloud
from unterbau.cloud.simulator import Simulator
from unterbau.saga import Marker as MarkerOf
from unterbau.tenant.kinds import Attachment, Kind, Ref, Resource, Server, Source, ref

WAIT = timedelta(minutes=3)


def opened_again(cloud: Cloud) -> Cloud:
    """As the next process opens it."""
    from unterbau import wiring

    return Simulator(cloud.folder) if isinstance(cloud, Simulator) else wiring.open_cloud(cloud.identity().name)


class Maker:
    """Makes things and removes them at the end, last first."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.made = cloud, list[Ref]()
        self.tag = uuid.uuid4().hex[:12]

    def marker(self, step: str = "x") -> str:
        return MarkerOf(run="contract", node=f"{self.tag}{step}").tag()

    def ensure(self, wish: Resource, step: str = "x", before: tuple[str, ...] = ()) -> str:
        id_ = self.cloud.ensure(wish, self.marker(step), before=before)
        reference = ref(wish.own_kind, id_)
        if reference not in self.made:
            self.made.append(reference)
        return id_


def server_with(cloud: Cloud, make: Maker, disks: tuple[Attachment, ...] = (), **more: Any) -> str:
    """A server that is up."""
    offering = cloud.surroundings().offering
    flavor = next(f for f in offering.flavors if f.name == "SCS-2V-4-20s")
    image = next((i.id for i in offering.images if i.name == "unterbau-tiny"), None)
    wish = Server(id="-", name=f"v-{make.tag}", status="ACTIVE", flavor=flavor, image_id=image, **more)
    server = cloud.ensure(wish, make.marker("server"), source=Source(disks=disks))
    make.made.append(ref(Kind.SERVER, server))
    cloud.settle(ref(Kind.SERVER, server), WAIT)
    return server
