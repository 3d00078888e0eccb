# SPDX-License-Identifier: Apache-2.0
"""How much of real stacks is recognised: the hand-made truth of tests/assets/truth, written out, read, and counted.

The truth holds names and versions only. `write` makes small files of the form in which they stand in their repository
and remembers the lines of each; `measure` reads these files as `judge` does and compares what was recognised on those
lines. `tests/laws/test_judge_truth.py` holds the numbers, `bench.judge` prints them. It is no test and fetches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from unterbau import stack as readers
from unterbau.catalogue.model import Catalogue
from unterbau.errors import UsageError
from unterbau.stack.model import Part
from unterbau.stack.recognise import recognise

TRUTH = Path(__file__).parents[1] / "assets" / "truth"
Entry = Mapping[str, Any]
Lines = list[str]


@dataclass(frozen=True)
class Written:
    """A file that was made anew: its path, and for each line the part of the truth that stands there."""

    path: Path
    owner: Mapping[int, Entry]


@dataclass
class Count:
    """What was found of the parts that the catalogue holds, and what of the recognised is right."""

    parts: int = 0
    """All that the truth names."""
    known: int = 0
    """Those of them that the catalogue holds."""
    found: int = 0
    recognised: int = 0
    right: int = 0
    technologies: set[tuple[str, str]] = field(default_factory=set)
    """(stack, technology) that the catalogue holds."""
    seen: set[tuple[str, str]] = field(default_factory=set)
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Of the parts."""
        return self.found / self.known if self.known else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.recognised if self.recognised else 1.0

    def add(self, other: Count) -> None:
        """Sum up."""
        self.parts, self.known, self.found = (
            self.parts + other.parts,
            self.known + other.known,
            self.found + other.found,
        )
        self.recognised, self.right = self.recognised + other.recognised, self.right + other.right
        self.technologies |= other.technologies
        self.seen |= other.seen
        self.missed += other.missed
        self.wrong += other.wrong


def load() -> list[dict[str, Any]]:
    """The stacks of the truth."""
    return [yaml.load(p.read_bytes(), Loader=yaml.CSafeLoader) for p in sorted(TRUTH.glob("*.yaml"))]


def measure(stack: Entry, known: Catalogue, folder: Path) -> Count:
    """One stack, written below an empty folder."""
    count = Count()
    for number, file in enumerate(stack["files"]):
        written = write(stack, file, folder / f"{number}")
        try:
            parts = recognise(readers.read(written.path), known).parts
        except UsageError:
            parts = ()  # refused: nothing of it is recognised
        _compare(stack["stack"], file, written, parts, known, count)
    return count


def _compare(name: str, file: Entry, written: Written, parts: tuple[Part, ...], known: Catalogue, count: Count) -> None:
    found: set[int] = set()
    for part in parts:
        if part.technology is None:
            continue
        owners = {id(e): e for e in (_owner(w.spot, written) for w in part.where) if e is not None}
        for entry in owners.values() or [{"name": part.name, "is": None, "version": part.version}]:
            count.recognised += 1
            if part.technology == entry["is"] and part.version == entry["version"]:
                count.right += 1
                found.add(id(entry))
            else:
                told = f"{name}, {file['path']}: {part.name} {part.version} is called {part.technology}"
                count.wrong.append(f"{told}; it is {entry['is']} {entry['version']}")
    for entry in file["parts"]:
        count.parts += 1
        if entry["is"] in known:
            count.known += 1
            count.found += id(entry) in found
            count.technologies.add((name, entry["is"]))
            if id(entry) in found:
                count.seen.add((name, entry["is"]))
            else:
                count.missed.append(f"{name}, {file['path']}: {entry['name']} {entry['version']} is {entry['is']}")


def _owner(spot: str, written: Written) -> Entry | None:
    if not spot.startswith("line "):
        return None
    return written.owner.get(int(spot.removeprefix("line ").partition(" ")[0].strip(",;:")))


class _Text:
    """A file while it is written."""

    def __init__(self) -> None:
        self.lines: Lines = []
        self.owner: dict[int, Entry] = {}

    def put(self, text: str, entry: Entry | None = None) -> None:
        for line in text.split("\n"):
            self.lines.append(line)
            if entry is not None:
                self.owner[len(self.lines)] = entry

    def to(self, path: Path) -> Written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(self.lines) + "\n")
        return Written(path, self.owner)


