# SPDX-License-Identifier: Apache-2.0
"""The ground's mounts on a machine that lacks libvirt's places: what stands beside them stays reachable. Who may lay one.

Needs root, or user namespaces; says so where it does not run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import unterbau.reference

RUNTIME = Path(unterbau.reference.__file__).parent / "runtime"
TRIED = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
import ground
ground.mount("none", "/", flags=ground.MS_REC | ground.MS_PRIVATE)
for place in ("/run", "/etc/lacking-one", "/etc/lacking-two", "/etc/ssl"):
    ground.empty(place)
    assert os.listdir(place) == [], place
    pathlib.Path(place, "of-ours").write_text("here")
assert pathlib.Path("/etc/passwd").read_text() == sys.argv[2]
"""


def _why_not() -> str:
    if not shutil.which("unshare"):
        return "there is no unshare"
    return "" if not subprocess.run(["unshare", "-m", "true"], check=False).returncode else "it needs root"


def test_a_place_that_this_machine_lacks_is_empty_and_its_neighbours_stay() -> None:
    if why := _why_not():
        pytest.skip(f"DID NOT RUN: the ground's mounts, because {why}")
    before = sorted(Path("/etc").iterdir())
    accounts = Path("/etc/passwd").read_text(encoding="utf-8")
    subprocess.run(["unshare", "-m", sys.executable, "-c", TRIED, str(RUNTIME), accounts], check=True)
    assert sorted(Path("/etc").iterdir()) == before, "nothing was made on this machine"


ASKED = "from unterbau.reference import extras; print(extras.as_root())"
NO_MORE = "echo 0 >/proc/sys/user/max_user_namespaces && "
WITHOUT = 'exec setpriv --bounding-set=-all --inh-caps=-all "$@"'


def _asked(script: str) -> subprocess.CompletedProcess[str]:
    """Whether guests are made by root, asked as root of a user namespace."""
    argv = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", sys.executable, "-c", ASKED]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_who_may_lay_a_ground_is_asked_of_the_machine_and_a_refusal_says_what_to_do() -> None:
    if subprocess.run(["unshare", "--user", "--map-root-user", "true"], check=False, capture_output=True).returncode:
        pytest.skip("DID NOT RUN: a ground without root, because this machine lets nobody make a user namespace")
    assert _asked('exec "$@"').stdout == "True\n", "with all capabilities none is needed"
    refused = _asked(NO_MORE + WITHOUT)
    assert refused.returncode and "which is refused here: a user namespace: No space left on device" in refused.stderr
