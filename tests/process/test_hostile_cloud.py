# SPDX-License-Identifier: Apache-2.0
"""No secret travels to another host: each verb against a cloud that sends it to a stranger, over real connections.

And a Keystone whose answers are none: one message, no traceback. The cloud and the stranger are small servers of our own (`lying_cloud`): no real OpenStack can be told to redirect.
What the stranger receives is counted from the connection on, so a request without a secret counts, too.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lying_cloud import (
    PATHS,
    PROJECT,
    PROXMOX_SECRET,
    SECRETS,
    TOKEN,
    Asked,
    Lie,
    LyingCloud,
    Scene,
    Told,
    standing,
    token,
    version,
)
from pydantic import SecretBytes

from unterbau import files
from unterbau.cli import main
from unterbau.cloud import openstack
from unterbau.cloud.openstack.adapter import OpenStack
from unterbau.cloud.simulator import Simulator
from unterbau.errors import Broken, Elsewhere
from unterbau.evidence import signing_key
from unterbau.reference.layout import data_home
from unterbau.reference.rest import Rest
from unterbau.saga import Marker
from unterbau.switch import census, evidence, folders, planning
from unterbau.switch.folders import DrillState
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import Image, Network, Secret, SecurityGroup, StoredObject
from unterbau.tenant.workload import Workload

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
ASSET = Path(__file__).parents[1] / "assets" / "drill.unterbau"
REDIRECTS = (301, 302, 303, 307, 308)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with standing(tmp_path_factory.mktemp("scene")) as scene:
        yield scene


@pytest.fixture
def scene(built: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Scene]:
    for name, value in {
        "HOME": tmp_path, "XDG_DATA_HOME": tmp_path / "data", "XDG_STATE_HOME": tmp_path / "state",
        "OS_CLIENT_CONFIG_FILE": built.file, "PROXMOX_CA": built.folder / "ca.pem",
        "PROXMOX_TOKEN": f"audit@pve!unterbau={PROXMOX_SECRET}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    built.write()
    built.cloud.lie, built.cloud.catalog_of = (lambda asked: None), built.cloud.url
    for server in (built.cloud, built.stranger):
        server.asked.clear()
        server.connections = 0
    yield built


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def called(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["unterbau", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert not [s for s in SECRETS if s in out + err]
        return int(ended.value.code or 0), out, err

    return called


def away(scene: Scene, status: int, where: Callable[[Asked], bool], scheme: str = "http") -> Lie:
    """Answers of that kind point to the stranger."""
    to = f"{scheme}://{scene.stranger.place}"
    return lambda asked: Told(status, None, {"Location": to + asked.target}) if where(asked) else None


def nothing_went_away(scene: Scene) -> None:
    assert scene.stranger.asked == []
    assert scene.stranger.connections == 0
    assert all(asked.secure for asked in scene.cloud.asked)


def names_both(scene: Scene, text: str) -> bool:
    return scene.cloud.place in text and scene.stranger.place in text


# --- each verb, at the request that carries the password


@pytest.fixture(scope="module")
def golden() -> evidence.Bundle:
    """A real drill's, as if its target had been kept."""
    sealed = evidence.check(ASSET.read_bytes()).bundle
    context = sealed.context.model_copy(update={"rehearsal": False})
    kinds = [row["event"]["kind"] if isinstance(row["event"], dict) else "" for row in sealed.journal]
    rows = sealed.journal[: kinds.index("unwinding")]
    return sealed.model_copy(update={"closed": None, "context": context, "journal": rows})


@pytest.fixture
def drill(golden: evidence.Bundle, moved_once: tuple[Path, Plan, Workload], scene: Scene) -> str:
    """A drill between the two clouds that was planned, and one that was sealed."""
    root, plan, workload = moved_once
    now = datetime(2026, 11, 25, tzinfo=UTC)
    there = census.take(Simulator(root / "b", name="b"), now=lambda: now)
    group = {g.id for g in there.of(SecurityGroup) if g.is_default}
    born = [r for r in there.resources if r.id in group or getattr(r, "security_group_id", "") in group]
    before = there.model_copy(update={"resources": tuple(born)})
    for name in (plan.run, golden.context.run):
        folder = folders.folder(name)
        folder.path.mkdir()
        folder.save(DrillState(run=name, source="quelle", target="ziel", keep=True, created=now))
        files.write(folder.source, workload.model_dump_json().encode())
        files.write(folder.target, before.model_dump_json().encode())
        files.write(folder.plan, planning.dump(plan).encode())
    signer = signing_key(data_home() / "keys")
    files.write(folders.folder(golden.context.run).bundle, evidence.seal(golden, signer))
    return golden.context.run


