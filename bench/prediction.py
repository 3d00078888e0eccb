# SPDX-License-Identifier: Apache-2.0
"""Ten drills of other mixtures than those that the prediction knows. `python -m bench.prediction`

Between two embedded clouds, by the command of a user. Two drills teach (`TAUGHT`), then each of `HELD_OUT` is made: the
intervals are those of its plan; what it took is the drill's phase `move`, and the verifier's own begin and end. Writes its
section of bench/README.md, with the commit of the model. `--try` makes two tiny ones and publishes nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

from bench.cloud import yardstick
from bench.page import installed, publish

SOURCE, TARGET = "bench-time-a", "bench-time-b"
KIB, MIB = 1 << 10, 1 << 20
WAIT = timedelta(minutes=10)
MODEL = Path(__file__).parents[1] / "src/unterbau/switch/prediction.py"
AT_ONCE = 4
"""What is planted, or taken away, at the same time."""


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
    Mixture(small=90, large=(16, 64, 160), networks=4, groups=4, ports=10, volumes=4, secrets=8),
    Mixture(small=240, large=(32, 100), networks=3, groups=2, ports=6, volumes=2, secrets=4),
)
HELD_OUT = (
    Mixture(small=1200),
    Mixture(large=(500, 400, 400, 300, 300)),
    Mixture(networks=16, ports=70),
    Mixture(groups=22),
    Mixture(volumes=12),
    Mixture(secrets=80, small=95),
    Mixture(small=700, volumes=5),
    Mixture(large=(200, 120, 60), networks=9, ports=35),
    Mixture(small=300, groups=10, secrets=25),
    Mixture(small=180, large=(128, 48), networks=6, groups=5, ports=18, volumes=5, secrets=12),
)
TRIED = (Mixture(small=10, volumes=1, secrets=1, large=(16,)), Mixture(small=20, volumes=2, secrets=3, large=(8,)))


def plant(mixture: Mixture) -> list[list[str]]:
    """Make it on the source; the Refs, a list for each of the groups that are made one after the other."""
    from pydantic import SecretBytes

    from unterbau import wiring
    from unterbau.errors import Unreachable
    from unterbau.tenant import kinds as k

    cloud, marks = wiring.open_cloud(SOURCE), count()

    def ensure(wish: k.Resource) -> str:
        made = k.ref(wish.own_kind, cloud.ensure(wish, f"unterbau.bench.{next(marks):016x}"))
        cloud.unmark(cloud.settle(made, WAIT))
        return made

    def write(number: int, size: int) -> str:
        wish = k.StoredObject(id="-", name=f"o-{number:05}", container="box", size_bytes=size, etag="")
        block = os.urandom(min(size, MIB))
        cloud.write_object(wish, (block for _ in range(size // len(block))), f"unterbau.bench.{next(marks):016x}")
        there = cloud.read(k.ref(k.Kind.OBJECT, f"box/o-{number:05}"))
        assert there is not None
        cloud.unmark(there)
        return there.ref

    def hide(number: int) -> str:
        key = k.Secret(id="-", name=f"secret-{number}", content_type="application/octet-stream")
        made = ensure(key)
        for _ in range(3):  # a kept connection may be closed at that moment; a write is not sent again by itself
            with suppress(Unreachable):
                cloud.write_secret(k.id_of(made), key, SecretBytes(os.urandom(32)))
                break
        return made

    def all_of(work: Sequence[Callable[[], str]]) -> list[str]:
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return list(pool.map(lambda one: one(), work))

    networks = all_of([
        partial(ensure, k.Network(id="-", name=f"net-{n}")) for n in range(max(mixture.networks, bool(mixture.ports)))
    ])  # fmt: skip
    ids = [k.id_of(one) for one in networks]
    groups = all_of([partial(ensure, k.SecurityGroup(id="-", name=f"group-{n}")) for n in range(mixture.groups)])
    first: list[Callable[[], str]] = [
        partial(ensure, k.Subnet(id="-", name=f"sub-{n}", network_id=one, ip_version=4, cidr=f"10.{n}.0.0/24", gateway_ip=None))
        for n, one in enumerate(ids)
    ]  # fmt: skip
    first += [
        partial(ensure, k.SecurityGroupRule(
            id="-", security_group_id=k.id_of(group), direction="ingress", ethertype="IPv4", protocol="tcp",
            port_range_min=1000 + n, port_range_max=1000 + n, remote_ip_prefix="10.0.0.0/8",
        )) for group in groups for n in range(10)
    ]  # fmt: skip
    first += [
        partial(ensure, k.Volume(id="-", name=f"volume-{n}", status="", size_gib=1)) for n in range(mixture.volumes)
    ]
    first += [partial(hide, n) for n in range(mixture.secrets)]
    first += [partial(ensure, k.Container(id="-", name="box"))] if mixture.small or mixture.large else []
    then: list[Callable[[], str]] = [
        partial(ensure, k.Port(
            id="-", name=f"port-{n}", network_id=ids[n % len(ids)], mac_address=f"fa:16:3e:aa:00:{n:02x}"
        )) for n in range(mixture.ports)
    ]  # fmt: skip
    sizes = [KIB] * mixture.small + [size * MIB for size in mixture.large]
    then += [partial(write, n, size) for n, size in enumerate(sizes)]
    return [networks, groups, all_of(first), all_of(then)]


def clear(made: list[list[str]]) -> None:
    """Take it from the source again. Rules go with their groups."""
    from unterbau import wiring

    cloud = wiring.open_cloud(SOURCE)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for group in reversed(made):
            list(pool.map(lambda one: cloud.delete(one, WAIT), group))


@dataclass(frozen=True)
class Made:
    """One drill: what its plan predicted of a part of it (None: nothing), and what that took."""

    predicted: tuple[float, float] | None
    took: float

    @property
    def is_inside(self) -> bool:
        """Whether it lies in the interval."""
        return self.predicted is not None and self.predicted[0] <= self.took <= self.predicted[1]

    def row(self) -> list[str]:
        """For the table."""
        told = f"{self.predicted[0]:.1f} to {self.predicted[1]:.1f} s" if self.predicted else "not measured"
        return [told, f"{self.took:.1f} s", "yes" if self.is_inside else "no"]


def drill(mixture: Mixture) -> tuple[Made, Made]:
    """Move and verification of one."""
    from unterbau.switch import folders
    from unterbau.switch.drill import read_plan
    from unterbau.switch.plan import Interval
    from unterbau.switch.prediction import Looked

    began = time.monotonic()
    made = plant(mixture)
    planted = time.monotonic() - began
    argv = [sys.executable, "-m", "unterbau", "drill", SOURCE, TARGET, "--format", "json", "--quiet"]
    ended = subprocess.run(argv, env=installed(), capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 3):  # what was not shown is no failure
        raise SystemExit(f"{' '.join(argv)}: {ended.returncode}\n{ended.stderr[-2000:]}")
    folder, state = folders.drills()[0]
    phase = {p.name: (p.ended - p.started).total_seconds() for p in state.phases}
    looked = Looked.model_validate_json(folder.looked.read_bytes())
    clear(made)
    print(f"{mixture}: planted in {planted:.0f} s, all {time.monotonic() - began:.0f} s, {phase}", flush=True)
    told = read_plan(folder.plan).prediction

    def of(one: Interval | None) -> tuple[float, float] | None:
        return (one.lower_seconds, one.upper_seconds) if one is not None and one.is_measured else None

    took = (looked.ended - looked.began).total_seconds()
    return Made(of(told.move if told else None), phase["move"]), Made(of(told.verification if told else None), took)


def rows(taught: Sequence[Mixture], held_out: Sequence[Mixture]) -> Iterator[list[str]]:
    """Teach, then one row a held-out drill."""
    for mixture in taught:
        print(f"taught: {[made.took for made in drill(mixture)]}", flush=True)
    for mixture in held_out:
        before, made, after = yardstick(), drill(mixture), yardstick()
        row = [str(mixture), *made[0].row(), *made[1].row(), f"{before:.2f}, {after:.2f} s"]
        print(" | ".join(row), flush=True)
        yield row


def model() -> str:
    """The commit of the model that is measured."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(MODEL.parent), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    changed = git("status", "--porcelain", "--", str(MODEL))
    return git("log", "-1", "--format=%h of %cs", "--", str(MODEL)) + (", CHANGED SINCE" if changed else "")


