# SPDX-License-Identifier: Apache-2.0
"""One odd thing costs that thing: the recorded answers of a real cloud, one of them edited, over real connections.

Each case names what is not shown for it and what is missing then; everything else of the tenant must be there as before.
"""

from __future__ import annotations

import copy
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lying_cloud import PATHS, Asked, Scene, Told, standing
from recorded import Edit, Recorded

from unterbau.cli import main
from unterbau.tenant.kinds import OWNER_ONLY

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with standing(tmp_path_factory.mktemp("scene")) as scene:
        yield scene


class Census:
    """`unterbau census` of the recorded tenant."""

    def __init__(self, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
        self.scene, self.capsys = scene, capsys

    def __call__(self, edit: Edit = lambda asked, told: None, like: Mapping[str, str] | None = None) -> dict[str, Any]:
        self.scene.cloud.lie = Recorded(edit, like)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        assert ended.value.code == 3 and "Traceback" not in err, err
        told: dict[str, Any] = json.loads(out)
        return told


def refs(census: dict[str, Any]) -> set[str]:
    return {f"{r['kind']}:{r['id']}" for r in census["resources"]}


def in_words(reason: Any) -> str:
    """A reason in words: ours are typed, what a cloud said is a text."""
    return reason["text"] if isinstance(reason, dict) else str(reason)


def notes(census: dict[str, Any]) -> dict[str, str]:
    return {n["what"]: in_words(n["reason"]) for n in census["not_shown"]}


@pytest.fixture
def census(built: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Census:
    places = {"HOME": tmp_path, "XDG_DATA_HOME": tmp_path, "XDG_STATE_HOME": tmp_path}
    for name, value in {**places, "OS_CLIENT_CONFIG_FILE": built.file}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(sys, "argv", ["unterbau", "census", "quelle", "--quiet", "--format", "json"])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for room in ("http", "object_storage"):
        monkeypatch.setattr(f"unterbau.cloud.openstack.{room}.PAUSES", (0.0, 0.0))
    monkeypatch.setattr("unterbau.switch.census.AGAIN", (0.0, 0.0))
    return Census(built, capsys)


@pytest.fixture(scope="module")
def _whole() -> dict[str, Any]:
    return {}


@pytest.fixture
def whole(census: Census, _whole: dict[str, Any]) -> dict[str, Any]:
    """The census of the answers as they are, taken once."""
    if not _whole:
        _whole.update(census())
    return _whole


# --- where the listings are

LISTINGS: dict[str, tuple[str, str, str, str]] = {
    # kind: service, path below it, key of the list, what the entry is under (keypairs)
    "keypair": ("compute", "/os-keypairs", "keypairs", "keypair"),
    "server_group": ("compute", "/os-server-groups", "server_groups", ""),
    "address_group": ("network", "/v2.0/address-groups", "address_groups", ""),
    "security_group": ("network", "/v2.0/security-groups", "security_groups", ""),
    "security_group_rule": ("network", "/v2.0/security-group-rules", "security_group_rules", ""),
    "network": ("network", "/v2.0/networks", "networks", ""),
    "subnet": ("network", "/v2.0/subnets", "subnets", ""),
    "router": ("network", "/v2.0/routers", "routers", ""),
    "router_interface": ("network", "/v2.0/ports", "ports", ""),
    "port": ("network", "/v2.0/ports", "ports", ""),
    "floating_ip": ("network", "/v2.0/floatingips", "floatingips", ""),
    "image": ("image", "/v2/images", "images", ""),
    "volume": ("block-storage", "/volumes/detail", "volumes", ""),
    "snapshot": ("block-storage", "/snapshots/detail", "snapshots", ""),
    "secret": ("key-manager", "/v1/secrets", "secrets", ""),
    "secret_container": ("key-manager", "/v1/containers", "containers", ""),
    "server": ("compute", "/servers/detail", "servers", ""),
    "attachment": ("compute", "/os-volume_attachments", "volumeAttachments", ""),
}


def is_of(kind: str, asked: Asked) -> bool:
    """Whether this asks for the listing of the project's things of the kind."""
    service, path, _, _ = LISTINGS[kind]
    at_the_service = asked.path.startswith(PATHS[service]) and asked.path.endswith(path)
    provided = "external" in asked.target or "member_status" in asked.target
    return asked.method == "GET" and at_the_service and not provided


def entries(kind: str, body: Any) -> list[dict[str, Any]]:
    _, _, key, inner = LISTINGS[kind]
    listed = [e[inner] if inner else e for e in body[key]]
    legs = ("network:router_interface",)
    if kind in ("port", "router_interface"):
        return [e for e in listed if (e["device_owner"] in legs) is (kind == "router_interface")]
    return listed


def in_listing(kind: str, change: Callable[[dict[str, Any]], None], only_first: bool = True) -> Edit:
    """The listing of the kind with its first entry, or each, changed."""

    def edit(asked: Asked, told: Told) -> Told | None:
        if not is_of(kind, asked):
            return None
        body = copy.deepcopy(told.body)
        for entry in entries(kind, body)[: 1 if only_first else None]:
            change(entry)
        return Told(told.status, body, told.headers)

    return edit


# --- the closed world


def test_the_recorded_tenant_is_understood_whole(whole: dict[str, Any]) -> None:
    assert len(whole["resources"]) > 70
    assert set(LISTINGS) | {"container", "object"} == {r["kind"] for r in whole["resources"]}
    left = {w for w in notes(whole) if not w.endswith(".user_data")}
    assert left == set()


def of_all(edits: Mapping[str, Edit]) -> Edit:
    """Edits of several kinds at once: ports and legs stand in one listing."""

    def edit(asked: Asked, told: Told) -> Told | None:
        for kind in edits:
            told = edits[kind](asked, told) or told
        return told

    return edit


def setting(fields: Mapping[str, Mapping[str, Any]]) -> Edit:
    """The first entry of each kind with other values of these fields."""
    return of_all({kind: in_listing(kind, partial(_update, values)) for kind, values in fields.items()})


def _update(values: Mapping[str, Any], entry: dict[str, Any]) -> None:
    entry.update(values)


def _planting(at: Callable[[dict[str, Any]], dict[str, str]], plant: dict[str, str]) -> Callable[[Any], None]:
    return lambda entry: at(entry).update(plant)


def new_notes(taken: dict[str, Any], whole: dict[str, Any]) -> set[str]:
    return {what for what in notes(taken) if what not in notes(whole)}


def test_a_field_that_nobody_knows_is_one_claim_for_the_kind(census: Census, whole: dict[str, Any]) -> None:
    plant = {"x-planted": {"deep": [1]}}
    edits = {k: in_listing(k, lambda e: e.update(plant), only_first=False) for k in LISTINGS}
    taken = census(of_all(edits))
    assert refs(taken) == refs(whole)
    assert new_notes(taken, whole) == {f"{kind}.x-planted" for kind in LISTINGS}
    for kind in LISTINGS:
        reasons = [in_words(n["reason"]) for n in taken["not_shown"] if n["what"] == f"{kind}.x-planted"]
        assert len(reasons) == 1 and "not understood" in reasons[0] and f": {kind}:" in reasons[0]
    assert "deep" not in str(taken)


def test_a_field_within_a_field_likewise(census: Census, whole: dict[str, Any]) -> None:
    plant = {"x-planted": "planted-value"}
    inner: dict[str, tuple[Callable[[dict[str, Any]], dict[str, str]], str]] = {
        "server": (lambda e: e["flavor"], "flavor"),
        "port": (lambda e: e["fixed_ips"][0], "fixed_ips[]"),
        "secret_container": (lambda e: e["secret_refs"][0], "secret_refs[]"),
        "subnet": (lambda e: e["allocation_pools"][0], "allocation_pools[]"),
    }
    edits = {k: in_listing(k, _planting(at, plant)) for k, (at, _) in inner.items()}
    taken = census(of_all(edits))
    assert refs(taken) == refs(whole)
    assert new_notes(taken, whole) == {f"{kind}.{path}.x-planted" for kind, (_, path) in inner.items()}
    assert "planted-value" not in str(taken)


NOT_DEFAULT: list[tuple[str, str, Any]] = [
    ("server", "accessIPv4", "192.0.2.7"),
    ("server", "trusted_image_certificates", ["one"]),
    ("port", "numa_affinity_policy", "preferred"), ("port", "dns_domain", "x.example."),
    ("port", "hints", {"openvswitch": {}}), ("router_interface", "admin_state_up", False),
    ("floating_ip", "dns_name", "www"), ("router", "flavor_id", "f"),
    ("router", "enable_ndp_proxy", True), ("subnet", "segment_id", "s"), ("network", "qinq", True),
    ("volume", "group_id", "g"), ("snapshot", "group_snapshot_id", "g"), ("security_group_rule", "tags", ["t"]),
    ("image", "x-list", ["no", "text"]), ("address_group", "tags", ["t"]),
]  # fmt: skip


def test_a_known_field_that_is_not_carried_is_named_where_it_is_used(census: Census, whole: dict[str, Any]) -> None:
    taken = census(setting({k: {f: v for o, f, v in NOT_DEFAULT if o == k} for k in LISTINGS}))
    assert refs(taken) == refs(whole)
    assert new_notes(taken, whole) == {f"{kind}.{field}" for kind, field, _ in NOT_DEFAULT}


# --- what does not fit the model

BAD: dict[str, tuple[str, Any, str]] = {
    # kind: field, value, the place that is named
    "keypair": ("public_key", 5, "public_key"),
    "server_group": ("members", 7, "members"),
    "address_group": ("addresses", 7, "addresses"),
    "security_group": ("stateful", "perhaps", "stateful"),
    "security_group_rule": ("direction", "sideways", "direction"),
    "network": ("mtu", "large", "mtu"),
    "subnet": ("allocation_pools", [{"start": "10.0.0.1"}], "allocation_pools[].end"),
    "router": ("routes", [None], "routes"),
    "router_interface": ("fixed_ips", [{"subnet_id": "s", "ip_address": "nowhere"}], "fixed_ips[].ip_address"),
    "port": ("binding:vnic_type", 5, "vnic_type"),
    "floating_ip": ("floating_ip_address", 5, "address"),
    "image": ("protected", "perhaps", "protected"),
    "volume": ("size", "large", "size_gib (int_parsing)"),
    "snapshot": ("status", None, "status"),
    "secret": ("expiration", "one day", "expiration"),
    "secret_container": ("secret_refs", [{"name": "x"}], "secret_refs[].secret_ref"),
    "server": ("flavor", {"original_name": "f"}, "flavor.vcpus"),
    "attachment": ("delete_on_termination", "perhaps", "delete_on_termination"),
}


def test_what_does_not_fit_costs_itself_and_names_its_place(census: Census, whole: dict[str, Any]) -> None:
    taken = census(setting({k: {field: value} for k, (field, value, _) in BAD.items()}))
    missing = refs(whole) - refs(taken)
    assert {r.partition(":")[0] for r in missing} == BAD.keys()
    assert new_notes(taken, whole) == missing
    for reference in missing:
        kind = reference.partition(":")[0]
        assert BAD[kind][2] in notes(taken)[reference]
        assert kind == "attachment" or sum(r.startswith(f"{kind}:") for r in missing) == 1


@pytest.mark.parametrize("value", [None, [], {}])
def test_a_thing_without_an_id_is_told_of_its_kind(census: Census, whole: dict[str, Any], value: object) -> None:
    """One of each kind: the others are there, and that the kind is not whole is said."""
    keys = {"keypair": "name", "attachment": "volumeId", "secret": "secret_ref", "secret_container": "container_ref"}
    taken = census(setting({k: {keys.get(k, "id"): value} for k in LISTINGS}))
    assert refs(taken) < refs(whole)
    for kind in LISTINGS:
        reasons = "; ".join(in_words(n["reason"]) for n in taken["not_shown"] if n["what"] == kind)
        assert "of the listing ha" in reasons or kind == "attachment", kind
        there, before = ({r for r in refs(t) if r.startswith(f"{kind}:")} for t in (taken, whole))
        assert len(before - there) == 1 or kind == "attachment", kind


@pytest.mark.parametrize("junk", [None, 7, "x", []])
def test_an_entry_that_is_no_object_or_is_there_twice_does_not_end_the_census(
    census: Census, whole: dict[str, Any], junk: object
) -> None:
    def edit(asked: Asked, told: Told) -> Told | None:
        for kind, (_, _, key, _) in LISTINGS.items():
            if is_of(kind, asked):
                return Told(told.status, {**told.body, key: [junk, *told.body[key], *told.body[key]]}, told.headers)
        return None

    taken = census(edit)
    assert refs(taken) == refs(whole)
    assert {w.split(".")[0].split(":")[0] for w in new_notes(taken, whole)} >= LISTINGS.keys() - {"attachment"}


DATES = {
    "server": "created",
    "volume": "updated_at",
    "snapshot": "created_at",
    "image": "created_at",
    "secret": "created",
}


@pytest.mark.parametrize("value", ["yesterday", 7, "0001-01-01T00:00:00+23:00", [], "9" * 5000])
def test_a_date_that_is_none_costs_the_date(census: Census, whole: dict[str, Any], value: object) -> None:
    taken = census(setting({k: {field: value} for k, field in DATES.items()}))
    assert refs(taken) == refs(whole)
    assert new_notes(taken, whole) == {f"{kind}.{field}" for kind, field in DATES.items()}


@pytest.mark.parametrize("count", ["many", -1, None, [], 10**30, True])
def test_a_count_that_is_no_number_counts_nothing(census: Census, whole: dict[str, Any], count: object) -> None:
    def edit(asked: Asked, told: Told) -> Told | None:
        more = {"count": count} if is_of("volume", asked) else {"total": count} if is_of("secret", asked) else {}
        return Told(told.status, {**told.body, **more}, told.headers) if more else None

    taken = census(edit)
    assert refs(taken) == refs(whole)


WRONG: dict[str, Told] = {
    "nested 200,000 deep": Told(200, b"[" * 200_000 + b"]" * 200_000),
    "HTML": Told(200, b"<html><body>please log in</body></html>", {"Content-Type": "text/html"}),
    "HTML of an error": Told(502, b"<html>" + b"x" * 5000, {"Content-Type": "text/html"}),
    "nothing": Told(200, b""),
    "no UTF-8": Told(200, b'{"networks": ["\xff"]}'),
    "a number of 5,000 digits": Told(200, b'{"networks": ' + b"9" * 5000 + b"}"),
    "an error nested deep": Told(409, b'{"error":' * 100_000),
    "an error with errors that are texts": Told(400, {"errors": ["x"]}),
    "an error that is a list": Told(403, [1]),
    "an error whose message is a number": Told(403, {"error": {"message": 7}}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_is_none_costs_its_listing(census: Census, whole: dict[str, Any], wrong: str) -> None:
    kinds = {"network", "server", "volume", "image", "secret"}
    taken = census(lambda asked, told: WRONG[wrong] if any(is_of(k, asked) for k in kinds) else None)
    lost = {r for r in refs(whole) if r.partition(":")[0] in {*kinds, "attachment"}}
    assert refs(whole) - refs(taken) == lost
    assert notes(taken).keys() >= kinds
    assert "x" * 400 not in str(notes(taken))


@pytest.mark.parametrize("told", ["-5", "1" + "0" * 26, "soon", "", "1.5", "²"])
def test_a_pause_that_cannot_be_slept_is_none(census: Census, whole: dict[str, Any], told: str) -> None:
    """The service is asked again after a pause of our own, and answers."""
    refused = list[str]()

    def edit(asked: Asked, answer: Told) -> Told | None:
        if is_of("volume", asked) and not refused:
            refused.append(asked.target)
            return Told(503, None, {"Retry-After": told.encode().decode("latin-1")})
        return None

    taken = census(edit)
    assert refused and refs(taken) == refs(whole)
    assert notes(taken).keys() == notes(whole).keys()


# --- the object store

BOX, THING = f"{PATHS['object-store']}/fv-akten", f"{PATHS['object-store']}/fv-akten/vorl%C3%A4ufig.txt"
SLO = f"{PATHS['object-store']}/fv-akten/scan.tiff"
BOX_REF, THING_REF, SLO_REF = "container:fv-akten", "object:fv-akten/vorläufig.txt", "object:fv-akten/scan.tiff"


def headers(path: str, **more: Any) -> Edit:
    """The HEAD of one thing with more headers; a name has `_` for `-`, None takes the header away."""

    def edit(asked: Asked, told: Told) -> Told | None:
        if asked.method != "HEAD" or asked.path != path:
            return None
        named = {k.replace("_", "-").title(): v for k, v in more.items()}
        merged = {**{k.title(): v for k, v in told.headers.items()}, **named}
        return Told(told.status, told.body, {k: v for k, v in merged.items() if v is not None})

    return edit


HEADS: dict[str, tuple[Edit, set[str], set[str]]] = {
    # what: the edit, what is missing, what is not shown
    "a header that nobody knows": (headers(THING, x_planted="1"), set(), {"object.x-planted"}),
    "one of a container": (headers(BOX, x_planted="1"), set(), {"container.x-planted"}),
    "one of the account": (headers(PATHS["object-store"], x_planted="1"), set(), {"account.x-planted"}),
    "headers that the store keeps": (
        headers(THING, cache_control="no-cache", content_language="de", x_robots_tag="none", expires="0"),
        set(), set(),
    ),
    "limits of the account": (
        headers(PATHS["object-store"], x_account_quota_bytes="7", x_account_quota_count="7"), set(), set(),
    ),
    "metadata that are no UTF-8": (headers(THING, x_object_meta_a="\xff"), {THING_REF}, {THING_REF}),
    "an ACL that is no UTF-8": (headers(BOX, x_container_read="\xff"), {BOX_REF}, {BOX_REF}),
    "a name of a header that is not ASCII": (
        headers(THING, **{"X-Object-Meta-\xc3\x9c": "1"}), {THING_REF}, {THING_REF},
    ),
    "a number of bytes that is none": (headers(THING, content_length="many"), {THING_REF}, {THING_REF}),
    "a date that is none": (headers(THING, last_modified="long ago"), set(), {"object.last-modified"}),
    "an end that is none": (headers(THING, x_delete_at="soon"), {THING_REF}, {THING_REF}),
    "an end beyond all years": (headers(THING, x_delete_at="9" * 17), {THING_REF}, {THING_REF}),
    "a count that is none": (
        headers(BOX, x_container_object_count="many"), set(), {"container.x-container-object-count"},
    ),
    "a switch that is none": (headers(BOX, x_versions_enabled="perhaps"), {BOX_REF}, {BOX_REF}),
    "90 metadata": (headers(BOX, **{f"x_container_meta_k{n}": "v" for n in range(90)}), set(), set()),
    "2,000 metadata": (headers(BOX, **{f"x_container_meta_k{n}": "v" for n in range(2000)}), {BOX_REF}, {BOX_REF}),
    "metadata of the account": (headers(PATHS["object-store"], x_account_meta_a="b"), set(), {"account.metadata"}),
    "a key for temporary URLs": (headers(PATHS["object-store"], x_account_meta_temp_url_key="hush-hush"), set(),
                                 {"account.keys"}),
    "rights of others": (headers(PATHS["object-store"], x_account_access_control="{}"), set(),
                         {"account.access_control"}),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADS)
def test_an_odd_header_costs_the_header_or_the_thing(census: Census, whole: dict[str, Any], case: str) -> None:
    edit, missing, named = HEADS[case]
    taken = census(edit)
    assert refs(whole) - refs(taken) == missing and refs(taken) <= refs(whole)
    assert new_notes(taken, whole) - of_the_box(missing) == named
    assert "hush-hush" not in str(taken)


def test_90_metadata_are_read(census: Census) -> None:
    taken = census(HEADS["90 metadata"][0])
    box = next(r for r in taken["resources"] if r["id"] == "fv-akten" and r["kind"] == "container")
    assert {f"k{n}" for n in range(90)} <= box["metadata"].keys()
    assert box["read_acl"]


@pytest.mark.parametrize("status", [403, 409, 500])
@pytest.mark.parametrize(("path", "reference"), [(THING, THING_REF), (BOX, BOX_REF)])
def test_a_thing_that_cannot_be_asked_costs_itself(
    census: Census, whole: dict[str, Any], path: str, reference: str, status: int
) -> None:
    taken = census(lambda asked, told: Told(status) if asked.method == "HEAD" and asked.path == path else None)
    assert refs(whole) - refs(taken) == {reference}
    assert new_notes(taken, whole) - of_the_box({reference}) == {reference}


def of_the_box(missing: set[str]) -> set[str]:
    """What else is not shown without the one container that shows an ACL."""
    return {*OWNER_ONLY, f"{BOX_REF}.versions"} if BOX_REF in missing else set()


def test_a_large_object_whose_segments_are_gone_is_named(census: Census, whole: dict[str, Any]) -> None:
    """Swift answers the HEAD of a manifest by its segments' container: 404; with `multipart-manifest=get` by itself."""

    def edit(asked: Asked, told: Told) -> Told | None:
        if asked.method != "HEAD" or asked.path != THING:
            return None
        if "multipart-manifest=get" not in asked.target:
            return Told(404)
        return Told(200, None, {**told.headers, "X-Object-Manifest": "gone/part-", "Content-Length": "0"})

    key = "object-store HEAD /fv-akten/vorl%C3%A4ufig.txt?symlink=get"
    taken = census(edit, {key.replace("?", "?multipart-manifest=get&"): key})
    assert refs(taken) == refs(whole)
    assert new_notes(taken, whole) == {THING_REF}
    thing = next(r for r in taken["resources"] if f"object:{r['id']}" == THING_REF)
    assert thing["dlo_prefix"] == "gone/part-"


@pytest.mark.parametrize("wrong", ["nested 200,000 deep", "HTML", "nothing", "no UTF-8"])
def test_a_manifest_that_is_none_costs_its_object(census: Census, whole: dict[str, Any], wrong: str) -> None:
    taken = census(lambda asked, told: WRONG[wrong] if "multipart-manifest=get&format" in asked.target else None)
    assert refs(whole) - refs(taken) == {SLO_REF}
    assert new_notes(taken, whole) == {SLO_REF}
