# SPDX-License-Identifier: Apache-2.0
"""Ten moves of other mixtures than those that the prediction knows. `python -m bench.prediction`

Between two embedded clouds, by the commands of a user. Two moves teach (`TAUGHT`), then each of `HELD_OUT` is planned, moved
and taken back; the interval is that of its plan, what it took is from its first write to its last. Writes its section of
bench/README.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.page import installed, publish

SOURCE, TARGET = "bench-time-a", "bench-time-b"
KIB, MIB = 1 << 10, 1 << 20
WAIT = timedelta(minutes=10)


@dataclass(frozen=True)
class Mixture:
    """How much of what a tenant has: small objects (1 KiB), large ones (MiB of each), networks with a subnet, groups of ten
    rules, ports, volumes of 1 GiB, keys.
    """

    small: int = 0
    large: tuple[int, ...] = ()
    networks: int = 0
    groups: int = 0
    ports: int = 0
    volumes: int = 0
    secrets: int = 0

    def __str__(self) -> str:
        told = {"objects of 1 KiB": self.small, "networks": self.networks, "groups of 10 rules": self.groups,
                "ports": self.ports, "volumes": self.volumes, "secrets": self.secrets}  # fmt: skip
        large = f"objects of {', '.join(map(str, self.large))} MiB" if self.large else ""
        return ", ".join([f"{n} {what}" for what, n in told.items() if n] + ([large] if large else []))


TAUGHT = (
    Mixture(small=60, large=(16, 64, 128), networks=4, groups=3, ports=8, volumes=3, secrets=4),
    Mixture(small=150, large=(32,), networks=2, groups=2, ports=4, volumes=1, secrets=2),
)
HELD_OUT = (
    Mixture(small=300),
    Mixture(large=(150, 150, 200)),
    Mixture(networks=12, ports=40),
    Mixture(groups=12),
    Mixture(volumes=6),
    Mixture(secrets=25, small=50),
    Mixture(small=200, volumes=3),
    Mixture(large=(100, 20, 20), networks=6, ports=10),
    Mixture(small=100, groups=6, secrets=10),
    Mixture(small=80, large=(64, 64), networks=5, groups=4, ports=12, volumes=4, secrets=6),
)


def plant(mixture: Mixture) -> list[str]:
    """Make it on the source; the Refs, in the order of their making."""
    from pydantic import SecretBytes

    from unterbau import wiring
    from unterbau.errors import Unreachable
    from unterbau.tenant import kinds as k

    cloud, made = wiring.open_cloud(SOURCE), list[str]()

    def ensure(wish: k.Resource) -> str:
        marker = f"unterbau.bench.{len(made):016x}"
        id_ = cloud.ensure(wish, marker)
        made.append(k.ref(wish.own_kind, id_))
        there = cloud.settle(made[-1], WAIT)
        cloud.unmark(there)
        return id_

    networks = []
    for number in range(max(mixture.networks, 1 if mixture.ports else 0)):
        networks.append(ensure(k.Network(id="-", name=f"net-{number}")))
        ensure(k.Subnet(id="-", name=f"sub-{number}", network_id=networks[-1], ip_version=4, cidr=f"10.{number}.0.0/24", gateway_ip=None))  # fmt: skip
    for number in range(mixture.ports):
        ensure(k.Port(id="-", name=f"port-{number}", network_id=networks[number % len(networks)], mac_address=f"fa:16:3e:aa:00:{number:02x}"))  # fmt: skip
    for number in range(mixture.groups):
        group = ensure(k.SecurityGroup(id="-", name=f"group-{number}"))
        for port in range(10):
            ensure(k.SecurityGroupRule(id="-", security_group_id=group, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=1000 + port, port_range_max=1000 + port, remote_ip_prefix="10.0.0.0/8"))  # fmt: skip
    for number in range(mixture.volumes):
        ensure(k.Volume(id="-", name=f"volume-{number}", status="", size_gib=1))
    if mixture.small or mixture.large:
        ensure(k.Container(id="-", name="box"))
    sizes = [KIB] * mixture.small + [size * MIB for size in mixture.large]
    for number, size in enumerate(sizes):
        wish = k.StoredObject(id="-", name=f"o-{number:05}", container="box", size_bytes=size, etag="")
        block = os.urandom(min(size, MIB))
        cloud.write_object(wish, (block for _ in range(size // len(block))), f"unterbau.bench.{len(made):016x}")
        made.append(k.ref(k.Kind.OBJECT, f"box/o-{number:05}"))
        there = cloud.read(made[-1])
        assert there is not None
        cloud.unmark(there)
    for number in range(mixture.secrets):
        key = k.Secret(id="-", name=f"secret-{number}", content_type="application/octet-stream")  # fmt: skip
        id_ = ensure(key)
        for _ in range(
            3
        ):  # a connection that was kept may be closed at that moment; a write is not sent again by itself
            with suppress(Unreachable):
                cloud.write_secret(id_, key, SecretBytes(os.urandom(32)))
                break
    return made


def clear(made: list[str]) -> None:
    """Take it from the source again."""
    from unterbau import wiring

    cloud = wiring.open_cloud(SOURCE)
    for reference in reversed(made):
        cloud.delete(reference, WAIT)


def command(*arguments: str) -> dict[str, object]:
    """The JSON of one of our commands; what was not shown is no failure."""
    argv = [sys.executable, "-m", "unterbau", *arguments, "--format", "json", "--quiet"]
    ended = subprocess.run(argv, env=installed(), capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(argv)}: {ended.returncode}\n{ended.stderr[-2000:]}")
    found: dict[str, object] = json.loads(ended.stdout)
    return found


def move(mixture: Mixture) -> tuple[dict[str, object] | None, float]:
    """One move: what its plan predicted, and what it took."""
    from unterbau.saga import timeline
    from unterbau.switch import folders

    made = plant(mixture)
    with tempfile.TemporaryDirectory() as place:
        path = f"{place}/plan.yaml"
        planned = command("plan", SOURCE, TARGET, "--output", path)
        command("move", path)
    run = str(planned["run"])
    events = [at for at, kind, _ in timeline(folders.folder(run).journal) if kind in ("intended", "done")]
    seconds = (max(events) - min(events)).total_seconds()
    command("close", run, "--target")
    clear(made)
    told = planned.get("prediction")
    return (told if isinstance(told, dict) else None), seconds


def rows() -> Iterator[list[str]]:
    """Teach, then one row a held-out move."""
    for mixture in TAUGHT:
        print(f"taught: {mixture}: {move(mixture)[1]:.1f} s", flush=True)
    for mixture in HELD_OUT:
        told, took = move(mixture)
        assert told is not None, "no prediction"
        lower, upper = float(str(told["lower_seconds"])), float(str(told["upper_seconds"]))
        inside = "yes" if lower <= took <= upper else "no"
        print(f"{mixture}: {lower:.1f} to {upper:.1f}, took {took:.1f}: {inside}", flush=True)
        yield [str(mixture), f"{lower:.1f} to {upper:.1f} s", f"{took:.1f} s", inside]


def main() -> None:
    """Measure and publish; the clouds are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as home:
        os.environ["XDG_DATA_HOME"], os.environ["XDG_STATE_HOME"] = f"{home}/data", f"{home}/state"
        from unterbau import reference

        try:
            for cloud in (SOURCE, TARGET):
                reference.up(cloud, progress=print)
            table = list(rows())
        finally:
            for cloud in (SOURCE, TARGET):
                reference.wipe(cloud)
    inside = sum(row[-1] == "yes" for row in table)
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.prediction` on {os.cpu_count()} cores: two moves taught, "
        f"the ten below were predicted by their plans and then made; {inside} of 10 lie in their interval."
    )
    publish("prediction", head, ("tenant", "predicted", "took", "in the interval"), table)


if __name__ == "__main__":
    main()
