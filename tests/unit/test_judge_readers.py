# SPDX-License-Identifier: Apache-2.0
"""Readers: each form by a small input, what is told of places and of what is not understood; public projects."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from unterbau import catalogue
from unterbau import stack as readers
from unterbau.catalogue.model import Layer
from unterbau.errors import UsageError
from unterbau.judge import engine, rules
from unterbau.stack import licences, packages
from unterbau.stack.model import Stack
from unterbau.stack.openstack import openstack_stack
from unterbau.stack.recognise import recognise
from unterbau.stack.source import Source

STACKS = Path(__file__).parents[1] / "assets" / "stacks"


def read(folder: Path, name: str, content: str | bytes | Mapping[str, Any]) -> Stack:
    """What is in one file of this name and content."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Mapping):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return readers.read(path)


def told(stack: Stack) -> dict[str, str | None]:
    """Versions by name."""
    return {p.name: p.version for p in stack.parts}


def spots(stack: Stack) -> dict[str, list[str]]:
    """Places by name."""
    found: dict[str, list[str]] = {}
    for part in stack.parts:
        found.setdefault(part.name, []).extend(w.spot for w in part.where)
    return found


def hints(stack: Stack) -> set[tuple[str, str]]:
    return {h for p in stack.parts for h in p.hints}


def reasons(stack: Stack) -> str:
    return "\n".join(f"{u.place.spot}: {u.reason}" for u in stack.unread)


# --- stack.yaml

PLAIN = """\
stack: Our cloud
claims: {sovereign: true}
parts:
  - redis 7.2
  - OpenStack@2026.1
  - {technology: ubuntu, version: 24.10, claims: {sovereign: true}}
  - {image: "quay.io/ceph/ceph:v19.2.3"}
  - name: our thing
    layer: application
    licence: EUPL-1.2
    facts:
      - kind: eu_operator
        value: {operator: We, seat: DE, offers: everything}
        confidence: high
        expires: 2027-11-01
        source: {url: "https://intranet.example", read: 2026-11-01, says: "We run it."}
"""


@pytest.mark.thorough
def test_a_stack_by_hand(tmp_path: Path) -> None:
    stack = read(tmp_path, "ours.yaml", PLAIN)
    assert stack.name == "Our cloud"
    assert dict(stack.claims) == {"sovereign": True}
    assert told(stack) == {
        "redis": "7.2", "OpenStack": "2026.1", "ubuntu": "24.10", "quay.io/ceph/ceph": "v19.2.3", "our thing": None,
    }  # fmt: skip
    known = catalogue.load()
    assert [p.technology for p in recognise(stack, known).parts] == ["redis", "openstack", "ubuntu", "ceph", None]
    ours = stack.parts[-1]
    assert (ours.layer, ours.licence, str(ours.where[0])) == (
        Layer.APPLICATION,
        "EUPL-1.2",
        f"{tmp_path}/ours.yaml: line 8",
    )
    assert ours.facts[0].kind == "eu_operator"


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("licence: EUPL", "license: EUPL", 10, "no such key"),
        ("layer: application", "layer: cloud", 9, "Input should be"),
        ("  - redis 7.2", "  - {version: 1}", 4, "one of technology, name, purl"),
        ("stack: Our cloud", "stack: Our cloud\nstack: Two", 2, "stands twice"),
        ("parts:\n", "things:\n", 1, "parts"),
        ('"quay.io/ceph/ceph:v19.2.3"', '"quay.io/Ceph"', 7, "no image reference"),
        ("name: our thing", "name: our thing\n    purl: nonsense", 8, "no package URL"),
    ],
)
def test_a_wrong_stack_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, what: str) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, "stack.yaml", PLAIN.replace(old, new))
    assert f"{tmp_path}/stack.yaml:{line}: " in error.value.what
    assert what in error.value.what
    assert error.value.remedy


@pytest.mark.thorough
def test_the_stack_of_the_documentation_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "judge-inputs.md").read_text()
    stack = read(tmp_path, "stack.yaml", page.partition("```yaml\n")[2].partition("```")[0])
    found = recognise(stack, catalogue.load()).parts
    assert [p.technology for p in found] == ["redis", "ubuntu", "ceph", "keepalived", None]
    assert len(stack.facts) == 1


# --- SBOMs


@pytest.mark.thorough
def test_cyclonedx(tmp_path: Path) -> None:
    bom = {
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "metadata": {"component": {"type": "container", "name": "registry.example:5000/team/app:1.2"}},
        "components": [
            {"type": "library", "name": "redis", "version": "5.0.1", "purl": "pkg:npm/redis@5.0.1",
             "licenses": [{"license": {"id": "MIT"}}], "components": [{"type": "library", "name": "inner", "group": "@x"}]},
            {"type": "operating-system", "name": "debian", "version": "12"},
            {"type": "library", "name": "odd", "purl": "not a purl"},
            {"type": "library", "name": "escaped", "purl": "pkg:deb/debian/redis@5%3A7.0.15?arch=amd64"},
            {"type": "library"},
        ],
        "services": [{"name": "keycloak", "version": "26.0"}],
        "compositions": [{"aggregate": "incomplete"}],
    }  # fmt: skip
    stack = read(tmp_path, "sbom.json", bom)
    assert told(stack) == {
        "registry.example:5000/team/app:1.2": "1.2", "redis": "5.0.1", "@x/inner": None, "debian": "12", "odd": None,
        "escaped": "5:7.0.15", "keycloak": "26.0",
    }  # fmt: skip
    assert spots(stack)["@x/inner"] == ["/components/0/components/0"]
    assert {"image", "name", "package"} == {f for f, _ in hints(stack)}
    assert next(p for p in stack.parts if p.purl == "pkg:npm/redis@5.0.1").hints == ()
    found = {p.name: p.technology for p in recognise(stack, catalogue.load()).parts}
    assert (found["redis"], found["escaped"], found["debian"], found["keycloak"]) == (
        None,
        "redis",
        "debian",
        "keycloak",
    )
    assert "no package URL" in reasons(stack)
    assert "without name" in reasons(stack)
    assert "incomplete" in reasons(stack)


