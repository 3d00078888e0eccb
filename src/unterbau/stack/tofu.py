# SPDX-License-Identifier: Apache-2.0
"""OpenTofu and Terraform: lock files, state (form 4), plans as JSON. Values that may be secret are never kept.

Providers are parts; so is the tool itself, where state or plan tell it. Of resources only a list of harmless fields is
ever looked at: the chart of a `helm_release`, the image of a container (of Docker, Podman, or a workload of
Kubernetes), the operating system of an image. A field that is marked sensitive is left out. Configuration (.tf) is
read by `hcl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from unterbau.catalogue.model import Layer
from unterbau.stack import image, images_in
from unterbau.stack.found import Found, short
from unterbau.stack.source import Source, mapping, sequence, text

_PROVIDER = re.compile(r'^\s*provider\s+"([^"]+)"\s*\{')
_VERSION = re.compile(r'^\s*version\s*=\s*"([^"]*)"')
_ADDRESS = re.compile(r'provider\["([^"]+)"\]')
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(?::\d+)?/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
IMAGES = {
    "docker_image": ("name",),
    "docker_container": ("image",),
    "podman_container": ("image",),
}
PULL = "Make it readable: `tofu state pull > state.json`, `tofu show -json plan.out > plan.json`."


def matches(source: Source) -> bool:
    """Whether it is a lock file, a state, or a plan."""
    name = source.path.name
    if name.endswith(".terraform.lock.hcl") or (name.endswith(".hcl") and _PROVIDER.search(source.text)):
        return True
    if not source.is_json:
        return False
    found = source.object
    if "encrypted_data" in found and "meta" in found:
        source.fault("an encrypted state", PULL)
    is_state = "terraform_version" in found and ("resources" in found or "modules" in found or "lineage" in found)
    is_shown = "format_version" in found and bool(
        {"planned_values", "values", "resource_changes", "configuration"} & found.keys()
    )
    return is_state or is_shown or name.endswith(".tfstate")


def read(source: Source, found: Found) -> None:
    """Providers, the tool, and what a few kinds of resources bring."""
    if not source.is_json:
        _lock(source, found)
    elif "format_version" in source.object:
        _shown(source.object, found)
    else:
        _state(source, found)


def _lock(source: Source, found: Found) -> None:
    address, begun = "", 0
    for number, line in enumerate(source.lines, start=1):
        begins, version = _PROVIDER.match(line), _VERSION.match(line)
        if begins:
            address, begun = begins.group(1), number
        elif version and address:
            provider(address, f"line {begun}", version.group(1), found)
            address = ""
        elif line.startswith("}") and address:
            provider(address, f"line {begun}", "", found)
            address = ""
    if address:
        source.fault("ends inside of a provider", "Make it again: tofu init.", begun)


def provider(address: str, where: str, version: str, found: Found) -> None:
    """A provider: its version stands in the place."""
    if _NAME.match(address):
        found.released("provider", address, where, "provider", version)
    else:
        found.unread(where, f"no address of a provider: {short(address)}")


def _tool(version: Any, addresses: set[str], where: str, found: Found) -> None:
    """OpenTofu's own registry shows that it is OpenTofu; the other one does not show which of both it is."""
    told = text(version)
    if not told:
        return
    if any(a.startswith("registry.opentofu.org/") for a in addresses):
        found.hinted("name", "opentofu", where, told)
    elif any(a.startswith("registry.terraform.io/") for a in addresses):
        found.hinted("name", "terraform", where, told)
    else:
        found.unread(where, f"OpenTofu or Terraform {told}: no provider shows which")


def _state(source: Source, found: Found) -> None:
    state = source.object
    if state.get("version") != 4:
        source.fault(f"a state of form {short(state.get('version'))}; form 4 is read", PULL)
    addresses: set[str] = set()
    for number, resource in enumerate(sequence(state.get("resources"))):
        where = f"/resources/{number}"
        one = mapping(resource)
        kind, address = text(one.get("type")), _ADDRESS.search(text(one.get("provider")))
        if not address:
            found.unread(where, f"a resource {short(kind)} without provider")
            continue
        addresses.add(address.group(1))
        provider(address.group(1), where, "", found)
        for index, instance in enumerate(sequence(one.get("instances"))):
            sensitive = _sensitive_paths(mapping(instance).get("sensitive_attributes"))
            place = f"{where}/instances/{index}/attributes"
            _resource(kind, mapping(mapping(instance).get("attributes")), sensitive, place, found)
    _tool(state.get("terraform_version"), addresses, "/terraform_version", found)


