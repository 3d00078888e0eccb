# SPDX-License-Identifier: Apache-2.0
"""A judged stack as CycloneDX 1.6, with our facts as properties, for tools that know vulnerabilities. `cli` calls it.

Vulnerabilities are others' work: Dependency-Track and DevGuard find them by purl, and know little of ends of support,
stewards and seats. Each part is a component with what the input said of it; a recognised one also carries the facts
that hold for its version, each under `unterbau:fact:KIND` with its source beside it, and the outcome of each rule set.
The library writes it; a test validates it by the library's validator. The same judgement gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time
from uuid import NAMESPACE_URL, uuid5

from cyclonedx import spdx
from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from unterbau import __version__, canonical
from unterbau.catalogue.model import Catalogue
from unterbau.judge.engine import view_of
from unterbau.judge.judgement import Judgement, KnownFact
from unterbau.judge.seeing import tell
from unterbau.judge.summary import Sorted
from unterbau.judge.words import reached
from unterbau.stack.model import Part, Stack
from unterbau.verdict import Outcome, conjoin

PREFIX = "unterbau"
"""Of every property of ours; CycloneDX asks for a namespace."""
PLACE = "https://unterbau.example/sbom"


def cyclonedx(stack: Stack, known: Catalogue, judgement: Judgement) -> str:
    """The document as JSON."""
    root = Component(name=stack.name, type=ComponentType.APPLICATION, bom_ref="stack")
    verdicts = _verdicts(judgement)
    components = [
        _component(f"part-{number}", part, known, judgement, verdicts.get(number, ()))
        for number, part in enumerate(stack.parts)
    ]
    digest = canonical.digest([stack.name, judgement.at.isoformat(), [[c.name, c.version] for c in components]])
    bom = Bom(
        components=components, serial_number=uuid5(NAMESPACE_URL, f"{PLACE}/{digest}"),
        metadata=BomMetaData(
            component=root, timestamp=datetime.combine(judgement.at, time(), UTC),
            tools=ToolRepository(components=[Component(name="unterbau", version=__version__, type=ComponentType.APPLICATION)]),
            properties=[Property(name=f"{PREFIX}:judged", value=judgement.at.isoformat())],
        ),
    )  # fmt: skip
    bom.register_dependency(root, components)
    return str(JsonV1Dot6(bom).output_as_string(indent=1))


def _component(ref: str, part: Part, known: Catalogue, judgement: Judgement, verdicts: Iterable[Property]) -> Component:
    technology = known.get(part.technology or "")
    view = view_of(technology, part.version, judgement.at) if technology else None
    facts = [k for ks in view.known.values() for k in ks] if view else []
    properties = [Property(name=f"{PREFIX}:found", value=str(p)) for p in part.where]
    properties += [Property(name=f"{PREFIX}:technology", value=part.technology)] if technology else []
    properties += [Property(name=f"{PREFIX}:mirror", value=part.mirror)] if part.mirror else []
    properties += [p for k in facts for p in _properties(k)]
    pages = dict.fromkeys(k.fact.source.url for k in facts if k.fact.source.url.startswith("http"))
    return Component(
        name=part.name, version=part.version, bom_ref=ref, purl=_purl(part),
        type=ComponentType.CONTAINER if any(form == "image" for form, _ in part.hints) else ComponentType.APPLICATION,
        licenses=_licences(part, facts),
        external_references=[ExternalReference(type=ExternalReferenceType.EVIDENCE, url=XsUri(p)) for p in pages],
        properties=[*properties, *verdicts],
    )  # fmt: skip


def _properties(known: KnownFact) -> Iterable[Property]:
    fact = known.fact
    name = f"{PREFIX}:fact:{fact.kind}"
    yield Property(name=name, value=str(tell(fact)))
    copied = f", copy of {fact.source.as_of}" if fact.source.as_of else ""
    yield Property(name=f"{name}:source", value=f"{tell(fact)}: {fact.source.url}{copied}, counts until {fact.expires}")


def _licences(part: Part, facts: Iterable[KnownFact]) -> list[License]:
    """What the input says; else what the catalogue knows of the version."""
    told = part.licence or next((str(k.fact.value) for k in facts if k.fact.kind == "licence"), "")
    if not told:
        return []
    if spdx.is_supported_id(told):
        return [DisjunctiveLicense(id=told)]
    return [LicenseExpression(told) if spdx.is_expression(told) else DisjunctiveLicense(name=told)]


def _purl(part: Part) -> PackageURL | None:
    try:
        return PackageURL.from_string(part.purl) if part.purl else None
    except ValueError:
        return None


def _verdicts(judgement: Judgement) -> dict[int, list[Property]]:
    """Part -> one property a rule set: its outcome, or the steps reached."""
    told: dict[int, list[Property]] = {}
    found = Sorted(judgement)
    plain: dict[tuple[int, str], list[Outcome]] = {}
    for finding in found.plain:
        if finding.group is not None:
            plain.setdefault((finding.group, found.rule_set(finding)), []).append(finding.outcome)
    for (group, rules), outcomes in plain.items():
        told.setdefault(group, []).append(Property(name=f"{PREFIX}:rules:{rules}", value=conjoin(outcomes).value))
    for step in found.steps:
        if step.group is not None:
            name = f"{PREFIX}:rules:{step.rule_set}:{step.objective}"
            told.setdefault(step.group, []).append(Property(name=name, value=reached(step)))
    return {number: told.get(group.id, []) for group in judgement.groups for number in group.parts}
