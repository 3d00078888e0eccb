# SPDX-License-Identifier: Apache-2.0
"""`close` of a kept drill between two real clouds: what goes at the source, what stays, and a target that is production.

The tenant is small and made with openstacksdk; what is on the clouds is counted with it too. Volumes of the embedded
clouds are files: a guest that writes is a write into its file.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import inventory
import pytest
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau import reference
from unterbau.switch import evidence, folders

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.long,
    pytest.mark.timeout(2400),
    # openstacksdk, with which `inventory` counts, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
LOSSES = ("server.user_data", "server.image_id", "floating_ip.address", "router.external_fixed_ips")


@dataclass
class Kept:
    """Two clouds with a finished drill between them; `refs`: what the source's tenant has, by name."""

    names: tuple[str, str]
    source: Any
    target: Any
    refs: dict[str, str] = field(default_factory=dict)
    run: str = ""

    @property
    def folder(self) -> folders.Folder:
        return folders.folder(self.run)

    def emptying(self, *accepted: str) -> list[str]:
        losses = [a for name in accepted for a in ("--accept-loss", name)]
        return ["close", self.run, "--source", "--bundle", str(self.folder.bundle), *losses, "--format", "json"]

    def left(self) -> set[str]:
        """Names of what the source still has of the tenant."""
        there = {f"{kind}:{id_}" for kind, pairs in inventory.everything(self.source).items() for _, id_ in pairs}
        return {name for name, reference in self.refs.items() if reference in there}

    def write(self, side: int, volume: str, data: bytes) -> None:
        """What a guest does: the cloud notices nothing."""
        home = reference.clouds_file(self.names[side]).parent
        with next(home.rglob(f"volume-{volume}")).open("r+b") as file:
            file.seek(4096)
            file.write(data)