def _sensitive_paths(told: Any) -> set[str]:
    """The first steps of the paths that a state marks as sensitive."""
    paths = set()
    for path in sequence(told):
        first = path[0] if isinstance(path, list) and path else path
        paths.add(text(mapping(first).get("value")))
    return paths


def _shown(plan: Mapping[str, Any], found: Found) -> None:
    addresses: set[str] = set()
    providers = mapping(mapping(plan.get("configuration")).get("provider_config"))
    for key, told in providers.items():
        name = text(mapping(told).get("full_name"))
        if name:
            addresses.add(name)
            version = text(mapping(told).get("version_constraint"))
            provider(name, f"/configuration/provider_config/{key}", f"constraint {version}" if version else "", found)
    values = "planned_values" if "planned_values" in plan else "values"
    listed = 0
    for where, resource in _resources(mapping(plan.get(values)).get("root_module"), f"/{values}/root_module"):
        listed += 1
        name = text(resource.get("provider_name"))
        if name:
            addresses.add(name)
            provider(name, where, "", found)
        marked = resource.get("sensitive_values")
        sensitive = {k for k, v in mapping(marked).items() if v not in (False, {}, [], None)}
        _resource(text(resource.get("type")), mapping(resource.get("values")), sensitive, f"{where}/values", found)
    if not listed and not addresses:
        found.unread(f"/{values}", "no resources and no providers")
    _tool(plan.get("terraform_version"), addresses, "/terraform_version", found)


def _resources(root: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    waiting = [(path, mapping(root))]
    while waiting:
        place, module = waiting.pop()
        for number, one in enumerate(sequence(module.get("resources"))):
            yield f"{place}/resources/{number}", mapping(one)
        for number, inner in enumerate(sequence(module.get("child_modules"))):
            waiting.append((f"{place}/child_modules/{number}", mapping(inner)))


def _workload(kind: str, values: Mapping[str, Any], sensitive: set[str], where: str, found: Found) -> None:
    """The images of a resource of Kubernetes. A manifest may be a Secret, whose content is never looked at."""
    for field in ("spec", "manifest"):
        if values.get(field) and field in sensitive:
            found.unread(f"{where}/{field}", "marked as sensitive: its images are not looked at")
        elif mapping(values.get("manifest")).get("kind") not in ("Secret", "ConfigMap"):
            images_in.search(values.get(field), f"{where}/{field}", kind, found)


def _resource(kind: str, values: Mapping[str, Any], sensitive: set[str], where: str, found: Found) -> None:
    if kind == "helm_release" and "chart" not in sensitive and text(values.get("chart")):
        chart = text(values.get("chart"))
        told = sequence(values.get("metadata"))
        app = text(mapping(told[0]).get("app_version")) if told and "metadata" not in sensitive else ""
        name = chart.rstrip("/").rpartition("/")[2]
        version = text(values.get("version")) if "version" not in sensitive else ""
        found.part(name, f"{where}/chart (chart {version})" if version else f"{where}/chart", version=app or None,
                   hints=(("chart", name),))  # fmt: skip
    if kind.startswith("kubernetes_"):
        _workload(kind, values, sensitive, where, found)
    for field in IMAGES.get(kind, ()):
        told_image = text(values.get(field))
        if told_image and field not in sensitive and image.parse(told_image):
            found.image(told_image, f"{where}/{field}")
        elif told_image:
            found.unread(f"{where}/{field}", "an image that is not told by its name")
    if "properties" not in sensitive and "image_name" not in sensitive:
        operating_system(kind, values, where, found)


_MACHINES = frozenset(["openstack_compute_instance_v2", "openstack_compute_instance"])
_SYSTEM = re.compile(r"^([A-Za-z][A-Za-z .]*?)[\s_-]+v?(\d[\d.]*)(?:[\s_-].*)?$")


def operating_system(kind: str, values: Mapping[str, Any], where: str, found: Found) -> None:
    """What an image of OpenStack says of itself, or its name where a machine is made of it: `Ubuntu 22.04`."""
    if kind in ("openstack_images_image_v2", "openstack_images_image"):
        properties = mapping(values.get("properties"))
        system, version, spots = text(properties.get("os_distro")), text(properties.get("os_version")), "properties"
    elif kind in _MACHINES:
        fits = _SYSTEM.match(text(values.get("image_name"))[:200])
        system, version = fits.groups() if fits else ("", "")
        spots = "image_name"
    else:
        return
    if system:
        place = f"{where}/{spots}" if where.startswith("/") else where
        found.part(system, place, version=version or None, hints=(("name", system),), layer=Layer.OPERATING_SYSTEM)
