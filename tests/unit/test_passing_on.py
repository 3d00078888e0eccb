# SPDX-License-Identifier: Apache-2.0
"""What each of many small contents must not cost: a thread of its own, and another look at when the token ends."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from unterbau.cloud.openstack import session
from unterbau.cloud.openstack.session import Session
from unterbau.errors import Broken
from unterbau.switch.move.transfer import Relay, relay


class Stream:
    """Chunks of a content whose length is told, or not."""

    def __init__(self, chunks: list[bytes], size: int | None, fails: bool = False) -> None:
        self.chunks, self.size_bytes, self.fails = chunks, size, fails
        self.readers: set[str] = set()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.readers.add(threading.current_thread().name)
            yield chunk
        if self.fails:
            raise Broken("the body broke off")


@pytest.mark.parametrize(
    ("chunks", "size", "ahead"),
    [([b"ab", b"c"], 3, False), ([b""], 0, False), ([b"x"] * 3, None, True), ([b"y" * (1 << 20)] * 2, 2 << 20, True)],
)
def test_what_is_one_chunk_is_read_without_a_thread(chunks: list[bytes], size: int | None, ahead: bool) -> None:
    stream, got, told = Stream(chunks, size), list[bytes](), list[int]()

    def write(data: Relay, length: int | None) -> None:
        assert length == size
        got.extend(data)

    outcome = relay(nullcontext(stream), write, lambda done, of: told.append(done))
    whole = b"".join(chunks)
    assert b"".join(got) == whole
    assert (outcome["bytes"], outcome["sha256"]) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert told[-1] == len(whole)
    assert ("relay" in stream.readers) is ahead


@pytest.mark.parametrize("size", [2, None])
def test_a_stream_that_breaks_off_raises_at_the_writer(size: int | None) -> None:
    def write(data: Relay, length: int | None) -> None:
        list(data)

    with pytest.raises(Broken, match="broke off"):
        relay(nullcontext(Stream([b"a"], size, fails=True)), write, lambda done, of: None)


class Access:
    """What a Keystone told."""

    def __init__(self, token: str) -> None:
        self.auth_token = token


def test_a_token_is_looked_at_once_a_second_and_anew_when_it_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looked = [100.0], list[str]()
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    made: Any = Session.__new__(Session)
    made._asked = ("", 0.0)
    made.session = type("Keystone", (), {"invalidate": lambda self: True})()

    def access() -> Access:
        looked.append(f"token-{len(looked)}")
        return Access(looked[-1])

    made.access = access
    assert [made.token() for _ in range(5)] == ["token-0"] * 5
    clock[0] += session.ASKED_SECONDS
    assert made.token() == "token-1"
    made.renew()
    assert made.token() == "token-2"
