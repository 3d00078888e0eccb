# SPDX-License-Identifier: Apache-2.0
"""Whether clouds with guests can be tested here. The tests skip by it; `make test` ends with what it prints."""

from __future__ import annotations

import sys

from unterbau.errors import LocalError
from unterbau.reference import extras


def why_not() -> str:
    """Why not, or ""."""
    missing = [package.name for package in extras.absent()]
    if missing:
        return f"the packages {' '.join(missing)} are not there (unterbau cloud up NAME --with guests,ovn --install)"
    try:
        extras.as_root()
    except LocalError as error:
        return error.what
    return ""


def why_no_drill() -> str:
    """Why not between two clouds within `make test`, or "". Without root one cloud is enough for its time."""
    if why := why_not():
        return why
    return "" if extras.as_root() else "it takes long, and is left to root; the other tests here ran, without root"


if __name__ == "__main__":
    if why := why_not():
        sys.stdout.write(f"NOT RUN: tests/guests, because {why}\n")
    elif why := why_no_drill():
        sys.stdout.write(f"NOT RUN: the drill between two clouds whose guests serve, because {why}\n")
