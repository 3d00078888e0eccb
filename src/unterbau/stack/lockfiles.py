# SPDX-License-Identifier: Apache-2.0
"""Lock files of languages: requirements.txt, uv.lock, poetry.lock, pylock.toml, package-lock.json, go.mod; package.json.

Each package is a part with its purl; one that talks to a product is not the product (`recognise`). A requirement that is not pinned has no version, unless a file of constraints
(`-c`) pins it: what gets installed is not shown there. Constraints alone install nothing. Nothing is resolved.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from unterbau.errors import UsageError
from unterbau.stack import licences, purls
from unterbau.stack.found import Found, short
from unterbau.stack.source import Source, mapping, sequence, text

_REQUIREMENT = re.compile(r"^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(.*)$")
_PINNED = re.compile(r"^={2,3}\s*([^\s,*;]+)$")
_FILE_OPTION = re.compile(r"^(-r|-c|--requirement|--constraint)[\s=]*(.+)$")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][A-Za-z0-9._-]*)")
_MODULE = re.compile(r"^(?:require\s+)?([^\s()]+)\s+(v[^\s/]+)(?:\s*//\s*(.*))?$")
_REPLACED = re.compile(r"^(?:replace\s+)?(\S+)(?:\s+v\S+)?\s+=>\s+(\S+)(?:\s+(v\S+))?")
_TOML = frozenset(["uv.lock", "poetry.lock", "pylock.toml"])
_NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
_WANTED = {"dependencies": "", "optionalDependencies": " (optional)", "devDependencies": " (for development)"}
_EXACT = re.compile(r"^[v=]?(\d+\.\d+\.\d+[\w.+-]*)$")
MAX_INCLUDED = 20


def matches(source: Source) -> bool:
    """Whether it is one, by name; requirements also by what their lines look like."""
    name = source.path.name
    if name in _TOML or re.fullmatch(r"pylock\.[^.]+\.toml", name) or _is_go(source):
        return True
    if source.is_json:
        return name in _NPM_LOCKS or "lockfileVersion" in source.object or _is_npm(source)
    if source.is_yaml:
        return False
    if re.search(r"requirements|constraints", name) and name.endswith((".txt", ".in", ".lock", ".pip")):
        return True
    lines = [s for line in source.lines[:200] if (s := line.strip()) and not s.startswith(("#", "--hash"))][:20]
    pinned = sum(
        len(s) < 1000 and re.match(r"^[A-Za-z0-9][\w.-]*(\[[^\]]*\])?\s*==\s*\d", s) is not None for s in lines
    )
    return pinned * 2 > len(lines)


def _is_npm(source: Source) -> bool:
    """A package.json which says what it wants, where no lock file beside it says what it got."""
    if source.path.name != "package.json" or not source.object.keys() & _WANTED.keys():
        return False
    return not any((source.path.parent / lock).exists() for lock in (*_NPM_LOCKS, "yarn.lock", "pnpm-lock.yaml"))


def _is_go(source: Source) -> bool:
    """By its name, also with something before it (`app-go.mod`)."""
    return re.fullmatch(r"(?:.*[._-])?go\.mod", source.path.name) is not None


def read(source: Source, found: Found) -> None:
    """Each package, at its line or JSON pointer."""
    if source.path.suffix in (".toml", ".lock") and not re.search(r"requirements|constraints", source.path.name):
        _toml(source, found)
    elif source.is_json:
        (_wanted if _is_npm(source) else _npm)(source.object, found)
    elif _is_go(source):
        _go(source, found)
    else:
        _requirements(source, found)


def _requirements(
    source: Source, found: Found, seen: frozenset[str] = frozenset(), pins: dict[str, str] | None = None
) -> None:
    pins = {} if pins is None else pins
    lines = [(n, line, _FILE_OPTION.match(line) if len(line) < 1000 else None) for n, line in _logical(source)]
    for number, _, option in lines:
        if option and option.group(1) in ("-c", "--constraint"):
            _constraints(source, option.group(2).strip(), f"line {number}", found, pins)
    if "constraints" in source.path.name and not seen:
        found.unread("", "a file of constraints: which of these are installed is not shown")
    for number, line, option in lines:
        where = f"line {number}"
        if option:
            if option.group(1) in ("-r", "--requirement"):
                _included(source, option.group(2).strip(), where, found, seen, pins)
        elif line.startswith(("-e", "--editable")) or re.match(r"^\S+://|^git\+|^\.{0,2}/", line):
            _from_elsewhere(_EGG.search(line), line, where, found)
        elif not line.startswith("-"):
            _requirement(line, where, found, pins)


def _constraints(source: Source, name: str, where: str, found: Found, pins: dict[str, str]) -> None:
    """What a file of constraints pins, by normal name."""
    if "://" in name:
        found.unread(where, f"not read: {short(_bare(name))}")
        return
    try:
        listed = [line for _, line in _logical(Source.open(source.path.parent / name))]
    except UsageError as error:
        found.unread(where, error.what)
        return
    for line in listed:
        fits = _REQUIREMENT.match(line) if len(line) < 4000 else None
        pinned = _PINNED.match(fits.group(2).partition(";")[0].strip()) if fits else None
        if fits and pinned:
            pins.setdefault(purls.normal(fits.group(1)), pinned.group(1))


def _logical(source: Source) -> Iterator[tuple[int, str]]:
    """Lines without comments and hashes; continued ones are one."""
    kept: list[str] = []
    begun = 0
    for number, raw in enumerate(source.lines, start=1):
        line = raw.strip() if raw.lstrip().startswith("#") is False else ""
        begun = begun if kept else number
        if line.endswith("\\"):
            kept.append(line[:-1])
            continue
        whole = " ".join([*kept, line]) if kept else line
        kept = []
        whole = re.split(r"\s#|\s--", whole, maxsplit=1)[0].strip()
        if whole:
            yield begun, whole


def _requirement(line: str, where: str, found: Found, pins: Mapping[str, str]) -> None:
    fits = _REQUIREMENT.match(line) if len(line) < 4000 else None
    if fits is None:
        found.unread(where, f"no requirement: {short(_bare(line))}")
        return
    name, rest = fits.groups()
    asked = rest.partition(";")[0].strip().strip("()").strip()
    if asked.startswith("@"):
        _from_elsewhere(fits, line, where, found)
    elif asked and not re.match(r"^[=<>!~]", asked):
        found.unread(where, f"no requirement: {short(_bare(line))}")
    else:
        pinned = _PINNED.match(asked)
        version = pinned.group(1) if pinned else pins.get(purls.normal(name))
        spot = where if version or not asked else f"{where} (asks for {short(asked)})"
        found.part(name, spot, version=version, purl=purls.of_python(name, version))


def _from_elsewhere(named: re.Match[str] | None, line: str, where: str, found: Found) -> None:
    """What is taken from a repository or a folder is the package that it is called, in a version that is not told."""
    if named:
        found.part(named.group(1), where, purl=purls.of_python(named.group(1), None))
    found.unread(where, f"a package from elsewhere: {short(_bare(line))}")


def _included(source: Source, name: str, where: str, found: Found, seen: frozenset[str], pins: dict[str, str]) -> None:
    path = source.path.parent / name
    if "://" in name or str(path) in seen or len(seen) > MAX_INCLUDED:
        found.unread(where, f"not read: {short(_bare(name))}")
        return
    try:
        inner = Found(str(path))
        _requirements(Source.open(path), inner, seen | {str(source.path), str(path)}, pins)
        found.add(inner.stack())
    except UsageError as error:
        found.unread(where, error.what)


def _bare(url: str) -> str:
    """Without a user or token in it."""
    return re.sub(r"//[^/@\s]*@", "//", url)


def _toml(source: Source, found: Found) -> None:
    try:
        content = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        source.fault(f"no TOML: {error}", "Make the lock file again.", int(line.group(1)) if line else None)
    except (RecursionError, ValueError) as error:
        source.fault(f"no TOML: {error}", "Make the lock file again.")
    listed = sequence(content.get("package")) or sequence(content.get("packages"))
    lines = [n for n, line in enumerate(source.lines, start=1) if line.strip() in ("[[package]]", "[[packages]]")]
    for number, package in enumerate(listed):
        where = f"line {lines[number]}" if len(lines) == len(listed) else f"/package/{number}"
        name, version = text(mapping(package).get("name")), text(mapping(package).get("version")) or None
        origin = mapping(mapping(package).get("source"))
        if not name:
            found.unread(where, f"a package without name: {short(package)}")
        elif {"virtual", "editable", "directory"} & origin.keys() or origin.get("type") == "directory":
            found.part(name, f"{where} (its own code)", version=version)
        else:
            found.part(name, where, version=version, purl=purls.of_python(name, version))
    if not listed:
        found.unread("", "no packages in it")


def _npm(lock: Mapping[str, Any], found: Found) -> None:
    packages = lock.get("packages")
    if isinstance(packages, dict):
        for path, package in packages.items():
            one = mapping(package)
            if path == "" or one.get("link") is True:
                continue
            name = text(one.get("name")) or path.rpartition("node_modules/")[2]
            where = f"/packages/{path.replace('~', '~0').replace('/', '~1')}"
            _npm_part(name, one, f"{where} (for development)" if one.get("dev") is True else where, found)
    elif isinstance(lock.get("dependencies"), dict):
        waiting = [("/dependencies", lock["dependencies"])]
        while waiting:
            place, listed = waiting.pop()
            for name, package in listed.items():
                where = f"{place}/{name.replace('/', '~1')}"
                _npm_part(name, mapping(package), where, found)
                inner = mapping(mapping(package).get("dependencies"))
                if inner:
                    waiting.append((f"{where}/dependencies", inner))
    else:
        found.unread("/packages", "no packages in it")


def _wanted(package: Mapping[str, Any], found: Found) -> None:
    """What a package.json wants; only an exact version is one."""
    for key, why in _WANTED.items():
        for name, wish in mapping(package.get(key)).items():
            where, asked = f"/{key}/{name.replace('~', '~0').replace('/', '~1')}", text(wish)
            alias = re.match(r"^npm:(@?[^@]+)(?:@(.*))?$", asked)
            if alias:
                name, asked = alias.group(1), alias.group(2) or ""
            elif ":" in asked or "/" in asked:
                found.unread(where, f"a package from elsewhere: {short(_bare(asked))}")
                continue
            exact = _EXACT.match(asked)
            version = exact.group(1) if exact else None
            namespace, slash, base = name.rpartition("/")
            purl = purls.make("npm", base if slash else name, version, namespace)
            found.part(
                name,
                where + why + ("" if version or not asked else f" (asks for {short(asked)})"),
                version=version,
                purl=purl,
            )


def _npm_part(name: str, package: Mapping[str, Any], where: str, found: Found) -> None:
    version = text(package.get("version"))
    if not name:
        found.unread(where, "a package without name")
        return
    namespace, slash, base = name.rpartition("/")
    purl = purls.make("npm", base if slash else name, version, namespace) if re.match(r"^\d", version) else None
    licence = licences.expression(package.get("license"))
    found.part(name, where, version=_bare(version) or None, purl=purl, licence=licence)


def _go(source: Source, found: Found) -> None:
    block, replaced = "", {}
    modules: list[tuple[int, str, str]] = []
    for number, raw in enumerate(source.lines, start=1):
        line = raw.strip() if len(raw) < 4000 else "?"
        opened = re.match(r"^(\w+)\s*\($", line)
        if opened:
            block = opened.group(1)
        elif line == ")":
            block = ""
        elif not line or line.startswith("//") or block in ("exclude", "retract", "tool", "ignore", "godebug"):
            continue
        elif block == "replace" or line.startswith("replace "):
            fits = _REPLACED.match(line)
            if fits:
                replaced[fits.group(1)] = (fits.group(2), fits.group(3))
        elif block == "require" or line.startswith("require "):
            required = _MODULE.match(line)
            if required:
                modules.append((number, required.group(1), required.group(2)))
            else:
                found.unread(f"line {number}", f"no module: {short(line)}")
        elif not re.match(r"^(module|go|toolchain|exclude|retract|tool|ignore|godebug)\b", line):
            found.unread(f"line {number}", f"not understood: {short(line)}")
    for number, name, version in modules:
        where, told = f"line {number}", version
        new, number_of_new = replaced.get(name, (name, version))
        local = new.startswith((".", "/"))
        if local:
            where, told = f"{where} (from the directory {short(new)})", ""
        elif new != name or number_of_new != version:
            where, name, told = f"{where} (instead of {name})", new, number_of_new or ""
        namespace, _, base = name.rpartition("/")
        found.part(
            name, where, version=told or None, purl=None if local else purls.make("golang", base, told, namespace)
        )
