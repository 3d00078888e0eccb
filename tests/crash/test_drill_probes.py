# SPDX-License-Identifier: Apache-2.0
"""Service as a claim, through the command line: two simulators whose public addresses are servers on loopback.

The source's server may be stopped, the target's may say something else; what the claims then are, and that a plan
touches nobody unless a person said so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import closer
import pytest
import shells
import speakers

from unterbau.errors import BundleError, Exit
from unterbau.evidence.container import pack
from unterbau.evidence.core import PREDICATE_TYPE, sign
from unterbau.evidence.keys import signing_key
from unterbau.evidence.opening import open_bundle
from unterbau.saga import peek
from unterbau.switch import evidence, folders
from unterbau.switch.probes.outage import Watched
from unterbau.tenant.kinds import FloatingIp, Kind

pytestmark = pytest.mark.timeout(600)

PROBES = """
probes:
- {kind: http, at: ADDRESS, port: 80, path: /rows}
- {kind: tcp, at: ADDRESS, port: 25}
- {kind: closed, at: ADDRESS, port: 5432, control: http-80}
"""
SENTENCE = "The application answers on the target as it did on the source."


@dataclass
class World:
    """The clouds, and what answers at their public addresses."""

    root: Path
    address: str
    places: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def place(self, **ports: int) -> None:
        """`source80=PORT`, `any80=PORT`."""
        for name, port in ports.items():
            where, number = name.rstrip("0123456789"), name.lstrip("abcdefghijklmnopqrstuvwxyz")
            self.places[f"{self.address if where == 'source' else '*'}:{number}"] = port
        (self.root / "places.json").write_text(json.dumps(self.places))

    @contextmanager
    def page(self, body: bytes) -> Iterator[int]:
        """A page that says this."""

        def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
            self.asked.append(path)
            return 200, {"Content-Type": "text/plain", "Set-Cookie": "session=geheim"}, body

        with speakers.page(answer) as port:
            yield port

    def file(self, text: str = PROBES) -> str:
        path = self.root / "probes.yaml"
        path.write_text(text.replace("ADDRESS", self.address))
        return str(path)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        ended = closer.run(self.root, *arguments)
        return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in closer.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    source = closer.cloud(tmp_path, "a")
    closer.plant(source)
    closer.cloud(tmp_path, "b")
    (public,) = source.listing(Kind.FLOATING_IP).resources
    assert isinstance(public, FloatingIp)
    return World(tmp_path, public.address)


def service(told: str) -> dict[str, str]:
    """Claim -> outcome of the claims on service."""
    found = json.loads(told)["verdicts"]
    return {v["claim"]["id"]: v["outcome"] for v in found if v["claim"]["kind"] == "service"}


def test_a_drill_shows_that_the_application_answers_as_it_did(world: World) -> None:
    with ExitStack() as stack:
        page = stack.enter_context(world.page(b"rows 1 2 3"))
        mail = stack.enter_context(speakers.talking(speakers.saying(b"220 hello\r\n")))
        world.place(any80=page, any25=mail)
        code, out, err = world.run("drill", "a", "b", "--keep", "--probes", world.file(), "--probe-wait", "0")
    assert code == Exit.NOT_SHOWN, out + err  # what is lost, as the plan says
    assert out.startswith(SENTENCE), out
    assert world.asked == ["/rows"] * 3, "twice at the source, once at the target"
    (folder,) = (f for f, _ in folders.drills())
    report = folder.report.read_text()
    assert report.index(SENTENCE) < report.index("can be moved") and "wie sie es an der Quelle tat." in report
    data = folder.bundle.read_bytes()
    assert all(b"geheim" not in m and b"rows 1" not in m for m in open_bundle(data).members.values())
    checked = evidence.check(data)
    assert {v.claim.id: str(v.outcome) for v in checked.verdicts if v.claim.kind == "service"} == {
        "service": "held", "service http-80": "held", "service tcp-25": "held", "service closed-5432": "held"
    }  # fmt: skip
    assert checked.today == ()
    code, out, _ = world.run("evidence", "check", str(folder.bundle))
    assert code == Exit.NOT_SHOWN and out.startswith(SENTENCE)
    tampered_bundles_are_refused(world, data)
    code, out, err = world.run("evidence", "redact", str(folder.bundle), "-o", str(world.root / "redacted"))
    assert code == Exit.NOT_SHOWN and SENTENCE not in out, out + err
    assert "what the application answered is left out" in out


COMMAND = """
probes:
- {kind: command, at: ADDRESS, user: alpine, run: "psql -At -c 'select count(*) from akten'", id: rows}
"""


def test_a_command_runs_in_the_guests_of_both_sides_and_nothing_of_what_was_said_stays(
    world: World, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = shells.client(tmp_path_factory.mktemp("client"), monkeypatch)
    asking = ("drill", "a", "b", "--keep", "--probes", world.file(COMMAND), "--probe-wait", "0", "--format", "json")
    said = shells.saying(0, b"3000 Akten", b"geheim")
    with shells.guest(client.key, said) as old, shells.guest(client.key, said) as new:
        world.place(source22=old.port, any22=new.port)
        code, out, err = world.run(*asking)
        assert code == Exit.NOT_SHOWN, out + err  # what is lost, as the plan says
        assert service(out) == {"service": "held", "service rows": "held"}
        assert old.commands == ["psql -At -c 'select count(*) from akten'"] * 2 and new.commands == old.commands[:1]
        (folder,) = (f for f, _ in folders.drills())
        new.key = None
        code, later, more = world.run(
            "verify", "a", "b", "--plan", str(folder.plan), "--answers", str(folder.answers), "--probe-wait", "0",
            "--format", "json",
        )  # fmt: skip
        assert service(later) == {"service": "not shown", "service rows": "not shown"}, "nobody was let in there"
    assert not old.passwords + new.passwords
    checked = evidence.check(folder.bundle.read_bytes())
    assert {str(v.outcome) for v in checked.verdicts if v.claim.kind == "service"} == {"held"}
    members = open_bundle(folder.bundle.read_bytes()).members
    written = [*members.values(), *(p.read_bytes() for p in (world.root / "state").rglob("*") if p.is_file())]
    hidden = [
        b"3000 Akten",
        b"geheim",
        b"Authenticated",
        b"publickey",
        str(client.folder).encode(),
        client.key.export_public_key(),
    ]
    assert [word for word in hidden if any(word in data for data in written)] == []
    assert not [word for word in hidden if word.decode() in out + err + later + more]


def test_a_plan_shows_the_commands_that_it_holds_and_runs_none(world: World) -> None:
    code, out, err = world.run("plan", "a", "b", "--probes", world.file(COMMAND))
    assert code == Exit.NOT_SHOWN, out + err
    assert "Run in the guests of both sides, by ssh and with your keys" in out and "psql -At" in out
    bad = COMMAND.replace("alpine", "-oProxyCommand=id")
    code, out, err = world.run("plan", "a", "b", "--probes", world.file(bad))
    assert code == Exit.USAGE and "probe 1 (command) user: String should match" in err


def tampered_bundles_are_refused(world: World, data: bytes) -> None:
    """Who seals another answer, another question or another outcome does not get through."""
    opened = open_bundle(data)
    told = json.loads(opened.members["verification.json"])
    key = signing_key(world.root / "data" / "unterbau" / "keys")

    def sealed(verification: dict[str, Any]) -> bytes:
        members = opened.members | {"verification.json": json.dumps(verification).encode()}
        summary = {k: v for k, v in opened.predicate.items() if k != "format"}
        return pack(members, sign(members, summary, key, PREDICATE_TYPE))

    evidence.check(sealed(told))
    for change in ({"state": "silent"}, {"facts": {"status": 500}}, {"asked": "sha256:0"}, {"address": "203.0.113.1"}):
        answers = [one | change if one["side"] == "target" else one for one in told["answers"]]
        with pytest.raises(BundleError, match="does not follow from the contents"):
            evidence.check(sealed(told | {"answers": answers}))
    hidden = told | {"judging": [j for j in told["judging"] if j != "probes"], "answers": []}
    hidden["verdicts"] = [v for v in told["verdicts"] if v["claim"]["kind"] != "service"]
    with pytest.raises(BundleError):  # its summary names judgings and the number of claims
        evidence.check(sealed(hidden))


def test_a_fault_of_service_is_found_and_the_mended_target_is_compared_with_what_the_source_said(world: World) -> None:
    with ExitStack() as stack:
        mail = stack.enter_context(speakers.talking(speakers.saying(b"220 hello\r\n")))
        empty = stack.enter_context(world.page(b"rows"))
        with world.page(b"rows 1 2 3") as page:
            world.place(source80=page, any80=empty, any25=mail)
            code, out, err = world.run(
                "drill", "a", "b", "--keep", "--probes", world.file(), "--probe-wait", "0", "--format", "json"
            )
        assert code == Exit.FAILED, out + err
        assert service(out) == {
            "service": "failed", "service http-80": "failed", "service tcp-25": "held", "service closed-5432": "held"
        }  # fmt: skip
        world.place(source80=speakers.free(), any80=stack.enter_context(world.page(b"rows 1 2 3")))
        code, out, err = world.run(
            "drill", "a", "b", "--keep", "--probes", world.file(), "--probe-wait", "0", "--format", "json"
        )
    assert code == Exit.NOT_SHOWN, out + err
    assert set(service(out).values()) == {"held"}, "the source's server is stopped, its answer was recorded"


def test_a_port_that_opened_is_found_and_silence_means_nothing_without_its_control(world: World) -> None:
    text = PROBES.replace("- {kind: tcp, at: ADDRESS, port: 25}\n", "")
    with ExitStack() as stack:
        page = stack.enter_context(world.page(b"rows"))
        world.place(any80=page, any5432=stack.enter_context(speakers.silent()), source5432=speakers.free())
        code, out, err = world.run(
            "drill", "a", "b", "--keep", "--probes", world.file(text), "--probe-wait", "0", "--format", "json"
        )
        assert code == Exit.FAILED and service(out)["service closed-5432"] == "failed", out + err
    # all is silent now: the page has failed, and of the closed port nothing is shown
    world.places.clear()
    world.place(source80=speakers.free())
    code, out, err = world.run(
        "drill", "a", "b", "--keep", "--probes", world.file(text), "--probe-wait", "0", "--format", "json"
    )
    assert code == Exit.FAILED, out + err
    assert service(out) == {"service": "failed", "service http-80": "failed", "service closed-5432": "not shown"}


def test_a_plan_touches_nobody_unless_a_person_says_so_and_then_proposes_what_answers(world: World) -> None:
    with world.page(b"rows") as page:
        world.place(any80=page)
        code, out, err = world.run("plan", "a", "b")
        assert world.asked == [], out + err
        assert "ports are open to the world, and nobody asks what answers there" in out
        output = world.root / "plan.yaml"
        code, out, err = world.run("plan", "a", "b", "--probe", "-o", str(output))
    assert code == Exit.NOT_SHOWN, out + err
    assert f"at most 4 times a second each: {world.address}" in err
    assert set(world.asked) == {"/"}
    assert "db-http-80" in out and "id: db-http-80" in output.read_text()
    assert "db-closed" not in out, "everything is open there: no port is closed"


def test_the_source_is_asked_before_it_stops_and_the_target_after(world: World) -> None:
    """The single verbs: plan, probe, move, verify."""
    plan, answers = str(world.root / "plan.yaml"), str(world.root / "answers.json")
    text = PROBES.replace("- {kind: tcp, at: ADDRESS, port: 25}\n", "")
    with world.page(b"rows") as page:
        world.place(any80=page)
        world.run("plan", "a", "b", "--probes", world.file(text), "-o", plan)
        code, out, err = world.run("probe", "a", "--plan", plan, "-o", answers)
        assert code == Exit.HELD, out + err
        assert "http-80" in out and "answered" in out and "refused" in out
        code, out, err = world.run("move", plan)
        assert code == Exit.HELD, out + err
        world.place(source80=speakers.free())
        code, out, err = world.run("verify", "a", "b", "--plan", plan, "--answers", answers, "--probe-wait", "0")
        assert out.startswith(SENTENCE), out + err
        code, out, err = world.run("verify", "a", "b", "--plan", plan, "--probe-wait", "0")
        assert out.startswith("Whether the application answers"), "the source is asked now, and silent"
        code, _, err = world.run("verify", "b", "a", "--plan", plan, "--answers", answers)
        assert code == Exit.USAGE and "answers of project" in err


def test_a_cut_over_asks_the_source_once_more_before_it_stops(world: World) -> None:
    plan = str(world.root / "plan.yaml")
    text = PROBES.replace("- {kind: tcp, at: ADDRESS, port: 25}\n", "")
    with world.page(b"rows 1") as first, world.page(b"rows 1 2") as second:
        world.place(any80=second, source80=first)
        world.run("plan", "a", "b", "--probes", world.file(text), "-o", plan)
        code, out, err = world.run("move", plan, "--pre-copy", "--late-writes", "0")
        assert code == Exit.HELD, out + err
        world.place(source80=second)  # a row was written meanwhile
        code, out, err = world.run("move", plan, "--cut-over", "--late-writes", "0")
        assert code == Exit.HELD, out + err
        world.place(source80=speakers.free())
        code, out, err = world.run("drill", "a", "b", "--keep", "--probe-wait", "0")
    assert out.startswith(SENTENCE), out + err


def test_a_cut_over_measures_how_long_nobody_answers_and_evidence_and_report_have_it(world: World) -> None:
    """The source says 503 from its stop on; the target is found by its own listing and answers as the source did last."""
    plan, text = str(world.root / "plan.yaml"), PROBES.split("- {kind: tcp")[0]

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        (folder,) = (f for f, _ in folders.drills())
        states = peek(folder.journal).states if folder.journal.exists() else {}
        stopped = any(name.startswith("stop of") and state != "planned" for name, state in states.items())
        there = any(name.startswith("server:") and state == "done" for name, state in states.items())
        return (200 if (there if headers["Host"] != world.address else not stopped) else 503), {}, b"rows"

    with speakers.page(answer) as page:
        world.place(any80=page)
        world.run("plan", "a", "b", "--probes", world.file(text), "-o", plan)
        code, out, err = world.run("move", plan, "--cut-over", "--late-writes", "0")
        assert code == Exit.HELD, out + err
        (folder,) = (f for f, _ in folders.drills())
        seen = Watched.model_validate_json(folder.outage.read_bytes())
        (course,) = seen.courses
        away = course.seconds()
        assert away is not None and away > 0.0 and course.source.address == world.address != course.target.address
        assert course.source.otherwise > 0, "it was asked after its stop"
        done = peek(folder.journal).states
        assert done["stop of " + next(n for n in done if n.startswith("server:"))] == "done"
        code, out, err = world.run("move", plan, "--cut-over", "--late-writes", "0")
        assert code == Exit.HELD and Watched.model_validate_json(folder.outage.read_bytes()) == seen, (
            "nobody asks again"
        )
        code, out, err = world.run("drill", "a", "b", "--keep", "--probe-wait", "0")
    assert code == Exit.NOT_SHOWN and out.startswith(SENTENCE), out + err
    assert [f.path.name for f, _ in folders.drills()] == [folder.path.name]
    data, report = folder.bundle.read_bytes(), folder.report.read_text()
    assert evidence.check(data).bundle.outage == seen
    assert f"From outside nobody was heard for {away:.1f} s" in report and f"war {away:.1f} s lang niemand zu" in report
    assert "the boot of the target" in report and '<rect class="nobody"' in report
    redacted = world.root / "redacted"
    code, out, err = world.run("evidence", "redact", str(folder.bundle), "-o", str(redacted))
    assert code == Exit.NOT_SHOWN, out + err
    assert "outage.json" not in open_bundle(redacted.read_bytes()).members


def test_a_move_by_anybody_can_be_watched_and_what_was_not_heard_is_not_shown(world: World) -> None:
    plan, outage = str(world.root / "plan.yaml"), world.root / "outage.json"
    text = PROBES.split("- {kind: tcp")[0]
    with world.page(b"rows") as page:
        world.place(any80=page)
        world.run("plan", "a", "b", "--probes", world.file(text), "-o", plan)
        code, out, err = world.run("probe", "a", "--to", "b", "--plan", plan, "-o", str(outage), "--for", "3")
        assert code == Exit.NOT_SHOWN and "How long nobody answered is not shown" in out, out + err
        seen = Watched.model_validate_json(outage.read_bytes())
        assert seen.courses[0].source.answered > 0 and seen.courses[0].target.asked == 0
        assert world.run("move", plan, "--late-writes", "0")[0] == Exit.HELD
        code, out, err = world.run("probe", "a", "--to", "b", "--plan", plan, "--format", "json")
        assert code == Exit.HELD and Watched.model_validate_json(out).seconds() == 0.0, (
            "both answer at once: " + out + err
        )
    for arguments, told in (
        (("--to", "b", "--probes", world.file(text)), "--to needs the plan"),
        (("--plan", plan, "--for", "3"), "--for says how long both are asked"),
    ):
        code, _, err = world.run("probe", "a", *arguments)
        assert code == Exit.USAGE and told in err, err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("probes: [", "probes.yaml, line 1:"),
        ("probes: [{kind: tcp, at: ADDRESS, port: 0}]", "probe 1 (tcp) port: Input should be greater"),
        ("probes: [{kind: tcp, at: 192.0.2.77, port: 80}]", "at: 192.0.2.77 is no public address"),
        ("probes: [{kind: closed, at: ADDRESS, port: 80, control: nobody}]", "control: 'nobody' is no probe"),
        (None, "there is no such file"),
    ],
)
def test_a_bad_file_is_one_message_and_nothing_was_done(world: World, text: str | None, told: str) -> None:
    name = world.file(text) if text is not None else str(world.root / "missing.yaml")
    for arguments in (("plan", "a", "b"), ("drill", "a", "b"), ("probe", "a")):
        code, _, err = world.run(*arguments, "--probes", name)
        assert code == Exit.USAGE and told in err and "Traceback" not in err, err
    assert closer.standing(world.root, "b") == set()


def test_what_contradicts_itself_on_the_command_line_is_refused(world: World) -> None:
    plan = str(world.root / "plan.yaml")
    world.run("plan", "a", "b", "-o", plan)
    for arguments, told in (
        (("drill", "a", "b", "--plan", plan, "--probe"), "--probe and --probes say what is asked"),
        (("probe", "a"), "say what to ask"),
        (("probe", "a", "--plan", plan, "--probes", world.file()), "say what to ask"),
        (("verify", "a", "b", "--plan", plan, "--answers", plan), "no recorded answers"),
    ):
        code, _, err = world.run(*arguments)
        assert code == Exit.USAGE and told in err, err
    text = Path(plan).read_text()
    Path(plan).write_text(text + "probes:\n- {id: p, at: 'floating_ip:no', port: 80, kind: tcp}\n")
    code, _, err = world.run("move", plan)
    assert code == Exit.USAGE and "probe 1 at: floating_ip:no is no public address" in err, err
