# SPDX-License-Identifier: Apache-2.0
"""Guests and packets are asked for by name, need what they say they need, and change nothing of a cloud without them."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from unterbau.errors import LocalError, UsageError
from unterbau.reference import config, disk, extras, guest_debian, guest_image, packets, plant, process, services
from unterbau.reference.layout import Layout, Ports, Secrets

SECRETS = Secrets(*"abcdefghi")


def _layout(*parts: str) -> Layout:
    return Layout("quelle", Path("/clouds/quelle"), Path("/runtime"), Ports.block(21000), parts)


def test_a_part_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(UsageError) as caught:
        extras.chosen(["guests", "moon"])
    assert "moon" in caught.value.what and "guests, ovn" in caught.value.remedy


@pytest.mark.parametrize("alone", extras.ALL)
def test_one_part_alone_is_refused_and_both_are_taken_in_any_order(alone: str) -> None:
    with pytest.raises(UsageError):
        extras.chosen([alone])
    assert extras.chosen(["ovn", " guests"]) == extras.ALL
    assert extras.chosen([]) == ()


def test_missing_packages_are_one_message_with_the_command_and_what_each_is_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = (extras.Package("moon", "shines", "no-such-program"), extras.Package("sun", "warms", "/no/such/file"))
    monkeypatch.setattr(extras, "PACKAGES", (*gone, extras.Package("shell", "is there", "/bin/sh")))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LocalError) as caught:
        extras.demand(extras.ALL, install=False, say=lambda line: None)
    assert caught.value.remedy.startswith("apt-get install --no-install-recommends moon sun ")
    assert caught.value.things == ("moon: shines", "sun: warms")


def test_a_package_that_would_be_welcome_is_missed_in_one_line_and_installed_if_one_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "PACKAGES", ())
    monkeypatch.setattr(extras, "WELCOME", (extras.Package("moon", "light at night", "no-such-program"),))
    monkeypatch.setattr(extras, "BINDING", Path("/"))
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [self])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said: list[str] = []
    extras.demand(extras.ALL, install=False, say=said.append)
    assert said == ["goes without light at night: the package moon is not there (--install, or: apt-get install moon)"]

    def fails(missing: list[extras.Package], say: object) -> None:
        raise LocalError("there is no moon")

    monkeypatch.setattr(extras, "_install", fails)
    extras.demand(extras.ALL, install=True, say=said.append)
    assert said[1:] == ["there is no moon", said[0]]


def test_who_is_not_root_installs_nothing_and_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "PACKAGES", (extras.Package("moon", "shines", "no-such-program"),))
    monkeypatch.setattr(extras, "_install", lambda missing, say: pytest.fail("apt-get was called"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LocalError) as caught:
        extras.demand(extras.ALL, install=True, say=lambda line: None)
    assert caught.value.remedy.startswith("apt-get install --no-install-recommends moon ")
    extras.demand((), install=True, say=lambda line: None)


def test_a_trial_that_fails_is_told_by_its_last_line_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extras, "GROUND", tmp_path / "ground.py")
    extras.GROUND.write_text("raise SystemExit('some more\\nPermission denied (/dev/net/tun)')")
    with pytest.raises(LocalError, match=r"refused here: Permission denied \(/dev/net/tun\)") as caught:
        extras.as_root()
    assert "Run it as root" in caught.value.remedy and "leave --with away" in caught.value.remedy
    for told, root in (("root", True), ("user namespace", False)):
        extras.GROUND.write_text(f"print({told!r})")
        assert extras.as_root() is root


def test_a_cloud_keeps_the_parts_it_was_made_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert plant._extras("eins", extras.ALL) == extras.ALL
    disk.private_directory(plant.root("eins"))
    disk.write_private(plant.root("eins") / "cloud.json", json.dumps({"with": extras.ALL}))
    assert plant._extras("eins", None) == extras.ALL
    with pytest.raises(UsageError, match="guests,ovn"):
        plant._extras("eins", ())


def test_a_cloud_without_parts_has_no_service_and_no_option_of_them() -> None:
    plain, full = _layout(), _layout(*extras.ALL)
    names = [s.name for s in services.services(plain)]
    assert len(names) == 8 and {s.name for s in services.services(full)} - set(names) == {
        "ground", "ovsdb", "ovn-nb", "ovn-sb", "vswitchd", "northd", "controller", "libvirtd",
        "metadata",
    }  # fmt: skip
    without = "\n".join(config.render(plain, SECRETS).values())
    assert "libvirt" not in without and "ovn" not in without and "geneve" not in without
    within = config.render(full, SECRETS)
    assert "compute_driver = libvirt.LibvirtDriver" in within["nova/nova.conf"]
    assert "mechanism_drivers = ovn" in within["neutron/plugins/ml2/ml2_conf.ini"]


@pytest.mark.parametrize("parts", [(), extras.ALL])
def test_every_process_of_a_cloud_has_its_temporary_files_in_the_clouds_own_folder(
    parts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/of/the/user")
    layout = _layout(*parts)
    assert "TMPDIR" not in process.inherited()
    given = [service.env for service in services.services(layout)]
    given += [command.env for group in services.schema_commands(layout) for command in group]
    assert {one["TMPDIR"] for one in given} == {str(layout.root / "tmp")}


def test_every_daemon_stands_in_the_ground_and_waits_for_it() -> None:
    found = {s.name: s for s in services.services(_layout(*extras.ALL))}
    for daemon in packets.daemons(_layout(*extras.ALL)):
        chain = [daemon.name]
        while found[chain[-1]].needs:
            chain.append(found[chain[-1]].needs[0])
        assert chain[-1] == "ground"
        way = () if daemon.enters else ("/bin/sh", "/clouds/quelle/run/ground.enter")
        assert found[daemon.name].argv == (*way, *daemon.argv)


def test_an_archive_is_read_as_it_was_written() -> None:
    members = [("bin", b"", 0o40755), ("bin/odd", b"12345", 0o100755), ("a", bytes(4096), 0o100644)]
    archive = b"".join(guest_image._packed(*m) for m in members) + guest_image._packed("TRAILER!!!", b"", 0)
    read = dict(guest_image._unpacked(gzip.decompress(gzip.compress(archive))))
    assert read == {name: data for name, data, _ in members} | {"TRAILER!!!": b""}


def test_the_disk_says_where_its_two_partitions_are() -> None:
    table = guest_image.partition_table(2**20, 32 * 2**20, 2**30)
    assert len(table) == 72 and table[-2:] == b"\x55\xaa"
    entries = [table[6 + 16 * n : 22 + 16 * n] for n in range(4)]
    starts = [(int.from_bytes(e[8:12], "little"), int.from_bytes(e[12:16], "little")) for e in entries]
    assert starts == [(2048, 65536), (2048 + 65536, 2**21), (0, 0), (0, 0)]
    assert [e[0] for e in entries] == [0x80, 0, 0, 0]


def test_the_image_is_another_one_where_the_ssh_server_is_and_has_all_that_it_loads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two small programs of this machine stand for the server and what makes its keys."""
    digests = []
    for programs in (
        {},
        {"sh": "/usr/sbin/dropbear", "true": "/usr/bin/dropbearkey"},
        {"sh": "/usr/sbin/dropbear", "none": "/x"},
    ):
        monkeypatch.setattr(guest_image, "_SSH", programs)
        digests.append(guest_image._digest())
    assert digests[0] == digests[2] != digests[1], "half of it is nothing"
    monkeypatch.setattr(guest_image, "_SSH", {"sh": "/usr/sbin/dropbear", "true": "/usr/bin/dropbearkey"})
    found = guest_image._ssh()
    assert {
        "/usr/sbin/dropbear",
        "/usr/bin/dropbearkey",
        guest_image._LOADER,
        "/lib/x86_64-linux-gnu/libc.so.6",
    } <= set(found)
    assert all(file.is_file() for file in found.values())
    (tmp_path / "guest.qcow2").touch()
    assert "SSH" in str(guest_image.image_body(tmp_path / "guest.qcow2")["image_description"])


