# SPDX-License-Identifier: Apache-2.0
"""CycloneDX SBOMs (JSON of all versions; XML up to 1.7): components with what is nested in them, and services.

XML is read by cyclonedx-python-lib. JSON is read as it stands: the library takes 57 s and 1.9 GB for 100,000
components, this about half a second beside the JSON parser's own; a test holds both to the same result. So fields that
are not asked for are not checked. A component with a purl is known by that alone (see `purls.hints`): the npm package
`redis` is no Redis, and a module of Go is the product only as the subject of the SBOM, or where it is called a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from unterbau.catalogue.model import Layer
from unterbau.stack import image, licences, purls
from unterbau.stack.found import Found, Hints, short
from unterbau.stack.model import Part, Place
from unterbau.stack.source import Source

_NAMED = frozenset(["operating-system", "application", "platform", "container", "firmware", "device-driver"])
_LAYERS = {"firmware": Layer.HARDWARE, "device": Layer.HARDWARE, "operating-system": Layer.OPERATING_SYSTEM}
MAX_XML = 20_000
"""So many components of XML the library reads in a few seconds."""
REMEDY = "Make the SBOM again, and check it: cyclonedx validate --input-file FILE."


def matches(source: Source) -> bool:
    """Whether it is one."""
    if is_xml(source):
        return True
    return source.object.get("bomFormat") == "CycloneDX" or "cyclonedx" in str(source.object.get("$schema", "")).lower()


def is_xml(source: Source) -> bool:
    """Whether it is one as XML."""
    return source.is_xml and b"cyclonedx.org/schema/bom" in source.data[:4096]


def read(source: Source, found: Found) -> None:
    """Each component a part, at its JSON pointer; in XML by its `bom-ref`."""
    if is_xml(source):
        _xml(source, found)
        return
    bom = source.object
    _told_apart(bom, found)
    made = found.finished
    file = found.file
    for pointer, component in _components(bom):
        if not isinstance(component, dict) or not isinstance(component.get("name"), str):
            found.unread(pointer, f"a component without name: {short(component)}")
            continue
        made.append(_part(component, file, pointer, found, subject=pointer == "/metadata/component"))
    for number, service in enumerate(_list(bom, "services")):
        pointer = f"/services/{number}"
        if isinstance(service, dict) and isinstance(service.get("name"), str):
            found.part(
                service["name"], pointer, version=_text(service.get("version")), hints=(("name", service["name"]),)
            )
        else:
            found.unread(pointer, f"a service without name: {short(service)}")
    for number, told in enumerate(_list(bom, "compositions")):
        aggregate = told.get("aggregate") if isinstance(told, dict) else None
        if isinstance(aggregate, str) and aggregate.startswith("incomplete"):
            found.unread(f"/compositions/{number}", f"the SBOM says of itself: {short(aggregate)}")
    if not made:
        found.unread("/components", "the SBOM has no components")


def _told_apart(bom: Any, found: Found) -> None:
    """What of the document as a whole is not as the standard has it."""
    version = bom.get("specVersion")
    if version is not None and not re.fullmatch(r"1\.[0-7]", str(version)):
        found.unread("/specVersion", f"no version of CycloneDX that is known, read as 1.7: {short(version)}")
    for key in ("components", "services", "compositions"):
        if key in bom and not isinstance(bom[key], list):
            found.unread(f"/{key}", f"no list: {short(bom[key])}")


def _xml(source: Source, found: Found) -> None:
    """By the library. Its components are sorted, so that a part is told by its reference."""
    from cyclonedx.model.bom import Bom  # it takes 0.4 s to import
    from defusedxml import DefusedXmlException, ElementTree

    if source.data.count(b"<component ") > MAX_XML:
        source.fault(f"more than {MAX_XML:,} components as XML", "Convert it: cyclonedx convert --output-format json.")
    try:
        bom: Any = Bom.from_xml(ElementTree.fromstring(source.data))  # type: ignore[attr-defined]
    except DefusedXmlException:
        source.fault("no CycloneDX that is read: XML with entities or a DTD of its own", REMEDY)
    except Exception as error:  # noqa: BLE001 - whatever the library throws at a broken file means that it is broken
        source.fault(f"no CycloneDX: {short(error) or type(error).__name__}", REMEDY)
    subject = bom.metadata.component
    waiting = [(c, False) for c in reversed(bom.components)] + ([(subject, True)] if subject else [])
    while waiting:
        component, is_subject = waiting.pop()
        waiting += [(c, False) for c in reversed(component.components)]
        where = f"component {component.bom_ref.value or component.name}"
        found.finished.append(_part(_plain(component), found.file, where, found, subject=is_subject))
    for service in bom.services:
        where = f"service {service.bom_ref.value or service.name}"
        found.part(service.name, where, version=_text(service.version), hints=(("name", service.name),))
    for composition in getattr(bom, "compositions", ()):
        found.unread("compositions", f"the SBOM says of itself: {short(composition.aggregate)}")
    if not found.finished:
        found.unread("", "the SBOM has no components")


def _plain(component: Any) -> dict[str, Any]:
    """A component of the library as JSON has it: what `_part` asks for."""
    licences_told = []
    for one in component.licenses:
        told = {k: v for k in ("id", "name") if (v := getattr(one, k, None))}
        told |= {"url": one.url.uri} if getattr(one, "url", None) else {}
        told |= {"text": {}} if getattr(one, "text", None) else {}
        said = {"expression": one.value} if hasattr(one, "value") else {"license": told}
        acknowledged = getattr(one, "acknowledgement", None)
        licences_told.append({**said, **({"acknowledgement": acknowledged.value} if acknowledged else {})})
    return {
        "type": component.type.value, "name": component.name, "version": component.version, "group": component.group,
        "cpe": component.cpe, "licenses": licences_told,
        "purl": component.purl.to_string() if component.purl else None,
    }  # fmt: skip


def _list(value: dict[str, Any] | Any, key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []


def _components(bom: Any) -> Iterator[tuple[str, Any]]:
    """With their pointers; no recursion."""
    metadata = bom.get("metadata")
    subject = metadata.get("component") if isinstance(metadata, dict) else None
    waiting: list[tuple[str, list[Any]]] = [("/components", _list(bom, "components"))]
    if isinstance(subject, dict):
        yield "/metadata/component", subject
        waiting.append(("/metadata/component/components", _list(subject, "components")))
    while waiting:
        begin, listed = waiting.pop()
        for number, component in enumerate(listed):
            pointer = f"{begin}/{number}"
            yield pointer, component
            if isinstance(component, dict) and "components" in component:
                waiting.append((f"{pointer}/components", _list(component, "components")))


def _part(component: dict[str, Any], file: str, pointer: str, found: Found, *, subject: bool = False) -> Part:
    name = component["name"]
    if not isinstance(component.get("version"), str | None):
        found.unread(
            f"{pointer}/version",
            f"a version that is no text, so that 7.10 and 7.1 are one: {short(component['version'])}",
        )
    version, purl = _text(component.get("version")), component.get("purl")
    hints: Hints = ()
    kind = component.get("type")
    if purl is not None:
        try:
            purl = purls.spelled(purl)
            version = purls.version_of(purl) if version is None else version
            hints, tag = purls.hints(purl, program=subject or kind == "application")
            version = tag or version
        except (ValueError, TypeError, AttributeError):
            found.unread(f"{pointer}/purl", f"no package URL: {short(purl)}")
            purl = None
    if purl is None:
        told, number = purls.of_cpe(component.get("cpe"))
        hints, version = _hints(component, name, str(kind)) or told, version or number
    if kind == "container" and (version is None or version.startswith("sha256:")):
        parsed = image.parse(name)
        version = parsed.tag or version or parsed.digest if parsed else version
    group = component.get("group")
    shown = f"{group}/{name}" if group and isinstance(group, str) else name
    said = component.get("licenses")
    licence, lost = licences.of_cyclonedx(said) if said else (None, "")
    if lost:
        found.unread(f"{pointer}/licenses", lost)
    layer = _LAYERS.get(kind) if isinstance(kind, str) else None
    return Part(
        f"{shown}@{version}" if version else shown,
        shown,
        version,
        purl,
        None,
        layer,
        (Place(file, pointer),),
        hints,
        licence,
    )


def _hints(component: dict[str, Any], name: str, kind: str) -> Hints:
    """What is known of a component without purl: of a library nothing, its name may be that of another thing."""
    if kind == "container":
        parsed = image.parse(name)
        return (("image", parsed.name), ("name", name)) if parsed else (("name", name),)
    return (("name", name),) if kind in _NAMED else ()


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
