# SPDX-License-Identifier: Apache-2.0
"""A cloud with guests and packets that no root made: it serves, is asked through its door, and nothing of it stays behind.

Where root runs this, the cloud is another user's, who may read what root has installed, and may do nothing else that he
could not do by himself. Whoever else runs it has a cloud of his own. Where a user namespace is refused it says so.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import able
import openstack
import pytest
from openstack.connection import Connection
from traces import Traces, traces

from unterbau import wiring
from unterbau.reference import doors, extras, guest_image, guests, install, packets, plant
from unterbau.reference.layout import Layout, Ports, data_home
from unterbau.switch.probes.model import Closed, Http, State

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]

NAME = "test-ohne-root"
SOMEBODY = 65534
WAIT = 180.0
PAGE = b"""#!/bin/sh
mkdir -p /srv/www /etc/local.d
echo 'rows: 42' >/srv/www/index.html
printf '#!/bin/sh\\nhttpd -p 80 -h /srv/www\\nhttpd -p 81 -h /srv/www\\n' >/etc/local.d/web.start
chmod 755 /etc/local.d/web.start
"""
MAY_READ = "-all,+dac_read_search"
AS_SOMEBODY = ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", "--securebits=+no_setuid_fixup",
               f"--inh-caps={MAY_READ}", f"--ambient-caps={MAY_READ}")  # fmt: skip
"""access(2) forgets what a user may whose id is not 0, but for that bit."""
PYTHON = "/usr/bin/python3"
"""Of the system: what root has installed can be read by nobody in the user namespace."""
ASKS = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())"


class User:
    """Who has the cloud."""

    def __init__(self, home: Path, prefix: tuple[str, ...]) -> None:
        self._prefix = prefix
        self._environ = (
            {**os.environ, "XDG_DATA_HOME": str(home), "HOME": str(home), "TMPDIR": str(home)} if prefix else None
        )

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command of his."""
        return subprocess.run((*self._prefix, *argv), capture_output=True, text=True, check=False, env=self._environ)

    def unterbau(self, *words: str) -> str:
        """What `unterbau` says to him."""
        done = self.run(sys.executable, "-m", "unterbau", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """Whoever runs this, or with root somebody who has of root's what takes long to make."""
    if why := able.why_not():
        pytest.skip(f"DID NOT RUN: a cloud with guests without root was not tested, because {why}")
    if not extras.as_root():
        yield User(data_home(), ())
        return
    home = Path("/tmp") / f"unterbau-ohne-root-{os.getpid()}"  # noqa: S108 - tmp_path is closed to other users
    runtime, image = install.ensure(lambda line: None), guest_image.ensure(lambda line: None)
    theirs = home / "unterbau"
    for part in ("runtime", "images"):
        (theirs / part).mkdir(parents=True)
    (theirs / "runtime" / runtime.name).symlink_to(runtime)
    if (made := data_home() / "templates").exists():
        shutil.copytree(made, theirs / "templates")
    shutil.copytree(image.parent, theirs / "images" / image.parent.name, ignore=shutil.ignore_patterns("kvm.json"))
    try:
        for path in (home, *home.rglob("*")):
            os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
        somebody = User(home, AS_SOMEBODY)
        tried = somebody.run(sys.executable, "-I", "-S", str(extras.GROUND), "--try")
        if tried.returncode:
            pytest.skip(f"DID NOT RUN: a cloud with guests without root was not tested: {tried.stderr.strip()}")
        monkeypatch.setenv("XDG_DATA_HOME", str(home))
        yield somebody
    finally:
        shutil.rmtree(home)


@pytest.fixture
def cloud(user: User) -> Iterator[Layout]:
    """His cloud."""
    told = user.unterbau("cloud", "up", NAME, "--with", "guests,ovn")
    assert "in a user namespace, without root" in told
    known = json.loads((plant.root(NAME) / "cloud.json").read_text(encoding="utf-8"))
    yield Layout(NAME, plant.root(NAME), Path(known["runtime"]), Ports(**known["ports"]), extras.ALL)
    if plant.root(NAME).exists():
        user.unterbau("cloud", "wipe", NAME, "--yes")


def _until(told: Callable[[], Any], seconds: float = WAIT) -> Any:
    end = time.monotonic() + seconds
    while not (found := told()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.3)
    return found


def _served(tenant: Connection) -> str:
    """A server that serves on two ports and whose group opens one; its floating IP."""
    public = tenant.network.find_network("public", ignore_missing=False)
    network = tenant.network.create_network(name="inside")
    subnet = tenant.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.5.0.0/24")
    router = tenant.network.create_router(name="out", external_gateway_info={"network_id": public.id})
    tenant.network.add_interface_to_router(router, subnet=subnet.id)
    group = tenant.network.create_security_group(name="web")
    tenant.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=80, port_range_max=80
    )  # fmt: skip
    port = tenant.network.create_port(network_id=network.id, security_group_ids=[group.id])
    address = str(tenant.network.create_ip(floating_network_id=public.id, port_id=port.id).floating_ip_address)
    image = tenant.image.find_image(guest_image.NAME, ignore_missing=False)
    flavor = tenant.compute.find_flavor(guests.FLAVOR, ignore_missing=False)
    tenant.compute.create_server(
        name="web", image_id=image.id, flavor_id=flavor.id, networks=[{"port": port.id}],
        user_data=base64.b64encode(PAGE).decode(),
    )  # fmt: skip
    return address


