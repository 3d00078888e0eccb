# SPDX-License-Identifier: Apache-2.0
"""Disks in qcow2 files: what a guest sees of one that arrives as a stream, and a file of what of a disk is in use.

`cloud.disks` reads with it what a Cinder uploaded; the simulator and the embedded cloud's Cinder, which loads this file
without the rest of us, write with it. The format: QEMU, docs/interop/qcow2.txt. Not here: backing files, external data
files, encryption, subclusters, compression by anything but zlib (`Unreadable` says which), and internal snapshots, which
are passed over.

Only the standard library. Nothing is believed of a file: tables are bounded before they are read, each byte of it is
given out once, and memory does not grow with the disk.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

MAGIC = b"QFI\xfb"
HEADER_BYTES = 104
"""As much of a file's beginning as `Header.of` wants."""
CLUSTER = 1 << 16
"""What we write, and what QEMU writes unless it is asked for another: 64 KiB."""
PIECE = 1 << 20
"""No piece of data is longer, in bytes."""
MOST_TABLE = 32 << 20
"""The longest L1 table, in bytes; QEMU's own limit."""
MOST_GAPS = 200_000
"""How many places may be passed over and not yet read."""

Piece: TypeAlias = "bytes | memoryview | int"
"""Data, or a number of zeros."""

_OFFSET = 0x00FFFFFFFFFFFE00
_COPIED, _COMPRESSED, _ZERO = 1 << 63, 1 << 62, 1
_L1_RESERVED = 0x7F000000000001FF
_L2_RESERVED = 0x3F000000000001FE
_DIRTY = 1
_REFUSED = {1: "is marked as corrupt", 2: "has an external data file", 3: "has another compression than zlib",
            4: "has subclusters"}  # fmt: skip
"""Incompatible features by their bit."""


class Unreadable(ValueError):
    """It is no qcow2 file, one that is corrupt, or one of a form that is not read here; the text says which."""


