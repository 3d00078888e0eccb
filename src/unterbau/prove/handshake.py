# SPDX-License-Identifier: Apache-2.0
"""Speak TLS with the endpoints of a catalog and note what they do. Facts only: `secure` judges them.

`cli.prove` gives `look` to `collect`, which runs it beside the reads of the API. One look an address, all of them at the same
time: one whole connection tells trust, certificates, HSTS and TLS 1.3, and beside it hellos alone ask for the older
versions and their ciphers, which takes no longer than a read. Every connection has a deadline. What this machine's OpenSSL
cannot ask, or nobody answers, is noted as None, never as refused. No request carries a token.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import selectors
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from unterbau.cloud.survey import Item, Subject
from unterbau.prove.inventory import Certificate, Status, TlsProbe
from unterbau.verdict import Reason, Words

SECONDS = 5.0
"""Deadline of one connection."""
MOST_AT_ONCE = 64
"""Threads; an address wants two."""
USUAL = re.compile(r"(?:ECDHE-ECDSA|ECDHE-RSA|DHE-RSA)-(AES256-GCM|AES128-GCM|CHACHA20)-.*", re.ASCII)
"""Most servers take ciphers of these names and no others. A certificate takes one of each kind, or two with DHE."""
HANDS = 4
"""How many hellos ask an address for the other ciphers of one version at the same time, each for its share of them."""
PARTS = 4
"""Into so many hellos at most goes the rest of a share of which one was taken, two ciphers or more in each."""
OLD = {
    "TLSv1": (ssl.TLSVersion.TLSv1, ssl.HAS_TLSv1),
    "TLSv1.1": (ssl.TLSVersion.TLSv1_1, ssl.HAS_TLSv1_1),
    "TLSv1.2": (ssl.TLSVersion.TLSv1_2, ssl.HAS_TLSv1_2),
}
_HANDSHAKE, _SERVER_HELLO = 22, 2
"""Kind of a record, and of the message in it."""
_RECORD = 5
_VERSION, _RANDOM, _SESSION = _RECORD + 4, _RECORD + 6, _RECORD + 38
"""Where version, random and the length of the session id stand in the record of a hello, ours or the server's."""
_Strict = Callable[[], ssl.SSLContext] | None
"""The context that verifies, made once a look; None: this cloud's certificates are not verified."""
_KEY_CURVES = (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)


def look(
    subject: Subject, catalog: tuple[Item, ...], *, trust: str | bool, seconds: float = SECONDS
) -> tuple[TlsProbe, ...]:
    """One probe for each address (host and port) of the catalog and of Keystone, in the order of the catalog."""
    strict = cache(lambda: _strict_context(trust)) if trust is not False else None
    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as pool:
        asked = [_Asked(p, strict, seconds, pool) if p.is_tls else p for p in _places(subject, catalog)]
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

    @property
    def is_tls(self) -> bool:
        """Whether it can be asked about TLS."""
        return not self.fault and self.target.scheme == "https"

    @property
    def fault(self) -> Words:
        """Why it is no address; else empty."""
        try:
            return "" if self.address[0] else Reason.of("prove.tls.no-host")
        except ValueError as error:
            return str(error)

    def probe(self) -> TlsProbe:
        """Of an address without TLS there is nothing to ask."""
        if self.fault:
            return self.unseen(Status.ERROR, Reason.of("prove.tls.no-address", why=self.fault))
        return TlsProbe(service=self.service, interface=self.interface, url=self.url, status=Status.SEEN, plain=True)

    def unseen(self, status: Status, reason: Words) -> TlsProbe:
        """Nobody answered, or it is no TLS."""
        return TlsProbe(service=self.service, interface=self.interface, url=self.url, status=status, reason=reason)


def _places(subject: Subject, catalog: tuple[Item, ...]) -> list[_Place]:
    found = [_Place("identity", subject.interface, subject.auth_url)]
    found += [_Place(type_, subject.interface, url) for type_, url in subject.endpoints(catalog)]
    first: dict[tuple[object, ...], _Place] = {}
    for place in found:
        first.setdefault((place.url,) if place.fault else (place.target.scheme, place.address), place)
    return list(first.values())


