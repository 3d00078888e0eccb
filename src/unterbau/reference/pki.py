# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of one cloud and the server certificate that all its services show.

Made by the launcher, renewed by it when little time is left. The authority's key is thrown away after each
issue: a renewal makes a new authority, since clients read `ca.pem` anew with every command.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from unterbau.reference import disk

LIFETIME = timedelta(days=730)
RENEW_BEFORE = timedelta(days=30)
_NAMES = ("127.0.0.1", "::1", "localhost")


def ensure(tls: Path, cloud: str, now: datetime) -> bool:
    """Have `ca.pem`, `server.pem` and `server.key` in `tls`, good for 30 days and more; True if made anew."""
    if _good(tls, now):
        return False
    disk.private_directory(tls)
    authority = trustme.CA(organization_name="Unterbau", organization_unit_name=f"cloud {cloud}")
    server = authority.issue_cert(*_NAMES, common_name="127.0.0.1", not_after=now + LIFETIME)
    chain = b"".join(blob.bytes() for blob in server.cert_chain_pems)
    disk.write_private(tls / "server.key", server.private_key_pem.bytes().decode())
    disk.write_private(tls / "ca.pem", authority.cert_pem.bytes().decode())
    disk.write_private(tls / "server.pem", chain.decode())
    return True


def _good(tls: Path, now: datetime) -> bool:
    """Certificates are there, of one authority, and will last; a half-written set is not good."""
    try:
        server = x509.load_pem_x509_certificate((tls / "server.pem").read_bytes())
        authority = x509.load_pem_x509_certificate((tls / "ca.pem").read_bytes())
        server.verify_directly_issued_by(authority)
        key = (tls / "server.key").read_bytes()
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    lasts = server.not_valid_after_utc.astimezone(UTC) - now
    return bool(key) and lasts > RENEW_BEFORE
