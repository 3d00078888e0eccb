# SPDX-License-Identifier: Apache-2.0
"""Image references as engines read them: registry with port, repository, tag, digest. Pure.

The grammar is that of the distribution project: a first component with a dot, a colon or `localhost` is a registry,
else docker.io is meant, and there a single component stands in `library/`. It looks nothing up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DOMAIN = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.?)(?::\d{1,5})?"
)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}")
_ID = re.compile(r"[0-9a-f]{64}")
_TRANSPORTS = ("docker://", "oci://", "docker-pullable://")
HUB = "docker.io"
_HUBS = frozenset(["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"])
MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference in full. `str()` gives it back, with the defaults written out."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """Without tag and digest: `docker.io/library/redis`."""
        return f"{self.registry}/{self.repository}"

    @property
    def version(self) -> str | None:
        """The tag; else the digest, which is a version that tells no number."""
        return self.tag or self.digest

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse(reference: str) -> Image | None:
    """The image that a reference names; None if it is none (an id, a template, a path)."""
    rest = reference.strip()
    for transport in _TRANSPORTS:
        rest = rest.removeprefix(transport)
    if not rest or len(rest) > MAX_LENGTH:
        return None
    rest, at, digest = rest.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return None
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    tag = rest[colon + 1 :] if colon >= 0 else None
    if tag is not None and not _TAG.fullmatch(tag):
        return None
    path = rest[:colon] if colon >= 0 else rest
    registry, repository = _split(path)
    if not _DOMAIN.fullmatch(registry) or _ID.fullmatch(path):
        return None
    if len(repository) > 255 or not all(_COMPONENT.fullmatch(c) for c in repository.split("/")):
        return None
    return Image(registry, repository, tag, digest if at else None)


def _split(path: str) -> tuple[str, str]:
    first, slash, rest = path.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        registry, repository = first, rest
    else:
        registry, repository = HUB, path
    registry = HUB if registry in _HUBS else registry
    if registry == HUB and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository
