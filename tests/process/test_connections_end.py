# SPDX-License-Identifier: Apache-2.0
"""The connections of a command end with it, also when it failed, and whoever still holds its error."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lying_cloud import Asked, Scene, Told, standing

from unterbau.cli import cli
from unterbau.errors import AuthFailed, UnterbauError

pytestmark = [
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are counted in /proc"),
]
TIMES = 5


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with standing(tmp_path_factory.mktemp("scene")) as scene:
        yield scene


def connections(ports: set[int]) -> int:
    """How many connections to those ports this process has open, as the kernel tells them."""
    ours = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            ours.add(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue
    rows = (line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:])
    return sum(f"socket:[{row[9]}]" in ours and int(row[2].partition(":")[2], 16) in ports for row in rows)


def refused(asked: Asked) -> Told | None:
    """A cloud that knows `quelle` and refuses `ziel`."""
    if asked.path.endswith("/auth/tokens") and b'"password"' in asked.body:
        return Told(401, {"error": {"message": "no", "code": 401}})
    return None


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["census", "quelle"], None),
        (["prove", "quelle"], None),
        (["prove", "ziel"], AuthFailed),
        (["verify", "quelle", "ziel"], AuthFailed),
        (["plan", "quelle", "ziel"], AuthFailed),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_command_leaves_no_connection_open(
    scene: Scene, words: list[str], error: type[UnterbauError] | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(scene.file))
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    scene.cloud.lie = refused
    ports = {urlsplit(scene.cloud.url).port or 0}
    held: list[UnterbauError] = []
    assert connections(ports) == 0
    gc.disable()
    try:
        for _ in range(TIMES):
            try:
                cli.main([*words, "--quiet"], standalone_mode=False)
            except UnterbauError as raised:
                held.append(raised)
            assert connections(ports) == 0
    finally:
        gc.enable()
    assert [type(one) for one in held] == ([error] * TIMES if error else [])
