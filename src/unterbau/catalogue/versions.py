# SPDX-License-Identifier: Apache-2.0
"""Version ranges over the versions that people really write: Debian, PEP 440, semver, image tags. Pure.

The catalogue says `<7.4` or `>=7.4,<8`; a stack says `5:7.0.15-1~deb12u1`, `v7.2.5-alpine` or `8`. A bound is
compared at its own precision: 7.2.5 belongs to `<=7.2`, and 7.4.0-rc1 does not belong to `<7.4`, so that `<7.4` and
`>=7.4` never both hold and never both fail. What cannot be decided (version `7` against `<7.4`, or `latest`) is
None, not a guess. Epochs and a distribution's own revision are not compared: facts are about upstream versions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from unterbau.errors import UsageError

_RELEASE = re.compile(r"\d+(?:\.\d+)*")
_PREFIX = re.compile(r"^(?:release|version|stable|rel|v|r)[-_./ ]*(?=\d)", re.IGNORECASE)
_EPOCH = re.compile(r"^\d+[:!]")
_HASH = re.compile(r"^(?=.*[a-f])[0-9a-f]{7,40}$")
_DATE = re.compile(r"^(\d{4})-(\d\d)-(\d\d)(?:T|$)")
_PRE = re.compile(r"^[-._~]?(?:alpha|beta|rc|preview|pre|dev|snapshot|a|b|c)(?![a-z])[-._]?(\d*)", re.IGNORECASE)
_ORDER = {"dev": 0, "snapshot": 0, "alpha": 1, "a": 1, "beta": 2, "b": 2, "preview": 3, "pre": 3, "rc": 4, "c": 4}
_FINAL = (9, 0)
_TERM = re.compile(r"^(<=|>=|==|!=|<|>|=)?\s*(\S+)$")

Release = tuple[tuple[int, ...], tuple[int, int]]
"""Numbers, and what kind of pre-release it is (`_FINAL`: none)."""
Check = Callable[[Release], bool | None]


@lru_cache(maxsize=65536)
def parse(text: str) -> Release | None:
    """The upstream numbers of a version and its pre-release; None if it is no number (`latest`, a commit)."""
    rest = _PREFIX.sub("", _EPOCH.sub("", text.strip()))
    if _HASH.match(rest):
        return None
    dated = _DATE.match(rest)
    if dated:
        return tuple(int(n) for n in dated.groups()), _FINAL
    found = _RELEASE.match(rest)
    if found is None:
        return None
    numbers = tuple(int(n) for n in found.group().split("."))
    tail = rest[found.end() :]
    before = _PRE.match(tail)
    if before is None:
        return numbers, _FINAL
    word = re.sub(r"[^a-z]", "", before.group().lower())
    return numbers, (_ORDER[word], int(before.group(1) or 0))


@lru_cache(maxsize=4096)
def parse_range(text: str) -> tuple[tuple[Check, ...], ...]:
    """Alternatives (`||`) of terms that must all hold (`,`). `*` is every version. Raises UsageError.

    A term is an operator (`<`, `<=`, `>`, `>=`, `=`, `!=`) and a version; without operator it is `=`, and `=7.4`
    is all of 7.4.
    """
    return tuple(tuple(_term(t, text) for t in part.split(",")) for part in text.split("||"))


@lru_cache(maxsize=65536)
def within(version: str | None, text: str) -> bool | None:
    """Whether a version lies in a range; None if it cannot be told."""
    if text.strip() == "*":
        return True
    known = parse(version) if version else None
    if known is None:
        return None
    found = [_all(check(known) for check in part) for part in parse_range(text)]
    return True if True in found else None if None in found else False


def _all(values: object) -> bool | None:
    found = list(values)  # type: ignore[call-overload]
    return False if False in found else None if None in found else True


def _term(text: str, whole: str) -> Check:
    if text.strip() == "*":
        return lambda _: True
    parsed = _TERM.match(text.strip())
    bound = parse(parsed.group(2)) if parsed else None
    if parsed is None or bound is None:
        raise UsageError(
            f"version range {whole!r}: {text.strip()!r} is no term", "Write e.g. `<7.4`, `>=7.4,<8` or `7.2 || >=8`."
        )
    operator = parsed.group(1) or "="
    return lambda release: _compare(release, operator, bound)


def _compare(release: Release, operator: str, bound: Release) -> bool | None:
    """At the precision of the bound; a version that is less precise stands for all that begin with it."""
    (numbers, pre), (limit, limit_pre) = release, bound
    short = len(limit) - len(numbers)
    lowest = (numbers + (0,) * short)[: len(limit)]
    highest = lowest if short <= 0 else (*numbers, *(10**18,) * short)
    fine = limit_pre != _FINAL and short <= 0
    low, high = ((k, pre if fine else _FINAL) for k in (lowest, highest))
    edge = (limit, limit_pre if fine else _FINAL)
    answers = {_holds(low, operator, edge), _holds(high, operator, edge)}
    if operator in ("=", "==", "!=") and low != high:
        inside = low <= edge <= high
        return None if inside else operator == "!="
    return answers.pop() if len(answers) == 1 else None


def _holds(value: Release, operator: str, edge: Release) -> bool:
    match operator:
        case "<":
            return value < edge
        case "<=":
            return value <= edge
        case ">":
            return value > edge
        case ">=":
            return value >= edge
        case "!=":
            return value != edge
        case _:
            return value == edge


def exhaustive(ranges: Sequence[str]) -> bool:
    """Whether every version lies in one of the ranges: tested at, below and above each of their bounds."""
    bounds = [parse(m) for r in ranges for m in re.findall(r"[^\s<>=!,|*]+", r)]
    samples: list[Release] = [((0,), _FINAL), ((10**9,), _FINAL)]
    for bound in bounds:
        if bound is not None:
            numbers = bound[0]
            samples += [((*numbers, 0, 0), _FINAL), ((*numbers, 10**9), _FINAL)]
            if numbers[-1] > 0:
                samples.append(((*numbers[:-1], numbers[-1] - 1, 10**9), _FINAL))
    inside = [[_all(c(s) for c in part) for r in ranges for part in parse_range(r)] for s in samples]
    return all(True in found for found in inside)
