# SPDX-License-Identifier: Apache-2.0
"""The catalogue of images as data, what vendors' checksum files say, and what is said of an image. Pure.

What the standards demand is not repeated here: scs-0102's rules for properties and scs-0104's sources are `prove`'s, and a
catalogue that breaks them does not load.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from unterbau.errors import Failed, UsageError
from unterbau.places import place
from unterbau.prove import data
from unterbau.prove.inventory import Item
from unterbau.prove.judges.scs_0102 import RULES
from unterbau.tenant.kinds import Image
from unterbau.verdict import Model, Outcome, Words

ENTRY, CHECKSUM = "unterbau_image", "unterbau_checksum"
"""Properties by which an image is known again as one of ours: the entry's name, and the vendor's checksum."""
_DIGITS = {"sha256": 64, "sha512": 128}
_HASH = r"(?P<hash>[0-9a-fA-F]{64,128})"
_LINES = (
    re.compile(_HASH + r"[ \t]+\*?(?P<file>\S+)"),  # coreutils
    re.compile(r"SHA(?:256|512) \((?P<file>[^)\s]+)\) = " + _HASH),  # BSD
)
MOST_LISTED = 20


class Seen(Model):
    """Where something of an entry stands, and when that was read."""

    url: str
    at: date
    read: Literal["original", "copy", "named by others"]
    """`copy`: a stored copy of that page was read; `named by others`: nobody read it here, public texts of others name it."""


class Entry(Model):
    """An image of a vendor, and where its newest build is. `folder` is empty where nobody publishes one."""

    name: str = Field(pattern=r"[a-z0-9][a-z0-9.-]*")
    title: str
    """What the image is called in a cloud: "Distribution Version"."""
    distro: str
    version: str
    user: str
    architecture: Literal["x86_64"] = "x86_64"
    min_disk_gib: int = Field(ge=1)
    min_ram_mib: int = Field(ge=1)
    description: str
    folder: str = ""
    file: str = ""
    """A file's name, or with `newest` an expression for the names of builds; a group `day` in it is the day of the build."""
    newest: bool = False
    checksums: str = ""
    """The file with the checksums; `{file}` in it is the image's name."""
    algorithm: Literal["sha256", "sha512"] = "sha512"
    signature: str = ""
    """The file with the detached OpenPGP signature of the checksums."""
    signer: str = ""
    """Fingerprint of the key that must have made it."""
    keyring: str = ""
    """Where systems keep that key."""
    hosts: tuple[str, ...] = ()
    """Other hosts that the vendor may send us to."""
    replace_frequency: str = "monthly"
    sources: tuple[Seen, ...]
    not_known: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.folder and (place(self.folder).scheme != "https" or not self.folder.endswith("/")):
            raise ValueError("folder: it is no https address that ends with /")
        if self.folder and not (self.file and self.checksums):
            raise ValueError("folder: file and checksums belong to it")
        if self.signature and not (self.signer and self.keyring):
            raise ValueError("signature: signer and keyring belong to it")
        if not self.folder and not self.not_known:
            raise ValueError("folder: it is missing, and not_known does not say why")
        if self.newest:
            try:
                re.compile(self.file)
            except re.error as error:
                raise ValueError(f"file: no expression: {error}") from None
        told = self.properties(date(2000, 1, 1), self.folder or "private", "")
        asked: Item = {**told, "min_disk": self.min_disk_gib, "min_ram": self.min_ram_mib}
        for name, rule in RULES.items():
            if name not in ("hash_algo", "min_disk") and not rule.accepts(asked):
                raise ValueError(f"{name}: scs-0102 does not take {asked.get(rule.key or name)!r}")
        return self

    def properties(self, built: date, source: str, checksum: str) -> dict[str, str]:
        """What an image says of itself, by scs-0102. A tenant promises nobody a renewal."""
        return {
            "architecture": self.architecture,
            "hw_disk_bus": "scsi",
            "hw_rng_model": "virtio",
            "hw_scsi_model": "virtio-scsi",
            "image_build_date": built.isoformat(),
            "image_description": self.description,
            "image_original_user": self.user,
            "image_source": source,
            "os_distro": self.distro,
            "os_purpose": "generic",
            "os_version": self.version,
            "provided_until": "none",
            "replace_frequency": self.replace_frequency,
            "uuid_validity": "none",
            ENTRY: self.name,
            CHECKSUM: checksum,
        }

    def dated(self, image: Image) -> str:
        """What an image of this entry is called while another one has its name (scs-0102, "Image updating")."""
        return f"{self.title} {image.properties.get('image_build_date', '')[:10].replace('-', '')}"

    def chosen(self, listed: Mapping[str, str], where: str) -> str:
        """The name of the newest build that a checksum file names. Raises Failed."""
        found = [name for name in listed if (re.fullmatch(self.file, name) if self.newest else name == self.file)]
        if not found:
            raise Failed(
                f"{where}: it names no {self.file}",
                "The catalogue is older than the vendor's names, or this is no list.",
            )
        return max(found, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])

    def day_of(self, file: str) -> date | None:
        """The day of the build, where the file's name tells it."""
        found = re.fullmatch(self.file, file) if self.newest else None
        told = found.groupdict().get("day") if found else None
        try:
            return date.fromisoformat(f"{told[:4]}-{told[4:6]}-{told[6:]}") if told else None
        except ValueError:
            return None


