# SPDX-License-Identifier: Apache-2.0
"""What a stack is made of, by stated criteria, with cited facts. See docs/design/judge.md.

`catalogue` and `rules` load data, `readers` read stacks, `recognise` names their parts, `engine` judges them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collector() -> Iterator[None]:
    """Parts and findings make no cycles; the collector would look at 100,000 of them again and again for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
