# SPDX-License-Identifier: Apache-2.0
"""The rule for where a request may go, and that no client of ours can forget it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from unterbau.errors import Broken
from unterbau.places import next_page, place, redirected, shown, unknown, without_user

SOURCE = Path(__file__).parents[2] / "src" / "unterbau"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x", "https://a.example:443/y", True),
        ("https://a.example/x", "HTTPS://A.Example/y", True),
        ("http://a.example", "http://a.example:80", True),
        ("http://[::1]:5000/x", "http://[::1]:5000/y", True),
        ("https://u:p@a.example/x", "https://a.example/x", True),
        ("https://a.example", "http://a.example", False),
        ("https://a.example:443", "http://a.example:443", False),
        ("https://a.example", "https://a.example:8443", False),
        ("https://a.example", "https://b.example", False),
        ("https://a.example", "https://a.example.b.example", False),
        ("https://a.example", "https://a.example@b.example", False),
        ("https://a.example", "//a.example", False),
        ("https://a.example", "https://a.example:notaport", False),
    ],
)
def test_a_place_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert (place(one) == place(other)) is same


def test_what_cannot_be_read_is_no_real_place() -> None:
    assert place("https://[::1/x") == place("") != place("https://a.example")


def test_an_error_names_both_places_and_nothing_that_could_be_secret() -> None:
    error = redirected("POST", "https://u:secret1@k:5000/v3/auth/tokens?t=secret2", 307, "http://e:1/x?token=secret3")
    assert error.what == "POST https://k:5000/v3/auth/tokens: HTTP 307 points to http://e:1, which is another place"
    assert "clouds.yaml" in error.remedy and error.status == 307 and not error.transient
    clear = redirected("GET", "https://k/v3", 301, "http://k/v3/")
    assert "points to http://k:80, " in clear.what and "https address" in clear.remedy
    same = redirected("PUT", "https://k/a", 308, "/b")
    assert same.what == "PUT https://k:443/a: HTTP 308 points to another path of https://k:443"
    nobody = unknown("GET", "https://e/x", "https://k/v3")
    assert (
        nobody.what == "GET https://e:443/x: neither clouds.yaml nor the catalog of https://k:443 names https://e:443"
    )
    for bad in ("https://[::1/x", "\x1b[31mhttp://e", "http:///x", "http://\u202ee/x"):
        text = redirected("GET", "https://k/a", 302, bad).what
        assert text.isprintable() and "k:443/a" in text


def test_addresses_in_messages_hold_no_user() -> None:
    assert without_user("https://u:p@h:1/v3?x=@y") == "https://h:1/v3?x=@y"
    assert without_user("https://h/v3") == "https://h/v3"
    assert shown("https://u:p@h:1/v3/x?token=t#f") == "https://h:1/v3/x"


@pytest.mark.parametrize(
    ("asked", "link", "page"),
    [
        ("/v2/images?limit=2", "/v2/images?limit=2&marker=a", "/v2/images?limit=2&marker=a"),
        ("/servers/detail", "https://h/v2.1/servers/detail?marker=a", "/servers/detail?marker=a"),
        ("/servers/detail", "http://10.0.0.5:8774/v2.1/p/servers/detail?marker=a", "/servers/detail?marker=a"),
        ("/servers/detail", "//stranger/servers/detail?marker=a", "/servers/detail?marker=a"),
        ("/images?limit=2", "/v2/images?marker=a", "/images?marker=a"),
        ("/v2.0/networks", "networks?marker=a", None),
        ("/v2.0/networks", "https://h/v2.0/networks/?marker=a%26b", "/v2.0/networks?marker=a%26b"),
        ("/servers/detail", "https://h/v2.1/servers?marker=a", None),
        ("/servers", "https://h/other-servers?marker=a", None),
        ("/servers", "https://[::1/servers", None),
        ("/servers", 7, None),
        ("/servers", {"href": "x"}, None),
    ],
)
def test_the_next_page_is_of_the_same_listing_at_our_endpoint(asked: str, link: object, page: str | None) -> None:
    if page is not None:
        assert next_page(asked, link) == page
        return
    with pytest.raises(Broken, match="not this listing"):
        next_page(asked, link)


OPENERS = {
    "requests": {"cloud/openstack/transport.py"},
    "urllib3": {"cloud/openstack/swift.py", "cloud/openstack/transport.py", "cloud/openstack/wire.py"},
    "http.client": {"images/fetching.py", "stack/proxmox.py", "reference/rest.py", "reference/process.py"},
    "urllib.request": set[str](),
    "socket": {
        "cloud/openstack/identity.py", "cloud/openstack/wire.py", "prove/handshake.py", "reference/process.py",
        "reference/ports.py", "switch/probes/door.py", "switch/probes/line.py",
    },
}  # fmt: skip
"""Who may open connections with what. `.importlinter` holds the imports; this holds what is done with them."""
KEEPS_THE_RULE = {
    "cloud/openstack/transport.py",
    "cloud/openstack/swift.py",
    "stack/proxmox.py",
    "reference/rest.py",
    "images/fetching.py",
}
"""Those that send secrets, and the one that takes what strangers give. The others send none: `process` asks whether a service of ours is ready, `line` (and `door`) what a tenant's address
answers to whoever asks, the rest is TLS."""
MAKES = {
    "requests": {"Session", "session", "request", "get", "head", "post", "put", "patch", "delete", "options"},
    "urllib3": {
        "connection_from_url",
        "PoolManager",
        "ProxyManager",
        "HTTPConnectionPool",
        "HTTPSConnectionPool",
        "request",
    },
    "http.client": {"HTTPConnection", "HTTPSConnection"},
    "urllib.request": {"urlopen", "build_opener", "urlretrieve", "Request"},
    "socket": {"create_connection", "socket"},
}


def _opened(tree: ast.AST) -> Iterator[str]:
    """The modules by which a file opens connections: calls of `MAKES`, imports and heirs of those names, `wire.POOLS` and `wire.pools_of`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = [b for b in node.bases if isinstance(b, ast.Attribute)]
            yield from (m for b in bases for m, names in MAKES.items() if ast.unparse(b.value) == m and b.attr in names)
        if {"POOLS", "pools_of"} & {getattr(node, "id", ""), getattr(node, "attr", "")}:
            yield "urllib3"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            yield from (m for m, names in MAKES.items() if owner == m and node.func.attr in names)
        elif isinstance(node, ast.ImportFrom):
            yield from (m for m, names in MAKES.items() if node.module == m and names & {a.name for a in node.names})
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name == "urllib.request" or (a.asname and a.name in MAKES))


@pytest.mark.thorough
def test_connections_are_opened_in_known_files_only() -> None:
    found: dict[str, set[str]] = {module: set() for module in MAKES}
    for file in SOURCE.rglob("*.py"):
        if "runtime" in file.parts:  # runs inside the services of the embedded cloud, and is none of our clients
            continue
        for module in _opened(ast.parse(file.read_text())):
            found[module].add(str(file.relative_to(SOURCE)))
    assert found == OPENERS


@pytest.mark.thorough
def test_a_session_of_keystoneauth_is_made_where_the_rule_is_put_below_it() -> None:
    makers = {f for f in SOURCE.rglob("*.py") if re.search(r"\bget_session\(|\bSession\(.*auth=", f.read_text())}
    assert {str(f.relative_to(SOURCE)) for f in makers} == {"cloud/openstack/session.py"}
    assert "= guard(self.session," in (SOURCE / "cloud/openstack/session.py").read_text()


@pytest.mark.parametrize("file", sorted(KEEPS_THE_RULE))
def test_who_sends_secrets_asks_the_rule(file: str) -> None:
    tree = ast.parse((SOURCE / file).read_text())
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert {"REDIRECTS", "redirected"} <= names
    calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    assert "redirected" in calls
