# SPDX-License-Identifier: Apache-2.0
"""The real supervisor over dummy services, with behaviours from `dummy.json`; as `reference.supervise`.

The first is a process made by itself, the others are forked until all are ready.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from unterbau.reference import nursery, plant, process, services, supervise, supervisor
from unterbau.reference.layout import Layout
from unterbau.reference.services import Service


def dummy(layout: Layout) -> supervisor.Supervisor:
    """One service for each entry of `dummy.json`; all but the first need the first."""
    program = str(Path(__file__).with_name("dummy_service.py"))
    spec = json.loads((layout.root / "dummy.json").read_text())
    first = next(iter(spec))
    made = [
        Service(
            name=name,
            argv=(sys.executable, program, str(getattr(layout.ports, name)), str(layout.tls), behaviour),
            env={},
            needs=() if name == first else (first,),
            ready="/",
            port=getattr(layout.ports, name),
            forked=name != first,
        )
        for name, behaviour in spec.items()
    ]
    probe = process.https_probe(layout.ca)
    argv = (sys.executable, str(services.PROGRAMS / "nursery.py"), str(layout.root), "json")
    loaded = nursery.Nursery(argv, {}, layout.log / "nursery.log")
    return supervisor.Supervisor(layout.root, made, probe, {}, lambda say: loaded.close(), loaded.spawn)


if __name__ == "__main__":
    plant.supervisor = dummy
    supervisor.START_SECONDS = 3.0
    sys.exit(supervise.main(sys.argv[1]))
