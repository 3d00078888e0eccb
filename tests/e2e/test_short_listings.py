# SPDX-License-Identifier: Apache-2.0
"""Censuses of a real cloud that gives short listings: cut pages, hidden entries, a Neutron that was just started."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import inventory
import psutil
import pytest
import yaml
from click.testing import CliRunner
from front import After, Before, Front, cut, entries, is_listing, smaller, standing, with_entries
from lying_cloud import Asked, Told
from people import somebody

from unterbau import reference, wiring
from unterbau.cli import cli
from unterbau.errors import Exit
from unterbau.reference import plant, process, readiness, services
from unterbau.switch import census
from unterbau.tenant.kinds import Kind, ref
from unterbau.tenant.workload import Workload

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.long,
    # openstacksdk, which plants here, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
CONTAINERS, OBJECTS, MANY, FEW = 25, 89, 5, 3


@pytest.fixture(scope="module")
def tenant(two_clouds: tuple[str, str]) -> Iterator[Any]:
    """A project of somebody's own with more of each kind than the relay gives at once."""
    with somebody(two_clouds[1]) as connection:
        try:
            _plant(connection)
            yield connection
        finally:
            inventory.sweep(connection)


def _plant(c: Any) -> None:
    for n in range(CONTAINERS):
        c.object_store.create_container(name=f"c{n:02}")
    # Something that only an owner is told, so that what others of the account may do is not in doubt.
    c.object_store.post("/c00", headers={"X-Container-Read": ".r:example.org"})
    for n in range(OBJECTS):
        c.object_store.put(f"/c07/o%20{n:02}", data=b"x")
    for n in range(MANY):
        network = c.network.create_network(name=f"n{n}")
        c.network.create_subnet(network_id=network.id, ip_version=4, cidr=f"10.7.{n}.0/24", name=f"s{n}")
        c.network.create_port(network_id=network.id, name=f"p{n}")
        c.network.create_security_group(name=f"g{n}")
        c.compute.create_keypair(name=f"k{n}")
        c.compute.create_server_group(name=f"sg{n}", policy="anti-affinity")
        c.image.post("/images", json={"name": f"i{n}", "disk_format": "raw", "container_format": "bare"})
        secret = c.key_manager.post("/secrets", json={"name": f"x{n}"}).json()["secret_ref"]
        c.key_manager.post("/containers", json={"name": f"y{n}", "type": "generic",
                                                "secret_refs": [{"name": "a", "secret_ref": secret}]})  # fmt: skip
    volumes = [c.block_storage.create_volume(name=f"v{n}", size=1) for n in range(FEW)]
    for volume in volumes:
        c.block_storage.wait_for_status(volume, "available", interval=0.5, wait=240)
    server = c.compute.create_server(
        name="s", flavor_id=c.compute.find_flavor("SCS-2V-4-20s").id, networks="none",
        image_id=c.image.find_image("unterbau-tiny").id, key_name="k1",
    )  # fmt: skip
    c.compute.wait_for_server(server, interval=0.5, wait=240)
    for volume in volumes:
        c.compute.create_volume_attachment(server, volume_id=volume.id)
        c.block_storage.wait_for_status(volume, "in-use", interval=0.5, wait=240)


@pytest.fixture
def front(tenant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with standing(tenant, tmp_path, "front", Front) as server:
        yield server


def _taken() -> Workload:
    return census.take(wiring.open_cloud("front"), now=lambda: datetime.now(UTC))


def _notes(taken: Workload) -> dict[str, str]:
    """What is not shown, without what no tenant can read."""
    return {n.what: str(n.reason) for n in taken.not_shown if not n.what.endswith(".user_data")}


@pytest.fixture(scope="module")
def whole(tenant: Any) -> dict[str, set[str]]:
    """kind -> ids, by the tests' own enumeration."""
    found = {kind: {id_ for _, id_ in pairs} for kind, pairs in inventory.everything(tenant).items()}
    for kind in ("secret", "secret_container"):
        found[kind] = {id_.rpartition("/")[2] for id_ in found[kind]}
    return found


def _ids(taken: Workload) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for resource in taken.resources:
        found.setdefault(resource.own_kind.value, set()).add(resource.id)
    return found


def _same(taken: Workload, whole: dict[str, set[str]]) -> None:
    ids = _ids(taken)
    for kind, expected in whole.items():
        names = {r.name for r in taken.resources if r.own_kind.value == kind}
        assert ids.get(kind, set()) == expected or names == expected, kind
    assert len(ids["attachment"]) == FEW


def test_a_census_past_the_relay_asks_for_nothing_twice_to_agree(front: Front, whole: dict[str, set[str]]) -> None:
    taken = _taken()
    _same(taken, whole)
    assert _notes(taken) == {}
    assert (len(whole["container"]), len(whole["object"])) == (CONTAINERS, OBJECTS)
    assert Counter(a.path for a in front.asked if "/quotas/" in a.path).most_common(1)[0][1] == 1, "read again"
    assert not [a for a in front.asked if re.search(r"/v2\.0/(networks|subnets|ports)/", a.path)], "looked up"
    # The account of an object store is listed for its containers, and for what is in them.
    times = Counter(a.target for a in front.asked if is_listing(a) and not a.path.startswith("/object-store/"))
    assert [target for target, count in times.items() if count > 1] == [], "what several want is asked for once"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda asked: asked, cut(20)),
        (lambda asked: asked, cut(2)),
        (lambda asked: asked, cut(1)),
        (smaller(20), lambda asked, told: told),
        (smaller(2), lambda asked, told: told),
    ],
    ids=["cut to 20 without a word", "cut to 2", "cut to 1", "pages of 20 with links", "pages of 2 with links"],
)
def test_however_the_cloud_cuts_its_listings_the_census_is_whole(
    front: Front, whole: dict[str, set[str]], before: Before, after: After
) -> None:
    front.before, front.after = before, after
    taken = _taken()
    _same(taken, whole)
    assert _notes(taken) == {}


