# SPDX-License-Identifier: Apache-2.0
"""Ansible: requirements, a role's meta, a collection's galaxy.yml, playbooks and tasks, variables, inventories.

Read are collections, roles (one that runs always and is called like a technology counts as it), the packages, images
and charts that tasks name, and in files of variables `redis_version: 7.2` or an image. A version among the variables of
a play is a number to compare with, and no installation. Nothing is run; into an image is filled what stands as plain
text in the same file (`jinja`). An inventory alone says which machines there are, not what runs on them, and that is
told. Vaults and the values of other variables are never kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from unterbau.errors import UsageError
from unterbau.stack import images_in, jinja
from unterbau.stack.found import Found, Hints, short, spot
from unterbau.stack.source import BRACES, Source, mapping, sequence, text

_PACKAGES = frozenset(["apt", "dnf", "yum", "package", "apk", "zypper", "pacman", "dnf5"])
_CHARTS = frozenset(["helm", "kubernetes.core.helm", "community.kubernetes.helm"])
_TASK_LISTS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
_VERSION = re.compile(r"^([a-z][a-z0-9]*(?:_[a-z0-9]+)*?)_version$")
_NUMBER = re.compile(r"^v?\d+(?:\.[\w-]+)*(?:[-+~:][\w.+~-]+)?$")
_MODULE = re.compile(r"^([a-z][a-z0-9_]*\.[a-z][a-z0-9_]*)\.[a-z][a-z0-9_.]*$")
_GROUP = re.compile(r"^\[([A-Za-z0-9_.-]+)(?::(\w+))?\]\s*(?:[#;].*)?$")
_HOST = re.compile(r"^([A-Za-z0-9_.:\[\]-]+)(?:\s+(.*))?$")
_VARIABLE_FOLDERS = frozenset(["group_vars", "host_vars", "vars", "defaults"])
_CONTROL = frozenset(["name", "when", "become", "tags", "register", "vars", "loop", "with_items", "notify"])
_BUILT_IN = frozenset(["ansible.builtin", "ansible.legacy"])


def matches(source: Source) -> bool:
    """Whether it is one of Ansible's files, by content, or by where it stands."""
    if source.is_yaml:
        found = source.document
        if isinstance(found, dict):
            return _is_requirements(source, found) or _is_meta(found) or _is_inventory(found) or _is_variables(source)
        return isinstance(found, list) and any(_is_play(p) or _is_role(p) or _is_task(p, source) for p in found)
    if source.is_json or source.path.suffix not in ("", ".ini", ".cfg", ".inventory"):
        return False
    return _is_ini(source)


def _is_requirements(source: Source, found: Mapping[str, Any]) -> bool:
    if source.path.stem == "galaxy" and "namespace" in found:
        return True
    listed = [*sequence(found.get("collections")), *sequence(found.get("roles"))]
    return bool(listed) and not found.keys() - {"collections", "roles"}


def _is_meta(found: Mapping[str, Any]) -> bool:
    return "galaxy_info" in found


def _is_inventory(found: Mapping[str, Any]) -> bool:
    groups = [g for g in found.values() if isinstance(g, dict)]
    return bool(groups) and all(g.keys() <= {"hosts", "children", "vars"} and g for g in groups)


def _is_variables(source: Source) -> bool:
    if _VARIABLE_FOLDERS & set(source.path.parts[:-1]):
        return True
    images = [k for k, v in mapping(source.document).items() if k.endswith("_image") and isinstance(v, str)]
    return len(images) > 1 and all(re.fullmatch(r"[a-z][a-z0-9_]*", k) for k in mapping(source.document))


def _is_play(one: Any) -> bool:
    return isinstance(one, dict) and (
        "hosts" in one or "import_playbook" in one or "ansible.builtin.import_playbook" in one
    )


def _is_role(one: Any) -> bool:
    return isinstance(one, dict) and ("src" in one or {"name", "version"} <= one.keys())


def _is_task(one: Any, source: Source) -> bool:
    if not isinstance(one, dict):
        return False
    in_folder = bool({"tasks", "handlers", "playbooks"} & set(source.path.parts[:-1]))
    return any(_MODULE.match(k) for k in one) or (in_folder and ("name" in one or "include_tasks" in one))


def _is_ini(source: Source) -> bool:
    lines = [s for line in source.lines[:400] if (s := line.strip()) and not s.startswith(("#", ";"))]
    groups = [g for g in map(_GROUP.match, lines) if g]
    named = (
        source.path.name.lower() in ("hosts", "inventory", "hosts.ini", "inventory.ini") or "ansible_" in source.text
    )
    typed = any(g.group(2) in ("children", "vars") for g in groups)
    return bool(groups) and (named or typed) and not any("=" in line.partition(" ")[0] for line in lines[:1])


