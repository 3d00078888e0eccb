# SPDX-License-Identifier: Apache-2.0
"""One question to one place: what a probe asks, spoken over a `Line` or by `command`, and what was answered as facts. `running` calls it.

Whatever comes back is an answer, a silence, or garbage: nothing that the other end says raises. The address that was
asked is written as `{address}` in everything before it is hashed, so that a page that names its own address can be
compared with one elsewhere.
"""

from __future__ import annotations

import errno
import hashlib
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import h11
from cryptography import x509
from cryptography.x509.oid import NameOID
from pydantic import JsonValue

from unterbau import __version__
from unterbau.switch.probes import command, door, ssh
from unterbau.switch.probes.line import Line, TooMuch, opened
from unterbau.switch.probes.model import (
    BODY_BYTES,
    HEADERS,
    Closed,
    Command,
    Dns,
    Http,
    Open,
    Probe,
    Ssh,
    State,
    Tcp,
    Tls,
)
from unterbau.verdict import Reason, Words

HEAD_BYTES = 65536
LINE_BYTES = 1024
BANNER_SECONDS = 3.0
"""How long somebody is given to say something by himself."""
NAMES_AT_MOST = 100
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""What this machine says of itself; what a router says of a host that is not there is silence."""
_SHUT = frozenset({errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT})


class Heard(NamedTuple):
    """What was answered. `placed`: facts in which the address stood."""

    state: State
    facts: dict[str, JsonValue] = {}
    placed: tuple[str, ...] = ()
    reason: Words = ""


class Garbage(Exception):
    """Not of the protocol that was asked in."""


@dataclass
class _Facts:
    """Facts of one answer, without the address that was asked."""

    address: str
    told: dict[str, JsonValue] = field(default_factory=dict)
    placed: list[str] = field(default_factory=list)

    def hash(self, name: str, data: bytes) -> None:
        """Keep the hash."""
        more = rb"[0-9A-Fa-f:]" if ":" in self.address else rb"[0-9.]?[0-9]"
        pattern = rb"(?<![0-9A-Za-z.:])" + re.escape(self.address.encode()) + rb"(?!" + more + rb")"
        plain = re.sub(pattern, b"{address}", data)
        if plain != data:
            self.placed.append(name)
        self.told[name] = f"sha256:{hashlib.sha256(plain).hexdigest()}"

    def names(self, name: str, found: list[str]) -> None:
        """Keep names as they are."""
        if self.address in found:
            self.placed.append(name)
        self.told[name] = ["{address}" if one == self.address else one for one in found]


def ask(
    probe: Probe, address: str, place: tuple[str, int], seconds: float, stop: threading.Event | None = None,
    through: Path | None = None,
) -> Heard:  # fmt: skip
    """Ask. `place` is where the address and port are reached, `through` the door to it. Raises nothing that comes from the other end.

    Interrupted once `stop` is set, if a program of its own is asking for us.
    """
    facts = _Facts(address)
    try:
        match probe:
            case Dns():
                _dns(probe, place, seconds, facts, through)
            case Command():
                _command(probe, address, place, seconds, stop or threading.Event(), facts, through)
            case Closed():
                with opened(place, seconds, through):
                    pass
            case _:
                with opened(place, seconds, through) as line:
                    _SPOKEN[type(probe)](probe, address, line, facts)
    except ConnectionRefusedError:
        return Heard(State.REFUSED)
    except (TimeoutError, dns.exception.Timeout):
        return Heard(State.SILENT)
    except command.Unasked as error:
        return Heard(State.UNREACHABLE, reason=error.reason)
    except (Garbage, TooMuch, command.Faulty, ssl.SSLError, h11.RemoteProtocolError, ConnectionError, EOFError):
        return Heard(State.GARBAGE)
    except OSError as error:
        if error.errno in _SHUT:
            return Heard(State.SILENT)
        reason = Reason.of("service.state.error", error=errno.errorcode.get(error.errno or 0, type(error).__name__))
        return Heard(State.UNREACHABLE, reason=reason)
    return Heard(State.ANSWERED, facts.told, tuple(facts.placed))


# --- the protocols


def _http(probe: Http, address: str, line: Line, facts: _Facts) -> None:
    """One GET, no redirect followed (RFC 9112 by h11)."""
    if probe.tls:
        line.secure(probe.name)
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
    host = f"[{address}]" if ":" in address else address
    usual = probe.port == (443 if probe.tls else 80)
    asked = h11.Request(method="GET", target=probe.path, headers=[
        ("Host", (probe.name or host) + ("" if usual else f":{probe.port}")), ("User-Agent", f"unterbau/{__version__}"),
        ("Accept", "*/*"), ("Accept-Encoding", "identity"), ("Connection", "close"),
    ])  # fmt: skip
    line.send((connection.send(asked) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(line.receive())
        elif isinstance(event, h11.Response):
            _head(event, facts)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > BODY_BYTES:
                return
        elif isinstance(event, h11.InformationalResponse):
            continue
        elif isinstance(event, h11.EndOfMessage):
            facts.hash("body", bytes(body))
            return
        else:
            raise Garbage


def _head(response: h11.Response, facts: _Facts) -> None:
    facts.told["status"] = response.status_code
    found: dict[str, bytes] = {}
    for name, value in response.headers:
        key = name.decode("ascii", "replace")
        if key in HEADERS:
            found[key] = found[key] + b", " + value if key in found else value
    for key, value in sorted(found.items()):
        facts.hash(f"header {key}", value)


def _tcp(probe: Tcp, address: str, line: Line, facts: _Facts) -> None:
    facts.hash("banner", _greeting(line))


def _greeting(line: Line) -> bytes:
    """The first line that the other end says by itself; b"" if it says none."""
    said = b""
    try:
        while b"\n" not in said and len(said) < LINE_BYTES and (more := line.receive(BANNER_SECONDS)):
            said += more
    except (TimeoutError, ConnectionResetError):
        pass
    return said.partition(b"\n")[0][:LINE_BYTES].rstrip(b"\r")


def _tls(probe: Tls, address: str, line: Line, facts: _Facts) -> None:
    der = line.secure(probe.name).getpeercert(binary_form=True)
    if not der:
        raise Garbage
    facts.told["certificate"] = f"sha256:{hashlib.sha256(der).hexdigest()}"
    names = _names(der)
    facts.names("names", names[:NAMES_AT_MOST])
    if probe.name:
        facts.told["has the name"] = any(_covers(one, probe.name) for one in names)


def _names(der: bytes) -> list[str]:
    """The names of a certificate (RFC 6125): of its extension, or else the subject's common name."""
    try:
        read = x509.load_der_x509_certificate(der)
        try:
            told = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return sorted(str(one.value)[:253] for one in read.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
        names = [*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))]
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise Garbage from None
    return sorted(one[:253] for one in names)


