# SPDX-License-Identifier: Apache-2.0
"""Crowded containers in simulated clouds, planted without a request for each object."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unterbau.cloud.simulator import Simulator
from unterbau.tenant.kinds import Container, Kind, StoredObject, ref

BOX = "viele"
WRITTEN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ODD = ("a\nb", "ä/ö ✓", "x//y", "//", "ü ?#%41", "zzz")
"""Names that listings, lines and URLs may stumble over."""


def named(count: int) -> list[str]:
    """That many names, odd ones among them."""
    return sorted([*ODD, *(f"{n % 7}/{n:06}" for n in range(count - len(ODD)))])


def plant(cloud: Simulator, names: list[str], box: str = BOX, **fields: Any) -> None:
    """A container with these objects, each of its name's bytes."""
    cloud._world[ref(Kind.CONTAINER, box)] = Container(id=box, name=box, object_count=len(names)).model_dump(
        mode="json"
    )
    for name in names:
        put(cloud, name, name.encode(), box, **fields)
    cloud._save()


def put(cloud: Simulator, name: str, data: bytes, box: str = BOX, **fields: Any) -> None:
    """An object, however it comes there."""
    etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
    made = StoredObject(
        id=f"{box}/{name}", name=name, container=box, size_bytes=len(data), etag=etag, last_modified=WRITTEN, **fields
    )
    cloud._blob(made.ref).write_bytes(data)
    cloud._world[made.ref] = made.model_dump(mode="json")


def clouds(root: Path, names: Mapping[str, list[str]]) -> dict[str, Simulator]:
    """A simulator a side, with its names."""
    made = {side: Simulator(root / side, name=side) for side in names}
    for side, cloud in made.items():
        plant(cloud, names[side])
    return made
