# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: run every bench in turn; each writes its own section of bench/README.md."""

from __future__ import annotations

import runpy

for name in (
    "bench.cloud",
    "bench.transfer",
    "bench.volumes",
    "bench.soak",
    "bench.prove",
    "bench.judge",
    "bench.start",
    "bench.control",
):
    runpy.run_module(name, run_name="__main__")
