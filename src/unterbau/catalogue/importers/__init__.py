# SPDX-License-Identifier: Apache-2.0
"""Facts from public data sets, behind one port: `refresh` reads copies in a folder and says what they say.

`cli` calls it for `unterbau facts refresh`, writes the result beside the catalogue (`catalogue/imported/`), and the
catalogue loads it from there. An importer says what its data set says, of the technologies that it can name, each with
page, commit and age of the copy. It compares nothing: `contradictions` does. No network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from unterbau.catalogue.importers import cncf, debian, endoflife, openstack, spdx
from unterbau.catalogue.importers.copies import Copies
from unterbau.catalogue.importers.port import Imported, Importer
from unterbau.catalogue.model import Catalogue
from unterbau.errors import UsageError

IMPORTERS: tuple[Importer, ...] = (endoflife, openstack, cncf, debian.DEBIAN, debian.UBUNTU, spdx)

__all__ = ["IMPORTERS", "Copies", "Imported", "file_name", "refresh", "spelled"]


def refresh(
    folder: Path | None, catalogue: Catalogue, read: date, days: Sequence[str] = ()
) -> tuple[list[Imported], list[str]]:
    """What each data set whose copy is in the folder says; and which data sets have no copy there.

    `days` are FILE=DAY, for copies whose own day is not told in the folder. Raises UsageError.
    """
    copies = Copies(folder, days)
    found: list[Imported] = []
    absent: list[str] = []
    for importer in IMPORTERS:
        data = copies.open(importer.FILE) if importer.FILE else None
        if importer.FILE and data is None:
            absent.append(f"{importer.FILE} ({importer.NAME})")
            continue
        found.append(importer.read(data, catalogue, read))
    if not found or (folder is not None and len(absent) == sum(bool(i.FILE) for i in IMPORTERS)):
        raise UsageError(f"{folder}: no data set that is known", f"Put copies there: {_known(IMPORTERS)}.")
    return found, absent


def file_name(data_set: Imported) -> str:
    """Below `catalogue/imported/`."""
    return re.sub(r"[^a-z0-9]+", "-", data_set.data_set.lower()).strip("-") + ".json"


def spelled(data_set: Imported) -> bytes:
    """The file, JSON: the data set once, then one line a fact, so that a refresh is a readable change."""
    plain = data_set.model_dump(mode="json", exclude_defaults=True)
    facts = plain.pop("facts", {})
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in plain.items()]
    told = []
    for technology, found in sorted(facts.items()):
        rows = ",\n".join(f"   {json.dumps(f, ensure_ascii=False)}" for f in found)
        told.append(f"  {json.dumps(technology)}: [\n{rows}\n  ]")
    return "\n".join(["{", *lines, ' "facts": {', ",\n".join(told), " }", "}", ""]).encode()


def _known(importers: Iterable[Importer]) -> str:
    return ", ".join(f"{i.FILE} of {i.URL}" for i in importers if i.FILE)
