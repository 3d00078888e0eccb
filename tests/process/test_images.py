# SPDX-License-Identifier: Apache-2.0
"""Vendors' images: nothing is made before its checksum was compared, older builds stay, a kill leaves no twin, a fault is one message."""

from __future__ import annotations

import http.client
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from imager import tools
from vendor import FILE, Vendor, disk, proxy, vendor

from unterbau.cloud.simulator import Simulator
from unterbau.errors import (
    Broken,
    Elsewhere,
    Failed,
    Forbidden,
    LocalError,
    NotFound,
    Unreachable,
    UnterbauError,
    UsageError,
)
from unterbau.images import adding, model, signature, words
from unterbau.saga import Journal
from unterbau.tenant.kinds import Image, Kind
from unterbau.verdict import Outcome

ONE, TWO = disk(b"the first build"), disk(b"the second build", gib=3)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """A vendor with one build, whose CA this process trusts."""
    with vendor(tmp_path) as one:
        monkeypatch.setenv("SSL_CERT_FILE", str(one.authority))
        one.publish(ONE)
        yield one


def entries(shop: Vendor, **change: Any) -> model.Catalogue:
    return model.read({"entries": [shop.entry(**change)]}, "catalogue")


def images(root: Path) -> list[Image]:
    found = Simulator(root / "cloud").listing(Kind.IMAGE).resources
    return sorted((i for i in found if isinstance(i, Image)), key=lambda i: i.name)


def content(root: Path, image: Image) -> bytes:
    with Simulator(root / "cloud").image_bytes(image.id) as stream:
        return b"".join(stream)


def test_an_image_comes_whole_private_and_says_what_scs_0102_wants(shop: Vendor, tmp_path: Path) -> None:
    made = adding.add(tools(tmp_path), entries(shop).entries[0], "private")
    (image,) = images(tmp_path)
    assert content(tmp_path, image) == ONE
    assert (made.did, made.id, image.name, image.visibility, image.hidden) == (
        "added",
        image.id,
        "Gast 1",
        "private",
        False,
    )
    assert (image.min_disk_gib, image.min_ram_mib, image.disk_format, image.tags) == (2, 64, "qcow2", ("os:gast",))
    assert image.marker is None
    told = image.properties
    assert (told["image_build_date"], told["image_source"]) == ("2026-11-02", shop.url(f"gast/{FILE}"))
    assert (told["provided_until"], told["uuid_validity"], told["os_purpose"]) == ("none", "none", "generic")
    assert made.signature is Outcome.NOT_SHOWN
    again = adding.add(tools(tmp_path), entries(shop).entries[0], "private")
    assert (again.did, again.id) == ("current", image.id) and len(images(tmp_path)) == 1
    assert [p.suffix for p in (tmp_path / "state").iterdir()] == [".lock"], "no journal and no download stays"


def test_a_newer_build_gets_the_name_and_the_older_one_is_renamed_and_hidden(shop: Vendor, tmp_path: Path) -> None:
    catalogue = entries(shop)
    assert adding.sync(tools(tmp_path), catalogue) == [], "what was not added here is nobody's to renew"
    first = adding.add(tools(tmp_path), catalogue.entries[0], "community")
    (same,) = adding.sync(tools(tmp_path), catalogue)
    assert same.did == "current" and len(images(tmp_path)) == 1
    shop.publish(TWO)
    with pytest.raises(UsageError, match="older build"):
        adding.add(tools(tmp_path), catalogue.entries[0], "private")
    (made,) = adding.sync(tools(tmp_path), catalogue)
    new, old = images(tmp_path)
    assert (made.did, made.id, made.retired) == ("renewed", new.id, (first.id,))
    assert (new.name, new.hidden, new.visibility, new.min_disk_gib) == ("Gast 1", False, "community", 3)
    assert (old.id, old.name, old.hidden, old.visibility) == (first.id, "Gast 1 20261102", True, "community")
    assert (content(tmp_path, new), content(tmp_path, old)) == (TWO, ONE)


FAULTS: dict[str, tuple[type[UnterbauError], str]] = {
    "checksum": (Failed, "other bytes came"),
    "cut": (Broken, "it broke off after 1000 of"),
    "elsewhere": (Elsewhere, "is another place"),
    "in the clear": (Elsewhere, "is another place"),
    "page for image": (Failed, "a web page came in place of the image"),
    "page for checksums": (Failed, "a web page came in place of checksums"),
    "no checksum": (Failed, f"it names no {FILE}"),
    "gone": (NotFound, "HTTP 404"),
    "no disk": (Failed, "is no qcow2 file"),
}


