# SPDX-License-Identifier: Apache-2.0
"""A live cloud as a stack: its services are recognised, its verdicts are those of the rules, nothing is dropped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cloud, pytest.mark.filterwarnings("ignore")]


def unterbau(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "unterbau", *arguments], capture_output=True, text=True, check=False)


def test_the_services_of_a_live_cloud_are_recognised_and_judged(two_clouds: tuple[str, str], tmp_path: Path) -> None:
    page, bundle = tmp_path / "stack.html", tmp_path / "stack.unterbau"
    done = unterbau(
        "judge", f"cloud:{two_clouds[1]}-reader", "--format", "json", "--html", str(page), "--bundle", str(bundle)
    )
    assert done.returncode in (1, 3), done.stderr
    told = json.loads(done.stdout)
    found = {g["technology"] for g in told["groups"] if g["technology"]}
    assert {"keystone", "nova", "neutron", "cinder", "glance", "placement", "swift", "barbican"} <= found
    covered = {c["name"] for c in told["coverage"] if c["kind"] == "function" and c["outcome"] == "held"}
    assert {"compute", "network", "storage", "identity", "secrets"} <= covered
    assert len(told["parts"]) == sum(len(g["parts"]) for g in told["groups"]), "a part was dropped"
    assert "OpenStack Keystone" in page.read_text()
    assert unterbau("evidence", "check", str(bundle)).returncode == done.returncode


def test_an_unknown_cloud_is_named_with_its_nearest() -> None:
    done = unterbau("judge", "cloud:nirgends")
    assert done.returncode == 2 and "nirgends" in done.stderr
