# SPDX-License-Identifier: Apache-2.0
"""What a cloud's application answers, asked alone and recorded, before a source stops. `cli` calls it for `unterbau probe`.

Files in and out: probes that a person wrote, answers that were recorded. How a place is asked stands in `probes`, and
what follows from an answer, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from unterbau.cloud.port import Reader
from unterbau.errors import LocalError, UsageError
from unterbau.face import Face
from unterbau.switch.helper import Helper, load
from unterbau.switch.probes import written
from unterbau.switch.probes.model import Closed, Probe, Recorded, State, address_of
from unterbau.switch.probes.running import Prober
from unterbau.tenant.kinds import CloudIdentity, Kind
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome


def read_probes(path: Path) -> tuple[Probe, ...]:
    """The probes of a file, as it has them. Raises UsageError, LocalError."""
    try:
        return written.load(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file", "docs/probes.md says what stands in it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{path}: cannot be read ({error})", "Mend the file or its permissions.") from None


def read_helper(path: Path) -> Helper:
    """The helper guests of a file, as it has them. Raises UsageError, LocalError."""
    try:
        told = load(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file", "docs/move.md says what stands in it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{path}: cannot be read ({error})", "Mend the file or its permissions.") from None
    if told.key and not Path(told.key).expanduser().is_file():
        raise UsageError(f"{path}: there is no key {told.key}", "Name the file of the private key, or leave `key` out.")
    return told


def read_answers(path: Path) -> Recorded:
    """What a source answered, as `unterbau probe` wrote it. Raises UsageError."""
    again = "Record them anew: unterbau probe SOURCE --plan PLAN -o FILE."
    try:
        return Recorded.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})", again) from None
    except ValidationError as error:
        raise UsageError(f"{path}: no recorded answers ({error.error_count()} faults)", again) from None


def demand_of(recorded: Recorded, identity: CloudIdentity, name: str) -> None:
    """Raises UsageError if another project's application answered."""
    was = recorded.identity
    if (was.auth_url, was.project_id) != (identity.auth_url, identity.project_id):
        raise UsageError(
            f"{name}: answers of project {was.project_id} at {was.auth_url}, not of {identity.project_id} at "
            f"{identity.auth_url}",
            "Name the answers of this source.",
        )


def ask(
    cloud: Reader, probes: Sequence[Probe], name: str, prober: Prober, face: Face
) -> tuple[Recorded, list[Outcome]]:
    """What one cloud's places answer, and of each probe whether it can be compared later.

    Reads the public addresses and ports alone. Raises UsageError for a place that is not there.
    """
    found = [cloud.listing(kind) for kind in (Kind.FLOATING_IP, Kind.PORT)]
    side = Workload(
        identity=cloud.identity(), taken_at=prober.now(), resources=tuple(r for f in found for r in f.resources)
    )
    places = [(p, address_of(side, p.at)) for p in written.resolved(probes, side, name)]
    answers = prober.record("source", places, lambda done, of: face.count("probes", done, of))
    outcomes = [
        Outcome.HELD if (a.state is State.ANSWERED) != isinstance(p, Closed) else Outcome.NOT_SHOWN
        for (p, _), a in zip(places, answers, strict=True)
    ]
    return Recorded(identity=side.identity, answers=answers), outcomes