VERBS: dict[str, list[str]] = {
    "census": ["census", "quelle"],
    "census with a password": ["census", "ziel"],
    "plan": ["plan", "quelle", "ziel"],
    "move": ["move", "PLAN"],
    "verify": ["verify", "quelle", "ziel"],
    "close the target": ["close", "unit", "--target"],
    "close the source": ["close", "RUN", "--source", "--bundle", "BUNDLE"],
    "drill": ["drill", "quelle", "ziel"],
    "prove": ["prove", "quelle"],
    "prove with a password": ["prove", "ziel", "--no-tls"],
    "prove by writing": ["prove", "--write", "quelle"],
    "judge a cloud": ["judge", "cloud:quelle"],
    "seed": ["cloud", "seed", "quelle"],
}


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("verb", VERBS)
def test_no_password_is_sent_on(scene: Scene, run: Run, drill: str, verb: str, status: int) -> None:
    folder = folders.folder(drill)
    real = {"PLAN": str(folders.folder("unit").plan), "RUN": drill, "BUNDLE": str(folder.bundle)}
    scheme = "https" if status == 307 else "http"
    scene.cloud.lie = away(scene, status, lambda a: a.path.endswith("/auth/tokens"), scheme)
    code, _, err = run(*(real.get(a, a) for a in VERBS[verb]), "--quiet", typed="quelle\n")
    nothing_went_away(scene)
    assert code == 4, err
    assert names_both(scene, err) and f"{scheme}://{scene.stranger.place}" in err
    assert err.count("unterbau: ") == 1 and "clouds.yaml" in err


@pytest.mark.parametrize("status", REDIRECTS)
def test_no_token_of_proxmox_is_sent_on(scene: Scene, run: Run, status: int) -> None:
    scene.cloud.lie = away(scene, status, lambda a: a.path.startswith("/api2/json"), "https")
    code, _, err = run("judge", f"proxmox:{scene.cloud.url}", "--quiet")
    nothing_went_away(scene)
    assert code == 4 and names_both(scene, err), err


def test_a_later_redirect_of_proxmox_costs_that_one_look(scene: Scene, run: Run) -> None:
    scene.cloud.lie = away(scene, 302, lambda a: a.path.endswith("/storage"), "https")
    code, out, err = run("judge", f"proxmox:{scene.cloud.url}", "--quiet", "--format", "json")
    nothing_went_away(scene)
    assert code in (1, 3), err
    assert names_both(scene, out) and "/storage: HTTP 302 points to" in out


@pytest.mark.parametrize("status", REDIRECTS)
def test_no_password_of_the_embedded_cloud_is_sent_on(scene: Scene, status: int) -> None:
    """`cloud up` enters its own Keystone; who took that port gets nothing by pointing away."""
    rest = Rest(scene.folder / "ca.pem")
    scene.cloud.lie = away(scene, status, lambda a: True, "https")
    with contextlib.closing(rest._connection(scene.cloud.place)):  # one for each thread is kept
        with pytest.raises(Elsewhere) as caught:
            rest.log_in(f"{scene.cloud.url}/v3", {"identity": {"password": SECRETS[1]}})
        nothing_went_away(scene)
        assert names_both(scene, caught.value.what)
        scene.cloud.lie = lambda asked: Told(status)
        with pytest.raises(Broken, match=str(status)):
            rest.get(f"{scene.cloud.url}/v3")


# --- each service, at requests that carry the token


LISTED = {
    "compute": "/compute/v2.1/servers/detail",
    "compute, its version": "/compute/v2.1/",
    "image": "/image/v2/images",
    "network": "/network/v2.0/networks",
    "block-storage": f"/volume/v3/{PROJECT}/volumes/detail",
    "block-storage, its version": "/volume/v3/",
    "object-store": PATHS["object-store"],
    "key-manager": "/key/v1/secrets",
}


@pytest.mark.parametrize(
    ("service", "status"),
    [*((s, n) for s in LISTED for n in (302, 307)), ("image", 301), ("image", 303), ("image", 308)],
)
def test_a_service_that_points_away_is_not_shown_in_a_census(scene: Scene, run: Run, service: str, status: int) -> None:
    scene.cloud.lie = away(scene, status, lambda a: a.path.rstrip("/") == LISTED[service].rstrip("/"))
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    nothing_went_away(scene)
    assert code == 3, err
    reasons = [n["reason"]["text"] for n in json.loads(out)["not_shown"]]
    assert [r for r in reasons if names_both(scene, r) and f"HTTP {status} points to" in r], reasons


