# SPDX-License-Identifier: Apache-2.0
"""The command line: one message for bad input, the documented exit code, help that is true, nothing lost."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

import click
import jsonschema
import pytest

from unterbau import schemas
from unterbau.cli import cli
from unterbau.face import printable
from unterbau.switch import folders

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "de").glob("*.md")])
ASSET = ROOT / "tests" / "assets" / "drill.unterbau"


def unterbau(home: Path, *arguments: str, columns: int = 80, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": str(columns), "LANG": "C.UTF-8", **environment}
    env |= {"XDG_STATE_HOME": str(home / "state"), "XDG_DATA_HOME": str(home / "data")}
    return subprocess.run(
        [sys.executable, "-m", "unterbau", *arguments], capture_output=True, text=True, env=env, cwd=home, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def one_message(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    assert done.stderr.count("unterbau: ") == 1
    return done.stderr


CLOUDS = """\
clouds:
  quelle:
    auth: {auth_url: "https://127.0.0.1:1/v3", username: u, password: planted-password-77, project_name: p,
           user_domain_id: default, project_domain_id: default}
    region_name: R
"""


@pytest.mark.parametrize(
    ("arguments", "clouds", "code", "said"),
    [
        (["census", "quelle"], None, 2, "no clouds.yaml"),
        (["census", "quelle"], "clouds: [", 2, "line"),
        (["census", "quelle"], "nothing: 1", 2, "clouds"),
        (["census", "qelle"], CLOUDS, 2, "nearest: quelle"),
        (["census", "quelle"], CLOUDS, 4, "127.0.0.1:1"),
        (["drill", "quelle", "quelle"], CLOUDS, 2, "same cloud"),
        (["drill"], CLOUDS, 2, "SOURCE"),
        (["drill", "quelle", "ziel"], CLOUDS, 4, "127.0.0.1:1"),
        (["plan", "quelle", "zeil"], CLOUDS, 4, "127.0.0.1:1"),
        (["move", "no-such-plan.yaml"], CLOUDS, 2, "no such plan"),
        (["close", "20260101-aaaa", "--target"], CLOUDS, 2, "no drill"),
        (["close", "20260101-aaaa"], CLOUDS, 2, "what to close"),
        (["close", "../../etc", "--target"], CLOUDS, 2, "not the name of a drill"),
        (["cloud", "status", "nirgends"], None, 1, "no cloud nirgends"),
        (["cloud", "up", "Grosz"], None, 2, "cannot name a cloud"),
        (["cloud", "env", "nirgends"], None, 1, "no cloud nirgends"),
        (["images", "list", "qelle"], CLOUDS, 2, "nearest: quelle"),
        (["images", "add", "quelle", "debain-13"], CLOUDS, 2, "no image debain-13"),
        (["images", "add", "quelle", "nixos"], CLOUDS, 4, "127.0.0.1:1"),
        (["images", "sync", "quelle", "--catalogue", "clouds.yaml"], CLOUDS, 2, "clouds.yaml: entries"),
        (["images", "sync", "quelle", "--catalogue", "absent.yaml"], CLOUDS, 2, "absent.yaml: No such file"),
    ],
)
def test_bad_input_ends_in_one_message_and_the_documented_code(
    tmp_path: Path, arguments: list[str], clouds: str | None, code: int, said: str
) -> None:
    if clouds is not None:
        (tmp_path / "clouds.yaml").write_text(clouds)
    done = unterbau(tmp_path, *arguments)
    assert done.returncode == code, done.stderr
    assert said in one_message(done)
    assert "planted-password-77" not in done.stderr + done.stdout


def test_usage_errors_have_code_2(tmp_path: Path) -> None:
    for arguments in (
        ["nonsense"],
        ["census"],
        ["census", "x", "--format", "xml"],
        ["cloud", "seed", "x", "--tenant", "y"],
    ):
        assert unterbau(tmp_path, *arguments).returncode == 2


def test_an_error_can_be_had_as_json(tmp_path: Path) -> None:
    done = unterbau(tmp_path, "census", "x", "--format", "json")
    told = json.loads(done.stdout)
    assert (told["error"], told["exit"], done.returncode) == ("ConfigError", 2, 2)
    assert told["remedy"]


def test_of_several_clouds_those_that_cannot_be_entered_stand_in_the_one_json_value(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(CLOUDS + CLOUDS.partition("\n")[2].replace("quelle", "ziel"))
    done = unterbau(tmp_path, "prove", "quelle", "ziel", "--format", "json")
    assert [t["error"] for t in json.loads(done.stdout)] == ["Unreachable", "Unreachable"]
    assert done.returncode == 4 and done.stderr.count("unterbau: ") == 2  # people are told, too


def test_a_cloud_that_clouds_yaml_does_not_know_costs_no_other_its_proof(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    done = unterbau(tmp_path, "prove", "tippfehler", "quelle", "--format", "json")
    assert {t["error"] for t in json.loads(done.stdout)} == {"ConfigError", "Unreachable"}
    assert done.returncode == 2 and "tippfehler" in done.stderr
    assert json.loads(unterbau(tmp_path, "prove", "tippfehler", "--format", "json").stdout)["error"] == "ConfigError"


def test_a_truncated_bundle_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "b.unterbau"
    broken.write_bytes(ASSET.read_bytes()[:1000])
    done = unterbau(tmp_path, "evidence", "check", str(broken))
    assert done.returncode == 2 and "truncated" in one_message(done)


def test_a_real_bundle_is_checked_offline_and_gives_its_report(tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    done = unterbau(tmp_path, "evidence", "check", str(ASSET), "--report", str(report), "--language", "de")
    assert done.returncode == 3, done.stderr
    assert "not shown" in done.stdout and "whose key" in done.stderr
    assert '<html lang="de">' in report.read_text()


def test_json_follows_the_published_schema(tmp_path: Path) -> None:
    done = unterbau(tmp_path, "evidence", "check", str(ASSET), "--format", "json", "--quiet")
    jsonschema.validate(json.loads(done.stdout), schemas.schema("evidence"))


@pytest.mark.parametrize("name", sorted(schemas.ALL))
def test_the_published_schemas_are_current(name: str) -> None:
    stored = json.loads((ROOT / "docs" / "schema" / f"{name}.json").read_text())
    assert stored == schemas.schema(name)


def test_the_list_of_drills_is_empty_on_a_new_machine(tmp_path: Path) -> None:
    done = unterbau(tmp_path, "drill", "--list", "--format", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(tmp_path: Path, shell: str) -> None:
    assert "_UNTERBAU_COMPLETE" in unterbau(tmp_path, "completion", shell).stdout


def test_every_command_of_the_readme_and_docs_exists(tmp_path: Path) -> None:
    pages = [ROOT / "README.md", *PAGES]
    told = {
        m.group(1)
        for p in pages
        for m in re.finditer(r"unterbau ((?:cloud |evidence |map |images )?[a-z]+)", p.read_text())
    }
    known = {
        "census",
        "plan",
        "move",
        "verify",
        "close",
        "probe",
        "drill",
        "completion",
        "schema",
        "evidence check",
        "evidence redact",
        "judge",
        "prove",
        "facts",
        "doctor",
    }
    known |= {f"cloud {c}" for c in ("up", "down", "status", "list", "env", "enter", "logs", "wipe", "seed")}
    known |= {f"images {c}" for c in ("list", "add", "sync")}
    known |= {f"map {c}" for c in ("build", "export", "import", "diff")}
    for command in sorted(told):
        assert command in known or command in ("cloud", "evidence", "map", "images"), command
        help_ = unterbau(tmp_path, *command.split(), "--help", columns=60)
        assert help_.returncode == 0
        if command not in ("cloud", "evidence", "map", "images", "completion", "schema"):
            assert "Exit codes" in help_.stdout


def lines_of(page: Path) -> list[str]:
    """The command lines of its blocks of code, without remarks."""
    blocks = re.findall(r"```(?:console|sh|bash)?\n(.*?)```", page.read_text(), re.S)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [re.sub(r"\s+#.*$", "", line) for line in lines if line.startswith("unterbau ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_every_line_of_a_page_names_a_command_and_options_that_it_has(page: Path) -> None:
    for line in lines_of(page):
        command, words = resolved(shlex.split(line)[1:])
        options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        asked = [w.partition("=")[0] for w in words if w.startswith("-") and w != "-"]
        assert [w for w in asked if w not in options | {"--help"}] == [], line


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words call, and those that are left."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        name = words[0]
        if name not in command.commands:  # `facts TECHNOLOGY` shows it
            assert command.name == "facts", name
            return command.commands["show"], words
        command, words = command.commands[name], words[1:]
    return command, words


@pytest.mark.parametrize("name", ["drill.md", "judge.md", "report.md"])
def test_a_german_page_has_an_english_twin_and_links_that_lead_somewhere(name: str) -> None:
    german, english = (ROOT / "docs" / folder / name for folder in ("de", "."))
    assert len(lines_of(german)) >= 3 and english.exists()
    links = re.findall(r"\]\(([^)#]+)", german.read_text())
    assert [to for to in links if not to.startswith("http") and not (german.parent / to).exists()] == []


def test_names_cannot_move_the_cursor_or_turn_the_line() -> None:
    assert printable("a\x1b[2Jb\u202ec\r\n") == "a\\u001b[2Jb\\u202ec\\u000d\\u000a"


def test_state_of_a_newer_or_broken_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert folders.drills() == ()


def test_a_terminal_of_60_columns_is_enough(tmp_path: Path) -> None:
    told = on_terminal(tmp_path, 60, "evidence", "check", str(ASSET))
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in told.splitlines()]
    assert any("snapshot" in line for line in lines)
    wide = [line for line in lines if len(line.rstrip()) > 60]
    assert [line for line in wide if not line.startswith("not shown: whose key")] == []  # a sentence may wrap


def on_terminal(home: Path, columns: int, *arguments: str) -> str:
    """What the program writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-m", "unterbau", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=home
    ) as child:
        os.close(theirs)
        told = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end is closed: that is how a terminal says so
                break
            if not chunk:
                break
            told += chunk
        child.wait(timeout=60)
    os.close(ours)
    return told.decode()
