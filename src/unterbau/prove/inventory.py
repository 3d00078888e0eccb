# SPDX-License-Identifier: Apache-2.0
"""What was seen of a cloud, with provenance for each request: the one thing that judges read. Pure.

`prove.collect` makes an `Inventory` from at most ten requests, `prove.write` adds `write_results`, `judges` read
it, `prove --from` reads it back from JSON. It is not a census: it holds what a cloud *offers* (flavors, images,
volume types, rules), not what a project owns. It never holds a token, a key or a password.

Ten requests, and the section that each delivers (a section names the ids of its requests):

    #  request                                                   section
    1  identity  POST /v3/auth/tokens                            catalog (and Subject.roles, user, project)
    2  compute   GET  /flavors/detail?is_public=None  (2.61+)    flavors
    3  image     GET  /v2/images?member_status=all&limit=1000    images
    4  volume    GET  /v3/{project}/types                        volume_types
    5  network   GET  /v2.0/default-security-group-rules         default_security_group_rules
    6  network   GET  /v2.0/extensions                           extensions
    7  network   GET  /v2.0/security-groups?name=default         security_groups   (only if 5 is absent)
    8  compute   GET  /os-availability-zone                      compute_zones
    9  volume    GET  /v3/{project}/os-availability-zone         volume_zones
    10 s3        GET  / of the object store, with a made-up key   s3_probe

Further pages of a list are requests of the same section. `?is_public=None` needs an administrator: with an
ordinary role Nova answers the flavors that this project may use, and that is what is judged.

Items are the objects as the API returns them, each a plain JSON object, unknown keys kept:

    catalog            {"type", "name", "endpoints": [{"interface", "region", "region_id", "url"}]}
    flavors            {"id", "name", "vcpus", "ram" MiB, "disk" GB, "OS-FLV-EXT-DATA:ephemeral" GB, "swap" MiB,
                        "os-flavor-access:is_public", "extra_specs": {..}}.  No key "extra_specs": they were not
                        seen (Nova older than 2.61 or policy); {} : seen and empty
    images             Glance v2: {"id", "name", "status", "visibility", "owner", "created_at", "size" bytes,
                        "min_disk" GiB, "min_ram" MiB, "os_hidden", "tags", and every property as a key}
    volume_types       {"id", "name", "description", "is_public", "extra_specs"?}
    default_security_group_rules
                       {"id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max",
                        "remote_ip_prefix", "remote_group_id", "remote_address_group_id",
                        "used_in_default_sg", "used_in_non_default_sg"}.  `absent`: Neutron lacks the extension
                        `security-groups-default-rules` (older than 2023.2)
    extensions         Neutron: {"alias", "name", "updated"}
    security_groups    Neutron: {"id", "name", "project_id", "security_group_rules": [..]}
    compute_zones      {"zoneName", "zoneState": {"available"}}
    volume_zones       the same
    s3_probe           one for each address asked: {"service" type in the catalog, "url", "status" HTTP,
                        "code" of the S3 error document or "", "server" header or ""}.  `absent`: there was
                        nothing to ask
    write_results      only after `--write`; one for each write test that ran, keyed by "test":
        {"test": "entropy", "entropy_avail": 256, "kernel": "6.8", "image": name, "server": id, "console": digest}
        {"test": "fips", "blocks": 1000, "failures": 0, "server": id}
        {"test": "key-manager", "create": HTTP, "list": HTTP, "listed": bool, "delete": HTTP, "roles": [..]}
        {"test": "backup", "volume": status, "backup": status, "restored": status,
         "written_sha256": .., "restored_sha256": .. or null, "deleted": bool}
        {"test": "encryption", "type": name of a volume type that advertises it, "encrypted": bool}, one for each
        and each may carry "error": a reason or one line, where it could not be carried through (the API refused, the guest
        said nothing). Missing keys are "not seen".

Later pieces of work (KaaS) bring sections of their own; `Subject.kind` says which judges apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field, ValidationError

from unterbau.canonical import digest
from unterbau.cloud.survey import Item, Request, Subject
from unterbau.errors import UsageError
from unterbau.verdict import Model, Observation, Reason, Source, Words, joined, later
from unterbau.verdict.assessment import Seen

__all__ = [
    "FORMAT",
    "SECTIONS",
    "Certificate",
    "Inventory",
    "Item",
    "Request",
    "Section",
    "Status",
    "Subject",
    "TlsProbe",
]

FORMAT: Literal["unterbau-inventory/1"] = "unterbau-inventory/1"

SECTIONS = (
    "catalog",
    "flavors",
    "images",
    "volume_types",
    "default_security_group_rules",
    "extensions",
    "security_groups",
    "compute_zones",
    "volume_zones",
    "s3_probe",
    "write_results",
)
"""Every section that a judge reads."""


class Status(StrEnum):
    """Whether a section was seen. Anything but SEEN makes the test cases that need it `not shown`."""

    SEEN = "seen"
    ABSENT = "absent"
    """The service, the resource or the extension does not exist: no endpoint, or 404."""
    FORBIDDEN = "forbidden"
    TIMEOUT = "timeout"
    ERROR = "error"


class Section(Model):
    """One kind of thing that was looked for. `reason` says why it was not seen."""

    status: Status
    requests: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    reason: Words = ""


class Certificate(Model):
    """One certificate of a presented chain (the server's own first)."""

    subject: str
    issuer: str
    names: tuple[str, ...] = ()
    """DNS names and IP addresses of subjectAltName."""
    not_before: datetime
    not_after: datetime
    sha256: str
    key: str = ""
    """E.g. `RSA 2048`, `EC secp256r1`, `Ed25519`."""
    signature: str = ""
    """E.g. `sha256WithRSAEncryption`."""


class TlsProbe(Model):
    """What one endpoint of the catalog does when spoken to over TLS. Facts only; `prove.secure` judges."""

    service: str
    interface: str
    url: str
    status: Status
    reason: Words = ""
    plain: bool = False
    """The catalog names a plain-text `http://` address."""
    protocols: dict[str, bool | None] = Field(default_factory=dict)
    """`TLSv1`, `TLSv1.1`, `TLSv1.2`, `TLSv1.3` -> accepted, refused, or None: this machine could not ask."""
    ciphers: tuple[str, ...] = ()
    """IANA or OpenSSL names of what was accepted."""
    ciphers_unasked: Words = later("")
    """Why not all ciphers could be asked for; empty: all were."""
    groups: tuple[str, ...] = ()
    trusted: bool | None = None
    """The chain verifies against the trust store that was used, and the name matches."""
    trust_error: Words = ""
    chain: tuple[Certificate, ...] = ()
    hsts: str | None = None
    """The header Strict-Transport-Security; None: not sent."""
    seconds: float = 0.0


class Inventory(Model):
    """Everything that was seen of one cloud in one go. Times are UTC."""

    format: Literal["unterbau-inventory/1"] = FORMAT
    subject: Subject
    collected_at: datetime
    tool: str
    """E.g. `unterbau 0.1.0`."""
    requests: tuple[Request, ...] = ()
    sections: dict[str, Section] = Field(default_factory=dict)
    tls: tuple[TlsProbe, ...] = ()

    def section(self, name: str) -> Section:
        """The section, or one that says that nobody looked."""
        return self.sections.get(name) or Section(
            status=Status.ERROR, reason=Reason.of("prove.section.not-asked", section=name)
        )

    def unseen(self, names: Iterable[str]) -> Words:
        """One line that names each of these sections which was not seen, and why; empty: all were."""
        missing = [(name, self.section(name)) for name in names]
        return joined(
            Reason.of("about", what=n, reason=s.reason or s.status.value)
            for n, s in missing
            if s.status is not Status.SEEN
        )

    def digest(self) -> str:
        """`sha256:..` over the canonical JSON of all of it."""
        return digest(self.model_dump(mode="json"))

    def to_json(self) -> str:
        """The file that `--from` reads."""
        return self.model_dump_json(indent=1)

    @staticmethod
    def from_json(text: str | bytes) -> Inventory:
        """Reads `to_json`. Raises UsageError for anything else."""
        try:
            return Inventory.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"this is no inventory of ours: {where or 'the file'}: {first['msg']}",
                "Make one with `unterbau prove CLOUD --save FILE`.",
            ) from error


def seen(request: Request) -> Seen:
    """A request as an observation that verdicts rest on: what came back, as a digest."""
    where = f"{request.method} {request.service} {request.path}"
    source = Source(where=where, at=request.began)
    told = Observation(what=where, value=request.digest, source=source, reason=request.error)
    return Seen(id=request.id, told=told, properties={"status": str(request.status or "none")})
