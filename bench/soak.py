# SPDX-License-Identifier: Apache-2.0
"""Eight clients for five minutes on one embedded cloud: `python -m bench.soak [--seconds N] [--clients N] [--keep]`.

Each client is a thread with its own connection and tenant rights. It makes and deletes servers, volumes with
snapshots, ports, images, objects and secrets in a random order, its own choice at every turn. What counts: no
"database is locked" in any log, and no request that failed. Writes its section of bench/README.md and ends
with 1 if either was seen. `--keep` soaks the
user's own cloud `soak` and leaves it for a look at its logs; otherwise all is in a directory of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.page import publish

if TYPE_CHECKING:
    from openstack.connection import Connection

CLOUD = "soak"
LOCKED = "database is locked"
PAYLOAD = bytes(range(256)) * 4096
WAIT_SECONDS = 180


@dataclass
class Client:
    """One client: its connection, and what it has seen."""

    number: int
    tenant: Connection
    network: str
    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each turn, by kind of thing."""
    errors: list[str] = field(default_factory=list)

    def name(self) -> str:
        """A name that no other turn has."""
        return f"soak-{self.number}-{random.getrandbits(48):012x}"

    def run(self, until: float) -> None:
        """Turn after turn; a turn that was begun is finished."""
        while time.monotonic() < until:
            turn = random.choice(TURNS)  # noqa: S311
            began = time.monotonic()
            try:
                turn(self)
            except Exception as error:  # noqa: BLE001 - whatever goes wrong in a turn is the finding
                self.errors.append(f"{turn.__name__}: {type(error).__name__}: {error}")
            else:
                self.taken[turn.__name__].append(time.monotonic() - began)


def server(client: Client) -> None:
    """Boot to ACTIVE with a port, delete until it is gone."""
    compute = client.tenant.compute
    image = client.tenant.image.find_image("unterbau-tiny", ignore_missing=False)
    flavor = compute.find_flavor("SCS-2V-4-20s", ignore_missing=False)
    made = compute.create_server(
        name=client.name(), image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": client.network}]
    )
    try:
        compute.wait_for_server(made, interval=0.5, wait=WAIT_SECONDS)
    finally:
        compute.delete_server(made)
        compute.wait_for_delete(made, interval=0.5, wait=WAIT_SECONDS)


def volume(client: Client) -> None:
    """A volume, its snapshot, and a volume of the snapshot; then all away."""
    storage = client.tenant.block_storage
    made: list[Any] = []
    try:
        made.append(storage.create_volume(name=client.name(), size=1))
        storage.wait_for_status(made[-1], interval=0.5, wait=WAIT_SECONDS)
        made.append(storage.create_snapshot(volume_id=made[0].id, name=client.name()))
        storage.wait_for_status(made[-1], interval=0.5, wait=WAIT_SECONDS)
        made.append(storage.create_volume(name=client.name(), size=1, snapshot_id=made[1].id))
        storage.wait_for_status(made[-1], interval=0.5, wait=WAIT_SECONDS)
    finally:
        for thing in reversed(made):
            delete = storage.delete_snapshot if thing is made[1] else storage.delete_volume
            delete(thing.id)
            storage.wait_for_delete(thing, interval=0.5, wait=WAIT_SECONDS)


def port(client: Client) -> None:
    """A port and a security group with a rule."""
    network = client.tenant.network
    group = network.create_security_group(name=client.name())
    network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22
    )
    made = network.create_port(network_id=client.network, name=client.name(), security_groups=[group.id])
    network.update_port(made, description="soaked")
    network.delete_port(made)
    network.delete_security_group(group)


def image(client: Client) -> None:
    """Upload, read back, delete."""
    made = client.tenant.image.create_image(
        name=client.name(), data=PAYLOAD, disk_format="raw", container_format="bare", validate_checksum=False
    )
    assert client.tenant.image.download_image(made.id).content == PAYLOAD
    client.tenant.image.delete_image(made.id)


