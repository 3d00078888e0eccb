# SPDX-License-Identifier: Apache-2.0
"""An OpenStack cloud as parts: the services of its catalogue, and the operating systems of its images. Pure.

`openstack_stack` takes what `prove` collected (its sections `catalog` and `images`); `wiring` calls it for a live
cloud. `read` is the same for files: what `unterbau prove NAME --save` wrote, a census (`unterbau census --format
json`), `openstack catalog list -f json`, or Keystone's own answer. A service's endpoint tells its API, not its
release, so its version is not shown unless the data names one. What could not be seen of the cloud is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unterbau.catalogue.model import Layer
from unterbau.stack.found import Found, short
from unterbau.stack.model import Stack
from unterbau.stack.source import Source, mapping, sequence, text

Plain = Mapping[str, Any]


def openstack_stack(inventory: Plain, cloud: str = "cloud") -> Stack:
    """The parts of a cloud.

    Args:
        inventory: What `prove` collected, as plain JSON: `sections` by name, each with `status`, `reason`, `items`.
            Services are `{"type", "name", "endpoints"}`; a `version` beside them is the release, where somebody
            knows it. Images have `os_distro` and `os_version` beside their `name` or among their `properties`.
        cloud: What the places are called by.

    Returns:
        A part a service, and one an operating system and version. Images that do not tell theirs, and a section that
        was not seen, are in `unread`.
    """
    found = Found(cloud)
    _inventory(inventory, found)
    return found.stack()


def _inventory(inventory: Plain, found: Found) -> None:
    sections = mapping(inventory.get("sections"))
    for name, fill in (("catalog", _services), ("images", _images)):
        section, where = mapping(sections.get(name)), f"/sections/{name}"
        status = text(section.get("status")) or "nobody asked for it"
        if status not in ("seen", "absent"):
            found.unread(where, f"not seen: {status} {short(text(section.get('reason')))}".rstrip())
        fill(sequence(section.get("items")), f"{where}/items", found)


def _images(images: Iterable[Any], where: str, found: Found) -> None:
    for number, one in enumerate(images):
        _image(mapping(one), f"{where}/{number}", found)


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
    name = text(image.get("name")) or text(image.get("id"))
    if system:
        told = f"{where} (image {name})"
        found.part(system, told, version=version or None, hints=(("name", system),), layer=Layer.OPERATING_SYSTEM)
    else:
        found.unread(where, f"the image {short(name)} does not tell its operating system (os_distro)")


def matches(source: Source) -> bool:
    """Whether it is a census, or a service catalogue."""
    if not source.is_json:
        return False
    found = source.json
    if isinstance(found, list):
        return bool(found) and all(isinstance(s, dict) and ("Endpoints" in s or "endpoints" in s) for s in found)
    return (
        _is_census(source.object)
        or _is_inventory(source.object)
        or isinstance(source.object.get("catalog"), list)
        or "catalog" in mapping(source.object.get("token"))
    )


def _is_census(found: Plain) -> bool:
    return isinstance(found.get("resources"), list) and "identity" in found and "offering" in found


def _is_inventory(found: Plain) -> bool:
    return text(found.get("format")).startswith("unterbau-inventory/") or bool(
        {"catalog", "images"} & mapping(found.get("sections")).keys()
    )


def read(source: Source, found: Found) -> None:
    """The services or images in the file, at their JSON pointers."""
    content = source.json
    if isinstance(content, list):
        _services(content, "", found)
    elif _is_census(content):
        _census(content, found)
    elif _is_inventory(content):
        _inventory(content, found)
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
        _image(mapping(image), where, found)
    for number, told in enumerate(sequence(census.get("not_shown"))):
        what, why = text(mapping(told).get("what")), text(mapping(told).get("reason"))
        found.unread(f"/not_shown/{number}", f"the census says: {short(what)}: {short(why)}")
    found.hinted("name", "openstack", "/identity")
