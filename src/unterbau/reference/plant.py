# SPDX-License-Identifier: Apache-2.0
"""Make one cloud exist on disk, and put its supervisor together; between the launcher and the parts.

`prepare` is find-or-create throughout: killed anywhere, the next one completes it. Order: identity of the
cloud (ports, passwords) first and durable, then what is derived from it, then the databases with a mark.
"""

from __future__ import annotations

import base64
import json
import os
import secrets as random
import subprocess
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from unterbau.errors import LocalError, ServiceDied, UsageError
from unterbau.reference import (
    bootstrap,
    clients,
    disk,
    extras,
    guest_image,
    guests,
    install,
    needs,
    nursery,
    packets,
    ports,
    process,
    readiness,
    services,
    template,
)
from unterbau.reference.layout import Layout, Ports, Secrets, clouds_home
from unterbau.reference.supervisor import Supervisor

_TOOL_SECONDS = 30
_TAIL = 500


def root(name: str) -> Path:
    """The directory of the cloud, whether it exists or not."""
    return clouds_home() / name


def load(name: str) -> Layout:
    """The layout of a prepared cloud. LocalError if there is none."""
    known = disk.read_json(root(name) / "cloud.json")
    if known is None:
        raise LocalError(f"there is no cloud {name} on this machine", f"Create it: unterbau cloud up {name}")
    return Layout(name, root(name), Path(known["runtime"]), Ports(**known["ports"]), tuple(known.get("with", ())))


def load_secrets(layout: Layout) -> Secrets:
    """The cloud's passwords."""
    known = disk.read_json(layout.root / "secrets.json")
    if known is None:
        raise LocalError(f"{layout.root / 'secrets.json'} is missing", f"unterbau cloud wipe {layout.name}, then up")
    return Secrets(**known)


def prepare(
    name: str,
    progress: Callable[[str], None],
    *,
    force_upload: bool,
    with_: tuple[str, ...] | None = None,
    install_packages: bool = False,
) -> Layout:
    """Everything that must stand on disk before the services start; the cloud must not be running.

    `with_`: the extras; None are those that it has. `install_packages`: of Debian, for the extras.

    Raises:
        LocalError: no room, no permission, a port that is taken, a failed installation or schema.
        UsageError: a cloud that has other extras.
    """
    needs.demand(name)
    chosen = _extras(name, with_)
    extras.demand(chosen, install=install_packages, say=progress)
    home = disk.private_directory(clouds_home())
    disk.private_directory(root(name))
    disk.demand_room(home, install.CLOUD_BYTES)
    runtime = install.ensure(progress)
    layout = _identify(name, runtime, force_upload, chosen)
    secrets = _have_secrets(layout)
    if _first(layout):
        made = template.ensure(runtime, secrets, progress)
    if chosen:
        _lay_ground(layout, secrets, progress, force_upload)
    else:
        template.write_config(layout, secrets, force_upload=force_upload)
    _have_tls(layout)
    if _first(layout):
        template.copy_into(made, layout, secrets)
        disk.write_private(layout.root / ".databases.json", json.dumps({"template": made.name}))
    return layout


def _extras(name: str, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """A cloud has its extras from its making on: its networks and servers are recorded for them."""
    known = disk.read_json(root(name) / "cloud.json")
    if known is None:
        return wanted or ()
    has = tuple(known.get("with", ()))
    if wanted is None or wanted == has:
        return has
    raise UsageError(
        f"cloud {name} was made {'with ' + ','.join(has) if has else 'without guests and packets'}; that stays",
        f"Make another cloud, or: unterbau cloud wipe {name}, then up --with {','.join(wanted)}",
    )


def _lay_ground(layout: Layout, secrets: Secrets, progress: Callable[[str], None], force_upload: bool) -> None:
    """Configuration, databases and programs of the switch and of libvirtd."""
    if extras.as_root():
        progress("guests and packets are made as root: floating IPs answer on this machine")
    else:
        progress(
            "guests and packets stand in a user namespace, without root: floating IPs answer to   "
            f"unterbau cloud enter {layout.name} COMMAND   and to probes"
        )
    image = guest_image.ensure(progress)
    kvm = guests.uses_kvm(image.with_name("vmlinuz"))
    progress("guests run with KVM" if kvm else "guests are emulated: none starts with KVM here")
    template.write_config(layout, secrets, force_upload=force_upload, kvm=kvm)
    disk.private_directory(layout.var / "instances")  # Nova asks for its room before it makes it
    (guests.programs(layout) / "qemu-system-x86_64").chmod(0o700)
    home, binding = disk.private_directory(layout.var / "ovn"), disk.private_directory(guests.binding(layout))
    for found in extras.BINDING.glob("libvirt*"):
        if found.is_file():
            (binding / found.name).unlink(missing_ok=True)
            (binding / found.name).symlink_to(found)
    for name, schema in packets.DATABASES.items():
        if not (home / name).exists():
            _tool(layout, "ovsdb-tool", "create", str(home / name), schema)


def _tool(layout: Layout, *argv: str) -> None:
    """A command of Open vSwitch or OVN that must succeed."""
    environ = {**os.environ, **packets.environment(layout), "PATH": extras.SYSTEM}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environ, timeout=_TOOL_SECONDS)
    if done.returncode:
        raise ServiceDied(f"{argv[0]} ended with exit status {done.returncode}: {done.stderr.strip()[-_TAIL:]}")


