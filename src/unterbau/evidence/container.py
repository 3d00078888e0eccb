# SPDX-License-Identifier: Apache-2.0
"""The file of a bundle: members and their statement in a zip, the same bytes for the same contents; and its opening.

Each verb's `evidence` packs here; `opening` unpacks, and what it must hold in memory is bounded by what the file states
before it is unpacked (`limits`). Members of lines (`long`) are held at neither. What the members mean and who signed them is
not known here.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from unterbau.errors import BundleError, Failed
from unterbau.evidence.core import STATEMENT
from unterbau.evidence.limits import NOT_OURS, Limits, too_much
from unterbau.evidence.long import CHUNK, Long, Member, Passing, chunks

MEMBERS = 100
"""Members that a bundle may have."""
SHORTEST_SECRET = 5
"""A password this short (or shorter) may stand in a name by chance, and is not searched for."""
_EPOCH = (2020, 1, 1, 0, 0, 0)
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_END = struct.Struct("<4s4H2LH")
"""The end of central directory record (APPNOTE 4.3.16)."""


def refuse_secrets(members: Mapping[str, Member], secrets: Iterable[str]) -> None:
    """Raises Failed if one of these known secrets stands in a member (law 8)."""
    spelled = {
        one for secret in secrets if len(secret) > SHORTEST_SECRET
        for one in (secret.encode(), *(json.dumps(secret, ensure_ascii=a)[1:-1].encode() for a in (True, False)))
    }  # fmt: skip
    found = [name for name, member in members.items() if spelled and _has_one_of(member, spelled)]
    if found:
        raise Failed(f"{', '.join(found)} holds a secret; nothing was sealed", "This is a defect: please report it.")


def _has_one_of(member: Member, texts: Iterable[bytes]) -> bool:
    """Whether one of them stands in it, be it across two of its chunks."""
    texts, before = tuple(texts), b""
    longest = max(map(len, texts))
    for chunk in chunks(member):
        here = before + chunk
        if any(text in here for text in texts):
            return True
        before = here[-longest:]
    return False


def pack(members: Mapping[str, Member], statement: bytes) -> bytes:
    """The file: members and their statement, the same bytes for the same contents."""
    out = io.BytesIO()
    pack_into(out, members, statement)
    return out.getvalue()


def pack_into(out: BinaryIO, members: Mapping[str, Member], statement: bytes) -> None:
    """Write the file."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in [*sorted(members.items()), (STATEMENT, statement)]:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w") as place:
                for chunk in chunks(member):
                    place.write(chunk)


class Archive:
    """The members of a file that consists of them and of nothing else. Nothing is unpacked until it is read."""

    def __init__(self, data: bytes | Path) -> None:
        """Raises BundleError for what is no such file; looks at no more than its directory. Of a path, OSError."""
        self._file: BinaryIO = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
        weakref.finalize(self, self._file.close)
        size = self._file.seek(0, io.SEEK_END)
        _demand_end(self._file, size)
        try:
            self._zip = zipfile.ZipFile(self._file)
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
        if size != _size(self._infos.values()):
            raise BundleError("the file holds bytes that belong to no member", NOT_OURS)

    @property
    def names(self) -> frozenset[str]:
        """The members' names, the statement's among them."""
        return frozenset(self._infos)

    def digest(self) -> str:
        """Of the whole file (hex)."""
        self._file.seek(0)
        found = hashlib.sha256()
        while chunk := self._file.read(CHUNK):
            found.update(chunk)
        return found.hexdigest()

    def read(self, names: Iterable[str], limits: Limits) -> dict[str, bytes]:
        """These members, if they state no more than the limit and have just as many bytes as they state."""
        names = sorted(names)
        self.demand(names, limits)
        return {name: self._one(self._infos[name]) for name in names}

    def demand(self, names: Iterable[str], limits: Limits) -> None:
        """Raises BundleError if these members state more bytes than the limit."""
        if (stated := sum(self._infos[n].file_size for n in names)) > limits.size:
            raise BundleError(f"its members are larger than {limits.size} bytes in all ({stated})", too_much(limits))

    def _one(self, info: zipfile.ZipInfo) -> bytes:
        with _Unpacked(self._zip, info) as member:
            return member.readall()

    def long(self, name: str) -> Long:
        """A member that is not held: whoever goes through it finds out whether it has as many bytes as it states."""
        info = self._infos[name]
        return Long(lambda: _Unpacked(self._zip, info).buffered())


class _Unpacked(Passing):
    """The bytes of a member. Raises BundleError where they are not as the file states."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        with _told():
            super().__init__(cast(BinaryIO, archive.open(info)))
        self._info, self._done = info, 0

    def piece(self, most: int) -> bytes:
        with _told():
            found = self._inner.read(most)
        self._done += len(found)
        if self._done > self._info.file_size or not (found or self._done == self._info.file_size):
            raise BundleError(f"{self._info.filename} has another size than it states", NOT_OURS)
        return found


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        _broken(error)


def _demand_end(file: BinaryIO, length: int) -> None:
    """The file ends with a directory of few members, and what that says of itself is true (APPNOTE 4.3.16)."""
    file.seek(max(0, length - 2 * 2**16))
    data = file.read()
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\5\6":
        if data.rfind(b"PK\5\6") < 0:
            _broken("no directory at its end")
        raise BundleError("the file holds bytes that belong to no member", NOT_OURS)
    _, disk, first, here, entries, size, offset, comment = _END.unpack(data[-_END.size :])
    if entries > MEMBERS or size > MEMBERS * 2**10:
        raise BundleError(f"it has more than {MEMBERS} members", NOT_OURS)
    fits = (disk, first, comment, here) == (0, 0, 0, entries) and offset + size + _END.size == length
    if not fits or data[-_END.size - 20 :].startswith(b"PK\6\7"):
        raise BundleError("the file holds bytes that belong to no member", NOT_OURS)


def _broken(error: object) -> NoReturn:
    raise BundleError(f"the file is truncated or no bundle ({error})", "Fetch it again; compare its size.") from None


def _size(infos: Iterable[zipfile.ZipInfo]) -> int:
    """Bytes of a zip of these members without extra fields, comments or anything between them (APPNOTE 4.3)."""
    return 22 + sum(30 + 46 + 2 * len(i.filename.encode()) + i.compress_size for i in infos)
