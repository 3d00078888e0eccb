# SPDX-License-Identifier: Apache-2.0
"""Bytes from one cloud to another without touching the disk, hashed in passing. `steps` calls it.

A thread reads ahead from the source while the caller's request writes to the target: the slower wire decides.
What is one chunk has nothing to be read ahead and needs none. Chunks are about 1 MiB; hashing releases the interpreter. A stream that breaks off raises, and the step is
tried again as a whole. The hash is for the journal; the verifier takes its own.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from unterbau.cloud.port import ByteStream
from unterbau.saga import JsonObject, Progress

_CHUNK = 1 << 20
_AHEAD = 4
"""Chunks held between reader and writer."""


class Relay:
    """Iterate it once: it is what the target's upload reads. Then `outcome()` says what passed."""

    def __init__(self, stream: ByteStream, progress: Progress) -> None:
        self._stream, self._progress = stream, progress
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=_AHEAD)
        self._given_up = threading.Event()
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._started = time.monotonic()

    def _read(self) -> None:
        try:
            for chunk in self._stream:
                self._digest.update(chunk)
                if not self._put(chunk):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the writer, which raises it
            self._put(error)

    def _put(self, item: bytes | BaseException | None) -> bool:
        while not self._given_up.is_set():
            try:
                self._queue.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def _read_here(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._digest.update(chunk)
            yield self._passed(chunk)

    def _passed(self, chunk: bytes) -> bytes:
        self._bytes += len(chunk)
        self._progress(self._bytes, self._stream.size_bytes)
        return chunk

    def __iter__(self) -> Iterator[bytes]:
        size = self._stream.size_bytes
        if size is not None and size <= _CHUNK:
            yield from self._read_here()
            return
        reader = threading.Thread(target=self._read, name="relay", daemon=True)
        reader.start()
        try:
            while True:
                item = self._queue.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield self._passed(item)
        finally:
            self._given_up.set()
            reader.join(timeout=30)

    def outcome(self) -> JsonObject:
        """What passed: bytes, sha256 (hex), seconds."""
        seconds = round(time.monotonic() - self._started, 3)
        return {"bytes": self._bytes, "sha256": self._digest.hexdigest(), "seconds": seconds}


def relay(
    opened: AbstractContextManager[ByteStream],
    write: Callable[[Relay, int | None], None],
    progress: Progress,
) -> JsonObject:
    """Stream from `opened` into `write(data, size_bytes)`; returns what passed."""
    with opened as stream:
        data = Relay(stream, progress)
        write(data, stream.size_bytes)
        return data.outcome()
