# SPDX-License-Identifier: Apache-2.0
"""The adapter's edge: no foreign exception passes, no secret with it; configuration and pages that are broken."""

from __future__ import annotations

import contextlib
import gc
import http.client
import inspect
import io
import json
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3
from keystoneauth1 import exceptions as ksa
from keystoneauth1.adapter import Adapter
from keystoneauth1.noauth import NoAuth
from keystoneauth1.session import Session
from openstack import exceptions as sdk
from pydantic import SecretBytes

from unterbau.cloud import openstack
from unterbau.cloud.bounds import Bounds
from unterbau.cloud.openstack import profiles
from unterbau.cloud.openstack.adapter import OpenStack
from unterbau.cloud.openstack.errors import by_status, translated
from unterbau.cloud.openstack.http import Api, Once, parallel
from unterbau.cloud.openstack.key_manager import KeyService
from unterbau.cloud.openstack.limits import Limits
from unterbau.cloud.openstack.swift import Swift
from unterbau.cloud.openstack.transport import alone
from unterbau.cloud.waiting import heeding
from unterbau.errors import (
    AuthFailed,
    Broken,
    CloudError,
    ConfigError,
    Conflict,
    Forbidden,
    Interrupted,
    NotFound,
    OverQuota,
    Unreachable,
    Unsupported,
)
from unterbau.tenant.kinds import Kind, Secret

TOKEN = "gAAAAABnSECRETtoken-1234567890"
SAID = f"it went wrong; X-Auth-Token: {TOKEN}; password=hunter22"


def _classes(module: ModuleType) -> Iterator[type[Exception]]:
    for _, found in inspect.getmembers(module, inspect.isclass):
        if issubclass(found, Exception) and not issubclass(found, Warning) and not found.__module__.startswith("email"):
            yield found


SPECIAL: dict[type[Exception], Callable[[], Exception]] = {
    UnicodeDecodeError: lambda: UnicodeDecodeError("utf-8", b"x", 0, 1, SAID),
    urllib3.exceptions.IncompleteRead: lambda: urllib3.exceptions.IncompleteRead(7, 9),
    urllib3.exceptions.InvalidChunkLength: lambda: urllib3.exceptions.InvalidChunkLength(
        urllib3.HTTPResponse(io.BytesIO()), b"9"
    ),
}


def _made(kind: type[Exception]) -> Exception:
    """An instance whose text holds a token, whatever the constructor wants."""
    if kind in SPECIAL:
        return SPECIAL[kind]()
    for arguments in ((SAID,), (), (None, None, SAID), (SAID, SAID), (None, SAID), (SAID, SAID, SAID)):
        try:
            made = kind(*arguments)
            str(made)
            return made
        except Exception:  # noqa: BLE001, S112 - constructors of others: the next form is tried
            continue
    error = kind.__new__(kind)
    error.args = (SAID,)
    return error


FOREIGN = sorted(
    {
        *_classes(ksa), *_classes(sdk), *_classes(requests.exceptions), *_classes(urllib3.exceptions),
        *_classes(http.client), socket.gaierror, TimeoutError, ConnectionResetError, BrokenPipeError, ssl.SSLError,
        ssl.SSLCertVerificationError, UnicodeDecodeError,
    },
    key=lambda c: f"{c.__module__}.{c.__qualname__}",
)  # fmt: skip


@pytest.fixture(autouse=True)
def asked_once() -> Iterator[None]:
    """What a fault means is one thing, how often it is asked again another (tests/process/test_bad_days.py)."""
    with heeding(threading.Event(), print, Bounds(tries=1)):
        yield