@pytest.fixture
def kept(two_clouds: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    source, target = (inventory.connect(n, reference.clouds_file(n)) for n in two_clouds)
    made = Kept(two_clouds, source, target)
    for side in (source, target):
        inventory.sweep(side)
    try:
        plant(made)
        done = unterbau("drill", *two_clouds, "--keep", "--format", "json", "--quiet")
        assert done.returncode == 3, done.stderr[-3000:]
        made.run = json.loads(done.stdout)["run"]
        yield made
    finally:
        for side in (source, target):
            for server in side.compute.servers():
                side.compute.unlock_server(server)
            inventory.sweep(side)


def plant(made: Kept) -> None:
    """A server from an image, locked, with a port that has a public address; one that boots from a volume."""
    c, refs = made.source, made.refs

    def have(kind: str, thing: Any, name: str = "") -> Any:
        refs[name or thing.name] = f"{kind}:{thing.id}"
        return thing

    public = next(iter(c.network.networks(is_router_external=True)))
    net = have("network", c.network.create_network(name="net"))
    sub = have("subnet", c.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.0.0.0/24", name="sub"))
    router = have("router", c.network.create_router(name="edge", external_gateway_info={"network_id": public.id}))
    c.network.add_interface_to_router(router, subnet_id=sub.id)
    # A leg that a static route needs.
    c.network.update_router(router, routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.2"}])
    ports = [have("port", c.network.create_port(network_id=net.id, name=f"port-{n}")) for n in ("web", "db")]
    have("floating_ip", c.network.create_ip(floating_network_id=public.id, port_id=ports[0].id), "www")
    image = c.image.create_image(
        "image", data=b"no disk" * 1000, container_format="bare", disk_format="raw", wait=True, is_protected=True,
        min_disk=1, validate_checksum=False,
    )  # fmt: skip
    have("image", image)
    for name in ("root", "spare", "data"):
        volume = have("volume", c.block_storage.create_volume(size=1, name=name, image_id=image.id))
        c.block_storage.wait_for_status(volume, "available", wait=600)
    flavors = {f.name: f.id for f in c.compute.flavors()}
    web = c.compute.create_server(name="web-1", flavor_id=flavors["SCS-2V-4-20s"], image_id=image.id,
                                  networks=[{"port": ports[0].id}])  # fmt: skip
    root = {"uuid": refs["root"].partition(":")[2], "source_type": "volume", "destination_type": "volume",
            "boot_index": 0, "delete_on_termination": True}  # fmt: skip
    db = c.compute.create_server(name="db", flavor_id=flavors["SCS-2V-8"], networks=[{"port": ports[1].id}],
                                 block_device_mapping=[root])  # fmt: skip
    for server in (web, db):
        have("server", c.compute.wait_for_server(server, wait=600))
    _attach(c, refs["db"], refs["data"])
    c.compute.lock_server(web.id)
    c.object_store.create_container("box")
    refs["box"] = "container:box"
    for name in ("a.txt", "b.txt"):
        c.object_store.upload_object(container="box", name=name, data=f"content of {name}".encode())
        refs[name] = f"object:box/{name}"


def _attach(c: Any, server: str, volume: str) -> None:
    ids = [r.partition(":")[2] for r in (server, volume)]
    c.compute.create_volume_attachment(ids[0], volume_id=ids[1])
    _wait(lambda: c.block_storage.get_volume(ids[1]).status == "in-use")


def _detach(c: Any, server: str, volume: str) -> None:
    ids = [r.partition(":")[2] for r in (server, volume)]
    c.compute.delete_volume_attachment(ids[0], ids[1])
    _wait(lambda: c.block_storage.get_volume(ids[1]).status == "available")


def _wait(look: Callable[[], bool], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.3)


def unterbau(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unterbau", *arguments], input=typed, capture_output=True, text=True, check=False
    )


@contextmanager
def asked(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], list[bytes]]]:
    """`unterbau ARGUMENTS`, held where it asks a person."""
    with subprocess.Popen(
        [sys.executable, "-m", "unterbau", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stderr is not None
        told: list[bytes] = []
        while b"Type the " not in b"".join(told):
            chunk = os.read(child.stderr.fileno(), 65536)
            assert chunk, b"".join(told).decode()
            told.append(chunk)
        yield child, told
        if child.poll() is None:
            child.kill()


def test_the_source_goes_as_far_as_it_is_held_now(kept: Kept) -> None:
    before = inventory.everything(kept.target)
    stranger = kept.folder.path / "stranger.unterbau"
    own = evidence.check(kept.folder.bundle.read_bytes()).bundle
    stranger.write_bytes(evidence.seal(own, CryptoSigner.generate_ed25519()))
    refused = unterbau("close", kept.run, "--source", "--bundle", str(stranger), typed=kept.names[0] + "\n")
    assert refused.returncode == 2 and "signed by key" in refused.stderr
    assert kept.left() == set(kept.refs)

    with asked(*kept.emptying(*LOSSES)) as (child, _):
        # Attached, written and detached after both sides were hashed; and written in use, which no field tells.
        _attach(kept.source, kept.refs["db"], kept.refs["spare"])
        kept.write(0, kept.refs["spare"].partition(":")[2], b"after the look")
        _detach(kept.source, kept.refs["db"], kept.refs["spare"])
        kept.write(0, kept.refs["data"].partition(":")[2], b"in use")
        out, err = child.communicate(f"{kept.names[0]}\n".encode(), timeout=1200)
    assert child.returncode == 3, err.decode()
    told = {reference: why["text"] for reference, why in json.loads(out)["kept"].items()}
    needed = {"web-1", "port-web", "www", "net", "sub", "edge", "image"}
    assert kept.left() == {"spare", "data", *needed}
    assert told[kept.refs["spare"]] == told[kept.refs["data"]] == "the source's content changed"
    assert f"{kept.refs['web-1']}.local_disk" in told[kept.refs["web-1"]]

    done = unterbau(*kept.emptying(*LOSSES, "server.local_disk"), typed=kept.names[0] + "\n")
    assert done.returncode == 3, done.stderr
    assert "is locked: that is lifted" in done.stderr and "is protected: that is lifted" in done.stderr
    assert kept.left() == {"spare", "data"}
    checked = evidence.check(kept.folder.closed_bundle.read_bytes())
    lost = {v.claim.id for v in checked.verdicts if v.claim.id.startswith("loss ")}
    assert {f"loss {kept.refs['web-1']}.local_disk", f"loss {kept.refs['db']}.user_data"} <= lost
    assert unterbau("evidence", "check", str(kept.folder.closed_bundle), "--key", checked.signer).returncode == 3
    assert inventory.everything(kept.target) == before


def test_killed_half_way_it_is_finished_and_the_target_is_not_taken_back(kept: Kept) -> None:
    before = inventory.everything(kept.target)
    accepted = (*LOSSES, "server.local_disk")
    with asked(*kept.emptying(*accepted)) as (child, _):
        assert child.stdin is not None
        child.stdin.write(f"{kept.names[0]}\n".encode())
        child.stdin.flush()
        _wait(lambda: len(kept.left()) < len(kept.refs) - 4)
        child.send_signal(signal.SIGKILL)
    assert kept.left(), "it was over before it could be killed"
    refused = unterbau("close", kept.run, "--target", typed=kept.names[1] + "\n")
    assert refused.returncode == 2 and "being emptied, or was" in refused.stderr
    done = unterbau(*kept.emptying(*accepted), typed=kept.names[0] + "\n")
    assert done.returncode == 0, done.stderr + done.stdout
    assert kept.left() == set()
    rest = {kind: pairs for kind, pairs in inventory.everything(kept.source).items() if pairs}
    assert set(rest) == {"security_group", "security_group_rule"}
    assert inventory.everything(kept.target) == before
    evidence.check(kept.folder.closed_bundle.read_bytes())
    refused = unterbau("close", kept.run, "--target", typed=kept.names[1] + "\n")
    assert refused.returncode == 2 and inventory.everything(kept.target) == before


def test_a_kept_target_is_production(kept: Kept) -> None:
    c = kept.target
    everything = inventory.everything(c)
    for typed, code in (("", 5), (kept.names[0] + "\n", 2)):
        assert unterbau("close", kept.run, "--target", typed=typed).returncode == code
        assert inventory.everything(c) == everything
    data = next(v for v in c.block_storage.volumes() if v.name == "data")
    kept.write(1, data.id, b"production")  # in use: no field of the cloud tells it
    c.object_store.upload_object(container="box", name="a.txt", data=b"another text")
    c.object_store.upload_object(container="box", name="new.txt", data=b"made since")
    for _ in range(2):
        done = unterbau("close", kept.run, "--target", "--format", "json", typed=kept.names[1] + "\n")
        assert done.returncode == 3, done.stderr
        told = {reference: why["text"] for reference, why in json.loads(done.stdout)["kept"].items()}
        assert told[f"volume:{data.id}"] == "the target's content changed"
        assert "changed since it was looked at" in told["object:box/a.txt"]
        names = {name for pairs in inventory.everything(c).values() for name, _ in pairs}
        assert {"data", "db", "port-db", "net", "box", "a.txt", "new.txt"} <= names
        assert not {"web-1", "port-web", "spare", "b.txt", "image"} & names
    assert kept.left() == set(kept.refs)
