# SPDX-License-Identifier: Apache-2.0
"""Two simulated clouds whose helper guests are real servers of ssh, and the process that the suite kills while it moves by them.

`helped.py ROOT KILL_AFTER pre-copy|cut-over|unwind`, as `mover.py`. Here a GiB is 64 KiB, as the simulator has it, in blocks of
4 KiB, six of which are a window. The guest of a side is reached at an address of loopback; the test answers there
(`test_helper_guests.py`). What the guests say on their consoles stands in `ROOT/console`. A file beside the world of a cloud
refuses what it names: `refuse`: these kinds.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import killing
import mover

from unterbau.cloud.simulator import GIB, Simulator
from unterbau.cloud.waiting import heeding
from unterbau.errors import OverQuota
from unterbau.face import Face
from unterbau.saga import Journal
from unterbau.switch import drill
from unterbau.switch.move import blocks, helping
from unterbau.tenant.kinds import NOTHING, FixedIp, Port, Resource, Source, Subnet

BLOCK, WINDOW = 4096, 6
ADDRESSES = {"a": "127.0.0.2", "b": "127.0.0.3"}
MAC = "fa:16:3e:00:0f:0f"


class Cloud(Simulator):
    """It has an address for a port that names none, and consoles."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root / name, name=name)
        self.consoles = lambda server: (root / "console").read_text() if (root / "console").exists() else ""

    def ensure(self, resource: Resource, marker: str, *, before: tuple[str, ...] = (), source: Source = NOTHING) -> str:
        """See `Simulator`."""
        refused = self.folder / "refuse"
        if refused.exists() and resource.own_kind.value in refused.read_text().split():
            raise OverQuota(f"{self.name}: quota of {resource.own_kind.value} exceeded")
        if isinstance(resource, Port) and not resource.mac_address:
            subnet = next(s for s in self._side().of(Subnet) if s.network_id == resource.network_id)
            ips = (FixedIp(subnet_id=subnet.id, ip_address=ADDRESSES[self.name]),)
            resource = resource.model_copy(update={"mac_address": MAC, "fixed_ips": ips})
        return super().ensure(resource, marker, before=before, source=source)


def clouds(root: Path) -> dict[str, Cloud]:
    """Both, as they are now."""
    return {name: Cloud(root, name) for name in "ab"}


def work(root: Path) -> drill.Drill:
    """The drill between them."""
    blocks.BLOCK, blocks.WINDOW = BLOCK, WINDOW
    helping.length_of = lambda disk: disk.disk_gib() * GIB  # type: ignore[attr-defined]
    helping.GUEST_SECONDS = float(os.environ.get("GUEST_SECONDS", "60"))
    blocks.DISK_SECONDS = float(os.environ.get("DISK_SECONDS", "60"))
    helping.LOOK_SECONDS = 0.1
    both = clouds(root)
    tools = drill.Tools(
        connect=both.__getitem__, now=lambda: datetime.now(UTC), face=Face(), stop=threading.Event(), keys=root / "keys",
        versions=dict, secrets=lambda name: (), workers=4, late_seconds=0.0,
    )  # fmt: skip
    return drill.Drill(mover.folder(root), tools)


def main() -> int:
    root, kill_after, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    drill.Journal = functools.partial(Journal, on_write=killing.at(kill_after))  # type: ignore[assignment,attr-defined]
    if what == "unwind":
        work(root).close_target()
        return 0
    return 0 if work(root).move(cut="pre-copy" if what == "pre-copy" else "cut-over").complete else 1


if __name__ == "__main__":
    with heeding(threading.Event(), lambda line: print(line, file=sys.stderr)):  # noqa: T201 - the test reads it
        sys.exit(main())
