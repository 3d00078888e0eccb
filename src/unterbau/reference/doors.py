# SPDX-License-Identifier: Apache-2.0
"""Which door leads to a public address of an embedded cloud that this machine does not reach by itself. `wiring` asks."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import Path

from unterbau.reference import disk, packets
from unterbau.reference.layout import Layout, Ports, clouds_home


def door_to(address: str) -> Path | None:
    """The socket that `runtime/ground.py` keeps for the cloud with that address; None: there is none, and no need of one."""
    try:
        sought = ip_address(address)
    except ValueError:
        return None
    for place in clouds_home().glob("*/cloud.json"):
        known = disk.read_json(place) or {}
        if known.get("with"):
            layout = Layout(place.parent.name, place.parent, Path(known["runtime"]), Ports(**known["ports"]))
            theirs = any(sought in ip_interface(one).network for one in packets.gateways(layout))
            if theirs and packets.door(layout).exists():
                return packets.door(layout)
    return None
