# SPDX-License-Identifier: Apache-2.0
"""Which cloud, project and user this is: token contents, catalog digest, TLS certificate, versions."""

from __future__ import annotations

import hashlib
import socket
import ssl
from urllib.parse import urlsplit

import certifi

from unterbau.cloud.openstack.errors import MALFORMED, translated
from unterbau.cloud.openstack.http import parallel
from unterbau.cloud.openstack.session import Session, catalog_digest, services
from unterbau.cloud.waiting import heeded
from unterbau.errors import CloudError
from unterbau.tenant.kinds import CloudIdentity

VERSIONED = ("identity", "compute", "block-storage", "image", "network", "key-manager")


def identity(session: Session) -> CloudIdentity:
    """The identity. Raises AuthFailed, Unreachable, ConfigError."""
    project_id = session.project_id
    token = session.access()
    catalog = session.catalog()
    versioned = [s for s in VERSIONED if s in catalog or s == "identity"]
    told = parallel(lambda service: _version(session, service), versioned)
    return CloudIdentity(
        name=session.name,
        auth_url=session.auth_url,
        region=session.region.get_region_name() or "",
        project_id=project_id,
        project_name=token.project_name or "",
        user_id=token.user_id or "",
        roles=tuple(sorted(token.role_names or ())),
        catalog_digest=catalog_digest(services(token)),
        certificate_sha256=certificate(session.auth_url, session.verify),
        services={s: v for s, v in zip(versioned, told, strict=True) if v},
    )


def _version(session: Session, service: str) -> str:
    """The maximal microversion, else the API version; empty if the service does not tell."""
    try:
        with translated(f"{service}: discovery", strange=MALFORMED):
            data = session.api(service).adapter.get_endpoint_data()
    except CloudError:
        return ""
    if data is None:
        return ""
    version = data.max_microversion or data.api_version
    return ".".join(str(n) for n in version) if version else ""


def certificate(auth_url: str, verify: bool | str) -> str:
    """SHA-256 of the certificate that the identity endpoint presents on a connection of our own.

    Verified as `verify` says; empty for plain http. Raises Unreachable.
    """
    url = urlsplit(auth_url)
    if url.scheme != "https" or not url.hostname:
        return ""
    context = _context(verify)
    with (
        translated(f"identity: {url.hostname}:{url.port or 443}"),
        socket.create_connection((url.hostname, url.port or 443), timeout=heeded().bounds.connect) as plain,
        context.wrap_socket(plain, server_hostname=url.hostname) as secured,
    ):
        return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()


def _context(verify: bool | str) -> ssl.SSLContext:
    """A context that verifies as clouds.yaml says: False not at all, a path this CA, True the usual CAs."""
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return ssl.create_default_context(cafile=verify if isinstance(verify, str) else certifi.where())
