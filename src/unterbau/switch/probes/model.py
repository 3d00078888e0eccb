# SPDX-License-Identifier: Apache-2.0
"""Probes and answers as data. Pure.

A probe says what is asked of one place at the source: a public address (or a port of a server on a provider's network)
and a port number. The same is asked of the place's counterpart on the target. An answer holds facts: numbers, the names
in a certificate, and hashes of everything else, so that no body, cookie or banner stands in the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from unterbau import canonical
from unterbau.tenant.kinds import CloudIdentity, FloatingIp, Kind, Port, Ref, ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Words

SideName: TypeAlias = Literal["source", "target"]
Compared: TypeAlias = Literal["same", "ignore"]
MOST = 500
"""Probes that a plan may have."""
BODY_BYTES = 2**20
"""How much of a body, or of what a command says, is read; of a longer one nothing is shown."""
HEADERS = frozenset({
    "access-control-allow-origin", "allow", "cache-control", "content-disposition", "content-encoding", "content-language",
    "content-security-policy", "content-type", "location", "permissions-policy", "referrer-policy", "retry-after", "server",
    "strict-transport-security", "vary", "x-content-type-options", "x-frame-options", "x-powered-by",
})  # fmt: skip
"""Headers of an answer that are compared. Of all others neither name nor value is kept: cookies, challenges, what counts."""


class _Probe(Model):
    """What all have: `at` is a Ref of the source (`floating_ip:..`, `port:..`), in a file of people's also an address."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    at: str = Field(min_length=1, max_length=200)
    port: int = Field(ge=1, le=65535)


_LINE = r"^[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
"""One line, and no character that turns it around."""
Name = Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9_.-]*$")]


class Http(_Probe):
    """GET `path` (RFC 9110): status, the hash of the body, the headers of `HEADERS` without those of `ignore`.

    `name` is the host that is asked for (Host, and SNI with `tls`); "" is the address itself.
    """

    kind: Literal["http"] = "http"
    tls: bool = False
    name: Name = ""
    path: str = Field(default="/", pattern=r"^/[!-~]*$", max_length=2000)
    body: Compared = "same"
    ignore: tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")], ...] = ()


class Tcp(_Probe):
    """A connection is taken; the hash of the first line that the other end says by itself, if it says one."""

    kind: Literal["tcp"] = "tcp"
    banner: Compared = "same"


class Tls(_Probe):
    """The certificate that is shown for `name` (SNI), and whether that name stands in it."""

    kind: Literal["tls"] = "tls"
    name: Name = ""
    certificate: Compared = "same"


class Ssh(_Probe):
    """The host key that the other end proves to have (RFC 4253, section 8), and its software by its own word."""

    kind: Literal["ssh"] = "ssh"


class Dns(_Probe):
    """What a name server answers: its code, and its records without their TTLs."""

    kind: Literal["dns"] = "dns"
    port: int = Field(default=53, ge=1, le=65535)
    query: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.*-]+$")]
    type: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,10}$")] = "A"


class Closed(_Probe):
    """No connection is taken (TCP). `control` is a probe of the same guest that does answer, so that silence means something."""

    kind: Literal["closed"] = "closed"
    control: str


class Command(_Probe):
    """A command in a guest, by the asking person's own ssh: its exit status, and the hash of its standard output.

    `run` is one line for the shell of `user`. Of `--probe` there is none: a person writes it, and answers for what it does.
    """

    kind: Literal["command"] = "command"
    port: int = Field(default=22, ge=1, le=65535)
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
    """No option of ssh, no other host, and nothing that a shell of this machine would read (`ProxyCommand` may name it)."""
    run: Annotated[str, Field(max_length=1000, pattern=_LINE)]
    output: Compared = "same"


Probe: TypeAlias = Annotated[Http | Tcp | Tls | Ssh | Dns | Closed | Command, Field(discriminator="kind")]
Open: TypeAlias = Http | Tcp | Tls | Ssh | Dns | Command


