# SPDX-License-Identifier: Apache-2.0
"""Docker Compose: the image of each service, with profiles, `extends`, `include`, and the defaults of variables.

Variables come from the `.env` beside the file, else from their default (`${X:-1.2}`); this process's environment is
not asked, so that the same files always say the same. A service that is only built is told, and the images that its
Dockerfile begins with are read. Nothing is pulled or resolved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unterbau.errors import UsageError
from unterbau.stack import dockerfile
from unterbau.stack.found import Found, short, spot
from unterbau.stack.source import Source, mapping, sequence, text
from unterbau.stack.variables import GONE, interpolate

_NAMES = re.compile(r"^(?:docker-)?compose.*\.ya?ml$|^.*[.-]compose\.ya?ml$", re.IGNORECASE)
_JSON_NAMES = re.compile(r"^(?:.*[.-])?compose.*\.json$", re.IGNORECASE)
MAX_FILES = 20


def matches(source: Source) -> bool:
    """Whether it is one: a mapping with `services` that are mappings, or `include`, or the name of one."""
    if not source.is_yaml and not (_JSON_NAMES.match(source.path.name) and "services" in source.object):
        return False  # `docker compose config --format json` writes JSON, which is YAML, too
    found = source.document
    if not isinstance(found, dict) or "apiVersion" in found:
        return False
    services = found.get("services")
    if isinstance(services, dict):
        keys = {"image", "build", "extends", "provider", "environment", "deploy"}
        return any(isinstance(s, dict) and keys & s.keys() for s in services.values())
    return _NAMES.match(source.path.name) is not None and ("include" in found or "services" in found)


def read(source: Source, found: Found) -> None:
    """Each service's image, at its line."""
    _Reader(source, found).read()


