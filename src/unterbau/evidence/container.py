# SPDX-License-Identifier: Apache-2.0
"""The file of a bundle: members and their statement in a zip, the same bytes for the same contents; and its opening.

Each verb's `evidence` packs and unpacks here. What the members mean and who signed them is not known here.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping

from unterbau.errors import BundleError, Failed
from unterbau.evidence.core import NOT_OURS, STATEMENT

LARGEST = 512 * 2**20
"""Bytes that the members may have in all when unpacked."""
SHORTEST_SECRET = 5
"""A password this short (or shorter) may stand in a name by chance, and is not searched for."""
_EPOCH = (2020, 1, 1, 0, 0, 0)


def refuse_secrets(members: Mapping[str, bytes], secrets: Iterable[str]) -> None:
    """Raises Failed if one of these known secrets stands in a member (law 8)."""
    for secret in secrets:
        spelled = {secret.encode(), *(json.dumps(secret, ensure_ascii=a)[1:-1].encode() for a in (True, False))}
        found = [n for n, data in members.items() if len(secret) > SHORTEST_SECRET and any(s in data for s in spelled)]
        if found:
            raise Failed(
                f"{', '.join(found)} holds a secret; nothing was sealed", "This is a defect: please report it."
            )


def pack(members: Mapping[str, bytes], statement: bytes) -> bytes:
    """The file: members and their statement, the same bytes for the same contents."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*sorted(members.items()), (STATEMENT, statement)]:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, compress_type=zipfile.ZIP_DEFLATED)
    return out.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The members, if the file consists of them and of nothing else."""
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            doubled = [i.filename for n, i in enumerate(infos) if i.filename in {j.filename for j in infos[:n]}]
            if doubled:
                raise BundleError(f"{doubled[0]} stands twice in the bundle", NOT_OURS)
            if sum(i.file_size for i in infos) > LARGEST:
                raise BundleError(f"its members are larger than {LARGEST} bytes in all", NOT_OURS)
            if len(data) != _size(infos) or archive.comment:
                raise BundleError("the file holds bytes that belong to no member", NOT_OURS)
            for info in infos:
                with archive.open(info) as member:
                    members[info.filename] = member.read(info.file_size + 1)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise BundleError(
            f"the file is truncated or no bundle ({error})", "Fetch it again; compare its size."
        ) from None
    return members


def _size(infos: Iterable[zipfile.ZipInfo]) -> int:
    """Bytes of a zip of these members without extra fields, comments or anything between them (APPNOTE 4.3)."""
    return 22 + sum(30 + 46 + 2 * len(i.filename.encode()) + i.compress_size for i in infos)
