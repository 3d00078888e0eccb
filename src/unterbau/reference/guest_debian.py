# SPDX-License-Identifier: Apache-2.0
"""The Debian image that a cloud with guests has by choice (`cloud up NAME --image debian`), made by debootstrap, once.

`launcher` calls `demand` and `ensure`, `plant` uploads what was made. It is Debian as its own cloud images are: systemd, the
cloud kernel, cloud-init, OpenSSH; the user is `debian`. The disk is `guest_image`'s: a partition that syslinux boots from, and
the root file system behind it, filled without mounting it. The kernel of that partition is that of the image's making.

debootstrap mounts in what it makes: it does so in namespaces of its own, so that nothing of it stays, whatever ends it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from unterbau.errors import LocalError
from unterbau.reference import extras, guest_image

SUITE, VERSION = "bookworm", "12"
NAME = f"Debian {VERSION}"
MIRROR = "http://deb.debian.org/debian"
"""Signed: debootstrap checks what it gets against Debian's keys on this machine."""
PACKAGES = (
    "systemd-sysv", "systemd-resolved", "dbus", "udev", "linux-image-cloud-amd64", "initramfs-tools", "cloud-init",
    "cloud-guest-utils", "python3-cffi-backend", "openssh-server", "netplan.io", "iproute2", "ca-certificates", "curl",
    "e2fsprogs", "sudo",
)  # fmt: skip
NEEDS = (
    extras.Package("debootstrap", "makes Debian's root file system", "debootstrap"),
    extras.Package("debian-archive-keyring", "the keys that Debian signs with", "/usr/share/keyrings/debian-archive-keyring.gpg"),
)  # fmt: skip
FILES = {
    "etc/fstab": "LABEL=unterbau-root / ext4 rw,discard,errors=remount-ro 0 1\n",
    "etc/hostname": "localhost\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/apt/sources.list": f"deb {MIRROR} {SUITE} main\ndeb {MIRROR} {SUITE}-updates main\n"
    f"deb http://deb.debian.org/debian-security {SUITE}-security main\n",
    # What else cloud-init asks, and a key of RSA, cost an emulated guest half a minute.
    "etc/cloud/cloud.cfg.d/90_unterbau.cfg": "datasource_list: [ConfigDrive, OpenStack]\n"
    "ssh_genkeytypes: [ed25519, ecdsa]\nlocale: false\napt: {preserve_sources_list: true}\n",
    "etc/machine-id": "",
}
_GONE = (
    "etc/ssh/ssh_host_*",
    "var/cache/apt/archives/*.deb",
    "var/lib/apt/lists/*_*",
    "var/log/*.log",
    "var/lib/dbus/machine-id",
)
ROOM_BYTES = 4500 * guest_image.MIB
_ROOT_BYTES = 1400 * guest_image.MIB
_BOOT_BYTES = 64 * guest_image.MIB
_PATIENCE_SECONDS = 1800


def demand(*, install: bool, say: Callable[[str], None]) -> None:
    """LocalError unless this machine can make it; `install`: installs what it needs, as root."""
    if os.geteuid() != 0:
        raise LocalError(
            f"the image {NAME} is made by root: debootstrap unpacks and mounts",
            "Run it as root, or leave --image away.",
        )
    extras.have(NEEDS, f"the image {NAME}", install=install, say=say)


def ensure(progress: Callable[[str], None]) -> Path:
    """The finished image (qcow2). Makes it if there is none. LocalError: no room, or a tool failed."""
    seed = repr((SUITE, MIRROR, PACKAGES, FILES)).encode() + Path(__file__).read_bytes()
    digest = hashlib.sha256(seed + (guest_image.ADDED / "syslinux.cfg").read_bytes()).hexdigest()[:16]
    return guest_image.kept(f"debian-{digest}", f"the image {NAME} by debootstrap", ROOM_BYTES, _make, progress)


def image_body(image: Path) -> dict[str, str | int]:
    """What Glance is told of it: the properties that scs-0102 demands."""
    return guest_image.properties(image) | {
        "name": NAME,
        "min_ram": 512,
        "os_distro": "debian",
        "os_version": VERSION,
        "image_source": MIRROR,
        "image_description": "Debian with cloud-init and OpenSSH, made by debootstrap",
        "image_original_user": "debian",
    }


def _make(place: Path) -> None:
    work = place / "work"
    tree = work / "tree"
    tree.mkdir(parents=True)
    guest_image.tool(
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        extras.program("debootstrap") or "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE,
        str(tree), MIRROR, seconds=_PATIENCE_SECONDS,
    )  # fmt: skip
    for pattern in _GONE:
        for path in tree.glob(pattern):
            path.unlink()
    for name, text in FILES.items():
        (tree / name).write_text(text, encoding="utf-8")
    boot = {name: next((tree / "boot").glob(f"{name}*")) for name in ("vmlinuz", "initrd")}
    with (work / "root").open("wb") as made:
        made.truncate(_ROOT_BYTES)
    guest_image.tool("mke2fs", "-q", "-t", "ext4", "-L", "unterbau-root", "-d", str(tree), str(work / "root"))
    guest_image.assemble(work, boot["vmlinuz"], boot["initrd"], place / "guest.qcow2", _BOOT_BYTES, "-c")
    shutil.rmtree(work)
