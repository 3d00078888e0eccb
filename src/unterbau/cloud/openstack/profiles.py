# SPDX-License-Identifier: Apache-2.0
"""Vendor profiles of clouds.yaml that are fetched from an address. Called by `session`, before openstacksdk would.

Such a profile says where the password goes, so it comes from the place that is named and from no other: openstacksdk
itself follows redirects. Profiles that come with openstacksdk stay its own affair.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from unterbau.cloud.openstack.errors import MALFORMED, translated
from unterbau.cloud.openstack.sdk import vendors
from unterbau.cloud.openstack.transport import alone
from unterbau.errors import Broken
from unterbau.places import shown

SECONDS = 10.0
_WELL_KNOWN = "/.well-known/openstack/api"


def resolve(clouds: dict[str, Any], name: str) -> None:
    """Put what the profile of that cloud says below its entry. Raises CloudError if it cannot be fetched."""
    entry = clouds[name] if isinstance(clouds[name], dict) else {}
    url = _address(entry.get("profile") or entry.get("cloud"))
    if not url:
        return
    profile = _fetched(url)
    own = {k: v for k, v in entry.items() if k not in ("profile", "cloud")}
    clouds[name] = {**profile, **own, "auth": {**(profile.get("auth") or {}), **(own.get("auth") or {})}}


def _address(told: object) -> str:
    """Where the profile would be fetched from: named itself, or by a profile that comes with openstacksdk."""
    if isinstance(told, str) and not urlsplit(told).netloc:
        told = (vendors.get_profile(told) or {}).get("profile")
    return told if isinstance(told, str) and urlsplit(told).netloc else ""


@lru_cache
def _fetched(url: str) -> dict[str, Any]:
    """What stands there (https://docs.openstack.org/openstacksdk/latest/user/config/vendor-support.html)."""
    parts = urlsplit(url)
    address = f"{parts.scheme}://{parts.netloc}{_WELL_KNOWN}"
    what = f"the profile at {shown(address)}"
    with translated(what, strange=MALFORMED), alone(address) as session:
        response = session.get(address, timeout=SECONDS)
        told = response.json()["profile"] if response.ok else None
    if not isinstance(told, dict):
        raise Broken(f"{what}: HTTP {response.status_code} and no profile", "Write auth_url into clouds.yaml instead.")
    return {k: v for k, v in told.items() if k not in ("profile", "status", "message")}
