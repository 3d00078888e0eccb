# SPDX-License-Identifier: Apache-2.0
"""The type of the fixture `world`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unterbau.cloud.simulator import Simulator
from unterbau.switch.plan import Plan
from unterbau.tenant.workload import Workload


@dataclass
class World:
    """Two simulated clouds, and the plan by which the tenant was moved."""

    root: Path
    source: Simulator
    target: Simulator
    plan: Plan
    workload: Workload
