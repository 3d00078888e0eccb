# SPDX-License-Identifier: Apache-2.0
"""docs/coverage.md: kind by kind and field by field, what becomes of it and which tests hold it.

Made from the kinds' policies, from the marks `holds` of the tests, and from the adapter's tables of what an answer has
besides. `make coverage-table` writes it; `test_coverage` holds that what is committed is current, and that no field is
held by nobody.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from unterbau.cloud.openstack import block_storage, compute, image, key_manager, network, object_storage
from unterbau.cloud.openstack.closed import Table
from unterbau.tenant.kinds import KINDS, Becomes, Content, Kind, ResourceBase

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "coverage.md"
CONTENT = "content"
BEYOND = "not shown"
"""What becomes of what no field shows."""
IGNORABLE, LOST = "ignorable in answers", "lost if set"
"""What an API tells of a thing and no kind has as a field."""
ANSWERS: Mapping[Kind, Table] = {
    **network.TABLES, **compute.TABLES, Kind.IMAGE: image.TABLE, **block_storage.TABLES, **object_storage.TABLES,
    **key_manager.TABLES,
}  # fmt: skip
"""Of each kind: the fields of an answer that its translation does not read."""
HEAD = """\
# What is carried, field by field

Made by `make coverage-table` from the kinds' own policies and from the tests: do not edit. A field is *carried* (equal on the
other side, or a claim fails), *carried, or changed* (the plan says when, and what it is then), *chosen by the target*, *left* (the
plan names it wherever it is set), or *ignored*, which says why. What no field shows is *not shown*. "Held by" names the tests
that fail if it is otherwise; a test that says `holds("carried")` does so for each such field.

What an API tells of a thing besides is *ignorable*, which says why and by which reference, or *lost if set*, which the
census then names. A field that stands nowhere here is *not shown*, with its name.
"""


def held(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """What a mark names (`server.flavor`, `carried`) -> the tests that carry it, from the text of the tests' files."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, text in sorted(sources.items()):
        for node in ast.walk(ast.parse(text)) if ".holds(" in text else ():
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for what in _marks(node.decorator_list):
                    found[what].append(f"{Path(path).name}::{node.name}")
    return dict(found)


def _marks(decorators: Iterable[ast.expr]) -> Iterator[str]:
    for one in decorators:
        if isinstance(one, ast.Call) and ast.unparse(one.func).endswith("mark.holds"):
            yield from (str(a.value) for a in one.args if isinstance(a, ast.Constant))


def sources() -> dict[str, str]:
    """The text of the tests' files by path."""
    return {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py")}


def rows(kind: type[ResourceBase], tests: Mapping[str, list[str]]) -> Iterator[tuple[str, str, str, list[str]]]:
    """(field, what becomes of it, why or when, tests) of one kind."""
    name = str(kind.model_fields["kind"].default)
    for field, policy in kind.POLICY.items():
        decided = "" if policy.member else "a member cannot decide it: not compared unless who moves can"
        why = "; ".join(filter(None, (str(policy.why), decided if policy.becomes.compared else "")))
        by = tests.get(f"{name}.{field}", []) + tests.get(policy.becomes.value, [])
        yield field, policy.becomes.value, why, by
    if kind.KNOWN.content is not Content.NONE:
        yield CONTENT, Becomes.CARRIED.value, kind.KNOWN.content.value, tests.get(f"{name}.{CONTENT}", [])
    for what, why in kind.KNOWN.beyond.items():
        yield what, BEYOND, why, tests.get(f"{name}.{what}", []) + tests.get(BEYOND, [])


def besides(kind: Kind) -> Counter[str]:
    """How many fields of an answer no translation reads, by what that means."""
    return Counter(IGNORABLE if known.unset is None else LOST for known in ANSWERS[kind].values())


def _besides(kind: Kind) -> Iterator[str]:
    """A line for each reason: what it says of which fields."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for path, known in ANSWERS[kind].items():
        found[IGNORABLE if known.unset is None else LOST, known.why, known.reference].append(path)
    for (what, why, reference), paths in sorted(found.items(), key=lambda item: item[0][0] == LOST):
        yield f"- {what}, [{why}]({reference}): {', '.join(f'`{p}`' for p in paths)}"


def table(tests: Mapping[str, list[str]]) -> str:
    """The page."""
    counts = {k: Counter(row[1] for row in rows(one, tests)) + besides(k) for k, one in KINDS.items()}
    columns = [*(b.value for b in Becomes), BEYOND, IGNORABLE, LOST]
    lines = [HEAD, f"| kind | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {k.value} | {' | '.join(str(counts[k][c] or '') for c in columns)} |" for k in KINDS]
    total: Counter[str] = sum(counts.values(), Counter())
    lines += [f"| all | {' | '.join(str(total[c]) for c in columns)} |", ""]
    for kind, one in KINDS.items():
        lines += [f"## {kind.value}", "", f"[API reference]({one.KNOWN.api}).", ""]
        lines += ["| field | what becomes of it | why, when | held by |", "|---|---|---|---|"]
        lines += [
            f"| `{f}` | {b} | {w} | {', '.join(f'`{t}`' for t in dict.fromkeys(by))} |"
            for f, b, w, by in rows(one, tests)
        ]
        lines += ["", "Of its answers besides:", "", *_besides(kind), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    TABLE.write_text(table(held(sources())), encoding="utf-8")
    sys.stdout.write(f"{TABLE.relative_to(ROOT)}\n")
