# SPDX-License-Identifier: Apache-2.0
"""The one place where concrete classes meet: which cloud stands behind a name, which clock, which journal.

`cli` calls it; it builds what the use cases want and decides nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from unterbau import reference, seed
from unterbau.cloud import openstack
from unterbau.cloud.port import Cloud
from unterbau.face import Face


def now() -> datetime:
    """The clock of the program (UTC)."""
    return datetime.now(UTC)


def clouds_files() -> tuple[Path, ...]:
    """The clouds.yaml of every complete embedded cloud; the user's own are found by openstacksdk."""
    return tuple(reference.clouds_file(c.name) for c in reference.names() if reference.complete(c.name))


def open_cloud(name: str) -> Cloud:
    """The cloud of that name: the user's own or an embedded one. Raises ConfigError, AuthFailed, ..."""
    return openstack.connect(name, config_files=clouds_files())


def cloud_names() -> tuple[str, ...]:
    """All names that `open_cloud` knows."""
    return openstack.cloud_names(clouds_files())


def plant(name: str, number: int, face: Face) -> seed.Planted:
    """Plant the tenant "Fachverfahren" in the cloud."""
    told: Callable[[str], None] = face.detail
    return seed.plant(open_cloud(name), seed=number, now=now(), progress=told)
