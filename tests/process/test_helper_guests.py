# SPDX-License-Identifier: Apache-2.0
"""Blocks of volumes through helper guests: real ssh, real dd and sha256sum, between two simulated clouds. Killed, as processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import closer
import helped
import mover
import pytest
import shells

from unterbau.cloud.simulator import GIB, Simulator
from unterbau.errors import Exit, PlanError, UsageError
from unterbau.saga import peek
from unterbau.switch import census, helper, planning
from unterbau.switch.folders import DrillState
from unterbau.switch.move.blocks import Guest, Unhelped, host_keys
from unterbau.tenant.kinds import Fate, Keypair, Kind, Server, Volume

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="DID NOT RUN: all of 127.0.0.0/8 is loopback on Linux only"),
]
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
KILLED = (3, 7, 11, 16, 20, 24, 29, 36)
"""Writes into the journal of a cut-over after which it is killed."""
CONSOLE = "boot\r\n-----BEGIN SSH HOST KEY KEYS-----\r\n{keys}\r\n-----END SSH HOST KEY KEYS-----\r\nlogin:"


@dataclass
class Stand:
    """Both clouds with a tenant that was planned with helpers, and the guests that answer."""

    root: Path
    guests: dict[str, shells.Guest]
    key: Path

    def moved(self, what: str, kill_after: int = 0, root: Path | None = None, **environment: str) -> tuple[int, str]:
        """How `helped.py` ended, and what it said."""
        argv = [sys.executable, str(Path(helped.__file__)), str(root or self.root), str(kill_after), what]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=300
        )
        assert done.returncode in (0, 1, -9), done.stderr[-3000:]
        return done.returncode, done.stderr


class Fitted:
    """What a guest of one side does: its shell, in which the volumes that its server has are its disks."""

    def __init__(self, folder: Path) -> None:
        self.world = folder
        self.broken = ""
        """A command that is not there."""

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run it, with `/sys/block` and `/dev` of its own."""
        ground = Path(tempfile.mkdtemp(dir=self.world.parent))
        self._fit(ground)
        told = str(process.command).removeprefix("sudo -n ").replace("$(id -u)", "0")
        for place in ("/sys/block", "/dev/", "/proc/sys/vm"):
            told = told.replace(place, f"{ground}{place}")
        told = told.replace(f"{ground}/dev/null", "/dev/null")
        if self.broken:
            told = told.replace(self.broken, "false")
        child = await asyncio.create_subprocess_shell(
            told, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert child.stdin is not None and child.stdout is not None

        async def fed() -> None:
            assert child.stdin is not None
            with suppress(OSError, asyncssh.Error):
                while data := await process.stdin.read(1 << 16):
                    child.stdin.write(data)
                    await child.stdin.drain()
            child.stdin.close()

        feeding = asyncio.create_task(fed())
        try:
            while data := await child.stdout.read(1 << 16):
                process.stdout.write(data)
                await process.stdout.drain()
            process.exit(await child.wait())
        finally:
            feeding.cancel()
            shutil.rmtree(ground, ignore_errors=True)
            if child.returncode is None:
                child.kill()
                await child.wait()

    def _fit(self, ground: Path) -> None:
        (ground / "sys/block").mkdir(parents=True)
        (ground / "dev").mkdir()
        (ground / "proc/sys/vm").mkdir(parents=True)
        world: dict[str, dict[str, Any]] = json.loads((self.world / "world.json").read_text())
        attached = [v for r, v in world.items() if r.startswith("attachment:")]
        ours = [a for a in attached if world[f"server:{a['server_id']}"]["name"].startswith("unterbau.")]
        for number, one in enumerate(ours):
            reference, name = f"volume:{one['volume_id']}", f"vd{chr(98 + number)}"
            blob = self.world / "blobs" / hashlib.sha256(reference.encode()).hexdigest()
            (ground / "sys/block" / name).mkdir()
            (ground / "sys/block" / name / "serial").write_text(one["volume_id"][:20])
            (ground / "sys/block" / name / "size").write_text(f"{blob.stat().st_size // 512}\n")
            (ground / "dev" / name).symlink_to(blob)


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """See `Stand`; the source runs, nothing has moved."""
    client_folder = tmp_path / "client"
    client_folder.mkdir()
    client = shells.client(client_folder, monkeypatch)
    client.configuration.write_text("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n")
    root, host = tmp_path / "w", asyncssh.generate_private_key("ssh-ed25519")
    source = Simulator(root / "a", name="a")
    closer.plant(source)
    public = client.key.export_public_key().decode()
    source.ensure(Keypair(id="me", name="me", public_key=public, fingerprint="-"), "unterbau.tenant.0000000000000000")
    (root / "console").write_text(CONSOLE.format(keys=host.export_public_key().decode().strip()))
    with ExitStack() as stack:
        guests, port = {}, 0
        for name, address in helped.ADDRESSES.items():
            fitted = Fitted(root / name)
            guest = stack.enter_context(shells.guest(client.key, fitted.run, address=address, port=port, host_key=host))
            guest.fitted = fitted  # type: ignore[attr-defined]
            guests[name], port = guest, guest.port
        planned(root, client_folder / "key", port)
        yield Stand(root, guests, client_folder / "key")


def written(key: Path, port: int, **more: str) -> helper.Helper:
    """The file that a person writes."""
    volumes = [name] if (name := more.pop("volumes", "")) else []
    place = {"image": "image", "flavor": "SCS-2V-8", "network": "net", "address": "direct", "key_pair": "me",
             "reached_from": "127.0.0.1/32", **more}  # fmt: skip
    plain = {"user": shells.USER, "key": str(key), "port": port, "volumes": volumes, "source": place, "target": place}
    return helper.load(json.dumps(plain), "helper.yaml")


def planned(root: Path, key: Path, port: int) -> None:
    """A drill's folder with both censuses and the plan."""
    clouds = helped.clouds(root)
    source, target = (census.take(clouds[name], now=lambda: NOW) for name in "ab")
    plan = planning.make(source, target, run="cut", now=NOW)
    told = helper.resolved(written(key, port), source, target)
    plan = planning.judged(plan.model_copy(update={"helper": told}), source, target)
    assert [str(r) for r in plan.remarks if "helper" in str(r)][1:] == [
        f"helper guest at {name}: made of image image with flavor SCS-2V-8 on network net with key pair me; its port {port} is "
        "open for 127.0.0.1/32 alone; made before the stop, removed at the end" for name in "ab"
    ]  # fmt: skip
    assert planning.load(planning.dump(plan)) == plan
    place = mover.folder(root)
    place.path.mkdir()
    place.save(DrillState(run="cut", source="a", target="b", keep=True, created=NOW))
    place.plan.write_text(planning.dump(plan))
    for path, taken in zip((place.source, place.target), (source, target), strict=True):
        path.write_text(taken.model_dump_json())


def disks(there: Simulator) -> dict[str, str]:
    """The hash of each volume by its name."""
    volumes = (v for v in there.listing(Kind.VOLUME).resources if isinstance(v, Volume))
    return {v.name: hashlib.sha256(there._content(v.ref)).hexdigest() for v in volumes}


def write(there: Simulator, name: str, at: int, data: bytes) -> None:
    """As a guest writes to its disk: no API notices."""
    volume = next(v for v in there.listing(Kind.VOLUME).resources if v.name == name)
    content = bytearray(there._content(volume.ref))
    content[at : at + len(data)] = data
    there._blob(volume.ref).write_bytes(bytes(content))


def carried(root: Path) -> dict[str, Any]:
    """What the steps of blocks put out, by the name of the volume."""
    outputs = peek(mover.folder(root).journal).outputs
    clouds = helped.clouds(root)
    found = {}
    for step, told in outputs.items():
        what, _, reference = step.partition(" of ")
        if what == "blocks":
            volume = clouds["a"].read(reference)
            assert volume is not None
            found[volume.name] = told
    return found


def nothing_is_left(root: Path) -> None:
    """Neither helpers nor temporaries, on either side; and no twin."""
    for name, cloud in helped.clouds(root).items():
        left = [(r, called) for r, called in cloud.enumerate_all().items() if called.startswith("unterbau.")]
        assert left == [], name
        world = cloud.enumerate_all()
        assert len([r for r in world if r.startswith("volume:")]) == 4, name
        rules = [r for r in cloud.listing(Kind.SECURITY_GROUP_RULE).resources if getattr(r, "protocol", None) == "tcp"]
        assert rules == [], name


def changed(root: Path) -> None:
    """The application wrote after the pre-copy: two blocks apart and one at the end of a volume, and one of the root disk."""
    source = Simulator(root / "a", name="a")
    write(source, "data", 3 * helped.BLOCK + 7, b"written meanwhile")
    write(source, "data", 9 * helped.BLOCK - 3, b"over the edge of a block")
    write(source, "data", GIB - 4, b"last")
    write(source, "root", 100, b"a line of a log")


def test_only_changed_blocks_go_through_the_helpers_and_the_volumes_end_equal(stand: Stand) -> None:
    code, said = stand.moved("pre-copy")
    assert code == 0, said
    source, target = (helped.clouds(stand.root)[name] for name in "ab")
    assert sorted(disks(target)) == ["data", "root"] and disks(target)["data"] == disks(source)["data"]
    assert {s.status for s in source.listing(Kind.SERVER).resources if isinstance(s, Server)} == {"ACTIVE"}
    assert not [n for n in source.enumerate_all().values() if n.startswith("unterbau.")], (
        "no helper yet, and nothing in passing"
    )
    assert all(not g.commands for g in stand.guests.values())
    changed(stand.root)
    code, said = stand.moved("cut-over")
    assert code == 0, said
    source, target = (helped.clouds(stand.root)[name] for name in "ab")
    assert disks(target) == disks(source)
    told = carried(stand.root)
    assert told["data"] == {"spared": True, "blocks": 16, "changed": 4, "bytes": 4 * helped.BLOCK}
    assert told["root"]["changed"] == 1
    nothing_is_left(stand.root)
    outputs = peek(mover.folder(stand.root).journal).outputs
    assert [o for step, o in outputs.items() if step.startswith("image of volume") and "spared" in o]
    assert all(set(g.users) == {shells.USER} and g.passwords == [] for g in stand.guests.values())
    assert {s.name: s.status for s in target.listing(Kind.SERVER).resources if isinstance(s, Server)} == {
        "db": "ACTIVE", "web-1": "ACTIVE"
    }  # fmt: skip


def test_killed_at_any_moment_the_rerun_ends_the_same_without_orphan_or_twin(stand: Stand, tmp_path: Path) -> None:
    assert stand.moved("pre-copy")[0] == 0
    changed(stand.root)
    killed = 0
    kept = tmp_path / "kept"
    shutil.copytree(stand.root, kept)
    for number in KILLED:
        code, said = stand.moved("cut-over", number)
        killed += code == -9
        code, said = stand.moved("cut-over")
        assert code == 0, said
        source, target = (helped.clouds(stand.root)[name] for name in "ab")
        assert disks(target) == disks(source), number
        assert all("spared" in one for one in carried(stand.root).values()), (number, said)
        nothing_is_left(stand.root)
        again(stand.root, kept)
    assert killed == len(KILLED)


def again(root: Path, kept: Path) -> None:
    """All as it was, at the same place, since the guests look there."""
    shutil.rmtree(root)
    shutil.copytree(kept, root)


def test_taken_back_in_the_middle_nothing_of_the_helpers_is_left_and_the_source_runs(
    stand: Stand, tmp_path: Path
) -> None:
    assert stand.moved("pre-copy")[0] == 0
    changed(stand.root)
    before = disks(helped.clouds(stand.root)["a"])
    kept = tmp_path / "kept"
    shutil.copytree(stand.root, kept)
    for number in (9, 20, 31):
        stand.moved("cut-over", number)
        code, said = stand.moved("unwind")
        assert code == 0, said
        source, target = (helped.clouds(stand.root)[name] for name in "ab")
        assert [r for r, name in target.enumerate_all().items() if name != "default"] == [], number
        assert not [n for n in source.enumerate_all().values() if n.startswith("unterbau.")], number
        assert {s.status for s in source.listing(Kind.SERVER).resources if isinstance(s, Server)} == {"ACTIVE"}
        assert disks(source) == before
        again(stand.root, kept)


@pytest.mark.parametrize(("broken", "why"), [
    ("sha256sum", "a command in the guest ended with 1"), ("dd if=", "the guest gave no hash of each block"),
    ("cat ", "the guest sees a disk of another length"), ("dd of=", "a command in the guest ended with 1"),
    ("grep -qF", "the guest does not see the disk, or not just one of its serial number"),
])  # fmt: skip
def test_what_a_guest_cannot_do_makes_the_volumes_go_whole_and_is_said(stand: Stand, broken: str, why: str) -> None:
    assert stand.moved("pre-copy")[0] == 0
    changed(stand.root)
    stand.guests["b"].fitted.broken = broken  # type: ignore[attr-defined]
    code, said = stand.moved("cut-over", GUEST_SECONDS="2", DISK_SECONDS="1")
    assert code == 0, said
    assert "so that volumes go whole: " in said and why in said
    source, target = (helped.clouds(stand.root)[name] for name in "ab")
    assert disks(target) == disks(source)
    nothing_is_left(stand.root)


def test_a_guest_that_is_another_than_its_console_says_is_not_entered(stand: Stand) -> None:
    assert stand.moved("pre-copy")[0] == 0
    changed(stand.root)
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    (stand.root / "console").write_text(CONSOLE.format(keys=other))
    code, said = stand.moved("cut-over", GUEST_SECONDS="2")
    assert code == 0, said
    assert "the helper guest does not answer, so that volumes go whole: ssh came to no login" in said
    assert not any(g.commands or g.users for g in stand.guests.values())
    source, target = (helped.clouds(stand.root)[name] for name in "ab")
    assert disks(target) == disks(source)
    nothing_is_left(stand.root)


@pytest.mark.parametrize("kind", ["server", "port", "security_group"])
def test_a_cloud_that_makes_no_helper_gets_the_volumes_whole(stand: Stand, kind: str) -> None:
    assert stand.moved("pre-copy")[0] == 0
    changed(stand.root)
    (stand.root / "a" / "refuse").write_text(kind)
    code, said = stand.moved("cut-over")
    assert code == 0, said
    assert f"source: there is no helper guest, so that volumes go whole: a: quota of {kind} exceeded" in said
    source, target = (helped.clouds(stand.root)[name] for name in "ab")
    assert disks(target) == disks(source)
    nothing_is_left(stand.root)


def test_what_is_said_of_keys_counts_only_within_the_block_of_the_last_start() -> None:
    one, two = (asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip() for _ in range(2))
    assert host_keys(f"{one}\n") == ()
    assert host_keys(CONSOLE.format(keys=one).partition("-----END")[0]) == ()
    assert host_keys(CONSOLE.format(keys=one) + CONSOLE.format(keys=two)) == (" ".join(two.split()[:2]),)
    assert host_keys(CONSOLE.format(keys="ssh-ed25519 AAAA;rm -rf / *")) == ()


@pytest.mark.parametrize(("more", "what"), [
    ({"reached_from": "0.0.0.0/0"}, "the whole world"), ({"reached_from": "here"}, "does not appear"), ({"image": "no"}, "has no image"),
    ({"network": "no"}, "has no network"), ({"flavor": "no"}, "has no flavor"), ({"address": "no"}, "has no external network"),
    ({"more": "1"}, "Extra inputs"), ({"volumes": "no"}, "has no volume"),
])  # fmt: skip
def test_a_file_that_names_what_is_not_there_or_opens_to_all_is_refused(
    tmp_path: Path, more: dict[str, str], what: str
) -> None:
    closer.plant(Simulator(tmp_path / "a", name="a"))
    source, target = (census.take(c, now=lambda: NOW) for c in helped.clouds(tmp_path).values())
    with pytest.raises(UsageError, match=what):
        helper.resolved(written(Path("key"), 22, **more), source, target)


def test_a_helper_of_an_image_that_does_not_move_is_refused(stand: Stand) -> None:
    folder = mover.folder(stand.root)
    plan = planning.load(folder.plan.read_text())
    assert plan.helper is not None
    source = census.take(helped.clouds(stand.root)["a"], now=lambda: NOW)
    plan.check_against(source)
    left = tuple(
        e.model_copy(update={"fate": Fate.LEFT}) if e.ref == plan.helper.target.image_ref else e for e in plan.entries
    )
    with pytest.raises(PlanError, match="does not move, and the helper at the target needs it"):
        plan.model_copy(update={"entries": left}).check_against(source)


def test_the_command_line_names_both_guests_and_refuses_a_file_or_key_that_is_not_there(
    stand: Stand, tmp_path: Path
) -> None:
    root, file = tmp_path / "cli", tmp_path / "helper.yaml"
    source = closer.cloud(root, "a")
    closer.plant(source)
    source.ensure(
        Keypair(id="me", name="me", public_key="ssh-ed25519 AAAA", fingerprint="-"), "unterbau.tenant.0000000000000000"
    )
    missing = closer.run(root, "plan", "a", "b", "--helper", str(file))
    assert missing.returncode == Exit.USAGE and "there is no such file" in missing.stderr
    file.write_text(written(tmp_path / "no key", 22).model_dump_json())
    keyless = closer.run(root, "plan", "a", "b", "--helper", str(file))
    assert keyless.returncode == Exit.USAGE and "there is no key" in keyless.stderr
    file.write_text(written(stand.key, 22).model_dump_json())
    done = closer.run(root, "plan", "a", "b", "--helper", str(file))
    assert done.returncode == Exit.NOT_SHOWN, done.stderr
    assert (
        "the changed blocks of 2 volumes go through helper guests" in done.stdout
        and done.stdout.count("helper guest at ") == 2
    )
    again = closer.run(root, "plan", "a", "b")
    assert "helper guest at " not in again.stdout, "made anew without it, it is without it"


def test_an_address_that_is_none_is_said_and_asks_nobody(tmp_path: Path) -> None:
    guest = Guest("source", "203.0.113.7 -oProxyCommand=x", 22, "root", "", tmp_path / "known")
    with pytest.raises(Unhelped, match="tells no address"):
        guest.argv("true")
    with pytest.raises(Unhelped, match="tells no address"):
        guest.trusting(["ssh-ed25519 AAAA"])
