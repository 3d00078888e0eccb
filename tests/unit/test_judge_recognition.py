# SPDX-License-Identifier: Apache-2.0
"""What counts as a product, and what is seen through: by the catalogue that comes with the program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from unterbau import catalogue
from unterbau import stack as readers
from unterbau.catalogue.model import Catalogue
from unterbau.errors import UsageError
from unterbau.stack import mirrors
from unterbau.stack.model import Part, Stack
from unterbau.stack.recognise import Index, recognise
from unterbau.stack.source import Source

Told = dict[str, tuple[str | None, str | None]]


@cache
def known() -> Catalogue:
    return catalogue.load()


@cache
def index() -> Index:
    return Index(known())


def read(folder: Path, name: str, content: str | bytes) -> Stack:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return recognise(readers.read(path), known())


def told(stack: Stack) -> Told:
    """Version and technology by name."""
    return {p.name: (p.version, p.technology) for p in stack.parts}


def technology_of(image: str) -> tuple[str | None, str | None]:
    return index().seen(Part("1", "x", hints=(("image", image),)))


def reasons(stack: Stack) -> list[str]:
    return [f"{u.place.spot}: {u.reason}" for u in stack.unread]


# --- libraries

GO = """\
module example.org/ours
go 1.24
require (
\tgithub.com/hashicorp/vault/api v1.16.0
\tgithub.com/aws/aws-sdk-go-v2 v1.41.4
\tgithub.com/prometheus/prometheus v0.300.0
\tgithub.com/docker/docker v28.0.0+incompatible
\tk8s.io/client-go v0.33.0
)
"""
NPM = json.dumps({"lockfileVersion": 3, "packages": {
    "node_modules/prom-client": {"version": "15.0.0"}, "node_modules/@aws-sdk/client-s3": {"version": "3.0.0"},
    "node_modules/keycloak-js": {"version": "26.0.0"}, "node_modules/redis": {"version": "5.0.0"},
}})  # fmt: skip
PYTHON = "boto3==1.40\nopenstacksdk==4.7\nprometheus-client==0.22\noslo.config==10\nneo4j==5.28\npyvmomi==8.0\nnova==31.1.0\n"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "content", "products"),
    [
        ("go.mod", GO, {}),
        ("package-lock.json", NPM, {}),
        ("requirements.txt", PYTHON, {"nova": ("31.1.0", "nova")}),
    ],
)
def test_a_library_that_talks_to_a_product_is_not_the_product(
    tmp_path: Path, name: str, content: str, products: Told
) -> None:
    """The package of Nova is Nova itself."""
    found = told(read(tmp_path, name, content))
    assert len(found) >= 4
    assert {n: v for n, v in found.items() if v[1] is not None} == products


def test_a_module_of_go_is_the_product_only_where_the_input_calls_it_the_program(tmp_path: Path) -> None:
    purl = "pkg:golang/github.com/prometheus/prometheus@v0.301.0"
    library = {"type": "library", "name": "github.com/prometheus/prometheus", "purl": purl}
    bom: dict[str, Any] = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [library]}
    assert [p.technology for p in read(tmp_path, "a.json", json.dumps(bom)).parts] == [None]
    bom["metadata"] = {"component": library}
    assert [p.technology for p in read(tmp_path, "b.json", json.dumps(bom)).parts] == ["prometheus", None]
    program = {**bom, "metadata": {}, "components": [{**library, "type": "application"}]}
    assert [p.technology for p in read(tmp_path, "c.json", json.dumps(program)).parts] == ["prometheus"]


def test_the_catalogue_names_no_family_of_libraries() -> None:
    """A purl of an ecosystem of libraries names one package, which is the product itself."""
    families = [
        purl
        for technology in known().values()
        for purl in technology.recognise.purls
        if purl[4:].partition("/")[0] in catalogue.LIBRARIES and purl.endswith("*")
    ]
    assert families == []


@pytest.mark.parametrize(
    ("recognise", "what"),
    [
        ("{purls: ['pkg:golang/k8s.io/*']}", "a family of libraries"),
        ("{services: [Cluster]}", "a kind without its API group"),
    ],
)
def test_a_catalogue_file_that_would_take_libraries_or_kinds_of_others_is_refused(
    tmp_path: Path, recognise: str, what: str
) -> None:
    path = tmp_path / "thing.yaml"
    path.write_text(
        f"id: thing\nname: Thing\nlayer: container\nhomepage: https://example.org\nrecognise: {recognise}\nfacts: []\n"
    )
    assert what in "\n".join(catalogue.check([path]))


@pytest.mark.parametrize(
    ("package", "technology"),
    [
        ("postgresql-16", "postgresql"), ("postgresql-client-16", None), ("postgresql-16-pgvector", None),
        ("librados2", None), ("ceph-osd", "ceph"), ("libvirt0", None), ("nginx-prometheus-exporter", None),
        ("nginx-core", "nginx"), ("python3-openstackclient", None), ("prometheus-node-exporter", "node-exporter"),
    ],
)  # fmt: skip
def test_a_package_of_an_operating_system_that_only_talks_to_a_product(package: str, technology: str | None) -> None:
    assert index().find(Part("1", package, hints=(("package", package),))) == technology


def test_collections_of_modules_are_libraries_and_roles_are_products(tmp_path: Path) -> None:
    content = "collections: [community.mysql, openstack.cloud, osism.services]\nroles: [geerlingguy.docker]\n"
    found = told(read(tmp_path, "requirements.yml", content))
    assert {n: t for n, (_, t) in found.items()} == {
        "community.mysql": None, "openstack.cloud": None, "osism.services": "osism", "geerlingguy.docker": "docker-engine",
    }  # fmt: skip


# --- mirrors, packers, namespaces


@pytest.mark.parametrize(
    ("image", "technology", "mirror"),
    [
        ("docker.io/library/redis", "redis", None),
        ("registry.opencode.de/bmi/opendesk/components/community/images-mirror/redis", "redis",
         "registry.opencode.de/bmi/opendesk/components/community/images-mirror"),
        ("mirror.gcr.io/library/nginx", "nginx", "mirror.gcr.io"),
        ("mirror.gcr.io/grafana/grafana", "grafana", "mirror.gcr.io"),
        ("docker.io/bitnamilegacy/redis", "redis", "docker.io/bitnamilegacy"),
        ("public.ecr.aws/docker/library/postgres", "postgresql", "public.ecr.aws/docker"),
        ("registry.example.org:5000/proxy/library/postgres", "postgresql", "registry.example.org:5000/proxy"),
        ("registry.example.org/team/library/postgres", "postgresql", "registry.example.org/team"),
        ("harbor.example.org/quay-proxy/prometheus/prometheus", "prometheus", "harbor.example.org/quay-proxy"),
        ("harbor.example.org/docker.io/grafana/loki", "loki", "harbor.example.org"),
        ("m.daocloud.io/registry.k8s.io/kube-proxy", "kubernetes", "m.daocloud.io"),
        ("gitlab.example.org/group/dependency_proxy/containers/nginx", "nginx",
         "gitlab.example.org/group/dependency_proxy/containers"),
        ("registry.gitlab.com/gitlab-org/cloud-native/mirror/images/ingress-nginx/controller", "ingress-nginx",
         "registry.gitlab.com/gitlab-org/cloud-native/mirror/images"),
        ("docker.io/rancher/mirrored-coredns-coredns", "coredns", "docker.io/rancher/mirrored"),
        ("docker.io/rancher/mirrored-library-traefik", "traefik", "docker.io/rancher/mirrored"),
        ("docker.io/rancher/mirrored-ingress-nginx-controller", "ingress-nginx", "docker.io/rancher/mirrored"),
        ("registry.example.org/kolla/release/nova-api", "nova", "registry.example.org/kolla/release"),
        ("registry.example.org/kolla/ubuntu-source-keystone", "keystone", "registry.example.org/kolla"),
        ("ghcr.io/mailcow/dovecot", "dovecot", "ghcr.io/mailcow"),
        ("ghcr.io/vexxhost/nova", "nova", "ghcr.io/vexxhost"),
        ("lscr.io/linuxserver/nextcloud", "nextcloud", "lscr.io/linuxserver"),
        ("docker.io/rancher/hardened-etcd", "etcd", "docker.io/rancher/hardened"),
    ],
)  # fmt: skip
def test_a_mirror_is_seen_through_and_told(image: str, technology: str, mirror: str | None) -> None:
    assert technology_of(image) == (technology, mirror)


@pytest.mark.parametrize(
    "image",
    [
        "registry.example.org/redis",
        "registry.example.org/team/redis",
        "registry.example.org/mirror/acme/redis",
        "mirror.gcr.io/acme/redis",
        "registry.opencode.de/bmi/opendesk/components/supplier/acme/images-mirror/web",
        "registry.example.org/images-mirror/heat",
        "registry.example.org/images-mirror/swift",
        "registry.example.org/images-mirror/vector",
        "registry.example.org/proxy/redis-exporter",
        "docker.io/rancher/mirrored-acme-redis",
        "docker.io/bitnami/redis-exporter",
        "ghcr.io/mailcow/postfix-tlspol",
        "ghcr.io/vexxhost/nova-ssh",
        "docker.io/someone/keycloak",
        "ghcr.io/containerd/busybox",
    ],
)
def test_a_namesake_is_another_product(image: str) -> None:
    """Behind a mirror, too, the name counts with its owner."""
    assert technology_of(image) == (None, None)


@pytest.mark.parametrize(
    ("image", "technology"),
    [
        ("quay.io/prometheus/node-exporter", "node-exporter"), ("quay.io/prometheus/blackbox-exporter", "blackbox-exporter"),
        ("quay.io/prometheus-operator/prometheus-operator", "prometheus-operator"), ("docker.io/prom/pushgateway", None),
        ("docker.io/minio/mc", None), ("ghcr.io/open-telemetry/demo", None), ("docker.io/amazon/aws-ebs-csi-driver", None),
        ("ghcr.io/fluxcd/flagger", None), ("ghcr.io/fluxcd/source-controller", "flux"),
        ("docker.io/longhornio/csi-attacher", None), ("docker.io/longhornio/longhorn-manager", "longhorn"),
        ("quay.io/ansible/awx", "awx"), ("quay.io/ansible/receptor", None), ("ghcr.io/siderolabs/kubelet", "kubernetes"),
        ("registry.gitlab.com/gitlab-org/build/cng/kubectl", None), ("docker.io/natsio/nats-box", None),
        ("registry.k8s.io/ingress-nginx/kube-webhook-certgen", None), ("registry.opencode.de/bmi/opendesk/anything", None),
        ("docker.io/istio/examples-bookinfo-ratings-v1", None), ("registry.k8s.io/pause", None),
    ],
)  # fmt: skip
def test_an_organisations_namespace_is_no_product(image: str, technology: str | None) -> None:
    assert technology_of(image)[0] == technology


def test_the_mirror_is_a_fact_about_the_source(tmp_path: Path) -> None:
    image = "registry.opencode.de/bmi/opendesk/components/community/images-mirror/redis:7.4.3"
    (part,) = read(tmp_path, "compose.yaml", f"services: {{a: {{image: '{image}'}}}}\n").parts
    assert (part.technology, part.version) == ("redis", "7.4.3")
    assert part.mirror == "registry.opencode.de/bmi/opendesk/components/community/images-mirror"


@pytest.mark.parametrize("image", ["a/b", "mirror/x", "x/mirror", "x/proxy/images", "docker.io/rancher/mirrored-x"])
def test_odd_names_have_no_upstream_that_is_none(image: str) -> None:
    made: Iterator[tuple[str, str]] = mirrors.upstream(image)
    assert all("//" not in name and not name.endswith("/") and via for name, via in made)


# --- kinds of Kubernetes


@pytest.mark.parametrize(
    ("version", "kind", "technology"),
    [
        ("app.k8s.io/v1beta1", "Application", None), ("argoproj.io/v1alpha1", "Application", "argo-cd"),
        ("cert-manager.io/v1", "Certificate", "cert-manager"), ("networking.gke.io/v1", "Certificate", None),
        ("postgresql.cnpg.io/v1", "Cluster", "cloudnative-pg"), ("cluster.x-k8s.io/v1beta1", "Cluster", "cluster-api"),
        ("longhorn.io/v1beta2", "Volume", "longhorn"), ("openstack.k-orc.cloud/v1alpha1", "Image", None),
        ("apps.openshift.io/v1", "DeploymentConfig", "openshift"), ("example.org/v1", "Kafka", None),
        ("monitoring.coreos.com/v1", "Alertmanager", "alertmanager"), ("cilium.io/v2", "CiliumNetworkPolicy", "cilium"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux"),
        ("kustomize.config.k8s.io/v1beta1", "Kustomization", "kustomize"),
    ],
)  # fmt: skip
def test_kinds_are_matched_with_their_group(tmp_path: Path, version: str, kind: str, technology: str | None) -> None:
    found = read(tmp_path, "a.yaml", f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n")
    assert [p.technology for p in found.parts] == [technology]


# --- OSISM

BASE = """\
---
manager_version: latest
ansible_core_version: '2.18.18'
openstack_previous_version: "2024.2"
osism_projects:
  # renovate: datasource=github-releases depName=moby/moby
  docker: '5:27.5.1'
