# SPDX-License-Identifier: Apache-2.0
"""What a server gets, and which flavor covers another by SCS meaning (scs-0100, scs-0103). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from unterbau.scs import flavor_name
from unterbau.verdict import Model, Reason


class Flavor(Model):
    """What a server gets. RAM and swap in MiB, disks in GiB. `id` is empty where nova embeds the flavor."""

    id: str = ""
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    extra_specs: dict[str, str] = Field(default_factory=dict)


def nearest(wanted: Flavor, offered: Iterable[Flavor]) -> Flavor | None:
    """The flavor of the same name and size, else the smallest that covers by SCS meaning (scs-0100, scs-0103).

    Never fewer vCPUs, RAM or disk; never a weaker CPU class or disk type than the name or extra specs promise.
    """
    offered = list(offered)
    for one in offered:
        if one.name == wanted.name and _covers(one, wanted):
            return one
    covering = [f for f in offered if _covers(f, wanted)]
    return min(covering, key=lambda f: (f.vcpus, f.ram_mib, f.disk_gib, f.name), default=None)


def size_of(flavor: Flavor) -> Reason:
    specs = "".join(f", {k}={v}" for k, v in sorted(flavor.extra_specs.items()))
    return Reason.of("flavor.size", count=flavor.vcpus, ram=flavor.ram_mib, disk=flavor.disk_gib, specs=specs)


_CPU_RANK = {"crowded-core": 0, "shared-core": 1, "dedicated-thread": 2, "dedicated-core": 3}
_DISKS = {"network": {"network"}, "hdd": {"hdd", "ssd", "nvme"}, "ssd": {"ssd", "nvme"}, "nvme": {"nvme"}}
"""What fulfils a promised disk type: a local disk does not survive its host, so neither replaces the other."""


def _covers(offer: Flavor, wanted: Flavor) -> bool:
    """Whether the flavor gives at least what the other one has and promises, by name (scs-0100) or extra specs."""
    sizes = ("vcpus", "ram_mib", "disk_gib", "ephemeral_gib", "swap_mib")
    if any(getattr(offer, s) < getattr(wanted, s) for s in sizes):
        return False
    given, promised = _meaning(offer), _meaning(wanted)
    if given is not None and promised is not None and not flavor_name.provides_at_least(given, promised):
        return False
    if _CPU_RANK.get(_cpu_type(offer, given), 0) < _CPU_RANK.get(_cpu_type(wanted, promised), 0):
        return False
    disk = _disk_type(wanted, promised)
    return not disk or _disk_type(offer, given) in _DISKS.get(disk, {disk})


def _meaning(flavor: Flavor) -> flavor_name.Meaning | None:
    """What an SCS name promises; None for a free name."""
    try:
        return flavor_name.parse_any(flavor.name)
    except flavor_name.BadName:
        return None


def _cpu_type(flavor: Flavor, meaning: flavor_name.Meaning | None) -> str:
    told = flavor.extra_specs.get("scs:cpu-type", "")
    return told or (flavor_name.CPU_TYPES[meaning.cpu_class] if meaning else "")


def _disk_type(flavor: Flavor, meaning: flavor_name.Meaning | None) -> str:
    told = flavor.extra_specs.get("scs:disk0-type", "")
    return told or (flavor_name.DISK_TYPES[meaning.disk_type] if meaning and meaning.disk_type else "")
