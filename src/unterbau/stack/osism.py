# SPDX-License-Identifier: Apache-2.0
"""OSISM, the reference implementation of SCS: the files of a release, and the environments of a configuration.

    latest/base.yml, openstack-2025.1.yml, ceph-squid.yml    docker_images, *_projects, ansible_*, X_version
    environments/manager/configuration.yml                   ceph_version, openstack_version, manager_version
    environments/*/images.yml                                X_image, X_tag

What Renovate's comment above a line calls the image is its name. `environments/kolla` is read by `kolla`. Images that
OSISM takes by itself are not written in a configuration: they stand in the release.
"""

from __future__ import annotations

import re
from typing import Any

from unterbau.stack import image, images_in, jinja
from unterbau.stack.found import Found, Hints, spot
from unterbau.stack.source import BRACES, Source, line_of, mapping, text

_SECTIONS = frozenset(["docker_images", "osism_projects", "openstack_projects", "infrastructure_projects"])
_CONFIGURATION = frozenset(["ceph_version", "openstack_version", "manager_version"])
_VERSION = re.compile(r"^([a-z][a-z0-9_]*?)_version$")
_RENOVATE = re.compile(r"^\s*#\s*renovate:\s+datasource=docker\s+depName=(\S+)\s*$")
_SERIES = re.compile(r"^stable[-/]")
_NAMES = {"manager": "osism", "ansible_core": "ansible-core"}
_FORMER = ("previous_version", "ansible_version_previous")


def matches(source: Source) -> bool:
    """Whether it is one, by its keys, or by where it stands."""
    found = source.document if source.is_yaml else None
    if not isinstance(found, dict) or "apiVersion" in found:
        return False
    if any(isinstance(found.get(s), dict) for s in _SECTIONS):
        return True
    steps = source.path.parts
    placed = "environments" in steps[:-2] and steps[-1] in ("configuration.yml", "images.yml", "versions.yml")
    return placed or len(_CONFIGURATION & found.keys()) > 1


def read(source: Source, found: Found) -> None:
    """What the release or the configuration names, at its lines."""
    told = mapping(source.document)
    if not any(isinstance(told.get(s), dict) for s in _SECTIONS):
        filled = jinja.filled(told)
        _versions(filled, found)
        images_in.search(filled, "", "variable", found)
        return
    _versions(told, found)
    for name, version in mapping(told.get("docker_images")).items():
        where = spot(told["docker_images"], name, "/docker_images")
        hints: Hints = (("name", _plain(name)),)
        parsed = image.parse(_renovate(source, told["docker_images"], name))
        if parsed is not None:
            hints = (("image", parsed.name), *hints)
        found.part(name, where, version=_release(version), hints=hints)
    for section in ("osism_projects", "infrastructure_projects", "openstack_projects"):
        for name, version in mapping(told.get(section)).items():
            where = spot(told[section], name, f"/{section}")
            found.part(name, where, version=_release(version), hints=(("name", _plain(name)),))
    for name, version in mapping(told.get("ansible_roles")).items():
        found.released("collection", name, spot(told["ansible_roles"], name, "/ansible_roles"), "role", text(version))
    for name, version in mapping(told.get("ansible_collections")).items():
        where = spot(told["ansible_collections"], name, "/ansible_collections")
        found.released("collection", name, where, "collection", text(version))


def _versions(told: dict[str, Any], found: Found) -> None:
    for key, value in told.items():
        fits = _VERSION.match(key)
        if fits is None or not text(value) or key.endswith(_FORMER):
            continue
        if BRACES.search(text(value)):
            found.unread(spot(told, key), f"a template fills this in: {key}")
            continue
        name = _NAMES.get(fits.group(1), _plain(fits.group(1)))
        found.part(name, spot(told, key), version=_release(value), hints=(("name", name),))


def _plain(name: str) -> str:
    return name.replace("_", "-")


def _release(value: Any) -> str | None:
    """`stable-2025.1` is the branch of the release 2025.1."""
    return _SERIES.sub("", text(value)) or None


def _renovate(source: Source, section: Any, name: str) -> str:
    """What the comment above a key calls the image; empty if there is none."""
    number = line_of(section, name) or 0
    fits = _RENOVATE.match(source.lines[number - 2]) if number > 1 else None
    return fits.group(1) if fits else ""
