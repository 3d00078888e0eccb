# SPDX-License-Identifier: Apache-2.0
"""What our own rooms say has a German form: nothing of a real drill, and no sentence of the rules, stays English."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from kept_bundles import KEPT, checked

from unterbau.switch import planning
from unterbau.switch.evidence.bundle import NOT_TESTED
from unterbau.switch.report.german import german
from unterbau.tenant.openings.model import Opened, Opening


def _texts(tree: ast.AST) -> set[str]:
    """Sentences of the planning rules: second and third argument of `_left`, and everything called `why`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_left":
            found |= {_text(a) for a in node.args[1:]}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_dropped":
            found.add(_text(node.args[2]))
        elif (isinstance(node, ast.keyword) and node.arg == "why") or (
            isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "why"
        ):
            found.add(_text(node.value))
    return {text for text in found if " " in text}


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "7" for v in node.values)
    return ""


RULES = sorted(_texts(ast.parse(Path(planning.__file__).read_text(encoding="utf-8"))))


def test_there_are_rules_to_look_at() -> None:
    assert len(RULES) > 25


@pytest.mark.parametrize("text", [*RULES, *NOT_TESTED])
def test_every_sentence_has_a_german_form(text: str) -> None:
    if text.startswith("7; 7 covers it"):
        text = "the target has no flavor 7" + text[1:]
    assert german(text) != text


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_nothing_of_a_real_drill_stays_english(path: Path) -> None:
    told = checked(path)
    texts = {v.reason for v in told.verdicts} | {v.claim.text for v in told.verdicts}
    texts |= {e.why for e in told.bundle.plan.entries} | {e.remedy for e in told.bundle.plan.entries}
    texts |= {p.name for p in told.bundle.context.phases} - {"plan"}
    assert [t for t in texts if isinstance(t, str) and t and german(t) == t] == []


@pytest.mark.parametrize("kind", list(Opened), ids=[k.name for k in Opened])
def test_every_opening_is_said_in_german(kind: Opened) -> None:
    opening = Opening.of(
        kind, "on public, for 10.0.0.5" if kind is Opened.PUBLIC_ADDRESS else "THIS", {"x": "port NAME"}
    )
    said = german(f"Closed on the source, or allowed by name to be open on the target: {opening.text}.")
    assert said.startswith("An der Quelle geschlossen") and "NAME" in said
    assert not {"reaches", "may", "has", "stands", "leads", "lies", "shared", "open", "copied", "connected"} & set(
        said.split()
    )
    claim = (
        f"Nothing that was closed on the source is open on the target, but for what was allowed by name: {kind.value}."
    )
    assert german(claim).startswith("Nichts, was an der Quelle") and (
        kind.value not in german(claim) or kind is Opened.SNAT
    )


def test_a_reason_within_a_reason_is_translated_and_names_stay() -> None:
    text = "needs volume:7 (left <b>), which is left: its status is error"
    assert german(text) == "braucht volume:7 (left <b>), das zurückbleibt: sein Zustand ist error"
    assert german("HTTP 500: oh no") == "HTTP 500: oh no"


@pytest.mark.parametrize(
    "text",
    [
        "Elsewhere: GET https://a:1/x: HTTP 302 points to http://b:2, which is another place",
        "GET https://a:1/x: HTTP 302 points to another path of https://a:1",
        "Broken: GET /v2/images: its next page is said to be at https://b:1/y, which is not this listing",
        "plain http: who answered, and whether it was changed on the way, is not shown",
        "plain http of compute, image: who answered, and who else read the token, is not shown",
        "clouds.yaml says verify: false: who answered is not shown",
    ],
)
def test_what_is_said_of_addresses_has_a_german_form(text: str) -> None:
    told = german(text)
    assert told != text and "which is" not in told and "not shown" not in told
    assert all(place in told for place in ("https://a:1", "http://b:2", "https://b:1") if place in text)


@pytest.mark.parametrize(
    "text",
    [
        "its listing has 70 entries, the service counts 89",
        "containers: its listing has 70 entries, the service counts 89",
        "its listing has 4 entries, the service counts 5 in use; 1 are named by others and not listed, first network:n",
        "its count went from 3 to 5 while it was listed",
        "2 containers were not listed whole, first container:a: its listing has 1 entries, the service counts 2",
        "port:p names it (network_id), and the listing of the project does not have it",
        "port:p says that it is one of them",
        "it stands in a cell of this cloud that does not answer",
        "of 2 servers Nova tells no more than that they are",
        "Nova tells interfaces (fa:16:3e:00:00:01) that are not in the listing of the project's ports",
    ],
)
def test_what_is_said_of_short_listings_has_a_german_form(text: str) -> None:
    told = german(text)
    english = (" has ", " its ", "its ", " the ", " that ", " are ", " not ", " and ", " says ")
    assert told != text and not [word for word in english if word in f" {told}"]
