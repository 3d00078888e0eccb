# SPDX-License-Identifier: Apache-2.0
"""The statement of a bundle: canonical bytes in, in-toto Statement in DSSE out, and its verification. Pure.

in-toto Statement v1, DSSE v1, Ed25519 through securesystemslib. No file, no clock: time is an argument. Libraries of
signatures are loaded where something is signed or checked: most verbs only might.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from unterbau.canonical import GENESIS, chained, spelled
from unterbau.errors import BundleError
from unterbau.evidence.limits import NOT_OURS, Limits, measure
from unterbau.evidence.long import Member, sha256

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

FORMAT = 2
"""The format that is sealed, unless the predicate names another one."""
WITH_MANIFESTS = 3
"""The format of a drill's bundle with what crowded containers hold (`limits.LINES`)."""
WITH_PARTS = 4
"""The same, after a source was emptied whose crowded containers were decided of in parts: with what each attempt saw in them."""
KNOWN = (1, 2, 3, 4)
"""Formats that are checked, for ever."""
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://unterbau.example/evidence/drill/v1"
STATEMENT = "statement.dsse.json"
PAYLOAD = Limits(16 * 2**20, 500_000)
"""Of the statement, which is read before it is known who signed it."""


def sign(
    members: Mapping[str, Member], predicate: dict[str, JsonValue], signer: CryptoSigner, kind: str = PREDICATE_TYPE
) -> bytes:
    """The signed statement over these members, spelled by RFC 8785, as the bytes of `statement.dsse.json`."""
    from securesystemslib.dsse import Envelope

    subjects: list[JsonValue] = [{"name": n, "digest": {"sha256": sha256(d)}} for n, d in sorted(members.items())]
    statement: dict[str, JsonValue] = {
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": kind,
        "predicate": {"format": FORMAT, **predicate},
    }
    envelope = Envelope(spelled(statement), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    told = {
        "envelope": envelope.to_dict(),
        "public_key": {"keyid": signer.public_key.keyid, **signer.public_key.to_dict()},
    }
    return json.dumps(told, indent=1, sort_keys=True).encode()


@dataclass(frozen=True)
class Stated:
    """What a statement says that was signed by `key`: of what kind and format the bundle is, and its members' digests.

    Whose key it is, it does not say.
    """

    kind: str
    format: int
    predicate: dict[str, Any]
    subjects: dict[str, str]
    key: SSlibKey

    def compare(self, members: Mapping[str, Member]) -> None:
        """Raises BundleError if these are not the members, byte by byte."""
        self.compare_names(members.keys())
        for name, data in members.items():
            if sha256(data) != self.subjects[name]:
                raise BundleError(f"{name}: changed since it was signed", NOT_OURS)

    def compare_names(self, names: Set[str]) -> None:
        """Raises BundleError if a member is missing or surplus."""
        missing, surplus = self.subjects.keys() - names, names - self.subjects.keys()
        if missing or surplus:
            parts = [f"missing {', '.join(sorted(missing))}"] if missing else []
            parts += [f"not stated {', '.join(sorted(surplus))}"] if surplus else []
            raise BundleError(f"members of the bundle: {'; '.join(parts)}", NOT_OURS)


def verify(statement: bytes) -> Stated:
    """What `statement.dsse.json` states, if its signature fits. Raises BundleError."""
    from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError

    envelope, key = _parse(statement)
    try:
        envelope.verify([key], 1)
    except (VerificationError, UnverifiedSignatureError, ValueError):
        raise BundleError(f"{STATEMENT}: the signature does not fit the statement", NOT_OURS) from None
    if envelope.payload_type != PAYLOAD_TYPE:
        raise BundleError(f"{STATEMENT}: payload type {envelope.payload_type!r}", NOT_OURS)
    return _stated(envelope.payload, key)


def _parse(statement: bytes) -> tuple[Envelope, SSlibKey]:
    """The envelope and its key, whose id is computed from the key itself: a claimed id proves nothing."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    try:
        told = json.loads(statement)
        plain = dict(told["public_key"])
        claimed = plain.pop("keyid")
        given = SSlibKey.from_dict(claimed, plain)
        key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(given.keyval["public"])))
        envelope = Envelope.from_dict(told["envelope"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UnsupportedAlgorithm):
        raise BundleError(f"{STATEMENT}: not a DSSE envelope with its key", NOT_OURS) from None
    if key.keyid != claimed or key.keytype != "ed25519" or given.scheme != "ed25519":
        raise BundleError(f"{STATEMENT}: the key is not the one that its id {claimed} names", NOT_OURS)
    return envelope, key


def _stated(payload: bytes, key: SSlibKey) -> Stated:
    measure({STATEMENT: payload}, PAYLOAD)
    try:
        stated: dict[str, Any] = json.loads(payload)
        type_, kind, predicate = stated["_type"], stated["predicateType"], stated["predicate"]
        version = predicate["format"]
        subjects = {str(s["name"]): str(s["digest"]["sha256"]) for s in stated["subject"]}
        doubled = len(subjects) != len(stated["subject"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BundleError(f"{STATEMENT}: the payload is no in-toto statement", NOT_OURS) from None
    if type_ != STATEMENT_TYPE or doubled:
        raise BundleError(f"{STATEMENT}: the payload is no in-toto statement", NOT_OURS)
    if version not in KNOWN or isinstance(version, bool) or not isinstance(kind, str):
        known = " and ".join(map(str, KNOWN))
        raise BundleError(
            f"{STATEMENT}: format {version!r} ({kind}); this program knows format {known}",
            "Check it with a newer Unterbau.",
        )
    return Stated(kind, version, predicate, subjects, key)


def check_chain(rows: Sequence[Mapping[str, Any]], chain: int = 1) -> None:
    """Recompute the hashes of a journal's rows from what is stored (`canonical.chained`).

    Raises BundleError naming the row.
    """
    before = GENESIS
    for number, row in enumerate(rows, start=1):
        try:
            fits = row["seq"] == number and row["prev"] == before
            fits = fits and row["hash"] == chained(chain, before, row["seq"], row["at"], row["event"])
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise BundleError(f"journal.json, row {number}: does not follow from the row before it", NOT_OURS)
        before = str(row["hash"])
