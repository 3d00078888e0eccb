# SPDX-License-Identifier: Apache-2.0
"""The ground that a cloud's switch and guests stand on: `ground.py ORDER.json`; standard library only.

Two processes. The first stays in this machine's network and lays the pair of devices. The second is process 1 of a new
process namespace, with a network, mounts, a host name and System V objects of its own: when it ends, in whatever way, the
kernel ends all that was started in it and takes its bridges, taps and mounts along. It ends with the first, and the first
ends with the supervisor (the lifeline).

Ready is a socket that accepts. Mounts are seen in here only: libvirt has fixed places for what it keeps.
"""

import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import https_server

NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000
PR_SET_PDEATHSIG = 1
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EMPTY = ("/run", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
ACCOUNTS = {
    "passwd": "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin",
    "group": "kvm:x:64055:\nlibvirt:x:64056:\nlibvirt-qemu:x:64057:",
}
"""libvirt's built-in defaults name accounts that must exist, though none is used here."""

libc = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    """OSError with the kernel's reason, if a call failed."""
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind="", flags=0):
    """mount(2)."""
    checked(libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, None), f"mount {target}")


def run(*argv):
    """A command that must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "PATH": SYSTEM})
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr.strip()}")


def main(order):
    """Lay the ground, and stay until it ends."""
    for left in (order["pid"], order["socket"]):
        pathlib.Path(left).unlink(missing_ok=True)
    wait_for_absence(order["device"])
    https_server.end_with_supervisor()
    https_server.loaded()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    checked(libc.unshare(NEWPID), "unshare")
    told, tells = os.pipe()
    waits, goes = os.pipe()
    child = os.fork()
    if not child:
        os.close(told)
        os.close(goes)
        stand(order, tells, waits)
    os.close(tells)
    os.close(waits)
    if os.read(told, 1):
        lay(order, child)
        pathlib.Path(order["pid"]).write_text(str(child))
        os.write(goes, b".")
    _, status = os.waitpid(child, 0)
    pathlib.Path(order["pid"]).unlink(missing_ok=True)
    raise SystemExit(f"the ground ended: status {status}")


def wait_for_absence(device):
    """The kernel takes a namespace down a moment after its last process; a device that stays is another's."""
    for _ in range(200):
        if not os.path.exists(f"/sys/class/net/{device}"):
            return
        time.sleep(0.05)
    raise SystemExit(f"there is a network device {device} already; another cloud has this block of ports. Wipe one")


def lay(order, child):
    """The outer end of the pair. Its sender fills in checksums: the switch drops what has none."""
    device = order["device"]
    run("ip", "link", "add", device, "type", "veth", "peer", "name", order["inside"], "netns", f"/proc/{child}/ns/net")
    run("ethtool", "-K", device, "tx", "off")
    run("ip", "link", "set", device, "alias", order["owner"][:255], "up")
    for address in order["addresses"]:
        if ":" in address and not os.path.exists("/proc/sys/net/ipv6"):
            continue
        more = ["nodad"] if ":" in address else []
        run("ip", "address", "add", address, "dev", device, *more)


def empty(place):
    """An empty directory. Nothing is made on this machine: a parent that lacks it is covered by links to what it holds."""
    if not os.path.isdir(place):
        parent = os.path.dirname(place)
        kept = pathlib.Path(EMPTY[0], "covered", parent.strip("/"))
        if not kept.exists():
            kept.mkdir(parents=True)
            mount(parent, kept, flags=MS_BIND | MS_REC)
            mount("tmpfs", parent, "tmpfs")
            for name in os.listdir(kept):
                os.symlink(kept / name, pathlib.Path(parent, name))
        os.mkdir(place)
    mount("tmpfs", place, "tmpfs")


def stand(order, tells, waits):
    """Process 1 of the ground; never returns."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    checked(libc.unshare(NEWNET | NEWNS | NEWUTS | NEWIPC), "unshare")
    os.write(tells, b".")
    if not os.read(waits, 1):
        os._exit(1)
    socket.sethostname(order["host"])
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")
    accounts = {name: pathlib.Path("/etc", name).read_text() for name in ACCOUNTS}
    for place in EMPTY:
        empty(place)
    for name, lines in ACCOUNTS.items():
        have = {line.partition(":")[0] for line in accounts[name].splitlines()}
        more = [line for line in lines.splitlines() if line.partition(":")[0] not in have]
        pathlib.Path("/run", name).write_text("\n".join([accounts[name].rstrip("\n"), *more, ""]))
        mount(f"/run/{name}", f"/etc/{name}", flags=MS_BIND)
    for path, text in order.get("files", {}).items():
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(text)
    run("ip", "link", "set", "lo", "up")
    run("ethtool", "-K", order["inside"], "tx", "off")
    run("ip", "link", "set", order["inside"], "up")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans leave no zombies
    with socket.socket(socket.AF_UNIX) as ready:
        ready.bind(order["socket"])
        ready.listen()
        while True:
            ready.accept()[0].close()


if __name__ == "__main__":
    main(json.loads(pathlib.Path(sys.argv[1]).read_text()))
