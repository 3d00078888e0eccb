# SPDX-License-Identifier: Apache-2.0
"""qcow2 as we read and write it: against QEMU's own tool, which the product does not need, and against hostile files."""

from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess
import tempfile
import tracemalloc
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unterbau import qcow2

QEMU = shutil.which("qemu-img")
if QEMU is None:
    warnings.warn("NOT RUN: nothing here is compared with qemu-img, which is not installed (qemu-utils)", stacklevel=1)
by_qemu = pytest.mark.skipif(QEMU is None, reason="qemu-img is not installed: apt-get install qemu-utils")

FORMS = {
    "version 3": [],
    "version 2": ["-o", "compat=0.10"],
    "compressed": ["-c"],
    "compressed, out of order, small clusters": ["-c", "-W", "-o", "cluster_size=4k"],
    "clusters of 512 bytes": ["-o", "cluster_size=512"],
    "clusters of 2 MiB": ["-o", "cluster_size=2M"],
    "out of order": ["-W"],
    "tables first": ["-o", "preallocation=metadata"],
    "wide counters": ["-o", "refcount_bits=64"],
    "zeros written out": ["-S", "0"],
}
REFUSED = {
    "compression": ["-c", "-o", "compression_type=zstd"],
    "subclusters": ["-o", "extended_l2=on"],
}