@pytest.mark.parametrize("kind", FOREIGN, ids=[f"{c.__module__}.{c.__qualname__}" for c in FOREIGN])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_foreign_exception_passes_and_no_secret_with_it(kind: type[Exception]) -> None:
    error = _made(kind)
    with pytest.raises((CloudError, ConfigError)) as caught, translated("compute: GET /servers"):
        raise error
    assert caught.value.what.startswith("compute: GET /servers")
    assert TOKEN not in str(caught.value) and "hunter22" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "", Conflict), (401, "", AuthFailed), (403, "", Forbidden), (404, "", NotFound), (405, "", Unsupported),
        (409, "", Conflict), (410, "", NotFound), (413, "", OverQuota), (429, "", Unreachable), (500, "", Broken),
        (501, "", Unsupported), (503, "", Unreachable), (507, "", OverQuota),
        (403, "Quota exceeded for cores", OverQuota), (409, "Quota exceeded for resources: ['port']", OverQuota),
    ],
)  # fmt: skip
def test_a_status_has_one_error(status: int, text: str, kind: type[CloudError]) -> None:
    assert type(by_status(status, text, "x")) is kind


@pytest.mark.parametrize("status", [408, 499, 500, 502, 503, 504])
def test_a_write_without_a_definite_answer_is_uncertain(status: int) -> None:
    assert by_status(status, "", "x", write=True).uncertain
    assert not by_status(status, "", "x").uncertain


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 429, 501, 507])
def test_a_refusal_is_certain(status: int) -> None:
    assert not by_status(status, "", "x", write=True).uncertain


CUT = b""
SHORT = b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"
NONSENSE = b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabc"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
LATE = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n"
NO = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server on loopback that reads one request and answers it as told."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


def plain_api(url: str) -> Api:
    return Api(Adapter(Session(NoAuth(url)), service_type="compute"))


def plain_swift(url: str) -> Swift:
    return Swift(lambda: f"{url}/v1/AUTH_x", lambda: "token", lambda: None, lambda: True, Limits())


@pytest.mark.parametrize(
    ("method", "answer", "uncertain"),
    [
        *[(m, a, True) for m in ("POST", "PUT", "DELETE", "PATCH") for a in (CUT, SHORT, NONSENSE, PAGE, LATE)],
        ("POST", NO, False), ("GET", NONSENSE, False),
    ],
)  # fmt: skip
def test_only_a_write_whose_answer_is_lost_is_uncertain(method: str, answer: bytes, uncertain: bool) -> None:
    with answering(answer) as url, pytest.raises(CloudError) as caught:
        plain_api(url).json(method, "/servers")
    assert caught.value.uncertain is uncertain


@pytest.mark.parametrize(
    ("method", "answer", "uncertain"),
    [
        *[(m, a, True) for m in ("POST", "PUT", "DELETE") for a in (CUT, SHORT, PAGE, LATE)],
        ("PUT", NO, False), ("GET", CUT, False), ("HEAD", LATE, False),
    ],
)  # fmt: skip
def test_a_lost_answer_of_the_object_store_likewise(method: str, answer: bytes, uncertain: bool) -> None:
    with answering(answer) as url, pytest.raises(CloudError) as caught:
        plain_swift(url).request(method, "/box/thing")
    assert caught.value.uncertain is uncertain


@pytest.mark.parametrize("body", [b"x" * 2000, b"[" * 200 + b"]" * 200], ids=["too long", "too deep"])
@pytest.mark.parametrize(("method", "uncertain"), [("POST", True), ("GET", False)])
def test_an_answer_that_is_not_looked_at_tells_nothing_of_a_write(body: bytes, method: str, uncertain: bool) -> None:
    """It may have told of something that was made: the journal has to know."""
    told = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    small = Bounds(tries=1, mib=1000 / 2**20)
    bounded = heeding(threading.Event(), print, small)
    with answering(told) as url, bounded, alone(url) as session, pytest.raises(Broken) as caught:
        session.request(method, url + "/servers", headers={"Accept": "application/json"}, timeout=5)
    assert caught.value.uncertain is uncertain


def test_so_does_one_of_the_object_store() -> None:
    told = b"HTTP/1.1 201 Created\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
    bounded = heeding(threading.Event(), print, Bounds(tries=1, mib=1000 / 2**20))
    with answering(told) as url, bounded, pytest.raises(Broken) as caught:
        plain_swift(url).request("PUT", "/box/thing", body=b"1")
    assert caught.value.uncertain


