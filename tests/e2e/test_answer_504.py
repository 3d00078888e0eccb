# SPDX-License-Identifier: Apache-2.0
"""A drill to a real cloud behind a proxy that answers writes with 504 and sends them on later.

What is on the clouds is counted by `inventory`, which uses openstacksdk and nothing of Unterbau.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import inventory
import pytest
import yaml
from latecomer import Late, Latecomer, latecomer

from unterbau import reference, wiring
from unterbau.cloud.openstack.session import find_session
from unterbau.reference import tenant as seed
from unterbau.switch import evidence
from unterbau.verdict import Outcome

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.long,
    pytest.mark.timeout(1500),
    # openstacksdk, with which `inventory` counts, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
SERVICES = ("network", "compute", "image", "block-storage", "object-store", "key-manager")


@pytest.fixture(scope="module")
def sides(two_clouds: tuple[str, str]) -> Iterator[tuple[Any, Any]]:
    """Connections to a planted source and an empty target."""
    source, target = (inventory.connect(n, reference.clouds_file(n)) for n in two_clouds)
    inventory.sweep(target)
    seed.plant(wiring.open_cloud(two_clouds[0]), now=datetime.now(UTC))
    yield source, target
    inventory.sweep(target)


class Once:
    """The first request that fits each pattern comes late."""

    def __init__(self, seconds: float, *patterns: str) -> None:
        self.seconds, self.left, self.lock = seconds, list(patterns), threading.Lock()

    def __call__(self, method: str, path: str) -> float | None:
        with self.lock:
            fit = next((p for p in self.left if re.search(p, f"{method} {path}")), None)
            if fit is not None:
                self.left.remove(fit)
        return self.seconds if fit is not None else None


def behind(proxy: Latecomer, name: str, home: Path) -> str:
    """The name of the cloud with the proxy before its services, in a clouds.yaml in `home`."""
    entry = yaml.safe_load(reference.clouds_file(name).read_text())["clouds"][name]
    session = find_session(name, [reference.clouds_file(name)])
    for service in SERVICES:
        entry[f"{service.replace('-', '_')}_endpoint_override"] = proxy.before(session.api(service).endpoint())
    entry["cacert"] = str(proxy.cacert)
    (home / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"behind": entry}}))
    return "behind"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    return tmp_path


def unterbau(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "unterbau", *arguments], capture_output=True, text=True, check=False)


def drilled(two_clouds: tuple[str, str], home: Path, late: Late, *options: str) -> tuple[Latecomer, Any, str]:
    """A drill to the target behind a proxy: the proxy, the checked bundle, what was told."""
    with latecomer(home, Path(yaml_cacert(two_clouds[1])), late) as proxy:
        done = unterbau("drill", two_clouds[0], behind(proxy, two_clouds[1], home), "--format", "json", *options)
    assert done.returncode in (1, 3), done.stderr[-3000:]
    told = json.loads(done.stdout)
    checked = evidence.check(Path(told["bundle"]).read_bytes())
    assert done.returncode == (1 if Outcome.FAILED in {v.outcome for v in checked.verdicts} else 3)
    return proxy, checked, done.stderr


def yaml_cacert(name: str) -> str:
    return str(yaml.safe_load(reference.clouds_file(name).read_text())["clouds"][name]["cacert"])


def test_writes_that_come_20_seconds_after_their_504_leave_nothing(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    before = [inventory.everything(side) for side in sides]
    late = Once(
        20, "POST .*/networks$", "POST .*/networks$", "POST .*/os-server-groups$", "POST .*/v1/secrets$", "POST .*/volumes$",
        "POST .*/address-groups$",
    )  # fmt: skip
    proxy, checked, told = drilled(two_clouds, home, late, "--late-writes", "60")
    assert len(proxy.sent_late) == 6, proxy.sent_late
    # A disk may come too late: the image that it was to be made from is tidied away when the next try has made it.
    refused = [(m, p, status) for m, p, status in proxy.sent_late if status // 100 != 2]
    assert [r for r in refused if not r[1].endswith("/volumes")] == []
    swept = [line for line in told.splitlines() if line.startswith("removed, made by a request that got no answer")]
    assert sum("network:" in line for line in swept) == 2, told
    assert [inventory.everything(side) for side in sides] == before
    assert Outcome.FAILED not in {v.outcome for v in checked.verdicts}
    closed = next(v for v in checked.verdicts if v.claim.id == "completeness closed target")
    assert closed.outcome is Outcome.HELD


def test_writes_that_come_later_than_the_wait_are_removed_or_told_and_it_is_not_said_that_all_held(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    """The wait is set to nothing: this is what a cloud does that takes longer than one waited."""
    before = [inventory.everything(side) for side in sides]
    late = Once(15, "POST .*/networks$", "POST .*/os-server-groups$")
    proxy, checked, _ = drilled(two_clouds, home, late, "--late-writes", "0")
    assert len(proxy.sent_late) == 2
    after = inventory.everything(sides[1])
    left = {kind: sorted(set(pairs) - set(before[1][kind])) for kind, pairs in after.items()}
    left = {kind: pairs for kind, pairs in left.items() if pairs}
    assert set(left) == {"server_group"}
    assert inventory.everything(sides[0]) == before[0]
    closed = next(v for v in checked.verdicts if v.claim.id == "completeness closed target")
    assert closed.outcome is Outcome.FAILED and left["server_group"][0][1] in closed.reason
