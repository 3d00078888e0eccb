# SPDX-License-Identifier: Apache-2.0
"""A wait for a cloud says what it waits for, and ends when the process is asked to stop."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest

from unterbau.cloud import waiting
from unterbau.cloud.port import said
from unterbau.errors import Interrupted, Unreachable
from unterbau.verdict import Reason, words

LONG = timedelta(hours=1)
ALARM = 60.0


@pytest.mark.thorough
def test_a_stop_ends_a_wait_long_before_its_deadline() -> None:
    stop, asked = threading.Event(), threading.Event()

    def look() -> None:
        asked.set()

    with waiting.heeding(stop, lambda line: None), ThreadPoolExecutor() as pool:
        waits: Future[object] = pool.submit(waiting.wait, look, LONG, "volume:1")
        assert asked.wait(ALARM)
        stop.set()
        with pytest.raises(Interrupted, match="waiting for volume:1"):
            waits.result(ALARM)


@pytest.mark.thorough
def test_what_ends_directly_after_a_stop_is_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most deletions that a clean-up asks for: it may go on."""
    monkeypatch.setattr(waiting, "GRACE_SECONDS", ALARM)
    stop = threading.Event()
    stop.set()
    answers = iter([None, None, "gone"])
    with waiting.heeding(stop, lambda line: None):
        assert waiting.wait(lambda: next(answers), LONG, "volume:1") == "gone"


@pytest.mark.thorough
def test_a_long_wait_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "QUIET_SECONDS", 0.0)
    said: list[str] = []
    with waiting.heeding(threading.Event(), said.append), pytest.raises(Unreachable, match="last status: detaching"):
        waiting.wait(lambda: None, timedelta(seconds=0.3), "attachment:s/v", last=lambda: "detaching")
    assert len(said) == 1 and said[0].startswith("waiting for attachment:s/v (last status: detaching): ")


@pytest.mark.thorough
def test_after_a_command_nobody_listens_any_more() -> None:
    stop = threading.Event()
    stop.set()
    with waiting.heeding(stop, lambda line: None):
        pass
    with pytest.raises(Unreachable):
        waiting.wait(lambda: None, timedelta(seconds=0.1), "volume:1")


@pytest.mark.thorough
def test_what_did_not_come_in_time_is_a_reason_in_each_language() -> None:
    with pytest.raises(Unreachable) as caught:
        waiting.wait(
            lambda: None, timedelta(seconds=0.1), Reason.of("wait.deletion", thing="volume:1"), last=lambda: "deleting"
        )
    assert caught.value.what == "the deletion of volume:1 (last status: deleting): not within 0 s"
    told = words(said(caught.value), "de")
    assert told == "Unreachable: das Löschen von volume:1 (Status zuletzt: deleting): nicht innerhalb von 0 s"
