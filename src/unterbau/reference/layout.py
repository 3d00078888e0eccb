# SPDX-License-Identifier: Apache-2.0
"""Where an embedded cloud lives: its directories, ports and passwords, as data.

`config` renders from it, `services` builds command lines from it, the launcher makes it true on disk.
It does no I/O itself, except that `data_home` reads the environment.

    <data home>/unterbau/
        runtime/<digest>/       the services' own virtual environment, one for each lock file
        templates/<digest>/     database files with schemas, copied into each new cloud
        clouds/NAME/            one cloud; everything below is 0700, files with secrets are 0600
            cloud.json          ports and creation time
            secrets.json        passwords of the cloud's own accounts
            clouds.yaml         the three identities for users
            status.json         what the supervisor last knew
            etc/ var/ log/ tls/ keys/ run/
            tmp/                temporary files of the services; gone with `down`
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path

from unterbau.errors import UsageError

NAME_RULE = re.compile(r"[a-z][a-z0-9-]{0,30}")
RESERVED_SUFFIXES = ("-reader", "-admin")
ADDRESS = "127.0.0.1"
REGION = "RegionOne"
TEMPORARY = "tmp"
# A unix socket's path has at most 107 bytes; names in `run` need up to 27 of them.
_LONGEST_RUN_PATH = 80


@dataclass(frozen=True)
class Ports:
    """The TCP ports of one cloud, all on 127.0.0.1."""

    keystone: int
    glance: int
    placement: int
    nova: int
    neutron: int
    cinder: int
    swift: int
    barbican: int
    metadata: int

    @classmethod
    def block(cls, base: int) -> Ports:
        """Consecutive ports from `base`, in the order of the fields."""
        return cls(*range(base, base + len(fields(cls))))

    def all(self) -> dict[str, int]:
        """Port by service name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True)
class Secrets:
    """Passwords and keys of one cloud; never shown by repr."""

    admin: str = field(repr=False)
    service: str = field(repr=False)
    """Password of all service users (nova, glance, ...)."""
    tenant: str = field(repr=False)
    reader: str = field(repr=False)
    credential: str = field(repr=False)
    """Secret of the tenant's application credential."""
    swift_hash_prefix: str = field(repr=False)
    swift_hash_suffix: str = field(repr=False)
    barbican_kek: str = field(repr=False)
    """32 bytes, urlsafe base64."""
    metadata_shared: str = field(repr=False)


@dataclass(frozen=True)
class Layout:
    """One cloud on disk and on the network."""

    name: str
    root: Path
    """The cloud's directory."""
    runtime: Path
    """The virtual environment in which the services run."""
    ports: Ports
    extras: tuple[str, ...] = ()
    """What it has beyond records and bytes (`extras.ALL`); chosen when it is made."""

    @property
    def etc(self) -> Path:
        """Rendered configuration."""
        return self.root / "etc"

    @property
    def var(self) -> Path:
        """Databases, images, volumes, objects: the state that survives `down`."""
        return self.root / "var"

    @property
    def log(self) -> Path:
        """`<service>.log`."""
        return self.root / "log"

    @property
    def tls(self) -> Path:
        """`ca.pem`, `server.pem`, `server.key`."""
        return self.root / "tls"

    @property
    def ca(self) -> Path:
        """The certificate authority that every client of this cloud trusts."""
        return self.tls / "ca.pem"

    @property
    def fernet_keys(self) -> Path:
        """Keystone's keys for tokens; made once, they survive `down`."""
        return self.root / "keys" / "fernet"

    @property
    def credential_keys(self) -> Path:
        """Keystone's keys for stored credentials (the S3 key pairs among them)."""
        return self.root / "keys" / "credential"

    @property
    def run(self) -> Path:
        """Unix sockets (0700); elsewhere if the cloud's own path is too long for a socket."""
        here = self.root / "run"
        if len(os.fsencode(here)) <= _LONGEST_RUN_PATH:
            return here
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"unterbau-{os.getuid()}-{digest}"

    @property
    def tmp(self) -> Path:
        """TMPDIR of the services, so that what they leave goes with them. None of them makes a socket there."""
        return self.root / TEMPORARY

    @property
    def python(self) -> Path:
        """The interpreter of the runtime."""
        return self.runtime / "bin" / "python"

    def url(self, service: str, path: str = "") -> str:
        """The https address of a service (`service` is a field of `Ports`)."""
        return f"https://{ADDRESS}:{getattr(self.ports, service)}{path}"

    @property
    def auth_url(self) -> str:
        """Keystone's v3 endpoint."""
        return self.url("keystone", "/v3")


def check_name(name: str) -> str:
    """The name itself if it may name a cloud; UsageError otherwise."""
    if not NAME_RULE.fullmatch(name) or name.endswith(RESERVED_SUFFIXES):
        raise UsageError(
            f"{name!r} cannot name a cloud",
            "A lower-case letter, then up to 30 letters, digits or hyphens; not ending in -reader or -admin.",
        )
    return name


def data_home() -> Path:
    """`$XDG_DATA_HOME/unterbau`, or `~/.local/share/unterbau`."""
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification says: a relative path is invalid and ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return root / "unterbau"


def clouds_home() -> Path:
    """The directory that holds one directory a cloud."""
    return data_home() / "clouds"
