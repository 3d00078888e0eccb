# SPDX-License-Identifier: Apache-2.0
"""What people really have, turned into a Stack: one module a form of input. `cli` calls `read`.

The form is told by content and name, never by an option. A directory is walked (links that lead out of it are not
followed); what is broken or unknown in it is
listed in `Stack.unread`, while a file that was named itself raises one UsageError with its line. Nothing is fetched,
run, rendered or resolved; `recognise` names the technologies afterwards.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from unterbau.errors import UsageError
from unterbau.stack import (
    ansible,
    compose,
    cyclonedx,
    dockerfile,
    hcl,
    helm,
    kolla,
    kubernetes,
    lockfiles,
    names,
    nix,
    openstack,
    osism,
    packages,
    plain,
    proxmox,
    quadlet,
    running,
    syft,
    templates,
    tofu,
)
from unterbau.stack import (
    sbom_spdx as spdx,
)
from unterbau.stack.found import Found, short
from unterbau.stack.model import Place, Stack, Unread
from unterbau.stack.source import BRACES, Source, wide

MAX_FILES = 50_000
MANY = 10
"""So many unknown files of one folder are listed one by one."""
UNKNOWN = "of no known form"
_SKIPPED = frozenset(
    [".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".terraform", ".tox", ".mypy_cache",
     ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".cache"]
)  # fmt: skip
_STRUCTURED = frozenset(
    [".yaml", ".yml", ".json", ".lock", ".hcl", ".tf", ".tofu", ".tfstate", ".spdx", ".xml", ".tgz"]
)
"""Files that might well say what is there: each one that is not understood is listed by itself."""
_SUFFIXES = _STRUCTURED | quadlet.SUFFIXES | {
    ".txt", ".toml", ".mod", ".nix", ".list", ".names", ".ini", ".cfg", ".j2", ".gotmpl", ".tpl", ".tmpl", ".gz", ".zip",
    ".rdf", ".cdx", ".env", ".in", ".dockerfile",
}  # fmt: skip
"""What follows the dot of a file's name, and never that of a version."""
RENDER = "Render it first (`helm template`, `helmfile template`, `ansible-playbook`), and judge the result."


@dataclass(frozen=True, slots=True)
class Form:
    """A form of input: whether a file has it, and how it is read."""

    id: str
    title: str
    matches: Callable[[Source], bool]
    read: Callable[[Source, Found], None]


FORMS = (
    Form("stack", "stack.yaml", plain.matches, plain.read),
    Form("cyclonedx", "CycloneDX SBOM (JSON, XML)", cyclonedx.matches, cyclonedx.read),
    Form("spdx", "SPDX SBOM (2.2, 2.3: JSON, YAML, tag-value, XML, RDF; 3.0: JSON-LD)", spdx.matches, spdx.read),
    Form("syft", "Syft's own JSON", syft.matches, syft.read),
    Form("kubernetes", "Kubernetes manifests, or a dump of a cluster", kubernetes.matches, kubernetes.read),
    Form("compose", "Docker Compose", compose.matches, compose.read),
    Form("kolla", "globals.yml of kolla-ansible", kolla.matches, kolla.read),
    Form("osism", "OSISM: files of a release, environments", osism.matches, osism.read),
    Form("helm", "Helm chart, its values, helmfile", helm.matches, helm.read),
    Form("quadlet", "Podman Quadlet", quadlet.matches, quadlet.read),
    Form("dockerfile", "Dockerfile, Containerfile", dockerfile.matches, dockerfile.read),
    Form("tofu", "OpenTofu or Terraform lock file, state (4), plan as JSON", tofu.matches, tofu.read),
    Form("hcl", "OpenTofu or Terraform configuration (.tf)", hcl.matches, hcl.read),
    Form("lockfile", "requirements, uv, poetry, pylock, npm, go.mod", lockfiles.matches, lockfiles.read),
    Form("nix", "flake.lock; flake.nix and other Nix, without evaluating it", nix.matches, nix.read),
    Form("openstack", "OpenStack census or service catalogue (JSON)", openstack.matches, openstack.read),
    Form("proxmox", "answers of Proxmox VE's API (JSON)", proxmox.matches, proxmox.read),
    Form("running", "list of images; podman ps, docker inspect, helm list (JSON)", running.matches, running.read),
    Form("packages", "package list: dpkg, apt, rpm, dnf, apk, nix; os-release", packages.matches, packages.read),
    Form("ansible", "Ansible requirements, roles, playbooks, variables, inventories", ansible.matches, ansible.read),
    Form("names", "a list of names, one a line", names.matches, names.read),
)
"""In the order in which they are tried."""
REMEDY = "Known forms: " + "; ".join(f.title for f in FORMS) + ". Of anything else, make an SBOM."


def is_file_name(given: str) -> bool:
    """Whether somebody who writes this means a file, also if it is not there: by a slash or a known suffix."""
    return "/" in given or os.sep in given or Path(given).suffix.lower() in _SUFFIXES


named = names.stack


def read(path: Path) -> Stack:
    """The stack in a file or directory. Raises UsageError: no such file, no known form, broken.

    Half characters (of a JSON escape, of a file's name that is no UTF-8) are U+FFFD in it: no output could hold them.
    """
    return _whole(_directory(path) if path.is_dir() else _one(path))