def read(source: Source, found: Found) -> None:
    """What the file names."""
    if not source.is_yaml:
        _ini(source, found)
        return
    for document in source.documents:
        if isinstance(document, list):
            _plays(document, "", found)
        elif not isinstance(document, dict):
            found.unread("", "neither a mapping nor a list")
        elif _is_requirements(source, document):
            _requirements(document, found)
        elif _is_meta(document):
            _roles(document, "dependencies", found)
            _collections(document, "collections", found)
        elif _is_inventory(document):
            _inventory(document, found)
        else:
            variables(document, "", found, others=_defaults(source))


def _defaults(source: Source) -> Mapping[str, Any]:
    """The defaults of the role whose `vars` these are."""
    path = source.path.parent.parent / "defaults" / source.path.name
    if source.path.parent.name != "vars" or not path.is_file():
        return {}
    try:
        return mapping(Source.open(path).document)
    except UsageError:
        return {}


def _requirements(document: Mapping[str, Any], found: Found) -> None:
    if "namespace" in document:
        for name, version in mapping(document.get("dependencies")).items():
            found.released("collection", name, spot(document["dependencies"], name), "collection", text(version))
        return
    _collections(document, "collections", found)
    _roles(document, "roles", found)


def _collections(document: Mapping[str, Any], key: str, found: Found) -> None:
    listed = document.get(key)
    for number, told in enumerate(sequence(listed)):
        where = spot(listed, number, f"/{key}")
        name = (
            text(told)
            if isinstance(told, str)
            else text(mapping(told).get("name")) or text(mapping(told).get("source"))
        )
        name, colon, inline = (
            name.partition(":") if "://" not in name and not name.startswith("git@") else (name, "", "")
        )
        version = text(mapping(told).get("version")) or (inline if colon else "")
        if not name or "/" in name:
            found.unread(where, f"a collection from elsewhere: {short(_bare(name))}")
        else:
            found.released("collection", name, where, "collection", version)


def _roles(document: Mapping[str, Any], key: str, found: Found) -> None:
    listed = document.get(key)
    for number, told in enumerate(sequence(listed)):
        _role(told, spot(listed, number, f"/{key}"), found)


def _role(told: Any, where: str, found: Found) -> None:
    if isinstance(told, str):
        parts = told.split(",")
        name, version = parts[0].strip(), parts[1].strip() if len(parts) > 1 else ""
        when = ""
    else:
        one = mapping(told)
        name = text(one.get("name")) or text(one.get("role")) or text(one.get("src"))
        version, when = text(one.get("version")), text(one.get("when"))
        when = when or ("some conditions hold" if "when" in one else "")
    if not name or BRACES.search(name):
        found.unread(where, f"a role that is not told by name: {short(name)}".rstrip(": "))
        return
    if "://" in name or name.startswith("git@"):
        name = name.rstrip("/").rpartition("/")[2].removesuffix(".git")
    if when:
        found.released("collection", name, f"{where} (only when {short(when)})", "role", version)
        return
    told_by = name.rpartition(".")[2].removeprefix("ansible-role-").replace("_", "-")
    place = f"{where} (role {version})" if version else where
    hints: Hints = (("collection", name), ("name", told_by))
    if name.count(".") == 2:
        hints = (*hints, ("collection", name.rpartition(".")[0]))
    found.part(name, place, hints=hints)


