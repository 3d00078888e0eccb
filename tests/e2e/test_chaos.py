# SPDX-License-Identifier: Apache-2.0
"""Each fault of `chaos` at some places of a drill, drawn by its name: the drill ends well, and nothing is left on either cloud.

`make chaos` makes each at twenty places (docs/bad-days.md); `make test` makes three of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chaos
import pytest

QUICK = ("504, but done", "cut in the answer", "no text at all")
PLACES = 3

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(1500),
    # openstacksdk, which plants and counts here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def stage(two_clouds: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[chaos.Stage]:
    with chaos.stage(two_clouds, tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.long) for n in chaos.FAULTS])
def test_a_disturbed_drill_is_gone_on_with_and_leaves_nothing(stage: chaos.Stage, tmp_path: Path, name: str) -> None:
    places = [chaos.drawn(part, PLACES, stage.requests, name) for part in range(PLACES)]
    played = chaos.play(stage, tmp_path / "home", name, places)
    assert played.hits and not played.defects, f"of {stage.requests} requests {places}: {played}"