docker_images:
  # renovate: datasource=docker depName=redis
  redis: 7.4.7-alpine
  # renovate: datasource=docker depName=registry.osism.tech/osism/netbox
  netbox: 'v4.3.5'
  # renovate: datasource=docker depName=acme/vault
  thing: '1'
  vault: 1.21.2
openstack_projects:
  cinder: stable-2025.1
ansible_collections:
  osism.services: '0.20260818.0'
"""


def test_the_files_of_an_osism_release(tmp_path: Path) -> None:
    stack = read(tmp_path, "latest/base.yml", BASE)
    assert told(stack) == {
        "osism": ("latest", "osism"), "ansible-core": ("2.18.18", "ansible"), "docker": ("5:27.5.1", "docker-engine"),
        "redis": ("7.4.7-alpine", "redis"), "netbox": ("v4.3.5", "netbox"), "thing": ("1", None),
        "vault": ("1.21.2", "vault"), "cinder": ("2025.1", "cinder"), "osism.services": (None, "osism"),
    }  # fmt: skip
    assert {p.name: p.where[0].spot for p in stack.parts}["netbox"] == "line 12"
    assert reasons(stack) == []


CONFIGURATION = """\
---
ceph_version: reef
openstack_version: 2024.2
manager_version: latest
broker_uri: "{% for h in hosts %}amqp://{{ h }}{% endfor %}"
"""
IMAGES = """\
redis_tag: "7.4.9-alpine"
redis_image: "{{ docker_registry|default('registry.osism.tech/dockerhub') }}/library/redis:{{ redis_tag }}"
vault_image: "{{ docker_registry }}/hashicorp/vault:1.21.4"
osism_image: '{{ registry | default("registry.osism.tech") }}/osism/osism:{{ osism_version|default("latest") }}'
secret: hunter2
"""


def test_the_environments_of_an_osism_configuration(tmp_path: Path) -> None:
    stack = read(tmp_path, "environments/manager/configuration.yml", CONFIGURATION)
    assert told(stack) == {"ceph": ("reef", "ceph"), "openstack": ("2024.2", "openstack"), "osism": ("latest", "osism")}
    images = read(tmp_path, "environments/manager/images.yml", IMAGES)
    assert told(images) == {
        "registry.osism.tech/dockerhub/library/redis": ("7.4.9-alpine", "redis"),
        "registry.osism.tech/osism/osism": ("latest", "osism"),
    }
    assert reasons(images) == [
        "line 3 (variable): a template fills this in: {{ docker_registry }}/hashicorp/vault:1.21.4"
    ]
    assert "hunter2" not in repr(images)


def test_a_role_of_osism(tmp_path: Path) -> None:
    play = "- hosts: all\n  roles:\n    - osism.commons.operator\n    - osism.services.docker\n"
    found = told(read(tmp_path, "play.yml", play))
    assert {n: t for n, (_, t) in found.items()} == {
        "osism.commons.operator": "osism", "osism.services.docker": "docker-engine",
    }  # fmt: skip


# --- Ansible's variables


def test_a_variable_of_a_play_is_no_installation(tmp_path: Path) -> None:
    play = "- hosts: all\n  vars:\n    terraform_version: '1.6.0'\n    app_image: redis:7.2\n  tasks: []\n"
    stack = read(tmp_path, "play.yml", play)
    assert told(stack) == {"docker.io/library/redis": ("7.2", "redis")}
    assert reasons(stack) == ["line 3: a variable of a play, and no installation: terraform_version"]


DOWNLOADS = """\
quay_image_repo: quay.io
cilium_version: "1.20.1"
cilium_image_repo: "{{ quay_image_repo }}/cilium/cilium"
cilium_image_tag: "v{{ cilium_version }}"
etcd_image_repo: "{{ quay_image_repo }}/coreos/etcd"
etcd_image_tag: "v{{ etcd_supported[kube_version] }}"
circle: "{{ circle }}"
circle_image: "{{ circle }}/a/b:1"
"""


def test_what_stands_in_the_same_file_is_filled_in(tmp_path: Path) -> None:
    stack = read(tmp_path, "roles/download/defaults/main.yml", DOWNLOADS)
    assert told(stack) == {
        "cilium": ("1.20.1", "cilium"), "quay.io/cilium/cilium": ("v1.20.1", "cilium"),
        "quay.io/coreos/etcd": (None, "etcd"),
    }  # fmt: skip
    assert len([r for r in reasons(stack) if "a template fills this in" in r]) == 2


def test_the_variables_of_a_role_know_its_defaults(tmp_path: Path) -> None:
    defaults = tmp_path / "roles" / "r" / "defaults" / "main.yml"
    defaults.parent.mkdir(parents=True)
    defaults.write_text("prefix: ''\n")
    content = '_images:\n  a: "{{ prefix }}quay.io/keycloak/keycloak:26.1"\n  b: not-an-image\n'
    stack = read(tmp_path, "roles/r/vars/main.yml", content)
    assert told(stack) == {"quay.io/keycloak/keycloak": ("26.1", "keycloak")}


# --- templates

PLAIN = 'images:\n  redis:\n    registry: "docker.io"\n    repository: "library/redis"\n    tag: "7.4.3"\n'
BRACES = """\
{{/* several
lines */}}
images:
  redis:
    repository: "library/redis"
    tag: "7.4.3"
  {{- if .Values.more }}
  nginx:
    repository: library/nginx
    tag: {{ .Values.nginx | default "1.27" | quote }}
  {{- end }}
  app:
    repository: {{ .Values.registry }}/app
    tag: "1"
