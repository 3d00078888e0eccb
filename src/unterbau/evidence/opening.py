# SPDX-License-Identifier: Apache-2.0
"""A bundle opened: once, within limits, its signature and every digest verified. Each verb's `evidence` judges what is in it.

`cli` opens a file and asks the verb of its kind; nobody unpacks it again. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unterbau.errors import BundleError
from unterbau.evidence.container import Archive
from unterbau.evidence.core import PAYLOAD, STATEMENT, Stated, verify
from unterbau.evidence.limits import LINES, NOT_OURS, TRUSTED, Limits, decode, measure, strangers, too_much
from unterbau.evidence.long import Long

ENVELOPE = Limits(2 * PAYLOAD.size, 1000)
"""Of the envelope around the statement: its payload is base64, one value."""


@dataclass(frozen=True)
class Opened:
    """A bundle whose members are as they were signed. `trusted`: by the key that the caller named.

    `digest`: of its file. `long`: members of lines, each reading of which
    finds out whether they are still as they were signed.
    """

    digest: str
    kind: str
    format: int
    predicate: dict[str, Any]
    members: dict[str, bytes]
    long: dict[str, Long]
    signer: str
    trusted: bool

    def demand(self, kind: str) -> None:
        """Raises BundleError if it is a bundle of another kind."""
        if self.kind != kind:
            raise BundleError(f"{STATEMENT}: {self.kind[:80]!r} is not {kind}", "Check it with a newer Unterbau.")

    def json(self, name: str) -> Any:
        """A member, decoded."""
        return decode(name, self.members[name])

    @property
    def names(self) -> Set[str]:
        """Of all members."""
        return self.members.keys() | self.long.keys()


def open_bundle(data: bytes | Path, *, trusted_key: str | None = None) -> Opened:
    """The bundle, or that of a file. `trusted_key` is the id of the key that must have signed it; then there are hardly any limits.

    Raises BundleError for anything that is not as it was sealed, and before it takes more memory than `strangers` allows;
    for a file OSError.
    """
    if isinstance(data, Path):
        _demand_small(data, TRUSTED if trusted_key is not None else strangers())
    archive = Archive(data)
    stated = _stated(archive)
    signer = str(stated.key.keyid)
    if trusted_key is not None and signer != trusted_key:
        raise BundleError(
            f"signed by key {signer}, not by {trusted_key}", "Ask whose key that is, or name the right one."
        )
    limits = strangers() if trusted_key is None else TRUSTED
    names = archive.names - {STATEMENT}
    stated.compare_names(names)
    archive.demand(names, limits)
    long = {name: archive.long(name) for name in names if name.endswith(LINES)}
    members = archive.read(names - long.keys(), limits)
    measure(members, limits)
    stated.compare({**members, **long})
    long = {name: member.stated(name, stated.subjects[name]) for name, member in long.items()}
    return Opened(
        digest=f"sha256:{archive.digest()}", kind=stated.kind, format=stated.format, predicate=stated.predicate,
        members=members, long=long, signer=signer, trusted=trusted_key is not None,
    )  # fmt: skip


def signer_of(data: bytes | Path) -> str:
    """The id of the key that signed a bundle, whose members nobody has looked at yet. Raises BundleError."""
    return str(_stated(Archive(data)).key.keyid)


def _stated(archive: Archive) -> Stated:
    if STATEMENT not in archive.names:
        raise BundleError(f"{STATEMENT} is missing", NOT_OURS)
    statement = archive.read([STATEMENT], ENVELOPE)
    measure(statement, ENVELOPE)
    return verify(statement[STATEMENT])


def read_file(path: Path, *, trusted_key: str | None = None) -> bytes:
    """The bytes of a bundle's file, unless it is larger than a bundle can be. Raises BundleError, OSError."""
    _demand_small(path, TRUSTED if trusted_key is not None else strangers())
    return path.read_bytes()


def _demand_small(path: Path, limits: Limits) -> None:
    """Raises BundleError for a file that is larger than a bundle can be."""
    if path.stat().st_size > limits.size:
        raise BundleError(f"{path}: larger than {limits.size} bytes", too_much(limits))
