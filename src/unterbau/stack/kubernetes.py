# SPDX-License-Identifier: Apache-2.0
"""Kubernetes manifests, and dumps of a live cluster (`kubectl get -o json`): what runs there and what defines it.

Read are all objects with a pod template (containers, init and ephemeral containers, image volumes), the custom
resources that bring charts (Flux, Argo CD, k3s), Helm's own release secrets (name and version of the chart, nothing
of its values), nodes (operating system, kernel, kubelet, runtime), and images anywhere in other custom resources. The
kind of each custom resource with its API group is a hint. A ReplicaSet that a Deployment keeps from before, without pods, is no part of
what runs. Contents of ConfigMaps and Secrets are never kept. There is no client here: a
live cluster is read through its dump, `kubectl get all,nodes,crd,helmreleases -A -o json`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from unterbau.catalogue.model import Layer
from unterbau.stack import images_in
from unterbau.stack.found import Found, Hints, short, spot
from unterbau.stack.source import Map, Source, mapping, sequence, text

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_TEMPLATES = (
    ("spec",),
    ("spec", "template", "spec"),
    ("spec", "jobTemplate", "spec", "template", "spec"),
    ("template", "spec"),
)
_POD_KINDS = frozenset(
    ["Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController",
     "PodTemplate", "Rollout"]
)  # fmt: skip
_QUIET = frozenset(["ConfigMap", "Secret", "SealedSecret"])
_SIGNS = re.compile(r"^\s*(?:\"?apiVersion\"?|\"?kind\"?)\s*:", re.MULTILINE)
_Reader = Callable[[dict[str, Any], str, str, Found], None]
MAX_RELEASE = 64 * 2**20
_OS = re.compile(r"^(.*?)\s+\(?v?(\d[\w.-]*)")


def matches(source: Source) -> bool:
    """Whether it holds objects of Kubernetes."""
    if source.is_yaml:
        if _is_kustomization(source):
            return True
        if not _SIGNS.search(source.text):
            return False
        return any(isinstance(d, dict) and "apiVersion" in d and "kind" in d for d in source.documents)
    found = source.object
    return ("apiVersion" in found and "kind" in found) or "gitVersion" in mapping(found.get("serverVersion"))


def _is_kustomization(source: Source) -> bool:
    """By its name: it may leave out apiVersion and kind."""
    return source.path.stem == "kustomization" and isinstance(source.document, dict)


def read(source: Source, found: Found) -> None:
    """What each object names, at its line or JSON pointer."""
    documents: list[Any] = list(source.documents) if source.is_yaml else [source.json]
    for number, document in enumerate(documents):
        path = "" if not source.is_yaml else f"/{number}"
        if "serverVersion" in mapping(document) and "kind" not in document:
            version = text(mapping(document["serverVersion"]).get("gitVersion"))
            found.hinted("name", "kubernetes", spot(document, "serverVersion", path), version)
            continue
        for place, one in _objects(document, path):
            if _is_kustomization(source) and "kind" not in one:
                _kustomize(one, place, "Kustomization", found)
            elif "apiVersion" not in one or "kind" not in one:
                where = f"line {one.line}" if isinstance(one, Map) else place or "/"
                found.unread(where, "a document without apiVersion and kind")
            else:
                _object(one, place, found)
        if not isinstance(document, dict):
            found.unread(path, "a document that is no mapping")


def _objects(document: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a document; a List is opened, and lists in it."""
    waiting = [(path, document)]
    while waiting:
        place, one = waiting.pop()
        if not isinstance(one, dict):
            continue
        items = one.get("items")
        if isinstance(items, list) and str(one.get("kind", "")).endswith("List"):
            waiting += [(f"{place}/items/{n}", item) for n, item in reversed(list(enumerate(items)))]
        else:
            yield place, one


