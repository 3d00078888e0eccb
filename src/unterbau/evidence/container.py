# SPDX-License-Identifier: Apache-2.0
"""The file of a bundle: members and their statement in a zip, the same bytes for the same contents; and its opening.

Each verb's `evidence` packs here; `opening` unpacks, and what it must hold in memory is bounded by what the file states
before it is unpacked (`limits`). What the members mean and who signed them is not known here.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import NoReturn

from unterbau.errors import BundleError, Failed
from unterbau.evidence.core import STATEMENT
from unterbau.evidence.limits import NOT_OURS, Limits, too_much

MEMBERS = 100
"""Members that a bundle may have."""
SHORTEST_SECRET = 5
"""A password this short (or shorter) may stand in a name by chance, and is not searched for."""
_EPOCH = (2020, 1, 1, 0, 0, 0)
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_END = struct.Struct("<4s4H2LH")
"""The end of central directory record (APPNOTE 4.3.16)."""


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


class Archive:
    """The members of a file that consists of them and of nothing else. Nothing is unpacked until it is read."""

    def __init__(self, data: bytes) -> None:
        """Raises BundleError for what is no such file; looks at no more than its directory."""
        _demand_end(data)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
            _broken(error)
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if info.filename in self._infos:
                raise BundleError(f"{info.filename} stands twice in the bundle", NOT_OURS)
            if not _NAME.fullmatch(info.filename):
                raise BundleError(f"{info.filename[:80]!r} is no name of a member", NOT_OURS)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BundleError(f"{info.filename} is compressed in a way that no bundle is", NOT_OURS)
            self._infos[info.filename] = info
        if len(data) != _size(self._infos.values()):
            raise BundleError("the file holds bytes that belong to no member", NOT_OURS)

    @property
    def names(self) -> frozenset[str]:
        """The members' names, the statement's among them."""
        return frozenset(self._infos)

    def read(self, names: Iterable[str], limits: Limits) -> dict[str, bytes]:
        """These members, if they state no more than the limit and have just as many bytes as they state."""
        names = sorted(names)
        if (stated := sum(self._infos[n].file_size for n in names)) > limits.size:
            raise BundleError(f"its members are larger than {limits.size} bytes in all ({stated})", too_much(limits))
        return {name: self._one(self._infos[name]) for name in names}

    def _one(self, info: zipfile.ZipInfo) -> bytes:
        try:
            with self._zip.open(info) as member:
                found = member.read(info.file_size + 1)
        except (
            zipfile.BadZipFile,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
            ValueError,
            zlib.error,
        ) as error:
            _broken(error)
        if len(found) != info.file_size:
            raise BundleError(f"{info.filename} has another size than it states", NOT_OURS)
        return found


def _demand_end(data: bytes) -> None:
    """The file ends with a directory of few members, and what that says of itself is true (APPNOTE 4.3.16)."""
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\5\6":
        if data[-2 * 2**16 :].rfind(b"PK\5\6") < 0:
            _broken("no directory at its end")
        raise BundleError("the file holds bytes that belong to no member", NOT_OURS)
    _, disk, first, here, entries, size, offset, comment = _END.unpack(data[-_END.size :])
    if entries > MEMBERS or size > MEMBERS * 2**10:
        raise BundleError(f"it has more than {MEMBERS} members", NOT_OURS)
    fits = (disk, first, comment, here) == (0, 0, 0, entries) and offset + size + _END.size == len(data)
    if not fits or data[-_END.size - 20 :].startswith(b"PK\6\7"):
        raise BundleError("the file holds bytes that belong to no member", NOT_OURS)


def _broken(error: object) -> NoReturn:
    raise BundleError(f"the file is truncated or no bundle ({error})", "Fetch it again; compare its size.") from None


def _size(infos: Iterable[zipfile.ZipInfo]) -> int:
    """Bytes of a zip of these members without extra fields, comments or anything between them (APPNOTE 4.3)."""
    return 22 + sum(30 + 46 + 2 * len(i.filename.encode()) + i.compress_size for i in infos)
