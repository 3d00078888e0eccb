# SPDX-License-Identifier: Apache-2.0
"""Fill a fresh cloud with what an operator provides: accounts, catalog, flavors, networks, an image.

The supervisor runs `identity` when Keystone answers and `offering` when everything does. Both are
find-or-create throughout, so one that was killed half-way is completed by the next; finished, `offering`
leaves a mark and is not repeated. Nothing here is tenant data (that is `unterbau.reference.tenant`).

Flavors follow scs-0103-v1.2 (the fifteen mandatory ones), names scs-0100-v3, volume types scs-0114
(no aspect is claimed, since the back end neither encrypts nor replicates), image metadata scs-0102.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unterbau.reference import disk, extras, guest_image, guests, ports
from unterbau.reference.layout import REGION, Layout, Secrets
from unterbau.reference.rest import Rest

Say = Callable[[str], None]

VERSION = 1
"""Raise it when the offering changes: existing clouds are then completed at their next start."""

ROLES = ("admin", "manager", "member", "reader", "service", "creator", "ResellerAdmin")
SERVICE_USERS = ("glance", "placement", "nova", "neutron", "cinder", "swift", "barbican")
CREDENTIAL_NAME = "unterbau"
IMAGE_NAME = "unterbau-tiny"
_IMAGE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Flavor:
    """A standard flavor: what its SCS name promises."""

    cpus: int
    kind: str
    """`V` (shared core) or `L` (crowded core)."""
    ram_gib: int
    disk_gib: int = 0
    disk_type: str = ""
    """`ssd`, or empty: no root disk."""

    @property
    def name(self) -> str:
        """The name in the syntax of scs-0100-v3."""
        disk_part = f"-{self.disk_gib}s" if self.disk_gib else ""
        return f"SCS-{self.cpus}{self.kind}-{self.ram_gib}{disk_part}"

    @property
    def extra_specs(self) -> dict[str, str]:
        """Discoverability by scs-0103."""
        short = self.name.removeprefix("SCS-")
        specs = {
            "scs:name-v1": "SCS-" + short.replace("-", ":"),
            "scs:name-v2": self.name,
            "scs:cpu-type": "shared-core" if self.kind == "V" else "crowded-core",
        }
        return specs | ({"scs:disk0-type": self.disk_type} if self.disk_gib else {})


FLAVORS = (
    Flavor(1, "V", 4),
    Flavor(2, "V", 8),
    Flavor(4, "V", 16),
    Flavor(4, "V", 16, 100, "ssd"),
    Flavor(8, "V", 32),
    Flavor(1, "V", 2),
    Flavor(2, "V", 4),
    Flavor(2, "V", 4, 20, "ssd"),
    Flavor(4, "V", 8),
    Flavor(8, "V", 16),
    Flavor(16, "V", 32),
    Flavor(1, "V", 8),
    Flavor(2, "V", 16),
    Flavor(4, "V", 32),
    Flavor(1, "L", 1),
)


# ---- accounts and catalog


def catalog(layout: Layout) -> tuple[tuple[str, str, str], ...]:
    """Name, type and address of every service in the catalog."""
    return (
        ("keystone", "identity", layout.auth_url),
        ("glance", "image", layout.url("glance")),
        ("placement", "placement", layout.url("placement")),
        ("nova", "compute", layout.url("nova", "/v2.1")),
        ("neutron", "network", layout.url("neutron")),
        ("cinder", "block-storage", layout.url("cinder", "/v3")),
        ("swift", "object-store", layout.url("swift", "/v1/AUTH_%(project_id)s")),
        ("swift-s3", "s3", layout.url("swift")),
        ("barbican", "key-manager", layout.url("barbican")),
    )


def password_auth(user: str, password: str, project: str) -> dict[str, Any]:
    """Keystone's `auth` object for a user of the domain Default, scoped to a project."""
    domain = {"id": "default"}
    identity = {
        "methods": ["password"],
        "password": {"user": {"name": user, "domain": domain, "password": password}},
    }
    return {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}