@pytest.mark.parametrize(("place", "said"), [("localhost:1", "Connection refused"), ("vendor.invalid", "[Nn]ame")])
def test_where_no_vendor_is_the_system_says_why(shop: Vendor, tmp_path: Path, place: str, said: str) -> None:
    told = entries(shop, folder=f"https://{place}/").entries[0]
    with pytest.raises(Unreachable, match=f"GET https://{place}.*: .*{said}"):
        adding.add(tools(tmp_path), told, "private")


def test_where_nothing_was_added_nothing_is_renewed_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    words.made(model.MadeAll(cloud="here", images=()))
    assert "nothing to renew: no image of here was added" in capsys.readouterr().out


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_vendor_is_one_message_and_nothing_is_made(shop: Vendor, tmp_path: Path, fault: str) -> None:
    path, kind = f"/gast/{FILE}", FAULTS[fault]
    match fault:
        case "checksum":
            shop.publish(ONE, "1" * 64)
        case "cut":
            shop.cut[path] = 1000
        case "elsewhere":
            shop.redirects[path] = shop.url(f"gast/copy-{FILE}", "127.0.0.1")
            shop.files[f"/gast/copy-{FILE}"] = ONE
        case "in the clear":
            shop.redirects[path] = f"http://localhost:{shop.port}/x"
        case "page for image":
            shop.files[path] = b"<!DOCTYPE html><title>Log in to the guest network</title>"
        case "page for checksums":
            shop.files["/gast/SHA256SUMS"] = b"\n<html>Log in</html>"
        case "no checksum":
            shop.files["/gast/SHA256SUMS"] = b"nothing here"
        case "gone":
            del shop.files[path]
        case "no disk":
            shop.publish(b"#!/bin/sh\n" * 100)
    with pytest.raises(kind[0], match=kind[1]):
        adding.add(tools(tmp_path), entries(shop).entries[0], "private")
    assert images(tmp_path) == []
    assert [p.name for p in (tmp_path / "state").iterdir() if p.suffix in (".part", ".image", ".db")] == []


def test_a_host_that_the_entry_names_may_give_the_file(shop: Vendor, tmp_path: Path) -> None:
    shop.redirects[f"/gast/{FILE}"] = shop.url(f"mirror/{FILE}", "127.0.0.1")
    shop.files[f"/mirror/{FILE}"] = ONE
    adding.add(tools(tmp_path), entries(shop, hosts=["127.0.0.1"]).entries[0], "private")
    (image,) = images(tmp_path)
    assert content(tmp_path, image) == ONE and f"/mirror/{FILE}" in shop.asked


def test_the_newest_of_several_builds_is_taken_and_its_name_tells_the_day(shop: Vendor, tmp_path: Path) -> None:
    names = {f"gast-{n}.x.qcow2": data for n, data in (("20261031.9", ONE), ("20261101.0", TWO), ("20261031.10", ONE))}
    shop.files |= {f"/gast/{name}": data for name, data in names.items()}
    lines = [f"SHA256 ({name}) = {_sha256(data)}" for name, data in names.items()]
    shop.files["/gast/SHA256SUMS"] = "\n".join(["# a remark", *lines]).encode()
    entry = entries(shop, file=r"gast-(?P<day>\d{8})\.\d+\.x\.qcow2", newest=True).entries[0]
    made = adding.add(tools(tmp_path), entry, "private")
    assert made.build_date == "2026-11-01" and content(tmp_path, images(tmp_path)[0]) == TWO


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def test_one_vendor_that_fails_keeps_no_other_from_being_renewed(shop: Vendor, tmp_path: Path) -> None:
    more = shop.entry(name="zweiter", title="Zweiter 1", folder=shop.url("zwei/"))
    for name in ("SHA256SUMS", FILE):
        shop.files[f"/zwei/{name}"] = shop.files[f"/gast/{name}"]
    both = model.read({"entries": [shop.entry(), more]}, "catalogue")
    for entry in both.entries:
        adding.add(tools(tmp_path), entry, "private")
    del shop.files["/gast/SHA256SUMS"]
    failed, current = adding.sync(tools(tmp_path), both)
    assert (failed.did, current.did) == ("failed", "current")
    assert failed.error is not None and failed.error["error"] == "NotFound"