def _hiding(path: str, hidden: int) -> After:
    """A listing without its last so many entries, whatever is asked for; its counts are told as they are."""

    def after(asked: Asked, told: Told) -> Told:
        if not (is_listing(asked) and asked.path.endswith(path)):
            return told
        if "marker=" in asked.target:
            return with_entries(told, [])
        return with_entries(told, entries(told)[:-hidden])

    return after


def test_objects_that_are_counted_and_not_listed_are_not_shown_with_both_numbers(front: Front) -> None:
    front.after = _hiding("/c07", 19)
    begun = time.monotonic()
    taken = _taken()
    doubt = "its listing has 70 entries, the service counts 89"
    notes = _notes(taken)
    assert notes == {
        ref(Kind.CONTAINER, "c07"): doubt,
        "object": f"1 container was not listed whole, first container:c07: {doubt}",
    }
    assert time.monotonic() - begun > 5, "it was asked again, three times in all"
    asked = [a for a in front.asked if a.path.endswith("/c07") and a.method == "GET" and "marker" not in a.target]
    assert len(asked) == 3
    assert len(_ids(taken)["object"]) == 70 and len(_ids(taken)["container"]) == CONTAINERS
    told = CliRunner().invoke(cli, ["census", "front"], standalone_mode=False)
    assert told.return_value == Exit.NOT_SHOWN
    assert doubt in told.output


@pytest.mark.parametrize(
    ("path", "kind", "there", "said"),
    [
        ("/v3/volumes/detail", "volume", FEW, "its listing has 2 entries, the service counts 3"),
        ("/v1/secrets", "secret", MANY, "its listing has 4 entries, the service counts 5"),
        ("/v1/containers", "secret_container", MANY, "its listing has 4 entries, the service counts 5"),
        ("/v2.0/networks", "network", MANY, "its listing has 4 entries, the service counts 5 in use"),
        ("/v2.0/security-groups", "security_group", MANY + 1, "its listing has 5 entries, the service counts 6 in use"),
        ("/v2.1/os-server-groups", "server_group", MANY, "its listing has 4 entries, the service counts 5 in use"),
    ],
)
def test_what_is_counted_and_not_listed_is_not_shown_of_its_kind_alone(
    front: Front, whole: dict[str, set[str]], path: str, kind: str, there: int, said: str
) -> None:
    hidden = _hiding(path, 1)
    if kind == "server_group":  # it pages by offset
        hidden = lambda asked, told: (  # noqa: E731
            with_entries(told, entries(told)[:-1] if "offset=0" in asked.target else [])
            if asked.path.endswith(path) else told
        )  # fmt: skip
    front.after = hidden
    taken = _taken()
    assert said in _notes(taken)[kind]
    ids = _ids(taken)
    assert len(ids[kind]) == there - 1
    assert {k: len(v) for k, v in ids.items() if k not in (kind, "attachment")} == {
        k: len(v) for k, v in whole.items() if v and k != kind
    }


def test_a_neutron_whose_first_answers_are_empty_is_asked_again(front: Front, whole: dict[str, set[str]]) -> None:
    for first in (8, 20, 40):
        seen = Counter[str]()

        def empty_at_first(asked: Asked, told: Told, first: int = first, seen: Counter[str] = seen) -> Told:
            if not (is_listing(asked) and asked.path.startswith("/network/v2.0/")) or "extensions" in asked.path:
                return told
            seen["listings"] += 1
            return with_entries(told, []) if seen["listings"] <= first else told

        front.after = empty_at_first
        taken = _taken()
        _same(taken, whole)
        assert _notes(taken) == {}