class Catalogue(Model):
    """All entries; no two have one name."""

    entries: tuple[Entry, ...]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [e.name for e in self.entries]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"there twice: {', '.join(twice)}")
        return self

    def entry(self, name: str) -> Entry:
        """That of this name. Raises UsageError."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise UsageError(f"the catalogue has no image {name}", f"It has: {', '.join(e.name for e in self.entries)}.")


def read(plain: Any, where: str) -> Catalogue:
    """The catalogue from parsed YAML. Raises UsageError with the entry and the field."""
    try:
        return Catalogue.model_validate(plain)
    except ValidationError as error:
        raise UsageError(f"{where}: {_told(plain, error)}", "docs/images.md shows what an entry is.") from None


def _told(plain: Any, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    if path[:1] == ["entries"] and len(path) > 1:
        try:
            path[:2] = [str(plain["entries"][int(path[1])]["name"])]
        except (KeyError, TypeError, ValueError, IndexError):
            path[:2] = [f"entry {path[1]}"]
    return f"{'.'.join(path)}: {first['msg'].removeprefix('Value error, ')}"


def breaches(entries: Iterable[Entry]) -> list[str]:
    """Entries whose source is none that scs-0104 (v2) takes for their distribution."""
    told = data.load().images_v2
    codenames = {(r.distro, r.version): r.codename for r in told.releases}
    found = []
    for entry in entries:
        allowed = [
            form.replace("{codename}", codenames.get((entry.distro, entry.version), "?"))
            for form in told.generic_sources.get(entry.distro, ())
        ]
        if entry.folder and allowed and not any(entry.folder.startswith(form) for form in allowed):
            found.append(entry.name)
    return found


def checksums(text: str, algorithm: str, alone: str = "") -> dict[str, str]:
    """File -> checksum, from coreutils' or BSD's form; `alone`: the file that a bare checksum is of."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        for form in _LINES:
            if match := form.fullmatch(line.strip()):
                found[match["file"].removeprefix("./")] = match["hash"].lower()
        if alone and re.fullmatch(_HASH, line.strip()):
            found[alone] = line.strip().lower()
    return {file: told for file, told in found.items() if len(told) == _DIGITS[algorithm]}


class There(Model):
    """An image of a cloud that is one of the catalogue's."""

    id: str
    name: str
    build_date: str
    visibility: str
    hidden: bool
    added: bool
    """Made by `images add` or `images sync`, which alone renew it."""
    checksum: str
    """The vendor's, where we made it."""


class Known(Model):
    """An entry, and what the cloud has of it."""

    entry: Entry
    there: tuple[There, ...]


class Listed(Model):
    """What `images list` gives."""

    cloud: str
    images: tuple[Known, ...]


class Made(Model):
    """What became of one entry."""

    entry: str
    did: Literal["added", "renewed", "current", "failed"]
    id: str = ""
    name: str = ""
    build_date: str = ""
    visibility: str = ""
    checksum: str = ""
    signature: Outcome = Outcome.NOT_SHOWN
    signature_said: Words = ""
    retired: tuple[str, ...] = ()
    """Ids of older builds that were renamed and hidden."""
    error: dict[str, Any] | None = None


class MadeAll(Model):
    """What `images add` and `images sync` give."""

    cloud: str
    images: tuple[Made, ...]


def listing(cloud: str, catalogue: Catalogue, own: Iterable[Image], others: Iterable[Image]) -> Listed:
    """What the cloud has of each entry: ours by their mark, others by what they say of themselves."""
    images = [*own, *others]
    return Listed(
        cloud=cloud,
        images=tuple(
            Known(entry=e, there=tuple(_there(i, e) for i in images if is_of(i, e))) for e in catalogue.entries
        ),
    )


def is_of(image: Image, entry: Entry) -> bool:
    """Whether it is an image of this entry, whoever made it."""
    told = image.properties
    if ENTRY in told:
        return told[ENTRY] == entry.name
    if "os_distro" in told and "os_version" in told:
        same = (told["os_distro"], told["os_version"]) == (entry.distro, entry.version)
        return same and told.get("os_purpose", "generic") == "generic"
    return image.name == entry.title


def is_brought(image: Image, entry: Entry) -> bool:
    """Whether `add` or `sync` brought it: it says so, and is called as they call it.

    Nova gives an image of a server the properties of the image that the server was booted from, and people copy images: such a
    copy has another name, or says what it was made from.
    """
    names = (entry.title, entry.dated(image))
    return (
        image.properties.get(ENTRY) == entry.name and image.name in names and "base_image_ref" not in image.properties
    )


def _there(image: Image, entry: Entry) -> There:
    told = image.properties
    return There(
        id=image.id, name=image.name, build_date=told.get("image_build_date", ""), visibility=image.visibility,
        hidden=image.hidden, added=is_brought(image, entry), checksum=told.get(CHECKSUM, ""),
    )  # fmt: skip
