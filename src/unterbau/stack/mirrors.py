# SPDX-License-Identifier: Apache-2.0
"""What an image is called where it comes from: through mirrors, proxies, and who packs others' programs. Pure.

`recognise` asks it when the name itself says nothing. A mirror is told by what stands in the name: the registry of
origin, `library/`, a word such as `mirror`, `proxy-cache` or `dockerhub`, or an address known to mirror. A private
registry without any such sign tells nothing of what its images are, so `registry.example/team/redis` stays what it is.
Behind a mirror the name counts with its owner: `mirror.example/acme/redis` is the Redis of nobody but acme. It looks
nothing up, and knows no technology.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HUB = "docker.io"
_REGISTRIES = (HUB, "quay.io", "ghcr.io", "registry.k8s.io", "gcr.io", "registry.gitlab.com")
"""Where a mirror that does not say so may have it from."""
_OF_ORIGIN = frozenset(
    [*_REGISTRIES, "registry-1.docker.io", "index.docker.io", "k8s.gcr.io", "mcr.microsoft.com", "public.ecr.aws",
     "docker.elastic.co", "cr.l5d.io", "cr.fluentbit.io", "codeberg.org", "lscr.io", "registry.opencode.de"]
)  # fmt: skip
_ONE_REGISTRY = {
    "mirror.gcr.io": HUB, "dockerhub.azk8s.cn": HUB, "docker.m.daocloud.io": HUB, "quay.m.daocloud.io": "quay.io",
    "ghcr.m.daocloud.io": "ghcr.io", "k8s.m.daocloud.io": "registry.k8s.io", "k8s.gcr.io": "registry.k8s.io",
    "public.ecr.aws/docker": HUB, "public.ecr.aws/bitnami": "docker.io/bitnami",
    "docker.io/bitnamilegacy": "docker.io/bitnami", "docker.io/bitnamisecure": "docker.io/bitnami",
}  # fmt: skip
"""Addresses that mirror one registry, or one owner's images."""
_WORD = re.compile(
    r"(?:.*[-_.])?(mirrors?|mirrored|prox(?:y|ies)|proxy-?cache|pull-?through|docker-?hub|docker-?io|docker-?remote|quay(?:-?io)?|ghcr(?:-?io)?|k8s-?gcr|registry-?k8s(?:-?io)?)(?:[-_.].*)?"
)
_FROM = (("dockerhub", HUB), ("dockerio", HUB), ("dockerremote", HUB), ("quay", "quay.io"), ("ghcr", "ghcr.io"),
         ("k8sgcr", "registry.k8s.io"), ("registryk8s", "registry.k8s.io"))  # fmt: skip
_FILLERS = frozenset(["containers", "images", "image"])
"""Steps that GitLab's proxy and others put between their own name and that of the image."""
_KOLLA = re.compile(r"^(?:centos|ubuntu|debian|rocky|rhel|oraclelinux)-(?:source|binary)-")
PACKERS = (
    "docker.io/bitnami/", "docker.io/chainguard/", "cgr.dev/chainguard/", "docker.io/rancher/hardened-",
    "docker.io/linuxserver/", "lscr.io/linuxserver/", "ghcr.io/linuxserver/", "ghcr.io/mailcow/", "docker.io/mailcow/",
    "ghcr.io/vexxhost/", "ghcr.io/vexxhost/charts/", "docker.io/openstackhelm/", "registry.yaook.cloud/yaook/",
    "registry.osism.tech/osism/", "quay.io/osism/", "registry.osism.cloud/osism/", "docker.io/percona/",
    "docker.io/ubuntu/", "docker.io/kolla/", "quay.io/ceph/", "quay.io/openstack.kolla/",
)  # fmt: skip
"""Who packs programs of others, each in an image that is called as the program is."""