class _Asked:
    """One address, of which everything is asked at once."""

    def __init__(self, place: _Place, strict: _Strict, seconds: float, pool: Executor) -> None:
        self.place, self.clock = place, time.monotonic()
        self.opened = pool.submit(_open, place, strict, seconds)
        self.older = pool.submit(lambda: _Hellos(place, seconds).ask())

    def probe(self) -> TlsProbe:
        """What came back."""
        place = self.place
        try:
            opened = self.opened.result()
            older = self.older.result()
        except (OSError, ValueError) as error:  # the second one of a host that is no name
            mute = isinstance(error, TimeoutError)
            return place.unseen(Status.TIMEOUT if mute else Status.ERROR, f"{type(error).__name__}: {error}"[:200])
        found = [opened.cipher] if opened.newest else []
        found += [cipher for name in reversed(OLD) if name in older for cipher in older[name].ciphers]
        protocols = {name: older[name].spoken if name in older else None for name in OLD}
        return TlsProbe(
            service=place.service, interface=place.interface, url=place.url, status=Status.SEEN,
            protocols={**protocols, "TLSv1.3": opened.newest if ssl.HAS_TLSv1_3 else None},
            ciphers=tuple(dict.fromkeys(found)), ciphers_unasked=next((one.unasked for one in older.values() if one.unasked), ""),
            trusted=opened.trusted, trust_error=opened.trust_error, chain=opened.chain, hsts=opened.hsts,
            seconds=round(time.monotonic() - self.clock, 3),
        )  # fmt: skip


# --- the whole connection


@cache
def _open_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A context that verifies nothing and takes anything: it only looks, and no secret passes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what we ask about
        if version is not None:
            context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _strict_context(trust: str | bool) -> ssl.SSLContext:
    """A context that verifies chain and name against the store that this cloud is used with."""
    return ssl.create_default_context(cafile=trust if isinstance(trust, str) else certifi.where())


@contextlib.contextmanager
def _connected(place: _Place, context: ssl.SSLContext, seconds: float) -> Iterator[ssl.SSLSocket]:
    """A TLS connection. Raises OSError (ssl.SSLError is one)."""
    with socket.create_connection(place.address, timeout=seconds) as plain:
        plain.settimeout(seconds)
        with context.wrap_socket(plain, server_hostname=place.address[0]) as secured:
            yield secured


@dataclass(frozen=True)
class _Opened:
    """What one connection told."""

    chain: tuple[Certificate, ...]
    """Before Python 3.13 the server's own certificate only."""
    hsts: str | None
    newest: bool
    """Whether it was TLS 1.3."""
    cipher: str
    trusted: bool | None
    trust_error: Words


def _open(place: _Place, strict: _Strict, seconds: float) -> _Opened:
    """One connection, which verifies if the cloud is used so; another one that does not if that fails. Raises OSError."""
    trusted: bool | None = None
    why: Words = Reason.of("prove.tls.unverified")
    if strict is not None:
        try:
            return _told(place, strict(), seconds, True, "")
        except ssl.SSLCertVerificationError as error:
            trusted, why = False, error.verify_message
        except TimeoutError:
            raise
        except OSError as error:
            why = f"{type(error).__name__}: {error}"[:200]
    return _told(place, _open_context(), seconds, trusted, why)


def _told(place: _Place, context: ssl.SSLContext, seconds: float, trusted: bool | None, why: Words) -> _Opened:
    with _connected(place, context, seconds) as secured:
        given = getattr(secured, "get_unverified_chain", lambda: [secured.getpeercert(binary_form=True)])()
        return _Opened(
            chain=tuple(_certificate(der) for der in given or () if der), hsts=_hsts(place, secured, seconds),
            newest=secured.version() == "TLSv1.3", cipher=str((secured.cipher() or ("",))[0]), trusted=trusted,
            trust_error=why,
        )  # fmt: skip


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


# --- hellos alone


@dataclass(frozen=True)
class _Older:
    """What hellos of a version before TLS 1.3 were answered with."""

    spoken: bool | None
    """None: nobody answered."""
    ciphers: tuple[str, ...] = ()
    """OpenSSL names, of those that this machine can ask for."""
    unasked: str = ""
    """Why not all could be asked for."""


