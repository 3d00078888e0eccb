# SPDX-License-Identifier: Apache-2.0
"""What a thing is of which no more is said than must be: of each kind, and of what stands in plans and bundles beside them.

Digests in sealed bundles are made from this spelling, and a field that says nothing must say it in one way. So it is kept
in tests/assets/kinds/least.json: `given` is what must be said, `spelled` what is written then, `silent` the fields that
came after the first bundles and are written only where they say something. What is `spelled` never changes but by a new
kind; a new field is `silent` (`later`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unterbau.tenant import kinds
from unterbau.tenant.kinds import KINDS, Kind
from unterbau.verdict import Model

KEPT: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "assets" / "kinds" / "least.json").read_text()
)


def test_each_kind_and_each_part_of_one_is_kept() -> None:
    known = {one.__name__ for one in vars(kinds).values() if isinstance(one, type) and issubclass(one, Model)}
    assert KEPT.keys() == known - {"ResourceBase"}
    assert KEPT.keys() >= {KINDS[kind].__name__ for kind in Kind}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_said_is_spelled_as_ever_and_read_back_as_nothing(name: str) -> None:
    class_, kept = getattr(kinds, name), KEPT[name]
    one = class_.model_validate(kept["given"])
    assert one.model_dump(mode="json") == kept["spelled"]
    silent = class_.model_fields.keys() - kept["spelled"].keys()
    assert {field: _plain(getattr(one, field)) for field in silent} == kept["silent"]
    assert class_.model_validate(kept["spelled"]) == one


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("kind", Kind)
def test_a_thing_without_an_id_is_none(kind: Kind) -> None:
    class_ = KINDS[kind]
    with pytest.raises(ValueError, match="at least 1 character"):
        class_.model_validate({**KEPT[class_.__name__]["given"], "id": ""})
