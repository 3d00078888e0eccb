# SPDX-License-Identifier: Apache-2.0
"""Speak TLS with the endpoints of a catalog and note what they do. Facts only: `secure` judges them.

`cli.prove` gives `look` to `collect`. Every connection has a deadline. What this machine's OpenSSL cannot ask is
noted as None, never as refused. No request carries a token.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from unterbau.cloud.survey import Item, Subject
from unterbau.prove.inventory import Certificate, Status, TlsProbe

SECONDS = 5.0
"""Deadline of one connection."""
MOST_CIPHERS = 60
VERSIONS = {
    "TLSv1": (ssl.TLSVersion.TLSv1, ssl.HAS_TLSv1),
    "TLSv1.1": (ssl.TLSVersion.TLSv1_1, ssl.HAS_TLSv1_1),
    "TLSv1.2": (ssl.TLSVersion.TLSv1_2, ssl.HAS_TLSv1_2),
    "TLSv1.3": (ssl.TLSVersion.TLSv1_3, ssl.HAS_TLSv1_3),
}
_OURS = ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE", "UNSUPPORTED_PROTOCOL_VERSION")
"""Errors of our own OpenSSL before a byte was sent."""
_KEY_CURVES = (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)


def look(
    subject: Subject, catalog: tuple[Item, ...], *, trust: str | bool, seconds: float = SECONDS
) -> tuple[TlsProbe, ...]:
    """One probe for each address (host and port) of the catalog and of Keystone, in the order of the catalog."""
    places = _places(subject, catalog)
    with ThreadPoolExecutor(max_workers=min(8, len(places) or 1)) as pool:
        return tuple(pool.map(lambda place: _probe(place, trust, seconds), places))


@dataclass(frozen=True)
class _Place:
    service: str
    interface: str
    url: str

    @property
    def target(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def address(self) -> tuple[str, int]:
        return self.target.hostname or "", self.target.port or (443 if self.target.scheme == "https" else 80)


def _places(subject: Subject, catalog: tuple[Item, ...]) -> list[_Place]:
    found = [_Place("identity", subject.interface, subject.auth_url)]
    found += [_Place(type_, subject.interface, url) for type_, url in subject.endpoints(catalog)]
    first: dict[tuple[str, tuple[str, int]], _Place] = {}
    for place in found:
        if place.address[0]:
            first.setdefault((place.target.scheme, place.address), place)
    return list(first.values())


def _probe(place: _Place, trust: str | bool, seconds: float) -> TlsProbe:
    if place.target.scheme != "https":
        return TlsProbe(service=place.service, interface=place.interface, url=place.url, status=Status.SEEN, plain=True)
    clock = time.monotonic()
    try:
        chain = _chain(place, seconds)
    except OSError as error:
        mute = isinstance(error, TimeoutError)
        return TlsProbe(
            service=place.service, interface=place.interface, url=place.url,
            status=Status.TIMEOUT if mute else Status.ERROR, reason=f"{type(error).__name__}: {error}"[:200],
        )  # fmt: skip
    trusted, trust_error = _trusted(place, trust, seconds)
    protocols = {name: _accepts(place, version, known, seconds) for name, (version, known) in VERSIONS.items()}
    return TlsProbe(
        service=place.service,
        interface=place.interface,
        url=place.url,
        status=Status.SEEN,
        protocols=protocols,
        ciphers=_ciphers(place, protocols, seconds),
        trusted=trusted,
        trust_error=trust_error,
        chain=chain,
        hsts=_hsts(place, seconds),
        seconds=round(time.monotonic() - clock, 3),
    )


def _open_context(version: ssl.TLSVersion | None = None, ciphers: str = "") -> ssl.SSLContext:
    """A context that verifies nothing and takes anything: it only looks, and no secret passes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what we ask about
        if version is not None:
            context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    return context


@contextlib.contextmanager
def _connected(place: _Place, context: ssl.SSLContext, seconds: float) -> Iterator[ssl.SSLSocket]:
    """A TLS connection. Raises OSError (ssl.SSLError is one)."""
    with socket.create_connection(place.address, timeout=seconds) as plain:
        plain.settimeout(seconds)
        with context.wrap_socket(plain, server_hostname=place.address[0]) as secured:
            yield secured