def qemu(*arguments: str | Path) -> str:
    assert QEMU
    done = subprocess.run([QEMU, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def joined(pieces: Iterable[qcow2.Piece]) -> bytes:
    return b"".join(bytes(piece) for piece in pieces)


def disk_of(file: bytes, most: int, *, chunk: int = 1 << 20) -> bytes:
    chunks = (file[at : at + chunk] for at in range(0, len(file), chunk))
    with tempfile.TemporaryFile() as spool:
        return joined(qcow2.Disk(chunks, most, lambda: spool))


def file_of(disk: bytes, spans: Iterable[tuple[int, int]] | None = None) -> bytes:
    def read(place: int, length: int) -> bytes:
        return disk[place : place + length]

    used = qcow2.in_use(spans if spans is not None else [(0, len(disk))], read)
    made = qcow2.Written(len(disk), used, read)
    file = b"".join(made)
    assert len(file) == made.size_bytes
    return file


@pytest.fixture(scope="module")
def raw() -> bytes:
    """A disk with data here and there, sectors among zeros, and a length that no cluster divides."""
    rng, size = random.Random(1), (24 << 20) + 7 * 512
    disk = bytearray(size)
    for _ in range(60):
        place, length = rng.randrange(size // 512 - 400) * 512, rng.choice([512, 4096, 65536, 200_000])
        disk[place : place + length] = rng.randbytes(length)
    disk[5 << 20 : 6 << 20] = b"text " * ((1 << 20) // 5) + b"."
    disk[-512:] = b"x" * 512
    return bytes(disk)


@pytest.mark.thorough
@by_qemu
@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS.keys())
def test_what_qemu_writes_is_read_as_the_same_disk(raw: bytes, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(raw)
    qemu("convert", "-f", "raw", "-O", "qcow2", *options, tmp_path / "raw", tmp_path / "file")
    file = (tmp_path / "file").read_bytes()
    assert disk_of(file, len(raw)) == raw
    assert disk_of(file, len(raw), chunk=1000) == raw


@pytest.mark.thorough
@by_qemu
def test_an_internal_snapshot_is_passed_over(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(raw)
    qemu("convert", "-f", "raw", "-O", "qcow2", tmp_path / "raw", tmp_path / "file")
    qemu("snapshot", "-c", "before", tmp_path / "file")
    assert disk_of((tmp_path / "file").read_bytes(), len(raw)) == raw


@pytest.mark.thorough
@by_qemu
def test_a_disk_of_nothing_is_zeros(tmp_path: Path) -> None:
    qemu("create", "-f", "qcow2", tmp_path / "file", "10G")
    file = (tmp_path / "file").read_bytes()
    assert list(qcow2.Disk([file], 10 << 30, io.BytesIO)) == [10 << 30]


@pytest.mark.thorough
@by_qemu
@pytest.mark.parametrize(("why", "options"), REFUSED.items(), ids=REFUSED.keys())
def test_what_is_not_read_is_refused_by_name(raw: bytes, why: str, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(raw)
    qemu("convert", "-f", "raw", "-O", "qcow2", *options, tmp_path / "raw", tmp_path / "file")
    with pytest.raises(qcow2.Unreadable, match=why):
        disk_of((tmp_path / "file").read_bytes(), len(raw))


@pytest.mark.thorough
@by_qemu
def test_files_that_need_another_file_are_refused(tmp_path: Path) -> None:
    qemu("create", "-f", "qcow2", tmp_path / "base", "1M")
    qemu("create", "-f", "qcow2", "-b", tmp_path / "base", "-F", "qcow2", tmp_path / "backed")
    qemu("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", tmp_path / "outside", "1M")
    for name, why in (("backed", "backing file"), ("outside", "external data file")):
        with pytest.raises(qcow2.Unreadable, match=why):
            disk_of((tmp_path / name).read_bytes(), 1 << 20)


@pytest.mark.thorough
@by_qemu
def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    """As the older of the two ways has it: for LUKS qemu-img measures the processor, and fails on a busy machine. Both stand in one field."""
    qemu("create", "-f", "qcow2", "--object", "secret,id=s,data=words", "-o", "encrypt.format=aes,encrypt.key-secret=s",
         tmp_path / "file", "1M")  # fmt: skip
    aes = (tmp_path / "file").read_bytes()
    for data in (aes, aes[:32] + (2).to_bytes(4, "big") + aes[36:]):
        with pytest.raises(qcow2.Unreadable, match="encrypted"):
            disk_of(data, 1 << 20)


@pytest.mark.thorough
@by_qemu
def test_what_we_write_qemu_finds_whole_and_equal(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(raw)
    (tmp_path / "file").write_bytes(file_of(raw))
    assert "No errors were found" in qemu("check", tmp_path / "file")
    assert "identical" in qemu("compare", "-f", "raw", "-F", "qcow2", tmp_path / "raw", tmp_path / "file")


@pytest.mark.thorough
@by_qemu
def test_a_file_of_more_clusters_than_one_block_counts_is_whole(tmp_path: Path) -> None:
    """Each cluster of 3 GiB is in use; they are written as holes, so that the disk of this machine has room."""
    size, data = 3 << 30, b"x" * qcow2.PIECE
    made = qcow2.Written(size, [(0, size)], lambda place, length: data[:length])
    with (tmp_path / "file").open("wb") as file:
        for piece in made:
            file.seek(len(piece), 1) if piece == data else file.write(piece)
        file.truncate(made.size_bytes)
    assert "No errors were found" in qemu("check", tmp_path / "file")


def disks() -> st.SearchStrategy[bytes]:
    """A few clusters of zeros, of one byte, of data, and an odd end."""
    cluster = st.one_of(st.just(b"\0"), st.binary(min_size=1, max_size=4))
    whole = st.lists(cluster, max_size=6).map(lambda cs: b"".join(c.ljust(qcow2.CLUSTER, c[:1]) for c in cs))
    return st.tuples(whole, st.integers(0, 4)).map(lambda pair: pair[0] + b"e" * 512 * pair[1])


@pytest.mark.thorough
@given(disks(), st.sampled_from([512, 70_001, 1 << 20]))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(disk: bytes, chunk: int) -> None:
    file = file_of(disk)
    assert disk_of(file, len(disk), chunk=chunk) == disk
    assert len(file) <= 7 * qcow2.CLUSTER + sum(
        qcow2.CLUSTER for at in range(0, len(disk), qcow2.CLUSTER) if disk[at : at + qcow2.CLUSTER].strip(b"\0")
    )


@pytest.mark.thorough
def test_what_is_written_by_us_waits_in_no_spool_but_its_header() -> None:
    disk = random.Random(2).randbytes(20 << 20)
    with tempfile.TemporaryFile() as spool:
        assert joined(qcow2.Disk([file_of(disk)], len(disk), lambda: spool)) == disk
        assert len(spool.read()) <= 8 * qcow2.CLUSTER


# --- hostile files

SIZE = 1 << 20
GOOD = file_of(random.Random(3).randbytes(SIZE // 2) + bytes(SIZE // 2))


def changed(place: int, form: str, *values: int) -> bytes:
    return GOOD[:place] + struct.pack(form, *values) + GOOD[place + struct.calcsize(form) :]


L1 = struct.unpack_from(">Q", GOOD, 40)[0]
L2 = struct.unpack_from(">Q", GOOD, L1)[0] & ~(1 << 63)
HOSTILE = {
    "no qcow2": (b"\0" * 200, "no qcow2"),
    "its magic alone": (GOOD[:4], "no qcow2"),
    "a header that is cut": (GOOD[:90], "within its header"),
    "version 4": (changed(4, ">I", 4), "version 4"),
    "an unknown feature": (changed(72, ">Q", 1 << 40), "bit 40"),
    "marked as corrupt": (changed(72, ">Q", 2), "corrupt"),
    "clusters of 2^63": (changed(20, ">I", 63), "2\\^63"),
    "a disk of 2^62 bytes": (changed(24, ">Q", 1 << 62), "at most"),
    "an absurd first table": (changed(36, ">I", 0xFFFFFFFF), "first table"),
    "no first table": (changed(36, ">I", 0), "first table"),
    "a first table behind the end": (changed(40, ">Q", 1 << 50), "behind its end"),
    "a second table behind the end": (changed(L1, ">Q", 1 << 50), "behind its end"),
    "a second table that is the first": (changed(L1, ">Q", L1), "twice"),
    "a second table in the middle of a cluster": (changed(L1, ">Q", L2 + 512), "middle"),
    "marks that mean nothing": (changed(L2, ">Q", L2 + qcow2.CLUSTER | 1 << 58), "mean nothing"),
    "one cluster twice": (changed(L2, ">QQ", *[L2 + qcow2.CLUSTER] * 2), "twice"),
    "a cluster that is a table": (changed(L2, ">Q", L2), "twice"),
    "a cluster behind the end": (changed(L2, ">Q", len(GOOD)), "behind its end"),
    "a compressed cluster of nonsense": (changed(L2, ">Q", 1 << 62 | L2 + qcow2.CLUSTER), "compressed"),
    "a file that is cut": (GOOD[: len(GOOD) - 2 * qcow2.CLUSTER], "behind its end"),
}


@pytest.mark.parametrize(("file", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_ends_in_one_clear_error(file: bytes, why: str) -> None:
    with pytest.raises(qcow2.Unreadable, match=why):
        disk_of(file, SIZE)


def test_a_zero_mark_means_nothing_in_version_2() -> None:
    file = bytearray(changed(L2, ">Q", 1))
    struct.pack_into(">I", file, 4, 2)
    with pytest.raises(qcow2.Unreadable, match="mean nothing"):
        disk_of(bytes(file), SIZE)
    assert disk_of(changed(L2, ">Q", 1), SIZE)[: qcow2.CLUSTER] == bytes(qcow2.CLUSTER)


def test_what_is_scattered_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second cluster is passed over, so that the places to remember grow with the file."""
    monkeypatch.setattr(qcow2, "MOST_GAPS", 3)
    clusters = SIZE // 2 // qcow2.CLUSTER
    backwards = [L2 + (1 + at) * qcow2.CLUSTER for at in range(1, clusters, 2)]
    file = changed(L2, f">{clusters}Q", *(*backwards, *[0] * (clusters - len(backwards))))
    with pytest.raises(qcow2.Unreadable, match="scattered"):
        disk_of(file, SIZE)


@pytest.mark.thorough
@given(st.lists(st.tuples(st.one_of(st.integers(0, 103), st.integers(L1, L1 + 15), st.integers(L2, L2 + 200)),
                          st.integers(0, 255)), max_size=6), st.integers(0, len(GOOD)))  # fmt: skip
@example([], len(GOOD))
@settings(max_examples=300, deadline=None)
def test_any_change_of_header_and_tables_gives_a_disk_of_its_length_or_one_error(
    changes: list[tuple[int, int]], end: int
) -> None:
    file = bytearray(GOOD)
    for place, value in changes:
        file[place] = value
    tracemalloc.start()
    try:
        with tempfile.TemporaryFile() as spool:
            disk = qcow2.Disk(pieces(bytes(file[:end])), SIZE, lambda: spool)
            assert sum(piece if isinstance(piece, int) else len(piece) for piece in disk) == disk.size <= SIZE
    except qcow2.Unreadable:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 12 << 20


def pieces(file: bytes) -> Iterator[bytes]:
    for at in range(0, len(file), 1 << 18):
        yield file[at : at + (1 << 18)]


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_disk() -> None:
    """Zeros of 1 TiB, and 64 MiB of data behind a piece that is always the same."""
    data = b"x" * qcow2.PIECE

    def peak(size: int, used: int) -> int:
        made = qcow2.Written(size, [(0, used)], lambda place, length: data[:length])
        tracemalloc.start()
        with tempfile.TemporaryFile() as spool:
            length = sum(p if isinstance(p, int) else len(p) for p in qcow2.Disk(made, size, lambda: spool))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert length == size
        return found

    assert peak(1 << 40, 64 << 20) < peak(1 << 27, 8 << 20) + (4 << 20)


def test_a_volume_that_starts_like_a_qcow2_is_still_data_to_the_writer() -> None:
    inner = file_of(b"inner".ljust(qcow2.CLUSTER, b"."))
    assert disk_of(file_of(inner), len(inner)) == inner
