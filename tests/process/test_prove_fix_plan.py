# SPDX-License-Identifier: Apache-2.0
"""The fix plan: one command an object, nothing that a name could smuggle in, comments where only a person knows."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import yaml
from prove_world import MUTATIONS, NOW, flavor, good_items, inventory

from unterbau.prove.fix_plan import render
from unterbau.prove.proof import Question, prove


def plan(items: dict[str, list[dict[str, Any]]], version: str = "v5.1") -> dict[str, str]:
    return render(prove(inventory(items), Question(version=version, at=NOW)), cloud="probe-admin")


def commands(script: str) -> list[list[str]]:
    return [shlex.split(line) for line in script.splitlines() if line.startswith("openstack ")]


def without(section: str, *names: str) -> dict[str, list[dict[str, Any]]]:
    items = good_items()
    items[section] = [i for i in items[section] if i["name"] not in names]
    return items


def test_a_good_cloud_needs_nothing() -> None:
    assert plan(good_items()) == {}


def test_a_missing_flavor() -> None:
    found = plan(without("flavors", "SCS-2V-4-20s"))
    (line,) = commands(found["fix.sh"])
    assert line[:3] == ["openstack", "flavor", "create"]
    assert line[-1] == "SCS-2V-4-20s"
    assert "scs:disk0-type=ssd" in line
    (defined,) = yaml.safe_load(found["flavors.yaml"])["mandatory"]
    assert (defined["cpus"], defined["ram"], defined["disk"]) == (2, 4096, 20)
    assert defined["scs:name-v2"] == "SCS-2V-4-20s"


def test_missing_advice_stands_apart() -> None:
    found = plan(without("flavors", "SCS-16V-128"))
    assert "fix.sh" not in found
    assert commands(found["advice.sh"])
    assert yaml.safe_load(found["flavors.yaml"])["recommended"][0]["name"] == "SCS-16V-128"


def test_findings_on_one_image_are_one_command() -> None:
    items = good_items()
    for key in ("architecture", "hw_disk_bus"):
        del items["images"][0][key]
    items["images"][0]["min_ram"] = 0
    found = commands(plan(items)["fix.sh"])
    assert len([line for line in found if "id-Ubuntu 24.04" in line]) == 1


def test_a_flavor_with_wrong_figures_is_made_anew_once() -> None:
    items = good_items()
    wrong = next(f for f in items["flavors"] if f["name"] == "SCS-2V-4")
    wrong["vcpus"], wrong["extra_specs"]["aggregate:x"] = 1, "kept"
    found = commands(plan(items)["fix.sh"])
    assert [line[1:3] for line in found] == [["flavor", "delete"], ["flavor", "create"]]
    assert found[1][found[1].index("--vcpus") + 1] == "2"
    assert "aggregate:x=kept" in found[1]


def test_a_missing_image_comes_from_a_listed_source() -> None:
    found = plan(without("images", "Ubuntu 24.04"))
    assert (
        "https://cloud-images.ubuntu.com/releases/noble/release/ubuntu-24.04-server-cloudimg-amd64.img"
        in found["fix.sh"]
    )
    (image,) = [i for i in yaml.safe_load(found["images.yaml"])["images"] if i["name"] == "Ubuntu 24.04"]
    assert image["meta"]["os_version"] == "24.04"


def test_default_rules() -> None:
    items = good_items()
    items["default_security_group_rules"] = [
        r for r in items["default_security_group_rules"] if r["id"] != "out-6"
    ] + [good_items()["default_security_group_rules"][0] | {"id": "bad", "direction": "ingress"}]  # fmt: skip
    found = plan(items)
    assert ["openstack", "default", "security", "group", "rule", "delete", "bad"] in commands(found["fix.sh"])
    assert any("IPv6" in line for line in commands(found["advice.sh"]))


def test_names_cannot_run_commands(tmp_path: Path) -> None:
    evil = "SCS-2V-4_$(touch owned)\n;touch owned`touch owned`'"
    items = good_items()
    items["flavors"].append(flavor(evil, 2, 4096, 0))
    items["images"][0] |= {"id": "x; touch owned", "name": evil, "architecture": ""}
    items["volume_types"][1] |= {"description": "[scs:replicated, encrypted] $(touch owned)"}
    for name, script in plan(items).items():
        if name.endswith(".sh"):
            (tmp_path / "openstack").write_text("#!/bin/sh\nexit 0\n")
            (tmp_path / "curl").write_text("#!/bin/sh\nexit 0\n")
            for tool in ("openstack", "curl"):
                (tmp_path / tool).chmod(0o755)
            (tmp_path / name).write_text(script)
            subprocess.run(
                ["/bin/bash", str(tmp_path / name)], cwd=tmp_path, check=True, timeout=20,
                env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            )  # fmt: skip
    assert not (tmp_path / "owned").exists()


def test_every_mutation_gives_scripts_that_the_shell_reads() -> None:
    scripts = []
    for mutation in MUTATIONS:
        for version in ("v5.1", "v6"):
            found = plan(mutation.apply(good_items()), version)
            scripts += [contents for name, contents in found.items() if name.endswith(".sh")]
            for name, contents in found.items():
                assert name.endswith(".sh") or yaml.safe_load(contents)
    assert len(scripts) > len(MUTATIONS) / 2
    subprocess.run(["/bin/bash", "-n"], input="".join(scripts).encode(), check=True, timeout=20)