def _chain(place: _Place, seconds: float) -> tuple[Certificate, ...]:
    """The certificates that were presented; before Python 3.13 only the server's own can be read."""
    with _connected(place, _open_context(), seconds) as secured:
        given = getattr(secured, "get_unverified_chain", lambda: [secured.getpeercert(binary_form=True)])()
    return tuple(_certificate(der) for der in given or () if der)


def _certificate(der: bytes) -> Certificate:
    read = x509.load_der_x509_certificate(der)
    names: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound):
        told = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))]
    key = read.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        kind = f"RSA {key.key_size}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        kind = f"EC {key.curve.name}"
    else:
        kind = type(key).__name__.removeprefix("_").removesuffix("PublicKey") if isinstance(key, _KEY_CURVES) else ""
    return Certificate(
        subject=read.subject.rfc4514_string(),
        issuer=read.issuer.rfc4514_string(),
        names=tuple(names),
        not_before=read.not_valid_before_utc,
        not_after=read.not_valid_after_utc,
        sha256=f"sha256:{hashlib.sha256(der).hexdigest()}",
        key=kind,
        signature=str(getattr(read.signature_algorithm_oid, "_name", "")),
    )


def _trusted(place: _Place, trust: str | bool, seconds: float) -> tuple[bool | None, str]:
    """Whether chain and name verify against the store that this cloud is used with."""
    if trust is False:
        return None, "clouds.yaml says not to verify this cloud's certificates"
    context = ssl.create_default_context(cafile=trust if isinstance(trust, str) else certifi.where())
    try:
        with _connected(place, context, seconds):
            return True, ""
    except ssl.SSLCertVerificationError as error:
        return False, error.verify_message
    except OSError as error:
        return None, f"{type(error).__name__}: {error}"[:200]


def _accepts(place: _Place, version: ssl.TLSVersion, known: bool, seconds: float) -> bool | None:
    """Whether the endpoint speaks that version; None if we cannot ask, or nobody answered."""
    if not known:
        return None
    try:
        with _connected(place, _open_context(version), seconds):
            return True
    except ssl.SSLError as error:
        return None if error.reason in _OURS else False
    except ConnectionResetError:
        return False
    except OSError:
        return None


def _ciphers(place: _Place, protocols: dict[str, bool | None], seconds: float) -> tuple[str, ...]:
    """Every cipher of TLS 1.2 and older that is accepted (OpenSSL names), and the one that TLS 1.3 chose."""
    found: list[str] = []
    if protocols.get("TLSv1.3"):
        with contextlib.suppress(OSError), _connected(place, _open_context(ssl.TLSVersion.TLSv1_3), seconds) as secured:
            found.append(str((secured.cipher() or ("",))[0]))
    for name in ("TLSv1.2", "TLSv1.1", "TLSv1"):
        if not protocols.get(name):
            continue
        refused = ""
        for _ in range(MOST_CIPHERS):
            try:
                context = _open_context(VERSIONS[name][0], f"ALL{refused}:@SECLEVEL=0")
                with _connected(place, context, seconds) as secured:
                    chosen = str((secured.cipher() or ("",))[0])
            except OSError:
                break
            found.append(chosen)
            refused += f":!{chosen}"
    return tuple(dict.fromkeys(c for c in found if c))


def _hsts(place: _Place, seconds: float) -> str | None:
    """The header Strict-Transport-Security of `GET /`; None if it is not sent or nobody answered."""
    host = place.target.netloc.rpartition("@")[2]
    ask = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\n\r\n".encode("ascii", "replace")
    data, end = b"", time.monotonic() + seconds
    try:
        with _connected(place, _open_context(), seconds) as secured:
            secured.sendall(ask)
            while b"\r\n\r\n" not in data and len(data) < 65536 and time.monotonic() < end:
                chunk = secured.recv(8192)
                if not chunk:
                    break
                data += chunk
    except OSError:
        return None
    for line in data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "strict-transport-security":
            return value.strip()
    return None
