# SPDX-License-Identifier: Apache-2.0
"""Look at a cloud once: at most ten requests (further pages apart), in parallel, each with a deadline.

`cli.prove` calls `collect`; judges see only the inventory. A service that is missing, forbidden or mute makes its
own section not seen and leaves the others. Reads only; role `reader` suffices where the cloud's policy lets it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import queue
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from unterbau.cloud.paging import next_link
from unterbau.cloud.survey import Item, Reply, Request, Subject, Surveyed
from unterbau.defaults import LOOK_SECONDS
from unterbau.errors import CloudError
from unterbau.places import next_page, split, without_user
from unterbau.prove.inventory import Inventory, Section, Status, TlsProbe
from unterbau.verdict import Reason, Words

MOST_PAGES = 50
S3_TYPES = ("object-store-s3", "s3", "object-store")
MADE_UP = "UNTERBAUPROBE"
"""A key that no cloud knows: an S3 service says so, anything else does not."""
_CODE = re.compile(r"<Code>\s*([A-Za-z]+)\s*</Code>")
Probe = Callable[[Subject, tuple[Item, ...]], tuple[TlsProbe, ...]]


@dataclass(frozen=True)
class _Listing:
    """A section that is one list of a service."""

    section: str
    service: str
    path: str
    key: str
    microversion: str = ""


LISTINGS = (
    _Listing("flavors", "compute", "/flavors/detail?is_public=None", "flavors", "2.61"),
    _Listing("images", "image", "/images?member_status=all&limit=1000", "images"),
    _Listing("volume_types", "block-storage", "/types", "volume_types"),
    _Listing("extensions", "network", "/extensions", "extensions"),
    _Listing("compute_zones", "compute", "/os-availability-zone", "availabilityZoneInfo"),
    _Listing("volume_zones", "block-storage", "/os-availability-zone", "availabilityZoneInfo"),
)
DEFAULT_RULES = _Listing(
    "default_security_group_rules", "network", "/default-security-group-rules", "default_security_group_rules"
)
DEFAULT_GROUP = _Listing("security_groups", "network", "/security-groups?name=default", "security_groups")


def collect(
    cloud: Surveyed,
    *,
    now: Callable[[], datetime],
    tool: str,
    seconds: float = LOOK_SECONDS,
    probe: Probe = lambda subject, catalog: (),
) -> Inventory:
    """The inventory. `probe` looks at the endpoints' TLS, beside everything else.

    Raises AuthFailed, Unreachable, ConfigError if the cloud cannot be entered.
    """
    at = now()
    entered, subject, catalog = cloud.enter()
    tasks: dict[str, Callable[[], _Found]] = {
        listing.section: (lambda one=listing: _list(cloud, one, seconds))  # type: ignore[misc]
        for listing in LISTINGS
    }
    tasks[DEFAULT_RULES.section] = lambda: _rules(cloud, seconds)
    tasks["s3_probe"] = lambda: _s3(cloud, subject, catalog, seconds, now)
    jobs: dict[str, Callable[[], Any]] = {**tasks, "tls": lambda: probe(subject, catalog)}
    done = _all(jobs, seconds)
    requests, sections = [entered], {"catalog": Section(status=Status.SEEN, requests=(entered.id,), items=catalog)}
    for name in tasks:
        found = done.get(name) or _mute(name, seconds)
        requests += found.requests
        sections |= found.sections
    tls = done.get("tls") or ()
    prints = {_place(p.url): f"sha256:{p.chain[0].sha256.removeprefix('sha256:')}" for p in tls if p.chain}
    return Inventory(
        subject=subject.model_copy(update={"certificates": prints}),
        collected_at=at,
        tool=tool,
        requests=tuple(requests),
        sections=sections,
        tls=tls,
    )


@dataclass(frozen=True)
class _Found:
    """What one task brought."""

    requests: list[Request]
    sections: dict[str, Section]


def _all(jobs: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """The results that came in time. A job that hangs is left behind; its thread ends with the program."""
    results: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    defects: list[BaseException] = []

    def work(name: str, job: Callable[[], Any]) -> None:
        try:
            results.put((name, job()))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            defects.append(error)
            results.put((name, None))

    for name, job in jobs.items():
        threading.Thread(target=work, args=(name, job), name=f"prove-{name}", daemon=True).start()
    found: dict[str, Any] = {}
    end = time.monotonic() + seconds * 1.5
    with contextlib.suppress(queue.Empty):
        while len(found) < len(jobs):
            name, result = results.get(timeout=max(0.0, end - time.monotonic()))
            found[name] = result
    if defects:
        raise defects[0]
    return found


def _mute(name: str, seconds: float) -> _Found:
    reason = Reason.of("prove.section.mute", seconds=round(seconds * 1.5))
    return _Found([], {name: Section(status=Status.TIMEOUT, reason=reason)})


# --- sections


def _list(cloud: Surveyed, listing: _Listing, seconds: float) -> _Found:
    """One list with all its pages."""
    if not cloud.has(listing.service):
        return _absent(listing.section, Reason.of("prove.section.no-endpoint", service=listing.service))
    requests: list[Request] = []
    items: list[Item] = []
    path = listing.path
    while path:
        reply = cloud.read(listing.service, path, seconds=seconds, microversion=listing.microversion)
        requests.append(reply.request)
        entries = reply.body.get(listing.key) if isinstance(reply.body, dict) else None
        if reply.request.status != 200 or not isinstance(entries, list):
            return _Found(requests, {listing.section: _unseen(reply, listing.key, requests)})
        items += [e for e in entries if isinstance(e, dict)]
        try:
            path = _next(reply.body, path)
        except CloudError as error:
            lost = Section(status=Status.ERROR, requests=tuple(r.id for r in requests), reason=error.what)
            return _Found(requests, {listing.section: lost})
        if path and len(requests) == MOST_PAGES:  # a list that is cut off would be judged as a whole one
            reason = Reason.of("prove.section.endless", pages=MOST_PAGES)
            cut = Section(status=Status.ERROR, requests=tuple(r.id for r in requests), reason=reason)
            return _Found(requests, {listing.section: cut})
    ids = tuple(r.id for r in requests)
    return _Found(requests, {listing.section: Section(status=Status.SEEN, requests=ids, items=tuple(items))})


def _next(body: Any, asked: str) -> str:
    """The path of the next page; empty at the end. Raises Broken if its link is of something else."""
    told = next_link(body)
    return next_page(asked, told) if told else ""


def _unseen(reply: Reply, key: str, requests: list[Request]) -> Section:
    """Why a list was not seen."""
    request, ids = reply.request, tuple(r.id for r in requests)
    if request.status is None or request.error:
        mute = "timed out" in request.error.lower() or "not within" in request.error
        status = Status.TIMEOUT if mute else Status.ERROR
        return Section(status=status, requests=ids, reason=request.error)
    told = {401: Status.FORBIDDEN, 403: Status.FORBIDDEN, 404: Status.ABSENT}
    status = told.get(request.status, Status.ERROR)
    what = f"{request.method} {request.path.partition('?')[0]}"
    lacks: Words = f"HTTP {request.status}" if request.status != 200 else Reason.of("prove.section.no-list", key=key)
    return Section(status=status, requests=ids, reason=Reason.of("about", what=what, reason=lacks))


def _absent(section: str, reason: Words) -> _Found:
    return _Found([], {section: Section(status=Status.ABSENT, reason=reason)})


def _rules(cloud: Surveyed, seconds: float) -> _Found:
    """Default rules; where Neutron is too old for them, the project's default group instead."""
    found = _list(cloud, DEFAULT_RULES, seconds)
    told = found.sections[DEFAULT_RULES.section]
    if told.status is not Status.ABSENT or not told.requests:
        skipped = Section(status=Status.ABSENT, reason=Reason.of("prove.section.rules-instead"))
        return _Found(found.requests, {**found.sections, DEFAULT_GROUP.section: skipped})
    group = _list(cloud, DEFAULT_GROUP, seconds)
    return _Found(found.requests + group.requests, {**found.sections, **group.sections})


