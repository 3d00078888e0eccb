# SPDX-License-Identifier: Apache-2.0
"""Secure communication: real handshakes with local servers, each with one fault, and the judging of what was seen."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from prove_world import NOW

from unterbau.cloud.survey import Item, Subject
from unterbau.prove import handshake, secure
from unterbau.prove.inventory import Certificate, Inventory, Status, TlsProbe
from unterbau.prove.verdicts import CaseOutcome

HELD, FAILED, NOT_SHOWN = CaseOutcome.HELD, CaseOutcome.FAILED, CaseOutcome.NOT_SHOWN
HSTS = "Strict-Transport-Security: max-age=63072000"
PROFILE = "ECDHE+AESGCM:ECDHE+CHACHA20"
DEADLINE = 3.0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def certificate(authority: trustme.CA, *names: str, days: int = 200) -> trustme.LeafCert:
    now = datetime.now(UTC)
    return authority.issue_cert(*(names or ("127.0.0.1",)), not_before=now, not_after=now + timedelta(days=days))


def context(
    leaf: trustme.LeafCert, *, ciphers: str = PROFILE, least: str = "TLSv1_2", most: str = "TLSv1_3"
) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version, made.maximum_version = ssl.TLSVersion[least], ssl.TLSVersion[most]
    made.set_ciphers(ciphers)
    return made


@contextlib.contextmanager
def served(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """An address where each connection is given to `handle`."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=one, args=(client,), daemon=True).start()

        def one(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                client.settimeout(10)
                handle(client)

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def tls(made: ssl.SSLContext, *headers: str) -> Iterator[str]:
    """An HTTPS server that answers anything with 200 and these headers."""
    answer = "\r\n".join(["HTTP/1.1 200 OK", *headers, "Content-Length: 0", "Connection: close", "", ""]).encode()

    def handle(client: socket.socket) -> None:
        with made.wrap_socket(client, server_side=True) as secured:
            if secured.recv(65536):
                secured.sendall(answer)

    with served(handle) as place:
        yield f"https://{place}/v3"


def look(*urls: str, trust: str | bool, seconds: float = DEADLINE) -> tuple[TlsProbe, ...]:
    catalog: tuple[Item, ...] = tuple(
        {"type": f"s{n}", "endpoints": [{"interface": "public", "region": "r", "url": url}]}
        for n, url in enumerate(urls[1:])
    )
    return handshake.look(Subject(name="x", auth_url=urls[0], region="r"), catalog, trust=trust, seconds=seconds)


def outcomes(probes: tuple[TlsProbe, ...], at: datetime | None = None) -> dict[str, CaseOutcome]:
    seen = Inventory(subject=Subject(name="x", auth_url="https://x"), collected_at=NOW, tool="t", tls=probes)
    return {c.case: c.outcome for c in secure.judge(seen, at or datetime.now(UTC))}


def old_versions_can_be_asked() -> bool:
    return ssl.HAS_TLSv1 and ssl.HAS_TLSv1_1


def test_a_good_endpoint(authority: trustme.CA, trust: str) -> None:
    with tls(context(certificate(authority)), HSTS) as url:
        (probe,) = look(url, trust=trust)
    assert probe.status is Status.SEEN
    assert probe.trusted is True
    assert (probe.protocols["TLSv1.2"], probe.protocols["TLSv1.3"]) == (True, True)
    assert {c for c in probe.ciphers if c.startswith("ECDHE")}
    assert set(probe.ciphers) <= secure.INTERMEDIATE
    assert probe.hsts == "max-age=63072000"
    assert probe.chain[0].names == ("127.0.0.1",)
    assert set(outcomes((probe,)).values()) == ({HELD} if old_versions_can_be_asked() else {HELD, NOT_SHOWN})


@pytest.mark.skipif(not old_versions_can_be_asked(), reason="this OpenSSL knows no TLS 1.0 and 1.1")
def test_an_endpoint_that_speaks_old_versions(authority: trustme.CA, trust: str) -> None:
    made = context(certificate(authority), ciphers="ALL:@SECLEVEL=0", least="TLSv1")
    with tls(made, HSTS) as url:
        (probe,) = look(url, trust=trust)
    assert all(probe.protocols.values())
    found = outcomes((probe,))
    assert (found["tls-protocols"], found["tls-ciphers"], found["tls-trust"]) == (FAILED, FAILED, HELD)


def test_weak_ciphers_are_named_each(authority: trustme.CA, trust: str) -> None:
    weak = ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384")
    made = context(certificate(authority), ciphers=f"{PROFILE}:{':'.join(weak)}:@SECLEVEL=0", most="TLSv1_2")
    with tls(made, HSTS) as url:
        (probe,) = look(url, trust=trust)
    assert set(weak) <= set(probe.ciphers)
    found = outcomes((probe,))
    assert (found["tls-ciphers"], found["tls-1.3"]) == (FAILED, FAILED)


def test_only_the_newest_version_is_fine(authority: trustme.CA, trust: str) -> None:
    with tls(context(certificate(authority), least="TLSv1_3"), HSTS) as url:
        (probe,) = look(url, trust=trust)
    assert (probe.protocols["TLSv1.2"], probe.protocols["TLSv1.3"]) == (False, True)
    found = outcomes((probe,))
    assert (found["tls-1.3"], found["tls-ciphers"]) == (HELD, HELD)


def test_another_name(authority: trustme.CA, trust: str) -> None:
    with tls(context(certificate(authority, "elsewhere.example")), HSTS) as url:
        (probe,) = look(url, trust=trust)
    assert probe.trusted is False
    assert "127.0.0.1" in probe.trust_error
    assert outcomes((probe,))["tls-trust"] is FAILED


def test_another_authority(trust: str) -> None:
    with tls(context(certificate(trustme.CA())), HSTS) as url:
        (probe,) = look(url, trust=trust)
    assert probe.trusted is False
    found = outcomes((probe,))
    assert (found["tls-trust"], found["tls-dates"]) == (FAILED, HELD)


def test_who_does_not_verify_has_shown_no_trust(authority: trustme.CA) -> None:
    with tls(context(certificate(authority)), HSTS) as url:
        (probe,) = look(url, trust=False)
    assert probe.trusted is None
    assert outcomes((probe,))["tls-trust"] is NOT_SHOWN


def test_certificates_end(authority: trustme.CA, trust: str) -> None:
    with tls(context(certificate(authority, days=30)), HSTS) as url:
        probes = look(url, trust=trust)
    now = datetime.now(UTC)
    found = [outcomes(probes, now + timedelta(days=d))["tls-dates"] for d in (0, 20, 40)]
    assert found == [HELD, FAILED, FAILED]
    assert outcomes(probes, now - timedelta(days=2))["tls-dates"] is FAILED


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((HSTS,), HELD),
        (("strict-transport-security: includeSubDomains; MAX-AGE=99999999",), HELD),
        (("Strict-Transport-Security: max-age=300",), FAILED),
        (("Strict-Transport-Security: nonsense",), FAILED),
        ((), FAILED),
    ],
)
def test_strict_transport_security(
    authority: trustme.CA, trust: str, headers: tuple[str, ...], expected: CaseOutcome
) -> None:
    with tls(context(certificate(authority)), *headers) as url:
        assert outcomes(look(url, trust=trust))["tls-hsts"] is expected