def test_keystones_version_document_points_away(scene: Scene, run: Run) -> None:
    scene.cloud.lie = away(scene, 302, lambda a: a.path == "/identity")
    code, _, err = run("census", "ziel", "--quiet")
    nothing_went_away(scene)
    assert code == 4 and names_both(scene, err), err


def test_a_version_document_that_points_away_is_not_needed_where_clouds_yaml_names_the_version(
    scene: Scene, run: Run
) -> None:
    scene.write(auth={"auth_url": f"{scene.cloud.url}/v3"})
    scene.cloud.lie = away(scene, 302, lambda a: a.path == "/v3")
    code, _, err = run("census", "ziel", "--quiet")
    nothing_went_away(scene)
    assert code == 3, err


def test_prove_records_the_answer_and_does_not_follow_it(scene: Scene, run: Run, tmp_path: Path) -> None:
    scene.cloud.lie = away(scene, 307, lambda a: a.method == "GET")
    code, _, err = run("prove", "quelle", "--quiet", "--save", str(tmp_path / "seen.json"))
    nothing_went_away(scene)
    assert code == 1, err
    seen = json.loads((tmp_path / "seen.json").read_text())
    images = seen["sections"]["images"]
    assert images["status"] == "error" and names_both(scene, images["reason"])
    asked = {r["id"]: r for r in seen["requests"]}
    assert asked[images["requests"][0]]["status"] == 307
    assert seen["sections"]["s3_probe"]["items"][0]["status"] == 307
    assert {t["url"].split("/")[2] for t in seen["tls"]} == {scene.cloud.place}


@pytest.mark.parametrize("status", (302, 307))
def test_no_write_is_sent_on(scene: Scene, run: Run, status: int) -> None:
    """A POST is neither repeated nor made a GET, there or here."""
    scene.cloud.lie = away(scene, status, lambda a: a.method != "GET" and not a.path.endswith("/auth/tokens"))
    code, _, err = run("cloud", "seed", "quelle", "--quiet")
    nothing_went_away(scene)
    assert code == 4 and names_both(scene, err), err
    run("prove", "--write", "quelle", "--quiet", "--no-tls")
    nothing_went_away(scene)


ID = "5ec2e700-0000-4000-8000-000000000001"
NOTES = StoredObject(id="box/notes", name="notes", container="box", size_bytes=5, etag="", content_type="text/plain")
SECRET = Secret(id=ID, name="s", secret_type="opaque", content_type="text/plain")
IMAGE = Image(id=ID, name="i", visibility="private", owner_id=PROJECT, status="queued")
ENTRIES = {
    f"/image/v2/images/{ID}": {"id": ID, "name": "i", "status": "queued", "visibility": "private", "owner": PROJECT},
    f"/key/v1/secrets/{ID}": {"secret_ref": f"https://x/v1/secrets/{ID}", "content_types": {"default": "text/plain"}},
}
MARK = Marker(run="20261125-a", node="n").tag()
CALLS: dict[str, tuple[str, str, Callable[[OpenStack], object]]] = {
    "the bytes of an image": ("GET", f"/image/v2/images/{ID}/file", lambda c: c.image_bytes(ID).__enter__()),
    "the bytes of an object": ("GET", "/box/notes", lambda c: c.object_bytes("box", "notes").__enter__()),
    "the payload of a secret": ("GET", f"/key/v1/secrets/{ID}/payload", lambda c: c.secret_payload(ID)),
    "an image": ("PUT", f"/image/v2/images/{ID}/file", lambda c: c.write_image(IMAGE, [b"bytes"], 5)),
    "an object": ("PUT", "/box/notes", lambda c: c.write_object(NOTES, [b"bytes"], MARK)),
    "a secret": ("PUT", f"/key/v1/secrets/{ID}", lambda c: c.write_secret(ID, SECRET, SecretBytes(b"bytes"))),
    "a network": ("POST", "/network/v2.0/networks", lambda c: c.ensure(Network(id=ID, name="n"), MARK)),
    "a lock": ("POST", f"/compute/v2.1/servers/{ID}/action", lambda c: c.set_lock(ID, True)),
    "a deletion": ("DELETE", f"/network/v2.0/routers/{ID}", lambda c: c.delete(f"router:{ID}", timedelta(seconds=1))),
    "an object's deletion": ("DELETE", "/box/notes", lambda c: c.delete("object:box/notes", timedelta(seconds=1))),
}


