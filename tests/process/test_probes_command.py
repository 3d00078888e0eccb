# SPDX-License-Identifier: Apache-2.0
"""Commands in guests, asked with the real client of real servers: what is kept, what is never shown, and what is left behind."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import psutil
import pytest
import shells
import speakers

from unterbau.errors import Interrupted
from unterbau.switch.probes import running
from unterbau.switch.probes.asking import Heard, ask
from unterbau.switch.probes.judging import Places, services
from unterbau.switch.probes.model import Answer, Command, State
from unterbau.switch.probes.running import Prober
from unterbau.tenant.kinds import CloudIdentity, FloatingIp
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict

ADDRESS, THERE = "203.0.113.7", "198.51.100.9"
SECONDS = 20.0
SOON = 30.0


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> shells.Client:
    return shells.client(tmp_path, monkeypatch)


def command(**more: object) -> Command:
    told = {"id": "rows", "at": "floating_ip:f", "user": shells.USER, "run": "psql -At -c 'select count(*) from akten'"}
    return Command.model_validate({**told, **more})


def heard(port: int, probe: Command | None = None, seconds: float = SECONDS, address: str = ADDRESS) -> Heard:
    return ask(probe or command(), address, ("127.0.0.1", port), seconds)


def silence(client: shells.Client, port: int, begun: Callable[[], bool]) -> None:
    """Asks until the client had begun within the time of one question: a busy machine starts it late."""
    for seconds in (1.0, 4.0, 20.0):
        begin = time.monotonic()
        assert heard(port, seconds=seconds).state is State.SILENT
        assert time.monotonic() - begin < SOON
        if begun():
            break
    assert begun() and client.pids()
    assert all(map(gone, client.pids()))


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def gone(pid: int) -> bool:
    """Whether that process has ended, within a while."""
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        try:
            state = psutil.Process(pid).status()
        except psutil.NoSuchProcess:
            return True
        if state == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_of_a_command_status_and_hash_are_kept_and_it_reaches_the_far_shell_as_it_stands(client: shells.Client) -> None:
    said = f"3000 Akten, {ADDRESS}\n".encode()
    with shells.guest(client.key, shells.saying(3, said, b"geheim on standard error")) as guest:
        found = heard(guest.port)
    assert found.state is State.ANSWERED and found.placed == ("output",)
    assert found.facts == {"exit status": 3, "output": sha(b"3000 Akten, {address}\n")}
    assert guest.commands == ["psql -At -c 'select count(*) from akten'"] and set(guest.users) == {shells.USER}
    assert guest.passwords == []
    assert "geheim" not in json.dumps(found.facts) and "Akten" not in json.dumps(found.facts)


@pytest.mark.parametrize("run", ["-V", "-oProxyCommand=touch /tmp/x", "--", "$(id); `id` | cat '%h' \"\\\"", "ümläut"])
def test_no_command_is_an_option_of_ours_or_read_by_a_shell_of_this_machine(client: shells.Client, run: str) -> None:
    with shells.guest(client.key, shells.saying(0)) as guest:
        assert heard(guest.port, command(run=run)).facts["exit status"] == 0
    assert guest.commands == [run]


def test_the_configuration_of_who_asks_counts_as_far_as_it_gives_nothing_away(client: shells.Client) -> None:
    """A file as people have them: it forwards, shares connections, goes to the background and runs another command."""
    lines = [
        f"Host {ADDRESS}", "  User root", "  Port 1", "  ForwardAgent yes", "  ForwardX11 yes", "  RequestTTY force",
        "  RemoteCommand cat /etc/shadow", f"  LocalForward {speakers.free()} localhost:1", "  ControlMaster auto",
        f"  ControlPath {client.folder}/control", "  ControlPersist yes", "  PermitLocalCommand yes",
        f"  LocalCommand touch {client.folder}/local", f"  UserKnownHostsFile {client.folder}/known",
        "  StrictHostKeyChecking yes", "  ForkAfterAuthentication yes", "  SessionType none", "  NobodyKnowsThis yes", "Host *",
    ]  # fmt: skip
    client.configured(*lines)
    with shells.guest(client.key, shells.saying(0, b"here")) as guest:
        assert heard(guest.port).facts == {"exit status": 0, "output": sha(b"here")}
    assert guest.commands == [command().run] and set(guest.users) == {shells.USER}
    assert {f.name for f in client.folder.iterdir()} == {"key", "config", "bin", "pids"}, "nothing was written"


def test_a_jump_host_of_the_configuration_is_taken(client: shells.Client) -> None:
    with (
        shells.guest(client.key, shells.saying(0, b"inside")) as inner,
        shells.guest(client.key, shells.hanging) as jump,
    ):
        host = f"Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\n  User {shells.USER}"
        trust = "  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null"
        client.configured(f"{host}\n{trust}\nHost {ADDRESS}\n  ProxyJump jump\nHost *")
        assert heard(inner.port).facts["output"] == sha(b"inside")
        assert jump.jumps == [("127.0.0.1", inner.port)]
        jump.key = None
        found = heard(inner.port)
    assert found.state is State.UNREACHABLE, "the jump host's word is not the guest's"


def test_who_is_not_let_in_has_not_asked_and_nothing_of_it_is_told(client: shells.Client) -> None:
    with shells.guest(asyncssh.generate_private_key("ssh-ed25519"), shells.saying(0)) as guest:
        found = heard(guest.port)
    assert found.state is State.UNREACHABLE and found.facts == {} and guest.commands == [] and guest.passwords == []
    assert str(found.reason).startswith("ssh did not come to a login")
    told = found.reason.model_dump_json() if not isinstance(found.reason, str) else found.reason
    assert not [w for w in ("publickey", str(client.folder), "127.0.0.1", shells.USER) if w in told]


def test_without_a_client_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = heard(speakers.free())
    assert found.state is State.UNREACHABLE and str(found.reason).startswith("the program ssh is not on the path")


def test_a_client_that_cannot_be_started_or_configured_has_not_asked(client: shells.Client) -> None:
    with shells.guest(client.key, shells.saying(0)) as guest:
        client.configured("Port many")
        assert heard(guest.port).state is State.UNREACHABLE
        for program in ("#!/nowhere\n", "#!/bin/sh\nexit 127\n", "#!/bin/sh\necho 3000\n", "#!/bin/sh\nkill -9 $$\n"):
            (client.folder / "bin" / "ssh").write_text(program)
            found = heard(guest.port)
            assert found.state is State.UNREACHABLE and not found.facts, "a status of this machine is no answer"


def test_nobody_there_is_refused(client: shells.Client) -> None:
    assert heard(speakers.free()).state is State.REFUSED


def test_who_takes_a_connection_and_says_nothing_is_silent(client: shells.Client) -> None:
    with speakers.silent() as port:
        silence(client, port, lambda: bool(client.pids()))


def test_a_command_that_does_not_end_is_silent_and_its_client_is_gone(client: shells.Client) -> None:
    with shells.guest(client.key, shells.hanging) as guest:
        silence(client, guest.port, lambda: bool(guest.commands))


@pytest.mark.parametrize(
    "talk",
    [
        speakers.saying(b"\x00\xff\x13garbage\r\n\r\n"),
        speakers.saying(b"SSH-2.0-x\r\n" + b"\xff" * 64),
        speakers.saying(b"SSH-2.0-x\r\n\0\0\0\x06\x04\x14"),
        speakers.saying(b"SSH-1.5-old\r\n"),
        speakers.saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        speakers.flooding(b""),
        lambda plain: None,
    ],
)
def test_what_is_no_ssh_is_garbage_or_silent_and_never_an_answer(client: shells.Client, talk: speakers.Talk) -> None:
    with speakers.talking(talk) as port:
        found = heard(port, seconds=3.0)
    assert found.state in (State.GARBAGE, State.SILENT) and not found.facts
    assert all(map(gone, client.pids()))


def test_a_connection_that_breaks_under_the_command_is_no_answer(client: shells.Client) -> None:
    async def breaking(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"3000")
        await process.stdout.drain()
        process.channel.get_connection().abort()

    with shells.guest(client.key, breaking) as guest:
        found = heard(guest.port)
    assert found.state in (State.GARBAGE, State.UNREACHABLE) and found.facts == {}


def test_a_command_that_ends_as_ssh_does_when_it_fails_shows_nothing(client: shells.Client) -> None:
    with shells.guest(client.key, shells.saying(255, b"done")) as guest:
        found = heard(guest.port)
    assert found.state is State.UNREACHABLE and str(found.reason).startswith("ssh ended with 255") and not found.facts


def test_output_beyond_a_mib_shows_nothing_and_is_not_heard_to_its_end(client: shells.Client) -> None:
    async def flood(process: asyncssh.SSHServerProcess[bytes]) -> None:
        while True:
            process.stdout.write(b"x" * 65536)
            await process.stdout.drain()

    with shells.guest(client.key, flood) as guest:
        found = heard(guest.port)
    assert found.state is State.ANSWERED and found.facts == {}
    assert all(map(gone, client.pids())) and client.pids()
    with shells.guest(client.key, shells.saying(0, b"x" * 2**20)) as guest:
        assert heard(guest.port).facts["output"] == sha(b"x" * 2**20)


def test_what_a_command_says_on_standard_error_costs_no_memory_and_is_not_kept(client: shells.Client) -> None:
    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        for _ in range(64):
            process.stderr.write(b"Permission denied\n" * 4096)
            await process.stderr.drain()
        process.exit(7)

    with shells.guest(client.key, run) as guest:
        assert heard(guest.port).facts == {"exit status": 7, "output": sha(b"")}


# --- with a prober


def prober(port: int, **more: Any) -> Prober:
    place = more.pop("place", lambda address, _: ("127.0.0.1", port))
    return Prober(now=lambda: datetime.now(UTC), place=place, rate=1000.0, seconds=SECONDS, **more)


def side(name: str, address: str) -> Workload:
    identity = CloudIdentity(
        name=name, auth_url=f"https://{name}.example", region="r", project_id=name, project_name=name, user_id="u",
        roles=("member",), catalog_digest="sha256:0",
    )  # fmt: skip
    ip = FloatingIp(id=name, address=address, external_network_id="e")
    return Workload(identity=identity, taken_at=datetime.now(UTC), resources=(ip,))


def judged(probe: Command, ours: Answer, theirs: Answer) -> Verdict:
    places = Places(side("f", ADDRESS), side("g", THERE), {"floating_ip:f": "floating_ip:g"}, {})
    return {v.claim.id: v for v in services([probe], [ours, theirs], places)}["service rows"]


def moved(client: shells.Client, source: shells.Run, target: shells.Run, **more: object) -> Verdict:
    """The verdict on a command that does one thing at the source and another on the target."""
    probe = command(**more)
    with shells.guest(client.key, source) as old, shells.guest(client.key, target) as new:
        asks = prober(0, place=lambda address, _: ("127.0.0.1", old.port if address == ADDRESS else new.port))
        (ours,) = asks.record("source", [(probe, ADDRESS)])
        (theirs,) = asks.compare([(probe, THERE)], {"rows": ours}, wait=0.0)
        assert len(old.commands) == 2, "the source is asked twice in a row"
    return judged(probe, ours, theirs)


SAME = shells.saying(0, b"3000\n")


def test_the_same_answer_is_held_and_another_one_has_failed(client: shells.Client) -> None:
    assert moved(client, SAME, SAME).outcome is Outcome.HELD
    assert moved(client, SAME, shells.saying(0, b"2999\n")).outcome is Outcome.FAILED
    assert moved(client, SAME, shells.saying(1, b"3000\n")).outcome is Outcome.FAILED
    assert moved(client, SAME, shells.saying(1, b""), output="ignore").outcome is Outcome.FAILED
    assert moved(client, SAME, shells.saying(0, b"2999\n"), output="ignore").outcome is Outcome.HELD


def test_what_differs_from_one_asking_to_the_next_is_not_shown(client: shells.Client) -> None:
    number = itertools.count()

    async def counting(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await shells.saying(0, str(next(number)).encode())(process)

    found = moved(client, counting, SAME)
    assert found.outcome is Outcome.FAILED or "output" in str(found.reason)
    assert found.outcome is Outcome.NOT_SHOWN
    assert moved(client, counting, SAME, output="ignore").outcome is Outcome.HELD


def test_a_target_that_does_not_let_us_in_is_not_shown_with_the_reason(client: shells.Client) -> None:
    async def never(process: asyncssh.SSHServerProcess[bytes]) -> None:
        raise AssertionError

    probe = command()
    other = asyncssh.generate_private_key("ssh-ed25519")
    with shells.guest(client.key, SAME) as old, shells.guest(other, never) as new:
        (ours,) = prober(old.port).record("source", [(probe, ADDRESS)])
        (theirs,) = prober(new.port).record("target", [(probe, THERE)])
    found = judged(probe, ours, theirs)
    assert found.outcome is Outcome.NOT_SHOWN and "ssh did not come to a login" in str(found.reason)
    swapped = (ours.model_copy(update={"side": "target", "address": THERE}), theirs.model_copy(update={"side": "source", "address": ADDRESS}))  # fmt: skip
    assert judged(probe, swapped[1], swapped[0]).outcome is Outcome.NOT_SHOWN


def test_a_target_is_asked_until_it_answers_as_the_source_did(
    client: shells.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PAUSE", 0.01)
    number = itertools.count()

    async def starting(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await (SAME if next(number) > 2 else shells.saying(2, b"", b"the database system is starting up"))(process)

    with shells.guest(client.key, starting) as guest:
        asks = prober(guest.port)
        before = Answer(
            probe="rows", asked="", side="source", address=ADDRESS, at=asks.now(), state=State.ANSWERED,
            facts={"exit status": 0, "output": sha(b"3000\n")},
        )  # fmt: skip
        (found,) = asks.compare([(command(), THERE)], {"rows": before}, wait=60.0)
    assert found.facts == before.facts and len(guest.commands) == 4


def test_a_target_that_lets_us_in_late_is_asked_again_and_not_as_often_as_others(
    client: shells.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PAUSE", 600.0)
    monkeypatch.setattr(running, "PAUSE_OUTSIDE", 0.01)
    with shells.guest(client.key, SAME) as guest:
        asks = prober(guest.port)
        (ours,) = asks.record("source", [(command(), ADDRESS)])
        guest.key, guest.later = None, client.key
        (found,) = asks.compare([(command(), THERE)], {"rows": ours}, wait=60.0)
    assert found.facts == ours.facts and len(guest.commands) == 3


def test_a_stop_ends_a_command_that_runs_and_makes_no_answer_of_it(client: shells.Client) -> None:
    began = threading.Event()

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        began.set()
        await asyncio.sleep(600)

    with shells.guest(client.key, run) as guest:
        asks = prober(guest.port)

        def stop() -> None:
            began.wait(SOON)
            asks.stop.set()

        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(Interrupted):
            asks.record("source", [(command(), ADDRESS)])
        assert began.is_set() and all(map(gone, client.pids())) and client.pids()


ASKING = """
import sys
from unterbau.switch.probes.asking import ask
from unterbau.switch.probes.model import Command
probe = Command(id="c", at="floating_ip:f", user="alpine", run="sleep 600")
ask(probe, "203.0.113.7", ("127.0.0.1", int(sys.argv[1])), 6.0)
"""


@pytest.fixture
def killed() -> Iterator[list[subprocess.Popen[bytes]]]:
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for one in made:
        one.kill()
        one.wait(SOON)


def test_the_client_ends_even_if_who_asks_is_killed(
    client: shells.Client, killed: list[subprocess.Popen[bytes]]
) -> None:
    with shells.guest(client.key, shells.hanging) as guest:
        asker = subprocess.Popen([sys.executable, "-c", ASKING, str(guest.port)])
        killed.append(asker)
        end = time.monotonic() + SOON
        while not client.pids():
            assert time.monotonic() < end and asker.poll() is None
            time.sleep(0.02)
        os.kill(asker.pid, signal.SIGKILL)
        asker.wait(SOON)
        assert all(map(gone, client.pids()))


@pytest.mark.parametrize("address", ["2001:db8::1%eth0", "2001:db8::1%$(id)", "example.org", "-oProxyCommand=id", ""])
def test_what_a_cloud_calls_an_address_and_is_none_reaches_no_client(address: str) -> None:
    def place(address: str, port: int) -> tuple[str, int]:
        raise AssertionError("it was asked")

    (found,) = prober(0, place=place).record("target", [(command(), address)])
    assert found.state is State.UNREACHABLE and "no address that a tenant can have" in str(found.reason)