@dataclass
class _Question:
    """One hello under way: what of `left` the server takes."""

    version: str
    left: list[int]
    alone: bool
    """Whether only the version is asked for."""
    tries: int = 0
    address: int = 0
    due: float = 0.0
    heard: bytearray = field(default_factory=bytearray)


class _Hellos:
    """All hellos to one address, side by side in one thread.

    A server tells by its hello (RFC 5246, 7.4.1.3) which version and cipher it would take, and the handshake goes no
    further: one way there and back is enough. Without what it took the rest of that share is asked for in parts, until it refuses.
    """

    def __init__(self, place: _Place, seconds: float) -> None:
        self._place, self._seconds = place, seconds
        self._template = {
            name: hello for name, (version, known) in OLD.items() if known and (hello := _hello(place, version))
        }
        self._taken: dict[str, list[int]] = {name: [] for name in self._template}
        self._spoken: dict[str, bool | None] = dict.fromkeys(self._template, False)
        self._unasked: dict[str, str] = {}
        self._under_way: dict[socket.socket, _Question] = {}
        self._addresses: list[tuple[Any, ...]] = []
        self._reached = 0
        self._select = selectors.DefaultSelector()

    def ask(self) -> dict[str, _Older]:
        """What is spoken of each version that this machine can ask for. Raises OSError if the name is not known."""
        host, port = self._place.address
        self._addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with self._select:
            for name in self._template:
                if name == "TLSv1.2":
                    self._share(name)
                else:  # its ciphers are asked for where it is spoken only: that is rare
                    self._send(_Question(name, _ciphers(self._template[name]), alone=True))
            try:
                while self._under_way:
                    self._wait()
            finally:
                for plain in self._under_way:
                    plain.close()
        names = _names()
        return {
            name: _Older(spoken, tuple(names[n] for n in self._taken[name]), self._unasked.get(name, ""))
            for name, spoken in self._spoken.items()
        }

    def _share(self, name: str) -> None:
        """Ask for all ciphers of a version: each usual kind by itself, so that one more round ends it.

        Neighbours are alike: so each hand takes few of them.
        """
        shares: dict[str, list[int]] = {}
        others: list[int] = []
        for number in _ciphers(self._template[name]):
            usual = USUAL.fullmatch(_names()[number])
            (others if usual is None else shares.setdefault(usual[1], [])).append(number)
        for share in (*shares.values(), *(others[hand::HANDS] for hand in range(min(HANDS, len(others))))):
            self._send(_Question(name, share, alone=False))

    def _send(self, question: _Question) -> None:
        """Begin the connection of a question, anew or at the next address of the host."""
        question.address = max(question.address, self._reached)
        family, kind, protocol, _, address = self._addresses[question.address]
        plain = socket.socket(family, kind, protocol)
        plain.setblocking(False)
        plain.connect_ex(address)  # what it says stands in SO_ERROR, too
        question.due, question.heard = time.monotonic() + self._seconds, bytearray()
        self._under_way[plain] = question
        self._select.register(plain, selectors.EVENT_WRITE)

    def _wait(self) -> None:
        """What happens next at any of the connections."""
        first = min(question.due for question in self._under_way.values())
        for key, events in self._select.select(max(0.0, first - time.monotonic())):
            plain: Any = key.fileobj
            question = self._under_way[plain]
            try:
                if events & selectors.EVENT_WRITE:
                    self._connected(plain, question)
                else:
                    self._heard(plain, question)
            except (ConnectionResetError, BrokenPipeError):
                self._close(plain)
                self._answered(question, "", -1)
            except OSError as error:
                self._close(plain)
                self._failed(question, error)
        now = time.monotonic()
        for plain, question in [(p, q) for p, q in self._under_way.items() if q.due <= now]:
            self._close(plain)
            self._failed(question, TimeoutError("timed out"))

    def _close(self, plain: socket.socket) -> None:
        self._select.unregister(plain)
        del self._under_way[plain]
        plain.close()

    def _connected(self, plain: socket.socket, question: _Question) -> None:
        code = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._reached = question.address
        plain.sendall(_asking(self._template[question.version], question.left))
        self._select.modify(plain, selectors.EVENT_READ)

    def _heard(self, plain: socket.socket, question: _Question) -> None:
        chunk = plain.recv(16384)
        if not chunk:
            raise ConnectionResetError("closed before its hello")
        question.heard += chunk
        heard = question.heard
        if len(heard) >= _RECORD and len(heard) >= _RECORD + int.from_bytes(heard[3:5], "big"):
            self._close(plain)
            self._answered(question, *_chosen(bytes(heard)))

    def _answered(self, question: _Question, version: str, number: int) -> None:
        """The server takes that cipher in that version; -1: it refuses."""
        name = question.version
        if number not in question.left or version != name:
            return
        self._spoken[name] = True
        if question.alone:
            self._share(name)
            return
        self._taken[name].append(number)
        left = [other for other in question.left if other != number]
        parts = min(PARTS, (len(left) + 1) // 2)
        for part in range(parts):
            self._send(_Question(name, left[part::parts], alone=False))

    def _failed(self, question: _Question, error: OSError) -> None:
        """Nobody answered: try the host's next address, then once more."""
        if question.address + 1 < len(self._addresses) and question.address >= self._reached and not question.tries:
            question.address += 1
            self._send(question)
        elif not question.tries:
            question.tries = 1
            self._send(question)
        else:
            name = question.version
            self._spoken[name] = self._spoken[name] or None
            if not question.alone:
                self._unasked.setdefault(name, f"{type(error).__name__}: {error}"[:200])


@cache
def _names() -> Mapping[int, str]:
    """The ciphers before TLS 1.3 that this machine's OpenSSL knows: number -> name."""
    return {c["id"] & 0xFFFF: c["name"] for c in _open_context().get_ciphers() if c["protocol"] != "TLSv1.3"}


def _hello(place: _Place, version: ssl.TLSVersion) -> bytes:
    """The hello of this machine's OpenSSL for that version, with all ciphers that it can ask for; empty if it has none."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        _open_context(version).wrap_bio(incoming, outgoing, server_hostname=place.address[0]).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    except ssl.SSLError:  # a library that was built, or set up for this machine, without that version
        return b""
    return b""


def _list(hello: bytes) -> tuple[int, int]:
    """Where the list of ciphers begins and ends in one of our hellos."""
    begin = _SESSION + 1 + hello[_SESSION] + 2
    return begin, begin + int.from_bytes(hello[begin - 2 : begin], "big")


def _ciphers(hello: bytes) -> list[int]:
    """The numbers in one of our hellos that stand for ciphers."""
    begin, end = _list(hello)
    numbers = [int.from_bytes(hello[at : at + 2], "big") for at in range(begin, end, 2)]
    return [number for number in numbers if number in _names()]


def _asking(hello: bytes, ciphers: Sequence[int]) -> bytes:
    """That hello with these ciphers only, and a random of its own. What is no cipher in the list stays (RFC 5746, 3.3)."""
    begin, end = _list(hello)
    listed = [hello[at : at + 2] for at in range(begin, end, 2)]
    kept = [n.to_bytes(2, "big") for n in ciphers] + [n for n in listed if int.from_bytes(n, "big") not in _names()]
    told = b"".join(kept)
    body = (
        hello[_VERSION:_RANDOM]
        + os.urandom(32)
        + hello[_SESSION : begin - 2]
        + len(told).to_bytes(2, "big")
        + told
        + hello[end:]
    )
    message = hello[_RECORD : _RECORD + 1] + len(body).to_bytes(3, "big") + body
    return hello[:3] + len(message).to_bytes(2, "big") + message


def _chosen(record: bytes) -> tuple[str, int]:
    """Version and cipher of the server's hello; -1 if it is none (an alert, say)."""
    if len(record) <= _SESSION or record[0] != _HANDSHAKE or record[_RECORD] != _SERVER_HELLO:
        return "", -1
    version = {0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2"}.get(
        int.from_bytes(record[_VERSION:_RANDOM], "big"), ""
    )
    number = record[_SESSION + 1 + record[_SESSION] :][:2]
    return version, int.from_bytes(number, "big") if len(number) == 2 else -1
