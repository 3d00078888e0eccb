# SPDX-License-Identifier: Apache-2.0
"""`python -m unterbau.judge.rules [FILE...]`: check rule files; exit code 2 if one is wrong."""

from __future__ import annotations

import sys

from unterbau.errors import UsageError
from unterbau.judge import rules

try:
    rules.load(sys.argv[1:])
except UsageError as error:
    sys.exit(f"{error.what}\n  {error.remedy}")
print("no faults")  # noqa: T201 - a tool for authors