@pytest.mark.parametrize("status", (302, 307))
@pytest.mark.parametrize("what", CALLS)
def test_no_bytes_come_from_elsewhere_or_go_there(scene: Scene, what: str, status: int) -> None:
    method, path, call = CALLS[what]
    astray = away(scene, status, lambda a: a.method == method and a.path.endswith(path), "https")

    def lie(asked: Asked) -> Told | None:
        entry = ENTRIES.get(asked.path)
        return astray(asked) or (Told(200, entry) if entry and asked.method == "GET" else None)

    scene.cloud.lie = lie
    with pytest.raises(Elsewhere) as caught:
        call(openstack.connect("quelle"))
    nothing_went_away(scene)
    assert names_both(scene, caught.value.what) and f": HTTP {status} points to" in caught.value.what
    sent = [a for a in scene.cloud.asked if a.path.endswith(path)]
    assert [a.method for a in sent if a.method == method or a.method not in ("HEAD", "GET")] == [method]


# --- links in answers


@pytest.mark.parametrize(
    "to", ["http://STRANGER", "https://STRANGER", "HTTPS://STRANGER", "//STRANGER", "http://CLOUD"]
)
@pytest.mark.parametrize("verb", [["census", "quelle"], ["prove", "quelle", "--no-tls"], ["judge", "cloud:quelle"]])
def test_the_next_page_is_asked_where_the_first_one_was(scene: Scene, run: Run, verb: list[str], to: str) -> None:
    host = to.replace("STRANGER", scene.stranger.place).replace("CLOUD", scene.cloud.place)

    def lie(asked: Asked) -> Told | None:
        if "marker=" in asked.target:
            return None
        if asked.path == "/image/v2/images":
            return Told(200, {"images": [], "next": f"{host}/v2/images?marker=1"})
        if asked.path == "/compute/v2.1/flavors/detail":
            link = {"rel": "next", "href": f"{host}/behind/v2.1/{PROJECT}/flavors/detail?marker=1"}
            return Told(200, {"flavors": [], "flavors_links": [link]})
        return None

    scene.cloud.lie = lie
    run(*verb, "--quiet")
    nothing_went_away(scene)
    paged = {a.path for a in scene.cloud.asked if a.target.endswith("marker=1")}
    assert paged == {"/image/v2/images", "/compute/v2.1/flavors/detail"}


def test_a_next_page_of_something_else_is_said(scene: Scene, run: Run) -> None:
    other = f"https://{scene.stranger.place}/v2/tasks?marker=1&token={TOKEN}"
    scene.cloud.lie = lambda a: Told(200, {"images": [], "next": other}) if a.path == "/image/v2/images" else None
    code, out, _ = run("census", "quelle", "--quiet", "--format", "json")
    nothing_went_away(scene)
    reason = next(n["reason"]["text"] for n in json.loads(out)["not_shown"] if n["what"] == "image")
    assert code == 3
    assert reason == (
        f"Broken: GET /v2/images: its next page is said to be at https://{scene.stranger.place}/v2/tasks, "
        "which is not this listing"
    )


def test_version_documents_that_name_another_host_are_read_at_ours(scene: Scene, run: Run) -> None:
    """keystoneauth puts the place of the request in that of the link; this test holds it to that."""
    there = f"http://{scene.stranger.place}"

    def lie(asked: Asked) -> Told | None:
        if asked.path == "/identity":
            return Told(300, {"versions": {"values": [version("v3.14", "", f"{there}/identity/v3/")]}})
        if asked.path == "/compute/v2.1/":
            return Told(200, {"version": version("v2.1", "2.96", f"{there}/v2.1/")})
        if asked.path == "/volume/v3/":
            return Told(200, {"versions": [version("v3.0", "3.70", f"{there}/v3/")]})
        return None

    scene.cloud.lie = lie
    code, _, err = run("census", "ziel", "--quiet")
    nothing_went_away(scene)
    assert code == 3, err
    asked = {a.path: a for a in scene.cloud.asked}
    assert asked["/compute/v2.1/servers/detail"].headers["openstack-api-version"] == "compute 2.96"
    assert f"/volume/v3/{PROJECT}/volumes/detail" in asked