def test_plain_text_in_the_catalog_is_named(authority: trustme.CA, trust: str) -> None:
    with tls(context(certificate(authority)), HSTS) as url:
        probes = look(url, "http://127.0.0.1:1/v2.1", trust=trust)
    assert [p.plain for p in probes] == [False, True]
    found = outcomes(probes)
    assert found["tls-everywhere"] is FAILED
    assert found["tls-trust"] is HELD


def test_a_mute_endpoint_ends_at_its_deadline_and_hides_no_other(authority: trustme.CA, trust: str) -> None:
    with served(lambda client: time.sleep(10)) as place, tls(context(certificate(authority)), HSTS) as url:
        begun = time.monotonic()
        probes = look(url, f"https://{place}", trust=trust, seconds=1.0)
        assert time.monotonic() - begun < 4
    assert [p.status for p in probes] == [Status.SEEN, Status.TIMEOUT]
    assert set(outcomes(probes).values()) == {NOT_SHOWN}


def test_nobody_is_there(authority: trustme.CA, trust: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (probe,) = look(f"https://127.0.0.1:{port}", trust=trust)
    assert (probe.status, bool(probe.reason)) == (Status.ERROR, True)
    assert set(outcomes((probe,)).values()) == {NOT_SHOWN}


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:99999/v2", "https://[::1/v2", "https:///v2", f"https://{'a' * 80}.de"]
)
def test_what_is_no_address_is_not_seen_and_hides_no_other(authority: trustme.CA, trust: str, url: str) -> None:
    with tls(context(certificate(authority)), HSTS) as good:
        probes = look(good, url, trust=trust)
    assert [p.status for p in probes] == [Status.SEEN, Status.ERROR]
    assert probes[1].reason
    assert set(outcomes(probes).values()) == {NOT_SHOWN}


