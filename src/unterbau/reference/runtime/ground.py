# SPDX-License-Identifier: Apache-2.0
"""The ground that a cloud's switch and guests stand on: `ground.py ORDER.json`; standard library only.

Two processes. The first stays in this machine's network and lays the pair of devices. The second is process 1 of a new
process namespace, with a network, mounts, a host name and System V objects of its own: when it ends, in whatever way, the
kernel ends all that was started in it and takes its bridges, taps and mounts along. It ends with the first, and the first
ends with the supervisor (the lifeline).

Who may not make all this on this machine (`may_all`) makes it in a user namespace of his own. There the first process stands
outside in a network of its own too, since nobody but root can lay a device into this machine's, and gives sockets of it to
this machine's processes: the door.

Ready is a socket that accepts. Mounts are seen in here only: libvirt has fixed places for what it keeps.

`ground.py --try` lays one for a trial, and prints which of the two it is. `ground.py --enter COMMAND` runs a command whose
setgroups(2) does nothing: a user namespace forbids it, and libvirt demands it of each QEMU.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21
TUNSETIFF, IFF_TAP = 0x400454CA, 0x1002
DOOR_SECONDS = 5
SOCKETS = {
    b"tcp4": (socket.AF_INET, socket.SOCK_STREAM),
    b"udp4": (socket.AF_INET, socket.SOCK_DGRAM),
    b"tcp6": (socket.AF_INET6, socket.SOCK_STREAM),
    b"udp6": (socket.AF_INET6, socket.SOCK_DGRAM),
}
"""What the door is asked for, by the word that asks for it."""
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


def may_all():
    """Whether this process may make networks and mounts on this machine, as root may who was not bounded."""
    told = pathlib.Path("/proc/self/status").read_text()
    mine = int(told.partition("CapEff:")[2].split()[0], 16)
    return all(mine >> one & 1 for one in (CAP_NET_ADMIN, CAP_SYS_ADMIN))


def main(order):
    """Lay the ground, and stay until it ends."""
    for left in ("enter", "outside", "socket", "door"):
        pathlib.Path(order[left]).unlink(missing_ok=True)
    import https_server  # not for the trial, and while all of this machine's files can be read

    is_ours = may_all()
    if is_ours:
        wait_for_absence(order["device"])
    else:
        stand_outside(order)  # as long as there is one thread
    https_server.end_with_supervisor()
    https_server.loaded()
    if not is_ours:
        threading.Thread(target=keep_the_door, args=(opened(order["door"]),), daemon=True).start()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(f"the ground ended: status {lay_and_wait(order, is_ours)}")


def lay_and_wait(order, is_ours):
    """Both ends, and the way in; the status with which process 1 ended."""
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
        tell_the_way(order, child, is_ours)
        os.write(goes, b".")
    _, status = os.waitpid(child, 0)
    for left in ("enter", "outside"):
        pathlib.Path(order[left]).unlink(missing_ok=True)
    return status


def stand_outside(order):
    """A user namespace in which we are root, and a network in it that is the outside of this cloud."""
    uid, gid = os.geteuid(), os.getegid()
    checked(libc.unshare(NEWUSER), "a user namespace")
    checked(libc.unshare(NEWNET), "a network namespace")
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"0 {uid} 1")
    write("/proc/self/gid_map", f"0 {gid} 1")
    with contextlib.suppress(OSError):  # its owner may ping, if a container does not forbid to say so
        write("/proc/sys/net/ipv4/ping_group_range", "0 0")
    run("ip", "link", "set", "lo", "up")
    # The way to here, for commands of the same user, who are themselves again there.
    himself = f"unshare --user --map-user={uid} --map-group={gid}"
    way = f"nsenter --target {os.getpid()} --user --preserve-credentials --net -- {himself}"
    write(order["outside"], f'exec {way} -- "$@"\n')


def write(path, text):
    """A file with that text. OSError names it."""
    try:
        pathlib.Path(path).write_text(text)
    except OSError as error:
        raise OSError(error.errno, f"{path}: {error.strerror}") from None


def tell_the_way(order, child, is_ours):
    """A script that runs a command in the ground."""
    way = f"nsenter --target {child} --net --mount --uts --ipc --pid"
    if not is_ours:
        us = shlex.join([sys.executable, "-I", "-S", os.path.abspath(__file__), "--enter"])
        way = f"{us} {way} --user --preserve-credentials"
    write(order["enter"], f'exec {way} -- "$@"\n')


def opened(place):
    """A socket that listens there."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(place)
    made.listen()
    return made


def keep_the_door(door):
    """Whoever asks gets a socket of this network, which he connects himself."""
    while True:
        asks = door.accept()[0]
        with asks:
            asks.settimeout(DOOR_SECONDS)
            try:
                with socket.socket(*SOCKETS[asks.recv(16)]) as made:
                    socket.send_fds(asks, [b"."], [made.fileno()])
            except (OSError, KeyError) as error:
                sys.stderr.write(f"the door: {error!r}\n")


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
    if order.get("trial"):
        have_tap()
        os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans leave no zombies
    with opened(order["socket"]) as ready:
        while True:
            ready.accept()[0].close()


def have_tap():
    """A tap, as libvirt makes it for each guest's card."""
    with open("/dev/net/tun", "r+b", buffering=0) as tun:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"trial", IFF_TAP))


def trial():
    """Lay a ground as this user may, and clear it away. Prints who lays it; ends with the reason if it is refused."""
    is_ours = may_all()
    if not is_ours:
        with tempfile.TemporaryDirectory() as place:
            ways = {name: os.path.join(place, name) for name in ("enter", "outside")}
            order = {**ways, "host": "trial", "owner": "trial", "device": "trial0", "inside": "trial1",
                     "addresses": ["192.0.2.1/24"], "trial": True}  # fmt: skip
            try:
                stand_outside(order)
                if lay_and_wait(order, is_ours):
                    raise SystemExit(1)  # process 1 said why
            except OSError as error:
                of = f" ({error.filename})" if error.filename else ""
                raise SystemExit(f"{error.strerror}{of}") from None
    sys.stdout.write("root\n" if is_ours else "user namespace\n")


def enter(argv):
    """Become that command, for which setgroups(2) does nothing and is well (seccomp(2); of x86-64)."""
    load, equal, answer = 0x20, 0x15, 0x06
    allow, nothing, x86_64, setgroups = 0x7FFF0000, 0x00050000, 0xC000003E, 116
    steps = [(load, 0, 0, 4), (equal, 0, 3, x86_64), (load, 0, 0, 0), (equal, 0, 1, setgroups),
             (answer, 0, 0, nothing), (answer, 0, 0, allow)]  # fmt: skip
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(program, len(program))
    told = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(kept))
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    checked(libc.prctl(PR_SET_SECCOMP, 2, ctypes.c_char_p(told), 0, 0), "seccomp")
    os.execvp(argv[0], argv)  # noqa: S606 - nsenter, and what it starts


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--try"]:
            trial()
        case ["--enter", *command]:
            enter(command)
        case [written]:
            main(json.loads(pathlib.Path(written).read_text()))