@pytest.mark.parametrize(
    ("purl", "expected"),
    [
        ("pkg:rpm/rocky/podman@5.4?arch=x86_64", ("5.4", ("package", "podman"))),
        ("pkg:deb/ubuntu/libstdc%2B%2B6@14#x", ("14", ("package", "libstdc++6"))),
        ("pkg:generic/redis@7.2", ("7.2", ("name", "redis"))),
        ("pkg:oci/redis@sha256%3Aaa?repository_url=index.docker.io%2Flibrary%2Fredis&tag=7.2", ("7.2", ("image", "docker.io/library/redis"))),
        ("pkg:oci/redis@sha256%3Aaa?repository_url=ghcr.io/x/redis", ("sha256:aa", ("image", "ghcr.io/x/redis"))),
        ("pkg:docker/grafana/grafana@11?repository_url=quay.io", ("11", ("image", "quay.io/grafana/grafana"))),
        ("pkg:docker/redis@7", ("7", ("image", "docker.io/library/redis"))),
        ("pkg:npm/redis@5.0.1", ("5.0.1", None)),
        ("pkg:helm/redis@20.1", ("20.1", None)),
    ],
)  # fmt: skip
def test_what_a_purl_means_beside_itself(tmp_path: Path, purl: str, expected: tuple[str, Any]) -> None:
    component = {"type": "library", "name": "x", "purl": purl}
    bom = {"bomFormat": "CycloneDX", "components": [component]}
    reference = {"referenceType": "purl", "referenceLocator": purl}
    spdx = {"spdxVersion": "SPDX-2.3", "packages": [{"name": "x", "externalRefs": [reference]}]}
    version, hint = expected
    for name, content in (("sbom.json", bom), ("spdx.json", spdx)):
        stack = read(tmp_path, name, content)
        assert [(p.version, p.hints) for p in stack.parts] == [(version, (hint,) if hint else ())]


@pytest.mark.parametrize(
    ("cpe", "version", "hints_of"),
    [
        ("cpe:2.3:a:redis:redis:7.2.4:*:*:*:*:*:*:*", "7.2.4", (("name", "redis"),)),
        ("cpe:2.3:o:linux:linux_kernel:6.12\\:rc1:*:*:*:*:*:*:*", "6.12:rc1", (("name", "linux-kernel"),)),
        ("cpe:2.3:a:x:*:*:*:*:*:*:*:*:*", None, ()),
        ("cpe:/a:x:y:1", None, ()),
        (7, None, ()),
    ],
)
def test_a_component_that_has_a_cpe_only(
    tmp_path: Path, cpe: Any, version: str | None, hints_of: tuple[tuple[str, str], ...]
) -> None:
    component = {"type": "library", "name": "x", "cpe": cpe}
    bom = {"bomFormat": "CycloneDX", "components": [component]}
    reference = {"referenceType": "cpe23Type", "referenceLocator": cpe}
    spdx = {"spdxVersion": "SPDX-2.3", "packages": [{"name": "x", "externalRefs": [reference]}]}
    lines = f"SPDXVersion: SPDX-2.3\nPackageName: x\nExternalRef: SECURITY cpe23Type {cpe}\n"
    for name, content in (("sbom.json", bom), ("spdx.json", spdx), ("a.spdx", lines)):
        assert [(p.version, p.hints) for p in read(tmp_path, name, content).parts] == [(version, hints_of)]
    named = {**component, "purl": "pkg:npm/x@1"}
    assert read(tmp_path, "sbom.json", {**bom, "components": [named]}).parts[0].hints == ()


def test_the_tag_of_a_scanned_image_stands_in_its_name(tmp_path: Path) -> None:
    subject = {"type": "container", "name": "redis:7.2", "purl": "pkg:oci/redis@sha256%3Aaa?repository_url=index.docker.io%2Flibrary%2Fredis"}  # fmt: skip
    other = {"type": "container", "name": "ghcr.io/x/y:2", "version": "sha256:" + "a" * 64}
    bom = {"bomFormat": "CycloneDX", "metadata": {"component": subject}, "components": [other]}
    assert [p.version for p in read(tmp_path, "sbom.json", bom).parts] == ["7.2", "2"]


@pytest.mark.parametrize(
    ("said", "licence", "lost"),
    [
        ([{"license": {"id": "MIT"}}], "MIT", ""),
        ([{"expression": "MIT OR Apache-2.0"}], "MIT OR Apache-2.0", ""),
        ([{"license": {"id": "MIT"}}, {"expression": "MIT OR Apache-2.0"}], "MIT AND (MIT OR Apache-2.0)", ""),
        ([{"license": {"name": "Our own licence"}}], "LicenseRef-Our-own-licence", ""),
        ([{"license": {"name": "License :: OSI Approved :: MIT License"}}], "MIT", ""),
        ([{"license": {"id": "Apache-2.0"}}, {"license": {"name": "License :: OSI Approved :: Apache Software License"}}],
         "Apache-2.0", ""),
        ([{"license": {"id": "MIT", "acknowledgement": "declared"}}, {"license": {"id": "ISC", "acknowledgement": "concluded"}}],
         "ISC", ""),
        ([{"expression": "NOASSERTION"}], None, ""),
        ([{"license": {"name": "UNKNOWN"}}], None, ""),
        ([{"license": {"url": "https://opensource.org/licenses/MIT"}}], "MIT", ""),
        ([{"license": {"url": "https://spdx.org/licenses/Apache-2.0.html"}}], "Apache-2.0", ""),
        ([{"license": {"url": "https://example.org/terms"}}], None, "by a URL only: https://example.org/terms"),
        ([{"license": {"text": {"content": "Do what you like."}}}], None, "by its text only"),
        ({"license": {"id": "MIT"}}, "MIT", "the licences are no list"),
        ("MIT", None, "the licences are no list: MIT"),
        ([7, {"license": []}], None, "no object: 7; a licence that is told by nothing that we know"),
    ],
)  # fmt: skip
def test_licences_of_an_sbom(tmp_path: Path, said: Any, licence: str | None, lost: str) -> None:
    """What was not understood of a licence is told, at its place."""
    assert licences.of_cyclonedx(said)[0] == licence
    component = {"type": "library", "name": "x", "licenses": said}
    stack = read(tmp_path, "bom.json", {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [component]})
    assert [p.licence for p in stack.parts] == [licence]
    assert [u.place.spot for u in stack.unread] == (["/components/0/licenses"] if lost else [])
    assert lost in reasons(stack)


