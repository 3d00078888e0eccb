# SPDX-License-Identifier: Apache-2.0
"""Templates of YAML and JSON (`images.yaml.gotmpl`, `compose.tmpl.yml`), as far as they are what they will become. Pure.

Nothing is rendered. Often only the name says template, and the content is plain. Else lines that are a template's own
(`{{- if .x }}`) are taken out, and what braces fill in stays as a text, of which the reader then tells that a template
fills it in. Each line that was taken out is told. A template that is no YAML even so is told as one.
"""

from __future__ import annotations

import re

from unterbau.errors import UsageError
from unterbau.stack.source import BRACES, Source

_KINDS = r"(?:j2|jinja2?|gotmpl|tpl|tmpl|erb|template)"
SUFFIX = re.compile(rf"^(?P<name>.*\.(?:ya?ml|json))\.{_KINDS}$|^(?P<base>.+)\.{_KINDS}(?P<end>\.(?:ya?ml|json))$")
_OPEN = re.compile(r"\{\{|\{%|\{#|<%")
_CLOSE = re.compile(r"\}\}|%\}|#\}|%>")
_VALUE = re.compile(r"^(\s*(?:- +)*(?:(?:\"[^\"]*\"|'[^']*'|[^\s'\"#{][^'\"#{]*?):\s+)?)(\S.*)$")
MAX_LINE = 4000


def plain(source: Source) -> tuple[Source, list[int]] | None:
    """The file that the template will become, and the lines that are left out; None if it is no template.

    It is one by its name, or if it is YAML that cannot be parsed and has braces. The file keeps its name; raises nothing.
    Whether it can be parsed shows when it is.
    """
    fits = SUFFIX.match(source.path.name)
    if fits is None and not (source.is_yaml and BRACES.search(source.text) and not _parses(source)):
        return None
    become = source.path.name if fits is None else fits.group("name") or f"{fits.group('base')}{fits.group('end')}"
    named = _again(source, source.data, become)
    if fits is not None and _parses(named):
        return named, []
    kept, left_out, inside = [], [], False
    for number, line in enumerate(source.lines, start=1):
        bare = line.strip()
        inside_before, inside = inside, _inside(bare, inside)
        own = _OPEN.match(bare) is not None and _is_own(bare)
        if inside_before or inside or own or len(line) > MAX_LINE:
            left_out.append(number)
            kept.append("")
        else:
            kept.append(_quoted(line) if _OPEN.search(line) and not bare.startswith("#") else line)
    return _again(source, "\n".join(kept).encode(), become), left_out


def _again(source: Source, data: bytes, name: str) -> Source:
    made = Source(source.path.with_name(name), data)
    made.name = source.name
    return made


def _parses(source: Source) -> bool:
    try:
        return bool(source.documents if source.is_yaml else source.json is not None)
    except UsageError:
        return False


def _inside(bare: str, inside: bool) -> bool:
    """Whether a comment or an expression goes on in the next line."""
    last_open = max((m.start() for m in _OPEN.finditer(bare)), default=-1)
    last_close = max((m.start() for m in _CLOSE.finditer(bare)), default=-1)
    return last_open > last_close if last_open >= 0 or last_close >= 0 else inside


def _is_own(bare: str) -> bool:
    """Whether a line is nothing but the template's own: `{{- if .x }}`, `{% endif %}`."""
    return not re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<%.*?%>", "", bare).strip()


def _quoted(line: str) -> str:
    """The line with its value as one quoted text."""
    fits = _VALUE.match(line)
    if fits is None:
        return line
    before, value = fits.groups()
    value = re.sub(r"\s+#[^{}]*$", "", value)
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return before + '"' + value.replace("\\", "/").replace('"', "'") + '"'
