# SPDX-License-Identifier: Apache-2.0
"""A member of a bundle that is read line by line and never held: a file of ours, or a part of a bundle's file.

`container` packs and unpacks it, `core` takes its digest, who judges goes through it. What stands in a bundle is compared with its
signed digest at each whole reading: who changes the file meanwhile is found out.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from unterbau.errors import BundleError
from unterbau.evidence.limits import NOT_OURS

CHUNK = 2**16


@dataclass(frozen=True)
class Long:
    """`open` gives its bytes anew each time; the caller closes what it gives."""

    open: Callable[[], BinaryIO]

    @classmethod
    def at(cls, path: Path) -> Long:
        """A file."""
        return cls(lambda: path.open("rb"))

    @classmethod
    def of(cls, data: bytes) -> Long:
        """Bytes that somebody holds."""
        return cls(lambda: io.BytesIO(data))

    def chunks(self) -> Iterator[bytes]:
        """Its bytes."""
        with self.open() as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def stated(self, name: str, sha256: str) -> Long:
        """The same, each whole reading of which raises BundleError if it has another digest."""
        return Long(lambda: _Stated(self.open(), name, sha256).buffered())


Member: TypeAlias = bytes | Long


def chunks(member: Member) -> Iterator[bytes]:
    """The bytes of a member."""
    yield from [member] if isinstance(member, bytes) else member.chunks()


def sha256(member: Member) -> str:
    """Its digest (hex)."""
    found = hashlib.sha256()
    for chunk in chunks(member):
        found.update(chunk)
    return found.hexdigest()


class Passing(io.RawIOBase):
    """A stream that looks at each `piece` of another one as it gives it on; what it opened it closes."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner

    def piece(self, most: int) -> bytes:
        """The next bytes, at most so many; b"" at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what a BufferedReader gives
        found = self.piece(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._inner.close()
        super().close()

    def buffered(self) -> BinaryIO:
        """The same, to be read by lines."""
        return cast(BinaryIO, io.BufferedReader(self, CHUNK))


class _Stated(Passing):
    """A stream that fails at its end if it had other bytes than were stated."""

    def __init__(self, inner: BinaryIO, name: str, stated: str) -> None:
        super().__init__(inner)
        self._name, self._stated, self._found = name, stated, hashlib.sha256()

    def piece(self, most: int) -> bytes:
        chunk = self._inner.read(most)
        self._found.update(chunk)
        if not chunk and self._found.hexdigest() != self._stated:
            raise BundleError(f"{self._name}: changed since it was signed", NOT_OURS)
        return chunk
