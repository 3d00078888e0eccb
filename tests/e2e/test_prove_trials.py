# SPDX-License-Identifier: Apache-2.0
"""`prove --write` on a real cloud: real backups are read back, a silent console is no verdict, nothing is left."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import inventory
import pytest
from trials import items

from unterbau import reference, wiring
from unterbau.prove import write

pytestmark = [pytest.mark.cloud, pytest.mark.filterwarnings("ignore")]


def test_the_four_writing_cases(two_clouds: tuple[str, str], tmp_path: Path) -> None:
    name = two_clouds[1]
    connection = inventory.connect(name, reference.clouds_file(name))
    before = inventory.everything(connection)
    section = write.run(
        wiring.open_trial(name), now=wiring.now, folder=tmp_path / "journals", stop=threading.Event(),
        patience=write.Patience(quiet=timedelta(seconds=5), pause=1.0),
    )  # fmt: skip
    found = items(section)
    assert found["backup"]["restored"] == "available"
    assert found["backup"]["written_sha256"] == found["backup"]["restored_sha256"]
    assert found["backup"]["deleted"] is True
    assert {k: found["key-manager"][k] for k in ("create", "list", "listed", "delete")} == {
        "create": 201, "list": 200, "listed": True, "delete": 204,
    }  # fmt: skip
    for test in ("entropy", "fips"):  # this cloud's servers are only pretended, so nothing speaks
        assert "said nothing" in str(found[test]["error"])
    assert inventory.everything(connection) == before
    assert not list((tmp_path / "journals").iterdir())