def _s3(
    cloud: Surveyed, subject: Subject, catalog: tuple[Item, ...], seconds: float, now: Callable[[], datetime]
) -> _Found:
    """Whether an S3 service answers where the catalog promises one (or at the root of the object store)."""
    places = dict(reversed(list(subject.endpoints(catalog))))
    for type_ in S3_TYPES:
        url = places.get(type_)
        if not url:
            continue
        target = split(url)
        if not target.netloc:
            reason = Reason.of("prove.section.no-address", type=type_, url=without_user(url)[:120])
            return _Found([], {"s3_probe": Section(status=Status.ERROR, reason=reason)})
        root = target._replace(path="/", query="", fragment="").geturl() if type_ == "object-store" else url
        reply = cloud.knock(root, headers=_signed(root, now()), seconds=seconds)
        if reply.request.status is None:
            return _Found([reply.request], {"s3_probe": _unseen(reply, "", [reply.request])})
        code = _CODE.search(reply.text)
        item: Item = {
            "service": type_, "url": root, "status": reply.request.status, "code": code.group(1) if code else "",
            "server": reply.headers.get("server", ""),
        }  # fmt: skip
        section = Section(status=Status.SEEN, requests=(reply.request.id,), items=(item,))
        return _Found([reply.request], {"s3_probe": section})
    return _absent("s3_probe", Reason.of("prove.section.no-s3"))


def _signed(url: str, at: datetime) -> dict[str, str]:
    """Headers of a GET that a key nobody knows has signed today (AWS Signature Version 4).

    A request without a date of today is refused before the key is looked at (Ceph RGW: RequestTimeTooSkewed).
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    target, stamp = split(url), at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    nothing = hashlib.sha256(b"").hexdigest()
    signed = {"host": target.netloc, "x-amz-content-sha256": nothing, "x-amz-date": stamp}
    names, scope = ";".join(signed), f"{stamp[:8]}/us-east-1/s3/aws4_request"
    lines = ["GET", target.path or "/", "", *(f"{k}:{v}" for k, v in signed.items()), "", names, nothing]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = b"AWS4" + MADE_UP.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256").hex()
    told = f"AWS4-HMAC-SHA256 Credential={MADE_UP}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"Authorization": told, "X-Amz-Date": stamp, "X-Amz-Content-Sha256": nothing}


def _place(url: str) -> str:
    target = split(url)
    return f"{target.hostname}:{target.port or 443}"