def main() -> None:
    """Measure and publish; the clouds are removed at the end."""
    tried = sys.argv[1:] == ["--try"]
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as home:
        os.environ["XDG_DATA_HOME"], os.environ["XDG_STATE_HOME"] = f"{home}/data", f"{home}/state"
        from unterbau import reference

        began = time.monotonic()
        try:
            for cloud in (SOURCE, TARGET):
                reference.up(cloud, progress=print)
            table = list(rows(TRIED[:1], TRIED[1:]) if tried else rows(TAUGHT, HELD_OUT))
        finally:
            for cloud in (SOURCE, TARGET):
                reference.wipe(cloud)
    moves, looks = (sum(row[at] == "yes" for row in table) for at in (3, 6))
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.prediction` on {os.cpu_count()} cores in "
        f"{(time.monotonic() - began) / 60:.0f} min: two drills taught, the {len(table)} below were predicted by their plans and then made. "
        f"**{moves} moves and {looks} verifications lie in their interval**, whose upper end is twice its lower. The model is "
        f"that of commit {model()}. Last column: ten million additions in Python before and after."
    )
    print(head)
    if not tried:
        columns = (
            "tenant",
            "move, predicted",
            "took",
            "within",
            "verification, predicted",
            "took",
            "within",
            "machine",
        )
        publish("prediction", head, columns, table)


if __name__ == "__main__":
    main()
