# SPDX-License-Identifier: Apache-2.0
"""A drill between two clouds with guests: the application answers on the target, by itself, and a planted fault is found.

Needs root and the packages of `--with guests,ovn`; says so where it does not run. At most two guests live at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import able
import openstack
import pytest
from openstack.connection import Connection
from visiting import WAIT, page

from unterbau import reference
from unterbau.reference import extras

pytestmark = [
    pytest.mark.timeout(1800),
    # openstacksdk, which asks here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]

SOURCE, TARGET = "test-gast-quelle", "test-gast-ziel"


@pytest.fixture(scope="module")
def clouds() -> Iterator[tuple[str, str]]:
    """Two clouds with guests; the tenant stands in the first."""
    if why := able.why_not():
        pytest.skip(f"DID NOT RUN: no drill between clouds with guests, because {why}")
    for name in (SOURCE, TARGET):
        reference.up(name, progress=lambda line: None, with_=extras.ALL)
    yield SOURCE, TARGET
    for name in (SOURCE, TARGET):
        reference.wipe(name)


def _tenant(name: str) -> Connection:
    config = openstack.config.OpenStackConfig(config_files=[str(reference.clouds_file(name))], load_envvars=False)
    return Connection(config=config.get_one(cloud=name))


def _unterbau(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "XDG_STATE_HOME": str(state)}
    return subprocess.run(
        [sys.executable, "-m", "unterbau", *arguments], capture_output=True, text=True, check=False, env=environ,
    )  # fmt: skip


def _address(tenant: Connection) -> str:
    return str(next(iter(tenant.network.ips())).floating_ip_address)


def _service(path: Path) -> dict[str, str]:
    """Outcome of each claim on service, by the claim's id."""
    verdicts: list[Any] = json.loads(path.read_text(encoding="utf-8"))["verdicts"]
    return {v["claim"]["id"]: v["outcome"] for v in verdicts if v["claim"]["kind"] == "service"}


def test_the_application_answers_on_the_target_by_itself_and_faults_are_found(
    clouds: tuple[str, str], tmp_path: Path
) -> None:
    source, target = clouds
    plan, verdicts, answers = (tmp_path / name for name in ("plan.yaml", "verdicts.json", "answers.json"))
    for _ in ("first", "again"):
        planted = _unterbau(tmp_path, "cloud", "seed", source)
        assert planted.returncode == 0, planted.stderr
    with _tenant(source) as old, _tenant(target) as new:
        there = page(_address(old), "41;Akte 41;nach dem Start")
        assert "41;Akte 41;nach dem Start" in there and there[-1].startswith("rows: 41,")

        done = _unterbau(
            tmp_path, "drill", source, target, "--probe", "--keep", "--plan-output", str(plan), "-o", str(verdicts)
        )
        assert done.returncode in (0, 3), done.stdout + done.stderr
        assert "The application answers on the target as it did on the source." in done.stdout
        told = _service(verdicts)
        assert set(told.values()) == {"held"} and any("closed-81" in claim for claim in told), told

        asked = _unterbau(tmp_path, "probe", source, "--plan", str(plan), "-o", str(answers))
        assert asked.returncode in (0, 3), asked.stdout + asked.stderr
        server = next(iter(old.compute.servers()))
        old.compute.stop_server(server)
        old.compute.wait_for_server(server, status="SHUTOFF", wait=WAIT)
        assert page(_address(new)) == there, "with the source stopped: rows that were written after boot included"

        group = next(g for g in new.network.security_groups() if g.name == "fv-web")
        new.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp",
            port_range_min=81, port_range_max=81,
        )  # fmt: skip
        page(_address(new), "42;Akte 42;nur am Ziel")
        _unterbau(
            tmp_path, "verify", source, target, "--plan", str(plan), "--answers", str(answers), "-o", str(verdicts),
            "--probe-wait", "5",
        )  # fmt: skip
        told = _service(verdicts)
        assert told["service"] == "failed"
        assert {"service fv-web-1-http-80", "service fv-web-1-closed-81"} <= {
            k for k, v in told.items() if v == "failed"
        }


def test_a_cut_over_stops_the_source_and_how_long_nobody_answered_is_measured(
    clouds: tuple[str, str], tmp_path: Path
) -> None:
    source, target = clouds
    reference.wipe(target)
    reference.up(target, progress=lambda line: None, with_=extras.ALL)
    planted = _unterbau(tmp_path, "cloud", "seed", source)
    assert planted.returncode == 0, planted.stderr
    plan = tmp_path / "plan.yaml"
    with _tenant(source) as old, _tenant(target) as new:
        server = next(iter(old.compute.servers()))
        if server.status != "ACTIVE":
            old.compute.start_server(server)
        there = page(_address(old), "43;Akte 43;vor dem Umzug")
        done = _unterbau(tmp_path, "plan", source, target, "--probe", "-o", str(plan))
        assert done.returncode in (0, 3), done.stdout + done.stderr
        done = _unterbau(tmp_path, "move", str(plan), "--pre-copy")
        assert done.returncode == 0, done.stdout + done.stderr
        assert page(_address(old)) == there, "the source serves while it is copied"
        old.object_store.create_object("fv-akten", "nachgereicht", data=b"meanwhile")
        done = _unterbau(tmp_path, "move", str(plan), "--cut-over", "--probe-wait", str(WAIT))
        assert done.returncode == 0, done.stdout + done.stderr
        assert old.compute.get_server(server).status == "SHUTOFF"
        assert page(_address(new)) == there, "every row that was written before the stop"
        assert new.object_store.download_object("nachgereicht", container="fv-akten") == b"meanwhile"
    (seen,) = (json.loads(p.read_text()) for p in tmp_path.glob("unterbau/drills/*/outage.json"))
    (course,) = seen["courses"]
    assert course["source"]["last"] < course["target"]["first"], seen
    done = _unterbau(tmp_path, "drill", source, target, "--keep")
    assert done.returncode in (0, 3), done.stdout + done.stderr
    (report,) = (p.read_text() for p in tmp_path.glob("unterbau/drills/*/report.html"))
    assert "From outside nobody was heard for" in report and "the boot of the target" in report
