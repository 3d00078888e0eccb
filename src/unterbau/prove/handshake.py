# SPDX-License-Identifier: Apache-2.0
"""Speak TLS with the endpoints of a catalog and note what they do. Facts only: `secure` judges them.

`cli.prove` gives `look` to `collect`, which runs it beside the reads of the API. All questions to all addresses are asked at
the same time (at most `MOST_AT_ONCE`), one look an address: a look takes about as long as its slowest question and no longer for
more addresses. Every connection has a deadline. What this machine's OpenSSL cannot ask, or nobody answers, is noted as
None, never as refused. No request carries a token.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import struct
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from unterbau.cloud.survey import Item, Subject
from unterbau.prove.inventory import Certificate, Status, TlsProbe

SECONDS = 5.0
"""Deadline of one connection."""
MOST_AT_ONCE = 160
HANDS = 8
"""How many ask for ciphers of one version at the same time, each for its share of them."""
VERSIONS = {
    "TLSv1": (ssl.TLSVersion.TLSv1, ssl.HAS_TLSv1),
    "TLSv1.1": (ssl.TLSVersion.TLSv1_1, ssl.HAS_TLSv1_1),
    "TLSv1.2": (ssl.TLSVersion.TLSv1_2, ssl.HAS_TLSv1_2),
    "TLSv1.3": (ssl.TLSVersion.TLSv1_3, ssl.HAS_TLSv1_3),
}
_OURS = ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE", "UNSUPPORTED_PROTOCOL_VERSION")
"""Errors of our own OpenSSL before a byte was sent."""
_HANDSHAKE, _SERVER_HELLO = 22, 2
"""Kind of a record, and of the message in it."""
_SESSION = 4 + 2 + 32
"""Where the length of the session id stands in a hello: after header, version and random."""
_KEY_CURVES = (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)


def look(
    subject: Subject, catalog: tuple[Item, ...], *, trust: str | bool, seconds: float = SECONDS
) -> tuple[TlsProbe, ...]:
    """One probe for each address (host and port) of the catalog and of Keystone, in the order of the catalog."""
    places = _places(subject, catalog)
    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as pool:
        asked = [_Asked(place, trust, seconds, pool) if place.target.scheme == "https" else place for place in places]
        return tuple(one.probe() for one in asked)


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

    def probe(self) -> TlsProbe:
        """Of an address without TLS there is nothing to ask."""
        return TlsProbe(service=self.service, interface=self.interface, url=self.url, status=Status.SEEN, plain=True)

    def unseen(self, status: Status, reason: str) -> TlsProbe:
        """Nobody answered, or it is no TLS."""
        return TlsProbe(service=self.service, interface=self.interface, url=self.url, status=status, reason=reason)


def _places(subject: Subject, catalog: tuple[Item, ...]) -> list[_Place]:
    found = [_Place("identity", subject.interface, subject.auth_url)]
    found += [_Place(type_, subject.interface, url) for type_, url in subject.endpoints(catalog)]
    first: dict[tuple[str, tuple[str, int]], _Place] = {}
    for place in found:
        if place.address[0]:
            first.setdefault((place.target.scheme, place.address), place)
    return list(first.values())


class _Asked:
    """One address, of which everything is asked at once."""

    def __init__(self, place: _Place, trust: str | bool, seconds: float, pool: Executor) -> None:
        self.place, self.clock, self.pool = place, time.monotonic(), pool
        self.opened = pool.submit(_open, place, seconds)
        self.trusted = pool.submit(_trusted, place, trust, seconds)
        self.accepted = {n: pool.submit(_accepts, place, v, known, seconds) for n, (v, known) in VERSIONS.items()}
        self.ciphers = {name: _ciphers(place, VERSIONS[name][0], seconds, pool) for name in ("TLSv1.2",)}

    def probe(self) -> TlsProbe:
        """What came back."""
        place = self.place
        try:
            chain, hsts = self.opened.result()
        except OSError as error:
            mute = isinstance(error, TimeoutError)
            return place.unseen(Status.TIMEOUT if mute else Status.ERROR, f"{type(error).__name__}: {error}"[:200])
        accepted = {name: future.result() for name, future in self.accepted.items()}
        for name in ("TLSv1.1", "TLSv1"):  # asked where it is spoken only: that is rare
            if accepted[name].spoken:
                self.ciphers[name] = _ciphers(place, VERSIONS[name][0], SECONDS, self.pool)
        found = [accepted["TLSv1.3"].cipher] if accepted["TLSv1.3"].spoken else []
        unasked = ""
        for share in (share.result() for shares in self.ciphers.values() for share in shares):
            found += share.found
            unasked = unasked or share.unasked
        trusted, trust_error = self.trusted.result()
        return TlsProbe(
            service=place.service, interface=place.interface, url=place.url, status=Status.SEEN,
            protocols={name: one.spoken for name, one in accepted.items()},
            ciphers=tuple(dict.fromkeys(c for c in found if c)), ciphers_unasked=unasked, trusted=trusted,
            trust_error=trust_error, chain=chain, hsts=hsts, seconds=round(time.monotonic() - self.clock, 3),
        )  # fmt: skip


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


def _open(place: _Place, seconds: float) -> tuple[tuple[Certificate, ...], str | None]:
    """The certificates that were presented, and HSTS, by one connection.

    Before Python 3.13 only the server's own certificate can be read.
    """
    with _connected(place, _open_context(), seconds) as secured:
        given = getattr(secured, "get_unverified_chain", lambda: [secured.getpeercert(binary_form=True)])()
        hsts = _hsts(place, secured, seconds)
    return tuple(_certificate(der) for der in given or () if der), hsts


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


@dataclass(frozen=True)
class _Accepted:
    """Whether a version is spoken (None: this machine cannot ask, or nobody answered), and with which cipher."""

    spoken: bool | None
    cipher: str = ""


def _accepts(place: _Place, version: ssl.TLSVersion, known: bool, seconds: float) -> _Accepted:
    if not known:
        return _Accepted(None)
    try:
        with _connected(place, _open_context(version), seconds) as secured:
            return _Accepted(True, str((secured.cipher() or ("",))[0]))
    except ssl.SSLError as error:
        return _Accepted(None if error.reason in _OURS else False)
    except ConnectionResetError:
        return _Accepted(False)
    except OSError:
        return _Accepted(None)


@dataclass(frozen=True)
class _Share:
    """The ciphers of one share that are accepted; `unasked`: why not all of them could be asked."""

    found: tuple[str, ...]
    unasked: str = ""


def _ciphers(place: _Place, version: ssl.TLSVersion, seconds: float, pool: Executor) -> list[Future[_Share]]:
    """Every cipher of a version before TLS 1.3 that is accepted (OpenSSL names), asked by `HANDS` at once."""
    offered = {c["id"] & 0xFFFF: c["name"] for c in _open_context().get_ciphers() if c["protocol"] != "TLSv1.3"}
    names = list(offered.values())
    shares = [names[n::HANDS] for n in range(HANDS)]  # neighbours are alike: so each hand finds few
    return [pool.submit(_share, place, version, share, offered, seconds) for share in shares if share]


def _share(
    place: _Place, version: ssl.TLSVersion, names: list[str], offered: Mapping[int, str], seconds: float
) -> _Share:
    """What the server chooses of these, again and again without what it chose, until it refuses."""
    found: list[str] = []
    left, tried_again = list(names), False
    while left:
        try:
            chosen = offered.get(_chosen(place, version, left, seconds), "")
        except OSError as error:
            if tried_again:
                return _Share(tuple(found), f"{type(error).__name__}: {error}"[:200])
            tried_again = True
            continue
        if chosen not in left:
            break
        found.append(chosen)
        left.remove(chosen)
    return _Share(tuple(found))


def _chosen(place: _Place, version: ssl.TLSVersion, names: list[str], seconds: float) -> int:
    """The number of the cipher in the server's hello (RFC 5246, 7.4.1.3); -1 if it refuses. Raises OSError if it is mute.

    The handshake goes no further: one way to the server suffices to know what it would take.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context = _open_context(version, ":".join(names) + ":@SECLEVEL=0")
        context.wrap_bio(incoming, outgoing, server_hostname=place.address[0]).do_handshake()
    except ssl.SSLWantReadError:
        pass  # our hello is written
    except ssl.SSLError:
        return -1  # none of these belongs to that version
    try:
        with socket.create_connection(place.address, timeout=seconds) as plain:
            plain.settimeout(seconds)
            plain.sendall(outgoing.read())
            kind, _, length = struct.unpack(">BHH", _exactly(plain, 5))
            if kind != _HANDSHAKE:
                return -1  # an alert
            hello = _exactly(plain, length)
    except (ConnectionResetError, BrokenPipeError):
        return -1
    session = hello[_SESSION] if len(hello) > _SESSION and hello[0] == _SERVER_HELLO else 0
    number = hello[_SESSION + 1 + session :][:2]
    return int.from_bytes(number, "big") if len(number) == 2 and hello[0] == _SERVER_HELLO else -1


def _exactly(plain: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = plain.recv(count - len(data))
        if not chunk:
            raise ConnectionResetError("closed before its hello")
        data += chunk
    return data


def _hsts(place: _Place, secured: ssl.SSLSocket, seconds: float) -> str | None:
    """The header Strict-Transport-Security of `GET /`; None if it is not sent or nobody answered."""
    host = place.target.netloc.rpartition("@")[2]
    ask = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\n\r\n".encode("ascii", "replace")
    data, end = b"", time.monotonic() + seconds
    try:
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