def identity(layout: Layout, secrets: Secrets, say: Say) -> None:
    """Roles, catalog, service users, the tenant's project and users, and the tenant's credentials.

    Writes `credentials.json`: the tenant's application credential and its EC2 key pair.
    """
    if _done(layout, "identity"):
        return
    rest = Rest(layout.ca)
    rest.log_in(layout.auth_url, password_auth("admin", secrets.admin, "admin"))
    roles = _ensure(rest, layout, "roles", "role", [{"name": r} for r in ROLES])
    _catalog(rest, layout)
    project_bodies = [{"name": n, "domain_id": "default"} for n in ("service", layout.name)]
    projects = _ensure(rest, layout, "projects", "project", project_bodies)
    passwords = dict.fromkeys(SERVICE_USERS, secrets.service)
    passwords |= {layout.name: secrets.tenant, f"{layout.name}-reader": secrets.reader}
    user_bodies = [{"name": n, "password": p, "domain_id": "default"} for n, p in passwords.items()]
    users = _ensure(rest, layout, "users", "user", user_bodies)
    grants = [("service", user, role) for user in SERVICE_USERS for role in ("admin", "service")]
    grants += [(layout.name, layout.name, "member"), (layout.name, f"{layout.name}-reader", "reader")]
    # The administrator sees the tenant's project too, as operators do.
    grants += [(layout.name, "admin", "admin")]
    users["admin"] = _list(rest, layout, "users")["admin"]["id"]
    for project, user, role in grants:
        rest.put(f"{layout.auth_url}/projects/{projects[project]}/users/{users[user]}/roles/{roles[role]}")
    _credentials(layout, secrets, users[layout.name])
    _mark(layout, "identity")
    say("accounts and catalog are in place")


def _catalog(rest: Rest, layout: Layout) -> None:
    wanted = catalog(layout)
    if REGION not in {r["id"] for r in rest.get(f"{layout.auth_url}/regions")["regions"]}:
        rest.post(f"{layout.auth_url}/regions", {"region": {"id": REGION}})
    ids = _ensure(rest, layout, "services", "service", [{"name": n, "type": t} for n, t, _ in wanted])
    found = rest.get(f"{layout.auth_url}/endpoints")["endpoints"]
    have = {(e["service_id"], e["interface"]) for e in found}
    for name, _, url in wanted:
        for interface in ("public", "internal", "admin"):
            if (ids[name], interface) not in have:
                body = {"service_id": ids[name], "interface": interface, "url": url, "region_id": REGION}
                rest.post(f"{layout.auth_url}/endpoints", {"endpoint": body})


def _credentials(layout: Layout, secrets: Secrets, user_id: str) -> None:
    """The tenant makes its own credentials; a known secret makes the application credential repeatable."""
    tenant = Rest(layout.ca)
    token = tenant.log_in(layout.auth_url, password_auth(layout.name, secrets.tenant, layout.name))
    base = f"{layout.auth_url}/users/{user_id}"
    found = tenant.get(f"{base}/application_credentials")["application_credentials"]
    ids = [c["id"] for c in found if c["name"] == CREDENTIAL_NAME]
    if not ids:
        body = {"name": CREDENTIAL_NAME, "secret": secrets.credential, "roles": [{"name": "member"}]}
        made = tenant.post(f"{base}/application_credentials", {"application_credential": body})
        ids = [made["application_credential"]["id"]]
    project_id = token["project"]["id"]
    keys = [k for k in tenant.get(f"{base}/credentials/OS-EC2")["credentials"] if k["tenant_id"] == project_id]
    if not keys:
        keys = [tenant.post(f"{base}/credentials/OS-EC2", {"tenant_id": project_id})["credential"]]
    text = {
        "application_credential_id": ids[0],
        "project_id": project_id,
        "access": keys[0]["access"],
        "secret": keys[0]["secret"],
    }
    disk.write_private(layout.root / "credentials.json", json.dumps(text))


