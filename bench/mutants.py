# SPDX-License-Identifier: Apache-2.0
"""How many faults in the pure cores the fast tests notice: `python -m bench.mutants [CORE...]` (`make mutants`).

mutmut names every mutant of a core's modules (an operator turned, an argument dropped, a constant changed ..); a
hundred of them are drawn with the core's name as seed, and each is put before the core's unit and law tests until one
fails. What survives stands in docs/mutants.md. What mutmut does besides is not used: its trampolines change functions
only, and a module of ours is half data. Which tests come by a statement is measured once a core; only these are asked,
the quickest first.

A mutant is never written to a file. A process that has pytest and the foreign libraries in memory forks one child a
mutant, which imports our modules afresh, one of them changed by an import hook. So a kill leaves nothing behind.

Not drawn, because no test should notice them: annotations and docstrings (mutmut leaves them out), sentences (literals
with a space in them, and f-strings), and letters' case (a changed literal is drawn once). A mutant that means the same
is named in `bench/mutants-equal.yaml` with the reason, and counts neither way.

Results are kept in .mutants/ by core. A mutant is asked again when its module has changed, or when it survived and the
tests have; `--afresh` asks all of them.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".mutants"
TOLD = ROOT / "docs" / "mutants.md"
EQUAL = ROOT / "bench" / "mutants-equal.yaml"
DRAWN = 100
AIM = 85
"""Per cent of the drawn mutants that are to be noticed."""
CPU_SECONDS, WALL_SECONDS = 60, 600
"""What a child may take: a loop without an end is noticed by the first, a wait without one by the second."""


@dataclass(frozen=True)
class Core:
    """Modules below src/unterbau (files or folders), and the test files that answer for them, the quickest first."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    without: str = ""
    """Names of tests that are left out (as for `pytest -k`): those that ask another process, which has no mutant."""


