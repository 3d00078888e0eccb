# SPDX-License-Identifier: Apache-2.0
"""What several suites share: a tenant moved between two simulators, and two real clouds.

Tests that need the real ones carry the marker `cloud`. The clouds have names of their own, so that a user's clouds
are not touched, and are taken down and wiped at the end unless UNTERBAU_TEST_KEEP is set.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

import pytest
from making import WAIT, Maker
from world import World

from unterbau import locale
from unterbau.cloud.port import Cloud
from unterbau.cloud.simulator import Simulator
from unterbau.reference import tenant as seed
from unterbau.saga import Journal, run
from unterbau.switch import census, move, planning
from unterbau.switch.plan import Plan
from unterbau.tenant.workload import Workload
from unterbau.verdict import Reason

if TYPE_CHECKING:
    from playwright.sync_api import Browser

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)

SOURCE, TARGET = "test-quelle", "test-ziel"


gc.set_threshold(50_000)  # a sixth of the time of the unit suite went into looking for rubbish


def pytest_collection_finish() -> None:
    """What was loaded stays to the end: nobody looks through it once more."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def files_enough() -> Iterator[None]:
    """Five thousand tests in one process, servers and clients of hundreds of them: they may have as many files as the machine allows.

    A program of ours has what it is given: those that are started as processes are started with it.
    """
    given, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (given, most))


@pytest.fixture(autouse=True, scope="session")
def every_reason_is_whole() -> Iterator[None]:
    """Whatever reason a test makes our code give: it has words in each language, and just the values that they ask for.

    `test_reasons` says the same of the source as it is written.
    """
    of = Reason.of.__func__  # type: ignore[attr-defined]

    def checked(cls: type[Reason], id_: str, /, **values: Any) -> Reason:
        for language in locale.LANGUAGES:
            assert _asked(id_, language) == values.keys(), f"the words of {id_} ({language}) ask for other values"
        made: Reason = of(cls, id_, **values)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reason, "of", classmethod(checked))
        yield


@cache
def _asked(id_: str, language: str) -> frozenset[str]:
    """The values that the words of a reason ask for; of several things, where one and many are told differently."""
    template = locale.template(id_, language, 2)
    assert template is not None, f"{id_!r} has no words ({language})"
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def _running(name: str) -> Iterator[str]:
    from unterbau import reference

    reference.up(name, progress=lambda line: None)
    yield name
    if not os.environ.get("UNTERBAU_TEST_KEEP"):
        reference.down(name)
        reference.wipe(name)


@pytest.fixture(scope="session")
def source_cloud() -> Iterator[str]:
    """Name of a running cloud."""
    yield from _running(SOURCE)


@pytest.fixture(scope="session")
def target_cloud() -> Iterator[str]:
    """Name of a running cloud, of which a test that needs one only makes use."""
    yield from _running(TARGET)


@pytest.fixture(scope="session")
def two_clouds(source_cloud: str, target_cloud: str) -> tuple[str, str]:
    """Names of two running clouds; what is in them is up to the test that uses them."""
    return source_cloud, target_cloud


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, which asks nobody for anything of its own."""
    from playwright.sync_api import sync_playwright  # only the tests of pages load it

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        yield started
        started.close()


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the simulator `a` with the seeded tenant: to be copied, not to be written in.

    What lies outside of the tenant bears the cloud's name: under another one its router's external network is not there.
    """
    folder = tmp_path_factory.mktemp("planted") / "cloud"
    seed.plant(Simulator(folder, name="a"), now=NOW)
    return folder


@pytest.fixture(scope="session")
def moved_once(tmp_path_factory: pytest.TempPathFactory, planted: Path) -> tuple[Path, Plan, Workload]:
    root = tmp_path_factory.mktemp("moved")
    shutil.copytree(planted, root / "a")
    source, target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
    workload, other = (census.take(c, now=lambda: NOW) for c in (source, target))
    plan = planning.make(workload, other, run="unit", now=NOW)
    steps = move.steps(plan, workload, source, target)
    with Journal(root / "journal.db") as journal:
        assert run(steps, journal, plan=plan.digest(), workers=4).complete
    return root, plan, workload


@pytest.fixture
def world(moved_once: tuple[Path, Plan, Workload], tmp_path: Path) -> World:
    root, plan, workload = moved_once
    shutil.copytree(root, tmp_path / "w")
    return World(
        tmp_path / "w",
        Simulator(tmp_path / "w" / "a", name="a"),
        Simulator(tmp_path / "w" / "b", name="b"),
        plan,
        workload,
    )


@pytest.fixture(
    params=["simulator", pytest.param("openstack", marks=[pytest.mark.cloud, pytest.mark.filterwarnings("ignore")])]
)
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Cloud:
    if request.param == "simulator":
        return Simulator(tmp_path)
    from unterbau import wiring

    return wiring.open_cloud(request.getfixturevalue("target_cloud"))


@pytest.fixture
def make(cloud: Cloud) -> Iterator[Maker]:
    maker = Maker(cloud)
    yield maker
    for reference in reversed(maker.made):
        cloud.delete(reference, WAIT)
