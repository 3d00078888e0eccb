# SPDX-License-Identifier: Apache-2.0
"""Typed reasons: every id that the source uses has words in each language, which ask for the values that are given."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from pydantic import JsonValue, TypeAdapter

import unterbau
from unterbau import canonical, locale
from unterbau.verdict import Reason, Words, joined, words

SOURCE = Path(unterbau.__file__).parent
EQUAL = Reason.of("verdict.equal")


@cache
def _used() -> dict[str, set[frozenset[str]]]:
    """Id -> the sets of values' names that the calls of `Reason.of` in the source give it."""
    found: dict[str, set[frozenset[str]]] = defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "Reason" in text else ():
            if isinstance(node, ast.Call) and _is_reason_of(node.func):
                place = f"{path.relative_to(SOURCE)}:{node.lineno}"
                names = [keyword.arg for keyword in node.keywords]
                assert None not in names and len(node.args) == 1, f"{place}: its values are not named one by one"
                for id_ in _ids(node.args[0]):
                    assert id_, f"{place}: its id does not stand there"
                    found[id_].add(frozenset(str(n) for n in names))
    return found


def _is_reason_of(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "of" and getattr(node.value, "id", "") == "Reason"


def _ids(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _ids(node.body)
        yield from _ids(node.orelse)
    else:
        yield str(node.value) if isinstance(node, ast.Constant) else ""


def _messages(language: str) -> dict[str, Message]:
    with files(locale).joinpath(language, "LC_MESSAGES", "unterbau.po").open("rb") as written:
        ids = [line for line in written.read().decode().splitlines() if line.startswith("msgid ")]
        assert len(ids) == len(set(ids)), "an id stands there twice, and the later one would count"
        written.seek(0)
        read = read_po(written, locale=language, abort_invalid=True)
    return {m.id if isinstance(m.id, str) else m.id[0]: m for m in read if m.id}


BARE = {"why", "remedy", "reason", "text", "todo"}
"""Fields that hold reasons."""
JUDGED = {"observed", "required", "mend", "note", "held", "none"}
"""Those of test cases and their findings."""
TOLD = {"leave": 0, "finding": 1, "conclude": 2, "not_shown": 0, "not_applicable": 0, "but": 1}
"""Who is given reasons, from which argument on."""


def _bare(tree: ast.AST, judged: bool) -> Iterator[int]:
    """Lines at which a sentence stands where a reason belongs."""
    for node in ast.walk(tree):
        told: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            told = [*node.args[TOLD[name] :]] if name == "leave" or (judged and name in TOLD) else []
            told += [k.value for k in node.keywords if k.arg in BARE or (judged and k.arg in JUDGED)]
        elif judged and isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            told = node.value.elts
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in BARE:
            told = [node.value]
        for one in told:
            parts = [one.body, one.orelse] if isinstance(one, ast.IfExp) else [one]
            if any(
                isinstance(p, ast.JoinedStr) or (isinstance(p, ast.Constant) and " " in str(p.value)) for p in parts
            ):
                yield one.lineno


@pytest.mark.thorough
@pytest.mark.parametrize("room", ["tenant", "switch", "cloud", "prove", "judge"])
def test_no_sentence_stands_where_a_reason_belongs(room: str) -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in sorted((SOURCE / room).rglob("*.py"))
        for line in _bare(ast.parse(path.read_text(encoding="utf-8")), room in ("prove", "judge"))
    ]
    assert [
        place
        for place in found
        if not place.startswith(tuple(f"cloud/openstack/{n}.py" for n in ("errors", "http", "wire")))
    ] == []


@pytest.mark.thorough
@pytest.mark.parametrize("language", locale.LANGUAGES)
def test_every_reason_has_words_and_every_word_a_reason(language: str) -> None:
    messages = _messages(language)
    assert messages.keys() == _used().keys()
    assert [m for m in messages.values() if m.fuzzy] == []


@pytest.mark.thorough
@pytest.mark.parametrize("language", locale.LANGUAGES)
def test_the_words_ask_for_the_values_that_are_given(language: str) -> None:
    for id_, message in _messages(language).items():
        plural = isinstance(message.id, list | tuple)
        forms = list(message.string) if isinstance(message.string, list | tuple) else [str(message.string)]
        assert all(forms) and (not plural or {*message.id} == {id_}), id_
        for form in forms:
            asked = frozenset(name for _, name, _, _ in Formatter().parse(form) if name is not None)
            given = {names - {"count"} if plural and form is forms[0] else names for names in _used()[id_]}
            assert given == {asked - {"count"} if plural and form is forms[0] else asked}, (id_, form)
        assert not plural or all("count" in names for names in _used()[id_]), id_


@pytest.mark.thorough
def test_the_catalogues_decline_the_same_reasons() -> None:
    counted = [{i for i, m in _messages(one).items() if not isinstance(m.id, str)} for one in locale.LANGUAGES]
    assert counted[0] == counted[1]


def test_a_reason_is_compared_by_id_and_values_and_its_text_is_not_believed() -> None:
    read = Reason.model_validate({"id": "verdict.equal", "values": {}, "text": "differs, and nobody may know"})
    assert read == EQUAL and hash(read) == hash(EQUAL)
    assert words(read) == str(read) == "equal on both sides" and words(read, "de") == "auf beiden Seiten gleich"
    assert Reason.of("verdict.differs", left="a", right="b") != Reason.of("verdict.differs", left="a", right="c")


def test_what_was_stored_is_written_again_as_it_was() -> None:
    told = TypeAdapter(Words)
    older: list[JsonValue] = [
        "equal on both sides",
        {"id": "verdict.equal", "values": {}, "text": "as an older version said it"},
    ]
    for stored in older:
        again = told.dump_python(told.validate_python(stored), mode="json")
        assert canonical.canonical_bytes(again) == canonical.canonical_bytes(stored)
    assert told.dump_python(EQUAL, mode="json") == {"id": "verdict.equal", "values": {}, "text": "equal on both sides"}


def test_reasons_stand_in_reasons_and_one_after_the_other() -> None:
    inner = Reason.of("about", what="volumes", reason=EQUAL)
    assert words(inner, "de") == "volumes: auf beiden Seiten gleich"
    assert joined([]) == "" and joined([inner, "", inner]) == inner
    both = joined([inner, "HTTP 500: oh no"])
    assert words(both) == "volumes: equal on both sides; HTTP 500: oh no"
    assert words(both, "de") == "volumes: auf beiden Seiten gleich; HTTP 500: oh no"
    assert TypeAdapter(Words).validate_json(TypeAdapter(Words).dump_json(both)) == both


def test_quantities_are_written_as_the_language_writes_them_and_names_are_not_touched() -> None:
    told = Reason.of("verdict.differs", left=4096, right="4096")
    assert words(told) == "4,096 -> 4096" and words(told, "de") == "4.096 -> 4096"
    halves = Reason.of("verdict.differs", left=0.5, right=None)
    assert words(halves, "de") == "0,5 -> null"


@pytest.mark.thorough
def test_a_reason_of_a_newer_version_or_of_a_liar_is_told_without_a_traceback() -> None:
    assert words(Reason(id="plan.unheard-of", values={"name": "x"})) == "plan.unheard-of (name: x)"
    assert words(Reason(id="", values={})) == ""
    assert words(Reason(id="verdict.differs", values={"left": "{0.__class__}"})) == "{0.__class__} -> ?"
    deep: dict[str, object] = {"id": "list", "values": {"each": ["x"]}}
    for _ in range(100):
        deep = {"id": "list", "values": {"each": [deep, [[deep]]]}}
        assert len(words(Reason.model_validate(deep))) < 2**15
        if len(str(deep)) > 100_000:
            break


@pytest.mark.thorough
def test_nothing_of_babel_is_loaded_before_a_word_is_wanted() -> None:
    import subprocess
    import sys

    line = "import sys, unterbau.cli; print(sorted(m for m in sys.modules if m.split('.')[0] == 'babel'))"
    told = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == "[]"


def test_a_sentence_of_an_older_version_that_needs_no_values_is_a_reason_again_and_is_written_as_it_was() -> None:
    told = TypeAdapter[Words](Words)
    older = "equal on both sides; HTTP 500: oh no; it was not read"
    read = told.validate_python(older)
    assert (
        words(read) == older
        and words(read, "de") == "auf beiden Seiten gleich; HTTP 500: oh no; es wurde nicht gelesen"
    )
    assert told.dump_python(read, mode="json") == older
    assert read == joined([EQUAL, "HTTP 500: oh no", Reason.of("verify.not-read")])
    assert told.validate_python("the volume is equal on both sides") == "the volume is equal on both sides"
