# SPDX-License-Identifier: Apache-2.0
"""The closed world on a real cloud, with every extension that the embedded one has: nothing ignorable is told as lost.

That an unknown field is one claim is shown on this cloud's recorded answers (`test_odd_answers`).
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import inventory
import pytest

from unterbau import reference, wiring
from unterbau.errors import CloudError
from unterbau.reference import tenant as seed
from unterbau.switch import census

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]
WAIT = timedelta(minutes=3)


def now() -> datetime:
    return datetime.now(UTC)


def told(name: str) -> dict[str, str]:
    """What a census does not show, but for the user data of servers."""
    taken = census.take(wiring.open_cloud(name), now=now)
    return {n.what: str(n.reason) for n in taken.not_shown if not n.what.endswith(".user_data")}


@pytest.fixture(scope="module")
def seeded(target_cloud: str) -> Iterator[str]:
    cloud = wiring.open_cloud(target_cloud)
    before = {r.ref for r in census.take(cloud, now=now).resources}
    seed.plant(cloud, now=now())
    yield target_cloud
    for resource in reversed(census.take(cloud, now=now).resources):
        if resource.ref not in before:
            with contextlib.suppress(CloudError):
                cloud.delete(resource.ref, WAIT)


def test_the_seeded_tenant_is_understood_whole(seeded: str) -> None:
    assert told(seeded) == {}


def test_what_users_set_and_nobody_carries_is_named(seeded: str) -> None:
    """Set by a member's own hands, and named by kind and field."""
    hands = inventory.connect(seeded, reference.clouds_file(seeded))
    tag = secrets.token_hex(4)
    account = hands.object_store.get_endpoint()
    box = f"{account}/closed-{tag}"
    keys = {"X-Account-Meta-Temp-URL-Key": "planted-key", "X-Account-Meta-Office": "7"}
    try:
        hands.session.post(account, headers=keys)
        hands.session.put(box)
        hands.session.put(f"{box}/part/0", data=b"x")
        hands.session.put(f"{box}/large", headers={"X-Object-Manifest": f"gone-{tag}/part/"})
        found = told(seeded)
    finally:
        for name in ("part/0", "large", ""):
            hands.session.delete(f"{box}/{name}".rstrip("/"), raise_exc=False)
        hands.session.post(account, headers={f"X-Remove-{k.removeprefix('X-')}": "x" for k in keys})
    assert found.keys() == {
        "account.keys", "account.metadata", f"object:closed-{tag}/large",
    }  # fmt: skip
    assert "planted-key" not in str(found) and "office" in found["account.metadata"]
    assert "segments are not there" in found[f"object:closed-{tag}/large"]
