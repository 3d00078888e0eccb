# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of one cloud and the server certificate that all its services show.

Made by the launcher, renewed by it when little time is left. The authority's key is thrown away after each
issue: a renewal makes a new authority, since clients read `ca.pem` anew with every command.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from unterbau.reference import disk

LIFETIME = timedelta(days=730)
RENEW_BEFORE = timedelta(days=30)
_ADDRESSES, _HOST = ("127.0.0.1", "::1"), "localhost"
_AGO = timedelta(hours=1)
"""Certificates are good from a while ago, for clocks that go behind."""


def ensure(tls: Path, cloud: str, now: datetime) -> bool:
    """Have `ca.pem`, `server.pem` and `server.key` in `tls`, good for 30 days and more; True if made anew."""
    if _good(tls, now):
        return False
    disk.private_directory(tls)
    signing, serving = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _authority(signing, cloud, now)
    server = _server(serving.public_key(), signing, authority, now)
    plain = serving.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    disk.write_private(tls / "server.key", plain.decode())
    disk.write_private(tls / "ca.pem", authority.public_bytes(Encoding.PEM).decode())
    disk.write_private(tls / "server.pem", server.public_bytes(Encoding.PEM).decode())
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


def _authority(key: ec.EllipticCurvePrivateKey, cloud: str, now: datetime) -> x509.Certificate:
    """A certificate that signs certificates of servers and nothing else (RFC 5280, 4.2.1.3 and 4.2.1.9)."""
    usage = _usage(key_cert_sign=True, crl_sign=True)
    name = x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Unterbau"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"cloud {cloud}"),
    ])  # fmt: skip
    known = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    made = _begun(name, name, key.public_key(), now).add_extension(x509.BasicConstraints(True, 0), critical=True)
    return made.add_extension(usage, critical=True).add_extension(known, critical=False).sign(key, hashes.SHA256())


def _server(
    public: ec.EllipticCurvePublicKey, signing: ec.EllipticCurvePrivateKey, authority: x509.Certificate, now: datetime
) -> x509.Certificate:
    """The certificate of all services, for the loopback addresses."""
    names = [*(x509.IPAddress(ip_address(a)) for a in _ADDRESSES), x509.DNSName(_HOST)]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ADDRESSES[0])])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    return (
        _begun(subject, authority.subject, public, now)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(issuer, critical=False)
        .sign(signing, hashes.SHA256())
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    begun = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    return begun.serial_number(x509.random_serial_number()).not_valid_before(now - _AGO).not_valid_after(now + LIFETIME)


def _usage(**granted: bool) -> x509.KeyUsage:
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: granted.get(name, False) for name in every})
