# SPDX-License-Identifier: Apache-2.0
"""Images in free-form data: the values of a chart, a custom resource, variables of Ansible. Pure.

An image is a text under a key that ends in `image` (with `imageTag` or `tag` beside it), or in `image_repo` (with
`image_tag` beside it), one of the texts under a key that ends in `images`, or a mapping with `repository` (and
`registry`, `tag`, `digest`). What stands under a mapping with `enabled: false` is told as off, and is no part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unterbau.stack import image
from unterbau.stack.found import Found, short, spot
from unterbau.stack.source import BRACES, false, mapping, text

_KEY = re.compile(r"(?:^|[a-z_-])(?:image|Image|imageName|image_name|docker_image|container_image)$|^image$")
_REPOSITORY = re.compile(r"^(.*image)_(?:repo|repository|name)$")
_SEVERAL = re.compile(r"(?:^|_)images$")
_NAMES = ("repository", "name", "repo", "image")
_NO = re.compile(r"^(?:true|false|always|never|ifnotpresent|\d+|raw|qcow2)?$", re.IGNORECASE)


def search(
    tree: Any, path: str, what: str, found: Found, *, tag: str = "", registry: str = "", missing: str = ""
) -> None:  # fmt: skip
    """Every image in a tree. `tag` is what an empty tag stands for, `registry` what an absent registry does."""
    waiting: list[tuple[Any, str, bool]] = [(tree, path, False)]
    visited = 0
    while waiting:
        node, place, off = waiting.pop()
        visited += 1
        if visited > 2_000_000:
            found.unread(place, "too much to look through")
            return
        if isinstance(node, list):
            waiting += [(v, f"{place}/{n}", off) for n, v in reversed(list(enumerate(node)))]
        elif isinstance(node, dict):
            off = off or any(false(node.get(k)) for k in ("enabled", "create", "install", "deploy"))
            deeper = []
            for key, value in node.items():
                if isinstance(value, (dict, list)) and _SEVERAL.search(key):
                    _each(value, f"{place}/{key}", what, found, off=off)
                reference = _reference(key, value, tag, registry, node)
                if reference is not None:
                    _tell(reference, spot(node, key, place, what), found, off=off, missing=missing)
                elif isinstance(value, (dict, list)):
                    deeper.append((value, f"{place}/{key.replace('~', '~0').replace('/', '~1')}", off))
            waiting += reversed(deeper)


def _each(listed: Any, path: str, what: str, found: Found, *, off: bool) -> None:
    """Images under a key such as `images`: only what is one without a doubt, with an owner and a tag."""
    for key, value in listed.items() if isinstance(listed, dict) else enumerate(listed):
        parsed = image.parse(value) if isinstance(value, str) else None
        templated = isinstance(value, str) and BRACES.search(value) and image.parse(value.rpartition(":")[0])
        if (parsed is not None and "/" in value and parsed.version) or templated:
            _tell(value, spot(listed, key, path, what), found, off=off, missing="")


def _reference(key: str, value: Any, tag: str, registry: str, beside: Mapping[str, Any]) -> str | None:
    """The image reference that stands under a key, None if it is none."""
    if isinstance(value, dict):
        named = next((text(value.get(n)) for n in _NAMES if text(value.get(n))), "")
        looks = _KEY.search(key) or ("repository" in value and ("tag" in value or "digest" in value))
        if not looks or not named or not ({"repository", "tag", "registry", "digest", "repo"} & value.keys()):
            return None
        return _joined(value, named, tag, registry)
    several = _REPOSITORY.match(key)
    if several and isinstance(value, str) and "/" in value:
        tagged = text(beside.get(f"{several.group(1)}_tag")) or tag
        return f"{value.strip()}:{tagged}" if tagged else value.strip()
    if not isinstance(value, str) or not _KEY.search(key) or _NO.match(value.strip()):
        return None
    told = value.strip()
    if BRACES.search(told):
        return told
    parsed = image.parse(told)
    if " " in told or not ("/" in told or ":" in told or parsed):
        return None
    own = next((t for n in (f"{key}Tag", f"{key}_tag", f"{key[:-5]}tag", "tag") if (t := text(beside.get(n)))), tag)
    return f"{told}:{own}" if own and parsed is not None and parsed.version is None else told


def _joined(value: Mapping[str, Any], named: str, tag: str, registry: str) -> str:
    host = text(value.get("registry")) or text(mapping(value.get("image")).get("registry")) or registry
    version, digest = text(value.get("tag")) or text(value.get("version")) or tag, text(value.get("digest"))
    version, at, inside = version.partition("@")
    digest = inside if at else digest
    if ":" in named.rpartition("/")[2] and not text(value.get("tag")):
        version = ""
    reference = f"{host.rstrip('/')}/{named}" if host and not named.startswith(f"{host}/") else named
    reference = f"{reference}:{version}" if version else reference
    return f"{reference}@{digest}" if digest else reference


def _tell(reference: str, where: str, found: Found, *, off: bool, missing: str) -> None:
    if off:
        found.unread(where, f"switched off here: {short(reference)}")
    elif BRACES.search(reference):
        body, _, tag = reference.rpartition(":")
        if BRACES.search(tag) and "/" not in tag and image.parse(body) is not None:
            found.image(body, where)
        found.unread(where, f"a template fills this in: {short(reference)}")
    else:
        found.image(reference, where)
        parsed = image.parse(reference)
        if missing and parsed is not None and parsed.version is None:
            found.unread(where, f"{missing}: {short(reference)}")