def _object(one: dict[str, Any], path: str, found: Found) -> None:
    kind, version = text(one.get("kind")), text(one.get("apiVersion"))
    group = version.rpartition("/")[0]
    name = text(mapping(one.get("metadata")).get("name")) or text(mapping(one.get("metadata")).get("generateName"))
    what = f"{kind} {name}".strip()
    reader = next((read for sign, read in _SPECIAL.get(kind, ()) if sign in group), None)
    if reader is not None:
        reader(one, path, what, found)
    elif kind in _POD_KINDS and not _is_former(one):
        _pods(one, path, what, found)
    elif kind not in _QUIET and group not in _BUILT_IN:
        images_in.search(one, path, what, found)
    if group not in _BUILT_IN:
        _custom(one, kind, path, what, found)


_BUILT_IN = frozenset(
    ["", "apps", "batch", "autoscaling", "policy", "extensions"]
    + [
        f"{g}.k8s.io"
        for g in (
            "rbac.authorization", "networking", "storage", "apiextensions", "admissionregistration", "scheduling",
            "coordination", "node", "discovery", "certificates", "apiregistration", "authentication", "authorization",
            "flowcontrol.apiserver", "events", "metrics", "resource", "internal.apiserver",
        )
    ]
)  # fmt: skip
"""Groups of the API that every cluster has."""


def _custom(one: dict[str, Any], kind: str, path: str, what: str, found: Found) -> None:
    """That a kind of resource is used shows that something is there which understands it."""
    group = text(one.get("apiVersion")).rpartition("/")[0]
    found.part(f"{kind} ({group})", spot(one, "kind", path, what), hints=_of_group(kind, group))


def _of_group(kind: str, group: str) -> Hints:
    """A kind with its API group, and the group alone: `Application` and `Cluster` are kinds of several products."""
    return (("service", f"{kind}.{group}"), ("service", group))


def _is_former(one: dict[str, Any]) -> bool:
    """A ReplicaSet or ReplicationController of an owner that keeps it to go back to: nothing of it runs."""
    owned = sequence(mapping(one.get("metadata")).get("ownerReferences"))
    return bool(owned) and text(mapping(one.get("spec")).get("replicas")) == "0" and "Replica" in text(one.get("kind"))


