# SPDX-License-Identifier: Apache-2.0
"""How much of real public stacks is recognised, and how much of that is right: by a truth made by hand.

The files are written anew from the truth's names and versions, since a test fetches nothing (tests/assets/truth/README.md).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from judge_truth import Count, load, measure

from unterbau import catalogue
from unterbau.catalogue.model import Catalogue

RECALL, PRECISION = 0.90, 0.98
STACKS = load()


@cache
def known() -> Catalogue:
    return catalogue.load()


def counted(folder: Path, *, held_out: bool) -> Count:
    """The sum over the stacks that are held out, or over the others."""
    total = Count()
    for stack in STACKS:
        if stack["held_out"] is held_out:
            total.add(measure(stack, known(), folder / stack["stack"]))
    return total


def test_the_truth_is_of_real_stacks() -> None:
    assert len(STACKS) >= 15
    assert sum(s["held_out"] for s in STACKS) == 5
    assert {"osism-release", "opendesk"} <= {s["stack"] for s in STACKS}
    assert sum(len(f["parts"]) for s in STACKS for f in s["files"]) >= 300
    assert all(f["parts"] for s in STACKS for f in s["files"])
    for stack in STACKS:
        assert stack["source"].startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{40}", stack["commit"])
        assert stack["files"], stack["stack"]


@pytest.mark.parametrize("held_out", [False, True])
def test_recall_and_precision(tmp_path: Path, held_out: bool) -> None:
    """Of parts and of technologies; the stacks that were held out by themselves."""
    total = counted(tmp_path, held_out=held_out)
    missed, wrong = "\n".join(total.missed), "\n".join(total.wrong)
    assert total.known >= 50
    assert total.recall >= RECALL, missed
    assert len(total.seen) >= RECALL * len(total.technologies), missed
    assert total.precision >= PRECISION, wrong


def test_the_count_counts(tmp_path: Path) -> None:
    """What is wrong, missed, or called by another version counts against it."""
    parts = [
        {"name": "redis", "version": "7.2", "is": "redis"},
        {"name": "docker.io/library/redis", "version": "7.4", "is": "valkey"},
        {"name": "registry.example/x/nginx", "version": "1", "is": "nginx"},
        {"name": "postgres", "version": "16", "is": None},
        {"name": "nobody/knows", "version": "1", "is": "not-in-the-catalogue"},
    ]
    file = {"path": "compose.yaml", "form": "compose", "parts": parts}
    found = measure({"stack": "s", "files": [file]}, known(), tmp_path)
    assert (found.parts, found.known, found.found, found.recognised, found.right) == (5, 3, 1, 3, 1)
    assert len(found.missed) == 2
    assert len(found.wrong) == 2
    assert found.seen == {("s", "redis")}