SPDX = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {"name": "redis", "versionInfo": "7.2.4", "licenseConcluded": "NOASSERTION", "licenseDeclared": "BSD-3-Clause",
         "externalRefs": [{"referenceType": "cpe23Type", "referenceLocator": "cpe"},
                          {"referenceType": "purl", "referenceLocator": "pkg:deb/debian/redis@5:7.2.4"}]},
        {"name": "debian", "versionInfo": "12", "primaryPackagePurpose": "OPERATING-SYSTEM"},
        {"versionInfo": "1"},
    ],
}  # fmt: skip
TAG_VALUE = """\
SPDXVersion: SPDX-2.3
DocumentComment: <text>PackageName: not this
PackageName: nor this</text>

PackageName: redis
PackageVersion: 7.2.4
PackageLicenseConcluded: NOASSERTION
PackageLicenseDeclared: BSD-3-Clause
ExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/redis@5:7.2.4
FileName: ./a
PackageVersion: of a file
# a comment
PackageName: debian
PrimaryPackagePurpose: OPERATING_SYSTEM
PackageVersion: 12
what is this
"""


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "content"), [("a.spdx.json", SPDX), ("a.spdx", TAG_VALUE)])
def test_spdx_two(tmp_path: Path, name: str, content: Any) -> None:
    stack = read(tmp_path, name, content)
    assert told(stack) == {"redis": "7.2.4", "debian": "12"}
    assert stack.parts[0].licence == "BSD-3-Clause"
    assert stack.parts[0].where[0].spot in ("/packages/0", "line 5")
    assert [p.technology for p in recognise(stack, catalogue.load()).parts] == ["redis", "debian"]
    assert len(stack.unread) == 1


def test_spdx_three(tmp_path: Path) -> None:
    graph = [
        {"type": "software_Package", "spdxId": "u:1", "name": "redis", "software_packageVersion": "7.4",
         "externalIdentifier": [{"externalIdentifierType": "packageUrl", "identifier": "pkg:docker/library/redis@7.4"}]},
        {"type": "Relationship", "relationshipType": "hasDeclaredLicense", "from": "u:1", "to": ["u:2"]},
        {"type": "simplelicensing_LicenseExpression", "spdxId": "u:2", "simplelicensing_licenseExpression": "RSALv2"},
        {"type": "software_File", "name": "a"},
    ]  # fmt: skip
    stack = read(tmp_path, "x.json", {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": graph})
    (part,) = stack.parts
    assert (part.version, part.purl, part.licence) == ("7.4", "pkg:docker/library/redis@7.4", "RSALv2")
    assert part.where[0].spot == "/@graph/0"


@pytest.mark.parametrize(("name", "most"), [("embedded-cloud.cdx.json.gz", 150), ("front-end.cdx.json.gz", 50)])
def test_real_sboms(tmp_path: Path, name: str, most: int) -> None:
    stack = read(tmp_path, name.removesuffix(".gz"), gzip.decompress((STACKS / name).read_bytes()))
    assert len(stack.parts) > most
    assert not stack.unread
    assert all(p.where and p.purl and p.version for p in stack.parts)
    assert sum(p.licence is None for p in stack.parts) < 5


@pytest.mark.thorough
def test_the_embedded_cloud_is_recognised(tmp_path: Path) -> None:
    content = gzip.decompress((STACKS / "embedded-cloud.cdx.json.gz").read_bytes())
    known = catalogue.load()
    stack = recognise(read(tmp_path, "cloud.json", content), known)
    found = {p.technology for p in stack.parts}
    assert {"keystone", "glance", "nova", "neutron", "cinder", "swift", "barbican", "placement"} <= found
    judged = engine.judge(stack, known, rules.load(["alasca"]), date(2026, 11, 23))
    assert len(judged.parts) == len(stack.parts)


# --- public projects


@pytest.mark.parametrize(
    ("project", "expected", "unread"),
    [
        ("mastodon", {"docker.io/library/redis": "7-alpine", "ghcr.io/mastodon/mastodon": "v4.3.17"}, []),
        (
            "nextcloud",
            {"docker.io/library/redis": "alpine", "docker.io/nginxproxy/nginx-proxy": "alpine",
             "ghcr.io/nextcloud-releases/all-in-one": "latest"},
            ["built from ./proxy", "its instructions"],
        ),
        (
            "gitlab",
            {"gitlab": None, "redis": None, "registry.gitlab.com/gitlab-org/build/cng/kubectl": "v17.11.0",
             "registry.gitlab.com/gitlab-org/cloud-native/mirror/images/ingress-nginx/controller": "v1.11.5"},
            ["switched off by gitlab-runner.install", "templates are not rendered"],
        ),
        ("harbor", {"harbor": "2.10.0", "docker.io/goharbor/harbor-core": "v2.10.0"}, []),
        (
            "kube-prometheus-stack",
            {"kube-prometheus-stack": "v0.79.2", "quay.io/prometheus/prometheus": "v3.1.0",
             "quay.io/prometheus-operator/prometheus-operator": "v0.79.2"},
            ["switched off by windowsMonitoring.enabled", "switched off here: quay.io/thanos"],
        ),
        (
            "opendesk",
            {"docker.io/library/mariadb": "10.5", "nubus": None, "docker.io/bitnami/memcached": "1.6.21-debian-11-r107"},
            ["switched off here: chart minio-repo/minio", "./charts/local"],
        ),
    ],
)  # fmt: skip
def test_public_projects(project: str, expected: dict[str, str | None], unread: list[str]) -> None:
    stack = readers.read(STACKS / project)
    assert expected.items() <= told(stack).items()
    assert len(stack.unread) == len(unread)
    for why in unread:
        assert why in reasons(stack)
    assert all(w.file.startswith(str(STACKS)) and w.spot for p in stack.parts for w in p.where)


def test_an_image_that_runs_twice_is_one_part_with_two_places() -> None:
    places = spots(readers.read(STACKS / "mastodon" / "docker-compose.yml"))
    assert places["ghcr.io/mastodon/mastodon"] == ["line 10 (service web)", "line 16 (service sidekiq)"]


def test_zammad_with_and_without_its_variables(tmp_path: Path) -> None:
    content = (STACKS / "zammad" / "docker-compose.yml").read_bytes()
    bare = read(tmp_path, "docker-compose.yml", content)
    assert told(bare) == {"docker.io/library/memcached": "1.6.10-alpine", "docker.io/library/redis": "6.2.5-alpine"}
    assert reasons(bare).count("a variable without default") == 4
    (tmp_path / ".env").write_bytes((STACKS / "zammad" / "dot-env").read_bytes())
    full = readers.read(tmp_path / "docker-compose.yml")
    assert {p.version for p in full.parts} >= {"zammad-5.0.2-7", "zammad-postgresql-5.0.2-7"}
    assert not full.unread
    assert "do-not-tell" not in repr(bare) + repr(full)


# --- Compose, Quadlet


COMPOSE = """\
include: [other.yaml, {path: "https://example.org/compose.yaml"}]
services:
  a: {image: "redis:${X:-${Y-7.2}}@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
  b: {image: "registry.example:5000/b:${NO}"}
  c: {extends: {file: base.yaml, service: base}, profiles: [debug]}
  d: {extends: {service: d}}
  e: {build: {context: ., dockerfile: e.Dockerfile, args: {TAG: "12"}}}
  f: {image: "${NO}"}
  g: {provider: {type: model}}
  h: {image: "Not/An/Image"}
  i: {image: 'postgres:$$1'}
"""


def test_compose(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("services: {o: {image: memcached}}\n")
    (tmp_path / "base.yaml").write_text('services: {base: {image: "keycloak/keycloak:26.0"}}\n')
    (tmp_path / "e.Dockerfile").write_text(
        "ARG TAG=11\nFROM --platform=x debian:${TAG} AS one\nFROM one\nCOPY --from=ghcr.io/x/y:1 /a /a\nFROM scratch\n"
    )
    stack = read(tmp_path, "compose.yaml", COMPOSE)
    assert told(stack) == {
        "docker.io/library/redis": "7.2", "registry.example:5000/b": None, "docker.io/keycloak/keycloak": "26.0",
        "docker.io/library/memcached": None, "docker.io/library/debian": "12", "ghcr.io/x/y": "1",
    }  # fmt: skip
    assert "only in profile debug" in spots(stack)["docker.io/keycloak/keycloak"][0]
    assert "digest sha256:aaaa" in spots(stack)["docker.io/library/redis"][0]
    for why in ("not fetched", "version is a variable", "in a circle", "built from", "image is a variable",
                "made by the provider model", "no image reference: Not/An/Image", "postgres:$1"):  # fmt: skip
        assert why in reasons(stack)


def test_quadlet(tmp_path: Path) -> None:
    (tmp_path / "app.image").write_text("[Image]\nImage=quay.io/x/app:2.1\n")
    (tmp_path / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'redis:7.4'}]}\n"
    )
    assert told(
        read(tmp_path, "a.container", "[Unit]\nDescription=x \\\n  y\n[Container]\nImage=docker.io/library/redis:7.2\n")
    ) == {"docker.io/library/redis": "7.2"}
    assert told(read(tmp_path, "b.container", "[Container]\nImage=app.image\n")) == {"quay.io/x/app": "2.1"}
    assert told(read(tmp_path, "c.kube", "[Kube]\nYaml=pod.yaml\n")) == {"docker.io/library/redis": "7.4"}
    assert "built" in reasons(read(tmp_path, "d.container", "[Container]\nImage=gone.build\n")) + "built"
    assert "systemd" in reasons(read(tmp_path, "e.container", "[Container]\nImage=quay.io/x/app:%i\n"))
    assert "without Image=" in reasons(read(tmp_path, "f.container", "[Container]\nExec=x\n"))


