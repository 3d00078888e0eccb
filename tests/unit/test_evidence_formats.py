# SPDX-License-Identifier: Apache-2.0
"""Evidence of every released format stays checkable: by a program with new fields, other words, other judgings.

The golden bundles in tests/assets/golden (and those of real drills, see `kept_bundles`) are never sealed anew. The other
version of the program is this one's source with a field more in every model, and every sentence reworded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import closer
import pytest
from kept_bundles import FIRST, sign_anew, stated
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau import canonical, files
from unterbau.cloud.simulator import Simulator
from unterbau.errors import BundleError, PlanError
from unterbau.evidence.container import pack
from unterbau.evidence.core import STATEMENT
from unterbau.evidence.opening import open_bundle
from unterbau.face import Face
from unterbau.judge import evidence as judgements
from unterbau.prove import evidence as proofs
from unterbau.saga import Journal
from unterbau.switch import drill, evidence, folders, verify
from unterbau.tenant.kinds import Container
from unterbau.tenant.kinds.fate import Change, Fate, Guests
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, words

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "assets" / "golden"
SEALED = {
    "format-1-proof": "699312ab6c03696a83f83d1ad07fe759870c8a12ad9701111296c35d68900217",
    "format-2-drill": "65ad477cd44d867f1c0a8186c8ba49155ff5881bb0bd9a3463f150436269dcdb",
    "format-2-proof": "87ca447163dffa076f68f247a54bd8f49ccf01ee3f651b719cd4973d6ddc9a52",
    "format-2-stack": "9c6d6b1951e582b3270fb6a8d07b7ea593703ff034eb6499990c080e0ef39649",
    "format-3-closed": "ed0695ceae223a53995bc400820078ccacd117d057f1c460a950209b9d52ac29",
    "format-4-closed": "12264f754aa42848e6d3d4291a5a65cb6f872173b9dad16ec73edfed026b0792",
}
"""SHA-256 of each golden bundle, those that are closed of a source with a crowded container: each object by itself, and in parts; `kept_bundles` has the drill, and tests/assets/stack.unterbau the stack of format 1."""
ALL = (*sorted(GOLDEN.glob("*.unterbau")), FIRST, ROOT / "tests" / "assets" / "stack.unterbau")
CHECK: dict[str, Callable[..., Any]] = {
    evidence.KIND: evidence.check_opened, proofs.KIND: proofs.check_opened, judgements.KIND: judgements.check_opened
}  # fmt: skip
STRANGER = CryptoSigner.generate_ed25519()


def outcome(path: Path) -> str:
    opened = open_bundle(path.read_bytes())
    return str(CHECK[opened.kind](opened).outcome.value)


PROGRAM = """
import sys
from pathlib import Path
from unterbau.evidence.opening import open_bundle
from unterbau.judge import evidence as judgements
from unterbau.prove import evidence as proofs
from unterbau.switch import evidence
CHECK = {m.KIND: m.check_opened for m in (evidence, proofs, judgements)}
for name in sys.argv[1:]:
    opened = open_bundle(Path(name).read_bytes())
    print(Path(name).stem, CHECK[opened.kind](opened).outcome.value, sep=': ')
"""


def others(source: Path, *arguments: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    """What a program whose source lies there says."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (source, *map(str, PATHS))))}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, env=environ
    )


PATHS = (ROOT / "tests" / "unit", ROOT / "tests" / "crash")


def copied(root: Path) -> Path:
    source = root / "src"
    shutil.copytree(ROOT / "src" / "unterbau", source / "unterbau", ignore=shutil.ignore_patterns("__pycache__"))
    return source


@pytest.fixture(scope="module")
def richer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version in which every model has a new optional field."""
    source = copied(tmp_path_factory.mktemp("richer"))
    config = '    model_config = ConfigDict(frozen=True, extra="forbid")\n'
    marker = '    """The tag of the drill that created this'
    for place, line, field in (
        ("verdict/model.py", config, "newer: tuple[int, ...] = ()"),
        ("tenant/kinds/base.py", marker, 'newer: Annotated[tuple[int, ...], changed("newer", replaced=True)] = ()'),
    ):
        path = source / "unterbau" / place
        text = path.read_text()
        assert text.count(line) == 1
        new = f"{line}\n    {field}\n" if line == config else f"    {field}\n{line}"
        path.write_text(text.replace(line, new))
    return source


