# SPDX-License-Identifier: Apache-2.0
"""Figures and names that the help of a verb shows and the room behind it works with, or that two rooms must know alike.

They stand here, where nothing else is loaded, so that `unterbau --help` need not load those rooms.
"""

LATE_SECONDS = 120.0
"""How long a cloud is given to finish a request that it did not answer."""

PROBE_WAIT = 60.0
"""How long the target's application may take to answer as the source's did: guests start, and so do services."""

READERS, DISKS_AT_ONCE = 6, 3
"""How many contents a verification reads at the same time, and how many disks beside them."""

SMALL_OBJECT = 4 << 20
"""Bytes up to which an object is read with the listing of its container."""

LOOK_SECONDS = 20.0
"""How long each section of a look of `prove` may take."""

BOUND = (
    "connect",
    "idle",
    "slowest",
    "window",
    "answer",
    "silence",
    "operation",
    "tries",
    "pause",
    "mib",
    "up",
    "down",
    "requests",
)
"""The names of the bounds of `--bounds`; `cloud.bounds` says what each is."""

SCOPE = "scs-compatible-iaas"
"""The certificate scope that `prove` judges by."""
