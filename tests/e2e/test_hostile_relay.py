# SPDX-License-Identifier: Apache-2.0
"""A real cloud behind a relay: its links name the host behind, which nobody asks; and a relay that leads astray.

The relay stands on another address, has a path for each service, and is what clouds.yaml names. The services of the
embedded cloud know nothing of it, so their next pages, version documents and references name their own addresses.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import inventory
import pytest
import trustme
import yaml
from lying_cloud import Asked, Server, Stranger, Told

from unterbau import census, reference, wiring
from unterbau.errors import Elsewhere

pytestmark = [
    pytest.mark.cloud,
    # openstacksdk, which plants here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
PLANTED = 3
SERVICES = ("compute", "image", "network", "block-storage", "object-store", "key-manager")
_NOT_PASSED_ON = ("host", "connection", "accept-encoding", "content-length")
_SHORT = re.compile(r"/(servers/detail|os-keypairs|images|networks|subnets|security-groups|volumes/detail)\?")


class Relay(Server):
    """Passes requests on by the first part of their path; a listing that is asked for is cut to two entries a page."""

    def __init__(self, authority: trustme.CA, behind: dict[str, str], ca: Path) -> None:
        self.behind = behind
        self.astray: dict[str, str] = {}
        """End of a path -> the address where the relay sends who asks there."""
        self._trust = ssl.create_default_context(cafile=str(ca))
        super().__init__(authority, "127.0.0.3")

    def answer(self, asked: Asked) -> Told:
        for end, address in self.astray.items():
            if asked.path.endswith(end):
                return Told(307, None, {"Location": address + asked.target})
        service = asked.path.split("/")[1]
        target = urlsplit(self.behind[service].rstrip("/") + asked.path.removeprefix(f"/{service}"))
        path = target.path + asked.target.removeprefix(asked.path)
        if _SHORT.search(path):
            path = re.sub(r"\blimit=\d+", "limit=2", path)
        behind = http.client.HTTPSConnection(target.netloc, timeout=60, context=self._trust)
        headers = {k: v for k, v in asked.headers.items() if k not in _NOT_PASSED_ON}
        behind.request(asked.method, path, asked.body or None, headers)
        told = behind.getresponse()
        body = told.read()
        behind.close()
        dropped = ("connection", "transfer-encoding", *(() if asked.method == "HEAD" else ("content-length",)))
        return Told(told.status, body, {k: v for k, v in told.getheaders() if k.lower() not in dropped})


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
    name, authority = two_clouds[1], trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    entry = yaml.safe_load(reference.clouds_file(name).read_text())["clouds"][name]
    catalog = tenant.session.auth.get_access(tenant.session).service_catalog
    behind = {s: urljoin(catalog.url_for(service_type=s), "/") for s in SERVICES}
    behind["identity"] = urljoin(entry["auth"]["auth_url"], "/")
    behind["info"] = f"{behind['object-store']}info"  # Swift tells what it has at the root of its host
    server = Relay(authority, behind, Path(entry["cacert"]))
    stranger = Stranger(authority, "127.0.0.2")
    entry |= {"cacert": str(tmp_path / "ca.pem")}
    for service in SERVICES:
        path = urlsplit(catalog.url_for(service_type=service)).path
        entry[f"{service.replace('-', '_')}_endpoint_override"] = f"https://{server.place}/{service}{path}"
    entry["auth"] = {**entry["auth"], "auth_url": f"https://{server.place}/identity/v3"}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"relay": entry}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    yield server, stranger
    server.close()
    stranger.close()


def test_a_census_through_a_relay_finds_what_one_past_it_does(
    two_clouds: tuple[str, str], relay: tuple[Relay, Stranger]
) -> None:
    server, _ = relay
    direct, through = (
        census.take(wiring.open_cloud(name), now=lambda: datetime.now(UTC)) for name in (two_clouds[1], "relay")
    )
    assert {r.ref for r in through.resources} == {r.ref for r in direct.resources}
    missed = {n.what: n.reason for n in through.not_shown}
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
