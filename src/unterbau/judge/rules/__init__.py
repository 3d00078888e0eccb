# SPDX-License-Identifier: Apache-2.0
"""The rule sets: one YAML file each, loaded and checked. `cli` calls `load`; users write their own in the same form.

`python -m unterbau.judge.rules [FILE...]` checks files. This module evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from unterbau.catalogue import faults, plain_yaml, read
from unterbau.errors import UsageError
from unterbau.judge.rule import RuleSet

HERE = Path(__file__).parent
REMEDY = "docs/judge.md shows the form; `unterbau schema rules` prints its schema."


def names() -> list[str]:
    """The rule sets that come with the program."""
    return sorted(p.stem for p in HERE.glob("*.yaml"))


def load(asked: Sequence[str] = ()) -> tuple[RuleSet, ...]:
    """Rule sets by name or file; all that come with the program if none is asked for. Raises UsageError."""
    paths = [_path(a) for a in asked] or [HERE / f"{n}.yaml" for n in names()]
    found = tuple(parse(p, read(p)) for p in paths)
    twice = {r.id for r in found if [s.id for s in found].count(r.id) > 1}
    if twice:
        raise UsageError(f"rule set {', '.join(sorted(twice))} was named twice", "Give each rule set an id of its own.")
    return found


def _path(name: str) -> Path:
    if name in names():
        return HERE / f"{name}.yaml"
    path = Path(name)
    if not path.exists():
        raise UsageError(f"no rule set and no file {name!r}", f"Rule sets: {', '.join(names())}; or name a YAML file.")
    return path


def parse(path: Path, data: bytes) -> RuleSet:
    """One rule set. Raises UsageError that names file, line and what is wrong."""
    plain = plain_yaml(path, data)
    try:
        return RuleSet.model_validate(plain)
    except ValidationError as error:
        raise UsageError("\n".join(faults(path, data, error)), REMEDY) from None
