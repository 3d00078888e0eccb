# SPDX-License-Identifier: Apache-2.0
"""Stages of the CNCF's projects, from its landscape (`cncf-landscape.json`: landscape.yml without logos and Crunchbase).

The landscape is the foundation's own, so it is the original for what it accepted, on which day. Acceptance,
incubation, graduation and archiving are facts of their own. An item is a technology if its repository is the one that
the catalogue knows as source code, or if its name is the same.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from unterbau.catalogue.importers.port import Copy, Imported, ImportedFact
from unterbau.catalogue.model import Catalogue
from unterbau.errors import UsageError

NAME, FILE, URL = "CNCF landscape", "cncf-landscape.json", "https://github.com/cncf/landscape"
STAGES = {"accepted": "accepted", "incubating": "incubating", "graduated": "graduated", "archived": "archived"}
BY = "Cloud Native Computing Foundation"


def read(copy: Copy | None, catalogue: Catalogue, read: date, /) -> Imported:
    """What the copy says of the catalogue's technologies. Raises UsageError."""
    if copy is None:
        raise TypeError("a copy is needed")
    try:
        told = json.loads(copy.data)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{copy.file}: not JSON: {error}", "Give the items of landscape.yml as one JSON object."
        ) from None
    items = told.get("items") if isinstance(told, dict) else None
    if not isinstance(items, list):
        raise UsageError(f"{copy.file}: no list `items`", "Give the items of landscape.yml as one JSON object.")
    known = _names(catalogue)
    facts: dict[str, tuple[ImportedFact, ...]] = {}
    for item in items:
        if isinstance(item, dict) and item.get("accepted"):
            technology = known.get(_plain(item.get("repo_url"))) or known.get(_plain(item.get("name")))
            if technology and technology not in facts:
                facts[technology] = tuple(_facts(item))
    commit = str(told.get("commit") or copy.commit)
    return Imported(
        data_set=NAME, url=URL, pages=f"{URL}/blob/{commit}/landscape.yml", commit=commit, as_of=copy.as_of, read=read,
        licence=str(told.get("licence") or copy.licence), sha256=copy.sha256, origin="repository", confidence="high",
        says="The foundation's landscape gives the day on which it took this step.", facts=facts,
    )  # fmt: skip


def _facts(item: dict[str, Any]) -> list[ImportedFact]:
    found = []
    for column, stage in STAGES.items():
        try:
            day = date.fromisoformat(str(item.get(column)))
        except ValueError:
            continue
        found.append(
            ImportedFact(kind="maturity", value={"by": BY, "stage": stage}, since=day, quote=f"{column}: '{day}'")
        )
    return found


def _names(catalogue: Catalogue) -> dict[str, str]:
    names: dict[str, str] = {}
    for technology in catalogue.values():
        for name in (*(str(f.value) for f in technology.of("source_code")), technology.name):
            names.setdefault(_plain(name), technology.id)
    return names


def _plain(name: Any) -> str:
    return str(name or "").casefold().rstrip("/").removesuffix(".git").removeprefix("https://")
