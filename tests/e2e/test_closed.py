# SPDX-License-Identifier: Apache-2.0
"""What is closed, hidden or another's, on real clouds: not shown where we are not told, and as closed after a move."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import inventory
import pytest
from people import somebody

from unterbau import reference, wiring
from unterbau.cloud.port import Cloud
from unterbau.saga import Journal, run, unwind
from unterbau.switch import census, move, planning, verify
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import OWNER_ONLY, Container, Fate, Kind, SecretContainer, SecretEntry, StoredObject, ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(1200),
    # openstacksdk, with which the tests look and plant, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
WAIT = timedelta(minutes=3)


def now() -> datetime:
    return datetime.now(UTC)


class Pair:
    """Two clouds with empty projects, and the member's own hands on the source."""

    def __init__(self, names: tuple[str, str]) -> None:
        self.names = names
        self.source, self.target = (wiring.open_cloud(n) for n in names)
        self.hands, self.there = (inventory.connect(n, reference.clouds_file(n)) for n in names)

    def taken(self, side: str = "source") -> Workload:
        return census.take(getattr(self, side), now=now)

    def plan(self) -> tuple[Plan, Workload]:
        source = self.taken()
        return planning.make(source, self.taken("target"), run=f"c{secrets.token_hex(4)}", now=now()), source

    def moved(self, folder: Path) -> tuple[Plan, tuple[Verdict, ...], Workload]:
        """Move all, verify, take it back: the plan, the verdicts, and the target as the verifier saw it."""
        plan, source = self.plan()
        steps = move.steps(plan, source, self.source, self.target)
        with Journal(folder / "journal.db") as journal:
            done = run(steps, journal, plan=plan.digest(), workers=4)
            try:
                assert done.complete, journal.status.errors
                seen = verify.look(self.source, self.target, plan, work=folder, now=now)
            finally:
                assert unwind(steps, journal, plan=plan.digest(), workers=4).complete
        return plan, seen.verdicts, seen.target


@pytest.fixture
def pair(two_clouds: tuple[str, str]) -> Iterator[Pair]:
    with ExitStack() as stack:
        made = Pair(two_clouds)
        for hands in (made.hands, made.there):
            stack.enter_context(hands)
            inventory.sweep(hands)
            stack.callback(inventory.sweep, hands)
        yield made


def whats(workload: Workload) -> set[str]:
    return {n.what for n in workload.not_shown}


def outcome(verdicts: tuple[Verdict, ...], id_: str) -> tuple[Outcome, str]:
    return next((v.outcome, str(v.reason)) for v in verdicts if v.claim.id == id_)


def of(workload: Workload, type_: Any, name: str) -> Any:
    return next(r for r in workload.of(type_) if r.name == name)


# --- ACLs of the object store


