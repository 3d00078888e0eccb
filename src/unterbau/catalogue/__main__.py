# SPDX-License-Identifier: Apache-2.0
"""`python -m unterbau.catalogue [FILE...]`: check catalogue files; exit code 2 if one is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from unterbau import catalogue

found = catalogue.check([Path(a) for a in sys.argv[1:]])
print("\n".join(found) or "no faults")  # noqa: T201 - a tool for authors
sys.exit(2 if found else 0)
