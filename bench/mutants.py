# SPDX-License-Identifier: Apache-2.0
"""How many faults in the pure cores the fast tests notice: `python -m bench.mutants [CORE...]` (`make mutants`).

mutmut names every mutant of a core's modules (an operator turned, an argument dropped, a constant changed ..); a
hundred of them are drawn with the core's name as seed, and each is put before the core's unit and law tests until one
fails. What survives stands in docs/mutants.md. What mutmut does besides is not used: its trampolines change functions
only, and a module of ours is half data. Which tests come by a statement is measured once a core; only these are asked,
the quickest first, as many as took 20 s in sum: what only a slower one would notice counts as survived.

A mutant is never written to a file, so a kill leaves nothing behind. A process that has collected the tests forks one
child a mutant, which gives the function in question its changed code and runs the tests. What is run when a module is
imported cannot be changed so: such a mutant is met by a child that imports all of ours, one module from a changed source.
So is one of a function that an import calls, if it survives otherwise: what such a call made is there already.

Not drawn, because no test should notice them: annotations and docstrings (mutmut leaves them out), sentences (literals
with a space in them, and f-strings), letters' case (a changed literal is drawn once), `__all__` and aliases of types. A mutant that means the same
is named in `bench/mutants-equal.yaml` with the reason, and counts neither way.

Results are kept in .mutants/ by core, and so is what was measured of its tests. A mutant is asked again when its module has changed, or when it survived and the
tests have; `--afresh` asks all of them.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import gc
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".mutants"
TOLD = ROOT / "docs" / "mutants.md"
EQUAL = ROOT / "bench" / "mutants-equal.yaml"
BEFORE = ROOT / "bench" / "mutants-before.yaml"
DRAWN = 100
DEFECT = "a defect of this program"
AIM = 85
"""Per cent of the drawn mutants that are to be noticed."""
ASKED_SECONDS = 20
"""How much of the tests a mutant meets, by what they took when they were measured."""
CPU_SECONDS, WALL_SECONDS = 20, 300
"""What a child may take beyond thrice its tests' time: a loop without an end is noticed by the first, a wait without one
by the second."""


@dataclass(frozen=True)
class Core:
    """Modules below src/unterbau (files or folders), and the test files that answer for them, the quickest first."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    without: str = ""
    """Names of tests that are left out (as for `pytest -k`): those that ask another process, which has no mutant."""
    whole: str = ""
    """What tests are called in whose names it stands: they hold so much that a mutant meets them whatever they take."""


