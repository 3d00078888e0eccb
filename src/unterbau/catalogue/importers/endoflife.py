# SPDX-License-Identifier: Apache-2.0
"""Ends of support by release cycle, from endoflife.date (`endoflife.json`: its product pages as one JSON object).

The pages are kept by volunteers, so this is second hand. Their three columns are three facts: security support
(`eol`), other fixes (`eoas`), fixes by others or for money (`eoes`). `true` and `false` name no day and are passed over.
A cycle holds from its own number on: `8.2` is all of 8.2, `7` all of 7.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import Any

from unterbau.catalogue import versions
from unterbau.catalogue.importers.port import Copy, Imported, ImportedFact
from unterbau.catalogue.model import Catalogue
from unterbau.errors import UsageError

NAME, FILE, URL = "endoflife.date", "endoflife.json", "https://github.com/endoflife-date/endoflife.date"
COLUMNS = {"eol": "end_of_life", "eoas": "end_of_active_support", "eoes": "end_of_extended_support"}
PRODUCTS = {
    "alpine": "alpine-linux", "ansible": "ansible-core", "apache-httpd": "apache-http-server",
    "cassandra": "apache-cassandra", "chef": "chef-infra-client", "couchdb": "apache-couchdb",
    "kafka": "apache-kafka", "kong": "kong-gateway", "loki": "grafana-loki", "opa-gatekeeper": "gatekeeper",
    "openshift": "red-hat-openshift",
    "packer": "hashicorp-packer", "rocky": "rocky-linux", "vault": "hashicorp-vault", "vmware-vsphere": "vmware-esxi",
}  # fmt: skip
"""Technologies that endoflife.date calls otherwise; all others by their id."""
OTHER_THINGS = frozenset(["ubuntu", "debian"])
"""Left to `debian.py`, whose source is the distributions' own."""
STREAMS = {"centos": ("centos-stream",)}
"""Further products whose cycles belong to the same technology, by names of their own (`9-stream`)."""


def read(copy: Copy | None, catalogue: Catalogue, read: date, /) -> Imported:
    """What the copy says of the catalogue's technologies. Raises UsageError."""
    if copy is None:
        raise TypeError("a copy is needed")
    told = _object(copy)
    products = told["products"]
    skipped: Counter[str] = Counter()
    facts = {}
    for technology in catalogue:
        name = PRODUCTS.get(technology, technology)
        if name not in products or technology in OTHER_THINGS:
            continue
        found = _facts(products[name], name, skipped)
        if found:
            facts[technology] = tuple(found)
    commit = str(told.get("commit") or copy.commit)
    return Imported(
        data_set=NAME, url=URL, pages=f"{URL}/blob/{commit}/products/{{page}}", commit=commit, as_of=copy.as_of,
        read=read, licence=str(told.get("licence") or copy.licence), sha256=copy.sha256, origin="second hand",
        confidence="low", says="endoflife.date gives {value} as the {kind} of {versions}.", facts=facts,
        passed_over=tuple(f"{why}: {n}" for why, n in sorted(skipped.items())),
    )  # fmt: skip


def _object(copy: Copy) -> dict[str, Any]:
    try:
        told = json.loads(copy.data)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{copy.file}: not JSON: {error}", "Give endoflife.date's products as one JSON object."
        ) from None
    if not isinstance(told, dict) or not isinstance(told.get("products"), dict):
        raise UsageError(f"{copy.file}: no `products`", "Give endoflife.date's products as one JSON object.")
    return told


def _facts(product: Any, name: str, skipped: Counter[str]) -> list[ImportedFact]:
    found = []
    for release in product.get("releases", ()) if isinstance(product, dict) else ():
        cycle = str(release.get("releaseCycle", ""))
        if versions.parse(cycle) is None:
            skipped[f"{name}: a cycle without a number"] += 1
            continue
        for column, kind in COLUMNS.items():
            day = _day(release.get(column))
            if day is not None:
                found.append(
                    ImportedFact(kind=kind, versions=cycle, value=day, page=f"{name}.md", quote=f"{column}: {day}")
                )
            elif column in release:
                skipped["an end without a day"] += 1
    return found


def _day(value: Any) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
