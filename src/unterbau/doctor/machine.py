# SPDX-License-Identifier: Apache-2.0
"""What this machine lacks, verb by verb. `cli` calls `look`; nothing is made or changed.

What an embedded cloud needs stands in `reference.needs`. `judge`, `facts`, `map`, `evidence` and `schema` need nothing
but the program.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import unterbau
from unterbau.doctor.findings import Finding, Findings
from unterbau.errors import UnterbauError
from unterbau.reference import needs
from unterbau.switch import folders
from unterbau.verdict import Outcome

_STATE_BYTES = 200 * 2**20
"""A drill keeps its journal, plan, verdicts and bundle here."""
_DRILLS = ("plan", "move", "verify", "drill", "close")
_CLOUDS = ("census", *_DRILLS, "prove", "judge cloud:NAME")


def look(clouds: Callable[[], Sequence[str]]) -> Findings:
    """All findings; `clouds` tells the names that can be entered."""
    found = [Finding(verbs=("cloud up",), **need._asdict()) for need in needs.look()]
    return Findings(about="this machine", findings=(*found, _state(), _known(clouds), *_checkout()))


def _state() -> Finding:
    """Where drills keep what they know."""
    need = needs.room("room for drills", folders.place(), _STATE_BYTES, "XDG_STATE_HOME")
    return Finding(verbs=_DRILLS, **need._asdict())


def _known(clouds: Callable[[], Sequence[str]]) -> Finding:
    """Whether there is a cloud to work with."""
    try:
        names = clouds()
    except UnterbauError as error:
        return Finding(
            what="clouds", outcome=Outcome.FAILED, verbs=_CLOUDS, said=error.what, remedy=error.remedy
        )  # fmt: skip
    if not names:
        return Finding(
            what="clouds", outcome=Outcome.FAILED, verbs=_CLOUDS, said="no clouds.yaml names one",
            remedy="Write a clouds.yaml, name it in OS_CLIENT_CONFIG_FILE, or start a cloud: unterbau cloud up NAME.",
        )  # fmt: skip
    return Finding(what="clouds", outcome=Outcome.HELD, verbs=_CLOUDS, said=", ".join(names))


def _checkout(place: Path = Path(unterbau.__file__).parents[2]) -> Iterator[Finding]:
    """What the project's own tests want, where the program runs from its repository."""
    if not (place / "Makefile").exists() or not (place / "tests").is_dir():
        return
    chromium = shutil.which("chromium")
    yield Finding(
        what="chromium", outcome=Outcome.HELD if chromium else Outcome.FAILED, verbs=("make test",),
        said=chromium or "the browser tests find none", remedy="" if chromium else "sudo apt-get install chromium",
    )  # fmt: skip
