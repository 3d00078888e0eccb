# SPDX-License-Identifier: Apache-2.0
"""The one place where concrete classes meet: which cloud stands behind a name, which clock, which keys.

`cli` calls it; it builds what the use cases want and decides nothing else. Each room is imported where it is wanted: no
verb waits for the libraries of another one.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from unterbau import __version__
from unterbau.defaults import LATE_SECONDS, PROBE_WAIT

if TYPE_CHECKING:
    from unterbau.cloud.port import Cloud
    from unterbau.cloud.survey import Surveyed
    from unterbau.doctor import Findings
    from unterbau.face import Face
    from unterbau.images.adding import Tools as ImageTools
    from unterbau.prove.write import Trial
    from unterbau.reference import tenant as seed
    from unterbau.stack.model import Stack
    from unterbau.switch.drill import Tools
    from unterbau.switch.probes.running import Prober

LIBRARIES = ("openstacksdk", "keystoneauth1", "pydantic", "securesystemslib", "cryptography")


def now() -> datetime:
    """The clock of the program (UTC)."""
    return datetime.now(UTC)


def clouds_files() -> tuple[Path, ...]:
    """The clouds.yaml of every complete embedded cloud; the user's own are found by openstacksdk."""
    return tuple(_complete())


def _complete() -> Iterator[Path]:
    from unterbau.reference import clients
    from unterbau.reference.layout import clouds_home

    for home in sorted(clouds_home().glob("*/cloud.json")):
        file = clients.path(home.parent)
        if file.exists():  # one that was never finished has none yet
            yield file


def open_cloud(name: str) -> Cloud:
    """The cloud of that name: the user's own or an embedded one. Raises ConfigError, AuthFailed, ..."""
    from unterbau.cloud import openstack

    return openstack.connect(name, config_files=clouds_files())


def survey(name: str) -> Surveyed:
    """The cloud `NAME` or `NAME@REGION` for `prove`, which only looks. Raises ConfigError."""
    from unterbau.cloud import openstack

    plain, _, region = name.partition("@")
    return openstack.survey(plain, now, region=region or None, config_files=clouds_files())


def open_trial(name: str) -> Trial:
    """The cloud of that name, for `prove --write`. Raises as `open_cloud` does."""
    from unterbau.cloud import openstack

    return openstack.connect(name, config_files=clouds_files())


def examine(name: str) -> Findings:
    """What the cloud of that name lacks for each verb; it is only read. Raises as `open_cloud` does."""
    from unterbau.doctor import cloud
    from unterbau.prove.collect import collect

    return cloud.look(open_cloud(name), lambda: collect(survey(name), now=now, tool=f"unterbau {__version__}"))


def examine_machine() -> Findings:
    """What this machine lacks for each verb."""
    from unterbau.doctor import machine

    return machine.look(cloud_names)


def live_stack(given: str) -> Stack | None:
    """The stack of something that runs: `cloud:NAME` of clouds.yaml, or `proxmox:https://HOST:8006`; else None.

    Proxmox VE wants a token in PROXMOX_TOKEN (USER@REALM!NAME=SECRET), and its CA in PROXMOX_CA if it is its own.
    Raises UsageError, CloudError.
    """
    form, colon, name = given.partition(":")
    if not colon:
        return None
    if form == "cloud":
        from unterbau.prove.collect import collect
        from unterbau.stack import openstack as reader

        seen = collect(survey(name), now=now, tool=f"unterbau {__version__}")
        return reader.openstack_stack(seen.model_dump(mode="json", include={"sections"}), name)
    if form == "proxmox":
        from unterbau.stack import proxmox

        token = os.environ.get("PROXMOX_TOKEN", "")
        return proxmox.proxmox_stack(proxmox.ask(proxmox.Client(name, token, ca=os.environ.get("PROXMOX_CA"))), name)
    return None


def image_tools(name: str, face: Face, stop: threading.Event, late_seconds: float = LATE_SECONDS) -> ImageTools:
    """What `images` works with, in the cloud of that name. Raises as `open_cloud` does."""
    from unterbau.images.adding import Tools
    from unterbau.switch import folders

    folder = folders.root().parent / "images"
    return Tools(open_cloud(name), folder, now, stop, face.say, late_seconds)


def cloud_names() -> tuple[str, ...]:
    """All names that `open_cloud` knows."""
    from unterbau.cloud import openstack

    return openstack.cloud_names(clouds_files())


def plant(name: str, number: int, face: Face) -> seed.Planted:
    """Plant the tenant "Fachverfahren" in the cloud."""
    from unterbau.reference import tenant as seed

    return seed.plant(open_cloud(name), seed=number, now=now(), progress=face.say)


def versions() -> dict[str, str]:
    """What took part in a drill on our side."""
    from importlib.metadata import version

    return {"unterbau": __version__, "python": platform.python_version()} | {n: version(n) for n in LIBRARIES}


def prober(stop: threading.Event) -> Prober:
    """What asks places from outside both clouds."""
    from unterbau.reference.doors import door_to
    from unterbau.switch.probes.running import Prober

    return Prober(now=now, stop=stop, door=door_to)


def tools(
    face: Face, stop: threading.Event, late_seconds: float = LATE_SECONDS, probe_wait: float = PROBE_WAIT
) -> Tools:
    """What the phases of a drill work with."""
    from unterbau.reference.layout import data_home
    from unterbau.switch.drill import Tools

    return Tools(
        connect=open_cloud, now=now, face=face, stop=stop, keys=data_home() / "keys", versions=versions, secrets=secrets,
        late_seconds=late_seconds, probe_wait=probe_wait, probing=prober,
    )  # fmt: skip


def secrets(name: str) -> tuple[str, ...]:
    """The credentials with which `open_cloud` enters."""
    from unterbau.cloud import openstack

    return openstack.secrets(name, clouds_files())
