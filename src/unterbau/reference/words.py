# SPDX-License-Identifier: Apache-2.0
"""What the terminal shows of the embedded clouds; called by `cli`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unterbau.face.results import safe, table


def clouds(found: Iterable[Any]) -> None:
    """One line a cloud."""
    rows = [[safe(c.name), safe(c.state), f"{c.memory_bytes // 2**20} MiB", safe(c.auth_url)] for c in found]
    table(["cloud", "state", "memory", "auth url"], rows)


def cloud_services(found: Iterable[Any]) -> None:
    """One line a service."""
    rows = []
    for cloud in found:
        rows.append([f"[bold]{safe(cloud.name)}[/bold]", safe(cloud.state), "", "", f"{cloud.memory_bytes // 2**20} MiB",
                     safe(cloud.error.splitlines()[0] if cloud.error else "")])  # fmt: skip
        if cloud.floating_ips:
            how = f"unterbau cloud enter {safe(cloud.name)} COMMAND" if cloud.floating_ips == "inside" else ""
            rows.append(["  floating IPs", cloud.floating_ips, "", "", "", how])
        for service in cloud.services:
            up = f"up {service.uptime_seconds:.0f} s" if service.pid else ""
            error = service.error.splitlines()[0] if service.error and service.state == "dead" else ""
            rows.append([f"  {safe(service.name)}", safe(service.state), str(service.port or ""), up,
                         f"{service.memory_bytes // 2**20} MiB", safe(error)])  # fmt: skip
    table(["service", "state", "port", "since", "memory", "error"], rows)
