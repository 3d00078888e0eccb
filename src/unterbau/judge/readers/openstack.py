# SPDX-License-Identifier: Apache-2.0
"""A live OpenStack cloud as parts: the services of its catalogue, and the operating systems of its images. Pure.

`openstack_parts` takes plain data that somebody else fetched; `read` is its form for files: a census
(`unterbau census --format json`), and `openstack catalog list -f json` or Keystone's own answer. A service's endpoint
tells its API, not its release, so its version is not shown unless the data names one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unterbau.judge.model import Layer, Part
from unterbau.judge.readers.found import Found, short
from unterbau.judge.readers.source import Source, mapping, sequence, text

Plain = Mapping[str, Any]


def openstack_parts(catalogue: Iterable[Plain], images: Iterable[Plain], cloud: str = "cloud") -> tuple[Part, ...]:
    """The parts of a cloud.

    Args:
        catalogue: Services as Keystone tells them, `{"type", "name", "endpoints"}`; a `version` beside them is the
            release, where somebody knows it.
        images: Images with `name`, and with `os_distro` and `os_version` beside it or among their `properties`
            (of a census: `image.model_dump()`).
        cloud: What the places are called by.

    Returns:
        A part a service, and one an operating system and version; images that do not tell theirs are left out: see
        `silent_images`.
    """
    found = Found(cloud)
    _services(catalogue, "catalogue", found)
    for number, image in enumerate(images):
        _image(image, f"image {text(image.get('name')) or number}", found)
    return found.stack().parts


def silent_images(images: Iterable[Plain]) -> tuple[str, ...]:
    """Names of the images that do not tell their operating system."""
    return tuple(text(i.get("name")) or text(i.get("id")) or "?" for i in images if not _system(i)[0])


def _services(catalogue: Iterable[Plain], where: str, found: Found) -> None:
    for number, service in enumerate(catalogue):
        kind, name = (
            text(mapping(service).get("type") or mapping(service).get("Type")),
            text(mapping(service).get("name") or mapping(service).get("Name")),
        )
        if not kind:
            found.unread(f"{where}/{number}", f"a service without type: {short(service)}")
            continue
        version = text(service.get("version")) or None
        found.part(
            name or kind,
            f"{where}/{number} (service {kind})",
            version=version,
            hints=(("service", kind), ("name", name or kind)),
        )


def _system(image: Plain) -> tuple[str, str]:
    properties = mapping(image.get("properties"))
    told = {**image, **properties}
    distro = text(told.get("os_distro"))
    # scs-0102: `others` is the word for a system that the list does not name, so it tells nothing.
    return ("" if distro == "others" else distro), text(told.get("os_version"))


def _image(image: Plain, where: str, found: Found) -> None:
    system, version = _system(image)
    if system:
        found.part(system, where, version=version or None, hints=(("name", system),), layer=Layer.OPERATING_SYSTEM)


def matches(source: Source) -> bool:
    """Whether it is a census, or a service catalogue."""
    if not source.is_json:
        return False
    found = source.json
    if isinstance(found, list):
        return bool(found) and all(isinstance(s, dict) and ("Endpoints" in s or "endpoints" in s) for s in found)
    return (
        _is_census(source.object)
        or isinstance(source.object.get("catalog"), list)
        or "catalog" in mapping(source.object.get("token"))
    )


def _is_census(found: Plain) -> bool:
    return isinstance(found.get("resources"), list) and "identity" in found and "offering" in found


def read(source: Source, found: Found) -> None:
    """The services or images in the file, at their JSON pointers."""
    content = source.json
    if isinstance(content, list):
        _services(content, "", found)
    elif _is_census(content):
        _census(content, found)
    else:
        inner = content.get("catalog") or mapping(content.get("token")).get("catalog")
        _services(sequence(inner), "/catalog", found)


def _census(census: Plain, found: Found) -> None:
    owned = [
        (f"/resources/{n}", r)
        for n, r in enumerate(sequence(census.get("resources")))
        if mapping(r).get("kind") == "image"
    ]
    offered = [
        (f"/offering/images/{n}", i) for n, i in enumerate(sequence(mapping(census.get("offering")).get("images")))
    ]
    for where, image in [*owned, *offered]:
        _image(mapping(image), f"{where} (image {text(mapping(image).get('name'))})", found)
        if not _system(mapping(image))[0]:
            found.unread(
                where, f"the image {text(mapping(image).get('name'))} does not tell its operating system (os_distro)"
            )
    for number, told in enumerate(sequence(census.get("not_shown"))):
        what, why = text(mapping(told).get("what")), text(mapping(told).get("reason"))
        found.unread(f"/not_shown/{number}", f"the census says: {short(what)}: {short(why)}")
    found.hinted("name", "openstack", "/identity")
