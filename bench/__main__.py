# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: run the benches in turn, some hours; each writes its own section of bench/README.md.

Not here: `guests` (wants root), `crowd real` (an hour by itself), `chaos` and `mutants`, which have commands of their own.
"""

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
    "bench.saga",
    "bench.crowd",
    "bench.objects",
    "bench.prediction",
    "bench.outage",
):
    runpy.run_module(name, run_name="__main__")