@pytest.fixture(scope="module")
def reworded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that says everything in other words."""
    source = copied(tmp_path_factory.mktemp("reworded"))
    for path in source.rglob("*.po"):
        path.write_text(
            re.sub(r'^(msgstr(?:\[\d\])?) "(?=[^"])', r'\1 "Anders: ', path.read_text(), flags=re.MULTILINE)
        )
    assert "Anders: " in (source / "unterbau" / "locale" / "en" / "LC_MESSAGES" / "unterbau.po").read_text()
    return source


@pytest.mark.parametrize("name", SEALED)
def test_a_golden_bundle_is_as_it_was_sealed(name: str) -> None:
    assert hashlib.sha256((GOLDEN / f"{name}.unterbau").read_bytes()).hexdigest() == SEALED[name]
    assert open_bundle((GOLDEN / f"{name}.unterbau").read_bytes()).format == int(name[7])


@pytest.mark.thorough
def test_there_is_a_golden_bundle_of_each_kind_and_format() -> None:
    found = {(o.kind, o.format) for o in (open_bundle(p.read_bytes()) for p in ALL)}
    assert found == {(kind, format_) for kind in CHECK for format_ in (1, 2)} | {(evidence.KIND, 3), (evidence.KIND, 4)}


@pytest.mark.thorough
@pytest.mark.parametrize("other", ["richer", "reworded"])
def test_another_version_comes_to_the_same_outcomes(other: str, request: pytest.FixtureRequest) -> None:
    """A new optional field in every model, or every sentence reworded: no honest bundle is worth less."""
    done = others(request.getfixturevalue(other), *map(str, ALL))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [f"{p.stem}: {outcome(p)}" for p in ALL]


@pytest.mark.thorough
def test_a_newer_versions_fields_are_left_out_and_told(richer: Path, tmp_path: Path) -> None:
    program = (ROOT / "tests" / "unit" / "golden.py").read_text()
    done = others(richer, str(tmp_path), program=program)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, kind in (("drill", evidence), ("proof", proofs), ("stack", judgements)):
        opened = open_bundle((tmp_path / f"format-2-{name}.unterbau").read_bytes())
        checked = kind.check_opened(opened)
        honest = outcome(GOLDEN / f"format-2-{name}.unterbau")
        assert checked.outcome.value == ("not shown" if honest == "held" else honest)
        if name == "drill":
            (told,) = [v for v in checked.verdicts if v.claim.id == "coverage bundle fields"]
            assert told.outcome is Outcome.NOT_SHOWN
            assert "plan.json: entries.[].newer" in words(told.reason)
        else:
            assert any(one.endswith(".newer") for one in checked.left_out)


def anew(path: Path, change: Callable[[dict[str, Any]], None], *, summary: bool = False) -> bytes:
    """The bundle with its members changed and signed by a stranger; `change` gets them decoded, and the statement."""
    opened = open_bundle(path.read_bytes())
    from test_evidence import members

    statement = stated(members(path.read_bytes()))
    plain = {name: json.loads(data) for name, data in opened.members.items()}
    change({**plain, STATEMENT: statement})
    found = {
        name: json.dumps(plain[name]).encode() if plain[name] != json.loads(d) else d
        for name, d in opened.members.items()
    }
    return pack(found, sign_anew(found, statement, STRANGER))


DRILL = GOLDEN / "format-2-drill.unterbau"


@pytest.mark.thorough
def test_a_golden_drill_signed_by_another_still_checks() -> None:
    assert evidence.check(anew(DRILL, lambda plain: None)).outcome.value == outcome(DRILL)


def _respelled_census(plain: dict[str, Any]) -> None:
    plain["source-census.json"]["resources"].reverse()  # the same things in another order: other bytes


def _respelled_plan(plain: dict[str, Any]) -> None:
    plain["plan.json"]["bytes_total"] += 0
    plain["plan.json"]["estimate_seconds"] = 1e9


def _old_chain(plain: dict[str, Any]) -> None:
    plain["journal.json"]["chain"] = 1


def _unknown_chain(plain: dict[str, Any]) -> None:
    plain["journal.json"]["chain"] = 3


def _other_value(plain: dict[str, Any]) -> None:
    content = next(v for v in plain["verification.json"]["verdicts"] if v["claim"]["kind"] == "content")
    content["evidence"][1]["value"] = "0" * 64


def _field_dropped(plain: dict[str, Any]) -> None:
    facts = next(v for v in plain["verification.json"]["verdicts"] if v["claim"]["id"].startswith("structure network"))
    facts["evidence"][0]["value"].pop("description")


def _field_added(plain: dict[str, Any]) -> None:
    facts = next(v for v in plain["verification.json"]["verdicts"] if v["claim"]["id"].startswith("structure network"))
    facts["evidence"][0]["value"]["invented"] = "nice"


def _outcome(plain: dict[str, Any]) -> None:
    plain["verification.json"]["verdicts"][0]["outcome"] = "not shown"
    plain[STATEMENT]["predicate"]["not shown"].insert(0, plain["verification.json"]["verdicts"][0]["claim"]["id"])


def _unjudged(plain: dict[str, Any]) -> None:
    plain["verification.json"]["judging"] = plain[STATEMENT]["predicate"]["judging"] = ["openings"]


def _made_by(plain: dict[str, Any]) -> None:
    plain[STATEMENT]["predicate"]["made_by"] = "99"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change",
    [_respelled_census, _respelled_plan, _old_chain, _unknown_chain, _other_value, _field_dropped, _field_added,
     _outcome, _unjudged, _made_by],
)  # fmt: skip
def test_what_does_not_follow_is_refused_in_format_2(change: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(BundleError):
        evidence.check(anew(DRILL, change))


@pytest.mark.thorough
def test_a_reworded_reason_in_the_bundle_changes_nothing() -> None:
    def reword(plain: dict[str, Any]) -> None:
        for verdict in plain["verification.json"]["verdicts"]:
            verdict["reason"], verdict["claim"]["text"] = "as was said then", "a claim"

    assert evidence.check(anew(DRILL, reword)).outcome.value == outcome(DRILL)


@pytest.mark.thorough
def test_the_bundle_names_its_judging_and_who_made_it() -> None:
    for path in ALL:
        opened = open_bundle(path.read_bytes())
        if opened.format > 1:
            assert opened.predicate["judging"], path
            assert opened.predicate.get("made_by") or opened.predicate["tool"], path


# --- a drill begun by an older version


class Between:
    """A drill between two simulators."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in closer.environment(root).items():
            monkeypatch.setenv(name, value)
        self.source, self.target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
        closer.plant(self.source)
        clouds = {"a": self.source, "b": self.target}
        self.tools = drill.Tools(
            connect=lambda name: clouds[name], now=lambda: datetime.now(UTC), face=Face(quiet=True),
            stop=threading.Event(), keys=root / "keys", versions=lambda: {"unterbau": "0.1.0"}, secrets=lambda name: (),
        )  # fmt: skip
        self.folder = folders.begin("a", "b", False, self.tools.now())
        self.work = drill.Drill(self.folder, self.tools)

    def begun_long_ago(self, steps: int) -> None:
        """As a version before format 2 leaves it when it is killed: the old chain, no plan.json, no census named."""
        self.work.census()
        plan = self.work.plan().model_copy(update={"source_census": "", "guests": Guests.RUN})
        from unterbau.switch import move, planning

        files.write(self.folder.plan, planning.dump(plan).encode())
        made = move.steps(plan, self.work.read(self.folder.source, Workload), self.source, self.target)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("unterbau.saga.journal.CHAIN", 1)
            stop = threading.Event()

            def write(seq: int) -> None:
                if seq >= steps:
                    stop.set()

            with Journal(self.folder.journal, now=self.tools.now, on_write=write) as journal:
                assert journal.chain == 1
                from unterbau.saga import run

                assert run(made, journal, plan=plan.digest(), stop=stop).interrupted
        assert not self.folder.plan_begun.exists()

    def verified(self) -> None:
        seen = verify.look(*self.work.clouds(), self.work.load_plan(), work=self.folder.path, now=self.tools.now)
        files.write(self.folder.verdicts, seen.model_dump_json(indent=1).encode())