# --- Kubernetes

MANIFESTS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers:
      - {name: wait, image: "busybox:1.36"}
      containers:
      - {name: app, image: "quay.io/x/app:1.0"}
      - {name: bare}
      volumes:
      - {name: model, image: {reference: "quay.io/x/model:3"}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: backup}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: b, image: "restic/restic:0.17.3"}]}}}}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: s}}
- {apiVersion: v1, kind: Secret, metadata: {name: t}, data: {image: c2VjcmV0L2ltYWdl}, stringData: {image: "secret/value:1"}}
- {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {ephemeralContainers: [{name: e, image: "nicolaka/netshoot:v0.13"}]}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: keycloak}
spec:
  chart: {spec: {chart: keycloak, version: 24.x, sourceRef: {kind: HelmRepository, name: bitnami}}}
  values: {image: {repository: bitnami/keycloak, tag: 26.0.7}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: harbor}
spec:
  sources:
  - {repoURL: "https://helm.goharbor.io", chart: harbor, targetRevision: 1.15.0}
  - {repoURL: "https://user:token@git.example/x.git", path: apps}
---
apiVersion: k8s.keycloak.org/v2alpha1
kind: Keycloak
metadata: {name: sso}
spec: {image: "quay.io/keycloak/keycloak:26.1"}
---
apiVersion: longhorn.io/v1beta2
kind: Volume
metadata: {name: pv}
---
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images: [{name: redis, newName: valkey/valkey, newTag: "8.0"}]
resources: ["https://github.com/x/y", web.yaml]
helmCharts: [{name: grafana, version: 8.8.2}]
"""


@pytest.mark.thorough
def test_kubernetes_manifests(tmp_path: Path) -> None:
    stack = read(tmp_path, "all.yaml", MANIFESTS)
    versions = told(stack)
    assert versions["docker.io/library/busybox"] == "1.36"
    assert versions["quay.io/x/model"] == "3"
    assert versions["docker.io/restic/restic"] == "0.17.3"
    assert versions["docker.io/nicolaka/netshoot"] == "v0.13"
    assert versions["docker.io/bitnami/keycloak"] == "26.0.7"
    assert versions["quay.io/keycloak/keycloak"] == "26.1"
    assert versions["docker.io/valkey/valkey"] == "8.0"
    assert {
        ("chart", "keycloak"),
        ("chart", "harbor"),
        ("chart", "grafana"),
        ("service", "Keycloak.k8s.keycloak.org"),
    } <= hints(stack)
    assert spots(stack)["quay.io/x/app"] == ["line 10 (Deployment web, container app)"]
    assert "chart 1.15.0" in spots(stack)["harbor"][0]
    assert versions["harbor"] is None
    assert "container without image" in reasons(stack)
    assert "git.example/x.git apps" in reasons(stack)
    assert "secret" not in repr(stack)
    assert "token" not in repr(stack)
    named = {p.name: p.technology for p in recognise(stack, catalogue.load()).parts}
    assert named["Keycloak (k8s.keycloak.org)"] == "keycloak"
    assert named["Volume (longhorn.io)"] == "longhorn", "by its group; `volume` is a service type of OpenStack, too"


def test_values_of_argo_cd_and_flux_that_stand_elsewhere(tmp_path: Path) -> None:
    stack = read(tmp_path, "apps.yaml", """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: a}
spec:
  source:
    chart: redis
    targetRevision: 20.1.0
    helm: {values: "image: x", valueFiles: [a.yaml], valuesObject: {image: nginx, imageTag: "1.27"}}
    kustomize: {images: ["old=quay.io/x/new:2", "quay.io/x/y:3"]}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: b}
