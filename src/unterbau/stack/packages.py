# SPDX-License-Identifier: Apache-2.0
"""Lists of installed packages: dpkg, apt, rpm, dnf, apk, nix; and os-release, which tells the operating system.

    dpkg-query -W            name, tab, version          rpm -qa            name-version-release.arch
    /var/lib/dpkg/status     Package:, Version:          dnf list installed name.arch  version  @repository
    dpkg -l, apt list        ii name version             apk info -v, apk list, /lib/apk/db/installed
    nix profile list --json, nix-store -q --requisites   /nix/store/HASH-name-version

The form is told by the lines themselves. A line that does not fit is listed. What a list itself calls not installed
(removed, available) is no part. Versions stay the distribution's own; ranges of the catalogue compare upstream numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from unterbau.catalogue.model import Layer
from unterbau.stack import licences
from unterbau.stack.found import Found, short
from unterbau.stack.source import Source, mapping, text

_ARCH = r"(?:x86_64|noarch|aarch64|i[3-6]86|ppc64le|s390x|armv7hl|armhfp|riscv64|src|\(none\))"
_LINES: dict[str, re.Pattern[str]] = {
    "apt list": re.compile(r"^(?P<name>[a-z0-9][a-z0-9+.-]*)/(?P<_suite>\S+) (?P<version>\S+) (?P<_arch>\S+)(?: \[(?P<mark>.*)\])?$"),
    "dpkg -l": re.compile(r"^[uirph](?P<mark>[nicUFHWt])[ R]? +(?P<name>[a-z0-9][a-z0-9+.-]*)(?::\w[\w-]*)? +(?P<version>\d\S*|<\S+>)(?: .*)?$"),
    "dpkg-query -W": re.compile(r"^(?P<name>[a-z0-9][a-z0-9+.-]*)(?::\w[\w-]*)?\t(?P<version>(?:\d\S*)?)(?:\t.*)?$"),
    "apk list": re.compile(r"^(?P<name>[a-zA-Z0-9][\w+.-]*?)-(?P<version>\d[\w.+~]*-r\d+) (?P<_arch>\S+) \{.*?\} \((?P<licence>.*?)\)(?: \[(?P<mark>.*)\])?$"),
    "apk info -v": re.compile(r"^(?P<name>[a-zA-Z0-9][\w+.-]*?)-(?P<version>\d[\w.+~]*-r\d+)$"),
    "rpm -qa": re.compile(rf"^(?P<name>[A-Za-z0-9_][\w+.-]*)-(?P<version>[^-\s]+)-(?P<_release>[^-\s]+)\.{_ARCH}$"),
    "dnf list": re.compile(rf"^(?P<name>[A-Za-z0-9_][\w+.-]*)\.{_ARCH}\s+(?P<version>\S+)\s+@?\S+$"),
    "nix": re.compile(r"^/nix/store/[0-9a-z]{32}-(?P<name>[A-Za-z0-9][\w+.-]*?)(?:-(?P<version>\d[\w.+-]*?))?(?:-(?:bin|dev|lib|out|doc|man|info|debug|devdoc|data|dist|static|modules))?(?:/\S*)?$"),
}  # fmt: skip
_HEADINGS = re.compile(
    r"^(?:Listing\.\.\.|Desired=|\| Status|\|?\|/|\+\+\+-|WARNING: |Last metadata|gpg-pubkey-|Auflistung|Gewünscht=|\| Status=)"
)
_INSTALLED = re.compile(r"^(?:Installed [Pp]ackages|Installierte Pakete)$")
_AVAILABLE = re.compile(
    r"^(?:(?:Available|Recently [Aa]dded|Obsoleting) [Pp]ackages|Available [Uu]pgrades|Verfügbare Pakete)$"
)
_OLDER = re.compile(r":\s*(\S+)$")
_RELEASE = re.compile(r'^([A-Z_]+)="?(.*?)"?$')
MAX_LINE = 1000


def matches(source: Source) -> bool:
    """Whether it is a list of packages, or os-release."""
    if source.is_json:
        return _nix_elements(source.json) is not None
    return not source.is_yaml and _form(source) is not None


def _form(source: Source) -> str | None:
    if source.path.name.endswith(("os-release", "os-release.txt")) or _is_os_release(source):
        return "os-release"
    sample = [line for line in source.lines[:60] if line.strip() and not _is_heading(line)][:20]
    if not sample:
        return None
    if sample[0].startswith("Package: ") and any(
        line.startswith(("Version: ", "Status: ")) for line in source.lines[:60]
    ):
        return "dpkg status"
    if re.match(r"^[CP]:\S+$", sample[0]) and any(line.startswith("V:") for line in sample):
        return "apk installed"
    for name, pattern in _LINES.items():
        if sum(len(s) < MAX_LINE and pattern.match(s) is not None for s in sample) * 2 > len(sample):
            return name
    return None


def _is_os_release(source: Source) -> bool:
    keys = {line.partition("=")[0] for line in source.lines[:40]}
    return {"ID", "NAME"} <= keys and bool({"VERSION_ID", "PRETTY_NAME"} & keys)


def _is_heading(line: str) -> bool:
    return any(p.match(line.rstrip()) is not None for p in (_HEADINGS, _INSTALLED, _AVAILABLE))


def read(source: Source, found: Found) -> None:
    """Each package a part, at its line."""
    if source.is_json:
        _nix_json(source.json, found)
        return
    form = _form(source)
    match form:
        case "os-release":
            _os_release(source, found)
        case "dpkg status":
            _fields(source, found, ("Package", "Version", ""), _dpkg_installed)
        case "apk installed":
            _fields(source, found, ("P", "V", "L"), lambda fields: True)
        case _:
            _lines(source, found, _LINES[form or "nix"])


def _lines(source: Source, found: Found, pattern: re.Pattern[str]) -> None:
    marked = pattern in (_LINES["apt list"], _LINES["apk list"]) and any(
        line.endswith("]") and len(line) < MAX_LINE and pattern.match(line) for line in source.lines
    )
    available, derivations = False, 0
    for number, line in enumerate(source.lines, start=1):
        if not line.strip() or _is_heading(line):
            available = (available or _AVAILABLE.match(line.rstrip()) is not None) and not _INSTALLED.match(
                line.rstrip()
            )
            continue
        if line.endswith(".drv") and pattern is _LINES["nix"]:
            derivations += 1
            continue
        fits = pattern.match(line) if len(line) < MAX_LINE else None
        if fits is None:
            found.unread(f"line {number}", f"no package: {short(line)}")
            continue
        told = fits.groupdict()
        version = _version(told, pattern, marked)
        if version is not _ABSENT and not available:
            found.part(told["name"], f"line {number}", version=version, hints=(("package", told["name"]),),
                       licence=licences.expression(told.get("licence")))  # fmt: skip
    if derivations:
        found.unread("", f"{derivations} derivations (.drv) tell how things are built: list the outputs")


_ABSENT = "(not installed)"


def _version(told: Mapping[str, str | None], pattern: re.Pattern[str], marked: bool) -> str | None:
    """The version that is installed; `_ABSENT` if the list itself says that none is."""
    version, mark = told.get("version"), told.get("mark")
    if pattern is _LINES["dpkg-query -W"]:
        return version or _ABSENT
    if pattern is _LINES["dpkg -l"]:
        return _ABSENT if mark in ("n", "c") else version
    if marked and (mark is None or mark == "residual-config"):
        return _ABSENT
    older = _OLDER.search(mark or "") if pattern is _LINES["apt list"] else None
    return older.group(1) if older else version


def _stanzas(source: Source) -> Iterator[tuple[int, dict[str, str]]]:
    fields: dict[str, str] = {}
    begun = 1
    for number, line in enumerate(source.lines, start=1):
        if not line.strip():
            if fields:
                yield begun, fields
            fields = {}
            continue
        if not fields:
            begun = number
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            fields.setdefault(key, value.strip())
    if fields:
        yield begun, fields


def _dpkg_installed(fields: dict[str, str]) -> bool:
    return fields.get("Status", "install ok installed").split()[-1:] == ["installed"]


def _fields(
    source: Source, found: Found, keys: tuple[str, str, str], installed: Callable[[dict[str, str]], bool]
) -> None:
    for number, fields in _stanzas(source):
        name, version = fields.get(keys[0], ""), fields.get(keys[1], "")
        if not name:
            found.unread(f"line {number}", "a paragraph without a package's name")
        elif installed(fields):
            found.part(name, f"line {number}", version=version or None, hints=(("package", name),),
                       licence=licences.expression(fields.get(keys[2])))  # fmt: skip


def _os_release(source: Source, found: Found) -> None:
    fields, begun = {}, {}
    for number, line in enumerate(source.lines, start=1):
        fits = _RELEASE.match(line.strip()) if len(line) < MAX_LINE else None
        if fits:
            fields[fits.group(1)], begun[fits.group(1)] = fits.group(2), number
    name = fields.get("ID", "")
    if not name:
        source.fault("no ID in it", "Name /etc/os-release, or remove it.")
    found.part(fields.get("NAME", name), f"line {begun['ID']}", version=fields.get("VERSION_ID"),
               hints=(("name", name), ("name", fields.get("NAME", name))), layer=Layer.OPERATING_SYSTEM)  # fmt: skip


def _nix_elements(content: Any) -> list[tuple[str, Any]] | None:
    """The elements of `nix profile list --json`; None if it is something else."""
    elements = mapping(content).get("elements")
    if isinstance(elements, dict) and "version" in content:
        return [(f"/elements/{k}", v) for k, v in elements.items()]
    if isinstance(elements, list) and "version" in content:
        return [(f"/elements/{n}", v) for n, v in enumerate(elements)]
    return None


def _nix_json(content: Any, found: Found) -> None:
    for where, element in _nix_elements(content) or []:
        paths = mapping(element).get("storePaths")
        for path in paths if isinstance(paths, list) else []:
            fits = _LINES["nix"].match(text(path))
            if fits:
                name = fits.group("name")
                found.part(name, where, version=fits.group("version"), hints=(("package", name),))
            else:
                found.unread(where, f"no store path: {short(path)}")
        if not paths:
            found.unread(where, "an element without store paths")