def _list(rest: Rest, layout: Layout, collection: str) -> dict[str, dict[str, Any]]:
    return {x["name"]: x for x in rest.get(f"{layout.auth_url}/{collection}")[collection]}


def _ensure(
    rest: Rest, layout: Layout, collection: str, kind: str, bodies: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """Id by name of all in `bodies`, creating those that are missing."""
    have = {name: found["id"] for name, found in _list(rest, layout, collection).items()}
    for body in bodies:
        if body["name"] not in have:
            have[body["name"]] = rest.post(f"{layout.auth_url}/{collection}", {kind: body})[kind]["id"]
    return have


# ---- what the cloud offers


def offering(layout: Layout, secrets: Secrets, say: Say) -> bool:
    """Flavors, the external network, volume types and the public image; four services side by side.

    Returns whether anything was to be done.
    """
    if _done(layout, "offering"):
        return False
    rest = Rest(layout.ca)
    rest.log_in(layout.auth_url, password_auth("admin", secrets.admin, "admin"))
    with ThreadPoolExecutor(max_workers=4) as pool:
        parts = [_flavors, _network, _volume_types, _image]
        if extras.GUESTS in layout.extras:
            parts += [_guest_flavor, _guest_image]
        tasks = [pool.submit(part, rest, layout) for part in parts]
    for task in tasks:
        task.result()
    _mark(layout, "offering")
    say("flavors, networks, volume types and image are in place")
    return True


def _flavors(rest: Rest, layout: Layout) -> None:
    base = layout.url("nova", "/v2.1/flavors")
    found = {f["name"]: f for f in rest.get(f"{base}/detail", OpenStack_API_Version="compute 2.61")["flavors"]}
    for flavor in FLAVORS:
        present = found.get(flavor.name)
        if present is None:
            body = {
                "name": flavor.name,
                "vcpus": flavor.cpus,
                "ram": flavor.ram_gib * 1024,
                "disk": flavor.disk_gib,
            }
            present = rest.post(base, {"flavor": body})["flavor"]
        if present.get("extra_specs") != flavor.extra_specs:
            rest.post(f"{base}/{present['id']}/os-extra_specs", {"extra_specs": flavor.extra_specs})


def _network(rest: Rest, layout: Layout) -> None:
    base = layout.url("neutron", "/v2.0")
    found = rest.get(f"{base}/networks?name=public")["networks"]
    body = {
        "name": "public",
        "router:external": True,
        "is_default": True,
        "provider:network_type": "flat",
        "provider:physical_network": "physnet1",
    }
    network = found[0] if found else rest.post(f"{base}/networks", {"network": body})["network"]
    have = {s["name"] for s in rest.get(f"{base}/subnets?network_id={network['id']}")["subnets"]}
    for subnet in _subnets(ports.block_number(layout.ports)):
        if subnet["name"] not in have:
            rest.post(f"{base}/subnets", {"subnet": subnet | {"network_id": network["id"], "enable_dhcp": False}})


def _subnets(number: int) -> tuple[dict[str, Any], ...]:
    """The public address ranges of the cloud with this block number; they differ from cloud to cloud."""
    four = f"172.24.{number}"
    pools = [{"start": f"{four}.10", "end": f"{four}.250"}]
    return (
        {
            "name": "public-v4",
            "ip_version": 4,
            "cidr": f"{four}.0/24",
            "gateway_ip": f"{four}.1",
            "allocation_pools": pools,
        },
        {
            "name": "public-v6",
            "ip_version": 6,
            "cidr": f"fd24:{number:x}::/64",
            "gateway_ip": f"fd24:{number:x}::1",
        },
    )


def _volume_types(rest: Rest, layout: Layout) -> None:
    project = rest.get(f"{layout.auth_url}/auth/tokens", X_Subject_Token=rest.token)["token"]["project"]["id"]
    base = layout.url("cinder", f"/v3/{project}/types")
    have = {t["name"]: t["id"] for t in rest.get(f"{base}?is_public=None")["volume_types"]}
    for name, description, back_end in VOLUME_TYPES:
        if name in have:
            continue
        body = {"name": name, "description": description, "extra_specs": {"volume_backend_name": back_end}}
        rest.post(base, {"volume_type": body})
    if "__DEFAULT__" in have:
        # Cinder's own stand-in for a default, which no cloud shows its tenants.
        rest.delete(f"{base}/{have['__DEFAULT__']}")


VOLUME_TYPES = (("default", "Sparse files on this machine's disk, neither encrypted nor replicated", "default"),)
"""Name, description and back end."""


def _image(rest: Rest, layout: Layout) -> None:
    base = layout.url("glance", "/v2/images")
    found = rest.get(f"{base}?name={IMAGE_NAME}&visibility=public")["images"]
    for image in found:
        if image["status"] == "active":
            return
        # The upload was cut off; Glance would find its own file in the way of another try.
        rest.delete(f"{base}/{image['id']}")
    image = rest.post(base, _image_body())
    rest.put(f"{base}/{image['id']}/file", image_bytes())


def _image_body() -> dict[str, str | int]:
    return {
        "name": IMAGE_NAME,
        "visibility": "public",
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": 0,
        "min_ram": 64,
        "architecture": "x86_64",
        "os_distro": "others",
        "os_version": "1",
        "os_purpose": "minimal",
        "hw_disk_bus": "scsi",
        "hw_scsi_model": "virtio-scsi",
        "hypervisor_type": "qemu",
        "replace_frequency": "never",
        "provided_until": "none",
        "uuid_validity": "none",
        "image_source": "private",
        "image_description": "A few MiB of known bytes for clouds whose guests do not run",
        "image_build_date": "2026-11-01",
        "image_original_user": "root",
    }


def _guest_flavor(rest: Rest, layout: Layout) -> None:
    base = layout.url("nova", "/v2.1/flavors")
    if guests.FLAVOR not in {f["name"] for f in rest.get(base)["flavors"]}:
        rest.post(base, {"flavor": {"name": guests.FLAVOR, "vcpus": 1, "ram": guests.FLAVOR_MIB, "disk": 2}})


def image_of_ours(layout: Layout, secrets: Secrets, file: Path, body: Mapping[str, str | int]) -> bool:
    """Give the cloud, which runs, a public image more. Whether it had none of that name."""
    rest = Rest(layout.ca)
    rest.log_in(layout.auth_url, password_auth("admin", secrets.admin, "admin"))
    return _offer(rest, layout, file, body)


def _guest_image(rest: Rest, layout: Layout) -> None:
    file = guest_image.ensure(lambda line: None)
    _offer(rest, layout, file, guest_image.image_body(file))


def _offer(rest: Rest, layout: Layout, file: Path, body: Mapping[str, str | int]) -> bool:
    base = layout.url("glance", "/v2/images")
    for image in rest.get(f"{base}?name={quote(str(body['name']))}&visibility=public")["images"]:
        if image["status"] == "active":
            return False
        rest.delete(f"{base}/{image['id']}")
    image = rest.post(base, body)
    rest.put(f"{base}/{image['id']}/file", file.read_bytes())
    return True


def image_bytes() -> bytes:
    """Content of the public image: a line of text, again and again; the same everywhere.

    No boot sector: Glance inspects what claims to be a disk and refuses a made-up one.
    """
    line = b"unterbau-tiny: this image boots nothing; it is there to be carried.\n"
    return (line * (_IMAGE_BYTES // len(line) + 1))[:_IMAGE_BYTES]


# ---- marks


def _done(layout: Layout, part: str) -> bool:
    mark = disk.read_json(layout.root / f".{part}.json")
    return mark is not None and mark.get("version") == VERSION


def _mark(layout: Layout, part: str) -> None:
    disk.write_private(layout.root / f".{part}.json", json.dumps({"version": VERSION}))
