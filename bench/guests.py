# SPDX-License-Identifier: Apache-2.0
"""Measure a cloud with guests and packets: starts, memory, the first answer of a guest. `python -m bench.guests`

As root, with the packages of `--with guests,ovn`. It works in a data directory of its own, with the user's environment,
schemas and image where they are made already: their making is not counted. The table goes into bench/README.md between its markers.
"""

from __future__ import annotations

import base64
import http.client
import os
import platform
import re
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.cloud import seconds, yardstick

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- guests: begin -->", "<!-- guests: end -->"
NAME = "bench-guests"
LATER = GUESTS = 3
USER_DATA = "#!/bin/sh\nmkdir -p /srv/www\necho served >/srv/www/index.html\nhttpd -p 80 -h /srv/www\n"
PATIENCE = 180.0


def answer(address: str, began: float) -> float:
    """Seconds from `began` to the first whole page."""
    while time.perf_counter() - began < PATIENCE:
        connection = http.client.HTTPConnection(address, timeout=1)
        try:
            connection.request("GET", "/")
            if connection.getresponse().read() == b"served\n":
                return time.perf_counter() - began
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise SystemExit(f"no answer from {address} within {PATIENCE:.0f} s")


def qemu_memory() -> list[int]:
    """PSS of each guest of this machine."""
    found = [p for p in psutil.process_iter(["name"]) if (p.info["name"] or "").startswith("qemu-system")]
    return [p.memory_full_info().pss for p in found]


def serve(tenant: Any, number: int, network: Any, group: Any, public: Any) -> float:
    """Seconds from the request for one more server to its first page."""
    from unterbau.reference import guest_image, guests

    port = tenant.network.create_port(network_id=network.id, security_group_ids=[group.id])
    address = str(tenant.network.create_ip(floating_network_id=public.id, port_id=port.id).floating_ip_address)
    image = tenant.image.find_image(guest_image.NAME, ignore_missing=False)
    flavor = tenant.compute.find_flavor(guests.FLAVOR, ignore_missing=False)
    began = time.perf_counter()
    tenant.compute.create_server(
        name=f"web-{number}", image_id=image.id, flavor_id=flavor.id, networks=[{"port": port.id}],
        user_data=base64.b64encode(USER_DATA.encode()).decode(),
    )  # fmt: skip
    return answer(address, began)


def measure() -> list[tuple[str, str, str]]:
    """What, figure, and what is aimed at."""
    import openstack

    from unterbau import reference
    from unterbau.reference import extras, guest_image, install

    def up() -> float:
        return seconds(lambda: reference.up(NAME, progress=lambda line: None, with_=extras.ALL))

    install.ensure(print)
    guest_image.ensure(print)
    rows = [("first start of a cloud", f"{up():.1f} s", "")]
    taken, speeds = [], [yardstick()]
    for _ in range(LATER):
        reference.down(NAME)
        taken.append(up())
        speeds.append(yardstick())
    rows.append((f"later start, median of {LATER}",
                 f"{statistics.median(taken):.1f} s ({', '.join(f'{t:.1f}' for t in taken)})", "<= 20 s"))  # fmt: skip
    found = reference.status(NAME)
    rows.append(("memory (PSS) without guests", f"{found.memory_bytes / 2**20:.0f} MiB", "<= 1.4 GB"))
    below = ("ground", "ovsdb", "ovn-nb", "ovn-sb", "vswitchd", "northd", "controller", "metadata", "libvirtd")
    part = {s.name: s.memory_bytes for s in found.services if s.name in below}
    each = ", ".join(f"{name} {size / 2**20:.0f}" for name, size in part.items())
    rows.append(("  of it guests' and packets' own daemons", f"{sum(part.values()) / 2**20:.0f} MiB: {each}", ""))
    config = openstack.config.OpenStackConfig(config_files=[str(reference.clouds_file(NAME))], load_envvars=False)
    with openstack.connection.Connection(config=config.get_one(cloud=NAME)) as tenant:
        public = tenant.network.find_network("public", ignore_missing=False)
        network = tenant.network.create_network(name="bench")
        subnet = tenant.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
        router = tenant.network.create_router(name="bench", external_gateway_info={"network_id": public.id})
        tenant.network.add_interface_to_router(router, subnet=subnet.id)
        group = tenant.network.create_security_group(name="bench")
        tenant.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp",
            port_range_min=80, port_range_max=80,
        )  # fmt: skip
        answers = [serve(tenant, number, network, group, public) for number in range(GUESTS)]
    speeds.append(yardstick())
    rows.append(("first guest, from the server's POST to its first HTTP answer", f"{answers[0]:.1f} s", "<= 30 s"))
    rows.append(("  further ones, the others running", ", ".join(f"{t:.1f} s" for t in answers[1:]), ""))
    rows.append(("memory (PSS) of a guest", ", ".join(f"{m / 2**20:.0f} MiB" for m in qemu_memory()), "<= 300 MB"))
    rows.append(("down, three guests running", f"{seconds(lambda: reference.down(NAME)):.1f} s", ""))
    rows.append(
        ("ten million additions in Python, before and after each", ", ".join(f"{s:.2f}" for s in speeds) + " s", "")
    )
    return rows


OTHERS = """
Beside it, what the others' own documents say: DevStack 15 to 30 minutes and 4 GB or more; Sunbeam a time-out of 60
minutes for its deployment, 4 cores and 16 GB; Kolla-Ansible all in one 8 GB and 40 GB of disk. None of them was run here.
"""


def publish(rows: list[tuple[str, str, str]]) -> None:
    """Put the table between the markers of the README, which keeps everything else."""
    from unterbau.reference import guest_image, guests

    kvm = guests.uses_kvm(guest_image.ensure(print).with_name("vmlinuz"))
    memory = psutil.virtual_memory().total / 2**30
    where = f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, guests {'with KVM' if kvm else 'emulated'}"
    head = f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.guests` on {where}; one run, load {os.getloadavg()[1]:.1f} at its end."
    lines = [BEGIN, "## guests", "", head, "", "| what | measured | aim |", "|---|---|---|"]
    text = "\n".join([*lines, *(f"| {a} | {b} | {c} |" for a, b, c in rows), OTHERS.rstrip("\n"), END])
    old = README.read_text(encoding="utf-8")
    if BEGIN in old:
        new = re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: text, old, flags=re.DOTALL)
    else:
        new = f"{old.rstrip()}\n\n{text}\n"
    README.write_text(new, encoding="utf-8")


def lend(home: Path) -> None:
    """What was made once for all clouds of the user, into a data directory of ours."""
    from unterbau.reference.layout import data_home

    own = data_home()
    for kind in ("runtime", "templates", "images"):
        (home / "unterbau" / kind).mkdir(parents=True)
        for made in own.glob(f"{kind}/*"):
            if made.is_dir() and not made.name.endswith(".new"):
                (home / "unterbau" / kind / made.name).symlink_to(made)


def main() -> None:
    """Measure and publish; the cloud is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as home:
        lend(Path(home))
        os.environ["XDG_DATA_HOME"] = home
        from unterbau import reference

        try:
            rows = measure()
        finally:
            for found in reference.names():
                reference.wipe(found.name)
        publish(rows)
    for row in rows:
        print("  ".join(row))


if __name__ == "__main__":
    main()
