# SPDX-License-Identifier: Apache-2.0
"""The published JSON schemas of what the program prints and writes. `cli` prints them, docs/schema holds them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from unterbau.evidence.bundle import CheckResult, Context
from unterbau.plan import Plan
from unterbau.verify import Contents
from unterbau.workload import Workload

ALL: dict[str, type[BaseModel]] = {
    "census": Workload,
    "plan": Plan,
    "verdicts": Contents,
    "evidence": CheckResult,
    "context": Context,
}


def schema(name: str) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of one of `ALL`, as it is written."""
    return ALL[name].model_json_schema(mode="serialization")