def test_references_of_things_are_read_at_our_endpoint(scene: Scene, run: Run) -> None:
    there, id_ = f"https://{scene.stranger.place}", "5ec2e700-0000-4000-8000-000000000001"
    secret = {"secret_ref": f"{there}/v1/secrets/{id_}", "name": "s", "status": "ACTIVE", "secret_type": "opaque"}
    member = {"name": "m", "secret_ref": f"{there}/v1/secrets/{id_}"}
    box: dict[str, Any] = {
        "container_ref": f"{there}/v1/containers/{id_}",
        "name": "c",
        "type": "generic",
        "secret_refs": [member],
    }
    box |= {"consumers": [{"name": "x", "URL": f"{there}/x"}], "status": "ACTIVE"}
    image: dict[str, Any] = {
        "id": id_,
        "name": "i",
        "status": "active",
        "direct_url": f"{there}/i",
        "self": f"{there}/v2/images/{id_}",
    }
    image |= {"locations": [{"url": f"{there}/i"}], "file": f"{there}/v2/images/{id_}/file", "owner": PROJECT}

    def lie(asked: Asked) -> Told | None:
        answers = {
            "/key/v1/secrets": {"secrets": [secret], "total": 1},
            f"/key/v1/secrets/{id_}/metadata": {"metadata": {}},
            f"/key/v1/secrets/{id_}/acl": {"read": {"project-access": True}},
            "/key/v1/containers": {"containers": [box], "total": 1},
            f"/key/v1/containers/{id_}/acl": {"read": {"project-access": True}},
        }
        if asked.path == "/image/v2/images":
            return Told(200, {"images": [image] if "os_hidden=false" in asked.target else []})
        headers = {"X-Storage-Url": f"{there}/object/v1/x", "Content-Location": f"{there}/x"}
        return Told(200, answers[asked.path], headers) if asked.path in answers else None

    scene.cloud.lie = lie
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    nothing_went_away(scene)
    assert code == 3, err
    found = {r["kind"]: r["id"] for r in json.loads(out)["resources"]}
    assert found == dict.fromkeys(("secret", "secret_container", "image"), id_)


@pytest.mark.parametrize("reference", [None, 7, "", "https://STRANGER/", "https://STRANGER/v1/secrets/../x"])
def test_a_reference_that_is_none_is_said_and_nothing_is_lost_in_silence(
    scene: Scene, run: Run, reference: Any
) -> None:
    entry = {"secret_ref": reference, "name": "s", "status": "ACTIVE", "secret_type": "opaque"}
    scene.cloud.lie = lambda a: Told(200, {"secrets": [entry], "total": 1}) if a.path == "/key/v1/secrets" else None
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    nothing_went_away(scene)
    assert code == 3, err
    assert "secret" in {n["what"] for n in json.loads(out)["not_shown"]}


# --- what is allowed


def test_the_catalog_says_where_the_services_are(scene: Scene, run: Run) -> None:
    scene.cloud.catalog_of = f"https://{scene.stranger.place}"
    code, _, err = run("census", "quelle", "--quiet")
    assert code == 3, err
    assert TOKEN in {a.headers.get("x-auth-token") for a in scene.stranger.asked}


def test_clouds_yaml_says_it_over_the_catalog(scene: Scene, run: Run) -> None:
    scene.write(image_endpoint_override=f"https://{scene.stranger.place}/image")
    code, _, err = run("census", "quelle", "--quiet")
    assert code == 3, err
    with_token = {a.path.split("/")[1] for a in scene.stranger.asked if "x-auth-token" in a.headers}
    assert with_token == {"image"}


def test_plain_http_that_the_catalog_names_is_used_and_named(scene: Scene, run: Run) -> None:
    scene.cloud.catalog_of = f"http://{scene.cloud.place}"
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    assert code == 3, err
    notes = {n["what"]: n["reason"]["text"] for n in json.loads(out)["not_shown"]}
    assert notes["transport"].startswith("plain http of block-storage, compute, image, key-manager, network")


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_get_is_sent_on_at_its_own_place(scene: Scene, run: Run, status: int) -> None:
    """Also by a `Location` without a host, which keystoneauth itself does not understand."""
    moved = {"/image/v2/images": "/image/v2/images/", "/network/v2.0/networks": f"{scene.cloud.url}/network/v2.0/nets"}

    def lie(asked: Asked) -> Told | None:
        if asked.path in moved:
            return Told(status, None, {"Location": moved[asked.path]})
        if asked.path == "/image/v2/images/":
            return Told(200, {"images": []})
        return Told(200, {"networks": []}) if asked.path == "/network/v2.0/nets" else None

    scene.cloud.lie = lie
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    assert code == 3, err
    assert not {"image", "network"} & {n["what"] for n in json.loads(out)["not_shown"]}
    assert {"/image/v2/images/", "/network/v2.0/nets"} <= {a.path for a in scene.cloud.asked}


