# SPDX-License-Identifier: Apache-2.0
"""Flakes of Nix: flake.lock (which nixpkgs), and of a flake.nix or a module what plainly stands there.

There is no parser of the language here, and nothing is evaluated. Read are inputs by their URL, `services.X.enable =
true` and `virtualisation.X.enable = true`, `X.enable = true` in a `services = { … }`, and packages that a list names
(`environment.systemPackages = with pkgs; [ … ]`). A list or a block that holds more than plain names is told with its
line. That a package is named in an expression elsewhere is not seen, and that is told, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from unterbau.catalogue.model import Layer
from unterbau.stack.found import Found, short
from unterbau.stack.source import Source, mapping, text

_URL = re.compile(r"""(?:^|[\s{;])(?:inputs\.)?([\w-]+)(?:\.url\s*=|\s*=\s*\{\s*url\s*=)\s*"([^"]+)\"""")
_REST = r'(?:\.[\w-]+|\."[^"\n]*")*'
_ON = r"\s*=\s*true\s*;"
_ENABLED = re.compile(
    rf"(?:^|[\s{{;])(?:services|virtualisation)\.([\w-]+){_REST}(?:\.enable{_ON}|\s*=\s*\{{[^{{}}]*?\benable{_ON})"
)
_BLOCK = re.compile(r"(?:^|[\s{;])(?:services|virtualisation)\s*=\s*\{")
_INNER = re.compile(rf"(?<![\w.\"-])([\w-]+){_REST}(?:\.enable{_ON}|\s*=\s*\{{[^{{}}]*?\benable{_ON})")
_PACKAGES = re.compile(r"(?:systemPackages|home\.packages|buildInputs|packages)\s*=\s*(with\s+pkgs\s*;\s*)?\[")
_PACKAGE = re.compile(r"(?:pkgs\.)?([A-Za-z][\w-]*)")
_TOKEN = re.compile(r"[\[\](){}]|[^\s\[\](){}]+")
_NIXPKGS = re.compile(r"nixpkgs(?:-unstable)?$|nixos-(\d\d\.\d\d|unstable)")
_RELEASE = re.compile(r"(?:nixos|nixpkgs|release)-(\d\d\.\d\d)")
MOST, MAX_BYTES = 200, 1 << 20
NOT_EVALUATED = (
    "Nix is not evaluated: only what plainly stands there is read; judge `nix-store -q --requisites` of the result, too"
)


def matches(source: Source) -> bool:
    """Whether it is a flake's lock, or Nix by its suffix."""
    if source.path.suffix == ".nix":
        return True
    return source.is_json and isinstance(source.object.get("nodes"), dict) and "root" in source.object


def read(source: Source, found: Found) -> None:
    """What it names, at its lines or JSON pointers."""
    if source.is_json:
        _lock(source, found)
    else:
        _text(source, found)


def _lock(source: Source, found: Found) -> None:
    root = text(source.object.get("root"))
    for name, node in mapping(source.object.get("nodes")).items():
        if name == root:
            continue
        original, locked = mapping(mapping(node).get("original")), mapping(mapping(node).get("locked"))
        repository = text(original.get("repo")) or text(locked.get("repo")) or text(original.get("id")) or name
        _input(repository, text(original.get("ref")), text(locked.get("rev")), f"/nodes/{name}", found)


def _input(name: str, reference: str, revision: str, where: str, found: Found) -> None:
    fits = _RELEASE.search(reference)
    if name == "nixpkgs":
        found.part(name, where, version=fits.group(1) if fits else reference or revision or None,
                   hints=(("name", name),), layer=Layer.OPERATING_SYSTEM)  # fmt: skip
    else:
        found.part(f"flake {name}", where, version=reference or revision or None)


def _text(source: Source, found: Found) -> None:
    if len(source.data) > MAX_BYTES:
        source.fault(f"larger than {MAX_BYTES >> 20} MiB", "Name the files that say what runs.")
    plain = _without_comments(source.text)
    for fits in _URL.finditer(plain):
        where, url = _line(plain, fits.start(2)), fits.group(2)
        reference = url.rstrip("/").rpartition("/")[2]
        is_nixpkgs = "nixpkgs" in url.lower() and _NIXPKGS.search(url) is not None
        _input("nixpkgs" if is_nixpkgs else fits.group(1), reference if is_nixpkgs else "", "", where, found)
    for name, at in _enabled(plain):
        found.part(name, _line(plain, at), hints=(("name", name), ("package", name)))
    for fits in islice(_PACKAGES.finditer(plain), MOST):
        _packages(fits, plain, found)
    found.unread("", NOT_EVALUATED)


def _enabled(plain: str) -> Iterator[tuple[str, int]]:
    for fits in _ENABLED.finditer(plain):
        yield fits.group(1), fits.start(1)
    for block in islice(_BLOCK.finditer(plain), MOST):
        end = _closing(plain, block.end() - 1)
        for fits in _INNER.finditer(plain, block.end(), end):
            yield fits.group(1), fits.start(1)


def _packages(fits: re.Match[str], plain: str, found: Found) -> None:
    """The plain names of a list; what stands in brackets inside of it is told as one."""
    with_pkgs, depth = fits.group(1) is not None, 0
    for word in _TOKEN.finditer(plain, fits.end()):
        part = word.group()
        if part in "])}" and depth == 0:
            return
        if part in "([{":
            if depth == 0:
                found.unread(_line(plain, word.start()), "an expression in a list of packages is not evaluated")
            depth += 1
        elif part in "])}":
            depth -= 1
        elif depth == 0:
            _package(part, with_pkgs, _line(plain, word.start()), found)


def _package(token: str, with_pkgs: bool, where: str, found: Found) -> None:
    named = _PACKAGE.fullmatch(token)
    if named and (with_pkgs or token.startswith("pkgs.")):
        found.hinted("package", named.group(1), where)
    else:
        found.unread(where, f"not a plain name of a package: {short(token)}")


def _closing(plain: str, opened: int) -> int:
    """Behind the brace that closes the one at `opened`."""
    depth = 0
    for fits in re.compile(r"[{}]").finditer(plain, opened):
        depth += 1 if fits.group() == "{" else -1
        if depth == 0:
            return fits.end()
    return len(plain)


def _without_comments(written: str) -> str:
    """With as many lines."""
    kept = (
        re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), written, flags=re.DOTALL)
        if "*/" in written
        else written
    )
    return re.sub(r"(^|\s)#[^\n]*", r"\1", kept)


def _line(plain: str, at: int) -> str:
    return f"line {plain.count(chr(10), 0, at) + 1}"