def test_what_the_cloud_refuses_is_told_and_finished_later(shop: Vendor, tmp_path: Path) -> None:
    class Refusing(Simulator):
        def write_image(self, image: Any, data: Any, size_bytes: int | None) -> None:
            if image.visibility == "public":
                raise Forbidden("image: a member may publish nothing")
            super().write_image(image, data, size_bytes)

    with pytest.raises(Forbidden) as refused:
        adding.add(tools(tmp_path, Refusing(tmp_path / "cloud")), entries(shop).entries[0], "public")
    assert "without --visibility finishes it" in refused.value.remedy
    made = adding.add(tools(tmp_path), entries(shop).entries[0], "private")
    assert [i.id for i in images(tmp_path)] == [made.id]


def test_an_image_of_that_name_that_is_not_ours_is_left_alone(shop: Vendor, tmp_path: Path) -> None:
    cloud = Simulator(tmp_path / "cloud")
    wish = Image(
        id="-", name="Gast 1", status="queued", disk_format="raw", container_format="bare", visibility="private"
    )
    id_ = cloud.ensure(wish, "unterbau.test.0123456789abcdef")
    with pytest.raises(UsageError, match="was not added here"):
        adding.add(tools(tmp_path), entries(shop).entries[0], "private")
    assert [i.id for i in images(tmp_path)] == [id_]


def _copy(root: Path, number: int, **change: Any) -> str:
    """A person's image with all that ours says of itself."""
    cloud, (ours,) = Simulator(root / "cloud"), [i for i in images(root) if i.name == "Gast 1"]
    wish = ours.model_copy(update={"status": "queued", **change})
    marker = f"unterbau.test.{number:016x}"
    id_ = cloud.ensure(wish, marker)
    cloud.write_image(wish.model_copy(update={"id": id_}), [ONE], len(ONE))
    cloud.unmark(wish.model_copy(update={"id": id_, "marker": marker}))
    return id_


def test_copies_of_ours_are_left_alone_and_do_not_count(shop: Vendor, tmp_path: Path) -> None:
    catalogue = entries(shop)
    first = adding.add(tools(tmp_path), catalogue.entries[0], "private")
    ours = images(tmp_path)[0]
    copies = {
        _copy(tmp_path, 1, name="my own"),
        _copy(tmp_path, 2, name="Gast 1 20261102", properties={**ours.properties, "base_image_ref": first.id}),
    }
    before = [i for i in images(tmp_path) if i.id in copies]
    (same,) = adding.sync(tools(tmp_path), catalogue)
    assert (same.did, same.id) == ("current", first.id)
    shop.publish(TWO)
    (made,) = adding.sync(tools(tmp_path), catalogue)
    assert (made.did, made.retired) == ("renewed", (first.id,))
    assert [i for i in images(tmp_path) if i.id in copies] == before
    told = model.listing("c", catalogue, images(tmp_path), ()).images[0].there
    assert {t.id for t in told if not t.added} == copies


def test_of_two_with_the_name_of_the_entry_none_is_renamed_and_both_are_told(shop: Vendor, tmp_path: Path) -> None:
    catalogue = entries(shop)
    first = adding.add(tools(tmp_path), catalogue.entries[0], "private")
    copy = _copy(tmp_path, 1, name="Gast 1")
    shop.publish(TWO)
    before = images(tmp_path)
    (made,) = adding.sync(tools(tmp_path), catalogue)
    assert made.did == "failed" and made.error is not None
    assert set(made.error["things"]) == {first.id, copy} and made.error["exit"] == 2
    assert images(tmp_path) == before


