# SPDX-License-Identifier: Apache-2.0
"""The image of Debian that a cloud with guests may have: made, booted, and told by the metadata service who it is.

It needs debootstrap beside what all tests of guests need, a mirror of Debian, and some minutes; where it does not run it says so.
"""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import able
import pytest
import shells
from openstack.connection import Connection
from visiting import tenant

from unterbau import reference
from unterbau.reference import extras, guest_debian, guest_image, guests

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3600),
    # openstacksdk, which asks here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]

NAME = "test-debian"
BOOT_SECONDS = 900
"""An emulated guest that starts systemd and cloud-init on a busy machine."""
USER_DATA = "#cloud-config\nwrite_files:\n- {path: /srv/said, content: by user data}\n"


@pytest.fixture(scope="module")
def there() -> Iterator[Connection]:
    """The tenant of a cloud that has the image."""
    missing = [one.name for one in extras.absent(guest_debian.NEEDS)]
    if why := able.why_not() or (f"the packages {' '.join(missing)} are not there" if missing else ""):
        pytest.skip(f"DID NOT RUN: the image of Debian was not tested, because {why}")
    reference.up(NAME, progress=lambda line: None, with_=extras.ALL, debian=True)
    with tenant(NAME) as connection:
        yield connection
    reference.wipe(NAME)


def _address(there: Connection) -> tuple[str, str]:
    """A port that takes SSH, and the address that it answers at."""
    network, public = there.network, there.network.find_network("public", ignore_missing=False)
    inside = network.create_network(name="inside")
    subnet = network.create_subnet(network_id=inside.id, ip_version=4, cidr="10.6.0.0/24")
    router = network.create_router(name="out", external_gateway_info={"network_id": public.id})
    network.add_interface_to_router(router, subnet=subnet.id)
    group = network.create_security_group(name="ssh")
    network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=22,
        port_range_max=22,
    )  # fmt: skip
    port = network.create_port(network_id=inside.id, security_group_ids=[group.id])
    return port.id, str(network.create_ip(floating_network_id=public.id, port_id=port.id).floating_ip_address)


def test_debian_boots_and_cloud_init_has_all_from_the_metadata_service(there: Connection, tmp_path: Path) -> None:
    client = shells.Client(tmp_path)
    there.compute.create_keypair(name="mine", public_key=client.key.export_public_key().decode())
    port, address = _address(there)
    image = there.image.find_image(guest_debian.NAME, ignore_missing=False)
    assert (image.visibility, image.os_distro) == ("public", "debian")
    assert image.properties["image_original_user"] == "debian"
    server = there.compute.create_server(
        name="debian", image_id=image.id, flavor_id=there.compute.find_flavor(guests.FLAVOR, ignore_missing=False).id,
        networks=[{"port": port}], key_name="mine", config_drive=False,
        user_data=base64.b64encode(USER_DATA.encode()).decode(),
    )  # fmt: skip
    trusting = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10"]
    argv = [str(client.folder / "bin/ssh"), *trusting, "-o", "BatchMode=yes", "-l", "debian", address]

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*argv, command], capture_output=True, text=True, timeout=BOOT_SECONDS)

    end = time.monotonic() + BOOT_SECONDS
    while run("true").returncode:
        if time.monotonic() > end:
            console = there.compute.get_server_console_output(server.id)["output"] or ""
            pytest.fail(f"nobody was let in:\n{console[-3000:]}")
        time.sleep(5)
    assert "status: done" in run("cloud-init status --wait").stdout
    assert run("cat /srv/said; hostname; cloud-init query cloud_name; sudo id -un").stdout.split("\n") == [
        "by user datadebian", "openstack", "root", "",
    ]  # fmt: skip
    grown = int(run("df --output=size -B1 / | tail -n 1").stdout)
    assert grown > 1.6 * 2**30, "the root file system has the flavor's room"


def test_a_second_up_makes_and_uploads_nothing(there: Connection) -> None:
    said: list[str] = []
    reference.up(NAME, progress=said.append, debian=True)
    assert said == [f"cloud {NAME} is running already"]
    assert len([i for i in there.image.images() if i.name in (guest_debian.NAME, guest_image.NAME)]) == 2
