# SPDX-License-Identifier: Apache-2.0
"""A drill between two clouds with guests: the application answers on the target, by itself, and planted faults are found.

Needs root, for the time that it takes, and the packages of `--with guests,ovn`; says so where it does not run. At most two guests live at once.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import able
import pytest
from drilling import command, emptied, environ, planted, unterbau, up
from openstack.connection import Connection
from traces import Traces, as_before, traces
from visiting import WAIT, page, tenant

from unterbau import reference, wiring
from unterbau.reference import extras, guest_image, guests, plant
from unterbau.saga import JsonObject, peek

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(1800),
    # openstacksdk, which asks here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]

SOURCE, TARGET = "test-gast-quelle", "test-gast-ziel"
ROWS_VOLUME = "fv-daten"
MUTE = "#!/bin/sh\nrm /etc/local.d/fachverfahren.start\n"
"""User data of a guest whose root volume is the right one: it serves nothing."""
PAGE, CLOSED = "service fv-web-1-http-80", "service fv-web-1-closed-81"


@pytest.fixture(scope="module")
def before() -> Traces:
    """This machine without the two clouds."""
    if why := able.why_no_drill():
        pytest.skip(f"DID NOT RUN: no drill between clouds with guests, because {why}")
    return traces(plant.root(SOURCE), plant.root(TARGET))


@pytest.fixture(scope="module")
def clouds(before: Traces) -> Iterator[tuple[str, str]]:
    """Two clouds with guests; the tenant stands in the first."""
    for name in (SOURCE, TARGET):
        up(name)
    yield SOURCE, TARGET
    for name in (SOURCE, TARGET):
        if reference.exists(name):
            reference.wipe(name)


def _outcomes(path: Path) -> dict[str, str]:
    """Outcome of each claim, by the claim's id."""
    verdicts: list[Any] = json.loads(path.read_text(encoding="utf-8"))["verdicts"]
    return {v["claim"]["id"]: v["outcome"] for v in verdicts}


def _service(path: Path) -> dict[str, str]:
    """Those of the claims on service."""
    return {claim: told for claim, told in _outcomes(path).items() if claim.split(" ")[0] == "service"}


def _volume(tenant: Connection) -> Any:
    """That of the rows."""
    return next(v for v in tenant.block_storage.volumes() if v.name == ROWS_VOLUME)


def _server(tenant: Connection, status: str) -> Any:
    """The one that serves, once it has that status."""
    server = next(iter(tenant.compute.servers()))
    return tenant.compute.wait_for_server(server, status=status, wait=WAIT)


def _empty_the_rows(tenant: Connection) -> None:
    """An empty volume of the same name stands where the volume with the rows was."""
    server, full = _server(tenant, "ACTIVE"), _volume(tenant)
    tenant.compute.stop_server(server)
    _server(tenant, "SHUTOFF")
    tenant.compute.delete_volume_attachment(server, full.id)
    tenant.block_storage.wait_for_status(full, "available", wait=WAIT)
    tenant.block_storage.delete_volume(full)
    tenant.block_storage.wait_for_delete(full, wait=WAIT)
    empty = tenant.block_storage.create_volume(
        name=ROWS_VOLUME, size=full.size, volume_type=full.volume_type, metadata=full.metadata
    )
    tenant.block_storage.wait_for_status(empty, "available", wait=WAIT)
    tenant.compute.create_volume_attachment(server, volume_id=empty.id)
    tenant.block_storage.wait_for_status(empty, "in-use", wait=WAIT)
    tenant.compute.start_server(server)


def _make_again(tenant: Connection, user_data: str) -> None:
    """The same server on the same port and disks, from other user data, until its guest is up."""
    old = _server(tenant, "ACTIVE")
    (port,) = tenant.network.ports(device_id=old.id)
    disks = [a.volume_id for a in tenant.compute.volume_attachments(old)]
    disks.sort(key=lambda id_: not tenant.block_storage.get_volume(id_).is_bootable)
    tenant.compute.delete_server(old)
    tenant.compute.wait_for_delete(old, wait=WAIT)
    for id_ in disks:
        tenant.block_storage.wait_for_status(tenant.block_storage.get_volume(id_), "available", wait=WAIT)
    tenant.compute.create_server(
        name=old.name, flavor_id=next(f.id for f in tenant.compute.flavors() if f.name == old.flavor.name),
        networks=[{"port": port.id}], user_data=base64.b64encode(user_data.encode()).decode(), metadata=old.metadata,
        block_device_mapping=[
            {"boot_index": 0 if n == 0 else -1, "uuid": id_, "source_type": "volume", "destination_type": "volume"}
            for n, id_ in enumerate(disks)
        ],
    )  # fmt: skip
    server, end = _server(tenant, "ACTIVE"), time.monotonic() + WAIT
    while guest_image.UP not in (tenant.compute.get_server_console_output(server)["output"] or ""):
        assert time.monotonic() < end, "the guest did not come up"
        time.sleep(0.5)


