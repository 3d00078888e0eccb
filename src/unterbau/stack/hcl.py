# SPDX-License-Identifier: Apache-2.0
"""Configuration of OpenTofu and Terraform (.tf, .tofu): providers, charts, images, operating systems of machines.

Parsed by python-hcl2, never evaluated: of an expression only `var.x` and `local.x` are filled in, where the same file
says a plain text. What else an expression makes of a value is told. What was really made a state or a plan tells (`tofu`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from unterbau.stack import images_in, tofu
from unterbau.stack.found import Found, short
from unterbau.stack.source import Source, mapping, sequence, text

_EXPRESSION = re.compile(r"\$\{(var|local)\.([A-Za-z_]\w*)\}")
MAX_BYTES = 1 << 20
REMEDY = "Mend it (`tofu validate`), or judge a plan: tofu show -json."


def matches(source: Source) -> bool:
    """Whether it is called so."""
    return source.path.suffix.lower() in (".tf", ".tofu") or _is_json(source)


def _is_json(source: Source) -> bool:
    return source.path.name.lower().endswith((".tf.json", ".tofu.json"))


def read(source: Source, found: Found) -> None:
    """Providers, and what resources bring, at the lines of their blocks."""
    content = source.object if _is_json(source) else _parsed(source)
    known = _texts(content)
    for block in _blocks(content, "terraform"):
        for required in _blocks(block, "required_providers"):
            for name, told in required.items():
                _provider(name, told, source, found)
    for kind, name, values in [*_labelled(content, "resource"), *_labelled(content, "data")]:
        head = rf'(?:resource|data)\s+"{re.escape(kind)}"\s+"{re.escape(name)}"'
        where = _line(source, rf'^\s*"{re.escape(name)}"\s*:' if _is_json(source) else rf"^\s*{head}")
        _resource(kind, _filled(values, known), where, found)
    for name, module in ((n, m) for block in _blocks(content, "module") for n, m in block.items()):
        where = _line(source, rf'^\s*module\s+"{re.escape(name)}"')
        found.unread(where, f"a module that stands elsewhere: {short(text(mapping(module).get('source')))}")


def _parsed(source: Source) -> Mapping[str, Any]:
    import hcl2  # with its grammar, 0.2 s

    if len(source.data) > MAX_BYTES:
        source.fault(f"larger than {MAX_BYTES >> 20} MiB", "Judge a plan: tofu show -json.")
    options = hcl2.SerializationOptions(
        with_comments=False, explicit_blocks=False, strip_string_quotes=True, preserve_heredocs=False
    )
    try:
        return mapping(hcl2.loads(source.text + "\n", serialization_options=options))
    except RecursionError:
        source.fault("nested too deeply", REMEDY)
    except Exception as error:  # noqa: BLE001 - the parser throws its own and Python's; each means that it cannot be read
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "$END" in first:
            first = "it ends before its blocks do"
        source.fault(f"no HCL: {short(first)}", REMEDY, getattr(error, "line", None))


def _blocks(content: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """Of a kind; in JSON one may stand by itself."""
    told = content.get(kind)
    for block in [told] if isinstance(told, dict) else sequence(told):
        if isinstance(block, dict):
            yield block


def _labelled(content: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Type, name and arguments of each resource."""
    for block in _blocks(content, kind):
        for label, named in block.items():
            for name, values in mapping(named).items():
                yield label, name, mapping(values)


def _texts(content: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """What `var.x` and `local.x` are, where a plain text stands here."""
    told = {("local", n): text(v) for block in _blocks(content, "locals") for n, v in block.items()}
    for block in _blocks(content, "variable"):
        told |= {("var", n): text(mapping(v).get("default")) for n, v in block.items()}
    return {k: v for k, v in told.items() if v and "${" not in v}


def _filled(values: Any, known: Mapping[tuple[str, str], str]) -> Any:
    if isinstance(values, dict):
        return {k: _filled(v, known) for k, v in values.items()}
    if isinstance(values, list):
        return [_filled(v, known) for v in values]
    if isinstance(values, str) and "${" in values:
        return _EXPRESSION.sub(lambda m: known.get((m.group(1), m.group(2)), m.group()), values)
    return values


def _provider(name: str, told: Any, source: Source, found: Found) -> None:
    where = _line(source, rf'^\s*"?{re.escape(name)}"?\s*[=:]')
    address = text(mapping(told).get("source")) or f"hashicorp/{name}"
    version = text(mapping(told).get("version")) or text(told)
    tofu.provider(address if address.count("/") > 1 else f"registry.terraform.io/{address}", where, version, found)


def _resource(kind: str, values: Mapping[str, Any], where: str, found: Found) -> None:
    if kind == "helm_release":
        chart = text(values.get("chart"))
        if not chart or "${" in chart or chart.startswith((".", "/")):
            found.unread(where, f"a chart that stands elsewhere: {short(chart)}")
        else:
            version = text(values.get("version"))
            found.released(
                "chart", chart.rstrip("/").rpartition("/")[2], where, "chart", version if "${" not in version else ""
            )
        return
    for field in tofu.IMAGES.get(kind, ()):
        if text(values.get(field)):
            found.image(text(values[field]), where)
    if kind.startswith("kubernetes_"):
        images_in.search(values.get("spec"), where, kind, found)
    tofu.operating_system(kind, values, where, found)


def _line(source: Source, pattern: str) -> str:
    """The place of the first line that fits."""
    begins = re.compile(pattern)
    return next((f"line {n}" for n, line in enumerate(source.lines, 1) if len(line) < 4000 and begins.match(line)), "")
