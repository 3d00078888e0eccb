# SPDX-License-Identifier: Apache-2.0
"""What stands below keystoneauth: every request of a session passes here, and goes nowhere that nobody named.

`session` and `profiles` mount it. A request may go to the places that clouds.yaml names, and to those in the catalog of
the Keystone that stands there. A GET or HEAD is sent on at the same place (`HOPS` times); everything else that points
away is an error that names both. Nothing of the machine's ~/.netrc goes to a cloud, and a cookie only to the place
that set it. Proxies that the environment names are used: over TLS they see no more than a name.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import Cookie, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url

from unterbau.cloud.openstack.errors import FOREIGN, Astray, writes
from unterbau.cloud.openstack.limits import limits
from unterbau.cloud.openstack.wire import Repeat, measure, pools_of, repeated, whole
from unterbau.cloud.waiting import heeded
from unterbau.errors import Elsewhere
from unterbau.places import REDIRECTS, Place, joined, place, redirected, shown, unknown

MOST_HEADERS = 1000
"""Headers of an answer that are read. Swift sends up to 90 of a user's beside its own, Python stops at 100."""
http.client._MAXHEADERS = MOST_HEADERS  # type: ignore[attr-defined] # the only way before Python 3.15; Swift does so, too
HOPS = 5
"""How often a GET or HEAD is sent on at its own place."""


def guard(session: Session, configured: Mapping[str, Any], **sizes: int) -> Known:
    """Put the rule below the session. `configured`: the cloud's entry of clouds.yaml, `sizes`: of pools, as HTTPAdapter."""
    known = Known(configured, session.auth)
    session.redirect = HOPS
    _put_below(session.session, known, **sizes)
    return known


def alone(url: str) -> requests.Session:
    """A session of requests for the place of that URL and no other."""
    made = requests.Session()
    made.max_redirects = HOPS
    _put_below(made, Known({"url": url}, None))
    return made


def _put_below(session: requests.Session, known: Known, **sizes: int) -> None:
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Transport(known, **sizes))
    session.auth = _InsteadOfNetrc()
    session.cookies.set_policy(_OwnPlace())


class Known:
    """The places that requests may go to."""

    def __init__(self, configured: Mapping[str, Any], auth: Any) -> None:
        self._auth = auth
        self._named = str(getattr(auth, "auth_url", None) or "")
        self._places = _places([configured, self._named])
        self.limits = limits(self._named)
        self._read: object = None
        self._lock = threading.Lock()
        self._thread = threading.local()

    def demand(self, method: str, url: str) -> None:
        """Raises Elsewhere if nobody named the place of that URL (as requests has prepared it)."""
        asked = place(url)
        if asked not in self._places:
            self._learn()
        if asked not in self._places:
            raise unknown(method, url, self._named)

    @contextmanager
    def refusals(self) -> Iterator[list[Elsewhere]]:
        """What this thread was refused meanwhile: keystoneauth's discovery passes over it."""
        before = getattr(self._thread, "refused", None)
        self._thread.refused = refused = list[Elsewhere]()
        try:
            yield refused
        finally:
            self._thread.refused = before

    def refuse(self, error: Elsewhere) -> Astray:
        """The error in the form that may pass through keystoneauth."""
        refused: list[Elsewhere] | None = getattr(self._thread, "refused", None)
        if refused is not None:
            refused.append(error)
        return Astray(error)

    def _learn(self) -> None:
        """The places in the catalog of the newest token. Those of older ones stay: other threads still ask there."""
        token = getattr(self._auth, "auth_ref", None)
        with self._lock:
            if token is not None and token is not self._read:
                self._places = self._places | _places(_endpoints(token))
                self._read = token


def _endpoints(token: Any) -> list[object]:
    """What the catalog of a token names; nothing if it is none (the next look at it says so)."""
    try:
        catalog = token.service_catalog.catalog
        return [service.get("endpoints") for service in catalog if isinstance(service, Mapping)]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def _places(data: object) -> frozenset[Place]:
    """The places of all addresses in it, in the form in which requests contacts them."""
    return frozenset(place(url) for text in _texts(data) if (url := prepared(text)))