def _whole(stack: Stack) -> Stack:
    if all(map(_is_whole, (stack.name, *_texts(stack)))):
        return stack
    parts = (
        replace(
            p, id=_mended(p.id), name=_mended(p.name), version=p.version and _mended(p.version),
            purl=p.purl and _mended(p.purl), licence=p.licence and _mended(p.licence),
            where=tuple(Place(_mended(w.file), _mended(w.spot)) for w in p.where),
            hints=tuple((form, _mended(text)) for form, text in p.hints),
        )
        for p in stack.parts
    )  # fmt: skip
    unread = (Unread(Place(_mended(u.place.file), _mended(u.place.spot)), _mended(u.reason)) for u in stack.unread)
    return replace(stack, name=_mended(stack.name), parts=tuple(parts), unread=tuple(unread))


def _texts(stack: Stack) -> Iterator[str]:
    for p in stack.parts:
        yield "".join([p.id, p.name, p.version or "", p.purl or "", p.licence or ""])
        yield from (text for _, text in p.hints)
        for place in p.where:
            yield place.file
            yield place.spot
    for u in stack.unread:
        yield "".join([u.place.file, u.place.spot, u.reason])


def _is_whole(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _mended(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _one(path: Path) -> Stack:
    opened = Source.open(path)
    source, left_out = _plain(opened)
    form = detect(source)
    if form is None:
        if templates.SUFFIX.match(path.name):
            source.fault("a template of no known form", RENDER)
        braces = source.is_yaml and next((n for n, s in enumerate(source.lines, 1) if BRACES.search(s)), None)
        if braces:
            source.fault("template braces, not YAML of a known form", RENDER, braces)
        source.fault(UNKNOWN if source.data.strip() else "empty", REMEDY)
    return _read(source, form, left_out)


def _plain(source: Source) -> tuple[Source, list[int]]:
    """A template as far as it can be read, and the lines that are left out; any other file as it is."""
    made = templates.plain(source)
    if made is None or (made[1] and not _is_known(made[0])):
        return source, []  # and the reader tells why it cannot be read
    return made


def _is_known(source: Source) -> bool:
    try:
        return detect(source) is not None
    except UsageError:
        return False


def detect(source: Source) -> Form | None:
    """The form of a file, None if it has none that is known. Raises UsageError if it is broken."""
    return next((f for f in FORMS if f.matches(source)), None)


def _read(source: Source, form: Form, left_out: Sequence[int] = ()) -> Stack:
    found = Found(source.name)
    form.read(source, found)
    for line in left_out:
        found.unread(f"line {line}", "a line of the template's own is not read")
    for line, key in source.twice:
        found.unread(f"line {line}" if line else "", f"the key {short(key)!r} stands twice; the last one counts")
    for remark in source.remarks:
        found.unread("", remark)
    return found.stack()


def _directory(path: Path) -> Stack:
    found, root = Found(str(path)), path.resolve()
    others: Counter[str] = Counter()
    strange: dict[Path, list[Path]] = {}
    for number, file in enumerate(_files(path)):
        if number >= MAX_FILES:
            found.unread("", f"more than {MAX_FILES:,} files: the rest is not read")
            break
        if file.is_symlink():
            if not file.resolve().is_relative_to(root):
                found.unread(str(file.relative_to(path)), "a link that leads out of the directory is not followed")
            continue  # what it leads to inside is read where it stands
        match _in_directory(file, str(file.relative_to(path)), found):
            case "unknown":
                strange.setdefault(file.parent, []).append(file)
            case "silent":
                others[file.suffix or file.name] += 1
    for folder, files in strange.items():
        if len(files) > MANY:
            found.unread(str(folder.relative_to(path)), f"{len(files)} files of no known form, such as {files[0].name}")
        else:
            for file in files:
                found.unread(str(file.relative_to(path)), UNKNOWN)
    if others:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(8))
        more = f" and {len(others) - 8} more kinds" if len(others) > 8 else ""
        found.unread("", f"{sum(others.values())} files of no known form: {listed}{more}")
    stack = found.stack()
    if not stack.parts and not stack.unread:
        raise UsageError(f"{path}: an empty directory", "Name a directory with files of a known form.")
    return stack


def _in_directory(file: Path, name: str, found: Found) -> Literal["done", "unknown", "silent"]:
    """Read one file of a directory. `unknown`: of no known form; `silent`: and of a kind that says nothing of a stack."""
    template = templates.SUFFIX.match(file.name) is not None
    telling = file.suffix in _STRUCTURED or file.suffix in quadlet.SUFFIXES or template
    try:
        if not telling and _is_binary(file):
            return "silent"
        source, left_out = _plain(Source.open(file))
        form = detect(source)
        if form is not None and form.id != "names":
            found.add(_read(source, form, left_out))
            return "done"
        if source.is_yaml and not source.documents:
            return "done"  # nothing, or comments only
    except UsageError as error:
        if telling:
            found.unread(name, error.what.splitlines()[0].removeprefix(f"{file}:").strip())
            return "done"
    return "unknown" if telling else "silent"


def _is_binary(file: Path) -> bool:
    """By its beginning, so that pictures and disks are not read whole."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4096)
    except OSError:
        return False
    return b"\0" in head and wide(head[: len(head) // 2 * 2]) is None


def _files(path: Path) -> Iterator[Path]:
    """All files below, in a stable order; links to directories are not followed, so that no loop is walked.

    The templates of a chart are left to `helm`, which tells that they are not rendered.
    """
    for folder, folders, files in os.walk(path):
        here = Path(folder)
        chart = "Chart.yaml" in files
        folders[:] = sorted(f for f in folders if f not in _SKIPPED and not (chart and f == "templates"))
        for name in sorted(files):
            file = here / name
            if file.is_file():
                yield file