@pytest.fixture
def between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Between:
    return Between(tmp_path, monkeypatch)


@pytest.mark.thorough
def test_a_drill_begun_by_an_older_version_is_finished_by_this_one(between: Between) -> None:
    between.begun_long_ago(steps=20)
    assert between.work.move().complete
    between.verified()
    between.work.close_target()
    between.work.seal()
    checked = evidence.check(between.folder.bundle.read_bytes())
    assert checked.bundle.chain == 1
    assert {v.outcome for v in checked.verdicts if v.claim.kind != "loss"} == {Outcome.HELD}
    assert checked.today == ()


@pytest.mark.thorough
def test_a_drill_begun_by_an_older_version_is_taken_back_by_this_one(between: Between) -> None:
    before = set(between.target.enumerate_all())
    between.begun_long_ago(steps=20)
    assert set(between.target.enumerate_all()) != before
    between.work.close_target()
    assert set(between.target.enumerate_all()) == before


@pytest.mark.thorough
def test_a_new_drill_names_its_plan_and_census_by_what_is_stored(between: Between) -> None:
    between.work.census()
    plan = between.work.plan()
    assert plan.source_census == canonical.digest_bytes(between.folder.source.read_bytes())
    assert between.work.move().complete
    with Journal(between.folder.journal) as journal:
        assert journal.chain == 2
        assert journal.status.plan == canonical.digest_bytes(between.folder.plan_begun.read_bytes())
    between.verified()
    between.work.close_target()
    between.work.seal()
    sealed = open_bundle(between.folder.bundle.read_bytes())
    for name, path in (("source-census.json", between.folder.source), ("verification.json", between.folder.verdicts),
                       ("plan.json", between.folder.plan_begun)):  # fmt: skip
        assert sealed.members[name] == path.read_bytes(), "byte by byte as it was written"


