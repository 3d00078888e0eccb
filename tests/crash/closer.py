# SPDX-License-Identifier: Apache-2.0
"""The command line between two simulators: `closer.py ROOT KILL_AFTER ARGUMENT...`; and the drill that it closes.

`drill` starts its verifier in the same way. The clouds `a` and `b` lie under ROOT, the drills under ROOT/state, the key under ROOT/data. With KILL_AFTER a process
kills itself with SIGKILL after that write into a journal of the closing (0: never), with -KILL_AFTER before that change of
anything in ROOT/state.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import killing
from pydantic import SecretBytes

from unterbau import files, wiring
from unterbau.cli import main as command_line
from unterbau.cloud.simulator import GIB, Bytes, Simulator
from unterbau.errors import Forbidden, OverQuota
from unterbau.face import Face
from unterbau.saga import Journal, Marker
from unterbau.switch import close, drill, folders, verify
from unterbau.switch.probes.running import Prober
from unterbau.tenant.kinds import (
    NOTHING,
    Attachment,
    Container,
    FixedIp,
    FloatingIp,
    Image,
    Kind,
    Network,
    Port,
    Ref,
    Resource,
    Route,
    Router,
    RouterInterface,
    Secret,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    Source,
    StoredObject,
    Subnet,
    Volume,
    id_of,
    ref,
)

ALL = ("server.user_data", "server.local_disk", "floating_ip.address", "router.external_fixed_ips")
"""The losses of the tenant that `plant` makes."""


class Cloud(Simulator):
    """What files beside the world say.

    `hold`: images do not end for a verifier; `deaf`: nor does it hear anything meanwhile; `refuse` (kinds): no quota for these; `stuck`: guests give no disk back;
    `keep` (kinds): these are not deleted; `die`: after so many deletions of objects the process is killed.
    """

    def __init__(self, folder: Path, *, name: str) -> None:
        super().__init__(folder, name=name)
        self.stuck = (folder / "stuck").exists()

    @contextmanager
    def image_bytes(self, image_id: str) -> Iterator[Bytes]:
        with super().image_bytes(image_id) as stream:
            yield Held(stream, self.folder / "hold") if sys.argv[1:2] == ["verify"] else stream

    def ensure(self, resource: Resource, marker: str, *, before: tuple[str, ...] = (), source: Source = NOTHING) -> str:
        refused = self.folder / "refuse"
        if refused.exists() and resource.own_kind.value in refused.read_text().split():
            raise OverQuota(f"{self.name}: quota of {resource.own_kind.value} exceeded")
        return super().ensure(resource, marker, before=before, source=source)

    def delete(self, reference: Ref, deadline: timedelta) -> None:
        kept = self.folder / "keep"
        if kept.exists() and reference.partition(":")[0] in kept.read_text().split():
            raise Forbidden(f"{self.name}: {reference} may not be deleted")
        super().delete(reference, deadline)
        if reference.startswith("object:"):
            self._die()

    def _die(self) -> None:
        path = self.folder / "die"
        with self._lock:
            left = int(path.read_text()) if path.exists() else 0
            if left:
                path.write_text(str(left - 1))
            if left == 1:
                path.unlink()
                os.kill(os.getpid(), signal.SIGKILL)


class Held(Bytes):
    """A stream that goes on as long as a file is there."""

    def __init__(self, stream: Bytes, hold: Path) -> None:
        super().__init__(b"".join(stream))
        self._hold = hold

    def __iter__(self) -> Iterator[bytes]:
        while self._hold.exists():
            time.sleep(0.05)
            if not self._hold.with_name("deaf").exists():
                yield b""
        yield from super().__iter__()


def cloud(root: Path, name: str) -> Simulator:
    """A cloud by one of its names."""
    own = name.removesuffix("-again")
    return Cloud(root / own, name=own)


def prober(root: Path, stop: threading.Event) -> Prober:
    """What asks the places of these clouds: `ROOT/places.json` says which port of loopback each is, `ADDRESS:PORT` or `*:PORT`."""

    def place(address: str, port: int) -> tuple[str, int]:
        path = root / "places.json"
        told = json.loads(path.read_text()) if path.exists() else {}
        return "127.0.0.1", told.get(f"{address}:{port}", told.get(f"*:{port}", 1))

    return Prober(now=wiring.now, stop=stop, place=place, rate=1000.0, seconds=5.0)


def environment(root: Path) -> dict[str, str]:
    """Of a program in a world; what is killed leaves its temporary folders there, too."""
    return {
        **os.environ, "XDG_STATE_HOME": str(root / "state"), "XDG_DATA_HOME": str(root / "data"), "TMPDIR": str(root),
    }  # fmt: skip


def plant(there: Simulator) -> dict[str, Ref]:
    """A small tenant with what makes emptying hard; name -> Ref."""
    refs: dict[str, Ref] = {}

    def have(wish: Resource, source: Source = NOTHING, name: str = "") -> str:
        name = name or wish.name
        id_ = there.ensure(wish, Marker(run="tenant", node=name).tag(), source=source)
        refs[name] = ref(wish.own_kind, id_)
        return id_

    flavor = next(f for f in there.surroundings().offering.flavors if f.name == "SCS-2V-8")
    group = have(SecurityGroup(id="-", name="web"))
    have(SecurityGroupRule(id="-", security_group_id=group, direction="ingress", ethertype="IPv4"), name="rule")
    net = have(Network(id="-", name="net"))
    sub = have(Subnet(id="-", name="sub", network_id=net, ip_version=4, cidr="10.0.0.0/24", gateway_ip="10.0.0.1"))
    router = have(Router(id="-", name="edge", external_network_id=f"public-{there.name}"))
    ips = (FixedIp(subnet_id=sub, ip_address="10.0.0.1"),)
    have(RouterInterface(id="-", name="leg", router_id=router, network_id=net, fixed_ips=ips))
    routes = (Route(destination="10.9.0.0/16", nexthop="10.0.0.2"),)
    there.set_bonds(Router(id=router, name="edge", routes=routes))
    ips = (FixedIp(subnet_id=sub, ip_address="10.0.0.7"),)
    port = have(Port(id="-", name="port", network_id=net, mac_address="fa:16:3e:00:00:07", fixed_ips=ips,
                     security_group_ids=(group,)))  # fmt: skip
    have(FloatingIp(id="-", address="-", external_network_id=f"public-{there.name}", port_id=port), name="www")
    image = Image(id="-", name="image", status="queued", visibility="private", protected=True)
    image = image.model_copy(update={"id": have(image)})
    there.write_image(image, [b"image" * 1000], 5000)
    for name in ("root", "data", "spare", "loose"):
        id_ = have(Volume(id="-", name=name, status="", size_gib=1, volume_type="default", bootable=name == "root"))
        there._blob(ref(Kind.VOLUME, id_)).write_bytes((name.encode() * 5000).ljust(GIB, b"\0"))
    root = Attachment(id="-", server_id="-", volume_id=id_of(refs["root"]), boot_index=0, delete_on_termination=True)
    db = have(Server(id="-", name="db", status="ACTIVE", flavor=flavor, port_ids=(port,)), Source(disks=(root,)))
    have(Attachment(id="-", server_id=db, volume_id=id_of(refs["data"])), name="disk")
    web = have(Server(id="-", name="web-1", status="ACTIVE", flavor=flavor, image_id=image.id))
    there.set_lock(web, True)
    have(Container(id="box", name="box"))
    for name in ("a.txt", "b.txt", "part/1", "part/2"):
        refs[name] = put(there, name, f"content of {name}\n".encode())
    there.write_manifest(StoredObject(id="-", name="joined", container="box", size_bytes=0, etag="",
                                      dlo_prefix="box/part/"), "unterbau.tenant.0000000000000000")  # fmt: skip
    secret = Secret(id="-", name="key", content_type="application/octet-stream")
    there.write_secret(have(secret), secret, SecretBytes(b"\x00secret"))
    return refs


def put(there: Simulator, name: str, data: bytes) -> Ref:
    """An object in the container `box`."""
    wish = StoredObject(id="-", name=name, container="box", size_bytes=len(data), etag="")
    there.delete(
        ref(Kind.OBJECT, f"box/{name}"), timedelta(seconds=5)
    )  # a user overwrites; the port refuses what another marker has
    there.write_object(wish, [data], "unterbau.tenant.0000000000000000")
    return ref(Kind.OBJECT, f"box/{name}")


def drilled(root: Path, *, keep: bool, target: str = "b") -> folders.Folder:
    """A finished drill from `a`, whose tenant stands already. The environment must be `environment(root)`."""
    tools = drill.Tools(
        connect=lambda name: cloud(root, name), now=lambda: datetime.now(UTC), face=Face(quiet=True),
        stop=threading.Event(), keys=root / "data" / "unterbau" / "keys", versions=dict, secrets=lambda name: (),
    )  # fmt: skip
    folder = folders.begin("a", target, keep, tools.now())
    work = drill.Drill(folder, tools)
    work.census()
    plan = work.plan()
    assert work.move().complete
    seen = verify.look(*work.clouds(), plan, work=folder.path, now=tools.now)
    files.write(folder.verdicts, seen.model_dump_json(indent=1).encode())
    if not keep:
        work.close_target()
    work.seal()
    folder.save(folder.load().model_copy(update={"finished": True}))
    return folder


ALARM = 120.0
"""Seconds after which something that should come never will."""


def until(what: Callable[[], object]) -> None:
    """Wait for it."""
    end = time.monotonic() + ALARM
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def run(
    root: Path, *arguments: str, typed: str = "", kill_after: int = 0, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """`unterbau ARGUMENTS` with these clouds, and what a person types."""
    return subprocess.run(
        [sys.executable, __file__, str(root), str(kill_after), *arguments], input=typed, capture_output=True, text=True,
        check=False, env=environment(root), timeout=timeout,
    )  # fmt: skip


def started(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """`unterbau ARGUMENTS`, which goes on."""
    return subprocess.Popen(
        [sys.executable, __file__, str(root), "0", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=environment(root),
    )  # fmt: skip


@contextmanager
def asked(root: Path, *arguments: str) -> Iterator[Asked]:
    """`unterbau ARGUMENTS`, held where it asks a person; leaving the block types what `Asked.typed` says."""
    with subprocess.Popen(
        [sys.executable, __file__, str(root), "0", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment(root),
    ) as child:  # fmt: skip
        assert child.stderr is not None
        told = b""
        while b"Type the " not in told:
            chunk = os.read(child.stderr.fileno(), 65536)
            assert chunk, told.decode()
            told += chunk
        question = Asked()
        yield question
        out, err = child.communicate(question.typed.encode(), timeout=300)
        question.code, question.stdout, question.stderr = child.returncode, out.decode(), (told + err).decode()


@dataclass
class Asked:
    """What was typed, and how the command ended."""

    typed: str = "a\n"
    code: int = -1
    stdout: str = ""
    stderr: str = ""


def standing(root: Path, name: str) -> set[str]:
    """The Refs on one side, raw, but for the group that every project has."""
    return {r for r, called in cloud(root, name).enumerate_all().items() if called != "default"}


def main() -> None:
    root, kill_after = Path(sys.argv[1]), int(sys.argv[2])
    sys.argv = ["unterbau", *sys.argv[3:]]
    wiring.open_cloud = functools.partial(cloud, root)
    wiring.secrets = lambda name: ()
    wiring.prober = functools.partial(prober, root)
    tools = wiring.tools
    program = (sys.executable, __file__, str(root), "0")
    wiring.tools = lambda *given: dataclasses.replace(tools(*given), program=program, probing=wiring.prober)
    killing.at_moment(max(0, -kill_after), root / "state")
    close.Journal = functools.partial(Journal, on_write=killing.at(kill_after))  # type: ignore[assignment,attr-defined]
    if sys.argv[1] in ("close", "drill"):
        sys.argv += ["--late-writes", "0"]  # a request to this simulator ends with its client
    command_line()


if __name__ == "__main__":
    main()