"""


def test_a_template_is_read_as_far_as_it_is_plain(tmp_path: Path) -> None:
    whole = read(tmp_path, "images.yaml.gotmpl", PLAIN)
    assert told(whole) == {"docker.io/library/redis": ("7.4.3", "redis")}
    assert reasons(whole) == []
    stack = read(tmp_path, "more.yaml.gotmpl", BRACES)
    assert told(stack) == {"docker.io/library/redis": ("7.4.3", "redis"), "docker.io/library/nginx": (None, "nginx")}
    found = reasons(stack)
    assert [r for r in found if "template's own" in r] == [
        f"line {n}: a line of the template's own is not read" for n in (1, 2, 7, 11)
    ]
    assert any(r.startswith("line 8 (values): a template fills this in: library/nginx") for r in found)
    assert any(r.startswith("line 12 (values): a template fills this in") for r in found)


# --- OpenTofu, Nix, Quadlet

TF = """\
terraform {
  required_providers {
    openstack = {
      source  = "terraform-provider-openstack/openstack"
      version = "3.0.0"
    }
    aws = "~> 5"
  }
}
variable "tag" { default = "7.4" }
locals { chart = "keycloak" }
resource "openstack_compute_instance_v2" "a" { image_name = "Ubuntu 22.04" }
resource "docker_image" "b" { name = "redis:${var.tag}" }
resource "docker_image" "c" { name = "nginx:${var.elsewhere}" }
resource "helm_release" "d" {
  chart   = local.chart
  version = "24.0.1"
}
resource "kubernetes_deployment" "e" {
  spec { template { spec { container { image = "quay.io/ceph/ceph:v19" } } } }
}
module "f" { source = "acme/vpc/aws" }
"""


@pytest.mark.thorough
def test_the_configuration_of_opentofu(tmp_path: Path) -> None:
    stack = read(tmp_path, "main.tf", TF)
    assert told(stack) == {
        "registry.terraform.io/terraform-provider-openstack/openstack": (None, "openstack"),
        "registry.terraform.io/hashicorp/aws": (None, "aws"), "Ubuntu": ("22.04", "ubuntu"),
        "docker.io/library/redis": ("7.4", "redis"), "docker.io/library/nginx": (None, "nginx"),
        "keycloak": (None, "keycloak"), "quay.io/ceph/ceph": ("v19", "ceph"),
    }  # fmt: skip
    spots = {p.name: p.where[0].spot for p in stack.parts}
    assert spots["registry.terraform.io/hashicorp/aws"] == "line 7 (provider ~> 5)"
    assert spots["keycloak"] == "line 15 (chart 24.0.1)"
    assert reasons(stack) == [
        "line 14: the version is filled in elsewhere: nginx:${var.elsewhere}",
        "line 22: a module that stands elsewhere: acme/vpc/aws",
    ]


FLAKE = """\
{
  # inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-20.03";
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-24.11";
  outputs = { self, nixpkgs }: {
    services.postgresql.enable = true;
    services.nginx = { enable = true; recommended = false; };
    services.mysql.enable = false;
    services = {
      redis.servers."".enable = true;
      grafana = { enable = true; };
    };
    virtualisation.podman.enable = true;
    environment.systemPackages = with pkgs; [ restic (python3.withPackages (p: [ p.requests ])) ];
    packages = [ pkgs.haproxy other ];
  };
}
"""


def test_nix_is_read_where_it_is_plain(tmp_path: Path) -> None:
    stack = read(tmp_path, "flake.nix", FLAKE)
    assert told(stack) == {
        "nixpkgs": ("24.11", "nixos"), "postgresql": (None, "postgresql"), "nginx": (None, "nginx"),
        "redis": (None, "redis"), "grafana": (None, "grafana"), "podman": (None, "podman"), "restic": (None, "restic"),
        "haproxy": (None, "haproxy"),
    }  # fmt: skip
    assert {p.name: p.where[0].spot for p in stack.parts}["restic"] == "line 13"
    found = reasons(stack)
    assert found[:2] == [
        "line 13: an expression in a list of packages is not evaluated",
        "line 14: not a plain name of a package: other",
    ]
    assert "Nix is not evaluated" in found[2]


def test_the_lock_of_a_flake(tmp_path: Path) -> None:
    locked = {"locked": {"rev": "abc", "repo": "nixpkgs"}, "original": {"repo": "nixpkgs", "ref": "nixos-24.11"}}
    other = {"locked": {"rev": "def", "repo": "home-manager"}, "original": {"repo": "home-manager"}}
    lock = {"nodes": {"nixpkgs": locked, "hm": other, "root": {"inputs": {}}}, "root": "root", "version": 7}
    assert told(read(tmp_path, "flake.lock", json.dumps(lock))) == {
        "nixpkgs": ("24.11", "nixos"), "flake home-manager": ("def", None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.container", "[Container]\nImage=docker.io/library/redis:${MAJOR}-alpine\n"),
        ("a.container", "[Container]\nImage=docker.io/library/redis:%i\n"),
        ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'redis:${TAG}'}]}\n"),
        ("compose.yaml", "services: {a: {image: 'redis:${MAJOR}-alpine'}}\n"),
        ("Dockerfile", "ARG MAJOR\nFROM redis:${MAJOR}-alpine\n"),
    ],
)  # fmt: skip
def test_a_part_stays_where_a_variable_is_its_version(tmp_path: Path, name: str, content: str) -> None:
    stack = read(tmp_path, name, content)
    assert told(stack) == {"docker.io/library/redis": (None, "redis")}
    assert any("redis:" in r for r in reasons(stack))


# --- odd files


def test_a_key_of_json_that_stands_twice_is_told(tmp_path: Path) -> None:
    one = '"components":[{"type":"application","name":"%s","version":"26"}]'
    content = f'{{"bomFormat":"CycloneDX","specVersion":"1.5",{one % "keycloak"},{one % "redis"}}}'
    stack = read(tmp_path, "bom.json", content)
    assert told(stack) == {"redis": ("26", "redis")}
    assert reasons(stack) == [": the key 'components' stands twice; the last one counts"]


@pytest.mark.parametrize(
    "content",
    [
        '// by hand\n{"bomFormat": "CycloneDX", "components": [{"type": "container", "name": "redis", "version": "7.4", '
        '"purl": "pkg://docker/library/redis@7.4"}]}',
        '{"bomFormat": "CycloneDX", /* "a": "//" */ "components": [{"type": "container", "name": "redis", '
        '"version": "7.4", "description": "http://x /* y */",},],}',
    ],
)
def test_json_with_comments(tmp_path: Path, content: str) -> None:
    stack = read(tmp_path, "bom.json", content)
    assert told(stack) == {"redis": ("7.4", "redis")}
    assert "has comments or commas" in reasons(stack)[0]


def test_a_purl_with_slashes(tmp_path: Path) -> None:
    content = "stack: s\nparts: [{purl: 'pkg://deb/debian/redis@7.0.15'}]\n"
    (part,) = read(tmp_path, "stack.yaml", content).parts
    assert (part.purl, part.version, part.technology) == ("pkg:deb/debian/redis@7.0.15", "7.0.15", "redis")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
def test_utf_16_with_and_without_its_mark(tmp_path: Path, encoding: str) -> None:
    content = "services:\n  a: {image: 'redis:7.2'}\n".encode(encoding)
    assert told(read(tmp_path, "compose.yaml", content)) == {"docker.io/library/redis": ("7.2", "redis")}
    assert told(read(tmp_path, "names.txt", "OpenStack\nCeph\n".encode(encoding))) == {
        "OpenStack": (None, "openstack"), "Ceph": (None, "ceph"),
    }  # fmt: skip


def test_packages_of_spdx_3_that_are_models_or_data(tmp_path: Path) -> None:
    graph = [
        {"type": "ai_AIPackage", "spdxId": "a", "name": "a model", "software_packageVersion": "1"},
        {"type": "dataset_DatasetPackage", "spdxId": "b", "name": "a data set"},
    ]
    bom = {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": graph}
    assert told(read(tmp_path, "sbom.json", json.dumps(bom))) == {"a model": ("1", None), "a data set": (None, None)}
    single = {"@context": bom["@context"], **graph[0]}
    assert told(read(tmp_path, "one.json", json.dumps(single))) == {"a model": ("1", None)}


SYFT = {
    "artifacts": [
        {"name": "postgresql-16", "version": "16.9-1", "type": "deb", "purl": "pkg:deb/debian/postgresql-16@16.9-1",
         "licenses": [{"spdxExpression": "PostgreSQL"}, {"spdxExpression": "MIT OR Apache-2.0"}]},
        {"name": "github.com/restic/restic", "version": "v0.18", "purl": "pkg:golang/github.com/restic/restic@v0.18",
         "metadata": {"mainModule": "github.com/restic/restic"}},
        {"name": "github.com/minio/minio", "version": "v1", "purl": "pkg:golang/github.com/minio/minio@v1",
         "metadata": {"mainModule": "github.com/restic/restic"}},
        {"name": "broken", "purl": "nonsense"}, {"version": "1"},
    ],
    "distro": {"id": "debian", "versionID": "12"},
    "descriptor": {"name": "syft", "version": "1.20.0"},
}  # fmt: skip


def test_syft(tmp_path: Path) -> None:
    stack = read(tmp_path, "syft.json", json.dumps(SYFT))
    assert told(stack) == {
        "postgresql-16": ("16.9-1", "postgresql"), "github.com/restic/restic": ("v0.18", "restic"),
        "github.com/minio/minio": ("v1", None), "broken": (None, None), "debian": ("12", "debian"),
    }  # fmt: skip
    assert stack.parts[0].licence == "PostgreSQL AND (MIT OR Apache-2.0)"
    assert [r.partition(":")[0] for r in reasons(stack)] == ["/artifacts/3/purl", "/artifacts/4"]


# --- names

NAMES = """\
# what we run
OpenStack 2024.2
Ceph reef
- redis@7.4
Argo CD
SomethingOfOurOwn 1.0
"""


def test_a_list_of_names(tmp_path: Path) -> None:
    stack = read(tmp_path, "ours.txt", NAMES)
    assert [(p.name, p.version, p.technology) for p in stack.parts] == [
        ("OpenStack", "2024.2", "openstack"), ("Ceph reef", "reef", "ceph"), ("redis", "7.4", "redis"),
        ("Argo CD", None, "argo-cd"), ("SomethingOfOurOwn", "1.0", None),
    ]  # fmt: skip
    assert stack.parts[1].where[0].spot == "line 3"


def test_in_a_directory_no_text_is_a_list_of_names(tmp_path: Path) -> None:
    read(tmp_path, "compose.yaml", "services: {a: {image: 'redis:7.2'}}\n")
    (tmp_path / "words.txt").write_text("redis\nnginx\n")
    stack = readers.read(tmp_path)
    assert [p.name for p in stack.parts] == ["docker.io/library/redis"]
    assert reasons(stack) == [": 1 files of no known form: 1 .txt"]


# --- what people tried next


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("quay.io/openstack.kolla/mariadb-server:2024.2-rocky-9", None),
        ("registry.example/mirror/kolla/rabbitmq:master-ubuntu-noble", None),
        ("docker.io/confluentinc/cp-kafka:7.7.0", None),
        ("ghcr.io/zalando/spilo-17:4.0-p3", None),
        ("quay.io/openstack.kolla/nova-compute:2024.2-ubuntu-noble", "2024.2-ubuntu-noble"),
        ("registry.osism.tech/kolla/release/rabbitmq:3.13.7.20241206", "3.13.7.20241206"),
        ("docker.io/apache/kafka:3.9.0", "3.9.0"),
    ],
)
def test_a_tag_that_counts_the_packers_releases_is_not_the_programs_version(
    tmp_path: Path, image: str, version: str | None
) -> None:
    (part,) = read(tmp_path, "images.txt", f"{image}\n").parts
    assert part.technology is not None
    assert part.version == version
    assert ("(tag " in part.where[0].spot) is (version is None)


@pytest.mark.parametrize(
    ("line", "version", "technology"),
    [
        ("Docker CE 27", "27", "docker-engine"),
        ("GitLab CE", None, "gitlab"),
        ("Mongo DB", None, "mongodb"),
        ("OPEN STACK 2025.1", "2025.1", "openstack"),
        ("Ubuntu 24.04 LTS", "24.04", "ubuntu"),
        ("redis:7.4", "7.4", "redis"),
        ("redis==7.4", "7.4", "redis"),
        ("redis = 7.4", "7.4", "redis"),
        ("nextcloud hub 9", "9", None),
        ("redis@7.4@8", None, None),
    ],
)
def test_names_in_odd_spelling(line: str, version: str | None, technology: str | None) -> None:
    (part,) = recognise(readers.named([line]), known()).parts
    assert part.technology == technology
    assert part.version == version or technology is None


def test_no_two_technologies_are_one_name_once_spaces_and_hyphens_are_taken_out() -> None:
    names: dict[str, set[str]] = {}
    for t in known().values():
        for name in (t.id, t.name, *t.aliases):
            names.setdefault("".join(name.lower().replace("-", " ").replace("_", " ").split()), set()).add(t.id)
    assert {n: ids for n, ids in names.items() if len(ids) > 1} == {}


def test_a_package_json_says_what_it_wants_where_no_lock_file_says_what_it_got(tmp_path: Path) -> None:
    wanted = {
        "name": "ours",
        "dependencies": {"redis": "^4.7.0", "pg": "8.12.0", "kept": "npm:other@1.2.3", "own": "file:../own"},
        "devDependencies": {"vite": "~5"},
    }
    stack = read(tmp_path, "package.json", json.dumps(wanted))
    assert told(stack) == {
        "redis": (None, None),
        "pg": ("8.12.0", None),
        "other": ("1.2.3", None),
        "vite": (None, None),
    }
    assert reasons(stack) == ["/dependencies/own: a package from elsewhere: file:../own"]
    assert {p.where[0].spot for p in stack.parts} >= {"/dependencies/redis (asks for ^4.7.0)"}
    (tmp_path / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": {}}))
    assert readers.detect(Source.open(tmp_path / "package.json")) is None


def test_what_a_requirement_takes_from_a_repository_is_the_package_in_an_unknown_version(tmp_path: Path) -> None:
    lines = "git+https://u:t@github.com/openstack/keystone@stable/2024.2#egg=keystone\nnova @ https://example.org/n.whl\n./own\n"
    stack = read(tmp_path, "requirements.txt", lines)
    assert told(stack) == {"keystone": (None, "keystone"), "nova": (None, "nova")}
    assert len(stack.unread) == 3
    assert not any("u:t" in r for r in reasons(stack))


def test_a_module_of_go_that_is_replaced_by_a_directory_keeps_its_name(tmp_path: Path) -> None:
    content = "module example.org/ours\nrequire k8s.io/api v0.31.0\nreplace k8s.io/api => ../api\n"
    (part,) = read(tmp_path, "go.mod", content).parts
    assert (part.name, part.version) == ("k8s.io/api", None)
    assert part.where[0].spot == "line 2 (from the directory ../api)"


def test_a_dockerfile_inside_a_compose_file_is_read(tmp_path: Path) -> None:
    content = "services:\n  web:\n    build:\n      dockerfile_inline: |\n        ARG V=1.27\n        FROM nginx:$V\n"
    assert told(read(tmp_path, "compose.yaml", content)) == {"docker.io/library/nginx": ("1.27", "nginx")}


def test_a_package_of_a_playbook_stays_where_a_template_fills_in_its_version(tmp_path: Path) -> None:
    play = '- hosts: all\n  tasks:\n    - apt: {name: ["nginx={{ v }}", "{{ p }}"]}\n'
    stack = read(tmp_path, "site.yml", play)
    assert told(stack) == {"nginx": (None, "nginx")}
    assert [r.rpartition(": ")[2] for r in reasons(stack)] == ["nginx={{ v }}", "{{ p }}"]


@pytest.mark.parametrize(
    ("bom", "said"),
    [
        ({"specVersion": "2.0"}, "/specVersion: no version of CycloneDX that is known"),
        ({"specVersion": "1.5", "components": {"a": 1}}, "/components: no list"),
        (
            {"components": [{"name": "Redis", "type": "application", "version": 7.1}]},
            "/components/0/version: a version that",
        ),
    ],
)
def test_what_of_an_sbom_is_not_as_the_standard_has_it_is_told(tmp_path: Path, bom: dict[str, Any], said: str) -> None:
    stack = read(tmp_path, "x.cdx.json", json.dumps({"bomFormat": "CycloneDX", **bom}))
    assert any(r.startswith(said) for r in reasons(stack)), reasons(stack)


def test_half_characters_reach_no_output(tmp_path: Path) -> None:
    folder = tmp_path / b"f\xff".decode(errors="surrogateescape")
    bom = b'{"bomFormat": "CycloneDX", "components": [{"name": "\\ud800x", "version": "\\udfff"}, {"name": "\\ud83d\\ude00"}, 7]}'
    stack = read(folder, b"b\xfe.cdx.json".decode(errors="surrogateescape"), bom)
    assert told(stack) == {"\ufffdx": ("\ufffd", None), "\U0001f600": (None, None)}
    for text in (stack.name, *(str(w) for p in stack.parts for w in p.where), *(str(u.place) for u in stack.unread)):
        assert "\ufffd" in text.encode().decode()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", '{"bomFormat": "CycloneDX"} {"more": 1}', "more stands behind the end of the JSON"),
        ("a.json", '{"bomFormat": "CycloneDX", "version": ' + "9" * 5000 + "}", "a number of thousands of digits"),
        ("a.tf", 'resource "x" "y" {\n', "it ends before its blocks do"),
    ],
)
def test_what_is_broken_is_told_in_our_words(tmp_path: Path, name: str, content: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path, name, content)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"spdxVersion": "SPDX-2.4"}, ": no version of SPDX that is known"),
        (
            {"spdxVersion": "SPDX-2.3", "packages": [{"name": "x", "versionInfo": 7.1}]},
            "/packages/0: a version that is no text",
        ),
        ({"@context": "https://spdx.org/rdf/3.1/spdx-context.jsonld", "@graph": []}, "/@context: no version of SPDX"),
    ],
)
def test_an_unknown_version_of_spdx_and_a_version_that_is_a_number_are_told(
    tmp_path: Path, document: dict[str, Any], said: str
) -> None:
    assert any(r.startswith(said) for r in reasons(read(tmp_path, "x.spdx.json", json.dumps(document))))


def test_the_configuration_of_opentofu_as_json(tmp_path: Path) -> None:
    content = {
        "terraform": {"required_providers": {"openstack": {"source": "terraform-provider-openstack/openstack"}}},
        "variable": {"pg": {"default": "16.4"}},
        "resource": {
            "helm_release": {"x": {"chart": "vault", "version": "0.28.1"}},
            "docker_image": {"y": {"name": "postgres:${var.pg}"}},
        },
        "module": {"m": {"source": "./m"}},
    }
    stack = read(tmp_path, "main.tf.json", json.dumps(content, indent=1))
    assert {(p.technology, p.version) for p in stack.parts} == {
        ("openstack", None),
        ("vault", None),
        ("postgresql", "16.4"),
    }
    assert {p.technology: p.where[0].spot.partition(" (")[0] for p in stack.parts}["postgresql"] == "line 22"
    assert [u.reason for u in stack.unread] == ["a module that stands elsewhere: ./m"]
    with pytest.raises(UsageError, match="ends before the JSON does"):
        read(tmp_path, "broken.tf.json", '{"resource": ')
