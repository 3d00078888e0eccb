# SPDX-License-Identifier: Apache-2.0
"""Series of OpenStack, from openstack/releases (`openstack-series.yaml`: its data/series_status.yaml).

It is the project's own file. A series is maintained by the project until it becomes unmaintained (then volunteers may
look after it) or ends; the day on which it did, or will, is the end of life of the series and of its services.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import yaml

from unterbau.catalogue.importers.port import Copy, Imported, ImportedFact
from unterbau.catalogue.model import Catalogue
from unterbau.errors import UsageError

NAME, FILE, URL = "openstack/releases", "openstack-series.yaml", "https://opendev.org/openstack/releases"
PAGE = "data/series_status.yaml"
_COMMIT = re.compile(r"[0-9a-f]{40}")
TECHNOLOGY = "openstack"
OVER = frozenset(["unmaintained", "end of life"])


def read(copy: Copy | None, catalogue: Catalogue, read: date, /) -> Imported:
    """What the copy says of OpenStack's series. Raises UsageError."""
    if copy is None:
        raise TypeError("a copy is needed")
    try:
        series = yaml.load(copy.data, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{copy.file}: no YAML: {error}", f"Give {PAGE} of {URL}.") from None
    if not isinstance(series, list):
        raise UsageError(f"{copy.file}: a list of series is expected", f"Give {PAGE} of {URL}.")
    found = [f for one in series if isinstance(one, dict) for f in _facts(one)]
    commit = copy.commit if _COMMIT.fullmatch(copy.commit) else ""
    return Imported(
        data_set=NAME, url=URL, pages=f"{URL}/src/commit/{commit}/{{page}}", commit=commit, as_of=copy.as_of, read=read,
        licence=copy.licence, sha256=copy.sha256, origin="repository", confidence="high",
        says="The project's list of series gives {value} as the {kind} of {versions}.",
        facts={TECHNOLOGY: tuple(found)} if TECHNOLOGY in catalogue else {},
    )  # fmt: skip


def _facts(one: dict[str, Any]) -> list[ImportedFact]:
    release = str(one.get("release-id") or "")
    if not re.fullmatch(r"\d{4}\.\d", release):
        return []
    found = []
    status, first, after = one.get("status"), one.get("initial-release"), one.get("next-phase")
    if isinstance(first, date) and status not in ("future", "development"):
        found.append(_fact("release", release, first, f"initial-release: {first}"))
    ended = one.get("eol-date")
    if isinstance(after, dict) and after.get("status") in OVER and isinstance(after.get("date"), date):
        day = after["date"]
        if status == "maintained":
            found.append(_fact("end_of_life", release, day, f"status: {after['status']} date: {day}"))
        else:
            found.append(_fact("end_of_extended_support", release, day, f"status: {after['status']} date: {day}"))
    if status == "unmaintained" and isinstance(one.get("unmaintained-since"), date):
        day = one["unmaintained-since"] - timedelta(days=1)
        found.append(_fact("end_of_life", release, day, f"unmaintained-since: {one['unmaintained-since']}"))
    if isinstance(ended, date):
        found.append(_fact("end_of_life", release, ended, f"eol-date: {ended}"))
    return found


def _fact(kind: str, release: str, day: date, quote: str) -> ImportedFact:
    return ImportedFact(kind=kind, versions=release, value=day, page=PAGE, quote=quote)
