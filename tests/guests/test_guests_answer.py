# SPDX-License-Identifier: Apache-2.0
"""A cloud with guests and packets: a server serves, a rule opens and closes, and nothing of the cloud stays behind.

Runs as whoever runs it, as root or not. Needs the packages of `--with guests,ovn`, and without root user namespaces; where
they are missing it says so for each test, and has shown nothing.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import able
import openstack
import psutil
import pytest
import shells
from openstack.connection import Connection
from traces import Traces, as_before, traces
from visiting import connected, page_at

from unterbau import reference
from unterbau.reference import extras, guest_image, guests, packets, plant
from unterbau.switch.probes.asking import Heard, ask
from unterbau.switch.probes.model import Command, Ssh, State

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    # openstacksdk, which asks here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]

NAME = "test-gaeste"
WAIT = 120.0
INSIDE = "10.5.0.20"
USER_DATA = """#!/bin/sh
mkdir -p /srv/www/cgi-bin /etc/local.d
echo 'rows: 42' >/srv/www/index.html
head -c 10485760 /dev/zero >/srv/www/large
cat >/srv/www/cgi-bin/die.cgi <<'X'
#!/bin/sh
echo c >/proc/sysrq-trigger
X
cat >/srv/www/cgi-bin/told.cgi <<'X'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
curl -s -w '\n%{http_code}' -H 'X-Instance-ID: another' -H 'X-Forwarded-For: 10.5.0.9' "http://169.254.169.254$QUERY_STRING"
X
cat >/etc/local.d/web.start <<'X'
#!/bin/sh
cat /proc/cmdline /proc/sys/kernel/random/boot_id >/srv/www/kernel
httpd -p 80 -h /srv/www
httpd -p 81 -h /srv/www
X
chmod 755 /etc/local.d/web.start /srv/www/cgi-bin/*
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    """This machine without the cloud. Its runtime and image stay, by intent. Nobody else has this folder for temporary files."""
    if why := able.why_not():
        pytest.skip(f"DID NOT RUN: guests and packets were not tested, because {why}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield traces(plant.root(NAME), temporary=tempfile.gettempdir())


@pytest.fixture(scope="module")
def cloud(before: Traces) -> Iterator[str]:
    """Name of the running cloud."""
    reference.up(NAME, progress=lambda line: None, with_=extras.ALL)
    yield NAME
    if reference.exists(NAME):
        reference.wipe(NAME)


@pytest.fixture(scope="module")
def tenant(cloud: str) -> Iterator[Connection]:
    """The tenant's connection."""
    config = openstack.config.OpenStackConfig(config_files=[str(reference.clouds_file(cloud))], load_envvars=False)
    with Connection(config=config.get_one(cloud=cloud)) as connection:
        yield connection


@dataclass(frozen=True)
class Web:
    """A server that serves."""

    server: str
    address: str
    group: str
    seconds: float
    """From the request for the server to its first answer."""


def _until(told: Callable[[], Any], seconds: float = WAIT) -> Any:
    """What it gives once it gives something; what connections fail with on the way is no answer."""
    end = time.monotonic() + seconds
    while True:
        try:
            if found := told():
                return found
        except OSError:
            pass
        assert time.monotonic() < end, f"no answer within {seconds} s"
        time.sleep(0.2)


def _answers(address: str, port: int) -> bool | None:
    """True: something accepts. False: it was refused. None: silence."""
    try:
        connected(address, port, 3).close()
    except TimeoutError:
        return None
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> shells.Client:
    """An ssh with a key of its own."""
    return shells.Client(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def web(tenant: Connection, client: shells.Client) -> Web:
    """A server behind a floating IP, with a rule for port 80 and none for 81, where it listens too. It has a config drive."""
    tenant.compute.create_keypair(name="mine", public_key=client.key.export_public_key().decode())
    return _serving(tenant, "web", config_drive=True)


@pytest.fixture(scope="module")
def twin(tenant: Connection, web: Web) -> Web:
    """The same without a config drive, at the same address in a network of its own."""
    return _serving(tenant, "twin", config_drive=False)


def _serving(tenant: Connection, name: str, *, config_drive: bool) -> Web:
    public = tenant.network.find_network("public", ignore_missing=False)
    network = tenant.network.create_network(name=name)
    subnet = tenant.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.5.0.0/24")
    router = tenant.network.create_router(name=name, external_gateway_info={"network_id": public.id})
    tenant.network.add_interface_to_router(router, subnet=subnet.id)
    group = tenant.network.create_security_group(name=name)
    _open(tenant, group.id, 80)
    _open(tenant, group.id, 22)
    port = tenant.network.create_port(
        network_id=network.id, security_group_ids=[group.id], fixed_ips=[{"subnet_id": subnet.id, "ip_address": INSIDE}]
    )
    address = str(tenant.network.create_ip(floating_network_id=public.id, port_id=port.id).floating_ip_address)
    image = tenant.image.find_image(guest_image.NAME, ignore_missing=False)
    flavor = tenant.compute.find_flavor(guests.FLAVOR, ignore_missing=False)
    began = time.monotonic()
    server = tenant.compute.create_server(
        name=name, image_id=image.id, flavor_id=flavor.id, networks=[{"port": port.id}], config_drive=config_drive,
        user_data=base64.b64encode(USER_DATA.encode()).decode(), key_name="mine",
    )  # fmt: skip
    _until(lambda: page_at(address))
    return Web(server.id, address, group.id, time.monotonic() - began)


def _open(tenant: Connection, group: str, port: int) -> None:
    tenant.network.create_security_group_rule(
        security_group_id=group, direction="ingress", ethertype="IPv4", protocol="tcp",
        port_range_min=port, port_range_max=port,
    )  # fmt: skip


def test_a_server_from_user_data_serves_its_page_through_its_floating_ip(tenant: Connection, web: Web) -> None:
    print(f"first answer {web.seconds:.1f} s after the request")  # noqa: T201 - a measurement, for who asks with -s
    assert page_at(web.address) == b"rows: 42\n"
    server = tenant.compute.get_server(web.server)
    assert server.status == "ACTIVE"
    console = _until(lambda: tenant.compute.get_server_console_output(web.server)["output"])
    assert "unterbau: eth0 10.5.0." in console


def _told(web: Web, path: str) -> tuple[str, str]:
    """What that guest's metadata service says, and its status."""
    text, _, status = page_at(web.address, f"/cgi-bin/told.cgi?{path}", 60).decode().rpartition("\n")
    return text, status


def test_a_guest_without_config_drive_has_its_user_data_key_and_name_from_the_metadata_service(
    tenant: Connection, twin: Web
) -> None:
    assert page_at(twin.address) == b"rows: 42\n", "its user data ran"
    assert not tenant.compute.get_server(twin.server).has_config_drive
    told, status = _told(twin, "/openstack/latest/meta_data.json")
    meta = json.loads(told)
    assert status == "200" and (meta["uuid"], meta["name"]) == (twin.server, "twin")
    assert list(meta["public_keys"]) == ["mine"]
    assert _told(twin, "/openstack/latest/user_data") == (USER_DATA, "200")
    assert json.loads(_told(twin, "/openstack/latest/vendor_data.json")[0]) == {}
    network = json.loads(_told(twin, "/openstack/latest/network_data.json")[0])
    port = next(iter(tenant.network.ports(device_id=twin.server)))
    assert [link["ethernet_mac_address"] for link in network["links"]] == [port.mac_address]
    assert _told(twin, "/latest/meta-data/local-ipv4") == (INSIDE, "200")
    assert _told(twin, "/latest/meta-data/instance-id")[0].startswith("i-")
    assert _told(twin, "/openstack/none")[1] == "404"


def test_of_two_guests_with_the_same_address_each_is_told_of_itself_whatever_its_headers_say(
    web: Web, twin: Web
) -> None:
    for one in (web, twin):
        assert json.loads(_told(one, "/openstack/latest/meta_data.json")[0])["uuid"] == one.server


def test_a_large_page_arrives_whole(web: Web) -> None:
    assert page_at(web.address, "/large", 60) == bytes(10 * 2**20)


def test_a_closed_port_is_silent_and_answers_once_a_rule_opens_it(tenant: Connection, web: Web) -> None:
    assert _answers(web.address, 80)
    assert _answers(web.address, 81) is None, "the guest listens there, and no rule lets anybody in"
    _open(tenant, web.group, 81)
    _until(lambda: _answers(web.address, 81), 30)


def _host_keys(tenant: Connection, web: Web) -> list[str]:
    """What the console says that the guest's keys are."""

    def told() -> str:
        return str(tenant.compute.get_server_console_output(web.server)["output"] or "")

    keys = r"BEGIN SSH HOST KEY KEYS-----\s+(.*?)-----END SSH HOST KEY KEYS"
    return [line.strip() for line in _until(lambda: re.findall(keys, told(), re.DOTALL))[-1].splitlines()]


def _without_ssh() -> str:
    missing = extras.absent(extras.WELCOME)
    return f"the package {missing[0].name} is not there" if missing else ""


def test_who_has_the_key_logs_in_knows_the_guest_by_its_console_and_commands_are_whole(
    tenant: Connection, web: Web, client: shells.Client, tmp_path: Path
) -> None:
    if why := _without_ssh():
        pytest.skip(f"DID NOT RUN: SSH into a guest was not tested, because {why}")
    known = tmp_path / "known"
    known.write_text("".join(f"guest {key}\n" for key in _host_keys(tenant, web)))
    trusting = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}", "-o", "HostKeyAlias=guest"]
    base = [str(client.folder / "bin/ssh"), *trusting, "-o", "BatchMode=yes", "-l", "root", web.address]

    def run(command: str, given: bytes = b"", *more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([base[0], *more, *base[1:], command], input=given, capture_output=True, timeout=60)

    given = os.urandom(3 * 2**20)
    done = run("cat; echo wrong >&2; exit 7", given)
    assert (done.returncode, done.stdout, done.stderr) == (7, given, b"wrong\n")
    assert run("httpd --help; id -un").stdout == b"root\n", "its path has what the image adds"
    for more in (("-o", "PubkeyAuthentication=no"), ("-o", "PreferredAuthentications=password,keyboard-interactive")):
        refused = run("true", b"", *more)
        assert refused.returncode == 255 and b"Permission denied (publickey)" in refused.stderr, "no password opens it"


def test_a_command_probe_asks_such_a_guest_and_the_probe_ssh_finds_the_key_of_its_console(
    tenant: Connection, web: Web, client: shells.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why := _without_ssh():
        pytest.skip(f"DID NOT RUN: a command probe of a guest was not tested, because {why}")
    monkeypatch.setenv("PATH", client.path)

    def asked(user: str, run: str) -> Heard:
        probe = Command.model_validate({"id": "rows", "at": "floating_ip:f", "user": user, "run": run})
        return ask(probe, web.address, (web.address, 22), 30)

    found = asked("root", "cat /srv/www/index.html; exit 3")
    assert found.facts == {
        "exit status": 3,
        "output": f"sha256:{hashlib.sha256(b'rows: 42' + chr(10).encode()).hexdigest()}",
    }
    assert asked("nobody", "true").state is State.UNREACHABLE, "it is not let in"
    host = ask(Ssh(id="ssh-22", at="floating_ip:f", port=22), web.address, (web.address, 22), 30)
    blobs = {
        f"sha256:{hashlib.sha256(base64.b64decode(key.split()[1])).hexdigest()}" for key in _host_keys(tenant, web)
    }
    assert host.state is State.ANSWERED and host.facts["host key"] in blobs


def test_a_guest_whose_kernel_dies_boots_again_and_no_busy_machine_kills_it_at_its_boot(web: Web) -> None:
    kernel = page_at(web.address, "/kernel")
    assert b"no_timer_check" in kernel, "the test that an emulated kernel fails where its turn does not come in time"
    with pytest.raises((OSError, http.client.HTTPException)):
        page_at(web.address, "/cgi-bin/die.cgi")
    assert _until(lambda: (now := page_at(web.address, "/kernel")) != kernel and now)


def test_what_dies_is_started_again_and_the_guest_answers_all_the_while(cloud: str, web: Web) -> None:
    for name in ("libvirtd", "vswitchd", "controller", "metadata"):
        service = next(s for s in reference.status(cloud).services if s.name == name)
        assert service.pid is not None
        for process in psutil.Process(service.pid).children():
            process.kill()
        _until(partial(_again, cloud, name), 60)
        assert _until(lambda: page_at(web.address), 60) == b"rows: 42\n"


def test_a_metadata_service_that_was_started_again_answers(web: Web) -> None:
    """After the test before, which has killed it."""
    assert _until(lambda: _told(web, "/latest/meta-data/local-ipv4") == (INSIDE, "200"), 60)


def _again(cloud: str, name: str) -> bool:
    return any(s.name == name and s.restarts and s.state == "running" for s in reference.status(cloud).services)


def test_what_ran_at_down_boots_again_at_up_and_has_its_data(
    cloud: str, web: Web, before: Traces, tenant: Connection
) -> None:
    reference.down(cloud)
    as_before(before, plant.root(cloud), temporary=tempfile.gettempdir())
    reference.up(cloud, progress=lambda line: None)
    assert _until(lambda: page_at(web.address)) == b"rows: 42\n"
    assert tenant.compute.get_server(web.server).status == "ACTIVE"


def test_nothing_stays_behind_a_killed_supervisor(cloud: str, web: Web, before: Traces) -> None:
    running = reference.status(cloud)
    during = traces(running.root)
    assert during.processes > before.processes, "the comparison sees what runs"
    by_root = running.floating_ips == "here"
    assert (packets.device(plant.load(cloud)) in during.devices) is by_root
    assert running.supervisor_pid is not None
    os.kill(running.supervisor_pid, signal.SIGKILL)
    as_before(before, running.root, temporary=tempfile.gettempdir())
    reference.up(cloud, progress=lambda line: None)
    assert _until(lambda: page_at(web.address)) == b"rows: 42\n"


def test_nothing_stays_of_a_cloud_that_is_wiped(cloud: str, before: Traces) -> None:
    root = plant.root(cloud)
    run = plant.load(cloud).run
    reference.wipe(cloud)
    as_before(before, root, temporary=tempfile.gettempdir())
    assert not root.exists() and not run.exists()
