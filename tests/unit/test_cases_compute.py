# SPDX-License-Identifier: Apache-2.0
"""Situations of real users around servers: what the plan names, and what a verification says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_planning import NOW, cloud

from unterbau.cloud.simulator import Simulator
from unterbau.switch import move, planning
from unterbau.switch.plan import Plan
from unterbau.switch.verify import JUDGINGS, compare
from unterbau.tenant.kinds import Attachment, Fate, Flavor, Image, Keypair, Offering, Resource, Server, Volume
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, words

FLAVOR = Flavor(name="f", vcpus=1, ram_mib=1, disk_gib=0)
SERVER = Server(id="s", name="web", status="ACTIVE", flavor=FLAVOR)


def side(name: str, *resources: Resource, nova: str = "2.96", images: tuple[Image, ...] = ()) -> Workload:
    made = cloud(name, *resources, offering=Offering(flavors=(FLAVOR,), images=images))
    return made.model_copy(update={"identity": made.identity.model_copy(update={"services": {"compute": nova}})})


def planned(source: Workload, target: Workload) -> Plan:
    return planning.make(source, target, run="r", now=NOW)


def there(resource: Any, **changes: Any) -> Any:
    return resource.model_copy(update={"id": f"new-{resource.id}", **changes})


# --- a key pair is its user's


def test_the_key_pair_of_a_colleague_is_a_loss_that_the_plan_names() -> None:
    ours = there(SERVER, id="s", key_name="of-a-colleague")
    plan = planned(side("a", ours), side("b"))
    entry = plan.by_ref["server:s"]
    assert entry.fate is Fate.CHANGED and entry.needs == ()
    assert [(c.field, c.was, c.to) for c in entry.changes] == [("key_name", "of-a-colleague", None)]
    assert "server:s.key_name" in {one.id for one in plan.would_lose()}
    found = {v.claim.id: v.outcome for v in compare(side("a", ours), side("b", there(SERVER)), plan, {})}
    assert found["structure server:s"] is Outcome.HELD
    assert found["lost server:s.key_name"] is Outcome.NOT_SHOWN


def test_ones_own_key_pair_goes_with_the_server() -> None:
    key = Keypair(id="k", name="k", public_key="ssh-ed25519 a", fingerprint="f")
    entry = planned(side("a", key, there(SERVER, id="s", key_name="k")), side("b")).by_ref["server:s"]
    assert [c.field for c in entry.changes] == [] and entry.needs == ("keypair:k",)


# --- what an older Nova does not take

VOLUME = Volume(id="v", name="v", status="in-use", size_gib=1)
ATTACHED = Attachment(id="s/v", server_id="s", volume_id="v", tag="data", delete_on_termination=True)
RICH = there(SERVER, id="s", locked=True, locked_reason="an audit", hostname="db.internal.example", description="d",
             tags=("t",))  # fmt: skip


@pytest.mark.parametrize(
    ("nova", "lost"),
    [
        ("2.96", set()),
        ("2.93", {"hostname"}),
        ("2.78", {"hostname", "delete_on_termination"}),
        ("2.72", {"hostname", "delete_on_termination", "locked_reason"}),
        ("2.48", {"hostname", "delete_on_termination", "locked_reason", "tag", "tags"}),
        ("2.1", {"hostname", "delete_on_termination", "locked_reason", "tag", "tags", "description"}),
        ("", set()),
    ],
)
def test_what_the_targets_nova_is_too_old_for_is_a_loss(nova: str, lost: set[str]) -> None:
    plan = planned(side("a", RICH, VOLUME, ATTACHED), side("b", nova=nova))
    changed = {c.field for ref in ("server:s", "attachment:s/v") for c in plan.by_ref[ref].changes}
    assert changed == lost
    assert {one.field for one in plan.would_lose()} - {"user_data"} == lost
    wish = plan.by_ref["server:s"].wish(RICH)
    assert wish.hostname == ("" if "hostname" in lost else "db.internal.example")


# --- a server that was booted from an image of the provider's

OURS = Image(id="p1", name="Debian", status="active", hash_algo="sha512", hash_value="abc")
THEIRS = Image(id="p2", name="debian-13", status="active", hash_algo="sha512", hash_value="abc")
BOOTED = there(SERVER, id="s", image_id="p1")


def structure(ours: Image, theirs: Image, judging: tuple[str, ...] = JUDGINGS, *, plan: bool = True) -> Any:
    a, b = side("a", BOOTED, images=(ours,)), side("b", images=(theirs,))
    made = planned(a, b) if plan else None
    after = side("b", there(BOOTED, image_id="p2"), images=(theirs,))
    return next(v for v in compare(a, after, made, {}, judging) if v.claim.id == "structure server:s")


@pytest.mark.parametrize("plan", [True, False])
def test_the_same_image_of_both_providers_is_held_by_its_hash(plan: bool) -> None:
    verdict = structure(OURS, THEIRS, plan=plan)
    assert verdict.outcome is Outcome.HELD
    told = {o.value["image_id"] for o in verdict.evidence}
    assert told == {"image of the provider, by the sha512 that Glance tells: abc"}


def test_another_image_of_the_provider_fails_also_under_the_same_name() -> None:
    other = THEIRS.model_copy(update={"name": "Debian", "hash_value": "abd"})
    verdict = structure(OURS, other, plan=False)
    assert verdict.outcome is Outcome.FAILED and "abd" in words(verdict.reason)


def test_a_checksum_pairs_images_of_one_name_only() -> None:
    """An older Glance tells an MD5 alone, for which two contents can be made."""
    ours, theirs = (i.model_copy(update={"hash_algo": "md5"}) for i in (OURS, THEIRS))
    assert structure(ours, theirs, plan=False).outcome is Outcome.FAILED
    named = theirs.model_copy(update={"name": "Debian"})
    assert structure(ours, named, plan=False).outcome is Outcome.HELD
    assert planned(side("a", BOOTED, images=(ours,)), side("b", images=(theirs,))).by_ref["server:s"].fate is Fate.LEFT


def test_an_older_bundle_is_judged_as_it_was() -> None:
    older = tuple(name for name in JUDGINGS if name != "provided images")
    assert structure(OURS, THEIRS, older).outcome is Outcome.FAILED


def test_a_server_is_made_when_its_volumes_are_there_and_one_that_is_left_holds_it_up_no_longer(tmp_path: Path) -> None:
    """It boots when it is made: with its data still on the way its database begins an empty one, or says that there is none."""
    server = Server(id="s", name="db", status="ACTIVE", flavor=FLAVOR, image_id=None)
    root, data = (Volume(id=i, name=i, status="in-use", size_gib=1, bootable=i == "root") for i in ("root", "data"))
    on = [Attachment(id=f"s/{v.id}", name="", server_id="s", volume_id=v.id, device=f"/dev/vd{d}", boot_index=b)
          for v, d, b in ((root, "a", 0), (data, "b", None))]  # fmt: skip
    source = side("a", server, root, data, *on)
    made, clouds = planned(source, side("b")), (Simulator(tmp_path / "a"), Simulator(tmp_path / "b"))
    needs = {s.name: s.needs for s in move.steps(made, source, *clouds)}
    assert {"volume:root", "volume:data"} <= set(needs["server:s"])
    entries = tuple(
        e.model_copy(update={"fate": Fate.LEFT}) if e.ref in ("volume:data", "attachment:s/data") else e
        for e in made.entries
    )
    needs = {s.name: s.needs for s in move.steps(made.model_copy(update={"entries": entries}), source, *clouds)}
    assert "volume:root" in needs["server:s"] and "volume:data" not in needs["server:s"]
