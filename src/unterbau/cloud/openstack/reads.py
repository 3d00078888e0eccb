# SPDX-License-Identifier: Apache-2.0
"""Single reads of a cloud with provenance, for `prove`: no discovery of a service, no retry, a record for each request.

`wiring` makes it. Endpoints are taken from the catalog as they stand, with the API version added where the
catalog has none. Entering is one record, that of the token; keystoneauth may ask Keystone for its versions before.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from keystoneauth1 import access
from pydantic import JsonValue

from unterbau.cloud.openstack import wire
from unterbau.cloud.openstack.errors import FOREIGN, translate, translated
from unterbau.cloud.openstack.session import Entered, Session, catalog_digest, official_type, services
from unterbau.cloud.survey import Item, Reply, Request, Subject
from unterbau.errors import Broken, CloudError, Elsewhere
from unterbau.places import split, without_user

_ROOTS = {"compute": "/v2.1", "image": "/v2", "network": "/v2.0", "block-storage": "/v3/{project}"}
_VERSION = re.compile(r"/v\d+(\.\d+)?(/|$)")
_TOLD = frozenset({"server", "content-type", "strict-transport-security"})
LARGEST = 64 << 20
"""Bytes of an answer that are read; what is longer is an error, not a memory."""


class Survey:
    """One identity in one cloud, asked for what is offered to it."""

    def __init__(self, session: Session, now: Callable[[], datetime], entering: Future[Entered]) -> None:
        self._session, self._now, self._entering = session, now, entering
        self._numbers = itertools.count(1)
        self._endpoints: dict[str, str] = {}
        """Official service type -> address in our region and interface, versioned; empty before `enter`."""

    @property
    def trust(self) -> str | bool:
        """As `Surveyed.trust`."""
        return self._session.verify

    # --- entering

    def enter(self) -> tuple[Request, Subject, tuple[Item, ...]]:
        """As `Surveyed.enter`. The token's body is a secret: no digest of it is kept."""
        entered = self._entering.result()
        token = entered.token
        subject, catalog = self._subject(token), tuple(services(token))
        for type_, url in reversed([*subject.endpoints(catalog)]):
            service = official_type(type_)
            self._endpoints[service] = self._versioned(service, url.rstrip("/"))
        path = split(self._session.auth_url).path.rstrip("/")
        request = Request(
            id=self._id(), service="identity", method="POST",
            path=f"{path if _VERSION.search(path) else path + '/v3'}/auth/tokens", status=201,
            began=entered.began, seconds=entered.seconds,
        )  # fmt: skip
        return request, subject, catalog

    def has(self, service: str) -> bool:
        """As `Surveyed.has`."""
        return bool(self._endpoints.get(service))

    def _subject(self, token: access.AccessInfo) -> Subject:
        """Whose cloud this is, as the token says."""
        return Subject(
            name=self._session.name,
            auth_url=self._session.auth_url,
            region=self._session.region.get_region_name() or "",
            interface=str(self._session.region.get_interface() or "public").removesuffix("URL"),
            project_id=token.project_id or "",
            user_id=token.user_id or "",
            roles=tuple(sorted(token.role_names or ())),
            catalog_digest=catalog_digest(services(token)),
        )

    def _versioned(self, service: str, url: str) -> str:
        root = _ROOTS.get(service, "").format(project=self._session.project_id)
        return url if not root or _VERSION.search(split(url).path) else url + root

    # --- reading

    def read(self, service: str, path: str, *, seconds: float, microversion: str = "") -> Reply:
        """As `Surveyed.read`."""
        url = self._endpoints.get(service, "") + path
        headers = {"Accept": "application/json"}
        if microversion:
            headers["OpenStack-API-Version"] = f"{service} {microversion}"
        return self._get(service, url, headers, seconds, microversion, authenticated=True)

    def knock(self, url: str, *, headers: dict[str, str], seconds: float) -> Reply:
        """As `Surveyed.knock`."""
        return self._get("s3", url, headers, seconds, "", authenticated=False)

    def _get(
        self, service: str, url: str, headers: dict[str, str], seconds: float, microversion: str, *, authenticated: bool
    ) -> Reply:
        began, clock = self._now(), time.monotonic()
        target = split(url)
        request = Request(
            id=self._id(), service=service, method="GET",
            path=target.path + (f"?{target.query}" if target.query else ""), status=None, began=began, seconds=0.0,
            microversion=microversion,
        )  # fmt: skip
        if not target.netloc:
            return self._failed(
                request, clock, f"{service}: the catalog's address is none: {without_user(url)[:120]!r}"
            )
        what = f"{service}: GET {target.path}"
        try:
            with wire.singly():
                response = self._send(url, headers, seconds, authenticated)
            with translated(what):
                data = wire.piece(response.raw, wire.connection_of(response.raw), LARGEST + 1, decode=True)
                response.close()
        except FOREIGN as error:
            fault = translate(error, what)
            status = fault.status if isinstance(fault, Elsewhere) else None
            return self._failed(request.model_copy(update={"status": status}), clock, fault.what)
        except CloudError as error:
            return self._failed(request, clock, error.what)
        if len(data) > LARGEST:
            return self._failed(request, clock, f"{what}: the answer is longer than {LARGEST} bytes")
        told = {
            "status": response.status_code,
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "bytes": len(data),
            "seconds": round(time.monotonic() - clock, 4),
        }
        shown = {k.lower(): v for k, v in response.headers.items() if k.lower() in _TOLD}
        body, text = _parsed(data)
        return Reply(request=request.model_copy(update=told), body=body, text=text, headers=shown)

    # A redirect is an answer like any other: following it would be a request without a record, with our token.
    def _send(self, url: str, headers: dict[str, str], seconds: float, authenticated: bool) -> Any:
        return self._session.session.request(
            url, "GET", authenticated=authenticated, headers=headers, timeout=(min(seconds, 10.0), seconds),
            raise_exc=False, log=False, stream=True, redirect=0, connect_retries=0, status_code_retries=0,
        )  # fmt: skip

    def _failed(self, request: Request, clock: float, error: str) -> Reply:
        update = {"seconds": round(time.monotonic() - clock, 4), "error": error}
        return Reply(request=request.model_copy(update=update))

    def _id(self) -> str:
        return f"r{next(self._numbers)}"


def _parsed(data: bytes) -> tuple[JsonValue, str]:
    """The body as JSON; else its first characters as text."""
    try:
        body: JsonValue = wire.decoded(data, "")
    except Broken:
        return None, data[:2000].decode("utf-8", "replace")
    return body, ""