class State(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Somebody said no (a reset)."""
    SILENT = "silent"
    """Nobody said anything in time, or no more of it."""
    GARBAGE = "garbage"
    """What was said is not of the protocol that was asked in."""
    UNREACHABLE = "unreachable"
    """It was not asked: from here there is no way there, or it is no address of a tenant."""


class Answer(Model):
    """What one place answered to one probe.

    `asked` is the digest of the probe. In `facts` the address that was asked is written as `{address}` before anything is
    hashed; `placed` names the facts in which it stood. `unsteady`: facts that differed between two questions in a row.
    """

    probe: str
    asked: str
    side: SideName
    address: str
    at: datetime
    state: State
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    placed: tuple[str, ...] = ()
    unsteady: tuple[str, ...] = ()
    reason: Words = ""


class Recorded(Model):
    """What one cloud's places answered: the file that `unterbau probe` writes, before a source stops."""

    identity: CloudIdentity
    answers: tuple[Answer, ...]


def digest(probe: Probe) -> str:
    """What an answer names its question by."""
    return canonical.digest(probe.model_dump(mode="json"))


def address_of(workload: Workload, at: Ref) -> str:
    """The address of a place of this side; "" if it has none."""
    found = workload.by_ref.get(at)
    if isinstance(found, FloatingIp):
        return found.address
    return found.fixed_ips[0].ip_address if isinstance(found, Port) and found.fixed_ips else ""


def guest_of(workload: Workload, at: Ref) -> Ref:
    """Who answers there: the server behind the place, or the port if nobody says which."""
    found = workload.by_ref.get(at)
    if isinstance(found, FloatingIp) and found.port_id:
        found = workload.by_ref.get(ref(Kind.PORT, found.port_id), found)
    if not isinstance(found, Port):
        return at
    servers = workload.relations.naming(Kind.SERVER, "port_ids", found.id)
    return servers[0] if servers else ref(Kind.SERVER, found.device_id) if found.device_id else found.ref


def called(probe: Probe, address: str) -> str:
    """What is asked, in the field's own notation: `https://www.example.org:8443/login at 198.51.100.7`."""
    match probe:
        case Http():
            usual = probe.port == (443 if probe.tls else 80)
            host = (probe.name or address) + ("" if usual else f":{probe.port}")
            at = f" at {address}" if probe.name else ""
            return f"http{'s' if probe.tls else ''}://{host}{probe.path}{at}"
        case Dns():
            return f"dns {probe.query} {probe.type} at {address}:{probe.port}"
        case Tls():
            return f"tls {probe.name or address} at {address}:{probe.port}"
        case Command():
            return f"ssh {probe.user}@{address}:{probe.port} {probe.run}"
        case _:
            return f"{'tcp' if isinstance(probe, Closed) else probe.kind} {address}:{probe.port}"


def faults(probes: Iterable[Probe], source: Workload | None = None) -> Iterator[tuple[int, str, str]]:
    """(number of the probe from 0, field, what is wrong): ids, controls, and with `source` the places."""
    listed = tuple(probes)
    by_id = {p.id: p for p in listed}
    if len(listed) > MOST:
        yield MOST, "", f"more than {MOST} probes"
    seen: set[str] = set()
    for number, probe in enumerate(listed):
        if probe.id in seen:
            yield number, "id", f"{probe.id} stands there twice"
        seen.add(probe.id)
        if source is not None and not address_of(source, probe.at):
            yield number, "at", f"{probe.at} is no public address and no port of the source"
        if not isinstance(probe, Closed):
            continue
        control = by_id.get(probe.control)
        if control is None or isinstance(control, Closed):
            yield number, "control", f"{probe.control!r} is no probe of something that answers"
        elif source is not None and guest_of(source, control.at) != guest_of(source, probe.at):
            yield number, "control", f"{probe.control} is not at the same guest"