CORES: dict[str, Core] = {
    "planning": Core(
        ("switch/planning.py", "switch/plan.py", "switch/planned_openings.py"),
        ("unit/test_planning.py", "unit/test_planning_openings.py", "unit/test_closing.py", "unit/test_planning_laws.py"),
    ),
    "kinds": Core(
        ("tenant/kinds", "tenant/workload.py"),
        ("unit/test_planning.py", "unit/test_closing.py", "unit/test_census.py", "unit/test_evidence.py",
         "laws/test_verify.py"),
    ),
    "structure": Core(
        ("switch/verify/structure.py", "switch/verify/ownership.py", "switch/verify/opened.py"),
        ("unit/test_evidence.py", "unit/test_drill_openings.py", "unit/test_worst_cases.py", "laws/test_verify.py"),
    ),
    "saga": Core(("saga",), ("unit/test_saga.py",)),
    "evidence": Core(
        ("evidence/core.py", "evidence/container.py", "canonical.py"),
        ("unit/test_evidence.py",),
        without="loads_no_library",
    ),
    "judge": Core(
        ("judge/engine.py", "catalogue/versions.py"),
        ("unit/test_judge_versions.py", "unit/test_judge_engine.py", "unit/test_judge_corrections.py"),
    ),
    "prove": Core(
        ("prove/judges",),
        ("unit/test_prove_judges.py", "unit/test_prove_flavor_name.py", "unit/test_prove_cases.py",
         "unit/test_prove_defects.py"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one module. `was` and `now` are the changed piece of code, `within` the line it begins on."""

    module: str
    line: int
    within: str
    was: str
    now: str
    number: int
    """Among all mutants of its module, in mutmut's order."""

    @property
    def key(self) -> str:
        """The same as long as its line, and what is changed in it, stay the same."""
        told = "\0".join([self.module, self.within, self.was, self.now])
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
    for number, one in enumerate(mutations):
        was, now = (tree.code_for_node(node).strip() for node in (one.original_node, one.mutated_node))
        if isinstance(one.original_node, SimpleString) and (" " in was.strip() or not _is_changed_once(was, now)):
            continue
        line = where[one.original_node].start.line if one.original_node in where else 0
        within = lines[line - 1].strip() if line else ""
        found.append((Mutant(place, line, within, was, now, number), one.original_node, one.mutated_node))
    return Module(name_of(place), path, tree, tuple(found))


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


class Changed(importlib.abc.MetaPathFinder):
    """Loads one module from a changed source."""

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


class Passing:
    """A plugin of pytest that learns which tests come by which lines of our modules, and how long each takes."""

    def __init__(self) -> None:
        from coverage import Coverage

        self.coverage = Coverage(data_file=None, include=[str(ROOT / "src" / "*")], config_file=False)
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """What runs from now on, runs for this test."""
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Set-up, call and tear-down."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration

    def write(self, path: Path) -> None:
        """`{modules: [..], seconds: {test: s}, lines: {file: {line: [tests]}}}`."""
        data = self.coverage.get_data()
        lines = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
        foreign = [m for m in sys.modules if not m.startswith(("unterbau", "tests"))]
        path.write_text(json.dumps({"modules": foreign, "seconds": self.seconds, "lines": lines}))


def child(tests: Sequence[str], finder: Changed | None, folder: Path, seen: Path | None = None) -> int:
    """Run the tests in this process and say how they ended, as pytest does. `seen` gets what `Passing` learns."""
    import hypothesis
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    os.chdir(ROOT)
    if finder is not None:
        sys.meta_path.insert(0, finder)
    hypothesis.settings.register_profile("mutants", database=None, derandomize=True, deadline=None)
    hypothesis.settings.load_profile("mutants")
    options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no",
               "-W", "ignore::pytest.PytestAssertRewriteWarning", f"--basetemp={folder / 'tmp'}"]  # fmt: skip
    if seen is None:
        return int(pytest.main([*options, *tests]))
    passing = Passing()
    with passing.coverage.collect():
        code = int(pytest.main([*options, *tests], plugins=[passing]))
    passing.write(seen)
    return code


def forked(tests: Sequence[str], finder: Changed | None, seen: Path | None = None) -> tuple[str, str]:
    """How a child ended ("noticed", "stuck" or "survived"), and the test that noticed."""
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    told = folder / "told"
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setsid()
            out = os.open(told, os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(out, 1)
            os.dup2(out, 2)
            code = child(tests, finder, folder, seen)
        except BaseException:  # noqa: BLE001 - what ends a child is told in its output, and never goes on in the parent
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    status = _waited(pid)
    first = next((line for line in _lines(told) if line.startswith(("FAILED ", "ERROR "))), "")
    if os.environ.get("MUTANTS_TELL"):
        print(told.read_text(errors="replace"))
    shutil.rmtree(folder, ignore_errors=True)
    if status is None or os.WIFSIGNALED(status):
        return "stuck", ""
    code = os.WEXITSTATUS(status)
    if code == 0:
        return "survived", ""
    return "noticed", first.split(" - ")[0].partition(" ")[2] or f"pytest ended with {code}"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def _waited(pid: int) -> int | None:
    """The status of a child; None if it took too long. Nothing of its group stays."""
    end = time.monotonic() + WALL_SECONDS
    status = None
    while time.monotonic() < end:
        ended, told = os.waitpid(pid, os.WNOHANG)
        if ended:
            status = told
            break
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if status is None:
        os.waitpid(pid, 0)
    return status


# --- a core


@dataclass(frozen=True)
class Learnt:
    """Which tests come by a line of a file (a test named "" is an import), and what each takes."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[str]]]

    def tests(self, path: Path, span: range) -> list[str]:
        """Those that come by one of these lines, the quickest first; all if they are run at import."""
        lines = self.lines.get(str(path), {})
        names = {name for line in span for name in lines.get(str(line), ())}
        if "" in names:
            names = set(self.seconds)
        return sorted(names, key=lambda name: self.seconds.get(name, 0.0))


def learn(name: str) -> Learnt:
    """Run a core's tests without any mutant; afterwards this process has all foreign libraries that they need."""
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "seen"
        core = CORES[name]
        left_out = ["-k", f"not ({core.without})"] if core.without else []
        how, by = forked([*left_out, *(f"tests/{t}" for t in core.tests)], None, seen)
        if how != "survived":
            sys.exit(f"{name}: the tests fail without any mutant: {by or how}")
        told = json.loads(seen.read_text())
    for module in told["modules"]:
        with contextlib.suppress(Exception):  # a part of a library that cannot be loaded by itself is loaded later
            importlib.import_module(module)
    return Learnt(told["seconds"], told["lines"])


def span(mutant: Mutant, path: Path) -> range:
    """The lines of the innermost statement that is changed; of one with a body, those of its head."""
    found = range(mutant.line, mutant.line + 1)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):  # from the outside inwards
        if isinstance(node, ast.stmt):
            inner = [n.lineno for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt) and n.lineno > node.lineno]
            lines = range(node.lineno, min(inner, default=(node.end_lineno or node.lineno) + 1))
            found = lines if mutant.line in lines else found
    return found


def ask(name: str, number: int, afresh: bool) -> None:
    """Ask each drawn mutant of a core that is not known yet; keep what became of it."""
    core = CORES[name]
    _, mutants = drawn(name, number)
    tests = digest(sorted({ROOT / "tests" / t.partition("::")[0] for t in core.tests}))
    kept = {} if afresh else read(name)
    ask_for = [m for m in mutants if not _is_known(kept.get(m.key), tests)]
    if not ask_for:
        return
    learnt = learn(name)
    for count, mutant in enumerate(ask_for, start=1):
        module = parsed(mutant.module)
        asked = learnt.tests(module.path, span(mutant, module.path))
        how, by = "survived", "no test comes by"
        if asked:
            how, by = forked(asked, Changed(module.name, module.path, module.mutated(mutant.number)))
        kept[mutant.key] = Ended(mutant, how, by, digest([module.path]), tests)
        write(name, kept)
        print(
            f"{name} {count}/{len(ask_for)} {how:9}{mutant.module}:{mutant.line} {by.rpartition('::')[2]}", flush=True
        )


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
    ended = [Ended(**{**row, "mutant": Mutant(**row["mutant"])}) for row in rows]
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


def page(number: int) -> str:
    """docs/mutants.md."""
    same = equal()
    rows, chapters = [], []
    for name, core in CORES.items():
        possible, mutants = drawn(name, number)
        kept = read(name)
        ended = [kept[m.key] for m in mutants if m.key in kept]
        survivors = [e.mutant for e in ended if e.how == "survived"]
        alike = [m for m in survivors if (m.module, m.was, m.now) in same]
        counted, noticed = len(ended) - len(alike), len(ended) - len(survivors)
        score = f"{100 * noticed / counted:.0f} %" if counted else "not asked"
        rows.append(f"| {name} | {', '.join(f'`{m}`' for m in core.modules)} | {possible} | {len(ended)} | "
                    f"{noticed} | {len(survivors) - len(alike)} | {len(alike)} | {score} |")  # fmt: skip
        chapters.append(f"## {name}\n")
        left = [m for m in survivors if m not in alike]
        chapters += [_told(m) for m in left] or ["None."]
        if alike:
            chapters.append("\nThe same program:\n")
            chapters += [f"{_told(m)}: {same[m.module, m.was, m.now]}" for m in alike]
        chapters.append("")
    head = [
        "# Faults that no fast test notices\n",
        "`make mutants` writes this page (how: `bench/mutants.py`). Of all mutants of a core that a test should notice "
        f"{number} are drawn with the core's name as seed; each is put before the core's unit and law tests. "
        f"The aim is {AIM} % in each core.\n",
        "| core | modules | possible | asked | noticed | survived | same program | noticed of those that matter |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, "", *chapters]).rstrip() + "\n"


def _told(mutant: Mutant) -> str:
    return f"- `{mutant.module}` line {mutant.line}: {_code(mutant.was)} became {_code(mutant.now)}"


def _code(text: str) -> str:
    flat = " ".join(text.split())
    flat = flat if len(flat) <= 160 else flat[:157] + ".."
    return f"`` {flat} ``"


def main() -> None:
    """Ask the named cores (all), then write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description="Mutants against the fast tests.")
    parser.add_argument("cores", nargs="*", choices=[*CORES, []], metavar="CORE", help=", ".join(CORES))
    parser.add_argument("--number", type=int, default=DRAWN, help="mutants a core")
    parser.add_argument("--afresh", action="store_true", help="ask also what is known")
    parser.add_argument("--page", action="store_true", help="only write docs/mutants.md by what is known")
    given = parser.parse_args()
    for name in [] if given.page else given.cores or CORES:
        ask(name, given.number, given.afresh)
    TOLD.write_text(page(given.number))


if __name__ == "__main__":
    main()