def test_the_application_answers_on_the_target_by_itself_and_faults_are_found(
    clouds: tuple[str, str], tmp_path: Path
) -> None:
    source, target = clouds
    plan, verdicts, answers = (tmp_path / name for name in ("plan.yaml", "verdicts.json", "answers.json"))
    for _ in ("first", "again"):
        planted(tmp_path, source)
    with tenant(source) as old, tenant(target) as new:
        there = page(old, "41;Akte 41;nach dem Start")
        assert "41;Akte 41;nach dem Start" in there and there[-1].startswith("rows: 41,")

        done = unterbau(
            tmp_path, "drill", source, target, "--probe", "--keep", "--plan-output", str(plan), "-o", str(verdicts)
        )
        assert done.returncode in (0, 3), done.stdout + done.stderr
        assert "The application answers on the target as it did on the source." in done.stdout
        told = _service(verdicts)
        assert set(told.values()) == {"held"} and any("closed-81" in claim for claim in told), told

        asked = unterbau(tmp_path, "probe", source, "--plan", str(plan), "-o", str(answers))
        assert asked.returncode in (0, 3), asked.stdout + asked.stderr
        server = next(iter(old.compute.servers()))
        old.compute.stop_server(server)
        old.compute.wait_for_server(server, status="SHUTOFF", wait=WAIT)
        assert page(new) == there, "with the source stopped: rows that were written after boot included"

        def judged() -> dict[str, str]:
            unterbau(
                tmp_path, "verify", source, target, "--plan", str(plan), "--answers", str(answers), "-o", str(verdicts),
                "--probe-wait", "5",
            )  # fmt: skip
            return _outcomes(verdicts)

        # A rule too many.
        group = next(g for g in new.network.security_groups() if g.name == "fv-web")
        rule = new.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp",
            port_range_min=81, port_range_max=81,
        )  # fmt: skip
        page(new, "42;Akte 42;nur am Ziel")
        told = judged()
        rows = f"content volume:{_volume(old).id}"
        assert {told[k] for k in ("service", PAGE, CLOSED)} == {"failed"}
        assert told[rows] == "not shown", "its guest answered, so it writes"
        new.network.delete_security_group_rule(rule)

        # A rule that was dropped: the page is as silent as what is closed, and nobody can tell any more that it is that.
        (page_rule,) = (
            r for r in new.network.security_group_rules(security_group_id=group.id) if r.port_range_min == 80
        )
        new.network.delete_security_group_rule(page_rule)
        told = judged()
        assert {told[k] for k in ("service", PAGE)} == {"failed"} and told[CLOSED] == "not shown"
        new.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp",
            port_range_min=80, port_range_max=80, description=page_rule.description,
            remote_ip_prefix=page_rule.remote_ip_prefix,
        )  # fmt: skip

        # An empty volume where the rows were: the guest runs, and its page has no rows.
        _empty_the_rows(new)
        assert page(new) == ["Fachverfahren FV-1", "no database"]
        told = judged()
        assert {told[k] for k in ("service", PAGE)} == {"failed"} and told[CLOSED] == "held"

        # A server from other user data: it runs and says nothing, so nobody else can have written what its disks hold.
        _make_again(new, MUTE)
        told = judged()
        assert {told[k] for k in ("service", PAGE, rows)} == {"failed"}
        assert told[CLOSED] == "not shown", "its control is silent"


def test_a_cut_over_stops_the_source_and_how_long_nobody_answered_is_measured(
    clouds: tuple[str, str], tmp_path: Path
) -> None:
    source, target = clouds
    emptied(target)
    server, plan = planted(tmp_path, source), tmp_path / "plan.yaml"
    with tenant(source) as old, tenant(target) as new:
        there = page(old, "43;Akte 43;vor dem Umzug")
        done = unterbau(tmp_path, "plan", source, target, "--probe", "-o", str(plan))
        assert done.returncode in (0, 3), done.stdout + done.stderr
        done = unterbau(tmp_path, "move", str(plan), "--pre-copy")
        assert done.returncode == 0, done.stdout + done.stderr
        assert page(old) == there, "the source serves while it is copied"
        old.object_store.create_object("fv-akten", "nachgereicht", data=b"meanwhile")
        done = unterbau(tmp_path, "move", str(plan), "--cut-over", "--probe-wait", str(WAIT))
        assert done.returncode == 0, done.stdout + done.stderr
        assert old.compute.get_server(server).status == "SHUTOFF"
        assert page(new) == there, "every row that was written before the stop"
        assert new.object_store.download_object("nachgereicht", container="fv-akten") == b"meanwhile"
    (seen,) = (json.loads(p.read_text()) for p in tmp_path.glob("unterbau/drills/*/outage.json"))
    (course,) = seen["courses"]
    assert course["source"]["last"] < course["target"]["first"], seen
    done = unterbau(tmp_path, "drill", source, target, "--keep")
    assert done.returncode in (0, 3), done.stdout + done.stderr
    (report,) = (p.read_text() for p in tmp_path.glob("unterbau/drills/*/report.html"))
    assert "From outside nobody was heard for" in report and "the boot of the target" in report