def test_a_page_in_place_of_an_answer_is_no_object_that_was_made() -> None:
    with answering(PAGE) as url, pytest.raises(Broken) as caught:
        plain_swift(url).create("/box/thing", {}, b"1")
    assert caught.value.uncertain


@pytest.mark.parametrize(
    "write",
    [
        lambda api: KeyService(lambda: api, lambda: "me").delete(Kind.SECRET, "x", timedelta()),
        lambda api: KeyService(lambda: api, lambda: "me").write("x", Secret(id="x", name="x"), SecretBytes(b"1")),
    ],
)  # fmt: skip
def test_a_page_is_no_answer_to_what_a_key_manager_answers_without_a_body(write: Callable[[Any], None]) -> None:
    with answering(PAGE) as url, pytest.raises(Broken) as caught:
        write(plain_api(url))
    assert caught.value.uncertain


def test_what_was_never_sent_is_certain() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
    for ask in (lambda: plain_api(nobody).json("POST", "/servers"), lambda: plain_swift(nobody).request("PUT", "/box")):
        with pytest.raises(Unreachable) as caught:
            ask()
        assert not caught.value.uncertain


class Paged:
    """Answers a listing from pages that a test made."""

    service_type = "compute"

    def __init__(self, pages: Callable[[str], Any]) -> None:
        self.pages, self.asked = pages, list[str]()

    def request(self, path: str, method: str, **options: Any) -> requests.Response:
        self.asked.append(path)
        response = requests.Response()
        response.status_code = 200
        told = self.pages(path)
        response._content = told if isinstance(told, bytes) else json.dumps(told).encode()
        return response

    def get_endpoint(self) -> str:
        return "https://cloud.example/compute/v2.1"


def api(pages: Callable[[str], Any]) -> Api:
    adapter: Any = Paged(pages)
    return Api(adapter)


