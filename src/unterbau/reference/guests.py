# SPDX-License-Identifier: Apache-2.0
"""`--with guests`: servers that run, as data. Nova's libvirt driver, a libvirtd of the cloud's own, QEMU.

libvirtd stands in the cloud's ground (`packets`), so what it starts ends with the cloud. Guests run with KVM where one
starts with it on this machine, and emulated else. `guest_image` makes what they boot.
`services` and `config` take the daemon and options from here; `plant` writes the files and asks for KVM.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from unterbau.reference import disk, extras, packets
from unterbau.reference.layout import Layout

FLAVOR = "SCS-1L-0.5-2"
FLAVOR_MIB = 512
"""One crowded core, half a GiB of memory, a root disk of 2 GB."""
TRANSLATIONS_MIB = 64
"""QEMU's cache of translated code; by itself it grows to a GiB a guest."""
_KVM_SECONDS, _SILENT_SECONDS = 20, 4


def uses_kvm(kernel: Path) -> bool:
    """Whether a guest starts with KVM here: `/dev/kvm` opens on machines where none does, so a kernel is started.

    The answer is kept beside the kernel until this machine boots anew.
    """
    boot, kept = (
        Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
        kernel.with_name("kvm.json"),
    )
    known = disk.read_json(kept)
    if known is None or known.get("boot") != boot:
        known = {"boot": boot, "starts": _starts(kernel)}
        disk.write_private(kept, json.dumps(known), durable=False)
    return bool(known["starts"])


def _starts(kernel: Path) -> bool:
    qemu = extras.program("qemu-system-x86_64")
    if qemu is None or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    argv = (qemu, "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-serial", "stdio", "-kernel", str(kernel),
            "-append", "earlyprintk=serial console=ttyS0 panic=-1")  # fmt: skip
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            began = time.monotonic()
            told = b""
            # One that does not run stays silent, or QEMU halts it.
            while time.monotonic() - began < (_KVM_SECONDS if told else _SILENT_SECONDS):
                ended = child.poll() is not None
                told = os.pread(said.fileno(), 2**20, 0)
                if ended or b"KVM internal error" in told:
                    # It found no root file system, said so, and ended.
                    return ended and b"Kernel panic" in told
                time.sleep(0.05)
        finally:
            child.kill()
            child.wait()
    return False


def daemon(layout: Layout) -> packets.Daemon:
    """The cloud's own libvirtd. It keeps its guests when it is started again."""
    return packets.Daemon(
        "libvirtd",
        ("libvirtd", "--config", str(layout.etc / "libvirt/libvirtd.conf"), "--pid-file", "/run/libvirtd.pid"),
        ("ground", "ovsdb"),
        "libvirt-sock",
    )


def programs(layout: Layout) -> Path:
    """The directory that libvirtd looks for QEMU in first."""
    return layout.etc / "libvirt/bin"


def binding(layout: Layout) -> Path:
    """The directory from which Nova loads libvirt's binding."""
    return layout.etc / "libvirt/python"


WRAPPER = """\
#!/bin/sh
# The switch drops packets whose checksum the guest has left to its network card: the cards of this cloud fill in none.
exec {qemu} "$@" -global virtio-net-pci.csum=off
"""


def files(layout: Layout) -> dict[str, str]:
    """Text of libvirtd's files by path relative to `layout.etc`."""
    return {
        "libvirt/libvirtd.conf": _lines(
            unix_sock_dir=str(layout.run), auth_unix_ro="none", auth_unix_rw="none", unix_sock_rw_perms="0700",
            log_outputs="3:stderr",
        ),
        "libvirt/bin/qemu-system-x86_64": WRAPPER.format(qemu=extras.program("qemu-system-x86_64") or "false"),
    }  # fmt: skip


def inner_files() -> dict[str, str]:
    """Files that are seen in the ground only."""
    return {
        "/etc/libvirt/qemu.conf": _lines(user="root", group="root", security_driver="none", stdio_handler="file")
        + "dynamic_ownership = 0\nremember_owner = 0\ncgroup_controllers = [ ]\nnamespaces = [ ]\nseccomp_sandbox = 0\n"
    }


def _lines(**options: str) -> str:
    return "".join(f'{key} = "{value}"\n' for key, value in options.items())


def nova(layout: Layout, *, kvm: bool) -> dict[str, dict[str, object]]:
    """Sections of nova.conf that differ. One host: libvirtd tells all of its guests to whoever asks."""
    accelerated: dict[str, object] = {"virt_type": "kvm", "cpu_mode": "host-passthrough"}
    emulated: dict[str, object] = {"virt_type": "qemu", "cpu_mode": "none", "tb_cache_size": TRANSLATIONS_MIB}
    return {
        "DEFAULT": {
            "compute_driver": "libvirt.LibvirtDriver",
            "vif_plugging_is_fatal": True,
            "vif_plugging_timeout": 60,
            # What ran at `down` boots again at `up`.
            "resume_guests_state_on_host_boot": True,
            "sync_power_state_interval": 600,
            "heal_instance_info_cache_interval": 60,
            "mkisofs_cmd": extras.program("genisoimage") or "genisoimage",
            # Sizes are promised to servers, and taken from this machine only as they are used.
            "cpu_allocation_ratio": 16.0,
            "ram_allocation_ratio": 8.0,
            "disk_allocation_ratio": 100.0,
            "reserved_host_memory_mb": 0,
            "reserved_host_disk_mb": 0,
        },
        "libvirt": {
            "connection_uri": f"qemu+unix:///system?socket={layout.run / 'libvirt-sock'}",
            "images_type": "qcow2",
            "hw_machine_type": "x86_64=pc",
        }
        | (accelerated if kvm else emulated),
        "os_vif_ovs": {"ovsdb_connection": packets.sockets(layout, "ovs")},
    }
