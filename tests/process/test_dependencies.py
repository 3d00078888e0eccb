# SPDX-License-Identifier: Apache-2.0
"""What pyproject.toml says of dependencies is true: all that is imported is declared, and the lowest versions work."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from unterbau.errors import LocalError
from unterbau.reference import install, registry

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALONE = ("reference/runtime/", "prove/guest.py")
"""What runs elsewhere: in the services' own environment, in a guest."""
LOADED_BY_NAME = {"securesystemslib"}


def declared(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", r) for r in requirements)
    return {m.group().lower().replace("_", "-") for m in names if m}


def imported() -> dict[str, set[str]]:
    """Distribution -> the modules of ours that import it."""
    known, found = packages_distributions(), dict[str, set[str]]()
    for path in sorted((ROOT / "src" / "unterbau").rglob("*.py")):
        place = str(path.relative_to(ROOT / "src" / "unterbau"))
        if place.startswith(ALONE):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in ("unterbau", ""):
                    for distribution in known.get(top, [top]):
                        found.setdefault(distribution.lower().replace("_", "-"), set()).add(place)
    return found


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    base, cloud = declared(PROJECT["dependencies"]), declared(PROJECT["optional-dependencies"]["cloud"])
    used = imported()
    assert used.keys() - base - cloud == set()
    assert (base | cloud) - used.keys() - LOADED_BY_NAME == set()


def test_the_extra_is_for_the_embedded_cloud_only() -> None:
    cloud = declared(PROJECT["optional-dependencies"]["cloud"])
    users = {place for name in cloud for place in imported().get(name, ())}
    assert users and all(place.startswith("reference/") for place in users)


def test_without_the_extra_the_program_works_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in declared(PROJECT["optional-dependencies"]["cloud"]):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LocalError) as caught:
        install.uv()
    assert "unterbau[cloud]" in caught.value.remedy
    hidden = declared(PROJECT["optional-dependencies"]["cloud"])
    code = f"import sys; sys.modules.update(dict.fromkeys({sorted(hidden)!r})); import unterbau.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_of_the_tests_is_used_in_production() -> None:
    tests_only = declared(PROJECT["optional-dependencies"]["dev"]) - declared(PROJECT["dependencies"]) - {"unterbau"}
    tests_only -= declared(PROJECT["optional-dependencies"]["cloud"])
    assert tests_only & imported().keys() == set()


IMPORT_ALL = """
import importlib, pkgutil, unterbau
for found in pkgutil.walk_packages(unterbau.__path__, "unterbau."):
    if ".runtime" not in found.name and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""


@pytest.mark.timeout(900)
def test_the_lowest_allowed_versions_work(tmp_path: Path) -> None:
    environ = {**os.environ, **registry.of_this_machine(os.environ), "PYTHONPATH": str(ROOT / "src")}
    uv, python = str(find_uv_bin()), str(tmp_path / "venv" / "bin" / "python")

    def run(*argv: str) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environ, cwd=ROOT)
        assert done.returncode == 0, f"{' '.join(argv[:4])}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    lowest = tmp_path / "lowest.txt"
    run(uv, "pip", "compile", "-q", "--resolution", "lowest-direct", "--python-version", "3.11", "--extra", "cloud",
        "pyproject.toml", "-o", str(lowest))  # fmt: skip
    run(uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv"))
    tools = ["hypothesis", "jsonschema", "pytest", "pytest-timeout", "trustme"]
    run(uv, "pip", "install", "-q", "--python", python, "-r", str(lowest), *tools)
    run(python, "-W", "error", "-c", IMPORT_ALL)
    told = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "b"), "tests/unit")
    assert re.search(r"\d{3,} passed", told)
