# SPDX-License-Identifier: Apache-2.0
"""The simulator with backups and consoles, for `prove --write`; and the process that the crash suite kills.

`trials.py ROOT KILL_AFTER` runs the writing test cases on the cloud in ROOT and kills itself with SIGKILL after journal
write number KILL_AFTER (0: never).
"""

from __future__ import annotations

import functools
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import killing

from unterbau.cloud.simulator import Simulator
from unterbau.errors import Conflict, Forbidden
from unterbau.prove import guest, write
from unterbau.prove.inventory import Item, Section
from unterbau.saga import Journal
from unterbau.tenant.kinds import Backup, Image, Kind, Resource, Secret, Source, Volume, ref

PATIENCE = write.Patience(
    settle=timedelta(seconds=5),
    console=timedelta(seconds=1),
    quiet=timedelta(seconds=0.2),
    pause=0.01,
    payload=3000,
    late=0.0,
)
GOOD = guest.line({"entropy_avail": 256, "kernel": "6.8.0", "blocks": 1000, "failures": 1})


class Trials(Simulator):
    """Implements `prove.write.Trial`. `faults` names what is broken in this cloud."""

    def __init__(self, folder: Path, *faults: str, console: str = GOOD) -> None:
        super().__init__(folder, name="trials")
        self.faults, self.text = set(faults), console
        self.user_data = ""
        if not any(isinstance(r, Image) for r in self._all()) and "no image" not in faults:
            self._put(
                Image(
                    id="debian", name="Debian 13", status="active", visibility="public", min_disk_gib=8, min_ram_mib=512,
                    properties={"os_distro": "debian", "os_purpose": "generic"},
                )
            )  # fmt: skip

    def _make(self, wish: Resource, marker: str, source: Source, *, finished: bool = True) -> str:
        if isinstance(wish, Secret) and "no secrets" in self.faults:
            raise Forbidden("trials: a member may not create secrets")
        if isinstance(wish, Backup) and "no backups" in self.faults:
            raise Conflict("trials: no backup service")
        self.user_data = source.user_data or self.user_data
        id_ = super()._make(wish, marker, source, finished=finished)
        if isinstance(wish, Backup):
            made = self._must(ref(Kind.BACKUP, id_))
            self._blob(made.ref).write_bytes(self._content(ref(Kind.VOLUME, wish.volume_id)))
            status = "error" if "backups end in error" in self.faults else "available"
            self._put(made.model_copy(update={"status": status}))
        if isinstance(wish, Volume) and source.image_id and "volumes lose bytes" in self.faults:
            self._blob(ref(Kind.VOLUME, id_)).write_bytes(bytes(wish.size_gib * 65536))
        return id_

    def restore(self, backup_id: str, volume_id: str) -> None:
        data = self._content(self._must(ref(Kind.BACKUP, backup_id)).ref)
        if "backups lie" in self.faults:
            data = data[:1000] + b"!" + data[1001:]
        self._blob(ref(Kind.VOLUME, volume_id)).write_bytes(data)

    def console(self, server_id: str) -> str:
        self._must(ref(Kind.SERVER, server_id))
        return f"[    0.000000] Linux version 6.8\n{self.text}\r\nlogin: "

    def delete(self, reference: str, deadline: timedelta) -> None:
        if "nothing can be deleted" in self.faults:
            raise Conflict("trials: not now")
        super().delete(reference, deadline)


def run(cloud: Trials, folder: Path, **more: Any) -> Section:
    return write.run(
        cloud, now=lambda: datetime.now(UTC), folder=folder, stop=more.pop("stop", threading.Event()),
        patience=more.pop("patience", PATIENCE), **more,
    )  # fmt: skip


def items(section: Section) -> dict[str, Item]:
    return {str(item["test"]): item for item in section.items}


def main() -> int:
    root, kill_after = Path(sys.argv[1]), int(sys.argv[2])
    write.Journal = functools.partial(Journal, on_write=killing.at(kill_after))  # type: ignore[assignment,attr-defined]
    run(Trials(root / "cloud"), root / "journals")
    return 0


if __name__ == "__main__":
    sys.exit(main())