@pytest.mark.parametrize("said", ["", "anna:geheim%21"])
def test_an_offices_proxy_is_asked_and_what_it_is_told_goes_to_it_alone(
    shop: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    with proxy("anna:geheim!" if said else "") as office:
        for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", f"http://{said and said + '@'}127.0.0.1:{office.port}")
        adding.add(tools(tmp_path), entries(shop).entries[0], "private")
        assert content(tmp_path, images(tmp_path)[0]) == ONE
        assert set(office.asked) == {f"localhost:{shop.port}"} and len(office.asked) == 2
        assert shop.heard and not any("authorization" in name.lower() for name in shop.heard)

        monkeypatch.setenv("https_proxy", f"http://anna:falsch77@127.0.0.1:{office.port}")
        if said:
            with pytest.raises(Unreachable, match=r"by the proxy http://127\.0\.0\.1:\d+: HTTP 407") as error:
                adding.add(tools(tmp_path), entries(shop).entries[0], "private")
            assert "falsch77" not in error.value.what + error.value.remedy
        asked = len(office.asked)
        monkeypatch.setenv("no_proxy", "localhost")
        assert adding.add(tools(tmp_path), entries(shop).entries[0], "private").did == "current"
        assert len(office.asked) == asked, "what no_proxy names is asked without it"
        monkeypatch.delenv("no_proxy")
        monkeypatch.setenv("https_proxy", "https://anna:geheim77@proxy.example")
        with pytest.raises(UsageError, match="only http") as usage:
            adding.add(tools(tmp_path), entries(shop).entries[0], "private")
        assert "geheim77" not in usage.value.what


@pytest.mark.parametrize("refuses", ["proxy", "vendor"])
def test_no_socket_stays_open_where_somebody_refuses(
    shop: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    made: list[socket.socket] = []
    reach, connect = socket.create_connection, http.client.HTTPSConnection.connect

    def reached(*args: Any, **options: Any) -> socket.socket:
        made.append(reach(*args, **options))
        return made[-1]

    def connected(one: http.client.HTTPSConnection) -> None:
        connect(one)
        made.append(one.sock)

    monkeypatch.setattr(socket, "create_connection", reached)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connected)
    del shop.files["/gast/SHA256SUMS"]
    with proxy("anna:geheim!") as office:
        if refuses == "proxy":
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{office.port}")
        with pytest.raises((Unreachable, NotFound), match=r"HTTP 40[47]") as error:
            adding.add(tools(tmp_path), entries(shop).entries[0], "private")
        # The traceback holds the frames, so nothing is closed because nobody knows it any more.
        assert error.tb and made and [one.fileno() for one in made] == [-1] * len(made)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_ca_that_somebody_names_counts_and_the_machines_store_else(
    shop: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for one in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"):
        monkeypatch.delenv(one, raising=False)
    with pytest.raises(Unreachable, match="does not verify"):
        adding.add(tools(tmp_path), entries(shop).entries[0], "private")
    monkeypatch.setenv(name, str(shop.authority))
    assert adding.add(tools(tmp_path), entries(shop).entries[0], "private").did == "added"
    monkeypatch.setenv(name, str(tmp_path / "absent.pem"))
    with pytest.raises(LocalError, match="no certificates"):
        adding.add(tools(tmp_path), entries(shop).entries[0], "private")


@pytest.mark.thorough
@pytest.mark.parametrize("renewing", [False, True])
def test_killed_before_each_write_the_same_command_finishes_and_there_is_no_twin(
    shop: Vendor, tmp_path: Path, renewing: bool
) -> None:
    catalogue = shop.catalogue(tmp_path / "catalogue.yaml")
    begun = tmp_path / "begun"
    begun.mkdir()
    if renewing:
        adding.add(tools(begun), entries(shop).entries[0], "private")
        shop.publish(TWO)
    after, kills = 0, 0
    while True:
        after += 1
        root = tmp_path / str(after)
        shutil.copytree(begun, root)
        command = [sys.executable, str(Path(__file__).with_name("imager.py")), str(root), str(catalogue)]
        ended = subprocess.run([*command, str(after)], check=False, timeout=60, capture_output=True)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        kills += 1
        # A vendor that has a newer build meanwhile: what the killed run left unfinished goes, what was whole stays.
        newer = shop.files.copy()
        for publish in (None, disk(b"the third build")):
            trial = tmp_path / f"{after}-{publish is None}"
            shutil.copytree(root, trial)
            if publish:
                shop.publish(publish)
            subprocess.run([*command[:2], str(trial), str(catalogue), "0"], check=True, timeout=60)
            named = [i for i in images(trial) if i.name == "Gast 1" and not i.hidden]
            assert len(named) == 1 and content(trial, named[0]) == (publish or (TWO if renewing else ONE)), after
            assert all(i.status == "active" and i.marker is None for i in images(trial)), after
            assert all(i.hidden and i.name == "Gast 1 20261102" for i in images(trial) if i.id != named[0].id), after
            assert not publish or len(images(trial)) <= 2 + renewing
            if not publish:
                assert len(images(trial)) == 1 + renewing, after
            assert {p.suffix for p in (trial / "state").iterdir()} == {".lock"}, after
        shop.files = newer
    assert kills >= 6


def test_what_a_killed_run_read_goes_with_the_next_of_the_same_entry(shop: Vendor, tmp_path: Path) -> None:
    """It may be gigabytes. What another entry is at stays, also of one whose name begins alike."""
    work = tools(tmp_path)
    made = adding.add(work, entries(shop).entries[0], "private")
    (place,) = (p.name.removesuffix("-gast.lock") for p in work.folder.glob("*.lock"))
    old, other = f"{place}-gast-{'0' * 16}", f"{place}-gast-1-{'0' * 16}"
    for name in (old, other):
        for suffix in (".part", ".image", ".db"):
            (work.folder / f"{name}{suffix}").touch()
    for path in work.folder.glob("*.db"):
        with Journal(path):
            pass
    shop.publish(TWO)
    (renewed,) = adding.sync(work, entries(shop))
    assert (made.did, renewed.did) == ("added", "renewed")
    left = {p.name for p in work.folder.iterdir()}
    assert not {name for name in left if name.startswith(old)}
    assert {f"{other}{suffix}" for suffix in (".part", ".image", ".db")} <= left


def test_a_signature_is_held_by_the_key_that_the_catalogue_names_and_by_no_other(tmp_path: Path) -> None:
    if not (shutil.which("gpg") and shutil.which("gpgv")):
        pytest.skip("DID NOT RUN: no gpg to sign with")
    home = tmp_path / "keys"
    home.mkdir(mode=0o700)

    def gpg(*arguments: str, told: bytes = b"") -> bytes:
        command = [
            "gpg",
            "--homedir",
            str(home),
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]
        return subprocess.run([*command, *arguments], check=True, capture_output=True, input=told).stdout

    gpg("--quick-gen-key", "vendor@gast.example", "ed25519", "sign")
    ring = tmp_path / "ring.gpg"
    ring.write_bytes(gpg("--export"))
    lines = gpg("--list-keys", "--with-colons").decode().splitlines()
    signer = next(line for line in lines if line.startswith("fpr")).split(":")[9]
    signed = gpg("--detach-sign", told=b"checksums")
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=False)
    shop = Vendor(1, tmp_path)
    entry = entries(shop, signature="S.gpg", signer=signer, keyring=str(ring)).entries[0]
    assert signature.check(entry, b"checksums", signed)[0] is Outcome.HELD
    for other in (entry.model_copy(update={"signer": "0" * 40}), entry):
        with pytest.raises(Failed, match=r"S\.gpg is no signature"):
            signature.check(other, b"checksums" if other is not entry else b"other sums", signed)
    absent = entry.model_copy(update={"keyring": str(tmp_path / "absent")})
    assert signature.check(absent, b"checksums", signed)[0] is Outcome.NOT_SHOWN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"folder": "http://vendor.example/x/"}, "gast: folder: it is no https address"),
        ({"checksums": ""}, "file and checksums belong to it"),
        ({"min_ram_mib": 0}, "gast.min_ram_mib"),
        ({"distro": "Gast Linux"}, "os_distro: scs-0102 does not take"),
        ({"replace_frequency": "sometimes"}, "replace_frequency: scs-0102 does not take"),
        ({"signature": "x.gpg"}, "signer and keyring belong to it"),
        ({"newest": True, "file": "("}, "file: no expression"),
        ({"folder": ""}, "not_known does not say why"),
        ({"unknown": 1}, "gast.unknown"),
    ],
)
def test_a_malformed_entry_is_one_message_with_the_entry_and_the_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        entries(Vendor(1, Path()), **change)
    assert said in error.value.what and error.value.exit == 2


