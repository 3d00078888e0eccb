# SPDX-License-Identifier: Apache-2.0
"""What a cloud may have beyond records and bytes (`cloud up NAME --with guests,ovn`), and the Debian packages for it.

`launcher` asks `chosen`, `plant` asks `demand` before anything is made. What the extras are to the services is said by
`guests` (servers that run) and `packets` (networks that carry); a cloud without extras needs nothing of this.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from unterbau.errors import LocalError, UsageError

GUESTS, OVN = "guests", "ovn"
ALL = (GUESTS, OVN)
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TAIL = 1500
GROUND = Path(__file__).parent / "runtime/ground.py"
_ALLOW = (
    "Run it as root; or let this user have user namespaces (sysctl user.max_user_namespaces, and where they are known "
    "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a container its own rules) "
    "and open /dev/net/tun; or leave --with away."
)
BINDING = Path("/usr/lib/python3/dist-packages")
"""Where Debian puts libvirt's Python binding."""


class Package(NamedTuple):
    """A Debian package, what it is for, and the file or program that says that it is there."""

    name: str
    why: str
    shows: str


PACKAGES = (
    Package("openvswitch-switch", "the switch that carries the packets, in user space", "ovs-vswitchd"),
    Package("ovn-central", "turns networks, routers and rules into flows", "ovn-northd"),
    Package("ovn-host", "gives the flows to the switch", "ovn-controller"),
    Package("ethtool", "makes this machine fill in the checksums that the switch demands", "ethtool"),
    Package("iproute2", "connects this machine to the cloud's external network", "ip"),
    Package("libvirt-daemon", "defines, starts and watches the guests for Nova", "libvirtd"),
    Package("libvirt-daemon-driver-qemu", "libvirt's part for QEMU", "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"),
    Package("python3-libvirt", "Nova's way to libvirt", "/usr/lib/python3/dist-packages/libvirt.py"),
    Package("qemu-system-x86", "runs the guests", "qemu-system-x86_64"),
    Package("qemu-utils", "makes their disks", "qemu-img"),
    Package("genisoimage", "makes their config drives", "genisoimage"),
    Package("busybox-static", "the programs that the guest image lacks: a web server, for one", "/bin/busybox"),
    Package("e2fsprogs", "puts files into the guest image without mounting it", "debugfs"),
    Package("dosfstools", "makes the partition that the guest image boots from", "mkfs.vfat"),
    Package("mtools", "fills that partition", "mcopy"),
    Package("syslinux", "makes it boot", "syslinux"),
    Package("syslinux-common", "its first sector", "/usr/lib/syslinux/mbr/mbr.bin"),
)  # fmt: skip
WELCOME = (
    Package("dropbear-bin", "an SSH server in the guest image", "dropbear"),
)  # fmt: skip
"""Without these a cloud is as good, but for what is said of each."""


def chosen(wanted: Iterable[str]) -> tuple[str, ...]:
    """The extras of these names, in the order of `ALL`. UsageError: an unknown one, or one that needs the other."""
    names = {name.strip() for name in wanted if name.strip()}
    if unknown := sorted(names - set(ALL)):
        raise UsageError(f"--with {','.join(unknown)}: there is no such part", f"There are: {', '.join(ALL)}")
    if names and names != set(ALL):
        raise UsageError(
            f"--with {','.join(sorted(names))}: guests and ovn come together only, for now",
            "A guest is plugged into the network that OVN carries: --with guests,ovn",
        )
    return tuple(name for name in ALL if name in names)


def demand(extras: Iterable[str], *, install: bool, say: Callable[[str], None]) -> None:
    """LocalError unless this machine has all that the extras need; `install`: installs the packages, as root.

    The runtime has this process' own version of Python, for which libvirt's binding must be made.
    """
    if not tuple(extras):
        return
    if platform.machine() != "x86_64":
        raise LocalError(f"guests are made for x86_64, this machine is {platform.machine()}", "Leave --with away.")
    missing = absent()
    if missing and install and os.geteuid() == 0:
        _install(missing, say)
        missing = absent()
    if not missing:
        _have_welcome(install, say)
    if missing:
        names = " ".join(package.name for package in missing)
        raise LocalError(
            f"--with needs {len(missing)} Debian packages that are not there",
            f"apt-get install --no-install-recommends {names}   (as root; the same with --install does it)",
            [f"{package.name}: {package.why}" for package in missing],
        )
    if not list(BINDING.glob(f"libvirtmod.{sysconfig.get_config_var('SOABI')}.so")):
        raise LocalError(
            f"libvirt's binding of this machine is not made for the Python that runs Unterbau "
            f"({sysconfig.get_python_version()})",
            "Install Unterbau with the Python that Debian itself has: /usr/bin/python3 -m venv ...",
        )


def as_root() -> bool:
    """Whether this user makes the cloud's network as root does; else he has a user namespace for it. One is laid for trial.

    LocalError says what was refused, where neither is allowed.
    """
    try:
        argv = (sys.executable, "-I", "-S", str(GROUND), "--try")
        done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalError(f"no ground for guests and packets could be laid for trial: {error}", _ALLOW) from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise LocalError(
            f"without root guests and packets need a user namespace, which is refused here: {said}", _ALLOW
        )
    return done.stdout.strip() == "root"


def _have_welcome(install: bool, say: Callable[[str], None]) -> None:
    """Install those that would be welcome, or say what is missed without them; nothing fails of it."""
    missing = absent(WELCOME)
    if missing and install and os.geteuid() == 0:
        try:
            _install(missing, say)
        except LocalError as error:
            say(error.what)
        missing = absent(WELCOME)
    for one in missing:
        say(f"goes without {one.why}: the package {one.name} is not there (--install, or: apt-get install {one.name})")


def absent(packages: Iterable[Package] | None = None) -> list[Package]:
    """Those of `PACKAGES`, or of these, that are not there. It asks for the files, so a system without dpkg can have them too."""
    return [
        p
        for p in (PACKAGES if packages is None else packages)
        if not (Path(p.shows).exists() if p.shows[0] == "/" else program(p.shows))
    ]


def program(name: str) -> str | None:
    """Path of a program of the system, those for administrators included."""
    return shutil.which(name, path=SYSTEM)


def _install(missing: list[Package], say: Callable[[str], None]) -> None:
    for package in missing:
        say(f"installing {package.name}: {package.why}")
    argv = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *(p.name for p in missing)]
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environ)
        code, told = done.returncode, done.stderr[-_TAIL:].strip()
    except FileNotFoundError:
        code, told = 127, "there is no apt-get"
    if code:
        raise LocalError(
            f"installing the packages failed (apt-get, exit {code}): {told}",
            "apt-get update, then the same command again.",
        )
