# SPDX-License-Identifier: Apache-2.0
"""Disks as images: in which form a cloud gives one, and the guest's bytes of it. Mover and verifier call it.

Cinder uploads a volume in the form that it is asked for, or the image vanishes: whether a cloud can is seen only by
trying. As qcow2 what is in use passes, as raw every zero, too. What is asked for as raw is raw, whatever stands in it: the
guest writes its first bytes. What is asked for as qcow2 must look like it, and not be as long as the volume. The disk that a server
has on its host Nova gives in the form of its own choice, or not at all.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, cast

from unterbau import qcow2
from unterbau.cloud.port import ByteStream, Cloud, Reader, said
from unterbau.cloud.waiting import heeded, ran_out
from unterbau.errors import Broken, Conflict, Forbidden, Interrupted, OverQuota, Unreachable, Unsupported
from unterbau.tenant.kinds import Image, Kind, Resource, Volume, ref
from unterbau.tenant.kinds.volume import GIB, QCOW2
from unterbau.verdict import Reason, Words

Form: TypeAlias = Literal["qcow2", "raw"]
RAW: Form = "raw"
_ZEROS = bytes(qcow2.PIECE)
_STILL = ("queued", "saving", "importing", "active")
"""States of an image that Cinder has not given up."""


def form_of(image: Resource | None) -> Form:
    """The form that Glance says an image is of."""
    return QCOW2 if isinstance(image, Image) and image.disk_format == QCOW2 else RAW


def length_of(disk: Resource) -> int:
    """How long a disk is, in bytes."""
    return disk.disk_gib() * GIB


def _type(disk: Resource) -> str:
    return f"volumes of type {disk.volume_type}" if isinstance(disk, Volume) else "disks"


FIRST_SECONDS = 10.0
"""How long others wait for what becomes of the first image of a server: a cloud that gives none shows so sooner."""


class Forms:
    """In which form one cloud gives and takes disks, as far as a command has found out. Safe from several threads."""

    def __init__(self, cloud: Cloud, side: str) -> None:
        self._cloud, self._side = cloud, side
        self._lock = threading.Lock()
        self._refused = set[str]()
        self._first = threading.Lock()
        self._gives: bool | None = None
        self._why: Words = ""
        """Whether this cloud gives the disks of servers, and why not."""

    def can(self, what: str) -> bool:
        """Whether qcow2 is worth a try for it: nobody has refused it and taken raw."""
        with self._lock:
            return what not in self._refused

    def cannot(self, what: str, why: str) -> None:
        """It was refused, and raw was taken instead: say so, once."""
        with self._lock:
            known = what in self._refused
            self._refused.add(what)
        if not known:
            heeded().say(f"{self._side}: {what} are raw, so that every zero passes: {why}")

    def uploaded(
        self, wish: Resource, disk: Resource, origin: str, make: Callable[[Resource], str], deadline: timedelta
    ) -> Resource:
        """The settled image of a disk: as qcow2, or as raw if this cloud cannot. It may be done again under one marker.

        `wish`: the image; `origin`: the id of the volume that is uploaded, which is `disk` or a copy of it; `make` ensures
        a wish under its marker. Raises what `make` and `settle` raise of raw.
        """
        what, why, most = f"images of {_type(disk)}", "", length_of(disk)
        if self.can(what):
            there = why = ""
            try:
                there = make(wish.model_copy(update={"disk_format": QCOW2}))
                found = self._cloud.settle(ref(Kind.IMAGE, there), deadline)
                why = self._unfit(found, most)
                if not why:
                    return found
                self._cloud.delete(found.ref, deadline)
            except Conflict as error:
                if not names_form(error):
                    raise
                why = error.what
            except Broken as error:
                if error.uncertain or not there or self._goes_on(there):
                    raise
                why = error.what
            self._cloud.settle(ref(disk.own_kind, origin), deadline)
        made = make(wish.model_copy(update={"disk_format": RAW}))
        found = self._cloud.settle(ref(Kind.IMAGE, made), deadline)
        if why:
            self.cannot(what, why)
        return found

    def saved(
        self, wish: Resource, make: Callable[[Resource], str], delete: Callable[[], None], deadline: timedelta
    ) -> tuple[Resource | None, Words]:
        """The settled image of the disk that a server has on its host; or None, and why its cloud gives none.

        `make` ensures a wish under its marker, `delete` takes away all under it. A cloud that gives no server's disk is asked
        once. Raises what may be another time: Unreachable, AuthFailed, ...
        """
        alone = self._gives is None and self._first.acquire(timeout=FIRST_SECONDS)
        try:
            if self._gives is False:
                return None, self._why
            found, why, forever = self._saved(wish, make, deadline)
            if found is None:
                delete()
            with self._lock:
                news = forever and self._gives is None
                if found is not None or news:
                    self._gives, self._why = found is not None, why
            if news:
                heeded().say(f"{self._side}: no server's own disk is carried, since this cloud gives none: {why}")
            return found, why
        finally:
            if alone:
                self._first.release()

    def _saved(
        self, wish: Resource, make: Callable[[Resource], str], deadline: timedelta
    ) -> tuple[Resource | None, Words, bool]:
        """Also whether any other server's would fare no better."""
        id_ = ""
        try:
            id_ = make(wish)
            found = self._cloud.settle(ref(Kind.IMAGE, id_), deadline)
        except (Forbidden, Unsupported) as error:
            return None, said(error), True
        except (Conflict, OverQuota) as error:
            return None, said(error), False
        except Broken as error:
            if error.uncertain or not id_:
                raise
            there = self._cloud.read(ref(Kind.IMAGE, id_))
            return None, said(error), there is not None and getattr(there, "status", "") == "queued"
        except Unreachable as error:
            if not ran_out(error):
                raise
            return None, said(error), False
        form = getattr(found, "disk_format", None)
        if not getattr(found, "size_bytes", None):
            return None, Reason.of("disk.empty"), True
        if form not in (QCOW2, RAW):
            return None, Reason.of("disk.form", form=str(form)), True
        return found, "", False

    def _goes_on(self, image_id: str) -> bool:
        there = self._cloud.read(ref(Kind.IMAGE, image_id))
        return there is not None and getattr(there, "status", "") in _STILL

    def _unfit(self, image: Resource, most: int) -> str:
        """Why an image that was asked for as qcow2 is not taken; "" if it is, or if an earlier attempt asked for raw."""
        if form_of(image) == RAW:
            return ""
        if getattr(image, "size_bytes", None) == most:
            return "what it calls qcow2 is as long as the volume"
        try:
            qcow2.Header.of(self._cloud.image_start(image.id, qcow2.HEADER_BYTES), most)
        except qcow2.Unreadable as error:
            return f"what it calls qcow2 {error}"
        return ""