def test_a_server_in_a_cell_that_does_not_answer_is_not_shown_and_not_left_out(front: Front) -> None:
    """The embedded cloud has one cell: the relay does what Nova does then, with a page size and without one."""

    def silent_cell(asked: Asked, told: Told) -> Told:
        if not asked.path.endswith("/servers/detail") or told.status != 200:
            return told
        if "limit=" in asked.target or "marker=" in asked.target:
            return with_entries(told, [])
        kept = [
            {k: e[k] for k in ("id", "created", "tenant_id", "links")} | {"status": "UNKNOWN"} for e in entries(told)
        ]
        return with_entries(told, kept)

    front.after = silent_cell
    taken = _taken()
    notes = _notes(taken)
    assert notes["server"] == "of 1 server Nova tells no more than that it is"
    assert "attachment" in notes
    assert any(what.startswith("server:") and "cell" in why for what, why in notes.items())
    assert "server" not in _ids(taken) and len(_ids(taken)["volume"]) == FEW


def test_an_attachment_that_the_server_tells_and_the_listing_has_not_is_not_shown(front: Front) -> None:
    """A cloud that only cuts its pages is read to the end by offset; this one has the rest nowhere."""

    def one_only(asked: Asked, told: Told) -> Told:
        if not asked.path.endswith("/os-volume_attachments"):
            return told
        return with_entries(told, [] if re.search(r"offset=[1-9]", asked.target) else entries(told)[:1])

    front.after = one_only
    taken = _taken()
    server = next(iter(_ids(taken)["server"]))
    assert _notes(taken)[f"server:{server}.attachments"] == "its listing has 1 entry, the service counts 3"
    assert len(_ids(taken)["attachment"]) == 1


# --- the embedded cloud itself


def test_a_neutron_that_was_started_again_tells_everything_from_its_first_answer_on(
    two_clouds: tuple[str, str], tenant: Any, whole: dict[str, set[str]]
) -> None:
    name = two_clouds[1]
    layout = plant.load(name)
    neutron = next(s for s in services.services(layout) if s.name == "neutron")
    running = next(s for s in reference.status(name).services if s.name == "neutron")
    assert running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    psutil.Process(running.pid).wait(60) if psutil.pid_exists(running.pid) else None
    probe, deadline = process.https_probe(layout.ca), time.monotonic() + 240
    while not probe(neutron):
        assert time.monotonic() < deadline, "neutron did not come back"
        time.sleep(0.05)
    paths = {"networks": "network", "subnets": "subnet", "security-groups": "security_group", "ports": "port",
             "security-group-rules": "security_group_rule"}  # fmt: skip

    def count(path: str) -> int:
        answer = tenant.network.get(f"/{path}?project_id={tenant.current_project_id}").json()
        return len(answer[path.replace("-", "_")])

    asked = [*paths] * 2
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        counted = list(pool.map(count, asked))
    assert counted == [len(whole[paths[path]]) for path in asked]


def test_a_fresh_project_is_consistent_at_its_first_census(
    two_clouds: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neutron makes the group `default` when a project is first looked at, between two of our listings or not."""
    for _ in range(3):
        with somebody(two_clouds[1]) as fresh, monkeypatch.context() as patched:
            patched.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
            config = fresh.config.config
            entry = {k: config[k] for k in ("auth", "cacert")} | {"region_name": fresh.config.get_region_name()}
            (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"front": entry}}))
            taken = _taken()
            counts = Counter(r.own_kind.value for r in taken.resources)
            assert counts == {"security_group": 1, "security_group_rule": 4}
            assert not _notes(taken).keys() & {kind.value for kind in Kind}
            # Swift answers for an account that nobody wrote to with one header more.
            assert not [what for what in _notes(taken) if what.startswith("account.x-")]
            inventory.sweep(fresh)
            fresh.network.delete(f"/security-groups/{taken.resources[0].id}")


def test_whatever_a_census_asks_was_asked_before_the_cloud_was_ready(front: Front, tenant: Any) -> None:
    _taken()
    bases = {"compute": "nova", "image": "glance", "network": "neutron", "block-storage": "cinder",
             "object-store": "swift", "key-manager": "barbican"}  # fmt: skip
    asked = set()
    for request in front.asked:
        service, _, path = request.path.removeprefix("/").partition("/")
        if request.method == "GET" and service in bases and path.strip("/") not in ("v2.1", "v3", ""):
            asked.add((bases[service], _general(f"/{path}", tenant.current_project_id)))
    promised = {
        (service, _general(path.partition("?")[0], "{project}"))
        for service, paths in readiness.LISTINGS.items()
        for path in paths
    }
    assert asked - promised == set()


def _general(path: str, project: str) -> str:
    """The path with `*` in place of ids and names."""
    path = unquote(path).replace(project, "{project}")
    path = re.sub(r"(AUTH_\{project\})/[^/]+$", r"\1/*", path)
    return re.sub(r"/(\{(?!project)[a-z]+\}|[0-9a-f]{8}-[0-9a-f-]{27})", "/*", path).rstrip("/")
