# SPDX-License-Identifier: Apache-2.0
"""One file of somebody's stack: its bytes, text, JSON or YAML, parsed once, and every fault told with its line.

The readers of this package get a `Source` and put what they find into a `Found`. YAML is read from libyaml's events,
not by its composer, which ends the process on deep nesting; scalars stay the text that stands there (`1.10` is no
number), mappings know the line of each key, and aliases share their value, so that a bomb does not go off. Nothing
here knows what the content means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NoReturn

import yaml

from unterbau.errors import UsageError

MAX_BYTES = 512 * 2**20
MAX_DEPTH = 100
MAX_EXPANDED = 2_000_000
"""So many values may a YAML document have once its aliases are expanded."""
BRACES = re.compile(r"\{\{|\{%|<%|@@[A-Z]")
_JSON = re.compile(rb'^[\xef\xbb\xbf\s]*(?:\{(?![{%])|\[\s*(?:[\]{"\d-]|\[\s*[\[{"\d]))')
"""The beginning of JSON; `[[package]]` is TOML and `[Unit]` an INI file."""
_PACKED = (
    (b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
)  # fmt: skip
_NULL = frozenset(["", "~", "null", "Null", "NULL"])


class Map(dict[str, Any]):
    """A mapping of a YAML document; `lines` has the line of each key."""

    __slots__ = ("line", "lines", "size")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.size = 1


class Seq(list[Any]):
    """A sequence of a YAML document; `lines` has the line of each item."""

    __slots__ = ("line", "lines", "size")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []
        self.size = 1


class Source:
    """One file, read once. `name` is how it is told in places: as the user wrote it."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.name = str(path)
        self.data = data

    @classmethod
    def open(cls, path: Path) -> Source:
        """The file at `path`; raises UsageError if it cannot be read, is no file, or is far too large."""
        try:
            if not path.is_file():
                raise UsageError(f"{path}: no file", "Name a file or a directory that is there.")
            if path.stat().st_size > MAX_BYTES:
                raise UsageError(
                    f"{path}: larger than {MAX_BYTES >> 20} MiB", "Split it, or name the part that counts."
                )
            return cls(path, path.read_bytes())
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", "Name a file that can be read.") from None

    def fault(self, what: str, remedy: str, line: int | None = None) -> NoReturn:
        """Raise the UsageError that names this file."""
        raise UsageError(f"{self.name}{f':{line}' if line else ''}: {what}", remedy)

    @cached_property
    def text(self) -> str:
        """The content as text: UTF-8, or UTF-16, with its mark (as PowerShell writes) or without."""
        packed = next((name for begin, name in _PACKED if self.data.startswith(begin)), None)
        if packed:
            self.fault(f"packed ({packed})", "Unpack it, and judge what was in it.")
        encoding = wide(self.data) or "utf-8-sig"
        try:
            text = self.data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            line = self.data.count(b"\n", 0, error.start) + 1
            self.fault("no UTF-8 text", "Write it as UTF-8: iconv -f LATIN1 -t UTF-8.", line)
        if "\0" in text:
            self.fault("a binary file", "Name a text file of a known form.", text.count("\n", 0, text.index("\0")) + 1)
        return text

    @cached_property
    def lines(self) -> list[str]:
        """Its lines, without their ends (a line ends at a line feed only)."""
        return [line.removesuffix("\r") for line in self.text.split("\n")]

    @cached_property
    def is_json(self) -> bool:
        """Whether it looks like JSON."""
        if self.path.suffix.lower() in (".yaml", ".yml", ".toml", ".hcl", ".tf", ".tofu", ".nix"):
            return False
        return self.path.suffix == ".json" or _JSON.match(self.data[:4096]) is not None

    @cached_property
    def json(self) -> Any:
        """The content as JSON; raises UsageError with the line. Keys that stand twice get into `twice`."""
        try:
            return json.loads(self.text, object_pairs_hook=self._object)
        except JSONDecodeError as error:
            plain = without_comments(self.text)
            if plain != self.text:
                return self._json_with_comments(plain, error)
            if error.msg == "Extra data":
                self.fault("more stands behind the end of the JSON", "Put one document into a file.", error.lineno)
            what = "ends before the JSON does" if error.pos >= len(self.text.rstrip()) else f"no JSON: {error.msg}"
            self.fault(what, "Make the file again; it may be cut off.", error.lineno)
        except RecursionError:
            self.fault("JSON that is nested too deeply", "Name a file of a known form.")
        except ValueError:  # of the JSON that is sound, Python refuses only numbers of more digits than it bears
            self.fault("no JSON that is read: a number of thousands of digits", "Name a file of a known form.")

    def _json_with_comments(self, plain: str, before: JSONDecodeError) -> Any:
        try:
            found = json.loads(plain, object_pairs_hook=self._object)
        except (ValueError, RecursionError):
            self.fault(f"no JSON: {before.msg}", "Make the file again; it may be cut off.", before.lineno)
        self.remarks.append("it has comments or commas that JSON does not know; it was read without them")
        return found

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            self.twice += [(0, k) for k, _ in pairs if k in seen or seen.add(k)]  # type: ignore[func-returns-value]
        return made

    @cached_property
    def remarks(self) -> list[str]:
        """What is odd about the file and was read nevertheless; filled while it is read."""
        return []

    @cached_property
    def is_xml(self) -> bool:
        """Whether it looks like XML."""
        return (
            self.data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<?xml", b"<!", b"<bom", b"<rdf", b"<Document"))
        )

    @cached_property
    def object(self) -> Mapping[str, Any]:
        """The JSON object in it; empty if it is no JSON, or none."""
        found = self.json if self.is_json else None
        return found if isinstance(found, dict) else {}

    @cached_property
    def is_yaml(self) -> bool:
        """Whether its name says YAML, or its place does: Ansible's variables need no suffix."""
        if self.path.suffix == "" and {"group_vars", "host_vars"} & set(self.path.parts[:-1]):
            return True
        return self.path.suffix.lower() in (".yaml", ".yml")

    @cached_property
    def documents(self) -> tuple[Any, ...]:
        """The documents of YAML, without empty ones; raises UsageError with the line."""
        return tuple(d for d in _Builder(self).documents() if d is not None)

    @property
    def document(self) -> Any:
        """The first document of YAML; None if there is none."""
        return self.documents[0] if self.documents else None

    @cached_property
    def twice(self) -> list[tuple[int, str]]:
        """Keys that stand twice in a mapping, with the line of the second (0 in JSON); filled when it is parsed."""
        return []