def _pods(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    seen = False
    for steps in _TEMPLATES:
        inner: Any = one
        for step in steps:
            inner = mapping(inner).get(step)
        if isinstance(inner, dict):
            seen |= _pod(inner, f"{path}/{'/'.join(steps)}", what, found)
    if not seen and "workloadRef" not in mapping(one.get("spec")):
        found.unread(spot(one, "kind", path, what), "no containers in it")


def _pod(spec: dict[str, Any], path: str, what: str, found: Found) -> bool:
    seen = False
    for field in _CONTAINERS:
        listed = spec.get(field)
        for number, container in enumerate(sequence(listed)):
            seen = True
            place = f"{path}/{field}/{number}"
            name = text(mapping(container).get("name"))
            told = f"{what}, {'container' if field == 'containers' else field[:-1]} {name}"
            image = text(mapping(container).get("image"))
            if image:
                found.image(image, spot(container, "image", place, told))
            else:
                found.unread(spot(listed, number, f"{path}/{field}", told), "a container without image")
    volumes = spec.get("volumes")
    for number, volume in enumerate(sequence(volumes)):
        reference = text(mapping(mapping(volume).get("image")).get("reference"))
        if reference:
            found.image(reference, spot(volume, "image", f"{path}/volumes/{number}", f"{what}, image volume"))
    return seen


def _node(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    info = mapping(mapping(one.get("status")).get("nodeInfo"))
    where = path + "/status/nodeInfo"
    fits = _OS.match(text(info.get("osImage")))
    if fits:
        name = re.sub(r"\s+(by|GNU/Linux).*$", "", fits.group(1)).removesuffix(" GNU/Linux")
        spots = spot(info, "osImage", where, what)
        found.part(name, spots, version=fits.group(2), hints=(("name", name),), layer=Layer.OPERATING_SYSTEM)
    elif text(info.get("osImage")):
        found.hinted("name", text(info.get("osImage")), spot(info, "osImage", where, what))
    if text(info.get("kernelVersion")) and text(info.get("operatingSystem")) in ("", "linux"):
        found.hinted("name", "linux", spot(info, "kernelVersion", where, what), text(info.get("kernelVersion")))
    if text(info.get("kubeletVersion")):
        found.hinted("name", "kubernetes", spot(info, "kubeletVersion", where, what), text(info.get("kubeletVersion")))
    runtime, _, version = text(info.get("containerRuntimeVersion")).partition("://")
    if runtime:
        found.hinted("name", runtime, spot(info, "containerRuntimeVersion", where, what), version)


def _definition(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    spec = mapping(one.get("spec"))
    kind, group = text(mapping(spec.get("names")).get("kind")), text(spec.get("group"))
    if kind and group:
        found.part(f"{kind} ({group})", spot(one, "kind", path, what), hints=_of_group(kind, group))


def _storage(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    name = text(one.get("provisioner"))
    if name and not name.startswith("kubernetes.io/no-provisioner"):
        found.hinted("service", name, spot(one, "provisioner", path, what))


def _ingress(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    spec = mapping(one.get("spec"))
    key = "controller" if "controller" in spec else "controllerName"
    if text(spec.get(key)):
        found.hinted("service", text(spec.get(key)), spot(spec, key, f"{path}/spec", what))


def _flux(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    spec = mapping(one.get("spec"))
    inner = mapping(mapping(spec.get("chart")).get("spec"))
    where = f"{path}/spec/chart/spec"
    if text(inner.get("chart")):
        name = text(inner.get("chart")).rstrip("/").rpartition("/")[2]
        found.released("chart", name, spot(inner, "chart", where, what), "chart", text(inner.get("version")))
    elif isinstance(spec.get("chartRef"), dict):
        referred = spec["chartRef"]
        told = f"{text(referred.get('kind'))} {text(referred.get('name'))}"
        found.unread(spot(spec, "chartRef", f"{path}/spec", what), f"its chart is told by {told}")
    else:
        found.unread(spot(one, "kind", path, what), "a release without chart")
    images_in.search(mapping(spec.get("values")), f"{path}/spec/values", what, found)
    if spec.get("valuesFrom"):
        found.unread(spot(spec, "valuesFrom", f"{path}/spec", what), "its values stand elsewhere, too")


def _flux_chart(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    spec = mapping(one.get("spec"))
    chart, version = text(spec.get("chart")), text(spec.get("version"))
    if chart:
        name = re.sub(r"-\d[\w.+-]*\.tgz$", "", chart.rstrip("/").rpartition("/")[2])
        found.released("chart", name, spot(spec, "chart", f"{path}/spec", what), "chart", version)
    if text(spec.get("valuesContent")):
        found.unread(spot(spec, "valuesContent", f"{path}/spec", what), "values inside a text are not read")


def _flux_oci(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    spec = mapping(one.get("spec"))
    url, reference = text(spec.get("url")).removeprefix("oci://"), mapping(spec.get("ref"))
    version = text(reference.get("tag")) or text(reference.get("semver"))
    where = spot(spec, "url", f"{path}/spec", what)
    if text(spec.get("type")) in ("", "oci") and url and "OCIRepository" in what:
        found.released("chart", url.rpartition("/")[2], where, "artifact", version)


def _git(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    spec = mapping(one.get("spec"))
    told = text(spec.get("url")) or f"{text(spec.get('path'))} of {text(mapping(spec.get('sourceRef')).get('name'))}"
    found.unread(spot(one, "kind", path, what), f"what it brings stands elsewhere: {short(_bare(told))}")


def _bare(url: str) -> str:
    """Without a user or token in it."""
    return re.sub(r"//[^/@]*@", "//", url)


def _argo(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    spec, where = mapping(one.get("spec")), f"{path}/spec"
    if text(one.get("kind")) == "ApplicationSet":
        spec, where = mapping(mapping(spec.get("template")).get("spec")), f"{where}/template/spec"
    sources = [(spec, "source", spec.get("source"))]
    sources += [(spec, "sources", s) for s in sequence(spec.get("sources"))]
    for container, key, told in sources:
        if not isinstance(told, dict):
            continue
        place = spot(
            told if isinstance(told, Map) else container, "chart" if isinstance(told, Map) else key, where, what
        )
        if text(told.get("chart")):
            name = text(told.get("chart")).rpartition("/")[2]
            found.released("chart", name, place, "chart", text(told.get("targetRevision")))
        elif text(told.get("path")) or text(told.get("repoURL")):
            reference = f"{_bare(text(told.get('repoURL')))} {text(told.get('path'))}"
            found.unread(place, f"what it brings stands elsewhere: {short(reference)}")
        _argo_values(told, place, where, what, found)


def _argo_values(told: Mapping[str, Any], place: str, where: str, what: str, found: Found) -> None:
    chart = mapping(told.get("helm"))
    images_in.search(mapping(chart.get("valuesObject")), f"{where}/helm/valuesObject", what, found)
    if text(chart.get("values")):
        found.unread(place, "values inside a text are not read")
    if chart.get("valueFiles") or chart.get("parameters"):
        found.unread(place, "values from files and parameters are not read")
    for reference in sequence(mapping(told.get("kustomize")).get("images")):
        name, equals, new = text(reference).partition("=")
        found.image(new if equals else name, place)


def _kustomize(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    charts, images = one.get("helmCharts"), one.get("images")
    for number, chart in enumerate(sequence(charts)):
        if text(mapping(chart).get("name")):
            place = spot(charts, number, f"{path}/helmCharts", what)
            found.released("chart", text(chart.get("name")), place, "chart", text(chart.get("version")))
    for number, image in enumerate(sequence(images)):
        name = text(mapping(image).get("newName")) or text(mapping(image).get("name"))
        tag, digest = text(mapping(image).get("newTag")), text(mapping(image).get("digest"))
        if name:
            reference = f"{name}:{tag}" if tag else name
            found.image(f"{name}@{digest}" if digest else reference, spot(images, number, f"{path}/images", what))
    for field in ("resources", "bases", "components"):
        listed = one.get(field)
        for number, told in enumerate(sequence(listed)):
            if "://" in text(told) or text(told).startswith(("github.com/", "git@")):
                where = spot(listed, number, f"{path}/{field}", what)
                found.unread(where, f"what it brings stands elsewhere: {short(_bare(text(told)))}")


def _secret(one: dict[str, Any], path: str, what: str, found: Found) -> None:
    """Helm keeps its releases in secrets; only the current one counts, and only who the chart is."""
    if text(one.get("type")) != "helm.sh/release.v1":
        return
    status = text(mapping(mapping(one.get("metadata")).get("labels")).get("status"))
    if status not in ("", "deployed"):
        return
    where = spot(one, "data", path, what)
    chart = _release(text(mapping(one.get("data")).get("release")))
    name = text(mapping(chart).get("name"))
    if not name:
        found.unread(where, "a release of Helm that cannot be read")
        return
    version, told = text(mapping(chart).get("appVersion")), text(mapping(chart).get("version"))
    found.part(name, f"{where[:-1]}, chart {told})" if told else where, version=version, hints=(("chart", name),))


def _release(data: str) -> Mapping[str, Any]:
    try:
        packed = base64.b64decode(base64.b64decode(data))
        raw = zlib.decompressobj(31).decompress(packed, MAX_RELEASE) if packed[:2] == b"\x1f\x8b" else packed
        chart = mapping(json.loads(raw)).get("chart")
        return mapping(mapping(chart).get("metadata"))
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        return {}


_SPECIAL: dict[str, tuple[tuple[str, _Reader], ...]] = {
    "Node": (("", _node),),
    "CustomResourceDefinition": (("apiextensions", _definition),),
    "StorageClass": (("storage.k8s.io", _storage),),
    "IngressClass": (("networking.k8s.io", _ingress),),
    "GatewayClass": (("gateway.networking", _ingress),),
    "HelmRelease": (("fluxcd", _flux),),
    "HelmChart": (("helm.cattle.io", _flux_chart), ("toolkit.fluxcd", _flux_chart)),
    "OCIRepository": (("toolkit.fluxcd", _flux_oci),),
    "GitRepository": (("toolkit.fluxcd", _git),),
    "Bucket": (("toolkit.fluxcd", _git),),
    "Application": (("argoproj", _argo),),
    "ApplicationSet": (("argoproj", _argo),),
    "Kustomization": (("kustomize.config", _kustomize), ("toolkit.fluxcd", _git)),
    "Secret": (("", _secret),),
}
"""Readers by kind, and what the group must contain."""
