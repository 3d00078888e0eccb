# SPDX-License-Identifier: Apache-2.0
"""What each verb loads: its help nothing but click, its work nothing that only another verb wants.

Times depend on the machine; `bench/` tells them. What is loaded does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from unterbau.cli import cli

ROOT = Path(__file__).parents[2]
LIGHT = {
    "unterbau", "unterbau.cli", "unterbau.cli.frame", "unterbau.cli.verbs", "unterbau.defaults", "unterbau.errors",
    "unterbau.schemas",
}  # fmt: skip
"""All of ours that `--version` and every `--help` may load."""
EMPTY = """
import atexit, click, gc, json, os, pathlib, signal, sys, threading, typing
@click.group()
@click.version_option("1")
def nothing(): pass
@nothing.command()
@click.option("--one", type=click.Choice(["a"]), default="a", show_default=True)
@click.option("--two", type=click.IntRange(1), default=1, show_default=True)
def verb(one, two): pass
sys.stdout = open(os.devnull, "w")
for words in (["--version"], ["--help"], ["verb", "--help"], ["none"]):
    try: nothing.main(words)
    except SystemExit: pass
sys.stdout = sys.__stdout__
"""

LOADED = (
    EMPTY
    + """
import json
before = set(sys.modules)
from unterbau.cli import main
for words in {commands!r}:
    sys.argv = ["unterbau", *words]
    try: main()
    except SystemExit: pass
sys.stdout.flush()
print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr)
"""
)


def loaded(home: Path, *commands: list[str]) -> set[str]:
    """The modules that commands load beyond an empty program of click, in a process of their own."""
    code = LOADED.replace("{commands!r}", repr(list(commands)))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_STATE_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told: list[str] = json.loads(done.stderr.splitlines()[-1])
    return set(told)


def light(found: set[str]) -> bool:
    """Whether only what is allowed was loaded; says what else was."""
    ours = {name for name in found if name.split(".")[0] == "unterbau"}
    assert ours <= LIGHT
    assert found - ours == set()
    return True


def verbs(group: click.Group = cli, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of every command and group."""
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, *path, name)
        else:
            yield (*path, name)


def test_version_loads_click_and_nothing_else(tmp_path: Path) -> None:
    assert light(loaded(tmp_path, ["--version"]))


def test_the_help_of_every_verb_loads_click_and_nothing_else(tmp_path: Path) -> None:
    every = list(verbs())
    assert len(every) > 25
    assert light(loaded(tmp_path, *([*path, "--help"] for path in every)))


def test_who_speaks_to_a_cloud_loads_no_client_of_openstacksdk(tmp_path: Path) -> None:
    found = loaded(tmp_path, ["census", "nowhere"], ["prove", "nowhere"])
    assert "openstack.config.loader" in found
    assert not {
        name for name in found if name.startswith(("openstack.connection", "openstack.compute", "openstack.cloud"))
    }


def test_who_asks_openstacksdk_for_a_client_beside_us_gets_it(tmp_path: Path) -> None:
    code = "import unterbau.cloud.openstack, openstack; print(openstack.connect, openstack.connection.Connection.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "openstack.connection" in done.stdout


CLOUDS = {"openstack", "keystoneauth1", "requests", "urllib3"}
SIGNING = {"securesystemslib", "cryptography"}
ASKING = {"dns", "h11"}
PAGES = {"jinja2"}
WORDS = {"babel"}
"""What says why reads the catalogues: `judge` and `facts` do, and what has nothing to say does not."""
SBOM = {"cyclonedx", "spdx_tools", "rdflib"}
EMBEDDED = {"psutil"}
MODELS = {"pydantic", "pydantic_core"}
DRAWING = {"rich"}


# What `prove` has loaded when it finds no cloud is what it loads before it asks one for a token.
@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["judge", "redis@7.4"], CLOUDS | SIGNING | PAGES | SBOM | EMBEDDED),
        (["judge", "{compose}"], CLOUDS | SIGNING | PAGES | SBOM | EMBEDDED),
        (["facts", "redis"], CLOUDS | SIGNING | PAGES | SBOM | EMBEDDED),
        (["prove", "--from", "none.json"], CLOUDS | SIGNING | PAGES | WORDS | SBOM | EMBEDDED),
        (["prove", "nowhere"], MODELS | DRAWING | SIGNING | PAGES | WORDS | SBOM | EMBEDDED),
        (["cloud", "list"], CLOUDS | SIGNING | PAGES | WORDS | SBOM),
        (["census", "nowhere"], SIGNING | ASKING | PAGES | SBOM),
        (["plan", "nowhere", "there"], SIGNING | ASKING | PAGES | WORDS | SBOM | EMBEDDED),
        (["drill", "nowhere", "there"], SIGNING | ASKING | PAGES | WORDS | SBOM | EMBEDDED),
        (["move", "none"], CLOUDS - {"urllib3"} | SIGNING | ASKING | PAGES | WORDS | SBOM | EMBEDDED),
        (["verify", "nowhere", "there"], SIGNING | ASKING | PAGES | WORDS | SBOM | EMBEDDED),
        (["close", "none"], CLOUDS - {"urllib3"} | PAGES | WORDS | SBOM | EMBEDDED),
        (["doctor"], SIGNING | PAGES | WORDS | SBOM),
        (["schema", "census"], CLOUDS | SIGNING | PAGES | WORDS | SBOM | EMBEDDED | DRAWING),
        (["evidence", "check", "tests/assets/drill.unterbau"], CLOUDS - {"urllib3"}),
    ],
)
def test_a_verb_loads_no_library_of_another(tmp_path: Path, arguments: list[str], unwanted: set[str]) -> None:
    compose = tmp_path / "compose.yaml"
    compose.write_text("services:\n  db:\n    image: docker.io/library/postgres:16.3\n")
    found = loaded(tmp_path, [a.format(compose=compose) for a in arguments])
    assert {name.split(".")[0] for name in found} & unwanted == set()
