# SPDX-License-Identifier: Apache-2.0
"""A real cloud behind a relay: its links name the host behind, which nobody asks; and a relay that leads astray.

The relay stands on another address, has a path for each service, and is what clouds.yaml names. The services of the
embedded cloud know nothing of it, so their next pages, version documents and references name their own addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import inventory
import pytest
import trustme
from front import Front, smaller, standing
from lying_cloud import Asked, Stranger, Told

from unterbau import reference, wiring
from unterbau.errors import Elsewhere
from unterbau.switch import census

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.long,
    # openstacksdk, which plants here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
PLANTED = 3


class Relay(Front):
    """Listings are cut to two entries a page; `astray`: end of a path -> the address where it sends who asks there."""

    def __init__(self, authority: trustme.CA, behind: Mapping[str, str], ca: Path) -> None:
        super().__init__(authority, behind, ca)
        self.before = smaller(2)
        self.astray: dict[str, str] = {}

    def answer(self, asked: Asked) -> Told:
        for end, address in self.astray.items():
            if asked.path.endswith(end):
                return Told(307, None, {"Location": address + asked.target})
        return super().answer(asked)


@pytest.fixture(scope="module")
def tenant(two_clouds: tuple[str, str]) -> Iterator[Any]:
    """A few things of each kind, so that listings have pages."""
    connection = inventory.connect(two_clouds[1], reference.clouds_file(two_clouds[1]))
    inventory.sweep(connection)
    for n in range(PLANTED):
        connection.network.create_network(name=f"relay-{n}")
        connection.compute.create_keypair(name=f"relay-{n}")
        connection.image.create_image(
            name=f"relay-{n}", data=b"x" * 1024, disk_format="raw", container_format="bare", visibility="private"
        )
    connection.object_store.create_container(name="relay")
    connection.object_store.create_object("relay", "object", data=b"bytes")
    yield connection
    inventory.sweep(connection)


@pytest.fixture
def relay(
    two_clouds: tuple[str, str], tenant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Relay, Stranger]]:
    """The cloud `relay`: the tenant's own, with every address replaced by the relay's."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with standing(tenant, tmp_path, "relay", Relay) as server:
        stranger = Stranger(server.authority, "127.0.0.2")
        yield server, stranger
        stranger.close()


def test_a_census_through_a_relay_finds_what_one_past_it_does(
    two_clouds: tuple[str, str], relay: tuple[Relay, Stranger]
) -> None:
    server, _ = relay
    direct, through = (
        census.take(wiring.open_cloud(name), now=lambda: datetime.now(UTC)) for name in (two_clouds[1], "relay")
    )
    assert {r.ref for r in through.resources} == {r.ref for r in direct.resources}
    missed = {n.what: str(n.reason) for n in through.not_shown}
    assert missed.keys() == {n.what for n in direct.not_shown}, missed
    later = {a.path.rpartition("/")[2] for a in server.asked if "marker=" in a.target}
    assert {"images", "networks", "os-keypairs"} <= later
    kinds = {r.own_kind.value for r in through.resources}
    assert {"network", "image", "keypair", "container", "object"} <= kinds


def test_a_relay_that_leads_astray_gets_no_one_to_the_stranger(relay: tuple[Relay, Stranger]) -> None:
    server, stranger = relay
    cloud = wiring.open_cloud("relay")
    taken = census.take(cloud, now=lambda: datetime.now(UTC))
    image = next(r.id for r in taken.resources if r.own_kind.value == "image")
    server.astray = {
        f"/v2/images/{image}/file": f"https://{stranger.place}",
        "/relay/object": f"http://{stranger.place}",
    }
    with pytest.raises(Elsewhere, match=re.escape(stranger.place)), cloud.image_bytes(image):
        pass
    with pytest.raises(Elsewhere, match=re.escape(stranger.place)), cloud.object_bytes("relay", "object"):
        pass
    server.astray = {"/auth/tokens": f"https://{stranger.place}"}
    with pytest.raises(Elsewhere, match=re.escape(stranger.place)):
        wiring.open_cloud("relay").identity()
    assert (stranger.connections, stranger.asked) == (0, [])