def wide(data: bytes) -> str | None:
    """The encoding of UTF-16: by its mark, or by a zero in every second byte of its beginning; else None."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    head = data[:400]
    if len(data) < 4 or len(data) % 2 or b"\0" not in head:
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd * 10 > len(head[1::2]) * 9 and not even:
        return "utf-16-le"
    return "utf-16-be" if even * 10 > len(head[::2]) * 9 and not odd else None


_COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


def without_comments(text: str) -> str:
    """JSON without `//` and `/* */`, and without commas before a closing bracket; strings stay as they are."""
    if "/*" in text and "*/" not in text:
        return text  # a comment that never ends; each `/*` would be looked at to the end of the file
    told = _COMMENT.sub(lambda m: m.group() if m.group().startswith('"') else re.sub(r"[^\n]", "", m.group()), text)
    return told if told == text else _COMMENT.sub(lambda m: m.group() if m.group().startswith('"') else "", told)


class _Builder:
    """Documents out of libyaml's events."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.anchors: dict[str, Any] = {}
        self.open: set[str] = set()

    def documents(self) -> Iterator[Any]:
        """Each document."""
        events = yaml.parse(self.source.text, Loader=yaml.CSafeLoader)
        try:
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self.anchors = {}
                    yield self._document(events)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            self._no_yaml(str(getattr(error, "problem", None) or error), mark.line + 1 if mark else None)
        except (ValueError, RecursionError) as error:
            self._no_yaml(str(error), None)

    def _no_yaml(self, what: str, line: int | None) -> NoReturn:
        begin = max((line or 1) - 3, 0)
        near = self.source.lines[begin : line + 1] if line else self.source.lines
        braces = next((n for n, one in enumerate(near, start=begin + 1) if BRACES.search(one)), None)
        if braces is not None:
            remedy = "It is a template: render it first (`helm template`, `ansible-playbook`), and judge the result."
            self.source.fault("template braces, not YAML", remedy, braces)
        self.source.fault(f"no YAML: {what}", "Mend the file, or make it again.", line)

    def _document(self, events: Iterator[Any]) -> Any:
        stack: list[tuple[Map | Seq, str | None, list[tuple[str, int]]]] = []  # with its anchor, and a key that waits
        for event in events:
            kind = type(event)
            line = event.start_mark.line + 1
            if kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
                if len(stack) >= MAX_DEPTH:
                    self.source.fault(f"nested more than {MAX_DEPTH} deep", "Name a file of a known form.", line)
                made = Map(line) if kind is yaml.MappingStartEvent else Seq(line)
                if event.anchor:
                    self.open.add(event.anchor)
                stack.append((made, event.anchor, []))
                continue
            if kind is yaml.DocumentEndEvent:
                return None
            if kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                value, anchor, _ = stack.pop()
                self.open.discard(anchor or "")
                line = value.line
            else:
                value, anchor = self._leaf(event, line), getattr(event, "anchor", None)
                anchor = anchor if kind is yaml.ScalarEvent else None
            if anchor:
                self.anchors[anchor] = value
            if not stack:
                next(events, None)  # the end of the document
                return value
            self._put(stack[-1], value, line)
        return None

    def _leaf(self, event: Any, line: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self.open:
                self.source.fault(f"*{event.anchor} contains itself", "Write the value out.", line)
            if event.anchor not in self.anchors:
                self.source.fault(f"*{event.anchor} is not defined", "Define it with & above.", line)
            return self.anchors[event.anchor]
        plain = event.style is None or event.style == ""
        typed = event.tag is not None and event.tag in ("!", "tag:yaml.org,2002:str")
        return None if plain and event.value in _NULL and not typed else event.value

    def _put(self, into: tuple[Map | Seq, str | None, list[tuple[str, int]]], value: Any, line: int) -> None:
        collection, _, waiting = into
        if isinstance(collection, Map) and not waiting:
            waiting.append(("" if value is None else value if isinstance(value, str) else "?", line))
            return
        collection.size += getattr(value, "size", 1)
        if collection.size > MAX_EXPANDED:
            self.source.fault(
                f"aliases make more than {MAX_EXPANDED:,} values of it", "Write it without aliases.", line
            )
        if isinstance(collection, Seq):
            collection.append(value)
            collection.lines.append(line)
            return
        key, key_line = waiting.pop()
        if key == "<<" and isinstance(value, (Map, Seq)):
            self._merge(collection, value)
            return
        if key in collection and collection.lines[key] > 0:
            self.source.twice.append((key_line, key))
        collection[key] = value
        collection.lines[key] = key_line

    def _merge(self, target: Map, value: Map | Seq) -> None:
        """What `<<` brings: its lines are negative, and a key of one's own takes precedence."""
        for one in value if isinstance(value, Seq) else [value]:
            for key, inner in mapping(one).items():
                if key not in target:
                    target[key] = inner
                    target.lines[key] = -abs(one.lines[key])


def line_of(container: Any, key: str | int) -> int | None:
    """The line of a key or item of YAML; None for JSON."""
    if isinstance(container, Map):
        return abs(container.lines.get(str(key), container.line))
    if isinstance(container, Seq):
        return container.lines[int(key)] if int(key) < len(container.lines) else container.line
    return None


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is text that says something, or a plain number, else empty."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def false(value: Any) -> bool:
    """Whether it says no: false of JSON, or the word of YAML."""
    return value is False or (isinstance(value, str) and value.lower() == "false")
