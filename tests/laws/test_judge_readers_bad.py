# SPDX-License-Identifier: Apache-2.0
"""Readers on bad input: one UsageError with file, line and what to do; nothing else ever; nothing takes long."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from unterbau import stack as readers
from unterbau.errors import UsageError
from unterbau.stack import image, purls
from unterbau.stack.model import Stack
from unterbau.stack.source import Source
from unterbau.stack.variables import GONE, interpolate

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
IMAGE = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - image: "


@pytest.mark.parametrize(
    ("name", "content", "line", "what"),
    [
        ("a.yaml", b"services:\n  a: [\n", 3, "no YAML"),
        ("a.yaml", b"services:\n  a: {image: x}\n\tb: 1\n", 3, "no YAML"),
        ("a.yaml", b"some: thing\n{{- if .Values.x }}\na: 1\n", 2, "template braces"),
        ("a.yaml", BOMB.encode(), None, "aliases make more than"),
        ("a.yaml", b"a: &a [*a]\n", 1, "contains itself"),
        ("a.yaml", b"a: *b\n", 1, "not defined"),
        ("a.yaml", b"[" * 100_000, 1, "nested more than"),
        ("a.yaml", "\n".join(" " * n + "a:" for n in range(3000)).encode(), 101, "nested more than"),
        ("a.yaml", b"a: 1\nb: \xff\xfe\n", 2, "no UTF-8"),
        ("a.yaml", b"a: \x01\n", None, "no YAML"),
        ("a.json", b'{"bomFormat": "CycloneDX",\n "components": [{"name"', 2, "ends before the JSON does"),
        ("a.json", b'{"a": 1,\n\n b}', 3, "no JSON"),
        ("a.json", b"[" * 100_000, None, "nested too deeply"),
        ("a.json", b'{"a": ' + b"9" * 5000 + b"}", None, "no JSON"),
        ("a.json", b'{"a": 1}', None, "of no known form"),
        ("a.bin", b"MZ\x00\x00", 1, "binary"),
        ("empty.yaml", b"", None, "empty"),
        ("uv.lock", b'[[package]]\nname = "a\n', 2, "no TOML"),
        ("bom.xml", b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components><component/>', None, "no CycloneDX"),
        (
            "bom.xml",
            b'<!DOCTYPE a [<!ENTITY b "c">]><bom xmlns="http://cyclonedx.org/schema/bom/1.6">&b;</bom>',
            None,
            "no CycloneDX",
        ),
        (
            "a.spdx.xml",
            b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><Document>SPDX-2.3</Document>",
            None,
            "a document type of its own",
        ),
        (
            "a.spdx.xml",
            b"<?xml version='1.0'?><Document><spdxVersion>SPDX-2.3</spdxVersion></Document>",
            None,
            "no SPDX",
        ),
        ("main.tf", b'resource "x" "y" {\n  a = \n}\n', 2, "no HCL"),
        ("main.tf", b"a = " + b"[" * 3000, None, "no HCL"),
        ("bom.json", b'{"bomFormat": "CycloneDX", /* x', 1, "no JSON"),
        ("images.yaml.gotmpl", b"a: {{ .x }}\n", None, "a template"),
        ("notes.txt", b"hello world\nthis is text\n", None, "of no known form"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path: Path, name: str, content: bytes, line: int | None, what: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    started = time.thread_time()
    with pytest.raises(UsageError) as error:
        readers.read(path)
    assert time.thread_time() - started < 5, (
        "a hang, or worse than linear: seconds of this thread alone, whatever else the machine does"
    )
    assert error.value.what.startswith(f"{path}:")
    assert what in error.value.what
    assert error.value.remedy
    if line is not None:
        assert error.value.what.startswith(f"{path}:{line}: ")
    assert len(error.value.what) < 500


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        readers.read(tmp_path / "gone.yaml")


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(UsageError, match="no file"):
        readers.read(tmp_path / "pipe.yaml")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", IMAGE + "x" * 10_000_000),
        ("a.yaml", IMAGE + "'" + "a/" * 5_000_000 + "'"),
        ("requirements.txt", "a==1\n" + "x " * 5_000_000),
        ("requirements.txt", "a==1\n" + "a" * 10_000_000 + "\n"),
        ("list.txt", "a\t1\nb\t2\nc\t3\n" + "x-" * 5_000_000),
        ("compose.yaml", "services: {a: {image: '" + "${" * 1_000_000 + "'}}"),
        ("compose.yaml", "services: {a: {image: '" + "$a" * 1_000_000 + "'}}"),
        ("stack.yaml", "stack: s\nparts:\n- '" + "a " * 5_000_000 + "'\n"),
        ("go.mod", "module x\nrequire " + "a" * 10_000_000),
        ("Dockerfile", "FROM " + "--a=b " * 2_000_000),
        ("hosts.ini", "[a]\n" + "x=" * 5_000_000),
        ("a.spdx", "SPDXVersion: 2.3\nPackageName: " + "a" * 10_000_000),
        ("a.container", "[Container]\nImage=" + "a:" * 5_000_000),
    ],
)  # fmt: skip
def test_a_line_of_ten_megabytes_takes_no_long(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    started = time.process_time()
    try:
        stack = readers.read(path)
    except UsageError as error:
        assert len(error.what) < 1000
    else:
        assert all(len(u.reason) < 300 for u in stack.unread)
    assert time.process_time() - started < 3


def test_a_directory_tells_what_it_could_not_read(tmp_path: Path) -> None:
    (tmp_path / "chart" / "templates").mkdir(parents=True)
    (tmp_path / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: redis\nversion: 1.0.0\nappVersion: '7.2'\n")
    (tmp_path / "chart" / "templates" / "a.yaml").write_text("{{ x }}\n")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    (tmp_path / "odd.json").write_text("{}")
    (tmp_path / "main.tf").write_text("x = ")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "README.md").write_text("# Hello\n")
    (tmp_path / "compose.yaml").write_text("services: {a: {image: redis}}\n")
    (tmp_path / "same.yaml").write_text("services: {a: {image: redis}}\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("a: [\n")
    stack = readers.read(tmp_path)
    assert {p.name: (p.version, len(p.where)) for p in stack.parts} == {
        "redis": ("7.2", 1),
        "docker.io/library/redis": (None, 2),
    }
    told = {u.place.spot: u.reason for u in stack.unread}
    assert told["odd.json"] == "of no known form"
    assert told["broken.yaml"].startswith("2: no YAML")
    assert "no HCL" in told["main.tf"]
    assert told[""] == "2 files of no known form: 1 .md, 1 .png"
    assert any("not rendered" in r for r in told.values())
    assert len(told) == 5


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="an empty directory"):
        readers.read(tmp_path)


def test_utf_16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "packages.txt"
    path.write_bytes("redis-server\t7.2\nlibc6\t2.36\n".encode("utf-16"))
    assert [p.name for p in readers.read(path).parts] == ["redis-server", "libc6"]


def test_yaml_keeps_texts_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "a: 1.10\nb: no\nc: ~\nd: &d {x: 1, y: 2}\ne: {<<: *d, x: 3}\nf: |\n  1\n  2\na: 5\n---\n---\n- 2026-01-01\n"
    )
    source = Source.open(path)
    first, second = source.documents
    assert first == {
        "a": "5",
        "b": "no",
        "c": None,
        "d": {"x": "1", "y": "2"},
        "e": {"y": "2", "x": "3"},
        "f": "1\n2\n",
    }
    assert (first.lines["b"], first.lines["f"], source.twice) == (2, 6, [(9, "a")])
    assert second == ["2026-01-01"]


# --- properties

_WORD = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True)
IMAGES = st.builds(
    lambda host, port, path, tag, digest: image.Image(
        f"{host}:{port}" if port else host,
        "/".join(path) if host != "docker.io" or port or len(path) > 1 else f"library/{path[0]}",
        tag,
        f"sha256:{digest}" if digest else None,
    ),
    st.sampled_from(["docker.io", "quay.io", "localhost", "registry.example", "[2001:db8::1]", "10.0.0.1"]),
    st.none() | st.integers(1, 65535),
    st.lists(_WORD, min_size=1, max_size=4),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
)


@given(IMAGES)
def test_an_image_reference_renders_to_what_was_parsed(made: image.Image) -> None:
    if made.registry == "[2001:db8::1]":
        return  # a registry by address needs its port to be told from a path; see the examples
    assert image.parse(str(made)) == made


@given(st.text(max_size=60))
def test_any_text_parses_to_an_image_that_parses_again(text: str) -> None:
    parsed = image.parse(text)
    assert parsed is None or image.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("written", "name", "version"),
    [
        ("redis", "docker.io/library/redis", None),
        ("redis:7.2", "docker.io/library/redis", "7.2"),
        ("index.docker.io/library/redis", "docker.io/library/redis", None),
        ("registry-1.docker.io/bitnami/redis:8", "docker.io/bitnami/redis", "8"),
        ("localhost/app", "localhost/app", None),
        ("localhost:5000/app:1", "localhost:5000/app", "1"),
        ("[2001:db8::1]:5000/team/app:1", "[2001:db8::1]:5000/team/app", "1"),
        ("docker://quay.io/a/b@sha256:" + "a" * 64, "quay.io/a/b", "sha256:" + "a" * 64),
        ("a/b:1@sha256:" + "a" * 64, "docker.io/a/b", "1"),
        ("Registry/app", "Registry/app", None),
        ("App", None, None),
        ("a:b:c", None, None),
        ("a@sha256:12", None, None),
        ("a/b/", None, None),
        ("{{ x }}", None, None),
        ("./here", None, None),
        ("f" * 64, None, None),
        ("", None, None),
    ],
)  # fmt: skip
def test_image_references(written: str, name: str | None, version: str | None) -> None:
    parsed = image.parse(written)
    assert (parsed.name if parsed else None, parsed.version if parsed else None) == (name, version)


@given(st.sampled_from(["npm", "deb", "pypi", "golang"]), st.from_regex(r"[a-z][a-z0-9.-]{0,10}[a-z0-9]", fullmatch=True),
       st.from_regex(r"[0-9][0-9a-z.+~:-]{0,10}", fullmatch=True))  # fmt: skip
def test_the_fast_path_of_purls_agrees_with_the_library(kind: str, name: str, version: str) -> None:
    made = purls.make(kind, name, version)
    assert made is not None
    assert purls.version_of(made) == purls.version_of(f"{made}?a=b") == PackageURL.from_string(made).version


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("a", "a"), ("$X", "1"), ("${X}b", "1b"), ("${Y:-2}", "2"), ("${Y-2}", "2"), ("${E:-2}", "2"), ("${E-2}", ""),
        ("${Y:-${X}}", "1"), ("${X:+3}", "3"), ("${Y:+3}", ""), ("$$X", "$X"), ("${Y}", GONE), ("${Y:?no}", GONE),
        ("${X:?no}", "1"), ("${", GONE), ("$", "$"), ("${X:-${Y}", GONE),
    ],
)  # fmt: skip
def test_variables(written: str, value: str) -> None:
    assert interpolate(written, {"X": "1", "E": ""}) == value


NAMES = ("a.yaml", "values.yaml", "Chart.yaml", "compose.yaml", "stack.yaml", "a.json", "a.spdx", "requirements.txt", "uv.lock",
         "go.mod", "package-lock.json", ".terraform.lock.hcl", "x.tfstate", "a.container", "a.kube", "Dockerfile", "hosts",
         "os-release", "list", "galaxy.yml", "group_vars/all.yml", "tasks/main.yml", "kustomization.yaml", "helmfile.yaml")  # fmt: skip
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _reads_or_refuses(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        assert isinstance(readers.read(path), Stack)
    except UsageError as error:
        assert error.what.startswith(str(path))
        assert error.remedy


@QUIET
@given(st.sampled_from(NAMES), st.binary(max_size=200))
def test_no_bytes_crash_a_reader(tmp_path: Path, name: str, content: bytes) -> None:
    _reads_or_refuses(tmp_path / name, content)


_KEYS = ["apiVersion", "kind", "spec", "services", "image", "build", "extends", "containers", "template", "items", "metadata",
         "bomFormat", "components", "metadata", "licenses", "packages", "spdxVersion", "@graph", "@context", "externalRefs",
         "name", "version", "repository", "tag", "dependencies", "releases", "chart", "collections", "roles", "hosts", "all",
         "children", "vars", "tasks", "resources", "terraform_version", "format_version", "planned_values", "values", "purl",
         "lockfileVersion", "catalog", "token", "identity", "offering", "answers", "/version", "elements", "stack", "parts",
         "facts", "include", "provider", "status", "nodeInfo", "data", "release", "helm", "sources", "source", "volumes"]  # fmt: skip
_LEAVES = st.sampled_from([None, True, 0, 4, 1.5, "", "redis", "v1", "Pod", "Deployment", "List", "HelmRelease", "Application", "Secret",
                           "CycloneDX", "SPDX-2.3", "quay.io/a/b:1", "${X}", "{{ y }}", "x" * 300])  # fmt: skip
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=20,
)


@QUIET
@given(st.sampled_from(NAMES), _TREES)
def test_no_shape_crashes_a_reader(tmp_path: Path, name: str, tree: object) -> None:
    _reads_or_refuses(tmp_path / name, json.dumps(tree).encode())


_SHAPES: tuple[dict[str, object], ...] = (
    {"bomFormat": "CycloneDX"}, {"spdxVersion": "SPDX-2.3"}, {"@context": "https://spdx.org/rdf/3.0.1/x", "@graph": []},
    {"apiVersion": "v1", "kind": "List"}, {"apiVersion": "apps/v1", "kind": "Deployment"}, {"apiVersion": "v1", "kind": "Node"},
    {"apiVersion": "argoproj.io/v1", "kind": "Application"}, {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"},
    {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1"}, {"version": 4, "terraform_version": "1", "lineage": ""},
    {"format_version": "1", "values": {}}, {"lockfileVersion": 3}, {"answers": {"/version": {}}}, {"identity": 1, "offering": 1},
    {"services": {"a": {"image": "x"}}}, {"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1"},
    {"kind": "Kustomization", "apiVersion": "kustomize.config.k8s.io/v1"}, {"stack": "s", "parts": ["x"]}, {"version": 3, "elements": {}},
)  # fmt: skip


@QUIET
@given(st.sampled_from(_SHAPES), st.dictionaries(st.sampled_from(_KEYS), _TREES, max_size=6), st.booleans())
def test_no_content_of_a_known_form_crashes_its_reader(
    tmp_path: Path, shape: dict[str, object], tree: dict[str, object], yaml: bool
) -> None:
    _reads_or_refuses(tmp_path / ("x.yaml" if yaml else "x.json"), json.dumps({**tree, **shape}).encode())


def test_no_message_tells_a_path_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        readers.read(Path("no-such-file.yaml"))
    assert not re.search(r"/(?:home|root|work)/", error.value.what + error.value.remedy)