def test_the_image_of_debian_is_for_clouds_with_guests_and_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for with_ in (None, ()):
        with pytest.raises(UsageError, match="no guest of cloud eins could boot it"):
            plant.demand_debian("eins", with_, install=False, say=lambda line: None)
    monkeypatch.setattr(guest_debian, "NEEDS", (extras.Package("moon", "shines", "no-such-program"),))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LocalError, match="is made by root"):
        plant.demand_debian("eins", extras.ALL, install=False, say=lambda line: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LocalError, match="the image Debian 12 needs 1 Debian packages") as caught:
        plant.demand_debian("eins", extras.ALL, install=False, say=lambda line: None)
    assert caught.value.things == ("moon: shines",)


def test_both_images_have_what_scs_0102_demands(tmp_path: Path) -> None:
    file = tmp_path / "guest.qcow2"
    file.touch()
    alpine, debian = guest_image.image_body(file), guest_debian.image_body(file)
    demanded = {"architecture", "min_disk", "min_ram", "os_version", "os_distro", "os_purpose", "hw_disk_bus", "hw_rng_model",
                "replace_frequency", "provided_until", "uuid_validity", "image_source", "image_description",
                "image_build_date", "image_original_user"}  # fmt: skip
    assert demanded <= set(alpine) and set(alpine) == set(debian)
    assert (debian["os_distro"], debian["image_original_user"]) == ("debian", "debian")


def test_the_seed_waits_for_the_line_that_the_image_writes_last() -> None:
    last = (guest_image.ADDED / "begin").read_text(encoding="utf-8").splitlines()[-1]
    assert guest_image.UP in last
