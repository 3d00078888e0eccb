# SPDX-License-Identifier: Apache-2.0
"""What several suites share: two real clouds, brought up once a session.

Tests that need them carry the marker `cloud`. The clouds have names of their own, so that a user's clouds
are not touched, and are taken down and wiped at the end unless UNTERBAU_TEST_KEEP is set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

SOURCE, TARGET = "test-quelle", "test-ziel"


@pytest.fixture(scope="session")
def two_clouds() -> Iterator[tuple[str, str]]:
    """Names of two running clouds; what is in them is up to the test that uses them."""
    from unterbau import reference

    for name in (SOURCE, TARGET):
        reference.up(name, progress=lambda line: None)
    yield SOURCE, TARGET
    if not os.environ.get("UNTERBAU_TEST_KEEP"):
        for name in (SOURCE, TARGET):
            reference.down(name)
            reference.wipe(name)
