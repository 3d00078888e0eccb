# SPDX-License-Identifier: Apache-2.0
"""A server that boots from an image, with a row on the disk that it has on its host: the row arrives with the server (case U10).

Between two clouds with guests; says so where it does not run. At most two guests live at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import able
import pytest
from drilling import unterbau, up
from visiting import page, tenant

from unterbau import reference, wiring
from unterbau.reference.guests import FLAVOR
from unterbau.reference.tenant import _Planting
from unterbau.tenant.kinds import NOTHING, Kind, Server, ref

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]

SOURCE, TARGET = "test-platte-quelle", "test-platte-ziel"
ROW = "41;Akte 41;nach dem Start"
PAGE = """#!/bin/sh
mkdir -p /srv/www/cgi-bin /etc/local.d
printf '#!/bin/sh\\nhttpd -p 80 -h /srv/www\\n' >/etc/local.d/platte.start
cat >/srv/www/cgi-bin/index.cgi <<'X'
#!/bin/sh
[ "$REQUEST_METHOD" = POST ] && { head -c "$CONTENT_LENGTH" >>/srv/rows; echo >>/srv/rows; sync; }
printf 'Content-Type: text/plain\\r\\n\\r\\n'
cat /srv/rows
X
chmod 755 /etc/local.d/platte.start /srv/www/cgi-bin/index.cgi
echo '1;Akte 1' >/srv/rows
sync
"""


@pytest.fixture(scope="module")
def clouds() -> Iterator[tuple[str, str]]:
    """Two clouds with guests; in the first a server whose page shows the rows on its own disk."""
    if why := able.why_not():
        pytest.skip(f"DID NOT RUN: no drill of a server's own disk between clouds with guests, because {why}")
    for name in (SOURCE, TARGET):
        up(name)
    yield SOURCE, TARGET
    for name in (SOURCE, TARGET):
        reference.wipe(name)


def _plant(name: str) -> None:
    cloud = wiring.open_cloud(name)
    planting = _Planting(cloud, 1, datetime.now(UTC), lambda line: None)
    planting.web_network()
    planting.have(
        Server(id="-", name="fv-web-1", status="ACTIVE", flavor=planting._flavor(FLAVOR), image_id=planting.alpine,
               key_name="fv-betrieb", port_ids=(planting.id(Kind.PORT, "fv-web-1-front"),)),
        NOTHING.model_copy(update={"user_data": PAGE}),
    )  # fmt: skip
    planting.floating_ip()


def _page(name: str, row: str = "") -> list[str]:
    with tenant(name) as there:
        return page(there, row)


def _claim(path: Path, kind: str) -> list[Any]:
    verdicts = json.loads(path.read_text(encoding="utf-8"))["verdicts"]
    return [v for v in verdicts if v["claim"]["kind"] == kind and v["claim"]["subject"].startswith("server:")]


def test_a_row_on_the_disk_of_a_server_is_there_after_the_move_as_it_was_before(
    clouds: tuple[str, str], tmp_path: Path
) -> None:
    source, target = clouds
    verdicts = tmp_path / "verdicts.json"
    _plant(source)
    assert _page(source, ROW) == ["1;Akte 1", ROW]
    old = wiring.open_cloud(source)
    server = old.listing(Kind.SERVER).resources[0]
    old.set_power(server.id, "SHUTOFF")  # what the rehearsal compares stands still

    done = unterbau(tmp_path, "drill", source, target, "-o", str(verdicts))
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert [v["outcome"] for v in _claim(verdicts, "content")] == ["held"], done.stdout
    assert wiring.open_cloud(target).listing(Kind.SERVER).resources == ()

    old.set_power(server.id, "ACTIVE")
    assert _page(source)[-1] == ROW
    plan = tmp_path / "plan.yaml"
    done = unterbau(tmp_path, "drill", source, target, "-o", str(verdicts), "--keep", "--plan-output", str(plan))
    assert done.returncode in (0, 3), done.stdout + done.stderr
    (told,) = (v["outcome"] for v in _claim(verdicts, "content"))
    assert told in ("held", "not shown"), "equal, unless the source's guest wrote since it was copied"
    assert _page(target) == ["1;Akte 1", ROW]
    _page(source, "42;Akte 42;nach dem Umzug")
    done = unterbau(tmp_path, "verify", source, target, "--plan", str(plan), "-o", str(verdicts))
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert [v["outcome"] for v in _claim(verdicts, "content")] == ["not shown"]
    there = wiring.open_cloud(target).listing(Kind.SERVER).resources[0]
    assert isinstance(there, Server) and there.status == "ACTIVE"
    for name in clouds:
        images = wiring.open_cloud(name).listing(Kind.IMAGE).resources
        assert [i.ref for i in images] == [], "an image that was made for a moment is there"
    assert wiring.open_cloud(target).read(ref(Kind.IMAGE, str(there.image_id))) is None