def _texts(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping | list | tuple):
        items: Iterable[object] = data.values() if isinstance(data, Mapping) else data
        for item in items:
            yield from _texts(item)


def prepared(url: str) -> str:
    """The URL as requests would send it; empty if it is none."""
    if not url.lower().startswith(("http://", "https://")):
        return ""
    request = requests.PreparedRequest()
    try:
        request.prepare_url(url, None)
    except (requests.RequestException, UnicodeError):
        return ""
    return request.url or ""


class _Transport(TCPKeepAliveAdapter):
    """Sends what may be sent, again where it may be (`wire`); an answer that points away ends here."""

    def __init__(self, known: Known, **options: Any) -> None:
        self._known = known
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """As HTTPAdapter, with connections that are looked at."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = pools_of(self._known.limits)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        """As HTTPAdapter, with connections that are looked at."""
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = pools_of(self._known.limits)
        return manager

    def close(self) -> None:
        """As HTTPAdapter, and at once: by itself a pool waits until nobody has an answer of it any more, not even an error."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it cannot be iterated over
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()

    def send(self, request: requests.PreparedRequest, stream: bool = False, **options: Any) -> requests.Response:  # type: ignore[override]
        """As HTTPAdapter; what does not stream is read whole, within the bounds. Raises Astray, Broken, Interrupted.

        Who names no time has those of the bounds, too.
        """
        method, bounds = request.method or "GET", heeded().bounds
        if options.get("timeout") is None:
            options["timeout"] = bounds.connect, bounds.answer
        try:
            self._known.demand(method, request.url or "")
            what = f"{method} {shown(request.url or '')}"
            return repeated(what, lambda: self._once(request, stream, options), _told, requests.Response.close,
                            _repeat(request))  # fmt: skip
        except Elsewhere as error:
            raise self._known.refuse(error) from None

    def _once(self, request: requests.PreparedRequest, stream: bool, options: Any) -> requests.Response:
        response = _here(request, super().send(request, stream=True, **options))
        if not stream:
            what, write = f"{request.method} {shown(request.url or '')}", _repeat(request) != "always"
            try:
                data = whole(response.raw, what, write=write)
            except FOREIGN as error:
                raise requests.ConnectionError(error, request=request) from error
            finally:
                response.raw.release_conn()
            if "json" in str(request.headers.get("Accept")) and response.ok:
                measure(data, what, write=write)
            response._content, response._content_consumed = data, True  # type: ignore[attr-defined] # as requests does
        return response


def _told(response: requests.Response) -> tuple[int, str | None]:
    return response.status_code, response.headers.get("Retry-After")


def _repeat(request: requests.PreparedRequest) -> Repeat:
    """A question for a token may be asked again: what it made the first time ends by itself."""
    method, path = request.method or "GET", urlsplit(request.url or "").path
    if not writes(method) or (method == "POST" and path.endswith("/auth/tokens")):
        return "always"
    return "refused" if request.body is None or isinstance(request.body, bytes | str) else "never"


def _here(request: requests.PreparedRequest, response: requests.Response) -> requests.Response:
    """The answer, if it is none that points away; one that keystoneauth may follow has a whole address."""
    url, method = request.url or "", request.method or "GET"
    location = response.headers.get("Location")
    if response.status_code in REDIRECTS and location is not None:
        target = prepared(joined(url, location))
        if method not in ("GET", "HEAD") or place(target) != place(url):
            response.close()
            raise redirected(method, url, response.status_code, location)
        response.headers["Location"] = target
    return response


class _InsteadOfNetrc(AuthBase):
    """In the place where requests would otherwise look for the host in ~/.netrc, over any header of ours."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        user, password = get_auth_from_url(request.url or "")
        return HTTPBasicAuth(user, password)(request) if user or password else request


class _OwnPlace(DefaultCookiePolicy):
    """Cookies for the place that set them: not for other ports or hosts, and not in the clear."""

    def set_ok(self, cookie: Cookie, request: Any) -> bool:
        """As CookiePolicy."""
        here = place(request.get_full_url())
        if cookie.domain_specified or ":" in here.host or not super().set_ok(cookie, request):
            return False
        cookie.port, cookie.port_specified, cookie.secure = str(here.port), True, here.scheme == "https"
        return True