def write(stack: Entry, file: Entry, folder: Path) -> Written:
    """The file's form, made anew."""
    text = _Text()
    return _FORMS[file["form"]](stack, file, folder, text)


def _tagged(entry: Entry) -> str:
    version = entry.get("tag") or entry["version"]
    if version is None:
        return str(entry["name"])
    return f"{entry['name']}{'@' if version.startswith('sha256:') else ':'}{version}"


def _compose(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("services:")
    for number, entry in enumerate(file["parts"]):
        text.put(f"  p{number}:\n    image: {_tagged(entry)}", entry)
    return text.to(folder / "compose.yaml")


def _compose_env(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("services:")
    variables = _Text()
    for number, entry in enumerate(file["parts"]):
        variables.put(f"P{number}_IMAGE={_tagged(entry)}")
        text.put(f"  p{number}:\n    image: ${{P{number}_IMAGE}}", entry)
    variables.to(folder / ".env")
    return text.to(folder / "compose.yaml")


def _compose_template(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("services:")
    for number, entry in enumerate(file["parts"]):
        if number == 2:
            text.put("  # {{ if isTrue .Env.ENABLE_THIS }}\n  {{ if isTrue .Env.ENABLE_THIS }}")
        text.put(f"  p{number}:\n    image: {_tagged(entry)}", entry)
    text.put("  {{ end }}")
    return text.to(folder / file["path"])


def _osism_release(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    section = ""
    text.put("---")
    for entry in file["parts"]:
        if entry["section"] != section:
            section = entry["section"]
            text.put(f"\n{section}:")
        indent = "  " if section else ""
        if "renovate" in entry:
            text.put(f"{indent}# renovate: datasource={_SOURCES.get(section, 'pypi')} depName={entry['renovate']}")
        version = entry.get("tag") or entry.get("release") or entry["version"]
        text.put(f"{indent}{entry['name']}:{f' {version!r}' if version else ''}", entry)
    return text.to(folder / "latest" / Path(file["path"]).name)


_SOURCES = {"docker_images": "docker", "osism_projects": "github-releases", "ansible_collections": "galaxy-collection"}


def _ansible_images(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    for entry in file["parts"]:
        key = entry["key"]
        text.put(f'{key}_tag: "{entry["tag"]}"', entry)
        text.put(f'{key}_image: "{entry["before"]}/{entry["name"]}:{{{{ {key}_tag }}}}"', entry)
    return text.to(folder / file["path"])


def _osism_configuration(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    for entry in file["parts"]:
        text.put(f"{entry['name']}: {entry['version']}", entry)
    text.put('manager_listener_broker_uri: "{% for host in hosts %}amqp://{{ host }}:5672{% endfor %}"')
    return text.to(folder / file["path"])


def _kolla(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("kolla_internal_fqdn: api-int.example.org")
    for entry in file["parts"]:
        text.put(f'{entry["name"]}: "{entry["value"]}"', entry)
    return text.to(folder / file["path"])


def _kayobe_kolla(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put('kolla_source_url: "{{ stackhpc_kolla_source_url }}"\nkolla_docker_namespace: stackhpc')
    for entry in file["parts"]:
        text.put(f"{entry['name']}: {entry['value']}", entry)
    return text.to(folder / file["path"])


def _kolla_image_tags(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("---\nkolla_image_tags:")
    before = ""
    for entry in file["parts"]:
        if entry["name"] != before:
            before = entry["name"]
            text.put(f"  {before}:", entry)
        text.put(f"    {entry['distro']}: {entry['version']}", entry)
    return text.to(folder / file["path"])


def _docker_image_tag(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("---")
    for entry in file["parts"]:
        text.put(f'{entry["key"]}_docker_image: "{entry["before"]}{entry["name"]}"', entry)
        text.put(f'{entry["key"]}_docker_tag: "{entry["version"]}"', entry)
    return text.to(folder / file["path"])


def _images_gotmpl(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("---\nimages:")
    for entry in file["parts"]:
        text.put(f"  {entry['key']}:", entry)
        for key, value in (("registry", entry["registry"]), ("repository", entry["name"]), ("tag", entry["version"])):
            text.put(f'    {key}: "{value}"', entry)
    return text.to(folder / Path(file["path"]).name)


def _kinds(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    for entry in file["parts"]:
        text.put(f"---\napiVersion: {entry['group']}\nkind: {entry['name']}\nmetadata:\n  name: one", entry)
    return text.to(folder / "kinds.yaml")


def _kubernetes(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    for entry in file["parts"]:
        text.put("---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: one\nspec:\n  containers:\n    - name: one", entry)
        text.put(f"      image: {_tagged(entry)}", entry)
    return text.to(folder / "all.yaml")


def _flux_oci(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("apiVersion: v1\nkind: List\nitems:")
    for entry in file["parts"]:
        text.put("  - apiVersion: source.toolkit.fluxcd.io/v1")
        text.put("    kind: OCIRepository\n    metadata:\n      name: one")  # the kind counts in `kinds`
        text.owner |= {len(text.lines) - 2: _FLUX}
        text.put(f"    spec:\n      url: oci://{entry['name']}\n      ref:\n        tag: {entry['release']}", entry)
    return text.to(folder / "charts.yaml")


_FLUX: Entry = {"name": "flux", "is": "flux", "version": None}


def _flux_values(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("apiVersion: helm.toolkit.fluxcd.io/v2")
    text.put("kind: HelmRelease", _FLUX)
    text.put("metadata:\n  name: one\nspec:\n  chartRef:\n    kind: OCIRepository\n    name: one\n  values:")
    for number, entry in enumerate(file["parts"]):
        text.put(
            f"    p{number}:\n      image:\n        repository: {entry['name']}\n        tag: {entry['version']}", entry
        )
    return text.to(folder / "helmrelease.yaml")


def _ansible_repo_tag(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    for key, value in stack["variables"].items():
        text.put(f'{key}: "{value}"')
    for entry in file["parts"]:
        if "variable" in entry:
            text.put(f'{entry["variable"]}: "{entry["version"]}"', entry)
            continue
        text.put(f'{entry["key"]}_image_repo: "{entry["name"]}"', entry)
        if entry.get("tag"):
            text.put(f'{entry["key"]}_image_tag: "{entry["tag"]}"', entry)
    return text.to(folder / file["path"])


def _ansible_image_map(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    prefix, value = next(iter(stack["variables"].items()))
    defaults = _Text()
    defaults.put(f'{prefix}: "{value}"')
    defaults.to(folder / "roles" / "defaults" / "defaults" / "main.yml")
    text.put("_images:")
    for entry in file["parts"]:
        text.put(f'  {entry["key"]}: "{{{{ {prefix} }}}}{_tagged(entry)}"', entry)
    return text.to(folder / file["path"])


def _chart_dependencies(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("apiVersion: v2\nname: umbrella\nversion: 0.0.0\ndependencies:")
    for entry in file["parts"]:
        text.put(f"  - name: {entry['name']}\n    version: {entry['release']}", entry)
    return text.to(folder / "Chart.yaml")


def _helmfile(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("releases:")
    for number, entry in enumerate(file["parts"]):
        text.put(f"  - name: r{number}\n    chart: {entry['name']}\n    version: {entry['release']}", entry)
    return text.to(folder / "helmfile.yaml")


def _values(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    for number, entry in enumerate(file["parts"]):
        text.put(f"p{number}:\n  image:\n    repository: {entry['name']}\n    tag: {entry['version']}", entry)
    return text.to(folder / "values.yaml")


def _tf(stack: Entry, file: Entry, folder: Path, text: _Text) -> Written:
    text.put("terraform {\n  required_providers {")
    for number, entry in enumerate(file["parts"]):
        text.put(f'    p{number} = {{\n      source  = "{entry["name"]}"', entry)
        text.put(f'      version = "{entry["release"]}"\n    }}', entry)
    text.put("  }\n}")
    return text.to(folder / "versions.tf")


_FORMS: dict[str, Callable[[Entry, Entry, Path, _Text], Written]] = {
    "compose": _compose, "helmfile": _helmfile, "compose-template": _compose_template, "kayobe-kolla": _kayobe_kolla,
    "kolla-image-tags": _kolla_image_tags, "docker-image-tag": _docker_image_tag,
    "compose-env": _compose_env, "osism-release": _osism_release,
    "ansible-images": _ansible_images, "osism-configuration": _osism_configuration, "kolla": _kolla,
    "images-gotmpl": _images_gotmpl, "kinds": _kinds, "kubernetes": _kubernetes, "flux-oci": _flux_oci,
    "flux-values": _flux_values, "ansible-repo-tag": _ansible_repo_tag, "ansible-image-map": _ansible_image_map,
    "chart-dependencies": _chart_dependencies, "values": _values, "tf": _tf,
}  # fmt: skip
