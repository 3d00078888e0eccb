# SPDX-License-Identifier: Apache-2.0
"""SPDX SBOMs: 2.2 and 2.3 as JSON, YAML, tag-value, XML and RDF, 3.0 as JSON-LD. Each package is a part.

XML and RDF are read by spdx-tools. The others are read as they stand: its JSON takes 7 s for 100,000 packages, its
tag-value parser 58 ms for each single one, and spdx-python-model 0.8 ms for each package of 3.0; a test holds them to the
same result. Files and snippets of an SBOM are not parts. The concluded licence is taken before the declared one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from unterbau.catalogue.model import Layer
from unterbau.stack import image, licences, purls
from unterbau.stack.found import Found, Hints, short, spot
from unterbau.stack.model import Part, Place
from unterbau.stack.source import Source

_TAG = re.compile(r"^([A-Za-z]+):\s?(.*)$")
_LICENCE_LINKS = ("hasConcludedLicense", "hasDeclaredLicense")
MAX_XML = 20_000
"""So many packages of XML or RDF the library reads in some seconds."""
_NAMED = frozenset(["operating-system", "application", "container", "firmware"])


def matches(source: Source) -> bool:
    """Whether it is one, in any of its forms."""
    if source.is_yaml:
        return isinstance(source.document, dict) and str(source.document.get("spdxVersion")).startswith("SPDX-2")
    return source.object.get("spdxVersion") is not None or _is_three(source) or is_tag_value(source) or _is_xml(source)


def _is_three(source: Source) -> bool:
    return "spdx.org/rdf/3" in str(source.object.get("@context", ""))


def _is_xml(source: Source) -> bool:
    head = source.data[:8192]
    return source.is_xml and (b"spdx.org/rdf/terms" in head or (b"<Document" in head and b"SPDX-2" in head))


def is_tag_value(source: Source) -> bool:
    """Whether it is tag-value."""
    return not source.is_json and re.search(rb"^SPDXVersion:", source.data[:8192], re.MULTILINE) is not None


def read(source: Source, found: Found) -> None:
    """Each package a part, at its JSON pointer or line."""
    if _is_xml(source):
        _xml(source, found)
    elif is_tag_value(source):
        _tag_value(source, found)
    elif _is_three(source):
        graph = source.object.get("@graph", [source.object])
        newer = re.search(r"spdx\.org/rdf/(3\.[1-9][\d.]*)", str(source.object.get("@context")))
        if newer:
            found.unread("/@context", f"no version of SPDX that is known, read as 3.0: {newer.group(1)}")
        _three(graph if isinstance(graph, list) else [graph], found)
    else:
        document = source.document if source.is_yaml else source.object
        if document.get("spdxVersion") not in ("SPDX-2.0", "SPDX-2.1", "SPDX-2.2", "SPDX-2.3"):
            found.unread("", f"no version of SPDX that is known, read as 2.3: {short(document.get('spdxVersion'))}")
        packages = document.get("packages")
        for number, package in enumerate(packages if isinstance(packages, list) else []):
            _two(package, spot(packages, number, "/packages"), found)
    if not found.finished:
        found.unread("", "the SBOM has no packages")


def _xml(source: Source, found: Found) -> None:
    """XML and RDF, by the library."""
    if b"<!DOCTYPE" in source.data or b"<!ENTITY" in source.data:
        source.fault("XML with a document type of its own", "Make the SBOM again; SPDX needs none.")
    if source.data.count(b"versionInfo>") > MAX_XML * 2:
        source.fault(f"more than {MAX_XML:,} packages as XML", "Convert it: pyspdxtools -i FILE -o sbom.spdx.json.")
    try:
        document = _document(source)
    except Exception as error:  # noqa: BLE001 - whatever the library throws at a broken file means that it is broken
        told = " ".join(error.get_messages() if hasattr(error, "get_messages") else [str(error)])
        source.fault(
            f"no SPDX: {short(told) or type(error).__name__}", "Make the SBOM again, and check it: pyspdxtools."
        )
    for package in document.packages:
        links = {r.reference_type: r.locator for r in reversed(package.external_references)}
        said = [str(s) for s in (package.license_concluded, package.license_declared) if s is not None]
        licence = next((s for s in map(licences.expression, said) if s), None)
        purpose = package.primary_package_purpose.name if package.primary_package_purpose else ""
        where = f"package {package.spdx_id}"
        _part(found, where, package.name, package.version, links.get("purl"), licence, purpose, links.get("cpe23Type"))


def _document(source: Source) -> Any:
    """As the library reads it; it takes 0.6 s to import."""
    if b"rdf:RDF" in source.data[:8192]:
        from spdx_tools.spdx.parser.rdf import rdf_parser

        return rdf_parser.parse_from_file(str(source.path))
    from spdx_tools.spdx.parser.xml import xml_parser

    return xml_parser.parse_from_file(str(source.path))


def _two(package: Any, pointer: str, found: Found) -> None:
    if not isinstance(package, dict) or not isinstance(package.get("name"), str):
        found.unread(pointer, f"a package without name: {short(package)}")
        return
    purl = next(_locators(package, "purl"), None)
    licence = licences.expression(package.get("licenseConcluded")) or licences.expression(
        package.get("licenseDeclared")
    )
    purpose = str(package.get("primaryPackagePurpose") or "")
    cpe = None if purl else next(_locators(package, "cpe23Type"), None)
    _part(found, pointer, package["name"], package.get("versionInfo"), purl, licence, purpose, cpe)


def _locators(package: Mapping[str, Any], kind: str) -> Iterator[Any]:
    references = package.get("externalRefs")
    for one in references if isinstance(references, list) else ():
        if isinstance(one, dict) and one.get("referenceType") == kind:
            yield one.get("referenceLocator")


def _part(
    found: Found, pointer: str, name: str, version: Any, purl: Any, licence: str | None, purpose: str, cpe: Any = None
) -> None:
    purpose = purpose.lower().replace("_", "-")
    if not isinstance(version, str | None):
        found.unread(pointer, f"a version that is no text, so that 7.10 and 7.1 are one: {short(version)}")
    version = version.strip() or None if isinstance(version, str) else None
    version = None if version in ("NOASSERTION", "NONE") else version
    hints: Hints = ()
    if purl is not None:
        try:
            purl = purls.spelled(purl)
            version = purls.version_of(purl) if version is None else version
            hints, tag = purls.hints(purl, program=purpose == "application")
            version = tag or version
        except (ValueError, TypeError, AttributeError):
            found.unread(pointer, f"no package URL: {short(purl)}")
            purl = None
    if purl is None and purpose in _NAMED:
        parsed = image.parse(name) if purpose == "container" else None
        hints = (("image", parsed.name), ("name", name)) if parsed else (("name", name),)
        version = version or (parsed.version if parsed else None)
    if purl is None and not hints:
        hints, told = purls.of_cpe(cpe)
        version = version or told
    if purpose == "container" and version is not None and version.startswith("sha256:"):
        parsed = image.parse(name)
        version = parsed.tag or version if parsed else version
    layer = Layer.OPERATING_SYSTEM if purpose == "operating-system" else None
    number = f"{name}@{version}" if version else name
    found.finished.append(Part(number, name, version, purl, None, layer, (Place(found.file, pointer),), hints, licence))


def _tag_value(source: Source, found: Found) -> None:
    package: dict[str, str] = {}
    begun, in_text = 0, False

    def end() -> None:
        if package:
            licence = licences.expression(package.get("PackageLicenseConcluded"))
            licence = licence or licences.expression(package.get("PackageLicenseDeclared"))
            _part(found, f"line {begun}", package["PackageName"], package.get("PackageVersion"), package.get("purl"),
                  licence, package.get("PrimaryPackagePurpose", ""), package.get("cpe"))  # fmt: skip
            package.clear()

    for number, line in enumerate(source.lines, start=1):
        if in_text:
            in_text = "</text>" not in line
            continue
        tag = _TAG.match(line)
        if tag is None:
            if line.strip() and not line.lstrip().startswith("#"):
                found.unread(f"line {number}", f"no tag: {short(line)}")
            continue
        name, value = tag.group(1), tag.group(2).strip()
        in_text = "<text>" in value and "</text>" not in value
        if name in ("PackageName", "FileName", "SnippetSPDXID", "LicenseID"):
            end()
        if name == "PackageName":
            package["PackageName"], begun = value, number
        elif package:
            words = value.split(None, 2)
            if name == "ExternalRef" and len(words) == 3 and words[1] == "purl":
                package["purl"] = words[2]
            elif name == "ExternalRef" and len(words) == 3 and words[1] == "cpe23Type":
                package.setdefault("cpe", words[2])
            else:
                package.setdefault(name, value)
    end()


def _three(graph: list[Any], found: Found) -> None:
    by_id = {e["spdxId"]: e for e in graph if isinstance(e, dict) and isinstance(e.get("spdxId"), str)}
    said = _licences(graph, by_id)
    for number, element in enumerate(graph):
        if not isinstance(element, dict) or not _is_package(element):
            continue
        pointer = f"/@graph/{number}"
        if not isinstance(element.get("name"), str):
            found.unread(pointer, f"a package without name: {short(element)}")
            continue
        purl = _either(element, "packageUrl") or _identifier(element)
        licence = said.get(str(element.get("spdxId")))
        purpose = str(_either(element, "primaryPurpose") or "").replace("operatingSystem", "operating-system")
        _part(found, pointer, element["name"], _either(element, "packageVersion"), purl, licence, purpose)


def _is_package(element: Mapping[str, Any]) -> bool:
    kind = element.get("type") or element.get("@type")
    return isinstance(kind, str) and kind.endswith("Package")  # also of AI models and of data sets


def _either(element: Mapping[str, Any], name: str) -> Any:
    return element.get(f"software_{name}") or element.get(name)


def _identifier(element: Mapping[str, Any]) -> Any:
    listed = element.get("externalIdentifier")
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and one.get("externalIdentifierType") in ("packageUrl", "packageURL", "purl"):
            return one.get("identifier")
    return None


def _licences(graph: Iterable[Any], by_id: Mapping[str, Any]) -> dict[str, str]:
    """The licence of each element, from the relationships; what was concluded takes precedence."""
    found: dict[str, str] = {}
    links = [e for e in graph if isinstance(e, dict) and e.get("relationshipType") in _LICENCE_LINKS]
    for link in sorted(links, key=lambda e: _LICENCE_LINKS.index(e["relationshipType"])):
        targets = link.get("to")
        for target in targets if isinstance(targets, list) else [targets]:
            element = by_id.get(target) if isinstance(target, str) else None
            told = licences.expression((element or {}).get("simplelicensing_licenseExpression"))
            if told and isinstance(link.get("from"), str):
                found.setdefault(link["from"], told)
    return found
