# SPDX-License-Identifier: Apache-2.0
"""The file `probes.yaml`: what a person wants asked. Pure: text in, probes out. `cli` and `drill` call it.

    probes:
    - {kind: http, at: 203.0.113.7, port: 80, path: /login}
    - {kind: closed, at: 203.0.113.7, port: 5432, control: http-80}
    - {kind: command, at: 203.0.113.7, user: alpine, run: psql -At -c 'select count(*) from akten'}

`at` is a public address of the source, the address of one of its ports, or a Ref; `id` may be left out (`http-80`).
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from unterbau.errors import UsageError
from unterbau.switch.probes.model import MOST, Closed, Probe, address_of, faults
from unterbau.tenant.kinds import FloatingIp, Port
from unterbau.tenant.workload import Workload

LARGEST = 2**20
"""Characters that the file may have."""
_PROBE: TypeAdapter[Probe] = TypeAdapter(Probe)
_USUAL_PORTS = {"dns": "53", "command": "22"}
"""Ports that may be left out."""
_HOW = "docs/probes.md says what a probe has."


def load(text: str, name: str) -> tuple[Probe, ...]:
    """The probes of a file called `name`; their `at` is as written. Raises UsageError: what, where, what to do."""
    if len(text) > LARGEST:
        raise UsageError(f"{name}: larger than {LARGEST} characters", f"A plan has at most {MOST} probes.")
    try:
        plain = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = min(error.problem_mark.line, text.count("\n")) + 1 if error.problem_mark else 1
        raise UsageError(f"{name}, line {line}: {error.problem}", "Mend that line; the file is YAML.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{name}: {str(error)[:200]}", "Mend the file; it is not YAML.") from None
    listed = plain.get("probes") if isinstance(plain, dict) and plain.keys() == {"probes"} else None
    if not isinstance(listed, list) or not listed:
        raise UsageError(f"{name}: it has no list `probes`, or something beside it", _HOW)
    if len(listed) > MOST:
        raise UsageError(f"{name}: more than {MOST} probes ({len(listed)})", "Leave some out.")
    found = tuple(_one(one, number, name) for number, one in enumerate(listed))
    for number, field, what in faults(found):
        raise UsageError(f"{name}, {_place(found[number], number)} {field}: {what}", _mended(field, found))
    return found


def resolved(probes: Sequence[Probe], source: Workload, name: str) -> tuple[Probe, ...]:
    """The same with Refs of the source for addresses. Raises UsageError with the nearest address that there is."""
    places = {address_of(source, r.ref): r.ref for r in source.resources if isinstance(r, Port)}
    places |= {address_of(source, r.ref): r.ref for r in source.resources if isinstance(r, FloatingIp)}
    found = tuple(p.model_copy(update={"at": places.get(p.at, p.at)}) for p in probes)
    for number, field, what in faults(found, source):
        told = _mended(field, found)
        if field == "at":
            public = sorted(f.address for f in source.of(FloatingIp))
            near = get_close_matches(probes[number].at, public, n=3, cutoff=0.6) or public[:5]
            told = f"Public addresses of {source.identity.name}: {', '.join(near) or 'none'}."
        raise UsageError(f"{name}, {_place(found[number], number)} {field}: {what}", told)
    return found


def _one(plain: Any, number: int, name: str) -> Probe:
    if isinstance(plain, dict) and "id" not in plain:
        usual = _USUAL_PORTS.get(str(plain.get("kind")), "")
        plain = {"id": f"{plain.get('kind', '')}-{plain.get('port', usual)}", **plain}
    try:
        return _PROBE.validate_python(plain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, [part for part in first["loc"] if part != plain.get("kind")]))
        kind = f" ({plain['kind']})" if isinstance(plain, dict) and "kind" in plain else ""
        raise UsageError(f"{name}, probe {number + 1}{kind} {where}: {first['msg']}".replace(" :", ":"), _HOW) from None
    except (TypeError, ValueError):
        raise UsageError(f"{name}, probe {number + 1}: it is no table of names and values", _HOW) from None


def _place(probe: Probe, number: int) -> str:
    return f"probe {number + 1} ({probe.id})"


def _mended(field: str, probes: Sequence[Probe]) -> str:
    if field == "id":
        return "Give each an id of its own."
    if field == "control":
        known = [p.id for p in probes if not isinstance(p, Closed)]
        return f"Name a probe that answers at the same guest; there are: {', '.join(known[:8]) or 'none'}."
    return _HOW
