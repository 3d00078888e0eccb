# SPDX-License-Identifier: Apache-2.0
"""Swift's container ACLs by what they grant (swift.common.middleware.acl and keystoneauth). Pure.

`judge` asks what one grants and the other does not. Referrers are applied in order and may take back, so they are
compared by trying hosts; users by what covers whom: `*:*` covers `P:*` and `*:U`, these cover `P:U`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from unterbau.tenant.kinds import CloudIdentity

OWN = "own project"
_REFERRER = re.compile(r"\s*\.(?:r|ref|referer|referrer)\s*:\s*(-?)\s*\*?(.*?)\s*")
_ID = re.compile(r"([0-9a-f]{32}){1,2}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NO_HOST = "unknown"
"""The host of a request that names none (`referrer_allowed`)."""


class Acl:
    """One ACL as one cloud reads it."""

    def __init__(self, text: str, identity: CloudIdentity) -> None:
        self.referrers: list[tuple[bool, str]] = []
        self.grants: set[str] = set()
        self.listings = False
        for part in filter(None, (p.strip() for p in text.split(","))):
            referrer = _REFERRER.fullmatch(part)
            if referrer:
                self.referrers.append((not referrer[1], referrer[2] or "*"))
            elif part == ".rlistings":
                self.listings = True
            else:
                self.grants.add(_own(part, identity))

    def admits(self, host: str) -> bool:
        """Whether a request that this host refers may read without any token."""
        admitted = False
        for allow, named in self.referrers:
            if named == "*":
                admitted = admitted or allow  # `-*` takes nothing back
            elif named == host or (named.startswith(".") and host.endswith(named)):
                admitted = allow
        return admitted

    def covers(self, grant: str, *, same_names: bool) -> bool:
        """Whether this user, project or role is let in. `same_names`: a name means the same on both sides."""
        project, colon, user = grant.partition(":")
        if not colon:
            return grant in self.grants
        wider = {f"{p}:{u}" for p in (project, "*") for u in (user, "*")}
        if not same_names and project != OWN and not all(_says_whom(n) for n in (project, user)):
            wider.discard(grant)
        return bool(wider & self.grants)


def more(here: Acl, there: Acl, *, same_names: bool) -> Iterator[str]:
    """What `there` grants and `here` does not, in words."""
    hosts = set(_hosts(here.referrers + there.referrers))
    if any(there.admits(h) and not here.admits(h) for h in hosts):
        said = (f".r:{'' if allow else '-'}{named}" for allow, named in there.referrers)
        yield f"everybody ({','.join(said)})"
    if there.listings and any(there.admits(h) and not (here.listings and here.admits(h)) for h in hosts):
        yield "everybody who lists it (.rlistings)"
    for grant in sorted(there.grants):
        if not here.covers(grant, same_names=same_names):
            yield grant


def _own(grant: str, identity: CloudIdentity) -> str:
    project, colon, user = grant.partition(":")
    return f"{OWN}:{user}" if colon and project in (identity.project_id, identity.project_name) else grant


def _says_whom(name: str) -> bool:
    """An id is nobody else's in another cloud; a name there is another's."""
    return name == "*" or bool(_ID.fullmatch(name))


def _hosts(referrers: Iterable[tuple[bool, str]]) -> Iterator[str]:
    """Hosts enough to tell any two lists apart: each that is named, one below each domain, and a stranger."""
    yield from (NO_HOST, "stranger.invalid")
    for _, named in referrers:
        yield named.removeprefix(".")
        yield f"not-named.{named.removeprefix('.')}"
