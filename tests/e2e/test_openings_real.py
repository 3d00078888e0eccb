# SPDX-License-Identifier: Apache-2.0
"""Nothing that was closed opens, by the command between two real clouds, with tenant rights on both.

The source stands on a second external network, `intern-wan`, with SNAT switched off by its administrator: the case
in which a peer's move landed on the Internet (CloudVE/cloudbridge#104, CloudFerry#488).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inventory
import pytest
import yaml

from unterbau import reference
from unterbau.switch import evidence, folders, planning
from unterbau.verdict import Outcome

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1500), pytest.mark.filterwarnings("ignore")]
WAN = "intern-wan"
CHOICE = f"external:{WAN}=public"


@pytest.fixture(scope="module")
def sides(two_clouds: tuple[str, str]) -> Iterator[tuple[Any, Any]]:
    """A small tenant on `intern-wan`, and an empty target; both are empty again at the end."""
    source, target = (inventory.connect(n, reference.clouds_file(n)) for n in two_clouds)
    admin = inventory.connect(f"{two_clouds[0]}-admin", reference.clouds_file(two_clouds[0]))
    for side in (source, target):
        inventory.sweep(side)
    wan = admin.network.create_network(name=WAN, is_router_external=True)
    try:
        admin.network.create_subnet(
            network_id=wan.id, name=WAN, ip_version=4, cidr="192.168.77.0/24", enable_dhcp=False
        )
        _plant(source, admin, wan.id)
        yield source, target
    finally:
        for side in (source, target):
            inventory.sweep(side)
        admin.network.delete_network(wan.id)


def _plant(source: Any, admin: Any, wan: str) -> None:
    inner = source.network.create_network(name="inner")
    subnet = source.network.create_subnet(network_id=inner.id, name="inner-v4", ip_version=4, cidr="10.20.0.0/24")
    router = source.network.create_router(name="edge", external_gateway_info={"network_id": wan})
    source.network.add_interface_to_router(router, subnet_id=subnet.id)
    admin.network.update_router(router.id, external_gateway_info={"network_id": wan, "enable_snat": False})
    group = source.network.create_security_group(name="db")
    source.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=22,
        port_range_max=22, remote_ip_prefix="10.20.0.0/24",
    )  # fmt: skip
    port = source.network.create_port(
        network_id=inner.id, name="app", security_groups=[group.id],
        fixed_ips=[{"subnet_id": subnet.id, "ip_address": "10.20.0.5"}],
    )  # fmt: skip
    source.network.create_ip(floating_network_id=wan, port_id=port.id, description="app")
    source.object_store.put("/akten", headers={"X-Container-Read": f"{source.current_project_id}:*"})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def unterbau(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "unterbau", *arguments], capture_output=True, text=True, check=False)


def rest(side: Any) -> set[str]:
    """Kinds of which the project has something, beside the group that every project has."""
    return {k for k, pairs in inventory.everything(side).items() if pairs} - {"security_group", "security_group_rule"}


def failed(done: subprocess.CompletedProcess[str], kind: str) -> list[str]:
    return [v["claim"]["text"]["text"] for v in json.loads(done.stdout)["verdicts"]
            if v["outcome"] == "failed" and v["claim"]["kind"] == kind]  # fmt: skip


def test_another_external_network_is_left_until_it_is_chosen_and_shut_until_it_is_allowed(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    _, target = sides
    before = rest(target)
    plain = unterbau("plan", *two_clouds, "--format", "json")
    assert plain.returncode == 3, plain.stderr
    made = json.loads(plain.stdout)
    assert "openings" not in made and f"--map external:{WAN}=NAME" in plain.stdout
    assert [e["fate"] for e in made["entries"] if e["ref"].startswith("floating_ip:")] == ["left"]

    file = home / "plan.yaml"
    chosen = unterbau("plan", *two_clouds, "--map", CHOICE, "-o", str(file), "--format", "json")
    assert chosen.returncode == 1, chosen.stderr
    ids = {o["kind"]: o["id"] for o in json.loads(chosen.stdout)["openings"]}
    assert set(ids) == {"external gateways", "SNAT", "public addresses"}
    for words in ([], ["--allow-opening", ids["SNAT"]]):
        refused = unterbau("move", str(file), *words)
        assert refused.returncode == 2 and ids["external gateways"] in refused.stderr, refused.stderr
    typo = unterbau("move", str(file), "--allow-opening", "snat-0000000000")
    assert typo.returncode == 2 and all(i in typo.stderr for i in ids.values())
    assert rest(target) == before, "something was written before it was allowed"

    allowed = [w for i in ids.values() for w in ("--allow-opening", i)]
    moved = unterbau("move", str(file), *allowed)
    assert moved.returncode == 0, moved.stderr
    run = made["run"]
    kept = folders.folder(run).plan
    verified = unterbau("verify", *two_clouds, "--plan", str(kept), "--format", "json", "-q")
    assert verified.returncode in (0, 3) and failed(verified, "opening") == [], verified.stdout
    told = [v for v in json.loads(verified.stdout)["verdicts"] if v["claim"]["id"] == f"opening {ids['SNAT']}"]
    assert [(v["outcome"], v["reason"]["text"]) for v in told] == [
        ("held", f"opened, as allowed by name: {ids['SNAT']}")
    ]
    for words in (["--plan", str(file)], []):
        bare = unterbau("verify", *two_clouds, *words, "--format", "json", "-q")
        assert bare.returncode == 1 and any(
            "leads to the external network public" in t for t in failed(bare, "opening")
        )
    assert unterbau("close", run, "--target").returncode == 0
    assert rest(target) == before


def test_a_drill_takes_what_plan_move_and_verify_take(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    """One command with a choice and its words; the words stand in the bundle and in the report."""
    files = {o: home / f"{o.strip('-')}.txt" for o in ("--plan-output", "--output", "--report")}
    options = [w for option, path in files.items() for w in (option, str(path))]
    refused = unterbau("drill", *two_clouds, "--map", CHOICE, *options)
    assert refused.returncode == 2 and "--allow-opening" in refused.stderr
    plan = planning.load(files["--plan-output"].read_text())
    words = [w for o in plan.openings for w in ("--allow-opening", o.id)]
    assert len(words) == 6
    done = unterbau("drill", *two_clouds, "--map", CHOICE, *words, *options, "--all", "-q")
    assert done.returncode in (0, 3), done.stderr
    assert "router edge leads to the external network public" in done.stdout and "held" in done.stdout
    assert "What is open on the target" in files["--report"].read_text()
    assert {v["claim"]["kind"] for v in json.loads(files["--output"].read_text())["verdicts"]} >= {
        "opening",
        "structure",
    }
    bundle = next(home.rglob("*.unterbau"))
    checked = evidence.check(bundle.read_bytes())
    assert checked.bundle.plan.allowed_openings == tuple(o.id for o in plan.openings)
    assert f"--map {CHOICE}" in checked.bundle.context.command and words[1] in checked.bundle.context.command
    assert Outcome.FAILED not in {v.outcome for v in checked.verdicts}
    checked_again = unterbau("evidence", "check", str(bundle))
    assert checked_again.returncode == 3 and "allowed by name" in checked_again.stdout


def _edited(text: str) -> str:
    """By hand: the database for everybody, and the files too."""
    plain = yaml.safe_load(text)
    for entry in plain["entries"]:
        if entry["name"] == "akten":
            entry |= {"fate": "carried, changed", "changes": [{"field": "read_acl", "to": ".r:*", "why": "by hand"}]}
        if entry["ref"].startswith("security_group_rule:") and "stands_in" not in entry and entry["ref"] == plain["db"]:
            new = {"port_range_min": 5432, "port_range_max": 5432, "remote_ip_prefix": None}
            entry |= {
                "fate": "carried, changed",
                "changes": [{"field": f, "to": v, "why": "by hand"} for f, v in new.items()],
            }
    del plain["db"]
    return yaml.safe_dump(plain)


def test_an_edited_plan_is_refused_and_a_target_that_is_as_it_says_fails(
    two_clouds: tuple[str, str], sides: tuple[Any, Any], home: Path
) -> None:
    source, target = sides
    file, edited = home / "plan.yaml", home / "edited.yaml"
    planned = unterbau("plan", *two_clouds, "-o", str(file), "--format", "json")
    ours = next(r for r in source.network.security_group_rules(direction="ingress", protocol="tcp"))
    edited.write_text(_edited(f"{file.read_text()}\ndb: security_group_rule:{ours.id}\n"))
    for command in (["move", str(edited)], ["drill", *two_clouds, "--plan", str(edited)]):
        refused = unterbau(*command)
        assert refused.returncode == 2, refused.stderr
        assert "tcp 5432 from anywhere (IPv4)" in refused.stderr and "container akten is open" in refused.stderr

    assert unterbau("move", str(file)).returncode == 0
    group = target.network.find_security_group("db")
    rule = next(target.network.security_group_rules(security_group_id=group.id, direction="ingress"))
    target.network.delete_security_group_rule(rule)
    target.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=5432,
        port_range_max=5432,
    )  # fmt: skip
    target.object_store.post("/akten", headers={"X-Container-Read": ".r:*"})
    verified = unterbau("verify", *two_clouds, "--plan", str(edited), "--format", "json", "-q")
    assert verified.returncode == 1, verified.stderr
    assert failed(verified, "structure") == [] and failed(verified, "completeness") == [], "they take the plan's word"
    told = " ".join(failed(verified, "opening"))
    assert "tcp 5432 from anywhere (IPv4) reaches port app (10.20.0.5)" in told
    assert "container akten is open to reading by everybody (.r:*)" in told

    shared = target.network.create_rbac_policy(
        object_type="network", object_id=target.network.find_network("inner").id, action="access_as_shared",
        target_project_id="0" * 32,
    )  # fmt: skip
    seen = unterbau("verify", *two_clouds, "--plan", str(file), "--format", "json", "-q")
    assert any(f"network inner is shared: with {'0' * 32}" in t for t in failed(seen, "opening")), seen.stdout[-3000:]
    target.network.delete_rbac_policy(shared)
    assert unterbau("close", json.loads(planned.stdout)["run"], "--target").returncode == 0