def object_(client: Client) -> None:
    """A container with a few objects."""
    store = client.tenant.object_store
    container = client.name()
    store.create_container(container)
    names = [client.name() for _ in range(3)]
    for name in names:
        store.upload_object(container, name, data=PAYLOAD)
    assert store.download_object(names[0], container=container) == PAYLOAD
    for name in names:
        store.delete_object(name, container=container)
    store.delete_container(container)


def secret(client: Client) -> None:
    """Keep, read, forget."""
    keys = client.tenant.key_manager
    made = keys.create_secret(name=client.name(), payload="soaked", payload_content_type="text/plain")
    assert keys.get_secret(made.secret_id).payload == "soaked"
    keys.delete_secret(made.secret_id)


TURNS: tuple[Callable[[Client], None], ...] = (server, volume, port, image, object_, secret)


def connect() -> Connection:
    """A tenant's connection of its own."""
    import openstack

    from unterbau import reference

    config = openstack.config.OpenStackConfig(config_files=[str(reference.clouds_file(CLOUD))], load_envvars=False)
    return openstack.connection.Connection(config=config.get_one(cloud=CLOUD))


def locked_lines(log: Path) -> dict[str, int]:
    """Lines that tell of a locked database, by service, where there are any."""
    counts = {}
    for file in sorted(log.glob("*.log")):
        with file.open(encoding="utf-8", errors="replace") as lines:
            if count := sum(LOCKED in line for line in lines):
                counts[file.stem] = count
    return counts


def soak(clients: int, seconds: float) -> tuple[list[Client], dict[str, int]]:
    """Run all clients at once on a running cloud."""
    from unterbau import reference

    with connect() as tenant:
        network = tenant.network.create_network(name="soak")
        tenant.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/16")
        crew = [Client(number, connect(), network.id) for number in range(clients)]
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=one.run, args=(until,), name=f"client-{one.number}") for one in crew]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tenant.network.delete_network(network)
    return crew, locked_lines(reference.clouds_file(CLOUD).parent / "log")


def table(crew: list[Client]) -> list[list[str]]:
    """A row a kind: turns, median and 95th percentile in seconds."""
    rows = []
    for turn in TURNS:
        taken = sorted(t for client in crew for t in client.taken[turn.__name__])
        if not taken:
            rows.append([turn.__name__.rstrip("_"), "0", "", ""])
            continue
        middle, late = statistics.median(taken), taken[int(len(taken) * 0.95)]
        rows.append([turn.__name__.rstrip("_"), str(len(taken)), f"{middle:.1f}", f"{late:.1f}"])
    return rows


def report(crew: list[Client], locked: dict[str, int], seconds: float) -> int:
    """Print and publish; the exit code."""
    errors = [error for client in crew for error in client.errors]
    rows = table(crew)
    verdict = f'"{LOCKED}": {sum(locked.values())} lines in the logs; failed turns: {len(errors)}.'
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.soak` on {os.cpu_count()} cores: {len(crew)} "
        f"clients for {seconds:.0f} s. **{verdict}** A turn makes the thing, uses it and deletes it."
    )
    publish("soak", head, ("turn", "count", "median, s", "95 %, s"), rows)
    for line in ["  ".join(row) for row in rows] + errors + [f"{k}: {v} locked" for k, v in locked.items()] + [verdict]:
        print(line)
    return 1 if errors or locked else 0


def main() -> int:
    """Make a cloud in a directory of its own, soak it, remove it."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--keep", action="store_true")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as surroundings:
        if not chosen.keep:
            home = tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True)
            os.environ["XDG_DATA_HOME"] = surroundings.enter_context(home)
        from unterbau import reference

        if not chosen.keep:
            surroundings.callback(reference.wipe, CLOUD)
        reference.up(CLOUD, progress=print)
        return report(*soak(chosen.clients, chosen.seconds), chosen.seconds)


if __name__ == "__main__":
    sys.exit(main())