def test_who_speaks_no_tls(trust: str) -> None:
    with served(lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as place:
        (probe,) = look(f"https://{place}", trust=trust)
    assert probe.status is Status.ERROR
    assert set(outcomes((probe,)).values()) == {NOT_SHOWN}


def test_all_questions_are_asked_at_the_same_time(authority: trustme.CA, trust: str) -> None:
    """A server far away: each of its answers takes a while. One after the other there would be some twenty of them."""
    way, made, open_now, most = 0.4, context(certificate(authority)), 0, 0
    lock = threading.Lock()

    def far(client: socket.socket) -> None:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        try:
            time.sleep(way)
            with made.wrap_socket(client, server_side=True) as secured:
                if secured.recv(65536):
                    secured.sendall(b"HTTP/1.1 200 OK\r\n" + HSTS.encode() + b"\r\nContent-Length: 0\r\n\r\n")
        finally:
            with lock:
                open_now -= 1

    with served(far) as place:
        begun = time.monotonic()
        (probe,) = look(f"https://{place}/v3", trust=trust, seconds=10.0)
        took = time.monotonic() - begun
    assert len(probe.ciphers) >= 4 and probe.hsts and probe.trusted
    assert most >= 8  # the server saw so many of us at once
    assert took < 0.6 * way * (len(probe.ciphers) + 6)


def test_a_server_that_falls_silent_has_not_shown_all_its_ciphers(authority: trustme.CA, trust: str) -> None:
    made = context(certificate(authority), most="TLSv1_2")

    def tired(client: socket.socket) -> None:
        first = client.recv(65536, socket.MSG_PEEK)
        offered = int.from_bytes(first[44 + first[43] : 46 + first[43]], "big") // 2
        if offered < 12:  # a question for a share of the ciphers
            time.sleep(2)
            return
        with made.wrap_socket(client, server_side=True) as secured:
            if secured.recv(65536):
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with served(tired) as place:
        (probe,) = look(f"https://{place}/v3", trust=trust, seconds=0.8)
    assert probe.status is Status.SEEN and probe.ciphers_unasked
    assert outcomes((probe,))["tls-ciphers"] is NOT_SHOWN


def test_an_address_is_asked_once(authority: trustme.CA, trust: str) -> None:
    with tls(context(certificate(authority)), HSTS) as url:
        assert len(look(url, url + "/a", url + "/b", trust=trust)) == 1


def test_what_this_machine_cannot_ask_is_not_shown() -> None:
    probe = good(protocols={"TLSv1": None, "TLSv1.1": None, "TLSv1.2": True, "TLSv1.3": True})
    found = outcomes((probe,), NOW)
    assert found["tls-protocols"] is NOT_SHOWN
    assert found["tls-1.3"] is HELD


def good(**more: object) -> TlsProbe:
    """A probe with nothing to complain of."""
    made: dict[str, object] = {
        "service": "identity", "interface": "public", "url": "https://x", "status": Status.SEEN,
        "protocols": {"TLSv1": False, "TLSv1.1": False, "TLSv1.2": True, "TLSv1.3": True},
        "ciphers": ("TLS_AES_128_GCM_SHA256",), "trusted": True, "hsts": "max-age=63072000", "chain": (leaf(),),
    }  # fmt: skip
    return TlsProbe.model_validate(made | more)


def leaf(key: str = "EC secp256r1", signature: str = "ecdsa-with-SHA256", life: int = 90) -> Certificate:
    return Certificate(
        subject="CN=x", issuer="CN=ca", names=("x",), not_before=NOW - dt.timedelta(days=1),
        not_after=NOW + dt.timedelta(days=life), sha256="sha256:00", key=key, signature=signature,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("probe", "case"),
    [
        (good(chain=(leaf(key="RSA 1024"),)), "tls-key"),
        (good(chain=(leaf(signature="sha1WithRSAEncryption"),)), "tls-key"),
        (good(chain=(leaf(life=800),)), "tls-lifespan"),
        (good(ciphers=("TLS_AES_128_GCM_SHA256", "AES128-SHA")), "tls-ciphers"),
        (good(protocols={"TLSv1": True, "TLSv1.1": None, "TLSv1.2": True, "TLSv1.3": True}), "tls-protocols"),
        (good(trusted=False, trust_error="self-signed"), "tls-trust"),
    ],
)
def test_one_fault_fails_its_case(probe: TlsProbe, case: str) -> None:
    assert set(outcomes((good(),), NOW).values()) == {HELD}
    found = outcomes((probe,), NOW)
    assert {c for c, o in found.items() if o is not HELD} == {case}
    assert found[case] is FAILED


def test_no_endpoint_shows_nothing(tmp_path: Path) -> None:
    assert set(outcomes((), NOW).values()) == {NOT_SHOWN}
