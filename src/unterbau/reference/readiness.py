# SPDX-License-Identifier: Apache-2.0
"""Whether every service answers what a census asks of it: as the tenant, one request after the other, twice alike.

The supervisor calls `warm` when a service answers, while others still start, and `demand` before it says that the cloud
is ready. A service that answers its probe has loaded
little yet; the first requests of several clients at once have met half-made rules (see `runtime/neutron_app`). What a
census asks stands in `unterbau.cloud.openstack`; a test compares its requests with `LISTINGS`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from unterbau.errors import ServiceDied, UnterbauError
from unterbau.reference.bootstrap import Say, password_auth
from unterbau.reference.layout import Layout, Secrets
from unterbau.reference.rest import Rest

OWN = "project_id={project}"
LISTINGS: Mapping[str, tuple[str, ...]] = {
    "neutron": (
        *(
            f"/v2.0/{name}?{OWN}"
            for name in (
                "networks", "subnets", "routers", "ports", "floatingips", "address-groups", "security-groups",
                "security-group-rules", "trunks", "qos/policies", "rbac-policies", "subnetpools", "address-scopes",
                "metering/metering-labels",
            )
        ),
        "/v2.0/networks?router:external=True", "/v2.0/extensions?fields=alias", "/v2.0/availability_zones",
        "/v2.0/quotas/{project}/details.json",
    ),
    "nova": (
        "/v2.1/servers/detail", "/v2.1/servers/{servers}/os-volume_attachments", "/v2.1/os-keypairs",
        "/v2.1/os-server-groups", "/v2.1/flavors/detail", "/v2.1/limits", "/v2.1/os-availability-zone",
    ),
    "cinder": (
        "/v3/volumes/detail", "/v3/snapshots/detail", "/v3/backups/detail", "/v3/types", "/v3/types/default",
        "/v3/groups", "/v3/group_snapshots", "/v3/os-volume-transfer", "/v3/os-availability-zone",
        "/v3/os-quota-sets/{project}?usage=True",
    ),
    "glance": (
        "/v2/images?owner={project}&visibility=all&os_hidden=true", "/v2/images?visibility=all",
        "/v2/images?owner={project}&visibility=shared", "/v2/images/{images}/members", "/v2/info/usage",
        "/v2/schemas/image",
    ),
    "barbican": (
        "/v1/containers", "/v1/containers/{containers}/acl", "/v1/orders", "/v1/quotas", "/v1/secrets",
        "/v1/secrets/{secrets}/metadata", "/v1/secrets/{secrets}/acl", "/v1/secret-stores/preferred",
    ),
    "swift": ("/v1/AUTH_{project}?format=json", "/v1/AUTH_{project}/{containers}?format=json", "/info"),
}  # fmt: skip
"""What a census asks of each service, by its name here. `{project}` is the tenant's id, any other name the first entry
of the listing before it; without an entry the path is passed over."""
VERSIONS = {"nova": "compute latest", "cinder": "volume latest"}
TRIES = 20
"""How often a listing is asked for until two answers in a row are alike."""


class Readiness:
    """The answers of one start. Each service is asked by one thread at a time."""

    def __init__(self, layout: Layout, secrets: Secrets) -> None:
        self._layout, self._secrets = layout, secrets
        self._lock = threading.Lock()
        self._entered: tuple[Rest, str] | None = None
        self._may_enter = threading.Event()
        self._warming: list[threading.Thread] = []
        self._alike: set[str] = set()

    def entrance(self) -> None:
        """The tenant's account is in place."""
        self._may_enter.set()

    def warm(self, service: str) -> None:
        """A service answers: ask it for every listing, one after the other, beside what still starts."""
        thread = threading.Thread(target=self._warm, args=(service,), name=f"warm-{service}", daemon=True)
        with self._lock:
            self._warming.append(thread)
        thread.start()

    def _warm(self, service: str) -> None:
        self._may_enter.wait()
        with contextlib.suppress(UnterbauError):  # `demand` asks again, and says it then
            self._each(service)
            with self._lock:
                self._alike.add(service)

    def demand(self, say: Say, *, again: bool) -> None:
        """Every listing of every service twice alike. `again`: what they have answered so far may have changed since.

        Raises ServiceDied if one fails or gives another answer each time, Unreachable if it gives none.
        """
        for thread in self._warming:
            thread.join()
        left = [name for name in LISTINGS if again or name not in self._alike]
        with ThreadPoolExecutor(max_workers=len(LISTINGS)) as pool:
            for done in [pool.submit(self._each, name) for name in left]:
                done.result()
        say("every listing was answered twice alike")

    def _enter(self) -> tuple[Rest, str]:
        """The tenant's client and project."""
        with self._lock:
            if self._entered is None:
                rest, name = Rest(self._layout.ca), self._layout.name
                token = rest.log_in(self._layout.auth_url, password_auth(name, self._secrets.tenant, name))
                self._entered = rest, str(token["project"]["id"])
            return self._entered

    def _each(self, service: str) -> None:
        """Every listing of a service, twice alike."""
        known = {"project": self._enter()[1]}
        version = {"OpenStack_API_Version": VERSIONS[service]} if service in VERSIONS else {}
        for template in LISTINGS[service]:
            try:
                path = template.format(**known)
            except KeyError:  # there is nothing to ask for
                continue
            known |= _first(self._twice_alike(self._layout.url(service, path), version))

    def _twice_alike(self, url: str, headers: Mapping[str, str]) -> bytes:
        before = None
        for _ in range(TRIES):
            answer = self._enter()[0].look(url, **headers)
            if answer[0] >= 500:
                raise ServiceDied(f"GET {url}: HTTP {answer[0]}: {answer[1][:300].decode('utf-8', 'replace')}")
            if answer == before:
                return answer[1]
            before = answer
        raise ServiceDied(f"GET {url}: {TRIES} answers, and no two in a row alike")


def _first(answer: bytes) -> dict[str, str]:
    """The id of the first entry of a listing, under the name of the collection."""
    try:
        told: Any = json.loads(answer or b"null")
    except ValueError:
        return {}
    if isinstance(told, list):  # the containers of an account, or the objects of a container
        return {"containers": quote(told[0]["name"], safe="")} if told and "count" in told[0] else {}
    for name, entries in told.items() if isinstance(told, dict) else ():
        if isinstance(entries, list) and entries and isinstance(entries[0], dict):
            reference = entries[0].get("id") or entries[0].get(f"{name[:-1]}_ref")
            return {name: str(reference).rpartition("/")[2]} if reference else {}
    return {}