def _left(cloud: Layout) -> Traces:
    return traces(cloud.root, kinds=("user",))


def test_a_cloud_with_guests_serves_without_root_and_nothing_of_it_stays_behind_a_kill(
    user: User, cloud: Layout
) -> None:
    page = Http(id="page", at="floating_ip:f", port=80)
    prober = wiring.prober(threading.Event())

    def answers(port: int = 80) -> State:
        probe = page if port == 80 else Closed(id="closed", at="floating_ip:f", port=port, control="page")
        return prober.look("source", probe, address)[1].state

    config = openstack.config.OpenStackConfig(config_files=[str(cloud.root / "clouds.yaml")], load_envvars=False)
    with Connection(config=config.get_one(cloud=NAME)) as tenant:
        address = _served(tenant)
    assert doors.door_to(address) == packets.door(cloud)
    _until(lambda: answers() is State.ANSWERED)
    assert answers(81) is State.SILENT, "the guest listens there, and no rule lets anybody in"
    told = user.unterbau("cloud", "enter", NAME, PYTHON, "-c", ASKS, f"http://{address}/")
    assert told == "rows: 42\n"
    (status,) = json.loads(user.unterbau("cloud", "status", NAME, "--format", "json"))
    assert status["floating_ips"] == "inside"
    assert f"unterbau cloud enter {NAME} COMMAND" in user.unterbau("cloud", "status", NAME)

    during = _left(cloud)
    assert any("qemu" in one for one in during.processes), "the comparison sees what runs"
    assert packets.device(cloud) not in during.devices
    supervisor = json.loads((cloud.root / "status.json").read_text(encoding="utf-8"))["supervisor"]
    os.kill(supervisor, signal.SIGKILL)
    _until(lambda: not _left(cloud).processes, 30)
    assert _left(cloud).mounts == during.mounts
    assert answers() is State.UNREACHABLE, "a door that nobody keeps is no silence of a guest"

    refused = user.run(sys.executable, "-m", "unterbau", "cloud", "enter", NAME, "true")
    assert refused.returncode == 1 and f"cloud {NAME} does not run" in refused.stderr

    user.unterbau("cloud", "up", NAME)
    _until(lambda: answers() is State.ANSWERED)
    user.unterbau("cloud", "wipe", NAME, "--yes")
    _until(lambda: not _left(cloud).processes, 30)
    assert not cloud.root.exists() and not cloud.run.exists()
