# SPDX-License-Identifier: Apache-2.0
"""The published JSON schemas of what the program prints and writes. `cli` prints them, docs/schema holds them.

The models are named, and loaded when their schema is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

ALL = {
    "census": "tenant.workload:Workload",
    "plan": "switch.plan:Plan",
    "answers": "switch.probes.model:Recorded",
    "outage": "switch.probes.outage:Watched",
    "verdicts": "switch.verify:Contents",
    "closed": "switch.close:Closed",
    "marks": "switch.close:Marks",
    "evidence": "switch.evidence.bundle:CheckResult",
    "context": "switch.evidence.bundle:Context",
    "inventory": "prove.inventory:Inventory",
    "proof": "prove.proof:Proof",
    "proof-evidence": "prove.evidence:ProofCheck",
    "judgement": "judge.judgement:Judgement",
    "since": "judge.judgement:Since",
    "difference": "judge.judgement:Difference",
    "stack-evidence": "judge.evidence:StackCheck",
    "doctor": "doctor:Findings",
    "images": "images.model:Listed",
    "images-made": "images.model:MadeAll",
    "image-catalogue": "images.model:Catalogue",
    "technology": "catalogue.model:Technology",
    "rules": "judge.rule:RuleSet",
    "stack": "stack.stackfile:StackFile",
}
"""The model of each, by module and class."""

INPUTS = frozenset(["image-catalogue", "inventory", "technology", "rules", "stack"])
"""What people write by hand."""


def schema(name: str) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of one of `ALL`: of files that people write as they are read, else as written."""
    module, _, model = ALL[name].partition(":")
    found = getattr(import_module(f"unterbau.{module}"), model)
    told: dict[str, Any] = found.model_json_schema(mode="validation" if name in INPUTS else "serialization")
    return told
