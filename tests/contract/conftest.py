# SPDX-License-Identifier: Apache-2.0
"""The clouds of the contract: the simulator always, a real one if asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from making import WAIT, Maker

from unterbau.cloud.port import Cloud
from unterbau.cloud.simulator import Simulator


@pytest.fixture(
    params=["simulator", pytest.param("openstack", marks=[pytest.mark.cloud, pytest.mark.filterwarnings("ignore")])]
)
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Cloud:
    if request.param == "simulator":
        return Simulator(tmp_path)
    from unterbau import wiring

    return wiring.open_cloud(request.getfixturevalue("target_cloud"))


@pytest.fixture
def make(cloud: Cloud) -> Iterator[Maker]:
    maker = Maker(cloud)
    yield maker
    for reference in reversed(maker.made):
        cloud.delete(reference, WAIT)