def test_a_reader_is_not_shown_acls_and_a_member_is(pair: Pair) -> None:
    own = pair.hands.current_project_id
    pair.hands.object_store.put("/open", headers={"X-Container-Read": ".r:*,.rlistings"})
    pair.hands.object_store.put("/shared", headers={"X-Container-Write": f"{own}:*"})
    told = {}
    for name in (pair.names[0], f"{pair.names[0]}-reader"):
        done = subprocess.run(
            [sys.executable, "-m", "unterbau", "census", name, "--format", "json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        told[name] = (done.returncode, Workload.model_validate_json(done.stdout))
    (code, member), (_, reader) = told.values()
    assert code == 0 and not member.not_shown
    assert of(member, Container, "open").read_acl == ".r:*,.rlistings"
    assert of(member, Container, "shared").write_acl == f"{own}:*"
    assert whats(reader) >= set(OWNER_ONLY)
    assert reader.hidden_fields(of(reader, Container, "open")).keys() == {"read_acl", "write_acl", "sync_to"}


def test_who_may_write_finds_out_whether_an_acl_is_empty_and_leaves_nothing(pair: Pair, tmp_path: Path) -> None:
    """Nothing in the accounts shows who is owner: the plan does not know, the verifier makes a container and looks."""
    for hands in (pair.hands, pair.there):
        hands.object_store.put("/plain")
    plan, _ = pair.plan()
    assert {str(c.text).split(": ")[1] for c in plan.checks if c.name == "not shown"} >= set(OWNER_ONLY)

    seen = verify.look(pair.source, pair.target, None, work=tmp_path, now=now)
    assert outcome(seen.verdicts, "structure container:plain")[0] is Outcome.HELD
    for side in ("source", "target"):
        assert outcome(seen.verdicts, f"coverage {side} owner")[0] is Outcome.HELD
    assert not (whats(seen.source) | whats(seen.target)) & set(OWNER_ONLY)
    assert [c.name for c in pair.hands.object_store.containers()] == ["plain"]
    assert [c.name for c in pair.there.object_store.containers()] == ["plain"]
    assert not list(tmp_path.iterdir())


def test_who_may_not_write_does_not_and_nothing_is_held_or_failed(pair: Pair, tmp_path: Path) -> None:
    """The target has an ACL that its reader is not told: no false alarm, and no claim that it is the same."""
    pair.hands.object_store.put("/box", headers={"X-Container-Read": ".r:*"})
    pair.there.object_store.put("/box", headers={"X-Container-Read": ".r:*"})
    pair.there.object_store.put("/other")
    pair.hands.object_store.put("/other", headers={"X-Container-Meta-Color": "red"})
    reader = wiring.open_cloud(f"{pair.names[1]}-reader")
    seen = verify.look(pair.source, reader, None, work=tmp_path, now=now)
    for what in ("structure container:box", "coverage target container.read_acl", "coverage target owner"):
        assert outcome(seen.verdicts, what)[0] is Outcome.NOT_SHOWN, what
    assert "Forbidden" in outcome(seen.verdicts, "coverage target owner")[1]
    assert outcome(seen.verdicts, "structure container:other")[0] is Outcome.FAILED
    assert seen.left_behind == () and not list(tmp_path.iterdir())


def test_an_acl_arrives_with_the_projects_id_mapped_and_others_stay_shut(pair: Pair, tmp_path: Path) -> None:
    own, theirs = pair.hands.current_project_id, pair.there.current_project_id
    user, name = pair.hands.current_user_id, pair.names[0]
    grants = {
        "own": (f"{own}:*", f"{theirs}:*"),
        "listed": (".r:*,.rlistings", ".r:*,.rlistings"),
        "referrers": (".r:.example.org,.r:-bad.example.org", ".r:.example.org,.r:-bad.example.org"),
        "user": (f"{own}:{user}", ""),
        "names": (f"{name}:*,{name}:{name}", ""),
        "anyone": ("*:*", ""),
        "elsewhere": (f"{'0' * 32}:*,*:{user},{own}:*", f"{theirs}:*"),
        "role": ("reader", ""),
    }
    for box, (acl, _) in grants.items():
        pair.hands.object_store.put(f"/{box}", headers={"X-Container-Read": acl})
    plan, verdicts, there = pair.moved(tmp_path)
    assert {box: of(there, Container, box).read_acl for box in grants} == {b: after for b, (_, after) in grants.items()}
    for box in grants:
        assert outcome(verdicts, f"structure container:{box}")[0] is Outcome.HELD
        changes = plan.by_ref[ref(Kind.CONTAINER, box)].changes
        assert [c.field for c in changes] == ([] if box in ("own", "listed", "referrers") else ["read_acl"]), box


# --- secrets


def test_a_closed_container_of_secrets_arrives_closed(pair: Pair, tmp_path: Path) -> None:
    km = pair.hands.key_manager
    secret = km.post("/secrets", json={"name": "s", "payload": "x", "payload_content_type": "text/plain"}).json()
    other = km.post("/secrets", json={"name": "t", "payload": "y", "payload_content_type": "text/plain"}).json()
    refs = [{"name": n, "secret_ref": r["secret_ref"]} for n, r in (("certificate", secret), ("private_key", other))]
    for name, type_, acl in (
        ("shut", "generic", {"project-access": False}),
        ("seal", "certificate", {"project-access": False}),
        ("open", "generic", None),
        ("granted", "generic", {"project-access": True, "users": [pair.hands.current_user_id]}),
    ):
        made = km.post("/containers", json={"name": name, "type": type_, "secret_refs": refs}).json()["container_ref"]
        id_ = made.rpartition("/")[2]
        if acl:
            assert km.put(f"/containers/{id_}/acl", json={"read": acl}).status_code == 200
        if name == "open":
            assert (
                km.post(f"/containers/{id_}/consumers", json={"name": "lb", "URL": "https://lb/1"}).status_code == 200
            )
            consumers = f"secret_container:{id_}.consumers"
    id_ = secret["secret_ref"].rpartition("/")[2]
    body = {"service": "image", "resource_type": "image", "resource_id": "123e4567-e89b-12d3-a456-426614174000"}
    assert km.post(f"/secrets/{id_}/consumers", json=body).status_code == 200

    assert whats(pair.taken()) >= {consumers, f"secret:{id_}.consumers"}
    plan, verdicts, there = pair.moved(tmp_path)
    closed = {name: of(there, SecretContainer, name).acl_project_access for name in ("shut", "seal", "open", "granted")}
    assert closed == {"shut": False, "seal": False, "open": True, "granted": True}
    assert not of(there, SecretContainer, "granted").acl_users
    for entry in plan.entries:
        if entry.ref.startswith("secret_container:"):
            assert outcome(verdicts, f"structure {entry.ref}")[0] is Outcome.HELD
            assert [c.field for c in entry.changes] == (["acl_users"] if entry.name == "granted" else [])


def test_a_move_that_was_killed_between_acl_and_entries_finishes_the_container(pair: Pair) -> None:
    """Another process finds what it made by its place in the order of entries, and closes it before it fills it."""
    km = pair.hands.key_manager
    ids = [km.post("/secrets", json={"name": n}).json()["secret_ref"].rpartition("/")[2] for n in ("a", "b")]
    entries = tuple(SecretEntry(name=n, secret_id=i) for n, i in zip(("a", "b"), ids, strict=True))
    wish = SecretContainer(id="-", name="c", type="generic", entries=entries, acl_project_access=False)
    marker = "unterbau.closed.0123456789abcdef"
    base = km.get_endpoint().rstrip("/")
    for shut, filled in ((False, 0), (True, 0), (True, 1), (True, 2)):
        half = km.post("/containers", json={"name": "c", "type": "generic"}).json()["container_ref"].rpartition("/")[2]
        if shut:
            km.put(f"/containers/{half}/acl", json={"read": {"project-access": False}})
        for entry in entries[:filled]:
            body = {"name": entry.name, "secret_ref": f"{base}/secrets/{entry.secret_id}"}
            assert km.post(f"/containers/{half}/secrets", json=body).status_code == 201
        fresh: Cloud = wiring.open_cloud(pair.names[0])
        assert fresh.ensure(wish, marker) == half
        there = fresh.read(ref(Kind.SECRET_CONTAINER, half))
        assert there is not None and there.comparable() == wish.comparable()
        fresh.delete(ref(Kind.SECRET_CONTAINER, half), WAIT)
    strangers = km.post("/containers", json={"name": "c", "type": "generic", "secret_refs": [
        {"name": "x", "secret_ref": f"{base}/secrets/{ids[0]}"}]}).json()["container_ref"].rpartition("/")[2]  # fmt: skip
    assert wiring.open_cloud(pair.names[0]).ensure(wish, marker) != strangers


def test_what_a_colleague_keeps_private_is_not_shown_and_not_made(pair: Pair, tmp_path: Path) -> None:
    with somebody(pair.names[0], pair.hands.current_project_id) as colleague:
        theirs, shut = colleague.key_manager, {"read": {"project-access": False}}
        secret = theirs.post(
            "/secrets", json={"name": "p", "payload": "x", "payload_content_type": "text/plain"}
        ).json()
        id_ = secret["secret_ref"].rpartition("/")[2]
        theirs.put(f"/secrets/{id_}/acl", json=shut)
        refs = [{"name": "a", "secret_ref": secret["secret_ref"]}]
        private = theirs.post("/containers", json={"name": "p", "type": "generic", "secret_refs": refs}).json()
        theirs.put(f"/containers/{private['container_ref'].rpartition('/')[2]}/acl", json=shut)
        theirs.post("/containers", json={"name": "open", "type": "generic", "secret_refs": refs})
        try:
            plan, verdicts, there = pair.moved(tmp_path)
        finally:
            for kind in ("containers", "secrets"):
                for entry in theirs.get(f"/{kind}").json()[kind]:
                    theirs.delete(f"/{kind}/{entry[kind[:-1] + '_ref'].rpartition('/')[2]}")
    fates = {(e.ref.partition(":")[0], e.name): e.fate for e in plan.entries}
    assert fates["secret", "p"] is fates["secret_container", "p"] is Fate.NOT_SHOWN
    assert fates["secret_container", "open"] is Fate.LEFT
    assert "another user" in plan.by_ref[f"secret:{id_}"].why
    assert not [r for r in there.resources if r.own_kind in (Kind.SECRET, Kind.SECRET_CONTAINER)]
    assert outcome(verdicts, f"structure secret:{id_}")[0] is Outcome.NOT_SHOWN
    assert outcome(verdicts, f"coverage source secret:{id_}")[0] is Outcome.NOT_SHOWN


# --- symlinks


def test_a_symlink_into_another_account_is_left_and_the_others_arrive(pair: Pair, tmp_path: Path) -> None:
    store = pair.hands.object_store
    own = store.get_endpoint().rpartition("/")[2]
    store.put("/box")
    etag = store.put("/box/o", data=b"bytes").headers["Etag"].strip('"')
    links = {
        "plain": {},
        "explicit": {"X-Symlink-Target-Account": own},
        "static": {"X-Symlink-Target-Etag": etag},
        "abroad": {"X-Symlink-Target-Account": "AUTH_" + "0" * 32},
    }
    for name, headers in links.items():
        assert store.put(f"/box/{name}", headers={"X-Symlink-Target": "box/o", **headers}).status_code == 201
    segment = [{"path": "/box/o", "etag": etag, "size_bytes": 5}]
    store.put("/box/large?multipart-manifest=put", json=segment)
    manifest = store.head("/box/large?multipart-manifest=get").headers["Etag"].strip('"')
    pinned = {"X-Symlink-Target": "box/large", "X-Symlink-Target-Etag": manifest}
    assert store.put("/box/pinned", headers=pinned).status_code == 201

    try:
        plan, verdicts, there = pair.moved(tmp_path)
    finally:
        store.delete("/box/abroad")  # openstacksdk, which sweeps, would look at what it leads to
    left = plan.by_ref["object:box/abroad"]
    assert left.fate is Fate.LEFT and "0" * 32 in left.why and left.remedy
    assert outcome(verdicts, "structure object:box/abroad")[0] is Outcome.NOT_SHOWN
    arrived = {o.name: (o.symlink_to, o.symlink_etag) for o in there.of(StoredObject) if o.symlink_to}
    assert arrived == {
        "plain": ("box/o", None), "explicit": ("box/o", None), "static": ("box/o", etag), "pinned": ("box/large", None),
    }  # fmt: skip
    assert [c.field for c in plan.by_ref["object:box/pinned"].changes] == ["symlink_etag"]
    for name in arrived:
        assert outcome(verdicts, f"structure object:box/{name}")[0] is Outcome.HELD
