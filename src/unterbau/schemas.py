# SPDX-License-Identifier: Apache-2.0
"""The published JSON schemas of what the program prints and writes. `cli` prints them, docs/schema holds them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from unterbau.catalogue.model import Technology
from unterbau.judge.evidence import StackCheck
from unterbau.judge.judgement import Difference, Judgement, Since
from unterbau.judge.rule import RuleSet
from unterbau.prove.evidence import ProofCheck
from unterbau.prove.inventory import Inventory
from unterbau.prove.proof import Proof
from unterbau.stack.stackfile import StackFile
from unterbau.switch.close import Closed, Marks
from unterbau.switch.evidence.bundle import CheckResult, Context
from unterbau.switch.plan import Plan
from unterbau.switch.verify import Contents
from unterbau.tenant.workload import Workload

ALL: dict[str, type[BaseModel]] = {
    "census": Workload,
    "plan": Plan,
    "verdicts": Contents,
    "closed": Closed,
    "marks": Marks,
    "evidence": CheckResult,
    "context": Context,
    "inventory": Inventory,
    "proof": Proof,
    "proof-evidence": ProofCheck,
    "judgement": Judgement,
    "since": Since,
    "difference": Difference,
    "stack-evidence": StackCheck,
    "technology": Technology,
    "rules": RuleSet,
    "stack": StackFile,
}

INPUTS = frozenset(["inventory", "technology", "rules", "stack"])
"""What people write by hand."""


def schema(name: str) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of one of `ALL`: of files that people write as they are read, else as written."""
    return ALL[name].model_json_schema(mode="validation" if name in INPUTS else "serialization")