def test_redirects_without_end_are_an_error_and_no_empty_answer(scene: Scene, run: Run) -> None:
    def lie(asked: Asked) -> Told | None:
        again = asked.path == "/image/v2/images"
        return Told(302, None, {"Location": f"{asked.target}&again=1"}) if again else None

    scene.cloud.lie = lie
    _, out, _ = run("census", "quelle", "--quiet", "--format", "json")
    reason = next(n["reason"]["text"] for n in json.loads(out)["not_shown"] if n["what"] == "image")
    assert "HTTP 302" in reason
    longest = max(a.target.count("again=1") for a in scene.cloud.asked)
    assert longest == 5


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_write_is_not_sent_on_at_its_own_place(scene: Scene, run: Run, status: int) -> None:
    def lie(asked: Asked) -> Told | None:
        here = asked.path == "/identity/v3/auth/tokens"
        return Told(status, None, {"Location": "/identity/v3/auth/tokens/"}) if here else None

    scene.cloud.lie = lie
    code, _, err = run("census", "quelle", "--quiet")
    assert code == 4 and f"HTTP {status} points to another path" in err
    assert [(a.method, a.path) for a in scene.cloud.asked] == [("POST", "/identity/v3/auth/tokens")]


# --- what else could carry a secret


def test_nothing_of_netrc_goes_to_a_cloud(scene: Scene, run: Run, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password planted-netrc\ndefault login me password planted-netrc\n")
    netrc.chmod(0o600)
    run("census", "quelle", "--quiet")
    assert scene.cloud.asked
    assert [a for a in scene.cloud.asked if "authorization" in a.headers] == []


def test_a_cookie_goes_back_to_its_own_place_only(scene: Scene, run: Run) -> None:
    services = LyingCloud(scene.authority)
    scene.cloud.catalog_of = services.url
    planted = {"Set-Cookie": "sticky=planted; Path=/", "X-Subject-Token": TOKEN}

    def lie(asked: Asked) -> Told | None:
        if asked.path == "/identity/v3/auth/tokens":
            return Told(201, {"token": token(services.url)}, planted)
        return None

    scene.cloud.lie = lie
    try:
        run("census", "quelle", "--quiet")
        assert [a for a in services.asked if "cookie" in a.headers] == []
        later = [a for a in scene.cloud.asked if a.method == "GET"]
        assert later and all(a.headers.get("cookie") == "sticky=planted" for a in later)
    finally:
        services.close()


def test_a_password_in_auth_url_is_in_no_message_and_no_census(scene: Scene, run: Run) -> None:
    scene.write(auth={"auth_url": f"https://proxy:planted-in-url@{scene.cloud.place}/identity/v3"})
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    assert (code, "planted-in-url" in out + err) == (3, False)
    assert scene.cloud.asked[0].headers["authorization"].startswith("Basic ")
    scene.write(auth={"auth_url": "https://proxy:planted-in-url@127.0.0.1:1/identity/v3"})
    code, out, err = run("census", "quelle", "--quiet")
    assert (code, "planted-in-url" in out + err) == (4, False)


def test_a_profile_comes_from_the_place_that_is_named(scene: Scene, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile says where the password goes. openstacksdk fetches it by itself, and follows redirects."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(scene.folder / "ca.pem"))
    entry: dict[str, Any] = {"profile": scene.cloud.url, "cacert": str(scene.folder / "ca.pem"), "region_name": "R"}
    entry["auth"] = {"username": "u", "password": SECRETS[1], "project_name": "p", "user_domain_id": "default"}
    entry["auth"] |= {"project_domain_id": "default"}
    scene.file.write_text(json.dumps({"clouds": {"quelle": entry}}))
    well_known = "/.well-known/openstack/api"
    scene.cloud.lie = away(scene, 302, lambda a: a.path == well_known, "https")
    code, _, err = run("census", "quelle", "--quiet")
    nothing_went_away(scene)
    assert code == 4 and names_both(scene, err), err

    profile = {"name": "v", "profile": {"auth": {"auth_url": f"{scene.cloud.url}/identity"}}}
    scene.cloud.lie = lambda a: Told(200, profile) if a.path == well_known else None
    code, _, err = run("census", "quelle", "--quiet")
    assert code == 3, err


# --- answers that are not what they should be


def edited(**more: Any) -> dict[str, Any]:
    return {"token": {**token("https://127.0.0.1"), **more}}


HEADER = {"X-Subject-Token": TOKEN}
DEEP = b'{"token":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
TOKENS: dict[str, Told] = {
    "no X-Subject-Token": Told(201, edited()),
    "an empty X-Subject-Token": Told(201, edited(), {"X-Subject-Token": ""}),
    "a list": Told(201, [], HEADER),
    "a number": Told(201, 5, HEADER),
    "a string": Told(201, "token", HEADER),
    "nothing": Told(201, None, HEADER),
    "HTML": Told(200, b"<html>token</html>", HEADER),
    "nested without end": Told(201, DEEP, HEADER),
    "no token": Told(201, {"token": None}, HEADER),
    "an empty token": Told(201, {"token": {}}, HEADER),
    "a date that is none": Told(201, edited(expires_at="soon"), HEADER),
    "no date": Told(201, edited(expires_at=None), HEADER),
    "a project without id": Told(201, edited(project={"id": None, "name": "p", "domain": {"id": "d"}}), HEADER),
    "a project that is a list": Told(201, edited(project=[1]), HEADER),
    "a user without id": Told(201, edited(user={"id": None, "name": "u", "domain": {"id": "d"}}), HEADER),
    "a user that is none": Told(201, edited(user=None), HEADER),
    "roles that are a number": Told(201, edited(roles=7), HEADER),
    "a catalog that is a number": Told(201, edited(catalog=7), HEADER),
    "an answer of nothing": Told(204),
}


@pytest.mark.parametrize("verb", [["census", "quelle"], ["prove", "quelle", "--no-tls"]])
@pytest.mark.parametrize("fault", TOKENS)
def test_a_token_that_is_none_is_one_message(scene: Scene, run: Run, verb: list[str], fault: str) -> None:
    scene.cloud.lie = lambda a: TOKENS[fault] if a.path == "/identity/v3/auth/tokens" else None
    code, _, err = run(*verb, "--quiet")
    assert code == 4, err
    assert err.count("unterbau: ") == 1 and scene.cloud.place in err and "Traceback" not in err


def test_what_a_token_lacks_is_named(scene: Scene, run: Run) -> None:
    scene.cloud.lie = lambda a: TOKENS["no X-Subject-Token"] if a.path == "/identity/v3/auth/tokens" else None
    assert "lacks 'x-subject-token'" in run("census", "quelle", "--quiet")[2]


NONE = {"interface": "public", "region": "R", "region_id": "R", "url": None}
STRANGE_ENTRIES: dict[str, Any] = {
    "null": None,
    "a number": 5,
    "without type": {"endpoints": []},
    "a type that is null": {"type": None, "endpoints": []},
    "without endpoints": {"type": "dns"},
    "endpoints that are null": {"type": "dns", "endpoints": None},
    "an endpoint that is null": {"type": "dns", "endpoints": [None]},
    "an address that is null": {"type": "dns", "endpoints": [NONE]},
}
COSTS_ALL = ("null", "a number", "endpoints that are null", "an endpoint that is null")
"""What keystoneauth cannot read past: it looks for each service among all entries."""


@pytest.mark.parametrize("fault", STRANGE_ENTRIES)
def test_nonsense_in_the_catalog_is_never_a_traceback(scene: Scene, run: Run, fault: str) -> None:
    told = token(scene.cloud.url)
    told["catalog"] = [STRANGE_ENTRIES[fault], *told["catalog"]]
    answer = Told(201, {"token": told}, HEADER)
    scene.cloud.lie = lambda a: answer if a.path == "/identity/v3/auth/tokens" else None
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    assert code == 3, err
    notes = {n["what"]: n["reason"]["text"] for n in json.loads(out)["not_shown"]}
    assert notes.get("server", "").startswith("Broken: compute: ") is (fault in COSTS_ALL)
    assert ("network" in notes) is (fault in COSTS_ALL)
    code, _, err = run("prove", "quelle", "--quiet", "--no-tls")
    assert code == 1, err


NO_ADDRESSES = (
    "https://127.0.0.1:99999/v1", "https://[::1/v1", "https://127.0.0.1:port/v1", "https://", "127.0.0.1/v1", "ftp://127.0.0.1/v1",
    "https://127.0.0.1:1/\n", "",
)  # fmt: skip
SEEN_BY = {"compute": "server", "network": "network", "image": "image", "block-storage": "volume",
           "object-store": "container", "key-manager": "secret"}  # fmt: skip


@pytest.mark.parametrize(
    ("service", "address"),
    [*((service, "https://[::1/v1") for service in SEEN_BY), *(("object-store", address) for address in NO_ADDRESSES)],
)
def test_an_endpoint_whose_address_is_none_costs_its_service(
    scene: Scene, run: Run, service: str, address: str
) -> None:
    told = token(scene.cloud.url)
    known = {"block-storage": ("block-storage", "volumev3", "volume")}.get(service, (service,))
    entries = [e for e in told["catalog"] if e["type"] in known]
    assert entries
    for entry in entries:
        entry["endpoints"][0]["url"] = address
    answer = Told(201, {"token": told}, HEADER)
    scene.cloud.lie = lambda a: answer if a.path == "/identity/v3/auth/tokens" else None
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    assert code == 3 and "Traceback" not in err, err
    notes = {n["what"] for n in json.loads(out)["not_shown"]}
    assert notes & set(SEEN_BY.values()) == {SEEN_BY[service]}, notes
    code, out, err = run("prove", "quelle", "--quiet")
    assert code in (1, 3) and "Traceback" not in err, err


ONE = version("v3.14", "", "https://x/identity/v3/")
DOCUMENTS: dict[str, Any] = {
    "a number": 5,
    "a string": "versions",
    "versions that are none": {"versions": None},
    "versions that are a number": {"versions": {"values": 7}},
    "a version that is none": {"versions": {"values": [None]}},
    "an id that is none": {"versions": {"values": [{**ONE, "id": None}]}},
    "an id that is a word": {"versions": {"values": [{**ONE, "id": "newest"}]}},
    "links that are none": {"versions": {"values": [{**ONE, "links": None}]}},
    "a link that is none": {"versions": {"values": [{**ONE, "links": [{"rel": None, "href": None}]}]}},
    "a status that is none": {"versions": {"values": [{**ONE, "status": None}]}},
    "a newest version that is a list": {"versions": {"values": [{**ONE, "version": [[]]}]}},
    "nested without end": b"[" * 200_000,
}


@pytest.mark.parametrize("fault", DOCUMENTS)
def test_a_version_document_that_is_none_is_one_message(scene: Scene, run: Run, fault: str) -> None:
    scene.cloud.lie = lambda a: Told(300, DOCUMENTS[fault]) if a.path == "/identity" else None
    code, _, err = run("census", "ziel", "--quiet")
    assert code == 4, err
    assert err.count("unterbau: ") == 1 and "Traceback" not in err


@pytest.mark.parametrize("fault", DOCUMENTS)
def test_a_service_without_a_readable_version_costs_its_own_kinds(scene: Scene, run: Run, fault: str) -> None:
    scene.cloud.lie = lambda a: Told(200, DOCUMENTS[fault]) if a.path == "/compute/v2.1/" else None
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    assert code == 3, err
    told = json.loads(out)
    assert "server" in {n["what"] for n in told["not_shown"]} or told["identity"]["services"].get("compute") is None


def test_a_renewed_token_without_its_header_is_one_message(scene: Scene, run: Run) -> None:
    """The second token is asked for below keystoneauth, in the middle of a request."""

    def lie(asked: Asked) -> Told | None:
        if asked.path == "/identity/v3/auth/tokens" and len(scene.cloud.asked) > 1:
            return Told(201, edited())
        return Told(401, None) if asked.path == "/image/v2/images" else None

    scene.cloud.lie = lie
    code, out, err = run("census", "quelle", "--quiet", "--format", "json")
    assert code in (3, 4) and "Traceback" not in err
    assert "lacks 'x-subject-token'" in out + err


@pytest.mark.parametrize("shown", [False, True], ids=["counted", "with -v"])
def test_what_other_libraries_warn_of_is_told_once(scene: Scene, run: Run, shown: bool) -> None:
    """Each request that is sent again is told, but not line by line unless somebody asks for it."""
    failing = ["networks", "networks", "subnets"]

    def lie(asked: Asked) -> Told | None:
        name = asked.path.rpartition("/")[2]
        if asked.method == "GET" and name in failing:
            failing.remove(name)
            return Told(500, None)
        return None

    scene.cloud.lie = lie
    _, out, err = run("census", "quelle", *(["-v"] if shown else []))
    assert failing == []
    told = [line for line in err.splitlines() if "asking again" in line]
    assert len(told) == (3 if shown else 0) and "asking again" not in out
    assert [line for line in err.splitlines() if "asked again after no answer or a fault: 3" in line] != []
