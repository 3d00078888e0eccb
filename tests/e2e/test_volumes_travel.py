# SPDX-License-Identifier: Apache-2.0
"""What passes of a volume between two real clouds, counted at the wire: every byte to and from each Glance, TLS and all."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import inventory
import pytest
import yaml
from lying_cloud import clients
from people import somebody

from unterbau import qcow2
from unterbau.tenant.kinds import Image, Kind, Source, Volume, ref
from unterbau.wiring import open_cloud

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(900),
    # openstacksdk, with which people and things are made, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
GIB, MIB = 1 << 30, 1 << 20
SIZE_GIB, USED = 2, 8 * MIB
MOST = int(1.1 * USED)


class Wire:
    """Passes a connection on as it is, and counts its bytes: from whom, and to whom."""

    def __init__(self, there: tuple[str, int]) -> None:
        self.there, self.sent, self.received = there, 0, 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for client in clients(self._listener):
            service = socket.create_connection(self.there)
            for one, other, name in ((client, service, "sent"), (service, client, "received")):
                threading.Thread(target=self._pass, args=(one, other, name), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, name: str) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 18):
                with self._lock:
                    setattr(self, name, getattr(self, name) + len(data))
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        one.close()

    def taken(self) -> tuple[int, int]:
        """Bytes sent to the service and received from it since the last time."""
        with self._lock:
            told = self.sent, self.received
            self.sent = self.received = 0
        return told

    def close(self) -> None:
        self._listener.close()


@contextmanager
def wired(connection: Any) -> Iterator[tuple[Wire, dict[str, Any]]]:
    """A wire before the Glance of somebody's cloud, and its entry in a clouds.yaml."""
    catalog = connection.session.auth.get_access(connection.session).service_catalog
    at = urlsplit(catalog.url_for(service_type="image"))
    wire = Wire((at.hostname or "", at.port or 443))
    auth = {k: v for k, v in connection.config.config["auth"].items() if v}
    entry = {"auth": {**auth, "project_id": connection.current_project_id}, "cacert": connection.config.config["cacert"],
             "region_name": connection.config.get_region_name(),
             "image_endpoint_override": f"https://127.0.0.1:{wire.port}{at.path}"}  # fmt: skip
    try:
        yield wire, entry
    finally:
        wire.close()


@pytest.fixture
def wires(two_clouds: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Wire, Wire]]:
    """Two projects of somebody's own, `here` and `there`, each behind a wire."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with somebody(two_clouds[0]) as one, somebody(two_clouds[1]) as two, wired(one) as a, wired(two) as b:
        (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"here": a[1], "there": b[1]}}))
        try:
            yield a[0], b[0]
        finally:
            inventory.sweep(one)
            inventory.sweep(two)


def planted(name: str) -> str:
    """A volume with 8 MiB of data in two places, made from an image that is gone again; the SHA-256 of its bytes."""
    cloud = open_cloud(name)
    data, half = random.Random(11).randbytes(USED), USED // 2
    places = [(0, half), (GIB + 300 * MIB, GIB + 300 * MIB + half)]

    def read(place: int, length: int) -> bytes:
        within = place if place < half else place - places[1][0] + half
        return data[within : within + length]

    file = b"".join(qcow2.Written(SIZE_GIB * GIB, places, read))
    wish = Image(
        id="-", name="seed", status="queued", disk_format="qcow2", container_format="bare", visibility="private"
    )
    image = wish.model_copy(update={"id": cloud.ensure(wish, "unterbau.seed.0123456789abcdef")})
    cloud.write_image(image, [file], len(file))
    made = Volume(id="-", name="spärlich", status="", size_gib=SIZE_GIB)
    volume = cloud.ensure(made, "unterbau.seed.fedcba9876543210", source=Source(image_id=image.id))
    cloud.unmark(cloud.settle(ref(Kind.VOLUME, volume), timedelta(minutes=5)))
    cloud.delete(image.ref, timedelta(minutes=5))
    digest, at, hole = hashlib.sha256(), 0, bytes(MIB)
    for start, end in (*places, (SIZE_GIB * GIB, SIZE_GIB * GIB)):
        for place in range(at, start, MIB):
            digest.update(hole[: min(MIB, start - place)])
        digest.update(read(start, end - start) if end > start else b"")
        at = end
    return digest.hexdigest()


def unterbau(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "unterbau", *arguments], capture_output=True, text=True, check=False)


def test_a_volume_of_2_gib_with_8_mib_of_data_passes_as_what_is_in_use(
    wires: tuple[Wire, Wire], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """At most 1.1 bytes for each byte in use, in each direction, for the move and for the verification."""
    known = planted("here")
    here, there = wires
    plan = str(tmp_path / "plan.yaml")
    planned = unterbau("plan", "here", "there", "--output", plan)
    assert planned.returncode in (0, 3), planned.stderr
    assert "as qcow2" in planned.stdout
    here.taken(), there.taken()
    moved = unterbau("move", plan)
    assert moved.returncode == 0, moved.stderr
    (_, read), (written, _) = here.taken(), there.taken()
    told = f"move: {read} bytes out of the source, {written} into the target, for {USED} in use"
    assert USED < read <= MOST and USED < written <= MOST, told
    verified = unterbau(
        "verify", "here", "there", "--plan", plan, "--format", "json", "--output", str(tmp_path / "seen")
    )
    assert verified.returncode in (0, 3), verified.stderr
    (_, first), (_, second) = here.taken(), there.taken()
    told += f"; verify: {first} and {second}"
    record_property("passed", told)
    assert USED < first <= MOST and USED < second <= MOST, told
    seen = json.loads((tmp_path / "seen").read_text())
    contents = [v for v in seen["verdicts"] if v["claim"]["kind"] == "content"]
    assert [v["outcome"] for v in contents] == ["held"]
    assert {o["value"] for v in contents for o in v["evidence"] if o["what"] == "sha256"} == {known}
