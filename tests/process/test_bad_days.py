# SPDX-License-Identifier: Apache-2.0
"""A cloud that is silent, slow, boundless or overloaded: every wait ends, every answer is bounded, every stop is heard.

The cloud is `lying_cloud` with the recorded answers of a real one; no real OpenStack can be told to misbehave so. The
program runs as a process of its own, since what is measured is its memory, and signals come to a process.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import watched
from lying_cloud import PATHS, Asked, Scene, Told, standing
from recorded import Recorded

from unterbau.cloud.bounds import Bounds, read
from unterbau.defaults import BOUND
from unterbau.errors import UsageError

MIB = 2**20
Started = tuple[subprocess.Popen[str], Path]
"""A process, and where what it says stands."""
NETWORKS = f"{PATHS['network']}/v2.0/networks"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with standing(tmp_path_factory.mktemp("scene")) as scene:
        yield scene


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    built.cloud.lie = Recorded()
    yield built
    built.cloud.lie = Recorded()


class Ran:
    """How a process of ours ended."""

    def __init__(self, code: int, out: str, err: str, seconds: float, peak: int) -> None:
        self.code, self.out, self.err, self.seconds, self.peak = code, out, err, seconds, peak

    @property
    def not_shown(self) -> dict[str, str]:
        """What a census could not look at, and why."""
        return {n["what"]: json.dumps(n["reason"]) for n in json.loads(self.out)["not_shown"]}

    @property
    def refs(self) -> set[str]:
        return {f"{r['kind']}:{r['id']}" for r in json.loads(self.out)["resources"]}


def started(scene: Scene, home: Path, *arguments: str) -> Started:
    env = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home / "s"), "OS_CLIENT_CONFIG_FILE": str(scene.file)}
    command = [sys.executable, "-m", "unterbau", "census", "quelle", "--format", "json", *arguments]
    with (home / "out").open("w") as out, (home / "err").open("w") as err:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=err, text=True)
    return process, home


def ended(started: Started) -> Ran:
    process, home = started
    seconds, peak = watched.ended(process, 300)
    out, err = (home / "out").read_text(), (home / "err").read_text()
    assert "Traceback" not in err, err
    return Ran(process.returncode, out, err, seconds, peak)


def census(scene: Scene, home: Path, *arguments: str) -> Ran:
    return ended(started(scene, home, *arguments))


@pytest.fixture(scope="module")
def whole(built: Scene, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    built.cloud.lie = Recorded()
    return census(built, tmp_path_factory.mktemp("home"))


def at(path: str, told: Told) -> Callable[[Asked, Told], Told | None]:
    return lambda asked, _: told if asked.path == path and asked.method == "GET" else None


# --- silence and slowness


def drip(client: Any, data: bytes) -> None:
    """The headers at once, then a byte every 50 ms."""
    head, _, body = data.partition(b"\r\n\r\n")
    client.sendall(head + b"\r\n\r\n")
    for byte in body:
        client.sendall(bytes([byte]))
        time.sleep(0.05)


def stall(client: Any, data: bytes) -> None:
    """The headers and a piece of the body, then nothing."""
    head, _, body = data.partition(b"\r\n\r\n")
    client.sendall(head + b"\r\n\r\n" + body[: len(body) // 2])
    time.sleep(120)


def hang(client: Any, data: bytes) -> None:
    """Nothing at all."""
    time.sleep(120)


LONG = [{"id": f"n{i}", "name": "x" * 40} for i in range(3000)]
WAYS: dict[str, tuple[Callable[[Any, bytes], None], str, str]] = {
    "a byte now and then": (drip, "slowest=30000,window=2,tries=2", "slower than 30 kB/s for 2 s"),
    "a body that stands still": (stall, "idle=2,tries=2", "2 s without a byte"),
    "no answer": (hang, "answer=2,tries=2", "timed out"),
}


@pytest.mark.parametrize("kind", WAYS)
def test_a_wait_ends_at_its_bound_and_costs_that_listing(scene: Scene, whole: Ran, tmp_path: Path, kind: str) -> None:
    way, bounds, word = WAYS[kind]
    scene.cloud.lie = Recorded(at(NETWORKS, Told(200, {"networks": LONG}, way=way)))
    ran = census(scene, tmp_path, "--bounds", bounds)
    assert ran.code == 3, ran.err
    assert word in ran.not_shown["network"].replace("Read timed out", "timed out")
    assert {r for r in whole.refs - ran.refs if not r.startswith(("network:", "subnet:", "port:"))} == set()


STOPPED: dict[str, Callable[[Asked, Told], Told | None]] = {
    "no answer": at(NETWORKS, Told(200, {"networks": LONG}, way=hang)),
    "a body that stands still": at(NETWORKS, Told(200, {"networks": LONG}, way=stall)),
    "a byte now and then": at(NETWORKS, Told(200, {"networks": LONG}, way=drip)),
    "a pause that was asked for": at(NETWORKS, Told(503, None, {"Retry-After": "100000"})),
    "a silent Keystone": lambda asked, told: None,
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", STOPPED)
def test_a_stop_is_heard_whatever_the_process_waits_for(
    scene: Scene, tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    """Against the shortest time after which it would have ended by itself, the bound of an answer."""
    reached = list[str]()
    recorded = Recorded(STOPPED[kind])

    def lie(asked: Asked) -> Told | None:
        keystone = kind == "a silent Keystone" and asked.path.endswith("/auth/tokens")
        if keystone or asked.path == NETWORKS:
            reached.append(asked.path)
        return Told(201, {}, way=hang) if keystone else recorded(asked)

    scene.cloud.lie = lie
    process = started(scene, tmp_path)
    while not reached:
        time.sleep(0.05)
    time.sleep(0.5)
    process[0].send_signal(number)
    ran = ended(process)
    assert ran.code == 5, (ran.code, ran.err)
    assert ran.seconds < Bounds().answer / 3


# --- boundless answers


def bomb(unpacked: int) -> bytes:
    return gzip.compress(b" " * (64 * MIB)) * (unpacked // (64 * MIB))


BOUNDLESS: dict[str, tuple[Callable[[], Told], str]] = {
    "a gzip bomb": (lambda: Told(200, bomb(2048 * MIB), {"Content-Encoding": "gzip"}), "more than 64 MiB"),
    "more than a listing has": (lambda: Told(200, b"[" + b" " * (65 * MIB) + b"]"), "more than 64 MiB"),
    "empty lists without number": (lambda: Told(200, b"[" + b"[]," * (20 * MIB) + b"[]]"), "1200000 values"),
    "brackets without end": (lambda: Told(200, b"[" * 200_000 + b"]" * 200_000), "nested too deep"),
    "empty lists as the text of a fault": (lambda: Told(400, b"[" + b"[]," * (20 * MIB) + b"[]]"), "HTTP 400"),
    "a bomb as the text of a fault": (lambda: Told(400, bomb(2048 * MIB), {"Content-Encoding": "gzip"}), "more than 64 MiB"),
}  # fmt: skip


BOX = f"{PATHS['object-store']}/fv-akten"
"""Swift is asked for bodies as they are, so none of its is unpacked."""
WHERE = [(kind, where) for kind in BOUNDLESS for where in (NETWORKS, BOX)
         if where == NETWORKS or "bomb" not in kind]  # fmt: skip


@pytest.mark.parametrize(("kind", "where"), WHERE)
def test_an_answer_is_bounded_before_it_is_decoded(
    scene: Scene, whole: Ran, tmp_path: Path, kind: str, where: str
) -> None:
    make, word = BOUNDLESS[kind]
    scene.cloud.lie = Recorded(at(where, make()))
    ran = census(scene, tmp_path)
    assert ran.code == 3, ran.err
    assert any(word in why for why in ran.not_shown.values()), ran.not_shown
    assert len(whole.refs - ran.refs) < len(whole.refs) / 2
    assert ran.peak < 512 * MIB


# --- an overloaded cloud


@pytest.mark.parametrize("seed", range(3))
def test_faults_of_one_request_in_ten_change_nothing(scene: Scene, whole: Ran, tmp_path: Path, seed: int) -> None:
    """Every service and Keystone alike: 500, 502, 503, 429, a connection that ends, half a body."""
    dice, seen = random.Random(seed), list[str]()

    def cut(client: Any, data: bytes) -> None:
        client.sendall(data[: len(data) // 2])
        raise OSError

    recorded = Recorded()

    def lie(asked: Asked) -> Told | None:
        honest = recorded(asked)
        if dice.random() >= 0.1:
            return honest
        seen.append(f"{asked.method} {asked.path}")
        status = dice.choice([500, 502, 503, 429, 0])
        if status == 429:
            return Told(429, None, {"Retry-After": "1"})
        return Told(status, {"error": "no"}) if status else Told(200, {"networks": []}, way=cut)

    scene.cloud.lie = lie
    ran = census(scene, tmp_path)
    assert len(seen) > 5
    assert whole.refs - ran.refs == set()
    assert {w: why for w, why in ran.not_shown.items() if w not in whole.not_shown} == {}
    assert "asked again after no answer or a fault" in ran.err


def test_a_keystone_that_limits_its_rate_is_asked_again(scene: Scene, whole: Ran, tmp_path: Path) -> None:
    left = [429, 429, 503]
    recorded = Recorded()

    def lie(asked: Asked) -> Told | None:
        if asked.path.endswith("/auth/tokens") and left:
            return Told(left.pop(), None, {"Retry-After": "1"})
        return recorded(asked)

    scene.cloud.lie = lie
    ran = census(scene, tmp_path)
    assert left == [] and ran.refs == whole.refs


# --- the option


@pytest.mark.parametrize(
    ("told", "word"),
    [("idle", "idle"), ("patience=3", "patience"), ("idle=-1", "idle"), ("tries=two", "tries"), ("mib=0", "mib")],
)
def test_a_bound_that_is_none_is_refused_with_what_there_is(told: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        read(told)


def test_bounds_are_read_over_the_defaults() -> None:
    assert read("idle=5, tries=2") == Bounds(idle=5, tries=2)
    assert read("") == Bounds()


def test_the_page_tells_each_bound_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bad-days.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", page, re.M))
    assert told == {name: f"{field.default:g}" if name != "slowest" else "30000" for name, field in Bounds.__dataclass_fields__.items()}  # fmt: skip


def test_the_help_names_each_bound() -> None:
    assert set(BOUND) == set(Bounds.__dataclass_fields__)