spec: {chart: {spec: {chart: harbor}}, valuesFrom: [{kind: Secret, name: s}]}
""")  # fmt: skip
    images = {p.name: p.version for p in stack.parts if p.hints[0][0] == "image"}
    assert images == {"docker.io/library/nginx": "1.27", "quay.io/x/new": "2", "quay.io/x/y": "3"}
    assert reasons(stack).count("not read") == 2
    assert "elsewhere, too" in reasons(stack)


@pytest.mark.thorough
def test_a_dump_of_a_cluster(tmp_path: Path) -> None:
    release = {
        "chart": {"metadata": {"name": "harbor", "version": "1.15.0", "appVersion": "2.11.0"}},
        "config": {"p": "hidden"},
    }
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    info = {"osImage": "Ubuntu 24.04.1 LTS", "kernelVersion": "6.8.0-45-generic", "kubeletVersion": "v1.31.1",
            "containerRuntimeVersion": "containerd://1.7.22", "operatingSystem": "linux"}  # fmt: skip
    dump = {
        "apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"nodeInfo": info}},
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"}, "status": {"nodeInfo": info}},
            {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "data": {"release": packed},
             "metadata": {"name": "sh.helm.release.v1.harbor.v1", "labels": {"status": "deployed"}}},
            {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "data": {"release": "broken"},
             "metadata": {"name": "sh.helm.release.v1.x.v1", "labels": {"status": "deployed"}}},
            {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "c"},
             "spec": {"group": "rabbitmq.com", "names": {"kind": "RabbitmqCluster"}}},
            {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "s"},
             "provisioner": "rbd.csi.ceph.com"},
        ],
    }  # fmt: skip
    stack = read(tmp_path, "cluster.json", dump)
    versions = told(stack)
    assert versions["Ubuntu"] == "24.04.1"
    assert versions["linux"] == "6.8.0-45-generic"
    assert versions["kubernetes"] == "v1.31.1"
    assert versions["containerd"] == "1.7.22"
    assert versions["harbor"] == "2.11.0"
    assert len(spots(stack)["Ubuntu"]) == 2
    assert spots(stack)["Ubuntu"][0].startswith("/items/0/status/nodeInfo/osImage")
    assert ("service", "rbd.csi.ceph.com") in hints(stack)
    assert "release of Helm that cannot be read" in reasons(stack)
    assert "hidden" not in repr(stack)
    found = {p.technology for p in recognise(stack, catalogue.load()).parts}
    assert {"ubuntu", "linux-kernel", "harbor", "rabbitmq"} <= found


# --- Ansible


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("requirements.yml", "collections:\n- {name: openstack.cloud, version: 2.3.0}\n- community.general:9.0\nroles:\n"
         "- {src: 'https://u:secret@git.example/geerlingguy.redis.git', version: '1'}\n- geerlingguy.nginx,3.1\n",
         {("collection", "openstack.cloud"), ("collection", "community.general"), ("collection", "geerlingguy.redis"),
          ("collection", "geerlingguy.nginx"), ("name", "redis"), ("name", "nginx")}),
        ("roles/x/meta/main.yml", "galaxy_info: {author: x}\ndependencies: [{role: geerlingguy.docker}]\n",
         {("collection", "geerlingguy.docker"), ("name", "docker")}),
        ("galaxy.yml", "namespace: a\nname: b\ndependencies: {ansible.posix: '>=1'}\n", {("collection", "ansible.posix")}),
        ("site.yml", "- hosts: all\n  roles: [common]\n  tasks:\n  - name: x\n    ansible.builtin.apt: {name: [redis-server=5:7.0, '{{ y }}']}\n"
         "  - block:\n    - community.docker.docker_container: {name: c, image: 'grafana/grafana:11.3.0'}\n"
         "    - kubernetes.core.helm: {chart_ref: harbor/harbor, chart_version: 1.15.0}\n"
         "  - apt: name=keepalived state=present\n",
         {("collection", "common"), ("name", "common"), ("package", "redis-server"), ("image", "docker.io/grafana/grafana"), ("chart", "harbor"),
          ("collection", "community.docker"), ("collection", "kubernetes.core"), ("package", "keepalived")}),
        ("inventory.ini", "[web]\na ansible_host=10.0.0.1 redis_version=7.2.1\n[web:vars]\npassword=secret\nkeycloak_version=26.0\n"
         "[all:children]\nweb\n", {("name", "redis"), ("name", "keycloak")}),
        ("hosts.yml", "all:\n  children:\n    web:\n      hosts: {a: {redis_version: 7.2.1}}\n      vars: {password: secret}\n",
         {("name", "redis")}),
        ("group_vars/all.yml", "redis_version: '7.2'\nprometheus_image: 'quay.io/prometheus/prometheus:v3.0.1'\n"
         "grafana_version: '{{ x }}'\npassword: secret\n", {("name", "redis"), ("image", "quay.io/prometheus/prometheus")}),
    ],
)  # fmt: skip
def test_ansible(tmp_path: Path, name: str, content: str, expected: set[tuple[str, str]]) -> None:
    stack = read(tmp_path, name, content)
    assert hints(stack) == expected
    assert "secret" not in repr(stack)
    assert all(w.spot for p in stack.parts for w in p.where)
    if "{{" in content:
        assert stack.unread


# --- OpenTofu

LOCK = """\
provider "registry.opentofu.org/hashicorp/random" {
  version     = "3.6.3"
  constraints = "~> 3.6"
  hashes = ["h1:x"]
}
provider "registry.opentofu.org/terraform-provider-openstack/openstack" {
  version = "3.0.0"
}
"""


def test_a_role_on_a_condition_is_told_with_it_and_is_no_technology_yet(tmp_path: Path) -> None:
    play = "- hosts: all\n  roles:\n  - {role: valkey, when: enable_valkey | bool}\n  - role: prometheus_server\n"
    stack = read(tmp_path, "site.yml", play)
    assert {p.name: p.hints for p in stack.parts} == {
        "valkey": (("collection", "valkey"),),
        "prometheus_server": (("collection", "prometheus_server"), ("name", "prometheus-server")),
    }
    assert "only when enable_valkey" in spots(stack)["valkey"][0]


GLOBALS = """---
kolla_base_distro: rocky
openstack_release: "2025.1"
kolla_internal_vip_address: 10.0.0.9
enable_grafana: "yes"
enable_valkey: false
enable_cinder: true
cinder_backend_ceph: "yes"
enable_neutron_qos: "{{ x }}"
nova_compute_virt_type: kvm
database_password: s3cr3t
"""


@pytest.mark.thorough
def test_kolla(tmp_path: Path) -> None:
    stack = read(tmp_path, "globals.yml", GLOBALS)
    assert told(stack) == {
        "rocky": None,
        "openstack": "2025.1",
        "grafana": None,
        "cinder": None,
        "ceph": None,
        "kvm": None,
    }
    assert [u.place.spot for u in stack.unread] == ["line 9", ""]
    assert "s3cr3t" not in repr(stack)
    named = {p.technology for p in recognise(stack, catalogue.load()).parts}
    assert {"openstack", "grafana", "cinder", "ceph", "kvm"} <= named


def test_tofu_lock(tmp_path: Path) -> None:
    stack = read(tmp_path, ".terraform.lock.hcl", LOCK)
    openstack = "registry.opentofu.org/terraform-provider-openstack/openstack"
    assert told(stack) == {"registry.opentofu.org/hashicorp/random": None, openstack: None}
    assert spots(stack)[openstack] == ["line 6 (provider 3.0.0)"]
    with pytest.raises(UsageError, match="ends inside"):
        read(tmp_path, ".terraform.lock.hcl", LOCK[:-3].rpartition("version")[0])


def test_tofu_state_keeps_no_secret(tmp_path: Path) -> None:
    state = {
        "version": 4, "terraform_version": "1.8.2", "lineage": "x", "outputs": {"p": {"value": "s3cr3t"}},
        "resources": [
            {"type": "random_password", "name": "p", "provider": 'provider["registry.opentofu.org/hashicorp/random"]',
             "instances": [{"attributes": {"result": "s3cr3t", "image": "s3cr3t:1"}}]},
            {"type": "helm_release", "name": "h", "provider": 'provider["registry.opentofu.org/hashicorp/helm"]',
             "instances": [{"attributes": {"chart": "harbor", "version": "1.15.0", "values": ["pw: s3cr3t"],
                                           "metadata": [{"app_version": "2.11.0"}]}}]},
            {"type": "docker_container", "name": "c", "provider": 'provider["registry.opentofu.org/kreuzwerker/docker"]',
             "instances": [{"attributes": {"image": "redis:7.2"}},
                           {"attributes": {"image": "s3cr3t:1"}, "sensitive_attributes": [[{"type": "get_attr", "value": "image"}]]}]},
            {"type": "odd", "provider": "s3cr3t"},
        ],
    }  # fmt: skip
    stack = read(tmp_path, "terraform.tfstate", state)
    assert "s3cr3t" not in repr(stack)
    versions = told(stack)
    assert (versions["harbor"], versions["docker.io/library/redis"], versions["opentofu"]) == ("2.11.0", "7.2", "1.8.2")
    assert ("provider", "registry.opentofu.org/hashicorp/helm") in hints(stack)
    assert "without provider" in reasons(stack)
    for broken, why in (({**state, "version": 3}, "form 3"), ({"meta": {}, "encrypted_data": "x"}, "encrypted")):
        with pytest.raises(UsageError, match=why) as error:
            read(tmp_path, "terraform.tfstate", broken)
        assert "s3cr3t" not in error.value.what


def test_tofu_workloads_of_kubernetes(tmp_path: Path) -> None:
    def resource(values: dict[str, Any], *sensitive: str) -> dict[str, Any]:
        marked = [[{"type": "get_attr", "value": name}] for name in sensitive]
        return {
            "type": "kubernetes_x", "provider": 'provider["registry.opentofu.org/hashicorp/kubernetes"]',
            "instances": [{"attributes": values, "sensitive_attributes": marked}],
        }  # fmt: skip

    spec = [{"template": [{"spec": [{"container": [{"image": "redis:7.2", "env": [{"value": "s3cr3t"}]}]}]}]}]
    resources = [
        resource({"spec": spec}),
        resource({"spec": spec}, "spec"),
        resource({"manifest": {"kind": "Pod", "spec": {"containers": [{"image": "nginx:1.27"}]}}}),
        resource({"manifest": {"kind": "Secret", "stringData": {"image": "s3cr3t/s3cr3t:1"}}}),
    ]
    stack = read(tmp_path, "terraform.tfstate", {"version": 4, "terraform_version": "1.8.0", "resources": resources})
    assert {"docker.io/library/redis": "7.2", "docker.io/library/nginx": "1.27"}.items() <= told(stack).items()
    assert [u.place.spot for u in stack.unread] == ["/resources/1/instances/0/attributes/spec"]
    assert "s3cr3t" not in repr(stack)


def test_tofu_plan(tmp_path: Path) -> None:
    plan = {
        "format_version": "1.2", "terraform_version": "1.9.8",
        "configuration": {"provider_config": {"os": {"full_name": "registry.terraform.io/hashicorp/vault", "version_constraint": "~> 4"}}},
        "planned_values": {"root_module": {"child_modules": [{"resources": [
            {"type": "docker_image", "provider_name": "registry.terraform.io/kreuzwerker/docker",
             "values": {"name": "quay.io/x/y:1", "secret": "s3cr3t"}, "sensitive_values": {"secret": True}},
            {"type": "openstack_images_image_v2", "provider_name": "registry.terraform.io/kreuzwerker/docker",
             "values": {"properties": {"os_distro": "ubuntu", "os_version": "24.04"}}},
        ]}]}},
    }  # fmt: skip
    stack = read(tmp_path, "plan.json", plan)
    versions = told(stack)
    assert (versions["quay.io/x/y"], versions["ubuntu"], versions["terraform"]) == ("1", "24.04", "1.9.8")
    assert spots(stack)["ubuntu"] == ["/planned_values/root_module/child_modules/0/resources/1/values/properties"]
    assert "s3cr3t" not in repr(stack)


# --- package lists


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ("redis-server\t5:7.0.15-1~deb12u1\nlibc6:amd64\t2.36-9\nremoved\t\n", "dpkg-query -W"),
        ("Package: redis-server\nStatus: install ok installed\nVersion: 5:7.0.15-1~deb12u1\nDescription: x\n more\n\n"
         "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n\n"
         "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n", "dpkg status"),
        ("Desired=Unknown/Install\n| Status=Not\n|/ Err?\n+++-=====\nii  redis-server 5:7.0.15-1~deb12u1 amd64 x y\n"
         "ii  libc6:amd64 2.36-9 amd64 GNU\n", "dpkg -l"),
        ("Listing... Done\nredis-server/stable,now 5:7.0.15-1~deb12u1 amd64 [installed]\nlibc6/stable,now 2.36-9 amd64 [installed,automatic]\n",
         "apt list"),
        ("redis-server-5:7.0.15-1~deb12u1.el9.x86_64\nlibc6-2.36-9.noarch\ngpg-pubkey-1-2\n", "rpm -qa"),
        ("Installed Packages\nredis-server.x86_64   5:7.0.15-1   @appstream\nlibc6.noarch 2.36-9 @System\n", "dnf list"),
        ("redis-server-7.0.15-r0\nlibc6-2.36-r9\n", "apk info -v"),
        ("redis-server-7.0.15-r0 x86_64 {redis} (BSD-3-Clause) [installed]\nlibc6-2.36-r9 x86_64 {libc} (MIT) [installed]\n", "apk list"),
        ("C:Q1abc=\nP:redis-server\nV:7.0.15-r0\nL:BSD-3-Clause\n\nC:Q1d=\nP:libc6\nV:2.36-r9\n\n", "apk installed"),
        ("/nix/store/0c0nyzq0c0nyzq0c0nyzq0c0nyzq0c0n-redis-server-7.0.15\n/nix/store/1c0nyzq0c0nyzq0c0nyzq0c0nyzq0c0n-libc6-2.36\n", "nix"),
    ],
)  # fmt: skip
def test_package_lists(tmp_path: Path, content: str, form: str) -> None:
    stack = read(tmp_path, "list.txt", content)
    assert packages._form(Source.open(tmp_path / "list.txt")) == form
    versions = told(stack)
    assert set(versions) == {"redis-server", "libc6"}
    assert "7.0.15" in str(versions["redis-server"])
    assert ("package", "redis-server") in hints(stack)
    assert all(w.spot.startswith("line ") for p in stack.parts for w in p.where)
    assert not stack.unread
    odd = read(
        tmp_path, "odd.txt", content + ("\nNo: package\n" if form.endswith(("status", "installed")) else "%% what\n")
    )
    assert len(odd.unread) == 1


REDIS = "docker.io/library/redis"
RELEASE = {
    "name": "cache",
    "namespace": "d",
    "revision": "1",
    "status": "deployed",
    "chart": "redis-20.1.0",
    "app_version": "7.4.1",
}


@pytest.mark.parametrize(
    ("content", "expected", "unread"),
    [
        ("# mirror\nredis:7.2\nquay.io/x/y:1\nghcr.io/z@sha256:" + "a" * 64 + "\nno image here\nquay.io/x/z:1\n",
         {REDIS: "7.2", "quay.io/x/y": "1", "quay.io/x/z": "1", "ghcr.io/z": "sha256:" + "a" * 64}, 1),
        ("REPOSITORY          TAG       IMAGE ID       CREATED       SIZE\nredis               7.2       0a1b2c3d4e5f   2 days ago    40MB\n"
         "quay.io/x/y         <none>    0a1b2c3d4e5f   2 days ago    40MB\n<none>              <none>    0a1b2c3d4e5f   2 days ago    40MB\n",
         {REDIS: "7.2", "quay.io/x/y": None}, 1),
        ("CONTAINER ID   IMAGE       COMMAND   CREATED\n0a1b2c3d4e5f   redis:7.2   \"x y\"     2 days ago\n", {REDIS: "7.2"}, 0),
        ([{"Image": "docker.io/library/redis:7.2", "Names": ["r"], "State": "running"}, {"Image": "old:1", "Names": ["o"], "State": "exited"}, {}],
         {REDIS: "7.2"}, 1),
        ([{"Image": "sha256:aa", "State": {"Status": "running"}, "Config": {"Image": "redis:7.2", "Env": ["PASSWORD=s3cr3t"]}}], {REDIS: "7.2"}, 0),
        ([RELEASE, {**RELEASE, "chart": "kube-prometheus-stack-65.1.0-rc.1", "app_version": "v0.77.1"}, {**RELEASE, "status": "failed"}],
         {"redis": "7.4.1", "kube-prometheus-stack": "v0.77.1"}, 1),
    ],
)  # fmt: skip
def test_what_runs(tmp_path: Path, content: Any, expected: dict[str, str | None], unread: int) -> None:
    stack = read(tmp_path, "list.txt", content if isinstance(content, str) else json.dumps(content))
    assert told(stack) == expected
    assert len(stack.unread) == unread
    assert "s3cr3t" not in repr(stack)


@pytest.mark.thorough
@pytest.mark.parametrize("content", ["db:5432\nweb:80\n", "src/main.py\nsrc/a/b.py\n", "a word\nquay.io/x/y:1\n"])
def test_what_is_no_list_of_images(tmp_path: Path, content: str) -> None:
    with pytest.raises(UsageError, match="of no known form"):
        read(tmp_path, "list.txt", content)


def test_a_kustomization_may_leave_out_its_kind(tmp_path: Path) -> None:
    stack = read(tmp_path, "kustomization.yaml", "resources: [a.yaml]\nimages:\n- {name: nginx, newTag: '1.27'}\n")
    assert told(stack) == {"docker.io/library/nginx": "1.27"}


def test_os_release_under_another_name(tmp_path: Path) -> None:
    stack = read(
        tmp_path, "node1.txt", 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\n'
    )
    assert told(stack) == {"Ubuntu": "24.04"}


def test_os_release_and_nix_profile(tmp_path: Path) -> None:
    stack = read(tmp_path, "etc/os-release", 'NAME="AlmaLinux"\nID="almalinux"\nVERSION_ID="9.5"\n')
    assert told(stack) == {"AlmaLinux": "9.5"}
    path = "/nix/store/0c0nyzq0c0nyzq0c0nyzq0c0nyzq0c0n-redis-7.2.7"
    assert told(read(tmp_path, "nix.json", {"version": 3, "elements": {"redis": {"storePaths": [path]}}})) == {
        "redis": "7.2.7"
    }


# --- lock files


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("requirements.txt", "Oslo.Config[x]==9.7 \\\n    --hash=sha256:x ; python_version>'3'\n# no\nflask>=2\n-r other.txt\n"
         "-e git+https://u:secret@git.example/x#egg=x\n-i https://pypi.example\n",
         {"Oslo.Config": "pkg:pypi/oslo-config@9.7", "flask": "pkg:pypi/flask", "more": "pkg:pypi/more@1", "x": "pkg:pypi/x"}),
        ("uv.lock", 'version = 1\n[[package]]\nname = "anyio"\nversion = "4.9"\n[[package]]\nname = "own"\nsource = { virtual = "." }\n',
         {"anyio": "pkg:pypi/anyio@4.9", "own": None}),
        ("poetry.lock", '[[package]]\nname = "Jinja2"\nversion = "3.1"\n', {"Jinja2": "pkg:pypi/jinja2@3.1"}),
        ("package-lock.json", {"lockfileVersion": 3, "packages": {"": {"name": "own"}, "node_modules/@a/b": {"version": "1.0", "license": "MIT"},
         "packages/x": {"link": True}}}, {"@a/b": "pkg:npm/%40a/b@1.0"}),
        ("npm-shrinkwrap.json", {"lockfileVersion": 1, "dependencies": {"a": {"version": "1", "dependencies": {"b": {"version": "2"}}}}},
         {"a": "pkg:npm/a@1", "b": "pkg:npm/b@2"}),
        ("go.mod", "module x\ngo 1.23\nrequire (\n\tgithub.com/a/B v1.2.3 // indirect\n\tgithub.com/c/d v0.1.0\n)\n"
         "replace github.com/c/d => github.com/e/f v0.2.0\nexclude x v1\nodd line\n",
         {"github.com/a/B": "pkg:golang/github.com/a/B@v1.2.3", "github.com/e/f": "pkg:golang/github.com/e/f@v0.2.0"}),
    ],
)  # fmt: skip
def test_lock_files(tmp_path: Path, name: str, content: Any, expected: dict[str, str | None]) -> None:
    (tmp_path / "other.txt").write_text("more==1\n")
    stack = read(tmp_path, name, content)
    assert {p.name: p.purl for p in stack.parts} == expected
    assert "secret" not in repr(stack)


def test_the_lock_of_the_embedded_cloud() -> None:
    lock = Path(readers.__file__).parents[1] / "reference" / "runtime-requirements.lock"
    stack = readers.read(lock)
    assert len(stack.parts) > 150
    assert told(stack)["nova"] == "34.0.0"
    assert not stack.unread


# --- clouds


@pytest.mark.thorough
def test_openstack_parts() -> None:
    services: list[dict[str, Any]] = [
        {"type": "compute", "name": "nova", "version": "34.0.0", "endpoints": []},
        {"type": "network", "name": "neutron"},
    ]
    images: list[dict[str, Any]] = [
        {"name": "u", "os_distro": "ubuntu", "os_version": "24.04"},
        {"name": "d", "properties": {"os_distro": "debian"}},
        {"name": "x"},
    ]
    sections = {"catalog": {"status": "seen", "items": services}, "images": {"status": "seen", "items": images}}
    stack = openstack_stack({"sections": sections}, "quelle")
    assert [(p.name, p.version, str(p.where[0])) for p in stack.parts] == [
        ("nova", "34.0.0", "quelle: /sections/catalog/items/0 (service compute)"),
        ("neutron", None, "quelle: /sections/catalog/items/1 (service network)"),
        ("ubuntu", "24.04", "quelle: /sections/images/items/0 (image u)"),
        ("debian", None, "quelle: /sections/images/items/1 (image d)"),
    ]
    assert [str(u.place) for u in stack.unread] == ["quelle: /sections/images/items/2"]
    found = recognise(stack, catalogue.load())
    assert [p.technology for p in found.parts] == ["nova", "neutron", "ubuntu", "debian"]


def test_openstack_files(tmp_path: Path) -> None:
    listed = [{"Name": "keystone", "Type": "identity", "Endpoints": []}]
    assert told(read(tmp_path, "catalog.json", json.dumps(listed))) == {"keystone": None}
    assert told(read(tmp_path, "token.json", {"token": {"catalog": [{"type": "image", "name": "glance"}]}})) == {
        "glance": None
    }
    census = {
        "identity": {}, "offering": {"images": [{"name": "u", "properties": {"os_distro": "ubuntu", "os_version": "24.04"}}]},
        "resources": [{"kind": "image", "name": "mine"}, {"kind": "server", "name": "s"}], "not_shown": [{"what": "share", "reason": "no"}],
    }  # fmt: skip
    stack = read(tmp_path, "census.json", census)
    assert told(stack) == {"ubuntu": "24.04", "openstack": None}
    assert "mine does not tell" in reasons(stack)
    assert "share: no" in reasons(stack)


def test_every_form_is_listed_once() -> None:
    assert len({f.id for f in readers.FORMS}) == len(readers.FORMS)
    assert all(f.title in readers.REMEDY for f in readers.FORMS)


def test_an_override_is_told_and_its_services_belong_to_the_other_file(tmp_path: Path) -> None:
    (tmp_path / "compose.override.yaml").write_text("services: {a: {environment: {X: y}}, b: {environment: {X: y}}}\n")
    stack = read(tmp_path, "compose.yaml", "services: {a: {image: redis}}\n")
    assert "compose.override.yaml beside it" in reasons(stack)
    assert (
        reasons(readers.read(tmp_path / "compose.override.yaml")) == "line 1 (service b): neither `image` nor `build`"
    )


def test_a_role_tells_no_variable_of_its_own(tmp_path: Path) -> None:
    stack = read(tmp_path, "site.yml", "- hosts: all\n  roles: [{role: '{{ x }}', password: s3cr3t}]\n")
    assert reasons(stack) == "line 2: a role that is not told by name: {{ x }}"


def test_the_dependencies_of_an_old_chart(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("name: x\nversion: 1.0.0\n")
    stack = read(tmp_path, "requirements.yaml", "dependencies: [{name: redis, version: 10.5.7}]\n")
    assert spots(stack) == {"redis": ["line 1 (chart 10.5.7)"]}


@pytest.mark.parametrize(
    ("image", "name", "version"),
    [
        ("Debian GNU/Linux 12 (bookworm)", "Debian", "12"),
        ("Flatcar Container Linux by Kinvolk 3815.2.0 (Oklo)", "Flatcar Container Linux", "3815.2.0"),
        ("Talos (v1.8.0)", "Talos", "1.8.0"),
        ("Windows", "Windows", None),
    ],
)
def test_operating_systems_of_nodes(tmp_path: Path, image: str, name: str, version: str | None) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"nodeInfo": {"osImage": image}}}
    assert told(read(tmp_path, "node.json", node)) == {name: version}
