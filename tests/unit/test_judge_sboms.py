# SPDX-License-Identifier: Apache-2.0
"""The same SBOM in every form that the libraries write: our readers find in each what the library put in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model import XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.model.service import Service
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from spdx_tools.common.spdx_licensing import spdx_licensing  # type: ignore[import-untyped]
from spdx_tools.spdx.model.actor import Actor, ActorType
from spdx_tools.spdx.model.document import CreationInfo, Document
from spdx_tools.spdx.model.package import ExternalPackageRef, ExternalPackageRefCategory, Package, PackagePurpose
from spdx_tools.spdx.model.relationship import Relationship, RelationshipType
from spdx_tools.spdx.model.spdx_no_assertion import SpdxNoAssertion
from spdx_tools.spdx.writer.write_anything import write_file

from unterbau import stack as readers
from unterbau.catalogue.model import Layer
from unterbau.errors import UsageError
from unterbau.stack.model import Stack

Told = set[tuple[str, str | None, str | None, str | None]]


def told(stack: Stack) -> Told:
    return {(p.name, p.version, p.purl, p.licence) for p in stack.parts}


def bom() -> Bom:
    made = Bom(serial_number=None)
    made.metadata.component = Component(name="ours", version="1", type=ComponentType.APPLICATION, bom_ref="root")
    inner = Component(name="inner", version="2", bom_ref="inner")
    listed = [
        Component(name="keycloak", version="26.0.1", type=ComponentType.APPLICATION, bom_ref="k",
                  purl=PackageURL.from_string("pkg:docker/quay.io/keycloak/keycloak@26.0.1"), components=[inner],
                  licenses=[DisjunctiveLicense(id="Apache-2.0")]),
        Component(name="redis", group="acme", version="7.4.0", bom_ref="r", purl=PackageURL.from_string("pkg:npm/redis@7.4.0"),
                  licenses=[LicenseExpression("MIT OR Apache-2.0")]),
        Component(name="odd", bom_ref="o", licenses=[DisjunctiveLicense(name="Our own terms", url=XsUri("https://x.example"))]),
        Component(name="debian", version="12", type=ComponentType.OPERATING_SYSTEM, bom_ref="d"),
    ]  # fmt: skip
    for component in listed:
        made.components.add(component)
    made.services.add(Service(name="openstack", version="2025.1", bom_ref="s"))
    return made


CYCLONEDX: Told = {
    ("ours", "1", None, None), ("inner", "2", None, None), ("odd", None, None, "LicenseRef-Our-own-terms"),
    ("keycloak", "26.0.1", "pkg:docker/quay.io/keycloak/keycloak@26.0.1", "Apache-2.0"),
    ("acme/redis", "7.4.0", "pkg:npm/redis@7.4.0", "MIT OR Apache-2.0"), ("debian", "12", None, None),
    ("openstack", "2025.1", None, None),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")  # the library warns of what an old form cannot say
@pytest.mark.parametrize("form", [OutputFormat.JSON, OutputFormat.XML])
@pytest.mark.parametrize("version", [SchemaVersion.V1_4, SchemaVersion.V1_5, SchemaVersion.V1_6, SchemaVersion.V1_7])
def test_cyclonedx_in_both_forms(tmp_path: Path, form: OutputFormat, version: SchemaVersion) -> None:
    path = tmp_path / f"bom.{form.name.lower()}"
    path.write_text(make_outputter(bom(), form, version).output_as_string())
    stack = readers.read(path)
    assert told(stack) == CYCLONEDX
    layers = {p.name: p.layer for p in stack.parts}
    assert layers["debian"] == Layer.OPERATING_SYSTEM
    spots = {p.name: p.where[0].spot for p in stack.parts}
    assert (
        spots["keycloak"] == "component k" if form is OutputFormat.XML else spots["keycloak"].startswith("/components/")
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_cyclonedx_xml_that_is_too_large_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers.cyclonedx, "MAX_XML", 1)
    path = tmp_path / "bom.xml"
    path.write_text(make_outputter(bom(), OutputFormat.XML, SchemaVersion.V1_6).output_as_string())
    with pytest.raises(UsageError) as error:
        readers.read(path)
    assert "cyclonedx convert" in error.value.remedy


def document() -> Document:
    information = CreationInfo(
        spdx_version="SPDX-2.3", spdx_id="SPDXRef-DOCUMENT", name="ours", document_namespace="https://x.example/1",
        creators=[Actor(ActorType.TOOL, "test")], created=datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    )  # fmt: skip
    purl = ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", "pkg:deb/debian/redis@7.0.15")
    packages = [
        Package("SPDXRef-redis", "redis", SpdxNoAssertion(), version="7.0.15", files_analyzed=False, external_references=[purl],
                license_concluded=SpdxNoAssertion(), license_declared=spdx_licensing.parse("BSD-3-Clause")),
        Package("SPDXRef-debian", "debian", SpdxNoAssertion(), version="12", files_analyzed=False,
                primary_package_purpose=PackagePurpose.OPERATING_SYSTEM,
                license_concluded=spdx_licensing.parse("ISC")),
        Package("SPDXRef-bare", "bare", SpdxNoAssertion(), files_analyzed=False),
    ]  # fmt: skip
    links = [Relationship("SPDXRef-DOCUMENT", RelationshipType.DESCRIBES, p.spdx_id) for p in packages]
    return Document(information, packages, relationships=links)


SPDX: Told = {
    ("redis", "7.0.15", "pkg:deb/debian/redis@7.0.15", "BSD-3-Clause"), ("debian", "12", None, "ISC"),
    ("bare", None, None, None),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["sbom.spdx.json", "sbom.spdx.yaml", "sbom.spdx", "sbom.spdx.xml", "sbom.spdx.rdf"])
def test_spdx_2_in_all_forms(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_file(document(), str(path), validate=False)
    stack = readers.read(path)
    assert told(stack) == SPDX
    assert {p.name: p.layer for p in stack.parts}["debian"] == Layer.OPERATING_SYSTEM
    assert stack.unread == ()
    assert all(p.where[0].spot for p in stack.parts)


@pytest.mark.thorough
def test_spdx_3_as_its_library_reads_it(tmp_path: Path) -> None:
    library = pytest.importorskip("spdx_python_model")  # a tool of the tests only
    creation = {"creationInfo": "_:c"}
    begin = "https://x.example/"
    graph: list[dict[str, Any]] = [
        {"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1", "created": "2026-01-01T00:00:00Z",
         "createdBy": [f"{begin}a"]},
        {"type": "Person", "spdxId": f"{begin}a", "name": "x", **creation},
        {"type": "software_Package", "spdxId": f"{begin}p", "name": "redis", "software_packageVersion": "7.4",
         "software_packageUrl": "pkg:generic/redis@7.4", **creation},
        {"type": "ai_AIPackage", "spdxId": f"{begin}m", "name": "a model", **creation},
        {"type": "software_File", "spdxId": f"{begin}f", "name": "a file", **creation},
        {"type": "simplelicensing_LicenseExpression", "spdxId": f"{begin}l", "simplelicensing_licenseExpression": "MIT",
         **creation},
        {"type": "Relationship", "spdxId": f"{begin}r", "from": f"{begin}p", "relationshipType": "hasDeclaredLicense",
         "to": [f"{begin}l"], **creation},
    ]  # fmt: skip
    sbom = {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": graph}
    model, objects = library.load_data(json.loads(json.dumps(sbom)))
    packages = list(objects.foreach_type(model.software_Package))
    path = tmp_path / "sbom.json"
    path.write_text(json.dumps(sbom))
    stack = readers.read(path)
    theirs = {(p.name, p.software_packageVersion, p.software_packageUrl) for p in packages}
    assert {(p.name, p.version, p.purl) for p in stack.parts} == theirs
    assert {p.licence for p in stack.parts} == {"MIT", None}