def _bare(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def _plays(listed: Any, path: str, found: Found) -> None:
    """Plays and tasks; blocks are opened."""
    waiting = [(listed, path)]
    while waiting:
        some, place = waiting.pop()
        for number, one in enumerate(sequence(some)):
            here = f"{place}/{number}"
            if not isinstance(one, dict):
                found.unread(spot(some, number, place), "neither a play nor a task")
                continue
            if not _is_play(one) and _is_role(one) and not _modules(one):
                _role(one, spot(some, number, place), found)
                continue
            _roles(one, "roles", found)
            _collections(one, "collections", found)
            _play_variables(mapping(one.get("vars")), f"{here}/vars", found)
            for key in _TASK_LISTS:
                if key in one:
                    waiting.append((one[key], f"{here}/{key}"))
            _task(one, here, found)


def _modules(task: Mapping[str, Any]) -> list[str]:
    return [k for k in task if k not in _CONTROL and (_MODULE.match(k) or k in _PACKAGES or k in _CHARTS)]


def _task(task: Mapping[str, Any], path: str, found: Found) -> None:
    for key in _modules(task):
        where = spot(task, key, path)
        qualified = _MODULE.match(key)
        module = key.rpartition(".")[2]
        if qualified and qualified.group(1) not in _BUILT_IN:
            found.part(qualified.group(1), where, hints=(("collection", qualified.group(1)),))
        asked = task[key]
        if module in _PACKAGES and (not qualified or qualified.group(1) in _BUILT_IN or module != "package"):
            _packages(asked, where, found)
        elif key in _CHARTS:
            _chart(asked, where, found)
        else:
            images_in.search(asked, f"{path}/{key}", key, found)


def _packages(asked: Any, where: str, found: Found) -> None:
    state = text(mapping(asked).get("state"))
    names = (
        mapping(asked).get("name", mapping(asked).get("pkg")) if isinstance(asked, dict) else _short_form(text(asked))
    )
    if state == "absent" or names is None:
        return
    for name in names if isinstance(names, list) else text(names).split(","):
        told = text(name)
        if not told:
            continue
        package, equals, version = told.partition("=")
        if BRACES.search(package) or "/" in package or "*" in package:
            found.unread(where, f"a package that is not told by name: {short(told)}")
            continue
        if BRACES.search(version):
            found.unread(where, f"a template fills this in: {short(told)}")
            equals = ""
        found.hinted("package", package.strip(), where, version.strip("= ") if equals else None)


def _short_form(asked: str) -> str | None:
    fits = re.search(r"\b(?:name|pkg)=(\S+)", asked)
    return fits.group(1) if fits and "state=absent" not in asked else None


def _chart(asked: Any, where: str, found: Found) -> None:
    chart = text(mapping(asked).get("chart_ref")) or text(mapping(asked).get("chart"))
    if not chart or BRACES.search(chart) or chart.startswith((".", "/")):
        found.unread(where, f"a chart that stands elsewhere: {short(chart)}")
        return
    found.released(
        "chart", chart.rstrip("/").rpartition("/")[2], where, "chart", text(mapping(asked).get("chart_version"))
    )
    images_in.search(mapping(asked).get("values") or mapping(asked).get("release_values"), where, "values", found)


def _play_variables(tree: Any, path: str, found: Found) -> None:
    for key, value in mapping(tree).items():
        if _VERSION.match(key) and _NUMBER.match(text(value)):
            found.unread(spot(tree, key, path), f"a variable of a play, and no installation: {key}")
    images_in.search(jinja.filled(tree), path, "variable", found)


def variables(tree: Any, path: str, found: Found, *, others: Mapping[str, Any] | None = None) -> None:
    """Versions and images among variables: `redis_version: 7.2`. Other values are not looked at.

    `others` are variables that belong to it and stand in another file.
    """
    tree = jinja.filled(tree, others)
    for key, value in mapping(tree).items():
        fits, told = _VERSION.match(key), text(value)
        if not fits or not told:
            continue
        if _NUMBER.match(told):
            found.hinted("name", fits.group(1).replace("_", "-"), spot(tree, key, path), told)
        elif BRACES.search(told):
            found.unread(spot(tree, key, path), f"a template fills this in: {key}")
    images_in.search(tree, path, "variable", found)


def _inventory(document: Mapping[str, Any], found: Found) -> None:
    groups: list[str] = []
    hosts: set[str] = set()
    waiting: list[tuple[str, Any]] = [("", {"children": document})]
    while waiting and len(groups) < 100_000:
        path, group = waiting.pop()
        for name, told in mapping(group.get("hosts")).items():
            hosts.add(name)
            variables(told, f"{path}/hosts/{name}", found)
        variables(mapping(group.get("vars")), f"{path}/vars", found)
        for name, inner in mapping(group.get("children")).items():
            groups.append(name)
            waiting.append((f"{path}/children/{name}", mapping(inner)))
    _machines(hosts, groups, found)


def _machines(hosts: set[str], groups: list[str], found: Found) -> None:
    listed = short(", ".join(sorted(set(groups) - {"all", "ungrouped"})))
    found.unread(
        "",
        f"an inventory of {len(hosts)} {'host' if len(hosts) == 1 else 'hosts'} ({listed}): it does not say what runs on them",
    )


def _ini(source: Source, found: Found) -> None:
    groups: list[str] = []
    hosts: set[str] = set()
    kind = None
    for number, line in _entries(source):
        header = _GROUP.match(line)
        if header:
            kind = header.group(2)
            groups.append(header.group(1))
        elif kind == "vars":
            key, equals, value = line.partition("=")
            if equals:
                _pair(key.strip(), value.strip().strip("\"'"), number, found)
        elif kind is None:
            host = _HOST.match(line)
            if host is None:
                found.unread(f"line {number}", "no host")
                continue
            hosts.add(host.group(1))
            for key, value in re.findall(r"([A-Za-z_]\w*)=(\S+)", host.group(2) or ""):
                _pair(key, value.strip("\"'"), number, found)
    _machines(hosts, groups, found)


def _pair(key: str, value: str, number: int, found: Found) -> None:
    inner = Found(found.file)
    variables({key: value}, "", inner)
    for part in inner.stack().parts:
        found.part(part.name, f"line {number}", version=part.version, hints=part.hints)
    for unread in inner.stack().unread:
        found.unread(f"line {number}", unread.reason)


def _entries(source: Source) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.lines, start=1):
        bare = line.strip()
        if bare and not bare.startswith(("#", ";")):
            yield number, bare
