# SPDX-License-Identifier: Apache-2.0
"""A guest that answered runs, and writes to its disks: other bytes then fail nothing, and hold nothing. No other difference is excused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from unterbau.switch import planning
from unterbau.switch.probes.model import Answer, Http, State, digest
from unterbau.switch.verify import JUDGINGS, OF_ANSWERS, PROBES, compare
from unterbau.tenant.kinds import (
    Attachment,
    CloudIdentity,
    FixedIp,
    Flavor,
    FloatingIp,
    Network,
    Offering,
    Port,
    Ref,
    Resource,
    Server,
    Subnet,
    Volume,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Observation, Outcome, Source, words

NOW = datetime(2026, 11, 26, tzinfo=UTC)
FLAVOR = Flavor(id="f", name="small", vcpus=1, ram_mib=1, disk_gib=1)


def side(name: str, status: str = "ACTIVE") -> Workload:
    """A guest with a disk and a public address; a disk that nobody has."""
    address = {"a": "203.0.113.7", "b": "198.51.100.9"}[name]
    ips = (FixedIp(subnet_id=f"{name}s", ip_address="10.0.0.5"),)
    found: tuple[Resource, ...] = (
        Network(id=f"{name}n", name="net"),
        Subnet(id=f"{name}s", name="sub", network_id=f"{name}n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None),
        Port(id=f"{name}p", name="port", network_id=f"{name}n", mac_address="fa:16:3e:00:00:01", fixed_ips=ips,
             device_id=f"{name}v", device_owner="compute:nova"),
        FloatingIp(id=f"{name}f", address=address, external_network_id="x", port_id=f"{name}p", fixed_ip_address="10.0.0.5"),
        Volume(id=f"{name}d", name="disk", status="in-use", size_gib=1),
        Volume(id=f"{name}o", name="other", status="available", size_gib=1),
        Server(id=f"{name}v", name="web", status=status, flavor=FLAVOR, port_ids=(f"{name}p",)),
        Attachment(id=f"{name}d", server_id=f"{name}v", volume_id=f"{name}d"),
    )  # fmt: skip
    identity = CloudIdentity(
        name=name, auth_url=f"https://{name}.example", region="r", project_id=name, project_name="p", user_id="u", roles=("member",)
    )  # fmt: skip
    return Workload(identity=identity, taken_at=NOW, resources=found, offering=Offering(flavors=(FLAVOR,)))


def seen(name: str, reference: Ref, value: str) -> Observation:
    return Observation(what="content", value=value, source=Source(where=f"{name}: {reference}", at=NOW))


def hashes(disk: str = "two", other: str = "same") -> dict[tuple[str, Ref], Observation]:
    told = {
        ("source", "volume:ad"): "one",
        ("target", "volume:bd"): disk,
        ("source", "volume:ao"): "same",
        ("target", "volume:bo"): other,
    }
    return {where: seen(*where, value) for where, value in told.items()}


def judged(
    *answered: str, status: str = "ACTIVE", there: str = "ACTIVE", judging: tuple[str, ...] = OF_ANSWERS, change: Any = None, **more: str
) -> dict[str, tuple[Outcome, str]]:  # fmt: skip
    """The claims on contents, after these sides answered."""
    source, target = side("a", status), side("b", there)
    probe = Http(id="page", at="floating_ip:af", port=80)
    plan = planning.make(source, side("b").model_copy(update={"resources": ()}), run="r", now=NOW, probes=(probe,))
    places = {"source": "203.0.113.7", "target": "198.51.100.9"}
    answers = [
        Answer(probe="page", asked=digest(probe), side=name, address=places[name], at=NOW,
               state=State.ANSWERED if name in answered else State.SILENT).model_copy(update=change or {})
        for name in places
    ]  # fmt: skip
    found = compare(source, target, plan, hashes(**more), (*JUDGINGS, *judging), answers=answers)
    return {v.claim.subject: (v.outcome, words(v.reason)) for v in found if v.claim.kind == "content"}


@pytest.mark.parametrize("answered", [("target",), ("source",), ("source", "target")])
def test_other_bytes_of_a_guests_disk_are_not_shown_once_it_answered(answered: tuple[str, ...]) -> None:
    outcome, why = judged(*answered)["volume:ad"]
    assert (
        outcome is Outcome.NOT_SHOWN
        and all(side in why for side in answered)
        and "a guest that runs writes to it" in why
    )


def test_without_an_answer_of_that_guest_other_bytes_have_failed() -> None:
    assert judged()["volume:ad"][0] is Outcome.FAILED
    assert judged("source", status="SHUTOFF")["volume:ad"][0] is Outcome.FAILED, (
        "it answered before its stop: it writes no more"
    )
    for change in ({"address": "192.0.2.1"}, {"asked": "sha256:0"}):
        assert judged("source", "target", change=change)["volume:ad"][0] is Outcome.FAILED, "no answer to this question"


def test_a_disk_that_no_guest_has_is_compared_byte_by_byte_whoever_answered() -> None:
    found = judged("source", "target", other="another")
    assert found["volume:ao"][0] is Outcome.FAILED


def test_equal_bytes_are_held_whoever_answered() -> None:
    assert judged("source", "target", disk="one")["volume:ad"][0] is Outcome.HELD


def test_a_bundle_of_before_is_judged_as_it_was() -> None:
    assert judged("source", "target", judging=(PROBES,))["volume:ad"][0] is Outcome.FAILED
