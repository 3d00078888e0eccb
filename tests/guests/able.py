# SPDX-License-Identifier: Apache-2.0
"""Whether clouds with guests can be tested here. The tests skip by it; `make test` ends with what it prints."""

from __future__ import annotations

import os
import sys

from unterbau.reference import extras


def why_not() -> str:
    """Why not, or ""."""
    missing = [package.name for package in extras.absent()]
    if missing:
        return f"the packages {' '.join(missing)} are not there (unterbau cloud up NAME --with guests,ovn --install)"
    return "" if os.geteuid() == 0 else "it does not run as root"


if __name__ == "__main__" and (why := why_not()):
    sys.stdout.write(f"NOT RUN: tests/guests, the drill between two clouds whose guests serve, because {why}\n")