def test_our_catalogue_loads_names_its_sources_and_obeys_scs_0104() -> None:
    text = resources.files(model.__package__).joinpath("catalogue.yaml").read_text()
    catalogue = model.read(yaml.safe_load(text), "ours")
    assert {e.distro for e in catalogue.entries} == {"alpine", "debian", "ubuntu", "centos", "nixos"}
    assert all(e.sources for e in catalogue.entries)
    assert {s.read for e in catalogue.entries for s in e.sources} <= {"copy", "named by others"}, "no vendor was asked"
    assert model.breaches(catalogue.entries) == []
    debian = catalogue.entry("debian-13")
    assert model.breaches([debian.model_copy(update={"folder": "https://mirror.example/trixie/"})]) == ["debian-13"]
    with pytest.raises(UsageError, match="no image debain"):
        catalogue.entry("debain")


def test_what_is_there_is_told_whoever_made_it(shop: Vendor, tmp_path: Path) -> None:
    catalogue = entries(shop)
    added = adding.add(tools(tmp_path), catalogue.entries[0], "private")
    theirs = Image(id="p", name="whatever", status="active", visibility="public",
                   properties={"os_distro": "gast", "os_version": "1", "os_purpose": "generic"})  # fmt: skip
    others = [theirs.model_copy(update={"id": "m", "properties": {**theirs.properties, "os_purpose": "minimal"}})]
    told = model.listing("c", catalogue, images(tmp_path), [theirs, *others])
    assert [(t.id, t.added) for t in told.images[0].there] == [(added.id, True), ("p", False)]
