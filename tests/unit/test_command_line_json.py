# SPDX-License-Identifier: Apache-2.0
"""With --format json a command prints one JSON value, whatever goes wrong and wherever the option stands."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from unterbau.cli import cli, main
from unterbau.cli.frame import asks_for_json

UNKNOWN = ["census", "plan", "verify", "drill", "prove", "cloud seed", "doctor"]
"""Verbs that enter a cloud by its name, and how many names they want."""


def verbs(group: click.Group = cli, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, *path, name)
        else:
            yield (*path, name)


VERBS = list(verbs())


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without clouds."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, int, str]:
    """The one JSON value on standard output, the exit code, and standard error."""
    argv, sys.argv = sys.argv, ["unterbau", *words]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = argv
    told = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return json.loads(told.out), ended.value.code, told.err


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
@pytest.mark.parametrize("place", ["end", "equals", "after the verb", "first", "first, equals"])
def test_wrong_usage_is_one_json_object_wherever_the_option_stands(
    capsys: pytest.CaptureFixture[str], path: tuple[str, ...], place: str
) -> None:
    words = {
        "end": [*path, "--nonsense", "--format", "json"],
        "equals": [*path, "--nonsense", "--format=json"],
        "after the verb": [*path, "--format", "json", "--nonsense"],
        "first": ["--format", "json", *path, "--nonsense"],
        "first, equals": ["--format=json", *path, "--nonsense"],
    }[place]
    told, code, people = run(capsys, *words)
    assert set(told) == {"error", "what", "remedy", "exit"}
    assert (told["error"], told["exit"], code) == ("UsageError", 2, 2)
    assert "--nonsense" in told["what"] and told["remedy"] == f"unterbau {' '.join(path)} --help"
    assert "Error: " in people  # a person who looks at the terminal sees it, too


@pytest.mark.parametrize("verb", UNKNOWN)
def test_an_unknown_cloud_is_one_json_object(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    clouds = ["nowhere"] if verb in ("census", "prove", "cloud seed", "doctor") else ["nowhere", "elsewhere"]
    told, code, people = run(capsys, *verb.split(), *clouds, "--format", "json")
    assert (told["error"], told["exit"], code) == ("ConfigError", 2, 2)
    assert "nowhere" in told["what"] and told["remedy"]
    assert people.count("unterbau: ") == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (["cloud", "up", "Grosz"], "UsageError", 2),
        (["cloud", "down", "nowhere"], "LocalError", 1),
        (["cloud", "status", "nowhere"], "LocalError", 1),
        (["cloud", "env", "nowhere"], "LocalError", 1),
        (["cloud", "logs", "nowhere"], "LocalError", 1),
        (["cloud", "wipe", "nowhere", "--yes"], "LocalError", 1),
        (["move", "nowhere.json"], "PlanError", 2),
        (["close", "20260101-aaaa", "--target"], "UsageError", 2),
        (["evidence", "check", "nowhere"], "UsageError", 2),
        (["evidence", "redact", __file__, "-o", "x"], "BundleError", 2),
        (["judge", "no-such-technology"], "UsageError", 2),
        (["facts", "no-such-technology"], "UsageError", 2),
        (["facts", "audit", "--from", ".", "--kind", "nonsense"], "UsageError", 2),
        (["prove", "--from", "nowhere"], "UsageError", 2),
        (["map", "diff", "nowhere.json"], "UsageError", 2),
        (["schema", "nonsense"], "UsageError", 2),
        (["nonsense"], "UsageError", 2),
        ([], "UsageError", 2),
        (["cloud"], "UsageError", 2),
    ],
    ids=lambda value: " ".join(w for w in value if "/" not in w) if isinstance(value, list) else None,
)
def test_what_else_goes_wrong_is_one_json_object(
    capsys: pytest.CaptureFixture[str], words: list[str], error: str, code: int
) -> None:
    told, ended, _ = run(capsys, *words, "--format=json")
    assert (told["error"], told["exit"], ended) == (error, code, code)


@pytest.mark.thorough
def test_results_are_one_json_value_of_every_verb_that_needs_no_cloud(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["cloud", "list"],
        ["drill", "--list"],
        ["schema", "plan"],
        ["completion", "bash"],
        ["facts", "redis"],
    ):
        told, code, _ = run(capsys, "--format", "json", *words)
        assert code == 0 and told is not None


def test_the_last_word_about_the_format_counts_and_what_follows_two_dashes_does_not() -> None:
    assert asks_for_json(["census", "x", "--format", "json"]) and asks_for_json(["--format=json"])
    assert not asks_for_json(["judge", "--", "--format=json"])
    assert not asks_for_json(["judge", "json", "--format", "text"])
    assert not asks_for_json(["judge", "--format=json", "--format", "text"])
    assert not asks_for_json(["judge", "--format"])