def _helpers(folder: Path, clouds: Mapping[str, str]) -> Path:
    """The file by which helper guests are made: this machine's addresses and key, on both sides."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    told: dict[str, object] = {"user": "root", "key": str(folder / "key"), "volumes": [ROWS_VOLUME]}
    for side, name in clouds.items():
        with tenant(name) as there:
            for old in there.compute.keypairs():
                if old.name == "helfer":
                    there.compute.delete_keypair(old)
            there.compute.create_keypair(name="helfer", public_key=(folder / "key.pub").read_text())
        (external,) = wiring.open_cloud(name).surroundings().offering.external_networks
        here = next(ip_network(cidr)[1] for cidr in external.cidrs if ":" not in cidr)
        told[side] = {"image": guest_image.NAME, "flavor": guests.FLAVOR, "network": "fv-front", "address": external.name,
                      "key_pair": "helfer", "reached_from": f"{here}/32"}  # fmt: skip
    path = folder / "helper.yaml"
    path.write_text(json.dumps(told))
    return path


def _blocks(state: Path) -> list[JsonObject]:
    """What the steps of blocks put out."""
    (journal,) = state.glob("unterbau/drills/*/journal.db")
    return [told for step, told in peek(journal).outputs.items() if step.startswith("blocks of ")]


def test_a_cut_over_carries_changed_blocks_through_helper_guests(clouds: tuple[str, str], tmp_path: Path) -> None:
    if missing := extras.absent(extras.WELCOME):
        pytest.skip(f"DID NOT RUN: no cut-over by helper guests, because the package {missing[0].name} is not there")
    source, target = clouds
    emptied(target)
    planted(tmp_path, source)
    plan = tmp_path / "plan.yaml"
    with tenant(source) as old, tenant(target) as new:
        page(old)
        told = _helpers(tmp_path, {"source": source, "target": target})
        done = unterbau(tmp_path, "plan", source, target, "--probe", "--helper", str(told), "-o", str(plan))
        assert done.returncode in (0, 3) and done.stdout.count("helper guest at ") == 2, done.stdout + done.stderr
        done = unterbau(tmp_path, "move", str(plan), "--pre-copy")
        assert done.returncode == 0, done.stdout + done.stderr
        assert [v.name for v in new.block_storage.volumes()] == [ROWS_VOLUME] and not [*new.compute.servers()]
        there = page(old, "44;Akte 44;nach dem Vorabkopieren")
        done = unterbau(tmp_path, "move", str(plan), "--cut-over", "--probe-wait", str(WAIT))
        assert done.returncode == 0, done.stdout + done.stderr
        assert page(new) == there, "the row that was written after the volume was copied"
        (carried,) = _blocks(tmp_path)
        assert carried["spared"] and carried["blocks"] == 256 and 0 < int(str(carried["changed"])) < 64, carried
        for side in (old, new):
            assert [s.name for s in side.compute.servers()] == ["fv-web-1"] and len([*side.network.ips()]) == 1
            assert not [g.name for g in side.network.security_groups() if g.name.startswith("unterbau.")]
            assert len([*side.block_storage.volumes()]) == 2 and not [*side.block_storage.snapshots()]
    done = unterbau(tmp_path, "drill", source, target, "--keep")
    assert done.returncode in (0, 3), done.stdout + done.stderr


def test_nothing_stays_of_two_clouds_that_were_killed_in_the_middle_of_a_drill_and_wiped(
    clouds: tuple[str, str], before: Traces, tmp_path: Path
) -> None:
    source, target = clouds
    roots = [plant.root(name) for name in clouds]
    emptied(target)
    planted(tmp_path, source)
    with tenant(source) as old:
        page(old)
    with (
        tenant(target) as new,
        subprocess.Popen(
            command("drill", source, target, "--keep"),
            env=environ(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as drill,
    ):
        end = time.monotonic() + WAIT
        while not any(v.status != "available" for v in new.block_storage.volumes()):
            assert drill.poll() is None and time.monotonic() < end, "no volume was being made"
            time.sleep(0.1)
        during = traces(*roots)
        assert during.processes > before.processes and during.devices > before.devices, "the comparison sees what runs"
        supervisors = [reference.status(name).supervisor_pid for name in clouds]
        for pid in (drill.pid, *supervisors):
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
    as_before(before, *roots)
    for name, root in zip(clouds, roots, strict=True):
        run = plant.load(name).run
        reference.wipe(name)
        assert not root.exists() and not run.exists()
    as_before(before, *roots)