@dataclass(frozen=True)
class Header:
    """What the reader needs of a header. Sizes and offsets in bytes; `l1_entries` a number."""

    version: int
    size: int
    cluster: int
    l1_offset: int
    l1_entries: int

    @classmethod
    def of(cls, start: bytes, most: int) -> Header:
        """Read it from the first `HEADER_BYTES` of a file. Raises Unreadable, also for a disk of more than `most` bytes."""
        if len(start) < 72 or start[:4] != MAGIC:
            raise Unreadable("is no qcow2 file")
        (version, backing, _, bits, size, crypt, l1_entries, l1_offset) = struct.unpack_from(">IQIIQIIQ", start, 4)
        if version not in (2, 3):
            raise Unreadable(f"is of version {version}")
        if backing:
            raise Unreadable("has a backing file")
        if crypt:
            raise Unreadable("is encrypted")
        if version == 3:
            _demand_features(start)
        if not 9 <= bits <= 21:
            raise Unreadable(f"has clusters of 2^{bits} bytes")
        if size > most:
            raise Unreadable(f"holds {size} bytes where at most {most} can be")
        made = cls(version, size, 1 << bits, l1_offset, l1_entries)
        if l1_entries * 8 > MOST_TABLE or l1_entries < made.tables or l1_offset % made.cluster:
            raise Unreadable(f"has a first table of {l1_entries} entries at {l1_offset} for {size} bytes")
        return made

    @property
    def span(self) -> int:
        """How many bytes of the disk one second table stands for."""
        return self.cluster // 8 * self.cluster

    @property
    def tables(self) -> int:
        """How many second tables the disk has, at most."""
        return -(-self.size // self.span)


def _demand_features(start: bytes) -> None:
    if len(start) < HEADER_BYTES:
        raise Unreadable("ends within its header")
    (incompatible,) = struct.unpack_from(">Q", start, 72)
    for bit in range(64):
        if incompatible & ~_DIRTY & (1 << bit):
            raise Unreadable(_REFUSED.get(bit, f"needs a feature that nobody here knows (bit {bit})"))


class Disk:
    """The disk in a qcow2 file that arrives as `data`; iterate once, from its first byte to its last.

    `most`: no longer disk is read. `spool` opens a temporary file, should there be need of one: for what stands before
    its turn in the file, at the same offset. What QEMU writes when it converts needs a cluster for each 2 GiB of data
    there; no file needs more than its own length. Iterating raises Unreadable, and what `data` raises.
    """

    def __init__(self, data: Iterable[bytes], most: int, spool: Callable[[], BinaryIO]) -> None:
        self._file = _Forward(data, spool)
        self._header = Header.of(self._file.first(HEADER_BYTES), most)

    @property
    def size(self) -> int:
        """Of the disk, in bytes."""
        return self._header.size

    def __iter__(self) -> Iterator[Piece]:
        """Pieces of at most `PIECE` bytes of data, and numbers of zeros, of any size."""
        zeros = 0
        for place, length in self._runs():
            if place is None:
                zeros += length
                continue
            if zeros:
                yield zeros
                zeros = 0
            packed, cluster = place & _COMPRESSED, self._header.cluster
            yield from self._unpacked(place, length) if packed else self._file.take(place, length, short=cluster)
        if zeros:
            yield zeros

    def _runs(self) -> Iterator[tuple[int | None, int]]:
        """(where it lies, how long it is) of what lies together, in the disk's order; None: zeros."""
        head, left = self._header, self._header.size
        for entry in self._table(head.l1_offset, head.tables):
            span = min(head.span, left)
            left -= span
            if entry & _L1_RESERVED:
                raise Unreadable("has a first table with marks that mean nothing")
            if entry & _OFFSET:
                yield from self._runs_of(self._table(self._aligned(entry), head.cluster // 8), span)
            else:
                yield None, span

    def _runs_of(self, table: array[int], span: int) -> Iterator[tuple[int | None, int]]:
        """The same of one second table, which stands for `span` bytes."""
        cluster, begun, end, length = self._header.cluster, None, -1, 0
        for number in range(-(-span // cluster)):
            entry = table[number]
            place = self._placed(entry) if entry else None
            own = min(cluster, span - number * cluster)
            packed = place is not None and place & _COMPRESSED
            if length and (place == end if place is not None else begun is None) and not packed:
                length += own
            else:
                if length:
                    yield begun, length
                begun, length = place, own
            end = -1 if place is None or packed else place + own
        if length:
            yield begun, length

    def _placed(self, entry: int) -> int | None:
        """Where the cluster of an entry lies: an offset, the entry itself if it is compressed, None of zeros."""
        if entry & _COMPRESSED:
            return entry & ~_COPIED
        if entry & _L2_RESERVED or (entry & _ZERO and self._header.version == 2):
            raise Unreadable("has a second table with marks that mean nothing")
        if entry & _ZERO or not entry & _OFFSET:
            return None
        return self._aligned(entry)

    def _aligned(self, entry: int) -> int:
        place = entry & _OFFSET
        if place % self._header.cluster:
            raise Unreadable("points into the middle of a cluster")
        return place

    def _table(self, place: int, entries: int) -> array[int]:
        """A table of 64-bit numbers."""
        table = array("Q", b"".join(self._file.take(place, entries * 8)))
        if sys.byteorder == "little":
            table.byteswap()
        return table

    def _unpacked(self, entry: int, length: int) -> Iterator[bytes]:
        """A compressed cluster: raw deflate, in sectors that it shares with its neighbours."""
        cluster = self._header.cluster
        split = 62 - (cluster.bit_length() - 1 - 8)
        place, more = entry & ((1 << split) - 1), (entry & (_COMPRESSED - 1)) >> split
        room = (more + 1) * 512 - place % 512
        packed = b"".join(self._file.take(place, room, short=room, keep=True))
        try:
            data = zlib.decompressobj(-15).decompress(packed, cluster)
        except zlib.error:
            raise Unreadable("has a compressed cluster that is none") from None
        if len(data) != cluster:
            raise Unreadable(f"has a compressed cluster of {len(data)} bytes")
        yield from (data[at : min(at + PIECE, length)] for at in range(0, length, PIECE))


class _Forward:
    """The bytes of a file by their offset, each once, out of a stream; what is passed over is kept in a spool."""

    def __init__(self, data: Iterable[bytes], spool: Callable[[], BinaryIO]) -> None:
        self._data, self._open = iter(data), spool
        self._held, self._at = memoryview(b""), 0
        """What has come and is not yet used, and its offset."""
        self._ended = False
        self._spool: BinaryIO | None = None
        self._starts, self._ends = list[int](), list[int]()
        """What lies in the spool and was not given out, in order."""

    def first(self, length: int) -> bytes:
        """The file's beginning, which stays to be taken."""
        while len(self._held) < length and self._more():
            pass
        return bytes(self._held[:length])

    def take(self, place: int, length: int, *, short: int = 0, keep: bool = False) -> Iterator[memoryview | bytes]:
        """The bytes from `place` on, in pieces.

        Fewer than `short` of them may lie behind the file's end: they are zeros, as for QEMU. `keep`: they may be taken
        again. Raises Unreadable.
        """
        end, place_now = place + length, place
        if place < self._at:
            place_now = min(end, self._at)
            yield from self._spooled(place, place_now, keep)
        self._pass_over(place_now)
        while place_now < end:
            if not self._held and not self._more():
                if end - place_now >= short:
                    raise Unreadable("points behind its end")
                yield bytes(end - place_now)
                return
            piece = self._held[: min(end - place_now, PIECE)]
            if keep:
                self._keep(piece)
            self._held, self._at = self._held[len(piece) :], self._at + len(piece)
            place_now += len(piece)
            yield piece

    def _more(self) -> bool:
        """The next chunk, behind what is held; False at the end."""
        chunk = b"" if self._ended else next((c for c in self._data if c), b"")
        self._ended = not chunk
        self._held = memoryview(b"".join((self._held, chunk)) if self._held else chunk)
        return not self._ended

    def _pass_over(self, place: int) -> None:
        while self._at < place and (self._held or self._more()):
            piece = self._held[: place - self._at]
            self._keep(piece)
            self._held, self._at = self._held[len(piece) :], self._at + len(piece)

    def _keep(self, piece: memoryview) -> None:
        """What comes next into the spool."""
        if self._spool is None:
            self._spool = self._open()
        self._spool.seek(self._at)
        self._spool.write(piece)
        if self._ends and self._ends[-1] == self._at:
            self._ends[-1] += len(piece)
            return
        if len(self._starts) >= MOST_GAPS:
            raise Unreadable(f"is scattered: more than {MOST_GAPS} places of it wait for their turn")
        self._starts.append(self._at)
        self._ends.append(self._at + len(piece))

    def _spooled(self, start: int, end: int, keep: bool) -> Iterator[bytes]:
        number = bisect_right(self._starts, start) - 1
        if number < 0 or self._ends[number] < end or self._spool is None:
            raise Unreadable("names one place twice")
        if not keep:
            rest = [(a, b) for a, b in ((self._starts[number], start), (end, self._ends[number])) if a < b]
            if len(self._starts) + len(rest) > MOST_GAPS + 1:
                raise Unreadable(f"is scattered: more than {MOST_GAPS} places of it wait for their turn")
            self._starts[number : number + 1] = [a for a, _ in rest]
            self._ends[number : number + 1] = [b for _, b in rest]
        for at in range(start, end, PIECE):
            self._spool.seek(at)
            yield self._spool.read(min(PIECE, end - at))


# --- writing


Extents: TypeAlias = Iterable[tuple[int, int]]
"""(start, end) of what is in use, in order, in whole clusters; the last may end with the disk."""


def in_use(spans: Extents, read: Callable[[int, int], bytes]) -> Iterator[tuple[int, int]]:
    """Of these spans the clusters that are not all zeros. `read(offset, length)` gives the disk's bytes."""
    zeros, begun, end = bytes(CLUSTER), 0, 0
    for start, stop in _whole(spans):
        for at in range(start, stop, PIECE):
            data = read(at, min(PIECE, stop - at))
            for within in range(0, len(data), CLUSTER):
                cluster = data[within : within + CLUSTER]
                if cluster == zeros[: len(cluster)]:
                    continue
                if at + within != end:
                    if begun < end:
                        yield begun, end
                    begun = at + within
                end = at + within + len(cluster)
    if begun < end:
        yield begun, end


def _whole(spans: Extents) -> Iterator[tuple[int, int]]:
    """In whole clusters, none twice."""
    done = 0
    for start, stop in spans:
        first, last = max(done, start // CLUSTER * CLUSTER), -(-stop // CLUSTER) * CLUSTER
        if first < last:
            yield first, last
            done = last


class Written:
    """A qcow2 file (version 3) of a disk of `size` bytes of which `used` is in use; iterate once for its bytes.

    Each second table stands before its clusters, and these in the disk's order, so that it can be read as it arrives.
    `size_bytes`: of the file.
    """

    def __init__(self, size: int, used: Extents, read: Callable[[int, int], bytes]) -> None:
        self._size, self._read = size, read
        self._tables = _by_table(used)
        span = CLUSTER // 8 * CLUSTER
        self._l1 = -(-size // span)
        data = sum(-(-(end - start) // CLUSTER) for extents in self._tables.values() for start, end in extents)
        self._before = 1 + _clusters(self._l1 * 8)
        rest = self._before + len(self._tables) + data
        blocks = 1
        while rest + blocks + _clusters(blocks * 8) > blocks * (CLUSTER // 2):
            blocks += 1
        self._blocks, self._clusters = blocks, rest + blocks + _clusters(blocks * 8)

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return self._clusters * CLUSTER

    def __iter__(self) -> Iterator[bytes]:
        counts = self._before * CLUSTER
        yield _padded(self._header(counts))
        at = counts + (_clusters(self._blocks * 8) + self._blocks) * CLUSTER
        places = array("Q", bytes(self._l1 * 8))
        for number, extents in self._tables.items():
            places[number] = at | _COPIED
            at += CLUSTER + sum(-(-(end - start) // CLUSTER) * CLUSTER for start, end in extents)
        yield _padded(_big(places))
        first = counts + _clusters(self._blocks * 8) * CLUSTER
        yield _padded(_big(array("Q", (first + n * CLUSTER for n in range(self._blocks)))))
        for number in range(self._blocks):
            yield _padded(b"\0\1" * min(CLUSTER // 2, self._clusters - number * (CLUSTER // 2)))
        at = first + self._blocks * CLUSTER
        for extents in self._tables.values():
            yield self._second(extents, at + CLUSTER)
            for start, end in extents:
                for place in range(start, end, PIECE):
                    yield _padded(self._read(place, min(PIECE, end - place, self._size - place)))
            at += CLUSTER + sum(-(-(end - start) // CLUSTER) * CLUSTER for start, end in extents)

    def _header(self, counts: int) -> bytes:
        bits = CLUSTER.bit_length() - 1
        fixed = struct.pack(">4sIQIIQIIQQIIQ", MAGIC, 3, 0, 0, bits, self._size, 0, self._l1, CLUSTER, counts,
                            _clusters(self._blocks * 8), 0, 0)  # fmt: skip
        return fixed + struct.pack(">QQQII", 0, 0, 0, 4, HEADER_BYTES)

    def _second(self, extents: list[tuple[int, int]], at: int) -> bytes:
        """The table of extents that lie one after another from `at` on."""
        table = array("Q", bytes(CLUSTER))
        for start, end in extents:
            for place in range(start, end, CLUSTER):
                table[place // CLUSTER % (CLUSTER // 8)] = at | _COPIED
                at += CLUSTER
        return _big(table)


def _by_table(used: Extents) -> dict[int, list[tuple[int, int]]]:
    """Extents by the number of the second table that they stand in."""
    found: dict[int, list[tuple[int, int]]] = {}
    span = CLUSTER // 8 * CLUSTER
    for start, end in used:
        while start < end:
            stop = min(end, (start // span + 1) * span)
            found.setdefault(start // span, []).append((start, stop))
            start = stop
    return found


def _clusters(length: int) -> int:
    return -(-length // CLUSTER)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % CLUSTER)


def _big(table: array[int]) -> bytes:
    if sys.byteorder == "little":
        table = table[:]
        table.byteswap()
    return table.tobytes()
