# SPDX-License-Identifier: Apache-2.0
"""How long nobody answers while an application goes from one cloud to the other. `cli` calls it for `unterbau probe --to`.

Whoever moves it: this program, or another one. Only addresses, ports and networks are read, of either side; how a place is
asked stands in `probes`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from unterbau.cloud.port import Reader
from unterbau.errors import CloudError, UsageError
from unterbau.face import Face
from unterbau.switch.plan import Plan
from unterbau.switch.probes import watching
from unterbau.switch.probes.model import address_of
from unterbau.switch.probes.outage import Watched
from unterbau.switch.probes.running import Prober
from unterbau.switch.verify import counterparts
from unterbau.tenant.kinds import Kind
from unterbau.tenant.workload import Workload

PLACES = (Kind.NETWORK, Kind.PORT, Kind.FLOATING_IP)
"""What a place is called by, and found by on the other side."""


def read_watched(path: Path) -> Watched:
    """What was watched, as `unterbau probe --to` wrote it. Raises UsageError."""
    try:
        return Watched.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror})", "Name the file of `unterbau probe --to`."
        ) from None
    except ValidationError as error:
        raise UsageError(f"{path}: no watch of two clouds ({error.error_count()} faults)",
                         "Name the file of `unterbau probe --to`.") from None  # fmt: skip


def watch(
    source: Reader, target: Reader, plan: Plan, prober: Prober, face: Face, *, seconds: float | None = None,
    keep: Callable[[Watched], None] = lambda seen: None, earlier: Watched | None = None,
) -> Watched:  # fmt: skip
    """Ask both sides until the target answers as the source did last, `seconds` are over, or the prober is stopped.

    `earlier` is what a watch of the same two saw that ended early; `keep` is called every few seconds, and at the end. Raises
    UsageError for a plan without probes that could be watched, CloudErrors of the source.
    """
    ours = _places(source, prober)
    at = {probe.id: address_of(ours, probe.at) for probe in plan.probes}
    probes = watching.watched(plan.probes, lambda probe: at[probe.id])
    if not probes:
        raise UsageError("nothing can be watched: the plan has no probe of anything open that the source still has",
                         "Make the plan with --probe or --probes; commands in guests are not watched.")  # fmt: skip
    there, began = target.identity(), prober.now()

    def find() -> Mapping[str, str]:
        try:
            theirs = _places(target, prober)
        except CloudError as error:
            face.say(f"the target's places cannot be read now: {error}")
            return {}
        pairs = counterparts(ours, theirs, plan, {})
        return {probe.id: address_of(theirs, pairs.get(probe.at, "")) for probe in probes}

    asking = replace(prober, rate=math.inf)  # the watch itself says how often
    going = watching.Watch(asking, [(probe, at[probe.id]) for probe in probes], find, face.say)

    def seen() -> Watched:
        now = Watched(source=ours.identity, target=there, began=began, ended=prober.now(), courses=going.courses())
        return now.after(earlier) if earlier is not None else now

    going.run(None if seconds is None else time.monotonic() + seconds, lambda: keep(seen()))
    told = seen()
    keep(told)
    return told


def _places(cloud: Reader, prober: Prober) -> Workload:
    """The public addresses and ports of a side, with what they are called by."""
    found = [cloud.listing(kind) for kind in PLACES]
    resources = tuple(r for listing in found for r in listing.resources)
    return Workload(identity=cloud.identity(), taken_at=prober.now(), resources=resources)
