# SPDX-License-Identifier: Apache-2.0
"""Where a request may go: scheme, host and port, and that no answer may send it elsewhere. Pure.

Every client of ours asks here: what stands below keystoneauth and the client of Swift (`cloud.openstack`), that of
Proxmox VE (`judge.readers.proxmox`), that of the bootstrap (`reference.rest`), and who pages through listings. An
answer may carry addresses: a `Location`, the next page, the reference of a secret. None of them is ever a reason to
contact another place, because what would go there is a token, a password or an application credential. Not here:
connections, and which places a cloud has (`cloud.openstack.transport`).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from unterbau.errors import Broken, Elsewhere

REDIRECTS = frozenset({301, 302, 303, 305, 307, 308})
"""Answers that ask for the same thing at another address (RFC 9110, section 15.4)."""

LONGEST_NAME = 120
_PORTS = {"http": 80, "https": 443}
NAME_IT = (
    "Nothing went there. If that address is right, name it in clouds.yaml (auth_url, or SERVICE_endpoint_override); "
    "if not, ask the cloud's operator."
)


_DOWNGRADE = (
    "Nothing went there, in the clear. Name the whole https address in clouds.yaml (auth_url with /v3, or "
    "SERVICE_endpoint_override), or ask the cloud's operator why it answers so."
)


class Place(NamedTuple):
    """Who answers: two addresses with equal places are answered by the same server, over the same protection."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        named = f"{self.scheme}://{host}:{self.port}" if self.host else "an address that names no host"
        return "".join(c if c.isprintable() else "?" for c in named)[:LONGEST_NAME]


def split(url: str) -> SplitResult:
    """Its parts, as `urlsplit` has them. All are empty if it cannot be read: a bracket that does not close, a port that is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def place(url: str) -> Place:
    """The place of a URL. One that cannot be read has a place that is equal to no real one."""
    parts = split(url)
    scheme = parts.scheme.lower()
    return Place(scheme, parts.hostname or "", parts.port or _PORTS.get(scheme))


def is_loopback(url: str) -> bool:
    """Whether it answers on the machine that asks: `localhost`, or an address that is a loopback."""
    host = place(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def shown(url: str) -> str:
    """A URL for a message: its place and path; neither user, password nor query, where secrets may stand."""
    path = url.partition("?")[0].partition("#")[0].partition("://")[2].partition("/")[2]
    return f"{place(url)}/{path}"[: 2 * LONGEST_NAME]


def without_user(url: str) -> str:
    """The URL without the user and password that may stand before its host."""
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"


def joined(url: str, location: str) -> str:
    """The address that an answer of `url` points to; empty if it is none."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def redirected(method: str, url: str, status: int, location: str, remedy: str = NAME_IT) -> Elsewhere:
    """The error for an answer that points to another address, where nobody follows."""
    there, here = place(joined(url, location)), place(url)
    points = f"another path of {there}" if there == here else f"{there}, which is another place"
    if remedy is NAME_IT and (here.scheme, there.scheme, there.host) == ("https", "http", here.host):
        remedy = _DOWNGRADE
    asked = f"{method} {shown(url)}"
    return Elsewhere(
        f"{asked}: HTTP {status} points to {points}", remedy, status, asked=asked, there=str(there), near=there == here
    )


def unknown(method: str, url: str, named: str) -> Elsewhere:
    """The error for a request to a place that nobody named. `named`: where the catalog came from."""
    what = f"neither clouds.yaml nor the catalog of {place(named)} names {place(url)}"
    return Elsewhere(f"{method} {shown(url)}: {what}", NAME_IT)


def next_page(asked: str, link: object) -> str:
    """The path and query of a listing's next page, relative to the endpoint as `asked` was.

    The place of a link, and what stands before the listing's path, are those of a cloud behind its proxies: they are
    not used. Raises Broken if the link is of something else than the listing.
    """
    path = asked.partition("?")[0]
    try:
        told = urlsplit(link) if isinstance(link, str) else None
    except ValueError:
        told = None
    if told is None or not ("/" + told.path.strip("/")).endswith("/" + path.strip("/")):
        where = shown(link) if isinstance(link, str) and "://" in link else repr(link)[:LONGEST_NAME]
        there = where.partition("?")[0]
        what = f"GET {path}: its next page is said to be at {there}, which is not this listing"
        raise Broken(what, asked=f"GET {path}", there=there)
    return f"{path}?{told.query}" if told.query else path
