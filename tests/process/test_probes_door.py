# SPDX-License-Identifier: Apache-2.0
"""What is asked through a door is answered, refused and silent as it is behind it; a door that nobody keeps is no answer.

The keeper is that of the embedded cloud, on this machine's own loopback: whatever the door gives could be reached without it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
import threading
from pathlib import Path

import pytest
import shells
import speakers

import unterbau.reference
from unterbau.reference import packets
from unterbau.reference.doors import door_to
from unterbau.reference.layout import Layout, Ports
from unterbau.switch.probes.asking import Heard, ask
from unterbau.switch.probes.model import Closed, Command, Dns, Http, Probe, State, Tcp

AT, ADDRESS = "floating_ip:f", "203.0.113.7"
KEEPER = Path(unterbau.reference.__file__).parent / "runtime/ground.py"


@pytest.fixture
def door(tmp_path: Path) -> Path:
    place = tmp_path / "100 % offen; door"
    read = importlib.util.spec_from_file_location("ground", KEEPER)
    assert read is not None and read.loader is not None
    ground = importlib.util.module_from_spec(read)
    read.loader.exec_module(ground)
    listening = ground.opened(str(place))
    threading.Thread(target=ground.keep_the_door, args=(listening,), daemon=True).start()
    return place


def heard(probe: Probe, port: int, door: Path, seconds: float = 20.0) -> Heard:
    return ask(probe, ADDRESS, ("127.0.0.1", port), seconds, None, door)


def test_a_page_a_banner_and_a_port_are_heard_through_a_door(door: Path) -> None:
    with speakers.talking(speakers.saying(b"220 here\r\n")) as port:
        assert heard(Tcp(id="t", at=AT, port=port), port, door).facts == {
            "banner": f"sha256:{hashlib.sha256(b'220 here').hexdigest()}"
        }
        assert heard(Closed(id="c", at=AT, port=port, control="t"), port, door).state is State.ANSWERED
    assert heard(Http(id="h", at=AT, port=port), port, door).state is State.REFUSED
    with speakers.silent() as port:
        assert heard(Http(id="h", at=AT, port=port), port, door, 0.5).state is State.SILENT


def test_names_are_asked_through_a_door(door: Path) -> None:
    probe = Dns(id="d", at=AT, query="www.example.org")
    with speakers.names({"www.example.org": "192.0.2.7"}) as port:
        through, plain = heard(probe, port, door), ask(probe, ADDRESS, ("127.0.0.1", port), 20.0)
    assert through == plain and through.state is State.ANSWERED


def test_ssh_takes_the_door_whatever_jump_host_is_configured(
    door: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Command(id="k", at=AT, user=shells.USER, run="id")
    (tmp_path / "ssh").mkdir()
    client = shells.client(tmp_path / "ssh", monkeypatch)
    client.configured(f"Host {ADDRESS}\n  ProxyJump nowhere.invalid\nHost *")
    with shells.guest(client.key, shells.saying(0, b"here")) as guest:
        assert heard(probe, guest.port, door).facts["exit status"] == 0
    assert heard(probe, speakers.free(), door).state is State.REFUSED


@pytest.mark.parametrize("probe", [
    Closed(id="c", at=AT, port=1, control="t"), Dns(id="d", at=AT, query="www.example.org"),
    Http(id="h", at=AT, port=1), Command(id="k", at=AT, user=shells.USER, run="id"),
])  # fmt: skip
def test_a_door_that_nobody_keeps_is_no_refusal(tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(probe, Command):
        shells.client(tmp_path, monkeypatch)
    with speakers.talking(speakers.saying(b"220 here\r\n")) as port:
        assert heard(probe, port, tmp_path / "none").state is State.UNREACHABLE


def test_an_address_of_a_cloud_without_root_is_behind_its_door_and_no_other_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the door is, since the cloud's own path is too long
    ports = Ports.block(21360)
    for name, more in (("a", ', "with": ["guests", "ovn"]'), ("b", "")):
        place = tmp_path / "unterbau/clouds" / name
        (place / "run").mkdir(parents=True)
        told = str(ports.all()).replace("'", '"')
        (place / "cloud.json").write_text(f'{{"runtime": "/r", "ports": {told}{more}}}')
    layout = Layout("a", tmp_path / "unterbau/clouds/a", Path("/r"), ports)
    assert door_to("172.24.10.223") is None, "root's cloud has none"
    packets.door(layout).parent.mkdir(exist_ok=True)
    packets.door(layout).touch()
    assert door_to("172.24.10.223") == door_to("fd24:a::9") == packets.door(layout)
    assert door_to("172.24.11.1") is None and door_to("10.5.0.3") is None and door_to("no address") is None
