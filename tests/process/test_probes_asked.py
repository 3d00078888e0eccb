# SPDX-License-Identifier: Apache-2.0
"""Probes asked of real servers on loopback: what is kept of an answer, and that nothing the other end does hurts."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
import speakers
import trustme

from unterbau.errors import Interrupted
from unterbau.switch.probes import asking, running
from unterbau.switch.probes.asking import Heard, ask
from unterbau.switch.probes.model import Closed, Dns, Http, Probe, Ssh, State, Tcp, Tls
from unterbau.switch.probes.proposing import Place
from unterbau.switch.probes.running import Prober

ADDRESS = "203.0.113.7"
AT = "floating_ip:f"
SECONDS = 5.0


def heard(probe: Probe, port: int, seconds: float = SECONDS) -> Heard:
    return ask(probe, ADDRESS, ("127.0.0.1", port), seconds)


def http(**more: object) -> Http:
    return Http.model_validate({"id": "http", "at": AT, "port": 80, **more})


def prober(ports: dict[int, int], **more: object) -> Prober:
    made = Prober(now=lambda: datetime.now(UTC), rate=1000.0, seconds=SECONDS, **more)  # type: ignore[arg-type]
    made.place = lambda address, port: ("127.0.0.1", ports[port])
    return made


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_of_a_page_the_status_and_hashes_are_kept_and_no_cookie_stands_anywhere() -> None:
    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        assert (path, headers["Host"]) == ("/login?x=1", "fach.example.org")
        assert not {"Cookie", "Authorization"} & headers.keys()
        secret = {"Set-Cookie": "session=geheim", "WWW-Authenticate": "Digest nonce=geheim", "X-Token": "geheim"}
        return 200, {"Content-Type": "text/html", **secret}, b"<h1>geheim</h1>"

    with speakers.page(answer) as port:
        found = heard(http(name="fach.example.org", path="/login?x=1"), port)
    assert found.state is State.ANSWERED
    assert found.facts["status"] == 200 and found.facts["body"] == sha(b"<h1>geheim</h1>")
    assert found.facts["header content-type"] == sha(b"text/html")
    assert {name for name in found.facts if name.startswith("header")} == {"header content-type", "header server"}
    assert "geheim" not in json.dumps(found.facts) and "session" not in json.dumps(found.facts)


def test_a_redirect_is_told_and_not_followed_and_its_own_address_is_no_difference() -> None:
    asked: list[str] = []

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        return 302, {"Location": f"http://{ADDRESS}:8080/there"}, f"moved to {ADDRESS}, not {ADDRESS}9".encode()

    with speakers.page(answer) as port:
        found = heard(http(), port)
    assert asked == ["/"] and found.facts["status"] == 302
    assert found.facts["header location"] == sha(b"http://{address}:8080/there")
    assert found.facts["body"] == sha(f"moved to {{address}}, not {ADDRESS}9".encode())
    assert set(found.placed) == {"header location", "body"}


def test_a_page_longer_than_a_mib_shows_no_body() -> None:
    with speakers.page(lambda path, headers: (200, {}, b"x" * (2**20 + 1))) as port:
        found = heard(http(), port)
    assert found.state is State.ANSWERED and found.facts["status"] == 200 and "body" not in found.facts


@pytest.mark.parametrize(
    "talk",
    [
        speakers.saying(b"\x00\xff\x13garbage\r\n\r\n"),
        speakers.saying(b"HTTP/1.1 2000 no\r\n\r\n"),
        speakers.flooding(b"HTTP/1.1 200 OK\r\nX: "),
        speakers.flooding(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n"),
        lambda plain: None,
    ],
)
def test_what_is_no_http_is_garbage_and_costs_no_more_than_a_mib(talk: speakers.Talk) -> None:
    with speakers.talking(talk) as port:
        found = heard(http(), port)
    assert found.state is State.GARBAGE or (found.state is State.ANSWERED and "body" not in found.facts)


PROBES: list[Probe] = [
    http(), http(tls=True), Tls(id="t", at=AT, port=1), Ssh(id="s", at=AT, port=1), Tcp(id="b", at=AT, port=1)
]  # fmt: skip


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: f"{p.kind}{getattr(p, 'tls', '')}")
def test_who_drips_for_ever_costs_the_time_of_one_question(probe: Probe) -> None:
    with speakers.talking(speakers.dripping(b"HTTP/1.1 100 Continue\r\n\r\n", 0.05)) as port:
        begin = time.monotonic()
        found = heard(probe, port, 1.0)
        took = time.monotonic() - begin
    assert found.state in (State.SILENT, State.GARBAGE, State.ANSWERED)
    assert took < 30.0, "it ended, though the other end never does"


@pytest.mark.parametrize("probe", PROBES[:4], ids=lambda p: f"{p.kind}{getattr(p, 'tls', '')}")
def test_who_takes_a_connection_and_says_nothing_is_silent(probe: Probe) -> None:
    with speakers.silent() as port:
        assert heard(probe, port, 0.5).state is State.SILENT


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: f"{p.kind}{getattr(p, 'tls', '')}")
def test_garbage_of_any_length_raises_nothing(probe: Probe) -> None:
    for data in (
        b"\0",
        b"\x16\x03\x01\x00\x02hi",
        b"SSH-2.0-x\r\n" + b"\xff" * 64,
        b"SSH-2.0-x\r\n\0\0\0\x06\x04\x14",
        b"\n" * 90,
    ):
        with speakers.talking(speakers.saying(data)) as port:
            found = heard(probe, port, 0.5)
        assert found.state is not State.ANSWERED or probe.kind == "tcp"


def test_a_closed_port_is_refused_or_silent_and_an_open_one_answers() -> None:
    probe = Closed(id="c", at=AT, port=1, control="http")
    assert heard(probe, speakers.free()).state is State.REFUSED
    with speakers.silent() as port:
        assert heard(probe, port).state is State.ANSWERED, "the kernel took the connection"


def test_a_greeting_is_kept_as_the_hash_of_its_first_line() -> None:
    with speakers.talking(speakers.saying(b"220 mail.example.org ESMTP\r\n250 more\r\n")) as port:
        assert heard(Tcp(id="b", at=AT, port=25), port).facts == {"banner": sha(b"220 mail.example.org ESMTP")}


def test_a_certificate_is_told_by_its_hash_and_names() -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("fach.example.org", "*.test", ADDRESS)
    with speakers.page(lambda path, headers: (200, {}, b"hello"), certificate) as port:
        found = heard(Tls(id="t", at=AT, port=443, name="a.test"), port)
        page = heard(http(tls=True, name="fach.example.org"), port)
    assert found.facts["names"] == ["*.test", "{address}", "fach.example.org"] and found.placed == ("names",)
    assert found.facts["has the name"] is True and str(found.facts["certificate"]).startswith("sha256:")
    assert page.facts["body"] == sha(b"hello")


def test_a_host_key_is_told_if_it_signed_and_not_if_somebody_else_has_it() -> None:
    probe, shell = Ssh(id="s", at=AT, port=22), speakers.Shell()
    with speakers.talking(shell.talk) as port:
        found = heard(probe, port)
    assert found.facts["host key"] == sha(shell.blob) and found.facts["key type"] == "ssh-ed25519"
    assert found.facts["software"] == sha(b"SSH-2.0-tested_1.0")
    with speakers.talking(speakers.Shell(shows=shell.own).talk) as port:
        assert heard(probe, port).state is State.GARBAGE, "it shows a key that it does not have"


def test_a_name_server_answers_with_its_code_and_records() -> None:
    with speakers.names({"www.example.org": ADDRESS}) as port:
        found = heard(Dns(id="d", at=AT, query="www.example.org"), port)
        none = heard(Dns(id="d", at=AT, query="other.example.org"), port)
    assert found.facts["code"] == "NOERROR" and found.facts["number"] == 1 and found.placed == ("records",)
    assert none.facts["number"] == 0 and none.facts["records"] != found.facts["records"]
    with speakers.names({}, garbage=b"\0\1nonsense") as port:
        assert heard(Dns(id="d", at=AT, query="a.org"), port, 1.0).state in (State.GARBAGE, State.SILENT)


# --- running


def test_what_changes_from_look_to_look_is_told() -> None:
    number = itertools.count()

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "text/plain", "Vary": str(next(number))}, b"stays"

    with speakers.page(answer) as port:
        (found,) = prober({80: port}).record("source", [(http(), ADDRESS)])
    assert found.unsteady == ("header vary",)


def test_a_target_is_asked_until_it_answers_as_the_source_did() -> None:
    number = itertools.count()

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return (200, {}, b"here") if next(number) > 2 else (503, {}, b"starting")

    with speakers.page(answer) as port, pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "PAUSE", 0.01)
        asks = prober({80: port})
        before = asks.record("source", [(http(), ADDRESS)])[0].model_copy(
            update={"facts": {"status": 200, "body": sha(b"here")}}
        )
        before = before.model_copy(update={"unsteady": ("header server",)})
        (found,) = asks.compare([(http(), ADDRESS)], {"http": before}, wait=60.0)
        assert found.facts["status"] == 200 and next(number) == 4
        (late,) = asks.compare([(http(), ADDRESS)], {"http": before.model_copy(update={"facts": {}})}, wait=0.0)
        assert late.state is State.ANSWERED and next(number) == 6, "asked once, and no more"


def test_one_address_is_asked_at_most_so_often_a_second() -> None:
    taken: list[float] = []

    def talk(plain: object) -> None:
        taken.append(time.monotonic())

    with speakers.talking(talk) as port:
        asks = prober(dict.fromkeys(range(1, 5), port))
        asks.rate = 20.0
        begin = time.monotonic()
        asks.record("source", [(Closed(id=f"c{n}", at=AT, port=n, control="x"), ADDRESS) for n in range(1, 5)])
        took = time.monotonic() - begin
    assert took >= 7 / 20.0, "eight questions, twenty a second"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1", "fe80::1", "2001:db8::1%x", "no"],  # noqa: S104
)  # fmt: skip
def test_an_address_that_is_no_tenants_is_not_asked(address: str) -> None:
    def place(address: str, port: int) -> tuple[str, int]:
        raise AssertionError("it was asked")

    asks = prober({})
    asks.place = place
    (found,) = asks.record("source", [(http(), address)])
    assert found.state is State.UNREACHABLE and "no address that a tenant can have" in str(found.reason)


def test_a_stop_is_heard_between_two_questions() -> None:
    asks = prober({80: speakers.free()})
    asks.stop.set()
    with pytest.raises(Interrupted):
        asks.record("source", [(http(), ADDRESS)])


def test_what_speaks_at_a_place_is_recognised() -> None:
    number = itertools.count()
    authority = trustme.CA()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "BANNER_SECONDS", 0.3)
        ports = {
            80: stack.enter_context(speakers.page(lambda path, headers: (200, {}, b"same"))),
            81: stack.enter_context(speakers.page(lambda path, headers: (200, {}, f"{next(number)}".encode()))),
            443: stack.enter_context(speakers.page(lambda p, h: (200, {}, b"secured"), authority.issue_cert("a.test"))),
            22: stack.enter_context(speakers.talking(speakers.Shell().talk)),
            25: stack.enter_context(speakers.talking(speakers.saying(b"220 hello\r\n"))),
            9: speakers.free(),
        }
        found = prober(ports).recognise([Place(AT, ADDRESS, port) for port in ports])
    told = {
        place.port: [(p.kind, getattr(p, "tls", None), getattr(p, "body", None)) for p in probes]
        for place, probes in found.items()
    }
    assert told == {
        80: [("http", False, "same")],
        81: [("http", False, "ignore")],
        443: [("tls", None, None), ("http", True, "same")],
        22: [("ssh", None, None)],
        25: [("tcp", None, None)],
    }


def test_addresses_are_asked_side_by_side_and_answers_keep_their_order() -> None:
    with speakers.silent() as slow, speakers.page(lambda path, headers: (200, {}, b"")) as fast:
        asks = prober({1: slow, 2: fast})
        asks.seconds = 0.5
        listed: list[tuple[Probe, str]] = [(http(id=f"p{n}", port=1 + n % 2), f"203.0.113.{n}") for n in range(6)]
        found = asks.record("target", listed)
    assert [a.probe for a in found] == [p.id for p, _ in listed]
    assert {a.state for a in found if int(a.probe[1:]) % 2} == {State.ANSWERED}
    assert threading.active_count() < 50