class _Reader:
    def __init__(self, source: Source, found: Found) -> None:
        self.found = found
        self.files: dict[Path, Source] = {source.path: source}
        self.included = {source.path}
        self.source = source
        self.variables = _env(source.path.parent / ".env", found)

    def read(self) -> None:
        top = mapping(self.source.document)
        for number, included in enumerate(sequence(top.get("include"))):
            self._include(top, number, included)
        self._override()
        services = mapping(top.get("services"))
        for name, service in services.items():
            where = spot(services, name, "/services", f"service {name}{_profiles(service)}")
            if isinstance(service, dict):
                self._service(name, service, where)
            else:
                self.found.unread(where, "a service that is no mapping")

    def _override(self) -> None:
        path = self.source.path
        other = path.with_name(f"{path.stem}.override{path.suffix}")
        if path.stem in ("compose", "docker-compose") and other.is_file():
            self.found.unread("", f"{other.name} beside it changes it: name both, or the directory")

    def _include(self, top: Mapping[str, Any], number: int, included: Any) -> None:
        where = spot(top["include"], number, "/include")
        paths = mapping(included).get("path") if isinstance(included, dict) else included
        for path in paths if isinstance(paths, list) else [paths]:
            name = self._value(text(path))
            other = self._open(name, where, self.source) if name else None
            if other is None or other.path in self.included:
                continue
            self.included.add(other.path)
            inner = Found(other.name)
            reader = _Reader(other, inner)
            reader.files, reader.included = self.files, self.included
            reader.read()
            self.found.add(inner.stack())

    def _service(self, name: str, service: Mapping[str, Any], where: str) -> None:
        image, build = service.get("image"), service.get("build")
        owner, base, seen = self.source, service, {(self.source.path, name)}
        while image is None and build is None and base.get("extends") is not None:
            followed = self._extended(base["extends"], where, owner)
            if followed is None:
                return
            owner, wanted, base = followed
            if (owner.path, wanted) in seen:
                self.found.unread(where, "`extends` leads in a circle")
                return
            seen.add((owner.path, wanted))
            image, build = base.get("image"), base.get("build")
        if image is not None:
            own = spot(service, "image", f"/services/{name}", f"service {name}{_profiles(service)}")
            self._image(text(image), own if "image" in service else where)
        if build is not None:
            self._build(build, where, owner, named=image is not None)
        if image is None and build is None:
            provider = text(mapping(service.get("provider")).get("type"))
            what = f"made by the provider {provider}" if provider else "neither `image` nor `build`"
            if provider or not self._elsewhere(name):
                self.found.unread(where, what)

    def _elsewhere(self, name: str) -> bool:
        """Whether it only changes a service that another file beside it defines, as an override does."""
        for other in sorted(self.source.path.parent.glob("*compose*.y*ml")):
            try:
                found = None if other == self.source.path else Source.open(other).document
            except UsageError:
                continue
            service = mapping(mapping(mapping(found).get("services")).get(name))
            if "image" in service or "build" in service:
                return True
        return False

    def _extended(self, extends: Any, where: str, owner: Source) -> tuple[Source, str, Mapping[str, Any]] | None:
        wanted = text(mapping(extends).get("service")) if isinstance(extends, dict) else text(extends)
        file = self._value(text(mapping(extends).get("file")))
        if file:
            other = self._open(file, where, owner)
            if other is None:
                return None
            owner = other
        base = mapping(mapping(owner.document).get("services")).get(wanted)
        if not isinstance(base, dict):
            self.found.unread(where, f"extends {wanted}, which is not in {owner.path.name}")
            return None
        return owner, wanted, base

    def _open(self, name: str, where: str, owner: Source) -> Source | None:
        if "://" in name or GONE in name:
            self.found.unread(where, f"{short(name)} is not fetched")
            return None
        path = owner.path.parent / name
        if path in self.files:
            return self.files[path]
        if len(self.files) >= MAX_FILES:
            self.found.unread(where, f"{short(name)}: more than {MAX_FILES} files belong together")
            return None
        try:
            self.files[path] = Source.open(path)
            _ = self.files[path].documents
        except UsageError as error:
            self.found.unread(where, error.what)
            return None
        return self.files[path]

    def _image(self, written: str, where: str) -> None:
        value = self._value(written)
        if GONE not in value:
            self.found.image(value, where)
            return
        name, colon, tag = value.rpartition(":")
        if colon and GONE in tag and GONE not in name and "/" not in tag:
            self.found.image(name, where)
            self.found.unread(where, f"the version is a variable without default: {short(written)}")
        else:
            self.found.unread(where, f"the image is a variable without default: {short(written)}")

    def _build(self, build: Any, where: str, owner: Source, *, named: bool) -> None:
        context = text(mapping(build).get("context")) if isinstance(build, dict) else text(build)
        file = text(mapping(build).get("dockerfile")) or "Dockerfile"
        if not named:
            self.found.unread(
                where, f"built from {short(context or '.')}, not taken from a registry: judge the SBOM of its build"
            )
        arguments = mapping(build).get("args")
        given = {k: self._value(text(v)) for k, v in mapping(arguments).items() if v is not None}
        written = mapping(build).get("dockerfile_inline")
        if written is not None:
            inner = Found(f"{owner.name}: {where}, dockerfile_inline")
            dockerfile.read_with(Source(owner.path, text(written).encode()), inner, given)
            self.found.add(inner.stack())
            return
        if "://" in context or context.startswith("git@"):
            return
        path = owner.path.parent / self._value(context or ".").replace(GONE, "") / self._value(file).replace(GONE, "")
        try:
            if path.is_file():
                inner = Found(str(path))
                dockerfile.read_with(Source.open(path), inner, given)
                self.found.add(inner.stack())
        except (UsageError, OSError, ValueError) as error:
            self.found.unread(where, f"{short(path)}: {getattr(error, 'what', error)}")

    def _value(self, written: str) -> str:
        return interpolate(written, self.variables)


def _profiles(service: Any) -> str:
    named = ", ".join(text(p) for p in sequence(mapping(service).get("profiles")))
    return f", only in profile {named}" if named else ""


def _env(path: Path, found: Found) -> dict[str, str]:
    """The variables in `.env`; none of them is ever told."""
    try:
        if not path.is_file():
            return {}
        lines = Source.open(path).lines
    except (UsageError, OSError):
        found.unread("", f"{path} cannot be read; its variables count as not set")
        return {}
    variables = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            variables[name.strip()] = value[1:-1] if quoted else value.split(" #")[0].strip()
    return variables