def test_all_pages_are_read_by_relative_and_absolute_links() -> None:
    def pages(path: str) -> Any:
        if "marker=c" in path:
            return {"servers": []}
        if "marker=b" in path:
            return {"servers": [{"id": "c"}], "servers_links": []}
        if "marker=a" in path:
            return {"servers": [{"id": "b"}], "next": "/servers?marker=b"}
        link = {"rel": "next", "href": "https://behind.proxy/compute/v2.1/servers?marker=a"}
        return {"servers": [{"id": "a"}], "servers_links": [link]}

    assert [e["id"] for e in api(pages).pages("/servers", "servers")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"servers": [], "next": "/servers?marker=1"}, "circle"),
        ({"server": []}, "no servers"),
        ({"servers": None}, "no servers"),
        (b"<html>not found</html>", "not JSON"),
        (b"[]", "not an object"),
    ],
)
def test_a_listing_that_makes_no_sense_is_broken_and_ends(answer: Any, said: str) -> None:
    with pytest.raises(Broken, match=said):
        list(api(lambda path: answer).pages("/servers", "servers"))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clouds: [", "line"),
        ("clouds:\n  a: b: c\n", "line 2"),
        ("nothing: here\n", "no mapping `clouds:`"),
        ("", "no mapping `clouds:`"),
        ("clouds: {}\n", "not in clouds.yaml|no clouds.yaml"),
        ("clouds: {near-name: {auth: {auth_url: 'https://x/v3'}}}\n", "nearest: near-name"),
        ("clouds: {a-cloud: {auth_type: nonsense, auth: {auth_url: 'https://x/v3'}}}\n", "a-cloud"),
    ],
)
def test_a_broken_clouds_yaml_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    file = tmp_path / "clouds.yaml"
    file.write_text(text)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    with pytest.raises(ConfigError, match=said) as caught:
        openstack.connect("a-cloud").identity()
    assert caught.value.remedy


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("key", ["auth_url", "image_endpoint_override"])
@pytest.mark.parametrize(
    "url", ["https://[::1/v3", "https://h:99999/v3", "host/v3", "ftp://host/v3", "https://", "https://a b/v3"]
)
def test_an_address_in_clouds_yaml_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, url: str
) -> None:
    told: dict[str, Any] = {"auth": {"auth_url": "https://x/v3", "username": "u", "password": "p", "project_name": "x"}}
    (told["auth"] if key == "auth_url" else told)[key] = url
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps({"clouds": {"a-cloud": told}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    with pytest.raises(ConfigError, match=f"{key} is no address") as caught:
        openstack.connect("a-cloud").identity()
    assert "https://HOST" in caught.value.remedy


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_token_and_the_versions_are_asked_for_within_the_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes connections and says nothing, then one that takes none any more."""
    file, began = tmp_path / "clouds.yaml", time.monotonic()
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    with contextlib.ExitStack() as kept:
        silent = kept.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        where = f"http://127.0.0.1:{silent.getsockname()[1]}/v3"
        auth = {"auth_url": where, "username": "u", "password": "p", "project_name": "x"}
        file.write_text(json.dumps({"clouds": {"a-cloud": {"auth": auth, "api_timeout": 3600}}}))
        with heeding(threading.Event(), print, Bounds(answer=0.2, operation=0.3)), pytest.raises(Unreachable):
            openstack.connect("a-cloud").identity()
        for _ in range(3):
            full = kept.enter_context(socket.socket())
            full.setblocking(False)
            full.connect_ex(silent.getsockname())
        with heeding(threading.Event(), print, Bounds(connect=0.2, operation=0.3)), pytest.raises(Unreachable):
            openstack.connect("a-cloud").identity()
    assert time.monotonic() - began < 60, "each request had 90 s once"


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_the_credentials_of_a_cloud_are_known_to_the_search_for_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clouds.yaml"
    auth = {"auth_url": "https://x/v3", "application_credential_id": "i", "application_credential_secret": "s3cr3t!"}
    file.write_text(json.dumps({"clouds": {"c": {"auth_type": "v3applicationcredential", "auth": auth}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    assert openstack.secrets("c") == ("s3cr3t!",)


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (None, ""), (7, ""), ("no-such-vendor", ""), ("otc", ""),
        ("ovh", "https://ovhcloud.com"),  # openstacksdk's own file sends there
        ("https://vendor.example/x", "https://vendor.example/x"),
    ],
)  # fmt: skip
def test_a_profile_that_would_be_fetched_is_known_before_it_is(told: object, address: str) -> None:
    assert profiles._address(told) == address


def test_a_users_own_words_are_never_taken_for_a_marker() -> None:
    from unterbau.cloud.openstack.service import from_metadata, from_tags
    from unterbau.saga import Marker

    ours = Marker(run="20261123-a", node="create network:1").tag()
    assert from_tags(["unterbau.notes", "web"]) == (None, ("unterbau.notes", "web"))
    assert from_tags([ours, "web"]) == (ours, ("web",))
    assert from_metadata({"unterbau": "mine"}) == (None, {"unterbau": "mine"})
    assert from_metadata({"unterbau": ours, "a": "b"}) == (ours, {"a": "b"})


def test_of_several_with_one_marker_the_first_that_is_not_in_error_is_gone_on_with() -> None:
    from unterbau.cloud.openstack.service import eldest, only

    late = {"id": "a", "status": "ACTIVE", "created_at": "2026-11-25T10:00:09Z"}
    first = {"id": "z", "status": "ACTIVE", "created_at": "2026-11-25T10:00:01Z"}
    wrong = {"id": "b", "status": "ERROR", "created_at": "2026-11-25T10:00:00Z"}
    assert eldest([late, wrong, first]) is first
    assert eldest([late, wrong]) is late
    assert eldest([wrong]) is wrong
    assert eldest([]) is None
    assert only("compute: server group x", ["1"]) == "1"
    assert only("compute: server group x", []) is None
    with pytest.raises(Conflict, match=r"server group x: 2 look like .* 1, 2"):
        only("compute: server group x", ["2", "1"])


@pytest.mark.parametrize(
    "theirs",
    [
        {}, {"unterbau": "mine"}, {"Unterbau": "mine", "a": "b"}, {"unterbau": "mine", "unterbau_marker": "mine"},
        {"unterbau": "1", "UNTERBAU-Marker": "2", "unterbau-marker-2": "3", "unterbau-marker-4": "4"},
        {"unterbau": "unterbau.earlier.0123456789abcdef"},
    ],
)  # fmt: skip
def test_a_users_own_keys_are_never_overridden_and_never_override_the_marker(theirs: dict[str, str]) -> None:
    from unterbau.cloud.openstack.service import from_metadata
    from unterbau.cloud.port import marked
    from unterbau.saga import Marker

    ours = Marker(run="20261123-a", node="create network:1").tag()
    written = marked(theirs, ours)
    assert written.items() > theirs.items()
    assert len({k.lower().replace("_", "-") for k in written}) == len(theirs) + 1
    assert from_metadata(written) == (ours, dict(sorted(theirs.items())))


def test_a_listing_hears_a_stop_between_two_pages() -> None:
    stop, asked = threading.Event(), list[str]()

    class Endless(Api):
        def json(self, method: str, path: str, body: object = None, **_: object) -> dict[str, object]:
            asked.append(path)
            if len(asked) == 3:
                stop.set()
            return {"things": [{"id": f"{len(asked)}-{n}"} for n in range(5)]}

    with heeding(stop, print, Bounds()), pytest.raises(Interrupted, match="things"):
        Endless(Adapter(Session(NoAuth("http://127.0.0.1:9")), service_type="compute")).listed("/things", "things")
    assert len(asked) == 3


def _asking(answer: Callable[[str], dict[str, object]]) -> tuple[Once, list[str]]:
    asked = list[str]()

    class Told(Once):
        def json(self, method: str, path: str, body: object = None, **_: object) -> dict[str, object]:
            asked.append(path)
            return answer(path)

    adapter = Adapter(Session(NoAuth("http://127.0.0.1:9")), service_type="compute")
    return Told(Api(adapter)), asked


def test_for_one_look_a_listing_is_asked_for_once_and_everybody_who_wants_it_waits_for_that() -> None:
    may = threading.Event()

    def answer(path: str) -> dict[str, object]:
        assert may.wait(60)
        return {"things": [] if "marker" in path else [{"id": path}]}

    once, asked = _asking(answer)
    with ThreadPoolExecutor(8) as pool:
        same = [pool.submit(once.pages, "/things", "things", owner="me") for _ in range(7)]
        other = pool.submit(once.listed, "/things", "things", owner=["you", "he"])
        may.set()
        assert [f.result() for f in same] == [({"id": "/things?limit=500&owner=me"},)] * 7
        assert other.result().entries == ({"id": "/things?limit=500&owner=you&owner=he"},)
    assert sorted(path for path in asked if "marker" not in path) == [
        "/things?limit=500&owner=me", "/things?limit=500&owner=you&owner=he",
    ]  # fmt: skip


def test_what_a_look_listed_goes_with_it() -> None:
    """Nothing of it stays until somebody collects rubbish: the raw answers of a census would."""
    session: Any = SimpleNamespace(api=None, token=None, renew=None, limits=None)
    view = OpenStack(session).once()
    gone = weakref.ref(view)
    gc.disable()
    try:
        del view
        assert gone() is None
    finally:
        gc.enable()


def test_what_a_look_could_not_list_it_could_not_list_for_anybody() -> None:
    def answer(path: str) -> dict[str, object]:
        raise Forbidden("not you")

    once, asked = _asking(answer)
    for _ in range(3):
        with pytest.raises(Forbidden, match="not you"):
            once.pages("/things", "things")
    assert len(asked) == 1


@pytest.mark.thorough
def test_many_readings_end_soon_after_a_stop_and_those_that_tidy_up_do_not() -> None:
    stop, done = threading.Event(), list[int]()

    def read(number: int) -> int:
        done.append(number)
        if number == 40:
            stop.set()
        return number

    with heeding(stop, print, Bounds()):
        with pytest.raises(Interrupted):
            parallel(read, range(10_000), 4)
        assert 40 in done and len(done) < 100
        assert parallel(read, range(100), 4) == [*range(100)]
