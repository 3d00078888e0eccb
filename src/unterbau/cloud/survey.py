# SPDX-License-Identifier: Apache-2.0
"""A cloud as somebody sees it who only looks: its identity, and single reads with provenance.

`prove.collect` asks through it, `cloud.openstack.reads` is the real one. A read never raises for what the cloud answers, only says it: a
conformance run must go on when one service is missing, forbidden or mute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field, JsonValue

from unterbau.verdict import Model, later

Item = dict[str, JsonValue]
"""One object as the API returned it."""


class Request(Model):
    """One request to the cloud: what was asked, what came back, when and how long."""

    id: str
    """Unique in the inventory, e.g. `r2`; sections refer to it."""
    service: str
    method: str
    path: str
    """Path and query, without host and without secrets."""
    status: int | None
    """HTTP status; None: no answer."""
    digest: str | None = None
    """`sha256:..` over the bytes of the answer's body; None: no answer, or a body that holds a secret."""
    bytes: int = 0
    microversion: str = ""
    began: datetime
    seconds: float
    error: str = ""


class Subject(Model):
    """Which cloud this is about: what binds a report to it."""

    kind: Literal["iaas", "kaas"] = "iaas"
    name: str
    """The name of the cloud in clouds.yaml: a label, proves nothing."""
    auth_url: str
    region: str = ""
    interface: str = later("public")
    """Which of a service's addresses is judged: `public`, `internal` or `admin`, as clouds.yaml says."""
    project_id: str = ""
    user_id: str = ""
    roles: tuple[str, ...] = ()
    catalog_digest: str = ""
    certificates: dict[str, str] = Field(default_factory=dict)
    """`host:port` -> `sha256:..` of the certificate that was presented."""

    def endpoints(self, catalog: Iterable[Item]) -> Iterator[tuple[str, str]]:
        """(service type as the catalog spells it, URL) of the endpoints that are judged.

        The one rule for collectors and judges: those of our region and interface; an endpoint that names no region
        belongs to all, and without a region of ours every one counts.
        """
        for service in catalog:
            listed = service.get("endpoints")
            for endpoint in listed if isinstance(listed, list) else ():
                if isinstance(endpoint, dict) and self._serves(endpoint):
                    yield str(service.get("type") or ""), str(endpoint.get("url") or "")

    def _serves(self, endpoint: Item) -> bool:
        region = endpoint.get("region") or endpoint.get("region_id")
        ours = not region or not self.region or region == self.region
        told = str(endpoint.get("interface") or "public").removesuffix("URL")  # `publicURL`: the spelling of API v2
        return ours and told == self.interface and bool(endpoint.get("url"))


class Reply(Model):
    """One request and its answer. `body` None: none, or not JSON; `text` the first 2,000 characters of such."""

    request: Request
    body: JsonValue = None
    text: str = ""
    headers: dict[str, str] = {}
    """Names in lower case; only those that no secret stands in."""


class Surveyed(Protocol):
    """A cloud that can be asked for what it offers. Safe from several threads."""

    def enter(self) -> tuple[Request, Subject, tuple[Item, ...]]:
        """Authenticate: the request, whose cloud it is, and the service catalog.

        Raises AuthFailed, Unreachable, ConfigError: without a token there is nothing to judge.
        """

    def has(self, service: str) -> bool:
        """Whether the catalog has an endpoint of this service type in our region."""

    def read(self, service: str, path: str, *, seconds: float, microversion: str = "") -> Reply:
        """GET of a path (`/...`) below the service's versioned endpoint."""

    def knock(self, url: str, *, headers: dict[str, str], seconds: float) -> Reply:
        """GET of a URL without our token."""

    @property
    def trust(self) -> str | bool:
        """The CA bundle that verifies this cloud: a path, True (the usual ones), False (not verified)."""