def _introduce(layout: Layout, say: Callable[[str], None]) -> None:
    _tool(layout, "ovs-vsctl", *packets.introduction(layout))


def _initialise(layout: Layout, program: str, database: str, say: Callable[[str], None]) -> None:
    _tool(layout, program, f"--db={packets.sockets(layout, database)}", "init")


def supervisor(layout: Layout) -> Supervisor:
    """The supervisor of a prepared cloud, with its bootstrap."""
    secrets = load_secrets(layout)
    ready = readiness.Readiness(layout, secrets)

    loaded = nursery.Nursery(services.nursery(layout), services.environment(layout), layout.log / "nursery.log")

    def finish(say: Callable[[str], None]) -> None:
        ready.demand(say, again=bootstrap.offering(layout, secrets, say))
        clients.write(layout, secrets)
        loaded.close()

    def accounts(say: Callable[[str], None]) -> None:
        bootstrap.identity(layout, secrets, say)
        ready.entrance()

    after: dict[str, Callable[[Callable[[str], None]], None]] = {"keystone": accounts}
    after |= {name: partial(_warm, ready, name) for name in readiness.LISTINGS}
    if extras.OVN in layout.extras:
        after["ovsdb"] = partial(_introduce, layout)
        after["ovn-nb"] = partial(_initialise, layout, "ovn-nbctl", "nb")
        after["ovn-sb"] = partial(_initialise, layout, "ovn-sbctl", "sb")
    probe = process.https_probe(layout.ca)
    return Supervisor(layout.root, services.services(layout), probe, after, finish, loaded.spawn)


def _warm(ready: readiness.Readiness, service: str, say: Callable[[str], None]) -> None:
    ready.warm(service)


def _first(layout: Layout) -> bool:
    return not (layout.root / ".databases.json").exists()


def _identify(name: str, runtime: Path, force_upload: bool, chosen_extras: tuple[str, ...]) -> Layout:
    """Ports are chosen once and kept; before the first start a taken block is exchanged for another."""
    with disk.locked(clouds_home() / ".ports.lock"):
        path = root(name) / "cloud.json"
        known = disk.read_json(path)
        if known is None:
            chosen = ports.choose(_ports_of_others(name))
        else:
            chosen = Ports(**known["ports"])
            if (root(name) / "credentials.json").exists():
                ports.demand_free(chosen, name)
            elif not all(ports.is_free(p) for p in chosen.all().values()):
                chosen = ports.choose(_ports_of_others(name))
        created = known["created"] if known else datetime.now(UTC).isoformat(timespec="seconds")
        text = {
            "created": created,
            "runtime": str(runtime),
            "ports": chosen.all(),
            "force_upload": force_upload,
        }
        if chosen_extras:
            text["with"] = chosen_extras
        disk.write_private(path, json.dumps(text, indent=1))
    return Layout(name, root(name), runtime, chosen, chosen_extras)


def _ports_of_others(name: str) -> set[int]:
    taken: set[int] = set()
    for path in clouds_home().glob("*/cloud.json"):
        if path.parent.name != name:
            taken |= set((disk.read_json(path) or {"ports": {}})["ports"].values())
    return taken


def _have_secrets(layout: Layout) -> Secrets:
    path = layout.root / "secrets.json"
    if not path.exists():
        made = {f.name: random.token_urlsafe(24) for f in fields(Secrets)}
        made["barbican_kek"] = base64.urlsafe_b64encode(random.token_bytes(32)).decode()
        made["swift_hash_prefix"] = random.token_hex(16)
        made["swift_hash_suffix"] = random.token_hex(16)
        disk.write_private(path, json.dumps(asdict(Secrets(**made))))
    return load_secrets(layout)


def _have_tls(layout: Layout) -> None:
    # The library for certificates is slow to load and the supervisor has no use for it.
    from unterbau.reference import pki

    pki.ensure(layout.tls, layout.name, datetime.now(UTC))


def leftovers(layout_root: Path) -> list[psutil.Process]:
    """Processes of services that the last supervisor recorded and that still live, with their children.

    Each service leads a session of its own, so children are found by the session even when their parent is
    gone; the lifeline in their environment tells them from strangers.
    """
    record = disk.read_json(layout_root / "status.json") or {"services": {}}
    sessions = {s["pid"]: s["created"] for s in record["services"].values() if s["pid"] is not None}
    return [found for found in psutil.process_iter() if sessions and _left_over(found, sessions)]


def _left_over(found: psutil.Process, sessions: dict[int, float | None]) -> bool:
    try:
        created = sessions.get(os.getsid(found.pid))
        return (
            created is not None
            and found.create_time() > created - 0.05
            and found.status() != psutil.STATUS_ZOMBIE
            and process.LIFELINE in found.environ()
        )
    except (OSError, psutil.Error):
        return False


def alive(pid: int | None, created: float | None) -> psutil.Process | None:
    """The process with this id and start time, if it lives (a zombie does not)."""
    if pid is None or created is None or pid == os.getpid():
        return None
    try:
        found = psutil.Process(pid)
        if abs(found.create_time() - created) < 0.05 and found.status() != psutil.STATUS_ZOMBIE:
            return found
    except psutil.Error:
        pass
    return None
