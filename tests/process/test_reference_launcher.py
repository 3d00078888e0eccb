# SPDX-License-Identifier: Apache-2.0
"""The launcher and the supervisor, with real processes that are not OpenStack: deaths, kills, repairs."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from unterbau import reference
from unterbau.errors import LocalError, ServiceDied, UsageError
from unterbau.reference import condition, disk, install, launcher, pki, plant, ports
from unterbau.reference.layout import Layout, Ports, check_name, clouds_home

GOOD = {"keystone": "well", "glance": "well", "nova": "well"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory of its own, dummy services in place of OpenStack, and no process left at the end."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(launcher, "SUPERVISE", (sys.executable, str(Path(__file__).with_name("dummy_supervise.py"))))
    monkeypatch.setattr(plant, "prepare", _prepare)
    yield tmp_path / "data"
    for name in [p.parent.name for p in clouds_home().glob("*/cloud.json")]:
        launcher.wipe(name)
    assert not _of(tmp_path), "processes were left behind"


def _of(directory: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and str(directory) in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return [p for p in found if p.status() != psutil.STATUS_ZOMBIE]


def _prepare(name: str, progress: Callable[[str], None], **more: object) -> Layout:
    home = disk.private_directory(clouds_home())
    layout = Layout(name, disk.private_directory(home / name), Path(sys.prefix), Ports.block(1))
    path = layout.root / "cloud.json"
    known = disk.read_json(path)
    chosen = Ports(**known["ports"]) if known else ports.choose(())
    disk.write_private(path, json.dumps({"ports": chosen.all(), "runtime": sys.prefix, "created": ""}))
    for directory in (layout.log, layout.tls):
        disk.private_directory(directory)
    pki.ensure(layout.tls, name, datetime.now(UTC))
    if not (layout.root / "dummy.json").exists():
        disk.write_private(layout.root / "dummy.json", json.dumps(BEHAVIOUR.get(name, GOOD)))
    return plant.load(name)


BEHAVIOUR: dict[str, dict[str, str]] = {
    "stillborn": GOOD | {"nova": "dies-at-start"},
    "frail": GOOD | {"nova": "dies-once"},
    "doomed": GOOD | {"nova": "dies-later"},
    "deaf": GOOD | {"nova": "deaf"},
    "mute": GOOD | {"nova": "mute"},
}


def _quiet(line: str) -> None:
    pass


def _eventually(question: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_up_runs_everything_and_a_second_up_says_so(home: Path) -> None:
    said: list[str] = []
    found = reference.up("one", progress=said.append)
    assert found.state == "running"
    assert {s.name: s.state for s in found.services} == dict.fromkeys(GOOD, "running")
    assert all(s.pid and s.memory_bytes > 0 and s.uptime_seconds >= 0 for s in found.services)
    assert found.memory_bytes > sum(s.memory_bytes for s in found.services)
    assert any("keystone answers" in line for line in said)
    again: list[str] = []
    second = reference.up("one", progress=again.append)
    assert again == ["cloud one is running already"]
    assert [s.pid for s in second.services] == [s.pid for s in found.services]


def test_down_is_quick_and_leaves_nothing_running(home: Path) -> None:
    reference.up("one", progress=_quiet)
    began = time.monotonic()
    reference.down("one")
    assert time.monotonic() - began < 3
    found = reference.status("one")
    assert found.state == "stopped"
    assert {s.state for s in found.services} == {"stopped"}
    assert not _of(home)
    reference.down("one")


def test_temporary_files_of_services_go_with_down_and_before_the_next_start(home: Path) -> None:
    reference.up("one", progress=_quiet)
    left = disk.private_directory(plant.load("one").tmp) / "neutron_start_time1"
    left.touch()
    supervisor = reference.status("one").supervisor_pid
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    _eventually(lambda: not _of(home))
    reference.up("one", progress=_quiet)
    assert not left.exists()
    disk.private_directory(left.parent)
    left.touch()
    reference.down("one")
    assert not left.parent.exists()


def test_a_service_that_ignores_sigterm_is_ended_all_the_same(home: Path) -> None:
    reference.up("deaf", progress=_quiet)
    reference.down("deaf")
    assert not _of(home)


def test_a_service_that_dies_at_start_ends_the_start_with_its_log_in_the_error(home: Path) -> None:
    with pytest.raises(ServiceDied) as caught:
        reference.up("stillborn", progress=_quiet)
    assert "nova ended with exit status 3" in caught.value.what
    assert "cannot open the database" in caught.value.what
    assert "unterbau cloud logs stillborn" in caught.value.remedy
    assert reference.status("stillborn").state == "failed"
    assert not _of(home)


def test_a_failed_cloud_starts_once_its_cause_is_gone(home: Path) -> None:
    with pytest.raises(ServiceDied):
        reference.up("stillborn", progress=_quiet)
    disk.write_private(plant.root("stillborn") / "dummy.json", json.dumps(GOOD))
    assert reference.up("stillborn", progress=_quiet).state == "running"


def test_a_service_that_never_answers_is_named(home: Path) -> None:
    with pytest.raises(ServiceDied, match="nova did not become ready within 3 s"):
        reference.up("mute", progress=_quiet)
    assert not _of(home)


def test_a_service_that_dies_later_is_started_again(home: Path) -> None:
    first = reference.up("frail", progress=_quiet)
    pids = {s.name: s.pid for s in first.services}

    def replaced() -> bool:
        nova = next(s for s in reference.status("frail").services if s.name == "nova")
        return nova.state == "running" and nova.pid != pids["nova"] and nova.restarts == 1

    _eventually(replaced)
    others = {s.name: s.pid for s in reference.status("frail").services if s.name != "nova"}
    assert others == {name: pid for name, pid in pids.items() if name != "nova"}


def test_a_service_that_is_killed_again_and_again_is_reported_dead_and_up_repairs(
    home: Path,
) -> None:
    reference.up("one", progress=_quiet)
    record = json.loads((plant.root("one") / "status.json").read_text())
    supervisor = psutil.Process(record["supervisor"])
    nova = next(s for s in reference.status("one").services if s.name == "nova")
    assert nova.pid is not None
    # The supervisor is stopped, so it cannot restart what we kill: status must see the death by itself.
    supervisor.suspend()
    os.kill(nova.pid, signal.SIGKILL)
    _eventually(lambda: reference.status("one").state == "degraded")
    dead = next(s for s in reference.status("one").services if s.name == "nova")
    assert dead.state == "dead"
    supervisor.resume()
    _eventually(lambda: reference.status("one").state == "running")


def test_a_killed_supervisor_leaves_no_orphan_and_up_repairs(home: Path) -> None:
    found = reference.up("one", progress=_quiet)
    assert found.supervisor_pid is not None
    os.kill(found.supervisor_pid, signal.SIGKILL)
    _eventually(lambda: not _of(home), seconds=5)
    after = reference.status("one")
    assert after.state == "failed"
    assert "killed" in after.error
    assert {s.state for s in after.services} == {"dead"}
    assert reference.up("one", progress=_quiet).state == "running"


def test_two_ups_at_once_make_one_cloud(home: Path) -> None:
    said: dict[int, list[str]] = {0: [], 1: []}
    found: list[condition.CloudStatus] = []

    def go(number: int) -> None:
        found.append(reference.up("one", progress=said[number].append))

    threads = [threading.Thread(target=go, args=(n,)) for n in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({f.supervisor_pid for f in found}) == 1
    assert len(found) == 2
    assert sum("waiting for it" in line for lines in said.values() for line in lines) == 1
    assert sum("is running already" in line for lines in said.values() for line in lines) == 1


def test_a_killed_up_loses_nothing(home: Path) -> None:
    pid = os.fork()
    if pid == 0:
        reference.up("one", progress=lambda line: os.kill(os.getpid(), signal.SIGKILL))
        os._exit(0)
    os.waitpid(pid, 0)
    assert reference.up("one", progress=_quiet).state == "running"


def test_a_port_that_was_taken_meanwhile_is_named_with_its_holder(home: Path) -> None:
    reference.up("one", progress=_quiet)
    port = plant.load("one").ports.glance
    reference.down("one")
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(LocalError) as caught:
            ports.demand_free(plant.load("one").ports, "one")
        assert f"port {port} (glance of cloud one) is taken by process {os.getpid()}" in caught.value.what
        with pytest.raises(ServiceDied, match="glance"):
            reference.up("one", progress=_quiet)
    assert reference.up("one", progress=_quiet).state == "running"


def test_wipe_removes_the_cloud_and_nothing_else(home: Path) -> None:
    reference.up("one", progress=_quiet)
    reference.up("two", progress=_quiet)
    reference.wipe("one")
    assert not plant.root("one").exists()
    assert [c.name for c in reference.names()] == ["two"]
    assert reference.status("two").state == "running"
    with pytest.raises(LocalError):
        reference.wipe("one")


def test_wipe_does_not_follow_a_link_out_of_the_clouds(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "cloud.json").write_text("{}")
    disk.private_directory(clouds_home())
    link = plant.root("link")
    link.symlink_to(outside)
    with pytest.raises(LocalError):
        reference.wipe("link")
    assert (outside / "cloud.json").exists()
    link.unlink()


@pytest.mark.parametrize("name", ["", "A", "a_b", "../x", "x-reader", "x-admin", "1a", "a" * 32, "a/b"])
def test_names_that_cannot_name_a_cloud(name: str, home: Path) -> None:
    with pytest.raises(UsageError):
        check_name(name)
    with pytest.raises(UsageError):
        reference.up(name, progress=_quiet)
    with pytest.raises(UsageError):
        reference.wipe(name)


def test_modes_of_what_was_written(home: Path) -> None:
    reference.up("one", progress=_quiet)
    for path in [plant.root("one"), *plant.root("one").rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_logs_of_one_and_of_all(home: Path) -> None:
    with pytest.raises(ServiceDied):
        reference.up("stillborn", progress=_quiet)
    assert list(reference.logs("stillborn", "nova")) == ["cannot open the database: it is not there"]
    assert "nova: cannot open the database: it is not there" in list(reference.logs("stillborn"))
    with pytest.raises(UsageError):
        list(reference.logs("stillborn", "nonsense"))


def test_a_full_disk_is_a_clear_error(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        with pytest.raises(LocalError, match="no room left"):
            disk.write_private(tmp_path / "big", "x" * 10000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert list(tmp_path.glob("*big*")) == []
    with pytest.raises(LocalError, match="are needed"):
        disk.demand_room(tmp_path, 2**60)


def test_a_half_installation_is_done_again(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("")
    place = disk.private_directory(clouds_home().parent / "runtime") / install.digest(lock)
    half = place.with_name(place.name + ".new")
    half.mkdir()
    (half / "rubbish").touch()
    made = install.ensure(_quiet, lock)
    assert made == place
    assert (made / "bin" / "python").exists()
    assert not (made / "rubbish").exists()
    assert install.ensure(_quiet, lock) == place


def test_a_failing_installation_says_why_and_leaves_no_environment(home: Path, tmp_path: Path) -> None:
    lock = tmp_path / "bad.lock"
    lock.write_text("this is no requirement ==\n")
    with pytest.raises(LocalError, match="installing the OpenStack services failed"):
        install.ensure(_quiet, lock)
    assert not (clouds_home().parent / "runtime" / install.digest(lock)).exists()


def test_certificates_are_renewed_when_little_time_is_left(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert pki.ensure(tmp_path, "one", now)
    assert not pki.ensure(tmp_path, "one", now)
    assert pki.ensure(tmp_path, "one", now + pki.LIFETIME - pki.RENEW_BEFORE)
    (tmp_path / "ca.pem").write_text("")
    assert pki.ensure(tmp_path, "one", now)