CORES: dict[str, Core] = {
    "planning": Core(
        ("switch/planning.py", "switch/plan.py", "switch/planned_openings.py"),
        ("unit/test_planning_rules.py", "unit/test_planning.py", "unit/test_planning_openings.py", "unit/test_losses.py", "unit/test_closing.py",
         "unit/test_models.py", "unit/test_planning_laws.py"),
    ),
    "kinds": Core(
        ("tenant/kinds", "tenant/workload.py"),
        ("unit/test_kinds.py", "unit/test_kinds_least.py", "unit/test_kinds_fates.py", "unit/test_kinds_in_a_cloud.py", "unit/test_kinds_asked.py", "unit/test_coverage.py", "unit/test_models.py",
         "unit/test_cases_compute.py", "unit/test_cases_network.py", "unit/test_cases_objects.py", "unit/test_cases_storage.py",
         "unit/test_planning_rules.py", "unit/test_planning.py", "unit/test_planning_openings.py", "unit/test_losses.py",
         "unit/test_closing.py", "unit/test_evidence.py", "laws/test_verify.py"),
        without="loads_no_library",
    ),
    "structure": Core(
        ("switch/verify/structure.py", "switch/verify/ownership.py", "switch/verify/opened.py", "switch/verify/lost.py"),
        ("unit/test_structure.py", "unit/test_evidence.py", "unit/test_drill_openings.py", "unit/test_worst_cases.py", "unit/test_losses.py",
         "unit/test_coverage.py", "unit/test_ending.py", "laws/test_verify.py"),
        without="loads_no_library",
    ),
    "saga": Core(("saga",), ("unit/test_saga_rules.py", "unit/test_saga_momentary.py", "unit/test_saga.py")),
    "evidence": Core(
        ("evidence/core.py", "evidence/container.py", "evidence/limits.py", "nesting.py", "canonical.py"),
        ("unit/test_evidence_core.py", "unit/test_evidence.py", "unit/test_evidence_attacks.py"),
        without="loads_no_library or in_less_than_512_mb",
    ),
    "judge": Core(
        ("judge/engine.py", "catalogue/versions.py"),
        ("unit/test_judge_told.py", "unit/test_judge_versions.py", "unit/test_judge_engine.py",
         "unit/test_judge_corrections.py"),
    ),
    "prove": Core(
        ("prove/judges",),
        ("unit/test_prove_rare.py", "unit/test_prove_judges.py", "unit/test_prove_told.py", "unit/test_prove_flavor_name.py", "unit/test_prove_cases.py",
         "unit/test_prove_defects.py"),
        whole="test_what_is_told_is_what_was_told",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one module. `was` and `now` are the changed piece of code, `within` the line it begins on.

    `function` is the qualified name of the outermost function that it lies in, `first` where that begins (with its
    decorators); "" and 0 for what is run at import. `lines` are those of the innermost statement.
    """

    module: str
    line: int
    within: str
    was: str
    now: str
    number: int
    """Among all mutants of its module, in mutmut's order."""
    twin: int
    """Among those of the same words."""
    function: str
    first: int
    lines: tuple[int, ...]

    @property
    def key(self) -> str:
        """The same as long as its line, and what is changed in it, stay the same."""
        told = "\0".join([self.module, self.within, self.was, self.now, str(self.twin)])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Ended:
    """What became of a mutant: `noticed` (by a test), `stuck` (it never ended) or `survived`."""

    mutant: Mutant
    how: str
    by: str
    source: str
    tests: str


# --- which mutants there are


@dataclass(frozen=True)
class Module:
    """A parsed module; mutants of it are made by number."""

    name: str
    path: Path
    tree: Any
    found: tuple[tuple[Mutant, Any, Any], ...]

    def mutated(self, number: int) -> str:
        """The source with that mutant in it."""
        _, old, new = next(one for one in self.found if one[0].number == number)
        code: str = self.tree.deep_replace(old, new).code
        return code


@functools.cache
def parsed(place: str) -> Module:
    """All mutants of a module of ours that a test should notice."""
    from libcst import SimpleString
    from libcst.metadata import MetadataWrapper, PositionProvider
    from mutmut.mutation.file_mutation import create_mutations

    path = ROOT / "src" / "unterbau" / place
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    tree, mutations, _, _ = create_mutations(str(path), source)
    wrapper = MetadataWrapper(tree, unsafe_skip_copy=True)
    where = wrapper.resolve(PositionProvider)
    found = []
    names, statements = _names_only(source), Statements(source)
    twins: Counter[tuple[str, str, str]] = Counter()
    for number, one in enumerate(mutations):
        was, now = (tree.code_for_node(node).strip() for node in (one.original_node, one.mutated_node))
        if isinstance(one.original_node, SimpleString) and (" " in was.strip() or not _is_changed_once(was, now)):
            continue
        line = where[one.original_node].start.line if one.original_node in where else 0
        if line in names:
            continue
        within = lines[line - 1].strip() if line else ""
        twins[within, was, now] += 1
        function, first = statements.function(line)
        mutant = Mutant(place, line, within, was, now, number, twins[within, was, now], function, first,
                        statements.lines(line))  # fmt: skip
        found.append((mutant, one.original_node, one.mutated_node))
    return Module(name_of(place), path, tree, tuple(found))


class Statements:
    """Where the statements and functions of a source lie."""

    def __init__(self, source: str) -> None:
        self.tree = ast.parse(source)
        self.heads: list[range] = []
        """From the outside inwards. The head of a statement with a body ends where its body begins."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.stmt):
                parts = ast.iter_child_nodes(node)
                inner = [
                    n.lineno for n in parts if isinstance(n, ast.stmt | ast.ExceptHandler) and n.lineno > node.lineno
                ]
                self.heads.append(range(node.lineno, min(inner, default=(node.end_lineno or node.lineno) + 1)))

    def lines(self, line: int) -> tuple[int, ...]:
        """Of the innermost statement at a line; of one with a body, those of its head."""
        return tuple(next((lines for lines in reversed(self.heads) if line in lines), (line,)))

    def function(self, line: int) -> tuple[str, int]:
        """The outermost function whose body holds a line, and where it begins; ("", 0) if none does."""
        return self._function(self.tree.body, "", line)

    def _function(self, body: Sequence[ast.stmt], above: str, line: int) -> tuple[str, int]:
        for node in body:
            if not node.lineno <= line <= (node.end_lineno or node.lineno):
                continue
            if isinstance(node, ast.FunctionDef) and line >= node.body[0].lineno:
                return above + node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if isinstance(node, ast.ClassDef):
                return self._function(node.body, f"{above}{node.name}.", line)
        return "", 0


def _names_only(source: str) -> set[int]:
    """Lines of statements that only name things, for readers and the type checker: `__all__`, aliases, TypeVars."""
    found: set[int] = set()
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        name = target.id if isinstance(target, ast.Name) else ""
        is_alias = isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias"
        is_variable = isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("TypeVar(")
        if name == "__all__" or is_alias or is_variable:
            found.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def _is_changed_once(was: str, now: str) -> bool:
    return now.lower() != was.lower()


def name_of(place: str) -> str:
    """The dotted name of a file below src/unterbau."""
    return "unterbau." + place.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def places(core: Core) -> Iterator[str]:
    """The files of a core."""
    home = ROOT / "src" / "unterbau"
    for one in core.modules:
        path = home / one
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield file.relative_to(home).as_posix()


def drawn(name: str, number: int) -> tuple[int, tuple[Mutant, ...]]:
    """How many mutants there are in a core, and those that are drawn, in the order of the files."""
    all_ = [mutant for place in places(CORES[name]) for mutant, _, _ in parsed(place).found]
    sample = random.Random(name).sample(all_, min(number, len(all_)))  # noqa: S311 - the seed is the name
    return len(all_), tuple(sorted(sample, key=lambda m: (m.module, m.line, m.number)))


# --- one mutant, in a process of its own


def forked(work: Callable[[], str], usual: float) -> tuple[str, str]:
    """Do it in a child. How it ended ("noticed", "stuck" or "survived"), and by which test, as `work` says.

    `usual`: seconds that it takes where nothing is stuck.
    """
    allowed = CPU_SECONDS + 3 * round(usual)
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        said = DEFECT
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (allowed, allowed + 5))
            if not os.environ.get("MUTANTS_TELL"):
                quiet = os.open(os.devnull, os.O_WRONLY)
                os.dup2(quiet, 1)
                os.dup2(quiet, 2)
            said = work()
        except BaseException:  # noqa: BLE001 - what ends a child is told by it, and never goes on in the parent
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os.write(writer, said.encode()[:4000])
            os._exit(0)
    os.close(writer)
    ended = _waited(pid, WALL_SECONDS + 3 * usual)
    with os.fdopen(reader, "rb") as told:
        said = told.read().decode()
    if said == DEFECT:
        sys.exit("a child of this program failed; MUTANTS_TELL=1 shows why")
    if not ended:
        return "stuck", ""
    return ("noticed", said) if said else ("survived", "")


def _waited(pid: int, seconds: float) -> bool:
    """Whether a child came to its end in time. Nothing of its group stays."""
    end = time.monotonic() + seconds
    status = None
    while time.monotonic() < end and status is None:
        ended, told = os.waitpid(pid, os.WNOHANG)
        status = told if ended else None
        time.sleep(0 if ended else 0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if status is None:
        os.waitpid(pid, 0)
    return status is not None and os.WIFEXITED(status)


def asked(core: Core, plugin: object, folder: str, finder: Changed | None = None) -> int:
    """Call pytest in this process with a core's tests, which may use `folder`."""
    import hypothesis
    import pytest

    os.chdir(ROOT)
    if finder is not None:
        sys.meta_path.insert(0, finder)
    hypothesis.settings.register_profile("mutants", database=None, derandomize=True, deadline=None)
    hypothesis.settings.load_profile("mutants")
    left_out = ["-k", f"not ({core.without})"] if core.without else []
    options = [
        "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-W", "ignore::pytest.PytestAssertRewriteWarning",
        f"--basetemp={folder}/tests", *left_out,
    ]  # fmt: skip
    return int(pytest.main([*options, *(f"tests/{t}" for t in core.tests)], plugins=[plugin]))


class Ordered:
    """A plugin of pytest: the quickest tests in their order, and which of them noticed."""

    def __init__(self, seconds: Mapping[str, float], whole: str) -> None:
        self.seconds, self.whole, self.failed = seconds, whole, ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Sort them, and leave out those that would take too long."""
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[name] for name in quickest(by_name, self.seconds, self.whole)]

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the first that failed."""
        if report.failed and not self.failed:
            self.failed = str(report.nodeid)


class Meeting:
    """A plugin of pytest: the tests are collected once, and each mutant meets those that come by, in a fork of its own."""

    def __init__(
        self, mutants: Sequence[Mutant], told: Callable[[Mutant, str, str], None], learnt: Path, whole: str
    ) -> None:
        self.mutants, self.told, self.learnt, self.whole = mutants, told, learnt, whole
        self.seconds: dict[str, float] = {}
        self.items: dict[str, Any] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Set-up, call and tear-down."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_runtestloop(self, session: Any) -> bool:
        """In the place of pytest's own."""
        self.items = {item.nodeid: item for item in session.items}
        how, by = ("survived", "") if self.learnt.exists() else forked(self._learn, usual=WALL_SECONDS)
        if how != "survived":
            print(f"the tests fail without any mutant: {by or how}")
            session.testsfailed = 1
            return True
        learnt = Learnt.read(self.learnt)
        for mutant in self.mutants:
            module = parsed(mutant.module)
            names = learnt.tests(module.path, mutant.lines, self.whole)
            code = compile(module.mutated(mutant.number), str(module.path), "exec", dont_inherit=True)
            meet = functools.partial(self._meet, mutant, code, names)
            self.told(mutant, *(forked(meet, learnt.takes(names)) if names else ("survived", "")))
        return True

    def _meet(self, mutant: Mutant, code: CodeType, names: Sequence[str]) -> str:
        replace_code(mutant, code)
        return self._run(names)

    def _run(self, names: Iterable[str], before: Callable[[str], object] = lambda name: None) -> str:
        """Run these until one fails; its name."""
        ordered = [self.items[name] for name in names]
        for item, following in zip(ordered, [*ordered[1:], None], strict=True):
            before(item.nodeid)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if item.session.testsfailed:
                return str(item.nodeid)
        return ""

    def _learn(self) -> str:
        from coverage import Coverage

        coverage = Coverage(data_file=None, include=[str(ROOT / "src" / "*")], config_file=False)
        with coverage.collect():
            failed = self._run(self.items, coverage.switch_context)
        data = coverage.get_data()
        lines = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
        foreign = [m for m in sys.modules if not m.startswith(("unterbau", "tests"))]
        if not failed:
            self.learnt.write_text(json.dumps({"seconds": self.seconds, "lines": lines, "modules": foreign}))
        return failed


def replace_code(mutant: Mutant, module: CodeType) -> None:
    """Give the function that is changed its new code, whoever holds it; what was remembered of any is forgotten."""
    which = (mutant.function, mutant.first)
    (code,) = [c for c in _functions(module) if (c.co_qualname, c.co_firstlineno) == which]
    found = 0
    for one in gc.get_objects():
        if isinstance(one, FunctionType):
            own = one.__code__
            if own.co_filename == module.co_filename and (own.co_qualname, own.co_firstlineno) == which:
                one.__code__ = code
                found += 1
        elif isinstance(one, functools._lru_cache_wrapper):
            one.cache_clear()
    if not found:
        raise AssertionError(f"{mutant.function} is nowhere")


def _functions(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _functions(one)


class Changed(importlib.abc.MetaPathFinder):
    """Loads one module from a changed source: for what is run when a module is imported."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Ours if it is that module, else nobody's."""
        if fullname != self.name:
            return None
        loader = _Loader(fullname, str(self.path))
        loader.changed = self.source
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    changed = ""

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.changed, self.path, "exec", dont_inherit=True)


@dataclass(frozen=True)
class Learnt:
    """Which tests come by a line of a file, what each takes, and which modules of others they load."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[str]]]
    modules: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Learnt:
        """From what `Meeting` wrote."""
        told = json.loads(path.read_text())
        return cls(told["seconds"], told["lines"], tuple(told["modules"]))

    def tests(self, path: Path, lines: Iterable[int], whole: str) -> list[str]:
        """Those that come by one of these lines, the quickest first."""
        known = self.lines.get(str(path), {})
        return quickest({name for line in lines for name in known.get(str(line), ()) if name}, self.seconds, whole)

    def takes(self, names: Iterable[str]) -> float:
        """Seconds that these take one after the other."""
        return sum(self.seconds.get(name, 0.0) for name in names)


def quickest(names: Iterable[str], seconds: Mapping[str, float], whole: str = "") -> list[str]:
    """The quickest of these tests in their order, as many as a mutant meets; the very quickest in any case.

    Then those that are called so (see `Core.whole`), whatever they take.
    """
    ordered = sorted(names, key=lambda name: seconds.get(name, 0.0))
    until = dict(zip(ordered, accumulate(seconds.get(name, 0.0) for name in ordered), strict=True))
    met = [name for name in ordered if name == ordered[0] or until[name] <= ASKED_SECONDS]
    return met + [name for name in ordered if whole and whole in name and name not in met]


# --- a core


def ask(name: str, number: int, afresh: bool) -> None:
    """Ask each drawn mutant of a core that is not known yet; keep what became of it.

    This process loads nothing of ours. A child that did, with the tests collected, asks those of functions; those of
    what is run at import then meet the tests in children of this process.
    """
    core = CORES[name]
    _, mutants = drawn(name, number)
    tests = digest(sorted({ROOT / "tests" / t.partition("::")[0] for t in core.tests}))
    kept = {} if afresh else read(name)
    ask_for = [m for m in mutants if not _is_known(kept.get(m.key), tests)]
    if not ask_for:
        return
    if afresh:
        write(name, kept)

    with tempfile.TemporaryDirectory() as folder:
        calls = called_at_import(core, Path(folder))

    def told_first(mutant: Mutant, how: str, by: str) -> None:
        if how != "survived" or (mutant.module, mutant.function) not in calls:
            told(mutant, how, by)

    def told(mutant: Mutant, how: str, by: str) -> None:
        known = read(name)
        place = ROOT / "src" / "unterbau" / mutant.module
        known[mutant.key] = Ended(mutant, how, by, digest([place]), tests)
        write(name, known)
        print(f"{name} {how:9}{mutant.module}:{mutant.line} {by.rpartition('::')[2]}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        learnt = KEPT / f".{name}-{digest([ROOT / 'src' / 'unterbau' / p for p in places(core)])}-{tests}.json"
        KEPT.mkdir(exist_ok=True)
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = asked(core, Meeting([m for m in ask_for if m.function], told_first, learnt, core.whole), folder)
            finally:
                sys.stdout.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        if status:
            sys.exit(f"{name}: stopped")
        known = Learnt.read(learnt)
        for module in known.modules:
            with contextlib.suppress(Exception):  # a part of a library that cannot be loaded by itself is loaded later
                importlib.import_module(module)
        for mutant in ask_for:
            if not _is_known(read(name).get(mutant.key), tests):
                told(
                    mutant,
                    *forked(functools.partial(_at_import, core, mutant, known, folder), known.takes(known.seconds)),
                )


def called_at_import(core: Core, folder: Path) -> set[tuple[str, str]]:
    """(file below src/unterbau, qualified name) of the outermost functions that are called when a core is imported."""
    said = folder / "calls.json"
    forked(functools.partial(_note_calls, core, said), usual=WALL_SECONDS)
    home = ROOT / "src" / "unterbau"
    found = ((Path(file), name) for file, name in json.loads(said.read_text()))
    return {(file.relative_to(home).as_posix(), name) for file, name in found if file.is_relative_to(home)}


def _note_calls(core: Core, said: Path) -> str:
    seen: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        seen.add((frame.f_code.co_filename, frame.f_code.co_qualname.partition(".<locals>")[0]))

    sys.setprofile(note)
    for place in places(core):
        importlib.import_module(name_of(place))
    sys.setprofile(None)
    said.write_text(json.dumps(sorted(seen)))
    return ""


def _at_import(core: Core, mutant: Mutant, learnt: Learnt, folder: str) -> str:
    module = parsed(mutant.module)
    plugin = Ordered(learnt.seconds, core.whole)
    code = asked(core, plugin, folder, Changed(module.name, module.path, module.mutated(mutant.number)))
    return "" if code == 0 else plugin.failed or f"pytest ended with {code}"


def _is_known(ended: Ended | None, tests: str) -> bool:
    """A survivor is asked again after any change, the others when what they change has: tests may only grow."""
    if ended is None:
        return False
    module = ROOT / "src" / "unterbau" / ended.mutant.module
    return ended.source == digest([module]) and (ended.how != "survived" or ended.tests == tests)


def digest(paths: Any) -> str:
    """Of the contents of files."""
    told = hashlib.sha256()
    for path in paths:
        told.update(path.read_bytes())
    return told.hexdigest()[:16]


def read(name: str) -> dict[str, Ended]:
    """What is known of a core's mutants, by key."""
    path = KEPT / f"{name}.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    ended = [
        Ended(**{**row, "mutant": Mutant(**{**row["mutant"], "lines": tuple(row["mutant"]["lines"])})}) for row in rows
    ]
    return {one.mutant.key: one for one in ended}


def write(name: str, kept: dict[str, Ended]) -> None:
    """Keep it, whole or not at all."""
    KEPT.mkdir(exist_ok=True)
    fresh = KEPT / f".{name}.json"
    fresh.write_text(json.dumps([asdict(one) for one in kept.values()], indent=0))
    fresh.replace(KEPT / f"{name}.json")


# --- what is told


def equal() -> dict[tuple[str, str, str], str]:
    """(module, what it was, what it became) of mutants that mean the same, and why."""
    rows = yaml.safe_load(EQUAL.read_text()) or []
    return {(row["module"], row["was"], row["now"]): row["why"] for row in rows}


@dataclass(frozen=True)
class Sample:
    """What became of the drawn mutants of a core: how many there are, of how many it is known, and who survived."""

    possible: int
    drawn: int
    asked: int
    survived: tuple[Mutant, ...]
    alike: tuple[Mutant, ...]
    """Survivors that are the same program."""

    @classmethod
    def of(cls, name: str, number: int, same: Mapping[tuple[str, str, str], str]) -> Sample:
        """By what is kept."""
        possible, mutants = drawn(name, number)
        kept = read(name)
        ended = [kept[m.key] for m in mutants if m.key in kept]
        survivors = [e.mutant for e in ended if e.how == "survived"]
        left, alike = (
            [m for m in survivors if ((m.module, m.was, m.now) in same) is is_same] for is_same in (False, True)
        )
        return cls(possible, len(mutants), len(ended), tuple(left), tuple(alike))

    @property
    def noticed(self) -> int:
        """By a test, or because it never ended."""
        return self.asked - len(self.survived) - len(self.alike)

    @property
    def score(self) -> str:
        """Of those that matter; a part of a sample says nothing of the whole."""
        counted = self.asked - len(self.alike)
        if counted and self.asked == self.drawn:
            return f"{100 * self.noticed / counted:.0f} %"
        return "cut short" if self.asked else "not asked"


def page(number: int) -> str:
    """docs/mutants.md."""
    same = equal()
    before = yaml.safe_load(BEFORE.read_text())
    rows, chapters = [], []
    for name, core in CORES.items():
        found = Sample.of(name, number, same)
        rows.append(f"| {name} | {', '.join(f'`{m}`' for m in core.modules)} | {found.possible} | {found.asked} | {found.noticed} | "
                    f"{len(found.survived)} | {len(found.alike)} | {before['cores'].get(name, '-')} | {found.score} |")  # fmt: skip
        chapters.append(f"## {name}\n")
        none = "None." if found.asked == found.drawn else "None so far." if found.asked else "Not asked of this tree."
        chapters += [_told(m) for m in found.survived] or [none]
        if found.alike:
            chapters.append("\nThe same program:\n")
            chapters += [f"{_told(m)}: {same[m.module, m.was, m.now]}" for m in found.alike]
        chapters.append("")
    head = [
        "# Faults that no fast test notices\n",
        "`make mutants` writes this page (how: `bench/mutants.py`). Of all mutants of a core that a test should notice "
        f"{number} are drawn with the core's name as seed; each is put before the core's unit and law tests that come by it, "
        f"the quickest first, as many as took {ASKED_SECONDS} s: a figure is a lower bound. "
        f"The aim is {AIM} % in each core. *Before*: by the tests of {before['tree']} (`bench/mutants-before.yaml`), by a "
        "sample of that tree.\n",
        "| core | modules | possible | asked | noticed | survived | same program | before | noticed of those that matter |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, "", *chapters]).rstrip() + "\n"


def _told(mutant: Mutant) -> str:
    return f"- `{mutant.module}` line {mutant.line}: {_code(mutant.was)} became {_code(mutant.now)}"


def _code(text: str) -> str:
    flat = " ".join(text.split())
    flat = flat if len(flat) <= 160 else flat[:157] + ".."
    return f"`` {flat} ``"


def keep_as_before(tree: str, number: int) -> None:
    """What is known of each core, for the page of a later tree to tell."""
    same = equal()
    cores = {name: Sample.of(name, number, same).score for name in CORES}
    head = "# What was noticed by an earlier tree's tests (`python -m bench.mutants --as-before TREE` writes it).\n"
    BEFORE.write_text(head + yaml.safe_dump({"tree": tree, "cores": cores}, sort_keys=False))


def main() -> None:
    """Ask the named cores (all), then write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description="Mutants against the fast tests.")
    parser.add_argument("cores", nargs="*", choices=[*CORES, []], metavar="CORE", help=", ".join(CORES))
    parser.add_argument("--number", type=int, default=DRAWN, help="mutants a core")
    parser.add_argument("--afresh", action="store_true", help="ask also what is known")
    parser.add_argument("--page", action="store_true", help="only write docs/mutants.md by what is known")
    parser.add_argument("--as-before", metavar="TREE", help="only keep what is known as what was before, in this tree")
    given = parser.parse_args()
    if given.as_before:
        keep_as_before(given.as_before, given.number)
        return
    for name in [] if given.page else given.cores or CORES:
        ask(name, given.number, given.afresh)
    TOLD.write_text(page(given.number))


if __name__ == "__main__":
    main()