def upstream(name: str) -> Iterator[tuple[str, str]]:
    """What an image may be called where it comes from, and what it comes through; the surest first.

    Args:
        name: With registry, without tag: `registry.example/mirror/library/redis`.
    """
    registry, _, path = name.partition("/")
    steps = path.split("/")
    for begin, origin in _ONE_REGISTRY.items():
        if name.startswith(f"{begin}/"):
            yield _whole(origin, name.removeprefix(f"{begin}/")), begin
    yield from _named_registry(registry, steps)
    yield from _named_mirror(registry, steps)
    if len(steps) > 1 and steps[-2] == "library" and registry != HUB:
        yield f"{HUB}/library/{steps[-1]}", "/".join([registry, *steps[:-2]])
    if registry == HUB and steps[0] == "rancher" and steps[-1].startswith("mirrored-"):
        yield from _rancher(steps[-1].removeprefix("mirrored-"))
    if "kolla" in steps[:-1]:
        yield f"quay.io/openstack.kolla/{_KOLLA.sub('', steps[-1])}", "/".join([registry, *steps[:-1]])


def packed(name: str) -> tuple[str, str] | None:
    """The program that somebody packs under its own name, and who does; None if the name tells of nobody known."""
    for begin in PACKERS:
        if name.startswith(begin) and "/" not in name[len(begin) :]:
            return _KOLLA.sub("", name[len(begin) :]), begin.rstrip("/-")
    return None


_OTHERWISE = (
    (
        re.compile(r"[/.]kolla/"),
        re.compile(r"20\d\d\.\d(-|$)|(master|stable|latest|[a-z]+)-(ubuntu|debian|rocky|centos)"),
    ),
    (re.compile(r"^docker\.io/confluentinc/cp-|/zalando/spilo-|/jupyterhub/k8s-"), re.compile(r".")),
)
"""Images whose tags count the releases of who packs them: Kolla those of OpenStack (OSISM's Kolla those of the program)."""


def counts_otherwise(name: str, tag: str) -> bool:
    """Whether a tag tells another version than that of the program, of an image whose program is not the packer's own."""
    return any(image.search(name.lower()) and counted.match(tag) for image, counted in _OTHERWISE)


def _whole(origin: str, path: str) -> str:
    return f"{origin}/{path}" if "/" in path or origin != HUB else f"{origin}/library/{path}"


def _named_registry(registry: str, steps: list[str]) -> Iterator[tuple[str, str]]:
    """The registry of origin stands in the path: `proxy.example/docker.io/library/redis`."""
    for number, step in enumerate(steps[:-1]):
        if step in _OF_ORIGIN:
            origin = HUB if step.endswith(".docker.io") else step
            yield _whole(origin, "/".join(steps[number + 1 :])), "/".join([registry, *steps[:number]])


def _named_mirror(registry: str, steps: list[str]) -> Iterator[tuple[str, str]]:
    """A word says that it mirrors: all behind it is the name in one of the public registries."""
    found = next((n for n in range(len(steps) - 1) if _WORD.fullmatch(steps[n])), None)
    if found is None:
        return
    word = re.sub(r"[-_.]", "", steps[found])
    behind = found + 1 + (len(steps) > found + 2 and steps[found + 1] in _FILLERS)
    rest, via = steps[behind:], "/".join([registry, *steps[:behind]])
    origins = [r for sign, r in _FROM if sign in word] or list(_REGISTRIES)
    if len(rest) > 1:
        yield from ((f"{r}/{'/'.join(rest)}", via) for r in origins)
        return
    # the owner is left out: an official image, one of Bitnami's, or one whose owner is called as it is
    for owner in ("library", "bitnami"):
        yield f"{HUB}/{owner}/{rest[0]}", via
    yield from ((f"{r}/{rest[0]}/{rest[0]}", via) for r in origins)


def _rancher(name: str) -> Iterator[tuple[str, str]]:
    """`mirrored-OWNER-NAME`; either may have a hyphen in it."""
    words = name.split("-")
    for number in range(1, len(words)):
        path = f"{'-'.join(words[:number])}/{'-'.join(words[number:])}"
        yield from ((f"{r}/{path}", "docker.io/rancher/mirrored") for r in _REGISTRIES)