def names_form(error: Conflict) -> bool:
    """Whether a refusal is one of the form, and not of a state."""
    return "format" in error.what.lower()


class Trimmed:
    """The bytes up to the last that is not zero: the same of a disk that a larger flavor made longer; a `ByteStream`."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    @property
    def size_bytes(self) -> int | None:
        """With the zeros."""
        return self._stream.size_bytes

    def __iter__(self) -> Iterator[bytes]:
        """Nothing of a chunk of zeros for as long as nothing else follows."""
        zeros = 0
        for chunk in self._stream:
            kept = b"" if chunk == _ZEROS[: len(chunk)] else bytes(chunk).rstrip(b"\0")
            for start in range(0, zeros if kept else 0, len(_ZEROS)):
                yield _ZEROS[: min(zeros - start, len(_ZEROS))]
            zeros = len(chunk) - len(kept) + (0 if kept else zeros)
            yield kept


class _Guest:
    """The guest's bytes out of a qcow2 image, zeros included; a `ByteStream`."""

    def __init__(self, what: str, stream: ByteStream, most: int, spool: Callable[[], BinaryIO]) -> None:
        self._what = what
        try:
            self._disk = qcow2.Disk(_heeding(stream, what), most, spool)
        except qcow2.Unreadable as error:
            raise Broken(f"{what} {error}") from None

    @property
    def size_bytes(self) -> int:
        """Of the disk."""
        return self._disk.size

    def __iter__(self) -> Iterator[bytes]:
        """Zeros are always the same bytes, so that a long run of them costs nothing but its reader's time."""
        try:
            for piece in self._disk:
                if not isinstance(piece, int):
                    yield cast("bytes", piece)
                    continue
                for _ in range(piece // len(_ZEROS)):
                    yield _ZEROS
                if piece % len(_ZEROS):
                    yield _ZEROS[: piece % len(_ZEROS)]
        except qcow2.Unreadable as error:
            raise Broken(f"{self._what} {error}") from None


def _heeding(stream: ByteStream, what: str) -> Iterator[bytes]:
    """The chunks; a stop is heard at each, though many may come before the guest's next byte."""
    for chunk in stream:
        if heeded().stop.is_set():
            raise Interrupted(f"stopped while reading {what}", "Run the same command again.")
        yield chunk


def guest_bytes(
    cloud: Reader, image_id: str, form: Form, most: int, work: Path | None
) -> AbstractContextManager[ByteStream]:
    """What the guest sees of a volume that was uploaded to this image in this form; `most`: its length in bytes.

    What a qcow2 holds before its turn waits in a temporary file in `work`, which no one else can open and no crash leaves.
    Raises Broken, also while iterating, if it is no qcow2 that can be read.
    """
    opened = cloud.image_bytes(image_id)
    return opened if form == RAW else _unpacked(opened, f"image {image_id}", most, work)


@contextmanager
def _unpacked(
    opened: AbstractContextManager[ByteStream], what: str, most: int, work: Path | None
) -> Iterator[ByteStream]:
    with opened as stream, ExitStack() as closing:

        def spool() -> BinaryIO:
            return cast("BinaryIO", closing.enter_context(tempfile.TemporaryFile(dir=work)))

        yield _Guest(what, stream, most, spool)