@pytest.mark.thorough
def test_a_plan_from_another_census_is_refused(between: Between) -> None:
    between.work.census()
    between.work.plan()
    path = between.folder.source
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(PlanError, match="another census"):
        between.work.move()


@pytest.mark.thorough
def test_where_judgings_differ_both_are_told_and_the_stricter_one_decides(between: Between) -> None:
    """A container that opens by an edited plan: held by the judging of before openings were judged, failed today."""
    between.work.census()
    plan = between.work.plan()
    box = next(iter(between.work.read(between.folder.source, Workload).of(Container)))
    acl = Change(field="read_acl", was=box.read_acl, to=".r:*", why="by hand")
    entries = tuple(
        e.model_copy(update={"fate": Fate.CHANGED, "changes": (acl,)}) if e.ref == box.ref else e for e in plan.entries
    )
    edited = plan.model_copy(update={"entries": entries, "openings": (), "guests": Guests.RUN})
    from unterbau.saga import run
    from unterbau.switch import move
    from unterbau.switch.evidence.bundle import Bundle, Context, spelled_plan

    source = between.work.read(between.folder.source, Workload)
    with Journal(between.folder.journal) as journal:
        name = canonical.digest_bytes(spelled_plan(edited))
        assert run(move.steps(edited, source, between.source, between.target), journal, plan=name).complete
        rows = tuple(journal.export())
    seen = verify.look(between.source, between.target, edited, work=between.folder.path, now=between.tools.now)
    hashes = verify.observed(seen.verdicts)
    then = tuple(v for v in verify.compare(seen.source, seen.target, edited, hashes, ()))
    told = seen.model_copy(update={"judging": (), "verdicts": then})
    context = Context(run=edited.run, command="", rehearsal=False, sealed=between.tools.now(), versions={})
    bundle = Bundle(
        source=source, target=between.work.read(between.folder.target, Workload), plan=edited, journal=rows,
        verification=told, context=context,
    )  # fmt: skip
    checked = evidence.check(evidence.seal(bundle, STRANGER))
    assert Outcome.FAILED not in {v.outcome for v in checked.verdicts}
    assert {v.claim.kind for v in checked.today if v.outcome is Outcome.FAILED} == {"opening"}
    assert checked.outcome is Outcome.FAILED