def _covers(name: str, asked: str) -> bool:
    name, asked = name.lower().rstrip("."), asked.lower().rstrip(".")
    return name == asked or (name.startswith("*.") and name[2:] == asked.partition(".")[2])


def _ssh(probe: Ssh, address: str, line: Line, facts: _Facts) -> None:
    try:
        found = ssh.host_key(line)
    except ssh.Faulty:
        raise Garbage from None
    facts.hash("software", found.software)
    facts.told["key type"] = found.kind
    facts.told["host key"] = f"sha256:{hashlib.sha256(found.key).hexdigest()}"


def _dns(probe: Dns, place: tuple[str, int], seconds: float, facts: _Facts, through: Path | None) -> None:
    """One question (RFC 1035), over UDP and, if the answer is cut, TCP."""
    try:
        kind = dns.rdatatype.from_text(probe.type)
        asked = dns.message.make_query(probe.query, kind)
        asked.flags &= ~dns.flags.RD
        answer = _answer(asked, place, seconds, through)
        records = sorted(
            f"{one.name} {dns.rdatatype.to_text(one.rdtype)} {record.to_text()}"
            for one in answer.answer
            for record in one
        )
    except dns.exception.Timeout:
        raise
    except (dns.exception.DNSException, ValueError):
        raise Garbage from None
    facts.told["code"] = dns.rcode.to_text(answer.rcode())
    facts.told["number"] = len(records)
    facts.hash("records", "\n".join(records).encode("utf-8", "replace"))


def _answer(
    asked: dns.message.Message, place: tuple[str, int], seconds: float, through: Path | None
) -> dns.message.Message:
    if through is None:
        return dns.query.udp_with_fallback(asked, place[0], timeout=seconds, port=place[1])[0]
    try:
        with door.given(through, "udp", place[0]) as plain:
            plain.setblocking(False)
            return dns.query.udp(asked, place[0], seconds, place[1], raise_on_truncation=True, sock=plain)
    except dns.message.Truncated:
        with door.connected(through, place, seconds) as plain:
            plain.setblocking(False)
            return dns.query.tcp(asked, place[0], seconds, place[1], sock=plain)


def _command(
    probe: Command, address: str, place: tuple[str, int], seconds: float, stop: threading.Event, facts: _Facts,
    through: Path | None,
) -> None:  # fmt: skip
    """What said more than a MiB was ended, and shows neither output nor status."""
    ran = command.run(probe, address, place, seconds, stop, through)
    if ran is not None:
        facts.told["exit status"] = ran.status
        facts.hash("output", ran.output)


_SPOKEN: dict[type[Open], Callable[..., None]] = {Http: _http, Tcp: _tcp, Tls: _tls, Ssh: _ssh}
